"""What the rules of a new field would be."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.errors import ConfigError
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import Rule
from connector_hub.sdk.connector import FieldInfo
from connector_hub.sync.newfield import (
    described,
    lacking,
    paths_of_suggestion,
    rule_for,
    spec_of,
)
from connector_hub.sync.suggest import End, Held, Suggestion

ENTITY = Entity("person", {"name": FieldSpec("name", "text")})
HELD = Held(0, 0, 0, ())


def info(path: str, type_: str = "string", **more: Any) -> FieldInfo:
    return FieldInfo(path, path, type_, **more)


FIELDS = [info("name"), info("address.city"), info("Birthday__c", "date")]


def test_a_field_is_described_as_the_vendor_does() -> None:
    assert described(FIELDS, "Birthday__c", "sales") is FIELDS[2]
    assert described(FIELDS, "address.city", "sales") is FIELDS[1]


def test_a_path_through_another_record_is_taken_on_trust() -> None:
    assert described(FIELDS, "Account.Name", "sales") == info("Account.Name")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("nam", "did you mean 'name'?"),
        ("address.citty", "did you mean 'address.city'?"),
    ],
)
def test_a_path_the_vendor_does_not_know_gets_the_nearest(path: str, hint: str) -> None:
    with pytest.raises(ConfigError) as told:
        described(FIELDS, path, "sales")
    assert told.value.message == f"sales has no field {path!r}"
    assert (told.value.where, told.value.hint) == ("sales", hint)


@pytest.mark.parametrize(
    ("infos", "kind", "spec"),
    [
        ([info("a")], None, FieldSpec("new", "text")),
        ([info("a"), info("b", "email")], None, FieldSpec("new", "email", cls="pii")),
        ([info("a"), info("b")], "phone", FieldSpec("new", "phone", cls="pii")),
        ([info("a", "date"), info("b", "datetime")], None, FieldSpec("new", "date")),
        (
            [
                info("a", "picklist", options=("Dark Blue", "Red")),
                info("b", "picklist", options=("red", "dark_blue", "Pink")),
            ],
            None,
            FieldSpec("new", "choice", ("dark_blue", "red", "pink")),
        ),
        ([info("a", "picklist", options=("x",))], "text", FieldSpec("new", "text")),
    ],
)
def test_a_new_field_is_what_the_vendors_hold(
    infos: list[FieldInfo], kind: Any, spec: FieldSpec
) -> None:
    assert spec_of(ENTITY, "new", infos, kind) == spec


def test_the_entitys_own_field_stays_as_it_is() -> None:
    infos = [info("a", "date")]
    for kind in (None, "text"):
        assert spec_of(ENTITY, "name", infos, kind) is ENTITY.fields["name"]  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as told:
        spec_of(ENTITY, "name", infos, "date")
    assert told.value.message == "'name' is of kind text in entity person"
    assert told.value.hint == "leave --kind out, or name another field"


def test_fields_of_no_common_kind_need_one_to_be_said() -> None:
    infos = [info("a", "date"), info("b", "email")]
    with pytest.raises(ConfigError) as told:
        spec_of(ENTITY, "new", infos, None)
    assert told.value.message == "a (date) and b (email) are of no common kind"
    assert told.value.hint == "say which with --kind"


@pytest.mark.parametrize(
    ("spec", "at", "zone", "rule"),
    [
        (FieldSpec("f", "text"), info("p"), None, Rule("f", "p", ("trim",))),
        (FieldSpec("f", "email"), info("p"), None, Rule("f", "p", ("trim", "lower"))),
        (FieldSpec("f", "phone"), info("p"), None, Rule("f", "p", ("phone(region)",))),
        (FieldSpec("f", "number"), info("p"), None, Rule("f", "p")),
        (FieldSpec("f", "date"), info("p", "date"), None, Rule("f", "p")),
        (
            FieldSpec("f", "date"),
            info("p", "datetime", read_only=True),
            "zone",
            Rule("f", "p", ("day_in(zone)",), one_way=True),
        ),
        (
            FieldSpec("f", "datetime"),
            info("p", "datetime"),
            "zone",
            Rule("f", "p"),
        ),
        (
            FieldSpec("f", "choice", ("dark_blue", "Red", "pink")),
            info("p", options=("Red", "Dark Blue", "dark_blue", "Dark-Blue", "Green")),
            None,
            Rule(
                "f",
                "p",
                table={
                    "Red": ("Red",),
                    "dark_blue": ("Dark Blue", "dark_blue", "Dark-Blue"),
                },
            ),
        ),
        (
            FieldSpec("f", "choice", ("red", "pink")),
            info("p", options=("red", "pink")),
            None,
            Rule("f", "p"),
        ),
    ],
)
def test_a_side_keeps_a_field_by_its_kind(
    spec: FieldSpec, at: FieldInfo, zone: str | None, rule: Rule
) -> None:
    assert rule_for(spec, at, zone) == rule


def test_a_moments_day_needs_a_zone() -> None:
    with pytest.raises(ConfigError) as told:
        rule_for(FieldSpec("f", "date"), info("p", "datetime"), None)
    assert told.value.message == (
        "p is a moment, and its connection has no zone to find the day in"
    )
    assert told.value.hint == (
        "add zone: to the connection in hub.yaml, such as Asia/Jakarta"
    )


def suggestion(name: str, *, left: bool = False, right: bool = False) -> Suggestion:
    ends = End(info("l"), HELD, left), End(info("r"), HELD, right)
    return Suggestion(name, "text", "same name", *ends)


def test_a_suggestion_says_where_rules_are_lacking() -> None:
    some = [
        suggestion("town"),
        suggestion("shoe", left=True),
        suggestion("hat", right=True),
    ]
    assert paths_of_suggestion(some, "town") == {"left": "l", "right": "r"}
    assert paths_of_suggestion(some, "shoe") == {"right": "r"}
    assert paths_of_suggestion(some, "hat") == {"left": "l"}
    for found, end in (
        (some, "suggested are: town, shoe, hat"),
        ([], "nothing is suggested"),
    ):
        with pytest.raises(ConfigError) as told:
            paths_of_suggestion(found, "zzz")
        assert told.value.message == "nothing suggests a rule for 'zzz'"
        assert (
            told.value.hint == f"say where it is with --left PATH --right PATH; {end}"
        )


def test_a_field_with_a_rule_on_one_side_only_is_refused() -> None:
    lacking("town", {"left": "a"}, {"left": False, "right": True})
    lacking("town", {"left": "a", "right": "b"}, {"left": False, "right": False})
    with pytest.raises(ConfigError) as told:
        lacking("town", {"left": "a"}, {"left": False, "right": False})
    assert (
        told.value.message
        == "'town' would have no rule on the right, and travel nowhere"
    )
    assert told.value.hint == "say where it is there with --right PATH"
