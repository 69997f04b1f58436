"""What the hub may not decide alone, and what a vendor refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connector_hub.model.job import SideName

UNKNOWN = "unknown outcome"
KINDS: Mapping[str, str] = {
    "twins": "several records on one side are the same person or thing; merge them there",
    "candidates": "several records on the other side fit; merge them there, or tell which",
    "taken": "its counterpart is linked to another record; merge the two on this side",
    "fields": "both sides changed the same fields; say which side is right: conflicts resolve N --take SIDE",
    "no identity": "every identifying field is blank; fill one in",
    UNKNOWN: "a create was never answered and cannot be looked up; see what the vendor has: is it there, "
    "links import; is it not, conflicts resolve N --take SIDE",
}
"""Kinds of conflict, and what resolves each."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """An open question. ``members`` are (side, record id); ``detail`` may hold values: sealed at rest."""

    id: int
    job: str
    kind: str
    members: tuple[tuple[SideName, str], ...]
    run: int
    opened: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A change a vendor refused. ``message`` is the vendor's own, sealed at rest."""

    id: int
    job: str
    side: SideName
    """Where the record is whose values were refused."""
    record: str
    op: str
    reason: str
    fields: tuple[str, ...]
    run: int
    opened: str
    message: str
