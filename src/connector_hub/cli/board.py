"""The table that ``run`` shows on a terminal: each job, how its last run ended, when the next comes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connector_hub.cli.outcomes import COLOURS, counted, duration, length
from connector_hub.cli.session import plain, printable
from connector_hub.model.job import Job

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from connector_hub.ports import Clock
    from connector_hub.sync.schedule import Event

_HEADS = ("JOB", "EVERY", "STATUS", "LAST", "TOOK", "NEXT", "DONE")
_FRAMES = 2
"""Looks a second: it stands on somebody's screen for days."""


@contextlib.contextmanager
def shown(jobs: dict[str, Job], clock: Clock) -> Iterator[Board | None]:
    """The table while the block lasts; None where stderr is no terminal."""
    if plain(sys.stderr):
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - terminals only
    from rich.live import Live  # noqa: PLC0415

    board = Board(jobs, clock)
    with Live(
        get_renderable=board.table,
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=_FRAMES,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:
        board.live = live
        yield board


class Board:
    """What is known of each job."""

    def __init__(self, jobs: dict[str, Job], clock: Clock) -> None:
        self.live: Live | None = None
        self._jobs = jobs
        self._clock = clock
        self._running = ""
        self._phase = ""
        self._status = dict.fromkeys(jobs, "")
        self._last = dict.fromkeys(jobs, "")
        self._took = dict.fromkeys(jobs, "")
        self._next = dict.fromkeys(jobs, "")
        self._done = dict.fromkeys(jobs, "")

    def hear(self, event: Event) -> None:
        """Take note of what happened."""
        job = event.job
        match event.kind:
            case "started":
                self._running, self._phase = job, ""
            case "freed":
                self._status[job] = ""
            case "held" if event.by is not None:
                self._status[job], self._next[job] = event.by.state, ""
            case "ended":
                self._ended(event)

    def _ended(self, event: Event) -> None:
        job, receipt, by = event.job, event.receipt, event.by
        self._running = ""
        self._last[job] = f"{self._clock.now().astimezone():%H:%M:%S}"
        self._status[job] = receipt.status if receipt else "failed"
        if receipt is None and event.error is not None:
            self._status[job] = event.error.code
        if receipt is not None:
            self._done[job] = counted(receipt)
            self._took[job] = duration(receipt.seconds)
        if by is not None:
            self._status[job] = by.state
        self._next[job] = f"{event.again.astimezone():%H:%M:%S}" if event.again else ""

    def progress(self, phase: str, done: int, total: int | None) -> None:
        """What the job at work is doing."""
        of = f" of {total:,}" if total else ""
        self._phase = f"{phase} {done:,}{of}" if done else phase

    def print(self, text: str, colour: str | None) -> None:
        """A line above the table."""
        assert self.live is not None  # noqa: S101 - set before anything can happen
        out = self.live.console
        out.print(printable(text), style=colour, markup=False, highlight=False)

    def table(self) -> Table:
        """The table as it is now."""
        from rich.table import Table  # noqa: PLC0415 - terminals only
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False)
        for head in _HEADS:
            table.add_column(head, no_wrap=head != "DONE")
        for name, job in self._jobs.items():
            status: Any = Text(self._status[name], COLOURS.get(self._status[name], ""))
            done = self._done[name]
            if name == self._running:
                status, done = Text("running", "cyan"), self._phase
            every = length(job.every or 0)
            last, took, then = self._last[name], self._took[name], self._next[name]
            table.add_row(name, every, status, last, took, then, done)
        return table
