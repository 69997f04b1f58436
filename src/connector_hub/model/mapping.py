"""How a vendor's resource and an entity are two views of one thing: a spoke.

A mapping is data; ``compile_mapping`` turns it into a ``Spoke`` with one generated function a direction.
The source of those functions comes from the checked tables in this file, never from user text.

Absent, null and value are kept apart: an absent field is not in the view, a null one is None.
What a rule cannot read is absent, too, and reported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from collections.abc import Mapping as Map
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import lru_cache
from types import CodeType
from typing import Any

from msgspec import Struct, structs

from connector_hub.model.entity import KINDS, Entity, FieldSpec
from connector_hub.model.record import (
    EMPTY,
    LinkPatch,
    Ref,
    RowPatch,
    RowsPatch,
    Want,
)
from connector_hub.model.rows import Listed, Row, arranged
from connector_hub.model.transforms import Transform, Transforms, Unreadable, same


class Absent:
    """The vendor said nothing about a field. There is one of it: compare with ``is``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()
BETWEEN = " / "
"""Stands between the vendor's words of several parts that are one value."""


@dataclass(frozen=True, slots=True)
class LinkRule:
    """Where a link is kept: in a field (``path``) or as an association of the vendor's.

    One field may hold ids of several resources: ``type`` is the path of the vendor's word for which,
    ``is_`` lists the words under which the id is this link's, the first of which is written where the
    vendor takes the type along with the id (``write_type``).
    """

    path: str | None = None
    association: str | None = None
    label: str | None = None
    type: str | None = None
    is_: tuple[str, ...] = ()
    write_type: bool = False


@dataclass(frozen=True, slots=True)
class Lookup:
    """The vendor keeps the id of a row of ``resource``; the hub's word is what that row has at ``by``."""

    resource: str
    by: str


@dataclass(frozen=True, slots=True)
class RowsRule:
    """A list within the vendor's record: where it is, and the rules of each row, with paths inside the row.

    ``id`` is the path of the row's own id.
    """

    path: str
    rules: Map[str, Rule]
    id: str = "id"


Rows = Map[str, Any]
"""What a looked-up resource holds at ``Lookup.by``, by record id."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field of the entity is kept at the vendor.

    ``when`` names the words other fields must have: outside of it the field is absent, both ways.
    """

    field: str
    path: str | None = None
    via: tuple[str, ...] = ()
    table: Map[str, tuple[str, ...]] | None = None
    other: str = "leave"
    order: tuple[str, ...] = ()
    link: LinkRule | None = None
    also: tuple[str, ...] = ()
    default: Any = None
    bad: str = "leave"
    one_way: bool = False
    when: Map[str, tuple[str, ...]] | None = None
    lookup: Lookup | None = None
    parts: tuple[str, ...] = ()
    """Several paths that are one value: each side of ``BETWEEN`` in a vendor's word of ``table``."""
    rows: RowsRule | None = None

    @property
    def at(self) -> str | None:
        """The path of the one place that holds the value; None for several and for associations."""
        if self.rows:
            return self.rows.path
        return self.path or (self.link.path if self.link else None)

    @property
    def written(self) -> tuple[str, ...]:
        """Every path that a write of the field names."""
        kind = (self.link.type,) if self.link and self.link.write_type else ()
        return tuple(p for p in (self.at, *kind, *self.parts) if p)

    def fingerprint(self) -> str:
        """Changes whenever what the rule reads or writes does."""
        made = (self.path, self.via, _listed(self.table), self.other, self.link)
        more = (self.default, _listed(self.when), self.lookup, self.parts)
        rows = self.rows and (self.rows.path, self.rows.id, *_prints(self.rows.rules))
        return _print((*made, *more, rows))

    def whole_fingerprint(self) -> str:
        """Changes whenever anything about the rule does."""
        return _print(
            (self.fingerprint(), self.also, self.order, self.bad, self.one_way)
        )


def _listed(words: Map[str, tuple[str, ...]] | None) -> list[Any]:
    return sorted((k, list(v)) for k, v in (words or {}).items())


def _prints(rules: Map[str, Rule]) -> Iterable[tuple[str, str]]:
    """The rules of rows, in their order: that is the order of the values that are remembered."""
    return ((n, r.whole_fingerprint()) for n, r in rules.items())


