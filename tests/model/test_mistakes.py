"""Every mistake of a mapping: where it stands, what it is, and what to write instead."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest

from connector_hub.adapters.transforms import transforms
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.link import NAMESPACE, hub_id
from connector_hub.model.mapping import (
    LinkRule,
    Lookup,
    Mapping,
    Problem,
    Rule,
    check,
    compile_mapping,
)
from connector_hub.model.transforms import Transform, Transforms

SPECS = (
    FieldSpec("email", "email"),
    FieldSpec("name", "text"),
    FieldSpec("phone", "phone"),
    FieldSpec("country", "text"),
    FieldSpec("stage", "choice", ("lead", "customer")),
    FieldSpec("born", "date"),
    FieldSpec("tags", "list"),
    FieldSpec("vip", "boolean"),
    FieldSpec("firm", "link", to="firm"),
    FieldSpec("visits", "number"),
)
ENTITY = Entity("person", {s.name: s for s in SPECS}, (("email",), ("name", "phone")))
EMAIL = Rule("email", "mail")
COUNTRY = Rule("country", "c")
IN_ID = {"country": ("ID",)}


def told(*rules: Rule, more: Transforms | None = None) -> list[Problem]:
    mapping = Mapping("person", "acme", "people", {r.field: r for r in rules})
    return check(mapping, ENTITY, more or transforms())


def at(*where: str | int) -> tuple[str | int, ...]:
    return ("fields", *where)


@pytest.mark.parametrize(
    ("rules", "problems"),
    [
        (
            [Rule("nmae", "x"), Rule("zzz", "z", bad="?")],
            [
                Problem(
                    at("nmae"),
                    "entity person has no field 'nmae'",
                    "did you mean 'name'?",
                ),
                Problem(
                    at("zzz"),
                    "entity person has no field 'zzz'",
                    "its fields: email, name, phone, country, stage, born, tags, vip, firm, visits",
                ),
            ],
        ),
        (
            [Rule("phone", "p", ("trim", "phone(contry)")), COUNTRY],
            [
                Problem(
                    at("phone", "via", 1),
                    "'phone' depends on 'contry', which has no rule here",
                    "did you mean 'country'?",
                )
            ],
        ),
        (
            [Rule("phone", "p", ("phone(zzzzz)",)), COUNTRY],
            [
                Problem(
                    at("phone", "via", 0),
                    "'phone' depends on 'zzzzz', which has no rule here",
                    "give it a rule",
                )
            ],
        ),
        (
            [
                Rule("name", "n", when={"countri": ("ID",), "zzz": ("1",)}, bad="?"),
                COUNTRY,
            ],
            [
                Problem(at("name", "bad"), "bad is leave or reject"),
                Problem(
                    at("name", "when", "countri"),
                    "'name' depends on 'countri', which has no rule here",
                    "did you mean 'country'?",
                ),
                Problem(
                    at("name", "when", "zzz"),
                    "'name' depends on 'zzz', which has no rule here",
                    "give it a rule",
                ),
                Problem(
                    at("name", "when"),
                    "'name' tells that two records are one thing: it cannot have a condition",
                ),
            ],
        ),
        (
            [
                Rule("tags", "t", when={"stage": ("boss", "lead", "chef")}),
                Rule("stage", "s"),
            ],
            [
                Problem(
                    at("tags", "when", "stage"),
                    f"{word!r} is not a word of 'stage'",
                    "its words: lead, customer",
                )
                for word in ("boss", "chef")
            ],
        ),
        *(
            (
                [Rule("tags", "t", when={other.field: ("x",)}), other, COUNTRY],
                [
                    Problem(
                        at("tags", "when", other.field),
                        f"'tags' cannot depend on {other.field!r}, which depends on others",
                    )
                ],
            )
            for other in (
                Rule("firm", link=LinkRule(path="f")),
                Rule("vip", "v", when=IN_ID),
                Rule("phone", "p", ("phone(country)",)),
            )
        ),
        (
            [Rule("firm", link=LinkRule(path="f"), when=IN_ID), COUNTRY],
            [Problem(at("firm", "when"), "a link cannot have a condition")],
        ),
        (
            [
                Rule("name", "x", one_way=True),
                Rule("email", "x"),
                Rule("country", "x"),
                Rule("firm", link=LinkRule(path="x")),
                Rule("tags", "y"),
                Rule("visits", "y"),
            ],
            [
                Problem(
                    at(name),
                    f"{name!r} and {first!r} are both written to {path}",
                    "let one of them only be read: one_way: true",
                )
                for name, first, path in (
                    ("country", "email", "x"),
                    ("firm", "email", "x"),
                    ("visits", "tags", "y"),
                )
            ],
        ),
        (
            [Rule("firm", link=LinkRule())],
            [Problem(at("firm", "link"), "a link has either a path or an association")],
        ),
        (
            [Rule("name", "n", ("filler(-)", "upper"))],
            [],
        ),
        (
            [Rule("name", "n", ("upper", "filler(a)"))],
            [
                Problem(
                    at("name", "via"),
                    "the stand-in for a blank is not read as a blank again",
                    "put filler first",
                )
            ],
        ),
        (
            [Rule("name", "n", ("upper", "filler(a)", "upperr"))],
            [
                Problem(
                    at("name", "via", 2),
                    "no transform is called 'upperr'",
                    "did you mean 'upper'?",
                )
            ],
        ),
        (
            [Rule("name", "n", ("uper(x)", "trim(x)", "filler"))],
            [
                Problem(
                    at("name", "via", 0),
                    "no transform is called 'uper(x)'",
                    "did you mean 'upper'?",
                ),
                Problem(at("name", "via", 1), "transform 'trim(x)': takes no argument"),
                Problem(
                    at("name", "via", 2),
                    "transform 'filler': needs the text to fill in, as in filler(-)",
                ),
            ],
        ),
        (
            [Rule("name", "n", ("filler(-",))],
            [
                Problem(
                    at("name", "via", 0),
                    "transform 'filler(-': its parenthesis is not closed",
                )
            ],
        ),
        (
            [Rule("stage", "s", table={"lead": ("l",)}, lookup=Lookup("a", "b"))],
            [
                Problem(
                    at("stage", "lookup"),
                    "a lookup goes with neither a table nor a link",
                )
            ],
        ),
        (
            [Rule("firm", link=LinkRule(path="f"), lookup=Lookup("a", "b"))],
            [
                Problem(
                    at("firm", "lookup"),
                    "a lookup goes with neither a table nor a link",
                )
            ],
        ),
        (
            [Rule("name", "n", ("day_in(Asia/Jakarta)",))],
            [Problem(at("name", "via"), "day_in cannot give a text", "kind: date")],
        ),
        ([Rule("born", "b", ("day_in(Asia/Jakarta)",))], []),
        (
            [Rule("firm", link=LinkRule(path="f"), default="1")],
            [Problem(at("firm", "default"), "a link or a lookup has no default")],
        ),
        (
            [Rule("name", "n", default="x", lookup=Lookup("a", "b"))],
            [Problem(at("name", "default"), "a link or a lookup has no default")],
        ),
        (
            [Rule("name", "n", default="x", one_way=True)],
            [
                Problem(
                    at("name", "default"),
                    "a field that is never written needs no default",
                )
            ],
        ),
        (
            [Rule("visits", "n", default="many")],
            [Problem(at("visits", "default"), "'many' is not a number of this field")],
        ),
        (
            [Rule("name", "n", ("filler(-)",), default="x")],
            [
                Problem(
                    at("name", "default"),
                    "a blank has two stand-ins: default and filler",
                )
            ],
        ),
        *(
            (
                [Rule(name, "n", via, default=value)],
                [Problem(at(name, "default"), "a default that is blank fills nothing")],
            )
            for name, via, value in (
                ("name", (), ""),
                ("name", ("trim",), ""),
                ("tags", (), []),
                ("tags", (), [" "]),
                ("name", ("domain", "lower"), ". /x"),
            )
        ),
        ([Rule("tags", "n", default=["a", "b"])], []),
        ([Rule("phone", "n", ("phone(country)",), default="0812"), COUNTRY], []),
        ([Rule("name", "n", default="x", lookup=None), COUNTRY, EMAIL], []),
        (
            [Rule("name", "n", ("nope",), default="x")],
            [
                Problem(
                    at("name", "via", 0),
                    "no transform is called 'nope'",
                    "there are: day_in, domain, filler, lower, phone, times, trim, upper",
                )
            ],
        ),
        (
            [Rule("name", "n", order=("a",))],
            [Problem(at("name", "order"), "order goes with a table")],
        ),
        (
            [Rule("born", "b", table={"x": ("y",)})],
            [Problem(at("born", "table"), "a table cannot give a date")],
        ),
        (
            [Rule("vip", "b", table={"true": ("y",), "false": ("n",)}, other="false")],
            [],
        ),
        ([Rule("name", "b", table={"some": ("y",)}, other="some")], []),
        (
            [
                Rule(
                    "stage",
                    "s",
                    table={"laed": ("a",), "lead": ("b", "a"), "zz": ("b",)},
                    other="boss",
                    order=("lead", "customer"),
                )
            ],
            [
                Problem(
                    at("stage", "table", "laed"),
                    "'laed' is not a word of 'stage'",
                    "did you mean 'lead'?",
                ),
                Problem(
                    at("stage", "table", "lead"),
                    "'a' stands for both 'laed' and 'lead'",
                ),
                Problem(
                    at("stage", "table", "zz"),
                    "'zz' is not a word of 'stage'",
                    "its words: lead, customer",
                ),
                Problem(
                    at("stage", "table", "zz"), "'b' stands for both 'lead' and 'zz'"
                ),
                Problem(
                    at("stage", "other"),
                    "other is leave, reject or one of the field's words",
                ),
                Problem(at("stage", "order"), "'customer' is not in the table"),
            ],
        ),
    ],
)
def test_every_mistake_is_told_once_at_its_place_with_its_remedy(
    rules: list[Rule], problems: list[Problem]
) -> None:
    assert told(*rules) == problems


def test_a_stand_in_is_followed_through_all_transforms_both_ways() -> None:
    """One that can only be read says nothing; one that turns a stand-in into nothing ends it."""
    more: dict[str, Any] = {
        "read": lambda _: Transform(lambda v: v, put=None),
        "none": lambda _: Transform(lambda _: None, put=lambda v: v or "-"),
        "shout": lambda _: Transform(
            lambda v: v.lower(), put=lambda v: v and v.upper()
        ),
    }
    known = Transforms(more)
    assert told(Rule("name", "n", ("none", "read")), more=known) == []
    assert told(Rule("name", "n", ("none", "shout")), more=known) == []
    (wrong,) = told(Rule("name", "n", ("shout", "read", "filler(A)")), more=known)
    assert wrong.message == "the stand-in for a blank is not read as a blank again"


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        (Rule("name", "n", default="x"), "x"),
        (Rule("name", "n", default=5), "5"),
        (Rule("name", "n", default=True), "true"),
        (Rule("name", "n", ("trim", "upper"), default=" x "), "X"),
        (Rule("name", "n", ("double",), default="x"), "x"),
        (Rule("name", "n", table={"vip": ("V",)}, default="vip"), "vip"),
        (Rule("vip", "n", table={"true": ("Y",)}, default="true"), True),
        (
            Rule("vip", "n", table={"true": ("Y",), "false": ("N",)}, default=False),
            False,
        ),
        (Rule("vip", "n", default="false"), False),
        (Rule("stage", "n", default="won"), None),
        (Rule("stage", "n", default="lead"), "lead"),
        (Rule("stage", "n", table={"lead": ("L",)}, default="lead"), "lead"),
        (Rule("stage", "n", table={"lead": ("L",)}, default="customer"), None),
        (Rule("visits", "n", default="1.50"), Decimal("1.50")),
        (Rule("visits", "n", ("trim",), default=" 2 "), Decimal(2)),
        (Rule("tags", "n", default=["b", "a", "b"]), ("a", "b")),
        (Rule("tags", "n", default="b; a"), ("a", "b")),
    ],
)
def test_a_default_is_a_value_in_the_hubs_words(rule: Rule, value: Any) -> None:
    """What turns a value both ways does not turn it; None where it is no value of the field."""
    double = Transform(lambda v: v[: len(v) // 2], put=lambda v: v and v * 2)
    known = Transforms({"double": lambda _: double})
    wrong = told(rule, more=known)
    assert [p.where[-1] for p in wrong] == ([] if value is not None else ["default"])
    if value is not None:
        mapping = Mapping("person", "acme", "people", {rule.field: rule})
        made = compile_mapping(mapping, ENTITY, known)
        assert made.defaults == {rule.field: value}
        assert made.filled({rule.field: None}) == {rule.field: value}
        assert made.filled({rule.field: "y"}) == {rule.field: "y"}
        assert made.filled({}) == {}


def test_a_hub_id_is_a_uuid_of_the_standard() -> None:
    name = "t\0acct\0people\0a1\0"
    assert (
        hub_id("t", "acct", "people", "a1") == uuid.uuid5(NAMESPACE, name + "0").bytes
    )
    assert hub_id("t", "acct", "people", "a1", 2) == (
        uuid.uuid5(NAMESPACE, name + "2").bytes
    )
