"""At the start of a run: what became of writes whose outcome was never settled.

A process died, or a vendor never answered.  Nothing is sent here: a vendor that gave a ticket is asked by
it, other writes are looked up; what happened is settled, and what did not is planned again from what both
sides hold now.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector_hub.errors import InDoubt
from connector_hub.model.plan import Change
from connector_hub.model.record import Done
from connector_hub.sync.run import JobRun, hold
from connector_hub.sync.settling import settle, unknown_outcome
from connector_hub.sync.sides import LiveSide, fetch
from connector_hub.sync.tickets import redeem
from connector_hub.sync.views import read_views
from connector_hub.sync.writing import (
    Item,
    by_key,
    differing,
    found_by_key,
    make_items,
    read_back,
)

_NO_SEED = bytes(12)


async def reconcile(run: JobRun) -> int:
    """Settle or drop every write of the job whose outcome is not known; how many there were."""
    windows = run.store.open_windows(run.job.name)
    if not windows:
        return 0
    found = [c for *_, kept in windows for c in kept if c.writes()]
    changes = [c for c in found if not c.is_stripped]
    items = make_items(run, changes, _NO_SEED)
    sent_by = run.store.writers(run.job.name)
    writers = {id(c): sent_by[plan, n] for plan, n, kept in windows for c in kept}
    for i in items:
        i.run = writers[id(i.change)]
    run.progress("looking up unsettled writes", 0, len(items))
    at = {id(c): (plan, n) for plan, n, kept in windows for c in kept}
    await redeem(run, items, at)
    await read_back(run, [i for i in items if i.outcome is not None])
    for side in run.sides:
        mine = [i for i in items if i.side is side and i.outcome is None]
        await _creates(run, side, [i for i in mine if i.write.op == "create"])
        await _others(run, side, [i for i in mine if i.write.op != "create"])
    happened = [i for i in items if isinstance(i.outcome, Done)]
    with run.store.transaction():
        settle(run, _changes(happened), happened)
        run.look_again(
            {(i.change.here, i.change.record) for i in items if i.outcome is None},
            "unsettled",
        )
        _forgotten(run, [c for c in found if c.is_stripped])
        run.again.clear()
        for plan, n, _ in windows:
            run.store.close_window(run.job.name, plan, n)
    _uncount(run)
    return len(items)


def _forgotten(run: JobRun, changes: Sequence[Change]) -> None:
    """Writes of which the values are not kept any more: both sides tell, but for a create without a key."""
    for c in changes:
        keyless = [n for n in c.writes() if run.side(n).connector.key is None]
        if keyless and c.op == "create":
            hold(run, unknown_outcome(run, c))
    run.look_again({(c.here, c.record) for c in changes}, "unsettled")


def _changes(items: Sequence[Item]) -> list[Change]:
    return list({id(i.change): i.change for i in items}.values())


async def _creates(run: JobRun, side: LiveSide, items: Sequence[Item]) -> None:
    if not items:
        return
    if side.connector.key is None:
        for i in items:
            i.outcome = InDoubt()
            hold(run, unknown_outcome(run, i.change))
        return
    there = await by_key(side, [i.write.key for i in items])
    for i in items:
        if i.write.key in there:
            found_by_key(i, there[i.write.key])


async def _others(run: JobRun, side: LiveSide, items: Sequence[Item]) -> None:
    """An update is one whole: it happened if any field holds what it had not held before."""
    ids = [i.write.id for i in items if i.write.id]
    if not ids:
        return
    here, gone = await fetch(side, ids)
    for i in items:
        now, planned = here.get(i.write.id or ""), i.change.seen(side.name)
        if i.write.op == "archive":
            if i.write.id in gone or now is None:
                i.outcome = Done(i.write.id or "")
        elif now is not None and planned is not None:
            before, after = read_views(run, side, [planned, now])
            then, left = (
                set(differing(i, r.view, x))
                for r, x in ((before, planned), (after, now))
            )
            if then - left:
                i.outcome, i.now, i.looked_up = Done(now.id), now, True


def _uncount(run: JobRun) -> None:
    """These records are counted when the run looks at them, not here."""
    run.tally.outcomes.clear()
    run.tally.writes.clear()
