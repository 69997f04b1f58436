"""All that the HubSpot connector asks and its sandbox answers, held against HubSpot's OpenAPI documents."""

from __future__ import annotations

import uuid

import httpx
import pytest
from msgspec import structs

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.sdk import (
    Done,
    LinkPatch,
    Ref,
    RowPatch,
    RowsPatch,
    SecretStr,
    Want,
    Write,
)
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.kinds import KINDS
from connector_hub_hubspot.sandbox import HubSpotSandbox

from .specs import Specs, Watched

SILENT = (r"GET /account-info/v3/details",)
CONTRADICTIONS = (
    r"GET \S+owners\S* .* results/\d+/userId: None (for not nullable|is not of type)",
    r"GET \S+/labels .* results/\d+/label: None (for not nullable|is not of type)",
    r"answer (results/\d+/)?properties/\w+: None (for not nullable|is not of type)",
    r"POST \S+/search .* body sorts/0: \{.* is not of type 'string'",
    r"associations/.*(toObjectId|fromObjectId): \d+ is not of type 'string'",
    r"associations.*associationTypes/\d+/label: None (for not nullable|is not of type)",
    r"associations.*errors/\d+/subCategory: 'crm\.associations\.\w+' is not of type 'object'",
)


class Secrets:
    def read(self, reference):
        return HubSpotSandbox.access_token


class Busy(HubSpotSandbox):
    sales = 8
    search_lag = 0.0


@pytest.fixture
def sandbox():
    return Busy(records=10, companies=3)


@pytest.fixture
def wire(sandbox):
    specs = Specs.of("hubspot", silent=SILENT, allowed=CONTRADICTIONS)
    return Watched(httpx.ASGITransport(app=sandbox.app), specs)


@pytest.fixture
async def made(wire):
    opened = []

    def make(**config):
        told = HubSpot.Config(
            token=SecretStr("env:T"), base_url="http://127.0.0.1:1", **config
        )
        http = HttpClient(
            HubSpot,
            told,
            connection="sales",
            secrets=Secrets(),
            clock=SystemClock(),
            ledger=Ledger(),
            transport=wire,
        )
        connector = HubSpot(
            told, http, clock=SystemClock(), key_field=HubSpot.key_field
        )
        http.attach(connector)
        opened.append(http)
        return connector

    yield make
    for http in opened:
        await http.aclose()


def write(op, record=None, links=None, **fields):
    paths = {f"properties.{n}": v for n, v in fields.items()}
    key, trace = str(uuid.uuid4()), str(uuid.uuid4())
    return Write(op, trace, key, record, paths, links or {})


NEW = {
    "contacts": {"email": "new@people.example"},
    "companies": {"name": "New"},
    "deals": {"dealname": "New", "dealstage": "qualifiedtobuy", "pipeline": "default"},
    "tickets": {"subject": "New", "hs_pipeline": "0", "hs_pipeline_stage": "1"},
    "products": {"name": "New"},
    "line_items": {"name": "New", "quantity": "2", "price": "10"},
    "tasks": {"hs_task_subject": "New", "hs_timestamp": "2026-12-01T00:00:00.000Z"},
    "orders": {"hs_order_name": "New"},
    "leads": {"hs_lead_name": "New"},
}


