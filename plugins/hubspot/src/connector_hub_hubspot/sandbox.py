"""A HubSpot account in memory, served as the vendor's documents say; doubts stand in the plugin's README."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from connector_hub.testing.people import UNKNOWN_STAGE
from connector_hub.testing.sandbox import Sandbox, Windows, answer, iso
from connector_hub_hubspot import accounts
from connector_hub_hubspot.accounts import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    Accounts,
)
from connector_hub_hubspot.portal.account import Portal
from connector_hub_hubspot.portal.born import Born
from connector_hub_hubspot.portal.events import Events
from connector_hub_hubspot.portal.properties import Property
from connector_hub_hubspot.portal.records import Objects
from connector_hub_hubspot.portal.refusals import PORTAL, Refused, malformed
from connector_hub_hubspot.routes import Handler
from connector_hub_hubspot.routes.associations import AssociationRoutes
from connector_hub_hubspot.routes.objects import ObjectRoutes
from connector_hub_hubspot.routes.older import OlderRoutes
from connector_hub_hubspot.routes.settings import SettingRoutes

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PORTAL", "REFRESH_TOKEN", "HubSpotSandbox"]
_PUBLIC_BURST = 110
_BURST, _BURST_SECONDS = 100, 10.0
_DAILY = 250_000
_ZONE = ZoneInfo("Asia/Jakarta")
_SEARCHES, _SEARCH_SECONDS = 5, 1.0
_URL = 8_192
"""Characters of an address."""


class HubSpotSandbox(Sandbox):
    """HubSpot's CRM objects, associations, properties, pipelines, schemas and owners, v3, v4 and 2026-03.

    ``portal_id`` is the account's own.
    ``search_lag`` is how many seconds the search index is behind, ``daily`` how many calls a day there are.
    ``merges_anew``: the survivor of a merge gets an id of its own, as HubSpot's may.
    ``echoes_traces``: rows of a batch's answer hold their trace id; the documents show them without.
    ``sales``: how many deals to be born with, and products, lines, orders, tasks and leads with them.
    ``granted``: the scopes of the private app; None is all there are.
    ``retired``: versions of the API that are switched off; what HubSpot answers then is HTML.
    """

    name: ClassVar[str] = "hubspot"
    access_token = "pat-na1-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"  # noqa: S105 - of the sandbox
    portal_id = PORTAL
    search_lag = 0.2
    daily = _DAILY
    merges_anew = False
    echoes_traces = True
    sales = 0
    granted: frozenset[str] | None = None
    retired: frozenset[str] = frozenset()

    def routes(self) -> Sequence[Route]:
        """The vendor's paths, numbered and dated."""
        self._records_of = ObjectRoutes(self)
        return [
            *accounts.routes(lambda: self.accounts),
            *AssociationRoutes(self).routes(),
            *self._records_of.routes(),
            *SettingRoutes(self).routes(),
            *OlderRoutes(self).routes(),
        ]

    def seed_data(self) -> None:
        """Companies first, then people at work in them."""
        self._events = Events(self.clock, CLIENT_SECRET, self.portal_id)
        self._windows = Windows(self.clock)
        self.accounts = Accounts(self.clock, self.portal_id)
        self.shuffle = random.Random(self.seed)  # noqa: S311 - an order, not a secret
        self._today = 0
        self._day = self.clock.now().astimezone(_ZONE).date()
        self.portal = Portal(
            self.clock,
            search_lag=self.search_lag,
            extra_stages=(UNKNOWN_STAGE,) if self.messy else (),
            events=self._events,
        )
        if self.prepared:
            for objects in self.portal.objects.values():
                objects.define(_key(objects.kind.group))
        born = Born(self.portal, self.seed)
        born.people(self.companies, self.records, messy=self.messy)
        born.sales(self.sales)
        born.settle()

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection."""
        return {
            "connector": "hubspot",
            "base_url": self.url,
            "token": "env:HUBSPOT_TOKEN",
        }

    def env(self) -> dict[str, str]:
        """The token's variable."""
        return {"HUBSPOT_TOKEN": self.access_token}

    def _known(self, resource: str) -> Objects:
        try:
            return self.portal.of(resource)
        except Refused:
            raise KeyError(resource) from None

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Archive a property, its values with it, or change its definition. None is ever required."""
        objects = self._known(resource)
        known = objects.properties[field]
        if change.get("gone"):
            objects.undefine(field)
            return
        known.type = change.get("type", known.type)
        known.read_only = change.get("read_only", known.read_only)
        if "options" in change:
            known.options, known.labels = tuple(change["options"]), ()

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Records with every property that has a value, and their associations."""
        objects = self._known(resource)
        return [self._whole(objects, i) for i in objects.rows]

    def _whole(self, objects: Objects, record: str) -> dict[str, Any]:
        names, to = list(objects.properties), self.portal.links.objects(objects.type)
        row = self._records_of.shown(objects, objects.rows[record], names, to)
        row.setdefault("associations", {})
        return row

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit in HubSpot's own pages: forward and backward, but not past the rules of a field.

        ``archived`` archives, or restores where it is false. ``associations`` are made as
        ``{"to": "companies", "id": ..., "labels": ["Primary"]}``, and ended with ``"ended": True``.
        """
        objects = self._known(resource)
        record = None if body.get("id") is None else str(body["id"])
        try:
            if body.get("archived") is False:
                restored = self.portal.restore(objects, str(record))
                return self._whole(objects, restored.id)
            if record is not None and record not in objects.rows:
                raise KeyError(f"{resource} {record}")
            if body.get("archived"):
                self.portal.archive(objects, str(record))
                return {"id": record, "archived": True}
            return self._edited(objects, record, body)
        except Refused as e:
            raise ValueError(e.body["message"]) from None

    def _edited(
        self, objects: Objects, record: str | None, body: Mapping[str, Any]
    ) -> dict[str, Any]:
        system = objects.system()
        given = body.get("properties", {})
        fields = {k: v for k, v in given.items() if k not in system}
        objects.check(fields, record)
        if record is None or fields or "associations" not in body:
            record = self.portal.put(objects, record, fields, self.portal.now()).id
        for a in body.get("associations", ()):
            self._associated(objects.type, record, a)
        return self._whole(objects, record)

    def _associated(self, of: str, record: str, a: Mapping[str, Any]) -> None:
        to, other = self.portal.of(a["to"]).type, str(a["id"])
        if a.get("ended"):
            self.portal.disassociate(of, record, to, other)
            return
        by_label = self.portal.links.by_label
        kinds = {by_label(of, to, label) for label in a.get("labels", ())}
        self.portal.associate(of, record, to, other, kinds)

    def import_rows(
        self,
        resource: str,
        changes: Mapping[str, Mapping[str, Any]],
        *,
        within_ms: int = 0,
    ) -> None:
        """Many records changed at one instant, or spread over so many milliseconds, as imports do it."""
        objects, start = self._known(resource), self.clock.now()
        for n, (record, fields) in enumerate(changes.items()):
            objects.check(fields, record)
            late = timedelta(milliseconds=within_ms * n // len(changes))
            self.portal.put(objects, record, fields, iso(start + late))

    def label(self, of: str, to: str, name: str) -> int:
        """A label of the account's own for associations, both ways; its type id from ``of`` to ``to``."""
        return self.portal.links.labelled(of, to, name)

    async def send_webhooks(
        self,
        url: str,
        *,
        double: bool = False,
        shuffle: bool = False,
        late_s: float = 0.0,
    ) -> list[int]:
        """Tell an address what has happened since the last time; the first time it is only signed up.

        ``double`` sends each message twice, ``shuffle`` in another order; ``late_s`` seconds go by before.
        """
        await asyncio.sleep(late_s)
        order = self.shuffle if shuffle else None
        return await self._events.sent(url, self.deliver, order, double=double)

    def do(self, handler: Handler, needs: str = "", *, search: bool = False) -> Handler:
        """Token, limits, scopes, refusals: what every call meets."""

        async def call(request: Request) -> Response:
            if self.retired & {*request.url.path.split("/")}:
                return HTMLResponse(_NOTHING_HERE, 404)
            if len(str(request.url)) > _URL:
                return HTMLResponse(_TOO_LONG, 414)
            try:
                public = self._authorize(request)
                headers = self._limit(search=search, public=public)
                if needs and not public:
                    self._check_scopes(request, needs)
                response = await handler(request)
            except Refused as e:
                return answer(e.body, e.status)
            except (
                orjson.JSONDecodeError,
                KeyError,
                TypeError,
                ValueError,
                AttributeError,
            ) as e:
                said = f"Invalid input JSON: {type(e).__name__}"
                return answer(malformed(said).body, 400)
            response.headers["x-hubspot-correlation-id"] = str(uuid.uuid4())
            for k, v in headers.items():
                response.headers[k] = v
            return response

        return call

    def _check_scopes(self, request: Request, needs: str) -> None:
        """Whether the private app may do this.

        Raises:
            Refused: it names the scopes that are lacking.
        """
        if self.granted is None:
            return
        lacks = sorted({*self._scopes(request, needs)} - self.granted)
        if lacks:
            said = "One or more of the following scopes are required."
            raise Refused(
                403,
                "MISSING_SCOPES",
                "This app hasn't been granted all required scopes to make this call. "
                "Read more about required scopes here: https://developers.hubspot.com/scopes.",
                errors=[
                    {"message": said, "context": {"requiredGranularScopes": lacks}}
                ],
                links={"scopes": "https://developers.hubspot.com/scopes"},
            )

    def _scopes(self, request: Request, needs: str) -> Iterable[str]:
        if needs == "owners":
            yield "crm.objects.owners.read"
            return
        reads = request.method == "GET" or request.url.path.endswith(_READS)
        for end in ("type", "to"):
            word = request.path_params.get(end)
            if word is not None:
                name = _SCOPED.get(self.portal.of(word).type, "custom")
                yield f"crm.{needs}.{name}.{'read' if reads else 'write'}"

    def _authorize(self, request: Request) -> bool:
        """Whether the token is a public app's; it may have died."""
        _, _, token = request.headers.get("authorization", "").partition("Bearer ")
        if token == self.access_token:
            return False
        if token not in self.accounts.deaths:
            raise Refused(
                401,
                "INVALID_AUTHENTICATION",
                "Authentication credentials not found. This API supports OAuth 2.0 authentication and "
                "you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
            )
        late = self.clock.time() - self.accounts.deaths[token]
        if late >= 0:
            said = f"The OAuth token used to make this call expired {int(late)} second(s) ago."
            raise Refused(401, "EXPIRED_AUTHENTICATION", said)
        return True

    def _limit(self, *, search: bool, public: bool) -> dict[str, str]:
        """Ten seconds and a day for all calls but the search, which has a second of its own.

        The day is that of the account's zone; a public app has none.
        """
        if search:
            if self._windows.admit("search", _SEARCHES, _SEARCH_SECONDS) < 0:
                raise self._throttled("secondly", "SECONDLY")
            return {}
        most = _PUBLIC_BURST if public else _BURST
        left = self._windows.admit("burst", most, _BURST_SECONDS)
        if left < 0:
            raise self._throttled("ten_secondly_rolling", "TEN_SECONDLY_ROLLING")
        told = {
            "X-HubSpot-RateLimit-Interval-Milliseconds": str(
                int(_BURST_SECONDS * 1000)
            ),
            "X-HubSpot-RateLimit-Max": str(most),
            "X-HubSpot-RateLimit-Remaining": str(left),
        }
        if public:
            return told
        day = self.clock.now().astimezone(_ZONE).date()
        if day != self._day:
            self._day, self._today = day, 0
        if self._today >= self.daily:
            raise self._throttled("daily", "DAILY")
        self._today += 1
        return told | {
            "X-HubSpot-RateLimit-Daily": str(self.daily),
            "X-HubSpot-RateLimit-Daily-Remaining": str(self.daily - self._today),
        }

    @staticmethod
    def _throttled(word: str, policy: str) -> Refused:
        refused = Refused(429, "RATE_LIMITS", f"You have reached your {word} limit.")
        refused.body |= {"errorType": "RATE_LIMIT", "policyName": policy}
        return refused


_NOTHING_HERE = "<html><head><title>Error 404 Not Found</title></head></html>"
_TOO_LONG = "<html><head><title>414 Request-URI Too Large</title></head></html>"
_READS = ("/search", "/batch/read")
"""Ends of paths that read although they are posted to."""
_SCOPED = {
    "contacts": "contacts",
    "companies": "companies",
    "deals": "deals",
    "products": "products",
    "line_items": "line_items",
    "orders": "orders",
    "leads": "leads",
    "tasks": "contacts",
    "tickets": "tickets",
}
"""The word that an object has in scopes; tasks go with contacts."""


def _key(group: str) -> Property:
    """The property of the record key."""
    return Property(
        "connector_hub_id", "connector_hub_id", group=group, unique=True, ours=False
    )
