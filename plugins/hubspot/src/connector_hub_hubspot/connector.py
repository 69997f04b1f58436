"""The connector, in HubSpot's v3 and v4 dialect (https://developers.hubspot.com/docs/reference/api/crm).

HubSpot promises no order in batch answers, so rows are matched by trace id, key or id.
Search has an index that lags, 10,000 rows a query and 5 calls a second; the listing has none of these.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from connector_hub.sdk import (
    REDIRECT_URI,
    Account,
    Answer,
    Auth,
    Bearer,
    Can,
    Clock,
    ConfigError,
    Connector,
    Done,
    Edited,
    Effect,
    Exists,
    Fault,
    FieldInfo,
    FirstOf,
    Gone,
    Heard,
    InDoubt,
    Kind,
    Left,
    Limit,
    MarkLost,
    Missing,
    Need,
    OAuth2,
    Outcome,
    Page,
    Permission,
    Record,
    Ref,
    Rejected,
    Request,
    Resource,
    SecretStr,
    Signed,
    VendorError,
    Want,
    Way,
    Write,
)
from connector_hub_hubspot import scopes

PREFIX = "properties."
_LIST, _SEARCH, _BATCH, _ASSOCIATIONS = 100, 200, 100, 1000
_SEARCH_BODY = 3_000
_URL = 6_000
_STAMP = {"contacts": "lastmodifieddate"}
_GROUP = {"contacts": "contactinformation", "companies": "companyinformation"}
_PRIMARY = {("contacts", "companies"): 1, ("companies", "contacts"): 2}
"""Association type ids of the primary label, by direction."""
_PLAIN = {("contacts", "companies"): 279, ("companies", "contacts"): 280}
"""The same for associations without a label; there is one wherever there is one with a label."""
_ARCHIVED_EVERY = timedelta(days=1)
_WINDOWS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""Seconds after which a spent window is surely free; HubSpot sends no Retry-After."""
_EXISTING = re.compile(r"Existing ID: (\d+)")
_UNIQUE = {"contacts": {"email"}}
_BILLED = {
    "contacts": "the tier of marketing contacts, if the account makes its apps' contacts such"
}
"""https://knowledge.hubspot.com/integrations/manage-marketing-contacts-settings-for-your-integrations"""
_HISTORIES = 50
_MERGED = "hs_merged_object_ids"
"""The ids of those that went into a record: HubSpot tells of a merge nowhere else."""
_OWNERS = "owners"
"""The account's users, read only: contacts and companies hold an owner's id."""
_OWNER_FIELDS = tuple(
    FieldInfo(name, label, "string", read_only=True)
    for name, label in (
        ("id", "Owner ID"),
        ("email", "Email"),
        ("firstName", "First Name"),
        ("lastName", "Last Name"),
    )
)
_NAMES = {
    "contact": "contacts",
    "company": "companies",
    "0-1": "contacts",
    "0-2": "companies",
}
"""Resources by the words that webhooks have for them."""
_MENTIONED = ("objectId", "primaryObjectId", "newObjectId")
_READABLE = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND
_WAYS = (
    Way("list", _LIST),
    Way("changed", _SEARCH, bucket="search"),
    Way("deleted", _LIST),
    Way("fetch", _BATCH, per_link=1),
    Way("find", _BATCH, per_link=1),
    Way("create", _BATCH, per_link=1),
    Way("update", _BATCH, per_link=4),
    Way("archive", _BATCH),
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
        *(
            Resource(
                name,
                _READABLE,
                effect=Effect.UPSERT,
                feeds=("changed", "deleted"),
                links=links,
                ways=_WAYS,
                lag=120,
                indexed=True,
                clock=True,
                billed=_BILLED.get(name, ""),
                sets_off=("workflows that enrol on these changes",),
                describes_all=True,
            )
            for name, links in (("contacts", ("companies",)), ("companies", ()))
        ),
        Resource(_OWNERS, Can.READ, ways=(Way("list", _LIST),), fields=_OWNER_FIELDS),
    )

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._labels: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        self._zone: ZoneInfo | None = None

    class Config(Connector.Config):
        """Either ``token``, of a private app, or what a public app has: ``client_id`` with the others.

        A public app without ``refresh_token`` lives on what ``connector-hub connect`` gets, in a browser at
        ``app``, back to ``redirect_uri``, for ``scopes``, which must be those that the app was made with.
        With ``client_secret`` the webhooks of either are heard.

        ``burst``: calls per 10 s (100 on Free and Starter, 190 above). ``daily``: calls a day of a private
        app; public ones have no such limit.
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
        """The resource with its properties, live."""
        known = self.resource(resource)
        if resource == _OWNERS:
            return known
        body = await self.http.get(f"/crm/v3/properties/{resource}")
        fields = tuple(_field_info(resource, p) for p in body["results"])
        return replace(known, fields=fields)

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """Everything by the listing; what changed by the search; what is archived by its listing.

        The archive has no filter by date: from a mark it is read when that is a day old, else nothing is.
        Owners are listed whole, those who have left not among them.
        """
        place = _place(at)
        if resource == _OWNERS:
            return await self._owners(place)
        if feed == "deleted":
            return await self._archived(resource, place)
        if "ms" in place:
            return await self._search(resource, place, want)
        return await self._list(resource, place, want)

    async def _owners(self, place: dict[str, Any]) -> Page:
        params = {"limit": str(_LIST)}
        if place.get("list"):
            params["after"] = place["list"]
        body = await self.http.get("/crm/v3/owners", params=params)
        after = _after(body)
        return Page(
            [Record(row["id"], row) for row in body["results"]],
            next=json.dumps({"list": after}) if after else None,
            whole=True,
        )

    async def _list(self, resource: str, place: dict[str, Any], want: Want) -> Page:
        wanted = self._properties(resource, want)
        params = {"limit": str(_LIST), "properties": ",".join(wanted)}
        if want.links:
            params["associations"] = ",".join(sorted(want.links))
        if place.get("list"):
            params["after"] = place["list"]
        if len(params["properties"]) > _URL:
            params["properties"] = "hs_object_id"
        answer = await self.http.send(
            "GET", f"/crm/v3/objects/{resource}", params=params, want_json=True
        )
        body = answer.json()
        records: Sequence[Record | Gone] = [
            self._record(resource, row, _listed_links(resource, row, want))
            for row in body["results"]
        ]
        if params["properties"] == "hs_object_id":
            records = await self.fetch(resource, [r.id for r in records], want)
        else:
            records = await self._long_links(resource, body["results"], records, want)
            gone = [g for row in body["results"] for g in _merged(resource, row)]
            records = [*gone, *records] if gone else records
        after = _after(body)
        return Page(
            records,
            next=json.dumps({"list": after}) if after else None,
            mark=None if place.get("list") else _mark(answer, self.clock),
            whole=True,
        )

    async def _long_links(
        self,
        resource: str,
        rows: Sequence[Any],
        records: Sequence[Record | Gone],
        want: Want,
    ) -> Sequence[Record | Gone]:
        """Rows with more associations than are listed, or with labels of the account's own, are read apart.

        The listing names a label otherwise than it is written.
        """
        long = [
            r["id"]
            for r in rows
            if any("paging" in a for a in r.get("associations", {}).values())
            or any(_is_labelled(resource, to, a) for to, a in _listed(r))
        ]
        if not long:
            return records
        links = await self._links(resource, long, want)
        return [
            r
            if r.id not in links or isinstance(r, Gone)
            else self._record(resource, r.fields, links[r.id])
            for r in records
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
            "GET", f"/crm/v3/objects/{resource}", params=params, want_json=True
        )
        body = answer.json()
        after = _after(body)
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
        stamp = _STAMP.get(resource, "hs_lastmodifieddate")
        fresh = "op" not in place
        if fresh:
            since = place["ms"] - self.resource(resource).lag * 1000
            place = {"op": "GTE", "ms": since, "id": None}
        wanted = [stamp, *self._properties(resource, want)]
        body = _query(stamp, place, wanted)
        apart = len(json.dumps(body)) > _SEARCH_BODY
        if apart:
            body["properties"] = [stamp]
        answer = await self.http.send(
            "POST",
            f"/crm/v3/objects/{resource}/search",
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
            links = await self._links(resource, ids, want)
            records = [
                *(g for r in rows for g in _merged(resource, r)),
                *(self._record(resource, r, links.get(r["id"], {})) for r in rows),
            ]
        following = _following(place, rows, stamp, more=bool(_after(found)))
        return Page(
            records,
            next=json.dumps(following) if following else None,
            mark=_mark(answer, self.clock) if fresh else None,
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
        links = await self._links(resource, [r["id"] for r in rows], want)
        found: list[Record | Gone] = []
        asked = set(ids)
        for row in rows:
            if row["id"] in asked:
                found.append(self._record(resource, row, links.get(row["id"], {})))
            found += [g for g in _merged(resource, row) if g.id in asked]
        missing = asked - {r.id for r in found}
        if missing:
            archived = await self._batch(resource, sorted(missing), [], archived=True)
            found += [Gone(row["id"]) for row in archived if row["id"] in missing]
        return found

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """HubSpot keeps each property's history; a batch with histories is half as large."""
        names = [p.removeprefix(PREFIX) for p in paths if p.startswith(PREFIX)]
        found: dict[str, dict[str, Edited]] = {}
        for i in range(0, len(ids), _HISTORIES):
            body = await self.http.post(
                f"/crm/v3/objects/{resource}/batch/read",
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
            f"/crm/v3/objects/{resource}/batch/read",
            json={"properties": properties, "inputs": [{"id": i} for i in ids]},
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
        if name != self.key and name not in _UNIQUE.get(resource, ()):
            raise ConfigError(f"{resource} cannot be found by {name}: it is not unique")
        answer = await self.http.send(
            "POST",
            f"/crm/v3/objects/{resource}/batch/read",
            json={
                "idProperty": name,
                "properties": [*self._properties(resource, want), name],
                "inputs": [{"id": v} for v in values],
            },
            repeatable=True,
            want_json=True,
        )
        rows = answer.json()["results"]
        links = await self._links(resource, [r["id"] for r in rows], want)
        found: dict[str, list[Record]] = {}
        for row in rows:
            value = row["properties"].get(name) or ""
            found.setdefault(value, []).append(
                self._record(resource, row, links.get(row["id"], {}))
            )
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome]:
        """Upsert by the record key, update by id, archive; associations follow the records."""
        op = writes[0].op
        if op == "archive":
            await self.http.send(
                "POST",
                f"/crm/v3/objects/{resource}/batch/archive",
                json={"inputs": [{"id": w.id} for w in writes]},
                repeatable=True,
            )
            return [Done(w.id or "") for w in writes]
        await self._know_labels(resource, writes)
        inputs = [self._input(w) for w in writes]
        body = await self.http.post(
            f"/crm/v3/objects/{resource}/batch/{self._verb(op)}",
            json={"inputs": inputs},
        )
        outcomes = self._outcomes(writes, inputs, body)
        unsure = await self._associate(resource, writes, outcomes)
        return [
            _unread(o) if isinstance(o, Done) and o.id in unsure else o
            for o in outcomes
        ]

    def _verb(self, op: str) -> str:
        if op == "update":
            return "update"
        return "upsert" if self.key else "create"

    def _input(self, w: Write) -> dict[str, Any]:
        properties = {
            p[len(PREFIX) :]: v if v.__class__ is str else spelled(v)
            for p, v in w.fields.items()
        }
        found: dict[str, Any] = {
            "properties": properties,
            "objectWriteTraceId": w.trace,
        }
        if w.op == "update":
            found["id"] = w.id
        elif self.key:
            properties[self.key] = found["id"] = w.key
            found["idProperty"] = self.key
        return found

    def _outcomes(
        self,
        writes: Sequence[Write],
        inputs: Sequence[Mapping[str, Any]],
        body: Mapping[str, Any],
    ) -> list[Outcome]:
        """One outcome per write; a write that no row and no error speaks of is in doubt."""
        by_trace: dict[str, Outcome] = {}
        sent = {i["objectWriteTraceId"]: i["properties"] for i in inputs}
        traces = {w.trace: w for w in writes}
        by_key = {w.key: w for w in writes if w.op == "create"}
        by_id = {w.id: w for w in writes if w.op == "update"}
        for row in body.get("results", ()):
            w = (
                traces.get(row.get("objectWriteTraceId"))
                or by_id.get(row["id"])
                or by_key.get(row["properties"].get(self.key or "") or "")
            )
            if w is not None:
                by_trace[w.trace] = _done(sent[w.trace], row)
        for error in body.get("errors", ()):
            if self._about_key(error):
                raise ConfigError(self._unprepared())
            for trace in error.get("context", {}).get("objectWriteTraceId", ()):
                by_trace[trace] = _refusal(error)
        return [
            by_trace.get(w.trace) or InDoubt("the answer does not speak of this write")
            for w in writes
        ]

    async def _associate(
        self, resource: str, writes: Sequence[Write], outcomes: Sequence[Outcome]
    ) -> set[str]:
        """Links of the records that were written: new ones first, then those that end.

        Returns the records of which HubSpot refused some: they are read back.
        """
        unsure: set[str] = set()
        add: dict[str, list[dict[str, Any]]] = {}
        end: dict[str, list[tuple[str, Ref]]] = {}
        for w, outcome in zip(writes, outcomes, strict=True):
            if not isinstance(outcome, Done):
                continue
            for to, patch in w.links.items():
                for ref in patch.add:
                    add.setdefault(to, []).append(
                        self._association(resource, to, outcome.id, ref)
                    )
                end.setdefault(to, []).extend((outcome.id, r) for r in patch.remove)
        for to, inputs in add.items():
            unsure |= await self._associations(resource, to, "create", inputs)
        for to, ended in end.items():
            if ended:
                unsure |= await self._end(resource, to, ended)
        return unsure

    async def _end(
        self, resource: str, to: str, ended: Sequence[tuple[str, Ref]]
    ) -> set[str]:
        """End associations; one that has other labels besides keeps those, and loses ours only."""
        there: dict[tuple[str, str], set[int]] = {}
        ids = list(dict.fromkeys(i for i, _ in ended))
        for i in range(0, len(ids), _ASSOCIATIONS):
            told, _ = await self._associated(resource, to, ids[i : i + _ASSOCIATIONS])
            for record, listed in told.items():
                for a in listed:
                    kinds = {int(t["typeId"]) for t in a["associationTypes"]}
                    there[record, str(a["toObjectId"])] = kinds
        whole, labels = [], []
        for record, ref in ended:
            association = self._association(resource, to, record, ref)
            ours = {t["associationTypeId"] for t in association["types"]}
            plain = {_PLAIN[resource, to]}
            if there.get((record, ref.id), set()) - ours - plain and ref.label:
                labels.append(association)
            else:
                whole.append({"from": {"id": record}, "to": [{"id": ref.id}]})
        unsure: set[str] = set()
        if labels:
            unsure |= await self._associations(resource, to, "labels/archive", labels)
        if whole:
            unsure |= await self._associations(resource, to, "archive", whole)
        return unsure

    async def _know_labels(self, resource: str, writes: Sequence[Write]) -> None:
        """Read once what labels the account has, where one of its own is to be written.

        Raises:
            ConfigError: there is no such label.
        """
        wanted = {
            (to, ref.label)
            for w in writes
            for to, patch in w.links.items()
            for ref in (*patch.add, *patch.remove)
            if ref.label and ref.label != "Primary"
        }
        for to, label in sorted(wanted):
            if (resource, to) not in self._labels:
                body = await self.http.get(
                    f"/crm/v4/associations/{resource}/{to}/labels"
                )
                self._labels[resource, to] = {
                    row["label"]: row for row in body["results"] if row.get("label")
                }
            if label not in self._labels[resource, to]:
                raise ConfigError(
                    f"HubSpot has no association label {label!r} from {resource} to {to}",
                    where=self.http.connection,
                    hint="make it in HubSpot's settings, or mend `label:` in the mapping",
                )

    def _association(
        self, resource: str, to: str, record: str, ref: Ref
    ) -> dict[str, Any]:
        """An association as HubSpot takes it, of its label's type."""
        known = self._labels.get((resource, to), {}).get(ref.label or "")
        number = _PRIMARY if ref.label == "Primary" else _PLAIN
        kind = {
            "associationCategory": known["category"] if known else "HUBSPOT_DEFINED",
            "associationTypeId": known["typeId"] if known else number[resource, to],
        }
        return {"from": {"id": record}, "to": {"id": ref.id}, "types": [kind]}

    async def _associations(
        self, resource: str, to: str, verb: str, inputs: Sequence[dict[str, Any]]
    ) -> set[str]:
        """Make or end associations; the records of a call in which any was refused."""
        unsure: set[str] = set()
        for i in range(0, len(inputs), _ASSOCIATIONS):
            part = inputs[i : i + _ASSOCIATIONS]
            try:
                answer = await self.http.send(
                    "POST",
                    f"/crm/v4/associations/{resource}/{to}/batch/{verb}",
                    json={"inputs": part},
                    repeatable=True,
                )
            except (Rejected, Missing):
                refused = True
            else:
                refused = bool((answer.json() or {}).get("errors"))
            if refused:
                unsure |= {str(x["from"]["id"]) for x in part}
        return unsure

    async def _links(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> dict[str, dict[str, Sequence[Ref]]]:
        """Associations of records by name, in one call per name and 1,000 records."""
        found: dict[str, dict[str, Sequence[Ref]]] = {i: {} for i in ids}
        for to in sorted(want.links):
            for i in range(0, len(ids), _ASSOCIATIONS):
                part = ids[i : i + _ASSOCIATIONS]
                told, none = await self._associated(resource, to, part)
                for record in part:
                    if record in told:
                        found[record][to] = _labelled(to, told[record])
                    elif none is None or record in none:
                        found[record][to] = ()
        return found

    async def _associated(
        self, resource: str, to: str, ids: Sequence[str]
    ) -> tuple[dict[str, Sequence[Any]], set[str] | None]:
        """Associations of records, and which have none; None where all that are not told of have none."""
        body = await self.http.post(
            f"/crm/v4/associations/{resource}/{to}/batch/read",
            json={"inputs": [{"id": x} for x in ids]},
            repeatable=True,
        )
        told = {str(r["from"]["id"]): r["to"] for r in body["results"]}
        return told, _unassociated(body.get("errors", ()))

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The property of the record key: a text with ``hasUniqueValue``."""
        if self.key is None:
            return None
        answer = await self.http.send(
            "GET", f"/crm/v3/properties/{resource}/{self.key}", ok=(404,)
        )
        if answer.status != 404:  # noqa: PLR2004
            if not answer.json().get("hasUniqueValue"):
                raise ConfigError(
                    f"property {self.key} of {resource} is there and is not unique",
                    hint="name another one with key_field:, or archive it and prepare again",
                )
            return None
        if make:
            await self.http.post(
                f"/crm/v3/properties/{resource}",
                json={
                    "name": self.key,
                    "label": "Connector Hub Id",
                    "type": "string",
                    "fieldType": "text",
                    "groupName": _GROUP[resource],
                    "hasUniqueValue": True,
                    "description": "Written by connector-hub; tells which record this is elsewhere.",
                },
            )
        return f"{resource}.{self.key}: text, unique, group {_GROUP[resource]}"

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

    def fault(self, answer: Answer) -> Fault | None:  # noqa: C901, PLR0911
        """Sort an error answer.

        https://developers.hubspot.com/docs/reference/api/other-resources/error-handling
        """
        try:
            body = answer.json()
        except VendorError:
            body = None
        if not isinstance(body, dict):
            body = {}
        message = _first_message(str(body.get("message") or f"status {answer.status}"))
        category = str(body.get("category") or "")
        match answer.status:
            case 429:
                kind = (
                    Kind.QUOTA if body.get("policyName") == "DAILY" else Kind.THROTTLED
                )
                return Fault(kind, message, wait=self._until_free(body))
            case 401:
                old = category == "EXPIRED_AUTHENTICATION"
                kind = Kind.EXPIRED if old else Kind.AUTH
                return Fault(kind, "HubSpot does not accept the token", category)
            case 403:
                return Fault(Kind.DENIED, _scopes(body) or message, category)
            case 409:
                found = _EXISTING.search(message)
                return Fault(
                    Kind.EXISTS,
                    message,
                    category,
                    there=found.group(1) if found else None,
                )
            case 400 if (
                self.key and self.key in message and "nique" in message + str(body)
            ):
                return Fault(Kind.CONFIG, self._unprepared(), category)
            case 400 if self.key and _missing_property(body) == self.key:
                return Fault(Kind.CONFIG, self._unprepared(), category)
            case 400:
                return Fault(
                    Kind.RECORD,
                    message,
                    _error_code(body) or category,
                    fields=_names(body),
                )
            case 423:
                return Fault(
                    Kind.THROTTLED,
                    "HubSpot has locked the account for a large sync",
                    wait=2.0,
                )
            case 477 | 521 | 522 | 523 | 525 | 526:
                return Fault(Kind.UNAVAILABLE, message)
            case 524:
                return Fault(Kind.AMBIGUOUS, message)
        return None

    def _until_free(self, body: Mapping[str, Any]) -> float | None:
        """Seconds until a spent window is surely free; HubSpot sends no Retry-After."""
        midnight = self._midnight()
        if body.get("policyName") == "DAILY" and midnight is not None:
            return (midnight - self.clock.now()).total_seconds()
        return _WINDOWS.get(str(body.get("policyName")))

    def _about_key(self, error: Mapping[str, Any]) -> bool:
        """Whether a refusal is about the key property itself rather than about a record."""
        if self.key is None:
            return False
        message = str(error.get("message") or "")
        return _missing_property(error) == self.key or (
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
        names |= {_STAMP.get(resource, "hs_lastmodifieddate"), _MERGED}
        if self.key:
            names.add(self.key)
        return sorted(names)

    def _record(
        self, resource: str, row: Mapping[str, Any], links: Mapping[str, Sequence[Ref]]
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


def _place(at: str | None) -> dict[str, Any]:
    if at is None:
        return {}
    try:
        place = json.loads(at)
    except ValueError:
        raise MarkLost("HubSpot: this mark is not one of ours") from None
    if not isinstance(place, dict):
        raise MarkLost("HubSpot: this mark is not one of ours")
    return place


def _mark(answer: Answer, clock: Clock) -> str:
    """HubSpot's own clock when the pull began; ours, with a margin, where it does not tell."""
    try:
        now = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        now = clock.now() - timedelta(minutes=5)
    return json.dumps({"ms": int(now.timestamp() * 1000)})


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
    for name, record in zip(words, ids, strict=False):
        if name in _NAMES:
            yield _NAMES[name], str(record)


def _after(body: Mapping[str, Any]) -> str | None:
    found = body.get("paging", {}).get("next", {}).get("after")
    return str(found) if found else None


def _query(
    stamp: str, place: Mapping[str, Any], properties: Sequence[str]
) -> dict[str, Any]:
    filters = [
        {"propertyName": stamp, "operator": place["op"], "value": str(place["ms"])}
    ]
    sort = stamp
    if place["op"] == "EQ":
        sort = "hs_object_id"
        filters.append(
            {
                "propertyName": "hs_object_id",
                "operator": "GT",
                "value": place["id"] or "0",
            }
        )
    return {
        "filterGroups": [{"filters": filters}],
        "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
        "properties": list(properties),
        "limit": _SEARCH,
    }


def _following(
    place: Mapping[str, Any], rows: Sequence[Any], stamp: str, *, more: bool
) -> dict[str, Any] | None:
    """Where a search goes on: behind the last row, never at an offset.

    Rows that are edited move to the end: at an offset, those that were behind them would be passed over.
    """
    if not rows or not more:
        if place["op"] == "EQ":
            return {"op": "GT", "ms": place["ms"], "id": None}
        return None
    last = rows[-1]
    if place["op"] == "EQ":
        return {**place, "id": last["id"]}
    at = int(datetime.fromisoformat(last["properties"][stamp]).timestamp() * 1000 + 0.5)
    return {"op": "GTE" if at > place["ms"] else "EQ", "ms": at, "id": None}


def _listed(row: Mapping[str, Any]) -> Iterable[tuple[str, Sequence[Any]]]:
    """A listed row's associations by what they lead to."""
    for to, found in row.get("associations", {}).items():
        yield to, found.get("results", ())


def _word(resource: str, to: str) -> str:
    """What the listing calls the primary association."""
    names = {"contacts": "contact", "companies": "company"}
    return f"{names.get(resource, resource)}_to_{names.get(to, to)}"


def _is_labelled(resource: str, to: str, listed: Sequence[Any]) -> bool:
    """Whether there is a label of the account's own among these."""
    word = _word(resource, to)
    return any(a["type"] not in {word, f"{word}_unlabeled"} for a in listed)


def _listed_links(
    resource: str, row: Mapping[str, Any], want: Want
) -> dict[str, Sequence[Ref]]:
    """Associations of a listed row: the primary one, and those without a label."""
    found: dict[str, Sequence[Ref]] = dict.fromkeys(want.links, ())
    for to, listed in _listed(row):
        if to not in want.links:
            continue
        word, refs = _word(resource, to), dict[str, Ref]()
        for a in listed:
            primary = a["type"] == word
            if primary or a["id"] not in refs:
                refs[a["id"]] = Ref(to, a["id"], "Primary" if primary else None)
        found[to] = tuple(refs.values())
    return found


def _unread(outcome: Done) -> Done:
    """An outcome whose values the hub has to read back; associations move the record's version."""
    return Done(outcome.id, created=outcome.created)


def _unassociated(errors: Iterable[Mapping[str, Any]]) -> set[str] | None:
    """Records that are told to have no associations; None where all unanswered ones have none.

    An error of another kind says nothing about its records: their links are unknown, not empty.
    """
    none: set[str] = set()
    for error in errors:
        if error.get("subCategory") != "crm.associations.NO_ASSOCIATIONS_FOUND":
            continue
        for ids in error.get("context", {}).values():
            none |= {str(i) for i in ids}
    others = [
        e
        for e in errors
        if e.get("subCategory") != "crm.associations.NO_ASSOCIATIONS_FOUND"
    ]
    return none if others else None


def _labelled(to: str, listed: Sequence[Any]) -> tuple[Ref, ...]:
    """One reference for each label of an association; one without a label where it has none."""
    found = []
    for a in listed:
        labels = [t["label"] for t in a["associationTypes"] if t.get("label")]
        found += [Ref(to, str(a["toObjectId"]), label) for label in labels or [None]]
    return tuple(found)


def _done(sent: Mapping[str, str], row: Mapping[str, Any]) -> Done:
    """A confirmed row; its values stand for a read-back when every written one is among them."""
    silent = sent.keys() - row["properties"].keys()
    told = not any(map(sent.get, silent))
    return Done(
        row["id"], row.get("updatedAt"), row if told else None, created=row.get("new")
    )


def _refusal(error: Mapping[str, Any]) -> VendorError:
    message = str(error.get("message") or "")
    category = str(error.get("category") or "REJECTED")
    if category == "CONFLICT":
        found = _EXISTING.search(message)
        return Exists(_first_message(message), there=found.group(1) if found else None)
    if category == "OBJECT_NOT_FOUND":
        return Missing("HubSpot has no such record")
    body = dict(error)
    return Rejected(
        _first_message(message),
        reason=_error_code(body) or category,
        fields=_names(body),
    )


def _inner(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """HubSpot writes a JSON list into the message text; parsed leniently."""
    message = str(body.get("message") or "")
    start = message.find("[")
    if start < 0:
        return []
    try:
        found = json.loads(message[start:])
    except ValueError:
        return []
    return [f for f in found if isinstance(f, dict)] if isinstance(found, list) else []


def _error_code(body: Mapping[str, Any]) -> str:
    return next((str(f["error"]) for f in _inner(body) if f.get("error")), "")


def _names(body: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(f["name"]) for f in _inner(body) if f.get("name"))


def _missing_property(body: Mapping[str, Any]) -> str | None:
    return next(
        (
            f.get("name")
            for f in _inner(body)
            if f.get("error") == "PROPERTY_DOESNT_EXIST"
        ),
        None,
    )


def _first_message(message: str) -> str:
    inner = _inner({"message": message})
    return str(inner[0].get("message") or message) if inner else message


def _scopes(body: Mapping[str, Any]) -> str:
    needed = [
        s
        for e in body.get("errors", ())
        for s in e.get("context", {}).get("requiredGranularScopes", ())
    ]
    return f"the app lacks the scopes {', '.join(needed)}" if needed else ""


def _field_info(resource: str, p: Mapping[str, Any]) -> FieldInfo:
    options = tuple(o["value"] for o in p.get("options", ()))
    return FieldInfo(
        path=f"{PREFIX}{p['name']}",
        label=p["label"],
        type=p["type"],
        required=False,
        unique=bool(p.get("hasUniqueValue")) or p["name"] in _UNIQUE.get(resource, ()),
        read_only=bool(p.get("modificationMetadata", {}).get("readOnlyValue")),
        options=options,
        closed=p["type"] == "enumeration",
        refers_to=(p["referencedObjectType"],) if p.get("referencedObjectType") else (),
    )


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_SPELLED: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda v: "true" if v else "false",
    Decimal: lambda v: format(v, "f"),
    datetime: _instant,
    date: date.isoformat,
    tuple: ";".join,
    list: ";".join,
}


def spelled(value: Any) -> str:
    """A hub value as HubSpot's text (https://developers.hubspot.com/docs/guides/api/crm/properties)."""
    return _SPELLED.get(value.__class__, str)(value)


def _merged(resource: str, row: Mapping[str, Any]) -> list[Gone]:
    """Those that were merged into a record."""
    ids = row["properties"].get(_MERGED)
    if not ids:
        return []
    into = Ref(resource, row["id"])
    return [Gone(old, "merged", into) for old in ids.split(";") if old != row["id"]]
