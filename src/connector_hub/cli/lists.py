"""``runs``, ``conflicts``, ``dead-letters``: what was done, what waits for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.adapters.sheets import read_sheet
from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.offline import age, instant, known_job, offline
from connector_hub.cli.outcomes import Outcomes, buckets
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import MASK, Session, printable, quoted, with_session
from connector_hub.cli.sheets import writing_sheet
from connector_hub.cli.tables import table
from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import ConfigError
from connector_hub.model.conflict import FIELDS, KINDS, Conflict, DeadLetter, causes
from connector_hub.model.job import SIDES, SideName

if TYPE_CHECKING:
    from connector_hub.hub import Hub

_HEADS = (
    *("number", "kind", "job", "left", "right"),
    *("field", "left value", "right value", "take"),
)
_SHOWN = 20
"""Letters listed unless all are asked for."""
_AT_ONCE = 500
"""Conflicts whose records are read together."""
_file = click.Path(dir_okay=False, path_type=Path)
_job = click.option("--job", metavar="JOB", help="Of this job only.")


@click.group(cls=LazyGroup, invoke_without_command=True)
@_job
@with_session
def runs(session: Session, job: str | None) -> int | None:
    """List the latest runs; `runs show N` tells all about one."""
    if click.get_current_context().invoked_subcommand:
        return None
    return offline(session, lambda hub: _runs(session, hub, job))


def _runs(session: Session, hub: Hub, job: str | None) -> None:
    found = hub.runs(known_job(hub, job))
    now = hub.clock.now()
    rows = [
        (
            str(r["run"]),
            r["job"],
            r["kind"],
            r["status"] or "running",
            age(r["started"], now),
            _counts(r["document"]),
        )
        for r in found
    ]
    heads = ("RUN", "JOB", "KIND", "STATUS", "AGE", "DONE")
    for text in table(heads, rows, empty="no runs yet"):
        session.say(text)
    session.document({"runs": found})


def _counts(document: Mapping[str, Any] | None) -> str:
    names = ("read", "created", "updated", "deleted", "conflicts", "dead_letters")
    told = document or {}
    return ", ".join(f"{n.replace('_', ' ')} {told[n]:,}" for n in names if told.get(n))


@runs.command("show")
@click.argument("number", metavar="N", type=int)
@with_session
def runs_show(session: Session, number: int) -> int:
    """Tell all about run N."""
    return offline(session, lambda hub: _run(session, hub, number))


def _run(session: Session, hub: Hub, number: int) -> None:
    found = next((r for r in hub.runs() if r["run"] == number), None)
    if found is None:
        raise ConfigError(
            f"run {number} is not among the latest runs",
            hint="see `connector-hub runs`",
        )
    document = found["document"] or {}
    session.say(
        f"run {number}   {found['job']}  {found['kind']}  "
        f"{found['status'] or 'running'}"
    )
    session.say(f"  from {instant(found['started'])} to {instant(found['ended'])}")
    for name, value in document.items():
        if isinstance(value, int) and name != "run":
            session.say(f"  {name.replace('_', ' '):<14}{value:>10,}")
    for connection, calls in (document.get("calls") or {}).items():
        session.say(f"  calls {connection}: {buckets(calls)}")
    if document.get("error"):
        session.say(f"  error[{document['error']['code']}]: ", colour="red")
        session.say(f"  {document['error']['message']}")
    session.document(found)


@click.group(cls=LazyGroup)
@with_session
def conflicts(session: Session) -> None:
    """What the hub may not decide alone: list, show, resolve."""


@conflicts.command("list")
@_job
@click.option(
    "--csv",
    "out",
    type=_file,
    metavar="FILE",
    help="Write them into a sheet to fill in.",
)
@with_session
def conflicts_list(session: Session, job: str | None, *, out: Path | None) -> int:
    """List the open conflicts.

    `--csv` writes a line for each field that is in conflict; with `--values` it holds
    what both sides say, and only you can read it. Fill in its column `take` and give
    it back with `conflicts resolve --csv`.
    """

    async def work() -> None:
        async with session.open() as hub:
            found = hub.conflicts(known_job(hub, job))
            _conflicts(session, hub, found)
            if out is not None:
                lines = await _sheet(session, hub, found, out)
                session.say(f"{lines:,} lines written to {out}")
                session.say(f"take it in: connector-hub conflicts resolve --csv {out}")

    return finish_command(session, work())


async def _sheet(
    session: Session, hub: Hub, found: Sequence[Conflict], out: Path
) -> int:
    """Write a line for each field of each conflict; how many."""
    n = 0
    with writing_sheet(out, _HEADS) as write:
        for i in range(0, len(found), _AT_ONCE):
            some = found[i : i + _AT_ONCE]
            views = await hub.views(some) if session.values else {}
            for c in some:
                ids = {s: [r for side, r in c.members if side == s] for s in SIDES}
                cells = [c.id, c.kind, c.job, *(" ".join(ids[s]) for s in SIDES)]
                for name in c.fields or [""]:
                    held = [
                        quoted(view[name]) if name in view else ""
                        for s in SIDES
                        for view in [views.get((c.job, s, "".join(ids[s][:1])), {})]
                    ]
                    write([*cells, name, *held, ""])
                    n += 1
    return n


def _conflicts(session: Session, hub: Hub, found: Sequence[Conflict]) -> None:
    now = hub.clock.now()
    rows = [
        (
            str(c.id),
            c.job,
            c.kind,
            ", ".join(f"{_at(hub, c, side)}:{r}" for side, r in c.members),
            age(c.opened, now),
        )
        for c in found
    ]
    heads = ("ID", "JOB", "WHAT", "RECORDS", "AGE")
    for text in table(heads, rows, empty="no open conflicts"):
        session.say(text)
    kinds = {c.kind for c in found}
    for kind in sorted(kinds & set(KINDS)):
        session.say(f"{kind}: {KINDS[kind]}")
    for c in found:
        if c.fights:
            session.say(f"conflict {c.id}: {_fight(c)}")
    session.document({"conflicts": [_conflict_json(session, hub, c) for c in found]})


def _fight(conflict: Conflict) -> str:
    """What people are told of fields that are written to and fro."""
    return (
        f"{', '.join(conflict.fights)} was written to and fro within minutes: something on each side "
        "sets it back; stop one of the two, then say which is right"
    )


def _at(hub: Hub, conflict: Conflict, side: str) -> str:
    """The connection of a side."""
    job = hub.project.jobs.get(conflict.job)
    if job is None:
        return side
    return job.side("left" if side == "left" else "right").connection


def _conflict_json(session: Session, hub: Hub, conflict: Conflict) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": conflict.id,
        "job": conflict.job,
        "kind": conflict.kind,
        "members": [
            {"side": side, "connection": _at(hub, conflict, side), "record": r}
            for side, r in conflict.members
        ],
        "run": conflict.run,
        "opened": conflict.opened,
    }
    if conflict.fights:
        found["fights"] = conflict.fights
    if session.values:
        found["detail"] = dict(conflict.detail)
    return found


@conflicts.command("show")
@click.argument("number", metavar="N", type=int)
@with_session
def conflicts_show(session: Session, number: int) -> int:
    """Show the records of conflict N side by side, as they are now."""

    async def work() -> None:
        async with session.open() as hub:
            conflict = hub.conflict(number)
            members = await hub.members(conflict)
            _side_by_side(session, conflict, members)
            document = _conflict_json(session, hub, conflict)
            if session.values:
                document["views"] = [
                    {"connection": c, "record": r, "view": dict(view)}
                    for c, r, view in members
                ]
            session.document(document)

    return finish_command(session, work())


def _side_by_side(
    session: Session,
    conflict: Conflict,
    members: Sequence[tuple[str, str, Mapping[str, Any]]],
) -> None:
    session.say(
        f"conflict {conflict.id}   {conflict.job}   {conflict.kind}   "
        f"run {conflict.run}, {instant(conflict.opened)}"
    )
    if conflict.kind in KINDS:
        session.say(KINDS[conflict.kind])
    fields = list(dict.fromkeys(f for _, _, view in members for f in view))
    asked = conflict.fields
    if asked:
        fields.sort(key=lambda f: f not in asked)
        session.say(f"fields that both sides changed: {', '.join(asked)}")
    if conflict.fights:
        session.say(_fight(conflict))
    rows = [
        (f, *(session.value(view[f]) if f in view else "" for _, _, view in members))
        for f in fields
    ]
    heads = ("FIELD", *(f"{c}:{r}" for c, r, _ in members))
    session.say()
    for text in table(heads, rows, empty="none of its records is there any more"):
        session.say(text)


@conflicts.command("resolve")
@click.argument("numbers", metavar="[N]...", type=int, nargs=-1)
@click.option(
    "--take",
    metavar="CONNECTION",
    help="Whose values stay: a connection of the job, or left or right.",
)
@click.option("--field", "fields", multiple=True, help="Only this field.")
@click.option("--job", metavar="JOB", help="All field conflicts of a job.")
@click.option(
    "--csv", "file", type=_file, metavar="FILE", help="As a filled-in sheet says."
)
@with_session
def conflicts_resolve(
    session: Session,
    *,
    numbers: tuple[int, ...],
    take: str | None,
    fields: tuple[str, ...],
    job: str | None,
    file: Path | None,
) -> int:
    """Say who is right about fields that both sides changed; the next sync carries it out.

    `--csv` takes in the sheet that `conflicts list --csv` wrote: its column `take`
    names a connection, or left or right; lines where it is empty stay open.
    """
    if file is not None:
        if numbers or take or fields or job:
            raise click.UsageError("--csv says it all: give nothing else with it")
        return offline(session, lambda hub: _from_sheet(session, hub, file))
    if take is None:
        raise click.UsageError(
            "say whose values stay: --take CONNECTION, or --csv FILE"
        )
    return offline(session, _resolving(session, numbers, take, fields, job))


def _from_sheet(session: Session, hub: Hub, file: Path) -> None:
    decided = hub.decide(str(file), read_sheet(file))
    told = []
    for d in decided:
        take = hub.job(d.conflict.job).side(d.winner).connection
        told.append({"conflict": d.conflict.id, "fields": list(d.fields), "take": take})
    session.say(f"{len({d.conflict.id for d in decided}):,} conflicts are decided")
    for name in sorted({d.conflict.job for d in decided}):
        session.say(f"carry it out: connector-hub sync {name}")
    session.document({"resolved": told})


def _resolving(
    session: Session,
    numbers: tuple[int, ...],
    take: str,
    fields: tuple[str, ...],
    job: str | None,
) -> Callable[[Hub], None]:
    """Resolves conflicts by number, or all of a job."""

    def work(hub: Hub) -> None:
        found = [hub.conflict(n) for n in numbers]
        if job is not None:
            found += [c for c in hub.conflicts(known_job(hub, job)) if c.kind == FIELDS]
        if not numbers and job is None:
            raise ConfigError(
                "which conflicts?", hint="give their numbers, or --job JOB"
            )
        told = []
        for c in found:
            decided = hub.resolve(c, _winner(hub, c, take), fields)
            told.append({"conflict": c.id, "fields": list(decided), "take": take})
            what = f"{take} is right about {', '.join(decided)}"
            session.say(
                f"conflict {c.id}: {what if decided else 'closed, to be sent again'}"
            )
        for name in sorted({c.job for c in found}):
            session.say(f"carry it out: connector-hub sync {name}")
        session.document({"resolved": told})

    return work


def _winner(hub: Hub, conflict: Conflict, take: str) -> SideName:
    """The side a person means by a connection's name, or by the side's own."""
    sides = hub.job(conflict.job).sides_by_word
    if take not in sides:
        raise ConfigError(
            f"{take!r} is no side of job {conflict.job}", hint=did_you_mean(take, sides)
        )
    return sides[take]


@click.group("dead-letters", cls=LazyGroup)
@with_session
def dead_letters(session: Session) -> None:
    """Changes that vendors refused: list, show, edit, replay."""


@dead_letters.command("list")
@_job
@click.option("--all", "every", is_flag=True, help="List every letter.")
@with_session
def letters_list(session: Session, *, job: str | None, every: bool) -> int:
    """List the open dead letters, and how many have the same cause."""
    return offline(session, lambda hub: _letters(session, hub, job, every=every))


def _letters(session: Session, hub: Hub, job: str | None, *, every: bool) -> None:
    found = hub.dead_letters(known_job(hub, job))
    now = hub.clock.now()
    shown = found if every else found[:_SHOWN]
    rows = [
        (
            str(d.id),
            d.job,
            d.record,
            f"{d.reason} {', '.join(d.fields)}".strip(),
            age(d.opened, now),
        )
        for d in shown
    ]
    heads = ("ID", "JOB", "RECORD", "WHY", "AGE")
    for text in table(heads, rows, empty="no open dead letters"):
        session.say(text)
    if len(found) > len(shown):
        session.say(f"... {len(found) - len(shown):,} more (--all)")
    grouped = causes(found)
    if len(found) > len(grouped):
        session.say()
        for c in grouped:
            what = f"{c.count:,} x {c.reason} {', '.join(c.fields)}".rstrip()
            more = ", ..." if c.count > len(c.samples) else ""
            numbers = ", ".join(map(str, c.samples))
            session.say(f"{what}   {c.job}   letters {numbers}{more}")
    session.document(
        {
            "dead_letters": [_letter_json(session, d) for d in found],
            "causes": [asdict(c) for c in grouped],
        }
    )


def _letter_json(session: Session, letter: DeadLetter) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": letter.id,
        "job": letter.job,
        "record": letter.record,
        "op": letter.op,
        "reason": letter.reason,
        "fields": list(letter.fields),
        "run": letter.run,
        "opened": letter.opened,
    }
    if session.values:
        found["message"] = letter.message
    return found


@dead_letters.command("show")
@click.argument("number", metavar="N", type=int)
@with_session
def letters_show(session: Session, number: int) -> int:
    """Show dead letter N with the vendor's own words."""
    return offline(session, lambda hub: _letter(session, hub, number))


