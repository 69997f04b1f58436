"""From staged records to windows of changes. Writes to no vendor.

A window is planned as a whole: one look-up of links, one of identity, one read of the targets.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from connector_hub.model.link import Kin, Match, hub_id, match
from connector_hub.model.merge import one_way
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Gone, Ref
from connector_hub.sync.base import Base, change_hash
from connector_hub.sync.run import ALL_WRITES, Held, JobRun, hold
from connector_hub.sync.sides import fetch, pages

WINDOW = 2000
"""Records planned and written together; memory is proportional to it."""


@dataclass(slots=True)
class Subject:
    """A source record on its way to a change."""

    seen: Seen
    view: dict[str, Any]
    hub: bytes
    reject: bool = False
    base: Base | None = None
    """The source's base, None at the first link of the two."""
    target_id: str | None = None
    target: Seen | None = None
    waits: list[tuple[str, str, str]] = field(default_factory=list)


async def plan_windows(run: JobRun) -> int:
    """Plan everything that was staged; the number of windows kept under the plan's id."""
    n = 0
    buffer: list[Seen] = []
    for rows in run.store.staged(run.job.name, run.plan.id):
        buffer += rows
        while len(buffer) >= WINDOW:
            n = _keep(run, n, await plan_seen(run, buffer[:WINDOW]))
            del buffer[:WINDOW]
            run.progress("planning", n * WINDOW, run.tally.read)
    if buffer:
        n = _keep(run, n, await plan_seen(run, buffer))
    if run.job.deletes_follow and not run.options.inbox_only:
        n = await _plan_deletes(run, n)
    return n


def _estimate(run: JobRun, changes: Sequence[Change]) -> None:
    """Calls that carrying out a window takes: re-reading it, writing it, reading it back."""
    writes = [c for c in changes if c.action != "settle"]
    source, target = run.source.resource, run.target.resource
    run.cost(run.source, source.way("fetch"), len(writes), reading=True)
    updates = sum(c.action == "update" for c in writes)
    run.cost(run.target, target.way("fetch"), updates)
    for op in ("create", "update", "archive"):
        run.cost(run.target, target.way(op), sum(c.action == op for c in writes))
    run.cost(
        run.target, target.way("fetch"), sum(c.action != "archive" for c in writes)
    )


def _keep(run: JobRun, n: int, changes: Sequence[Change]) -> int:
    """Store a window; count what it will do."""
    kept = _within(run, changes)
    for c in kept:
        run.plan.counts[c.action] = run.plan.counts.get(c.action, 0) + 1
        run.tally.clears += c.clears
        if c.action != "settle":
            run.tally.by_reason[c.reason] += 1
            run.tally.by_field.update(_shown_fields(c))
    _estimate(run, kept)
    if kept:
        run.store.save_window(run.job.name, run.plan.id, n, kept)
        n += 1
    return n


def _shown_fields(change: Change) -> Iterable[str]:
    return change.fields if change.action == "update" else ()


def _within(run: JobRun, changes: Sequence[Change]) -> Sequence[Change]:
    """Changes that ``--only`` and ``--limit`` let through; the others are left for later."""
    allowed, limit = run.options.only, run.options.limit
    if limit is None and allowed == ALL_WRITES:
        return changes
    kept, left = [], []
    counts = run.plan.counts
    planned = sum(counts.get(kind, 0) for kind in ALL_WRITES)
    for c in changes:
        if c.action == "settle":
            kept.append(c)
        elif c.action in allowed and (limit is None or planned < limit):
            kept.append(c)
            planned += 1
        else:
            left.append(c)
    run.tally.add("blocked", len(left))
    run.look_again([c.source.id for c in left if c.source], "limit")
    return kept


async def plan_seen(run: JobRun, seen: Sequence[Seen]) -> list[Change]:
    """What is to be done about these source records."""
    subjects = _subjects(run, seen)
    _find_links(run, subjects)
    subjects = _decide(run, subjects)
    translate(run, subjects)
    await _read_targets(run, subjects)
    changes = [c for s in subjects if (c := _change(run, s)) is not None]
    return _suppress(run, changes)


