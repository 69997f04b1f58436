"""A day's quota: what the vendor tells of it, what was spent since, and when there is room again."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta

from connector_hub.errors import QuotaSpent
from connector_hub.ports import Clock
from connector_hub.sdk.connector import Left, Limit

RESERVE = 0.1
"""The share of a day that is left to people."""
_STALE = 3600.0
"""Seconds after which a vendor that names no end of its day is asked anew."""
_GRAIN = 60.0
"""Seconds whose calls are remembered as one: a day is 1,440 of them."""

_MINUTE = 59.0


class Day:
    """A daily limit of a bucket.

    A vendor's own word on what is left counts for all that use the account; our own calls of the last day are
    counted beside it, for vendors that tell late or not at all. The stricter of the two holds.

    Args:
        limit: the bucket's.
        clock: its monotonic seconds count, its instants are told.
        reserve: the share that is left to people.
    """

    def __init__(self, limit: Limit, clock: Clock, reserve: float = RESERVE) -> None:
        self._limit = limit
        self._clock = clock
        self._reserve = reserve
        self._amount = float(limit.amount)
        self._told: float | None = None
        """What was spent when the vendor told last; ``_since`` is what we have spent after it."""
        self._since = 0.0
        self._until = 0.0
        self._resets: float | None = None
        self._log: deque[tuple[float, float]] = deque()
        self._own = 0.0

    def heed(self, left: float | Left) -> None:
        """Take the vendor's word on what is left."""
        told = left if isinstance(left, Left) else Left(left)
        now = self._clock.monotonic()
        self._amount = float(told.of or self._limit.amount)
        self._told, self._since = self._amount - told.amount, 0.0
        self._resets = None
        if told.resets is not None:
            away = (told.resets - self._clock.now()).total_seconds()
            self._resets = now + max(away, 0.0)
        self._until = now + _STALE if self._resets is None else self._resets

    def spend(self, cost: int) -> None:
        """A call's answer has come."""
        now = self._clock.monotonic()
        self._since += cost
        self._own += cost
        if self._log and now - self._log[-1][0] < _GRAIN:
            at, before = self._log[-1]
            self._log[-1] = (at, before + cost)
        else:
            self._log.append((now, float(cost)))

    def check(self, name: str, cost: int) -> None:
        """Refuse what would take of the reserve; ``cost`` includes the calls that are under way.

        Raises:
            QuotaSpent: says how much is spent, and when it goes on.
        """
        self._forget()
        used, most = self._used(), self._amount * (1 - self._reserve)
        if used + cost <= most:
            return
        wait, free, exact = self._wait(used + cost - most)
        raise QuotaSpent(
            f"{used:,.0f} of {self._amount:,.0f} calls of the day are spent (bucket {name!r}); "
            f"the last {self._reserve:.0%} are kept for people",
            wait=wait,
            hint=f"it goes on {when(self._clock.now(), free)}"
            + ("" if exact else " at the latest; run again in an hour"),
        )

    def left(self) -> float | None:
        """What is left by the vendor's word; None where it has told nothing."""
        self._forget()
        if self._told is None:
            return None
        return max(self._amount - self._told - self._since, 0.0)

    def spent(self) -> float:
        """The vendor says that nothing is left: how many seconds until it is worth another try."""
        self._forget()
        self._told, self._since = self._amount, 0.0
        if self._resets is None:
            self._until = self._clock.monotonic() + _STALE
        return self._wait(self._amount * self._reserve + 1)[0]

    def _used(self) -> float:
        told = 0.0 if self._told is None else self._told + self._since
        return max(told, self._own)

    def _forget(self) -> None:
        """What is over counts no more."""
        now = self._clock.monotonic()
        while self._log and self._log[0][0] + _GRAIN + self._limit.per <= now:
            self._own -= self._log.popleft()[1]
        if self._told is not None and now >= self._until:
            if (
                self._resets is not None
            ):  # a new day has begun, for our own calls as well
                self._log.clear()
                self._own = 0.0
            self._told = self._resets = None

    def _wait(self, need: float) -> tuple[float, float, bool]:
        """Seconds until another try, and until so much is free; whether that is known, or a latest time."""
        free, exact = self._free(need)
        return (free if exact else min(free, _STALE)), free, exact

    def _free(self, need: float) -> tuple[float, bool]:
        now = self._clock.monotonic()
        if self._resets is not None:
            return self._resets - now, True
        freed = 0.0
        for at, cost in self._log:
            freed += cost
            if freed >= need:
                return at + _GRAIN + self._limit.per - now, True
        return self._limit.per, False


def when(now: datetime, wait: float) -> str:
    """An instant that is so many seconds away, to the minute above; a second too many is none."""
    at = (now + timedelta(seconds=wait + _MINUTE)).astimezone(UTC)
    return f"at {at:%Y-%m-%d %H:%M} UTC"
