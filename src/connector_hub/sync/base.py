"""Bases: what each side held when both last agreed, as keyed hashes of the vendor's own values.

One packed row per (job, side) and hub id::

    layout (4 bytes) | hash of the whole record (16) | hash of each field (8 each)

The layout is a number the store gives to a list of (field, rule fingerprint).  A field hash of zeros
means *never agreed*: it reads as changed.  All ones mean *no base*: the rule is new or was edited.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import orjson

from connector_hub.model.mapping import ABSENT, Raws, Spoke
from connector_hub.ports import Store

_LAYOUT = 4
_RECORD = 16
_FIELD = 8
_HEAD = _LAYOUT + _RECORD
NEVER = bytes(_FIELD)
UNBASED = b"\xff" * _FIELD


@dataclass(slots=True)
class Base:
    """A row, unpacked: the record's hash and each field's, by name."""

    record: bytes
    fields: dict[str, bytes]


@dataclass(slots=True)
class Bases:
    """Packs and compares the bases of one side of a job."""

    store: Store
    job: str
    side: str
    spoke: Spoke
    key: bytes
    layout: int = 0
    _head: bytes = b""
    _layouts: dict[int, list[str | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        fields = list(zip(self.spoke.names, self.spoke.prints, strict=True))
        self.layout = self.store.spelling(self.job, self.side, fields)
        self._head = self.layout.to_bytes(_LAYOUT, "big")

    def record_hash(self, raws: Raws) -> bytes:
        """A keyed hash over all mapped values; a blank is a blank, however it is spelled."""
        plain = [None if r is ABSENT or r == "" else r for r in raws]
        return blake2b(orjson.dumps(plain), key=self.key, digest_size=_RECORD).digest()

    def unchanged(self, packed: bytes | None, record_hash: bytes) -> bool:
        """Whether the vendor moved nothing since this row was written, under the same rules."""
        return (
            packed is not None
            and packed[_LAYOUT:_HEAD] == record_hash
            and packed[:_LAYOUT] == self._head
        )

    def field_hashes(self, hub: bytes, raws: Raws) -> dict[str, bytes]:
        """A keyed hash per field, bound to job, side and hub id."""
        start = blake2b(key=self.key, digest_size=_FIELD)
        start.update(b"%b\0%b\0%b\0" % (self.job.encode(), self.side.encode(), hub))
        found = {}
        for name, raw in zip(self.spoke.names, raws, strict=True):
            h = start.copy()
            if raw is None or raw is ABSENT or raw == "":
                h.update(name.encode())
            elif raw.__class__ is str:
                h.update(f"{name}\0{raw}".encode("utf-8", "surrogatepass"))
            else:
                h.update(b"%b\1%b" % (name.encode(), orjson.dumps(raw)))
            found[name] = h.digest()
        return found

    def pack(self, raws: Raws, fields: Mapping[str, bytes]) -> bytes:
        """A row; a field that is not given has no base."""
        hashes = [fields.get(n, UNBASED) for n in self.spoke.names]
        return b"".join((self._head, self.record_hash(raws), *hashes))

    def unpack(self, packed: bytes) -> Base:
        """A row by field name; fields whose rule changed since are left out."""
        layout = int.from_bytes(packed[:_LAYOUT], "big")
        names = self._layouts.get(layout)
        if names is None:
            prints = dict(zip(self.spoke.names, self.spoke.prints, strict=True))
            names = [
                f if prints.get(f) == p else None for f, p in self.store.spelled(layout)
            ]
            self._layouts[layout] = names
        fields = {}
        for i, name in enumerate(names):
            found = packed[_HEAD + i * _FIELD : _HEAD + (i + 1) * _FIELD]
            if name is not None and found != UNBASED:
                fields[name] = found
        return Base(packed[_LAYOUT:_HEAD], fields)

    def moved(self, base: Base, hashes: Mapping[str, bytes], raws: Raws) -> set[str]:
        """Fields the vendor changed since the base; one it said nothing about did not move."""
        return {
            name
            for name, raw in zip(self.spoke.names, raws, strict=True)
            if raw is not ABSENT
            and name in base.fields
            and base.fields[name] != hashes[name]
        }


def merged(
    old: Base | None,
    hashes: Mapping[str, bytes],
    agreed: Collection[str],
    never: Collection[str] = (),
) -> dict[str, bytes]:
    """The base after some fields were agreed on: the others keep what they had.

    Args:
        old: the base before, None at the first link.
        hashes: of what the vendor holds now.
        agreed: the fields both sides hold alike now.
        never: fields that wait for something and must read as changed.
    """
    fields = dict(old.fields) if old else {}
    for name in agreed:
        fields[name] = hashes[name]
    for name in never:
        fields[name] = NEVER
    return fields


def change_hash(key: bytes, what: Any) -> bytes:
    """A keyed hash of a change, so that the same refused change is known again."""
    return blake2b(
        orjson.dumps(what, default=str), key=key, digest_size=_RECORD
    ).digest()
