"""The sandbox's objects of selling: deals, products, orders, campaigns, tasks, and one of the account's own.

Fields, lengths and options: Object Reference for the Salesforce Platform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector_hub_salesforce.objects import (
    LONG_TEXT,
    Field,
    Kind,
    audited,
    born,
    lookup,
    system,
)

STAGES: Mapping[str, tuple[int, str]] = {
    "Prospecting": (10, "Pipeline"),
    "Qualification": (10, "Pipeline"),
    "Needs Analysis": (20, "Pipeline"),
    "Value Proposition": (50, "Pipeline"),
    "Id. Decision Makers": (60, "Pipeline"),
    "Perception Analysis": (70, "Pipeline"),
    "Proposal/Price Quote": (75, "Pipeline"),
    "Negotiation/Review": (90, "Pipeline"),
    "Closed Won": (100, "Closed"),
    "Closed Lost": (0, "Omitted"),
}
"""What a stage makes of probability and forecast category; those of a new org."""
FORECASTS = ("Omitted", "Pipeline", "Best Case", "Commit", "Closed")
ROLES = (
    "Business User",
    "Decision Maker",
    "Economic Buyer",
    "Executive Sponsor",
    "Influencer",
    "Other",
)
_SOURCES = ("Web", "Phone Inquiry", "Partner Referral", "Purchased List", "Other")


def _kind(
    name: str, label: str, fields: list[Field], *, owned: bool = True, **more: Any
) -> Kind:
    stamps = [f for f in audited() if owned or f.name != "OwnerId"]
    # Only accounts, contacts and leads can be merged.
    own = [f for f in born(name, label) if f.name != "MasterRecordId"]
    every = [*own, *fields, *stamps]
    return Kind(name, label, f"{label}s", {f.name: f for f in every}, **more)


def _text(name: str, label: str, length: int = 255, **more: Any) -> Field:
    return Field(name, label, "string", length, **more)


def _words(name: str, label: str, *options: str, **more: Any) -> Field:
    return Field(name, label, "picklist", 255, options=options, **more)


def _flag(name: str, label: str) -> Field:
    return Field(name, label, "boolean", nillable=False, defaulted=True)


def _description() -> Field:
    return Field("Description", "Description", "textarea", LONG_TEXT)


def opportunity() -> Kind:
    """A deal. Its amount is the sum of its products once it has some."""
    return _kind(
        "Opportunity",
        "Opportunity",
        [
            lookup("AccountId", "Account ID", "Account", nillable=True),
            _text("Name", "Name", 120, nillable=False),
            _description(),
            _words("StageName", "Stage", *STAGES, nillable=False),
            Field("Amount", "Amount", "currency"),
            Field("Probability", "Probability (%)", "percent"),
            Field("CloseDate", "Close Date", "date", nillable=False),
            _words("Type", "Opportunity Type", "Existing Business", "New Business"),
            _text("NextStep", "Next Step"),
            _words("LeadSource", "Lead Source", *_SOURCES),
            system("IsClosed", "Closed", "boolean"),
            system("IsWon", "Won", "boolean"),
            _words(
                "ForecastCategoryName",
                "Forecast Category",
                *FORECASTS,
                restricted=True,
            ),
            lookup("CampaignId", "Campaign ID", "Campaign", nillable=True),
            lookup("Pricebook2Id", "Price Book ID", "Pricebook2", nillable=True),
            system("HasOpportunityLineItem", "Has Line Item", "boolean"),
        ],
    )


def contact_role() -> Kind:
    """Whose part somebody plays in a deal."""
    return _kind(
        "OpportunityContactRole",
        "Opportunity Contact Role",
        [
            lookup("OpportunityId", "Opportunity ID", "Opportunity", updateable=False),
            lookup("ContactId", "Contact ID", "Contact"),
            _words("Role", "Role", *ROLES),
            _flag("IsPrimary", "Primary"),
        ],
        owned=False,
    )


def products() -> tuple[Kind, Kind, Kind]:
    """Products, price books, and what a product costs in one."""
    return (
        _kind(
            "Product2",
            "Product",
            [
                _text("Name", "Product Name", nillable=False),
                _text("ProductCode", "Product Code"),
                Field("Description", "Product Description", "textarea", 4000),
                _flag("IsActive", "Active"),
                _words("Family", "Product Family", "None"),
                _text("StockKeepingUnit", "Product SKU", 180),
            ],
            owned=False,
        ),
        _kind(
            "Pricebook2",
            "Price Book",
            [
                _text("Name", "Price Book Name", nillable=False),
                _flag("IsActive", "Active"),
                system("IsStandard", "Is Standard Price Book", "boolean"),
            ],
            owned=False,
        ),
        _kind(
            "PricebookEntry",
            "Price Book Entry",
            [
                system("Name", "Product Name", "string", nillable=True),
                lookup("Pricebook2Id", "Price Book ID", "Pricebook2", updateable=False),
                lookup("Product2Id", "Product ID", "Product2", updateable=False),
                Field("UnitPrice", "List Price", "currency", nillable=False),
                _flag("IsActive", "Active"),
                _flag("UseStandardPrice", "Use Standard Price"),
                system("ProductCode", "Product Code", "string", nillable=True),
            ],
            owned=False,
        ),
    )


def _line(name: str, label: str, parent: str) -> Kind:
    """A line of a deal or of an order."""
    return _kind(
        name,
        label,
        [
            lookup(f"{parent}Id", f"{parent} ID", parent, updateable=False),
            lookup(
                "PricebookEntryId",
                "Price Book Entry ID",
                "PricebookEntry",
                updateable=False,
            ),
            system(
                "Product2Id",
                "Product ID",
                "reference",
                nillable=True,
                refers_to="Product2",
                relationship="Product2",
            ),
            Field("Quantity", "Quantity", "double", nillable=False),
            Field("UnitPrice", "Sales Price", "currency", nillable=parent != "Order"),
            Field(
                "TotalPrice",
                "Total Price",
                "currency",
                createable=parent != "Order",
                updateable=parent != "Order",
            ),
            Field("ServiceDate", "Date", "date"),
            _text("Description", "Line Description"),
        ],
        owned=False,
    )


def orders() -> tuple[Kind, Kind, Kind]:
    """Orders, their lines, and the lines of deals."""
    return (
        _kind(
            "Order",
            "Order",
            [
                lookup("AccountId", "Account ID", "Account", nillable=True),
                lookup("Pricebook2Id", "Price Book ID", "Pricebook2", nillable=True),
                lookup("OpportunityId", "Opportunity ID", "Opportunity", nillable=True),
                _text("Name", "Order Name", 80),
                Field("EffectiveDate", "Order Start Date", "date", nillable=False),
                Field("EndDate", "Order End Date", "date"),
                _words("Status", "Status", "Draft", "Activated", nillable=False),
                _description(),
                lookup(
                    "BillToContactId", "Bill To Contact ID", "Contact", nillable=True
                ),
                _words("Type", "Order Type"),
                _text("OrderReferenceNumber", "Order Reference Number", 80),
                _text("PoNumber", "PO Number", 80),
                system("TotalAmount", "Order Amount", "currency"),
                system("OrderNumber", "Order Number", "string"),
            ],
        ),
        _line("OrderItem", "Order Product", "Order"),
        _line("OpportunityLineItem", "Opportunity Product", "Opportunity"),
    )


def campaigns() -> tuple[Kind, Kind]:
    """Campaigns and who is in them: contacts or leads."""
    return (
        _kind(
            "Campaign",
            "Campaign",
            [
                _text("Name", "Name", 80, nillable=False),
                _words("Type", "Type", "Conference", "Webinar", "Email", "Other"),
                _words(
                    "Status",
                    "Status",
                    *("Planned", "In Progress", "Completed", "Aborted"),
                    default="Planned",
                ),
                Field("StartDate", "Start Date", "date"),
                Field("EndDate", "End Date", "date"),
                Field("BudgetedCost", "Budgeted Cost", "currency"),
                _flag("IsActive", "Active"),
                _description(),
            ],
        ),
        _kind(
            "CampaignMember",
            "Campaign Member",
            [
                lookup("CampaignId", "Campaign ID", "Campaign", updateable=False),
                lookup("LeadId", "Lead ID", "Lead", nillable=True, updateable=False),
                lookup(
                    "ContactId",
                    "Contact ID",
                    "Contact",
                    nillable=True,
                    updateable=False,
                ),
                _words("Status", "Status", "Sent", "Responded", default="Sent"),
                system("HasResponded", "Responded", "boolean"),
            ],
            owned=False,
        ),
    )


def task() -> Kind:
    """An activity: with whom, and about what, which may be of several objects."""
    return _kind(
        "Task",
        "Task",
        [
            lookup("WhoId", "Name ID", "Contact", "Lead", nillable=True),
            lookup(
                "WhatId",
                "Related To ID",
                *("Account", "Opportunity", "Order", "Campaign", "Project__c"),
                nillable=True,
            ),
            _text("Subject", "Subject"),
            Field("ActivityDate", "Due Date Only", "date"),
            _words(
                "Status",
                "Status",
                *("Not Started", "In Progress", "Completed"),
                *("Waiting on someone else", "Deferred"),
                nillable=False,
                default="Not Started",
            ),
            _words(
                "Priority",
                "Priority",
                *("High", "Normal", "Low"),
                nillable=False,
                default="Normal",
            ),
            _description(),
            system("IsClosed", "Closed", "boolean"),
            system("IsArchived", "Archived", "boolean"),
        ],
    )


def project() -> Kind:
    """An object of the account's own, as describe calls show such."""
    return _kind(
        "Project__c",
        "Project",
        [
            _text("Name", "Project Name", 80, nillable=False, defaulted=True),
            _text("Code__c", "Code", 20, nillable=False, unique=True, external=True),
            _words("Phase__c", "Phase", "Plan", "Build", "Run", restricted=True),
            Field(
                "Regions__c",
                "Regions",
                "multipicklist",
                4099,
                options=("APAC", "EMEA", "AMER"),
                restricted=True,
            ),
            Field("Budget__c", "Budget", "currency"),
            Field("Start__c", "Start", "date"),
            _flag("Billable__c", "Billable"),
            lookup("Account__c", "Account", "Account", nillable=True),
            system("Age__c", "Age", "double", nillable=True),
        ],
    )


def kinds() -> tuple[Kind, ...]:
    """All of them."""
    return (
        opportunity(),
        contact_role(),
        *products(),
        *orders(),
        *campaigns(),
        task(),
        project(),
    )
