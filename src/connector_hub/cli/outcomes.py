"""What became of a command's jobs: lines for people, a document, an exit code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connector_hub.cli import failures
from connector_hub.cli.progress import watching
from connector_hub.cli.running import Interrupted, finish
from connector_hub.cli.session import Session
from connector_hub.diagnostics import Outgrown
from connector_hub.errors import ConfigError, HubError, Paused, StoreError
from connector_hub.model.plan import Plan, Receipt

if TYPE_CHECKING:
    from connector_hub.hub import Hub
    from connector_hub.ports import Progress

COLOURS = {
    "done": "green",
    "partial": "yellow",
    "waiting": "yellow",
    "paused": "yellow",
}
_RARE = ("deleted", "not_taken", "stale", "blocked", "conflicts", "dead_letters")
AGAIN = "run connector-hub sync again: it goes on where it stopped"


@dataclass(slots=True)
class Outcome:
    """How one job ended. ``error`` is None when it ended by itself."""

    receipt: Receipt
    code: int
    error: HubError | None = None


@dataclass(slots=True)
class Outcomes:
    """Collects how jobs end, and tells each when it does."""

    session: Session
    single: bool
    """One job was asked for: its document stands alone."""
    width: int = 0
    found: list[Outcome] = field(default_factory=list)

    async def attempt(
        self, job: str, work: Callable[[Progress], Awaitable[Receipt]], label: str = ""
    ) -> bool:
        """Run one job under a progress display; whether later ones may run after it.

        Raises:
            CancelledError: a signal came; what had been done is kept here.
        """
        try:
            with watching(self.session, label or job) as progress:
                receipt = await work(progress)
        except asyncio.CancelledError as e:
            self._stopped(job, e)
            raise
        except HubError as e:
            if isinstance(e, Paused) and not self.single:
                self._skipped(job, e)
            else:
                self.failed(job, e)
            return _goes_on(e) and not cancelled()
        self._add(Outcome(receipt, failures.status_code(receipt.status)))
        return not cancelled()

    async def approve(
        self, hub: Hub, plans: Sequence[str], *, allow_deletes: int | None = None
    ) -> None:
        """Carry plans out one after the other; none of them where one cannot be.

        ``allow_deletes`` is how many records each may delete, whatever the guard says.

        Raises:
            CancelledError: a signal came; what had been done is kept here.
        """
        found = []
        for plan in plans:
            try:
                found.append(hub.approvable(plan))
            except HubError as e:
                self.failed(_job_of(hub, plan), e)
        if self.found:
            return
        self.width = max(len(k.plan.job) for k in found)
        for kept in found:
            number = kept.plan.id
            if not await self.attempt(
                kept.plan.job,
                lambda progress, number=number: hub.apply(  # type: ignore[misc]
                    number, allow_deletes=allow_deletes, progress=progress
                ),
                label=f"plan {number}",
            ):
                return

    def failed(self, job: str, error: HubError) -> None:
        """A job ended with an error."""
        receipt = error.receipt
        if not isinstance(receipt, Receipt):
            receipt = Receipt(job, 0, failures.status_of(error))
        receipt.error = failures.as_json(error)
        self._add(Outcome(receipt, error.exit_code, error))

    def _skipped(self, job: str, error: Paused) -> None:
        """One of several jobs is paused: that is said, and is no failure."""
        self.session.note(f"{job}: skipped, {error.told}")
        self.session.note(f"  help: {error.hint}")
        receipt = Receipt(job, 0, "paused", error=failures.as_json(error))
        self._add(Outcome(receipt, failures.status_code(receipt.status)))

    def _stopped(self, job: str, error: BaseException) -> None:
        receipt = getattr(error, "receipt", None)
        if not isinstance(receipt, Receipt):
            receipt = Receipt(job, 0)
        receipt.status = "interrupted"
        receipt.error = {"code": "Interrupted", "message": f"interrupted; {AGAIN}"}
        self._add(Outcome(receipt, failures.INTERRUPTED))

    def _add(self, outcome: Outcome) -> None:
        self.found.append(outcome)
        _tell(self.session, outcome, self.width)

    @property
    def code(self) -> int:
        """The exit code of all of them."""
        return failures.gravest(o.code for o in self.found)

    def document(self) -> dict[str, Any]:
        """The document of all of them."""
        documents = [as_document(o.receipt) for o in self.found]
        if self.single and documents:
            return documents[0]
        status = failures.gravest_status(o.receipt.status for o in self.found)
        return {"jobs": documents, "status": status}

    def run(self, work: Coroutine[Any, Any, None], job: str = "") -> int:
        """Run jobs to their end or to a signal, write the document; the exit code."""
        try:
            finish(work, on_stuck=self.interrupted)
        except Interrupted as e:
            return self.interrupted(e.exit_code)
        except HubError as e:
            if not self.single:
                return self._before_any(e)
            self.failed(job, e)
        self.session.document(self.document())
        return self.code

    def _before_any(self, error: HubError) -> int:
        """The project could not be opened, or left in peace."""
        failures.show(self.session, error)
        document = self.document()
        document["status"] = failures.status_of(error)
        document["error"] = failures.as_json(error)
        self.session.document(document)
        return failures.gravest((self.code, error.exit_code))

    def interrupted(self, code: int) -> int:
        """A signal ended the work: what was done, and how to go on."""
        self.session.note(f"interrupted: what was done is kept; {AGAIN}")
        document = self.document()
        document["status"] = "interrupted"
        self.session.document(document)
        return code

    def calls(self) -> int:
        """Requests that left so far."""
        return sum(
            n
            for o in self.found
            for buckets in o.receipt.calls.values()
            for n in buckets.values()
        )


def _goes_on(error: HubError) -> bool:
    """Whether what stopped one job may leave others alone."""
    if isinstance(error, Outgrown):
        return True
    return not isinstance(error, ConfigError | StoreError)


def _job_of(hub: Hub, plan: str) -> str:
    """A plan's job, empty where there is no such plan."""
    try:
        return hub.kept(plan).plan.job
    except HubError:
        return ""


