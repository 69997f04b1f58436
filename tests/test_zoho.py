"""Zoho CRM in a project with HubSpot: leads that become customers, merges, notifications, crowds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector_hub.adapters.http import post
from connector_hub.adapters.plugins import Plugins
from connector_hub.hub import Hub, open_hub
from connector_hub.sync import schedule
from connector_hub.sync.run import Options
from connector_hub.sync.schedule import Event
from connector_hub_zoho import sandbox as rules
from connector_hub_zoho.sandbox import NOTIFIED, ZohoSandbox
from tests.conftest import LONG

PROJECT = """\
connections:
  sales: {connector: hubspot, base_url: "http://127.0.0.1", token: env:HUBSPOT_TOKEN, region: ID}
  crm:
    connector: zoho
    base_url: "http://127.0.0.1"
    token: env:ZOHO_TOKEN
    notify_token: env:NOTIFIED
    region: ID
jobs:
  companies:
    entity: company
    left: {connection: sales, resource: companies}
    right: {connection: crm, resource: Accounts}
    direction: both
    every: 24h
  contacts:
    entity: contact
    left: {connection: sales, resource: contacts}
    right:
      connection: crm
      one_of: [{resource: Contacts}, {resource: Leads}]
      create_as: [{resource: Contacts}]
    direction: both
    every: 24h
"""


class Project:
    """A hub between the two accounts."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.sales: Any = Plugins().sandbox("hubspot")(**more)
        self.crm = ZohoSandbox()
        self.folder = folder
        (folder / "hub.yaml").write_text(PROJECT)

    @asynccontextmanager
    async def hub(self) -> AsyncIterator[Hub]:
        environ = {**self.sales.env(), **self.crm.env(), "NOTIFIED": NOTIFIED}
        wires = {
            "sales": httpx.ASGITransport(app=self.sales.app),
            "crm": httpx.ASGITransport(app=self.crm.app),
        }
        async with open_hub(self.folder, environ=environ, transports=wires) as hub:
            yield hub

    async def sync(self, *, full: bool = False) -> dict[str, int]:
        """Both jobs once, some minutes later; what they wrote."""
        wrote = {"sales": 0, "crm": 0}
        async with self.hub() as hub:
            for job in ("companies", "contacts"):
                receipt = await hub.sync(job, options=Options(full=full))
                assert receipt.conflicts == receipt.dead_letters == 0
                for name, n in receipt.writes.items():
                    wrote[name] += n
            self.pairs = dict(hub.links("contacts"))
        for sandbox in (self.sales, self.crm):
            sandbox.clock.advance(600)
        return wrote

    async def rest(self) -> None:
        """Nothing is left to be written, by a full pass either."""
        for _ in range(3):
            if not any((await self.sync()).values()):
                break
        assert not any((await self.sync(full=True)).values())

    def people(self) -> dict[str, dict[str, Any]]:
        return {r["id"]: r["properties"] for r in self.sales.live("contacts")}


async def test_a_web_lead_that_is_converted_keeps_its_link_and_doubles_nobody(tmp_path):
    p = Project(tmp_path)
    lead = p.crm.fill_form(Last_Name="Lovelace", Company="Zylker", Email="ada@x.org")
    p.crm.edit("Accounts", {"Account_Name": "Zylker"})
    await p.sync()
    ((here, there),) = p.pairs.items()
    assert there == f"Leads/{lead}"
    assert p.people()[here]["email"] == "ada@x.org"
    deal = {"Deal_Name": "Big", "Stage": "Qualification"}
    became = p.crm.convert(lead, deal=deal)
    p.sales.edit("contacts", {"id": here, "properties": {"jobtitle": "Countess"}})
    await p.rest()
    assert p.pairs == {here: f"Contacts/{became['Contacts']}"}
    assert len(p.people()) == len(p.crm.live("Contacts")) == 1
    assert len(p.sales.live("companies")) == len(p.crm.live("Accounts")) == 1
    assert p.crm.live("Contacts")[0]["Title"] == "Countess"


async def test_a_lead_that_is_converted_into_a_known_contact_is_a_question_at_most(
    tmp_path,
):
    p = Project(tmp_path)
    lead = p.crm.fill_form(Last_Name="Lovelace", Company="Zylker", Phone="+62811111111")
    known = p.crm.edit("Contacts", {"Last_Name": "Byron", "Email": "b@x.org"})["id"]
    await p.sync()
    assert len(p.people()) == 2
    p.crm.convert(lead, contact=known)
    async with p.hub() as hub:
        for _ in range(2):
            await hub.sync("contacts")
    assert len(p.people()) == 2
    assert len(p.crm.live("Contacts")) == 1


