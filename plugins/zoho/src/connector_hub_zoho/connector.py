"""The connector, in the dialect of Zoho CRM's REST API v8 (https://www.zoho.com/crm/developer/docs/api/v8/).

Listings go by page token, which reaches 100,000 records and is bound to the very parameters it was given
for; beyond that the hub asks by query, in the order of ids, and a large account is read by bulk jobs.
Rows of a write are answered in their order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal

from pydantic import model_validator

from connector_hub.sdk import (
    REDIRECT_URI,
    Account,
    Answer,
    Auth,
    Bearer,
    Can,
    ConfigError,
    Connector,
    Done,
    Edited,
    Effect,
    Exists,
    Fault,
    Field,
    FieldInfo,
    FirstOf,
    Gone,
    Heard,
    InDoubt,
    Limit,
    MarkLost,
    Need,
    OAuth2,
    Outcome,
    Page,
    Permission,
    Record,
    Ref,
    Request,
    Resource,
    RowsPatch,
    SecretStr,
    Shared,
    Stale,
    Want,
    Way,
    Write,
)
from connector_hub_zoho import bulk, centres, faults, lines, query, related, scopes
from connector_hub_zoho.api import FIELDS, IDS, PAGE, ROWS, SMALL, Api
from connector_hub_zoho.asking import ABOUT, BY, CONVERTED, STAMP, Asked, asked
from connector_hub_zoho.values import field_info, field_infos

_KEY_LENGTH = 36
_SKEW = timedelta(minutes=5)
_NOT_MODIFIED, _BAD_REQUEST, _MOVED = 304, 400, 412
_USERS = "users"
"""The account's users, read only: records hold an owner's id."""
_VISITS = "Visits"
"""What SalesIQ saw on the web site: nobody writes it by the API."""
_MODULE = re.compile(r"[A-Z][A-Za-z0-9_]*\Z")
_ALL = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND
_QUIET: Mapping[str, Any] = {"trigger": []}
"""Workflows, approvals and blueprints are kept still."""
_LISTINGS = {"list": PAGE, "changed": PAGE, "fetch": IDS, "find": query.VALUES}
_POLL_SECONDS = 10.0
_ABOUT = ("Accounts", "Deals", "Leads", "Campaigns", "Sales_Orders", "Invoices")
"""What a task may be about; modules of the account's own may be, too."""
_EDITIONS: Mapping[str, tuple[int, int, int, int]] = {
    "free": (5_000, 0, 5_000, 5),
    "standard": (50_000, 250, 100_000, 10),
    "professional": (50_000, 500, 3_000_000, 15),
    "enterprise": (50_000, 1_000, 5_000_000, 20),
    "ultimate": (50_000, 2_000, 10**9, 25),
}
"""Credits of 24 hours, more for each user, the most of them; calls in flight.

https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
"""


def _ways(resource: str) -> tuple[Way, ...]:
    """Related lists are told record by record, so each costs a call for every one."""
    each = bool(related.LISTS.get(resource))
    reads = (Way(op, n, per_link=n if each else 0) for op, n in _LISTINGS.items())  # type: ignore[arg-type]
    return (
        *reads,
        Way("deleted", PAGE),
        Way("create", ROWS, per_link=ROWS if each else 0),
        Way("update", ROWS, per_link=2 * ROWS if each else 0),
        Way("update", 1, conditional=True),
        Way("archive", ROWS),
    )


def _module(name: str, can: Can = _ALL) -> Resource:
    """A module of records, those of an account's own among them."""
    return Resource(
        name,
        can,
        effect=Effect.UPSERT,
        feeds=("changed", "deleted"),
        links=tuple(related.LISTS.get(name, ())),
        ways=_ways(name),
        lag=120,
        describes_all=True,
        clock=True,
        billed="data storage",
        kept_still=("workflows", "approvals", "blueprints"),
    )


_SCHEME = "Zoho-oauthtoken"
_SCOPES = (
    "ZohoCRM.modules.ALL",
    "ZohoCRM.settings.ALL",
    "ZohoCRM.coql.READ",
    "ZohoCRM.bulk.READ",
    "ZohoCRM.users.READ",
    "ZohoCRM.org.READ",
)


