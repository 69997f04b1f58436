"""``key``: the state's key, given another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector_hub.cli.lazy import LazyGroup
from connector_hub.cli.offline import offline
from connector_hub.cli.personal import PARTIAL, UNCLEAN
from connector_hub.cli.session import Session, with_session

if TYPE_CHECKING:
    from connector_hub.hub import Hub


@click.group(cls=LazyGroup)
@with_session
def key(session: Session) -> None:
    """The key of the state: rotate it."""


@key.command("rotate")
@click.option(
    "--to",
    metavar="REFERENCE",
    help="Where the new key is kept, file:PATH or keyring:NAME; env:NAME has one already.",
)
@with_session
def rotate(session: Session, to: str | None) -> int:
    """Seal and hash the whole state under a new key. The old one opens nothing of it then.

    Without --to the new key takes the old one's place. It can be killed at any time and
    run again; no vendor is asked, and the next sync goes on where the last one stopped.
    """
    code = 0

    def work(hub: Hub) -> None:
        nonlocal code
        done = hub.rotate_key(to)
        session.say(f"the state has a new key, at {done.to}")
        if done.moved:
            session.say(
                f"now write `key: {done.to}` in hub.yaml; {done.was} opens nothing any more"
            )
        session.say(
            "copies of the state from before still open with the old key: destroy one of the two"
        )
        session.say(
            "keep a copy of the new one elsewhere, then: connector-hub doctor --key-saved COPY"
        )
        if not done.clean:
            session.note(
                f"bytes of what the old key opens are still in the state's files: {UNCLEAN}"
            )
            code = PARTIAL
        session.document({"key": done.to, "was": done.was, "clean": done.clean})

    return offline(session, work) or code
