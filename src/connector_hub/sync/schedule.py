"""Keeps jobs to their ``every``: one at a time, parents first, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from connector_hub.errors import (
    AuthError,
    HubError,
    Locked,
    Paused,
    QuotaSpent,
    StoreError,
    Unavailable,
    VendorError,
)
from connector_hub.model.job import Job
from connector_hub.model.plan import Receipt
from connector_hub.model.standing import Standing
from connector_hub.ports import Clock

LOOK_AGAIN = 15.0
"""Seconds between two looks at whether what is held may go on."""
SOON = 60.0
"""Seconds after which what failed for the moment is tried again, at first."""
QUOTA = 900.0
"""The same for a spent quota."""
SETTLE = 2.0
"""Seconds from a hint to the run that looks: hints come in swarms, and an index may be late."""
REST = 10.0
"""Seconds between a job's runs that hints have asked for, so that a busy day does not spend the quota."""
LONGEST = 3600.0
"""Seconds a failing job waits at the most, unless its own ``every`` is longer."""
_WELL = frozenset({"done", "partial", "waiting"})
_TEMPORARY = Unavailable.exit_code
_DOUBLINGS = 20


@dataclass(frozen=True, slots=True)
class Event:
    """Something there is to say about a job.

    *started*; *ended* with its receipt, or with the error that stopped it, and when it runs again;
    *held* by a pause or a connection, *freed* when that is over; *untold* when a notice could not be
    delivered; *listening* with what there is to say of webhooks. ``by`` is what holds it from here on.
    """

    kind: Literal["started", "ended", "held", "freed", "untold", "listening"]
    job: str
    receipt: Receipt | None = None
    error: HubError | None = None
    again: datetime | None = None
    by: Standing | None = None
    said: str = ""


Tell = Callable[[Event], None]


@dataclass(slots=True)
class Turn:
    """A scheduled job: the grid of its times, when it is due, and how often it failed in a row.

    All times are the clock's monotonic seconds.
    """

    job: str
    every: float
    grid: float
    due: float
    failures: int = 0
    held: bool = False
    hinted: float = math.inf
    """When it is to run because a vendor hinted at something."""
    ended: float = -math.inf

    @property
    def next(self) -> float:
        """When it runs next. A hint hurries no job that has failed: its time may be the vendor's own."""
        return self.due if self.failures or self.held else min(self.due, self.hinted)

    def hint(self, now: float) -> None:
        """There is something to look at."""
        self.hinted = min(self.hinted, max(now + SETTLE, self.ended + REST))

    def after_success(self, now: float) -> None:
        """The next time on the grid: times that went by meanwhile are not made up for."""
        self.failures = 0
        steps = math.floor((now - self.grid) / self.every) + 1
        self.due = self.grid + max(steps, 0) * self.every

    def after_failure(self, now: float, error: HubError) -> None:
        """Later with each failure; not before the vendor's own time."""
        self.failures += 1
        first = self.every
        if isinstance(error, QuotaSpent):
            first = min(first, QUOTA)
        elif error.exit_code == _TEMPORARY or isinstance(error, Locked):
            first = min(first, SOON)
        doubled = first * 2 ** min(self.failures - 1, _DOUBLINGS)
        wait = min(doubled, max(self.every, LONGEST))
        self.due = now + max(wait, getattr(error, "wait", None) or 0.0)


