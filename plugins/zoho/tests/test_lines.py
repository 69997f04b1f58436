"""Lines of orders: read whole, written row by row of the list, and never doubled or lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connector_hub.sdk import Done, Exists, Rejected, RowPatch, RowsPatch, Want, Write
from connector_hub_zoho.sandbox import ZohoSandbox

ITEMS = "Ordered_Items"
PATHS = frozenset({"id", "Product_Name.id", "Quantity", "List_Price"})
WANT = Want(frozenset({"Subject"}), rows={ITEMS: PATHS})
KEY = "0190f2f4-1111-7222-8333-{:012}"


class Shop:
    """An account with products and one customer."""

    def __init__(self, wire: Any) -> None:
        self.sandbox = ZohoSandbox(companies=1)
        self.customer = self.sandbox.live("Accounts")[0]["id"]
        self.products = [
            self.sandbox.edit("Products", {"Product_Name": f"P{i}"})["id"]
            for i in range(4)
        ]
        self.zoho = wire(self.sandbox)

    def line(self, product: int, **more: Any) -> dict[str, Any]:
        return {
            "Product_Name.id": self.products[product],
            "Quantity": Decimal(2),
            **more,
        }

    def order(self, *lines: int) -> str:
        rows = [
            {"Product_Name": {"id": self.products[p]}, "Quantity": 1} for p in lines
        ]
        body = {"Subject": "S", "Account_Name": {"id": self.customer}, ITEMS: rows}
        return str(self.sandbox.edit("Sales_Orders", body)["id"])

    def create(self, i: int, *lines: dict[str, Any]) -> Write:
        patch = RowsPatch(tuple(RowPatch(None, x) for x in lines))
        fields = {"Subject": f"S{i}", "Account_Name.id": self.customer, ITEMS: patch}
        return Write("create", f"t{i}", KEY.format(i), fields=fields)

    async def send(self, *writes: Write) -> list[Any]:
        way = self.zoho.resource("Sales_Orders").way(writes[0].op)
        return list(await self.zoho.write("Sales_Orders", writes, way=way))

    async def patch(
        self, order: str, *rows: RowPatch, removed: tuple[str, ...] = ()
    ) -> Any:
        fields = {ITEMS: RowsPatch(rows, removed)}
        (outcome,) = await self.send(Write("update", "u", "", id=order, fields=fields))
        return outcome

    async def lines(self, order: str) -> list[dict[str, Any]]:
        (record,) = await self.zoho.fetch("Sales_Orders", [order], WANT)
        found: list[dict[str, Any]] = record.fields[ITEMS]
        return found

    def held(self, order: str) -> list[str]:
        rows = self.sandbox.account.modules["Sales_Orders"].live[order][ITEMS]
        return [self.products.index(r["Product_Name"]["id"]) for r in rows]


@pytest.fixture
def shop(wire: Any) -> Shop:
    return Shop(wire)


async def test_the_lines_of_a_page_of_orders_are_read_with_it(shop):
    orders = [shop.order(*range(i % 4 + 1)) for i in range(120)]
    page = await shop.zoho.read("Sales_Orders", "changed", None, WANT)
    assert {r.id: len(r.fields[ITEMS]) for r in page.records} == {
        o: i % 4 + 1 for i, o in enumerate(orders)
    }
    row = page.records[0].fields[ITEMS][0]
    assert row["Product_Name"]["id"] == shop.products[0]
    assert row["id"].isdigit()
    assert shop.sandbox.calls["POST /crm/v8/coql"] <= 6


async def test_an_order_with_many_lines_is_read_whole(shop):
    orders = [shop.order(*(i % 4 for i in range(100))) for _ in range(30)]
    page = await shop.zoho.read("Sales_Orders", "changed", None, WANT)
    assert {r.id: len(r.fields[ITEMS]) for r in page.records} == dict.fromkeys(
        orders, 100
    )


async def test_an_order_is_made_with_its_lines(shop):
    (done,) = await shop.send(
        shop.create(1, shop.line(0), shop.line(1, List_Price=Decimal("9.5")))
    )
    lines = await shop.lines(done.id)
    assert [(r["Quantity"], r["List_Price"]) for r in lines] == [(2, None), (2, 9.5)]
    assert shop.sandbox.live("Sales_Orders")[0]["Grand_Total"] == 19


async def test_a_create_that_is_sent_again_doubles_no_line(shop):
    writes = [shop.create(1, shop.line(0)), shop.create(2, shop.line(1))]
    first, _ = await shop.send(*writes)
    again, new = await shop.send(writes[0], shop.create(3, shop.line(2)))
    assert isinstance(again, Exists)
    assert again.there == first.id
    assert isinstance(new, Done)
    assert shop.held(first.id) == [0]


async def test_a_row_changes_another_goes_a_third_comes_and_the_rest_stay(shop):
    order = shop.order(0, 1, 2)
    first, second, third = await shop.lines(order)
    await shop.patch(
        order,
        RowPatch(first["id"], {"Quantity": Decimal(7)}),
        RowPatch(third["id"]),
        RowPatch(None, shop.line(3)),
        removed=(second["id"],),
    )
    lines = await shop.lines(order)
    assert shop.held(order) == [0, 2, 3]
    assert [r["id"] for r in lines[:2]] == [first["id"], third["id"]]
    assert [r["Quantity"] for r in lines] == [7, 1, 2]


async def test_a_row_that_a_person_added_meanwhile_is_kept(shop):
    order = shop.order(0)
    (first,) = await shop.lines(order)
    added = {"Product_Name": {"id": shop.products[3]}, "Quantity": 1}
    shop.sandbox.edit(
        "Sales_Orders", {"id": order, ITEMS: [{"id": first["id"]}, added]}
    )
    await shop.patch(order, RowPatch(first["id"], {"Quantity": Decimal(5)}))
    assert sorted(shop.held(order)) == [0, 3]


async def test_a_row_that_a_person_took_away_meanwhile_does_not_come_back(shop):
    order = shop.order(0, 1)
    first, second = await shop.lines(order)
    shop.sandbox.edit("Sales_Orders", {"id": order, ITEMS: [{"id": second["id"]}]})
    done = await shop.patch(
        order, RowPatch(first["id"], {"Quantity": Decimal(5)}), RowPatch(second["id"])
    )
    assert isinstance(done, Done)
    assert shop.held(order) == [1]


async def test_a_row_that_is_refused_names_its_field(shop):
    order = shop.order(0)
    bad = await shop.patch(
        order, RowPatch(None, {"Product_Name.id": "41", "Quantity": Decimal(1)})
    )
    assert isinstance(bad, Rejected)
    assert bad.fields == (f"{ITEMS}[].Product_Name",)
    assert shop.held(order) == [0]


async def test_an_order_without_lines_is_refused_and_keeps_no_other_waiting(shop):
    empty, done = await shop.send(shop.create(1), shop.create(2, shop.line(0)))
    assert (empty.reason, empty.fields) == ("MANDATORY_NOT_FOUND", (ITEMS,))
    assert isinstance(done, Done)
