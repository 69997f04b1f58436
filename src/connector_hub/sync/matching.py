"""Who is whom, before anything is written: the report of a first match, and what people correct in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal

from connector_hub.errors import ConfigError
from connector_hub.model.job import SIDES, SideName
from connector_hub.model.link import Link
from connector_hub.model.plan import Seen
from connector_hub.sync.linking import (
    Subject,
    find_links,
    match_unlinked,
    relatives,
    view_subjects,
)
from connector_hub.sync.planner import WINDOW
from connector_hub.sync.reading import read_sides
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch

Kind = Literal[
    "linked",
    "one to one",
    "other name",
    "only left",
    "only right",
    "candidates",
    "twins",
    "taken",
    "no identity",
]
KINDS: Mapping[Kind, str] = {
    "linked": "linked already",
    "one to one": "the same identity on both sides, once each",
    "other name": "the same identity, and not a word of the name in common: look at these",
    "only left": "nobody fits on the right",
    "only right": "nobody fits on the left",
    "candidates": "several fit on the other side",
    "twins": "several on one side are the same",
    "taken": "the one that fits is linked to another",
    "no identity": "every identifying field is blank",
}
"""What a record may be, and what that means; a pair counts once."""
_NAMES = ("name", "given_name", "family_name")


@dataclass(frozen=True, slots=True)
class Found:
    """One line of the report. ``left`` and ``right`` are ids, ``who`` a label made of the record's names."""

    kind: Kind
    left: str | None
    right: str | None
    who: str = ""


async def match_sides(run: JobRun, each: Callable[[Found], None]) -> Counter[str]:
    """Read both sides wholly and say who is whom. Writes nothing but the identity index.

    Args:
        run: of a two-way job, planning only.
        each: told every record or pair once, but for linked pairs that did not move.

    Returns:
        How many there are of each kind.
    """
    await read_sides(run)
    run.store.forget_claims()
    counts: Counter[str] = Counter(linked=run.tally.outcomes["unchanged"])
    labels: dict[str, str] = {}

    def tell(found: Found) -> None:
        counts[found.kind] += 1
        each(found)

    for side in run.sides:
        done = 0
        for rows in run.store.staged(run.job.name, run.plan.id, side.name):
            for i in range(0, len(rows), WINDOW):
                _window(run, side, rows[i : i + WINDOW], labels, tell)
            done += len(rows)
            run.progress("matching", done, None)
    run.store.drop_windows(run.job.name, run.plan.id)
    return +counts


def _window(
    run: JobRun,
    side: LiveSide,
    rows: Sequence[Seen],
    labels: dict[str, str],
    tell: Callable[[Found], None],
) -> None:
    subjects = [Subject(s) for s in rows]
    find_links(run, side, subjects)
    view_subjects(run, side, subjects)
    claimed = run.store.claimed(side.name, [s.seen.id for s in subjects])
    unknown = [s for s in subjects if s.there_id is None and s.seen.id not in claimed]
    found = match_unlinked(run, side, unknown, relatives(run, side, unknown))
    for s in subjects:
        mine, who = s.seen.id, label(s.view)
        if mine in claimed:
            tell(_paired(claimed[mine], mine, labels.pop(claimed[mine], ""), who))
        elif s.there_id is not None:
            if side.name == "left" or not s.there_id:
                tell(_line(side.name, "linked", mine, s.there_id or None, who))
        elif found[mine].kind == "one":
            labels[mine] = who
        else:
            tell(_line(side.name, _kind(side.name, found[mine].kind), mine, None, who))


def _paired(left: str, right: str, mine: str, theirs: str) -> Found:
    alike = not mine or not theirs or not words(mine).isdisjoint(words(theirs))
    kind: Kind = "one to one" if alike else "other name"
    return Found(kind, left, right, mine if mine == theirs else f"{mine} / {theirs}")


def _kind(side: SideName, kind: str) -> Kind:
    if kind == "new":
        return "only left" if side == "left" else "only right"
    if kind == "unknown":
        return "no identity"
    return kind  # type: ignore[return-value]


def _line(side: SideName, kind: Kind, mine: str, there: str | None, who: str) -> Found:
    left, right = (mine, there) if side == "left" else (there, mine)
    return Found(kind, left, right, who)


def label(view: Mapping[str, Any]) -> str:
    """The names of a record, as one line."""
    return " ".join(str(v) for n in _NAMES if (v := view.get(n)))


def words(text: str) -> set[str]:
    """The words of a name, whatever their case and order."""
    return set(text.casefold().replace(".", " ").replace(",", " ").split())


