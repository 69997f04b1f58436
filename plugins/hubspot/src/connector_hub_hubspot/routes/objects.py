"""Records: one by one, listed, searched, in batches (https://developers.hubspot.com/docs/guides/api/crm/using-object-apis)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.sandbox import answer
from connector_hub_hubspot.portal import search
from connector_hub_hubspot.portal.associations import listed
from connector_hub_hubspot.portal.records import Objects, Row
from connector_hub_hubspot.portal.refusals import PORTAL, Refused, malformed, missing
from connector_hub_hubspot.routes import (
    BATCH,
    Desk,
    archived,
    batch,
    error,
    number,
    split,
)

_PAGE, _HISTORIES = 100, 50


class ObjectRoutes:
    """The paths under ``/crm/v3/objects`` and ``/crm/objects/2026-03``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """For every object."""
        found = []
        for base in ("/crm/v3/objects", "/crm/objects/2026-03"):
            at, do = f"{base}/{{type}}", self._desk.do
            found += [
                Route(at, do(self._list, "objects"), methods=["GET"]),
                Route(at, do(self._create, "objects"), methods=["POST"]),
                Route(
                    f"{at}/search",
                    do(self._search, "objects", search=True),
                    methods=["POST"],
                ),
                Route(f"{at}/merge", do(self._merge, "objects"), methods=["POST"]),
                Route(
                    f"{at}/gdpr-delete", do(self._purge, "objects"), methods=["POST"]
                ),
                Route(
                    f"{at}/batch/{{verb}}", do(self._batch, "objects"), methods=["POST"]
                ),
                Route(f"{at}/{{id}}", do(self._get, "objects"), methods=["GET"]),
                Route(f"{at}/{{id}}", do(self._update, "objects"), methods=["PATCH"]),
                Route(f"{at}/{{id}}", do(self._archive, "objects"), methods=["DELETE"]),
            ]
        return found

    def _of(self, request: Request) -> Objects:
        return self._desk.portal.of(request.path_params["type"])

    def shown(
        self, objects: Objects, row: Row, names: Sequence[str], to: Iterable[str] = ()
    ) -> dict[str, Any]:
        """A record as answered: what was asked and is empty is null; unknown names are left out."""
        has, known = row.properties, objects.properties
        found: dict[str, Any] = {
            "id": row.id,
            "properties": {n: has.get(n) for n in names if n in has or n in known},
            "createdAt": row.created,
            "updatedAt": row.updated,
            "archived": row.archived is not None,
            "url": f"https://app.hubspot.com/contacts/{PORTAL}/record/{objects.kind.id}/{row.id}",
        }
        if row.archived is not None:
            found["archivedAt"] = row.archived
        associations = self._associated(objects.type, row.id, to)
        if associations:
            found["associations"] = associations
        return found

    def _associated(self, of: str, record: str, to: Iterable[str]) -> dict[str, Any]:
        links = self._desk.portal.links
        found = {}
        for other in to:
            held = links.live(of, record, other)
            if held:
                word = other.replace("_", " ")  # line_items are "line items" here
                found[word] = listed(held, links.words(of, other))
        return found

    def _wanted(self, request: Request) -> list[str]:
        """The objects whose associations a query asks for."""
        words = split(request.query_params.getlist("associations"))
        return [self._desk.portal.of(w).type for w in words]

    @staticmethod
    def _asked(objects: Objects, names: Iterable[str] | None) -> list[str]:
        kind = objects.kind
        standing = sorted((*kind.defaults, kind.created, kind.stamp, "hs_object_id"))
        return list(dict.fromkeys([*standing, *(names or ())]))

    async def _list(self, request: Request) -> Response:
        objects, q = self._of(request), request.query_params
        limit = number(q, "limit", 10)
        history = split(q.getlist("propertiesWithHistory"))
        most = _HISTORIES if history else _PAGE
        if not 0 < limit <= most:
            raise malformed(f"limit must be at most {most}")
        gone = archived(q)
        if gone:
            self._desk.portal.forget_old(objects)
        order = sorted(objects.gone, key=int) if gone else objects.order()
        rows = objects.gone if gone else objects.rows
        start = _place(order, q.get("after"))
        names = self._asked(objects, split(q.getlist("properties")))
        to = self._wanted(request)
        found = []
        for i in order[start : start + limit]:
            found.append(self.shown(objects, rows[i], names, to))
            if history:
                found[-1]["propertiesWithHistory"] = rows[i].past(history)
        body: dict[str, Any] = {"results": found}
        if start + limit < len(order):
            after = order[start + limit]
            link = f"{self._desk.url}{request.url.path}?after={after}&limit={limit}"
            body["paging"] = {"next": {"after": after, "link": link}}
        return answer(body)

    async def _get(self, request: Request) -> Response:
        objects, q = self._of(request), request.query_params
        record = request.path_params["id"]
        by = q.get("idProperty")
        row = _archived(objects, record) if archived(q) else objects.by(record, by)
        names = self._asked(objects, split(q.getlist("properties")))
        body = self.shown(objects, row, names, self._wanted(request))
        history = split(q.getlist("propertiesWithHistory"))
        if history:
            body["propertiesWithHistory"] = row.past(history)
        return answer(body)

    async def _create(self, request: Request) -> Response:
        objects = self._of(request)
        body = orjson.loads(await request.body())
        row = self._desk.portal.make(
            objects, body["properties"], body.get("associations") or ()
        )
        return answer(self.shown(objects, row, list(row.properties)), 201)

    async def _update(self, request: Request) -> Response:
        objects = self._of(request)
        row = objects.by(
            request.path_params["id"], request.query_params.get("idProperty")
        )
        body = orjson.loads(await request.body())
        row = self._desk.portal.change(objects, row, body["properties"])
        return answer(
            self.shown(objects, row, self._asked(objects, body["properties"]))
        )

    async def _archive(self, request: Request) -> Response:
        self._desk.portal.archive(self._of(request), request.path_params["id"])
        return Response(status_code=204)

    async def _purge(self, request: Request) -> Response:
        """For good; of a contact by its id or its e-mail."""
        objects = self._of(request)
        body = orjson.loads(await request.body())
        row = objects.by(str(body["objectId"]), body.get("idProperty"))
        self._desk.portal.archive(objects, row.id)
        objects.gone.pop(row.id, None)
        return Response(status_code=204)

    async def _merge(self, request: Request) -> Response:
        objects = self._of(request)
        body = orjson.loads(await request.body())
        first = objects.by(str(body["primaryObjectId"]))
        second = objects.by(str(body["objectIdToMerge"]))
        row = self._desk.portal.merge(
            objects, first, second, anew=self._desk.merges_anew
        )
        return answer(self.shown(objects, row, list(row.properties)))

    async def _search(self, request: Request) -> Response:
        objects, portal = self._of(request), self._desk.portal
        raw = await request.body()
        if len(raw.decode()) > search.BODY:
            raise malformed(
                f"The request body must not exceed {search.BODY} characters"
            )
        body = orjson.loads(raw)
        limit, after = int(body.get("limit") or 10), int(body.get("after") or 0)
        if not 0 < limit <= search.PAGE:
            raise malformed(f"limit must be at most {search.PAGE}")
        if after + limit > search.CAP:
            raise malformed(f"The search is limited to {search.CAP} results")
        groups = list(body.get("filterGroups") or [])
        if body.get("filters"):  # one group, in short
            groups.append({"filters": body["filters"]})
        index = objects.index
        index.catch_up(self._desk.portal.clock.time(), objects.rows)
        found = index.find(
            groups,
            body.get("sorts") or [],
            objects.properties,
            lambda i, to, other: other in portal.links.live(objects.type, i, to),
        )
        names = self._asked(objects, body.get("properties"))
        rows = (Row(i, *index.rows[i]) for i in found[after : after + limit])
        answered: dict[str, Any] = {
            "total": len(found),
            "results": [self.shown(objects, row, names) for row in rows],
        }
        if after + limit < len(found):
            answered["paging"] = {"next": {"after": str(after + limit)}}
        return answer(answered)

    async def _batch(self, request: Request) -> Response:
        objects, verb = self._of(request), request.path_params["verb"]
        body = orjson.loads(await request.body())
        inputs = body["inputs"]
        if not inputs:
            raise malformed("inputs must not be empty")
        if len(inputs) > BATCH:
            raise malformed(
                f"The maximum number of inputs is {BATCH}; got {len(inputs)}"
            )
        match verb:
            case "read":
                gone = archived(request.query_params)
                return self._read(objects, body, archived=gone)
            case "archive":
                for i in inputs:
                    self._desk.portal.archive(objects, str(i["id"]))
                return Response(status_code=204)
            case "create" | "update" | "upsert":
                return self._write(objects, verb, inputs)
        raise missing()

    def _read(
        self, objects: Objects, body: Mapping[str, Any], *, archived: bool
    ) -> Response:
        """Live records, or with ``archived`` archived ones only."""
        by = body.get("idProperty")
        if by and by != "hs_object_id":
            objects.is_unique(by)
        names = self._asked(objects, body.get("properties"))
        historic = [
            n
            for n in body.get("propertiesWithHistory") or ()
            if n in objects.properties
        ]
        if historic and len(body["inputs"]) > _HISTORIES:
            raise malformed(
                f"The maximum number of inputs with history is {_HISTORIES}"
            )
        found, absent = {}, []
        for i in body["inputs"]:
            record = str(i["id"])
            try:
                row = _archived(objects, record) if archived else objects.by(record, by)
            except Refused:
                absent.append(record)
                continue
            found[row.id] = self.shown(objects, row, names)
            if historic:
                found[row.id]["propertiesWithHistory"] = row.past(historic)
        return batch(self._desk.portal, list(found.values()), _unknown(absent))

    def _write(
        self, objects: Objects, verb: str, inputs: Sequence[Mapping[str, Any]]
    ) -> Response:
        """Without trace ids one bad input fails the call; with them it is an error of its own in a 207."""
        _no_duplicates(inputs)
        traced = all(i.get("objectWriteTraceId") for i in inputs)
        if not traced:
            objects.no_twins(inputs)
            for i in inputs:
                self._try(objects, verb, i)
        errors: list[Any] = []
        results: list[dict[str, Any]] = []
        for i in inputs:
            try:
                row, new = self._write_one(objects, verb, i)
            except Refused as e:
                if not traced:
                    raise
                traces = {"objectWriteTraceId": [i["objectWriteTraceId"]]}
                errors.append(error(e.body, e.body.get("context", {}) | traces))
                continue
            names = (
                list(row.properties) if new else self._asked(objects, i["properties"])
            )
            shown = self.shown(objects, row, names)
            if verb == "upsert":
                shown["new"] = new
            if traced and self._desk.echoes_traces:
                shown["objectWriteTraceId"] = i["objectWriteTraceId"]
            results.append(shown)
        self._desk.shuffle.shuffle(results)
        ok = 201 if verb == "create" else 200
        return batch(self._desk.portal, results, errors, ok=ok)

    def _try(self, objects: Objects, verb: str, i: Mapping[str, Any]) -> None:
        record, properties = None, i["properties"]
        if verb == "update":
            record = _exactly(objects, i).id
        elif verb == "upsert":
            record = _known(objects, i)
            properties = _with_key(i)
        self._desk.portal.would_take(objects, record, properties)

    def _write_one(
        self, objects: Objects, verb: str, i: Mapping[str, Any]
    ) -> tuple[Row, bool]:
        portal, properties = self._desk.portal, i["properties"]
        if verb == "create":
            links = i.get("associations") or ()
            return portal.make(objects, properties, links), True
        if verb == "update":
            return portal.change(objects, _exactly(objects, i), properties), False
        record = _known(objects, i)
        if record is not None:
            return portal.change(objects, objects.rows[record], properties), False
        return portal.make(objects, _with_key(i)), True


