"""The port that a browser comes back to: one answer, and nothing for anybody else."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from connector_hub.adapters.loopback import listening


async def say(uri: str, text: bytes) -> bytes:
    parts = urlsplit(uri)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(text)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


def get(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def test_a_redirect_without_a_port_gets_a_free_one_and_keeps_its_path():
    async with (
        listening("http://127.0.0.1/back", where="org") as one,
        listening("http://127.0.0.1/back", where="org") as other,
    ):
        assert one.uri != other.uri
        assert urlsplit(one.uri).path == "/back"
        answer = await say(other.uri, get("/back?code=1&state=2"))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert await other.redirected(1, where="org") == f"{other.uri}?code=1&state=2"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (get("/favicon.ico"), b"404"),
        (get("/back"), b"404"),
        (get("/other?code=1"), b"404"),
        (get("/back?code=1", "POST"), b"405"),
        (b"\x00\xff\r\n\r\n", b"404"),
    ],
)
async def test_what_is_not_the_redirect_is_told_nothing(text, status):
    async with listening("http://127.0.0.1/back", where="org") as listener:
        answer = await say(listener.uri, text)
        assert answer.split()[1] == status
        assert b"code" not in answer
        await say(listener.uri, get("/back?code=good"))
        assert (await listener.redirected(1, where="org")).endswith("?code=good")


async def test_a_head_without_end_is_hung_up_on():
    async with listening("http://127.0.0.1/back", where="org") as listener:
        assert await say(listener.uri, b"G" * 70_000) == b""


async def test_the_first_answer_counts():
    async with listening("http://127.0.0.1/back", where="org") as listener:
        for n in (1, 2):
            answer = await say(listener.uri, get(f"/back?code={n}"))
            assert answer.split()[1] == b"200"
        assert (await listener.redirected(1, where="org")).endswith("code=1")


async def test_nobody_listens_afterwards():
    async with listening("http://127.0.0.1/back", where="org") as listener:
        uri = listener.uri
    with pytest.raises(OSError):  # noqa: PT011 - refused, by whatever word
        await say(uri, get("/back?code=1"))
