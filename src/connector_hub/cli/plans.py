"""``plans``: what waits for a person's word, approve it or reject it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli import planview
from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.offline import age, known_job, offline
from connector_hub.cli.outcomes import Outcomes
from connector_hub.cli.planfiles import csv_option, html_option, plan_files
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table
from connector_hub.errors import ConfigError
from connector_hub.model.kept import Kept

if TYPE_CHECKING:
    from connector_hub.hub import Hub

_HEADS = ("PLAN", "JOB", "STATE", "AGE", "WOULD", "DECIDED")
_KINDS = ("create", "update", "delete")
_plans = click.argument("plans", metavar="PLAN...", nargs=-1, required=True)


@click.group(cls=LazyGroup)
@with_session
def plans(session: Session) -> None:
    """Plans that are kept: list, show, approve, reject."""


@plans.command("list")
@click.option("--job", metavar="JOB", help="Of this job only.")
@with_session
def plans_list(session: Session, job: str | None) -> int:
    """List the latest plans, newest first.

    One that is waiting holds its job's syncs until it is approved or rejected.
    """
    return offline(session, lambda hub: _list(session, hub, job))


def _list(session: Session, hub: Hub, job: str | None) -> None:
    found = hub.plans(known_job(hub, job))
    now = hub.clock.now()
    rows = [
        (
            k.plan.id,
            k.plan.job,
            k.state,
            age(k.made, now),
            _would(k),
            _decided(k, now),
        )
        for k in found
    ]
    for text in table(_HEADS, rows, empty="no plans yet"):
        session.say(text)
    for k in found:
        if k.why and not k.decided:
            session.say(f"{k.plan.id} {k.why}")
    session.document({"plans": [k.document() for k in found]})


def _would(kept: Kept) -> str:
    counts = [f"{kind} {kept.plan.count(kind):,}" for kind in _KINDS]
    return ", ".join(c for c in counts if not c.endswith(" 0")) or "nothing"


def _decided(kept: Kept, now: datetime) -> str:
    if kept.decided is None:
        return ""
    by = f"by {kept.person}, " if kept.person else ""
    return f"{by}{age(kept.decided, now)} ago"


@plans.command("show")
@click.argument("plan", metavar="PLAN")
@click.option("--all", "every", is_flag=True, help="List every change.")
@html_option
@csv_option
@with_session
def plans_show(
    session: Session, plan: str, *, every: bool, html: Path | None, sheet: Path | None
) -> int:
    """Show PLAN as `plan` did, and how it stands now."""

    def work(hub: Hub) -> None:
        kept = hub.kept(plan)
        if (html or sheet) and not kept.open:
            raise ConfigError(
                f"the changes of plan {plan} cannot be shown any more: it {kept.why}",
                where=kept.where,
                hint=kept.remedy,
            )
        with plan_files(session, html, sheet) as files:
            files.add(hub, kept.plan)
        planview.tell(session, hub, kept.plan, every=every, kept=kept)
        document: dict[str, Any] = kept.document()
        if kept.open:
            document |= planview.document(session, hub, kept.plan, every=every)
        files.tell()
        session.document(document)

    return offline(session, work)


@plans.command("approve")
@_plans
@with_session
def plans_approve(session: Session, plans: tuple[str, ...]) -> int:
    """Carry out each PLAN, exactly, as `apply` does. Who approved it is remembered.

    What moved since it was made is left for the next sync. Nothing is written when one
    of several cannot be approved.
    """
    wanted = list(dict.fromkeys(plans))
    outcomes = Outcomes(session, single=len(wanted) == 1)

    async def work() -> None:
        async with session.open() as hub:
            await outcomes.approve(hub, wanted)

    return outcomes.run(work())


@plans.command("reject")
@_plans
@with_session
def plans_reject(session: Session, plans: tuple[str, ...]) -> int:
    """Drop each PLAN. The next sync of its job looks at its records again."""

    def work(hub: Hub) -> None:
        for plan in plans:
            hub.kept(plan)
        done = [hub.reject(plan) for plan in dict.fromkeys(plans)]
        for kept in done:
            session.say(
                f"plan {kept.plan.id} is dropped; "
                f"plan afresh: connector-hub plan {kept.plan.job}"
            )
        session.document({"plans": [k.document() for k in done]})

    return offline(session, work)
