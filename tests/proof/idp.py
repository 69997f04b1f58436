"""A Salesforce org as far as signing in goes, over real sockets.

Its refresh tokens rotate, and a used one that comes again revokes the whole family (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from contextlib import asynccontextmanager
from itertools import count
from urllib.parse import parse_qsl

FIRST = "first-refresh-token-canary"
ORG, USER = "00DgK0000000E3f", "005gK0000001aBc"


class Idp:
    """``life`` is told as ``expires_in``; ``lose`` answers are lost after they were carried out.

    ``grace`` lets a used token come again; one that is not strict refuses it and revokes nothing;
    ``stubborn`` calls every access token dead.
    """

    def __init__(self) -> None:
        self.life: int | None = 1800
        self.lose = 0
        self.grace = False
        self.strict = True
        self.stubborn = False
        self.slow = 0.0
        self.instance = ""
        self.url = ""
        self.asked = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self._numbers = count()
        self.begin(FIRST)

    def begin(self, refresh: str) -> None:
        """A person has agreed: a new family begins."""
        self.refresh = refresh
        self.before: set[str] = set()
        self.alive: set[str] = set()

    def expire(self) -> None:
        """All access tokens die."""
        self.alive.clear()

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        sent = form["refresh_token"]
        self.counts["refreshes"] += 1
        if sent in self.before and self.strict and not self.grace:
            self.counts["revoked"] += 1
            self.begin("revoked")
        if sent != self.refresh and not (self.grace and sent in self.before):
            return 400, {
                "error": "invalid_grant",
                "error_description": "expired access/refresh token",
            }
        self.before.add(self.refresh)
        self.refresh = f"R-canary-{next(self._numbers)}"
        access = f"A-canary-{next(self._numbers)}"
        self.alive = {access}
        told = {
            "access_token": access,
            "refresh_token": self.refresh,
            "instance_url": self.instance or self.url,
            "token_type": "Bearer",
        }
        return 200, told | ({"expires_in": self.life} if self.life else {})

    def resource(self, head: str) -> tuple[int, object]:
        found = re.search(r"(?im)^authorization: Bearer (.*?)\r?$", head)
        self.counts["calls"] += 1
        if self.stubborn or found is None or found.group(1) not in self.alive:
            self.counts["dead"] += 1
            return 401, [{"errorCode": "INVALID_SESSION_ID", "message": "expired"}]
        return 200, {"organization_id": ORG, "user_id": USER}

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"(?i)content-length: (\d+)", head)
        body = await reader.readexactly(int(length.group(1)) if length else 0)
        if "/services/oauth2/token" in head.splitlines()[0]:
            self.asked.set()
            await asyncio.sleep(self.slow)
            status, told = self.token(dict(parse_qsl(body.decode())))
            if self.lose and status == 200:
                self.lose -= 1
                return False
        else:
            status, told = self.resource(head)
        content = json.dumps(told).encode()
        writer.write(
            f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        await writer.drain()
        return True


@asynccontextmanager
async def serving(idp: Idp):
    server = await asyncio.start_server(idp._serve, "127.0.0.1", 0, backlog=512)
    idp.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield idp
    finally:
        server.close()
