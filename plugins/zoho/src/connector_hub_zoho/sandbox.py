"""A Zoho CRM account in memory, with Zoho's rules for pages, rows, duplicates, credits and tokens.

What it does it does as the vendor's documents say; doubts stand in the plugin's README.
"""

from __future__ import annotations

import json
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, ClassVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.people import companies, people
from connector_hub.testing.sandbox import Sandbox, answer
from connector_hub_zoho import coql
from connector_hub_zoho.modules import (
    LOOKUPS,
    PROBABILITY,
    FieldKind,
    Invalid,
    Module,
    born,
    taken,
)

_ZONE = timezone(timedelta(hours=7))
_ORG = "60011223344"
_PEOPLE = (
    ("4150868000000225001", "Integration", "User", "integration@zylker.example"),
    ("4150868000000225013", "Ayu", "Pratiwi", "ayu.pratiwi@zylker.example"),
    ("4150868000000225027", "Bima", "Nugroho", "bima.nugroho@zylker.example"),
)
"""Users; the first is the one whose token the hub holds."""
_DAY, _CREDITS, _CONCURRENCY = 86_400.0, 50_000, 5
_PAGE, _FIELDS, _ROWS, _IDS = 200, 50, 100, 100
_PAGED, _TOKENED = 2_000, 100_000
_PAGE_LIFE = timedelta(hours=24)
_MINTS, _MINT_SECONDS, _TOKENS, _TOKEN_LIFE = 10, 600.0, 15, 3_600
_SORTS = ("id", "Created_Time", "Modified_Time")
_SEARCH_LAG = 2.0

Handler = Callable[[Request], Awaitable[Response]]


