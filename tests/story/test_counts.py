"""What a run and a plan say of themselves: every figure and every word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.errors import GuardTripped
from connector_hub.model.job import Guard, Policy
from connector_hub.model.mapping import Rule
from connector_hub.sync import jobs
from connector_hub.sync.run import JobRun

from .conftest import Project, mapping


async def crowd(project: Project) -> None:
    """One record for each thing that can become of one."""
    project.maps["left"] = mapping(
        note=Rule(
            "note",
            "note",
            table={"ok": ("ok",), "go": ("go",)},
            bad="reject",
            other="reject",
        )
    )
    project.job = replace(
        project.job,
        direction="both",
        deletes_follow=True,
        guard=Guard(delete=9),
        fields={"phone": Policy("left")},
    )
    here = {
        n: project.left.person(email=f"{n}@x.org", name=n)
        for n in ("asks", "clears", "gone", "moves", "rests")
    }
    await project.sync()
    there = {r["name"]: i for i, r in project.right.rows.items()}
    project.left.person(here["asks"], name="mine")
    project.right.person(there["asks"], name="theirs")
    project.left.person(here["clears"], name=None)
    project.left.person(here["moves"], name="moved")
    project.right.person(there["rests"], phone="+628111111111")
    project.left.delete(here["gone"])
    project.left.person(email="new@x.org", name="new")
    for _ in range(2):
        project.left.person(email="twin@x.org", name="twin")
    project.left.person(email="bad@x.org", note="?")


async def planned(project: Project) -> JobRun:
    run = project.run(full=True)
    run.planning = True
    await jobs.plan(run)
    return run


async def test_a_plan_counts_everything_once(project: Project) -> None:
    await crowd(project)
    plan = (await planned(project)).plan
    assert plan.counts == {
        "create": 1,
        "update": 2,
        "delete": 1,
        "clear": 1,
        "unchanged": 2,
        "conflicts": 3,
        "dead_letters": 1,
        "blocked": 0,
        "stale": 0,
    }
    assert plan.read == 9
    assert plan.by_field == {"name": 2}
    assert plan.by_reason == {
        "changed at the source": 2,
        "new at the source": 1,
        "gone at the source": 1,
    }
    assert plan.writes == {
        "billing": {"people": {"create": 1, "update": 2, "delete": 1}}
    }


async def test_a_run_counts_everything_once(project: Project) -> None:
    await crowd(project)
    run = await project.sync(full=True)
    assert run.tally.outcomes == {
        "created": 1,
        "updated": 2,
        "deleted": 1,
        "unchanged": 1,
        "conflicts": 3,
        "dead_letters": 1,
    }
    assert (run.tally.new_conflicts, run.tally.new_letters, run.tally.new_stale) == (
        2,
        1,
        0,
    )
    again = await project.sync(full=True)
    assert (again.tally.new_conflicts, again.tally.new_letters) == (0, 0)
    assert again.tally.outcomes == {"unchanged": 5, "conflicts": 2, "dead_letters": 1}


async def test_a_first_meeting_says_why_it_writes(project: Project) -> None:
    project.left.person(email="a@x.org", name="A", note="n")
    project.right.person(email="a@x.org", name="A")
    plan = (await planned(project)).plan
    assert plan.by_reason == {"linked by identity": 1}
    assert plan.by_field == {"note": 1}


@pytest.mark.parametrize(
    ("guard", "said", "flag"),
    [
        (Guard(create=0), "create 1 records, its guard allows 0", ""),
        (Guard(update=1), "update 2 records, its guard allows 1", ""),
        (Guard(clear=0), "empty 1 fields, its guard allows 0", ""),
        (Guard(), "delete 1 records, its guard allows 0", " or pass --allow-deletes N"),
    ],
)
async def test_a_guard_says_what_it_refuses_and_how_to_allow_it(
    project: Project, guard: Guard, said: str, flag: str
) -> None:
    await crowd(project)
    project.job = replace(
        project.job, guard=replace(guard, delete=guard.delete if flag else 9)
    )
    before = project.right.writes
    with pytest.raises(GuardTripped) as told:
        await project.sync()
    assert told.value.message == f"job people would {said}"
    (name,) = [
        n
        for n in ("create", "update", "clear", "delete")
        if f"{{{n}:" in told.value.hint
    ]
    assert told.value.hint == (
        "see `connector-hub plan people --all`; if it is right, "
        f"raise `guard: {{{name}: ...}}` in hub.yaml{flag}"
    )
    assert project.right.writes == before
