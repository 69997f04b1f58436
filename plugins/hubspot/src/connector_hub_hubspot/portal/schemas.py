"""Objects of the account's own (https://developers.hubspot.com/docs/guides/api/crm/objects/custom-objects)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connector_hub_hubspot.portal.properties import BORN, Property
from connector_hub_hubspot.portal.refusals import PORTAL


@dataclass(frozen=True, slots=True)
class Schema:
    """What an object is: its names, its properties, what it may be associated with."""

    id: str
    name: str
    singular: str
    plural: str
    properties: tuple[Property, ...]
    required: tuple[str, ...] = ()
    searchable: tuple[str, ...] = ()
    shown: str = ""
    associated: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int, body: Mapping[str, Any]) -> Schema:
        """As a request defines it."""
        return cls(
            f"2-{number}",
            body["name"],
            body["labels"]["singular"],
            body["labels"]["plural"],
            tuple(defined(p) for p in body["properties"]),
            tuple(body.get("requiredProperties", ())),
            tuple(body.get("searchableProperties", ())),
            body.get("primaryDisplayProperty") or "",
            tuple(body.get("associatedObjects", ())),
        )

    @property
    def full_name(self) -> str:
        """The name that no other account has."""
        return f"p{PORTAL}_{self.name}"

    def is_called(self, word: str) -> bool:
        """Whether it answers to a name."""
        return word in {self.id, self.name, self.full_name}

    def row(
        self, properties: Iterable[Property], types: Sequence[Mapping[str, Any]]
    ) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "id": self.id.removeprefix("2-"),
            "objectTypeId": self.id,
            "fullyQualifiedName": self.full_name,
            "name": self.name,
            "labels": {"singular": self.singular, "plural": self.plural},
            "requiredProperties": list(self.required),
            "searchableProperties": list(self.searchable),
            "secondaryDisplayProperties": [],
            "primaryDisplayProperty": self.shown,
            "allowsSensitiveProperties": False,
            "properties": [p.row() for p in properties],
            "associations": list(types),
            "archived": False,
            "createdAt": BORN,
            "updatedAt": BORN,
        }


def defined(body: Mapping[str, Any]) -> Property:
    """A property as a request defines it."""
    options = body.get("options") or ()
    return Property(
        body["name"],
        body.get("label") or body["name"],
        body.get("type", "string"),
        body.get("fieldType", "text"),
        body.get("groupName") or "",
        tuple(o["value"] for o in options),
        bool(body.get("hasUniqueValue")),
        refers_to=body.get("referencedObjectType") or "",
        ours=False,
        labels=tuple(o["label"] for o in options),
    )
