"""A run may be killed at any call to a vendor or to the state; the next one puts it right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.sync import jobs

from .conftest import Project
from .vendor import World


class Killed(BaseException):
    """The process is gone: nothing may tidy up after it."""


class Mine:
    """Counts calls and kills at the one it was told to, before or after it takes effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.left, self.after = at, after
        self.dead = False

    def step(self) -> bool:
        if self.dead:
            raise Killed
        self.left -= 1
        return self.left < 0

    def die(self) -> None:
        self.dead = True
        raise Killed


def mine_vendor(world: World, mine: Mine) -> None:
    """Every call to this world may be the last."""
    fair = world.meet

    def meet(call: str):
        hit = mine.step()
        if hit and not mine.after:
            mine.die()
        met = fair(call)
        if hit:
            if call.startswith("write"):
                mine.dead = True
                return ("lost", Killed())
            mine.die()
        return met

    world.meet = meet


def mine_store(project: Project, mine: Mine) -> None:
    """Every statement against the state may be the last; the database forgets what was not committed."""
    store = project.store

    def mined(run):
        def statement(sql, values=()):
            hit = mine.step()
            if hit and not mine.after:
                store._db.rollback()
                mine.die()
            found = run(sql, values)
            if hit:
                store._db.rollback()
                mine.die()
            return found

        return statement

    store._run, store._many = mined(store._run), mined(store._many)


def bury_store(project: Project, mine: Mine) -> None:
    """A process that is gone writes no state."""

    def buried(run):
        def statement(sql, values=()):
            if mine.dead:
                raise Killed
            return run(sql, values)

        return statement

    store = project.store
    store._run, store._many = buried(store._run), buried(store._many)


def build(direction: str) -> Project:
    project = Project()
    project.job = replace(project.job, direction=direction)
    for i in range(7):
        project.left.person(email=f"{i}@x.org", name=f"N{i}", note="n")
    project.right.person(email="3@x.org", name="old", note=None)
    project.left.page = project.right.page = 3
    return project


def edit(project: Project) -> None:
    first, second, *_ = project.left.rows
    project.left.person(first, name="edited")
    project.left.person(second, note=None)
    project.left.person(email="new@x.org", name="New")
    if project.job.direction == "both":
        there = list(project.right.rows)
        project.right.person(there[0], note="from the right")
        project.right.person(there[3], name="right")
        project.right.person(email="more@x.org", name="More")


async def settle(project: Project) -> None:
    for _ in range(3):
        await project.sync()
    left, right = project.both()
    assert left == right
    for world in (project.left, project.right):
        assert len({r["email"] for r in world.rows.values()}) == len(world.rows)
    writes = project.right.writes + project.left.writes
    await project.sync(full=True)
    assert project.right.writes + project.left.writes == writes
    assert project.store.open_windows("people") == []


async def attempt(
    at: int, *, after: bool, where: str, edited: bool, direction: str
) -> bool:
    """One schedule. False once the mine lies beyond the run's last step."""
    project = build(direction)
    if edited:
        await project.sync()
        edit(project)
    mine = Mine(at, after=after)
    store = project.store
    fair = project.left.meet, project.right.meet, store._run, store._many
    if where == "vendor":
        mine_vendor(project.left, mine)
        mine_vendor(project.right, mine)
        bury_store(project, mine)
    else:
        mine_store(project, mine)
    try:
        run = project.run()
        await jobs.sync(run)
    except Killed:
        pass
    project.left.meet, project.right.meet, store._run, store._many = fair
    if project.store._db.in_transaction:
        project.store._db.rollback()
    await settle(project)
    return mine.dead


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("edited", [False, True], ids=["first copy", "edits"])
@pytest.mark.parametrize("where", ["vendor", "state"])
@pytest.mark.parametrize("direction", ["left-to-right", "both"])
async def test_killed_at_every_step_nothing_is_lost_or_doubled(
    after, edited, where, direction
):
    schedules = 0
    while await attempt(
        schedules, after=after, where=where, edited=edited, direction=direction
    ):
        schedules += 1
    assert schedules >= 5


@pytest.mark.parametrize(
    "answers", [False, True], ids=["read back", "values in the answer"]
)
async def test_a_person_who_edits_between_write_and_read_back_is_not_overwritten(
    answers,
):
    project = build("left-to-right")
    project.right.answers_values = answers
    await project.sync()
    first = next(iter(project.left.rows))
    project.left.person(first, name="ours")
    fetch = project.right.meet

    def meddle(call: str):
        met = fetch(call)
        if call == "write update":
            project.right.meet = then
        return met

    def then(call: str):
        project.right.meet = fetch
        there = next(i for i, r in project.right.rows.items() if r["name"] == "ours")
        project.right.person(there, name="theirs")
        return fetch(call)

    project.right.meet = meddle
    await project.sync()
    for _ in range(2):
        await project.sync(full=True)
    names = [r["name"] for r in project.right.rows.values()]
    if not answers:
        assert "theirs" in names