def _with_key(i: Mapping[str, Any]) -> dict[str, Any]:
    return {**i["properties"], i["idProperty"]: i["id"]}


def _no_duplicates(inputs: Sequence[Mapping[str, Any]]) -> None:
    ids = [
        (i.get("idProperty"), str(i["id"])) for i in inputs if i.get("id") is not None
    ]
    if len(set(ids)) != len(ids):
        raise malformed("Duplicate IDs found in batch input: values must be unique")


def _exactly(objects: Objects, i: Mapping[str, Any]) -> Row:
    """Batch update knows no merged ids."""
    value, by = str(i["id"]), i.get("idProperty")
    row = objects.by(value, by)
    if not by and row.id != value:
        raise missing()
    return row


def _known(objects: Objects, i: Mapping[str, Any]) -> str | None:
    by = i.get("idProperty") or "hs_object_id"
    if by == "hs_object_id":
        return objects.by(str(i["id"])).id
    return objects.holder(by, str(i["id"]))


def _archived(objects: Objects, record: str) -> Row:
    row = objects.gone.get(record)
    if row is None:
        raise missing()
    return row


def _unknown(ids: Sequence[str]) -> list[Any]:
    if not ids:
        return []
    said = (
        "Could not get some objects, they may be deleted or not exist. "
        "Check that ids are valid."
    )
    return [error(missing(said).body, {"ids": ids})]


def _place(order: Sequence[str], after: str | None) -> int:
    """The first place at or behind an id: ``after`` is the id of the next record."""
    if not after:
        return 0
    if not after.isdigit():
        raise malformed("Invalid after")
    low, high, wanted = 0, len(order), int(after)
    while low < high:
        middle = (low + high) // 2
        if int(order[middle]) < wanted:
            low = middle + 1
        else:
            high = middle
    return low
