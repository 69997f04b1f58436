"""Somebody else writes the fields that the hub writes: what was seen is told, and no more."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from connector_hub.hub import Hub
from connector_hub.model.plan import Seen
from connector_hub.model.standing import Rival
from connector_hub.sync import rivals
from connector_hub.sync.base import Base
from connector_hub.sync.rivals import SOON

from .conftest import Opener, Vendors


@pytest.fixture
def people() -> int:
    return 6


class Story:
    """Two accounts in agreement, in which both sides then edit."""

    def __init__(self, hub: Hub, vendors: Vendors) -> None:
        self.hub, self.sales, self.billing = hub, vendors["sales"], vendors["billing"]

    async def begin(self) -> None:
        await self.hub.sync("companies")
        await self.sync()

    async def sync(self) -> None:
        self.sales.clock.advance(5)
        self.billing.clock.advance(5)
        await self.hub.sync("contacts")

    def ours(self, n: int, title: str) -> None:
        """HubSpot's people edit: the hub carries it over."""
        for row in self.sales.live("contacts")[:n]:
            self.sales.edit(
                "contacts", {"id": row["id"], "properties": {"jobtitle": title}}
            )

    def theirs(self, title: str, field: str = "Title") -> None:
        """Another user of Salesforce changes what has this title now."""
        for row in self.billing.live("Contact"):
            if row["Title"] == title:
                self.billing.edit("Contact", {"Id": row["Id"], field: f"not {title}"})

    def found(self) -> list[tuple[str, str, int, int]]:
        return [(r.side, r.field, r.records, r.times) for r in self.hub.rivals()]


async def test_several_records_that_come_back_changed_are_told(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        story = Story(hub, vendors)
        await story.begin()
        story.ours(3, "Chief")
        await story.sync()
        story.theirs("Chief")
        await hub.plan("contacts")
        assert story.found() == [], "a plan counts nothing"
        await story.sync()
        assert story.found() == [("right", "title", 3, 1)]
        (rival,) = hub.rivals()
        (edited, *_) = [
            r for r in vendors["billing"].live("Contact") if r["Title"] == "not Chief"
        ]
        assert (rival.job, rival.user) == ("contacts", edited["LastModifiedById"])
        await story.sync()
        assert story.found() == [("right", "title", 3, 1)], "once for each writing"


async def test_the_same_record_again_is_told(opened: Opener, vendors: Vendors) -> None:
    async with opened("both") as hub:
        story = Story(hub, vendors)
        await story.begin()
        for title in ("Chief", "Boss"):
            story.ours(1, title)
            await story.sync()
            assert story.found() == []
            story.theirs(title)
            await story.sync()
        assert story.found() == [("right", "title", 1, 2)]


async def test_a_person_who_edits_other_fields_is_no_rival(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        story = Story(hub, vendors)
        await story.begin()
        story.ours(5, "Chief")
        await story.sync()
        story.theirs("Chief", "MobilePhone")
        story.theirs("Chief", "FirstName")
        await story.sync()
        assert hub.store.rivals() == []


async def test_a_first_copy_and_our_own_writes_are_no_rivalry(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        story = Story(hub, vendors)
        await story.begin()
        for row in vendors["billing"].live("Contact")[:5]:
            vendors["billing"].edit("Contact", {"Id": row["Id"], "Title": "Renamed"})
        await story.sync()
        for title in ("Chief", "Boss", "Head"):
            story.ours(5, title)
            await story.sync()
        assert hub.store.rivals() == []


async def test_an_edit_long_after_is_an_ordinary_one(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        story = Story(hub, vendors)
        await story.begin()
        story.ours(5, "Chief")
        await story.sync()
        later = hub.clock.now() + SOON + timedelta(minutes=1)
        hub.clock.now = lambda: later  # type: ignore[method-assign]
        story.theirs("Chief")
        await story.sync()
        assert hub.store.rivals() == []


async def test_what_was_seen_is_forgotten_after_a_month(opened: Opener) -> None:
    async with opened() as hub:
        now = hub.clock.now()
        hub.store.set_wrote("contacts", "right", [("1", "title"), ("2", "title")], now)
        hub.store.meet_rivals("contacts", "right", [("1", "title", "u")] * 2, now)
        assert hub.rivals() == [Rival("contacts", "right", "title", "u", 1, 2)]
        kept: list[Any] = hub.store.wrote("contacts", "right", ["1", "2"], now)
        assert kept == [("2", "title")]
        hub.store.expire(now + SOON + timedelta(minutes=1))
        assert hub.store.wrote("contacts", "right", ["2"], now) == []
        assert hub.rivals()
        hub.store.expire(now + timedelta(days=31))
        assert hub.rivals() == []


async def test_an_edit_before_the_reading_back_counts_when_another_made_it(
    opened: Opener,
) -> None:
    async with opened() as hub:
        here = SimpleNamespace(name="right", account=SimpleNamespace(user="hub"))
        run: Any = SimpleNamespace(
            job=SimpleNamespace(name="contacts"),
            sides=[here],
            store=hub.store,
            clock=hub.clock,
        )
        for user in ("other", "other", "hub", None):
            seen = Seen("1", None, None, user, ())
            rivals.remember(run, [("right", seen, ("title", "phone"), ("title",))])
        assert hub.rivals() == [Rival("contacts", "right", "title", "other", 1, 2)]
        here.account.user = None
        rivals.remember(run, [("right", seen, ("title",), ("title",))])
        assert len(hub.store.rivals()) == 1, "who the hub is there is not known"


def test_a_field_that_was_never_agreed_on_has_not_come_back_changed() -> None:
    bases = SimpleNamespace(never=lambda _base: {"company"})
    account = SimpleNamespace(user="hub")
    here: Any = SimpleNamespace(name="right", account=account, bases=bases)
    run: Any = SimpleNamespace(planning=False, strangers=[])
    seen = Seen("1", None, None, "other", ())
    rivals.notice(run, here, seen, {"title", "company"}, Base(b"", ()))
    assert run.strangers == [("right", "1", "other", {"title"})]


async def test_what_was_written_longer_ago_than_that_is_not_compared(
    opened: Opener,
) -> None:
    async with opened() as hub:
        run: Any = SimpleNamespace(
            job=SimpleNamespace(name="contacts"),
            sides=[SimpleNamespace(name="right")],
            store=hub.store,
            clock=hub.clock,
        )
        for minutes in (61, 59):
            at = hub.clock.now() - timedelta(minutes=minutes)
            hub.store.set_wrote("contacts", "right", [(str(minutes), "title")], at)
            run.strangers = [("right", str(minutes), "other", {"title"})]
            rivals.compare(run)
            assert run.strangers == []
        (found,) = hub.store.rivals()
        assert found.records == 1
