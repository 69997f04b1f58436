"""``notify``: who is told of what, and whether they can be reached."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from connector_hub.cli.running import Interrupted, finish
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table
from connector_hub.model.notice import TOPICS

if TYPE_CHECKING:
    from connector_hub.hub import Hub


@click.command()
@click.option("--test", "trying", is_flag=True, help="Send a test to each of them.")
@with_session
def notify(session: Session, *, trying: bool) -> int:
    """List who is told of what (`notify:` in hub.yaml); --test sends each a message."""

    async def work() -> int:
        async with session.open() as hub:
            return await _test(session, hub) if trying else _list(session, hub)

    try:
        return finish(work())
    except Interrupted as e:
        session.note("interrupted")
        return e.exit_code


def _list(session: Session, hub: Hub) -> int:
    missed = {id(r): f"not since {at:%Y-%m-%d}: {why}" for r, why, at in hub.untold()}
    rows = []
    for r in hub.project.notify:
        topics = ", ".join(t for t in TOPICS if t in r.topics)
        rows.append((r.way.label(), topics, missed.get(id(r), "")))
    heads = ("RECEIVER", "ON", "REACHED")
    for line in table(heads, rows, empty="nobody is told: hub.yaml has no notify:"):
        session.say(line)
    session.document(
        {"receivers": [{"receiver": a, "on": b, "reached": c} for a, b, c in rows]}
    )
    return 0


async def _test(session: Session, hub: Hub) -> int:
    found = await hub.try_notify()
    for receiver, why in found:
        label = receiver.way.label()
        if why:
            session.say(f"failed  {label}: {why}", colour="red")
        else:
            session.say(f"ok      {label}")
    if not found:
        session.say("nobody is told: hub.yaml has no notify:")
    session.document(
        {
            "receivers": [
                {"receiver": r.way.label(), "delivered": not why, "error": why}
                for r, why in found
            ]
        }
    )
    return 1 if any(why for _, why in found) else 0