def _letter(session: Session, hub: Hub, number: int) -> None:
    d = hub.dead_letter(number)
    session.say(f"dead letter {d.id}   {d.job}   {d.op} of {d.record}")
    session.say(f"  why      {d.reason} {', '.join(d.fields)}".rstrip())
    shown = printable(d.message) if session.shows_values else f"{MASK} (--values)"
    session.say(f"  vendor   {shown}")
    session.say(f"  since    {instant(d.opened)}, run {d.run}")
    session.say(f"when it is mended: connector-hub dead-letters replay {d.id}")
    session.document(_letter_json(session, d))


@dead_letters.command("edit")
@click.argument("number", metavar="N", type=int)
@click.argument("edits", metavar="FIELD=VALUE...", nargs=-1, required=True)
@with_session
def letters_edit(session: Session, number: int, edits: tuple[str, ...]) -> int:
    """Correct the record behind dead letter N where its values came from.

    VALUE is in the hub's words; nothing behind the `=` clears the field. It is written
    to the source, as if you had edited the record there; `dead-letters replay` or the
    next sync takes it along. `undo` brings back what stood there.
    """
    asked: dict[str, str] = {}
    for text in edits:
        name, sign, value = text.partition("=")
        if not (name and sign) or name in asked:
            raise click.UsageError(f"{name!r}: write FIELD=VALUE, each field once")
        asked[name] = value

    async def work() -> None:
        async with session.open() as hub:
            letter = hub.dead_letter(number)
            done = await hub.mend(letter, asked)
        session.say(
            f"{done.connection} {done.record}: {', '.join(asked)} edited in run {done.run}"
        )
        for name in done.not_taken:
            session.say(f"{name}: the vendor made something else of it")
        session.say(f"send it: connector-hub dead-letters replay {number}")
        session.document({**asdict(done), "letter": number, "fields": list(asked)})

    return finish_command(session, work())


