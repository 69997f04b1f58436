"""What is not as it should be with a job or a connection: it is held, or another writes the same."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from connector_hub.model.job import SideName

Held = Literal["job", "connection"]


@dataclass(frozen=True, slots=True)
class Rival:
    """A user who changed a field of a job's records soon after the hub had written it.

    ``records`` of them, and the same one ``times`` at the most.
    """

    job: str
    side: SideName
    field: str
    user: str
    records: int
    times: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A job or connection that does not stand as it should; one that has none is well.

    ``state``: *paused* by a person, a connection that needs to *reconnect*, or one whose vendor is *failing*.
    ``who`` paused it, and ``why`` as that person said it; for a reconnect, the error's name.
    ``credentials`` is a keyed hash of the secrets that were refused.
    """

    what: Held
    name: str
    state: Literal["paused", "reconnect", "failing"]
    since: datetime
    who: str = ""
    why: str = ""
    credentials: bytes = b""

    def told(self) -> str:
        """In one line: paused by whom, since when, and why."""
        at = f"{self.since.astimezone():%Y-%m-%d %H:%M}"
        if self.state == "reconnect":
            return f"{self.what} {self.name} must be reconnected, since {at}"
        if self.state == "failing":
            return f"the vendor of {self.what} {self.name} fails, since {at}"
        by = f" by {self.who}" if self.who else ""
        why = f": {self.why}" if self.why else ""
        return f"{self.what} {self.name} is paused{by}, since {at}{why}"

    def remedy(self) -> str:
        """The command that ends it; empty where it ends by itself."""
        verb = {"paused": "resume", "reconnect": "connect"}.get(self.state)
        return f"connector-hub {verb} {self.name}" if verb else ""
