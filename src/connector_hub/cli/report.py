"""``report``: what the hub did, for whoever answers for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli.offline import instant
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table
from connector_hub.errors import ConfigError

if TYPE_CHECKING:
    from connector_hub.sync.reporting import JobReport, Open, Report

_AGE = re.compile(r"(\d{1,5})(h|d|w)\Z")
_HOURS = {"h": 1, "d": 24, "w": 168}


def _since(_ctx: Any, _param: Any, value: str) -> timedelta:
    """``30d`` as a length of time."""
    found = _AGE.match(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not like 24h, 30d or 4w")
    return timedelta(hours=int(found.group(1)) * _HOURS[found.group(2)])


@click.command()
@click.option(
    "--since", default="30d", callback=_since, metavar="AGE", help="24h, 30d, 4w."
)
@click.option(
    "--html",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write it as one page that needs nothing else.",
)
@with_session
def report(session: Session, *, since: timedelta, file: Path | None) -> int:
    """What all jobs did: records, questions, failures, calls. No value of a record."""

    async def work() -> None:
        async with session.open() as hub:
            found = hub.report(since)
            name = hub.project.folder.name
        _tell(session, found)
        if file is not None:
            from connector_hub.cli.reportpage import page  # noqa: PLC0415 - on request

            _write(file, page(found, name))
            session.say(f"\nwritten to {file}")
        session.document(asdict(found))

    return finish_command(session, work())


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as e:
        raise ConfigError(
            f"{file} cannot be written: {e.strerror}", hint="name another file"
        ) from None


def _tell(session: Session, found: Report) -> None:
    session.say(f"Report   {instant(found.since)} to {instant(found.until)}\n")
    for t in tables(found):
        for text in table(t.heads, t.rows, empty=t.empty):
            session.say(text)
        session.say()
    session.say("conflicts and dead letters: came up / ended / open now")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns' heads, rows of cells, and what to say where there are none."""

    heads: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    empty: str


def tables(found: Report) -> list[Table]:
    """The report as tables."""
    jobs = [_job(j) for j in found.jobs]
    causes = [
        (c.job, c.reason, ", ".join(c.fields), f"{c.count:,}")
        for j in found.jobs
        for c in j.causes
    ]
    failures = [
        (j.job, f.code, f"{f.count:,}", str(f.run), instant(f.at))
        for j in found.jobs
        for f in j.failures
    ]
    calls = [
        (connection, bucket, f"{n:,}")
        for connection, buckets in sorted(found.calls.items())
        for bucket, n in sorted(buckets.items())
    ]
    heads = (
        *("JOB", "RUNS", "FAILED", "LOOKED AT", "CREATED", "UPDATED"),
        *("DELETED", "CONFLICTS", "DEAD LETTERS"),
    )
    refused = ("JOB", "DEAD LETTERS OPEN", "FIELDS", "COUNT")
    return [
        Table(heads, jobs, "no jobs"),
        Table(refused, causes, "no dead letters"),
        Table(("JOB", "FAILURE", "TIMES", "LAST RUN", "AT"), failures, "no failures"),
        Table(("CONNECTION", "BUCKET", "CALLS"), calls, "no calls"),
    ]


def _job(j: JobReport) -> tuple[str, ...]:
    counts = (j.runs, j.failed, j.read, j.created, j.updated, j.deleted)
    return (
        j.job,
        *(f"{n:,}" for n in counts),
        questions(j.conflicts),
        questions(j.dead_letters),
    )


def questions(o: Open) -> str:
    """How many came up, ended, and are open."""
    return f"{o.opened:,} / {o.closed:,} / {o.open:,}"
