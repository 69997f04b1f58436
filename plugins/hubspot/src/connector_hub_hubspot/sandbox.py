"""A HubSpot account in memory: contacts, companies and their associations, with HubSpot's rules.

What it does it does as the vendor's documents say; doubts stand in the plugin's README.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
import re
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.people import UNKNOWN_STAGE, companies, people
from connector_hub.testing.sandbox import Sandbox, Windows, answer, iso, moment
from connector_hub_hubspot import accounts
from connector_hub_hubspot import properties as born
from connector_hub_hubspot.accounts import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    Accounts,
)
from connector_hub_hubspot.properties import STAGES, Property

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "PORTAL", "REFRESH_TOKEN", "HubSpotSandbox"]
PORTAL = 4211337
_PUBLIC_BURST = 110
_BURST, _BURST_SECONDS = 100, 10.0
_DAILY = 250_000
_ZONE = ZoneInfo("Asia/Jakarta")
_SEARCHES, _SEARCH_SECONDS = 5, 1.0
_SEARCH_CAP, _SEARCH_BODY, _SEARCH_PAGE = 10_000, 3_000, 200
_FILTERS, _GROUPS, _GROUP_FILTERS = 18, 5, 6
_BATCH, _PAGE, _HISTORIES = 100, 100, 50
_TEXT = 65_536
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+\Z")
_TYPES = {"contacts": "0-1", "companies": "0-2"}
_NAMES = {
    **{v: k for k, v in _TYPES.items()},
    "contact": "contacts",
    "company": "companies",
}
_SINGULAR = {"contacts": "contact", "companies": "company"}
_PLAIN = {("contacts", "companies"): 279, ("companies", "contacts"): 280}
_PRIMARY = {("contacts", "companies"): 1, ("companies", "contacts"): 2}
_MIRRORED = {279: 280, 280: 279, 1: 2, 2: 1}
_DEFAULTS = {
    "contacts": (
        "createdate",
        "email",
        "firstname",
        "hs_object_id",
        "lastmodifieddate",
        "lastname",
    ),
    "companies": (
        "createdate",
        "domain",
        "hs_lastmodifieddate",
        "hs_object_id",
        "name",
    ),
}
_STAMP = {"contacts": "lastmodifieddate", "companies": "hs_lastmodifieddate"}

_ESCAPED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The escapes of an address that are undone before it is signed."""

Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """HubSpot's answer to a request it does not carry out."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "status": "error",
            "message": message,
            "correlationId": str(uuid.uuid4()),
            "category": category,
            **more,
        }


def _invalid(name: str, code: str, text: str) -> Refused:
    inner = json.dumps(
        [
            {
                "isValid": False,
                "message": text,
                "error": code,
                "name": name,
                "localizedErrorMessage": text,
                "portalId": PORTAL,
            }
        ]
    )
    return Refused(400, "VALIDATION_ERROR", f"Property values were not valid: {inner}")


@dataclass(slots=True)
class Row:
    """A record. ``properties`` is replaced, never changed, so that the index may keep an old one."""

    id: str
    properties: dict[str, str]
    created: str
    updated: str
    archived: str | None = None
    history: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Values by property with their times, the latest first; of birth where a property is missing."""

    def remember(self, after: Mapping[str, str], at: str) -> None:
        """Keep the times of what is about to change."""
        before = self.properties
        for name in after.keys() | before.keys():
            old, new = before.get(name, ""), after.get(name, "")
            if old != new:
                past = self.history.setdefault(name, [(old, self.created)])
                past.insert(0, (new, at))


@dataclass(slots=True)
class Objects:
    """All records of one type, with their unique values and the search's lagging index."""

    type: str
    properties: dict[str, Property]
    rows: dict[str, Row] = field(default_factory=dict)
    gone: dict[str, Row] = field(default_factory=dict)
    unique: dict[str, dict[str, str]] = field(default_factory=dict)
    indexed: dict[str, tuple[dict[str, str], str, str]] = field(default_factory=dict)
    lagging: deque[tuple[float, str]] = field(default_factory=deque)
    merged: dict[str, str] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def uniques(self) -> Iterable[str]:
        """Properties whose values may be held once only."""
        if self.type == "contacts":
            yield "email"
        yield from (n for n, p in self.properties.items() if p.unique)


