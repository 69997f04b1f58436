"""Records that are one with another in the hub's eyes: a product's standard price, a deal's contacts.

They are read beside their record and written with it, as one graph that Salesforce carries out whole or not
at all. Source: REST API Developer Guide, "Composite Graph"; Object Reference.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector_hub.sdk import (
    ConfigError,
    Done,
    FieldInfo,
    InDoubt,
    Outcome,
    Ref,
    Rejected,
    Stale,
    Unavailable,
    Want,
    Write,
)
from connector_hub_salesforce import faults, query
from connector_hub_salesforce.values import spelled

GRAPHS = 75
"""Of a call; each is one record with its companions."""
PRICE = "PricebookEntry"
ROLE = "OpportunityContactRole"
_MOVED, _BAD = 412, 400
_STAMP = "SystemModstamp"
_STANDARD = "Pricebook2.IsStandard = true"
Rows = Callable[..., Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Kind:
    """Companions of an object: where they are, which field names their record, and which of them count."""

    object: str
    parent: str
    where: tuple[str, ...] = ()

    @property
    def relation(self) -> str:
        """What leads from a companion to its record."""
        return self.parent.removesuffix("Id")


KINDS: Mapping[str, Kind] = {
    "Product2": Kind(PRICE, "Product2Id", (_STANDARD,)),
    "Opportunity": Kind(ROLE, "OpportunityId"),
}
DESCRIBED: Mapping[str, tuple[FieldInfo, ...]] = {
    "Product2": (FieldInfo(f"{PRICE}.UnitPrice", "Standard Price", "currency"),)
}
"""Fields of companions that a record has in the hub's eyes."""


@dataclass(slots=True)
class Beside:
    """What was read beside records, by record id."""

    prices: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, list[Ref]] = field(default_factory=dict)


def is_virtual(resource: str, path: str) -> bool:
    """Whether a path leads to a companion, and not through a lookup."""
    return resource == "Product2" and path.startswith(f"{PRICE}.")


def wanted(resource: str, want: Want) -> Kind | None:
    """The companions that have to be read; None where none do."""
    kind = KINDS.get(resource)
    if kind is None:
        return None
    asked = kind.object in want.links or any(
        is_virtual(resource, p) for p in want.fields
    )
    return kind if asked else None


def has(resource: str, w: Write) -> bool:
    """Whether a write is about companions, too."""
    kind = KINDS.get(resource)
    return kind is not None and (
        kind.object in w.links or any(is_virtual(resource, p) for p in w.fields)
    )


async def beside(rows: Rows, resource: str, ids: Sequence[str], want: Want) -> Beside:
    """The companions of records: one query for some 500."""
    found, kind = Beside(), wanted(resource, want)
    if kind is None or not ids:
        return found
    names = _names(kind, want)
    for soql in query.membership(
        names, kind.object, kind.parent, ids, where=kind.where
    ):
        for row in await rows(soql):
            record = row[kind.parent]
            if kind.object == PRICE:
                found.prices[record] = row if row["IsActive"] else {}
            else:
                ref = Ref("Contact", row["ContactId"], label=row["Role"])
                found.links.setdefault(record, []).append(ref)
    return found


def _names(kind: Kind, want: Want) -> list[str]:
    if kind.object == ROLE:
        return ["Id", kind.parent, "ContactId", "Role"]
    mine = {p.partition(".")[2] for p in want.fields if p.startswith(f"{PRICE}.")}
    return sorted({"Id", kind.parent, "IsActive", _STAMP, *map(query.name, mine)})


async def moved(rows: Rows, resource: str, since: str, want: Want) -> set[str]:
    """Records whose companions have changed, gone ones among them; one query."""
    kind = wanted(resource, want)
    if kind is None:
        return set()
    where = (*kind.where, f"{_STAMP} >= {since}")
    soql = query.select([kind.parent], kind.object, where=where)
    return {row[kind.parent] for row in await rows(soql, everything=True)}


async def known(
    rows: Rows, resource: str, writes: Sequence[Write], key: str | None
) -> dict[str, list[dict[str, Any]]]:
    """The companions that are there, by record id, or by record key of what is created."""
    kind = KINDS[resource]
    names = ["Id", kind.parent, *(("ContactId", "Role") if kind.object == ROLE else ())]
    path, values = kind.parent, [str(w.id) for w in writes]
    if writes[0].op == "create":
        if key is None:
            return {}
        path, values = f"{kind.relation}.{key}", [w.key for w in writes]
    found: dict[str, list[dict[str, Any]]] = {}
    for soql in query.membership(
        list(dict.fromkeys((*names, path))), kind.object, path, values, where=kind.where
    ):
        for row in await rows(soql):
            at: Any = row
            for step in path.split("."):
                at = at[step]
            found.setdefault(str(at).casefold(), []).append(row)
    return found


