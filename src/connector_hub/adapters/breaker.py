"""Leaves a vendor that fails alone: few calls are made again, and for a while none at all.

What counts is whether the vendor works, not whether it agrees: a refusal of one record, or of haste, is an
answer like another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from connector_hub.errors import CircuitOpen
from connector_hub.ports import Clock

WINDOW = 30.0
"""Seconds of calls that are looked back on."""
LEAST = 20
"""So many calls in them before anything is concluded."""
SHARE = 0.5
"""The share of failures at which the circuit opens."""
FIRST_LOOK, LAST_LOOK = 30.0, 300.0
"""Seconds until one call looks whether the vendor is back, at first; doubling to the last."""
_RETRY_WINDOW = 10.0
_RETRY_SHARE = 0.2
_RETRY_SPARE = 3


class Verdict:
    """What became of a call. ``good``: the vendor works; None where the call says nothing about that."""

    good: bool | None = None


class Breaker:
    """What the calls of one connection have met lately, and what follows for the next one.

    It outlives the clients of its connection: a vendor that is down stays so for the next job.

    Args:
        where: the connection's name, for messages.
        clock: whose seconds count.
    """

    def __init__(self, where: str, clock: Clock) -> None:
        self.since: datetime | None = None
        """Since when the circuit is open; None while it is closed."""
        self._where = where
        self._clock = clock
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._wait = FIRST_LOOK
        self._look = 0.0
        self._looking = False
        self._firsts: deque[float] = deque()
        self._repeats: deque[float] = deque()
        self._spare = _RETRY_SPARE

    @property
    def wait(self) -> float:
        """Seconds until a call may be made; 0 when one may now."""
        if self.since is None:
            return 0.0
        return max(self._look - self._clock.monotonic(), 0.0)

    def refuse(self) -> None:
        """Stop a call that must not be made.

        Raises:
            CircuitOpen: the vendor fails, and it is not yet time to look again, or somebody is looking.
        """
        wait = self.wait
        if self.since is None or (not wait and not self._looking):
            return
        next_look = self._clock.now() + timedelta(seconds=wait)
        raise CircuitOpen(
            "the vendor fails too often: nothing is sent to it "
            f"until {next_look.astimezone():%H:%M:%S}",
            wait=wait,
            where=self._where,
            hint="run again then; what is done so far is kept",
        )

    @contextmanager
    def call(self) -> Iterator[Verdict]:
        """A call that is made now; what is seen of it counts.

        Raises:
            CircuitOpen: see ``refuse``.
        """
        self.refuse()
        seen, looks = Verdict(), self.since is not None
        self._looking = looks
        try:
            yield seen
        finally:
            if looks:
                self._looking = False
                self._looked(seen.good)
            elif seen.good is not None and self.since is None:
                self._count(good=seen.good)

    def _count(self, *, good: bool) -> None:
        now = self._clock.monotonic()
        while self._calls and self._calls[0][0] <= now - WINDOW:
            self._failures -= not self._calls.popleft()[1]
        self._calls.append((now, good))
        self._failures += not good
        if good:
            self._spare = min(self._spare + 1, _RETRY_SPARE)
        elif len(self._calls) >= LEAST and self._failures >= SHARE * len(self._calls):
            self.since = self._clock.now()
            self._wait = FIRST_LOOK
            self._look = now + self._wait

    def _looked(self, good: bool | None) -> None:  # noqa: FBT001
        """One call was made to see whether the vendor is back; one that says nothing is made anew."""
        if good:
            self.since = None
            self._calls.clear()
            self._failures = 0
            self._spare = _RETRY_SPARE
        elif good is False:
            self._wait = min(2 * self._wait, LAST_LOOK)
            self._look = self._clock.monotonic() + self._wait

    def begin(self) -> None:
        """Something is asked for, which may take several calls."""
        self._forget()
        self._firsts.append(self._clock.monotonic())

    def may_repeat(self) -> bool:
        """Whether a call that failed may be made again; if so, it counts.

        A fifth of what is asked for may be, and besides three calls, which come back as the vendor does.
        """
        if self.since is not None:
            return False
        self._forget()
        if len(self._repeats) + 1 > _RETRY_SHARE * len(self._firsts):
            if not self._spare:
                return False
            self._spare -= 1
        self._repeats.append(self._clock.monotonic())
        return True

    def _forget(self) -> None:
        """What was asked before the window counts no longer; a hub that runs for months asks a lot."""
        since = self._clock.monotonic() - _RETRY_WINDOW
        for log in (self._firsts, self._repeats):
            while log and log[0] < since:
                log.popleft()
