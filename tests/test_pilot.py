"""A few records to begin with, and what they need."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector_hub.errors import ConfigError
from connector_hub.hub import Hub

from .conftest import Opener, Vendors


@pytest.fixture
def people() -> int:
    return 120


def later(vendors: Vendors, seconds: float = 300) -> None:
    for v in vendors.values():
        v.clock.advance(seconds)


async def sync_all(hub: Hub, vendors: Vendors) -> list[int]:
    """Sync every job, parents first; what each has written."""
    later(vendors)
    return [sum((await hub.sync(name)).writes.values()) for name in hub.jobs_in_order()]


def emails(vendors: Vendors) -> set[str]:
    return {r["Email"] for r in vendors["billing"].live("Contact")}


@pytest.mark.parametrize("direction", ["left-to-right", "both"])
async def test_a_pilot_touches_its_members_and_their_companies_only(
    opened: Opener, vendors: Vendors, direction: str
) -> None:
    async with opened(direction, pilot="10") as hub:
        await sync_all(hub, vendors)
        contacts = vendors["billing"].live("Contact")
        accounts = {r["Id"] for r in vendors["billing"].live("Account")}
        assert len(contacts) == 10
        needed = {r["AccountId"] for r in contacts if r["AccountId"]}
        assert needed
        assert accounts == needed
        assert await sync_all(hub, vendors) == [0, 0]


async def test_members_stay_the_same_while_others_change(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both", pilot="10") as hub:
        await sync_all(hub, vendors)
        before = emails(vendors)
        for row in vendors["sales"].live("contacts"):
            body = {"id": row["id"], "properties": {"city": "Bogor"}}
            vendors["sales"].edit("contacts", body)
        await sync_all(hub, vendors)
        assert emails(vendors) == before
        cities = {r["MailingCity"] for r in vendors["billing"].live("Contact")}
        assert cities == {"Bogor"}


async def test_lifting_a_pilot_makes_no_twin(opened: Opener, vendors: Vendors) -> None:
    async with opened("both", pilot="10") as hub:
        await sync_all(hub, vendors)
    async with opened("both") as hub:
        await sync_all(hub, vendors)
        assert len(vendors["billing"].live("Contact")) == 120
        assert len(vendors["billing"].live("Account")) == 5
        assert len(vendors["sales"].live("contacts")) == 120
        assert await sync_all(hub, vendors) == [0, 0]


async def test_a_pilot_can_be_widened(opened: Opener, vendors: Vendors) -> None:
    for most in (10, 30):
        async with opened("both", pilot=str(most)) as hub:
            await sync_all(hub, vendors)
            assert len(vendors["billing"].live("Contact")) == most


async def test_a_job_that_is_at_work_is_not_held_to_anothers_pilot(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        later(vendors)
        await hub.sync("companies")
    async with opened("both", pilot="10") as hub:
        await sync_all(hub, vendors)
        assert len(vendors["billing"].live("Account")) == 5
        row = vendors["sales"].live("companies")[0]
        body = {"id": row["id"], "properties": {"city": "Bogor"}}
        vendors["sales"].edit("companies", body)
        assert await sync_all(hub, vendors) == [1, 0]


async def test_a_pilot_of_listed_records(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    chosen = vendors["sales"].live("contacts")[3:6]
    lines = ["left,right", *(f"{r['id']}," for r in chosen)]
    (tmp_path / "few.csv").write_text("\n".join(lines))
    async with opened("left-to-right", pilot="few.csv") as hub:
        await sync_all(hub, vendors)
    assert emails(vendors) == {r["properties"]["email"] for r in chosen}


async def test_a_listed_record_that_is_not_there_stops_everything(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    good = vendors["sales"].live("contacts")[0]["id"]
    (tmp_path / "few.csv").write_text(f"left\n{good}\n999999\n")
    async with opened("left-to-right", pilot="few.csv") as hub:
        for job in hub.jobs_in_order():
            with pytest.raises(ConfigError, match=r"few\.csv:3: sales has no record 9"):
                await hub.sync(job)
    assert vendors["billing"].live("Contact") == []
    assert vendors["billing"].live("Account") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "few.csv cannot be read: No such file"),
        ("a,b\n1,2\n", "few.csv names no record"),
    ],
)
async def test_a_list_that_is_no_list_is_told(
    opened: Opener, tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "few.csv").write_text(text)
    with pytest.raises(ConfigError) as told:
        async with opened("left-to-right", pilot="few.csv"):
            pass
    assert message in str(told.value)


async def test_members_are_such_as_the_job_looks_after_and_identity_knows(
    opened: Opener, vendors: Vendors
) -> None:
    rows = vendors["sales"].live("contacts")
    for i, row in enumerate(rows):
        properties = {"jobtitle": "chosen" if i < 3 or i > 99 else "other"}
        if i < 3:
            properties |= {"email": "", "phone": ""}
        vendors["sales"].edit("contacts", {"id": row["id"], "properties": properties})
    async with opened("left-to-right", pilot="5", only="{title: [chosen]}") as hub:
        await sync_all(hub, vendors)
    made = vendors["billing"].live("Contact")
    assert [r["Title"] for r in made] == ["chosen"] * 5
    assert all(r["Email"] for r in made)
