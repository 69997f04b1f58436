"""Small tables that fields are looked up in, such as the people records belong to: read once a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector_hub.model.mapping import Lookup, Rows, every_rule
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.record import Record, Want
from connector_hub.sdk.connector import Connector
from connector_hub.sync.paging import Pull

Tables = dict[Lookup, Rows]


async def read_tables(connector: Connector, mappings: Iterable[Spec]) -> Tables:
    """What the resources hold that rules of these mappings look up in, live ones only.

    Raises:
        HubError: as the vendor has it.
    """
    lookups = _lookups(mappings)
    found: Tables = {}
    for resource in sorted({k.resource for k in lookups}):
        mine = [k for k in lookups if k.resource == resource]
        rows: dict[Lookup, dict[str, Any]] = {k: {} for k in mine}
        for record in await _all(connector, resource, {k.by for k in mine}):
            for k in mine:
                rows[k][record.id] = _at(record.fields, k.by)
        found |= rows
    return found


def _lookups(mappings: Iterable[Spec]) -> set[Lookup]:
    return {r.lookup for m in mappings for r in every_rule(m) if r.lookup}


async def _all(connector: Connector, resource: str, paths: set[str]) -> list[Record]:
    at, want = None, Want(frozenset(paths))
    pull = Pull(resource, connector.name, at)
    found: list[Record] = []
    while True:
        page = await connector.read(resource, "changed", at, want)
        found += [r for r in page.records if isinstance(r, Record)]
        at = pull.follow(page)
        if at is None:
            return found


def _at(row: Mapping[str, Any], path: str) -> Any:
    for step in path.split("."):
        row = row.get(step) if isinstance(row, Mapping) else None  # type: ignore[assignment]
    return row


def sizes(mappings: Iterable[Spec], tables: Tables) -> dict[str, int]:
    """How many rows each resource has that these mappings look up in."""
    lookups = _lookups(mappings)
    return {k.resource: len(tables[k]) for k in lookups if k in tables}
