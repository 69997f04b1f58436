"""Bases: what each side held when both last agreed, as hashes of the vendor's own values.

One packed row per (job, side) and hub id::

    layout (4 bytes) | keyed hash of the whole record (16) | sealed: hash of each field (8 each), rows

What is remembered of rows within the record follows as MessagePack, where a rule is about any.

The layout is a number the store gives to a list of (field, rule fingerprint).  A field hash of zeros
means *never agreed*: it reads as changed.  All ones mean *no base*: the rule is new or was edited.
All ones but the last mean that the field was outside its condition: it begins when it is inside.
All zeros but the last mean that both sides changed it: two things that were agreed on have become one.
A record hash of ones says that the record is gone and that what follows from it is done.
The hashes of fields are fast ones (XXH3), hence they are encrypted, bound to job, side and hub id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from msgspec import Struct, msgpack
from xxhash import xxh3_64_digest

from connector_hub.errors import PluginError
from connector_hub.model.keyed import DIGEST, keyed
from connector_hub.model.mapping import ABSENT, Raws, Spoke
from connector_hub.model.record import EMPTY
from connector_hub.ports import Sealer, Store

_LAYOUT = 4
_RECORD = DIGEST
_FIELD = 8
_HEAD = _LAYOUT + _RECORD
NEVER = bytes(_FIELD)
UNBASED = b"\xff" * _FIELD
OUTSIDE = b"\xff" * (_FIELD - 1) + b"\xfe"
CONTESTED = bytes(_FIELD - 1) + b"\x01"
_DONE_WITH = b"\xff" * _RECORD
_BLANK = xxh3_64_digest(b"")
_ROWS = msgpack.Decoder(dict[str, dict[bytes, bytes]])


class Base(Struct, frozen=True, gc=False):
    """A row, unpacked: the record's hash, and each field's in the order of ``Spoke.kept``."""

    record: bytes
    fields: tuple[bytes, ...]
    rows: Mapping[str, Mapping[bytes, bytes]] = EMPTY
    """What is remembered of the rows of a field, see ``sync.rows``."""


@dataclass(slots=True)
class Bases:
    """Packs and compares the bases of one side of a job."""

    store: Store
    job: str
    side: str
    spoke: Spoke
    key: bytes
    sealer: Sealer
    layout: int = 0
    _head: bytes = b""
    _bound: bytes = b""
    _places: dict[int, tuple[list[int | None], int]] = field(default_factory=dict)
    """By layout: where each field's hash is, and where the hashes end."""

    def __post_init__(self) -> None:
        fields = list(zip(self.spoke.kept, self.spoke.prints, strict=True))
        self.layout = self.store.spelling(self.job, self.side, fields)
        self._head = self.layout.to_bytes(_LAYOUT, "big")
        self._bound = f"base\0{self.job}\0{self.side}\0".encode()

    def record_hash(self, raws: Raws) -> bytes:
        """A keyed hash over all mapped values; a blank is a blank, however it is spelled.

        Raises:
            PluginError: a value is none that JSON has.
        """
        plain = [None if r is ABSENT or r == "" else r for r in raws]
        try:
            text = orjson.dumps(plain)
        except TypeError:
            raise self._unheard_of(plain) from None
        return keyed(self.key, text)

    def _unheard_of(self, plain: Sequence[Any]) -> PluginError:
        """Which fields hold what no vendor's JSON can: their connector made it."""
        found = []
        for name, value in zip(self.spoke.kept, plain, strict=True):
            try:
                orjson.dumps(value)
            except TypeError:
                found.append(name)
        return PluginError(
            f"a value of {', '.join(found)} is of a kind that JSON does not have",
            where=f"job {self.job}, {self.side}",
        )

    def unchanged(self, packed: bytes | None, raws: Raws) -> bool:
        """Whether the vendor moved nothing since this row was written, under the same rules."""
        return (
            packed is not None
            and packed[:_LAYOUT] == self._head
            and packed[_LAYOUT:_HEAD] == self.record_hash(raws)
        )

    def settled(
        self,
        hub: bytes,
        raws: Raws,
        before: Base | None,
        agreed: Collection[str],
        never: Collection[str] = (),
        *,
        outside: Collection[str] = (),
        stale: bool = False,
        rows: Mapping[str, Mapping[bytes, bytes]] = EMPTY,
    ) -> bytes:
        """The row after some fields were agreed on: the others keep what they had.

        A field that has no base, because its rule is new or was edited, begins as the vendor holds it:
        what the vendor changes from here on travels.

        Args:
            hub: the hub id.
            raws: what the vendor holds now.
            before: the base until now; None at the first link: then every field begins here.
            agreed: the fields both sides hold alike now.
            never: fields that wait for something and must read as changed.
            outside: fields that are outside their conditions.
            stale: the record has moved on already, and must be looked at when it is met again.
            rows: what is remembered of rows within the record, by field.
        """
        fields = hashes(raws)
        if before is not None:
            fields = [
                new if name in agreed or old == UNBASED else old
                for name, new, old in zip(
                    self.spoke.kept, fields, before.fields, strict=True
                )
            ]
        if never:
            names = self.spoke.kept
            fields = [
                NEVER if n in never else f for n, f in zip(names, fields, strict=True)
            ]
        if outside:
            names = self.spoke.kept
            fields = [
                OUTSIDE if n in outside else f
                for n, f in zip(names, fields, strict=True)
            ]
        told = b"".join(fields) + (msgpack.encode(rows) if rows else b"")
        sealed = self.sealer.seal(told, self._bound + hub)
        record = bytes(_RECORD) if stale else self.record_hash(raws)
        return self._head + record + sealed

    def contested(self, hub: bytes) -> bytes:
        """A row by which every field has changed, for a thing that is made of two."""
        fields = CONTESTED * len(self.spoke.kept)
        return self._head + bytes(_RECORD) + self.sealer.seal(fields, self._bound + hub)

    @staticmethod
    def done_with(packed: bytes) -> bytes:
        """The row of a record that is gone, once what follows from that is done."""
        return packed[:_LAYOUT] + _DONE_WITH + packed[_HEAD:]

    @staticmethod
    def is_done_with(packed: bytes) -> bool:
        """Whether nothing more follows from this record being gone."""
        return packed[_LAYOUT:_HEAD] == _DONE_WITH

    def unpack(self, packed: bytes, hub: bytes) -> Base:
        """A row under today's rules; a field whose rule changed since has no base."""
        layout = int.from_bytes(packed[:_LAYOUT], "big")
        found = self._places.get(layout)
        if found is None:
            spelled = self.store.spelled(layout)
            known = {named: i for i, named in enumerate(spelled)}
            places = [
                known.get(named)
                for named in zip(self.spoke.kept, self.spoke.prints, strict=True)
            ]
            found = self._places[layout] = (places, len(spelled) * _FIELD)
        places, end = found
        there = self.sealer.open(packed[_HEAD:], self._bound + hub)
        fields = tuple(
            [
                UNBASED if i is None else there[i * _FIELD : (i + 1) * _FIELD]
                for i in places
            ]
        )
        return Base(packed[_LAYOUT:_HEAD], fields, self._rows(there[end:], places))

    def _rows(
        self, packed: bytes, places: Sequence[int | None]
    ) -> Mapping[str, Mapping[bytes, bytes]]:
        """What is remembered of rows whose rules are the same."""
        if not packed:
            return EMPTY
        good = {
            n for n, i in zip(self.spoke.kept, places, strict=True) if i is not None
        }
        return {n: rows for n, rows in _ROWS.decode(packed).items() if n in good}

    def based(self, base: Base) -> set[str]:
        """Fields that have a base."""
        return {
            n
            for n, f in zip(self.spoke.kept, base.fields, strict=True)
            if f not in {UNBASED, OUTSIDE}
        }

    def outside(self, base: Base) -> set[str]:
        """Fields that were outside their conditions when the row was written."""
        return {
            n for n, f in zip(self.spoke.kept, base.fields, strict=True) if f == OUTSIDE
        }

    def never(self, base: Base) -> set[str]:
        """Fields the two sides have never agreed on."""
        return {
            n for n, f in zip(self.spoke.kept, base.fields, strict=True) if f == NEVER
        }

    def disputed(self, base: Base) -> set[str]:
        """Fields that differ since two things became one."""
        return {
            n
            for n, f in zip(self.spoke.kept, base.fields, strict=True)
            if f == CONTESTED
        }

    def moved(self, base: Base, raws: Raws) -> set[str]:
        """Fields the vendor changed since the base; one it said nothing about did not move."""
        return {
            name
            for name, raw, old, new in zip(
                self.spoke.kept, raws, base.fields, hashes(raws), strict=True
            )
            if raw is not ABSENT and old not in (UNBASED, OUTSIDE, new)
        }


def hashes(raws: Raws) -> list[bytes]:
    """A hash per value; all blanks are alike."""
    return [
        xxh3_64_digest(raw.encode("utf-8", "surrogatepass"))
        if raw.__class__ is str
        else _BLANK
        if raw is None or raw is ABSENT
        else xxh3_64_digest(b"\0" + orjson.dumps(raw))
        for raw in raws
    ]


def change_hash(key: bytes, what: Any) -> bytes:
    """A keyed hash of a change, so that the same refused change is known again."""
    return keyed(key, orjson.dumps(what, default=str))
