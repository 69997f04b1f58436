"""A run is undone on both vendors' sandboxes, field for field."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.errors import ConfigError, GuardTripped, PlanStale
from connector_hub.sync.run import Options

from .conftest import Opener, Vendors

_STAMPS = {
    "updatedAt",
    "lastmodifieddate",
    "hs_lastmodifieddate",
    "SystemModstamp",
    "LastModifiedDate",
    "LastModifiedById",
}
Held = dict[str, Any]


def held(vendors: Vendors) -> Held:
    """Every live record of both accounts but for the stamps of its last change."""
    return {
        f"{name} {resource} {row.get('id') or row['Id']}": _plain(row)
        for name, resources in (
            ("sales", ("companies", "contacts")),
            ("billing", ("Account", "Contact")),
        )
        for resource in resources
        for row in vendors[name].live(resource)
    }


def _plain(row: Any) -> Any:
    if not isinstance(row, dict):
        return row
    kept = {k: _plain(v) for k, v in row.items() if k not in _STAMPS}
    return {k: v for k, v in kept.items() if v not in (None, "")}


def edit(vendors: Vendors) -> None:
    """People work on both sides."""
    sales, billing = vendors["sales"], vendors["billing"]
    rows = sales.live("contacts")
    for row in rows[:6]:
        sales.edit("contacts", {"id": row["id"], "properties": {"jobtitle": "Chief"}})
    for row in billing.live("Contact")[6:12]:
        billing.edit("Contact", {"Id": row["Id"], "MailingCity": "Bandung"})
    billing.edit("Contact", {"LastName": "Only There", "Email": "there@x.example"})
    new = {"email": "new@x.example", "lastname": "New", "phone": "0812-3456-7890"}
    sales.edit("contacts", {"properties": new})
    for vendor in vendors.values():
        vendor.clock.advance(5)


async def rests(hub: Any) -> None:
    """The next runs write nothing, also when they look at everything."""
    for options in (Options(), Options(full=True)):
        receipt = await hub.sync("contacts", options=options)
        assert (sum(receipt.writes.values()), receipt.status) == (0, "done")


async def test_a_two_way_run_and_its_undo_leave_both_accounts_as_they_were(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        edit(vendors)
        before = held(vendors)
        run = await hub.sync("contacts")
        assert run.writes == {"billing": 7, "sales": 7}
        after = held(vendors)
        assert after != before
        plan = await hub.undo(run.run)
        assert held(vendors) == after
        counts = (plan.count("update"), plan.count("delete"), plan.count("kept"))
        assert counts == (12, 2, 0)
        with pytest.raises(GuardTripped, match="--allow-deletes"):
            await hub.apply(plan)
        spent = {n: sum(v.calls.values()) for n, v in vendors.items()}
        undo = await hub.apply(plan, allow_deletes=2)
        with pytest.raises(PlanStale):
            await hub.apply(plan)
        assert held(vendors) == before
        for name, vendor in vendors.items():
            taken = sum(vendor.calls.values()) - spent[name]
            assert taken <= sum(plan.calls[name].values())
        await rests(hub)
        assert held(vendors) == before
        again = await hub.undo(undo.run)
        assert (again.count("update"), again.count("kept")) == (12, 2)
        kept = [c for c in hub.changes(again) if c.action == "keep"]
        assert all("was archived" in c.reason for c in kept)
        emails = {f.new for c in kept for f in c.fields if f.field == "email"}
        assert emails == {"new@x.example", "there@x.example"}
        await hub.apply(again)
        changed = {k: v for k, v in after.items() if before.get(k, v) != v}
        now = held(vendors)
        assert {k: now[k] for k in changed} == changed
        await rests(hub)


async def test_a_first_copy_is_undone_in_the_order_that_links_allow(
    opened: Opener, vendors: Vendors
) -> None:
    """Salesforce deletes the contacts of a deleted account with it."""
    async with opened() as hub:
        before = held(vendors)
        companies = await hub.sync("companies")
        contacts = await hub.sync("contacts")
        mine = vendors["billing"].live("Contact")[0]["Id"]
        vendors["billing"].edit("Contact", {"Id": mine, "Department": "Mine"})
        plan = await hub.undo(companies.run)
        assert (plan.count("delete"), plan.count("kept")) == (0, 5)
        assert plan.by_reason == {"records of job contacts point to it": 5}
        plan = await hub.undo(contacts.run)
        assert (plan.count("delete"), plan.count("kept")) == (19, 1)
        (kept,) = [c for c in hub.changes(plan) if c.action == "keep"]
        assert (kept.record, kept.reason) == (mine, "edited since it was created")
        await hub.apply(plan, allow_deletes=19)
        plan = await hub.undo(companies.run)
        assert (plan.count("delete"), plan.count("kept")) == (4, 1)
        await hub.apply(plan, allow_deletes=4)
        left = {r["Id"] for r in vendors["billing"].live("Contact")}
        assert left == {mine}
        accounts = [r for r in held(vendors) if r.startswith("billing Account")]
        assert len(accounts) == 1
        assert all(held(vendors)[k] == v for k, v in before.items())
        await rests(hub)


async def test_what_cannot_be_undone_is_told(opened: Opener) -> None:
    async with opened() as hub:
        with pytest.raises(ConfigError, match="no run 9"):
            await hub.undo(9)
        await hub.sync("companies")
        quiet = await hub.sync("companies")
        with pytest.raises(ConfigError, match="nothing is known that run"):
            await hub.undo(quiet.run)


async def test_the_journal_is_forgotten_after_a_month_and_sealed_till_then(
    opened: Opener, vendors: Vendors, tmp_path: Any
) -> None:
    async with opened() as hub:
        run = await hub.sync("companies")
        names = [r["properties"]["name"] for r in vendors["sales"].live("companies")]
        state = b"".join(p.read_bytes() for p in tmp_path.glob("hub.db*"))
        assert not any(n.encode() in state for n in names)
        hub.store._run("update journal set at='2020-01-01T00:00:00+00:00'")
        await hub.sync("companies")
        with pytest.raises(ConfigError, match="30 days"):
            await hub.undo(run.run)


async def test_links_are_put_back_on_both_sides(
    opened: Opener, vendors: Vendors
) -> None:
    sales, billing = vendors["sales"], vendors["billing"]

    async def companies(hub: Any) -> dict[str, Any]:
        found = {r["Id"]: r["AccountId"] for r in billing.live("Contact")}
        async for row in hub.view("sales", "contact"):
            found[row["id"]] = getattr(row.get("company"), "id", None)
        return found

    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        linked = await companies(hub)
        rows = [r for r in billing.live("Contact") if r["AccountId"]][:2]
        accounts = [r["Id"] for r in billing.live("Account")]
        other = next(a for a in accounts if a != rows[0]["AccountId"])
        billing.edit("Contact", {"Id": rows[0]["Id"], "AccountId": other})
        billing.edit("Contact", {"Id": rows[1]["Id"], "AccountId": None})
        for vendor in (sales, billing):
            vendor.clock.advance(5)
        before = await companies(hub)
        assert before != linked
        run = await hub.sync("contacts")
        assert run.writes["sales"] == 2
        assert await companies(hub) != before
        await hub.apply(await hub.undo(run.run))
        assert await companies(hub) == before
        await rests(hub)
