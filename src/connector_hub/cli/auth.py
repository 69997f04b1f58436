"""``auth``: what connections sign with; renew it, give it back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.offline import offline
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table

if TYPE_CHECKING:
    from connector_hub.hub import Credential, Hub

_HEADS = ("CONNECTION", "WAY", "STATE", "ACCOUNT", "RENEWED", "EXPIRES", "SCOPES")


@click.group(cls=LazyGroup)
@with_session
def auth(session: Session) -> None:
    """What connections sign with: show it, renew it, give it back."""


@auth.command()
@click.argument("name", required=False)
@with_session
def status(session: Session, name: str | None) -> int:
    """Show what connection NAME, or each, signs with. No vendor is asked, and no token shown."""

    def work(hub: Hub) -> None:
        found = hub.credentials(name)
        rows = [_row(c) for c in found]
        for text in table(_HEADS, rows, empty="there is no connection"):
            session.say(text)
        for c in found:
            if c.state != "good":
                session.note(f"{c.connection}: connector-hub connect {c.connection}")
        session.document({"connections": [_json(c) for c in found]})

    return offline(session, work)


def _row(found: Credential) -> tuple[str, ...]:
    return (
        found.connection,
        found.way,
        found.state,
        found.account or "-",
        _at(found.renewed),
        _at(found.expires),
        " ".join(found.scopes) or "-",
    )


def _at(moment: datetime | None) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M}" if moment else "-"


def _json(found: Credential) -> dict[str, Any]:
    return {
        "connection": found.connection,
        "connector": found.connector,
        "way": found.way,
        "state": found.state,
        "account": found.account,
        "renewed": found.renewed,
        "expires": found.expires,
        "scopes": list(found.scopes),
    }


@auth.command()
@click.argument("name")
@with_session
def refresh(session: Session, name: str) -> int:
    """Ask the vendor of connection NAME for another access token now."""

    async def work() -> None:
        async with session.open() as hub:
            found = await hub.renew(name)
        until = f", good until {_at(found.expires)}" if found.expires else ""
        session.say(f"ok  {name} has another access token{until}")
        session.document(_json(found))

    return finish_command(session, work())


@auth.command()
@click.argument("name")
@click.option("--local", is_flag=True, help="Forget it here; do not ask the vendor.")
@with_session
def logout(session: Session, *, name: str, local: bool) -> int:
    """Give the token of connection NAME back to its vendor, and forget it."""

    async def work() -> None:
        async with session.open() as hub:
            left = await hub.logout(name, local=local)
        session.say(
            "ok  the vendor has revoked it" if left.revoked else "nothing was revoked"
        )
        session.say(
            "ok  the state has forgotten it" if left.forgotten else "the state had none"
        )
        if left.reference:
            session.note(
                f"{left.reference} holds a refresh token still: remove it there"
            )
        session.document(
            {
                "connection": name,
                "revoked": left.revoked,
                "forgotten": left.forgotten,
                "reference": left.reference or None,
            }
        )

    return finish_command(session, work())
