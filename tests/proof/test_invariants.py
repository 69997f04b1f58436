"""What must hold between two worlds: a poisoned record harms nobody else, and no order matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connector_hub.testing import World, judge
from connector_hub.testing.plain import Guarded
from tests.conftest import LONG

from . import sweep
from .sweep import SCENARIOS, VENDORS, Schedule, Stage

POISON = "poison"
ORDERS = 200 if LONG else 12


def ends(world: World) -> dict[str, list[dict[str, Any]]]:
    """What stands at each side in the end, without ids."""
    return {
        side: sorted(world.rows(side, "people").values(), key=lambda r: r["email"])
        for side in sweep.SIDES
    }


async def ended(
    folder: Path, scenario: str, *, poisoned: bool = False, shuffled: int | None = None
) -> World:
    """A scenario in peace, its vendor refusing a value, its pages in some order."""
    traits = replace(
        Guarded.traits, refuses=frozenset({POISON}), shuffled=shuffled, page=2
    )
    known = SCENARIOS[scenario]
    world = sweep.plain_world(folder, known, "guarded", traits)
    stage = await Stage(world, known, "guarded").set()
    if poisoned:
        # entered before the vendor began to refuse it
        box = world.sandboxes["here"]
        box.traits = replace(traits, refuses=frozenset())
        sweep.edit(world, "here", 2, note=POISON)
    await stage.world.sync()
    assert await judge(world) == []
    return world


@pytest.mark.parametrize("scenario", ["different fields", "creates", "first match"])
async def test_a_poisoned_record_leaves_the_others_byte_for_byte_as_they_were(
    folder, scenario
):
    well = ends(await ended(folder / "well", scenario))
    world = await ended(folder / "ill", scenario, poisoned=True)
    ill = ends(world)
    assert [r["note"] for r in ill["here"] if r["email"] == "p2@x.org"] == [POISON]
    for side in sweep.SIDES:
        others = [[r for r in x[side] if r["email"] != "p2@x.org"] for x in (well, ill)]
        assert others[0] == others[1]
        assert len(others[0]) >= 2
    letters = await world.process(_letters)
    assert letters == ["BAD_VALUE"]


async def _letters(hub: Any) -> list[str]:
    return [x.reason for x in hub.dead_letters("people")]


@pytest.mark.parametrize("scenario", ["first match", "creates", "different fields"])
async def test_the_order_of_pages_and_of_calls_does_not_matter(folder, scenario):
    known = SCENARIOS[scenario]
    world = sweep.plain_world(
        folder, known, "guarded", replace(Guarded.traits, page=2, shuffled=0)
    )
    stage = await Stage(world, known, "guarded").set()
    told, orders = [], []
    for order in range(ORDERS):
        for box in world.sandboxes.values():
            box.traits = replace(Guarded.traits, page=2, shuffled=order)
        assert await stage.play(Schedule(scenario, "guarded", (), seed=order)) == []
        told.append(ends(world))
        orders.append([c.body for c in world.trace])
    assert all(t == told[0] for t in told)
    assert len({str(w) for w in orders}) > 1


@pytest.mark.parametrize("key", [False, True], ids=["key kept", "key lost"])
@pytest.mark.parametrize("vendor", VENDORS)
async def test_a_lost_state_makes_nobody_twice(folder, vendor, key):
    for scenario in ("first match", "creates"):
        known = SCENARIOS[scenario]
        world = sweep.plain_world(folder / scenario, known, vendor)
        await Stage(world, known, vendor).set()
        before = ends(world)
        world.lose_state(key=key)
        assert await judge(world) == []
        assert ends(world) == before
