"""What an account is made of: its properties, pipelines, objects, owners and details."""

from __future__ import annotations

import re
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.sandbox import answer
from connector_hub_hubspot.portal import owners
from connector_hub_hubspot.portal.pipelines import Pipeline, Stage
from connector_hub_hubspot.portal.refusals import Refused, malformed, missing
from connector_hub_hubspot.portal.schemas import Schema, defined
from connector_hub_hubspot.routes import Desk, archived, number

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class SettingRoutes:
    """The paths of what is set up rather than kept."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """All of them, numbered and dated."""
        do = self._desk.do
        found = [Route("/account-info/v3/details", do(self._account), methods=["GET"])]
        for at in ("/crm/v3/owners", "/crm/owners/2026-03"):
            found += [
                Route(at, do(self._owners, "owners"), methods=["GET"]),
                Route(f"{at}/{{id}}", do(self._owner, "owners"), methods=["GET"]),
            ]
        for base in ("/crm/v3/properties", "/crm/properties/2026-03"):
            at = f"{base}/{{type}}"
            found += [
                Route(at, do(self._properties, "schemas"), methods=["GET", "POST"]),
                Route(
                    f"{at}/{{property}}",
                    do(self._property, "schemas"),
                    methods=["GET", "DELETE"],
                ),
            ]
        for base in ("/crm/v3/pipelines", "/crm/pipelines/2026-03"):
            at = f"{base}/{{type}}"
            found += [
                Route(at, do(self._pipelines), methods=["GET", "POST"]),
                Route(f"{at}/{{id}}", do(self._pipeline), methods=["GET"]),
                Route(f"{at}/{{id}}/stages", do(self._stages), methods=["GET"]),
            ]
        for at in (
            "/crm/v3/schemas",
            "/crm-object-schemas/v3/schemas",
            "/crm-object-schemas/2026-03/schemas",
        ):
            found += [
                Route(at, do(self._schemas), methods=["GET", "POST"]),
                Route(f"{at}/{{type}}", do(self._schema), methods=["GET", "DELETE"]),
            ]
        return found

    async def _account(self, _: Request) -> Response:
        return answer(
            {
                "portalId": self._desk.portal_id,
                "accountType": "DEVELOPER_TEST",
                "timeZone": "Asia/Jakarta",
                "companyCurrency": "IDR",
                "additionalCurrencies": [],
                "utcOffset": "+07:00",
                "utcOffsetMilliseconds": 25_200_000,
                "uiDomain": "app.hubspot.com",
                "dataHostingLocation": "na1",
            }
        )

    async def _owners(self, request: Request) -> Response:
        asked = request.query_params
        return answer(
            owners.listed(
                archived=archived(asked),
                after=str(number(asked, "after", 0)),
                limit=number(asked, "limit", 100),
                email=asked.get("email"),
            )
        )

    async def _owner(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        for o in owners.OWNERS:
            if o[0] == wanted:
                return answer(owners.row(o))
        raise missing(f"Owner {wanted} does not exist")

    async def _properties(self, request: Request) -> Response:
        objects = self._desk.portal.of(request.path_params["type"])
        if request.method == "GET":
            return answer({"results": [p.row() for p in objects.properties.values()]})
        body = orjson.loads(await request.body())
        name = body["name"]
        if name in objects.properties:
            raise Refused(
                409,
                "OBJECT_ALREADY_EXISTS",
                f"A property named '{name}' already exists.",
            )
        if not _NAME.fullmatch(name):
            raise malformed(f"Property name '{name}' is not valid.")
        made = defined(body)
        made.group = made.group or objects.kind.group
        objects.define(made)
        return answer(made.row(), 201)

    async def _property(self, request: Request) -> Response:
        objects = self._desk.portal.of(request.path_params["type"])
        known = objects.properties.get(request.path_params["property"])
        if known is None:
            name = request.path_params["property"]
            raise missing(f"Property {name} does not exist")
        if request.method == "GET":
            return answer(known.row())
        if known.ours:
            raise malformed(f"Property {known.name} is defined by HubSpot")
        objects.undefine(known.name)
        return Response(status_code=204)

    def _listed(self, request: Request) -> tuple[Pipeline, ...]:
        name = self._desk.portal.of(request.path_params["type"]).type
        return self._desk.portal.pipelines.get(name, ())

    async def _pipelines(self, request: Request) -> Response:
        listed = self._listed(request)
        if request.method == "GET":
            return answer({"results": [p.row(i) for i, p in enumerate(listed)]})
        objects = self._desk.portal.of(request.path_params["type"])
        body = orjson.loads(await request.body())
        made = _pipeline(90_000_000 + 100 * len(listed), body)
        self._desk.portal.pipelined(objects, (*listed, made))
        return answer(made.row(len(listed)), 201)

    async def _pipeline(self, request: Request) -> Response:
        return answer(self._one(request).row())

    async def _stages(self, request: Request) -> Response:
        stages = self._one(request).stages
        return answer({"results": [s.row(i) for i, s in enumerate(stages)]})

    def _one(self, request: Request) -> Pipeline:
        wanted = request.path_params["id"]
        found = next((p for p in self._listed(request) if p.id == wanted), None)
        if found is None:
            raise missing(f"Pipeline {wanted} does not exist")
        return found

    async def _schemas(self, request: Request) -> Response:
        portal = self._desk.portal
        if request.method == "GET":
            return answer({"results": [self._told(s) for s in portal.schemas.values()]})
        body = orjson.loads(await request.body())
        made = Schema.of(52_640_100 + len(portal.schemas), body)
        portal.open(made)
        return answer(self._told(made), 201)

    async def _schema(self, request: Request) -> Response:
        portal, word = self._desk.portal, request.path_params["type"]
        known = next((s for s in portal.schemas.values() if s.is_called(word)), None)
        if known is None:
            raise missing(f"Unable to infer object type from: {word}")
        if request.method == "GET":
            return answer(self._told(known))
        portal.close(known)
        return Response(status_code=204)

    def _told(self, schema: Schema) -> dict[str, Any]:
        portal = self._desk.portal
        types = [
            {
                "id": str(t.number),
                "fromObjectTypeId": schema.id,
                "toObjectTypeId": portal.of(to).kind.id,
                "name": f"{schema.name}_to_{portal.of(to).kind.singular}",
                "cardinality": "ONE_TO_MANY",
                "inverseCardinality": "ONE_TO_MANY",
            }
            for to in portal.links.objects(schema.id)
            for t in portal.links.types(schema.id, to).values()
        ]
        return schema.row(portal.objects[schema.id].properties.values(), types)


def _pipeline(first: int, body: dict[str, Any]) -> Pipeline:
    stages = tuple(
        Stage(str(first + i), s["label"], tuple(s.get("metadata", {}).items()))
        for i, s in enumerate(body.get("stages", ()), 1)
    )
    return Pipeline(str(first), body["label"], stages)
