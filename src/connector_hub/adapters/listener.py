"""Serving an ASGI app on a port: in the loop that is there, without taking its signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

from connector_hub.errors import ConfigError

_GRACE = 0.5
"""Seconds for requests that are being answered when it ends."""


@contextlib.asynccontextmanager
async def listening(
    make: Callable[[str], Any], host: str, port: int
) -> AsyncIterator[Any]:
    """Serve the app that ``make`` makes of its address. Port 0 is any free one.

    Raises:
        ConfigError: the package that serves is not installed.
        OSError: the port is taken, or the host is none of ours.
    """
    try:
        import uvicorn  # noqa: PLC0415 - an extra: only who serves needs it
    except ImportError:
        raise ConfigError(
            "listening needs a package that is not installed",
            hint="pip install 'connector-hub[webhooks]'",
        ) from None
    listener = _bound(host, port)
    try:
        name, number = listener.getsockname()[:2]
        shown = f"[{name}]" if ":" in name else name
        made = make(f"http://{shown}:{number}")
    except BaseException:
        listener.close()
        raise
    server = uvicorn.Server(
        uvicorn.Config(
            made,
            log_level="critical",
            access_log=False,
            date_header=False,
            server_header=False,
            lifespan="off",
            ws="none",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.ensure_future(_accept(server, listener))
    try:
        while not server.started and not serving.done():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        yield made
    finally:
        server.should_exit = True
        server.force_exit = True
        await asyncio.wait({serving}, timeout=_GRACE)
        serving.cancel()
        await asyncio.wait({serving})
        listener.close()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


async def _accept(server: Any, listener: socket.socket) -> None:
    """Uvicorn's own loop without its signal handlers: ours end it."""
    config = server.config
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    if server.should_exit:
        return
    await server.main_loop()
    await server.shutdown(sockets=[listener])
