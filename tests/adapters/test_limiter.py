"""The limiter never lets a vendor see more than its window allows, and uses what there is."""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque

import pytest

from connector_hub.adapters.limiter import WindowLimiter
from connector_hub.errors import QuotaSpent, RateLimited
from connector_hub.sdk import Limit
from connector_hub.testing.clock import VirtualClock


@pytest.mark.parametrize("seed", range(5))
async def test_no_window_of_the_vendor_is_ever_overrun_and_nearly_all_of_it_is_used(
    seed,
):
    clock, rng, seen = VirtualClock(), random.Random(seed), []
    limiter = WindowLimiter([Limit("calls", 20, 10)], clock)

    async def call():
        async with limiter.slot("calls"):
            await clock.sleep(rng.uniform(0.005, 0.08))
            seen.append(clock.monotonic())
            await clock.sleep(rng.uniform(0.005, 0.08))

    async def work():
        await asyncio.gather(*(call() for _ in range(100)))

    task = asyncio.ensure_future(work())
    await clock.run(task)
    seen.sort()
    for i, at in enumerate(seen[20:]):
        assert at - seen[i] > 10
    assert clock.monotonic() < 41


async def test_one_that_gives_up_waiting_takes_no_room():
    clock = VirtualClock()
    limiter = WindowLimiter([Limit("calls", 1, 10)], clock)

    async def call():
        async with limiter.slot("calls"):
            pass

    await call()
    waiting = asyncio.ensure_future(call())
    after = asyncio.ensure_future(call())
    await asyncio.sleep(0)
    waiting.cancel()
    await clock.advance(10.1)
    assert after.done()


async def test_the_reserve_of_a_day_is_left_to_people():
    limiter = WindowLimiter([Limit("calls", 1000, 86_400, "daily")], VirtualClock())
    limiter.heed({"calls": 101})
    async with limiter.slot("calls"):
        pass
    limiter.heed({"calls": 100})
    with pytest.raises(QuotaSpent):
        async with limiter.slot("calls"):
            pass


async def test_a_vendor_that_asks_for_an_hour_ends_the_calls_that_wait():
    clock = VirtualClock()
    limiter = WindowLimiter([Limit("calls", 10, 10)], clock)
    limiter.throttled("calls", 3600.0)
    with pytest.raises(RateLimited, match="3,600 s"):
        async with limiter.slot("calls"):
            pass


async def test_a_spent_day_is_asked_about_again_after_an_hour():
    clock = VirtualClock()
    limiter = WindowLimiter([Limit("calls", 100, 86_400, "daily")], clock)
    limiter.heed({"calls": 0})
    with pytest.raises(QuotaSpent):
        async with limiter.slot("calls"):
            pass
    await clock.advance(3601)
    async with limiter.slot("calls"):
        pass


@pytest.mark.parametrize(
    ("amount", "per", "latency"),
    [(20, 1.0, 0.05), (100, 10.0, 0.02), (5, 1.0, 0.3)],
    ids=str,
)
async def test_a_limit_that_nobody_declared_is_found_and_nearly_all_of_it_is_used(
    amount, per, latency
):
    clock, came, let_in = VirtualClock(), [], deque(maxlen=amount)
    limiter = WindowLimiter((), clock)

    async def call():
        async with limiter.slot("calls"):
            now = clock.monotonic()
            inside = [t for t in let_in if t > now - per]
            well = len(inside) < amount
            came.append((now, well))
            if well:
                let_in.append(now)
            await clock.sleep(latency)
        if not well:
            limiter.throttled("calls", math.ceil(inside[0] + per - now))

    async def work():
        while clock.monotonic() < 160:
            await call()

    async def all_of_them():
        await asyncio.gather(*(work() for _ in range(8)))

    await clock.run(asyncio.ensure_future(all_of_them()))
    late = [well for at, well in came if at > 60]
    assert late.count(False) <= 0.01 * len(late)
    assert late.count(True) >= 0.85 * 100 * amount / per
