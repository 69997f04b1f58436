"""Undoing a run: a plan from what stood there before, and honesty about what that cannot bring back.

A field is put back where the record still holds what the run wrote. What was created is archived while it is
as it was made and nothing points to it. All else is kept, and listed with its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import structs

from connector_hub.model.job import SIDES, Side, SideName, across
from connector_hub.model.journal import Entry, Page
from connector_hub.model.mapping import ABSENT, Raws, blank, ref
from connector_hub.model.plan import Change, Seen
from connector_hub.model.union import RESOURCE
from connector_hub.ports import Store
from connector_hub.sync.applier import apply_window
from connector_hub.sync.base import hashes
from connector_hub.sync.jobs import finish, guard
from connector_hub.sync.journal import layout
from connector_hub.sync.overtaken import moved_since
from connector_hub.sync.planner import keep_window
from connector_hub.sync.plans import planned_writes
from connector_hub.sync.reconcile import reconcile
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch, is_strangers

CHANGED = "changed since"
GONE = "no longer there"
ARCHIVED = "was archived: no call of the vendor brings it back"
ELSEWHERE = "the mapping keeps it elsewhere now"
UNKNOWN = "what it held is not known"
EDITED = "edited since it was created"
ERASED = "was about people who have been erased since"
_SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Pointing:
    """A link field of another job whose records may point to this one's.

    ``sides`` are that job's sides by this job's; ``ends`` its own sides with their accounts.
    """

    job: str
    field: str
    sides: Mapping[SideName, SideName]
    ends: Mapping[SideName, tuple[str, Side]]


@dataclass(slots=True)
class _Pair:
    """What is to be put back about one thing, on both of its sides; a merge may have joined two."""

    hub: bytes
    here: SideName
    seen: dict[SideName, Seen] = field(default_factory=dict)
    images: dict[SideName, Raws] = field(default_factory=dict)
    fields: dict[SideName, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _At:
    """One side of a page of the journal."""

    run: JobRun
    side: LiveSide
    page: Page


async def plan_undo(run: JobRun, number: int, pointing: Sequence[Pointing]) -> int:
    """Keep the windows of what undoes run ``number``. Writes to no vendor.

    The plan's counts are filled in; ``kept`` are writes of the run that stay.

    Returns:
        How many writes of the run the journal knows.
    """
    await reconcile(run)
    run.plan.undoes = number
    n = found = erased = 0
    _claim_targets(run, number, pointing)
    for page in run.store.journal(run.job.name, run=number):
        found += len(page.entries) + page.erased
        erased += page.erased
        run.tally.read += len(page.entries)
        at = run.clock.monotonic()
        n = keep_window(run, n, await _undone(run, page), at)
        run.progress("planning", found, None)
    counts, t = dict(run.plan.counts), run.tally
    run.plan.read = t.read
    run.plan.counts = {
        "update": counts.get("restore", 0),
        "delete": counts.get("remove", 0),
        "clear": t.clears,
        "unchanged": t.outcomes["unchanged"],
        "kept": counts.get("keep", 0) + erased,
    }
    run.plan.by_field = dict(t.by_field)
    told = {_put_back_by(number), _made_by(number)}
    run.plan.by_reason = {r: c for r, c in t.by_reason.items() if r not in told}
    if erased:
        run.plan.by_reason[ERASED] = erased
    return found


async def apply_undo(
    run: JobRun, document: Mapping[str, Any], begin: Callable[[], None]
) -> None:
    """Carry out exactly what an undo's plan said, less what moved since. No cursor moves.

    Args:
        run: under the plan's id.
        document: what ``plan_document`` kept.
        begin: called before the first write.

    Raises:
        GuardTripped: nothing has been written.
    """
    run.plan.counts = dict(document["needs"]["counts"])
    guard(run)
    await reconcile(run)
    if planned_writes(run.plan):
        await run.look()
    begin()
    for n, planned in run.store.windows(run.job.name, run.plan.id):
        asked = [c for c in planned if c.writes()]
        run.tally.read += len(asked)
        run.read_at[n] = run.clock.monotonic()
        changes = await _unmoved(run, asked)
        run.store.save_window(run.job.name, run.plan.id, n, changes)
        await apply_window(run, n, changes)
    finish(run)


async def _unmoved(run: JobRun, changes: list[Change]) -> list[Change]:
    """Those whose records are as the plan saw them."""
    stale: set[int] = set()
    for side in run.sides:
        mine = {id(c): s for c in changes if (s := _written(c, side.name))}
        moved = await moved_since(side, list(mine.values()))
        stale |= {i for i, s in mine.items() if s.id in moved}
    run.tally.add("stale", len(stale))
    run.tally.new_stale += len(stale)
    return [c for c in changes if id(c) not in stale]


def _written(c: Change, side: SideName) -> Seen | None:
    return c.seen(side) if side in c.writes() else None


async def _undone(run: JobRun, page: Page) -> list[Change]:
    """The changes that undo one page of a journal."""
    pairs: dict[bytes, _Pair] = {}
    changes: list[Change] = []
    for side in run.sides:
        at = _At(run, side, page)
        mine = [e for e in page.entries if e.side == side.name]
        ids = [e.record for e in mine]
        here, gone = await fetch(side, ids)
        links = side.links(ids)
        pointed = run.store.claimed(side.name, ids)
        for e in mine:
            now = here.get(e.record)
            if e.op == "update":
                hub = links[e.record].hub if e.record in links else e.hub
                pair = pairs.setdefault(hub, _Pair(hub, side.name))
                changes += _restore(at, e, now, pair)
            elif e.op == "archive":
                changes += _archived(at, e, now)
            elif now is None and e.record in gone:
                run.tally.add("unchanged")
            else:
                changes.append(_remove(at, e, now, pointed.get(e.record)))
    return [*changes, *(_restored(run, p) for p in pairs.values() if p.fields)]


def _restore(at: _At, e: Entry, now: Seen | None, pair: _Pair) -> Iterator[Change]:
    """Put the fields of an update into their pair; yields what is kept as it is."""
    if now is None:
        yield _kept(e, None, e.fields, GONE)
        return
    back: list[str] = []
    kept: dict[str, list[str]] = {}
    for name, why in _fates(at, e, now):
        if why is None:
            back.append(name)
        elif why:
            kept.setdefault(why, []).append(name)
    image = _image(at, e)
    for why, names in kept.items():
        yield _kept(e, now, names, why, image)
    if back:
        pair.seen[e.side] = now
        pair.images[e.side] = image
        pair.fields[e.side] = tuple(back)
    elif not kept:
        at.run.tally.add("unchanged")


def _fates(at: _At, e: Entry, now: Seen) -> Iterator[tuple[str, str | None]]:
    """What becomes of each field of an update: None to put it back, why it stays, or empty: it is back."""
    today, then = dict(layout(at.side)), dict(at.page.layout(e.side))
    holds = dict(zip(at.side.spoke.kept, hashes(now.raws), strict=True))
    was, wrote = hashes(e.before), hashes(e.after or e.before)
    for i, name in enumerate(e.fields):
        if name not in today or today[name] != then.get(name):
            yield name, ELSEWHERE
        elif holds[name] == was[i]:
            yield name, ""
        elif not e.after or e.before[i] is ABSENT:
            yield name, UNKNOWN
        else:
            ours = holds[name] == wrote[i] and name not in e.edited
            yield name, None if ours else CHANGED


def _image(at: _At, e: Entry) -> Raws:
    """What a record held before, in the order of today's mapping; absent what is not known."""
    then = dict(at.page.layout(e.side))
    held = dict(zip(e.fields or then, e.before, strict=False))
    held[RESOURCE] = at.side.at(e.record)[0]
    then[RESOURCE] = ""
    today = layout(at.side)
    return tuple(held.get(n, ABSENT) if then.get(n) == p else ABSENT for n, p in today)


