"""Laws of rows within a record: what is put is seen again, and two sides that are merged agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_hub.adapters.transforms import at_home, needs_region, transforms
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Policy
from connector_hub.model.mapping import (
    LinkRule,
    Lookup,
    Mapping,
    MappingTest,
    RowsRule,
    Rule,
    check,
    compile_mapping,
    differs,
)
from connector_hub.model.record import EMPTY, RowPatch, RowsPatch
from connector_hub.model.rowmerge import Both, merge_rows
from connector_hub.model.rows import Edit, Listed, Row, applied, arranged, made, spelled
from connector_hub.model.union import unite

FIELDS = {
    "product": FieldSpec("product", "text"),
    "quantity": FieldSpec("quantity", "number"),
    "note": FieldSpec("note", "text"),
}
LINES = FieldSpec("lines", "rows", key=("product",), fields=FIELDS)
ENTITY = Entity("order", {"lines": LINES, "no": FieldSpec("no", "text")})
RULES = {
    "product": Rule("product", "what.sku", ("trim",)),
    "quantity": Rule("quantity", "n"),
    "note": Rule("note", "note"),
}


def mapped(rules: dict[str, Rule], **more: Any) -> Mapping:
    rule = Rule("lines", rows=RowsRule("deep.items", rules), **more)
    return Mapping("order", "acme", "orders", {"lines": rule})


SPOKE = compile_mapping(mapped(RULES), ENTITY, transforms())
ROWS = SPOKE.rows["lines"]

QUANTITIES = st.none() | st.integers(0, 3).map(Decimal)
NOTES = st.none() | st.sampled_from("xyz")
TOLD = st.lists(
    st.fixed_dictionaries(
        {"product": st.sampled_from("ABC"), "quantity": QUANTITIES, "note": NOTES}
    ),
    max_size=5,
)


def rows_of(told: Iterable[dict[str, Any]], side: str = "r") -> tuple[Row, ...]:
    listed = [Row(f"{side}{i}", dict(t)) for i, t in enumerate(told)]
    return arranged(listed, ("product",))


def vendor(
    patch: RowsPatch, held: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """A vendor's list after a patch, as JSON."""
    found = {r["id"]: r for r in held if r["id"] not in patch.removed}
    for i, row in enumerate(patch.rows):
        at = found.setdefault(row.id or f"new{i}", {"id": row.id or f"new{i}"})
        for path, value in row.fields.items():
            head, _, leaf = path.partition(".")
            plain = str(value) if isinstance(value, Decimal) else value
            if leaf:
                at[head] = {leaf: plain}
            else:
                at[head] = plain
    return list(found.values())


def seen(listed: Any) -> tuple[Row, ...]:
    view, bad = SPOKE.view(SPOKE.raws({"deep": {"items": listed}}, {}))
    assert bad == []
    rows: tuple[Row, ...] = view["lines"]
    return rows


@given(TOLD)
def test_rows_that_were_put_are_seen_again(told):
    patch = SPOKE.put({"lines": made(rows_of(told), RULES)})["deep.items"]
    assert all(r.id is None for r in patch.rows)
    assert seen(vendor(patch)) == rows_of(told)


@given(TOLD)
def test_putting_what_was_seen_changes_nothing(told):
    held = vendor(ROWS.put(made(rows_of(told), RULES)))
    own = seen(held)
    patch = ROWS.put(applied(own, own, (), RULES, [r["id"] for r in held]))
    assert patch.removed == ()
    assert {r.id for r in patch.rows} == {r["id"] for r in held}
    assert all(not r.fields for r in patch.rows)
    assert vendor(patch, held) == held


@given(TOLD, st.permutations(range(5)))
def test_the_order_a_vendor_tells_rows_in_means_nothing(told, order):
    held = vendor(ROWS.put(made(rows_of(told), RULES)))
    mixed = [held[i] for i in order if i < len(held)]
    row = {"deep": {"items": held}}
    assert SPOKE.raws({"deep": {"items": mixed}}, {}) == SPOKE.raws(row, {})
    assert seen(mixed) == seen(held)
    assert [r.key for r in seen(mixed)] == [r.key for r in seen(held)]


