"""The account: its objects, what they are associated with, and what a write sets off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connector_hub.testing.sandbox import SandboxClock, iso, moment
from connector_hub_hubspot.kinds import KINDS, Kind, named
from connector_hub_hubspot.portal import pipelines
from connector_hub_hubspot.portal.associations import Associations
from connector_hub_hubspot.portal.computed import computed, filled_in
from connector_hub_hubspot.portal.events import Events
from connector_hub_hubspot.portal.pipelines import Pipeline
from connector_hub_hubspot.portal.properties import (
    STAGES,
    born_with,
    staged,
    system,
)
from connector_hub_hubspot.portal.records import Objects, Row, text_of
from connector_hub_hubspot.portal.refusals import Refused, malformed, missing
from connector_hub_hubspot.portal.schemas import Schema

_MERGES = 250
"""Records that may have gone into one."""


class Portal:
    """A HubSpot account.

    Args:
        clock: its time.
        search_lag: seconds that the search is behind.
        extra_stages: lifecycle stages of the account's own.
        events: where what happens is noted.
    """

    def __init__(
        self,
        clock: SandboxClock,
        *,
        search_lag: float,
        extra_stages: tuple[str, ...],
        events: Events,
    ) -> None:
        self.clock = clock
        self.search_lag = search_lag
        self.pipelines: dict[str, tuple[Pipeline, ...]] = dict(pipelines.BORN_WITH)
        self.schemas: dict[str, Schema] = {}
        self.objects = {
            name: Objects(
                kind,
                born_with(name, self.pipelines.get(name, ()), extra_stages),
                _FIRST.get(name, 10_001),
            )
            for name, kind in KINDS.items()
        }
        self.links = Associations(lambda of, i: i in self.objects[of].rows)
        self._events = events

    def now(self) -> str:
        """The instant, as HubSpot writes it."""
        return iso(self.clock.now())

    def of(self, word: str) -> Objects:
        """An object's records, by its plural, singular, type id or full name.

        Raises:
            Refused: there is no such object.
        """
        found = self.objects.get(named(word))
        if found is not None:
            return found
        for schema in self.schemas.values():
            if schema.is_called(word):
                return self.objects[schema.id]
        raise malformed(f"Unable to infer object type from: {word}")

    def open(self, schema: Schema) -> Objects:
        """An object of the account's own.

        Raises:
            Refused: there is one of that name.
        """
        if any(s.name == schema.name for s in self.schemas.values()):
            raise Refused(
                409, "OBJECT_ALREADY_EXISTS", f"{schema.name} is already defined"
            )
        kind = Kind(
            schema.id,
            schema.id,
            schema.name,
            f"{schema.name}_information",
            required=schema.required,
        )
        own = {p.name: p for p in schema.properties}
        own |= {p.name: p for p in system(kind.stamp, kind.created)}
        for p in own.values():
            p.group = kind.group
        self.schemas[schema.id] = schema
        self.objects[schema.id] = Objects(kind, own, 30_001)
        for other in schema.associated:
            self.links.opened(schema.id, self.of(other).type)
        return self.objects[schema.id]

    def close(self, schema: Schema) -> None:
        """An object of the account's own is deleted; it must have no records.

        Raises:
            Refused: it has.
        """
        if self.objects[schema.id].rows:
            raise malformed("Objects that have records cannot be deleted")
        del self.objects[schema.id], self.schemas[schema.id]

    def pipelined(self, objects: Objects, listed: tuple[Pipeline, ...]) -> None:
        """Other pipelines than before; the options of two properties follow."""
        self.pipelines[objects.type] = listed
        kind = objects.kind
        for p in staged(kind.pipeline, kind.stage, listed):
            p.group = kind.group
            objects.properties[p.name] = p

    def make(
        self,
        objects: Objects,
        properties: Mapping[str, Any],
        associations: Iterable[Mapping[str, Any]] = (),
    ) -> Row:
        """A new record, as the API makes it.

        Raises:
            Refused: it cannot be.
        """
        kind = objects.kind
        fields = {k: text_of(v) for k, v in properties.items()}
        objects.check(fields, None, api=True)
        self._check_given(kind, fields)
        targets = [self._target(objects, a) for a in associations]
        for need in kind.needs:
            if not any(to == need for to, _, _ in targets):
                raise malformed(
                    f"Error creating {kind.singular.upper()}. "
                    f"An association with {need} is required."
                )
        fields = filled_in(self, objects, fields)
        self._check_stage(objects, fields, {})
        row = self.put(objects, None, fields, self.now())
        for to, other, kinds in targets:
            self.associate(objects.type, row.id, to, other, kinds)
        return row

    @staticmethod
    def _check_given(kind: Kind, fields: Mapping[str, str]) -> None:
        if kind.name == "companies" and not (
            fields.get("name") or fields.get("domain")
        ):
            raise malformed("One of name or domain is required to create a company.")
        lacks = [n for n in kind.required if not fields.get(n)]
        if lacks:
            said = (
                f"Error creating {kind.singular.upper()}. "
                "Some required properties were not set."
            )
            raise Refused(400, "VALIDATION_ERROR", said, context={"properties": lacks})

    def _target(
        self, objects: Objects, a: Mapping[str, Any]
    ) -> tuple[str, str, set[int]]:
        """Which record an association of a request leads to: its types tell the object."""
        numbers = {int(t["associationTypeId"]) for t in a["types"]}
        other = str(a["to"]["id"])
        for to in self.links.objects(objects.type):
            if numbers <= self.links.types(objects.type, to).keys():
                if other not in self.objects[to].rows:
                    raise missing("One of the objects to associate does not exist")
                return to, other, numbers
        raise malformed("Invalid association type")

    def change(self, objects: Objects, row: Row, properties: Mapping[str, Any]) -> Row:
        """Change a record, as the API does: a lifecycle stage only moves forward, unless it is blank.

        Raises:
            Refused: it cannot be.
        """
        fields = {k: text_of(v) for k, v in properties.items()}
        objects.check(fields, row.id, api=True)
        self._check_stage(objects, fields, row.properties)
        stage, was = fields.get("lifecyclestage"), row.properties.get("lifecyclestage")
        if stage in STAGES and was in STAGES and _is_before(stage, was):
            del fields["lifecyclestage"]
        return self.put(objects, row.id, fields, self.now())

    def would_take(
        self, objects: Objects, record: str | None, properties: Mapping[str, Any]
    ) -> None:
        """Whether a write would pass, without writing.

        Raises:
            Refused: it would not.
        """
        fields = {k: text_of(v) for k, v in properties.items()}
        objects.check(fields, record, api=True)
        if record is None:
            self._check_given(objects.kind, fields)
            return
        self._check_stage(objects, fields, objects.rows[record].properties)

    def _check_stage(
        self, objects: Objects, fields: Mapping[str, str], held: Mapping[str, str]
    ) -> None:
        """A stage is one of the record's pipeline."""
        kind = objects.kind
        stage = fields.get(kind.stage)
        if not stage:
            return
        at = fields.get(kind.pipeline) or held.get(kind.pipeline)
        for p in self.pipelines.get(objects.type, ()):
            if p.id == at and stage not in {s.id for s in p.stages}:
                raise malformed(f"{stage} is not a valid stage of pipeline {at}")

    def put(
        self, objects: Objects, record: str | None, fields: Mapping[str, Any], at: str
    ) -> Row:
        """Write values; every write moves the stamp, and the index follows after its lag."""
        row = objects.rows.get(record) if record else None
        new = row is None
        if row is None:
            row = objects.new(at)
        before = row.properties
        after = dict(before)
        if new and objects.type == "contacts":
            after["lifecyclestage"] = "lead"
        for name, value in fields.items():
            text = text_of(value)
            if name == "email":
                text = text.strip().lower()
            elif text.startswith(";"):
                text = _appended(after.get(name, ""), text)
            if text == "":
                after.pop(name, None)
            else:
                after[name] = text
        computed(self, objects.type, after)
        row.remember(after, at)
        after[objects.kind.stamp] = at
        row.properties, row.updated = after, at
        objects.claim(before, row)
        objects.index.expect(self.clock.time() + self.search_lag, row.id)
        self._tell(objects, row, before, new=new)
        return row

    def _tell(
        self, objects: Objects, row: Row, before: Mapping[str, str], *, new: bool
    ) -> None:
        if not self._events.asked:
            return
        record = int(row.id)
        if new:
            self._events.happened(objects.type, "creation", objectId=record)
        for name, value in {**dict.fromkeys(before, ""), **row.properties}.items():
            if before.get(name) != value and name != objects.kind.stamp:
                about = {"propertyName": name, "propertyValue": value}
                self._events.happened(
                    objects.type, "propertyChange", objectId=record, **about
                )

    def archive(self, objects: Objects, record: str) -> None:
        """Archive a record; quiet where it is not there."""
        if record not in objects.rows:
            return
        row = objects.remove(record)
        row.archived = self.now()
        objects.gone[record] = row
        self._events.happened(objects.type, "deletion", objectId=int(record))
        self._primaries(objects.type, record, self.now())

    def restore(self, objects: Objects, record: str) -> Row:
        """Out of the archive, with its associations; not while another contact has its e-mail.

        https://knowledge.hubspot.com/records/restore-deleted-records

        Raises:
            KeyError: it is not in the archive.
            Refused: another record has its unique values.
        """
        row = objects.gone[record]
        objects.back(row)
        del objects.gone[record]
        row.archived = None
        now = self.now()
        row = self.put(objects, record, {}, now)
        self._events.happened(objects.type, "restore", objectId=int(record))
        self._primaries(objects.type, record, now)
        return row

    def forget_old(self, objects: Objects, days: int = 90) -> None:
        """Archived records are gone for good after that."""
        now = self.clock.time()
        for i, row in list(objects.gone.items()):
            if now - moment(row.archived or "").timestamp() > days * 86_400:
                del objects.gone[i]

    def merge(self, objects: Objects, first: Row, second: Row, *, anew: bool) -> Row:
        """Two records become one: values of the first, the others' where it has none, all associations.

        With ``anew`` the survivor gets an id of its own.

        Raises:
            Refused: it cannot be.
        """
        if first.id == second.id:
            raise malformed("Cannot merge a record with itself")
        into = [i for i, to in objects.merged.items() if to == first.id]
        if len(into) >= _MERGES:
            raise malformed(f"A record cannot have more than {_MERGES} merged records")
        primary = int(first.id)
        if anew:
            first = self._reborn(objects, first)
        self.archive(objects, second.id)
        objects.gone.pop(second.id, None)
        self._leads_to(objects, second.id, first.id)
        fields = {
            k: v for k, v in second.properties.items() if k not in first.properties
        }
        ids = [i for i, to in objects.merged.items() if to == first.id]
        fields["hs_merged_object_ids"] = ";".join(sorted(ids, key=int))
        mail = second.properties.get("email")
        if mail and first.properties.get("email"):
            known = first.properties.get("hs_additional_emails", "")
            mails = [m for m in known.split(";") if m]
            fields["hs_additional_emails"] = ";".join([*mails, mail])
        self._events.happened(
            objects.type,
            "merge",
            primaryObjectId=primary,
            mergedObjectIds=[int(second.id)],
            newObjectId=int(first.id),
            numberOfPropertiesMoved=len(fields) - 1,
        )
        for to, other, kinds in self.links.inherited(objects.type, second.id):
            if other in self.objects[to].rows:
                self.associate(objects.type, first.id, to, other, kinds)
        return self.put(objects, first.id, fields, self.now())

    def _reborn(self, objects: Objects, row: Row) -> Row:
        """The same record under a new id; the old one is merged into it."""
        held = {
            n: v
            for n, v in row.properties.items()
            if n not in objects.system() or n == "hs_merged_object_ids"
        }
        self.archive(objects, row.id)
        objects.gone.pop(row.id, None)
        made = self.put(objects, None, held, self.now())
        self._leads_to(objects, row.id, made.id)
        self.links.moved(objects.type, row.id, made.id)
        self._primaries(objects.type, made.id, self.now())
        return made

    @staticmethod
    def _leads_to(objects: Objects, old: str, new: str) -> None:
        for i, into in list(objects.merged.items()):
            if into == old:
                objects.merged[i] = new
        objects.merged[old] = new

    def associate(  # noqa: PLR0917 - both ends, and when
        self,
        of: str,
        mine: str,
        to: str,
        other: str,
        kinds: Iterable[int],
        at: str | None = None,
    ) -> None:
        """Associate two records.

        Raises:
            Refused: one of them is not there, or there is no such type.
        """
        if mine not in self.objects[of].rows or other not in self.objects[to].rows:
            raise missing("One of the objects to associate does not exist")
        self.links.put(of, mine, to, other, kinds)
        self._association_told(of, mine, to, other, ended=False)
        self._primaries(of, mine, at or self.now())

    def disassociate(self, of: str, mine: str, to: str, other: str) -> None:
        """End an association."""
        self.links.types(of, to)
        self.links.end(of, mine, to, other)
        self._association_told(of, mine, to, other, ended=True)
        self._primaries(of, mine, self.now())
        self._primaries(to, other, self.now())

    def end_labels(
        self, of: str, mine: str, to: str, other: str, kinds: Iterable[int]
    ) -> None:
        """End some labels of an association."""
        self.links.end_labels(of, mine, to, other, kinds)
        self._primaries(of, mine, self.now())

    def _association_told(
        self, of: str, mine: str, to: str, other: str, *, ended: bool
    ) -> None:
        a, b = (self.objects[n].kind.singular for n in (of, to))
        self._events.happened(
            of,
            "associationChange",
            associationType=f"{a}_TO_{b}".upper(),
            fromObjectId=int(mine),
            toObjectId=int(other),
            associationRemoved=ended,
            isPrimaryAssociation=self.links.primary(of, to)
            in self.links.of(of, mine, to).get(other, ()),
        )

    def _primaries(self, of: str, record: str, at: str) -> None:
        """Contacts say in a property which company is their primary one; a change moves their stamp."""
        contacts = self.objects["contacts"]
        ids = [record]
        if of != "contacts":
            ids = [*self.links.of(of, record, "contacts")] if of == "companies" else []
        for i in ids:
            row = contacts.rows.get(i)
            if row is None:
                continue
            held = self.links.live("contacts", i, "companies")
            primary = next((c for c, k in held.items() if 1 in k), "")
            if row.properties.get("associatedcompanyid", "") != primary:
                self.put(contacts, i, {"associatedcompanyid": primary}, at)


_FIRST = {"contacts": 50_001, "companies": 90_001}


def _is_before(stage: str, other: str) -> bool:
    return STAGES.index(stage) < STAGES.index(other)


def _appended(held: str, text: str) -> str:
    """A leading ``;`` adds to what is chosen."""
    words = [w for w in held.split(";") if w]
    return ";".join(dict.fromkeys([*words, *text.strip(";").split(";")]))
