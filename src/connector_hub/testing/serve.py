"""Serving a sandbox on 127.0.0.1: one JSON line when it is ready, nothing else, a clean end."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import orjson

from connector_hub.adapters.listener import listening


def serve(kind: type[Any], *, port: int = 0, **options: Any) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        kind: a Sandbox class.
        port: 0 for any that is free.
        options: of the class: records, companies, seed, prepared, messy.

    Raises:
        OSError: the port is taken.
    """
    asyncio.run(_serve(kind, port, options))


async def _serve(kind: type[Any], port: int, options: dict[str, Any]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with listening(
        lambda url: kind(url=url, **options), "127.0.0.1", port
    ) as sandbox:
        line = {
            "connector": kind.name,
            "url": sandbox.url,
            "connection": sandbox.connection(),
            "env": sandbox.env(),
            "access_token": sandbox.access_token,
        }
        sys.stdout.write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()
        await stop.wait()
