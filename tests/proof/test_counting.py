"""The outcomes of every run add up, or it has failed and says so; one that read nothing says that, too."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.errors import HubError, Unaccounted, Unavailable
from connector_hub.hub import Hub
from connector_hub.model.job import Guard
from connector_hub.model.plan import Plan, Receipt
from connector_hub.sync import jobs, mending, undoing
from connector_hub.sync.run import JobRun, Options, Tally
from tests.conftest import LONG, Opener, Vendors
from tests.story.conftest import Project
from tests.story.vendor import World

MAILS = [f"{i}@x.org" for i in range(5)]
VALUES = ["a", "b", "bad", None]


@pytest.fixture
def project() -> Project:
    return two_way()


def two_way(**more: Any) -> Project:
    made = Project()
    made.job = replace(made.job, direction="both", guard=Guard(delete=99), **more)
    return made


async def plan(project: Project) -> tuple[JobRun, dict[str, Any]]:
    """A plan that is kept, and its document."""
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    return run, jobs.plan_document(run)


def under(project: Project, planned: JobRun) -> JobRun:
    """A run that carries a plan out."""
    run = project.run()
    run.plan = Plan(planned.plan.id, "people", "person", "sales", "billing")
    run.plan.undoes = planned.plan.undoes
    return run


async def apply(project: Project) -> JobRun:
    planned, document = await plan(project)
    run = under(project, planned)
    await jobs.apply(run, document, lambda: None)
    return run


async def undo(project: Project, number: int) -> JobRun:
    planned = project.run()
    planned.planning = True
    await undoing.plan_undo(planned, number, [])
    run = under(project, planned)
    await undoing.apply_undo(run, jobs.plan_document(planned), lambda: None)
    return run


async def replay(project: Project) -> JobRun:
    for side in ("left", "right"):
        letters = project.store.letters("people")
        rows = [(d.record, "replay") for d in letters if d.side == side]
        project.store.look_again("people", side, rows)
    return await project.sync(inbox_only=True)


async def mend(project: Project) -> None:
    (letter,) = project.store.letters("people")
    await mending.mend(project.run(), letter, {"name": "c"})


class Story:
    """Everything that people, vendors and the hub may do, one after the other."""

    def __init__(self, *, follow: bool, scoped: bool) -> None:
        more: dict[str, Any] = {"deletes_follow": follow}
        if scoped:
            more["only"] = {"name": ("a", "b")}
        self.project = two_way(**more)
        for world in self.worlds:
            world.refuses = {"bad"}
        self.runs = 0

    @property
    def worlds(self) -> tuple[World, World]:
        return self.project.left, self.project.right

    def comes(self, side: int, mail: str, name: Any) -> None:
        self.worlds[side].person(email=mail, name=name)

    def edits(self, side: int, n: int, name: Any) -> None:
        rows = sorted(self.worlds[side].rows)
        if rows:
            self.worlds[side].person(rows[n % len(rows)], name=name)

    def goes(self, side: int, n: int) -> None:
        rows = sorted(self.worlds[side].rows)
        if rows:
            self.worlds[side].delete(rows[n % len(rows)])

    async def runs_it(self, kind: str, n: int) -> None:
        p = self.project
        try:
            match kind:
                case "sync":
                    run = await p.sync()
                case "full":
                    run = await p.sync(full=True)
                case "limit":
                    run = await p.sync(full=True, limit=n % 3)
                case "apply":
                    run = await apply(p)
                case "undo":
                    run = await undo(p, 1 + n % max(self.runs, 1))
                case _:
                    run = await replay(p)
        except Unaccounted:
            raise
        except HubError:
            return
        self.runs = run.number
        told = run.tally.document()
        assert sum(told.values()) == run.tally.read


JOBS = st.fixed_dictionaries({"follow": st.booleans(), "scoped": st.booleans()})
SIDES, SOME = st.integers(0, 1), st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.just("comes"), SIDES, st.sampled_from(MAILS), st.sampled_from(VALUES)),
    st.tuples(st.just("edits"), SIDES, SOME, st.sampled_from(VALUES)),
    st.tuples(st.just("goes"), SIDES, SOME),
    st.tuples(
        st.just("runs_it"),
        st.sampled_from(["sync", "full", "limit", "apply", "undo", "replay"]),
        SOME,
    ),
)


@settings(max_examples=2_000 if LONG else 60, deadline=None, derandomize=not LONG)
@given(JOBS, st.lists(STEPS, max_size=25))
def test_in_whatever_story_every_record_has_one_outcome(
    job: dict[str, bool], steps: list[Any]
) -> None:
    story = Story(**job)

    async def tell() -> None:
        for name, *args in [*steps, ("runs_it", "sync", 0), ("runs_it", "full", 0)]:
            done = getattr(story, name)(*args)
            if done is not None:
                await done

    asyncio.run(tell())
    story.project.store.close()


def loses(monkeypatch: pytest.MonkeyPatch, outcome: str) -> None:
    """The hub loses a record of this outcome: a fault such as a wrong branch."""
    add = Tally.add

    def wrong(self: Tally, told: str, n: int = 1) -> None:
        add(self, told, n - (told == outcome and n > 0))

    monkeypatch.setattr(Tally, "add", wrong)


@pytest.mark.parametrize("outcome", ["created", "updated", "unchanged", "dead_letters"])
async def test_a_record_without_an_outcome_fails_the_run(
    project: Project, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    project.right.refuses = {"bad"}
    project.left.person(email="0@x.org", name="old")
    same = project.left.person(email="1@x.org", name="old")
    assert same
    await project.sync()
    for mail in ("2@x.org", "3@x.org"):
        project.left.person(email=mail, name="new")
    project.left.person("a1", name="new")
    project.left.person(email="4@x.org", name="bad")
    kept = project.store.cursor("people", "left", "changed")
    with monkeypatch.context() as wrong:
        loses(wrong, outcome)
        with pytest.raises(Unaccounted, match="does not add up"):
            await project.sync(full=True)
    assert project.store.cursor("people", "left", "changed") == kept
    run = await project.sync(full=True)
    assert len(project.right.rows) == 4, "what was written is not written again"
    assert run.tally.outcomes["dead_letters"] == 1


@pytest.mark.parametrize("what", ["apply", "undo", "replay", "mend"])
async def test_no_kind_of_run_hides_a_record(
    project: Project, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    project.right.refuses = {"bad"}
    project.left.person(email="0@x.org", name="a")
    first = await project.sync()
    project.left.person(email="1@x.org", name="b")
    if what in {"replay", "mend"}:
        project.left.person(email="2@x.org", name="bad")
        await project.sync()
    lost = {"apply": "created", "undo": "deleted", "replay": "dead_letters"}
    with monkeypatch.context() as wrong:
        loses(wrong, lost.get(what, "updated"))
        runs = {
            "apply": lambda: apply(project),
            "undo": lambda: undo(project, first.number),
            "replay": lambda: replay(project),
            "mend": lambda: mend(project),
        }
        with pytest.raises(Unaccounted):
            await runs[what]()


class TestThroughTheHub:
    """What people are told."""

    @pytest.fixture
    def people(self) -> int:
        return 30

    async def test_the_receipt_of_such_a_run_says_failed_and_both_numbers(
        self, opened: Opener, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with opened() as hub:
            await hub.sync("companies")
            with monkeypatch.context() as wrong:
                loses(wrong, "created")
                with pytest.raises(Unaccounted) as told:
                    await hub.sync("contacts")
            assert told.value.exit_code == 1
            receipt = told.value.receipt
            assert isinstance(receipt, Receipt)
            assert (receipt.status, receipt.read, receipt.created) == ("failed", 30, 29)
            assert "30 records were looked at, 29 have an outcome" in str(told.value)
            assert hub.runs("contacts")[0]["document"]["error"]["code"] == "Unaccounted"
            again = await hub.sync("contacts")
            assert (again.status, again.created, again.read) == ("done", 0, 30)

    async def emptied(
        self, hub: Hub, vendors: Vendors, left: int
    ) -> dict[str, dict[str, Any]]:
        """The hub's user may see only some contacts from now on; those it does not see any more."""
        await hub.sync("companies")
        await hub.sync("contacts")
        for s in vendors.values():
            s.clock.advance(600)
        objects = vendors["sales"].portal.objects["contacts"]  # type: ignore[attr-defined]
        hidden = dict(list(objects.rows.items())[left:])
        for record in hidden:
            del objects.rows[record]
        return hidden

    @pytest.mark.parametrize("left", [0, 14])
    async def test_a_pass_that_shows_far_too_few_records_says_so_and_deletes_nobody(
        self, opened: Opener, vendors: Vendors, left: int
    ) -> None:
        keys = {"deletes": "{follow: true}", "guard": "{delete: 100}"}
        async with opened("both", **keys) as hub:
            hidden = await self.emptied(hub, vendors, left)
            many = f"only {left} records" if left else "no record"
            said = f"sales: all was read, and {many} came where 30 are linked"
            plan = await hub.plan("contacts", options=Options(full=True))
            assert said in plan.notes[0]
            assert said in plan.document()["notes"][0]
            receipt = await hub.sync("contacts", options=Options(full=True))
            assert said in receipt.document()["notes"][0]
            assert receipt.deleted == 0
            assert len(vendors["billing"].live("Contact")) == 30
            objects = vendors["sales"].portal.objects["contacts"]  # type: ignore[attr-defined]
            objects.rows.update(hidden)
            receipt = await hub.sync("contacts", options=Options(full=True))
            assert (receipt.notes, receipt.read) == ((), 30)
            assert sum(receipt.writes.values()) == 0, "nobody is there twice"

    async def test_what_was_edited_while_nothing_came_is_not_missed(
        self, opened: Opener, vendors: Vendors
    ) -> None:
        sales = vendors["sales"]
        async with opened("both") as hub:
            hidden = await self.emptied(hub, vendors, 0)
            row = next(iter(hidden))
            objects = sales.portal.objects["contacts"]  # type: ignore[attr-defined]
            objects.rows.update(hidden)
            body = {"id": row, "properties": {"jobtitle": "Edited"}}
            sales.edit("contacts", body)
            hidden = dict(objects.rows)
            objects.rows.clear()
            for s in vendors.values():
                s.clock.advance(600)
            await hub.sync("contacts", options=Options(full=True))
            objects.rows.update(hidden)
            for s in vendors.values():
                s.clock.advance(600)
            receipt = await hub.sync("contacts")
            assert receipt.updated == 1
            titles = {r["Title"] for r in vendors["billing"].live("Contact")}
            assert "Edited" in titles


