"""Line items as the rows of a deal or an order: records of their own that belong to one parent.

https://developers.hubspot.com/docs/guides/api/crm/objects/line-items
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from connector_hub.sdk import Done, Http, InDoubt, Outcome, Rejected, RowsPatch, Write
from connector_hub_hubspot.faults import refusal
from connector_hub_hubspot.links import Links
from connector_hub_hubspot.values import PREFIX, spelled

LINES = "line_items"
OWNERS = ("deals", "orders")
"""Objects whose records have lines."""
_BATCH = 100

Kept = Mapping[str, Sequence[Mapping[str, Any]]]
"""Lines by the record they belong to."""
At = Callable[[str, str], str]
"""The path of an object's records, and what is below."""


class Lines:
    """The lines of one account's deals and orders."""

    def __init__(self, http: Http, links: Links, at: At) -> None:
        self._http = http
        self._links = links
        self._at = at

    async def of(self, resource: str, ids: Sequence[str], paths: Iterable[str]) -> Kept:
        """All lines of records, oldest first; a record whose associations nobody told is left out."""
        links = await self._links.of(resource, ids, [LINES])
        held = {i: told[LINES] for i, told in links.items() if LINES in told}
        wanted = list(dict.fromkeys(r.id for refs in held.values() for r in refs))
        names = sorted({p.removeprefix(PREFIX) for p in paths if p.startswith(PREFIX)})
        rows: dict[str, Mapping[str, Any]] = {}
        for i in range(0, len(wanted), _BATCH):
            body = await self._http.post(
                self._at(LINES, "/batch/read"),
                json={
                    "properties": names,
                    "propertiesWithHistory": [],
                    "inputs": [{"id": x} for x in wanted[i : i + _BATCH]],
                },
                repeatable=True,
            )
            rows |= {row["id"]: row for row in body["results"]}
        return {
            record: [
                rows[i] for i in sorted({r.id for r in refs}, key=int) if i in rows
            ]
            for record, refs in held.items()
        }

    async def parents(self, resource: str, ids: Sequence[str]) -> list[str]:
        """The records of an object that lines belong to."""
        links = await self._links.of(LINES, ids, [resource])
        told = (r.id for found in links.values() for r in found.get(resource, ()))
        return list(dict.fromkeys(told))

    async def write(
        self, resource: str, writes: Sequence[Write], outcomes: Sequence[Outcome]
    ) -> list[Outcome]:
        """Lines of the records that were written; a record with a refused line is refused.

        New lines first, then those that change, then those that go.
        """
        found = list(outcomes)
        told = {w.trace: n for n, w in enumerate(writes)}
        due: dict[str, tuple[str, RowsPatch]] = {}
        for w, outcome in zip(writes, outcomes, strict=True):
            patch = w.fields.get(LINES)
            if isinstance(outcome, Done) and isinstance(patch, RowsPatch):
                due[w.trace] = (outcome.id, patch)
                found[told[w.trace]] = Done(outcome.id, created=outcome.created)
        again = [
            w.trace
            for w, o in zip(writes, outcomes, strict=True)
            if w.op == "create" and isinstance(o, Done) and o.created is False
        ]
        there = await self._there(resource, due, again)
        for verb, inputs in (
            ("create", self._new(resource, due, there)),
            ("update", _changed(due)),
        ):
            refused = await self._sent(verb, inputs)
            for trace, why in refused.items():
                found[told[trace]] = why
        gone = [i for _, patch in due.values() for i in patch.removed]
        for i in range(0, len(gone), _BATCH):
            await self._http.send(
                "POST",
                self._at(LINES, "/batch/archive"),
                json={"inputs": [{"id": x} for x in gone[i : i + _BATCH]]},
                repeatable=True,
            )
        return found

    async def _there(
        self,
        resource: str,
        due: Mapping[str, tuple[str, RowsPatch]],
        again: Sequence[str],
    ) -> dict[str, list[Mapping[str, Any]]]:
        """Lines of records that a create before this one had made: they are not made twice."""
        ids = {due[t][0]: t for t in again if t in due}
        if not ids:
            return {}
        paths = {p for t in ids.values() for r in due[t][1].rows for p in r.fields}
        kept = await self.of(resource, list(ids), paths)
        return {ids[record]: list(rows) for record, rows in kept.items()}

    def _new(
        self,
        resource: str,
        due: Mapping[str, tuple[str, RowsPatch]],
        there: Mapping[str, list[Mapping[str, Any]]],
    ) -> list[dict[str, Any]]:
        inputs = []
        for trace, (record, patch) in due.items():
            left = list(there.get(trace, ()))
            for n, row in enumerate(patch.rows):
                if row.id is not None:
                    continue
                properties = _properties(row.fields)
                same = next((r for r in left if _has(r, properties)), None)
                if same is not None:
                    left.remove(same)
                    continue
                kind = self._links.spec(LINES, resource, None)
                inputs.append(
                    {
                        "properties": properties,
                        "objectWriteTraceId": f"{trace}:{n}",
                        "associations": [{"to": {"id": record}, "types": [kind]}],
                    }
                )
        return inputs

    async def _sent(
        self, verb: str, inputs: Sequence[Mapping[str, Any]]
    ) -> dict[str, Outcome]:
        """What was refused, by the trace of the record; what nobody spoke of is in doubt."""
        refused: dict[str, Outcome] = {}
        for i in range(0, len(inputs), _BATCH):
            part = inputs[i : i + _BATCH]
            traces = {str(x["objectWriteTraceId"]) for x in part}
            try:
                body = await self._http.post(
                    self._at(LINES, f"/batch/{verb}"), json={"inputs": part}
                )
            except (InDoubt, Rejected) as e:
                refused |= dict.fromkeys(map(_record, traces), e)
                continue
            errors = body.get("errors", ())
            for error in errors:
                for trace in error.get("context", {}).get("objectWriteTraceId", ()):
                    refused[_record(trace)] = _of_a_row(error)
            if len(body["results"]) + len(errors) < len(part):
                doubt = InDoubt("the answer does not speak of every line")
                for record in map(_record, traces):
                    refused.setdefault(record, doubt)
        return refused


def _changed(due: Mapping[str, tuple[str, RowsPatch]]) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "properties": _properties(row.fields),
            "objectWriteTraceId": f"{trace}:{n}",
        }
        for trace, (_, patch) in due.items()
        for n, row in enumerate(patch.rows)
        if row.id is not None and row.fields
    ]


def _record(trace: str) -> str:
    """The trace of the record that a line's trace belongs to."""
    return trace.rpartition(":")[0]


def _properties(fields: Mapping[str, Any]) -> dict[str, str]:
    return {p.removeprefix(PREFIX): spelled(v) for p, v in fields.items()}


def _has(row: Mapping[str, Any], properties: Mapping[str, str]) -> bool:
    told = row["properties"]
    return all((told.get(n) or "") == v for n, v in properties.items())


def _of_a_row(error: Mapping[str, Any]) -> Outcome:
    why = refusal(error)
    if isinstance(why, Rejected):
        fields = tuple(f"{LINES}[].{PREFIX}{f}" for f in why.fields)
        return Rejected(why.message, reason=why.reason, fields=fields)
    return Rejected(why.message or str(why), reason="LINE_REFUSED")
