"""Reading both sides: the identity index is kept, what did not change is dismissed, the rest is staged.

The cursor is the vendor's own mark of the first page; it is stored only when the run is through,
so a run that dies is read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from connector_hub.errors import MarkLost, PluginError
from connector_hub.model.conflict import MERGED
from connector_hub.model.link import Link
from connector_hub.model.plan import Seen
from connector_hub.model.record import Gone, Ref
from connector_hub.sdk.connector import Can
from connector_hub.sync.base import change_hash
from connector_hub.sync.run import Held, JobRun, hold
from connector_hub.sync.sides import LiveSide, Portion, fetch, portions

ABSENT = "not there"
"""Why a record waits in the inbox whose counterpart was not answered."""
HEIR = "heir"
"""Why a record waits in the inbox that another one was merged or converted into."""
HEIR_ACROSS = "heir across"
"""Why a record waits whose counterpart is such a one, where only its own side travels."""
FIRST = "first"
"""The fact whether a side was empty when the job first read it."""
_THIN = 0.5
"""The share of the linked records below which a whole pass is not believed to be whole."""
_HANDFUL = 10
"""Fewer linked records than this may well be gone all at once."""


async def read_sides(run: JobRun) -> None:
    """Bring both identity indexes up to date, and stage what may have to travel.

    The side that only receives comes first, so that what its drift asks for is looked at in this run.
    """
    travels = run.sources
    for side in run.sides:
        if side not in travels:
            await read_index(run, side)
    for side in travels:
        run.began[side.name] = run.clock.monotonic()
        await _read_inbox(run, side)
        await _read(run, side, staged=not run.options.inbox_only)
    for side in run.sides:
        await _follow_heirs(run, side)


async def _follow_heirs(run: JobRun, side: LiveSide) -> None:
    """An heir that no feed has shown may be gone itself: it is asked for, to the last of a chain."""
    asked: set[str] = set()
    while True:
        heirs = {r for name, r in run.heirs if name == side.name} - asked
        heirs -= run.store.passed(run.job.name, side.name, heirs, run.number)
        if not heirs:
            return
        asked |= heirs
        _, gone = await fetch(side, sorted(heirs))
        with run.store.transaction():
            bury(run, side, list(gone.values()))


async def read_index(run: JobRun, side: LiveSide) -> None:
    """Bring a side's identity index up to date: wholly the first time, then by its changes."""
    if Can.READ in side.resource.can:
        await _read(run, side, staged=False)


async def _read(run: JobRun, side: LiveSide, *, staged: bool, n: int = 0) -> None:
    mark = _mark(run, side)
    count, whole = 0, False
    take = _stage if staged else _index
    try:
        async for part in portions(side, mark):
            n += 1
            await _look_twice(run, side, part, all_of_it=mark is None)
            _first_mark(run, side, part.mark)
            whole = whole or part.whole
            count += len(part.seen)
            take(run, side, part, n)
            run.progress(f"reading {side.connection}", count, None)
    except MarkLost:
        _lose_mark(run, side)
        return await _read(run, side, staged=staged, n=n)
    if whole and not _is_thin(run, side, count):
        run.listed.add(side.name)
        free(run, side, run.store.sweep(run.job.name, side.name, run.number))
    first = run.store.fact(run.job.name, side.name, FIRST) is None
    if mark is None and whole and first:
        word = "filled" if count else "empty"
        run.store.set_fact(run.job.name, side.name, FIRST, word)
    return None


async def _look_twice(
    run: JobRun, side: LiveSide, part: Portion, *, all_of_it: bool
) -> None:
    """What a feed shows may be behind: it may be dismissed, and is acted on only as the record itself says.

    That goes for a record that was gone and is back, and where a feed is made from an index for whatever
    seems to have moved. An id that is not answered now is asked for once more by the next run.
    """
    back = side.known_as_gone([s.id for s in part.seen])
    moved = set() if all_of_it else _moved_in_the_index(run, side, part)
    asked = back | moved
    if not asked:
        return
    here, gone = await fetch(side, sorted(asked))
    part.seen = [
        here.get(s.id, s) for s in part.seen if s.id not in asked - here.keys()
    ]
    part.gone += gone.values()
    missing = [(side.name, r) for r in moved - here.keys() - gone.keys()]
    run.look_again(missing, "not read")