@given(TOLD, TOLD)
def test_rows_that_are_put_back_are_as_they_were(was, now):
    before = vendor(ROWS.put(made(rows_of(was), RULES)))
    after = [
        {**r, "id": f"k{i}"} if i % 2 else r
        for i, r in enumerate(vendor(ROWS.put(made(rows_of(now), RULES))))
    ]
    raws = [SPOKE.raws({"deep": {"items": listed}}, {}) for listed in (before, after)]
    patch = SPOKE.put_back({"lines"}, *raws).fields["deep.items"]
    assert seen(vendor(patch, after)) == seen(before)


def edited(base: Sequence[Row], told: Sequence[Row]) -> dict[Any, set[str]]:
    """Fields that differ from the base, by its rows; all where the row is gone."""
    now = {r.key: r.fields for r in told}
    return {
        r.key: {n for n in FIELDS if r.key not in now or now[r.key][n] != r.fields[n]}
        for r in base
    }


def pair(base: Any, left: Any, right: Any) -> Both:
    rows = rows_of(left, "l"), rows_of(right, "r")
    known = None
    if base is not None:
        held = rows_of(base)
        known = edited(held, rows[0]), edited(held, rows[1])
    return Both(rows, known, (frozenset(FIELDS), frozenset(FIELDS)))


def after(
    both: Both, left: Sequence[Edit], right: Sequence[Edit]
) -> list[tuple[Row, ...]]:
    """Both sides' rows once the edits are made."""
    done = [
        applied(both.rows[i], both.rows[1 - i], edits, FIELDS).rows
        for i, edits in enumerate((left, right))
    ]
    return [arranged(rows) for rows in done]


WINNERS = st.sampled_from(["left", "right", "fill"])


@given(st.none() | TOLD, TOLD, TOLD, WINNERS)
def test_two_sides_that_are_merged_say_the_same(base, left, right, winner):
    both = pair(base, left, right)
    found = merge_rows(Policy(both=winner, first=winner), both)
    assert not found.asks
    mine, theirs = after(both, found.left, found.right)
    assert mine == theirs
    again = Both((mine, theirs), both.known, both.written)
    assert merge_rows(Policy(both="ask"), again).asks is False
    assert merge_rows(Policy(both="ask"), again) == merge_rows(
        Policy(both="left"), again
    )


@given(st.none() | TOLD, TOLD, TOLD)
def test_it_does_not_matter_which_side_is_called_left(base, left, right):
    one = pair(base, left, right)
    known = one.known and one.known[::-1]
    two = Both(one.rows[::-1], known, one.written)
    policy = Policy(both="ask", first="ask")
    a, b = merge_rows(policy, one), merge_rows(policy, two)
    assert (said(a.left), said(a.right)) == (said(b.right), said(b.left))
    assert a.asks == b.asks


def said(edits: Iterable[Edit]) -> set[Any]:
    return {(e.own, e.there, frozenset(e.names)) for e in edits}


@given(TOLD, TOLD, TOLD)
def test_nothing_that_one_side_did_alone_is_lost(base, left, right):
    """Keys that are there once only: then it is plain who did what."""
    once = [{r["product"]: r for r in told}.values() for told in (base, left, right)]
    both = pair(*once)
    assert both.known is not None
    found = merge_rows(Policy(both="left"), both)
    mine, _ = after(both, found.left, found.right)
    result = {r.key: r.fields for r in mine}
    sides = [{r.key: r.fields for r in rows} for rows in both.rows]
    for i in (0, 1):
        here, there = sides[i], sides[1 - i]
        for key, fields in here.items():
            if key not in both.known[i]:
                assert key in result
            elif key in there:
                for n in both.known[i][key]:
                    if n not in both.known[1 - i][key]:
                        assert result[key][n] == fields[n]
            elif not both.known[i][key]:
                assert key not in result


