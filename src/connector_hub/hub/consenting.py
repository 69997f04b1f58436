"""A person's consent to a connection: got, shown, renewed and given back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connector_hub.adapters import loopback
from connector_hub.adapters.grants import Grant
from connector_hub.adapters.http import HttpClient
from connector_hub.adapters.tokens import TokenKeeper, Trial
from connector_hub.hub.connections import Live
from connector_hub.hub.keeping import Keeping
from connector_hub.sdk.auth import way_of

PATIENCE = 300.0
"""Seconds that a person has to agree."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a connection signs with, without a secret.

    ``way`` is one of ``token``, ``key``, ``password``, ``client credentials``, ``jwt``, ``refresh token``
    (hub.yaml refers to it), ``consent`` (a person agreed) and ``none``. ``state``: *good*, *new* (nothing
    was got yet), or *reconnect*. ``account`` is the vendor's own id. ``expires`` and ``renewed`` are of the
    access token; ``scopes`` those that the vendor says it granted.
    """

    connection: str
    connector: str
    way: str
    state: str
    account: str | None = None
    expires: datetime | None = None
    renewed: datetime | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """What a logout did. ``reference``: where hub.yaml has a refresh token still."""

    connection: str
    revoked: bool
    forgotten: bool
    reference: str = ""


class Consenting(Keeping):
    """A person's consent to a connection: got, shown, renewed and given back."""

    def asks_person(self, name: str) -> bool:
        """Whether a connection lives on a person's consent, rather than on what hub.yaml refers to.

        Raises:
            ConfigError: there is no such connection.
        """
        return self._way(name) == "consent"

    async def consent(
        self,
        name: str,
        *,
        tell: Callable[[str], None],
        paste: Callable[[], str] | None = None,
        seconds: float = PATIENCE,
        secrets: Any = None,
    ) -> Live:
        """Let a person agree to a connection in a browser, and keep what comes of it in the state.

        Args:
            name: the connection.
            tell: is given the address to open.
            paste: asks for the address that the browser was sent back to; None listens for it.
            seconds: how long that may take.
            secrets: in place of those that references lead to.

        Raises:
            AuthError: nobody agreed, or the vendor gives no token for it.
            GuardTripped: it is another account's than the state knows; nothing was kept.
            ConfigError: the connection needs nobody's consent, or the redirect cannot be listened for.
        """
        _, client = self._make(name, secrets or self.secrets)
        try:
            grant = await self._agreed(client, name, tell, paste, seconds)
        finally:
            await client.aclose()
        account = await self._tried(name, grant, secrets or self.secrets)
        await self._keeper(name).begin(grant, account)
        await self._let_go(name)
        return await self.connect(name, secrets=secrets)

    async def _agreed(
        self,
        client: HttpClient,
        name: str,
        tell: Callable[[str], None],
        paste: Callable[[], str] | None,
        seconds: float,
    ) -> Grant:
        """What the vendor gives for a person's yes."""
        if paste is not None:
            asked = client.consent(client.redirect_uri)
            tell(asked.url)
            return await client.exchange(asked, paste())
        async with loopback.listening(client.redirect_uri, where=name) as listener:
            asked = client.consent(listener.uri)
            tell(asked.url)
            back = await listener.redirected(seconds, where=name)
            return await client.exchange(asked, back)

    async def _tried(self, name: str, grant: Grant, secrets: Any) -> str:
        """Whose account it is; a wrong one is refused before anything is kept."""
        trial = Trial()
        keeping = TokenKeeper(name, lambda: trial, contextlib.nullcontext, self.clock)
        await keeping.begin(grant, "")
        connector, client = self._make(name, secrets, keeping)
        try:
            account = await connector.check()
            self._verify(name, Live(connector, client, account))
        finally:
            await client.aclose()
        return account.id

    async def _let_go(self, name: str) -> None:
        live = self._live.pop(name, None)
        if live is not None:
            await live.client.aclose()

    def credentials(self, name: str | None = None) -> list[Credential]:
        """What one connection, or each of them, signs with. No vendor is asked.

        Raises:
            ConfigError: there is no such connection.
        """
        names = [name] if name else list(self.project.connections)
        return [self._credential(n) for n in names]

    def _credential(self, name: str) -> Credential:
        way = self._way(name)
        connector = self.connection(name).connector
        pinned = self.store.pinned(name) if self._stateful else None
        account = pinned.partition(":")[2] if pinned else None
        token = self.store.token(name) if self._stateful else None
        if way not in {"consent", "refresh token"} or token is None:
            state = "new" if way == "consent" else "good"
            return Credential(
                name, connector, way, self._refused_or(name, state), account
            )
        return Credential(
            name,
            connector,
            way,
            self._refused_or(name, "good"),
            token.account or account,
            token.dies,
            token.renewed,
            token.scopes,
        )

    def _refused_or(self, name: str, state: str) -> str:
        """``reconnect`` where the vendor has refused it."""
        found = self.store.standings() if self._stateful else []
        held = any(
            (s.what, s.name, s.state) == ("connection", name, "reconnect")
            for s in found
        )
        return "reconnect" if held else state

    def _way(self, name: str) -> str:
        wanted = self.connection(name)
        return way_of(self.plugins.connector(wanted.connector).auth, wanted.config)

    async def renew(self, name: str) -> Credential:
        """Ask the vendor for another access token now.

        Raises:
            ConfigError: the connection has none that is renewed.
            AuthError: the vendor gives none.
        """
        _, client = self._make(name, self.secrets)
        try:
            await client.renew()
        finally:
            await client.aclose()
        await self._let_go(name)
        return self._credential(name)

    async def logout(self, name: str, *, local: bool = False) -> LoggedOut:
        """Give a connection's token back to the vendor, and forget it.

        Args:
            name: the connection.
            local: forget it only; the vendor is not asked.

        Raises:
            ConfigError: the connection has none that is given back.
            Unavailable: no answer came; nothing was forgotten.
        """
        _, client = self._make(name, self.secrets)
        revoked = False
        try:
            token = client.held()
            if token is not None and token.refresh and not local:
                revoked = await client.revoke(token)
        finally:
            await client.aclose()
        await self._let_go(name)
        forgotten = self._stateful and self.store.drop_token(name)
        reference = self.connection(name).secrets().get("refresh_token", "")
        return LoggedOut(
            name, revoked=revoked, forgotten=forgotten, reference=reference
        )
