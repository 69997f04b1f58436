"""Calls of Zoho's REST API that reading and writing are made of, each at its price in credits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from connector_hub.sdk import Answer, Http
from connector_hub_zoho import query

PAGE, ROWS, IDS, FIELDS = 200, 100, 100, 50
HEAVY = 10
"""Heavy calls in flight: queries, searches, conversions, writes of more than ten rows."""
SMALL = 10
"""Rows of a write that is no heavy call, and that cost one credit."""


class Api:
    """Zoho CRM behind one connection."""

    def __init__(self, http: Http, version: str) -> None:
        self.http = http
        self._version = version
        self._heavy = asyncio.Semaphore(HEAVY)
        self._fields: dict[str, list[dict[str, Any]]] = {}

    def path(self, *parts: str) -> str:
        """A path of the API's version."""
        return "/".join(("/crm", self._version, *parts))

    def bulk_path(self, *parts: str) -> str:
        """The same of its bulk part."""
        return "/".join(("/crm/bulk", self._version, *parts))

    @asynccontextmanager
    async def heavy(self, rows: int = SMALL + 1) -> AsyncIterator[None]:
        """Round a call about so many rows: few heavy ones at a time."""
        if rows <= SMALL:
            yield
            return
        async with self._heavy:
            yield

    async def query(self, text: str, limit: int) -> list[dict[str, Any]]:
        """Rows of a query of at most ``limit`` rows."""
        async with self.heavy():
            answer = await self.http.send(
                "POST",
                self.path("coql"),
                json={"select_query": text},
                cost=query.price(limit),
                repeatable=True,
                want_json=True,
            )
        return list(answer.json()["data"]) if answer.body else []

    async def query_all(
        self, names: Sequence[str], module: str, where: str
    ) -> list[dict[str, Any]]:
        """All rows that a condition holds for, in the order of their ids; begun with a small page."""
        found: list[dict[str, Any]] = []
        limit, last = PAGE, ""
        while True:
            after = [f"id > {query.quoted(last)}"] if last else []
            text = query.select(
                names, module, [where, *after], order="id asc", limit=limit
            )
            rows = await self.query(text, limit)
            found += rows
            if len(rows) < limit:
                return found
            limit, last = query.MOST, rows[-1]["id"]

    async def by_ids(
        self, resource: str, ids: Iterable[str], names: Sequence[str]
    ) -> list[dict[str, Any]]:
        """At most a hundred records, of at most fifty fields."""
        sound = [i for i in ids if i.isdigit()]
        if not sound:
            return []
        params = {
            "ids": ",".join(sound),
            "fields": ",".join(names),
            "per_page": str(PAGE),
        }
        if resource == "Leads":
            params["converted"] = "both"
        body = await self.http.get(self.path(resource), params=params)
        return list(body["data"]) if body else []

    async def fill(
        self, resource: str, rows: Sequence[dict[str, Any]], names: Sequence[str]
    ) -> None:
        """Put more fields into rows."""
        by_id = {row["id"]: row for row in rows}
        ids = list(by_id)
        for n in range(0, len(names), FIELDS - 1):
            part = ["id", *names[n : n + FIELDS - 1]]
            for i in range(0, len(ids), IDS):
                for found in await self.by_ids(resource, ids[i : i + IDS], part):
                    by_id[found["id"]].update(found)

    async def count(self, resource: str) -> int:
        """How many records a module has."""
        body = await self.http.get(self.path(resource, "actions", "count"))
        return int(body["count"])

    async def fields(
        self, resource: str, *, anew: bool = False
    ) -> list[dict[str, Any]]:
        """A module's fields as Zoho describes them."""
        if anew or resource not in self._fields:
            body = await self.http.get(
                self.path("settings", "fields"), params={"module": resource}
            )
            self._fields[resource] = body["fields"]
        return self._fields[resource]

    async def types(self, resource: str) -> Mapping[str, str]:
        """Field types by name."""
        described = await self.fields(resource)
        return {f["api_name"]: str(f["data_type"]) for f in described}

    async def required(self, resource: str) -> set[str]:
        """The fields that each layout of a module requires."""
        answer: Answer = await self.http.send(
            "GET",
            self.path("settings", "layouts"),
            params={"module": resource},
            want_json=True,
        )
        if not answer.body:
            return set()
        layouts = [
            {
                f["api_name"]
                for section in one["sections"]
                for f in section["fields"]
                if f.get("required")
            }
            for one in answer.json()["layouts"]
            if one.get("status") != "inactive"
        ]
        return set.intersection(*layouts) if layouts else set()