@given(TOLD, TOLD, TOLD)
def test_of_an_owned_list_the_other_side_is_never_written(base, left, right):
    both = pair(base, left, right)
    found = merge_rows(Policy("left"), both)
    assert (found.left, found.asks) == ((), False)
    reverted = merge_rows(Policy("left", revert=True), both)
    mine, theirs = after(both, reverted.left, reverted.right)
    assert [r.key for r in mine] == [r.key for r in theirs]
    for a, b in zip(mine, theirs, strict=True):
        if both.known and a.key in both.known[0]:
            assert a == b


@given(TOLD, TOLD, TOLD)
def test_what_was_written_is_met_and_what_another_did_is_told_apart(base, left, right):
    both = pair(base, left, right)
    found = merge_rows(Policy(both="left"), both)
    listed = applied(both.rows[1], both.rows[0], found.right, FIELDS)
    read = arranged(
        Row(r.id or f"n{i}", r.fields, (), r.key) for i, r in enumerate(listed.rows)
    )
    assert listed.is_met(read)
    assert not listed.is_beside(read)
    if read:
        assert listed.is_beside(read[1:]) or not listed.is_met(read[1:])
    more = Row("x", {"product": "Z", "quantity": None, "note": None})
    assert listed.is_beside(arranged([*read, structured(more)]))


def structured(row: Row) -> Row:
    return Row(row.id, row.fields, (), (row.fields["product"], 0))


def test_a_row_says_what_it_is_of_and_no_value_in_a_repr():
    row = Row("1", {"product": "A", "quantity": Decimal("2.50"), "note": None})
    assert repr(row) == "Row(['product', 'quantity', 'note'])"
    assert str(row) == "{note: , product: A, quantity: 2.5}"
    assert spelled([row]) == str(Listed((row,)))
    assert row == Row("2", {**row.fields})
    assert row != "A"
    assert repr(RowPatch("1", {"n": 5})) == "RowPatch(id='1', fields=['n'])"


def test_what_is_needed_of_rows_is_asked_for_apart():
    assert SPOKE.want.fields == frozenset()
    inside = frozenset({"id", "what.sku", "n", "note"})
    assert SPOKE.want.rows == {"deep.items": inside}
    more = compile_mapping(
        mapped({"product": Rule("product", "p")}), ENTITY, transforms()
    )
    both = unite({"a": SPOKE, "b": more})
    assert both.want.rows == {"deep.items": inside | {"p"}}
    raws = both.raws({"b": {"deep": {"items": [{"id": 1, "p": "A"}]}}}, EMPTY)
    assert both.view(raws)[0] == {"lines": (Row("", {"product": "A"}),)}


@pytest.mark.parametrize(
    "listed",
    ["A", [1], [{"n": 1}], [{"id": "", "n": 1}], [{"id": True}, {"id": None}], {}],
)
def test_what_is_no_list_of_rows_with_ids_is_unreadable(listed):
    view, bad = SPOKE.view(SPOKE.raws({"deep": {"items": listed}}, {}))
    assert (view, [(b.field, b.value) for b in bad]) == ({}, [("lines", listed)])


def test_no_list_and_no_rows_are_two_things():
    assert SPOKE.view(SPOKE.raws({}, {}))[0] == {}
    for none in ([], None, ""):
        assert seen(none) == ()


def test_a_row_whose_key_cannot_be_read_is_left_aside():
    fields = {**FIELDS, "product": FieldSpec("product", "number")}
    spec = FieldSpec("lines", "rows", key=("product",), fields=fields)
    entity = Entity("order", {"lines": spec})
    rules = {
        "product": Rule("product", "p"),
        "note": Rule("note", "note", bad="reject"),
    }
    spoke = compile_mapping(mapped(rules), entity, transforms())
    listed = [{"id": "1", "p": "one"}, {"id": "2", "p": "2", "note": [1]}]
    raws = spoke.raws({"deep": {"items": listed}}, {})
    view, bad = spoke.view(raws)
    assert [r.id for r in view["lines"]] == ["2"]
    assert [(b.field, b.reject) for b in bad] == [("lines", False), ("lines", True)]
    rows = spoke.rows["lines"]
    patch = rows.put(applied(view["lines"], (), (), rules, rows.ids(raws[0])))
    assert {r.id for r in patch.rows} == {"1", "2"}


