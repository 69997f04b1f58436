"""HubSpot's recorded answers through the connector: nothing of them is lost, and errors are told apart."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx
import orjson
import pytest

from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.errors import (
    AuthError,
    Exists,
    HubError,
    Missing,
    RateLimited,
    Rejected,
)
from connector_hub.sdk import Done, Request, SecretStr, Want, Way, Write
from connector_hub.testing import WorldClock
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.portal.events import signature_v1, signature_v2

from .specs import shared

ALL = Want(frozenset({"properties.anything"}))


class Secrets:
    def read(self, reference: str) -> str:
        return "pat"


def fixture(*parts: str) -> Any:
    return json.loads(shared("fixtures", "hubspot", *parts).read_text("utf-8"))


def exchanges(name: str, folder: str = "recorded") -> list[Any]:
    found: list[Any] = fixture(folder, f"{name}.json")["exchanges"]
    return found


class Tape(httpx.AsyncBaseTransport):
    """Answers each path with what was recorded for it; other calls find nothing."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.asked.append(request)
        status, body = self.answers.get(
            request.url.path,
            (200, {"status": "COMPLETE", "results": []}),
        )
        content = b"" if body is None else orjson.dumps(body)
        return httpx.Response(
            status,
            headers={"content-type": "application/json"},
            stream=httpx.ByteStream(content),
        )


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
async def crm(tape):
    config = HubSpot.Config(token=SecretStr("env:T"), base_url="http://127.0.0.1:1")
    clock = WorldClock()
    http = HttpClient(
        HubSpot,
        config,
        connection="sales",
        secrets=Secrets(),
        clock=clock,
        ledger=Ledger(),
        transport=tape,
    )
    made = HubSpot(config, http, clock=clock, key_field="connector_hub_id")
    http.attach(made)
    yield made
    await http.aclose()


def write(op: str, record: str | None = None, key: str = "k", **fields: Any) -> Write:
    paths = {f"properties.{n}": v for n, v in fields.items()}
    return Write(op, "trace", key, record, paths)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "resource", ["contacts", "companies", "deals", "tasks", "products"]
)
async def test_a_recorded_listing_comes_out_whole(crm, tape, resource):
    (exchange,) = exchanges(resource)
    body = exchange["response"]["body"]
    tape.answers[f"/crm/v3/objects/{resource}"] = (200, body)
    asked = exchange["request"]["query"].get("associations", "")
    want = Want(ALL.fields, frozenset(filter(None, asked.split(","))))
    page = await crm.read(resource, "changed", None, want)
    assert [dict(r.fields) for r in page.records] == body["results"]
    assert [r.version for r in page.records] == [
        r["updatedAt"] for r in body["results"]
    ]
    for record, row in zip(page.records, body["results"], strict=True):
        listed = {
            (name, a["id"])
            for name, told in row.get("associations", {}).items()
            for a in told["results"]
        }
        assert {(n, r.id) for n, refs in record.links.items() for r in refs} == listed
    after = body.get("paging", {}).get("next", {}).get("after")
    assert (json.loads(page.next)["list"] if page.next else None) == after


@pytest.mark.parametrize("name", ["contacts", "companies", "deals"])
async def test_the_bodies_of_another_portal_come_out_whole(crm, tape, name):
    body = fixture("dlt-mock", f"mock_{name}_data.json")["body"]
    tape.answers[f"/crm/v3/objects/{name}"] = (200, body)
    page = await crm.read(name, "changed", None, ALL)
    assert [dict(r.fields) for r in page.records] == body["results"]


@pytest.mark.parametrize("resource", ["companies", "deals"])
async def test_a_recorded_search_comes_out_whole(crm, tape, resource):
    (exchange,) = exchanges(f"search-{resource}")
    body = exchange["response"]["body"]
    tape.answers[f"/crm/v3/objects/{resource}/search"] = (200, body)
    page = await crm.read(resource, "changed", '{"ms": 1767225600000}', ALL)
    assert [dict(r.fields) for r in page.records] == body["results"]
    assert (page.next is not None) is ("paging" in body)


