"""The search and its index, which is behind the records (https://developers.hubspot.com/docs/guides/api/crm/search)."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connector_hub.testing.sandbox import moment
from connector_hub_hubspot.kinds import named
from connector_hub_hubspot.portal.properties import Property
from connector_hub_hubspot.portal.refusals import malformed

CAP, BODY, PAGE = 10_000, 3_000, 200
_FILTERS, _GROUPS, _GROUP_FILTERS = 18, 5, 6
_KEPT = 100_000
"""Instants that are kept read; few distinct ones are asked for again and again."""

Values = Mapping[str, str]
Test = Callable[[Values], bool]
Linked = Callable[[str, str, str], bool]
"""Whether a record is associated with another: its id, the other's object and id."""


class Index:
    """What the search has seen of one object's records."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[dict[str, str], str, str]] = {}
        """Properties, and when it was made and changed, by id."""
        self._lagging: deque[tuple[float, str]] = deque()
        self._passed: dict[str, list[str]] = {}
        """What passed a filter, as long as nothing changes: clients ask for page after page."""

    def expect(self, at: float, record: str) -> None:
        """A record was written: it is seen from then on."""
        self._lagging.append((at, record))

    def settle(self, rows: Mapping[str, Any]) -> None:
        """Everything is seen as it is now."""
        self._lagging.clear()
        self._passed.clear()
        self.rows = {i: (r.properties, r.created, r.updated) for i, r in rows.items()}

    def catch_up(self, now: float, rows: Mapping[str, Any]) -> None:
        """See what was written long enough ago."""
        while self._lagging and self._lagging[0][0] <= now:
            _, i = self._lagging.popleft()
            row = rows.get(i)
            if row is not None:
                self.rows[i] = (row.properties, row.created, row.updated)
                self._passed.clear()

    def forget(self, record: str) -> None:
        """The archived are never shown."""
        if self.rows.pop(record, None) is not None:
            self._passed.clear()

    def find(
        self,
        groups: Sequence[Mapping[str, Any]],
        sorts: Sequence[Any],
        known: Mapping[str, Property],
        linked: Linked,
    ) -> list[str]:
        """Ids of what passes all filters of one of the groups, in order.

        Raises:
            Refused: the groups or the sorts are not what the search takes.
        """
        _check(groups, sorts)
        found = list(self.rows)
        if groups:
            each = (self._group(g["filters"], known, linked) for g in groups)
            found = list(dict.fromkeys(i for ids in each for i in ids))
        self._sort(found, sorts, known)
        return found

    def _group(
        self,
        filters: Sequence[Mapping[str, Any]],
        known: Mapping[str, Property],
        linked: Linked,
    ) -> list[str]:
        rows = self.rows
        if not filters:
            return list(rows)
        first, *others = filters
        found = self._passed.get(repr(first))
        if found is None:
            test = _test(first, known, linked)
            found = [i for i, (values, _, _) in rows.items() if test(values)]
            found.sort(key=int)
            if not first["propertyName"].startswith("associations."):
                self._passed[repr(first)] = found
        for f in others:
            if (f["propertyName"], f["operator"]) == ("hs_object_id", "GT"):
                found = found[bisect_right(found, int(f["value"]), key=int) :]
                continue
            test = _test(f, known, linked)
            found = [i for i in found if test(rows[i][0])]
        return found

    def _sort(
        self, ids: list[str], sorts: Sequence[Any], known: Mapping[str, Property]
    ) -> None:
        name, down = "createdate", False
        if sorts:
            first = sorts[0]
            name = first if isinstance(first, str) else first["propertyName"]
            down = isinstance(first, dict) and first.get("direction") == "DESCENDING"
        ids.sort(key=int)
        if name == "hs_object_id":
            if down:
                ids.reverse()
            return
        rows = self.rows
        if name in known and known[name].type == "number":
            ids.sort(key=lambda i: float(rows[i][0].get(name) or 0), reverse=down)
        else:
            ids.sort(key=lambda i: rows[i][0].get(name) or "", reverse=down)


def _check(groups: Sequence[Mapping[str, Any]], sorts: Sequence[Any]) -> None:
    sizes = [len(g["filters"]) for g in groups]
    if len(groups) > _GROUPS or sum(sizes) > _FILTERS:
        raise malformed("Too many filters or filter groups")
    if any(n > _GROUP_FILTERS for n in sizes):
        raise malformed("Too many filters in a filter group")
    if len(sorts) > 1:
        raise malformed("Only one sort is allowed")


def _test(f: Mapping[str, Any], known: Mapping[str, Property], linked: Linked) -> Test:
    """One filter; instants compare as instants, numbers as numbers, texts without case."""
    name, op = f["propertyName"], f["operator"]
    if name.startswith("associations."):
        other, wanted = named(name.removeprefix("associations.")), str(f["value"])
        return lambda p: linked(p["hs_object_id"], other, wanted)
    if name not in known:
        raise malformed(
            f"There was a problem with the request: property {name} does not exist"
        )
    if op == "HAS_PROPERTY":
        return lambda p: name in p
    if op == "NOT_HAS_PROPERTY":
        return lambda p: name not in p
    read = _reader(known[name].type)
    try:
        passes = _compared(op, f, read)
    except ValueError:
        raise malformed(f"Invalid value for operator {op}") from None
    blank = op in {"NEQ", "NOT_IN", "NOT_CONTAINS_TOKEN"}

    return lambda p: passes(read(p[name])) if name in p else blank


def _reader(kind: str) -> Callable[[Any], Any]:
    if kind == "datetime":
        return lambda text: millis(str(text))
    return float if kind == "number" else lambda text: str(text).lower()


def _compared(
    op: str, f: Mapping[str, Any], read: Callable[[Any], Any]
) -> Callable[[Any], bool]:
    if op == "BETWEEN":
        low, high = read(f["value"]), read(f["highValue"])
        return lambda v: bool(low <= v <= high)
    if op in {"IN", "NOT_IN"}:
        listed, there = {read(v) for v in f["values"]}, op == "IN"
        return lambda v: (v in listed) is there
    if op in {"CONTAINS_TOKEN", "NOT_CONTAINS_TOKEN"}:
        token, there = str(f["value"]).lower().strip("*"), op == "CONTAINS_TOKEN"
        return lambda v: (token in str(v)) is there
    compare = _ORDER.get(op)
    if compare is None:
        raise malformed(f"Unknown operator {op}")
    wanted = read(f["value"])
    return lambda v: compare(v, wanted)


_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "EQ": lambda a, b: bool(a == b),
    "NEQ": lambda a, b: bool(a != b),
    "LT": lambda a, b: bool(a < b),
    "LTE": lambda a, b: bool(a <= b),
    "GT": lambda a, b: bool(a > b),
    "GTE": lambda a, b: bool(a >= b),
}
_READ: dict[str, int] = {}


def millis(text: str) -> int:
    """Epoch milliseconds of an instant."""
    found = _READ.get(text)
    if found is None:
        found = int(moment(text).timestamp() * 1000 + 0.5)
        if len(_READ) > _KEPT:
            _READ.clear()
        _READ[text] = found
    return found
