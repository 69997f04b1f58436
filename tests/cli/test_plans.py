"""``plans``: listed, shown, approved, rejected."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub import errors
from connector_hub.model.kept import Kept
from connector_hub.model.plan import Receipt

from .conftest import made

THEN = "2026-11-24T11:00:00+00:00"


def kept(plan: str, state: str, **more: object) -> Kept:
    return Kept(made(id=plan), THEN, state, **more)  # type: ignore[arg-type]


@pytest.fixture
def decided(line):
    """One plan of each state."""
    line.hub.made = [
        kept("p1", "waiting"),
        kept("p2", "kept"),
        kept(
            "p3", "applied", decided=THEN, person="ana", why="was applied at x by ana"
        ),
        kept("p4", "expired", why="is 25 hours old", where="hub.yaml:3:1"),
    ]
    return line


def test_plans_are_listed_with_how_they_stand(decided):
    lines = decided("plans", "list").stdout.splitlines()
    assert lines[0].split() == ["PLAN", "JOB", "STATE", "AGE", "WOULD", "DECIDED"]
    assert lines[1].split()[:6] == ["p1", "people", "waiting", "60", "min", "create"]
    assert "create 1, update 1, delete 1" in lines[1]
    assert lines[3].endswith("by ana, 60 min ago")
    assert lines[5:] == ["p4 is 25 hours old"]
    assert decided("plans", "list", "--job", "peopel").exit_code == 2


def test_plans_as_a_document(decided):
    plans = decided.document("plans", "list")["plans"]
    assert [p["state"] for p in plans] == ["waiting", "kept", "applied", "expired"]
    assert plans[2]["by"] == "ana"
    assert (plans[0]["plan"], plans[0]["create"], plans[0]["made"]) == ("p1", 1, THEN)


def test_no_plans_are_told(line):
    line.hub.made = []
    assert line("plans", "list").stdout == "no plans yet\n"


def test_a_waiting_plan_is_shown_as_it_was_and_how_to_decide(decided):
    out = decided("plans", "show", "p1", "--values").stdout
    assert '~ s2 -> t2  title "Manager" -> "Direktur"' in out
    assert "State   waiting since 2026-11-24 11:00:00 UTC" in out
    assert "carry it out: connector-hub plans approve p1" in out
    assert "drop it:      connector-hub plans reject p1" in out
    assert "+ create s1" in decided("plans", "show", "p1", "--all").stdout
    assert "Direktur" not in decided("plans", "show", "p1").stdout


def test_a_plan_that_is_decided_shows_its_totals_and_why(decided, monkeypatch):
    monkeypatch.setattr(decided.hub, "changes", lambda _plan: pytest.fail("gone"))
    out = decided("plans", "show", "p4").stdout
    assert "Plan: 1 to create" in out
    assert "State   expired: it is 25 hours old" in out
    assert "--> hub.yaml:3:1" in out
    assert decided.document("plans", "show", "p4", "--values")["state"] == "expired"


def test_a_plan_as_a_document_holds_values_only_when_asked(decided):
    assert "changes" not in decided.document("plans", "show", "p1")
    changes = decided.document("plans", "show", "p1", "--values")["changes"]
    assert changes[1]["fields"]["title"]["new"] == "Direktur"


def test_an_approval_is_an_apply(decided):
    decided.hub.answers["p1"] = Receipt("people", 8, read=3, created=3)
    result = decided("plans", "approve", "p1")
    assert result.exit_code == 0
    assert "people  done" in result.stdout
    assert decided.document("plans", "approve", "p1")["created"] == 3


def test_several_plans_are_approved_one_after_the_other_each_once(decided):
    document = decided.document("plans", "approve", "p1", "p2", "p1")
    assert [name for name, _ in decided.hub.asked] == ["p1", "p2"]
    assert [j["status"] for j in document["jobs"]] == ["done", "done"]


def test_none_is_approved_where_one_cannot_be(decided):
    result = decided("plans", "approve", "p1", "p4", "p3")
    assert result.exit_code == 6
    assert decided.hub.asked == []
    assert "error[PlanStale]: plan p4 is 25 hours old" in result.stderr
    assert "--> hub.yaml:3:1 (job people)" in result.stderr
    assert "plan p3 was applied at x by ana" in result.stderr
    document = decided.document("plans", "approve", "p3")
    assert (document["status"], document["job"]) == ("refused", "people")


def test_an_unknown_plan_is_a_mistake(decided):
    result = decided("plans", "approve", "p9")
    assert result.exit_code == 2
    assert "there is no plan 'p9'" in result.stderr
    assert decided("plans", "reject", "p1", "p9").exit_code == 2
    assert decided("plans", "show", "p9").exit_code == 2
    assert decided.hub.asked == []
    assert decided("plans", "approve").exit_code == 2


def test_a_rejected_plan_is_dropped(decided):
    result = decided("plans", "reject", "p1", "p2")
    assert result.exit_code == 0
    assert [name for name, _ in decided.hub.asked] == ["p1", "p2"]
    assert "plan p1 is dropped" in result.stdout
    document = decided.document("plans", "reject", "p2")
    assert document["plans"][0]["state"] == "rejected"


def test_an_apply_that_is_refused_names_its_job(line):
    line.hub.made[0] = replace(line.hub.made[0], state="expired", why="is old")
    assert line.document("apply", "p1")["job"] == "people"
    line.hub.answers["p1"] = errors.PlanStale("too late")
    line.hub.made[0] = replace(line.hub.made[0], state="kept")
    assert line.document("apply", "p1")["job"] == "people"
    assert line.document("apply", "p0")["job"] is None


def test_a_sync_that_waits_says_what_to_do(line):
    line.hub.answers["people"] = Receipt(
        "people", 7, "waiting", read=20, blocked=20, plan="p1", notes=("plan p1 waits",)
    )
    result = line("sync", "people")
    assert result.exit_code == 3
    assert result.stdout.splitlines()[1:] == [
        "  plan p1 waits",
        "  see it: connector-hub plans show p1",
        "  then: connector-hub plans approve p1, or plans reject p1",
    ]
    assert line.document("sync", "people")["plan"] == "p1"
