"""Time that tests move."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta

from connector_hub.testing.sandbox import SandboxClock

_TURNS = 5
"""How often a sleeper lets others go first before time moves on to its end."""


class VirtualClock:
    """Time that moves only when it is told to; sleepers wake in the order of their times."""

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._seconds = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        """The virtual instant in UTC."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Virtual seconds since the start."""
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Sleep until time has been advanced so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(
            self._sleepers, (self._seconds + seconds, next(self._order), woken)
        )
        await woken

    async def advance(self, seconds: float) -> None:
        """Move time, waking every sleeper whose time comes, and let each go on."""
        until = self._seconds + seconds
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, woken = heapq.heappop(self._sleepers)
            self._seconds = max(self._seconds, at)
            if not woken.done():
                woken.set_result(None)
            await _settle()
        self._seconds = until

    async def run(self, work: asyncio.Future[object]) -> None:
        """Move time from sleeper to sleeper until ``work`` is done."""
        while not work.done():
            await _settle()
            if work.done():
                return
            if not self._sleepers:
                await asyncio.sleep(0.001)
                continue
            await self.advance(self._sleepers[0][0] - self._seconds)


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class WorldClock(SandboxClock):
    """One time for a hub and its sandboxes, which moves on by itself when somebody sleeps.

    Nobody waits: who sleeps lets others go first, then it is later. Sleepers wake in the order of their
    times. The same things happen at the same instants each time.
    """

    def __init__(self, start: datetime | None = None) -> None:
        super().__init__()
        self._start = start or datetime(2026, 1, 1, tzinfo=UTC)
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int]] = []

    def time(self) -> float:
        """Seconds since the epoch."""
        return self._start.timestamp() + self._ahead

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return self._ahead

    def reset(self) -> None:
        """Time does not go back."""

    def set_back(self, seconds: float) -> None:
        """Be at an instant that has been, in seconds since the world began: it is lived again."""
        self._ahead = seconds

    async def sleep(self, seconds: float) -> None:
        """Let others go first, then have it so much later."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        mine = (self._ahead + seconds, next(self._order))
        heapq.heappush(self._sleepers, mine)
        try:
            await self._turn()
            while self._sleepers[0] != mine:
                await self._turn()
        finally:
            self._sleepers.remove(mine)
            heapq.heapify(self._sleepers)
        self._ahead = max(self._ahead, mine[0])

    async def _turn(self) -> None:
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    def ahead(self, seconds: float) -> SandboxClock:
        """The same time on a clock that goes so much ahead, or behind."""
        return _Skewed(self, seconds)


class _Skewed(SandboxClock):
    """A clock that is not right."""

    def __init__(self, right: WorldClock, by: float) -> None:
        super().__init__()
        self._right = right
        self._by = by

    def time(self) -> float:
        return self._right.time() + self._by

    def advance(self, seconds: float) -> None:
        self._right.advance(seconds)

    def reset(self) -> None:
        """Time does not go back."""
