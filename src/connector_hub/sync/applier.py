"""Carrying out a window: intents, writes, read-back, settlement.

Intents are committed before their calls; links, bases and the end of the intents in one transaction
after them.  Whatever dies in between is known again by its intents.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from connector_hub.errors import (
    Exists,
    InDoubt,
    Missing,
    PluginError,
    Rejected,
    Stale,
    Unavailable,
    VendorError,
)
from connector_hub.model.link import spelled
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Done, Outcome, Pending, Record, Ref, Write
from connector_hub.sdk.connector import Way
from connector_hub.sync.base import Base
from connector_hub.sync.planner import (
    Subject,
    refused,
    target_view,
    translate,
    wait_for_links,
)
from connector_hub.sync.reading import index
from connector_hub.sync.run import Held, JobRun, hold
from connector_hub.sync.sides import LiveSide, batches, fetch, together

_SEED = 12
_TRIES = 3
_WRITERS = 4
_LAST_LOOK = 1.2
"""Seconds an interrupted run may take to settle what the vendor has confirmed."""


@dataclass(slots=True)
class Item:
    """A change being written."""

    change: Change
    subject: Subject
    write: Write
    outcome: Outcome | None = None
    now: Seen | None = None
    """The target record as it is after the write."""


async def apply_window(run: JobRun, n: int, changes: Sequence[Change]) -> None:
    """Write the plan's window ``n``, whose changes are kept, and settle it.

    Raises:
        Unavailable, AuthError: the vendor is not there; the intents stay and are looked up next time.
    """
    seed = os.urandom(_SEED)
    subjects = _subjects(run, changes)
    items, settles = [], []
    for i, (c, s) in enumerate(zip(changes, subjects, strict=True)):
        if c.action == "settle":
            settles.append((c, s))
        else:
            items.append(Item(c, s, _write(run, c, s, trace(seed, i))))
    if items:
        run.store.open_window(run.job.name, run.plan.id, n, seed)
    try:
        await _write_all(run, items)
        await _read_back(run, items)
    except BaseException:
        await asyncio.shield(_save_what_is_known(run, n, items))
        raise
    with run.store.transaction():
        settle(run, items)
        _settle_agreed(run, settles)
        run.store.close_window(run.job.name, run.plan.id, n)
    run.progress("writing", _written(run), None)


def trace(seed: bytes, i: int) -> str:
    """The trace id of a window's i-th change, the same over all attempts: a UUID of version 4.

    Twelve bytes are the window's random seed, the last four count.
    """
    h = seed.hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-8{h[17:20]}-{h[20:24]}{i:08x}"


def _written(run: JobRun) -> int:
    return sum(
        run.tally.outcomes[k] for k in ("created", "updated", "deleted", "not_taken")
    )


def _subjects(run: JobRun, changes: Sequence[Change]) -> list[Subject]:
    """What each change wants, in the hub's words, links translated by what is linked now."""
    found = []
    for c in changes:
        view = (
            run.source.spoke.view(c.source.raws)[0]
            if c.source and c.action != "archive"
            else {}
        )
        found.append(Subject(c.source or Seen("", None, None, None, ()), view, c.hub))
    translate(run, found)
    return found


def _write(run: JobRun, c: Change, s: Subject, trace_id: str) -> Write:
    key, spoke = spelled(c.hub), run.target.spoke
    if c.action == "archive":
        return Write("archive", trace_id, key, c.target.id if c.target else None)
    wanted = {n: s.view[n] for n in c.fields if n in s.view}
    if c.action == "update" and c.target:
        patch = spoke.patch(wanted, target_view(run, c.target))
        return Write(
            "update",
            trace_id,
            key,
            c.target.id,
            patch.fields,
            patch.links,
            version=c.target.version,
        )
    patch = spoke.patch(wanted)
    fields = {p: v for p, v in patch.fields.items() if v is not None and v != ()}
    for path, value in spoke.mapping.set_on_create.items():
        fields.setdefault(path, value)
    links = {name: p for name, p in patch.links.items() if p.add}
    return Write("create", trace_id, key, None, fields, links)


async def _write_all(run: JobRun, items: Sequence[Item]) -> None:
    for op in ("create", "update", "archive"):
        todo = [i for i in items if i.write.op == op]
        way = run.target.resource.way(op)

        async def one(part: Sequence[Item], way: Way = way) -> None:
            await _write_batch(run, part, way)
            run.progress(
                "writing",
                _written(run) + sum(i.outcome is not None for i in items),
                None,
            )

        await together(batches(todo, way.rows), one, _WRITERS)


