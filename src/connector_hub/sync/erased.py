"""People who were erased stay so: a record of theirs is, to the hub, not there.

What is kept to know them again are keyed hashes, under a key of their own: of their identities, of the record
keys they had and of the places where their records stood.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from connector_hub.model.erasure import Place, Stone
from connector_hub.model.keyed import KEY_BYTES, keyed
from connector_hub.model.plan import Seen
from connector_hub.sync.identity import KEY_SLOT, Identities, Marks


class Trait(NamedTuple):
    """Something to be known by: its hash, and the fields that it is made of."""

    hash: bytes
    names: tuple[str, ...] = ()


def trait(key: bytes, entity: str, names: tuple[str, ...], digest: bytes) -> Trait:
    """What a mark's digest is kept as: it cannot be compared with the marks of the identity index."""
    return Trait(keyed(key, f"mark\0{entity}\0".encode() + digest), names)


def place_trait(key: bytes, entity: str, place: Place) -> Trait:
    """What the place of a record is kept as."""
    return Trait(keyed(key, "\0".join(("place", entity, *place)).encode()))


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased, of one entity. ``stones`` are by hash."""

    entity: str = ""
    key: bytes = b""
    stones: Mapping[bytes, Collection[Stone]] = field(default_factory=dict)

    def bears(self, identities: Identities, seen: Seen, place: Place) -> bool:
        """Whether a record is of somebody who was erased."""
        if place_trait(self.key, self.entity, place).hash in self.stones:
            return True
        return any(
            self._any(then, then.of(seen.raws, seen.key)) or self._formerly(then, seen)
            for then in self._as_hashed(identities)
        )

    def _as_hashed(self, identities: Identities) -> Iterator[Identities]:
        """Identities as they were hashed when people were erased: under the keys of then."""
        stones = (s for found in self.stones.values() for s in found)
        for earlier in {s.earlier for s in stones}:
            key = identities.key[: (earlier + 1) * KEY_BYTES]
            yield replace(identities, key=key)

    def _any(self, identities: Identities, marks: Marks) -> bool:
        """The first identity that both fill decides, as it does for who is whom."""
        for mark in marks.marks:
            slot = mark[0]
            names = () if slot == KEY_SLOT else identities.sets[slot]
            found = trait(self.key, self.entity, names, mark[1:])
            for stone in self.stones.get(found.hash, ()):
                if stone.given or not stone.names:
                    return True
                if not self._somebody_else(identities, marks.filled, slot, stone):
                    return True
        return False

    def _somebody_else(
        self, identities: Identities, filled: int, slot: int, stone: Stone
    ) -> bool:
        """Whether an earlier identity is filled on both: had it been the same, it would have decided."""
        theirs = self._names_of(stone.erasure)
        return any(
            filled & 1 << n and identities.sets[n] in theirs for n in range(slot)
        )

    def _names_of(self, erasure: int) -> set[tuple[str, ...]]:
        stones = (s for found in self.stones.values() for s in found)
        return {s.names for s in stones if s.erasure == erasure}

    def _formerly(self, identities: Identities, seen: Seen) -> bool:
        """Identities that were asked for and are none any more, as the vocabulary was edited since."""
        named = {s.names for found in self.stones.values() for s in found if s.given}
        sets = tuple(sorted(named - {()} - {*identities.sets}))
        if not sets:
            return False
        former = replace(identities, sets=sets, known=0)
        view, _ = identities.spoke.whole(seen.raws)
        return self._any(former, former.marks(view, None))


NOBODY = Erased()


def stones_by_hash(
    rows: Iterable[tuple[bytes, Stone]],
) -> dict[bytes, list[Stone]]:
    """What the store keeps, as ``Erased`` takes it."""
    found: dict[bytes, list[Stone]] = {}
    for hashed, stone in rows:
        found.setdefault(hashed, []).append(stone)
    return found
