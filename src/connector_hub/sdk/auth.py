"""How a connector's requests are signed, as class data. A plugin never sees a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Auth:
    """No credentials."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The Config fields without which it cannot sign."""
        return ()


@dataclass(frozen=True, slots=True)
class Bearer(Auth):
    """``Authorization: Bearer TOKEN``; ``secret`` names the Config field that refers to the token."""

    secret: str = "token"  # noqa: S105
    scheme: str = "Bearer"

    @property
    def needs(self) -> tuple[str, ...]:
        """The token."""
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class ApiKey(Auth):
    """The secret in a header of the vendor's choosing."""

    secret: str
    header: str

    @property
    def needs(self) -> tuple[str, ...]:
        """The key."""
        return (self.secret,)


@dataclass(frozen=True, slots=True)
class Basic(Auth):
    """HTTP Basic (RFC 7617); both name Config fields, ``password`` a secret one."""

    user: str
    password: str

    @property
    def needs(self) -> tuple[str, ...]:
        """Both."""
        return (self.user, self.password)


@dataclass(frozen=True, slots=True)
class ClientCredentials(Auth):
    """OAuth 2.0 client credentials (RFC 6749, 4.4).

    ``token_path`` is relative to the base URL. ``client_id`` and ``client_secret`` name Config fields.
    ``origin`` names the member of the token answer that gives the base URL for later requests
    (Salesforce ``instance_url``); it must satisfy the connector's ``origins``.
    """

    token_path: str
    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105
    origin: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def needs(self) -> tuple[str, ...]:
        """The app's id and secret."""
        return (self.client_id, self.client_secret)


@dataclass(frozen=True, slots=True)
class OAuth2(Auth):
    """OAuth 2.0 with a refresh token (RFC 6749, 6), which the vendor may replace with every use.

    ``token_url`` is absolute or relative to the base URL; a person agrees to ``scopes`` at ``authorize_url``.
    ``client_id``, ``client_secret`` and ``refresh_token`` name Config fields, the last two secret; a public
    app has no secret. ``origin`` is as in ``ClientCredentials``.

    The Config's refresh token is the first one. What replaces it is kept in the state, where all processes
    find it; another value behind the reference begins anew. A token is renewed two minutes before it dies,
    or when ``Connector.fault`` sorts an answer as ``Kind.EXPIRED``.
    """

    token_url: str
    authorize_url: str
    scopes: tuple[str, ...] = ()
    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105
    refresh_token: str = "refresh_token"  # noqa: S105
    origin: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The app's id and the first refresh token."""
        return (self.client_id, self.refresh_token)


@dataclass(frozen=True, slots=True)
class FirstOf(Auth):
    """The first of several ways whose Config fields are all filled in."""

    ways: tuple[Auth, ...]

    def chosen(self, config: Any) -> Auth | None:
        """The way that a connection's keys allow; None where they allow none."""
        given = (w for w in self.ways if not lacking(w, config))
        return next(given, None)


def lacking(way: Auth, config: Any) -> list[str]:
    """The Config fields that a way needs and a connection does not have."""
    return [name for name in way.needs if getattr(config, name, None) is None]