async def link_pairs(run: JobRun, pairs: Iterable[tuple[int, str, str]]) -> int:
    """Link what a person says belongs together: (line of the file, left id, right id).

    Returns:
        How many pairs are new.

    Raises:
        ConfigError: a record is unknown, named twice, or linked to another; nothing has been linked.
    """
    listed = list(pairs)
    mistakes = [*_twice(listed), *await _unknown(run, listed)]
    hubs: dict[tuple[str, str], bytes] = {}
    left, right = run.left, run.right
    mine = left.links([p[1] for p in listed])
    theirs = right.links([p[2] for p in listed])
    for line, a, b in listed:
        known = [k for k in (mine.get(a), theirs.get(b)) if k is not None]
        if len({k.hub for k in known}) == 1 and len(known) == len(SIDES):
            continue
        if any(_has_partner(run, k, a, b) for k in known):
            mistakes.append(f"line {line}: {a} or {b} is linked to another")
        fresh = left.first_hub_id(run.tenant, a)
        hubs[a, b] = known[0].hub if known else fresh
    if mistakes:
        raise ConfigError(
            "; ".join(mistakes[:5]) + ("" if len(mistakes) <= 5 else " ..."),  # noqa: PLR2004
            hint="mend the file and take it in again: nothing was linked",
        )
    rows = []
    for (a, b), hub in hubs.items():
        rows += [left.link_row(a, hub), right.link_row(b, hub)]
    with run.store.transaction():
        run.store.link(rows)
        run.store.forget_bases(run.job.name, list(hubs.values()))
        run.look_again([("left", a) for a, _ in hubs], "linked by hand")
        run.look_again([("right", b) for _, b in hubs], "linked by hand")
    return len(hubs)


def unlink_pair(run: JobRun, a: str, b: str) -> None:
    """Two linked records are two things from now on; both stay as they are.

    The one that carries the thing's record key keeps the hub id, the other gets a new one.

    Raises:
        ConfigError: the two are not linked.
    """
    left, right = run.left, run.right
    mine, theirs = left.links([a]).get(a), right.links([b]).get(b)
    if mine is None or theirs is None or mine.hub != theirs.hub:
        raise ConfigError(
            f"{a} and {b} are not linked in job {run.job.name}",
            hint=f"see: connector-hub links show {run.job.name}",
        )
    at_left = mine.hub == left.first_hub_id(run.tenant, a)
    side, record = (left, a) if at_left else (right, b)
    with run.store.transaction():
        run.store.forget_bases(run.job.name, [mine.hub])
        run.store.link([side.link_row(record, _unused(run, side, record))])
        run.look_again([("left", a), ("right", b)], "unlinked by hand")


def _unused(run: JobRun, side: LiveSide, record: str) -> bytes:
    """A hub id of a record that no thing has."""
    for generation in count(1):
        hub = side.first_hub_id(run.tenant, record, generation)
        if not run.store.things([hub]):
            return hub
    raise AssertionError  # there is always a next generation


def _twice(pairs: Sequence[tuple[int, str, str]]) -> Iterable[str]:
    for place in (1, 2):
        counts = Counter(p[place] for p in pairs)
        for p in pairs:
            if counts[str(p[place])] > 1:
                yield f"line {p[0]}: {p[place]} is there more than once"


async def _unknown(run: JobRun, pairs: Sequence[tuple[int, str, str]]) -> list[str]:
    """Records that are not there; one the hub has not met, the vendor is asked for."""
    told: list[str] = []
    for place, name in enumerate(SIDES, 1):
        side = run.side(name)
        asked = [str(p[place]) for p in pairs]
        wrong = {r for r in asked if side.at(r)[0] not in side.names}
        known = run.store.indexed(run.job.name, name, asked)
        new = {r for r in asked if r not in known} - wrong
        here, _ = await fetch(side, sorted(new))
        for p in pairs:
            record = str(p[place])
            if record in wrong:
                ids = " or ".join(f"{n}/ID" for n in side.names)
                told.append(
                    f"line {p[0]}: {record} is no id at {side.connection}: write {ids}"
                )
            elif record in new and record not in here:
                told.append(f"line {p[0]}: {side.connection} has no record {record}")
    return told


def _has_partner(run: JobRun, link: Link, a: str, b: str) -> bool:
    """Whether a linked record has a live counterpart other than the one it shall get."""
    for name, mine in zip(SIDES, (a, b), strict=True):
        side = run.side(name)
        record, gone = side.records([link.hub]).get(link.hub, ("", True))
        if not gone and record != mine:
            return True
    return False
