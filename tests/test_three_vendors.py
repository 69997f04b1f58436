"""Any two of the vendors are kept in agreement, and a ring of three comes to rest."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import ConfigError
from connector_hub.hub import Hub, open_hub
from tests.conftest import LONG

RESOURCES: dict[str, dict[str, str]] = {
    "hubspot": {
        "company": "companies",
        "contact": "contacts",
        "lead": "contacts",
        "deal": "deals",
        "product": "products",
    },
    "salesforce": {
        "company": "Account",
        "contact": "Contact",
        "lead": "Lead",
        "deal": "Opportunity",
        "product": "Product2",
    },
    "zoho": {
        "company": "Accounts",
        "contact": "Contacts",
        "lead": "Leads",
        "deal": "Deals",
        "product": "Products",
    },
}
RING = ("hubspot", "salesforce", "zoho")
SHIPPED = Path(__file__).parents[1] / "mappings"
NATIVE: dict[str, dict[str, tuple[str, ...]]] = {
    "contact": {
        "hubspot": ("email", "lastname", "jobtitle", "city"),
        "salesforce": ("Email", "LastName", "Title", "MailingCity"),
        "zoho": ("Email", "Last_Name", "Title", "Mailing_City"),
    },
    "lead": {
        "hubspot": ("email", "lastname", "jobtitle", "city", "company"),
        "salesforce": ("Email", "LastName", "Title", "City", "Company"),
        "zoho": ("Email", "Last_Name", "Designation", "City", "Company"),
    },
    "deal": {
        "hubspot": ("dealname", "hs_next_step", "description", "amount"),
        "salesforce": ("Name", "NextStep", "Description", "Amount"),
        "zoho": ("Deal_Name", "Next_Step", "Description", "Amount"),
    },
    "product": {
        "hubspot": ("hs_sku", "name", "description"),
        "salesforce": ("ProductCode", "Name", "Description"),
        "zoho": ("Product_Code", "Product_Name", "Description"),
    },
}
"""What each vendor calls the same words; the first of them tells who is who."""
BORN: dict[tuple[str, str], dict[str, Any]] = {
    ("hubspot", "deal"): {
        "dealstage": "appointmentscheduled",
        "pipeline": "default",
        "closedate": "2026-12-31T00:00:00Z",
    },
    ("salesforce", "deal"): {"StageName": "Qualification", "CloseDate": "2026-12-31"},
    ("zoho", "deal"): {"Stage": "Qualification", "Closing_Date": "2026-12-31"},
    ("salesforce", "lead"): {"Status": "Open - Not Contacted"},
}
"""What a person must say besides, to make one."""


def born(vendor: Any, entity: str, words: tuple[Any, ...], record: str = "") -> None:
    """A person makes a record, or changes one, in the vendor's own words; None leaves a word alone."""
    named = zip(NATIVE[entity][vendor.name], words, strict=True)
    body = {n: v for n, v in named if v is not None}
    if not record:
        body |= BORN.get((vendor.name, entity), {})
    if vendor.name == "hubspot":
        body = {"properties": {n: str(v) for n, v in body.items()}}
    known = {"Id" if vendor.name == "salesforce" else "id": record} if record else {}
    vendor.edit(RESOURCES[vendor.name][entity], {**body, **known})


def seen(vendor: Any, entity: str) -> dict[str, tuple[str, ...]]:
    """What a vendor holds, in its own words and in one notation, by record."""
    found = {}
    for row in vendor.live(RESOURCES[vendor.name][entity]):
        held = row["properties"] if vendor.name == "hubspot" else row
        record = row["Id"] if vendor.name == "salesforce" else row["id"]
        found[record] = tuple(_plain(held.get(n)) for n in NATIVE[entity][vendor.name])
    return found


def _plain(value: Any) -> str:
    if value is None or value == "":
        return ""
    try:
        return f"{float(value):g}"
    except ValueError:
        return str(value)


def spoken(vendor: str, entity: str) -> bool:
    """Whether a vendor's dialect of an entity is shipped."""
    return any((SHIPPED / entity).glob(f"{vendor}*.yaml"))


