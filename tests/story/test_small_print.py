"""The small print of a run: each guard with the story that needs it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import Exists, Missing, Rejected, Stale
from connector_hub.model.job import Guard, Policy
from connector_hub.model.mapping import Rule
from connector_hub.model.record import Done, Gone, Page, Ref
from connector_hub.sync import jobs

from .conftest import mapping
from .vendor import Memory


class Killed(BaseException):
    """The process is gone."""


def answering(monkeypatch, answer: Any) -> None:
    """The next write of a record is answered so, once."""
    write, done = Memory._write, []

    def once(self: Memory, w: Any) -> Any:
        if not done:
            done.append(w)
            return answer(self, w)
        return write(self, w)

    monkeypatch.setattr(Memory, "_write", once)


async def test_an_interrupted_run_remembers_what_the_vendor_had_confirmed(project):
    for i in range(150):
        project.left.person(email=f"{i}@x.org", name="N")
    project.right.answers_values = True
    second = asyncio.Event()
    write = Memory.write

    async def slow(self: Memory, resource: str, writes: Any, *, way: Any) -> Any:
        if len(writes) < 100:
            second.set()
            await asyncio.Event().wait()
        return await write(self, resource, writes, way=way)

    run = project.run()
    run.right.connector.write = slow.__get__(run.right.connector)
    task = asyncio.ensure_future(jobs.sync(run))
    await second.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    side = run.right
    assert project.store.linked(side.home, "people") == 100
    ((_, _, rest),) = project.store.open_windows("people")
    assert len(rest) == 50
    await project.sync()
    assert len(project.right.rows) == 150


async def test_a_call_that_is_refused_whole_is_narrowed_to_its_bad_row(
    project, monkeypatch
):
    for i in range(9):
        project.left.person(email=f"{i}@x.org", name="bad" if i == 4 else "good")
    write = Memory.write

    async def strict(self: Memory, resource: str, writes: Any, *, way: Any) -> Any:
        if any(w.fields.get("name") == "bad" for w in writes):
            raise Rejected("one of these", reason="BAD")
        return await write(self, resource, writes, way=way)

    monkeypatch.setattr(Memory, "write", strict)
    run = await project.sync()
    assert run.tally.outcomes == {"created": 8, "dead_letters": 1}


async def test_a_create_names_no_blanks_and_sets_what_only_creates_set(project):
    sent: list[Any] = []
    project.right.before_write = sent.extend
    there = replace(mapping(), set_on_create={"name": "default", "origin": "hub"})
    project.maps = {"left": mapping(), "right": there}
    project.left.person(email="a@x.org", name="A", note=None)
    await project.sync()
    (w,) = sent
    assert dict(w.fields) == {"email": "a@x.org", "name": "A", "origin": "hub"}


async def test_a_record_the_vendor_holds_already_is_linked_by_the_next_run(
    project, monkeypatch
):
    project.left.person(email="a@x.org", name="A")
    there = project.right.person(email="other@x.org", name="Z")
    answering(monkeypatch, lambda _, __: Exists("there", there=there))
    first = await project.sync()
    assert first.tally.outcomes == {"stale": 1}
    assert project.store.conflicts("people") == []
    project.right.person(there, email="a@x.org")
    await project.sync()
    assert len(project.right.rows) == 1
    assert project.right.rows[there]["name"] == "A"


async def test_a_record_that_belongs_to_another_is_a_conflict(project, monkeypatch):
    project.left.person(email="z@x.org", name="Z")
    await project.sync()
    (there,) = project.right.rows
    project.left.person(email="a@x.org", name="A")
    answering(monkeypatch, lambda _, __: Exists("there", there=there))
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 1}
    (conflict,) = project.store.conflicts("people")
    assert conflict.kind == "taken"


async def test_a_write_that_came_too_late_is_made_by_the_next_run(project, monkeypatch):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    answering(monkeypatch, lambda _, __: Stale("moved"))
    assert (await project.sync()).tally.outcomes == {"stale": 1}
    assert (await project.sync()).tally.outcomes == {"updated": 1}
    (row,) = project.right.rows.values()
    assert row["name"] == "B"


async def test_an_update_of_what_is_gone_ends_the_link(project, monkeypatch):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    answering(monkeypatch, lambda _, __: Missing("gone"))
    assert (await project.sync()).tally.outcomes == {"unchanged": 1}
    (b,) = project.right.rows
    project.right.delete(b)
    sent: list[Any] = []
    project.right.before_write = sent.extend
    project.left.person(a, name="C")
    await project.sync()
    assert sent == []


async def test_what_was_said_to_be_gone_and_is_there_goes_on(project, monkeypatch):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    answering(monkeypatch, lambda _, __: Missing("gone"))
    await project.sync()
    project.left.person(a, name="C")
    assert (await project.sync()).tally.outcomes == {"updated": 1}
    (row,) = project.right.rows.values()
    assert row["name"] == "C"


async def test_a_create_whose_parent_is_missing_is_a_dead_letter(project, monkeypatch):
    project.left.person(email="a@x.org", name="A")
    answering(monkeypatch, lambda _, __: Missing("parent"))
    assert (await project.sync()).tally.outcomes == {"dead_letters": 1}
    (letter,) = project.store.letters("people")
    assert letter.reason == "MISSING"


async def test_what_is_not_read_back_is_looked_at_again(project, monkeypatch):
    project.left.person(email="a@x.org", name="A")
    fetch = Memory.fetch

    async def blind(*_: Any) -> Any:
        return []

    monkeypatch.setattr(Memory, "fetch", blind)
    assert (await project.sync()).tally.outcomes == {"stale": 1}
    monkeypatch.setattr(Memory, "fetch", fetch)
    await project.sync()
    assert len(project.right.rows) == 1
    assert project.store.linked("memory:b", "people") == 1


async def test_only_the_kinds_that_were_asked_for_are_written(project):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    project.left.person(a, name="B")
    project.left.person(email="new@x.org", name="New")
    run = await project.sync(only=frozenset({"update"}))
    assert run.tally.outcomes == {"updated": 1, "blocked": 1}
    assert (await project.sync()).tally.outcomes == {"created": 1}


async def test_a_value_that_must_be_readable_holds_its_record(project):
    strict = mapping(
        name=Rule("name", "name", table={"A": ("a",)}, other="reject", bad="reject")
    )
    project.maps = {"left": strict, "right": mapping()}
    bad = project.left.person(email="a@x.org", name="zzz")
    project.left.person(email="b@x.org", name="a")
    run = await project.sync()
    assert run.tally.outcomes == {"created": 1, "dead_letters": 1}
    (letter,) = project.store.letters("people")
    assert (letter.reason, letter.fields) == ("UNREADABLE", ("name",))
    project.left.person(bad, name="a")
    await project.sync()
    assert project.store.letters("people") == []


async def test_a_plan_opens_no_conflict_and_no_letter(project):
    project.left.person(email="a@x.org", name="A")
    project.left.person(email="a@x.org", name="B")
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    assert project.store.conflicts("people") == []
    assert len(run.held) == 2


async def test_a_listing_that_is_not_whole_forgets_nobody(project, monkeypatch):
    project.left.person(email="a@x.org", name="A")
    await project.sync()
    read = Memory.read

    async def partial(self: Memory, *words: Any) -> Page:
        page = await read(self, *words)
        return Page([], page.next, page.mark, whole=False)

    monkeypatch.setattr(Memory, "read", partial)
    await project.sync(full=True)
    assert project.store.indexed("people", "left", list(project.left.rows))


async def test_a_change_of_what_identity_is_made_of_reads_everything_anew(project):
    project.left.person(email="a@x.org", name="A")
    await project.sync()
    reads = len(project.left.calls)
    trimmed = mapping(email=Rule("email", "email", ("trim", "lower", "trim")))
    project.maps = {"left": trimmed, "right": mapping()}
    run = await project.sync()
    assert run.tally.read == 1
    assert len(project.left.calls) > reads


async def test_a_merged_record_hands_its_link_to_the_survivor(project, monkeypatch):
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    kept = project.left.person(email="kept@x.org", name="Kept")
    project.left.delete(a)
    read = Memory.read

    async def merging(self: Memory, *words: Any) -> Page:
        page = await read(self, *words)
        gone = (
            [Gone(a, "merged", Ref("people", kept))] if self.world.name == "a" else []
        )
        return Page([*gone, *page.records], page.next, page.mark, page.whole)

    monkeypatch.setattr(Memory, "read", merging)
    await project.sync()
    await project.sync()
    (row,) = project.right.rows.values()
    assert row["email"] == "kept@x.org"


async def test_a_later_edit_of_what_was_sent_looks_like_one(project):
    project.job = replace(project.job, direction="both", fields={"*": Policy()})
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (b,) = project.right.rows

    def edit(_writes: Any) -> None:
        project.right.before_write = None
        project.left.person(a, name="second")

    project.left.person(a, name="first")
    project.right.before_write = edit
    await project.sync()
    assert project.right.rows[b]["name"] == "first"
    await project.sync()
    assert project.right.rows[b]["name"] == "second"


async def test_an_edit_right_after_our_write_travels_back(project):
    project.job = replace(project.job, direction="both")
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (b,) = project.right.rows
    fair = project.right.meet

    def meddle(call: str) -> Any:
        if call == "fetch" and project.right.calls[-1] == "write update":
            project.right.meet = fair
            project.right.person(b, name="a person's")
        return fair(call)

    project.left.person(a, name="ours")
    project.right.meet = meddle
    await project.sync()
    for _ in range(2):
        await project.sync()
    assert project.left.rows[a]["name"] == project.right.rows[b]["name"] == "a person's"


async def test_a_create_that_is_there_by_now_is_not_made_by_an_apply(project):
    project.left.person(email="a@x.org", name="A")
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    document = jobs.plan_document(run)
    project.right.person(email="a@x.org", name="by hand")
    late = project.run()
    late.plan.id = run.plan.id
    await jobs.apply(late, document, lambda: None)
    assert late.tally.outcomes == {"stale": 1}
    assert len(project.right.rows) == 1


async def test_a_namesake_with_the_same_phone_does_not_keep_a_planned_create(project):
    """Their e-mails differ, and decide."""
    project.left.person(email="a@x.org", name="A", phone="0812-3456-7890")
    project.right.person(email="b@x.org", name="A", phone="0812-3456-7890")
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    late = project.run()
    late.plan.id = run.plan.id
    await jobs.apply(late, jobs.plan_document(run), lambda: None)
    assert late.tally.outcomes == {"created": 1}


async def test_what_is_planned_again_is_what_can_be_looked_up(project):
    """A run dies over a window that was planned anew: the kept window is the new one."""
    a = project.left.person(email="a@x.org", name="A", note="n")
    await project.sync()
    (b,) = project.right.rows
    project.left.person(a, name="B", note="m")
    run = project.run()
    await jobs.plan(run)
    project.clock.seconds += 60
    project.right.person(b, name="B")

    def die(_writes: Any) -> None:
        raise Killed

    project.right.before_write = die
    for n, planned in project.store.windows("people", run.plan.id):
        changes = await jobs._again_where_moved(run, n, planned)
        with pytest.raises(Killed):
            await jobs._apply(run, n, planned, changes)
    ((_, _, (kept,)),) = project.store.open_windows("people")
    assert kept.to_right == ("note",)


async def test_a_done_without_values_is_read_back_and_one_with_values_is_not(project):
    for values, calls in ((False, 1), (True, 0)):
        project.right.answers_values = values
        project.left.person(email=f"{values}@x.org", name="A")
        before = project.right.calls.count("fetch")
        await project.sync()
        assert project.right.calls.count("fetch") - before == calls
    assert Done("1").fields is None


async def test_who_is_back_by_now_is_not_archived_by_an_apply(project):
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    held = dict(project.left.rows[a])
    project.left.delete(a)
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    assert run.plan.count("delete") == 1
    project.left.gone.discard(a)
    project.left.person(a, **held)
    late = project.run()
    late.plan.id = run.plan.id
    await jobs.apply(late, jobs.plan_document(run), lambda: None)
    assert late.tally.outcomes == {"stale": 1}
    assert len(project.right.rows) == 1
