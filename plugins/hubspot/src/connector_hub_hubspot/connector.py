"""The connector, in HubSpot's v3 and v4 dialect or its dated one (https://developers.hubspot.com/docs/reference/api/crm).

HubSpot promises no order in batch answers, so rows are matched by trace id, key or id.
Search has an index that lags, 10,000 rows a query and 5 calls a second; the listing has none of these.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import orjson

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
    Fault,
    FieldInfo,
    FirstOf,
    Gone,
    Heard,
    InDoubt,
    Kind,
    Left,
    Limit,
    Need,
    OAuth2,
    Outcome,
    Page,
    Permission,
    Record,
    Ref,
    Request,
    Resource,
    SecretStr,
    Signed,
    Want,
    Way,
    Write,
)
from connector_hub_hubspot import kinds, places, scopes
from connector_hub_hubspot.faults import (
    body_of,
    refusal,
    sorted_fault,
    unknown_property,
)
from connector_hub_hubspot.kinds import CUSTOM, KINDS, named
from connector_hub_hubspot.lines import LINES, OWNERS, Lines
from connector_hub_hubspot.links import Links, are_listed, listed_links
from connector_hub_hubspot.paths import PATHS, Paths, Version
from connector_hub_hubspot.values import (
    PREFIX,
    field_info,
    spelled,
    staged,
    unique_of,
)

_LIST, _BATCH = 100, 100
_SEARCH_BODY = 3_000
_URL = 6_000
_ARCHIVED_EVERY = timedelta(days=1)
_BILLED = {
    "contacts": "the tier of marketing contacts, if the account makes its apps' contacts such"
}
"""https://knowledge.hubspot.com/integrations/manage-marketing-contacts-settings-for-your-integrations"""
_HISTORIES = 50
_MERGED = "hs_merged_object_ids"
"""The ids of those that went into a record: HubSpot tells of a merge nowhere else."""
_OWNERS = "owners"
"""The account's users, read only: other records hold an owner's id."""
_OWNER_FIELDS = tuple(
    FieldInfo(name, label, "string", read_only=True)
    for name, label in (
        ("id", "Owner ID"),
        ("email", "Email"),
        ("firstName", "First Name"),
        ("lastName", "Last Name"),
        ("userId", "User ID"),
        ("userIdIncludingInactive", "User ID, of those who have left, too"),
    )
)
_MENTIONED = ("objectId", "primaryObjectId", "newObjectId")
_READABLE = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND
_WAYS = (
    Way("list", _LIST, per_rows=5),  # four lines each, and who has them
    Way("changed", places.SEARCH, bucket="search"),
    Way("deleted", _LIST),
    Way("fetch", _BATCH, per_link=1, per_rows=5),
    Way("find", _BATCH, per_link=1, per_rows=5),
    Way("create", _BATCH, per_link=1, per_rows=5),
    Way("update", _BATCH, per_link=4, per_rows=10),
    Way("archive", _BATCH),
)


def _resource(name: str, kind: kinds.Kind | None = None) -> Resource:
    """An object; of the account's own little is known before it is described."""
    return Resource(
        name,
        _READABLE,
        # what has to be associated when it is made cannot be upserted
        effect=Effect.VENDOR_KEY if kind and kind.needs else Effect.UPSERT,
        feeds=("changed", "deleted"),
        links=kind.links if kind else tuple(KINDS),
        ways=_WAYS,
        lag=120,
        indexed=True,
        needs=kind.needs if kind else (),
        clock=True,
        billed=_BILLED.get(name, ""),
        sets_off=("workflows that enrol on these changes",),
        describes_all=True,
    )