class Zoho(Connector):
    """Zoho CRM (https://www.zoho.com/crm/developer/docs/api/v8/).

    Mapping paths are API names. A lookup is ``Account_Name.id``. A module of the account's own is a resource
    by its API name.
    """

    name = "zoho"
    auth: ClassVar[Auth] = FirstOf(
        (
            Bearer("token", scheme=_SCHEME),
            OAuth2(
                "{accounts_server}/oauth/v2/token",
                authorize_url="{accounts_server}/oauth/v2/auth",
                revoke_url="{accounts_server}/oauth/v2/token/revoke",
                scopes=_SCOPES,
                separator=",",
                asking={"access_type": "offline", "prompt": "consent"},
                origin="api_domain",
                server="accounts-server",
                scheme=_SCHEME,
                spent=("invalid_code", "invalid_grant"),
            ),
        )
    )
    base_url = centres.APIS["com"]
    origins = centres.ORIGINS
    key_field = "Connector_Hub_Id"
    signed = Shared("notify_token", lambda request: _token_of(request))  # noqa: PLW0108 - it stands below
    resources = (
        *(
            _module(name)
            for name in (
                "Contacts",
                "Accounts",
                "Leads",
                "Deals",
                "Products",
                "Quotes",
                "Sales_Orders",
                "Purchase_Orders",
                "Invoices",
                "Vendors",
                "Tasks",
                "Campaigns",
            )
        ),
        _module(_VISITS, Can.READ | Can.FIND),
        Resource(_USERS, Can.READ, ways=(Way("list", PAGE),)),
    )

    class Config(Connector.Config):
        """``data_centre``: where the account lives, as its addresses end: ``com``, ``eu``, ``in``, ...

        An app's ``client_id`` and ``client_secret``, with ``refresh_token`` where it was got elsewhere (a
        self client); without, ``connector-hub connect`` asks a person for ``scopes``, and the browser comes
        back to ``redirect_uri``. Or ``token``, an access token, which lives an hour.
        ``accounts``: where tokens are given, if not where the data centre has it.

        ``edition`` and ``users`` say how many credits there are in 24 hours, and calls in flight;
        ``credits`` and ``concurrency`` say so outright. ``notify_token``: what notifications are known by.
        """

        data_centre: centres.Centre = "com"
        accounts: str | None = None
        client_id: str | None = None
        client_secret: SecretStr | None = None
        refresh_token: SecretStr | None = None
        redirect_uri: str = REDIRECT_URI
        scopes: tuple[str, ...] = ()
        token: SecretStr | None = None
        version: str = "v8"
        edition: (
            Literal["free", "standard", "professional", "enterprise", "ultimate"] | None
        ) = None
        users: int = Field(1, gt=0)
        credits: int | None = Field(None, gt=0)
        concurrency: int | None = Field(None, gt=0)
        notify_token: SecretStr | None = None

        @model_validator(mode="before")
        @classmethod
        def _at_home(cls, given: Any) -> Any:
            """Records are where the data centre has them, unless it is said otherwise."""
            home = isinstance(given, dict) and centres.APIS.get(
                given.get("data_centre", "com")
            )
            return {"base_url": home, **given} if home else given

        @property
        def accounts_server(self) -> str:
            """Where people agree and tokens are given."""
            return self.accounts or centres.ACCOUNTS[self.data_centre]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.api = Api(self.http, self.config.version)
        self._bulk = bulk.BulkReads(self.api)

    @classmethod
    def resource(cls, name: str) -> Resource:
        """A declared module, or one of the account's own by its API name."""
        declared = {r.name for r in cls.resources}
        if name not in declared and _MODULE.match(name):
            return _module(name)
        return super().resource(name)

    async def check(self) -> Account:
        """The organization and whose token it is: two calls."""
        org = (await self.http.get(self.api.path("org")))["org"][0]
        params = {"type": "CurrentUser"}
        users = await self.http.get(self.api.path("users"), params=params)
        return Account(
            str(org["zgid"]),
            str(org.get("company_name") or org["zgid"]),
            str(users["users"][0]["id"]),
            org.get("time_zone"),
            org.get("iso_code"),
        )

    async def describe(self, resource: str) -> Resource:
        """The module with its fields, live: its fields and layouts, and the fields of its subforms.

        Raises:
            ConfigError: the account has no such module.
        """
        known = self.resource(resource)
        if resource == _USERS:
            return known
        if resource not in {r.name for r in self.resources}:
            known = replace(known, can=known.can & await self._granted(resource))
        described = await self.api.fields(resource, anew=True)
        required = await self.api.required(resource)
        fields = list(field_infos(described, required))
        for f in described:
            if f["api_name"] == "What_Id":
                about = replace(field_info(f), path="What_Id.id", refers_to=_ABOUT)
                kind = FieldInfo(ABOUT, "What the task is about", "text")
                fields = [x for x in fields if x.path != about.path]
                fields += [about, kind]
            if f["data_type"] == "subform":
                fields += await self._of_lines(str(f["api_name"]))
        return replace(known, fields=tuple(fields))

    async def _of_lines(self, name: str) -> list[FieldInfo]:
        """The fields in the rows of a subform."""
        described = await self.api.fields(name, anew=True)
        return [
            replace(info, path=f"{name}[].{info.path}")
            for info in field_infos(described)
        ]

    async def _granted(self, resource: str) -> Can:
        """What may be done with a module of the account's own.

        Raises:
            ConfigError: there is none of that name.
        """
        body = await self.http.get(self.api.path("settings", "modules"))
        known = {m["api_name"]: m for m in body["modules"] if m.get("api_supported")}
        found = known.get(resource)
        if found is None:
            own = [n for n, m in known.items() if m.get("generated_type") == "custom"]
            raise ConfigError(
                f"Zoho has no module {resource}",
                where=self.http.connection,
                hint=f"the account's own modules: {', '.join(own) or 'none'}",
            )
        granted = Can.READ | Can.FIND
        for may, what in (
            ("creatable", Can.CREATE),
            ("editable", Can.UPDATE),
            ("deletable", Can.ARCHIVE),
        ):
            if found.get(may):
                granted |= what
        return granted

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """A page of at most 200, of 2,000 where it goes by query or bulk read.

        ``changed`` from the beginning lists every live record; from a mark it gives what is gone and what
        was modified since two minutes before it. A lead that was converted is told as such. ``deleted``
        gives what was put into the recycle bin, or taken out of it for good, since the mark.

        Raises:
            MarkLost: ``at`` is none of this connector's.
        """
        place = _place(at)
        if resource == _USERS:
            return await self._users(place)
        if "mark" in place:
            since = datetime.fromisoformat(place["mark"])
            since -= timedelta(seconds=self.resource(resource).lag)
            place = {"since": query.instant(since), "gone": 1}
        if feed == "deleted":
            return await self._deleted(resource, place)
        wanted = asked(resource, want, self.key)
        for word, page in (
            ("gone", self._gone_first),
            ("sweep", self._sweep),
            ("bulk", self._bulk_read),
            ("id", self._beyond),
        ):
            if word in place:
                return await page(resource, place, wanted)
        return await self._list(resource, place, wanted)

    async def _gone_first(
        self, resource: str, place: Mapping[str, Any], wanted: Asked
    ) -> Page:
        """What is gone since the mark, and then what was modified.

        Zoho tells of a merge as of a deletion: the survivor is to find the loser's counterpart free.
        """
        since = place["since"]
        gone = await self._deleted(resource, {"since": since, "page": place["gone"]})
        if gone.next is not None:
            following = json.dumps({"since": since, "gone": place["gone"] + 1})
            return Page(gone.records, next=following, mark=gone.mark)
        page = await self._list(resource, {"since": since}, wanted)
        return Page([*gone.records, *page.records], next=page.next, mark=gone.mark)

    async def _users(self, place: Mapping[str, Any]) -> Page:
        """Active users, whole."""
        page = int(place.get("page", 1))
        params = {"type": "ActiveUsers", "per_page": str(PAGE), "page": str(page)}
        body = await self.http.get(self.api.path("users"), params=params)
        more = bool(body and body["info"]["more_records"])
        return Page(
            [Record(str(row["id"]), row) for row in body["users"]] if body else [],
            next=json.dumps({"page": page + 1}) if more else None,
            whole=True,
        )

    async def _list(self, resource: str, place: dict[str, Any], wanted: Asked) -> Page:
        """A page of the listing, by token; it goes on by query where tokens end."""
        since = place.get("since")
        params = {
            "fields": ",".join(wanted.all[:FIELDS]),
            "per_page": str(PAGE),
            "sort_by": STAMP if since else "id",
            "sort_order": "asc",
        }
        if resource == "Leads":
            params["converted"] = "both"
        token = place.get("token")
        if token:
            params["page_token"] = token
        answer = await self.http.send(
            "GET",
            self.api.path(resource),
            params=params,
            headers={"If-Modified-Since": since} if since else None,
            ok=(_NOT_MODIFIED, _BAD_REQUEST) if token else (_NOT_MODIFIED,),
            want_json=True,
        )
        mark = None if token else self._mark(answer)
        if answer.status == _BAD_REQUEST:
            return await self._after_token(resource, place, wanted, answer)
        if answer.status == _NOT_MODIFIED or not answer.body:
            return Page([], mark=mark, whole=since is None)
        body = answer.json()
        rows = body["data"]
        if len(wanted.all) > FIELDS:
            await self.api.fill(resource, rows, wanted.all[FIELDS:])
        following = None
        if body["info"]["more_records"]:
            last = rows[-1]
            following = {"since": since, "last": last["id"], "stamp": last[STAMP]}
            following["token"] = body["info"]["next_page_token"]
            following["spent"] = place.get("spent", 0) + _each_page(wanted)
            following["counted"] = place.get("counted", False)
            if since is None:
                following = await self._cheaper(resource, following, wanted)
        return Page(
            await self._told(resource, rows, wanted),
            next=json.dumps(following) if following else None,
            mark=mark,
            whole=since is None,
        )

    async def _after_token(
        self, resource: str, place: Mapping[str, Any], wanted: Asked, answer: Answer
    ) -> Page:
        """A token that reached its end (100,000 records), or died: by query from the last record on."""
        code = faults.first(answer).get("code")
        if code != "PAGINATION_LIMIT_EXCEEDED" and not faults.page_lost(answer):
            # Let the port sort and raise what it is, at the price of a call.
            params = {"fields": "id"}
            await self.http.send("GET", self.api.path(resource), params=params)
        following = {k: place.get(k) for k in ("since", "stamp")} | {
            "id": place["last"]
        }
        return await self._beyond(resource, following, wanted)

    async def _cheaper(
        self, resource: str, following: dict[str, Any], wanted: Asked
    ) -> dict[str, Any]:
        """How to go on, once as much was spent on a listing as a bulk read costs: by whichever is cheaper.

        What names something behind a lookup, and what is told record by record, only the listing gives.
        """
        if (
            following["spent"] < bulk.COST
            or following["counted"]
            or wanted.listed
            or wanted.rows
            or wanted.links
            or len(wanted.plain) > bulk.COLUMNS
        ):
            return following
        count = await self.api.count(resource)
        each = _each_page(wanted)
        listed = following["spent"] // each * PAGE
        if not bulk.is_cheaper(max(count - listed, 0), each):
            return following | {"counted": True}
        job = await self._bulk.begin(resource, wanted.plain)
        return {"bulk": job, "last": following["last"], "page": 1, "polls": 0}

    async def _bulk_read(
        self, resource: str, place: dict[str, Any], wanted: Asked
    ) -> Page:
        """How far a job is, else the next records of its result. What the listing gave is left out."""
        job = str(place["bulk"])
        try:
            result = await self._bulk.result(job) if "of" not in place else place["of"]
            if result is None:
                await self.clock.sleep(_POLL_SECONDS)
                waiting = place | {"polls": place["polls"] + 1}
                return Page([], next=json.dumps(waiting), whole=True)
            at = place.get("at", 0)
            portion = await self._bulk.portion(resource, job, at)
        except bulk.Lost:
            rest = {"since": None, "id": place["last"]}
            return Page([], next=json.dumps(rest), whole=True)
        known = {k: result[k] for k in ("count", "more_records")}
        following = place | {"of": known, "at": portion.at}
        if portion.done:
            following = await self._after_result(resource, place, known, wanted)
        fresh = [r for r in portion.rows if int(r["id"]) > int(place["last"])]
        return Page(
            await self._told(resource, fresh, wanted),
            next=json.dumps(following) if following else None,
            whole=True,
        )

    async def _after_result(
        self,
        resource: str,
        place: Mapping[str, Any],
        result: Mapping[str, Any],
        wanted: Asked,
    ) -> dict[str, Any]:
        """The next 200,000, else who may be missing.

        A record that points to one that is gone is not among the rows; only its absence tells.
        """
        if result["more_records"]:
            page = place["page"] + 1
            job = await self._bulk.begin(resource, wanted.plain, page, place["bulk"])
            return {"bulk": job, "last": place["last"], "page": page, "polls": 0}
        return {"sweep": place["last"], "job": place["bulk"]}

    async def _sweep(
        self, resource: str, place: Mapping[str, Any], wanted: Asked
    ) -> Page:
        """Ids by query, and those records that a bulk read did not have."""
        where = [f"id > {query.quoted(place['sweep'])}"]
        text = query.select(["id"], resource, where, order="id asc", limit=query.MOST)
        ids = [r["id"] for r in await self.api.query(text, query.MOST)]
        missed = self._bulk.missed(place["job"], ids)
        rows: list[dict[str, Any]] = []
        for i in range(0, len(missed), IDS):
            part = await self.api.by_ids(
                resource, missed[i : i + IDS], wanted.plain[:FIELDS]
            )
            if len(wanted.plain) > FIELDS:
                await self.api.fill(resource, part, wanted.plain[FIELDS:])
            rows += part
        following = None
        if len(ids) == query.MOST:
            following = json.dumps({**place, "sweep": ids[-1]})
        else:
            self._bulk.forget(place["job"])
        return Page(
            await self._told(resource, rows, wanted), next=following, whole=True
        )

    async def _beyond(
        self, resource: str, place: Mapping[str, Any], wanted: Asked
    ) -> Page:
        """A page by query, after the last record of the page before."""
        where = [f"id > {query.quoted(place['id'])}"]
        order = "id asc"
        if place.get("since"):
            stamp = query.quoted(place["stamp"])
            where = [f"({STAMP} > {stamp} or ({STAMP} = {stamp} and {where[0]}))"]
            order = f"{STAMP} asc, id asc"
        rows = await self._queried(resource, where, wanted, order, query.MOST)
        following = None
        if len(rows) == query.MOST:
            following = {"since": place.get("since"), "id": rows[-1]["id"]}
            following["stamp"] = rows[-1][STAMP]
        return Page(
            await self._told(resource, rows, wanted),
            next=json.dumps(following) if following else None,
            whole=not place.get("since"),
        )

    async def _queried(  # noqa: PLR0917 - the parts of a query
        self,
        resource: str,
        where: Sequence[str],
        wanted: Asked,
        order: str,
        limit: int,
        more: Sequence[str] = (),
    ) -> list[dict[str, Any]]:
        """Rows of a query; what it does not give is put into them by their ids."""
        names = list(dict.fromkeys((*wanted.plain[:1], *more, *wanted.plain)))
        text = query.select(
            names[: query.COLUMNS], resource, where, order=order, limit=limit
        )
        rows = await self.api.query(text, limit)
        rest = [*names[query.COLUMNS :], *wanted.listed]
        if rows and rest:
            await self.api.fill(resource, rows, rest)
        return rows

    async def _deleted(self, resource: str, place: Mapping[str, Any]) -> Page:
        page, since = int(place.get("page", 1)), place.get("since")
        answer = await self.http.send(
            "GET",
            self.api.path(resource, "deleted"),
            params={"type": "all", "per_page": str(PAGE), "page": str(page)},
            headers={"If-Modified-Since": since} if since else None,
            ok=(_NOT_MODIFIED,),
            want_json=True,
        )
        mark = self._mark(answer) if page == 1 else None
        if answer.status == _NOT_MODIFIED or not answer.body:
            return Page([], mark=mark)
        body = answer.json()
        more = body["info"]["more_records"]
        return Page(
            [Gone(str(row["id"])) for row in body["data"]],
            next=json.dumps({"since": since, "page": page + 1}) if more else None,
            mark=mark,
        )

    def _mark(self, answer: Answer) -> str:
        """Zoho's own clock when the pull began."""
        try:
            at = parsedate_to_datetime(answer.headers.get("date", ""))
        except ValueError:
            at = self.clock.now() - _SKEW
        return json.dumps({"mark": at.astimezone(UTC).isoformat()})

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Records by id in one call for fifty fields; what is gone is not answered."""
        wanted = asked(resource, want, self.key)
        rows = await self.api.by_ids(resource, ids, wanted.all[:FIELDS])
        if rows and len(wanted.all) > FIELDS:
            await self.api.fill(resource, rows, wanted.all[FIELDS:])
        return await self._told(resource, rows, wanted)

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """A record keeps the time of its last change only, in whole seconds: no field was edited later."""
        found = {}
        for i in range(0, len(ids), IDS):
            part = ids[i : i + IDS]
            for row in await self.api.by_ids(resource, part, ("id", STAMP)):
                until = datetime.fromisoformat(row[STAMP]) + timedelta(seconds=1)
                found[row["id"]] = dict.fromkeys(paths, Edited(None, until))
        return found

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of a field, by query: the search has an index that lags."""
        wanted = asked(resource, want, self.key)
        column = query.name(path).removesuffix(".id")
        found: dict[str, list[Record]] = {}
        for i in range(0, len(values), query.VALUES):
            part = values[i : i + query.VALUES]
            listed = ", ".join(map(query.quoted, part))
            rows = await self._all_with(
                resource, f"{column} in ({listed})", wanted, column
            )
            by_value = {v.casefold(): v for v in part}
            held = {r["id"]: _held(r, column) for r in rows}
            for seen in await self._told(resource, rows, wanted):
                value = by_value.get(held[seen.id].casefold())
                if value is not None and isinstance(seen, Record):
                    found.setdefault(value, []).append(seen)
        return found

    async def _all_with(
        self, resource: str, condition: str, wanted: Asked, column: str
    ) -> list[dict[str, Any]]:
        """All records that a condition holds for, however many."""
        found: list[dict[str, Any]] = []
        where, limit = [condition], PAGE
        while True:
            rows = await self._queried(
                resource, where, wanted, "id asc", limit, more=[column]
            )
            found += rows
            if len(rows) < limit:
                return found
            limit = query.MOST
            where = [condition, f"id > {query.quoted(rows[-1]['id'])}"]

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome]:
        """Upsert by the record key, update by id, put into the recycle bin; one outcome a row, in order.

        Without a key field a create is a plain insert. On a conditional way updates go one by one:
        what Zoho makes of the condition for a whole batch is not documented. Related lists follow, record
        by record.
        """
        if writes[0].op == "archive":
            return await self._archive(resource, writes)
        rows, there = await self._rows(resource, writes)
        if way.conditional:
            outcomes = [
                await self._update_unmoved(resource, w, r)
                for w, r in zip(writes, rows, strict=True)
            ]
        else:
            outcomes = await self._written(resource, writes, rows, there)
        for n, w in enumerate(writes):
            if w.links and isinstance(done := outcomes[n], Done):
                refused = await related.relate(self.api, resource, done.id, w.links)
                if refused is not None and w.op == "update":
                    outcomes[n] = faults.refusal(w, refused)
        return outcomes

    async def _written(
        self,
        resource: str,
        writes: Sequence[Write],
        rows: Sequence[dict[str, Any]],
        there: Mapping[str, str],
    ) -> list[Outcome]:
        """One call for all rows; those that are there already with their lines are told so."""
        sent = [
            n for n, w in enumerate(writes) if w.key not in there or w.op != "create"
        ]
        found: list[Outcome] = [
            Exists("it was made before, with its lines", there=there.get(w.key))
            for w in writes
        ]
        if not sent:
            return found
        body: dict[str, Any] = {"data": [rows[n] for n in sent], **_QUIET}
        method, path = "PUT", self.api.path(resource)
        if writes[0].op == "create":
            method = "POST"
            if self.key:
                path = self.api.path(resource, "upsert")
                body["duplicate_check_fields"] = [self.key]
        async with self.api.heavy(len(sent)):
            answer = await self.http.send(
                method, path, json=body, cost=_credits(len(sent)), ok=(_BAD_REQUEST,)
            )
        told = await self._outcomes(resource, [writes[n] for n in sent], answer)
        for n, outcome in zip(sent, told, strict=True):
            found[n] = outcome
        return found

    async def _update_unmoved(
        self, resource: str, w: Write, row: dict[str, Any]
    ) -> Outcome:
        """An update that Zoho makes only if the record is not younger than ``w.version``."""
        if w.version is None:
            return Stale("the record's version is not known")
        answer = await self.http.send(
            "PUT",
            self.api.path(resource, w.id or ""),
            json={"data": [row], **_QUIET},
            headers={"If-Unmodified-Since": w.version},
            ok=(_BAD_REQUEST, _MOVED),
        )
        if answer.status == _MOVED:
            return Stale("the record has moved")
        return (await self._outcomes(resource, [w], answer))[0]

    async def _archive(
        self, resource: str, writes: Sequence[Write]
    ) -> Sequence[Outcome]:
        async with self.api.heavy(len(writes)):
            answer = await self.http.send(
                "DELETE",
                self.api.path(resource),
                params={
                    "ids": ",".join(w.id or "" for w in writes),
                    "wf_trigger": "false",
                },
                repeatable=True,
                ok=(_BAD_REQUEST,),
            )
        return await self._outcomes(resource, writes, answer)

    async def _outcomes(
        self, resource: str, writes: Sequence[Write], answer: Answer
    ) -> list[Outcome]:
        """One outcome a row. A refusal of the whole call, which has no rows, is raised by the port."""
        rows = faults.rows_of(answer.json())
        if not rows and answer.status == _BAD_REQUEST:
            fault = self.fault(answer)
            raise ConfigError(
                fault.message if fault else "Zoho refused the call",
                where=f"{self.http.connection}: {resource}",
            )
        about_key = [r for r in rows if self.key and self.key in faults.fields_of(r)]
        if any(r.get("code") == "INVALID_DATA" for r in about_key):
            raise ConfigError(
                f"field {self.key}, which holds the record key, is missing or cannot hold it; "
                f"run connector-hub prepare {self.http.connection}"
            )
        found: list[Outcome] = []
        for n, w in enumerate(writes):
            if n >= len(rows):
                found.append(InDoubt("the answer does not speak of this write"))
            elif rows[n].get("status") == "success":
                found.append(_done(rows[n]))
            else:
                found.append(faults.refusal(w, rows[n]))
        return found

    async def _rows(
        self, resource: str, writes: Sequence[Write]
    ) -> tuple[list[dict[str, Any]], Mapping[str, str]]:
        """Writes as Zoho's rows, and by key the records that a create with lines would double.

        Lines are kept by being named: what a record has now is asked for before its lines are written.
        """
        patches = [
            {p: v for p, v in w.fields.items() if isinstance(v, RowsPatch)}
            for w in writes
        ]
        there: Mapping[str, str] = {}
        if any(patches) and writes[0].op == "create" and self.key:
            keys = [w.key for w, p in zip(writes, patches, strict=True) if p]
            found = await self.find(resource, self.key, keys, Want(frozenset()))
            there = {key: records[0].id for key, records in found.items()}
        present: dict[str, Mapping[str, Sequence[str]]] = {}
        if writes[0].op == "update":
            for name in {n for p in patches for n in p}:
                ids = [
                    w.id or ""
                    for w, p in zip(writes, patches, strict=True)
                    if name in p
                ]
                present[name] = await lines.held(self.api, name, ids)
        rows = []
        for w, patch in zip(writes, patches, strict=True):
            row = lines.row_of({p: v for p, v in w.fields.items() if p not in patch})
            for name, value in patch.items():
                now = present.get(name, {}).get(w.id or "", ())
                row[name] = lines.written(value, now)
            if w.op == "update":
                row["id"] = w.id
            elif self.key:
                row[self.key] = w.key
            rows.append(row)
        return rows, there

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The custom field of the record key: a text of 36 with "do not allow duplicate values".

        Raises:
            ConfigError: there is such a field and it is not unique.
        """
        if self.key is None:
            return None
        known = {f["api_name"]: f for f in await self.api.fields(resource, anew=True)}
        field = known.get(self.key)
        if field is not None:
            if not field.get("unique"):
                raise ConfigError(
                    f"{resource}.{self.key} is there and allows duplicate values",
                    hint="name another field with key_field:, or forbid duplicates in Zoho's field settings",
                )
            return None
        if make:
            label = self.key.replace("_", " ")
            body = {
                "field_label": label,
                "data_type": "text",
                "length": _KEY_LENGTH,
                "unique": {"casesensitive": "false"},
            }
            await self.http.post(
                self.api.path("settings", "fields"),
                params={"module": resource},
                json={"fields": [body]},
            )
        return f"{resource}.{self.key}: text({_KEY_LENGTH}), no duplicate values"

    def hear(self, request: Request) -> Heard:
        """A notification names a module and the ids of what has changed in it.

        Source: https://www.zoho.com/crm/developer/docs/api/v8/notifications/overview.html
        """
        match json.loads(request.body):
            case {"module": str(module), "ids": list(ids)}:
                return Heard({module: [str(i) for i in ids]})
        raise ValueError("Zoho's notifications have a module and ids")

    @classmethod
    def permissions(cls, needs: Sequence[Need]) -> Sequence[Permission]:
        """The scopes of the app, and what the user's profile must allow."""
        return scopes.permissions(needs)

    @classmethod
    def covers(cls, granted: Collection[str], scope: str) -> bool:
        """``ZohoCRM.modules.ALL`` holds ``ZohoCRM.modules.contacts.READ``."""
        return scopes.covers(granted, scope)

    def limits(self) -> Sequence[Limit]:
        """Credits of 24 hours and calls in flight (https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html)."""
        base, each, most, at_once = _EDITIONS.get(
            self.config.edition or "", (50_000, 0, 50_000, 5)
        )
        daily = self.config.credits or min(base + each * self.config.users, most)
        return (
            Limit("calls", daily, 86_400, "daily"),
            Limit("calls", self.config.concurrency or at_once, 0, "concurrent"),
        )

    def heed(self, answer: Answer) -> Mapping[str, float]:
        """Credits that are left; Zoho tells once half of them are spent."""
        left = answer.headers.get("x-api-credits-remaining", "")
        return {"calls": float(left)} if left.isdigit() else {}

    def fault(self, answer: Answer) -> Fault | None:
        """Status codes and error words of the API."""
        return faults.sort(answer, self.key, self.http.connection)

    async def _told(
        self, resource: str, rows: Sequence[dict[str, Any]], wanted: Asked
    ) -> list[Record | Gone]:
        """Rows as records, with their lines and related lists where those are wanted."""
        if wanted.rows:
            await lines.put_lines(self.api, rows, wanted.rows)
        links: Mapping[str, Mapping[str, Sequence[Ref]]] = {}
        if wanted.links:
            ids = [r["id"] for r in rows]
            links = await related.members(self.api, resource, ids, wanted.links)
        return [self._seen(resource, row, links.get(row["id"], {})) for row in rows]

    def _seen(
        self,
        resource: str,
        row: Mapping[str, Any],
        links: Mapping[str, Sequence[Ref]] | None = None,
    ) -> Record | Gone:
        if row.get(CONVERTED[0]) and resource == "Leads":
            into = row.get(CONVERTED[1]) or {}
            contact = Ref("Contacts", str(into["id"])) if into.get("id") else None
            return Gone(str(row["id"]), "converted", contact)
        stamp = row.get(STAMP)
        by = row.get(BY) or {}
        return Record(
            str(row["id"]),
            row,
            stamp,
            links=links or {},
            key=(row.get(self.key) or None) if self.key else None,
            changed=datetime.fromisoformat(stamp) if stamp else None,
            by=str(by["id"]) if by.get("id") else None,
        )


