"""What people see while work goes on: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from connector_hub.cli.session import Session, plain

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from connector_hub.ports import Progress

EVERY = 30.0
"""Seconds between two plain lines of one phase."""


@contextlib.contextmanager
def watching(session: Session, job: str) -> Iterator[Progress]:
    """Progress of one job on stderr, gone or told when the block ends."""
    if plain(sys.stderr):
        yield Lines(session, job)
        return
    from rich.console import Console  # noqa: PLC0415 - terminals only
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Live(bars, job)


class Lines:
    """A line when a phase begins, then at most every 30 seconds."""

    def __init__(
        self, session: Session, job: str, monotonic: Any = time.monotonic
    ) -> None:
        self._session = session
        self._job = job
        self._monotonic = monotonic
        self._told: dict[str, float] = {}

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        """Take note of where the work is."""
        now = self._monotonic()
        if now - self._told.get(phase, -EVERY) < EVERY:
            return
        first = phase not in self._told
        self._told[phase] = now
        count = f" {done:,}" if done and not first else ""
        of = f" of {total:,}" if total and count else ""
        self._session.note(f"{self._job}: {phase}{count}{of}")


class _Live:
    """Bars by phase."""

    def __init__(self, bars: Bars, job: str) -> None:
        self._bars = bars
        self._job = job
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        if phase not in self._tasks:
            self._end_the_others()
            self._tasks[phase] = self._bars.add_task(
                f"{self._job}  {phase}", total=None, count=""
            )
        count = f"{done:,}" + (f" of {total:,}" if total else "")
        self._bars.update(
            self._tasks[phase], completed=done, total=total or None, count=count
        )

    def _end_the_others(self) -> None:
        """What began before this phase is through, whatever it last told."""
        for task in self._bars.tasks:
            self._bars.update(task.id, total=1, completed=1)
