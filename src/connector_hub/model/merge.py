"""Which fields travel, and where to: a three-way merge per field as a pure function of what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from connector_hub.model.job import Both, Policy, SideName, across
from connector_hub.model.mapping import blank

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge decided, as names of fields.

    ``left`` and ``right``: to be written to that side. ``agreed``: both sides say the same.
    ``asks``: both sides moved, and a person has to say who is right.
    """

    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    agreed: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


def merge(
    policies: Mapping[str, Policy],
    left: Mapping[str, Any],
    right: Mapping[str, Any],
    moved: tuple[AbstractSet[str], AbstractSet[str]] | None,
    *,
    decided: Mapping[str, SideName] | None = None,
) -> Merged:
    """What to write so that two linked records agree.

    Args:
        policies: the fields that may travel, in order.
        left: the left record in the hub's words; a field that is not in it has no opinion.
        right: the right record, likewise.
        moved: fields that left and right changed since both agreed; None where the two meet for the first
            time: then a blank never erases a value.
        decided: who is right about single fields of this pair, by people or by the time of the edits.
    """
    told: dict[str, list[str]] = {
        "left": [],
        "right": [],
        "agreed": [],
        "asks": [],
    }
    for name, policy in policies.items():
        mine, theirs = left.get(name, _NOTHING), right.get(name, _NOTHING)
        if mine == theirs:
            if mine is not _NOTHING:
                told["agreed"].append(name)
            continue
        said = mine is not _NOTHING and theirs is not _NOTHING
        if decided and name in decided and said:
            found: str | None = _decided(policy, decided[name])
        elif policy.owner is not None:
            found = _owned(name, policy, mine, theirs, moved)
        elif said:
            found = _shared(name, policy, mine, theirs, moved)
        else:
            found = None
        if found is not None:
            told[found].append(name)
    return Merged(**{k: tuple(v) for k, v in told.items()})


def _decided(policy: Policy, winner: SideName) -> str:
    """Where to write; an owned field is never written to its owner: there the sides agree to differ."""
    return "agreed" if policy.owner == across(winner) else across(winner)


def _owned(
    name: str,
    policy: Policy,
    left: Any,
    right: Any,
    moved: tuple[AbstractSet[str], AbstractSet[str]] | None,
) -> str | None:
    """A field that travels one way: from its owner. An edit at the other side is left alone."""
    at_left = policy.owner == "left"
    mine, theirs = (left, right) if at_left else (right, left)
    target = "right" if at_left else "left"
    if mine is _NOTHING:
        return None
    if moved is None:
        if blank(mine):
            return "agreed" if theirs is _NOTHING else None
        return target
    here, there = moved if at_left else moved[::-1]
    if name in here or (policy.revert and name in there):
        return target
    return None


def _shared(
    name: str,
    policy: Policy,
    left: Any,
    right: Any,
    moved: tuple[AbstractSet[str], AbstractSet[str]] | None,
) -> str | None:
    """A field that travels both ways. What neither side moved is left as it is."""
    if moved is None:
        if blank(left) or blank(right):
            return "left" if blank(left) else "right"
        return _winner(policy.first, left, right)
    here, there = name in moved[0], name in moved[1]
    if here and there:
        return _winner(policy.both, left, right)
    if here or there:
        return "right" if here else "left"
    return None


def _winner(rule: Both, left: Any, right: Any) -> str:
    """The side to write to, where both differ and neither is known to be older."""
    match rule:
        case "left" | "right":
            return across(rule)
        case "fill":
            return "left" if blank(left) and not blank(right) else "right"
    return "asks"
