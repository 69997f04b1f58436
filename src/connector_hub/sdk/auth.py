"""How a connector's requests are signed, as class data. A plugin never sees a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

REDIRECT_URI = "http://localhost:8976/callback"
"""Where a vendor sends the browser back to, unless a connection says otherwise; apps register it."""


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
class JwtBearer(Auth):
    """OAuth 2.0 with a signed assertion in place of a secret (RFC 7523, 2.1), by RS256.

    ``token_path`` is relative to the base URL. ``client_id``, ``user`` and ``audience`` name Config fields,
    and so does ``private_key``, a secret one: a PEM of at least 2,048 bits. ``origin`` is as in
    ``ClientCredentials``.
    """

    token_path: str
    client_id: str = "client_id"
    user: str = "user"
    audience: str = "audience"
    private_key: str = "private_key"
    origin: str | None = None

    @property
    def needs(self) -> tuple[str, ...]:
        """The app's id, the user it acts for, and the key."""
        return (self.client_id, self.user, self.private_key)


@dataclass(frozen=True, slots=True)
class OAuth2(Auth):
    """OAuth 2.0 with a refresh token (RFC 6749, 6), which the vendor may replace with every use.

    A person agrees to ``scopes`` at ``authorize_url`` (``connector-hub connect``, with PKCE), or the
    Config refers to a refresh token that was got elsewhere. What the vendor gives is kept in the state, where
    all processes find it; another value behind the reference begins anew. A token is renewed two minutes
    before it dies, or when ``Connector.fault`` sorts an answer as ``Kind.EXPIRED``.

    ``token_url``, ``authorize_url`` and ``revoke_url`` (RFC 7009; empty where the vendor has none) are
    absolute or relative to the connection's base URL, and may name Config fields in braces:
    ``{accounts}/token``. ``client_id``, ``client_secret``, ``refresh_token`` and ``redirect_uri`` name
    Config fields, the two in the middle secret; a public app has no secret. ``origin`` is as in
    ``ClientCredentials``.

    ``given``: further Config fields that must be there, where they tell this way from another.
    ``scheme``: the word before the token in the Authorization header.
    ``separator``: what stands between two scopes. ``asking``: what else the vendor wants to be asked with.
    ``server``: the member of the redirect that names the server to go on with; it must satisfy ``origins``.
    ``spent``: the errors that say a code or refresh token is no good (any more).
    """

    token_url: str
    authorize_url: str
    scopes: tuple[str, ...] = ()
    client_id: str = "client_id"
    client_secret: str = "client_secret"  # noqa: S105
    refresh_token: str = "refresh_token"  # noqa: S105
    redirect_uri: str = "redirect_uri"
    origin: str | None = None
    revoke_url: str = ""
    given: tuple[str, ...] = ()
    scheme: str = "Bearer"
    separator: str = " "
    asking: Mapping[str, str] = field(default_factory=dict)
    server: str = ""
    spent: tuple[str, ...] = ("invalid_grant",)

    @property
    def needs(self) -> tuple[str, ...]:
        """The app's id, and what tells this way from others."""
        return (self.client_id, *self.given)


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


def chosen(auth: Auth, config: Any) -> Auth:
    """The way that a connection signs."""
    if not isinstance(auth, FirstOf):
        return auth
    return auth.chosen(config) or auth.ways[0]


_WAYS: Mapping[type[Auth], str] = {
    Bearer: "token",
    ApiKey: "key",
    Basic: "password",
    ClientCredentials: "client credentials",
    JwtBearer: "jwt",
}


def way_of(auth: Auth, config: Any) -> str:
    """How a connection signs, in a word or two."""
    way = chosen(auth, config)
    if isinstance(way, OAuth2):
        given = getattr(config, way.refresh_token, None) is not None
        return "refresh token" if given else "consent"
    return _WAYS.get(type(way), "none")
