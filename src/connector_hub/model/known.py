"""Ids that two systems know of each other, as sets of identity before all others."""

from __future__ import annotations

from dataclasses import replace

from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Known, SideName
from connector_hub.model.mapping import Mapping, Rule


def _name(n: int) -> str:
    """A name no field of an entity has."""
    return f"(known id {n + 1})"


def knowing(entity: Entity, ids: tuple[Known, ...]) -> Entity:
    """The entity with a field, and a set of identity, for each id."""
    names = [_name(n) for n in range(len(ids))]
    return replace(
        entity,
        fields={**entity.fields, **{n: FieldSpec(n, "text") for n in names}},
        identity=(*((n,) for n in names), *entity.identity),
    )


def reading(mapping: Mapping, ids: tuple[Known, ...], side: SideName) -> Mapping:
    """The mapping with a rule for each id of a side; it is read and never written."""
    rules = {
        _name(n): Rule(_name(n), path=known.at(side), via=("trim",), one_way=True)
        for n, known in enumerate(ids)
    }
    return replace(mapping, rules={**mapping.rules, **rules})
