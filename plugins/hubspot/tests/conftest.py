"""The sandbox, and connectors to it."""

from __future__ import annotations

import httpx
import pytest

from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.sdk import SecretStr
from connector_hub.testing import WorldClock
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.sandbox import HubSpotSandbox


class Secrets:
    """The sandbox's token, whatever is asked."""

    def read(self, reference):
        return HubSpotSandbox.access_token


@pytest.fixture
def portal():
    """An account with sales in it, whose search is not behind."""
    box = HubSpotSandbox(records=12, companies=4, clock=WorldClock())
    box.search_lag, box.sales = 0.0, 6
    box.seed_data()
    return box


@pytest.fixture
async def connected(portal):
    """Connectors to it: ``connected(key_field=None, api="2026-03")``."""
    opened = []

    def connect(key_field=HubSpot.key_field, **config):
        told = HubSpot.Config(
            token=SecretStr("env:T"), base_url="http://127.0.0.1:1", **config
        )
        http = HttpClient(
            HubSpot,
            told,
            connection="sales",
            secrets=Secrets(),
            clock=portal.clock,
            ledger=Ledger(),
            transport=httpx.ASGITransport(app=portal.app),
        )
        made = HubSpot(told, http, clock=portal.clock, key_field=key_field)
        http.attach(made)
        opened.append(http)
        return made

    yield connect
    for http in opened:
        await http.aclose()


@pytest.fixture
def crm(connected):
    """A connector to it."""
    return connected()
