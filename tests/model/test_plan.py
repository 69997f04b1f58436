"""Changes, plans and receipts as values."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.model.job import SIDES, SideName
from connector_hub.model.plan import OUTCOMES, Change, Plan, Receipt, Seen

L = Seen("l1", "v", None, None, ("x",))
R = Seen("r1", None, "key", "me", (None,))


def change(action: Any, here: SideName = "left", **more: Any) -> Change:
    return Change(action, b"h" * 16, here, L, R, **more)


@pytest.mark.parametrize("action", ["create", "archive"])
def test_a_create_or_an_archive_is_written_across(action: str) -> None:
    assert change(action, "left").writes() == ["right"]
    assert change(action, "right").writes() == ["left"]


@pytest.mark.parametrize(
    ("fields", "sides"),
    [
        ({}, []),
        ({"to_left": ("a",)}, ["left"]),
        ({"to_right": ("a",)}, ["right"]),
        ({"to_left": ("a",), "to_right": ("b",)}, ["left", "right"]),
        ({"agreed": ("a",), "asks": ("b",)}, []),
    ],
)
def test_an_update_is_written_where_it_has_fields_to_write(
    fields: dict[str, Any], sides: list[str]
) -> None:
    made = change("update", **fields)
    assert made.writes() == sides
    assert [s for s in SIDES if made.fields(s)] == sides


def test_a_change_names_the_record_that_was_looked_at() -> None:
    assert (change("update").record, change("update", "right").record) == ("l1", "r1")
    assert [change("update").seen(s) for s in SIDES] == [L, R]
    assert Change("create", b"h" * 16, "left", None, None).record == ""


def plan(**counts: int) -> Plan:
    return Plan("p1", "people", "contact", "sales", "billing", counts=counts)


def test_a_plan_ends_in_one_line() -> None:
    assert plan().summary() == (
        "Plan: 0 to create, 0 to update, 0 to delete, 0 unchanged."
    )
    assert plan(create=1200, conflicts=2, blocked=1, dead_letters=3).summary() == (
        "Plan: 1,200 to create, 0 to update, 0 to delete, 0 unchanged, "
        "2 in conflict, 1 blocked, 3 dead letters."
    )


@pytest.mark.parametrize(
    ("counts", "empty"),
    [
        ({}, True),
        ({"unchanged": 9, "conflicts": 1, "clear": 0}, True),
        ({"create": 1}, False),
        ({"update": 1}, False),
        ({"delete": 1}, False),
    ],
)
def test_a_plan_is_empty_when_it_writes_nothing(
    counts: dict[str, int], *, empty: bool
) -> None:
    assert plan(**counts).empty is empty


def test_a_plans_document_tells_counts_and_calls_and_no_value() -> None:
    made = plan(create=2, unchanged=1)
    made.calls, made.seconds = {"billing": {"calls": 3}}, 1.26
    document = made.document()
    assert {
        "plan",
        "create",
        "update",
        "delete",
        "unchanged",
        "conflicts",
        "calls",
    } <= (set(document))
    assert (document["create"], document["calls"]) == (2, {"billing": {"calls": 3}})
    assert document["seconds"] == 1.3


def test_a_receipts_document_holds_every_outcome_once() -> None:
    receipt = Receipt("people", 7, read=3, created=2, unchanged=1)
    document = receipt.document()
    assert set(OUTCOMES) < set(document)
    assert sum(document[name] for name in OUTCOMES) == document["read"]
    assert "error" not in document


def test_a_receipt_carries_its_error_where_there_is_one() -> None:
    error = {"code": "Locked", "message": "another run holds the job"}
    assert Receipt("people", 7, status="refused", error=error).document()["error"] == (
        error
    )