class HubSpotSandbox(Sandbox):
    """HubSpot's CRM v3 objects, v4 associations, properties and account details.

    ``search_lag`` is how many seconds the search index is behind, ``daily`` how many calls a day there are.
    ``merges_anew``: the survivor of a merge gets an id of its own, as HubSpot's may.
    """

    name: ClassVar[str] = "hubspot"
    access_token = "pat-na1-0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"  # noqa: S105 - of the sandbox
    search_lag = 0.2
    daily = _DAILY
    merges_anew = False

    def routes(self) -> Sequence[Route]:
        """The vendor's paths, under ``/crm/v3/objects`` and the dated ``/crm/objects/2026-03``."""
        found: list[Route] = [
            *accounts.routes(lambda: self.accounts),
            Route("/account-info/v3/details", self._do(self._account), methods=["GET"]),
            Route("/crm/v3/owners", self._do(self._owner_list), methods=["GET"]),
            Route("/crm/v3/owners/{id}", self._do(self._owner), methods=["GET"]),
            Route(
                "/crm/v3/properties/{type}",
                self._do(self._property_list),
                methods=["GET", "POST"],
            ),
            Route(
                "/crm/v3/properties/{type}/{property}",
                self._do(self._property),
                methods=["GET"],
            ),
        ]
        for base in ("/crm/v3/objects", "/crm/objects/2026-03"):
            at = f"{base}/{{type}}"
            found += [
                Route(at, self._do(self._list), methods=["GET"]),
                Route(at, self._do(self._create), methods=["POST"]),
                Route(
                    f"{at}/search",
                    self._do(self._search, search=True),
                    methods=["POST"],
                ),
                Route(f"{at}/merge", self._do(self._merge), methods=["POST"]),
                Route(f"{at}/batch/{{verb}}", self._do(self._batch), methods=["POST"]),
                Route(f"{at}/{{id}}", self._do(self._get), methods=["GET"]),
                Route(f"{at}/{{id}}", self._do(self._update), methods=["PATCH"]),
                Route(f"{at}/{{id}}", self._do(self._archive), methods=["DELETE"]),
            ]
        v4 = "/crm/v4"
        return [
            *found,
            Route(
                f"{v4}/associations/{{type}}/{{to}}/batch/associate/default",
                self._do(self._associate),
                methods=["POST"],
            ),
            Route(
                f"{v4}/associations/{{type}}/{{to}}/batch/labels/archive",
                self._do(self._end_labels),
                methods=["POST"],
            ),
            Route(
                f"{v4}/associations/{{type}}/{{to}}/batch/{{verb}}",
                self._do(self._associations),
                methods=["POST"],
            ),
            Route(
                f"{v4}/associations/{{type}}/{{to}}/labels",
                self._do(self._label_list),
                methods=["GET", "POST"],
            ),
            Route(
                f"{v4}/objects/{{type}}/{{id}}/associations/default/{{to}}/{{other}}",
                self._do(self._associate_one),
                methods=["PUT"],
            ),
            Route(
                f"{v4}/objects/{{type}}/{{id}}/associations/{{to}}",
                self._do(self._associated),
                methods=["GET"],
            ),
        ]

    def seed_data(self) -> None:
        """Companies first, then people at work in them."""
        extra = (UNKNOWN_STAGE,) if self.messy else ()
        self._objects = {
            "contacts": Objects("contacts", born.contacts(extra)),
            "companies": Objects("companies", born.companies(extra)),
        }
        self._windows = Windows(self.clock)
        self.accounts = Accounts(self.clock, PORTAL)
        self._events: list[dict[str, Any]] | None = None
        self._happened = 0
        self._links: dict[tuple[str, str], dict[str, dict[str, set[int]]]] = {
            ("contacts", "companies"): {},
            ("companies", "contacts"): {},
        }
        self._labels: dict[tuple[str, str], dict[int, str]] = {k: {} for k in _PLAIN}
        self._next = {"contacts": 50_001, "companies": 90_001}
        self._shuffle = random.Random(self.seed)  # noqa: S311 - an order, not a secret
        self._today = 0
        self._day = self.clock.now().astimezone(_ZONE).date()
        for objects in self._objects.values():
            for name in objects.uniques():
                objects.unique[name] = {}
            if self.prepared:
                self._add_property(objects, "connector_hub_id", unique=True)
        self._seed()

    def _seed(self) -> None:
        born_at = moment("2024-01-01T08:00:00+00:00")
        ids: list[str] = []
        stamp = iso(born_at)
        for c in companies(self.companies, self.seed):
            fields = {
                "name": c.name,
                "domain": c.domain,
                "phone": c.phone,
                "city": c.city,
            }
            fields |= {
                "country": c.country,
                "lifecyclestage": c.stage,
                "industry": "RETAIL",
            }
            ids.append(self._put(self._objects["companies"], None, fields, stamp).id)
        for p in people(self.records, self.seed, len(ids), messy=self.messy):
            fields = {
                "firstname": p.given,
                "lastname": p.family,
                "email": p.email.strip().lower(),
                "phone": p.phone,
                "jobtitle": p.title,
                "city": p.city,
                "country": p.country,
                "lifecyclestage": p.stage,
                "hs_lead_status": "NEW",
            }
            row = self._put(
                self._objects["contacts"],
                None,
                {k: v for k, v in fields.items() if v},
                stamp,
            )
            if p.company is not None:
                at, kinds = ids[p.company], {1, 279}
                self._link("contacts", row.id, "companies", at, kinds, stamp)
        for objects in self._objects.values():
            objects.lagging.clear()
            for row in objects.rows.values():
                objects.indexed[row.id] = (row.properties, row.created, row.updated)

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

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Archive a property, its values with it, or change its definition. None is ever required."""
        objects = self._objects[resource]
        known = objects.properties[field]
        if change.get("gone"):
            del objects.properties[field]
            for row in objects.rows.values():
                row.properties = {n: v for n, v in row.properties.items() if n != field}
            return
        known.type = change.get("type", known.type)
        known.read_only = change.get("read_only", known.read_only)
        known.options = tuple(change.get("options", known.options))

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Records with every property that has a value, and their associations."""
        objects = self._objects[resource]
        found = []
        for row in objects.rows.values():
            shown = self._row(objects, row, list(objects.properties))
            shown["associations"] = self._listed(
                resource, row.id, [t for t in self._objects if t != resource]
            )
            found.append(shown)
        return found

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit in HubSpot's own pages: forward and backward, but not past the rules of a field.

        ``archived`` archives, or restores where it is false. ``associations`` are made as
        ``{"to": "companies", "id": ..., "labels": ["Primary"]}``, and ended with ``"ended": True``.
        """
        objects = self._objects[resource]
        record = body.get("id")
        if body.get("archived") is False:
            return self._restore(objects, str(record))
        if record is not None and str(record) not in objects.rows:
            raise KeyError(f"{resource} {record}")
        if body.get("archived"):
            self._archive_row(objects, str(record))
            return {"id": str(record), "archived": True}
        if "associations" in body:
            for a in body["associations"]:
                self._edit_association(resource, str(record), a)
            if "properties" not in body:
                row = objects.rows[str(record)]
                return self._row(objects, row, list(objects.properties))
        fields = {
            k: v
            for k, v in body.get("properties", {}).items()
            if k not in self._system(objects)
        }
        try:
            self._valid(objects, fields, None if record is None else str(record))
        except Refused as e:
            raise ValueError(e.body["message"]) from None
        row = self._put(
            objects, None if record is None else str(record), fields, self._now()
        )
        return self._row(objects, row, list(objects.properties))

    def _restore(self, objects: Objects, record: str) -> dict[str, Any]:
        """Out of the archive, with its associations; not while another contact has its e-mail.

        https://knowledge.hubspot.com/records/restore-deleted-records
        """
        row = objects.gone.get(record)
        if row is None:
            raise KeyError(f"{objects.type} {record}")
        try:
            for name in objects.uniques():
                if name in row.properties:
                    self._check_unique(objects, name, row.properties[name], record)
        except Refused as e:
            raise ValueError(e.body["message"]) from None
        del objects.gone[record]
        row.archived = None
        objects.rows[record] = row
        objects.order = []
        for name, values in objects.unique.items():
            if name in row.properties:
                values[_unique(name, row.properties[name])] = record
        now = self._now()
        row = self._put(objects, record, {}, now)
        self._primaries(objects.type, record, now)
        return self._row(objects, row, list(objects.properties))

    def _edit_association(self, of: str, record: str, a: Mapping[str, Any]) -> None:
        to, other = a["to"], str(a["id"])
        if a.get("ended"):
            self._unlink(of, record, to, other)
            return
        words = {"Primary": _PRIMARY[(of, to)]}
        words |= {label: kind for kind, label in self._labels[(of, to)].items()}
        kinds = {words[label] for label in a.get("labels", ())}
        self._link(of, record, to, other, kinds)

    def label(self, of: str, to: str, name: str) -> int:
        """A label of the account's own for associations, both ways; its type id from ``of`` to ``to``."""
        number = 1_000 + 2 * len(self._labels[(of, to)])
        self._labels[(of, to)][number] = name
        self._labels[(to, of)][number + 1] = name
        return number

    def _do(self, handler: Handler, *, search: bool = False) -> Handler:
        """Token, limits, refusals: what every call meets."""

        async def call(request: Request) -> Response:
            try:
                public = self._authorize(request)
                headers = self._limit(search=search, public=public)
                response = await handler(request)
            except Refused as e:
                return answer(e.body, e.status)
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as e:
                body = Refused(
                    400, "VALIDATION_ERROR", f"Invalid input JSON: {type(e).__name__}"
                ).body
                return answer(body, 400)
            response.headers["x-hubspot-correlation-id"] = str(uuid.uuid4())
            for k, v in headers.items():
                response.headers[k] = v
            return response

        return call

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

    def _of(self, request: Request, name: str = "type") -> Objects:
        word = request.path_params[name]
        found = self._objects.get(_NAMES.get(word, word))
        if found is None:
            raise Refused(
                400, "VALIDATION_ERROR", f"Unable to infer object type from: {word}"
            )
        return found

    def _now(self) -> str:
        return iso(self.clock.now())

    async def _account(self, _: Request) -> Response:
        return answer(
            {
                "portalId": PORTAL,
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

    async def _owner_list(self, request: Request) -> Response:
        """Owners in pages, archived ones where these are asked for."""
        asked = request.query_params
        archived = asked.get("archived") == "true"
        limit, after = int(asked.get("limit", 100)), asked.get("after", "0")
        found = [o for o in born.OWNERS if o[3] == archived and int(o[0]) > int(after)]
        if "email" in asked:
            found = [o for o in found if _owner_row(o)["email"] == asked["email"]]
        body: dict[str, Any] = {"results": [_owner_row(o) for o in found[:limit]]}
        if len(found) > limit:
            body["paging"] = {"next": {"after": found[limit - 1][0]}}
        return answer(body)

    async def _owner(self, request: Request) -> Response:
        wanted = request.path_params["id"]
        for o in born.OWNERS:
            if o[0] == wanted:
                return answer(_owner_row(o))
        raise Refused(404, "OBJECT_NOT_FOUND", f"Owner {wanted} does not exist")

    async def _property_list(self, request: Request) -> Response:
        objects = self._of(request)
        if request.method == "GET":
            return answer({"results": [p.row() for p in objects.properties.values()]})
        body = orjson.loads(await request.body())
        if body["name"] in objects.properties:
            raise Refused(
                409,
                "OBJECT_ALREADY_EXISTS",
                f"A property named '{body['name']}' already exists.",
            )
        if not re.fullmatch(r"[a-z][a-z0-9_]*", body["name"]):
            raise Refused(
                400, "VALIDATION_ERROR", f"Property name '{body['name']}' is not valid."
            )
        self._add_property(
            objects,
            body["name"],
            unique=bool(body.get("hasUniqueValue")),
            label=body.get("label") or body["name"],
            kind=body.get("type", "string"),
            shown_as=body.get("fieldType", "text"),
            options=tuple(o["value"] for o in body.get("options", ())),
        )
        return answer(objects.properties[body["name"]].row(), 201)

    def _add_property(
        self,
        objects: Objects,
        name: str,
        *,
        unique: bool = False,
        label: str = "",
        kind: str = "string",
        shown_as: str = "text",
        options: tuple[str, ...] = (),
    ) -> None:
        group = {"contacts": "contactinformation", "companies": "companyinformation"}[
            objects.type
        ]
        objects.properties[name] = Property(
            name, label or name, kind, shown_as, group, options, unique, ours=False
        )
        if unique:
            objects.unique[name] = {}

    async def _property(self, request: Request) -> Response:
        objects, name = self._of(request), request.path_params["property"]
        if name not in objects.properties:
            raise Refused(404, "OBJECT_NOT_FOUND", f"Property {name} does not exist")
        return answer(objects.properties[name].row())

    def _asked(self, objects: Objects, names: Iterable[str] | None) -> list[str]:
        wanted = list(names or ())
        return list(dict.fromkeys([*_DEFAULTS[objects.type], *wanted]))

    def _row(self, objects: Objects, row: Row, names: Sequence[str]) -> dict[str, Any]:
        """A record as answered: what was asked and is empty is null; unknown names are left out."""
        has, known = row.properties, objects.properties
        found: dict[str, Any] = {
            "id": row.id,
            "properties": {n: has.get(n) for n in names if n in has or n in known},
            "createdAt": row.created,
            "updatedAt": row.updated,
            "archived": row.archived is not None,
            "url": f"https://app.hubspot.com/contacts/{PORTAL}/record/{_TYPES[objects.type]}/{row.id}",
        }
        if row.archived is not None:
            found["archivedAt"] = row.archived
        return found

    async def _list(self, request: Request) -> Response:
        objects, q = self._of(request), request.query_params
        limit = int(q.get("limit", "10"))
        if not 0 < limit <= _PAGE:
            raise Refused(400, "VALIDATION_ERROR", f"limit must be at most {_PAGE}")
        archived = q.get("archived") == "true"
        order = sorted(objects.gone, key=int) if archived else self._order(objects)
        rows = objects.gone if archived else objects.rows
        start = _bisect(order, q.get("after"))
        part = order[start : start + limit]
        names = self._asked(objects, _split(q.getlist("properties")))
        to = [_NAMES.get(t, t) for t in _split(q.getlist("associations"))]
        found = []
        for i in part:
            shown = self._row(objects, rows[i], names)
            if to:
                listed = self._listed(objects.type, i, to)
                if listed:
                    shown["associations"] = listed
            found.append(shown)
        body: dict[str, Any] = {"results": found}
        if start + limit < len(order):
            after = order[start + limit]
            link = f"{self.url}{request.url.path}?after={after}&limit={limit}"
            body["paging"] = {"next": {"after": after, "link": link}}
        return answer(body)

    def _order(self, objects: Objects) -> list[str]:
        """Ids of live records, ascending; kept between calls, as ids only grow."""
        if len(objects.order) != len(objects.rows):
            objects.order = sorted(objects.rows, key=int)
        return objects.order

    def _listed(self, of: str, record: str, to: Iterable[str]) -> dict[str, Any]:
        found = {}
        for other in to:
            links = self._linked(of, record, other)
            if not links:
                continue
            word = f"{_SINGULAR[of]}_to_{_SINGULAR[other]}"
            words = {
                _PLAIN[(of, other)]: f"{word}_unlabeled",
                _PRIMARY[(of, other)]: word,
                **{k: _slug(v) for k, v in self._labels[(of, other)].items()},
            }
            results = [
                {"id": i, "type": words[k]}
                for i, kinds in links.items()
                for k in sorted(kinds)
            ]
            found[other] = {"results": results}
        return found

    def _linked(self, of: str, record: str, to: str) -> dict[str, set[int]]:
        """A record's associations with live records."""
        held = self._links.get((of, to), {}).get(record, {})
        rows = self._objects[to].rows
        return {i: kinds for i, kinds in held.items() if i in rows}

    async def _get(self, request: Request) -> Response:
        objects = self._of(request)
        row = self._by(
            objects, request.path_params["id"], request.query_params.get("idProperty")
        )
        names = self._asked(objects, _split(request.query_params.getlist("properties")))
        shown = self._row(objects, row, names)
        to = [
            _NAMES.get(t, t)
            for t in _split(request.query_params.getlist("associations"))
        ]
        if to and (listed := self._listed(objects.type, row.id, to)):
            shown["associations"] = listed
        return answer(shown)

    def _by(self, objects: Objects, value: str, by: str | None = None) -> Row:
        """A live record by id (also one merged into another) or by a unique property."""
        if by and by != "hs_object_id":
            self._check_id_property(objects, by)
            value = objects.unique[by].get(_unique(by, value), "")
        row = objects.rows.get(value) or objects.rows.get(objects.merged.get(value, ""))
        if row is None:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return row

    @staticmethod
    def _archived(objects: Objects, value: str) -> Row:
        row = objects.gone.get(value)
        if row is None:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return row

    def _check_id_property(self, objects: Objects, name: str) -> None:
        if name not in objects.unique:
            if name not in objects.properties:
                raise _invalid(
                    name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
                )
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"Unable to perform update/upsert by non-unique {_TYPES[objects.type]} property {name}",
            )

    async def _create(self, request: Request) -> Response:
        objects = self._of(request)
        body = orjson.loads(await request.body())
        row = self._new(objects, body["properties"])
        self._from_body(objects, row, body.get("associations", ()))
        return answer(self._row(objects, row, list(row.properties)), 201)

    def _from_body(
        self, objects: Objects, row: Row, associations: Iterable[Mapping[str, Any]]
    ) -> None:
        for a in associations:
            kinds = {int(t["associationTypeId"]) for t in a["types"]}
            for (of, to), number in (*_PLAIN.items(), *_PRIMARY.items()):
                if of == objects.type and number in kinds:
                    self._link(of, row.id, to, str(a["to"]["id"]), kinds)
                    break

    async def _update(self, request: Request) -> Response:
        objects = self._of(request)
        row = self._by(
            objects, request.path_params["id"], request.query_params.get("idProperty")
        )
        body = orjson.loads(await request.body())
        row = self._change(objects, row, body["properties"])
        return answer(self._row(objects, row, self._asked(objects, body["properties"])))

    async def _archive(self, request: Request) -> Response:
        self._archive_row(self._of(request), request.path_params["id"])
        return Response(status_code=204)

    def _archive_row(self, objects: Objects, record: str) -> None:
        row = objects.rows.pop(record, None)
        if row is None:
            return
        row.archived = self._now()
        objects.gone[record] = row
        self._happens(objects.type, "deletion", objectId=int(record))
        for name, values in objects.unique.items():
            value = row.properties.get(name)
            if value:
                values.pop(_unique(name, value), None)
        objects.indexed.pop(record, None)
        objects.order = []
        self._primaries(objects.type, record, self._now())

    def _primaries(self, of: str, record: str, at: str) -> None:
        """Contacts say in a property which company is their primary one; a change moves their stamp."""
        ids = (
            [record]
            if of == "contacts"
            else self._links[(of, "contacts")].get(record, {})
        )
        contacts = self._objects["contacts"]
        for i in list(ids):
            row = contacts.rows.get(i)
            if row is None:
                continue
            held = self._linked("contacts", i, "companies")
            primary = next((c for c, k in held.items() if 1 in k), "")
            if row.properties.get("associatedcompanyid", "") != primary:
                self._put(contacts, i, {"associatedcompanyid": primary}, at)

    def _system(self, objects: Objects) -> set[str]:
        return {n for n, p in objects.properties.items() if p.read_only}

    def _new(self, objects: Objects, properties: Mapping[str, Any]) -> Row:
        fields = {k: _text(v) for k, v in properties.items()}
        self._valid(objects, fields, None, api=True)
        if objects.type == "companies" and not (
            fields.get("name") or fields.get("domain")
        ):
            raise Refused(
                400,
                "VALIDATION_ERROR",
                "One of name or domain is required to create a company.",
            )
        return self._put(objects, None, fields, self._now())

    def _change(self, objects: Objects, row: Row, properties: Mapping[str, Any]) -> Row:
        fields = {k: _text(v) for k, v in properties.items()}
        self._valid(objects, fields, row.id, api=True)
        stage, was = fields.get("lifecyclestage"), row.properties.get("lifecyclestage")
        if (
            stage in STAGES
            and was in STAGES
            and STAGES.index(stage) < STAGES.index(was)
        ):
            del fields["lifecyclestage"]
        return self._put(objects, row.id, fields, self._now())

    def _valid(
        self,
        objects: Objects,
        fields: Mapping[str, str],
        record: str | None,
        *,
        api: bool = False,
    ) -> None:
        """HubSpot's checks of values.

        Raises:
            Refused: the first that fails.
        """
        for name, value in fields.items():
            known = objects.properties.get(name)
            if known is None:
                raise _invalid(
                    name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
                )
            if known.read_only and api:
                raise _invalid(
                    name,
                    "READ_ONLY_VALUE",
                    f'"{name}" is a read only property; its value cannot be set.',
                )
            if value in ("", None):
                continue
            if len(value) > _TEXT:
                raise _invalid(
                    name, "INVALID_LENGTH", f"{name} is longer than {_TEXT} characters"
                )
            if known.type == "enumeration" and known.options:
                self._check_options(known, value)
            if known.refers_to == "OWNER" and value not in {o[0] for o in born.OWNERS}:
                raise _invalid(
                    name, "INVALID_OWNER_ID", f"Owner {value} does not exist"
                )
            if known.type == "number" and not _is_number(value):
                raise _invalid(
                    name, "INVALID_NUMBER", f"{value} was not a valid number."
                )
            if (
                name == "email"
                and objects.type == "contacts"
                and not _EMAIL.match(value.strip())
            ):
                raise _invalid(
                    name, "INVALID_EMAIL", f"Email address {value} is invalid"
                )
            self._check_unique(objects, name, value, record)

    @staticmethod
    def _check_options(known: Property, value: str) -> None:
        for word in value.removeprefix(";").split(";"):
            if word not in known.options:
                raise _invalid(
                    known.name,
                    "INVALID_OPTION",
                    f"{word} was not one of the allowed options: [{', '.join(known.options)}]",
                )

    def _check_unique(
        self, objects: Objects, name: str, value: str, record: str | None
    ) -> None:
        if name not in objects.unique:
            return
        holder = objects.unique[name].get(_unique(name, value))
        if name == "email" and holder is None:
            holder = self._additional(objects, value)
        if holder is None or holder == record:
            return
        if name == "email":
            raise Refused(
                409, "CONFLICT", f"Contact already exists. Existing ID: {holder}"
            )
        raise Refused(
            409,
            "CONFLICT",
            f"A record with the unique value for property {name} already exists. Existing ID: {holder}",
        )

    @staticmethod
    def _additional(objects: Objects, email: str) -> str | None:
        """Who has an address among the further ones; few do, so they are looked through."""
        wanted = email.strip().lower()
        for i, held in objects.unique.get("\0additional", {}).items():
            if wanted in held.split(";"):
                return i
        return None

    def _put(  # noqa: C901
        self, objects: Objects, record: str | None, fields: Mapping[str, Any], at: str
    ) -> Row:
        """Write values; every write moves the stamp, and the index follows after its lag."""
        stamp = _STAMP[objects.type]
        row = objects.rows.get(record) if record else None
        new = row is None
        if row is None:
            record = str(self._next[objects.type])
            self._next[objects.type] += 1
            row = Row(record, {"createdate": at, "hs_object_id": record}, at, at)
            objects.rows[record] = row
            objects.order.append(record)
            if objects.type == "contacts":
                row.properties["lifecyclestage"] = "lead"
        before = row.properties
        after = dict(before)
        for name, value in fields.items():
            text = _text(value)
            if name == "email":
                text = text.strip().lower()
            if text == "":
                after.pop(name, None)
            else:
                after[name] = text
        row.remember(after, at)
        after[stamp] = at
        row.properties, row.updated = after, at
        for name, values in objects.unique.items():
            old, now = before.get(name), after.get(name)
            if old != now:
                if old:
                    values.pop(_unique(name, old), None)
                if now:
                    values[_unique(name, now)] = row.id
        if "hs_additional_emails" in fields:
            held = objects.unique.setdefault("\0additional", {})
            held[row.id] = after.get("hs_additional_emails", "").lower()
        objects.lagging.append((self.clock.time() + self.search_lag, row.id))
        self._written(objects.type, row, before, new=new)
        return row

    def _written(
        self, of: str, row: Row, before: Mapping[str, str], *, new: bool
    ) -> None:
        if self._events is None:
            return
        record = int(row.id)
        if new:
            self._happens(of, "creation", objectId=record)
        for name, value in {**dict.fromkeys(before, ""), **row.properties}.items():
            if before.get(name) != value and name != _STAMP[of]:
                told = {"propertyName": name, "propertyValue": value}
                self._happens(of, "propertyChange", objectId=record, **told)

    def _happens(self, of: str, what: str, **about: Any) -> None:
        """An event, where somebody has asked to be told of such."""
        if self._events is None:
            return
        self._happened += 1
        self._events.append(
            {
                "eventId": self._happened,
                "subscriptionId": 1_000,
                "portalId": PORTAL,
                "appId": 54_321,
                "occurredAt": int(self.clock.time() * 1000),
                "subscriptionType": f"{_SINGULAR[of]}.{what}",
                "attemptNumber": 0,
                "changeSource": "CRM_UI",
                **about,
            }
        )

    async def send_webhooks(
        self,
        url: str,
        *,
        double: bool = False,
        shuffle: bool = False,
        late_s: float = 0.0,
    ) -> list[int]:
        """Tell an address what has happened since the last time; the first time it is only signed up.

        Up to 100 events a message, signed (v3). What is not taken is sent again the next time. ``double``
        sends each message twice, ``shuffle`` in another order; ``late_s`` seconds go by before.
        """
        waiting, self._events = self._events or [], []
        await asyncio.sleep(late_s)
        if shuffle:
            self._shuffle.shuffle(waiting)
        batches = [waiting[i : i + _BATCH] for i in range(0, len(waiting), _BATCH)]
        statuses = []
        for batch in batches * (2 if double else 1):
            status = await self.deliver(url, *self._signed(batch, url))
            statuses.append(status)
            if not 200 <= status < 300:  # noqa: PLR2004
                for event in batch:
                    event["attemptNumber"] += 1
                self._events += [e for e in batch if e not in self._events]
        return statuses

    def _signed(self, batch: list[dict[str, Any]], url: str) -> tuple[bytes, Any]:
        body, stamp = orjson.dumps(batch), str(int(self.clock.time() * 1000))
        text = f"POST{_ESCAPED.sub(_unescaped, url)}".encode() + body + stamp.encode()
        mac = hmac.new(CLIENT_SECRET.encode(), text, hashlib.sha256).digest()
        return body, {
            "Content-Type": "application/json",
            "X-HubSpot-Signature-v3": base64.b64encode(mac).decode(),
            "X-HubSpot-Request-Timestamp": stamp,
        }

    async def _batch(self, request: Request) -> Response:
        objects, verb = self._of(request), request.path_params["verb"]
        body = orjson.loads(await request.body())
        inputs = body["inputs"]
        if not inputs:
            raise Refused(400, "VALIDATION_ERROR", "inputs must not be empty")
        if len(inputs) > _BATCH:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"The maximum number of inputs is {_BATCH}; got {len(inputs)}",
            )
        match verb:
            case "read":
                archived = request.query_params.get("archived") == "true"
                return self._batch_read(objects, body, archived=archived)
            case "archive":
                for i in inputs:
                    self._archive_row(objects, str(i["id"]))
                return Response(status_code=204)
            case "create" | "update" | "upsert":
                return self._batch_write(objects, verb, inputs)
        raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")

    def _batch_read(
        self, objects: Objects, body: Mapping[str, Any], *, archived: bool
    ) -> Response:
        """Live records, or with ``archived`` archived ones only."""
        by = body.get("idProperty")
        if by and by != "hs_object_id":
            self._check_id_property(objects, by)
        names = self._asked(objects, body.get("properties"))
        historic = [
            n
            for n in body.get("propertiesWithHistory") or ()
            if n in objects.properties
        ]
        if historic and len(body["inputs"]) > _HISTORIES:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"The maximum number of inputs with history is {_HISTORIES}",
            )
        found, missing = {}, []
        for i in body["inputs"]:
            try:
                row = (
                    self._archived(objects, str(i["id"]))
                    if archived
                    else self._by(objects, str(i["id"]), by)
                )
                found[row.id] = self._row(objects, row, names)
                if historic:
                    found[row.id]["propertiesWithHistory"] = _history(row, historic)
            except Refused:
                missing.append(str(i["id"]))
        return self._answered(list(found.values()), self._unknown(missing), ok=200)

    @staticmethod
    def _unknown(ids: Sequence[str]) -> list[dict[str, Any]]:
        if not ids:
            return []
        return [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "message": "Could not get some objects, they may be deleted or not exist. "
                "Check that ids are valid.",
                "context": {"ids": list(ids)},
            }
        ]

    def _batch_write(
        self, objects: Objects, verb: str, inputs: Sequence[Mapping[str, Any]]
    ) -> Response:
        """Without trace ids one bad input fails the call; with them it is an error of its own in a 207."""
        self._no_duplicates(inputs)
        traced = all(i.get("objectWriteTraceId") for i in inputs)
        errors: list[dict[str, Any]] = []
        results: list[dict[str, Any]] = []
        if not traced:
            self._no_twins(objects, inputs)
            for i in inputs:
                self._try(objects, verb, i)
        for i in inputs:
            try:
                row, new = self._write_one(objects, verb, i)
            except Refused as e:
                if not traced:
                    raise
                error = {k: v for k, v in e.body.items() if k != "correlationId"}
                error["context"] = {"objectWriteTraceId": [i["objectWriteTraceId"]]}
                errors.append(error)
                continue
            names = (
                list(row.properties) if new else self._asked(objects, i["properties"])
            )
            shown = self._row(objects, row, names)
            if verb == "upsert":
                shown["new"] = new
            if traced:
                shown["objectWriteTraceId"] = i["objectWriteTraceId"]
            results.append(shown)
        self._shuffle.shuffle(results)
        return self._answered(results, errors, ok=201 if verb == "create" else 200)

    @staticmethod
    def _no_duplicates(inputs: Sequence[Mapping[str, Any]]) -> None:
        ids = [
            (i.get("idProperty"), str(i["id"]))
            for i in inputs
            if i.get("id") is not None
        ]
        if len(set(ids)) != len(ids):
            raise Refused(
                400,
                "VALIDATION_ERROR",
                "Duplicate IDs found in batch input: values must be unique",
            )

    @staticmethod
    def _no_twins(objects: Objects, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Two inputs of one batch may not claim one unique value; the whole call fails."""
        for name in objects.unique:
            values = [
                _unique(name, _text(v))
                for i in inputs
                if (v := i.get("properties", {}).get(name))
            ]
            if len(set(values)) != len(values):
                raise Refused(
                    409, "CONFLICT", f"Duplicate {name} values in batch input"
                )

    def _try(self, objects: Objects, verb: str, i: Mapping[str, Any]) -> None:
        """Whether a write would pass, without writing."""
        fields = {k: _text(v) for k, v in i["properties"].items()}
        record = None
        if verb == "update":
            record = self._exactly(objects, str(i["id"]), i.get("idProperty")).id
        elif verb == "upsert":
            record = self._known(objects, i)
        self._valid(objects, fields, record, api=True)

    def _exactly(self, objects: Objects, value: str, by: str | None) -> Row:
        """Batch update knows no merged ids."""
        row = self._by(objects, value, by)
        if not by and row.id != value:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return row

    def _known(self, objects: Objects, i: Mapping[str, Any]) -> str | None:
        by = i.get("idProperty") or "hs_object_id"
        if by == "hs_object_id":
            return self._by(objects, str(i["id"])).id
        self._check_id_property(objects, by)
        return objects.unique[by].get(_unique(by, str(i["id"])))

    def _write_one(
        self, objects: Objects, verb: str, i: Mapping[str, Any]
    ) -> tuple[Row, bool]:
        properties = i["properties"]
        if verb == "create":
            row = self._new(objects, properties)
            self._from_body(objects, row, i.get("associations", ()))
            return row, True
        if verb == "update":
            row = self._exactly(objects, str(i["id"]), i.get("idProperty"))
            return self._change(objects, row, properties), False
        record = self._known(objects, i)
        if record is not None:
            return self._change(objects, objects.rows[record], properties), False
        return self._new(objects, {**properties, i["idProperty"]: i["id"]}), True

    def _answered(
        self, results: Sequence[Any], errors: Sequence[Any], *, ok: int
    ) -> Response:
        now = self._now()
        body: dict[str, Any] = {
            "status": "COMPLETE",
            "results": results,
            "startedAt": now,
            "completedAt": now,
        }
        if errors:
            body |= {"numErrors": len(errors), "errors": errors}
        return answer(body, 207 if errors else ok)

    async def _merge(self, request: Request) -> Response:
        objects = self._of(request)
        body = orjson.loads(await request.body())
        first = self._by(objects, str(body["primaryObjectId"]))
        second = self._by(objects, str(body["objectIdToMerge"]))
        if first.id == second.id:
            raise Refused(400, "VALIDATION_ERROR", "Cannot merge a record with itself")
        if self.merges_anew:
            first = self._reborn(objects, first)
        self._archive_row(objects, second.id)
        objects.gone.pop(second.id, None)
        for old, into in list(objects.merged.items()):
            if into == second.id:
                objects.merged[old] = first.id
        objects.merged[second.id] = first.id
        fields = {
            k: v for k, v in second.properties.items() if k not in first.properties
        }
        ids = [i for i, into in objects.merged.items() if into == first.id]
        fields["hs_merged_object_ids"] = ";".join(sorted(ids, key=int))
        other_mail = second.properties.get("email")
        if other_mail and first.properties.get("email"):
            known = first.properties.get("hs_additional_emails", "")
            mails = [m for m in known.split(";") if m]
            fields["hs_additional_emails"] = ";".join([*mails, other_mail])
        self._happens(
            objects.type,
            "merge",
            primaryObjectId=int(first.id),
            mergedObjectIds=[int(second.id)],
            newObjectId=int(first.id),
        )
        self._inherit(objects.type, second.id, first.id)
        row = self._put(objects, first.id, fields, self._now())
        return answer(self._row(objects, row, list(row.properties)))

    def _reborn(self, objects: Objects, row: Row) -> Row:
        """The same record under a new id; the old one is merged into it."""
        held = {
            n: v
            for n, v in row.properties.items()
            if n not in self._system(objects) or n == "hs_merged_object_ids"
        }
        self._archive_row(objects, row.id)
        objects.gone.pop(row.id, None)
        made = self._put(objects, None, held, self._now())
        for old, into in list(objects.merged.items()):
            if into == row.id:
                objects.merged[old] = made.id
        objects.merged[row.id] = made.id
        for (of, to), links in self._links.items():
            if of == objects.type:
                for other, kinds in links.pop(row.id, {}).items():
                    links.setdefault(made.id, {})[other] = kinds
                    back = self._links[(to, of)].get(other, {})
                    if row.id in back:
                        back[made.id] = back.pop(row.id)
        self._primaries(objects.type, made.id, self._now())
        return made

    def _inherit(self, of: str, loser: str, survivor: str) -> None:
        """The survivor has the loser's associations besides its own; its primary stays."""
        for (here, to), held in self._links.items():
            if here != of:
                continue
            for other, kinds in held.pop(loser, {}).items():
                self._links[(to, of)].get(other, {}).pop(loser, None)
                if other in self._objects[to].rows:
                    own = kinds & {*self._labels[(of, to)]}
                    self._link(of, survivor, to, other, own)

    async def _search(self, request: Request) -> Response:
        objects = self._of(request)
        raw = await request.body()
        if len(raw) > _SEARCH_BODY:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"The request body must not exceed {_SEARCH_BODY} characters",
            )
        body = orjson.loads(raw)
        self._catch_up(objects)
        groups = body.get("filterGroups") or []
        count = sum(len(g["filters"]) for g in groups)
        if (
            len(groups) > _GROUPS
            or count > _FILTERS
            or any(len(g["filters"]) > _GROUP_FILTERS for g in groups)
        ):
            raise Refused(400, "VALIDATION_ERROR", "Too many filters or filter groups")
        limit, after = int(body.get("limit", 10)), int(body.get("after") or 0)
        if not 0 < limit <= _SEARCH_PAGE:
            raise Refused(
                400, "VALIDATION_ERROR", f"limit must be at most {_SEARCH_PAGE}"
            )
        if after + limit > _SEARCH_CAP:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"The search is limited to {_SEARCH_CAP} results",
            )
        found = [
            i
            for i, (p, _, _) in objects.indexed.items()
            if self._hit(objects, groups, p)
        ]
        self._sort(objects, found, body.get("sorts") or [])
        part = found[after : after + limit]
        names = self._asked(objects, body.get("properties"))
        results = []
        for i in part:
            p, created, updated = objects.indexed[i]
            results.append(self._row(objects, Row(i, p, created, updated), names))
        answered: dict[str, Any] = {"total": len(found), "results": results}
        if after + limit < len(found):
            answered["paging"] = {"next": {"after": str(after + limit)}}
        return answer(answered)

    def _catch_up(self, objects: Objects) -> None:
        now = self.clock.time()
        while objects.lagging and objects.lagging[0][0] <= now:
            _, i = objects.lagging.popleft()
            row = objects.rows.get(i)
            if row is not None:
                objects.indexed[i] = (row.properties, row.created, row.updated)

    def _sort(self, objects: Objects, ids: list[str], sorts: Sequence[Any]) -> None:
        if len(sorts) > 1:
            raise Refused(400, "VALIDATION_ERROR", "Only one sort is allowed")
        name, down = "createdate", False
        if sorts:
            first = sorts[0]
            name = first if isinstance(first, str) else first["propertyName"]
            down = isinstance(first, dict) and first.get("direction") == "DESCENDING"
        number = (
            name == "hs_object_id"
            or objects.properties.get(name, Property("", "")).type == "number"
        )
        ids.sort(key=int)
        if number:
            ids.sort(
                key=lambda i: float(objects.indexed[i][0].get(name) or 0), reverse=down
            )
        else:
            ids.sort(key=lambda i: objects.indexed[i][0].get(name) or "", reverse=down)

    def _hit(
        self, objects: Objects, groups: Sequence[Any], p: Mapping[str, str]
    ) -> bool:
        if not groups:
            return True
        return any(
            all(self._passes(objects, f, p) for f in g["filters"]) for g in groups
        )

    def _passes(
        self, objects: Objects, f: Mapping[str, Any], p: Mapping[str, str]
    ) -> bool:
        name, op = f["propertyName"], f["operator"]
        known = objects.properties.get(name)
        if name.startswith("associations."):
            other = _NAMES.get(name.removeprefix("associations."), "")
            linked = self._linked(objects.type, p["hs_object_id"], other)
            return str(f["value"]) in linked
        if known is None:
            raise Refused(
                400,
                "VALIDATION_ERROR",
                f"There was a problem with the request: property {name} does not exist",
            )
        value = p.get(name)
        if op in {"HAS_PROPERTY", "NOT_HAS_PROPERTY"}:
            return bool((value is not None) == (op == "HAS_PROPERTY"))
        if value is None:
            return op in {"NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN"}
        return _compare(op, known.type, value, f)

    async def _associations(self, request: Request) -> Response:
        of, to = self._of(request).type, self._of(request, "to").type
        verb = request.path_params["verb"]
        inputs = orjson.loads(await request.body())["inputs"]
        if len(inputs) > (1000 if verb == "read" else 2000):
            raise Refused(400, "VALIDATION_ERROR", "Too many inputs")
        match verb:
            case "read":
                return self._associations_read(of, to, inputs)
            case "create":
                for i in inputs:
                    kinds = {int(t["associationTypeId"]) for t in i["types"]}
                    self._link(of, str(i["from"]["id"]), to, str(i["to"]["id"]), kinds)
                return self._answered([_pair(of, to, i) for i in inputs], [], ok=201)
            case "archive":
                for i in inputs:
                    for other in i["to"]:
                        self._unlink(of, str(i["from"]["id"]), to, str(other["id"]))
                return Response(status_code=204)
        raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")

    def _associations_read(self, of: str, to: str, inputs: Sequence[Any]) -> Response:
        results, missing = [], []
        for i in inputs:
            links = self._linked(of, str(i["id"]), to)
            if not links:
                missing.append(str(i["id"]))
                continue
            listed = [
                {"toObjectId": int(x), "associationTypes": self._kinds(of, to, k)}
                for x, k in links.items()
            ]
            results.append({"from": {"id": str(i["id"])}, "to": listed})
        errors = [
            {
                "status": "error",
                "category": "OBJECT_NOT_FOUND",
                "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
                "message": f"No {_SINGULAR[to]} is associated with {_SINGULAR[of]} {i}.",
                "context": {"fromObjectId": [i]},
            }
            for i in missing
        ]
        return self._answered(results, errors, ok=200)

    async def _associate(self, request: Request) -> Response:
        of, to = self._of(request).type, self._of(request, "to").type
        inputs = orjson.loads(await request.body())["inputs"]
        for i in inputs:
            self._link(of, str(i["from"]["id"]), to, str(i["to"]["id"]), set())
        return self._answered([_pair(of, to, i) for i in inputs], [], ok=200)

    async def _associate_one(self, request: Request) -> Response:
        of, to = self._of(request).type, self._of(request, "to").type
        mine, other = request.path_params["id"], request.path_params["other"]
        self._link(of, mine, to, other, set())
        return self._answered(
            [_pair(of, to, {"from": {"id": mine}, "to": {"id": other}})], [], ok=200
        )

    async def _associated(self, request: Request) -> Response:
        of, to = self._of(request).type, self._of(request, "to").type
        links = self._linked(of, request.path_params["id"], to)
        listed = [
            {"toObjectId": int(x), "associationTypes": self._kinds(of, to, k)}
            for x, k in links.items()
        ]
        return answer({"results": listed})

    async def _label_list(self, request: Request) -> Response:
        """The labels of associations between two types, or a new one."""
        of, to = self._of(request).type, self._of(request, "to").type
        if request.method == "POST":
            body = orjson.loads(await request.body())
            self.label(of, to, body["label"])
        kinds = {_PLAIN[(of, to)], _PRIMARY[(of, to)], *self._labels[(of, to)]}
        return answer({"results": self._kinds(of, to, kinds)})

    async def _end_labels(self, request: Request) -> Response:
        """End associations of some types; the end of an unlabelled one ends them all."""
        of, to = self._of(request).type, self._of(request, "to").type
        for i in orjson.loads(await request.body())["inputs"]:
            kinds = {int(t["associationTypeId"]) for t in i["types"]}
            mine, other = str(i["from"]["id"]), str(i["to"]["id"])
            if _PLAIN[(of, to)] in kinds:
                self._unlink(of, mine, to, other)
                continue
            for a, x, b, y in ((of, mine, to, other), (to, other, of, mine)):
                held = self._links[(a, b)].get(x, {}).get(y, set())
                held -= kinds if a == of else {self._across(k) for k in kinds}
            self._primaries(of, mine, self._now())
        return Response(status_code=204)

    def _kinds(self, of: str, to: str, kinds: set[int]) -> list[dict[str, Any]]:
        own = self._labels[(of, to)]
        labels = {_PRIMARY[(of, to)]: "Primary", **own}
        return [
            {
                "category": "USER_DEFINED" if k in own else "HUBSPOT_DEFINED",
                "typeId": k,
                "label": labels.get(k),
            }
            for k in sorted(kinds)
        ]

    @staticmethod
    def _across(kind: int) -> int:
        """The type id of the same label seen from the other record."""
        return _MIRRORED.get(kind, kind ^ 1)

    def _link(  # noqa: PLR0917 - both ends, and when
        self,
        of: str,
        mine: str,
        to: str,
        other: str,
        kinds: set[int],
        at: str | None = None,
    ) -> None:
        """Link both ways. The first company of a contact becomes its primary; a new primary replaces it."""
        if mine not in self._objects[of].rows or other not in self._objects[to].rows:
            raise Refused(
                404,
                "OBJECT_NOT_FOUND",
                "One of the objects to associate does not exist",
            )
        known = {_PLAIN[(of, to)], _PRIMARY[(of, to)], *self._labels[(of, to)]}
        if not kinds <= known:
            raise Refused(400, "VALIDATION_ERROR", "Invalid association type")
        self._happens(
            of,
            "associationChange",
            associationType=f"{_SINGULAR[of]}_TO_{_SINGULAR[to]}".upper(),
            fromObjectId=int(mine),
            toObjectId=int(other),
            associationRemoved=False,
        )
        ends = ((of, mine, to, other), (to, other, of, mine))
        contact = mine if of == "contacts" else other
        primary = kinds & {*_PRIMARY.values()} or not self._linked(
            "contacts", contact, "companies"
        )
        if primary:
            for i, held in (
                self._links[("contacts", "companies")].get(contact, {}).items()
            ):
                held.discard(_PRIMARY[("contacts", "companies")])
                there = self._links[("companies", "contacts")].get(i, {})
                there.get(contact, set()).discard(_PRIMARY[("companies", "contacts")])
        for a, x, b, y in ends:
            entry = self._links[(a, b)].setdefault(x, {}).setdefault(y, set())
            entry.add(_PLAIN[(a, b)])
            entry |= kinds if a == of else {self._across(k) for k in kinds}
            if primary:
                entry.add(_PRIMARY[(a, b)])
        self._primaries(of, mine, at or self._now())

    def _unlink(self, of: str, mine: str, to: str, other: str) -> None:
        for a, x, b, y in ((of, mine, to, other), (to, other, of, mine)):
            self._links[(a, b)].get(x, {}).pop(y, None)
        contact = mine if of == "contacts" else other
        self._primaries("contacts", contact, self._now())