def project(
    pairs: list[tuple[str, str]],
    vendors: dict[str, Any],
    entities: tuple[str, ...] = ("company", "contact"),
) -> str:
    lines = ["connections:"]
    for name, sandbox in vendors.items():
        lines.append(f"  {name}:")
        lines += [f"    {k}: {v!r}" for k, v in sandbox.connection().items()]
        if name == "hubspot":
            lines += ["    region: ID", "    zone: Asia/Jakarta"]
    lines.append("jobs:")
    for n, (left, right) in enumerate(pairs):
        for entity in entities:
            lines += [
                f"  {entity}{n}:",
                f"    entity: {entity}",
                f"    left: {{connection: {left}, resource: {RESOURCES[left][entity]}}}",
                f"    right: {{connection: {right}, resource: {RESOURCES[right][entity]}}}",
                "    direction: both",
            ]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def opened(
    folder: Any,
    pairs: list[tuple[str, str]],
    vendors: dict[str, Any],
    entities: tuple[str, ...] = ("company", "contact"),
) -> Any:
    (folder / "hub.yaml").write_text(project(pairs, vendors, entities))
    environ = {n: v for s in vendors.values() for n, v in s.env().items()}
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
    async with open_hub(folder, environ=environ, transports=wires) as hub:
        yield hub


async def rounds(hub: Hub, jobs: list[str], most: int, vendors: dict[str, Any]) -> int:
    """Run all jobs in turn until one round writes nothing; how many rounds wrote."""
    for n in range(most + 1):
        wrote = 0
        for job in jobs:
            receipt = await hub.sync(job)
            wrote += receipt.created + receipt.updated
            assert receipt.conflicts == 0
        if not wrote:
            return n
        for v in vendors.values():
            v.clock.advance(300)
    pytest.fail(f"still writing after {most} rounds")


def people(sandbox: Any) -> set[tuple[Any, ...]]:
    match sandbox.name:
        case "hubspot":
            rows = [r["properties"] for r in sandbox.live("contacts")]
            return {
                (r.get("email"), r.get("lastname"), r.get("jobtitle")) for r in rows
            }
        case "salesforce":
            rows = sandbox.live("Contact")
            return {(r["Email"], r["LastName"], r["Title"]) for r in rows}
    return {(r["Email"], r["Last_Name"], r["Title"]) for r in sandbox.live("Contacts")}


@pytest.mark.parametrize(("left", "right"), list(permutations(RESOURCES, 2)))
async def test_any_two_are_kept_in_agreement(tmp_path, left, right):
    plugins = Plugins()
    vendors = {
        left: plugins.sandbox(left)(records=30, companies=5),
        right: plugins.sandbox(right)(),
    }
    async with opened(tmp_path, [(left, right)], vendors) as hub:
        assert await rounds(hub, ["company0", "contact0"], 1, vendors) == 1
    assert people(vendors[left]) == people(vendors[right])
    assert len(people(vendors[right])) == 30


@pytest.mark.parametrize("entity", ["lead", "deal", "product"])
@pytest.mark.parametrize(("left", "right"), list(combinations(RESOURCES, 2)))
async def test_any_two_agree_on_leads_deals_and_products(tmp_path, left, right, entity):
    for name in (left, right):
        if not spoken(name, entity):
            pytest.skip(f"no dialect of {name} for {entity} is shipped")
    plugins = Plugins()
    vendors = {n: plugins.sandbox(n)() for n in (left, right)}
    for n, vendor in enumerate(vendors.values()):
        for i in range(6):
            born(vendor, entity, made(entity, f"{n}{i}"))
    async with opened(tmp_path, [(left, right)], vendors, (entity,)) as hub:
        assert await rounds(hub, [f"{entity}0"], 2, vendors) <= 2
        one, other = (sorted(seen(v, entity).values()) for v in vendors.values())
        assert one == other
        assert len(one) == 12
        for vendor in vendors.values():
            record, words = next(iter(seen(vendor, entity).items()))
            change = (None, None, f"by {vendor.name}", *([None] * (len(words) - 3)))
            born(vendor, entity, change, record)
        assert await rounds(hub, [f"{entity}0"], 2, vendors) <= 2
    one, other = (sorted(seen(v, entity).values()) for v in vendors.values())
    assert one == other
    assert {w[2] for w in one} >= {f"by {n}" for n in vendors}


