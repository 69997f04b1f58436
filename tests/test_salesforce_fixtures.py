"""Recorded exchanges of Salesforce, given to the connector again: nothing of them is lost.

The recordings are not ours to ship. They lie beside the checkout, or the tests are skipped.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.adapters.plugins import Plugins
from connector_hub.sdk import (
    Answer,
    Done,
    Exists,
    Kind,
    Missing,
    Record,
    Rejected,
    Request,
    Unavailable,
    Want,
    Write,
)

from .specs import shared


class Env:
    def read(self, _: str) -> str:
        return "token"


class Tape(httpx.AsyncBaseTransport):
    """Answers with what was recorded, one after the other; asks for nothing else are refused."""

    def __init__(self, *responses: dict[str, Any]) -> None:
        self.responses, self.asked = list(responses), []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        told = self.responses.pop(0)
        kept = {"content-type", "sforce-limit-info"}
        headers = {k: v for k, v in told.get("headers", {}).items() if k in kept}
        body = told.get("body")
        content = b"" if body is None else json.dumps(body).encode()
        return httpx.Response(
            told["status"], headers=headers, stream=httpx.ByteStream(content)
        )


def exchanges(*parts: str) -> list[dict[str, Any]]:
    return list(
        json.loads(shared("fixtures", "salesforce", *parts).read_text())["exchanges"]
    )


@pytest.fixture
async def replayed():
    """A connector that is answered with these."""
    kind, clients = Plugins().connector("salesforce"), []

    def made(*responses: dict[str, Any], version: str = "59.0", key: Any = None) -> Any:
        config = kind.Config(
            base_url="https://acme.my.salesforce.com",
            token=SecretStr("env:TOKEN"),
            version=version,
        )
        tape = Tape(*responses)
        client = HttpClient(
            kind,
            config,
            connection="billing",
            secrets=Env(),
            clock=SystemClock(),
            ledger=Ledger(),
            transport=tape,
        )
        clients.append(client)
        connector = kind(config, client, clock=SystemClock(), key_field=key)
        client.attach(connector)
        connector.tape = tape
        return connector

    yield made
    for client in clients:
        await client.aclose()


@pytest.mark.parametrize(
    ("file", "resource"),
    [
        ("accounts.json", "Account"),
        ("contacts.json", "Contact"),
        ("opportunities.json", "Opportunity"),
    ],
)
async def test_every_recorded_page_of_a_query_is_read_whole(
    replayed, file, resource, monkeypatch
):
    # The recordings were shortened: their totals would speak for a job.
    monkeypatch.setattr("connector_hub_salesforce.bulk.LOOKS", 10_000)
    found = [e["response"] for e in exchanges("recorded", file)]
    rows = [r for told in found for r in told["body"]["records"]]
    assert rows
    sf = replayed(*found)
    fields = frozenset(rows[0]) - {"attributes"}
    page = await sf.read(resource, "changed", None, Want(fields))
    records = list(page.records)
    while page.next and sf.tape.responses:
        page = await sf.read(resource, "changed", page.next, Want(fields))
        records += page.records
    assert not sf.tape.responses
    live = [r for r in records if isinstance(r, Record)]
    assert [r.id for r in live] == [r["Id"] for r in rows]
    assert [dict(r.fields) for r in live] == rows
    assert all(
        r.version == row.get("SystemModstamp")
        for r, row in zip(live, rows, strict=True)
    )


@pytest.mark.parametrize("name", ["Account", "Contact", "Opportunity"])
async def test_a_recorded_description_keeps_every_field(replayed, name):
    (told,) = [
        e["response"]
        for e in exchanges("recorded-cumulusci", f"describe_{name}.json")
        if "fields" in (e["response"]["body"] or {})
    ][:1]
    lines = {"status": 200, "body": {"fields": []}}
    described = await replayed(told, lines).describe(name)
    found = {f.path: f for f in described.fields}
    for field in told["body"]["fields"]:
        mine = found[field["name"]]
        assert mine.type == field["type"]
        required = not field["nillable"] and field["createable"]
        assert mine.required == (required and not field["defaultedOnCreate"])
        assert mine.unique == field.get("unique", False)
        assert mine.read_only != (field["createable"] or field["updateable"])
        active = [p["value"] for p in field["picklistValues"] if p.get("active", True)]
        assert list(mine.options) == active
        assert list(mine.refers_to) == field["referenceTo"]
    assert "LastName" not in found or found["LastName"].required


async def test_recorded_collections_give_each_row_its_outcome(replayed):
    (told,) = exchanges("recorded", "update-sobject-collection.json")
    sf = replayed(told["response"])
    write = Write("update", "t", "k", "001xx000003DHP0AAO", {"Name": "x"})
    (found,) = await sf.write(
        "Account", [write], way=sf.resource("Account").way("update")
    )
    assert isinstance(found, Missing)
    for told in exchanges("docs-examples", "collections_upsert.json"):
        rows = told["response"]["body"]
        sf = replayed(told["response"], version="66.0", key="MyExtId__c")
        writes = [
            Write("create", f"t{i}", f"k{i}", fields={"Name": "x"})
            for i in range(len(rows))
        ]
        found = await sf.write(
            "Account", writes, way=sf.resource("Account").way("create")
        )
        assert [isinstance(o, Done) for o in found] == [r["success"] for r in rows]
        assert [o.created for o in found if isinstance(o, Done)] == [
            r.get("created") for r in rows if r["success"]
        ]


async def test_the_recorded_limits_are_learnt_from(replayed):
    (told,) = exchanges("recorded", "get-limits.json")
    sf = replayed(told["response"], version="60.0")
    answer = await sf.http.send("GET", "/services/data/v60.0/limits")
    (left,) = sf.heed(answer).values()
    assert left is not None
    assert "DailyApiRequests" in answer.json()


async def test_who_is_signed_in_is_read_from_the_recorded_answer(replayed):
    (told,) = exchanges("recorded", "get-current-user.json")
    account = await replayed(told["response"]).check()
    assert account.id.startswith("00D")
    assert account.user.startswith("005")


def test_a_documented_change_event_names_its_record(replayed):
    event = json.loads(
        shared("fixtures", "salesforce", "docs-examples", "cdc_create.json").read_text()
    )["event"]
    heard = replayed().hear(Request("POST", "", {}, json.dumps(event).encode()))
    assert heard.look == {"Account": event["ChangeEventHeader"]["recordIds"]}


EXPECTED = {
    "MALFORMED_ID": Kind.RECORD,
    "NOT_FOUND": Kind.CONFIG,
    "INVALID_FIELD": Kind.CONFIG,
    "INVALID_SESSION_ID": Kind.EXPIRED,
    "INVALID_TYPE": Kind.CONFIG,
    "MALFORMED_QUERY": Kind.CONFIG,
    "invalid_grant": Kind.AUTH,
    "REQUEST_LIMIT_EXCEEDED": Kind.QUOTA,
}


@pytest.mark.parametrize(
    "parts",
    [
        ("docs-examples", "error_bodies.json"),
        ("restforce", "auth_error_response.json"),
        ("restforce", "expired_session_response.json"),
        ("restforce", "query_error_response.json"),
        ("restforce", "sobject_describe_error_response.json"),
        ("restforce", "upsert_error_response.json"),
        ("restforce", "write_error_response.json"),
    ],
    ids=lambda p: p[1],
)
def test_recorded_refusals_are_sorted_into_their_fault(replayed, parts):
    sf = replayed(key="Connector_Hub_Id__c")
    for told in exchanges(*parts):
        response = told["response"]
        body = response["body"]
        if body is None or response["status"] < 300:
            continue
        error = body[0] if isinstance(body, list) else body
        if isinstance(error, str):
            continue
        word = error.get("errorCode") or error.get("error")
        answer = Answer(
            response["status"], response["headers"], json.dumps(body).encode()
        )
        fault = sf.fault(answer)
        assert fault is not None, word
        assert fault.code == word
        assert word not in EXPECTED or fault.kind is EXPECTED[word], (word, fault)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("UNABLE_TO_LOCK_ROW", Unavailable),
        ("DUPLICATE_VALUE", Exists),
        ("DUPLICATES_DETECTED", Exists),
        ("ENTITY_IS_DELETED", Missing),
        ("STRING_TOO_LONG", Rejected),
        ("REQUIRED_FIELD_MISSING", Rejected),
        ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", Rejected),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", Rejected),
        ("INSUFFICIENT_ACCESS_OR_READONLY", Rejected),
    ],
)
async def test_a_row_is_sorted_by_its_own_word(replayed, word, kind):
    error = {"statusCode": word, "message": "no", "fields": []}
    rows = [
        {"success": False, "errors": [error]},
        {"id": "001", "success": True, "errors": []},
    ]
    sf = replayed({"status": 200, "body": rows})
    writes = [
        Write("update", f"t{i}", f"k{i}", "001xx000003DHP0AAO", {"Name": "x"})
        for i in (0, 1)
    ]
    found = await sf.write("Account", writes, way=sf.resource("Account").way("update"))
    assert [type(found[0]), type(found[1])] == [kind, Done]
    assert kind is not Rejected or found[0].reason == word
