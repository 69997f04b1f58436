"""Reading both sides: the identity index is kept, what did not change is dismissed, the rest is staged.

The cursor is the vendor's own mark of the first page; it is stored only when the run is through,
so a run that dies is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector_hub.errors import MarkLost
from connector_hub.model.plan import Seen
from connector_hub.model.record import Gone, Record
from connector_hub.sdk.connector import Can
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch, pages


async def read_target(run: JobRun) -> None:
    """Bring the target's identity index up to date: wholly the first time, then by its changes."""
    side = run.target
    if Can.READ not in side.resource.can:
        return None
    mark = _mark(run, side)
    count, whole = 0, False
    try:
        async for page in pages(side, "changed", mark):
            _first_mark(run, side, page.mark)
            whole = whole or page.whole
            count += len(page.records)
            _index_target(run, page.records)
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


def _index_target(run: JobRun, found: Sequence[Record | Gone]) -> None:
    side, store, job = run.target, run.store, run.job.name
    _bury(run, side, [g for g in found if isinstance(g, Gone)])
    seen = [side.seen(r) for r in found if isinstance(r, Record)]
    links = store.links(side.home, side.resource.name, [s.id for s in seen])
    bases = store.bases(job, side.name, [k.hub for k in links.values()])
    same, moved = [], []
    for s in seen:
        link = links.get(s.id)
        packed = bases.get(link.hub) if link else None
        if packed is not None and side.bases.unchanged(
            packed, side.bases.record_hash(s.raws)
        ):
            same.append(s.id)
            continue
        moved.append(s)
        if link and packed is not None:
            _drifted(run, link.hub, packed, s)
    with store.transaction():
        store.touch(job, side.name, same, run.number)
        index(run, side, moved)


def _drifted(run: JobRun, hub: bytes, packed: bytes, seen: Seen) -> None:
    """The target moved by itself: counted, and put back where the job says so."""
    side = run.target
    base = side.bases.unpack(packed)
    moved = side.bases.moved(base, side.bases.field_hashes(hub, seen.raws), seen.raws)
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


def index(run: JobRun, side: LiveSide, seen: Iterable[Seen]) -> None:
    """Write records into a side's identity index."""
    rows = []
    for s in seen:
        view, _ = side.spoke.view(s.raws)
        marks = side.identities.marks(view, s.key)
        rows.append((s.id, marks.filled, marks.hashes))
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
    run.store.start_look()
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
    _bury(run, side, list(gone.values()))
    _stage(run, list(here.values()), n=0, forced=True)


async def _read_feed(run: JobRun) -> None:
    side = run.source
    mark = _mark(run, side)
    n, whole = 0, False
    try:
        async for page in pages(side, "changed", mark):
            n += 1
            _first_mark(run, side, page.mark)
            whole = whole or page.whole
            _bury(run, side, [g for g in page.records if isinstance(g, Gone)])
            _stage(
                run, [side.seen(r) for r in page.records if isinstance(r, Record)], n=n
            )
            run.progress(f"reading {side.connection}", run.tally.read, None)
    except MarkLost:
        _lose_mark(run, side)
        run.store.drop_windows(run.plan.id)
        run.store.start_look()
        run.tally.read = 0
        run.tally.outcomes.clear()
        return await _read_feed(run)
    if mark is None and whole:
        run.store.sweep(run.job.name, side.name, run.number)
    return None


def _stage(run: JobRun, found: list[Seen], *, n: int, forced: bool = False) -> None:
    """Dismiss what is linked and unmoved, index and keep the rest."""
    side, store, job = run.source, run.store, run.job.name
    new = store.first_look([s.id for s in found])
    seen = list({s.id: s for s in found if s.id in new}.values())
    run.tally.read += len(seen)
    links = store.links(side.home, side.resource.name, [s.id for s in seen])
    bases = (
        store.bases(job, side.name, [k.hub for k in links.values()]) if links else {}
    )
    same, rest = [], []
    for s in seen:
        link = links.get(s.id)
        packed = bases.get(link.hub) if link and not link.gone else None
        if (
            packed
            and not forced
            and side.bases.unchanged(packed, side.bases.record_hash(s.raws))
        ):
            same.append(s.id)
        else:
            rest.append(s)
    run.tally.add("unchanged", len(same))
    with store.transaction():
        store.touch(job, side.name, same, run.number)
        index(run, side, rest)
        if rest:
            store.stage(run.plan.id, n, [s.row() for s in rest])


def store_marks(run: JobRun) -> None:
    """The run is through: the next pulls start where this one's began."""
    for name, mark in run.marks.items():
        side, _, feed = name.partition("/")
        if feed != "lost":
            run.store.set_cursor(
                run.job.name, side, feed, mark, run.spelling, run.clock.now()
            )
    run.store.looked(run.job.name, run.source.name, run.taken - run.again)
