"""Accounts that a person has agreed to: their tokens die in the middle of the work, and nobody notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.plugins import Plugins
from connector_hub.diagnostics import Mistakes
from connector_hub.errors import AuthError
from connector_hub.hub import Hub, open_hub
from connector_hub_hubspot import sandbox as hubspot
from connector_hub_salesforce import sandbox as salesforce

from .conftest import PROJECT, Vendors

SALES = "token: env:HUBSPOT_TOKEN"
PUBLIC = f"client_id: {hubspot.CLIENT_ID}, client_secret: env:HS, refresh_token: env:HR"
SECRET = "client_secret: env:SALESFORCE_CLIENT_SECRET"
ENVIRON = {
    "HS": hubspot.CLIENT_SECRET,
    "HR": hubspot.REFRESH_TOKEN,
    "SR": salesforce.REFRESH_TOKEN,
    "SALESFORCE_CLIENT_SECRET": salesforce.CLIENT_SECRET,
    "SALESFORCE_CLIENT_ID": salesforce.CLIENT_ID,
}
Opening = Callable[..., AbstractAsyncContextManager[Hub]]


class Ahead(SystemClock):
    """The machine's time, moved on as the sandboxes' is."""

    seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.seconds)


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def vendors() -> Vendors:
    plugins = Plugins()
    found = {
        "sales": plugins.sandbox("hubspot")(records=20, companies=5),
        "billing": plugins.sandbox("salesforce")(),
    }
    found["billing"].rotation = True  # type: ignore[attr-defined]
    return found


@pytest.fixture
def opening(tmp_path: Path, vendors: Vendors, clock: Ahead) -> Opening:
    """Opens a project whose accounts both have refresh tokens; more of the environment may be given."""

    def opened(**more: str) -> AbstractAsyncContextManager[Hub]:
        text = PROJECT.replace("DIRECTION", "left-to-right").replace(SALES, PUBLIC)
        text = text.replace(SECRET, f"{SECRET}\n    refresh_token: env:SR")
        (tmp_path / "hub.yaml").write_text(text)
        urls = {
            "HUBSPOT_URL": vendors["sales"].url,
            "SALESFORCE_URL": vendors["billing"].url,
        }
        return open_hub(
            tmp_path,
            environ=ENVIRON | urls | more,
            transports={n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()},
            clock=clock,
        )

    return opened


def refreshes(vendors: Vendors) -> tuple[int, int]:
    """How often each vendor's token endpoint was asked."""
    sales = vendors["sales"].calls["POST /oauth/2026-03/token"]
    return sales, vendors["billing"].calls["POST /services/oauth2/token"]


async def test_tokens_that_die_between_runs_are_refreshed_once_each(
    opening: Opening, vendors: Vendors, clock: Ahead
) -> None:
    for n in range(1, 4):
        async with opening() as hub:
            assert (await hub.sync("companies")).status == "done"
            assert (await hub.sync("contacts")).status == "done"
        assert refreshes(vendors) == (n, n)
        for s in vendors.values():
            s.clock.advance(7_300)
        clock.seconds += 7_300


async def test_a_token_that_dies_in_the_middle_of_a_run_costs_one_refresh(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening() as hub:
        await hub.sync("companies")
        for s in vendors.values():
            s.clock.advance(7_300)
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.created) == ("done", 20)
        assert refreshes(vendors) == (2, 2)
        assert receipt.calls["sales"]["token"] == 1


async def test_calls_at_the_same_time_share_one_refresh(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening() as hub:
        live = await hub.connect("sales")
        vendors["sales"].clock.advance(1_900)
        await asyncio.gather(*(live.connector.check() for _ in range(12)))
        assert refreshes(vendors)[0] == 2


async def test_a_401_that_does_not_speak_of_age_is_no_reason_to_refresh(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening() as hub:
        live = await hub.connect("sales")
        sandbox: Any = vendors["sales"]
        sandbox.accounts.deaths.clear()
        with pytest.raises(AuthError):
            await live.connector.check()
        assert refreshes(vendors)[0] == 1


async def test_a_wrong_refresh_token_asks_for_a_new_consent_and_a_right_one_heals(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening(HR="wrong") as hub:
        with pytest.raises(AuthError, match="revoked, expired, or used elsewhere"):
            await hub.sync("companies")
    assert refreshes(vendors)[0] == 1
    async with opening() as hub:
        _ = hub.store
        assert await hub.connect("sales")
        assert hub.standings() == []


async def test_an_app_with_a_wrong_secret_is_told_as_credentials(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening(HS="wrong") as hub:
        with pytest.raises(AuthError) as told:
            await hub.connect("sales")
    assert "wrong" not in str(told.value)
    assert refreshes(vendors)[0] == 1


@pytest.mark.parametrize("keys", ["refresh_token: env:R", "client_secret: env:S", ""])
async def test_a_connection_without_credentials_is_refused_at_load(
    tmp_path: Path, keys: str
) -> None:
    text = f"connections:\n  sales: {{connector: hubspot, {keys}}}\n"
    (tmp_path / "hub.yaml").write_text(text)
    with pytest.raises(Mistakes) as told:
        async with open_hub(tmp_path, environ={}):
            pass
    assert "'token' is missing" in str(told.value)
    assert "add token:, or client_id:" in str(told.value)


class Typed:
    """Secrets just given, before those that are stored."""

    def __init__(self, refresh: str, hub: Hub) -> None:
        self.refresh = refresh
        self.hub = hub

    def read(self, reference: str) -> str:
        given = reference == "env:HR"
        return self.refresh if given else self.hub.secrets.read(reference)


async def test_a_token_that_was_typed_wrong_leaves_the_good_one(
    opening: Opening, vendors: Vendors
) -> None:
    async with opening() as hub:
        await hub.sync("companies")
        kept = hub.store.token("sales")
    async with opening() as hub:
        with pytest.raises(AuthError):
            await hub.connect("sales", secrets=Typed("mistyped", hub))
        found = hub.store.token("sales")
    assert kept is not None
    assert found is not None
    assert (found.access, found.refresh) == (kept.access, kept.refresh)
    async with opening() as hub:
        assert (await hub.sync("contacts")).status == "done"
    assert refreshes(vendors)[0] == 2