def _slug(label: str) -> str:
    """A label's internal name."""
    return re.sub(r"[^a-z0-9]+", "_", label.lower())


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match.group(1), 16))


def _owner_row(owner: tuple[str, str, str, bool]) -> dict[str, Any]:
    number, first, last, archived = owner
    born_at = "2024-01-01T08:00:00.000Z"
    return {
        "id": number,
        "email": f"{first}.{last}@sandbox.example".lower(),
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": None if archived else int(number) + 1_000,
        "userIdIncludingInactive": int(number) + 1_000,
        "createdAt": born_at,
        "updatedAt": born_at,
        "archived": archived,
    }


def _bisect(order: Sequence[str], after: str | None) -> int:
    """The first place at or behind an id: ``after`` is the id of the next record."""
    if not after:
        return 0
    if not after.isdigit():
        raise Refused(400, "VALIDATION_ERROR", "Invalid after")
    low, high, wanted = 0, len(order), int(after)
    while low < high:
        middle = (low + high) // 2
        if int(order[middle]) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _split(values: Sequence[str]) -> list[str]:
    """Both ``a,b`` and repeated parameters."""
    return [part for v in values for part in v.split(",") if part]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _unique(name: str, value: str) -> str:
    return value.strip().lower() if name == "email" else value


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _pair(of: str, to: str, i: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "fromObjectTypeId": _TYPES[of],
        "fromObjectId": int(i["from"]["id"]),
        "toObjectTypeId": _TYPES[to],
        "toObjectId": int(i["to"]["id"]),
        "labels": [],
    }


