"""Associations, read and written in batches (https://developers.hubspot.com/docs/guides/api/crm/associations/associations-v4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connector_hub.sdk import (
    ConfigError,
    Done,
    Http,
    LinkPatch,
    Missing,
    Outcome,
    Ref,
    Rejected,
    Write,
)
from connector_hub_hubspot.kinds import ASSOCIATIONS, KINDS, named, primary_of
from connector_hub_hubspot.paths import Paths

_BATCH = 1_000
"""Records a call about associations takes; to make them it is twice as many, which we do not need."""
_NONE = "crm.associations.NO_ASSOCIATIONS_FOUND"

Found = dict[str, dict[str, Sequence[Ref]]]
"""Links by record and by the object that they lead to."""


class Links:
    """The associations of one account."""

    def __init__(self, http: Http, paths: Paths) -> None:
        self._http = http
        self._paths = paths
        self._types: dict[tuple[str, str], list[Mapping[str, Any]]] = {}

    async def of(self, resource: str, ids: Sequence[str], to: Iterable[str]) -> Found:
        """Links of records, in one call per object and 1,000 records."""
        found: Found = {i: {} for i in ids}
        for name in sorted(to):
            for i in range(0, len(ids), _BATCH):
                part = ids[i : i + _BATCH]
                told, none = await self._read(resource, name, part)
                for record in part:
                    if record in told:
                        found[record][name] = _labelled(name, told[record])
                    elif none is None or record in none:
                        found[record][name] = ()
        return found

    async def _read(
        self, resource: str, to: str, ids: Sequence[str]
    ) -> tuple[dict[str, Sequence[Any]], set[str] | None]:
        """Associations of records, and which have none; None where all that are not told of have none."""
        body = await self._http.post(
            f"{self._paths.associations}/{resource}/{to}/batch/read",
            json={"inputs": [{"id": x} for x in ids]},
            repeatable=True,
        )
        told = {str(r["from"]["id"]): r["to"] for r in body["results"]}
        return told, without(body.get("errors", ()))

    async def know(self, resource: str, writes: Iterable[Write]) -> None:
        """Read once what types there are, where the account has to be asked for them.

        Raises:
            ConfigError: there is no such label.
        """
        for w in writes:
            for to, patch in w.links.items():
                for ref in (*patch.add, *patch.remove):
                    await self._know(resource, to, ref.label)

    async def _know(self, resource: str, to: str, label: str | None) -> None:
        standing = {t.label for t in ASSOCIATIONS.get((resource, to), ())}
        if label in standing:
            return
        if (resource, to) not in self._types:
            body = await self._http.get(f"{self._paths.labels}/{resource}/{to}/labels")
            self._types[resource, to] = body["results"]
        if not any(_label(t) == label for t in self._types[resource, to]):
            raise ConfigError(
                f"HubSpot has no association label {label!r} from {resource} to {to}",
                where=self._http.connection,
                hint="make it in HubSpot's settings, or mend `label:` in the mapping",
            )

    def spec(self, resource: str, to: str, label: str | None) -> dict[str, Any]:
        """The type of a label, as associations are made by."""
        for t in ASSOCIATIONS.get((resource, to), ()):
            if t.label == label:
                return {
                    "associationCategory": t.category,
                    "associationTypeId": t.number,
                }
        known = next(t for t in self._types[resource, to] if _label(t) == label)
        return {
            "associationCategory": known["category"],
            "associationTypeId": known["typeId"],
        }

    async def write(
        self, resource: str, writes: Sequence[Write], outcomes: Sequence[Outcome]
    ) -> set[str]:
        """Links of the records that were written: new ones first, then those that end.

        Returns the records of which HubSpot refused some: they are read back.
        """
        unsure: set[str] = set()
        add: dict[str, list[dict[str, Any]]] = {}
        end: dict[str, list[tuple[str, Ref]]] = {}
        for w, outcome in zip(writes, outcomes, strict=True):
            if not isinstance(outcome, Done):
                continue
            for to, patch in w.links.items():
                for ref in patch.add:
                    add.setdefault(to, []).append(
                        self._association(resource, to, outcome.id, ref)
                    )
                end.setdefault(to, []).extend((outcome.id, r) for r in patch.remove)
        for to, inputs in add.items():
            unsure |= await self._send(resource, to, "create", inputs)
        for to, ended in end.items():
            if ended:
                unsure |= await self._end(resource, to, ended)
        return unsure

    def given(self, resource: str, patch: Mapping[str, LinkPatch]) -> list[Any]:
        """Associations that go along with a new record."""
        return [
            {"to": {"id": ref.id}, "types": [self.spec(resource, to, ref.label)]}
            for to, p in patch.items()
            for ref in p.add
        ]

    async def _end(
        self, resource: str, to: str, ended: Sequence[tuple[str, Ref]]
    ) -> set[str]:
        """End associations; one that has other labels besides keeps those, and loses ours only."""
        there: dict[tuple[str, str], set[int]] = {}
        ids = list(dict.fromkeys(i for i, _ in ended))
        for i in range(0, len(ids), _BATCH):
            told, _ = await self._read(resource, to, ids[i : i + _BATCH])
            for record, listed in told.items():
                for a in listed:
                    kinds = {int(t["typeId"]) for t in a["associationTypes"]}
                    there[record, str(a["toObjectId"])] = kinds
        whole, labels = [], []
        for record, ref in ended:
            association = self._association(resource, to, record, ref)
            ours = {t["associationTypeId"] for t in association["types"]}
            if ref.label and self._others(resource, to, there, record, ref) - ours:
                labels.append(association)
            else:
                whole.append({"from": {"id": record}, "to": [{"id": ref.id}]})
        unsure: set[str] = set()
        if labels:
            unsure |= await self._send(resource, to, "labels/archive", labels)
        if whole:
            unsure |= await self._send(resource, to, "archive", whole)
        return unsure

    def _others(
        self,
        resource: str,
        to: str,
        there: Mapping[tuple[str, str], set[int]],
        record: str,
        ref: Ref,
    ) -> set[int]:
        """The labels of an association, by number."""
        listed = self._types.get((resource, to), ())
        plain = {int(t["typeId"]) for t in listed if _label(t) is None}
        plain |= {
            t.number for t in ASSOCIATIONS.get((resource, to), ()) if t.label is None
        }
        return there.get((record, ref.id), set()) - plain

    def _association(
        self, resource: str, to: str, record: str, ref: Ref
    ) -> dict[str, Any]:
        """An association as HubSpot takes it, of its label's type."""
        kind = self.spec(resource, to, ref.label)
        return {"from": {"id": record}, "to": {"id": ref.id}, "types": [kind]}

    async def _send(
        self, resource: str, to: str, verb: str, inputs: Sequence[dict[str, Any]]
    ) -> set[str]:
        """Make or end associations; the records of a call in which any was refused."""
        unsure: set[str] = set()
        for i in range(0, len(inputs), _BATCH):
            part = inputs[i : i + _BATCH]
            try:
                answer = await self._http.send(
                    "POST",
                    f"{self._paths.associations}/{resource}/{to}/batch/{verb}",
                    json={"inputs": part},
                    repeatable=True,
                )
            except (Rejected, Missing):
                refused = True
            else:
                refused = bool((answer.json() or {}).get("errors"))
            if refused:
                unsure |= {str(x["from"]["id"]) for x in part}
        return unsure


