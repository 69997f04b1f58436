"""After the writes: links, bases, outcomes, and what is left for people or for later."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from connector_hub.errors import (
    Exists,
    InDoubt,
    Missing,
    PluginError,
    Rejected,
    Stale,
    Unavailable,
)
from connector_hub.model.conflict import FIELDS, MERGED, UNKNOWN
from connector_hub.model.job import SIDES, SideName, across
from connector_hub.model.mapping import Raws
from connector_hub.model.plan import OUTCOMES, Change, Seen
from connector_hub.model.record import EMPTY, Done, Outcome
from connector_hub.model.rows import Listed, arranged
from connector_hub.sync import fights, rivals
from connector_hub.sync.base import Base, change_hash
from connector_hub.sync.journal import Differs, keep
from connector_hub.sync.planner import ask, part, refused, wait_for_links
from connector_hub.sync.reading import done_with, free, index
from connector_hub.sync.rows import Stand
from connector_hub.sync.rows import put_back as rows_put_back
from connector_hub.sync.rows import settled as settled_rows
from connector_hub.sync.run import Held, JobRun, Member, hold
from connector_hub.sync.sides import LiveSide
from connector_hub.sync.views import read_views
from connector_hub.sync.writing import Item, differing, is_ours


class _Taken(Struct, gc=False):
    """How a side's record stands after its write.

    ``differs``: written fields that came out otherwise; ``edited`` when a person did that.
    ``lacks``: links that were never sent, because the run or the vendor died in between.
    ``beside``: rows of which somebody else has edited what was not written.
    """

    now: Seen
    differs: tuple[str, ...] = ()
    edited: bool = False
    lacks: frozenset[str] = frozenset()
    beside: frozenset[str] = frozenset()

    @property
    def moved(self) -> Collection[str]:
        """Written fields that hold another's edit."""
        return {*self.differs, *self.beside} if self.edited else self.beside


_Views = Mapping[int, Mapping[str, Any]]
"""What records of a side say, by ``id`` of what is settled."""


class _Settling(Struct, eq=False, gc=False):
    """A change with the writes that were made for it."""

    change: Change
    items: list[Item] = []
    taken: dict[SideName, _Taken] = {}
    outcomes: list[str] = []


def settle(run: JobRun, changes: Iterable[Change], items: Sequence[Item]) -> None:
    """Links, bases and outcomes of changes. A write that has no outcome is as if it had not been planned."""
    by_change: dict[int, list[Item]] = {}
    for i in items:
        by_change.setdefault(id(i.change), []).append(i)
    settling = [_Settling(c, by_change.get(id(c), [])) for c in changes]
    _take(run, items, {id(s.change): s for s in settling})
    for s in settling:
        for i in s.items:
            s.outcomes.append(_outcome(run, s, i))
    linked = [s for s in settling if _is_linked(s)]
    _remember(run, [s for s in linked if not s.change.undoes])
    _remember_put_back(run, [s for s in linked if s.change.undoes])
    updated = [s for s in linked if s.change.action == "update"]
    rivals.remember(
        run,
        [
            (n, x.now, s.change.fields(n), x.differs if x.edited else ())
            for s in updated
            for n, x in s.taken.items()
        ],
    )
    fights.remember(run, _written(updated))
    if run.job.leaving == "unlink":
        for s in linked:
            if s.change.leaves:
                part(run, s.change.hub, {n: x.id for n in SIDES if (x := _now(s, n))})
    keep(run, items, _differing(settling))
    for outcome, n in Counter(_gravest(s) for s in settling).items():
        run.tally.add(outcome, n if outcome else 0)


def _written(
    settling: Iterable[_Settling],
) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
    """The values that were written and confirmed, by hub id."""
    for s in settling:
        for i in s.items:
            if i.side.name in s.taken:
                yield s.change.hub, i.wanted


def _differing(settling: Iterable[_Settling]) -> dict[int, Differs]:
    """What was read back otherwise, by ``id`` of the write; of one that was looked up nobody knows why."""
    found = {}
    for s in settling:
        for i in s.items:
            taken = s.taken.get(i.side.name)
            if taken and taken.differs:
                edited = taken.edited or i.looked_up
                names = taken.differs
                found[id(i)] = Differs(edited=names) if edited else Differs(names)
    return found


