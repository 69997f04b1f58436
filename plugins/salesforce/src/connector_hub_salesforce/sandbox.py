"""A Salesforce org behind HTTP: contacts, leads and accounts under ``/services/data``.

What it does it does as the vendor's documents say; doubts stand in the plugin's README.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from connector_hub.testing.people import companies, people
from connector_hub.testing.sandbox import Sandbox, answer
from connector_hub_salesforce import accounts, objects, soql
from connector_hub_salesforce.accounts import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    Accounts,
)
from connector_hub_salesforce.bulkjobs import Jobs
from connector_hub_salesforce.calls import Call, Reply, not_allowed, nowhere, only
from connector_hub_salesforce.ids import is_id, long_id
from connector_hub_salesforce.objects import Kind
from connector_hub_salesforce.org import ORG, PERSON, ROBOT, Org, Row
from connector_hub_salesforce.refused import Refused

__all__ = ["CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN", "SalesforceSandbox"]
EVENTS_TOKEN = "sandbox-events-7a31"  # noqa: S105 - of the sandbox
KEY_FIELD = "Connector_Hub_Id__c"
KEYED = (
    *("Contact", "Account", "Lead", "Opportunity", "OpportunityLineItem"),
    *("Product2", "Order", "OrderItem", "Task", "Campaign", "CampaignMember"),
    *("OpportunityContactRole", "Project__c"),
)
"""Objects that are born with the key field."""
_OLDEST, _NEWEST, _NOW = 50, 67, 66
_SESSION = 7_200.0
_DAY = 86_400.0
_CURSOR = 2 * _DAY
_CURSORS = 64
_PAGE, _LEAST_PAGE, _CELLS = 2_000, 200, 60_000
_ROWS, _RETRIEVE, _RETRIEVE_GET = 200, 2_000, 800
_SUBREQUESTS, _SUBQUERIES = 25, 5
_EVENTS = 100
_GRAPHS, _NODES = 75, 500
_BAD = 400
_URI = 16_384
_DELETED_DAYS = 15
_DATE = "Tue, 24 Nov 2026 00:00:00 GMT"
_BORN = datetime(2024, 1, 1, 8, tzinfo=UTC)
"""When the records of birth were made: long before any pull looks back to."""
_REF = re.compile(r"@\{([\w.\[\]]+)\}")
_STEP = re.compile(r"(\w+)|\[(\d+)\]")
_TYPES = {"lead": "Prospect", "customer": "Customer - Direct"}


@dataclass(slots=True)
class Cursor:
    """Rows of a query that wait to be fetched: the ids as they were, in order."""

    kind: Kind
    ids: Sequence[str]
    paths: tuple[str, ...]
    rows: int
    born: float
    deleted: bool


class SalesforceSandbox(Sandbox):
    """Salesforce's REST API: objects, SOQL, collections, composite, describe, tokens.

    ``daily``: calls per 24 hours. ``duplicate_rule``: a rule that refuses new
    records with an e-mail that is there already. ``assignment_rules``: rules that give
    leads and accounts to a person, unless a call keeps them still. ``rotation``: each use of
    a refresh token gives another one, and the old one dies. ``bulk_seconds``: how long the vendor
    works on a job.
    """

    name: ClassVar[str] = "salesforce"
    access_token = "00DgK0000000E3f!AQ0AQsandbox.session.0123456789"  # noqa: S105 - of the sandbox
    daily = 100_000
    duplicate_rule = False
    assignment_rules = False
    rotation = False
    bulk_seconds = 2.0
    org_id = long_id(ORG)

    def routes(self) -> Sequence[Route]:
        """Tokens, versions and one door for everything under a version."""
        return [
            *accounts.routes(lambda: self.accounts),
            Route("/services/oauth2/userinfo", self._userinfo, methods=["GET", "POST"]),
            Route("/services/data", self._versions, methods=["GET"]),
            Route("/services/data/", self._versions, methods=["GET"]),
            Route(
                "/services/data/{rest:path}",
                self._enter,
                methods=["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"],
            ),
        ]

    def seed_data(self) -> None:
        """Companies first, then people at work in them."""
        self.org = Org(lambda: _BORN)
        self._sessions = {self.access_token: self.clock.time()}
        self._minted = 0
        self.accounts = Accounts(
            self.clock, self._sessions, self.seed, lambda: self.rotation
        )
        self._cursors: dict[str, Cursor] = {}
        self._calls_made: deque[float] = deque()
        self.jobs = Jobs(self.org, self.clock, lambda: self.bulk_seconds)
        if self.prepared:
            for name in KEYED:
                made = objects.custom(KEY_FIELD, _KEY_METADATA)
                self.org.add_field(self.org.kinds[name], made)
        ids = [
            self.org.insert(
                self.org.kinds["Account"],
                {
                    "Name": c.name,
                    "Website": c.domain,
                    "Phone": c.phone,
                    "BillingCity": c.city,
                    "BillingCountry": c.country,
                    "Type": _TYPES.get(c.stage, "Prospect"),
                },
                by=PERSON,
            )
            for c in companies(self.companies, self.seed)
        ]
        self._hire(ids)
        self.org.now = self.clock.now
        self.org.duplicate_rule = self.duplicate_rule

    def _hire(self, accounts: Sequence[str]) -> None:
        """Contacts; who has one name has it as the last, which Salesforce requires."""
        kind = self.org.kinds["Contact"]
        for p in people(self.records, self.seed, len(accounts), messy=self.messy):
            body = {
                "FirstName": p.given if p.family else None,
                "LastName": p.family or p.given,
                "Email": p.email,
                "Phone": p.phone,
                "Title": p.title,
                "MailingCity": p.city,
                "MailingCountry": p.country,
            }
            if p.company is not None:
                body["AccountId"] = accounts[p.company]
            self.org.insert(kind, self.org.values(kind, body), by=PERSON)

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection."""
        return {
            "connector": "salesforce",
            "base_url": self.url,
            "client_id": CLIENT_ID,
            "client_secret": "env:SALESFORCE_CLIENT_SECRET",
        }

    def env(self) -> dict[str, str]:
        """The secret's variable."""
        return {"SALESFORCE_CLIENT_SECRET": CLIENT_SECRET}

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Change a field in Setup; one that is hidden by field-level security is ``gone``, too."""
        self.org.alter_field(self.org.kinds[resource], field, change)

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Live records with every field of the object."""
        self.jobs.work()
        kind = self.org.kinds[resource]
        call = Call("GET", f"v{_NOW}.0", ())
        names = tuple(kind.fields)
        rows = self.org.tables[resource].rows.values()
        return self._shown(call, kind, names, rows)

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit: no Id creates, MasterRecordId merges, IsConverted converts.

        IsDeleted deletes, or brings back from the recycle bin where it is false.
        """
        kind = self.org.kinds[resource]
        record = body.get("Id")
        table = self.org.tables[resource]
        back = body.get("IsDeleted") is False
        if record is not None and long_id(record) not in (
            table.bin if back else table.rows
        ):
            raise KeyError(f"{resource} {record}")
        try:
            if back and record is not None:
                self.org.undelete(kind, str(record), by=PERSON)
                return self._as_edited(kind, str(record))
            if body.get("IsDeleted"):
                self.org.delete(kind, str(record), by=PERSON)
                return {"Id": record, "IsDeleted": True}
            if body.get("MasterRecordId"):
                self.org.merge(kind, str(record), body["MasterRecordId"], by=PERSON)
                return {"Id": record, "IsDeleted": True} | body
            if body.get("IsConverted"):
                self.org.convert(
                    str(record),
                    by=PERSON,
                    account=body.get("ConvertedAccountId"),
                    contact=body.get("ConvertedContactId"),
                    opportunity=body.get("OpportunityName"),
                )
                return self._as_edited(kind, str(record))
            values = self.org.values(kind, body)
            settable = {
                n: v
                for n, v in values.items()
                if kind.fields[n].createable or kind.fields[n].updateable
            }
            if record is None:
                record = self.org.insert(kind, settable, by=PERSON, allow_save=True)
            else:
                self.org.update(kind, str(record), settable, by=PERSON)
        except Refused as e:
            raise ValueError(f"{e.code}: {e.message}") from None
        return self._as_edited(kind, str(record))

    def _as_edited(self, kind: Kind, record: str) -> dict[str, Any]:
        call = Call("GET", f"v{_NOW}.0", ())
        row = self.org.row(kind, record)
        return self._shown(call, kind, tuple(kind.fields), [row])[0]

    def lock(self, record: str, times: int = 1) -> None:
        """Another transaction holds a record: so many writes that touch it meet UNABLE_TO_LOCK_ROW."""
        self.org.locked[long_id(record)] = times

    async def send_webhooks(
        self,
        url: str,
        *,
        double: bool = False,
        shuffle: bool = False,
        late_s: float = 0.0,
    ) -> list[int]:
        """Pass change events on, as a subscriber would; the first time only the subscription begins.

        Changes of one kind to one object in one second share an event. What is not taken is lost: a
        subscriber that wants it again asks for it by its replay id.
        """
        waiting, self.org.changes = self.org.changes or [], []
        await asyncio.sleep(late_s)
        together: dict[tuple[str, ...], list[str]] = {}
        for kind, record, *rest in waiting:
            together.setdefault((kind, *rest), []).append(record)
        told = [
            self._event(n, *k, ids=ids) for n, (k, ids) in enumerate(together.items())
        ]
        if shuffle:
            random.Random(self.seed).shuffle(told)  # noqa: S311 - an order, not a secret
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {EVENTS_TOKEN}",
        }
        batches = [told[i : i + _EVENTS] for i in range(0, len(told), _EVENTS)]
        return [
            await self.deliver(url, orjson.dumps(batch), headers)
            for batch in batches * (2 if double else 1)
        ]

    def _event(
        self, n: int, kind: str, change: str, by: str, stamp: str, *, ids: list[str]
    ) -> dict[str, Any]:
        """A change event; a gap where there are more records than one may carry."""
        client = "connector-hub" if by == long_id(ROBOT) else "SfdcInternalAPI/"
        at = datetime.fromisoformat(stamp)
        header = {
            "entityName": kind,
            "recordIds": ids,
            "changeType": change if len(ids) <= _EVENTS else f"GAP_{change}",
            "changeOrigin": f"com/salesforce/api/rest/{_NOW}.0;client={client}",
            "transactionKey": f"0001ade9-3f74-0b99-dbc4-{n:012}",
            "sequenceNumber": 1,
            "commitTimestamp": int(at.timestamp() * 1000),
            "commitNumber": int(at.timestamp() * 1000) + n,
            "commitUser": by,
            "nulledFields": [],
            "diffFields": [],
            "changedFields": [],
        }
        return {"ChangeEventHeader": header}

    def expire_cursors(self) -> None:
        """Every page's cursor is lost, as after two days."""
        self._cursors.clear()

    # -- tokens --------------------------------------------------------------

    def _signed_in(self, request: Request) -> bool:
        """Whether the token is good; using it prolongs its session."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        last = self._sessions.get(token)
        if scheme not in {"Bearer", "OAuth"} or last is None:
            return False
        now = self.clock.time()
        if now - last > _SESSION:
            del self._sessions[token]
            return False
        self._sessions[token] = now
        return True

    async def _userinfo(self, request: Request) -> Response:
        if not self._signed_in(request):
            return PlainTextResponse("Bad_OAuth_Token", 403)
        user = self.org.tables["User"].rows[long_id(ROBOT)]
        here = accounts.origin(request)
        return answer(
            {
                "sub": f"{here}/id/{self.org_id}/{long_id(ROBOT)}",
                "user_id": long_id(ROBOT),
                "organization_id": self.org_id,
                "preferred_username": user["Username"],
                "nickname": user["Name"],
                "name": user["Name"],
                "email": user["Email"],
                "email_verified": True,
                "zoneinfo": "Asia/Jakarta",
                "locale": "en_US",
                "language": "en_US",
                "active": True,
                "user_type": "STANDARD",
                "urls": {
                    "rest": f"{here}/services/data/v{{version}}/",
                    "custom_domain": here,
                },
            }
        )

    async def _versions(self, _: Request) -> Response:
        return answer(
            [
                {
                    "label": f"Release {n}",
                    "url": f"/services/data/v{n}.0",
                    "version": f"{n}.0",
                }
                for n in range(_OLDEST, _NEWEST + 1)
            ]
        )

    # -- the door ------------------------------------------------------------

    async def _enter(self, request: Request) -> Response:
        """Length, session, limit, then the call itself."""
        raw = request.scope.get("raw_path", b"") + request.scope["query_string"]
        if len(raw) > _URI:
            return PlainTextResponse("URI Too Long", 414)
        if not self._signed_in(request):
            error = Refused("INVALID_SESSION_ID", "Session expired or invalid").error()
            return answer([error], 401)
        used = self._used()
        if used >= self.daily:
            spent = Refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            return answer([spent.error()], 403)
        self._calls_made.append(self.clock.time())
        reply = self._carry_out(await _call(request))
        headers = {
            **reply.headers,
            "Sforce-Limit-Info": f"api-usage={used + 1}/{self.daily}",
        }
        if isinstance(reply.body, str):
            return Response(reply.body, reply.status, headers, "text/csv")
        return answer(reply.body, reply.status, headers)

    def _used(self) -> int:
        """Calls of the last 24 hours."""
        oldest = self.clock.time() - _DAY
        while self._calls_made and self._calls_made[0] < oldest:
            self._calls_made.popleft()
        return len(self._calls_made)

    def _carry_out(self, call: Call | Refused) -> Reply:
        """A call's answer; a refusal is a list of one error."""
        try:
            if isinstance(call, Refused):
                raise call
            return self._route(call)
        except Refused as e:
            return Reply(e.status, [e.error()])
        except (KeyError, TypeError, AttributeError, ValueError) as e:
            error = Refused("JSON_PARSER_ERROR", f"unreadable body: {type(e).__name__}")
            return Reply(400, [error.error()])

    def _route(self, call: Call) -> Reply:
        handlers: Mapping[str, Callable[[Call], Reply]] = {
            "": self._home,
            "sobjects": self._sobjects,
            "query": self._query,
            "queryall": self._query,
            "limits": self._limits,
            "composite": self._composite,
            "tooling": self._tooling,
            "jobs": self.jobs.answer,
        }
        word = call.path[0].lower() if call.path else ""
        handler = handlers.get(word)
        if handler is None:
            raise nowhere()
        return handler(call)

    def _home(self, call: Call) -> Reply:
        names = (
            *("sobjects", "query", "queryAll", "limits", "composite", "tooling"),
            "jobs",
        )
        found = {n: f"{call.base}/{n}" for n in names}
        identity = f"{self.url}/id/{self.org_id}/{long_id(ROBOT)}"
        return Reply(200, {**found, "identity": identity})

    def _limits(self, call: Call) -> Reply:
        if call.path[1:] == ("recordCount",):
            return self._counts(call)
        left = {"Max": self.daily, "Remaining": max(self.daily - self._used(), 0)}
        return Reply(
            200,
            {
                "DailyApiRequests": left,
                **self.jobs.left(),
                "DataStorageMB": {"Max": 1_024, "Remaining": 1_000},
            },
        )

    def _counts(self, call: Call) -> Reply:
        """How many live records there are, by object."""
        asked = [n for n in call.params.get("sObjects", "").split(",") if n]
        rows = [
            {"count": len(self.org.tables[k].rows), "name": k}
            for k in self.org.kinds
            if not asked or k in asked
        ]
        return Reply(200, {"sObjects": rows})

    # -- objects -------------------------------------------------------------

    def _sobjects(self, call: Call) -> Reply:
        match call.path[1:]:
            case ():
                only(call, "GET")
                listed = [k.summary(call.base) for k in self.org.kinds.values()]
                return Reply(
                    200, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed}
                )
            case (name,):
                return self._object(call, self.org.kind(name))
            case (name, "describe"):
                only(call, "GET")
                return self._describe(call, self.org.kind(name))
            case (name, ("deleted" | "updated") as which):
                only(call, "GET")
                return self._moved(call, self.org.kind(name), which)
            case (name, record):
                return self._record(call, self.org.kind(name), record)
            case (name, key, *value):
                return self._by_key(call, self.org.kind(name), key, "/".join(value))
        raise nowhere()

    def _object(self, call: Call, kind: Kind) -> Reply:
        if call.method == "GET":
            summary = kind.summary(call.base)
            return Reply(200, {"objectDescribe": summary, "recentItems": []})
        only(call, "POST")
        return self._create(call, kind, self.org.values(kind, call.body))

    def _assigned(self, call: Call, kind: Kind, values: Row) -> Row:
        """``Sforce-Auto-Assign``: rules are applied to accounts and leads unless it says FALSE."""
        still = call.headers.get("sforce-auto-assign", "").upper() == "FALSE"
        if not self.assignment_rules or still or kind.name not in {"Account", "Lead"}:
            return values
        return values | {"OwnerId": long_id(PERSON)}

    def _create(self, call: Call, kind: Kind, values: Row) -> Reply:
        values = self._assigned(call, kind, values)
        record = self.org.insert(kind, values, allow_save=_allow_save(call))
        at = {"Location": f"{call.base}/sobjects/{kind.name}/{record}"}
        return Reply(201, _written(record), at)

    def _describe(self, call: Call, kind: Kind) -> Reply:
        if call.headers.get("if-modified-since") == _DATE:
            return Reply(304)
        body = kind.summary(call.base)
        body["fields"] = [f.row() for f in kind.fields.values()]
        return Reply(200, body, {"Last-Modified": _DATE})

    def _record(self, call: Call, kind: Kind, record: str) -> Reply:
        try:
            row = self.org.row(kind, record)
        except Refused as e:
            if e.code == "INVALID_CROSS_REFERENCE_KEY":
                raise Refused(
                    "NOT_FOUND", "The requested resource does not exist", status=404
                ) from None
            raise
        return self._one(call, kind, row)

    def _one(self, call: Call, kind: Kind, row: Row) -> Reply:
        changed = datetime.fromisoformat(row["LastModifiedDate"])
        self._unmodified(call, changed)
        match call.method:
            case "GET" | "HEAD":
                names = self._asked(kind, call.params.get("fields"))
                shown = self._shown(call, kind, names, [row])[0]
                at = {"Last-Modified": format_datetime(changed, usegmt=True)}
                return Reply(200, shown, at)
            case "PATCH":
                values = self._assigned(call, kind, self.org.values(kind, call.body))
                self.org.update(kind, row["Id"], values)
                return Reply(204)
            case "DELETE":
                self.org.delete(kind, row["Id"])
                return Reply(204)
        raise not_allowed(call)

    def _unmodified(self, call: Call, changed: datetime) -> None:
        """``If-Unmodified-Since`` (RFC 9110, 13.1.4); Salesforce does not heed it for DELETE."""
        since = call.headers.get("if-unmodified-since")
        if not since or call.method == "DELETE":
            return
        try:
            at = parsedate_to_datetime(since)
        except ValueError:
            return
        if changed > at:
            raise Refused("PRECONDITION_FAILED", "precondition failed", status=412)

    def _asked(self, kind: Kind, fields: str | None) -> tuple[str, ...]:
        """Names of a ``fields`` parameter, all where there is none.

        Raises:
            Refused: INVALID_FIELD.
        """
        if not fields:
            return tuple(kind.fields)
        return self._known(kind, [n.strip() for n in fields.split(",") if n.strip()])

    def _known(self, kind: Kind, names: Iterable[str]) -> tuple[str, ...]:
        found = []
        for name in names:
            if "." in name or name.lower() not in kind.lower:
                raise Refused(
                    "INVALID_FIELD",
                    f"No such column '{name}' on sobject of type {kind.name}",
                )
            found.append(kind.lower[name.lower()].name)
        return tuple(dict.fromkeys(("Id", *found)))

    def _by_key(self, call: Call, kind: Kind, key: str, value: str) -> Reply:
        """A record by external id; several make 300 and change nothing."""
        f = self._key(kind, key)
        there = self.org.by_value(kind, f, value)
        if len(there) > 1:
            urls = [f"{call.base}/sobjects/{kind.name}/{i}" for i in there]
            return Reply(300, urls)
        if call.method in {"PATCH", "POST"}:
            values = self.org.values(kind, call.body)
            if f.name in values:
                raise Refused(
                    "INVALID_FIELD",
                    f"The {f.name} field should not be specified in the sobject data.",
                )
            return self._upsert(call, kind, there, values | {f.name: value})
        if not there:
            raise Refused(
                "NOT_FOUND", "The requested resource does not exist", status=404
            )
        return self._one(call, kind, self.org.row(kind, there[0]))

    def _key(self, kind: Kind, key: str) -> objects.Field:
        f = kind.lower.get(key.lower())
        if f is None or not (f.external or f.id_lookup or f.type == "id"):
            raise Refused(
                "NOT_FOUND",
                f"Provided external ID field does not exist or is not accessible: "
                f"{key}",
                status=404,
            )
        return f

    def _upsert(
        self, call: Call, kind: Kind, there: Sequence[str], values: Row
    ) -> Reply:
        if not there:
            if call.flag("updateOnly"):
                raise Refused(
                    "NOT_FOUND", "The requested resource does not exist", status=404
                )
            values.pop("Id", None)
            reply = self._create(call, kind, values)
            return replace(reply, body={**reply.body, "created": True})
        self.org.update(kind, there[0], self._assigned(call, kind, values))
        return Reply(200, {**_written(there[0]), "created": False})

    def _moved(self, call: Call, kind: Kind, which: str) -> Reply:
        """``deleted`` and ``updated``: 15 days back at most; seconds do not count."""
        start, end = (_minute(call.params.get(n, "")) for n in ("start", "end"))
        now = self.clock.now()
        earliest = now - timedelta(days=_DELETED_DAYS)
        if end <= start:
            raise Refused("INVALID_REPLICATION_DATE", "end must be later than start")
        if start < earliest - timedelta(minutes=1):
            raise Refused(
                "INVALID_REPLICATION_DATE",
                "startDate before org replication enabled date",
            )
        first, last = soql.stamp(start), soql.stamp(end)
        rows = [
            row
            for row in self.org.everything(kind)
            if row["IsDeleted"] == (which == "deleted")
            and first <= row["SystemModstamp"] < last
        ]
        covered = soql.stamp(min(end, now).replace(second=0, microsecond=0))
        if which == "updated":
            ids = [r["Id"] for r in rows]
            return Reply(200, {"ids": ids, "latestDateCovered": covered})
        gone = [{"id": r["Id"], "deletedDate": r["SystemModstamp"]} for r in rows]
        return Reply(
            200,
            {
                "deletedRecords": gone,
                "earliestDateAvailable": soql.stamp(earliest.replace(microsecond=0)),
                "latestDateCovered": covered,
            },
        )

    # -- queries -------------------------------------------------------------

    def _query(self, call: Call) -> Reply:
        only(call, "GET")
        deleted = call.path[0].lower() == "queryall"
        if len(call.path) > 1:
            return self._more(call, call.path[1])
        q = soql.parse(call.params.get("q", ""))
        kind = self.org.kind_of(q)
        paths = self._paths(q, kind)
        rows = self.org.matching(q, kind, deleted=deleted)
        if q.count:
            return self._counted(q, kind, rows)
        cursor = Cursor(
            kind,
            [r["Id"] for r in rows],
            paths,
            _page_size(call, len(paths)),
            self.clock.time(),
            deleted,
        )
        return self._page(call, cursor, 0, "")

    def _paths(self, q: soql.Query, kind: Kind) -> tuple[str, ...]:
        if q.fields:
            custom = q.fields == "custom"
            return tuple(
                n
                for n in kind.fields
                if q.fields == "all" or n.endswith("__c") == custom
            )
        for path, at in q.paths:
            if self.org.resolve(kind.name, path) is None:
                raise soql.no_column(q.text, at, path, kind.name)
        return tuple(path for path, _ in q.paths)

    def _counted(
        self, q: soql.Query, kind: Kind, rows: Sequence[Mapping[str, Any]]
    ) -> Reply:
        if q.count == "*":
            return Reply(200, {"totalSize": len(rows), "done": True, "records": []})
        if self.org.resolve(kind.name, q.count) is None:
            raise soql.no_column(q.text, 0, q.count, kind.name)
        get = self.org.getter(kind.name, q.count)
        number = sum(get(row) is not None for row in rows)
        row = {"attributes": {"type": "AggregateResult"}, "expr0": number}
        return Reply(200, {"totalSize": 1, "done": True, "records": [row]})

    def _more(self, call: Call, locator: str) -> Reply:
        name, _, start = locator.rpartition("-")
        cursor = self._cursors.get(name)
        old = cursor is not None and self.clock.time() - cursor.born > _CURSOR
        if cursor is None or old or not start.isdigit():
            raise Refused("INVALID_QUERY_LOCATOR", "invalid query locator")
        return self._page(call, cursor, int(start), name)

    def _page(self, call: Call, cursor: Cursor, start: int, name: str) -> Reply:
        end = start + cursor.rows
        part = cursor.ids[start:end]
        table = self.org.tables[cursor.kind.name]
        rows: Iterable[Row] = (table.rows[i] for i in part if i in table.rows)
        if cursor.deleted:
            every = (table.rows.get(i) or table.bin.get(i) for i in part)
            rows = (r for r in every if r is not None)
        body: dict[str, Any] = {"totalSize": len(cursor.ids), "done": True}
        if end < len(cursor.ids):
            name = name or self._keep(cursor)
            body["done"] = False
            body["nextRecordsUrl"] = f"{call.base}/query/{name}-{end}"
        body["records"] = self._shown(call, cursor.kind, cursor.paths, rows)
        return Reply(200, body)

    def _keep(self, cursor: Cursor) -> str:
        """A name for a cursor; the oldest makes room."""
        self._minted += 1
        name = f"0r8xx{hashlib.sha256(str(self._minted).encode()).hexdigest()[:13]}"
        self._cursors[name] = cursor
        while len(self._cursors) > _CURSORS:
            del self._cursors[next(iter(self._cursors))]
        return name

    def _shown(
        self, call: Call, kind: Kind, paths: Sequence[str], rows: Iterable[Row]
    ) -> list[dict[str, Any]]:
        """Rows as answers have them: attributes first, other records' fields nested."""
        near = [kind.lower[p.lower()].name for p in paths if "." not in p]
        far = [p for p in paths if "." in p]
        compound = [n for n in near if kind.fields[n].type in objects.COMPOUND]
        at = f"{call.base}/sobjects/{kind.name}/"
        shown = []
        for row in rows:
            found: dict[str, Any] = {
                "attributes": {"type": kind.name, "url": at + row["Id"]}
            }
            get = row.get
            for n in near:
                found[n] = get(n)
            for n in compound:
                found[n] = _address(row, n.removesuffix("Address"))
            for path in far:
                self._reach(call, kind, found, row, path)
            shown.append(found)
        return shown

    def _reach(
        self, call: Call, kind: Kind, found: dict[str, Any], row: Row, path: str
    ) -> None:
        """A dotted path: the other record's part, null where the lookup is empty."""
        *through, last = path.split(".")
        for step in through:
            lookup = kind.relations[step.lower()]
            if lookup.also_refers:
                self._reach_any(call, lookup, found, row, last)
                return
            kind = self.org.kinds[lookup.refers_to]
            name = lookup.relationship
            there = self.org.tables[kind.name].rows.get(row.get(lookup.name) or "")
            if there is None:
                found[name] = None
                return
            at = f"{call.base}/sobjects/{kind.name}/{there['Id']}"
            found = found.setdefault(
                name, {"attributes": {"type": kind.name, "url": at}}
            )
            row = there
        f = kind.lower[last.lower()]
        found[f.name] = row.get(f.name)

    def _reach_any(
        self,
        call: Call,
        lookup: objects.Field,
        found: dict[str, Any],
        row: Row,
        last: str,
    ) -> None:
        """A polymorphic lookup's part: which object's it is, and its name."""
        record = row.get(lookup.name)
        there = self.org.kind_by_id(record or "")
        if record is None or there is None:
            found[lookup.relationship] = None
            return
        get = self.org.getter(
            self.org.kind_by_id(row["Id"]).name,  # type: ignore[union-attr]
            f"{lookup.relationship}.{last}",
        )
        at = f"{call.base}/sobjects/{there.name}/{record}"
        part = found.setdefault(
            lookup.relationship, {"attributes": {"type": there.name, "url": at}}
        )
        part[last[0].upper() + last[1:].lower()] = get(row)

    # -- collections ---------------------------------------------------------

    def _composite(self, call: Call) -> Reply:
        match call.path[1:]:
            case ():
                only(call, "POST")
                return self._subrequests(call)
            case ("batch",):
                only(call, "POST")
                return self._batch(call)
            case ("graph",):
                only(call, "POST")
                return self._graphs(call)
            case ("sobjects",):
                return self._collection(call)
            case ("sobjects", name):
                return self._retrieve(call, self.org.kind(name))
            case ("sobjects", name, key):
                only(call, "PATCH")
                kind = self.org.kind(name)
                f = self._key(kind, key)
                return self._rows(call, lambda c, v: self._upsert_row(c, kind, f, v))
        raise nowhere()

    def _collection(self, call: Call) -> Reply:
        match call.method:
            case "POST":
                return self._rows(call, self._insert_row)
            case "PATCH":
                return self._rows(call, self._update_row)
            case "DELETE":
                return self._delete_rows(call)
        raise not_allowed(call)

    def _rows(
        self, call: Call, write: Callable[[Call, tuple[Kind, Row]], dict[str, Any]]
    ) -> Reply:
        """Rows one by one; what cannot be read refuses the call before."""
        records = call.body.get("records")
        if not isinstance(records, list) or not records:
            raise Refused(
                "INVALID_ARGUMENT", "records must be a list that is not empty"
            )
        if len(records) > _ROWS:
            raise Refused(
                "EXCEEDED_MAX_SIZE_REQUEST",
                "record limit reached. cannot submit more "
                f"than {_ROWS} records in this request",
            )
        read = []
        for record in records:
            kind = self.org.kind(record["attributes"]["type"])
            values = self.org.values(kind, record)
            read.append((kind, self._assigned(call, kind, values)))
        every = bool(call.body.get("allOrNone"))
        return Reply(200, self._all(read, lambda item: write(call, item), every=every))

    def _all(
        self,
        items: Sequence[Any],
        write: Callable[[Any], dict[str, Any]],
        *,
        every: bool,
    ) -> list[dict[str, Any]]:
        """One result per item, in order; with ``every`` one refusal undoes all."""
        results = []
        refused = False
        with self.org.together(all_or_none=every) as undo:
            for item in items:
                try:
                    results.append(write(item))
                except Refused as e:
                    refused = True
                    results.append(e.row())
            if every and refused:
                undo()
                rolled = Refused(
                    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
                    "Record rolled back because not all records were valid and the "
                    "request was using AllOrNone header",
                ).row()
                return [rolled if r["success"] else r for r in results]
        return results

    def _insert_row(self, call: Call, item: tuple[Kind, Row]) -> dict[str, Any]:
        kind, values = item
        allow = _allow_save(call)
        return _written(self.org.insert(kind, values, allow_save=allow))

    def _update_row(self, _: Call, item: tuple[Kind, Row]) -> dict[str, Any]:
        kind, values = item
        record = values.get("Id")
        if not record:
            raise Refused("MISSING_ARGUMENT", "Id not specified in an update call")
        self.org.update(kind, record, values)
        return _written(long_id(record))

    def _upsert_row(
        self, call: Call, kind: Kind, f: objects.Field, item: tuple[Kind, Row]
    ) -> dict[str, Any]:
        given, values = item
        if given is not kind:
            raise Refused("INVALID_TYPE", f"all records must be of type {kind.name}")
        value = values.get(f.name)
        there = [] if value is None else self.org.by_value(kind, f, value)
        if value is None and f.type != "id":
            raise Refused("MISSING_ARGUMENT", f"{f.name} not specified")
        if len(there) > 1:
            raise Refused(
                "DUPLICATE_VALUE",
                f"{f.name}: more than one record found for external id field: {there}",
                (f.name,),
            )
        if there:
            self.org.update(kind, there[0], values)
            return {**_written(there[0]), "created": False}
        if f.type == "id" and values.pop("Id", None):
            raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        record = self.org.insert(kind, values, allow_save=_allow_save(call))
        return {**_written(record), "created": True}

    def _delete_rows(self, call: Call) -> Reply:
        ids = [i for i in call.params.get("ids", "").split(",") if i]
        if not ids:
            raise Refused("MISSING_ARGUMENT", "The ids parameter is required")
        if len(ids) > _ROWS:
            raise Refused(
                "EXCEEDED_MAX_SIZE_REQUEST", f"more than {_ROWS} ids in this request"
            )
        return Reply(
            200, self._all(ids, self._delete_row, every=call.flag("allOrNone"))
        )

    def _delete_row(self, record: str) -> dict[str, Any]:
        kinds = [k for k in self.org.kinds.values() if record.startswith(k.prefix)]
        if not kinds or not is_id(record):
            raise Refused("MALFORMED_ID", f"malformed id {record}")
        if not kinds[0].writable:
            raise Refused(
                "INSUFFICIENT_ACCESS_OR_READONLY", "entity type cannot be deleted"
            )
        self.org.delete(kinds[0], record)
        return _written(long_id(record))

    def _retrieve(self, call: Call, kind: Kind) -> Reply:
        """Rows by id, in the order asked for; null for what is not there."""
        if call.method == "GET":
            ids = [i for i in call.params.get("ids", "").split(",") if i]
            fields = [n for n in call.params.get("fields", "").split(",") if n]
            most = _RETRIEVE_GET
        else:
            only(call, "POST")
            ids, fields = call.body["ids"], call.body["fields"]
            most = _RETRIEVE
        if len(ids) > most:
            raise Refused(
                "EXCEEDED_MAX_SIZE_REQUEST", f"more than {most} ids in this request"
            )
        names = self._known(kind, fields)
        rows = self.org.tables[kind.name].rows
        found = []
        for i in ids:
            if not is_id(i):
                raise Refused("MALFORMED_ID", f"malformed id {i}")
            row = rows.get(long_id(i))
            found.append(row and self._shown(call, kind, names, [row])[0])
        return Reply(200, found)

    # -- composite -----------------------------------------------------------

    def _subrequests(self, call: Call) -> Reply:
        """Up to 25 calls in one, each of which may use the answers before it."""
        parts = call.body["compositeRequest"]
        if len(parts) > _SUBREQUESTS:
            raise Refused("LIMIT_EXCEEDED", f"more than {_SUBREQUESTS} subrequests")
        heavy = [p for p in parts if re.search(r"/(query|composite)", p["url"])]
        if len(heavy) > _SUBQUERIES:
            raise Refused("LIMIT_EXCEEDED", f"more than {_SUBQUERIES} queries")
        every = bool(call.body.get("allOrNone"))
        return Reply(
            200, {"compositeResponse": self._together(call, parts, every=every)}
        )

    def _together(
        self, call: Call, parts: Sequence[Mapping[str, Any]], *, every: bool
    ) -> list[dict[str, Any]]:
        """Calls in order, each of which may use the answers before it; ``every``: one refusal undoes all."""
        replies: dict[str, Reply] = {}
        failed = ""
        with self.org.together(all_or_none=every) as undo:
            for part in parts:
                name = part["referenceId"]
                if failed and every:
                    replies[name] = _halted()
                    continue
                replies[name] = self._subrequest(call, part, replies)
                if replies[name].status >= _BAD:
                    failed = failed or name
            if failed and every:
                undo()
                replies = {
                    n: r if n == failed else _halted() for n, r in replies.items()
                }
        return [
            {
                "body": r.body,
                "httpHeaders": dict(r.headers),
                "httpStatusCode": r.status,
                "referenceId": n,
            }
            for n, r in replies.items()
        ]

    def _batch(self, call: Call) -> Reply:
        """Up to 25 calls in one that know nothing of each other."""
        parts = call.body["batchRequests"]
        if len(parts) > _SUBREQUESTS:
            raise Refused("LIMIT_EXCEEDED", f"more than {_SUBREQUESTS} subrequests")
        results: list[dict[str, Any]] = []
        for part in parts:
            failed = any(r["statusCode"] >= _BAD for r in results)
            if failed and call.body.get("haltOnError"):
                reply = Reply(412, [Refused("BATCH_PROCESSING_HALTED", "").error()])
            else:
                whole = {
                    "method": part["method"],
                    "url": f"/services/data/{part['url'].lstrip('/')}",
                    "body": part.get("richInput"),
                }
                reply = self._subrequest(call, whole, {})
            results.append({"statusCode": reply.status, "result": reply.body})
        failed = any(r["statusCode"] >= _BAD for r in results)
        return Reply(200, {"hasErrors": failed, "results": results})

    def _graphs(self, call: Call) -> Reply:
        """Up to 75 graphs of 500 calls together, each of which is carried out whole or not at all."""
        graphs = call.body["graphs"]
        nodes = sum(len(g["compositeRequest"]) for g in graphs)
        if len(graphs) > _GRAPHS or nodes > _NODES:
            raise Refused(
                "LIMIT_EXCEEDED", f"more than {_GRAPHS} graphs, {_NODES} nodes"
            )
        told = []
        for graph in graphs:
            reply = self._together(call, graph["compositeRequest"], every=True)
            sound = all(r["httpStatusCode"] < _BAD for r in reply)
            told.append(
                {
                    "graphId": graph["graphId"],
                    "graphResponse": {"compositeResponse": reply},
                    "isSuccessful": sound,
                }
            )
        return Reply(200, {"graphs": told})

    def _subrequest(
        self, call: Call, part: Mapping[str, Any], before: Mapping[str, Reply]
    ) -> Reply:
        try:
            part = _referred(part, before)
        except (KeyError, IndexError, TypeError):
            return Reply(
                400,
                [
                    Refused(
                        "PROCESSING_HALTED",
                        "Invalid reference specified in the subrequest.",
                    ).error()
                ],
            )
        url = urlsplit(part["url"])
        split = _split(url.path)
        if split is None or split[1] == ("composite",):
            return Reply(404, [nowhere().error()])
        headers = {k.lower(): v for k, v in (part.get("httpHeaders") or {}).items()}
        return self._carry_out(
            Call(
                part["method"],
                split[0],
                split[1],
                dict(parse_qsl(url.query)),
                {**call.headers, **headers},
                part.get("body") or {},
            )
        )

    # -- tooling -------------------------------------------------------------

    def _tooling(self, call: Call) -> Reply:
        """Custom fields (Tooling API, ``CustomField``); hidden until granted."""
        if call.path[1:] != ("sobjects", "CustomField"):
            raise nowhere()
        only(call, "POST")
        object_name, _, name = call.body["FullName"].partition(".")
        kind = self.org.kind(object_name)
        if not re.fullmatch(r"[A-Za-z](?:_?[A-Za-z0-9])*__c", name):
            raise Refused(
                "FIELD_INTEGRITY_EXCEPTION",
                "The API name must begin with a letter, contain only letters, digits "
                "and single underscores, and end with __c.",
                ("FullName",),
            )
        if name.lower() in kind.lower or (
            f"{kind.name}.{name}".lower() in self.org.hidden
        ):
            raise Refused(
                "DUPLICATE_DEVELOPER_NAME",
                f"There is already a field named {name} on {kind.name}.",
                ("FullName",),
            )
        self._make_field(kind.name, name, call.body["Metadata"])
        made = f"00N{hashlib.sha256((kind.name + name).encode()).hexdigest()[:12]}"
        return Reply(201, {**_written(long_id(made)), "warnings": [], "infos": []})

    def _make_field(self, kind: str, name: str, metadata: Mapping[str, Any]) -> None:
        try:
            made = objects.custom(name, metadata)
        except ValueError as e:
            raise Refused(
                "FIELD_INTEGRITY_EXCEPTION", f"field type {e} is not here", ("Type",)
            ) from None
        self.org.hide_field(self.org.kinds[kind], made)


