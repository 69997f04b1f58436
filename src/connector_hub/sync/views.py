"""Records in the hub's words, with their links as hub ids, so that two vendors' links can be compared."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from connector_hub.model.mapping import Bad, Spoke
from connector_hub.model.plan import Seen, Wait
from connector_hub.model.record import Ref
from connector_hub.model.rows import Listed, arranged
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide


class Read(Struct, gc=False):
    """A record as the merge sees it.

    A link whose record has no counterpart is not in ``view``; it is one of ``waits``.
    """

    view: dict[str, Any]
    bad: list[Bad]
    waits: tuple[Wait, ...] = ()
    hidden: Mapping[str, Any] | None = None
    """Fields outside their conditions: what they would say inside."""

    @property
    def whole(self) -> Mapping[str, Any]:
        """All fields, whatever their conditions say."""
        return {**self.view, **self.hidden} if self.hidden else self.view


def read_views(run: JobRun, side: LiveSide, seen: Sequence[Seen]) -> list[Read]:
    """The views of a side's records, in their order."""
    read = [Read(*side.spoke.whole(s.raws)) for s in seen]
    for name in run.routes:
        _translate(run, side, name, read)
    for name in side.spoke.rows:
        _arrange(side, name, seen, read)
    if side.spoke.conditions:
        for s, r in zip(seen, read, strict=True):
            _hide(side.spoke.of(s.raws), r)
    return read


def _hide(spoke: Spoke, read: Read) -> None:
    """Put aside what is outside its condition."""
    out = spoke.outside(read.view)
    read.hidden = {n: read.view.pop(n) for n in out if n in read.view}
    read.bad = [b for b in read.bad if b.field not in out]


def _translate(run: JobRun, side: LiveSide, name: str, read: Sequence[Read]) -> None:
    """One link field of all: the vendor's reference becomes the hub id of what it points to."""
    field, _, inner = name.partition(".")
    if inner:
        told = [(r, row.fields) for r in read for row in r.view.get(field) or ()]
    else:
        told = [(r, r.view) for r in read]
    key = inner or field
    asked = {v.id for _, view in told if isinstance(v := view.get(key), Ref)}
    if not asked:
        return
    hubs = linked_across(run, side, name, asked)
    others = _of_others(run, side, name, asked - hubs.keys())
    for r, view in told:
        ref = view.get(key)
        if not isinstance(ref, Ref):
            continue
        if ref.id in hubs:
            view[key] = hubs[ref.id]
        elif ref.id in others:
            view[key] = None
        else:
            del view[key]
            waits = [
                (side.name, name, resource, ref.id)
                for resource in run.routes[name].at(side.name)
            ]
            r.waits = (*r.waits, *waits)


def _arrange(
    side: LiveSide, name: str, seen: Sequence[Seen], read: Sequence[Read]
) -> None:
    """Rows get their keys once their links are hub ids; one whose key cannot be told waits aside."""
    for s, r in zip(seen, read, strict=True):
        rows = r.view.get(name)
        if rows:
            key = side.spoke.of(s.raws).rows[name].key
            r.view[name] = arranged(rows, key)


def _of_others(
    run: JobRun, side: LiveSide, name: str, records: Collection[str]
) -> set[str]:
    """Those of the records that another field of the same reference leads to, as their links say."""
    fields = side.spoke.shared.get(name, ())
    resources = {
        resource
        for n in fields
        if n in run.routes
        for resource in run.routes[n].at(side.name)
    }
    found: set[str] = set()
    own = run.routes[name].at(side.name)
    for resource in sorted(resources.difference(own)) if records else ():
        found |= run.store.links(side.home, resource, records).keys()
    return found


def linked_across(
    run: JobRun, side: LiveSide, name: str, records: Collection[str]
) -> dict[str, bytes]:
    """Hub ids of those records a link field points to that have a live counterpart across."""
    route, other = run.routes[name], run.other(side)
    live: dict[str, bytes] = {}
    for resource in route.at(side.name):
        links = run.store.links(side.home, resource, records)
        live |= {i: k.hub for i, k in links.items() if not k.gone}
    there: set[bytes] = set()
    for resource in route.at(other.name):
        found = run.store.records(other.home, resource, list(live.values()))
        there |= {hub for hub, (_, gone) in found.items() if not gone}
    return {i: hub for i, hub in live.items() if hub in there}


def spelled_links(
    run: JobRun, side: LiveSide, wanted: Sequence[dict[str, Any]]
) -> None:
    """Hub ids in values to be written become the side's own references, in place."""
    for name, route in run.routes.items():
        field, _, inner = name.partition(".")
        key = inner or field
        told = _rows_to_write(wanted, field) if inner else wanted
        hubs = {v for w in told if isinstance(v := w.get(key), bytes)}
        if not hubs:
            continue
        there = {
            hub: Ref(resource, record)
            for resource in route.at(side.name)
            for hub, (record, gone) in run.store.records(
                side.home, resource, hubs
            ).items()
            if not gone
        }
        for w in told:
            hub = w.get(key)
            if isinstance(hub, bytes) and hub in there:
                w[key] = there[hub]
            elif isinstance(hub, bytes):
                del w[key]


def _rows_to_write(
    wanted: Sequence[dict[str, Any]], field: str
) -> Sequence[dict[str, Any]]:
    """The fields of all rows that are to be written: copies of theirs, which may be changed."""
    found: list[dict[str, Any]] = []
    for w in wanted:
        listed = w.get(field)
        if isinstance(listed, Listed):
            rows = [structs.replace(r, fields={**r.fields}) for r in listed.rows]
            w[field] = structs.replace(listed, rows=tuple(rows))
            found += [r.fields for r in rows]
    return found


def links_of(side: LiveSide, seen: Seen, names: Mapping[str, Any]) -> dict[str, Any]:
    """The references a record holds now under some fields: what a write takes away."""
    return {n: v for n, v in side.spoke.view(seen.raws)[0].items() if n in names}
