"""The two ends of a job while it runs, and reading from them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TypeVar

from msgspec import structs

from connector_hub.errors import Exists, MarkLost, PluginError, Unavailable
from connector_hub.model.job import SideName
from connector_hub.model.link import Link, hub_id
from connector_hub.model.mapping import Spoke
from connector_hub.model.plan import Seen
from connector_hub.model.record import (
    Done,
    Gone,
    Outcome,
    Page,
    Pending,
    Record,
    Want,
    Write,
)
from connector_hub.ports import Store
from connector_hub.sdk.connector import Account, Connector, Resource, Way
from connector_hub.sync.base import Bases
from connector_hub.sync.erased import NOBODY, Erased
from connector_hub.sync.identity import Identities
from connector_hub.sync.paging import Pull

T = TypeVar("T")
PENDING_SECONDS = 6 * 3600.0
"""How long a vendor may work on writes that it has taken before the run gives up waiting."""
PORTION = 1000
"""Records that are looked up and staged together while a feed is read."""


def _open() -> None:
    """A gate that stops nobody."""


@dataclass(frozen=True, slots=True)
class Place:
    """A resource a side's records may be in."""

    resource: Resource
    spoke: Spoke
    want: Want


@dataclass(slots=True)
class LiveSide:
    """One end of a running job: who is there, and how its records are read and written.

    Its records are in one resource, or each in one of several: then a record's id is ``Resource/id``.
    """

    name: SideName
    connection: str
    account: Account
    connector: Connector
    resource: Resource
    spoke: Spoke
    want: Want
    bases: Bases
    identities: Identities
    gate: Callable[[], None] = _open
    """Asked before writes are handed to the connector; raises where the vendor is not to be called."""
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where its records may be when that is one of several resources; these are ``resource`` united."""
    erased: Erased = NOBODY
    left_alone: set[str] = field(default_factory=set)
    """Records that were met and carry an identity that was erased: to the hub they are not there."""
    home: str = field(init=False)
    """The account as links know it: connector and the vendor's own account id."""
    _whole: Place = field(init=False)

    def __post_init__(self) -> None:
        self.home = f"{self.connector.name}:{self.account.id}"
        self._whole = Place(self.resource, self.spoke, self.want)

    @property
    def names(self) -> tuple[str, ...]:
        """The resources its records may be in."""
        return tuple(self.places) or (self.resource.name,)

    def place(self, resource: str) -> Place:
        """One of its resources, with the spoke that reads and writes there."""
        return self.places.get(resource, self._whole)

    def spoke_at(self, resource: str) -> Spoke:
        """The spoke that reads and writes one of its resources."""
        return self.places[resource].spoke if self.places else self.spoke

    def at(self, record: str) -> tuple[str, str]:
        """Where a record is: its resource and the vendor's own id."""
        if not self.places:
            return self.resource.name, record
        resource, _, vendor_id = record.partition("/")
        return resource, vendor_id

    def known_as(self, resource: str, vendor_id: str) -> str:
        """What the job calls a vendor's record: of several resources, ``Resource/id``."""
        return f"{resource}/{vendor_id}" if self.places else vendor_id

    def seen(self, record: Record, resource: str = "") -> Seen:
        """The mapped part of a record; of several resources, it is said which one it is from."""
        fields, known = record.fields, record.id
        if self.places and resource:
            fields, known = {resource: fields}, self.known_as(resource, record.id)
        return Seen(
            known,
            record.version,
            record.key,
            record.by,
            self.spoke.raws(fields, record.links),
        )

    def leaves_alone(self, seen: Seen) -> bool:
        """Whether a record is of somebody who was erased: the hub does nothing with it."""
        if not self.erased.stones:
            return False
        place = (self.home, *self.at(seen.id))
        if self.erased.bears(self.identities, seen, place):
            self.left_alone.add(seen.id)
            return True
        return False

    def links(self, records: Iterable[str]) -> dict[str, Link]:
        """The links of its records."""
        found: dict[str, Link] = {}
        for resource, ids in self.by_resource(records):
            for vendor_id, link in self.store.links(self.home, resource, ids).items():
                found[self.known_as(resource, vendor_id)] = link
        return found

    def known_as_gone(self, records: Iterable[str]) -> set[str]:
        """Those of its records that are known as gone."""
        found: set[str] = set()
        for resource, ids in self.by_resource(records):
            known = self.store.tombstones(self.home, resource, ids)
            found |= {self.known_as(resource, i) for i in known}
        return found

    def records(self, hubs: Collection[bytes]) -> dict[bytes, tuple[str, bool]]:
        """The record of each of these things here, and whether it is gone; a live one before others."""
        found: dict[bytes, tuple[str, bool]] = {}
        for resource in self.names:
            there = self.store.records(self.home, resource, hubs)
            for hub, (vendor_id, gone) in there.items():
                if hub not in found or not gone:
                    found[hub] = self.known_as(resource, vendor_id), gone
        return found

    def lose(self, records: Iterable[str]) -> None:
        """Records are gone; their links become tombstones."""
        for resource, ids in self.by_resource(records):
            self.store.lose(self.home, resource, ids)

    def unlink(self, records: Iterable[str]) -> None:
        """These records' links are forgotten."""
        for resource, ids in self.by_resource(records):
            self.store.unlink(self.home, resource, ids)

    def link_row(self, record: str, hub: bytes) -> tuple[str, str, str, bytes]:
        """A link as the store takes it."""
        return (self.home, *self.at(record), hub)

    def unlisted(self, job: str) -> list[str]:
        """Its linked records that a listing of all there are did not show."""
        return [
            self.known_as(resource, record)
            for resource in self.names
            for record in self.store.unlisted(
                job, self.name, self.home, resource, several=bool(self.places)
            )
        ]

    @property
    def gone_by(self) -> str:
        """The feed that tells what is gone; where there is none, what the listing does not show is."""
        return "deleted" if "deleted" in self.resource.feeds else "changed"

    def linked(self) -> int:
        """How many of its records are linked."""
        return sum(self.store.linked(self.home, name) for name in self.names)

    def first_hub_id(self, tenant: str, record: str, generation: int = 0) -> bytes:
        """The hub id of a thing that is first seen as this record."""
        return hub_id(tenant, self.home, *self.at(record), generation)

    @property
    def store(self) -> Store:
        """Where its links are."""
        return self.bases.store

    def by_resource(self, records: Iterable[str]) -> Iterable[tuple[str, list[str]]]:
        """Records' own ids by the resource they are in."""
        if not self.places:
            return [(self.resource.name, list(records))]
        found: dict[str, list[str]] = {}
        for record in records:
            resource, vendor_id = self.at(record)
            found.setdefault(resource, []).append(vendor_id)
        return found.items()

    async def read(self, feed: str, at: str | None) -> Page:
        """A page of a feed; of several resources, one after the other, under one mark."""
        if not self.places:
            return await self.connector.read(self.resource.name, feed, at, self.want)
        return await _read_several(self, feed, at)

    async def write(
        self,
        resource: str,
        writes: Sequence[Write],
        way: Way,
        keep: Callable[[str], None],
    ) -> Sequence[Outcome]:
        """Writes of one op to one resource; one outcome each, under the ids the job knows.

        ``keep`` is given the vendor's ticket, before anything is waited for.

        Raises:
            Locked: the job is another run's by now; nothing is sent.
        """
        self.store.check_fence()
        plain = self._theirs(writes)
        told = await self.connector.write(resource, plain, way=way)
        return await self._awaited(resource, plain, told, keep)

    async def ask(
        self,
        resource: str,
        writes: Sequence[Write],
        ticket: str,
        keep: Callable[[str], None],
    ) -> Sequence[Outcome]:
        """What became of writes that the vendor gave a run that died this ticket for."""
        self.store.check_fence()
        plain = self._theirs(writes)
        told = await self.connector.outcomes(resource, plain, ticket)
        return await self._awaited(resource, plain, told, keep)

    def _theirs(self, writes: Sequence[Write]) -> Sequence[Write]:
        """Writes under the vendor's own ids."""
        return [
            structs.replace(w, id=self.at(w.id)[1]) if self.places and w.id else w
            for w in writes
        ]

    async def _awaited(
        self,
        resource: str,
        writes: Sequence[Write],
        told: Sequence[Outcome] | Pending,
        keep: Callable[[str], None],
    ) -> Sequence[Outcome]:
        """What becomes of writes, however long a vendor that has taken them works on them."""
        clock, kept, until = self.connector.clock, None, None
        while isinstance(told, Pending):
            until = until or clock.monotonic() + PENDING_SECONDS
            if told.ticket != kept:
                keep(told.ticket)
                kept = told.ticket
            if clock.monotonic() >= until:
                raise PluginError(
                    f"{len(writes):,} writes are pending for {PENDING_SECONDS:,.0f} s",
                    where=self.connection,
                    hint="run again later: it asks what became of them first",
                )
            await clock.sleep(told.again_in)
            told = await self.connector.outcomes(resource, writes, told.ticket)
        return [self._told(resource, o) for o in told] if self.places else told

    def _told(self, resource: str, outcome: Outcome) -> Outcome:
        if isinstance(outcome, Done):
            return structs.replace(outcome, id=self.known_as(resource, outcome.id))
        if isinstance(outcome, Exists) and outcome.there:
            outcome.there = self.known_as(resource, outcome.there)
        return outcome

    def gone(self, resource: str, g: Gone) -> Gone:
        """A record that is gone, under the id the job knows."""
        return structs.replace(g, id=self.known_as(resource, g.id))


