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


Parts = dict[str, Spoke]


@pytest.fixture
def parts() -> Parts:
    return {
        "Lead": spoke("Lead", LEAD, {"u1": "Ann"}),
        "Contact": spoke("Contact", CONTACT),
    }


@pytest.fixture
def both(parts: Parts) -> Spoke:
    return unite(parts)


LEADS = {"Lead": {"Mail": "A@x", "Mail2": "B@x;C@x", "Note": "hi", "Owner": "u1"}}
PEOPLE: dict[str, Any] = {"Contact": {"Age": "x", "Email": "b@x", "Text": "ho"}}
FIRMS = {"firms": [Ref("Firm", "7")]}


def test_the_fields_of_all_are_in_one_row_after_the_resource(both: Spoke) -> None:
    assert both.names == (RESOURCE, "email", "note", "owner", "age", "firm")
    assert both.kept == (*both.names, "email+0")
    lead = both.raws(LEADS, {})
    assert lead == ("Lead", "A@x", "hi", "u1", ABSENT, ABSENT, "B@x;C@x")
    assert both.raws(PEOPLE, FIRMS) == (
        *("Contact", "b@x", "ho", ABSENT, "x", ["Firm", "7"], ABSENT),
    )


def test_a_record_is_read_by_the_spoke_of_its_resource(both: Spoke) -> None:
    lead, person = both.raws(LEADS, {}), both.raws(PEOPLE, FIRMS)
    assert both.view(lead) == ({"email": "a@x", "note": "hi", "owner": "Ann"}, [])
    firm = Ref("Firm", "7")
    read = {"email": "b@x", "note": "ho", "firm": firm}
    assert both.view(person) == (read, [Bad("age", "x")])
    assert both.identity(lead) == {"email": "a@x", "note": "hi"}
    assert both.identity(person) == {"email": "b@x", "note": "ho"}
    assert both.also is not None
    assert both.also(lead, {}) == {"email": ("b@x", "c@x")}
    assert both.also(person, {}) == {}


def test_what_is_outside_its_condition_is_in_the_whole_only(both: Spoke) -> None:
    other = both.raws({"Lead": {**LEADS["Lead"], "Mail": "z@x"}}, {})
    assert both.view(other)[0] == {"email": "z@x", "owner": "Ann"}
    assert both.whole(other)[0] == {"email": "z@x", "note": "hi", "owner": "Ann"}


def test_what_any_resource_has_the_union_has(both: Spoke, parts: Parts) -> None:
    assert both.writable == {"email", "note", "owner", "age", "firm"}
    assert both.want == Want(
        frozenset({"Mail", "Mail2", "Note", "Owner", "Age", "Email", "Text"}),
        frozenset({"firms"}),
    )
    assert both.identifying == {"email", "note"}
    assert both.conditions == {"note": {"email": frozenset({"a@x"})}}
    assert both.defaults == {"note": "none"}
    assert both.known == {"owner": {"Ann": "u1"}}
    assert both.parts is parts
    assert set(both.mapping.rules) == {"email", "note", "owner", "age", "firm"}


def test_records_of_one_resource_have_no_further_values_where_no_rule_has_any(
    parts: Parts,
) -> None:
    plain = {"Contact": parts["Contact"], "Old": spoke("Old", CONTACT)}
    assert unite(plain).also is None


def test_nothing_is_written_by_the_union_itself(both: Spoke) -> None:
    with pytest.raises(
        TypeError, match=r"^what is written goes by the spoke of one resource$"
    ):
        both.put({"email": "a@x"})


def test_a_rule_that_changes_anywhere_ages_its_field_and_no_other(
    both: Spoke, parts: Parts
) -> None:
    assert both.prints[0] == ""
    assert len(set(both.prints)) == len(both.prints) == len(both.kept)
    assert {len(p) for p in both.prints[1:]} == {16}
    turned = unite(dict(reversed(parts.items())))
    mine = dict(zip(both.kept, both.prints, strict=True))
    assert dict(zip(turned.kept, turned.prints, strict=True)) == mine
    changed = CONTACT | {"email": Rule("email", "Email", ("trim",))}
    other = unite(parts | {"Contact": spoke("Contact", changed)})
    theirs = dict(zip(other.kept, other.prints, strict=True))
    assert [n for n in mine if mine[n] != theirs[n]] == ["email"]
    moved = unite({"Lead": parts["Lead"], "Person": parts["Contact"]})
    assert moved.prints[2] != both.prints[2]
