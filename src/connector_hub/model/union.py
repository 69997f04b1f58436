"""One spoke over several resources of a vendor, for a side whose records are each in one of them.

Its rows are ``{resource: row}``. The first of its raw values is the resource, so that a record that
went on as one of another resource is seen to have moved.
Conditions, defaults and what can be said are those of a record's own resource: ask ``of(raws)`` for them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Map
from dataclasses import replace
from typing import Any

from connector_hub.model.mapping import ABSENT, Bad, Raws, Spoke
from connector_hub.model.record import EMPTY, Ref, Want

RESOURCE = "(resource)"
"""Stands in front of the fields' names; no field is called so."""


def unite(spokes: Map[str, Spoke]) -> Spoke:
    """A spoke that reads each record by its own resource's; what is written goes by these alone."""
    first = next(iter(spokes.values()))
    names = list(dict.fromkeys(n for s in spokes.values() for n in s.names))
    kept = dict.fromkeys(n for s in spokes.values() for n in s.kept)
    fields = [*names, *(n for n in kept if n not in names)]
    places = {r: [fields.index(n) + 1 for n in s.kept] for r, s in spokes.items()}

    def raws(row: Map[str, Any], links: Map[str, Sequence[Ref]]) -> Raws:
        ((resource, inner),) = row.items()
        found: list[Any] = [resource, *[ABSENT] * len(fields)]
        for i, raw in zip(
            places[resource], spokes[resource].raws(inner, links), strict=True
        ):
            found[i] = raw
        return tuple(found)

    def own(raws: Raws) -> Raws:
        return tuple([raws[i] for i in places[raws[0]]])

    def view(raws: Raws) -> tuple[dict[str, Any], list[Bad]]:
        return spokes[raws[0]].view(own(raws))

    def whole(raws: Raws) -> tuple[dict[str, Any], list[Bad]]:
        return spokes[raws[0]].whole(own(raws))

    def identity(raws: Raws) -> Map[str, Any]:
        return spokes[raws[0]].identity(own(raws))

    def also(raws: Raws, view: Map[str, Any]) -> Map[str, tuple[Any, ...]]:
        mine = spokes[raws[0]].also
        return mine(own(raws), view) if mine else EMPTY

    return replace(
        first,
        mapping=replace(
            first.mapping,
            rules={n: r for s in spokes.values() for n, r in s.mapping.rules.items()},
        ),
        names=(RESOURCE, *names),
        kept=(RESOURCE, *fields),
        prints=("", *(_print(n, spokes) for n in fields)),
        writable=frozenset(n for s in spokes.values() for n in s.writable),
        want=Want(
            frozenset(p for s in spokes.values() for p in s.want.fields),
            frozenset(p for s in spokes.values() for p in s.want.links),
            _joined(s.want.rows for s in spokes.values()),
        ),
        raws=raws,
        view=view,
        put=_nowhere,
        identity=identity,
        identifying=frozenset(n for s in spokes.values() for n in s.identifying),
        whole=whole,
        also=also if any(s.also for s in spokes.values()) else None,
        conditions={n: c for s in spokes.values() for n, c in s.conditions.items()},
        defaults={n: d for s in spokes.values() for n, d in s.defaults.items()},
        known={n: k for s in spokes.values() for n, k in s.known.items()},
        parts=spokes,
        rows={n: k for s in spokes.values() for n, k in s.rows.items()},
        shared={n: m for s in spokes.values() for n, m in s.shared.items()},
    )


def _joined(
    wanted: Iterable[Map[str, frozenset[str]]],
) -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for rows in wanted:
        for path, inside in rows.items():
            found[path] = found.get(path, frozenset()) | inside
    return found


def _print(name: str, spokes: Map[str, Spoke]) -> str:
    """Changes when the field's rule does at any of the resources."""
    rules = [
        (resource, s.prints[s.kept.index(name)])
        for resource, s in sorted(spokes.items())
        if name in s.kept
    ]
    return hashlib.blake2b(repr(rules).encode(), digest_size=8).hexdigest()


def _nowhere(_view: Map[str, Any]) -> Map[str, Any]:
    raise TypeError("what is written goes by the spoke of one resource")
