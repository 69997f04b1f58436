"""How commands end that cannot do what they were asked."""

from __future__ import annotations

import pytest

from connector_hub import errors
from connector_hub.cli import failures
from connector_hub.diagnostics import Diagnostic, Diagnostics, Mistakes
from connector_hub.model.plan import Receipt

CODES = [
    (errors.ConfigError, 2, "failed"),
    (errors.AuthError, 4, "failed"),
    (errors.GuardTripped, 6, "refused"),
    (errors.PlanStale, 6, "refused"),
    (errors.Locked, 6, "refused"),
    (errors.StoreError, 8, "failed"),
    (errors.VendorError, 1, "failed"),
    (errors.Rejected, 1, "failed"),
    (errors.Unavailable, 5, "failed"),
    (errors.RateLimited, 5, "failed"),
    (errors.QuotaSpent, 5, "failed"),
    (errors.InDoubt, 5, "failed"),
    (errors.PluginError, 7, "failed"),
]


@pytest.mark.parametrize(("kind", "code", "status"), CODES)
def test_a_job_that_fails_ends_with_its_errors_code(line, kind, code, status):
    error = line.hub.answers["people"] = kind("it broke", where="sales")
    result = line("sync", "people")
    assert result.exit_code == code
    assert f"error[{kind.__name__}]: {error.told}" in result.stderr
    assert (error.told == "it broke") == (kind is not errors.Rejected)
    assert "--> sales (job people)" in result.stderr
    document = line.document("sync", "people")
    assert document["status"] == status
    assert document["error"]["code"] == kind.__name__


@pytest.mark.parametrize("words", [("plan", "people"), ("apply", "people")])
def test_plan_and_apply_end_with_their_errors_code(line, words):
    line.hub.answers["people"] = errors.PlanStale("too old", hint="plan again")
    assert line(*words).exit_code == 6
    assert line.document(*words)["error"]["message"] == "too old\nhelp: plan again"


def test_what_was_done_before_an_error_is_told(line):
    error = errors.Unavailable("down")
    error.receipt = Receipt("people", 7, "failed", read=5, created=5)
    line.hub.answers["people"] = error
    assert "people  failed  0.0 s   read 5  created 5" in line("sync").stdout
    assert line.document("sync")["jobs"][0]["created"] == 5


def test_a_project_that_cannot_be_opened_is_told_once(line):
    line.hub.answers["open"] = errors.ConfigError("no project", hint="init")
    result = line("sync")
    assert result.exit_code == 2
    assert result.stderr.count("no project") == 1
    assert line.document("sync")["error"]["code"] == "ConfigError"
    assert line.document("runs")["error"]["code"] == "ConfigError"


def test_mistakes_are_shown_at_their_places_and_listed(line):
    found = Diagnostics([Diagnostic("hub.yaml", 3, 5, "key", "unknown key", "abc:")])
    line.hub.answers["open"] = Mistakes(found)
    result = line("check")
    assert result.exit_code == 2
    assert "  --> hub.yaml:3:5" in result.stderr
    error = line.document("check")["error"]
    assert error["code"] == "ConfigError"
    assert error["findings"][0]["line"] == 3


def test_a_bug_keeps_its_text_to_itself(line):
    line.hub.answers["people"] = RuntimeError("ana@people.example")
    result = line("sync", "people")
    assert result.exit_code == 1
    assert "ana@people.example" not in result.output
    assert "RuntimeError" in result.stderr
    hidden = line("sync", "people", "--debug").stderr
    assert "RuntimeError: (its text may quote a record; --values shows it)" in hidden
    assert "ana@people.example" not in hidden
    shown = line("sync", "people", "--debug", "--values").stderr
    assert "RuntimeError: ana@people.example" in shown


def test_what_a_vendor_said_is_shown_where_values_may_be(line):
    error = errors.AuthError("status 403")
    error.said = "ana@people.example may not"
    line.hub.answers["people"] = error
    assert "ana@people.example" not in line("sync", "people", "--debug").output
    shown = line("sync", "people", "--values").stderr
    assert "  the vendor says: ana@people.example may not" in shown
    assert "ana@people.example" not in str(line.document("sync", "people"))


def test_debug_shows_the_traceback_of_an_error_of_the_hub(line):
    line.hub.answers["people"] = errors.AuthError("no")
    assert "Traceback" not in line("sync").stderr
    assert "Traceback" in line("sync", "--debug").stderr


def test_one_failed_job_does_not_keep_the_next_from_running(line):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = errors.AuthError("no")
    document = line.document("sync")
    assert [j["status"] for j in document["jobs"]] == ["failed", "done"]
    assert document["status"] == "failed"
    assert line("sync").exit_code == 4


@pytest.mark.parametrize("kind", [errors.StoreError, errors.ConfigError])
def test_nothing_runs_after_the_state_or_the_files_failed(line, kind):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = kind("no")
    assert line("sync").exit_code == kind.exit_code
    assert [name for name, _ in line.hub.asked] == ["firms"]


def test_the_gravest_of_several_codes_is_the_commands():
    assert failures.gravest([0, 3, 6]) == 6
    assert failures.gravest([5, 6]) == 5
    assert failures.gravest([3, 8, 4]) == 8
    assert failures.gravest([]) == 0


def test_every_exit_code_of_an_error_has_its_gravity():
    kinds = [k for k in vars(errors).values() if isinstance(k, type)]
    assert {k.exit_code for k in kinds if issubclass(k, errors.HubError)} <= set(
        failures.GRAVITY
    )


def test_a_vendors_text_cannot_command_the_terminal(line):
    line.hub.answers["people"] = errors.Unavailable("\x1b[2Jgone\u202e")
    stderr = line("sync").stderr
    assert "\x1b" not in stderr
    assert "\\x1b[2Jgone\\u202e" in stderr


@pytest.mark.parametrize("command", ["sync", "plan"])
def test_an_error_that_many_jobs_meet_is_told_once_and_the_jobs_named(line, command):
    line.hub.jobs = ["firms", "people", "deals"]
    for name in line.hub.jobs:
        line.hub.answers[name] = errors.AuthError("no", hint="reconnect")
    stderr = line(command).stderr
    assert stderr.count("help: reconnect") == 1
    assert "(job firms)" in stderr
    assert "error[AuthError]: the same again (job people)" in stderr
    assert "error[AuthError]: the same again (job deals)" in stderr
    line.hub.answers["deals"] = errors.AuthError("another")
    assert "error[AuthError]: another" in line(command).stderr
    assert len(line.document(command)["jobs"]) == 3
