"""The identity index: which records could be one thing, known by keyed hashes only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from connector_hub.model.link import spelled
from connector_hub.model.mapping import Spoke

KEY_SLOT = 255
"""The record key's own set: stronger than any identity."""
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Marks:
    """A record's identity: one mark for each set it fills, and these sets as a bit mask."""

    marks: tuple[bytes, ...]
    filled: int


@dataclass(frozen=True, slots=True)
class Identities:
    """Makes the marks of one side's records. Both sides' sets are numbered alike.

    A mark is the set's number and a keyed hash of its values.
    """

    sets: tuple[tuple[str, ...], ...]
    spoke: Spoke
    key: bytes

    def marks(self, view: Mapping[str, Any], record_key: str | None) -> Marks:
        """The identity of a view: a set counts when all of its fields are filled."""
        marks: list[bytes] = []
        filled = 0
        for slot, names in enumerate(self.sets):
            values = [view.get(n) for n in names]
            if all(values):
                text = "\0".join([str(v).casefold() for v in values])
                marks.append(self._mark(slot, text))
                filled |= 1 << slot
        if record_key:
            marks.append(self._mark(KEY_SLOT, record_key.lower()))
        return Marks(tuple(marks), filled)

    def filled(self, view: Mapping[str, Any]) -> int:
        """The sets a view fills, as a bit mask."""
        found = 0
        for slot, names in enumerate(self.sets):
            if all(map(view.get, names)):
                found |= 1 << slot
        return found

    def key_mark(self, hub: bytes) -> bytes:
        """The mark of the record key that a hub id is written as."""
        return self._mark(KEY_SLOT, spelled(hub))

    def _mark(self, slot: int, text: str) -> bytes:
        data = f"{slot}\0{text}".encode("utf-8", "surrogatepass")
        digest = blake2b(data, key=self.key, digest_size=_DIGEST).digest()
        return slot.to_bytes(1, "big") + digest
