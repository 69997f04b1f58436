"""Records that are one with another in the hub's eyes: a price, a deal's contacts, an order's lines.

They are read beside their record and written with it, as one graph that Salesforce carries out whole or not
at all. Source: REST API Developer Guide, "Composite Graph"; Object Reference.
"""

from __future__ import annotations

from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
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
    RowsPatch,
    Stale,
    Unavailable,
    Want,
    Write,
)
from connector_hub_salesforce import faults, query
from connector_hub_salesforce.values import spelled

GRAPHS, _NODES = 75, 500
"""Of a call; each graph is one record with its companions."""
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
    path: str = ""
    """Where lines are in their record: the child relationship's name."""

    @property
    def relation(self) -> str:
        """What leads from a companion to its record."""
        return self.parent.removesuffix("Id")


KINDS: Mapping[str, tuple[Kind, ...]] = {
    "Product2": (Kind(PRICE, "Product2Id", (_STANDARD,)),),
    "Opportunity": (
        Kind(ROLE, "OpportunityId"),
        Kind("OpportunityLineItem", "OpportunityId", path="OpportunityLineItems"),
    ),
    "Order": (Kind("OrderItem", "OrderId", path="OrderItems"),),
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
    lines: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def is_virtual(resource: str, path: str) -> bool:
    """Whether a path leads to a companion, and not through a lookup."""
    return resource == "Product2" and path.startswith(f"{PRICE}.")


def wanted(resource: str, want: Want) -> list[Kind]:
    """The companions that have to be read."""
    return [
        kind
        for kind in KINDS.get(resource, ())
        if kind.object in want.links
        or kind.path in want.rows
        or (kind.object == PRICE and any(is_virtual(resource, p) for p in want.fields))
    ]


def has(resource: str, w: Write) -> bool:
    """Whether a write is about companions, too."""
    return any(_is_about(kind, resource, w) for kind in KINDS.get(resource, ()))


def _is_about(kind: Kind, resource: str, w: Write) -> bool:
    if kind.object == PRICE:
        return any(is_virtual(resource, p) for p in w.fields)
    return kind.object in w.links or kind.path in w.fields


def lists(resource: str) -> set[str]:
    """Paths of lists of lines."""
    return {kind.path for kind in KINDS.get(resource, ()) if kind.path}


def calls(resource: str, writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """Writes in parts that a call may have: so many graphs, with so many records in all."""
    part: list[Write] = []
    nodes = 0
    for w in writes:
        mine = 1 + sum(_size(kind, w) for kind in KINDS[resource])
        if part and (len(part) == GRAPHS or nodes + mine > _NODES):
            yield part
            part, nodes = [], 0
        part.append(w)
        nodes += mine
    if part:
        yield part


def _size(kind: Kind, w: Write) -> int:
    patch = w.fields.get(kind.path)
    if isinstance(patch, RowsPatch):
        return len(patch.rows) + len(patch.removed)
    links = w.links.get(kind.object)
    return len(links.add) + len(links.remove) if links else 1


async def beside(rows: Rows, resource: str, ids: Sequence[str], want: Want) -> Beside:
    """The companions of records: one query for some 500."""
    found = Beside()
    for kind in wanted(resource, want) if ids else ():
        names = _names(kind, want)
        for soql in query.membership(
            names, kind.object, kind.parent, ids, where=kind.where
        ):
            for row in await rows(soql):
                _put(found, kind, row)
    return found


def _put(found: Beside, kind: Kind, row: dict[str, Any]) -> None:
    record = row[kind.parent]
    if kind.object == PRICE:
        found.prices[record] = row if row["IsActive"] else {}
    elif kind.path:
        found.lines.setdefault(record, []).append(row)
    else:
        ref = Ref("Contact", row["ContactId"], label=row["Role"])
        found.links.setdefault(record, []).append(ref)


def _names(kind: Kind, want: Want) -> list[str]:
    if kind.object == ROLE:
        return ["Id", kind.parent, "ContactId", "Role"]
    if kind.path:
        mine = {*map(query.name, want.rows[kind.path])}
        return sorted({"Id", kind.parent, *mine})
    mine = {p.partition(".")[2] for p in want.fields if p.startswith(f"{PRICE}.")}
    return sorted({"Id", kind.parent, "IsActive", _STAMP, *map(query.name, mine)})


async def moved(rows: Rows, resource: str, since: str, want: Want) -> set[str]:
    """Records whose companions have changed, gone ones among them; one query."""
    found: set[str] = set()
    for kind in wanted(resource, want):
        where = (*kind.where, f"{_STAMP} >= {since}")
        soql = query.select([kind.parent], kind.object, where=where)
        found |= {row[kind.parent] for row in await rows(soql, everything=True)}
    return found


There = Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]
"""Companions that are there, by object, then by record."""


async def known(
    rows: Rows, resource: str, writes: Sequence[Write], key: str | None
) -> There:
    """The companions that are there, by record id, or by record key of what is created."""
    return {
        kind.object: await _known(rows, kind, writes, key)
        for kind in KINDS[resource]
        if any(_is_about(kind, resource, w) for w in writes)
    }


async def entries(
    rows: Rows, resource: str, writes: Sequence[Write]
) -> Mapping[str, str]:
    """The standard prices of products that new lines are of: what a line points to in a product's stead."""
    products = {
        str(row.fields["Product2Id"])
        for w in writes
        for path in lists(resource)
        if isinstance(patch := w.fields.get(path), RowsPatch)
        for row in patch.rows
        if row.id is None and row.fields.get("Product2Id")
    }
    found: dict[str, str] = {}
    for soql in query.membership(
        ["Id", "Product2Id"], PRICE, "Product2Id", sorted(products), where=(_STANDARD,)
    ):
        found |= {row["Product2Id"]: row["Id"] for row in await rows(soql)}
    return found


async def _known(
    rows: Rows, kind: Kind, writes: Sequence[Write], key: str | None
) -> dict[str, list[dict[str, Any]]]:
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
    there: There,
    *,
    body: Mapping[str, Any],
    key: str | None,
    standard: str,
    prices: Mapping[str, str],
    headers: Mapping[str, str],
) -> dict[str, Any]:
    """A record and its companions as one graph.

    Args:
        base: the path of the version.
        resource: the record's object.
        w: what to write.
        there: the companions that are there.
        body: the record's own fields.
        key: the key field.
        standard: the id of the standard price book.
        prices: standard prices by product.
        headers: of the record's own call.

    Raises:
        Rejected: a line is of a product without a standard price.
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
    own = str(w.id) if w.op == "update" else w.key
    made: list[tuple[str, Node]] = []
    for kind in KINDS[resource]:
        if not _is_about(kind, resource, w):
            continue
        has = there.get(kind.object, {}).get(own.casefold(), ())
        if kind.object == PRICE:
            nodes_of = _price(w, has, record, standard)
        elif kind.path:
            nodes_of = _lines(kind, w, has, record, prices)
            if w.op == "create" and w.fields[kind.path].rows:
                mine["Pricebook2Id"] = standard
        else:
            nodes_of = _roles(w, has, record)
        made += [(kind.object, node) for node in nodes_of]
    for i, (name, (method, companion, fields)) in enumerate(made):
        url = f"{base}/sobjects/{name}"
        node: dict[str, Any] = {
            "method": method,
            "url": f"{url}/{companion}" if companion else url,
            "referenceId": f"{name}{i}",
        }
        nodes.append({**node, "body": fields} if fields else node)
    return {"graphId": w.key, "compositeRequest": nodes}


def _blamed(
    resource: str, node: Mapping[str, Any], error: Mapping[str, Any]
) -> tuple[str, ...]:
    """The hub's path of what a companion was refused for."""
    name = str(node["referenceId"]).rstrip("0123456789")
    if name in {PRICE, ROLE}:
        return (f"{PRICE}.UnitPrice" if name == PRICE else ROLE,)
    (path,) = [k.path for k in KINDS[resource] if k.object == name]
    return tuple(f"{path}[].{f}" for f in error.get("fields") or ()) or (path,)


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


def _lines(
    kind: Kind,
    w: Write,
    there: Sequence[Mapping[str, Any]],
    record: str,
    prices: Mapping[str, str],
) -> Iterable[Node]:
    """Lines are taken away, changed and added; of a create that is repeated they are there."""
    patch = w.fields[kind.path]
    for line in patch.removed:
        yield "DELETE", line, {}
    for row in patch.rows:
        fields = {query.name(p): spelled(v) for p, v in row.fields.items()}
        if row.id is not None:
            if fields:
                yield "PATCH", row.id, fields
            continue
        if w.op == "create" and there:
            continue
        price = prices.get(str(fields.pop("Product2Id", None)))
        if price is None:
            raise Rejected(
                "the product of a line has no price in the standard price book",
                reason="STANDARD_PRICE_NOT_DEFINED",
                fields=(f"{kind.path}[].Product2Id",),
            )
        yield "POST", "", {**fields, kind.parent: record, "PricebookEntryId": price}


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
        said = str(error.get("message") or word)
        return Rejected(said, reason=word, fields=_blamed(resource, node, error))
    return InDoubt("the answer does not say what became of this write")
