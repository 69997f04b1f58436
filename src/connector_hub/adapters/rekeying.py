"""Gives a state another key: what is sealed is sealed anew, what is hashed is hashed once more.

No value is needed for it, so nothing is read from a vendor and nothing is forgotten. Whoever has only the old
key opens nothing afterwards, and cannot try guesses against the hashes either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import orjson

from connector_hub.adapters.vault import Vault
from connector_hub.errors import HubError
from connector_hub.model.keyed import DIGEST, KEY_BYTES, keyed

_LAYOUT = 4
"""Bytes before the record's hash in a packed base; see ``sync.base``."""
_HEAD = _LAYOUT + DIGEST

SEALED = {
    ("plan", "document"): "id",
    ("staged", "payload"): "plan || '/' || n",
    ("window", "payload"): "plan || '/' || n",
    ("journal", "payload"): "'journal/' || run",
    ("standing", "payload"): "what || '/' || name",
    ("dead_letter", "payload"): "''",
}
"""Columns that are sealed as they are, and what each is bound to."""
HASHED = {
    ("conflict", "subject"): "changes",
    ("dead_letter", "change"): "changes",
    ("standing", "credentials"): "credentials",
    ("tombstone", "hash"): "erased",
}
"""Columns that are a keyed hash, and its domain."""
SPELLED = {
    ("decision", "seen"): "changes",
    ("told", "receiver"): "notices",
    ("untold", "receiver"): "notices",
}
"""Columns that are a keyed hash in hexadecimal digits."""
MIXED = {
    ("identity", "mark"): "remarked(mark)",
    (
        "base",
        "packed",
    ): "rebased(packed, (select hub from thing where id = base.thing), "
    "(select job from side where id = base.side), (select name from side where id = base.side))",
    ("conflict", "payload"): "reopened(payload)",
    ("plan", "needs"): "replanned(needs, id || '/needs')",
    ("token", "payload"): "retokened(payload, tenant || '/' || connection)",
}
"""Columns that hold hashes beside or within what is sealed."""
PLAIN = {
    ("thing", "hub"): "made of a record's place, without a key",
    ("decision", "hub"): "as thing.hub",
    ("dead_letter", "hub"): "as thing.hub",
    ("journal", "hubs"): "first bytes of thing.hub",
    ("writing", "seed"): "chance",
    ("ticket", "first"): "as thing.hub",
    ("ticket", "hubs"): "as thing.hub",
    ("swing", "hub"): "as thing.hub",
    (
        "swing",
        "value",
    ): "of those that stay, which are held, it is not compared any more",
    ("meta", "value"): "what is keyed of it, SqliteStore.rekey writes",
}
"""Columns of bytes that owe nothing to the key."""


class Rekeying:
    """Rewrites a state, within a transaction of the caller's."""

    def __init__(self, db: sqlite3.Connection, old: Vault, new: Vault) -> None:
        self._db = db
        self._old = old
        self._new = new
        self._keys: dict[str, bytes] = {}
        self._failed: HubError | None = None

    def all(self) -> None:
        """Every sealed and every hashed column.

        Raises:
            StoreError: something in the state was damaged; the caller rolls back.
        """
        self._teach("resealed", 2, lambda blob, at: self._resealed(blob, at.encode()))
        self._teach("rehashed", 2, self._rehashed)
        self._teach("respelled", 2, self._respelled)
        self._teach("remarked", 1, self._remarked)
        self._teach("rebased", 4, self._rebased)
        self._teach("reopened", 1, self._reopened)
        self._teach("replanned", 2, self._replanned)
        self._teach("retokened", 2, self._retokened)
        self._db.execute("delete from swing where not held")
        steps = {c: f"resealed({c[1]}, {at})" for c, at in SEALED.items()}
        steps |= {c: f"rehashed('{d}', {c[1]})" for c, d in HASHED.items()}
        steps |= {c: f"respelled('{d}', {c[1]})" for c, d in SPELLED.items()}
        for (table, column), made in {**steps, **MIXED}.items():
            self._update(f"update {table} set {column} = {made} where {column} notnull")  # noqa: S608 - constants

    def _update(self, sql: str) -> None:
        try:
            self._db.execute(sql)
        except sqlite3.OperationalError:
            if self._failed is not None:
                raise self._failed from None
            raise

    def _teach(self, name: str, arguments: int, work: Callable[..., Any]) -> None:
        """SQLite tells of a function that failed only that it did."""

        def told(*given: Any) -> Any:
            try:
                return work(*given)
            except HubError as e:
                self._failed = e
                raise

        self._db.create_function(name, arguments, told)

    def _resealed(self, sealed: bytes, at: bytes) -> bytes:
        return self._new.seal(self._old.open(sealed, at), at)

    def _retokened(self, sealed: bytes, at: str) -> bytes:
        clear = self._old.open(sealed, at.encode(), domain="tokens")
        return self._new.seal(clear, at.encode(), domain="tokens")

    def _rehashed(self, domain: str, digest: bytes) -> bytes:
        """A hash once more, under the new key's own; one of zeros says that there is none."""
        if not any(digest):
            return digest
        if domain not in self._keys:
            self._keys[domain] = self._new.derive(domain)[-KEY_BYTES:]
        return keyed(self._keys[domain], digest)

    def _respelled(self, domain: str, spelled: str) -> str:
        return self._rehashed(domain, bytes.fromhex(spelled)).hex()

    def _remarked(self, mark: bytes) -> bytes:
        """A mark is its set's number and a hash; the empty one says that there is none."""
        return mark[:1] + self._rehashed("identity", mark[1:]) if mark else mark

    def _rebased(self, packed: bytes, hub: bytes, job: str, side: str) -> bytes:
        record = self._rehashed("base", packed[_LAYOUT:_HEAD])
        bound = f"base\0{job}\0{side}\0".encode() + hub
        return packed[:_LAYOUT] + record + self._resealed(packed[_HEAD:], bound)

    def _reopened(self, sealed: bytes) -> bytes:
        detail = orjson.loads(self._old.open(sealed))
        return self._new.seal(orjson.dumps(self._detail(detail)))

    def _detail(self, detail: dict[str, Any]) -> dict[str, Any]:
        """What a conflict is about: of contested fields the hashes that were seen."""
        if "seen" not in detail:
            return detail
        seen = {n: self._respelled("changes", h) for n, h in detail["seen"].items()}
        return {**detail, "seen": seen}

    def _replanned(self, sealed: bytes, at: str) -> bytes:
        """What an apply needs; the conflicts that its plan has found are among it."""
        needs = orjson.loads(self._old.open(sealed, at.encode()))
        needs["held"] = [
            [kind, self._respelled("changes", h), members, self._detail(detail), about]
            for kind, h, members, detail, about in needs.get("held", ())
        ]
        return self._new.seal(orjson.dumps(needs), at.encode())