@pytest.mark.parametrize("name", ["contact", "deal"])
async def test_a_recorded_record_comes_out_whole(crm, tape, name):
    for exchange in exchanges(f"get-{name}"):
        body = exchange["response"]["body"]
        told = {"status": "COMPLETE", "results": [body]}
        tape.answers[f"/crm/v3/objects/{name}s/batch/read"] = (200, told)
        (record,) = await crm.fetch(f"{name}s", [body["id"]], ALL)
        assert dict(record.fields) == body


async def test_histories_tell_when_each_property_was_edited(crm, tape):
    body = fixture("dlt-mock", "mock_contacts_with_history.json")["body"]
    tape.answers["/crm/v3/objects/contacts/batch/read"] = (200, body)
    for row in body["results"]:
        past = row["propertiesWithHistory"]
        paths = [f"properties.{n}" for n in past]
        told = (await crm.edited("contacts", [row["id"]], paths))[row["id"]]
        assert set(told) == {f"properties.{n}" for n, values in past.items() if values}


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("create-contact", "contacts"),
        ("create-company", "companies"),
        ("create-deal", "deals"),
        ("create-task", "tasks"),
        ("batch-create-companies", "companies"),
    ],
)
async def test_a_recorded_create_is_confirmed_with_all_that_came_back(
    crm, tape, name, resource
):
    (exchange,) = exchanges(name)
    body = exchange["response"]["body"]
    rows = body.get("results", [body])
    sent = exchange["request"]["body"]
    (given,) = [i["properties"] for i in sent.get("inputs", [sent])]
    row = {**rows[0], "properties": {**rows[0]["properties"], "connector_hub_id": "k"}}
    told = {"status": "COMPLETE", "results": [row]}
    tape.answers[f"/crm/v3/objects/{resource}/batch/upsert"] = (200, told)
    fields = {n: str(v) for n, v in given.items()}
    way = Way("create", 100)
    (outcome,) = await crm.write(resource, [write("create", **fields)], way=way)
    assert outcome == Done(row["id"], row["updatedAt"], row)
    request = json.loads(tape.asked[-1].content)["inputs"][0]
    assert request["properties"] == {**fields, "connector_hub_id": "k"}


@pytest.mark.parametrize("name", ["update-contact", "update-contact-clear-fields"])
async def test_a_recorded_update_is_confirmed_with_all_that_came_back(crm, tape, name):
    for exchange in exchanges(name):
        body = exchange["response"]["body"]
        told = {"status": "COMPLETE", "results": [body]}
        tape.answers["/crm/v3/objects/contacts/batch/update"] = (200, told)
        given = exchange["request"]["body"]["properties"]
        update = write("update", body["id"], **{n: v or None for n, v in given.items()})
        (outcome,) = await crm.write("contacts", [update], way=Way("update", 100))
        assert outcome == Done(body["id"], body["updatedAt"], body)
        assert json.loads(tape.asked[-1].content)["inputs"][0]["properties"] == given


@pytest.mark.parametrize("name", ["contact", "task"])
async def test_a_recorded_delete_is_quiet(crm, tape, name):
    for exchange in exchanges(f"delete-{name}"):
        record = exchange["request"]["path"].rpartition("/")[2]
        status = exchange["response"]["status"]
        tape.answers[f"/crm/v3/objects/{name}s/batch/archive"] = (status, None)
        gone = await crm.write(
            f"{name}s", [write("archive", record)], way=Way("archive", 100)
        )
        assert gone == [Done(record)]


async def test_recorded_properties_are_described_one_by_one(crm, tape):
    (exchange,) = exchanges("fetch-properties")
    rows = exchange["response"]["body"]["results"]
    tape.answers["/crm/v3/properties/companies"] = (200, {"results": rows})
    described = {f.path: f for f in (await crm.describe("companies")).fields}
    assert list(described) == [f"properties.{r['name']}" for r in rows]
    for row in rows:
        info = described[f"properties.{row['name']}"]
        assert info.label == row["label"]
        assert info.options == tuple(o["value"] for o in row["options"])
        assert info.read_only is row["modificationMetadata"]["readOnlyValue"]


