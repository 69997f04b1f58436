"""only, leaving, deletes follow, one_of, and marks that are lost."""

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
    lead,
    left,
    rows,
    sf,
)


async def all_jobs(hub, vendors, times=1, **options):
    r = None
    for _ in range(times):
        later(vendors)
        for j in hub.jobs_in_order():
            r = await hub.sync(j, options=Options(**options))
    return r


DEL = {"deletes": "{follow: true}", "guard": "{delete: 10}"}


@pytest.mark.parametrize("back", [False, True])
async def test_deletes_follow_when_one_resource_becomes_several(
    opened: Opener, vendors: Vendors, back
) -> None:
    contact(vendors, 1)
    first, then = (
        (BOTH, "{connection: billing, resource: Contact}")
        if back
        else ("{connection: billing, resource: Contact}", BOTH)
    )
    async with opened("both", right=first, **DEL) as hub:
        await all_jobs(hub, vendors, 2)
    async with opened("both", right=then, **DEL) as hub:
        r = await all_jobs(hub, vendors, 2)
        assert r.writes == {"billing": 0, "sales": 0}
        edit_right(vendors, rows(vendors)[0]["Id"], IsDeleted=True)
        r = await all_jobs(hub, vendors, 2)
        assert left(vendors) == {}


async def test_deletes_follow_for_leads(opened: Opener, vendors: Vendors) -> None:
    for n in range(4):
        contact(vendors, n, lifecyclestage="lead")
    contact(vendors, 9)
    async with opened("both", right=BY_STAGE, **DEL) as hub:
        await all_jobs(hub, vendors)
        leads = rows(vendors, "Lead")
        edit_right(vendors, leads[0]["Id"], "Lead", IsDeleted=True)
        vendors["billing"].edit("Lead", {"Id": leads[1]["Id"], "IsConverted": True})
        c = next(i for i, p in left(vendors).items() if p["email"] == leads[2]["Email"])
        vendors["sales"].edit("contacts", {"id": c, "archived": True})
        await all_jobs(hub, vendors, 2, full=True)
        assert len(left(vendors)) == 3
        assert len(rows(vendors, "Lead")) == 2
        assert len(rows(vendors)) == 1


async def test_a_contact_deleted_after_its_lead_was_converted_follows(
    opened: Opener, vendors: Vendors
) -> None:
    """Converted, and the contact is deleted, before the hub looks again."""
    h = contact(vendors, 1)
    there = lead(vendors, 1)
    async with opened("both", right=BOTH, **DEL) as hub:
        await all_jobs(hub, vendors)
        vendors["billing"].edit("Lead", {"Id": there, "IsConverted": True})
        (c,) = rows(vendors)
        edit_right(vendors, c["Id"], IsDeleted=True)
        edit_left(vendors, h, city="Bogor")
        await all_jobs(hub, vendors, 3)
        # people deleted it there: it is not made again, and here it follows
        assert not rows(vendors)
        assert not rows(vendors, "Lead")


async def test_a_hubspot_contact_is_archived_while_its_lead_is_converted(
    opened: Opener, vendors: Vendors
) -> None:
    h = contact(vendors, 1)
    there = lead(vendors, 1)
    async with opened("both", right=BOTH) as hub:  # no deletes
        await all_jobs(hub, vendors)
        vendors["billing"].edit("Lead", {"Id": there, "IsConverted": True})
        vendors["sales"].edit("contacts", {"id": h, "archived": True})
        await all_jobs(hub, vendors, 3)
        assert len(rows(vendors)) == 1
        assert len(left(vendors)) == 0


@pytest.mark.parametrize("leaving", ["keep", "unlink", "delete"])
@pytest.mark.parametrize("direction", ["right-to-left", "left-to-right", "both"])
async def test_leaving(opened: Opener, vendors: Vendors, direction, leaving) -> None:
    if direction == "both" and leaving == "delete":
        return
    keys = {"only": "{city: [Bogor]}", "leaving": leaving, "guard": "{delete: 10}"}
    a, b = contact(vendors, 1, city="Bogor"), sf(vendors, 2, MailingCity="Bogor")
    contact(vendors, 3, city="Medan"), sf(vendors, 4, MailingCity="Medan")
    async with opened(direction, **keys) as hub:
        await all_jobs(hub, vendors)
        n = len(left(vendors)), len(rows(vendors))
        edit_left(vendors, a, city="Medan", jobtitle="L")
        edit_right(vendors, b, MailingCity="Medan", Title="R")
        await all_jobs(hub, vendors, 2)
        edit_left(vendors, a, city="Bogor", jobtitle="L2")
        edit_right(vendors, b, MailingCity="Bogor", Title="R2")
        await all_jobs(hub, vendors, 2)
        assert (len(left(vendors)), len(rows(vendors))) == n
        r = await all_jobs(hub, vendors)
        assert sum(r.writes.values()) == 0
        there = {r["Email"]: r["Title"] for r in rows(vendors)}
        here = {p["email"]: p["jobtitle"] for p in left(vendors).values()}
        if direction != "right-to-left":
            assert there["p1@x.org"] == "L2"
        if direction == "right-to-left":
            assert here["p2@x.org"] == "R2"
        assert here["p1@x.org"] == "L2"
        if (direction, leaving) != ("both", "unlink"):  # met anew: first: decides
            assert there["p2@x.org"] == "R2"


