"""Clients nobody here wrote, each a process of its own, and sandboxes behind ports for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connector_hub.adapters.listener import listening
from connector_hub.adapters.plugins import Plugins
from connector_hub.testing import Sandbox
from tests.real.airbyte import Reader
from tests.real.making import HERE, Environment, NotMade, environments
from tests.real.proxy import proxying

DRIVERS = HERE / "drivers"
ALL = os.environ.get("REAL") == "1"  # noqa: TID251 - asked for by `make real`
"""Whether clients that are missing are installed, and the slow readers run: minutes."""
_SECONDS = 240

Serve = Callable[..., Sandbox]


@dataclass(frozen=True, slots=True)
class Client:
    """A client in an environment of its own."""

    environment: Environment
    scratch: Path

    def drive(self, driver: str, **given: Any) -> Any:
        """Run a driver of ours in it: JSON on its standard input, one JSON document on its output."""
        words = [self.environment.interpreter, str(DRIVERS / driver)]
        return json.loads(self.call(words, json.dumps(given)))

    def call(
        self, words: list[str], said: str = "", variables: dict[str, str] | None = None
    ) -> str:
        """Run a command of the client's in a scratch folder; what it wrote to its standard output."""
        folder = self.environment.folder
        env = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",  # noqa: TID251 - for node
            "HOME": str(self.scratch),
            "LANG": "C.UTF-8",
            "NODE_PATH": str(folder / "node_modules"),
            **(variables or {}),
        }
        done = subprocess.run(  # noqa: S603 - our own words
            words,
            cwd=self.scratch,
            env=env,
            input=said,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        if done.returncode:
            pytest.fail(f"{words[:3]}: {done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout


@pytest.fixture
def client(tmp_path: Path) -> Callable[[str], Client]:
    """A client by the name of its environment; where it cannot be had, the test is skipped."""

    def having(name: str) -> Client:
        environment = environments()[name]
        if not environment.made and not ALL:
            pytest.skip(f"{name} is not installed here: make real")
        try:
            environment.make()
        except NotMade as e:
            pytest.skip(f"{name} cannot be installed: {e}")
        return Client(environment, tmp_path)

    return having


@pytest.fixture
def reader(
    client: Callable[[str], Client], tmp_path: Path
) -> Iterator[Callable[..., Reader]]:
    """A source of Airbyte's whose hosts are a sandbox: ``reader("source-x", url, config, "x.com")``."""
    with contextlib.ExitStack() as ends:

        def having(
            name: str, sandbox: str, config: dict[str, Any], *domains: str
        ) -> Reader:
            if not ALL:
                pytest.skip("takes a minute: make real")
            there = client(f"airbyte-{name}")
            proxy = ends.enter_context(proxying(sandbox, tmp_path, *domains))
            command = there.environment.folder / "bin" / name
            return Reader(there.call, str(command), tmp_path, proxy, config)

        yield having


@pytest.fixture
def served() -> Iterator[Serve]:
    """Serves sandboxes on 127.0.0.1: ``served("hubspot", records=30)``."""
    ends: list[Callable[[], None]] = []

    def serve(name: str, **options: Any) -> Sandbox:
        sandbox, end = _in_a_thread(Plugins().sandbox(name), options)
        ends.append(end)
        return sandbox

    yield serve
    for end in ends:
        end()


def _in_a_thread(
    kind: type[Sandbox], options: dict[str, Any]
) -> tuple[Sandbox, Callable[[], None]]:
    """A sandbox in a loop of its own thread, and what ends it."""
    ready: Future[tuple[Sandbox, Callable[[], None]]] = Future()

    async def serving() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        async with listening(
            lambda url: kind(url=url, **options), "127.0.0.1", 0
        ) as sandbox:
            ready.set_result((sandbox, lambda: loop.call_soon_threadsafe(stop.set)))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serving()), daemon=True)
    thread.start()
    sandbox, stop = ready.result(10)

    def end() -> None:
        stop()
        thread.join(10)

    return sandbox, end
