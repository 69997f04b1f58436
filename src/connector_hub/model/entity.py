"""A word of the hub's own vocabulary: its fields, their kinds, and what identifies it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Kind = Literal[
    "text",
    "email",
    "phone",
    "number",
    "boolean",
    "date",
    "datetime",
    "choice",
    "list",
    "link",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field. ``of`` lists a choice's words, ``to`` a link's entity, ``cls`` its data class."""

    name: str
    kind: Kind
    of: tuple[str, ...] = ()
    to: str | None = None
    cls: str = "internal"


@dataclass(frozen=True, slots=True)
class Entity:
    """A kind of thing the hub speaks of.

    ``identity`` lists sets of fields: the first one that two records can both fill decides whether
    they are one thing; a later one counts only where an earlier is blank on one of the two.
    """

    name: str
    fields: dict[str, FieldSpec]
    identity: tuple[tuple[str, ...], ...] = ()

    def links(self) -> dict[str, str]:
        """Link fields and the entity each points to."""
        return {f.name: f.to for f in self.fields.values() if f.kind == "link" and f.to}
