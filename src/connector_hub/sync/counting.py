"""Counting: every record that a run has looked at has exactly one outcome, or the run has failed."""

from __future__ import annotations

from connector_hub.errors import Unaccounted
from connector_hub.sync.run import JobRun


def balance(run: JobRun) -> None:
    """See that the outcomes add up, before anything is remembered that says these records are through.

    Raises:
        Unaccounted: they do not.
    """
    _equal(run, sum(run.tally.outcomes.values()))


def balance_plan(run: JobRun) -> None:
    """The same of what is only planned: each record has an outcome already, or one change.

    Raises:
        Unaccounted: the two do not add up.
    """
    planned = sum(n for kind, n in run.plan.counts.items() if kind != "asks")
    _equal(run, sum(run.tally.outcomes.values()) + planned)


def _equal(run: JobRun, told: int) -> None:
    read = run.tally.read
    if told == read:
        return
    raise Unaccounted(
        f"{read:,} records were looked at, {told:,} have an outcome: the run does not add up",
        where=f"job {run.job.name}",
        hint="what was written is kept, and the next sync reads again from where this one began; "
        "this is a fault of the hub: please report it with the output of `connector-hub runs show`",
    )
