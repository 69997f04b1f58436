"""``map``: rules between vendors' fields and the hub's words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli import failures
from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table
from connector_hub.diagnostics import Diagnostics
from connector_hub.errors import ConfigError, HubError
from connector_hub.model.entity import KINDS, Kind
from connector_hub.model.job import SideName

if TYPE_CHECKING:
    from connector_hub.adapters.files import Tested
    from connector_hub.adapters.overlays import Edit
    from connector_hub.hub import Hub
    from connector_hub.sync.preview import Line, Previewed
    from connector_hub.sync.suggest import End, Suggestion, UnknownOptions

_OPTIONS = 8
"""Options shown in a line."""
_DIFF = {"+": "green", "-": "red", "@": "cyan"}


@click.group("map", cls=LazyGroup)
@with_session
def map_(session: Session) -> None:
    """Rules between vendors' fields and the hub's words."""


@map_.command("test")
@click.argument("job", metavar="[JOB]", required=False)
@with_session
def map_test(session: Session, job: str | None) -> int:
    """Run the mappings' own tests: all of them, or those of JOB's two mappings."""
    code = 0

    async def work() -> None:
        nonlocal code
        async with session.open() as hub:
            found = hub.tests(job)
        _tell_tests(session, found)
        mistakes = Diagnostics(d for t in found for d in t.found)
        failed = sum(bool(t.failed) for t in found)
        session.document(
            {"tests": len(found), "failed": [_test_json(t) for t in found if t.failed]}
        )
        if failed:
            session.note(f"\n{mistakes.render()}")
            code = failures.USAGE

    return finish_command(session, work()) or code


def _tell_tests(session: Session, found: Sequence[Tested]) -> None:
    files = dict.fromkeys(t.file for t in found)
    for file in files:
        mine = [t for t in found if t.file == file]
        failed = [t for t in mine if t.failed]
        word = "test" if len(mine) == 1 else "tests"
        if not failed:
            session.say(f"ok    {file}   {len(mine)} {word}")
            continue
        session.say(f"fail  {file}   {len(failed)} of {len(mine)} {word}", colour="red")
        for t in failed:
            session.say(f"  test {t.number}")
            for name, (wanted, got) in t.failed.items():
                session.say(f"    - {name}: {_plain(wanted)}", colour="red")
                session.say(f"    + {name}: {_plain(got)}", colour="green")
    if not found:
        session.say("no mapping has a test")


def _plain(value: Any) -> str:
    """A value of a mapping's file: nobody's data."""
    from connector_hub.cli.session import quoted  # noqa: PLC0415
    from connector_hub.model.mapping import ABSENT  # noqa: PLC0415

    return "absent" if value is ABSENT else quoted(value)


def _test_json(t: Tested) -> dict[str, Any]:
    return {
        "file": t.file,
        "test": t.number,
        "fields": {
            n: {"wanted": _plain(w), "got": _plain(g)} for n, (w, g) in t.failed.items()
        },
    }


@map_.command("preview")
@click.argument("job", metavar="JOB")
@click.option(
    "--records",
    type=click.IntRange(min=1, max=100),
    default=3,
    metavar="N",
    help="So many records of each source (default: 3).",
)
@click.option("--record", metavar="ID", help="This record.")
@with_session
def map_preview(session: Session, job: str, *, records: int, record: str | None) -> int:
    """Show records of JOB: as the vendor holds them, in the hub's words, as the other side would get them.

    Reads only. Values are masked unless on a terminal or with `--values`.
    """

    async def work() -> None:
        async with session.open() as hub:
            found = await hub.preview(job, records, record)
            for p in found:
                _tell_preview(session, hub, job, p)
        if not found:
            session.say("no source of this job has a record")
        session.document(
            {"job": job, "records": [_preview_json(session, p) for p in found]}
        )

    return finish_command(session, work())


def _tell_preview(session: Session, hub: Hub, job: str, p: Previewed) -> None:
    j = hub.job(job)
    ends = {j.left.connection: j.right, j.right.connection: j.left}
    there = ends[p.connection].connection
    session.say(f"{p.connection} {p.record}")
    rows = [
        (
            line.field,
            session.value(line.raw),
            _word(session, line),
            _given(session, line),
        )
        for line in p.lines
    ]
    heads = ("FIELD", f"HELD BY {p.connection}", "THE HUB'S WORD", f"GIVEN TO {there}")
    for text in table(heads, rows, empty="no rules"):
        session.say(f"  {text}")
    session.say()


def _word(session: Session, line: Line) -> str:
    return session.value(line.word) if line.state == "read" else line.state


def _given(session: Session, line: Line) -> str:
    if line.path is None:
        return f"- {line.note}" if line.note else "-"
    return f"{line.path} {session.value(line.there)}"


def _preview_json(session: Session, p: Previewed) -> dict[str, Any]:
    fields = {}
    for line in p.lines:
        found: dict[str, Any] = {"state": line.state, "path": line.path}
        if line.note:
            found["note"] = line.note
        if session.values:
            found |= {"held": line.raw, "word": line.word, "given": line.there}
        fields[line.field] = found
    return {"connection": p.connection, "record": p.record, "fields": fields}


@map_.command("suggest")
@click.argument("job", metavar="JOB")
@with_session
def map_suggest(session: Session, job: str) -> int:
    """Propose rules for fields of JOB's two resources that look alike and that no rule reads.

    Reads both descriptions and a sample of records. Nothing is written: take one over
    with `map add`.
    """

    async def work() -> None:
        async with session.open() as hub:
            found, unknown = await hub.suggest(job)
        _tell_suggestions(session, job, found)
        _tell_unknown(session, unknown)
        session.document(
            {
                "job": job,
                "suggestions": [_suggestion_json(session, s) for s in found],
                "unknown_options": [
                    {"connection": u.connection, "field": u.field, "options": u.options}
                    for u in unknown
                ],
            }
        )

    return finish_command(session, work())


def _tell_suggestions(session: Session, job: str, found: Sequence[Suggestion]) -> None:
    if not found:
        session.say("nothing to suggest: every field with a like one has a rule")
        return
    for s in found:
        new = "" if s.known else ", a new word of the vocabulary"
        session.say(f"{s.field}   {s.kind}{new}   {s.why}")
        rows = [_end(session, "left", s.left), _end(session, "right", s.right)]
        for text in table(
            ("", "PATH", "TYPE", "FILLED", "VALUES", "SUCH AS"), rows, empty=""
        ):
            session.say(f"  {text}")
        for side, end in (("left", s.left), ("right", s.right)):
            if end.unmatched:
                session.say(
                    f"  no like option on the other side ({side}): {_some(end.unmatched)}"
                )
    session.say()
    session.say(f"take one over: connector-hub map add {job} FIELD")


def _end(session: Session, side: str, end: End) -> tuple[str, ...]:
    marks = [
        m
        for m, true in (("has a rule", end.mapped), ("read only", end.info.read_only))
        if true
    ]
    kind = ", ".join((end.info.type, *marks))
    held = end.held
    share = (
        f"{held.filled / held.looked:.0%} of {held.looked:,}"
        if held.looked
        else "no records"
    )
    such = ", ".join(map(session.value, held.samples)) if session.shows_values else ""
    return side, end.info.path, kind, share, f"{held.distinct:,}", such


def _some(options: Sequence[str]) -> str:
    more = len(options) - _OPTIONS
    shown = ", ".join(options[:_OPTIONS])
    return f"{shown}, {more} more" if more > 0 else shown


def _tell_unknown(session: Session, unknown: Iterable[UnknownOptions]) -> None:
    for u in unknown:
        session.say(
            f"options of {u.connection} that no table knows, left alone: "
            f"{u.field}: {_some(u.options)}"
        )


def _suggestion_json(session: Session, s: Suggestion) -> dict[str, Any]:
    def end(e: End) -> dict[str, Any]:
        found: dict[str, Any] = {
            "path": e.info.path,
            "type": e.info.type,
            "mapped": e.mapped,
            "looked_at": e.held.looked,
            "filled": e.held.filled,
            "values": e.held.distinct,
            "unmatched_options": e.unmatched,
        }
        if session.values:
            found["samples"] = e.held.samples
        return found

    return {
        "field": s.field,
        "kind": s.kind,
        "known": s.known,
        "why": s.why,
        "left": end(s.left),
        "right": end(s.right),
    }


@map_.command("add")
@click.argument("job", metavar="JOB")
@click.argument("field", metavar="FIELD")
@click.option("--left", metavar="PATH", help="Where it is on the left.")
@click.option("--right", metavar="PATH", help="Where it is on the right.")
@click.option(
    "--kind",
    type=click.Choice(sorted(k for k in KINDS if k != "link")),
    help="Of a new word.",
)
@click.option("--yes", is_flag=True, help="Write it without asking.")
@with_session
def map_add(
    session: Session,
    *,
    job: str,
    field: str,
    left: str | None,
    right: str | None,
    kind: Kind | None,
    yes: bool,
) -> int:
    """Give FIELD a rule on both sides of JOB, in the project's own mapping files.

    Without `--left` and `--right` it is what `map suggest` proposes. The diff is shown
    first. Records that are linked already keep what they have until `--backfill FIELD`.
    """
    given: dict[SideName, str] = {}
    if left is not None:
        given["left"] = left
    if right is not None:
        given["right"] = right

    async def work() -> None:
        async with session.open() as hub:
            edits = await hub.new_field(job, field, given, kind)
        for e in edits:
            for text in e.diff().splitlines():
                session.say(text, colour=_DIFF.get(text[:1]))
        written = _agreed(session, yes=yes)
        if written:
            await _write(session, edits)
            session.say(
                f"\nwritten. See what it would bring: connector-hub plan {job} --backfill {field}"
            )
        else:
            session.say("nothing was written")
        session.document(
            {
                "job": job,
                "field": field,
                "files": [str(e.path) for e in edits],
                "diff": "".join(e.diff() for e in edits),
                "written": written,
            }
        )

    return finish_command(session, work())


def _agreed(session: Session, *, yes: bool) -> bool:
    """Whether a person wants it written.

    Raises:
        ConfigError: nobody can be asked.
    """
    if yes:
        return True
    if not session.asks:
        raise ConfigError(
            "writing mapping files needs a yes, and nobody can be asked here",
            hint="run it again with --yes",
        )
    return click.confirm("Write this?", err=True)


async def _write(session: Session, edits: Sequence[Edit]) -> None:
    """Write the edits and read the project again; files that it cannot be read with are put back."""
    from connector_hub.adapters import overlays  # noqa: PLC0415 - heavy

    overlays.write(edits)
    try:
        async with session.open() as hub:
            mistakes = Diagnostics(d for t in hub.tests() for d in t.found)
        mistakes.raise_if_any()
    except HubError:
        overlays.undo(edits)
        session.note(
            "the files are as they were: with this rule the project has mistakes"
        )
        raise
