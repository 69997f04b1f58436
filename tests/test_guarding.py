"""A person edits a record between the hub's reading and its writing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.diagnostics import Mistakes
from connector_hub.hub import Hub, open_hub
from connector_hub.sync.run import Options
from connector_hub_salesforce import Salesforce

from .conftest import Opener, Vendors

TWO_ORGS = """\
connections:
  north:
    connector: salesforce
    base_url: "http://127.0.0.1:1"
    client_id: sandbox-client
    client_secret: env:SECRET
  south:
    connector: salesforce
    base_url: "http://127.0.0.1:2"
    client_id: sandbox-client
    client_secret: env:SECRET
jobs:
  people:
    entity: contact
    left: {connection: north, resource: Contact}
    right: {connection: south, resource: Contact}
    direction: both
    guarding: GUARDING
"""
Orgs = Callable[[str], AbstractAsyncContextManager[Hub]]


@pytest.fixture
def north() -> Any:
    return Plugins().sandbox("salesforce")(records=6)


@pytest.fixture
def south() -> Any:
    return Plugins().sandbox("salesforce")()


@pytest.fixture
def orgs(tmp_path: Path, north: Any, south: Any, monkeypatch: Any) -> Orgs:
    """Two orgs kept in agreement: ``orgs(guarding)``."""
    check = Salesforce.check

    async def told_apart(self: Salesforce) -> Any:
        from dataclasses import replace  # noqa: PLC0415 - beside its use

        found = await check(self)
        south = self.config.base_url.endswith(":2")
        return replace(found, id="00D000000000002EAA") if south else found

    monkeypatch.setattr(Salesforce, "check", told_apart)

    @asynccontextmanager
    async def opening(guarding: str) -> AsyncIterator[Hub]:
        (tmp_path / "hub.yaml").write_text(TWO_ORGS.replace("GUARDING", guarding))
        wires = {
            "north": httpx.ASGITransport(app=north.app),
            "south": httpx.ASGITransport(app=south.app),
        }
        secret = {"SECRET": north.env()["SALESFORCE_CLIENT_SECRET"]}
        async with open_hub(tmp_path, environ=secret, transports=wires) as hub:
            yield hub

    return opening


def later(*vendors: Any, seconds: float = 60) -> None:
    for v in vendors:
        v.clock.advance(seconds)


def there(vendor: Any, email: str) -> dict[str, Any]:
    return next(r for r in vendor.live("Contact") if r["Email"] == email)


def meddle(monkeypatch: Any, vendor: Any, record: str, **fields: str) -> None:
    """A person edits a record right before the next update of it leaves."""
    write, done = Salesforce.write, []

    async def late(self: Salesforce, resource: str, writes: Any, *, way: Any) -> Any:
        if writes[0].op == "update" and not done:
            done.append(1)
            vendor.clock.advance(2)
            vendor.edit("Contact", {"Id": record, **fields})
        return await write(self, resource, writes, way=way)

    monkeypatch.setattr(Salesforce, "write", late)


async def prepared(hub: Hub, north: Any, south: Any) -> list[str]:
    """Both hold the same people, and all of the north's got another title."""
    await hub.sync("people")
    emails = [r["Email"] for r in north.live("Contact")]
    later(north, south)
    for row in north.live("Contact"):
        north.edit("Contact", {"Id": row["Id"], "Title": "ours"})
    later(north, south)
    return emails


