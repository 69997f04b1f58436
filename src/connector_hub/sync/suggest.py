"""Rules that could be: fields of two resources that look alike and that no rule reads yet.

Nothing here is decided: every suggestion says why it was made, and what records really hold.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, get_args

from connector_hub.model.entity import Entity, FieldSpec, Kind
from connector_hub.model.job import SideName
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.mapping import Rule, paths_of
from connector_hub.model.record import Record
from connector_hub.sdk.connector import FieldInfo

SAMPLE = 200
"""Records looked at on each side."""
_SHOWN = 3
_ALIKE = 0.86
_SAME_NAME, _SAME_LABEL, _LIKE_NAME, _WORDS = 4, 3, 2, 1
_WHY = {
    _SAME_NAME: "same name",
    _SAME_LABEL: "same label",
    _LIKE_NAME: "like name",
    _WORDS: "words in common",
}
_KINDS: Mapping[str, Kind] = {
    "string": "text",
    "text": "text",
    "textarea": "text",
    "url": "text",
    "combobox": "text",
    "email": "email",
    "phone": "phone",
    "phone_number": "phone",
    "enumeration": "choice",
    "picklist": "choice",
    "multipicklist": "list",
    "bool": "boolean",
    "boolean": "boolean",
    "number": "number",
    "int": "number",
    "double": "number",
    "currency": "number",
    "percent": "number",
    "date": "date",
    "datetime": "datetime",
}
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?(?:(?![A-Z])[^\W\d_])+|[A-Z]+|[0-9]+")
_NOISE = frozenset({"hs", "c", "properties"})


@dataclass(frozen=True, slots=True)
class Held:
    """What a sample of records holds in one field: how many have it, how many values, the commonest."""

    looked: int
    filled: int
    distinct: int
    samples: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class End:
    """One side of a suggestion: the vendor's field, and what records hold there."""

    info: FieldInfo
    held: Held
    mapped: bool = False
    """A rule reads it already: the other side is what lacks one."""
    unmatched: tuple[str, ...] = ()
    """Options that the other side has no like of."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A field for which rules could be written."""

    field: str
    kind: Kind
    why: str
    left: End
    right: End
    known: bool = False
    """The entity has the field."""

    def end(self, side: SideName) -> End:
        """The end of that side."""
        return self.left if side == "left" else self.right


@dataclass(frozen=True, slots=True)
class UnknownOptions:
    """A field's live options at a connection that no table knows."""

    connection: str
    field: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One side: its description, its mapping, and some of its records (empty before they are read)."""

    fields: Sequence[FieldInfo]
    mapping: Spec
    key: str | None = None
    """The field that holds the record key: no rule's business."""
    takes: bool = True
    """Whether the job writes here."""
    records: Sequence[Record] = ()

    def free(self) -> list[FieldInfo]:
        """Fields that no rule reads."""
        read = {p for r in self.mapping.rules.values() for p in paths_of(r)}
        return [
            f
            for f in self.fields
            if f.path not in read
            and kind_of(f) is not None
            and f.path.rsplit(".", 1)[-1] != self.key
        ]

    def writes(self, info: FieldInfo) -> bool:
        """Whether the job may write a field of this side."""
        return self.takes and not info.read_only


@dataclass(slots=True)
class _Pair:
    score: int
    left: FieldInfo
    right: FieldInfo
    kind: Kind
    name: str = ""
    mapped: frozenset[SideName] = field(default_factory=frozenset)


def kind_of(info: FieldInfo) -> Kind | None:
    """The kind that fits a vendor's type; None where it is a reference or something of its own."""
    if info.refers_to:
        return None
    found = _KINDS.get(info.type)
    return "text" if found == "choice" and not info.options else found


def common_kind(left: FieldInfo, right: FieldInfo) -> Kind | None:
    """The kind both fields can be; text gives way to what says more."""
    a, b = kind_of(left), kind_of(right)
    if a is None or b is None:
        return None
    if a == b:
        return a
    pair = {a, b}
    if pair == {"date", "datetime"}:
        return "date"
    if "text" in pair and pair & {"email", "phone", "number"}:
        (other,) = pair - {"text"}
        return other
    return "text" if pair == {"text", "choice"} else None


def words_of(text: str) -> tuple[str, ...]:
    """The words of a name or label, in small letters, without what vendors put around them."""
    last = text.rsplit(".", 1)[-1].removesuffix("__c")
    return tuple(w for w in (m.lower() for m in _WORD.findall(last)) if w not in _NOISE)


def suggested(entity: Entity, left: Surveyed, right: Surveyed) -> list[Suggestion]:
    """Rules that could be, the likeliest first. A field of either side is in one at the most."""
    pairs = [*_completed(entity, left, right), *_new(entity, left, right)]
    pairs.sort(key=lambda p: -p.score)
    taken: set[tuple[str, str]] = set()
    found: list[Suggestion] = []
    for p in pairs:
        ends = {("left", p.left.path), ("right", p.right.path), ("field", p.name)}
        if ends & taken or not (left.writes(p.left) or right.writes(p.right)):
            continue
        taken |= ends
        found.append(_suggestion(entity, p, left, right))
    return found


def _new(entity: Entity, left: Surveyed, right: Surveyed) -> Iterable[_Pair]:
    """Fields that neither side's rules read."""
    ruled = left.mapping.rules.keys() | right.mapping.rules.keys()
    others = right.free()
    for a in left.free():
        for b in others:
            kind = common_kind(a, b)
            score = _score(a, b) if kind else 0
            if kind and score:
                name = _name(a, b, entity)
                if name not in ruled:
                    yield _Pair(score, a, b, kind, name)


