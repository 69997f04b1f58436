"""What vendors send by themselves: read up to a cap, checked before it is parsed, answered once it is kept.

An ASGI app. ``POST /hooks/CONNECTION`` is all there is; whatever else comes is refused cheaply.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    MutableMapping,
)
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from connector_hub.errors import ConfigError, HubError, Locked, StoreError
from connector_hub.model.job import SideName
from connector_hub.ports import Clock
from connector_hub.sdk.hearing import Heard, Request, Shared, Signed

CAP = 1 << 20
"""Bytes that a body may have."""
PATH = "/hooks/"
_READING = 10.0
"""Seconds that a body may take to come."""
_JSON = re.compile(rb'application/json(; *charset="?utf-8"?)?', re.IGNORECASE)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Ear:
    """One connection that is listened for.

    ``url`` is where its vendor reaches us, ``hear`` keeps what a checked request hints at.
    """

    url: str
    signed: Signed | Shared
    secret: str
    hear: Callable[[Request], Awaitable[Heard]]

    def __repr__(self) -> str:
        return f"<Ear {self.url}>"


Hint = tuple[str, SideName, str]
"""A job, a side, and a record of it as the job calls it."""


class Together:
    """What comes at the same time is committed at once: a commit waits for the disk, a burst should not.

    Args:
        commit: puts hints on the disk.
    """

    def __init__(self, commit: Callable[[Collection[Hint]], None]) -> None:
        self._commit = commit
        self._hints: dict[Hint, None] = {}
        self._kept: asyncio.Future[None] | None = None

    async def keep(self, hints: Iterable[Hint]) -> None:
        """Come back when they are on the disk.

        Raises:
            HubError: they are not.
        """
        self._hints |= dict.fromkeys(hints)
        if self._kept is None:
            loop = asyncio.get_running_loop()
            self._kept = loop.create_future()
            loop.call_soon(self._flush, self._kept)
        await asyncio.shield(self._kept)

    def _flush(self, kept: asyncio.Future[None]) -> None:
        hints, self._hints, self._kept = self._hints, {}, None
        try:
            self._commit(hints)
        except HubError as e:
            kept.set_exception(e)
            kept.exception()  # whoever asked may be gone
        else:
            kept.set_result(None)


class _Refused(Exception):
    """An answer without a body."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__()
        self.status = status


class Listener:
    """The app.

    Args:
        ears: by connection.
        clock: for the age of requests.
        tell: hears once when requests of a connection begin to be refused, and once when they fit again.
    """

    def __init__(
        self, ears: Mapping[str, Ear], clock: Clock, tell: Callable[[str], None]
    ) -> None:
        self._ears = ears
        self._clock = clock
        self._tell = tell
        self._troubled: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._answered(scope, receive)
            status = HTTPStatus.OK if reply else HTTPStatus.NO_CONTENT
        except _Refused as e:
            reply, status = b"", e.status
        headers = [(b"content-length", str(len(reply)).encode())]
        if status >= HTTPStatus.BAD_REQUEST:
            # What is left of the body is not read.
            headers.append((b"connection", b"close"))
        await send(
            {"type": "http.response.start", "status": int(status), "headers": headers}
        )
        await send({"type": "http.response.body", "body": reply})

    async def _answered(self, scope: Scope, receive: Receive) -> bytes:
        name = str(scope["path"]).removeprefix(PATH)
        ear = self._ears.get(name)
        if ear is None or not str(scope["path"]).startswith(PATH):
            raise _Refused(HTTPStatus.NOT_FOUND)
        if scope["method"] != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED)
        kinds = [v for k, v in scope["headers"] if k == b"content-type"]
        if len(kinds) != 1 or not _JSON.fullmatch(kinds[0].strip()):
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        body = await _body(scope, receive)
        query = scope["query_string"].decode("latin-1")
        request = Request(
            scope["method"],
            ear.url + (f"?{query}" if query else ""),
            {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]},
            body,
        )
        if not genuine(ear.signed, ear.secret, request, self._clock.now()):
            self._trouble(name, f"signed otherwise than for {ear.url}, or too old")
            raise _Refused(HTTPStatus.UNAUTHORIZED)
        reply = await self._heard(name, ear, request)
        if name in self._troubled:
            self._troubled.discard(name)
            self._tell(f"webhooks of {name} are heard again")
        return reply

    async def _heard(self, name: str, ear: Ear, request: Request) -> bytes:
        """Keep the hints; what cannot be kept now, or ever, is told to the vendor."""
        try:
            return (await ear.hear(request)).reply
        except (StoreError, ConfigError, Locked) as e:
            self._trouble(name, e.message)
            raise _Refused(HTTPStatus.SERVICE_UNAVAILABLE) from None
        except Exception as e:  # noqa: BLE001 - a vendor's message may break a plugin, not the listener
            self._trouble(name, f"not understood ({type(e).__name__})")
            raise _Refused(HTTPStatus.BAD_REQUEST) from None

    def _trouble(self, name: str, why: str) -> None:
        """Told once: whoever knocks with forged requests fills no log."""
        if name not in self._troubled:
            self._troubled.add(name)
            self._tell(f"a webhook of {name} was refused: {why}")


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The body, read no further than the cap."""
    told = next((v for k, v in scope["headers"] if k == b"content-length"), b"0")
    if not told.isdigit() or int(told[:12]) > CAP:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    parts, size = [], 0
    try:
        async with asyncio.timeout(_READING):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Refused(HTTPStatus.BAD_REQUEST)
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > CAP:
                    raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                if not message.get("more_body"):
                    return b"".join(parts)
    except TimeoutError:
        raise _Refused(HTTPStatus.REQUEST_TIMEOUT) from None


def genuine(
    signed: Signed | Shared, secret: str, request: Request, now: datetime
) -> bool:
    """Whether a request is the vendor's own, and of these minutes."""
    if isinstance(signed, Shared):
        return _is_shared(signed, secret, request)
    if signed.stamp:
        sent = request.headers.get(signed.stamp, "")
        if not re.fullmatch(r"[0-9]{1,15}", sent):
            return False
        if abs(now.timestamp() - int(sent) / 1000) > signed.seconds:
            return False
    mac = hmac.new(secret.encode(), signed.text(request), hashlib.sha256).digest()
    wanted = base64.b64encode(mac) if signed.digest == "base64" else mac.hex().encode()
    # As bytes: text that is not ASCII would raise.
    given = request.headers.get(signed.header, "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(wanted, given)


def _is_shared(signed: Shared, secret: str, request: Request) -> bool:
    """Whether a message repeats the secret; one that cannot be read does not."""
    try:
        given = signed.given(request)
    except ValueError:
        return False
    return hmac.compare_digest(
        secret.encode(), given.encode("utf-8", "surrogateescape")
    )
