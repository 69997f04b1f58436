"""HubSpot's own objects and the numbers of their associations, as its documents list them.

https://developers.hubspot.com/docs/guides/crm/understanding-the-crm
https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """One of HubSpot's objects.

    ``links`` are the objects it is associated with. ``required`` properties and ``needs`` associations must
    be given when one is made.
    ``pipeline`` and ``stage`` are the properties that hold those, where it has any.
    """

    name: str
    id: str
    singular: str
    group: str
    """The group that a property of ours is put into."""
    links: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    pipeline: str = ""
    stage: str = ""
    defaults: tuple[str, ...] = ()
    """Properties that are answered without being asked for, besides those of every object."""
    stamp: str = "hs_lastmodifieddate"
    created: str = "hs_createdate"


KINDS = {
    k.name: k
    for k in (
        Kind(
            "contacts",
            "0-1",
            "contact",
            "contactinformation",
            ("companies", "contacts", "deals", "tickets", "tasks", "leads", "orders"),
            defaults=("email", "firstname", "lastname"),
            stamp="lastmodifieddate",
            created="createdate",
        ),
        Kind(
            "companies",
            "0-2",
            "company",
            "companyinformation",
            ("contacts", "companies", "deals", "tickets", "tasks", "leads", "orders"),
            defaults=("domain", "name"),
            created="createdate",
        ),
        Kind(
            "deals",
            "0-3",
            "deal",
            "dealinformation",
            (
                "contacts",
                "companies",
                "deals",
                "line_items",
                "tickets",
                "tasks",
                "orders",
            ),
            required=("dealname",),
            pipeline="pipeline",
            stage="dealstage",
            defaults=("amount", "closedate", "dealname", "dealstage", "pipeline"),
            created="createdate",
        ),
        Kind(
            "tickets",
            "0-5",
            "ticket",
            "ticketinformation",
            ("contacts", "companies", "deals", "tickets", "tasks"),
            required=("hs_pipeline_stage",),
            pipeline="hs_pipeline",
            stage="hs_pipeline_stage",
            defaults=("content", "hs_pipeline", "hs_pipeline_stage", "subject"),
            created="createdate",
        ),
        Kind(
            "products",
            "0-7",
            "product",
            "productinformation",
            required=("name",),
            defaults=("description", "name", "price"),
            created="createdate",
        ),
        Kind(
            "line_items",
            "0-8",
            "line_item",
            "lineiteminformation",
            ("deals", "orders"),
            defaults=("hs_product_id", "quantity"),
            created="createdate",
        ),
        Kind(
            "tasks",
            "0-27",
            "task",
            "task",
            ("contacts", "companies", "deals", "tickets"),
            required=("hs_timestamp",),
        ),
        Kind(
            "orders",
            "0-123",
            "order",
            "order_information",
            ("contacts", "companies", "deals", "line_items"),
            required=("hs_order_name",),
            pipeline="hs_pipeline",
            stage="hs_pipeline_stage",
        ),
        Kind(
            "leads",
            "0-136",
            "lead",
            "lead_information",
            ("contacts", "companies"),
            required=("hs_lead_name",),
            needs=("contacts",),
            pipeline="hs_pipeline",
            stage="hs_pipeline_stage",
        ),
    )
}
CUSTOM = re.compile(r"2-\d+\Z")
"""The type id of an account's own object."""


@dataclass(frozen=True, slots=True)
class AssociationType:
    """How one object leads to another: the number, its label, and the number seen from the other end."""

    number: int
    back: int
    label: str | None = None
    category: str = "HUBSPOT_DEFINED"


_Types = tuple[AssociationType, ...]


def _pairs(  # noqa: PLR0917 - a row of the table
    a: str, b: str, there: int, back: int, primary: int = 0, primary_back: int = 0
) -> dict[tuple[str, str], _Types]:
    ways: dict[tuple[str, str], _Types] = {}
    for ends, one, two, first, second in (
        ((b, a), back, there, primary_back, primary),
        ((a, b), there, back, primary, primary_back),
    ):
        ways[ends] = (AssociationType(one, two),)
        if first:
            ways[ends] += (AssociationType(first, second, "Primary"),)
    return ways


ASSOCIATIONS: dict[tuple[str, str], _Types] = {
    **_pairs("contacts", "companies", 279, 280, 1, 2),
    **_pairs("contacts", "deals", 4, 3),
    **_pairs("contacts", "tickets", 15, 16),
    **_pairs("contacts", "tasks", 203, 204),
    **_pairs("contacts", "orders", 508, 507),
    **_pairs("contacts", "contacts", 449, 449),
    **_pairs("companies", "deals", 342, 341, 6, 5),
    **_pairs("companies", "tickets", 340, 339, 25, 26),
    **_pairs("companies", "tasks", 191, 192),
    **_pairs("companies", "orders", 510, 509),
    **_pairs("deals", "line_items", 19, 20),
    **_pairs("deals", "tickets", 27, 28),
    **_pairs("deals", "tasks", 215, 216),
    **_pairs("deals", "orders", 511, 512),
    **_pairs("deals", "deals", 451, 451),
    **_pairs("tickets", "tasks", 229, 230),
    **_pairs("tickets", "tickets", 452, 452),
    **_pairs("orders", "line_items", 513, 514),
    **_pairs("leads", "contacts", 608, 609, 578, 579),
    **_pairs("leads", "companies", 610, 611, 580, 581),
    ("companies", "companies"): (
        AssociationType(450, 450),
        AssociationType(13, 14, "Child Company"),
        AssociationType(14, 13, "Parent Company"),
    ),
}
"""By direction; the first of each is the one without a label, which is there wherever there is another."""


def primary_of(ends: tuple[str, str]) -> AssociationType | None:
    """The type of the primary association, where there is such."""
    return next((t for t in ASSOCIATIONS.get(ends, ()) if t.label == "Primary"), None)


def named(word: str) -> str:
    """An object's plural, by that, by its singular or by its type id; other words stay as they are."""
    return _NAMES.get(word.lower(), word)


_NAMES = {w: k.name for k in KINDS.values() for w in (k.id, k.singular, k.name)}
