"""The rest: limits, guards in the middle, notices, right-to-left, clocks."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from connector_hub.adapters.clock import SystemClock
from connector_hub.errors import HubError
from connector_hub.sync.run import Options
from tests.conftest import Opener, Vendors

from .accounts import (
    BOTH,
    BY_STAGE,
    contact,
    edit_left,
    edit_right,
    later,
    left,
    rows,
    sf,
)


class Ahead(SystemClock):
    def __init__(self, **ahead):
        self.ahead = timedelta(**ahead)

    def now(self):
        return super().now() + self.ahead


async def test_two_way_links_import_does_not_write_before_it_is_planned(
    opened: Opener, vendors: Vendors
) -> None:
    h, c = contact(vendors, 1, city="A"), sf(vendors, 2, MailingCity="B")
    async with opened("both", create="none") as hub:
        later(vendors)
        await hub.sync("contacts")
        await hub.link("contacts", [(2, h, c)])
        plan = await hub.plan("contacts")
        assert plan.count("update") == 1
        assert len(rows(vendors)) == 1
        assert rows(vendors)[0]["MailingCity"] == "B"


async def test_right_to_left_with_delete_and_twins(
    opened: Opener, vendors: Vendors
) -> None:
    cs = [sf(vendors, n, MailingCity="Bogor") for n in range(5)]
    async with opened(
        "right-to-left", only="{city: [Bogor]}", leaving="delete", guard="{delete: 10}"
    ) as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert r.created == 5
        hs = left(vendors)
        first = next(i for i, p in hs.items() if p["email"] == "p0@x.org")
        edit_left(vendors, first, city="Solo")  # drift here, in scope there
        edit_right(vendors, cs[1], MailingCity="Medan")
        edit_right(vendors, cs[2], MailingCity="Medan")
        second = next(i for i, p in hs.items() if p["email"] == "p2@x.org")
        edit_left(vendors, second, jobtitle="worked with")
        later(vendors)
        r = await hub.sync("contacts")
        assert len(left(vendors)) == 4
        r = await hub.sync("contacts", options=Options(full=True))
        assert len(left(vendors)) == 4


async def test_a_clock_that_jumps_back_after_a_sync(
    opened: Opener, vendors: Vendors
) -> None:
    h, _c = contact(vendors, 1, city="A"), sf(vendors, 1, MailingCity="A")
    async with opened("both", apply="{when: {create: 0}}") as hub:
        hub.clock = Ahead(days=400)
        await hub.sync("contacts")
        hub.clock = SystemClock()
        edit_left(vendors, h, city="B")
        later(vendors)
        r = await hub.sync("contacts")
        assert r.updated == 1
        contact(vendors, 2)
        later(vendors)
        r = await hub.sync("contacts")
        hub.clock = Ahead(days=-3)
        r = await hub.apply(r.plan)
        assert r.created == 1


async def test_decided_and_limited(opened: Opener, vendors: Vendors) -> None:
    for n in range(10):
        contact(vendors, n), sf(vendors, n + 5)
    async with opened("both") as hub:
        later(vendors)
        total = 0
        for _ in range(12):
            r = await hub.sync("contacts", options=Options(limit=3))
            total += r.created + r.updated
            assert r.created + r.updated <= 3
            later(vendors)
        assert len(left(vendors)) == len(rows(vendors)) == 15


async def test_a_plan_with_a_limit_then_approved_later_and_the_rest(
    opened: Opener, vendors: Vendors
) -> None:
    for n in range(10):
        contact(vendors, n)
    async with opened("both", right=BY_STAGE, pilot="6") as hub:
        later(vendors)
        plan = await hub.plan("contacts", options=Options(limit=2))
        contact(vendors, 50)
        r = await hub.apply(plan)
        assert r.created == 2
        later(vendors)
        for _ in range(2):
            r = await hub.sync("contacts")
        n = len(rows(vendors)) + len(rows(vendors, "Lead"))
        assert n == 6


async def test_two_processes_plan_and_sync_two_plans(
    opened: Opener, vendors: Vendors
) -> None:
    """Two plans of one job made one after the other, both approved."""
    for n in range(4):
        contact(vendors, n)
        sf(vendors, n + 2, Title="T")
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        a = await hub.plan("contacts")
        b = await hub.plan("contacts")
        await hub.apply(b)
        with contextlib.suppress(HubError):
            await hub.apply(a)
        assert len(rows(vendors)) == len(left(vendors)) == 6