def test_rules_of_rows_are_at_home_where_their_connection_is():
    fields = {"product": FieldSpec("product", "phone")}
    spec = FieldSpec("lines", "rows", key=("product",), fields=fields)
    open_ = mapped({"product": Rule("product", "p", ("phone(region)",))})
    assert needs_region(open_) == "product"
    home = at_home(open_, region="ID", zone=None)
    assert needs_region(home) is None
    spoke = compile_mapping(home, Entity("order", {"lines": spec}), transforms())
    raws = spoke.raws({"deep": {"items": [{"id": 1, "p": "08123456789"}]}}, {})
    assert spoke.view(raws)[0]["lines"][0].fields == {"product": "+628123456789"}


def test_a_new_rule_of_a_row_changes_the_print_of_the_list():
    more = {**RULES, "note": Rule("note", "other")}
    other = compile_mapping(mapped(more), ENTITY, transforms())
    assert other.prints != SPOKE.prints
    less = compile_mapping(
        mapped(RULES), ENTITY, transforms(), leave_out=["lines.note"]
    )
    assert less.rows["lines"].inner.names == ("product", "quantity")
    none = compile_mapping(
        mapped(RULES), ENTITY, transforms(), leave_out=["lines.product"]
    )
    assert none.names == ()


def test_a_mappings_test_lists_rows_in_any_order():
    row = {
        "deep": {
            "items": [{"id": 1, "what": {"sku": "A"}, "n": "2"}, {"id": 2, "note": "x"}]
        }
    }
    good = [{"note": "x"}, {"product": "A", "quantity": 2}]
    assert differs(SPOKE, MappingTest(row, {"lines": good})) == {}
    for wrong in ([], good[:1], [*good, {}], [{"note": "y"}, good[1]], ["A", "B"]):
        assert differs(SPOKE, MappingTest(row, {"lines": wrong})).keys() == {"lines"}
    assert differs(SPOKE, MappingTest({"deep": {"items": []}}, {"lines": []})) == {}


@pytest.mark.parametrize(
    ("rules", "more", "at", "said"),
    [
        ({"nmae": Rule("nmae", "x")}, {}, ("fields", "nmae"), "has no field 'nmae'"),
        (
            {"note": Rule("note", "x")},
            {},
            ("fields",),
            "told apart by 'product', which has no rule here",
        ),
        (
            {**RULES, "note": Rule("note", "x", ("trimm",))},
            {},
            ("fields", "note", "via", 0),
            "'trimm'",
        ),
        (
            {**RULES, "note": Rule("note", "x", also=("y",))},
            {},
            ("fields", "note"),
            "no also:",
        ),
        (
            {**RULES, "note": Rule("note", "x", default="y")},
            {},
            ("fields", "note"),
            "no default:",
        ),
        (
            {**RULES, "note": Rule("note", link=LinkRule(association="y"))},
            {},
            ("fields", "note"),
            "no link: {association",
        ),
        ({**RULES, "note": Rule("note", "n")}, {}, ("fields", "note"), "both written"),
        (RULES, {"via": ("trim",)}, (), "rules of their own"),
        (RULES, {"lookup": Lookup("x", "y")}, (), "rules of their own"),
    ],
)
def test_a_mistake_within_rows_is_told_at_its_place(rules, more, at, said):
    found = check(mapped(rules, **more), ENTITY, transforms())
    where = ("fields", "lines", "rows", *at)
    assert any(p.where == where and said in p.message for p in found), found


@pytest.mark.parametrize(
    "rule",
    [
        Rule("lines", "items"),
        Rule("no", rows=RowsRule("items", RULES)),
        Rule("lines", "items", rows=RowsRule("items", RULES)),
    ],
)
def test_rows_go_with_the_kind_rows_only(rule):
    found = check(Mapping("order", "a", "o", {rule.field: rule}), ENTITY, transforms())
    assert [p.where for p in found] == [("fields", rule.field)] * len(found) != []


def test_rules_of_rows_without_a_mistake_have_none():
    assert check(mapped(RULES), ENTITY, transforms()) == []
