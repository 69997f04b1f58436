"""Where a person agrees to an app, as vendors have it: a page, a code for one use, its proof (RFC 7636)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from connector_hub.testing.sandbox import SandboxClock

_PAGE = """<!doctype html>
<title>{vendor} (sandbox)</title>
<h1>{vendor}</h1>
<p>The app {client} asks for: {scopes}</p>
<form method="post" action="?{query}">
<button name="decision" value="agree">Agree</button>
<button name="decision" value="refuse">Refuse</button>
</form>
"""
_WRONG = "<!doctype html><title>{vendor} (sandbox)</title><p>{said}</p>"


class Refusal(Exception):
    """A code is not taken. ``why``: unknown, used, expired, redirect or proof."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(slots=True)
class _Code:
    asked: Mapping[str, str]
    dies: float
    used: bool = False


@dataclass(slots=True)
class Consents:
    """The page and the codes of one app.

    Args:
        vendor: its name, for the page.
        clock: its time.
        client: the app's id.
        registered: the redirect URIs that the app was registered with; compared letter by letter.
        life: seconds that a code lives.
        separator: what stands between two scopes.
        more: what is added to each redirect.
    """

    vendor: str
    clock: SandboxClock
    client: str
    registered: set[str]
    life: float = 600.0
    separator: str = " "
    more: Mapping[str, str] = field(default_factory=dict)
    _codes: dict[str, _Code] = field(default_factory=dict)

    async def page(self, request: Request) -> Response:
        """The page (GET), and where its buttons lead (POST). A wrong redirect URI is told to nobody else."""
        asked = dict(request.query_params)
        wrong = self._wrong(asked)
        if wrong:
            said = _WRONG.format(vendor=self.vendor, said=escape(wrong))
            return HTMLResponse(said, 400)
        if request.method == "GET":
            return HTMLResponse(
                _PAGE.format(
                    vendor=self.vendor,
                    client=escape(self.client),
                    scopes=escape(", ".join(self.scopes(asked))),
                    query=escape(urlencode(asked)),
                )
            )
        told = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        agreed = told.get("decision") == "agree"
        return self._back(asked, self._agreed(asked) if agreed else _REFUSED)

    def _wrong(self, asked: Mapping[str, str]) -> str:
        if asked.get("client_id") != self.client:
            return "there is no app with this client_id"
        if asked.get("redirect_uri") not in self.registered:
            return "redirect_uri is not registered with the app"
        if asked.get("response_type") != "code":
            return "response_type must be code"
        if "code_challenge" in asked and asked.get("code_challenge_method") != "S256":
            return "code_challenge_method must be S256"
        return ""

    def scopes(self, asked: Mapping[str, str]) -> tuple[str, ...]:
        """The scopes of a question."""
        return tuple(s for s in asked.get("scope", "").split(self.separator) if s)

    def _agreed(self, asked: Mapping[str, str]) -> Mapping[str, str]:
        code = secrets.token_urlsafe(24)
        self._codes[code] = _Code(asked, self.clock.time() + self.life)
        return {"code": code, **self.more}

    @staticmethod
    def _back(asked: Mapping[str, str], told: Mapping[str, str]) -> Response:
        state = {"state": asked["state"]} if "state" in asked else {}
        query = urlencode({**told, **state})
        return RedirectResponse(f"{asked['redirect_uri']}?{query}", 302)

    def redeem(self, form: Mapping[str, str]) -> Mapping[str, str]:
        """The question that a code is the answer to; it is spent by this.

        Raises:
            Refusal: it is not taken.
        """
        code = self._codes.get(form.get("code", ""))
        if code is None:
            raise Refusal("unknown")
        if code.used:
            raise Refusal("used")
        code.used = True
        if self.clock.time() > code.dies:
            raise Refusal("expired")
        if form.get("redirect_uri") != code.asked["redirect_uri"]:
            raise Refusal("redirect")
        challenge = code.asked.get("code_challenge")
        if challenge and _challenge(form.get("code_verifier", "")) != challenge:
            raise Refusal("proof")
        return code.asked


_REFUSED = {"error": "access_denied", "error_description": "The user did not agree."}


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
