"""Links to what is gone: one that ended because of that says nothing, one that was led elsewhere travels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any

from connector_hub.model.job import Policy, SideName
from connector_hub.model.merge import Merged
from connector_hub.model.record import Gone, Want
from connector_hub.sync.linking import Subject
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, batches

_NOTHING = Want(frozenset())
_NOWHERE = b""
"""What a link says that leads to a record without a counterpart."""


async def look_at(run: JobRun, side: LiveSide, subjects: Sequence[Subject]) -> None:
    """Before a link is ended across: is what it led to here still there?

    Where it is gone the field says nothing, and waits until there is a pair to link to again.
    """
    met = [s for s in subjects if s.there is not None]
    for name in run.routes:
        await _look(run, side, name, [(s, s.view, s.there_view) for s in met])
        back = [(s, s.there_view, s.view) for s in met]
        await _look(run, run.other(side), name, back)
        for s in met:
            _lead_elsewhere(run, side, name, s)


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
                s.waits += ((side.name, name, resource, record),)
                home = side if here is s.view else run.other(side)
                waking = [
                    (s.seen.id, *at) for at in _partners(run, side, name, ended[id(s)])
                ]
                run.store.wait(run.job.name, home.name, waking)


def _lead_elsewhere(run: JobRun, side: LiveSide, name: str, s: Subject) -> None:
    """A link that moved travels, or is asked about, though the other's leads to what has no counterpart."""
    if s.base is None or s.there_base is None or s.there is None:
        return
    other = run.other(side)
    moved = (
        name in side.bases.moved(s.base, s.seen.raws),
        name in other.bases.moved(s.there_base, s.there.raws),
    )
    ends = ((side, s.view), (other, s.there_view))
    for (mover, leads), (stays, view), own in (
        (*ends, moved),
        (*ends[::-1], moved[::-1]),
    ):
        waits = [w for w in s.waits if w[:2] == (stays.name, name)]
        if not (waits and name not in view and isinstance(leads.get(name), bytes)):
            continue
        if own == (True, False) or (
            all(own) and _may_win(run.policies[name], mover.name)
        ):
            view[name] = _NOWHERE
            s.waits = tuple(w for w in s.waits if w not in waits)


def kept_apart(merged: Merged, views: tuple[Map[str, Any], Map[str, Any]]) -> Merged:
    """Where people take a link that cannot be led across, the sides agree to differ."""
    left = {n for n in merged.left if views[1].get(n) == _NOWHERE}
    right = {n for n in merged.right if views[0].get(n) == _NOWHERE}
    if not (left or right):
        return merged
    return replace(
        merged,
        left=tuple(n for n in merged.left if n not in left),
        right=tuple(n for n in merged.right if n not in right),
        agreed=merged.agreed + tuple(sorted(left | right)),
    )


def _may_win(policy: Policy, mover: SideName) -> bool:
    """Where both sides led a link elsewhere: whether one of them is to travel, or a person is asked."""
    return policy.both in {"ask", mover} or (policy.both, mover) == ("fill", "left")


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


def _partners(
    run: JobRun, side: LiveSide, name: str, hub: bytes
) -> list[tuple[str, str, str]]:
    """What is linked across to what is gone: linked to something again, the field is looked at again."""
    other = run.other(side)
    return [
        (other.home, resource, record)
        for resource in run.routes[name].at(other.name)
        for record, _ in run.store.records(other.home, resource, [hub]).values()
    ]


async def _gone(side: LiveSide, resource: str, records: Collection[str]) -> set[str]:
    """Those of these records that the vendor tells as gone."""
    found: set[str] = set()
    rows = side.connector.resource(resource).way("fetch").rows
    for part in batches(sorted(records), rows):
        told = await side.connector.fetch(resource, part, _NOTHING)
        found |= {g.id for g in told if isinstance(g, Gone)}
    return found
