"""Tickets of vendors that take writes and work on them: kept with the intents, before anything is waited for.

A run that finds such a ticket asks the vendor by it. Nothing is sent again, and nothing looked up meanwhile:
what is not there yet may still come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from connector_hub.model.record import Done
from connector_hub.ports import Ticket
from connector_hub.sync.run import JobRun

if TYPE_CHECKING:
    from connector_hub.sync.writing import Item

Window = tuple[str, int]
"""A plan's id and a window's number."""


def keeper(run: JobRun, n: int | None, items: Sequence[Item]) -> Callable[[str], None]:
    """A function that keeps the ticket of some writes of window ``n`` of the run's plan.

    What is written outside a window is no intent: nobody would ask for it again.
    """
    if n is None:
        return lambda _: None
    return _keeper(run, (run.plan.id, n), items)


def _keeper(
    run: JobRun, window: Window, items: Sequence[Item]
) -> Callable[[str], None]:
    first = items[0]

    def keep(ticket: str) -> None:
        run.store.keep_ticket(
            run.job.name,
            Ticket(
                *window,
                first.side.name,
                first.resource,
                first.write.op,
                ticket,
                tuple(i.change.hub for i in items),
            ),
        )

    return keep


async def redeem(
    run: JobRun, items: Sequence[Item], windows: Mapping[int, Window]
) -> None:
    """Give writes their outcome that a run that died has a ticket for; the confirmed ones only.

    Args:
        run: the run that settles them.
        items: writes that were never settled.
        windows: the window of each one's change, by ``id`` of the change.
    """
    known = {
        (
            windows[id(i.change)],
            i.side.name,
            i.resource,
            str(i.write.op),
            i.change.hub,
        ): i
        for i in items
    }
    for t in run.store.tickets(run.job.name):
        window = (t.plan, t.n)
        mine = [known.get((window, t.side, t.resource, t.op, h)) for h in t.hubs]
        theirs = [i for i in mine if i is not None]
        side = run.side(t.side)
        resource = side.place(t.resource).resource
        if not theirs or resource.asynchronous_way(t.op) is None:
            continue
        run.progress("waiting for the vendor", 0, len(theirs))
        side.gate()
        found = await side.ask(
            t.resource,
            [i.write for i in theirs],
            t.ticket,
            _keeper(run, window, theirs),
        )
        for i, outcome in zip(theirs, found, strict=True):
            if isinstance(outcome, Done):
                i.outcome = outcome
