"""Whether a kept plan still holds: each thing it was made from, and the words for what changed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Guard, Job, Percent, Side
from connector_hub.model.kept import Kept, KeptRow
from connector_hub.model.mapping import Mapping, Rule, compile_mapping
from connector_hub.model.plan import Plan
from connector_hub.model.transforms import Transforms
from connector_hub.sync import plans

MADE = datetime(2026, 11, 24, 10, tzinfo=UTC)
DAY = 24 * 3600.0
JOB = Job(
    "people",
    "person",
    Side("sales", "people"),
    Side("billing", "Contact"),
    "both",
    only={"stage": frozenset({"b", "a"})},
)
ENTITY = Entity("person", {n: FieldSpec(n, "text") for n in ("name", "note")})
RULES = {"name": Rule("name", "name"), "note": Rule("note", "note")}
PLAN = Plan("p1", "people", "person", "sales", "billing", left_out=("firm",))


def prints(job: Job = JOB, entity: Entity = ENTITY, **more: Any) -> dict[str, Any]:
    rules = more.get("rules", RULES)
    left = Mapping("person", "acme", "people", rules, more.get("set_on_create", {}))
    right = Mapping("person", "acme", "Contact", RULES)
    spokes = [
        {
            m.resource: compile_mapping(
                m, entity, Transforms(), leave_out=more.get("out", ())
            )
        }
        for m in (left, right)
    ]
    homes, keys = more.get("homes", ("h1", "h2")), more.get("keys", ("k", None))
    return plans.prints(job, spokes, homes, keys)


OTHER: dict[str, tuple[dict[str, Any], tuple[str, ...], str]] = {
    "job": (prints(replace(JOB, deletes_follow=True)), ("job",), "job people changed"),
    "left account": (
        prints(homes=("x", "h2")),
        ("account", "left"),
        "connection sales got another account",
    ),
    "right account": (
        prints(homes=("h1", None)),
        ("account", "right"),
        "connection billing got another account",
    ),
    "key": (
        prints(keys=("k", "k")),
        ("key", "right"),
        "connection billing got another key_field",
    ),
    "entity": (
        prints(entity=replace(ENTITY, identity=(("name",),))),
        ("entity",),
        "entity person changed",
    ),
    "rule": (
        prints(rules=RULES | {"note": Rule("note", "note", ("trim",))}),
        ("rule", "left", "people", "note"),
        "the rule of note at sales changed",
    ),
    "new rule": (
        prints(rules={"name": RULES["name"]}),
        ("rule", "left", "people", "note"),
        "the rule of note at sales changed",
    ),
    "set_on_create": (
        prints(set_on_create={"a": 1}),
        ("mapping", "left", "people"),
        "the mapping of sales changed",
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_what_a_plan_was_made_from_is_seen_to_change(what: str) -> None:
    now, step, words = OTHER[what]
    assert plans.changed(prints(), now) == step
    assert plans.changed(now, prints()) == step
    kept = stands("kept", today=now)
    assert (kept.state, kept.why) == ("stale", f"was made before {words}")
    assert kept.where == f"at {'/'.join(step)}"
    assert kept.remedy == "plan again: connector-hub plan people"


def test_what_does_not_change_what_a_job_does_changes_no_print() -> None:
    same = replace(JOB, every=60.0, only={"stage": frozenset({"a", "b"})})
    assert prints(same) == prints()
    assert plans.changed(prints(same), prints()) is None
    assert len(prints()["job"]) == 16
    turned = dict(reversed(RULES.items()))
    assert (
        prints(rules=turned)["mappings"][0]["people"]["rules"]
        == (prints()["mappings"][0]["people"]["rules"])
    )


def test_a_side_that_lost_a_resource_is_told_by_the_job_alone() -> None:
    gone = {**prints(), "mappings": [{}, {}]}
    assert plans.changed(prints(), gone) is None


def row(state: Any, **more: Any) -> KeptRow:
    document = {"plan": plans.told(PLAN), "prints": prints()}
    return KeptRow(
        "p1", "people", MADE.isoformat(), state, None, None, document
    )._replace(**more)


def stands(state: Any, today: Any = None, after: float = 60, **more: Any) -> Kept:
    def place(job: str, step: plans.Step) -> str:
        assert job == "people"
        return f"at {'/'.join(step)}"

    now = MADE + timedelta(seconds=after)
    today = prints() if today is None else today or None
    return plans.stands(row(state, **more), lambda: today, place, now, DAY)


@pytest.mark.parametrize("state", ["kept", "waiting"])
def test_a_plan_stands_while_nothing_changed_and_until_it_is_too_old(
    state: Any,
) -> None:
    for after in (0, DAY):
        kept = stands(state, after=after)
        assert (kept.state, kept.why, kept.where) == (state, "", "")
        assert kept.plan == PLAN
    old = stands(state, after=DAY + 3600)
    why = "is 25 hours old, plans hold for 24 hours (plan_ttl)"
    assert (old.state, old.why, old.where) == ("expired", why, "at age")


def test_a_short_life_is_told_in_minutes() -> None:
    now = MADE + timedelta(minutes=119)
    kept = plans.stands(row("kept"), prints, lambda *_: "", now, 3600)
    assert kept.why == "is 119 minutes old, plans hold for 60 minutes (plan_ttl)"
    now = MADE + timedelta(minutes=120)
    kept = plans.stands(row("kept"), prints, lambda *_: "", now, 3600)
    assert kept.why == "is 2 hours old, plans hold for 60 minutes (plan_ttl)"


def test_a_plan_of_a_job_that_is_gone_can_be_dropped() -> None:
    kept = stands("waiting", today={})
    assert (kept.state, kept.where) == ("stale", "at gone")
    assert kept.why == "was made before job people was taken out"
    assert kept.remedy == (
        "give the job back, or drop the plan: connector-hub plans reject p1"
    )


@pytest.mark.parametrize(("person", "by"), [("ann", " by ann"), (None, "")])
def test_a_plan_that_was_decided_says_when_and_by_whom(person: Any, by: str) -> None:
    kept = stands("rejected", decided=MADE.isoformat(), person=person)
    assert kept.why == f"was rejected at 2026-11-24 10:00:00 UTC{by}"
    assert (kept.state, kept.decided, kept.person) == (
        "rejected",
        MADE.isoformat(),
        person,
    )
    refused = plans.refusal(kept)
    assert refused.message == f"plan p1 {kept.why}"
    assert refused.hint == "nothing was written; plan again: connector-hub plan people"


def test_a_plan_that_was_begun_goes_on_by_a_sync() -> None:
    kept = stands("begun", decided=MADE.isoformat(), person="ann")
    assert kept.why == (
        "was begun at 2026-11-24 10:00:00 UTC by ann, and is at work or did not come to its end"
    )
    refused = plans.refusal(replace(kept, where="hub.yaml:3"))
    assert refused.where == "hub.yaml:3"
    assert refused.hint == (
        "nothing was written now; connector-hub sync people goes on from there"
    )


def test_a_plan_that_waits_says_until_when() -> None:
    assert plans.already_waits(stands("waiting"), DAY) == (
        "plan p1 of 2026-11-24 10:00:00 UTC waits, so nothing was looked at; a sync plans "
        "afresh when it is decided, or after 2026-11-25 10:00:00 UTC"
    )


def run(when: Guard | None, allow: int | None = None, **counts: int) -> Any:
    """What of a run these functions look at."""
    notes: list[str] = []
    outcomes: Counter[str] = Counter(unchanged=3)
    return SimpleNamespace(
        job=replace(JOB, apply_when=when),
        plan=replace(PLAN, counts=counts),
        options=SimpleNamespace(allow_deletes=allow),
        sources=[SimpleNamespace(linked=lambda: 200)],
        notes=notes,
        note=notes.append,
        tally=SimpleNamespace(
            outcomes=outcomes, add=lambda k, n: outcomes.update({k: n})
        ),
    )


def test_bounds_are_gone_beyond_by_more_than_they_allow() -> None:
    bounds = Guard(create=5, update=Percent(10), clear=0)
    made = run(None, create=5, update=20, clear=0, delete=0)
    assert plans.over(made, bounds) == {}
    more = run(None, create=6, update=21, clear=1, delete=1)
    assert plans.over(more, bounds) == {
        "create": 5,
        "update": 20,
        "clear": 0,
        "delete": 0,
    }
    allowed = run(None, allow=1, create=6, delete=1)
    assert plans.over(allowed, bounds) == {"create": 5}


def test_a_plan_waits_when_it_goes_beyond_what_a_sync_may_do() -> None:
    assert not plans.must_wait(run(None, create=9, delete=9))
    within = run(Guard(create=5), create=5)
    assert not plans.must_wait(within)
    assert (within.notes, within.tally.outcomes) == ([], {"unchanged": 3})
    beyond = run(
        Guard(create=5, clear=0), create=1200, update=2, delete=0, clear=60, unchanged=7
    )
    assert plans.must_wait(beyond)
    told = (
        "plan p1 waits: it would create 1,200 records, apply: when allows 5; "
        "it would empty 60 fields, apply: when allows 0"
    )
    assert beyond.notes == [told]
    assert beyond.tally.outcomes == {"unchanged": 7, "blocked": 1202}


def test_a_plan_comes_back_from_its_json_values() -> None:
    row = plans.told(PLAN)
    assert plans.plan_of(row | {"left_out": ["firm"]}) == PLAN
    full = replace(PLAN, counts={"create": 1, "update": 2, "delete": 3, "unchanged": 9})
    assert plans.planned_writes(full) == 6
