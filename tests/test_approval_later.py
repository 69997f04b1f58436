"""A plan approved an hour later, with 5 % of its records moved meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from connector_hub.hub import Hub
from connector_hub.model.plan import Receipt
from connector_hub.sync.run import Options

from .conftest import Opener, Vendors
from .test_plans import Later

Rows = dict[str, dict[str, Any]]


@pytest.fixture
def people() -> int:
    return 320


def left(vendors: Vendors) -> Rows:
    """HubSpot's contacts by e-mail."""
    found = [
        r["properties"] | {"id": r["id"]} for r in vendors["sales"].live("contacts")
    ]
    return {r["email"].lower(): r for r in found}


def right(vendors: Vendors) -> Rows:
    """Salesforce's contacts by e-mail."""
    return {r["Email"].lower(): r for r in vendors["billing"].live("Contact")}


def edit_left(vendors: Vendors, emails: Sequence[str], **fields: str) -> None:
    there = left(vendors)
    for email in emails:
        body = {"id": there[email]["id"], "properties": fields}
        vendors["sales"].edit("contacts", body)


def edit_right(vendors: Vendors, emails: Sequence[str], **fields: str) -> None:
    there = right(vendors)
    for email in emails:
        vendors["billing"].edit("Contact", {"Id": there[email]["Id"], **fields})


def later(vendors: Vendors, seconds: float) -> None:
    for vendor in vendors.values():
        vendor.clock.advance(seconds)


def differing(before: Rows, after: Rows, names: Sequence[str]) -> set[str]:
    """E-mails of records that were made, or that hold another value in some field."""
    return {
        email
        for email, row in after.items()
        if email not in before or any(row[n] != before[email][n] for n in names)
    }


LEFT = ("jobtitle", "city", "lastname", "lastmodifieddate")
RIGHT = ("Title", "MailingCity", "LastName", "SystemModstamp")
"""Fields that people edit here, and the stamp that any write moves."""


async def agreed(hub: Hub) -> None:
    """The first 200 people are on both sides."""
    await hub.sync("companies")
    first = await hub.sync("contacts", options=Options(limit=200))
    assert first.created == 200


async def test_one_way(opened: Opener, vendors: Vendors) -> None:
    async with opened() as hub:
        await agreed(hub)
        known = sorted(right(vendors))
        new = sorted(set(left(vendors)) - set(known))
        assert (len(known), len(new)) == (200, 120)
        edit_left(vendors, known, jobtitle="Direktur A")
        later(vendors, 60)
        plan = await hub.plan("contacts")
        assert (plan.count("update"), plan.count("create")) == (200, 120)

        later(vendors, 3600)
        hub.clock = Later(hours=1)
        edit_left(vendors, known[:4], city="Bandung")
        edit_right(vendors, known[4:8], MailingCity="Medan")
        edit_left(vendors, new[:4], jobtitle="Later")
        for email in new[4:8]:
            vendors["billing"].edit("Contact", {"LastName": "There", "Email": email})
        later(vendors, 60)
        moved = {*known[:8], *new[:8]}
        before = left(vendors), right(vendors)

        receipt = await hub.apply(plan)
        after = left(vendors), right(vendors)
        assert receipt.stale == len(moved) == 16
        assert (receipt.updated, receipt.created) == (192, 112)
        assert receipt.read == 320
        written = differing(before[1], after[1], RIGHT)
        assert written == {*known, *new} - moved
        assert differing(before[0], after[0], LEFT) == set()
        assert receipt.writes == {"billing": 304}

        later(vendors, 60)
        await brought_right(hub)
    end = right(vendors)
    assert len(end) == 320
    assert {end[e]["Title"] for e in known} == {"Direktur A"}
    assert {end[e]["MailingCity"] for e in known[:4]} == {"Bandung"}
    assert {end[e]["Title"] for e in new[:4]} == {"Later"}


async def brought_right(hub: Hub) -> Receipt:
    """What was stale is written by the next sync; after it nothing is left to do."""
    done = await hub.sync("contacts")
    assert (done.stale, done.conflicts, done.dead_letters) == (0, 0, 0)
    rest = await hub.sync("contacts", options=Options(full=True))
    assert sum(rest.writes.values()) == 0
    assert rest.read == rest.unchanged
    return done


async def test_two_way(opened: Opener, vendors: Vendors) -> None:
    billing, sales = vendors["billing"], vendors["sales"]
    async with opened("both", apply="{when: {create: 0}}") as hub:
        await hub.sync("companies")
        await hub.apply(await hub.plan("contacts", options=Options(limit=200)))
        known = sorted(right(vendors))
        there = left(vendors)
        to_right = sorted(set(there) - set(known))
        edit_left(vendors, known[:100], jobtitle="Direktur A")
        edit_right(vendors, known[100:], Title="Manajer B")
        to_left = [f"billing{i}@people.example" for i in range(80)]
        for i, email in enumerate(to_left):
            billing.edit("Contact", {"LastName": f"N{i}", "Email": email})
        later(vendors, 60)
        held = await hub.sync("contacts")
        assert (held.status, held.blocked) == ("waiting", 400)

        later(vendors, 3600)
        hub.clock = Later(hours=1)
        edit_left(vendors, known[:3], city="Bandung")
        edit_right(vendors, known[3:6], MailingCity="Medan")
        edit_left(vendors, known[100:102], city="Bandung")
        edit_right(vendors, known[102:104], MailingCity="Medan")
        edit_left(vendors, to_right[:3], jobtitle="Later")
        edit_right(vendors, to_left[:3], Title="Later")
        for email in to_right[3:5]:
            billing.edit("Contact", {"LastName": "There", "Email": email})
        for email in to_left[3:5]:
            sales.edit("contacts", {"properties": {"lastname": "T", "email": email}})
        later(vendors, 60)
        moved = {*known[:6], *known[100:104], *to_right[:5], *to_left[:5]}
        before = left(vendors), right(vendors)

        receipt = await hub.apply(str(held.plan))
        after = left(vendors), right(vendors)
        assert receipt.stale == len(moved) == 20
        assert (receipt.updated, receipt.created) == (190, 190)
        assert differing(before[0], after[0], LEFT) == {*known[100:], *to_left} - moved
        assert (
            differing(before[1], after[1], RIGHT) == {*known[:100], *to_right} - moved
        )
        assert receipt.writes == {"billing": 94 + 115, "sales": 96 + 75}
        assert receipt.drift == 0

        later(vendors, 60)
    async with opened("both") as hub:
        await brought_right(hub)
    lefts, rights = left(vendors), right(vendors)
    assert lefts.keys() == rights.keys()
    assert len(lefts) == 400
    for email in moved:
        assert (lefts[email]["jobtitle"] or None) == rights[email]["Title"]
        assert (lefts[email]["city"] or None) == rights[email]["MailingCity"]
    assert {rights[e]["MailingCity"] for e in known[:3]} == {"Bandung"}
    assert {lefts[e]["city"] for e in known[3:6]} == {"Medan"}
    assert {lefts[e]["jobtitle"] for e in to_left[:3]} == {"Later"}
