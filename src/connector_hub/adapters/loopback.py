"""Waits for a browser that a vendor sends back to this machine (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from connector_hub.errors import AuthError, ConfigError

_HOSTS = {
    "127.0.0.1": ("127.0.0.1",),
    "localhost": ("127.0.0.1", "::1"),
    "::1": ("::1",),
}
"""What is listened on for each host: a browser may take ``localhost`` for either."""
_SECONDS = 10.0
"""For a request to come in whole."""
_HEAD = 16_384
_SAFE = (
    "Content-Type: text/html; charset=utf-8\r\nCache-Control: no-store\r\n"
    "Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n"
)
_PAGE = "<!doctype html><title>connector-hub</title><p>{}</p>"
_THANKS = "connector-hub has your answer. The terminal tells what became of it; you may close this page."
_NOTHING = "There is nothing here."


class Loopback:
    """A redirect URI that is listened on."""

    def __init__(self, uri: str, path: str) -> None:
        self.uri = uri
        self._path = path
        self._came: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def redirected(self, seconds: float, *, where: str) -> str:
        """Where the browser was sent, as a whole URL; the first answer counts.

        Raises:
            AuthError: it has not come in so many seconds.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._came
        except TimeoutError:
            raise AuthError(
                f"nobody agreed within {seconds:,.0f} s; nothing was changed",
                where=where,
                hint=f"run connector-hub connect {where} again; with --paste where the browser is elsewhere",
            ) from None

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one request. What is not the redirect is told nothing."""
        try:
            async with asyncio.timeout(_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                status, said = self._answered(head.decode("latin-1"))
                body = _PAGE.format(said).encode()
                writer.write(
                    f"HTTP/1.1 {status}\r\n{_SAFE}Content-Length: {len(body)}\r\n\r\n".encode()
                    + body
                )
                await writer.drain()
        except (OSError, EOFError, asyncio.LimitOverrunError):
            pass  # TimeoutError is an OSError; a browser that hangs up may come again
        finally:
            writer.close()

    def _answered(self, head: str) -> tuple[str, str]:
        method, target, *_ = [*head.split("\r\n", 1)[0].split(" "), "", ""]
        parts = urlsplit(target)
        if parts.path != self._path or not parts.query:
            return "404 Not Found", _NOTHING
        if method != "GET":
            return "405 Method Not Allowed", _NOTHING
        if not self._came.done():
            self._came.set_result(f"{self.uri}?{parts.query}")
        return "200 OK", _THANKS


@contextlib.asynccontextmanager
async def listening(redirect_uri: str, *, where: str) -> AsyncIterator[Loopback]:
    """Listen where a redirect URI leads; one without a port gets a free one.

    Raises:
        ConfigError: it does not lead to this machine, or its port is taken.
    """
    try:
        parts = urlsplit(redirect_uri)
        host, port = parts.hostname or "", parts.port or 0
    except ValueError:
        host, port = "", 0
    if host not in _HOSTS or parts.scheme != "http":
        raise ConfigError(
            f"redirect_uri {redirect_uri!r} does not lead to this machine",
            where=where,
            hint="register http://localhost:8976/callback at the vendor, or connect with --paste",
        )
    servers: list[asyncio.Server] = []
    try:
        made: Loopback | None = None

        async def serve(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            assert made is not None  # noqa: S101 - made before anybody can be let in
            await made.serve(reader, writer)

        for n, address in enumerate(_HOSTS[host]):
            try:
                server = await asyncio.start_server(serve, address, port, limit=_HEAD)
            except OSError as e:
                if n:
                    continue  # a machine without IPv6
                raise ConfigError(
                    f"port {port} cannot be listened on ({e.strerror or type(e).__name__})",
                    where=where,
                    hint="stop what uses it, or write another port into redirect_uri and register it",
                ) from None
            servers.append(server)
            port = server.sockets[0].getsockname()[1]
            if made is None:
                shown = f"[{host}]" if ":" in host else host
                free = f"http://{shown}:{port}{parts.path}"
                uri = redirect_uri if parts.port else free
                made = Loopback(uri, parts.path or "/")
        assert made is not None  # noqa: S101 - each host has an address
        yield made
    finally:
        for server in servers:
            server.close()
