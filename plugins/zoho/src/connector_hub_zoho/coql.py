"""The part of COQL that the sandbox understands: a module, conditions, an order, a limit.

Source: https://www.zoho.com/crm/developer/docs/api/v8/COQL-Overview.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Row = Mapping[str, Any]
Condition = Callable[[Row], bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<number>-?\d+(?:\.\d+)?)\b|"
    r"(?P<word>[A-Za-z$_][\w.]*)|(?P<sign><=|>=|!=|[=<>(),]))"
)
_SIGNS = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_LIMIT, _MOST, _REACH, _COLUMNS, _VALUES, _CRITERIA = 200, 2_000, 100_000, 50, 50, 25


class CoqlError(Exception):
    """Zoho's refusal of a query: its code, message and details."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details


@dataclass(slots=True)
class Query:
    """A query that was understood."""

    names: list[str]
    module: str
    where: Condition
    order: list[tuple[str, bool]] = field(default_factory=list)
    """Names with whether they run down."""
    limit: int = _LIMIT
    offset: int = 0
    used: set[str] = field(default_factory=set)
    """All fields it speaks of."""
    used_whole: set[str] = field(default_factory=set)
    """The same with the ways through lookups."""


def parse(text: str) -> Query:
    """A query from its text.

    Raises:
        CoqlError: Zoho would not take it.
    """
    return _Parser(text).query()


def value_at(row: Row, name: str) -> Any:
    """The value of a name, through one lookup where it is dotted; a lookup's own value is its id."""
    head, _, rest = name.partition(".")
    found = row.get(head)
    if isinstance(found, Mapping):
        return found.get(rest or "id")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            found = _TOKEN.match(text, at)
            if not found:
                raise _syntax(text[at : at + 10])
            self.tokens.append((str(found.lastgroup), found.group().strip()))
            at = found.end()
        self.at = 0
        self.criteria = 0
        self.used: set[str] = set()
        self.used_whole: set[str] = set()

    def peek(self, *words: str) -> bool:
        return (
            self.at < len(self.tokens)
            and self.tokens[self.at][1].lower() in words
            and self.tokens[self.at][0] != "text"
        )

    def take(self, *words: str) -> str:
        if self.at >= len(self.tokens) or (words and not self.peek(*words)):
            clause = words[0] if words else "query"
            raise CoqlError("SYNTAX_ERROR", "missing clause", clause=clause)
        self.at += 1
        return self.tokens[self.at - 1][1]

    def name(self) -> str:
        if self.at >= len(self.tokens) or self.tokens[self.at][0] != "word":
            raise _syntax("column")
        found = self.take()
        self.used.add(found.partition(".")[0])
        self.used_whole.add(found)
        return found

    def query(self) -> Query:
        self.take("select")
        names = [self.name()]
        while self.peek(","):
            self.take()
            names.append(self.name())
        if len(names) > _COLUMNS:
            raise CoqlError("LIMIT_EXCEEDED", "limit exceeded", limit=_COLUMNS)
        self.take("from")
        module = self.take()
        self.take("where")
        found = Query(names, module, self.either())
        if self.criteria > _CRITERIA:
            raise CoqlError("LIMIT_EXCEEDED", "limit exceeded", limit=_CRITERIA)
        if self.peek("order"):
            self.take()
            self.take("by")
            found.order = self.order()
        if self.peek("limit"):
            self.take()
            found.limit = self.number(_MOST)
        if self.peek("offset"):
            self.take()
            found.offset = self.number(_REACH)
        if self.at < len(self.tokens):
            raise _syntax(self.tokens[self.at][1])
        found.used, found.used_whole = self.used, self.used_whole
        return found

    def order(self) -> list[tuple[str, bool]]:
        found = []
        while True:
            name = self.name()
            down = self.peek("desc")
            if self.peek("asc", "desc"):
                self.take()
            found.append((name, down))
            if not self.peek(","):
                return found
            self.take()

    def number(self, most: int) -> int:
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("", "")
        if kind != "number" or not 0 <= int(float(text)) <= most:
            raise CoqlError("LIMIT_EXCEEDED", "limit exceeded", limit=most)
        self.at += 1
        return int(text)

    def either(self) -> Condition:
        found = self.both()
        while self.peek("or"):
            self.take()
            found = _or(found, self.both())
        return found

    def both(self) -> Condition:
        found = self.one()
        while self.peek("and"):
            self.take()
            found = _and(found, self.one())
        return found

    def one(self) -> Condition:
        if self.peek("("):
            self.take()
            found = self.either()
            self.take(")")
            return found
        self.criteria += 1
        name = self.name()
        if self.peek("is"):
            return self.null(name)
        negated = self.peek("not")
        if negated:
            self.take()
        if self.peek("in"):
            self.take()
            asked = self.values()
            return lambda row: (_same(value_at(row, name)) in asked) is not negated
        if self.peek("like"):
            self.take()
            like = re.escape(str(self.value())).replace("%", ".*")
            shape = re.compile(like + r"\Z", re.IGNORECASE | re.DOTALL)
            return lambda row: (
                bool(shape.match(str(value_at(row, name) or ""))) is not negated
            )
        sign = self.take("=", "!=", "<", ">", "<=", ">=")
        return _compared(name, sign, self.value())

    def null(self, name: str) -> Condition:
        self.take("is")
        negated = self.peek("not")
        if negated:
            self.take()
        self.take("null")
        return lambda row: (value_at(row, name) is None) is not negated

    def values(self) -> set[Any]:
        self.take("(")
        found = [_same(self.value())]
        while self.peek(","):
            self.take()
            found.append(_same(self.value()))
        self.take(")")
        if len(found) > _VALUES:
            raise CoqlError("LIMIT_EXCEEDED", "limit exceeded", limit=_VALUES)
        return set(found)

    def value(self) -> Any:
        if self.at >= len(self.tokens):
            raise _syntax("value")
        kind, text = self.tokens[self.at]
        self.at += 1
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(text) if "." in text else int(text)
        if text.lower() in {"true", "false"}:
            return text.lower() == "true"
        raise _syntax(text)


def _syntax(near: str) -> CoqlError:
    return CoqlError(
        "SYNTAX_ERROR", "error occurred while parsing the query", near=near
    )


def _or(left: Condition, right: Condition) -> Condition:
    return lambda row: left(row) or right(row)


def _and(left: Condition, right: Condition) -> Condition:
    return lambda row: left(row) and right(row)


def _same(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _compared(name: str, sign: str, value: Any) -> Condition:
    def holds(row: Row) -> bool:
        found: Any = value_at(row, name)
        if found is None:
            return sign == "!="
        wanted: Any = value
        if isinstance(found, datetime):
            wanted = datetime.fromisoformat(str(value))
        elif name.rpartition(".")[2] == "id":
            found, wanted = int(found), int(value)
        else:
            found, wanted = _same(found), _same(value)
        try:
            return bool(_SIGNS[sign](found, wanted))
        except TypeError:
            raise CoqlError(
                "INVALID_QUERY",
                "Invalid query formed",
                reason="invalid operator found",
                column_name=name,
                operator=sign,
            ) from None

    return holds
