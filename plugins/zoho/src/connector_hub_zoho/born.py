"""The modules that a Zoho account is born with, as far as the sandbox knows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector_hub_zoho.modules import FieldKind, Module

_STAGES = (
    "Qualification",
    "Needs Analysis",
    "Value Proposition",
    "Identify Decision Makers",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
    "Closed-Lost to Competition",
)
PROBABILITY: Mapping[str, int] = dict(
    zip(_STAGES, (10, 20, 40, 60, 75, 90, 100, 0, 0), strict=True)
)
"""What a stage makes of a deal's probability where nobody says another."""
PIPELINE = "Standard (Standard)"
_SOURCES = (
    "Advertisement",
    "Cold Call",
    "Employee Referral",
    "External Referral",
    "Online Store",
    "Partner",
    "Public Relations",
    "Sales Email Alias",
    "Seminar Partner",
    "Internal Seminar",
    "Trade Show",
    "Web Download",
    "Web Research",
    "Web Cases",
    "Web Mail",
    "Chat",
)
WEB = "Web Download"
"""The source that the form on the web site gives its leads."""
RELATED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Accounts": {
        "Contacts": ("Contacts", "Account_Name"),
        "Deals": ("Deals", "Account_Name"),
        "SalesOrders": ("Sales_Orders", "Account_Name"),
        "Invoices": ("Invoices", "Account_Name"),
    },
    "Contacts": {
        "Deals": ("Deals", "Contact_Name"),
        "SalesOrders": ("Sales_Orders", "Contact_Name"),
        "Invoices": ("Invoices", "Contact_Name"),
    },
    "Vendors": {"Purchase_Orders": ("Purchase_Orders", "Vendor_Name")},
}
"""Related lists of those who point to a record: by list, their module and their lookup."""
JOINED: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Campaigns": {
        "Leads": ("Leads", "Campaigns"),
        "Contacts": ("Contacts", "Campaigns"),
    },
    "Leads": {"Campaigns": ("Campaigns", "Leads")},
    "Contacts": {
        "Campaigns": ("Campaigns", "Contacts"),
        "Deals_of_Role": ("Deals", "Contact_Roles"),
    },
    "Deals": {"Contact_Roles": ("Contacts", "Deals_of_Role")},
}
"""Related lists of many to many: by list, the other module and the list on its side."""
ABOUT = ("Accounts", "Deals", "Leads", "Campaigns", "Sales_Orders", "Invoices")
"""What a task may be about (What_Id, told by $se_module); a contact is its Who_Id."""


def _text(*names: str, **more: Any) -> list[FieldKind]:
    return [FieldKind(n, **more) for n in names]


def _picked(name: str, *options: str, **more: Any) -> FieldKind:
    return FieldKind(name, "picklist", options=options, **more)


def _system() -> list[FieldKind]:
    return [
        FieldKind("id", "bigint", read_only=True),
        FieldKind("Owner", "ownerlookup", to="users"),
        FieldKind("Created_By", "ownerlookup", to="users", read_only=True),
        FieldKind("Modified_By", "ownerlookup", to="users", read_only=True),
        FieldKind("Created_Time", "datetime", read_only=True),
        FieldKind("Modified_Time", "datetime", read_only=True),
    ]


def _note() -> FieldKind:
    return FieldKind("Description", "textarea", 32_000)


def _leads() -> list[FieldKind]:
    return [
        *_text("First_Name", length=40),
        FieldKind("Last_Name", length=80, mandatory=True),
        FieldKind("Company", length=200, required=True),
        *_text("Designation", "City", "State", "Street", length=100),
        *_text("Country", "Zip_Code", length=100),
        _picked("Lead_Source", *_SOURCES),
        FieldKind("Email", "email", 100),
        *_text("Phone", "Mobile", type="phone", length=30),
        FieldKind("Website", "website", 450),
        _note(),
        _picked(
            "Lead_Status",
            "Attempted to Contact",
            "Contact in Future",
            "Contacted",
            "Junk Lead",
            "Lost Lead",
            "Not Contacted",
            "Pre-Qualified",
            "Not Qualified",
        ),
        FieldKind("Annual_Revenue", "currency", 16),
        FieldKind("Converted__s", "boolean", read_only=True),
        FieldKind("Converted_Contact", "lookup", to="Contacts", read_only=True),
        FieldKind("Converted_Account", "lookup", to="Accounts", read_only=True),
        FieldKind("Converted_Deal", "lookup", to="Deals", read_only=True),
        FieldKind("Converted_Date_Time", "datetime", read_only=True),
    ]


