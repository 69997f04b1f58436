"""Serving a sandbox on 127.0.0.1: one JSON line when it is ready, nothing else, a clean end."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from typing import Any

import orjson

_GRACE = 0.5


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
    import uvicorn  # noqa: PLC0415 - an extra: only who serves needs it

    listener = socket.socket()
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    sandbox = kind(url=url, **options)
    server = uvicorn.Server(
        uvicorn.Config(
            sandbox.app,
            log_level="critical",
            access_log=False,
            date_header=False,
            server_header=False,
            lifespan="off",
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.ensure_future(_accept(server, listener))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    line = {
        "connector": kind.name,
        "url": url,
        "connection": sandbox.connection(),
        "env": sandbox.env(),
        "access_token": sandbox.access_token,
    }
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
    await stop.wait()
    server.should_exit = True
    server.force_exit = True
    await asyncio.wait({serving}, timeout=_GRACE)
    serving.cancel()


async def _accept(server: Any, listener: socket.socket) -> None:
    """Uvicorn's own loop without its signal handlers: ours end the sandbox."""
    config = server.config
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    if server.should_exit:
        return
    await server.main_loop()
    await server.shutdown(sockets=[listener])
