"""HTTP as connectors get it: retries by fault, an origin guard, caps, and a ledger."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from typing import ClassVar

import httpx
import pytest
import respx
from pydantic import SecretStr

from connector_hub.adapters.http import HttpClient, Ledger, retry_after
from connector_hub.errors import (
    AuthError,
    ConfigError,
    InDoubt,
    QuotaSpent,
    RateLimited,
    Rejected,
    Unavailable,
)
from connector_hub.ports import Answer
from connector_hub.sdk import Auth, Bearer, ClientCredentials, Connector, Fault, Kind
from connector_hub.testing.clock import VirtualClock

CANARY = "s3cr3t-canary"
URL = "https://vendor.example"


class Plain(Connector):
    name = "plain"
    base_url = URL
    auth: ClassVar[Auth] = Bearer("token")

    class Config(Connector.Config):
        token: SecretStr = SecretStr("env:T")


class Minted(Connector):
    name = "minted"
    base_url = URL
    auth: ClassVar[Auth] = ClientCredentials("/token")

    class Config(Connector.Config):
        client_id: str = "id"
        client_secret: SecretStr = SecretStr("env:T")


class Secrets:
    def read(self, reference):
        return CANARY


class Hurried(VirtualClock):
    """Time that passes by itself whenever somebody sleeps."""

    def __init__(self):
        super().__init__()
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self._seconds += seconds


def client(
    kind=Plain, *, url=None, clock=None, ledger=None, cap=1 << 20, transport=None
):
    made = HttpClient(
        kind,
        kind.Config(base_url=url),
        connection="sales",
        secrets=Secrets(),
        clock=clock or Hurried(),
        ledger=ledger or Ledger(),
        cap=cap,
        transport=transport,
    )
    made.attach(kind(kind.Config(base_url=url), made, clock=made._clock))
    return made


@respx.mock
async def test_a_read_is_repeated_and_every_request_is_in_the_ledger():
    route = respx.get(f"{URL}/x")
    route.side_effect = [
        httpx.Response(503),
        httpx.ReadTimeout(""),
        httpx.Response(200, json={"a": 1}),
    ]
    http = client()
    assert await http.get("/x") == {"a": 1}
    assert http.ledger.calls == {"calls": 3}
    await http.aclose()


@respx.mock
@pytest.mark.parametrize(
    "fault", [httpx.ReadTimeout(""), httpx.Response(502), httpx.RemoteProtocolError("")]
)
async def test_an_unanswered_write_is_never_repeated_blindly(fault):
    route = respx.post(f"{URL}/x")
    route.side_effect = [fault, httpx.Response(200, json={})]
    with pytest.raises(InDoubt):
        await client().post("/x", json={"a": 1})
    assert route.call_count == 1


@respx.mock
@pytest.mark.parametrize("said", [{"html": "<p>sign in"}, {"text": " <!DOCTYPE html>"}])
async def test_a_page_of_html_does_not_confirm_a_write_whose_answer_nobody_reads(said):
    respx.patch(f"{URL}/x").respond(200, **said)
    http = client()
    with pytest.raises(InDoubt, match="a page of HTML"):
        await http.send("PATCH", "/x", json={"a": 1})
    await http.aclose()


@respx.mock
async def test_a_write_that_did_not_leave_is_repeated():
    route = respx.post(f"{URL}/x")
    route.side_effect = [httpx.ConnectError(""), httpx.Response(200, json={"ok": True})]
    assert await client().post("/x", json={}) == {"ok": True}


@respx.mock
async def test_no_call_is_made_before_the_vendors_own_time():
    route = respx.get(f"{URL}/x")
    route.side_effect = [
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.Response(200, json={}),
    ]
    clock = Hurried()
    await client(clock=clock).get("/x")
    assert sum(clock.slept) >= 7


@respx.mock
async def test_a_vendor_that_wants_an_hour_ends_the_call():
    respx.get(f"{URL}/x").respond(429, headers={"Retry-After": "3600"})
    with pytest.raises(RateLimited):
        await client().get("/x")


@respx.mock
async def test_a_spent_quota_keeps_the_time_the_vendor_named(monkeypatch):
    respx.get(f"{URL}/x").respond(429, headers={"Retry-After": "900"})
    quota = Fault(Kind.QUOTA, "the day's calls are spent")
    monkeypatch.setattr(Plain, "fault", lambda _self, _answer: quota)
    with pytest.raises(QuotaSpent) as raised:
        await client().get("/x")
    assert raised.value.wait == 900


@respx.mock
async def test_calls_of_old_are_forgotten():
    respx.get(f"{URL}/x").respond(200, json={})
    clock = VirtualClock()
    http = client(clock=clock)
    for _ in range(50):
        await http.get("/x")
        await clock.advance(1)
    assert len(http._breaker._firsts) <= 11


@respx.mock
async def test_a_failing_vendor_meets_no_storm_of_retries():
    route = respx.get(f"{URL}/x").respond(500)
    http = client(clock=VirtualClock())
    http._clock.sleep = lambda _: asyncio.sleep(0)
    for _ in range(50):
        with pytest.raises(Unavailable):
            await http.get("/x")
    assert route.call_count <= 50 * 1.2 + 3


@respx.mock
async def test_credentials_never_follow_a_link_to_another_host():
    foreign = respx.get(url__startswith="https://evil.example").respond(200, json={})
    with pytest.raises(Unavailable, match=r"evil\.example"):
        await client().get("https://evil.example/next")
    assert foreign.call_count == 0


@respx.mock
async def test_a_redirect_is_not_followed():
    respx.get(f"{URL}/x").respond(302, headers={"Location": "https://evil.example"})
    foreign = respx.get(url__startswith="https://evil.example").respond(200, json={})
    with pytest.raises(ConfigError):
        await client().get("/x")
    assert foreign.call_count == 0


@respx.mock
async def test_a_ceiling_stops_the_request_before_it_leaves():
    route = respx.get(f"{URL}/x").respond(200, json={})
    http = client(ledger=Ledger(ceiling=2))
    await http.get("/x")
    await http.get("/x")
    with pytest.raises(QuotaSpent):
        await http.get("/x")
    assert route.call_count == 2


@respx.mock
async def test_a_bomb_is_cut_at_the_cap():
    respx.get(f"{URL}/x").respond(
        200,
        content=gzip.compress(b"0" * (8 << 20)),
        headers={"Content-Encoding": "gzip"},
    )
    with pytest.raises(Unavailable, match="larger"):
        await client(cap=1 << 20).get("/x")


@respx.mock
async def test_a_login_page_with_status_200_is_no_answer():
    respx.get(f"{URL}/x").respond(200, html="<html>sign in</html>")
    with pytest.raises(Unavailable):
        await client().get("/x")


@respx.mock
async def test_one_record_refused_is_a_rejection_and_bad_credentials_are_told():
    respx.get(f"{URL}/x").respond(422)
    with pytest.raises(Rejected):
        await client().get("/x")
    respx.get(f"{URL}/y").respond(401)
    with pytest.raises(AuthError) as told:
        await client().get("/y")
    assert CANARY not in str(told.value) + repr(client())


@respx.mock
async def test_twenty_calls_mint_one_token_and_a_refused_one_is_renewed_once():
    mint = respx.post(f"{URL}/token").respond(
        200, json={"access_token": "t", "expires_in": 3600}
    )
    respx.get(f"{URL}/x").respond(200, json={})
    http = client(Minted)
    await asyncio.gather(*(http.get("/x") for _ in range(20)))
    assert mint.call_count == 1
    assert http.ledger.calls == {"token": 1, "calls": 20}
    respx.get(f"{URL}/y").respond(401)
    with pytest.raises(AuthError):
        await http.get("/y")
    assert mint.call_count == 2


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("999999999", 3600),
        ("Wed, 21 Oct 2026 07:28:10 GMT", 10),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("", None),
        ("\u0667", None),
    ],
)
def test_retry_after_in_both_forms_and_junk(text, seconds):
    headers = {"retry-after": text, "date": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after(Answer(429, headers, b"")) == seconds


def test_plain_http_is_for_this_machine_only():
    with pytest.raises(ConfigError, match="without encryption"):
        client(url="http://vendor.example")
    client(url="http://127.0.0.1:1")


@asynccontextmanager
async def server(answer):
    """A raw socket that reads a request and answers with whatever bytes it likes."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for part in answer:
            writer.write(part)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    "answer",
    [
        [],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"],
    ],
    ids=["hang up", "cut body", "cut chunk"],
)
async def test_a_wire_that_breaks_leaves_a_write_in_doubt(answer):
    async with server(answer) as url:
        http = client(url=url)
        with pytest.raises(InDoubt):
            await http.post("/x", json={})
        await http.aclose()


