"""The identity index: which records could be one thing, known by keyed hashes only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from msgspec import Struct

from connector_hub.model.keyed import keyed
from connector_hub.model.link import spelled
from connector_hub.model.mapping import Raws, Spoke
from connector_hub.model.record import EMPTY

KEY_SLOT = 255
"""The record key's own set: stronger than any identity."""


class Marks(Struct, frozen=True, gc=False):
    """A record's identity: one mark for each set it fills, and these sets as a bit mask."""

    marks: tuple[bytes, ...]
    filled: int


@dataclass(frozen=True, slots=True)
class Identities:
    """Makes the marks of one side's records. Both sides' sets are numbered alike.

    A mark is the set's number and a keyed hash of its fields and their values.
    """

    sets: tuple[tuple[str, ...], ...]
    spoke: Spoke
    key: bytes
    known: int = 0
    """How many sets, the first ones, are ids both systems know: one that nobody has decides nothing."""

    def of(self, raws: Raws, record_key: str | None) -> Marks:
        """The identity of a record as the vendor has it, its further values among it."""
        view = self.spoke.identity(raws)
        if self.spoke.also is None and not self.spoke.defaults:
            return self.marks(view, record_key)
        return self._all_marks(view, raws, record_key)

    def marks(self, view: Mapping[str, Any], record_key: str | None) -> Marks:
        """The identity of a view: a set counts when all of its fields are filled."""
        marks: list[bytes] = []
        filled = 0
        for slot, names in enumerate(self.sets):
            values = [view.get(n) for n in names]
            if all(values):
                marks.append(self._mark(slot, text_of(values)))
                filled |= self._bit(slot)
        if record_key:
            marks.append(self._mark(KEY_SLOT, record_key.lower()))
        return Marks(tuple(marks), filled)

    def _all_marks(
        self, view: Mapping[str, Any], raws: Raws, record_key: str | None
    ) -> Marks:
        """One mark for each value that fills a set; a default of ours fills none."""
        marks = [*self.marks({}, record_key).marks]
        filled = 0
        further = self.spoke.also(raws, view) if self.spoke.also else EMPTY
        defaults = self.spoke.of(raws).defaults
        for slot, names in enumerate(self.sets):
            choices = [_choices(n, view, further, defaults) for n in names]
            texts = {text_of(values) for values in product(*choices)}
            marks += [self._mark(slot, text) for text in sorted(texts)]
            if texts:
                filled |= self._bit(slot)
        return Marks(tuple(marks), filled)

    def filled(self, view: Mapping[str, Any], raws: Raws) -> int:
        """The sets a record fills, as a bit mask."""
        if self.spoke.also is not None or self.spoke.defaults:
            return self._all_marks(view, raws, None).filled
        found = 0
        for slot, names in enumerate(self.sets):
            if all(map(view.get, names)):
                found |= self._bit(slot)
        return found

    def _bit(self, slot: int) -> int:
        return 1 << slot if slot >= self.known else 0

    def key_mark(self, hub: bytes) -> bytes:
        """The mark of the record key that a hub id is written as."""
        return self._mark(KEY_SLOT, spelled(hub))

    def _mark(self, slot: int, text: str) -> bytes:
        names = self.sets[slot] if slot != KEY_SLOT else ()
        return slot.to_bytes(1, "big") + digest(self.key, names, text)


def digest(key: bytes, names: Sequence[str], text: str) -> bytes:
    """What a mark says of a set of fields and their values, whatever number the set has."""
    data = f"{chr(1).join(names)}\0{text}".encode("utf-8", "surrogatepass")
    return keyed(key, data)


def _choices(
    name: str,
    view: Mapping[str, Any],
    further: Mapping[str, Sequence[Any]],
    defaults: Mapping[str, Any],
) -> list[Any]:
    value = view.get(name)
    mine = [value] if value and value != defaults.get(name) else []
    return [*mine, *further.get(name, ())]


def text_of(values: Iterable[Any]) -> str:
    """The values of a set as one text; upper and lower case are alike."""
    return "\0".join([str(v).casefold() for v in values])
