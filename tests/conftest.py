"""A project of two accounts that live in memory, behind real HTTP ports."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.hub import Hub, open_hub
from connector_hub.testing import Sandbox

PROJECT = """\
connections:
  sales: {connector: hubspot, region: ID, base_url: "${HUBSPOT_URL}", token: env:HUBSPOT_TOKEN}
  billing:
    connector: salesforce
    base_url: "${SALESFORCE_URL}"
    client_id: "${SALESFORCE_CLIENT_ID}"
    client_secret: env:SALESFORCE_CLIENT_SECRET
jobs:
  companies:
    entity: company
    left: {connection: sales, resource: companies}
    right: {connection: billing, resource: Account}
    direction: DIRECTION
  contacts:
    entity: contact
    left: {connection: sales, resource: contacts}
    right: {connection: billing, resource: Contact}
    direction: DIRECTION
"""

CONTACTS = "{connection: billing, resource: Contact}"

LONG = os.environ.get("PROVE") == "1"  # noqa: TID251 - asked for by `make prove`
"""Whether proofs run their long profile: all schedules rather than a sample of them."""

Vendors = dict[str, Sandbox]
Opener = Callable[..., AbstractAsyncContextManager[Hub]]


@pytest.fixture
def people() -> int:
    """How many contacts the left account is born with."""
    return 20


@pytest.fixture
def vendors(people: int) -> Vendors:
    plugins = Plugins()
    return {
        "sales": plugins.sandbox("hubspot")(records=people, companies=5),
        "billing": plugins.sandbox("salesforce")(),
    }


@pytest.fixture
def opened(tmp_path: Path, vendors: Vendors) -> Opener:
    """Opens the project: ``opened(direction, **keys of the contacts job)``."""

    @asynccontextmanager
    async def opening(
        direction: str = "left-to-right", **keys: str
    ) -> AsyncIterator[Hub]:
        text = PROJECT.replace("DIRECTION", direction)
        right = keys.pop("right", CONTACTS)
        text = text.replace(f"right: {CONTACTS}", f"right: {right}")
        text += "".join(f"    {k}: {v}\n" for k, v in keys.items())
        (tmp_path / "hub.yaml").write_text(text)
        environ = {
            **{n: v for s in vendors.values() for n, v in s.env().items()},
            "HUBSPOT_URL": vendors["sales"].url,
            "SALESFORCE_URL": vendors["billing"].url,
            "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
        }
        wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
        async with open_hub(tmp_path, environ=environ, transports=wires) as hub:
            yield hub

    return opening
