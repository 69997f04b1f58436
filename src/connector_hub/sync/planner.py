"""From staged records to windows of changes. Writes to no vendor.

A window is planned as a whole: one look-up of links, one of identity, one read of the counterparts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from msgspec import structs

from connector_hub.model.conflict import FIELDS
from connector_hub.model.job import SIDES, SideName, across
from connector_hub.model.link import Kin, Match
from connector_hub.model.mapping import blank
from connector_hub.model.merge import Merged
from connector_hub.model.plan import Change, Seen, Wait
from connector_hub.model.record import EMPTY, Gone
from connector_hub.sync import fights, pilot, rivals, targets
from connector_hub.sync.archiving import edited, plan_archives, told_as_deleted
from connector_hub.sync.base import change_hash
from connector_hub.sync.linking import (
    Relatives,
    Subject,
    find_links,
    match_unlinked,
    relatives,
    view_subjects,
)
from connector_hub.sync.newest import by_time
from connector_hub.sync.pairing import (
    contested,
    decisions,
    held,
    leaves_scope,
    merge_subject,
    referable,
    sayable,
)
from connector_hub.sync.plans import count_writes
from connector_hub.sync.reading import ABSENT, FIRST, bury, free, index, met_at_left
from connector_hub.sync.run import ALL_WRITES, Held, JobRun, Member, hold
from connector_hub.sync.sides import LiveSide, fetch
from connector_hub.sync.views import linked_across, read_views

WINDOW = 2000
"""Records planned and written together; memory is proportional to it."""


async def plan_windows(run: JobRun) -> int:
    """Plan everything that was staged; the number of windows kept under the plan's id."""
    run.store.forget_claims()
    n = 0
    for side in run.sources:
        buffer: list[Seen] = []
        for rows in run.store.staged(run.job.name, run.plan.id, side.name):
            buffer += _once(run, side, rows)
            while len(buffer) >= WINDOW:
                at = run.clock.monotonic()
                n = keep_window(run, n, await plan_seen(run, side, buffer[:WINDOW]), at)
                del buffer[:WINDOW]
                run.progress("planning", n * WINDOW, run.tally.read)
        if buffer:
            at = run.clock.monotonic()
            n = keep_window(run, n, await plan_seen(run, side, buffer), at)
    if run.job.deletes_follow and not run.options.inbox_only:
        for side in run.sources:
            if side.name in run.thin and run.options.allow_deletes is None:
                run.held_marks.add(f"{side.name}/deleted")
            else:
                n = await _plan_deletes(run, side, n)
    return n


def _estimate(run: JobRun, changes: Sequence[Change]) -> None:
    """Calls that carrying out a window takes: re-reading it, writing it, reading it back."""
    looked_at = Counter(c.here for c in changes if c.writes())
    writes: Counter[tuple[SideName, str]] = Counter(
        (name, str(c.op)) for c in changes for name in c.writes()
    )
    for side in run.sides:
        fetch_way = side.resource.way("fetch")
        n = {op: writes[side.name, op] for op in ALL_WRITES}
        run.cost(side, fetch_way, looked_at[side.name], reading=True)
        run.cost(side, fetch_way, n["update"] + n["archive"])
        for op, rows in n.items():
            run.cost(side, run.way(side, op), rows)
        run.cost(side, fetch_way, n["create"] + n["update"])


def keep_window(run: JobRun, n: int, changes: Sequence[Change], at: float) -> int:
    """Store window ``n``, whose counterparts were read from ``at`` on; count what it will do.

    Returns:
        The next window's number.
    """
    kept = _within(run, changes)
    counts = run.plan.counts
    for c in kept:
        counts[c.action] = counts.get(c.action, 0) + 1
        run.tally.clears += c.clears
        if c.asks:
            counts["asks"] = counts.get("asks", 0) + 1
        if c.action != "settle":
            run.tally.by_reason[c.reason] += 1
        if c.op == "update":
            run.tally.by_field.update({*c.to_left, *c.to_right})
    count_writes(run, kept)
    _estimate(run, kept)
    if kept:
        run.store.save_window(run.job.name, run.plan.id, n, kept)
        here = {c.here for c in kept if c.here in c.writes()}
        run.read_at[n] = min([at, *(run.began.get(name, at) for name in here)])
        n += 1
    return n


