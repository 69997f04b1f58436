"""Everything a business keeps at Salesforce, between two accounts of it, by the shipped mappings."""

from __future__ import annotations

from contextlib import asynccontextmanager

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.hub import open_hub
from connector_hub.sync.run import Options

KINDS = {
    "company": "Account",
    "contact": "Contact",
    "lead": "Lead",
    "product": "Product2",
    "deal": "Opportunity",
    "order": "Order",
    "task": "Task",
}
PROJECT = """\
connections:
  one: {connector: salesforce, region: ID, base_url: "http://127.0.0.1", client_id: sandbox-client,
        client_secret: "env:SALESFORCE_CLIENT_SECRET"}
  two: {connector: salesforce, region: ID, base_url: "http://127.0.0.1", client_id: sandbox-client,
        client_secret: "env:SALESFORCE_CLIENT_SECRET"}
jobs:
""" + "".join(
    f"  {entity}: {{entity: {entity}, direction: both, create_without_identity: true,\n"
    f"    left: {{connection: one, resource: {kind}}}, right: {{connection: two, resource: {kind}}}}}\n"
    for entity, kind in KINDS.items()
)


@pytest.fixture
def orgs():
    kind = Plugins().sandbox("salesforce")
    made = {n: kind() for n in ("one", "two")}
    made["two"].org_id = "00DgK0000000F4gUAC"
    return made


@pytest.fixture
def opened(tmp_path, orgs):
    @asynccontextmanager
    async def opening():
        (tmp_path / "hub.yaml").write_text(PROJECT)
        wires = {n: httpx.ASGITransport(app=s.app) for n, s in orgs.items()}
        environ = orgs["one"].env()
        async with open_hub(tmp_path, environ=environ, transports=wires) as hub:
            yield hub

    return opening


async def sync(opened, orgs, **options):
    """All jobs once, parents first; how many records each wrote."""
    for org in orgs.values():
        org.clock.advance(300)
    wrote = {}
    async with opened() as hub:
        for job in hub.jobs_in_order():
            receipt = await hub.sync(job, options=Options(**options))
            assert receipt.status == "done", receipt.document()
            wrote[job] = sum(receipt.writes.values())
    return wrote


def fill(org):
    """A customer with what is sold to it."""
    account = org.edit("Account", {"Name": "Kopi", "Website": "kopi.example"})["Id"]
    person = {"LastName": "Ayu", "Email": "ayu@kopi.example", "AccountId": account}
    contact = org.edit("Contact", person)["Id"]
    lead = {"LastName": "Budi", "Company": "Teh", "Email": "b@teh.example"}
    org.edit("Lead", lead | {"LeadSource": "Web"})
    beans = {"Name": "Beans", "ProductCode": "B-1", "IsActive": True}
    product = org.edit("Product2", beans)["Id"]
    (book,) = (b["Id"] for b in org.live("Pricebook2"))
    entry = {"Pricebook2Id": book, "Product2Id": product, "UnitPrice": 9.5}
    price = org.edit("PricebookEntry", entry | {"IsActive": True})["Id"]
    deal = {"Name": "Big", "StageName": "Qualification", "CloseDate": "2026-12-01"}
    deal = org.edit("Opportunity", deal | {"AccountId": account, "Amount": 7.0})["Id"]
    role = {"OpportunityId": deal, "ContactId": contact, "Role": "Decision Maker"}
    org.edit("OpportunityContactRole", role)
    order = {"EffectiveDate": "2026-12-02", "Status": "Draft", "AccountId": account}
    order |= {"OrderReferenceNumber": "R-1", "BillToContactId": contact}
    order = org.edit("Order", order)["Id"]
    line = {"PricebookEntryId": price, "Quantity": 3.0, "UnitPrice": 9.0}
    org.edit("OrderItem", line | {"OrderId": order})
    call = {"Subject": "Call", "ActivityDate": "2026-12-03", "WhoId": contact}
    org.edit("Task", call | {"WhatId": deal})
    org.edit(
        "Task", {"Subject": "Visit", "ActivityDate": "2026-12-04", "WhatId": account}
    )


def one(org, kind, **by):
    (found,) = [r for r in org.live(kind) if all(r[n] == v for n, v in by.items())]
    return found


async def test_check_finds_every_mapped_field_in_the_live_description(opened):
    async with opened() as hub:
        lines = await hub.check()
    assert lines[0] == "7 jobs, their mappings and tests"
    rest = lines[3:]
    assert all("options that no table knows" in line for line in rest), rest


async def test_what_is_sold_arrives_whole_and_a_second_run_writes_nothing(opened, orgs):
    fill(orgs["one"])
    assert await sync(opened, orgs) == {
        **dict.fromkeys(KINDS, 1),
        "task": 2,
    }
    there = orgs["two"]
    account, contact = one(there, "Account"), one(there, "Contact")
    assert contact["AccountId"] == account["Id"]
    assert one(there, "Lead")["LeadSource"] == "Web"
    product = one(there, "Product2")
    entry = one(there, "PricebookEntry", Product2Id=product["Id"])
    assert (product["ProductCode"], entry["UnitPrice"]) == ("B-1", 9.5)
    deal = one(there, "Opportunity")
    assert (deal["AccountId"], deal["Amount"]) == (account["Id"], 7.0)
    assert (deal["Probability"], deal["ForecastCategoryName"]) == (10, "Pipeline")
    role = one(there, "OpportunityContactRole")
    assert (role["OpportunityId"], role["ContactId"]) == (deal["Id"], contact["Id"])
    order = one(there, "Order")
    assert (order["AccountId"], order["BillToContactId"]) == (
        account["Id"],
        contact["Id"],
    )
    line = one(there, "OrderItem")
    assert (line["OrderId"], line["Product2Id"]) == (order["Id"], product["Id"])
    assert (line["Quantity"], line["UnitPrice"]) == (3.0, 9.0)
    assert order["TotalAmount"] == 27.0
    call, visit = (
        one(there, "Task", Subject="Call"),
        one(there, "Task", Subject="Visit"),
    )
    assert (call["WhoId"], call["WhatId"]) == (contact["Id"], deal["Id"])
    assert (visit["WhoId"], visit["WhatId"]) == (None, account["Id"])
    assert await sync(opened, orgs) == dict.fromkeys(KINDS, 0)
    assert await sync(opened, orgs, full=True) == dict.fromkeys(KINDS, 0)


