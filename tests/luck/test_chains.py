"""Several merges and conversions between two looks."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("right", [None, BOTH])
async def test_a_contact_that_is_merged_twice(
    opened: Opener, vendors: Vendors, right
) -> None:
    """c1 (linked) into c2, c2 into c3, before the hub looks again: the link is c3's, nobody is made."""
    keys = {"right": right} if right else {}
    contact(vendors, 1)
    c1 = sf(vendors, 1)
    async with opened("both", **keys) as hub:
        later(vendors)
        await hub.sync("contacts")
        c2, c3 = sf(vendors, 2), sf(vendors, 3)
        edit_right(vendors, c1, MasterRecordId=c2)
        edit_right(vendors, c2, MasterRecordId=c3)
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts")
        assert len(left(vendors)) == 1
        assert len(list(hub.links("contacts"))) == 1


@pytest.mark.parametrize("order", [0, 1])
async def test_twice_where_the_second_comes_first_in_the_feed(
    opened: Opener, vendors: Vendors, order
) -> None:
    contact(vendors, 2)
    ids = [sf(vendors, 11), sf(vendors, 12)]
    c1 = sf(vendors, 2)
    c2, c3 = ids if order else ids[::-1]
    async with opened("both", create="right") as hub:
        later(vendors)
        await hub.sync("contacts")
    async with opened("both") as hub:
        edit_right(vendors, c1, MasterRecordId=c2)
        edit_right(vendors, c2, MasterRecordId=c3)
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts")
        assert len(left(vendors)) == 1


async def test_converted_then_merged_with_the_same_person(
    opened: Opener, vendors: Vendors
) -> None:
    """As usual in Salesforce: convert, then the duplicate contact is merged into the elder one."""
    contact(vendors, 1, lifecyclestage="lead", city="Bogor")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        await hub.sync("contacts")
        (there,) = rows(vendors, "Lead")
        vendors["billing"].edit("Lead", {"Id": there["Id"], "IsConverted": True})
        (c1,) = rows(vendors)
        c2 = sf(vendors, 1, Email="old@x.org")
        edit_right(vendors, c1["Id"], MasterRecordId=c2)
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts", options=Options(full=True))
        assert len(left(vendors)) == 1


async def test_merged_into_one_that_is_then_deleted(
    opened: Opener, vendors: Vendors
) -> None:
    h = contact(vendors, 1)
    c1 = sf(vendors, 1)
    async with opened("both", deletes="{follow: true}", guard="{delete: 5}") as hub:
        later(vendors)
        await hub.sync("contacts")
        c2 = sf(vendors, 2)
        edit_right(vendors, c1, MasterRecordId=c2)
        edit_right(vendors, c2, IsDeleted=True)
        edit_left(vendors, h, city="Bogor")
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts")
        assert rows(vendors) == []
