"""Rules that could be: which fields look alike, what they are called, and what records hold."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import Lookup, Mapping, Rule
from connector_hub.model.record import Record
from connector_hub.sdk.connector import FieldInfo
from connector_hub.sync.suggest import (
    End,
    Held,
    Suggestion,
    Surveyed,
    common_kind,
    held,
    kind_of,
    like,
    suggested,
    unknown_options,
    words_of,
)

ENTITY = Entity(
    "person",
    {
        "name": FieldSpec("name", "text"),
        "shoe_size": FieldSpec("shoe_size", "number"),
        "stage": FieldSpec("stage", "choice", ("lead", "won")),
    },
)
NOTHING = Held(0, 0, 0, ())


def info(path: str, label: str = "", type_: str = "string", **more: Any) -> FieldInfo:
    return FieldInfo(path, label or path, type_, **more)


def side(
    *fields: FieldInfo, rules: dict[str, Rule] | None = None, **more: Any
) -> Surveyed:
    return Surveyed(fields, Mapping("person", "acme", "people", rules or {}), **more)


def found(left: Surveyed, right: Surveyed) -> list[tuple[str, str, str, str, str]]:
    """Field, kind, reason and both paths."""
    return [
        (s.field, s.kind, s.why, s.left.info.path, s.right.info.path)
        for s in suggested(ENTITY, left, right)
    ]


@pytest.mark.parametrize(
    ("type_", "options", "kind"),
    [
        ("string", (), "text"),
        ("url", (), "text"),
        ("email", (), "email"),
        ("phone_number", (), "phone"),
        ("picklist", ("a",), "choice"),
        ("picklist", (), "text"),
        ("multipicklist", (), "list"),
        ("double", ("1",), "number"),
        ("geometry", (), None),
    ],
)
def test_a_vendors_type_is_a_kind(type_: str, options: Any, kind: str | None) -> None:
    assert kind_of(info("f", type_=type_, options=options)) == kind
    assert kind_of(info("f", type_=type_, options=options, refers_to=("User",))) is None


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("string", "string", "text"),
        ("date", "datetime", "date"),
        ("string", "email", "email"),
        ("string", "phone", "phone"),
        ("int", "string", "number"),
        ("string", "picklist", "text"),
        ("string", "boolean", None),
        ("email", "phone", None),
        ("picklist", "boolean", None),
        ("date", "string", None),
        ("string", "geometry", None),
    ],
)
def test_two_fields_have_a_common_kind_whichever_comes_first(
    one: str, other: str, kind: str | None
) -> None:
    a = info("a", type_=one, options=("x",) if one == "picklist" else ())
    b = info("b", type_=other, options=("x",) if other == "picklist" else ())
    assert common_kind(a, b) == common_kind(b, a) == kind


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("properties.hs_shoeSize", ("shoe", "size")),
        ("Shoe_Size__c", ("shoe", "size")),
        ("HTTPServer2Port", ("http", "server", "2", "port")),
        ("properties.c.größe", ("größe",)),
        ("c.ÖffnungsZeit2", ("öffnungs", "zeit", "2")),
        ("hs c", ()),
        ("VIP", ("vip",)),
    ],
)
def test_a_name_is_its_words_without_what_vendors_put_around_them(
    text: str, words: tuple[str, ...]
) -> None:
    assert words_of(text) == words


def test_options_that_say_the_same_are_alike() -> None:
    assert like("Closed_Won") == like("closed won") == like("ClosedWon") == "closed_won"
    assert (like("C"), like("+")) == ("c", "+")


@pytest.mark.parametrize(
    ("left", "right", "why"),
    [
        (info("hs_shoe_size"), info("Shoe_Size__c"), "same name"),
        (info("a1x", "Shoe size"), info("Zz__c", "ShoeSize"), "same label"),
        (info("shoe_size", "Boots"), info("Zz__c", "Shoe Size"), "same label"),
        (info("zz", "Shoe Size"), info("ShoeSize", "Boots"), "same label"),
        (info("favourite_colour", "x y"), info("FavoriteColour", "z"), "like name"),
        (info("aa", "Town home"), info("qq", "Home now town"), "words in common"),
        (info("qq", "Home now town"), info("aa", "Town home"), "words in common"),
        (info("aa", "Home town"), info("qq", "Home city"), None),
        (info("hs", "Home"), info("hs", "Home"), None),
    ],
)
def test_fields_are_alike_by_name_then_label_then_words(
    left: FieldInfo, right: FieldInfo, why: str | None
) -> None:
    told = [w for _, _, w, _, _ in found(side(left), side(right))]
    assert told == ([why] if why else [])


def test_the_likeliest_come_first_and_no_field_is_in_two() -> None:
    left = side(info("aa", "Work place"), info("hometown"), info("other"))
    right = side(info("HomeTown"), info("qq", "Work place"), info("zz", "Work place"))
    assert found(left, right) == [
        ("home_town", "text", "same name", "hometown", "HomeTown"),
        ("work_place", "text", "same label", "aa", "qq"),
    ]


@pytest.mark.parametrize(
    ("left", "right", "name"),
    [
        (info("ShoeSize"), info("shoesize"), "shoe_size"),
        (info("home_town"), info("hometown", "Town"), "home_town"),
        (info("x1", "Home town"), info("HomeTown", "Town"), "home_town"),
    ],
)
def test_a_field_has_the_entitys_name_else_what_most_say_at_its_longest(
    left: FieldInfo, right: FieldInfo, name: str
) -> None:
    assert [f for f, *_ in found(side(left), side(right))] == [name]


def test_a_field_that_a_rule_reads_is_not_free_nor_is_the_record_key() -> None:
    rules = {"name": Rule("name", "nick", also=("alias",))}
    left = side(
        info("nick"), info("alias"), info("p.hub_key"), rules=rules, key="hub_key"
    )
    assert left.free() == []
    right = side(info("alias"), info("hub_key"), info("geo", type_="geometry"))
    assert [f.path for f in right.free()] == ["alias", "hub_key"]
    assert found(left, right) == []


def test_a_field_of_one_side_only_is_completed_by_the_other() -> None:
    rules = {"shoe_size": Rule("shoe_size", "boots")}
    ruled, free = side(info("boots", type_="int"), rules=rules), side(info("ShoeSize"))
    assert found(ruled, free) == [
        ("shoe_size", "number", "same name", "boots", "ShoeSize")
    ]
    assert found(free, ruled) == [
        ("shoe_size", "number", "same name", "ShoeSize", "boots")
    ]
    (one,) = suggested(ENTITY, ruled, free)
    assert (one.left.mapped, one.right.mapped, one.known) == (True, False, True)
    (two,) = suggested(ENTITY, free, ruled)
    assert (two.left.mapped, two.right.mapped) == (False, True)
    by_path = side(info("Boots"))
    assert found(ruled, by_path)[0][2:] == ("same name", "boots", "Boots")
    assert found(ruled, side(info("Boots", type_="boolean"))) == []


def test_what_both_sides_have_rules_for_or_look_up_is_not_completed() -> None:
    mine = {"shoe_size": Rule("shoe_size", "boots")}
    assert (
        found(side(info("boots"), rules=mine), side(info("ShoeSize"), rules=mine)) == []
    )
    looked = {"shoe_size": Rule("shoe_size", "boots", lookup=Lookup("sizes", "n"))}
    assert found(side(info("boots"), rules=looked), side(info("ShoeSize"))) == []
    assert found(side(rules=mine), side(info("ShoeSize"))) == []


def test_a_name_that_has_a_rule_is_not_suggested_for_other_fields() -> None:
    rules = {"shoe_size": Rule("shoe_size", "boots")}
    assert found(side(info("ShoeSize"), rules=rules), side(info("shoe_size"))) == []
    assert found(side(info("ShoeSize")), side(info("shoe_size"), rules=rules)) == []


def test_what_could_be_written_nowhere_is_not_suggested() -> None:
    fixed = info("town", read_only=True)
    assert found(side(fixed), side(fixed)) == []
    assert len(found(side(fixed), side(info("town")))) == 1
    assert len(found(side(info("town")), side(fixed))) == 1
    assert found(side(info("town"), takes=False), side(fixed)) == []
    assert len(found(side(info("town"), takes=False), side(info("town")))) == 1


def test_a_suggestion_shows_what_records_hold_and_options_without_a_like() -> None:
    rows = [
        {"p": {"town": v}} for v in ("a", "b", "b", "", None, [], "c", "c", "c", "d")
    ]
    records = [Record(str(n), row) for n, row in enumerate([*rows, {}])]
    left = side(
        info("p.town", type_="picklist", options=("Red", "Dark_Blue", "Pink")),
        records=records,
    )
    right = side(info("town", type_="picklist", options=("dark blue", "RED", "Green")))
    assert suggested(ENTITY, left, right) == [
        Suggestion(
            "town",
            "choice",
            "same name",
            End(left.fields[0], Held(11, 7, 4, ("c", "b", "a")), unmatched=("Pink",)),
            End(right.fields[0], NOTHING, unmatched=("Green",)),
        )
    ]
    (text,) = suggested(ENTITY, left, side(info("town")))
    assert (text.kind, text.left.unmatched) == ("text", ())
    assert text.end("left") is text.left
    assert text.end("right") is text.right


def test_a_parent_that_is_no_object_holds_nothing() -> None:
    records = [Record("1", {"p": "x"}), Record("2", {"p": {"town": 0}})]
    assert held(records, "p.town") == Held(2, 1, 1, (0,))


def test_options_no_table_knows_are_told_where_they_are_left_alone() -> None:
    fields = [
        info("s", options=("L", "W", "X")),
        info("t", options=("lead", "boss")),
        info("n", options=("q",)),
    ]
    table = {"lead": ("L",), "won": ("W", "w")}

    def told(*rules: Rule) -> dict[str, tuple[str, ...]]:
        mapping = Mapping("person", "acme", "people", {r.field: r for r in rules})
        return unknown_options(mapping, ENTITY, fields)

    plain = Rule("name", "n")
    assert told(plain, Rule("stage", "s", table=table)) == {"stage": ("X",)}
    assert told(plain, Rule("stage", "s", table=table, other="reject")) == {
        "stage": ("X",)
    }
    assert told(
        Rule("stage", "s", table=table, other="lead"), Rule("name", "s", table=table)
    ) == {"name": ("X",)}
    assert told(plain, Rule("stage", "t")) == {"stage": ("boss",)}
    assert told(
        Rule("stage", "nowhere"), Rule("nobody", "s"), Rule("name", "s", table=table)
    ) == {"name": ("X",)}
    whole = table | {"more": ("X",)}
    assert told(Rule("name", "s", table=whole)) == {}
