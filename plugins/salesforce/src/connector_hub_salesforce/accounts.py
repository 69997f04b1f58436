"""Who may call: the sandbox's page where people agree, and its tokens by every grant that Salesforce has.

Source: https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flows.htm
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.consents import Consents, Refusal
from connector_hub.testing.sandbox import SandboxClock, answer
from connector_hub_salesforce.ids import long_id
from connector_hub_salesforce.org import ORG, ROBOT

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-secret-5d2c"  # noqa: S105 - of the sandbox
REFRESH_TOKEN = "5Aep861sandbox"  # noqa: S105 - of the sandbox
USERNAME = "connector.hub@sandbox.example"
"""Who may be acted for without being asked (JWT)."""
_APPROVALS = 5
_ASSERTED = 180.0
_SKEW = 30.0
_LOGINS = {"https://login.salesforce.com", "https://test.salesforce.com"}
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CODE_LIFE = 900.0


class Refused(Exception):
    """Salesforce's word and sentence for a grant that it does not take."""


class Accounts:
    """The app that the org knows, and who has approved it.

    ``certificate``: the app's, a public key as PEM; without it no assertion is good. ``allowed``: the users
    that it may act for unasked. ``approvals``: the refresh tokens that live, oldest first: five for each user
    and app, and the sixth revokes the first.

    Args:
        clock: the org's.
        sessions: when each access token was used last; new ones are put there.
        seed: makes the tokens of two orgs differ.
        rotates: whether each use of a refresh token gives another one, and the old one dies.
    """

    def __init__(
        self,
        clock: SandboxClock,
        sessions: dict[str, float],
        seed: int,
        rotates: Callable[[], bool],
    ) -> None:
        self._clock = clock
        self._sessions = sessions
        self._seed = seed
        self._minted = 0
        self._rotates = rotates
        self.certificate = ""
        self.allowed = {USERNAME}
        self.approvals = [REFRESH_TOKEN]
        self.consents = Consents(
            "Salesforce",
            clock,
            CLIENT_ID,
            {"http://localhost:8976/callback"},
            life=_CODE_LIFE,
        )

    async def token(self, request: Request) -> Response:
        """RFC 6749 and 7523 as Salesforce has them; no password."""
        form = {**dict(request.query_params), **(await _form(request))}
        here = origin(request)
        try:
            return answer(self._granted(form, here))
        except Refused as e:
            return oauth_error(*e.args)

    def _granted(self, form: Mapping[str, str], here: str) -> dict[str, Any]:
        grant = form.get("grant_type", "")
        if grant == _JWT:
            self._assertion(form.get("assertion", ""), here)
            return self._session(here, "id api")
        grants = {"authorization_code", "client_credentials", "refresh_token"}
        if grant not in grants:
            raise Refused("unsupported_grant_type", "grant type not supported")
        if form.get("client_id") != CLIENT_ID:
            raise Refused("invalid_client_id", "client identifier invalid")
        secret = form.get("client_secret")
        needed = grant == "client_credentials"
        if secret != CLIENT_SECRET and (needed or secret is not None):
            raise Refused("invalid_client", "invalid client credentials")
        if grant == "client_credentials":
            return self._session(here, "id api")
        if grant == "authorization_code":
            return self._approved(form, here)
        return self._refreshed(form.get("refresh_token", ""), here)

    def _approved(self, form: Mapping[str, str], here: str) -> dict[str, Any]:
        try:
            scopes = self.consents.scopes(self.consents.redeem(form))
        except Refusal as e:
            said = {
                "expired": "expired authorization code",
                "redirect": "redirect_uri must match configuration",
                "proof": "invalid code verifier",
            }
            word = "redirect_uri_mismatch" if e.why == "redirect" else "invalid_grant"
            raise Refused(word, said.get(e.why, "invalid authorization code")) from None
        told = self._session(here, " ".join(scopes))
        if "refresh_token" not in scopes and "offline_access" not in scopes:
            return told
        refresh = self._fresh(told["access_token"])
        self.approvals = [*self.approvals, refresh][-_APPROVALS:]
        return {**told, "refresh_token": refresh}

    def _refreshed(self, refresh: str, here: str) -> dict[str, Any]:
        if refresh not in self.approvals:
            raise Refused("invalid_grant", "expired access/refresh token")
        told = self._session(here, "refresh_token id api")
        if not self._rotates():
            return told
        new = self._fresh(told["access_token"])
        self.approvals[self.approvals.index(refresh)] = new
        return {**told, "refresh_token": new}

    def _fresh(self, token: str) -> str:
        return f"5Aep861{hashlib.sha256(token.encode()).hexdigest()[:24]}"

    def _session(self, here: str, scope: str) -> dict[str, Any]:
        """A session that begins now; ``signature`` is made with the app's secret, to be checked by it."""
        self._minted += 1
        now = self._clock.time()
        seed = f"{self._seed}/{self._minted}/{now}"
        token = f"{ORG}!AQ0AQ{hashlib.sha256(seed.encode()).hexdigest()}"
        self._sessions[token] = now
        person = f"{here}/id/{long_id(ORG)}/{long_id(ROBOT)}"
        issued = str(int(now * 1000))
        mac = hmac.new(CLIENT_SECRET.encode(), (person + issued).encode(), "sha256")
        return {
            "access_token": token,
            "signature": base64.b64encode(mac.digest()).decode(),
            "scope": scope,
            "instance_url": here,
            "id": person,
            "token_type": "Bearer",
            "issued_at": issued,
        }

    def _assertion(self, assertion: str, here: str) -> None:
        """Check an assertion (RFC 7523, 3): its signature, whose and for whom it is, its three minutes."""
        claims = self._signed(assertion)
        if claims.get("iss") != CLIENT_ID:
            raise Refused("invalid_client_id", "client identifier invalid")
        if str(claims.get("aud", "")).rstrip("/") not in _LOGINS | {here}:
            raise Refused("invalid_grant", "audience is invalid")
        now, ends = self._clock.time(), claims.get("exp")
        if not isinstance(ends, int) or not now - _SKEW < ends <= now + _ASSERTED:
            raise Refused("invalid_grant", "expired authorization code")
        if claims.get("sub") not in self.allowed:
            raise Refused("invalid_grant", "user hasn't approved this consumer")

    def _signed(self, assertion: str) -> Mapping[str, Any]:
        invalid = Refused("invalid_grant", "invalid assertion")
        try:
            head, body, signature = assertion.split(".")
            key = load_pem_public_key(self.certificate.encode())
            if not isinstance(key, RSAPublicKey) or _part(head).get("alg") != "RS256":
                raise invalid
            key.verify(
                _bytes(signature), f"{head}.{body}".encode(), PKCS1v15(), SHA256()
            )
            return _part(body)
        except (ValueError, InvalidSignature):
            raise invalid from None

    async def revoke(self, request: Request) -> Response:
        """A token dies, and with a refresh token all that came of it is to be asked for anew."""
        token = {**dict(request.query_params), **(await _form(request))}.get("token")
        if token in self.approvals:
            self.approvals.remove(token)
        elif self._sessions.pop(token or "", None) is None:
            return oauth_error(
                "unsupported_token_type", "this token type is not supported"
            )
        return Response(status_code=200)


def routes(accounts: Callable[[], Accounts]) -> list[Route]:
    """The paths of consent and tokens; ``accounts`` is asked for at every call."""

    async def page(request: Request) -> Response:
        return await accounts().consents.page(request)

    async def token(request: Request) -> Response:
        return await accounts().token(request)

    async def revoke(request: Request) -> Response:
        return await accounts().revoke(request)

    base, both = "/services/oauth2", ["GET", "POST"]
    return [
        Route(f"{base}/authorize", page, methods=both),
        Route(f"{base}/token", token, methods=["POST"]),
        Route(f"{base}/revoke", revoke, methods=both),
    ]


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


def origin(request: Request) -> str:
    """Where the caller reaches the sandbox: tokens must lead back here."""
    return f"{request.url.scheme}://{request.headers.get('host', '127.0.0.1')}"


def oauth_error(word: str, said: str) -> Response:
    """A refusal of the token endpoint (RFC 6749, 5.2)."""
    return answer({"error": word, "error_description": said}, 400)


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _part(part: str) -> Mapping[str, Any]:
    found = json.loads(_bytes(part))
    return found if isinstance(found, dict) else {}
