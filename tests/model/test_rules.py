"""Rules that look beyond their own field: conditions, defaults, regions by field, further identities."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.adapters.transforms import transforms
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import (
    Lookup,
    Mapping,
    Rule,
    check,
    compile_mapping,
    holds,
)

TRANSFORMS = transforms()
ENTITY = Entity(
    "person",
    {
        "email": FieldSpec("email", "email"),
        "phone": FieldSpec("phone", "phone"),
        "country": FieldSpec("country", "text"),
        "vip": FieldSpec("vip", "boolean"),
        "tax": FieldSpec("tax", "text"),
        "stage": FieldSpec("stage", "choice", of=("lead", "customer")),
        "visits": FieldSpec("visits", "number"),
        "born": FieldSpec("born", "date"),
        "owner": FieldSpec("owner", "email"),
        "tags": FieldSpec("tags", "list"),
        "boss": FieldSpec("boss", "link", to="person"),
    },
    (("email",),),
)
COUNTRY = Rule("country", "country", ("trim",))


def mapped(*rules: Rule) -> Mapping:
    return Mapping("person", "acme", "people", {r.field: r for r in rules})


def spoke(*rules: Rule, **more: Any) -> Any:
    mapping = mapped(*rules)
    assert check(mapping, ENTITY, TRANSFORMS) == []
    return compile_mapping(mapping, ENTITY, TRANSFORMS, **more)


def problems(*rules: Rule) -> list[str]:
    return [p.message for p in check(mapped(*rules), ENTITY, TRANSFORMS)]


def test_a_condition_is_judged_by_the_words_of_other_fields() -> None:
    rule = Rule("tax", "npwp", when={"country": ("ID",), "vip": ("true",)})
    made = spoke(rule, COUNTRY, Rule("vip", "vip"))
    row = {"npwp": "01", "country": " ID ", "vip": True}
    assert made.view(made.raws(row, {}))[0]["tax"] == "01"
    for other in ({"country": "SG"}, {"vip": False}, {"country": None}, {"vip": "?"}):
        view, _ = made.view(made.raws(row | other, {}))
        assert "tax" not in view
        assert made.whole(made.raws(row | other, {}))[0]["tax"] == "01"
        assert made.outside(view) == {"tax"}
    assert holds({}, {})


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            [Rule("tax", "x", when={"county": ("ID",)}), COUNTRY],
            "'tax' depends on 'county', which has no rule here",
        ),
        (
            [
                Rule("tax", "x", when={"country": ("ID",)}),
                Rule("country", "c", when={"vip": ("true",)}),
                Rule("vip", "v"),
            ],
            "'tax' cannot depend on 'country', which depends on others",
        ),
        (
            [
                Rule("tax", "x", when={"stage": ("boss",)}),
                Rule("stage", "s"),
            ],
            "'boss' is not a word of 'stage'",
        ),
        (
            [Rule("email", "e", when={"country": ("ID",)}), COUNTRY],
            "'email' tells that two records are one thing: it cannot have a condition",
        ),
        (
            [Rule("phone", "p", ("phone(country)",))],
            "'phone' depends on 'country', which has no rule here",
        ),
        ([Rule("tax", "x", ("day_in(Asia/Jakarta)",))], "day_in cannot give a text"),
        (
            [Rule("born", "x", ("day_in(Mars/Olympus)",))],
            "transform 'day_in(Mars/Olympus)': needs a zone such as day_in(Asia/Jakarta)",
        ),
        ([Rule("stage", "x", default="boss")], "'boss' is not a choice of this field"),
        ([Rule("visits", "x", default="many")], "'many' is not a number of this field"),
        (
            [Rule("phone", "x", ("phone(ID)",), default="call me")],
            "'call me' is not a phone of this field",
        ),
        (
            [Rule("tax", "x", ("filler(-)",), default="none")],
            "a blank has two stand-ins: default and filler",
        ),
        ([Rule("tax", "x", default="")], "a default that is blank fills nothing"),
        (
            [Rule("tax", "x", default="none", one_way=True)],
            "a field that is never written needs no default",
        ),
        (
            [Rule("owner", "x", default="a@x.org", lookup=Lookup("owners", "email"))],
            "a link or a lookup has no default",
        ),
        (
            [Rule("stage", "x", table={"lead": ("l",)}, lookup=Lookup("o", "e"))],
            "a lookup goes with neither a table nor a link",
        ),
    ],
)
def test_a_rule_that_cannot_hold_is_refused(rules: list[Rule], said: str) -> None:
    assert said in problems(*rules)


def test_every_part_of_a_rule_changes_its_fingerprint() -> None:
    rules = [
        Rule("tax", "x"),
        Rule("tax", "x", default="a"),
        Rule("tax", "x", when={"country": ("ID",)}),
        Rule("tax", "x", when={"country": ("ID", "SG")}),
        Rule("tax", "x", lookup=Lookup("owners", "email")),
        Rule("tax", "x", lookup=Lookup("owners", "name")),
        Rule("tax", "x", ("phone(region)",)),
        Rule("tax", "x", ("phone(ID)",)),
        Rule("tax", "x", ("phone(country, ID)",)),
    ]
    assert len({r.fingerprint() for r in rules}) == len(rules)


def test_what_only_says_who_is_whom_keeps_the_fingerprint_and_ages_a_plan() -> None:
    plain, also = Rule("email", "e"), Rule("email", "e", also=("more",))
    assert plain.fingerprint() == also.fingerprint()
    assert mapped(plain).fingerprint() != mapped(also).fingerprint()
    once = Rule("email", "e", one_way=True)
    assert mapped(plain).fingerprint() != mapped(once).fingerprint()


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        (Rule("stage", "x", table={"lead": ("L",)}, default="lead"), "L"),
        (Rule("visits", "x", default=3), 3),
        (Rule("vip", "x", default=False), False),
        (Rule("tags", "x", default=["a"]), ("a",)),
    ],
)
def test_a_default_is_a_word_of_the_field(rule: Rule, written: Any) -> None:
    made = spoke(rule)
    blank = () if rule.field == "tags" else None
    assert made.put({rule.field: blank}) == {"x": written}
    filled = made.filled({rule.field: blank})
    row = {"x": list(written) if isinstance(written, tuple) else written}
    assert made.view(made.raws(row, {}))[0] == filled


def test_a_number_is_read_by_the_country_beside_it_whatever_their_order() -> None:
    made = spoke(Rule("phone", "p", ("phone(country, ID)",)), COUNTRY)

    def read(phone: str, country: str | None) -> Any:
        return made.view(made.raws({"p": phone, "country": country}, {}))[0].get(
            "phone"
        )

    assert read("030 901820", " Germany") == "+4930901820"
    assert read("0812-3456-7890", None) == "+6281234567890"
    assert read("0812-3456-7890", "Atlantis") == "+6281234567890"
    assert read("+44 20 7946 0018", "Germany") == "+442079460018"
    assert made.put({"phone": "+4930901820"}) == {"p": "+4930901820"}


def test_identity_reads_what_it_depends_on() -> None:
    entity = Entity("person", ENTITY.fields, (("phone",),))
    mapping = mapped(Rule("phone", "p", ("phone(country)",)), COUNTRY)
    made = compile_mapping(mapping, entity, TRANSFORMS)
    raws = made.raws({"p": "030 901820", "country": "DE"}, {})
    assert made.identity(raws)["phone"] == "+4930901820"


def test_further_values_are_read_as_the_field_is_and_never_written() -> None:
    rule = Rule("email", "e", ("trim", "lower"), also=("more", "old.mail"))
    made = spoke(rule, COUNTRY)
    raws = made.raws({"e": "A@x", "more": " B@x ; ;C@x", "old": {"mail": "D@x"}}, {})
    assert made.also(raws, {}) == {"email": ("b@x", "c@x", "d@x")}
    assert made.names == ("email", "country")
    assert len(made.kept) == len(made.prints) == len(raws) == 4
    assert made.put({"email": "a@x"}) == {"e": "a@x"}
    assert made.also(made.raws({"more": 3, "old": {"mail": None}}, {}), {}) == {}
    assert spoke(COUNTRY).also is None


OWNER = Rule("owner", "by", ("trim", "lower"), lookup=Lookup("owners", "email"))
ROWS = {"1": "Ana@x.org", "2": "budi@x.org", "3": " BUDI@x.org", "4": None}


def test_a_looked_up_field_is_the_word_of_the_row_it_points_to() -> None:
    made = spoke(OWNER, tables={Lookup("owners", "email"): ROWS})
    assert made.view(("1",)) == ({"owner": "ana@x.org"}, [])
    assert made.view(("3",))[0] == {"owner": "budi@x.org"}
    assert made.view((None,))[0] == {"owner": None}
    assert [b.field for b in made.view(("9",))[1]] == ["owner"]
    assert made.put({"owner": "ana@x.org"}) == {"by": "1"}


@pytest.mark.parametrize("word", ["budi@x.org", "nobody@x.org", None])
def test_a_word_of_two_rows_or_none_and_a_blank_cannot_be_written(
    word: str | None,
) -> None:
    made = spoke(OWNER, tables={Lookup("owners", "email"): ROWS})
    assert not made.can_say("owner", word)
    assert made.put({"owner": word}) == {}
    assert made.can_say("email", word)


def test_without_its_table_an_id_stands_for_itself() -> None:
    assert spoke(OWNER).view(("1",)) == ({"owner": "1"}, [])
