"""The writes of a window: one call for many, one outcome for each, and what the vendor holds after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from connector_hub.errors import (
    CircuitOpen,
    Exists,
    InDoubt,
    Missing,
    PluginError,
    Rejected,
    Stale,
    Unavailable,
)
from connector_hub.model.job import across
from connector_hub.model.link import spelled
from connector_hub.model.mapping import Patch, Raws, Spoke
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import (
    Done,
    LinkPatch,
    Outcome,
    Record,
    Ref,
    RowsPatch,
    Write,
)
from connector_hub.model.rows import Listed, applied, made
from connector_hub.sdk.connector import Way
from connector_hub.sync import tickets
from connector_hub.sync.base import hashes
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, batches, fetch, is_strangers, together
from connector_hub.sync.views import links_of, read_views, spelled_links

_NOTHING = (None, (), RowsPatch(()))
"""Values that are not named of a new record."""
_TRIES = 3
_WRITERS = 4


class Item(Struct, eq=False, gc=False):
    """One write of a change, to one side."""

    change: Change
    side: LiveSide
    wanted: dict[str, Any]
    """What the written fields shall be, in the hub's words."""
    write: Write
    resource: str
    sent: bool = False
    """It was handed to the connector: only time tells what became of it, where no outcome does."""
    outcome: Outcome | None = None
    now: Seen | None = None
    """The record as it is after the write."""
    looked_up: bool = False
    """The vendor never answered; the record was found. What goes by calls of its own may be missing."""
    run: int = 0
    """The run that sent it, where another settles it."""


def make_items(run: JobRun, changes: Sequence[Change], seed: bytes) -> list[Item]:
    """The writes of some changes, left side first."""
    items: list[Item] = []
    for side in run.sides:
        mine = [c for c in changes if side.name in c.writes()]
        items += _items(run, side, mine, seed, len(items))
    return items


def _items(
    run: JobRun, side: LiveSide, changes: Sequence[Change], seed: bytes, start: int
) -> list[Item]:
    wanted = values = wanted_views(run, side, changes)
    if run.routes:
        values = [dict(w) for w in wanted]
        spelled_links(run, side, values)
    return [
        _item(side, c, w, v, trace(seed, start + i))
        for i, (c, w, v) in enumerate(zip(changes, wanted, values, strict=True))
    ]


def _item(
    side: LiveSide,
    c: Change,
    wanted: dict[str, Any],
    values: dict[str, Any],
    trace_id: str,
) -> Item:
    resource = _resource(side, c)
    spoke = side.place(resource).spoke
    return Item(c, side, wanted, _write(side, spoke, c, values, trace_id), resource)


def _resource(side: LiveSide, c: Change) -> str:
    """Where a change writes."""
    there = c.seen(side.name)
    return side.at(there.id)[0] if there else c.into or side.resource.name


def wanted_views(
    run: JobRun, side: LiveSide, changes: Sequence[Change]
) -> list[dict[str, Any]]:
    """What each change wants a side's record to say, in the hub's words."""
    undoing = [(c, s) for c in changes if c.images and (s := c.image(side.name))]
    there = across(side.name)
    copied = [
        (c, s)
        for c in changes
        if not c.images and c.fields(side.name) and (s := c.seen(there))
    ]
    views = _views(run, run.other(side), copied)
    if undoing:
        views |= _views(run, side, undoing)
    found = []
    for c in changes:
        view = views.get(id(c), {})
        said = {n: view[n] for n in c.fields(side.name) if n in view}
        if side.spoke.defaults and not c.undoes:
            said = side.spoke_at(_resource(side, c)).filled(said)
        found.append(said)
    if side.spoke.rows:
        _list_rows(run, side, changes, found)
    return found