def _label(kind: Mapping[str, Any]) -> str | None:
    return kind.get("label") or None


def without(errors: Iterable[Mapping[str, Any]]) -> set[str] | None:
    """Records that are told to have no associations; None where all unanswered ones have none.

    An error of another kind says nothing about its records: their links are unknown, not empty.
    """
    told = list(errors)
    none = {
        str(i)
        for e in told
        if e.get("subCategory") == _NONE
        for ids in e.get("context", {}).values()
        for i in ids
    }
    return none if any(e.get("subCategory") != _NONE for e in told) else None


def _labelled(to: str, listed: Sequence[Any]) -> tuple[Ref, ...]:
    """One reference for each label of an association; one without a label where it has none."""
    found = []
    for a in listed:
        labels = [t["label"] for t in a["associationTypes"] if t.get("label")]
        found += [Ref(to, str(a["toObjectId"]), label) for label in labels or [None]]
    return tuple(found)


def are_listed(resource: str, to: Iterable[str]) -> bool:
    """Whether the listing tells of all these in words that are known."""
    return all((resource, name) in ASSOCIATIONS for name in to)


def listed_links(
    resource: str, row: Mapping[str, Any], to: Iterable[str]
) -> tuple[dict[str, Sequence[Ref]], bool]:
    """Associations of a listed row: the primary one, and those without a label.

    Also whether that is all of it: more than a page, or labels of the account's own, have to be read apart.
    """
    found: dict[str, Sequence[Ref]] = dict.fromkeys(to, ())
    whole = True
    for key, told in row.get("associations", {}).items():
        name = named(key.replace(" ", "_"))
        if name not in found:
            continue
        words = _words(resource, name)
        refs: dict[str, Ref] = {}
        whole = whole and "paging" not in told
        for a in told["results"]:
            if a["type"] not in words:
                whole = False
                continue
            label = words[a["type"]]
            if label or a["id"] not in refs:
                refs[a["id"]] = Ref(name, a["id"], label)
        found[name] = tuple(refs.values())
    return found, whole


def _words(resource: str, to: str) -> dict[str, str | None]:
    """What the listing calls associations: the primary one has the plain word, where there is one."""
    word = f"{_singular(resource)}_to_{_singular(to)}"
    if primary_of((resource, to)) is None:
        return {word: None}
    return {word: "Primary", f"{word}_unlabeled": None}


def _singular(name: str) -> str:
    return KINDS[name].singular if name in KINDS else name
