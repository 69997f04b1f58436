"""Several resources as one: each record is read by its own resource's spoke."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import (
    ABSENT,
    Bad,
    LinkRule,
    Lookup,
    Mapping,
    Rule,
    Spoke,
    compile_mapping,
)
from connector_hub.model.record import Ref, Want
from connector_hub.model.transforms import Transforms
from connector_hub.model.union import RESOURCE, unite

ENTITY = Entity(
    "person",
    {
        "email": FieldSpec("email", "email"),
        "age": FieldSpec("age", "number"),
        "note": FieldSpec("note", "text"),
        "firm": FieldSpec("firm", "link", to="firm"),
        "owner": FieldSpec("owner", "text"),
    },
    (("email",), ("note",)),
)
LEAD = {
    "email": Rule("email", "Mail", ("lower",), also=("Mail2",)),
    "note": Rule("note", "Note", when={"email": ("a@x",)}),
    "owner": Rule("owner", "Owner", lookup=Lookup("users", "name")),
}
CONTACT = {
    "age": Rule("age", "Age"),
    "email": Rule("email", "Email"),
    "note": Rule("note", "Text", default="none", one_way=True),
    "firm": Rule("firm", link=LinkRule(association="firms")),
}


def spoke(resource: str, rules: dict[str, Rule], rows: Any = None) -> Spoke:
    mapping = Mapping("person", "acme", resource, rules)
    tables = {Lookup("users", "name"): rows} if rows else None
    return compile_mapping(mapping, ENTITY, Transforms(), tables=tables)


PARTS = {
    "Lead": spoke("Lead", LEAD, {"u1": "Ann"}),
    "Contact": spoke("Contact", CONTACT),
}
BOTH = unite(PARTS)
LEADS = {"Lead": {"Mail": "A@x", "Mail2": "B@x;C@x", "Note": "hi", "Owner": "u1"}}
PEOPLE: dict[str, Any] = {"Contact": {"Age": "x", "Email": "b@x", "Text": "ho"}}
FIRMS = {"firms": [Ref("Firm", "7")]}


def test_the_fields_of_all_are_in_one_row_after_the_resource() -> None:
    assert BOTH.names == (RESOURCE, "email", "note", "owner", "age", "firm")
    assert BOTH.kept == (*BOTH.names, "email+0")
    lead = BOTH.raws(LEADS, {})
    assert lead == ("Lead", "A@x", "hi", "u1", ABSENT, ABSENT, "B@x;C@x")
    assert BOTH.raws(PEOPLE, FIRMS) == (
        *("Contact", "b@x", "ho", ABSENT, "x", ["Firm", "7"], ABSENT),
    )


def test_a_record_is_read_by_the_spoke_of_its_resource() -> None:
    lead, person = BOTH.raws(LEADS, {}), BOTH.raws(PEOPLE, FIRMS)
    assert BOTH.view(lead) == ({"email": "a@x", "note": "hi", "owner": "Ann"}, [])
    firm = Ref("Firm", "7")
    read = {"email": "b@x", "note": "ho", "firm": firm}
    assert BOTH.view(person) == (read, [Bad("age", "x")])
    assert BOTH.identity(lead) == {"email": "a@x", "note": "hi"}
    assert BOTH.identity(person) == {"email": "b@x", "note": "ho"}
    assert BOTH.also is not None
    assert BOTH.also(lead, {}) == {"email": ("b@x", "c@x")}
    assert BOTH.also(person, {}) == {}


def test_what_is_outside_its_condition_is_in_the_whole_only() -> None:
    other = BOTH.raws({"Lead": {**LEADS["Lead"], "Mail": "z@x"}}, {})
    assert BOTH.view(other)[0] == {"email": "z@x", "owner": "Ann"}
    assert BOTH.whole(other)[0] == {"email": "z@x", "note": "hi", "owner": "Ann"}


def test_what_any_resource_has_the_union_has() -> None:
    assert BOTH.writable == {"email", "note", "owner", "age", "firm"}
    assert BOTH.want == Want(
        frozenset({"Mail", "Mail2", "Note", "Owner", "Age", "Email", "Text"}),
        frozenset({"firms"}),
    )
    assert BOTH.identifying == {"email", "note"}
    assert BOTH.conditions == {"note": {"email": frozenset({"a@x"})}}
    assert BOTH.defaults == {"note": "none"}
    assert BOTH.known == {"owner": {"Ann": "u1"}}
    assert BOTH.parts is PARTS
    assert set(BOTH.mapping.rules) == {"email", "note", "owner", "age", "firm"}


def test_records_of_one_resource_have_no_further_values_where_no_rule_has_any() -> None:
    plain = {"Contact": PARTS["Contact"], "Old": spoke("Old", CONTACT)}
    assert unite(plain).also is None


def test_nothing_is_written_by_the_union_itself() -> None:
    with pytest.raises(
        TypeError, match=r"^what is written goes by the spoke of one resource$"
    ):
        BOTH.put({"email": "a@x"})


def test_a_rule_that_changes_anywhere_ages_its_field_and_no_other() -> None:
    assert BOTH.prints[0] == ""
    assert len(set(BOTH.prints)) == len(BOTH.prints) == len(BOTH.kept)
    assert {len(p) for p in BOTH.prints[1:]} == {16}
    turned = unite(dict(reversed(PARTS.items())))
    mine = dict(zip(BOTH.kept, BOTH.prints, strict=True))
    assert dict(zip(turned.kept, turned.prints, strict=True)) == mine
    changed = CONTACT | {"email": Rule("email", "Email", ("trim",))}
    other = unite(PARTS | {"Contact": spoke("Contact", changed)})
    theirs = dict(zip(other.kept, other.prints, strict=True))
    assert [n for n in mine if mine[n] != theirs[n]] == ["email"]
    moved = unite({"Lead": PARTS["Lead"], "Person": PARTS["Contact"]})
    assert moved.prints[2] != BOTH.prints[2]
