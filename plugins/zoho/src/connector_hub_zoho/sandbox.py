"""A Zoho CRM account in memory, with Zoho's rules for pages, rows, duplicates, credits and tokens.

What it does it does as the vendor's documents say; doubts stand in the plugin's README.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from connector_hub.testing.people import companies, people
from connector_hub.testing.sandbox import Sandbox, answer
from connector_hub_zoho import accounts, coql, jobs, metadata, watching
from connector_hub_zoho.account import (
    USERS,
    ZONE,
    Happened,
    Refused,
    Row,
    Rows,
    ZohoAccount,
    instant,
    named,
    spelled,
)
from connector_hub_zoho.accounts import Accounts
from connector_hub_zoho.born import WEB
from connector_hub_zoho.modules import LOOKUPS, FieldKind, Module

_DAY, _CREDITS, _CONCURRENCY, _HEAVY = 86_400.0, 50_000, 5, 10
_PAGE, _FIELDS, _ROWS, _IDS = 200, 50, 100, 100
_PAGED, _TOKENED = 2_000, 100_000
_PAGE_LIFE = timedelta(hours=24)
_DOWNLOADS, _RESULT_LIFE = 10, timedelta(days=1)
_SORTS = ("id", "Created_Time", "Modified_Time")
_SEARCH_LAG = 2.0
_OLDER = "/crm/v2"
"""Version 2 is read by some to this day: all fields unless some are named, any number of pages."""
_FORM = {
    "First Name": "First_Name",
    "Last Name": "Last_Name",
    "Lead Source": "Lead_Source",
    "Zip Code": "Zip_Code",
}
"""What a web form calls fields, where it is not their API name."""
NOTIFIED = "sandbox-notify-token"

Handler = Callable[[Request], Awaitable[Response]]


class ZohoSandbox(Sandbox):
    """Zoho CRM v8: records with subforms and related lists, queries, bulk reads, metadata, notifications.

    ``credits`` is how many there are in 24 hours, ``concurrency`` how many calls may be in flight, ``heavy``
    how many of them may be dear ones. ``spent`` counts the credits by route.
    """

    name: ClassVar[str] = "zoho"
    access_token = "1000.0f1e2d3c4b5a69788796a5b4c3d2e1f0.a1b2c3"  # noqa: S105 - it opens nothing
    refresh_token = accounts.REFRESH_TOKEN
    client_id = accounts.CLIENT_ID
    client_secret = accounts.CLIENT_SECRET
    credits = _CREDITS
    concurrency = _CONCURRENCY
    heavy = _HEAVY
    seconds = 0.0
    """How long a heavy call takes."""

    def routes(self) -> Sequence[Route]:
        """The vendor's paths."""
        v, bulk = "/crm/v8", "/crm/bulk/v8/read"
        own: list[tuple[str, Handler, tuple[str, ...]]] = [
            (f"{v}/org", self._org, ("GET",)),
            (f"{v}/users", self._users, ("GET",)),
            (f"{v}/users/{{id}}", self._user, ("GET",)),
            (f"{v}/coql", self._coql, ("POST",)),
            (f"{v}/settings/modules", self._modules, ("GET",)),
            (f"{v}/settings/modules/{{name}}", self._modules, ("GET",)),
            (f"{v}/settings/fields", self._fields, ("GET", "POST")),
            (f"{v}/settings/layouts", self._layouts, ("GET",)),
            (f"{v}/settings/pipeline", self._pipelines, ("GET",)),
            (
                f"{v}/settings/recycle_bin/{{id}}/actions/restore",
                self._restore,
                ("POST",),
            ),
            (f"{v}/actions/watch", self._watch, _WATCHED),
            (bulk, self._new_job, ("POST",)),
            (f"{bulk}/{{id}}", self._job, ("GET",)),
            (f"{bulk}/{{id}}/result", self._result, ("GET",)),
            (f"{v}/{{module}}", self._records, _VERBS),
            (f"{v}/{{module}}/upsert", self._upsert, ("POST",)),
            (f"{v}/{{module}}/deleted", self._deleted, ("GET",)),
            (f"{v}/{{module}}/search", self._search, ("GET",)),
            (f"{v}/{{module}}/actions/count", self._count, ("GET",)),
            (f"{v}/{{module}}/{{id}}", self._record, _ONE),
            (f"{v}/{{module}}/{{id}}/actions/merge", self._merge, ("POST",)),
            (f"{v}/Leads/{{id}}/actions/convert", self._convert, ("POST",)),
            (f"{v}/{{module}}/{{id}}/{{list}}", self._related, _ONE),
            (f"{v}/{{module}}/{{id}}/{{list}}/{{member}}", self._related, _ONE),
        ]
        older: list[tuple[str, Handler]] = [
            (f"{_OLDER}/org", self._org),
            (f"{_OLDER}/settings/modules", self._modules),
            (f"{_OLDER}/settings/modules/{{name}}", self._modules),
            (f"{_OLDER}/settings/fields", self._fields),
            (f"{_OLDER}/{{module}}", self._records),
        ]
        own += [(path, handler, ("GET",)) for path, handler in older]
        return [
            *accounts.routes(lambda: self.accounts),
            Route("/crm/WebToLeadForm", self._web_form, methods=["POST"]),
            *(Route(p, self._do(h), methods=list(verbs)) for p, h, verbs in own),
        ]

    def seed_data(self) -> None:
        """Accounts first, then contacts at work in them."""
        self.account = ZohoAccount(self.clock)
        self.spent: dict[str, int] = {}
        self._credits: deque[tuple[float, int]] = deque()
        self._flying = self._toiling = 0
        self.accounts = Accounts(self.clock, lambda: self.url, self.access_token)
        self._jobs: dict[str, jobs.Job] = {}
        self._downloads: deque[float] = deque()
        self._channels: dict[str, watching.Channel] = {}
        self._shuffle = random.Random(self.seed)  # noqa: S311 - an order of messages
        if self.prepared:
            for rows in self.account.modules.values():
                if rows.module.writable and not rows.module.parent:
                    kind = FieldKind("Connector_Hub_Id", length=36, unique=True)
                    rows.module.add(kind)
        at = datetime(2024, 1, 1, 8, tzinfo=UTC)
        ids = [
            self.account.put(
                "Accounts",
                None,
                {
                    "Account_Name": c.name,
                    "Website": f"https://{c.domain}",
                    "Phone": c.phone,
                    "Billing_City": c.city,
                    "Billing_Country": c.country,
                    "Account_Type": "Prospect" if c.stage == "lead" else "Customer",
                },
                at=at,
            )
            for c in companies(self.companies, self.seed)
        ]
        for p in people(self.records, self.seed, len(ids), messy=self.messy):
            fields: dict[str, Any] = {
                "First_Name": p.given or None,
                "Last_Name": p.family or p.given or "-",
                "Email": p.email.strip().lower() or None,
                "Phone": p.phone or None,
                "Title": p.title or None,
                "Mailing_City": p.city,
                "Mailing_Country": p.country,
            }
            if p.company is not None:
                fields["Account_Name"] = {"id": ids[p.company]}
            self.account.put("Contacts", None, fields, at=at)
        self._told = len(self.account.happened)

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection."""
        return {"connector": "zoho", "base_url": self.url, "token": "env:ZOHO_TOKEN"}

    def env(self) -> dict[str, str]:
        """The token's variable."""
        return {"ZOHO_TOKEN": self.access_token}

    def add_module(self, name: str, *fields: FieldKind) -> None:
        """A custom module, as an administrator makes one: it has a name and what else is said."""
        system = {
            n: k
            for n, k in self.account.modules["Vendors"].module.fields.items()
            if n in _SYSTEM
        }
        own = (FieldKind("Name", length=120, mandatory=True), *fields)
        module = Module(
            name, "Name", system | {f.name: f for f in own}, ("Name",), "custom"
        )
        self.account.modules[name] = Rows(module)

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Delete a field, its values with it, or change its definition."""
        rows = self.account.modules[resource]
        kind = rows.module.fields[field]
        if change.get("gone"):
            del rows.module.fields[field]
            for row in rows.live.values():
                row.pop(field, None)
            return
        rows.module.fields[field] = replace(
            kind,
            type=change.get("type", kind.type),
            read_only=change.get("read_only", kind.read_only),
            mandatory=change.get("required", kind.mandatory),
            options=tuple(change.get("options", kind.options)),
        )

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Live records with every field."""
        rows = self.account.modules[resource]
        return [self.account.shown(rows, i, rows.module.fields) for i in rows.live]

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit; ``deleted: true`` moves a record into the recycle bin, ``restored: true`` back."""
        rows = self.account.modules[resource]
        fields = {
            k: v for k, v in body.items() if k not in {"id", "deleted", "restored"}
        }
        record = body.get("id")
        if body.get("restored"):
            self.account.restore(resource, str(record))
        if record is not None and str(record) not in rows.live:
            raise KeyError(f"{resource} {record}")
        if body.get("deleted"):
            self.account.delete(resource, str(record))
            return {"id": str(record), "deleted": True}
        try:
            sound = self.account.sound(rows, fields, str(record) if record else None)
        except Refused as e:
            raise ValueError(f"{e.body['message']}: {e.body['details']}") from None
        made = self.account.put(
            resource, str(record) if record else None, sound, by=USERS[1][0]
        )
        return self.account.shown(rows, made, rows.module.fields)

    def convert(self, record: str, **more: Any) -> dict[str, str]:
        """Convert a lead as a person does; the ids of what it became, by module."""
        return self.account.convert(record, **more)

    def fill_form(self, **fields: Any) -> str:
        """A visitor fills in the form on the web site: he becomes a lead."""
        given = {"Lead_Source": WEB, **fields}
        sound = self.account.sound(self.account.modules["Leads"], given, None)
        return self.account.put("Leads", None, sound, by=USERS[1][0])

    def visit(self, page: str, *, lead: str | None = None, seconds: int = 30) -> str:
        """Somebody, maybe a lead, looks at a page of the web site."""
        fields = {
            "Visited_Page": page,
            "Visitor": {"id": lead} if lead else None,
            "Visited_Time": self.account.now(),
            "Time_Spent": seconds,
        }
        return self.account.put("Visits", None, fields, by=USERS[1][0])

    async def send_webhooks(
        self,
        url: str,
        *,
        double: bool = False,
        shuffle: bool = False,
        late_s: float = 0.0,
    ) -> list[int]:
        """Tell an address what has happened since the last time; the first time it gets a channel.

        Ids only, each message with the channel's token; what is not taken is not sent again. An address whose
        channel has expired is told nothing.
        """
        known = [c for c in self._channels.values() if c.url == url]
        if not known:
            self._channels[url] = watching.Channel(
                str(len(self._channels) + 1),
                url,
                NOTIFIED,
                tuple(f"{name}.all" for name in self.account.modules),
                self.clock.now() + timedelta(days=7),
            )
            known = [self._channels[url]]
        events = self._since()
        await asyncio.sleep(late_s)
        told = [m for c in known for m in watching.callbacks(c, events, self.url)]
        if shuffle:
            self._shuffle.shuffle(told)
        headers = {"Content-Type": "application/json"}
        return [
            await self.deliver(url, orjson.dumps(message), headers)
            for message in told * (2 if double else 1)
        ]

    def _since(self) -> list[Happened]:
        """What has happened since this was asked last."""
        events = self.account.happened[self._told :]
        self._told = len(self.account.happened)
        return events

    def _do(self, handler: Handler) -> Handler:
        """Token, credits, calls in flight, refusals: what every call meets."""

        async def call(request: Request) -> Response:
            if self._flying >= self.concurrency:
                return _refusal(
                    Refused(429, "TOO_MANY_REQUESTS", "concurrency limit reached")
                )
            self._flying += 1
            try:
                self._authorize(request)
                self._charge(request, 1)
                response = await handler(request)
            except Refused as e:
                response = _refusal(e)
            except coql.CoqlError as e:
                response = _refusal(Refused(400, e.code, e.message, **e.details))
            except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
                response = _refusal(
                    Refused(400, "INVALID_DATA", "body is not in the expected form")
                )
            finally:
                self._flying -= 1
            left = self.credits - self._used()
            if left <= self.credits / 2:
                response.headers["X-API-CREDITS-REMAINING"] = str(left)
            until = datetime.fromtimestamp(
                self.clock.time() + accounts.TOKEN_LIFE, ZONE
            )
            response.headers["X-ACCESSTOKEN-RESET"] = instant(until)
            return response

        return call

    @contextmanager
    def _dear(self) -> Iterator[None]:
        """A heavy call: queries, searches, conversions and writes of more than ten rows.

        Raises:
            Refused: as many are in flight already.
        """
        if self._toiling >= self.heavy:
            raise Refused(429, "TOO_MANY_REQUESTS", "sub-concurrency limit reached")
        self._toiling += 1
        try:
            yield
        finally:
            self._toiling -= 1

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Zoho-oauthtoken" or not self.accounts.lives(token):
            raise Refused(401, "INVALID_TOKEN", "invalid oauth token")

    def _used(self) -> int:
        since = self.clock.time() - _DAY
        while self._credits and self._credits[0][0] <= since:
            self._credits.popleft()
        return sum(n for _, n in self._credits)

    def _charge(self, request: Request, amount: int) -> None:
        if self._used() + amount > self.credits:
            raise Refused(
                429, "TOO_MANY_REQUESTS", "you have crossed your maximum API limit"
            )
        if amount:
            self._credits.append((self.clock.time(), amount))
            route = f"{request.method} {request.url.path}"
            self.spent[route] = self.spent.get(route, 0) + amount

    async def _org(self, _: Request) -> Response:
        return answer({"org": [metadata.organization()]})

    async def _users(self, request: Request) -> Response:
        kind = request.query_params.get("type", "AllUsers")
        found = [metadata.user(*p) for p in USERS]
        if kind == "CurrentUser":
            found = found[:1]
        info = {"per_page": _PAGE, "count": len(found), "page": 1}
        return answer({"users": found, "info": {**info, "more_records": False}})

    async def _user(self, request: Request) -> Response:
        found = [metadata.user(*p) for p in USERS if p[0] == request.path_params["id"]]
        return answer({"users": found}) if found else Response(status_code=204)

    async def _modules(self, request: Request) -> Response:
        name = request.path_params.get("name")
        known = [r.module for r in self.account.modules.values()]
        if name:
            known = [self.account.of(name).module]
        listed = [metadata.module_row(m, n) for n, m in enumerate(known)]
        return answer({"modules": listed})

    async def _layouts(self, request: Request) -> Response:
        rows = self.account.of(request.query_params.get("module", ""))
        if rows.module.parent:
            return Response(status_code=204)
        return answer({"layouts": [metadata.layout(rows)]})

    async def _pipelines(self, request: Request) -> Response:
        if not request.query_params.get("layout_id"):
            raise Refused(
                400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing",
                param_name="layout_id",
            )  # fmt: skip
        stages = self.account.modules["Deals"].module.fields["Stage"]
        return answer({"pipeline": [metadata.pipeline(stages)]})

    async def _fields(self, request: Request) -> Response:
        rows = self.account.of(request.query_params.get("module", ""))
        fields = rows.module.fields
        if request.method == "GET":
            return answer({"fields": metadata.listed(fields)})
        made = []
        for body in orjson.loads(await request.body())["fields"]:
            name = "_".join(str(body["field_label"]).split())
            if name in fields:
                raise Refused(
                    400, "DUPLICATE_DATA", "duplicate field", api_name="field_label"
                )
            rows.module.add(
                FieldKind(
                    name,
                    str(body["data_type"]),
                    int(body.get("length", 255)),
                    unique=bool(body.get("unique")),
                    label=str(body["field_label"]),
                )
            )
            details = {"id": f"41508680000002{len(fields):05}", "api_name": name}
            made.append(_success("field created", details))
        return answer({"fields": made}, 201)

    async def _records(self, request: Request) -> Response:
        rows = self.account.of(request.path_params["module"])
        match request.method:
            case "GET":
                return self._list(rows, request)
            case "DELETE":
                ids = request.query_params.get("ids", "").split(",")
                return self._removed(rows, ids)
        body = orjson.loads(await request.body())
        update = request.method == "PUT"
        return await self._written(rows, request, body, update=update)

    async def _record(self, request: Request) -> Response:
        rows = self.account.of(request.path_params["module"])
        record = request.path_params["id"]
        if request.method == "GET":
            if record not in rows.live:
                return Response(status_code=204)
            names = request.query_params.get("fields")
            asked = names.split(",") if names else rows.module.fields
            return answer({"data": [self.account.shown(rows, record, asked)]})
        if request.method == "DELETE":
            return self._removed(rows, [record])
        body = orjson.loads(await request.body())
        body["data"][0]["id"] = record
        return await self._written(rows, request, body, update=True)

    def _list(self, rows: Rows, request: Request) -> Response:
        asked = request.query_params
        older = request.url.path.startswith(_OLDER)
        names = (
            [*rows.module.fields]
            if older and not asked.get("fields")
            else self._asked_fields(asked.get("fields"))
        )
        per_page = _counted(asked.get("per_page"), "per_page", _PAGE, _PAGE)
        order = asked.get("sort_by", "id")
        if order not in _SORTS:
            raise Refused(400, "INVALID_DATA", "invalid data", param_name="sort_by")
        if rows.module.parent:
            return self._list_lines(rows, names, per_page, asked)
        down = asked.get("sort_order", "desc") == "desc"
        found = list(rows.visible(asked.get("converted", "false")))
        if asked.get("ids"):
            wanted = asked["ids"].split(",")
            if len(wanted) > _IDS:
                raise Refused(
                    400,
                    "LIMIT_EXCEEDED",
                    "limit exceeded",
                    limit=_IDS,
                    param_name="ids",
                )
            found = [i for i in found if i in set(wanted)]
        since = request.headers.get("if-modified-since")
        if since:
            at = datetime.fromisoformat(since)
            found = [i for i in found if rows.live[i]["Modified_Time"] > at]
        found.sort(
            key=lambda i: (
                (rows.live[i].get(order) or int(i), int(i))
                if order != "id"
                else (int(i), 0)
            ),
            reverse=down,
        )
        bound = _bound(asked, since)
        start, page = self._start(
            asked, bound, per_page, paged=None if older else _PAGED
        )
        part = found[start : start + per_page]
        if not part:
            return Response(status_code=304 if since else 204)
        more = start + per_page < len(found)
        until = self.clock.now() + _PAGE_LIFE
        token = _sealed(
            {"after": start + per_page, "bound": bound, "until": until.isoformat()}
        )
        info = {
            "call": False,
            "per_page": per_page,
            "next_page_token": token if more else None,
            "count": len(part),
            "sort_by": order,
            "page": page,
            "previous_page_token": None,
            "page_token_expiry": instant(until) if more else None,
            "sort_order": "desc" if down else "asc",
            "email": False,
            "more_records": more,
        }
        data = [self.account.shown(rows, i, names, lines=False) for i in part]
        return answer({"data": data, "info": info})

    def _list_lines(
        self, rows: Rows, names: Sequence[str], per_page: int, asked: Mapping[str, str]
    ) -> Response:
        """The rows of a subform, of all records together."""
        page = _counted(asked.get("page"), "page", 1, None)
        found = self.account.rows_of(rows.module.name)
        part = found[(page - 1) * per_page : page * per_page]
        if not part:
            return Response(status_code=204)
        more = page * per_page < len(found)
        info = {"per_page": per_page, "count": len(part), "page": page}
        data = [self._selected(rows, line, names) for line in part]
        return answer({"data": data, "info": {**info, "more_records": more}})

    def _start(
        self, asked: Mapping[str, str], bound: str, per_page: int, paged: int | None
    ) -> tuple[int, int]:
        """Where a page starts: by its number up to so many records (2,000), by token up to 100,000."""
        if asked.get("page_token"):
            token = _opened(asked["page_token"])
            if token is None:
                raise Refused(
                    400, "INVALID_DATA", "invalid data", param_name="page_token"
                )
            if token["bound"] != bound:
                raise Refused(
                    400,
                    "TOKEN_BOUND_DATA_MISMATCH",
                    "the parameters are not those the token was given for",
                )
            if datetime.fromisoformat(token["until"]) < self.clock.now():
                raise Refused(
                    400, "EXPIRED_VALUE", "token expired", param_name="page_token"
                )
            start = int(token["after"])
            if start >= _TOKENED:
                raise Refused(
                    400,
                    "PAGINATION_LIMIT_EXCEEDED",
                    "you can only get the first 100000 records",
                    limit=_TOKENED,
                )
            return start, start // per_page + 1
        page = _counted(asked.get("page"), "page", 1, None)
        if paged is not None and page * per_page > paged:
            raise Refused(
                400,
                "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
                "You can only get the first 2000 records without using page_token param",
                limit=paged,
            )
        return (page - 1) * per_page, page

    @staticmethod
    def _asked_fields(listed: str | None) -> list[str]:
        if not listed:
            raise Refused(
                400,
                "REQUIRED_PARAM_MISSING",
                "required param is missing",
                param_name="fields",
            )
        names = listed.split(",")
        if len(names) > _FIELDS:
            raise Refused(
                400,
                "LIMIT_EXCEEDED",
                "limit exceeded",
                limit=_FIELDS,
                param_name="fields",
            )
        return names

    async def _count(self, request: Request) -> Response:
        rows = self.account.of(request.path_params["module"])
        return answer({"count": sum(1 for _ in rows.visible("false"))})

    async def _search(self, request: Request) -> Response:
        """By e-mail or phone; what was modified in the last moments is not found yet."""
        rows = self.account.of(request.path_params["module"])
        asked = request.query_params
        by = next((n for n in ("email", "phone") if asked.get(n)), None)
        if by is None:
            raise Refused(
                400,
                "REQUIRED_PARAM_MISSING",
                "required param is missing",
                param_name="word",
            )
        fresh = self.clock.now() - timedelta(seconds=_SEARCH_LAG)
        kinds = [f.name for f in rows.module.fields.values() if f.type == by]
        with self._dear():
            found = [
                i
                for i in rows.visible(asked.get("converted", "false"))
                if rows.live[i]["Modified_Time"] <= fresh
                and any(
                    str(rows.live[i].get(n) or "").casefold() == asked[by].casefold()
                    for n in kinds
                )
            ]
        if not found:
            return Response(status_code=204)
        names = asked.get("fields", "").split(",") if asked.get("fields") else None
        data = [
            self.account.shown(rows, i, names or rows.module.fields, lines=False)
            for i in found[:_PAGE]
        ]
        info = {"per_page": _PAGE, "count": len(data), "page": 1, "more_records": False}
        return answer({"data": data, "info": info})

    async def _coql(self, request: Request) -> Response:
        query = coql.parse(str(orjson.loads(await request.body())["select_query"]))
        rows = self.account.of(query.module)
        for name in sorted(query.used):
            if name not in rows.module.fields:
                raise coql.CoqlError(
                    "INVALID_QUERY",
                    "Invalid query formed",
                    reason="column given seems to be invalid",
                    column_name=name,
                )
        self._charge(request, _credits(query.limit) - 1)
        with self._dear():
            await asyncio.sleep(self.seconds)
            part, more = self._found(rows, query)
        if not part:
            return Response(status_code=204)
        data = [self._selected(rows, r, query.names) for r in part]
        return answer(
            {"data": data, "info": {"count": len(data), "more_records": more}}
        )

    def _found(self, rows: Rows, query: coql.Query) -> tuple[list[Row], bool]:
        """The records of a query's page, and whether there are more."""
        joins = any("." in n for n in query.used_whole)
        found = [
            r
            for r in self.account.rows_of(rows.module.name)
            if query.where(self._joined(rows, r) if joins else r)
        ]
        for name, down in reversed(query.order):
            found.sort(key=lambda r: _rank(coql.value_at(r, name)), reverse=down)
        part = found[query.offset : query.offset + query.limit]
        return part, len(found) > query.offset + len(part)

    def _joined(self, rows: Rows, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A record with the records that its lookups lead to."""
        found = dict(row)
        for kind in rows.module.fields.values():
            to = self.account.modules.get(kind.to)
            if kind.type == "lookup" and to and row.get(kind.name):
                record = row[kind.name]["id"]
                found[kind.name] = {**to.live.get(record, {}), "id": record}
        return found

    def _selected(
        self, rows: Rows, row: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Any]:
        joined = self._joined(rows, row) if any("." in n for n in names) else row
        found: dict[str, Any] = {"id": row["id"]}
        for name in names:
            head, _, rest = name.partition(".")
            value = row.get(head)
            if head not in rows.module.fields:
                continue
            if rest:
                found[name] = spelled(coql.value_at(joined, name))
            elif rows.module.fields[head].type in LOOKUPS:
                found[name] = {"id": value["id"]} if value else None
            else:
                found[name] = spelled(value)
        return found

    async def _deleted(self, request: Request) -> Response:
        rows = self.account.of(request.path_params["module"])
        asked = request.query_params
        kind = asked.get("type", "all")
        page = _counted(asked.get("page"), "page", 1, None)
        per_page = _counted(asked.get("per_page"), "per_page", _PAGE, _PAGE)
        since = request.headers.get("if-modified-since")
        at = datetime.fromisoformat(since) if since else None
        found = [
            (i, when, how)
            for i, (when, how, _) in rows.bin.items()
            if (kind in ("all", how)) and (at is None or when >= at)
        ]
        found.sort(key=lambda x: x[1], reverse=True)
        part = found[(page - 1) * per_page : page * per_page]
        if not part:
            return Response(status_code=304 if since else 204)
        who = {"name": "Ayu Pratiwi", "id": USERS[1][0]}
        data = [
            {
                "deleted_by": who if how == "recycle" else None,
                "id": i,
                "display_name": "record" if how == "recycle" else None,
                "type": how,
                "created_by": who if how == "recycle" else None,
                "deleted_time": instant(when.astimezone(ZONE)),
            }
            for i, when, how in part
        ]
        more = page * per_page < len(found)
        info = {"per_page": per_page, "count": len(data), "page": page}
        return answer({"data": data, "info": {**info, "more_records": more}})

    async def _upsert(self, request: Request) -> Response:
        rows = self.account.of(request.path_params["module"])
        body = orjson.loads(await request.body())
        checks = body.get("duplicate_check_fields") or [
            *rows.module.checks,
            *(f.name for f in rows.module.fields.values() if f.unique),
        ]
        for name in checks:
            if name not in rows.module.fields:
                raise Refused(
                    400, "INVALID_DATA", "invalid data", api_name=name,
                    json_path="$.duplicate_check_fields[0]",
                )  # fmt: skip
        return await self._written(rows, request, body, checks=checks)

    async def _written(
        self,
        rows: Rows,
        request: Request,
        body: Mapping[str, Any],
        *,
        update: bool = False,
        checks: Sequence[str] | None = None,
    ) -> Response:
        """Rows one by one, answered in their order; 207 where some were refused, 400 where all were."""
        if not rows.module.writable or rows.module.parent:
            raise Refused(400, "INVALID_MODULE", "the module is not supported in API")
        listed = body["data"]
        if len(listed) > _ROWS:
            raise Refused(400, "LIMIT_EXCEEDED", "limit exceeded", limit=_ROWS)
        self._charge(request, -(-len(listed) // 10) - 1)
        unmoved = request.headers.get("if-unmodified-since")
        if len(listed) > _SMALL:
            with self._dear():
                await asyncio.sleep(self.seconds)
        told = []
        for n, fields in enumerate(listed):
            try:
                told.append(self._one(rows, n, fields, update, checks, unmoved))
            except Refused as e:
                if e.status == 412:  # noqa: PLR2004 - the condition is the call's
                    raise
                told.append(e.body)
        refused = sum(r["status"] == "error" for r in told)
        status = 201 if not update and checks is None else 200
        if refused:
            status = 400 if refused == len(told) else 207
        return answer({"data": told}, status)

    def _one(  # noqa: PLR0917 - a row and what is asked of it
        self,
        rows: Rows,
        n: int,
        fields: Mapping[str, Any],
        update: bool,  # noqa: FBT001
        checks: Sequence[str] | None,
        unmoved: str | None,
    ) -> dict[str, Any]:
        there: str | None = str(fields["id"]) if fields.get("id") else None
        matched: str | None = None
        if checks is not None and there is None:
            for name in checks:
                if fields.get(name) and (held := rows.holder(name, fields[name])):
                    there, matched = held, name
                    break
        if (update or there) and there not in rows.live:
            raise Refused(
                400,
                "INVALID_DATA",
                "the id given seems to be invalid",
                api_name="id",
                json_path=f"$.data[{n}].id",
            )
        if there in self.account.locked:
            raise Refused(
                400, "RECORD_LOCKED", "record is locked", action="edit", id=there
            )
        if unmoved and there:
            moved = rows.live[there]["Modified_Time"]
            if moved > datetime.fromisoformat(unmoved):
                raise Refused(412, "ALREADY_MODIFIED", "record has been modified")
        sound = self.account.sound(rows, fields, there, row=n)
        made = self.account.put(rows.module.name, there, sound)
        row = rows.live[made]
        action = {} if checks is None else {"action": "update" if there else "insert"}
        if checks is not None:
            action["duplicate_field"] = matched  # type: ignore[assignment]
        details = {
            "Modified_Time": instant(row["Modified_Time"]),
            "Modified_By": _who(row["Modified_By"]),
            "Created_Time": instant(row["Created_Time"]),
            "id": made,
            "Created_By": _who(row["Created_By"]),
            "$approval_state": "approved",
        }
        message = "record updated" if there else "record added"
        return {**_success(message, details), **action}

    def _removed(self, rows: Rows, ids: Sequence[str]) -> Response:
        if len(ids) > _ROWS:
            raise Refused(400, "LIMIT_EXCEEDED", "limit exceeded", limit=_ROWS)
        told = []
        for record in ids:
            if record not in rows.live:
                body = Refused(
                    400, "INVALID_DATA", "record not deleted", id=record
                ).body
                told.append(body)
                continue
            if record in self.account.locked:
                words = "You cannot perform this operation as the record is locked."
                told.append(
                    Refused(
                        400, "RECORD_LOCKED", words, action="record_locking", id=record
                    ).body
                )
                continue
            self.account.delete(rows.module.name, record)
            told.append(_success("record deleted", {"id": record}))
        refused = sum(r["status"] == "error" for r in told)
        status = 200 if not refused else 400 if refused == len(told) else 207
        return answer({"data": told}, status)

    async def _restore(self, request: Request) -> Response:
        """Out of the recycle bin, whatever module it was in."""
        record = request.path_params["id"]
        for name, rows in self.account.modules.items():
            if record in rows.bin:
                self.account.restore(name, record)
                told = _success("record restored", {"id": record})
                return answer({"recycle_bin": [told]})
        raise Refused(400, "INVALID_DATA", "invalid data", id=record)

    async def _merge(self, request: Request) -> Response:
        """At most two records go into a master."""
        rows = self.account.of(request.path_params["module"])
        master = request.path_params["id"]
        body = orjson.loads(await request.body())["merge"][0]
        losers = [str(x["id"]) for x in body["data"]]
        if master not in rows.live or not set(losers) <= set(rows.live):
            raise Refused(400, "INVALID_DATA", "invalid data", api_name="id")
        if len(losers) > 2 or master in losers:  # noqa: PLR2004 - "maximum of 3 records"
            raise Refused(400, "INVALID_DATA", "invalid data", api_name="data")
        chosen = {
            f["api_name"]: str(x["id"])
            for x in body["data"]
            for f in x.get("_fields") or ()
        }
        self.account.merge(rows.module.name, master, losers, chosen)
        told = _success("record merged successfully", {"id": master})
        return answer({"merge": [told]}, 201)

    async def _convert(self, request: Request) -> Response:
        """A lead becomes a contact and an account, or joins those that are named, and maybe a deal."""
        record = request.path_params["id"]
        body = orjson.loads(await request.body())["data"][0]
        lead = self.account.modules["Leads"].live.get(record)
        if lead is None:
            raise Refused(400, "INVALID_DATA", "invalid data", resource_path_index=1)
        if lead.get("Converted__s"):
            raise Refused(
                400, "ID_ALREADY_CONVERTED", "id already converted", resource_path_index=1
            )  # fmt: skip
        self._charge(request, 4)
        with self._dear():
            made = self.account.convert(
                record,
                contact=(body.get("Contacts") or {}).get("id"),
                account=(body.get("Accounts") or {}).get("id"),
                deal=body.get("Deals"),
            )
        details: Row = {
            module: {"name": self.account.title(module, i), "id": i}
            for module, i in made.items()
        }
        details.setdefault("Deals", None)
        return answer(
            {"data": [_success("The record has been converted successfully", details)]}
        )

    async def _related(self, request: Request) -> Response:
        """Who is on a related list; who is put on it or taken off."""
        at = request.path_params
        rows = self.account.of(at["module"])
        record, name = at["id"], at["list"]
        if record not in rows.live:
            raise Refused(400, "INVALID_DATA", "invalid data", resource_path_index=1)
        members = self.account.members(rows.module.name, record, name)
        if request.method == "GET":
            return self._list_members(rows, name, members, request)
        if request.method == "DELETE":
            ids = request.query_params.get("ids", at.get("member", "")).split(",")
            asked: list[tuple[str, Row | None]] = [(i, None) for i in ids if i]
        else:
            given = orjson.loads(await request.body())["data"]
            if at.get("member"):
                given = [{**given[0], "id": at["member"]}]
            asked = [
                (str(g["id"]), {k: v for k, v in g.items() if k != "id"}) for g in given
            ]
        told = []
        for member, more in asked:
            try:
                self.account.relate(rows.module.name, record, name, member, more)
                word = "relation removed" if more is None else "relation added"
                told.append(_success(word, {"id": member}))
            except Refused as e:
                told.append(e.body)
        refused = sum(r["status"] == "error" for r in told)
        return answer({"data": told}, 400 if refused == len(told) else 200)

    def _list_members(
        self, rows: Rows, name: str, members: Mapping[str, Row], request: Request
    ) -> Response:
        asked = request.query_params
        names = self._asked_fields(asked.get("fields"))
        to = self.account.modules[self.account.listed(rows.module.name, name)]
        page = _counted(asked.get("page"), "page", 1, None)
        per_page = _counted(asked.get("per_page"), "per_page", _PAGE, _PAGE)
        ids = sorted(members, key=int)
        part = ids[(page - 1) * per_page : page * per_page]
        if not part:
            return Response(status_code=204)
        data = [
            {**self.account.shown(to, i, names, lines=False), **members[i]}
            for i in part
        ]
        info = {"per_page": per_page, "count": len(part), "page": page}
        more = page * per_page < len(ids)
        return answer({"data": data, "info": {**info, "more_records": more}})

    async def _web_form(self, request: Request) -> Response:
        """What the form on a web page sends: a lead is made, the visitor is sent on."""
        form = dict(parse_qsl((await request.body()).decode()))
        if not form.get("xnQsjsdp") or not form.get("xmIwtLD"):
            return answer({"error": "invalid form"}, 400)
        names = self.account.modules["Leads"].module.fields
        spelled_out = {_FORM.get(k, k): v for k, v in form.items()}
        self.fill_form(**{k: v for k, v in spelled_out.items() if k in names and v})
        return RedirectResponse(form.get("returnURL") or "/", 302)

    async def _watch(self, request: Request) -> Response:
        """Channels are opened, renewed, listed and closed."""
        now = self.clock.now()
        if request.method == "GET":
            open_ = [c for c in self._channels.values() if c.until > now]
            if not open_:
                return Response(status_code=204)
            listed = [
                {
                    "notify_on_related_action": False,
                    "channel_expiry": instant(c.until),
                    "resource_uri": f"{self.url}/crm/v8/{c.events[0].partition('.')[0]}",
                    "resource_id": "4150868000000002175",
                    "notify_url": c.url,
                    "resource_name": c.events[0].partition(".")[0],
                    "channel_id": c.number,
                    "events": list(c.events),
                    "token": c.token,
                }
                for c in open_
            ]
            info = {"per_page": _PAGE, "count": len(listed), "page": 1}
            return answer({"watch": listed, "info": {**info, "more_records": False}})
        if request.method == "DELETE":
            told = []
            for number in request.query_params.get("channel_ids", "").split(","):
                gone = self._channels.pop(number, None)
                told.append(
                    _success(_UNSUBSCRIBED, {"channel_id": number})
                    if gone
                    else Refused(
                        400, "NOT_SUBSCRIBED", "not subscribed", channel_id=number
                    ).body
                )
            return answer({"watch": told})
        told = []
        for body in orjson.loads(await request.body())["watch"]:
            try:
                told.append(self._opened(request.method, body, now))
            except Refused as e:
                told.append(e.body)
        refused = sum(r["status"] == "error" for r in told)
        whole = 201 if request.method == "POST" else 200
        status = whole if not refused else 400 if refused == len(told) else 207
        return answer({"watch": told}, status)

    def _opened(self, method: str, body: Row, now: datetime) -> Row:
        number = str(body.get("channel_id"))
        if method == "POST":
            channel = watching.opened(body, self.account.modules, now)
        elif number in self._channels:
            channel = watching.renewed(self._channels[number], body, now)
        else:
            raise Refused(400, "NOT_SUBSCRIBED", "not subscribed", channel_id=number)
        self._channels[number] = channel
        told = watching.told(channel, self.url)
        words = _SUBSCRIBED if method == "POST" else _RENEWED
        return _success(words, {"events": told})

    async def _new_job(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        number = f"41508680000007{len(self._jobs):05}"
        job = jobs.made(self.account, number, body["query"])
        self._charge(request, _BULK - 1)
        self._jobs[number] = job
        shown = job.shown()
        details = {
            k: shown[k]
            for k in ("id", "operation", "state", "created_by", "created_time")
        }
        told = {
            "status": "success",
            "code": "ADDED_SUCCESSFULLY",
            "message": "Added successfully.",
            "details": details,
        }
        return answer({"data": [told], "info": {}}, 201)

    def _known_job(self, request: Request) -> jobs.Job:
        job = self._jobs.get(request.path_params["id"])
        if job is None or self.clock.now() - job.made > _RESULT_LIFE:
            raise Refused(
                404, "RESOURCE_NOT_FOUND", "The resource requested is not found."
            )
        return job

    async def _job(self, request: Request) -> Response:
        job = self._known_job(request)
        job.asked += 1
        return answer({"data": [job.shown()]})

    async def _result(self, request: Request) -> Response:
        job = self._known_job(request)
        now = self.clock.time()
        while self._downloads and self._downloads[0] <= now - 60:
            self._downloads.popleft()
        if len(self._downloads) >= _DOWNLOADS:
            raise Refused(429, "TOO_MANY_REQUESTS", "download limit reached")
        if job.state != "COMPLETED":
            raise Refused(400, "JOB_NOT_SUCCEEDED", "the job has not succeeded")
        self._downloads.append(now)
        headers = {"Content-Disposition": f"attachment; filename={job.number}.zip"}
        return Response(job.result, 200, headers, "application/x-download")


_VERBS = ("GET", "POST", "PUT", "DELETE")
_ONE = ("GET", "PUT", "DELETE")
_WATCHED = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SYSTEM = {"id", "Owner", "Created_By", "Modified_By", "Created_Time", "Modified_Time"}
_SUBSCRIBED = "Successfully subscribed for actions-watch of the given module"
_RENEWED = "Successfully updated the subscribe details"
_UNSUBSCRIBED = "Successfully un-subscribed from actions-watch"
_SMALL = 10
"""Rows of a write that is no heavy call."""
_BULK = 50
"""Credits of a bulk read."""


def _refusal(e: Refused) -> Response:
    return answer(e.body, e.status)


def _success(message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": "SUCCESS",
        "details": dict(details),
        "message": message,
        "status": "success",
    }


def _who(user: Mapping[str, Any]) -> dict[str, Any]:
    """A user as the answer to a write names one."""
    found = named(user)
    return {"name": found["name"], "id": found["id"]}


def _counted(text: str | None, name: str, usual: int, most: int | None) -> int:
    """A whole number of a parameter, from 1 up."""
    if text is None:
        return usual
    if not text.isdigit() or int(text) < 1 or (most and int(text) > most):
        raise Refused(400, "INVALID_DATA", "invalid data", param_name=name)
    return int(text)


def _bound(asked: Mapping[str, str], since: str | None) -> str:
    """What a page token is bound to: everything that was asked but the place."""
    rest = {k: v for k, v in asked.items() if k not in {"page", "page_token"}}
    return json.dumps([sorted(rest.items()), since])


def _sealed(token: Mapping[str, Any]) -> str:
    return orjson.dumps(token).hex()


def _opened(text: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = orjson.loads(bytes.fromhex(text))
    except ValueError:
        return None
    return found


def _credits(limit: int) -> int:
    """Credits of a query: one for 200 rows, two for 1,000, three for 2,000."""
    return 1 + (limit > _PAGE) + (limit > 5 * _PAGE)


def _rank(value: Any) -> tuple[bool, Any]:
    """Nulls first; ids in the order of their numbers."""
    if isinstance(value, str) and value.isdigit():
        return True, int(value)
    return value is not None, value
