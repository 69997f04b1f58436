"""What a one-way job does, as sentences."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.errors import GuardTripped, InDoubt, Unavailable
from connector_hub.model.job import Guard, Policy


async def test_everything_is_copied_once_and_a_second_run_writes_nothing(project):
    for i in range(250):
        project.left.person(
            email=f" P{i}@X.org", name=f"N{i}", phone=f"0812 000 {i:04}"
        )
    first = await project.sync()
    assert first.tally.outcomes["created"] == 250
    left, right = project.both()
    assert left == right
    writes = project.right.writes
    second = await project.sync()
    third = await project.sync(full=True)
    assert project.right.writes == writes
    assert third.tally.outcomes == {"unchanged": 250}
    assert second.tally.read == 0


async def test_an_edit_travels_and_names_only_what_changed(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    sent = []
    project.right.before_write = sent.extend
    project.left.person(a, name="B")
    run = await project.sync()
    assert run.tally.outcomes["updated"] == 1
    assert [dict(w.fields) for w in sent] == [{"name": "B"}]


async def test_a_field_that_was_emptied_is_emptied_there(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    project.left.person(a, note=None)
    await project.sync()
    assert next(iter(project.right.rows.values()))["note"] is None


async def test_a_blank_never_erases_a_value_at_first_sight(project):
    project.left.person(email="a@x.org", name="A", note=None)
    project.right.person(email="a@x.org", name="old", note="keep me")
    run = await project.sync()
    assert run.tally.outcomes["updated"] == 1
    (row,) = project.right.rows.values()
    assert (row["name"], row["note"]) == ("A", "keep me")


async def test_an_edit_at_the_target_is_drift_and_left_alone(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (b,) = project.right.rows
    project.right.person(b, note="theirs")
    project.left.person(a, name="B")
    run = await project.sync()
    assert run.tally.drift == 1
    assert project.right.rows[b]["note"] == "theirs"
    assert project.right.rows[b]["name"] == "B"
    project.left.person(a, note="mine again")
    await project.sync()
    assert project.right.rows[b]["note"] == "mine again"


async def test_drift_is_put_back_where_the_job_says_so(project):
    project.job = replace(project.job, fields={"note": Policy(revert=True)})
    project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (b,) = project.right.rows
    project.right.person(b, note="theirs")
    await project.sync()
    assert project.right.rows[b]["note"] == "n"


async def test_twins_are_one_conflict_and_neither_is_written(project):
    project.left.person(email="a@x.org", name="A")
    b = project.left.person(email="a@x.org", name="B")
    project.left.person(email="c@x.org", name="C")
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 2, "created": 1}
    (conflict,) = project.store.conflicts("people")
    assert conflict.kind == "twins"
    assert len(conflict.members) == 2
    project.left.person(b, email="b@x.org")
    await project.sync()
    run = await project.sync()
    assert len(project.right.rows) == 3
    assert project.store.conflicts("people") == []


async def test_several_candidates_are_a_conflict(project):
    project.left.person(email="a@x.org", name="A")
    project.right.person(email="a@x.org", name="1")
    project.right.person(email="A@x.org", name="2")
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 1}
    assert project.right.writes == 0


async def test_without_identity_a_record_is_held_unless_the_target_was_empty(project):
    project.right.person(email="other@x.org", name="O")
    project.left.person(name="Nobody")
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 1}
    (conflict,) = project.store.conflicts("people")
    assert conflict.kind == "no identity"


async def test_without_identity_a_record_is_created_where_nothing_was(project):
    project.left.person(name="Nobody")
    run = await project.sync()
    assert run.tally.outcomes == {"created": 1}


async def test_a_rejected_record_holds_nobody_up_and_is_not_sent_again(project):
    project.right.required = ("name",)
    project.left.person(email="a@x.org", name="A")
    bad = project.left.person(email="b@x.org", name=None)
    run = await project.sync()
    assert run.tally.outcomes == {"created": 1, "dead_letters": 1}
    calls = len(project.right.calls)
    again = await project.sync(full=True)
    assert again.tally.outcomes == {"unchanged": 1, "dead_letters": 1}
    assert again.tally.new_letters == 0
    assert not any("write" in c for c in project.right.calls[calls:])
    project.left.person(bad, name="B")
    cured = await project.sync()
    assert cured.tally.outcomes == {"created": 1}
    assert project.store.letters("people") == []


async def test_a_lost_answer_makes_no_twin(project):
    project.left.person(email="a@x.org", name="A")
    project.right.weather = [None, ("lost", InDoubt("no answer"))]
    run = await project.sync()
    assert run.tally.outcomes == {"created": 1}
    assert len(project.right.rows) == 1


async def test_a_vendor_that_stays_silent_stops_the_run_and_the_next_looks_first(
    project,
):
    project.left.person(email="a@x.org", name="A")
    silent = [InDoubt("no answer"), None] * 3
    project.right.weather = [None, *silent]
    with pytest.raises(Unavailable):
        await project.sync()
    assert len(project.store.open_windows("people")) == 1
    run = await project.sync()
    assert run.tally.outcomes["created"] + run.tally.outcomes["unchanged"] == 1
    assert len(project.right.rows) == 1
    assert project.store.open_windows("people") == []


async def test_a_delete_at_the_source_is_not_followed_by_default(project):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.delete(a)
    await project.sync(full=True)
    assert len(project.right.rows) == 1


async def test_a_mass_delete_needs_a_yes(project):
    project.job = replace(project.job, deletes_follow=True)
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.delete(a)
    with pytest.raises(GuardTripped):
        await project.sync()
    assert len(project.right.rows) == 1
    run = await project.sync(allow_deletes=1)
    assert run.tally.outcomes == {"deleted": 1}
    assert project.right.rows == {}


async def test_the_guard_refuses_before_the_first_write(project):
    project.job = replace(project.job, guard=Guard(create=2))
    for i in range(3):
        project.left.person(email=f"{i}@x.org", name="A")
    with pytest.raises(GuardTripped, match="create 3"):
        await project.sync()
    assert project.right.writes == 0


async def test_losing_the_state_makes_no_twins(project):
    from connector_hub.adapters.sqlite import SqliteStore  # noqa: PLC0415
    from connector_hub.adapters.vault import Vault  # noqa: PLC0415

    for i in range(5):
        project.left.person(email=f"{i}@x.org", name=f"N{i}")
    project.left.person(name="only a name")
    await project.sync()
    project.store = SqliteStore(":memory:", Vault(b"z" * 32))
    run = await project.sync()
    assert len(project.right.rows) == 6
    assert run.tally.outcomes == {"unchanged": 6}


async def test_what_a_person_removed_at_the_target_is_not_made_again(project):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    (b,) = project.right.rows
    project.right.delete(b)
    project.left.person(a, name="B")
    await project.sync()
    project.left.person(a, name="C")
    await project.sync(full=True)
    assert project.right.rows == {}


async def test_a_limit_leaves_the_rest_for_later(project):
    for i in range(10):
        project.left.person(email=f"{i}@x.org", name="A")
    run = await project.sync(limit=4)
    assert run.tally.outcomes == {"created": 4, "blocked": 6}
    run = await project.sync()
    assert run.tally.outcomes == {"created": 6}


async def test_a_copy_that_was_edited_stays_when_its_source_is_deleted(project):
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    (b,) = project.right.rows
    project.right.person(b, name="Edited")
    project.left.delete(a)
    run = await project.sync()
    assert b in project.right.rows
    assert run.notes == [f"billing: {b} was edited, and stays though {a} is gone"]