def _compare(op: str, kind: str, value: str, f: Mapping[str, Any]) -> bool:  # noqa: C901, PLR0911
    """One filter of a search; instants compare as instants, numbers as numbers, texts without case."""

    def key(text: Any) -> Any:
        if kind == "datetime":
            return _millis(str(text))
        return float(text) if kind == "number" else str(text).lower()

    try:
        mine = key(value)
        match op:
            case "EQ":
                return bool(mine == key(f["value"]))
            case "NEQ":
                return bool(mine != key(f["value"]))
            case "LT":
                return bool(mine < key(f["value"]))
            case "LTE":
                return bool(mine <= key(f["value"]))
            case "GT":
                return bool(mine > key(f["value"]))
            case "GTE":
                return bool(mine >= key(f["value"]))
            case "BETWEEN":
                return bool(key(f["value"]) <= mine <= key(f["highValue"]))
            case "IN":
                return mine in [key(v) for v in f["values"]]
            case "NOT_IN":
                return mine not in [key(v) for v in f["values"]]
            case "CONTAINS_TOKEN":
                return str(f["value"]).lower().strip("*") in str(mine)
            case "NOT_CONTAINS_TOKEN":
                return str(f["value"]).lower().strip("*") not in str(mine)
    except ValueError:
        raise Refused(
            400, "VALIDATION_ERROR", f"Invalid value for operator {op}"
        ) from None
    raise Refused(400, "VALIDATION_ERROR", f"Unknown operator {op}")


_STAMPS: dict[str, int] = {}


def _millis(text: str) -> int:
    """Epoch milliseconds of an instant; few distinct ones are asked for again and again."""
    found = _STAMPS.get(text)
    if found is None:
        at: datetime = moment(text)
        found = int(at.timestamp() * 1000 + 0.5)
        if len(_STAMPS) > 100_000:  # noqa: PLR2004
            _STAMPS.clear()
        _STAMPS[text] = found
    return found


def _history(row: Row, names: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """The values of properties with their times, the latest first."""
    return {
        name: [
            {"value": value, "timestamp": at, "sourceType": "CRM_UI"}
            for value, at in row.history.get(
                name, [(row.properties.get(name, ""), row.created)]
            )
        ]
        for name in names
    }
