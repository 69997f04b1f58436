"""People who are to be forgotten: what the state knows them by, and what keeps them forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from connector_hub.model.journal import Entry, Page
from connector_hub.model.plan import Seen

Place = tuple[str, str, str]
"""Where a record is: account, resource, the vendor's own id."""
Held = tuple[str, str, str]
"""A record as a job knows it: job, side, id."""


class Stone(NamedTuple):
    """A hash of what an erased person was known by.

    ``names`` are the fields of an identity. A record's place or key has none: its hash alone decides.
    ``given`` is an identity that was asked for; the others were found with it, and decide only where no
    earlier one says that it is somebody else. ``earlier`` keys had been rotated by then: what the hash was
    made of was hashed under these and one more.
    """

    erasure: int
    names: tuple[str, ...]
    given: bool
    earlier: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """What the state knows a person by."""

    entity: str
    hubs: frozenset[bytes] = frozenset()
    places: frozenset[Place] = frozenset()
    held: frozenset[Held] = frozenset()
    texts: frozenset[str] = field(default=frozenset(), repr=False)
    """The identities that were asked for, in lower case: vendors' messages may quote them."""


class Recognises(Protocol):
    """Knows a person by the values of a record, where nothing links it to them any more."""

    def entry(self, page: Page, entry: Entry) -> bool:
        """Whether a write tells of them."""

    def seen(self, job: str, side: str, seen: Seen) -> bool:
        """Whether a record that was read is theirs."""


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is kept about a person. ``at`` says what without a value, ``values`` holds them."""

    kind: str
    job: str
    at: Mapping[str, Any]
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """A record of a person at a vendor. ``record`` is empty where a create was never confirmed."""

    connection: str
    resource: str
    record: str
    hub_id: str


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was, or would be, forgotten about a person.

    ``rows`` counts what the state kept, by kind. ``vendors`` are the records that stay at the vendors.
    """

    entity: str
    rows: Mapping[str, int]
    vendors: tuple[Standing, ...] = ()
    clean: bool = True
    """Whether the bytes are gone from the state's files, too."""
