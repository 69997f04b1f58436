"""The two ends of a job while it runs, and reading from them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from connector_hub.errors import PluginError, Unavailable
from connector_hub.model.job import SideName
from connector_hub.model.mapping import Spoke
from connector_hub.model.plan import Seen
from connector_hub.model.record import Gone, Page, Record, Want
from connector_hub.sdk.connector import Account, Connector, Resource
from connector_hub.sync.base import Bases
from connector_hub.sync.identity import Identities

T = TypeVar("T")
PORTION = 1000
"""Records that are looked up and staged together while a feed is read."""


@dataclass(slots=True)
class LiveSide:
    """One end of a running job: who is there, and how its records are read."""

    name: SideName
    connection: str
    account: Account
    connector: Connector
    resource: Resource
    spoke: Spoke
    want: Want
    bases: Bases
    identities: Identities

    @property
    def home(self) -> str:
        """The account as links know it: connector and the vendor's own account id."""
        return f"{self.connector.name}:{self.account.id}"

    def seen(self, record: Record) -> Seen:
        """The mapped part of a record."""
        return Seen(
            record.id,
            record.version,
            record.key,
            record.by,
            self.spoke.raws(record.fields, record.links),
        )


@dataclass(slots=True)
class Portion:
    """Some pages of a feed, their records reduced to what is mapped."""

    seen: list[Seen] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    mark: str | None = None
    whole: bool = False

    def add(self, side: LiveSide, page: Page) -> None:
        """Take a page in."""
        self.mark = self.mark or page.mark
        self.whole = self.whole or page.whole
        for r in page.records:
            if isinstance(r, Gone):
                self.gone.append(r)
            else:
                self.seen.append(side.seen(r))


async def pages(side: LiveSide, feed: str, at: str | None) -> AsyncIterator[Page]:
    """A whole pull, the next page being fetched while the last is worked on.

    Raises:
        PluginError: the vendor's pages run in a circle.
    """
    ahead = asyncio.ensure_future(
        side.connector.read(side.resource.name, feed, at, side.want)
    )
    asked = {at}
    try:
        while True:
            page = await ahead
            if page.next is not None:
                if page.next in asked:
                    raise PluginError(
                        f"the pages of {side.resource.name} run in a circle",
                        where=side.connection,
                    )
                asked.add(page.next)
                ahead = asyncio.ensure_future(
                    side.connector.read(side.resource.name, feed, page.next, side.want)
                )
            yield page
            if page.next is None:
                return
    finally:
        if not ahead.done():
            ahead.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await ahead


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


async def fetch(
    side: LiveSide, ids: Sequence[str]
) -> tuple[dict[str, Seen], dict[str, Gone]]:
    """Records by id in the vendor's largest batches; ids that are not answered are in neither."""
    rows = side.resource.way("fetch").rows
    here: dict[str, Seen] = {}
    gone: dict[str, Gone] = {}

    async def one(part: Sequence[str]) -> None:
        for found in await side.connector.fetch(side.resource.name, part, side.want):
            if isinstance(found, Gone):
                gone[found.id] = found
            else:
                here[found.id] = side.seen(found)

    await together(batches(ids, rows), one)
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
