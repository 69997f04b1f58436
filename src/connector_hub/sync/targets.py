"""Links that ended because what they led to is gone: nobody said that they should."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from connector_hub.model.record import Gone, Want
from connector_hub.sync.linking import Subject
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, batches

_NOTHING = Want(frozenset())


async def look_at(run: JobRun, side: LiveSide, subjects: Sequence[Subject]) -> None:
    """Before a link is ended across: is what it led to here still there?

    Where it is gone the field says nothing, and waits until there is a pair to link to again.
    """
    met = [s for s in subjects if s.there is not None]
    for name in run.routes:
        await _look(run, side, name, [(s, s.view, s.there_view) for s in met])
        back = [(s, s.there_view, s.view) for s in met]
        await _look(run, run.other(side), name, back)


_Ends = tuple[Subject, dict[str, Any], dict[str, Any]]
"""A subject with what it says on a side and across."""


async def _look(run: JobRun, side: LiveSide, name: str, ends: Sequence[_Ends]) -> None:
    """Those whose link of a side has ended while the other side's has not."""
    ended = {
        id(s): hub
        for s, here, there in ends
        if name in here
        and here[name] is None
        and (hub := _hub(run, side, name, s, there))
    }
    if not ended:
        return
    for resource in run.routes[name].at(side.name):
        known = run.store.records(side.home, resource, set(ended.values()))
        lost = {record for record, gone in known.values() if gone}
        live = [record for record, gone in known.values() if not gone]
        told = await _gone(side, resource, live)
        run.store.lose(side.home, resource, told)
        for s, here, there in ends:
            record, _ = known.get(ended.get(id(s), b""), ("", True))
            if record in lost | told:
                here.pop(name, None)
                there.pop(name, None)
                s.waits += _waits(run, side, name, ended[id(s)])


def _hub(
    run: JobRun, side: LiveSide, name: str, s: Subject, there: dict[str, Any]
) -> bytes | None:
    """What the other side's link leads to, be it linked to something here or not."""
    other, value = run.other(side), there.get(name)
    if isinstance(value, bytes):
        return value
    for at, field, resource, record in s.waits:
        if (at, field) == (other.name, name):
            link = run.store.links(other.home, resource, [record]).get(record)
            return link.hub if link else None
    return None


def _waits(
    run: JobRun, side: LiveSide, name: str, hub: bytes
) -> tuple[tuple[Any, str, str, str], ...]:
    """The records of what was linked, on both sides: where one is back, the field is looked at again."""
    return tuple(
        (at.name, name, resource, record)
        for at in (side, run.other(side))
        for resource in run.routes[name].at(at.name)
        for record, _ in run.store.records(at.home, resource, [hub]).values()
    )


async def _gone(side: LiveSide, resource: str, records: Collection[str]) -> set[str]:
    """Those of these records that the vendor tells as gone."""
    found: set[str] = set()
    rows = side.connector.resource(resource).way("fetch").rows
    for part in batches(sorted(records), rows):
        told = await side.connector.fetch(resource, part, _NOTHING)
        found |= {g.id for g in told if isinstance(g, Gone)}
    return found
