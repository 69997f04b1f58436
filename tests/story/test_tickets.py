"""A vendor that takes writes and works on them for minutes: its ticket outlives the run that got it."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from connector_hub.errors import Unavailable
from connector_hub.sync import jobs, planner
from tests.conftest import LONG

from .conftest import Project
from .test_crash import Killed, Mine, bury_store, mine_store, mine_vendor, settle
from .vendor import World


def build(people: int = 7) -> Project:
    project = Project(right=World("b", jobs={}))
    for i in range(people):
        project.left.person(email=f"{i}@x.org", name=f"N{i}", note="n")
    return project


def edit(project: Project) -> None:
    for record in list(project.left.rows):
        project.left.person(record, name="edited")


def filled(project: Project) -> list[list[str]]:
    """The record keys of each job that was given rows."""
    found = [
        [w.key for w in job["writes"]] for job in (project.right.jobs or {}).values()
    ]
    return [keys for keys in found if keys]


async def test_many_rows_go_as_a_job_and_few_do_not():
    project = build()
    run = await project.sync()
    assert len(filled(project)) == 1
    assert project.both()[0] == project.both()[1]
    assert run.plan.notes
    assert "7 creates of people go as one job" in run.plan.notes[0]
    first = next(iter(project.left.rows))
    project.left.person(first, name="edited")
    await project.sync()
    assert len(filled(project)) == 1
    assert project.both()[0] == project.both()[1]


async def test_a_vendor_without_record_keys_gets_no_job_of_creates():
    project = build()
    project.keyless = True
    await project.sync()
    assert filled(project) == []


async def test_strict_guarding_does_not_wait_for_jobs_where_a_call_guards():
    project = build()
    project.job = replace(project.job, guarding="strict")
    run = project.run()
    assert run.way(run.right, "create", rows=7).asynchronous
    assert run.way(run.right, "update", rows=70).conditional


async def test_windows_are_joined_so_that_one_job_takes_them(monkeypatch):
    monkeypatch.setattr(planner, "WINDOW", 3)
    project = build(11)
    run = project.run()
    await jobs.plan(run)
    assert len(run.window_writes) == 4
    planned = run.costs["billing"]["calls"]
    project = build(11)
    run = await project.sync()
    assert [len(keys) for keys in filled(project)] == [11]
    assert run.costs["billing"]["calls"] == planned
    spent = [c for c in project.right.calls if not c.startswith("read")]
    assert len(spent) <= planned
    assert project.both()[0] == project.both()[1]
    assert (await project.sync(full=True)).tally.writes == Counter()


async def test_a_job_whose_rows_are_refused_in_part_holds_nobody_up():
    project = build()
    project.right.refuses = {"N3"}
    run = await project.sync()
    assert run.tally.new_letters == 1
    assert len(project.right.rows) == 6
    assert run.store.tickets("people") == []


async def test_a_run_that_is_down_while_it_waits_is_gone_on_with():
    project = build()
    project.right.weather = [*[None] * 3, Unavailable("down"), None]
    with pytest.raises(Unavailable):
        await project.sync()
    (ticket,) = project.store.tickets("people")
    assert (ticket.side, ticket.op, len(ticket.hubs)) == ("right", "create", 7)
    before = project.right.calls.count("find")
    await project.sync()
    assert len(filled(project)) == 1
    assert project.right.calls.count("find") == before
    assert project.store.tickets("people") == []
    await settle(project)


async def test_a_job_the_vendor_has_forgotten_is_looked_up_and_sent_again():
    project = build()
    project.right.weather = [*[None] * 3, Unavailable("down")]
    with pytest.raises(Unavailable):
        await project.sync()
    project.right.jobs = {}
    await settle(project)


async def attempt(at: int, *, after: bool, where: str, edited: bool) -> bool:
    """One schedule. False once the mine lies beyond the run's last step."""
    project = build()
    if edited:
        await project.sync()
        edit(project)
    mine, store = Mine(at, after=after), project.store
    fair = project.left.meet, project.right.meet, store._run, store._many
    if where == "vendor":
        mine_vendor(project.left, mine)
        mine_vendor(project.right, mine)
        bury_store(project, mine)
    else:
        mine_store(project, mine)
    with suppress(Killed):
        await jobs.sync(project.run())
    project.left.meet, project.right.meet, store._run, store._many = fair
    if project.store._db.in_transaction:
        project.store._db.rollback()
    await settle(project)
    sent = Counter(key for keys in filled(project) for key in keys)
    assert set(sent.values()) == {2 if edited else 1}, sent
    assert project.store.tickets("people") == []
    return mine.dead


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("edited", [False, True], ids=["first copy", "edits"])
@pytest.mark.parametrize("where", ["vendor", "state"])
async def test_killed_at_every_step_no_row_is_in_two_jobs_and_none_is_lost(
    after, edited, where
):
    step = 1 if where == "vendor" or LONG else 7
    at = 0
    while await attempt(at, after=after, where=where, edited=edited):
        at += step
    assert at >= 5