def _restored(run: JobRun, p: _Pair) -> Change:
    clears = 0
    for name, fields in p.fields.items():
        view, _ = run.side(name).spoke.whole(p.images[name])
        clears += sum(blank(view.get(n, ABSENT)) for n in fields)
    return Change(
        "restore",
        p.hub,
        p.here,
        p.seen.get("left"),
        p.seen.get("right"),
        p.fields.get("left", ()),
        p.fields.get("right", ()),
        clears=clears,
        reason=_put_back_by(run.plan.undoes),
        images=(p.images.get("left", ()), p.images.get("right", ())),
    )


def _remove(at: _At, e: Entry, now: Seen | None, owner: str | None) -> Change:
    """Archive what the run created, unless somebody has made it his own since."""
    if now is None:
        return _kept(e, None, (), GONE)
    if not e.after:
        return _kept(e, now, (), UNKNOWN)
    edited = e.edited or _edited(at, e, now)
    if edited or is_strangers(at.side, now):
        return _kept(e, now, edited, EDITED)
    if owner is not None:
        return _kept(e, now, (), f"records of job {owner} point to it")
    source = Seen(e.source, None, None, None, ()) if e.source else None
    left, right = (source, now) if e.side == "right" else (now, source)
    why = _made_by(at.run.plan.undoes)
    return Change("remove", e.hub, across(e.side), left, right, reason=why)


