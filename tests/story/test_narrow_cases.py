"""Guards that a single line keeps: each case here is one that nothing else would notice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from connector_hub.errors import PluginError
from connector_hub.model.conflict import FIELDS
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Guard, Policy
from connector_hub.model.link import spelled
from connector_hub.model.mapping import (
    Lookup,
    Rule,
    compile_mapping,
)
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.plan import Plan
from connector_hub.model.record import Edited, Page, Record
from connector_hub.model.transforms import Transforms
from connector_hub.sync import jobs, plans
from connector_hub.sync.lookups import read_tables
from connector_hub.sync.merging import Pair, merge_pair
from connector_hub.sync.run import JobRun

from .conftest import Project, mapping
from .test_undo import planned, reasons
from .vendor import Memory, World

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def both(project: Project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


async def kept(project: Project) -> tuple[JobRun, dict[str, Any]]:
    """A plan, and what is kept of it."""
    run = project.run()
    run.planning = True
    await jobs.plan(run)
    return run, jobs.plan_document(run)


async def applied(project: Project, plan: JobRun, document: dict[str, Any]) -> JobRun:
    run = project.run(allow_deletes=100)
    run.plan.id = plan.plan.id
    await jobs.apply(run, document, lambda: None)
    assert sum(run.tally.outcomes.values()) == run.tally.read
    return run


class Timed:
    """When fields were edited, as the connectors of a project tell it; and who asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[str, datetime] = {}
        self.asked = 0

        async def edited(
            _: Memory, _resource: str, ids: Sequence[str], paths: Sequence[str]
        ) -> Mapping[str, Mapping[str, Edited]]:
            self.asked += 1
            told = {i: Edited(self.at[i], self.at[i]) for i in ids if i in self.at}
            return {i: dict.fromkeys(paths, e) for i, e in told.items()}

        monkeypatch.setattr(Memory, "edited", edited)


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> Timed:
    return Timed(monkeypatch)


async def test_what_a_person_decided_goes_before_the_times(
    both: Project, timed: Timed
) -> None:
    both.job = replace(both.job, fields={"note": Policy(both="newest")})
    a = both.left.person(email="a@x.org", note="x")
    b = both.right.person(email="a@x.org", note="x")
    await both.sync()
    both.left.person(a, note="mine")
    both.right.person(b, note="theirs")
    await both.sync()
    (conflict,) = both.store.conflicts("people")
    assert conflict.kind == FIELDS
    hub, seen = bytes.fromhex(conflict.detail["hub"]), conflict.detail["seen"]["note"]
    both.store.decide("people", hub, "note", "right", seen, both.clock.now())
    timed.at = {a: NOON, b: NOON - timedelta(hours=1)}
    both.left.person(a, phone="0812345678")
    await both.sync()
    assert (both.left.rows[a]["note"], both.right.rows[b]["note"]) == (
        "theirs",
        "theirs",
    )


async def test_the_later_edit_of_one_field_is_asked_for_where_both_moved_alone(
    both: Project, timed: Timed
) -> None:
    both.job = replace(both.job, fields={"*": Policy(both="newest", first="left")})
    a = both.left.person(email="a@x.org", name="A", note="x")
    both.right.person(email="a@x.org", name="B", note="x")
    await both.sync()
    assert timed.asked == 0
    both.left.person(a, note="y")
    await both.sync()
    assert timed.asked == 0


async def test_a_blank_is_not_the_later_edit_when_two_meet(
    both: Project, timed: Timed
) -> None:
    both.job = replace(both.job, fields={"note": Policy(first="newest")})
    a = both.left.person(email="a@x.org", note=None)
    b = both.right.person(email="a@x.org", note="theirs")
    timed.at = {a: NOON, b: NOON - timedelta(hours=1)}
    await both.sync()
    assert (both.left.rows[a]["note"], both.right.rows[b]["note"]) == (
        "theirs",
        "theirs",
    )
    assert timed.asked == 0


@pytest.mark.parametrize("hidden_at", ["left", "right"])
async def test_a_value_that_comes_out_of_hiding_empties_nothing(
    both: Project, hidden_at: str
) -> None:
    """A condition begins to hold with what the other side writes; the value behind it fills a blank there."""
    bound = Rule("note", "note", when={"name": ("ID",)})
    both.maps[hidden_at] = mapping(note=bound)
    here, there = both.left, both.right
    if hidden_at == "right":
        here, there = there, here
    h = here.person(email="a@x.org", name="SG", note="kept")
    t = there.person(email="a@x.org", name="SG", note=None)
    await both.sync()
    there.person(t, name="ID")
    run = await both.sync()
    assert (here.rows[h]["name"], there.rows[t]["note"]) == ("ID", "kept")
    assert run.plan.count("clear") == 0


def test_a_default_that_somebody_typed_is_a_value() -> None:
    entity = Entity("person", {"note": FieldSpec("note", "text")})
    spokes = tuple(
        compile_mapping(
            Spec("person", "memory", "people", {"note": rule}), entity, Transforms()
        )
        for rule in (Rule("note", "note"), Rule("note", "note", default="none"))
    )
    both = ({"note": None}, {"note": "none"})
    policies = {"note": Policy()}

    def merged(moved: Any) -> tuple[str, ...]:
        pair = Pair(both, ({}, {}), moved, based={"note"})
        return merge_pair(policies, (spokes[0], spokes[1]), pair, {}).left

    assert merged((frozenset(), frozenset())) == ()
    assert merged((frozenset(), frozenset({"note"}))) == ("note",)


