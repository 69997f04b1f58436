"""That the harness of the vendors' OpenAPI documents tells what is wrong."""

import json
import re

import httpx
import pytest

from .specs import Specs, Watched

RECORD = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "note": {"type": "string", "nullable": True},
    },
}
DOCUMENT = {
    "openapi": "3.0.1",
    "servers": [
        {"url": "https://api.example/{v}", "variables": {"v": {"default": "v8"}}}
    ],
    "paths": {
        "/things/{id}": {
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer"}},
                    {"$ref": "#/components/parameters/missing"},
                    {"$ref": "https://elsewhere.example/v8/common.json#/parameters/by"},
                ],
                "responses": {
                    "200": {"$ref": "#/components/responses/thing"},
                    "default": {"description": "an error"},
                },
            },
            "put": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": RECORD}},
                },
                "responses": {"204": {"description": "done"}},
            },
        },
        "/things/all": {"get": {"responses": {"204": {"description": "none"}}}},
    },
    "components": {
        "responses": {
            "thing": {
                "description": "",
                "content": {"application/json": {"schema": RECORD}},
            }
        }
    },
}
COMMON = {
    "openapi": "3.0.1",
    "paths": {},
    "parameters": {"by": {"name": "by", "in": "query", "schema": {"enum": ["id"]}}},
}


@pytest.fixture
def specs(tmp_path):
    (tmp_path / "things.json").write_text(json.dumps(DOCUMENT))
    (tmp_path / "common.json").write_text(json.dumps(COMMON))
    return Specs(tmp_path, silent=(r"GET /v8/unwritten\b",))


async def told(specs, method, path, answer, **more):
    wire = Watched(httpx.MockTransport(lambda _: answer), specs)
    async with httpx.AsyncClient(  # noqa: TID251 - nothing of the hub is in it
        transport=wire, base_url="https://x.example/v8"
    ) as client:
        await client.request(method, path, **more)
    return wire


async def test_an_exchange_as_the_document_has_it_is_counted_and_not_told(specs):
    good = httpx.Response(200, json={"id": "7", "note": None})
    wire = await told(
        specs, "GET", "/things/7", good, params={"limit": "5", "by": "id"}
    )
    assert wire.findings == []
    assert wire.checked == {"GET /v8/things/{id} 200": 1}


@pytest.mark.parametrize(
    ("answer", "params", "word"),
    [
        (httpx.Response(200, json={"id": 7}), {}, "7 is not of type 'string'"),
        (httpx.Response(200, json={}), {}, "'id' is a required property"),
        (httpx.Response(200, text="<html>"), {}, "text/plain"),
        (httpx.Response(200), {}, "an empty answer"),
        (httpx.Response(202, json={"id": "7"}), {}, "status 202"),
        (httpx.Response(404, json={}), {"limit": "many"}, "query limit"),
        (httpx.Response(404, json={}), {"by": "name"}, "query by"),
        (httpx.Response(404, json={}), {"sort": "x"}, "no such parameter"),
    ],
)
async def test_what_an_answer_or_a_query_breaks_is_told(specs, answer, params, word):
    wire = await told(specs, "GET", "/things/7", answer, params=params)
    (finding,) = wire.findings
    assert word in finding


async def test_what_a_body_breaks_is_told(specs):
    done = httpx.Response(204)
    assert (
        await told(specs, "PUT", "/things/7", done, json={"id": "7"})
    ).findings == []
    for body, word in (({"json": {"id": 7}}, "body id"), ({}, "body: missing")):
        (finding,) = (await told(specs, "PUT", "/things/7", done, **body)).findings
        assert word in finding


async def test_the_most_exact_path_speaks(specs):
    wire = await told(specs, "GET", "/things/all", httpx.Response(204))
    assert wire.checked == {"GET /v8/things/all 204": 1}


async def test_a_path_no_document_has_is_told_unless_it_is_known_to_be_unwritten(specs):
    wire = await told(specs, "GET", "/unwritten", httpx.Response(200))
    assert (wire.findings, sum(wire.unknown.values())) == ([], 1)
    (finding,) = (await told(specs, "GET", "/other", httpx.Response(200))).findings
    assert "no document speaks of it" in finding


async def test_known_contradictions_are_not_told(specs):
    specs.allowed.append(re.compile(r"answer \.: 'id'"))
    wire = await told(specs, "GET", "/things/7", httpx.Response(200, json={}))
    assert wire.findings == []
