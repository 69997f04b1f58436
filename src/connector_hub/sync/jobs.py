"""What can be done with a job: plan it, sync it, apply a plan that was kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from connector_hub.errors import GuardTripped, PlanStale
from connector_hub.model.plan import Change, Seen
from connector_hub.sync.applier import apply_window
from connector_hub.sync.counting import balance, balance_plan
from connector_hub.sync.joining import joined, save
from connector_hub.sync.overtaken import (
    moved_since,
    overtaken,
    put_stale,
    settled_by_now,
    still_true,
)
from connector_hub.sync.planner import plan_seen, plan_windows
from connector_hub.sync.plans import (
    must_wait,
    over,
    planned_writes,
    prints,
    told,
    what_it_does,
)
from connector_hub.sync.reading import read_index, read_sides, store_marks
from connector_hub.sync.reconcile import reconcile
from connector_hub.sync.run import Held, JobRun, hold

_FRESH = 5.0
"""Seconds for which a target that was read may be written without reading it again."""


async def plan(run: JobRun) -> None:
    """Read both sides and keep the windows of what is to do. Writes to no vendor.

    The plan's counts, and in ``run.plan`` what people are shown, are filled in.
    """
    await reconcile(run)
    await read_sides(run)
    await plan_windows(run)
    balance_plan(run)
    save(run)
    _fill(run)


def _fill(run: JobRun) -> None:
    p, t = run.plan, run.tally
    actions = dict(p.counts)
    p.read = t.read
    p.counts = {
        "create": actions.get("create", 0),
        "update": actions.get("update", 0),
        "delete": actions.get("archive", 0),
        "clear": t.clears,
        "unchanged": t.outcomes["unchanged"] + actions.get("settle", 0),
        **{k: t.outcomes[k] for k in ("conflicts", "dead_letters", "blocked", "stale")},
    }
    p.counts["conflicts"] += actions.get("asks", 0)
    p.by_field, p.by_reason = dict(t.by_field), dict(t.by_reason)
    p.unreadable, p.drift = dict(t.unreadable), t.drift
    p.samples, p.unbased = dict(t.samples), dict(t.unbased)
    p.notes = list(run.notes)


async def sync(run: JobRun) -> bool:
    """Plan, ask the guard, write window by window, and move the cursors last.

    Returns:
        Whether that was done; a plan beyond ``apply: when`` is left to be kept, and nothing has been written.

    Raises:
        GuardTripped: nothing has been written.
    """
    await plan(run)
    guard(run)
    if must_wait(run):
        balance(run)
        return False
    if planned_writes(run.plan):
        await run.look()
    for n, planned in joined(run):
        changes = planned
        if run.clock.monotonic() - run.read_at.get(n, -_FRESH) > _FRESH:
            changes = await _again_where_moved(run, n, planned)
        await _apply(run, n, planned, changes)
    finish(run)
    return True


async def _apply(
    run: JobRun, n: int, planned: list[Change], changes: list[Change]
) -> None:
    """Write a window. What is kept of it is what will be sent, or nobody could look it up later."""
    if changes is not planned:
        run.store.save_window(run.job.name, run.plan.id, n, changes)
    await apply_window(run, n, changes)


def guard(run: JobRun) -> None:
    """Refuse a plan that does more than the job allows in one run.

    Raises:
        GuardTripped: names the bound and how to allow it once.
    """
    for name, most in over(run, run.job.guard).items():
        flag = " or pass --allow-deletes N" if name == "delete" else ""
        raise GuardTripped(
            f"job {run.job.name} would {what_it_does(run.plan, name)}, its guard allows {most:,}",
            hint=f"see `connector-hub plan {run.job.name} --all`; if it is right, "
            f"raise `guard: {{{name}: ...}}` in hub.yaml{flag}",
        )


def finish(run: JobRun) -> None:
    """The run is through: cursors move, what was staged goes.

    Raises:
        Unaccounted: the outcomes do not add up; what was read is read again by the next run.
    """
    balance(run)
    with run.store.transaction():
        store_marks(run)
        run.store.drop_windows(run.job.name, run.plan.id)


async def _again_where_moved(
    run: JobRun, n: int, changes: list[Change]
) -> list[Change]:
    """What is to be overwritten is read anew; what moved since it was planned is planned again."""
    moved: dict[int, Seen] = {}
    stale: set[int] = set()
    run.read_at[n] = run.clock.monotonic()
    for side in run.sides:
        written = [
            c for c in changes if c.action != "create" and side.name in c.writes()
        ]
        now = await moved_since(side, [s for c in written if (s := c.seen(side.name))])
        for c in written:
            there = c.seen(side.name)
            if there is None or there.id not in now:
                continue
            fresh = (
                now[there.id]
                if side.name == c.here
                else moved.get(id(c), c.seen(c.here))
            )
            if c.action == "archive" or fresh is None:
                stale.add(id(c))
            else:
                moved[id(c)] = fresh
    if not (moved or stale):
        return changes
    put_stale(run, [c for c in changes if id(c) in stale])
    kept = [c for c in changes if id(c) not in moved and id(c) not in stale]
    for side in run.sources:
        anew = [moved[id(c)] for c in changes if id(c) in moved and c.here == side.name]
        if anew:
            kept += await plan_seen(run, side, anew)
    return kept


async def apply(
    run: JobRun, document: Mapping[str, Any], begin: Callable[[], None]
) -> None:
    """Carry out exactly what a plan said, less what moved since. Never more.

    Args:
        run: under the plan's id, its options as the plan was made with.
        document: what ``plan_document`` kept.
        begin: called when everything was read that had to be, before the first write.

    Raises:
        GuardTripped, PlanStale: nothing has been written.
    """
    needs = document["needs"]
    if needs["spelling"] != _short(run.spelling):
        raise PlanStale(
            f"plan {run.plan.id} was made when the job was held to other records",
            where=run.job.name,
            hint=f"plan again: connector-hub plan {run.job.name}",
        )
    run.plan.counts = dict(needs["counts"])
    guard(run)
    await reconcile(run)
    marks = dict(needs["marks"])
    run.taken = {(side, r) for side, r in needs["taken"]}
    run.taken_to = dict(needs["taken_to"])
    run.held_marks = set(needs["held_marks"])
    for found in map(Held.of, needs["held"]):
        run.tally.read += 1
        if settled_by_now(run, found):
            run.tally.add("unchanged")
        else:
            hold(run, found)
            run.tally.add("conflicts")
    run.look_again([(side, r) for side, r in needs["unread"]], "plan")
    for side in run.sides:
        if run.plan.count("create") and run.job.creates_at(side.name):
            run.since[side.name] = marks.get(f"{side.name}/changed")
            await read_index(run, side)
    run.marks.clear()
    run.marks.update({} if overtaken(run, needs) else marks)
    if planned_writes(run.plan):
        await run.look()
    begin()
    for n, planned in joined(run):
        run.tally.read += len(planned)
        await _apply(run, n, planned, await still_true(run, n, planned, needs))
    finish(run)


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def plan_document(run: JobRun) -> dict[str, Any]:
    """What is kept of a plan besides the windows; ``needs`` is what an apply needs."""
    return {
        "plan": told(run.plan),
        "prints": prints(
            run.job,
            [{n: s.place(n).spoke for n in s.names} for s in run.sides],
            [s.home for s in run.sides],
            [s.connector.key for s in run.sides],
        ),
        "allow_deletes": run.options.allow_deletes,
        "needs": {
            "made": run.clock.now().isoformat(),
            "run": run.number,
            "spelling": _short(run.spelling),
            "counts": run.plan.counts,
            "marks": run.marks,
            "taken": sorted(run.taken - run.again),
            "taken_to": run.taken_to,
            "held_marks": sorted(run.held_marks),
            "held": [h.row() for h in run.held],
            "unread": run.unread,
        },
    }


__all__ = [
    "apply",
    "finish",
    "guard",
    "plan",
    "plan_document",
    "sync",
]
