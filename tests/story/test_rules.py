"""What rules with conditions, defaults and further identities do over several runs, as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.model.job import Policy
from connector_hub.model.mapping import Rule

from .conftest import PERSON, Project, mapping

DEFAULT = Rule("note", "note", default="unknown")
WHEN = Rule("note", "note", when={"name": ("ID", "SG")})
ALSO = Rule("email", "email", ("trim", "lower"), also=("more",))


@pytest.fixture
def both(project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


def writes(project: Project) -> int:
    return project.left.writes + project.right.writes


async def quiet(project: Project, **options) -> None:
    """Two further runs write nothing, the second looking at everything."""
    before = writes(project)
    await project.sync(**options)
    run = await project.sync(full=True)
    assert writes(project) == before
    assert set(run.tally.outcomes) <= {"unchanged", "conflicts"}


async def test_a_default_fills_a_blank_and_never_travels_back(both):
    both.maps["right"] = mapping(note=DEFAULT)
    a = both.left.person(email="a@x.org", name="A")
    run = await both.sync()
    assert run.tally.outcomes == {"created": 1}
    (b,) = both.right.rows
    assert both.right.rows[b]["note"] == "unknown"
    await quiet(both)
    both.right.person(b, name="B")
    await both.sync()
    assert both.left.rows[a]["name"] == "B"
    await quiet(both, backfill=frozenset({"note"}))
    assert both.left.rows[a].get("note") is None


async def test_an_edit_of_a_default_travels_and_a_cleared_value_gets_it_again(both):
    both.maps["right"] = mapping(note=DEFAULT)
    a = both.left.person(email="a@x.org", name="A")
    await both.sync()
    (b,) = both.right.rows
    both.right.person(b, note="tall")
    await both.sync()
    assert both.left.rows[a]["note"] == "tall"
    both.left.person(a, note="")
    run = await both.sync()
    assert (run.plan.count("clear"), run.tally.outcomes["updated"]) == (0, 1)
    assert both.right.rows[b]["note"] == "unknown"
    await quiet(both)
    assert both.left.rows[a]["note"] == ""
    both.right.person(b, note="short")
    await both.sync()
    both.right.person(b, note="unknown")
    await both.sync()
    assert both.left.rows[a]["note"] == "unknown"


async def test_a_default_does_not_travel_when_the_two_meet(both):
    both.maps["right"] = mapping(note=DEFAULT)
    a = both.left.person(email="a@x.org", name="A")
    both.right.person(email="a@x.org", name="A", note="unknown")
    await both.sync()
    assert (both.left.rows[a].get("note"), writes(both)) == (None, 0)


async def test_a_default_is_put_back_for_the_owner_once_only(project):
    project.maps["right"] = mapping(note=DEFAULT)
    project.job = replace(project.job, fields={"note": Policy("left", revert=True)})
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    before = project.right.writes
    run = await project.sync()
    assert run.tally.by_field == {"name": 1}
    assert project.right.writes == before + 1


async def test_a_new_default_writes_nothing_until_it_is_backfilled(both):
    a = both.left.person(email="a@x.org", name="A")
    await both.sync()
    both.maps["right"] = mapping(note=DEFAULT)
    before = writes(both)
    await both.sync(full=True)
    assert writes(both) == before
    run = await both.sync(backfill=frozenset({"note"}))
    assert run.tally.outcomes == {"updated": 1}
    assert [r["note"] for r in both.right.rows.values()] == ["unknown"]
    assert both.left.rows[a].get("note") is None
    await quiet(both)


async def test_defaults_make_nobody_alike(both):
    rule = Rule("phone", "phone", ("phone(ID)",), default="+628111111111")
    both.maps["right"] = mapping(phone=rule)
    both.left.person(email="a@x.org", name="A")
    await both.sync()
    both.left.person(name="A", phone="+628111111111", email="b@x.org")
    both.right.person(name="A", phone="+628111111111")
    run = await both.sync()
    assert "twins" not in {c.kind for c in both.store.conflicts("people")}
    assert run.tally.outcomes["created"] == 1


async def test_outside_its_condition_a_field_is_absent_both_ways(both):
    both.maps["left"] = mapping(note=WHEN)
    a = both.left.person(email="a@x.org", name="US", note="mine")
    b = both.right.person(email="b@x.org", name="US", note="theirs")
    run = await both.sync()
    assert run.tally.outcomes == {"created": 2}
    (there,) = set(both.right.rows) - {b}
    (here,) = set(both.left.rows) - {a}
    assert both.right.rows[there].get("note") is None
    assert both.left.rows[here].get("note") is None
    both.left.person(a, note="edited")
    both.right.person(b, note="edited")
    before = writes(both)
    await both.sync()
    assert writes(both) == before
    await quiet(both)


async def test_a_field_travels_in_the_run_in_which_its_condition_begins_to_hold(both):
    both.maps["left"] = mapping(note=WHEN)
    b = both.right.person(email="b@x.org", name="US", note="theirs")
    await both.sync()
    (a,) = both.left.rows
    both.right.person(b, name="ID")
    run = await both.sync()
    assert run.tally.outcomes == {"updated": 1}
    assert (both.left.rows[a]["name"], both.left.rows[a]["note"]) == ("ID", "theirs")
    await quiet(both)


async def test_what_was_hidden_travels_when_the_other_side_brings_the_condition(both):
    both.maps["left"] = mapping(note=WHEN)
    a = both.left.person(email="a@x.org", name="US", note="mine")
    await both.sync()
    (b,) = both.right.rows
    assert both.right.rows[b].get("note") is None
    both.right.person(b, name="ID")
    run = await both.sync()
    assert run.tally.outcomes == {"updated": 1}
    assert (both.left.rows[a]["name"], both.right.rows[b]["note"]) == ("ID", "mine")
    await quiet(both)


async def test_a_replay_decides_a_field_once(both):
    both.maps["left"] = mapping(note=WHEN)
    both.right.person(email="b@x.org", name="US", note="theirs")
    await both.sync()
    (a,), (b,) = both.left.rows, both.right.rows
    both.store.look_again("people", "right", [(b, "replay")])
    both.right.person(b, name="ID", note="new")
    run = await both.sync()
    assert run.tally.by_field == {"name": 1, "note": 1}
    assert both.left.rows[a]["note"] == "new"


async def test_an_edit_made_outside_the_condition_wins_when_it_holds(both):
    both.maps["left"] = mapping(note=WHEN)
    a = both.left.person(email="a@x.org", name="US", note="stale")
    b = both.right.person(email="a@x.org", name="US", note="old")
    await both.sync()
    both.right.person(b, note="new")
    await both.sync()
    both.right.person(b, name="SG")
    await both.sync()
    assert both.left.rows[a]["note"] == both.right.rows[b]["note"] == "new"
    await quiet(both)


async def test_leaving_the_condition_empties_nothing(both):
    both.maps["left"] = mapping(note=WHEN)
    a = both.left.person(email="a@x.org", name="ID", note="n")
    await both.sync()
    (b,) = both.right.rows
    assert both.right.rows[b]["note"] == "n"
    both.left.person(a, name="US")
    await both.sync()
    both.right.person(b, note="changed")
    await both.sync()
    assert (both.left.rows[a]["note"], both.right.rows[b]["note"]) == ("n", "changed")
    await quiet(both)


async def test_a_new_condition_writes_nothing_until_it_is_backfilled(both):
    both.maps["left"] = mapping(note=None)
    a = both.left.person(email="a@x.org", name="ID", note="n")
    await both.sync()
    both.maps["left"] = mapping(note=WHEN)
    before = writes(both)
    await both.sync(full=True)
    assert writes(both) == before
    both.maps["left"] = mapping(note=replace(WHEN, when={"name": ("ID",)}))
    await both.sync(full=True)
    assert writes(both) == before
    await both.sync(backfill=frozenset({"note"}))
    assert [r["note"] for r in both.right.rows.values()] == ["n"]
    assert both.left.rows[a]["note"] == "n"
    await quiet(both)


async def test_what_cannot_be_read_outside_its_condition_is_not_told(project):
    rule = Rule("note", "note", table={"a": ("A",)}, when={"name": ("ID",)})
    project.maps["left"] = mapping(note=replace(rule, bad="reject", other="reject"))
    project.left.person(email="a@x.org", name="US", note="?")
    run = await project.sync()
    assert (run.tally.outcomes, run.tally.unreadable) == ({"created": 1}, {})


async def test_a_second_address_is_the_same_person(both):
    both.maps["left"] = mapping(email=ALSO)
    a = both.left.person(email="new@x.org", name="A", more="old@x.org; older@x.org")
    b = both.right.person(email="Older@x.org", name="A")
    run = await both.sync()
    assert run.tally.outcomes["created"] == 0
    assert (len(both.left.rows), len(both.right.rows)) == (1, 1)
    assert both.left.rows[a]["more"] == "old@x.org; older@x.org"
    assert list(both.store.pairs(("memory:a", "people"), ("memory:b", "people"))) == [
        (a, b)
    ]
    await quiet(both)


async def test_a_shared_second_address_is_a_question_and_never_a_link(both):
    both.maps["left"] = mapping(email=ALSO)
    both.left.person(email="a@x.org", name="A", more="c@x.org")
    both.left.person(email="b@x.org", name="B", more="C@x.org")
    both.right.person(email="c@x.org", name="C")
    run = await both.sync()
    assert run.tally.outcomes == {"conflicts": 3}
    assert writes(both) == 0
    assert {c.kind for c in both.store.conflicts("people")} == {"twins"}


async def test_one_address_of_each_of_two_others_is_a_question(both):
    both.maps["left"] = mapping(email=ALSO)
    both.left.person(email="a@x.org", name="A", more="c@x.org")
    both.right.person(email="a@x.org", name="A")
    both.right.person(email="c@x.org", name="C")
    await both.sync()
    assert writes(both) == 0
    assert list(both.store.pairs(("memory:a", "people"), ("memory:b", "people"))) == []


async def test_a_rule_that_begins_to_look_at_second_addresses_finds_them(both):
    both.left.person(email="a@x.org", name="A", more="c@x.org")
    await both.sync()
    both.maps["left"] = mapping(email=ALSO)
    both.right.person(email="c@x.org", name="C")
    before = writes(both)
    run = await both.sync()
    assert writes(both) == before
    assert run.tally.outcomes["conflicts"] == 1


async def test_a_new_word_is_counted_by_field_and_left_alone(both):
    rule = Rule("note", "note", table={"lead": ("L",), "customer": ("C",)})
    both.maps["left"] = mapping(note=rule)
    a = both.left.person(email="a@x.org", name="A", note="L")
    await both.sync()
    (b,) = both.right.rows
    both.left.person(a, note="brand new", name="B")
    run = await both.sync()
    assert run.tally.unreadable == {"note": 1}
    assert (both.right.rows[b]["note"], both.right.rows[b]["name"]) == ("lead", "B")
    assert both.left.rows[a]["note"] == "brand new"
    both.right.person(b, note="customer")
    await both.sync()
    assert both.left.rows[a]["note"] == "brand new"


async def test_who_was_linked_before_an_identity_was_edited_is_known_by_the_new_one(
    both,
):
    both.left.person(email="a@x.org", name="A", phone="+628123456789")
    await both.sync()
    both.entity = replace(PERSON, identity=(("name",),))
    both.left.person(email="b@x.org", name="A")
    run = await both.sync()
    assert run.tally.outcomes["created"] == 0
    assert {c.kind for c in both.store.conflicts("people")} == {"twins"}


async def test_a_record_whose_new_rule_differs_is_told_until_it_is_backfilled(both):
    both.maps["left"] = mapping(note=None)
    both.left.person(email="a@x.org", name="A", note="n")
    await both.sync()
    both.maps["left"] = mapping()
    run = await both.sync(full=True)
    assert run.tally.unbased == {"note": 1}
    run = await both.sync(backfill=frozenset({"note"}))
    assert (run.tally.unbased, run.tally.by_field) == ({}, {"note": 1})


async def test_a_default_that_was_cleared_on_both_sides_stays_so(both):
    both.maps["right"] = mapping(note=DEFAULT)
    both.left.person(email="a@x.org", name="A", note="tall")
    await both.sync()
    (b,) = both.right.rows
    for world in (both.left, both.right):
        for record in list(world.rows):
            world.person(record, note=None)
    before = writes(both)
    await both.sync()
    assert both.right.rows[b]["note"] is None
    assert writes(both) == before


async def test_a_backfill_gives_the_owner_no_default(both):
    both.job = replace(both.job, fields={"note": Policy("right")})
    both.left.person(email="a@x.org", name="A")
    await both.sync()
    both.maps["right"] = mapping(note=DEFAULT)
    before = writes(both)
    await both.sync(backfill=frozenset({"note"}))
    assert writes(both) == before
