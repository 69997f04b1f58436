"""More changes at one instant than HubSpot's search shows: none is missed, each is planned once."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.hub import open_hub
from connector_hub.sdk import SecretStr, Want
from connector_hub.testing import WorldClock
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.portal import search
from connector_hub_hubspot.sandbox import HubSpotSandbox
from connector_hub_salesforce.sandbox import SalesforceSandbox

from .conftest import LONG

LAG = 30.0
WANT = Want(frozenset({"properties.email", "properties.city"}))


class Late(HubSpotSandbox):
    """Its search is half a minute behind."""

    search_lag = LAG


class Secrets:
    def read(self, reference: str) -> str:
        return HubSpotSandbox.access_token


def touched(sandbox: HubSpotSandbox, count: int, within_ms: int) -> set[str]:
    """So many people move, all at once, and the others soon after; the search has seen it."""
    ids = list(sandbox.portal.objects["contacts"].rows)
    changes = {i: {"city": "Depok"} for i in ids}
    first = dict(list(changes.items())[:count])
    sandbox.import_rows("contacts", first, within_ms=within_ms)
    sandbox.clock.advance(2)
    rest = {i: c for i, c in changes.items() if i not in first}
    sandbox.import_rows("contacts", rest)
    sandbox.clock.advance(LAG + 5)
    return set(ids)


@pytest.mark.parametrize(
    ("count", "within_ms"),
    [(10_000, 1_000), (25_000, 0)],
    ids=["10,000 within a second", "25,000 at one instant"],
)
async def test_a_pull_misses_none_of_more_than_the_search_shows(
    count: int, within_ms: int
) -> None:
    clock = WorldClock()
    sandbox = Late(records=count + 50, companies=0, clock=clock)
    config = HubSpot.Config(token=SecretStr("env:T"), base_url="http://127.0.0.1:1")
    http = HttpClient(
        HubSpot,
        config,
        connection="sales",
        secrets=Secrets(),
        clock=clock,
        ledger=Ledger(),
        transport=httpx.ASGITransport(app=sandbox.app),
    )
    connector = HubSpot(config, http, clock=clock)
    http.attach(connector)
    mark = (await connector.read("contacts", "changed", None, WANT)).mark
    clock.advance(3_600)
    moved = touched(sandbox, count, within_ms)
    begun, found, at = clock.monotonic(), [], mark
    while True:
        page = await connector.read("contacts", "changed", at, WANT)
        found += [r.id for r in page.records]
        if page.next is None:
            break
        at = page.next
    await http.aclose()
    assert set(found) == moved
    pages = sandbox.calls["POST /crm/v3/objects/contacts/search"]
    assert pages <= count / search.PAGE * 1.1 + 3
    assert len(found) <= count * 1.1 + search.PAGE
    assert clock.monotonic() - begun >= (pages - 5) / 5, "five searches a second"


PROJECT = """\
connections:
  sales: {connector: hubspot, region: ID, base_url: "http://127.0.0.1:1", token: env:HUBSPOT_TOKEN}
  billing:
    connector: salesforce
    base_url: "http://127.0.0.1:2"
    client_id: CLIENT
    client_secret: env:SALESFORCE_CLIENT_SECRET
jobs:
  contacts:
    entity: contact
    left: {connection: sales, resource: contacts}
    right: {connection: billing, resource: Contact}
    direction: left-to-right
"""


@pytest.mark.parametrize(
    ("count", "within_ms"),
    [(10_000, 1_000), (25_000, 0)] if LONG else [(400, 1_000), (900, 0)],
)
async def test_each_of_them_is_planned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int, within_ms: int
) -> None:
    if not LONG:  # the same over a search that shows 100, 20 a page
        monkeypatch.setattr("connector_hub_hubspot.places.SEARCH", 20)
        monkeypatch.setattr(search, "CAP", 100)
    clock = WorldClock()
    everybody = count + 30
    sales = Late(records=everybody, companies=0, clock=clock)
    billing = SalesforceSandbox(clock=clock)
    told = billing.connection()["client_id"]
    text = PROJECT.replace("client_id: CLIENT", f"client_id: {told}")
    (tmp_path / "hub.yaml").write_text(text)
    wires = {"sales": sales, "billing": billing}

    async with open_hub(
        tmp_path,
        environ=sales.env() | billing.env(),
        transports={n: httpx.ASGITransport(app=s.app) for n, s in wires.items()},
        clock=clock,
    ) as hub:
        first = await hub.sync("contacts")
        assert first.created == everybody
        clock.advance(3_600)
        touched(sales, count, within_ms)
        plan = await hub.plan("contacts")
        assert (plan.read, plan.count("update")) == (everybody, everybody)
        receipt = await hub.sync("contacts")
        assert receipt.updated == everybody
        clock.advance(3_600)
        assert sum((await hub.sync("contacts")).writes.values()) == 0
