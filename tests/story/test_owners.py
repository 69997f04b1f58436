"""Who a record belongs to, told by e-mail: an id at one vendor, another id at the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connector_hub.hub import Options
from connector_hub_hubspot.portal import owners as portal_owners
from tests.conftest import Opener, Vendors

RULES = {
    "hubspot": ("contacts", "properties.hubspot_owner_id", "owners", "email"),
    "salesforce": ("Contact", "OwnerId", "User", "Email"),
}
RATNA, BUDI = "7101", "7102"


@pytest.fixture
def people() -> int:
    return 3


@pytest.fixture(autouse=True)
def rules(tmp_path: Path) -> None:
    (tmp_path / "mappings" / "contact").mkdir(parents=True)
    for connector, (resource, path, table, by) in RULES.items():
        (tmp_path / "mappings" / "contact" / f"{connector}.yaml").write_text(
            f"entity: contact\nconnector: {connector}\nresource: {resource}\n"
            "extends: shipped\nfields:\n"
            f"  owner: {{path: {path}, via: [trim, lower], "
            f"lookup: {{resource: {table}, by: {by}, else: leave}}}}\n"
        )


def owned(vendors: Vendors, at: int, owner: str) -> str:
    sales: Any = vendors["sales"]
    record = str(sales.live("contacts")[at]["id"])
    sales.edit("contacts", {"id": record, "properties": {"hubspot_owner_id": owner}})
    return record


def users(vendors: Vendors) -> dict[str, str]:
    """Ids of Salesforce's users by the first word of their names."""
    org = vendors["billing"].org  # type: ignore[attr-defined]
    return {r["Name"].split()[0]: i for i, r in org.tables["User"].rows.items()}


def owners(vendors: Vendors) -> dict[str, str]:
    """Owners of Salesforce's contacts by e-mail."""
    billing: Any = vendors["billing"]
    return {r["Email"]: r["OwnerId"] for r in billing.live("Contact")}


async def test_an_owner_is_found_by_e_mail_and_an_unknown_one_left_alone(
    opened: Opener, vendors: Vendors
) -> None:
    owned(vendors, 0, RATNA)
    owned(vendors, 1, BUDI)
    async with opened("left-to-right") as hub:
        plan = await hub.plan("contacts")
        assert plan.unreadable == {"owner": 1}
        shown = [f for c in hub.changes(plan) for f in c.fields if f.field == "owner"]
        assert [f.new for f in shown] == ["ratna.dewanti@sandbox.example"]
        receipt = await hub.apply(plan)
    assert (receipt.status, receipt.created, receipt.not_taken) == ("done", 3, 0)
    ids = users(vendors)
    assert sorted(owners(vendors).values()) == sorted(
        [ids["Ratna"], ids["Connector"], ids["Connector"]]
    )
    async with opened("left-to-right") as hub:
        receipt = await hub.sync("contacts", options=Options(full=True))
    assert receipt.unchanged == 3


async def test_an_owner_travels_back_and_a_blank_takes_nobody_their_record(
    opened: Opener, vendors: Vendors
) -> None:
    record = owned(vendors, 0, BUDI)
    async with opened("both") as hub:
        await hub.sync("contacts")
    billing: Any = vendors["billing"]
    ids = users(vendors)
    row = billing.live("Contact")[0]
    billing.edit("Contact", {"Id": row["Id"], "OwnerId": ids["Ratna"]})
    vendors["sales"].clock.advance(5)
    async with opened("both") as hub:
        await hub.sync("contacts")
    sales: Any = vendors["sales"]
    by_mail = {r["properties"]["email"]: r for r in sales.live("contacts")}
    mine = by_mail[row["Email"].lower()]
    assert mine["properties"]["hubspot_owner_id"] == RATNA
    sales.edit("contacts", {"id": mine["id"], "properties": {"hubspot_owner_id": ""}})
    vendors["sales"].clock.advance(5)
    async with opened("both") as hub:
        receipt = await hub.sync("contacts")
    assert (receipt.dead_letters, receipt.writes["billing"]) == (0, 0)
    assert owners(vendors)[row["Email"]] == ids["Ratna"]
    assert record


async def test_who_has_left_is_unknown(opened: Opener, vendors: Vendors) -> None:
    owned(vendors, 0, "7103")
    async with opened("left-to-right") as hub:
        receipt = await hub.sync("contacts")
    assert (receipt.unreadable, receipt.created) == ({"owner": 1}, 3)


async def test_the_table_is_read_once_a_run_and_within_the_promise(
    opened: Opener, vendors: Vendors
) -> None:
    def asked() -> int:
        return vendors["sales"].calls["GET /crm/v3/owners"]

    async with opened("left-to-right") as hub:
        plan = await hub.plan("contacts")
        assert asked() == 1
        receipt = await hub.apply(plan)
        assert asked() == 2
    for name, calls in receipt.calls.items():
        for bucket, n in calls.items():
            assert n <= plan.calls[name][bucket]


async def test_a_plan_promises_the_pages_of_the_table(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = tuple((str(n), "Ana", f"O{n}", False) for n in range(1000, 1250))
    monkeypatch.setattr(portal_owners, "OWNERS", many)
    async with opened("left-to-right") as hub:
        plan = await hub.plan("contacts")
        async with hub._running("contacts", "plan", Options(), lambda *_: None) as run:
            assert run.rereads["sales"]["calls"] == 3
    assert plan.calls["sales"]["calls"] > 3
