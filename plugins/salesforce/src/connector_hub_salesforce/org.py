"""A Salesforce org in memory: records, their rules, the recycle bin, undoing.

Rows are dictionaries that are replaced, never changed: a journal of earlier rows undoes
a call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from connector_hub_salesforce import business, objects, sales, soql
from connector_hub_salesforce.ids import is_id, long_id
from connector_hub_salesforce.objects import NUMBERS, TEXTS, Field, Kind
from connector_hub_salesforce.refused import Refused

Row = dict[str, Any]
ROBOT = "005gK0000000A1b"
PERSON = "005gK0000000C2d"
LEFT = "005gK0000000E3f"
"""Who has left: inactive, and not to be given records."""
ORG = "00DgK0000000E3f"
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_POD = "gK0000"
_SERIAL = 6
_EMAIL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,}\Z"
)
_BIN_SECONDS = 15 * 86_400
_GRANTS = frozenset({"FieldPermissions", "PermissionSetAssignment"})
_NONE: Mapping[str, Any] = {}
_CONVERTED = (
    *("LastName", "FirstName", "Salutation", "Email", "Phone", "MobilePhone"),
    *("Title", "Description", "LeadSource"),
)
"""Fields of a lead that its contact has under the same name."""
_ADDRESS = ("Street", "City", "State", "PostalCode", "Country")


_ANY: Mapping[str, Field] = {
    "type": Field("Type", "Type"),
    "name": Field("Name", "Name"),
    "id": Field("Id", "Id", "id"),
}
"""What every record has that a polymorphic lookup may lead to."""


def _type_name(value: Any) -> str:
    """The parser's word for a JSON value, as its complaints have it."""
    match value:
        case bool():
            return f"VALUE_{str(value).upper()}"
        case int():
            return "VALUE_NUMBER_INT"
        case float():
            return "VALUE_NUMBER_FLOAT"
        case str():
            return "VALUE_STRING"
        case list():
            return "START_ARRAY"
    return "START_OBJECT"


def _unreadable(f: Field, value: Any) -> Refused:
    """A value of another JSON type: the parser refuses the whole call."""
    shown = f" value {value}" if isinstance(value, (str, int, float)) else ""
    return Refused(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {f.type} from {_type_name(value)}{shown} or "
        "request may be missing a required field at [line:1, column:1]",
    )


