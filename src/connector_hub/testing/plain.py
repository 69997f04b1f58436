"""A plain vendor of the testing kit's own: a connector in one page, to try the hub and to copy from.

The vendor itself is ``PlainVendor``; what it can do is said by ``Traits``. The four classes here are those
that matter for safety: unique keys and preconditions, unique keys only, neither, and ids only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from msgspec import structs

from connector_hub.sdk import (
    Account,
    Answer,
    Bearer,
    Can,
    Connector,
    Done,
    Effect,
    Fault,
    Gone,
    Kind,
    Limit,
    Outcome,
    Page,
    Pending,
    Record,
    Ref,
    Resource,
    SecretStr,
    Want,
    Way,
    Write,
    hookimpl,
)
from connector_hub.testing.plainvendor import KEY, Traits

_LAG = 30


class Plain(Connector):
    """A vendor with people and the firms they work for; subclass it to give it other traits."""

    name = "plain"
    auth = Bearer("token")
    base_url = "http://127.0.0.1"
    key_field: ClassVar[str | None] = KEY
    traits: ClassVar[Traits] = Traits()

    class Config(Connector.Config):
        """A connection needs a token and nothing else."""

        token: SecretStr

    @classmethod
    def resource(cls, name: str) -> Resource:
        """Both resources are alike; what can be done follows from the traits."""
        t = cls.traits
        can = Can.READ | Can.CREATE | Can.UPDATE | Can.ARCHIVE
        ways = [Way("fetch", 20), Way("update", 1), Way("archive", 1)]
        if t.unique_key:
            can |= Can.FIND
            ways.append(Way("find", 20))
        if t.preconditions:
            ways += [
                Way("update", 1, conditional=True),
                Way("archive", 1, conditional=True),
            ]
        effect = Effect.VENDOR_KEY if t.unique_key else Effect.UNSAFE
        feeds = ("changed", "deleted")
        return Resource(
            name, can, effect, feeds, ways=tuple(ways), lag=_LAG, indexed=True
        )

    async def check(self) -> Account:
        """The account and the user behind the token."""
        me = await self.http.get("/me")
        return Account(me["account"], me["account"], user=me["user"])

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """A page by (stamp, id). The mark is the vendor's own time at the first page."""
        since, _, after = (at or "").partition("|")
        params = {"since": since, "after": after}
        path = f"/{resource}/deleted" if feed == "deleted" else f"/{resource}"
        answer = await self.http.send("GET", path, params=params)
        body = answer.json()
        return Page(
            [self._read(row, want) for row in body["items"]],
            next=f"{since}|{body['next']}" if body["next"] else None,
            mark=None if after else _mark(answer),
            whole=not since and feed == "changed",
        )

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Records by id, those that are gone among them."""
        body = {"ids": list(ids)}
        found = await self.http.post(f"/{resource}/read", json=body, repeatable=True)
        return [self._read(row, want) for row in found["items"]]

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of one field, past any index."""
        body = {"field": path, "values": list(values)}
        found = await self.http.post(f"/{resource}/find", json=body, repeatable=True)
        there: dict[str, list[Record]] = {}
        for row in found["items"]:
            there.setdefault(row[path], []).append(self._record(row, want))
        return there

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome] | Pending:
        """One by one; only a conditional way tells which revision a write is for."""
        if not way.conditional:
            writes = [structs.replace(w, version=None) for w in writes]
        return await super().write(resource, writes, way=way)

    async def create(self, resource: str, write: Write) -> Done:
        """One record; where keys are unique, one that has this key already is answered as Exists."""
        key = {self.key: write.key} if self.key else {}
        row = await self.http.post(f"/{resource}", json={**write.fields, **key})
        return self._done(row)

    async def update(self, resource: str, write: Write) -> Done:
        """Only what is given changes."""
        path, headers = f"/{resource}/{write.id}", _condition(write)
        row = await self.http.patch(path, json=dict(write.fields), headers=headers)
        return self._done(row)

    async def archive(self, resource: str, write: Write) -> Done:
        """Quiet when it is gone already."""
        path, headers = f"/{resource}/{write.id}", _condition(write)
        await self.http.send("DELETE", path, headers=headers, ok=(404,))
        return Done(write.id or "")

    def limits(self) -> Sequence[Limit]:
        """A window to hold calls back in when the vendor says so."""
        return (Limit("calls", 1000, 1.0),)

    def fault(self, answer: Answer) -> Fault | None:
        """The vendor's refusals, and who is there already."""
        if answer.status in {409, 422}:
            said = answer.json()
            kind = Kind.EXISTS if answer.status == 409 else Kind.RECORD  # noqa: PLR2004
            return Fault(
                kind, said["message"], said.get("code", ""), there=said.get("id")
            )
        return None

    def _done(self, row: Mapping[str, Any]) -> Done:
        if self.traits.answers == "ids":
            return Done(row["id"])
        return Done(row["id"], str(row["rev"]), dict(row))

    def _read(self, row: Mapping[str, Any], want: Want) -> Record | Gone:
        if not row.get("gone"):
            return self._record(row, want)
        into = row.get("into")
        if into is None:
            return Gone(row["id"])
        return Gone(row["id"], "merged", Ref(row["resource"], into))

    def _record(self, row: Mapping[str, Any], want: Want) -> Record:
        fields = {name: row.get(name) for name in want.fields}
        key = row.get(self.key) if self.key else None
        return Record(row["id"], fields, str(row["rev"]), key=key, by=row["by"])


