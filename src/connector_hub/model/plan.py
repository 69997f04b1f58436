"""What a job would do now, as values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from msgspec import Struct, structs

from connector_hub.model.job import SIDES, SideName, across
from connector_hub.model.mapping import Raws
from connector_hub.model.record import Op
from connector_hub.model.rows import Edit

Action = Literal["create", "update", "archive", "settle", "restore", "remove", "keep"]
"""``settle`` writes nothing to a vendor: both sides agree, and the hub remembers it.

The last three undo a run: ``restore`` puts fields back, ``remove`` archives what was created, ``keep`` writes
nothing and says what stays as it is.
"""
UNDOING = frozenset({"restore", "remove", "keep"})
_OPS: Mapping[Action, Op] = {
    "create": "create",
    "update": "update",
    "restore": "update",
    "archive": "archive",
    "remove": "archive",
}

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


Wait = tuple[SideName, str, str, str]
"""A link field that waits: the side it was read from, the field, and the record it points to there."""


class Seen(Struct, array_like=True, gc=False):
    """A record as the planner read it: the mapped fields only."""

    id: str
    version: str | None
    key: str | None
    by: str | None
    raws: Raws

    def __repr__(self) -> str:
        return f"Seen(id={self.id!r}, version={self.version!r}, raws of {len(self.raws)} fields)"


class Change(Struct, array_like=True, gc=False):
    """What is to be done about a pair of records: writes to one side or both, or an agreement.

    ``here`` is the side whose record was looked at; a create or an archive is at the other.
    ``to_left`` and ``to_right`` are the fields to write there, ``agreed`` those both hold alike,
    ``asks`` those a person has to decide about.
    ``waits`` are link fields whose counterpart is not linked yet, as (side, field, resource, record).
    """

    action: Action
    hub: bytes
    here: SideName
    left: Seen | None
    right: Seen | None
    to_left: tuple[str, ...] = ()
    to_right: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    waits: tuple[Wait, ...] = ()
    clears: int = 0
    first: bool = False
    """The two records are linked by this change."""
    reason: str = ""
    into: str = ""
    """The resource a create is made in, where the side has several."""
    leaves: bool = False
    """The job looks after neither record after this."""
    images: tuple[Raws, Raws] | None = None
    """What a left and a right record held before the run that is undone: absent what stays as it is."""
    fights: tuple[str, ...] = ()
    """Those it asks about because they were written to and fro."""
    rows: tuple[tuple[SideName, str, tuple[Edit, ...]], ...] = ()
    """What becomes of rows within the records, by the side that is written and the field."""

    def __repr__(self) -> str:
        seen = f"left={self.left!r}, right={self.right!r}"
        written = f"to_left={self.to_left}, to_right={self.to_right}"
        return f"Change({self.action!r}, here={self.here!r}, {seen}, {written})"

    @property
    def op(self) -> Op | None:
        """What is asked of the vendor; None where nothing is."""
        return _OPS.get(self.action)

    @property
    def undoes(self) -> bool:
        """Whether it is part of an undo."""
        return self.action in UNDOING

    @property
    def is_stripped(self) -> bool:
        """Whether it is a write whose values have been forgotten."""
        return self.op in {"create", "update"} and not any(
            s.raws for s in (self.left, self.right) if s
        )

    def stripped(self) -> Change:
        """The change without a value: which records it is about, and which fields."""
        left, right = (
            structs.replace(s, raws=()) if s else None for s in (self.left, self.right)
        )
        return structs.replace(self, left=left, right=right, images=None)

    def image(self, side: SideName) -> Seen | None:
        """What a side's record held before the run that is undone."""
        if self.images is None:
            return None
        there, raws = self.seen(side), self.images[SIDES.index(side)]
        return Seen(there.id, None, None, None, raws) if there and raws else None

    def seen(self, side: SideName) -> Seen | None:
        """The record of one side as it was planned from."""
        return self.left if side == "left" else self.right

    def edits(self, side: SideName, name: str) -> tuple[Edit, ...]:
        """What becomes of the rows of a field on one side."""
        return next((e for at, n, e in self.rows if (at, n) == (side, name)), ())

    def fields(self, side: SideName) -> tuple[str, ...]:
        """The fields to write to one side."""
        return self.to_left if side == "left" else self.to_right

    @property
    def record(self) -> str:
        """The id of the record that was looked at."""
        found = self.seen(self.here)
        return found.id if found else ""

    def writes(self) -> list[SideName]:
        """The sides this change writes to."""
        if self.action in {"create", "archive", "remove"}:
            return [across(self.here)]
        if self.action == "keep":
            return []
        return [s for s in SIDES if self.fields(s)]


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field's old and new value in the hub's words."""

    field: str
    old: Any = dataclasses.field(repr=False)
    new: Any = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class Shown:
    """A write as people read it. ``record`` is the id of what is written, None for a create.

    ``connection`` is where it is written; ``source`` the record on the other side.
    """

    action: Action
    source: str | None
    record: str | None
    fields: tuple[FieldChange, ...]
    reason: str
    connection: str = ""


@dataclass(slots=True)
class Plan:
    """What a job would do now. Nothing has been written.

    ``calls`` promises, per connection and bucket, how many requests carrying it out may take, with
    the reserve for retries inside. ``remaining`` is what the vendor says is left of each bucket.
    ``seconds`` is the time the vendor's windows need at least.
    ``writes`` are records by connection, resource and kind of write. ``billed`` tells, for new records,
    what they count for at the vendor; ``automations`` which of the vendor's run, and which are kept still.
    """

    id: str
    job: str
    entity: str
    left: str
    right: str
    read: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    by_field: dict[str, int] = field(default_factory=dict)
    by_reason: dict[str, int] = field(default_factory=dict)
    unreadable: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict, repr=False)
    """A few of the values that could not be read: a person's eyes only, in no document."""
    unbased: dict[str, int] = field(default_factory=dict)
    """Records that differ in a field whose rule is new or was edited: left alone until back-filled."""
    left_out: tuple[str, ...] = ()
    drift: int = 0
    calls: dict[str, dict[str, int]] = field(default_factory=dict)
    remaining: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: float = 0.0
    writes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    billed: list[dict[str, Any]] = field(default_factory=list)
    automations: list[dict[str, Any]] = field(default_factory=list)
    undoes: int = 0
    """The run that it undoes; 0 for a plan of what is to do."""
    notes: list[str] = field(default_factory=list)
    """What people should know about the reading it was made from."""

    def count(self, kind: str) -> int:
        """How many records of a kind: create, update, delete, clear, unchanged, conflicts, kept ..."""
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
            ("kept", "that cannot be undone"),
        ):
            if self.count(name):
                line += f", {self.count(name):,} {word}"
        return line + "."

    def document(self) -> Mapping[str, Any]:
        """The plan as one JSON document, without any value of a record."""
        more = {"undoes": self.undoes, "kept": self.count("kept")}
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
            "stale": self.count("stale"),
            "read": self.read,
            "by_field": self.by_field,
            "by_reason": self.by_reason,
            "writes": self.writes,
            "calls": self.calls,
            "left": self.remaining,
            "seconds": round(self.seconds, 1),
            "billed": self.billed,
            "automations": self.automations,
            **({"notes": self.notes} if self.notes else {}),
            **(more if self.undoes else {}),
        }


@dataclass(slots=True)
class Receipt:
    """What a run did: its JSON document as an object.

    Every record that was read has exactly one outcome. ``status`` is done, partial, failed, refused,
    waiting, paused or interrupted; ``error`` goes with the last five.
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
    plan: str | None = None
    """The plan that waits for a person's word."""
    exposed: float | None = None
    """Seconds between a record being read and being overwritten, the longest; None where nothing was."""
    new: dict[str, int] = field(default_factory=dict)
    """What this run itself left behind: conflicts, dead_letters, stale. Not in the document."""
    unreadable: dict[str, int] = field(default_factory=dict)
    samples: dict[str, list[Any]] = field(default_factory=dict, repr=False)
    """A few of the values that could not be read: a person's eyes only, in no document."""
    unbased: dict[str, int] = field(default_factory=dict)
    """Records that differ in a field whose rule is new or was edited: left alone until back-filled."""
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
        if self.plan is not None:
            found["plan"] = self.plan
        if self.exposed is not None:
            found["exposed"] = round(self.exposed, 1)
        if self.notes:
            found["notes"] = list(self.notes)
        if self.error is not None:
            found["error"] = self.error
        return found
