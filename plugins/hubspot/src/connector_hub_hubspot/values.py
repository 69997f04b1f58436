"""HubSpot's values and definitions: everything is text (https://developers.hubspot.com/docs/guides/api/crm/properties)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connector_hub.sdk import FieldInfo

PREFIX = "properties."
_UNIQUE = {"contacts": frozenset({"email"})}
"""Properties that are unique without saying so."""
_LENGTH = 65_536


def unique_of(resource: str) -> Collection[str]:
    """Properties by which HubSpot itself tells records apart."""
    return _UNIQUE.get(resource, ())


def field_info(resource: str, p: Mapping[str, Any]) -> FieldInfo:
    """A property as the hub knows fields."""
    options = tuple(o["value"] for o in p.get("options", ()))
    return FieldInfo(
        path=f"{PREFIX}{p['name']}",
        label=p["label"],
        type=p["type"],
        unique=bool(p.get("hasUniqueValue")) or p["name"] in unique_of(resource),
        read_only=bool(p.get("modificationMetadata", {}).get("readOnlyValue")),
        options=options,
        closed=p["type"] == "enumeration" and not p.get("externalOptions"),
        refers_to=(p["referencedObjectType"],) if p.get("referencedObjectType") else (),
        length=_LENGTH if p["type"] == "string" else None,
    )


def staged(
    info: FieldInfo, pipeline: str, stage: str, pipelines: Sequence[Mapping[str, Any]]
) -> FieldInfo:
    """A property of pipelines with those that there are now, or with their stages."""
    if info.path == f"{PREFIX}{pipeline}":
        listed = tuple(str(p["id"]) for p in pipelines)
    elif info.path == f"{PREFIX}{stage}":
        stages = (str(s["id"]) for p in pipelines for s in p["stages"])
        listed = tuple(dict.fromkeys(stages))
    else:
        return info
    return replace(info, options=listed, closed=True)


def _instant(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


_SPELLED: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "",
    bool: lambda v: "true" if v else "false",
    Decimal: lambda v: format(v, "f"),
    datetime: _instant,
    date: date.isoformat,
    tuple: ";".join,
    list: ";".join,
}


def spelled(value: Any) -> str:
    """A hub value as HubSpot's text."""
    return _SPELLED.get(value.__class__, str)(value)
