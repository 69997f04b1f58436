"""A call to the sandbox as its parts see it, and what it is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from connector_hub_salesforce.refused import Refused


@dataclass(frozen=True, slots=True)
class Call:
    """A call, from outside or as a part of a composite one.

    ``path`` is what follows ``/services/data/vNN.0``, split and decoded; ``raw`` is a body that is not JSON.
    """

    method: str
    version: str
    path: tuple[str, ...]
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    raw: bytes = b""

    @property
    def base(self) -> str:
        """The path of the version."""
        return f"/services/data/{self.version}"

    def flag(self, name: str) -> bool:
        """A true or false of the query string."""
        return self.params.get(name, "").lower() == "true"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call is answered; a None body is empty, a text is CSV."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


def nowhere() -> Refused:
    """The refusal of a path that is none."""
    return Refused("NOT_FOUND", "The requested resource does not exist", status=404)


def not_allowed(call: Call) -> Refused:
    """The refusal of a method."""
    return Refused(
        "METHOD_NOT_ALLOWED",
        f"HTTP Method '{call.method}' not allowed.",
        status=405,
    )


def only(call: Call, method: str) -> None:
    """Let one method in.

    Raises:
        Refused: METHOD_NOT_ALLOWED.
    """
    if call.method != method:
        raise not_allowed(call)
