"""Windows that are written together, where that lets a vendor's asynchronous way take them all in one go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from connector_hub.model.job import SideName
from connector_hub.model.plan import Change
from connector_hub.sdk.connector import Way
from connector_hub.sync.run import JobRun

Kind = tuple[SideName, str, str]
"""Writes that may go together: a side, a resource there, and an operation."""
_MOST = 10_000
"""Changes that are kept in memory together."""


def written(run: JobRun, changes: Iterable[Change]) -> Counter[Kind]:
    """How many writes of each kind some changes are."""
    found: Counter[Kind] = Counter()
    for c in changes:
        for name in c.writes():
            side, there = run.side(name), c.seen(name)
            resource = side.at(there.id)[0] if there else c.into or side.resource.name
            found[name, resource, str(c.op)] += 1
    return found


def later(run: JobRun, writes: Counter[Kind]) -> dict[Kind, Way]:
    """Those kinds of writes that go an asynchronous way when they go together."""
    ways = {
        kind: run.way(run.side(kind[0]), kind[2], kind[1], n)
        for kind, n in writes.items()
    }
    return {kind: way for kind, way in ways.items() if way.asynchronous}


def groups(run: JobRun, windows: Sequence[Counter[Kind]]) -> list[range]:
    """Which windows, by position, are written together; most stand alone."""
    found: list[range] = []
    start = 0
    while start < len(windows):
        end = _end(run, windows, start)
        found.append(range(start, end))
        start = end
    return found


def _end(run: JobRun, windows: Sequence[Counter[Kind]], start: int) -> int:
    """As many windows as fit an asynchronous job, if that is a way they go; else one."""
    together, best = windows[start], start + 1
    for end in range(start + 1, len(windows)):
        together = together + windows[end]
        ways = later(run, together)
        if together.total() > _MOST or any(
            together[k] > way.rows for k, way in ways.items()
        ):
            break
        if ways:
            best = end + 1
    return best


def joined(run: JobRun) -> Iterator[tuple[int, list[Change]]]:
    """The plan's windows, some of them as one."""
    plan = run.plan.id
    if not any(_has_later(run, name) for name in ("left", "right")):
        yield from run.store.windows(run.job.name, plan)
        return
    counted = list(run.window_writes.items()) or [
        (n, written(run, changes))
        for n, changes in run.store.windows(run.job.name, plan)
    ]
    for group in groups(run, [writes for _, writes in counted]):
        first, *others = [counted[i][0] for i in group]
        if others:
            _join(run, first, others)
        yield first, run.store.window(run.job.name, plan, first)


def _has_later(run: JobRun, name: SideName) -> bool:
    side = run.side(name)
    return any(w.asynchronous for r in side.names for w in side.place(r).resource.ways)


def _join(run: JobRun, first: int, others: Sequence[int]) -> None:
    job, plan = run.job.name, run.plan.id
    changes = [c for n in (first, *others) for c in run.store.window(job, plan, n)]
    run.store.join_windows(job, plan, first, others, changes)
    times = [run.read_at[n] for n in (first, *others) if n in run.read_at]
    if times:
        run.read_at[first] = min(times)


def save(run: JobRun) -> None:
    """Take from what a plan costs what joining its windows saves, and tell people of it."""
    windows = list(run.window_writes.values())
    for group in groups(run, windows):
        together = sum((windows[i] for i in group), Counter[Kind]())
        for (name, resource, op), way in later(run, together).items():
            side = run.side(name)
            plain = side.place(resource).resource.way(op)
            n = together[name, resource, op]
            apart = sum(plain.calls(windows[i][name, resource, op]) for i in group)
            book = run.costs.setdefault(side.connection, Counter())
            book[plain.bucket] -= apart
            book[way.bucket] += way.calls(n)
            run.note(
                f"{side.connection}: {n:,} {op}s of {resource} go as one job that the vendor works on for "
                f"minutes: {way.calls(n):,} calls in place of {apart:,}"
            )
