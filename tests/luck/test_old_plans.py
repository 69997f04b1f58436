"""A plan that was kept while the world went on."""

from __future__ import annotations

import contextlib

import pytest

from tests.conftest import Opener, Vendors

from .accounts import contact, edit_left, edit_right, later, left, rows, sf


@pytest.mark.parametrize("both", ["left", "ask"])
async def test_an_old_plan_does_not_take_a_base_back(
    opened: Opener, vendors: Vendors, both: str
) -> None:
    """``plan``, a scheduled sync, ``apply`` an hour later: the pair that only settled then is settled anew."""  # noqa: E501 - one line of YAML
    h, c = contact(vendors, 1, jobtitle="X"), sf(vendors, 1, Title="X")
    contact(vendors, 9)
    async with opened("both", fields=f"{{title: {{both: {both}}}}}") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        edit_left(vendors, h, jobtitle="Y")
        later(vendors)
        await hub.sync("contacts")
        assert rows(vendors)[0]["Title"] == "Y"
        later(vendors)
        await hub.apply(plan)
        edit_right(vendors, c, Title="Z")  # a person's edit, at one side only
        later(vendors)
        await hub.sync("contacts")
        mine = next(x for x in rows(vendors) if x["Id"] == c)
        assert mine["Title"] == "Z"
        assert left(vendors)[h]["jobtitle"] == "Z"


async def test_a_link_corrected_by_hand_is_not_undone_by_an_older_plan(
    opened: Opener, vendors: Vendors
) -> None:
    h = contact(vendors, 1, city="Bogor")
    wrong = sf(vendors, 1, MailingCity="Medan")
    right = sf(vendors, 2, MailingCity="Ambon")
    async with opened("both") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        assert await hub.link("contacts", [(2, h, right)]) == 1
        assert list(hub.links("contacts")) == [(h, right)]
        with contextlib.suppress(Exception):
            await hub.apply(plan)
        assert list(hub.links("contacts")) == [(h, right)]
        assert (
            next(r for r in rows(vendors) if r["Id"] == wrong)["MailingCity"] == "Medan"
        )


async def test_what_was_unlinked_is_not_written_by_an_older_plan(
    opened: Opener, vendors: Vendors
) -> None:
    h, c = contact(vendors, 1, city="Bogor"), sf(vendors, 1)
    async with opened("both", apply="{when: {update: 0}}") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        await hub.apply(plan)
        edit_left(vendors, h, city="Medan")
        later(vendors)
        held = await hub.sync("contacts")
        assert held.status == "waiting"
        await hub.unlink("contacts", h, c)
        await hub.apply(str(held.plan))
        assert rows(vendors)[0]["MailingCity"] == "Bogor"
        assert list(hub.links("contacts")) == []


async def test_what_was_unlinked_is_not_linked_again_by_an_older_settlement(
    opened: Opener, vendors: Vendors
) -> None:
    h, c = contact(vendors, 1), sf(vendors, 1, MailingCity=None)
    contact(vendors, 9)
    async with opened("both", create="none") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        await hub.sync("contacts")
        assert list(hub.links("contacts")) == [(h, c)]
        await hub.unlink("contacts", h, c)
        await hub.apply(plan)
        assert list(hub.links("contacts")) == []


async def test_a_conflict_decided_meanwhile_is_respected(
    opened: Opener, vendors: Vendors
) -> None:
    """Twins in a kept plan, cleared up before it is applied: no conflict is left open."""
    contact(vendors, 1)
    _c1, c2 = sf(vendors, 1), sf(vendors, 1)
    async with opened("both") as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        edit_right(vendors, c2, IsDeleted=True)
        later(vendors)
        await hub.sync("contacts")
        assert hub.conflicts("contacts") == []
        await hub.apply(plan)
        later(vendors)
        await hub.sync("contacts")
        assert hub.conflicts("contacts") == []