@pytest.mark.parametrize("api", ["v3", "2026-03"])
@pytest.mark.parametrize("resource", sorted(KINDS))
async def test_every_call_about_an_object_is_as_its_document_says(
    made, wire, sandbox, resource, api
):
    connector = made(api=api)
    described = await connector.describe(resource)
    fields = frozenset(f.path for f in described.fields)
    lined = resource in {"deals", "orders"}
    rows = {"line_items": frozenset({"properties.name", "id"})} if lined else {}
    want = Want(fields, frozenset(described.links), rows)
    listed = await connector.read(resource, "changed", None, want)
    changed = await connector.read(resource, "changed", '{"ms": 1704096000000}', want)
    assert {r.id for r in listed.records} == {r.id for r in changed.records}
    linked = {
        r.id: {n: {x.id for x in v} for n, v in r.links.items()} for r in listed.records
    }
    assert linked == {
        r.id: {n: {x.id for x in v} for n, v in r.links.items()}
        for r in changed.records
    }
    way = described.way("create")
    needs = {
        to: LinkPatch((Ref(to, sandbox.live(to)[0]["id"]),)) for to in described.needs
    }
    refused = write("create", nonsense="x")
    (done, wrong) = await connector.write(
        resource, [write("create", links=needs, **NEW[resource]), refused], way=way
    )
    assert isinstance(done, Done)
    assert wrong.reason == "PROPERTY_DOESNT_EXIST"
    for to in described.links:
        others = sandbox.live(to)
        if not others or others[0]["id"] == done.id:
            continue
        ref = Ref(to, others[0]["id"])
        for patch in (LinkPatch(add=(ref,)), LinkPatch(remove=(ref,))):
            update = write("update", done.id, {to: patch}, **NEW[resource])
            (again,) = await connector.write(resource, [update], way=way)
            assert isinstance(again, Done)
    if lined:
        sold = RowsPatch((RowPatch(None, {"properties.name": "New"}),))
        update = write("update", done.id)
        update = structs.replace(update, fields={"line_items": sold})
        assert await connector.write(resource, [update], way=way) == [Done(done.id)]
        (row,) = await connector.fetch(resource, [done.id], want)
        (new,) = row.fields["line_items"]
        sold = RowsPatch((RowPatch(new["id"], {"properties.name": "Other"}),))
        update = structs.replace(update, fields={"line_items": sold})
        await connector.write(resource, [update], way=way)
        update = structs.replace(
            update, fields={"line_items": RowsPatch((), (new["id"],))}
        )
        await connector.write(resource, [update], way=way)
        (row,) = await connector.fetch(resource, [done.id], want)
        assert row.fields["line_items"] == []
    await connector.fetch(resource, [done.id, "4040404"], want)
    await connector.edited(
        resource, [done.id], [f"properties.{next(iter(NEW[resource]))}"]
    )
    await connector.write(resource, [write("archive", done.id)], way=way)
    gone = await connector.read(resource, "deleted", None, want)
    assert [g.id for g in gone.records] == [done.id]
    assert wire.findings == []
    assert sum(wire.checked.values()) >= 9


CARS = {
    "name": "cars",
    "labels": {"singular": "Car", "plural": "Cars"},
    "primaryDisplayProperty": "model",
    "requiredProperties": ["model"],
    "searchableProperties": ["model"],
    "secondaryDisplayProperties": [],
    "allowsSensitiveProperties": False,
    "shouldCreateSameObjectAssociation": False,
    "properties": [
        {"name": "model", "label": "Model", "type": "string", "fieldType": "text"},
        {
            "name": "fuel",
            "label": "Fuel",
            "type": "enumeration",
            "fieldType": "select",
            "options": [
                {"label": w.title(), "value": w, "displayOrder": 0, "hidden": False}
                for w in ("petrol", "current")
            ],
        },
        {
            "name": "vin",
            "label": "VIN",
            "type": "string",
            "fieldType": "text",
            "hasUniqueValue": True,
        },
    ],
    "associatedObjects": ["CONTACT"],
}


@pytest.fixture
async def client(wire, sandbox):
    async with httpx.AsyncClient(  # noqa: TID251 - the sandbox without the connector
        transport=wire,
        base_url="https://api.example",
        headers={"Authorization": f"Bearer {sandbox.access_token}"},
    ) as opened:
        yield opened


async def done(client, status, method, path, **more):
    answer = await client.request(method, path, **more)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


PATHS = {
    "v3": (
        "/crm/v3/objects",
        "/crm/v3/pipelines",
        "/crm/v3/owners",
        "/crm/v3/properties",
    ),
    "2026-03": (
        "/crm/objects/2026-03",
        "/crm/pipelines/2026-03",
        "/crm/owners/2026-03",
        "/crm/properties/2026-03",
    ),
}


