"""Vendors that misbehave on the wire: real sockets on 127.0.0.1, byte by byte as a test wants it."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import httpx


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came over the wire; header names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Talk:
    """One exchange: what was asked, a way to have it done, and a way to answer."""

    asked: Asked
    writer: asyncio.StreamWriter
    do: Callable[[], Awaitable[bytes]]
    """Has the vendor carry the request out; its answer as bytes."""

    async def say(self, *parts: bytes, pause: float = 0.0) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)

    def reset(self) -> None:
        """End the connection as a dying machine does: RST in place of FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Behaviour = Callable[[Talk], Awaitable[None]]


def answer(
    status: int = 200, body: bytes | str = b"{}", **headers: str
) -> tuple[bytes, bytes]:
    """The head and the body of an answer; ``retry_after`` is the header Retry-After."""
    content = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{k.replace('_', '-')}: {v}" for k, v in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), content


def says(status: int = 200, body: bytes | str = b"{}", **headers: str) -> Behaviour:
    async def behave(talk: Talk) -> None:
        await talk.say(*answer(status, body, **headers))

    return behave


well = says()
"""An empty object."""


async def does(talk: Talk) -> None:
    """What the vendor does when nothing is wrong."""
    await talk.say(await talk.do())


async def hangs_up(talk: Talk) -> None:
    """Close before anything is done."""
    talk.writer.close()


async def resets(talk: Talk) -> None:
    """Reset before anything is done."""
    talk.reset()


async def does_and_hangs_up(talk: Talk) -> None:
    await talk.do()
    talk.writer.close()


async def does_and_resets(talk: Talk) -> None:
    await talk.do()
    talk.reset()


async def does_and_says_half(talk: Talk) -> None:
    said = await talk.do()
    await talk.say(said[: len(said) - max(1, len(said) // 4)])
    talk.writer.close()


async def does_and_says_nonsense(talk: Talk) -> None:
    """Carried out, and then a proxy's page comes in place of the answer."""
    await talk.do()
    await talk.say(
        *answer(200, "<html>please sign in</html>", content_type="text/html")
    )


def drips(head: bytes, body: bytes, *, pause: float = 0.02) -> Behaviour:
    """Never done within anybody's patience, and never silent for long."""

    async def behave(talk: Talk) -> None:
        for byte in head:
            await talk.say(bytes([byte]), pause=0 if body else pause)
        for byte in body:
            await talk.say(bytes([byte]), pause=pause)

    return behave


def chunked(chunks: Iterable[bytes], **headers: str) -> Behaviour:
    """Chunks without an end of their own."""

    async def behave(talk: Talk) -> None:
        lines = [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"]
        lines += [f"{k.replace('_', '-')}: {v}".encode() for k, v in headers.items()]
        await talk.say(b"\r\n".join(lines) + b"\r\n\r\n")
        for chunk in chunks:
            await talk.say(b"%x\r\n" % len(chunk), chunk, b"\r\n")
        talk.writer.close()

    return behave


def endless(chunk: bytes) -> Iterable[bytes]:
    while True:
        yield chunk


def bomb(size: int) -> bytes:
    """So many zeros, packed a thousand to one, made without ever holding them."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = bytes(1 << 20)
    return b"".join(pack.compress(block) for _ in range(size >> 20)) + pack.flush()


@dataclass(slots=True)
class _Rule:
    route: str
    behaviour: Behaviour
    times: int | None
    after: int


@dataclass(slots=True)
class Wire:
    """A server. What no rule is about goes to the vendor behind it; without one, to ``otherwise``.

    Args:
        app: an ASGI app, a sandbox for one.
        otherwise: what answers where there is no app.
        unread: connections are reset as soon as they are made.
    """

    app: Any = None
    otherwise: Behaviour = well
    unread: bool = False
    seen: list[Asked] = field(default_factory=list)
    url: str = ""
    _rules: list[_Rule] = field(default_factory=list)
    _met: list[Behaviour] = field(default_factory=list)
    _server: asyncio.Server | None = None
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    def when(
        self,
        route: str,
        behaviour: Behaviour,
        *,
        times: int | None = 1,
        after: int = 0,
    ) -> Self:
        """Requests with ``route`` in them meet that, ``after`` so many were let through."""
        self._rules.append(_Rule(route, behaviour, times, after))
        return self

    def met(self, behaviour: Behaviour) -> int:
        """How many requests met a behaviour."""
        return self._met.count(behaviour)

    def fair(self) -> None:
        """Nothing is wrong any more."""
        self._rules.clear()
        self.unread = False

    def count(self, route: str = "") -> int:
        return sum(route in a.call for a in self.seen)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._talk(reader, writer)
        finally:
            self._talks.discard(task)
            writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not writer.is_closing():
            if self.unread:
                Talk(_NOTHING, writer, _nothing).reset()
                return
            asked = await _read(reader)
            self.seen.append(asked)
            do = partial(self._do, asked)
            await self._behaviour(asked)(Talk(asked, writer, do))

    def _behaviour(self, asked: Asked) -> Behaviour:
        for rule in self._rules:
            if rule.route not in asked.call or rule.times == 0:
                continue
            if rule.after:
                rule.after -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
            self._met.append(rule.behaviour)
            return rule.behaviour
        return self.otherwise if self.app is None else does

    async def _do(self, asked: Asked) -> bytes:
        if self.app is None:
            return b"".join(answer())
        request = httpx.Request(
            asked.method,
            self.url + asked.path,
            content=asked.body,
            headers={k: v for k, v in asked.headers.items() if k != "content-length"},
        )
        found = await httpx.ASGITransport(self.app).handle_async_request(request)
        body = await found.aread()
        kept = {
            k.replace("-", "_"): v
            for k, v in found.headers.items()
            if k not in {"content-length", "content-encoding", "transfer-encoding"}
        }
        return b"".join(answer(found.status_code, body, **kept))


_NOTHING = Asked("", "", {}, b"")


async def _nothing() -> bytes:
    return b""


async def _read(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {
        name.lower(): value.strip()
        for name, _, value in (x.partition(":") for x in lines if x)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body)
