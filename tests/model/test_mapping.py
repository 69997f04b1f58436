"""Laws of compiled mappings over rules that hypothesis makes up, and what a spoke says besides views."""

from __future__ import annotations

import json
from collections.abc import Mapping as Map
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.adapters.transforms import transforms
from connector_hub.model.entity import KINDS, Entity, FieldSpec
from connector_hub.model.mapping import (
    ABSENT,
    Absent,
    LinkRule,
    Mapping,
    MappingTest,
    Problem,
    Rule,
    Spoke,
    check,
    compile_mapping,
    differs,
)
from connector_hub.model.record import LinkPatch, Ref, Want

QUICK = settings(max_examples=120, deadline=None, derandomize=True)
TRANSFORMS = transforms()
WORD = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
CLEAN = WORD.map(str.strip).filter(bool)
MOMENTS = st.datetimes(timezones=st.just(UTC))
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False)
VALUES: dict[str, Any] = {
    "text": CLEAN,
    "email": st.emails().map(str.lower),
    "phone": st.sampled_from(["+6281234567890", "+12125550123;ext=7"]),
    "number": NUMBERS,
    "boolean": st.booleans(),
    "date": st.dates(),
    "datetime": MOMENTS,
    "list": st.sets(CLEAN.filter(lambda t: ";" not in t)).map(
        lambda s: tuple(sorted(s))
    ),
    "link": CLEAN.map(lambda i: Ref("", i)),
}
VIA = {
    "text": [(), ("trim",)],
    "email": [(), ("trim", "lower")],
    "phone": [(), ("phone(ID)",)],
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["1e999999999", "2026-02-30", "true ", ";", "+62", "12:00"]),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(WORD, x, max_size=3),
    max_leaves=6,
)


def a_mapping(specs: list[FieldSpec], rules: list[Rule]) -> tuple[Mapping, Entity]:
    entity = Entity("thing", {s.name: s for s in specs}, (("f0",),))
    return Mapping("thing", "acme", "things", {r.field: r for r in rules}), entity


def one(spec: FieldSpec, rule: Rule) -> Spoke:
    """A spoke of a single checked rule."""
    mapping, entity = a_mapping([spec], [rule])
    assert check(mapping, entity, TRANSFORMS) == []
    return compile_mapping(mapping, entity, TRANSFORMS)


@st.composite
def tables(draw: Any) -> dict[str, tuple[str, ...]]:
    """A table of up to four words, each said by one to three words of the vendor's."""
    vendor = draw(st.lists(CLEAN, min_size=4, max_size=12, unique=True))
    words = [f"w{n}" for n in range(draw(st.integers(1, 4)))]
    return {w: tuple(vendor[n :: len(words)]) for n, w in enumerate(words)}


@st.composite
def fields(draw: Any, name: str) -> tuple[FieldSpec, Rule, Any]:
    """A field, the rule it is kept by, and the values its ``get`` can give."""
    kind = draw(st.sampled_from([k for k in KINDS if k != "rows"]))
    path = ".".join([*draw(st.sampled_from([[], ["p"], ["p", "q"]])), name])
    if kind == "link":
        rule = Rule(name, link=LinkRule(path=path))
        return FieldSpec(name, kind, to="thing"), rule, VALUES[kind]
    if kind == "choice":
        table = draw(tables())
        other = draw(st.sampled_from(["leave", "reject", "w0"]))
        spec = FieldSpec(name, kind, of=tuple(table))
        rule = Rule(name, path, table=table, other=other, order=tuple(table))
        return spec, rule, st.sampled_from(list(table))
    via = draw(st.sampled_from(VIA.get(kind, [()])))
    bad = draw(st.sampled_from(["leave", "reject"]))
    return FieldSpec(name, kind), Rule(name, path, via, bad=bad), VALUES[kind]


@st.composite
def things(draw: Any) -> tuple[Spoke, dict[str, Any]]:
    """A spoke over one to six fields, and a view it could have given."""
    made = [draw(fields(f"f{n}")) for n in range(draw(st.integers(1, 6)))]
    mapping, entity = a_mapping([m[0] for m in made], [m[1] for m in made])
    assert check(mapping, entity, TRANSFORMS) == []
    view: dict[str, Any] = {}
    for spec, _, values in made:
        blank = () if spec.kind == "list" else None
        value = draw(st.just(ABSENT) | st.just(blank) | values)
        if not isinstance(value, Absent):
            view[spec.name] = value
    return compile_mapping(mapping, entity, TRANSFORMS), view


