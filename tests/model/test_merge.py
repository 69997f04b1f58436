"""The merge, decision by decision: who writes where, and who is asked."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.model.job import Both, Policy, SideName
from connector_hub.model.mapping import blank
from connector_hub.model.merge import Merged, merge

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
FIELDS = ("a", "b", "c")
SIDE = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["x", "y", None]))
MOVED = st.none() | st.tuples(*[st.sets(st.sampled_from(FIELDS))] * 2)
WINNERS: Any = st.sampled_from(["left", "right", "newest", "fill", "ask"])
POLICY = st.builds(
    Policy, st.sampled_from([None, "left", "right"]), st.booleans(), WINNERS, WINNERS
)
POLICIES = st.fixed_dictionaries(dict.fromkeys(FIELDS, POLICY))
Moved = tuple[AbstractSet[str], AbstractSet[str]] | None
NONE: AbstractSet[str] = frozenset()
A: AbstractSet[str] = frozenset("a")


def decide(policy: Policy, left: Any, right: Any, moved: Moved, **more: Any) -> str:
    """What becomes of a field: ``left``, ``right``, ``agreed``, ``asks`` or nothing."""
    found = merge({"a": policy}, {"a": left}, {"a": right}, moved, **more)
    (told,) = [n for n in Merged.__slots__ if getattr(found, n)] or ["nothing"]
    return told


@QUICK
@given(POLICIES, SIDE, SIDE, MOVED)
def test_nothing_is_written_that_both_hold_alike(
    policies: Mapping[str, Policy],
    left: dict[str, Any],
    right: dict[str, Any],
    moved: Moved,
) -> None:
    found = merge(policies, left, right, moved)
    alike = {n for n in FIELDS if n in left and n in right and left[n] == right[n]}
    assert alike <= set(found.agreed)
    assert not alike & {*found.left, *found.right, *found.asks}


@QUICK
@given(POLICIES, SIDE, SIDE)
def test_a_first_meeting_never_erases(
    policies: Mapping[str, Policy], left: dict[str, Any], right: dict[str, Any]
) -> None:
    found = merge(policies, left, right, None)
    assert not any(blank(left[n]) for n in found.right)
    assert not any(blank(right[n]) for n in found.left)


@QUICK
@given(POLICIES, SIDE, SIDE, MOVED)
def test_a_field_without_an_opinion_never_appears(
    policies: Mapping[str, Policy],
    left: dict[str, Any],
    right: dict[str, Any],
    moved: Moved,
) -> None:
    """Nor does one its owner says nothing about, nor one that two sides share and one is silent on."""
    found = merge(policies, left, right, moved)
    told = {*found.left, *found.right, *found.agreed, *found.asks}
    for name, policy in policies.items():
        speakers = {s for s, v in (("left", left), ("right", right)) if name in v}
        needed = {policy.owner} if policy.owner else {"left", "right"}
        if not needed <= speakers:
            assert name not in told


@QUICK
@given(POLICIES, SIDE, SIDE, MOVED)
def test_a_field_that_no_policy_names_stays_where_it_is(
    policies: dict[str, Policy],
    left: dict[str, Any],
    right: dict[str, Any],
    moved: Moved,
) -> None:
    some = {n: p for n, p in policies.items() if n != "a"}
    found, all_ = merge(some, left, right, moved), merge(policies, left, right, moved)
    for name in Merged.__slots__:
        assert getattr(found, name) == tuple(n for n in getattr(all_, name) if n != "a")


@pytest.mark.parametrize(
    ("moved", "left", "right", "told"),
    [
        (None, "x", "y", "right"),
        (None, "x", None, "right"),
        (None, None, "y", "nothing"),
        ((A, NONE), "x", "y", "right"),
        ((A, NONE), None, "y", "right"),
        ((A, A), "x", "y", "right"),
        ((NONE, A), "x", "y", "nothing"),
        ((NONE, NONE), "x", "y", "nothing"),
        ((NONE, A), "x", "x", "agreed"),
    ],
)
def test_an_owned_field_travels_from_its_owner(
    moved: Moved, left: Any, right: Any, told: str
) -> None:
    assert decide(Policy("left"), left, right, moved) == told
    flip = {"right": "left"}
    turned = moved and moved[::-1]
    assert decide(Policy("right"), right, left, turned) == flip.get(told, told)


def test_an_owned_fields_edit_elsewhere_is_put_back_where_the_job_says_so() -> None:
    assert decide(Policy("left", revert=True), "x", "y", (NONE, A)) == "right"
    assert decide(Policy("right", revert=True), "x", "y", (A, NONE)) == "left"


@pytest.mark.parametrize(
    ("both", "left", "right", "told"),
    [
        ("left", "x", "y", "right"),
        ("right", "x", "y", "left"),
        ("ask", "x", "y", "asks"),
        ("newest", "x", "y", "asks"),
        ("fill", "x", "y", "right"),
        ("fill", "x", None, "right"),
        ("fill", None, "y", "left"),
        ("fill", (), "y", "left"),
    ],
)
def test_where_both_moved_the_policy_says_who_wins(
    both: Both, left: Any, right: Any, told: str
) -> None:
    assert decide(Policy(both=both), left, right, (A, A)) == told
    if not blank(left) and not blank(right):
        assert decide(Policy(first=both), left, right, None) == told


def test_a_shared_field_travels_from_the_side_that_moved() -> None:
    assert decide(Policy(), "x", "y", (A, NONE)) == "right"
    assert decide(Policy(), None, "y", (A, NONE)) == "right"
    assert decide(Policy(), "x", "y", (NONE, A)) == "left"
    assert decide(Policy(), "x", "y", (NONE, NONE)) == "nothing"


def test_a_shared_field_is_filled_at_a_first_meeting_whatever_the_policy() -> None:
    for first in ("left", "right", "ask", "newest", "fill"):
        policy = Policy(first=first)
        assert decide(policy, None, "y", None) == "left"
        assert decide(policy, "x", (), None) == "right"


@pytest.mark.parametrize(("side", "told"), [("left", "right"), ("right", "left")])
def test_what_a_person_decided_goes_before_every_rule(
    side: SideName, told: str
) -> None:
    for policy in (Policy(), Policy(both="right")):
        assert decide(policy, "x", "y", (A, A), decided={"a": side}) == told
    for owner in ("left", "right"):
        written = told if owner == side else "agreed"
        assert decide(Policy(owner), "x", "y", (A, A), decided={"a": side}) == written
    assert decide(Policy(), "x", "x", (A, A), decided={"a": side}) == "agreed"


def test_a_decision_about_a_field_that_a_side_is_silent_on_waits() -> None:
    found = merge({"a": Policy()}, {"a": "x"}, {}, (A, A), decided={"a": "left"})
    assert found == Merged()


def test_a_merge_tells_fields_by_name_in_the_order_of_the_policies() -> None:
    policies = {n: Policy() for n in "gfedcba"}
    left = {"a": "1", "b": "1", "c": "1", "d": None, "e": "1", "g": "1"}
    right = {"a": "1", "b": "2", "c": "2", "d": "2", "f": "1", "g": "1"}
    moved = ({"b", "c"}, {"c", "d"})
    assert merge(policies, left, right, moved) == Merged(
        ("d",), ("b",), ("g", "a"), ("c",)
    )


def test_what_is_not_said_is_not_a_blank() -> None:
    """Silence is no opinion: nothing is written because of it, nor in its place."""
    for moved in (None, (A, A)):
        for policy in (Policy(), Policy(both="fill")):
            assert merge({"a": policy}, {}, {"a": "x"}, moved) == Merged()
            assert merge({"a": policy}, {"a": "x"}, {}, moved) == Merged()
            assert merge({"a": policy}, {}, {}, moved) == Merged()
            assert merge({"a": policy}, {}, {"a": None}, moved) == Merged()
    assert merge({"a": Policy("left")}, {}, {"a": None}, None) == Merged()


def test_an_owners_blank_is_agreed_on_with_a_side_that_says_nothing() -> None:
    for owner, views in (("left", ({"a": None}, {})), ("right", ({}, {"a": None}))):
        assert merge({"a": Policy(owner)}, *views, None) == Merged(agreed=("a",))  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, ()])
def test_nothing_and_an_empty_list_are_blank(value: Any) -> None:
    assert blank(value)


@pytest.mark.parametrize("value", ["", "x", 0, False, ("a",)])
def test_a_value_is_not_blank(value: Any) -> None:
    assert not blank(value)