async def test_a_loser_of_a_merge_leaves_its_counterpart_to_the_survivor(tmp_path):
    p = Project(tmp_path)
    first = p.crm.edit("Contacts", {"Last_Name": "Ada", "Email": "ada@x.org"})["id"]
    await p.sync()
    ((here, _),) = p.pairs.items()
    survivor = p.crm.edit("Contacts", {"Last_Name": "Ada", "Title": "Countess"})["id"]
    p.crm.account.merge("Contacts", survivor, [first])
    assert p.crm.live("Contacts")[0]["Email"] == "ada@x.org"
    await p.rest()
    assert p.pairs == {here: f"Contacts/{survivor}"}
    assert len(p.people()) == 1
    assert p.people()[here]["jobtitle"] == "Countess"


async def test_a_record_that_is_restored_is_the_one_it_was(tmp_path):
    p = Project(tmp_path)
    record = p.crm.edit("Contacts", {"Last_Name": "Ada", "Email": "ada@x.org"})["id"]
    await p.sync()
    ((here, _),) = p.pairs.items()
    p.crm.edit("Contacts", {"id": record, "deleted": True})
    await p.sync()
    p.crm.edit("Contacts", {"id": record, "restored": True})
    p.crm.edit("Contacts", {"id": record, "Title": "Countess"})
    await p.rest()
    assert p.pairs == {here: f"Contacts/{record}"}
    assert p.people()[here]["jobtitle"] == "Countess"
    assert len(p.crm.live("Contacts")) == 1


@pytest.mark.parametrize("count", [1_000, *([25_000] if LONG else [])])
async def test_a_crowd_changed_in_one_second_is_planned_once_each(
    tmp_path, monkeypatch, count
):
    if count < 25_000:
        monkeypatch.setattr(rules, "_PAGED", 200)
        monkeypatch.setattr(rules, "_TOKENED", 400)
    p = Project(tmp_path)
    at = p.crm.clock.now()
    for i in range(count):
        fields = {"Last_Name": f"L{i}", "Email": f"{i}@x.org"}
        p.crm.account.put("Contacts", None, fields, at=at)
    first = await p.sync()
    assert first == {"sales": count, "crm": 0}
    moved = p.crm.clock.now()
    for record in list(p.crm.account.modules["Contacts"].live):
        p.crm.account.put("Contacts", record, {"Title": "Moved"}, at=moved)
    assert await p.sync() == {"sales": count, "crm": 0}
    titles = [r["jobtitle"] for r in p.people().values()]
    assert titles == ["Moved"] * count
    assert await p.sync() == {"sales": 0, "crm": 0}


JSON = {"Content-Type": "application/json"}


class Listening:
    """A hub that hears notifications."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not seen():
                self.changed.clear()
                await self.changed.wait()

    @property
    def url(self) -> str:
        said = [e.said for e in self.events if e.kind == "listening"]
        return said[1].removeprefix("webhooks of crm come to ")

    def wrote(self) -> int:
        ended = [
            e.receipt for e in self.events if (e.kind, e.job) == ("ended", "contacts")
        ]
        return sum(r.writes["sales"] for r in ended if r)


@asynccontextmanager
async def listening(p: Project) -> AsyncIterator[Listening]:
    found = Listening()
    async with p.hub() as hub:
        run = asyncio.ensure_future(hub.run(found.tell, listen=("127.0.0.1", 0)))
        try:
            await found.until(
                lambda: sum(e.kind == "listening" for e in found.events) > 1
            )
            yield found
            assert not run.done()
        finally:
            run.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await run


async def test_notifications_are_hints_however_they_come(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "SETTLE", 0.05)
    monkeypatch.setattr(schedule, "REST", 0.1)
    p = Project(tmp_path)
    ids = [
        p.crm.edit("Contacts", {"Last_Name": f"L{i}", "Email": f"{i}@x.org"})["id"]
        for i in range(8)
    ]
    await p.sync()
    async with listening(p) as hub:
        assert await p.crm.send_webhooks(hub.url) == [204]
        for i, record in enumerate(ids[:6]):
            for title in ("First", f"Last {i}"):
                p.crm.edit("Contacts", {"id": record, "Title": title})
        told = await p.crm.send_webhooks(hub.url, double=True, shuffle=True)
        assert set(told) == {204}
        await hub.until(lambda: hub.wrote() == 6)
        p.crm.edit("Contacts", {"id": ids[6], "Title": "Lost"})
        p.crm.edit("Contacts", {"id": ids[7], "Title": "Forged"})
        body = b'{"module":"Contacts","ids":["%s"],"token":"%s"}'
        for token in (b"", b"guessed", b"\xff"):
            message = body % (ids[7].encode(), token)
            assert await post(hub.url, message, JSON, seconds=5) == 401
        assert await post(hub.url, b"[]", JSON, seconds=5) == 401
        p.crm._since()
        p.crm.clock.advance(8 * 86_400)
        p.crm.edit("Contacts", {"id": ids[6], "Title": "Unheard"})
        assert await p.crm.send_webhooks(hub.url) == []
    await p.rest()
    titles = sorted(r["jobtitle"] for r in p.people().values())
    assert titles == ["Forged", *(f"Last {i}" for i in range(6)), "Unheard"]
