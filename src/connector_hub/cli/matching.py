"""``match`` and ``links``: who is whom, and what people correct in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.adapters.sheets import read_sheet
from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.progress import watching
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.sheets import writing_sheet
from connector_hub.errors import ConfigError
from connector_hub.sync.matching import KINDS, Found

if TYPE_CHECKING:
    from connector_hub.hub import Hub

_HEADS = ("kind", "left", "right", "who")
_SAMPLES = 3
_file = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("job", metavar="JOB")
@click.option(
    "--csv", "out", type=_file, metavar="FILE", help="Write every line into a file."
)
@click.option(
    "--take", type=_file, metavar="FILE", help="Link the pairs of a corrected file."
)
@with_session
def match(session: Session, job: str, *, out: Path | None, take: Path | None) -> int:
    """Who is whom in JOB's two accounts. Writes to no vendor.

    `--csv` writes a line for every record or pair; the file holds names, and only you
    can read it. Fill in or change its columns `left` and `right` and give it back with
    `--take`: lines that have both are linked.
    """
    if take is not None:
        return finish_command(session, _take(session, job, take))
    return finish_command(session, _match(session, job, out))


async def _match(session: Session, job: str, out: Path | None) -> None:
    samples: dict[str, list[Found]] = {}
    with ExitStack() as stack:
        write = stack.enter_context(writing_sheet(out, _HEADS)) if out else None

        def each(found: Found) -> None:
            some = samples.setdefault(found.kind, [])
            if len(some) < _SAMPLES:
                some.append(found)
            if write is not None:
                write([found.kind, found.left or "", found.right or "", found.who])

        async with session.open() as hub:
            with watching(session, job) as progress:
                counts = await hub.match(job, each, progress=progress)
            _tell(session, hub, job, counts, samples)
    session.document({"job": job, "match": {k: counts.get(k, 0) for k in KINDS}})
    if out is not None:
        session.say(f"all of them: {out}   corrected, take it in with --take {out}")


def _tell(
    session: Session,
    hub: Hub,
    job: str,
    counts: Any,
    samples: dict[str, list[Found]],
) -> None:
    j = hub.job(job)
    session.say(
        f"Match {job}   {j.left.connection}/{j.left.called} <-> "
        f"{j.right.connection}/{j.right.called}"
    )
    for kind, meaning in KINDS.items():
        n = counts.get(kind, 0)
        if not n:
            continue
        session.say(f"  {n:>8,}  {kind:<12} {meaning}")
        if kind in {"linked", "one to one"}:
            continue
        for found in samples.get(kind, ()):
            ids = " = ".join(i for i in (found.left, found.right) if i)
            session.say(f"            {ids}  {session.value(found.who)}")
    session.say(f"  {sum(counts.values()):>8,}  in all; a pair counts once")


async def _take(session: Session, job: str, file: Path) -> None:
    pairs = list(_pairs(file))
    async with session.open() as hub:
        made = await hub.link(job, pairs)
    session.say(f"{made:,} pairs are linked that were not; {len(pairs):,} in the file")
    session.document({"job": job, "linked": made})


def _pairs(file: Path) -> Iterator[tuple[int, str, str]]:
    """The lines of a file that name both records.

    Raises:
        ConfigError: it cannot be read, or has no columns ``left`` and ``right``.
    """
    for line, row in read_sheet(file):
        if not {"left", "right"} <= row.keys():
            raise ConfigError(
                f"{file}:1: there are no columns left and right",
                hint="start from the file that match --csv writes",
            )
        if row["left"] and row["right"]:
            yield line, row["left"], row["right"]


@click.group(cls=LazyGroup)
@with_session
def links(session: Session) -> None:
    """Which records are one thing: show, trace, export, import, unlink."""


@links.command("show")
@click.argument("job", metavar="JOB")
@click.option("--record", metavar="ID", help="Only this record, of either side.")
@with_session
def links_show(session: Session, job: str, record: str | None) -> int:
    """List the linked records of JOB."""

    async def work() -> None:
        async with session.open() as hub:
            found = [p for p in hub.links(job) if record is None or record in p]
            for left, right in found:
                session.say(f"{left} = {right}")
            if not found:
                session.say("no links")
            session.document(
                {"job": job, "links": [{"left": a, "right": b} for a, b in found]}
            )

    return finish_command(session, work())


@links.command("export")
@click.argument("job", metavar="JOB")
@click.argument("file", metavar="FILE", type=_file)
@with_session
def links_export(session: Session, job: str, file: Path) -> int:
    """Write the links of JOB into a CSV file; `links import` reads it."""

    async def work() -> None:
        n = 0
        async with session.open() as hub:
            with writing_sheet(file, _HEADS) as write:
                for left, right in hub.links(job):
                    write(["linked", left, right, ""])
                    n += 1
        session.say(f"{n:,} links written to {file}")
        session.document({"job": job, "links": n})

    return finish_command(session, work())


@links.command("import")
@click.argument("job", metavar="JOB")
@click.argument("file", metavar="FILE", type=_file)
@with_session
def links_import(session: Session, job: str, file: Path) -> int:
    """Link the pairs of a CSV file with the columns left and right."""
    return finish_command(session, _take(session, job, file))


@links.command("trace")
@click.argument("job", metavar="JOB")
@click.argument("record", metavar="ID")
@with_session
def links_trace(session: Session, job: str, record: str) -> int:
    """All records, of any job, that are one thing with the record ID of JOB."""

    async def work() -> None:
        async with session.open() as hub:
            found = hub.trace(job, record)
        if not found:
            raise ConfigError(
                f"job {job} has no linked record {record}",
                hint=f"see: connector-hub links show {job}",
            )
        for k in found:
            gone = "   (gone)" if k.gone else ""
            session.say(f"{k.hub_id}   {k.connection} {k.resource} {k.record}{gone}")
        session.document({"job": job, "records": [asdict(k) for k in found]})

    return finish_command(session, work())


@links.command("unlink")
@click.argument("job", metavar="JOB")
@click.argument("left", metavar="LEFT")
@click.argument("right", metavar="RIGHT")
@with_session
def links_unlink(session: Session, job: str, left: str, right: str) -> int:
    """The records LEFT and RIGHT of JOB are two things from now on. Writes to no vendor."""

    async def work() -> None:
        async with session.open() as hub:
            await hub.unlink(job, left, right)
        session.say(
            f"{left} and {right} are two things now; while they look alike, the next sync asks about them"
        )
        session.document({"job": job, "unlinked": [left, right]})

    return finish_command(session, work())
