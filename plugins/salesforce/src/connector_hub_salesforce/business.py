"""What the sandbox's org makes of records by itself: stages, prices, sums, and what follows a record.

Source: Object Reference for the Salesforce Platform, the usage sections of each object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from connector_hub_salesforce.objects import Kind
from connector_hub_salesforce.refused import Refused
from connector_hub_salesforce.sales import STAGES

if TYPE_CHECKING:
    from connector_hub_salesforce.org import Org

Row = dict[str, Any]
CHILDREN: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Account": (
        ("Contact", "AccountId"),
        ("Opportunity", "AccountId"),
        ("Order", "AccountId"),
    ),
    "Opportunity": (
        ("OpportunityLineItem", "OpportunityId"),
        ("OpportunityContactRole", "OpportunityId"),
    ),
    "Order": (("OrderItem", "OrderId"),),
    "Campaign": (("CampaignMember", "CampaignId"),),
    "Contact": (
        ("OpportunityContactRole", "ContactId"),
        ("CampaignMember", "ContactId"),
    ),
    "Lead": (("CampaignMember", "LeadId"),),
    "Product2": (("PricebookEntry", "Product2Id"),),
}
"""What is deleted with a record, and the field that says so."""
_PARENTS = {"OpportunityLineItem": "Opportunity", "OrderItem": "Order"}
_ONCE: Mapping[str, tuple[tuple[str, str], ...]] = {
    "PricebookEntry": (("Pricebook2Id", "Product2Id"),),
    "CampaignMember": (("CampaignId", "ContactId"), ("CampaignId", "LeadId")),
}
"""Fields of which two records may not hold the same."""


def complete(org: Org, kind: Kind, row: Row, values: Row, old: Row | None) -> None:
    """Fill in what a record gets by itself, before it is kept.

    Args:
        org: where it is.
        kind: its object.
        row: the record as it will be.
        values: what was written.
        old: as it was; None of a new one.

    Raises:
        Refused: a rule of the object.
    """
    match kind.name:
        case "Opportunity":
            _staged(row, values, old)
        case "OpportunityLineItem" | "OrderItem":
            _priced(org, kind, row, values)
        case "PricebookEntry":
            _listed(org, row)
        case "CampaignMember":
            if not (row["ContactId"] or row["LeadId"]):
                raise Refused(
                    "REQUIRED_FIELD_MISSING",
                    "Required fields are missing: [LeadId or ContactId]",
                    ("ContactId",),
                )
            row["HasResponded"] = row["Status"] == "Responded"
        case "Task":
            row["IsClosed"] = row["Status"] == "Completed"
        case "Order":
            _ordered(org, row, old)
    _once(org, kind, row, old)


def _staged(row: Row, values: Row, old: Row | None) -> None:
    """A stage brings its probability and forecast; a sum of products is nobody's to write."""
    if old is None or ("StageName" in values and old["StageName"] != row["StageName"]):
        probability, forecast = STAGES.get(row["StageName"], (None, None))
        if "Probability" not in values:
            row["Probability"] = probability
        if "ForecastCategoryName" not in values:
            row["ForecastCategoryName"] = forecast
    row["IsClosed"] = row["StageName"] in {"Closed Won", "Closed Lost"}
    row["IsWon"] = row["StageName"] == "Closed Won"
    if old is not None and old["HasOpportunityLineItem"]:
        row["Amount"] = old["Amount"]


def _ordered(org: Org, row: Row, old: Row | None) -> None:
    """An order is born as a draft, and is activated when it has products."""
    if old is None:
        row["OrderNumber"] = f"{org.tables['Order'].serial + 1:08}"
        row["TotalAmount"] = 0.0
    activates = (
        row["Status"] == "Activated" and (old or {}).get("Status") != "Activated"
    )
    if not activates:
        return
    if old is None:
        raise Refused(
            "FAILED_ACTIVATION", "A new order has a status of draft.", ("Status",)
        )
    lines = org.tables["OrderItem"].rows.values()
    if not any(line["OrderId"] == old["Id"] for line in lines):
        raise Refused("FAILED_ACTIVATION", "An order must have at least one product.")


def _priced(org: Org, kind: Kind, row: Row, values: Row) -> None:
    entry = org.tables["PricebookEntry"].rows[row["PricebookEntryId"]]
    row["Product2Id"] = entry["Product2Id"]
    if values.get("UnitPrice") is None and values.get("TotalPrice") is not None:
        row["UnitPrice"] = row["TotalPrice"] / row["Quantity"]
    if row.get("UnitPrice") is None:
        raise Refused(
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [UnitPrice]",
            ("UnitPrice",),
        )
    row["TotalPrice"] = row["UnitPrice"] * row["Quantity"]
    if kind.name == "OpportunityLineItem":
        return
    status = org.tables["Order"].rows[row["OrderId"]]["Status"]
    if status == "Activated":
        raise Refused(
            "FIELD_INTEGRITY_EXCEPTION",
            "You can't edit or add products to an activated order.",
        )


def _listed(org: Org, row: Row) -> None:
    product = org.tables["Product2"].rows[row["Product2Id"]]
    row["Name"], row["ProductCode"] = product["Name"], product["ProductCode"]
    standard = next(
        i for i, b in org.tables["Pricebook2"].rows.items() if b["IsStandard"]
    )
    if row["Pricebook2Id"] != standard and not any(
        (e["Pricebook2Id"], e["Product2Id"]) == (standard, row["Product2Id"])
        for e in org.tables["PricebookEntry"].rows.values()
    ):
        raise Refused(
            "STANDARD_PRICE_NOT_DEFINED",
            "Before creating a custom price, create a standard price.",
        )


def _once(org: Org, kind: Kind, row: Row, old: Row | None) -> None:
    for names in _ONCE.get(kind.name, ()):
        mine = [row[n] for n in names]
        if None in mine:
            continue
        for other in org.tables[kind.name].rows.values():
            if (
                other["Id"] != (old or {}).get("Id")
                and [other[n] for n in names] == mine
            ):
                raise Refused(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {names[1]} duplicates value on record with "
                    f"id: {other['Id'][:15]}",
                )


def follow(org: Org, kind: Kind, row: Row) -> None:
    """What a line that was written or deleted makes of the record it belongs to."""
    parent = _PARENTS.get(kind.name)
    if parent is None:
        return
    name = f"{parent}Id"
    there = org.tables[parent].rows.get(row[name])
    if there is None:
        return
    lines = [r for r in org.tables[kind.name].rows.values() if r[name] == row[name]]
    total = sum(r["TotalPrice"] for r in lines)
    if parent == "Order":
        org.touch(parent, there, {"TotalAmount": total})
    else:
        amount = total if lines else there["Amount"]
        org.touch(
            parent,
            there,
            {"Amount": amount, "HasOpportunityLineItem": bool(lines)},
        )
