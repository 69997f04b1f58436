"""Every crash, every fault and every edit, at every step; then peace, and all is as it shall be.

By default a sample of the schedules is played, the same each time; `make prove` plays all of them.
A schedule that fails prints the line that plays it again: see ``sweep.again``.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from connector_hub.testing import echoes, plain
from connector_hub.testing.plainvendor import Traits
from tests.conftest import LONG

from . import sweep
from .sweep import SCENARIOS, VENDORS, Scenario, Schedule, Stage

SAMPLE = 2
PAIRS = 1


def chosen(schedules: Sequence[Schedule], count: int) -> Sequence[Schedule]:
    """All of them in the long profile, else a few."""
    if LONG or len(schedules) <= count:
        return schedules
    return random.Random(str(schedules[0])).sample(schedules, count)


async def played(stage: Stage, schedules: Sequence[Schedule]) -> None:
    bad = [
        f"{schedule}: {'; '.join(found)}"
        async for schedule, found in sweep.played(stage, schedules)
    ]
    assert not bad, f"{len(bad)} of {len(schedules)} schedules:\n" + "\n".join(bad[:20])


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda s: s.name)
async def test_whatever_goes_wrong_nothing_is_lost_doubled_or_overwritten(
    folder: Path, scenario: Scenario, vendor: str
):
    world = sweep.plain_world(folder, scenario, vendor)
    stage = await Stage(world, scenario, vendor).set()
    assert stage.calls >= 4
    assert stage.commits >= 10
    schedules = [
        *chosen(sweep.singles(stage), SAMPLE),
        *chosen(sweep.crash_pairs(stage), PAIRS),
        *sweep.fault_pairs(stage, sweep.DRAWN, seed=1),
    ]
    await played(stage, schedules)


EVIL = {
    "index lag": Traits(index_lag=9),
    "late visibility": Traits(late_visibility=7),
    "coarse clock": Traits(coarse_clock=True),
    "normalises": Traits(normalises=True),
    "truncates": Traits(truncates=8),
    "small pages in any order": Traits(page=2, shuffled=3),
}


@pytest.mark.parametrize("habit", EVIL)
@pytest.mark.parametrize("scenario", ["first match", "different fields"])
async def test_a_vendor_with_bad_habits_is_no_worse(
    folder: Path, scenario: str, habit: str
):
    known = SCENARIOS[scenario]
    world = sweep.plain_world(folder, known, "guarded", EVIL[habit])
    stage = await Stage(world, known, "guarded").set()
    peace = await stage.play(Schedule(scenario, "guarded", ()))
    assert peace == []
    assert echoes(world) == []
    await played(stage, chosen(sweep.singles(stage), 3))


def test_the_plain_vendor_is_what_its_traits_say():
    for kind in VENDORS.values():
        people = kind.resource("people")
        has = kind.traits.preconditions
        assert (people.conditional_way("update") is not None) is has
        assert (kind.key_field is not None) is kind.traits.unique_key
    assert {k.traits for k in VENDORS.values()} == {
        Traits(),
        Traits(preconditions=False),
        Traits(unique_key=False, preconditions=False),
        Traits(preconditions=False, answers="ids"),
    }
    assert plain.Terse.traits.answers == "ids"