class Refused(Exception):
    """Zoho's answer to a call it does not carry out."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "code": code,
            "details": details,
            "message": message,
            "status": "error",
        }


@dataclass(slots=True)
class Rows:
    """The records of a module."""

    module: Module
    live: dict[str, dict[str, Any]] = field(default_factory=dict)
    bin: dict[str, tuple[datetime, str, dict[str, Any]]] = field(default_factory=dict)
    """When a record was deleted, whether it is in the ``recycle`` bin or gone for good, and what it held."""

    def holder(self, name: str, value: Any, *, but: str = "") -> str | None:
        """The record that has a value in a field; case makes no difference."""
        wanted = value.casefold() if isinstance(value, str) else value
        for record, row in self.live.items():
            held = row.get(name)
            held = held.casefold() if isinstance(held, str) else held
            if record != but and held == wanted:
                return record
        return None


class ZohoSandbox(Sandbox):
    """Zoho CRM v8: records, queries, deleted records, conversion, fields, users and the organization.

    ``credits`` is how many there are in 24 hours, ``concurrency`` how many calls may be in flight.
    """

    name: ClassVar[str] = "zoho"
    access_token = "1000.0f1e2d3c4b5a69788796a5b4c3d2e1f0.a1b2c3"  # noqa: S105 - it opens nothing
    refresh_token = "1000.f0e1d2c3b4a5968778695a4b3c2d1e0f.d4e5f6"  # noqa: S105 - it opens nothing
    client_id = "1000.SANDBOXCLIENT"
    client_secret = "sandbox-client-secret"  # noqa: S105 - it opens nothing
    credits = _CREDITS
    concurrency = _CONCURRENCY

    def routes(self) -> Sequence[Route]:
        """The vendor's paths."""
        v = "/crm/v8"
        return [
            Route("/oauth/v2/token", self._token, methods=["POST"]),
            Route(f"{v}/org", self._do(self._org), methods=["GET"]),
            Route(f"{v}/users", self._do(self._users), methods=["GET"]),
            Route(f"{v}/coql", self._do(self._coql), methods=["POST"]),
            Route(f"{v}/settings/modules", self._do(self._modules), methods=["GET"]),
            Route(
                f"{v}/settings/fields", self._do(self._fields), methods=["GET", "POST"]
            ),
            Route(f"{v}/{{module}}", self._do(self._records), methods=_VERBS),
            Route(f"{v}/{{module}}/upsert", self._do(self._upsert), methods=["POST"]),
            Route(f"{v}/{{module}}/deleted", self._do(self._deleted), methods=["GET"]),
            Route(f"{v}/{{module}}/search", self._do(self._search), methods=["GET"]),
            Route(
                f"{v}/{{module}}/actions/count", self._do(self._count), methods=["GET"]
            ),
            Route(f"{v}/{{module}}/{{id}}", self._do(self._record), methods=_ONE),
            Route(
                f"{v}/Leads/{{id}}/actions/convert",
                self._do(self._convert),
                methods=["POST"],
            ),
        ]

    def seed_data(self) -> None:
        """Accounts first, then contacts at work in them."""
        self._store = {name: Rows(m) for name, m in born().items()}
        self._next = 1_001
        self._spent: deque[tuple[float, int]] = deque()
        self._flying = 0
        self._minted: deque[float] = deque()
        self._tokens: dict[str, float] = {self.access_token: float("inf")}
        if self.prepared:
            for rows in self._store.values():
                rows.module.add(FieldKind("Connector_Hub_Id", length=36, unique=True))
        at = datetime(2024, 1, 1, 8, tzinfo=UTC)
        ids = [
            self._put(
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
            self._put("Contacts", None, fields, at=at)

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection."""
        return {"connector": "zoho", "base_url": self.url, "token": "env:ZOHO_TOKEN"}

    def env(self) -> dict[str, str]:
        """The token's variable."""
        return {"ZOHO_TOKEN": self.access_token}

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Delete a field, its values with it, or change its definition."""
        rows = self._store[resource]
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
        rows = self._store[resource]
        return [self._shown(rows, i, rows.module.fields) for i in rows.live]

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit; ``deleted: true`` moves a record into the recycle bin, ``restored: true`` back."""
        rows = self._store[resource]
        fields = {
            k: v for k, v in body.items() if k not in {"id", "deleted", "restored"}
        }
        record = body.get("id")
        if body.get("restored"):
            self._restore(rows, str(record))
        if record is not None and str(record) not in rows.live:
            raise KeyError(f"{resource} {record}")
        if body.get("deleted"):
            self._bin(rows, str(record))
            return {"id": str(record), "deleted": True}
        try:
            sound = self._sound(rows, fields, str(record) if record else None)
        except Refused as e:
            raise ValueError(f"{e.body['message']}: {e.body['details']}") from None
        made = self._put(
            resource, str(record) if record else None, sound, by=_PEOPLE[1][0]
        )
        return self._shown(rows, made, rows.module.fields)

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
            until = datetime.fromtimestamp(self.clock.time() + _TOKEN_LIFE, _ZONE)
            response.headers["X-ACCESSTOKEN-RESET"] = _instant(until)
            return response

        return call

    def _authorize(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        until = self._tokens.get(token)
        if scheme != "Zoho-oauthtoken" or until is None or until < self.clock.time():
            raise Refused(401, "INVALID_TOKEN", "invalid oauth token")

    def _used(self) -> int:
        since = self.clock.time() - _DAY
        while self._spent and self._spent[0][0] <= since:
            self._spent.popleft()
        return sum(n for _, n in self._spent)

    def _charge(self, _: Request, amount: int) -> None:
        if self._used() + amount > self.credits:
            raise Refused(
                429, "TOO_MANY_REQUESTS", "you have crossed your maximum API limit"
            )
        self._spent.append((self.clock.time(), amount))

    async def _token(self, request: Request) -> Response:
        """Ten tokens in ten minutes, fifteen that live; refusals have status 200."""
        form = {**request.query_params, **(await request.form())}
        now = self.clock.time()
        while self._minted and self._minted[0] <= now - _MINT_SECONDS:
            self._minted.popleft()
        if form.get("client_id") != self.client_id:
            return answer({"error": "invalid_client"})
        if form.get("client_secret") != self.client_secret:
            return answer({"error": "invalid_client_secret"})
        if (
            form.get("grant_type") != "refresh_token"
            or form.get("refresh_token") != self.refresh_token
        ):
            return answer({"error": "invalid_code"})
        if len(self._minted) >= _MINTS:
            return answer(
                {
                    "error_description": "You have made too many requests continuously. "
                    "Please try again after some time.",
                    "error": "Access Denied",
                    "status": "failure",
                },
                400,
            )
        self._minted.append(now)
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self._tokens[token] = now + _TOKEN_LIFE
        for old in list(self._tokens)[1:-_TOKENS]:
            del self._tokens[old]
        return answer(
            {
                "access_token": token,
                "scope": "ZohoCRM.modules.ALL ZohoCRM.settings.ALL",
                "api_domain": self.url,
                "token_type": "Bearer",
                "expires_in": _TOKEN_LIFE,
            }
        )

    async def _org(self, _: Request) -> Response:
        return answer(
            {
                "org": [
                    {
                        "id": "4150868000000225002",
                        "zgid": _ORG,
                        "company_name": "Zylker Kopi",
                        "time_zone": "Asia/Jakarta",
                        "currency": "Indonesian Rupiah - IDR",
                        "iso_code": "IDR",
                        "currency_symbol": "Rp",
                        "country_code": "ID",
                        "primary_email": _PEOPLE[0][3],
                    }
                ]
            }
        )

    async def _users(self, request: Request) -> Response:
        kind = request.query_params.get("type", "AllUsers")
        found = [_user(*p) for p in _PEOPLE]
        if kind == "CurrentUser":
            found = found[:1]
        info = {"per_page": _PAGE, "count": len(found), "page": 1}
        return answer({"users": found, "info": {**info, "more_records": False}})

    async def _modules(self, _: Request) -> Response:
        return answer(
            {
                "modules": [
                    {
                        "api_name": name,
                        "module_name": name,
                        "plural_label": name,
                        "api_supported": True,
                        "editable": True,
                        "creatable": True,
                        "deletable": True,
                        "generated_type": "default",
                        "id": f"41508680000001{n:05}",
                    }
                    for n, name in enumerate(self._store)
                ]
            }
        )

    async def _fields(self, request: Request) -> Response:
        rows = self._of(request.query_params.get("module", ""))
        fields = rows.module.fields
        if request.method == "GET":
            listed = [f.row(n) for n, f in enumerate(fields.values())]
            return answer({"fields": listed})
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

    def _of(self, name: str) -> Rows:
        found = self._store.get(name)
        if found is None:
            raise Refused(
                400,
                "INVALID_MODULE",
                "the module name given seems to be invalid",
                resource_path_index=0,
            )
        return found

    async def _records(self, request: Request) -> Response:
        rows = self._of(request.path_params["module"])
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
        rows = self._of(request.path_params["module"])
        record = request.path_params["id"]
        if request.method == "GET":
            if record not in rows.live:
                return Response(status_code=204)
            names = request.query_params.get("fields")
            asked = names.split(",") if names else rows.module.fields
            return answer({"data": [self._shown(rows, record, asked)]})
        if request.method == "DELETE":
            return self._removed(rows, [record])
        body = orjson.loads(await request.body())
        body["data"][0]["id"] = record
        return await self._written(rows, request, body, update=True)

    def _list(self, rows: Rows, request: Request) -> Response:
        asked = request.query_params
        names = self._asked_fields(asked.get("fields"))
        per_page = _counted(asked.get("per_page"), "per_page", _PAGE, _PAGE)
        order = asked.get("sort_by", "id")
        if order not in _SORTS:
            raise Refused(400, "INVALID_DATA", "invalid data", param_name="sort_by")
        down = asked.get("sort_order", "desc") == "desc"
        found = list(self._visible(rows, asked.get("converted", "false")))
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
        start, page = self._start(asked, bound, per_page)
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
            "page_token_expiry": _instant(until) if more else None,
            "sort_order": "desc" if down else "asc",
            "email": False,
            "more_records": more,
        }
        data = [self._shown(rows, i, names) for i in part]
        return answer({"data": data, "info": info})

    def _start(
        self, asked: Mapping[str, str], bound: str, per_page: int
    ) -> tuple[int, int]:
        """Where a page starts: by its number up to 2,000 records, by token up to 100,000."""
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
        if page * per_page > _PAGED:
            raise Refused(
                400,
                "DISCRETE_PAGINATION_LIMIT_EXCEEDED",
                "You can only get the first 2000 records without using page_token param",
                limit=_PAGED,
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

    @staticmethod
    def _visible(rows: Rows, converted: str) -> Iterable[str]:
        """Leads that were converted are shown to who asks for them."""
        for record, row in rows.live.items():
            was = bool(row.get("Converted__s"))
            if converted == "both" or was == (converted == "true"):
                yield record

    async def _count(self, request: Request) -> Response:
        rows = self._of(request.path_params["module"])
        return answer({"count": sum(1 for _ in self._visible(rows, "false"))})

    async def _search(self, request: Request) -> Response:
        """By e-mail or phone; what was modified in the last moments is not found yet."""
        rows = self._of(request.path_params["module"])
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
        found = [
            i
            for i in self._visible(rows, asked.get("converted", "false"))
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
            self._shown(rows, i, names or rows.module.fields) for i in found[:_PAGE]
        ]
        info = {"per_page": _PAGE, "count": len(data), "page": 1, "more_records": False}
        return answer({"data": data, "info": info})

    async def _coql(self, request: Request) -> Response:
        query = coql.parse(str(orjson.loads(await request.body())["select_query"]))
        rows = self._of(query.module)
        for name in sorted(query.used):
            if name not in rows.module.fields:
                raise coql.CoqlError(
                    "INVALID_QUERY",
                    "Invalid query formed",
                    reason="column given seems to be invalid",
                    column_name=name,
                )
        self._charge(request, _dear(query.limit) - 1)
        found = [r for r in rows.live.values() if query.where(self._joined(rows, r))]
        for name, down in reversed(query.order):
            found.sort(key=lambda r: _rank(coql.value_at(r, name)), reverse=down)
        part = found[query.offset : query.offset + query.limit]
        if not part:
            return Response(status_code=204)
        data = [self._selected(rows, r, query.names) for r in part]
        more = len(found) > query.offset + len(part)
        return answer(
            {"data": data, "info": {"count": len(data), "more_records": more}}
        )

    def _joined(self, rows: Rows, row: Mapping[str, Any]) -> Mapping[str, Any]:
        """A record with the records that its lookups lead to."""
        found = dict(row)
        for kind in rows.module.fields.values():
            to = self._store.get(kind.to)
            if kind.type == "lookup" and to and row.get(kind.name):
                record = row[kind.name]["id"]
                found[kind.name] = {**to.live.get(record, {}), "id": record}
        return found

    def _selected(
        self, rows: Rows, row: Mapping[str, Any], names: Sequence[str]
    ) -> dict[str, Any]:
        joined = self._joined(rows, row)
        found: dict[str, Any] = {"id": row["id"]}
        for name in names:
            head, _, rest = name.partition(".")
            value = row.get(head)
            if rest:
                found[name] = _spelled(coql.value_at(joined, name))
            elif rows.module.fields[head].type in LOOKUPS:
                found[name] = {"id": value["id"]} if value else None
            else:
                found[name] = _spelled(value)
        return found

    async def _deleted(self, request: Request) -> Response:
        rows = self._of(request.path_params["module"])
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
        who = {"name": "Ayu Pratiwi", "id": _PEOPLE[1][0]}
        data = [
            {
                "deleted_by": who if how == "recycle" else None,
                "id": i,
                "display_name": "record" if how == "recycle" else None,
                "type": how,
                "created_by": who if how == "recycle" else None,
                "deleted_time": _instant(when.astimezone(_ZONE)),
            }
            for i, when, how in part
        ]
        more = page * per_page < len(found)
        info = {"per_page": per_page, "count": len(data), "page": page}
        return answer({"data": data, "info": {**info, "more_records": more}})

    async def _upsert(self, request: Request) -> Response:
        rows = self._of(request.path_params["module"])
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
        listed = body["data"]
        if len(listed) > _ROWS:
            raise Refused(400, "LIMIT_EXCEEDED", "limit exceeded", limit=_ROWS)
        self._charge(request, -(-len(listed) // 10) - 1)
        unmoved = request.headers.get("if-unmodified-since")
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
        if unmoved and there:
            moved = rows.live[there]["Modified_Time"]
            if moved > datetime.fromisoformat(unmoved):
                raise Refused(412, "ALREADY_MODIFIED", "record has been modified")
        sound = self._sound(rows, fields, there, row=n)
        made = self._put(rows.module.name, there, sound)
        row = rows.live[made]
        action = {} if checks is None else {"action": "update" if there else "insert"}
        if checks is not None:
            action["duplicate_field"] = matched  # type: ignore[assignment]
        details = {
            "Modified_Time": _instant(row["Modified_Time"]),
            "Modified_By": _named(row["Modified_By"]),
            "Created_Time": _instant(row["Created_Time"]),
            "id": made,
            "Created_By": _named(row["Created_By"]),
        }
        message = "record updated" if there else "record added"
        return {**_success(message, details), **action}

    def _sound(
        self,
        rows: Rows,
        fields: Mapping[str, Any],
        record: str | None,
        *,
        row: int = 0,
    ) -> dict[str, Any]:
        """A row's fields as they will be kept.

        Raises:
            Refused: with the code, the field and the place of the row.
        """
        found: dict[str, Any] = {}
        for name, value in fields.items():
            kind = rows.module.fields.get(name)
            if kind is None or kind.read_only:
                continue  # Zoho ignores what it does not know and what may not be written
            at = {"api_name": name, "json_path": f"$.data[{row}].{name}"}
            if kind.type in LOOKUPS:
                found[name] = self._looked_up(kind, value, at)
                continue
            try:
                found[name] = taken(value, kind)
            except Invalid as e:
                raise Refused(
                    400, "INVALID_DATA", "invalid data", **e.details, **at
                ) from None
        self._check_mandatory(rows, found, record, row)
        for name, kind in rows.module.fields.items():
            if kind.unique and found.get(name):
                held = rows.holder(name, found[name], but=record or "")
                if held:
                    raise Refused(
                        400,
                        "DUPLICATE_DATA",
                        "duplicate data",
                        api_name=name,
                        json_path=f"$.data[{row}].{name}",
                        duplicate_record={
                            "id": held,
                            "module": {"api_name": rows.module.name},
                        },
                        more_records=False,
                    )
        return found

    def _looked_up(
        self, kind: FieldKind, value: Any, at: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        if value is None or value == "":
            return None
        record = str(value["id"] if isinstance(value, Mapping) else value)
        known = (
            {p[0] for p in _PEOPLE} if kind.to == "users" else self._store[kind.to].live
        )
        if record not in known:
            raise Refused(
                400, "INVALID_DATA", "invalid data", expected_data_type="lookup", **at
            )
        return {"id": record}

    @staticmethod
    def _check_mandatory(
        rows: Rows, found: Mapping[str, Any], record: str | None, row: int
    ) -> None:
        for kind in rows.module.fields.values():
            if not kind.mandatory:
                continue
            blank = found.get(kind.name) is None
            if blank and (record is None or kind.name in found):
                raise Refused(
                    400,
                    "MANDATORY_NOT_FOUND",
                    "required field not found",
                    api_name=kind.name,
                    json_path=f"$.data[{row}].{kind.name}",
                )

    def _put(
        self,
        module: str,
        record: str | None,
        fields: Mapping[str, Any],
        *,
        by: str = _PEOPLE[0][0],
        at: datetime | None = None,
    ) -> str:
        """Keep a record; stamps are of whole seconds."""
        rows = self._store[module]
        now = (at or self.clock.now()).replace(microsecond=0)
        if record is None:
            record = f"415086800000{self._next:07}"
            self._next += 1
            rows.live[record] = {
                **dict.fromkeys(rows.module.fields),
                "id": record,
                "Owner": {"id": by},
                "Created_By": {"id": by},
                "Created_Time": now,
            }
        row = rows.live[record]
        row.update(fields)
        row.update({"Modified_By": {"id": by}, "Modified_Time": now})
        if module == "Deals" and fields.get("Stage"):
            row["Probability"] = fields.get("Probability", PROBABILITY[row["Stage"]])
            row["Expected_Revenue"] = (
                (row.get("Amount") or 0) * row["Probability"] / 100
            )
        return record

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
            self._bin(rows, record)
            told.append(_success("record deleted", {"id": record}))
        refused = sum(r["status"] == "error" for r in told)
        status = 200 if not refused else 400 if refused == len(told) else 207
        return answer({"data": told}, status)

    def _bin(self, rows: Rows, record: str) -> None:
        at = self.clock.now().replace(microsecond=0)
        rows.bin[record] = (at, "recycle", rows.live.pop(record))

    def _restore(self, rows: Rows, record: str) -> None:
        _, _, row = rows.bin.pop(record)
        rows.live[record] = row
        row["Modified_Time"] = self.clock.now().replace(microsecond=0)

    async def _convert(self, request: Request) -> Response:
        """A lead becomes a contact and an account, or joins those that are named."""
        leads = self._of("Leads")
        record = request.path_params["id"]
        body = orjson.loads(await request.body())["data"][0]
        lead = leads.live.get(record)
        if lead is None or lead.get("Converted__s"):
            raise Refused(
                400, "INVALID_DATA", "the id given seems to be invalid", id=record
            )
        self._charge(request, 4)
        made = self.convert(
            record,
            contact=(body.get("Contacts") or {}).get("id"),
            account=(body.get("Accounts") or {}).get("id"),
        )
        details = {
            module: {"name": self._title(module, i), "id": i}
            for module, i in made.items()
        }
        return answer(
            {"data": [_success("The record has been converted successfully", details)]}
        )

    def convert(
        self, record: str, *, contact: str | None = None, account: str | None = None
    ) -> dict[str, str]:
        """Convert a lead; the ids of the contact and the account it became, by module."""
        leads, by = self._store["Leads"], _PEOPLE[1][0]
        lead = leads.live[record]
        if account is None:
            account = self._store["Accounts"].holder("Account_Name", lead["Company"])
        if account is None:
            account = self._put(
                "Accounts", None, {"Account_Name": lead["Company"]}, by=by
            )
        if contact is None:
            fields = {
                "First_Name": lead.get("First_Name"),
                "Last_Name": lead["Last_Name"],
                "Email": lead.get("Email"),
                "Phone": lead.get("Phone"),
                "Title": lead.get("Designation"),
                "Mailing_City": lead.get("City"),
                "Mailing_Country": lead.get("Country"),
                "Account_Name": {"id": account},
            }
            contact = self._put("Contacts", None, fields, by=by)
        self._put(
            "Leads",
            record,
            {
                "Converted__s": True,
                "Converted_Contact": {"id": contact},
                "Converted_Account": {"id": account},
                "Converted_Date_Time": self.clock.now().replace(microsecond=0),
            },
            by=by,
        )
        return {"Contacts": contact, "Accounts": account}

    def _title(self, module: str, record: str) -> str:
        rows = self._store[module]
        return str(rows.live[record].get(rows.module.titled) or "")

    def _shown(self, rows: Rows, record: str, names: Iterable[str]) -> dict[str, Any]:
        """A record as the API shows it; unknown names are left out."""
        row = rows.live[record]
        found: dict[str, Any] = {"id": record}
        for name in names:
            kind = rows.module.fields.get(name)
            if kind is None or name == "id":
                continue
            value = row.get(name)
            if value is None:
                found[name] = None
            elif kind.to == "users":
                found[name] = _named(value)
            elif kind.type in LOOKUPS:
                title = ""
                if value["id"] in self._store[kind.to].live:
                    title = self._title(kind.to, value["id"])
                found[name] = {"name": title, "id": value["id"]}
            else:
                found[name] = _spelled(value)
        return found


_VERBS = ["GET", "POST", "PUT", "DELETE"]
_ONE = ["GET", "PUT", "DELETE"]


def _refusal(e: Refused) -> Response:
    return answer(e.body, e.status)


def _success(message: str, details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "code": "SUCCESS",
        "details": dict(details),
        "message": message,
        "status": "success",
    }


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


def _instant(at: datetime) -> str:
    """Whole seconds with the organization's offset."""
    return at.astimezone(_ZONE).isoformat(timespec="seconds")


def _spelled(value: Any) -> Any:
    return _instant(value) if isinstance(value, datetime) else value


def _dear(limit: int) -> int:
    """Credits of a query: one for 200 rows, two for 1,000, three for 2,000."""
    return 1 + (limit > _PAGE) + (limit > 5 * _PAGE)


def _rank(value: Any) -> tuple[bool, Any]:
    """Nulls first; ids in the order of their numbers."""
    if isinstance(value, str) and value.isdigit():
        return True, int(value)
    return value is not None, value


def _named(who: Mapping[str, Any]) -> dict[str, Any]:
    found = next((p for p in _PEOPLE if p[0] == who["id"]), _PEOPLE[0])
    return {"name": f"{found[1]} {found[2]}", "id": found[0], "email": found[3]}


def _user(record: str, given: str, family: str, email: str) -> dict[str, Any]:
    return {
        "id": record,
        "first_name": given,
        "last_name": family,
        "full_name": f"{given} {family}",
        "email": email,
        "status": "active",
        "confirm": True,
        "role": {"name": "CEO", "id": "4150868000000026005"},
        "profile": {"name": "Administrator", "id": "4150868000000026011"},
        "locale": "en_US",
        "time_zone": "Asia/Jakarta",
        "offset": 25_200_000,
    }
