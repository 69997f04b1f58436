"""The connector, in the dialect of Salesforce's REST API (https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/).

Reading is SOQL in the order of SystemModstamp and Id, so that a pull whose cursor died
goes on where it was. Writing is sObject collections: 200 rows a call, each with its own
outcome, in the order sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, ClassVar
from urllib.parse import urlsplit

from connector_hub.sdk import (
    Account,
    Answer,
    Auth,
    AuthError,
    Bearer,
    ClientCredentials,
    ConfigError,
    Connector,
    Done,
    Edited,
    Exists,
    Fault,
    Field,
    FieldInfo,
    FirstOf,
    Gone,
    Heard,
    InDoubt,
    JwtBearer,
    Kind,
    Left,
    Limit,
    MarkLost,
    Missing,
    Need,
    OAuth2,
    Outcome,
    Page,
    Pending,
    Permission,
    Record,
    Ref,
    Rejected,
    Request,
    Resource,
    RowsPatch,
    SecretStr,
    Shared,
    Stale,
    Unavailable,
    Want,
    Way,
    Write,
)
from connector_hub_salesforce import (
    bulk,
    companions,
    events,
    faults,
    permissionset,
    query,
    resources,
)
from connector_hub_salesforce.ids import is_id, long_id
from connector_hub_salesforce.resources import (
    HOLDS,
    MERGEABLE,
    PAGE,
    RESOURCES,
    ROWS,
    USER,
)
from connector_hub_salesforce.values import spelled, typed

STAMP = "SystemModstamp"
BY = "LastModifiedById"
_WRITING = {
    "Sforce-Call-Options": "client=connector-hub",
    "Sforce-Auto-Assign": "FALSE",
}
"""The origin of changes as Salesforce's change events show it; assignment rules are kept still."""
_SKEW = timedelta(minutes=5)
_KEY_LENGTH = 36
_PERMISSION_SET = "Connector_Hub"
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _MOVED = 400, 403, 404, 412
_OWN = re.compile(r"[A-Za-z]\w*__c\Z")
"""An object of the account's own."""


_WEB = OAuth2(
    "/services/oauth2/token",
    authorize_url="/services/oauth2/authorize",
    revoke_url="/services/oauth2/revoke",
    scopes=("api", "id", "refresh_token"),
    origin="instance_url",
)
"""The web server flow, whether its first refresh token comes from hub.yaml or from a person's yes."""


