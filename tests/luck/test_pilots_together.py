"""Pilots and the jobs of what members point to."""

from __future__ import annotations

import pytest

from connector_hub.hub import open_hub
from tests.conftest import Opener, Vendors

from .accounts import (
    BOTH,
    contact,
    edit_left,
    hs_merge,
    later,
    lead,
    left,
    rows,
    sf,
)


@pytest.fixture
def people() -> int:
    return 60


async def all_jobs(hub, vendors, times=1):
    r = None
    for _ in range(times):
        later(vendors)
        for j in hub.jobs_in_order():
            r = await hub.sync(j)
    return r


async def test_a_pilot_that_comes_back_does_not_hold_a_job_that_is_at_work(
    opened: Opener, vendors: Vendors
) -> None:
    for i in range(20):
        vendors["sales"].edit(
            "companies", {"properties": {"name": f"F{i}", "domain": f"f{i}.example"}}
        )
    async with opened("both", pilot="3") as hub:
        await all_jobs(hub, vendors)
        (member, _), *_ = hub.links("companies")
        elder = {"name": "Elder", "domain": "elder.example"}
        other = vendors["sales"].edit("companies", {"properties": elder})["id"]
        await hs_merge(vendors, other, member, "companies")
        await all_jobs(hub, vendors)
    async with opened("both") as hub:
        await all_jobs(hub, vendors)
        assert len(vendors["billing"].live("Account")) == 25
    async with opened("both", pilot="5") as hub:
        await all_jobs(hub, vendors)
        for c in vendors["sales"].live("companies"):
            edit_left(vendors, c["id"], "companies", city="Bogor")
        await all_jobs(hub, vendors)
    assert {a["BillingCity"] for a in vendors["billing"].live("Account")} == {"Bogor"}


async def test_two_jobs_with_pilots_and_the_companies_of_both(
    vendors: Vendors, tmp_path
) -> None:
    import httpx  # noqa: PLC0415 - needed here only

    from tests.conftest import PROJECT  # noqa: PLC0415 - needed here only

    people = [
        r
        for r in vendors["sales"].live("contacts")
        if r["associations"].get("companies")
    ]

    def firm(r):
        return r["associations"]["companies"]["results"][0]["id"]

    a = people[0]
    b = next(r for r in people if firm(r) != firm(a))
    (tmp_path / "a.csv").write_text(f"left\n{a['id']}\n")
    (tmp_path / "b.csv").write_text(f"left\n{b['id']}\n")
    text = PROJECT.replace("DIRECTION", "left-to-right") + "    pilot: a.csv\n"
    text += (
        text[text.index("  contacts:") :]
        .replace("  contacts:", "  others:")
        .replace("a.csv", "b.csv")
    )
    (tmp_path / "hub.yaml").write_text(text)
    environ = {
        **{n: v for s in vendors.values() for n, v in s.env().items()},
        "HUBSPOT_URL": vendors["sales"].url,
        "SALESFORCE_URL": vendors["billing"].url,
        "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
    }
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
    async with open_hub(tmp_path, environ=environ, transports=wires) as hub:
        await all_jobs(hub, vendors, 3)
    contacts = vendors["billing"].live("Contact")
    assert len(contacts) == 2
    assert all(c["AccountId"] for c in contacts)


async def test_a_pilot_larger_than_the_account_does_not_read_everything_each_time(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both", pilot="1000") as hub:
        await all_jobs(hub, vendors, 3)
        vendors["sales"].calls.clear()
        vendors["billing"].calls.clear()
        await all_jobs(hub, vendors)
        assert not any(
            "GET" in c and c.endswith("/objects/contacts")
            for c in vendors["sales"].calls
        )


async def test_two_way_pilot_of_right_members_with_twins_and_leads(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    l1, l2 = lead(vendors, 1001), lead(vendors, 1002)
    sf(vendors, 1002)
    h = contact(vendors, 1001)
    (tmp_path / "few.csv").write_text(f"left,right\n,Lead/{l1}\n,Lead/{l2}\n{h},\n")
    async with opened("both", right=BOTH, pilot="few.csv") as hub:
        await all_jobs(hub, vendors, 2)
        assert list(hub.links("contacts")) == [(h, f"Lead/{l1}")]
        assert [c.kind for c in hub.conflicts("contacts")] == ["twins"]
        assert len(left(vendors)) == 61
    async with opened("both", right=BOTH) as hub:
        await all_jobs(hub, vendors, 2)
        emails = [r["Email"] for k in ("Contact", "Lead") for r in rows(vendors, k)]
        assert sorted(set(emails) - {"p1002@x.org"}) == sorted(
            e for e in emails if e != "p1002@x.org"
        )
