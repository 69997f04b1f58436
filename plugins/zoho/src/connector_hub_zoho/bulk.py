"""Bulk reads: Zoho works on a query for a while and gives a zip with a CSV of 200,000 records.

Fifty credits each, where a listing takes one for 200 records. Every value in the CSV is text; a record
that points to one that is gone may be missing from it.
Source: https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/overview.html
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector_hub.sdk import Unavailable, VendorError
from connector_hub_zoho.api import PAGE, Api
from connector_hub_zoho.values import from_cell

CREDITS = 50
_ROUND = 5
"""About so many calls it takes to ask how far a job is, and to fetch its result."""
COST = CREDITS + _ROUND
PER_JOB = 200_000
COLUMNS = 200
PORTION = 2_000
"""Records that are handed on at a time."""
_DONE, _FAILED = "COMPLETED", {"FAILURE", "FAILED"}
_NOT_FOUND, _BAD_REQUEST = 404, 400


def is_cheaper(left: int, each_page: int) -> bool:
    """Whether to go on so rather than by the listing, whose page of 200 takes ``each_page`` calls."""
    jobs = -(-left // PER_JOB)
    return -(-left // PAGE) * each_page > COST * jobs


class Lost(Exception):
    """A job failed, or is not known any more."""


@dataclass(slots=True)
class _Result:
    """A result that is being read: rows come in the order of the CSV, ``at`` is the next one's number."""

    rows: Iterator[list[str]]
    columns: list[str]
    at: int = 0


@dataclass(frozen=True, slots=True)
class Portion:
    """Some rows of a result; ``done`` after the last of it."""

    rows: list[dict[str, Any]]
    at: int
    done: bool


class BulkReads:
    """Jobs of a connection, and the results that are being read."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._open: dict[str, _Result] = {}
        self._seen: dict[str, set[str]] = {}
        """The ids that a job had, and the jobs before it."""

    async def begin(
        self, resource: str, names: Sequence[str], page: int = 1, after: str = ""
    ) -> str:
        """Ask for all records of a module, or for the page ``after`` another job's; the job's id."""
        body = await self._api.http.post(
            self._api.bulk_path("read"),
            json={
                "query": {
                    "module": {"api_name": resource},
                    "fields": list(names),
                    "page": page,
                },
                "file_type": "csv",
            },
            cost=CREDITS,
            repeatable=True,
        )
        job = str(body["data"][0]["details"]["id"])
        self._seen[job] = self._seen.pop(after, set())
        self._open.pop(after, None)
        return job

    async def result(self, job: str) -> Mapping[str, Any] | None:
        """What a job has found, without the records; None while Zoho works on it.

        Raises:
            Lost: it failed, or is too old.
        """
        answer = await self._api.http.send(
            "GET", self._api.bulk_path("read", job), ok=(_NOT_FOUND, _BAD_REQUEST)
        )
        if answer.status in {_NOT_FOUND, _BAD_REQUEST}:
            raise Lost
        told = answer.json()["data"][0]
        if told["state"] in _FAILED:
            raise Lost
        found: Mapping[str, Any] | None = told.get("result")
        return found if told["state"] == _DONE else None

    async def portion(self, resource: str, job: str, at: int) -> Portion:
        """The next records of a result, from its row ``at`` on, as the listing has them.

        Raises:
            Lost: the result is not kept any more.
        """
        found, seen = self._open.get(job), self._seen.setdefault(job, set())
        if found is None or found.at != at:
            found = self._open[job] = await self._unpacked(job)
            while found.at < at and (row := next(found.rows, None)):
                seen.add(row[0])
                found.at += 1
        types = await self._api.types(resource)
        rows = []
        for cells in found.rows:
            seen.add(cells[0])
            found.at += 1
            rows.append(_record(found.columns, cells, types))
            if len(rows) >= PORTION:
                return Portion(rows, found.at, done=False)
        return Portion(rows, found.at, done=True)

    def missed(self, job: str, ids: Sequence[str]) -> list[str]:
        """Which of these records no job had; of another process's jobs nothing is known."""
        known = self._seen.get(job, ())
        return [i for i in ids if i not in known]

    def forget(self, job: str) -> None:
        """A result that is not needed any more."""
        self._open.pop(job, None)
        self._seen.pop(job, None)

    async def _unpacked(self, job: str) -> _Result:
        path = self._api.bulk_path("read", job, "result")
        answer = await self._api.http.send("GET", path, ok=(_NOT_FOUND, _BAD_REQUEST))
        if answer.status in {_NOT_FOUND, _BAD_REQUEST}:
            raise Lost
        rows = _rows(answer.body)
        columns = ["id" if c == "Id" else c for c in next(rows, [])]
        if not columns or columns[0] != "id":
            raise Unavailable("the result of a bulk read has no column of ids")
        return _Result(rows, columns)


def _rows(body: bytes) -> Iterator[list[str]]:
    """The lines of the CSV in a zip, unpacked as they are read.

    Raises:
        Unavailable: it is none (a proxy's page, half an answer).
    """
    try:
        packed = zipfile.ZipFile(io.BytesIO(body))
        file = packed.open(packed.namelist()[0])
    except (zipfile.BadZipFile, IndexError):
        raise _broken() from None
    return _lines(file)


def _lines(file: Any) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.TextIOWrapper(file, "utf-8", newline=""))
    except (zipfile.BadZipFile, EOFError, UnicodeError, csv.Error):
        raise _broken() from None


def _broken() -> VendorError:
    return Unavailable(
        "the result of a bulk read is no zip with a CSV",
        hint="a proxy may stand between the hub and the vendor; run again later",
    )


def _record(
    columns: Sequence[str], cells: Sequence[str], types: Mapping[str, str]
) -> dict[str, Any]:
    """A line as a record; a cell that cannot be read is left out."""
    row: dict[str, Any] = {}
    for name, cell in zip(columns, cells, strict=False):
        try:
            row[name] = cell if name == "id" else from_cell(cell, types.get(name, ""))
        except ArithmeticError:
            continue
    return row