async def test_edits_of_prices_roles_and_stages_travel_both_ways(opened, orgs):
    fill(orgs["one"])
    await sync(opened, orgs)
    left, right = orgs["one"], orgs["two"]
    # Only the companions are edited: their records' own stamps do not move.
    entry = one(left, "PricebookEntry")["Id"]
    left.edit("PricebookEntry", {"Id": entry, "UnitPrice": 11.0})
    role = one(right, "OpportunityContactRole")["Id"]
    right.edit("OpportunityContactRole", {"Id": role, "IsDeleted": True})
    deal = one(right, "Opportunity")["Id"]
    right.edit("Opportunity", {"Id": deal, "StageName": "Closed Won"})
    wrote = await sync(opened, orgs)
    assert (wrote["product"], wrote["deal"]) == (1, 1)
    assert one(right, "PricebookEntry")["UnitPrice"] == 11.0
    assert left.live("OpportunityContactRole") == []
    won = one(left, "Opportunity")
    assert (won["StageName"], won["Probability"]) == ("Closed Won", 100)
    assert won["ForecastCategoryName"] == "Closed"
    assert await sync(opened, orgs) == dict.fromkeys(KINDS, 0)


async def test_a_lead_that_is_converted_is_told_as_gone_and_a_merge_moves_links(
    opened, orgs
):
    fill(orgs["one"])
    await sync(opened, orgs)
    left, right = orgs["one"], orgs["two"]
    lead = one(left, "Lead")["Id"]
    left.edit("Lead", {"Id": lead, "IsConverted": True, "OpportunityName": "Tea"})
    assert one(left, "Opportunity", Name="Tea")["AccountId"]
    old = one(right, "Account", Name="Kopi")["Id"]
    new = right.edit("Account", {"Name": "Kopi Baru", "Website": "baru.example"})["Id"]
    right.edit("Account", {"Id": old, "MasterRecordId": new})
    assert one(right, "Order")["AccountId"] == new
    assert {r["AccountId"] for r in right.live("Opportunity")} == {new}
    assert {r["WhatId"] for r in right.live("Task")} >= {new}
    for _ in range(3):
        await sync(opened, orgs)
    names = [sorted(r["Name"] for r in o.live("Account")) for o in orgs.values()]
    assert names[0] == names[1]
    assert await sync(opened, orgs, full=True) == dict.fromkeys(KINDS, 0)


async def test_lines_are_added_changed_and_taken_away_both_ways(opened, orgs):
    fill(orgs["one"])
    left, right = orgs["one"], orgs["two"]
    tea = left.edit("Product2", {"Name": "Tea", "ProductCode": "T-1"})["Id"]
    (book,) = (b["Id"] for b in left.live("Pricebook2"))
    entry = {"Pricebook2Id": book, "Product2Id": tea, "UnitPrice": 4.0}
    price = left.edit("PricebookEntry", entry | {"IsActive": True})["Id"]
    await sync(opened, orgs)
    order = one(left, "Order")["Id"]
    more = {"PricebookEntryId": price, "Quantity": 1.0, "UnitPrice": 4.0}
    left.edit("OrderItem", more | {"OrderId": order})
    assert (await sync(opened, orgs))["order"] == 1
    lines = {r["Quantity"]: r["UnitPrice"] for r in right.live("OrderItem")}
    assert lines == {3.0: 9.0, 1.0: 4.0}
    beans = one(right, "OrderItem", Quantity=3.0)["Id"]
    right.edit("OrderItem", {"Id": beans, "Quantity": 5.0})
    right.edit(
        "OrderItem",
        {"Id": one(right, "OrderItem", Quantity=1.0)["Id"], "IsDeleted": True},
    )
    assert (await sync(opened, orgs))["order"] == 1
    assert [r["Quantity"] for r in left.live("OrderItem")] == [5.0]
    assert one(left, "Order")["TotalAmount"] == 45.0
    assert await sync(opened, orgs) == dict.fromkeys(KINDS, 0)
    assert await sync(opened, orgs, full=True) == dict.fromkeys(KINDS, 0)


async def test_the_amount_of_a_deal_with_products_is_their_sum(opened, orgs):
    fill(orgs["one"])
    left, right = orgs["one"], orgs["two"]
    await sync(opened, orgs)
    line = {"PricebookEntryId": one(left, "PricebookEntry")["Id"], "Quantity": 2.0}
    line |= {"OpportunityId": one(left, "Opportunity")["Id"], "UnitPrice": 50.0}
    left.edit("OpportunityLineItem", line)
    assert one(left, "Opportunity")["Amount"] == 100.0
    await sync(opened, orgs)
    assert one(right, "OpportunityLineItem")["UnitPrice"] == 50.0
    assert one(right, "Opportunity")["Amount"] == 100.0
    await sync(opened, orgs)
    assert await sync(opened, orgs, full=True) == dict.fromkeys(KINDS, 0)
