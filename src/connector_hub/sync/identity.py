"""The identity index: which records could be one thing, known by keyed hashes only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from connector_hub.model.mapping import Spoke

KEY_SLOT = 255
"""The record key's own set: stronger than any identity."""
_DIGEST = 16


@dataclass(frozen=True, slots=True)
class Marks:
    """A record's identity: hashes by set, and which sets it fills as a bit mask."""

    hashes: tuple[tuple[int, bytes], ...]
    filled: int


@dataclass(frozen=True, slots=True)
class Identities:
    """Makes the marks of one side's records. Both sides' sets are numbered alike."""

    entity_slots: tuple[tuple[str, ...], ...]
    spoke: Spoke
    key: bytes

    def marks(self, view: Mapping[str, Any], record_key: str | None) -> Marks:
        """The identity of a view: a set counts when all of its fields are filled."""
        hashes: list[tuple[int, bytes]] = []
        filled = 0
        for slot, names in enumerate(self.entity_slots):
            values = [view.get(n) for n in names]
            if all(values):
                text = "\0".join(str(v).casefold() for v in values)
                hashes.append((slot, self._hash(slot, text)))
                filled |= 1 << slot
        if record_key:
            hashes.append((KEY_SLOT, self.key_mark(record_key)))
        return Marks(tuple(hashes), filled)

    def key_mark(self, record_key: str) -> bytes:
        """The hash of a record key."""
        return self._hash(KEY_SLOT, record_key.lower())

    def _hash(self, slot: int, text: str) -> bytes:
        data = f"{slot}\0{text}".encode("utf-8", "surrogatepass")
        return blake2b(data, key=self.key, digest_size=_DIGEST).digest()
