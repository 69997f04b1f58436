"""Merges and conversions where both records are linked."""

from __future__ import annotations

from tests.conftest import Opener, Vendors

from .accounts import (
    BOTH,
    contact,
    convert_into,
    edit_left,
    edit_right,
    hs_merge,
    later,
    lead,
    left,
    rows,
    sf,
)


async def test_two_leads_converted_into_one_contact_do_not_leave_one_person_alone(
    opened: Opener, vendors: Vendors
) -> None:
    l1, l2 = lead(vendors, 1), lead(vendors, 2)
    _h1, h2 = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        await hub.sync("contacts")
        vendors["billing"].edit("Lead", {"Id": l1, "IsConverted": True})
        (c,) = rows(vendors)
        convert_into(vendors, l2, c["Id"])
        later(vendors)
        await hub.sync("contacts")
        edit_left(vendors, h2, city="Bogor")
        later(vendors)
        await hub.sync("contacts")
        # h2 is now tied to nobody; its edits go nowhere. Somebody must hear of it.
        assert [c.kind for c in hub.conflicts("contacts")] == ["merged"]


async def test_a_lead_converted_into_a_contact_of_another_person_is_told(
    opened: Opener, vendors: Vendors
) -> None:
    l1 = lead(vendors, 1)
    c2 = sf(vendors, 2)
    h1, _h2 = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        await hub.sync("contacts")
        convert_into(vendors, l1, c2)
        later(vendors)
        await hub.sync("contacts")
        edit_left(vendors, h1, city="Bogor")
        later(vendors)
        await hub.sync("contacts")
        assert [c.kind for c in hub.conflicts("contacts")] == ["merged"]


async def test_a_merge_of_two_linked_contacts_at_hubspot_is_told(
    opened: Opener, vendors: Vendors
) -> None:
    _c1, c2 = sf(vendors, 1), sf(vendors, 2)
    h1, h2 = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", deletes="{follow: true}", guard="{delete: 10}") as hub:
        later(vendors)
        await hub.sync("contacts")
        await hs_merge(vendors, h1, h2)
        later(vendors)
        await hub.sync("contacts")
        edit_right(vendors, c2, MailingCity="Bogor")
        later(vendors)
        await hub.sync("contacts")
        assert len(rows(vendors)) == 2
        assert [c.kind for c in hub.conflicts("contacts")] == ["merged"]


async def test_a_merge_of_two_linked_contacts_at_salesforce_is_told(
    opened: Opener, vendors: Vendors
) -> None:
    c1, c2 = sf(vendors, 1), sf(vendors, 2)
    _h1, h2 = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", deletes="{follow: true}", guard="{delete: 10}") as hub:
        later(vendors)
        await hub.sync("contacts")
        edit_right(vendors, c2, MasterRecordId=c1)
        later(vendors)
        await hub.sync("contacts")
        edit_left(vendors, h2, city="Bogor")
        later(vendors)
        await hub.sync("contacts")
        assert len(left(vendors)) == 2
        assert [c.kind for c in hub.conflicts("contacts")] == ["merged"]


async def test_a_conversion_does_not_overwrite_the_company_people_chose(
    opened: Opener, vendors: Vendors
) -> None:
    """A lead has no company link; the contact it becomes gets an account. Never agreed on: first meeting."""
    l1 = lead(vendors, 1, Company="What The Lead Typed")
    h1 = contact(vendors, 1)
    firm = vendors["sales"].edit(
        "companies", {"properties": {"name": "Right Firm", "domain": "right.example"}}
    )["id"]
    vendors["sales"].portal.associate("contacts", h1, "companies", firm, {1})
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
        vendors["billing"].edit("Lead", {"Id": l1, "IsConverted": True})
        later(vendors)
        for _ in range(2):
            for j in hub.jobs_in_order():
                await hub.sync(j)
            later(vendors)
        (row,) = vendors["sales"].live("contacts")
        assoc = row["associations"]["companies"]["results"]
        assert {a["id"] for a in assoc if a["type"].endswith("contact_to_company")} == {
            firm
        }
