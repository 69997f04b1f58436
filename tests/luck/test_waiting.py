"""Plans that wait, vendors that fail, people who correct."""

from __future__ import annotations

import pytest

from connector_hub.errors import HubError
from connector_hub.sync.run import Options
from connector_hub.testing.sandbox import Fault
from tests.conftest import Opener, Vendors

from .accounts import (
    BOTH,
    BY_STAGE,
    contact,
    edit_left,
    edit_right,
    later,
    lead,
    left,
    rows,
    sf,
)


async def test_a_sync_that_waits_has_unlinked_nobody(
    opened: Opener, vendors: Vendors
) -> None:
    a = contact(vendors, 1, city="Bogor")
    async with opened("both", only="{city: [Bogor]}", leaving="unlink") as hub:
        later(vendors)
        await hub.sync("contacts")
        assert len(list(hub.links("contacts"))) == 1
    contact(vendors, 2, city="Solo")
    edit_left(vendors, a, jobtitle="X")
    async with opened(
        "both", only="{city: [Solo]}", leaving="unlink", apply="{when: {create: 0}}"
    ) as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert r.status == "waiting"
        hub.reject(r.plan)
        assert len(list(hub.links("contacts"))) == 1


async def test_a_sync_the_guard_refused_has_unlinked_nobody(
    opened: Opener, vendors: Vendors
) -> None:
    a = contact(vendors, 1, city="Bogor")
    async with opened("both", only="{city: [Bogor]}", leaving="unlink") as hub:
        later(vendors)
        await hub.sync("contacts")
        (_row,) = rows(vendors)
        assert len(list(hub.links("contacts"))) == 1
    contact(vendors, 2, city="Solo")
    edit_left(vendors, a, jobtitle="X")
    async with opened(
        "both", only="{city: [Solo]}", leaving="unlink", guard="{create: 0}"
    ) as hub:
        later(vendors)
        with pytest.raises(HubError):
            await hub.sync("contacts")
        assert len(list(hub.links("contacts"))) == 1


async def test_an_approval_the_vendor_did_not_hear_is_not_called_applied(
    opened: Opener, vendors: Vendors
) -> None:
    contact(vendors, 1)
    async with opened("both", apply="{when: {create: 0}}") as hub:
        later(vendors)
        r = await hub.sync("contacts")
        vendors["billing"].faults.append(Fault(route="POST", status=503, times=None))
        vendors["billing"].faults.append(Fault(route="PATCH", status=503, times=None))
        with pytest.raises(HubError):
            await hub.apply(r.plan)
        vendors["billing"].faults.clear()
        assert rows(vendors) == []
        kept = hub.kept(r.plan)
        assert kept.state != "applied"


async def test_a_decision_outlives_an_older_plan(
    opened: Opener, vendors: Vendors
) -> None:
    h, c = contact(vendors, 1, city="A"), sf(vendors, 1, MailingCity="A")
    contact(vendors, 9)
    async with opened("both") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        await hub.sync("contacts")
        edit_left(vendors, h, city="B")
        edit_right(vendors, c, MailingCity="C")
        later(vendors)
        await hub.sync("contacts")
        (conflict,) = hub.conflicts("contacts")
        hub.resolve(conflict, "right")
        await hub.apply(plan)
        later(vendors)
        await hub.sync("contacts")
        assert left(vendors)[h]["city"] == "C"


async def test_a_decision_about_values_that_moved_since(
    opened: Opener, vendors: Vendors
) -> None:
    """Conflict B/C; a person says left; before the next sync somebody writes D at the right."""
    h, c = contact(vendors, 1, city="A"), sf(vendors, 1, MailingCity="A")
    async with opened("both") as hub:
        later(vendors)
        await hub.sync("contacts")
        edit_left(vendors, h, city="B")
        edit_right(vendors, c, MailingCity="C")
        later(vendors)
        await hub.sync("contacts")
        (conflict,) = hub.conflicts("contacts")
        hub.resolve(conflict, "left")
        edit_right(vendors, c, MailingCity="D")
        later(vendors)
        await hub.sync("contacts")
        assert rows(vendors)[0]["MailingCity"] == "D"


async def test_unlink_then_import(opened: Opener, vendors: Vendors) -> None:
    h, c = contact(vendors, 1, city="A"), sf(vendors, 1, MailingCity="A")
    async with opened("both") as hub:
        later(vendors)
        await hub.sync("contacts")
        await hub.unlink("contacts", h, c)
        later(vendors)
        await hub.sync("contacts")
        assert len(hub.conflicts("contacts")) == 2
        await hub.link("contacts", [(2, h, c)])
        later(vendors)
        for _ in range(2):
            await hub.sync("contacts")
        assert list(hub.links("contacts")) == [(h, c)]
        assert hub.conflicts("contacts") == []
        assert len(rows(vendors)) == len(left(vendors)) == 1


async def test_unlinked_pair_in_a_second_full_run_stays_apart(
    opened: Opener, vendors: Vendors
) -> None:
    h = contact(vendors, 1, city="A", lifecyclestage="lead")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        await hub.sync("contacts")
        ((_, c),) = hub.links("contacts")
        await hub.unlink("contacts", h, c)
        vendors["billing"].edit(
            "Lead", {"Id": c.partition("/")[2], "IsConverted": True}
        )
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts", options=Options(full=True))
        assert list(hub.links("contacts")) == []
        assert len(rows(vendors)) == len(left(vendors)) == 1


async def test_backfill_and_pilot_and_one_of(opened: Opener, vendors: Vendors) -> None:
    _h, _l = contact(vendors, 1, city="A"), lead(vendors, 1, City="A")
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        await hub.sync("contacts")
        r = await hub.sync("contacts", options=Options(backfill=frozenset({"city"})))
        assert sum(r.writes.values()) == 0


async def test_a_replay_sees_who_has_come_across_meanwhile(
    opened: Opener, vendors: Vendors
) -> None:
    """A person makes by hand what was refused. Only that is replayed: others' edits wait for the sync."""
    record, other = contact(vendors, 1, lastname=""), contact(vendors, 2)
    later(vendors)
    async with opened("both") as hub:
        assert (await hub.sync("contacts")).dead_letters == 1
        (theirs,) = rows(vendors)
        sf(vendors, 1)
        edit_right(vendors, theirs["Id"], Title="Boss")
        edit_left(vendors, record, lastname="Person 1")
        later(vendors)
        receipt = await hub.replay("contacts")
        assert (receipt.read, receipt.created) == (1, 0)
        assert len(rows(vendors)) == 2
        assert left(vendors)[other]["jobtitle"] is None
        await hub.sync("contacts")
        assert left(vendors)[other]["jobtitle"] == "Boss"
        assert len(rows(vendors)) == len(list(hub.links("contacts"))) == 2
