"""One reference of a vendor's that several link fields are kept in, over several runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import LinkRule, Mapping, Rule
from connector_hub.model.record import Ref
from connector_hub.sync.run import Route

from .conftest import Project

TASK = Entity(
    "task",
    {
        "subject": FieldSpec("subject", "text"),
        "deal": FieldSpec("deal", "link", to="deal"),
        "company": FieldSpec("company", "link", to="company"),
    },
    (("subject",),),
)
APART = Mapping(
    "task",
    "memory",
    "people",
    {
        "subject": Rule("subject", "subject"),
        "deal": Rule("deal", link=LinkRule("deal")),
        "company": Rule("company", link=LinkRule("firm")),
    },
)


def one(*, typed: bool) -> Mapping:
    """The mapping of a vendor that keeps both links in ``what``."""

    def link(word: str) -> LinkRule:
        if not typed:
            return LinkRule("what")
        return LinkRule("what", type="kind", is_=(word,), write_type=True)

    rules = {
        "deal": Rule("deal", link=link("Deal")),
        "company": Rule("company", link=link("Firm")),
    }
    return replace(APART, rules={**APART.rules, **rules})


@pytest.fixture(params=[True, False], ids=["typed", "untyped"])
def tasks(request, project) -> Project:
    project.entity = TASK
    project.job = replace(project.job, entity="task", direction="both")
    project.maps = {"left": APART, "right": one(typed=request.param)}
    project.routes = {
        "deal": Route("deals", ("deals",), ("deals",)),
        "company": Route("firms", ("firms",), ("firms",)),
    }
    for i, (resource, n) in enumerate([("deals", 2), ("firms", 2)]):
        for k in range(n):
            hub = bytes([i, k]) * 8
            project.store.link(
                [
                    (
                        f"memory:{world.name}",
                        resource,
                        f"{world.name}-{resource}{k}",
                        hub,
                    )
                    for world in (project.left, project.right)
                ]
            )
    return project


def writes(project: Project) -> int:
    return project.left.writes + project.right.writes


async def quiet(project: Project) -> None:
    before = writes(project)
    await project.sync()
    await project.sync(full=True)
    assert writes(project) == before


def told(project: Project, record: str) -> tuple[str | None, str | None]:
    row = project.right.rows[record]
    return row.get("what"), row.get("kind")


async def test_a_reference_is_of_the_field_that_its_type_names(tasks):
    b = tasks.right.person(subject="call", what="b-firms1", kind="Firm")
    await tasks.sync()
    (row,) = tasks.left.rows.values()
    assert (row["firm"], row.get("deal")) == ("a-firms1", None)
    await quiet(tasks)
    tasks.right.person(b, what="b-deals0", kind="Deal")
    await tasks.sync()
    assert (row["firm"], row["deal"]) == (None, "a-deals0")
    await quiet(tasks)


async def test_what_one_field_clears_another_keeps(tasks):
    a = tasks.left.person(subject="call", firm="a-firms0")
    await tasks.sync()
    (b,) = tasks.right.rows
    assert tasks.right.rows[b]["what"] == "b-firms0"
    tasks.left.person(a, firm=None, deal="a-deals1")
    await tasks.sync()
    assert tasks.right.rows[b]["what"] == "b-deals1"
    await quiet(tasks)
    tasks.left.person(a, deal=None)
    await tasks.sync()
    assert told(tasks, b) == (None, None)
    await quiet(tasks)


async def test_a_clear_that_meets_anothers_new_reference_does_not_wipe_it(tasks):
    a = tasks.left.person(subject="call", firm="a-firms0")
    await tasks.sync()
    (b,) = tasks.right.rows
    tasks.left.person(a, firm=None)
    tasks.right.person(b, what="b-deals1", kind="Deal")
    await tasks.sync()
    assert tasks.right.rows[b]["what"] == "b-deals1"
    assert tasks.left.rows[a]["deal"] == "a-deals1"
    await quiet(tasks)


async def test_two_that_cannot_both_be_said_are_told_and_neither_side_loses_one(tasks):
    a = tasks.left.person(subject="call", firm="a-firms0", deal="a-deals0")
    run = await tasks.sync()
    assert run.tally.unreadable == {"company": 1}
    (b,) = tasks.right.rows
    assert tasks.right.rows[b]["what"] == "b-deals0"
    await quiet(tasks)
    assert tasks.left.rows[a]["firm"] == "a-firms0"
    tasks.left.person(a, deal=None)
    await tasks.sync()
    assert tasks.right.rows[b]["what"] == "b-firms0"
    await quiet(tasks)


async def test_a_link_that_is_added_does_not_push_the_first_one_out(tasks):
    a = tasks.left.person(subject="call", deal="a-deals0")
    await tasks.sync()
    (b,) = tasks.right.rows
    tasks.left.person(a, firm="a-firms1")
    run = await tasks.sync()
    assert run.tally.unreadable == {"company": 1}
    assert tasks.right.rows[b]["what"] == "b-deals0"
    await quiet(tasks)
    tasks.left.person(a, deal=None)
    await tasks.sync()
    assert tasks.right.rows[b]["what"] == "b-firms1"
    assert tasks.left.rows[a]["firm"] == "a-firms1"
    await quiet(tasks)


async def test_a_link_of_the_first_field_pushes_the_other_out_on_one_side_only(tasks):
    a = tasks.left.person(subject="call", firm="a-firms1")
    await tasks.sync()
    (b,) = tasks.right.rows
    tasks.left.person(a, deal="a-deals0")
    await tasks.sync()
    assert tasks.right.rows[b]["what"] == "b-deals0"
    await quiet(tasks)
    assert tasks.left.rows[a] == {
        "subject": "call",
        "firm": "a-firms1",
        "deal": "a-deals0",
    }


async def test_a_reference_to_what_is_not_linked_yet_follows_later(tasks):
    b = tasks.right.person(subject="call", what="b-firms9", kind="Firm")
    await tasks.sync()
    (row,) = tasks.left.rows.values()
    assert row.get("firm") is None
    hub = b"9" * 16
    tasks.store.link([("memory:a", "firms", "a-firms9", hub)])
    tasks.store.link([("memory:b", "firms", "b-firms9", hub)])
    await tasks.sync()
    assert row["firm"] == "a-firms9"
    assert tasks.right.rows[b]["what"] == "b-firms9"
    await quiet(tasks)


def test_a_type_that_nobody_told_says_nothing():
    from connector_hub.adapters.transforms import transforms  # noqa: PLC0415
    from connector_hub.model.mapping import compile_mapping  # noqa: PLC0415

    spoke = compile_mapping(one(typed=True), TASK, transforms())

    def view(**row):
        return spoke.view(spoke.raws(row, {}))[0]

    assert view(what="1", kind=None) == {}
    assert view(what=None, kind="Deal") == {"deal": None, "company": None}
    assert view(what="1", kind="Deal") == {"deal": Ref("", "1"), "company": None}
    assert view(what="1", kind="Lead") == {"deal": None, "company": None}
