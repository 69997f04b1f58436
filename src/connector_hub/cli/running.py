"""Runs a coroutine to its end or to the first Ctrl-C; a second one ends at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from connector_hub.cli.session import Session

T = TypeVar("T")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 1.6
"""Seconds from the first signal to the end, whatever happens: 2 s are promised."""


class Interrupted(Exception):
    """A signal ended the work. ``exit_code`` is 130 or 143."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.exit_code = 128 + number


class _Watch:
    """Turns the first signal into a cancelled task."""

    def __init__(self, on_stuck: Callable[[int], object]) -> None:
        self.number: int | None = None
        self.timer: threading.Timer | None = None
        self.cancel: Callable[[], None] = lambda: None
        self._on_stuck = on_stuck

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """A signal has come."""
        if self.number is not None:
            os._exit(128 + number)
        self.number = number
        self.timer = threading.Timer(_PATIENCE, self._stuck)
        self.timer.daemon = True
        self.timer.start()
        self.cancel()

    def _stuck(self) -> None:
        """The work does not end by itself: the next run looks up what it left open."""
        assert self.number is not None  # noqa: S101 - only a signal starts the timer
        try:
            self._on_stuck(128 + self.number)
        finally:
            os._exit(128 + self.number)


def finish(
    work: Coroutine[Any, Any, T],
    *,
    on_stuck: Callable[[int], object] = lambda _code: None,
) -> T:
    """Run to the end.

    The first SIGINT or SIGTERM cancels the work, which then settles what it knows;
    should it not end within two seconds, ``on_stuck`` has the last word and the process
    ends.

    Raises:
        Interrupted: a signal came.
        Exception: as the work raises it.
    """
    watch = _Watch(on_stuck)
    before = {number: signal.signal(number, watch.hear) for number in _SIGNALS}
    try:
        done = asyncio.run(_watched(work, watch))
    except asyncio.CancelledError:
        if watch.number is None:
            raise
        raise Interrupted(watch.number) from None
    finally:
        if watch.timer is not None:
            watch.timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    if watch.number is not None:  # what the signal broke off ended in another way
        raise Interrupted(watch.number)
    return done


async def _watched(work: Coroutine[Any, Any, T], watch: _Watch) -> T:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(work)
    watch.cancel = lambda: _cancel(loop, task)
    if watch.number is not None:
        task.cancel()
    return await task


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Future[Any]) -> None:
    """From a signal handler: wakes the loop, too."""
    loop.call_soon_threadsafe(task.cancel)


def finish_command(session: Session, work: Coroutine[Any, Any, None]) -> int:
    """Run a command that writes to no vendor; its exit code."""
    try:
        finish(work)
    except Interrupted as e:
        session.note("interrupted")
        session.document({"error": {"code": "Interrupted", "message": "interrupted"}})
        return e.exit_code
    return 0