def _within(run: JobRun, changes: Sequence[Change]) -> Sequence[Change]:
    """Changes that ``--only`` and ``--limit`` let through; the others are left for later."""
    allowed, limit = run.options.only, run.options.limit
    if limit is None and allowed == ALL_WRITES:
        return changes
    kept: list[Change] = []
    left: list[Change] = []
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
    put_off(run, left, "limit")
    return kept


def put_off(run: JobRun, changes: Iterable[Change], why: str) -> None:
    """Changes that are not made now are looked at again; for an archive its feed is read again."""
    for c in changes:
        if c.action == "archive":
            run.held_marks.add(f"{c.here}/{run.side(c.here).gone_by}")
        else:
            run.look_again([(c.here, c.record)], why)


async def plan_seen(run: JobRun, side: LiveSide, seen: Sequence[Seen]) -> list[Change]:
    """What is to be done about these records of a side."""
    subjects = [Subject(s) for s in seen]
    pilot.join(run, side, seen)
    find_links(run, side, subjects)
    view_subjects(run, side, subjects)
    kin = await _look_at_kin(run, side, subjects)
    subjects = _decide(run, side, subjects, kin)
    await _read_counterparts(run, side, subjects)
    await targets.look_at(run, side, subjects)
    decided = decisions(run, side, subjects)
    fights.look_up(run, subjects)
    for hub, told in (await by_time(run, contested(run, side, subjects))).items():
        decided[hub] = told | decided.get(hub, {})
    changes = []
    for s in subjects:
        change = _change(run, side, s, decided.get(s.hub, {}))
        if change is not None:
            changes.append(change)
    rivals.compare(run)
    _claim(run, side, subjects)
    return _suppress(run, changes)


def _once(run: JobRun, side: LiveSide, seen: Sequence[Seen]) -> Sequence[Seen]:
    """Records that were not planned already together with their counterpart; a pair counts once."""
    if not run.job.two_way:
        return seen
    claimed = run.store.claimed(side.name, [s.id for s in seen])
    run.tally.read -= len(claimed)
    rest = [s for s in seen if s.id not in claimed]
    if side.name == "right":
        links = side.links([s.id for s in rest])
        met = met_at_left(run, [k.hub for k in links.values()])
        run.tally.merge_pairs(len(met))
    return rest


def _claim(run: JobRun, side: LiveSide, subjects: Sequence[Subject]) -> None:
    """Counterparts that were looked at here are not planned again from their own side."""
    if run.job.two_way:
        there = across(side.name)
        run.store.claim((there, s.there_id, s.seen.id) for s in subjects if s.there_id)


async def _look_at_kin(
    run: JobRun, side: LiveSide, subjects: Sequence[Subject]
) -> Relatives:
    """Before records are held because of others: are these still there? A merge leaves no trace in a feed.

    Returns the relatives of those that have no counterpart, as they are now.
    """
    unknown = [s for s in subjects if _is_unknown(run, side, s)]
    same, other = relatives(run, side, unknown)
    moved = False
    doubted = {
        side.name: {
            *(k.record for kin in same.values() for k in kin),
            *_holders(run, side, {k.record for kin in other.values() for k in kin}),
        },
        across(side.name): {
            k.record for kin in other.values() if len(kin) > 1 for k in kin
        },
    }
    for name, records in doubted.items():
        at = run.side(name)
        met = run.store.passed(run.job.name, name, records, run.number)
        here, gone = await fetch(at, sorted(records - met))
        moved = moved or bool(here or gone)
        with run.store.transaction():
            bury(run, at, list(gone.values()))
            index(run, at, here.values(), met=False)
    return relatives(run, side, unknown) if moved else (same, other)


def _holders(run: JobRun, side: LiveSide, records: Collection[str]) -> list[str]:
    """Whose counterparts these records of the other side are."""
    links = run.other(side).links(records)
    found = side.records({k.hub for k in links.values() if not k.gone})
    return [record for record, gone in found.values() if not gone]