def _completed(entity: Entity, left: Surveyed, right: Surveyed) -> Iterable[_Pair]:
    """Fields of the entity that only one side has a rule for."""
    sides: dict[SideName, Surveyed] = {"left": left, "right": right}
    for side, other in (("left", right), ("right", left)):
        here = sides[side]  # type: ignore[index]
        infos = {f.path: f for f in here.fields}
        for name, rule in here.mapping.rules.items():
            info = infos.get(rule.path or "")
            if name in other.mapping.rules or info is None or rule.lookup:
                continue
            spec = entity.fields[name]
            for there in other.free():
                score = max(_score(info, there), _score(_as_info(name, info), there))
                if score and common_kind(info, there):
                    ends = (info, there) if side == "left" else (there, info)
                    yield _Pair(
                        score,
                        *ends,
                        spec.kind,
                        name,
                        frozenset({side}),  # type: ignore[arg-type]
                    )


def _as_info(name: str, info: FieldInfo) -> FieldInfo:
    return FieldInfo(name, name, info.type, options=info.options)


def _score(a: FieldInfo, b: FieldInfo) -> int:
    names = "".join(words_of(a.path)), "".join(words_of(b.path))
    labels = "".join(words_of(a.label)), "".join(words_of(b.label))
    if not all(names):
        return 0
    if names[0] == names[1]:
        return _SAME_NAME
    if all(labels) and (
        labels[0] == labels[1] or names[0] == labels[1] or labels[0] == names[1]
    ):
        return _SAME_LABEL
    if SequenceMatcher(None, *names).ratio() >= _ALIKE:
        return _LIKE_NAME
    mine, theirs = set(words_of(a.label)), set(words_of(b.label))
    return _WORDS if mine and theirs and (mine <= theirs or theirs <= mine) else 0


def _name(a: FieldInfo, b: FieldInfo, entity: Entity) -> str:
    """A name for the field: the entity's own where one is alike, else what most of the vendors' say."""
    spelled: list[tuple[str, ...]] = [
        words_of(t) for t in (a.path, b.path, a.label, b.label)
    ]
    joined = {"".join(w) for w in spelled}
    for known in entity.fields:
        if "".join(words_of(known)) in joined:
            return known
    said = Counter("".join(w) for w in spelled if w)
    commonest = said.most_common(1)[0][0]
    same = [w for w in spelled if "".join(w) == commonest]
    longest: tuple[str, ...] = max(same, key=len)
    return "_".join(longest)


def _suggestion(
    entity: Entity, p: _Pair, left: Surveyed, right: Surveyed
) -> Suggestion:
    known = p.name in entity.fields
    kind = entity.fields[p.name].kind if known else p.kind
    ends = {}
    for side, here, info, other in (
        ("left", left, p.left, p.right),
        ("right", right, p.right, p.left),
    ):
        theirs = {like(o) for o in other.options}
        unmatched = [o for o in info.options if like(o) not in theirs]
        ends[side] = End(
            info,
            held(here.records, info.path),
            side in p.mapped,
            tuple(unmatched) if kind == "choice" else (),
        )
    return Suggestion(
        p.name, kind, _WHY[p.score], ends["left"], ends["right"], known=known
    )


def like(option: str) -> str:
    """A word for an option: options of two vendors that have the same one are alike."""
    return "_".join(words_of(option.replace("_", " "))) or option.casefold()


def held(records: Sequence[Record], path: str) -> Held:
    """What some records hold at a path."""
    counts: Counter[str] = Counter()
    values: dict[str, Any] = {}
    for record in records:
        at: Any = record.fields
        for step in path.split("."):
            at = at.get(step) if isinstance(at, Mapping) else None
        if at not in (None, "", [], ()):
            counts[repr(at)] += 1
            values[repr(at)] = at
    common = [values[r] for r, _ in counts.most_common(_SHOWN)]
    return Held(len(records), counts.total(), len(counts), tuple(common))


def unknown_options(
    mapping: Spec, entity: Entity, fields: Iterable[FieldInfo]
) -> dict[str, tuple[str, ...]]:
    """Live options that no table knows, by field: records that hold them are left alone there."""
    by_path = {f.path: f for f in fields}
    found = {}
    for name, rule in mapping.rules.items():
        info, spec = by_path.get(rule.path or ""), entity.fields.get(name)
        if info is None or spec is None or rule.other not in {"leave", "reject"}:
            continue
        known = _known_words(rule, spec)
        if known is not None:
            unknown = tuple(o for o in info.options if o not in known)
            if unknown:
                found[name] = unknown
    return found


def _known_words(rule: Rule, spec: FieldSpec) -> Collection[str] | None:
    if rule.table is not None:
        return {v for words in rule.table.values() for v in words}
    return spec.of if spec.kind == "choice" else None


__all__ = [
    "SAMPLE",
    "End",
    "Held",
    "Suggestion",
    "Surveyed",
    "UnknownOptions",
    "common_kind",
    "held",
    "kind_of",
    "like",
    "suggested",
    "unknown_options",
    "words_of",
]
assert set(_KINDS.values()) <= set(get_args(Kind))  # noqa: S101 - a kind was renamed in one place only
