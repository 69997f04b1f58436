"""What HubSpot works out by itself when a record is made or changed."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from connector_hub_hubspot.portal.account import Portal
    from connector_hub_hubspot.portal.records import Objects

_OF_PRODUCT = (
    "name",
    "description",
    "price",
    "hs_sku",
    "hs_cost_of_goods_sold",
    "recurringbillingfrequency",
)
"""What a line item takes from its product when it is made."""


def filled_in(
    portal: Portal, objects: Objects, fields: dict[str, str]
) -> dict[str, str]:
    """A new record's values with what HubSpot adds."""
    kind = objects.kind
    found = {"hs_object_source_label": "INTEGRATION", **fields}
    if kind.name == "companies" and fields.get("domain"):
        found.setdefault("website", fields["domain"])
    if kind.name == "line_items" and fields.get("hs_product_id"):
        product = portal.of("products").rows.get(fields["hs_product_id"])
        told = product.properties if product else {}
        found = {n: told[n] for n in _OF_PRODUCT if n in told} | found
    listed = portal.pipelines.get(kind.name, ())
    if listed and (kind.name in _BEGINS or fields.get(kind.stage)):
        at = found.setdefault(kind.pipeline, listed[0].id)
        stages = next((p.stages for p in listed if p.id == at), ())
        if stages:
            found.setdefault(kind.stage, stages[0].id)
    return found


_BEGINS = {"leads", "orders"}
"""Objects whose records begin in the first stage where none is said; of a deal it stays open."""


def computed(portal: Portal, name: str, values: dict[str, str]) -> None:
    """Put a record's calculated properties in."""
    if name == "deals":
        _deal(portal, values)
    elif name == "line_items":
        price, quantity = _number(values, "price"), _number(values, "quantity")
        if price is not None and quantity is not None:
            whole = price * quantity
            values["hs_pre_discount_amount"] = format(whole, "f")
            less = (_number(values, "discount") or Decimal(0)) * quantity
            values["amount"] = format(whole - less, "f")
    elif name == "tasks":
        done = values.get("hs_task_status") == "COMPLETED"
        values["hs_task_is_completed"] = "true" if done else "false"


def _deal(portal: Portal, values: dict[str, str]) -> None:
    at, stage = values.get("pipeline"), values.get("dealstage")
    told = {
        s.id: dict(s.metadata)
        for p in portal.pipelines["deals"]
        if p.id == at
        for s in p.stages
    }.get(stage or "", {})
    chance = Decimal(told.get("probability", "0"))
    closed = told.get("isClosed") == "true"
    amount = _number(values, "amount")
    values["hs_is_closed"] = _word(closed)
    values["hs_is_closed_won"] = _word(closed and chance == 1)
    values["hs_is_closed_lost"] = _word(closed and chance == 0)
    values["hs_deal_stage_probability"] = str(chance)
    for n in ("amount_in_home_currency", "hs_forecast_amount", "hs_projected_amount"):
        values.pop(n, None)
    if amount is not None:
        values["amount_in_home_currency"] = values["amount"]
        values["hs_forecast_amount"] = values["amount"]
        values["hs_projected_amount"] = format(amount * chance, "f")


def _word(value: bool) -> str:  # noqa: FBT001 - it is what it writes
    return "true" if value else "false"


def _number(values: dict[str, str], name: str) -> Decimal | None:
    try:
        return Decimal(values[name])
    except (KeyError, InvalidOperation):
        return None