def _is_unknown(run: JobRun, side: LiveSide, s: Subject) -> bool:
    """Whether it is to be asked who a record is; one that is back alone may have been replaced."""
    alone = s.there_id == "" and (side.name, s.seen.id) in run.back
    return s.there_id is None or alone


def _decide(
    run: JobRun, side: LiveSide, subjects: list[Subject], kin: Relatives
) -> list[Subject]:
    """Who the unlinked are; those the hub may not decide become conflicts and leave the window."""
    unknown = [s for s in subjects if _is_unknown(run, side, s)]
    if not unknown:
        return subjects
    held: set[int] = set()
    found = match_unlinked(run, side, unknown, kin)
    partners = [m.records[0] for m in found.values() if m.kind == "one"]
    free = run.other(side).links(partners)
    candidates = [s for s in unknown if found[s.seen.id].kind == "candidates"]
    _, there = relatives(run, side, candidates)
    ids = [s.seen.id for s in unknown]
    doubtful = run.store.doubtful(run.job.name, side.name, ids)
    for s in unknown:
        decided = found[s.seen.id]
        if s.there_id == "" and decided.kind in {"one", "new", "unknown"}:
            _stays_alone(run, side, s, decided)
        elif decided.kind == "one":
            s.there_id = decided.records[0]
            s.hub = free[s.there_id].hub if s.there_id in free else s.hub
        elif s.seen.id in doubtful:
            run.tally.add("conflicts")
            held.add(id(s))
        elif decided.kind != "new" and not run.looks_after((side.name, s.seen.id)):
            run.tally.add("unchanged")
            held.add(id(s))
        elif decided.kind != "new" and not run.job.covers(s.view):
            _leave(run, side, s)
            held.add(id(s))
        elif decided.kind != "new" and not _may_create(run, side, decided):
            _conflict(run, side, s, decided, there.get(s.seen.id, ()))
            held.add(id(s))
    return [s for s in subjects if id(s) not in held]


def _stays_alone(run: JobRun, side: LiveSide, s: Subject, found: Match) -> None:
    """A record that is back and whose counterpart is not: nothing is made anew; told once."""
    other = run.other(side)
    run.look_again([(other.name, r) for r in found.records], "freed")
    if not run.planning:
        lost = f"{other.connection}: {s.lost} is not"
        run.note(f"{side.connection}: {s.seen.id} is back, {lost}")


def _may_create(run: JobRun, side: LiveSide, found: Match) -> bool:
    """A record without identity may be created where nothing can be there twice."""
    if found.kind != "unknown":
        return False
    if run.job.create_without_identity:
        return True
    return run.store.fact(run.job.name, across(side.name), FIRST) == "empty"


def _conflict(
    run: JobRun, side: LiveSide, s: Subject, found: Match, there: Iterable[Kin]
) -> None:
    """Hold a record. Twins are one conflict, whoever of the group or of their counterparts finds it."""
    here, other = side.name, across(side.name)
    kind = "no identity" if found.kind == "unknown" else found.kind
    member: Member = (here, s.seen.id)
    if kind == "twins":
        group = sorted([member, *((here, r) for r in found.records)])
    elif kind == "candidates" and len({k.slot for k in there}) == 1:
        kind, group = "twins", sorted((other, r) for r in found.records)
    else:
        group = [member]
    matched = [(here if kind == "twins" else other, r) for r in found.records]
    members = sorted({member, *group, *(matched if kind != "twins" else ())})
    subject = change_hash(run.key, ["conflict", kind, group])
    run.tally.add("conflicts")
    held = Held(kind, subject, tuple(members), {}, member)
    if run.planning:
        run.held.append(held)
    else:
        hold(run, held)


async def _read_counterparts(
    run: JobRun, side: LiveSide, subjects: Sequence[Subject]
) -> None:
    """Read those across whose records are linked or matched."""
    other = run.other(side)
    ids = [known for s in subjects if (known := s.there_id or s.lost)]
    if not ids:
        return
    here, gone = await fetch(other, ids)
    bury(run, other, list(gone.values()))
    for s in subjects:
        if s.there_id == "" and s.lost in here:
            run.store.link([other.link_row(s.lost, s.hub)])
            s.there_id = s.lost
        if s.there_id:
            s.there = here.get(s.there_id)
            if s.there_id in gone or s.there_id in other.left_alone:
                s.there_id = ""
    found = [s for s in subjects if s.there is not None]
    read = read_views(run, other, [s.there for s in found if s.there])
    for s, theirs in zip(found, read, strict=True):
        s.there_view, s.there_hidden = theirs.view, theirs.hidden
        if run.job.two_way:
            s.waits += theirs.waits


