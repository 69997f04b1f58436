"""Values as Zoho writes and reads them, and fields as it describes them.

The JSON of a record is typed; the CSV of a bulk read is text throughout and is read into the same JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connector_hub.sdk import FieldInfo
from connector_hub_zoho import query

LOOKUPS = {"lookup", "ownerlookup", "userlookup"}
_NUMBERS = {"currency", "double", "percent", "integer", "formula", "rollup_summary"}
_CLOSED = {"picklist", "multiselectpicklist"}
ROWS = "subform"


def spelled(value: Any) -> Any:
    """A hub value as Zoho's JSON: typed; instants in whole seconds with an offset."""
    match value:
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return query.instant(value)
        case date():
            return value.isoformat()
        case tuple() | list():
            return list(value)
    return value


def field_infos(
    described: Iterable[Mapping[str, Any]], required: Iterable[str] = ()
) -> Iterator[FieldInfo]:
    """Fields of ``/settings/fields``, with those that the layout requires."""
    asked = set(required)
    for f in described:
        yield field_info(f, required=f["api_name"] in asked)


def field_info(f: Mapping[str, Any], *, required: bool = False) -> FieldInfo:
    """A field of ``/settings/fields``; a lookup's path is that of its id."""
    lookup = (f.get("lookup") or {}).get("module") or {}
    to = lookup.get("api_name") if isinstance(lookup, Mapping) else lookup
    name, kind = str(f["api_name"]), str(f["data_type"])
    may = f.get("operation_type") or {}
    return FieldInfo(
        path=f"{name}.id" if kind in LOOKUPS else name,
        label=str(f.get("field_label") or name),
        type="rows" if kind == ROWS else kind,
        required=required or bool(f.get("system_mandatory")),
        unique=bool(f.get("unique")),
        read_only=bool(f.get("read_only")) or may.get("api_update") is False,
        options=tuple(_options(f.get("pick_list_values") or ())),
        closed=kind in _CLOSED,
        refers_to=(str(to),) if to else (),
        length=f.get("length"),
    )


def _options(listed: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Zoho's ``-None-`` stands for no value."""
    return (str(o["actual_value"]) for o in listed if o["actual_value"] != "-None-")


def _number(text: str) -> Any:
    value = Decimal(text)
    return int(value) if value == value.to_integral_value() else float(value)


_READ: Mapping[str, Callable[[str], Any]] = {
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(LOOKUPS, lambda text: {"id": text}),
    "boolean": lambda text: text == "true",
    "multiselectpicklist": lambda text: text.split(";"),
}


def from_cell(text: str, kind: str) -> Any:
    """A cell of a bulk read as the JSON of the listing has it; an empty one is null.

    Raises:
        ArithmeticError: a number that is none.
    """
    if not text:
        return None
    read = _READ.get(kind)
    return read(text) if read else text
