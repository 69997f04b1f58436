"""The connector, in the dialect of Zoho CRM's REST API v8 (https://www.zoho.com/crm/developer/docs/api/v8/).

Listings go by page token, which reaches 100,000 records and is bound to the very parameters it was given
for; beyond that the hub asks by query, in the order of ids. Rows of a write are answered in their order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from connector_hub.sdk import (
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
    Fault,
    Field,
    FieldInfo,
    Gone,
    InDoubt,
    Limit,
    MarkLost,
    Outcome,
    Page,
    Record,
    Ref,
    Resource,
    SecretStr,
    Stale,
    Want,
    Way,
    Write,
)
from connector_hub_zoho import faults, query

STAMP = "Modified_Time"
BY = "Modified_By"
_PAGE, _ROWS, _IDS, _FIELDS = 200, 100, 100, 50
_KEY_LENGTH = 36
_SKEW = timedelta(minutes=5)
_NOT_MODIFIED, _BAD_REQUEST, _MOVED = 304, 400, 412
_USERS = "users"
"""The account's users, read only: records hold an owner's id."""
_CONVERTED = ("Converted__s", "Converted_Contact")
"""Of leads: whether one was converted, and into which contact."""
_ALL = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND
_WAYS = (
    Way("list", _PAGE),
    Way("changed", _PAGE),
    Way("deleted", _PAGE),
    Way("fetch", _IDS),
    Way("find", query.VALUES),
    Way("create", _ROWS),
    Way("update", _ROWS),
    Way("update", 1, conditional=True),
    Way("archive", _ROWS),
)
_QUIET: Mapping[str, Any] = {"trigger": []}
"""Workflows, approvals and blueprints are kept still."""


class Zoho(Connector):
    """Zoho CRM (https://www.zoho.com/crm/developer/docs/api/v8/).

    Mapping paths are API names. A lookup is ``Account_Name.id``.
    """

    name = "zoho"
    auth: ClassVar[Auth] = Bearer("token", scheme="Zoho-oauthtoken")
    base_url = "https://www.zohoapis.com"
    origins = (
        "www.zohoapis.com",
        "www.zohoapis.eu",
        "www.zohoapis.in",
        "www.zohoapis.com.au",
        "www.zohoapis.com.cn",
        "www.zohoapis.jp",
        "www.zohoapis.sa",
        "www.zohoapis.ca",
    )
    key_field = "Connector_Hub_Id"
    resources = (
        *(
            Resource(
                name,
                _ALL,
                effect=Effect.UPSERT,
                feeds=("changed", "deleted"),
                ways=_WAYS,
                lag=120,
                describes_all=True,
                clock=True,
                billed="data storage",
                kept_still=("workflows", "approvals", "blueprints"),
            )
            for name in ("Contacts", "Accounts", "Leads", "Deals", "Products")
        ),
        Resource(_USERS, Can.READ, ways=_WAYS[:1]),
    )

    class Config(Connector.Config):
        """``base_url``: the API domain of the account's data centre. ``credits``: of 24 hours.

        ``concurrency``: calls in flight (5 in the free edition, 10 to 25 above).
        """

        token: SecretStr
        version: str = "v8"
        credits: int = Field(50_000, gt=0)
        concurrency: int = Field(5, gt=0)

    async def check(self) -> Account:
        """The organization and whose token it is: two calls."""
        org = (await self.http.get(self._path("org")))["org"][0]
        users = await self.http.get(self._path("users"), params={"type": "CurrentUser"})
        return Account(
            str(org["zgid"]),
            str(org.get("company_name") or org["zgid"]),
            str(users["users"][0]["id"]),
            org.get("time_zone"),
            org.get("iso_code"),
        )

    async def describe(self, resource: str) -> Resource:
        """The module with its fields, live (one call)."""
        known = self.resource(resource)
        if resource == _USERS:
            return known
        found = await self._described(resource)
        return replace(known, fields=tuple(map(field_info, found)))

    async def _described(self, resource: str) -> list[Any]:
        body = await self.http.get(
            self._path("settings", "fields"), params={"module": resource}
        )
        found: list[Any] = body["fields"]
        return found

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """A page of at most 200.

        ``changed`` from the beginning lists every live record; from a mark it gives what was modified
        since two minutes before it. A lead that was converted is told as such. ``deleted`` gives what
        was put into the recycle bin, or taken out of it for good, since the mark.

        Raises:
            MarkLost: ``at`` is none of this connector's.
        """
        place = _place(at)
        if resource == _USERS:
            return await self._users(place)
        if "mark" in place:
            since = datetime.fromisoformat(place["mark"])
            since -= timedelta(seconds=self.resource(resource).lag)
            place = {"since": query.instant(since)}
        if feed == "deleted":
            return await self._deleted(resource, place)
        if "id" in place:
            return await self._beyond(resource, place, want)
        return await self._list(resource, place, want)

    async def _users(self, place: Mapping[str, Any]) -> Page:
        """Active users, whole."""
        page = int(place.get("page", 1))
        params = {"type": "ActiveUsers", "per_page": str(_PAGE), "page": str(page)}
        body = await self.http.get(self._path("users"), params=params)
        more = bool(body and body["info"]["more_records"])
        return Page(
            [Record(str(row["id"]), row) for row in body["users"]] if body else [],
            next=json.dumps({"page": page + 1}) if more else None,
            whole=True,
        )

    async def _list(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        """A page of the listing, by token; it goes on by query where tokens end."""
        names = self._names(resource, want)
        since = place.get("since")
        params = {
            "fields": ",".join(names[:_FIELDS]),
            "per_page": str(_PAGE),
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
            self._path(resource),
            params=params,
            headers={"If-Modified-Since": since} if since else None,
            ok=(_NOT_MODIFIED, _BAD_REQUEST) if token else (_NOT_MODIFIED,),
            want_json=True,
        )
        mark = None if token else self._mark(answer)
        if answer.status == _BAD_REQUEST:
            return await self._after_token(resource, place, want, answer)
        if answer.status == _NOT_MODIFIED or not answer.body:
            return Page([], mark=mark, whole=since is None)
        body = answer.json()
        rows = body["data"]
        if len(names) > _FIELDS:
            await self._fill(resource, rows, names[_FIELDS:])
        info = body["info"]
        following = None
        if info["more_records"]:
            last = rows[-1]
            following = {"since": since, "last": last["id"], "stamp": last[STAMP]}
            following["token"] = info["next_page_token"]
        return Page(
            [self._seen(resource, row) for row in rows],
            next=json.dumps(following) if following else None,
            mark=mark,
            whole=since is None,
        )

    async def _after_token(
        self, resource: str, place: Mapping[str, Any], want: Want, answer: Answer
    ) -> Page:
        """A token that reached its end (100,000 records), or died: by query from the last record on."""
        code = faults.first(answer).get("code")
        if code != "PAGINATION_LIMIT_EXCEEDED" and not faults.page_lost(answer):
            # Let the port sort and raise what it is, at the price of a call.
            await self.http.send("GET", self._path(resource), params={"fields": "id"})
        following = {k: place.get(k) for k in ("since", "stamp")} | {
            "id": place["last"]
        }
        return await self._beyond(resource, following, want)

    async def _beyond(
        self, resource: str, place: Mapping[str, Any], want: Want
    ) -> Page:
        """A page by query, after the last record of the page before."""
        where = [f"id > {query.quoted(place['id'])}"]
        order = "id asc"
        if place.get("since"):
            stamp = query.quoted(place["stamp"])
            where = [f"({STAMP} > {stamp} or ({STAMP} = {stamp} and {where[0]}))"]
            order = f"{STAMP} asc, id asc"
        names = self._names(resource, want)
        rows = await self._query(
            query.select(
                names[: query.COLUMNS], resource, where, order=order, limit=_PAGE
            )
        )
        if rows and len(names) > query.COLUMNS:
            await self._fill(resource, rows, names[query.COLUMNS :])
        following = None
        if len(rows) == _PAGE:
            following = {"since": place.get("since"), "id": rows[-1]["id"]}
            following["stamp"] = rows[-1][STAMP]
        return Page(
            [self._seen(resource, row) for row in rows],
            next=json.dumps(following) if following else None,
            whole=not place.get("since"),
        )

    async def _query(self, text: str) -> list[Any]:
        """Rows of a query of at most 200 rows: one credit."""
        answer = await self.http.send(
            "POST",
            self._path("coql"),
            json={"select_query": text},
            repeatable=True,
            want_json=True,
        )
        return list(answer.json()["data"]) if answer.body else []

    async def _deleted(self, resource: str, place: Mapping[str, Any]) -> Page:
        page, since = int(place.get("page", 1)), place.get("since")
        answer = await self.http.send(
            "GET",
            self._path(resource, "deleted"),
            params={"type": "all", "per_page": str(_PAGE), "page": str(page)},
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
        names = self._names(resource, want)
        rows = await self._by_ids(resource, ids, names[:_FIELDS])
        if rows and len(names) > _FIELDS:
            await self._fill(resource, rows, names[_FIELDS:])
        return [self._seen(resource, row) for row in rows]

    async def _by_ids(
        self, resource: str, ids: Sequence[str], names: Sequence[str]
    ) -> list[Any]:
        sound = [i for i in ids if i.isdigit()]
        if not sound:
            return []
        params = {
            "ids": ",".join(sound),
            "fields": ",".join(names),
            "per_page": str(_PAGE),
        }
        if resource == "Leads":
            params["converted"] = "both"
        body = await self.http.get(self._path(resource), params=params)
        return list(body["data"]) if body else []

    async def _fill(
        self, resource: str, rows: Sequence[dict[str, Any]], names: Sequence[str]
    ) -> None:
        """Put the fields beyond the first fifty into rows."""
        by_id = {row["id"]: row for row in rows}
        ids = list(by_id)
        for n in range(0, len(names), _FIELDS - 1):
            part = ["id", *names[n : n + _FIELDS - 1]]
            for i in range(0, len(ids), _IDS):
                for found in await self._by_ids(resource, ids[i : i + _IDS], part):
                    by_id[found["id"]].update(found)

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """A record keeps the time of its last change only, in whole seconds: no field was edited later."""
        found = {}
        for i in range(0, len(ids), _IDS):
            for row in await self._by_ids(resource, ids[i : i + _IDS], ("id", STAMP)):
                until = datetime.fromisoformat(row[STAMP]) + timedelta(seconds=1)
                found[row["id"]] = dict.fromkeys(paths, Edited(None, until))
        return found

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of a field, by query: the search has an index that lags."""
        names = self._names(resource, want)
        if path not in names:
            names.insert(0, query.name(path))
        found: dict[str, list[Record]] = {}
        for i in range(0, len(values), query.VALUES):
            asked = values[i : i + query.VALUES]
            listed = ", ".join(map(query.quoted, asked))
            rows = await self._query(
                query.select(
                    names[: query.COLUMNS],
                    resource,
                    [f"{query.name(path)} in ({listed})"],
                    order="id asc",
                    limit=_PAGE,
                )
            )
            if rows and len(names) > query.COLUMNS:
                await self._fill(resource, rows, names[query.COLUMNS :])
            by_value = {v.casefold(): v for v in asked}
            for row in rows:
                value = by_value.get(str(row.get(path)).casefold())
                seen = self._seen(resource, row)
                if value is not None and isinstance(seen, Record):
                    found.setdefault(value, []).append(seen)
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome]:
        """Upsert by the record key, update by id, put into the recycle bin; one outcome a row, in order.

        Without a key field a create is a plain insert. On a conditional way updates go one by one:
        what Zoho makes of the condition for a whole batch is not documented.
        """
        if way.conditional:
            return [await self._update_unmoved(resource, w) for w in writes]
        if writes[0].op == "archive":
            return await self._archive(resource, writes)
        body: dict[str, Any] = {"data": [self._row(w) for w in writes], **_QUIET}
        method, path = "PUT", self._path(resource)
        if writes[0].op == "create":
            method = "POST"
            if self.key:
                path = self._path(resource, "upsert")
                body["duplicate_check_fields"] = [self.key]
        answer = await self.http.send(
            method, path, json=body, cost=_credits(len(writes)), ok=(_BAD_REQUEST,)
        )
        return await self._outcomes(resource, writes, answer)

    async def _update_unmoved(self, resource: str, w: Write) -> Outcome:
        """An update that Zoho makes only if the record is not younger than ``w.version``."""
        if w.version is None:
            return Stale("the record's version is not known")
        answer = await self.http.send(
            "PUT",
            self._path(resource, w.id or ""),
            json={"data": [self._row(w)], **_QUIET},
            headers={"If-Unmodified-Since": w.version},
            ok=(_BAD_REQUEST, _MOVED),
        )
        if answer.status == _MOVED:
            return Stale("the record has moved")
        return (await self._outcomes(resource, [w], answer))[0]

    async def _archive(
        self, resource: str, writes: Sequence[Write]
    ) -> Sequence[Outcome]:
        answer = await self.http.send(
            "DELETE",
            self._path(resource),
            params={"ids": ",".join(w.id or "" for w in writes), "wf_trigger": "false"},
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

    def _row(self, w: Write) -> dict[str, Any]:
        row: dict[str, Any] = {}
        for path, value in w.fields.items():
            head, _, leaf = query.name(path).partition(".")
            if leaf:
                row[head] = None if value is None else {leaf: spelled(value)}
            else:
                row[head] = spelled(value)
        if w.op == "update":
            row["id"] = w.id
        elif self.key:
            row[self.key] = w.key
        return row

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The custom field of the record key: a text of 36 with "do not allow duplicate values".

        Raises:
            ConfigError: there is such a field and it is not unique.
        """
        if self.key is None:
            return None
        known = {f["api_name"]: f for f in await self._described(resource)}
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
                self._path("settings", "fields"),
                params={"module": resource},
                json={"fields": [body]},
            )
        return f"{resource}.{self.key}: text({_KEY_LENGTH}), no duplicate values"

    def limits(self) -> Sequence[Limit]:
        """Credits of 24 hours and calls in flight (https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html)."""
        return (
            Limit("calls", self.config.credits, 86_400, "daily"),
            Limit("calls", self.config.concurrency, 0, "concurrent"),
        )

    def heed(self, answer: Answer) -> Mapping[str, float]:
        """Credits that are left; Zoho tells once half of them are spent."""
        left = answer.headers.get("x-api-credits-remaining", "")
        return {"calls": float(left)} if left.isdigit() else {}

    def fault(self, answer: Answer) -> Fault | None:
        """Status codes and error words of the API."""
        return faults.sort(answer, self.key, self.http.connection)

    def _path(self, *parts: str) -> str:
        return "/".join(("/crm", self.config.version, *parts))

    def _names(self, resource: str, want: Want) -> list[str]:
        """Fields to ask for: those that every page needs first, then the wanted ones."""
        first = ["id", STAMP, BY, *((self.key,) if self.key else ())]
        if resource == "Leads":
            first += _CONVERTED
        heads = sorted({query.name(p).partition(".")[0] for p in want.fields})
        return list(dict.fromkeys((*first, *heads)))

    def _seen(self, resource: str, row: Mapping[str, Any]) -> Record | Gone:
        if row.get(_CONVERTED[0]) and resource == "Leads":
            into = row.get(_CONVERTED[1]) or {}
            contact = Ref("Contacts", str(into["id"])) if into.get("id") else None
            return Gone(str(row["id"]), "converted", contact)
        stamp = row.get(STAMP)
        by = row.get(BY) or {}
        return Record(
            str(row["id"]),
            row,
            stamp,
            key=(row.get(self.key) or None) if self.key else None,
            changed=datetime.fromisoformat(stamp) if stamp else None,
            by=str(by["id"]) if by.get("id") else None,
        )


def _place(at: str | None) -> dict[str, Any]:
    """Where a pull stands: a mark, a page token, or the last record of a query."""
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
    return -(-rows // 10)


def spelled(value: Any) -> Any:
    """A hub value as Zoho's JSON: typed; instants in whole seconds with an offset."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return query.instant(value)
        case date():
            return value.isoformat()
        case tuple() | list():
            return list(value)
    return value


def field_info(f: Mapping[str, Any]) -> FieldInfo:
    """A field of ``/settings/fields``; a lookup's path is that of its id."""
    lookup = (f.get("lookup") or {}).get("module") or {}
    to = lookup.get("api_name") if isinstance(lookup, Mapping) else lookup
    name = str(f["api_name"])
    path = f"{name}.id" if f["data_type"] in {"lookup", "ownerlookup"} else name
    may = f.get("operation_type") or {}
    return FieldInfo(
        path=path,
        label=str(f.get("field_label") or name),
        type=str(f["data_type"]),
        required=bool(f.get("system_mandatory")),
        unique=bool(f.get("unique")),
        read_only=bool(f.get("read_only")) or may.get("api_update") is False,
        options=tuple(_options(f.get("pick_list_values") or ())),
        closed=f["data_type"] in {"picklist", "multiselectpicklist"},
        refers_to=(str(to),) if to else (),
        length=f.get("length"),
    )


def _options(listed: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Zoho's ``-None-`` stands for no value."""
    return (str(o["actual_value"]) for o in listed if o["actual_value"] != "-None-")
