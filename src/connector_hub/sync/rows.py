"""What a side remembers of the rows that both sides have agreed on, and what has moved since.

By row a hash of each of its fields, as the vendor holds them. A row is known while both sides remember it:
then one that is missing was removed, and one that only one of them remembers, or none, was added.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from msgspec import Struct
from xxhash import xxh3_64_digest

from connector_hub.model.rowmerge import Moved
from connector_hub.model.rows import Key, Row, key_text
from connector_hub.sync.base import NEVER, hashes

_FIELD = len(NEVER)
RowBase = Mapping[bytes, bytes]
"""By hash of a row's key, the hashes of its fields one after the other."""
Rows = tuple[Sequence[Row], Sequence[Row]]
Names = tuple[Sequence[str], Sequence[str]]


class Stand(Struct, frozen=True):
    """How a side's rows stand when a pair is settled.

    ``final`` are those the hub has written, else those it planned from; ``held`` those that were read last;
    ``edited`` says that somebody changed what was written before it was read back.
    """

    final: Sequence[Row]
    held: Sequence[Row]
    before: RowBase
    names: Sequence[str]
    edited: bool = False


def known(
    bases: tuple[RowBase, RowBase], rows: Rows, names: Names
) -> tuple[Moved, Moved]:
    """The rows that both sides remember, with the fields that each has moved since, left first."""
    held = [{r.key: r for r in side} for side in rows]
    found: tuple[dict[Key, Collection[str]], dict[Key, Collection[str]]] = ({}, {})
    for key in dict.fromkeys((*held[0], *held[1])):
        digest = _digest(key)
        old = [
            _apart(base.get(digest), n) for base, n in zip(bases, names, strict=True)
        ]
        if not all(old):
            continue
        for i in (0, 1):
            row = held[i].get(key)
            new = hashes(row.raws) if row else ()
            pairs = zip(names[i], old[i], new, strict=False)
            found[i][key] = {n for n, a, b in pairs if a != b} if row else set(names[i])
    return found


def settled(here: Stand, there: Stand, *, asks: bool) -> dict[bytes, bytes]:
    """What a side remembers of its rows after a pair was settled.

    Args:
        here: the side whose memory it is.
        there: the other one.
        asks: whether a person is asked about them.
    """
    mine, theirs = ({r.key: r for r in stand.final} for stand in (here, there))
    held = {r.key: r for r in here.held}
    found: dict[bytes, bytes] = {}
    for key in dict.fromkeys((*mine, *theirs)):
        digest = _digest(key)
        before = here.before.get(digest)
        if key in mine and key in theirs:
            if key in held or here.edited:
                fields = _fields(
                    here, mine[key], theirs[key], held.get(key), before, asks=asks
                )
                found[digest] = b"".join(fields)
        elif before is not None:
            found[digest] = before
    return found


def _fields(
    here: Stand,
    mine: Row,
    theirs: Row,
    held: Row | None,
    before: bytes | None,
    *,
    asks: bool,
) -> Iterator[bytes]:
    """A hash for each field: as it is held where both agree on it, as it was where they do not."""
    now = hashes(held.raws) if held else [NEVER] * len(here.names)
    old = _apart(before, here.names) or ([NEVER] * len(now) if asks else now)
    for name, is_, was in zip(here.names, now, old, strict=True):
        if name not in mine.fields or name not in theirs.fields:
            yield is_
        elif mine.fields[name] != theirs.fields[name]:
            yield was
        elif here.edited and (
            held is None or held.fields.get(name) != mine.fields[name]
        ):
            yield NEVER
        else:
            yield is_


def put_back(held: Sequence[Row], before: RowBase) -> dict[bytes, bytes]:
    """What a side remembers after rows were put back: of those that both had, what they say now."""
    rows = {_digest(r.key): r for r in held}
    return {d: b"".join(hashes(r.raws)) for d, r in rows.items() if d in before}


def _apart(base: bytes | None, names: Sequence[str]) -> list[bytes]:
    """The hashes of a row's fields; none where it is not remembered, or was under other rules."""
    if base is None or len(base) != _FIELD * len(names):
        return []
    return [base[i : i + _FIELD] for i in range(0, len(base), _FIELD)]


def _digest(key: Key) -> bytes:
    return xxh3_64_digest(key_text(key).encode("utf-8", "surrogatepass"))


__all__ = ["RowBase", "Stand", "known", "put_back", "settled"]
