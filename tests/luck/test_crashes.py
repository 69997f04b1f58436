"""Killed at every call to a vendor: conversion, pilot, approval, with leads and contacts."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.sync.run import Options

from .accounts import (
    BY_STAGE,
    contact,
    edit_left,
    edit_right,
    later,
    lead,
    left,
    rows,
    sf,
)
from .crash import Mine, mined


def world():
    plugins = Plugins()
    vendors = {
        "sales": plugins.sandbox("hubspot")(records=0, companies=0),
        "billing": plugins.sandbox("salesforce")(),
    }
    for n in range(4):
        contact(vendors, n, lifecyclestage="lead")
    for n in range(4, 8):
        contact(vendors, n, lifecyclestage="customer")
    for n in range(8, 11):
        lead(vendors, n)
        contact(vendors, n)
    for n in range(11, 14):
        sf(vendors, n)
    return vendors


async def nobody_twice(folder, vendors, keys, runs=4):
    for _ in range(runs):
        later(vendors)
        async with mined(folder, vendors, None, **keys) as hub:
            for j in hub.jobs_in_order():
                r = await hub.sync(j)
                if r.status == "waiting":
                    await hub.apply(r.plan)
    there = Counter(r["Email"] for k in ("Contact", "Lead") for r in rows(vendors, k))
    here = Counter(p["email"] for p in left(vendors).values())
    assert max(there.values()) == 1, there
    assert max(here.values()) == 1, here
    async with mined(folder, vendors, None, **keys) as hub:
        for j in hub.jobs_in_order():
            r = await hub.sync(j, options=Options(full=True))
            assert sum(r.writes.values()) == 0, r.document()
            assert hub.store.open_windows(j) == []
        return there, here, hub.conflicts("contacts"), list(hub.links("contacts"))


def convert_some(vendors):
    made = rows(vendors, "Lead")
    for r in made[::2]:
        vendors["billing"].edit("Lead", {"Id": r["Id"], "IsConverted": True})
    for i, _p in list(left(vendors).items())[::3]:
        edit_left(vendors, i, city="Bogor")
    for r in rows(vendors)[::2]:
        edit_right(vendors, r["Id"], Title="Buyer")
    contact(vendors, 100, lifecyclestage="lead")
    contact(vendors, 101, lifecyclestage="customer")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("when", ["first", "conversion", "approve", "pilot"])
async def test_killed(tmp_path, when, after):  # noqa: C901, PLR0912, PLR0915 - one story
    at, dead, bad = 0, True, []
    while dead:
        folder = tmp_path / str(at)
        folder.mkdir()
        vendors = world()
        keys = {"right": BY_STAGE}
        if when == "pilot":
            keys["pilot"] = "4"
        if when == "approve":
            keys["apply"] = "{when: {create: 0, update: 0}}"
        plans = []
        if when == "conversion":
            async with mined(folder, vendors, None, **keys) as hub:
                later(vendors)
                for j in hub.jobs_in_order():
                    await hub.sync(j)
            convert_some(vendors)
            later(vendors)
        if when == "approve":
            async with mined(folder, vendors, None, **keys) as hub:
                later(vendors)
                for j in hub.jobs_in_order():
                    r = await hub.sync(j)
                    if r.status == "waiting":
                        plans.append(r.plan)
            assert plans
        mine = Mine(at, after=after)
        try:
            async with mined(folder, vendors, mine, **keys) as hub:
                if plans:
                    for p in plans:
                        await hub.apply(p)
                else:
                    for j in hub.jobs_in_order():
                        await hub.sync(j)
        except BaseException:
            if not mine.dead:
                raise
        dead = mine.dead
        try:
            if when == "pilot":
                keys.pop("pilot") if at % 2 else None
            there, here, conflicts, links = await nobody_twice(folder, vendors, keys)
            if when != "pilot" or at % 2:
                assert set(there) == set(here), set(there) ^ set(here)
                assert not conflicts, conflicts
                assert len(links) == len(here)
                lefts = {p["email"]: p for p in left(vendors).values()}
                for k, f in (("Contact", "MailingCity"), ("Lead", "City")):
                    for r in rows(vendors, k):
                        assert (r[f] or None) == (
                            lefts[r["Email"]].get("city") or None
                        ), r["Email"]
                        assert (r["Title"] or None) == (
                            lefts[r["Email"]].get("jobtitle") or None
                        ), r["Email"]
            else:
                assert len(links) == 4, links
        except AssertionError as e:
            bad.append((at, mine.seen[-1:], str(e)[:300]))
        shutil.rmtree(folder)
        at += 1
    assert at > 5
    assert not bad, bad
