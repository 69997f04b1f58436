"""A person agrees in a browser: over real sockets, from the page to the token in the state."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from connector_hub.adapters.http import _tls
from connector_hub.adapters.listener import listening
from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import AuthError, ConfigError, GuardTripped, Unavailable
from connector_hub.hub import Hub, open_hub
from connector_hub.testing import Sandbox

HUB = Path(sys.executable).parent / "connector-hub"
KEYS = {
    "hubspot": 'app: "{url}"',
    "salesforce": "version: '66.0'",
    "zoho": 'accounts: "{url}"',
}
TOKEN = {
    "hubspot": "POST /oauth/2026-03/token",
    "salesforce": "POST /services/oauth2/token",
    "zoho": "POST /oauth/v2/token",
}
PAGES = {
    "hubspot": "/oauth/authorize",
    "salesforce": "/services/oauth2/authorize",
    "zoho": "/oauth/v2/auth",
}
SCOPES = {
    "hubspot": "crm.objects.companies.write",
    "salesforce": "refresh_token",
    "zoho": "ZohoCRM.modules.ALL",
}
VENDORS = list(KEYS)


@dataclass
class Served:
    """A vendor on a port, and a project with one connection to it."""

    sandbox: Sandbox
    folder: Path
    redirect: str
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def accounts(self) -> Any:
        return self.sandbox.accounts  # type: ignore[attr-defined]

    def opened(self, **more: Any) -> Any:
        return open_hub(self.folder, environ=self.environ, **more)

    @property
    def minted(self) -> int:
        return self.sandbox.calls[TOKEN[self.sandbox.name]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def serving(name: str, folder: Path) -> AsyncIterator[Served]:
    made = Plugins().sandbox(name)
    async with listening(lambda url: made(url=url, records=3), "127.0.0.1", 0) as box:
        redirect = f"http://localhost:{free_port()}/callback"
        box.accounts.consents.registered.add(redirect)
        module = sys.modules[type(box.accounts).__module__]
        folder.joinpath("hub.yaml").write_text(
            f"connections:\n  org:\n    connector: {name}\n"
            f'    base_url: "{box.url}"\n    client_id: "{module.CLIENT_ID}"\n'
            f"    client_secret: env:SECRET\n    redirect_uri: {redirect}\n"
            f"    {KEYS[name].format(url=box.url)}\n"
        )
        yield Served(box, folder, redirect, {"SECRET": module.CLIENT_SECRET})


@pytest.fixture(params=VENDORS)
async def served(request: pytest.FixtureRequest, tmp_path: Path):
    async with serving(request.param, tmp_path) as found:
        yield found


@pytest.fixture
async def hubspot(tmp_path: Path):
    async with serving("hubspot", tmp_path) as found:
        yield found


@pytest.fixture
async def zoho(tmp_path: Path):
    async with serving("zoho", tmp_path) as found:
        yield found


@pytest.fixture
async def salesforce(tmp_path: Path):
    async with serving("salesforce", tmp_path) as found:
        yield found


def browse(url: str, decision: str = "agree", *, follow: bool = True) -> httpx.Response:
    """What a person does: look at the page, press a button, be sent back."""
    with httpx.Client(timeout=5, verify=_tls()) as browser:
        page = browser.get(url)
        assert page.status_code == 200, page.text
        answer = browser.post(url, data={"decision": decision})
        assert answer.status_code == 302
        back = answer.headers["location"]
        return browser.get(back) if follow else answer


async def agree(hub: Hub, decision: str = "agree", **more: Any) -> Any:
    """The hub's own flow with a browser beside it."""
    tasks: list[asyncio.Task[Any]] = []

    def tell(url: str) -> None:
        tasks.append(asyncio.create_task(asyncio.to_thread(browse, url, decision)))

    try:
        return await hub.consent("org", **{"tell": tell, "seconds": 10.0, **more})
    finally:
        for task in tasks:
            assert (await task).status_code == 200