def as_json(value: Any) -> Any:
    """A value of the hub's as a vendor keeps it in JSON."""
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def kept(row: Map[str, Any], patch: Map[str, Any]) -> dict[str, Any]:
    """A vendor's row after a patch, through JSON text."""
    found: dict[str, Any] = json.loads(json.dumps(row))
    for path, value in patch.items():
        *heads, leaf = path.split(".")
        here = found
        for head in heads:
            here = here.setdefault(head, {})
        here[leaf] = as_json(value)
    return dict(json.loads(json.dumps(found)))


@QUICK
@given(things())
def test_a_view_that_was_put_is_seen_again_and_nothing_else(
    thing: tuple[Spoke, dict[str, Any]],
) -> None:
    spoke, view = thing
    assert spoke.writable == set(spoke.names)
    found, bad = spoke.view(spoke.raws(kept({}, spoke.put(view)), {}))
    assert (found, bad) == (view, [])


@QUICK
@given(things())
def test_what_was_seen_can_be_put_and_moves_nothing(
    thing: tuple[Spoke, dict[str, Any]],
) -> None:
    spoke, view = thing
    row = kept({}, spoke.put(view))
    found, _ = spoke.view(spoke.raws(row, {}))
    assert spoke.raws(kept(row, spoke.put(found)), {}) == spoke.raws(row, {})


@QUICK
@given(things(), st.data())
def test_a_patch_touches_the_fields_it_is_given_and_no_other(
    thing: tuple[Spoke, dict[str, Any]], data: st.DataObject
) -> None:
    spoke, view = thing
    before = spoke.raws(kept({}, spoke.put(view)), {})
    some = {n: v for n, v in view.items() if data.draw(st.booleans())}
    after = spoke.raws(kept(kept({}, spoke.put(view)), spoke.put(some)), {})
    assert before == after
    assert len(spoke.put(some)) == len(some)


@QUICK
@given(things(), st.lists(JSON | st.just(ABSENT), min_size=6, max_size=6))
def test_no_value_breaks_a_view_and_absent_null_value_and_unreadable_stay_apart(
    thing: tuple[Spoke, dict[str, Any]], values: list[Any]
) -> None:
    spoke, _ = thing
    raws = tuple(values[: len(spoke.names)])
    view, bad = spoke.view(raws)
    unread = {b.field: b.value for b in bad}
    for name, raw in zip(spoke.names, raws, strict=True):
        if raw is ABSENT:
            assert name not in {*view, *unread}
        elif raw is None or raw == "":
            assert view[name] == (
                () if spoke.entity.fields[name].kind == "list" else None
            )
        else:
            assert (name in view) != (name in unread)
        if name in unread:
            assert unread[name] is raw


@QUICK
@given(things(), st.lists(JSON, min_size=6, max_size=6))
def test_whatever_a_value_is_read_as_is_read_again_after_it_was_put(
    thing: tuple[Spoke, dict[str, Any]], values: list[Any]
) -> None:
    spoke, _ = thing
    view, _ = spoke.view(tuple(values[: len(spoke.names)]))
    again, bad = spoke.view(spoke.raws(kept({}, spoke.put(view)), {}))
    assert (again, bad) == (view, [])