async def _write_batch(run: JobRun, items: Sequence[Item], way: Way) -> None:
    """One batch until every write has its outcome; rows the vendor was too busy for are sent again."""
    todo = list(items)
    for attempt in range(1, _TRIES + 1):
        for i, outcome in zip(todo, await _send(run, todo, way), strict=True):
            i.outcome = outcome
        doubtful = [i for i in todo if isinstance(i.outcome, InDoubt)]
        if doubtful:
            await _look_up(run, doubtful)
        todo = [i for i in todo if isinstance(i.outcome, Unavailable | InDoubt)]
        if not todo:
            return
        if attempt < _TRIES:
            await run.clock.sleep(0.5 * 2**attempt)
    if any(isinstance(i.outcome, InDoubt) for i in todo):
        for i in todo:
            i.outcome = None
        raise Unavailable(
            "writes were sent and not answered",
            where=run.target.connection,
            hint="run again later: what became of them is looked up first",
        )


async def _send(run: JobRun, items: Sequence[Item], way: Way) -> Sequence[Outcome]:
    """One call. A refusal of the whole call is narrowed down to the rows it is about."""
    side = run.target
    try:
        found = await side.connector.write(
            side.resource.name, [i.write for i in items], way=way
        )
        while isinstance(found, Pending):
            await run.clock.sleep(found.again_in)
            found = await side.connector.outcomes(
                side.resource.name, [i.write for i in items], found.ticket
            )
    except InDoubt as e:
        return [e] * len(items)
    except (Rejected, Exists, Missing, Stale) as e:
        if len(items) == 1:
            return [e]
        half = len(items) // 2
        first = await _send(run, items[:half], way)
        return [*first, *await _send(run, items[half:], way)]
    if len(found) != len(items):
        raise PluginError(
            f"{side.connector.name}.write answered {len(found)} outcomes for {len(items)} writes",
            where=side.connection,
        )
    return found


async def _look_up(run: JobRun, items: Sequence[Item]) -> None:
    """What became of writes that were not answered: asked on a channel that misses nothing."""
    side = run.target
    creates = [i for i in items if i.write.op == "create"]
    if creates and side.connector.key is not None:
        there = await by_key(run, [i.write.key for i in creates])
        for i in creates:
            if i.write.key in there:
                i.outcome, i.now = Done(there[i.write.key].id), there[i.write.key]
    others = [i for i in items if i.write.op != "create" and i.write.id]
    if others:
        here, gone = await fetch(side, [i.write.id for i in others if i.write.id])
        for i in others:
            now = here.get(i.write.id or "")
            if i.write.op == "archive" and (i.write.id in gone or now is None):
                i.outcome = Done(i.write.id or "")
            elif now is not None and i.write.op == "update" and _holds(run, i, now):
                i.outcome, i.now = Done(now.id), now


def _holds(run: JobRun, item: Item, now: Seen) -> bool:
    view = target_view(run, now)
    return all(view.get(n) == item.subject.view.get(n) for n in item.change.fields)


async def by_key(run: JobRun, keys: Sequence[str]) -> dict[str, Seen]:
    """Target records by record key."""
    side = run.target
    found: dict[str, Seen] = {}
    for part in batches(keys, side.resource.way("find").rows):
        answer = await side.connector.find(
            side.resource.name, side.connector.key or "", part, side.want
        )
        for key, records in answer.items():
            if records:
                found[key] = side.seen(records[0])
    return found


async def _read_back(run: JobRun, items: Sequence[Item]) -> None:
    """What the target holds now: from the answer where it says so, else read once for the window."""
    side = run.target
    ask: list[Item] = []
    for i in items:
        if (
            not isinstance(i.outcome, Done)
            or i.write.op == "archive"
            or i.now is not None
        ):
            continue
        if i.outcome.fields is None:
            ask.append(i)
        else:
            i.now = _answered(run, i, i.outcome)
    if not ask:
        return
    here, _ = await fetch(
        side, [i.outcome.id for i in ask if isinstance(i.outcome, Done)]
    )
    for i in ask:
        if isinstance(i.outcome, Done):
            i.now = here.get(i.outcome.id)


def _answered(run: JobRun, item: Item, done: Done) -> Seen:
    side = run.target
    links: dict[str, Sequence[Ref]] = dict(done.links or {})
    if done.links is None:
        for name, patch in item.write.links.items():
            links[name] = patch.add
    record = Record(
        done.id,
        done.fields or {},
        done.version,
        links,
        item.write.key,
        by=side.account.user,
    )
    return side.seen(record)


