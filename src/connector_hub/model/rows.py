"""Rows within a record, such as the lines of an order, told apart by a key.

A key may be there several times: then the n-th of one side is the n-th of the other, in the order of what
they say, because vendors keep none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from msgspec import Struct, structs

Key = tuple[Any, ...]
"""The values of the key's fields, and which of those with the same ones it is."""


class Row(Struct, frozen=True, eq=False):
    """A row in the hub's words. Two are equal when they say the same, whatever ids they have.

    ``id`` is the vendor's own, empty for one that is to be made; ``raws`` are the vendor's own values, in the
    order of the rules. ``names`` are the fields of one that is to be written.
    """

    id: str
    fields: dict[str, Any]
    raws: tuple[Any, ...] = ()
    key: Key = ()
    names: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Row) and self.fields == other.fields

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Row({[*self.fields]})"

    def __str__(self) -> str:
        told = ", ".join(f"{n}: {_text(v)}" for n, v in sorted(self.fields.items()))
        return f"{{{told}}}"


class Listed(Struct, frozen=True, eq=False):
    """All rows that a record shall have, as they are to be written.

    ``removed`` are the ids of those that shall go, ``aside`` of those that stay and could not be read.
    """

    rows: tuple[Row, ...]
    removed: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()

    def __str__(self) -> str:
        return spelled(self.rows)

    def is_met(self, found: Iterable[Row]) -> bool:
        """Whether rows hold what was written: what is new, what was changed, and not what was removed."""
        by_id, by_key = _indexed(found)
        changed = [r for r in self.rows if r.id in by_id]
        new = [r for r in arranged(self.rows) if not r.id]
        return (
            by_id.keys().isdisjoint(self.removed)
            and all(_holds(by_id[r.id], r, r.names) for r in changed)
            and all(r.key in by_key and _holds(by_key[r.key], r, r.names) for r in new)
        )

    def is_beside(self, found: Iterable[Row]) -> bool:
        """Whether rows say what nobody wrote here: somebody else edited, added or removed some."""
        by_id, by_key = _indexed(found)
        kept = [r for r in self.rows if r.id]
        rest = [(r, [n for n in r.fields if n not in r.names]) for r in kept]
        return (
            not by_key.keys() <= {r.key for r in arranged(self.rows)}
            or any(r.id not in by_id for r in kept)
            or not all(_holds(by_id[r.id], r, names) for r, names in rest)
        )


def _indexed(rows: Iterable[Row]) -> tuple[dict[str, Row], dict[Key, Row]]:
    listed = list(rows)
    return {r.id: r for r in listed}, {r.key: r for r in listed}


def _holds(found: Row, wanted: Row, names: Iterable[str]) -> bool:
    return all(found.fields.get(n) == wanted.fields.get(n) for n in names)


class Edit(Struct, frozen=True, array_like=True):
    """What becomes of one row of a side: the ids of its own row and of the one across.

    Without an own one it is made, without one across it goes; else ``names`` are taken over.
    """

    own: str
    there: str
    names: tuple[str, ...] = ()


def spelled(rows: Iterable[Row]) -> str:
    """Rows as text, the same for the same ones."""
    return "[" + ", ".join(map(str, rows)) + "]"


def arranged(rows: Iterable[Row], key: Sequence[str] | None = None) -> tuple[Row, ...]:
    """Rows in the order of their keys, each with its own; those that lack a field of the key are left out.

    Args:
        rows: with links as hub ids.
        key: the key's fields; None for rows that have keys already, and may have been edited since.
    """
    told = [
        (r.key[:-1] if key is None else tuple(r.fields[n] for n in key), r)
        for r in rows
        if key is None or all(n in r.fields for n in key)
    ]
    told.sort(
        key=lambda t: (_order(t[0]), _order(v for _, v in sorted(t[1].fields.items())))
    )
    seen: dict[str, int] = {}
    found = []
    for values, row in told:
        text = _order(values)
        n = seen[text] = seen.get(text, -1) + 1
        found.append(structs.replace(row, key=(*values, n)))
    return tuple(found)


def _order(values: Iterable[Any]) -> str:
    return "\0".join(f"{type(v).__name__} {_text(v)}" for v in values)


def _text(value: Any) -> str:
    """A value as text, the same for equal ones."""
    match value:
        case Decimal():
            return format(value.normalize(), "f") if value else "0"
        case bytes():
            return value.hex()
        case date():
            return value.isoformat()
        case None:
            return ""
    return str(value)


def key_text(key: Key) -> str:
    """A key as text, the same for equal ones."""
    return _order(key)


def made(rows: Iterable[Row], writable: Collection[str]) -> Listed:
    """The rows of a new record: others' rows, as far as they can be written."""
    return Listed(tuple(_new(r, writable) for r in rows))


def applied(
    own: Sequence[Row],
    theirs: Iterable[Row],
    edits: Iterable[Edit],
    writable: Collection[str],
    ids: Iterable[str] = (),
) -> Listed:
    """What a side's rows shall be after edits.

    Args:
        own: its rows.
        theirs: those across, which the edits take from.
        edits: what becomes of single rows; all others stay.
        writable: the fields a new row is made with.
        ids: of all rows there, those among them that could not be read.
    """
    rows = {r.id: r for r in own}
    there = {r.id: r for r in theirs}
    new: list[Row] = []
    removed: list[str] = []
    for e in edits:
        source, row = there.get(e.there), rows.get(e.own)
        if not e.own:
            new += [_new(source, writable)] if source else []
        elif row is not None and not e.there:
            removed.append(rows.pop(e.own).id)
        elif row is not None and source is not None:
            taken = {n: source.fields[n] for n in e.names if n in source.fields}
            told = {**row.fields, **taken}
            rows[e.own] = structs.replace(row, fields=told, names=e.names)
    known = {r.id for r in own}
    aside = tuple(i for i in ids if i not in known)
    return Listed((*rows.values(), *new), tuple(removed), aside)


def _new(row: Row, writable: Collection[str]) -> Row:
    fields = {n: v for n, v in row.fields.items() if n in writable}
    return Row("", fields, (), row.key, tuple(fields))


__all__ = [
    "Edit",
    "Key",
    "Listed",
    "Row",
    "applied",
    "arranged",
    "key_text",
    "made",
    "spelled",
]