@dataclass(slots=True)
class Portion:
    """Some pages of a feed, their records reduced to what is mapped."""

    seen: list[Seen] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    mark: str | None = None
    whole: bool = False
    left_alone: list[str] = field(default_factory=list)
    """Ids of records that carry an erased identity; they are in ``seen`` of no portion."""

    def add(self, side: LiveSide, page: Page) -> None:
        """Take a page in."""
        self.mark = self.mark or page.mark
        self.whole = self.whole or page.whole
        for r in page.records:
            if isinstance(r, Gone):
                self.gone.append(r)
            elif side.leaves_alone(seen := side.seen(r)):
                self.left_alone.append(seen.id)
            else:
                self.seen.append(seen)


async def pages(side: LiveSide, feed: str, at: str | None) -> AsyncIterator[Page]:
    """A whole pull, the next page being fetched while the last is worked on.

    Raises:
        PluginError: the vendor's pages do not end.
    """
    ahead = asyncio.ensure_future(side.read(feed, at))
    pull = Pull(side.resource.name, side.connection, at)
    try:
        while True:
            page = await ahead
            following = pull.follow(page)
            if following is not None:
                ahead = asyncio.ensure_future(side.read(feed, following))
            yield page
            if following is None:
                return
    finally:
        if not ahead.done():
            ahead.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await ahead


