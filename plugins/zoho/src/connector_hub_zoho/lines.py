"""Subforms: the lines of orders, quotes and invoices, and those of an account's own.

A listing does not show them; their rows are records of a module of their own, which queries know.
Of a record that is written, Zoho keeps the rows that are named, by their ids, and no others.
Sources: https://www.zoho.com/crm/developer/docs/api/v8/subforms.html, .../update-subforms.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector_hub.sdk import RowsPatch
from connector_hub_zoho import query
from connector_hub_zoho.api import Api
from connector_hub_zoho.values import spelled

PARENT = "Parent_Id"
Row = dict[str, Any]


async def put_lines(
    api: Api, rows: Sequence[Row], wanted: Mapping[str, frozenset[str]]
) -> None:
    """Put the whole list of lines into each row, under the subform's name."""
    for name, paths in wanted.items():
        columns = sorted({query.name(_column(p)) for p in paths} - {"id", PARENT})
        by_parent = await _by_parent(api, name, [r["id"] for r in rows], columns)
        for row in rows:
            row[name] = by_parent.get(row["id"], [])


async def held(
    api: Api, name: str, parents: Sequence[str]
) -> Mapping[str, Sequence[str]]:
    """The ids of the lines that records have, by record."""
    found = await _by_parent(api, name, parents, [])
    return {parent: [line["id"] for line in lines] for parent, lines in found.items()}


async def _by_parent(
    api: Api, name: str, parents: Sequence[str], columns: Sequence[str]
) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for i in range(0, len(parents), query.VALUES):
        listed = ", ".join(map(query.quoted, parents[i : i + query.VALUES]))
        names = ["id", PARENT, *columns]
        for line in await api.query_all(names, name, f"{PARENT} in ({listed})"):
            parent = line[PARENT]["id"]
            found.setdefault(parent, []).append(_nested(line))
    return found


def _column(path: str) -> str:
    """A lookup is asked for as such: it comes with its id."""
    return path.removesuffix(".id")


def _nested(line: Row) -> Row:
    """What a query answers under a dotted name, inside its lookup."""
    found = {k: v for k, v in line.items() if "." not in k}
    for path in line.keys() - found.keys():
        head, _, leaf = path.partition(".")
        inside = found.get(head) or {}
        found[head] = {**inside, leaf: line[path]}
    return found


def written(patch: RowsPatch, present: Sequence[str]) -> list[Row]:
    """A subform as it is sent: every row that stays by its id, those that go, and the new ones.

    ``present`` are the rows that the record has now: one that a person added since is named, and so stays.
    """
    named = {r.id for r in patch.rows if r.id} | set(patch.removed)
    strangers = [{"id": i} for i in present if i not in named]
    rows = [
        {**({"id": r.id} if r.id else {}), **row_of(r.fields)}
        for r in patch.rows
        if not r.id or r.id in present
    ]
    gone = [{"id": i, "_delete": None} for i in patch.removed if i in present]
    return [*rows, *strangers, *gone]


def row_of(fields: Mapping[str, Any]) -> Row:
    """Values by path as Zoho's JSON: what is behind a dot goes into an object."""
    row: Row = {}
    for path, value in fields.items():
        head, _, leaf = query.name(path).partition(".")
        if leaf:
            row[head] = None if value is None else {leaf: spelled(value)}
        else:
            row[head] = spelled(value)
    return row
