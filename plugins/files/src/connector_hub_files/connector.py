"""The connector: reads a file when its bytes have changed, writes it in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from connector_hub.sdk import (
    Account,
    Can,
    ConfigError,
    Connector,
    Done,
    Effect,
    FieldInfo,
    Gone,
    MarkLost,
    Missing,
    Outcome,
    Page,
    Record,
    Resource,
    Want,
    Way,
    Write,
)
from connector_hub_files.table import Row, Table

_PAGE = 1_000
_SUFFIXES = (".csv", ".jsonl")
_WAYS = tuple(
    Way(op, _PAGE, bucket="files")
    for op in ("list", "changed", "fetch", "find", "create", "update", "archive")
)


class Files(Connector):
    """A folder of CSV or JSON Lines files; a file's name without its ending is the resource."""

    name = "files"
    base_url = "http://127.0.0.1"
    key_field = "connector_hub_id"

    class Config(Connector.Config):
        """``folder`` is relative to hub.yaml; ``id`` is the column that names a record."""

        folder: Path
        id: str = "id"

    @classmethod
    def resource(cls, name: str) -> Resource:
        """Every file is a resource of the same kind."""
        can = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND
        return Resource(name, can, effect=Effect.VENDOR_KEY, ways=_WAYS, lag=0)

    async def check(self) -> Account:
        """The folder; its path is the account."""
        folder = self.config.folder
        if not folder.is_dir():
            raise ConfigError(
                f"folder {folder} is not there", hint="make it, or mend `folder:`"
            )
        name = hashlib.blake2b(
            str(folder.resolve()).encode(), digest_size=8
        ).hexdigest()
        return Account(name, folder.name)

    async def describe(self, resource: str) -> Resource:
        """The columns of the first row."""
        first = next(iter(self._table(resource).rows()), {})
        known = self.resource(resource)
        fields = tuple(
            FieldInfo(
                c, c, "text", required=c == self.config.id, unique=c == self.config.id
            )
            for c in first
        )
        return Resource(
            known.name, known.can, known.effect, ways=known.ways, lag=0, fields=fields
        )

    def _table(self, resource: str) -> Table:
        for suffix in _SUFFIXES:
            path = self.config.folder / f"{resource}{suffix}"
            if path.is_file() and path.parent == self.config.folder:
                return Table(path, self.config.id)
        raise ConfigError(
            f"there is no {resource}.csv or {resource}.jsonl in {self.config.folder}",
            hint=f"make one with a header line that has a column {self.config.id!r}",
        )

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """A page of rows. A file whose bytes did not change since the mark has none.

        All rows were listed where nobody has written to the file meanwhile: the last page says so.

        Raises:
            MarkLost: the mark is not one of ours.
        """
        table = self._table(resource)
        stamp = table.stamp()
        place = _place(at)
        skip = place.get("skip", 0)
        if place.get("stamp") == stamp and not skip:
            return Page([], mark=json.dumps({"stamp": stamp}))
        rows = list(islice(table.rows(), skip, skip + _PAGE + 1))
        began = place["stamp"] if skip else stamp
        more = len(rows) > _PAGE
        following = {"stamp": began, "skip": skip + _PAGE}
        return Page(
            [self._record(r) for r in rows[:_PAGE]],
            next=json.dumps(following) if more else None,
            mark=None if skip else json.dumps({"stamp": stamp}),
            whole=not more and began == stamp == table.stamp(),
        )

    def _record(self, row: Row) -> Record:
        text = json.dumps(row, sort_keys=True, default=str).encode()
        version = hashlib.blake2b(text, digest_size=8).hexdigest()
        return Record(
            str(row[self.config.id]), row, version, key=row.get(self.key or "") or None
        )

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Rows by id."""
        wanted = set(ids)
        rows = self._table(resource).rows()
        return [self._record(r) for r in rows if str(r[self.config.id]) in wanted]

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Rows by the value of a column."""
        wanted = set(values)
        found: dict[str, list[Record]] = {}
        for row in self._table(resource).rows():
            value = str(row.get(path) or "")
            if value in wanted:
                found.setdefault(value, []).append(self._record(row))
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome]:
        """All writes of a batch in one replacement of the file."""
        table = self._table(resource)
        with table.changing() as rows:
            by_key = {
                r[self.key]: i for i, r in rows.items() if self.key and r.get(self.key)
            }
            return [self._apply(rows, by_key, w, typed=table.lines) for w in writes]

    def _apply(
        self, rows: dict[str, Row], by_key: Mapping[str, str], w: Write, *, typed: bool
    ) -> Outcome:
        if w.op == "archive":
            rows.pop(w.id or "", None)
            return Done(w.id or "")
        record = w.id or by_key.get(w.key) or w.key
        if w.op == "update" and record not in rows:
            return Missing(f"there is no row {record}")
        created = record not in rows
        row = rows.setdefault(record, {self.config.id: record})
        if w.op == "create" and self.key:
            row[self.key] = w.key
        for column, value in w.fields.items():
            row[column] = _spelled(value, typed=typed)
        return Done(record, self._record(row).version, dict(row), created=created)


def _place(at: str | None) -> dict[str, Any]:
    if at is None:
        return {}
    try:
        place = json.loads(at)
    except ValueError:
        raise MarkLost("files: this mark is not one of ours") from None
    if not isinstance(place, dict):
        raise MarkLost("files: this mark is not one of ours")
    return place


def _spelled(value: Any, *, typed: bool) -> Any:
    """A hub value as a cell: text in CSV, JSON's own kinds in JSON Lines."""
    match value:
        case None:
            return None if typed else ""
        case bool():
            return value if typed else str(value).lower()
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
        case tuple() | list():
            return list(value) if typed else ";".join(str(v) for v in value)
    return value if typed else str(value)