def _token_of(request: Request) -> str:
    """The token that a notification repeats."""
    body = json.loads(request.body)
    return str(body.get("token") or "") if isinstance(body, dict) else ""


def _place(at: str | None) -> dict[str, Any]:
    """Where a pull stands: a mark, a page token, the last record of a query, a bulk read."""
    if at is None:
        return {}
    try:
        place = json.loads(at)
        if "mark" in place:
            datetime.fromisoformat(place["mark"])
    except (ValueError, TypeError):
        raise MarkLost("Zoho: this mark is not one of ours") from None
    if not isinstance(place, dict):
        raise MarkLost("Zoho: this mark is not one of ours")
    return place


def _each_page(wanted: Asked) -> int:
    """What a page of the listing costs: fields beyond the first fifty are read by ids."""
    further = -(-max(len(wanted.all) - FIELDS, 0) // (FIELDS - 1))
    return 1 + further * (PAGE // IDS)


def _held(row: Mapping[str, Any], column: str) -> str:
    """What a row has in a column, as text; of a lookup the id."""
    value = row.get(column)
    return str(value.get("id") if isinstance(value, Mapping) else value)


def _done(row: Mapping[str, Any]) -> Done:
    """A confirmed row: its values are not in it and are read back."""
    details = row["details"]
    action = row.get("action")
    return Done(
        str(details["id"]),
        details.get(STAMP),
        created=None if action is None else action == "insert",
    )


def _credits(rows: int) -> int:
    """A write costs a credit for ten rows."""
    return -(-rows // SMALL)