def _subjects(run: JobRun, seen: Sequence[Seen]) -> list[Subject]:
    found = []
    for s in seen:
        view, bad = run.source.spoke.view(s.raws)
        run.tally.bad(bad)
        found.append(Subject(s, view, b"", reject=any(b.reject for b in bad)))
    return found


def _find_links(run: JobRun, subjects: Sequence[Subject]) -> None:
    """Hub ids: an existing link's, the record key's, else one computed from the record."""
    source, target, store = run.source, run.target, run.store
    links = store.links(
        source.home, source.resource.name, [s.seen.id for s in subjects]
    )
    bases = store.bases(run.job.name, source.name, [k.hub for k in links.values()])
    for s in subjects:
        link = links.get(s.seen.id)
        s.hub = link.hub if link else _new_hub(run, s.seen)
        if s.hub in bases:
            s.base = source.bases.unpack(bases[s.hub], s.hub)
    there = store.records(target.home, target.resource.name, [s.hub for s in subjects])
    for s in subjects:
        if s.hub in there:
            s.target_id, gone = there[s.hub]
            if gone:
                s.target_id = ""


def _new_hub(run: JobRun, seen: Seen) -> bytes:
    if seen.key:
        with suppress(ValueError):
            return uuid.UUID(seen.key).bytes
    side = run.source
    return hub_id(run.tenant, side.home, side.resource.name, seen.id)


def _decide(run: JobRun, subjects: list[Subject]) -> list[Subject]:
    """Who the unlinked are; those the hub may not decide become conflicts and leave the window."""
    unknown = [s for s in subjects if s.target_id is None]
    if not unknown:
        return subjects
    held: set[int] = set()
    by_key = _by_key(run, unknown)
    same, other = _relatives(run, unknown)
    taken = _taken(run, other)
    doubtful = run.store.doubtful(
        run.job.name, run.source.name, [s.seen.id for s in unknown]
    )
    for s in unknown:
        record = s.seen.id
        if s.hub in by_key:
            s.target_id = by_key[s.hub]
            continue
        filled = run.source.identities.filled(s.view)
        found = match(
            record, filled, same.get(record, ()), other.get(record, ()), taken
        )
        if found.kind == "one":
            owner = run.claimed.setdefault(found.records[0], record)
            if owner != record:
                found = Match("taken", found.records)
            else:
                s.target_id = found.records[0]
        if found.kind != "one" and record in doubtful:
            run.tally.add("conflicts")
            held.add(id(s))
        elif found.kind not in {"new", "one"} and not _may_create(run, found):
            _conflict(run, s, found)
            held.add(id(s))
    return [s for s in subjects if id(s) not in held]


def _by_key(run: JobRun, unknown: Sequence[Subject]) -> dict[bytes, str]:
    """Target records that carry the record key of these subjects, by hub id."""
    job, target = run.job.name, run.target
    if not run.store.keyed(job, target.name):
        return {}
    hubs = {target.identities.key_mark(s.hub): s.hub for s in unknown}
    kin = run.store.kin(job, target.name, hubs)
    return {hubs[mark]: found[0].record for mark, found in kin.items()}


def _relatives(
    run: JobRun, unknown: Sequence[Subject]
) -> tuple[dict[str, list[Kin]], dict[str, list[Kin]]]:
    """Who shares an identity with each subject, on its own side and on the other."""
    same: dict[str, list[Kin]] = {}
    other: dict[str, list[Kin]] = {}
    for record, there, kin in run.store.relatives(
        run.job.name, run.source.name, run.target.name, [s.seen.id for s in unknown]
    ):
        (other if there else same).setdefault(record, []).append(kin)
    return same, other


def _taken(run: JobRun, other: Mapping[str, list[Kin]]) -> frozenset[str]:
    """Those of the other side's kin that are linked already."""
    target = run.target
    records = {k.record for kin in other.values() for k in kin}
    return frozenset(run.store.links(target.home, target.resource.name, records))