def _put_back_by(number: int) -> str:
    return f"as before run {number}"


def _made_by(number: int) -> str:
    return f"created by run {number}"


def _edited(at: _At, e: Entry, now: Seen) -> tuple[str, ...]:
    """Mapped fields that no longer hold what the record was created with."""
    wrote = dict(zip(at.page.layout(e.side), hashes(e.after), strict=True))
    holds = zip(layout(at.side), hashes(now.raws), strict=True)
    return tuple(n[0] for n, value in holds if wrote.get(n, value) != value)


def _archived(at: _At, e: Entry, now: Seen | None) -> Iterator[Change]:
    if now is not None:
        at.run.tally.add("unchanged")
        return
    image = _image(at, e)
    held = dict(zip(at.side.spoke.kept, image, strict=True))
    fields = [n for n in at.side.spoke.names if n != RESOURCE]
    names = tuple(n for n in fields if held[n] and held[n] is not ABSENT)
    yield _kept(e, None, names, ARCHIVED, image)


def _kept(
    e: Entry,
    now: Seen | None,
    fields: Sequence[str],
    why: str,
    image: Raws = (),
) -> Change:
    """A write that is not undone, and why; with what stood there, for those who do it by hand."""
    there = now or Seen(e.record, None, None, None, ())
    mine = {
        e.side: there,
        f"to_{e.side}": tuple(fields),
        "images": (image, ()) if e.side == "left" else ((), image),
    }
    return structs.replace(
        Change("keep", e.hub, e.side, None, None, reason=why), **mine
    )


def _claim_targets(run: JobRun, number: int, pointing: Sequence[Pointing]) -> None:
    """Note which records are pointed to by what other jobs wrote later: (side, target, which job)."""
    store = run.store
    store.forget_claims()
    for p in pointing:
        for page in store.journal(p.job, after=number):
            for side in SIDES:
                theirs = p.sides[side]
                told = [
                    e for e in page.entries if e.side == theirs and _tells(e, p.field)
                ]
                seen = f"{_SEEN} {p.job} {p.field} {side}"
                known = store.claimed(seen, [e.record for e in told])
                live = _live(store, *p.ends[theirs], [e.record for e in told])
                here = run.side(side)
                rows = [
                    (
                        side,
                        here.known_as(resource, target),
                        p.job,
                    )
                    for e in told
                    if e.record in live - known.keys()
                    for target in _targets(page, e, p.field)
                    for resource in here.names
                ]
                store.claim([*rows, *((seen, e.record, "") for e in told)])


def _live(store: Store, account: str, at: Side, records: Sequence[str]) -> set[str]:
    """Those of another job's records that are linked and there."""
    live: set[str] = set()
    for resource in at.resources:
        start = at.known_as(resource, "")
        own = {r.removeprefix(start): r for r in records if r.startswith(start)}
        links = store.links(account, resource, list(own))
        live |= {own[i] for i, link in links.items() if not link.gone}
    return live


def _tells(e: Entry, name: str) -> bool:
    return e.op != "update" or name.partition(".")[0] in e.fields


def _targets(page: Page, e: Entry, name: str) -> list[str]:
    """The records that a link field was made to point to; of rows whatever they say may be one."""
    names = e.fields or tuple(n for n, _ in page.layout(e.side))
    field, _, inner = name.partition(".")
    raw = dict(zip(names, e.after, strict=False)).get(field)
    if inner:
        rows = raw if isinstance(raw, list) else []
        return [v for _, *values in rows for v in values if isinstance(v, str) and v]
    found = ref(raw)
    return [found.id] if found else []


__all__ = ["Pointing", "apply_undo", "plan_undo"]
