"""A small SOQL: parsing and evaluating, with the vendor's errors.

    SELECT paths | count() | count(path) | FIELDS(ALL | STANDARD | CUSTOM) FROM object
    [WHERE conditions] [ORDER BY path [ASC | DESC] [NULLS FIRST | LAST], ...]
    [LIMIT n] [OFFSET n]

Conditions are compared without regard to case; AND and OR may be mixed in parentheses
only, as there. Source: SOQL and SOSL Reference.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, NoReturn, Protocol

from connector_hub_salesforce.ids import is_id, long_id
from connector_hub_salesforce.objects import NUMBERS, TEXTS, Field
from connector_hub_salesforce.refused import Refused

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
Get = Callable[[Row], Any]

_OFFSET = 2_000
_FIELDS_LIMIT = 200
_CHARS = 100_000
_WORDS = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^'\\]|\\.)*')
    |(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,3})?(?:Z|[+-]\d\d:?\d\d))
    |(?P<date>\d{4}-\d\d-\d\d)
    |(?P<number>[+-]?\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)
    |(?P<op><=|>=|!=|<>|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "b": "\b",
    "f": "\f",
    "'": "'",
    '"': '"',
    "\\": "\\",
}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Word:
    """A token. ``kind`` is one of string, datetime, date, number, word, op and end."""

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; ``kind`` is string, datetime, date, number, boolean or null.

    ``raw`` is a string before its escapes are undone: LIKE has two of its own.
    """

    kind: str
    value: Any
    raw: str = ""


