"""Laws of rules that are more than one path: references with a type, and parts that are one word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_hub.adapters.transforms import transforms
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import (
    ABSENT,
    BETWEEN,
    LinkRule,
    Mapping,
    Rule,
    check,
    compile_mapping,
)
from connector_hub.model.record import Ref

ENTITY = Entity(
    "task",
    {
        "stage": FieldSpec("stage", "choice", ("open", "won", "lost")),
        "deal": FieldSpec("deal", "link", to="deal"),
        "company": FieldSpec("company", "link", to="company"),
    },
)


def linked(field: str, *words: str, **more: Any) -> Rule:
    return Rule(field, link=LinkRule("what", type="kind", is_=words, **more))


STAGE = Rule(
    "stage",
    parts=("pipe", "step"),
    table={"open": ("a / 1", "a / 2"), "won": ("a / 3", "b / 3")},
)
DEAL = linked("deal", "Deal", "Opportunity", write_type=True)
COMPANY = linked("company", "Firm", write_type=True)


def mapped(*rules: Rule) -> Mapping:
    return Mapping("task", "acme", "tasks", {r.field: r for r in rules})


SPOKE = compile_mapping(mapped(STAGE, DEAL, COMPANY), ENTITY, transforms())
IDS = st.text("0123456789", min_size=1, max_size=3)
STEPS = st.sampled_from([None, "", "1", "2", "3", "9"])
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "pipe": st.sampled_from([None, "", "a", "b"]),
        "step": STEPS,
        "what": st.none() | IDS,
        "kind": st.sampled_from([None, "Deal", "Opportunity", "Firm", "Lead"]),
    },
)
REFS = st.none() | IDS.map(lambda i: Ref("", i))
VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from([None, "open", "won"]),
        "deal": REFS,
        "company": REFS,
    },
)


def view(row: dict[str, Any]) -> dict[str, Any]:
    return SPOKE.view(SPOKE.raws(row, {}))[0]


@given(ROWS, VIEWS)
def test_what_was_put_is_seen_again(row, wanted):
    """Of two links in one reference the first that leads somewhere."""
    after = view({**row, **SPOKE.put(wanted)})
    first = next((n for n in ("deal", "company") if wanted.get(n)), None)
    for name, value in wanted.items():
        lost = name != "stage" and first not in {None, name}
        assert after[name] == (None if lost else value)


@given(ROWS)
def test_putting_what_was_seen_leaves_it_seen_so(row):
    seen = view(row)
    assert view({**row, **SPOKE.put(seen)}) == seen


@given(ROWS, ROWS)
def test_putting_back_brings_the_vendors_own_values_back(was, now):
    """As far as these fields tell: a type that is no field's stays what it was."""
    names = ("stage", "deal", "company")
    back = SPOKE.put_back(names, SPOKE.raws(was, {}), SPOKE.raws(now, {}))
    for name, raw in zip(
        SPOKE.names, SPOKE.raws({**now, **back.fields}, {}), strict=True
    ):
        before = dict(zip(SPOKE.names, SPOKE.raws(was, {}), strict=True))[name]
        if name == "stage" and before is not ABSENT:
            assert raw == before or not (raw or before)


def test_a_blank_that_is_put_back_wipes_no_other_fields_reference():
    was = SPOKE.raws({"what": None, "kind": None}, {})
    now = SPOKE.raws({"what": "7", "kind": "Deal"}, {})
    assert SPOKE.put_back({"company"}, was, now).fields == {}
    assert SPOKE.put_back({"deal"}, was, now).fields == {"what": None, "kind": None}


def test_parts_are_written_together_and_what_the_table_lacks_is_left():
    assert SPOKE.put({"stage": "won"}) == {"pipe": "a", "step": "3"}
    assert SPOKE.put({"stage": None}) == {"pipe": None, "step": None}
    assert SPOKE.put({"stage": "lost"}) == {}
    assert view({"pipe": "b", "step": "3"}) == {"stage": "won"}
    assert view({"pipe": "b"}) == {}
    _, bad = SPOKE.view(SPOKE.raws({"pipe": "b", "step": "1"}, {}))
    assert [(b.field, b.value) for b in bad] == [("stage", f"b{BETWEEN}1")]


def test_everything_that_is_needed_is_asked_for():
    assert SPOKE.want.fields == {"pipe", "step", "what", "kind"}


def test_a_type_is_written_only_where_the_vendor_takes_it():
    spoke = compile_mapping(mapped(linked("deal", "Deal")), ENTITY, transforms())
    assert spoke.put({"deal": Ref("", "7")}) == {"what": "7"}
    assert SPOKE.put({"company": Ref("", "7")}) == {"what": "7", "kind": "Firm"}
    assert SPOKE.put({"company": None}) == {"what": None, "kind": None}


@pytest.mark.parametrize(
    ("rules", "at", "said"),
    [
        ([linked("deal")], ("fields", "deal", "link"), "type and is go together"),
        (
            [Rule("deal", link=LinkRule("what", is_=("Deal",)))],
            ("fields", "deal", "link"),
            "type and is go together",
        ),
        (
            [Rule("deal", link=LinkRule(association="d", type="k", is_=("D",)))],
            ("fields", "deal", "link"),
            "a type goes with a path",
        ),
        (
            [Rule("deal", link=LinkRule("what", write_type=True))],
            ("fields", "deal", "link"),
            "write_type goes with a type",
        ),
        (
            [linked("deal", "X"), linked("company", "Y", "X")],
            ("fields", "company", "link"),
            "both of one type",
        ),
        (
            [linked("deal", "X"), Rule("company", link=LinkRule("what"))],
            ("fields", "company"),
            "both written to what",
        ),
        (
            [Rule("stage", parts=("a",), table={"open": ("1",)})],
            ("fields", "stage", "parts"),
            "one part is a path",
        ),
        (
            [Rule("stage", parts=("a", "a"), table={"open": ("1 / 2",)})],
            ("fields", "stage", "parts"),
            "stands there twice",
        ),
        (
            [Rule("stage", parts=("a", "b"))],
            ("fields", "stage", "parts"),
            "need a table",
        ),
        (
            [
                Rule(
                    "stage", parts=("a", "b"), via=("trim",), table={"open": ("1 / 2",)}
                )
            ],
            ("fields", "stage", "parts"),
            "go with a table only",
        ),
        (
            [Rule("stage", parts=("a", "b"), table={"open": ("1",)})],
            ("fields", "stage", "table", "open"),
            "must list 2 words",
        ),
        (
            [Rule("stage", "a", parts=("a", "b"), table={"open": ("1 / 2",)})],
            ("fields", "stage"),
            "one of path, link, parts and rows",
        ),
    ],
)
def test_a_mistake_is_told_at_its_place(rules, at, said):
    found = check(mapped(*rules), ENTITY, transforms())
    assert any(p.where == at and said in p.message for p in found), found


def test_two_links_share_one_reference_without_a_mistake():
    untyped = [Rule(n, link=LinkRule("what")) for n in ("deal", "company")]
    assert check(mapped(STAGE, DEAL, COMPANY), ENTITY, transforms()) == []
    assert check(mapped(*untyped), ENTITY, transforms()) == []
