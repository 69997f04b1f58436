"""SOQL text, safely put together.

Names and ids are checked against their shape and values are quoted: no value can become
syntax. Source: SOQL and SOSL Reference, "Quoted String Escape Sequences".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import quote_plus

from connector_hub.sdk import ConfigError

URL = 14_000
"""Bytes a query may have in a URL: URI and headers together may not exceed 16,384."""
_HOPS = 5
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*\Z")
_ESCAPES = str.maketrans(
    {
        "\\": r"\\",
        "'": r"\'",
        "\n": r"\n",
        "\r": r"\r",
        "\t": r"\t",
        "\b": r"\b",
        "\f": r"\f",
    }
)


def name(path: str) -> str:
    """A field's name, dotted through at most five relationships, as it is.

    Raises:
        ConfigError: it is none.
    """
    if not _NAME.match(path) or path.count(".") > _HOPS:
        raise ConfigError(
            f"{path!r} is not the name of a Salesforce field",
            hint="write the API name, as connector-hub describe shows it",
        )
    return path


def quoted(value: str) -> str:
    """A value as a SOQL string literal."""
    return "'" + value.translate(_ESCAPES) + "'"


def instant(moment: datetime) -> str:
    """An instant as a SOQL literal: UTC, whole seconds, not quoted."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def select(
    names: Iterable[str],
    resource: str,
    *,
    where: Sequence[str] = (),
    order: Sequence[str] = (),
) -> str:
    """A query; ``where`` are conditions that must all hold."""
    text = " ".join(("SELECT", ",".join(names), "FROM", name(resource)))
    if where:
        text += " WHERE " + " AND ".join(where)
    if order:
        text += " ORDER BY " + ",".join(order)
    return text


def size(text: str) -> int:
    """Bytes a query takes in a URL."""
    return len(quote_plus(text))


def membership(
    names: Sequence[str],
    resource: str,
    path: str,
    values: Sequence[str],
    *,
    where: Sequence[str] = (),
) -> Iterator[str]:
    """Queries for the records that hold one of the values, each fit for a URL; ``where`` must hold, too."""
    start = size(select(names, resource, where=(*where, f"{name(path)} IN ()")))
    part: list[str] = []
    length = start
    for value in values:
        literal = quoted(value)
        more = size(literal) + len("%2C")
        if part and length + more > URL:
            yield select(
                names, resource, where=(*where, f"{path} IN ({','.join(part)})")
            )
            part, length = [], start
        part.append(literal)
        length += more
    if part:
        yield select(names, resource, where=(*where, f"{path} IN ({','.join(part)})"))


def split(names: Sequence[str], resource: str, room: int) -> Iterator[list[str]]:
    """Field lists of which each leaves ``room`` bytes of a URL for conditions."""
    start = size(select((), resource))
    part: list[str] = []
    length = start
    for n in names:
        more = len(n) + len("%2C")
        if part and length + more > URL - room:
            yield part
            part, length = [], start
        part.append(n)
        length += more
    if part:
        yield part