@QUICK
@given(things())
def test_identity_is_the_view_of_its_fields(
    thing: tuple[Spoke, dict[str, Any]],
) -> None:
    spoke, view = thing
    raws = spoke.raws(kept({}, spoke.put(view)), {})
    assert spoke.identity(raws) == {n: v for n, v in view.items() if n == "f0"}


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("text", 12, "12"),
        ("text", True, "true"),
        ("number", "12.50", Decimal("12.5")),
        ("number", 0.1, Decimal("0.1")),
        ("number", " 7 ", Decimal(7)),
        ("boolean", "TRUE ", True),
        ("boolean", False, False),
        ("date", "2026-11-24", date(2026, 11, 24)),
        ("datetime", "2026-11-24T12:00:00Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        (
            "datetime",
            "2026-11-24T12:00:00+07:00",
            datetime(2026, 11, 24, 5, tzinfo=UTC),
        ),
        ("list", "b; a;;b", ("a", "b")),
        ("list", ["b", 1], ("1", "b")),
        ("list", [], ()),
        ("link", "001A", Ref("", "001A")),
        ("link", 17, Ref("", "17")),
        ("link", ["companies", "9"], Ref("companies", "9")),
    ],
)
def test_a_value_is_read_by_its_kind(kind: Any, raw: Any, value: Any) -> None:
    rule = Rule("f0", link=LinkRule(path="f0")) if kind == "link" else Rule("f0", "f0")
    spec = FieldSpec("f0", kind, to="thing" if kind == "link" else None)
    assert one(spec, rule).view((raw,)) == ({"f0": value}, [])


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("text", ["a"]),
        ("text", {"a": 1}),
        ("number", "much"),
        ("number", "NaN"),
        ("number", float("inf")),
        ("number", True),
        ("number", "1,000"),
        ("boolean", 1),
        ("boolean", "yes"),
        ("date", "24.11.2026"),
        ("date", "2026-02-30"),
        ("datetime", "2026-11-24T12:00:00"),
        ("datetime", "2026-11-24"),
        ("list", {"a": 1}),
        ("list", [["a"]]),
        ("link", {"id": "1"}),
        ("link", ["companies"]),
        ("link", True),
    ],
)
def test_what_a_kind_cannot_be_is_unreadable(kind: Any, raw: Any) -> None:
    rule = Rule("f0", link=LinkRule(path="f0")) if kind == "link" else Rule("f0", "f0")
    spec = FieldSpec("f0", kind, to="thing" if kind == "link" else None)
    view, (bad,) = one(spec, rule).view((raw,))
    assert (view, bad.field, bad.value, bad.reject) == ({}, "f0", raw, False)


@pytest.mark.parametrize(
    "raw", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"]
)
def test_a_moment_that_utc_cannot_tell_is_unreadable(raw: str) -> None:
    view, bad = one(FieldSpec("f0", "datetime"), Rule("f0", "f0")).view((raw,))
    assert (view, len(bad)) == ({}, 1)


@pytest.mark.parametrize("outer", ["text", [1], 5, True])
def test_a_parent_that_is_no_object_leaves_its_fields_absent(outer: Any) -> None:
    spoke = one(FieldSpec("f0", "text"), Rule("f0", "p.f0"))
    assert spoke.raws({"p": outer}, {}) == (ABSENT,)


@pytest.mark.parametrize("row", [{}, {"p": None}, {"p": {}}])
def test_a_parent_that_is_not_there_leaves_its_fields_absent(
    row: dict[str, Any],
) -> None:
    spoke = one(FieldSpec("f0", "text"), Rule("f0", "p.f0"))
    assert spoke.raws(row, {}) == (ABSENT,)


def test_a_boolean_of_two_words_is_a_boolean_both_ways() -> None:
    table = {"true": ("Y", "yes"), "false": ("N",)}
    spoke = one(FieldSpec("f0", "boolean"), Rule("f0", "f0", table=table))
    assert spoke.view(("yes",)) == ({"f0": True}, [])
    assert spoke.put({"f0": False}) == {"f0": "N"}


def test_a_table_after_transforms_is_lawful() -> None:
    table = {"w0": ("a",)}
    spec = FieldSpec("f0", "choice", of=("w0",))
    spoke = one(spec, Rule("f0", "f0", ("filler(-)",), table=table))
    written = spoke.put({"f0": None})["f0"]
    assert spoke.view((written,)) == ({"f0": None}, [])


def test_an_empty_list_is_one_value_however_it_came_to_be() -> None:
    spoke = one(FieldSpec("f0", "list"), Rule("f0", "f0", ("trim",)))
    assert spoke.view(("  ",)) == ({"f0": ()}, [])


def test_two_fields_written_to_one_path_are_a_mistake() -> None:
    specs = [FieldSpec("f0", "text"), FieldSpec("f1", "text")]
    mapping, entity = a_mapping(specs, [Rule("f0", "p.x"), Rule("f1", "p.x")])
    assert check(mapping, entity, TRANSFORMS) != []