def _is_linked(s: _Settling) -> bool:
    """Whether the pair stands linked after this: nothing was to be written, or something was."""
    return s.change.action == "settle" or bool(s.taken)


def _take(
    run: JobRun, items: Sequence[Item], settling: Mapping[int, _Settling]
) -> None:
    """Compare what was read back with what was wanted."""
    for side in run.sides:
        mine = [i for i in items if i.side is side and i.now is not None]
        read = read_views(run, side, [i.now for i in mine if i.now])
        for i, found in zip(mine, read, strict=True):
            if i.now is None or not isinstance(i.outcome, Done):
                continue
            taken = _Taken(i.now)
            if found.view != i.wanted or i.change.images is not None:
                _compare(i, found.view, taken)
            settling[id(i.change)].taken[side.name] = taken


def _compare(i: Item, view: Mapping[str, Any], taken: _Taken) -> None:
    """Which of the written fields came out otherwise."""
    differs = differing(i, view, taken.now)
    if i.looked_up:
        taken.lacks = _associations(i.side, differs)
    taken.differs = tuple(n for n in differs if n not in taken.lacks)
    taken.edited = bool(taken.differs) and not is_ours(i)
    taken.beside = frozenset(
        n
        for n, v in i.wanted.items()
        if isinstance(v, Listed)
        and n not in taken.lacks
        and v.is_beside(view.get(n) or ())
    )


def _associations(side: LiveSide, names: Iterable[str]) -> frozenset[str]:
    """Those fields that the vendor is told by calls of their own, after the record's."""
    rules = side.spoke.mapping.rules
    return frozenset(
        n for n in names if rules[n].rows or ((k := rules[n].link) and k.association)
    )


def _outcome(run: JobRun, s: _Settling, i: Item) -> str:
    """What became of one write."""
    if not isinstance(i.outcome, Done):
        return _not_put_back(run, i) if i.change.undoes else _refused(run, i)
    if i.write.op == "archive":
        return _archived(run, i)
    taken = s.taken.get(i.side.name)
    if taken is None:
        run.tally.new_stale += 1
        run.look_again([(s.change.here, s.change.record)], "not read back")
        return "stale"
    run.tally.writes[i.side.connection] += 1
    if taken.lacks:
        run.look_again([(s.change.here, s.change.record)], "links were not sent")
    if taken.differs and not taken.edited:
        if s.change.undoes:
            fields = ", ".join(taken.differs)
            run.note(f"{i.side.connection}: {taken.now.id} did not take {fields} back")
        return "not_taken"
    return "created" if i.write.op == "create" else "updated"


def _remember(run: JobRun, settling: Sequence[_Settling]) -> None:
    """Both records of a pair are linked; each side's base is what both agree on."""
    store, job = run.store, run.job.name
    stands = {
        name: [(s, now) for s in settling if (now := _now(s, name)) is not None]
        for name in SIDES
    }
    store.link(
        side.link_row(now.id, s.change.hub)
        for side in run.sides
        for s, now in stands[side.name]
    )
    changes = [s.change for s in settling]
    old = {side.name: _old_bases(run, side, changes) for side in run.sides}
    rows = _rows_settled(run, settling, old)
    for side in run.sides:
        before = old[side.name]
        store.set_bases(
            job,
            side.name,
            [
                (
                    s.change.hub,
                    _base(
                        side,
                        s,
                        now,
                        before.get(s.change.hub),
                        rows.get((id(s), side.name), EMPTY),
                    ),
                )
                for s, now in stands[side.name]
            ],
        )
        made = [
            s.taken[side.name].now
            for s in settling
            if s.change.action == "create" and side.name in s.taken
        ]
        index(run, side, made, made=True)
    for name in run.job.read_from:
        waiting = [
            (s.change.record, s.change.waits)
            for s in settling
            if s.change.waits and s.change.here == name
        ]
        if waiting:
            wait_for_links(run, name, waiting)
    _decided(run, settling, stands)


def _remember_put_back(run: JobRun, settling: Sequence[_Settling]) -> None:
    """Fields that were put back: the sides agree to differ about them until one of them moves.

    All else stays as it was: an edit that waits to travel still does.
    """
    for side in run.sides:
        mine = [s for s in settling if side.name in s.taken]
        old = _old_bases(run, side, [s.change for s in mine])
        read = read_views(run, side, [s.taken[side.name].now for s in mine])
        rows = [
            (s.change.hub, _base_put_back(side, s, old[s.change.hub], r.view))
            for s, r in zip(mine, read, strict=True)
            if s.change.hub in old
        ]
        run.store.set_bases(run.job.name, side.name, rows)
        index(run, side, [s.taken[side.name].now for s in mine], met=False)


