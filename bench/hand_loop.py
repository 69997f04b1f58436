"""The opponent: the loop a good engineer writes by hand for this one job, and no other.

    hand_loop.py SOURCE TARGET N

Copies N contacts, twelve mapped fields, in batches of 100. The next page is fetched
while the last is mapped, four writers overlap, and a link with one keyed hash a record
goes to SQLite in batches of 500, so that a second run would write only what changed.
It has no plan, no intents, no base of fields, no limits, no retries.
Prints one JSON line: ``{"read", "written"}``.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
from httpx import AsyncClient  # noqa: TID251 - measured against the hub's own

PAGE, BATCH, WRITERS, COMMIT = 100, 100, 4, 500
KEY = bytes(range(32))
READ = (
    *("email", "firstname", "lastname", "phone", "company", "jobtitle"),
    *("city", "country", "zip", "createdate", "lifecyclestage", "hs_score"),
)
STAGE = {"lead": "lead", "subscriber": "lead", "customer": "customer"}
_CONTACTS = "/crm/v3/objects/contacts"


def mapped(p: Mapping[str, Any]) -> dict[str, Any]:
    """A contact as the target shall hold it."""
    return {
        "email": p["email"].strip().lower(),
        "firstname": (p.get("firstname") or "").strip(),
        "lastname": (p.get("lastname") or "").strip(),
        "phone": p.get("phone") or "",
        "company": p.get("company") or "",
        "jobtitle": (p.get("jobtitle") or "").strip(),
        "city": (p.get("city") or "").upper(),
        "country": p.get("country") or "",
        "zip": p.get("zip") or "",
        "createdate": datetime.fromisoformat(p["createdate"]).date().isoformat(),
        "lifecyclestage": STAGE.get(p["lifecyclestage"], ""),
        "hs_score": str(int(p.get("annualrevenue") or 0)),
    }


def fingerprint(p: Mapping[str, Any]) -> bytes:
    """A keyed hash of the raw values that are mapped."""
    values = orjson.dumps([p.get(n) for n in READ])
    return hashlib.blake2b(values, key=KEY, digest_size=16).digest()


class Links:
    """Which record is which at the target, and what it was made from."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode = wal; pragma synchronous = normal;"
            "create table link(source text primary key, target text, made_from blob)"
            " without rowid;"
        )
        self._rows: list[tuple[str, str, bytes]] = []

    def known(self, ids: Sequence[str]) -> dict[str, bytes]:
        """What these records were made from when they were last written."""
        marks = ",".join("?" * len(ids))
        query = f"select source, made_from from link where source in ({marks})"  # noqa: S608
        return dict(self._db.execute(query, ids))

    def keep(self, rows: Sequence[tuple[str, str, bytes]]) -> None:
        """Remember links; committed five hundred at a time."""
        self._rows += rows
        if len(self._rows) >= COMMIT:
            self.flush()

    def flush(self) -> None:
        """Commit what is remembered."""
        self._db.execute("begin immediate")
        self._db.executemany(
            "insert into link values (?, ?, ?) on conflict(source) do update"
            " set target = excluded.target, made_from = excluded.made_from",
            self._rows,
        )
        self._db.execute("commit")
        self._rows.clear()


class Loop:
    """The copy."""

    def __init__(self, source: AsyncClient, target: AsyncClient, links: Links) -> None:
        self._source = source
        self._target = target
        self._links = links
        self.read = self.written = 0

    async def run(self) -> None:
        """Copy everything."""
        after: str | None = "0"
        ahead = asyncio.ensure_future(self._page("0"))
        buffer: list[tuple[str, dict[str, Any], bytes]] = []
        writers: set[asyncio.Future[None]] = set()
        while after is not None:
            body = orjson.loads(await ahead)
            paging = body.get("paging")
            after = paging["next"]["after"] if paging else None
            if after is not None:
                ahead = asyncio.ensure_future(self._page(after))
            buffer += self._differing(body["results"])
            while len(buffer) >= BATCH or (buffer and after is None):
                batch, buffer = buffer[:BATCH], buffer[BATCH:]
                if len(writers) >= WRITERS:
                    done, writers = await asyncio.wait(
                        writers, return_when=asyncio.FIRST_COMPLETED
                    )
                    for d in done:
                        d.result()
                writers.add(asyncio.ensure_future(self._write(batch)))
        await asyncio.gather(*writers)
        self._links.flush()

    def _differing(
        self, rows: Sequence[Mapping[str, Any]]
    ) -> list[tuple[str, dict[str, Any], bytes]]:
        self.read += len(rows)
        known = self._links.known([r["id"] for r in rows])
        found = []
        for row in rows:
            properties = row["properties"]
            mark = fingerprint(properties)
            if known.get(row["id"]) != mark:
                found.append((row["id"], mapped(properties), mark))
        return found

    async def _page(self, after: str) -> bytes:
        url = f"{_CONTACTS}?limit={PAGE}&after={after}"
        answer = await self._source.get(url)
        answer.raise_for_status()
        return answer.content

    async def _write(self, batch: Sequence[tuple[str, dict[str, Any], bytes]]) -> None:
        inputs = [
            {"id": p["email"], "idProperty": "email", "properties": p}
            for _, p, _ in batch
        ]
        answer = await self._target.post(
            f"{_CONTACTS}/batch/upsert", content=orjson.dumps({"inputs": inputs})
        )
        answer.raise_for_status()
        rows = orjson.loads(answer.content)["results"]
        self.written += len(rows)
        self._links.keep(
            [
                (source, row["id"], mark)
                for (source, _, mark), row in zip(batch, rows, strict=True)
            ]
        )


async def copy(source: str, target: str) -> Loop:
    """Copy all contacts of one account to another."""
    headers = {"Authorization": "Bearer x", "Content-Type": "application/json"}

    def client(url: str) -> AsyncClient:
        return AsyncClient(base_url=url, headers=headers, timeout=60)

    with tempfile.TemporaryDirectory() as folder:
        async with client(source) as left, client(target) as right:
            loop = Loop(left, right, Links(Path(folder) / "state.db"))
            await loop.run()
    return loop


def main() -> None:
    """Read the command line, copy, check, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("contacts", type=int)
    asked = parser.parse_args()
    loop = asyncio.run(copy(asked.source, asked.target))
    assert loop.read == loop.written == asked.contacts
    print(json.dumps({"read": loop.read, "written": loop.written}))


if __name__ == "__main__":
    main()