@pytest.mark.parametrize("api", PATHS)
async def test_every_single_call_of_the_sandbox_is_as_its_document_says(
    client, wire, sandbox, api
):
    objects, pipelines, owners, properties = PATHS[api]
    at = f"{objects}/contacts"
    body = {"properties": {"email": "one@x.example"}, "associations": []}
    made = await done(client, 201, "POST", at, json=body)
    again = await done(client, 409, "POST", at, json=body)
    assert again["message"] == f"Contact already exists. Existing ID: {made['id']}"
    one = f"{at}/{made['id']}"
    asked = {"properties": "email,phone", "propertiesWithHistory": "email"}
    told = await done(client, 200, "GET", one, params=asked)
    assert told["properties"]["phone"] is None
    await done(client, 200, "PATCH", one, json={"properties": {"phone": "1"}})
    cleared = await done(client, 200, "PATCH", one, json={"properties": {"phone": ""}})
    assert not cleared["properties"]["phone"]
    by = {"idProperty": "email"}
    await done(client, 200, "GET", f"{at}/one@x.example", params=by)
    await done(client, 404, "GET", f"{at}/77")
    other = sandbox.live("contacts")[0]["id"]
    merge = {"primaryObjectId": other, "objectIdToMerge": made["id"]}
    kept = await done(client, 200, "POST", f"{at}/merge", json=merge)
    assert kept["properties"]["hs_merged_object_ids"] == made["id"]
    await done(client, 204, "DELETE", f"{at}/1234567890")
    await done(client, 204, "POST", f"{at}/gdpr-delete", json={"objectId": other})
    for name, least in (("deals", 2), ("tickets", 1), ("leads", 1), ("orders", 1)):
        listed = await done(client, 200, "GET", f"{pipelines}/{name}")
        assert len(listed["results"]) >= least
        first = f"{pipelines}/{name}/{listed['results'][0]['id']}"
        assert (await done(client, 200, "GET", first))["stages"]
        await done(client, 200, "GET", f"{first}/stages")
    everyone = [
        o
        for archived in ("false", "true")
        for o in (
            await done(client, 200, "GET", owners, params={"archived": archived})
        )["results"]
    ]
    assert [o["archived"] for o in everyone] == [False, False, True]
    assert everyone[-1]["userIdIncludingInactive"]
    await done(client, 200, "GET", f"{owners}/{everyone[0]['id']}")
    await done(client, 404, "GET", f"{owners}/1")
    text = {"name": "npwp", "label": "NPWP", "type": "string", "fieldType": "text"}
    text["groupName"] = "contactinformation"
    await done(client, 201, "POST", f"{properties}/contacts", json=text)
    await done(client, 409, "POST", f"{properties}/contacts", json=text)
    await done(client, 200, "GET", f"{properties}/contacts/npwp")
    await done(client, 204, "DELETE", f"{properties}/contacts/npwp")
    await done(client, 404, "GET", f"{properties}/contacts/npwp")
    assert wire.findings == []


