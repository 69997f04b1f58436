"""A pilot: a few records that a job looks after before it is let loose on all.

They are chosen once and remembered, with the records their link fields point to: a job for these
that has linked nothing yet is held to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from connector_hub.errors import ConfigError
from connector_hub.model.job import Pilot, SideName
from connector_hub.model.plan import Seen, Wait
from connector_hub.model.record import Ref
from connector_hub.ports import Store
from connector_hub.sync.reading import HEIR
from connector_hub.sync.run import JobRun, Member
from connector_hub.sync.sides import LiveSide, fetch, portions

_ALL = "pilot all"
"""The fact that an account had fewer records than the number asked for, which is its value."""


def held_by(child: str) -> str:
    """The fact whether a job is ``held`` to what a child's pilot needs, or ``free`` as it was at work."""
    return f"pilot {child}"


async def choose(run: JobRun, pilot: Pilot) -> None:
    """Choose the members that are missing: those listed, else the first that identity knows.

    Who is not listed any more leaves. Of a smaller number those stay that are linked already.

    Args:
        run: of the job whose pilot it is.
        pilot: what the job asks for.

    Raises:
        ConfigError: a listed record is not there.
    """
    chosen = run.store.chosen(run.job.name)
    if pilot.listed:
        run.store.dismiss(run.job.name, chosen - {(s, r) for _, s, r in pilot.listed})
        new = await _listed(run, pilot, chosen)
    else:
        _shrink(run, pilot.most, chosen)
        new = await _first(run, pilot.most, chosen)
    with run.store.transaction():
        for side, seen in new:
            run.store.enlist(run.job.name, [(side.name, s.id) for s in seen])
            _enlist_targets(run, side, seen)


def _shrink(run: JobRun, most: int, chosen: set[Member]) -> None:
    """Let those go that are not linked, as many as there are too many."""
    if len(chosen) <= most:
        return
    free: list[Member] = []
    for side in run.sides:
        mine = sorted(r for name, r in chosen if name == side.name)
        linked = side.links(mine)
        free += [(side.name, r) for r in mine if r not in linked]
    gone = free[max(most - len(chosen) + len(free), 0) :]
    run.store.dismiss(run.job.name, gone)
    chosen -= {*gone}
    if len(chosen) > most:
        run.note(
            f"{len(chosen)} records are linked by the pilot and stay in it, {most} were asked for"
        )


def join(run: JobRun, side: LiveSide, seen: Iterable[Seen]) -> None:
    """Where an account had fewer records than asked for, those that come later join."""
    pilot = run.job.pilot
    if pilot is None or run.pilot is None or not _whole(run, pilot.most):
        return
    room = pilot.most - len(run.pilot)
    new = [s for s in seen if room > 0 and _fit(run, side, s, run.pilot)][:room]
    members: list[Member] = [(side.name, s.id) for s in new]
    run.pilot.update(members)
    run.store.enlist(run.job.name, members)
    _enlist_targets(run, side, new)


def take_along(run: JobRun, side: LiveSide, record: str, waits: Iterable[Wait]) -> None:
    """What a member's link fields point to by now is looked after, too."""
    if run.job.pilot is None or not run.looks_after((side.name, record)):
        return
    for name, fieldname, _, target in waits:
        if _held(run, fieldname):
            route = run.routes[fieldname]
            run.store.enlist(route.job, [(name, target)], by=run.job.name)


def end(store: Store, job: str, child: str) -> None:
    """A child has no pilot any more: when it gets one again, it is judged anew whether that holds the job."""
    if store.fact(job, "left", held_by(child)):
        for by in (child, HEIR):
            store.release(job, by)
        store.set_fact(job, "left", held_by(child), "")


def _whole(run: JobRun, most: int) -> bool:
    return run.store.fact(run.job.name, "left", _ALL) == str(most)


async def _listed(
    run: JobRun, pilot: Pilot, known: set[Member]
) -> list[tuple[LiveSide, Sequence[Seen]]]:
    found: list[tuple[LiveSide, Sequence[Seen]]] = []
    missing: list[str] = []
    for place, name, record in pilot.listed:
        side = run.side(name)
        if side.at(record)[0] not in side.names:
            missing.append(
                f"{place}: {record!r} is no id there; write {' or '.join(n + '/ID' for n in side.names)}"
            )
    if missing:
        raise _told(missing)
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
        raise _told(missing)
    return found


def _told(missing: Sequence[str]) -> ConfigError:
    shown = "; ".join(missing[:5])  # as many as a person reads
    return ConfigError(
        shown + (" ..." if len(missing) > len(missing[:5]) else ""),
        hint="mend the list: nothing was written",
    )


async def _first(
    run: JobRun, most: int, known: set[Member]
) -> list[tuple[LiveSide, Sequence[Seen]]]:
    found: list[tuple[LiveSide, Sequence[Seen]]] = []
    met: set[bytes] = set()
    wanted = 0 if _whole(run, most) else most - len(known)
    for side in run.sources:
        if wanted <= 0:
            break
        chosen: list[Seen] = []
        async for part in portions(side, None, 1):
            fit = [s for s in part.seen if _fit(run, side, s, known)]
            chosen += [s for s in fit if met.isdisjoint(_marks(side, s))]
            if len(chosen) >= wanted:
                break
        found.append((side, chosen[:wanted]))
        met.update(m for s in chosen[:wanted] for m in _marks(side, s))
        wanted -= len(chosen)
    if wanted > 0:
        run.store.set_fact(run.job.name, "left", _ALL, str(most))
    return found


def _marks(side: LiveSide, seen: Seen) -> Sequence[bytes]:
    """Who a record is: the counterpart of a member needs no place of its own."""
    return side.identities.of(seen.raws, None).marks


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
        run.store.enlist(run.routes[name].job, rows, by=run.job.name)


def _held(run: JobRun, name: str) -> bool:
    """Whether the job a link field leads to is held: since its beginning, or not at all."""
    route, store = run.routes[name], run.store
    fact = held_by(run.job.name)
    if not store.fact(route.job, "left", fact):
        linked = sum(
            store.linked(side.home, resource)
            for side in run.sides
            for resource in route.at(side.name)
        )
        for_others = store.pilot(route.job) - store.chosen(route.job)
        begins = not linked or bool(for_others)
        store.set_fact(route.job, "left", fact, "held" if begins else "free")
    return store.fact(route.job, "left", fact) == "held"
