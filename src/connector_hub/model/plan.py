"""What a job would do now, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct

from connector_hub.model.mapping import Raws

Action = Literal["create", "update", "archive", "settle"]
"""``settle`` writes nothing to a vendor: both sides agree, and the hub remembers it."""

OUTCOMES = (
    "dead_letters",
    "conflicts",
    "blocked",
    "stale",
    "not_taken",
    "created",
    "updated",
    "deleted",
    "unchanged",
)
"""What may become of a record, the gravest first."""


class Seen(Struct, array_like=True, gc=False):
    """A record as the planner read it: the mapped fields only."""

    id: str
    version: str | None
    key: str | None
    by: str | None
    raws: Raws


class Change(Struct, array_like=True, gc=False):
    """One write, or one agreement, with its reason.

    ``fields`` are those to write; ``agreed`` those the two sides hold alike.
    ``waits`` are link fields whose target has no link yet, as (field, resource, record).
    """

    action: Action
    hub: bytes
    source: Seen | None
    target: Seen | None
    fields: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    waits: tuple[tuple[str, str, str], ...] = ()
    clears: int = 0
    first: bool = False
    """The two records are linked by this change."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field's old and new value in the hub's words."""

    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """A change as people read it. ``record`` is the target's id, None for a create."""

    action: Action
    source: str | None
    record: str | None
    fields: tuple[FieldChange, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What kept a record from being planned, without its values."""

    kind: str
    records: tuple[str, ...]
    message: str


@dataclass(slots=True)
class Plan:
    """What a job would do now. Nothing has been written.

    ``calls`` promises, per connection and bucket, how many requests carrying it out may take, with
    the reserve for retries inside. ``left`` is what the vendor says is left of each bucket.
    ``seconds`` is the time the vendor's windows need at least.
    """

    id: str
    job: str
    entity: str
    source: str
    target: str
    read: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    by_field: dict[str, int] = field(default_factory=dict)
    by_reason: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    drift: int = 0
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    left: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0

    def count(self, kind: str) -> int:
        """How many records of a kind: create, update, delete, clear, unchanged, conflicts ..."""
        return self.counts.get(kind, 0)

    @property
    def empty(self) -> bool:
        """Whether carrying it out would write nothing to any vendor."""
        return not any(self.count(k) for k in ("create", "update", "delete"))

    def summary(self) -> str:
        """One line, as Terraform ends a plan."""
        line = (
            f"Plan: {self.count('create'):,} to create, {self.count('update'):,} to update, "
            f"{self.count('delete'):,} to delete, {self.count('unchanged'):,} unchanged"
        )
        for name, word in (
            ("conflicts", "in conflict"),
            ("blocked", "blocked"),
            ("dead_letters", "dead letters"),
        ):
            if self.count(name):
                line += f", {self.count(name):,} {word}"
        return line + "."

    def document(self) -> Mapping[str, Any]:
        """The plan as one JSON document, without any value of a record."""
        return {
            "plan": self.id,
            "job": self.job,
            "create": self.count("create"),
            "update": self.count("update"),
            "delete": self.count("delete"),
            "unchanged": self.count("unchanged"),
            "conflicts": self.count("conflicts"),
            "blocked": self.count("blocked"),
            "dead_letters": self.count("dead_letters"),
            "read": self.read,
            "calls": self.calls,
            "seconds": round(self.seconds, 1),
        }


@dataclass(slots=True)
class Receipt:
    """What a run did: its JSON document as an object.

    Every record that was read has exactly one outcome. ``status`` is done, partial, failed, refused,
    waiting or interrupted; ``error`` goes with the last four.
    """

    job: str
    run: int
    status: str = "done"
    read: int = 0
    created: int = 0
    updated: int = 0
    deleted: int = 0
    unchanged: int = 0
    not_taken: int = 0
    stale: int = 0
    blocked: int = 0
    conflicts: int = 0
    dead_letters: int = 0
    open: dict[str, int] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    new: dict[str, int] = field(default_factory=dict)
    """What this run itself left behind: conflicts, dead_letters, stale. Not in the document."""
    unreadable: dict[str, int] = field(default_factory=dict)
    drift: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """The receipt as one JSON document, without any value of a record."""
        names = (
            *("job", "run", "status", "read", "created", "updated", "deleted"),
            *("unchanged", "not_taken", "stale", "blocked", "conflicts"),
            *("dead_letters", "open", "writes", "calls"),
        )
        found: dict[str, Any] = {n: getattr(self, n) for n in names}
        if self.error is not None:
            found["error"] = self.error
        return found
