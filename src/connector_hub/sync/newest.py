"""Fields that ``newest`` decides: the vendors are asked when those were edited that both sides moved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector_hub.model.job import SideName
from connector_hub.model.newest import later
from connector_hub.model.record import Edited
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide

Contested = Mapping[bytes, tuple[str, str, frozenset[str]]]
"""By hub id: the left record, the right one, and the fields in which the later edit wins."""
Decided = dict[bytes, dict[str, SideName]]


async def by_time(run: JobRun, contested: Contested) -> Decided:
    """Who is right about each contested field; one that cannot be told is left out, and asks."""
    if not contested:
        return {}
    left = await _edits(run.left, [(a, names) for a, _, names in contested.values()])
    right = await _edits(run.right, [(b, names) for _, b, names in contested.values()])
    found: Decided = {}
    for hub, (a, b, names) in contested.items():
        for name in names:
            winner = later(left.get((a, name)), right.get((b, name)))
            if winner is not None:
                found.setdefault(hub, {})[name] = winner
    return found


async def _edits(
    side: LiveSide, asked: Iterable[tuple[str, frozenset[str]]]
) -> dict[tuple[str, str], Edited]:
    """When fields were edited, by record and field."""
    names = dict(asked)
    found: dict[tuple[str, str], Edited] = {}
    for resource, ids in side.by_resource(names):
        known = {i: side.known_as(resource, i) for i in ids}
        rules: Mapping[str, Any] = side.place(resource).spoke.mapping.rules
        fields = dict.fromkeys(
            n for i in known.values() for n in names[i] if n in rules
        )
        paths = {n: at for n in fields if (at := rules[n].at) is not None}
        told = await side.connector.edited(
            resource, ids, [*dict.fromkeys(paths.values())]
        )
        for vendor_id, by_path in told.items():
            for name, path in paths.items():
                if path in by_path:
                    found[known[vendor_id], name] = by_path[path]
    return found