def _base_put_back(
    side: LiveSide, s: _Settling, before: Base, view: Mapping[str, Any]
) -> bytes:
    """A side's row after fields were put back.

    A field counts as agreed where what was undone did: what the hub had settled there.
    """
    c, taken = s.change, s.taken[side.name]
    planned = c.seen(side.name)
    assert planned is not None  # noqa: S101 - what is put back was read
    written = c.fields(side.name)
    moved = side.bases.moved(before, planned.raws)
    edited = taken.differs if taken.edited else ()
    return side.bases.settled(
        c.hub,
        _composed(side, planned, taken.now, written),
        before,
        {n for n in written if n not in moved},
        edited,
        stale=bool(edited or moved),
        rows={
            n: rows_put_back(view.get(n) or (), rows) if n in written else rows
            for n, rows in before.rows.items()
        },
    )


def _now(s: _Settling, side: SideName) -> Seen | None:
    """A record as it was read last."""
    return s.taken[side].now if side in s.taken else s.change.seen(side)


def _old_bases(
    run: JobRun, side: LiveSide, changes: Iterable[Change]
) -> dict[bytes, Base]:
    hubs = [c.hub for c in changes if not c.first]
    if not hubs:
        return {}
    packed = run.store.bases(run.job.name, side.name, hubs)
    return {hub: side.bases.unpack(p, hub) for hub, p in packed.items()}


def _rows_settled(
    run: JobRun,
    settling: Sequence[_Settling],
    old: Mapping[SideName, Mapping[bytes, Base]],
) -> dict[tuple[int, SideName], dict[str, Mapping[bytes, bytes]]]:
    """What both sides remember of rows, by ``id`` of what is settled and side."""
    names = run.left.spoke.rows.keys() & run.right.spoke.rows.keys()
    found: dict[tuple[int, SideName], dict[str, Mapping[bytes, bytes]]] = {}
    if not names:
        return found
    views = {
        side.name: (
            _views_of(run, side, settling, _planned),
            _views_of(run, side, settling, _now),
        )
        for side in run.sides
    }
    for s in settling:
        for name in sorted(names):
            here, there = (
                _stand(side, s, name, old[side.name], views[side.name])
                for side in run.sides
            )
            if not (here.names and there.names):
                continue
            asks = name in s.change.asks
            for end, a, b in zip(SIDES, (here, there), (there, here), strict=True):
                told = settled_rows(a, b, asks=asks)
                if told:
                    found.setdefault((id(s), end), {})[name] = told
    return found


def _planned(s: _Settling, side: SideName) -> Seen | None:
    return s.change.seen(side)


def _views_of(
    run: JobRun,
    side: LiveSide,
    settling: Sequence[_Settling],
    which: Callable[[_Settling, SideName], Seen | None],
) -> _Views:
    listed = [(s, seen) for s in settling if (seen := which(s, side.name)) is not None]
    read = read_views(run, side, [seen for _, seen in listed])
    return {id(s): r.view for (s, _), r in zip(listed, read, strict=True)}


def _stand(
    side: LiveSide,
    s: _Settling,
    name: str,
    old: Mapping[bytes, Base],
    views: tuple[_Views, _Views],
) -> Stand:
    """A side's rows: as they were written, else as they were planned from."""
    taken, seen = s.taken.get(side.name), _now(s, side.name)
    before = old.get(s.change.hub)
    planned, now = (v.get(id(s), EMPTY) for v in views)
    final = held = planned.get(name) or ()
    edited = False
    item = next((i for i in s.items if i.side is side), None)
    if taken is not None and item is not None and name in item.wanted:
        held = now.get(name) or ()
        wanted = item.wanted[name]
        sent = isinstance(wanted, Listed) and name not in taken.lacks
        final = arranged(wanted.rows) if sent else held
        edited = name in taken.moved
    spoke = side.spoke.of(seen.raws).rows.get(name) if seen is not None else None
    names = spoke.inner.names if spoke else ()
    rows = before.rows.get(name, {}) if before else {}
    return Stand(final, held, rows, names, edited)


