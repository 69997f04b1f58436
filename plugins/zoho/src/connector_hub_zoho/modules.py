"""The modules and fields that a Zoho account is born with, as far as the sandbox knows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+\Z")
_PHONE = re.compile(r"[0-9+().\-;\s#a-zA-Z*,:]{1,30}\Z")
_JSON = {
    "boolean": "boolean",
    "integer": "integer",
    "currency": "double",
    "double": "double",
    "percent": "double",
    "lookup": "jsonobject",
    "ownerlookup": "jsonobject",
    "userlookup": "jsonobject",
    "multiselectpicklist": "jsonarray",
}
NUMBERS = {"integer", "currency", "double", "percent"}
LOOKUPS = {"lookup", "ownerlookup", "userlookup"}


@dataclass(frozen=True, slots=True)
class FieldKind:
    """A field's definition."""

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

    def row(self, number: int) -> dict[str, Any]:
        """As ``/settings/fields`` answers it."""
        return {
            "api_name": self.name,
            "field_label": self.label or self.name.replace("_", " "),
            "data_type": self.type,
            "json_type": _JSON.get(self.type, "string"),
            "length": self.length,
            "system_mandatory": self.mandatory,
            "required": self.mandatory,
            "read_only": self.read_only,
            "custom_field": self.custom,
            "unique": {"casesensitive": "false"} if self.unique else {},
            "pick_list_values": [
                {"display_value": o, "actual_value": o, "sequence_number": i + 1}
                for i, o in enumerate(("-None-", *self.options) if self.options else ())
            ],
            "lookup": {"module": {"api_name": self.to}} if self.to else {},
            "operation_type": {
                "api_create": not self.read_only,
                "api_update": not self.read_only,
                "web_create": not self.read_only,
                "web_update": not self.read_only,
            },
            "view_type": {"create": True, "edit": True, "view": True},
            "visible": True,
            "id": f"41508680000000{number:05}",
        }


@dataclass(slots=True)
class Module:
    """A module with its fields by API name."""

    name: str
    titled: str
    """The field that names a record."""
    fields: dict[str, FieldKind]
    checks: tuple[str, ...] = ()
    """The system's own duplicate check fields, for an upsert that names none."""

    def add(self, kind: FieldKind) -> None:
        """A custom field."""
        self.fields[kind.name] = replace(kind, custom=True)


def _text(*names: str, **more: Any) -> list[FieldKind]:
    return [FieldKind(n, **more) for n in names]


def _system() -> list[FieldKind]:
    return [
        FieldKind("id", "bigint", read_only=True),
        FieldKind("Owner", "ownerlookup", to="users"),
        FieldKind("Created_By", "ownerlookup", to="users", read_only=True),
        FieldKind("Modified_By", "ownerlookup", to="users", read_only=True),
        FieldKind("Created_Time", "datetime", read_only=True),
        FieldKind("Modified_Time", "datetime", read_only=True),
    ]


_STAGES = (
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)
PROBABILITY: Mapping[str, int] = {
    "Qualification": 10,
    "Needs Analysis": 20,
    "Value Proposition": 40,
    "Negotiation/Review": 90,
    "Closed Won": 100,
    "Closed Lost": 0,
}
"""What a stage makes of a deal's probability where nobody says another."""


def born() -> dict[str, Module]:
    """The modules of a new account."""
    leads = [
        *_text("First_Name", length=40),
        FieldKind("Last_Name", length=80, mandatory=True),
        FieldKind("Company", length=200, mandatory=True),
        *_text("Designation", "Lead_Source", "City", "State", "Street", length=100),
        *_text("Country", "Zip_Code", length=100),
        FieldKind("Email", "email", 100),
        *_text("Phone", "Mobile", type="phone", length=30),
        FieldKind("Website", "website", 450),
        FieldKind("Description", "textarea", 32_000),
        FieldKind(
            "Lead_Status",
            "picklist",
            options=("Not Contacted", "Contacted", "Junk Lead", "Pre-Qualified"),
        ),
        FieldKind("Annual_Revenue", "currency", 16),
        FieldKind("Converted__s", "boolean", read_only=True),
        FieldKind("Converted_Contact", "lookup", to="Contacts", read_only=True),
        FieldKind("Converted_Account", "lookup", to="Accounts", read_only=True),
        FieldKind("Converted_Deal", "lookup", to="Deals", read_only=True),
        FieldKind("Converted_Date_Time", "datetime", read_only=True),
    ]
    contacts = [
        *_text("First_Name", length=40),
        FieldKind("Last_Name", length=80, mandatory=True),
        *_text("Title", "Department", "Lead_Source", length=100),
        *_text("Mailing_City", "Mailing_State", "Mailing_Street", length=100),
        *_text("Mailing_Country", "Mailing_Zip", length=100),
        FieldKind("Email", "email", 100),
        FieldKind("Secondary_Email", "email", 100),
        *_text("Phone", "Mobile", type="phone", length=30),
        FieldKind("Description", "textarea", 32_000),
        FieldKind("Date_of_Birth", "date"),
        FieldKind("Email_Opt_Out", "boolean"),
        FieldKind("Account_Name", "lookup", to="Accounts"),
        FieldKind("Reporting_To", "lookup", to="Contacts"),
    ]
    accounts = [
        FieldKind("Account_Name", length=200, mandatory=True),
        FieldKind("Phone", "phone", 30),
        FieldKind("Website", "website", 450),
        *_text("Billing_City", "Billing_State", "Billing_Street", length=250),
        *_text("Billing_Country", "Billing_Code", length=100),
        FieldKind(
            "Account_Type",
            "picklist",
            options=("Prospect", "Customer", "Vendor", "Partner", "Other"),
        ),
        FieldKind(
            "Industry", "picklist", options=("Manufacturing", "Retail", "Software")
        ),
        FieldKind("Annual_Revenue", "currency", 16),
        FieldKind("Employees", "integer", 9),
        FieldKind("Description", "textarea", 32_000),
        FieldKind("Parent_Account", "lookup", to="Accounts"),
    ]
    deals = [
        FieldKind("Deal_Name", length=120, mandatory=True),
        FieldKind("Stage", "picklist", mandatory=True, options=_STAGES),
        FieldKind("Amount", "currency", 16),
        FieldKind("Closing_Date", "date"),
        FieldKind("Probability", "integer", 3),
        FieldKind("Expected_Revenue", "currency", 16, read_only=True),
        FieldKind("Type", "picklist", options=("New Business", "Existing Business")),
        FieldKind("Next_Step", length=100),
        FieldKind("Description", "textarea", 32_000),
        FieldKind("Account_Name", "lookup", to="Accounts"),
        FieldKind("Contact_Name", "lookup", to="Contacts"),
    ]
    products = [
        FieldKind("Product_Name", length=200, mandatory=True),
        *_text("Product_Code", "Manufacturer", length=100),
        FieldKind("Unit_Price", "currency", 16),
        FieldKind("Qty_in_Stock", "double", 16),
        FieldKind("Product_Active", "boolean"),
        FieldKind("Description", "textarea", 32_000),
    ]
    return {
        name: Module(name, titled, {f.name: f for f in (*_system(), *own)}, checks)
        for name, titled, own, checks in (
            ("Leads", "Last_Name", leads, ("Email",)),
            ("Contacts", "Last_Name", contacts, ("Email",)),
            ("Accounts", "Account_Name", accounts, ("Account_Name",)),
            ("Deals", "Deal_Name", deals, ("Deal_Name",)),
            ("Products", "Product_Name", products, ("Product_Name",)),
        )
    }


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
    return [_one_of(v, kind) for v in value]


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
