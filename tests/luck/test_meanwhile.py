"""More bad luck."""

from __future__ import annotations

import contextlib

import httpx
import pytest

from connector_hub.errors import HubError
from connector_hub.sync.run import Options
from connector_hub.testing.sandbox import Fault
from tests.conftest import Opener, Vendors

from .accounts import (
    BOTH,
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


async def test_an_approved_archive_spares_what_was_linked_to_somebody_else_meanwhile(
    opened: Opener, vendors: Vendors
) -> None:
    """H1 is deleted here; its copy C waits to be archived; a person says C is H2."""
    h1 = contact(vendors, 1)
    async with opened(
        "both",
        deletes="{follow: true}",
        guard="{delete: 10}",
        apply="{when: {delete: 0}}",
        create="right",
    ) as hub:
        later(vendors)
        await hub.sync("contacts")
        ((_, c),) = hub.links("contacts")
        h2 = contact(vendors, 2)
        vendors["sales"].edit("contacts", {"id": h1, "archived": True})
        later(vendors)
        held = await hub.sync("contacts", options=Options(full=True))
        assert held.status == "waiting", held.document()
        assert await hub.link("contacts", [(2, h2, c)]) == 1
        assert list(hub.links("contacts")) == [(h2, c)]
        await hub.apply(str(held.plan))
        assert [x["Id"] for x in rows(vendors)].count(c) == 1


async def test_nothing_personal_in_the_state(
    opened: Opener, vendors: Vendors, tmp_path
) -> None:
    for n in range(3):
        contact(vendors, n, city="Kotagede", lifecyclestage="lead")
        lead(vendors, n, City="Wonosobo")
    contact(vendors, 3), sf(vendors, 3), sf(vendors, 3)
    contact(vendors, 4, phone="0812-3456-7890", jobtitle="x" * 200)
    async with opened(
        "both",
        right=BY_STAGE,
        fields="{city: {both: ask}}",
        apply="{when: {create: 0}}",
    ) as hub:
        later(vendors)
        r = await hub.sync("contacts")
        assert r.status == "waiting"
        for line in (tmp_path / "hub.db", tmp_path / "hub.db-wal"):
            raw = line.read_bytes() if line.exists() else b""
            for word in (
                b"x.org",
                b"Person ",
                b"Kotagede",
                b"Wonosobo",
                b"PT Kopi",
                b"81234567890",
                b"8123456",
            ):
                assert word not in raw, (line.name, word)
        r = await hub.apply(r.plan)
        import json  # noqa: PLC0415 - needed here only

        text = json.dumps(
            [
                hub.runs(),
                [k.document() for k in hub.plans()],
                r.document(),
                [str(c) for c in hub.conflicts()],
                [str(c) for c in hub.dead_letters()],
            ],
            default=str,
        )
        for word in ("x.org", "Person ", "Kotagede", "Wonosobo"):
            assert word not in text, word
    for line in tmp_path.glob("hub.db*"):
        raw = line.read_bytes()
        for word in (
            b"x.org",
            b"Person ",
            b"Kotagede",
            b"Wonosobo",
            b"PT Kopi",
            b"81234567890",
        ):
            assert word not in raw, (line.name, word)


async def test_a_conversion_seen_while_a_plan_waits(
    opened: Opener, vendors: Vendors
) -> None:
    """The plan would update a lead; it is converted; the plan is approved; nothing is lost."""
    h, there = contact(vendors, 1), lead(vendors, 1)
    async with opened("both", right=BOTH, apply="{when: {update: 0}}") as hub:
        later(vendors)
        await hub.sync("contacts")
        edit_left(vendors, h, city="Bogor")
        later(vendors)
        held = await hub.sync("contacts")
        assert held.status == "waiting"
        vendors["billing"].edit("Lead", {"Id": there, "IsConverted": True})
        later(vendors)
        r = await hub.apply(held.plan)
        later(vendors)
        for _ in range(3):
            r = await hub.sync("contacts")
            if r.plan:
                await hub.apply(r.plan)
        (row,) = rows(vendors)
        assert row["MailingCity"] == "Bogor"
        assert len(left(vendors)) == 1
        assert rows(vendors, "Lead") == []


async def test_a_create_waits_and_the_person_appears_as_the_other_resource(
    opened: Opener, vendors: Vendors
) -> None:
    contact(vendors, 1, lifecyclestage="customer")
    async with opened("both", right=BY_STAGE, apply="{when: {create: 0}}") as hub:
        later(vendors)
        held = await hub.sync("contacts")
        lead(vendors, 1)
        later(vendors)
        r = await hub.apply(held.plan)
        assert rows(vendors) == []
        assert r.stale == 1


async def test_a_create_waits_and_its_person_is_merged_away(
    opened: Opener, vendors: Vendors
) -> None:
    a, b = contact(vendors, 1), contact(vendors, 2)
    async with opened("both", apply="{when: {create: 0}}") as hub:
        later(vendors)
        held = await hub.sync("contacts")
        async with httpx.AsyncClient(  # noqa: TID251 - as another program would
            transport=httpx.ASGITransport(app=vendors["sales"].app), base_url="http://x"
        ) as c:
            token = next(iter(vendors["sales"].env().values()))
            await c.post(
                "/crm/v3/objects/contacts/merge",
                json={"primaryObjectId": a, "objectIdToMerge": b},
                headers={"Authorization": f"Bearer {token}"},
            )
        later(vendors)
        r = await hub.apply(held.plan)
        for _ in range(3):
            later(vendors)
            r = await hub.sync("contacts")
            if r.plan:
                await hub.apply(r.plan)
        assert len(rows(vendors)) == 1
        assert len(left(vendors)) == 1


async def test_both_sides_convert_and_delete(opened: Opener, vendors: Vendors) -> None:
    """Lead made by the hub, converted, contact merged into one that exists without a link."""
    h = contact(vendors, 1, lifecyclestage="lead", city="Bogor")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        await hub.sync("contacts")
        (there,) = rows(vendors, "Lead")
        vendors["billing"].edit("Lead", {"Id": there["Id"], "IsConverted": True})
        (c1,) = rows(vendors)
        c2 = sf(vendors, 7)
        edit_right(vendors, c1["Id"], MasterRecordId=c2)
        for _ in range(3):
            later(vendors)
            await hub.sync("contacts")
        assert len(rows(vendors)) == 1
        assert list(hub.links("contacts")) == [(h, f"Contact/{c2}")]
        assert len(left(vendors)) == 1


async def test_a_vendor_that_fails_in_the_middle_of_an_approval(
    opened: Opener, vendors: Vendors
) -> None:
    for n in range(450):
        contact(vendors, n)
    async with opened("both", apply="{when: {create: 0}}") as hub:
        later(vendors)
        held = await hub.sync("contacts")
        vendors["billing"].faults.append(
            Fault(route="composite/sobjects", status=500, times=2, after=True)
        )
        with contextlib.suppress(HubError):
            r = await hub.apply(held.plan)
        vendors["billing"].faults.clear()
        n = len(rows(vendors))
        for _ in range(3):
            later(vendors)
            r = await hub.sync("contacts")
            if r.plan:
                r = await hub.apply(r.plan)
        assert len(rows(vendors)) == 450


@pytest.mark.parametrize(
    "edit",
    [
        "key_field",
        "resource",
        "direction",
        "swap",
        "one_of",
        "only",
        "pilot",
        "guard",
        "conn",
    ],
)
async def test_hub_yaml_edited_between_plan_and_approval(  # noqa: C901 - one story
    opened: Opener, vendors: Vendors, tmp_path, edit
) -> None:
    for n in range(3):
        contact(vendors, n, city="Bogor")
    async with opened("both", apply="{when: {create: 0}}") as hub:
        later(vendors)
        held = await hub.sync("contacts")
        assert held.status == "waiting"
    text = (tmp_path / "hub.yaml").read_text()
    old = text
    if edit == "key_field":
        text = text.replace(
            '    client_id: "${SALES', '    key_field: none\n    client_id: "${SALES'
        )
    if edit == "resource":
        text = text.replace("resource: Contact}", "resource: Lead}")
    if edit == "direction":
        text = text.replace("direction: both", "direction: right-to-left")
    if edit == "swap":
        i = text.index("  contacts:")
        text = text[:i] + text[i:].replace(
            "left: {connection: sales, resource: contacts}",
            "right: {connection: sales, resource: contacts}",
        ).replace(
            "right: {connection: billing, resource: Contact}",
            "left: {connection: billing, resource: Contact}",
        )
    if edit == "one_of":
        text = text.replace("{connection: billing, resource: Contact}", BOTH)
    if edit == "only":
        text += "    only: {city: [Solo]}\n"
    if edit == "pilot":
        text += "    pilot: 1\n"
    if edit == "guard":
        text += "    guard: {create: 1}\n"
    if edit == "conn":
        text = text.replace("sales:", "sales2:").replace(
            "connection: sales,", "connection: sales2,"
        )
    assert text != old
    (tmp_path / "hub.yaml").write_text(text)
    from connector_hub.hub import open_hub  # noqa: PLC0415 - needed here only

    environ = {
        **{n: v for s in vendors.values() for n, v in s.env().items()},
        "HUBSPOT_URL": vendors["sales"].url,
        "SALESFORCE_URL": vendors["billing"].url,
        "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
    }
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
    wires["sales2"] = wires["sales"]
    try:
        async with open_hub(tmp_path, environ=environ, transports=wires) as hub:
            with pytest.raises(HubError):
                await hub.apply(held.plan)
    except HubError:
        pass
    assert rows(vendors) == []
