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
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from typing import Any

from msgspec import structs

from connector_hub.model.entity import KINDS, Entity, FieldSpec
from connector_hub.model.record import EMPTY, LinkPatch, Ref, Want
from connector_hub.model.transforms import Transform, Transforms, Unreadable, same


class Absent:
    """The vendor said nothing about a field. There is one of it: compare with ``is``."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()


@dataclass(frozen=True, slots=True)
class LinkRule:
    """Where a link is kept: in a field (``path``) or as an association of the vendor's."""

    path: str | None = None
    association: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field of the entity is kept at the vendor."""

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

    def fingerprint(self) -> str:
        """Changes whenever the rule does."""
        table = sorted((k, list(v)) for k, v in (self.table or {}).items())
        text = repr((self.path, self.via, table, self.other, self.link, self.default))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class MappingTest:
    """A vendor's row and what it must look like in the hub's words."""

    vendor: Map[str, Any]
    hub: Map[str, Any]


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
        text = repr(
            [(n, r.fingerprint()) for n, r in sorted(self.rules.items())]
            + sorted(self.set_on_create.items())
        )
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


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
            near = get_close_matches(name, entity.fields, 1)
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
    return [*found, *_check_paths(mapping)]


def _check_paths(mapping: Mapping) -> Iterable[Problem]:
    """Two fields that are written to one place would overwrite each other."""
    first: dict[str, str] = {}
    for name, rule in mapping.rules.items():
        path = rule.path or (rule.link.path if rule.link else None)
        if path is None or rule.one_way:
            continue
        if path in first:
            yield Problem(
                ("fields", name),
                f"{name!r} and {first[path]!r} are both written to {path}",
                "let one of them only be read: one_way: true",
            )
        first.setdefault(path, name)


def _check_rule(
    rule: Rule, spec: FieldSpec, transforms: Transforms
) -> Iterable[Problem]:
    at: tuple[str | int, ...] = ("fields", rule.field)
    if (rule.path is None) == (rule.link is None):
        yield Problem(at, "a rule has either a path or a link")
    if (rule.link is not None) != (spec.kind == "link"):
        yield Problem(
            at,
            f"field {rule.field!r} is of kind {spec.kind}: a link goes with kind link only",
        )
    if rule.link and (rule.link.path is None) == (rule.link.association is None):
        yield Problem((*at, "link"), "a link has either a path or an association")
    mistakes = [
        p
        for i, spelled in enumerate(rule.via)
        for p in _check_via(spelled, (*at, "via", i), transforms)
    ]
    yield from mistakes or _check_filler(rule, (*at, "via"), transforms)
    if rule.bad not in {"leave", "reject"}:
        yield Problem((*at, "bad"), "bad is leave or reject")
    yield from _check_table(rule, spec, at)


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
        near = get_close_matches(spelled.partition("(")[0], transforms, 1)
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
            near = get_close_matches(word, words, 1)
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


@dataclass(frozen=True, slots=True)
class Patch:
    """What to write: hub-typed values by path, and links by association."""

    fields: Map[str, Any]
    links: Map[str, LinkPatch]


Raws = tuple[Any, ...]
"""The vendor's own values of the mapped fields, in the order of ``Spoke.names``."""


@dataclass(frozen=True, slots=True)
class Spoke:
    """A compiled mapping.

    ``raws(row, links)`` picks the vendor's values, ``view(raws)`` reads them into the hub's words
    and tells what it could not read, ``put(view)`` says what to write for the fields given.
    """

    mapping: Mapping
    entity: Entity
    names: tuple[str, ...]
    prints: tuple[str, ...]
    writable: frozenset[str]
    want: Want
    raws: Callable[[Map[str, Any], Map[str, Sequence[Ref]]], Raws]
    view: Callable[[Raws], tuple[dict[str, Any], list[Bad]]]
    put: Callable[[Map[str, Any]], Map[str, Any]]
    identity: Callable[[Raws], Map[str, Any]]
    """Like ``view``, of the fields that identity is made of only."""

    def patch(self, view: Map[str, Any], was: Map[str, Any] = EMPTY) -> Patch:
        """What to write so that the record shows ``view``; links replace those of ``was``."""
        links: dict[str, LinkPatch] = {}
        for name in view:
            rule = self.mapping.rules[name]
            if rule.link and rule.link.association:
                links[rule.link.association] = _relink(
                    rule.link, view[name], was.get(name)
                )
        return Patch(self.put(view), links)


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
) -> Spoke:
    """A spoke over the mapping's rules, except those of ``leave_out``.

    Raises:
        KeyError, ValueError: the mapping was not checked.
    """
    left = set(leave_out)
    rules = [r for n, r in mapping.rules.items() if n not in left]
    names = tuple(r.field for r in rules)
    made = {r.field: [transforms.make(v) for v in r.via] for r in rules}
    writable = frozenset(
        r.field
        for r in rules
        if not r.one_way and all(t.put is not None for t in made[r.field])
    )
    paths = {p for r in rules for p in _paths(r)}
    assocs = {r.link.association for r in rules if r.link and r.link.association}
    return Spoke(
        mapping=mapping,
        entity=entity,
        names=names,
        prints=tuple(r.fingerprint() for r in rules),
        writable=writable,
        want=Want(frozenset(paths), frozenset(assocs)),
        raws=_compile_raws(rules),
        view=_compile_view(rules, entity, made),
        put=_compile_put(rules, entity, made, writable),
        identity=_compile_identity(rules, entity, made),
    )


