"""Lines of deals and orders: records of their own, written with their parent."""

import uuid

from connector_hub.errors import InDoubt, Rejected
from connector_hub.sdk import Done, RowPatch, RowsPatch, Want, Write

PATHS = frozenset({"id", "properties.name", "properties.quantity", "properties.price"})
WANT = Want(frozenset({"properties.dealname"}), frozenset(), rows={"line_items": PATHS})


def line(record=None, **fields):
    return RowPatch(record, {f"properties.{n}": v for n, v in fields.items()})


def deal(op, *rows, record=None, removed=(), **fields):
    told = {f"properties.{n}": v for n, v in fields.items()}
    told["line_items"] = RowsPatch(rows, removed)
    return Write(op, str(uuid.uuid4()), str(uuid.uuid4()), record, told)


async def written(crm, *writes):
    way = crm.resource("deals").way(writes[0].op)
    return await crm.write("deals", writes, way=way)


async def sold(crm, record):
    (found,) = await crm.fetch("deals", [record], WANT)
    rows = found.fields["line_items"]
    return {
        r["id"]: (r["properties"]["name"], r["properties"]["quantity"]) for r in rows
    }


async def test_a_create_that_is_repeated_appends_no_line_twice(crm, portal):
    write = deal(
        "create",
        line(name="Beans", quantity="2", price="10"),
        line(name="Beans", quantity="2", price="10"),
        line(name="Cups", quantity="1", price="5"),
        dealname="Lines",
    )
    (first,) = await written(crm, write)
    assert first == Done(first.id, created=True)
    before = await sold(crm, first.id)
    assert sorted(before.values()) == [("Beans", "2"), ("Beans", "2"), ("Cups", "1")]
    await written(crm, write)
    assert await sold(crm, first.id) == before
    lost = next(iter(before))
    portal.edit("line_items", {"id": lost, "archived": True})
    await written(crm, write)
    assert sorted((await sold(crm, first.id)).values()) == sorted(before.values())


async def test_rows_are_changed_and_taken_off_and_others_left_alone(crm):
    write = deal(
        "create",
        *(line(name=n, quantity="1", price="5") for n in ("A", "B", "C")),
        dealname="Lines",
    )
    (done,) = await written(crm, write)
    ids = {name: i for i, (name, _) in (await sold(crm, done.id)).items()}
    update = deal(
        "update",
        line(ids["A"], quantity="9"),
        line(name="D", quantity="4", price="5"),
        record=done.id,
        removed=(ids["B"],),
    )
    (again,) = await written(crm, update)
    assert isinstance(again, Done)
    assert again.fields is None, "it is read back with its lines"
    assert sorted((await sold(crm, done.id)).values()) == [
        ("A", "9"),
        ("C", "1"),
        ("D", "4"),
    ]


async def test_a_refused_line_refuses_its_deal_and_no_other(crm):
    good = deal("create", line(name="A", quantity="1"), dealname="Good")
    bad = deal(
        "create",
        line(name="A", quantity="1"),
        line(name="B", quantity="many"),
        dealname="Bad",
    )
    first, second = await written(crm, good, bad)
    assert isinstance(first, Done)
    assert isinstance(second, Rejected)
    assert second.reason == "INVALID_NUMBER"
    assert second.fields == ("line_items[].properties.quantity",)


async def test_lines_that_went_unanswered_leave_their_deal_in_doubt(crm, monkeypatch):
    sent = type(crm.http).post

    async def lost(self, path, **more):
        if path.endswith("/line_items/batch/create"):
            raise InDoubt("no answer")
        return await sent(self, path, **more)

    monkeypatch.setattr(type(crm.http), "post", lost)
    plain = Write("create", "t", "k", None, {"properties.dealname": "Plain"})
    lined = deal("create", line(name="A", quantity="1"), dealname="Lined")
    first, second = await written(crm, plain, lined)
    assert isinstance(first, Done)
    assert isinstance(second, InDoubt)


async def test_a_lines_edit_shows_its_deal_and_moves_its_version(crm, portal):
    first = await crm.read("deals", "changed", None, WANT)
    portal.clock.advance(3_600)
    record = next(r for r in first.records if r.fields["line_items"])
    row = record.fields["line_items"][0]
    portal.edit("line_items", {"id": row["id"], "properties": {"quantity": "44"}})
    found, at = [], first.mark
    while at:
        page = await crm.read("deals", "changed", at, WANT)
        found += page.records
        at = page.next
    (changed,) = found
    assert changed.id == record.id
    assert changed.version != record.version
    assert changed.changed > record.changed
    told = {r["id"]: r["properties"]["quantity"] for r in changed.fields["line_items"]}
    assert told[row["id"]] == "44"


async def test_lines_are_described_as_rows_of_their_deal(crm):
    fields = {f.path: f for f in (await crm.describe("deals")).fields}
    assert fields["line_items"].type == "rows"
    assert fields["line_items[].properties.amount"].read_only


async def test_what_is_written_to_a_deal_whose_lines_are_wanted_is_read_back(
    crm, portal
):
    record = portal.live("deals")[0]["id"]
    update = Write("update", "t", "k", record, {"properties.dealname": "New"})
    (told,) = await written(crm, update)
    assert told.fields["properties"]["dealname"] == "New"
    await crm.fetch("deals", [record], WANT)
    assert await written(crm, update) == [Done(record)], "its answer has no lines"
