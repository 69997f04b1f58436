"""Rows within records, an order's lines, over several runs, as sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connector_hub.hub.planning import _shown
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import SIDES, Policy
from connector_hub.model.mapping import LinkRule, Mapping, RowsRule, Rule
from connector_hub.sdk import Edited, InDoubt, RowsPatch
from connector_hub.sync import jobs, undoing
from connector_hub.sync.run import Route

from .conftest import Project
from .test_undo import undone
from .vendor import Memory

LINES = FieldSpec(
    "lines",
    "rows",
    key=("product",),
    fields={
        "product": FieldSpec("product", "text"),
        "quantity": FieldSpec("quantity", "number"),
        "note": FieldSpec("note", "text"),
    },
)
ORDER = Entity(
    "order",
    {"reference": FieldSpec("reference", "text"), "lines": LINES},
    (("reference",),),
)


def mapping(*, quantity: str, **more: Any) -> Mapping:
    rules = {
        "product": Rule("product", "sku", ("trim",)),
        "quantity": Rule("quantity", quantity),
        "note": Rule("note", "note"),
    }
    rows = RowsRule("items", {**rules, **more})
    return Mapping(
        "order",
        "memory",
        "people",
        {"reference": Rule("reference", "no"), "lines": Rule("lines", rows=rows)},
    )


LEFT, RIGHT = mapping(quantity="qty"), mapping(quantity="n")


@pytest.fixture
def orders(project) -> Project:
    project.entity = ORDER
    project.job = replace(project.job, entity="order", direction="both")
    project.maps = {"left": LEFT, "right": RIGHT}
    return project


def writes(project: Project) -> int:
    return project.left.writes + project.right.writes


async def quiet(project: Project) -> None:
    before = writes(project)
    await project.sync()
    run = await project.sync(full=True)
    assert writes(project) == before
    assert set(run.tally.outcomes) <= {"unchanged", "conflicts"}


def lines(world: Any, record: str) -> list[tuple[Any, ...]]:
    rows = world.rows[record].get("items") or []
    n = "qty" if world.name == "a" else "n"
    found = [(r.get("sku"), str(r.get(n) or ""), r.get("note")) for r in rows]
    return sorted(found, key=repr)


def edit(world: Any, record: str, sku: str, **fields: Any) -> None:
    """Somebody edits one row, adds it, or removes it: ``gone=True``."""
    rows = [dict(r) for r in world.rows[record].get("items") or []]
    found = next((r for r in rows if r["sku"] == sku), None)
    if fields.pop("gone", False):
        rows.remove(found)
    elif found is None:
        rows.append({"sku": sku, **fields})
    else:
        found.update(fields)
    world.person(record, items=rows)


async def pair(orders: Project, *rows: dict[str, Any]) -> tuple[str, str]:
    a = orders.left.person(no="1", items=list(rows))
    await orders.sync()
    (b,) = orders.right.rows
    return a, b


TWO = ({"sku": "A", "qty": 1}, {"sku": "B", "qty": 2, "note": "blue"})


async def test_a_new_order_is_made_with_its_lines(orders):
    a, b = await pair(orders, *TWO)
    assert lines(orders.right, b) == [("A", "1", None), ("B", "2", "blue")]
    assert lines(orders.left, a) == [("A", "1", None), ("B", "2", "blue")]
    await quiet(orders)


async def test_an_order_without_lines_is_made_without(orders):
    a, b = await pair(orders)
    assert "items" not in orders.right.rows[b]
    edit(orders.left, a, "A", qty=1)
    await orders.sync()
    assert lines(orders.right, b) == [("A", "1", None)]
    await quiet(orders)


async def test_edits_of_different_rows_and_fields_all_travel(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.left, a, "C", qty=3)
    edit(orders.right, b, "A", note="red")
    edit(orders.right, b, "B", gone=True)
    edit(orders.right, b, "D", n=4)
    run = await orders.sync()
    whole = [("A", "5", "red"), ("C", "3", None), ("D", "4", None)]
    assert (lines(orders.left, a), lines(orders.right, b)) == (whole, whole)
    assert run.tally.outcomes == {"updated": 1}
    await quiet(orders)


async def test_rows_that_stay_are_named_by_their_ids_and_keep_them(orders):
    a, b = await pair(orders, *TWO)
    ids = {r["sku"]: r["id"] for r in orders.right.rows[b]["items"]}
    sent: list[RowsPatch] = []
    orders.right.before_write = lambda writes: sent.append(writes[0].fields["items"])
    edit(orders.left, a, "A", qty=9)
    edit(orders.left, a, "C", qty=3)
    await orders.sync()
    assert {
        r["sku"]: r["id"] for r in orders.right.rows[b]["items"]
    }.items() >= ids.items()
    (patch,) = sent
    told = sorted((r.id or "", sorted(r.fields)) for r in patch.rows)
    assert told == sorted([("", ["n", "sku"]), (ids["A"], ["n"]), (ids["B"], [])])
    assert patch.removed == ()
    edit(orders.left, a, "B", gone=True)
    await orders.sync()
    assert sent[1].removed == (ids["B"],)
    assert len(sent[1].rows) == 2
    await quiet(orders)


async def test_the_same_field_of_the_same_row_edited_twice_is_one_conflict(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.right, b, "A", n=7)
    edit(orders.right, b, "C", n=1)
    await orders.sync()
    (conflict,) = orders.store.conflicts("people")
    assert (conflict.kind, conflict.detail["fields"]) == ("fields", "lines")
    assert lines(orders.left, a) == [("A", "5", None), ("B", "2", "blue")]
    assert lines(orders.right, b)[0] == ("A", "7", None)
    await quiet(orders)


@pytest.mark.parametrize("winner", ["left", "right"])
async def test_a_decision_is_about_what_is_disputed_and_the_rest_goes_on(
    orders, winner
):
    orders.job = replace(orders.job, fields={"*": Policy(both=winner)})
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.right, b, "A", n=7)
    edit(orders.right, b, "C", n=1)
    edit(orders.left, a, "B", gone=True)
    await orders.sync()
    whole = [("A", "5" if winner == "left" else "7", None), ("C", "1", None)]
    assert (lines(orders.left, a), lines(orders.right, b)) == (whole, whole)
    await quiet(orders)


async def test_a_row_that_one_removed_and_the_other_edited_is_asked_about(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", gone=True)
    edit(orders.right, b, "A", n=7)
    await orders.sync()
    assert [c.kind for c in orders.store.conflicts("people")] == ["fields"]
    await quiet(orders)
    edit(orders.right, b, "A", gone=True)
    await orders.sync()
    assert orders.store.conflicts("people") == []
    await quiet(orders)


async def test_when_two_meet_their_lines_are_joined_and_nothing_is_lost(orders):
    a = orders.left.person(no="1", items=[{"sku": "A", "qty": 1}, {"sku": "B"}])
    b = orders.right.person(no="1", items=[{"sku": "B", "n": 2}, {"sku": "C", "n": 3}])
    await orders.sync()
    whole = [("A", "1", None), ("B", "2", None), ("C", "3", None)]
    assert (lines(orders.left, a), lines(orders.right, b)) == (whole, whole)
    await quiet(orders)


async def test_rows_of_one_key_are_paired_in_the_order_of_what_they_say(orders):
    orders.right.reverses = True
    a, b = await pair(orders, {"sku": "A", "qty": 1}, {"sku": "A", "qty": 2})
    assert lines(orders.right, b) == [("A", "1", None), ("A", "2", None)]
    await quiet(orders)
    edit(orders.left, a, "A", qty=3)
    await orders.sync()
    assert lines(orders.right, b) == [("A", "2", None), ("A", "3", None)]
    await quiet(orders)
    edit(orders.right, b, "A", gone=True)
    await orders.sync()
    assert lines(orders.left, a) == lines(orders.right, b)
    assert len(lines(orders.left, a)) == 1
    await quiet(orders)


async def test_the_order_of_rows_means_nothing(orders):
    a, _ = await pair(orders, *TWO)
    orders.left.person(a, items=orders.left.rows[a]["items"][::-1])
    run = await orders.sync()
    assert run.tally.outcomes == {"unchanged": 1}
    await quiet(orders)


async def test_all_rows_that_are_removed_are_removed(orders):
    a, b = await pair(orders, *TWO)
    orders.left.person(a, items=[])
    run = await orders.sync()
    assert lines(orders.right, b) == []
    assert run.plan.count("update") == 1
    assert run.tally.clears == 1
    await quiet(orders)


async def test_a_record_that_says_nothing_about_rows_removes_none(orders):
    a, b = await pair(orders, *TWO)
    orders.left.silent = True
    orders.left.person(a, no="1", items=[])
    await orders.sync()
    assert len(lines(orders.right, b)) == 2
    await quiet(orders)


async def test_a_value_in_a_row_that_cannot_be_read_holds_up_nothing_else(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty="many")
    edit(orders.left, a, "B", qty=5)
    run = await orders.sync()
    assert run.tally.unreadable == {"lines": 1}
    assert lines(orders.right, b) == [("A", "1", None), ("B", "5", "blue")]
    await quiet(orders)


async def test_a_list_whose_rows_have_no_ids_is_unreadable_and_left_alone(orders):
    a, b = await pair(orders, *TWO)
    orders.left.rows[a]["items"] = [{"sku": "Z", "qty": 1}]
    orders.left.person(a, no="1")
    run = await orders.sync()
    assert run.tally.unreadable == {"lines": 1}
    assert len(lines(orders.right, b)) == 2


async def test_one_way_the_owners_rows_travel_and_drift_is_left_alone(orders):
    orders.job = replace(orders.job, direction="left-to-right")
    a, b = await pair(orders, *TWO)
    edit(orders.right, b, "A", n=7)
    edit(orders.right, b, "X", n=1)
    edit(orders.right, b, "B", gone=True)
    await orders.sync()
    assert lines(orders.left, a) == [("A", "1", None), ("B", "2", "blue")]
    edit(orders.left, a, "A", note="red")
    await orders.sync()
    assert lines(orders.right, b) == [("A", "7", "red"), ("X", "1", None)]
    edit(orders.left, a, "B", qty=5)
    await orders.sync()
    assert ("B", "5", "blue") in lines(orders.right, b)
    await quiet(orders)


MEANWHILE = {
    "added": ("Z", {"n": 9}),
    "edited": ("B", {"n": 9}),
    "removed": ("B", {"gone": True}),
}


@pytest.mark.parametrize("what", MEANWHILE)
async def test_what_somebody_does_between_the_read_and_the_write_travels(orders, what):
    a, b = await pair(orders, *TWO)
    sku, fields = MEANWHILE[what]

    def meanwhile(_writes: Any) -> None:
        orders.right.before_write = None
        edit(orders.right, b, sku, **fields)

    orders.right.before_write = meanwhile
    edit(orders.left, a, "A", qty=5)
    await orders.sync()
    await orders.sync()
    assert lines(orders.left, a) == lines(orders.right, b)
    told = {"added": ("Z", "9", None), "edited": ("B", "9", "blue")}
    assert ("A", "5", None) in lines(orders.right, b)
    if what == "removed":
        assert len(lines(orders.left, a)) == 1
    else:
        assert told[what] in lines(orders.left, a)
    await quiet(orders)


async def test_what_the_vendor_makes_of_a_row_is_not_sent_again(orders):
    orders.right.shortens = 4
    a, b = await pair(orders, {"sku": "A", "note": "tall and blue"})
    assert lines(orders.right, b) == [("A", "", "tall")]
    await quiet(orders)
    assert lines(orders.left, a) == [("A", "", "tall and blue")]
    edit(orders.left, a, "A", qty=3)
    await orders.sync()
    assert lines(orders.left, a) == [("A", "3", "tall and blue")]
    assert lines(orders.right, b) == [("A", "3", "tall")]
    await quiet(orders)


async def test_the_plan_says_what_the_rows_will_be(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.right, b, "B", gone=True)
    edit(orders.right, b, "C", n=3)
    run = orders.run()
    await jobs.plan(run)
    spokes = {side.name: side.spoke for side in run.sides}
    ((_, (change,)),) = orders.store.windows("people", run.plan.id)
    for side, was in (("left", "B"), ("right", "C")):
        (shown,) = _shown(change, side, spokes, "x").fields
        assert "5" in str(shown.new[0])
        assert {r.fields["product"] for r in shown.new} == {"A", "C"}
        assert {r.fields["product"] for r in shown.old} >= {was}


@pytest.fixture
def linked(orders) -> Project:
    product = FieldSpec("product", "link", to="product")
    spec = replace(LINES, fields={**LINES.fields, "product": product})
    orders.entity = replace(ORDER, fields={**ORDER.fields, "lines": spec})
    rule = Rule("product", link=LinkRule("sku"))
    orders.maps = {
        "left": mapping(quantity="qty", product=rule),
        "right": mapping(quantity="n", product=rule),
    }
    orders.routes = {"lines.product": Route("products", ("products",), ("products",))}
    for k in range(2):
        link(orders, k)
    return orders


def link(project: Project, k: int) -> None:
    for world in (project.left, project.right):
        row = (
            f"memory:{world.name}",
            "products",
            f"{world.name}-p{k}",
            bytes([k]) * 16,
        )
        project.store.link([row])


async def test_a_rows_product_is_the_one_linked_across(linked):
    a, b = await pair(linked, {"sku": "a-p0", "qty": 1}, {"sku": "a-p1", "qty": 2})
    assert lines(linked.right, b) == [("b-p0", "1", None), ("b-p1", "2", None)]
    await quiet(linked)
    edit(linked.right, b, "b-p1", n=7)
    await linked.sync()
    assert ("a-p1", "7", None) in lines(linked.left, a)
    await quiet(linked)


async def test_a_row_whose_product_is_not_linked_waits_and_is_kept(linked):
    a, b = await pair(linked, {"sku": "a-p0", "qty": 1}, {"sku": "a-p7", "qty": 2})
    assert lines(linked.right, b) == [("b-p0", "1", None)]
    edit(linked.right, b, "b-p0", n=5)
    await linked.sync()
    assert lines(linked.left, a) == [("a-p0", "5", None), ("a-p7", "2", None)]
    await quiet(linked)
    link(linked, 7)
    await linked.sync()
    assert lines(linked.right, b) == [("b-p0", "5", None), ("b-p7", "2", None)]
    await quiet(linked)


async def test_rows_that_a_run_wrote_are_put_back_and_stay_so(orders):
    a, b = await pair(orders, *TWO)
    was = lines(orders.left, a), lines(orders.right, b)
    edit(orders.left, a, "A", qty=5)
    edit(orders.left, a, "C", qty=3)
    edit(orders.left, a, "B", gone=True)
    run = await orders.sync()
    undo = await undone(orders, run.number)
    assert lines(orders.right, b) == was[1]
    assert undo.tally.outcomes == {"updated": 1}
    await quiet(orders)
    edit(orders.left, a, "D", qty=1)
    await orders.sync()
    for world, record, n in ((orders.left, a, "5"), (orders.right, b, "1")):
        assert ("A", n, None) in lines(world, record)
        assert {r[0] for r in lines(world, record)} == {"A", "B", "C", "D"}
    await quiet(orders)


async def test_a_product_that_rows_point_to_is_not_archived_by_an_undo(linked):
    orders, by_name = linked.job, linked.entity
    linked.job = replace(orders, name="products")
    linked.left.person(no="the product")
    first = await linked.sync()
    (product,) = linked.right.rows
    linked.store.link([("memory:a", "products", "a-p9", b"9" * 16)])
    linked.store.link([("memory:b", "products", product, b"9" * 16)])
    linked.job, linked.entity = orders, by_name
    linked.left.person(no="1", items=[{"sku": "a-p9", "qty": 1}])
    await linked.sync()
    ends = {
        s: (f"memory:{a}", orders.side(s)) for s, a in zip(SIDES, "ab", strict=True)
    }
    sides = {s: s for s in SIDES}
    pointing = undoing.Pointing("people", "lines.product", sides, ends)
    linked.job = replace(orders, name="products")
    run = linked.run()
    run.planning = True
    await undoing.plan_undo(run, first.number, [pointing])
    windows = linked.store.windows("products", run.plan.id)
    kept = [c for _, some in windows for c in some]
    assert [c.reason for c in kept] == ["records of job people point to it"]


async def test_rows_of_an_order_that_is_refused_are_a_dead_letter_until_they_are_mended(
    orders,
):
    a, b = await pair(orders, *TWO)
    orders.right.refuses = {"bad"}
    edit(orders.left, a, "A", note="bad")
    edit(orders.right, b, "B", n=9)
    await orders.sync()
    (letter,) = orders.store.letters("people")
    assert (letter.record, letter.op) == (a, "update")
    assert ("B", "9", "blue") in lines(orders.left, a)
    await quiet(orders)
    edit(orders.left, a, "A", note="good")
    await orders.sync()
    assert lines(orders.right, b) == [("A", "1", "good"), ("B", "9", "blue")]
    await quiet(orders)


async def test_rows_whose_rule_was_edited_travel_from_the_next_edit_on(orders):
    a, b = await pair(orders, *TWO)
    less = {n: r for n, r in RIGHT.rules["lines"].rows.rules.items() if n != "note"}
    orders.maps["right"] = replace(
        RIGHT,
        rules={**RIGHT.rules, "lines": Rule("lines", rows=RowsRule("items", less))},
    )
    await quiet(orders)
    edit(orders.left, a, "A", qty=5, note="red")
    await orders.sync()
    assert lines(orders.right, b) == [("A", "5", None), ("B", "2", "blue")]
    await quiet(orders)


async def test_rows_are_back_filled_and_joined_as_at_a_first_meeting(orders):
    maps = dict(orders.maps)
    for side, spec in maps.items():
        rules = {n: r for n, r in spec.rules.items() if n != "lines"}
        orders.maps[side] = replace(spec, rules=rules)
    a, b = await pair(orders, *TWO)
    orders.right.person(b, items=[{"sku": "C", "n": 3}])
    await orders.sync()
    orders.maps = maps
    await quiet(orders)
    assert lines(orders.right, b) == [("C", "3", None)]
    await orders.sync(backfill=frozenset({"lines"}))
    assert {r[0] for r in lines(orders.left, a)} == {"A", "B", "C"}
    assert lines(orders.left, a) == lines(orders.right, b)
    await quiet(orders)


async def test_a_field_of_a_row_that_one_side_only_reads_belongs_to_it(orders):
    rule = Rule("note", "note", one_way=True)
    orders.maps["right"] = mapping(quantity="n", note=rule)
    a, b = await pair(orders, *TWO)
    assert lines(orders.right, b) == [("A", "1", None), ("B", "2", None)]
    await quiet(orders)
    edit(orders.right, b, "A", note="by the vendor")
    await orders.sync()
    assert ("A", "1", "by the vendor") in lines(orders.left, a)
    await quiet(orders)


async def test_an_answer_that_was_lost_is_looked_up_by_what_the_rows_say(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.left, a, "B", gone=True)
    lost = [("lost", InDoubt("lost"))]
    orders.right.before_write = lambda _w: orders.right.weather.extend(lost)
    run = await orders.sync()
    orders.right.before_write = None
    assert run.tally.outcomes == {"updated": 1}
    assert lines(orders.right, b) == [("A", "5", None)]
    await quiet(orders)


async def test_the_later_edit_of_rows_wins_where_the_job_says_so(orders, monkeypatch):
    async def edited(self, resource, ids, paths):
        assert (resource, paths) == ("people", ["items"])
        at = datetime(2026, 11, 24, 2 if self.world.name == "b" else 1, tzinfo=UTC)
        return {i: {"items": Edited(at, at)} for i in ids}

    monkeypatch.setattr(Memory, "edited", edited)
    orders.job = replace(orders.job, fields={"*": Policy(both="newest")})
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", qty=5)
    edit(orders.left, a, "C", qty=5)
    edit(orders.right, b, "A", n=7)
    await orders.sync()
    whole = [("A", "7", None), ("B", "2", "blue"), ("C", "5", None)]
    assert (lines(orders.left, a), lines(orders.right, b)) == (whole, whole)
    await quiet(orders)


async def test_two_who_set_a_row_to_and_fro_are_held(orders):
    a, _ = await pair(orders, *TWO)
    for i in range(6):
        edit(orders.left, a, "A", qty=1 + i % 2)
        await orders.sync()
    (conflict,) = orders.store.conflicts("people")
    assert conflict.detail["fights"] == "lines"


async def test_a_person_who_counts_a_row_up_is_no_fight(orders):
    a, b = await pair(orders, *TWO)
    for i in range(2, 9):
        edit(orders.left, a, "A", qty=i)
        await orders.sync()
    assert lines(orders.right, b)[0] == ("A", "8", None)
    assert orders.store.conflicts("people") == []


async def test_a_row_the_vendor_does_not_take_is_not_sent_with_every_other_edit(orders):
    put = orders.right._rows

    def forgetful(record: str, path: str, value: Any) -> Any:
        found = put(record, path, value)
        if path != "items":
            return found
        return [r for r in found if r.get("sku") != "X"]

    orders.right._rows = forgetful
    a, _ = await pair(orders, *TWO)
    edit(orders.left, a, "X", qty=5)
    run = await orders.sync()
    assert run.tally.outcomes == {"not_taken": 1}
    sent: list[Any] = []
    orders.right.before_write = sent.extend
    orders.left.person(a, no="2")
    await orders.sync()
    assert [[*w.fields] for w in sent] == [["no"]]
    assert len(lines(orders.left, a)) == 3


async def test_of_rows_that_travel_both_ways_those_that_were_refused_are_sent_later(
    orders,
):
    a, b = await pair(orders, *TWO)
    orders.right.refuses = {"bad"}
    edit(orders.left, a, "A", note="bad")
    edit(orders.right, b, "B", n=9)
    await orders.sync()
    orders.right.refuses = set()
    orders.left.person(a, no="2")
    await orders.sync()
    assert lines(orders.left, a) == lines(orders.right, b)
    assert lines(orders.right, b) == [("A", "1", "bad"), ("B", "9", "blue")]
    await quiet(orders)


async def test_rows_that_wait_on_both_sides_bring_no_removed_one_back(linked):
    a, b = await pair(linked, {"sku": "a-p0", "qty": 1}, {"sku": "a-p1", "qty": 2})
    edit(linked.left, a, "a-p7", qty=7)
    edit(linked.right, b, "b-p8", n=8)
    await linked.sync()
    edit(linked.left, a, "a-p0", gone=True)
    await linked.sync()
    assert lines(linked.right, b) == [("b-p1", "2", None), ("b-p8", "8", None)]
    assert lines(linked.left, a) == [("a-p1", "2", None), ("a-p7", "7", None)]
    await quiet(linked)


async def test_a_rule_of_a_row_that_was_edited_makes_no_row_look_edited(orders):
    a, b = await pair(orders, *TWO)
    more = {**RIGHT.rules["lines"].rows.rules, "note": Rule("note", "memo")}
    rows = Rule("lines", rows=RowsRule("items", more))
    orders.maps["right"] = replace(RIGHT, rules={**RIGHT.rules, "lines": rows})
    await orders.sync(full=True)
    edit(orders.left, a, "A", qty=5)
    await orders.sync()
    edit(orders.left, a, "A", qty=6)
    await orders.sync()
    assert lines(orders.left, a) == [("A", "6", None), ("B", "2", "blue")]
    assert lines(orders.right, b)[0] == ("A", "6", None)
    await quiet(orders)


async def test_what_is_asked_about_is_asked_again_when_something_else_is_edited(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "A", gone=True)
    edit(orders.right, b, "A", n=7)
    await orders.sync()
    edit(orders.right, b, "B", n=8)
    await orders.sync()
    assert [c.kind for c in orders.store.conflicts("people")] == ["fields"]
    assert lines(orders.left, a) == [("B", "2", "blue")]
    await quiet(orders)


async def test_what_a_side_cannot_take_of_a_row_is_not_written_to_it(orders):
    rule = Rule("note", "note", one_way=True)
    orders.maps["right"] = mapping(quantity="n", note=rule)
    a, _ = await pair(orders, *TWO)
    before = writes(orders)
    edit(orders.left, a, "A", note="mine")
    run = await orders.sync()
    assert (writes(orders), run.tally.outcomes) == (before, {"unchanged": 1})


async def test_the_same_row_added_on_both_sides_is_filled_and_asked_about(orders):
    a, b = await pair(orders, *TWO)
    edit(orders.left, a, "C", qty=1, note="red")
    edit(orders.right, b, "C", n=1)
    await orders.sync()
    assert ("C", "1", "red") in lines(orders.right, b)
    edit(orders.left, a, "D", qty=1)
    edit(orders.right, b, "D", n=2)
    await orders.sync()
    assert [c.kind for c in orders.store.conflicts("people")] == ["fields"]
    assert ("D", "2", None) in lines(orders.right, b)
    assert ("D", "1", None) in lines(orders.left, a)


async def test_rows_that_were_never_sent_after_their_order_was_made_follow(orders):
    put = orders.right._rows

    def dies(record: str, path: str, value: Any) -> Any:
        return [] if path == "items" else put(record, path, value)

    orders.right._rows = dies
    lost = [("lost", InDoubt("lost"))]
    orders.right.before_write = lambda _w: orders.right.weather.extend(lost)
    a = orders.left.person(no="1", items=list(TWO))
    await orders.sync()
    orders.right._rows, orders.right.before_write = put, None
    (b,) = orders.right.rows
    await orders.sync()
    assert lines(orders.right, b) == lines(orders.left, a) != []
    await quiet(orders)
