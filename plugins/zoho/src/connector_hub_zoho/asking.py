"""How what the mappings want of a record is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from connector_hub.sdk import Want
from connector_hub_zoho import query

STAMP = "Modified_Time"
BY = "Modified_By"
ABOUT = "$se_module"
"""The module of what a task is about; it comes with the listing, not with a query."""
CONVERTED = ("Converted__s", "Converted_Contact")
"""Of leads: whether one was converted, and into which contact."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Fields of a module by the ways that give them as mappings read them.

    Any way gives ``plain`` ones: those that every page needs come first. Only the listing gives ``listed``
    ones, the names of others behind lookups among them. ``rows`` are subforms with the paths in their rows,
    ``links`` related lists.
    """

    plain: tuple[str, ...]
    listed: tuple[str, ...]
    rows: Mapping[str, frozenset[str]]
    links: tuple[str, ...]

    @property
    def all(self) -> tuple[str, ...]:
        """The fields of the listing."""
        return (*self.plain, *self.listed)


def asked(resource: str, want: Want, key: str | None) -> Asked:
    """What to ask for, of a module with this key field."""
    first = ["id", STAMP, BY, *((key,) if key else ())]
    if resource == "Leads":
        first += CONVERTED
    by_head: dict[str, bool] = {}
    for path in sorted(want.fields):
        head, _, leaf = query.name(path).partition(".")
        apart = leaf not in {"", "id"} or head in {ABOUT, "What_Id"}
        by_head[head] = by_head.get(head, False) or apart
    listed = tuple(h for h, apart in by_head.items() if apart and h not in first)
    plain = (*first, *(h for h in by_head if h not in {*first, *listed}))
    return Asked(
        tuple(dict.fromkeys(plain)),
        listed,
        want.rows,
        tuple(sorted(want.links)),
    )
