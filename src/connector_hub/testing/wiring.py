"""Connectors wired through the real HTTP port to sandboxes in memory, for the tests of a plugin."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

import httpx

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.sdk.connector import Connector
from connector_hub.testing.sandbox import Sandbox

C = TypeVar("C", bound=Connector)
CONNECTION = "crm"


class Env:
    """Secrets of a sandbox."""

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def read(self, reference: str) -> str:
        """The value behind ``env:NAME``."""
        return self._found[reference.removeprefix("env:")]


class Brisk(SystemClock):
    """The machine's clock, whose waits take no time."""

    async def sleep(self, seconds: float) -> None:
        """Go on at once."""


class Wires:
    """Makes connectors that speak to sandboxes; its end closes them all."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def to(
        self,
        sandbox: Sandbox,
        kind: type[C],
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        **more: Any,
    ) -> C:
        """A connector of a kind, at a sandbox.

        Args:
            sandbox: whose connection keys and secrets it is given.
            kind: the connector's class.
            transport: what stands between; the sandbox itself unless said.
            more: keys of its Config, and ``key_field``.
        """
        keys = {k: v for k, v in sandbox.connection().items() if k != "connector"}
        key = more.pop("key_field", kind.key_field)
        config = kind.Config(**{**keys, **more})
        client = HttpClient(
            kind,
            config,
            connection=CONNECTION,
            secrets=Env(sandbox.env()),
            clock=Brisk(),
            ledger=Ledger(),
            transport=transport or httpx.ASGITransport(sandbox.app),
        )
        self._stack.push_async_callback(client.aclose)
        connector = kind(config, client, clock=Brisk(), key_field=key)
        client.attach(connector)
        return connector