def _may_create(run: JobRun, found: Match) -> bool:
    """A record without identity may be created where nothing can be there twice."""
    if found.kind != "unknown":
        return False
    if run.job.create_without_identity:
        return True
    return run.store.fact(run.job.name, run.target.name, "first") == "empty"


def _conflict(run: JobRun, s: Subject, found: Match) -> None:
    kind = "no identity" if found.kind == "unknown" else found.kind
    mine, other = run.source.name, run.target.name
    members = [(mine, s.seen.id)]
    members += [(mine if kind == "twins" else other, r) for r in found.records]
    group = sorted(r for side, r in members if kind == "twins" or side == mine)
    subject = change_hash(run.key, ["conflict", kind, group])
    detail = {"source": run.source.connection, "target": run.target.connection}
    run.tally.add("conflicts")
    held = Held(kind, subject, tuple(members), detail)
    if run.planning:
        run.held.append(held)
    else:
        hold(run, held)


def translate(run: JobRun, subjects: Sequence[Subject]) -> None:
    """Links of the source become links of the target; those without a counterpart are left out."""
    for name, route in run.routes.items():
        asked = {v.id for s in subjects if isinstance(v := s.view.get(name), Ref)}
        if not asked:
            continue
        links = run.store.links(run.source.home, route.source, asked)
        there = run.store.records(
            run.target.home, route.target, [k.hub for k in links.values()]
        )
        for s in subjects:
            ref = s.view.get(name)
            if not isinstance(ref, Ref):
                continue
            link = links.get(ref.id)
            found = there.get(link.hub) if link else None
            if found is None or found[1]:
                del s.view[name]
                s.waits.append((name, route.source, ref.id))
            else:
                s.view[name] = Ref(route.target, found[0])


async def _read_targets(run: JobRun, subjects: Sequence[Subject]) -> None:
    ids = [s.target_id for s in subjects if s.target_id]
    if not ids:
        return
    here, gone = await fetch(run.target, ids)
    if gone:
        run.store.lose(run.target.home, run.target.resource.name, list(gone))
    for s in subjects:
        if s.target_id:
            s.target = here.get(s.target_id)
            if s.target_id in gone:
                s.target_id = ""


def target_view(run: JobRun, seen: Seen) -> dict[str, Any]:
    """A target record in the hub's words, its links spelled as ``translate`` spells them."""
    view, _ = run.target.spoke.view(seen.raws)
    for name, route in run.routes.items():
        ref = view.get(name)
        if isinstance(ref, Ref):
            view[name] = Ref(route.target, ref.id)
    return view


def _change(run: JobRun, s: Subject) -> Change | None:
    waits = tuple(s.waits)
    if s.reject:
        _refuse(run, s)
        return None
    if any(name in run.target.resource.needs for name, _, _ in waits):
        run.tally.add("blocked")
        wait_for_links(run, [(s.seen, waits)])
        return None
    if s.target_id == "":
        run.tally.add("unchanged")
        return None
    if s.target_id is None:
        fields = tuple(n for n in run.travelling if n in s.view)
        return Change(
            "create",
            s.hub,
            s.seen,
            None,
            fields,
            waits=waits,
            first=True,
            reason="new at the source",
        )
    if s.target is None:
        run.tally.add("stale")
        run.tally.new_stale += 1
        return None
    return _update(run, s, waits)


def _refuse(run: JobRun, s: Subject) -> None:
    """A value the mapping says to reject on (``bad: reject``) holds its whole record."""
    _, bad = run.source.spoke.view(s.seen.raws)
    fields = [b.field for b in bad if b.reject]
    known = change_hash(run.key, ["unreadable", s.seen.raws, run.rules()])
    run.tally.add("dead_letters")
    if run.planning:
        run.unread.append(s.seen.id)
    elif run.store.open_letters(run.job.name, [s.seen.id]).get(s.seen.id) != known:
        run.tally.new_letters += 1
        message = f"a value of {', '.join(fields)} cannot be read"
        letter = (s.seen.id, s.hub, "read", "UNREADABLE", fields, known, message)
        run.store.bury(run.job.name, [letter], run.number, run.clock.now())


