"""The connector, wired through the real HTTP port to a sandbox in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub_zoho import Zoho
from connector_hub_zoho.sandbox import ZohoSandbox


class Env:
    """Secrets of a sandbox."""

    def __init__(self, found: dict[str, str]) -> None:
        self.found = found

    def read(self, reference: str) -> str:
        return self.found[reference.removeprefix("env:")]


class Brisk(SystemClock):
    """The machine's clock, whose waits take no time."""

    async def sleep(self, seconds: float) -> None:
        """Go on at once."""


Wire = Callable[..., Zoho]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A function from a sandbox to a connector that speaks to it."""
    clients: list[HttpClient] = []

    def wired(sandbox: ZohoSandbox, **more: Any) -> Zoho:
        keys = {k: v for k, v in sandbox.connection().items() if k != "connector"}
        key = more.pop("key_field", Zoho.key_field)
        secret = SecretStr(keys.pop("token"))
        config = Zoho.Config(**{**keys, "token": secret, **more})
        client = HttpClient(
            Zoho,
            config,
            connection="crm",
            secrets=Env({**sandbox.env(), "TOKEN": sandbox.access_token}),
            clock=Brisk(),
            ledger=Ledger(),
            transport=httpx.ASGITransport(sandbox.app),
        )
        clients.append(client)
        connector = Zoho(config, client, clock=Brisk(), key_field=key)
        client.attach(connector)
        return connector

    yield wired
    for client in clients:
        await client.aclose()