def _condition(write: Write) -> dict[str, str]:
    return {"If-Match": write.version} if write.version else {}


def _mark(answer: Answer) -> str:
    """So far the index was complete: the vendor's time less the lag of its index."""
    now = parsedate_to_datetime(answer.headers["date"]).astimezone(UTC)
    return (now - timedelta(seconds=_LAG)).isoformat()


class Guarded(Plain):
    """Unique keys, and preconditions on every write."""

    name = "guarded"


class Keyed(Plain):
    """Unique keys, but whoever writes last wins."""

    name = "keyed"
    traits = Traits(preconditions=False)


class Bare(Plain):
    """Neither keys nor preconditions."""

    name = "bare"
    key_field = None
    traits = Traits(unique_key=False, preconditions=False)


class Terse(Plain):
    """Unique keys; a write is answered with an id and nothing else."""

    name = "terse"
    traits = Traits(preconditions=False, answers="ids")


@hookimpl
def connector_hub_connectors() -> Sequence[type[Connector]]:
    """All four."""
    return [Guarded, Keyed, Bare, Terse]


def mappings(*kinds: type[Plain]) -> dict[str, str]:
    """Entities ``firm`` and ``person``, and how these connectors hold them: texts by path in a project.

    Args:
        kinds: the connectors; all four unless said.
    """
    found = {
        "mappings/firm/entity.yaml": _FIRM,
        "mappings/person/entity.yaml": _PERSON,
    }
    for kind in kinds or (Guarded, Keyed, Bare, Terse):
        for entity, text in (("firm", _FIRM_AT), ("person", _PERSON_AT)):
            path = f"mappings/{entity}/{kind.name}.yaml"
            found[path] = f"connector: {kind.name}\n{text}"
    return found


_FIRM = """\
entity: firm
identity: [[domain]]
fields:
  domain: {kind: text}
  name:   {kind: text}
  city:   {kind: text}
"""
_FIRM_AT = """\
entity: firm
resource: firms
fields:
  domain: {path: domain, via: [trim, lower]}
  name:   {path: name, via: [trim]}
  city:   {path: city, via: [trim]}
"""
_PERSON = """\
entity: person
identity: [[email]]
fields:
  email: {kind: email, class: pii}
  name:  {kind: text, class: pii}
  note:  {kind: text}
  phone: {kind: text, class: pii}
  firm:  {kind: link, to: firm}
"""
_PERSON_AT = """\
entity: person
resource: people
fields:
  email: {path: email, via: [trim, lower]}
  name:  {path: name, via: [trim]}
  note:  {path: note, via: [trim]}
  phone: {path: phone, via: [trim]}
  firm:  {link: {path: firm}}
"""

__all__ = ["Bare", "Guarded", "Keyed", "Plain", "Terse", "Traits", "mappings"]
