"""Two automations that fight over a field: each side sets it back, and the hub carries that over for ever.

A field of one thing that was written more than three times in ten minutes, with no more than two values, is
held: a person says who is right. All else of its record goes on. So does a person who tries several values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from connector_hub.model.merge import Merged
from connector_hub.model.rows import Row, spelled
from connector_hub.sync.base import change_hash
from connector_hub.sync.linking import Subject
from connector_hub.sync.merging import Views
from connector_hub.sync.run import JobRun

MOST = 3
"""So often a field may be written to and fro."""
WITHIN = timedelta(minutes=10)
_SIDES = 2
"""Values that two who fight write."""


def look_up(run: JobRun, subjects: Sequence[Subject]) -> None:
    """What was written to these things a moment ago, and which of their fields are held."""
    linked = [s for s in subjects if s.base is not None]
    since = run.clock.now() - WITHIN
    found = run.store.swings(run.job.name, [s.hub for s in linked], since)
    for s in linked if found else ():
        s.swings = found.get(s.hub, {})


def held_back(run: JobRun, s: Subject, merged: Merged, views: Views) -> Merged:
    """Fields that are fought over are asked about and not written; ``s.fights`` are their names."""
    if not s.swings:
        return merged
    written = {n: views[1].get(n) for n in merged.left}
    written |= {n: views[0].get(n) for n in merged.right}
    fights = {n for n, value in written.items() if _is_fight(run, s, n, value)}
    if not fights:
        return merged
    s.fights = tuple(n for n in written if n in fights)
    return replace(
        merged,
        left=tuple(n for n in merged.left if n not in fights),
        right=tuple(n for n in merged.right if n not in fights),
        asks=(*merged.asks, *s.fights),
    )


def _is_fight(run: JobRun, s: Subject, name: str, value: Any) -> bool:
    swing = s.swings.get(name)
    if swing is None:
        return False
    values = {*swing.values, _value(run, name, value)}
    return swing.held or (len(swing.values) > MOST and len(values) <= _SIDES)


def remember(run: JobRun, written: Iterable[tuple[bytes, Mapping[str, Any]]]) -> None:
    """Fields that were just written to things that were linked already, with their values."""
    rows = [
        (hub, name, _value(run, name, value))
        for hub, values in written
        for name, value in values.items()
    ]
    run.store.swing(run.job.name, run.number, rows, run.clock.now())


def _value(run: JobRun, name: str, value: Any) -> bytes:
    told = spelled(value) if _is_rows(value) else str(value)
    return change_hash(run.key, ["swing", name, told])[:8]


def _is_rows(value: Any) -> bool:
    return isinstance(value, tuple) and any(isinstance(v, Row) for v in value)
