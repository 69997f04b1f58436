"""A vendor in memory for stories about the kernel: real rules, no HTTP, weather on demand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from connector_hub.sdk import (
    Account,
    Can,
    Connector,
    Done,
    Effect,
    Exists,
    Gone,
    InDoubt,
    Page,
    Pending,
    Record,
    Rejected,
    Resource,
    RowPatch,
    RowsPatch,
    Unavailable,
    Want,
    Way,
    Write,
)

ME = "hub-user"


def _values(fields: Mapping[str, Any]) -> set[str]:
    """All that a write says, within rows, too."""
    found: set[str] = set()
    for value in fields.values():
        if isinstance(value, RowsPatch):
            found |= {v for row in value.rows for v in _values(row.fields)}
        else:
            found.add(str(value))
    return found


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in row.items()}


@dataclass
class World:
    """One account's records, and the weather over it."""

    name: str
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    version: dict[str, int] = field(default_factory=dict)
    by: dict[str, str] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    tick: int = 0
    calls: list[str] = field(default_factory=list)
    writes: int = 0
    weather: list[Any] = field(default_factory=list)
    """What the next calls meet: None is fair, an exception is raised, ``("lost", e)`` after applying."""
    required: tuple[str, ...] = ()
    refuses: frozenset[str] | set[str] = frozenset()
    """Values that no field may have."""
    shortens: int | None = None
    """Text is cut to this length without a word."""
    page: int = 100
    answers_values: bool = False
    ids: Any = field(default_factory=lambda: itertools.count(1))
    reverses: bool = False
    """Rows within a record are told last first."""
    silent: bool = False
    """Nothing is told of rows within a record."""
    before_write: Any = None
    jobs: dict[str, dict[str, Any]] | None = None
    """Of a vendor that takes writes and works on them: what each ticket is about."""

    def person(self, record: str | None = None, **fields: Any) -> str:
        """Someone creates or edits a record."""
        return self.put(record, fields, "someone")

    def put(self, record: str | None, fields: Mapping[str, Any], by: str) -> str:
        record = record or f"{self.name}{next(self.ids)}"
        if self.shortens and by == ME:
            fields = {k: self._cut(v) for k, v in fields.items()}
        fields = {k: self._rows(record, k, v) for k, v in fields.items()}
        self.tick += 1
        self.rows.setdefault(record, {}).update(fields)
        self.version[record] = self.tick
        self.by[record] = by
        return record

    def _cut(self, value: Any) -> Any:
        if isinstance(value, RowsPatch):
            rows = [
                RowPatch(r.id, {k: self._cut(v) for k, v in r.fields.items()})
                for r in value.rows
            ]
            return RowsPatch(tuple(rows), value.removed)
        return value[: self.shortens] if isinstance(value, str) else value

    def _rows(self, record: str, path: str, value: Any) -> Any:
        """A list of rows after a patch; every new one gets an id."""
        if isinstance(value, RowsPatch):
            held = {r["id"]: r for r in self.rows.get(record, {}).get(path) or ()}
            for i in value.removed:
                held.pop(i, None)
            new = []
            for row in value.rows:
                if row.id is None:
                    new.append(dict(row.fields))
                elif row.id in held:
                    held[row.id] = {**held[row.id], **row.fields}
            value = [*held.values(), *new]
        if not isinstance(value, list):
            return value
        return [{"id": f"row{next(self.ids)}", **_as_json(r)} for r in value]

    def delete(self, record: str) -> None:
        self.tick += 1
        self.rows.pop(record)
        self.gone.add(record)
        self.version[record] = self.tick

    def meet(self, call: str) -> Any:
        self.calls.append(call)
        met = self.weather.pop(0) if self.weather else None
        if isinstance(met, BaseException):
            raise met
        return met


