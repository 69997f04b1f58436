"""Who is associated with whom, and by which labels.

https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from connector_hub_hubspot.kinds import ASSOCIATIONS, KINDS, AssociationType
from connector_hub_hubspot.portal.refusals import malformed

Ends = tuple[str, str]
Kinds = dict[str, set[int]]
"""The numbers of an association's types, by the id of the record at its other end."""


class Associations:
    """All associations of an account, kept from both ends.

    ``is_live`` tells whether a record of an object is there and not archived.
    """

    def __init__(self, is_live: Callable[[str, str], bool]) -> None:
        self._is_live = is_live
        self._types: dict[Ends, dict[int, AssociationType]] = {
            ends: {t.number: t for t in types} for ends, types in ASSOCIATIONS.items()
        }
        self._held: dict[Ends, dict[str, Kinds]] = {}
        self._next = 1_000

    def opened(self, of: str, to: str) -> None:
        """Two objects, one of them the account's own, may be associated from now on."""
        if (of, to) not in self._types:
            self._made(of, to, None)

    def labelled(self, of: str, to: str, label: str) -> int:
        """A label of the account's own, both ways; its number from ``of`` to ``to``."""
        self.types(of, to)
        return self._made(of, to, label)

    def _made(self, of: str, to: str, label: str | None) -> int:
        there, back = self._next, self._next + (of != to)
        self._next += 2
        for ends, a, b in (((to, of), back, there), ((of, to), there, back)):
            made = AssociationType(a, b, label, "USER_DEFINED")
            self._types.setdefault(ends, {})[a] = made
        return there

    def types(self, of: str, to: str) -> dict[int, AssociationType]:
        """All types from one object to another by number, the unlabelled one first.

        Raises:
            Refused: they cannot be associated.
        """
        found = self._types.get((of, to))
        if found is None:
            raise malformed(f"No association types are defined between {of} and {to}")
        return found

    def plain(self, of: str, to: str) -> int:
        """The number of the association without a label."""
        return next(iter(self.types(of, to)))

    def primary(self, of: str, to: str) -> int | None:
        """The number of the primary association, where there is such."""
        types = self._types.get((of, to), {}).values()
        return next((t.number for t in types if t.label == "Primary"), None)

    def by_label(self, of: str, to: str, label: str) -> int:
        """The number of a label.

        Raises:
            KeyError: there is no such label.
        """
        for t in self.types(of, to).values():
            if t.label == label:
                return t.number
        raise KeyError(label)

    def of(self, of: str, record: str, to: str) -> Kinds:
        """A record's associations with records of an object, the archived among them."""
        return self._held.get((of, to), {}).get(record, {})

    def live(self, of: str, record: str, to: str) -> Kinds:
        """A record's associations with live records of an object."""
        held = self.of(of, record, to)
        return {i: kinds for i, kinds in held.items() if self._is_live(to, i)}

    def objects(self, of: str) -> list[str]:
        """What an object may be associated with."""
        return [to for a, to in self._types if a == of]

    def put(
        self, of: str, mine: str, to: str, other: str, kinds: Iterable[int]
    ) -> None:
        """Associate two records, both ways, by types besides the plain one.

        The first company of a contact becomes its primary one; a new primary replaces the old.

        Raises:
            Refused: there is no such type.
        """
        types = self.types(of, to)
        wanted = set(kinds)
        if not wanted <= types.keys():
            raise malformed("Invalid association type")
        for a, b in ((of, to), (to, of)):
            self._one_primary(a, b, mine if a == of else other, wanted, first=a == of)
        wanted.add(self.plain(of, to))
        there = self._held.setdefault((of, to), {}).setdefault(mine, {})
        there.setdefault(other, set()).update(wanted)
        back = self._held.setdefault((to, of), {}).setdefault(other, {})
        back.setdefault(mine, set()).update(types[k].back for k in wanted)

    def _one_primary(
        self, a: str, b: str, record: str, wanted: set[int], *, first: bool
    ) -> None:
        """A record has one primary company (or contact, of leads): the latest that was made such."""
        if (a, b) not in _SINGLE_PRIMARY:
            return
        number = self.primary(a, b)
        if number is None:
            return
        back = self.types(a, b)[number].back
        mine = number if first else back
        held = self.of(a, record, b)
        if not any(self._is_live(b, i) for i in held):
            wanted.add(mine)
        if mine in wanted:
            for other, kinds in held.items():
                kinds.discard(number)
                self._held[(b, a)][other][record].discard(back)

    def end(self, of: str, mine: str, to: str, other: str) -> None:
        """End an association with all its labels."""
        self._held.get((of, to), {}).get(mine, {}).pop(other, None)
        self._held.get((to, of), {}).get(other, {}).pop(mine, None)

    def end_labels(
        self, of: str, mine: str, to: str, other: str, kinds: Iterable[int]
    ) -> None:
        """End some types of an association; the end of the unlabelled one ends them all."""
        wanted = set(kinds)
        types = self.types(of, to)
        if self.plain(of, to) in wanted:
            self.end(of, mine, to, other)
            return
        there = self.of(of, mine, to).get(other, set())
        there -= wanted
        back = self.of(to, other, of).get(mine, set())
        back -= {types[k].back for k in wanted if k in types}

    def moved(self, of: str, old: str, new: str) -> None:
        """A record goes on under another id."""
        for (a, b), held in list(self._held.items()):
            if a != of:
                continue
            for other, kinds in held.pop(old, {}).items():
                held.setdefault(new, {})[other] = kinds
                back = self._held[(b, a)].get(other, {})
                if old in back:
                    back[new] = back.pop(old)

    def inherited(self, of: str, loser: str) -> list[tuple[str, str, set[int]]]:
        """What a record had, which has it no more: object, id, and labels but the primary."""
        found = []
        for a, to in list(self._held):
            if a != of:
                continue
            for other, kinds in list(self.of(a, loser, to).items()):
                self.end(a, loser, to, other)
                found.append((to, other, kinds - {self.primary(a, to) or 0}))
        return found

    def told(self, of: str, to: str, kinds: Iterable[int]) -> list[dict[str, Any]]:
        """Types as the API answers them."""
        types = self.types(of, to)
        return [
            {
                "category": types[k].category,
                "typeId": k,
                "label": types[k].label,
            }
            for k in sorted(kinds)
        ]

    def words(self, of: str, to: str) -> dict[int, str]:
        """What the listing of records calls each type.

        Where there is a primary association, that has the plain word.
        """
        word = f"{_singular(of)}_to_{_singular(to)}"
        primary = self.primary(of, to)
        found = {}
        for t in self.types(of, to).values():
            if t.label is None:
                found[t.number] = word if primary is None else f"{word}_unlabeled"
            elif t.number == primary:
                found[t.number] = word
            else:
                found[t.number] = re.sub(r"[^a-z0-9]+", "_", t.label.lower())
        return found


_SINGLE_PRIMARY = {
    ("contacts", "companies"),
    ("deals", "companies"),
    ("tickets", "companies"),
    ("leads", "contacts"),
    ("leads", "companies"),
}


def _singular(name: str) -> str:
    return KINDS[name].singular if name in KINDS else name


def listed(found: Mapping[str, set[int]], words: Mapping[int, str]) -> dict[str, Any]:
    """Associations as they come with a record."""
    return {
        "results": [
            {"id": i, "type": words[k]}
            for i, kinds in found.items()
            for k in sorted(kinds)
        ]
    }
