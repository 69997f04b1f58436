"""Pilots with bad luck."""

from __future__ import annotations

import pytest

from connector_hub.errors import ConfigError, PlanStale
from tests.conftest import Opener, Vendors

from .accounts import BOTH, contact, edit_left, edit_right, later, lead, left, rows, sf


@pytest.fixture
def people() -> int:
    return 60


def emails(vendors) -> set[str]:
    return {r["Email"] for r in vendors["billing"].live("Contact")}


@pytest.mark.parametrize("then", [{}, {"pilot": "40"}])
async def test_a_parents_plan_made_under_another_pilot_is_stale(
    opened: Opener, vendors: Vendors, then: dict[str, str]
) -> None:
    """Companies is planned while contacts has a pilot; the pilot is lifted; the plan is approved."""
    for i in range(20):
        firm = {"name": f"F{i}", "domain": f"f{i}.example"}
        vendors["sales"].edit("companies", {"properties": firm})
    async with opened("both", pilot="3") as hub:
        later(vendors)
        plan = await hub.plan("companies")
        assert 0 < plan.count("create") < 5
    async with opened("both", **then) as hub:
        later(vendors)
        with pytest.raises(PlanStale, match="was held to other records"):
            await hub.apply(plan)
        assert vendors["billing"].live("Account") == []


