"""Identity decides the same from whichever side it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.model.link import Kin, Match, alike, hub_id, match

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
SETS = 3
Parts = tuple[str, str, str, str]
PART = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=4)
PARTS = st.tuples(PART, PART, PART, PART)
People = dict[str, tuple[int | None, ...]]
"""Records by id: for each identity set its value, None where the record cannot fill it."""


def people(prefix: str) -> st.SearchStrategy[People]:
    person = st.tuples(*[st.none() | st.integers(0, 2)] * SETS)
    return st.dictionaries(
        st.integers(0, 4).map(lambda n: f"{prefix}{n}"), person, max_size=4
    )


def filled(person: tuple[int | None, ...]) -> int:
    return sum(1 << n for n, value in enumerate(person) if value is not None)


def kin(person: tuple[int | None, ...], others: Mapping[str, object]) -> list[Kin]:
    """What an identity index answers for a record: whoever shares a set's value with it."""
    return [
        Kin(name, slot, filled(other))
        for name, other in others.items()
        if isinstance(other, tuple)
        for slot, value in enumerate(person)
        if value is not None and other[slot] == value
    ]


def ask(name: str, here: People, there: People, taken: frozenset[str]) -> Match:
    me = here[name]
    return match(name, filled(me), kin(me, here), kin(me, there), taken)


@QUICK
@given(people("l"), people("r"))
def test_whom_one_side_finds_finds_it_too(left: People, right: People) -> None:
    for name in left:
        found = ask(name, left, right, frozenset())
        for other in found.records if found.kind in {"one", "candidates"} else ():
            back = ask(other, right, left, frozenset())
            assert back.kind in {"one", "candidates", "twins"}
            assert back.kind == "twins" or name in back.records


@QUICK
@given(people("l"))
def test_twins_are_twins_of_each_other(side: People) -> None:
    for name in side:
        found = ask(name, side, {}, frozenset())
        for other in found.records:
            assert found.kind == "twins"
            assert name in ask(other, side, {}, frozenset()).records


@QUICK
@given(people("l"), people("r"), st.randoms(use_true_random=False))
def test_the_order_of_candidates_does_not_matter(
    left: People, right: People, rng: Random
) -> None:
    for name, me in left.items():
        same, other = kin(me, left), kin(me, right)
        found = match(name, filled(me), same, other, frozenset())
        rng.shuffle(same)
        rng.shuffle(other)
        assert match(name, filled(me), same, other, frozenset()) == found
        assert list(found.records) == sorted(set(found.records))


@QUICK
@given(people("l"), people("r"), st.frozensets(st.sampled_from(["r0", "r1", "r2"])))
def test_a_record_that_is_taken_is_never_picked(
    left: People, right: People, taken: frozenset[str]
) -> None:
    for name in left:
        found = ask(name, left, right, taken)
        free = ask(name, left, right, frozenset())
        assert found.records == free.records
        if free.kind == "one":
            assert found.kind == ("taken" if free.records[0] in taken else "one")
        else:
            assert found.kind == free.kind


@QUICK
@given(st.integers(0, 7), st.integers(0, 7), st.integers(0, 2))
def test_two_that_share_a_set_are_alike_from_both_sides(
    mine: int, theirs: int, slot: int
) -> None:
    mine, theirs = mine | 1 << slot, theirs | 1 << slot
    assert alike(mine, Kin("b", slot, theirs)) == alike(theirs, Kin("a", slot, mine))


@pytest.mark.parametrize(
    ("mine", "kin_", "one_thing"),
    [
        (0b01, Kin("b", 0, 0b01), True),
        (0b11, Kin("b", 1, 0b11), False),
        (0b10, Kin("b", 1, 0b11), True),
        (0b11, Kin("b", 1, 0b10), True),
    ],
)
def test_a_later_set_counts_only_where_an_earlier_is_blank_on_one(
    mine: int, kin_: Kin, *, one_thing: bool
) -> None:
    assert alike(mine, kin_) is one_thing


@pytest.mark.parametrize(
    ("filled_", "same", "other", "taken", "found"),
    [
        (0, [], [Kin("r", 0, 1)], "", Match("unknown")),
        (1, [Kin("m", 0, 1)], [], "", Match("new")),
        (1, [Kin("m", 0, 1)], [Kin("r", 0, 1)], "", Match("one", ("r",))),
        (1, [Kin("n", 0, 1)], [Kin("r", 0, 1)], "", Match("twins", ("n",))),
        (1, [], [Kin("r", 0, 1)] * 2, "", Match("one", ("r",))),
        (
            1,
            [],
            [Kin("s", 0, 1), Kin("r", 0, 1)],
            "",
            Match("candidates", ("r", "s")),
        ),
        (1, [], [Kin("r", 0, 1)], "r", Match("taken", ("r",))),
    ],
)
def test_identity_has_six_answers(
    filled_: int, same: list[Kin], other: list[Kin], taken: str, found: Match
) -> None:
    assert match("m", filled_, same, other, frozenset(taken)) == found


@QUICK
@given(PARTS, PARTS)
def test_two_things_have_two_hub_ids(mine: Parts, other: Parts) -> None:
    assert (hub_id(*mine) == hub_id(*other)) == (mine == other)
    assert hub_id(*mine) != hub_id(*mine, 1)