def _list_rows(
    run: JobRun,
    side: LiveSide,
    changes: Sequence[Change],
    told: Sequence[dict[str, Any]],
) -> None:
    """The rows across become the rows that this side shall have, in place."""
    names = side.spoke.rows.keys()
    mine = [(c, s) for c in changes if not c.undoes and (s := c.seen(side.name))]
    views = _views(
        run, side, [(c, s) for c, s in mine if names & {*c.fields(side.name)}]
    )
    for c, said in zip(changes, told, strict=True):
        seen = c.seen(side.name)
        spokes = side.spoke_at(_resource(side, c)).rows
        for name in said.keys() & spokes.keys() if not c.undoes else ():
            writable = spokes[name].inner.writable
            if seen is None:
                said[name] = made(said[name], writable)
                continue
            own, edits = views[id(c)].get(name) or (), c.edits(side.name, name)
            held = dict(zip(side.spoke.kept, seen.raws, strict=True))[name]
            ids = spokes[name].ids(held)
            said[name] = applied(own, said[name], edits, writable, ids)


def _views(
    run: JobRun, side: LiveSide, told: Sequence[tuple[Change, Seen]]
) -> dict[int, Mapping[str, Any]]:
    read = read_views(run, side, [s for _, s in told])
    return {id(c): r.whole for (c, _), r in zip(told, read, strict=True)}


def trace(seed: bytes, i: int) -> str:
    """The trace id of a window's i-th write, the same over all attempts: a UUID of version 4.

    Twelve bytes are the window's random seed, the last four count.
    """
    h = seed.hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-8{h[17:20]}-{h[20:24]}{i:08x}"


def _write(
    side: LiveSide, spoke: Spoke, c: Change, values: dict[str, Any], trace_id: str
) -> Write:
    key, there = spelled(c.hub), c.seen(side.name)
    if c.op == "archive":
        record, at = (there.id, there.version) if there else (None, None)
        return Write("archive", trace_id, key, record, version=at)
    image = c.image(side.name)
    if there is not None and image is not None:
        was, now = (_own(side, spoke, raws) for raws in (image.raws, there.raws))
        back, at = spoke.put_back(c.fields(side.name), was, now), there.version
        return Write("update", trace_id, key, there.id, *_parts(back), version=at)
    if there is not None:
        linked = {n: v for n, v in values.items() if n in spoke.entity.links()}
        patch = spoke.patch(values, links_of(side, there, linked) if linked else {})
        return Write(
            "update",
            trace_id,
            key,
            there.id,
            *_parts(patch),
            version=there.version,
        )
    patch = spoke.patch(values)
    fields = {p: v for p, v in patch.fields.items() if v not in _NOTHING}
    for path, value in spoke.mapping.set_on_create.items():
        fields.setdefault(path, value)
    links = {name: p for name, p in patch.links.items() if p.add}
    return Write("create", trace_id, key, None, fields, links)


def _own(side: LiveSide, spoke: Spoke, raws: Raws) -> Raws:
    """A record's values in the order of its own resource's spoke."""
    held = dict(zip(side.spoke.kept, raws, strict=True))
    return tuple(held[n] for n in spoke.names)


def _parts(patch: Patch) -> tuple[Mapping[str, Any], Mapping[str, LinkPatch]]:
    return patch.fields, patch.links


async def write_all(
    run: JobRun, n: int | None, items: Sequence[Item], done: int
) -> None:
    """Send the writes of window ``n``, if of any, until each has its outcome.

    ``done`` were written before in this run.

    Raises:
        Unavailable, AuthError: the vendor is not there.
    """
    sent = done
    for side in run.sides:
        for op in ("create", "update", "archive"):
            todo = [i for i in items if i.side is side and i.write.op == op]
            for resource in side.names:
                mine = [i for i in todo if i.resource == resource]
                way = run.way(side, op, resource, len(mine))

                async def one(part: Sequence[Item], way: Way = way) -> None:
                    nonlocal sent
                    await _write_batch(run, n, part, way)
                    sent += len(part)
                    run.progress("writing", sent, None)

                await together(batches(mine, way.rows), one, _WRITERS)


