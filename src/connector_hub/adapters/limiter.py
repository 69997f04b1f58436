"""Keeps requests inside a vendor's windows: a rolling log stamped when the reply arrives.

The vendor saw a request no later than its reply came, so a slot stamped then is free again no earlier
than the vendor frees it; a log stamped at the sending runs into refusals under jitter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connector_hub.adapters.quota import RESERVE, Day, when
from connector_hub.errors import RateLimited
from connector_hub.ports import Clock
from connector_hub.sdk.connector import Left, Limit

_EPSILON = 1e-6
_RECOVERY = 1.0
"""Seconds without a refusal after which one more request may be in flight."""
_THROTTLE_WAIT = 1.0
_SLOWER, _FASTER = 0.9, 0.0035
"""After a refusal: the share of the rate the vendor took, and how much of it is added each second."""
_PROBING, _BOLDER = 40.0, 400.0
"""Seconds without a refusal after which the rate grows with their square, over this."""
_FORGIVEN = 4.0
"""The share of the rate once refused at which none is kept to any more."""
_SLOWEST = 0.2
_BURST = 1.25
PATIENCE = 120.0
"""A vendor that asks for more seconds than this ends the call; the run is resumable."""


@dataclass(slots=True)
class _Bucket:
    """One bucket's windows and who waits for it."""

    rolling: list[Limit] = field(default_factory=list)
    day: Day | None = None
    concurrent: int | None = None
    log: deque[tuple[float, int]] = field(default_factory=deque)
    logged: int = 0
    """What the log adds up to."""
    flying: int = 0
    requests: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    held_until: float = 0.0
    narrowed: float | None = None
    recovered: float = 0.0
    took: float | None = None
    """Calls a second at which the vendor refused one; None while it refuses none."""
    next_at: float = 0.0
    since: float = 0.0
    """When it was refused last; ``done`` is how much was carried out since."""
    done: int = 0
    lately: deque[float] = field(default_factory=deque)
    """When what was carried out in the last second was."""

    def room(self, now: float, cost: int) -> float:
        """Seconds until the cost fits; 0 when it does now, infinite until a reply comes."""
        if now < self.held_until:
            return self.held_until - now
        if now < self.next_at:
            return self.next_at - now
        width = self.width(now)
        if width is not None and self.requests >= max(1, int(width)):
            return float("inf")
        return max((self._until(r, now, cost) for r in self.rolling), default=0.0)

    def _until(self, limit: Limit, now: float, cost: int) -> float:
        cost = min(cost, limit.amount)
        used = self.flying
        if used + self.logged + cost <= limit.amount:
            return 0.0
        since = now - limit.per
        inside = [(t, c) for t, c in self.log if t > since + _EPSILON]
        used += sum(c for _, c in inside)
        if used + cost <= limit.amount:
            return 0.0
        for t, c in inside:
            used -= c
            if used + cost <= limit.amount:
                return t + limit.per - now + 2 * _EPSILON
        return float("inf")

    def width(self, now: float) -> float | None:
        """How many requests may be in flight: halved by a refusal, one more per clean second."""
        if self.narrowed is None:
            return self.concurrent
        self.narrowed += (now - self.recovered) / _RECOVERY
        self.recovered = now
        ceiling = self.concurrent or 16
        if self.narrowed >= ceiling:
            self.narrowed = None
            return self.concurrent
        return self.narrowed

    def enter(self, now: float, cost: int) -> None:
        """A call is let in."""
        self.flying += cost
        self.requests += 1
        rate = self.rate(now)
        if rate is not None:
            self.next_at = max(self.next_at, now) + cost / rate
        self.forget(now)

    def leave(self, now: float, cost: int) -> None:
        """Its reply has come, or never will."""
        self.flying -= cost
        self.requests -= 1
        self.done += 1
        self.lately.append(now)
        while self.lately[0] < now - 1:
            self.lately.popleft()
        if self.day is not None:
            self.day.spend(cost)
        if self.rolling:
            self.log.append((now, cost))
            self.logged += cost

    def rate(self, now: float) -> float | None:
        """Calls a second: a little less than were refused, then slowly more until one is again."""
        if self.took is None:
            return None
        clean = max(now - self.held_until, 0.0)
        share = _SLOWER + _FASTER * clean + max(clean - _PROBING, 0.0) ** 2 / _BOLDER
        if share >= _FORGIVEN:
            self.took = None
            return None
        return self.took * share

    def slow_down(self, now: float) -> None:
        """A call was refused: what was carried out before it is what the vendor takes."""
        rate = self.rate(now)
        if rate is None:
            took = float(len(self.lately) - 1)
        else:
            took = min(rate, _BURST * self.done / max(now - self.since, 1.0))
        self.took = max(took, _SLOWEST)
        self.since, self.done = now, 0
        self.narrowed = max(1.0, (self.width(now) or max(self.requests, 2)) / 2)
        self.recovered = now

    def forget(self, now: float) -> None:
        longest = max((r.per for r in self.rolling), default=0.0)
        while self.log and self.log[0][0] <= now - longest:
            self.logged -= self.log.popleft()[1]