def _paths(rule: Rule) -> Iterable[str]:
    if rule.path:
        yield rule.path
    if rule.link and rule.link.path:
        yield rule.link.path
    yield from rule.also


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
        exec(compile(text, "<mapping>", "exec"), space)  # noqa: S102 - from this file's tables only
        return space["generated"]


def _compile_raws(rules: Sequence[Rule]) -> Callable[..., Raws]:
    src = _Source()
    absent = src.bind(ABSENT)
    parents: dict[tuple[str, ...], str] = {(): "row"}
    items = []
    for rule in rules:
        if rule.link and rule.link.association:
            pick = src.bind(_picker(rule.link, ABSENT))
            items.append(f"{pick}(links)")
            continue
        path = rule.path or (rule.link.path if rule.link else None) or ""
        *heads, leaf = path.split(".")
        for i in range(1, len(heads) + 1):
            head = tuple(heads[:i])
            if head not in parents:
                name = f"p{len(parents)}"
                outer, key = parents[head[:-1]], src.bind(head[-1])
                src.lines.append(f"{name} = {outer}.get({key})")
                src.lines.append(f"if not isinstance({name}, dict): {name} = {{}}")
                parents[head] = name
        items.append(f"{parents[tuple(heads)]}.get({src.bind(leaf)}, {absent})")
    src.lines.append(f"return ({''.join(i + ', ' for i in items)})")
    made: Callable[..., Raws] = src.make("row, links")
    return made


def _picker(rule: LinkRule, absent: Absent) -> Callable[[Map[str, Sequence[Ref]]], Any]:
    """The one link of an association as ``[resource, id]``: the labelled one, else the only one."""
    name, label = rule.association or "", rule.label

    def pick(links: Map[str, Sequence[Ref]]) -> Any:
        found = links.get(name)
        if found is None:
            return absent
        labelled = [r for r in found if r.label == label] if label else found
        if not labelled and label and len({r.id for r in found}) == 1:
            labelled = found
        if not labelled:
            return None
        first = min(labelled, key=lambda r: (len(r.id), r.id))
        return [first.resource, first.id]

    return pick


def _compile_identity(
    rules: Sequence[Rule], entity: Entity, made: Map[str, list[Transform]]
) -> Callable[[Raws], Map[str, Any]]:
    names = {n for s in entity.identity for n in s}
    view = _compile_view(rules, entity, made, names)
    return lambda raws: view(raws)[0]


def _compile_view(
    rules: Sequence[Rule],
    entity: Entity,
    made: Map[str, list[Transform]],
    only: Container[str] | None = None,
) -> Callable[[Raws], tuple[dict[str, Any], list[Bad]]]:
    src = _Source()
    absent, unreadable, bad = src.bind(ABSENT), src.bind(Unreadable), src.bind(Bad)
    put = src.lines.append
    put("view = {}")
    put("bads = []")
    if rules:
        put("".join(f"r{i}, " for i in range(len(rules))) + "= raws")
    for i, rule in enumerate(rules):
        if only is not None and rule.field not in only:
            continue
        name = src.bind(rule.field)
        reject = "True" if rule.bad == "reject" or rule.other == "reject" else "False"
        put(f"if r{i} is None or r{i} == '':")
        put(f"    view[{name}] = {_blank(rule, entity)}")
        put(f"elif r{i} is not {absent}:")
        put("    try:")
        for line in _reading(
            src, rule, entity.fields[rule.field], made[rule.field], f"r{i}"
        ):
            put(f"        {line}")
        blank = _blank(rule, entity)
        put(f"        view[{name}] = v if v != '' and v is not None else {blank}")
        put(f"    except {unreadable}:")
        put(f"        bads.append({bad}({name}, r{i}, {reject}))")
    put("return view, bads")
    compiled: Callable[[Raws], tuple[dict[str, Any], list[Bad]]] = src.make("raws")
    return compiled


