"""The world itself: the same seed gives the same, and what is planned to go wrong does."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connector_hub.testing import Mishap, World, WorldClock, judge, plain
from connector_hub.testing.mishaps import every_kind
from connector_hub.testing.plainvendor import PlainVendor

JOBS = """\
jobs:
  firms:
    entity: firm
    left: {connection: here, resource: firms}
    right: {connection: there, resource: firms}
    direction: both
  people:
    entity: person
    left: {connection: here, resource: people}
    right: {connection: there, resource: people}
    direction: both
"""
KINDS = [plain.Guarded, plain.Keyed, plain.Bare, plain.Terse]


def build(folder: Path, kind=plain.Guarded, seed: int = 0) -> World:
    clock = WorldClock()
    boxes = {
        name: PlainVendor(kind, account=name, clock=clock) for name in ("here", "there")
    }
    world = World(
        folder, JOBS, boxes, clock=clock, seed=seed, mappings=plain.mappings()
    )
    firm = world.person("here", "firms", domain="acme.org", name="Acme")
    for i in range(5):
        world.person(
            "here", "people", email=f"p{i}@x.org", name=f"N{i}", note="n", firm=firm
        )
    world.person("there", "people", email="p3@x.org", name="N3")
    return world


async def story(folder: Path, seed: int, kind=plain.Guarded) -> World:
    """Faults, a crash, people: and then peace."""
    world = build(folder, kind, seed)
    world.meanwhile = edit
    world.plan("call 4: error", "call 9: late by 3", "call 11: person")
    await world.sync()
    world.plan(f"call {world.calls + 6}: crash after")
    edit(world, "here")
    await world.sync()
    assert await judge(world) == []
    return world


def edit(world: World, side: str) -> None:
    """Somebody writes a name that nobody has written before."""
    record = world.chance.choice(list(world.rows(side, "people")))
    world.person(side, "people", id=record, name=f"E{len(world.truth.history)}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
async def test_the_same_seed_gives_the_same_calls_ids_and_stamps(tmp_path, kind):
    one = await story(tmp_path / "a", 3, kind)
    two = await story(tmp_path / "b", 3, kind)
    assert one.trace == two.trace
    assert one.truth.history == two.truth.history
    assert len(one.trace) > 40


async def test_another_seed_gives_another_order_of_calls(tmp_path):
    one = await story(tmp_path / "a", 1)
    two = await story(tmp_path / "b", 2)
    assert [(c.method, c.path) for c in one.trace] != [
        (c.method, c.path) for c in two.trace
    ]


PROGRAM = """\
import asyncio, pathlib, sys
from tests.proof.test_world import story
world = asyncio.run(story(pathlib.Path(sys.argv[1]), 5))
print([(c.at, c.side, c.method, c.path, c.body) for c in world.trace])
"""


def test_the_order_of_sets_in_a_process_does_not_matter(tmp_path):
    told = []
    for hash_seed in ("1", "2"):
        done = subprocess.run(  # noqa: S603 - this interpreter
            [sys.executable, "-c", PROGRAM, str(tmp_path / hash_seed)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},  # noqa: TID251
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        told.append(done.stdout)
    assert told[0] == told[1]
    assert len(told[0]) > 1000


@pytest.mark.parametrize(("kind", "after", "later"), every_kind())
async def test_each_kind_of_mishap_strikes_and_is_survived(
    tmp_path, kind, after, later
):
    world = build(tmp_path)
    world.meanwhile = edit
    mishap = Mishap("call", 9, kind, after, later)
    assert Mishap.parse(str(mishap)) == mishap
    world.plan(mishap)
    await world.sync()
    assert world.struck == [mishap]
    assert world.crashes == (kind == "crash")
    assert await judge(world) == []


@pytest.mark.parametrize("after", [False, True])
async def test_a_crash_at_a_commit_leaves_what_was_committed_before_it(tmp_path, after):
    world = build(tmp_path)
    await world.sync()
    before = world.commits
    world.plan(Mishap("commit", before, "crash", after))
    await world.sync()
    assert world.crashes == 1
    assert world.commits == before + 1
    assert await judge(world) == []


def test_what_the_page_for_authors_shows_runs():
    page = Path(__file__).parents[2] / "docs/howto/test-under-faults.md"
    (program,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own


def test_a_mishap_that_is_none_is_told():
    with pytest.raises(ValueError, match="is no mishap"):
        Mishap.parse("call 7: earthquake")


async def test_a_sleeper_wakes_when_its_time_has_come_and_time_does_not_go_back():
    clock, woken = WorldClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, clock.monotonic()))

    await asyncio.gather(sleeper(5), sleeper(1), sleeper(3))
    assert woken == [(1, 1.0), (3, 3.0), (5, 5.0)]
    fast = clock.ahead(300)
    fast.reset()
    assert fast.time() - clock.time() == 300