class HubSpot(Connector):
    """HubSpot CRM (https://developers.hubspot.com/docs/reference/api/crm/objects)."""

    name = "hubspot"
    auth: ClassVar[Auth] = FirstOf(
        (
            Bearer("token"),
            OAuth2(
                "/oauth/2026-03/token",
                authorize_url="{app}/oauth/authorize",
                revoke_url="/oauth/2026-03/token/revoke",
                scopes=(
                    "oauth",
                    *(
                        f"crm.{kind}.{name}.{right}"
                        for kind in ("objects", "schemas")
                        for name in ("contacts", "companies")
                        for right in ("read", "write")
                    ),
                ),
            ),
        )
    )
    base_url = "https://api.hubapi.com"
    key_field = "connector_hub_id"
    signed = Signed(
        "client_secret",
        "x-hubspot-signature-v3",
        lambda request: signed_text(request),  # noqa: PLW0108 - it stands below
        stamp="x-hubspot-request-timestamp",
    )
    resources = (
        *(_resource(name, kind) for name, kind in KINDS.items()),
        Resource(_OWNERS, Can.READ, ways=(Way("list", _LIST),), fields=_OWNER_FIELDS),
    )

    class Config(Connector.Config):
        """Either ``token``, of a private app, or what a public app has: ``client_id`` with the others.

        A public app without ``refresh_token`` lives on what ``connector-hub connect`` gets, in a browser at
        ``app``, back to ``redirect_uri``, for ``scopes``, which must be those that the app was made with.
        With ``client_secret`` the webhooks of either are heard.

        ``burst``: calls per 10 s (100 on Free and Starter, 190 above). ``daily``: calls a day of a private
        app; public ones have no such limit. ``api``: the version of the API; v3 goes with v4 associations.
        """

        token: SecretStr | None = None
        client_id: str | None = None
        client_secret: SecretStr | None = None
        refresh_token: SecretStr | None = None
        redirect_uri: str = REDIRECT_URI
        scopes: tuple[str, ...] = ()
        app: str = "https://app.hubspot.com"
        burst: int = 100
        daily: int = 250_000
        api: Version = "v3"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._zone: ZoneInfo | None = None
        self._lined: set[str] = set()
        """Objects of which somebody wants the lines: what is written to them is read back with these."""

    @classmethod
    def resource(cls, name: str) -> Resource:
        """The declared resource of that name; ``2-NUMBER`` is an object of the account's own."""
        return _resource(name) if CUSTOM.fullmatch(name) else super().resource(name)

    @property
    def _paths(self) -> Paths:
        return PATHS[self.config.api]

    @cached_property
    def _links(self) -> Links:
        return Links(self.http, self._paths)

    @cached_property
    def _lines(self) -> Lines:
        return Lines(self.http, self._links, self._objects)

    def _objects(self, resource: str, rest: str = "") -> str:
        """The path of an object's records."""
        return f"{self._paths.objects}/{resource}{rest}"

    async def check(self) -> Account:
        """Account details (one call)."""
        me = await self.http.get("/account-info/v3/details")
        with contextlib.suppress(
            ValueError, KeyError
        ):  # a zone that this machine does not know
            self._zone = ZoneInfo(str(me["timeZone"]))
        portal = str(me["portalId"])
        return Account(
            portal,
            f"portal {portal}",
            zone=me.get("timeZone"),
            currency=me.get("companyCurrency"),
        )

    async def describe(self, resource: str) -> Resource:
        """The resource with its properties, live: stages are those of its pipelines.

        An object of the account's own has a schema, which names what is required and what it leads to.
        """
        known = self.resource(resource)
        if resource == _OWNERS:
            return known
        body = await self.http.get(f"{self._paths.properties}/{resource}")
        fields = [field_info(resource, p) for p in body["results"]]
        kind = KINDS.get(resource)
        if kind is None:
            return await self._own(known, fields)
        if kind.stage:
            told = await self.http.get(f"{self._paths.pipelines}/{resource}")
            fields = [
                staged(f, kind.pipeline, kind.stage, told["results"]) for f in fields
            ]
        if resource in OWNERS:
            fields += await self._described_lines()
        return replace(known, fields=_demanded(fields, kind.required))

    async def _described_lines(self) -> list[FieldInfo]:
        body = await self.http.get(f"{self._paths.properties}/{LINES}")
        told = (field_info(LINES, p) for p in body["results"])
        return [
            FieldInfo(LINES, "Line items", "rows"),
            *(replace(f, path=f"{LINES}[].{f.path}") for f in told),
        ]

    async def _own(self, known: Resource, fields: Sequence[FieldInfo]) -> Resource:
        schema = await self.http.get(f"{self._paths.schemas}/{known.name}")
        leads = {
            named(str(a["toObjectTypeId"]))
            for a in schema.get("associations", ())
            if a["fromObjectTypeId"] == known.name
        }
        return replace(
            known,
            links=tuple(sorted(leads)),
            fields=_demanded(fields, schema.get("requiredProperties", ())),
        )

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """Everything by the listing; what changed by the search; what is archived by its listing.

        The archive has no filter by date: from a mark it is read when that is a day old, else nothing is.
        Owners are listed whole, those who have left not among them.
        """
        place = places.place(at)
        if resource == _OWNERS:
            return await self._owners(place)
        if feed == "deleted":
            return await self._archived(resource, place)
        if place.get("lines"):
            return await self._relined(resource, place, want)
        if "ms" in place:
            page = await self._search(resource, place, want)
        else:
            page = await self._list(resource, place, want)
        return Page(
            await self._with_lines(resource, page.records, want),
            page.next,
            page.mark,
            page.whole,
        )

    async def _relined(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        """Records whose lines have changed: a line's edit does not move its parent's stamp."""
        stamp = _stamp(LINES)
        found = await self.http.post(
            self._objects(LINES, "/search"),
            json=places.query(stamp, place, [stamp]),
            bucket="search",
            repeatable=True,
        )
        rows = found["results"]
        parents = await self._lines.parents(resource, [r["id"] for r in rows])
        more = bool(places.after(found))
        following = places.following(place, rows, stamp, more=more)
        return Page(
            await self._fetch_all(resource, parents, want),
            next=json.dumps(following | {"lines": True}) if following else None,
        )

    async def _with_lines(
        self, resource: str, records: Sequence[Record | Gone], want: Want
    ) -> Sequence[Record | Gone]:
        """Records with their lines, where these are wanted; their version moves with their lines."""
        paths = want.rows.get(LINES)
        if paths is None or resource not in OWNERS:
            return records
        self._lined.add(resource)
        ids = [r.id for r in records if isinstance(r, Record) and LINES not in r.fields]
        if not ids:
            return records
        kept = await self._lines.of(resource, ids, paths)
        return [
            r if isinstance(r, Gone) or r.id not in kept else _lined(r, kept[r.id])
            for r in records
        ]

    async def _owners(self, place: dict[str, Any]) -> Page:
        params = {"limit": str(_LIST)}
        if place.get("list"):
            params["after"] = place["list"]
        body = await self.http.get(self._paths.owners, params=params)
        after = places.after(body)
        return Page(
            [Record(row["id"], row) for row in body["results"]],
            next=json.dumps({"list": after}) if after else None,
            whole=True,
        )

    async def _list(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        wanted = ",".join(self._properties(resource, want))
        apart = len(wanted) > _URL
        params = {
            "limit": str(_LIST),
            "properties": "hs_object_id" if apart else wanted,
        }
        listed = are_listed(resource, want.links)
        if want.links and listed and not apart:
            params["associations"] = ",".join(sorted(want.links))
        if place.get("list"):
            params["after"] = place["list"]
        answer = await self.http.send(
            "GET", self._objects(resource), params=params, want_json=True
        )
        body = answer.json()
        rows = body["results"]
        records: Sequence[Record | Gone]
        if apart:
            records = await self.fetch(resource, [r["id"] for r in rows], want)
        else:
            records = await self._listed(resource, rows, want, linked=listed)
        after = places.after(body)
        return Page(
            records,
            next=json.dumps({"list": after}) if after else None,
            mark=None if place.get("list") else places.mark(answer, self.clock),
            whole=True,
        )

    async def _listed(
        self, resource: str, rows: Sequence[Any], want: Want, *, linked: bool
    ) -> list[Record | Gone]:
        """Listed rows; those with more associations than are listed, or with unknown words, read apart."""
        links: dict[str, Mapping[str, Sequence[Ref]]] = {}
        apart = []
        for row in rows:
            found, whole = listed_links(resource, row, want.links)
            links[row["id"]] = found
            if want.links and not (linked and whole):
                apart.append(row["id"])
        if apart:
            links |= await self._links.of(resource, apart, want.links)
        return [
            *(g for row in rows for g in _merged(resource, row)),
            *(self._record(row, links[row["id"]]) for row in rows),
        ]

    async def _archived(self, resource: str, place: dict[str, Any]) -> Page:
        now = self.clock.now()
        read = place.get("read")
        if read and now - datetime.fromisoformat(read) < _ARCHIVED_EVERY:
            return Page([], mark=json.dumps(place))
        params = {"limit": str(_LIST), "archived": "true", "properties": _MERGED}
        if place.get("list"):
            params["after"] = place["list"]
        answer = await self.http.send(
            "GET", self._objects(resource), params=params, want_json=True
        )
        body = answer.json()
        after = places.after(body)
        return Page(
            [
                g
                for r in body["results"]
                for g in (*_merged(resource, r), Gone(r["id"]))
            ],
            next=json.dumps({"list": after}) if after else None,
            mark=None
            if place.get("list")
            else json.dumps({"read": now.astimezone(UTC).isoformat()}),
        )

    async def _search(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        """A page of a search in the order of the stamp, each beginning with the last one's last stamp.

        Where a whole page shares one stamp, its rows are read in the order of their ids.
        """
        stamp = _stamp(resource)
        fresh = "op" not in place
        if fresh:
            since = place["ms"] - self.resource(resource).lag * 1000
            place = {"op": "GTE", "ms": since, "id": None}
        wanted = [stamp, *(n for n in self._properties(resource, want) if n != stamp)]
        body = places.query(stamp, place, wanted)
        apart = len(orjson.dumps(body)) > _SEARCH_BODY
        if apart:
            body["properties"] = [stamp]
        answer = await self.http.send(
            "POST",
            self._objects(resource, "/search"),
            json=body,
            bucket="search",
            repeatable=True,
            want_json=True,
        )
        found = answer.json()
        rows = found["results"]
        ids = [r["id"] for r in rows]
        records: Sequence[Record | Gone]
        if apart:
            records = await self._fetch_all(resource, ids, want)
        else:
            links = await self._links.of(resource, ids, want.links)
            records = [
                *(g for r in rows for g in _merged(resource, r)),
                *(self._record(r, links.get(r["id"], {})) for r in rows),
            ]
        following = places.following(place, rows, stamp, more=bool(places.after(found)))
        if LINES in want.rows:
            since = place.get("since", place["ms"])
            following = (
                {**following, "since": since}
                if following
                else {"op": "GTE", "ms": since, "id": None, "lines": True}
            )
        return Page(
            records,
            next=json.dumps(following) if following else None,
            mark=places.mark(answer, self.clock) if fresh else None,
        )

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Batch read. An id that was merged answers with the survivor: it is told as merged.

        Ids that are not answered are asked for once more among the archived.
        """
        if not ids:
            return []
        properties = self._properties(resource, want)
        rows = await self._batch(resource, ids, properties)
        links = await self._links.of(resource, [r["id"] for r in rows], want.links)
        found: list[Record | Gone] = []
        asked = set(ids)
        for row in rows:
            if row["id"] in asked:
                found.append(self._record(row, links.get(row["id"], {})))
            found += [g for g in _merged(resource, row) if g.id in asked]
        missing = asked - {r.id for r in found}
        if missing:
            archived = await self._batch(resource, sorted(missing), [], archived=True)
            found += [Gone(row["id"]) for row in archived if row["id"] in missing]
        return await self._with_lines(resource, found, want)

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """HubSpot keeps each property's history; a batch with histories is half as large."""
        names = [p.removeprefix(PREFIX) for p in paths if p.startswith(PREFIX)]
        found: dict[str, dict[str, Edited]] = {}
        for i in range(0, len(ids), _HISTORIES):
            body = await self.http.post(
                self._objects(resource, "/batch/read"),
                json={
                    "properties": [],
                    "propertiesWithHistory": names,
                    "inputs": [{"id": i} for i in ids[i : i + _HISTORIES]],
                },
                repeatable=True,
            )
            for row in body["results"]:
                told = row.get("propertiesWithHistory") or {}
                stamps = {
                    PREFIX + n: max(
                        datetime.fromisoformat(v["timestamp"]) for v in past
                    )
                    for n, past in told.items()
                    if past
                }
                found[row["id"]] = {p: Edited(at, at) for p, at in stamps.items()}
        return found

    async def _batch(
        self,
        resource: str,
        ids: Sequence[str],
        properties: Sequence[str],
        *,
        archived: bool = False,
    ) -> list[Any]:
        body = await self.http.post(
            self._objects(resource, "/batch/read"),
            json=_reading(ids, properties),
            params={"archived": "true"} if archived else None,
            repeatable=True,
        )
        rows: list[Any] = body["results"]
        return rows

    async def _fetch_all(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        found: list[Record | Gone] = []
        for i in range(0, len(ids), _BATCH):
            found += await self.fetch(resource, ids[i : i + _BATCH], want)
        return found

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Batch read by a unique property: it misses nothing, unlike the search."""
        name = path.removeprefix(PREFIX)
        if name != self.key and name not in unique_of(resource):
            raise ConfigError(f"{resource} cannot be found by {name}: it is not unique")
        properties = dict.fromkeys([*self._properties(resource, want), name])
        answer = await self.http.send(
            "POST",
            self._objects(resource, "/batch/read"),
            json={"idProperty": name, **_reading(values, list(properties))},
            repeatable=True,
            want_json=True,
        )
        rows = answer.json()["results"]
        links = await self._links.of(resource, [r["id"] for r in rows], want.links)
        records = [self._record(row, links.get(row["id"], {})) for row in rows]
        found: dict[str, list[Record]] = {}
        for r in await self._with_lines(resource, records, want):
            if isinstance(r, Record):
                value = r.fields["properties"].get(name) or ""
                found.setdefault(value, []).append(r)
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome]:
        """Upsert by the record key, update by id, archive; associations follow the records.

        What must be associated with something when it is made is created with its associations.
        """
        op = writes[0].op
        if op == "archive":
            await self.http.send(
                "POST",
                self._objects(resource, "/batch/archive"),
                json={"inputs": [{"id": w.id} for w in writes]},
                repeatable=True,
            )
            return [Done(w.id or "") for w in writes]
        await self._links.know(resource, writes)
        verb = self._verb(resource, op)
        inputs = [self._input(resource, verb, w) for w in writes]
        body = await self.http.post(
            self._objects(resource, f"/batch/{verb}"),
            json={"inputs": inputs},
        )
        outcomes = self._outcomes(writes, inputs, body)
        if verb == "create" and self.resource(resource).needs:
            return outcomes
        unsure = await self._links.write(resource, writes, outcomes)
        if resource in OWNERS:
            outcomes = await self._lines.write(resource, writes, outcomes)
        if resource in self._lined:
            unsure |= {o.id for o in outcomes if isinstance(o, Done)}
        return [
            _unread(o) if isinstance(o, Done) and o.id in unsure else o
            for o in outcomes
        ]

    def _verb(self, resource: str, op: str) -> str:
        if op == "update":
            return "update"
        return "upsert" if self.key and not self.resource(resource).needs else "create"

    def _input(self, resource: str, verb: str, w: Write) -> dict[str, Any]:
        properties = {
            p[len(PREFIX) :]: v if v.__class__ is str else spelled(v)
            for p, v in w.fields.items()
            if p != LINES
        }
        found: dict[str, Any] = {
            "properties": properties,
            "objectWriteTraceId": w.trace,
        }
        if verb == "update":
            found["id"] = w.id
            return found
        if self.key:
            properties[self.key] = w.key
        if verb == "upsert":
            found |= {"id": w.key, "idProperty": self.key}
        else:
            given = w.links if self.resource(resource).needs else {}
            found["associations"] = self._links.given(resource, given)
        return found

    def _outcomes(
        self,
        writes: Sequence[Write],
        inputs: Sequence[Mapping[str, Any]],
        body: Mapping[str, Any],
    ) -> list[Outcome]:
        """One outcome per write; a write that no row and no error speaks of is in doubt.

        HubSpot promises no order. Rows tell their write by trace id, record id or record key; those that tell
        none are of the writes that are left, whose values they have.
        """
        by_trace: dict[str, Outcome] = {}
        sent = {i["objectWriteTraceId"]: i["properties"] for i in inputs}
        traces = {w.trace: w for w in writes}
        by_key = {w.key: w for w in writes if w.op == "create"}
        by_id = {w.id: w for w in writes if w.op == "update"}
        strays: list[Any] = []
        for row in body.get("results", ()):
            w = (
                traces.get(row.get("objectWriteTraceId"))
                or by_id.get(row["id"])
                or by_key.get(row["properties"].get(self.key or "") or "")
            )
            if w is None:
                strays.append(row)
            else:
                by_trace[w.trace] = _done(sent[w.trace], row)
        for error in body.get("errors", ()):
            if self._about_key(error):
                raise ConfigError(self._unprepared())
            for trace in error.get("context", {}).get("objectWriteTraceId", ()):
                by_trace[trace] = refusal(error)
        for row in strays:
            left = {t: sent[t] for t in sent if t not in by_trace}
            trace = _alike(left, row["properties"])
            if trace:
                by_trace[trace] = _done(sent[trace], row)
        return [
            by_trace.get(w.trace) or InDoubt("the answer does not speak of this write")
            for w in writes
        ]

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The property of the record key: a text with ``hasUniqueValue``."""
        if self.key is None:
            return None
        path = f"{self._paths.properties}/{resource}"
        answer = await self.http.send("GET", f"{path}/{self.key}", ok=(404,))
        if answer.status != 404:  # noqa: PLR2004
            if not answer.json().get("hasUniqueValue"):
                raise ConfigError(
                    f"property {self.key} of {resource} is there and is not unique",
                    hint="name another one with key_field:, or archive it and prepare again",
                )
            return None
        group = await self._group(resource)
        if make:
            await self.http.post(
                path,
                json={
                    "name": self.key,
                    "label": "Connector Hub Id",
                    "type": "string",
                    "fieldType": "text",
                    "groupName": group,
                    "hasUniqueValue": True,
                    "description": "Written by connector-hub; tells which record this is elsewhere.",
                },
            )
        return f"{resource}.{self.key}: text, unique, group {group}"

    async def _group(self, resource: str) -> str:
        """The group that our property goes to: of the account's own objects that of their other ones."""
        if resource in KINDS:
            return KINDS[resource].group
        told = await self.http.get(f"{self._paths.properties}/{resource}/hs_object_id")
        return str(told["groupName"])

    def hear(self, request: Request) -> Heard:
        """The records of a batch of events; what is of another account or resource is left out.

        https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide
        """
        events = json.loads(request.body)
        if not isinstance(events, list):
            raise TypeError("a batch of events is a list")
        look: dict[str, dict[str, None]] = {}
        for event in events:
            if str(event["portalId"]) == request.account:
                for resource, record in _mentioned(event):
                    look.setdefault(resource, {})[record] = None
        return Heard({resource: tuple(ids) for resource, ids in look.items()})

    @classmethod
    def permissions(cls, needs: Sequence[Need]) -> Sequence[Permission]:
        """The scopes of the app."""
        return scopes.permissions(needs)

    def limits(self) -> Sequence[Limit]:
        """Limits of the account.

        https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
        """
        rolling = (Limit("calls", self.config.burst, 10), Limit("search", 5, 1))
        if self.config.token is None:
            return rolling
        return (*rolling, Limit("calls", self.config.daily, 86_400, "daily"))

    def heed(self, answer: Answer) -> Mapping[str, Left]:
        """What is left of the day, which ends at midnight of the account's zone; private apps only."""
        left, of = (
            answer.headers.get(f"x-hubspot-ratelimit-daily{end}", "")
            for end in ("-remaining", "")
        )
        if not left.isdigit():
            return {}
        most = float(of) if of.isdigit() else None
        return {"calls": Left(float(left), most, self._midnight())}

    def _midnight(self) -> datetime | None:
        """When the account's day ends, once its zone is known."""
        if self._zone is None:
            return None
        now = self.clock.now().astimezone(self._zone)
        day = now.date() + timedelta(days=1)
        return datetime.combine(day, time(), self._zone)

    def fault(self, answer: Answer) -> Fault | None:
        """Sort an error answer; one about the key's property is nothing that a record can mend."""
        if answer.status == 400 and self._about_key(body_of(answer)):  # noqa: PLR2004
            return Fault(Kind.CONFIG, self._unprepared())
        fault = sorted_fault(answer)
        midnight = self._midnight()
        if fault and fault.kind is Kind.QUOTA and midnight:
            wait = (midnight - self.clock.now()).total_seconds()
            return replace(fault, wait=wait)
        return fault

    def _about_key(self, error: Mapping[str, Any]) -> bool:
        """Whether a refusal is about the key property itself rather than about a record."""
        if self.key is None:
            return False
        message = str(error.get("message") or "")
        return unknown_property(error) == self.key or (
            "non-unique" in message and self.key in message
        )

    def _unprepared(self) -> str:
        return (
            f"property {self.key}, which holds the record key, is missing or not unique; "
            f"run connector-hub prepare {self.http.connection}"
        )

    def _properties(self, resource: str, want: Want) -> list[str]:
        """Property names to ask for: the wanted ones, the stamp and the key."""
        names = {p.removeprefix(PREFIX) for p in want.fields if p.startswith(PREFIX)}
        names |= {_stamp(resource), _MERGED}
        if self.key:
            names.add(self.key)
        return sorted(names)

    def _record(
        self, row: Mapping[str, Any], links: Mapping[str, Sequence[Ref]]
    ) -> Record:
        key = row["properties"].get(self.key) if self.key else None
        version = row.get("updatedAt")
        return Record(
            row["id"],
            row,
            version,
            links,
            key or None,
            datetime.fromisoformat(version) if version else None,
        )


def _stamp(resource: str) -> str:
    return KINDS[resource].stamp if resource in KINDS else "hs_lastmodifieddate"


def _reading(ids: Sequence[str], properties: Sequence[str]) -> dict[str, Any]:
    return {
        "properties": properties,
        "propertiesWithHistory": [],
        "inputs": [{"id": i} for i in ids],
    }


def _demanded(
    fields: Iterable[FieldInfo], required: Iterable[str]
) -> tuple[FieldInfo, ...]:
    paths = {f"{PREFIX}{n}" for n in required}
    return tuple(replace(f, required=True) if f.path in paths else f for f in fields)


_ESCAPED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)


def signed_text(request: Request) -> bytes:
    """What HubSpot hashes: method, address, body, time of sending; some escapes of the address are undone.

    https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/request-validation
    """
    url = _ESCAPED.sub(lambda m: chr(int(m.group(1), 16)), request.url)
    stamp = request.headers.get("x-hubspot-request-timestamp", "")
    head = f"{request.method}{url}".encode()
    return head + request.body + stamp.encode()


def _mentioned(event: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """The records that an event is about: one, those of a merge, both ends of an association."""
    word, _, what = str(event["subscriptionType"]).partition(".")
    if what == "associationChange":
        words = str(event["associationType"]).lower().split("_to_")
        ids = [event["fromObjectId"], event["toObjectId"]]
    else:
        ids = [event[n] for n in _MENTIONED if event.get(n) is not None]
        ids += event.get("mergedObjectIds") or ()
        word = str(event.get("objectTypeId", word)) if word == "object" else word
        words = [word] * len(ids)
    for said, record in zip(words, ids, strict=False):
        name = named(said)
        if name in KINDS or CUSTOM.fullmatch(name):
            yield name, str(record)


def _lined(record: Record, lines: Sequence[Mapping[str, Any]]) -> Record:
    stamps = [str(row["updatedAt"]) for row in lines]
    times = [datetime.fromisoformat(s) for s in stamps]
    if record.changed:
        times.append(record.changed)
    return Record(
        record.id,
        {**record.fields, LINES: list(lines)},
        f"{record.version} {len(lines)} {max(stamps, default='')}",
        record.links,
        record.key,
        max(times, default=None),
        record.by,
    )


def _alike(
    left: Mapping[str, Mapping[str, str]], properties: Mapping[str, Any]
) -> str | None:
    """The write whose values a row has; of those that sent the same, any."""
    return next(
        (
            trace
            for trace, sent in left.items()
            if all((properties.get(n) or "") == v for n, v in sent.items())
        ),
        None,
    )


def _unread(outcome: Done) -> Done:
    """An outcome whose values the hub has to read back; associations move the record's version."""
    return Done(outcome.id, created=outcome.created)


def _done(sent: Mapping[str, str], row: Mapping[str, Any]) -> Done:
    """A confirmed row; its values stand for a read-back when every written one is among them."""
    silent = sent.keys() - row["properties"].keys()
    told = not any(map(sent.get, silent))
    return Done(
        row["id"], row.get("updatedAt"), row if told else None, created=row.get("new")
    )


def _merged(resource: str, row: Mapping[str, Any]) -> list[Gone]:
    """Those that were merged into a record."""
    ids = row["properties"].get(_MERGED)
    if not ids:
        return []
    into = Ref(resource, row["id"])
    return [Gone(old, "merged", into) for old in ids.split(";") if old != row["id"]]