def _contacts() -> list[FieldKind]:
    return [
        *_text("First_Name", length=40),
        FieldKind("Last_Name", length=80, mandatory=True),
        *_text("Title", "Department", length=100),
        _picked("Lead_Source", *_SOURCES),
        *_text("Mailing_City", "Mailing_State", "Mailing_Street", length=100),
        *_text("Mailing_Country", "Mailing_Zip", length=100),
        FieldKind("Email", "email", 100),
        FieldKind("Secondary_Email", "email", 100),
        *_text("Phone", "Mobile", type="phone", length=30),
        _note(),
        FieldKind("Date_of_Birth", "date"),
        FieldKind("Email_Opt_Out", "boolean"),
        FieldKind("Account_Name", "lookup", to="Accounts"),
        FieldKind("Reporting_To", "lookup", to="Contacts"),
    ]


def _accounts() -> list[FieldKind]:
    return [
        FieldKind("Account_Name", length=200, mandatory=True),
        FieldKind("Phone", "phone", 30),
        FieldKind("Website", "website", 450),
        *_text("Billing_City", "Billing_State", "Billing_Street", length=250),
        *_text("Billing_Country", "Billing_Code", length=100),
        _picked("Account_Type", "Prospect", "Customer", "Vendor", "Partner", "Other"),
        _picked("Industry", "Manufacturing", "Retail", "Software"),
        FieldKind("Annual_Revenue", "currency", 16),
        FieldKind("Employees", "integer", 9),
        _note(),
        FieldKind("Parent_Account", "lookup", to="Accounts"),
    ]


def _deals() -> list[FieldKind]:
    return [
        FieldKind("Deal_Name", length=120, mandatory=True),
        _picked("Stage", *_STAGES, mandatory=True),
        _picked("Pipeline", PIPELINE),
        FieldKind("Amount", "currency", 16),
        FieldKind("Closing_Date", "date"),
        FieldKind("Probability", "integer", 3),
        FieldKind("Expected_Revenue", "currency", 16, read_only=True),
        _picked("Type", "New Business", "Existing Business"),
        _picked("Lead_Source", *_SOURCES),
        FieldKind("Next_Step", length=100),
        _note(),
        FieldKind("Account_Name", "lookup", to="Accounts"),
        FieldKind("Contact_Name", "lookup", to="Contacts"),
        FieldKind("Campaign_Source", "lookup", to="Campaigns"),
    ]


def _products() -> list[FieldKind]:
    return [
        FieldKind("Product_Name", length=200, mandatory=True),
        *_text("Product_Code", "Manufacturer", length=100),
        FieldKind("Unit_Price", "currency", 16),
        FieldKind("Qty_in_Stock", "double", 16),
        FieldKind("Product_Active", "boolean"),
        _note(),
    ]


def _sold(number: str, lines: str, *own: FieldKind) -> list[FieldKind]:
    """A document with lines: quotes, orders and invoices have these in common."""
    return [
        FieldKind("Subject", length=120, mandatory=True),
        FieldKind(number, "autonumber", read_only=True),
        *own,
        FieldKind(lines, "subform", to=lines, mandatory=True),
        FieldKind("Discount", "currency", 16),
        FieldKind("Tax", "currency", 16),
        FieldKind("Adjustment", "currency", 16),
        FieldKind("Sub_Total", "formula", 16, read_only=True),
        FieldKind("Grand_Total", "formula", 16, read_only=True),
        *_text("Billing_City", "Billing_Street", "Billing_Country", length=250),
        *_text("Shipping_City", "Shipping_Street", "Shipping_Country", length=250),
        FieldKind("Terms_and_Conditions", "textarea", 32_000),
        _note(),
    ]


def _customer() -> list[FieldKind]:
    return [
        FieldKind("Account_Name", "lookup", to="Accounts", required=True),
        FieldKind("Contact_Name", "lookup", to="Contacts"),
        FieldKind("Deal_Name", "lookup", to="Deals"),
    ]


def _lines() -> list[FieldKind]:
    return [
        FieldKind("id", "bigint", read_only=True),
        FieldKind("Product_Name", "lookup", to="Products", mandatory=True),
        FieldKind("Quantity", "double", 16),
        FieldKind("List_Price", "currency", 16),
        FieldKind("Discount", "currency", 16),
        FieldKind("Tax", "currency", 16),
        FieldKind("Description", "textarea", 2_000),
        FieldKind("Total", "formula", 16, read_only=True),
        FieldKind("Net_Total", "formula", 16, read_only=True),
        FieldKind("Sequence_Number", "integer", 9, read_only=True),
        FieldKind("Parent_Id", "lookup", read_only=True),
        FieldKind("Created_Time", "datetime", read_only=True),
        FieldKind("Modified_Time", "datetime", read_only=True),
    ]


def _orders() -> list[FieldKind]:
    return _sold(
        "SO_Number",
        "Ordered_Items",
        *_customer(),
        _picked("Status", "Created", "Approved", "Delivered", "Cancelled"),
        FieldKind("Purchase_Order", length=120),
        FieldKind("Due_Date", "date"),
        FieldKind("Quote_Name", "lookup", to="Quotes"),
    )