async def test_recorded_stages_are_the_options_of_their_properties(crm, tape):
    (exchange,) = exchanges("fetch-pipelines")
    body = exchange["response"]["body"]
    rows = [
        {"name": n, "label": n, "type": "enumeration", "options": []}
        for n in ("pipeline", "dealstage")
    ]
    tape.answers["/crm/v3/properties/deals"] = (200, {"results": rows})
    tape.answers["/crm/v3/pipelines/deals"] = (200, body)
    at, stage, *_ = (await crm.describe("deals")).fields
    assert at.options == tuple(p["id"] for p in body["results"])
    stages = [s["id"] for p in body["results"] for s in p["stages"]]
    assert (stage.options, stage.closed) == (tuple(stages), True)


async def test_recorded_owners_come_out_whole(crm, tape):
    (exchange,) = exchanges("owners")
    body = exchange["response"]["body"]
    tape.answers["/crm/v3/owners"] = (200, body)
    page = await crm.read("owners", "changed", None, Want(frozenset()))
    assert [dict(r.fields) for r in page.records] == body["results"]


async def test_the_recorded_account_is_named(crm, tape):
    (exchange,) = exchanges("fetch-account-information")
    body = exchange["response"]["body"]
    tape.answers["/account-info/v3/details"] = (200, body)
    account = await crm.check()
    assert (account.id, account.zone, account.currency) == (
        str(body["portalId"]),
        body["timeZone"],
        body["companyCurrency"],
    )


async def test_the_documented_associations_come_out_with_their_labels(crm, tape):
    examples = fixture("docs-examples", "associate-records_guide.json")["examples"]
    (body,) = [
        e["json"]
        for e in examples
        if isinstance(e["json"], dict)
        and "from" in (e["json"].get("results") or [{}])[0]
        and "to" in e["json"]["results"][0]
        and isinstance(e["json"]["results"][0]["to"], list)
    ]
    tape.answers["/crm/v4/associations/contacts/companies/batch/read"] = (200, body)
    ids = [r["from"]["id"] for r in body["results"]]
    rows = [{"id": i, "properties": {}} for i in ids]
    told = {"status": "COMPLETE", "results": rows}
    tape.answers["/crm/v3/objects/contacts/batch/read"] = (200, told)
    want = Want(frozenset(), frozenset({"companies"}))
    found = {r.id: r.links["companies"] for r in await crm.fetch("contacts", ids, want)}
    for row in body["results"]:
        expected = Counter[tuple[str, str | None]]()
        for a in row["to"]:
            labels = [t["label"] for t in a["associationTypes"] if t["label"]]
            expected.update((str(a["toObjectId"]), x) for x in labels or [None])
        assert Counter((r.id, r.label) for r in found[row["from"]["id"]]) == expected


async def test_the_documented_207_is_told_apart_by_trace(crm, tape):
    examples = fixture("docs-examples", "crm_using-object-apis.json")["examples"]
    (body,) = [e["json"] for e in examples if e["json"].get("numErrors")]
    tape.answers["/crm/v3/objects/tickets/batch/update"] = (207, body)
    row, error = body["results"][0], body["errors"][0]
    (trace,) = error["context"]["objectWriteTraceId"]
    good = Write(
        "update", "other", "a", row["id"], {"properties.hs_pipeline_stage": "1"}
    )
    bad = Write("update", trace, "b", "77", {"properties.missing": "1"})
    done, refused = await crm.write("tickets", [good, bad], way=Way("update", 100))
    assert done == Done(row["id"], row["updatedAt"], row)
    assert isinstance(refused, Rejected)
    assert (refused.reason, refused.fields) == ("PROPERTY_DOESNT_EXIST", ("missing",))
    assert refused.message == 'Property "missing" does not exist'


