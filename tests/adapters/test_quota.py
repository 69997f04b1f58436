"""A day's quota ends at nine tenths, and says to the minute when it goes on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from connector_hub.adapters.limiter import WindowLimiter
from connector_hub.errors import QuotaSpent
from connector_hub.sdk import Left, Limit
from connector_hub.testing.clock import VirtualClock

DAY = 86_400
MIDNIGHT = datetime(2026, 1, 1, 17, tzinfo=UTC)


def limited(amount: int = 1_000) -> tuple[VirtualClock, WindowLimiter]:
    clock = VirtualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return clock, WindowLimiter([Limit("calls", amount, DAY, "daily")], clock)


async def call(limiter: WindowLimiter, cost: int = 1) -> None:
    async with limiter.slot("calls", cost):
        pass


async def spent(limiter: WindowLimiter, cost: int = 1) -> QuotaSpent:
    with pytest.raises(QuotaSpent) as told:
        await call(limiter, cost)
    return told.value


async def test_own_calls_end_at_nine_tenths_and_go_on_when_the_first_are_a_day_old():
    clock, limiter = limited()
    await call(limiter, 500)
    await clock.advance(3_600)
    await call(limiter, 400)
    told = await spent(limiter)
    assert "900 of 1,000 calls of the day are spent" in told.message
    assert "the last 10% are kept for people" in told.message
    assert told.hint == "it goes on at 2026-01-02 00:01 UTC"
    assert told.wait == DAY - 3_600 + 60
    await clock.advance(told.wait - 1)
    await spent(limiter)
    await clock.advance(1)
    await call(limiter, 500)
    await spent(limiter)


async def test_a_call_that_costs_more_is_refused_before_a_cheap_one():
    _, limiter = limited()
    await call(limiter, 860)
    await spent(limiter, 50)
    await call(limiter, 40)
    await spent(limiter)


async def test_calls_under_way_count():
    _, limiter = limited(10)
    release = asyncio.Event()

    async def slow() -> None:
        async with limiter.slot("calls"):
            await release.wait()

    tasks = [asyncio.ensure_future(slow()) for _ in range(9)]
    await asyncio.sleep(0)
    await spent(limiter)
    release.set()
    await asyncio.gather(*tasks)


async def test_a_vendor_that_names_the_end_of_its_day_is_believed():
    clock, limiter = limited()
    limiter.heed({"calls": Left(100, resets=MIDNIGHT)})
    told = await spent(limiter)
    assert told.hint == "it goes on at 2026-01-01 17:00 UTC"
    assert told.wait == 17 * 3_600
    await clock.advance(told.wait - 1)
    await spent(limiter)
    await clock.advance(1)
    await call(limiter, 900)


async def test_the_size_of_the_day_is_learnt_from_the_vendor():
    _, limiter = limited()
    limiter.heed({"calls": Left(150, of=500)})
    await call(limiter, 100)
    assert "450 of 500 calls" in (await spent(limiter)).message


async def test_what_is_spent_after_the_vendor_told_counts():
    _, limiter = limited()
    limiter.heed({"calls": 150})
    assert limiter.left() == {"calls": 150}
    await call(limiter, 50)
    assert limiter.left() == {"calls": 100}
    await spent(limiter)


async def test_what_others_have_spent_is_free_at_the_latest_a_day_later():
    clock, limiter = limited()
    limiter.heed({"calls": 100})
    told = await spent(limiter)
    assert told.wait == 3_600
    assert told.hint == (
        "it goes on at 2026-01-02 00:00 UTC at the latest; run again in an hour"
    )
    await clock.advance(3_600)
    await call(limiter)


async def test_a_vendor_that_refuses_for_the_day_is_asked_no_more():
    _, limiter = limited()
    limiter.heed({"calls": Left(900, resets=MIDNIGHT)})
    assert limiter.spent("calls") == 17 * 3_600
    assert (await spent(limiter)).wait == 17 * 3_600
    assert limiter.spent("other") is None


@pytest.mark.parametrize("spread", [1, 30, 600])
async def test_a_rolling_day_is_never_overrun(spread: int):
    clock, limiter = limited(100)
    made: list[float] = []
    for _ in range(400):
        try:
            await call(limiter)
            made.append(clock.monotonic())
        except QuotaSpent as e:
            await clock.advance(max(e.wait or 0, 1))
            continue
        await clock.advance(spread)
    for at in made:
        inside = [t for t in made if at <= t < at + DAY]
        assert len(inside) <= 90
    assert len(made) > 300
    assert clock.now() - datetime(2026, 1, 1, tzinfo=UTC) < timedelta(days=6)
