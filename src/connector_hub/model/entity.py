"""A word of the hub's own vocabulary: its fields, their kinds, and what identifies it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    "rows",
]
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field. ``of`` lists a choice's words, ``to`` a link's entity, ``cls`` its data class.

    Rows have ``fields`` of their own, and are told apart by those of ``key``.
    """

    name: str
    kind: Kind
    of: tuple[str, ...] = ()
    to: str | None = None
    cls: str = "internal"
    key: tuple[str, ...] = ()
    fields: Mapping[str, FieldSpec] = field(default_factory=dict)


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
        """Link fields and the entity each points to; those of rows as ``lines.product``."""
        return {n: f.to for n, f in self._leaves() if f.kind == "link" and f.to}

    def _leaves(self) -> Iterator[tuple[str, FieldSpec]]:
        for f in self.fields.values():
            yield f.name, f
            for inner in f.fields.values():
                yield f"{f.name}.{inner.name}", inner
