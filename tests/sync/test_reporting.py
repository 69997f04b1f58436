"""What the hub did over some time, added up."""

from __future__ import annotations

from typing import Any

from connector_hub.sync.reporting import Failure, JobReport, Report, gather

DAY = "2026-11-24T10:00:00+00:00"
NEXT = "2026-11-25T10:00:00+00:00"


def run(
    number: int, kind: str = "sync", status: str = "done", at: str = DAY, **more: Any
) -> dict[str, Any]:
    document = more.pop("document", {"created": 0, **more})
    return {
        "run": number,
        "job": "people",
        "kind": kind,
        "status": status,
        "started": at,
        "document": document,
    }


def only(*runs: dict[str, Any]) -> JobReport:
    (job,) = gather(DAY, NEXT, [], runs).jobs
    return job


def test_runs_that_write_are_added_up_by_day() -> None:
    job = only(
        run(1, read=10, created=1, updated=2, deleted=3, not_taken=4, stale=5),
        run(2, "apply", at=NEXT, read=100, created=10),
        run(3, "replay", at=NEXT, updated=20, stale=50),
        run(4, "edit", read=1),
    )
    assert job == JobReport(
        "people",
        runs=4,
        read=111,
        created=11,
        updated=22,
        deleted=3,
        not_taken=4,
        stale=55,
        days={"2026-11-24": 6, "2026-11-25": 30},
    )
    assert (job.written, job.failed) == (36, 0)


def test_runs_that_only_look_are_counted_apart() -> None:
    looked = [
        run(n, kind, read=7, created=3)
        for n, kind in enumerate(("plan", "undo", "match", "link"))
    ]
    job = only(*looked, {**run(9), "document": None})
    assert job == JobReport("people", runs=1, plans=4)


def test_failures_are_counted_by_their_code_the_latest_last() -> None:
    down = {"error": {"code": "Unavailable"}, "created": 0}
    job = only(
        run(1, status="failed", document=down),
        run(2, status="interrupted", document=None),
        run(3, status="refused", document={"error": {}}),
        run(4, "plan", status="failed", at=NEXT, document=down),
        run(5, status="waiting"),
        run(6, status="partial"),
    )
    assert job.failures == [
        Failure("Interrupted", 1, 2, DAY),
        Failure("Refused", 1, 3, DAY),
        Failure("Unavailable", 2, 4, NEXT),
    ]
    assert job.failed == 4
    assert (job.runs, job.plans) == (5, 1)


def test_calls_are_those_that_were_made_and_not_those_a_plan_promised() -> None:
    calls = {"sales": {"search": 2, "calls": 1}}
    report = gather(
        DAY,
        NEXT,
        [],
        [
            run(1, calls=calls),
            run(2, document={"calls": {"sales": {"calls": 1000}}}),
            run(
                3,
                "plan",
                document={
                    "calls": {"sales": {"calls": 1000}},
                    "spent": {"sales": {"calls": 4}},
                },
            ),
            run(4, calls={"billing": {"calls": 8}}),
            run(5),
        ],
    )
    assert report.calls == {"sales": {"search": 2, "calls": 5}, "billing": {"calls": 8}}


def test_a_job_that_is_gone_follows_those_of_the_project() -> None:
    report = gather(DAY, NEXT, ["firms", "deals"], [run(1), {**run(2), "job": "deals"}])
    assert report == Report(
        DAY,
        NEXT,
        [JobReport("firms"), JobReport("deals", runs=1), JobReport("people", runs=1)],
    )