def _moved_in_the_index(run: JobRun, side: LiveSide, part: Portion) -> set[str]:
    """Records of a feed that is made from an index, which are not what both sides agreed on last."""
    shown = {
        s.id: s for s in part.seen if side.place(side.at(s.id)[0]).resource.indexed
    }
    bases = _linked_bases(run, side, list(shown.values()))
    return {
        i
        for i, s in shown.items()
        if not side.bases.unchanged(bases.get(i, (b"", None))[1], s.raws)
    }


def _is_thin(run: JobRun, side: LiveSide, count: int) -> bool:
    """Whether a whole pass showed far fewer records than are linked: told, and nothing is concluded from it.

    A lost permission or a filter at the vendor looks like that. Where nothing came the mark stays, too: what
    was edited meanwhile is still to be read.
    """
    linked = side.linked()
    if count >= linked * _THIN:
        return False
    came = f"only {count:,} records" if count else "no record"
    told = (
        f"{side.connection}: all was read, and {came} came where {linked:,} are linked"
    )
    if linked < _HANDFUL:
        run.note(told)
        return False
    run.thin.add(side.name)
    if not count:
        run.held_marks.add(f"{side.name}/changed")
    run.note(
        f"{told}; nothing is taken as deleted from that: see what the hub's user may read there"
    )
    return True


def _mark(run: JobRun, side: LiveSide) -> str | None:
    """Where to read from; None for everything."""
    if side.name in run.since:
        return run.since[side.name]
    kept = run.store.cursor(run.job.name, side.name, "changed")
    if kept is not None and kept[1] != run.spelling:
        run.respelled.add(side.name)
    lost = run.marks.get(f"{side.name}/lost")
    everything = run.options.full or run.options.backfill
    if everything or lost or kept is None or kept[1] != run.spelling:
        return None
    return kept[0]


def _first_mark(run: JobRun, side: LiveSide, mark: str | None) -> None:
    if mark is not None:
        run.marks.setdefault(f"{side.name}/changed", mark)


def _lose_mark(run: JobRun, side: LiveSide) -> None:
    """Everything is read again; the first page's mark, where there was one, still holds.

    Raises:
        PluginError: it is lost again, though nothing was asked for but a beginning.
    """
    if run.marks.get(f"{side.name}/lost"):
        raise PluginError("the feed loses its beginning", where=side.connection)
    run.marks[f"{side.name}/lost"] = True
    run.since.pop(side.name, None)
    run.note(
        f"{side.connection}: the vendor has forgotten where we were; reading everything"
    )


def _index(run: JobRun, side: LiveSide, part: Portion, _n: int) -> None:
    """Records that nothing is made of in this run: known to the index.

    The edits of a side that only receives are drift; those of one that travels wait in the inbox.
    """
    with run.store.transaction():
        bury(run, side, part.gone)
        run.store.forget(run.job.name, side.name, part.left_alone)
        bases = _linked_bases(run, side, part.seen)
        same, moved = [], []
        for s in part.seen:
            hub, packed = bases.get(s.id, (b"", None))
            if side.bases.unchanged(packed, s.raws):
                same.append(s)
                continue
            moved.append(s)
            if packed is not None and side.name not in run.job.read_from:
                _drifted(run, side, hub, packed, s)
        _met(run, side, same)
        index(run, side, moved)
        later = {s.id for s in moved} | {r for name, r in run.back if name == side.name}
        run.look_again([(side.name, r) for r in sorted(later)], "changed")