def _change(
    run: JobRun, side: LiveSide, s: Subject, decided: Mapping[str, SideName]
) -> Change | None:
    if _held_back(run, side, s):
        return None
    covered = run.job.covers(s.view) or (bool(s.there) and run.job.covers(s.there_view))
    if s.there_id == "":
        run.tally.add("unchanged")
        return None
    if not covered:
        return _out(run, side, s)
    if s.there_id is None:
        return _create(run, side, s)
    if s.there is None:
        _absent(run, side, s)
        return None
    return _update(run, side, s, decided)


def _held_back(run: JobRun, side: LiveSide, s: Subject) -> bool:
    """Whether nothing can be done about a record now: it is counted, and told where people must act."""
    other = run.other(side)
    mine, theirs = (side.name, s.seen.id), (other.name, s.there_id or "")
    if not run.looks_after(mine, theirs):
        run.tally.add("unchanged")
        return True
    pilot.take_along(run, side, s.seen.id, s.waits)
    if s.rejects:
        _refuse(run, side, s)
    elif any(name in other.resource.needs for _, name, _, _ in s.waits):
        run.tally.add("blocked")
        wait_for_links(run, side.name, [(s.seen.id, s.waits)])
    else:
        return False
    return True


def _create(run: JobRun, side: LiveSide, s: Subject) -> Change | None:
    other = run.other(side)
    into = run.job.side(other.name).target(s.view)
    if into is None or not run.job.creates_at(other.name):
        _leave(run, side, s)
        return None
    fields = _fields_of_new(run, side, s, into)
    made = _made(run, side, "create", s, {other.name: fields}, "new at the source")
    return structs.replace(made, into=into) if other.places else made


def _fields_of_new(
    run: JobRun, side: LiveSide, s: Subject, into: str
) -> tuple[str, ...]:
    """The fields a new record is made with: those whose conditions hold there, and that can be said there."""
    spoke = run.other(side).spoke_at(into)
    names = [n for n in run.travelling(side, s.seen.id, into) if n in s.view]
    if spoke.conditions:
        out = spoke.outside(spoke.filled({n: s.view[n] for n in names}))
        names = [n for n in names if n not in out]
    return sayable(run, spoke, referable(run, spoke, names, s.view), s.view)


def _out(run: JobRun, side: LiveSide, s: Subject) -> Change | None:
    """What becomes of a pair that the job does not look after any more."""
    if s.base is not None and s.there is not None:
        if run.job.leaving == "delete":
            return _withdraw(run, side, s)
        if run.job.leaving == "unlink":
            made = _made(run, side, "settle", s, {}, "left the scope")
            return structs.replace(made, leaves=True)
    _leave(run, side, s)
    return None


def _withdraw(run: JobRun, side: LiveSide, s: Subject) -> Change | None:
    """Archive the copy of a record that has left; one that was edited since stays."""
    other = run.other(side)
    assert s.there is not None  # noqa: S101 - decided by the caller
    if s.there_base and edited(other, s.there_base, s.there):
        run.note(f"{other.connection}: {s.there.id} was edited, and stays")
        _leave(run, side, s)
        return None
    made = _made(run, side, "archive", s, {}, "left the scope")
    return structs.replace(made, leaves=True)


def part(run: JobRun, hub: bytes, records: Mapping[SideName, str]) -> None:
    """Two records are one thing no more; each is met again as if for the first time."""
    for name, record in records.items():
        run.side(name).unlink([record])
    run.store.forget_bases(run.job.name, [hub])


def _leave(run: JobRun, side: LiveSide, s: Subject) -> None:
    """A record the job does not look after, or not any more: nothing about it is open."""
    run.tally.add("unchanged")
    if not run.planning:
        free(run, side, [s.seen.id])
        free(run, run.other(side), [s.there_id] if s.there_id else [])


