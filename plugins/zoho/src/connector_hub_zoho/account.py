"""The records of a Zoho account in memory, and the rules that every change of one keeps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from connector_hub.testing.sandbox import SandboxClock
from connector_hub_zoho.born import ABOUT, JOINED, PROBABILITY, RELATED, born
from connector_hub_zoho.modules import (
    LOOKUPS,
    ROWS,
    FieldKind,
    Invalid,
    Module,
    taken,
)

ZONE = timezone(timedelta(hours=7))
"""The organization's: instants are told in it."""
USERS = (
    ("4150868000000225001", "Integration", "User", "integration@zylker.example"),
    ("4150868000000225013", "Ayu", "Pratiwi", "ayu.pratiwi@zylker.example"),
    ("4150868000000225027", "Bima", "Nugroho", "bima.nugroho@zylker.example"),
)
"""The first is the one whose token the hub holds, the second the one who edits in stories."""
ABOUT_WHAT = "$se_module"
"""The module of what a task is about."""
Row = dict[str, Any]


class Refused(Exception):
    """Zoho's answer to a call, or a row, that it does not carry out."""

    def __init__(self, status: int, code: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.body = {
            "code": code,
            "details": details,
            "message": message,
            "status": "error",
        }


@dataclass(frozen=True, slots=True)
class Happened:
    """A change of a record, as notifications tell it: ``insert``, ``update`` or ``delete``."""

    module: str
    record: str
    what: str
    fields: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class Rows:
    """The records of a module."""

    module: Module
    live: dict[str, Row] = field(default_factory=dict)
    bin: dict[str, tuple[datetime, str, Row]] = field(default_factory=dict)
    """When a record was deleted, whether into the ``recycle`` bin or for good, and what it held."""

    def holder(self, name: str, value: Any, *, but: str = "") -> str | None:
        """The record that has a value in a field; case makes no difference."""
        wanted = value.casefold() if isinstance(value, str) else value
        for record, row in self.live.items():
            held = row.get(name)
            held = held.casefold() if isinstance(held, str) else held
            if record != but and held == wanted:
                return record
        return None

    def visible(self, converted: str) -> Iterator[str]:
        """Leads that were converted are shown to who asks for them."""
        for record, row in self.live.items():
            was = bool(row.get("Converted__s"))
            if converted == "both" or was == (converted == "true"):
                yield record


class ZohoAccount:
    """What an account holds: records by module, who is related to whom, what has happened."""

    def __init__(self, clock: SandboxClock) -> None:
        self.clock = clock
        self.modules = {name: Rows(m) for name, m in born().items()}
        self.related: dict[tuple[str, str, str], dict[str, Row]] = {}
        """Members of many-to-many lists, by (module, record, list), each with what the relation says."""
        self.locked: set[str] = set()
        """Records that an approval or a person has locked."""
        self.happened: list[Happened] = []
        self._next = 1_001

    def of(self, name: str) -> Rows:
        """The records of a module.

        Raises:
            Refused: there is no such module.
        """
        found = self.modules.get(name)
        if found is None:
            raise Refused(
                400,
                "INVALID_MODULE",
                "the module name given seems to be invalid",
                resource_path_index=0,
            )
        return found

    def now(self) -> datetime:
        """The instant in whole seconds, as stamps are."""
        return self.clock.now().replace(microsecond=0)

    def sound(
        self, rows: Rows, given: Mapping[str, Any], record: str | None, *, row: int = 0
    ) -> Row:
        """A row's fields as they will be kept; what Zoho does not know or lets nobody write is left out.

        Raises:
            Refused: with the code, the field and the place of the row; of several with all of them.
        """
        found: Row = {}
        wrong: list[Refused] = []
        for name, value in given.items():
            kind = rows.module.fields.get(name)
            if name == ABOUT_WHAT and "What_Id" in rows.module.fields:
                found[name] = value or None
            elif kind is not None and not kind.read_only:
                at = {"api_name": name, "json_path": f"$.data[{row}].{name}"}
                try:
                    found[name] = self._value(rows, kind, value, record, given, at)
                except Refused as e:
                    wrong.append(e)
        wrong += self._lacking(rows, found, record, row, {_field(e) for e in wrong})
        wrong += self._doubled(rows, found, record, row)
        if len(wrong) == 1:
            raise wrong[0]
        if wrong:
            raise Refused(
                400,
                "MULTIPLE_OR_MULTI_ERRORS",
                "Multiple errors have occurred",
                errors=[e.body for e in wrong],
            )
        return found

    def _value(  # noqa: PLR0917 - a value, its field, and where both are
        self,
        rows: Rows,
        kind: FieldKind,
        value: Any,
        record: str | None,
        given: Mapping[str, Any],
        at: Mapping[str, Any],
    ) -> Any:
        if kind.type == "subform":
            held = rows.live[record].get(kind.name) if record in rows.live else None
            return self._lines(kind, value, held or [], at)
        if kind.type in LOOKUPS:
            to = kind.to
            if kind.name == "What_Id":
                to = str(given.get(ABOUT_WHAT) or "")
            return self._looked_up(to, value, at)
        return _taken(value, kind, at)

    def _lines(
        self, kind: FieldKind, value: Any, held: list[Row], at: Mapping[str, Any]
    ) -> list[Row]:
        """A subform's rows: known ones by their id, ``_delete`` takes one out, no other is kept."""
        if not isinstance(value, list):
            if value is None:
                return []
            raise Refused(
                400, "INVALID_DATA", "invalid data", expected_data_type="jsonarray", **at
            )  # fmt: skip
        if len(value) > ROWS:
            raise Refused(400, "LIMIT_EXCEEDED", "limit exceeded", limit=ROWS, **at)
        of_rows = self.modules[kind.to]
        by_id = {r["id"]: r for r in held}
        found = []
        for n, body in enumerate(value):
            place = f"{at['json_path']}[{n}]"
            line = self._line(of_rows, body, by_id, place)
            if line is not None:
                found.append(line)
        for n, line in enumerate(found):
            line["Sequence_Number"] = n + 1
        return found

    def _line(
        self, of_rows: Rows, body: Any, by_id: Mapping[str, Row], place: str
    ) -> Row | None:
        known = by_id.get(str(body["id"])) if body.get("id") else None
        if body.get("id") and known is None:
            raise Refused(
                400,
                "INVALID_DATA",
                "the id given seems to be invalid",
                api_name="id",
                json_path=f"{place}.id",
            )
        if "_delete" in body:
            return None
        now = self.now()
        line = dict(known) if known else {"id": self._new_id(), "Created_Time": now}
        line["Modified_Time"] = now
        for name, value in body.items():
            one = of_rows.module.fields.get(name)
            if one is None or one.read_only:
                continue
            at = {"api_name": name, "json_path": f"{place}.{name}"}
            if one.type in LOOKUPS:
                line[name] = self._looked_up(one.to, value, at)
            else:
                line[name] = _taken(value, one, at)
        for one in of_rows.module.fields.values():
            if one.mandatory and line.get(one.name) is None:
                raise Refused(
                    400,
                    "MANDATORY_NOT_FOUND",
                    "required field not found",
                    api_name=one.name,
                    json_path=f"{place}.{one.name}",
                )
        if "List_Price" in of_rows.module.fields:
            figures: Row = {n: line.get(n) or 0 for n in _FIGURES}
            line["Total"] = figures["Quantity"] * figures["List_Price"]
            line["Net_Total"] = line["Total"] - figures["Discount"] + figures["Tax"]
        return line

    def _looked_up(
        self, to: str, value: Any, at: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        if value is None or value == "":
            return None
        record = str(value["id"] if isinstance(value, Mapping) else value)
        if to == "users":
            known: Iterable[str] = {p[0] for p in USERS}
        else:
            known = self.modules[to].live if to in self.modules else ()
        if record not in known:
            raise Refused(
                400, "INVALID_DATA", "invalid data", expected_data_type="lookup", **at
            )
        return {"id": record}

    @staticmethod
    def _lacking(
        rows: Rows, found: Row, record: str | None, row: int, told: set[str]
    ) -> list[Refused]:
        """What must be there and is not: on a create what the layout requires, too."""
        lacks = []
        for kind in rows.module.fields.values():
            if kind.name in told or not (kind.mandatory or kind.required):
                continue
            blank = found.get(kind.name) in (None, [])
            if blank and (record is None or kind.name in found):
                more = (
                    {}
                    if kind.mandatory
                    else {"layout_rule": {"name": "Standard", "id": "41508680000055001"}}
                )  # fmt: skip
                lacks.append(
                    Refused(
                        400,
                        "MANDATORY_NOT_FOUND",
                        "required field not found",
                        api_name=kind.name,
                        json_path=f"$.data[{row}].{kind.name}",
                        **more,
                    )
                )
        return lacks

    @staticmethod
    def _doubled(rows: Rows, found: Row, record: str | None, row: int) -> list[Refused]:
        """Unique values that another record has."""
        twice = []
        for name, kind in rows.module.fields.items():
            if not kind.unique or not found.get(name):
                continue
            held = rows.holder(name, found[name], but=record or "")
            if held:
                there = {
                    "Owner": named(rows.live[held]["Owner"]),
                    "module": {"api_name": rows.module.name, "id": _MODULE_ID},
                    "id": held,
                }
                twice.append(
                    Refused(
                        400,
                        "DUPLICATE_DATA",
                        "duplicate data",
                        api_name=name,
                        json_path=f"$.data[{row}].{name}",
                        duplicate_record=there,
                        more_records=False,
                    )
                )
        return twice

    def _new_id(self) -> str:
        record = f"415086800000{self._next:07}"
        self._next += 1
        return record

    def put(
        self,
        module: str,
        record: str | None,
        fields: Mapping[str, Any],
        *,
        by: str = USERS[0][0],
        at: datetime | None = None,
    ) -> str:
        """Keep a record; stamps are of whole seconds."""
        rows = self.modules[module]
        now = (at or self.clock.now()).replace(microsecond=0)
        new = record is None
        if record is None:
            record = self._new_id()
            rows.live[record] = {
                **dict.fromkeys(rows.module.fields),
                "id": record,
                "Owner": {"id": by},
                "Created_By": {"id": by},
                "Created_Time": now,
            }
            self._number(rows, rows.live[record])
        row = rows.live[record]
        row.update(fields)
        row.update({"Modified_By": {"id": by}, "Modified_Time": now})
        self._figure(rows, row, fields)
        told = "insert" if new else "update"
        self.happened.append(Happened(module, record, told, tuple(fields), now))
        return record

    @staticmethod
    def _number(rows: Rows, row: Row) -> None:
        for kind in rows.module.fields.values():
            if kind.type == "autonumber":
                row[kind.name] = f"{kind.name[:2].upper()}-{int(row['id']) % 10**6}"

    @staticmethod
    def _figure(rows: Rows, row: Row, fields: Mapping[str, Any]) -> None:
        """What Zoho works out by itself: a deal's expectation, an order's totals."""
        if rows.module.name == "Deals":
            if fields.get("Stage"):
                usual = PROBABILITY.get(row["Stage"], 0)
                row["Probability"] = fields.get("Probability", usual)
            chance = row.get("Probability") or 0
            row["Expected_Revenue"] = (row.get("Amount") or 0) * chance / 100
        if "Grand_Total" in rows.module.fields:
            lines = next(k for k in rows.module.fields.values() if k.type == "subform")
            nets = [line["Net_Total"] for line in row.get(lines.name) or []]
            row["Sub_Total"] = sum(nets)
            more = (row.get("Tax") or 0) + (row.get("Adjustment") or 0)
            row["Grand_Total"] = row["Sub_Total"] - (row.get("Discount") or 0) + more

    def delete(self, module: str, record: str, *, how: str = "recycle") -> None:
        """Move a record into the recycle bin, or take it away for good."""
        rows = self.modules[module]
        now = self.now()
        rows.bin[record] = (now, how, rows.live.pop(record))
        self.happened.append(Happened(module, record, "delete", (), now))

    def restore(self, module: str, record: str) -> None:
        """Bring a record back out of the recycle bin.

        Raises:
            Refused: it is not in there.
        """
        rows = self.modules[module]
        if rows.bin.get(record, (None, "permanent", None))[1] != "recycle":
            raise Refused(400, "INVALID_DATA", "invalid data", id=record)
        _, _, row = rows.bin.pop(record)
        rows.live[record] = row
        row["Modified_Time"] = self.now()
        self.happened.append(
            Happened(module, record, "insert", (), row["Modified_Time"])
        )

    def merge(
        self,
        module: str,
        master: str,
        losers: Sequence[str],
        chosen: Mapping[str, str] | None = None,
    ) -> None:
        """The losers go into the master: those who point to them point to it, blanks of it are filled.

        ``chosen`` says of a field from which record its value is taken.
        """
        rows = self.modules[module]
        row = rows.live[master]
        taken_over: Row = {}
        for name, kind in rows.module.fields.items():
            if kind.read_only or kind.type == "subform":
                continue
            source = (chosen or {}).get(name)
            if source:
                taken_over[name] = rows.live[source].get(name)
            elif row.get(name) is None:
                filled = (rows.live[i].get(name) for i in losers)
                value = next((v for v in filled if v is not None), None)
                if value is not None:
                    taken_over[name] = value
        for loser in losers:
            self._redirect(module, loser, master)
            self.delete(module, loser)
        self.put(module, master, taken_over, by=USERS[1][0])

    def _redirect(self, module: str, old: str, new: str) -> None:
        for name, rows in self.modules.items():
            for kind in rows.module.fields.values():
                if kind.to != module or kind.type == "subform":
                    continue
                for record, row in rows.live.items():
                    held = row.get(kind.name)
                    if isinstance(held, dict) and held["id"] == old:
                        self.put(name, record, {kind.name: {"id": new}}, by=USERS[1][0])

    def convert(
        self,
        record: str,
        *,
        contact: str | None = None,
        account: str | None = None,
        deal: Mapping[str, Any] | None = None,
    ) -> dict[str, str]:
        """Convert a lead; the ids of what it became, by module.

        A contact with its e-mail and an account with its company's name are found rather than made again.
        """
        leads, by = self.modules["Leads"], USERS[1][0]
        lead = leads.live[record]
        if account is None and lead.get("Company"):
            account = self.modules["Accounts"].holder("Account_Name", lead["Company"])
        if account is None:
            fields = {"Account_Name": lead.get("Company") or lead["Last_Name"]}
            account = self.put("Accounts", None, fields, by=by)
        if contact is None and lead.get("Email"):
            contact = self.modules["Contacts"].holder("Email", lead["Email"])
        if contact is None:
            fields = {
                "First_Name": lead.get("First_Name"),
                "Last_Name": lead["Last_Name"],
                "Email": lead.get("Email"),
                "Phone": lead.get("Phone"),
                "Title": lead.get("Designation"),
                "Lead_Source": lead.get("Lead_Source"),
                "Mailing_City": lead.get("City"),
                "Mailing_Country": lead.get("Country"),
                "Account_Name": {"id": account},
            }
            contact = self.put("Contacts", None, fields, by=by)
        made = {"Contacts": contact, "Accounts": account}
        if deal is not None:
            found = {
                **deal,
                "Account_Name": {"id": account},
                "Contact_Name": {"id": contact},
            }
            made["Deals"] = self.put("Deals", None, found, by=by)
        self.put(
            "Leads",
            record,
            {
                "Converted__s": True,
                "Converted_Contact": {"id": contact},
                "Converted_Account": {"id": account},
                "Converted_Deal": {"id": made["Deals"]} if deal is not None else None,
                "Converted_Date_Time": self.now(),
            },
            by=by,
        )
        return made

    def members(self, module: str, record: str, name: str) -> dict[str, Row]:
        """Who is on a record's related list, with what the relation says.

        Raises:
            Refused: the module has no such list.
        """
        if name in JOINED.get(module, {}):
            to = JOINED[module][name][0]
            found = self.related.get((module, record, name), {})
            return {i: more for i, more in found.items() if i in self.modules[to].live}
        listed = RELATED.get(module, {}).get(name)
        if listed is None:
            raise Refused(
                400,
                "INVALID_DATA",
                "the relation name given seems to be invalid",
                resource_path_index=2,
            )
        to, lookup = listed
        rows = self.modules[to].live
        return {i: {} for i, r in rows.items() if (r[lookup] or {}).get("id") == record}

    def listed(self, module: str, name: str) -> str:
        """The module whose records a related list holds."""
        found = JOINED.get(module, {}).get(name) or RELATED[module][name]
        return found[0]

    def relate(
        self, module: str, record: str, name: str, member: str, more: Row | None
    ) -> None:
        """Put a record on a related list, with what the relation says, or (None) take it off; both ways."""
        if name not in JOINED.get(module, {}):
            raise Refused(
                400, "INVALID_DATA", "the related list is not of many", api_name=name
            )
        to, back = JOINED[module][name]
        if member not in self.modules[to].live:
            raise Refused(
                400, "INVALID_DATA", "the related id given seems to be invalid", id=member
            )  # fmt: skip
        for key, one in (
            ((module, record, name), member),
            ((to, member, back), record),
        ):
            held = self.related.setdefault(key, {})
            if more is None:
                held.pop(one, None)
            else:
                held[one] = dict(more)
        rows = self.modules[module].live[record]
        rows["Modified_Time"] = self.now()

    def title(self, module: str, record: str) -> str:
        """What names a record."""
        rows = self.modules.get(module)
        row = rows.live.get(record) if rows else None
        return str(row.get(rows.module.titled) or "") if rows and row else ""

    def shown(
        self, rows: Rows, record: str, names: Iterable[str], *, lines: bool = True
    ) -> Row:
        """A record as the API shows it; unknown names are left out, subforms unless ``lines``."""
        row = rows.live[record]
        found: Row = {"id": record}
        for name in names:
            kind = rows.module.fields.get(name)
            if name == ABOUT_WHAT:
                found[name] = row.get(name)
            if kind is None or name == "id":
                continue
            if kind.type == "subform":
                if lines:
                    found[name] = self._shown_lines(kind, record, row.get(name) or [])
                continue
            found[name] = self._shown_value(kind, row, row.get(name))
            if name == "What_Id":
                found[ABOUT_WHAT] = row.get(ABOUT_WHAT)
        return found

    def _shown_value(self, kind: FieldKind, row: Row, value: Any) -> Any:
        if value is None:
            return None
        if kind.to == "users":
            return named(value)
        if kind.type in LOOKUPS:
            to = kind.to or str(row.get(ABOUT_WHAT) or "")
            return {"name": self.title(to, value["id"]), "id": value["id"]}
        return spelled(value)

    def _shown_lines(self, kind: FieldKind, parent: str, held: list[Row]) -> list[Row]:
        fields = self.modules[kind.to].module.fields
        found = []
        for line in held:
            shown = {
                n: self._shown_value(k, line, line.get(n)) for n, k in fields.items()
            }
            shown["Parent_Id"] = {"name": "", "id": parent}
            shown["id"] = line["id"]
            found.append(shown)
        return found

    def rows_of(self, name: str) -> list[Row]:
        """The raw records of a module; of a subform's module the lines of all its parents."""
        rows = self.of(name)
        if not rows.module.parent:
            return list(rows.live.values())
        parents = self.modules[rows.module.parent].live
        return [
            {**dict.fromkeys(rows.module.fields), **line, "Parent_Id": {"id": record}}
            for record, parent in parents.items()
            for line in parent.get(name) or []
        ]

    def about(self) -> tuple[str, ...]:
        """The modules that a task can be about."""
        return tuple(n for n in ABOUT if n in self.modules)


_FIGURES = ("Quantity", "List_Price", "Discount", "Tax")
_MODULE_ID = "4150868000000002175"


def _field(e: Refused) -> str:
    details: Any = e.body["details"]
    return str(details.get("json_path", "")).split(".")[2].partition("[")[0]


def _taken(value: Any, kind: FieldKind, at: Mapping[str, Any]) -> Any:
    try:
        return taken(value, kind)
    except Invalid as e:
        raise Refused(400, "INVALID_DATA", "invalid data", **e.details, **at) from None


def instant(at: datetime) -> str:
    """Whole seconds with the organization's offset."""
    return at.astimezone(ZONE).isoformat(timespec="seconds")


def spelled(value: Any) -> Any:
    """A kept value as JSON has it: a number that is whole has no fraction."""
    if isinstance(value, datetime):
        return instant(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def named(who: Mapping[str, Any]) -> dict[str, Any]:
    """A user as records name one."""
    found = next((p for p in USERS if p[0] == who["id"]), USERS[0])
    return {"name": f"{found[1]} {found[2]}", "id": found[0], "email": found[3]}
