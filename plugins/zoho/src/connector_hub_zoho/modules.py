"""Modules and fields of a Zoho account, and what a field takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+\Z")
_PHONE = re.compile(r"[0-9+().\-;\s#a-zA-Z*,:]{1,30}\Z")
_JSON = {
    "boolean": "boolean",
    "integer": "integer",
    "currency": "double",
    "double": "double",
    "percent": "double",
    "formula": "double",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "userlookup": "jsonobject",
    "multiselectpicklist": "jsonarray",
    "subform": "jsonarray",
}
_DECIMALS = {"currency": 2, "double": 2, "percent": 2}
NUMBERS = {"integer", "currency", "double", "percent", "formula"}
LOOKUPS = {"lookup", "ownerlookup", "userlookup"}
_PICKED = {"picklist", "multiselectpicklist"}
ROWS = 100
"""Rows of a subform in one record."""
_ALWAYS: Mapping[str, Any] = {
    "webhook": True,
    "colour_code_enabled_by_system": False,
    "type": "used",
    "association_details": None,
    "businesscard_supported": True,
    "multi_module_lookup": {},
    "filterable": True,
    "visible": True,
    "profiles": [],
    "separator": False,
    "searchable": True,
    "history_tracking_enabled": False,
    "external": None,
    "enable_colour_code": False,
    "virtual_field": False,
    "range": None,
    "created_source": "default",
    "display_type": -1,
    "ui_type": 1,
    "public": False,
    "email_parser": {
        "fields_update_supported": True,
        "record_operations_supported": True,
    },
    "currency": {},
    "convert_mapping": {},
    "rollup_summary": {},
    "display_field": False,
    "pick_list_values_sorted_lexically": False,
    "sortable": True,
    "formula": {},
    "mass_update": True,
    "multiselectlookup": {},
    "auto_number": {},
}
"""What the API says of every field, and the hub does not need."""
Generated = Literal["default", "custom", "subform", "linking"]


@dataclass(frozen=True, slots=True)
class FieldKind:
    """A field's definition.

    ``mandatory`` is the system's word, ``required`` that of the module's layout. ``to`` is the module of a
    lookup, or the one of a subform's rows.
    """

    name: str
    type: str = "text"
    length: int = 255
    mandatory: bool = False
    unique: bool = False
    options: tuple[str, ...] = ()
    to: str = ""
    read_only: bool = False
    custom: bool = False
    label: str = ""
    required: bool = False

    def row(self, number: int) -> dict[str, Any]:
        """As ``/settings/fields`` answers it."""
        to = {"api_name": self.to, "id": _module_id(self.to), "crypt": False}
        points = self.to and self.type != "subform"
        return {
            **_ALWAYS,
            "id": f"41508680000000{number:05}",
            "api_name": self.name,
            "field_label": self.label or self.name.replace("_", " "),
            "display_label": self.label or self.name.replace("_", " "),
            "data_type": self.type,
            "json_type": _JSON.get(self.type, "string"),
            "length": self.length,
            "decimal_place": _DECIMALS.get(self.type),
            "system_mandatory": self.mandatory,
            "read_only": self.read_only,
            "field_read_only": self.read_only,
            "custom_field": self.custom,
            "unique": {"case_sensitive": False} if self.unique else {},
            "pick_list_values": [
                {
                    "id": f"41508680000003{number:03}{i:02}",
                    "display_value": o,
                    "actual_value": o,
                    "reference_value": o,
                    "sequence_number": i + 1,
                    "type": "used",
                }
                for i, o in enumerate(
                    ("-None-", *self.options) if self.type in _PICKED else ()
                )
            ],
            "lookup": {"module": to, "display_label": self.name} if points else {},
            "operation_type": {
                "api_create": not self.read_only,
                "api_update": not self.read_only,
                "web_create": not self.read_only,
                "web_update": not self.read_only,
            },
            "view_type": {
                "create": not self.read_only,
                "edit": not self.read_only,
                "view": True,
                "quick_create": False,
            },
        }

    def on_layout(self, number: int) -> dict[str, Any]:
        """As a section of a layout lists it: with what the layout requires, and the rows of a subform."""
        row = self.row(number) | {"required": self.mandatory or self.required}
        del row["email_parser"]
        for option in row["pick_list_values"]:
            option["maps"] = []
        if self.type == "subform":
            row["subform"] = {"module": self.to, "id": _module_id(self.to)}
        return row


@dataclass(slots=True)
class Module:
    """A module with its fields by API name. ``parent`` is the module whose subform it is."""

    name: str
    titled: str
    """The field that names a record."""
    fields: dict[str, FieldKind]
    checks: tuple[str, ...] = ()
    """The system's own duplicate check fields, for an upsert that names none."""
    generated: Generated = "default"
    parent: str = ""
    writable: bool = True

    def add(self, kind: FieldKind) -> None:
        """A custom field."""
        self.fields[kind.name] = replace(kind, custom=True)


def _module_id(name: str) -> str:
    return f"41508680000004{len(name):05}"


@dataclass(slots=True)
class Invalid(Exception):
    """A value Zoho does not take: the details of its INVALID_DATA."""

    details: dict[str, Any] = field(default_factory=dict)


def _number(value: Any, kind: FieldKind) -> Any:
    whole = kind.type == "integer"
    sound = isinstance(value, int) if whole else isinstance(value, int | float)
    if not sound or isinstance(value, bool):
        raise Invalid({"expected_data_type": _JSON[kind.type]})
    if len(str(abs(int(value)))) > kind.length:
        raise Invalid({"maximum_length": kind.length})
    return value


def _boolean(value: Any, _: FieldKind) -> Any:
    if not isinstance(value, bool):
        raise Invalid({"expected_data_type": "boolean"})
    return value


def _date(value: Any, _: FieldKind) -> Any:
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise Invalid({"expected_data_type": "date"}) from None


def _datetime(value: Any, _: FieldKind) -> Any:
    """An offset is wanted, fractions of a second are not."""
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise Invalid({"expected_data_type": "datetime"}) from None
    if at.tzinfo is None or at.microsecond or "." in str(value):
        raise Invalid({"expected_data_type": "datetime"})
    return at


def _one_of(value: Any, kind: FieldKind) -> Any:
    if value not in kind.options:
        raise Invalid({"supported_values": list(kind.options)})
    return value


def _some_of(value: Any, kind: FieldKind) -> Any:
    if not isinstance(value, list):
        raise Invalid({"expected_data_type": "jsonarray"})
    return [_one_of(v, kind) for v in value] or None


def _plain(value: Any, kind: FieldKind) -> Any:
    if not isinstance(value, str):
        raise Invalid({"expected_data_type": "text"})
    if len(value) > kind.length:
        raise Invalid({"maximum_length": kind.length})
    shape = {"email": _EMAIL, "phone": _PHONE}.get(kind.type)
    if shape and not shape.match(value):
        raise Invalid({"expected_data_type": kind.type})
    return value


_TAKEN: Mapping[str, Callable[[Any, FieldKind], Any]] = {
    **dict.fromkeys(NUMBERS, _number),
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "picklist": _one_of,
    "multiselectpicklist": _some_of,
}


def taken(value: Any, kind: FieldKind) -> Any:
    """A written value as it is kept; blanks are null.

    Raises:
        Invalid: Zoho does not take it.
    """
    if value is None or value == "":
        return None
    return _TAKEN.get(kind.type, _plain)(value, kind)