def _met(run: JobRun, side: LiveSide, same: Sequence[Seen]) -> None:
    """Records that did not move stay in the index as they are, unless it was made under other rules."""
    if side.name in run.respelled:
        index(run, side, same)
    else:
        run.store.touch(run.job.name, side.name, [s.id for s in same], run.number)


def _drifted(
    run: JobRun, side: LiveSide, hub: bytes, packed: bytes, seen: Seen
) -> None:
    """A side moved in fields that do not travel from it: counted, and put back where the job says so."""
    moved = side.bases.moved(side.bases.unpack(packed, hub), seen.raws)
    moved &= {n for n, p in run.policies.items() if p.owner not in {None, side.name}}
    if not moved:
        return
    run.tally.drift += 1
    if any(run.policies[n].revert for n in moved):
        other = run.other(side)
        there = other.records([hub])
        rows = [(record, "drift") for record, gone in there.values() if not gone]
        run.store.look_again(run.job.name, other.name, rows)


def _linked_bases(
    run: JobRun, side: LiveSide, seen: Sequence[Seen]
) -> dict[str, tuple[bytes, bytes]]:
    """Hub id and base of those records that are linked and agreed on, by record."""
    _bring_back(run, side, side.known_as_gone([s.id for s in seen]))
    links = side.links([s.id for s in seen])
    if not links:
        return {}
    live = {i: k.hub for i, k in links.items() if not k.gone}
    bases = run.store.bases(run.job.name, side.name, list(live.values()))
    return {i: (hub, bases[hub]) for i, hub in live.items() if hub in bases}


def _bring_back(run: JobRun, side: LiveSide, records: Collection[str]) -> None:
    """Records that had been gone are what they were, unless another one is that by now.

    Where only the other side travels, their counterparts are looked at again.
    """
    if not records:
        return
    was = {i: k.hub for i, k in side.links(records).items()}
    holders = side.records(was.values())
    back: dict[bytes, str] = {}
    for record, hub in was.items():
        if holders[hub][1]:
            back.setdefault(hub, record)
    side.unlink(set(was) - set(back.values()))
    run.store.link(side.link_row(record, hub) for hub, record in back.items())
    run.back |= {(side.name, record) for record in back.values()}
    if side.name not in run.job.read_from:
        other = run.other(side)
        rows = [(r, "back") for r, gone in other.records(back).values() if not gone]
        run.store.look_again(run.job.name, other.name, rows)


def index(
    run: JobRun,
    side: LiveSide,
    seen: Iterable[Seen],
    *,
    made: bool = False,
    met: bool = True,
) -> None:
    """Write records into a side's identity index.

    Those the hub has made need no record key there, because their link says the same; and they have not been
    met: what people do to them before they are read is yet to be seen. Other jobs over the same records know
    them at once: a feed that lags would let each of them make its own.
    """
    rows = []
    for s in seen:
        key = None if made else s.key
        found = side.identities.of(s.raws, key)
        rows.append((s.id, found.filled, found.marks))
    run.store.index(
        run.job.name, side.name, rows, run.number if met and not made else 0
    )
    if made:
        for job, name in run.neighbours.get(side.name, ()):
            run.store.index(job, name, rows, 0)


def bury(run: JobRun, side: LiveSide, gone: Sequence[Gone]) -> None:
    """Records that are gone leave the index; a merged one hands its link on."""
    if not gone:
        return
    ids = [g.id for g in gone]
    known = side.links(ids)
    run.store.forget(run.job.name, side.name, ids)
    side.lose(ids)
    free(run, side, ids)
    into = {g.id: g.into for g in gone if g.into is not None}
    run.into.update({(side.name, record): ref for record, ref in into.items()})
    for record, ref in into.items():
        # An earlier one of these may have handed its link on to this one.
        link = known.get(record) or side.links([record]).get(record)
        if link is not None:
            _hand_on(run, side, record, link.hub, ref)