async def pasted(served: Served, change: Callable[[str], str] = str) -> Any:
    """A browser on another machine, whose last address is pasted; ``change`` has been at it before.

    The hub has a thread of its own: it waits for the paste as a terminal does, and the vendor lives here.
    """
    ends: list[str] = []

    def paste() -> str:
        return change(browse(ends[0], follow=False).headers["location"])

    async def work() -> Any:
        async with served.opened() as hub:
            return await hub.consent("org", tell=ends.append, paste=paste)

    return await asyncio.to_thread(lambda: asyncio.run(work()))


async def test_a_yes_in_the_browser_makes_a_connection_that_works(served):
    async with served.opened() as hub:
        with pytest.raises(AuthError, match="nobody has agreed") as told:
            await hub.connect("org")
        assert told.value.hint == "run connector-hub connect org"
        live = await agree(hub)
        assert hub.credentials("org")[0].account == live.account.id
    assert served.minted == 1
    async with served.opened() as hub:
        assert (await hub.connect("org")).account.id == live.account.id
        assert served.minted == 1
        (found,) = hub.credentials()
        assert (found.way, found.state) == ("consent", "good")
        assert found.renewed is not None
        assert SCOPES[served.sandbox.name] in found.scopes


@pytest.mark.parametrize("name", VENDORS)
async def test_the_command_line_goes_the_whole_way(name: str, tmp_path: Path):
    async with serving(name, tmp_path) as served:
        process = await run(served, "connect", "org", "--no-browser", "--json")
        url = await address(process)
        asked = parse_qs(urlsplit(url).query)
        assert asked["code_challenge_method"] == ["S256"]
        assert asked["redirect_uri"] == [served.redirect]
        assert len(asked["state"][0]) >= 32
        page = await asyncio.to_thread(browse, url)
        assert page.headers["cache-control"] == "no-store"
        out, said = await process.communicate()
        assert process.returncode == 0, said
        document = json.loads(out)
        assert document["agreed"] is True
        (_, refresh) = next(reversed(kept(served)))
        lines = (out + said).decode()
        for secret in (refresh, asked["state"][0], served.environ["SECRET"]):
            assert secret not in lines.replace(url, "")
        assert refresh.encode() not in contents(tmp_path)


def contents(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in folder.iterdir() if p.is_file())


def kept(served: Served) -> list[tuple[int, str]]:
    """The refresh tokens that live at the vendor, oldest first."""
    found = getattr(served.accounts, "refreshes", None)
    return list(enumerate(served.accounts.approvals if found is None else found))


