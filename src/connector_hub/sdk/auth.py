"""How a connector's requests are signed, as class data. A plugin never sees a secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Auth:
    """No credentials."""


@dataclass(frozen=True, slots=True)
class Bearer(Auth):
    """``Authorization: Bearer TOKEN``; ``secret`` names the Config field that refers to the token."""

    secret: str = "token"  # noqa: S105
    scheme: str = "Bearer"


@dataclass(frozen=True, slots=True)
class ApiKey(Auth):
    """The secret in a header of the vendor's choosing."""

    secret: str
    header: str


@dataclass(frozen=True, slots=True)
class Basic(Auth):
    """HTTP Basic (RFC 7617); both name Config fields, ``password`` a secret one."""

    user: str
    password: str


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


@dataclass(frozen=True, slots=True)
class FirstOf(Auth):
    """The first of several ways whose Config fields are all filled in."""

    ways: tuple[Auth, ...]
