"""The shipped HubSpot spokes against the live account: checked, copied, and at rest."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from connector_hub.errors import HubError
from connector_hub.hub import open_hub
from connector_hub.testing import WorldClock
from connector_hub_hubspot.sandbox import HubSpotSandbox

SPOKES = {
    "company": "companies",
    "contact": "contacts",
    "product": "products",
    "deal": "deals",
    "task": "tasks",
    "order": "orders",
}
HEAD = """\
connections:
  sales: &SALES
  other: &OTHER
jobs:
"""
CONNECTION = (
    "{connector: hubspot, region: ID, zone: Asia/Jakarta, "
    'base_url: "http://127.0.0.1:1", token: env:HUBSPOT_TOKEN}'
)
JOB = """\
  ENTITY:
    entity: ENTITY
    left: {connection: sales, resource: RESOURCE}
    right: {connection: other, resource: RESOURCE}
    direction: both
"""


class Busy(HubSpotSandbox):
    sales = 10
    search_lag = 0.0


class Other(HubSpotSandbox):
    """Another account: its id is not the same."""

    portal_id = 5_000_001
    search_lag = 0.0


@pytest.fixture
def vendors():
    clock = WorldClock()
    return {
        "sales": Busy(records=6, companies=3, clock=clock),
        "other": Other(clock=clock),
    }


@pytest.fixture
def opened(tmp_path: Path, vendors):
    def opening(spokes):
        text = HEAD.replace("&SALES", CONNECTION).replace("&OTHER", CONNECTION)
        for entity, resource in spokes.items():
            text += JOB.replace("ENTITY", entity).replace("RESOURCE", resource)
        (tmp_path / "hub.yaml").write_text(text)
        return open_hub(
            tmp_path,
            environ=vendors["sales"].env(),
            transports={n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()},
            clock=vendors["sales"].clock,
        )

    return opening


def facts(sandbox, resource, names):
    """What records say, and by whose names they lead to what."""
    found = {}
    for row in sandbox.live(resource):
        told = row["properties"]
        found[told[names[0]]] = tuple(ALIKE.get(told[n], told[n]) for n in names)
    return found


ALIKE = {
    "qualifiedtobuy": "appointmentscheduled",
    "contractsent": "decisionmakerboughtin",
}
"""Words of HubSpot's that are one in ours: the first of them is written."""


NAMES = {
    "products": ("name", "hs_sku", "price"),
    "deals": ("dealname", "amount", "dealstage", "pipeline", "deal_currency_code"),
    "tasks": ("hs_task_subject", "hs_task_status"),
    "orders": ("hs_order_name", "hs_external_order_id", "hs_pipeline_stage"),
}


async def test_everything_an_account_sells_is_copied_to_another_and_at_rest(
    opened, vendors
):
    async with opened(SPOKES) as hub:
        for entity in SPOKES:
            receipt = await hub.sync(entity)
            assert (receipt.status, receipt.dead_letters) == ("done", 0), entity
            vendors["sales"].clock.advance(600)
        for resource, names in NAMES.items():
            assert facts(vendors["other"], resource, names) == facts(
                vendors["sales"], resource, names
            ), resource
        deals = vendors["other"].live("deals")
        assert all(d["associations"]["contacts"] for d in deals)
        for _ in range(2):
            vendors["sales"].clock.advance(3_600)
            for entity in SPOKES:
                again = await hub.sync(entity)
                assert sum(again.writes.values()) == 0, entity
        first = vendors["other"].live("deals")[0]
        stage = {"dealstage": "closedwon", "hubspot_owner_id": "7102"}
        vendors["other"].edit("deals", {"id": first["id"], "properties": stage})
        vendors["sales"].clock.advance(3_600)
        assert (await hub.sync("deal")).updated == 1
        kept = facts(
            vendors["sales"], "deals", ("dealname", "dealstage", "hubspot_owner_id")
        )
        name = first["properties"]["dealname"]
        assert kept[name] == (name, "closedwon", "7102")


async def test_the_spokes_are_what_the_live_account_describes(opened, vendors):
    spokes = {**SPOKES, "lead": "contacts"}
    async with opened(spokes) as hub:
        told = await hub.check()
        assert not [t for t in told if "left alone" in t], told
        vendors["sales"].alter("deals", "dealstage", {"options": ["won"]})
        vendors["sales"].alter("products", "hs_sku", {"gone": True})
        with pytest.raises(HubError) as refused:
            await hub.check()
    said = str(refused.value)
    assert "properties.hs_sku" in said


