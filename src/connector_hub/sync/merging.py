"""How two linked records are merged under their rules' conditions and defaults.

A field with a condition is judged by what its record will say after this merge: first the fields without
one are merged, then those whose condition holds now.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, replace
from typing import Any

from connector_hub.model.job import SIDES, Policy, SideName, across
from connector_hub.model.mapping import Spoke, blank, holds
from connector_hub.model.merge import Merged, merge

Views = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(slots=True)
class Pair:
    """Two linked records as the merge sees them, left first.

    ``hidden`` are their fields outside conditions. ``moved`` is None where the two meet for the first time.
    ``based`` have a base on both sides; ``outside`` were outside a condition when the pair was settled last;
    ``anew`` are decided as at a first meeting.
    """

    views: Views
    hidden: Views
    moved: tuple[AbstractSet[str], AbstractSet[str]] | None
    based: AbstractSet[str] = frozenset()
    outside: AbstractSet[str] = frozenset()
    anew: AbstractSet[str] = frozenset()


def merge_pair(
    policies: Mapping[str, Policy],
    spokes: tuple[Spoke, Spoke],
    pair: Pair,
    decided: Mapping[str, SideName],
    backfill: Collection[str] = (),
) -> Merged:
    """What to write so that both agree, and what cannot be decided.

    Args:
        policies: the fields that travel.
        spokes: of both sides, left first.
        pair: the two records.
        decided: what people decided about single fields.
        backfill: fields whose blanks are filled with defaults, too.
    """
    plain = (spokes[0].defaults, spokes[1].defaults) == ({}, {})
    seen = pair if plain else replace(pair, views=_without_defaults(spokes, pair))
    bound = spokes[0].conditions.keys() | spokes[1].conditions.keys()
    if bound:
        found = _in_two_steps(policies, spokes, seen, decided, bound)
    else:
        found = _three_way(policies, seen, seen.views, decided)
    return found if plain else _defaults_filled(policies, spokes, pair, found, backfill)


def _in_two_steps(
    policies: Mapping[str, Policy],
    spokes: tuple[Spoke, Spoke],
    pair: Pair,
    decided: Mapping[str, SideName],
    bound: AbstractSet[str],
) -> Merged:
    free = {n: p for n, p in policies.items() if n not in bound}
    rest = {n: p for n, p in policies.items() if n in bound}
    first = _three_way(free, pair, pair.views, decided)
    shown = []
    for i, written in enumerate((first.left, first.right)):
        mine, theirs = pair.views[i], pair.views[1 - i]
        says = {**mine, **spokes[i].filled({n: theirs[n] for n in written})}
        whole = {**mine, **pair.hidden[i]}
        conditions = spokes[i].conditions
        out = {n for n, c in conditions.items() if not holds(c, says)}
        shown.append({n: v for n, v in whole.items() if n not in out})
    return _joined(first, _three_way(rest, pair, (shown[0], shown[1]), decided))


def _three_way(
    policies: Mapping[str, Policy],
    pair: Pair,
    views: Views,
    decided: Mapping[str, SideName],
) -> Merged:
    """With a base where there is one; else as at a first meeting, or not at all."""
    left, right = views
    if pair.moved is None:
        return merge(policies, left, right, None, decided=decided)
    back = pair.outside & left.keys() & right.keys()
    edited = back & (pair.moved[0] | pair.moved[1])
    known = (pair.based - pair.anew) | edited
    anew = (pair.anew | back) - edited
    merged = merge(
        {n: p for n, p in policies.items() if n in known},
        left,
        right,
        pair.moved,
        decided=decided,
    )
    rest = {n: p for n, p in policies.items() if n in anew}
    if not rest:
        return merged
    return _joined(merged, merge(rest, left, right, None, decided=decided))


def _joined(a: Merged, b: Merged) -> Merged:
    return Merged(*(getattr(a, f.name) + getattr(b, f.name) for f in fields(Merged)))


def _without_defaults(spokes: tuple[Spoke, Spoke], pair: Pair) -> Views:
    """A default that nobody has edited since is the other side's blank, and says no more than that."""
    found = []
    for i in (0, 1):
        mine, theirs = pair.views[i], pair.views[1 - i]
        moved = pair.moved[i] if pair.moved else ()
        ours = {
            n: theirs[n]
            for n, d in spokes[i].defaults.items()
            if n in theirs and n not in moved and mine.get(n) == d and blank(theirs[n])
        }
        found.append({**mine, **ours} if ours else mine)
    return found[0], found[1]


def _defaults_filled(
    policies: Mapping[str, Policy],
    spokes: tuple[Spoke, Spoke],
    pair: Pair,
    merged: Merged,
    backfill: Collection[str],
) -> Merged:
    """Where a field is back-filled and blank on both sides, a side's default is written."""
    writes: dict[SideName, tuple[str, ...]] = {
        "left": merged.left,
        "right": merged.right,
    }
    for i, side in enumerate(SIDES):
        writes[side] += tuple(
            n
            for n in merged.agreed
            if n in backfill
            and n in spokes[i].defaults
            and blank(pair.views[i].get(n))
            and policies[n].owner in {None, across(side)}
        )
    written = {*writes["left"], *writes["right"]}
    agreed = tuple(n for n in merged.agreed if n not in written)
    return replace(merged, **writes, agreed=agreed)
