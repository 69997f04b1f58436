"""What the sweep has found, each as the schedule that found it, told as a story."""

from __future__ import annotations

from connector_hub.testing import World, WorldClock, judge, plain
from connector_hub.testing.plainvendor import PlainVendor

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


async def test_whoever_is_entered_again_in_a_ring_meets_the_others_for_the_first_time(
    folder,
):
    """That the hub has written to one of two before the other was there is no meeting of theirs."""
    clock, jobs = WorldClock(), "jobs:\n"
    for a, b in ("ab", "bc", "ca"):
        sides = f"left: {{connection: {a}, resource: people}}, right: {{connection: {b}, resource: people}}"
        jobs += f"  {a}{b}: {{entity: person, direction: both, {sides}}}\n"
    boxes = {n: PlainVendor(plain.Keyed, account=n, clock=clock) for n in "abc"}
    world = World(folder, jobs, boxes, clock=clock, mappings=plain.mappings())
    sweep.people(world, "a", 0)
    await world.sync()
    world.person("b", "people", id=sweep.record(world, "b", 0), deleted=True)
    await world.sync()
    sweep.edit(world, "c", 0, phone="1")
    await world.sync()
    again = world.person("b", "people", email="p0@x.org", name="New")
    assert await judge(world) == []
    assert world.rows("b", "people")[again]["phone"] == "1"
