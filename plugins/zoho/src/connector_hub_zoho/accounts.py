"""Data centres, and who may call: the sandbox's page where people agree, and its tokens.

Source: https://www.zoho.com/crm/developer/docs/api/v8/oauth-overview.html, multi-dc.html, token-validity.html
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.consents import Consents, Refusal
from connector_hub.testing.sandbox import SandboxClock, answer

CLIENT_ID = "1000.SANDBOXCLIENT"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - it opens nothing
REFRESH_TOKEN = "1000.f0e1d2c3b4a5968778695a4b3c2d1e0f.d4e5f6"  # noqa: S105 - it opens nothing
TOKEN_LIFE = 3_600
MINTS, MINT_SECONDS = 10, 600.0
"""Access tokens that a refresh token gives in so many seconds."""
_LIVING, _REFRESHES = 15, 20
"""Access tokens of a refresh token, and refresh tokens of a user and app: one more ends the oldest."""
_CODE_LIFE = 60.0
_THROTTLED = {
    "error_description": "You have made too many requests continuously. Please try again after some time.",
    "error": "Access Denied",
    "status": "failure",
}
_SCOPES = ("ZohoCRM.modules.ALL", "ZohoCRM.settings.ALL")


class Accounts:
    """The app that the sandbox knows, and what a user has agreed to.

    ``location``: the data centre that the redirect names. ``tokens``: when each access token dies.
    ``throttle``: the status of a throttled answer; Zoho's documents and its users have seen 200 and 400.

    Args:
        clock: the sandbox's.
        url: where the sandbox lives, which is what ``api_domain`` and ``accounts-server`` say.
        first: an access token that never dies.
    """

    def __init__(self, clock: SandboxClock, url: Callable[[], str], first: str) -> None:
        self._clock = clock
        self._url = url
        self.location = "us"
        self.throttle = 400
        self.tokens: dict[str, float] = {first: float("inf")}
        self.refreshes: dict[str, _Refresh] = {REFRESH_TOKEN: _Refresh(_SCOPES)}
        self.consents = Consents(
            "Zoho",
            clock,
            CLIENT_ID,
            {"http://localhost:8976/callback"},
            life=_CODE_LIFE,
            separator=",",
        )

    async def page(self, request: Request) -> Response:
        """Where people agree. The redirect says which server gives tokens."""
        self.consents.more = {
            "location": self.location,
            "accounts-server": self._url(),
        }
        return await self.consents.page(request)

    def lives(self, token: str) -> bool:
        """Whether an access token is good."""
        return self.tokens.get(token, -1.0) >= self._clock.time()

    async def token(self, request: Request) -> Response:
        """Ten tokens in ten minutes, fifteen that live. Refusals have status 200."""
        form = await _form(request)
        if form.get("client_id") != CLIENT_ID:
            return answer({"error": "invalid_client"})
        if form.get("client_secret") != CLIENT_SECRET:
            return answer({"error": "invalid_client_secret"})
        if form.get("grant_type") == "authorization_code":
            return self._agreed(form)
        refresh = self.refreshes.get(form.get("refresh_token", ""))
        if form.get("grant_type") != "refresh_token" or refresh is None:
            return answer({"error": "invalid_code"})
        if not refresh.admits(self._clock.time()):
            return answer(_THROTTLED, self.throttle)
        return answer(self._granted(refresh))

    def _agreed(self, form: Mapping[str, str]) -> Response:
        """A code gives a refresh token only to those that asked for one (``access_type=offline``)."""
        try:
            asked = self.consents.redeem(form)
        except Refusal as e:
            wrong = e.why == "redirect"
            return answer(
                {"error": "invalid_redirect_uri" if wrong else "invalid_code"}
            )
        name = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        refresh = _Refresh(self.consents.scopes(asked))
        if asked.get("access_type") != "offline":
            return answer(self._granted(refresh))
        self.refreshes[name] = refresh
        for old in list(self.refreshes)[:-_REFRESHES]:
            self._end(old)
        refresh.admits(self._clock.time())
        return answer({**self._granted(refresh), "refresh_token": name})

    def _granted(self, refresh: _Refresh) -> dict[str, object]:
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self.tokens[token] = self._clock.time() + TOKEN_LIFE
        refresh.living.append(token)
        while len(refresh.living) > _LIVING:
            self.tokens.pop(refresh.living.popleft(), None)
        return {
            "access_token": token,
            "scope": " ".join(refresh.scopes),
            "api_domain": self._url(),
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFE,
        }

    def _end(self, name: str) -> bool:
        """A refresh token dies, and its access tokens with it."""
        refresh = self.refreshes.pop(name, None)
        for token in refresh.living if refresh else ():
            self.tokens.pop(token, None)
        return refresh is not None

    async def revoke(self, request: Request) -> Response:
        """Give a refresh token back."""
        form = await _form(request)
        if not self._end(form.get("token", "")):
            return answer({"error": "invalid_code"})
        return answer({"status": "success"})


class _Refresh:
    """A refresh token: its scopes, the access tokens that live of it, and when it gave some."""

    def __init__(self, scopes: tuple[str, ...]) -> None:
        self.scopes = scopes
        self.living: deque[str] = deque()
        self._minted: deque[float] = deque()

    def admits(self, now: float) -> bool:
        """Whether it gives another one."""
        while self._minted and self._minted[0] <= now - MINT_SECONDS:
            self._minted.popleft()
        if len(self._minted) >= MINTS:
            return False
        self._minted.append(now)
        return True


def routes(accounts: Callable[[], Accounts]) -> list[Route]:
    """The paths of consent and tokens; ``accounts`` is asked for at every call."""

    async def page(request: Request) -> Response:
        return await accounts().page(request)

    async def token(request: Request) -> Response:
        return await accounts().token(request)

    async def revoke(request: Request) -> Response:
        return await accounts().revoke(request)

    base = "/oauth/v2"
    return [
        Route(f"{base}/auth", page, methods=["GET", "POST"]),
        Route(f"{base}/token", token, methods=["POST"]),
        Route(f"{base}/token/revoke", revoke, methods=["POST"]),
    ]


async def _form(request: Request) -> dict[str, str]:
    """Parameters in the query or the form."""
    told = parse_qsl((await request.body()).decode("utf-8", "replace"))
    return {**request.query_params, **dict(told)}