def test_a_word_the_table_does_not_know_is_left_rejected_or_another() -> None:
    spec = FieldSpec("f0", "choice", of=("w0", "w1"))
    table = {"w0": ("a", "b")}

    def read(other: str) -> Any:
        return one(spec, Rule("f0", "f0", table=table, other=other)).view(("zz",))

    assert read("w1") == ({"f0": "w1"}, [])
    assert [(b.value, b.reject) for b in read("leave")[1]] == [("zz", False)]
    assert [(b.value, b.reject) for b in read("reject")[1]] == [("zz", True)]


def test_a_word_without_a_vendor_word_is_not_written_and_a_blank_clears() -> None:
    spec = FieldSpec("f0", "choice", of=("w0", "w1"))
    spoke = one(spec, Rule("f0", "f0", table={"w0": ("a", "b")}, other="w1"))
    assert spoke.put({"f0": "w0"}) == {"f0": "a"}
    assert spoke.put({"f0": "w1"}) == {}
    assert spoke.put({"f0": None}) == {"f0": None}


def test_a_choice_without_a_table_knows_its_own_words_only() -> None:
    spoke = one(FieldSpec("f0", "choice", of=("lead",)), Rule("f0", "f0"))
    assert spoke.view(("lead",)) == ({"f0": "lead"}, [])
    assert spoke.view(("boss",))[0] == {}


def test_a_default_fills_blanks_on_the_way_out_only() -> None:
    spoke = one(FieldSpec("f0", "text"), Rule("f0", "f0", default="Unknown"))
    assert spoke.put({"f0": None}) == {"f0": "Unknown"}
    assert spoke.put({"f0": "Ada"}) == {"f0": "Ada"}
    assert spoke.put({}) == {}
    assert spoke.view((None,)) == ({"f0": None}, [])


def test_a_one_way_rule_reads_and_never_writes() -> None:
    spoke = one(FieldSpec("f0", "text"), Rule("f0", "f0", one_way=True))
    assert spoke.view(("Ada",)) == ({"f0": "Ada"}, [])
    assert (spoke.put({"f0": "Ada"}), spoke.writable) == ({}, frozenset())


def test_a_rule_that_rejects_marks_what_it_could_not_read() -> None:
    spoke = one(FieldSpec("f0", "number"), Rule("f0", "f0", bad="reject"))
    assert [b.reject for b in spoke.view(("much",))[1]] == [True]


def association(label: str | None = None) -> Spoke:
    rule = LinkRule(association="companies", label=label)
    return one(FieldSpec("f0", "link", to="thing"), Rule("f0", link=rule))


def pick(spoke: Spoke, *found: Ref) -> Any:
    return spoke.raws({}, {"companies": found})[0]


@QUICK
@given(
    st.permutations([Ref("c", "10"), Ref("c", "9", "Primary"), Ref("c", "11", "Old")]),
    st.sampled_from(["Primary", None]),
)
def test_the_order_of_a_vendors_links_picks_no_other(
    found: list[Ref], label: str | None
) -> None:
    assert pick(association(label), *found) == ["c", "9"]


def test_the_labelled_link_is_picked_else_the_only_one_that_has_no_label() -> None:
    spoke = association("Primary")
    old = Ref("c", "11", "Old")
    assert pick(spoke, Ref("c", "11")) == ["c", "11"]
    assert pick(spoke, old) is None
    assert pick(spoke, old, Ref("c", "11")) is None
    assert pick(spoke, old, Ref("c", "11", "Primary")) == ["c", "11"]
    assert pick(spoke, Ref("c", "11"), Ref("c", "12")) is None
    assert pick(spoke) is None
    assert spoke.raws({}, {}) == (ABSENT,)


def test_two_labels_of_one_association_are_patched_together() -> None:
    names = {"f0": "Primary", "f1": "Adviser"}
    rules = [
        Rule(n, link=LinkRule(association="companies", label=label))
        for n, label in names.items()
    ]
    fields = [FieldSpec(n, "link", to="thing") for n in names]
    entity = Entity("thing", {f.name: f for f in fields}, ())
    mapping = Mapping("thing", "acme", "things", {r.field: r for r in rules})
    spoke = compile_mapping(mapping, entity, {})
    was = {"f0": Ref("companies", "1"), "f1": Ref("companies", "1")}
    patch = spoke.patch({"f0": Ref("companies", "2"), "f1": None}, was)
    assert patch.links["companies"] == LinkPatch(
        (Ref("companies", "2", "Primary"),),
        (Ref("companies", "1", "Primary"), Ref("companies", "1", "Adviser")),
    )


