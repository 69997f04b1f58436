"""A product with its price, a deal with its contacts: each whole or not at all."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connector_hub.sdk import (
    Done,
    FieldInfo,
    LinkPatch,
    Ref,
    Rejected,
    RowPatch,
    RowsPatch,
    Stale,
    Unavailable,
    Want,
    Write,
)
from connector_hub_salesforce import Salesforce
from connector_hub_salesforce.sandbox import SalesforceSandbox

PRICE = "PricebookEntry.UnitPrice"
ROLE = "OpportunityContactRole"
KEY = "0190f2f4-1111-7222-8333-{:012}"
WANT = Want(frozenset({"Name", PRICE}))
DEALS = Want(frozenset({"Name"}), frozenset({ROLE}))


@pytest.fixture
def sandbox() -> SalesforceSandbox:
    return SalesforceSandbox()


def product(i: int, price: str | None = "9.5", **fields: Any) -> Write:
    value = Decimal(price) if price else None
    body = {"Name": f"P{i}", PRICE: value} | fields
    return Write("create", f"t{i}", KEY.format(i), fields=body)


async def send(sf: Salesforce, *writes: Write, to: str = "Product2") -> list[Any]:
    found = await sf.write(to, writes, way=sf.resource(to).way(writes[0].op))
    return list(found)  # type: ignore[arg-type]


async def listed(sf: Salesforce, resource: str, want: Want, at: Any = None) -> Any:
    page = await sf.read(resource, "changed", at, want)
    return list(page.records), page.mark


async def test_products_and_prices_are_written_in_one_call_and_read_beside(
    wire, sandbox
):
    sf = wire(sandbox)
    found = await send(sf, *(product(i) for i in range(80)))
    assert [type(o) for o in found] == [Done] * 80
    assert sandbox.calls["POST /services/data/v66.0/composite/graph"] == 2
    records, _ = await listed(sf, "Product2", WANT)
    assert {r.fields["PricebookEntry"]["UnitPrice"] for r in records} == {9.5}
    spent = sum(n for r, n in sandbox.calls.items() if "/services/data" in r)
    assert spent <= sf.resource("Product2").way("create").calls(80) + 2


async def test_a_product_whose_price_is_refused_is_not_made(wire, sandbox):
    sandbox.org.validations.append(
        ("PricebookEntry", lambda r: r["UnitPrice"] > 100, "too dear", "UnitPrice")
    )
    found = await send(wire(sandbox), product(1, "1000"), product(2))
    assert isinstance(found[0], Rejected)
    assert found[0].reason == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert found[0].fields == (PRICE,)
    assert isinstance(found[1], Done)
    assert [r["Name"] for r in sandbox.live("Product2")] == ["P2"]


async def test_a_create_that_is_repeated_changes_the_first_price(wire, sandbox):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    (again,) = await send(sf, product(1, "12"))
    assert again.id == made.id
    (entry,) = sandbox.live("PricebookEntry")
    assert entry["UnitPrice"] == 12


async def test_a_price_that_is_emptied_is_not_offered_any_more(wire, sandbox):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    clear = Write("update", "t", KEY.format(1), made.id, {PRICE: None})
    await send(sf, clear)
    (entry,) = sandbox.live("PricebookEntry")
    assert entry["IsActive"] is False
    records, _ = await listed(sf, "Product2", WANT)
    assert records[0].fields["PricebookEntry"] is None


async def test_a_price_alone_that_is_edited_shows_its_product_as_changed(wire, sandbox):
    sf = wire(sandbox)
    await send(sf, product(1), product(2))
    sandbox.clock.advance(1000)
    _, mark = await listed(sf, "Product2", WANT)
    sandbox.clock.advance(1000)
    one = sandbox.live("PricebookEntry")[0]
    sandbox.edit("PricebookEntry", {"Id": one["Id"], "UnitPrice": 1.0})
    records, _ = await listed(sf, "Product2", WANT, mark)
    assert [r.id for r in records] == [one["Product2Id"]]
    assert records[0].fields["PricebookEntry"]["UnitPrice"] == 1.0


async def test_the_price_is_described_with_its_product(wire, sandbox):
    found = await wire(sandbox).describe("Product2")
    (price,) = [f for f in found.fields if f.path == PRICE]
    assert price == FieldInfo(PRICE, "Standard Price", "currency")


def people(sandbox: SalesforceSandbox) -> tuple[str, str, str]:
    deal = {"Name": "D", "StageName": "Prospecting", "CloseDate": "2026-12-01"}
    made = sandbox.edit("Opportunity", deal)["Id"]
    a, b = (sandbox.edit("Contact", {"LastName": n})["Id"] for n in "AB")
    return made, a, b


def roles(sandbox: SalesforceSandbox) -> set[tuple[str, str | None]]:
    return {(r["ContactId"], r["Role"]) for r in sandbox.live(ROLE)}


async def test_roles_are_added_and_taken_away_by_label(wire, sandbox):
    deal, a, b = people(sandbox)
    sf = wire(sandbox)

    async def patch(**links: Any) -> Any:
        write = Write(
            "update", "t", KEY.format(1), deal, links={ROLE: LinkPatch(**links)}
        )
        return (await send(sf, write, to="Opportunity"))[0]

    deciding = Ref("Contact", a, label="Decision Maker")
    assert isinstance(await patch(add=(deciding, Ref("Contact", b))), Done)
    assert roles(sandbox) == {(a, "Decision Maker"), (b, None)}
    await patch(add=(deciding,))
    assert len(sandbox.live(ROLE)) == 2
    records, _ = await listed(sf, "Opportunity", DEALS)
    assert set(records[0].links[ROLE]) == {deciding, Ref("Contact", b)}
    await patch(remove=(Ref("Contact", a),))
    assert roles(sandbox) == {(b, None)}


async def test_a_role_that_goes_shows_its_deal_as_changed(wire, sandbox):
    deal, a, _ = people(sandbox)
    role = sandbox.edit(ROLE, {"OpportunityId": deal, "ContactId": a})["Id"]
    sf = wire(sandbox)
    sandbox.clock.advance(1000)
    _, mark = await listed(sf, "Opportunity", DEALS)
    sandbox.clock.advance(1000)
    sandbox.edit(ROLE, {"Id": role, "IsDeleted": True})
    records, _ = await listed(sf, "Opportunity", DEALS, mark)
    assert [(r.id, r.links[ROLE]) for r in records] == [(deal, [])]


async def test_a_locked_record_is_busy_and_a_moved_one_is_stale(wire, sandbox):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    sandbox.lock(made.id)
    write = Write("update", "t", KEY.format(1), made.id, {PRICE: Decimal(3)})
    (busy,) = await send(sf, write)
    assert isinstance(busy, Unavailable)
    old = "2020-01-01T00:00:00.000+0000"
    write = Write(
        "update", "t", KEY.format(1), made.id, {PRICE: Decimal(3)}, version=old
    )
    way = sf.resource("Product2").conditional_way("update")
    (stale,) = await sf.write("Product2", [write], way=way)
    assert isinstance(stale, Stale)
    assert sandbox.live("PricebookEntry")[0]["UnitPrice"] == 9.5


async def test_a_line_of_a_product_without_a_price_is_refused_and_nothing_made(
    wire, sandbox
):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    (bare,) = await send(sf, product(2, None))

    def order(i: int, of: str) -> Write:
        line = {"Product2Id": of, "Quantity": Decimal(2), "UnitPrice": Decimal(3)}
        fields = {"EffectiveDate": "2026-12-01", "Status": "Draft"}
        lines = RowsPatch((RowPatch(None, line),))
        return Write(
            "create", f"o{i}", KEY.format(i), fields=fields | {"OrderItems": lines}
        )

    good, bad = await send(sf, order(7, made.id), order(8, bare.id), to="Order")
    assert isinstance(good, Done)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.fields) == (
        "STANDARD_PRICE_NOT_DEFINED",
        ("OrderItems[].Product2Id",),
    )
    # Sent twice, its lines are there once.
    await send(sf, order(7, made.id), to="Order")
    assert [r["OrderId"] for r in sandbox.live("OrderItem")] == [good.id]
    assert len(sandbox.live("Order")) == 1


async def test_an_order_is_born_a_draft_and_activated_with_products(wire, sandbox):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    born = {"EffectiveDate": "2026-12-01", "Status": "Activated"}
    (refused,) = await send(
        sf, Write("create", "o", KEY.format(1), fields=born), to="Order"
    )
    assert (refused.reason, refused.fields) == ("FAILED_ACTIVATION", ("Status",))
    bare = Write("create", "o", KEY.format(2), fields=born | {"Status": "Draft"})
    (order,) = await send(sf, bare, to="Order")
    (refused,) = await send(sf, activation(order.id), to="Order")
    assert refused.reason == "FAILED_ACTIVATION"
    line = {"Product2Id": made.id, "Quantity": Decimal(2), "UnitPrice": Decimal(3)}
    rows = RowsPatch((RowPatch(None, line),))
    lines = Write("update", "l", "", order.id, {"OrderItems": rows})
    assert isinstance((await send(sf, lines, to="Order"))[0], Done)
    assert isinstance((await send(sf, activation(order.id), to="Order"))[0], Done)


def activation(order: str) -> Write:
    return Write("update", "a", "", order, {"Status": "Activated"})


async def test_a_call_has_no_more_records_than_salesforce_takes(wire, sandbox):
    sf = wire(sandbox)
    (made,) = await send(sf, product(1))
    line = {"Product2Id": made.id, "Quantity": Decimal(2), "UnitPrice": Decimal(3)}
    lines = RowsPatch(tuple(RowPatch(None, line) for _ in range(99)))
    fields = {"EffectiveDate": "2026-12-01", "Status": "Draft", "OrderItems": lines}
    writes = [Write("create", f"o{i}", KEY.format(i), fields=fields) for i in range(12)]
    found = await send(sf, *writes, to="Order")
    assert [type(o) for o in found] == [Done] * 12
    assert len(sandbox.live("OrderItem")) == 12 * 99
