"""What is kept about one person: shown, taken out, and kept out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from connector_hub.errors import ConfigError, StoreError
from connector_hub.hub.asking import Asking
from connector_hub.hub.running import TENANT
from connector_hub.model.erasure import Erasure, Found, Held, Person, Place, Standing
from connector_hub.model.job import SIDES, SideName
from connector_hub.model.journal import Entry, Page
from connector_hub.model.keyed import KEY_BYTES
from connector_hub.model.known import knowing
from connector_hub.model.link import hub_id, spelled
from connector_hub.model.mapping import ABSENT, Raws, blank
from connector_hub.model.plan import Seen
from connector_hub.sync.erased import Trait, place_trait, trait
from connector_hub.sync.identity import KEY_SLOT, digest, text_of
from connector_hub.sync.mending import parsed
from connector_hub.sync.why import End

_NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_NEXT = re.compile(r",(?=[A-Za-z_][A-Za-z0-9_]*=)")
_QUOTABLE = 5
"""Letters of a text that is looked for in vendors' messages: a shorter one stands in too many words."""


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity that was asked for: its fields, and its values as any mapping reads them."""

    entity: str
    names: tuple[str, ...]
    texts: frozenset[str] = field(repr=False)

    def matches(self, view: Mapping[str, Any]) -> bool:
        """Whether a record says the same."""
        values = [view.get(n) for n in self.names]
        return all(values) and text_of(values) in self.texts


@dataclass(frozen=True, slots=True)
class _Knows:
    """Recognises a person by values. ``ends`` are of the jobs of the entity."""

    asked: Sequence[Identity]
    ends: Mapping[tuple[str, str], End]

    def entry(self, page: Page, entry: Entry) -> bool:
        """Whether a write tells of them."""
        end = self.ends.get((page.job, entry.side))
        if end is None:
            return False
        names = entry.fields or tuple(n for n, _ in page.layout(entry.side))
        for values in (entry.before, entry.after):
            held = dict(zip(names, values, strict=False))
            for identity in self.asked:
                if held.keys() >= {*identity.names}:
                    view = {
                        n: end.value(entry.record, n, held[n]) for n in identity.names
                    }
                    if identity.matches(view):
                        return True
        return False

    def seen(self, job: str, side: str, seen: Seen) -> bool:
        """Whether a record that was read is theirs."""
        end = self.ends.get((job, side))
        if end is None or len(seen.raws) != len(end.spoke.kept):
            return False
        view, _ = end.spoke.whole(seen.raws)
        return any(identity.matches(view) for identity in self.asked)


class Personal(Asking):
    """What is kept about one person: shown, taken out, and kept out."""

    def erasable(
        self, identities: Sequence[str], *, entity: str | None = None
    ) -> Erasure:
        """What ``erase`` would take out; nothing is done.

        Args:
            identities: of one person: ``email=ada@example.org``, ``phone=+49...,family_name=...``, or an
                e-mail address or phone number alone where one field of one entity can be meant.
            entity: where several entities are known by such a field.

        Raises:
            ConfigError: an identity is none, or several things could be meant.
        """
        asked = self._asked(identities, entity)
        return self._erase(asked, dry=True)

    def erase(self, identities: Sequence[str], *, entity: str | None = None) -> Erasure:
        """Forget a person, and leave their records alone from here on.

        Writes to no vendor. What stays are keyed hashes, by which a record of theirs is known and neither
        indexed, linked, created nor written, until ``lift``.

        Args:
            identities: as for ``erasable``.
            entity: as for ``erasable``.

        Raises:
            ConfigError: as ``erasable``.
            Locked: a job is running.
        """
        with self._every_lock():
            asked = self._asked(identities, entity)
            found = self._erase(asked)
            try:
                self.store.scrub()
            except StoreError:
                return Erasure(found.entity, found.rows, found.vendors, clean=False)
        return found

    def lift(self, identities: Sequence[str], *, entity: str | None = None) -> int:
        """Let a person's records travel again; their jobs read everything anew.

        Args:
            identities: as for ``erasable``.
            entity: as for ``erasable``.

        Returns:
            How many erasures there were.

        Raises:
            ConfigError: as ``erasable``.
            Locked: a job is running.
        """
        with self._every_lock():
            asked = self._asked(identities, entity)
            hashes = {t.hash for t in self._given(asked, always=True)}
            name = asked[0].entity
            jobs = [n for n, j in self.project.jobs.items() if j.entity == name]
            return self.store.lift(name, hashes, jobs)

    def forget_due(self) -> tuple[Mapping[str, int], bool]:
        """Forget values whose time to live is over, as every run does.

        Returns:
            How many of each kind there were, and whether no bytes of them are left in the state's files.
        """
        found = self._due(timedelta())
        self._forget_what_is_due()
        return found, self.store.is_clean

    def unforgotten(self) -> Mapping[str, int]:
        """What should have been forgotten more than a day ago and was not, because nothing ran."""
        found = self._due(timedelta(days=1))
        return found if self.store.is_clean else {**found, "erased rows' bytes": 1}

    def _due(self, late: timedelta) -> dict[str, int]:
        now = self.clock.now() - late
        pages = self.store.due(now - timedelta(seconds=self.project.plan_ttl))
        windows = {"windows of plans": sum(pages.values())} if pages else {}
        return {**windows, **self.store.overdue(now)}

    def export(
        self, identities: Sequence[str], *, entity: str | None = None
    ) -> dict[str, Any]:
        """Everything that is kept about a person, as JSON values: what ``erase`` would take out.

        What holds a record's values stands under ``values``, each by its field; the rest holds none.

        Args:
            identities: as for ``erasable``.
            entity: as for ``erasable``.

        Raises:
            ConfigError: as ``erasable``.
        """
        asked = self._asked(identities, entity)
        person = self._person(asked)
        found, _ = self._taken(asked, person, dry=True)
        ends = self._ends(person.entity)
        stones = {t for t, _ in self.store.stones(person.entity)}
        kept: dict[str, list[dict[str, Any]]] = {}
        for f in found:
            row = {**({"job": f.job} if f.job else {}), **f.at}
            kept.setdefault(f.kind, []).append(row | _valued(f, ends))
        return {
            "entity": person.entity,
            "erased": not stones.isdisjoint(
                t.hash for t in self._given(asked, always=True)
            ),
            "vendors": [asdict(s) for s in self._standing(person)],
            "kept": kept,
        }

    def _taken(
        self, asked: Sequence[Identity], person: Person, *, dry: bool
    ) -> tuple[list[Found], list[Standing]]:
        """What was kept of a person, and records that may be at the vendors unconfirmed."""
        stones = [
            *((t.hash, t.names, True) for t in self._given(asked)),
            *((t.hash, t.names, False) for t in self._found_with(person)),
        ]
        found, unsettled = self.store.erase(
            person, self._knows(asked), stones, self.clock.now(), dry=dry
        )
        open_ends = []
        for job, side, hub in unsettled:
            end = self.job(job).side(_side(side))
            open_ends.append(Standing(end.connection, end.resource, "", spelled(hub)))
        return found, open_ends

    def _erase(self, asked: Sequence[Identity], *, dry: bool = False) -> Erasure:
        person = self._person(asked)
        stands = self._standing(person)
        found, unsettled = self._taken(asked, person, dry=dry)
        rows = Counter(f.kind for f in found)
        return Erasure(person.entity, rows, (*stands, *unsettled))

    def _standing(self, person: Person) -> list[Standing]:
        """Where a person's records stand at the vendors, as far as the hub knows."""
        at = {self.store.pinned(name): name for name in self.project.connections}
        linked = {
            (account, resource, record): (hub, gone)
            for hub, account, resource, record, gone in self.store.things(person.hubs)
        }
        found = []
        for place in sorted(person.places):
            account, resource, record = place
            hub, gone = linked.get(place, (b"", False))
            if not gone:
                told = spelled(hub) if hub else ""
                where = at.get(account) or account
                found.append(Standing(where, resource, record, told))
        return found

    def _asked(
        self, identities: Sequence[str], entity: str | None
    ) -> Sequence[Identity]:
        found = [self._identity(text, entity) for text in identities]
        if not found:
            raise ConfigError("nobody is named", hint="write --identity email=ADDRESS")
        if len({i.entity for i in found}) > 1:
            raise ConfigError(
                "these identities are of several entities",
                hint="give those of one at a time",
            )
        return found

    def _identity(self, text: str, entity: str | None) -> Identity:
        """An identity from what a person writes. The value is in no message."""
        if entity is not None:
            self.project.entity(entity)
        used = (
            [entity]
            if entity
            else sorted({j.entity for j in self.project.jobs.values()})
        )
        sets = {e: self.project.entity(e).identity for e in used}
        pairs = [_NAMED.fullmatch(part) for part in _NEXT.split(text)]
        if all(pairs):
            said = {m[1]: m[2].strip() for m in pairs if m}
            fits = [(e, s) for e in used for s in sets[e] if {*s} == {*said}]
        else:
            kind = "email" if "@" in text else "phone"
            fits = [
                (e, s)
                for e in used
                for s in sets[e]
                if len(s) == 1 and self.project.entity(e).fields[s[0]].kind == kind
            ]
            said = {s[0]: text.strip() for _, s in fits}
        known = "; ".join(
            f"{e} by {', or '.join(' and '.join(s) for s in sets[e])}"
            for e in used
            if sets[e]
        )
        if not fits:
            raise ConfigError(
                "nobody is known by that", hint=f"write FIELD=VALUE: {known}"
            )
        if len({e for e, _ in fits}) > 1:
            raise ConfigError(
                f"that could be {' or '.join(e for e, _ in fits)}",
                hint="say which with --entity",
            )
        if len(fits) > 1:
            raise ConfigError(
                "that could be several fields", hint=f"write FIELD=VALUE: {known}"
            )
        name, names = fits[0]
        return Identity(name, names, self._texts(name, [said[n] for n in names], names))

    def _texts(
        self, entity: str, texts: Sequence[str], names: tuple[str, ...]
    ) -> frozenset[str]:
        """The values of an identity as each side's mapping reads them.

        Raises:
            ConfigError: no mapping reads them, or one is empty.
        """
        found: set[str] = set()
        tried, failed = 0, ConfigError("an identity has an empty value")
        for end in self._ends(entity).values():
            for spoke in end.spokes.values():
                tried += 1
                try:
                    values = [
                        parsed(spoke, n, t) for n, t in zip(names, texts, strict=True)
                    ]
                except ConfigError as e:
                    failed = e
                else:
                    found |= {text_of(values)} if all(values) else set()
        if not tried and all(texts):
            found.add(text_of(texts))
        if not found:
            raise failed
        return frozenset(found)

    def _ends(self, entity: str) -> dict[tuple[str, str], End]:
        return {
            (name, side): self._end_of(job, side)
            for name, job in self.project.jobs.items()
            if job.entity == entity
            for side in SIDES
        }

    def _knows(self, asked: Sequence[Identity]) -> _Knows:
        return _Knows(asked, self._ends(asked[0].entity))

    def _digests(
        self, asked: Iterable[Identity], earlier: int | None = None
    ) -> Iterator[tuple[tuple[str, ...], bytes]]:
        """What identities are hashed as; after so many rotations, or now."""
        key = self.store.vault.derive("identity")
        if earlier is not None:
            key = key[: (earlier + 1) * KEY_BYTES]
        for i in asked:
            for text in i.texts:
                yield i.names, digest(key, i.names, text)

    def _given(self, asked: Sequence[Identity], *, always: bool = False) -> list[Trait]:
        """What an erasure of these is known by; ``always``: whichever key there was when it was made."""
        vault, entity = self.store.vault, asked[0].entity
        key = vault.derive("erased")
        first = 0 if always else vault.earlier
        return [
            trait(key, entity, names, d)
            for earlier in range(first, vault.earlier + 1)
            for names, d in self._digests(asked, earlier)
        ]

    def _found_with(self, person: Person) -> Iterator[Trait]:
        """What else a person's records are known by: other identities, record keys, where they stand."""
        vault, entity = self.store.vault, person.entity
        key = vault.derive("erased")
        for place in person.places:
            yield place_trait(key, entity, place)
        for hub in person.hubs:
            d = digest(vault.derive("identity"), (), spelled(hub))
            yield trait(key, entity, (), d)
        for job, side, record in person.held:
            match = self.project.jobs[job].match if job in self.project.jobs else ()
            sets = knowing(self.project.entity(entity), match).identity
            for mark in self.store.marks(job, side, record):
                if mark[0] == KEY_SLOT:
                    yield trait(key, entity, (), mark[1:])
                elif job in self.project.jobs and len(match) <= mark[0] < len(sets):
                    yield trait(key, entity, sets[mark[0]], mark[1:])

    def _person(self, asked: Sequence[Identity]) -> Person:
        """Everything that leads from an identity to what is kept."""
        entity = asked[0].entity
        held = {
            h
            for h in self.store.bearers([d for _, d in self._digests(asked)])
            if h[0] not in self.project.jobs or self.job(h[0]).entity == entity
        }
        hubs = set(self._gone_things(asked))
        places: set[Place] = set()
        while True:
            known = len(held) + len(hubs) + len(places)
            places |= {p for h in held for p in self._places_of(h)}
            hubs |= self._things_at(places)
            places |= {
                (account, resource, record)
                for _, account, resource, record, _ in self.store.things(hubs)
            }
            held |= set(self._held_at(places, entity))
            if len(held) + len(hubs) + len(places) == known:
                break
        texts = {t for i in asked if len(i.names) == 1 for t in i.texts}
        return Person(
            entity,
            frozenset(hubs),
            frozenset(places),
            frozenset(held),
            frozenset(t for t in texts if len(t) >= _QUOTABLE),
        )

    def _gone_things(self, asked: Sequence[Identity]) -> Iterator[bytes]:
        """Things of which only the journal knows who they were: their records are gone from the index."""
        knows = self._knows(asked)
        for job in {name for name, _ in knows.ends}:
            for page in self.store.journal(job):
                told = {e.hub for e in page.entries if knows.entry(page, e)}
                live = {hub for hub, *_, gone in self.store.things(told) if not gone}
                yield from told - live

    def _things_at(self, places: Collection[Place]) -> set[bytes]:
        """Hub ids of records: those they have, and those they would get."""
        found = {hub_id(TENANT, *place) for place in places}
        for account, resource, record in places:
            links = self.store.links(account, resource, [record])
            found |= {link.hub for link in links.values()}
        return found

    def _places_of(self, held: Held) -> Iterator[Place]:
        """Where a job's record stands; of a job that is no more, wherever it is linked."""
        job, side, record = held
        home = self.store.fact(job, side, "account")
        if home is None:
            return
        if job in self.project.jobs:
            end = self.job(job).side(_side(side))
            resource, _, vendor_id = record.partition("/")
            yield (
                (home, resource, vendor_id)
                if end.one_of
                else (home, end.resource, record)
            )
            return
        resource, slash, vendor_id = record.partition("/")
        yield from ((home, r, record) for r in self.store.places(home, record))
        if slash:
            yield home, resource, vendor_id

    def _held_at(self, places: Collection[Place], entity: str) -> Iterator[Held]:
        """The records as the entity's jobs know them."""
        for name, job in self.project.jobs.items():
            for side in SIDES if job.entity == entity else ():
                home, end = self.store.fact(name, side, "account"), job.side(side)
                for account, resource, record in places:
                    if account == home and resource in end.resources:
                        yield name, side, end.known_as(resource, record)


