"""The connector, wired through the real HTTP port to a sandbox in memory; and one served on a port."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import requests
import uvicorn
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce as Client

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub_salesforce import Salesforce
from connector_hub_salesforce.sandbox import SalesforceSandbox

BASE = "/services/data/v66.0"


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


Wire = Callable[..., Salesforce]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A function from a sandbox to a connector that speaks to it."""
    clients: list[HttpClient] = []

    def wired(sandbox: SalesforceSandbox, **more: Any) -> Salesforce:
        keys = {k: v for k, v in sandbox.connection().items() if k != "connector"}
        key = more.pop("key_field", Salesforce.key_field)
        secret = SecretStr(keys["client_secret"])
        config = Salesforce.Config(**{**keys, "client_secret": secret, **more})
        client = HttpClient(
            Salesforce,
            config,
            connection="billing",
            secrets=Env({**sandbox.env(), "TOKEN": sandbox.access_token}),
            clock=Brisk(),
            ledger=Ledger(),
            transport=httpx.ASGITransport(sandbox.app),
        )
        clients.append(client)
        connector = Salesforce(config, client, clock=Brisk(), key_field=key)
        client.attach(connector)
        return connector

    yield wired
    for client in clients:
        await client.aclose()


class Plain(HTTPAdapter):
    """simple-salesforce speaks https only; the sandbox http."""

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **options)


@dataclass
class Served:
    """A sandbox behind a port."""

    sandbox: SalesforceSandbox
    url: str
    session: requests.Session

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.sandbox.access_token}"}
        headers |= options.pop("headers", {})
        at = path if path.startswith("/services") else BASE + path
        return self.session.request(
            method, self.url + at, headers=headers, timeout=5, **options
        )

    def client(self) -> Client:
        session = requests.Session()
        session.mount("https://", Plain())
        return Client(
            instance_url=self.url,
            session_id=self.sandbox.access_token,
            session=session,
            version="66.0",
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sandbox = SalesforceSandbox(records=30, url=url)
    config = uvicorn.Config(
        sandbox.app, log_level="critical", lifespan="off", date_header=False
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, args=([listener],), daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.005)
    with requests.Session() as session:
        yield Served(sandbox, url, session)
    running.should_exit = True
    thread.join(5)
    listener.close()


@pytest.fixture
def served(server: Served) -> Iterator[Served]:
    """The server, its org as at birth."""
    yield server
    server.sandbox.duplicate_rule = False
    server.session.post(f"{server.url}/_sandbox/reset", timeout=5)