@pytest.mark.parametrize(
    ("new", "old", "patch"),
    [
        (None, None, LinkPatch()),
        (Ref("c", "1"), Ref("c", "1"), LinkPatch()),
        (Ref("c", "1"), None, LinkPatch((Ref("c", "1", "Primary"),))),
        (None, Ref("c", "2"), LinkPatch((), (Ref("c", "2", "Primary"),))),
        (
            Ref("c", "1"),
            Ref("c", "2"),
            LinkPatch((Ref("c", "1", "Primary"),), (Ref("c", "2", "Primary"),)),
        ),
    ],
)
def test_a_link_is_moved_by_adding_and_taking_away(
    new: Ref | None, old: Ref | None, patch: LinkPatch
) -> None:
    made = association("Primary").patch({"f0": new}, {"f0": old} if old else {})
    assert (made.links, made.fields) == ({"companies": patch}, {})


def test_a_spoke_wants_what_its_rules_read_and_nothing_more() -> None:
    specs = [FieldSpec("f0", "email"), FieldSpec("f1", "link", to="thing")]
    specs += [FieldSpec("f2", "link", to="thing"), FieldSpec("f3", "text")]
    rules = [Rule("f0", "p.mail", also=("p.more",)), Rule("f3", "p.left_out")]
    rules += [Rule("f1", link=LinkRule(path="p.owner"))]
    rules += [Rule("f2", link=LinkRule(association="companies"))]
    mapping, entity = a_mapping(specs, rules)
    spoke = compile_mapping(mapping, entity, TRANSFORMS, leave_out=["f3"])
    assert spoke.want == Want(
        frozenset({"p.mail", "p.more", "p.owner"}), frozenset({"companies"})
    )
    assert spoke.names == ("f0", "f1", "f2")


@pytest.mark.parametrize(
    "other",
    [
        Rule("f0", "p.y"),
        Rule("f0", "p.x", ("trim",)),
        Rule("f0", "p.x", default="Unknown"),
        Rule("f0", "p.x", table={"w0": ("a",)}),
        Rule("f0", link=LinkRule(path="p.x")),
    ],
)
def test_a_fingerprint_changes_with_what_a_rule_says(other: Rule) -> None:
    rule = Rule("f0", "p.x")
    mapping = Mapping("thing", "acme", "things", {"f0": rule})
    edited = Mapping("thing", "acme", "things", {"f0": other})
    assert rule.fingerprint() == Rule("f0", "p.x").fingerprint()
    assert rule.fingerprint() != other.fingerprint()
    assert mapping.fingerprint() != edited.fingerprint()


