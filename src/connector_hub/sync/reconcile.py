"""At the start of a run: what became of writes whose outcome was never settled.

A process died, or a vendor never answered.  Nothing is sent here: the writes are looked up, what
happened is settled, and what did not is planned again from what both sides hold now.
"""

from __future__ import annotations

from collections.abc import Sequence

from connector_hub.errors import InDoubt
from connector_hub.model.link import spelled
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Done, Write
from connector_hub.sdk.connector import Effect
from connector_hub.sync.applier import Item, by_key, settle
from connector_hub.sync.base import change_hash
from connector_hub.sync.planner import Subject, target_view, translate
from connector_hub.sync.run import Held, JobRun, hold
from connector_hub.sync.sides import fetch


async def reconcile(run: JobRun) -> int:
    """Settle or drop every write of the job whose outcome is not known; how many there were."""
    windows = run.store.open_windows(run.job.name)
    items = [
        _item(run, c)
        for *_, changes in windows
        for c in changes
        if c.action != "settle"
    ]
    if not windows:
        return 0
    run.progress("looking up unsettled writes", 0, len(items))
    await _creates(run, [i for i in items if i.write.op == "create"])
    await _others(run, [i for i in items if i.write.op != "create"])
    happened = [i for i in items if isinstance(i.outcome, Done)]
    with run.store.transaction():
        settle(run, happened)
        again = [i.subject.seen.id for i in items if i.outcome is None]
        run.look_again(again, "unsettled")
        run.again.clear()
        for plan, n, _ in windows:
            run.store.close_window(run.job.name, plan, n)
    _uncount(run)
    return len(items)


def _item(run: JobRun, change: Change) -> Item:
    view = (
        run.source.spoke.view(change.source.raws)[0]
        if change.source and change.action != "archive"
        else {}
    )
    subject = Subject(change.source or Seen("", None, None, None, ()), view, change.hub)
    translate(run, [subject])
    there = change.target.id if change.target else None
    op = "create" if change.action == "settle" else change.action
    return Item(change, subject, Write(op, "", spelled(change.hub), there))


async def _creates(run: JobRun, items: Sequence[Item]) -> None:
    if not items:
        return
    if run.target.connector.key is None:
        if run.target.resource.effect in {Effect.UNSAFE, Effect.PROBE}:
            _unknown(run, items)
        return
    there = await by_key(run, [i.write.key for i in items])
    for i in items:
        if i.write.key in there:
            i.now = there[i.write.key]
            i.outcome = Done(i.now.id)


async def _others(run: JobRun, items: Sequence[Item]) -> None:
    """An update happened unless every field still holds what it held before."""
    ids = [i.write.id for i in items if i.write.id]
    if not ids:
        return
    here, gone = await fetch(run.target, ids)
    for i in items:
        now = here.get(i.write.id or "")
        if i.write.op == "archive":
            if i.write.id in gone or now is None:
                i.outcome = Done(i.write.id or "")
        elif now is not None and i.change.target is not None:
            before, after = target_view(run, i.change.target), target_view(run, now)
            if any(before.get(n) != after.get(n) for n in i.change.fields):
                i.now, i.outcome = now, Done(now.id)


def _unknown(run: JobRun, items: Sequence[Item]) -> None:
    """Without a record key nobody can tell: a person decides, and nothing is sent again."""
    for i in items:
        i.outcome = InDoubt()
        record = i.subject.seen.id
        subject = change_hash(run.key, ["unknown", record])
        detail = {"source": run.source.connection, "target": run.target.connection}
        hold(
            run, Held("unknown outcome", subject, ((run.source.name, record),), detail)
        )


def _uncount(run: JobRun) -> None:
    """These records are counted when the run looks at them, not here."""
    run.tally.outcomes.clear()
    run.tally.writes.clear()
