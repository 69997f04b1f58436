"""What the inside asks of the outside. Adapters fill these; tests may, too."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from connector_hub.errors import Unavailable


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's reply, read completely. ``headers`` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The decoded body, None when it is empty.

        Raises:
            Unavailable: the body is not JSON (a proxy's page, half an answer).
        """
        if not self.body:
            return None
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError as e:
            raise Unavailable(
                f"the answer (status {self.status}) is not JSON",
                hint="a proxy or login page may stand between the hub and the vendor",
            ) from e


class Clock(Protocol):
    """Time, as far as the hub needs it."""

    def now(self) -> datetime:
        """The current instant in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


class Http(Protocol):
    """What a connector speaks HTTP through: credentials, limits, retries and the ledger are inside."""

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
        cost: int = 1,
        repeatable: bool | None = None,
        ok: tuple[int, ...] = (),
    ) -> Answer:
        """Send one request and return the answer, whatever path it took.

        ``path`` is relative to the connection's base URL, or an absolute URL of an allowed origin.
        ``repeatable`` says that sending twice does no harm (default: GET and HEAD).
        ``ok`` names statuses >= 300 that the caller wants to see rather than have raised.

        Raises:
            Unavailable, RateLimited, QuotaSpent, InDoubt, AuthError, Rejected, Missing, Exists,
            Stale, ConfigError: as sorted by the connector's ``fault``.
        """

    async def get(self, path: str, **options: Any) -> Any:
        """GET, decoded JSON."""

    async def post(self, path: str, **options: Any) -> Any:
        """POST, decoded JSON."""

    async def patch(self, path: str, **options: Any) -> Any:
        """PATCH, decoded JSON."""


class Limiter(Protocol):
    """Keeps requests inside a vendor's windows."""

    def slot(self, bucket: str, cost: int = 1) -> AbstractAsyncContextManager[None]:
        """Wait for room in the bucket; the slot is stamped when the block ends (the reply is here)."""

    def heed(self, left: Mapping[str, float]) -> None:
        """Take the vendor's own word on what is left, per bucket."""

    def throttled(self, bucket: str, wait: float | None) -> None:
        """The vendor refused a call of this bucket; hold back for ``wait`` seconds."""


class Secrets(Protocol):
    """Where secrets are kept."""

    def read(self, reference: str) -> str:
        """The secret behind ``keyring:NAME``, ``env:NAME`` or ``file:PATH``.

        Raises:
            ConfigError: there is none, or this machine cannot keep any.
        """


Progress = Callable[[str, int, int | None], None]
"""Told (phase, done, total or None) while work goes on."""

Sleep = Callable[[float], Awaitable[None]]