@dataclass(frozen=True, slots=True)
class Compare:
    """One condition; ``values`` has one literal but for IN and NOT IN."""

    path: str
    op: str
    values: tuple[Literal, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Several:
    """Conditions of which all (``and``) or one (``or``) must hold."""

    word: str
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """A condition that must not hold."""

    part: Condition


Condition = Compare | Several | Not


@dataclass(frozen=True, slots=True)
class Order:
    """One part of an order."""

    path: str
    down: bool
    nulls_last: bool
    at: int


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query. ``count`` is ``*`` for count(), a path for count(path)."""

    text: str
    paths: tuple[tuple[str, int], ...]
    object: str
    where: Condition | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int = 0
    count: str = ""
    fields: str = ""


class Schema(Protocol):
    """What the evaluation asks of the objects."""

    def resolve(self, kind: str, path: str) -> Field | None:
        """The field at the end of a dotted path."""

    def getter(self, kind: str, path: str) -> Get:
        """A function that takes a row to the value at a path."""


def _malformed(text: str, at: int, why: str, code: str = "MALFORMED_QUERY") -> Refused:
    """An error in the vendor's layout: the line, a caret, the place, the reason."""
    before = text[:at]
    line = before.count("\n") + 1
    column = at - (before.rfind("\n") + 1) + 1
    shown = text[max(0, at - 60) : at + 60].replace("\n", " ")
    caret = " " * min(at, 60) + "^"
    return Refused(
        code, f"\n{shown}\n{caret}\nERROR at Row:{line}:Column:{column}\n{why}"
    )


def no_column(text: str, at: int, path: str, kind: str) -> Refused:
    """The refusal of an unknown field."""
    why = (
        f"No such column '{path}' on entity '{kind}'. If you are attempting to use a "
        "custom field, be sure to append the '__c' after the custom field name. Please "
        "reference your WSDL or the describe call for the appropriate names."
    )
    return _malformed(text, at, why, "INVALID_FIELD")


def parse(text: str) -> Query:
    """Parse a query.

    Raises:
        Refused: MALFORMED_QUERY, or NUMBER_OUTSIDE_VALID_RANGE for the offset.
    """
    if len(text) > _CHARS:
        raise Refused(
            "QUERY_TOO_COMPLICATED", "SOQL statements may have 100000 characters"
        )
    return _Parser(text).query()


class _Parser:
    """Recursive descent over the tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = self._tokens()
        self.i = 0

    def _tokens(self) -> list[Word]:
        words: list[Word] = []
        at, end = 0, len(self.text.rstrip())
        while at < end:
            m = _WORDS.match(self.text, at)
            if m is None or m.lastgroup is None:
                while self.text[at].isspace():
                    at += 1
                why = f"unexpected token: '{self.text[at]}'"
                raise _malformed(self.text, at, why)
            words.append(Word(m.lastgroup, m[m.lastgroup], m.start(m.lastgroup)))
            at = m.end()
        words.append(Word("end", "<EOF>", end))
        return words

    def fail(self, word: Word | None = None) -> NoReturn:
        word = word or self.words[self.i]
        raise _malformed(self.text, word.at, f"unexpected token: '{word.text}'")

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these words or signs."""
        ahead = self.words[self.i : self.i + len(words)]
        return len(ahead) == len(words) and all(
            a.kind in {"word", "op"} and a.text.lower() == w
            for a, w in zip(ahead, words, strict=True)
        )

    def take(self, *words: str) -> bool:
        """Go past these words if they come next."""
        if not self.peek(*words):
            return False
        self.i += len(words)
        return True

    def need(self, *words: str) -> None:
        if not self.take(*words):
            self.fail()

    def next(self, kind: str) -> Word:
        word = self.words[self.i]
        if word.kind != kind:
            self.fail()
        self.i += 1
        return word

    def query(self) -> Query:
        self.need("select")
        paths, count, fields = self.selection()
        self.need("from")
        kind = self.next("word").text
        where = self.conditions() if self.take("where") else None
        order = self.ordering() if self.take("order", "by") else ()
        limit = self.whole() if self.take("limit") else None
        offset = self.whole() if self.take("offset") else 0
        if self.words[self.i].kind != "end":
            self.fail()
        if offset > _OFFSET:
            raise Refused(
                "NUMBER_OUTSIDE_VALID_RANGE",
                "Maximum SOQL offset allowed is 2000",
            )
        if fields == "all" and (limit is None or limit > _FIELDS_LIMIT):
            raise Refused(
                "MALFORMED_QUERY",
                "The SOQL FIELDS function must have a LIMIT of at most 200",
            )
        return Query(self.text, paths, kind, where, order, limit, offset, count, fields)

    def selection(self) -> tuple[tuple[tuple[str, int], ...], str, str]:
        if self.take("count", "("):
            if self.take(")"):
                return (), "*", ""
            path = self.next("word").text
            self.need(")")
            return (), path, ""
        if self.take("fields", "("):
            which = self.next("word").text.lower()
            if which not in {"all", "standard", "custom"}:
                self.fail(self.words[self.i - 1])
            self.need(")")
            return (), "", which
        found: dict[str, tuple[str, int]] = {}
        while True:
            word = self.next("word")
            if word.text.lower() in found:
                why = f"duplicate field selected: {word.text}"
                raise _malformed(self.text, word.at, why)
            found[word.text.lower()] = (word.text, word.at)
            if not self.take(","):
                return tuple(found.values()), "", ""

    def conditions(self) -> Condition:
        parts = [self.condition()]
        joined = ""
        while self.peek("and") or self.peek("or"):
            word = self.words[self.i].text.lower()
            if joined and word != joined:
                self.fail()
            joined = word
            self.i += 1
            parts.append(self.condition())
        return parts[0] if len(parts) == 1 else Several(joined, tuple(parts))

    def condition(self) -> Condition:
        if self.take("not"):
            return Not(self.condition())
        if self.take("("):
            found = self.conditions()
            self.need(")")
            return found
        path = self.next("word")
        if self.take("in"):
            return Compare(path.text, "in", self.listed(), path.at)
        if self.take("not", "in"):
            return Compare(path.text, "not in", self.listed(), path.at)
        if self.take("like"):
            return Compare(path.text, "like", (self.literal(),), path.at)
        op = self.next("op")
        if op.text not in {"=", "!=", "<>", *_COMPARE}:
            self.fail(op)
        sign = "!=" if op.text == "<>" else op.text
        return Compare(path.text, sign, (self.literal(),), path.at)

    def listed(self) -> tuple[Literal, ...]:
        self.need("(")
        found = [self.literal()]
        while self.take(","):
            found.append(self.literal())
        self.need(")")
        return tuple(found)

    def literal(self) -> Literal:
        word = self.words[self.i]
        self.i += 1
        match word.kind:
            case "string":
                return Literal("string", self.unescaped(word), word.text[1:-1])
            case "number":
                number = float(word.text) if "." in word.text else int(word.text)
                return Literal("number", number)
            case "datetime" | "date":
                return Literal(word.kind, self.moment(word))
            case "word" if word.text.lower() in {"true", "false"}:
                return Literal("boolean", word.text.lower() == "true")
            case "word" if word.text.lower() == "null":
                return Literal("null", None)
        return self.fail(word)

    def moment(self, word: Word) -> str:
        """A date or instant as rows hold it: both order as texts."""
        try:
            if word.kind == "date":
                return date.fromisoformat(word.text).isoformat()
            return stamp(datetime.fromisoformat(word.text))
        except ValueError:
            self.fail(word)

    def unescaped(self, word: Word) -> str:
        def one(m: re.Match[str]) -> str:
            found = _ESCAPES.get(m[1].lower() if m[1] in "NRTBF" else m[1])
            if found is None and m[1] not in "%_":
                raise _malformed(
                    self.text, word.at, f"invalid string escape: '\\{m[1]}'"
                )
            return m[1] if found is None else found

        return re.sub(r"\\(.)", one, word.text[1:-1], flags=re.DOTALL)

    def ordering(self) -> tuple[Order, ...]:
        found = []
        while True:
            word = self.next("word")
            down = self.take("desc")
            if not down:
                self.take("asc")
            last = self.take("nulls", "last")
            if not last:
                self.take("nulls", "first")
            found.append(Order(word.text, down, last, word.at))
            if not self.take(","):
                return tuple(found)

    def whole(self) -> int:
        word = self.next("number")
        if not word.text.isdigit():
            self.fail(word)
        return int(word.text)


def stamp(moment: datetime) -> str:
    """An instant as Salesforce spells it; such texts order as the instants do."""
    at = moment.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}+0000"


