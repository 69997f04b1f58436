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


@pytest.mark.parametrize(
    ("action", "op", "undoes"),
    [
        ("create", "create", False),
        ("update", "update", False),
        ("archive", "archive", False),
        ("settle", None, False),
        ("restore", "update", True),
        ("remove", "archive", True),
        ("keep", None, True),
    ],
)
def test_an_action_is_an_op_at_the_vendor_or_none_and_undoes_or_not(
    action: str, op: str | None, *, undoes: bool
) -> None:
    made = change(action, to_left=("a",))
    assert (made.op, made.undoes) == (op, undoes)


def test_what_undoes_a_create_is_written_across_and_what_is_kept_nowhere() -> None:
    assert change("remove", "right").writes() == ["left"]
    assert change("keep", to_left=("a",), to_right=("a",)).writes() == []
    assert change("restore", to_left=("a",)).writes() == ["left"]


def test_an_image_is_what_a_side_held_before_without_version_or_key() -> None:
    made = change("restore", images=((1,), (2,)))
    assert made.image("left") == Seen("l1", None, None, None, (1,))
    assert made.image("right") == Seen("r1", None, None, None, (2,))
    assert change("update").image("left") is None
    assert change("restore", images=((1,), ())).image("right") is None
    alone = Change("restore", b"h" * 16, "left", L, None, images=((1,), (2,)))
    assert alone.image("right") is None


def full() -> Plan:
    """A plan in which no two figures are alike."""
    counts = (
        "create",
        "update",
        "delete",
        "unchanged",
        "conflicts",
        "blocked",
        "dead_letters",
    )
    made = plan(**{n: i for i, n in enumerate((*counts, "stale", "kept"), 1)})
    made.read, made.seconds, made.undoes = 60, 12.34, 7
    made.by_field, made.by_reason = {"name": 10}, {"new": 11}
    made.writes, made.calls = (
        {"sales": {"people": {"create": 12}}},
        {"sales": {"calls": 13}},
    )
    made.remaining, made.billed = {"sales": {"calls": 14.0}}, [{"records": 15}]
    made.automations = [{"run": ["flow"]}]
    return made


def test_a_plans_document_is_all_of_it() -> None:
    assert full().document() == {
        "plan": "p1",
        "job": "people",
        "create": 1,
        "update": 2,
        "delete": 3,
        "unchanged": 4,
        "conflicts": 5,
        "blocked": 6,
        "dead_letters": 7,
        "stale": 8,
        "kept": 9,
        "undoes": 7,
        "read": 60,
        "by_field": {"name": 10},
        "by_reason": {"new": 11},
        "writes": {"sales": {"people": {"create": 12}}},
        "calls": {"sales": {"calls": 13}},
        "left": {"sales": {"calls": 14.0}},
        "seconds": 12.3,
        "billed": [{"records": 15}],
        "automations": [{"run": ["flow"]}],
    }
    assert {"undoes", "kept"}.isdisjoint(plan(kept=1).document())
    assert full().summary() == (
        "Plan: 1 to create, 2 to update, 3 to delete, 4 unchanged, 5 in conflict, "
        "6 blocked, 7 dead letters, 9 that cannot be undone."
    )


def test_a_receipts_document_is_all_of_it() -> None:
    names = ("read", "created", "updated", "deleted", "unchanged", "not_taken", "stale")
    figures: dict[str, Any] = {n: i for i, n in enumerate(names, 1)}
    figures |= {
        "blocked": 8,
        "conflicts": 9,
        "dead_letters": 10,
        "open": {"conflicts": 11},
    }
    figures |= {"writes": {"sales": 12}, "calls": {"sales": {"calls": 13}}}
    receipt = Receipt("people", 7, "waiting", **figures, plan="p1", exposed=1.26)
    said = {"job": "people", "run": 7, "status": "waiting", **figures}
    assert receipt.document() == said | {"plan": "p1", "exposed": 1.3}
    assert Receipt("people", 7, "waiting", **figures).document() == said
