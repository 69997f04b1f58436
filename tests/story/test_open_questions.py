"""What is open about a record ends with its cause, and not before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.model.job import Guard, Policy
from connector_hub.model.link import hub_id, spelled
from connector_hub.sync import jobs, matching

from .conftest import Project

VIP = {"note": frozenset({"vip"})}


@pytest.fixture
def both(project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


def linked(project: Project, note: str = "n") -> tuple[str, str]:
    """One person on both sides."""
    a = project.left.person(email="a@x.org", name="A", note=note)
    b = project.right.person(email="A@x.org", name="A", note=note)
    return a, b


async def disagree(project: Project, note: str = "n") -> tuple[str, str]:
    """One person whose name both sides have changed."""
    a, b = linked(project, note)
    await project.sync()
    project.left.person(a, name="L")
    project.right.person(b, name="R")
    await project.sync()
    assert len(project.store.conflicts("people")) == 1
    return a, b


async def refused(project: Project) -> tuple[str, str]:
    """One person whose new name the right side does not take."""
    a, b = linked(project)
    await project.sync()
    project.right.refuses = {"bad"}
    project.left.person(a, name="bad")
    await project.sync()
    assert len(project.store.letters("people")) == 1
    return a, b


async def test_a_question_of_the_first_meeting_stays_one(both):
    both.job = replace(both.job, fields={"*": Policy(first="ask", both="left")})
    a = both.left.person(email="a@x.org", name="A", note=None)
    b = both.right.person(email="a@x.org", name="B", note=None)
    await both.sync()
    both.left.person(a, note="x")
    await both.sync()
    assert both.right.rows[b] == {"email": "a@x.org", "name": "B", "note": "x"}
    assert len(both.store.conflicts("people")) == 1


async def test_who_leaves_the_scope_leaves_no_question(both):
    both.job = replace(both.job, only=VIP)
    a, _ = await disagree(both, "vip")
    both.left.person(a, note="no")
    await both.sync()
    await both.sync()
    assert both.store.conflicts("people") == []


async def test_twins_outside_the_scope_are_nobodys_business(both):
    both.job = replace(both.job, only=VIP)
    for name in "AB":
        both.left.person(email="a@x.org", name=name, note="no")
    await both.sync()
    assert both.store.conflicts("people") == []


@pytest.mark.parametrize("follow", [False, True])
async def test_a_record_that_is_gone_leaves_no_question(both, follow):
    both.job = replace(both.job, deletes_follow=follow, guard=Guard(delete=9))
    a, _ = await disagree(both)
    both.left.delete(a)
    await both.sync()
    await both.sync(full=True)
    assert both.store.conflicts("people") == []


@pytest.mark.parametrize("follow", [False, True])
async def test_a_record_that_is_gone_leaves_no_dead_letter(both, follow):
    both.job = replace(both.job, deletes_follow=follow, guard=Guard(delete=9))
    a, _ = await refused(both)
    both.left.delete(a)
    await both.sync()
    await both.sync(full=True)
    assert both.store.letters("people") == []


async def test_a_letter_does_not_hide_a_question(both):
    a, b = await refused(both)
    both.left.person(a, name="L", note="bad")
    both.right.person(b, name="R")
    await both.sync()
    await both.sync(full=True)
    assert [c.kind for c in both.store.conflicts("people")] == ["fields"]
    assert both.right.rows[b]["name"] == "R"


async def test_a_copied_record_key_says_nothing(both):
    b = both.right.person(email="a@x.org", name="A", note="n")
    await both.sync()
    (a,) = both.left.rows
    clone = both.left.person(email="z@x.org", name="Zed", note="zz")
    both.left.keys[clone] = both.left.keys[a]
    await both.sync()
    assert both.right.rows[b]["name"] == "A"
    assert {r["name"] for r in both.right.rows.values()} == {"A", "Zed"}


async def test_of_two_copies_of_a_key_none_is_written_over(both):
    b = both.right.person(email="b@x.org", name="B", note=None)
    key = spelled(hub_id("t", "memory:b", "people", b))
    for email in ("p@x.org", "q@x.org"):
        a = both.left.person(email=email, name=email, note=None)
        both.left.keys[a] = key
    await both.sync()
    await both.sync()
    assert {r["name"] for r in both.left.rows.values()} == {"p@x.org", "q@x.org"}
    assert both.right.rows[b]["name"] == "B"
    assert [c.kind for c in both.store.conflicts("people")] == ["candidates"]


async def test_records_joined_by_hand_meet_for_the_first_time(both):
    a, b = linked(both)
    await both.sync()
    both.right.delete(b)
    both.left.person(a, note="n2")
    await both.sync()
    again = both.right.person(email="new@x.org", name=None, note=None)
    run = both.run()
    run.job = replace(run.job, create="none")
    await jobs.sync(run)
    assert await matching.link_pairs(both.run(), [(1, a, again)]) == 1
    await both.sync()
    assert both.left.rows[a]["name"] == both.right.rows[again]["name"] == "A"


async def test_two_widows_can_be_joined_by_hand(both):
    a, b = linked(both)
    c = both.left.person(email="c@x.org", name="C", note=None)
    d = both.right.person(email="c@x.org", name="C", note=None)
    await both.sync()
    both.right.delete(b)
    both.left.delete(c)
    both.left.person(a, note="n2")
    both.right.person(d, note="n3")
    await both.sync()
    assert await matching.link_pairs(both.run(), [(1, a, d)]) == 1
    await both.sync()
    assert both.left.rows[a]["email"] == both.right.rows[d]["email"]


async def test_a_match_by_record_key_is_reported(both):
    a, b = linked(both)
    run = both.run(full=True)
    both.right.keys[b] = spelled(hub_id("t", run.left.home, "people", a))
    told: list[matching.Found] = []
    counts = await matching.match_sides(run, told.append)
    assert counts == {"one to one": 1}


async def test_one_record_is_not_given_to_two_who_fit_it_for_different_reasons(project):
    there = {"email": "a@x.org", "name": "A", "phone": "0812-3456-7890"}
    project.right.person(**there)
    project.left.person(email="a@x.org", name="Other")
    project.left.person(name="A", phone="0812-3456-7890")
    run = await project.sync()
    assert run.tally.outcomes == {"updated": 1, "conflicts": 1}
    await project.sync()
    assert [c.kind for c in project.store.conflicts("people")] == ["taken"]


async def test_twins_outside_the_pilot_are_nobodys_business_yet(project):
    inside = project.left.person(email="a@x.org", name="A")
    for _ in "12":
        project.left.person(email="b@x.org", name="B")
    run = project.run()
    run.pilot = {("left", inside)}
    await jobs.sync(run)
    assert run.tally.outcomes == {"created": 1, "unchanged": 2}
    assert project.store.conflicts("people") == []


async def test_a_question_about_a_twin_outlives_what_its_linked_twin_does(both):
    a, b = linked(both)
    await both.sync()
    both.left.person(email="a@x.org", name="C", note=None)
    await both.sync()
    (asked,) = both.store.conflicts("people")
    for name in ("A2", "A3"):
        both.right.person(b, name=name)
        run = await both.sync()
        assert run.tally.new_conflicts == 0
    assert [c.id for c in both.store.conflicts("people")] == [asked.id]
    assert both.left.rows[a]["name"] == "A3"