def predicate(q: Query, kind: str, schema: Schema) -> Test | None:
    """The conditions as a function of a row; None where there are none.

    Raises:
        Refused: INVALID_FIELD or INVALID_QUERY_FILTER_OPERATOR.
    """
    return None if q.where is None else _test(q.where, q, kind, schema)


def _test(c: Condition, q: Query, kind: str, schema: Schema) -> Test:
    match c:
        case Not():
            inner = _test(c.part, q, kind, schema)
            return lambda row: not inner(row)
        case Several():
            tests = [_test(p, q, kind, schema) for p in c.parts]
            if c.word == "and":
                return lambda row: all(t(row) for t in tests)
            return lambda row: any(t(row) for t in tests)
    found = schema.resolve(kind, c.path)
    if found is None:
        raise no_column(q.text, c.at, c.path, kind)
    if not found.filterable:
        why = f"field '{c.path}' can not be filtered in a query call"
        raise _malformed(q.text, c.at, why, "INVALID_FIELD")
    return _compared(c, found, schema.getter(kind, c.path), q)


def _compared(c: Compare, f: Field, get: Get, q: Query) -> Test:
    if c.op == "like":
        return _like(c, f, get, q)
    ids = f.type in {"id", "reference"}
    ordering = c.op in _COMPARE
    folds = f.type in TEXTS or (ids and not ordering)
    values = [_held(c, f, v, q) for v in c.values]
    if folds:
        plain = get
        values = [_folded(v) for v in values]

        def get(row: Row) -> Any:
            return _folded(plain(row))

    if c.op in {"in", "not in"}:
        among = set(values)
        if c.op == "in":
            return lambda row: get(row) in among
        return lambda row: get(row) not in among
    value = values[0]
    if not ordering:
        if c.op == "=":
            return lambda row: bool(get(row) == value)
        return lambda row: bool(get(row) != value)
    if value is None or f.type == "boolean":
        raise _operator(c, q)
    compare = _COMPARE[c.op]

    def ordered(row: Row) -> bool:
        held = get(row)
        return held is not None and compare(held, value)

    return ordered


