"""Salesforce's change events: lost, doubled, shuffled or forged, both sides end up in agreement."""

from __future__ import annotations

import pytest

from connector_hub.sdk import Request
from connector_hub.sync.run import Options

from .accounts import contact, later, left, rows


async def hints(vendors, hub, monkeypatch, **how):
    """What the events since the last time hint at, kept as the listener keeps it."""
    live = await hub.connect("billing")
    heard: dict[str, list[str]] = {}

    async def deliver(_, body, headers):
        low = {k.lower(): v for k, v in headers.items()}
        look = live.connector.hear(Request("POST", "", low, body)).look
        for kind, ids in look.items():
            heard.setdefault(kind, []).extend(ids)
        return 204

    monkeypatch.setattr(vendors["billing"], "deliver", deliver)
    await vendors["billing"].send_webhooks("http://hub", **how)
    return heard


async def agree(hub, vendors):
    for _ in range(2):
        later(vendors)
        for job in hub.jobs_in_order():
            await hub.sync(job)
    there = {r["Email"]: r["Title"] for r in rows(vendors)}
    here = {p["email"]: p.get("jobtitle") or None for p in left(vendors).values()}
    assert there.items() <= here.items()
    # Of the two that were merged there, a person decides here.
    assert here.keys() - there.keys() == {"p7@x.org"}
    assert [c.kind for c in hub.conflicts("contacts")] == ["merged"]
    for job in hub.jobs_in_order():
        told = await hub.sync(job, options=Options(full=True))
        assert sum(told.writes.values()) == 0


@pytest.mark.parametrize("how", ["lost", "doubled", "shuffled", "forged"])
async def test_however_events_come_both_sides_agree(vendors, opened, monkeypatch, how):
    for n in range(12):
        contact(vendors, n)
    async with opened("both") as hub:
        for job in hub.jobs_in_order():
            await hub.sync(job)
        org = vendors["billing"]
        await hints(vendors, hub, monkeypatch)
        later(vendors)
        edited = [r["Id"] for r in rows(vendors) if r["Email"] < "p6"]
        for record in edited:
            org.edit("Contact", {"Id": record, "Title": f"Buyer {record[-5:]}"})
        by_email = {r["Email"]: r["Id"] for r in rows(vendors)}
        loser, winner = by_email["p7@x.org"], by_email["p8@x.org"]
        org.edit("Contact", {"Id": loser, "MasterRecordId": winner})
        heard = await hints(
            vendors,
            hub,
            monkeypatch,
            double=how == "doubled",
            shuffle=how == "shuffled",
        )
        assert {*edited, loser, winner} <= set(heard["Contact"])
        if how == "lost":
            heard = {}
        if how == "forged":
            heard = {"Contact": ["003000000000000AAA", loser, "no id at all"]}
        hub.store.hint("contacts", "right", heard.get("Contact", []))
        wrote = await hub.sync("contacts", options=Options(inbox_only=True))
        expected = 0 if how in {"lost", "forged"} else len(edited)
        assert wrote.writes["sales"] >= expected
        await agree(hub, vendors)