@pytest.mark.parametrize(
    "paths",
    [
        ("/crm/v4/objects", "/crm/v4/associations", "/crm/associations/v4"),
        (
            "/crm/objects/2026-03",
            "/crm/associations/2026-03",
            "/crm/associations/2026-03",
        ),
    ],
)
async def test_every_call_about_associations_is_as_its_document_says(
    client, wire, sandbox, paths
):
    one, many, labels = paths
    deal, person = sandbox.live("deals")[0]["id"], sandbox.live("contacts")[-1]["id"]
    listed = await done(client, 200, "GET", f"{labels}/deals/contacts/labels")
    assert [t["typeId"] for t in listed["results"]] == [3]
    new = {"label": "Referee", "name": "referee"}
    made = await done(client, 200, "POST", f"{labels}/deals/contacts/labels", json=new)
    kind = {"associationCategory": "USER_DEFINED"}
    kind["associationTypeId"] = made["results"][0]["typeId"]
    at = f"{one}/deals/{deal}/associations"
    await done(client, 200, "PUT", f"{at}/default/contacts/{person}")
    told = await done(client, 201, "PUT", f"{at}/contacts/{person}", json=[kind])
    assert told["labels"] == ["Referee"]
    held = await done(client, 200, "GET", f"{at}/contacts")
    kinds = {str(r["toObjectId"]): r["associationTypes"] for r in held["results"]}
    assert {t["label"] for t in kinds[person]} == {None, "Referee"}
    batch = f"{many}/deals/contacts/batch"
    ends = {"from": {"id": deal}, "to": {"id": person}}
    inputs = {"inputs": [ends]}
    await done(client, 200, "POST", f"{batch}/associate/default", json=inputs)
    typed = {"inputs": [{**ends, "types": [kind]}]}
    await done(client, 201, "POST", f"{batch}/create", json=typed)
    ended = 204 if "v4" in many else 200
    await done(client, ended, "POST", f"{batch}/labels/archive", json=typed)
    ends = {"inputs": [{"from": {"id": deal}, "to": [{"id": person}]}]}
    await done(client, ended, "POST", f"{batch}/archive", json=ends)
    await done(client, 204, "DELETE", f"{at}/contacts/{person}")
    assert wire.findings == []


async def test_the_oldest_associations_are_as_their_document_says(
    client, wire, sandbox
):
    person, firm = (
        sandbox.live("contacts")[0]["id"],
        sandbox.live("companies")[-1]["id"],
    )
    batch = "/crm/v3/associations/contacts/companies/batch"
    ends = {"from": {"id": person}, "to": {"id": firm}, "type": "contact_to_company"}
    made = await done(client, 201, "POST", f"{batch}/create", json={"inputs": [ends]})
    assert {r["type"] for r in made["results"]} == {
        "contact_to_company",
        "company_to_contact",
    }
    asked = {"inputs": [{"id": person}]}
    read = await done(client, 200, "POST", f"{batch}/read", json=asked)
    assert firm in {t["id"] for t in read["results"][0]["to"]}
    await done(client, 204, "POST", f"{batch}/archive", json={"inputs": [ends]})
    assert wire.findings == []


@pytest.mark.parametrize("api", ["v3", "2026-03"])
async def test_an_object_of_the_accounts_own_is_described_read_and_written(
    client, made, wire, sandbox, api
):
    at = f"/crm-object-schemas/{api}/schemas"
    schema = await done(client, 201, "POST", at, json=CARS)
    assert [s["name"] for s in (await done(client, 200, "GET", at))["results"]] == [
        "cars"
    ]
    name = schema["objectTypeId"]
    connector = made(api=api)
    described = await connector.describe(name)
    fields = {f.path.removeprefix("properties."): f for f in described.fields}
    assert fields["model"].required
    assert fields["vin"].unique
    assert (fields["fuel"].closed, fields["fuel"].options) == (
        True,
        ("petrol", "current"),
    )
    assert described.links == ("contacts",)
    assert "group cars_information" in await connector.prepare(name, make=True)
    person = sandbox.live("contacts")[0]["id"]
    patch = {"contacts": LinkPatch((Ref("contacts", person),))}
    one = write("create", links=patch, model="Kijang", fuel="current")
    bad = write("create", model="Kijang", fuel="coal")
    way = described.way("create")
    first, second, third = await connector.write(
        name, [one, bad, write("create", fuel="petrol")], way=way
    )
    assert isinstance(first, Done)
    assert (second.reason, second.fields) == ("INVALID_OPTION", ("fuel",))
    assert third.fields == ("model",)
    want = Want(frozenset({"properties.model"}), frozenset({"contacts"}))
    for mark in (None, '{"ms": 1704096000000}'):
        (row,) = (await connector.read(name, "changed", mark, want)).records
        assert row.fields["properties"]["model"] == "Kijang"
        assert row.links["contacts"] == (Ref("contacts", person),)
    assert wire.findings == []
    await done(client, 400, "DELETE", f"{at}/{name}")
    await connector.write(name, [write("archive", row.id)], way=way)
    await done(client, 204, "DELETE", f"{at}/{name}")
