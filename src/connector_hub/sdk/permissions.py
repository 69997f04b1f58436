"""What a job does at a vendor, and what the vendor must allow for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Right = Literal["read", "create", "edit", "delete"]


@dataclass(frozen=True, slots=True)
class Need:
    """What a job does with a resource, in the vendor's words.

    ``reads`` and ``writes`` are paths as mappings have them; ``links`` the associations that are read,
    ``linked`` those that are written. ``rights`` is what is done to whole records. ``key`` is the field of
    the record key, where records are created: ``prepare`` makes it.
    """

    resource: str
    rights: frozenset[Right] = frozenset({"read"})
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    key: str | None = None

    @property
    def changes(self) -> bool:
        """Whether anything is written to its records."""
        return bool(self.rights - {"read"})

    def __or__(self, other: Need) -> Need:
        """What two jobs do with the same resource."""
        return Need(
            self.resource,
            self.rights | other.rights,
            self.reads | other.reads,
            self.writes | other.writes,
            self.links | other.links,
            self.linked | other.linked,
            self.key or other.key,
        )


@dataclass(frozen=True, slots=True)
class Permission:
    """Something that an administrator grants.

    ``kind``: *scope* of an app, *object*, *field* or *user* right, *licence*. ``rights`` as the vendor calls
    them; ``why`` in words that go on after "to". ``once``: for ``connector-hub prepare`` only.
    """

    kind: Literal["scope", "object", "field", "user", "licence"]
    name: str
    rights: tuple[str, ...] = ()
    why: str = ""
    once: bool = False
