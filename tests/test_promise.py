"""A plan's promise of calls holds, whichever way it is carried out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from shutil import copy

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.hub import Hub, open_hub
from connector_hub.testing import Sandbox

QUICKSTART = Path(__file__).resolve().parent.parent / "examples" / "quickstart"
# Enough that the links of a second reading cost more than the reserve covers.
CONTACTS = 1200


@pytest.fixture
def vendors() -> dict[str, Sandbox]:
    plugins = Plugins()
    return {
        "sales": plugins.sandbox("hubspot")(records=CONTACTS, companies=30),
        "billing": plugins.sandbox("salesforce")(),
    }


@pytest.fixture
async def hub(tmp_path: Path, vendors: dict[str, Sandbox]) -> AsyncIterator[Hub]:
    copy(QUICKSTART / "hub.yaml", tmp_path)
    environ = {
        **{n: v for s in vendors.values() for n, v in s.env().items()},
        "HUBSPOT_URL": vendors["sales"].url,
        "SALESFORCE_URL": vendors["billing"].url,
        "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
    }
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
    async with open_hub(tmp_path, environ=environ, transports=wires) as opened:
        yield opened


async def test_carrying_out_a_plan_takes_no_more_calls_than_it_promised(
    hub: Hub, vendors: dict[str, Sandbox]
) -> None:
    await hub.sync("companies")
    plan = await hub.plan("contacts")
    before = {n: sum(s.calls.values()) for n, s in vendors.items()}
    receipt = await hub.apply(plan)
    assert receipt.created == CONTACTS
    for name, vendor in vendors.items():
        counted = sum(vendor.calls.values()) - before[name]
        assert counted <= sum(plan.calls[name].values())
        assert counted == sum(receipt.calls[name].values())
