"""A pilot: a few records that a job looks after before it is let loose on all.

They are chosen once and remembered, with the records their link fields point to: a job for these
that has linked nothing yet is held to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector_hub.errors import ConfigError
from connector_hub.model.job import Pilot, SideName
from connector_hub.model.plan import Seen
from connector_hub.model.record import Ref
from connector_hub.sync.run import JobRun, Member
from connector_hub.sync.sides import LiveSide, fetch, portions

HELD = "pilot"
"""The fact that a job is held to what another one's pilot needs."""


async def choose(run: JobRun, pilot: Pilot) -> None:
    """Choose the members that are missing: those listed, else the first that identity knows.

    Args:
        run: of the job whose pilot it is.
        pilot: what the job asks for.

    Raises:
        ConfigError: a listed record is not there.
    """
    known = run.store.pilot(run.job.name)
    if pilot.listed:
        new = await _listed(run, pilot, known)
    else:
        new = await _first(run, pilot.most - len(known), known)
    with run.store.transaction():
        for side, seen in new:
            run.store.enlist(run.job.name, [(side.name, s.id) for s in seen])
            _enlist_targets(run, side, seen)


async def _listed(
    run: JobRun, pilot: Pilot, known: set[Member]
) -> list[tuple[LiveSide, Sequence[Seen]]]:
    found: list[tuple[LiveSide, Sequence[Seen]]] = []
    missing: list[str] = []
    for side in run.sides:
        asked = {
            record: place
            for place, name, record in pilot.listed
            if name == side.name and (name, record) not in known
        }
        here, _ = await fetch(side, list(asked))
        missing += [
            f"{place}: {side.connection} has no record {record}"
            for record, place in asked.items()
            if record not in here
        ]
        found.append((side, list(here.values())))
    if missing:
        shown = "; ".join(missing[:5])  # as many as a person reads
        raise ConfigError(
            shown + (" ..." if len(missing) > len(missing[:5]) else ""),
            hint="mend the list: nothing was written",
        )
    return found


async def _first(
    run: JobRun, wanted: int, known: set[Member]
) -> list[tuple[LiveSide, Sequence[Seen]]]:
    found: list[tuple[LiveSide, Sequence[Seen]]] = []
    for side in run.sources:
        if wanted <= 0:
            break
        chosen: list[Seen] = []
        async for part in portions(side, None, 1):
            chosen += [s for s in part.seen if _fit(run, side, s, known)]
            if len(chosen) >= wanted:
                break
        found.append((side, chosen[:wanted]))
        wanted -= len(chosen)
    return found


def _fit(run: JobRun, side: LiveSide, seen: Seen, known: set[Member]) -> bool:
    view, _ = side.spoke.view(seen.raws)
    return (
        (side.name, seen.id) not in known
        and run.job.covers(view)
        and bool(side.identities.filled(view, seen.raws))
    )


def _enlist_targets(run: JobRun, side: LiveSide, seen: Iterable[Seen]) -> None:
    """What the members' link fields point to is looked after, too."""
    targets: dict[str, set[tuple[SideName, str]]] = {
        name: set() for name, route in run.routes.items() if _held(run, name)
    }
    for s in seen:
        view, _ = side.spoke.view(s.raws)
        for name, rows in targets.items():
            ref = view.get(name)
            if isinstance(ref, Ref):
                rows.add((side.name, ref.id))
    for name, rows in targets.items():
        run.store.enlist(run.routes[name].job, rows)


def _held(run: JobRun, name: str) -> bool:
    """Whether the job a link field leads to is held: since its beginning, or not at all."""
    route, store = run.routes[name], run.store
    if store.fact(route.job, "left", HELD) is None:
        linked = sum(
            store.linked(side.home, resource)
            for side in run.sides
            for resource in route.at(side.name)
        )
        store.set_fact(route.job, "left", HELD, "" if linked else run.job.name)
    return store.fact(route.job, "left", HELD) == run.job.name