def cancelled() -> bool:
    """Whether a signal came while something else went wrong."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def as_document(receipt: Receipt) -> dict[str, Any]:
    """A run's document; a job that never began has no run."""
    document = receipt.document()
    document["job"] = receipt.job or None
    document["run"] = receipt.run or None
    return document


def _tell(session: Session, outcome: Outcome, width: int) -> None:
    """A job's line, the calls beside it, and where to look further."""
    receipt = outcome.receipt
    if receipt.run:
        session.say(line(receipt, width), colour=COLOURS.get(receipt.status, "red"))
        for more in details(session, receipt):
            session.say(f"  {more}")
    if outcome.error is not None:
        failures.show(session, outcome.error, job=receipt.job)


def line(receipt: Receipt, width: int = 0) -> str:
    """A run in one line."""
    took = duration(receipt.seconds)
    return f"{receipt.job:<{width}}  {receipt.status}  {took}   {counted(receipt)}"


def counted(receipt: Receipt) -> str:
    """What became of a run's records."""
    counts = [
        ("read", receipt.read),
        ("created", receipt.created),
        ("updated", receipt.updated),
        ("unchanged", receipt.unchanged),
    ]
    counts += [(n, getattr(receipt, n)) for n in _RARE if getattr(receipt, n)]
    return "  ".join(f"{n.replace('_', ' ')} {count:,}" for n, count in counts)


def duration(seconds: float) -> str:
    """A length of time as people say it."""
    if seconds < 10:  # noqa: PLR2004 - below it tenths matter
        return f"{seconds:.1f} s"
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{seconds:.0f} s"
    if seconds < 7200:  # noqa: PLR2004 - two hours
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"  # noqa: PLR2004


def length(seconds: float) -> str:
    """A length of time as hub.yaml spells it: 90s, 15m, 24h, 7d."""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"


def buckets(calls: dict[str, int]) -> str:
    """Calls by bucket."""
    return ", ".join(f"{name} {n:,}" for name, n in sorted(calls.items()))


def unreadable(session: Session, of: Plan | Receipt) -> str:
    """Fields with values that could not be read; some of these where values may be seen."""
    found = []
    for name, n in sorted(of.unreadable.items(), key=lambda x: (-x[1], x[0])):
        some = of.samples.get(name, ()) if session.shows_values else ()
        such = f" ({', '.join(map(session.value, some))})" if some else ""
        found.append(f"{name} {n:,}{such}")
    return ", ".join(found)


def backfill(of: Plan | Receipt) -> str:
    """Fields in which records differ under a rule that is new or was edited, and what would bring them."""
    counts = ", ".join(f"{name} {n:,}" for name, n in sorted(of.unbased.items()))
    flags = " ".join(f"--backfill {name}" for name in sorted(of.unbased))
    return f"{counts}   see: connector-hub plan {of.job} {flags}"


def details(session: Session, receipt: Receipt) -> list[str]:
    """The lines below a run's line."""
    found = []
    if receipt.calls:
        by_connection = "; ".join(
            f"{name}: {buckets(calls)}" for name, calls in receipt.calls.items()
        )
        found.append(f"calls made   {by_connection}")
    if receipt.exposed is not None:
        found.append(
            f"what was overwritten had been read at most {duration(receipt.exposed)} before"
        )
    if receipt.unreadable:
        told = unreadable(session, receipt)
        found.append(f"unreadable values, left alone: {told}")
    if receipt.unbased:
        found.append(f"new or edited rules, left alone: {backfill(receipt)}")
    if receipt.drift:
        found.append(
            f"{receipt.drift:,} records were edited where that does not travel"
        )
    found += receipt.notes
    for name, command in (
        ("conflicts", "conflicts list"),
        ("dead_letters", "dead-letters list"),
    ):
        count = receipt.open.get(name, 0)
        if count:
            words = name.replace("_", " ")
            found.append(
                f"{count:,} {words} open   see: connector-hub {command} "
                f"--job {receipt.job}"
            )
    if receipt.plan:
        found += [
            f"see it: connector-hub plans show {receipt.plan}",
            f"then: connector-hub plans approve {receipt.plan}, or plans reject {receipt.plan}",
        ]
    elif receipt.stale or receipt.blocked:
        found.append("what is stale or blocked is taken up by the next sync")
    return found
