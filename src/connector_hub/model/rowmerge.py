"""Rows of two linked records, merged three ways: row by row, and field by field within a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from msgspec import Struct

from connector_hub.model.job import SIDES, Policy, SideName, across
from connector_hub.model.merge import merge
from connector_hub.model.rows import Edit, Key, Row

Moved = Mapping[Key, Collection[str]]
"""Fields that a side has changed, by the rows both had agreed on: all of a row that is gone."""


class Both(Struct, frozen=True):
    """The rows of a pair of records, left first.

    ``known`` are the rows that both had when they agreed last, with the fields that each side moved since;
    None where the two meet for the first time. ``written`` are the fields that can be written to each side.
    """

    rows: tuple[Sequence[Row], Sequence[Row]]
    known: tuple[Moved, Moved] | None
    written: tuple[Collection[str], Collection[str]]


class MergedRows(Struct, frozen=True):
    """What is to be written to either side, and whether a person has to say more."""

    left: tuple[Edit, ...] = ()
    right: tuple[Edit, ...] = ()
    asks: bool = False


def merge_rows(
    policy: Policy, both: Both, winner: SideName | None = None
) -> MergedRows:
    """Row by row and field by field, three ways.

    A row that one side added goes to the other, one that it removed goes there, too, unless it was edited
    there meanwhile. ``winner`` is who is right where both moved the same.
    """
    mine, theirs = ({r.key: r for r in rows} for rows in both.rows)
    edits: dict[str, list[Edit]] = {"left": [], "right": []}
    asks = False
    for key in dict.fromkeys((*mine, *theirs)):
        a, b = mine.get(key), theirs.get(key)
        if a is not None and b is not None:
            left, right, asked = _fields(policy, both, a, b, winner)
            edits["left"] += [Edit(a.id, b.id, left)] if left else []
            edits["right"] += [Edit(b.id, a.id, right)] if right else []
        else:
            told = _presence(
                policy, both, key, "right" if a is None else "left", winner
            )
            asked = told == "asks"
            if told in edits:
                own, there = (a, b) if told == "left" else (b, a)
                edit = Edit(own.id if own else "", there.id if there else "")
                edits[told].append(edit)
        asks = asks or asked
    return MergedRows(tuple(edits["left"]), tuple(edits["right"]), asks)


def _fields(
    policy: Policy, both: Both, a: Row, b: Row, winner: SideName | None
) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    policies = {
        n: p
        for n in dict.fromkeys((*a.fields, *b.fields))
        if (p := _narrowed(policy, n, both)) is not None
    }
    moved = None
    if both.known is not None and a.key in both.known[0]:
        moved = set(both.known[0][a.key]), set(both.known[1][a.key])
    elif both.known is not None:
        # Both sides have added it since: a blank is filled, two values are as if both were edited.
        policies = {n: replace(p, first=p.both) for n, p in policies.items()}
    found = merge(policies, a.fields, b.fields, moved)
    if found.asks and winner is not None:
        decided = dict.fromkeys(found.asks, winner)
        found = merge(policies, a.fields, b.fields, moved, decided=decided)
    return found.left, found.right, bool(found.asks)


def _narrowed(policy: Policy, name: str, both: Both) -> Policy | None:
    """A field of which one side cannot be written belongs to that side."""
    left, right = (name in w for w in both.written)
    if policy.owner is not None:
        writable = right if policy.owner == "left" else left
        return policy if writable else None
    if left and right:
        return policy
    if not (left or right):
        return None
    return replace(policy, owner="left" if right else "right")


def _presence(
    policy: Policy,
    both: Both,
    key: Key,
    here: SideName,
    winner: SideName | None,
) -> Literal["left", "right", "asks", ""]:
    """Where a row that one side has is made, or removed; empty for nowhere."""
    moved: tuple[set[str], set[str]] | None = None
    if both.known is not None:
        known = both.known[SIDES.index(here)]
        mine = {""} if key not in known or known[key] else set[str]()
        gone = {""} if key in known else set[str]()
        moved = (mine, gone) if here == "left" else (gone, mine)
    there = {"": True}, {"": None}
    left, right = there if here == "left" else there[::-1]
    found = merge({"": policy}, left, right, moved)
    if found.asks and winner is not None:
        return across(winner) if policy.owner is None else ""
    if found.asks:
        return "asks"
    if found.left:
        return "left"
    return "right" if found.right else ""


__all__ = ["Both", "MergedRows", "Moved", "merge_rows"]
