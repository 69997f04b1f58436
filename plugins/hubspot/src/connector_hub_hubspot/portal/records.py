"""Records of one object, and what its properties demand of values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connector_hub.testing.sandbox import moment
from connector_hub_hubspot.kinds import Kind
from connector_hub_hubspot.portal import owners
from connector_hub_hubspot.portal.properties import Property
from connector_hub_hubspot.portal.refusals import Refused, invalid, malformed
from connector_hub_hubspot.portal.search import Index

_TEXT = 65_536
_UNIQUES = 10
"""Properties of an object whose values may be held once only."""
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+\Z")
_FURTHER = "hs_additional_emails"


@dataclass(slots=True)
class Row:
    """A record. ``properties`` is replaced, never changed, so that the index may keep an old one."""

    id: str
    properties: dict[str, str]
    created: str
    updated: str
    archived: str | None = None
    history: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """Values by property with their times, the latest first; of birth where a property is missing."""

    def remember(self, after: Mapping[str, str], at: str) -> None:
        """Keep the times of what is about to change."""
        before = self.properties
        for name in after.keys() | before.keys():
            old, new = before.get(name, ""), after.get(name, "")
            if old != new:
                past = self.history.setdefault(name, [(old, self.created)])
                past.insert(0, (new, at))

    def past(self, names: Iterable[str]) -> dict[str, list[dict[str, str]]]:
        """The values of properties with their times, the latest first."""
        return {
            name: [
                {"value": value, "timestamp": at, "sourceType": "CRM_UI"}
                for value, at in self.history.get(
                    name, [(self.properties.get(name, ""), self.created)]
                )
            ]
            for name in names
        }


class Objects:
    """All records of one object, live and archived, with what has to be unique."""

    def __init__(self, kind: Kind, properties: dict[str, Property], first: int) -> None:
        self.kind = kind
        self.type = kind.name
        self.properties = properties
        self.rows: dict[str, Row] = {}
        self.gone: dict[str, Row] = {}
        self.merged: dict[str, str] = {}
        """Ids that went into another record, and into which."""
        self.index = Index()
        self._next = first
        self._order: list[str] = []
        self._held: dict[str, dict[str, str]] = {}
        """Who holds each value of the unique properties."""
        self._further: dict[str, str] = {}
        """Contacts that have addresses besides their first."""
        for p in properties.values():
            if p.unique:
                self._held[p.name] = {}
        if self.type == "contacts":
            self._held["email"] = {}

    def define(self, made: Property) -> None:
        """A property of the account's own."""
        if made.unique and sum(p.unique for p in self.properties.values()) >= _UNIQUES:
            raise malformed(f"At most {_UNIQUES} properties may have unique values")
        self.properties[made.name] = made
        if made.unique:
            self._held[made.name] = {}

    def undefine(self, name: str) -> None:
        """A property is archived, its values with it."""
        del self.properties[name]
        self._held.pop(name, None)
        for row in self.rows.values():
            row.properties = {n: v for n, v in row.properties.items() if n != name}

    def system(self) -> set[str]:
        """Properties that nobody writes."""
        return {n for n, p in self.properties.items() if p.read_only}

    def order(self) -> list[str]:
        """Ids of live records, ascending; kept between calls, as ids only grow."""
        if len(self._order) != len(self.rows):
            self._order = sorted(self.rows, key=int)
        return self._order

    def new(self, at: str) -> Row:
        """An empty record under the next id."""
        record = str(self._next)
        self._next += 1
        row = Row(record, {self.kind.created: at, "hs_object_id": record}, at, at)
        self.rows[record] = row
        self._order.append(record)
        return row

    def remove(self, record: str) -> Row:
        """Take a live record out; its unique values are free again."""
        row = self.rows.pop(record)
        for name, values in self._held.items():
            value = row.properties.get(name)
            if value:
                values.pop(same(name, value), None)
        self._further.pop(record, None)
        self.index.forget(record)
        self._order = []
        return row

    def back(self, row: Row) -> None:
        """A record is there again.

        Raises:
            Refused: another one has its unique values by now.
        """
        for name in self._held:
            if name in row.properties:
                self.claimed(name, row.properties[name], row.id)
        self.rows[row.id] = row
        self._order = []
        self.claim({}, row)

    def claim(self, before: Mapping[str, str], row: Row) -> None:
        """Note who has unique values now."""
        after = row.properties
        for name, values in self._held.items():
            old, now = before.get(name), after.get(name)
            if old != now:
                if old:
                    values.pop(same(name, old), None)
                if now:
                    values[same(name, now)] = row.id
        if before.get(_FURTHER) != after.get(_FURTHER):
            self._further[row.id] = after.get(_FURTHER, "").lower()

    def by(self, value: str, name: str | None = None) -> Row:
        """A live record by id (also one that went into another) or by a unique property.

        Raises:
            Refused: there is none, or the property is not unique.
        """
        if name and name != "hs_object_id":
            self.is_unique(name)
            value = self._held[name].get(same(name, value), "")
        row = self.rows.get(value) or self.rows.get(self.merged.get(value, ""))
        if row is None:
            raise Refused(404, "OBJECT_NOT_FOUND", "resource not found")
        return row

    def holder(self, name: str, value: str) -> str | None:
        """Who has a value of a unique property."""
        self.is_unique(name)
        return self._held[name].get(same(name, value))

    def is_unique(self, name: str) -> None:
        """Whether records can be named by a property.

        Raises:
            Refused: it is not unique, or not there.
        """
        if name in self._held:
            return
        if name not in self.properties:
            raise invalid(
                name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
            )
        raise malformed(
            f"Unable to perform update/upsert by non-unique {self.kind.id} property {name}"
        )

    def no_twins(self, inputs: Iterable[Mapping[str, Any]]) -> None:
        """Two inputs of one batch may not claim one unique value; the whole call fails."""
        for name in self._held:
            values = [
                same(name, text_of(v))
                for i in inputs
                if (v := i.get("properties", {}).get(name))
            ]
            if len(set(values)) != len(values):
                raise Refused(
                    409, "CONFLICT", f"Duplicate {name} values in batch input"
                )

    def check(
        self, fields: Mapping[str, str], record: str | None, *, api: bool = False
    ) -> None:
        """HubSpot's checks of values; over the API what is read only is refused.

        Raises:
            Refused: the first that fails.
        """
        for name, value in fields.items():
            known = self.properties.get(name)
            if known is None:
                raise invalid(
                    name, "PROPERTY_DOESNT_EXIST", f'Property "{name}" does not exist'
                )
            if known.read_only and api:
                raise invalid(
                    name,
                    "READ_ONLY_VALUE",
                    f'"{name}" is a read only property; its value cannot be set.',
                )
            if value:
                self._check_value(known, value)
                self.claimed(name, value, record)

    def _check_value(self, known: Property, value: str) -> None:
        name = known.name
        if len(value) > _TEXT:
            raise invalid(
                name, "INVALID_LENGTH", f"{name} is longer than {_TEXT} characters"
            )
        if known.options:
            _check_options(known, value)
        if known.refers_to == "OWNER" and value not in owners.IDS:
            raise invalid(name, "INVALID_OWNER_ID", f"Owner {value} does not exist")
        if known.type == "number" and not _is(float, value):
            raise invalid(name, "INVALID_NUMBER", f"{value} was not a valid number.")
        if known.type in {"date", "datetime"} and not _is(moment, value):
            raise invalid(name, "INVALID_DATE", f"{value} was not a valid date.")
        if (name, self.type) == ("email", "contacts") and not _EMAIL.match(
            value.strip()
        ):
            raise invalid(name, "INVALID_EMAIL", f"Email address {value} is invalid")

    def claimed(self, name: str, value: str, record: str | None) -> None:
        """Whether somebody else has a unique value.

        Raises:
            Refused: yes; who it is stands in the text only.
        """
        if name not in self._held:
            return
        holder = self._held[name].get(same(name, value))
        if name == "email" and holder is None:
            holder = self._by_further(value)
        if holder is None or holder == record:
            return
        if name == "email":
            raise Refused(
                409, "CONFLICT", f"Contact already exists. Existing ID: {holder}"
            )
        raise Refused(
            409,
            "CONFLICT",
            f"A record with the unique value for property {name} already exists. Existing ID: {holder}",
        )

    def _by_further(self, email: str) -> str | None:
        """Who has an address among the further ones; few do, so they are looked through."""
        wanted = email.strip().lower()
        for i, held in self._further.items():
            if wanted in held.split(";"):
                return i
        return None


def _check_options(known: Property, value: str) -> None:
    several = known.shown_as == "checkbox"
    for word in value.removeprefix(";").split(";") if several else [value]:
        if word not in known.options:
            raise invalid(
                known.name,
                "INVALID_OPTION",
                f"{word} was not one of the allowed options: [{', '.join(known.options)}]",
            )


def _is(read: Any, value: str) -> bool:
    try:
        read(value)
    except ValueError:
        return False
    return True


def text_of(value: Any) -> str:
    """What HubSpot keeps of a JSON value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def same(name: str, value: str) -> str:
    """Values that count as one."""
    return value.strip().lower() if name == "email" else value
