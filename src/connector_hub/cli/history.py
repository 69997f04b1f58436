"""``undo`` and ``why``: what was written, and taking it back."""

from __future__ import annotations

import click

from connector_hub.cli import planview
from connector_hub.cli.progress import watching
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session


@click.command()
@click.argument("run", metavar="RUN", type=int)
@click.option("--all", "every", is_flag=True, help="List every change.")
@with_session
def undo(session: Session, *, run: int, every: bool) -> int:
    """Plan what brings both sides back to where they were before RUN.

    Writes to no vendor; `apply` carries the plan out. Fields that were changed since
    stay as they are. What cannot be brought back is listed with what it held.
    """

    async def work() -> None:
        async with session.open() as hub:
            with watching(session, f"run {run}") as progress:
                plan = await hub.undo(run, progress=progress)
            planview.tell(session, hub, plan, every=every)
            session.document(planview.document(session, hub, plan, every=every))

    return finish_command(session, work())
