"""What connections sign with: shown, renewed, given back; signed assertions; what vendors allow of tokens."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import _tls
from connector_hub.errors import (
    AuthError,
    ConfigError,
    RateLimited,
    Unavailable,
)
from connector_hub.hub import open_hub
from connector_hub.testing.sandbox import Fault

from .test_consent import (
    VENDORS,
    Served,
    agree,
    run,
    serving,
)

REVOKE = {
    "hubspot": "POST /oauth/2026-03/token/revoke",
    "salesforce": "POST /services/oauth2/revoke",
    "zoho": "POST /oauth/v2/token/revoke",
}
LIFE = {"hubspot": 1_800, "salesforce": None, "zoho": 3_600}
KEY = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


class Ahead(SystemClock):
    """The machine's time, moved on as the sandboxes' is."""

    seconds = 0.0

    def now(self):
        return super().now() + timedelta(seconds=self.seconds)


class Hasty(SystemClock):
    """The machine's time, with nobody waiting."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture(params=VENDORS)
async def served(request: pytest.FixtureRequest, tmp_path: Path):
    async with serving(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def zoho(tmp_path: Path):
    async with serving("zoho", tmp_path) as found:
        yield found


@pytest.fixture
async def salesforce(tmp_path: Path):
    async with serving("salesforce", tmp_path) as found:
        yield found


async def test_status_tells_all_but_the_token(served):
    async with served.opened() as hub:
        (new,) = hub.credentials()
        assert (new.way, new.state, new.account) == ("consent", "new", None)
        live = await agree(hub)
        token = hub.store.token("org")
        (found,) = hub.credentials()
    assert (found.account, found.way) == (live.account.id, "consent")
    assert found.state == "good"
    assert (found.expires is None) == (LIFE[served.sandbox.name] is None)
    assert found.renewed
    assert found.scopes
    assert token.access not in repr(found)
    assert token.refresh not in repr(found)
    assert served.minted == 1


async def test_the_command_line_shows_and_gives_back(zoho):
    async with zoho.opened() as hub:
        await agree(hub)
        token = hub.store.token("org")
    told = b""
    for words, expected in (
        (("status",), {"way": "consent", "state": "good"}),
        (("refresh", "org"), {"way": "consent", "state": "good"}),
        (("logout", "org"), {"revoked": True, "forgotten": True}),
    ):
        process = await run(zoho, "auth", *words, "--json")
        out, said = await process.communicate()
        assert process.returncode == 0, said
        document = json.loads(out)
        found = document.get("connections", [document])[0]
        assert expected.items() <= found.items()
        told += out + said
    assert token.access.encode() not in told
    assert token.refresh.encode() not in told
    assert zoho.minted == 2


async def test_a_refresh_can_be_asked_for(served):
    async with served.opened() as hub:
        await agree(hub)
        before = hub.store.token("org")
        await hub.renew("org")
        after = hub.store.token("org")
        assert served.minted == 2
        assert after.access != before.access
        assert after.account == before.account
        await hub.connect("org")
    assert served.minted == 2


async def test_a_logout_revokes_at_the_vendor_and_forgets(served):
    async with served.opened() as hub:
        await agree(hub)
        token = hub.store.token("org")
        left = await hub.logout("org")
        assert (left.revoked, left.forgotten, left.reference) == (True, True, "")
        assert hub.store.token("org") is None
        with pytest.raises(AuthError, match="nobody has agreed"):
            await hub.connect("org")
        again = await hub.logout("org")
        assert (again.revoked, again.forgotten) == (False, False)
    known = getattr(served.accounts, "approvals", None)
    assert token.refresh not in (served.accounts.refreshes if known is None else known)
    assert served.sandbox.calls[REVOKE[served.sandbox.name]] == 1


async def test_a_token_that_the_vendor_has_revoked_before_is_forgotten_all_the_same(
    served,
):
    async with served.opened() as hub:
        await agree(hub)
        known = getattr(served.accounts, "approvals", None)
        (served.accounts.refreshes if known is None else known).clear()
        assert (await hub.logout("org")).forgotten


async def test_a_vendor_that_cannot_be_asked_keeps_the_token_here(served):
    async with served.opened(clock=Hasty()) as hub:
        await agree(hub)
        served.sandbox.faults.append(Fault("revoke", status=503))
        with pytest.raises(Unavailable):
            await hub.logout("org")
        assert hub.store.token("org") is not None
        left = await hub.logout("org", local=True)
        assert (left.revoked, left.forgotten) == (False, True)


async def test_a_connection_without_a_renewable_token_says_so(tmp_path):
    (tmp_path / "hub.yaml").write_text(
        "connections:\n  org: {connector: hubspot, token: env:T}\n"
    )
    async with open_hub(tmp_path, environ={"T": "pat"}) as hub:
        for asked in (hub.renew, hub.logout):
            with pytest.raises(ConfigError, match="no token that is renewed"):
                await asked("org")
        with pytest.raises(ConfigError, match="no token that is renewed"):
            await hub.consent("org", tell=lambda _: None)
        assert [c.way for c in hub.credentials()] == ["token"]


def pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def signing(salesforce: Served):
    """The org knows a certificate, and the connection signs with a key."""

    def made(key: rsa.RSAPrivateKey = KEY, **keys: str) -> Any:
        public = KEY.public_key()
        salesforce.accounts.certificate = public.public_bytes(
            Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
        ).decode()
        path = salesforce.folder / "org.pem"
        path.write_text(pem(key))
        path.chmod(0o600)
        told = {
            "user": "connector.hub@sandbox.example",
            "private_key": "file:org.pem",
            "client_id": "sandbox-client",
            "base_url": f'"{salesforce.sandbox.url}"',
            "connector": "salesforce",
            **keys,
        }
        text = "".join(f"    {k}: {v}\n" for k, v in told.items())
        (salesforce.folder / "hub.yaml").write_text(f"connections:\n  org:\n{text}")
        return open_hub(salesforce.folder, environ={}, clock=Ahead())

    return made


async def test_a_signed_assertion_opens_the_account(salesforce, signing):
    async with signing() as hub:
        live = await hub.connect("org")
        await live.connector.check()
        assert salesforce.minted == 1
        assert hub.credentials()[0].way == "jwt"
        salesforce.sandbox._sessions.clear()
        assert await live.connector.check()
        assert salesforce.minted == 2
        await hub.renew("org")
        assert salesforce.minted == 3
        assert "BEGIN" not in repr(live.client) + repr(hub.credentials())


@pytest.mark.parametrize(
    ("keys", "ahead"),
    [
        ({"key": rsa.generate_private_key(public_exponent=65_537, key_size=2_048)}, 0),
        ({"user": "somebody@sandbox.example"}, 0),
        ({"audience": "https://login.example"}, 0),
        ({"client_id": "other"}, 0),
        ({}, 3_600),
        ({}, -3_600),
    ],
    ids=["key", "user", "audience", "app", "late", "early"],
)
async def test_an_assertion_is_refused_that_is_not_right_in_everything(
    salesforce, signing, keys, ahead
):
    async with signing(**keys) as hub:
        hub.clock.seconds = ahead
        with pytest.raises(AuthError, match="gives no token"):
            await hub.connect("org")
    assert salesforce.minted == 1


async def test_a_key_that_cannot_sign_is_a_mistake_in_the_configuration(
    salesforce, signing
):
    async with signing() as hub:
        (salesforce.folder / "org.pem").write_text("no key\n")
        with pytest.raises(ConfigError, match="no RSA key"):
            await hub.connect("org")
    assert salesforce.minted == 0


async def test_the_sixth_approval_revokes_the_oldest(salesforce):
    first = list(salesforce.accounts.approvals)
    async with salesforce.opened() as hub:
        for _ in range(5):
            await agree(hub)
        assert len(salesforce.accounts.approvals) == 5
        assert first[0] not in salesforce.accounts.approvals
        assert hub.store.token("org").refresh == salesforce.accounts.approvals[-1]


def mint(zoho: Served, refresh: str) -> dict[str, Any]:
    """A refresh by another client of the same token."""
    form = {
        "grant_type": "refresh_token",
        "refresh_token": refresh,
        "client_id": "1000.SANDBOXCLIENT",
        "client_secret": zoho.environ["SECRET"],
    }
    url = f"{zoho.sandbox.url}/oauth/v2/token"
    return httpx.post(url, data=form, verify=_tls()).json()


@pytest.mark.parametrize("status", [200, 400])
async def test_zoho_gives_ten_tokens_in_ten_minutes_and_then_says_when(zoho, status):
    zoho.accounts.throttle = status
    async with zoho.opened() as hub:
        await agree(hub)
        for _ in range(9):
            await hub.renew("org")
        with pytest.raises(RateLimited, match="ten were asked for in ten minutes") as e:
            await hub.renew("org")
        assert e.value.wait == 600
        assert e.value.exit_code == 5
        asked = zoho.minted
        zoho.sandbox.clock.advance(601)
        await hub.renew("org")
        assert zoho.minted == asked + 1


async def test_an_app_that_the_vendor_does_not_know_is_told_as_credentials(served):
    async with served.opened() as hub:
        await agree(hub)
    served.environ["SECRET"] = "wrong-secret"
    async with served.opened() as hub:
        with pytest.raises(AuthError, match=r"gives no token .*\(\w+\)") as told:
            await hub.renew("org")
        assert "wrong-secret" not in str(told.value)
        assert hub.store.token("org").asked == ""


async def test_the_sixteenth_token_of_zoho_ends_the_first_and_one_refresh_mends_it(
    zoho,
):
    async with zoho.opened() as hub:
        await agree(hub)
        live = await hub.connect("org")
        refresh = hub.store.token("org").refresh
        for n in range(15):
            if n == 9:
                zoho.sandbox.clock.advance(601)
            assert "access_token" in await asyncio.to_thread(mint, zoho, refresh)
        before = zoho.minted
        await asyncio.gather(*(live.connector.check() for _ in range(4)))
        assert zoho.minted == before + 1


async def test_an_expiry_costs_one_refresh_however_many_ask(served):
    clock = Ahead()
    async with served.opened(clock=clock) as hub:
        await agree(hub)
        live = await hub.connect("org")
        for n in range(2, 5):
            served.sandbox.clock.advance(7_300)
            clock.seconds += 7_300
            await asyncio.gather(*(live.connector.check() for _ in range(4)))
            assert served.minted == n
