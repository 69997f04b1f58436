"""Conditions, defaults, look-ups and further identities where people are in one of two resources."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Opener, Vendors
from .test_one_of import BY_STAGE, contact, later, lead, properties, rows

RULES = {
    "hubspot": "contacts",
    "salesforce": "Contact",
    "salesforce-lead": "Lead",
}
OWNER = {
    "hubspot": "{path: properties.hubspot_owner_id, lookup: {resource: owners, by: email}}",
    "salesforce": "{path: OwnerId, lookup: {resource: User, by: Email}}",
    "salesforce-lead": "{path: OwnerId, lookup: {resource: User, by: Email}}",
}
OF_CONTACTS = (
    "  title: {path: Title, default: n/a}\n"
    "  city: {path: MailingCity, when: {country: [Indonesia]}}\n"
)


@pytest.fixture
def people() -> int:
    return 0


@pytest.fixture(autouse=True)
def mapped(tmp_path: Path) -> None:
    folder = tmp_path / "mappings" / "contact"
    folder.mkdir(parents=True)
    for file, resource in RULES.items():
        text = (
            f"entity: contact\nconnector: {file.partition('-')[0]}\n"
            f"resource: {resource}\nextends: shipped\nfields:\n  owner: {OWNER[file]}\n"
        )
        if file == "salesforce":
            text += OF_CONTACTS
        (folder / f"{file}.yaml").write_text(text)


async def test_each_resource_has_its_own_defaults_and_conditions(
    opened: Opener, vendors: Vendors
) -> None:
    asked = {"city": "Berlin", "country": "Germany", "hubspot_owner_id": "7101"}
    first = contact(vendors, 1, lifecyclestage="lead", **asked)
    second = contact(vendors, 2, lifecyclestage="customer", **asked)
    async with opened("both", right=BY_STAGE) as hub:
        receipt = await hub.sync("contacts")
        assert (receipt.created, receipt.not_taken) == (2, 0)
        (one,), (other,) = rows(vendors, "Lead"), rows(vendors, "Contact")
        assert (one["Title"], one["City"]) == (None, "Berlin")
        assert (other["Title"], other["MailingCity"]) == ("n/a", None)
        assert one["OwnerId"] == other["OwnerId"]
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        change = {"country": "Indonesia"}
        vendors["sales"].edit("contacts", {"id": second, "properties": change})
        later(vendors)
        await hub.sync("contacts")
        (other,) = rows(vendors, "Contact")
        assert (other["MailingCountry"], other["MailingCity"]) == (
            "Indonesia",
            "Berlin",
        )
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
    held = properties(vendors)
    assert [held[i].get("jobtitle") for i in (first, second)] == [None, None]


async def test_a_lead_under_a_second_address_is_the_same_person(
    opened: Opener, vendors: Vendors
) -> None:
    lead(vendors, 1)
    contact(vendors, 7, hs_additional_emails="p1@x.org")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        receipt = await hub.sync("contacts")
        assert (receipt.created, receipt.conflicts) == (0, 0)
        preview = await hub.preview("contacts")
        assert {p.connection for p in preview} == {"sales", "billing"}
        assert any(p.record.startswith("Lead/") for p in preview)
        found, _ = await hub.suggest("contacts")
        assert "mobile_phone" in {s.field for s in found}
    assert (len(rows(vendors, "Lead")), len(rows(vendors, "Contact"))) == (1, 0)