async def _write_batch(
    run: JobRun, n: int | None, items: Sequence[Item], way: Way
) -> None:
    """One batch until every write has its outcome; rows the vendor was too busy for are sent again."""
    todo = list(items)
    side, resource = items[0].side, items[0].resource
    for attempt in range(1, _TRIES + 1):
        for part in batches(todo, way.rows):
            for i, outcome in zip(part, await _send(run, n, part, way), strict=True):
                i.outcome = outcome
        _stop_when_down(todo)
        doubtful = [i for i in todo if isinstance(i.outcome, InDoubt)]
        if doubtful:
            await _look_up(run, doubtful)
        todo = [
            i
            for i in todo
            if isinstance(i.outcome, Unavailable)
            or (isinstance(i.outcome, InDoubt) and can_look_up(i))
        ]
        if not todo:
            return
        if attempt < _TRIES:
            way = run.way(side, todo[0].write.op, resource, len(todo))
            await run.clock.sleep(0.5 * 2**attempt)
    if any(isinstance(i.outcome, InDoubt) for i in todo):
        for i in todo:
            i.outcome = None
        raise Unavailable(
            "writes were sent and not answered",
            where=todo[0].side.connection,
            hint="run again later: what became of them is looked up first",
        )


def _stop_when_down(items: Sequence[Item]) -> None:
    """A vendor that is not called any more refuses no record: the run stops, and its writes wait."""
    down: CircuitOpen | None = None
    for i in items:
        if isinstance(i.outcome, CircuitOpen):
            down, i.outcome = i.outcome, None
    if down is not None:
        raise down


async def _send(
    run: JobRun, n: int | None, items: Sequence[Item], way: Way
) -> Sequence[Outcome]:
    """One call. One that is refused whole is narrowed down to the rows it is refused for."""
    side = items[0].side
    writes = [i.write for i in items]
    side.gate()
    for i in items:
        i.sent = True
    try:
        found = await side.write(
            items[0].resource, writes, way, tickets.keeper(run, n, items)
        )
        _expose(run, writes[0], way)
    except InDoubt as e:
        return [e] * len(items)
    except (Rejected, Exists, Missing, Stale) as e:
        if len(items) == 1:
            return [e]
        if way.asynchronous:
            return await _plainly(run, n, items)
        return await _narrow(run, n, items, way)
    if len(found) != len(items):
        raise PluginError(
            f"{side.connector.name}.write answered {len(found)} outcomes for {len(items)} writes",
            where=side.connection,
        )
    return found


async def _plainly(
    run: JobRun, n: int | None, items: Sequence[Item]
) -> Sequence[Outcome]:
    """Rows that are refused together on the asynchronous way, on the plain one."""
    way = items[0].side.place(items[0].resource).resource.way(items[0].write.op)
    found: list[Outcome] = []
    for part in batches(items, way.rows):
        found += await _send(run, n, part, way)
    return found


async def _narrow(
    run: JobRun, n: int | None, items: Sequence[Item], way: Way
) -> Sequence[Outcome]:
    """Rows of which at least one is refused: halved until it stands alone.

    Where nothing of the first half was refused it is in the second, which is not sent whole: so one of n rows
    is found in at most 2 log2 n calls, and the others are written on the way.
    """
    if len(items) == 1:
        return await _send(run, n, items, way)
    half = len(items) // 2
    first = await _send(run, n, items[:half], way)
    found = any(isinstance(o, Rejected | Exists | Missing | Stale) for o in first)
    rest = _send if found else _narrow
    return [*first, *await rest(run, n, items[half:], way)]


def _expose(run: JobRun, write: Write, way: Way) -> None:
    """How long people's edits of what was just written could go unseen."""
    if write.op == "create" or way.conditional or run.window_read_at is None:
        return
    seconds = run.clock.monotonic() - run.window_read_at
    run.exposed = max(run.exposed or 0.0, seconds)


