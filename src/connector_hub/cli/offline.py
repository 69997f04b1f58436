"""What commands share that show or decide something and ask no vendor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from connector_hub.cli.outcomes import duration
from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session

if TYPE_CHECKING:
    from connector_hub.hub import Hub


def offline(session: Session, work: Callable[[Hub], None]) -> int:
    """Do something with the open project that asks no vendor."""

    async def opened() -> None:
        async with session.open() as hub:
            work(hub)

    return finish_command(session, opened())


def known_job(hub: Hub, job: str | None) -> str | None:
    """A job's name, once it is known to be one.

    Raises:
        ConfigError: the project has no such job.
    """
    return hub.job(job).name if job is not None else None


def instant(at: str | None) -> str:
    """An instant as people read it, in UTC."""
    if at is None:
        return "now"
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(since: str, now: datetime) -> str:
    """How long ago something was."""
    return duration(max((now - datetime.fromisoformat(since)).total_seconds(), 0.0))
