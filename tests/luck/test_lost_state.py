"""hub.db is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Opener, Vendors

from .accounts import (
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


def lose(folder) -> None:
    for f in folder.glob("hub.db*"):
        f.unlink()


def count(vendors):
    return (
        len(left(vendors)),
        len(rows(vendors)),
        len(rows(vendors, "Lead")),
    )


@pytest.mark.parametrize("direction", ["both", "left-to-right"])
@pytest.mark.parametrize("how", ["by hand only", "and another e-mail"])
async def test_what_was_unlinked_is_not_merged_after_the_state_is_lost(
    opened: Opener, vendors: Vendors, tmp_path, how, direction
) -> None:
    """Made by the hub, hence with its record key; found to be two people, unlinked, told apart by e-mail."""
    h = contact(vendors, 1, city="Bogor")
    async with opened(direction, create="right") as hub:
        later(vendors)
        await hub.sync("contacts")
        ((_, c),) = hub.links("contacts")
        await hub.unlink("contacts", h, c)
        if how == "and another e-mail":
            edit_right(
                vendors,
                c,
                Email="someone.else@x.org",
                LastName="Else",
                MailingCity="Medan",
            )
        later(vendors)
        await hub.sync("contacts")
        later(vendors)
        await hub.sync("contacts")
        before = (
            {i: p["city"] for i, p in left(vendors).items()},
            {r["Id"]: (r["Email"], r["MailingCity"]) for r in rows(vendors)},
        )
    lose(tmp_path)
    async with opened(direction, create="right") as hub:
        later(vendors)
        await hub.sync("contacts")
        later(vendors)
        await hub.sync("contacts")
        after = (
            {i: p["city"] for i, p in left(vendors).items()},
            {r["Id"]: (r["Email"], r["MailingCity"]) for r in rows(vendors)},
        )
        assert after == before


@pytest.mark.parametrize("direction", ["both", "left-to-right"])
async def test_one_of_two_way_after_the_state_is_lost(
    opened: Opener, vendors: Vendors, tmp_path, direction
) -> None:
    for n in range(5):
        contact(vendors, n, lifecyclestage="lead")
    for n in range(5, 10):
        contact(vendors, n, lifecyclestage="customer")
    for n in range(10, 15):
        lead(vendors, n)
        sf(vendors, n + 10)
    async with opened(direction, right=BY_STAGE) as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
        made = rows(vendors, "Lead")
        vendors["billing"].edit("Lead", {"Id": made[-1]["Id"], "IsConverted": True})
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
        # e-mails move, then state is lost before anybody runs
        b = count(vendors)
        for i, p in list(left(vendors).items())[:3]:
            edit_left(vendors, i, email="new" + p["email"])
    lose(tmp_path)
    async with opened(direction, right=BY_STAGE) as hub:
        for _ in range(3):
            later(vendors)
            for j in hub.jobs_in_order():
                r = await hub.sync(j)
        assert count(vendors) == b
        assert r.writes == dict.fromkeys(r.writes, 0)


async def test_the_state_is_lost_after_a_lead_made_by_the_hub_was_converted(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    """The contact has no record key of ours; identity finds it again."""
    contact(vendors, 1, lifecyclestage="lead")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        await hub.sync("contacts")
        (made,) = rows(vendors, "Lead")
        vendors["billing"].edit("Lead", {"Id": made["Id"], "IsConverted": True})
        later(vendors)
        await hub.sync("contacts")
    lose(tmp_path)
    async with opened("both", right=BY_STAGE) as hub:
        for _ in range(2):
            later(vendors)
            receipt = await hub.sync("contacts")
        assert len(left(vendors)) == len(rows(vendors)) == 1
        assert rows(vendors, "Lead") == []
        assert not any(receipt.writes.values())
