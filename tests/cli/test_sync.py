"""``sync`` and ``apply``: the summary, the document, the exit code."""

from __future__ import annotations

import pytest

from connector_hub.cli.progress import Lines
from connector_hub.cli.session import Session
from connector_hub.model.plan import Receipt


def receipt(name="people", **more):
    return Receipt(name, 7, **more)


def test_a_run_is_one_line_and_what_to_do_next(line):
    line.hub.answers["people"] = receipt(
        status="partial",
        read=2000,
        created=1960,
        conflicts=31,
        dead_letters=9,
        seconds=12.2,
        open={"conflicts": 31, "dead_letters": 9},
        calls={"sales": {"burst": 44}, "billing": {"calls": 10, "token": 1}},
        notes=("something to know",),
        unreadable={"stage": 4},
        drift=2,
    )
    result = line("sync", "people")
    assert result.exit_code == 3
    assert result.stdout.splitlines() == [
        (
            "people  partial  12 s   read 2,000  created 1,960  updated 0  unchanged 0"
            "  conflicts 31  dead letters 9"
        ),
        "  calls made   sales: burst 44; billing: calls 10, token 1",
        "  unreadable values, left alone: stage 4",
        "  2 records were edited where that does not travel",
        "  something to know",
        "  31 conflicts open   see: connector-hub conflicts list --job people",
        "  9 dead letters open   see: connector-hub dead-letters list --job people",
    ]


def test_the_document_of_one_job_is_its_receipt(line):
    found = receipt(read=3, created=3, calls={"sales": {"burst": 4}})
    line.hub.answers["people"] = found
    assert line.document("sync", "people") == found.document()


def test_the_document_of_all_jobs_has_the_gravest_status(line):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = receipt("firms", status="partial")
    document = line.document("sync")
    assert document["status"] == "partial"
    assert [j["job"] for j in document["jobs"]] == ["firms", "people"]
    assert line("sync").exit_code == 3


@pytest.mark.parametrize(
    ("status", "code"),
    [("done", 0), ("partial", 3), ("waiting", 3), ("refused", 6), ("failed", 1)],
)
def test_a_status_has_its_exit_code(line, status, code):
    line.hub.answers["p1"] = receipt(status=status)
    assert line("apply", "p1").exit_code == code
    assert line.document("apply", "p1")["status"] == status


def test_a_ceiling_of_calls_is_for_all_jobs_together(line):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = receipt("firms", calls={"a": {"x": 7}, "b": {"y": 1}})
    line("sync", "--max-calls", "10")
    assert [asked["max_calls"] for _, asked in line.hub.asked] == [10, 2]


def test_deletes_are_allowed_for_this_run(line):
    line("sync", "people", "--allow-deletes", "4")
    assert line.hub.asked[0][1]["options"].allow_deletes == 4


def test_without_a_terminal_a_phase_is_a_plain_line(line):
    assert line("sync", "people").stderr == "people: reading sales\n"


def test_bars_are_for_terminals(line, on_a_terminal):
    on_a_terminal()
    result = line("sync", "people")
    assert "reading sales" in result.stderr
    assert result.stdout.count("people") == 1


def test_a_long_phase_is_told_every_half_minute(capsys):
    times = iter([0.0, 10.0, 29.0, 31.0, 32.0])
    tell = Lines(Session(), "people", lambda: next(times))
    for done in (0, 100, 200, 300, 400):
        tell("writing", done, 1000)
    assert capsys.readouterr().err.splitlines() == [
        "people: writing",
        "people: writing 300 of 1,000",
    ]