SPECS = {
    "name": FieldSpec("name", "text"),
    "amount": FieldSpec("amount", "number"),
    "stage": FieldSpec("stage", "choice", ("lead", "customer")),
    "owner": FieldSpec("owner", "link", to="thing"),
}
STAGE = {"lead": ("a",), "customer": ("b",)}


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (
            Rule("nmae", "x"),
            Problem(
                ("fields", "nmae"),
                "entity thing has no field 'nmae'",
                "did you mean 'name'?",
            ),
        ),
        (
            Rule("zzz", "x"),
            Problem(
                ("fields", "zzz"),
                "entity thing has no field 'zzz'",
                "its fields: name, amount, stage, owner",
            ),
        ),
        (
            Rule("name"),
            Problem(("fields", "name"), "a rule has one of path, link, parts and rows"),
        ),
        (
            Rule("owner", "x", link=LinkRule(path="x")),
            Problem(
                ("fields", "owner"), "a rule has one of path, link, parts and rows"
            ),
        ),
        (
            Rule("name", link=LinkRule(path="x")),
            Problem(
                ("fields", "name"),
                "field 'name' is of kind text: a link goes with kind link only",
            ),
        ),
        (
            Rule("owner", "x"),
            Problem(
                ("fields", "owner"),
                "field 'owner' is of kind link: a link goes with kind link only",
            ),
        ),
        (
            Rule("owner", link=LinkRule(path="x", association="y")),
            Problem(
                ("fields", "owner", "link"),
                "a link has either a path or an association",
            ),
        ),
        (
            Rule("name", "x", ("lower", "trimm")),
            Problem(
                ("fields", "name", "via", 1),
                "no transform is called 'trimm'",
                "did you mean 'trim'?",
            ),
        ),
        (
            Rule("name", "x", ("zzz",)),
            Problem(
                ("fields", "name", "via", 0),
                "no transform is called 'zzz'",
                "there are: day_in, domain, filler, lower, phone, trim, upper",
            ),
        ),
        (
            Rule("name", "x", ("phone",)),
            Problem(
                ("fields", "name", "via", 0),
                "transform 'phone': needs a region such as phone(ID)",
            ),
        ),
        (
            Rule("name", "x", bad="ignore"),
            Problem(("fields", "name", "bad"), "bad is leave or reject"),
        ),
        (
            Rule("name", "x", order=("a",)),
            Problem(("fields", "name", "order"), "order goes with a table"),
        ),
        (
            Rule("amount", "x", table={"1": ("a",)}),
            Problem(("fields", "amount", "table"), "a table cannot give a number"),
        ),
        (
            Rule("stage", "x", table={"laed": ("a",)}),
            Problem(
                ("fields", "stage", "table", "laed"),
                "'laed' is not a word of 'stage'",
                "did you mean 'lead'?",
            ),
        ),
        (
            Rule("stage", "x", table={"zzz": ("a",)}),
            Problem(
                ("fields", "stage", "table", "zzz"),
                "'zzz' is not a word of 'stage'",
                "its words: lead, customer",
            ),
        ),
        (
            Rule("stage", "x", table={"lead": ("a",), "customer": ("b", "a")}),
            Problem(
                ("fields", "stage", "table", "customer"),
                "'a' stands for both 'lead' and 'customer'",
            ),
        ),
        (
            Rule("stage", "x", table=STAGE, other="prospect"),
            Problem(
                ("fields", "stage", "other"),
                "other is leave, reject or one of the field's words",
            ),
        ),
        (
            Rule("stage", "x", table=STAGE, order=("lead", "former")),
            Problem(("fields", "stage", "order"), "'former' is not in the table"),
        ),
    ],
)
def test_every_mistake_is_told_at_its_place_with_its_remedy(
    rule: Rule, problem: Problem
) -> None:
    mapping = Mapping("thing", "acme", "things", {rule.field: rule})
    found = check(mapping, Entity("thing", SPECS), TRANSFORMS)
    assert problem in found
    assert {p.where[:2] for p in found} == {("fields", rule.field)}


def test_a_mapping_without_mistakes_has_none() -> None:
    rules = [Rule("name", "x", ("trim",)), Rule("stage", "y", table=STAGE)]
    rules += [Rule("owner", link=LinkRule(association="z", label="Primary"))]
    mapping = Mapping("thing", "acme", "things", {r.field: r for r in rules})
    assert check(mapping, Entity("thing", SPECS), TRANSFORMS) == []


@pytest.mark.parametrize(
    ("kind", "raw", "hub"),
    [
        ("number", "1.50", "1.50"),
        ("number", 3, 3),
        ("date", "2026-11-24", "2026-11-24"),
        ("datetime", "2026-11-24T12:00:00Z", "2026-11-24T12:00:00+00:00"),
        ("list", "b;a", ["b", "a"]),
        ("link", "001", "001"),
        ("text", "", None),
    ],
)
def test_a_mappings_test_is_written_in_plain_values(
    kind: Any, raw: Any, hub: Any
) -> None:
    rule = Rule("f0", link=LinkRule(path="f0")) if kind == "link" else Rule("f0", "f0")
    spoke = one(FieldSpec("f0", kind, to="thing" if kind == "link" else None), rule)
    assert differs(spoke, MappingTest({"f0": raw}, {"f0": hub})) == {}
    wrong = differs(spoke, MappingTest({"f0": raw}, {"f0": "else"}))
    assert wrong["f0"][0] == "else"


def test_a_mappings_test_tells_an_absent_field_from_an_empty_one() -> None:
    spoke = one(FieldSpec("f0", "text"), Rule("f0", "f0"))
    assert differs(spoke, MappingTest({}, {"f0": None})) == {"f0": (None, ABSENT)}


def test_there_is_one_absent_and_it_says_so() -> None:
    assert repr(ABSENT) == "ABSENT"
