"""Orders, tasks, campaigns, visitors and modules of the account's own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from connector_hub.sdk import Can, ConfigError, Done, LinkPatch, Ref, Want, Write
from connector_hub_zoho.modules import FieldKind
from connector_hub_zoho.sandbox import ZohoSandbox


def of(*fields: str, links: tuple[str, ...] = ()) -> Want:
    return Want(frozenset(fields), frozenset(links))


async def listed(zoho: Any, module: str, want: Want) -> list[Any]:
    page = await zoho.read(module, "changed", None, want)
    assert page.next is None
    return list(page.records)


async def post_form(zoho: Any, form: dict[str, str]) -> Any:
    path, body = "/crm/WebToLeadForm", urlencode(form).encode()
    return await zoho.http.send("POST", path, body=body, ok=(302, 400))


def order(sandbox: ZohoSandbox, account: str, subject: str, **more: Any) -> str:
    product = sandbox.edit("Products", {"Product_Name": subject})["id"]
    line = {"Product_Name": {"id": product}, "Quantity": 2, "List_Price": 50}
    body = {"Subject": subject, "Account_Name": {"id": account}, **more}
    made = sandbox.edit("Sales_Orders", {**body, "Ordered_Items": [line]})
    return str(made["id"])


async def test_what_the_layout_requires_is_required_as_what_the_system_does(wire):
    zoho = wire(ZohoSandbox())
    fields = {f.path: f for f in (await zoho.describe("Leads")).fields}
    assert fields["Last_Name"].required
    assert fields["Company"].required
    assert not fields["Email"].required
    orders = {f.path: f for f in (await zoho.describe("Sales_Orders")).fields}
    assert orders["Account_Name.id"].required
    assert orders["Grand_Total"].read_only
    assert orders["Subject"].length == 120
    assert orders["Status"].options == ("Created", "Approved", "Delivered", "Cancelled")


async def test_the_lines_of_an_order_are_described_with_it(wire):
    fields = {
        f.path: f for f in (await wire(ZohoSandbox()).describe("Sales_Orders")).fields
    }
    assert fields["Ordered_Items"].type == "rows"
    assert fields["Ordered_Items[].Product_Name.id"].refers_to == ("Products",)
    assert fields["Ordered_Items[].Product_Name.id"].required
    assert fields["Ordered_Items[].Net_Total"].read_only


async def test_what_a_task_is_about_is_described_with_all_that_it_may_be(wire):
    fields = {f.path: f for f in (await wire(ZohoSandbox()).describe("Tasks")).fields}
    assert {"Accounts", "Deals"} <= set(fields["What_Id.id"].refers_to)
    assert fields["Who_Id.id"].refers_to == ("Contacts",)
    assert "$se_module" in fields


async def test_a_module_of_the_accounts_own_is_a_resource_by_its_name(wire):
    sandbox = ZohoSandbox()
    sandbox.add_module(
        "Machines",
        FieldKind("Serial_No", length=40, unique=True, custom=True),
        FieldKind("Colours", "multiselectpicklist", options=("red", "blue")),
        FieldKind("Sold_To", "lookup", to="Accounts"),
        FieldKind("Connector_Hub_Id", length=36, unique=True),
    )
    zoho = wire(sandbox)
    found = await zoho.describe("Machines")
    fields = {f.path: f for f in found.fields}
    assert Can.CREATE in found.can
    assert fields["Serial_No"].unique
    assert fields["Colours"].options == ("red", "blue")
    assert fields["Sold_To.id"].refers_to == ("Accounts",)
    made = Write(
        "create", "t", "k" * 36, fields={"Name": "A", "Colours": ("red", "blue")}
    )
    (done,) = await zoho.write(
        "Machines", [made], way=zoho.resource("Machines").way("create")
    )
    assert isinstance(done, Done)
    (record,) = await listed(zoho, "Machines", of("Name", "Colours"))
    assert record.fields["Colours"] == ["red", "blue"]
    clear = Write("update", "t", "", id=done.id, fields={"Colours": ()})
    await zoho.write("Machines", [clear], way=zoho.resource("Machines").way("update"))
    assert sandbox.live("Machines")[0]["Colours"] is None


async def test_a_module_that_is_not_there_is_told_with_those_that_are(wire):
    sandbox = ZohoSandbox()
    sandbox.add_module("Machines")
    with pytest.raises(ConfigError, match="Machine") as caught:
        await wire(sandbox).describe("Machine")
    assert "Machines" in (caught.value.hint or "")


async def test_what_a_customer_has_bought_is_found_by_the_account(wire):
    sandbox = ZohoSandbox(companies=2)
    good, other = (r["id"] for r in sandbox.live("Accounts"))
    bought = [order(sandbox, good, f"SO {i}", Status="Delivered") for i in range(5)]
    order(sandbox, other, "not his")
    found = await wire(sandbox).find(
        "Sales_Orders", "Account_Name.id", [good], of("Subject", "Grand_Total")
    )
    assert [r.id for r in found[good]] == bought
    assert {r.fields["Grand_Total"] for r in found[good]} == {100}


async def test_a_history_longer_than_a_page_is_found_whole(wire):
    sandbox = ZohoSandbox(companies=1)
    account = sandbox.live("Accounts")[0]["id"]
    for i in range(453):
        sandbox.account.put(
            "Invoices", None, {"Subject": f"I{i}", "Account_Name": {"id": account}}
        )
    found = await wire(sandbox).find(
        "Invoices", "Account_Name.id", [account], of("Subject")
    )
    assert len({r.id for r in found[account]}) == len(found[account]) == 453


async def test_an_account_lists_its_orders_and_invoices(wire):
    sandbox = ZohoSandbox(companies=1)
    account = sandbox.live("Accounts")[0]["id"]
    bought = order(sandbox, account, "first")
    zoho = wire(sandbox)
    path = f"/crm/v8/Accounts/{account}/SalesOrders"
    body = await zoho.http.get(path, params={"fields": "Subject,Grand_Total"})
    assert body["data"] == [{"id": bought, "Subject": "first", "Grand_Total": 100}]
    path = f"/crm/v8/Accounts/{account}/Invoices"
    assert await zoho.http.get(path, params={"fields": "Subject"}) is None


async def test_a_purchase_order_is_made_at_a_vendor(wire):
    sandbox = ZohoSandbox()
    vendor = sandbox.edit("Vendors", {"Vendor_Name": "Beans"})["id"]
    product = sandbox.edit("Products", {"Product_Name": "Arabica"})["id"]
    line = {"Product_Name": {"id": product}, "Quantity": 3, "List_Price": 10.5}
    sandbox.edit(
        "Purchase_Orders",
        {"Subject": "PO", "Vendor_Name": {"id": vendor}, "Purchase_Items": [line]},
    )
    (record,) = await listed(
        wire(sandbox), "Purchase_Orders", of("Subject", "Vendor_Name.id", "Grand_Total")
    )
    assert record.fields["Vendor_Name"]["id"] == vendor
    assert record.fields["Grand_Total"] == 31.5


async def test_a_visitor_who_fills_in_the_form_becomes_a_lead(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    form = {
        "xnQsjsdp": "f00",
        "xmIwtLD": "ba4",
        "actionType": "TGVhZHM=",
        "returnURL": "https://zylker.example/thanks",
        "Last Name": "Lovelace",
        "Company": "Zylker",
        "Email": "ada@example.org",
    }
    answered = await post_form(zoho, form)
    robot = await post_form(zoho, {"Last Name": "x"})
    assert answered.headers["location"] == "https://zylker.example/thanks"
    assert robot.status == 400
    (lead,) = await listed(zoho, "Leads", of("Email", "Lead_Source"))
    assert lead.fields["Lead_Source"] == "Web Download"
    assert lead.by != (await zoho.check()).user
    sandbox.visit("https://zylker.example/prices", lead=lead.id, seconds=90)
    (visit,) = await listed(zoho, "Visits", of("Visited_Page", "Visitor.id"))
    assert visit.fields["Visitor"]["id"] == lead.id
    assert Can.UPDATE not in zoho.resource("Visits").can


async def test_what_a_task_is_about_is_read_and_written_with_its_module(wire):
    sandbox = ZohoSandbox(companies=1)
    account = sandbox.live("Accounts")[0]["id"]
    deal = sandbox.edit("Deals", {"Deal_Name": "D", "Stage": "Qualification"})["id"]
    zoho = wire(sandbox)
    ways = zoho.resource("Tasks")
    made = Write(
        "create",
        "t",
        "k" * 36,
        fields={"Subject": "Call", "What_Id.id": account, "$se_module": "Accounts"},
    )
    (done,) = await zoho.write("Tasks", [made], way=ways.way("create"))
    (task,) = await listed(zoho, "Tasks", of("Subject", "What_Id.id", "$se_module"))
    assert (task.fields["What_Id"]["id"], task.fields["$se_module"]) == (
        account,
        "Accounts",
    )
    moved = {"What_Id.id": deal, "$se_module": "Deals"}
    await zoho.write(
        "Tasks",
        [Write("update", "u", "", id=done.id, fields=moved)],
        way=ways.way("update"),
    )
    found = await zoho.find(
        "Tasks", "Subject", ["Call"], of("What_Id.id", "$se_module")
    )
    assert found["Call"][0].fields["$se_module"] == "Deals"
    assert found["Call"][0].fields["What_Id"]["id"] == deal
    gone = {"What_Id.id": None, "$se_module": None}
    await zoho.write(
        "Tasks",
        [Write("update", "v", "", id=done.id, fields=gone)],
        way=ways.way("update"),
    )
    assert sandbox.live("Tasks")[0]["What_Id"] is None


async def test_the_contacts_of_a_deal_have_roles(wire):
    sandbox = ZohoSandbox(records=3)
    first, second, _ = (r["id"] for r in sandbox.live("Contacts"))
    zoho = wire(sandbox)
    ways = zoho.resource("Deals")
    roles = LinkPatch(
        (Ref("Contacts", first, "Decision Maker"), Ref("Contacts", second))
    )
    made = Write(
        "create", "t", "k" * 36, fields={"Deal_Name": "D", "Stage": "Qualification"},
        links={"Contact_Roles": roles},
    )  # fmt: skip
    (done,) = await zoho.write("Deals", [made], way=ways.way("create"))
    (deal,) = await listed(zoho, "Deals", of("Deal_Name", links=("Contact_Roles",)))
    assert deal.links["Contact_Roles"] == [
        Ref("Contacts", first, "Decision Maker"),
        Ref("Contacts", second),
    ]
    off = LinkPatch(remove=(Ref("Contacts", first, "Decision Maker"),))
    update = Write(
        "update",
        "u",
        "",
        id=done.id,
        fields={"Next_Step": "x"},
        links={"Contact_Roles": off},
    )
    await zoho.write("Deals", [update], way=ways.way("update"))
    (deal,) = await zoho.fetch(
        "Deals", [done.id], of("Deal_Name", links=("Contact_Roles",))
    )
    assert deal.links["Contact_Roles"] == [Ref("Contacts", second)]
    bad = LinkPatch((Ref("Contacts", "415"),))
    update = Write(
        "update",
        "u",
        "",
        id=done.id,
        fields={"Next_Step": "y"},
        links={"Contact_Roles": bad},
    )
    (refused,) = await zoho.write("Deals", [update], way=ways.way("update"))
    assert not isinstance(refused, Done)


async def test_campaigns_have_leads_and_contacts_as_members(wire):
    sandbox = ZohoSandbox(records=250)
    campaign = sandbox.edit("Campaigns", {"Campaign_Name": "Fair"})["id"]
    lead = sandbox.edit("Leads", {"Last_Name": "L", "Company": "C"})["id"]
    for row in sandbox.live("Contacts"):
        sandbox.account.relate("Campaigns", campaign, "Contacts", row["id"], {})
    zoho = wire(sandbox)
    joined = LinkPatch((Ref("Leads", lead),))
    update = Write(
        "update",
        "u",
        "",
        id=campaign,
        fields={"Status": "Active"},
        links={"Leads": joined},
    )
    await zoho.write(
        "Campaigns", [update], way=zoho.resource("Campaigns").way("update")
    )
    want = of("Campaign_Name", links=("Contacts", "Leads"))
    (found,) = await listed(zoho, "Campaigns", want)
    assert len(found.links["Contacts"]) == 250
    assert found.links["Leads"] == [Ref("Leads", lead)]
    assert set(sandbox.account.members("Leads", lead, "Campaigns")) == {campaign}


async def test_pipelines_show_their_stages_in_order(wire):
    zoho = wire(ZohoSandbox())
    layouts = await zoho.http.get(
        "/crm/v8/settings/layouts", params={"module": "Deals"}
    )
    params = {"layout_id": layouts["layouts"][0]["id"]}
    body = await zoho.http.get("/crm/v8/settings/pipeline", params=params)
    stages = [m["actual_value"] for m in body["pipeline"][0]["maps"]]
    described = await zoho.describe("Deals")
    assert (
        tuple(stages) == next(f for f in described.fields if f.path == "Stage").options
    )
