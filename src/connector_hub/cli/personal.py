"""``erase`` and ``export``: what is kept about one person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli.offline import offline
from connector_hub.cli.session import MASK, Session, masked, quoted, with_session
from connector_hub.cli.tables import table
from connector_hub.errors import ConfigError

if TYPE_CHECKING:
    from connector_hub.hub import Hub
    from connector_hub.model.erasure import Erasure

_identities = click.option(
    "--identity",
    "identities",
    multiple=True,
    metavar="VALUE",
    help="email=ADDRESS, phone=NUMBER,family_name=NAME, or an address or number alone.",
)
_entity = click.option(
    "--entity", metavar="NAME", help="Of several that are known by such a field."
)
PARTIAL = 3
UNCLEAN = (
    "another process has them open, or the disk has no room to write them anew\n"
    "  help: end it or free space, then: connector-hub erase --expired"
)


@click.command()
@_identities
@_entity
@click.option(
    "--lift", is_flag=True, help="Let an erased person's records travel again."
)
@click.option(
    "--expired", is_flag=True, help="Only what has had its time, of everybody."
)
@click.option("--yes", is_flag=True, help="Erase without asking.")
@with_session
def erase(
    session: Session,
    *,
    identities: tuple[str, ...],
    entity: str | None,
    lift: bool,
    expired: bool,
    yes: bool,
) -> int:
    """Forget a person: links, bases, journals, plans, conflicts, dead letters.

    Writes to no vendor, and lists the records that stay there. What is kept are keyed
    hashes, so that a sync does not bring the person back. Give --identity again for a
    second address of the same person.
    """
    if expired and (identities or entity or lift):
        raise click.UsageError("--expired is of everybody: leave the others out")
    code = 0

    def forget(hub: Hub) -> None:
        nonlocal code
        found, clean = hub.forget_due()
        session.say(f"forgotten: {_counted(found)}")
        code = 0 if clean else _unclean(session)
        session.document({"forgotten": dict(found), "clean": clean})

    if expired:
        return offline(session, forget) or code
    if lift:
        return offline(session, lambda hub: _lift(session, hub, identities, entity))

    def work(hub: Hub) -> None:
        nonlocal code
        found = hub.erasable(identities, entity=entity)
        if not (yes or _agreed(session, found)):
            session.say("nothing was erased")
            session.document({"erased": False, **_document(found)})
            return
        found = hub.erase(identities, entity=entity)
        session.say(f"erased: {_counted(found.rows)}")
        if not found.rows:
            session.note(
                "nothing was kept under that identity; who comes with it is left alone from here on\n"
                "  help: if it is misspelt, take it back: connector-hub erase --lift --identity VALUE"
            )
        _tell_vendors(session, found)
        code = 0 if found.clean else _unclean(session)
        session.document({"erased": True, "clean": found.clean, **_document(found)})

    return offline(session, work) or code


def _agreed(session: Session, found: Erasure) -> bool:
    """Whether a person wants it.

    Raises:
        ConfigError: nobody can be asked.
    """
    if not session.asks:
        raise ConfigError(
            "erasing needs a yes, and nobody can be asked here",
            hint="run it again with --yes",
        )
    session.note(f"kept about this {found.entity}: {_counted(found.rows)}")
    _tell_vendors(session, found)
    return click.confirm("Erase it? It cannot be brought back", err=True)


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {kind}" for kind, n in rows.items()) or "nothing"


def _tell_vendors(session: Session, found: Erasure) -> None:
    """The records that only whoever runs the vendor can erase."""
    if not found.vendors:
        return
    session.say("still at the vendors, where the hub erases nothing:")
    rows = [
        (v.connection, v.resource, v.record or f"record key {v.hub_id}, if it is there")
        for v in found.vendors
    ]
    for text in table(("CONNECTION", "RESOURCE", "RECORD"), rows, empty=""):
        session.say(f"  {text}")


def _document(found: Erasure) -> dict[str, Any]:
    return {
        "entity": found.entity,
        "rows": dict(found.rows),
        "vendors": [
            {
                "connection": v.connection,
                "resource": v.resource,
                "record": v.record or None,
                "hub_id": v.hub_id or None,
            }
            for v in found.vendors
        ],
    }


def _lift(
    session: Session, hub: Hub, identities: tuple[str, ...], entity: str | None
) -> None:
    n = hub.lift(identities, entity=entity)
    if n:
        session.say(
            "lifted: the next sync reads everything, and takes their records up"
        )
    else:
        session.say("nobody was erased under that identity")
    session.document({"lifted": n})


def _unclean(session: Session) -> int:
    """Rows are gone and their bytes are not; the exit code of that."""
    session.note(f"bytes of it are still in the state's files: {UNCLEAN}")
    return PARTIAL


@click.command()
@_identities
@_entity
@with_session
def export(session: Session, *, identities: tuple[str, ...], entity: str | None) -> int:
    """Show everything that is kept about a person.

    Values are shown on a terminal or with --values; elsewhere they are masked.
    """

    def work(hub: Hub) -> None:
        found = hub.export(identities, entity=entity)
        _tell(session, found)
        session.document(found if session.values else _hidden(found))

    return offline(session, work)


def _tell(session: Session, found: dict[str, Any]) -> None:
    gone = "; erased, and left alone since" if found["erased"] else ""
    session.say(f"{found['entity']}{gone}")
    for v in found["vendors"]:
        session.say(f"  {v['connection']}  {v['resource']}  {v['record']}")
    for kind, rows in found["kept"].items():
        session.say(f"{kind}   {len(rows):,}")
        for row in rows:
            session.say(f"  {_line(session, row)}".rstrip())
    if not found["kept"]:
        session.say("nothing is kept")


def _line(session: Session, row: Mapping[str, Any]) -> str:
    show = quoted if session.shows_values else masked
    told = [
        f"{name}={', '.join(value) if isinstance(value, list) else value}"
        for name, value in row.items()
        if name != "values" and value not in (None, "", [])
    ]
    told += [
        f"{name}={show(value)}" for name, value in _flat(row.get("values", {})).items()
    ]
    return "  ".join(told)


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by where they stand: ``before.email``."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        at = f"{before}{name}"
        found |= _flat(value, f"{at}.") if isinstance(value, dict) else {at: value}
    return found


def _hidden(found: dict[str, Any]) -> dict[str, Any]:
    kept = {
        kind: [
            {**row, "values": _masked(row["values"])} if "values" in row else row
            for row in rows
        ]
        for kind, rows in found["kept"].items()
    }
    return {**found, "kept": kept}


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    return {n: _masked(v) if isinstance(v, dict) else MASK for n, v in values.items()}
