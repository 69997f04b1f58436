"""What of a plan still holds when it is carried out, and what has moved on since it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from connector_hub.model.job import SideName
from connector_hub.model.link import alike
from connector_hub.model.plan import Change, Seen
from connector_hub.sync.identity import Marks
from connector_hub.sync.planner import put_off
from connector_hub.sync.run import Held, JobRun
from connector_hub.sync.sides import LiveSide, fetch


def overtaken(run: JobRun, needs: Mapping[str, Any]) -> bool:
    """Whether the job has run through since the plan was made: that run has settled what the plan saw."""
    ended = run.store.ended_since(run.job.name, needs["run"], run.number)
    return not ended.isdisjoint({"done", "partial"})


def settled_by_now(run: JobRun, found: Held) -> bool:
    """Whether somebody has linked a record of a conflict since; the others are looked at again."""
    for name, record in found.members:
        side = run.side(name)
        link = side.links([record]).get(record)
        if link is None or link.gone:
            continue
        there = run.other(side).records([link.hub])
        if any(not gone for _, gone in there.values()):
            run.look_again(found.members, "linked")
            return True
    return False


async def moved_since(side: LiveSide, known: Sequence[Seen]) -> dict[str, Seen | None]:
    """Records that no longer hold what they held, as they are now; None for those that are not there.

    One that holds the same under a later version, as something moved that is not mapped, gets that version.
    """
    if not known:
        return {}
    here, _ = await fetch(side, [s.id for s in known])
    found: dict[str, Seen | None] = {}
    for s in known:
        now = here.get(s.id)
        if now is None or not _alike(side, now, s):
            found[s.id] = now
        else:
            s.version = now.version
    return found


def _alike(side: LiveSide, a: Seen, b: Seen) -> bool:
    return side.bases.record_hash(a.raws) == side.bases.record_hash(b.raws)


async def still_true(
    run: JobRun, n: int, changes: list[Change], needs: Mapping[str, Any]
) -> list[Change]:
    """Changes whose records are as the plan saw them, and linked as it saw them; the others are stale.

    What was only to be remembered is not read again: it goes when another run has come in between.
    """
    writes = [c for c in changes if c.action != "settle"]
    old = _overruled(run, changes, needs) | _relinked(run, changes)
    stale = {id(c) for c in writes if id(c) in old}
    run.read_at[n] = run.clock.monotonic()
    for side in run.sides:
        seen = {
            id(c): s
            for c in writes
            if (s := c.seen(side.name)) and not _is_gone(c, side.name)
        }
        moved = await moved_since(side, list(seen.values()))
        stale |= {i for i, s in seen.items() if s.id in moved}
        gone = [c for c in writes if _is_gone(c, side.name)]
        back, _ = await fetch(side, [c.record for c in gone])
        stale |= {id(c) for c in gone if c.record in back}
        creates = [c for c in writes if c.action == "create" and c.here == side.name]
        stale |= _there_by_now(run, side, creates)
    settles = [c for c in changes if c.action == "settle" and id(c) in old]
    run.tally.add("unchanged", len(settles))
    put_off(run, settles, "stale")
    put_stale(run, [c for c in changes if id(c) in stale])
    left_out = stale | {id(c) for c in settles}
    return [c for c in changes if id(c) not in left_out] if left_out else changes


def _overruled(
    run: JobRun, changes: Sequence[Change], needs: Mapping[str, Any]
) -> set[int]:
    """What a person has decided about since, and what another run may have settled since."""
    made = datetime.fromisoformat(needs["made"])
    decided = run.store.decided_since(run.job.name, made)
    found = {id(c) for c in changes if c.hub in decided}
    if run.store.ended_since(run.job.name, needs["run"], run.number):
        found |= {id(c) for c in changes if c.action == "settle"}
    return found


def _relinked(run: JobRun, changes: Sequence[Change]) -> set[int]:
    """Changes about records that are not linked any more as they were, by hand or by another run."""
    found: set[int] = set()
    hubs = [c.hub for c in changes]
    for side in run.sides:
        seen = [(c, s.id) for c in changes if (s := c.seen(side.name))]
        links = side.links([record for _, record in seen])
        holders = side.records(hubs)
        for c, record in seen:
            link = links.get(record)
            holder, gone = holders.get(c.hub, ("", True))
            others = link is not None and link.hub != c.hub
            parted = link is None and not (c.first or c.undoes or c.action == "create")
            if others or parted or (not gone and holder != record):
                found.add(id(c))
    return found


def _is_gone(c: Change, side: SideName) -> bool:
    """Whether a change is about this side's record being gone."""
    return c.action == "archive" and c.here == side and not c.leaves


def put_stale(run: JobRun, changes: Sequence[Change]) -> None:
    """Changes that are no longer what was planned: left out, and looked at again."""
    run.tally.add("stale", len(changes))
    run.tally.new_stale += len(changes)
    put_off(run, changes, "stale")


def _there_by_now(run: JobRun, side: LiveSide, creates: Sequence[Change]) -> set[int]:
    """Creates whose counterpart has appeared since the plan."""
    other = run.other(side)
    records = {c.record: c for c in creates}
    linked = side.links(records)
    known: dict[str, Marks] = {}
    for record, c in records.items():
        seen = c.seen(side.name)
        if seen is not None:
            known[record] = side.identities.of(seen.raws, None)
    own = {record: other.identities.key_mark(c.hub) for record, c in records.items()}
    wanted = {m for found in known.values() for m in found.marks} | {*own.values()}
    kin = run.store.kin(run.job.name, other.name, wanted)
    there = {
        record
        for record, found in known.items()
        if own[record] in kin
        or any(alike(found.filled, k) for m in found.marks for k in kin.get(m, ()))
    }
    return {id(records[r]) for r in there | set(linked)}
