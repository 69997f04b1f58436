"""What the hub may not decide alone, and what a vendor refused."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector_hub.model.job import SideName

FIELDS = "fields"
"""Both sides changed a field."""
UNKNOWN = "unknown outcome"
"""A create was never answered."""
MERGED = "merged"
"""Settling a pair does not end this one: only what is done about the records does."""
KINDS: Mapping[str, str] = {
    "twins": "several records on one side are the same person or thing; merge them there",
    "candidates": "several records on the other side fit; merge them there, or tell which",
    "taken": "its counterpart is linked to another record; merge the two on this side",
    MERGED: "what is one record on one side is two on the other; merge them there, too",
    FIELDS: "both sides changed the same fields; say which side is right: conflicts resolve N --take SIDE",
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
    detail: Mapping[str, Any] = field(repr=False)

    @property
    def fields(self) -> list[str]:
        """The fields that it is about; none where it is about whole records."""
        return str(self.detail["fields"]).split(",") if self.kind == FIELDS else []

    @property
    def fights(self) -> list[str]:
        """Those of its fields that were written to and fro: something on each side sets them back."""
        return [n for n in str(self.detail.get("fights", "")).split(",") if n]


@dataclass(frozen=True, slots=True)
class Swing:
    """A field's writes a moment ago, as hashes of the values; ``held`` until a person decides."""

    values: tuple[bytes, ...] = ()
    held: bool = False


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
    message: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cause:
    """Dead letters of a job that have the same reason and fields: how many, and some of their numbers."""

    job: str
    reason: str
    fields: tuple[str, ...]
    count: int
    samples: tuple[int, ...]


_SAMPLES = 3


def causes(letters: Iterable[DeadLetter]) -> list[Cause]:
    """Letters by their cause, the most frequent first."""
    found: defaultdict[tuple[str, str, tuple[str, ...]], list[int]] = defaultdict(list)
    for d in letters:
        found[d.job, d.reason, d.fields].append(d.id)
    grouped = [Cause(*c, len(n), tuple(n[:_SAMPLES])) for c, n in found.items()]
    return sorted(grouped, key=lambda c: (-c.count, c.samples))