def _purchase_orders() -> list[FieldKind]:
    return _sold(
        "PO_Number",
        "Purchase_Items",
        FieldKind("Vendor_Name", "lookup", to="Vendors", required=True),
        FieldKind("Contact_Name", "lookup", to="Contacts"),
        _picked("Status", "Created", "Approved", "Delivered", "Cancelled"),
        FieldKind("Requisition_No", length=120),
        FieldKind("PO_Date", "date"),
        FieldKind("Due_Date", "date"),
    )


def _invoices() -> list[FieldKind]:
    return _sold(
        "Invoice_Number",
        "Invoiced_Items",
        *_customer(),
        _picked("Status", "Created", "Approved", "Delivered", "Cancelled"),
        FieldKind("Purchase_Order", length=120),
        FieldKind("Invoice_Date", "date"),
        FieldKind("Due_Date", "date"),
        FieldKind("Sales_Order", "lookup", to="Sales_Orders"),
    )


def _quotes() -> list[FieldKind]:
    return _sold(
        "Quote_Number",
        "Quoted_Items",
        *_customer(),
        _picked("Quote_Stage", "Draft", "Negotiation", "Delivered", "Confirmed"),
        FieldKind("Valid_Till", "date"),
    )


def _tasks() -> list[FieldKind]:
    return [
        FieldKind("Subject", length=255, mandatory=True),
        FieldKind("Due_Date", "date"),
        _picked(
            "Status",
            "Not Started",
            "Deferred",
            "In Progress",
            "Completed",
            "Waiting for input",
        ),
        _picked("Priority", "High", "Highest", "Low", "Lowest", "Normal"),
        FieldKind("Who_Id", "lookup", to="Contacts"),
        FieldKind("What_Id", "lookup"),
        FieldKind("Closed_Time", "datetime", read_only=True),
        FieldKind("Send_Notification_Email", "boolean"),
        _note(),
    ]


def _campaigns() -> list[FieldKind]:
    return [
        FieldKind("Campaign_Name", length=200, mandatory=True),
        _picked("Type", "Conference", "Webinar", "Trade Show", "Email", "Other"),
        _picked("Status", "Planning", "Active", "Inactive", "Complete"),
        FieldKind("Start_Date", "date"),
        FieldKind("End_Date", "date"),
        FieldKind("Expected_Revenue", "currency", 16),
        FieldKind("Budgeted_Cost", "currency", 16),
        FieldKind("Actual_Cost", "currency", 16),
        _note(),
    ]


def _vendors() -> list[FieldKind]:
    return [
        FieldKind("Vendor_Name", length=200, mandatory=True),
        FieldKind("Email", "email", 100),
        FieldKind("Phone", "phone", 30),
        FieldKind("Website", "website", 450),
        _note(),
    ]


def _visits() -> list[FieldKind]:
    """What Zoho's SalesIQ saw on the web site: nobody writes it by the API."""
    return [
        FieldKind("Visitor", "lookup", to="Leads", read_only=True),
        FieldKind("Visited_Page", "text", 450, read_only=True),
        FieldKind("Referrer", "text", 450, read_only=True),
        FieldKind("Visited_Time", "datetime", read_only=True),
        FieldKind("Time_Spent", "integer", 9, read_only=True),
    ]


def born() -> dict[str, Module]:
    """The modules of a new account."""
    whole: Sequence[tuple[str, str, list[FieldKind], tuple[str, ...]]] = (
        ("Leads", "Last_Name", _leads(), ("Email",)),
        ("Contacts", "Last_Name", _contacts(), ("Email",)),
        ("Accounts", "Account_Name", _accounts(), ("Account_Name",)),
        ("Deals", "Deal_Name", _deals(), ("Deal_Name",)),
        ("Products", "Product_Name", _products(), ("Product_Name",)),
        ("Quotes", "Subject", _quotes(), ("Subject",)),
        ("Sales_Orders", "Subject", _orders(), ("Subject",)),
        ("Purchase_Orders", "Subject", _purchase_orders(), ("Subject",)),
        ("Invoices", "Subject", _invoices(), ("Subject",)),
        ("Tasks", "Subject", _tasks(), ()),
        ("Campaigns", "Campaign_Name", _campaigns(), ("Campaign_Name",)),
        ("Vendors", "Vendor_Name", _vendors(), ("Vendor_Name",)),
        ("Visits", "Visited_Page", _visits(), ()),
    )
    found = {
        name: Module(name, titled, {f.name: f for f in (*_system(), *own)}, checks)
        for name, titled, own, checks in whole
    }
    found["Visits"].writable = False
    for name, lines in subforms(found):
        fields = {f.name: f for f in _lines()}
        found[lines] = Module(lines, "id", fields, generated="subform", parent=name)
    return found


def subforms(modules: Mapping[str, Module]) -> list[tuple[str, str]]:
    """Modules with the subforms in them."""
    return [
        (m.name, f.name)
        for m in modules.values()
        for f in m.fields.values()
        if f.type == "subform"
    ]
