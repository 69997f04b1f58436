"""The objects the connector knows by itself, and what its calls carry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connector_hub.sdk import Can, Effect, Resource, Way
from connector_hub_salesforce import bulk, companions

PAGE, ROWS, KEYS = 2_000, 200, 250
USER = "User"
"""Read only, for the owners of records: those who may be given some, people with a license who are active."""
MERGEABLE = frozenset({"Account", "Contact", "Lead"})
"""Objects whose records can be merged: only these have a MasterRecordId."""
HOLDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Account": (
        ("Contact", "AccountId"),
        ("Opportunity", "AccountId"),
        ("Order", "AccountId"),
    ),
    "Campaign": (("CampaignMember", "CampaignId"),),
}
"""What would be deleted with a record, and the field that says so (Considerations for Deleting Accounts)."""
_ASSIGNED = {
    "Account": ("territory assignment rules",),
    "Lead": ("assignment rules",),
}
"""What Sforce-Auto-Assign is about (REST API Developer Guide, Assignment Rule Header)."""
_READS = (
    Way("list", PAGE),
    Way("changed", PAGE),
    Way("deleted", PAGE),
    Way("fetch", PAGE),
    Way("find", KEYS),
)
_BESIDE = 5
"""Calls for the companions of 2,000 records that are read, or of 200 that are written."""


def resource(name: str) -> Resource:
    """An object with what can be done with it."""
    made = Resource(
        name,
        Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE | Can.FIND,
        effect=Effect.VENDOR_KEY,
        feeds=("changed", "deleted"),
        ways=(
            *_READS,
            Way("create", ROWS),
            Way("update", ROWS),
            Way("update", 1, conditional=True),
            *(
                Way(op, bulk.ROWS, cost=bulk.CALLS, asynchronous=True)
                for op in ("create", "update")
            ),
            Way("archive", ROWS, cost=1 + len(HOLDS.get(name, ()))),
        ),
        lag=120,
        clock=True,
        billed="data storage, 2 kB each",
        sets_off=("flows", "Apex triggers"),
        kept_still=_ASSIGNED.get(name, ()),
        describes_all=True,
    )
    kinds = companions.KINDS.get(name)
    if kinds is None:
        return made
    ways = [replace(w, cost=w.cost + _BESIDE) for w in made.ways if not w.asynchronous]
    if any(k.object == companions.ROLE for k in kinds):
        ways = [replace(w, per_link=_BESIDE) for w in ways]
        return replace(made, ways=tuple(ways), links=(companions.ROLE,))
    return replace(made, ways=tuple(ways))


NAMES = (
    *("Contact", "Account", "Lead", "Opportunity", "OpportunityLineItem"),
    *("Product2", "Order", "OrderItem", "Task", "Campaign", "CampaignMember"),
)
RESOURCES: Sequence[Resource] = (
    *map(resource, NAMES),
    Resource(USER, Can.READ, ways=_READS[:1]),
)
