"""Whether somebody else writes what the hub writes: fields that come back changed soon after.

Only what is seen is counted: a record met again within an hour, changed in a field that the hub had written
to it, and last modified by another user than the hub's own. That user may be a person.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta

from connector_hub.model.job import SideName
from connector_hub.model.plan import Seen
from connector_hub.model.standing import Rival
from connector_hub.sync.base import Base
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, is_strangers

SOON = timedelta(hours=1)
"""How long after a write another's change of the same field is told from an ordinary one."""
SEVERAL = 3
"""How many records make it worth telling."""


Written = tuple[SideName, Seen, Collection[str], Collection[str]]
"""A record as it was read back: its side, the fields written, and those that came out edited."""


def remember(run: JobRun, written: Iterable[Written]) -> None:
    """Fields that were written to records that were there; who edited them before they were read back."""
    listed = list(written)
    job, now = run.job.name, run.clock.now()
    for side in run.sides:
        if side.account.user is None:
            continue
        mine = [w for w in listed if w[0] == side.name]
        rows = [(seen.id, n) for _, seen, names, _ in mine for n in names]
        run.store.set_wrote(job, side.name, rows, now)
        met = [
            (seen.id, n, str(seen.by))
            for _, seen, _, edited in mine
            for n in edited
            if is_strangers(side, seen)
        ]
        run.store.meet_rivals(job, side.name, met, now)


def notice(
    run: JobRun, side: LiveSide, seen: Seen, moved: Collection[str], base: Base
) -> None:
    """Somebody else changed fields of a record: kept until ``compare``."""
    if moved and not run.planning and is_strangers(side, seen):
        fields = {*moved} - side.bases.never(base)
        run.strangers.append((side.name, seen.id, str(seen.by), fields))


def compare(run: JobRun) -> None:
    """Which of these changes are of fields that the hub had written a moment before."""
    if not run.strangers:
        return
    now = run.clock.now()
    with run.store.transaction():
        for side in run.sides:
            mine = {
                r: (by, names) for s, r, by, names in run.strangers if s == side.name
            }
            wrote = run.store.wrote(run.job.name, side.name, mine, now - SOON)
            rows = [(r, n, mine[r][0]) for r, n in wrote if n in mine[r][1]]
            run.store.meet_rivals(run.job.name, side.name, rows, now)
    run.strangers.clear()


def is_told(found: Rival) -> bool:
    """Whether it is more than chance: some records, or one of them again."""
    return found.records >= SEVERAL or found.times > 1
