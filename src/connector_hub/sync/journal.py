"""Keeping what was written and what stood there before, in the transaction that settles it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector_hub.model.journal import Entry
from connector_hub.model.mapping import Rule, Spoke
from connector_hub.model.plan import Seen
from connector_hub.model.record import Done
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide
from connector_hub.sync.writing import Item


def place(rule: Rule) -> str:
    """Where the vendor keeps a field: the same place, however its value is read."""
    link = rule.link
    if link is None or link.path:
        return rule.at or " + ".join(rule.parts)
    return f"{link.association} ({link.label})" if link.label else f"{link.association}"


def layout(side: LiveSide) -> list[tuple[str, str]]:
    """What ``Seen.raws`` of a side holds, in that order, and where each is kept."""
    return places(side.spoke, {r: p.spoke for r, p in side.places.items()})


def places(spoke: Spoke, several: Mapping[str, Spoke]) -> list[tuple[str, str]]:
    """What a spoke keeps and where the vendor does: of several resources united, in each of them."""
    found = []
    for name in spoke.kept:
        own = {
            r: s.mapping.rules.get(name) for r, s in (several or {"": spoke}).items()
        }
        kept = "; ".join(f"{r} {place(k)}".strip() for r, k in own.items() if k)
        found.append((name, kept))
    return found


@dataclass(frozen=True, slots=True)
class Differs:
    """Written fields that were read back otherwise: because of the vendor, or of somebody else."""

    not_taken: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()


_NOTHING = Differs()


def keep(run: JobRun, items: Iterable[Item], differs: Mapping[int, Differs]) -> None:
    """Keep the writes among these that a vendor confirmed, each under the run that sent it.

    Args:
        run: the run that settles them.
        items: writes with their outcomes.
        differs: what came out otherwise, by ``id`` of an item.
    """
    by_run: dict[int, list[Entry]] = {}
    for i in items:
        if isinstance(i.outcome, Done):
            found = _entry(i, i.outcome, differs.get(id(i), _NOTHING))
            by_run.setdefault(i.run or run.number, []).append(found)
    if not by_run:
        return
    store, job = run.store, run.job.name
    left, right = (store.spelling(job, s.name, layout(s)) for s in run.sides)
    for number, entries in by_run.items():
        store.keep(job, number, run.clock.now(), (left, right), entries)


def _entry(i: Item, done: Done, differs: Differs) -> Entry:
    c, side = i.change, i.side
    was = c.seen(side.name)
    source = c.left if side.name == "right" else c.right
    fields = c.fields(side.name) if i.write.op == "update" else ()
    whole = i.write.op != "update"
    return Entry(
        side.name,
        i.write.op,
        c.hub,
        done.id,
        source.id if source else "",
        fields,
        _values(side, was, fields, whole=whole),
        _values(side, i.now, fields, whole=whole),
        differs.not_taken,
        differs.edited,
        c.reason,
    )


def _values(
    side: LiveSide, seen: Seen | None, fields: tuple[str, ...], *, whole: bool
) -> tuple[object, ...]:
    if seen is None:
        return ()
    if whole:
        return seen.raws
    names = side.spoke.names
    return tuple([seen.raws[names.index(n)] for n in fields])
