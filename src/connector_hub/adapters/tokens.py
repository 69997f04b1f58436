"""Rotating tokens (OAuth 2.0): fetched by one at a time, kept before they are used, asked for in no loop.

A vendor that rotates spends a refresh token with its first use; whoever sends it again may lose the whole
family of tokens (RFC 9700, 4.14.2). So all processes of a state share one row: who finds its access token
dying takes the connection's lock, looks whether another was faster, and asks. That it asks is committed
before, like any intent: a state that cannot be written costs no token, and a lost answer can be told from a
revoked one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from connector_hub.adapters.grants import Grant
from connector_hub.errors import AuthError, HubError, InDoubt, Unavailable
from connector_hub.ports import Clock, Token, Tokens

PATIENCE = 200.0
"""Seconds to wait for another process that asks: longer than one call may take with all its retries."""
_EARLY = 120.0
"""Seconds before its end that an access token is renewed, but never before half of its life is over."""
_GRACE = 1.0
"""Seconds that a cancelled run waits for an answer that is on its way: it may be the only good token."""


class Spent(Exception):
    """The vendor does not accept a refresh token (RFC 6749, 5.2: ``invalid_grant``)."""


Ask = Callable[[Token], Awaitable[Grant]]
"""Sends a token's refresh token once, and again only where it surely was not taken.