@dead_letters.command("replay")
@click.argument("numbers", metavar="[N]...", nargs=-1, type=int)
@_job
@click.option("--all", "every", is_flag=True, help="All that are open.")
@with_session
def letters_replay(
    session: Session, *, numbers: tuple[int, ...], job: str | None, every: bool
) -> int:
    """Try dead letters again, from what the source holds now and today's mapping."""
    if (bool(numbers), job is not None, every).count(True) != 1:
        raise click.UsageError("say which: numbers, --job JOB, or --all")
    outcomes = Outcomes(session, single=not every)

    async def work() -> None:
        async with session.open() as hub:
            wanted = _wanted(hub, numbers, job)
            outcomes.single = outcomes.single and len(wanted) == 1
            outcomes.width = max(map(len, wanted), default=0)
            if not wanted:
                session.say("no open dead letters")
            for name, ids in wanted.items():
                if not await outcomes.attempt(
                    name,
                    lambda progress, name=name, ids=ids: hub.replay(  # type: ignore[misc]
                        name, ids, progress=progress
                    ),
                ):
                    break

    return outcomes.run(work(), job or "")


def _wanted(
    hub: Hub, numbers: tuple[int, ...], job: str | None
) -> dict[str, list[int]]:
    """Which letters of which jobs, jobs in their order.

    Raises:
        ConfigError: a number or the job is not there.
    """
    letters = (
        [hub.dead_letter(n) for n in numbers]
        if numbers
        else hub.dead_letters(known_job(hub, job))
    )
    by_job: dict[str, list[int]] = {job: []} if job else {}
    for d in letters:
        by_job.setdefault(d.job, []).append(d.id)
    return {n: by_job[n] for n in hub.jobs_in_order() if n in by_job}