async def test_who_leaves_by_the_others_word_is_unlinked_not_rewritten(
    opened: Opener, vendors: Vendors
) -> None:
    """Two-way, unlink: the right leaves; the last write makes the left leave, too; nothing else moves later."""  # noqa: E501 - one line of YAML
    a = contact(vendors, 1, city="Bogor")
    async with opened("both", only="{city: [Bogor]}", leaving="unlink") as hub:
        await all_jobs(hub, vendors)
        (r,) = rows(vendors)
        edit_right(vendors, r["Id"], MailingCity="Medan")
        edit_left(vendors, a, jobtitle="L")
        await all_jobs(hub, vendors, 2)
        edit_left(vendors, a, jobtitle="L3")
        await all_jobs(hub, vendors, 2)
        assert rows(vendors)[0]["Title"] == "L"
        assert left(vendors)[a]["city"] == "Medan"


async def test_a_scope_by_a_field_leads_do_not_have(
    opened: Opener, vendors: Vendors
) -> None:
    """Only + one_of + create_as: the stage that put somebody among the leads changes later."""
    a = contact(vendors, 1, lifecyclestage="lead")
    contact(vendors, 2, lifecyclestage="customer")
    async with opened("both", right=BY_STAGE, only="{stage: [lead, customer]}") as hub:
        await all_jobs(hub, vendors, 2)
        assert len(rows(vendors, "Lead")) == 1
        assert len(rows(vendors)) == 1
        edit_left(vendors, a, lifecyclestage="customer", city="Bogor")
        await all_jobs(hub, vendors, 2)
        assert len(rows(vendors, "Lead")) == 1
        assert len(rows(vendors)) == 1
        assert rows(vendors, "Lead")[0]["City"] == "Bogor"
        edit_left(vendors, a, lifecyclestage="other")
        edit_left(vendors, a, city="Medan")
        await all_jobs(hub, vendors, 2)
        assert rows(vendors, "Lead")[0]["City"] == "Bogor"
        assert len(rows(vendors, "Lead")) == 1
        assert len(rows(vendors)) == 1
        vendors["billing"].edit(
            "Lead", {"Id": rows(vendors, "Lead")[0]["Id"], "IsConverted": True}
        )
        edit_left(vendors, a, lifecyclestage="customer")
        r = await all_jobs(hub, vendors, 3)
        assert len(rows(vendors)) == 2
        assert {x["MailingCity"] for x in rows(vendors)} == {"Medan", None}
        assert sum(r.writes.values()) == 0


async def test_the_hub_was_off_for_a_month_with_deletes_that_follow(
    opened: Opener, vendors: Vendors
) -> None:
    _a, _b = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", right=BOTH, **DEL) as hub:
        await all_jobs(hub, vendors, 2)
        x, _y = rows(vendors)
        edit_right(vendors, x["Id"], IsDeleted=True)
        later(vendors, 40 * 86400)
        await all_jobs(hub, vendors, 2)
        assert (len(left(vendors)), len(rows(vendors))) == (2, 1)


async def test_a_lead_that_is_converted_and_edited_at_once(
    opened: Opener, vendors: Vendors
) -> None:
    """Lead converted; the contact's city edited; the left edited at the same field: nobody is overwritten."""
    h = contact(vendors, 1, city="A")
    there = lead(vendors, 1, City="A")
    async with opened("both", right=BOTH) as hub:
        await all_jobs(hub, vendors)
        vendors["billing"].edit("Lead", {"Id": there, "IsConverted": True})
        (c,) = rows(vendors)
        edit_right(vendors, c["Id"], MailingCity="B")
        edit_left(vendors, h, city="C")
        await all_jobs(hub, vendors, 2)
        assert (rows(vendors)[0]["MailingCity"], left(vendors)[h]["city"]) == ("B", "C")
        assert [x.kind for x in hub.conflicts("contacts")] == ["fields"]


async def test_a_field_that_people_emptied_after_the_conversion_is_emptied(
    opened: Opener, vendors: Vendors
) -> None:
    h = contact(vendors, 1, city="A")
    there = lead(vendors, 1, City="A")
    async with opened("both", right=BOTH) as hub:
        await all_jobs(hub, vendors)
        edit_left(vendors, h, city="")
        vendors["billing"].edit("Lead", {"Id": there, "IsConverted": True})
        await all_jobs(hub, vendors, 2)
        assert not rows(vendors)[0]["MailingCity"]
        assert not left(vendors)[h].get("city")


async def test_a_merge_at_salesforce_while_the_left_was_emptied(
    opened: Opener, vendors: Vendors
) -> None:
    """Heir rule: a blank does not erase. But here a person emptied the left on purpose."""
    c1, c2 = sf(vendors, 1, Title="T", MailingCity="X"), sf(vendors, 2)
    h = contact(vendors, 1, jobtitle="T", city="X")
    async with opened("both", create="none") as hub:
        await all_jobs(hub, vendors)
        edit_right(vendors, c1, MasterRecordId=c2)
        edit_left(vendors, h, city="Y")
        await all_jobs(hub, vendors, 3)
        (r,) = rows(vendors)
        assert left(vendors)[h]["city"] == "Y"
        assert r["Title"] == "T"