def _absent(run: JobRun, side: LiveSide, s: Subject) -> None:
    """The counterpart is not answered, and not told as gone either: believed when it happens twice."""
    other, me = run.other(side), (side.name, s.seen.id)
    run.store.forget(run.job.name, other.name, [s.there_id or ""])
    if me in run.absent:
        other.lose([s.there_id or ""])
        run.tally.add("unchanged")
        return
    run.tally.add("stale")
    run.tally.new_stale += 1
    run.look_again([me], ABSENT)


def _made(  # noqa: PLR0917 - the parts of a change
    run: JobRun,
    side: LiveSide,
    action: Any,
    s: Subject,
    fields: Mapping[str, tuple[str, ...]],
    reason: str,
    merged: Merged = Merged(),  # noqa: B008 - frozen
) -> Change:
    first = s.base is None
    left, right = (s.seen, s.there) if side.name == "left" else (s.there, s.seen)
    clears = 0
    if action == "update":
        clears = sum(_clears(run, side, s, to, named) for to, named in fields.items())
    return Change(
        action,
        s.hub,
        side.name,
        left,
        right,
        fields.get("left", ()),
        fields.get("right", ()),
        merged.agreed,
        merged.asks,
        s.waits,
        clears,
        first,
        reason,
    )


def _clears(
    run: JobRun, side: LiveSide, s: Subject, to: str, names: Sequence[str]
) -> int:
    """How many fields a write to a side empties."""
    if not names or s.there is None:
        return 0
    here = to == side.name
    view, hidden = (s.there_view, s.there_hidden) if here else (s.view, s.hidden)
    at, target = (side, s.seen) if here else (run.other(side), s.there)
    defaults = at.spoke.of(target.raws).defaults
    return sum(
        n not in defaults and n not in (hidden or EMPTY) and blank(view.get(n))
        for n in names
    )


def _refuse(run: JobRun, side: LiveSide, s: Subject) -> None:
    """A value the mapping says to reject on (``bad: reject``) holds its whole record."""
    record = s.seen.id
    known = unreadable(run, s.seen)
    run.tally.add("dead_letters")
    if run.planning:
        run.unread.append((side.name, record))
        return
    letters = run.store.open_letters(run.job.name, side.name, [record])
    if letters.get(record) != known:
        run.tally.new_letters += 1
        message = f"a value of {', '.join(s.rejects)} cannot be read"
        letter = (record, s.hub, "read", "UNREADABLE", s.rejects, known, message)
        now = run.clock.now()
        run.store.bury(run.job.name, side.name, [letter], run.number, now)


def unreadable(run: JobRun, seen: Seen) -> bytes:
    """What the dead letter of a record that cannot be read is known by."""
    return change_hash(run.key, ["unreadable", seen.raws, run.rules()])


def _update(
    run: JobRun, side: LiveSide, s: Subject, decided: Mapping[str, SideName]
) -> Change | None:
    merged = merge_subject(run, side, s, decided)
    leaves = bool(run.job.only) and leaves_scope(run, side, s, merged)
    if leaves and run.job.leaving == "delete" and s.base is not None:
        return _withdraw(run, side, s)
    if leaves:
        merged = replace(merged, asks=())
    fields = {"left": merged.left, "right": merged.right}
    if not (merged.left or merged.right):
        made = _made(run, side, "settle", s, {}, "", merged)
    else:
        reason = "linked by identity" if s.base is None else "changed at the source"
        made = _made(run, side, "update", s, fields, reason, merged)
    if s.rows:
        made = structs.replace(made, rows=s.rows)
    if s.fights and not leaves:
        made = structs.replace(made, fights=s.fights)
    return structs.replace(made, leaves=True) if leaves else made