def _base(
    side: LiveSide,
    s: _Settling,
    now: Seen,
    before: Base | None,
    rows: Mapping[str, Mapping[bytes, bytes]] = EMPTY,
) -> bytes:
    """A side's row: agreed fields as they are now, the others as they were; what waits reads as changed.

    A field that was written across counts as it was planned from: a later edit must look like one.
    Rows travel both ways at once: where one of the two writes was not made, they have moved still.
    """
    c, here, there = s.change, side.name, across(side.name)
    taken, over, planned = s.taken.get(here), s.taken.get(there), c.seen(here)
    written: Collection[str] = c.fields(here) if taken else ()
    if written and side.spoke.shared:
        written = {*written, *side.spoke.of(now.raws).beside(written)}
    lacks = over.lacks if over else frozenset[str]()
    waits = [name.partition(".")[0] for at, name, _, _ in c.waits if at == here]
    edited = taken.moved if taken else ()
    half = [name for at, name, _ in c.rows if at not in s.taken]
    never = (*waits, *lacks, *edited, *half)
    agreed: Collection[str] = ()
    if before is None:
        never += (*c.asks, *(() if over else c.fields(there)))
    else:
        sent = [n for n in c.fields(there) if n not in lacks] if over else ()
        agreed = {*c.agreed, *written, *sent}
    raws = now.raws
    if planned is not None and taken:
        raws = _composed(side, planned, now, written)
    return side.bases.settled(
        c.hub,
        raws,
        before,
        agreed,
        never,
        outside=_outside(side, raws),
        stale=bool(edited),
        rows=rows,
    )


def _outside(side: LiveSide, raws: Raws) -> Collection[str]:
    if not side.spoke.conditions:
        return ()
    return side.spoke.of(raws).outside(side.spoke.whole(raws)[0])


def _composed(
    side: LiveSide, planned: Seen, now: Seen, written: Collection[str]
) -> tuple[Any, ...]:
    """The values planned from, with those that were written as they are now."""
    names = side.spoke.kept
    return tuple(
        new if name in written else old
        for name, old, new in zip(names, planned.raws, now.raws, strict=True)
    )


def _decided(
    run: JobRun,
    settling: Sequence[_Settling],
    stands: Mapping[SideName, Sequence[tuple[_Settling, Seen]]],
) -> None:
    """These records are through: their dead letters and conflicts close.

    The other members of a group, a twin for one, are looked at again by the next run.
    """
    store, job, now = run.store, run.job.name, run.clock.now()
    for side in run.sides:
        there = across(side.name)
        through = [(s, x.id) for s, x in stands[side.name] if there not in _failed(s)]
        store.exhume(job, side.name, _cured(run, side, through), now)
        for asks in (True, False):
            records = [record for s, record in through if bool(s.change.asks) is asks]
            kept = (MERGED, FIELDS) if asks else (MERGED,)
            others = store.close_conflicts(job, side.name, records, now, kept=kept)
            run.look_again(others, "twin resolved")
    agreed = [s.change.hub for s in settling if not s.change.asks]
    store.forget_decisions(job, agreed)
    store.forget_swings(job, agreed)
    for s in settling:
        if s.change.asks:
            done = {*s.change.to_left, *s.change.to_right, *s.change.agreed}
            store.forget_decisions(job, [s.change.hub], done)
            ask(run, s.change)


def _cured(
    run: JobRun, side: LiveSide, through: Sequence[tuple[_Settling, str]]
) -> list[str]:
    """Records whose dead letters close: not those whose refused write was left out this time, too."""
    there = across(side.name)
    seen = {record: s for s, record in through}
    letters = run.store.open_letters(run.job.name, side.name, list(seen))
    return [
        record
        for record, known in letters.items()
        if there in seen[record].taken
        or known
        != refused(run, structs.replace(seen[record].change, action="update"), there)
    ]


def _failed(s: _Settling) -> set[SideName]:
    """Sides whose write was refused."""
    if len(s.taken) == len(s.items):
        return set()
    return {i.side.name for i in s.items if i.side.name not in s.taken}


def _gravest(s: _Settling) -> str:
    """The one outcome of a pair; none for a write that has none."""
    found = list(s.outcomes)
    if s.change.action == "settle":
        found.append("unchanged")
    if s.change.asks:
        found.append("conflicts")
    return min(found, key=OUTCOMES.index) if len(found) > 1 else "".join(found)


