"""Ids the two systems know of each other decide who is whom before identity does."""

from __future__ import annotations

import pytest

from .conftest import Opener, Vendors

MATCH = "[{left: properties.jobtitle, right: Id}]"
"""A property of HubSpot's that stands in for the one its own integration would write."""


@pytest.fixture
def people() -> int:
    return 0


def here(vendors: Vendors, email: str, knows: str = "") -> str:
    row = {"email": email, "lastname": "Ada", "jobtitle": knows}
    return str(vendors["sales"].edit("contacts", {"properties": row})["id"])


def there(vendors: Vendors, email: str | None) -> str:
    row = {"LastName": "Ada", "Email": email}
    return str(vendors["billing"].edit("Contact", row)["Id"])


async def linked(opened: Opener, vendors: Vendors) -> tuple[dict[str, str], set[str]]:
    """Links after a sync, and the kinds of conflicts."""
    for v in vendors.values():
        v.clock.advance(300)
    async with opened("both", match=MATCH) as hub:
        await hub.sync("contacts")
        kinds = {c.kind for c in hub.conflicts("contacts")}
        return dict(hub.links("contacts")), kinds


async def test_a_known_id_joins_two_whose_emails_differ(
    opened: Opener, vendors: Vendors
) -> None:
    b = there(vendors, "old@x.org")
    a = here(vendors, "new@x.org", b)
    assert await linked(opened, vendors) == ({a: b}, set())
    assert len(vendors["billing"].live("Contact")) == 1


async def test_a_known_id_joins_two_that_identity_knows_nothing_of(
    opened: Opener, vendors: Vendors
) -> None:
    b = there(vendors, None)
    a = here(vendors, "", b)
    assert await linked(opened, vendors) == ({a: b}, set())


async def test_a_known_id_goes_before_the_same_email(
    opened: Opener, vendors: Vendors
) -> None:
    """The one with the same e-mail is not given what another one knows by id."""
    b = there(vendors, "a@x.org")
    c = here(vendors, "a@x.org")
    a = here(vendors, "z@x.org", b)
    links, kinds = await linked(opened, vendors)
    assert links == {a: b}
    assert kinds == {"taken"}
    assert c not in links


async def test_an_id_of_nobody_leaves_it_to_identity(
    opened: Opener, vendors: Vendors
) -> None:
    b = there(vendors, "a@x.org")
    a = here(vendors, "a@x.org", "003000000000000AAA")
    assert await linked(opened, vendors) == ({a: b}, set())


async def test_two_that_know_the_same_id_are_twins(
    opened: Opener, vendors: Vendors
) -> None:
    b = there(vendors, "a@x.org")
    for email in ("p@x.org", "q@x.org"):
        here(vendors, email, b)
    assert await linked(opened, vendors) == ({}, {"twins"})
    assert len(vendors["billing"].live("Contact")) == 1
