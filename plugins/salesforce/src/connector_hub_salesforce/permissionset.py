"""The object, field and user rights that a job needs, and a permission set of them.

Sources: Metadata API Developer Guide, "PermissionSet"; Salesforce Help, "Integration User License".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from connector_hub.sdk import Can, Need, Permission, Right

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
_FLAGS: Mapping[Can, str] = {
    Can.READ: "queryable",
    Can.CREATE: "createable",
    Can.UPDATE: "updateable",
    Can.ARCHIVE: "deletable",
}
"""What an object's description calls what may be done with its records."""
_NO_RIGHTS = {"User", "Organization"}
"""Objects that every user may read, as far as sharing goes."""
_FOLLOWS = {
    "PricebookEntry": "Pricebook2",
    "OrderItem": "Order",
    "OpportunityLineItem": "Opportunity",
    "OpportunityContactRole": "Opportunity",
    "CampaignMember": "Campaign",
}
"""Objects without rights of their own: who may edit these may edit them."""
_ACTIVITIES = {"Task": "EditTask", "Event": "EditEvent"}
"""Activities have a user's rights in place of an object's."""


def permissions(needs: Sequence[Need]) -> list[Permission]:
    """Licences, user rights, then object and field rights, each once and by name."""
    found = [*_licences(needs), *_user_rights(needs)]
    fields: dict[str, Permission] = {}
    for need in needs:
        for one in _fields(need):
            before = fields.get(one.name)
            fields[one.name] = one if before is None else _both(before, one)
    objects: dict[str, Need] = {}
    for each in (*needs, *(n for need in needs for n in _beside(need))):
        name = _FOLLOWS.get(each.resource, each.resource)
        if name not in _NO_RIGHTS and name not in _ACTIVITIES:
            own = _followed(each, name)
            objects[name] = objects[name] | own if name in objects else own
    for field in fields:
        name = field.partition(".")[0]
        name = _FOLLOWS.get(name, name)
        if name not in _ACTIVITIES:
            objects.setdefault(name, Need(name))
    found += [_object(objects[name]) for name in sorted(objects)]
    return [*found, *(fields[n] for n in sorted(fields))]


def _followed(need: Need, name: str) -> Need:
    """What the object needs that another's rights decide about: to write the one is to edit the other."""
    if name == need.resource:
        return need
    rights: set[Right] = {"read", "edit"} if need.changes else {"read"}
    return replace(need, resource=name, rights=frozenset(rights))


def _licences(needs: Sequence[Need]) -> Iterator[Permission]:
    yield Permission("licence", _LICENCE, why="act by the API only; five are free")
    if any(n.changes for n in needs if n.resource in {"Campaign", "CampaignMember"}):
        yield Permission("licence", "Marketing User", why="edit campaigns")


def _user_rights(needs: Sequence[Need]) -> Iterator[Permission]:
    yield Permission("user", "ApiEnabled", why="use the API")
    for name in sorted({n.resource for n in needs} & {*_ACTIVITIES}):
        yield Permission("user", "ActivitiesAccess", why="see tasks and events")
        if any(n.changes for n in needs if n.resource == name):
            yield Permission("user", _ACTIVITIES[name], why=f"write {name}")
    if any("Status" in n.writes for n in needs if n.resource == "Order"):
        yield Permission("user", "ActivateOrder", why="activate orders")
    if any(n.key for n in needs):
        why = "make the fields of the record key"
        for name in ("CustomizeApplication", "ManageProfilesPermissionsets"):
            yield Permission("user", name, why=why, once=True)


def _beside(need: Need) -> Iterator[Need]:
    """What is read or written along with a record: companions, and what its rights rest on."""
    if need.resource in _PARENTS:
        yield Need(_PARENTS[need.resource])
    for path in need.reads | need.writes:
        relation = path.partition(".")[0]
        if relation in _FOLLOWS:
            written = path in need.writes and need.changes
            rights: set[Right] = {"read", "edit"} if written else {"read"}
            yield Need(relation, frozenset(rights))


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
        return None  # everybody sees them
    address = _ADDRESS.match(path)
    return f"{resource}.{address.group(1)}Address" if address else f"{resource}.{path}"


def _both(a: Permission, b: Permission) -> Permission:
    return a if len(a.rights) >= len(b.rights) else replace(a, rights=b.rights)


def allowed(body: Mapping[str, Any]) -> Can:
    """What the user may do with records of an object, as its description says."""
    found = ~Can(0)
    for can, flag in _FLAGS.items():
        if not body.get(flag, True):
            found &= ~can
    return found


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
