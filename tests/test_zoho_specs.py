"""The Zoho connector and its sandbox, held against the vendor's documents and recordings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from connector_hub.sdk import (
    AuthError,
    ConfigError,
    Done,
    Exists,
    LinkPatch,
    Record,
    Ref,
    Rejected,
    VendorError,
    Want,
    Write,
)
from connector_hub.testing import Wires
from connector_hub_zoho import Zoho, bulk
from connector_hub_zoho.modules import FieldKind
from connector_hub_zoho.sandbox import ZohoSandbox
from tests.specs import Specs, Watched, shared

ALLOWED = (
    r"GET \S+ 304 .*status 304",
    r"(?:POST|DELETE) \S+ 207 .*status 207",
    r"PUT \S+ 412 .*status 412",
    r"/crm/bulk/v8/read/\d+ 200 .*answer",
    r"/Contact_Roles 200 .*is valid under each of",
    r"/actions/watch \d+ .*(?:channel_id|notify_url)",
    r"/settings/fields 200 .*query include: missing",
    r"/actions/convert 200 .*body: application/json is not taken",
)
"""Where Zoho's documents contradict its pages or themselves; the sandbox's README tells of each."""


def of(*fields: str, links: tuple[str, ...] = ()) -> Want:
    return Want(frozenset(fields), frozenset(links))


@pytest.fixture
async def wires() -> AsyncIterator[Wires]:
    async with Wires() as made:
        yield made


async def read_all(
    zoho: Zoho, module: str, want: Want, at: str | None = None
) -> list[Any]:
    page = await zoho.read(module, "changed", at, want)
    found = list(page.records)
    while page.next:
        page = await zoho.read(module, "changed", page.next, want)
        found += page.records
    return found


def filled() -> ZohoSandbox:
    sandbox = ZohoSandbox(records=1_100, companies=3)
    account = sandbox.live("Accounts")[0]["id"]
    product = sandbox.edit("Products", {"Product_Name": "Arabica", "Unit_Price": 10})[
        "id"
    ]
    line = {"Product_Name": {"id": product}, "Quantity": 2, "List_Price": 10}
    sandbox.edit(
        "Sales_Orders",
        {"Subject": "S", "Account_Name": {"id": account}, "Ordered_Items": [line]},
    )
    sandbox.edit("Campaigns", {"Campaign_Name": "Fair"})
    sandbox.edit("Deals", {"Deal_Name": "D", "Stage": "Qualification", "Amount": 5})
    sandbox.edit(
        "Tasks", {"Subject": "T", "What_Id": {"id": account}, "$se_module": "Accounts"}
    )
    sandbox.add_module("Machines", FieldKind("Serial_No", length=40))
    return sandbox


async def test_everything_that_is_said_is_as_zoho_documents_it(wires, monkeypatch):
    specs = Specs.of(
        "zoho", silent=(r"POST /oauth/", r"/crm/WebToLeadForm"), allowed=ALLOWED
    )
    monkeypatch.setattr(bulk, "COST", 2)
    sandbox = filled()
    wire = Watched(httpx.ASGITransport(app=sandbox.app), specs)
    zoho = wires.to(sandbox, Zoho, transport=wire)
    await zoho.check()
    for module in ("Leads", "Contacts", "Deals", "Sales_Orders", "Tasks", "Machines"):
        await zoho.describe(module)
    await read_all(zoho, "users", of("email"))
    people = await read_all(zoho, "Contacts", of("Email", "Account_Name.id"))
    assert len(people) == 1_100
    for module in (
        "Accounts",
        "Deals",
        "Products",
        "Tasks",
        "Machines",
        "Sales_Orders",
    ):
        await read_all(zoho, module, of("Owner.email"))
    await zoho.read(
        "Contacts",
        "changed",
        json.dumps({"mark": sandbox.clock.now().isoformat()}),
        of(),
    )
    await zoho.read("Contacts", "deleted", None, of())
    await zoho.find(
        "Contacts", "Email", [people[0].fields["Email"], "no@body.example"], of("Email")
    )
    await written(zoho, sandbox)
    await zoho.read("Contacts", "deleted", None, of())
    await related_lists(zoho, sandbox)
    await watched(zoho)
    await merged_and_converted(zoho, sandbox)
    assert not wire.unknown
    assert wire.findings == []
    assert sum(wire.checked.values()) > 50


async def written(zoho: Zoho, sandbox: ZohoSandbox) -> None:
    way = zoho.resource("Contacts").way
    made = [
        Write(
            "create", f"t{i}", f"key-{i}", fields={"Last_Name": f"L{i}", "Email": mail}
        )
        for i, mail in enumerate(("a@x.org", "no address", None))
    ]
    outcomes = await zoho.write("Contacts", made, way=way("create"))
    assert [isinstance(o, Done) for o in outcomes] == [True, False, True]
    await zoho.write("Contacts", made[1:2], way=way("create"))
    first: Any = outcomes[0]
    change = Write(
        "update", "u", "", id=first.id, fields={"Title": "CEO"}, version=first.version
    )
    await zoho.write("Contacts", [change], way=way("update"))
    sandbox.clock.advance(5)
    sandbox.edit("Contacts", {"id": first.id, "Title": "theirs"})
    conditional = zoho.resource("Contacts").conditional_way("update")
    assert conditional
    await zoho.write("Contacts", [change], way=conditional)
    gone = [Write("archive", "d", "", id=i) for i in (first.id, "4150868000000999999")]
    await zoho.write("Contacts", gone, way=way("archive"))


async def related_lists(zoho: Zoho, sandbox: ZohoSandbox) -> None:
    deal = sandbox.live("Deals")[0]["id"]
    contact = sandbox.live("Contacts")[0]["id"]
    links = {"Contact_Roles": LinkPatch((Ref("Contacts", contact, "Buyer"),))}
    way = zoho.resource("Deals").way("update")
    await zoho.write(
        "Deals",
        [Write("update", "u", "", id=deal, fields={"Amount": 7}, links=links)],
        way=way,
    )
    await read_all(zoho, "Deals", of("Amount", links=("Contact_Roles",)))
    off = {"Contact_Roles": LinkPatch(remove=(Ref("Contacts", contact),))}
    await zoho.write(
        "Deals",
        [Write("update", "u", "", id=deal, fields={"Amount": 8}, links=off)],
        way=way,
    )


async def watched(zoho: Zoho) -> None:
    channel = {
        "channel_id": "1000000068001",
        "events": ["Leads.create", "Contacts.all"],
        "notify_url": "https://hub.example/zoho",
        "token": "secret",
    }
    await zoho.http.post("/crm/v8/actions/watch", json={"watch": [channel]})
    await zoho.http.get("/crm/v8/actions/watch")
    await zoho.http.send("PATCH", "/crm/v8/actions/watch", json={"watch": [channel]})
    params = {"channel_ids": "1000000068001"}
    await zoho.http.send("DELETE", "/crm/v8/actions/watch", params=params)


async def merged_and_converted(zoho: Zoho, sandbox: ZohoSandbox) -> None:
    master, loser = (r["id"] for r in sandbox.live("Contacts")[:2])
    body = {"merge": [{"data": [{"id": loser}], "master_record_fields": []}]}
    await zoho.http.post(f"/crm/v8/Contacts/{master}/actions/merge", json=body)
    await zoho.http.post(f"/crm/v8/settings/recycle_bin/{loser}/actions/restore")
    lead = sandbox.edit("Leads", {"Last_Name": "L", "Company": "C"})["id"]
    deal = {"Deal_Name": "Big", "Stage": "Qualification"}
    body = {"data": [{"Deals": deal}]}
    await zoho.http.post(f"/crm/v8/Leads/{lead}/actions/convert", json=body)


class Recorded(httpx.AsyncBaseTransport):
    """Answers as Zoho once did."""

    def __init__(self, response: dict[str, Any]) -> None:
        self._response = response
        self.body: Any = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """What was recorded, whatever is asked."""
        self.body = json.loads(await request.aread() or b"null")
        body = self._response["body"]
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json;charset=UTF-8"}
        return httpx.Response(
            self._response["status"], headers=headers, stream=httpx.ByteStream(content)
        )


def exchanges(*names: str) -> Iterator[tuple[dict[str, Any], Recorded]]:
    """Recorded requests with a transport that answers each."""
    folder = shared("fixtures", "zoho")
    for name in names:
        for e in json.loads((folder / name).read_text())["exchanges"]:
            yield e["request"], Recorded(e["response"])


def module_of(request: dict[str, Any]) -> str:
    return str(request["path"].split("/")[3])


async def test_recorded_listings_are_read_without_loss(wires):
    files = [
        f"recorded/{m}.json"
        for m in ("leads", "contacts", "accounts", "deals", "products", "tasks")
    ]
    count = 0
    for request, recorded in exchanges(*files):
        rows = recorded._response["body"]["data"]
        want = of(*(n for n in rows[0] if n != "id"))
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded, key_field=None)
        page = await zoho.read(module_of(request), "changed", None, want)
        assert [r.id for r in page.records] == [r["id"] for r in rows]
        for record, row in zip(page.records, rows, strict=True):
            if isinstance(record, Record):
                assert record.fields == row
                assert record.version == row["Modified_Time"]
                assert record.by == row["Modified_By"]["id"]
                assert record.changed.isoformat() == row["Modified_Time"]
            else:
                assert row["Converted__s"]
        count += len(rows)
    assert count > 30


async def test_recorded_records_are_fetched_without_loss(wires):
    names = ("get-contact", "get-deal", "get-lead", "get-product")
    for request, recorded in exchanges(*(f"recorded/{n}.json" for n in names)):
        (row,) = recorded._response["body"]["data"]
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded, key_field=None)
        (found,) = await zoho.fetch(module_of(request), [row["id"]], of(*row))
        assert found.fields == row


async def test_recorded_users_are_read_without_loss(wires):
    for _, recorded in exchanges("recorded/users.json"):
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded)
        page = await zoho.read("users", "changed", None, of("email"))
        assert [r.fields for r in page.records] == recorded._response["body"]["users"]


async def test_recorded_writes_are_told_as_they_went(wires):
    names = ("create-account", "create-contact", "create-deal", "create-lead", "create-product",
             "create-task", "update-contact", "update-lead", "update-task", "upsert-records",
             "delete-contact", "delete-lead")  # fmt: skip
    told = 0
    for request, recorded in exchanges(*(f"recorded/{n}.json" for n in names)):
        if request["method"] == "GET":
            continue
        (row,) = recorded._response["body"]["data"]
        op = {"POST": "create", "PUT": "update", "DELETE": "archive"}[request["method"]]
        fields = {
            k: v
            for k, v in ((request["body"] or {}).get("data") or [{}])[0].items()
            if k != "id"
        }
        record = None if op == "create" else row["details"]["id"]
        module = module_of(request)
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded, key_field=None)
        write = Write(op, "t", "k", id=record, fields=fields)
        (done,) = await zoho.write(module, [write], way=zoho.resource(module).way(op))
        assert done.id == row["details"]["id"]
        assert done.version == row["details"].get("Modified_Time")
        if op != "archive":
            sent = recorded.body["data"][0]
            assert {k: v for k, v in sent.items() if k != "id"} == fields
            assert recorded.body["trigger"] == []
        told += 1
    assert told == 12


async def test_recorded_refusals_name_the_record_and_the_field(wires):
    words: dict[str, int] = {}
    names = ("upsertRecords", "deleteRecords")
    for request, recorded in exchanges(*(f"official-examples/{n}.json" for n in names)):
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded)
        rows = (recorded._response["body"] or {}).get("data")
        op: Any = "archive" if request["method"] == "DELETE" else "create"
        writes = [
            Write(op, f"t{i}", "k", id=str(i), fields={})
            for i in range(len(rows or [0]))
        ]
        way = zoho.resource("Leads").way(op)
        try:
            outcomes = await zoho.write("Leads", writes, way=way)
        except VendorError as e:
            outcomes = [e]
        except (ConfigError, AuthError) as e:
            words[type(e).__name__] = words.get(type(e).__name__, 0) + 1
            continue
        for outcome, row in zip(outcomes, rows or [{}], strict=True):
            name = type(outcome).__name__
            words[name] = words.get(name, 0) + 1
            if isinstance(outcome, Rejected):
                assert outcome.reason == row["code"]
                details = row["details"]
                if "api_name" in details:
                    assert details["api_name"] in outcome.fields
            if isinstance(outcome, Exists):
                several = "errors" in row["details"]
                assert several or outcome.there
    assert words["Done"] >= 4
    assert words["Rejected"] >= 5
    assert words["Exists"] >= 1
    assert words["InDoubt"] == 1


async def test_recorded_queries_and_deleted_records_are_read(wires):
    for _, recorded in exchanges("official-examples/coql.json"):
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded, key_field=None)
        if recorded._response["status"] == 200:
            rows = await zoho.api.query(
                "select Last_Name from Leads where id is not null", 200
            )
            assert rows == recorded._response["body"]["data"]
        else:
            with pytest.raises((ConfigError, Rejected)):
                await zoho.api.query("select x from Leads where id is not null", 200)
    for _, recorded in exchanges("official-examples/getDeletedRecords.json"):
        zoho = wires.to(ZohoSandbox(), Zoho, transport=recorded)
        page = await zoho.read("Leads", "deleted", None, of())
        rows = recorded._response["body"]["data"]
        assert [r.id for r in page.records] == [r["id"] for r in rows]
