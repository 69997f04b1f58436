"""Recovery and counting, one small case each: what was not answered, what waits, what is looked at again."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import InDoubt
from connector_hub.model.conflict import FIELDS
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Guard, Policy
from connector_hub.model.link import Link
from connector_hub.model.mapping import ABSENT, LinkRule, Mapping, Rule, compile_mapping
from connector_hub.model.plan import Seen
from connector_hub.model.transforms import Transforms
from connector_hub.sdk.connector import Can, Resource, Way
from connector_hub.sync import jobs, rivals
from connector_hub.sync.base import Base, hashes
from connector_hub.sync.journal import place
from connector_hub.sync.merging import Pair, merge_pair
from connector_hub.sync.run import Held, JobRun

from .conftest import Project
from .vendor import World

LOST = ("lost", InDoubt("no answer"))


@pytest.fixture
def both(project: Project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


def written(world: World) -> list[str]:
    return [c for c in world.calls if c.startswith("write")]


async def planned_and_applied(project: Project) -> JobRun:
    plan = project.run(allow_deletes=100)
    plan.planning = True
    await jobs.plan(plan)
    run = project.run(allow_deletes=100)
    run.plan.id = plan.plan.id
    await jobs.apply(run, jobs.plan_document(plan), lambda: None)
    assert sum(run.tally.outcomes.values()) == run.tally.read
    return run


@pytest.mark.parametrize("applied", [True, False])
async def test_an_update_that_was_not_answered_is_looked_up_before_it_is_sent_again(
    project: Project, *, applied: bool
) -> None:
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    project.right.calls.clear()
    failed = LOST if applied else InDoubt("no answer")
    project.right.weather = [None] * 9
    real = World.meet

    def meet(call: str) -> Any:
        project.right.weather = (
            [failed] if call == "write update" and not written(project.right) else []
        )
        return real(project.right, call)

    project.right.meet = meet  # type: ignore[method-assign]
    run = await project.sync()
    assert run.tally.outcomes == {"updated": 1}
    assert [r["name"] for r in project.right.rows.values()] == ["B"]
    assert len(written(project.right)) == (1 if applied else 2)


async def test_an_archive_that_was_not_answered_is_looked_up(project: Project) -> None:
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.delete(a)
    project.right.calls.clear()
    real = World.meet

    def meet(call: str) -> Any:
        project.right.weather = [LOST] if call == "write archive" else []
        return real(project.right, call)

    project.right.meet = meet  # type: ignore[method-assign]
    run = await project.sync()
    assert run.tally.outcomes["deleted"] == 1
    assert written(project.right) == ["write archive"]
    assert project.right.rows == {}


async def test_two_creates_that_were_never_answered_are_two_questions(
    project: Project,
) -> None:
    project.keyless = True
    project.right.answers_values = True
    for name in ("A", "B"):
        project.left.person(name=name, note="n")
    project.right.weather = [None, LOST]
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 2}
    found = project.store.conflicts("people")
    assert [c.kind for c in found] == ["unknown outcome"] * 2
    assert len({c.members for c in found}) == 2
    assert run.tally.new_conflicts == 2


async def test_who_was_looked_at_again_leaves_the_inbox_of_his_side(
    both: Project,
) -> None:
    a = both.left.person(email="a@x.org", name="A")
    await both.sync()
    (b,) = both.right.rows
    both.store.look_again("people", "left", [(a, "link")])
    both.store.look_again("people", "right", [(b, "link")])
    await both.sync()
    for side in ("left", "right"):
        assert both.store.inbox("people", side)[0] == {}


async def test_who_has_not_moved_costs_no_call_at_the_other_side(
    project: Project,
) -> None:
    for n in range(3):
        project.left.person(email=f"{n}@x.org", name="A")
    await project.sync()
    project.right.calls.clear()
    run = await project.sync(full=True)
    assert run.tally.outcomes == {"unchanged": 3}
    assert "fetch" not in project.right.calls


async def test_a_plan_archives_what_the_source_says_is_gone(project: Project) -> None:
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    project.left.person(email="b@x.org", name="B")
    await project.sync()
    project.left.delete(a)
    run = await planned_and_applied(project)
    assert run.tally.outcomes == {"deleted": 1}
    assert [r["name"] for r in project.right.rows.values()] == ["B"]


async def test_a_plan_does_what_is_left_of_it_when_somebody_links_one_of_its_twins(
    project: Project,
) -> None:
    """Its question is about three; the first two are still strangers, the third has a counterpart now."""
    twins = [project.left.person(email="a@x.org", name=n) for n in "ABC"]
    project.left.person(email="d@x.org", name="D")
    plan = project.run()
    plan.planning = True
    await jobs.plan(plan)
    document = jobs.plan_document(plan)
    assert plan.plan.count("conflicts") == 3
    other = project.right.person(email="a@x.org", name="A")
    hub = b"h" * 16
    run = project.run()
    rows = [run.left.link_row(twins[2], hub), run.right.link_row(other, hub)]
    project.store.link(rows)
    run.plan.id = plan.plan.id
    await jobs.apply(run, document, lambda: None)
    assert run.tally.outcomes == {"unchanged": 3, "created": 1}
    assert project.store.conflicts("people") == []


async def test_a_decision_is_found_from_whichever_side_the_pair_is_met(
    both: Project,
) -> None:
    both.job = replace(both.job, fields={"*": Policy(both="ask")})
    a = both.left.person(email="a@x.org", name="A", note="x")
    b = both.right.person(email="a@x.org", name="A", note="x")
    await both.sync()
    both.left.person(a, note="mine")
    both.right.person(b, note="theirs")
    await both.sync()
    (conflict,) = both.store.conflicts("people")
    assert conflict.kind == FIELDS
    hub, seen = bytes.fromhex(conflict.detail["hub"]), conflict.detail["seen"]["note"]
    both.store.decide("people", hub, "note", "left", seen, both.clock.now())
    both.store.look_again("people", "right", [(b, "decided")])
    await both.sync()
    assert (both.left.rows[a]["note"], both.right.rows[b]["note"]) == ("mine", "mine")


@pytest.mark.parametrize("about", [None, ("left", "1")])
def test_a_conflict_that_a_plan_found_comes_back_from_its_row(about: Any) -> None:
    held = Held("twins", b"s" * 16, (("left", "1"), ("right", "2")), {"a": "b"}, about)
    row = held.row()
    row[2] = [list(m) for m in row[2]]
    row[4] = row[4] and list(row[4])
    assert Held.of(row) == held


def test_a_strict_job_writes_on_a_conditional_way_where_there_is_one(
    project: Project,
) -> None:
    plain, guarded = Way("update", 100), Way("update", 1, conditional=True)
    resource = Resource("people", Can.UPDATE, ways=(plain, guarded))
    run = project.run()
    side: Any = run.right
    side._whole = replace(side._whole, resource=resource)
    assert run.way(side, "update") is plain
    run.job = replace(run.job, guarding="strict")
    assert run.way(side, "update") is guarded
    assert run.way(side, "create") == Way("create", 1)


async def test_a_plan_meets_no_rivals(both: Project) -> None:
    """It looks; what it saw is seen again by the run that writes."""
    run = both.run()
    theirs = Seen("a1", "1", None, "someone", ("x",) * 4)
    base = Base(b"", (b"",) * 4)
    run.planning = True
    rivals.notice(run, run.left, theirs, {"name"}, base)
    run.planning = False
    rivals.notice(run, run.left, theirs, set(), base)
    assert run.strangers == []
    rivals.notice(run, run.left, theirs, {"name"}, base)
    assert run.strangers == [("left", "a1", "someone", {"name"})]


def test_values_of_different_kinds_have_different_hashes_and_blanks_are_alike() -> None:
    values = ("1", 1, True, 1.5, ["1"], {"a": 1}, "true", "\ud800")
    assert len(set(hashes(values))) == len(values)
    assert len(set(hashes((None, "", ABSENT)))) == 1
    assert hashes((1, ["a"])) == hashes((1, ["a"]))


@pytest.mark.parametrize(
    ("owner", "at", "told"),
    [
        (None, "left", ("left",)),
        ("right", "left", ("left",)),
        ("left", "left", ()),
        (None, "right", ("right",)),
        ("left", "right", ("right",)),
        ("right", "right", ()),
    ],
)
def test_a_backfilled_default_is_written_where_its_field_may_travel_to(
    owner: Any, at: str, told: tuple[str, ...]
) -> None:
    entity = Entity("person", {"note": FieldSpec("note", "text")})
    rules = {"left": Rule("note", "n"), "right": Rule("note", "n")}
    rules[at] = Rule("note", "n", default="none")
    left, right = (
        compile_mapping(
            Mapping("person", "acme", "people", {"note": r}), entity, Transforms()
        )
        for r in rules.values()
    )
    blanks = ({"note": None}, {"note": None})
    pair = Pair(blanks, ({}, {}), (frozenset(), frozenset()), based={"note"})
    policies = {"note": Policy(owner)}
    found = merge_pair(policies, (left, right), pair, {}, {"note"})
    assert tuple(s for s in ("left", "right") if getattr(found, s)) == told
    assert found.agreed == (() if told else ("note",))
    assert merge_pair(policies, (left, right), pair, {}).agreed == ("note",)


@pytest.mark.parametrize("order", [("Lead", "Contact"), ("Contact", "Lead")])
def test_of_several_records_of_a_thing_the_live_one_is_it(
    project: Project, order: tuple[str, ...]
) -> None:
    """A lead that was converted is gone; the contact it became is there."""
    side = project.run().left
    side.places = dict.fromkeys(order, side._whole)
    hub, lost = b"h" * 16, b"i" * 16
    store = project.store
    store.link(
        [
            (side.home, "Lead", "1", hub),
            (side.home, "Contact", "2", hub),
            (side.home, "Lead", "3", lost),
        ]
    )
    store.lose(side.home, "Lead", ["1", "3"])
    assert side.records([hub, lost]) == {
        hub: ("Contact/2", False),
        lost: ("Lead/3", True),
    }
    assert side.links(["Lead/1", "Contact/2"]) == {
        "Lead/1": Link(hub, gone=True),
        "Contact/2": Link(hub),
    }


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        (Rule("name", "Name"), "Name"),
        (Rule("firm", link=LinkRule(path="Firm")), "Firm"),
        (Rule("firm", link=LinkRule(association="firms")), "firms"),
        (
            Rule("firm", link=LinkRule(association="firms", label="Main")),
            "firms (Main)",
        ),
        (Rule("name"), ""),
    ],
)
def test_a_field_is_where_the_vendor_keeps_it(rule: Rule, kept: str) -> None:
    assert place(rule) == kept
