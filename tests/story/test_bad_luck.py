"""What must hold when vendors, networks and people are at their worst."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import (
    HubError,
    InDoubt,
    MarkLost,
    PluginError,
    Rejected,
)
from connector_hub.model.job import Guard
from connector_hub.model.mapping import Rule
from connector_hub.model.record import Page
from connector_hub.sync import planner, sides

from .conftest import Project, mapping
from .vendor import Memory


class Killed(BaseException):
    """The process is gone."""


class Silent(set[str]):
    """What is gone is not told: asked by id, the vendor leaves it out."""

    def __contains__(self, _: object) -> bool:
        return False


def silent(project: Project) -> None:
    project.left.gone, project.right.gone = Silent(), Silent()


@pytest.mark.parametrize("error", [InDoubt("no answer"), Killed()])
async def test_without_a_record_key_an_unanswered_create_is_never_sent_again(
    project, error
):
    project.keyless = True
    project.left.person(name="A", note="n")
    project.right.weather = [None, ("lost", error)]
    with contextlib.suppress(Killed):
        await project.sync()
    for _ in range(2):
        with contextlib.suppress(HubError):
            await project.sync(full=True)
    assert len(project.right.rows) == 1
    (conflict,) = project.store.conflicts("people")
    assert conflict.kind == "unknown outcome"


async def test_a_create_whose_values_were_forgotten_is_not_sent_again_either(project):
    project.keyless = True
    project.left.person(name="A", note="n")
    project.right.weather = [None, ("lost", Killed())]
    with contextlib.suppress(Killed):
        await project.sync()
    ((_, _, (change,)),) = project.store.open_windows("people")
    project.clock.seconds += 8 * 86400
    assert project.store.expire(project.clock.now())
    ((_, _, (stripped,)),) = project.store.open_windows("people")
    assert stripped.is_stripped
    assert (stripped.hub, stripped.record) == (change.hub, change.record)
    for _ in range(2):
        await project.sync(full=True)
    assert len(project.right.rows) == 1
    (conflict,) = project.store.conflicts("people")
    assert conflict.kind == "unknown outcome"


async def test_a_counterpart_that_is_silently_gone_is_made_anew(project):
    silent(project)
    project.left.person(email="z@x.org", name="Z")
    there = project.right.person(email="a@x.org", name="A")
    await project.sync()
    project.right.delete(there)
    project.left.person(email="a@x.org", name="A2")
    first = await project.sync()
    assert first.tally.outcomes == {"stale": 1}
    await project.sync()
    assert any(x["email"] == "a@x.org" for x in project.right.rows.values())


async def test_a_linked_record_that_is_silently_gone_is_believed_the_second_time(
    project,
):
    silent(project)
    a = project.left.person(email="z@x.org", name="Z")
    await project.sync()
    (there,) = project.right.rows
    project.right.delete(there)
    told = []
    for i in range(3):
        project.left.person(a, name=f"Z{i}")
        told.append(dict((await project.sync()).tally.outcomes))
    assert told == [{"stale": 1}, {"unchanged": 1}, {"unchanged": 1}]
    assert project.right.rows == {}


async def test_twins_that_were_merged_at_the_source_are_one_again(project):
    a = project.left.person(email="a@x.org", name="A")
    b = project.left.person(email="a@x.org", name="B")
    await project.sync()
    project.left.delete(b)
    project.left.person(a, name="A+B")
    for _ in range(2):
        await project.sync()
    assert len(project.right.rows) == 1
    assert project.store.conflicts("people") == []


async def test_an_edit_between_two_readings_of_one_run_is_not_lost(
    project, monkeypatch
):
    monkeypatch.setattr(sides.portions, "__defaults__", (3,))
    for i in range(9):
        project.left.person(email=f"{i}@x.org", name="N")
    project.left.page = 3
    await project.sync()
    for record in list(project.left.rows):
        project.left.person(record, name="v1")
    first = next(iter(project.left.rows))
    fair, reads = project.left.meet, []

    def meet(call: str) -> Any:
        met = fair(call)
        reads.append(call)
        if reads.count("read changed") == 3 and call == "read changed":
            project.left.person(first, name="v2")
            raise MarkLost("gone")
        return met

    project.left.meet = meet
    await project.sync()
    project.left.meet = fair
    await project.sync()
    assert "v2" in [r["name"] for r in project.right.rows.values()]


async def test_a_feed_that_always_loses_its_place_ends_the_run(project):
    project.left.person(email="a@x.org", name="A")
    fair, reads = project.left.meet, []

    def meet(call: str) -> Any:
        reads.append(call)
        if call == "read changed":
            raise MarkLost("x")
        return fair(call)

    project.left.meet = meet
    with pytest.raises(PluginError):
        await project.sync()
    assert len(reads) == 2


async def test_a_limit_leaves_deletes_for_later_not_for_never(project):
    project.job = replace(project.job, deletes_follow=True, guard=Guard())
    ids = [project.left.person(email=f"{i}@x.org", name="N") for i in range(3)]
    await project.sync()
    for i in ids:
        project.left.delete(i)
    await project.sync(limit=1, allow_deletes=9)
    assert len(project.right.rows) == 2
    await project.sync(allow_deletes=9)
    assert project.right.rows == {}


async def test_an_archive_that_was_refused_is_made_when_it_is_replayed(
    project, monkeypatch
):
    project.job = replace(project.job, deletes_follow=True)
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.delete(a)
    write = Memory._write

    def locked(self: Memory, w: Any) -> Any:
        return Rejected("no", reason="LOCKED") if w.op == "archive" else write(self, w)

    monkeypatch.setattr(Memory, "_write", locked)
    run = await project.sync(allow_deletes=1)
    assert run.tally.outcomes == {"dead_letters": 1}
    monkeypatch.setattr(Memory, "_write", write)
    project.store.look_again("people", "left", [(a, "replay")])
    await project.sync(allow_deletes=1)
    assert project.right.rows == {}


async def test_an_update_that_was_never_sent_is_not_taken_for_done(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (there,) = project.right.rows
    project.left.person(a, name="B", note="m")

    def die(_writes: Any) -> None:
        raise Killed

    project.right.before_write = die
    with pytest.raises(Killed):
        await project.sync()
    project.right.before_write = None
    project.right.person(there, note="theirs")
    await project.sync()
    await project.sync()
    assert project.right.rows[there]["name"] == "B"


async def test_what_was_read_too_long_before_a_write_is_read_again(
    project, monkeypatch
):
    monkeypatch.setattr(planner, "WINDOW", 1)
    a = project.left.person(email="a@x.org", name="A", note="n")
    c = project.left.person(email="c@x.org", name="C", note="n")
    await project.sync()
    there = next(i for i, r in project.right.rows.items() if r["email"] == "a@x.org")
    project.left.person(a, name="A1")
    project.left.person(c, name="C1")
    fair, fetched = project.right.meet, []

    def meet(call: str) -> Any:
        if call == "fetch":
            fetched.append(call)
            if len(fetched) == 2:
                project.clock.seconds += 60
                project.right.person(there, note="a person's")
        return fair(call)

    project.right.meet = meet
    before = len(project.right.calls)
    await project.sync()
    calls = project.right.calls[before:]
    assert calls[: calls.index("write update")].count("fetch") >= 3
    assert project.right.rows[there]["note"] == "a person's"


async def test_what_comes_into_the_inbox_while_a_run_works_is_kept(project):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.store.look_again("people", "left", [(a, "stale")])
    project.left.person(a, name="B")

    def later(_writes: Any) -> None:
        project.store.look_again("people", "left", [(a, "link")])

    project.right.before_write = later
    await project.sync()
    assert project.store.inbox("people", "left")[0] == {a: "link"}
    project.right.before_write = None
    await project.sync()
    assert project.store.inbox("people", "left")[0] == {}


async def test_a_circle_of_pages_is_seen(project):
    run = project.run()
    turns = {None: "A", "A": "B", "B": "A"}

    class Circling:
        name = "circling"

        async def read(self, _resource: str, _feed: str, at: Any, _want: Any) -> Page:
            return Page([], next=turns[at])

    run.right.connector = Circling()
    with pytest.raises(PluginError, match="circle"):
        async for _ in sides.pages(run.right, "changed", None):
            pass


async def test_a_field_whose_rule_was_edited_travels_from_its_next_edit_on(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    trimmed = mapping(note=Rule("note", "note", ("trim",)))
    project.maps = {"left": trimmed, "right": mapping()}
    writes = project.right.writes
    await project.sync(full=True)
    assert project.right.writes == writes
    project.left.person(a, note="changed")
    await project.sync()
    (row,) = project.right.rows.values()
    assert row["note"] == "changed"


async def test_a_field_that_was_added_travels_from_its_next_edit_on(project):
    whole = mapping()
    small = replace(whole, rules={n: r for n, r in whole.rules.items() if n != "note"})
    project.maps = {"left": small, "right": small}
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    project.maps = {"left": whole, "right": whole}
    await project.sync(full=True)
    (row,) = project.right.rows.values()
    assert row.get("note") is None
    project.left.person(a, note="changed")
    await project.sync()
    assert row["note"] == "changed"


async def test_a_backfill_brings_a_field_to_all_who_are_linked(project):
    whole = mapping()
    small = replace(whole, rules={n: r for n, r in whole.rules.items() if n != "note"})
    project.maps = {"left": small, "right": small}
    for i in range(3):
        project.left.person(email=f"{i}@x.org", name="N", note=f"n{i}")
    await project.sync()
    project.maps = {"left": whole, "right": whole}
    await project.sync(full=True)
    there = list(project.right.rows.values())
    there[0]["note"] = "theirs"
    run = await project.sync(backfill=frozenset({"note"}))
    assert run.tally.outcomes == {"updated": 2, "unchanged": 1}
    assert [r["note"] for r in there] == ["theirs", "n1", "n2"]
    writes = project.right.writes
    await project.sync(full=True)
    assert project.right.writes == writes