class Busy(World):
    """A person edits each record between the hub's write and its read-back."""

    def meet(self, call: str) -> Any:
        if call == "fetch" and self.calls and self.calls[-1].startswith("write"):
            for record in list(self.rows):
                self.person(record, note="edited at once")
        return super().meet(call)


@pytest.mark.parametrize("there", [False, True])
async def test_an_undo_keeps_what_was_edited_before_it_was_read_back(
    project: Project, *, there: bool
) -> None:
    """It holds what the journal knows, and yet not what the run wrote."""
    project.left.person(email="a@x.org", name="A", note="ours")
    project.right = Busy("b")
    if there:
        project.right.person(email="a@x.org", name="A", note="before")
    first = await project.sync()
    (b,) = project.right.rows
    assert project.right.rows[b]["note"] == "edited at once"
    _, changes = await planned(project, first.number)
    assert reasons(changes) == {
        b: "changed since" if there else "edited since it was created"
    }
    assert [(c.action, c.to_right) for c in changes] == [("keep", ("note",))]


async def test_a_plan_archives_the_copy_of_who_is_still_there(project: Project) -> None:
    """Who left the scope has not gone: his own record is as the plan saw it."""
    project.job = replace(
        project.job, only={"note": ("vip",)}, leaving="delete", guard=Guard(delete=5)
    )
    a = project.left.person(email="a@x.org", name="A", note="vip")
    await project.sync()
    project.left.person(a, note="no")
    plan, document = await kept(project)
    run = await applied(project, plan, document)
    assert run.tally.outcomes == {"deleted": 1}
    assert (project.right.rows, list(project.left.rows)) == ({}, [a])


async def test_a_plan_creates_nothing_that_has_its_record_key_by_now(
    project: Project,
) -> None:
    """Another state has created it meanwhile; nobody can tell by anything else who it is."""
    project.left.person(email="a@x.org", name="A")
    plan, document = await kept(project)
    ((_, (change,)),) = project.store.windows("people", plan.plan.id)
    twin = project.right.person(email="other@x.org", name="Other")
    project.right.keys[twin] = spelled(change.hub)
    run = await applied(project, plan, document)
    assert run.tally.outcomes == {"stale": 1}
    assert list(project.right.rows) == [twin]


class Circle:
    """A vendor whose second page says that the first comes next."""

    name = "circle"
    asked = 0

    async def read(
        self, _resource: str, _feed: str, at: str | None, _want: Any
    ) -> Page:
        self.asked += 1
        assert self.asked < 9, "nobody goes round for ever"
        return Page([Record(at or "1", {"name": "A"})], next="2" if at != "2" else "1")


async def test_pages_of_a_lookup_that_run_in_a_circle_are_the_plugins_fault() -> None:
    rule = Rule("owner", "owner", lookup=Lookup("users", "name"))
    spec = Spec("person", "circle", "people", {"owner": rule})
    circle: Any = Circle()
    with pytest.raises(PluginError, match="users run in a circle") as told:
        await read_tables(circle, [spec])
    assert told.value.where == "circle"


@pytest.mark.parametrize(
    ("sets_off", "kept_still", "told"),
    [
        ((), (), []),
        (("flows",), (), [{"run": ["flows"], "kept_still": []}]),
        ((), ("mails",), [{"run": [], "kept_still": ["mails"]}]),
    ],
)
def test_a_plan_tells_of_automations_where_there_are_any(
    project: Project, sets_off: Any, kept_still: Any, told: list[dict[str, Any]]
) -> None:
    run = project.run()
    resource = replace(
        run.right.resource, sets_off=sets_off, kept_still=kept_still, billed="a seat"
    )
    there = SimpleNamespace(
        connection="billing", place=lambda _: SimpleNamespace(resource=resource)
    )
    plan = Plan("p", "people", "person", "sales", "billing")
    plan.writes = {
        "billing": {"people": {"create": 2, "update": 1}, "firms": {"update": 1}}
    }
    asked: Any = SimpleNamespace(plan=plan, sides=(there,))
    plans.look_out(asked)
    at = {"connection": "billing"}
    assert plan.automations == [
        {**at, "resource": name, **t} for name in ("people", "firms") for t in told
    ]
    assert plan.billed == [
        {**at, "resource": "people", "records": 2, "counts_for": "a seat"}
    ]


def test_only_runs_that_write_settle_what_a_plan_saw(project: Project) -> None:
    store, now = project.store, project.clock.now()
    first = store.begin_run("people", "plan", now)
    for kind in ("plan", "undo", "sync", "apply"):
        run = store.begin_run("people", kind, now)
        store.end_run(
            run, {"sync": "done", "apply": "partial"}.get(kind, kind), {}, now
        )
    assert store.ended_since("people", first, 100) == {"done", "partial"}
    assert store.ended_since("people", first + 3, 100) == {"partial"}
    assert store.ended_since("people", first, first + 4) == {"done"}
    assert store.ended_since("other", first, 100) == set()