Raises ``Spent``; ``InDoubt`` where it left and no answer came; other hub errors where it was not taken.
"""


class TokenKeeper:
    """One connection's rotating token.

    Args:
        connection: its name.
        tokens: gives the state; it is opened when a token is first needed.
        lock: held by the one of all processes that asks.
        clock: for the life of tokens.
    """

    def __init__(
        self,
        connection: str,
        tokens: Callable[[], Tokens],
        lock: Callable[[], AbstractAsyncContextManager[None]],
        clock: Clock,
    ) -> None:
        self._connection = connection
        self._tokens = tokens
        self._lock = lock
        self._clock = clock
        self._alone = asyncio.Lock()
        self._held: Token | None = None

    async def live(self, first: str, ask: Ask, refused: str = "") -> Token:
        """A token that lives, and is another than the refused one. Asks for it where nobody else has.

        Args:
            first: the refresh token of the configuration; empty where a person agreed instead.
            ask: asks the vendor.
            refused: an access token that the vendor calls expired.

        Raises:
            AuthError: the vendor wants a new consent, or nobody has agreed yet.
            Unavailable: no answer came; the next run asks again.
            StoreError: the state cannot be written: nothing was asked, or its answer is lost.
        """
        async with self._alone:
            held = self._held
            if held is None or not self._good(held, refused):
                held = await self._fetched(first, ask, refused)
                self._held = held
            return held

    async def renewed(self, first: str, ask: Ask) -> Token:
        """Another token than the one that is kept, though that may live. Raises what ``live`` does."""
        return await self.live(first, ask, refused=self._read(first).access)

    def held(self, first: str) -> Token:
        """What is kept now; without any, what the configuration begins with."""
        return self._read(first)

    async def begin(self, grant: Grant, account: str) -> None:
        """A person has agreed: what was kept goes, and the state lives on this.

        Raises:
            AuthError: the vendor gave nothing to go on with.
        """
        if not grant.refresh:
            raise AuthError(
                "the vendor gave no refresh token",
                where=self._connection,
                hint="let the app ask for offline access at the vendor, then connect again",
            )
        async with self._alone, self._lock():
            kept = self._tokens().token(self._connection)
            version = kept.version if kept else 0
            new = Token(grant.refresh, account=account, version=version)
            self._held = self._swap(self._granted(new, grant))

    async def _fetched(self, first: str, ask: Ask, refused: str) -> Token:
        kept = self._read(first)
        if self._good(kept, refused):
            return kept
        if not kept.refresh:
            raise AuthError(
                "nobody has agreed to this connection yet",
                where=self._connection,
                hint=f"run connector-hub connect {self._connection}",
            )
        async with self._lock():
            kept = self._read(first)
            if self._good(kept, refused):
                return kept
            return await _to_its_end(self._refreshed(kept, first, ask, refused))

    def _good(self, token: Token, refused: str) -> bool:
        alive = token.until is None or self._clock.now() < token.until
        return bool(token.access) and token.access != refused and alive

    def _read(self, first: str) -> Token:
        """What is kept, unless the configuration has got another refresh token since."""
        kept = self._tokens().token(self._connection)
        if not first:
            return kept or Token("")
        source = _digest(first)
        if kept is None:
            return Token(first, source=source)
        if kept.source != source:
            return Token(first, source=source, asked=kept.asked, version=kept.version)
        return kept

    async def _refreshed(
        self, token: Token, first: str, ask: Ask, refused: str
    ) -> Token:
        """A new token, for at most two questions."""
        for again in (True, False):
            lost = token.asked == _digest(token.refresh)
            token = self._asking(token)
            try:
                grant = await ask(token)
            except InDoubt:
                if not again:
                    raise Unavailable(
                        "the vendor was asked for a token twice and did not answer",
                        where=self._connection,
                        hint="run again later; if the refresh token was spent by it, that will be told",
                    ) from None
            except Spent:
                now = self._read(first)
                if self._good(now, refused):
                    return now
                if now.refresh == token.refresh or not again:
                    self._asked(token, lost=lost)
                    raise self._refusal(lost=lost) from None
                token = now
            except HubError:
                self._asked(token, lost=lost)
                raise
            else:
                return self._swap(self._granted(token, grant))
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _asking(self, token: Token) -> Token:
        """Commit that the vendor is about to be asked; a token that the new one replaces stays until then."""
        asked = _digest(token.refresh)
        kept = self._tokens().token(self._connection) or token
        marked = self._swap(replace(kept, asked=asked))
        return replace(token, asked=asked, version=marked.version)

    def _asked(self, token: Token, *, lost: bool) -> None:
        """The answer is known: nothing was spent by this question."""
        kept = self._tokens().token(self._connection)
        if not lost and kept is not None and kept.version == token.version:
            self._swap(replace(kept, asked=""))

    def _swap(self, token: Token) -> Token:
        """Commit a token. Where somebody changed the row in spite of the lock, theirs stays."""
        kept = self._tokens().swap_token(self._connection, token)
        if kept is None:
            raise Unavailable(
                "another process changed the token at the same time",
                where=self._connection,
                hint="run again",
            )
        return kept

    def _granted(self, token: Token, grant: Grant) -> Token:
        now, life = self._clock.now(), grant.seconds
        return replace(
            token,
            refresh=grant.refresh or token.refresh,
            access=grant.access,
            until=_after(now, None if life is None else life - min(_EARLY, life / 2)),
            dies=_after(now, life),
            renewed=now,
            base=grant.base,
            scopes=grant.scopes or token.scopes,
            server=grant.server or token.server,
            asked="",
        )

    def _refusal(self, *, lost: bool) -> AuthError:
        hint = f"connect it anew: connector-hub connect {self._connection}"
        if lost:
            return AuthError(
                "an answer with a new token was lost, and the vendor no longer takes the old one",
                where=self._connection,
                hint=f"{hint}; nothing else is lost, the next run goes on where the last one stopped",
            )
        return AuthError(
            "the vendor takes the refresh token no longer: revoked, expired, or used elsewhere",
            where=self._connection,
            hint=hint,
        )


def _after(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)


class Trial:
    """A token that is tried before it is kept: ``Tokens`` in memory, for one connection."""

    def __init__(self) -> None:
        self._token: Token | None = None

    def token(self, connection: str) -> Token | None:
        """See ``Tokens``."""
        return self._token

    def swap_token(self, connection: str, token: Token) -> Token | None:
        """See ``Tokens``; nobody else is there to be faster."""
        self._token = replace(token, version=token.version + 1)
        return self._token

    def drop_token(self, connection: str) -> bool:
        """See ``Tokens``."""
        had, self._token = self._token, None
        return had is not None


async def _to_its_end(work: Coroutine[Any, Any, Token]) -> Token:
    """A question that is on its way is waited for a moment even when the run is cancelled."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait({task}, timeout=_GRACE)
        if not done:
            task.cancel()
        elif not task.cancelled():
            task.exception()
        raise


def _digest(secret: str) -> str:
    """Tells two secrets apart; it lies sealed beside them."""
    return hashlib.sha256(secret.encode()).hexdigest()
