"""Values between the hub and Salesforce: typed JSON, and the texts of a query's CSV."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any


def spelled(value: Any) -> Any:
    """A hub value as Salesforce's JSON: typed, lists as ``a;b``, None to clear."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            at = value.astimezone(UTC)
            return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
        case date():
            return value.isoformat()
        case tuple() | list():
            return ";".join(str(v) for v in value)
    return value


def typed(row: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Any]:
    """A row of a query's CSV as REST would give it, by the types of its fields."""
    return {name: _value(text, types.get(name, "")) for name, text in row.items()}


def _value(text: str, kind: str) -> Any:
    if text == "":
        return False if kind == "boolean" else None
    match kind:
        case "boolean":
            return text.lower() == "true"
        case "int":
            return int(text)
        case "double" | "currency" | "percent":
            return float(text)
        case "datetime":
            return text.removesuffix("Z") + "+0000" if text.endswith("Z") else text
    return text
