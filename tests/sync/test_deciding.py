"""A sheet of decisions: what each line must say, and what is wrong with the others."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.diagnostics import Mistakes
from connector_hub.model.conflict import FIELDS, KINDS, UNKNOWN, Conflict
from connector_hub.sync.deciding import Decided, Deciding


def conflict(number: int, kind: str, *fields: str, job: str = "people") -> Conflict:
    detail = {"fields": ",".join(fields)}
    return Conflict(number, job, kind, (("left", "1"),), 7, "now", detail)


BOTH = conflict(1, FIELDS, "name", "email")
LOST = conflict(2, UNKNOWN)
TWINS = conflict(3, "twins")
SIDES: Any = {"sales": "left", "billing": "right", "left": "left", "right": "right"}


def read(*rows: tuple[str, str, str]) -> list[Decided]:
    deciding = Deciding(
        "sheet.csv",
        {c.id: c for c in (BOTH, LOST, TWINS)},
        lambda n: n < 10,
        lambda _: SIDES,
    )
    columns = ("number", "field", "take")
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    return deciding.read(enumerate(lines, 2))


def wrong(*rows: tuple[str, str, str]) -> list[tuple[int, str, str]]:
    with pytest.raises(Mistakes) as told:
        read(*rows)
    found = told.value.diagnostics
    assert {(d.file, d.column, d.code) for d in found} == {("sheet.csv", 1, "sheet")}
    return [(d.line, d.message, d.hint) for d in found]


def test_lines_are_joined_by_conflict_and_side() -> None:
    assert read(
        ("1", "name", "sales"), ("2", "", "right"), ("1", "email", "billing")
    ) == [
        Decided(BOTH, "left", ("name",)),
        Decided(LOST, "right", ()),
        Decided(BOTH, "right", ("email",)),
    ]
    assert read(("1", "name", "sales"), ("1", "email", "left")) == [
        Decided(BOTH, "left", ("name", "email"))
    ]


def test_a_line_without_a_field_is_about_all_of_them() -> None:
    assert read(("1", "", "sales")) == [Decided(BOTH, "left", ("name", "email"))]


def test_a_line_that_takes_nothing_decides_nothing() -> None:
    assert read(("1", "name", ""), ("x", "?", "")) == []


def test_the_same_decision_twice_is_one() -> None:
    assert read(("1", "name", "sales"), ("1", "name", "left")) == [
        Decided(BOTH, "left", ("name",))
    ]


@pytest.mark.parametrize(
    ("row", "said", "hint"),
    [
        (("x", "", "left"), "'x' is no number of a conflict", ""),
        (("²", "", "left"), "'²' is no number of a conflict", ""),
        (("-1", "", "left"), "'-1' is no number of a conflict", ""),
        (("", "", "left"), "'' is no number of a conflict", ""),
        (("9", "", "left"), "conflict 9 is closed", "write the sheet anew"),
        (("11", "", "left"), "conflict 11 is not there", "write the sheet anew"),
        (
            ("1", "name", "slaes"),
            "'slaes' is no side of job people",
            "did you mean 'sales'?",
        ),
        (
            ("3", "", "left"),
            "conflict 3 (twins) is resolved at the vendor",
            KINDS["twins"],
        ),
        (("1", "nam", "left"), "conflict 1 is not about 'nam'", "did you mean 'name'?"),
        (("2", "name", "left"), "conflict 2 is not about 'name'", ""),
    ],
)
def test_what_is_wrong_with_a_line_is_told_with_a_remedy(
    row: tuple[str, str, str], said: str, hint: str
) -> None:
    ((line, message, remedy),) = wrong(("1", "name", "left"), row)
    assert (line, message) == (3, said)
    assert remedy.startswith(hint)
    assert bool(remedy) == bool(hint) or row == ("2", "name", "left")


def test_two_words_about_one_thing_are_a_mistake() -> None:
    assert wrong(
        ("1", "", "left"), ("1", "name", "right"), ("2", "", "left"), ("2", "", "right")
    ) == [
        (3, "conflict 1 name is decided twice", ""),
        (5, "conflict 2 is decided twice", ""),
    ]


def test_a_column_that_is_missing_is_named() -> None:
    deciding = Deciding("sheet.csv", {}, lambda _: False, lambda _: SIDES)
    with pytest.raises(Mistakes) as told:
        deciding.read(
            [(1, {"number": "1"}), (2, {"number": "1", "field": "", "take": ""})]
        )
    (one,) = told.value.diagnostics
    assert (one.line, one.message) == (1, "there is no column field, take")
    assert one.hint == "start from the file that conflicts list --csv writes"
