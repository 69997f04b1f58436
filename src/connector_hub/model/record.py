"""A vendor's record as last seen, and what a write to one looks like.

These are the values that cross the plugin border: plain, frozen, without behaviour. What they hold of a
record is in no ``repr``: that ends in logs and tracebacks. Structs of msgspec,
because one is made for every record: a frozen dataclass costs eight times as much to make.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from connector_hub.errors import VendorError

_NONE: Mapping[str, Any] = MappingProxyType({})


class Ref(Struct, frozen=True, gc=False):
    """A pointer to another record of the same vendor."""

    resource: str
    id: str
    label: str | None = None


class Record(Struct, frozen=True, gc=False):
    """One record, as last seen.

    ``fields`` is the vendor's own JSON row: mapping paths walk it.
    ``key`` is the record key the hub wrote when it created the record, where the vendor holds one.
    ``version`` changes whenever the vendor changes the record; ``by`` is the vendor's last modifier.
    """

    id: str
    fields: Mapping[str, Any]
    version: str | None = None
    links: Mapping[str, Sequence[Ref]] = _NONE
    key: str | None = None
    changed: datetime | None = None
    by: str | None = None

    def __repr__(self) -> str:
        return (
            f"Record(id={self.id!r}, fields={[*self.fields]}, version={self.version!r})"
        )


class Gone(Struct, frozen=True, gc=False):
    """A record that is no longer there, on the vendor's word."""

    id: str
    why: Literal["deleted", "merged", "converted", "hidden"] = "deleted"
    into: Ref | None = None


class Want(Struct, frozen=True, gc=False):
    """What the hub needs of each record: mapping paths, link names, and nothing more.

    ``rows`` are lists within the record, by the path of the list: the paths inside each row, the one of the
    row's own id among them. The list's own path is not among ``fields``. A record tells such a list wholly,
    as dicts of the vendor's own JSON, each with its id, the same over reads for as long as the row lives;
    an empty list or None says that there are no rows, a missing one nothing.
    """

    fields: frozenset[str]
    links: frozenset[str] = frozenset()
    rows: Mapping[str, frozenset[str]] = _NONE


class Page(Struct, frozen=True, gc=False):
    """One page of a feed.

    ``next`` continues this pull and may die with it.
    ``mark`` comes with the first page and is where the *next* pull starts; it must hold for weeks.
    ``whole`` says that the pull lists every live record of the resource.
    """

    records: Sequence[Record | Gone]
    next: str | None = None
    mark: str | None = None
    whole: bool = False


class Edited(Struct, frozen=True, gc=False):
    """When a field was edited last: after one instant (None: nobody knows) and no later than another.

    A vendor that keeps the time of each field tells it as both.
    """

    after: datetime | None
    until: datetime


class LinkPatch(Struct, frozen=True, gc=False):
    """Links to add and to take away under one name."""

    add: tuple[Ref, ...] = ()
    remove: tuple[Ref, ...] = ()


class RowPatch(Struct, frozen=True, gc=False):
    """A row as it shall be.

    Without ``id`` it is a new one, with all its fields. With one it stays, and ``fields`` are those that
    change: none for a row that stays as it is. They are hub-typed values by path inside the row.
    """

    id: str | None
    fields: Mapping[str, Any] = _NONE

    def __repr__(self) -> str:
        return f"RowPatch(id={self.id!r}, fields={[*self.fields]})"


class RowsPatch(Struct, frozen=True, gc=False):
    """The rows of a list within a record: the value of its path in ``Write.fields``.

    ``rows`` is the whole list, every row that stays named by its id; ``removed`` are the ids of those that
    shall go. A row that is in neither was added since the record was read, and is to be left alone where the
    vendor can: no connector deletes what it was not told to.
    """

    rows: tuple[RowPatch, ...]
    removed: tuple[str, ...] = ()


Op = Literal["create", "update", "archive"]


class Write(Struct, frozen=True, gc=False):
    """One write to one record.

    ``trace`` is the intent's id, the same over attempts: the vendor's trace id or idempotency key.
    ``key`` is the record key; a connector stores it in its key field when it creates.
    ``fields`` holds hub-typed values by mapping path (str, Decimal, bool, date, datetime, tuple or
    None to clear) and names only what shall change. The value of a list of rows is a ``RowsPatch``;
    record and rows are one write with one outcome.
    """

    op: Op
    trace: str
    key: str
    id: str | None = None
    fields: Mapping[str, Any] = _NONE
    links: Mapping[str, LinkPatch] = _NONE
    version: str | None = None

    def __repr__(self) -> str:
        return f"Write({self.op!r}, trace={self.trace!r}, id={self.id!r}, fields={[*self.fields]})"


class Done(Struct, frozen=True, gc=False):
    """A write the vendor confirmed.

    ``fields`` and ``version`` are what the vendor now holds; None makes the hub read it back.
    ``created`` is the vendor's word on whether the record is new; None where it does not say.
    """

    id: str
    version: str | None = None
    fields: Mapping[str, Any] | None = None
    links: Mapping[str, Sequence[Ref]] | None = None
    created: bool | None = None

    def __repr__(self) -> str:
        return f"Done(id={self.id!r}, version={self.version!r}, fields={[*(self.fields or ())]})"


class Pending(Struct, frozen=True, gc=False):
    """The vendor works on it; ask again with the ticket."""

    ticket: str
    again_in: float = 5


Outcome = Done | VendorError
"""What became of one write: Done, or Exists, Rejected, Stale, Missing, InDoubt, Unavailable."""


def refs(found: Iterable[Ref]) -> tuple[Ref, ...]:
    """Links in a fixed order, so that two listings of the same links are equal."""
    return tuple(sorted(found, key=lambda r: (r.resource, r.id, r.label or "")))


EMPTY: Mapping[str, Any] = _NONE
"""An empty mapping that can be shared."""

__all__ = [
    "EMPTY",
    "Done",
    "Edited",
    "Gone",
    "LinkPatch",
    "Op",
    "Outcome",
    "Page",
    "Pending",
    "Record",
    "Ref",
    "RowPatch",
    "RowsPatch",
    "Want",
    "Write",
    "refs",
]
