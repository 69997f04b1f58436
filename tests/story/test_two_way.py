"""What a two-way job does, as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.model.conflict import Conflict
from connector_hub.model.job import Guard, Policy, SideName
from connector_hub.sync import jobs

from .conftest import Project


@pytest.fixture
def both(project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


def linked(project: Project) -> tuple[str, str]:
    """One person on both sides."""
    a = project.left.person(email="a@x.org", name="A", note="n")
    b = project.right.person(email="A@x.org", name="A", note="n")
    return a, b


def decide(project: Project, conflict: Conflict, name: str, winner: SideName) -> None:
    hub, seen = bytes.fromhex(conflict.detail["hub"]), conflict.detail["seen"][name]
    now = project.clock.now()
    project.store.decide("people", hub, name, winner, seen, now)


def writes(project: Project) -> int:
    return project.left.writes + project.right.writes


async def quiet(project: Project) -> None:
    """Two further runs write nothing, the second looking at everything."""
    before = writes(project)
    await project.sync()
    run = await project.sync(full=True)
    assert writes(project) == before
    assert set(run.tally.outcomes) <= {"unchanged", "conflicts"}


async def test_two_filled_sides_are_matched_and_completed(both):
    for i in range(150):
        both.left.person(email=f"{i}@x.org", name=f"N{i}")
    for i in range(100, 250):
        both.right.person(email=f" {i}@X.org ", name=f"N{i}", note="there")
    run = await both.sync()
    assert run.tally.outcomes == {"created": 200, "updated": 50}
    assert run.tally.read == 250
    left, right = both.both()
    assert left == right
    assert len(left) == 250
    await quiet(both)


async def test_edits_of_different_fields_both_arrive(both):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="B")
    both.right.person(b, note="theirs")
    run = await both.sync()
    assert run.tally.outcomes == {"updated": 1}
    for row in (both.left.rows[a], both.right.rows[b]):
        assert (row["name"], row["note"]) == ("B", "theirs")
    await quiet(both)


async def test_our_own_writes_do_not_echo(both):
    a, b = linked(both)
    await both.sync()
    both.right.person(b, name="B")
    await both.sync()
    assert both.left.rows[a]["name"] == "B"
    await quiet(both)


async def test_the_same_field_edited_on_both_sides_is_asked_and_nothing_overwritten(
    both,
):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L", note="new")
    both.right.person(b, name="R")
    run = await both.sync()
    assert run.tally.outcomes == {"conflicts": 1}
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("L", "R")
    assert both.right.rows[b]["note"] == "new"
    (conflict,) = both.store.conflicts("people")
    assert (conflict.kind, conflict.detail["fields"]) == ("fields", "name")
    await quiet(both)
    both.left.person(a, note="again")
    await both.sync()
    assert [c.id for c in both.store.conflicts("people")] == [conflict.id]
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("L", "R")


async def test_a_decision_is_carried_out_once(both):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L")
    both.right.person(b, name="R")
    await both.sync()
    (conflict,) = both.store.conflicts("people")
    decide(both, conflict, "name", "right")
    both.store.look_again("people", "left", [(a, "decided")])
    await both.sync()
    assert both.left.rows[a]["name"] == "R"
    assert both.store.conflicts("people") == []
    assert both.store.decisions("people", [bytes.fromhex(conflict.detail["hub"])]) == {}
    both.left.person(a, name="L2")
    both.right.person(b, name="R2")
    await both.sync()
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("L2", "R2")


async def test_a_conflict_ends_when_both_sides_say_the_same(both):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L")
    both.right.person(b, name="R")
    await both.sync()
    both.right.person(b, name="L")
    await both.sync()
    assert both.store.conflicts("people") == []
    await quiet(both)


@pytest.mark.parametrize(
    ("rule", "left", "right"),
    [("left", "L", "L"), ("right", "R", "R"), ("fill", "L", "L"), ("ask", "L", "R")],
)
async def test_who_wins_where_both_sides_moved(both, rule, left, right):
    both.job = replace(both.job, fields={"name": Policy(both=rule)})
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L")
    both.right.person(b, name="R")
    await both.sync()
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == (left, right)
    await quiet(both)


async def test_an_owned_field_travels_one_way_only(both):
    both.job = replace(both.job, fields={"note": Policy(owner="right")})
    a, b = linked(both)
    await both.sync()
    both.left.person(a, note="mine", name="B")
    await both.sync()
    assert both.right.rows[b]["note"] == "n"
    assert both.right.rows[b]["name"] == "B"
    both.right.person(b, note="theirs")
    await both.sync()
    assert both.left.rows[a]["note"] == "theirs"


async def test_at_first_sight_a_blank_is_filled_from_either_side(both):
    a = both.left.person(email="a@x.org", name="A", note=None)
    b = both.right.person(email="a@x.org", name=None, note="theirs")
    await both.sync()
    for row in (both.left.rows[a], both.right.rows[b]):
        assert (row["name"], row["note"]) == ("A", "theirs")


async def test_at_first_sight_a_person_can_be_asked(both):
    both.job = replace(both.job, fields={"*": Policy(first="ask")})
    a = both.left.person(email="a@x.org", name="A", note=None)
    b = both.right.person(email="a@x.org", name="B", note="theirs")
    run = await both.sync()
    assert run.tally.outcomes == {"conflicts": 1}
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("A", "B")
    assert both.left.rows[a]["note"] == "theirs"
    both.left.person(a, name="B")
    await both.sync()
    assert both.store.conflicts("people") == []


async def test_a_twin_group_is_one_conflict_for_all_who_meet_it(both):
    both.left.person(email="a@x.org", name="1")
    both.left.person(email="a@x.org", name="2")
    both.right.person(email="a@x.org", name="3")
    run = await both.sync()
    assert run.tally.outcomes == {"conflicts": 3}
    (conflict,) = both.store.conflicts("people")
    assert conflict.kind == "twins"
    assert len(conflict.members) == 3
    assert writes(both) == 0


@pytest.mark.parametrize("where", ["left", "right", "none"])
async def test_creates_stay_where_the_job_allows_them(both, where):
    both.job = replace(both.job, create=where)
    both.left.person(email="a@x.org", name="A")
    both.right.person(email="b@x.org", name="B")
    await both.sync()
    assert len(both.left.rows) == 1 + (where == "left")
    assert len(both.right.rows) == 1 + (where == "right")


async def test_a_refused_write_does_not_hold_the_other_direction_up(both):
    a, b = linked(both)
    await both.sync()
    both.right.refuses = {"bad"}
    both.left.person(a, name="bad")
    both.right.person(b, note="theirs")
    run = await both.sync()
    assert run.tally.outcomes == {"dead_letters": 1}
    assert both.left.rows[a]["note"] == "theirs"
    assert both.right.rows[b]["name"] == "A"
    (letter,) = both.store.letters("people")
    assert (letter.side, letter.record) == ("left", a)
    sent = writes(both)
    await both.sync(full=True)
    assert writes(both) == sent
    both.left.person(a, name="good")
    await both.sync()
    assert both.right.rows[b]["name"] == "good"
    assert both.store.letters("people") == []
    await quiet(both)


async def test_an_edit_between_plan_and_write_is_not_lost(both):
    a, b = linked(both)
    await both.sync()

    def edit(_writes) -> None:
        both.right.before_write = None
        both.left.person(a, note="in between")

    both.left.person(a, name="B")
    both.right.before_write = edit
    await both.sync()
    await both.sync()
    assert both.right.rows[b]["note"] == "in between"
    assert both.right.rows[b]["name"] == "B"
    await quiet(both)


async def test_what_a_vendor_does_not_take_is_not_echoed_and_not_sent_again(both):
    a, b = linked(both)
    await both.sync()
    both.right.shortens = 3
    both.left.person(a, name="longer")
    run = await both.sync()
    assert run.tally.outcomes == {"not_taken": 1}
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("longer", "lon")
    await quiet(both)
    both.left.person(a, note="x")
    await both.sync()
    assert both.left.rows[a]["name"] == "longer"


async def test_deletes_follow_both_ways_within_the_guard(both):
    both.job = replace(both.job, deletes_follow=True, guard=Guard(delete=5))
    _, b = linked(both)
    c = both.left.person(email="c@x.org", name="C")
    await both.sync()
    both.left.delete(c)
    both.right.delete(b)
    run = await both.sync()
    assert run.tally.outcomes == {"deleted": 2}
    assert both.left.rows == both.right.rows == {}
    await quiet(both)


async def test_a_job_looks_after_those_it_is_for(both):
    both.job = replace(both.job, only={"note": frozenset({"vip"})})
    a = both.left.person(email="a@x.org", name="A", note="vip")
    both.left.person(email="b@x.org", name="B", note="no")
    both.right.person(email="c@x.org", name="C", note=None)
    run = await both.sync()
    assert run.tally.outcomes == {"created": 1, "unchanged": 2}
    both.left.person(a, note="no", name="A2")
    await both.sync()
    (there,) = [r for r in both.right.rows.values() if r["email"] == "a@x.org"]
    assert (there["note"], there["name"]) == ("no", "A2")
    both.left.person(a, name="A3")
    await both.sync()
    assert there["name"] == "A2"
    await quiet(both)


async def test_a_decision_about_one_field_does_not_outlive_its_use(both):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L", note="l")
    both.right.person(b, name="R", note="r")
    await both.sync()
    (conflict,) = both.store.conflicts("people")
    decide(both, conflict, "name", "right")
    both.store.look_again("people", "left", [(a, "decided")])
    await both.sync()
    assert both.left.rows[a]["name"] == "R"
    both.left.person(a, name="L2")
    await both.sync()
    assert both.left.rows[a]["name"] == both.right.rows[b]["name"] == "L2"


async def test_a_letter_stays_open_while_the_other_direction_works(both):
    a, b = linked(both)
    await both.sync()
    both.right.refuses = {"bad"}
    both.left.person(a, name="bad")
    await both.sync()
    both.right.person(b, note="theirs")
    await both.sync()
    assert both.left.rows[a]["note"] == "theirs"
    assert len(both.store.letters("people")) == 1


async def test_a_backfill_overwrites_no_edit_that_waits(both):
    a, b = linked(both)
    await both.sync()
    both.right.person(b, name="NEW")
    await both.sync(backfill=frozenset({"name"}))
    assert both.left.rows[a]["name"] == "NEW"


async def test_when_both_sides_move_after_the_plan_neither_is_forgotten(
    both, monkeypatch
):
    a, b = linked(both)
    await both.sync()
    both.left.person(a, name="L1")
    both.right.person(b, note="r1")
    fair = jobs.guard

    def late(run) -> None:
        fair(run)
        both.clock.seconds += 60
        both.left.person(a, note="an edit")
        both.right.person(b, phone="+628123456789")

    monkeypatch.setattr(jobs, "guard", late)
    await both.sync()
    assert both.left.rows[a]["note"] == "an edit"


async def test_who_left_the_scope_is_not_archived(both):
    both.job = replace(
        both.job,
        only={"note": frozenset({"vip"})},
        deletes_follow=True,
        guard=Guard(delete=5),
    )
    a = both.left.person(email="a@x.org", name="A", note="vip")
    await both.sync()
    both.left.person(a, note="no")
    await both.sync()
    both.left.delete(a)
    await both.sync()
    assert len(both.right.rows) == 1
