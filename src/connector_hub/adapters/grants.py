"""What is said to token endpoints (RFC 6749, 7009, 7523) and to people who agree (RFC 7636).

No network here: ``http`` sends it. authlib and joserfc write the words; authlib's own client is not used,
since every request leaves through ours.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

from connector_hub.errors import AuthError, ConfigError
from connector_hub.ports import Answer
from connector_hub.sdk.auth import OAuth2

ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
"""The grant type of RFC 7523, 2.1."""
_ASSERTED = 170.0
"""Seconds that an assertion lives: Salesforce takes three minutes at most, and clocks differ."""
_LONGEST_LIFE = 10 * 365 * 86_400.0
_ERROR = re.compile(r"[a-z_]{1,40}")
"""An error of RFC 6749: a word, never a value."""
_VERIFIER, _STATE = 64, 32
"""Letters: RFC 7636 takes 43 to 128 of them."""
_AGAIN = "run connector-hub connect {} again"


@dataclass(frozen=True, slots=True)
class Grant:
    """An answer: ``refresh`` is empty where the old one stays good, ``seconds`` of life may be unknown.

    ``server`` is where it was issued, where that is not the connection's own.
    """

    access: str = field(repr=False)
    refresh: str = field(default="", repr=False)
    seconds: float | None = None
    base: str = ""
    scopes: tuple[str, ...] = ()
    server: str = ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person is asked: ``url`` is opened in a browser, which comes back to ``redirect_uri``."""

    url: str = field(repr=False)
    redirect_uri: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the browser brought back: a code for one use, and the server that takes it, where it names one."""

    code: str = field(repr=False)
    server: str = ""


def consent(
    auth: OAuth2, url: str, client: str, redirect_uri: str, scopes: tuple[str, ...]
) -> Consent:
    """A question to a person, with a state and a proof of its own (RFC 6749, 4.1.1; RFC 7636, 4.3)."""
    from authlib.common.security import generate_token  # noqa: PLC0415 - heavy
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

    state, verifier = generate_token(_STATE), generate_token(_VERIFIER)
    return Consent(
        prepare_grant_uri(
            url,
            client,
            "code",
            redirect_uri=redirect_uri,
            scope=auth.separator.join(scopes or auth.scopes) or None,
            state=state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            **auth.asking,
        ),
        redirect_uri,
        state,
        verifier,
    )


def agreed(asked: Consent, redirected: str, *, server: str, where: str) -> Agreed:
    """Read where the browser was sent to (RFC 6749, 4.1.2).

    Args:
        asked: the question it must answer.
        redirected: the whole URL.
        server: the member that names the server to go on with; empty where there is none.
        where: the connection's name.

    Raises:
        AuthError: it answers another question, or the person said no.
        ConfigError: it is no such URL.
    """
    told = dict(parse_qsl(urlsplit(redirected.strip()).query))
    again = _AGAIN.format(where)
    if not told:
        raise ConfigError(
            "this is no address that a vendor sends a browser back to",
            where=where,
            hint=f"paste all of the address line: {asked.redirect_uri}?code=...&state=...",
        )
    if not hmac.compare_digest(told.get("state", "").encode(), asked.state.encode()):
        raise AuthError(
            "the browser's answer belongs to another question (its state differs)",
            where=where,
            hint=f"{again}, and agree on the page that it opens",
        )
    if said := told.get("error", ""):
        word = f" ({said})" if _ERROR.fullmatch(said) else ""
        if said == "access_denied":
            raise AuthError(
                f"the person at the browser did not agree{word}; nothing was changed",
                where=where,
                hint=again,
            )
        raise AuthError(
            f"the vendor does not let the app ask for consent{word}",
            where=where,
            hint="look at the app's id, redirect URL and scopes at the vendor",
        )
    if not told.get("code"):
        raise AuthError("the browser came back without a code", where=where, hint=again)
    return Agreed(told["code"], told.get(server, "") if server else "")


def assertion(  # noqa: D417 - the claims are those of RFC 7523, 3
    private_key: str, *, issuer: str, subject: str, audience: str, now: datetime
) -> str:
    """A signed assertion (RFC 7523, 2.1) for one question.

    Args:
        private_key: PEM.

    Raises:
        ValueError: it is no RSA key that can sign.
    """
    from joserfc import jwt  # noqa: PLC0415 - heavy
    from joserfc.jwk import RSAKey  # noqa: PLC0415

    ends = now + timedelta(seconds=_ASSERTED)
    claims = {"iss": issuer, "sub": subject, "aud": audience}
    return jwt.encode(
        {"alg": "RS256"},
        {**claims, "exp": int(ends.timestamp())},
        RSAKey.import_key(private_key),
    )


def granted(answer: Answer, *, origin: str | None) -> Grant | None:
    """The tokens of an answer; None where it has none that a header can carry.

    Raises:
        Unavailable: it is no JSON.
    """
    told = answer.json()
    found = told if isinstance(told, dict) else {}
    access = found.get("access_token")
    if not (isinstance(access, str) and access):
        return None
    if not (access.isascii() and access.isprintable()):
        return None
    return Grant(
        access,
        str(found.get("refresh_token") or ""),
        seconds(found.get("expires_in")),
        str((origin and found.get(origin)) or ""),
        _scopes(found),
    )


def _scopes(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Scopes by RFC 6749, 3.3, with commas, or as a list."""
    told = found.get("scopes") or found.get("scope") or ()
    words = re.split(r"[\s,]+", told) if isinstance(told, str) else map(str, told)
    return tuple(w for w in words if w)


def refused(answer: Answer) -> bool:
    """Whether a token endpoint gives nothing, which some say with status 200."""
    if answer.status >= 300:  # noqa: PLR2004
        return True
    found = _body(answer)
    return bool(found.get("error")) and not found.get("access_token")


def error(answer: Answer) -> str:
    """The word for it (RFC 6749, 5.2); empty for none."""
    said = str(_body(answer).get("error") or "")
    return said if _ERROR.fullmatch(said) else ""


def _body(answer: Answer) -> Mapping[str, Any]:
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def seconds(value: Any) -> float | None:
    """The life of a token; None where the vendor gives no number."""
    try:
        life = float(value)
    except (TypeError, ValueError):
        return None
    return life if 0 < life < _LONGEST_LIFE else None
