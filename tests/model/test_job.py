"""A job says where fields may travel, where records may be made, and how much is too much."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.model.job import (
    SIDES,
    Guard,
    Job,
    Percent,
    Policy,
    Side,
    Target,
    across,
)

QUICK = settings(max_examples=150, deadline=None, derandomize=True)


def job(direction: Any = "both", **more: Any) -> Job:
    return Job(
        "people", "contact", Side("sales", "c"), Side("billing", "C"), direction, **more
    )


def test_a_guard_of_its_own_accord_forbids_deletes_alone() -> None:
    assert Guard().limits(1000) == {"delete": 0}
    assert Guard(delete=None).limits(1000) == {}


@pytest.mark.parametrize(
    ("share", "linked", "most"),
    [(10, 1000, 100), (10, 9, 0), (0, 1000, 0), (100, 7, 7), (0.5, 1000, 5)],
)
def test_a_share_is_of_the_linked_records_rounded_down(
    share: float, linked: int, most: int
) -> None:
    assert Guard(update=Percent(share)).limits(linked) == {"update": most, "delete": 0}


@QUICK
@given(st.integers(0, 10**7), st.integers(0, 100))
def test_a_share_in_whole_percent_is_exact(linked: int, share: int) -> None:
    found = Guard(clear=Percent(float(share))).limits(linked)["clear"]
    assert found == Fraction(linked * share, 100).__floor__()


def test_a_share_with_a_fraction_is_exact() -> None:
    assert Guard(clear=Percent(0.57)).limits(10_000)["clear"] == 57


def test_a_number_binds_however_many_are_linked() -> None:
    guard = Guard(create=500, update=0, clear=50, delete=2)
    assert guard.limits(0) == guard.limits(10**6)
    assert guard.limits(0) == {"create": 500, "update": 0, "clear": 50, "delete": 2}


@pytest.mark.parametrize(
    ("direction", "read_from"),
    [
        ("left-to-right", ("left",)),
        ("right-to-left", ("right",)),
        ("both", ("left", "right")),
    ],
)
@pytest.mark.parametrize("create", ["both", "left", "right", "none"])
def test_records_are_made_across_from_a_side_that_is_read(
    direction: str, read_from: tuple[str, ...], create: str
) -> None:
    made = job(direction, create=create)
    assert made.read_from == read_from
    for side in SIDES:
        assert made.creates_at(side) == (
            across(side) in read_from and create in {"both", side}
        )


@pytest.mark.parametrize(
    ("direction", "to_right", "to_left", "owner"),
    [
        ("both", True, False, "left"),
        ("both", False, True, "right"),
        ("both", True, True, None),
        ("left-to-right", True, True, "left"),
        ("right-to-left", True, True, "right"),
    ],
)
def test_where_one_way_is_possible_the_side_it_comes_from_owns_the_field(
    direction: str, owner: str | None, *, to_right: bool, to_left: bool
) -> None:
    found = job(direction).policy("f", to_right=to_right, to_left=to_left)
    assert found is not None
    assert found.owner == owner


@pytest.mark.parametrize(
    ("direction", "to_right", "to_left"),
    [
        ("both", False, False),
        ("left-to-right", False, True),
        ("right-to-left", True, False),
    ],
)
def test_a_field_that_no_way_is_open_for_does_not_travel(
    direction: str, *, to_right: bool, to_left: bool
) -> None:
    assert job(direction).policy("f", to_right=to_right, to_left=to_left) is None


def test_a_field_owned_by_the_side_it_cannot_leave_does_not_travel() -> None:
    made = job("left-to-right", fields={"f": Policy("right")})
    assert made.policy("f", to_right=True, to_left=True) is None


def test_a_fields_own_policy_goes_before_the_policy_of_the_others() -> None:
    made = job(fields={"f": Policy(both="left"), "*": Policy(both="right")})
    assert made.policy("f", to_right=True, to_left=True) == Policy(both="left")
    assert made.policy("g", to_right=True, to_left=True) == Policy(both="right")
    assert job().policy("g", to_right=True, to_left=True) == Policy()


def test_a_field_keeps_the_rest_of_its_policy_when_it_gets_an_owner() -> None:
    made = job("left-to-right", fields={"*": Policy(revert=True, first="ask")})
    found = made.policy("f", to_right=True, to_left=False)
    assert found == Policy("left", revert=True, first="ask")


def test_a_side_is_told_by_its_name_and_lies_across_from_the_other() -> None:
    assert [job().side(s).connection for s in SIDES] == ["sales", "billing"]
    assert [across(s) for s in SIDES] == ["right", "left"]


def test_a_record_goes_to_the_first_resource_that_takes_one_that_says_so() -> None:
    people = Target("Contact", {"stage": ("customer", "1"), "vip": ("True",)})
    side = Side(
        "sales",
        "Lead",
        ("Lead", "Contact"),
        (people, Target("Lead", {"stage": ("lead",)})),
    )
    assert side.target({"stage": "customer", "vip": True}) == "Contact"
    assert side.target({"stage": 1, "vip": True}) == "Contact"
    assert side.target({"stage": "customer", "vip": False}) is None
    assert side.target({"stage": "lead"}) == "Lead"
    assert side.target({}) is None
    assert Side("sales", "Lead").target({}) == "Lead"
    assert Target("Lead").takes({})


def test_a_side_of_several_resources_says_where_a_record_is() -> None:
    one, many = Side("sales", "Lead"), Side("sales", "Lead", ("Lead", "Contact"))
    assert (one.resources, one.called) == (("Lead",), "Lead")
    assert (many.resources, many.called) == (("Lead", "Contact"), "Lead|Contact")
    assert (one.known_as("Lead", "7"), many.known_as("Contact", "7")) == (
        "7",
        "Contact/7",
    )


def test_a_side_is_found_by_its_connection_or_its_name() -> None:
    assert job().sides_by_word == {
        "sales": "left",
        "billing": "right",
        "left": "left",
        "right": "right",
    }


@pytest.mark.parametrize(
    ("more", "ops"),
    [
        ({}, ("update",)),
        ({"deletes_follow": True}, ("update", "archive")),
        ({"leaving": "delete"}, ("update", "archive")),
        ({"leaving": "unlink"}, ("update",)),
    ],
)
def test_a_job_says_what_it_overwrites_and_where(
    more: dict[str, Any], ops: tuple[str, ...]
) -> None:
    assert job("left-to-right", **more).overwrites == {"right": ops}
    assert job("right-to-left", **more).overwrites == {"left": ops}
    assert job("both", **more).overwrites == {"left": ops, "right": ops}


def test_a_job_covers_who_says_all_that_only_asks_for() -> None:
    made = job(only={"stage": ("lead", "2"), "vip": ("True",)})
    assert made.covers({"stage": "lead", "vip": True})
    assert made.covers({"stage": 2, "vip": "True"})
    assert not made.covers({"stage": "lead"})
    assert not made.covers({"stage": "boss", "vip": True})
    assert job().covers({})


def test_a_job_is_two_way_when_records_of_both_sides_travel() -> None:
    ways = ("left-to-right", "right-to-left", "both")
    assert [job(d).two_way for d in ways] == [False, False, True]
