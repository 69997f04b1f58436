"""Two accounts and a project between them, watched: a write at a vendor is an intent in the state first."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx

from connector_hub.adapters.plugins import Plugins
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.vault import Vault
from connector_hub.hub import Hub, open_hub
from connector_hub.model.plan import Receipt
from connector_hub.sync.run import Options
from tests.conftest import PROJECT, Vendors
from tests.luck.accounts import contact, edit_left, edit_right, later, sf

RESOURCES = {
    "sales": ("left", ("contacts", "companies")),
    "billing": ("right", ("Contact", "Account")),
}
PAIRS = {"city": "MailingCity", "jobtitle": "Title", "lastname": "LastName"}
"""Fields as HubSpot and Salesforce call them."""
Hook = Callable[[str], Awaitable[None]]
Held = dict[str, dict[str, Any]]


async def nothing(_: str) -> None:
    """A call to which nothing happens."""


@dataclass
class Desk:
    """A project on two sandboxes. ``before`` and ``after`` happen around each call to a vendor.

    ``writes`` are the calls that changed what a vendor holds, ``calls`` all of them.
    """

    folder: Path
    direction: str = "both"
    vendors: Vendors = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    before: Hook = nothing
    after: Hook = nothing
    watched: bool = True
    """Whether a write must be an intent; one that arrives late may be settled by then."""
    opens: int = 0
    hub: Hub = field(init=False)
    """The one that was opened last."""

    def __post_init__(self) -> None:
        if not self.folder.exists():
            self.folder.mkdir()
            key = self.folder / "hub.key"
            key.touch(0o600)
            key.write_text("5" * 64)
        text = PROJECT.replace("DIRECTION", self.direction)
        (self.folder / "hub.yaml").write_text(text)
        if not self.vendors:
            plugins = Plugins()
            self.vendors.update(
                sales=plugins.sandbox("hubspot")(records=0, companies=1),
                billing=plugins.sandbox("salesforce")(),
            )

    @property
    def state(self) -> Path:
        return self.folder / "hub.db"

    def fill(self, people: int = 4) -> None:
        """Some people are at the left, some at the right, one is at both."""
        for n in range(people):
            contact(self.vendors, n, city=f"City {n}")
        sf(self.vendors, 0, MailingCity="City 0")
        if self.direction == "both":
            for n in range(people, people + 2):
                sf(self.vendors, n, Title=f"Title {n}")

    def edit(self, mark: str = "day") -> None:
        """Each side edits; a person comes to each that may send."""
        first, second, *_ = self.held("left", "contacts")
        edit_left(self.vendors, first, city=f"City {mark}")
        contact(self.vendors, 50 + sum(mark.encode()), city=f"New {mark}")
        if self.direction == "both":
            *_, third, last = self.held("right", "Contact")
            edit_right(self.vendors, last, Title=f"Title {mark}")
            edit_right(self.vendors, third, MailingCity=f"City {mark} R")
            edit_left(self.vendors, second, jobtitle=f"Title {mark} L")

    def held(self, side: str, resource: str) -> Held:
        """A vendor's records by id."""
        vendor = self.vendors["sales" if side == "left" else "billing"]
        key = "id" if side == "left" else "Id"
        return {r[key]: r for r in vendor.live(resource)}

    def pairs(self) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
        """People by e-mail, as left and right have them."""
        left = {
            r["properties"]["email"]: r["properties"]
            for r in self.held("left", "contacts").values()
        }
        right = {r["Email"]: r for r in self.held("right", "Contact").values()}
        return {e: (p, right[e]) for e, p in left.items() if e in right}

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Hub]:
        environ = {
            **{n: v for s in self.vendors.values() for n, v in s.env().items()},
            "HUBSPOT_URL": self.vendors["sales"].url,
            "SALESFORCE_URL": self.vendors["billing"].url,
            "SALESFORCE_CLIENT_ID": self.vendors["billing"].connection()["client_id"],
        }
        wires = {n: Wire(self, n) for n in self.vendors}
        self.opens += 1
        chance = Random(self.opens)
        async with open_hub(
            self.folder, environ=environ, transports=wires, chance=chance
        ) as hub:
            self.hub = hub
            yield hub

    async def sync(self, **options: Any) -> list[Receipt]:
        """All jobs, once, by a hub of their own."""
        later(self.vendors)
        async with self.opened() as hub:
            return [
                await hub.sync(j, options=Options(**options))
                for j in hub.jobs_in_order()
            ]

    async def comes_to_rest(self) -> None:
        """Within three runs both sides agree, nobody is lost or there twice, and nothing is left to do."""
        self.before = self.after = nothing
        for _ in range(4):
            receipts = await self.sync()
            if not any(sum(r.writes.values()) for r in receipts):
                break
        else:
            raise AssertionError("three runs were not enough")
        left = Counter(
            r["properties"]["email"] for r in self.held("left", "contacts").values()
        )
        right = Counter(r["Email"] for r in self.held("right", "Contact").values())
        assert left == right
        assert max(left.values()) == 1
        for email, (mine, theirs) in self.pairs().items():
            for name, there in PAIRS.items():
                assert (mine.get(name) or None) == (theirs.get(there) or None), email
        assert not self.intended()

    def intended(self) -> list[tuple[str, str, str | None]]:
        """What the state says is about to be written: (side, op, record)."""
        if not self.state.exists():
            return []
        key = bytes.fromhex((self.folder / "hub.key").read_text().strip())
        store = SqliteStore(self.state, Vault(key))
        try:
            return [
                (side, str(c.op), seen.id if (seen := c.seen(side)) else None)
                for job in ("companies", "contacts")
                for *_, changes in store.open_windows(job)
                for c in changes
                for side in c.writes()
            ]
        finally:
            store.close()


class Wire(httpx.AsyncBaseTransport):
    """A connection's way to its sandbox."""

    def __init__(self, desk: Desk, name: str) -> None:
        self._desk, self._inner = desk, httpx.ASGITransport(desk.vendors[name].app)
        self._side, self._resources = RESOURCES[name]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        desk, call = self._desk, f"{request.method} {request.url.path}"
        await desk.before(call)
        desk.calls.append(call)
        if request.method == "GET":
            answer = await self._inner.handle_async_request(request)
            await desk.after(call)
            return answer
        old = self._held()
        answer = await self._inner.handle_async_request(request)
        new = self._held()
        if old != new:
            if desk.watched:
                self._was_intended(old, new)
            desk.writes.append(call)
        await desk.after(call)
        return answer

    def _held(self) -> dict[str, Held]:
        return {r: self._desk.held(self._side, r) for r in self._resources}

    def _was_intended(self, old: dict[str, Held], new: dict[str, Held]) -> None:
        intents = [
            (op, i) for side, op, i in self._desk.intended() if side == self._side
        ]
        creates = sum(op == "create" for op, _ in intents)
        for resource in self._resources:
            was, now = old[resource], new[resource]
            made = now.keys() - was.keys()
            moved = {i for i in was if was[i] != now.get(i)}
            assert len(made) <= creates, "a create without its intent"
            assert moved <= {i for _, i in intents}, "a write without its intent"
