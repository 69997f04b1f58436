"""A standing order between two sides for one entity."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Direction = Literal["left-to-right", "right-to-left", "both"]
SideName = Literal["left", "right"]


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a job: a resource behind a connection."""

    connection: str
    resource: str


@dataclass(frozen=True, slots=True)
class Percent:
    """A share of the linked records."""

    value: float


Bound = int | Percent | None
"""A number of records, a share of the linked ones, or no bound."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What one run may do without a person saying yes. None is unlimited."""

    create: Bound = None
    update: Bound = None
    clear: Bound = None
    delete: Bound = 0

    def limits(self, linked: int) -> dict[str, int]:
        """The bounds as numbers, those that bind, for so many linked records."""
        found: dict[str, int] = {}
        for name in ("create", "update", "clear", "delete"):
            bound: Bound = getattr(self, name)
            if isinstance(bound, Percent):
                found[name] = int(linked * bound.value / 100)
            elif bound is not None:
                found[name] = bound
        return found


@dataclass(frozen=True, slots=True)
class Job:
    """What is kept in agreement, between whom, and how far it may go."""

    name: str
    entity: str
    left: Side
    right: Side
    direction: Direction
    guard: Guard = Guard()
    deletes_follow: bool = False
    create_without_identity: bool = False
    revert: frozenset[str] = field(default_factory=frozenset)
    """Fields whose drift on the target is put back (``drift: revert``)."""

    @property
    def source(self) -> SideName:
        """The side a one-way job reads from."""
        return "right" if self.direction == "right-to-left" else "left"

    @property
    def target(self) -> SideName:
        """The side a one-way job writes to."""
        return "left" if self.direction == "right-to-left" else "right"

    def side(self, name: SideName) -> Side:
        """The side of that name."""
        return self.left if name == "left" else self.right
