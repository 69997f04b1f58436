"""What ``plan`` shows, and what it keeps to itself."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from connector_hub.cli.session import masked, quoted
from connector_hub.errors import AuthError
from connector_hub.model.plan import FieldChange, Plan, Shown
from connector_hub.model.record import Ref

from .conftest import made


def test_a_plan_reads_like_one(line):
    line.hub.answers["people"] = made(
        seconds=12.0, unreadable={"stage": 4}, left_out=("company",)
    )
    out = line("plan", "people", "--values").stdout
    assert out.splitlines()[0] == (
        "Plan people   sales/contacts -> billing/Contact   plan p1"
    )
    assert '+ s1  email "ana@people.example"' in out
    assert '~ s2 -> t2  title "Manager" -> "Direktur"' in out
    assert "- t3" in out
    assert "~ update 1   fields: title 1" in out
    assert "why: changed at the source 1, new at the source 1" in out
    assert "Plan: 1 to create, 1 to update, 1 to delete, 5 unchanged." in out
    assert "billing: calls 7 of 14,812 left" in out
    assert "at least 12 s" in out
    assert "stage 4" in out
    assert "Field company is left out" in out
    assert out.endswith("apply exactly this: connector-hub apply p1\n")


def test_values_are_masked_where_nobody_asked_for_them(line):
    out = line("plan", "people").output
    assert "ana@people.example" not in out
    assert "Direktur" not in out
    assert '~ s2 -> t2  title "•••" -> "•••"' in out


def test_values_are_shown_on_a_terminal(line, on_a_terminal):
    on_a_terminal()
    assert "Direktur" in line("plan", "people").output


def test_json_holds_no_values_on_a_terminal_either(line, on_a_terminal):
    on_a_terminal()
    result = line("plan", "people", "--json")
    assert "Direktur" not in result.output
    assert json.loads(result.stdout) == dict(made().document())


def test_json_holds_values_when_they_are_asked_for(line):
    changes = line.document("plan", "people", "--values")["changes"]
    assert changes[1]["fields"] == {"title": {"old": "Manager", "new": "Direktur"}}


def test_without_a_job_all_are_planned_in_order(line):
    line.hub.jobs = ["firms", "people"]
    document = line.document("plan")
    assert [j["job"] for j in document["jobs"]] == ["firms", "people"]


def test_a_job_that_cannot_be_planned_has_its_error_beside_the_other_plans(line):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = AuthError("no")
    jobs = line.document("plan")["jobs"]
    assert jobs[0]["error"]["code"] == "AuthError"
    assert jobs[1]["plan"] == "p1"
    assert line("plan").exit_code == 4


def test_only_three_samples_of_a_kind_are_shown_unless_all_are_wanted(line):
    line.hub.answers["people"] = made(counts={"create": 5})
    line.hub.shown = [
        Shown("create", f"s{n}", None, (FieldChange("email", None, "x"),), "new")
        for n in range(5)
    ]
    some, every = line("plan", "people").stdout, line("plan", "people", "--all").stdout
    assert "s2 " in some
    assert "s3 " not in some
    assert "... 2 more (--all)" in some
    assert "+ create s4" in every


def test_samples_stop_reading_when_they_have_enough(line):
    def changes(_plan):
        yield from line.hub.shown
        pytest.fail("read on")

    line.hub.changes = changes
    assert line("plan", "people").exit_code == 0


def test_the_detailed_exit_code_tells_changes(line):
    assert line("plan", "people").exit_code == 0
    assert line("plan", "people", "--detailed-exitcode").exit_code == 10
    line.hub.answers["people"] = Plan("p2", "people", "contact", "sales", "billing")
    nothing = line("plan", "people", "--detailed-exitcode")
    assert nothing.exit_code == 0
    assert "Nothing to write." in nothing.stdout


def test_a_value_cannot_command_the_terminal(line):
    line.hub.shown = [
        Shown("create", "s1", None, (FieldChange("note", None, '\x1b]0;a"\nb'),), "")
    ]
    line.hub.answers["people"] = made(counts={"create": 1})
    out = line("plan", "people", "--values").stdout
    assert r'note "\x1b]0;a\"\nb"' in out


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "null"),
        (True, "true"),
        (Decimal("1.50"), "1.50"),
        (("a", "b"), '["a", "b"]'),
        (Ref("companies", "9"), "companies/9"),
    ],
)
def test_values_of_all_kinds_can_be_read(value, shown):
    assert quoted(value) == shown
    assert masked(value) == ("null" if value is None else '"•••"')


def test_no_colours_where_they_are_not_wanted(line, on_a_terminal, monkeypatch):
    on_a_terminal()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in line("plan", "people").output


def test_what_a_plan_means_besides_is_told_in_short_sentences(line):
    line.hub.answers["people"] = made(
        billed=[
            {
                "connection": "billing",
                "resource": "Lead",
                "records": 1,
                "counts_for": "data storage, 2 kB each",
            }
        ],
        automations=[
            {
                "connection": "billing",
                "resource": "Lead",
                "run": ["flows", "Apex triggers"],
                "kept_still": ["assignment rules"],
            },
            {
                "connection": "sales",
                "resource": "contacts",
                "run": ["workflows"],
                "kept_still": [],
            },
        ],
    )
    lines = line("plan", "people").stdout.splitlines()
    assert ("Calls at most   sales: burst 4; billing: calls 7 of 14,812 left") in lines
    assert (
        "On the bill   1 new Lead at billing count for data storage, 2 kB each"
    ) in lines
    assert (
        "Automations   billing/Lead: flows, Apex triggers run, assignment rules are kept still; "
        "sales/contacts: workflows run, none are kept still"
    ) in lines
    assert len(lines) <= 16
    document = line.document("plan", "people")
    assert document["automations"][0]["kept_still"] == ["assignment rules"]
    assert document["left"] == {"billing": {"calls": 14_812.0}}
    assert document["by_field"] == {"title": 1}


def test_samples_are_as_unlike_as_they_come(line):
    line.hub.answers["people"] = made(counts={"update": 100})
    line.hub.shown = [
        Shown(
            "update",
            f"s{n}",
            f"t{n}",
            (FieldChange("title" if n < 98 else f"rare{n}", "a", "b"),),
            "changed",
        )
        for n in range(100)
    ]
    out = line("plan", "people").stdout
    assert [x.split()[1] for x in out.splitlines() if x.startswith("      ~")] == [
        "s0",
        "s98",
        "s99",
    ]
    assert "... 97 more (--all)" in out
