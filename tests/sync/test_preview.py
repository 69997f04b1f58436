"""Some records as the other side would get them, and why a field does not travel."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Policy
from connector_hub.model.mapping import (
    LinkRule,
    Lookup,
    Mapping,
    Rule,
    Spoke,
    compile_mapping,
)
from connector_hub.model.record import Gone, Page, Record, Ref, Want
from connector_hub.model.transforms import Transforms
from connector_hub.sync.preview import (
    Line,
    Previewed,
    previewed,
    sample,
    travelling_from,
)

ENTITY = Entity(
    "person",
    {
        "name": FieldSpec("name", "text"),
        "stage": FieldSpec("stage", "choice", ("lead", "won")),
        "note": FieldSpec("note", "text"),
        "age": FieldSpec("age", "number"),
        "firm": FieldSpec("firm", "link", to="firm"),
        "owner": FieldSpec("owner", "text"),
    },
)
LOOKUP = Lookup("users", "name")


def spoke(*rules: Rule, rows: Any = None) -> Spoke:
    mapping = Mapping("person", "acme", "people", {r.field: r for r in rules})
    tables = {LOOKUP: rows} if rows else None
    return compile_mapping(mapping, ENTITY, Transforms(), tables=tables)


HERE = spoke(
    Rule("name", "name", ("trim",)),
    Rule("stage", "stage", table={"lead": ("L",), "won": ("W",)}),
    Rule("note", "note", when={"stage": ("won",)}),
    Rule("age", "age"),
    Rule("firm", link=LinkRule(association="firms")),
    Rule("owner", "owner"),
)
ALL = dict.fromkeys(ENTITY.fields, Policy())


def lines(
    there: Spoke, row: Any, travelling: Any = ALL, **links: Any
) -> dict[str, Line]:
    record = Record("1", row, links=links)
    made = previewed("sales", "Lead/1", record, HERE, there, travelling)
    assert (made.connection, made.record) == ("sales", "Lead/1")
    return {line.field: line for line in made.lines}


def test_a_record_is_shown_as_held_as_read_and_as_the_other_side_would_get_it() -> None:
    there = spoke(
        Rule("name", "Name"), Rule("stage", "Stage", table={"lead": ("New",)})
    )
    record = Record("1", {"name": " Ada ", "stage": "L", "age": "x"})
    assert previewed("sales", "1", record, HERE, there, ALL) == Previewed(
        "sales",
        "1",
        (
            Line("name", " Ada ", "read", "Ada", "Name", "Ada"),
            Line("stage", "L", "read", "lead", "Stage", "New"),
            Line("note", None, "absent"),
            Line("age", "x", "unreadable"),
            Line("firm", None, "absent"),
            Line("owner", None, "absent"),
        ),
    )


def test_a_field_outside_its_condition_here_is_shown_as_that() -> None:
    told = lines(spoke(Rule("note", "Note")), {"stage": "L", "note": "x"})
    assert told["note"] == Line("note", "x", "outside")


@pytest.mark.parametrize(
    ("rule", "row", "note"),
    [
        (None, {"note": "x", "stage": "W"}, "no rule there"),
        (
            Rule("note", "Note", when={"stage": ("lead",)}),
            {"note": "x", "stage": "W"},
            "outside its condition there",
        ),
        (
            Rule("stage", "Stage", table={"lead": ("N",)}),
            {"stage": "W"},
            "no word for it there",
        ),
        (Rule("name", "Name", one_way=True), {"name": "x"}, "no word for it there"),
        (
            Rule("owner", "Owner", lookup=LOOKUP),
            {"owner": "Bob"},
            "nobody there has it",
        ),
        (
            Rule("owner", "Owner", lookup=LOOKUP),
            {"owner": ""},
            "a blank is not written",
        ),
    ],
)
def test_why_a_field_does_not_travel_is_said(rule: Any, row: Any, note: str) -> None:
    name = rule.field if rule else "note"
    rules = [Rule("stage", "Stage"), *([rule] if rule else [])]
    there = spoke(*{r.field: r for r in rules}.values(), rows={"u1": "Ann"})
    line = lines(there, row)[name]
    assert (line.state, line.path, line.there, line.note) == ("read", None, None, note)
    assert line.raw == row[name]


def test_what_no_policy_lets_travel_stays_and_a_link_goes_by_its_counterpart() -> None:
    there = spoke(Rule("name", "Name"), Rule("firm", link=LinkRule(path="Firm")))
    told = lines(there, {"name": "Ada"}, {"firm": Policy()}, firms=[Ref("Firm", "7")])
    assert told["name"].note == "does not travel"
    firm = Ref("Firm", "7")
    assert told["firm"] == Line(
        "firm", ["Firm", "7"], "read", firm, note="the link of its counterpart"
    )


def test_what_can_be_said_there_is_and_a_condition_is_judged_by_what_travels() -> None:
    there = spoke(
        Rule("owner", "Owner", lookup=LOOKUP),
        Rule("stage", "Stage"),
        Rule("note", "Note", when={"stage": ("won",)}),
        rows={"u1": "Ann"},
    )
    row = {"owner": "Ann", "stage": "W", "note": "x"}
    told = lines(there, row)
    assert told["owner"] == Line("owner", "Ann", "read", "Ann", "Owner", "u1")
    assert told["note"] == Line("note", "x", "read", "x", "Note", "x")
    rest = {n: p for n, p in ALL.items() if n != "stage"}
    assert lines(there, row, rest)["note"].note == "outside its condition there"


class Vendor:
    """Pages of two, a record that is gone among them; each call is noted."""

    name = "vendor"

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        self.calls.append((resource, feed, at, want))
        n = int(at or 0)
        found = [Record(f"{n}", {}), Gone(f"x{n}"), Record(f"{n}b", {})]
        return Page(found, next=str(n + 1) if n < 2 else None)

    async def fetch(self, resource: str, ids: list[str], want: Want) -> list[Any]:
        self.calls.append((resource, ids, want))
        return [Gone("0") if ids == ["gone"] else Record(ids[0], {})]


@pytest.mark.parametrize(
    ("most", "ids", "pages"),
    [
        (1, ["0"], [None]),
        (2, ["0", "0b"], [None]),
        (3, ["0", "0b", "1"], [None, "1"]),
        (9, ["0", "0b", "1", "1b", "2", "2b"], [None, "1", "2"]),
    ],
)
async def test_a_sample_is_the_first_records_and_no_page_more(
    most: int, ids: list[str], pages: list[str | None]
) -> None:
    vendor: Any = Vendor()
    want = Want(frozenset({"a"}))
    assert [r.id for r in await sample(vendor, "people", want, most)] == ids
    assert vendor.calls == [("people", "changed", at, want) for at in pages]


async def test_a_record_that_is_asked_for_is_fetched_if_it_is_there() -> None:
    vendor: Any = Vendor()
    want = Want(frozenset({"a"}))
    assert [r.id for r in await sample(vendor, "people", want, 5, "7")] == ["7"]
    assert await sample(vendor, "people", want, 5, "gone") == []
    assert vendor.calls == [("people", ["7"], want), ("people", ["gone"], want)]


def test_what_may_travel_from_a_side_is_its_own_and_what_is_shared() -> None:
    policies = {"a": Policy("left"), "b": Policy("right"), "c": Policy()}
    assert list(travelling_from("left", policies)) == ["a", "c"]
    assert list(travelling_from("right", policies)) == ["b", "c"]