@dataclass(slots=True)
class Agenda:
    """Who is next. ``turns`` stand with parents first."""

    clock: Clock
    turns: list[Turn] = field(default_factory=list)
    hinted: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(
        cls,
        every: Mapping[str, float],
        last: Mapping[str, tuple[datetime, str]],
        clock: Clock,
    ) -> Agenda:
        """Jobs by name with their ``every``, parents first, and when each began last.

        One that ended well within its ``every`` waits for the rest of it; all others are due now.
        """
        now = clock.monotonic()
        turns = []
        for job, seconds in every.items():
            began, status = last.get(job, (None, ""))
            left = 0.0
            if began is not None and status in _WELL:
                left = seconds - (clock.now() - began).total_seconds()
            due = now + min(max(left, 0.0), seconds)
            turns.append(Turn(job, seconds, due, due))
        return cls(clock, turns)

    def first(self) -> Turn:
        """The one that is due first; of several at once, the parent."""
        return min(self.turns, key=lambda t: t.next)

    def hint(self, jobs: Collection[str]) -> None:
        """A vendor has hinted at records of these jobs."""
        for turn in self.turns:
            if turn.job in jobs:
                turn.hint(self.clock.monotonic())
        self.hinted.set()

    async def wait(self, seconds: float) -> None:
        """Let time pass, until a hint comes."""
        self.hinted.clear()
        waits = {
            asyncio.ensure_future(self.clock.sleep(seconds)),
            asyncio.ensure_future(self.hinted.wait()),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def at(self, turn: Turn) -> datetime:
        """When a turn comes, as clocks on walls say it."""
        left = max(turn.next - self.clock.monotonic(), 0.0)
        return self.clock.now() + timedelta(seconds=left)


def overdue(
    jobs: Iterable[Job],
    last: Mapping[str, tuple[datetime, str]],
    held: Iterable[Standing],
    now: datetime,
) -> list[tuple[str, datetime | None, str]]:
    """Scheduled jobs that nobody runs, though nothing holds them: (job, its last run, how that ended)."""
    names = {(s.what, s.name) for s in held if s.state != "failing"}
    found = []
    for job in jobs:
        began, status = last.get(job.name, (None, ""))
        late = began is None or (now - began).total_seconds() > 2 * (job.every or 0)
        mine = {("job", job.name)}
        mine |= {("connection", s.connection) for s in (job.left, job.right)}
        if job.every and late and not mine & names:
            found.append((job.name, began, status))
    return found


def cancelled() -> bool:
    """Whether a signal came while something else went wrong."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _stopped(error: HubError) -> asyncio.CancelledError:
    """What the signal wanted, with what the run had done."""
    found = asyncio.CancelledError()
    found.receipt = error.receipt  # type: ignore[attr-defined]
    return found


@dataclass(slots=True)
class Keeper:
    """Runs the jobs of an agenda, each in its turn.

    ``attempt`` runs one job; ``holds`` says what keeps it from running; ``tell`` hears what happens;
    ``notify`` sends notices of a run, and answers with a line for each that was not delivered.
    """

    agenda: Agenda
    attempt: Callable[[str], Awaitable[Receipt]]
    holds: Callable[[str], Standing | None]
    tell: Tell
    notify: Callable[[Receipt], Awaitable[list[str]]]

    async def keep(self) -> None:
        """Go on until cancelled."""
        clock = self.agenda.clock
        while True:
            turn = self.agenda.first()
            wait = turn.next - clock.monotonic()
            if wait > 0:
                await self.agenda.wait(wait)
            else:
                await self._take(turn)

    async def _take(self, turn: Turn) -> None:
        """One run of one job, unless something holds it. What stops it stops no other."""
        receipt: Receipt | None = None
        try:
            if self._held(turn, self.holds(turn.job)):
                return
            self.tell(Event("started", turn.job))
            turn.hinted = math.inf
            receipt = await self.attempt(turn.job)
        except Paused:  # a moment ago: the next look says by whom
            turn.due = self._now() + LOOK_AGAIN
        except HubError as e:
            if cancelled():
                raise _stopped(e) from e
            self._failed(turn, e)
            receipt = e.receipt if isinstance(e.receipt, Receipt) else None
        else:
            turn.after_success(self._now())
            again = self.agenda.at(turn)
            self.tell(Event("ended", turn.job, receipt, again=again))
        turn.ended = self._now()
        if receipt is not None:
            for line in await self.notify(receipt):
                self.tell(Event("untold", turn.job, said=line))

    def _now(self) -> float:
        return self.agenda.clock.monotonic()

    def _held(self, turn: Turn, by: Standing | None) -> bool:
        """Whether a job may not run now; said when it begins and when it ends, not in between."""
        if by is None:
            if turn.held:
                turn.held, turn.failures = False, 0
                self.tell(Event("freed", turn.job))
            return False
        if not turn.held:
            self.tell(Event("held", turn.job, by=by))
        turn.held, turn.due = True, self._now() + LOOK_AGAIN
        return True

    def _failed(self, turn: Turn, error: HubError) -> None:
        receipt = error.receipt if isinstance(error.receipt, Receipt) else None
        turn.after_failure(self._now(), error)
        by: Standing | None = None
        if isinstance(error, AuthError | VendorError):
            with contextlib.suppress(StoreError):
                by = self.holds(turn.job)
        if by is not None:
            turn.held, turn.due = True, self._now() + LOOK_AGAIN
        again = self.agenda.at(turn) if by is None else None
        self.tell(Event("ended", turn.job, receipt, error, again, by))