class Salesforce(Connector):
    """Salesforce contacts, leads and accounts, and users to look owners up.

    Mapping paths are field names; ``Account.Name`` reads through a lookup, and written
    it names the other record by an external id (``Account.Domain__c``). Lookups are
    plain fields (``AccountId``).
    """

    name = "salesforce"
    auth: ClassVar[Auth] = FirstOf(
        (
            Bearer("token"),
            JwtBearer("/services/oauth2/token", origin="instance_url"),
            replace(_WEB, given=("refresh_token",)),
            replace(_WEB, given=("redirect_uri",)),
            ClientCredentials("/services/oauth2/token", origin="instance_url"),
        )
    )
    origins = (".my.salesforce.com", ".salesforce.com")
    key_field = "Connector_Hub_Id__c"
    signed = Shared("events_token", events.given)
    resources = tuple(RESOURCES)
    _book: str | None = None

    class Config(Connector.Config):
        """``base_url``: the My Domain URL. ``daily``: the account's API calls per 24 h.

        Either ``client_id`` and ``client_secret`` (OAuth client credentials); with
        ``redirect_uri`` a person's consent, which ``connector-hub connect`` asks for (the web
        server flow), or with ``refresh_token`` one that was got elsewhere; or ``client_id``,
        ``user`` and ``private_key`` (JWT bearer), ``audience`` being the login host; or
        ``token`` (a session id or access token, which dies with its session).
        ``concurrency``: calls in flight. ``events_token``: what those who pass change events on are known by.
        """

        base_url: str
        client_id: str | None = None
        client_secret: SecretStr | None = None
        refresh_token: SecretStr | None = None
        redirect_uri: str | None = None
        scopes: tuple[str, ...] = ()
        user: str | None = None
        private_key: SecretStr | None = None
        audience: str = "https://login.salesforce.com"
        token: SecretStr | None = None
        events_token: SecretStr | None = None
        version: str = "66.0"
        daily: int = Field(100_000, gt=0)
        concurrency: int = Field(25, gt=0)

    @classmethod
    def resource(cls, name: str) -> Resource:
        """A declared object, or one of the account's own by its API name."""
        if _OWN.match(name):
            return resources.resource(name)
        return super().resource(name)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._types: dict[str, Mapping[str, str]] = {}

    async def check(self) -> Account:
        """Who the token belongs to: one call, two where the app lacks the scope ``id``.

        Raises:
            AuthError: the token is not accepted, or belongs to nobody.
        """
        answer = await self.http.send(
            "GET", "/services/oauth2/userinfo", ok=(403,), want_json=True
        )
        host = urlsplit(self.config.base_url).hostname or ""
        if answer.status != _FORBIDDEN:
            me = answer.json()
            return Account(
                long_id(me["organization_id"]),
                host,
                long_id(me["user_id"]),
                me.get("zoneinfo"),
            )
        listed = await self.http.get(self._path())
        ids = urlsplit(str(listed.get("identity") or "")).path.split("/")[-2:]
        if len(ids) != 2 or not all(map(is_id, ids)):  # noqa: PLR2004 - org and user
            raise AuthError(
                "Salesforce does not say whose token this is",
                hint="give the app the scopes api and id",
            )
        return Account(long_id(ids[0]), host, long_id(ids[1]))

    async def describe(self, resource: str) -> Resource:
        """The resource with its fields, live from the vendor (one call)."""
        body = await self._described(resource)
        fields = [field_info(f) for f in body["fields"]]
        fields += companions.DESCRIBED.get(resource, ())
        for kind in companions.KINDS.get(resource, ()):
            if kind.path:
                fields += await self._described_lines(kind)
        known = self.resource(resource)
        return replace(
            known, can=known.can & permissionset.allowed(body), fields=tuple(fields)
        )

    async def _described_lines(self, kind: companions.Kind) -> list[FieldInfo]:
        body = await self._described(kind.object)
        rows = [field_info(f) for f in body["fields"]]
        return [
            FieldInfo(kind.path, kind.path, "rows"),
            *(replace(f, path=f"{kind.path}[].{f.path}", required=False) for f in rows),
        ]

    async def _described(self, resource: str) -> Any:
        return await self.http.get(self._path("sobjects", resource, "describe"))

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """A page of at most 2,000 records; wide rows come in smaller pages.

        ``changed`` from the beginning lists every live record; from a mark it gives
        what moved since, deleted and merged records among it (``queryAll``), and again
        what moved in the two minutes before the mark.
        ``deleted`` gives what is in the recycle bin (15 days) since the mark, the
        losers of merges with their survivors.

        Raises:
            MarkLost: ``at`` is none of this connector's.
        """
        place = _place(at)
        if "job" in place:
            return await self._read_job(resource, place, want)
        if "url" in place:
            answer = await self.http.send(
                "GET", place["url"], ok=(_BAD_REQUEST,), want_json=True
            )
            if answer.status < _BAD_REQUEST:
                return await self._page(resource, answer, place, want)
            if not faults.locator_lost(answer):
                # Let the port sort and raise what it is, at the price of a call.
                answer = await self.http.send("GET", place["url"])
                return await self._page(resource, answer, place, want)
        elif "plain" in place:
            pass
        elif at is None:
            place = {"feed": feed, "since": None}
        else:
            since = datetime.fromisoformat(place["mark"])
            since -= timedelta(seconds=self.resource(resource).lag)
            place = {"feed": feed, "since": query.instant(since)}
        soql, place["apart"] = self._pull(resource, place, want)
        answer = await self.http.send(
            "GET",
            self._path(
                "query"
                if place["since"] is None and place["feed"] == "changed"
                else "queryAll"
            ),
            params={"q": soql},
            want_json=True,
        )
        return await self._page(resource, answer, place, want, first="id" not in place)

    def _pull(
        self, resource: str, place: Mapping[str, Any], want: Want
    ) -> tuple[str, bool]:
        """The query of a pull from where it stands; whether fields are read apart."""
        where, order = [], [STAMP, "Id"]
        names = self._names(resource, want)
        if resource == USER:
            names = sorted({*map(query.name, want.fields), "Id", STAMP})
            where += ["IsActive = true", "UserType = 'Standard'"]
        if place["feed"] == "deleted":
            where.append("IsDeleted = true")
            names = [*_fate(resource), STAMP]
        elif place["since"] is None:
            order = ["Id"]
            names = list(dict.fromkeys((*names, *_CONVERSION.get(resource, ()))))
        else:
            names = list(dict.fromkeys((*names, *_fate(resource))))
        if place["since"] is not None:
            where.append(f"{STAMP} >= {place['since']}")
        if "id" in place:
            where.append(_beyond(place["stamp"], place["id"], order))
        soql = query.select(names, resource, where=where, order=order)
        if query.size(soql) <= query.URL:
            return soql, False
        names = [*_fate(resource), STAMP]
        if place["since"] is None:
            names = ["Id", STAMP, *_CONVERSION.get(resource, ())]
        return query.select(names, resource, where=where, order=order), True

    async def _page(
        self,
        resource: str,
        answer: Answer,
        place: dict[str, Any],
        want: Want,
        *,
        first: bool = False,
    ) -> Page:
        body = answer.json()
        rows = body["records"]
        records: Sequence[Record | Gone]
        gone = [_gone(resource, row) for row in rows if _is_gone(row)]
        live = [row for row in rows if not _is_gone(row)]
        if place["apart"]:
            records = [
                *gone,
                *await self.fetch(resource, [r["Id"] for r in live], want),
            ]
        else:
            records = [*gone, *await self._records(resource, live, want)]
        if first and place["since"] is not None and place["feed"] == "changed":
            records = [*records, *await self._beside(resource, place, want, records)]
        following = None
        if not body.get("done", True) and body.get("nextRecordsUrl"):
            last = (
                rows[-1] if rows else {"Id": place.get("id"), STAMP: place.get("stamp")}
            )
            following = json.dumps(
                {
                    "feed": place["feed"],
                    "since": place["since"],
                    "apart": place["apart"],
                    "url": body["nextRecordsUrl"],
                    "id": last["Id"],
                    "stamp": last[STAMP],
                    **self._in_bulk(resource, place, body, want),
                }
            )
        return Page(
            records,
            next=following,
            mark=self._mark(answer) if first else None,
            whole=place["feed"] == "changed" and place["since"] is None,
        )

    def _in_bulk(
        self,
        resource: str,
        place: Mapping[str, Any],
        body: Mapping[str, Any],
        want: Want,
    ) -> Mapping[str, Any]:
        """What makes the rest of a listing a job, where that takes fewer than half the calls of its pages.

        CSV has no fields of other records.
        """
        rows = len(body["records"])
        listing = place["feed"] == "changed" and place["since"] is None
        if not (listing and rows) or place["apart"] or place.get("plain"):
            return {}
        if resource == USER or any("." in n for n in self._names(resource, want)):
            return {}
        rest, part = int(body.get("totalSize") or 0) - rows, bulk.PAGES * rows
        if 2 * (bulk.LOOKS - rest // -part) >= rest // rows:
            return {}
        return {"job": "", "locator": "", "part": part, "looks": 0}

    async def _read_job(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        """A part of what a query job found; an empty page while there is no answer yet.

        A job that fails or is gone is left for pages, from where it was to begin.
        """
        again = {**place, "looks": place["looks"] + 1}
        at = self._path("jobs", "query")
        if not place["job"]:
            soql, _ = self._pull(resource, place, want)
            body = {"operation": "query", "query": soql.rpartition(" ORDER BY ")[0]}
            made = await self.http.post(at, json=body, repeatable=True)
            return Page([], next=json.dumps({**again, "job": made["id"]}), whole=True)
        at = f"{at}/{place['job']}"
        if not place["locator"]:
            answer = await self.http.send("GET", at, ok=(_NOT_FOUND,), want_json=True)
            state = answer.json()["state"] if answer.status < _BAD_REQUEST else "Failed"
            if state in {"Failed", "Aborted"}:
                left = {k: place[k] for k in ("feed", "since", "apart", "id", "stamp")}
                return Page([], next=json.dumps({**left, "plain": True}), whole=True)
            if state != "JobComplete":
                await self.clock.sleep(bulk.patience(answer, answer.json()))
                return Page([], next=json.dumps(again), whole=True)
        params = {"maxRecords": str(place["part"])}
        if place["locator"]:
            params["locator"] = place["locator"]
        answer = await self.http.send("GET", f"{at}/results", params=params)
        types = await self._types_of(resource)
        rows = [typed(row, types) for row in bulk.rows_of(answer, "Id")]
        gone = [_gone(resource, row) for row in rows if _is_gone(row)]
        live = [row for row in rows if not _is_gone(row)]
        locator = answer.headers.get("sforce-locator", "null")
        return Page(
            [*gone, *await self._records(resource, live, want)],
            next=None
            if locator == "null"
            else json.dumps({**again, "locator": locator}),
            whole=True,
        )

    async def _types_of(self, resource: str) -> Mapping[str, str]:
        """The types of an object's fields, asked for once."""
        if resource not in self._types:
            body = await self._described(resource)
            self._types[resource] = {f["name"]: f["type"] for f in body["fields"]}
        return self._types[resource]

    def _mark(self, answer: Answer) -> str:
        """Salesforce's own clock when the pull began."""
        try:
            at = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            at = self.clock.now() - _SKEW
        return json.dumps({"mark": at.astimezone(UTC).isoformat()})

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Records by id in one call; one more per 500 for other records' fields, or for the missing.

        A record that is in the recycle bin is told as deleted or merged.
        """
        sound = [i for i in ids if is_id(i)]
        if not sound:
            return []
        names = self._names(resource, want, *_CONVERSION.get(resource, ()))
        body = await self.http.post(
            self._path("composite", "sobjects", query.name(resource)),
            json={"ids": sound, "fields": [n for n in names if "." not in n]},
            repeatable=True,
        )
        rows = {row["Id"]: row for row in body if row}
        far = [n for n in names if "." in n]
        if far and rows:
            await self._fill(resource, rows, far)
        missing = [i for i in sound if i not in rows]
        gone = await self._gone(resource, missing) if missing else []
        gone += [_gone(resource, row) for row in rows.values() if _is_gone(row)]
        live = [row for row in rows.values() if not _is_gone(row)]
        return [*await self._records(resource, live, want), *gone]

    async def _gone(self, resource: str, ids: Sequence[str]) -> list[Gone]:
        """Those of these records that are in the recycle bin."""
        found: list[Gone] = []
        for soql in query.membership(list(_fate(resource)), resource, "Id", ids):
            rows = await self._rows(soql, everything=True)
            found += [_gone(resource, row) for row in rows if _is_gone(row)]
        return found

    async def _fill(
        self, resource: str, rows: Mapping[str, dict[str, Any]], names: Sequence[str]
    ) -> None:
        """Put fields of other records, which the collection cannot give, into rows."""
        for part in query.split(names, resource, room=query.URL // 2):
            for soql in query.membership(["Id", *part], resource, "Id", list(rows)):
                for found in await self._rows(soql):
                    _merge(rows[found["Id"]], found)

    async def _rows(self, soql: str, *, everything: bool = False) -> list[Any]:
        """All rows of a query, deleted ones among them where everything is asked for."""
        path = self._path("queryAll" if everything else "query")
        body = await self.http.get(path, params={"q": soql})
        rows: list[Any] = body["records"]
        been: set[str] = set()
        while not body.get("done", True) and body.get("nextRecordsUrl"):
            following = body["nextRecordsUrl"]
            if following in been:
                raise Unavailable("Salesforce: the pages of a query run in a circle")
            been.add(following)
            body = await self.http.get(following)
            rows += body["records"]
        return rows

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """A record keeps the time of its last change only, in whole seconds: no field was edited later."""
        rows: list[Any] = []
        for part in range(0, len(ids), PAGE):
            rows += await self.http.post(
                self._path("composite", "sobjects", query.name(resource)),
                json={"ids": list(ids[part : part + PAGE]), "fields": ["Id", STAMP]},
                repeatable=True,
            )
        found = {}
        for row in filter(None, rows):
            until = datetime.fromisoformat(row[STAMP]) + timedelta(seconds=1)
            found[row["Id"]] = dict.fromkeys(paths, Edited(None, until))
        return found

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of a field; case makes no difference to Salesforce."""
        asked: dict[str, list[str]] = {}
        for value in values:
            if value.strip():
                asked.setdefault(value.strip().casefold(), []).append(value)
        names = self._names(
            resource, want, query.name(path), *_CONVERSION.get(resource, ())
        )
        apart = query.size(query.select(names, resource)) > query.URL // 2
        asking = ["Id", path] if apart else names
        found: dict[str, list[Record]] = {}
        literals = [spellings[0].strip() for spellings in asked.values()]
        for soql in query.membership(asking, resource, path, literals):
            rows = [r for r in await self._rows(soql) if not _is_gone(r)]
            whole: Sequence[Record | Gone]
            if apart:
                whole = await self.fetch(resource, [r["Id"] for r in rows], want)
            else:
                whole = await self._records(resource, rows, want)
            records = {r.id: r for r in whole if isinstance(r, Record)}
            for row in rows:
                record = records.get(row["Id"])
                if record is None:
                    continue
                held = str(_value(row, path)).casefold()
                for value in asked.get(held, ()):
                    found.setdefault(value, []).append(record)
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome] | Pending:
        """Upsert by record key, update by id, delete; one outcome per row, in order.

        Without a key field a create is a plain insert. Salesforce has no conditional
        collection: on a conditional way updates go one by one. On the asynchronous way a job is made
        that ``outcomes`` fills.
        """
        if writes[0].op != "archive" and any(
            companions.has(resource, w) for w in writes
        ):
            return await self._with_companions(resource, writes, way)
        if way.conditional:
            return [await self._update_unmoved(resource, w) for w in writes]
        if writes[0].op == "archive":
            return await self._archive(resource, writes)
        if way.asynchronous and len(bulk.sheet(writes, self.key)) <= bulk.BYTES:
            return Pending(await self._job(resource, writes[0].op), 0)
        found: list[Outcome] = []
        for start in range(0, len(writes), ROWS):
            found += await self._collection(resource, writes[start : start + ROWS])
        return found

    async def _with_companions(
        self, resource: str, writes: Sequence[Write], way: Way
    ) -> Sequence[Outcome]:
        """Records each with what belongs to it, all or nothing of each; the others as ever."""
        apart = [w for w in writes if companions.has(resource, w)]
        rest = [w for w in writes if not companions.has(resource, w)]
        told: dict[str, Outcome] = {}
        if rest:
            found = await self.write(resource, rest, way=way)
            assert not isinstance(found, Pending)  # noqa: S101 - such objects have no asynchronous way
            told |= {w.key: o for w, o in zip(rest, found, strict=True)}
        for part in companions.calls(resource, apart):
            found = await self._graphs(resource, part, way)
            told |= {w.key: o for w, o in zip(part, found, strict=True)}
        return [told[w.key] for w in writes]

    async def _graphs(
        self, resource: str, writes: Sequence[Write], way: Way
    ) -> Sequence[Outcome]:
        there = await companions.known(self._rows, resource, writes, self.key)
        prices = await companions.entries(self._rows, resource, writes)
        standard = await self._standard() if resource == "Product2" or prices else ""
        told: dict[str, Outcome] = {}
        graphs = []
        for w in writes:
            guarded = way.conditional and w.version
            headers = (
                {"If-Unmodified-Since": _http_date(str(w.version))} if guarded else {}
            )
            try:
                made = companions.graph(
                    self._path(),
                    resource,
                    w,
                    there,
                    body=self._row(resource, w),
                    key=self.key,
                    standard=standard,
                    prices=prices,
                    headers=headers,
                )
            except Rejected as e:
                told[w.key] = e
            else:
                graphs.append(made)
        if not graphs:
            return [told[w.key] for w in writes]
        answer = await self.http.send(
            "POST",
            self._path("composite", "graph"),
            json={"graphs": graphs},
            headers=_WRITING,
        )
        found = {g["graphId"]: g for g in answer.json()["graphs"]}
        where = self.http.connection
        for w in writes:
            if w.key in found:
                told[w.key] = companions.outcome(w, resource, found[w.key], where)
            told.setdefault(w.key, InDoubt("the answer does not speak of this write"))
        return [told[w.key] for w in writes]

    async def _standard(self) -> str:
        """The id of the standard price book."""
        if self._book is None:
            where = ("IsStandard = true",)
            rows = await self._rows(query.select(("Id",), "Pricebook2", where=where))
            if not rows:
                raise ConfigError(
                    "the user does not see Salesforce's standard price book",
                    where=self.http.connection,
                    hint="grant it read access to Price Books and Products",
                )
            self._book = str(rows[0]["Id"])
        return self._book

    async def _collection(
        self, resource: str, writes: Sequence[Write]
    ) -> Sequence[Outcome]:
        creates = writes[0].op == "create"
        path = self._path("composite", "sobjects")
        if creates and self.key:
            path = self._path("composite", "sobjects", resource, query.name(self.key))
        answer = await self.http.send(
            "POST" if creates and not self.key else "PATCH",
            path,
            json={
                "allOrNone": False,
                "records": [self._row(resource, w) for w in writes],
            },
            headers=_WRITING,
        )
        return _outcomes(writes, answer)

    async def _job(self, resource: str, op: str) -> str:
        """A new job; empty as it is, it does nothing."""
        body: dict[str, Any] = {"object": resource, "operation": "update"}
        if op == "create":
            body |= {"operation": "upsert", "externalIdFieldName": self.key}
        made = await self.http.post(
            self._path("jobs", "ingest"),
            json={**body, "contentType": "CSV", "lineEnding": "LF"},
            headers=_WRITING,
            repeatable=True,
        )
        return str(made["id"])

    async def outcomes(
        self, resource: str, writes: Sequence[Write], ticket: str
    ) -> Sequence[Outcome] | Pending:
        """What became of the rows of a job; one that is open yet is filled and closed.

        Raises:
            ConfigError: Salesforce cannot read the job as a whole.
        """
        answer = await self.http.send(
            "GET",
            self._path("jobs", "ingest", ticket),
            ok=(_NOT_FOUND,),
            want_json=True,
        )
        if answer.status == _NOT_FOUND:
            return [InDoubt("Salesforce does not know the job any more")] * len(writes)
        job = answer.json()
        if job["state"] == "Open":
            await self._fill_job(ticket, [w for w in writes if bulk.is_sayable(w)])
            return Pending(ticket, bulk.LEAST)
        if job["state"] not in bulk.ENDED:
            return Pending(ticket, bulk.patience(answer, job))
        told = await self._results(ticket, writes, job)
        apart = [w for w in writes if not bulk.is_sayable(w)]
        for start in range(0, len(apart), ROWS):
            part = apart[start : start + ROWS]
            found = await self._collection(resource, part)
            told |= {w.key: o for w, o in zip(part, found, strict=True)}
        return [told[w.key] for w in writes]

    async def _fill_job(self, ticket: str, writes: Sequence[Write]) -> None:
        """Give a job its rows and close it. Who did that before did the same."""
        at = self._path("jobs", "ingest", ticket)
        if writes:
            filled = await self.http.send(
                "PUT",
                f"{at}/batches",
                body=bulk.sheet(writes, self.key),
                headers={"Content-Type": "text/csv"},
                repeatable=True,
                ok=(_BAD_REQUEST,),
            )
            if filled.status == _BAD_REQUEST and not faults.filled_before(filled):
                await self._refused(filled)
        closed = await self.http.send(
            "PATCH",
            at,
            json={"state": "UploadComplete" if writes else "Aborted"},
            repeatable=True,
            ok=(_BAD_REQUEST,),
        )
        if closed.status == _BAD_REQUEST and not faults.moved_before(closed):
            await self._refused(closed)

    async def _refused(self, answer: Answer) -> None:
        fault = self.fault(answer)
        said = fault.message if fault else f"status {answer.status}"
        raise ConfigError(
            f"Salesforce does not take a bulk job ({said})", where=self.http.connection
        )

    async def _results(
        self, ticket: str, writes: Sequence[Write], job: Mapping[str, Any]
    ) -> dict[str, Outcome]:
        """What an ended job says of each of these writes, by record key."""
        processed = int(job.get("numberRecordsProcessed") or 0)
        refused = int(job.get("numberRecordsFailed") or 0)
        reason = str(job.get("errorMessage") or "")
        if job["state"] == "Failed" and not processed and "InvalidBatch" in reason:
            raise ConfigError(
                f"Salesforce cannot read a bulk job: {reason}",
                where=self.http.connection,
                hint="see the fields of the mapping",
            )
        at = self._path("jobs", "ingest", ticket)
        done = await self.http.send("GET", f"{at}/successfulResults")
        failed = []
        if refused:
            answer = await self.http.send("GET", f"{at}/failedResults")
            failed = list(bulk.rows_of(answer, "sf__Error"))
        return bulk.outcomes(
            writes,
            self.key,
            bulk.rows_of(done, "sf__Id"),
            failed,
            complete=job["state"] == "JobComplete",
        )

    async def _update_unmoved(self, resource: str, w: Write) -> Outcome:
        """An update that Salesforce makes only if the record is not younger than ``w.version``.

        Its clock has whole seconds: an edit within the second of the one that was read is not told apart.
        """
        if w.version is None:
            return Stale("the record's version is not known")
        row = self._row(resource, w)
        answer = await self.http.send(
            "PATCH",
            self._path("sobjects", resource, w.id or ""),
            json={n: v for n, v in row.items() if n not in {"attributes", "Id"}},
            headers={**_WRITING, "If-Unmodified-Since": _http_date(w.version)},
            ok=(_BAD_REQUEST, _NOT_FOUND, _MOVED),
        )
        if answer.status == _MOVED:
            return Stale("the record has moved")
        if answer.status < _BAD_REQUEST:
            return Done(w.id or "")
        fault = self.fault(answer)
        if answer.status == _BAD_REQUEST and fault and fault.kind is Kind.CONFIG:
            raise ConfigError(fault.message, where=self.http.connection)
        return faults.refusal(w, faults.first(answer))

    async def _archive(
        self, resource: str, writes: Sequence[Write]
    ) -> Sequence[Outcome]:
        """Into the recycle bin; quiet about what is there already. What would take others along stays."""
        sound = [w for w in writes if w.id and is_id(w.id)]
        outcomes: dict[str, Outcome] = {}
        held = await self._holding(resource, [str(w.id) for w in sound])
        for w in sound:
            if str(w.id) in held:
                what = held[str(w.id)]
                text = f"{what} records belong to it, and would be deleted with it"
                outcomes[w.trace] = Rejected(text, reason="HOLDS_OTHERS")
        sound = [w for w in sound if w.trace not in outcomes]
        if sound:
            answer = await self.http.send(
                "DELETE",
                self._path("composite", "sobjects"),
                params={
                    "ids": ",".join(str(w.id) for w in sound),
                    "allOrNone": "false",
                },
                headers=_WRITING,
                repeatable=True,
            )
            found = _outcomes(sound, answer)
            outcomes |= {w.trace: o for w, o in zip(sound, found, strict=True)}
        return [outcomes.get(w.trace) or Missing("no Salesforce id") for w in writes]

    async def _holding(self, resource: str, ids: Sequence[str]) -> dict[str, str]:
        """Those of these records that hold others, and an object of these."""
        found: dict[str, str] = {}
        for child, field in HOLDS.get(resource, ()) if ids else ():
            for soql in query.membership([field], child, field, ids):
                answer = await self.http.send(
                    "GET", self._path("query"), params={"q": soql}, ok=(_BAD_REQUEST,)
                )
                if answer.status >= _BAD_REQUEST:
                    if faults.code(answer) != "INVALID_TYPE":
                        await self._rows(soql)  # let the port sort what it is
                    continue  # an object this account does not have
                body = answer.json()
                rows = list(body["records"])
                while not body.get("done", True) and body.get("nextRecordsUrl"):
                    body = await self.http.get(body["nextRecordsUrl"])
                    rows += body["records"]
                found |= {row[field]: child for row in rows}
        return found

    def _row(self, resource: str, w: Write) -> dict[str, Any]:
        row: dict[str, Any] = {"attributes": {"type": resource}}
        for path, value in w.fields.items():
            if companions.is_virtual(resource, path) or isinstance(value, RowsPatch):
                continue
            *through, last = query.name(path).split(".")
            at = row
            for step in through:
                at = at.setdefault(step, {})
            at[last] = spelled(value)
        if w.op == "update":
            row["Id"] = w.id
        elif self.key:
            row[self.key] = w.key
        return row

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The custom field of the record key: text, unique, external id.

        Raises:
            ConfigError: there is such a field of another kind or out of sight.
        """
        if self.key is None:
            return None
        body = await self._described(resource)
        known = {f["name"].lower(): f for f in body["fields"]}
        field = known.get(self.key.lower())
        if field is not None:
            self._fits(resource, field)
            return None
        if make:
            await self._make(resource)
            await self._grant(resource)
        return (
            f"{resource}.{self.key}: text({_KEY_LENGTH}), unique, external id; "
            f"granted to the hub's user by permission set {_PERMISSION_SET}"
        )

    def _fits(self, resource: str, field: Mapping[str, Any]) -> None:
        """Raise unless an existing field can hold the record key."""
        if not (field.get("externalId") and field.get("unique")):
            raise ConfigError(
                f"{resource}.{self.key} is there and is not a unique external id",
                hint="name another field with key_field:, or change this one in Setup",
            )
        if not (field.get("createable") and field.get("updateable")):
            raise ConfigError(
                f"{resource}.{self.key} is there and the hub's user may not write it",
                hint="grant edit access by field-level security (a permission set)",
            )

    async def _make(self, resource: str) -> None:
        answer = await self.http.send(
            "POST",
            self._path("tooling", "sobjects", "CustomField"),
            json={
                "FullName": f"{resource}.{self.key}",
                "Metadata": {
                    "label": "Connector Hub Id",
                    "description": "Written by connector-hub; tells which record "
                    "this is elsewhere.",
                    "type": "Text",
                    "length": _KEY_LENGTH,
                    "unique": True,
                    "caseSensitive": False,
                    "externalId": True,
                },
            },
            ok=(_BAD_REQUEST,),
        )
        if answer.status < _BAD_REQUEST:
            return
        code = faults.code(answer)
        if code in {"DUPLICATE_DEVELOPER_NAME", "DUPLICATE_VALUE"}:
            return  # there, but hidden from the user: it needs to be granted only
        raise ConfigError(
            f"Salesforce does not make {resource}.{self.key} ({code})",
            hint="the user needs Customize Application; or make the field in Setup: "
            f"text({_KEY_LENGTH}), unique, external id",
        )

    async def _grant(self, resource: str) -> None:
        """Let the hub's user read and write the field: a new one is hidden from all."""
        try:
            await self.http.post(
                self._path("sobjects", "FieldPermissions"),
                json={
                    "ParentId": await self._permission_set(),
                    "SobjectType": resource,
                    "Field": f"{resource}.{self.key}",
                    "PermissionsRead": True,
                    "PermissionsEdit": True,
                },
            )
        except (Rejected, Missing, Exists, AuthError, ConfigError) as e:
            raise ConfigError(
                f"{resource}.{self.key} is there, but the user may not use it and "
                f"may not grant it to itself ({getattr(e, 'reason', e.code)})",
                hint="grant read and edit access by field-level security "
                "(a permission set), then run prepare again",
            ) from None

    async def _permission_set(self) -> str:
        """The id of the hub's own permission set, made and assigned where need be."""
        user = str((await self.check()).user)
        mine = f"Name = {query.quoted(_PERMISSION_SET)}"
        rows = await self._rows(query.select(("Id",), "PermissionSet", where=(mine,)))
        if rows:
            found = str(rows[0]["Id"])
        else:
            label = _PERMISSION_SET.replace("_", " ")
            body = {"Name": _PERMISSION_SET, "Label": label}
            made = await self.http.post(
                self._path("sobjects", "PermissionSet"), json=body
            )
            found = str(made["id"])
        where = (
            f"PermissionSetId = {query.quoted(found)}",
            f"AssigneeId = {query.quoted(user)}",
        )
        assignments = "PermissionSetAssignment"
        if not await self._rows(query.select(("Id",), assignments, where=where)):
            await self.http.post(
                self._path("sobjects", assignments),
                json={"AssigneeId": user, "PermissionSetId": found},
            )
        return found

    @classmethod
    def permissions(cls, needs: Sequence[Need]) -> Sequence[Permission]:
        """Licence, user, object and field rights."""
        return permissionset.permissions(needs)

    @classmethod
    def permission_files(cls, job: str, needs: Sequence[Need]) -> Mapping[str, str]:
        """A permission set, named so that ``sf project deploy`` takes it."""
        named = re.sub(r"\W+", "_", f"connector_hub_{job}").strip("_")
        text = permissionset.as_xml(job, permissionset.permissions(needs))
        return {f"{named}.permissionset-meta.xml": text}

    def hear(self, request: Request) -> Heard:
        """Change events, passed on by whoever subscribes to them."""
        return events.heard(request)

    def limits(self) -> Sequence[Limit]:
        """API Request Limits and Allocations (Developer Limits Quick Reference)."""
        return (
            Limit("calls", self.config.daily, 86_400, "daily"),
            Limit("calls", self.config.concurrency, 0, "concurrent"),
        )

    def heed(self, answer: Answer) -> Mapping[str, Left]:
        """What is left of the 24 hours, from ``Sforce-Limit-Info``."""
        return faults.left(answer)

    def fault(self, answer: Answer) -> Fault | None:
        """Status Codes and Error Responses (REST API Developer Guide)."""
        return faults.sort(answer, self.key, self.http.connection)

    def _path(self, *parts: str) -> str:
        return "/".join((f"/services/data/v{self.config.version}", *parts))

    def _names(self, resource: str, want: Want, *more: str) -> list[str]:
        """Fields to ask for: the wanted ones and what a Record is made of."""
        own = [p for p in want.fields if not companions.is_virtual(resource, p)]
        names = {query.name(p) for p in own} | {"Id", STAMP, BY, *more}
        if self.key:
            names.add(query.name(self.key))
        return sorted(names)

    async def _records(
        self, resource: str, rows: Sequence[dict[str, Any]], want: Want
    ) -> list[Record]:
        """Rows as records, with what is read beside them."""
        kinds = companions.wanted(resource, want)
        if not kinds:
            return [self._record(row) for row in rows]
        ids = [row["Id"] for row in rows]
        near = await companions.beside(self._rows, resource, ids, want)
        records = []
        for row in rows:
            links = {}
            for kind in kinds:
                if kind.object == companions.PRICE:
                    row[kind.object] = near.prices.get(row["Id"]) or None
                elif kind.path:
                    row[kind.path] = near.lines.get(row["Id"], [])
                else:
                    links[kind.object] = near.links.get(row["Id"], [])
            records.append(self._record(row, links))
        return records

    async def _beside(
        self,
        resource: str,
        place: Mapping[str, Any],
        want: Want,
        told: Sequence[Record | Gone],
    ) -> Sequence[Record | Gone]:
        """Records that did not move themselves, but what is read beside them did."""
        ids = await companions.moved(self._rows, resource, place["since"], want)
        rest = sorted(ids - {r.id for r in told})
        found: list[Record | Gone] = []
        for start in range(0, len(rest), PAGE):
            found += await self.fetch(resource, rest[start : start + PAGE], want)
        return found

    def _record(
        self, row: Mapping[str, Any], links: Mapping[str, Sequence[Ref]] | None = None
    ) -> Record:
        beside = row.get(companions.PRICE)
        stamps = [row.get(STAMP)]
        if isinstance(beside, Mapping):
            stamps.append(beside.get(STAMP))
        stamp = max(filter(None, stamps), default=None)
        return Record(
            row["Id"],
            row,
            stamp,
            links or {},
            key=(row.get(self.key) or None) if self.key else None,
            changed=datetime.fromisoformat(stamp) if stamp else None,
            by=row.get(BY),
        )


def _place(at: str | None) -> dict[str, Any]:
    """Where a pull stands: a mark, or a page's cursor with the last row before it."""
    if at is None:
        return {}
    try:
        place = json.loads(at)
        if "job" in place:
            str(place["job"]), str(place["locator"]), int(place["part"])
        if "url" in place or "plain" in place:
            str(place["feed"]), place["since"], str(place["id"]), str(place["stamp"])
        else:
            datetime.fromisoformat(place["mark"])
    except (ValueError, TypeError, KeyError):
        raise MarkLost("Salesforce: this mark is not one of ours") from None
    return dict(place)


def _http_date(stamp: str) -> str:
    """A stamp as HTTP headers have it."""
    return format_datetime(datetime.fromisoformat(stamp).astimezone(UTC), usegmt=True)


def _beyond(stamp: str, last: str, order: Sequence[str]) -> str:
    """The rows after the last one seen, in the order of a pull."""
    after = f"Id > {query.quoted(last)}"
    if len(order) == 1:
        return after
    at = query.instant(datetime.fromisoformat(stamp))
    return f"({STAMP} > {at} OR ({STAMP} = {at} AND {after}))"


_FATE = ("Id", "IsDeleted", "MasterRecordId")
"""What tells a deleted record from a merged one."""


_CONVERSION: Mapping[str, tuple[str, ...]] = {
    "Lead": ("IsConverted", "ConvertedContactId")
}
"""What tells that a record went on as another."""


def _fate(resource: str) -> tuple[str, ...]:
    fate = _FATE if resource in MERGEABLE else _FATE[:2]
    return (*fate, *_CONVERSION.get(resource, ()))


def _is_gone(row: Mapping[str, Any]) -> bool:
    return bool(row.get("IsDeleted") or row.get("IsConverted"))


def _gone(resource: str, row: Mapping[str, Any]) -> Gone:
    contact = row.get("ConvertedContactId")
    if contact and not row.get("IsDeleted"):
        return Gone(row["Id"], "converted", Ref("Contact", contact))
    into = row.get("MasterRecordId")
    if into:
        return Gone(row["Id"], "merged", Ref(resource, into))
    return Gone(row["Id"])


def _value(row: Mapping[str, Any], path: str) -> Any:
    """A value by its dotted path; names do not heed case."""
    at: Any = row
    for step in path.split("."):
        if not isinstance(at, Mapping):
            return None
        at = next((v for k, v in at.items() if k.lower() == step.lower()), None)
    return at


def _merge(row: dict[str, Any], found: Mapping[str, Any]) -> None:
    """Put another answer's fields into a row, deep."""
    for name, value in found.items():
        if isinstance(value, Mapping) and isinstance(row.get(name), dict):
            _merge(row[name], value)
        else:
            row[name] = value


def _outcomes(writes: Sequence[Write], answer: Answer) -> Sequence[Outcome]:
    """One outcome per row; an answer of another length says nothing about any."""
    rows = answer.json()
    if not isinstance(rows, list) or len(rows) != len(writes):
        return [InDoubt("the answer does not speak of this write") for _ in writes]
    return [_outcome(w, row) for w, row in zip(writes, rows, strict=True)]


def _outcome(w: Write, row: Mapping[str, Any]) -> Outcome:
    if row.get("success"):
        return Done(row.get("id") or w.id or "", created=row.get("created"))
    errors = row.get("errors") or [{}]
    if w.op == "archive" and errors[0].get("statusCode") == "ENTITY_IS_DELETED":
        return Done(w.id or "")
    return faults.refusal(w, errors[0])


def field_info(f: Mapping[str, Any]) -> FieldInfo:
    """A field of a describe answer."""
    return FieldInfo(
        path=f["name"],
        label=f.get("label") or f["name"],
        type=f["type"],
        required=not f.get("nillable", True)
        and bool(f.get("createable"))
        and not f.get("defaultedOnCreate", False),
        unique=bool(f.get("unique")),
        read_only=not (f.get("createable") or f.get("updateable")),
        options=tuple(
            p["value"] for p in f.get("picklistValues", ()) if p.get("active", True)
        ),
        closed=bool(f.get("restrictedPicklist")),
        refers_to=tuple(f.get("referenceTo", ())),
        length=f.get("length") or None,
    )