def errors() -> list[tuple[str, str, int, type[HubError], str]]:
    """Recorded and documented refusals: where, which, and what each must come to."""
    return [
        ("docs-examples", "conflict_409_and_404", 0, Exists, "512"),
        ("docs-examples", "conflict_409_and_404", 1, Missing, ""),
        ("docs-examples", "rate_limit_429", 0, RateLimited, ""),
        ("docs-examples", "rate_limit_429", 1, RateLimited, ""),
        ("docs-examples", "rate_limit_429", 2, RateLimited, ""),
        (
            "legacy-v1",
            "Hubspot_Company_behaves_like_an_updateable_resource_update_with_an_invalid_resource_fails",
            0,
            Missing,
            "",
        ),
        (
            "legacy-v1",
            "Hubspot_Contact_create_with_an_existing_email_address_raises_an_error",
            1,
            Exists,
            "",
        ),
        (
            "legacy-v1",
            "Hubspot_Contact_create_with_an_invalid_email_address_raises_an_error",
            0,
            Rejected,
            "INVALID_EMAIL",
        ),
        (
            "legacy-v1",
            "Hubspot_Contact_find_with_an_invalid_ID_raises_an_error",
            0,
            Missing,
            "",
        ),
    ]


@pytest.mark.parametrize(("folder", "name", "number", "kind", "word"), errors())
async def test_a_recorded_refusal_is_what_it_says(  # noqa: PLR0917 - a row of the table
    crm, tape, folder, name, number, kind, word
):
    told = exchanges(name, folder)[number]["response"]
    tape.answers["/anything"] = (told["status"], told["body"])
    with pytest.raises(kind) as refused:
        await crm.http.post("/anything", json={}, repeatable=True)
    error = refused.value
    assert getattr(error, "there", None) == (word or None) if kind is Exists else True
    if kind is Rejected:
        assert (error.reason, error.fields) == (word, ("email",))


async def test_the_documented_refusals_name_the_property_and_the_scopes(crm, tape):
    examples = fixture("docs-examples", "crm_using-object-apis.json")["examples"]
    unknown, scopes = [
        e["json"] for e in examples if e["json"].get("status") == "error"
    ]
    tape.answers["/anything"] = (400, unknown)
    with pytest.raises(Rejected) as refused:
        await crm.http.post("/anything", json={})
    assert refused.value.reason == "PROPERTY_DOESNT_EXIST"
    assert refused.value.fields == ("testproperty",)
    tape.answers["/anything"] = (403, scopes)
    lacks = scopes["errors"][0]["context"]["requiredGranularScopes"]
    with pytest.raises(AuthError) as denied:
        await crm.http.post("/anything", json={})
    assert all(s in str(denied.value) for s in lacks)


def test_the_documented_signatures_are_those_the_sandbox_makes():
    vectors = fixture("docs-examples", "webhook_signature_vectors_v1_v2.json")[
        "vectors"
    ]
    first, second = vectors
    assert signature_v1(first["secret"], first["body"].encode()) == first["expected"]
    parts = second["method"], second["uri"], second["body"].encode()
    assert signature_v2(second["secret"], *parts) == second["expected"]


async def test_events_of_every_object_name_the_records_to_look_at(crm):
    portal = 4211337

    def event(kind, **about):
        return {"portalId": portal, "subscriptionType": kind, **about}

    events = [
        event("deal.propertyChange", objectId=1),
        event("line_item.creation", objectId=2),
        event("object.creation", objectTypeId="0-136", objectId=3),
        event("object.propertyChange", objectTypeId="2-77", objectId=4),
        event("product.merge", primaryObjectId=5, mergedObjectIds=[6], newObjectId=7),
        event(
            "deal.associationChange",
            associationType="DEAL_TO_LINE_ITEM",
            fromObjectId=8,
            toObjectId=9,
        ),
        event("conversation.creation", objectId=10),
        event("deal.creation", objectId=11) | {"portalId": 1},
    ]
    request = Request("POST", "https://h/x", {}, orjson.dumps(events), str(portal))
    assert crm.hear(request).look == {
        "deals": ("1", "8"),
        "line_items": ("2", "9"),
        "leads": ("3",),
        "2-77": ("4",),
        "products": ("5", "7", "6"),
    }
