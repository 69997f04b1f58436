"""``undo`` and ``why``: what was written, and taking it back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli import planview
from connector_hub.cli.offline import instant
from connector_hub.cli.planfiles import csv_option, html_option, plan_files
from connector_hub.cli.progress import watching
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import MASK, Session, with_session
from connector_hub.cli.tables import table

if TYPE_CHECKING:
    from connector_hub.sync.why import Standing, Why, Written


@click.command()
@click.argument("run", metavar="RUN", type=int)
@click.option("--all", "every", is_flag=True, help="List every change.")
@html_option
@csv_option
@with_session
def undo(
    session: Session, *, run: int, every: bool, html: Path | None, sheet: Path | None
) -> int:
    """Plan what brings both sides back to where they were before RUN.

    Writes to no vendor; `apply` carries the plan out. Fields that were changed since
    stay as they are. What cannot be brought back is listed with what it held.
    """

    async def work() -> None:
        async with session.open() as hub:
            with watching(session, f"run {run}") as progress:
                plan = await hub.undo(run, progress=progress)
            planview.tell(session, hub, plan, every=every)
            files.add(hub, plan)
            session.document(planview.document(session, hub, plan, every=every))

    with plan_files(session, html, sheet) as files:
        code = finish_command(session, work())
    files.tell()
    return code


@click.command()
@click.argument("entity", metavar="ENTITY")
@click.argument("record", metavar="ID")
@click.argument("field", metavar="FIELD")
@with_session
def why(session: Session, *, entity: str, record: str, field: str) -> int:
    """Why FIELD of record ID holds what it holds.

    ENTITY is a word of the vocabulary, or a job. ID is a record's id on either side,
    or a hub id. Tells both values as they are now, the rules, who won last, and what
    is open.
    """

    async def work() -> None:
        async with session.open() as hub:
            found = await hub.why(entity, record, field)
        for i, one in enumerate(found):
            if i:
                session.say()
            _tell(session, one)
        session.document({"why": [_as_json(session, one) for one in found]})

    return finish_command(session, work())


def _tell(session: Session, why: Why) -> None:
    hub = f"   hub id {why.hub}" if why.hub else "   not linked"
    session.say(f"{why.entity} {why.field}   job {why.job}{hub}")
    rows = [
        (
            f"{s.connection}/{s.resource}",
            s.record or "none",
            _value(session, s),
            "gone" if s.gone else s.state,
            s.rule or "no rule",
        )
        for s in why.sides
    ]
    for text in table(("SIDE", "RECORD", "VALUE", "STANDS", "RULE"), rows, empty=""):
        session.say(f"  {text}")
    session.say(f"policy   {why.policy}")
    for i, w in enumerate(why.writes):
        session.say(f"{'last' if not i else 'before':<8} {_written(session, w)}")
    if not why.writes:
        session.say("last     no run wrote it in the last 30 days")
    for i, text in enumerate(why.open):
        session.say(f"{'' if i else 'open':<8} {text}")


def _value(session: Session, s: Standing) -> str:
    if s.known:
        return session.value(s.value)
    return "no answer" if s.state == "unknown" else "" if s.state == "" else "unread"


def _written(session: Session, w: Written) -> str:
    done = {"create": "created with", "archive": "archived, it held"}.get(
        w.op, "set to"
    )
    value = session.value(w.before if w.op == "archive" else w.after)
    was = f", it was {session.value(w.before)}" if w.op == "update" else ""
    taken = "" if w.taken else "; the vendor did not take what it was given"
    way = f"{w.source} -> {w.to}" if w.source else w.to
    return (
        f"run {w.run}, {instant(w.at)}: {way}, {done} {value}{was}"
        f"   ({w.reason}{taken})"
    )


def _as_json(session: Session, why: Why) -> dict[str, Any]:
    found = asdict(why)
    if not session.values:
        for hidden in (*found["sides"], *found["writes"]):
            for name in ("value", "before", "after"):
                if hidden.get(name) is not None:
                    hidden[name] = MASK
    return found
