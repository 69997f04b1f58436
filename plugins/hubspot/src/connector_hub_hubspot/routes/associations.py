"""Associations in the three dialects: v3 names them, v4 and the dated version number them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.sandbox import answer
from connector_hub_hubspot.portal.account import Portal
from connector_hub_hubspot.portal.refusals import malformed, missing
from connector_hub_hubspot.routes import Desk, batch, error

_READ, _WRITE = 1_000, 2_000


class AssociationRoutes:
    """The paths of associations and of their labels."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """For every pair of objects."""
        do = self._desk.do
        found = [
            Route(
                "/crm/v3/associations/{type}/{to}/batch/{verb}",
                do(self._named, "objects"),
                methods=["POST"],
            ),
            Route(
                "/crm/v3/associations/{type}/{to}/types",
                do(self._names, "objects"),
                methods=["GET"],
            ),
        ]
        for base in ("/crm/v4/associations", "/crm/associations/2026-03"):
            at = f"{base}/{{type}}/{{to}}"
            found += [
                Route(
                    f"{at}/batch/associate/default",
                    do(self._associate, "objects"),
                    methods=["POST"],
                ),
                Route(
                    f"{at}/batch/labels/archive",
                    do(self._end_labels, "objects"),
                    methods=["POST"],
                ),
                Route(
                    f"{at}/batch/{{verb}}",
                    do(self._batch, "objects"),
                    methods=["POST"],
                ),
            ]
        for at in (
            "/crm/v4/associations/{type}/{to}/labels",
            "/crm/associations/v4/{type}/{to}/labels",
            "/crm/associations/2026-03/{type}/{to}/labels",
        ):
            found.append(Route(at, do(self._labels), methods=["GET", "POST"]))
        for base in ("/crm/v4/objects", "/crm/objects/2026-03"):
            at = f"{base}/{{type}}/{{id}}/associations"
            found += [
                Route(
                    f"{at}/default/{{to}}/{{other}}",
                    do(self._associate_one, "objects"),
                    methods=["PUT"],
                ),
                Route(f"{at}/{{to}}", do(self._associated, "objects"), methods=["GET"]),
                Route(
                    f"{at}/{{to}}/{{other}}",
                    do(self._label_one, "objects"),
                    methods=["PUT"],
                ),
                Route(
                    f"{at}/{{to}}/{{other}}",
                    do(self._end_one, "objects"),
                    methods=["DELETE"],
                ),
            ]
        return found

    @property
    def _portal(self) -> Portal:
        return self._desk.portal

    def _ends(self, request: Request) -> tuple[str, str]:
        at = request.path_params
        return self._portal.of(at["type"]).type, self._portal.of(at["to"]).type

    @staticmethod
    async def _inputs(request: Request, most: int = _WRITE) -> Sequence[Any]:
        inputs: Sequence[Any] = orjson.loads(await request.body())["inputs"]
        if len(inputs) > most:
            raise malformed(f"The maximum number of inputs is {most}")
        return inputs

    async def _batch(self, request: Request) -> Response:
        of, to = self._ends(request)
        verb = request.path_params["verb"]
        inputs = await self._inputs(request, _READ if verb == "read" else _WRITE)
        match verb:
            case "read":
                return self._read(of, to, inputs)
            case "create":
                made = []
                for i in inputs:
                    kinds = {int(t["associationTypeId"]) for t in i["types"]}
                    ends = str(i["from"]["id"]), str(i["to"]["id"])
                    self._portal.associate(of, ends[0], to, ends[1], kinds)
                    made.append(self._labelled(of, ends[0], to, ends[1], kinds))
                return batch(self._portal, made, ok=201)
            case "archive":
                for i in inputs:
                    for other in i["to"]:
                        self._portal.disassociate(
                            of, str(i["from"]["id"]), to, str(other["id"])
                        )
                return self._ended(request)
        raise missing()

    def _ended(self, request: Request) -> Response:
        """Nothing; the dated version answers an empty batch."""
        if "/2026-03/" in request.url.path:
            return batch(self._portal, [])
        return Response(status_code=204)

    def _read(self, of: str, to: str, inputs: Sequence[Any]) -> Response:
        results, none = [], []
        for i in inputs:
            record = str(i["id"])
            listed = self._told(of, record, to)
            if listed:
                results.append({"from": {"id": record}, "to": listed})
            else:
                none.append(record)
        a, b = (self._portal.of(n).kind.singular for n in (of, to))
        errors = [
            {
                **error(
                    missing(f"No {b} is associated with {a} {i}.").body,
                    {"fromObjectId": [i]},
                ),
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
            }
            for i in none
        ]
        return batch(self._portal, results, errors)

    def _told(self, of: str, record: str, to: str) -> list[dict[str, Any]]:
        links = self._portal.links
        return [
            {"toObjectId": int(x), "associationTypes": links.told(of, to, kinds)}
            for x, kinds in links.live(of, record, to).items()
        ]

    async def _associated(self, request: Request) -> Response:
        of, to = self._ends(request)
        record = self._portal.of(of).by(request.path_params["id"]).id
        return answer({"results": self._told(of, record, to)})

    async def _associate(self, request: Request) -> Response:
        of, to = self._ends(request)
        made = []
        for i in await self._inputs(request):
            mine, other = str(i["from"]["id"]), str(i["to"]["id"])
            made += self._plainly(of, mine, to, other)
        return batch(self._portal, made)

    async def _associate_one(self, request: Request) -> Response:
        of, to = self._ends(request)
        at = request.path_params
        return batch(self._portal, self._plainly(of, at["id"], to, at["other"]))

    def _plainly(self, of: str, mine: str, to: str, other: str) -> list[dict[str, Any]]:
        """Associate without a label; told from both ends."""
        self._portal.associate(of, mine, to, other, set())
        links = self._portal.links
        return [
            {
                "from": {"id": x},
                "to": {"id": y},
                "associationSpec": {
                    "associationCategory": links.types(a, b)[kind].category,
                    "associationTypeId": kind,
                },
            }
            for a, x, b, y in ((of, mine, to, other), (to, other, of, mine))
            for kind in (links.plain(a, b),)
        ]

    async def _label_one(self, request: Request) -> Response:
        of, to = self._ends(request)
        at = request.path_params
        listed = orjson.loads(await request.body())
        kinds = {int(t["associationTypeId"]) for t in listed}
        self._portal.associate(of, at["id"], to, at["other"], kinds)
        return answer(self._labelled(of, at["id"], to, at["other"], kinds), 201)

    def _labelled(
        self, of: str, mine: str, to: str, other: str, kinds: Iterable[int]
    ) -> dict[str, Any]:
        labels = [t["label"] for t in self._portal.links.told(of, to, kinds)]
        numbered = "fromObjectTypeId", "toObjectTypeId"
        ids = (self._portal.of(n).kind.id for n in (of, to))
        return {
            **dict(zip(numbered, ids, strict=True)),
            "fromObjectId": int(mine),
            "toObjectId": int(other),
            "labels": [t for t in labels if t],
        }

    async def _end_one(self, request: Request) -> Response:
        of, to = self._ends(request)
        at = request.path_params
        self._portal.disassociate(of, at["id"], to, at["other"])
        return Response(status_code=204)

    async def _end_labels(self, request: Request) -> Response:
        of, to = self._ends(request)
        for i in await self._inputs(request):
            kinds = {int(t["associationTypeId"]) for t in i["types"]}
            mine, other = str(i["from"]["id"]), str(i["to"]["id"])
            self._portal.end_labels(of, mine, to, other, kinds)
        return self._ended(request)

    async def _labels(self, request: Request) -> Response:
        """The labels of associations between two objects, or a new one."""
        of, to = self._ends(request)
        links = self._portal.links
        if request.method == "POST":
            body = orjson.loads(await request.body())
            made = links.labelled(of, to, body["label"])
            kinds = [made, links.types(of, to)[made].back]
            return answer({"results": _both(links.told(of, to, [made]), kinds)})
        return answer({"results": links.told(of, to, links.types(of, to))})

    async def _names(self, request: Request) -> Response:
        of, to = self._ends(request)
        words = self._portal.links.words(of, to)
        rows = [{"id": str(k), "name": w} for k, w in words.items()]
        return answer({"results": rows})

    async def _named(self, request: Request) -> Response:
        """v3, which has a word for each type and answers what was made from both ends."""
        of, to = self._ends(request)
        links = self._portal.links
        inputs = await self._inputs(request)
        words = {w: k for k, w in links.words(of, to).items()}
        made: list[dict[str, Any]] = []
        match request.path_params["verb"]:
            case "create":
                for i in inputs:
                    made += self._by_word(of, to, i, words)
                return batch(self._portal, made, ok=201)
            case "archive":
                for i in inputs:
                    mine, other = str(i["from"]["id"]), str(i["to"]["id"])
                    self._portal.disassociate(of, mine, to, other)
                return Response(status_code=204)
            case "read":
                return self._read_named(of, to, inputs)
        raise missing()

    def _by_word(
        self, of: str, to: str, i: Mapping[str, Any], words: Mapping[str, int]
    ) -> list[dict[str, Any]]:
        if i["type"] not in words:
            raise malformed(f"{i['type']} is not a valid association type")
        mine, other = str(i["from"]["id"]), str(i["to"]["id"])
        kind = words[i["type"]]
        self._portal.associate(of, mine, to, other, {kind})
        links = self._portal.links
        back = links.types(of, to)[kind].back
        return [
            {
                "from": {"id": other},
                "to": {"id": mine},
                "type": links.words(to, of)[back],
            },
            {"from": {"id": mine}, "to": {"id": other}, "type": i["type"]},
        ]

    def _read_named(self, of: str, to: str, inputs: Sequence[Any]) -> Response:
        links = self._portal.links
        words = links.words(of, to)
        results = []
        for i in inputs:
            record = str(i["id"])
            listed = [
                {"id": x, "type": words[k]}
                for x, kinds in links.live(of, record, to).items()
                for k in sorted(kinds)
            ]
            if listed:
                results.append({"from": {"id": record}, "to": listed})
        return batch(self._portal, results)


def _both(told: Sequence[Mapping[str, Any]], kinds: Sequence[int]) -> list[Any]:
    """A new label is answered from both ends."""
    return [{**told[0], "typeId": k} for k in dict.fromkeys(kinds)]
