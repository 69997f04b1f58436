"""Who may call: the sandbox's page where people agree, its tokens, and the port's way to them.

https://developers.hubspot.com/docs/api-reference/latest/authentication/manage-oauth-tokens
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.consents import Consents, Refusal
from connector_hub.testing.sandbox import SandboxClock, answer

CLIENT_ID = "0b7c2a51-9f3d-4e8a-8c1e-sandbox"
CLIENT_SECRET = "6d1f7f0e-sandbox-4c1b-app"  # noqa: S105 - of the sandbox
REFRESH_TOKEN = "na1-4f1e-sandbox-refresh"  # noqa: S105 - of the sandbox
LIFE = 1_800
"""Seconds that an access token of a public app lives."""
_CODE_LIFE = 60.0
_SCOPES = (
    "oauth",
    "crm.objects.owners.read",
    *(
        f"crm.{needs}.{name}.{what}"
        for needs in ("objects", "schemas")
        for name in ("contacts", "companies", "deals", "line_items")
        for what in ("read", "write")
    ),
)
"""What the token that the sandbox is born with may do."""
_BAD_REFRESH = (
    "invalid_grant",
    "BAD_REFRESH_TOKEN",
    "refresh token is invalid, expired or revoked",
)
_BAD_CODE = ("invalid_grant", "BAD_AUTH_CODE", "missing or unknown auth code")
_BAD_APP = ("invalid_client", "BAD_CLIENT_ID", "missing or invalid client id")
_BAD_GRANT = ("unsupported_grant_type", "BAD_GRANT_TYPE", "unknown grant type")


class Accounts:
    """The app that the sandbox knows, and what its users have agreed to.

    ``deaths``: when each access token dies. ``portal``: whose data it is.
    """

    def __init__(self, clock: SandboxClock, portal: int) -> None:
        self._clock = clock
        self._portal = portal
        self.deaths: dict[str, float] = {}
        self._scopes: dict[str, tuple[str, ...]] = {}
        self.refreshes: dict[str, tuple[str, ...]] = {REFRESH_TOKEN: _SCOPES}
        self.consents = Consents(
            "HubSpot",
            clock,
            CLIENT_ID,
            {"http://localhost:8976/callback"},
            life=_CODE_LIFE,
        )

    async def token(self, request: Request) -> Response:
        """Codes and refresh tokens for access tokens; the refresh token stays.

        Parameters are in the form, for v1 in the query, too.
        """
        form = await _form(request)
        grant = form.get("grant_type")
        if grant not in {"authorization_code", "refresh_token"}:
            return _refused(_BAD_GRANT)
        if not _is_app(form):
            return _refused(_BAD_APP)
        if grant == "refresh_token":
            refresh = form.get("refresh_token", "")
            if refresh not in self.refreshes:
                return _refused(_BAD_REFRESH)
            return self._granted(refresh)
        try:
            asked = self.consents.redeem(form)
        except Refusal:
            return _refused(_BAD_CODE)
        refresh = f"na1-{uuid.uuid4()}"
        self.refreshes[refresh] = self.consents.scopes(asked)
        return self._granted(refresh)

    def _granted(self, refresh: str) -> Response:
        token = f"CK{uuid.uuid4().hex}"
        self.deaths[token] = self._clock.time() + LIFE
        self._scopes[token] = self.refreshes[refresh]
        return answer(
            {
                "token_type": "bearer",
                "refresh_token": refresh,
                "access_token": token,
                "hub_id": self._portal,
                "scopes": list(self.refreshes[refresh]),
                "expires_in": LIFE,
                "token_use": "access_token",
            }
        )

    async def tell(self, request: Request) -> Response:
        """What an access token is for; who holds it may ask."""
        token = request.path_params["token"]
        left = self.deaths.get(token, 0.0) - self._clock.time()
        if left <= 0:
            return answer({"status": "error", "message": "invalid token"}, 404)
        return answer(
            {
                "token": token,
                "user": "admin@sandbox.example",
                "hub_domain": "sandbox.example",
                "scopes": list(self._scopes[token]),
                "hub_id": self._portal,
                "app_id": 54_321,
                "expires_in": int(left),
                "user_id": 8_101,
                "token_type": "access",
            }
        )

    async def revoke(self, request: Request) -> Response:
        """A refresh token dies; access tokens that came of it live to their end."""
        form = await _form(request)
        if not _is_app(form):
            return _refused(_BAD_APP)
        if self.refreshes.pop(form.get("token", ""), None) is None:
            return _refused(_BAD_REFRESH)
        return answer(None)

    async def delete(self, request: Request) -> Response:
        """The same by v1's own path; it asks for no secret."""
        self.refreshes.pop(request.path_params["token"], None)
        return answer(None, 204)


def routes(accounts: Callable[[], Accounts]) -> list[Route]:
    """The paths of consent and tokens; ``accounts`` is asked for at every call."""

    async def page(request: Request) -> Response:
        return await accounts().consents.page(request)

    async def token(request: Request) -> Response:
        return await accounts().token(request)

    async def revoke(request: Request) -> Response:
        return await accounts().revoke(request)

    async def delete(request: Request) -> Response:
        return await accounts().delete(request)

    async def tell(request: Request) -> Response:
        return await accounts().tell(request)

    at, post = "/oauth/{}/token", ["POST"]
    dated = ("v3", "2026-03")
    return [
        Route("/oauth/authorize", page, methods=["GET", "POST"]),
        *(Route(at.format(v), token, methods=post) for v in ("v1", *dated)),
        *(Route(f"{at.format(v)}/revoke", revoke, methods=post) for v in dated),
        Route("/oauth/v1/refresh-tokens/{token}", delete, methods=["DELETE"]),
        Route("/oauth/v1/access-tokens/{token}", tell, methods=["GET"]),
    ]


async def _form(request: Request) -> dict[str, str]:
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    if request.url.path.startswith("/oauth/v1/"):
        return {**dict(request.query_params), **form}
    return form


def _is_app(form: Mapping[str, str]) -> bool:
    return (form.get("client_id"), form.get("client_secret")) == (
        CLIENT_ID,
        CLIENT_SECRET,
    )


def _refused(refusal: tuple[str, str, str]) -> Response:
    """A refusal of the token endpoint, as HubSpot spells RFC 6749, 5.2."""
    error, status, said = refusal
    body: dict[str, Any] = {"error": error, "error_description": said}
    return answer({**body, "status": status, "message": said}, 400)