async def test_a_stage_of_a_pipeline_that_no_table_knows_is_left_alone(opened, vendors):
    sales, other = vendors["sales"], vendors["other"]
    first = sales.live("deals")[0]
    there = {"pipeline": "75261904", "dealstage": "148530612"}
    sales.edit("deals", {"id": first["id"], "properties": there})
    async with opened({"deal": "deals"}) as hub:
        receipt = await hub.sync("deal")
        assert (receipt.status, receipt.unreadable["stage"]) == ("done", 1)
        sales.clock.advance(3_600)
        copy = next(
            d
            for d in other.live("deals")
            if d["properties"]["dealname"] == first["properties"]["dealname"]
        )
        assert copy["properties"]["dealstage"] is None
        other.edit("deals", {"id": copy["id"], "properties": {"amount": "5"}})
        await hub.sync("deal")
    kept = next(d for d in sales.live("deals") if d["id"] == first["id"])["properties"]
    assert (kept["amount"], kept["pipeline"], kept["dealstage"]) == (
        "5",
        "75261904",
        "148530612",
    )


async def test_what_hubspot_refuses_is_a_dead_letter_and_the_rest_arrives(
    opened, vendors
):
    """Rules of the account that the other does not have: what they refuse is told by record and field."""
    there = vendors["other"].portal.objects["deals"]
    there.properties["deal_currency_code"].options = ("IDR",)
    rows = vendors["sales"].live("deals")
    edits = {
        rows[0]["id"]: {"deal_currency_code": "EUR"},
        rows[1]["id"]: {"dealname": "Renamed"},
    }
    for record, fields in edits.items():
        vendors["sales"].edit("deals", {"id": record, "properties": fields})
    spokes = {n: SPOKES[n] for n in ("company", "contact", "deal")}
    async with opened(spokes) as hub:
        for entity in ("company", "contact"):
            await hub.sync(entity)
        receipt = await hub.sync("deal")
        assert (receipt.created, receipt.dead_letters) == (len(rows) - 1, 1)
        (letter,) = hub.dead_letters()
        assert letter.record == rows[0]["id"]
        assert "deal_currency_code" in str(letter.fields)
        assert "EUR was not one of the allowed options: [IDR]" in letter.message
        fixed = {"id": rows[0]["id"], "properties": {"deal_currency_code": "IDR"}}
        vendors["sales"].edit("deals", fixed)
        vendors["sales"].clock.advance(3_600)
        assert (await hub.sync("deal")).created == 1
        assert not hub.dead_letters()


def lines(sandbox, resource, name):
    """What was sold, by the name of the deal or the order."""
    rows = {r["id"]: r["properties"] for r in sandbox.live("line_items")}
    found = {}
    for record in sandbox.live(resource):
        listed = record["associations"].get("line items", {"results": []})["results"]
        found[record["properties"][name]] = sorted(
            (rows[x["id"]]["name"], rows[x["id"]]["quantity"], rows[x["id"]]["price"])
            for x in listed
        )
    return found


async def test_lines_of_deals_and_orders_travel_row_by_row(opened, vendors):
    spokes = {n: SPOKES[n] for n in ("product", "deal", "order")}
    names = {"deals": "dealname", "orders": "hs_order_name"}
    sales, other = vendors["sales"], vendors["other"]

    async def synced(hub):
        sales.clock.advance(3_600)
        return {e: (await hub.sync(e)).writes for e in spokes}

    def agree():
        for resource, name in names.items():
            assert lines(sales, resource, name) == lines(other, resource, name)

    async with opened(spokes) as hub:
        await synced(hub)
        assert len(lines(other, "deals", "dealname")["Deal 1"]) == 2
        agree()
        for _ in range(2):
            assert not any(sum(w.values()) for w in (await synced(hub)).values())
        deal = next(
            d for d in other.live("deals") if d["properties"]["dealname"] == "Deal 1"
        )
        first, second = [x["id"] for x in deal["associations"]["line items"]["results"]]
        other.edit("line_items", {"id": first, "properties": {"quantity": "12"}})
        order = sales.live("orders")[0]
        product = sales.live("products")[4]
        sales.edit(
            "line_items",
            {
                "properties": {
                    "name": product["properties"]["name"],
                    "price": product["properties"]["price"],
                    "hs_product_id": product["id"],
                    "quantity": "7",
                },
                "associations": [{"to": "orders", "id": order["id"]}],
            },
        )
        await synced(hub)
        agree()
        sold = lines(sales, "deals", "dealname")["Deal 1"]
        assert "12" in {quantity for _, quantity, _ in sold}
        ordered = lines(other, "orders", "hs_order_name")
        name = order["properties"]["hs_order_name"]
        assert (product["properties"]["name"], "7") in {r[:2] for r in ordered[name]}
        other.edit("line_items", {"id": second, "archived": True})
        other.edit("deals", {"id": deal["id"], "properties": {"hs_next_step": "call"}})
        await synced(hub)
        agree()
        assert len(lines(sales, "deals", "dealname")["Deal 1"]) == 1
        assert not any(sum(w.values()) for w in (await synced(hub)).values())
