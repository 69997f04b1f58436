"""Records that a vendor refuses: each is one dead letter, and the others do not know it.

A vendor may refuse them one by one, or a whole call because of one of them.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import PluginError, Rejected
from connector_hub.sync import jobs
from connector_hub.sync.run import JobRun, Options
from tests.conftest import LONG, Opener, Vendors
from tests.story.conftest import Project, mapping
from tests.story.vendor import Memory

SIZE = 10_000 if LONG else 1_000
POISON = "poison"


@pytest.fixture
def project() -> Project:
    return Project()


def people(project: Project, n: int, poisoned: set[int]) -> None:
    for i in range(n):
        note = POISON if i in poisoned else f"n{i}"
        project.left.person(f"a{i:05}", email=f"p{i}@x.org", name=f"P{i}", note=note)
    project.right.refuses = {POISON}


def whole(project: Project) -> None:
    """The vendor refuses a call in which it would refuse any row, and does none of it."""

    def before(writes: Any) -> None:
        project.right.calls.append("asked")
        if any(POISON in w.fields.values() for w in writes):
            raise Rejected("refused", reason="BAD")

    project.right.before_write = before


def asked(project: Project) -> int:
    """Write calls that reached the right vendor."""
    calls = project.right.calls
    return calls.count("asked") or sum(c.startswith("write") for c in calls)


def sound(project: Project, n: int, poisoned: set[int]) -> None:
    """Who is not poisoned is there, once, exactly as told."""
    wanted = [
        {"email": f"p{i}@x.org", "name": f"P{i}", "note": f"n{i}"}
        for i in range(n)
        if i not in poisoned
    ]
    held = [
        {k: v for k, v in row.items() if v is not None}
        for row in project.right.rows.values()
    ]
    key = repr
    assert sorted(held, key=key) == sorted(wanted, key=key)


async def replay(project: Project) -> JobRun:
    """As ``dead-letters replay``."""
    rows = [(d.record, "replay") for d in project.store.letters("people")]
    project.store.look_again("people", "left", rows)
    return await project.sync(inbox_only=True)


@pytest.mark.parametrize("vendor", [None, whole])
async def test_one_in_a_hundred_is_refused_and_all_others_are_as_they_should_be(
    project: Project, vendor: Any
) -> None:
    poisoned = set(range(7, SIZE, 100))
    people(project, SIZE, poisoned)
    if vendor:
        vendor(project)
    run = await project.sync()
    told = {"created": SIZE - len(poisoned), "dead_letters": len(poisoned)}
    assert dict(run.tally.outcomes) == told
    sound(project, SIZE, poisoned)
    letters = project.store.letters("people")
    assert {d.record for d in letters} == {f"a{i:05}" for i in poisoned}
    assert {(d.reason, d.op) for d in letters} == {("BAD", "create")}

    before = asked(project), project.right.writes
    again = await project.sync(full=True)
    assert again.tally.outcomes["dead_letters"] == len(poisoned)
    assert (asked(project), project.right.writes) == before, "nothing is sent again"
    assert project.store.letters("people") == letters

    project.maps = {s: mapping(note=None) for s in ("left", "right")}
    run = await replay(project)
    assert run.tally.outcomes["created"] == len(poisoned)
    assert project.store.letters("people") == []
    assert len(project.right.rows) == SIZE


@pytest.mark.parametrize("n", [2, 3, 64, 1000])
async def test_one_among_many_is_found_in_twice_their_logarithm(
    monkeypatch: pytest.MonkeyPatch, n: int
) -> None:
    ways = tuple(replace(w, rows=n) for w in Memory.resources[0].ways)
    monkeypatch.setattr(Memory, "resources", (replace(Memory.resources[0], ways=ways),))
    places = range(n) if n < 10 or (LONG and n < 100) else {0, 1, n // 2, n // 3, n - 1}
    for place in sorted(places):
        project = Project()
        people(project, n, {place})
        whole(project)
        run = await project.sync()
        assert run.tally.outcomes == {"created": n - 1, "dead_letters": 1}
        sound(project, n, {place})
        assert asked(project) - 1 <= 2 * math.log2(n), f"at {place}"


async def test_where_all_are_refused_each_is_asked_about_once(project: Project) -> None:
    people(project, 64, set(range(64)))
    whole(project)
    run = await project.sync()
    assert run.tally.outcomes == {"dead_letters": 64}
    assert asked(project) <= 2 * 64 - 1
    assert project.right.writes == 0


async def test_two_that_do_not_go_together_go_one_after_the_other(
    project: Project,
) -> None:
    people(project, 16, set())

    def before(writes: Any) -> None:
        if {"n3", "n12"} <= {w.fields.get("note") for w in writes}:
            raise Rejected("not both at once")

    project.right.before_write = before
    run = await project.sync()
    assert run.tally.outcomes == {"created": 16}
    sound(project, 16, set())


async def test_an_update_that_is_refused_leaves_the_record_as_it_was(
    project: Project,
) -> None:
    people(project, 100, set())
    await project.sync()
    for i in range(100):
        note = POISON if i == 42 else f"new {i}"
        project.left.person(f"a{i:05}", note=note)
    whole(project)
    run = await project.sync()
    assert run.tally.outcomes == {"updated": 99, "dead_letters": 1}
    held = {r["email"]: r["note"] for r in project.right.rows.values()}
    assert held == {f"p{i}@x.org": "n42" if i == 42 else f"new {i}" for i in range(100)}
    project.left.person("a00042", note="healed")
    run = await project.sync()
    assert run.tally.outcomes == {"updated": 1}
    assert project.store.letters("people") == []


async def test_a_value_that_no_json_has_is_the_plugins_mistake(
    project: Project,
) -> None:
    a = project.left.person(email="a@x.org", name="A", note=object())
    with pytest.raises(PluginError, match="holds a object, which no vendor's JSON can"):
        await jobs.sync(project.run())
    project.left.person(a, note="n")
    await project.sync()
    project.left.person(a, note=object())
    with pytest.raises(PluginError, match="a value of note ") as told:
        await jobs.sync(project.run())
    assert told.value.where == "job people, left"


class TestThroughTheSandboxes:
    """HubSpot's people to Salesforce, which takes 128 characters of a title."""

    POISONED = 3

    @pytest.fixture
    def people(self) -> int:
        return 120

    async def test_refused_records_wait_and_are_replayed_after_a_fix(
        self, opened: Opener, vendors: Vendors, tmp_path: Any
    ) -> None:
        sales, billing = vendors["sales"], vendors["billing"]
        rows = sales.live("contacts")
        sick = rows[5::45]
        assert len(sick) == self.POISONED
        for row in sick:
            change = {"jobtitle": "x" * 129}
            sales.edit("contacts", {"id": row["id"], "properties": change})
        async with opened() as hub:
            await hub.sync("companies")
            receipt = await hub.sync("contacts")
            assert (receipt.status, receipt.dead_letters) == ("partial", self.POISONED)
            assert receipt.created == len(rows) - self.POISONED
            held = {r["Email"] for r in billing.live("Contact")}
            ill = {r["properties"]["email"] for r in sick}
            assert held == {r["properties"]["email"] for r in rows} - ill
            before = sum(n for r, n in billing.calls.items() if "sobjects" in r)
            again = await hub.sync("contacts", options=Options(full=True))
            assert (again.status, again.dead_letters) == ("done", self.POISONED)
            after = sum(n for r, n in billing.calls.items() if "sobjects" in r)
            assert after == before, "nothing is sent for them"
        folder = tmp_path / "mappings" / "contact"
        folder.mkdir(parents=True)
        fix = "{path: properties.salutation, via: [trim]}"
        (folder / "hubspot.yaml").write_text(
            "entity: contact\nconnector: hubspot\nresource: contacts\n"
            f"extends: shipped\nfields:\n  title: {fix}\n"
        )
        async with opened() as hub:
            receipt = await hub.replay("contacts")
            assert (receipt.status, receipt.created) == ("done", self.POISONED)
            assert hub.dead_letters() == []
            assert len(billing.live("Contact")) == len(rows)