def _update(run: JobRun, s: Subject, waits: tuple[tuple[str, str, str], ...]) -> Change:
    assert s.target is not None  # noqa: S101 - decided by the caller
    base = s.base
    moved = None if base is None else _moved(run, s, base)
    flow = one_way(
        _eligible(run, s, base),
        s.view,
        target_view(run, s.target),
        moved=moved,
        revert=run.job.revert,
    )
    first = base is None
    blank = sum(s.view[n] in (None, ()) for n in flow.write)
    if not flow.write:
        return Change(
            "settle", s.hub, s.seen, s.target, (), flow.agreed, waits, first=first
        )
    reason = "linked by identity" if first else "changed at the source"
    return Change(
        "update",
        s.hub,
        s.seen,
        s.target,
        flow.write,
        flow.agreed,
        waits,
        blank,
        first,
        reason,
    )


def _moved(run: JobRun, s: Subject, base: Base) -> set[str]:
    bases = run.source.bases
    moved = bases.moved(base, s.seen.raws)
    if s.seen.id in run.replayed:
        moved |= set(run.travelling) - bases.based(base)
    return moved


def _eligible(run: JobRun, s: Subject, base: Base | None) -> Iterable[str]:
    """Fields that may travel: a rule that is new or edited waits for its backfill."""
    if base is None or s.seen.id in run.replayed:
        return run.travelling
    based = run.source.bases.based(base)
    return tuple(n for n in run.travelling if n in based)


def _suppress(run: JobRun, changes: list[Change]) -> list[Change]:
    """Leave out what a vendor has refused before and nothing has changed about since."""
    writes = [c for c in changes if c.action != "settle" and c.source]
    letters = run.store.open_letters(
        run.job.name, [c.source.id for c in writes if c.source]
    )
    if not letters:
        return changes
    kept = []
    for c in changes:
        known = letters.get(c.source.id) if c.source else None
        if (
            known is not None
            and known == refused(run, c)
            and c.source
            and c.source.id not in run.replayed
        ):
            run.tally.add("dead_letters")
        else:
            kept.append(c)
    return kept


def refused(run: JobRun, change: Change) -> bytes:
    """What a dead letter of this change is known by."""
    raws = change.source.raws if change.source else ()
    return change_hash(run.key, [change.action, raws, run.rules()])


def wait_for_links(
    run: JobRun, waiting: Iterable[tuple[Seen, Sequence[tuple[str, str, str]]]]
) -> None:
    """Remember whose link fields follow later."""
    run.store.wait(
        run.job.name,
        run.source.name,
        [
            (s.id, run.source.home, resource, record)
            for s, waits in waiting
            for _, resource, record in waits
        ],
    )


async def _plan_deletes(run: JobRun, n: int) -> int:
    """Archive at the target what the source says is gone; only on the vendor's own word."""
    source, target = run.source, run.target
    if "deleted" not in source.resource.feeds:
        return n
    kept = run.store.cursor(run.job.name, source.name, "deleted")
    changes: list[Change] = []
    async for page in pages(source, "deleted", kept[0] if kept else None):
        if page.mark is not None:
            run.marks.setdefault(f"{source.name}/deleted", page.mark)
        gone = [g for g in page.records if isinstance(g, Gone) and g.why == "deleted"]
        links = run.store.links(source.home, source.resource.name, [g.id for g in gone])
        there = run.store.records(
            target.home, target.resource.name, [k.hub for k in links.values()]
        )
        for g in gone:
            link = links.get(g.id)
            record = there.get(link.hub) if link else None
            if link and record and not record[1]:
                here = Seen(g.id, None, None, None, ())
                at = Seen(record[0], None, None, None, ())
                changes.append(
                    Change("archive", link.hub, here, at, reason="gone at the source")
                )
    run.tally.read += len(changes)
    for i in range(0, len(changes), WINDOW):
        n = _keep(run, n, changes[i : i + WINDOW])
    return n
