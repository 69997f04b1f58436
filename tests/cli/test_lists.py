"""``runs``, ``conflicts``, ``dead-letters``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.model.conflict import Conflict, DeadLetter

MEMBERS = (("left", "s1"), ("left", "s2"))
OPENED = "2026-11-24T11:56:00+00:00"


@pytest.fixture
def busy(line):
    hub = line.hub
    hub.letters = [
        DeadLetter(
            n,
            "people",
            "left",
            f"s{n}",
            "create",
            "REQUIRED",
            ("LastName",),
            4,
            OPENED,
            said,
        )
        for n, said in ((1, "Ana Putri lacks a name"), (2, "Budi lacks a name"))
    ]
    hub.open_conflicts = [
        Conflict(
            5, "people", "twins", MEMBERS, 4, OPENED, {"email": "ana@people.example"}
        )
    ]
    hub.views = [
        ("sales", "s1", {"email": "ana@people.example", "title": None}),
        ("sales", "s2", {"email": "ana@people.example", "title": "Direktur"}),
    ]
    hub.listed = [
        {
            "run": 4,
            "job": "people",
            "kind": "sync",
            "started": OPENED,
            "ended": OPENED,
            "status": "failed",
            "document": {
                "run": 4,
                "read": 12,
                "calls": {"sales": {"burst": 3}},
                "error": {"code": "AuthError", "message": "no"},
            },
        }
    ]
    return line


def test_dead_letters_are_listed_with_reason_and_age_and_grouped(busy):
    lines = busy("dead-letters", "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "JOB", "RECORD", "WHY", "AGE"]
    assert lines[1].split() == ["1", "people", "s1", "REQUIRED", "LastName", "4", "min"]
    assert lines[-1] == "2 x REQUIRED LastName   people   letters 1, 2"
    assert busy.document("dead-letters", "list")["causes"] == [
        {
            "job": "people",
            "reason": "REQUIRED",
            "fields": ["LastName"],
            "count": 2,
            "samples": [1, 2],
        }
    ]


def test_a_long_list_of_dead_letters_is_cut_and_grouped_whole(busy):
    (letter, *_) = busy.hub.letters
    busy.hub.letters = [replace(letter, id=n) for n in range(1, 31)]
    out = busy("dead-letters", "list").stdout.splitlines()
    assert len(out) == 1 + 20 + 1 + 2
    assert "... 10 more (--all)" in out
    assert out[-1] == "30 x REQUIRED LastName   people   letters 1, 2, 3, ..."
    assert len(busy("dead-letters", "list", "--all").stdout.splitlines()) == 33


def test_the_vendors_words_are_masked_unless_asked_for(busy, on_a_terminal):
    assert "Ana" not in busy("dead-letters", "show", "1").output
    assert "Ana" in busy("dead-letters", "show", "1", "--values").stdout
    assert "message" not in busy.document("dead-letters", "show", "1")
    assert "Ana" in busy.document("dead-letters", "show", "1", "--values")["message"]
    on_a_terminal()
    assert "Ana" in busy("dead-letters", "show", "1").stdout


def test_lists_as_documents_hold_no_values(busy):
    letters = busy.document("dead-letters", "list")["dead_letters"]
    assert letters[0] == {
        "id": 1,
        "job": "people",
        "record": "s1",
        "op": "create",
        "reason": "REQUIRED",
        "fields": ["LastName"],
        "run": 4,
        "opened": OPENED,
    }
    conflict = busy.document("conflicts", "list")["conflicts"][0]
    assert "detail" not in conflict
    assert conflict["members"][0] == {
        "side": "left",
        "connection": "sales",
        "record": "s1",
    }


def test_conflicts_are_listed_with_what_resolves_them(busy):
    out = busy("conflicts", "list").stdout
    assert "sales:s1, sales:s2" in out
    assert "twins: several records on one side" in out


def test_the_records_of_a_conflict_stand_side_by_side(busy):
    out = busy("conflicts", "show", "5", "--values").stdout
    assert 'title  null                  "Direktur"' in out
    masked = busy("conflicts", "show", "5").output
    assert "Direktur" not in masked
    assert "null" in masked
    assert "views" not in busy.document("conflicts", "show", "5")
    views = busy.document("conflicts", "show", "5", "--values")["views"]
    assert views[1]["view"]["title"] == "Direktur"


def test_a_replay_asks_for_what_was_named(busy):
    assert busy("dead-letters", "replay", "2").exit_code == 0
    assert busy.hub.asked == [("people", {"numbers": [2]})]


def test_a_replay_of_a_job_is_one_document_of_all_a_list(busy):
    assert busy.document("dead-letters", "replay", "--job", "people")["run"] == 9
    found = busy.document("dead-letters", "replay", "--all")
    assert [j["job"] for j in found["jobs"]] == ["people"]


def test_a_replay_wants_to_know_which(busy):
    assert busy("dead-letters", "replay").exit_code == 2
    assert busy("dead-letters", "replay", "1", "--all").exit_code == 2


def test_a_replay_of_nothing_is_done(line):
    assert line.document("dead-letters", "replay", "--all") == {
        "jobs": [],
        "status": "done",
    }


def test_runs_are_listed_and_shown(busy):
    assert "failed" in busy("runs").stdout
    shown = busy("runs", "show", "4").stdout
    assert "calls sales: burst 3" in shown
    assert "error[AuthError]" in shown
    assert busy.document("runs", "show", "4")["run"] == 4
    assert busy("runs", "show", "9").exit_code == 2


def test_a_list_of_an_unknown_job_says_so(line):
    for words in (("runs",), ("conflicts", "list"), ("dead-letters", "list")):
        assert line(*words, "--job", "peopel").exit_code == 2