async def test_rereading_leaves_a_window_that_is_measured_and_told(
    orgs: Orgs, north: Any, south: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with orgs("reread") as hub:
        first = await hub.sync("people")
        assert first.exposed is None
        assert "exposed" not in first.document()
        emails = await prepared(hub, north, south)
        mine = there(south, emails[0])["Id"]
        meddle(monkeypatch, south, mine, Title="a person's")
        receipt = await hub.sync("people")
    assert (receipt.updated, receipt.stale) == (6, 0)
    assert there(south, emails[0])["Title"] == "ours"
    assert receipt.exposed is not None
    assert 0 < receipt.exposed < 60
    assert receipt.document()["exposed"] == round(receipt.exposed, 1)


async def test_a_strict_job_never_overwrites_an_edit(
    orgs: Orgs, north: Any, south: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with orgs("strict") as hub:
        emails = await prepared(hub, north, south)
        mine = there(south, emails[0])["Id"]
        meddle(monkeypatch, south, mine, Title="a person's")
        receipt = await hub.sync("people")
        assert (receipt.updated, receipt.stale) == (5, 1)
        assert receipt.exposed is None
        assert there(south, emails[0])["Title"] == "a person's"
        later(north, south)
        again = await hub.sync("people")
        assert (again.conflicts, sum(again.writes.values())) == (1, 0)
        assert [c.kind for c in hub.conflicts("people")] == ["fields"]
    assert there(north, emails[0])["Title"] == "ours"
    assert there(south, emails[0])["Title"] == "a person's"


async def test_a_strict_plan_promises_a_call_for_each_record(
    orgs: Orgs, north: Any, south: Any
) -> None:
    async with orgs("reread") as hub:
        await prepared(hub, north, south)
        easy = await hub.plan("people")
    async with orgs("strict") as hub:
        plan = await hub.plan("people")
        assert plan.calls["south"]["calls"] >= easy.calls["south"]["calls"] + 5
        before = sum(south.calls.values())
        receipt = await hub.apply(plan)
        counted = sum(south.calls.values()) - before
    assert receipt.updated == 6
    assert counted <= sum(plan.calls["south"].values())
    assert south.calls["PATCH /services/data/v66.0/sobjects/Contact/{id}"] == 6


async def test_an_edit_of_what_is_not_mapped_makes_nothing_stale(
    orgs: Orgs, north: Any, south: Any
) -> None:
    """The vendor's version has moved; the values that count have not."""
    async with orgs("strict") as hub:
        emails = await prepared(hub, north, south)
        plan = await hub.plan("people")
        later(north, south)
        for row in south.live("Contact"):
            south.edit("Contact", {"Id": row["Id"], "Department": "Gudang"})
        receipt = await hub.apply(plan)
    assert (receipt.updated, receipt.stale) == (6, 0)
    assert there(south, emails[0])["Title"] == "ours"


async def test_what_was_read_long_before_its_window_is_read_again(
    orgs: Orgs, north: Any, south: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A two-way job overwrites records it looked at when it began to read."""
    async with orgs("reread") as hub:
        await hub.sync("people")
        emails = [r["Email"] for r in north.live("Contact")]
        later(north, south)
        for email in emails:
            north.edit("Contact", {"Id": there(north, email)["Id"], "Phone": ""})
            south.edit("Contact", {"Id": there(south, email)["Id"], "Title": "theirs"})
        later(north, south)
        tick, real = [0.0], hub.clock

        class Slow:
            """Every look at the clock takes three seconds."""

            now, sleep = real.now, real.sleep

            @staticmethod
            def monotonic() -> float:
                tick[0] += 3
                return tick[0]

        hub.clock = Slow()  # type: ignore[assignment]
        from connector_hub.sync import jobs  # noqa: PLC0415 - beside its use

        again = jobs._again_where_moved
        seen = []

        async def watched(run: Any, n: int, changes: Any) -> Any:
            seen.append(n)
            return await again(run, n, changes)

        monkeypatch.setattr(jobs, "_again_where_moved", watched)
        receipt = await hub.sync("people")
    assert receipt.updated == 6
    assert seen == [0]


@pytest.mark.parametrize(
    ("direction", "keys", "message", "hint"),
    [
        (
            "both",
            {},
            "hubspot has no call that updates contacts only where it has not moved",
            "write guarding: reread",
        ),
        (
            "left-to-right",
            {"deletes": "{follow: true}"},
            "salesforce has no call that archives Contact only where it has not moved",
            "write guarding: reread, or delete nothing",
        ),
        (
            "left-to-right",
            {"leaving": "delete", "only": "{country: [ID]}"},
            "salesforce has no call that archives Contact only where it has not moved",
            "write guarding: reread, or delete nothing",
        ),
    ],
)
async def test_a_promise_that_a_vendor_cannot_keep_is_refused_at_its_place(
    opened: Opener, direction: str, keys: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(Mistakes) as e:
        async with opened(direction, guarding="strict", **keys):
            pass
    (found,) = e.value.as_json()
    assert (found["message"], found["hint"]) == (message, hint)
    assert (found["line"], found["column"]) == (19, 15)


async def test_hubspot_may_be_the_source_of_a_strict_job(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(guarding="strict") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        sales = vendors["sales"]
        for row in sales.live("contacts"):
            sales.edit("contacts", {"id": row["id"], "properties": {"city": "Solo"}})
        sales.clock.advance(5)
        receipt = await hub.sync("contacts", options=Options(full=True))
    assert (receipt.updated, receipt.stale) == (20, 0)
