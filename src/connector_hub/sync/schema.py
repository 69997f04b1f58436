"""Whether a vendor's fields are still what a mapping says: told before anything is written.

A field that is gone, that cannot be written or that lacks a word the mapping writes is told when seen.
What is odd but may work, such as a text in a number field, is told when the vendor has changed it under the
same rule.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from connector_hub.model.entity import Entity
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.mapping import Rule
from connector_hub.sdk.connector import FieldInfo
from connector_hub.sync.suggest import kind_of

FRESH = timedelta(minutes=10)
"""For so long a description is good: a vendor's administrators change fields, but not every minute."""
_TEXTS = frozenset({"text", "email", "phone"})
_TAKES: Mapping[str, AbstractSet[str]] = {
    "text": _TEXTS,
    "email": _TEXTS,
    "phone": _TEXTS,
}
"""Kinds of fields that take a kind of ours without more ado, besides texts and its own."""


@dataclass(frozen=True, slots=True)
class Moved:
    """A field that the vendor has changed. ``field`` is empty for one that no rule is about."""

    field: str
    path: str
    what: str
    hint: str


@dataclass(frozen=True, slots=True)
class Before:
    """What a description said when it was looked at last.

    ``types`` are the vendor's by field, under the fingerprint of the rule then; ``required`` its paths that
    must be given, under the fingerprint of the mapping.
    """

    at: str = ""
    types: Mapping[str, Sequence[str]] = field(default_factory=dict)
    required: Sequence[str] = ()
    mapping: str = ""

    @classmethod
    def of(cls, text: str | None) -> Before:
        """From ``remembered``; of nothing where nothing is."""
        return cls(**json.loads(text)) if text else cls()

    def is_fresh(self, mapping: Spec, now: datetime) -> bool:
        """Whether it was looked at a moment ago, under the same mapping."""
        if not self.at or self.mapping != mapping.fingerprint():
            return False
        return now - datetime.fromisoformat(self.at) < FRESH


def fact(resource: str) -> str:
    """The name under which a side remembers a resource's description."""
    return f"schema {resource}"


def remembered(mapping: Spec, fields: Iterable[FieldInfo], now: datetime) -> str:
    """What is kept of a description, to compare the next with."""
    known = _by_path(fields)
    types = {
        name: (rule.fingerprint(), _type(info))
        for name, rule in mapping.rules.items()
        if (info := known.get((rule.path or "").casefold()))
    }
    required = sorted(i.path for i in known.values() if i.required)
    found = (now.isoformat(), types, required, mapping.fingerprint())
    return json.dumps(dict(zip(Before.__slots__, found, strict=True)))


def moved(
    mapping: Spec,
    entity: Entity,
    fields: Sequence[FieldInfo],
    writes: Collection[str],
    before: Before,
    *,
    creates: bool,
) -> Iterator[Moved]:
    """What of a mapping does not hold any more.

    Args:
        mapping: of one resource.
        entity: whose words it speaks.
        fields: all that the vendor describes.
        writes: the fields that the job writes there.
        before: the description that was looked at last.
        creates: whether the job makes new records there.
    """
    known = _by_path(fields)
    for name, rule in mapping.rules.items():
        yield from _parts_gone(name, rule, known)
        yield from _rows_gone(name, rule, known)
        path = rule.at
        if path is None or name not in entity.fields:
            continue
        info = known.get(path.casefold())
        if info is None:
            if _is_plain(path, known):
                yield _gone(name, path)
            continue
        if name in writes:
            yield from _unwritable(name, rule, info)
        yield from _retyped(name, rule, entity.fields[name].kind, info, before)
    for path in mapping.set_on_create if creates else ():
        if path.casefold() not in known and _is_plain(path, known):
            yield _gone("", path)
    if creates and before.mapping == mapping.fingerprint():
        yield from _required(mapping, known.values(), writes, before)


def _by_path(fields: Iterable[FieldInfo]) -> dict[str, FieldInfo]:
    """Some vendors do not heed case in names, and none has two that differ only by it."""
    return {f.path.casefold(): f for f in fields}


def _is_plain(path: str, known: Collection[str]) -> bool:
    """Whether a path names a field of the resource itself; ``Account.Name`` may read through a look-up."""
    head, dot, _ = path.casefold().partition(".")
    return not dot or any(p.startswith(f"{head}.") for p in known)


def _parts_gone(
    name: str, rule: Rule, known: Mapping[str, FieldInfo]
) -> Iterator[Moved]:
    for path in rule.parts:
        if path.casefold() not in known and _is_plain(path, known):
            yield _gone(name, path)


def _rows_gone(
    name: str, rule: Rule, known: Mapping[str, FieldInfo]
) -> Iterator[Moved]:
    """Fields of rows, where the vendor describes any: their paths are ``LIST[].FIELD``."""
    if rule.rows is None:
        return
    start = f"{rule.rows.path}[]."
    inside = {p: f for p, f in known.items() if p.startswith(start.casefold())}
    for inner in rule.rows.rules.values() if inside else ():
        path = f"{start}{inner.at}"
        if inner.at and path.casefold() not in inside and _is_plain(path, inside):
            yield _gone(name, path)


def _gone(name: str, path: str) -> Moved:
    return Moved(
        name,
        path,
        "is not there any more, or is hidden from the hub's user",
        "give it back at the vendor, or take it out of the mapping",
    )


def _unwritable(name: str, rule: Rule, info: FieldInfo) -> Iterator[Moved]:
    if info.read_only:
        yield Moved(
            name,
            info.path,
            "cannot be written, or not any more",
            "let the hub's user write it; or let this side own it, "
            f"by `fields: {{{name}: {{from: ...}}}}` in the job",
        )
    if rule.table and info.closed and info.options:
        lost = [w[0] for w in rule.table.values() if w and w[0] not in info.options]
        if lost:
            yield Moved(
                name,
                info.path,
                f"has no option {', '.join(lost)} any more, which the table writes",
                f"write another first in its list; there are: {', '.join(info.options)}",
            )


def _retyped(
    name: str, rule: Rule, kind: str, info: FieldInfo, before: Before
) -> Iterator[Moved]:
    made, was = before.types.get(name, ("", ""))
    now = _type(info)
    if made != rule.fingerprint() or now == was:
        return
    if now in {"text", kind, *_TAKES.get(kind, ())}:
        return
    yield Moved(
        name,
        info.path,
        f"was {was} and is {now} now, which is no {kind}",
        "read its rule again: it may need another via:, table: or kind:",
    )


def _required(
    mapping: Spec,
    fields: Iterable[FieldInfo],
    writes: Collection[str],
    before: Before,
) -> Iterator[Moved]:
    given = {p.casefold() for p in mapping.set_on_create}
    for name in writes:
        rule = mapping.rules.get(name)
        given |= {path.casefold() for path in rule.written} if rule else set()
    for info in fields:
        asked = info.required and info.path not in before.required
        if asked and info.path.casefold() not in given:
            yield Moved(
                "",
                info.path,
                "must be given from now on, and nothing gives it to new records",
                f"map it, or give a value: set_on_create: {{{info.path}: ...}}",
            )


def _type(info: FieldInfo) -> str:
    """The family of a vendor's type: what it is called here, else there."""
    if info.refers_to:
        return "a reference"
    found: Any = kind_of(info)
    return str(found or info.type)