def _operator(c: Compare, q: Query) -> Refused:
    why = f"invalid operator on {c.path}: {c.op}"
    return _malformed(q.text, c.at, why, "INVALID_QUERY_FILTER_OPERATOR")


def _like(c: Compare, f: Field, get: Get, q: Query) -> Test:
    """``%`` any text, ``_`` one character; both may be escaped."""
    literal = c.values[0]
    if f.type not in TEXTS or literal.kind != "string":
        raise _operator(c, q)
    pattern = ""
    for escaped, plain in re.findall(r"\\(.)|([^\\])", literal.raw, re.DOTALL):
        if plain in {"%", "_"}:
            pattern += ".*" if plain == "%" else "."
        else:
            pattern += re.escape(plain or _ESCAPES.get(escaped, escaped))
    match = re.compile(pattern + r"\Z", re.IGNORECASE | re.DOTALL).match

    def like(row: Row) -> bool:
        held = get(row)
        return held is not None and match(held) is not None

    return like


def _held(c: Compare, f: Field, literal: Literal, q: Query) -> Any:
    """A literal as rows hold such values."""
    wanted = _wanted(f)
    if literal.kind == "null":
        return None
    if literal.kind != wanted:
        quotes = "should" if wanted == "string" else "should not"
        why = (
            f"value of filter criterion for field '{c.path}' must be of type {f.type} "
            f"and {quotes} be enclosed in quotes"
        )
        raise _malformed(q.text, c.at, why, "INVALID_FIELD")
    if f.type in {"id", "reference"}:
        if not literal.value:
            return None
        if not is_id(literal.value):
            why = f"invalid ID field: {literal.value}"
            raise _malformed(q.text, c.at, why, "INVALID_QUERY_FILTER_OPERATOR")
        return long_id(literal.value)
    return None if literal.value == "" else literal.value


def _wanted(f: Field) -> str:
    """The kind of literal a field is compared to."""
    if f.type in NUMBERS:
        return "number"
    return f.type if f.type in {"date", "datetime", "boolean"} else "string"


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def arranged(q: Query, kind: str, schema: Schema, rows: Sequence[Row]) -> Sequence[Row]:
    """Rows in the query's order, cut to its limit and offset.

    Rows without a value come first unless told otherwise.

    Raises:
        Refused: INVALID_FIELD.
    """
    for o in reversed(q.order):
        found = schema.resolve(kind, o.path)
        if found is None:
            raise no_column(q.text, o.at, o.path, kind)
        if not found.filterable:
            why = f"field '{o.path}' can not be sorted in a query call"
            raise _malformed(q.text, o.at, why, "INVALID_FIELD")
        rows = _sorted(rows, schema.getter(kind, o.path), found, o)
    end = None if q.limit is None else q.offset + q.limit
    return rows[q.offset : end]


def _sorted(rows: Sequence[Row], get: Get, f: Field, o: Order) -> Sequence[Row]:
    fold = f.type in TEXTS
    nulls: list[Row] = []
    held: list[tuple[Any, Row]] = []
    for row in rows:
        value = get(row)
        if value is None:
            nulls.append(row)
        else:
            held.append((value.casefold() if fold else value, row))
    held.sort(key=operator.itemgetter(0), reverse=o.down)
    values = [row for _, row in held]
    return [*values, *nulls] if o.nulls_last else [*nulls, *values]
