"""A plan that is kept, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from connector_hub.model.plan import Plan

PlanState = Literal[
    "kept", "waiting", "begun", "applied", "rejected", "replaced", "expired", "stale"
]
"""``kept``: made by ``plan``, for whoever wants it. ``waiting``: a sync of its job waits for a person's word.

``begun``: it is being carried out, or that ended before its end; a sync goes on from there.
``expired`` and ``stale`` (what it was made from has changed) are never stored: they are seen when one looks.
"""
OPEN: frozenset[PlanState] = frozenset({"kept", "waiting"})
"""States in which a plan can be approved or rejected."""


class KeptRow(NamedTuple):
    """A plan as the store has it. ``needs`` is the part of its document that only an apply needs."""

    id: str
    job: str
    made: str
    state: PlanState
    decided: str | None
    person: str | None
    document: Mapping[str, Any]
    needs: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept plan and how it stands now.

    ``made`` and ``decided`` are ISO instants; ``person`` is who decided.
    ``why`` says in words what keeps it from being approved, ``where`` the place that has to do with it,
    ``remedy`` what to do instead.
    """

    plan: Plan
    made: str
    state: PlanState
    decided: str | None = None
    person: str | None = None
    why: str = ""
    where: str = ""
    remedy: str = ""

    @property
    def open(self) -> bool:
        """Whether it can be approved or rejected."""
        return self.state in OPEN

    def document(self) -> dict[str, Any]:
        """As one JSON document, without any value of a record."""
        return {
            **self.plan.document(),
            "state": self.state,
            "made": self.made,
            "decided": self.decided,
            "by": self.person,
            "why": self.why or None,
        }
