"""The plain vendor: people and firms in memory behind a small REST API, as good or as bad as wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.sandbox import Sandbox, SandboxClock, answer

FIELDS: Mapping[str, tuple[str, ...]] = {
    "people": ("email", "name", "note", "phone", "firm", "mentor"),
    "firms": ("domain", "name", "city", "parent", "boss"),
}
KEY = "hub_key"
_HUB = "hub"
_PERSON = "someone"
_REFERS = {"firm": "firms", "parent": "firms", "boss": "people", "mentor": "people"}


@dataclass(frozen=True, slots=True)
class Traits:
    """What a plain vendor is like.

    ``unique_key``: records have a field for the record key, whose values are unique.
    ``preconditions``: a write may say which revision it is for, and is refused for another.
    ``answers``: whether a write is answered with the record as it is now, or with its id alone.
    ``index_lag``: seconds until the changed feed shows what happened; reading by id is never late.
    ``late_visibility``: seconds for which what people do is seen nowhere, though it is stamped when it began.
    ``coarse_clock``: stamps have whole seconds.
    ``normalises``: text is trimmed, and names get capitals.
    ``truncates``: text is cut to so many characters without a word.
    ``refuses``: texts that no field may have.
    ``page``: records of a page.
    ``shuffled``: listings come in another order than that of the stamps; each seed has its own.
    """

    unique_key: bool = True
    preconditions: bool = True
    answers: Literal["values", "ids"] = "values"
    index_lag: float = 0.0
    late_visibility: float = 0.0
    coarse_clock: bool = False
    normalises: bool = False
    truncates: int | None = None
    refuses: frozenset[str] = frozenset()
    page: int = 100
    shuffled: int | None = None


@dataclass(slots=True)
class _Row:
    """A record; ``shown`` is what the index has of it: (seen from, stamp, body), the latest last."""

    id: str
    fields: dict[str, Any]
    rev: int = 0
    stamp: float = 0.0
    by: str = _PERSON
    gone: bool = False
    into: str | None = None
    shown: list[tuple[float, float, dict[str, Any]]] = field(default_factory=list)


@dataclass(slots=True)
class _Late:
    """What a person did and nobody sees yet."""

    due: float
    stamp: float
    resource: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A request, taken apart."""

    resource: str
    id: str
    method: str
    query: Mapping[str, str]
    body: dict[str, Any]
    revision: str | None


Handler = Callable[[Call], dict[str, Any]]


class _Refused(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more}