def _blank(rule: Rule, entity: Entity) -> str:
    return "()" if entity.fields[rule.field].kind == "list" else "None"


def _reading(
    src: _Source, rule: Rule, spec: FieldSpec, transforms: list[Transform], raw: str
) -> Iterable[str]:
    if spec.kind == "link":
        make = src.bind(_ref)
        yield f"v = {make}({raw})"
        return
    if rule.table is not None:
        words = {v: _word(spec, w) for w, vs in rule.table.items() for v in vs}
        known = rule.other not in {"leave", "reject"}
        other = _word(spec, rule.other) if known else None
        yield f"v = {src.bind(_as_text)}({raw})"
        for t in transforms:
            yield f"v = {src.bind(t.get)}(v) if v is not None else None"
        yield f"v = {src.bind(_table_reader(words, other))}(v) if v is not None else None"
        return
    if transforms or spec.kind in {"text", "email", "phone", "choice"}:
        yield f"v = {raw} if {raw}.__class__ is str else {src.bind(_as_text)}({raw})"
    else:
        yield f"v = {raw}"
    for t in transforms:
        step = t.inline.format(v="v") if t.inline else f"{src.bind(t.get)}(v)"
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
        found = Decimal(str(raw).strip())
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
        return found.astimezone(UTC)
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


def _compile_put(
    rules: Sequence[Rule],
    entity: Entity,
    made: Map[str, list[Transform]],
    writable: frozenset[str],
) -> Callable[[Map[str, Any]], Map[str, Any]]:
    src = _Source()
    absent = src.bind(ABSENT)
    src.lines.append("out = {}")
    for rule in rules:
        path = rule.path or (rule.link.path if rule.link else None)
        if rule.field not in writable or path is None:
            continue
        name = src.bind(rule.field)
        src.lines.append(f"if {name} in view:")
        src.lines.append(f"    v = view[{name}]")
        if rule.link:
            src.lines.append("    v = v.id if v is not None else None")
        if rule.default is not None:
            src.lines.append(f"    v = {src.bind(rule.default)} if v is None else v")
        if rule.table is not None:
            spec = entity.fields[rule.field]
            first = {_word(spec, w): vs[0] for w, vs in rule.table.items() if vs}
            src.lines.append(
                f"    v = {src.bind(first)}.get(v, {absent} if v is not None else None)"
            )
        for t in reversed(made[rule.field]):
            if t.put is not same and t.put is not None:
                known = f" if v is not {absent} else v" if rule.table else ""
                src.lines.append(f"    v = {src.bind(t.put)}(v){known}")
        unless = f"if v is not {absent}: " if rule.table is not None else ""
        src.lines.append(f"    {unless}out[{src.bind(path)}] = v")
    src.lines.append("return out")
    compiled: Callable[[Map[str, Any]], Map[str, Any]] = src.make("view")
    return compiled


def differs(spoke: Spoke, test: MappingTest) -> dict[str, tuple[Any, Any]]:
    """The fields of a mapping's test that come out otherwise: ``{field: (wanted, got)}``."""
    links: dict[str, list[Ref]] = {}
    view, _ = spoke.view(spoke.raws(test.vendor, links))
    plain = {n: v.id if isinstance(v, Ref) else v for n, v in view.items()}
    return {
        name: (wanted, plain.get(name, ABSENT))
        for name, wanted in test.hub.items()
        if not _equal(wanted, plain.get(name, ABSENT))
    }


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(got, Decimal | date | datetime) and isinstance(
        wanted, str | int | float
    ):
        return str(wanted) == (got.isoformat() if isinstance(got, date) else str(got))
    if isinstance(got, tuple) and isinstance(wanted, list):
        return tuple(sorted(wanted)) == got
    return bool(wanted == got)