def _hand_on(run: JobRun, side: LiveSide, record: str, hub: bytes, into: Ref) -> None:
    """What a record was, the last one it was merged or converted into is from now on."""
    heir = _last(run, side, side.known_as(into.resource, into.id))
    resource, vendor_id = side.at(heir)
    if run.pilot is not None and (side.name, record) in run.pilot:
        run.pilot.add((side.name, heir))
        run.store.enlist(run.job.name, [(side.name, heir)], by=HEIR)
    there = run.store.links(side.home, resource, [vendor_id]).get(vendor_id)
    if there is None:
        run.store.link([(side.home, resource, vendor_id, hub)])
        _inherit(run, side, heir, hub)
    elif there.hub != hub:
        _two_are_one(run, side, heir, hub, there)


def _last(run: JobRun, side: LiveSide, record: str) -> str:
    """What a record has become by the merges and conversions this run has read of."""
    met: set[str] = set()
    while (side.name, record) in run.into and record not in met:
        met.add(record)
        into = run.into[side.name, record]
        record = side.known_as(into.resource, into.id)
    return record


def _two_are_one(
    run: JobRun, side: LiveSide, heir: str, hub: bytes, there: Link
) -> None:
    """Both were linked. Two across are for a person to merge; one that is left there is the heir's.

    They have never agreed: what differs is decided as if both had just been edited.
    """
    other = run.other(side)
    found = other.records([hub, there.hub])
    live = {h: record for h, (record, gone) in found.items() if not gone}
    if live.keys() == {hub, there.hub}:
        if not there.gone:
            _left_behind(run, side, hub, sorted(live.values()))
    elif hub in live:
        run.store.link([side.link_row(heir, hub)])
        _contest(run, hub)
        _inherit(run, side, heir, hub)
    elif there.hub in live and hub in found:
        lost, _ = found[hub]
        if _last(run, other, lost) == live[there.hub]:
            _contest(run, there.hub)
            _inherit(run, side, heir, there.hub)


def _contest(run: JobRun, hub: bytes) -> None:
    """Both sides have made one of two, each in its own way: no field counts as agreed."""
    for at in run.sides:
        if run.store.bases(run.job.name, at.name, [hub]):
            row = (hub, at.bases.contested(hub))
            run.store.set_bases(run.job.name, at.name, [row])


def _inherit(run: JobRun, side: LiveSide, heir: str, hub: bytes) -> None:
    """The heir is looked at, or its counterpart where only that travels."""
    run.heirs.add((side.name, heir))
    if side.name in run.job.read_from:
        run.store.look_again(run.job.name, side.name, [(heir, HEIR)])
        return
    other = run.other(side)
    for record, gone in other.records([hub]).values():
        if not gone:
            run.store.look_again(run.job.name, other.name, [(record, HEIR_ACROSS)])


def _left_behind(
    run: JobRun, side: LiveSide, hub: bytes, records: Sequence[str]
) -> None:
    """Two things became one on a side and are two across: a person merges them there, too."""
    other = run.other(side)
    done_with(run, side, [hub])
    subject = change_hash(run.key, ["conflict", MERGED, other.name, records])
    held = Held(MERGED, subject, tuple((other.name, r) for r in records), {})
    if not run.planning:
        hold(run, held)
    elif held not in run.held:
        run.held.append(held)


def done_with(run: JobRun, side: LiveSide, hubs: Collection[bytes]) -> None:
    """Nothing more follows from these records of a side being gone, whoever tells of it again."""
    rows = run.store.bases(run.job.name, side.name, hubs)
    run.store.set_bases(
        run.job.name,
        side.name,
        [(hub, side.bases.done_with(packed)) for hub, packed in rows.items()],
    )


def free(run: JobRun, side: LiveSide, records: Sequence[str]) -> None:
    """Nothing about these records is open any more; who was held because of them is looked at again."""
    now = run.clock.now()
    run.store.exhume(run.job.name, side.name, records, now)
    others = run.store.close_conflicts(run.job.name, side.name, records, now)
    for name in run.job.read_from:
        rows = [(record, "freed") for at, record in others if at == name]
        run.store.look_again(run.job.name, name, rows)


