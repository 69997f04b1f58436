"""Many processes with one hub each, told what to do over sockets: ``python crowd.py PROJECT PORT NUMBER``.

The modules are imported once and the process forks then: each child opens the project for itself.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import _tls
from connector_hub.adapters.plugins import Plugins
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.errors import HubError
from connector_hub.hub import open_hub


class Ahead(SystemClock):
    """The machine's time, moved on."""

    seconds = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.seconds)


async def child(project: str, port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    clock = Ahead()
    async with open_hub(project, environ=ENVIRON, clock=clock) as hub:
        writer.write(b"{}\n")
        while line := await reader.readline():
            told = json.loads(line)
            clock.seconds += told.get("advance", 0)
            if told.get("die"):
                die_at(told["die"])
            found = await check(hub, told.get("check", 0))
            writer.write(json.dumps(found).encode() + b"\n")
    writer.close()


async def check(hub: Any, times: int) -> dict[str, int]:
    """So many calls at the same time; what became of them."""
    found: dict[str, int] = {}

    async def one() -> None:
        try:
            live = await hub.connect("org")
            await live.connector.check()
            name = "good"
        except HubError as e:
            name = type(e).__name__
        found[name] = found.get(name, 0) + 1

    if times:
        await one()
    await asyncio.gather(*(one() for _ in range(times - 1)))
    return found


def die_at(place: str) -> None:
    """SIGKILL at the commit of an answer: before it, or right after."""
    swap = SqliteStore.swap_token

    def swapped(self: SqliteStore, connection: str, token: Any) -> Any:
        answered = not token.asked
        if answered and place == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = swap(self, connection, token)
        if answered:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    SqliteStore.swap_token = swapped  # type: ignore[method-assign]


ENVIRON = {"SECRET": "s", "REFRESH": os.environ.get("REFRESH", "")}  # noqa: TID251


def main(project: str, port: str, number: str) -> None:
    Plugins().connector("salesforce")
    _tls()
    importlib.import_module("httpcore")
    importlib.import_module("anyio._backends._asyncio")
    children = []
    for _ in range(int(number)):
        pid = os.fork()
        if not pid:
            asyncio.run(child(project, int(port)))
            os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)


class Crowd:
    """Its members as the test sees them."""

    def __init__(self) -> None:
        self.members: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.joined = asyncio.Event()

    async def tell(self, number: int | None = None, **told: Any) -> dict[str, int]:
        """Tell the first ``number`` of them the same at once; what became of it, added up."""
        asked = self.members[:number]
        for _, writer in asked:
            writer.write(json.dumps(told).encode() + b"\n")
        lines = await asyncio.gather(*(reader.readline() for reader, _ in asked))
        found: dict[str, int] = {}
        for line in lines:
            for name, n in json.loads(line or b'{"killed": 1}').items():
                found[name] = found.get(name, 0) + n
        return found


@asynccontextmanager
async def gathered(project: Path, number: int, refresh: str):
    """A crowd of so many processes."""
    crowd = Crowd()

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        crowd.members.append((reader, writer))
        if len(crowd.members) == number:
            crowd.joined.set()

    server = await asyncio.start_server(join, "127.0.0.1", 0, backlog=128)
    port = server.sockets[0].getsockname()[1]
    environ = {**os.environ, "REFRESH": refresh}  # noqa: TID251 - of our own process
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, __file__, str(project), str(port), str(number)), env=environ
    )
    try:
        await asyncio.wait_for(crowd.joined.wait(), 60)
        yield crowd
    finally:
        for _, writer in crowd.members:
            writer.close()
        await process.wait()
        server.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
