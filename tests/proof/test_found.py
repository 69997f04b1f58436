"""What the sweep has found, each as the schedule that found it, told as a story."""

from __future__ import annotations

from connector_hub.testing import judge

from . import sweep
from .sweep import SCENARIOS, Stage


async def test_an_edit_just_before_a_guarded_delete_keeps_the_record(folder):
    known = SCENARIOS["deletion"]
    world = sweep.plain_world(folder, known, "guarded")
    stage = await Stage(world, known, "guarded").set()
    kept = sweep.record(world, "there", 2)
    world.restore(stage.saved)
    victim = sweep.record(world, "there", 0)
    await world.sync()
    delete = next(c for c in world.trace if c.path == f"/people/{victim}")
    assert delete.method == "DELETE"
    world.restore(stage.saved)
    world.meanwhile = lambda w, _: sweep.edit(w, "there", 0, note="still in use")
    world.plan(f"call {delete.number}: person")
    await world.sync()
    assert len(world.struck) == 1
    assert world.rows("there", "people")[victim]["note"] == "still in use"
    assert await judge(world) == []
    assert {victim, kept} <= world.rows("there", "people").keys()