async def _save_what_is_known(run: JobRun, n: int, items: Sequence[Item]) -> None:
    """A run is going down: settle what the vendor has confirmed, as far as a moment allows."""
    done = [i for i in items if isinstance(i.outcome, Done)]
    if not done:
        return
    try:
        async with asyncio.timeout(_LAST_LOOK):
            await _read_back(run, done)
    except (TimeoutError, VendorError):
        pass
    known = [i for i in done if i.now is not None or i.write.op == "archive"]
    settled = {id(i) for i in known}
    rest = [i.change for i in items if id(i) not in settled]
    with run.store.transaction():
        settle(run, known)
        run.store.close_window(run.job.name, run.plan.id, n, rest)


def settle(run: JobRun, items: Sequence[Item]) -> None:
    """Links, bases and outcomes of what was written."""
    source, target, store, job = run.source, run.target, run.store, run.job.name
    links: list[tuple[str, str, str, bytes]] = []
    bases: dict[str, list[tuple[bytes, bytes]]] = {"left": [], "right": []}
    waits: list[tuple[Seen, Sequence[tuple[str, str, str]]]] = []
    old = _old_bases(run, [i.change for i in items])
    taken: list[Item] = []
    for i in items:
        if not isinstance(i.outcome, Done):
            _refused(run, i)
        elif i.write.op == "archive":
            _archived(run, i)
        elif i.now is None:
            run.tally.add("stale")
            run.tally.new_stale += 1
            run.look_again([i.subject.seen.id], "not read back")
        else:
            taken.append(i)
            links += _both(run, i.subject.seen.id, i.now.id, i.change.hub)
            _add_bases(run, i, old, bases)
            waits.append((i.subject.seen, i.subject.waits))
    store.link(links)
    store.set_bases(job, source.name, bases[source.name])
    store.set_bases(job, target.name, bases[target.name])
    made = [i.now for i in taken if i.now and i.write.op == "create"]
    index(run, target, made, keyed=False)
    wait_for_links(run, [w for w in waits if w[1]])
    _decided(run, [i.subject.seen.id for i in taken])


def _decided(run: JobRun, records: Sequence[str]) -> None:
    """These records are through: their dead letters and conflicts close.

    The other members of a group, a twin for one, are looked at again by the next run.
    """
    store, job, now = run.store, run.job.name, run.clock.now()
    store.exhume(job, records, now)
    others = store.close_conflicts(job, run.source.name, records, now)
    if others:
        run.look_again(others, "twin resolved")


def _both(
    run: JobRun, mine: str, there: str, hub: bytes
) -> list[tuple[str, str, str, bytes]]:
    return [
        (run.source.home, run.source.resource.name, mine, hub),
        (run.target.home, run.target.resource.name, there, hub),
    ]


@dataclass(slots=True)
class _Old:
    source: Mapping[bytes, bytes] = field(default_factory=dict)
    target: Mapping[bytes, bytes] = field(default_factory=dict)


def _old_bases(run: JobRun, changes: Iterable[Change]) -> _Old:
    hubs = [c.hub for c in changes if not (c.first and c.action == "create")]
    if not hubs:
        return _Old()
    store, job = run.store, run.job.name
    return _Old(
        store.bases(job, run.source.name, hubs), store.bases(job, run.target.name, hubs)
    )


def _add_bases(
    run: JobRun, i: Item, old: _Old, bases: Mapping[str, list[tuple[bytes, bytes]]]
) -> None:
    """Both sides' bases after a write; counts what became of the record."""
    assert i.now is not None  # noqa: S101 - decided by the caller
    source, target, c = run.source, run.target, i.change
    agreed = {*c.fields, *c.agreed}
    waiting = [n for n, _, _ in i.subject.waits]
    seen = i.subject.seen
    before = _unpacked(source, old.source, c.hub)
    packed = source.bases.settled(c.hub, seen.raws, before, agreed, waiting)
    bases[source.name].append((c.hub, packed))
    wanted, view = i.subject.view, target_view(run, i.now)
    differs = [n for n in c.fields if n in wanted and view.get(n) != wanted[n]]
    edited = bool(differs) and not _ours(run, i)
    before = _unpacked(target, old.target, c.hub)
    never = differs if edited else ()
    packed = target.bases.settled(c.hub, i.now.raws, before, agreed, never)
    bases[target.name].append((c.hub, packed))
    run.tally.add(_outcome(i, [] if edited else differs))
    run.tally.writes[target.connection] += 1


