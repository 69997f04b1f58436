"""The properties a HubSpot account is born with, as far as the sandbox knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connector_hub_hubspot.kinds import KINDS
from connector_hub_hubspot.portal.pipelines import Pipeline

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


BORN = "2024-01-01T08:00:00.000Z"
"""When what HubSpot defines came to be."""


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
    labels: tuple[str, ...] = ()
    """What people read for the options, in their order."""
    calculated: bool = False

    def row(self) -> dict[str, object]:
        """As the properties API answers it."""
        labels = self.labels or [o.title() for o in self.options]
        options = [
            {"label": told, "value": o, "displayOrder": i, "hidden": False}
            for i, (o, told) in enumerate(zip(self.options, labels, strict=True))
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
            "calculated": self.calculated,
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
            "showCurrencySymbol": "amount" in self.name,
            "dataSensitivity": "non_sensitive",
            "createdAt": BORN,
            "updatedAt": BORN,
        }


def _texts(*names: str) -> list[Property]:
    return [Property(n, n.replace("_", " ").title()) for n in names]


def _owner(label: str) -> Property:
    return Property(
        "hubspot_owner_id", label, "enumeration", "select", refers_to="OWNER"
    )


def _stage(stages: tuple[str, ...]) -> Property:
    return Property(
        "lifecyclestage", "Lifecycle Stage", "enumeration", "radio", options=stages
    )


def _choice(name: str, label: str, *options: str, several: bool = False) -> Property:
    shown = "checkbox" if several else "select"
    return Property(name, label, "enumeration", shown, options=options)


def _numbers(*names: str, read_only: bool = False) -> list[Property]:
    return [
        Property(
            n,
            n.replace("_", " ").title(),
            "number",
            "number",
            read_only=read_only,
            calculated=read_only,
        )
        for n in names
    ]


def _switch(name: str, label: str, *, read_only: bool = False) -> Property:
    return Property(
        name,
        label,
        "bool",
        "booleancheckbox",
        options=("true", "false"),
        labels=("Yes", "No"),
        read_only=read_only,
        calculated=read_only,
    )


def _instant(name: str, label: str, *, read_only: bool = False) -> Property:
    return Property(name, label, "datetime", "date", read_only=read_only)


def _day(name: str, label: str) -> Property:
    return Property(name, label, "date", "date")


def system(stamp: str, created: str) -> list[Property]:
    """What every record has."""
    return [
        _instant(created, "Create Date"),
        _instant(stamp, "Last Modified Date", read_only=True),
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


def _contacts(stages: tuple[str, ...]) -> list[Property]:
    return [
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
        _stage(stages),
        _choice(
            "hs_lead_status",
            "Lead Status",
            "NEW",
            "OPEN",
            "IN_PROGRESS",
            "OPEN_DEAL",
            "UNQUALIFIED",
            "ATTEMPTED_TO_CONTACT",
            "CONNECTED",
            "BAD_TIMING",
        ),
        _choice(
            "hs_buying_role",
            "Buying Role",
            "BUDGET_HOLDER",
            "CHAMPION",
            "DECISION_MAKER",
            "END_USER",
            "INFLUENCER",
            several=True,
        ),
        Property("annualrevenue", "Annual Revenue"),
        Property(
            "hs_analytics_source",
            "Original Traffic Source",
            "enumeration",
            "select",
            options=SOURCES,
            read_only=True,
        ),
        Property(
            "associatedcompanyid",
            "Primary Associated Company ID",
            "number",
            "number",
            read_only=True,
        ),
    ]


def _companies(stages: tuple[str, ...]) -> list[Property]:
    return [
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
        _stage(stages),
        _choice(
            "industry",
            "Industry",
            "COMPUTER_SOFTWARE",
            "FOOD_BEVERAGES",
            "LOGISTICS_AND_SUPPLY_CHAIN",
            "RETAIL",
        ),
        *_numbers("annualrevenue", "numberofemployees"),
    ]


def _deals(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("dealname", "description", "hs_next_step"),
        *_numbers("amount"),
        Property(
            "deal_currency_code",
            "Currency",
            "enumeration",
            "select",
            options=CURRENCIES,
        ),
        _instant("closedate", "Close Date"),
        _choice("dealtype", "Deal Type", "newbusiness", "existingbusiness"),
        _choice("hs_priority", "Priority", "low", "medium", "high"),
        _choice(
            "hs_manual_forecast_category",
            "Forecast category",
            "OMIT",
            "PIPELINE",
            "BEST_CASE",
            "COMMIT",
            "CLOSED",
        ),
        *_texts("closed_lost_reason", "closed_won_reason"),
        *_numbers("hs_forecast_probability"),
        _owner("Deal owner"),
        *_numbers(
            "amount_in_home_currency",
            "hs_forecast_amount",
            "hs_projected_amount",
            "hs_closed_amount",
            "hs_deal_stage_probability",
            "num_associated_contacts",
            read_only=True,
        ),
        _switch("hs_is_closed", "Is Deal Closed?", read_only=True),
        _switch("hs_is_closed_won", "Is Closed Won", read_only=True),
        _switch("hs_is_closed_lost", "Is closed lost", read_only=True),
    ]


def _tickets(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("subject", "content"),
        _choice("hs_ticket_priority", "Priority", "LOW", "MEDIUM", "HIGH", "URGENT"),
        _owner("Ticket owner"),
    ]


def _products(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("name", "description", "hs_sku", "hs_url"),
        *_numbers("price", "hs_cost_of_goods_sold", "tax"),
        _choice("recurringbillingfrequency", "Billing frequency", *FREQUENCIES),
        _choice(
            "hs_product_type", "Product type", "inventory", "non_inventory", "service"
        ),
        _choice("hs_status", "Status", "active", "inactive"),
    ]


def _line_items(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("name", "description", "hs_sku"),
        *_numbers("price", "quantity", "discount", "hs_discount_percentage", "tax"),
        *_numbers("hs_product_id", "hs_cost_of_goods_sold", "hs_position_on_quote"),
        Property(
            "hs_line_item_currency_code",
            "Currency",
            "enumeration",
            "select",
            options=CURRENCIES,
        ),
        _choice("recurringbillingfrequency", "Billing frequency", *FREQUENCIES),
        *_numbers("amount", "hs_pre_discount_amount", read_only=True),
    ]


def _tasks(_: tuple[str, ...]) -> list[Property]:
    return [
        _instant("hs_timestamp", "Due date"),
        *_texts("hs_task_subject", "hs_task_body"),
        _choice(
            "hs_task_status",
            "Task Status",
            "NOT_STARTED",
            "IN_PROGRESS",
            "WAITING",
            "DEFERRED",
            "COMPLETED",
        ),
        _choice("hs_task_priority", "Priority", "NONE", "LOW", "MEDIUM", "HIGH"),
        _choice("hs_task_type", "Task Type", "TODO", "CALL", "EMAIL"),
        _owner("Assigned to"),
        _switch("hs_task_is_completed", "Is completed", read_only=True),
    ]


def _orders(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("hs_order_name", "hs_external_order_id", "hs_order_note"),
        Property(
            "hs_currency_code", "Currency", "enumeration", "select", options=CURRENCIES
        ),
        *_numbers("hs_total_price", "hs_subtotal_price", "hs_tax", "hs_shipping_cost"),
        _choice(
            "hs_fulfillment_status",
            "Fulfillment Status",
            "Unfulfilled",
            "Partially fulfilled",
            "Fulfilled",
        ),
        _choice("hs_payment_status", "Payment Status", "Unpaid", "Paid", "Refunded"),
        _instant("hs_external_created_date", "External Created Date"),
        _instant("hs_processed_date", "Processed Date"),
        *_texts("hs_shipping_address_city", "hs_shipping_address_country"),
        _owner("Order owner"),
    ]


def _leads(_: tuple[str, ...]) -> list[Property]:
    return [
        *_texts("hs_lead_name", "hs_lead_disqualification_note"),
        _choice("hs_lead_type", "Lead type", "NEW_BUSINESS", "RE_ATTEMPTING", "UPSELL"),
        _choice("hs_lead_label", "Lead label", "HOT", "WARM", "COLD"),
        _owner("Lead owner"),
    ]


CURRENCIES = ("IDR", "EUR", "USD")
FREQUENCIES = ("weekly", "monthly", "quarterly", "annually")
SOURCES = (
    "ORGANIC_SEARCH",
    "PAID_SEARCH",
    "EMAIL_MARKETING",
    "SOCIAL_MEDIA",
    "REFERRALS",
    "OTHER_CAMPAIGNS",
    "DIRECT_TRAFFIC",
    "OFFLINE",
    "PAID_SOCIAL",
)
_BORN_WITH = {
    "contacts": _contacts,
    "companies": _companies,
    "deals": _deals,
    "tickets": _tickets,
    "products": _products,
    "line_items": _line_items,
    "tasks": _tasks,
    "orders": _orders,
    "leads": _leads,
}


def born_with(
    name: str, pipelines: Iterable[Pipeline] = (), extra_stages: tuple[str, ...] = ()
) -> dict[str, Property]:
    """The definitions of one of HubSpot's objects, its stages those of its pipelines."""
    kind = KINDS[name]
    found = [
        *_BORN_WITH[name]((*STAGES, *extra_stages)),
        *staged(kind.pipeline, kind.stage, pipelines),
        *system(kind.stamp, kind.created),
    ]
    for p in found:
        p.group = kind.group
    return {p.name: p for p in found}


def staged(pipeline: str, stage: str, pipelines: Iterable[Pipeline]) -> list[Property]:
    """The two properties that say where in a pipeline a record is."""
    if not pipeline:
        return []
    listed = list(pipelines)
    stages = {s.id: s.label for p in listed for s in p.stages}
    return [
        _listed(pipeline, "Pipeline", {p.id: p.label for p in listed}),
        _listed(stage, "Stage", stages),
    ]


def _listed(name: str, label: str, options: Mapping[str, str]) -> Property:
    return Property(
        name,
        label,
        "enumeration",
        "select",
        options=tuple(options),
        labels=tuple(options.values()),
    )