class PlainVendor(Sandbox):
    """An account at the plain vendor.

    Args:
        kind: its connector, which says the traits; one of those in ``testing.plain``.
        account: the account's id, part of each record's.
        clock: its time.
        traits: in place of the connector's own; what the connector relies on must be the same.
    """

    name = "plain"

    def __init__(
        self,
        kind: Any,
        *,
        account: str = "plain",
        clock: SandboxClock | None = None,
        traits: Traits | None = None,
    ) -> None:
        self.kind = kind
        self.account = account
        self.traits = traits or kind.traits
        self.access_token = f"token-of-{account}"
        super().__init__(clock=clock)

    def routes(self) -> Sequence[Route]:
        """Who one is, and for each resource: list, deleted, read, find, create, change, delete."""

        def at(path: str, handler: Handler, *methods: str) -> Route:
            return Route(path, self._do(handler), methods=list(methods))

        return [
            at("/me", self._me, "GET"),
            at("/{resource}", self._list, "GET"),
            at("/{resource}", self._create, "POST"),
            at("/{resource}/deleted", self._deleted, "GET"),
            at("/{resource}/read", self._read, "POST"),
            at("/{resource}/find", self._find, "POST"),
            at("/{resource}/{id}", self._change, "PATCH", "DELETE"),
        ]

    def seed_data(self) -> None:
        """An empty account."""
        self._tables: dict[str, dict[str, _Row]] = {r: {} for r in FIELDS}
        self._late: list[_Late] = []
        self._born = 0

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection."""
        return {"connector": self.kind.name, "token": "env:PLAIN_TOKEN"}

    def env(self) -> dict[str, str]:
        """The token's variable."""
        return {"PLAIN_TOKEN": self.access_token}

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Live records, every field given."""
        rows = self._tables[resource].values()
        return [_shape(resource, r) for r in rows if not r.gone]

    def normal(self, resource: str, name: str, value: Any) -> Any:
        """What the vendor makes of a value."""
        if not isinstance(value, str) or name in {*_REFERS, KEY}:
            return value
        if self.traits.normalises:
            value = value.strip()
            value = value.title() if name == "name" else value
        return value[: self.traits.truncates]

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """A person's edit: no id creates, ``deleted`` deletes, ``merged_into`` merges into another."""
        table = self._tables[resource]
        record = body.get("id")
        if record is not None and (record not in table or table[record].gone):
            raise KeyError(f"{resource} {record}")
        body = {**body, "id": record or self._new_id()}
        now = self._stamp()
        if self.traits.late_visibility:
            due = self.clock.time() + self.traits.late_visibility
            self._late.append(_Late(due, now, resource, body))
        else:
            self._edit(resource, body, now)
        return body

    def tick(self) -> None:
        """What people did becomes visible when its time has come."""
        while self._late and self._late[0].due <= self.clock.time():
            late = self._late.pop(0)
            self._edit(late.resource, late.body, late.stamp, seen=late.due)

    def _edit(
        self,
        resource: str,
        body: Mapping[str, Any],
        stamp: float,
        *,
        seen: float | None = None,
    ) -> None:
        row = self._tables[resource].get(body["id"]) or _Row(body["id"], {})
        if row.gone:
            return
        fields = {n: v for n, v in body.items() if n in FIELDS[resource]}
        gone = bool(body.get("deleted") or body.get("merged_into"))
        try:
            self._checked(fields)
        except _Refused as e:
            raise ValueError(str(e)) from None
        self._put(resource, row, fields, _PERSON, stamp, gone=gone, seen=seen)
        row.into = body.get("merged_into")

    def _new_id(self) -> str:
        self._born += 1
        return f"{self.account}-{self._born}"

    def _stamp(self) -> float:
        now = self.clock.time()
        return float(int(now)) if self.traits.coarse_clock else now

    def _put(
        self,
        resource: str,
        row: _Row,
        fields: Mapping[str, Any],
        by: str,
        stamp: float,
        *,
        gone: bool = False,
        seen: float | None = None,
    ) -> None:
        """Keep it; ``seen`` is since when it is in the table, if not since now."""
        row.fields |= {n: self.normal(resource, n, v) for n, v in fields.items()}
        row.rev, row.by, row.stamp, row.gone = row.rev + 1, by, stamp, gone
        self._tables[resource][row.id] = row
        at = (self.clock.time() if seen is None else seen) + self.traits.index_lag
        row.shown.append((at, stamp, _shape(resource, row)))

    def _checked(self, fields: Mapping[str, Any]) -> None:
        """Refuse what the vendor does not take."""
        for name, value in fields.items():
            if isinstance(value, str) and value in self.traits.refuses:
                raise _Refused(422, f"{name} is refused", code="BAD_VALUE")
            there = self._tables[_REFERS[name]] if name in _REFERS else {}
            if name in _REFERS and value and (value not in there or there[value].gone):
                raise _Refused(422, f"{name} is not there", code="NO_SUCH_RECORD")

    # -- what callers meet ----------------------------------------------------

    def _do(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Token, resource, refusals: what every call meets."""

        async def call(request: Request) -> Response:
            token = request.headers.get("authorization")
            resource = request.path_params.get("resource", "people")
            body = await request.body()
            call = Call(
                resource,
                request.path_params.get("id", ""),
                request.method,
                request.query_params,
                orjson.loads(body) if body else {},
                request.headers.get("if-match"),
            )
            if token != f"Bearer {self.access_token}":
                return answer({"message": "this token is not known"}, 401)
            if resource not in self._tables:
                return answer({"message": f"there is no {resource}"}, 404)
            self.tick()
            try:
                return answer(handler(call))
            except _Refused as e:
                return answer(e.body, e.status)

        return call

    def _me(self, _: Call) -> dict[str, Any]:
        return {"account": self.account, "user": _HUB}

    def _list(self, call: Call) -> dict[str, Any]:
        """What changed since an instant as the index has it; without one all there is, from the table."""
        table = self._tables[call.resource]
        if call.query["since"]:
            begin, now = _seconds(call.query["since"]), self.clock.time()
            found = [s for r in table.values() if (s := _indexed(r, now))]
            return self._page(call, [s for s in found if s[0] >= begin])
        live = (r for r in table.values() if not r.gone)
        return self._page(call, [(r.stamp, _shape(call.resource, r)) for r in live])

    def _deleted(self, call: Call) -> dict[str, Any]:
        begin = _seconds(call.query["since"])
        table = self._tables[call.resource].values()
        gone = [r for r in table if r.gone and r.stamp >= begin]
        return self._page(call, [(r.stamp, _shape(call.resource, r)) for r in gone])

    def _page(
        self, call: Call, rows: Iterable[tuple[float, dict[str, Any]]]
    ) -> dict[str, Any]:
        keyed = {self._order(stamp, b["id"]): b for stamp, b in rows}
        rest = sorted(k for k in keyed if k > call.query["after"])
        part = rest[: self.traits.page]
        more = len(rest) > len(part)
        return {
            "items": [keyed[k] for k in part],
            "next": part[-1] if more else None,
        }

    def _order(self, stamp: float, record: str) -> str:
        if self.traits.shuffled is None:
            return f"{stamp:020.6f}~{record}"
        text = f"{self.traits.shuffled}/{record}".encode()
        return blake2b(text, digest_size=8).hexdigest()

    def _read(self, call: Call) -> dict[str, Any]:
        table = self._tables[call.resource]
        found = [table[i] for i in call.body["ids"] if i in table]
        return {"items": [_shape(call.resource, r) for r in found]}

    def _find(self, call: Call) -> dict[str, Any]:
        rows = (r for r in self._tables[call.resource].values() if not r.gone)
        name, wanted = call.body["field"], set(call.body["values"])
        found = [r for r in rows if r.fields.get(name) in wanted]
        return {"items": [_shape(call.resource, r) for r in found]}

    def _create(self, call: Call) -> dict[str, Any]:
        key = call.body.get(KEY)
        if self.traits.unique_key and key:
            table = self._tables[call.resource].values()
            there = next((r.id for r in table if r.fields.get(KEY) == key), None)
            if there is not None:
                raise _Refused(409, "this key is there", id=there)
        self._checked(call.body)
        row = _Row(self._new_id(), {})
        self._put(call.resource, row, call.body, _HUB, self._stamp())
        return self._told(call.resource, row)

    def _change(self, call: Call) -> dict[str, Any]:
        """A patch or a delete, for one revision where the caller says so."""
        row = self._tables[call.resource].get(call.id)
        if row is None or row.gone:
            raise _Refused(404, "this record is not there")
        if self.traits.preconditions and call.revision not in {None, str(row.rev)}:
            raise _Refused(412, "this record has moved")
        self._checked(call.body)
        gone = call.method == "DELETE"
        self._put(call.resource, row, call.body, _HUB, self._stamp(), gone=gone)
        return self._told(call.resource, row)

    def _told(self, resource: str, row: _Row) -> dict[str, Any]:
        return {"id": row.id} if self.traits.answers == "ids" else _shape(resource, row)


def _shape(resource: str, row: _Row) -> dict[str, Any]:
    fields = {n: row.fields.get(n) for n in (*FIELDS[resource], KEY)}
    known = {"id": row.id, "rev": row.rev, "by": row.by, **fields}
    if row.gone:
        return {**known, "gone": True, "into": row.into, "resource": resource}
    return known


def _indexed(row: _Row, now: float) -> tuple[float, dict[str, Any]] | None:
    """What the index has of a record: its latest state that is old enough, none when that is gone."""
    shown = [s for s in row.shown if s[0] <= now]
    row.shown = [*shown[-1:], *(s for s in row.shown if s[0] > now)]
    if not shown or shown[-1][2].get("gone"):
        return None
    return shown[-1][1], shown[-1][2]


def _seconds(since: str) -> float:
    return datetime.fromisoformat(since).astimezone(UTC).timestamp() if since else 0.0
