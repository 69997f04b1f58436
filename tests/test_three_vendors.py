"""Any two of the vendors are kept in agreement, and a ring of three comes to rest."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import permutations
from typing import Any

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import ConfigError
from connector_hub.hub import Hub, open_hub

RESOURCES = {
    "hubspot": ("contacts", "companies"),
    "salesforce": ("Contact", "Account"),
    "zoho": ("Contacts", "Accounts"),
}
RING = ("hubspot", "salesforce", "zoho")


def project(pairs: list[tuple[str, str]], vendors: dict[str, Any]) -> str:
    lines = ["connections:"]
    for name, sandbox in vendors.items():
        lines.append(f"  {name}:")
        lines += [f"    {k}: {v!r}" for k, v in sandbox.connection().items()]
        if name == "hubspot":
            lines.append("    region: ID")
    lines.append("jobs:")
    for n, (left, right) in enumerate(pairs):
        for entity, at in (("company", 1), ("contact", 0)):
            lines += [
                f"  {entity}{n}:",
                f"    entity: {entity}",
                f"    left: {{connection: {left}, resource: {RESOURCES[left][at]}}}",
                f"    right: {{connection: {right}, resource: {RESOURCES[right][at]}}}",
                "    direction: both",
            ]
    return "\n".join(lines) + "\n"


@asynccontextmanager
async def opened(
    folder: Any, pairs: list[tuple[str, str]], vendors: dict[str, Any]
) -> Any:
    (folder / "hub.yaml").write_text(project(pairs, vendors))
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
