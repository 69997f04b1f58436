"""Reading both sides: the identity index is kept, what did not change is dismissed, the rest is staged.

The cursor is the vendor's own mark of the first page; it is stored only when the run is through,
so a run that dies is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector_hub.errors import MarkLost
from connector_hub.model.plan import Seen
from connector_hub.model.record import Gone
from connector_hub.sdk.connector import Can
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, Portion, fetch, portions


async def read_target(run: JobRun) -> None:
    """Bring the target's identity index up to date: wholly the first time, then by its changes."""
    side = run.target
    if Can.READ not in side.resource.can:
        return None
    mark = _mark(run, side)
    count, whole = 0, False
    try:
        async for part in portions(side, mark):
            _first_mark(run, side, part.mark)
            whole = whole or part.whole
            count += len(part.seen)
            _index_target(run, part)
            run.progress(f"reading {side.connection}", count, None)
    except MarkLost:
        _lose_mark(run, side)
        return await read_target(run)
    if mark is None and whole:
        run.store.sweep(run.job.name, side.name, run.number)
        if run.store.fact(run.job.name, side.name, "first") is None:
            run.store.set_fact(
                run.job.name, side.name, "first", "empty" if not count else "filled"
            )
    return None


def _mark(run: JobRun, side: LiveSide) -> str | None:
    """Where to read from; None for everything."""
    if side.name in run.since:
        return run.since[side.name]
    kept = run.store.cursor(run.job.name, side.name, "changed")
    lost = run.marks.get(f"{side.name}/lost")
    if run.options.full or lost or kept is None or kept[1] != run.spelling:
        return None
    return kept[0]


def _first_mark(run: JobRun, side: LiveSide, mark: str | None) -> None:
    if mark is not None:
        run.marks.setdefault(f"{side.name}/changed", mark)


def _lose_mark(run: JobRun, side: LiveSide) -> None:
    run.marks[f"{side.name}/lost"] = True
    run.since.pop(side.name, None)
    run.marks.pop(f"{side.name}/changed", None)
    run.note(
        f"{side.connection}: the vendor has forgotten where we were; reading everything"
    )


def _index_target(run: JobRun, part: Portion) -> None:
    side, store, job = run.target, run.store, run.job.name
    with store.transaction():
        _bury(run, side, part.gone)
        bases = _linked_bases(run, side, part.seen)
        same, moved = [], []
        for s in part.seen:
            hub, packed = bases.get(s.id, (b"", None))
            if side.bases.unchanged(packed, side.bases.record_hash(s.raws)):
                same.append(s.id)
                continue
            moved.append(s)
            if packed is not None:
                _drifted(run, hub, packed, s)
        store.touch(job, side.name, same, run.number)
        index(run, side, moved)


def _linked_bases(
    run: JobRun, side: LiveSide, seen: Sequence[Seen]
) -> dict[str, tuple[bytes, bytes]]:
    """Hub id and base of those records that are linked and agreed on, by record."""
    links = run.store.links(side.home, side.resource.name, [s.id for s in seen])
    if not links:
        return {}
    live = {i: k.hub for i, k in links.items() if not k.gone}
    bases = run.store.bases(run.job.name, side.name, list(live.values()))
    return {i: (hub, bases[hub]) for i, hub in live.items() if hub in bases}


def _drifted(run: JobRun, hub: bytes, packed: bytes, seen: Seen) -> None:
    """The target moved by itself: counted, and put back where the job says so."""
    side = run.target
    moved = side.bases.moved(side.bases.unpack(packed, hub), seen.raws)
    moved &= set(run.travelling)
    if not moved:
        return
    run.tally.drift += 1
    if moved & run.job.revert:
        there = run.store.records(run.source.home, run.source.resource.name, [hub])
        run.store.look_again(
            run.job.name,
            run.source.name,
            [(record, "drift") for record, gone in there.values() if not gone],
        )


def index(
    run: JobRun, side: LiveSide, seen: Iterable[Seen], *, keyed: bool = True
) -> None:
    """Write records into a side's identity index, with their record keys unless a link says the same."""
    rows = []
    for s in seen:
        key = s.key if keyed else None
        found = side.identities.marks(side.spoke.identity(s.raws), key)
        rows.append((s.id, found.filled, found.marks))
    run.store.index(run.job.name, side.name, rows, run.number)


def _bury(run: JobRun, side: LiveSide, gone: Sequence[Gone]) -> None:
    """Records that are gone leave the index; a merged one hands its link on."""
    if not gone:
        return
    store, home, resource = run.store, side.home, side.resource.name
    links = store.links(home, resource, [g.id for g in gone])
    with store.transaction():
        store.forget(run.job.name, side.name, [g.id for g in gone])
        store.lose(home, resource, [g.id for g in gone])
        for g in gone:
            if (
                g.into
                and g.id in links
                and not store.links(home, g.into.resource, [g.into.id])
            ):
                store.link([(home, g.into.resource, g.into.id, links[g.id].hub)])
                store.look_again(run.job.name, side.name, [(g.into.id, "merged")])


async def read_source(run: JobRun) -> None:
    """Stage every source record that may need work, those of the inbox first."""
    await _read_inbox(run)
    if not run.options.inbox_only:
        await _read_feed(run)


async def _read_inbox(run: JobRun) -> None:
    side = run.source
    asked = run.store.inbox(run.job.name, side.name)
    if not asked:
        return
    run.replayed |= {record for record, why in asked.items() if why == "replay"}
    run.taken |= set(asked)
    here, gone = await fetch(side, list(asked))
    _stage(run, Portion(list(here.values()), list(gone.values())), n=0, forced=True)


async def _read_feed(run: JobRun, n: int = 0) -> None:
    side = run.source
    mark = _mark(run, side)
    whole = False
    try:
        async for part in portions(side, mark):
            n += 1
            _first_mark(run, side, part.mark)
            whole = whole or part.whole
            _stage(run, part, n=n)
            run.progress(f"reading {side.connection}", run.tally.read, None)
    except MarkLost:
        _lose_mark(run, side)
        return await _read_feed(run, n)
    if mark is None and whole:
        run.store.sweep(run.job.name, side.name, run.number)
    return None


def _stage(run: JobRun, part: Portion, *, n: int, forced: bool = False) -> None:
    """Dismiss what is linked and unmoved or was met before in this run, index and keep the rest."""
    side, store, job = run.source, run.store, run.job.name
    with store.transaction():
        _bury(run, side, part.gone)
        found = {s.id: s for s in part.seen}
        for met in store.passed(job, side.name, list(found), run.number):
            del found[met]
        run.tally.read += len(found)
        bases = _linked_bases(run, side, list(found.values()))
        same, rest = [], []
        for s in found.values():
            _, packed = bases.get(s.id, (b"", None))
            if (
                packed is not None
                and not forced
                and side.bases.unchanged(packed, side.bases.record_hash(s.raws))
            ):
                same.append(s.id)
            else:
                rest.append(s)
        run.tally.add("unchanged", len(same))
        store.touch(job, side.name, same, run.number)
        index(run, side, rest)
        if rest:
            store.stage(job, run.plan.id, n, rest)


def store_marks(run: JobRun) -> None:
    """The run is through: the next pulls start where this one's began."""
    for name, mark in run.marks.items():
        side, _, feed = name.partition("/")
        if feed != "lost":
            run.store.set_cursor(
                run.job.name, side, feed, mark, run.spelling, run.clock.now()
            )
    run.store.looked(run.job.name, run.source.name, run.taken - run.again)