async def _read_inbox(run: JobRun, side: LiveSide) -> None:
    """Records that were to be looked at again, as they are now."""
    asked, last = run.store.inbox(run.job.name, side.name)
    if not asked:
        return
    run.replayed |= {(side.name, r) for r, why in asked.items() if why == "replay"}
    run.absent |= {(side.name, r) for r, why in asked.items() if why == ABSENT}
    run.heirs |= {(side.name, r) for r, why in asked.items() if why == HEIR}
    run.across_heirs |= {
        (side.name, r) for r, why in asked.items() if why == HEIR_ACROSS
    }
    run.taken |= {(side.name, r) for r in asked}
    run.taken_to[side.name] = last
    here, gone = await fetch(side, list(asked))
    part = Portion(list(here.values()), list(gone.values()))
    _stage(run, side, part, 0, forced=True)


def _stage(
    run: JobRun, side: LiveSide, part: Portion, n: int, *, forced: bool = False
) -> None:
    """Dismiss what is linked and unmoved or was met before in this run, index and keep the rest."""
    store, job = run.store, run.job.name
    with store.transaction():
        bury(run, side, part.gone)
        _leave_alone(run, side, part.left_alone)
        found = {s.id: s for s in part.seen}
        for met in store.passed(job, side.name, list(found), run.number):
            del found[met]
        bases = _linked_bases(run, side, list(found.values()))
        same, rest = [], []
        for s in found.values():
            _, packed = bases.get(s.id, (b"", None))
            looked_at = forced or run.options.backfill or (side.name, s.id) in run.back
            if not looked_at and side.bases.unchanged(packed, s.raws):
                same.append(s)
            else:
                rest.append(s)
        _count_unmoved(run, side, [s.id for s in same])
        run.tally.read += len(rest)
        _met(run, side, same)
        index(run, side, rest)
        if rest:
            store.stage(job, run.plan.id, side.name, n, rest)


def _leave_alone(run: JobRun, side: LiveSide, records: Sequence[str]) -> None:
    """Records of people who were erased: counted once each, and in no index."""
    run.store.forget(run.job.name, side.name, records)
    new = {(side.name, r) for r in records} - run.left_alone
    run.left_alone |= new
    run.tally.read += len(new)
    run.tally.add("unchanged", len(new))


def _count_unmoved(run: JobRun, side: LiveSide, same: Sequence[str]) -> None:
    """A pair counts once: at the right of a two-way job only where its left was not met."""
    n = len(same)
    if n and side.name == "right" and run.job.two_way:
        links = side.links(same)
        n -= len(met_at_left(run, [k.hub for k in links.values()]))
    run.tally.read += n
    run.tally.add("unchanged", n)


def met_at_left(run: JobRun, hubs: Collection[bytes]) -> set[bytes]:
    """Those of these things whose left record this run has met."""
    there = run.left.records(hubs)
    records = {record: hub for hub, (record, _) in there.items()}
    met = run.store.passed(run.job.name, "left", list(records), run.number)
    if run.options.inbox_only:
        # What the feed shows is indexed, and not counted.
        met &= {r for s, r in run.taken if s == "left"}
    return {records[r] for r in met}


def store_marks(run: JobRun) -> None:
    """The run is through: the next pulls start where this one's began."""
    for name, mark in run.marks.items():
        side, _, feed = name.partition("/")
        if feed != "lost" and name not in run.held_marks:
            run.store.set_cursor(
                run.job.name, side, feed, mark, run.spelling, run.clock.now()
            )
    for at in run.sides:
        done = {r for s, r in run.taken - run.again if s == at.name}
        run.store.looked(run.job.name, at.name, done, run.taken_to.get(at.name, 0))
