"""A standing order between two sides for one entity."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

Direction = Literal["left-to-right", "right-to-left", "both"]
SideName = Literal["left", "right"]
SIDES: tuple[SideName, SideName] = ("left", "right")
ANY = "*"
"""Stands for the fields that are not named."""
Both = Literal["left", "right", "newest", "fill", "ask"]
"""Who wins where both sides moved: a side, the later edit, the one that is not blank, or a person."""


@dataclass(frozen=True, slots=True)
class Target:
    """A resource where records are created that say what ``when`` asks for, by field."""

    resource: str
    when: Mapping[str, Collection[str]] = field(default_factory=dict)

    def takes(self, view: Mapping[str, Any]) -> bool:
        """Whether a record is one of those."""
        return all(str(view.get(n)) in words for n, words in self.when.items())


@dataclass(frozen=True, slots=True)
class Side:
    """One end of a job: a resource behind a connection, or ``one_of`` several.

    ``create_as`` says where new records go, the first that takes one; the first resource when empty.
    """

    connection: str
    resource: str
    one_of: tuple[str, ...] = ()
    create_as: tuple[Target, ...] = ()

    @property
    def resources(self) -> tuple[str, ...]:
        """All resources its records may be in."""
        return self.one_of or (self.resource,)

    @property
    def called(self) -> str:
        """The resources as people read them."""
        return "|".join(self.resources)

    def known_as(self, resource: str, vendor_id: str) -> str:
        """What a job calls a vendor's record here: of several resources, ``Resource/id``."""
        return f"{resource}/{vendor_id}" if self.one_of else vendor_id

    def target(self, view: Mapping[str, Any]) -> str | None:
        """The resource where such a record is created; None where none takes it."""
        targets = self.create_as or (Target(self.resource),)
        return next((t.resource for t in targets if t.takes(view)), None)


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
                found[name] = int(linked * Decimal(str(bound.value)) / 100)
            elif bound is not None:
                found[name] = bound
        return found


@dataclass(frozen=True, slots=True)
class Policy:
    """What becomes of one field.

    ``owner``: the side it travels from; None where it travels both ways.
    ``revert``: an owned field's edits elsewhere are put back.
    ``both``: who wins where both sides moved. ``first``: who wins while there is no base.
    """

    owner: SideName | None = None
    revert: bool = False
    both: Both = "ask"
    first: Both = "fill"


@dataclass(frozen=True, slots=True)
class Known:
    """An id the two systems know of each other already: the paths of the fields that hold it."""

    left: str
    right: str

    def at(self, side: SideName) -> str:
        """The path on one side."""
        return self.left if side == "left" else self.right


@dataclass(frozen=True, slots=True)
class Pilot:
    """A few records to begin with: so many, or those listed as (file:line, side, id)."""

    most: int = 0
    listed: tuple[tuple[str, SideName, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What is kept in agreement, between whom, and how far it may go."""

    name: str
    entity: str
    left: Side
    right: Side
    direction: Direction
    guard: Guard = Guard()
    apply_when: Guard | None = None
    """What a sync may do at once; a plan beyond it waits for a person. None is unlimited."""
    guarding: Literal["reread", "strict"] = "reread"
    """How edits are kept from being overwritten: read again what is not fresh, or let the vendor refuse."""
    deletes_follow: bool = False
    create_without_identity: bool = False
    create: Literal["both", "left", "right", "none"] = "both"
    """Where records may be created that the other side has."""
    only: Mapping[str, Collection[str]] = field(default_factory=dict)
    """What a record must say, by field, to be looked after: on either side of a pair."""
    leaving: Literal["keep", "unlink", "delete"] = "keep"
    """What becomes of a pair that ``only`` no longer covers."""
    pilot: Pilot | None = None
    match: tuple[Known, ...] = ()
    """What decides who is whom before identity does."""
    fields: Mapping[str, Policy] = field(default_factory=dict)
    """Policies by field; ``*`` is for those not named."""
    every: float | None = field(default=None, repr=False)
    """Seconds from one run to the next; None is not scheduled. No plan depends on it."""

    def side(self, name: SideName) -> Side:
        """The side of that name."""
        return self.left if name == "left" else self.right

    @property
    def sides_by_word(self) -> dict[str, SideName]:
        """Its sides by the words people have for them: their connections' names, left and right."""
        by_connection = {self.side(s).connection: s for s in SIDES}
        return {**by_connection, **{s: s for s in SIDES}}

    @property
    def read_from(self) -> tuple[SideName, ...]:
        """The sides whose records travel."""
        match self.direction:
            case "left-to-right":
                return ("left",)
            case "right-to-left":
                return ("right",)
        return ("left", "right")

    @property
    def overwrites(self) -> dict[SideName, tuple[Literal["update", "archive"], ...]]:
        """The sides whose records it changes, and how."""
        ops: tuple[Literal["update", "archive"], ...] = ("update",)
        if self.deletes_follow or self.leaving == "delete":
            ops = ("update", "archive")
        return {across(side): ops for side in self.read_from}

    @property
    def two_way(self) -> bool:
        """Whether records of both sides travel."""
        return self.direction == "both"

    def covers(self, view: Mapping[str, Any]) -> bool:
        """Whether a record says what ``only`` asks for."""
        return all(str(view.get(n)) in allowed for n, allowed in self.only.items())

    def creates_at(self, side: SideName) -> bool:
        """Whether records may be created on a side."""
        return across(side) in self.read_from and self.create in {"both", side}

    def policy(self, name: str, *, to_right: bool, to_left: bool) -> Policy | None:
        """What becomes of a field that the mappings let travel so; None where it does not travel.

        Where only one way is possible, the side it can come from owns it.
        """
        to_right = to_right and "left" in self.read_from
        to_left = to_left and "right" in self.read_from
        if not (to_right or to_left):
            return None
        asked = self.fields.get(name) or self.fields.get(ANY) or Policy()
        if to_right and to_left:
            return asked
        owner: SideName = "left" if to_right else "right"
        if asked.owner not in {None, owner}:
            return None
        return replace(asked, owner=owner)


def across(side: SideName) -> SideName:
    """The other side."""
    return "right" if side == "left" else "left"