async def run(served: Served, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(str(HUB), *words, "--project", str(served.folder)),
        env={**os.environ, **served.environ, "PYTHONUNBUFFERED": "1"},  # noqa: TID251
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def address(process: asyncio.subprocess.Process) -> str:
    """The address that a person is told to open, once the program waits for the answer."""
    url = ""
    async with asyncio.timeout(30):
        while b"waiting" not in (line := await process.stderr.readline()):
            assert line, "it ended"
            found = re.search(r"https?://\S+", line.decode())
            url = found.group(0) if found else url
    return url


@pytest.mark.parametrize("name", VENDORS)
async def test_an_address_that_is_pasted_does_the_same(name: str, tmp_path: Path):
    async with serving(name, tmp_path) as served:
        live = await pasted(served)
        async with served.opened() as hub:
            assert (await hub.connect("org")).account.id == live.account.id
        assert served.minted == 1


async def test_a_browser_is_opened_where_there_is_one(hubspot, tmp_path):
    script = tmp_path / "browser.py"
    script.write_text(
        "import sys, httpx\n"
        "with httpx.Client() as b:\n"
        "    back = b.post(sys.argv[1], data={'decision': 'agree'})\n"
        "    b.get(back.headers['location'])\n"
    )
    hubspot.environ["BROWSER"] = f"{sys.executable} {script} %s &"
    process = await run(hubspot, "connect", "org")
    out, said = await process.communicate()
    assert process.returncode == 0, said
    assert b"ok  the token is kept in the state, encrypted" in out


async def test_who_says_no_is_told_so_and_nothing_is_kept(served):
    async with served.opened() as hub:
        with pytest.raises(AuthError, match="did not agree") as told:
            await agree(hub, "refuse")
        assert told.value.hint == "run connector-hub connect org again"
        assert hub.credentials("org")[0].state == "new"
    assert served.minted == 0


async def test_nobody_is_waited_for_beyond_the_time(hubspot):
    async with hubspot.opened() as hub:
        with pytest.raises(AuthError, match="nobody agreed within"):
            await hub.consent("org", tell=lambda _: None, seconds=0.05)


@pytest.mark.parametrize("state", ["state=forged", "state=", "nothing=1"])
async def test_an_answer_to_another_question_is_refused(hubspot, state):
    def other(back: str) -> str:
        return re.sub(r"state=[^&]*", state, back)

    with pytest.raises(AuthError, match="another question"):
        await pasted(hubspot, other)
    assert hubspot.minted == 0


async def test_what_is_no_address_is_told_so(hubspot):
    with pytest.raises(ConfigError, match="no address") as told:
        await pasted(hubspot, lambda _: "my-code\n")
    assert f"{hubspot.redirect}?code=" in told.value.hint


async def test_a_code_that_was_used_is_refused(served):
    def used(back: str) -> str:
        told = parse_qs(urlsplit(back).query)
        form = {"grant_type": "authorization_code", "code": told["code"][0]}
        path = TOKEN[served.sandbox.name].removeprefix("POST ")
        module = sys.modules[type(served.accounts).__module__]
        app = {"client_id": module.CLIENT_ID, "client_secret": module.CLIENT_SECRET}
        answer = httpx.post(
            served.sandbox.url + path, data={**form, **app}, verify=_tls()
        )
        assert "access_token" not in answer.text
        return back

    with pytest.raises(AuthError, match="used before, is too old"):
        await pasted(served, used)


def redeemed(served: Served, **change: str) -> bool:
    """Whether a code is taken by the vendor, asked with a proof and given one."""
    module = sys.modules[type(served.accounts).__module__]
    verifier = "proof-" * 10
    digest = hashlib.sha256(verifier.encode()).digest()
    asked = {
        "client_id": module.CLIENT_ID,
        "redirect_uri": served.redirect,
        "response_type": "code",
        "scope": "api",
        "state": "s",
        "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    page = PAGES[served.sandbox.name]
    back = browse(f"{served.sandbox.url}{page}?{urlencode(asked)}", follow=False)
    told = parse_qs(urlsplit(back.headers["location"]).query)
    form = {
        "grant_type": "authorization_code",
        "code": told["code"][0],
        "client_id": module.CLIENT_ID,
        "client_secret": module.CLIENT_SECRET,
        "redirect_uri": served.redirect,
        "code_verifier": verifier,
    }
    path = TOKEN[served.sandbox.name].removeprefix("POST ")
    url = served.sandbox.url + path
    answer = httpx.post(url, data={**form, **change}, verify=_tls())
    return "access_token" in answer.json()


async def test_the_sandbox_takes_a_code_with_its_proof_and_no_other(served):
    def ask(**change: str) -> Any:
        return asyncio.to_thread(redeemed, served, **change)

    assert await ask()
    assert not await ask(code_verifier="another" * 8)
    assert not await ask(code_verifier="")
    assert not await ask(redirect_uri="http://localhost:1/elsewhere")
    assert not await ask(client_secret="wrong")


@pytest.mark.parametrize(
    "wrong",
    [
        {"redirect_uri": "http://localhost:1/elsewhere"},
        {"client_id": "other"},
        {"response_type": "token"},
        {"code_challenge": "x", "code_challenge_method": "plain"},
    ],
    ids=["redirect", "app", "type", "method"],
)
async def test_the_sandbox_shows_no_page_for_a_wrong_question(served, wrong):
    module = sys.modules[type(served.accounts).__module__]
    asked = {
        "client_id": module.CLIENT_ID,
        "redirect_uri": served.redirect,
        "response_type": "code",
        **wrong,
    }
    url = f"{served.sandbox.url}{PAGES[served.sandbox.name]}?{urlencode(asked)}"
    for method in ("GET", "POST"):
        answer = await asyncio.to_thread(httpx.request, method, url, verify=_tls())
        assert answer.status_code == 400
        assert "location" not in answer.headers


async def test_a_code_that_is_too_old_is_refused(served):
    def old(back: str) -> str:
        served.sandbox.clock.advance(served.accounts.consents.life + 1)
        return back

    with pytest.raises(AuthError, match="used before, is too old"):
        await pasted(served, old)


async def test_another_account_is_refused_and_the_good_token_stays(served):
    async with served.opened() as hub:
        await agree(hub)
        before = hub.store.token("org")
        hub.store.pin("org", f"{served.sandbox.name}:elsewhere")
        with pytest.raises(GuardTripped, match="belonged to account"):
            await agree(hub)
        after = hub.store.token("org")
    assert before is not None
    assert after is not None
    assert (after.refresh, after.version) == (before.refresh, before.version)


async def test_a_second_yes_takes_the_place_of_the_first(served):
    async with served.opened() as hub:
        await agree(hub)
        first = hub.store.token("org")
        await agree(hub)
        second = hub.store.token("org")
    assert first.refresh != second.refresh
    assert second.version > first.version


async def test_an_interrupt_ends_the_waiting_with_130_and_keeps_nothing(hubspot):
    process = await run(hubspot, "connect", "org", "--no-browser")
    await address(process)
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert process.returncode == 130
    assert said.endswith(b"interrupted\n")
    assert b"Traceback" not in said
    assert hubspot.minted == 0


async def test_a_port_that_is_taken_is_told(hubspot):
    port = urlsplit(hubspot.redirect).port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        async with hubspot.opened() as hub:
            with pytest.raises(ConfigError, match=f"port {port} cannot be listened on"):
                await hub.consent("org", tell=lambda _: None)


async def test_a_redirect_that_leads_elsewhere_can_only_be_pasted(hubspot):
    text = (hubspot.folder / "hub.yaml").read_text()
    elsewhere = "https://acme.example/callback"
    (hubspot.folder / "hub.yaml").write_text(text.replace(hubspot.redirect, elsewhere))
    hubspot.accounts.consents.registered.add(elsewhere)
    async with hubspot.opened() as hub:
        with pytest.raises(ConfigError, match="does not lead to this machine") as told:
            await hub.consent("org", tell=lambda _: None)
        assert "--paste" in told.value.hint
    assert (await pasted(hubspot)).account.id


async def test_an_app_that_is_not_allowed_to_stay_is_told_so(salesforce):
    text = (salesforce.folder / "hub.yaml").read_text()
    (salesforce.folder / "hub.yaml").write_text(f"{text}    scopes: [api, id]\n")
    async with salesforce.opened() as hub:
        with pytest.raises(AuthError, match="gave no refresh token"):
            await agree(hub)


async def test_zohos_redirect_names_the_server_that_gives_tokens(zoho):
    async with serving("zoho", zoho.folder) as eu:
        eu.accounts.location = "eu"
        eu.sandbox.url, there = zoho.sandbox.url, eu.sandbox.url
        del there
        async with eu.opened() as hub:
            with pytest.raises(Unavailable, match="not its own host"):
                await agree(hub)
    assert zoho.minted == 0


async def test_a_lost_answer_to_a_code_is_told(hubspot, monkeypatch):
    async def lost(_request: Any) -> None:
        raise OSError

    monkeypatch.setattr(hubspot.accounts, "token", lost)
    with pytest.raises(Unavailable, match="the code was sent, and no answer came"):
        await pasted(hubspot)