def _suppress(run: JobRun, changes: list[Change]) -> list[Change]:
    """Leave out writes a vendor has refused before and nothing has changed about since."""
    letters: dict[Member, bytes] = {}
    for side in run.sides:
        there = across(side.name)
        ids = (
            x.id for c in changes if there in c.writes() and (x := c.seen(side.name))
        )
        for record, known in run.store.open_letters(
            run.job.name, side.name, ids
        ).items():
            letters[side.name, record] = known
    if not letters:
        return changes
    kept = []
    for change in changes:
        left_out = [
            side
            for side in change.writes()
            if (source := _source(change, side)) is not None
            and source not in run.replayed
            and letters.get(source) == refused(run, change, side)
        ]
        if not left_out:
            kept.append(change)
        elif len(left_out) == len(change.writes()):
            run.tally.add("dead_letters")
            if change.asks and not run.planning:
                ask(run, change)
        else:
            kept.append(without(change, left_out))
    return kept


def ask(run: JobRun, c: Change) -> None:
    """Open the conflict about a pair's fields; what is fought over stays held until a person decides."""
    hold(run, asked(run, c))
    run.store.hold_swings(run.job.name, c.hub, c.fights)


def asked(run: JobRun, c: Change) -> Held:
    """The conflict about fields that both sides changed."""
    pair: list[Member] = [(name, x.id) for name in SIDES if (x := c.seen(name))]
    subject = change_hash(run.key, ["conflict", FIELDS, c.hub.hex()])
    detail: dict[str, Any] = {"hub": c.hub.hex(), "fields": ",".join(c.asks)}
    if c.fights:
        detail["fights"] = ",".join(c.fights)
    if c.left is not None and c.right is not None:
        detail["seen"] = held(run, c.left, c.right, c.asks)
    return Held(FIELDS, subject, tuple(pair), detail)


def without(change: Change, sides: Iterable[SideName]) -> Change:
    """A change less its writes to some sides."""
    return structs.replace(change, **{f"to_{side}": () for side in sides})


def _source(change: Change, side: SideName) -> Member | None:
    """The record whose values a write to ``side`` carries."""
    seen = change.seen(across(side))
    return (across(side), seen.id) if seen else None


def refused(run: JobRun, change: Change, side: SideName) -> bytes:
    """What a dead letter of this change's write to ``side`` is known by."""
    seen = change.seen(across(side))
    raws = seen.raws if seen else ()
    return change_hash(run.key, [change.action, raws, run.rules()])


def wait_for_links(
    run: JobRun, here: SideName, waiting: Iterable[tuple[str, Sequence[Wait]]]
) -> None:
    """Remember whose link fields follow later; one that could follow by now is looked at again."""
    listed = list(waiting)
    for side in run.sides:
        rows = [
            (record, side.home, resource, target)
            for record, waits in listed
            for name, _, resource, target in waits
            if name == side.name
        ]
        if rows:
            run.store.wait(run.job.name, here, rows)
    ready = {
        (here, record)
        for record, waits in listed
        for name, fieldname, _, target in waits
        if linked_across(run, run.side(name), fieldname, [target])
    }
    run.look_again(ready, "link")


async def _plan_deletes(run: JobRun, side: LiveSide, n: int) -> int:
    """Archive across what a side says is gone: on the vendor's own word, or on a listing of all there is."""
    at = run.clock.monotonic()
    changes: list[Change] = []
    if side.gone_by == "deleted":
        async for page in told_as_deleted(run, side, _deleted_mark(run, side)):
            if page.mark is not None:
                run.marks.setdefault(f"{side.name}/deleted", page.mark)
            told = [g for g in page.records if isinstance(g, Gone)]
            bury(run, side, [g for g in told if g.why != "deleted"])
            deleted = [g for g in told if g.why == "deleted"]
            changes += await plan_archives(run, side, [g.id for g in deleted])
            bury(run, side, deleted)
    elif side.name in run.listed:
        gone = side.unlisted(run.job.name)
        changes += await plan_archives(run, side, gone)
        side.lose(gone)
    run.tally.read += len(changes)
    for i in range(0, len(changes), WINDOW):
        n = keep_window(run, n, changes[i : i + WINDOW], at)
    return n


def _deleted_mark(run: JobRun, side: LiveSide) -> str | None:
    """Where the deleted feed is read from; None for everything it still knows."""
    kept = run.store.cursor(run.job.name, side.name, "deleted")
    return None if run.options.full or kept is None else kept[0]