def _valued(found: Found, ends: Mapping[tuple[str, str], End]) -> dict[str, Any]:
    """The values of something that is kept, by field, as the vendor holds them."""
    values = found.values
    if found.kind == "bases":
        end = ends.get((found.job, found.at["side"]))
        if end is None:
            return {}
        base = end.bases.unpack(values["packed"], values["hub"])
        return {"fields": sorted(end.bases.based(base))}
    if found.kind == "before-images":
        return {"values": _of_entry(values["page"], values["entry"])}
    told: dict[str, Any] = {}
    for name, value in values.items():
        end = ends.get((found.job, name))
        if isinstance(value, Seen) and end is not None:
            told[name] = _named(end.spoke.kept, value.raws) | {"id": value.id}
        elif isinstance(value, str) and value:
            told[name] = value
    return {"values": told} if told else {}


def _of_entry(page: Page, e: Entry) -> dict[str, Any]:
    names = e.fields or tuple(n for n, _ in page.layout(e.side))
    return {"before": _named(names, e.before), "after": _named(names, e.after)}


def _named(names: Sequence[str], raws: Raws) -> dict[str, Any]:
    """Values by field; a blank is left out."""
    pairs = zip(names, raws, strict=False)
    return {n: v for n, v in pairs if v is not ABSENT and not blank(v)}


def _side(name: str) -> SideName:
    return "left" if name == "left" else "right"
