"""Bulk read jobs of the sandbox: a query of one module, worked on for a while, then a zip with a CSV.

Source: https://www.zoho.com/crm/developer/docs/api/v8/bulk-read/overview.html
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector_hub_zoho.account import (
    USERS,
    Refused,
    Row,
    Rows,
    ZohoAccount,
    instant,
    named,
    spelled,
)
from connector_hub_zoho.modules import LOOKUPS

PER_PAGE = 200_000
FIELDS = 200
_STATES = ("ADDED", "QUEUED", "IN PROGRESS", "COMPLETED")
_COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "equal": lambda a, b: a == b,
    "not_equal": lambda a, b: a != b,
    "greater_than": lambda a, b: a is not None and a > b,
    "greater_equal": lambda a, b: a is not None and a >= b,
    "less_than": lambda a, b: a is not None and a < b,
    "less_equal": lambda a, b: a is not None and a <= b,
    "in": lambda a, b: a in b,
    "not_in": lambda a, b: a not in b,
    "contains": lambda a, b: str(b).casefold() in str(a or "").casefold(),
    "starts_with": lambda a, b: str(a or "").casefold().startswith(str(b).casefold()),
}


@dataclass(slots=True)
class Job:
    """A bulk read and how often it was asked about: each time it is a state further."""

    number: str
    query: Mapping[str, Any]
    made: datetime
    asked: int = 0
    fails: bool = False
    result: bytes = b""
    count: int = 0
    more: bool = False
    page: int = 1

    @property
    def state(self) -> str:
        """As Zoho names it."""
        state = _STATES[min(self.asked, len(_STATES) - 1)]
        return "FAILURE" if self.fails and state == "COMPLETED" else state

    def shown(self) -> Row:
        """As the API shows a job."""
        module = {**self.query["module"], "id": "4150868000000002179"}
        query = {**self.query, "module": module}
        query.setdefault("page", self.page)
        found: Row = {
            "id": self.number,
            "operation": "read",
            "state": self.state,
            "query": query,
            "created_by": _maker(),
            "created_time": instant(self.made),
            "file_type": "csv",
        }
        if self.state == "COMPLETED":
            found["result"] = {
                "page": self.page,
                "count": self.count,
                "download_url": f"/crm/bulk/v8/read/{self.number}/result",
                "per_page": PER_PAGE,
                "more_records": self.more,
            }
        return found


def _maker() -> Row:
    maker = named({"id": USERS[0][0]})
    return {"id": maker["id"], "name": maker["name"]}


def made(account: ZohoAccount, number: str, query: Mapping[str, Any]) -> Job:
    """A job for a query.

    Raises:
        Refused: the query is none Zoho would take.
    """
    module = (query.get("module") or {}).get("api_name")
    rows = account.modules.get(str(module))
    if rows is None:
        raise Refused(400, "INVALID_DATA", "invalid data", api_name="module")
    names = list(query.get("fields") or rows.module.fields)
    if len(names) > FIELDS:
        raise Refused(400, "LIMIT_EXCEEDED", "limit exceeded", limit=FIELDS)
    for name in names:
        if name.partition(".")[0] not in rows.module.fields:
            raise Refused(400, "INVALID_DATA", "invalid data", api_name="fields")
    page = int(query.get("page") or 1)
    job = Job(number, query, account.clock.now(), page=page)
    found = [r for r in account.rows_of(rows.module.name) if _kept(r, query)]
    found = [r for r in found if _is_joined(account, rows, r, names)]
    found.sort(key=lambda r: int(r["id"]))
    part = found[(page - 1) * PER_PAGE : page * PER_PAGE]
    job.count, job.more = len(part), page * PER_PAGE < len(found)
    job.result = _zipped(number, names, rows, part)
    return job


def _kept(row: Row, query: Mapping[str, Any]) -> bool:
    criteria = query.get("criteria")
    return not criteria or _holds(row, criteria)


def _holds(row: Row, criteria: Mapping[str, Any]) -> bool:
    if "group" in criteria:
        parts = [_holds(row, c) for c in criteria["group"]]
        return any(parts) if criteria["group_operator"].lower() == "or" else all(parts)
    name = (criteria.get("field") or {}).get("api_name") or criteria["api_name"]
    held, wanted = row.get(name), criteria["value"]
    if isinstance(held, datetime):
        wanted = datetime.fromisoformat(str(wanted))
    return _COMPARED[criteria["comparator"]](held, wanted)


def _is_joined(
    account: ZohoAccount, rows: Rows, row: Row, names: Sequence[str]
) -> bool:
    """A record that points to one that is gone is not among the rows (a known trap)."""
    for name in names:
        kind = rows.module.fields[name.partition(".")[0]]
        held = row.get(kind.name)
        to = account.modules.get(kind.to) if kind.type == "lookup" else None
        if to and held and held["id"] not in to.live:
            return False
    return True


def _zipped(number: str, names: Sequence[str], rows: Rows, part: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["Id", *(n for n in names if n != "id")]
    writer.writerow(columns)
    for row in part:
        cells = [_cell(rows, row, n) for n in columns[1:]]
        writer.writerow([row["id"], *cells])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(f"{number}.csv", text.getvalue())
    return file.getvalue()


def _cell(rows: Rows, row: Row, name: str) -> str:
    """A value as the CSV has it: everything is text, a lookup is its id."""
    value = row.get(name)
    if value is None:
        return ""
    if rows.module.fields[name].type in LOOKUPS:
        return str(value["id"])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ";".join(map(str, value))
    return str(spelled(value))
