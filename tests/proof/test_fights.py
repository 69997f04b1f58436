"""Two automations that fight over a field come to rest, and nobody else is held up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connector_hub.hub import Hub
from connector_hub.model.job import Policy
from connector_hub.sync import fights
from tests.conftest import Opener, Vendors
from tests.story.conftest import Project
from tests.story.vendor import World

OURS, THEIRS = "ours", "theirs"


@pytest.fixture
def project() -> Project:
    made = Project()
    made.job = replace(made.job, direction="both")
    return made


def names(world: World) -> set[str]:
    return {r["name"] for r in world.rows.values()}


def enforce(world: World, value: str, record: str | None = None) -> None:
    """A workflow of the vendor: whoever has another name gets this one."""
    for i, row in list(world.rows.items()):
        if row["name"] != value and record in {None, i}:
            world.person(i, name=value)


async def fight(project: Project, turns: int, record: str | None = None) -> int:
    """Both sides set the name their way after every sync; how many writes the hub made of it."""
    before = project.left.writes + project.right.writes
    for _ in range(turns):
        enforce(project.right, THEIRS, record)
        enforce(project.left, OURS, record and project_left(project, record))
        await project.sync()
        project.clock.seconds += 20
    return project.left.writes + project.right.writes - before


def project_left(project: Project, right: str) -> str:
    """The left record of a right one, by its e-mail."""
    mail = project.right.rows[right]["email"]
    return next(i for i, r in project.left.rows.items() if r["email"] == mail)


async def begun(project: Project, n: int = 1) -> None:
    for i in range(n):
        project.left.person(email=f"p{i}@x.org", name=OURS, note=f"n{i}")
    await project.sync()
    await project.sync()


async def alternate(project: Project, turns: int) -> int:
    """Each workflow answers what the hub has just brought; how many writes the hub made."""
    before = project.left.writes + project.right.writes
    enforce(project.right, THEIRS)
    for _ in range(turns):
        await project.sync()
        enforce(project.left, OURS)
        project.clock.seconds += 20
        await project.sync()
        enforce(project.right, THEIRS)
        project.clock.seconds += 20
    return project.left.writes + project.right.writes - before


async def test_two_workflows_rest_after_four_writes_and_a_person_is_asked(
    project: Project,
) -> None:
    await begun(project)
    assert await alternate(project, 10) == 4
    (conflict,) = project.store.conflicts("people")
    assert (conflict.kind, conflict.fields, conflict.fights) == (
        "fields",
        ["name"],
        ["name"],
    )
    project.clock.seconds += 7200
    assert await alternate(project, 3) == 0, "held until a person says who is right"
    enforce(project.left, "a third")
    run = await project.sync()
    assert run.tally.outcomes == {"conflicts": 1}, "whatever is said meanwhile"
    project.store.expire(project.clock.now() + timedelta(days=1))
    assert await alternate(project, 3) == 0


async def test_all_else_of_the_record_and_all_other_records_go_on(
    project: Project,
) -> None:
    await begun(project, 3)
    await alternate(project, 4)
    assert len(project.store.conflicts("people")) == 3
    for i in project.left.rows:
        project.left.person(i, note="new")
    other = project.left.person(email="late@x.org", name="Late", note="n")
    await project.sync()
    assert {r["note"] for r in project.right.rows.values()} == {"new", "n"}
    project.left.person(other, name="Later")
    await project.sync()
    assert "Later" in names(project.right)


async def test_when_the_two_agree_again_nothing_is_open(project: Project) -> None:
    await begun(project)
    await alternate(project, 4)
    assert project.store.conflicts("people")
    enforce(project.left, THEIRS)
    await project.sync()
    assert project.store.conflicts("people") == []
    for value in ("A", "B"):
        enforce(project.left, value)
        await project.sync()
        assert names(project.right) == {value}, "it travels again"


async def test_a_person_who_tries_many_values_is_not_held(project: Project) -> None:
    await begun(project)
    for i in range(12):
        enforce(project.left, f"try {i}")
        await project.sync()
        project.clock.seconds += 5
        assert names(project.right) == {f"try {i}"}
    assert project.store.conflicts("people") == []


async def test_to_and_fro_over_an_hour_is_no_fight(project: Project) -> None:
    await begun(project)
    for i in range(12):
        enforce(project.left, (OURS, THEIRS)[i % 2])
        await project.sync()
        project.clock.seconds += fights.WITHIN.total_seconds() / 3
    assert project.store.conflicts("people") == []


async def test_a_drift_that_is_put_back_for_ever_is_a_fight_too(
    project: Project,
) -> None:
    await begun(project)
    policy = Policy("left", revert=True)
    project.job = replace(
        project.job, direction="left-to-right", fields={"name": policy}
    )
    before = project.right.writes
    for _ in range(8):
        enforce(project.right, THEIRS)
        await project.sync()
        await project.sync()
        project.clock.seconds += 20
    assert project.right.writes - before == 4
    (conflict,) = project.store.conflicts("people")
    assert conflict.fights == ["name"]


async def test_a_plan_finds_a_fight_and_its_windows_hold_it(project: Project) -> None:
    await begun(project)
    await alternate(project, 2)
    enforce(project.right, THEIRS)
    run = project.run()
    run.planning = True
    from connector_hub.sync import jobs  # noqa: PLC0415 - one story only

    await jobs.plan(run)
    assert (run.plan.count("update"), run.plan.count("conflicts")) == (0, 1)
    assert project.store.conflicts("people") == []


class TestOnTheSandboxes:
    """HubSpot's workflow and Salesforce's flow, each sure of its own title."""

    @pytest.fixture
    def people(self) -> int:
        return 4

    def sales(self, vendors: Vendors, mail: str, title: str) -> None:
        for row in vendors["sales"].live("contacts"):
            p = row["properties"]
            if p["email"] == mail and p["jobtitle"] != title:
                body = {"id": row["id"], "properties": {"jobtitle": title}}
                vendors["sales"].edit("contacts", body)

    def billing(self, vendors: Vendors, mail: str, title: str) -> None:
        for row in vendors["billing"].live("Contact"):
            if row["Email"] == mail and row["Title"] != title:
                vendors["billing"].edit("Contact", {"Id": row["Id"], "Title": title})

    def titles(self, vendors: Vendors, mail: str) -> tuple[str, str]:
        (left,) = (
            r["properties"]["jobtitle"]
            for r in vendors["sales"].live("contacts")
            if r["properties"]["email"] == mail
        )
        (right,) = (
            r["Title"] for r in vendors["billing"].live("Contact") if r["Email"] == mail
        )
        return left, right

    async def sync(self, hub: Hub, vendors: Vendors) -> int:
        for s in vendors.values():
            s.clock.advance(5)
        receipt = await hub.sync("contacts")
        return sum(receipt.writes.values())

    async def fight(self, hub: Hub, vendors: Vendors, mail: str, turns: int) -> int:
        writes = 0
        for _ in range(turns):
            self.billing(vendors, mail, THEIRS)
            writes += await self.sync(hub, vendors)
            self.sales(vendors, mail, OURS)
            writes += await self.sync(hub, vendors)
        return writes

    async def test_they_rest_and_a_person_ends_it(
        self, opened: Opener, vendors: Vendors
    ) -> None:
        async with opened("both") as hub:
            await hub.sync("companies")
            await self.sync(hub, vendors)
            mail = vendors["sales"].live("contacts")[0]["properties"]["email"]
            self.sales(vendors, mail, OURS)
            await self.sync(hub, vendors)
            assert await self.fight(hub, vendors, mail, 5) <= 4
            assert await self.fight(hub, vendors, mail, 2) == 0
            (conflict,) = hub.conflicts("contacts")
            assert conflict.fights == ["title"]
            record = conflict.members[0][1]
            (why,) = await hub.why("contacts", record, "title")
            assert f"conflict {conflict.id} (written to and fro)" in why.open
            assert hub.report(timedelta(days=1)).jobs[1].conflicts.open == 1
            self.billing(vendors, mail, THEIRS)
            await self.sync(hub, vendors)
            (conflict,) = hub.conflicts("contacts")
            assert hub.resolve(conflict, "left") == ("title",)
            assert await self.sync(hub, vendors) == 1
            assert self.titles(vendors, mail) == (OURS, OURS)
            assert hub.conflicts("contacts") == []
            self.sales(vendors, mail, "Third")
            assert await self.sync(hub, vendors) == 1
            assert self.titles(vendors, mail) == ("Third", "Third")

    async def test_who_says_the_other_side_is_right_in_a_one_way_job_leaves_the_source_alone(
        self, opened: Opener, vendors: Vendors
    ) -> None:
        fields = '{"*": {from: sales, drift: revert}}'
        async with opened("left-to-right", fields=fields) as hub:
            await hub.sync("companies")
            await self.sync(hub, vendors)
            mail = vendors["sales"].live("contacts")[0]["properties"]["email"]
            self.sales(vendors, mail, OURS)
            await self.sync(hub, vendors)
            writes = 0
            for _ in range(7):
                self.billing(vendors, mail, THEIRS)
                writes += await self.sync(hub, vendors)
                writes += await self.sync(hub, vendors)
            assert writes <= 4
            (conflict,) = hub.conflicts("contacts")
            hub.resolve(conflict, "right")
            for _ in range(3):
                assert await self.sync(hub, vendors) == 0
            assert self.titles(vendors, mail) == (OURS, THEIRS)
            assert hub.conflicts("contacts") == []
