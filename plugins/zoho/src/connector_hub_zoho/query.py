"""COQL text, safely put together: names are checked, values quoted, no value can become syntax.

Source: https://www.zoho.com/crm/developer/docs/api/v8/COQL-Overview.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from connector_hub.sdk import ConfigError

COLUMNS = 50
"""Columns of a query; v7 raised it to 500, which the v8 pages do not all repeat."""
VALUES = 50
"""Values of an IN."""
MOST = 2_000
"""Rows of a query."""
_CHEAP, _DEARER = 200, 1_000
_NAME = re.compile(r"\$?[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*\Z")


def name(path: str) -> str:
    """A field's API name, dotted through lookups, as it is.

    Raises:
        ConfigError: it is none.
    """
    if not _NAME.match(path):
        raise ConfigError(
            f"{path!r} is not the name of a Zoho field",
            hint="write the API name, as connector-hub describe shows it",
        )
    return path


def quoted(value: str) -> str:
    """A value as a COQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def instant(moment: datetime) -> str:
    """An instant as Zoho writes and reads it: whole seconds with an offset."""
    return moment.replace(microsecond=0).isoformat()


def price(limit: int) -> int:
    """Credits of a query of so many rows: one, two or three."""
    return 1 + (limit > _CHEAP) + (limit > _DEARER)


def select(
    names: Iterable[str], module: str, where: Sequence[str], *, order: str, limit: int
) -> str:
    """A query; all conditions of ``where``, of which COQL wants at least one, must hold."""
    columns = ", ".join(map(name, names))
    return " ".join(
        (
            "select",
            columns,
            "from",
            name(module),
            "where",
            _all(where),
            "order by",
            order,
            "limit",
            str(limit),
        )
    )


def _all(conditions: Sequence[str]) -> str:
    """Conditions joined; COQL takes two at a time and wants brackets around the rest."""
    if len(conditions) == 1:
        return conditions[0]
    return f"({conditions[0]} and {_all(conditions[1:])})"