async def _look_up(run: JobRun, items: Sequence[Item]) -> None:
    """What became of writes that were not answered: asked on a channel that misses nothing."""
    side = items[0].side
    creates = [i for i in items if i.write.op == "create"]
    if creates and side.connector.key is not None:
        there = await by_key(side, [i.write.key for i in creates])
        for i in creates:
            if i.write.key in there:
                found_by_key(i, there[i.write.key])
    others = [i for i in items if i.write.op != "create" and i.write.id]
    if others:
        here, gone = await fetch(side, [i.write.id for i in others if i.write.id])
        for i in others:
            now = here.get(i.write.id or "")
            if i.write.op == "archive" and (i.write.id in gone or now is None):
                i.outcome = Done(i.write.id or "")
            elif now is not None and i.write.op == "update" and _holds(run, i, now):
                i.outcome, i.now, i.looked_up = Done(now.id), now, True


def _holds(run: JobRun, item: Item, now: Seen) -> bool:
    (read,) = read_views(run, item.side, [now])
    return not differing(item, read.view, now)


def differing(item: Item, view: Mapping[str, Any], seen: Seen) -> tuple[str, ...]:
    """The written fields that a record does not hold as wanted: by meaning, else by the value itself."""
    found = [n for n, v in item.wanted.items() if not _is_held(view.get(n), v)]
    image = item.change.image(item.side.name)
    if image is not None:
        names = item.side.spoke.kept
        pairs = zip(names, hashes(image.raws), hashes(seen.raws), strict=True)
        fields = item.change.fields(item.side.name)
        found += [
            n for n, a, b in pairs if n in fields and n not in item.wanted and a != b
        ]
    return tuple(found)


def _is_held(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, Listed):
        return wanted.is_met(value or ())
    return bool(value == wanted)


def can_look_up(item: Item) -> bool:
    """Whether an unanswered write can be found again; a create only by its record key."""
    return item.write.op != "create" or item.side.connector.key is not None


def found_by_key(item: Item, there: Seen) -> None:
    """An unanswered create is there."""
    item.outcome, item.now, item.looked_up = Done(there.id), there, True


async def by_key(side: LiveSide, keys: Sequence[str]) -> dict[str, Seen]:
    """A side's records by record key."""
    found: dict[str, Seen] = {}
    for name in side.names:
        place = side.place(name)
        for part in batches(keys, place.resource.way("find").rows):
            answer = await side.connector.find(
                name, side.connector.key or "", part, place.want
            )
            for key, records in answer.items():
                if records:
                    found[key] = side.seen(records[0], name)
    return found


async def read_back(run: JobRun, items: Sequence[Item]) -> None:
    """What a side holds now: from the answer where it says so, else read once for the window."""
    for side in run.sides:
        ask: list[Item] = []
        for i in items:
            if i.side is not side or i.write.op == "archive" or i.now is not None:
                continue
            if isinstance(i.outcome, Done) and i.outcome.fields is not None:
                i.now = _answered(i, i.outcome)
            elif isinstance(i.outcome, Done):
                ask.append(i)
        ids = [i.outcome.id for i in ask if isinstance(i.outcome, Done)]
        here, _ = await fetch(side, ids)
        for i, record in zip(ask, ids, strict=True):
            i.now = here.get(record)


def _answered(item: Item, done: Done) -> Seen:
    side = item.side
    links: dict[str, Sequence[Ref]] = dict(done.links or {})
    if done.links is None:
        for name, patch in item.write.links.items():
            links[name] = patch.add
    record = Record(
        side.at(done.id)[1],
        done.fields or {},
        done.version,
        links,
        item.write.key,
        by=side.account.user,
    )
    return side.seen(record, item.resource)


def is_ours(item: Item) -> bool:
    """Whether the record as read back is the one we wrote; a person may have edited in between."""
    if item.now is None:
        return False
    if isinstance(item.outcome, Done) and item.outcome.version is not None:
        return item.now.version == item.outcome.version
    return not is_strangers(item.side, item.now)