async def test_a_person_taken_out_of_the_list_is_no_longer_touched(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    a, b, _c, *_ = vendors["sales"].live("contacts")
    (tmp_path / "few.csv").write_text(f"left\n{a['id']}\n{b['id']}\n")
    async with opened("left-to-right", pilot="few.csv") as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
        assert len(emails(vendors)) == 2
    (tmp_path / "few.csv").write_text(f"left\n{a['id']}\n")
    edit_left(vendors, b["id"], city="Nowhere")
    async with opened("left-to-right", pilot="few.csv") as hub:
        later(vendors)
        await hub.sync("contacts")
    assert "Nowhere" not in {
        r["MailingCity"] for r in vendors["billing"].live("Contact")
    }


async def test_a_list_in_place_of_a_number(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    people = vendors["sales"].live("contacts")
    async with opened("left-to-right", pilot="10") as hub:
        later(vendors)
        await hub.plan("contacts")  # nothing has been written yet
    chosen = people[-1]
    (tmp_path / "few.csv").write_text(f"left\n{chosen['id']}\n")
    async with opened("left-to-right", pilot="few.csv") as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
    assert emails(vendors) == {chosen["properties"]["email"]}


async def test_a_smaller_number(opened: Opener, vendors: Vendors, tmp_path) -> None:  # noqa: ARG001 - a fixture
    async with opened("left-to-right", pilot="20") as hub:
        later(vendors)
        await hub.plan("contacts")
    async with opened("left-to-right", pilot="5") as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
    assert len(emails(vendors)) == 5


async def test_a_list_with_plain_ids_where_a_side_is_one_of_several(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    record = lead(vendors, 1)
    (tmp_path / "few.csv").write_text(f"left,right\n,{record}\n")
    async with opened("both", right=BOTH, pilot="few.csv") as hub:
        later(vendors)
        with pytest.raises(ConfigError, match="few.csv:2"):  # noqa: RUF043 - a file name
            await hub.sync("contacts")


@pytest.mark.parametrize(
    "text",
    ["Lead/", "Opportunity/006000000000001", "Lead/00Q", "x", "/", "Contact/00Q"],
)
async def test_a_list_with_odd_ids(
    opened: Opener, vendors: Vendors, tmp_path, text
) -> None:
    (tmp_path / "few.csv").write_text(f"left,right\n,{text}\n")
    async with opened("both", right=BOTH, pilot="few.csv") as hub:
        later(vendors)
        with pytest.raises(ConfigError, match="few.csv:2"):  # noqa: RUF043 - a file name
            await hub.sync("contacts")


async def test_a_pilots_lead_that_is_converted_stays_in_it(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    record = lead(vendors, 1001)
    (tmp_path / "few.csv").write_text(f"left,right\n,Lead/{record}\n")
    async with opened("both", right=BOTH, pilot="few.csv") as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert (r.created, len(left(vendors))) == (1, 61)
        vendors["billing"].edit("Lead", {"Id": record, "IsConverted": True})
        later(vendors)
        r = await hub.sync("contacts")
        (row,) = rows(vendors)
        edit_right(vendors, row["Id"], Title="Buyer")
        later(vendors)
        r = await hub.sync("contacts")
        mine = [p for p in left(vendors).values() if p["email"] == "p1001@x.org"]
        assert [p["jobtitle"] for p in mine] == ["Buyer"]


async def test_a_pilots_member_that_is_merged_into_another_stays_in_it(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    c1, c2 = sf(vendors, 1001), sf(vendors, 1002)
    (tmp_path / "few.csv").write_text(f"right\n{c1}\n")
    async with opened("both", pilot="few.csv") as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert (r.created, len(left(vendors))) == (1, 61)
        edit_right(vendors, c1, MasterRecordId=c2)
        edit_right(vendors, c2, Title="Buyer")
        later(vendors)
        r = await hub.sync("contacts")
        r = await hub.sync("contacts")
        mine = [
            p
            for p in left(vendors).values()
            if p["email"] in ("p1001@x.org", "p1002@x.org")
        ]
        assert [p.get("jobtitle") for p in mine] == ["Buyer"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffleft;right\n{id};\n",
        "left\n{id}\n{id}\n\n",
        '"left","right"\n"{id}",""\n',
        "left , right\n{id} ,\n",
        "Left,Right\n{id},\n",
        "left\r\n{id}\r\n",
        "id\n{id}\n",
    ],
)
async def test_lists_as_people_make_them(
    opened: Opener, vendors: Vendors, tmp_path, text
) -> None:
    chosen = vendors["sales"].live("contacts")[3]
    (tmp_path / "few.csv").write_text(text.format(id=chosen["id"]))
    try:
        async with opened("left-to-right", pilot="few.csv") as hub:
            later(vendors)
            for j in hub.jobs_in_order():
                await hub.sync(j)
    except ConfigError:
        return
    assert emails(vendors) == {chosen["properties"]["email"]}


async def test_a_pilot_of_twins(opened: Opener, vendors: Vendors, tmp_path) -> None:
    """A listed person whose twin is not listed: nobody is made; lifted: nobody is there twice."""
    a, _b = contact(vendors, 1001), None
    c1, c2 = sf(vendors, 1001), sf(vendors, 1001)
    (tmp_path / "few.csv").write_text(f"left\n{a}\n")
    async with opened("both", pilot="few.csv") as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert r.writes == {"billing": 0, "sales": 0}
        assert len(hub.conflicts("contacts")) == 1
        edit_right(vendors, c2, IsDeleted=True)
        later(vendors)
        r = await hub.sync("contacts")
        later(vendors)
        r = await hub.sync("contacts")
        assert list(hub.links("contacts")) == [(a, c1)]
        assert hub.conflicts("contacts") == []


async def test_the_pilots_companies_when_a_member_moves_to_another(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    """A member gets another company after it was chosen: its company is needed, too."""
    a = contact(vendors, 1001)
    (tmp_path / "few.csv").write_text(f"left\n{a}\n")
    async with opened("both", pilot="few.csv") as hub:
        later(vendors)
        for j in hub.jobs_in_order():
            await hub.sync(j)
        firm = vendors["sales"].edit(
            "companies", {"properties": {"name": "New Firm", "domain": "new.example"}}
        )["id"]
        vendors["sales"].portal.associate("contacts", a, "companies", firm, {1})
        edit_left(vendors, a, city="Bogor")
        for _ in range(3):
            later(vendors)
            for j in hub.jobs_in_order():
                await hub.sync(j)
    (row,) = vendors["billing"].live("Contact")
    assert row["MailingCity"] == "Bogor"
    assert row["AccountId"]