def graph(
    base: str,
    resource: str,
    w: Write,
    there: Sequence[Mapping[str, Any]],
    *,
    body: Mapping[str, Any],
    key: str | None,
    standard: str,
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """A record and its companions as one graph.

    Args:
        base: the path of the version.
        resource: the record's object.
        w: what to write.
        there: the companions it has.
        body: the record's own fields.
        key: the key field.
        standard: the id of the standard price book.
        headers: of the record's own call.
    """
    at = f"{base}/sobjects/{resource}"
    if w.op == "update":
        first = {"method": "PATCH", "url": f"{at}/{w.id}"}
    elif key:
        first = {"method": "PATCH", "url": f"{at}/{key}/{w.key}"}
    else:
        first = {"method": "POST", "url": at}
    mine = {n: v for n, v in body.items() if n not in {"attributes", "Id", key}}
    record = str(w.id) if w.op == "update" else "@{record.id}"
    nodes = [{**first, "referenceId": "record", "body": mine, "httpHeaders": headers}]
    kind = KINDS[resource]
    made = (
        _price(w, there, record, standard)
        if kind.object == PRICE
        else _roles(w, there, record)
    )
    for i, (method, companion, fields) in enumerate(made):
        url = f"{base}/sobjects/{kind.object}"
        node: dict[str, Any] = {
            "method": method,
            "url": f"{url}/{companion}" if companion else url,
            "referenceId": f"companion{i}",
        }
        nodes.append({**node, "body": fields} if fields else node)
    return {"graphId": w.key, "compositeRequest": nodes}


Node = tuple[str, str, Mapping[str, Any]]
"""Method, companion's id and fields."""


def _price(
    w: Write, there: Sequence[Mapping[str, Any]], record: str, standard: str
) -> Iterable[Node]:
    """A price is put up, changed or, as it cannot be empty, no longer offered."""
    fields = {
        p.partition(".")[2]: spelled(v)
        for p, v in w.fields.items()
        if p.startswith(f"{PRICE}.")
    }
    offered = fields.get("UnitPrice") is not None
    if there:
        change = {**fields, "IsActive": True} if offered else {"IsActive": False}
        yield "PATCH", str(there[0]["Id"]), change
    elif offered:
        at = {"Pricebook2Id": standard, "Product2Id": record}
        yield "POST", "", {**fields, **at, "IsActive": True}


def _roles(w: Write, there: Sequence[Mapping[str, Any]], record: str) -> Iterable[Node]:
    patch = w.links[ROLE]
    held = {(r["ContactId"], r["Role"]) for r in there}
    for ref in patch.remove:
        for r in there:
            if r["ContactId"] == ref.id and ref.label in {None, r["Role"]}:
                yield "DELETE", str(r["Id"]), {}
    for ref in patch.add:
        if (ref.id, ref.label) not in held:
            fields = {"OpportunityId": record, "ContactId": ref.id}
            yield "POST", "", {**fields, "Role": ref.label} if ref.label else fields


def outcome(w: Write, resource: str, told: Mapping[str, Any], where: str) -> Outcome:
    """What became of a graph.

    Raises:
        ConfigError: the record's fields are not the account's.
    """
    nodes = told["graphResponse"]["compositeResponse"]
    if told["isSuccessful"]:
        body = nodes[0].get("body") or {}
        return Done(w.id or body["id"], created=body.get("created"))
    for node in nodes:
        errors = node.get("body")
        if node["httpStatusCode"] < _BAD or not isinstance(errors, list):
            continue
        error = errors[0] if errors else {}
        word = str(error.get("errorCode") or "")
        if word == "PROCESSING_HALTED":
            continue
        if node["httpStatusCode"] == _MOVED:
            return Stale("the record has moved")
        if node["referenceId"] == "record":
            if word == "INVALID_FIELD":
                raise ConfigError(str(error.get("message")), where=where)
            return faults.refusal(w, error)
        refused = faults.refusal(w, error)
        if isinstance(refused, Unavailable):
            return refused
        path = f"{PRICE}.UnitPrice" if resource == "Product2" else ROLE
        return Rejected(str(error.get("message") or word), reason=word, fields=(path,))
    return InDoubt("the answer does not say what became of this write")