_KEY_METADATA: Mapping[str, Any] = {
    "label": "Connector Hub Id",
    "type": "Text",
    "length": 36,
    "unique": True,
    "caseSensitive": False,
    "externalId": True,
}


async def _call(request: Request) -> Call | Refused:
    """A request as a call, or why it is none."""
    path = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    split = _split(path.decode("ascii", "replace").partition("?")[0])
    if split is None:
        return nowhere()
    body: Any = {}
    raw = await request.body()
    json = "csv" not in request.headers.get("content-type", "")
    if request.method in {"POST", "PATCH", "PUT"} and json:
        try:
            body = orjson.loads(raw or b"{}")
        except orjson.JSONDecodeError:
            return Refused(
                "JSON_PARSER_ERROR", "Unexpected character at [line:1, column:1]"
            )
        if not isinstance(body, dict):
            return Refused(
                "JSON_PARSER_ERROR", "The HTTP entity body must be an object"
            )
    return Call(
        request.method,
        split[0],
        split[1],
        dict(request.query_params),
        {k.lower(): v for k, v in request.headers.items()},
        body,
        raw,
    )


def _split(path: str) -> tuple[str, tuple[str, ...]] | None:
    """Version and decoded parts of a path; None for what no version has."""
    m = re.match(r"/services/data/(v(\d+)\.0)(/.*)?\Z", path)
    if m is None or not _OLDEST <= int(m[2]) <= _NEWEST:
        return None
    parts = (m[3] or "").strip("/")
    return m[1], tuple(unquote(p) for p in parts.split("/")) if parts else ()


