"""Which fields travel. One-way jobs here; every rule is a pure function of what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Flow:
    """``write``: fields to write to the target. ``agreed``: both sides say the same.

    ``drift``: the target says otherwise though the source did not move; left alone.
    """

    write: tuple[str, ...]
    agreed: tuple[str, ...]
    drift: tuple[str, ...]


def one_way(
    fields: Iterable[str],
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    *,
    moved: AbstractSet[str] | None,
    revert: AbstractSet[str] = frozenset(),
) -> Flow:
    """What a one-way job writes so that ``target`` follows ``source``.

    ``moved`` names the fields that changed at the source since both agreed; None means that the two
    records meet for the first time: then a blank of the source never erases a value of the target.
    A field the source has no opinion on is left out.
    """
    write: list[str] = []
    agreed: list[str] = []
    drift: list[str] = []
    for name in fields:
        wanted = source.get(name, _NOTHING)
        if wanted is _NOTHING:
            continue
        there = target.get(name, _NOTHING)
        if wanted == there:
            agreed.append(name)
        elif moved is None:
            if not _blank(wanted):
                write.append(name)
            elif there is _NOTHING:
                agreed.append(name)
        elif name in moved or name in revert:
            write.append(name)
        else:
            drift.append(name)
    return Flow(tuple(write), tuple(agreed), tuple(drift))


def _blank(value: Any) -> bool:
    return value is None or value == ()