class Table:
    """Records of one object with their unique values."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self.bin: dict[str, Row] = {}
        self.unique: dict[str, dict[str, str]] = {n: {} for n in kind.uniques}
        self.serial = 0

    def new_id(self) -> str:
        """The next id; they grow as texts do."""
        self.serial += 1
        number, text = self.serial, ""
        for _ in range(_SERIAL):
            number, digit = divmod(number, len(_DIGITS))
            text = _DIGITS[digit] + text
        return long_id(self.kind.prefix + _POD + text)

    def put(self, row: Row, old: Row | None) -> None:
        """Take a live row in, instead of an old one."""
        self.unindex(old)
        self.rows[row["Id"]] = row
        for name, held in self.unique.items():
            if row.get(name) is not None:
                held[str(row[name]).casefold()] = row["Id"]

    def unindex(self, row: Row | None) -> None:
        """Its unique values are free again."""
        for name, held in self.unique.items():
            if row is not None and row.get(name) is not None:
                held.pop(str(row[name]).casefold(), None)


class Org:
    """Everything one org holds.

    Args:
        now: the clock.
        duplicate_rule: whether a new record with another's e-mail is refused.
    """

    def __init__(
        self, now: Callable[[], datetime], *, duplicate_rule: bool = False
    ) -> None:
        self.now = now
        self.duplicate_rule = duplicate_rule
        self.kinds = {
            k.name: k
            for k in (
                objects.contact(),
                objects.account(),
                objects.lead(),
                objects.user(),
                objects.organization(),
                *sales.kinds(),
                *objects.permissions(),
            )
        }
        self._lower = {name.lower(): kind for name, kind in self.kinds.items()}
        self.tables = {name: Table(kind) for name, kind in self.kinds.items()}
        self.validations: list[tuple[str, Callable[[Row], bool], str, str]] = []
        """Validation rules: an object, what makes a record of it wrong, the words, the field."""
        self.hidden: dict[str, tuple[Kind, Field]] = {}
        self.taken_along: dict[str, str] = {}
        """Records that went into the recycle bin with another one, by id: that one's id."""
        self.changes: list[tuple[str, str, str, str, str]] | None = None
        """(object, record, change, by, stamp) since somebody has subscribed to change events."""
        self.locked: dict[str, int] = {}
        """Records that another transaction holds, and for how many writes yet."""
        self._journal: list[tuple[str, str, Row | None, Row | None]] | None = None
        self._people()

    def _people(self) -> None:
        """The org itself, the integration's user and a person."""
        for short, name in (
            (ROBOT, "Connector Hub"),
            (PERSON, "Ratna Dewanti"),
            (LEFT, "Joko Susilo"),
        ):
            word = name.lower().replace(" ", ".")
            self.tables["User"].rows[long_id(short)] = {
                "Id": long_id(short),
                "Username": f"{word}@sandbox.example",
                "Name": name,
                "Email": f"{word}@sandbox.example",
                "IsActive": short != LEFT,
                "UserType": "Standard",
                "SystemModstamp": self.stamp(),
            }
        self.tables["Organization"].rows[long_id(ORG)] = {
            "Id": long_id(ORG),
            "Name": "Sandbox Trading",
            "TimeZoneSidKey": "Asia/Jakarta",
            "LanguageLocaleKey": "en_US",
            "OrganizationType": "Enterprise Edition",
            "InstanceName": "SBX01",
            "IsSandbox": True,
            "SystemModstamp": self.stamp(),
        }

        books = self.tables["Pricebook2"]
        names = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
        standard = books.new_id()
        books.rows[standard] = {
            **dict.fromkeys(names, self.stamp()),
            **dict.fromkeys(("CreatedById", "LastModifiedById"), long_id(PERSON)),
            "Id": standard,
            "IsDeleted": False,
            "Name": "Standard Price Book",
            "IsActive": True,
            "IsStandard": True,
        }

    def stamp(self) -> str:
        """Now, in whole seconds: Salesforce's stamps have no more."""
        return soql.stamp(self.now().replace(microsecond=0))

    # -- names ---------------------------------------------------------------

    def kind(self, name: str) -> Kind:
        """An object by name, without regard to case.

        Raises:
            Refused: NOT_FOUND.
        """
        found = self._lower.get(name.lower())
        if found is None:
            raise Refused(
                "NOT_FOUND", "The requested resource does not exist", status=404
            )
        return found

    def kind_of(self, q: soql.Query) -> Kind:
        """The object a query is about.

        Raises:
            Refused: INVALID_TYPE.
        """
        try:
            return self.kind(q.object)
        except Refused:
            raise Refused(
                "INVALID_TYPE",
                f"\n{q.text[:120]}\nERROR at Row:1:Column:1\nsObject type "
                f"'{q.object}' is not supported. If you are attempting to use a custom "
                "object, be sure to append the '__c' after the entity name.",
            ) from None

    def matching(self, q: soql.Query, kind: Kind, *, deleted: bool) -> Sequence[Row]:
        """The rows of a query in its order; with ``deleted`` the recycle bin's, too."""
        test = soql.predicate(q, kind.name, self)
        held = (
            self.everything(kind) if deleted else self.tables[kind.name].rows.values()
        )
        rows = list(held) if test is None else [row for row in held if test(row)]
        return rows if q.count else [*soql.arranged(q, kind.name, self, rows)]  # type: ignore[list-item]

    def resolve(self, kind: str, path: str) -> Field | None:
        """The field at the end of a dotted path."""
        *through, last = path.lower().split(".")
        at = self.kinds[kind]
        for step in through:
            lookup = at.relations.get(step)
            if lookup is None:
                return None
            if lookup.also_refers:
                return _ANY.get(last) if step == through[-1] else None
            at = self.kinds[lookup.refers_to]
        return at.lower.get(last)

    def getter(self, kind: str, path: str) -> Callable[[Mapping[str, Any]], Any]:
        """A function from a row to a path's value; None where a lookup is empty."""
        *through, last = path.lower().split(".")
        at = self.kinds[kind]
        steps: list[tuple[str, Table]] = []
        for step in through:
            lookup = at.relations[step]
            if lookup.also_refers:
                return self._any_getter(lookup.name, last)
            steps.append((lookup.name, self.tables[lookup.refers_to]))
            at = self.kinds[lookup.refers_to]
        name = at.lower[last].name
        if not steps:
            return lambda row: row.get(name)

        def get(row: Mapping[str, Any]) -> Any:
            here: Mapping[str, Any] = row
            for lookup, table in steps:
                here = table.rows.get(here.get(lookup) or "", _NONE)
            return here.get(name)

        return get

    def _any_getter(self, name: str, last: str) -> Callable[[Mapping[str, Any]], Any]:
        """What a polymorphic lookup leads to: which object's it is, its name, its id."""

        def get(row: Mapping[str, Any]) -> Any:
            kind = self.kind_by_id(row.get(name) or "")
            if kind is None:
                return None
            if last == "type":
                return kind.name
            there = self.tables[kind.name].rows.get(row[name], _NONE)
            return there.get("Name" if last == "name" else "Id")

        return get

    def kind_by_id(self, record: str) -> Kind | None:
        """The object an id is of, by its first characters."""
        return next(
            (k for k in self.kinds.values() if record and record.startswith(k.prefix)),
            None,
        )

    def _tell(self, kind: Kind, record: str, change: str, by: str) -> None:
        if self.changes is not None:
            self.changes.append((kind.name, record, change, long_id(by), self.stamp()))

    def touch(self, kind: str, row: Row, values: Row) -> None:
        """Change a record as the org itself does."""
        self._remember(self.tables[kind], row["Id"])
        by = row["LastModifiedById"]
        self.tables[kind].put(_stamped(row | values, self.stamp(), by), row)
        self._tell(self.kinds[kind], row["Id"], "UPDATE", by)

    def hide_field(self, kind: Kind, f: Field) -> None:
        """A new custom field: nobody sees it until it is granted to them."""
        self.hidden[f"{kind.name}.{f.name}".lower()] = (kind, f)

    def _grant(self) -> None:
        """Show the hidden fields that the integration's user has been granted."""
        assigned = {
            row["PermissionSetId"]
            for row in self.tables["PermissionSetAssignment"].rows.values()
            if row["AssigneeId"] == long_id(ROBOT)
        }
        for row in self.tables["FieldPermissions"].rows.values():
            if row["ParentId"] in assigned and row["PermissionsEdit"]:
                found = self.hidden.pop(row["Field"].lower(), None)
                if found is not None:
                    self.add_field(*found)

    def alter_field(self, kind: Kind, name: str, change: Mapping[str, Any]) -> None:
        """A field as an administrator has changed it, or hidden it from the integration's user."""
        known = kind.fields[name]
        if change.get("gone"):
            kind.remove(known)
            return
        read_only = change.get("read_only", not known.updateable)
        kind.add(
            replace(
                known,
                type=change.get("type", known.type),
                createable=not read_only,
                updateable=not read_only,
                nillable=not change.get("required", not known.nillable),
                options=tuple(change.get("options", known.options)),
                restricted=known.restricted or "options" in change,
            )
        )

    def add_field(self, kind: Kind, f: Field) -> None:
        """A custom field that everyone sees, empty in every record."""
        kind.add(f)
        if f.unique:
            self.tables[kind.name].unique[f.name] = {}

    # -- undoing -------------------------------------------------------------

    @contextmanager
    def together(self, *, all_or_none: bool) -> Iterator[Callable[[], None]]:
        """Give a function that undoes all changes made inside."""
        outer = self._journal
        self._journal = [] if all_or_none else outer

        def undo() -> None:
            journal = self._journal or []
            for name, record, live, binned in reversed(journal):
                table = self.tables[name]
                table.unindex(table.rows.pop(record, None))
                table.bin.pop(record, None)
                if live is not None:
                    table.put(live, None)
                if binned is not None:
                    table.bin[record] = binned
            journal.clear()

        try:
            yield undo
        finally:
            if outer is not None and all_or_none and self._journal:
                outer.extend(self._journal)
            self._journal = outer

    def _remember(self, table: Table, record: str) -> None:
        if self._journal is not None:
            self._journal.append(
                (
                    table.kind.name,
                    record,
                    table.rows.get(record),
                    table.bin.get(record),
                )
            )

    # -- values --------------------------------------------------------------

    def values(self, kind: Kind, body: Mapping[str, Any]) -> Row:
        """A body's fields in the org's own spelling and types, before any rule.

        Raises:
            Refused: INVALID_FIELD or JSON_PARSER_ERROR; both refuse a whole call.
        """
        found: Row = {}
        for name, value in body.items():
            if name == "attributes":
                continue
            f = kind.lower.get(name.lower())
            if f is not None:
                found[f.name] = _typed(f, value)
                continue
            lookup = kind.relations.get(name.lower())
            if lookup is None or not isinstance(value, Mapping):
                raise Refused(
                    "INVALID_FIELD",
                    f"No such column '{name}' on sobject of type {kind.name}",
                )
            found[lookup.name] = self._by_external_id(lookup, value)
        return found

    def _by_external_id(self, lookup: Field, value: Mapping[str, Any]) -> str:
        """The record that ``{"Account": {"Domain__c": "x"}}`` names."""
        kind = self.kinds[lookup.refers_to]
        given = {k: v for k, v in value.items() if k != "attributes"}
        name, key = next(iter(given.items()), ("", None))
        f = kind.lower.get(name.lower())
        if f is None or not (f.external or f.id_lookup or f.type == "id"):
            raise Refused(
                "INVALID_FIELD",
                f"Foreign key external ID: {name} is not an external ID field of "
                f"{kind.name}",
            )
        found = self.by_value(kind, f, key)
        if len(found) != 1:
            raise Refused(
                "INVALID_FIELD",
                f"Foreign key external ID: {key} not found for field {f.name} in "
                f"entity {kind.name}",
                (lookup.name,),
            )
        return found[0]

    def by_value(self, kind: Kind, f: Field, value: Any) -> list[str]:
        """Ids of the live records that hold a value."""
        table = self.tables[kind.name]
        text = str(value).strip().casefold()
        if f.type == "id":
            sought = long_id(str(value)) if is_id(str(value)) else ""
            return [sought] if sought in table.rows else []
        if f.name in table.unique:
            there = table.unique[f.name].get(text)
            return [there] if there else []
        return [
            i
            for i, row in table.rows.items()
            if row.get(f.name) is not None and str(row[f.name]).casefold() == text
        ]

    # -- writing -------------------------------------------------------------

    def _lock(self, kind: Kind, values: Row, record: str | None = None) -> None:
        """A write locks its record and those it points to.

        Raises:
            Refused: UNABLE_TO_LOCK_ROW.
        """
        if not self.locked:
            return
        touched = {record} | {
            v for n, v in values.items() if kind.fields[n].type == "reference" and v
        }
        for held in sorted(filter(None, touched)):
            full = long_id(held) if is_id(held) else held
            if self.locked.get(full, 0) > 0:
                self.locked[full] -= 1
                raise Refused(
                    "UNABLE_TO_LOCK_ROW",
                    f"unable to obtain exclusive access to this record or 1 records: {full}",
                )

    def insert(
        self, kind: Kind, values: Row, *, by: str = ROBOT, allow_save: bool = False
    ) -> str:
        """A new record; its id.

        Raises:
            Refused: a rule of the row.
        """
        self._writable(kind, values, creating=True)
        self._lock(kind, values)
        missing = [n for n in kind.required if values.get(n) is None]
        if missing:
            raise _required(missing)
        row: Row = {n: None for n, f in kind.fields.items() if f.type != "boolean"}
        row |= {n: False for n, f in kind.fields.items() if f.type == "boolean"}
        if "OwnerId" in kind.fields:
            row["OwnerId"] = long_id(by)
        row |= {n: f.default for n, f in kind.fields.items() if f.default is not None}
        row |= {n: v for n, v in values.items() if v is not None or n not in row}
        self._rules(kind, row, values, None)
        business.complete(self, kind, row, values, None)
        self._validated(kind, row)
        if kind.name == "FieldPermissions":
            self._grantable(row)
        if self.duplicate_rule and not allow_save:
            self._duplicates(kind, row)
        table = self.tables[kind.name]
        now, record = self.stamp(), table.new_id()
        row |= {"Id": record, "CreatedDate": now, "CreatedById": long_id(by)}
        self._remember(table, record)
        table.put(_named(kind, _stamped(row, now, by)), None)
        business.follow(self, kind, row)
        self._tell(kind, record, "CREATE", by)
        if kind.name in _GRANTS:
            self._grant()
        return record

    def update(self, kind: Kind, record: str, values: Row, *, by: str = ROBOT) -> None:
        """Change a record; its stamps move even where nothing changes.

        Raises:
            Refused: a rule of the row, or the record is not there.
        """
        old = self.row(kind, record)
        if old.get("IsConverted"):
            raise Refused(
                "CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead"
            )
        values = {n: v for n, v in values.items() if n != "Id"}
        self._writable(kind, values, creating=False)
        self._lock(kind, values, old["Id"])
        emptied = [n for n in kind.required if n in values and values[n] is None]
        if emptied:
            raise _required(emptied)
        row = old | values
        self._rules(kind, row, values, old["Id"])
        business.complete(self, kind, row, values, old)
        self._validated(kind, row)
        table = self.tables[kind.name]
        self._remember(table, old["Id"])
        table.put(_named(kind, _stamped(row, self.stamp(), by)), old)
        business.follow(self, kind, row)
        self._tell(kind, old["Id"], "UPDATE", by)

    def delete(
        self, kind: Kind, record: str, *, by: str = ROBOT, into: str | None = None
    ) -> None:
        """Into the recycle bin; an account takes its contacts with it.

        Raises:
            Refused: the record is not there.
        """
        old = self.row(kind, record)
        self._lock(kind, {}, old["Id"])
        table = self.tables[kind.name]
        self._remember(table, old["Id"])
        table.unindex(old)
        del table.rows[old["Id"]]
        gone = old | {"IsDeleted": True, "MasterRecordId": into}
        table.bin[old["Id"]] = _stamped(gone, self.stamp(), by)
        business.follow(self, kind, old)
        self._tell(kind, old["Id"], "DELETE", by)
        for child, field in (
            business.CHILDREN.get(kind.name, ()) if into is None else ()
        ):
            children = self.tables[child]
            for row in list(children.rows.values()):
                if row[field] == old["Id"] and row["Id"] in children.rows:
                    self.delete(children.kind, row["Id"], by=by)
                    self.taken_along[row["Id"]] = old["Id"]

    def undelete(self, kind: Kind, record: str, *, by: str) -> None:
        """Out of the recycle bin, with what went in with it; a merge's loser is a record of its own again.

        Source: ``undelete()`` of the SOAP API; REST has no such call.

        Raises:
            Refused: it is not in the bin, or another record has a unique value of its by now.
        """
        table, full = self.tables[kind.name], long_id(record)
        old = table.bin.get(full)
        if old is None:
            raise Refused("UNDELETE_FAILED", "Entity is not in the recycle bin")
        row = old | {"IsDeleted": False, "MasterRecordId": None}
        for name, held in table.unique.items():
            if row.get(name) is not None and str(row[name]).casefold() in held:
                raise Refused("DUPLICATE_VALUE", f"duplicate value found: {name}")
        self._remember(table, full)
        del table.bin[full]
        table.put(_stamped(row, self.stamp(), by), None)
        self._tell(kind, full, "UNDELETE", by)
        for child, parent in list(self.taken_along.items()):
            at = self.kind_by_id(child)
            if parent == full and at and child in self.tables[at.name].bin:
                del self.taken_along[child]
                self.undelete(at, child, by=by)

    def merge(self, kind: Kind, loser: str, winner: str, *, by: str) -> None:
        """One record into another: what points to the loser points to the winner.

        Raises:
            Refused: one of the two is not there.
        """
        lost, kept = self.row(kind, loser)["Id"], self.row(kind, winner)["Id"]
        for other, table in self.tables.items():
            names = [
                f.name
                for f in self.kinds[other].fields.values()
                if f.createable and kind.name in f.targets
            ]
            for row in list(table.rows.values()):
                moved = {n: kept for n in names if row.get(n) == lost}
                if moved:
                    self.touch(other, row, moved)
        self.delete(kind, lost, by=by, into=kept)
        self.update(kind, kept, {}, by=by)

    def convert(
        self,
        record: str,
        *,
        by: str,
        account: str | None = None,
        contact: str | None = None,
        opportunity: str | None = None,
    ) -> None:
        """A lead becomes a contact at an account; without ``account`` one is made of its company.

        It becomes ``contact`` where that is given, and a new opportunity where the name of one is.

        Source: "Convert Lead" of the SOAP API: standard fields travel, custom ones only where an
        administrator maps them, as here none.

        Raises:
            Refused: the lead or the account is not there, or it was converted before.
        """
        leads, contacts = self.tables["Lead"], self.kinds["Contact"]
        old = self.row(leads.kind, record)
        if old["IsConverted"]:
            raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "lead has been converted")
        owner = account or self.insert(
            self.kinds["Account"], {"Name": old["Company"]}, by=by
        )
        made = {n: old[n] for n in _CONVERTED if old[n] is not None}
        made |= {f"Mailing{n}": old[n] for n in _ADDRESS if old[n] is not None}
        contact = contact or self.insert(contacts, made | {"AccountId": owner}, by=by)
        deal = opportunity and self.insert(
            self.kinds["Opportunity"],
            {
                "Name": opportunity,
                "AccountId": owner,
                "StageName": next(iter(sales.STAGES)),
                "CloseDate": self.now().date().isoformat(),
            },
            by=by,
        )
        history = {
            "IsConverted": True,
            "Status": objects.LEAD_STATUSES[2],
            "ConvertedDate": self.now().date().isoformat(),
            "ConvertedContactId": contact,
            "ConvertedOpportunityId": deal or None,
            "ConvertedAccountId": self.row(self.kinds["Account"], owner)["Id"],
        }
        self._remember(leads, old["Id"])
        leads.put(_stamped(old | history, self.stamp(), by), old)

    def row(self, kind: Kind, record: str) -> Row:
        """A live record by an id of 15 or 18 characters.

        Raises:
            Refused: MALFORMED_ID, ENTITY_IS_DELETED or INVALID_CROSS_REFERENCE_KEY.
        """
        if not is_id(record) or not record.startswith(kind.prefix):
            raise Refused(
                "MALFORMED_ID",
                f"{kind.label} ID: id value of incorrect type: {record}",
                ("Id",),
            )
        table, full = self.tables[kind.name], long_id(record)
        found = table.rows.get(full)
        if found is not None:
            return found
        if full in table.bin:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", status=404)
        raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")

    def everything(self, kind: Kind) -> Iterator[Row]:
        """Live records and those in the recycle bin; it is emptied after 15 days."""
        table = self.tables[kind.name]
        yield from table.rows.values()
        oldest = self.now().timestamp() - _BIN_SECONDS
        for record, row in list(table.bin.items()):
            if datetime.fromisoformat(row["SystemModstamp"]).timestamp() < oldest:
                del table.bin[record]
            else:
                yield row

    def _writable(self, kind: Kind, values: Row, *, creating: bool) -> None:
        refused = [
            n
            for n in values
            if not (
                kind.fields[n].createable if creating else kind.fields[n].updateable
            )
        ]
        if refused or not kind.writable:
            raise Refused(
                "INVALID_FIELD_FOR_INSERT_UPDATE",
                f"Unable to create/update fields: {', '.join(refused)}. Please check "
                "the security settings of this field and verify that it is read/write "
                "for your profile or permission set.",
                tuple(refused),
            )

    def _rules(self, kind: Kind, row: Row, values: Row, record: str | None) -> None:
        for name in values:
            f, value = kind.fields[name], row[name]
            if value is None:
                continue
            _fits(f, value)
            if f.type == "reference":
                row[name] = self._points(f, value)
        for name, held in self.tables[kind.name].unique.items():
            if row.get(name) is None:
                continue
            there = held.get(str(row[name]).casefold())
            if there is not None and there != record:
                raise Refused(
                    "DUPLICATE_VALUE",
                    f"duplicate value found: {name} duplicates value on record with "
                    f"id: {there[:15]}",
                )

    def _validated(self, kind: Kind, row: Row) -> None:
        for name, wrong, words, field in self.validations:
            if name == kind.name and wrong(row):
                raise Refused("FIELD_CUSTOM_VALIDATION_EXCEPTION", words, (field,))

    def _points(self, f: Field, value: str) -> str:
        kind = self.kind_by_id(value)
        if not is_id(value) or kind is None or kind.name not in f.targets:
            raise Refused(
                "MALFORMED_ID",
                f"{f.label}: id value of incorrect type: {value}",
                (f.name,),
            )
        row = self.row(kind, value)
        if f.name == "OwnerId" and not row["IsActive"]:
            raise Refused(
                "INACTIVE_OWNER_OR_USER",
                "operation performed with inactive user "
                f"[{value[:15]}] as owner of {f.label}",
                (f.name,),
            )
        return str(row["Id"])

    def _grantable(self, row: Row) -> None:
        """Permissions are for custom fields that are there."""
        kind, _, name = str(row["Field"]).lower().partition(".")
        known = kind in self._lower and name in self._lower[kind].lower
        if not name.endswith("__c") or not (
            known or row["Field"].lower() in self.hidden
        ):
            raise Refused(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                f"Field Name: bad value for restricted picklist field: {row['Field']}",
                ("Field",),
            )

    def _duplicates(self, kind: Kind, row: Row) -> None:
        email = row.get("Email")
        others = self.tables[kind.name].rows.values()
        if email and any(
            (o.get("Email") or "").casefold() == email.casefold() for o in others
        ):
            raise Refused("DUPLICATES_DETECTED", "Use one of these records?")


