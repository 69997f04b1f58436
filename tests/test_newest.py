"""``both: newest``, where the vendors say enough."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector_hub.adapters.files import load_project
from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import ConfigError
from connector_hub.hub import Hub

from .conftest import PROJECT, Opener, Vendors

CITY = "{city: {both: newest}}"


@pytest.fixture
def people() -> int:
    return 3


def later(vendors: Vendors, seconds: float = 300) -> None:
    for v in vendors.values():
        v.clock.advance(seconds)


async def linked(hub: Hub, vendors: Vendors) -> tuple[str, str]:
    later(vendors)
    await hub.sync("contacts")
    later(vendors)
    await hub.sync("contacts")
    return next(iter(hub.links("contacts")))


def cities(vendors: Vendors, pair: tuple[str, str]) -> tuple[str, str]:
    here = {r["id"]: r for r in vendors["sales"].live("contacts")}
    there = {r["Id"]: r for r in vendors["billing"].live("Contact")}
    return here[pair[0]]["properties"]["city"], there[pair[1]]["MailingCity"]


def move(vendors: Vendors, pair: tuple[str, str], side: str) -> None:
    if side == "sales":
        body = {"id": pair[0], "properties": {"city": "Bogor"}}
        vendors["sales"].edit("contacts", body)
    else:
        body = {"Id": pair[1], "MailingCity": "Medan"}
        vendors["billing"].edit("Contact", body)
    later(vendors, 60)


async def test_an_edit_in_hubspot_after_the_last_one_in_salesforce_wins(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both", fields=CITY) as hub:
        pair = await linked(hub, vendors)
        move(vendors, pair, "billing")
        move(vendors, pair, "sales")
        receipt = await hub.sync("contacts")
        assert cities(vendors, pair) == ("Bogor", "Bogor")
        assert receipt.conflicts == 0
        later(vendors)
        assert not any((await hub.sync("contacts")).writes.values())


async def test_what_the_times_leave_open_is_asked(
    opened: Opener, vendors: Vendors
) -> None:
    """Salesforce says when the record changed, not which of its fields."""
    async with opened("both", fields=CITY) as hub:
        pair = await linked(hub, vendors)
        move(vendors, pair, "sales")
        move(vendors, pair, "billing")
        await hub.sync("contacts")
        assert cities(vendors, pair) == ("Bogor", "Medan")
        assert [c.kind for c in hub.conflicts("contacts")] == ["fields"]


async def test_a_decision_goes_before_the_times(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both", fields=CITY) as hub:
        pair = await linked(hub, vendors)
        move(vendors, pair, "sales")
        move(vendors, pair, "billing")
        await hub.sync("contacts")
        (conflict,) = hub.conflicts("contacts")
        hub.resolve(conflict, "billing")
        later(vendors)
        await hub.sync("contacts")
        assert cities(vendors, pair) == ("Medan", "Medan")


async def test_at_a_first_meeting_the_newest_may_win(
    opened: Opener, vendors: Vendors
) -> None:
    row = vendors["sales"].live("contacts")[0]
    email = row["properties"]["email"]
    there = {"LastName": "X", "Email": email, "MailingCity": "Medan"}
    pair = (row["id"], vendors["billing"].edit("Contact", there)["Id"])
    later(vendors)
    move(vendors, pair, "sales")
    async with opened("both", first="{city: newest}") as hub:
        await hub.sync("contacts")
        assert cities(vendors, pair) == ("Bogor", "Bogor")


def test_a_link_that_no_job_keeps_cannot_have_a_policy(tmp_path: Path) -> None:
    text = re.sub(r"  companies:\n(    .*\n)+", "", PROJECT).replace(
        "DIRECTION", "both"
    )
    file = tmp_path / "hub.yaml"
    file.write_text(text + "    fields: {company: {both: left}}\n")
    environ = dict.fromkeys(
        ("HUBSPOT_URL", "SALESFORCE_URL", "SALESFORCE_CLIENT_ID"), "https://x.example"
    )
    with pytest.raises(ConfigError) as told:
        load_project(
            file, profile=None, environ=environ, connectors=Plugins().connector
        )
    assert "'company' links to company, which no job keeps between these two" in str(
        told.value
    )
    assert "add a job for entity company" in str(told.value)


async def test_the_owner_of_a_field_wins_at_a_first_meeting_whatever_the_times_say(
    opened: Opener, vendors: Vendors
) -> None:
    row = vendors["sales"].live("contacts")[0]
    email = row["properties"]["email"]
    there = {"LastName": "X", "Email": email, "MailingCity": "Medan"}
    pair = (row["id"], vendors["billing"].edit("Contact", there)["Id"])
    later(vendors)
    move(vendors, pair, "sales")
    keys = {"fields": "{city: {from: billing}}", "first": "{city: newest}"}
    async with opened("both", **keys) as hub:
        await hub.sync("contacts")
        assert cities(vendors, pair) == ("Medan", "Medan")
