"""What an account is born with: people at work in companies and, where asked, their sales."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector_hub.testing.people import companies, people
from connector_hub.testing.sandbox import iso, moment
from connector_hub_hubspot.portal.account import Portal
from connector_hub_hubspot.portal.computed import filled_in
from connector_hub_hubspot.portal.records import Row

_AT = iso(moment("2024-01-01T08:00:00+00:00"))
_PRODUCTS = (
    ("Gayo beans, 1 kg", "KOPI-GAYO", "210000"),
    ("Toraja beans, 1 kg", "KOPI-TORAJA", "235000"),
    ("Grinder", "GILING-1", "4900000"),
    ("Repair, an hour", "JASA-1", "150000"),
    ("Filter papers", "SARING-100", "38000"),
    ("Cups, a dozen", "GELAS-12", "189000.50"),
)


class Born:
    """Fills an account. Nothing of it is an event, and the search sees all of it at once."""

    def __init__(self, portal: Portal, seed: int) -> None:
        self._portal = portal
        self._seed = seed
        self._companies: list[str] = []
        self._people: list[tuple[str, str | None]] = []

    def people(self, firms: int, persons: int, *, messy: bool) -> None:
        """Companies first, then people at work in them."""
        for c in companies(firms, self._seed):
            row = self._put(
                "companies",
                name=c.name,
                domain=c.domain,
                phone=c.phone,
                city=c.city,
                country=c.country,
                lifecyclestage=c.stage,
                industry="RETAIL",
            )
            self._companies.append(row.id)
        for p in people(persons, self._seed, firms, messy=messy):
            row = self._put(
                "contacts",
                firstname=p.given,
                lastname=p.family,
                email=p.email.strip().lower(),
                phone=p.phone,
                jobtitle=p.title,
                city=p.city,
                country=p.country,
                lifecyclestage=p.stage,
                hs_lead_status="NEW",
            )
            at = None if p.company is None else self._companies[p.company]
            self._people.append((row.id, at))
            if at:
                self._linked("contacts", row.id, "companies", at, {1})

    def sales(self, deals: int) -> None:
        """Products, and for each deal its lines, a task and, of every other one, an order; a few leads."""
        if not deals:
            return
        products = [
            self._put("products", name=n, hs_sku=s, price=p, hs_status="active").id
            for n, s, p in _PRODUCTS
        ]
        stages = [s.id for s in self._portal.pipelines["deals"][0].stages]
        for n in range(deals):
            person, firm = self._people[n % len(self._people)]
            deal = self._put(
                "deals",
                dealname=f"Deal {n + 1}",
                dealstage=stages[n % len(stages)],
                pipeline="default",
                amount=f"{1_000_000 + n}",
                closedate="2026-12-31T00:00:00.000Z",
                deal_currency_code="IDR",
            ).id
            ends = [("contacts", person), ("companies", firm)]
            self._to_all("deals", deal, ends)
            for k in range(2):
                self._line("deals", deal, products[(n + k) % len(products)], k + 1)
            task = self._put(
                "tasks",
                hs_task_subject=f"Ask about deal {n + 1}",
                hs_timestamp="2026-12-01T02:00:00.000Z",
                hs_task_status="NOT_STARTED",
            ).id
            self._to_all("tasks", task, [*ends, ("deals", deal)])
            if n % 2 == 0:
                order = self._put(
                    "orders",
                    hs_order_name=f"Order {n + 1}",
                    hs_external_order_id=f"SO-{n + 1:05}",
                    hs_currency_code="IDR",
                ).id
                self._to_all("orders", order, [*ends, ("deals", deal)])
                self._line("orders", order, products[n % len(products)], 3)
            else:
                lead = self._put("leads", hs_lead_name=f"Lead {n + 1}").id
                self._linked("leads", lead, "contacts", person, {578})

    def settle(self) -> None:
        """The search sees everything as it is."""
        for objects in self._portal.objects.values():
            objects.index.settle(objects.rows)

    def _line(self, of: str, record: str, product: str, quantity: int) -> None:
        line = self._put("line_items", hs_product_id=product, quantity=str(quantity))
        self._linked("line_items", line.id, of, record, ())

    def _put(self, of: str, **values: str) -> Row:
        objects = self._portal.objects[of]
        given: Mapping[str, Any] = {k: v for k, v in values.items() if v}
        if of not in {"contacts", "companies"}:
            given = filled_in(self._portal, objects, dict(given))
        return self._portal.put(objects, None, given, _AT)

    def _to_all(
        self, of: str, record: str, ends: Iterable[tuple[str, str | None]]
    ) -> None:
        for to, other in ends:
            if other:
                self._linked(of, record, to, other, ())

    def _linked(
        self, of: str, record: str, to: str, other: str, kinds: Iterable[int]
    ) -> None:
        self._portal.associate(of, record, to, other, kinds, _AT)