def _archived(run: JobRun, i: Item) -> str:
    other = run.other(i.side)
    gone = i.change.seen(other.name)
    both = [(i.side, i.write.id or "")]
    if not i.change.undoes:
        both.append((other, gone.id if gone else ""))
    for side, record in both:
        if i.change.leaves:
            side.unlink([record])
        else:
            side.lose([record])
        if side is i.side or not i.change.leaves:
            run.store.forget(run.job.name, side.name, [record])
        free(run, side, [record])
    for side in run.sides:
        done_with(run, side, [i.change.hub])
    run.tally.writes[i.side.connection] += 1
    return "deleted"


def _refused(run: JobRun, i: Item) -> str:
    """A write the vendor did not carry out: sorted by who has to act."""
    outcome = i.outcome
    if i.write.op == "archive" and not isinstance(outcome, Missing):
        run.held_marks.add(f"{i.change.here}/{run.side(i.change.here).gone_by}")
    if isinstance(outcome, Exists):
        return _exists(run, i, outcome)
    if isinstance(outcome, Stale | Unavailable):
        run.tally.new_stale += 1
        run.look_again([(i.change.here, i.change.record)], "stale")
        return "stale"
    if isinstance(outcome, InDoubt):
        hold(run, unknown_outcome(run, i.change))
        return "conflicts"
    if isinstance(outcome, Missing) and i.write.op == "create":
        return _buried(run, i, Rejected(outcome.message, reason="MISSING"))
    if isinstance(outcome, Missing):
        i.side.lose([i.write.id or ""])
        if i.write.op == "archive":
            done_with(run, run.other(i.side), [i.change.hub])
        return "unchanged"
    if isinstance(outcome, Rejected):
        return _buried(run, i, outcome)
    raise _unsorted(i, outcome)


def _not_put_back(run: JobRun, i: Item) -> str:
    """A part of an undo that the vendor did not carry out: told, and left to whoever undoes again."""
    outcome, where = i.outcome, f"{i.side.connection}: {i.write.id}"
    if isinstance(outcome, Missing):
        i.side.lose([i.write.id or ""])
        run.note(f"{where} is gone, and was not put back")
        return "unchanged"
    run.tally.new_stale += 1
    if isinstance(outcome, Rejected | Exists):
        why = " ".join(outcome.reason.split()) if isinstance(outcome, Rejected) else ""
        run.note(f"{where} was not put back: refused {why}".rstrip())
        return "not_taken"
    if isinstance(outcome, Stale | Unavailable):
        return "stale"
    raise _unsorted(i, outcome)


def unknown_outcome(run: JobRun, c: Change) -> Held:
    """Without a record key nobody can tell what became of a create: a person decides."""
    member: Member = (c.here, c.record)
    return Held(UNKNOWN, change_hash(run.key, ["unknown", *member]), (member,), {})


def _buried(run: JobRun, i: Item, outcome: Rejected) -> str:
    """A dead letter, kept under the record whose values were refused."""
    side = across(i.side.name)
    source = i.change.seen(side)
    run.tally.new_letters += 1
    letter = (
        source.id if source else "",
        i.change.hub,
        i.write.op,
        outcome.reason,
        outcome.fields,
        refused(run, i.change, i.side.name),
        outcome.message,
    )
    run.store.bury(run.job.name, side, [letter], run.number, run.clock.now())
    return "dead_letters"


def _unsorted(i: Item, outcome: Outcome | None) -> Exception:
    if isinstance(outcome, Exception):
        return outcome
    return PluginError("a write has no outcome", where=i.side.connection)


def _exists(run: JobRun, i: Item, outcome: Exists) -> str:
    """The vendor holds such a record: a candidate for the link, never a dead letter.

    One that is free is looked at again and linked; one that belongs to another is a conflict.
    """
    side, there = i.side, outcome.there
    me: Member = (i.change.here, i.change.record)
    links = side.links([there]) if there else {}
    if there and there not in links and me not in run.taken:
        run.tally.new_stale += 1
        run.look_again([me], "exists")
        return "stale"
    members = (me, (side.name, there)) if there else (me,)
    kind = "taken" if there in links else "candidates"
    hold(run, Held(kind, change_hash(run.key, ["exists", *me]), members, {}, me))
    return "conflicts"