async def test_a_handful_that_is_gone_is_told_and_believed(project: Project) -> None:
    for mail in MAILS:
        project.left.person(email=mail, name="a")
    await project.sync()
    for record in list(project.left.rows):
        project.left.delete(record)
    run = await project.sync(full=True)
    assert run.notes == ["sales: all was read, and no record came where 5 are linked"]
    assert run.thin == set()


async def test_deletes_of_a_side_that_fell_silent_wait_for_a_yes(
    project: Project,
) -> None:
    project.job = replace(project.job, deletes_follow=True)
    for i in range(20):
        project.left.person(email=f"{i}@x.org", name="a")
    await project.sync()
    await project.sync()
    for record in list(project.left.rows):
        project.left.delete(record)
    run = await project.sync(full=True)
    assert run.thin == {"left"}
    assert len(project.right.rows) == 20
    run = await project.sync(full=True, allow_deletes=20)
    assert run.tally.outcomes["deleted"] == 20
    assert project.right.rows == {}


async def test_an_ordinary_full_pass_has_nothing_to_tell(project: Project) -> None:
    for i in range(20):
        project.left.person(email=f"{i}@x.org", name="a")
    await project.sync()
    for record in list(project.left.rows)[:10]:
        project.left.delete(record)
    run = await project.sync(full=True)
    assert (run.notes, run.thin) == ([], set())


async def test_a_run_that_fails_for_another_reason_is_told_for_that(
    project: Project,
) -> None:
    project.left.person(email="0@x.org", name="a")
    project.right.weather = [None, *[Unavailable("down")] * 9]
    with pytest.raises(Unavailable):
        await project.sync()
