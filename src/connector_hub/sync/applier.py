"""Carrying out a window: intents, writes, read-back, settlement.

A window is marked as being written before its calls: its changes are the intents. Links, bases and the end
of the window are one transaction after them. Whatever dies in between is known again by its window.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from connector_hub.errors import HubError
from connector_hub.model.plan import Change
from connector_hub.model.record import Done
from connector_hub.sync.planner import without
from connector_hub.sync.run import JobRun
from connector_hub.sync.settling import settle
from connector_hub.sync.writing import Item, make_items, read_back, write_all

_SEED = 12
_LAST_LOOK = 1.2
"""Seconds an interrupted run may take to settle what the vendor has confirmed."""


async def apply_window(run: JobRun, n: int, changes: Sequence[Change]) -> None:
    """Write the plan's window ``n``, whose changes are kept, and settle it.

    Raises:
        Unavailable, AuthError: the vendor is not there; the intents stay and are looked up next time.
    """
    seed = run.chance.randbytes(_SEED)
    items = make_items(run, changes, seed)
    run.window_read_at = run.read_at.get(n)
    if items:
        run.store.open_window(run.job.name, run.plan.id, n, seed, run.number)
    try:
        await write_all(run, n, items, _written(run))
        await read_back(run, items)
    except BaseException:
        await asyncio.shield(_save_what_is_known(run, n, items))
        raise
    with run.store.transaction():
        settle(run, changes, items)
        run.store.close_window(run.job.name, run.plan.id, n)
    run.progress("writing", _written(run), None)


def _written(run: JobRun) -> int:
    return sum(run.tally.writes.values())


async def _save_what_is_known(run: JobRun, n: int, items: Sequence[Item]) -> None:
    """A run is going down: settle what the vendor has confirmed, as far as a moment allows.

    What was never sent needs no looking up: it is planned again, as if this run had not been.
    """
    done = [i for i in items if isinstance(i.outcome, Done)]
    if not done and all(i.sent for i in items):
        return
    try:
        async with asyncio.timeout(_LAST_LOOK):
            await read_back(run, done)
    except (TimeoutError, HubError):
        pass
    known = [i for i in done if i.now is not None or i.write.op == "archive"]
    settled: dict[int, list[Item]] = {}
    for i in known:
        settled.setdefault(id(i.change), []).append(i)
    rest = [
        without(i.change, [k.side.name for k in settled.get(id(i.change), [])])
        for i in items
        if i.sent and i not in known
    ]
    with run.store.transaction():
        settle(run, {id(i.change): i.change for i in known}.values(), known)
        run.store.close_window(run.job.name, run.plan.id, n, rest)


__all__ = ["apply_window"]
