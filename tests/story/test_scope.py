"""Who leaves a job's scope."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.errors import GuardTripped
from connector_hub.model.job import Guard, Pilot
from connector_hub.sync import jobs, pilot

from .conftest import Project

VIP = {"note": ("vip",)}


@pytest.fixture
def scoped(project: Project) -> Project:
    project.job = replace(project.job, only=VIP, guard=Guard(delete=5))
    return project


async def left(project: Project, leaving: str, direction: str = "left-to-right") -> str:
    """One person who is copied and then leaves; the id at the left."""
    project.job = replace(project.job, leaving=leaving, direction=direction)
    a = project.left.person(email="a@x.org", name="A", note="vip")
    await project.sync()
    project.left.person(a, note="no", name="A2")
    await project.sync()
    return a


async def test_who_leaves_is_kept_as_it_is(scoped):
    a = await left(scoped, "keep")
    scoped.left.person(a, name="A3")
    await scoped.sync()
    assert [r["name"] for r in scoped.right.rows.values()] == ["A2"]


async def test_who_leaves_is_unlinked_and_joined_again_on_return(scoped):
    a = await left(scoped, "unlink", "both")
    assert scoped.run().left.links([a]) == {}
    scoped.left.person(a, note="vip", name="A4")
    await scoped.sync()
    assert [r["name"] for r in scoped.right.rows.values()] == ["A4"]
    assert scoped.run().left.links([a])


async def test_the_copy_of_who_leaves_is_archived(scoped):
    a = await left(scoped, "delete")
    assert scoped.right.rows == {}
    assert a in scoped.left.rows
    scoped.left.person(a, note="vip")
    await scoped.sync()
    assert [r["name"] for r in scoped.right.rows.values()] == ["A2"]


async def test_a_guard_keeps_copies_from_being_archived(scoped):
    scoped.job = replace(scoped.job, guard=Guard())
    with pytest.raises(GuardTripped):
        await left(scoped, "delete")
    assert len(scoped.right.rows) == 1


async def test_a_copy_that_people_work_with_stays(scoped):
    scoped.job = replace(scoped.job, leaving="delete")
    a = scoped.left.person(email="a@x.org", name="A", note="vip")
    await scoped.sync()
    (b,) = scoped.right.rows
    scoped.right.person(b, name="Edited")
    scoped.left.person(a, note="no")
    run = await scoped.sync()
    assert b in scoped.right.rows
    assert run.notes == [f"billing: {b} was edited, and stays"]


async def test_a_plan_unlinks_nobody(scoped):
    scoped.job = replace(scoped.job, leaving="unlink")
    a = scoped.left.person(email="a@x.org", name="A", note="vip")
    await scoped.sync()
    scoped.left.person(a, note="no")
    (b,) = scoped.right.rows
    scoped.right.person(b, note="no")
    run = scoped.run()
    run.planning = True
    await jobs.plan(run)
    assert scoped.run().left.links([a])
    await scoped.sync()
    assert scoped.run().left.links([a]) == {}


async def test_the_counterpart_of_a_pilots_member_takes_no_place_of_its_own(project):
    project.job = replace(project.job, direction="both")
    for mail in "abcde":
        project.right.person(email=f"{mail}@x.org", name=mail)
    for mail in "ca":
        project.left.person(email=f"{mail}@x.org", name=mail)
    await pilot.choose(project.run(), Pilot(4))
    assert project.store.chosen("people") == {
        *(("left", "a1"), ("left", "a2")),
        *(("right", "b2"), ("right", "b4")),
    }