def _referred(part: Any, before: Mapping[str, Reply]) -> Any:
    """A subrequest with the answers it refers to put in (``@{ref.records[0].Id}``)."""

    def one(m: re.Match[str]) -> str:
        name, _, steps = m[1].partition(".")
        at: Any = before[name].body
        for word, index in _STEP.findall(steps):
            at = at[int(index)] if index else at[word]
        return str(at)

    match part:
        case str():
            return _REF.sub(one, part)
        case dict():
            return {k: _referred(v, before) for k, v in part.items()}
        case list():
            return [_referred(v, before) for v in part]
    return part


def _address(row: Mapping[str, Any], prefix: str) -> dict[str, Any] | None:
    """A compound field: its parts in one, null where all are."""
    parts = {p[0].lower() + p[1:]: row.get(prefix + p) for p in objects.PARTS}
    if all(v is None for v in parts.values()):
        return None
    return {**parts, "geocodeAccuracy": None, "latitude": None, "longitude": None}


def _page_size(call: Call, fields: int) -> int:
    """Rows of a page: the hint, less for wide rows."""
    asked = re.search(r"batchSize=(\d+)", call.headers.get("sforce-query-options", ""))
    size = min(max(int(asked[1]), _LEAST_PAGE), _PAGE) if asked else _PAGE
    return max(_LEAST_PAGE, min(size, _CELLS // max(fields, 1)))


def _minute(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise Refused("INVALID_FIELD", "start and end must be dateTimes") from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def _written(record: str) -> dict[str, Any]:
    return {"id": record, "success": True, "errors": []}


def _allow_save(call: Call) -> bool:
    return "allowsave=true" in call.headers.get(
        "sforce-duplicate-rule-header", ""
    ).lower().replace(" ", "")


def _halted() -> Reply:
    error = Refused(
        "PROCESSING_HALTED",
        "The transaction was rolled back since another operation in the same "
        "transaction failed.",
    )
    return Reply(400, [error.error()])
