"""The properties a HubSpot account is born with, as far as the sandbox knows them."""

from __future__ import annotations

from dataclasses import dataclass

STAGES = (
    "subscriber",
    "lead",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "opportunity",
    "customer",
    "evangelist",
    "other",
)
"""Lifecycle stages in their order; writes over the API only move forward."""


@dataclass(slots=True)
class Property:
    """A property's definition."""

    name: str
    label: str
    type: str = "string"
    shown_as: str = "text"
    group: str = ""
    options: tuple[str, ...] = ()
    unique: bool = False
    read_only: bool = False
    refers_to: str = ""
    ours: bool = True
    """Defined by HubSpot rather than by the account."""

    def row(self) -> dict[str, object]:
        """As the properties API answers it."""
        options = [
            {"label": o.title(), "value": o, "displayOrder": i, "hidden": False}
            for i, o in enumerate(self.options)
        ]
        more = {"referencedObjectType": self.refers_to} if self.refers_to else {}
        return {
            **more,
            "name": self.name,
            "label": self.label,
            "type": self.type,
            "fieldType": self.shown_as,
            "groupName": self.group,
            "description": "",
            "options": options,
            "displayOrder": -1,
            "calculated": False,
            "externalOptions": bool(self.refers_to),
            "hasUniqueValue": self.unique,
            "hidden": False,
            "hubspotDefined": self.ours,
            "modificationMetadata": {
                "archivable": not self.ours,
                "readOnlyDefinition": self.ours,
                "readOnlyValue": self.read_only,
            },
            "formField": not self.read_only,
            "dataSensitivity": "non_sensitive",
        }


def _texts(*names: str) -> list[Property]:
    return [Property(n, n.replace("_", " ").title()) for n in names]


OWNERS: tuple[tuple[str, str, str, bool], ...] = (
    ("7101", "Ratna", "Dewanti", False),
    ("7102", "Budi", "Hartono", False),
    ("7103", "Joko", "Susilo", True),
)
"""Owners: id, names, and whether they have left (archived)."""


def _owner(label: str) -> Property:
    return Property(
        "hubspot_owner_id", label, "enumeration", "select", refers_to="OWNER"
    )


def _stage(stages: tuple[str, ...]) -> Property:
    return Property(
        "lifecyclestage", "Lifecycle Stage", "enumeration", "radio", options=stages
    )


def _system(stamp: str) -> list[Property]:
    return [
        Property("createdate", "Create Date", "datetime", "date", read_only=False),
        Property(stamp, "Last Modified Date", "datetime", "date", read_only=True),
        Property("hs_object_id", "Record ID", "number", "number", read_only=True),
        Property(
            "hs_merged_object_ids",
            "Merged record IDs",
            "enumeration",
            "checkbox",
            read_only=True,
        ),
        Property(
            "hs_object_source_label", "Record source", "string", "text", read_only=True
        ),
    ]


def contacts(extra_stages: tuple[str, ...] = ()) -> dict[str, Property]:
    """Definitions of contacts."""
    found = [
        *_texts(
            "email",
            "firstname",
            "lastname",
            "phone",
            "mobilephone",
            "jobtitle",
            "company",
        ),
        *_texts("address", "city", "state", "zip", "country", "website"),
        _owner("Contact owner"),
        *_texts("hs_additional_emails", "salutation", "fax"),
        _stage((*STAGES, *extra_stages)),
        Property(
            "hs_lead_status",
            "Lead Status",
            "enumeration",
            "radio",
            options=(
                "NEW",
                "OPEN",
                "IN_PROGRESS",
                "OPEN_DEAL",
                "UNQUALIFIED",
                "CONNECTED",
                "BAD_TIMING",
            ),
        ),
        Property("annualrevenue", "Annual Revenue"),
        Property(
            "associatedcompanyid",
            "Primary Associated Company ID",
            "number",
            "number",
            read_only=True,
        ),
        *_system("lastmodifieddate"),
    ]
    for p in found:
        p.group = "contactinformation"
    return {p.name: p for p in found}


def companies(extra_stages: tuple[str, ...] = ()) -> dict[str, Property]:
    """Definitions of companies."""
    found = [
        *_texts(
            "name",
            "domain",
            "phone",
            "address",
            "city",
            "state",
            "zip",
            "country",
            "website",
        ),
        *_texts("description"),
        _owner("Company owner"),
        _stage((*STAGES, *extra_stages)),
        Property(
            "industry",
            "Industry",
            "enumeration",
            "select",
            options=(
                "COMPUTER_SOFTWARE",
                "FOOD_BEVERAGES",
                "LOGISTICS_AND_SUPPLY_CHAIN",
                "RETAIL",
            ),
        ),
        Property("annualrevenue", "Annual Revenue", "number", "number"),
        Property("numberofemployees", "Number of Employees", "number", "number"),
        *_system("hs_lastmodifieddate"),
    ]
    for p in found:
        p.group = "companyinformation"
    return {p.name: p for p in found}
