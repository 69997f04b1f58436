"""A run is undone: both sides as they were, the rest listed, and rest afterwards."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import Exists, GuardTripped, Missing, Stale
from connector_hub.model.job import SIDES, Guard, Policy, Side
from connector_hub.model.journal import Entry
from connector_hub.model.mapping import ABSENT, Rule
from connector_hub.model.plan import Change
from connector_hub.sync import jobs, journal, undoing
from connector_hub.sync.run import JobRun

from .conftest import Project, mapping
from .test_crash import (
    Killed,
    Mine,
    build,
    bury_store,
    edit,
    mine_store,
    mine_vendor,
)
from .vendor import Memory


@pytest.fixture
def both(project: Project) -> Project:
    project.job = replace(project.job, direction="both")
    return project


Rows = dict[str, dict[str, Any]]


def rows(project: Project) -> tuple[Rows, Rows]:
    """What both sides hold; a field that is not there is a blank one."""
    left, right = (
        {
            i: {n: v for n, v in row.items() if v not in {None, ""}}
            for i, row in w.rows.items()
        }
        for w in (project.left, project.right)
    )
    return left, right


async def planned(project: Project, number: int) -> tuple[JobRun, list[Change]]:
    """The plan that undoes a run, and all it says."""
    run = project.run()
    run.planning = True
    await undoing.plan_undo(run, number, ())
    windows = project.store.windows("people", run.plan.id)
    return run, [c for _, some in windows for c in some]


async def applied(project: Project, plan: JobRun, deletes: int = 100) -> JobRun:
    """The plan is carried out, in a run of its own."""
    run = project.run(allow_deletes=deletes)
    run.plan.id, run.plan.undoes = plan.plan.id, plan.plan.undoes
    document = jobs.plan_document(plan)
    await undoing.apply_undo(run, document, lambda: None)
    assert sum(run.tally.outcomes.values()) == run.tally.read
    return run


async def undone(project: Project, number: int) -> JobRun:
    plan, _ = await planned(project, number)
    return await applied(project, plan)


async def rests(project: Project) -> None:
    """Runs after an undo write nothing, whatever they look at."""
    before = project.left.writes + project.right.writes
    held = rows(project)
    await project.sync()
    await project.sync(full=True)
    assert project.left.writes + project.right.writes == before
    assert rows(project) == held


def reasons(changes: list[Change]) -> dict[str, str]:
    """Why records are kept, by id."""
    return {
        s.id: c.reason
        for c in changes
        if c.action == "keep" and (s := c.left or c.right)
    }


async def test_updates_are_put_back_as_the_vendor_had_them_and_rest(project):
    a = project.left.person(email="a@x.org", name="A", phone="0812-345-678")
    b = project.right.person(email=" A@x.org ", name="old ", phone=None, note="")
    before = rows(project)
    first = await project.sync()
    assert project.right.rows[b]["name"] == "A"
    run = await undone(project, first.number)
    assert run.tally.outcomes == {"updated": 1}
    assert rows(project) == before
    await rests(project)
    project.left.person(a, note="later")
    await project.sync()
    there = project.right.rows[b]
    assert (there["note"], there["name"]) == ("later", "old ")
    project.left.person(a, name="A2")
    await project.sync()
    assert there["name"] == "A2"


async def test_what_was_created_is_archived_and_not_made_again(project):
    a = project.left.person(email="a@x.org", name="A")
    before = rows(project)
    first = await project.sync()
    run = await undone(project, first.number)
    assert run.tally.outcomes == {"deleted": 1}
    assert rows(project) == before
    await rests(project)
    project.left.person(a, name="B")
    await project.sync()
    assert project.right.rows == {}


async def test_a_two_way_run_is_undone_on_both_sides(both):
    a = both.left.person(email="a@x.org", name="A", note=None)
    b = both.right.person(email="a@x.org", name=None, note="theirs")
    both.left.person(email="l@x.org", name="L")
    both.right.person(email="r@x.org", name="R")
    before = rows(both)
    first = await both.sync()
    assert len(both.left.rows) == len(both.right.rows) == 3
    run = await undone(both, first.number)
    assert run.tally.outcomes == {"updated": 1, "deleted": 2}
    assert rows(both) == before
    await rests(both)
    both.right.person(b, name="now")
    await both.sync()
    assert both.left.rows[a]["name"] == "now"
    assert both.left.rows[a]["note"] is None


async def test_a_later_run_is_undone_and_the_earlier_one_stays(both):
    a = both.left.person(email="a@x.org", name="A", note="n")
    await both.sync()
    (b,) = both.right.rows
    both.right.person(b, note="edited", phone="+6281234567890")
    both.left.person(a, name="B")
    before = rows(both)
    second = await both.sync()
    await undone(both, second.number)
    assert rows(both) == before
    await rests(both)


async def test_what_a_person_changed_since_is_left_alone_and_listed(project):
    a = project.left.person(email="a@x.org", name="A", note="n")
    b = project.right.person(email="a@x.org", name="old", note="old")
    first = await project.sync()
    project.right.person(b, note="mine")
    plan, changes = await planned(project, first.number)
    assert plan.plan.count("kept") == plan.plan.count("update") == 1
    assert reasons(changes) == {b: undoing.CHANGED}
    await applied(project, plan)
    there = project.right.rows[b]
    assert (there["name"], there["note"]) == ("old", "mine")
    assert project.left.rows[a]["note"] == "n"


async def test_an_edit_that_waits_to_travel_still_travels_after_an_undo(both):
    a = both.left.person(email="a@x.org", name="A", note="n")
    b = both.right.person(email="a@x.org", name="old", note="n")
    both.job = replace(both.job, fields={"name": Policy(first="left")})
    first = await both.sync()
    both.right.person(b, note="an edit")
    both.left.person(a, phone="+6281234567890")
    await undone(both, first.number)
    assert both.right.rows[b]["name"] == "old"
    await both.sync()
    assert both.left.rows[a]["note"] == "an edit"
    assert both.right.rows[b]["phone"] == "+6281234567890"
    assert (both.left.rows[a]["name"], both.right.rows[b]["name"]) == ("A", "old")


async def test_what_was_created_and_edited_since_stays(project):
    for n in "abc":
        project.left.person(email=f"{n}@x.org", name=n)
    first = await project.sync()
    a, b, _ = project.right.rows
    project.right.person(a, note="mine")
    project.right.person(b)
    plan, changes = await planned(project, first.number)
    assert reasons(changes) == {a: undoing.EDITED, b: undoing.EDITED}
    assert plan.plan.count("delete") == 1
    await applied(project, plan)
    assert set(project.right.rows) == {a, b}


async def test_deletes_of_an_undo_need_a_yes(project):
    project.left.person(email="a@x.org", name="A")
    first = await project.sync()
    plan, _ = await planned(project, first.number)
    run = project.run()
    run.plan.id, run.plan.undoes = plan.plan.id, plan.plan.undoes
    with pytest.raises(GuardTripped, match="delete 1"):
        await undoing.apply_undo(run, jobs.plan_document(plan), lambda: None)
    assert len(project.right.rows) == 1


async def test_archives_are_listed_with_what_they_held(project):
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    await project.sync()
    (b,) = project.right.rows
    project.left.delete(a)
    second = await project.sync()
    assert project.right.rows == {}
    plan, (change,) = await planned(project, second.number)
    assert plan.plan.empty
    assert (change.action, change.reason) == ("keep", undoing.ARCHIVED)
    assert change.seen("right").id == b
    assert "a@x.org" in change.image("right").raws


async def test_an_undo_is_undone(both):
    both.left.person(email="a@x.org", name="A", note=None)
    both.right.person(email="a@x.org", name="B", note="theirs")
    both.left.person(email="new@x.org", name="N")
    first = await both.sync()
    after = rows(both)
    undo = await undone(both, first.number)
    plan, changes = await planned(both, undo.number)
    (gone,) = reasons(changes).values()
    assert gone == undoing.ARCHIVED
    await applied(both, plan)
    left, right = rows(both)
    assert left == after[0]
    assert right == {i: r for i, r in after[1].items() if r["email"] != "new@x.org"}
    await rests(both)


async def test_undoing_twice_finds_nothing_left(project):
    project.left.person(email="a@x.org", name="A")
    project.left.person(email="b@x.org", name="B")
    project.right.person(email="b@x.org", name="old")
    first = await project.sync()
    await undone(project, first.number)
    plan, changes = await planned(project, first.number)
    assert changes == []
    assert plan.plan.count("unchanged") == plan.plan.read == 2


async def test_what_moved_after_the_undo_was_planned_is_stale(project):
    project.left.person(email="a@x.org", name="A")
    b = project.right.person(email="a@x.org", name="old")
    first = await project.sync()
    plan, _ = await planned(project, first.number)
    project.right.person(b, note="just now")
    run = await applied(project, plan)
    assert run.tally.outcomes == {"stale": 1}
    assert project.right.rows[b]["name"] == "A"


async def test_what_the_vendor_refuses_to_take_back_is_told(project):
    project.left.person(email="a@x.org", name="A")
    b = project.right.person(email="a@x.org", name="old")
    first = await project.sync()
    plan, _ = await planned(project, first.number)
    project.right.refuses = {"old"}
    run = await applied(project, plan)
    assert run.tally.outcomes == {"not_taken": 1}
    assert run.tally.new_stale == 1
    assert run.notes == [f"billing: {b} was not put back: refused BAD"]
    assert project.store.letters("people") == []
    project.right.refuses = set()
    project.right.shortens = 2
    run = await undone(project, first.number)
    assert run.notes == [f"billing: {b} did not take name back"]
    await rests(project)


async def test_after_the_mapping_was_mended_its_run_can_be_undone(project):
    project.left.person(email="a@x.org", name="A", note="n")
    project.left.person(email="n@x.org", name="New", note="n")
    project.right.person(email="a@x.org", name="old", note="old")
    before = rows(project)
    first = await project.sync()
    project.maps["right"] = mapping(name=Rule("name", "name", ("trim", "lower")))
    await undone(project, first.number)
    assert rows(project) == before


async def test_a_field_that_is_kept_elsewhere_now_is_listed(project):
    project.left.person(email="a@x.org", name="A", note="n")
    b = project.right.person(email="a@x.org", name="old", note="old")
    first = await project.sync()
    project.maps["right"] = mapping(name=Rule("name", "nickname"))
    _, changes = await planned(project, first.number)
    assert reasons(changes) == {b: undoing.ELSEWHERE}
    (back,) = [c for c in changes if c.action == "restore"]
    assert back.to_right == ("note",)


async def test_with_drift_put_back_an_undone_field_stays_undone(project):
    project.job = replace(project.job, fields={"*": Policy(revert=True)})
    a = project.left.person(email="a@x.org", name="A")
    b = project.right.person(email="a@x.org", name="old")
    first = await project.sync()
    await undone(project, first.number)
    project.left.person(a, note="other")
    await project.sync()
    assert project.right.rows[b]["name"] == "old"
    project.right.person(b, name="drift")
    await project.sync()
    assert project.right.rows[b]["name"] == "A"


async def test_an_open_conflict_outlives_an_undo(both):
    a = both.left.person(email="a@x.org", name="A", note="n")
    await both.sync()
    (b,) = both.right.rows
    both.left.person(a, name="L", note="new")
    both.right.person(b, name="R")
    second = await both.sync()
    assert len(both.store.conflicts("people")) == 1
    await undone(both, second.number)
    assert both.right.rows[b]["note"] == "n"
    assert len(both.store.conflicts("people")) == 1


@pytest.mark.parametrize("after", [False, True], ids=["unsent", "unanswered"])
async def test_a_run_that_died_is_undone_once_it_is_known_what_it_wrote(project, after):
    for n in range(3):
        project.left.person(email=f"{n}@x.org", name=f"N{n}")
        project.right.person(email=f"{n}@x.org", name="old")
    project.left.person(email="new@x.org", name="New")
    before = rows(project)

    fair = project.right.meet

    def meet(call: str) -> Any:
        if call == "write update":
            project.right.meet = fair
            if not after:
                raise Killed
            return ("lost", Killed())
        return fair(call)

    project.right.meet = meet
    run = project.run()
    with pytest.raises(Killed):
        await jobs.sync(run)
    undo = await undone(project, run.number)
    assert undo.tally.writes["billing"] == (4 if after else 1)
    assert rows(project) == before


@pytest.mark.parametrize("lost", [False, True], ids=["unsent", "unanswered"])
async def test_an_undo_that_died_is_taken_up_by_undoing_again(both, lost):
    for n in range(3):
        both.left.person(email=f"{n}@x.org", name=f"N{n}", note=None)
        both.right.person(email=f"{n}@x.org", name="old", note="n")
    both.job = replace(both.job, fields={"name": Policy(first="left")})
    before = rows(both)
    first = await both.sync()

    fair = both.right.meet

    def meet(call: str) -> Any:
        if call == "write update":
            both.right.meet = fair
            if not lost:
                raise Killed
            return ("lost", Killed())
        return fair(call)

    both.right.meet = meet
    plan, _ = await planned(both, first.number)
    with pytest.raises(Killed):
        await applied(both, plan)
    await undone(both, first.number)
    assert rows(both) == before
    await rests(both)


ENDS = {
    s: (f"memory:{a}", Side("", "people")) for s, a in zip(SIDES, "ab", strict=True)
}
POINTING = undoing.Pointing("others", "note", {s: s for s in SIDES}, ENDS)
"""Another job between the same sides, whose notes point to people."""


async def test_what_others_point_to_is_not_archived(project):
    project.left.person(email="firm@x.org", name="Firm")
    first = await project.sync()
    (firm,) = project.right.rows
    people = project.job
    project.job = replace(people, name="others")
    member = project.left.person(email="m@x.org", name="M", note=firm)

    def others() -> JobRun:
        run = project.run()
        for side in run.sides:
            side.bases.job = "others"
            side.bases.__post_init__()
        return run

    second = others()
    await jobs.sync(second)
    project.job = people
    run = project.run()
    run.planning = True
    await undoing.plan_undo(run, first.number, [POINTING])
    ((_, (kept,)),) = project.store.windows("people", run.plan.id)
    there = next(i for i, r in project.right.rows.items() if r.get("note") == firm)
    assert kept.reason == "records of job others point to it"
    project.right.delete(there)
    project.store.lose("memory:b", "people", [there])
    run = project.run()
    run.planning = True
    await undoing.plan_undo(run, first.number, [POINTING])
    assert run.plan.count("delete") == 1
    assert member in project.left.rows


@pytest.mark.parametrize("op", ["create", "update"])
async def test_what_somebody_changed_before_it_was_read_back_is_his(project, op):
    project.left.person(email="a@x.org", name="A", note="n")
    if op == "update":
        project.right.person(email="a@x.org", name="old", note="old")
    fair = project.right.meet

    def meet(call: str) -> Any:
        if call == "fetch" and project.right.writes:
            project.right.meet = fair
            (b,) = project.right.rows
            project.right.person(b, name="mine")
        return fair(call)

    project.right.meet = meet
    first = await project.sync()
    (b,) = project.right.rows
    assert project.right.rows[b]["name"] == "mine"
    _, changes = await planned(project, first.number)
    why = undoing.EDITED if op == "create" else undoing.CHANGED
    assert reasons(changes) == {b: why}
    await undone(project, first.number)
    assert project.right.rows[b]["name"] == "mine"


async def test_records_that_are_gone_or_back_by_now(project):
    project.job = replace(project.job, deletes_follow=True, guard=Guard(delete=5))
    a = project.left.person(email="a@x.org", name="A")
    b = project.right.person(email="a@x.org", name="old")
    project.left.person(email="new@x.org", name="New")
    first = await project.sync()
    made = next(i for i in project.right.rows if i != b)
    project.right.delete(made)
    project.left.delete(a)
    second = await project.sync()
    plan, changes = await planned(project, first.number)
    assert reasons(changes) == {b: undoing.GONE}
    assert plan.plan.count("unchanged") == 1
    project.right.gone.discard(b)
    project.right.person(b, email="a@x.org", name="A")
    plan, changes = await planned(project, second.number)
    assert (changes, plan.plan.count("unchanged")) == ([], 1)


async def test_what_was_never_read_is_listed_as_not_known(project):
    a = project.left.person(email="a@x.org", name="A")
    b = project.right.person(email="a@x.org", name="A")
    run = await project.sync()
    layout = project.store.spelling("people", "right", journal.layout(run.right))
    hub, known = b"h" * 16, (ABSENT,)
    rows = [
        Entry("right", "update", hub, b, a, ("name",), known, ("A",)),
        Entry("right", "update", hub, b, a, ("name",), ("old",), ()),
        Entry("right", "create", hub, b, a, (), (), ()),
    ]
    for row in rows:
        at = project.clock.now()
        project.store.keep("people", run.number, at, (layout, layout), [row])
    _, changes = await planned(project, run.number)
    assert [c.reason for c in changes] == [undoing.UNKNOWN] * 3


@pytest.mark.parametrize(
    ("outcome", "told", "note"),
    [
        (Missing("no"), "unchanged", "billing: b1 is gone, and was not put back"),
        (Exists("no", there="x"), "not_taken", "billing: b1 was not put back: refused"),
        (Stale("no"), "stale", None),
    ],
)
async def test_how_an_undo_ends_is_told(project, monkeypatch, outcome, told, note):
    project.left.person(email="a@x.org", name="A")
    project.right.person(email="a@x.org", name="old")
    first = await project.sync()
    plan, _ = await planned(project, first.number)
    monkeypatch.setattr(Memory, "_write", lambda _self, _write: outcome)
    run = await applied(project, plan)
    assert run.tally.outcomes == {told: 1}
    assert run.notes == ([note] if note else [])
    assert project.store.conflicts("people") == project.store.letters("people") == []


async def killed_undo(at: int, *, after: bool, where: str) -> bool:
    """One schedule. False once the mine lies beyond the undo's last step."""
    project = build("both")
    await project.sync()
    edit(project)
    before = rows(project)
    second = await project.sync()
    plan, _ = await planned(project, second.number)
    mine, store = Mine(at, after=after), project.store
    fair = project.left.meet, project.right.meet, store._run, store._many
    if where == "vendor":
        mine_vendor(project.left, mine)
        mine_vendor(project.right, mine)
        bury_store(project, mine)
    else:
        mine_store(project, mine)
    with suppress(Killed):
        await applied(project, plan)
    project.left.meet, project.right.meet, store._run, store._many = fair
    if store._db.in_transaction:
        store._db.rollback()
    await undone(project, second.number)
    assert rows(project) == before
    await rests(project)
    return mine.dead


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("where", ["vendor", "state"])
async def test_an_undo_may_be_killed_at_every_step(after, where):
    schedules = 0
    step = 1 if where == "vendor" else 3
    while await killed_undo(schedules, after=after, where=where):
        schedules += step
    assert schedules >= 5


async def test_what_was_edited_since_is_kept_where_the_vendor_does_not_say_by_whom(
    project,
):
    project.left.person(email="a@x.org", name="A")
    run = await project.sync()
    (b,) = project.right.rows
    project.right.person(b, name="Edited")
    project.right.by.clear()
    _, changes = await planned(project, run.number)
    assert reasons(changes) == {b: undoing.EDITED}
