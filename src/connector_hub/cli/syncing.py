"""``plan``, ``apply`` and ``sync``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli import failures, planview
from connector_hub.cli.outcomes import Outcomes, cancelled
from connector_hub.cli.planfiles import PlanFiles, csv_option, html_option, plan_files
from connector_hub.cli.progress import watching
from connector_hub.cli.running import Interrupted, finish
from connector_hub.cli.session import Session, with_session
from connector_hub.errors import ConfigError, HubError, StoreError
from connector_hub.model.plan import Plan, Receipt
from connector_hub.sync.run import Options

if TYPE_CHECKING:
    from connector_hub.hub import Hub
    from connector_hub.ports import Progress

_KINDS = {"create": "create", "update": "update", "delete": "archive"}
_CHANGES = 10

_full = click.option("--full", is_flag=True, help="Read everything again.")
_limit = click.option(
    "--limit",
    type=click.IntRange(min=0),
    metavar="N",
    help="Write so many records at most.",
)


def _kinds(_ctx: Any, _param: Any, value: str | None) -> frozenset[str] | None:
    """``--only create,update`` as the actions of ``Options``."""
    if value is None:
        return None
    words = [w.strip() for w in value.split(",")]
    for word in words:
        if word not in _KINDS:
            raise click.BadParameter(
                f"{word!r} is none of {', '.join(_KINDS)}", param_hint="'--only'"
            )
    return frozenset(_KINDS[w] for w in words)


_only = click.option(
    "--only", callback=_kinds, metavar="KINDS", help="Of create,update,delete."
)


_backfill = click.option(
    "--backfill",
    multiple=True,
    metavar="FIELD",
    help="Compare FIELD anew over all linked records: its rule is new or was edited.",
)


def _options(
    *,
    full: bool,
    limit: int | None,
    only: frozenset[str] | None,
    backfill: tuple[str, ...],
    allow_deletes: int | None = None,
) -> Options:
    kinds = Options().only if only is None else only
    return Options(
        full=full,
        limit=limit,
        only=kinds,
        allow_deletes=allow_deletes,
        backfill=frozenset(backfill),
    )


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@_full
@_limit
@_only
@_backfill
@click.option("--all", "every", is_flag=True, help="List every change.")
@html_option
@csv_option
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit 10 when there is something to do."
)
@with_session
def plan(
    session: Session,
    *,
    jobs: tuple[str, ...],
    full: bool,
    limit: int | None,
    only: frozenset[str] | None,
    backfill: tuple[str, ...],
    every: bool,
    html: Path | None,
    sheet: Path | None,
    detailed_exitcode: bool,
) -> int:
    """What JOBs would do now. Writes to no vendor.

    The plan is kept, so that `apply` can carry out exactly this. In files, values are
    masked unless `--values` is given.
    """
    planning = _Planning(
        session,
        _options(full=full, limit=limit, only=only, backfill=backfill),
        jobs,
        every=every,
    )
    try:
        with plan_files(session, html, sheet) as planning.files:
            finish(planning.run(), on_stuck=planning.interrupted)
    except Interrupted as e:
        return planning.interrupted(e.exit_code)
    planning.files.tell()
    session.document(planning.document())
    code = failures.gravest(planning.codes)
    return _CHANGES if not code and planning.changes and detailed_exitcode else code


class _Planning:
    """Plans jobs one after the other."""

    def __init__(
        self, session: Session, options: Options, jobs: tuple[str, ...], *, every: bool
    ) -> None:
        self.session = session
        self.options = options
        self.jobs = jobs
        self.every = every
        self.files = PlanFiles(session)
        self.documents: list[dict[str, Any]] = []
        self.codes: list[int] = []
        self.changes = False

    async def run(self) -> None:
        async with self.session.open() as hub:
            names = [hub.job(j).name for j in self.jobs] or hub.jobs_in_order()
            for i, name in enumerate(names):
                if i:
                    self.session.say()
                if not await self._one(hub, name):
                    break

    async def _one(self, hub: Hub, job: str) -> bool:
        """Plan one job; whether later ones may be planned after it."""
        try:
            with watching(self.session, job) as progress:
                made: Plan = await hub.plan(
                    job, options=self.options, progress=progress
                )
            self.changes = self.changes or not made.empty
            self.documents.append(
                planview.document(self.session, hub, made, every=self.every)
            )
            planview.tell(self.session, hub, made, every=self.every)
            self.files.add(hub, made)
        except HubError as e:
            failures.show(self.session, e, job=job)
            self.documents.append(
                {
                    "job": job,
                    "status": failures.status_of(e),
                    "error": failures.as_json(e),
                }
            )
            self.codes.append(e.exit_code)
            return not isinstance(e, ConfigError | StoreError)
        return True

    def document(self) -> dict[str, Any]:
        """Of one job that was asked for its own, else of all."""
        if len(self.jobs) == 1:
            return self.documents[0]
        return {"jobs": self.documents}

    def interrupted(self, code: int) -> int:
        said = "interrupted: nothing was written to any vendor"
        self.session.note(said)
        if len(self.jobs) == 1 and not self.documents:
            error = {"code": "Interrupted", "message": said}
            self.documents.append({"job": self.jobs[0], "error": error})
        self.session.document(self.document() | {"status": "interrupted"})
        return code


_allow_deletes = click.option(
    "--allow-deletes",
    type=click.IntRange(min=0),
    metavar="N",
    help="Let this run delete so many records, whatever the guard says.",
)


@click.command()
@click.argument("plan", metavar="PLAN")
@_allow_deletes
@with_session
def apply(session: Session, plan: str, *, allow_deletes: int | None) -> int:
    """Carry out PLAN exactly. What moved since is left for the next sync."""
    outcomes = Outcomes(session, single=True)

    async def work() -> None:
        async with session.open() as hub:
            await outcomes.approve(hub, [plan], allow_deletes=allow_deletes)

    return outcomes.run(work())


@click.command()
@click.argument("job", metavar="[JOB]", required=False)
@_full
@_limit
@_only
@_backfill
@click.option(
    "--max-calls",
    type=click.IntRange(min=0),
    metavar="N",
    help="Stop before more requests than this leave.",
)
@_allow_deletes
@with_session
def sync(
    session: Session,
    *,
    job: str | None,
    full: bool,
    limit: int | None,
    only: frozenset[str] | None,
    backfill: tuple[str, ...],
    max_calls: int | None,
    allow_deletes: int | None,
) -> int:
    """Plan and apply JOB, or all jobs, those first that others link to."""
    outcomes = Outcomes(session, single=job is not None)
    options = _options(
        full=full,
        limit=limit,
        only=only,
        backfill=backfill,
        allow_deletes=allow_deletes,
    )

    def one(hub: Hub, name: str) -> Callable[[Progress], Awaitable[Receipt]]:
        left = None if max_calls is None else max(max_calls - outcomes.calls(), 0)
        return lambda progress: hub.sync(
            name, options=options, max_calls=left, progress=progress
        )

    async def work() -> None:
        async with session.open() as hub:
            names = [hub.job(job).name] if job else hub.jobs_in_order()
            outcomes.width = max(map(len, names), default=0)
            for name in names:
                if not await outcomes.attempt(name, one(hub, name)):
                    break
            if not cancelled():
                for line in await hub.notify([o.receipt for o in outcomes.found]):
                    session.note(line, colour="yellow")

    return outcomes.run(work(), job or "")
