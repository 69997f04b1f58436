"""People at both vendors who come and edit while a hub is at work, and remember what they said."""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples/quickstart"))

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo import Vendor

Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
FIELDS: Mapping[str, Mapping[Side, str]] = {
    "family_name": {"left": "lastname", "right": "LastName"},
    "city": {"left": "city", "right": "MailingCity"},
    "title": {"left": "jobtitle", "right": "Title"},
}
"""The fields people edit: family names at the left, titles at the right, cities at the left or at both."""
_ACTS = ("family_name", "city", "title", "city across", "comes", "comes across")
_WEIGHTS = (20, 30, 22, 20, 4, 4)
_BOTH = 8
"""Of so many people one has a city that is edited at both sides."""
_CONTESTED = 0.4
"""Share of the left side's edits of cities that is about these people."""
_PAUSE = 0.08
"""Seconds between two edits, about, while a run is on."""


@dataclass(slots=True)
class Said:
    """The last value that people of a side gave to a field, and whether the hub was at work just then."""

    value: str
    at_work: bool


@dataclass(slots=True)
class Crowd:
    """Who is there, and what was said. One thread edits at a time."""

    sales: Vendor
    billing: Vendor
    seed: int
    both: bool
    said: dict[tuple[str, str], dict[Side, Said]] = field(
        default_factory=lambda: defaultdict(dict)
    )
    """By e-mail and field, what each side said last."""
    edits: Counter[str] = field(default_factory=Counter)
    _rng: random.Random = field(init=False)
    _ids: dict[Side, dict[str, str]] = field(init=False)
    _n: int = 0
    _at_work: bool = False
    _error: BaseException | None = None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)  # noqa: S311 - people, not secrets
        self._ids = {"left": {}, "right": {}}
        self._look()

    def stir(self, acts: int) -> None:
        """So many edits, one after the other.

        Raises:
            OSError: a sandbox is gone, or refuses what a person may do.
        """
        if self._error is not None:
            raise self._error
        self._look()
        for _ in range(acts):
            self._act()

    @contextmanager
    def stirring(self) -> Iterator[None]:
        """Edits without a pause in a thread of their own, for as long as the block lasts."""
        over = threading.Event()
        thread = threading.Thread(target=self._go_on, args=(over,), daemon=True)
        self._at_work = True
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self._at_work = False

    def _go_on(self, over: threading.Event) -> None:
        try:
            while not over.wait(self._rng.expovariate(1 / _PAUSE)):
                self._act()
        except BaseException as e:  # noqa: BLE001 - told by the next stir
            self._error = e

    def _act(self) -> None:
        acts = _ACTS if self.both else ("family_name", "city", "comes")
        weights = _WEIGHTS if self.both else (40, 50, 10)
        (act,) = self._rng.choices(acts, weights)
        side: Side = "right" if act == "title" or act.endswith("across") else "left"
        if act.startswith("comes"):
            self._come(side)
        else:
            self._edit(side, act.removesuffix(" across"))
        self.edits[act] += 1

    def _look(self) -> None:
        """Who is there: people's ids by e-mail, at both sides."""
        for side in SIDES:
            self._ids[side] = {p["email"]: p["id"] for p in people(self.at(side))}

    def at(self, side: Side) -> Vendor:
        """The vendor of a side."""
        return self.sales if side == "left" else self.billing

    def _token(self, what: str) -> str:
        self._n += 1
        return f"{what} {self.seed}-{self._n}"

    def _come(self, side: Side) -> None:
        who = self._token("Comer")
        email = f"{who.replace(' ', '').lower()}@people.example"
        if side == "left":
            properties = {"email": email, "firstname": "New", "lastname": who}
            self.sales.ask("records/contacts", {"properties": properties})
        else:
            row = {"Email": email, "FirstName": "New", "LastName": who}
            self.billing.ask("records/Contact", row)
        self.said[email, "family_name"][side] = Said(who, self._at_work)

    def _edit(self, side: Side, name: str) -> None:
        known = self._ids[side]
        listed = list(known)
        if name == "city" and (side == "right" or self._rng.random() < _CONTESTED):
            listed = [e for e in known if not sum(e.encode()) % _BOTH]
        if not listed:
            return
        email = self._rng.choice(listed)
        value, path = self._token(name), FIELDS[name][side]
        if side == "left":
            body: Any = {"id": known[email], "properties": {path: value}}
            self.sales.ask("records/contacts", body)
        else:
            self.billing.ask("records/Contact", {"Id": known[email], path: value})
        self.said[email, name][side] = Said(value, self._at_work)


def people(vendor: Vendor) -> list[dict[str, Any]]:
    """A vendor's people with their ids and the fields that people edit."""
    if vendor.connection["connector"] == "hubspot":
        rows = [p | p["properties"] for p in vendor.ask("records/contacts")]
        side: Side = "left"
    else:
        rows = [
            p | {"id": p["Id"], "email": p["Email"]}
            for p in vendor.ask("records/Contact")
        ]
        side = "right"
    return [
        {"id": p["id"], "email": (p["email"] or "").strip().lower()}
        | {name: p.get(paths[side]) or None for name, paths in FIELDS.items()}
        for p in rows
    ]


def judged(
    crowd: Crowd, asked: Collection[tuple[Side, str]], kept: Collection[str]
) -> Counter[str]:
    """What the crowd finds in the end.

    Args:
        crowd: it has stopped, and the hub has run to its end.
        asked: records, as (side, id), that an open conflict or dead letter is about.
        kept: values that the hub's journal holds as what stood there before.

    Returns:
        people, and how many are lost, doubled, or different without a question about it; edits, and how
        many are overwritten: neither at both sides nor told. ``raced`` are those of fields that were edited
        at both sides while the hub was at work: without conditional writes they fell into its window.
    """
    sides = {s: people(crowd.at(s)) for s in SIDES}
    count = {s: Counter(p["email"] for p in sides[s]) for s in SIDES}
    by = {s: {p["email"]: p for p in sides[s]} for s in SIDES}
    everybody = set(by["left"]) | (set(by["right"]) if crowd.both else set())
    found = Counter(
        people=len(everybody),
        lost=sum(not by[s].get(e) for e in everybody for s in SIDES),
        doubled=sum(n > 1 for s in SIDES for n in count[s].values()),
        different=0,
        edits=sum(crowd.edits.values()),
        overwritten=0,
        raced=0,
    )
    there = everybody & set(by["left"]) & set(by["right"])
    for email in there:
        pair = {s: by[s][email] for s in SIDES}
        told = any((s, p["id"]) in asked for s, p in pair.items())
        differs = any(pair["left"][n] != pair["right"][n] for n in FIELDS)
        found["different"] += differs and not told
    for (email, name), said in crowd.said.items():
        if email not in there:
            continue
        now = {s: by[s][email][name] for s in SIDES}
        told = any((s, by[s][email]["id"]) in asked for s in SIDES)
        for side, last in said.items():
            stands = set(now.values()) == {last.value}
            if stands or last.value in kept or (told and now[side] == last.value):
                continue
            raced = len(said) > 1 and last.at_work
            found["raced" if raced else "overwritten"] += 1
    return found
