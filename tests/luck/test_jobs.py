"""Killed at every call of an asynchronous job, with a real sandbox behind HTTP."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.sdk import Way

from . import crash
from .accounts import contact, edit_left, later, left, rows
from .crash import Killed, Mine, mined


class Wire(httpx.AsyncBaseTransport):
    """Only calls about jobs are counted."""

    def __init__(self, app, mine):
        self.plain, self.mined = httpx.ASGITransport(app=app), _Wire(app, mine)
        self.mine = mine

    async def handle_async_request(self, request):
        if self.mine.dead:
            raise Killed
        at_work = "/jobs/" in request.url.path
        wire = self.mined if at_work else self.plain
        return await wire.handle_async_request(request)


_Wire = crash.Wire


@pytest.fixture
def hasty(monkeypatch):
    """Salesforce's asynchronous way is the cheapest for three rows, and done at once."""
    kind = Plugins().connector("salesforce")
    ways = (
        *(Way(op, 200) for op in ("list", "changed", "deleted", "fetch", "find")),
        *(Way(op, 1) for op in ("create", "update", "archive")),
        *(Way(op, 100, cost=2, asynchronous=True) for op in ("create", "update")),
    )
    made = tuple(replace(r, ways=ways) for r in kind.resources)
    monkeypatch.setattr(kind, "resources", made)
    monkeypatch.setattr("connector_hub_salesforce.bulk.LEAST", 0)
    monkeypatch.setattr(crash, "Wire", Wire)


def world():
    plugins = Plugins()
    vendors = {
        "sales": plugins.sandbox("hubspot")(records=0, companies=0),
        "billing": plugins.sandbox("salesforce")(),
    }
    vendors["billing"].bulk_seconds = 0
    for n in range(5):
        contact(vendors, n)
    return vendors


def filled(vendors):
    """How often each row was given to a job."""
    jobs = vendors["billing"].jobs.jobs.values()
    return Counter((j.body["operation"], row[0]) for j in jobs for row in j.rows)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("edited", [False, True], ids=["first copy", "edits"])
async def test_killed_at_every_call_of_a_job_each_row_is_in_one_and_none_is_lost(
    tmp_path, after, edited
):
    at, dead = 0, True
    while dead:
        folder = tmp_path / str(at)
        folder.mkdir()
        vendors = world()
        if edited:
            async with mined(folder, vendors, None, "left-to-right") as hub:
                await hub.sync("contacts")
            for record in left(vendors):
                edit_left(vendors, record, jobtitle="Buyer")
            later(vendors)
            vendors["billing"].jobs.jobs.clear()
        mine = Mine(at, after=after)
        try:
            async with mined(folder, vendors, mine, "left-to-right") as hub:
                await hub.sync("contacts")
        except BaseException:
            if not mine.dead:
                raise
        dead = mine.dead
        later(vendors)
        async with mined(folder, vendors, None, "left-to-right") as hub:
            for _ in range(2):
                await hub.sync("contacts")
                later(vendors)
            assert hub.store.open_windows("contacts") == []
            assert hub.store.tickets("contacts") == []
            assert len(list(hub.links("contacts"))) == 5
        there = rows(vendors)
        assert sorted(r["Email"] for r in there) == [f"p{n}@x.org" for n in range(5)]
        assert {r["Title"] for r in there} == {"Buyer" if edited else None}
        assert set(filled(vendors).values()) == {1}, (at, mine.seen[-1:])
        assert len(filled(vendors)) == 5
        at += 1
    assert at > 5