async def _read_several(side: LiveSide, feed: str, at: str | None) -> Page:
    """A page of one of a side's resources. The last page has the mark: one for each resource.

    Raises:
        MarkLost: ``at`` is none of this side's.
    """
    stands = _Standing.of(at)
    names = [n for n in side.names if feed in side.place(n).resource.feeds]
    name = stands.resource or names[0]
    here = stands.at if stands.resource else stands.since.get(name)
    page = await side.connector.read(name, feed, here, side.place(name).want)
    if page.mark is not None:
        stands.marks[name] = page.mark
    stands.listed = stands.listed or page.whole
    records = [
        side.gone(name, r)
        if isinstance(r, Gone)
        else structs.replace(r, id=side.known_as(name, r.id), fields={name: r.fields})
        for r in page.records
    ]
    if page.next is not None:
        return Page(records, next=stands.then(name, page.next))
    whole = stands.whole and stands.listed
    following = names.index(name) + 1
    if following < len(names):
        stands.whole, stands.listed = whole, False
        name = names[following]
        return Page(records, next=stands.then(name, stands.since.get(name)))
    return Page(records, mark=json.dumps({"marks": stands.marks}), whole=whole)


@dataclass(slots=True)
class _Standing:
    """Where a pull of several resources stands.

    ``since`` are the marks it began from, ``marks`` those it has got; ``whole`` is whether all resources
    before this one were listed wholly, ``listed`` whether this one is.
    """

    resource: str = ""
    at: str | None = None
    since: dict[str, str] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    whole: bool = True
    listed: bool = False

    @classmethod
    def of(cls, at: str | None) -> _Standing:
        if at is None:
            return cls()
        try:
            kept = json.loads(at)
            if "marks" in kept and len(kept) == 1:
                return cls(since=kept["marks"])
            return cls(**kept)
        except (ValueError, TypeError):
            raise MarkLost("this mark is of one resource, not of several") from None

    def then(self, resource: str, at: str | None) -> str:
        """The next page's place."""
        return json.dumps(asdict(self) | {"resource": resource, "at": at})


async def portions(
    side: LiveSide, at: str | None, most: int = PORTION
) -> AsyncIterator[Portion]:
    """The changed feed in parts worth a transaction each, whatever the vendor's pages are."""
    part = Portion()
    async for page in pages(side, "changed", at):
        part.add(side, page)
        if len(part.seen) + len(part.gone) >= most:
            yield part
            part = Portion()
    yield part


def is_strangers(side: LiveSide, seen: Seen) -> bool:
    """Whether somebody else was the last to write to a record, where the vendor tells both."""
    user = side.account.user
    return user is not None and seen.by is not None and seen.by != user


async def fetch(
    side: LiveSide, ids: Sequence[str]
) -> tuple[dict[str, Seen], dict[str, Gone]]:
    """Records by id in the vendor's largest batches; ids that are not answered are in neither.

    Nor are those of people who were erased.
    """
    here: dict[str, Seen] = {}
    gone: dict[str, Gone] = {}

    async def one(part: tuple[str, Sequence[str]]) -> None:
        resource, asked = part
        want = side.place(resource).want
        for found in await side.connector.fetch(resource, asked, want):
            if isinstance(found, Gone):
                gone[side.known_as(resource, found.id)] = side.gone(resource, found)
            else:
                seen = side.seen(found, resource)
                if not side.leaves_alone(seen):
                    here[seen.id] = seen

    parts = [
        (resource, part)
        for resource, listed in side.by_resource(ids)
        for part in batches(listed, side.place(resource).resource.way("fetch").rows)
    ]
    await together(parts, one)
    return here, gone


def batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """The items in parts of at most ``size``."""
    return [items[i : i + size] for i in range(0, len(items), size)]


async def together(
    items: Sequence[T], work: Callable[[T], object], most: int = 4
) -> None:
    """Work on all items, a few at a time; the first failure cancels the rest and is raised."""
    todo = iter(items)

    async def worker() -> None:
        for item in todo:
            await work(item)  # type: ignore[misc]

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(most, len(items))):
                group.create_task(worker())
    except BaseExceptionGroup as e:
        raise _plain(e) from None


def _plain(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that is not a cancellation."""
    for e in group.exceptions:
        if isinstance(e, BaseExceptionGroup):
            return _plain(e)
        return e
    return Unavailable()