def _unpacked(side: LiveSide, old: Mapping[bytes, bytes], hub: bytes) -> Base | None:
    packed = old.get(hub)
    return side.bases.unpack(packed, hub) if packed else None


def _outcome(i: Item, not_taken: Sequence[str]) -> str:
    if not_taken:
        return "not_taken"
    return "created" if i.write.op == "create" else "updated"


def _ours(run: JobRun, i: Item) -> bool:
    """Whether the record as read back is the one we wrote; a person may have edited in between."""
    assert i.now is not None  # noqa: S101 - decided by the caller
    if isinstance(i.outcome, Done) and i.outcome.version is not None:
        return i.now.version == i.outcome.version
    user = run.target.account.user
    return user is None or i.now.by is None or i.now.by == user


def _archived(run: JobRun, i: Item) -> None:
    source, target = run.source, run.target
    run.store.lose(source.home, source.resource.name, [i.subject.seen.id])
    run.store.lose(target.home, target.resource.name, [i.write.id or ""])
    run.store.forget(run.job.name, target.name, [i.write.id or ""])
    run.tally.add("deleted")
    run.tally.writes[target.connection] += 1


def _refused(run: JobRun, i: Item) -> None:
    """A write the vendor did not carry out: sorted by who has to act."""
    record, outcome = i.subject.seen.id, i.outcome
    if isinstance(outcome, Exists):
        _exists(run, i, outcome)
    elif isinstance(outcome, Stale | Unavailable):
        run.tally.add("stale")
        run.tally.new_stale += 1
        run.look_again([record], "stale")
    elif isinstance(outcome, Missing):
        run.store.lose(run.target.home, run.target.resource.name, [i.write.id or ""])
        run.tally.add("unchanged")
    elif isinstance(outcome, Rejected):
        run.tally.add("dead_letters")
        run.tally.new_letters += 1
        letter = (
            record,
            i.change.hub,
            i.write.op,
            outcome.reason,
            outcome.fields,
            refused(run, i.change),
            outcome.message,
        )
        run.store.bury(run.job.name, [letter], run.number, run.clock.now())
    else:
        raise _unsorted(run, outcome)


def _unsorted(run: JobRun, outcome: Outcome | None) -> Exception:
    if isinstance(outcome, Exception):
        return outcome
    return PluginError("a write has no outcome", where=run.target.connection)


def _exists(run: JobRun, i: Item, outcome: Exists) -> None:
    """The vendor holds such a record: a candidate for the link, never a dead letter.

    One that is free is looked at again and linked; one that belongs to another is a conflict.
    """
    target, record = run.target, i.subject.seen.id
    there = outcome.there
    links = run.store.links(target.home, target.resource.name, [there]) if there else {}
    if there and there not in links and record not in run.taken:
        run.tally.add("stale")
        run.tally.new_stale += 1
        run.look_again([record], "exists")
        return
    members = [(run.source.name, record), *([(target.name, there)] if there else [])]
    detail = {"source": run.source.connection, "target": target.connection}
    run.tally.add("conflicts")
    kind = "taken" if there in links else "candidates"
    hold(run, Held(kind, record.encode(), tuple(members), detail))


def _settle_agreed(run: JobRun, settles: Sequence[tuple[Change, Subject]]) -> None:
    """Both sides agree without a write: the link and what they agree on are remembered."""
    source, target, store, job = run.source, run.target, run.store, run.job.name
    old = _old_bases(run, [c for c, _ in settles])
    links: list[tuple[str, str, str, bytes]] = []
    mine: list[tuple[bytes, bytes]] = []
    theirs: list[tuple[bytes, bytes]] = []
    for c, _ in settles:
        if c.source is None or c.target is None:
            continue
        links += _both(run, c.source.id, c.target.id, c.hub)
        waiting = [n for n, _, _ in c.waits]
        for side, seen, held, rows, never in (
            (source, c.source, old.source, mine, waiting),
            (target, c.target, old.target, theirs, ()),
        ):
            before = _unpacked(side, held, c.hub)
            packed = side.bases.settled(c.hub, seen.raws, before, c.agreed, never)
            rows.append((c.hub, packed))
    store.link(links)
    store.set_bases(job, source.name, mine)
    store.set_bases(job, target.name, theirs)
    wait_for_links(
        run, [(c.source, c.waits) for c, _ in settles if c.source and c.waits]
    )
    _decided(run, [c.source.id for c, _ in settles if c.source])
    run.tally.add("unchanged", len(settles))


__all__ = ["apply_window", "by_key", "settle"]
