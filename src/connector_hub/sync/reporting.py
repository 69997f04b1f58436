"""What the hub did over some time, for whoever answers for it: numbers, no value of a record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector_hub.model.conflict import Cause

_WRITTEN = ("created", "updated", "deleted")
_COUNTED = ("read", *_WRITTEN, "not_taken", "stale")
_LOOKING = frozenset({"plan", "undo", "match", "link"})
"""Kinds of runs that write to no vendor."""
_FAILED = frozenset({"failed", "refused", "interrupted"})


@dataclass(frozen=True, slots=True)
class Failure:
    """How often a job ended with an error of one code, and the last run that did."""

    code: str
    count: int
    run: int
    at: str


@dataclass(slots=True)
class Open:
    """Questions of one kind: how many came up and ended in the time, and how many are open now."""

    opened: int = 0
    closed: int = 0
    open: int = 0


@dataclass(slots=True)
class JobReport:
    """One job over the time. ``days`` are records written, by day (ISO 8601)."""

    job: str
    runs: int = 0
    """Runs that may write: sync, apply, replay, edit."""
    plans: int = 0
    """Runs that only looked."""
    read: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    not_taken: int = 0
    stale: int = 0
    days: dict[str, int] = field(default_factory=dict)
    conflicts: Open = field(default_factory=Open)
    dead_letters: Open = field(default_factory=Open)
    causes: list[Cause] = field(default_factory=list)
    """Of the dead letters that are open now."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def written(self) -> int:
        """Records created, updated and deleted."""
        return self.created + self.updated + self.deleted

    @property
    def failed(self) -> int:
        """Runs that ended with an error."""
        return sum(f.count for f in self.failures)


@dataclass(slots=True)
class Report:
    """All jobs over a time, its ends in ISO 8601. ``calls`` are those made, by connection and bucket."""

    since: str
    until: str
    jobs: list[JobReport]
    calls: dict[str, dict[str, int]] = field(default_factory=dict)


def gather(
    since: str,
    until: str,
    jobs: Iterable[str],
    runs: Iterable[Mapping[str, Any]],
) -> Report:
    """A report of some runs, oldest first; jobs that are no longer in the project follow the others."""
    found = {name: JobReport(name) for name in jobs}
    report = Report(since, until, [])
    for run in runs:
        job = found.setdefault(run["job"], JobReport(run["job"]))
        _add(report, job, run, run["document"] or {})
    report.jobs = list(found.values())
    return report


def _add(
    report: Report, job: JobReport, run: Mapping[str, Any], told: Mapping[str, Any]
) -> None:
    if run["status"] in _FAILED:
        _fail(job, run, told)
    if run["kind"] in _LOOKING:
        job.plans += 1
    else:
        job.runs += 1
        for name in _COUNTED:
            setattr(job, name, getattr(job, name) + told.get(name, 0))
        written = sum(told.get(name, 0) for name in _WRITTEN)
        if written:
            day = run["started"][:10]
            job.days[day] = job.days.get(day, 0) + written
    made = told.get("spent", told.get("calls", {}) if "created" in told else {})
    for connection, buckets in made.items():
        mine = report.calls.setdefault(connection, {})
        for bucket, n in buckets.items():
            mine[bucket] = mine.get(bucket, 0) + n


def _fail(job: JobReport, run: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    code = (told.get("error") or {}).get("code") or run["status"].capitalize()
    before = next((f for f in job.failures if f.code == code), None)
    if before:
        job.failures.remove(before)
    count = before.count + 1 if before else 1
    job.failures.append(Failure(code, count, run["run"], run["started"]))