def _typed(f: Field, value: Any) -> Any:
    """A JSON value as the field's type; texts are trimmed, and empty ones none."""
    if value is None:
        return None
    if f.type == "boolean" or f.type in NUMBERS:
        wanted = (bool,) if f.type == "boolean" else (int, float)
        if not isinstance(value, wanted) or isinstance(value, bool) != (bool in wanted):
            raise _unreadable(f, value)
        if f.type == "boolean":
            return value
        return round(value) if f.type == "int" else float(value)
    if not isinstance(value, str):
        raise _unreadable(f, value)
    return _text(f, value.strip()) if value.strip() else None


def _text(f: Field, text: str) -> str:
    if f.type in {"date", "datetime"}:
        return _moment(f, text)
    if f.type == "multipicklist":
        return ";".join(dict.fromkeys(p.strip() for p in text.split(";") if p.strip()))
    return text


def _moment(f: Field, text: str) -> str:
    try:
        if f.type == "date":
            return date.fromisoformat(text).isoformat()
        return soql.stamp(datetime.fromisoformat(text))
    except ValueError:
        raise _unreadable(f, text) from None


def _fits(f: Field, value: Any) -> None:
    """Length, e-mail and picklist rules of one value."""
    if f.length and f.type in TEXTS and len(value) > f.length:
        raise Refused(
            "STRING_TOO_LONG",
            f"{f.label}: data value too large: {value} (max length={f.length})",
            (f.name,),
        )
    if f.type == "email" and not _EMAIL.match(value):
        raise Refused(
            "INVALID_EMAIL_ADDRESS",
            f"{f.label}: invalid email address: {value}",
            (f.name,),
        )
    if not f.restricted:
        return
    parts = value.split(";") if f.type == "multipicklist" else [value]
    if any(p not in f.options for p in parts):
        raise Refused(
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            f"{f.label}: bad value for restricted picklist field: {value}",
            (f.name,),
        )


def _required(names: list[str]) -> Refused:
    return Refused(
        "REQUIRED_FIELD_MISSING",
        f"Required fields are missing: [{', '.join(names)}]",
        tuple(names),
    )


def _stamped(row: Row, now: str, by: str) -> Row:
    return row | {
        "LastModifiedDate": now,
        "SystemModstamp": now,
        "LastModifiedById": long_id(by),
    }


def _named(kind: Kind, row: Row) -> Row:
    """A person's name is made of its parts."""
    if kind.name in {"Contact", "Lead"}:
        parts = (row.get("FirstName"), row.get("LastName"))
        row["Name"] = " ".join(p for p in parts if p)
    return row
