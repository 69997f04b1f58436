"""The object, field and user rights that a job needs, and a permission set of them.

Sources: Metadata API Developer Guide, "PermissionSet"; Salesforce Help, "Integration User License".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from connector_hub.sdk import Need, Permission

_NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
_LICENCE = "Salesforce Integration"
_ALWAYS = {
    "Id",
    "Name",
    "FirstName",
    "LastName",
    "IsDeleted",
    "MasterRecordId",
    "OwnerId",
    "CreatedById",
    "CreatedDate",
    "LastModifiedById",
    "LastModifiedDate",
    "SystemModstamp",
}
"""Fields that have no right of their own: who sees the record sees them."""
_REQUIRED: Mapping[str, set[str]] = {
    "Lead": {"Company", "Status", "IsConverted"},
    "Opportunity": {"StageName", "CloseDate", "ForecastCategoryName"},
    "Order": {"AccountId", "EffectiveDate", "Status"},
    "OrderItem": {"OrderId", "Product2Id", "PricebookEntryId", "Quantity"},
    "OpportunityLineItem": {"OpportunityId", "PricebookEntryId", "Product2Id"},
    "PricebookEntry": {"Pricebook2Id", "Product2Id", "UnitPrice", "IsActive"},
    "Product2": {"IsActive"},
    "Task": {"Status", "Priority", "Subject", "WhoId", "WhatId"},
    "CampaignMember": {"CampaignId", "LeadId", "ContactId", "Status"},
}
"""The same of one object: a permission set that names a required field is refused."""
_ADDRESS = re.compile(
    r"(Billing|Shipping|Mailing|Other|)"
    r"(?:Street|City|State|StateCode|PostalCode|Country|CountryCode)\Z"
)
_NAMESAKES = {
    *("Account", "Contact", "Lead", "Opportunity", "Campaign", "Order"),
    *("Product2", "Pricebook2", "PricebookEntry"),
}
"""Objects that references to them are named after."""
_PARENTS = {"Contact": "Account", "Opportunity": "Account", "Order": "Account"}
"""Objects that can be read only by who may read these."""
_NO_RIGHTS = {"User", "Organization", "Pricebook2"}
"""Objects that every user may read, as far as sharing goes."""


def permissions(needs: Sequence[Need]) -> list[Permission]:
    """A licence, user rights, then object and field rights by name."""
    found = [
        Permission("licence", _LICENCE, why="act by the API only; five are free"),
        Permission("user", "ApiEnabled", why="use the API"),
    ]
    if any(need.key for need in needs):
        why = "make the fields of the record key"
        found += [
            Permission("user", name, why=why, once=True)
            for name in ("CustomizeApplication", "ManageProfilesPermissionsets")
        ]
    fields: dict[str, Permission] = {}
    for need in sorted(needs, key=lambda n: n.resource):
        if need.resource not in _NO_RIGHTS:
            found.append(_object(need))
        for one in _fields(need):
            before = fields.get(one.name)
            fields[one.name] = one if before is None else _both(before, one)
    there = {p.name for p in found}
    named = {p.name.partition(".")[0] for p in fields.values()}
    named |= {_PARENTS[n.resource] for n in needs if n.resource in _PARENTS}
    found += [
        Permission("object", name, ("read", "view all"), "read what is referred to")
        for name in sorted(named - there)
    ]
    return [*found, *(fields[n] for n in sorted(fields))]


def _object(need: Need) -> Permission:
    """All records are read. "Modify all" would let it delete: so it is asked for only where it deletes."""
    rights = {"read", "view all", *need.rights}
    if "delete" in rights:
        rights |= {"edit", "modify all"}
    order = ("read", "create", "edit", "delete", "view all", "modify all")
    shared = need.changes and "modify all" not in rights
    return Permission(
        "object",
        need.resource,
        tuple(r for r in order if r in rights),
        "see every record; sharing decides which it edits"
        if shared
        else "reach every record, whoever owns it",
    )


def _fields(need: Need) -> Iterator[Permission]:
    for path in sorted(need.reads | need.writes):
        name = _governed(need.resource, path)
        if name is not None:
            edits = path in need.writes and need.changes and "." not in path
            rights = ("read", "edit") if edits else ("read",)
            yield Permission("field", name, rights, "carry it")


def _governed(resource: str, path: str) -> str | None:
    """The field whose right decides about a path; None where none does."""
    relation, dot, rest = path.partition(".")
    if dot and relation in _NAMESAKES:
        return _governed(relation, rest)
    if dot:  # what it leads to cannot be told from its name: the reference itself
        own = f"{relation[:-1]}c" if relation.endswith("__r") else f"{relation}Id"
        return _governed(resource, own)
    if path in _ALWAYS or path in _REQUIRED.get(resource, ()):
        return None
    if resource in _NO_RIGHTS:
        return None
    address = _ADDRESS.match(path)
    return f"{resource}.{address.group(1)}Address" if address else f"{resource}.{path}"


def _both(a: Permission, b: Permission) -> Permission:
    return a if len(a.rights) >= len(b.rights) else replace(a, rights=b.rights)


def as_xml(job: str, found: Iterable[Permission]) -> str:
    """A permission set as the Metadata API deploys it; what is for ``prepare`` alone is left out."""
    root = Element("PermissionSet", xmlns=_NAMESPACE)
    SubElement(root, "description").text = f"What connector-hub needs for {job}."
    lasting = [p for p in found if not p.once]
    for p in sorted((p for p in lasting if p.kind == "field"), key=lambda p: p.name):
        right = SubElement(root, "fieldPermissions")
        _say(right, "editable", yes="edit" in p.rights)
        SubElement(right, "field").text = p.name
        _say(right, "readable", yes=True)
    _say(root, "hasActivationRequired", yes=False)
    SubElement(root, "label").text = f"connector-hub {job}"[:80]
    for p in sorted((p for p in lasting if p.kind == "object"), key=lambda p: p.name):
        right = SubElement(root, "objectPermissions")
        for word in ("Create", "Delete", "Edit", "Read"):
            _say(right, f"allow{word}", yes=word.lower() in p.rights)
        _say(right, "modifyAllRecords", yes="modify all" in p.rights)
        SubElement(right, "object").text = p.name
        _say(right, "viewAllRecords", yes="view all" in p.rights)
    for p in lasting:
        if p.kind == "user":
            right = SubElement(root, "userPermissions")
            _say(right, "enabled", yes=True)
            SubElement(right, "name").text = p.name
    indent(root, "    ")
    text = tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _say(parent: Element, name: str, *, yes: bool) -> None:
    SubElement(parent, name).text = str(yes).lower()