def made(entity: str, name: str) -> tuple[Any, ...]:
    """A new record's words."""
    match entity:
        case "lead":
            return (f"{name}@x.org", f"L{name}", None, f"City {name}", f"Co {name}")
        case "deal":
            return (f"Deal {name}", f"call {name}", None, 1_000 + int(name))
        case "product":
            return (f"SKU-{name}", f"Product {name}", None)
    return (f"{name}@x.org", f"L{name}", None, f"City {name}")


@pytest.mark.parametrize("seed", range(60 if LONG else 2))
async def test_a_ring_with_people_at_work_on_all_sides_comes_to_rest(tmp_path, seed):
    """Whoever edits what: after three rounds at most all three hold every edit."""
    chance = random.Random(seed)
    plugins = Plugins()
    vendors = {n: plugins.sandbox(n)() for n in RING}
    people: dict[str, list[str]] = {}
    pairs = list(zip(RING, (*RING[1:], RING[0]), strict=True))
    jobs = [f"contact{n}" for n in range(3)]
    async with opened(tmp_path, pairs, vendors, ("contact",)) as hub:
        for step in range(4):
            everywhere = sorted(people)
            for vendor in vendors.values():
                for n in range(chance.randint(0, 4)):
                    words = made("contact", f"{vendor.name}{step}{n}")
                    born(vendor, "contact", words)
                    people[words[0]] = [w or "" for w in words]
            for mail in chance.sample(everywhere, min(len(everywhere), 6)):
                at = chance.choice((1, 2, 3))
                vendor = chance.choice(list(vendors.values()))
                told = f"{chance.randint(0, 999)} of {step}"
                change = [told if i == at else None for i in range(4)]
                here = {w[0]: r for r, w in seen(vendor, "contact").items()}
                born(vendor, "contact", tuple(change), here[mail])
                people[mail][at] = told
            assert await rounds(hub, jobs, 3, vendors) <= 3
            for vendor in vendors.values():
                held = sorted(seen(vendor, "contact").values())
                assert held == sorted(map(tuple, people.values())), vendor.name


async def test_a_field_that_is_gone_at_zoho_stops_the_job_before_its_first_write(
    tmp_path,
):
    plugins = Plugins()
    vendors = {
        "hubspot": plugins.sandbox("hubspot")(records=3),
        "zoho": plugins.sandbox("zoho")(),
    }
    vendors["zoho"].alter("Contacts", "Mailing_City", {"gone": True})
    async with opened(tmp_path, [("hubspot", "zoho")], vendors) as hub:
        with pytest.raises(ConfigError, match="Mailing_City"):
            await hub.sync("contact0")
    assert vendors["zoho"].live("Contacts") == []


async def test_a_ring_of_three_comes_to_rest(tmp_path):
    plugins = Plugins()
    vendors = {n: plugins.sandbox(n)() for n in RING}
    hubspot, salesforce, zoho = vendors.values()
    for i in range(8):
        person = {"email": f"h{i}@x.org", "lastname": f"H{i}"}
        hubspot.edit("contacts", {"properties": person})
        salesforce.edit("Contact", {"LastName": f"S{i}", "Email": f"s{i}@x.org"})
        zoho.edit("Contacts", {"Last_Name": f"Z{i}", "Email": f"z{i}@x.org"})
    pairs = list(zip(RING, (*RING[1:], RING[0]), strict=True))
    jobs = [f"contact{n}" for n in range(3)]
    async with opened(tmp_path, pairs, vendors) as hub:
        assert await rounds(hub, jobs, 3, vendors) <= 3
        assert people(hubspot) == people(salesforce) == people(zoho)
        assert len(people(zoho)) == 24
        by_mail = {r["Email"]: r["Id"] for r in salesforce.live("Contact")}
        salesforce.edit("Contact", {"Id": by_mail["z1@x.org"], "Title": "CEO"})
        mine = next(r for r in zoho.live("Contacts") if r["Email"] == "h1@x.org")
        zoho.edit("Contacts", {"id": mine["id"], "Last_Name": "Wed"})
        assert await rounds(hub, jobs, 3, vendors) <= 3
    assert people(hubspot) == people(salesforce) == people(zoho)
    assert ("z1@x.org", "Z1", "CEO") in people(hubspot)
    assert ("h1@x.org", "Wed", None) in people(salesforce)