class Memory(Connector):
    """The connector of a ``World``."""

    name = "memory"
    key_field = "hub_key"
    resources = (
        Resource(
            "people",
            Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND,
            effect=Effect.VENDOR_KEY,
            feeds=("changed", "deleted"),
            lag=0,
            ways=tuple(
                Way(op, 100)
                for op in (
                    "list",
                    "changed",
                    "fetch",
                    "find",
                    "create",
                    "update",
                    "archive",
                )
            ),
        ),
        Resource(
            "firms", Can.READ | Can.CREATE | Can.UPDATE, effect=Effect.VENDOR_KEY, lag=0
        ),
        Resource("deals", Can.READ, lag=0),
        Resource("products", Can.READ, lag=0),
    )

    def __init__(self, world: World, key_field: str | None = "hub_key") -> None:
        super().__init__(None, None, clock=None, key_field=key_field)  # type: ignore[arg-type]
        self.world = world

    async def check(self) -> Account:
        return Account(self.world.name, self.world.name, user=ME)

    def _record(self, i: str, want: Want) -> Record:
        row = {k: v for k, v in self.world.rows[i].items() if k in want.fields}
        for f in want.fields:
            row.setdefault(f, None)
        for path, inside in want.rows.items() if not self.world.silent else ():
            listed = self.world.rows[i].get(path) or []
            row[path] = [{k: r.get(k) for k in inside} for r in listed]
            if self.world.reverses:
                row[path].reverse()
        return Record(
            i,
            row,
            str(self.world.version[i]),
            {},
            self.world.keys.get(i),
            by=self.world.by.get(i),
        )

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        self.world.meet(f"read {feed}")
        w = self.world
        since, offset = (int(x) for x in (at or "0:0").split(":"))
        if feed == "deleted":
            found = [Gone(i) for i in sorted(w.gone) if w.version[i] > since]
            return Page(found, mark=f"{w.tick}:0")
        ids = sorted(
            (i for i in w.rows if w.version[i] > since), key=lambda i: w.version[i]
        )
        part = ids[offset : offset + w.page]
        more = offset + w.page < len(ids)
        return Page(
            [self._record(i, want) for i in part],
            next=f"{since}:{offset + w.page}" if more else None,
            mark=f"{w.tick}:0" if not offset else None,
            whole=since == 0,
        )

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        self.world.meet("fetch")
        return [
            self._record(i, want) if i in self.world.rows else Gone(i)
            for i in ids
            if i in self.world.rows or i in self.world.gone
        ]

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        self.world.meet("find")
        by_key = {k: i for i, k in self.world.keys.items()}
        return {v: [self._record(by_key[v], want)] for v in values if v in by_key}

    async def write(self, resource: str, writes: Sequence[Write], *, way: Way) -> Any:
        if self.world.before_write:
            self.world.before_write(writes)
        met = self.world.meet(f"write {writes[0].op}")
        outcomes = [self._write(w) for w in writes]
        if isinstance(met, tuple):
            raise met[1]
        return outcomes

    def _write(self, w: Write) -> Any:
        world = self.world
        if not world.refuses.isdisjoint(_values(w.fields)):
            return Rejected("refused", reason="BAD", fields=())
        if w.op == "archive":
            if w.id in world.rows:
                world.delete(w.id or "")
            world.writes += 1
            return Done(w.id or "")
        if w.op == "create":
            there = next((i for i, k in world.keys.items() if k == w.key), None)
            if self.key is None:
                there = None
            missing = [f for f in world.required if not w.fields.get(f)]
            if missing:
                return Rejected("missing", reason="REQUIRED", fields=tuple(missing))
            if there is None:
                there = f"{world.name}{next(world.ids)}"
                if self.key is not None:
                    world.keys[there] = w.key
            world.put(there, w.fields, ME)
        else:
            there = w.id or ""
            if there not in world.rows:
                from connector_hub.sdk import Missing  # noqa: PLC0415

                return Missing("gone")
            world.put(there, w.fields, ME)
        world.writes += 1
        version = str(world.version[there])
        return Done(
            there, version, dict(world.rows[there]) if world.answers_values else None
        )


class Slow(Memory):
    """A vendor that has two rows a call, or a job of a hundred that it works on for some looks."""

    resources = (
        replace(
            Memory.resources[0],
            ways=(
                *(Way(op, 2) for op in ("create", "update", "archive")),
                *(Way(op, 100) for op in ("list", "changed", "fetch", "find")),
                Way("create", 100, cost=3, asynchronous=True),
                Way("update", 100, cost=3, asynchronous=True),
                Way("update", 1, conditional=True),
            ),
        ),
    )

    async def write(self, resource: str, writes: Sequence[Write], *, way: Way) -> Any:
        if not way.asynchronous:
            return await super().write(resource, writes, way=way)
        self.world.meet("open a job")
        assert self.world.jobs is not None
        ticket = f"job {len(self.world.jobs) + 1}"
        self.world.jobs[ticket] = {"state": "open", "writes": []}
        return Pending(ticket, 0)

    async def outcomes(
        self, resource: str, writes: Sequence[Write], ticket: str
    ) -> Any:
        met = self.world.meet("write outcomes")
        found = self._look(writes, (self.world.jobs or {}).get(ticket))
        if isinstance(met, tuple):
            raise met[1]
        return Pending(ticket, 60) if found is None else found

    def _look(self, writes: Sequence[Write], job: dict[str, Any] | None) -> Any:
        if job is None:
            return [InDoubt("the job is not known")] * len(writes)
        if job["state"] == "open":
            job |= {"state": "taken", "writes": list(writes)}
        elif job["state"] == "taken":
            # What a job did first may be what was sent last.
            told = {w.key: self._write(w) for w in reversed(job["writes"])}
            job |= {"state": "done", "told": told}
        else:
            return [job["told"][w.key] for w in writes]
        return None


__all__ = ["Exists", "InDoubt", "Memory", "Slow", "Unavailable", "World"]