class WindowLimiter:
    """Several windows at once per bucket, first come first served.

    Args:
        limits: the vendor's; a bucket without any is free.
        clock: whose monotonic seconds the windows count.
        reserve: share of a daily limit that is left to people.
    """

    def __init__(
        self, limits: Sequence[Limit], clock: Clock, *, reserve: float = RESERVE
    ) -> None:
        self._clock = clock
        self._buckets: dict[str, _Bucket] = {}
        for limit in limits:
            bucket = self._buckets.setdefault(limit.bucket, _Bucket())
            if limit.kind == "rolling":
                bucket.rolling.append(limit)
            elif limit.kind == "daily":
                bucket.day = Day(limit, clock, reserve)
            else:
                bucket.concurrent = limit.amount

    @asynccontextmanager
    async def slot(
        self, bucket: str, cost: int = 1, *, until: float = float("inf")
    ) -> AsyncIterator[None]:
        """Wait for room; the slot counts from the end of the block.

        Args:
            bucket: what is counted; one without limits is free until the vendor asks to wait.
            cost: how much of its windows the call takes.
            until: when waiting at the vendor's word ends, in monotonic seconds.

        Raises:
            QuotaSpent: only the reserve of the day's quota is left.
            RateLimited: the vendor asks for more time than there is.
        """
        b = self._buckets.setdefault(bucket, _Bucket())
        await self._enter(bucket, b, cost, until)
        try:
            yield
        finally:
            b.leave(self._clock.monotonic(), cost)
            self._wake(b)

    async def _enter(self, name: str, b: _Bucket, cost: int, until: float) -> None:
        self._check_quota(name, b, cost)
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        b.waiting.append(ticket)
        try:
            while True:
                if b.waiting[0] is ticket:
                    wait = b.room(self._clock.monotonic(), cost)
                    self._check_patience(name, b, until)
                    self._check_quota(name, b, cost)
                    if wait <= 0:
                        break
                    await self._pause(ticket, wait)
                else:
                    await ticket
                ticket = self._renew(b, ticket)
            b.waiting.popleft()
        except BaseException:
            b.waiting.remove(ticket)
            self._wake(b)
            raise
        b.enter(self._clock.monotonic(), cost)
        self._wake(b)

    def _check_patience(self, name: str, b: _Bucket, until: float) -> None:
        held = b.held_until - self._clock.monotonic()
        if held > PATIENCE or (held > 0 and b.held_until > until):
            raise RateLimited(
                f"the vendor asks to wait {held:,.0f} s (bucket {name!r})",
                wait=held,
                hint=f"run again {when(self._clock.now(), held)}",
            )

    async def _pause(self, ticket: asyncio.Future[None], wait: float) -> None:
        """Until a reply comes or the time is up."""
        if wait == float("inf"):
            await ticket
            return
        sleep = asyncio.ensure_future(self._clock.sleep(wait))
        try:
            await asyncio.wait({sleep, ticket}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()

    @staticmethod
    def _renew(b: _Bucket, ticket: asyncio.Future[None]) -> asyncio.Future[None]:
        """A woken ticket is used up; its holder keeps the place in the queue."""
        if not ticket.done():
            return ticket
        fresh: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        b.waiting[b.waiting.index(ticket)] = fresh
        return fresh

    @staticmethod
    def _wake(b: _Bucket) -> None:
        if b.waiting and not b.waiting[0].done():
            b.waiting[0].set_result(None)

    @staticmethod
    def _check_quota(name: str, b: _Bucket, cost: int) -> None:
        if b.day is not None:
            b.day.check(name, b.flying + cost)

    def heed(self, left: Mapping[str, float | Left]) -> None:
        """Take the vendor's own word on what is left, per bucket."""
        for name, amount in left.items():
            b = self._buckets.get(name)
            if b is not None and b.day is not None:
                b.day.heed(amount)

    def spent(self, bucket: str) -> float | None:
        """The vendor says that a bucket's day is spent: seconds until it is not, None where nobody knows."""
        b = self._buckets.get(bucket)
        return b.day.spent() if b is not None and b.day is not None else None

    def throttled(self, bucket: str, wait: float | None) -> None:
        """The vendor refused a call: hold the bucket back, then send fewer at once, and slower.

        Those that were under way with it are refused as well; they say no more than the first one.
        """
        b, now = self._buckets.setdefault(bucket, _Bucket()), self._clock.monotonic()
        if now >= b.held_until:
            b.slow_down(now)
        self.hold(bucket, _THROTTLE_WAIT if wait is None else wait)

    def hold(self, bucket: str, wait: float | None) -> None:
        """No call of a bucket leaves for so many seconds; None holds nothing."""
        if wait is not None:
            b = self._buckets.setdefault(bucket, _Bucket())
            b.held_until = max(b.held_until, self._clock.monotonic() + wait)

    def left(self) -> dict[str, float]:
        """What the vendor said is left, per bucket."""
        told = {n: b.day.left() for n, b in self._buckets.items() if b.day is not None}
        return {n: left for n, left in told.items() if left is not None}
