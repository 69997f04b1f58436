"""Time that tests move."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta


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
