"""``run``, ``pause``, ``resume``: jobs that are kept to their time."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from connector_hub.adapters.person import person
from connector_hub.cli import failures
from connector_hub.cli.board import Board, shown
from connector_hub.cli.outcomes import COLOURS, as_document, length, line
from connector_hub.cli.running import Interrupted, finish, finish_command
from connector_hub.cli.session import Session, is_terminal, with_session
from connector_hub.model.plan import Receipt

if TYPE_CHECKING:
    from datetime import datetime

    from connector_hub.hub import Hub
    from connector_hub.sync.schedule import Event

_BY_ITSELF = "goes on when the vendor is back: one call looks from time to time"
_PORTS = 65_535
_COUNTED = ("created", "updated", "deleted")


class _Address(click.ParamType[tuple[str, int]]):
    """HOST:PORT."""

    name = "host:port"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        host, colon, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not (colon and host and port.isdigit() and int(port) <= _PORTS):
            self.fail("write HOST:PORT, such as 127.0.0.1:8787", param, ctx)
        return host, int(port)


@click.command()
@click.option(
    "--listen",
    type=_Address(),
    metavar="HOST:PORT",
    help="Hear the vendors' webhooks there, and look at once at what they name.",
)
@with_session
def run(session: Session, *, listen: tuple[str, int] | None) -> int:
    """Keep all jobs to their `every` in hub.yaml, until stopped by Ctrl-C or SIGTERM.

    One job runs at a time, those first that others link to. A job that fails is tried
    again later and holds no other up. hub.yaml is read once, at the start.
    """
    keeping = _Keeping(session, listen)
    try:
        finish(keeping.work(), on_stuck=keeping.stopped)
    except Interrupted as e:
        return keeping.stopped(e.exit_code)
    raise AssertionError  # pragma: no cover - it goes on until it is stopped


@dataclass(slots=True)
class _Keeping:
    """Tells what happens while jobs are kept to their time, and counts it."""

    session: Session
    listen: tuple[str, int] | None = None
    board: Board | None = None
    hub: Hub | None = None
    width: int = 0
    runs: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)

    async def work(self) -> None:
        async with self.session.open() as hub:
            self.hub = hub
            jobs = {n: hub.job(n) for n in hub.jobs_in_order() if hub.job(n).every}
            self.width = max(map(len, jobs), default=0)
            told = ", ".join(
                f"{n} every {length(j.every or 0)}" for n, j in jobs.items()
            )
            if told:
                self.session.note(f"keeping {told}; Ctrl-C ends it")
            with shown(jobs, hub.clock) as self.board:
                progress = self.board.progress if self.board else _unseen
                try:
                    await hub.run(self.hear, progress=progress, listen=self.listen)
                except asyncio.CancelledError as e:
                    self._broken_off(getattr(e, "receipt", None))
                    raise

    def hear(self, event: Event) -> None:
        """Tell what happened, one line for each run."""
        if self.board is not None:
            self.board.hear(event)
        match event.kind:
            case "held" if event.by is not None:
                mend = event.by.remedy()
                help_ = f"   help: {mend}" if mend else ""
                self.note(f"{event.job} waits: {event.by.told()}{help_}")
            case "freed":
                self.note(f"{event.job} goes on")
            case "untold":
                self.note(event.said, "yellow")
            case "listening":
                self.note(event.said)
            case "ended":
                self._ended(event)

    def _ended(self, event: Event) -> None:
        error = event.error
        receipt = event.receipt
        if receipt is None:
            status = failures.status_of(error) if error else "done"
            receipt = Receipt(event.job, 0, status)
        if error is not None:
            receipt.error = failures.as_json(error)
        self._count(receipt)
        text = line(receipt, self.width)
        if error is not None:
            where = f" ({error.where})" if error.where else ""
            what = " ".join(error.told.split())
            text += f"   {failures.code_of(error)}{where}: {what}"
        self.say(f"{text}   {self._next(event)}", COLOURS.get(receipt.status, "red"))
        if error is not None and error.hint:
            self.note(f"  help: {error.hint}")
        self._document(receipt)

    def _next(self, event: Event) -> str:
        if event.by is not None:
            mend = event.by.remedy()
            return f"goes on after: {mend}" if mend else _BY_ITSELF
        if event.again is None:
            return ""
        there, now = event.again.astimezone(), self._now().astimezone()
        day = f"{there:%Y-%m-%d} " if there.date() != now.date() else ""
        return f"{'goes on' if event.error else 'next'} {day}{there:%H:%M:%S}"

    def _broken_off(self, receipt: Any) -> None:
        """A signal came in the middle of a run: what it had done by then."""
        if isinstance(receipt, Receipt):
            receipt.status = "interrupted"
            self._count(receipt)
            self.say(line(receipt, self.width), "red")
            self._document(receipt)

    def _count(self, receipt: Receipt) -> None:
        self.runs[receipt.status] += 1
        for name in _COUNTED:
            self.done[name] += getattr(receipt, name)

    def stopped(self, code: int) -> int:
        """A signal ended it: what was done since the start."""
        runs = ", ".join(f"{n} {status}" for status, n in self.runs.items())
        wrote = ", ".join(f"{self.done[n]:,} {n}" for n in _COUNTED)
        self.session.note(
            f"stopped: {sum(self.runs.values())} runs"
            + (f" ({runs}); {wrote}" if runs else "")
            + "; what was done is kept, connector-hub run goes on from there"
        )
        return code

    def _document(self, receipt: Receipt) -> None:
        if self.session.json:
            self.session.line(as_document(receipt))

    def say(self, text: str, colour: str | None = None) -> None:
        """A line of the log."""
        self._write(text, colour, err=self.session.json)

    def note(self, text: str, colour: str | None = None) -> None:
        """A line beside the log."""
        self._write(text, colour, err=True)

    def _write(self, text: str, colour: str | None, *, err: bool) -> None:
        stamped = f"{self._now().astimezone():%Y-%m-%d %H:%M:%S}  {text}"
        if self.board is not None and (err or is_terminal(sys.stdout)):
            self.board.print(stamped, colour)
        elif err:
            self.session.note(stamped, colour=colour)
        else:
            self.session.say(stamped, colour=colour)

    def _now(self) -> datetime:
        assert self.hub is not None  # noqa: S101 - nothing is told before it is open
        return self.hub.clock.now()


def _unseen(phase: str, done: int, total: int | None) -> None:
    """Without a table one line a run is enough."""


@click.command()
@click.argument("name", metavar="JOB|CONNECTION")
@click.option("--reason", default="", metavar="TEXT", help="Kept and shown to others.")
@with_session
def pause(session: Session, *, name: str, reason: str) -> int:
    """Hold a JOB, or all jobs of a CONNECTION, until `resume`.

    A run that is under way goes to its end. `plan` and `check` go on working.
    Where a job and a connection have one name, write job:NAME or connection:NAME.
    """

    async def work() -> None:
        async with session.open() as hub:
            held = hub.pause(name, why=reason, who=person())
        session.say(held.told())
        session.document(
            {"paused": {"what": held.what, "name": held.name, "since": held.since}}
        )

    return finish_command(session, work())


@click.command()
@click.argument("name", metavar="JOB|CONNECTION")
@with_session
def resume(session: Session, *, name: str) -> int:
    """Let a JOB or CONNECTION go on that is paused or waits to be reconnected."""

    async def work() -> None:
        async with session.open() as hub:
            what, found, held = hub.resume(name)
        session.say(f"{what} {found} {'goes on' if held else 'was not held'}")
        session.document({"resumed": {"what": what, "name": found, "held": held}})

    return finish_command(session, work())
