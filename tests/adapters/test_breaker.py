"""A vendor that fails is left alone; one that refuses is not taken for one that fails."""

from __future__ import annotations

import pytest

from connector_hub.adapters.breaker import LEAST, Breaker
from connector_hub.errors import CircuitOpen
from connector_hub.testing.clock import VirtualClock


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def breaker(clock: VirtualClock) -> Breaker:
    return Breaker("sales", clock)


def meet(breaker: Breaker, *verdicts: bool | None) -> None:
    for good in verdicts:
        with breaker.call() as seen:
            seen.good = good


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.refuse()
    except CircuitOpen:
        return True
    return False


def test_half_of_twenty_calls_that_fail_open_the_circuit(breaker: Breaker) -> None:
    meet(breaker, *[True, False] * (LEAST // 2 - 1), True)
    assert not is_open(breaker)
    meet(breaker, False)
    with pytest.raises(CircuitOpen, match="fails too often") as raised:
        breaker.refuse()
    assert raised.value.where == "sales"
    assert raised.value.wait == 30
    assert raised.value.exit_code == 5


def test_fewer_than_half_leave_it_closed(breaker: Breaker) -> None:
    meet(breaker, *[True, True, False] * 40)
    assert not is_open(breaker)


async def test_failures_of_half_a_minute_ago_count_no_longer(
    breaker: Breaker, clock: VirtualClock
) -> None:
    for _ in range(10):
        meet(breaker, False)
        await clock.advance(3.5)
    meet(breaker, *[False] * 11)
    assert not is_open(breaker), "two of the ten are older"
    meet(breaker, False)
    assert is_open(breaker)


def test_what_says_nothing_about_the_vendor_does_not_count(breaker: Breaker) -> None:
    meet(breaker, *[None] * 100, *[False] * (LEAST - 1), *[None] * 100)
    assert not is_open(breaker)


async def test_one_call_looks_after_30_s_and_then_ever_later(
    breaker: Breaker, clock: VirtualClock
) -> None:
    meet(breaker, *[False] * LEAST)
    for wait in (30, 60, 120, 240, 300, 300):
        await clock.advance(wait - 0.1)
        assert is_open(breaker)
        await clock.advance(0.1)
        with breaker.call() as seen:
            assert is_open(breaker), "others wait for the one that looks"
            seen.good = False
        assert breaker.wait == min(2 * wait, 300)
    await clock.advance(300)
    meet(breaker, True)
    assert not is_open(breaker)
    assert breaker.since is None
    meet(breaker, *[False] * (LEAST - 1))
    assert not is_open(breaker), "what was before is forgotten"
    meet(breaker, False)
    assert breaker.wait == 30


async def test_a_look_that_shows_nothing_is_taken_again(
    breaker: Breaker, clock: VirtualClock
) -> None:
    meet(breaker, *[False] * LEAST)
    await clock.advance(30)
    with pytest.raises(KeyError), breaker.call():
        raise KeyError
    meet(breaker, None)
    meet(breaker, True)
    assert not is_open(breaker)


def test_calls_that_were_under_way_change_nothing(breaker: Breaker) -> None:
    with breaker.call() as late:
        meet(breaker, *[False] * LEAST)
        late.good = True
    assert is_open(breaker)


async def test_repeats_are_a_fifth_and_three_that_come_back_with_the_vendor(
    breaker: Breaker, clock: VirtualClock
) -> None:
    for _ in range(30):
        breaker.begin()
        breaker.may_repeat()
        await clock.advance(20)
    assert not breaker.may_repeat(), "three in ten minutes, whatever the time between"
    meet(breaker, True)
    breaker.begin()
    assert breaker.may_repeat()
    assert not breaker.may_repeat()
    for _ in range(20):
        breaker.begin()
    assert [breaker.may_repeat() for _ in range(5)] == [True] * 3 + [False] * 2
    meet(breaker, *[False] * (LEAST - 1))
    assert not breaker.may_repeat()