def _print(what: Any) -> str:
    return hashlib.blake2b(repr(what).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class MappingTest:
    """A vendor's row and what it must look like in the hub's words."""

    vendor: Map[str, Any]
    hub: Map[str, Any]
    region: str | None = None
    zone: str | None = None
    """Where the connection is, for rules that leave it open."""


@dataclass(frozen=True, slots=True)
class Mapping:
    """The rules between one resource of a connector and one entity."""

    entity: str
    connector: str
    resource: str
    rules: Map[str, Rule]
    set_on_create: Map[str, Any] = field(default_factory=dict)
    tests: tuple[MappingTest, ...] = ()

    def fingerprint(self) -> str:
        """Changes whenever a rule does."""
        rules = [(n, r.whole_fingerprint()) for n, r in sorted(self.rules.items())]
        return _print(rules + sorted(self.set_on_create.items()))


def every_rule(mapping: Mapping) -> Iterable[Rule]:
    """All rules, those of rows among them."""
    for rule in mapping.rules.values():
        yield rule
        yield from rule.rows.rules.values() if rule.rows else ()


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a mapping; ``where`` is the path of keys inside its file."""

    where: tuple[str | int, ...]
    message: str
    hint: str = ""
    code: str = "mapping"


def check(mapping: Mapping, entity: Entity, transforms: Transforms) -> list[Problem]:
    """Every mistake that can be seen without asking the vendor."""
    found: list[Problem] = []
    for name, rule in mapping.rules.items():
        spec = entity.fields.get(name)
        if spec is None:
            near = get_close_matches(name, entity.fields)
            found.append(
                Problem(
                    ("fields", name),
                    f"entity {entity.name} has no field {name!r}",
                    f"did you mean {near[0]!r}?"
                    if near
                    else f"its fields: {', '.join(entity.fields)}",
                )
            )
            continue
        found += _check_rule(rule, spec, transforms)
        found += _check_rows(rule, spec, mapping, transforms)
        found += _check_company(rule, mapping, entity, transforms)
    return [*found, *_check_paths(mapping)]


def _check_company(
    rule: Rule, mapping: Mapping, entity: Entity, transforms: Transforms
) -> Iterable[Problem]:
    """What a rule says about other fields of the record."""
    at: tuple[str | int, ...] = ("fields", rule.field)
    for i, spelled in enumerate(rule.via):
        name = _by(transforms, spelled)
        if name is not None:
            yield from _check_other(rule, name, mapping, (*at, "via", i), transforms)
    for name in rule.when or ():
        yield from _check_other(rule, name, mapping, (*at, "when", name), transforms)
        words = entity.fields[name].of if name in entity.fields else ()
        for word in (rule.when or {})[name]:
            if words and word not in words:
                yield Problem(
                    (*at, "when", name),
                    f"{word!r} is not a word of {name!r}",
                    f"its words: {', '.join(words)}",
                )
    if rule.when and rule.link:
        yield Problem((*at, "when"), "a link cannot have a condition")
    if rule.when and any(rule.field in names for names in entity.identity):
        yield Problem(
            (*at, "when"),
            f"{rule.field!r} tells that two records are one thing: it cannot have a condition",
        )


def _check_other(
    rule: Rule,
    name: str,
    mapping: Mapping,
    at: tuple[str | int, ...],
    transforms: Transforms,
) -> Iterable[Problem]:
    """A field that another one depends on is read first, and depends on none."""
    other = mapping.rules.get(name)
    if other is None:
        near = get_close_matches(name, mapping.rules)
        yield Problem(
            at,
            f"{rule.field!r} depends on {name!r}, which has no rule here",
            f"did you mean {near[0]!r}?" if near else "give it a rule",
        )
    elif other.link or other.when or any(_by(transforms, v) for v in other.via):
        yield Problem(
            at, f"{rule.field!r} cannot depend on {name!r}, which depends on others"
        )


def _by(transforms: Transforms, spelled: str) -> str | None:
    """The field a transform needs besides its own; None where it is misspelled, which is told elsewhere."""
    try:
        return transforms.make(spelled).by
    except (KeyError, ValueError):
        return None


def _check_paths(mapping: Mapping) -> Iterable[Problem]:
    """Two fields that are written to one place would overwrite each other, but for links that share it."""
    written: dict[str, list[Rule]] = {}
    for name, rule in mapping.rules.items():
        for path in rule.written if not rule.one_way else ():
            others = written.setdefault(path, [])
            lone = next((r for r in others if not _share(rule, r)), None)
            if lone is not None:
                yield Problem(
                    ("fields", name),
                    f"{name!r} and {lone.field!r} are both written to {path}",
                    "let one of them only be read: one_way: true",
                )
            elif path == rule.at and (alike := [r for r in others if _alike(rule, r)]):
                yield Problem(
                    ("fields", name, "link"),
                    f"{name!r} and {alike[0].field!r} are both of one type",
                    "give each its own words: is: [...]",
                )
            others.append(rule)


def _share(a: Rule, b: Rule) -> bool:
    """Whether two links are kept in one reference, which holds one record of either kind."""
    if a.link is None or b.link is None or a.link.path is None:
        return False
    return (a.link.path, a.link.type) == (b.link.path, b.link.type)


def _alike(a: Rule, b: Rule) -> bool:
    return bool(a.link and b.link and {*a.link.is_} & {*b.link.is_})


def _check_rule(
    rule: Rule, spec: FieldSpec, transforms: Transforms
) -> Iterable[Problem]:
    at: tuple[str | int, ...] = ("fields", rule.field)
    kinds = (rule.path is not None, rule.link, rule.parts, rule.rows)
    if sum(map(bool, kinds)) != 1:
        yield Problem(at, "a rule has one of path, link, parts and rows")
    if (rule.rows is not None) != (spec.kind == "rows"):
        yield Problem(
            at,
            f"field {rule.field!r} is of kind {spec.kind}: rows go with kind rows only",
        )
    if (rule.link is not None) != (spec.kind == "link"):
        yield Problem(
            at,
            f"field {rule.field!r} is of kind {spec.kind}: a link goes with kind link only",
        )
    if rule.link and (rule.link.path is None) == (rule.link.association is None):
        yield Problem((*at, "link"), "a link has either a path or an association")
    yield from _check_type(rule, (*at, "link"))
    mistakes = [
        p
        for i, spelled in enumerate(rule.via)
        for p in _check_via(spelled, (*at, "via", i), transforms)
    ]
    yield from mistakes or _check_filler(rule, (*at, "via"), transforms)
    if rule.bad not in {"leave", "reject"}:
        yield Problem((*at, "bad"), "bad is leave or reject")
    if rule.lookup and (rule.table is not None or rule.link):
        yield Problem((*at, "lookup"), "a lookup goes with neither a table nor a link")
    if any(v.startswith("day_in") for v in rule.via) and spec.kind != "date":
        yield Problem((*at, "via"), f"day_in cannot give a {spec.kind}", "kind: date")
    yield from _check_table(rule, spec, at)
    yield from _check_parts(rule, at)
    if rule.default is not None and not mistakes:
        yield from _check_default(rule, spec, (*at, "default"), transforms)


def _check_type(rule: Rule, at: tuple[str | int, ...]) -> Iterable[Problem]:
    """A reference to records of several resources says which one it is to."""
    link = rule.link
    if link is None:
        return
    if bool(link.type) != bool(link.is_):
        yield Problem(
            at,
            "type and is go together",
            "write {path: WhatId, type: What.Type, is: Account}",
        )
    if link.type and link.path is None:
        yield Problem(at, "a type goes with a path")
    if link.write_type and not link.type:
        yield Problem(at, "write_type goes with a type")


def _check_rows(
    rule: Rule, spec: FieldSpec, mapping: Mapping, transforms: Transforms
) -> Iterable[Problem]:
    """The rules of a row are rules like others, but for what needs a record of its own."""
    if rule.rows is None or spec.kind != "rows":
        return
    at = ("fields", rule.field, "rows")
    inner = replace(mapping, rules=rule.rows.rules, set_on_create={}, tests=())
    for p in check(inner, Entity(f"{rule.field} row", dict(spec.fields)), transforms):
        yield Problem((*at, *p.where), p.message, p.hint, p.code)
    for name in spec.key:
        if name not in rule.rows.rules:
            yield Problem(
                (*at, "fields"),
                f"rows are told apart by {name!r}, which has no rule here",
                "give it a rule",
            )
    for name, r in rule.rows.rules.items():
        kept = r.link and r.link.association
        named = {"also": r.also, "when": r.when, "default": r.default, "rows": r.rows}
        wrong = [key for key, given in named.items() if given]
        if kept or wrong:
            what = "link: {association: ...}" if kept else f"{wrong[0]}:"
            yield Problem((*at, "fields", name), f"within rows there is no {what}")
    if rule.via or rule.table or rule.lookup or rule.also or rule.default or rule.when:
        yield Problem(at, "rows have rules of their own, and nothing beside")


def _check_parts(rule: Rule, at: tuple[str | int, ...]) -> Iterable[Problem]:
    """Several paths are one value by a table, each word of which names all of them."""
    n = len(rule.parts)
    if not n:
        return
    if n == 1:
        yield Problem((*at, "parts"), "one part is a path", "write path: ...")
    if len({*rule.parts}) < n:
        yield Problem((*at, "parts"), "a part stands there twice")
    if rule.table is None:
        yield Problem((*at, "parts"), "parts need a table of what they are together")
    if rule.via or rule.lookup or rule.also:
        yield Problem((*at, "parts"), "parts go with a table only")
    for word, vendor in (rule.table or {}).items():
        if any(len(v.split(BETWEEN)) != n for v in vendor):
            yield Problem(
                (*at, "table", word),
                f"{word!r} must list {n} words of the vendor's, one for each part",
                f"write {word}: [[{', '.join('...' for _ in rule.parts)}]]",
            )


def _check_default(
    rule: Rule, spec: FieldSpec, at: tuple[str | int, ...], transforms: Transforms
) -> Iterable[Problem]:
    """What a default writes must be read as that default again."""
    if rule.link or rule.lookup:
        yield Problem(at, "a link or a lookup has no default")
        return
    if rule.one_way:
        yield Problem(at, "a field that is never written needs no default")
        return
    made = [transforms.make(v) for v in rule.via]
    try:
        value = _default(rule, spec, made)
    except Unreadable:
        yield Problem(at, f"{rule.default!r} is not a {spec.kind} of this field")
        return
    if any(t.put is not None and t.put(None) is not None for t in made):
        yield Problem(at, "a blank has two stand-ins: default and filler")
    elif value is None or value in {"", ()}:
        yield Problem(at, "a default that is blank fills nothing")


def _default(rule: Rule, spec: FieldSpec, made: Sequence[Transform]) -> Any:
    """A rule's default as a value of its field.

    Raises:
        Unreadable: it is none.
    """
    if rule.table is not None or spec.kind == "choice":
        words = rule.table if rule.table is not None else spec.of
        text = _as_text(rule.default)
        if text not in words:
            raise Unreadable
        return _word(spec, text)
    value: Any = _as_text(rule.default) if spec.kind != "list" else rule.default
    for t in made:
        # The default is in the hub's words already: only what any reading does applies to it.
        if t.put is same and t.by is None:
            value = t.get(value) if value is not None else None
    parse = _PARSE.get(spec.kind)
    return parse(value) if parse and value is not None else value


def _check_filler(
    rule: Rule, at: tuple[str | int, ...], transforms: Transforms
) -> Iterable[Problem]:
    """A stand-in must be known again behind the other transforms, or it travels as a value."""
    made = [transforms.make(v) for v in rule.via]
    value: Any = None
    for t in reversed(made):
        value = t.put(value) if t.put else value
    if value is None:
        return
    for t in made:
        value = t.get(value) if value is not None else None
    if value is not None:
        yield Problem(
            at,
            "the stand-in for a blank is not read as a blank again",
            "put filler first",
        )


def _check_via(
    spelled: str, at: tuple[str | int, ...], transforms: Transforms
) -> Iterable[Problem]:
    try:
        transforms.make(spelled)
    except KeyError:
        near = get_close_matches(spelled.partition("(")[0], transforms)
        yield Problem(
            at,
            f"no transform is called {spelled!r}",
            f"did you mean {near[0]!r}?"
            if near
            else f"there are: {', '.join(sorted(transforms))}",
        )
    except ValueError as e:
        yield Problem(at, f"transform {spelled!r}: {e}")


def _check_table(  # noqa: C901
    rule: Rule, spec: FieldSpec, at: tuple[str | int, ...]
) -> Iterable[Problem]:
    if rule.table is None:
        if rule.order:
            yield Problem((*at, "order"), "order goes with a table")
        return
    if spec.kind not in {"choice", "text", "boolean"}:
        yield Problem((*at, "table"), f"a table cannot give a {spec.kind}")
    words = set(spec.of) if spec.kind == "choice" else set(rule.table)
    seen: dict[str, str] = {}
    for word, vendor in rule.table.items():
        if word not in words:
            near = get_close_matches(word, words)
            yield Problem(
                (*at, "table", word),
                f"{word!r} is not a word of {rule.field!r}",
                f"did you mean {near[0]!r}?"
                if near
                else f"its words: {', '.join(spec.of)}",
            )
        for v in vendor:
            if v in seen:
                yield Problem(
                    (*at, "table", word),
                    f"{v!r} stands for both {seen[v]!r} and {word!r}",
                )
            seen[v] = word
    if rule.other not in {"leave", "reject"} | words:
        yield Problem(
            (*at, "other"), "other is leave, reject or one of the field's words"
        )
    for word in rule.order:
        if word not in rule.table:
            yield Problem((*at, "order"), f"{word!r} is not in the table")


@dataclass(frozen=True, slots=True)
class Bad:
    """A value a rule could not read. ``reject`` holds the whole record back."""

    field: str
    value: Any
    reject: bool = False

    def __repr__(self) -> str:
        return f"Bad({self.field!r})"


class Patch(Struct, frozen=True, gc=False):
    """What to write: hub-typed values by path, and links by association."""

    fields: Map[str, Any]
    links: Map[str, LinkPatch]

    def __repr__(self) -> str:
        return f"Patch({[*self.fields]}, links={[*self.links]})"


Raws = tuple[Any, ...]
"""The vendor's own values of the mapped fields, in the order of ``Spoke.kept``."""

Condition = Map[str, frozenset[str]]
"""Words that other fields must have."""


@dataclass(frozen=True, slots=True)
class Spoke:
    """A compiled mapping.

    ``raws(row, links)`` picks the vendor's values, ``view(raws)`` reads them into the hub's words
    and tells what it could not read, ``put(view)`` says what to write for the fields given.
    ``raws`` are in the order of ``kept``: the fields of ``names``, then what else counts for identity,
    under names that no field has. ``prints`` changes with the rules, in the same order.
    """

    mapping: Mapping
    entity: Entity
    names: tuple[str, ...]
    kept: tuple[str, ...]
    prints: tuple[str, ...]
    writable: frozenset[str]
    associations: tuple[tuple[str, str, LinkRule], ...]
    """Link fields that are kept as associations: (field, association, rule)."""
    want: Want
    raws: Callable[[Map[str, Any], Map[str, Sequence[Ref]]], Raws]
    view: Callable[[Raws], tuple[dict[str, Any], list[Bad]]]
    put: Callable[[Map[str, Any]], Map[str, Any]]
    identity: Callable[[Raws], Map[str, Any]]
    """Like ``view``, of the fields that identity is made of only."""
    identifying: frozenset[str]
    """Those fields, and the ones they are read by."""
    whole: Callable[[Raws], tuple[dict[str, Any], list[Bad]]]
    """Like ``view``, fields outside their conditions among them."""
    also: Callable[[Raws, Map[str, Any]], Map[str, tuple[Any, ...]]] | None = None
    """Further values by field that count for identity, of raws and view; None where no rule has any."""
    conditions: Map[str, Condition] = field(default_factory=dict)
    """Fields that are there only where others have certain words."""
    defaults: Map[str, Any] = field(default_factory=dict)
    """What is written where the hub's value is blank."""
    known: Map[str, Map[Any, str]] = field(default_factory=dict)
    """The words of looked-up fields that can be written; no other can, nor can a blank."""
    parts: Map[str, Spoke] = field(default_factory=dict)
    """The spokes of several resources that this one unites."""
    rows: Map[str, RowsSpoke] = field(default_factory=dict)
    """How lists within the record are read and written, by field."""
    shared: Map[str, tuple[str, ...]] = field(default_factory=dict)
    """Link fields that are kept in one reference with others: all of them, the first to be said first."""

    def of(self, raws: Raws) -> Spoke:
        """The spoke of the resource a record is in."""
        return self.parts[raws[0]] if self.parts else self

    def outside(self, view: Map[str, Any]) -> set[str]:
        """Fields outside their conditions, for a record that says this."""
        return {n for n, c in self.conditions.items() if not holds(c, view)}

    def filled(self, view: Map[str, Any]) -> dict[str, Any]:
        """What a record says after these fields were written: defaults stand where blanks were."""
        blanks = {
            n: d for n, d in self.defaults.items() if n in view and blank(view[n])
        }
        return {**view, **blanks}

    def can_say(self, name: str, value: Any) -> bool:
        """Whether a value can be written here."""
        return name not in self.known or value in self.known[name]

    def beside(self, names: Iterable[str]) -> set[str]:
        """Fields that are written along with these, for they are kept in one place."""
        return {m for n in names for m in self.shared.get(n, ())}

    def patch(self, view: Map[str, Any], was: Map[str, Any] = EMPTY) -> Patch:
        """What to write so that the record shows ``view``; links replace those of ``was``."""
        links: dict[str, LinkPatch] = {}
        for name, association, link in self.associations:
            if name in view:
                _add(links, association, _relink(link, view[name], was.get(name)))
        return Patch(self.put(view), links)

    def put_back(self, names: Container[str], raws: Raws, now: Raws) -> Patch:
        """What to write so that a record that holds ``now`` holds the vendor's own values ``raws`` again."""
        fields: dict[str, Any] = {}
        links: dict[str, LinkPatch] = {}
        for name, raw, held in zip(self.names, raws, now, strict=True):
            rule = self.mapping.rules[name]
            if name not in names:
                continue
            if rule.link and rule.link.association:
                patch = _relink(rule.link, ref(raw), ref(held))
                _add(links, rule.link.association, patch)
            elif rule.parts:
                fields |= _apart(rule.parts, raw)
            elif name in self.rows:
                fields[rule.at or ""] = self.rows[name].put_back(raw, held)
            elif not self._is_others(name, raw, now):
                fields |= _referring(rule, raw)
        return Patch(fields, links)

    def _is_others(self, name: str, raw: Any, now: Raws) -> bool:
        """Whether putting a blank back would wipe what another field of the same reference holds."""
        held = dict(zip(self.names, now, strict=True))
        others = (held[n] for n in self.shared.get(name, ()) if n != name)
        return (
            not _filled(raw) and not _filled(held[name]) and any(map(_filled, others))
        )


@dataclass(frozen=True, slots=True)
class RowsSpoke:
    """The compiled rules of a list within a record.

    ``inner`` is the spoke of one row. A list's raw value is ``[[id, *raws of inner], ...]`` in the order of
    ids, None where there is no row; what is no list of rows with ids stays as it is told, and is unreadable.
    """

    rule: RowsRule
    key: tuple[str, ...]
    inner: Spoke

    def raw(self, found: Any) -> Any:
        """The mapped part of a list."""
        if not _filled(found):
            return found
        if not isinstance(found, list) or not all(isinstance(r, dict) for r in found):
            return found
        rows = [[_as_id(_walk(r, self.rule.id)), *self._values(r)] for r in found]
        if any(r[0] is None for r in rows):
            return found
        return sorted(rows, key=lambda r: (len(r[0]), r[0])) or None

    def _values(self, row: Map[str, Any]) -> Iterable[Any]:
        return (None if v is ABSENT else v for v in self.inner.raws(row, EMPTY))

    def view(self, raw: Any, bads: list[Bad]) -> tuple[Row, ...]:
        """The rows in the hub's words; what of them cannot be read is told as of the list.

        Raises:
            Unreadable: it is no list of rows.
        """
        if not self.reads(raw):
            raise Unreadable
        found = []
        for record, *values in raw:
            fields, bad = self.inner.view(tuple(values))
            bads += [Bad(self.field, b.value, b.reject) for b in bad]
            found.append(Row(record, fields, tuple(values)))
        return arranged(found, self.key)

    @property
    def field(self) -> str:
        """The field whose rows these are."""
        return self.inner.mapping.entity

    @staticmethod
    def reads(raw: Any) -> bool:
        """Whether a raw value is one of rows."""
        return isinstance(raw, list) and all(isinstance(r, list) for r in raw)

    def ids(self, raw: Any) -> list[str]:
        """The ids of all rows of a raw value, of those that could not be read, too."""
        return [r[0] for r in raw] if self.reads(raw) else []

    def put(self, listed: Listed) -> RowsPatch:
        """Rows in the hub's words as they are written; of a new one without what is blank."""
        rows = [RowPatch(i) for i in listed.aside]
        for row in listed.rows:
            told = {n: row.fields[n] for n in row.names if n in row.fields}
            fields = self.inner.put(told)
            if not row.id:
                fields = {p: v for p, v in fields.items() if not blank(v)}
            rows.append(RowPatch(row.id or None, fields))
        return RowsPatch(tuple(rows), listed.removed)

    def put_back(self, raw: Any, held: Any) -> RowsPatch:
        """What to write so that a list that holds ``held`` holds the vendor's own rows ``raw`` again."""
        was = {r[0]: tuple(r[1:]) for r in raw} if self.reads(raw) else {}
        now = {r[0]: tuple(r[1:]) for r in held} if self.reads(held) else {}
        rows = []
        for record, values in was.items():
            there = now.get(record, (None,) * len(values))
            pairs = zip(self.inner.names, values, there, strict=True)
            names = {n for n, a, b in pairs if a != b} & self.inner.writable
            patch = self.inner.put_back(names, values, there).fields
            rows.append(RowPatch(record if record in now else None, patch))
        return RowsPatch(tuple(rows), tuple(i for i in now if i not in was))


def _walk(row: Any, path: str) -> Any:
    for step in path.split("."):
        row = row.get(step) if isinstance(row, dict) else None
    return row


def _as_id(raw: Any) -> str | None:
    return str(raw) if isinstance(raw, str | int) and raw != "" else None


def _filled(raw: Any) -> bool:
    return raw is not None and raw is not ABSENT and raw != ""


def _apart(paths: Sequence[str], word: Any) -> dict[str, Any]:
    """One word of the vendor's for several paths, or a blank for each."""
    words = word.split(BETWEEN) if _filled(word) else [None] * len(paths)
    return dict(zip(paths, (w or None for w in words), strict=True))


def _referring(rule: Rule, value: Any) -> dict[str, Any]:
    """A value by its path; of a reference that says it, with its type."""
    found = {rule.at or "": value}
    if rule.link and rule.link.write_type and rule.link.type:
        found[rule.link.type] = rule.link.is_[0] if _filled(value) else None
    return found


def ref(raw: Any) -> Ref | None:
    """The record that a link field's own value points to; None where it points to none."""
    return None if raw is None or raw is ABSENT or raw == "" else _ref(raw)


def holds(condition: Condition, view: Map[str, Any]) -> bool:
    """Whether a record says what a condition asks for."""
    return all(_said(view.get(n)) in words for n, words in condition.items())


def _said(value: Any) -> str | None:
    if value is None or value is ABSENT:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def blank(value: Any) -> bool:
    """Whether a value in the hub's words says *empty*."""
    return value is None or value == ()


def _add(links: dict[str, LinkPatch], association: str, patch: LinkPatch) -> None:
    """Several fields may be kept as labels of one association."""
    held = links.get(association, LinkPatch())
    links[association] = LinkPatch(held.add + patch.add, held.remove + patch.remove)


def _relink(rule: LinkRule, new: Ref | None, old: Ref | None) -> LinkPatch:
    if new == old:
        return LinkPatch()
    add = (structs.replace(new, label=rule.label),) if new else ()
    return LinkPatch(add, (structs.replace(old, label=rule.label),) if old else ())


def compile_mapping(
    mapping: Mapping,
    entity: Entity,
    transforms: Transforms,
    *,
    leave_out: Iterable[str] = (),
    tables: Map[Lookup, Rows] | None = None,
) -> Spoke:
    """A spoke over the mapping's rules, except those of ``leave_out``.

    ``tables`` holds what looked-up resources say; where one is missing, its ids stand for themselves.

    Raises:
        KeyError, ValueError: the mapping was not checked.
    """
    left = set(leave_out)
    left |= {
        n for n, spec in entity.fields.items() for k in spec.key if f"{n}.{k}" in left
    }
    rules = [r for n, r in mapping.rules.items() if n not in left]
    rows = {
        r.field: _compile_rows(
            r.rows, entity.fields[r.field], mapping, transforms, left, tables
        )
        for r in rules
        if r.rows
    }
    names = tuple(r.field for r in rules)
    made = {r.field: [transforms.make(v) for v in r.via] for r in rules}
    looked = {
        r.field: _words_of(tables[r.lookup], made[r.field])
        for r in rules
        if r.lookup and tables and r.lookup in tables
    }
    writable = frozenset(
        r.field
        for r in rules
        if not r.one_way and all(t.put is not None for t in made[r.field])
    )
    paths = {p for r in rules for p in paths_of(r)}
    assocs = tuple(
        (r.field, r.link.association, r.link)
        for r in rules
        if r.link and r.link.association
    )
    more = [(r, i, path) for r in rules for i, path in enumerate(r.also)]
    whole = _compile_view(rules, entity, made, looked, rows=rows)
    shared = _sharing(r for r in rules if r.field in writable)
    conditions = {
        r.field: {n: frozenset(w) for n, w in r.when.items()} for r in rules if r.when
    }
    return Spoke(
        mapping=mapping,
        entity=entity,
        names=names,
        kept=(*names, *(f"{r.field}+{i}" for r, i, _ in more)),
        prints=(
            *(
                _print((r.fingerprint(), *_kinds(entity.fields[r.field])))
                for r in rules
            ),
            *(_print(path) for *_, path in more),
        ),
        writable=writable,
        associations=assocs,
        want=Want(
            frozenset(paths),
            frozenset(a for _, a, _ in assocs),
            {
                k.rule.path: frozenset({k.rule.id, *k.inner.want.fields})
                for k in rows.values()
            },
        ),
        raws=_compile_raws(rules, rows),
        view=_inside(whole, conditions) if conditions else whole,
        put=_compile_put(rules, entity, made, writable, looked, rows),
        identity=_compile_identity(rules, entity, made),
        identifying=_identifying(entity, made),
        whole=whole,
        also=_compile_also(rules, made, len(rules)) if more else None,
        conditions=conditions,
        defaults={
            r.field: _default(r, entity.fields[r.field], made[r.field])
            for r in rules
            if r.default is not None
        },
        known={n: _ids_of(words) for n, words in looked.items()},
        rows=rows,
        shared=shared,
    )


def _kinds(spec: FieldSpec) -> Iterable[Any]:
    yield spec.kind
    if spec.kind == "rows":
        yield spec.key
        yield [(n, f.kind) for n, f in sorted(spec.fields.items())]


def _compile_rows(  # noqa: PLR0917 - the rules, and all they are compiled with
    rule: RowsRule,
    spec: FieldSpec,
    mapping: Mapping,
    transforms: Transforms,
    left: Container[str],
    tables: Map[Lookup, Rows] | None,
) -> RowsSpoke:
    """The spoke of one row, as if it were a record."""
    inner = Mapping(spec.name, mapping.connector, mapping.resource, rule.rules)
    entity = Entity(spec.name, dict(spec.fields))
    out = [n for n in rule.rules if f"{spec.name}.{n}" in left]
    spoke = compile_mapping(inner, entity, transforms, leave_out=out, tables=tables)
    return RowsSpoke(rule, spec.key, spoke)


def _sharing(rules: Iterable[Rule]) -> dict[str, tuple[str, ...]]:
    """The link fields that are kept in one reference, under the name of each."""
    at: dict[str, list[str]] = {}
    for rule in rules:
        if rule.link and rule.link.path:
            at.setdefault(rule.link.path, []).append(rule.field)
    return {n: tuple(names) for names in at.values() if len(names) > 1 for n in names}


def paths_of(rule: Rule) -> Iterable[str]:
    """Every path of the record itself that a rule reads."""
    if rule.at and not rule.rows:
        yield rule.at
    if rule.link and rule.link.type:
        yield rule.link.type
    yield from rule.parts
    yield from rule.also


def _words_of(rows: Rows, made: Sequence[Transform]) -> dict[str, Any]:
    """The hub's word for each id of a looked-up resource."""
    found = {}
    for record, value in rows.items():
        word: Any = value if isinstance(value, str) and value else None
        try:
            for t in made:
                word = t.get(word) if word is not None else None
        except Unreadable:
            continue
        if word is not None and word != "":
            found[record] = word
    return found


def _ids_of(words: Map[str, Any]) -> dict[Any, str]:
    """The id of each word that one row alone has."""
    found: dict[Any, str] = {}
    twice = set()
    for record, word in words.items():
        if word in found:
            twice.add(word)
        found[word] = record
    return {w: i for w, i in found.items() if w not in twice}


def _inside(
    whole: Callable[[Raws], tuple[dict[str, Any], list[Bad]]],
    conditions: Map[str, Condition],
) -> Callable[[Raws], tuple[dict[str, Any], list[Bad]]]:
    """A view without the fields that are outside their conditions."""

    def view(raws: Raws) -> tuple[dict[str, Any], list[Bad]]:
        found, bads = whole(raws)
        out = {n for n, c in conditions.items() if not holds(c, found)}
        if out:
            found = {n: v for n, v in found.items() if n not in out}
            bads = [b for b in bads if b.field not in out]
        return found, bads

    return view


class _Source:
    """Python source under construction, with the objects its names stand for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}

    def bind(self, value: Any) -> str:
        name = f"k{len(self.names)}"
        self.names[name] = value
        return name

    def make(self, signature: str) -> Any:
        text = f"def generated({signature}):\n" + "\n".join(
            f"    {x}" for x in self.lines
        )
        space = dict(self.names)
        exec(_code(text), space)  # noqa: S102 - from this file's tables only
        return space["generated"]


@lru_cache(maxsize=256)
def _code(text: str) -> CodeType:
    """A mapping is compiled for every run; its text is the same until somebody edits it."""
    return compile(text, "<mapping>", "exec")


def _compile_raws(
    rules: Sequence[Rule], rows: Map[str, RowsSpoke]
) -> Callable[..., Raws]:
    src = _Source()
    absent = src.bind(ABSENT)
    parents: dict[tuple[str, ...], str] = {(): "row"}
    items = []
    for rule in rules:
        if rule.link and rule.link.association:
            pick = src.bind(_picker(rule.link, ABSENT))
            items.append(f"{pick}(links)")
            continue
        got = _getting(src, rule.at or "", parents, absent) if rule.at else ""
        if rule.link and rule.link.type:
            kind = _getting(src, rule.link.type, parents, absent)
            got = f"{src.bind(_typed(rule.link))}({got}, {kind})"
        elif rule.rows:
            got = f"{src.bind(rows[rule.field].raw)}({got})"
        elif rule.parts:
            each = [_getting(src, path, parents, absent) for path in rule.parts]
            got = f"{src.bind(_together)}({', '.join(each)})"
        items.append(got)
    items += [_getting(src, path, parents, absent) for r in rules for path in r.also]
    src.lines.append(f"return ({''.join(i + ', ' for i in items)})")
    made: Callable[..., Raws] = src.make("row, links")
    return made


def _getting(
    src: _Source, path: str, parents: dict[tuple[str, ...], str], absent: str
) -> str:
    """The expression of a value by its path; what leads there is fetched once for all paths."""
    *heads, leaf = path.split(".")
    for i in range(1, len(heads) + 1):
        head = tuple(heads[:i])
        if head not in parents:
            name = f"p{len(parents)}"
            outer, key = parents[head[:-1]], src.bind(head[-1])
            src.lines.append(f"{name} = {outer}.get({key})")
            src.lines.append(f"if not isinstance({name}, dict): {name} = {{}}")
            parents[head] = name
    return f"{parents[tuple(heads)]}.get({src.bind(leaf)}, {absent})"


def _typed(rule: LinkRule) -> Callable[[Any, Any], Any]:
    """The id of a reference while its type is one of the rule's words; else it refers to none of these."""
    words = frozenset(rule.is_)

    def pick(raw: Any, kind: Any) -> Any:
        if not _filled(raw) or kind in words:
            return raw
        return None if _filled(kind) else ABSENT

    return pick


def _together(*raws: Any) -> Any:
    """The vendor's words of several paths as one; a blank where all are."""
    if any(r is ABSENT for r in raws):
        return ABSENT
    if not any(map(_filled, raws)):
        return None
    try:
        return BETWEEN.join(_as_text(r) if _filled(r) else "" for r in raws)
    except Unreadable:
        return list(raws)


def _picker(rule: LinkRule, absent: Absent) -> Callable[[Map[str, Sequence[Ref]]], Any]:
    """The one link of an association as ``[resource, id]``: the labelled one, else one that has no label."""
    name, label = rule.association or "", rule.label

    def pick(links: Map[str, Sequence[Ref]]) -> Any:
        found = links.get(name)
        if found is None:
            return absent
        labelled = [r for r in found if r.label == label] if label else found
        alone = len({r.id for r in found}) == 1 and not any(r.label for r in found)
        if not labelled and alone:
            labelled = found
        if not labelled:
            return None
        first = min(labelled, key=lambda r: (len(r.id), r.id))
        return [first.resource, first.id]

    return pick


def _compile_identity(
    rules: Sequence[Rule], entity: Entity, made: Map[str, list[Transform]]
) -> Callable[[Raws], Map[str, Any]]:
    view = _compile_view(rules, entity, made, {}, _identifying(entity, made))
    return lambda raws: view(raws)[0]


def _identifying(entity: Entity, made: Map[str, list[Transform]]) -> frozenset[str]:
    """Fields that tell who a record is, and those they are read by."""
    names = {n for s in entity.identity for n in s if n in made}
    return frozenset(names | {t.by for n in names for t in made[n] if t.by})


def _compile_also(
    rules: Sequence[Rule], made: Map[str, list[Transform]], start: int
) -> Callable[[Raws, Map[str, Any]], Map[str, tuple[Any, ...]]]:
    """Reads further values for identity; their raws begin at ``start``."""
    places: list[tuple[str, int, list[Transform]]] = []
    for rule in rules:
        for _ in rule.also:
            places.append((rule.field, start, made[rule.field]))
            start += 1

    def also(raws: Raws, view: Map[str, Any]) -> Map[str, tuple[Any, ...]]:
        found: dict[str, tuple[Any, ...]] = {}
        for name, at, transforms in places:
            raw = raws[at]
            if raw is None or raw is ABSENT or raw == "":
                continue
            values = _further(raw, transforms, view)
            if values:
                found[name] = (*found.get(name, ()), *values)
        return found

    return also


def _further(
    raw: Any, transforms: Sequence[Transform], view: Map[str, Any]
) -> list[Any]:
    """The values of one or several, which vendors join by ``;``; what cannot be read is left out."""
    found = []
    for part in (
        raw.split(";") if isinstance(raw, str) else raw if isinstance(raw, list) else ()
    ):
        try:
            value: Any = _as_text(part)
            for t in transforms:
                if value is not None:
                    value = t.get(value, view.get(t.by)) if t.by else t.get(value)
        except Unreadable:
            continue
        if value:
            found.append(value)
    return found


def _compile_view(  # noqa: PLR0917 - the rules, and all they are compiled with
    rules: Sequence[Rule],
    entity: Entity,
    made: Map[str, list[Transform]],
    looked: Map[str, Map[str, Any]],
    only: Container[str] | None = None,
    rows: Map[str, RowsSpoke] = EMPTY,
) -> Callable[[Raws], tuple[dict[str, Any], list[Bad]]]:
    src = _Source()
    absent, unreadable, bad = src.bind(ABSENT), src.bind(Unreadable), src.bind(Bad)
    put = src.lines.append
    put("view = {}")
    put("bads = []")
    if rules:
        more = "*_ " if any(r.also for r in rules) else ""
        put("".join(f"r{i}, " for i in range(len(rules))) + more + "= raws")
    apart = {r.field for r in rules if any(t.by for t in made[r.field])}
    for i, rule in sorted(enumerate(rules), key=lambda x: x[1].field in apart):
        if only is not None and rule.field not in only:
            continue
        name = src.bind(rule.field)
        reject = "True" if rule.bad == "reject" or rule.other == "reject" else "False"
        put(f"if r{i} is None or r{i} == '':")
        put(f"    view[{name}] = {_blank(rule, entity)}")
        put(f"elif r{i} is not {absent}:")
        put("    try:")
        spec, words = entity.fields[rule.field], looked.get(rule.field)
        if rule.rows:
            put(f"        v = {src.bind(rows[rule.field].view)}(r{i}, bads)")
        else:
            for line in _reading(src, rule, spec, made[rule.field], f"r{i}", words):
                put(f"        {line}")
        blank = _blank(rule, entity)
        put(f"        view[{name}] = v if v != '' and v is not None else {blank}")
        put(f"    except {unreadable}:")
        put(f"        bads.append({bad}({name}, r{i}, {reject}))")
    put("return view, bads")
    compiled: Callable[[Raws], tuple[dict[str, Any], list[Bad]]] = src.make("raws")
    return compiled


def _blank(rule: Rule, entity: Entity) -> str:
    return "()" if entity.fields[rule.field].kind in {"list", "rows"} else "None"


def _reading(  # noqa: PLR0917 - one rule, all it is read by
    src: _Source,
    rule: Rule,
    spec: FieldSpec,
    transforms: list[Transform],
    raw: str,
    looked: Map[str, Any] | None,
) -> Iterable[str]:
    if spec.kind == "link":
        make = src.bind(_ref)
        yield f"v = {make}({raw})"
        return
    if looked is not None:
        yield f"v = {src.bind(_table_reader(looked, None))}({src.bind(_as_text)}({raw}))"
        return
    if rule.table is not None:
        words = {v: _word(spec, w) for w, vs in rule.table.items() for v in vs}
        known = rule.other not in {"leave", "reject"}
        other = _word(spec, rule.other) if known else None
        yield f"v = {raw} if {raw}.__class__ is str else {src.bind(_as_text)}({raw})"
        for t in transforms:
            yield f"v = {_step(src, t)} if v is not None else None"
        yield f"v = {src.bind(_table_reader(words, other))}(v) if v is not None else None"
        return
    if transforms or spec.kind in {"text", "email", "phone", "choice"}:
        yield f"v = {raw} if {raw}.__class__ is str else {src.bind(_as_text)}({raw})"
    else:
        yield f"v = {raw}"
    for t in transforms:
        step = t.inline.format(v="v") if t.inline else _step(src, t)
        yield (
            f"v = {step} if v is not None else None"
            if t is not transforms[0]
            else f"v = {step}"
        )
    parse = _PARSE.get(spec.kind)
    if spec.kind == "choice":
        parse = _table_reader({w: w for w in spec.of}, None)
    if parse:
        yield f"v = {src.bind(parse)}(v) if v is not None and v != '' else None"


def _step(src: _Source, t: Transform) -> str:
    """A call of ``get``; the field it needs besides has been read before."""
    more = f", view.get({src.bind(t.by)})" if t.by else ""
    return f"{src.bind(t.get)}(v{more})"


def _ref(raw: Any) -> Ref:
    match raw:
        case str():
            return Ref("", raw)
        case int() if not isinstance(raw, bool):
            return Ref("", str(raw))
        case [str() as resource, str() as record]:
            return Ref(resource, record)
    raise Unreadable


def _word(spec: FieldSpec, word: str) -> Any:
    """A table's word as a value of the field's kind."""
    return word == "true" if spec.kind == "boolean" else word


def _table_reader(words: Map[str, Any], other: Any) -> Callable[[str], Any]:
    def look(text: str) -> Any:
        word = words.get(text, other)
        if word is None:
            raise Unreadable
        return word

    return look


def _as_text(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, str | int | float | Decimal):
        return str(raw)
    raise Unreadable


def _number(raw: Any) -> Decimal:
    if isinstance(raw, bool):
        raise Unreadable
    try:
        found = Decimal(str(raw))
    except InvalidOperation:
        raise Unreadable from None
    if not found.is_finite():
        raise Unreadable
    return found


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in {"true", "false"}:
        return word == "true"
    raise Unreadable


def _date(raw: Any) -> date:
    try:
        return date.fromisoformat(str(raw))
    except ValueError:
        raise Unreadable from None


def _datetime(raw: Any) -> datetime:
    try:
        found = datetime.fromisoformat(str(raw))
        if found.tzinfo is None:
            raise Unreadable
        return found if found.tzinfo is UTC else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable from None


def _list(raw: Any) -> tuple[str, ...]:
    parts = raw.split(";") if isinstance(raw, str) else raw
    if not isinstance(parts, list | tuple):
        raise Unreadable
    return tuple(sorted({_as_text(p).strip() for p in parts} - {""}))


_PARSE: Map[str, Callable[[Any], Any]] = {
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "list": _list,
}
assert set(_PARSE) < set(KINDS)  # noqa: S101 - a kind was renamed in one place only


def _compile_put(  # noqa: PLR0917 - the rules, and all they are compiled with
    rules: Sequence[Rule],
    entity: Entity,
    made: Map[str, list[Transform]],
    writable: frozenset[str],
    looked: Map[str, Map[str, Any]],
    rows: Map[str, RowsSpoke],
) -> Callable[[Map[str, Any]], Map[str, Any]]:
    src = _Source()
    src.lines.append("out = {}")
    mine = [r for r in rules if r.field in writable and r.written]
    shared = _sharing(mine)
    for rule in mine:
        if rule.field in shared or (rule.link and rule.link.write_type):
            group = shared.get(rule.field, (rule.field,))
            if rule.field == group[0]:
                refer = src.bind(_refer([r for r in mine if r.field in group]))
                src.lines.append(f"{refer}(view, out)")
            continue
        name = src.bind(rule.field)
        src.lines.append(f"if {name} in view:")
        if rule.rows:
            written = f"{src.bind(rows[rule.field].put)}(view[{name}])"
            src.lines.append(f"    out[{src.bind(rule.at)}] = {written}")
            continue
        src.lines.append(f"    v = view[{name}]")
        spec, words = entity.fields[rule.field], looked.get(rule.field)
        lines = _writing(src, rule, spec, made[rule.field], words)
        src.lines += [f"    {line}" for line in lines]
    src.lines.append("return out")
    compiled: Callable[[Map[str, Any]], Map[str, Any]] = src.make("view")
    return compiled


def _writing(
    src: _Source,
    rule: Rule,
    spec: FieldSpec,
    transforms: list[Transform],
    looked: Map[str, Any] | None,
) -> Iterable[str]:
    """A value in the hub's words becomes what is written by its path."""
    path = src.bind(rule.at)
    if rule.link:
        yield "v = v.id if v is not None else None"
    if rule.default is not None:
        default = src.bind(_default(rule, spec, transforms))
        yield f"v = {default} if v is None or v == () else v"
    if looked is not None:
        ids = src.bind(_ids_of(looked))
        yield f"if v in {ids}: out[{path}] = {ids}[v]"
        return
    absent = src.bind(ABSENT)
    if rule.table is not None:
        first = {_word(spec, w): vs[0] for w, vs in rule.table.items() if vs}
        yield f"v = {src.bind(first)}.get(v, {absent} if v is not None else None)"
    for t in reversed(transforms):
        if t.put is not same and t.put is not None:
            known = f" if v is not {absent} else v" if rule.table else ""
            yield f"v = {src.bind(t.put)}(v){known}"
    unless = f"if v is not {absent}: " if rule.table is not None else ""
    if rule.parts:
        yield f"{unless}out.update({src.bind(_apart)}({src.bind(rule.parts)}, v))"
    else:
        yield f"{unless}out[{path}] = v"


def _refer(rules: Sequence[Rule]) -> Callable[[Map[str, Any], dict[str, Any]], None]:
    """Writes the one reference that several link fields are kept in: the first that leads somewhere."""

    def put(view: Map[str, Any], out: dict[str, Any]) -> None:
        said = [r for r in rules if r.field in view]
        if said:
            rule = next((r for r in said if view[r.field] is not None), said[0])
            to = view[rule.field]
            out.update(_referring(rule, to.id if to is not None else None))

    return put


def differs(spoke: Spoke, test: MappingTest) -> dict[str, tuple[Any, Any]]:
    """The fields of a mapping's test that come out otherwise: ``{field: (wanted, got)}``."""
    links: dict[str, list[Ref]] = {}
    view, _ = spoke.view(spoke.raws(test.vendor, links))
    plain = {n: _plain(v) for n, v in view.items()}
    return {
        name: (wanted, plain.get(name, ABSENT))
        for name, wanted in test.hub.items()
        if not _equal(wanted, plain.get(name, ABSENT))
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Ref):
        return value.id
    if isinstance(value, tuple) and value and isinstance(value[0], Row):
        return [{n: _plain(v) for n, v in row.fields.items()} for row in value]
    return value


def _same_rows(wanted: Sequence[Any], got: Sequence[Map[str, Any]]) -> bool:
    """Whether each row that is wanted is there, in whatever order, as far as it says."""
    left = list(got)
    for row in wanted:
        like = (
            r
            for r in left
            if isinstance(row, dict)
            and all(_equal(v, r.get(n)) for n, v in row.items())
        )
        found = next(like, None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(got, list) and isinstance(wanted, list):
        return _same_rows(wanted, got)
    if isinstance(got, Decimal | date | datetime) and isinstance(
        wanted, str | int | float
    ):
        return str(wanted) == (got.isoformat() if isinstance(got, date) else str(got))
    if isinstance(got, tuple) and isinstance(wanted, list):
        return tuple(sorted(wanted)) == got
    return bool(wanted == got)
