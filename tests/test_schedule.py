"""Jobs are kept to their ``every``: told with time that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from connector_hub.errors import (
    AuthError,
    GuardTripped,
    HubError,
    Locked,
    Paused,
    QuotaSpent,
    RateLimited,
    StoreError,
    Unavailable,
)
from connector_hub.model.plan import Receipt
from connector_hub.model.standing import Standing
from connector_hub.sync.schedule import (
    LONGEST,
    LOOK_AGAIN,
    REST,
    SETTLE,
    Agenda,
    Event,
    Keeper,
)
from connector_hub.testing.clock import VirtualClock

MINUTE = 60.0


@dataclass
class Bench:
    """Jobs that take the time they are told to and fail as they are told to."""

    every: dict[str, float]
    clock: VirtualClock = field(default_factory=VirtualClock)
    last: dict[str, tuple[float, str]] = field(default_factory=dict)
    takes: dict[str, float] = field(default_factory=dict)
    fails: dict[str, Callable[[], HubError | None]] = field(default_factory=dict)
    held: dict[str, Standing] = field(default_factory=dict)
    began: list[tuple[str, float]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    at_work: int = 0
    noticed: list[str] = field(default_factory=list)
    unheard: bool = False
    agenda: Agenda = field(init=False)

    async def attempt(self, job: str) -> Receipt:
        self.began.append((job, self.clock.monotonic()))
        self.at_work += 1
        assert self.at_work == 1, "never two runs at once"
        try:
            await self.clock.sleep(self.takes.get(job, 0))
        finally:
            self.at_work -= 1
        error = self.fails.get(job, lambda: None)()
        if error is not None:
            raise error
        return Receipt(job, len(self.began))

    async def notify(self, receipt: Receipt) -> list[str]:
        self.noticed.append(receipt.job)
        return ["a notice could not be delivered"] if self.unheard else []

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[None]:
        now = self.clock.now()
        last = {j: (now - timedelta(seconds=s), st) for j, (s, st) in self.last.items()}
        self.agenda = Agenda.of(self.every, last, self.clock)
        keeper = Keeper(
            self.agenda,
            self.attempt,
            self.held.get,
            self.events.append,
            self.notify,
        )
        task = asyncio.ensure_future(keeper.keep())
        try:
            await self.clock.advance(0)
            yield
            assert not task.done(), "what fails does not end the process"
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    def times(self, job: str) -> list[float]:
        return [t for j, t in self.began if j == job]

    def told(self, *kinds: str) -> list[tuple[str, str]]:
        return [(e.kind, e.job) for e in self.events if e.kind in kinds]


async def test_jobs_run_at_once_and_then_every_so_often_parents_first() -> None:
    bench = Bench({"firms": 2 * MINUTE, "people": MINUTE})
    async with bench.keeping():
        await bench.clock.advance(4 * MINUTE)
    assert bench.began == [
        ("firms", 0),
        ("people", 0),
        ("people", 60),
        ("firms", 120),
        ("people", 120),
        ("people", 180),
        ("firms", 240),
        ("people", 240),
    ]


async def test_a_hint_brings_its_job_forward_and_no_other_and_the_grid_stays() -> None:
    bench = Bench({"firms": 60 * MINUTE, "people": 60 * MINUTE})
    async with bench.keeping():
        await bench.clock.advance(100)
        bench.agenda.hint({"people", "nobody"})
        bench.agenda.hint({"people"})
        await bench.clock.advance(60 * MINUTE)
    assert bench.times("firms") == [0, 3600]
    assert bench.times("people") == [0, 100 + SETTLE, 3600]


async def test_a_hint_that_comes_in_the_middle_of_a_run_is_looked_at_after_it() -> None:
    bench = Bench({"people": 60 * MINUTE}, takes={"people": 30})
    async with bench.keeping():
        await bench.clock.advance(20)
        bench.agenda.hint({"people"})
        await bench.clock.advance(200)
    assert bench.times("people") == [0, 30]


async def test_many_hints_do_not_run_a_job_without_rest() -> None:
    bench = Bench({"people": 60 * MINUTE})
    async with bench.keeping():
        for _ in range(50):
            bench.agenda.hint({"people"})
            await bench.clock.advance(1)
    assert bench.times("people") == [0, *(REST * n for n in range(1, 5)), 50.0]


async def test_a_hint_hurries_no_job_whose_vendor_wants_to_be_left_alone() -> None:
    bench = Bench({"people": 10 * MINUTE})
    bench.fails["people"] = lambda: RateLimited("slow", wait=400)
    async with bench.keeping():
        await bench.clock.advance(5)
        bench.agenda.hint({"people"})
        await bench.clock.advance(390)
        assert bench.times("people") == [0]
        await bench.clock.advance(10)
    assert bench.times("people") == [0, 400]


async def test_the_next_time_is_told_with_each_run() -> None:
    bench = Bench({"people": MINUTE}, takes={"people": 7})
    start = bench.clock.now()
    async with bench.keeping():
        await bench.clock.advance(10)
    ended = bench.events[-1]
    assert ended.kind == "ended"
    assert ended.again == start + timedelta(seconds=60)


async def test_a_job_that_is_late_does_not_pile_up_and_stays_on_its_grid() -> None:
    bench = Bench({"people": MINUTE})
    takes = iter([150.0, *[0.0] * 9])
    bench.takes = {}
    original = bench.attempt

    async def attempt(job: str) -> Receipt:
        bench.takes[job] = next(takes)
        return await original(job)

    bench.attempt = attempt  # type: ignore[method-assign]
    async with bench.keeping():
        await bench.clock.advance(5 * MINUTE)
    assert bench.times("people") == [0, 180, 240, 300]


async def test_a_long_job_starves_no_other() -> None:
    bench = Bench({"slow": 10.0, "fast": 10.0}, takes={"slow": 25.0})
    async with bench.keeping():
        await bench.clock.advance(100)
    assert len(bench.times("fast")) >= 3


async def test_one_that_ended_well_a_moment_ago_waits_for_the_rest() -> None:
    bench = Bench(
        {"firms": 900.0, "people": 900.0, "deals": 900.0},
        last={
            "firms": (300, "done"),
            "people": (300, "failed"),
            "deals": (7000, "done"),
        },
    )
    async with bench.keeping():
        assert bench.began == [("people", 0), ("deals", 0)]
        await bench.clock.advance(600)
    assert bench.times("firms") == [600]


async def test_a_run_that_is_told_to_have_begun_in_the_future_is_not_waited_for() -> (
    None
):
    bench = Bench({"people": 900.0}, last={"people": (-86_400, "done")})
    async with bench.keeping():
        await bench.clock.advance(900)
    assert bench.times("people") == [900]


async def test_a_failing_job_backs_off_and_stops_no_other() -> None:
    bench = Bench(
        {"firms": 5 * MINUTE, "people": 5 * MINUTE},
        fails={"firms": lambda: Unavailable("down")},
    )
    async with bench.keeping():
        await bench.clock.advance(4 * 3600)
    assert bench.times("firms")[:8] == [
        0,
        60,
        180,
        420,
        900,
        1860,
        3780,
        3780 + LONGEST,
    ]
    assert bench.times("people") == [300.0 * n for n in range(49)]


async def test_a_job_that_is_well_again_is_back_on_its_grid() -> None:
    errors = iter([Unavailable("down"), None, None])
    bench = Bench({"people": 5 * MINUTE}, fails={"people": lambda: next(errors)})
    async with bench.keeping():
        await bench.clock.advance(5 * MINUTE)
    assert bench.times("people") == [0, 60, 300]


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (Unavailable("down"), 60),
        (Locked("by another"), 60),
        (GuardTripped("too many"), 1800),
        (QuotaSpent("none left"), 900),
        (QuotaSpent("none left", wait=5000), 5000),
        (RateLimited("slow down", wait=400), 400),
        (StoreError("full"), 1800),
    ],
    ids=str,
)
async def test_when_a_failed_job_goes_on(error: HubError, again: float) -> None:
    bench = Bench({"people": 1800.0}, fails={"people": lambda: error})
    start = bench.clock.now()
    async with bench.keeping():
        pass
    (_, ended) = bench.events
    assert ended.error is error
    assert ended.again == start + timedelta(seconds=again)


async def test_a_job_with_a_short_every_waits_no_minute_at_first() -> None:
    bench = Bench({"people": 10.0}, fails={"people": lambda: Unavailable("down")})
    async with bench.keeping():
        await bench.clock.advance(70)
    assert bench.times("people") == [0, 10, 30, 70]


async def test_a_year_of_failures_is_no_overflow() -> None:
    bench = Bench({"people": 3600.0}, fails={"people": lambda: Unavailable("down")})
    async with bench.keeping():
        await bench.clock.advance(2000 * 3600)
    assert len(bench.began) > 1990


async def test_what_is_held_is_said_once_and_goes_on_soon_after() -> None:
    bench = Bench({"firms": 60.0, "people": 60.0})
    paused = Standing("job", "people", "paused", bench.clock.now())
    async with bench.keeping():
        bench.held["people"] = paused
        await bench.clock.advance(600)
        assert bench.times("people") == [0]
        assert len(bench.times("firms")) == 11
        del bench.held["people"]
        await bench.clock.advance(LOOK_AGAIN)
    assert bench.told("held", "freed") == [("held", "people"), ("freed", "people")]
    assert len(bench.times("people")) == 2


async def test_what_was_held_is_tried_again_soon_when_it_fails_afterwards() -> None:
    """What it did before it was held says nothing about the day it goes on."""
    bench = Bench({"people": 1800.0}, fails={"people": lambda: Unavailable("down")})
    paused = Standing("job", "people", "paused", bench.clock.now())
    async with bench.keeping():
        await bench.clock.advance(900)
        assert bench.times("people") == [0, 60, 180, 420, 900]
        bench.held["people"] = paused
        await bench.clock.advance(960)
        del bench.held["people"]
        await bench.clock.advance(LOOK_AGAIN + 60)
    *_, freed, again = bench.times("people")
    assert again == freed + 60


async def test_one_success_ends_the_waits_of_earlier_failures() -> None:
    errors = iter([Unavailable("down")] * 3 + [None, Unavailable("down"), None])
    bench = Bench({"people": 1800.0}, fails={"people": lambda: next(errors)})
    async with bench.keeping():
        await bench.clock.advance(1860)
    assert bench.times("people") == [0, 60, 180, 420, 1800, 1860]


async def test_refused_credentials_hold_a_job_from_then_on() -> None:
    bench = Bench({"people": 60.0})
    lost = Standing("connection", "sales", "reconnect", bench.clock.now())

    def fail() -> HubError:
        bench.held["people"] = lost
        return AuthError("no", where="sales")

    bench.fails["people"] = fail
    async with bench.keeping():
        await bench.clock.advance(600)
    (_, ended) = bench.events
    assert (ended.by, ended.again) == (lost, None)
    assert bench.times("people") == [0]


async def test_refused_credentials_of_nobody_known_back_off() -> None:
    bench = Bench({"people": 60.0}, fails={"people": lambda: AuthError("no")})
    async with bench.keeping():
        await bench.clock.advance(600)
    assert bench.times("people") == [0, 60, 180, 420]


async def test_a_pause_that_comes_between_is_looked_at_again() -> None:
    bench = Bench({"people": 60.0}, fails={"people": lambda: Paused("just now")})
    async with bench.keeping():
        await bench.clock.advance(LOOK_AGAIN)
    assert len(bench.began) == 2
    assert bench.told("ended") == []


async def test_a_state_that_cannot_be_asked_does_not_end_it() -> None:
    bench = Bench({"people": 60.0})
    broken = True

    class Held(dict[str, Standing]):
        def get(self, job: str) -> Standing | None:  # type: ignore[override]
            if broken:
                raise StoreError("locked")
            return None

    bench.held = Held()
    async with bench.keeping():
        broken = False
        await bench.clock.advance(60)
    assert bench.told("ended") == [("ended", "people")] * 2
    assert bench.times("people") == [60]


async def test_notices_follow_each_run_that_left_a_receipt() -> None:
    failed = Unavailable("down")
    failed.receipt = Receipt("firms", 2, "failed")
    bench = Bench(
        {"people": 60.0, "firms": 60.0, "deals": 60.0},
        fails={"firms": lambda: failed, "deals": lambda: Locked("elsewhere")},
        unheard=True,
    )
    async with bench.keeping():
        pass
    assert bench.noticed == ["people", "firms"]
    assert bench.told("untold") == [("untold", "people"), ("untold", "firms")]


async def test_an_error_on_the_way_out_does_not_keep_it_going() -> None:
    bench = Bench({"people": 60.0})

    async def attempt(_job: str) -> Receipt:
        try:
            await bench.clock.sleep(1000)
        except asyncio.CancelledError as e:
            gone = Unavailable("gone")
            gone.receipt = Receipt("people", 7, read=5)
            raise gone from e
        raise AssertionError

    bench.attempt = attempt  # type: ignore[method-assign]
    keeper = Keeper(
        Agenda.of(bench.every, {}, bench.clock),
        bench.attempt,
        bench.held.get,
        bench.events.append,
        bench.notify,
    )
    task = asyncio.ensure_future(keeper.keep())
    await bench.clock.advance(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as stopped:
        await task
    assert stopped.value.receipt == Receipt("people", 7, read=5)
    assert bench.noticed == []
