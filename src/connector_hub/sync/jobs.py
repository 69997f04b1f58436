"""What can be done with a job: plan it, sync it, apply a plan that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connector_hub.errors import GuardTripped
from connector_hub.model.plan import Change, Seen
from connector_hub.sync.applier import apply_window
from connector_hub.sync.planner import plan_seen, plan_windows
from connector_hub.sync.reading import read_source, read_target, store_marks
from connector_hub.sync.reconcile import reconcile
from connector_hub.sync.run import Held, JobRun, hold
from connector_hub.sync.sides import LiveSide, fetch

_FRESH = 5.0
"""Seconds for which a target that was read may be written without reading it again."""


async def plan(run: JobRun) -> None:
    """Read both sides and keep the windows of what is to do. Writes to no vendor.

    The plan's counts, and in ``run.plan`` what people are shown, are filled in.
    """
    await reconcile(run)
    await read_target(run)
    await read_source(run)
    await plan_windows(run)
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
    p.by_field, p.by_reason = dict(t.by_field), dict(t.by_reason)
    p.unreadable, p.drift = dict(t.unreadable), t.drift


async def sync(run: JobRun) -> None:
    """Plan, ask the guard, write window by window, and move the cursors last.

    Raises:
        GuardTripped: nothing has been written.
    """
    await plan(run)
    guard(run)
    read_at = run.clock.monotonic()
    for n, planned in run.store.windows(run.job.name, run.plan.id):
        changes = planned
        if run.clock.monotonic() - read_at > _FRESH:
            changes = await _again_where_moved(run, planned)
        await _apply(run, n, planned, changes)
    finish(run)


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
    linked = run.store.linked(run.source.home, run.source.resource.name)
    limits = run.job.guard.limits(linked)
    if run.options.allow_deletes is not None:
        limits["delete"] = run.options.allow_deletes
    for name, most in limits.items():
        planned = run.plan.count(name)
        if planned > most:
            flag = " or pass --allow-deletes N" if name == "delete" else ""
            raise GuardTripped(
                f"job {run.job.name} would {name} {planned:,} records, its guard allows {most:,}",
                hint=f"see `connector-hub plan {run.job.name} --all`; if it is right, "
                f"raise `guard: {{{name}: ...}}` in hub.yaml{flag}",
            )


def finish(run: JobRun) -> None:
    """The run is through: cursors move, what was staged goes."""
    with run.store.transaction():
        store_marks(run)
        run.store.drop_windows(run.job.name, run.plan.id)


async def _again_where_moved(run: JobRun, changes: list[Change]) -> list[Change]:
    """Targets of this window are read anew; what moved since it was planned is planned again."""
    moved = await _moved(
        run.target,
        [c.target for c in changes if c.action == "update" and c.target],
    )
    if not moved:
        return changes
    kept = [c for c in changes if not (c.target and c.target.id in moved)]
    anew = [c.source for c in changes if c.target and c.target.id in moved and c.source]
    return kept + await plan_seen(run, anew)


async def _moved(side: LiveSide, known: Sequence[Seen]) -> set[str]:
    """Records that no longer hold what they held, or are not there."""
    if not known:
        return set()
    here, _ = await fetch(side, [s.id for s in known])
    return {
        s.id
        for s in known
        if s.id not in here
        or side.bases.record_hash(here[s.id].raws) != side.bases.record_hash(s.raws)
    }


async def apply(run: JobRun, document: dict[str, Any]) -> None:
    """Carry out exactly what a plan said, less what moved since. Never more.

    Args:
        run: under the plan's id, its options as the plan was made with.
        document: what ``plan_document`` kept.
    """
    await reconcile(run)
    marks = dict(document["marks"])
    run.taken = set(document["taken"])
    for row in document["held"]:
        hold(run, Held.of(row))
        run.tally.read += 1
        run.tally.add("conflicts")
    run.look_again(document["unread"], "plan")
    run.since[run.target.name] = marks.get(f"{run.target.name}/changed")
    if document["creates"]:
        await read_target(run)
    for name, mark in marks.items():
        run.marks.setdefault(name, mark)
    for n, planned in run.store.windows(run.job.name, run.plan.id):
        run.tally.read += len(planned)
        await _apply(run, n, planned, await _still_true(run, planned))
    finish(run)


def plan_document(run: JobRun) -> dict[str, Any]:
    """What an apply needs besides the windows."""
    return {
        "marks": run.marks,
        "taken": sorted(run.taken),
        "held": [h.row() for h in run.held],
        "unread": run.unread,
        "creates": run.plan.count("create"),
        "rules": run.rules(),
        "homes": [run.source.home, run.target.home],
        "job": repr(run.job),
        "shown": run.plan.document(),
    }


async def _still_true(run: JobRun, changes: list[Change]) -> list[Change]:
    """Changes whose source and target are as the plan saw them; the others are stale."""
    writes = [c for c in changes if c.action in {"create", "update"}]
    stale = await _moved(run.source, [c.source for c in writes if c.source])
    late = await _moved(
        run.target, [c.target for c in writes if c.action == "update" and c.target]
    )
    there = _there_by_now(run, [c for c in writes if c.action == "create"])
    kept = []
    for c in changes:
        source = c.source.id if c.source else ""
        moved = c.action in {"create", "update"} and (
            source in stale or source in there or bool(c.target and c.target.id in late)
        )
        if moved:
            run.tally.add("stale")
            run.tally.new_stale += 1
            run.look_again([source], "stale")
        else:
            kept.append(c)
    return kept if len(kept) < len(changes) else changes


def _there_by_now(run: JobRun, creates: Sequence[Change]) -> set[str]:
    """Sources of creates whose counterpart has appeared since the plan."""
    seen = {c.source.id: c for c in creates if c.source}
    source, target = run.source, run.target
    found = set(run.store.links(source.home, source.resource.name, list(seen)))
    marks = {}
    for record, c in seen.items():
        if c.source:
            view = source.spoke.identity(c.source.raws)
            own = target.identities.key_mark(c.hub)
            marks[record] = [*source.identities.marks(view, None).marks, own]
    wanted = {m for found in marks.values() for m in found}
    kin = run.store.kin(run.job.name, target.name, wanted)
    return found | {record for record, m in marks.items() if any(h in kin for h in m)}


__all__ = ["apply", "finish", "guard", "plan", "plan_document", "sync"]