async def test_a_host_that_is_not_there_is_named():
    http = client(url="http://127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        await http.get("/x")
    await http.aclose()


@respx.mock
async def test_no_request_leaves_beyond_what_a_plan_promised():
    route = respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, json={}))
    http = client()
    http.ledger.promised = {"calls": 1}
    await http.get("/x")
    with pytest.raises(QuotaSpent, match="promised at most 1"):
        await http.get("/x")
    assert route.call_count == 1


@respx.mock
async def test_refusals_for_haste_are_waited_out_however_many_there_are():
    busy = httpx.Response(429, headers={"Retry-After": "1"})
    respx.get(f"{URL}/x").side_effect = [busy] * 4 + [httpx.Response(200, json={})]
    assert await client().get("/x") == {}


@respx.mock
async def test_an_answer_without_what_was_promised_is_the_vendors_mistake():
    respx.get(f"{URL}/x").mock(return_value=httpx.Response(200, json={}))
    answer = await client().get("/x")
    with pytest.raises(Unavailable, match="no 'results'"):
        answer["results"]


async def test_a_request_that_never_left_is_not_counted():
    ledger = Ledger()

    class Stuck(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request):
            await asyncio.Event().wait()

    http = client(transport=Stuck(), ledger=ledger)
    task = asyncio.ensure_future(http.get("/x"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ledger.calls
