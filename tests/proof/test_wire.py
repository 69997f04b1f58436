"""Whatever happens on the wire: nothing is doubled, nothing is lost, and the vendor is left in peace.

Each row of the fault matrix is here with its pass mark, against real sockets where bytes matter.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from pydantic import SecretStr

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.errors import (
    AuthError,
    CircuitOpen,
    ConfigError,
    HubError,
    InDoubt,
    RateLimited,
    Unavailable,
)
from connector_hub.hub import Hub, open_hub
from connector_hub.sdk import (
    ApiKey,
    Auth,
    Bearer,
    ClientCredentials,
    Connector,
    Limit,
    Want,
)
from connector_hub.testing.clock import VirtualClock
from connector_hub.testing.sandbox import Fault
from tests.conftest import LONG, PROJECT, Opener, Vendors
from tests.proof import wire
from tests.proof.wire import Talk, Wire, answer, drips, says

CANARY = "s3cr3t-canary"


class Hurried(VirtualClock):
    """Time that passes by itself whenever somebody sleeps."""

    async def sleep(self, seconds: float) -> None:
        self._seconds += seconds
        await asyncio.sleep(0)


class Secrets:
    def read(self, _reference: str) -> str:
        return CANARY


class Plain(Connector):
    name = "plain"
    auth: ClassVar[Auth] = Bearer("token")

    class Config(Connector.Config):
        token: SecretStr = SecretStr("env:T")


class Keyed(Plain):
    auth: ClassVar[Auth] = ApiKey("token", "X-Api-Key")


class Minted(Connector):
    name = "minted"
    auth: ClassVar[Auth] = ClientCredentials("/token", origin="instance_url")

    class Config(Connector.Config):
        client_id: str = "id"
        client_secret: SecretStr = SecretStr("env:T")


Client = Callable[..., HttpClient]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Makes clients of a connection: ``client(url, kind, **arguments)``."""
    async with AsyncExitStack() as stack:

        def make(url: str, kind: type[Connector] = Plain, **more: Any) -> HttpClient:
            given = {"clock": Hurried(), "ledger": Ledger(), **more}
            config = kind.Config(base_url=url)
            made = HttpClient(
                kind, config, connection="sales", secrets=Secrets(), **given
            )
            made.attach(kind(config, made, clock=given["clock"]))
            stack.push_async_callback(made.aclose)
            return made

        yield make


async def read(http: HttpClient) -> Any:
    return await http.get("/x")


async def write(http: HttpClient) -> Any:
    return await http.post("/x", json={"a": 1})


@pytest.fixture
def people() -> int:
    return 4


@pytest.fixture
def wired(tmp_path: Path, vendors: Vendors) -> Callable[..., Any]:
    """Opens the project over sockets: ``wired(sales=Wire, billing=Wire)``, either of them or both."""

    @asynccontextmanager
    async def opening(
        *, direction: str = "left-to-right", clock: Any = None, **wires: Wire
    ) -> AsyncIterator[Hub]:
        (tmp_path / "hub.yaml").write_text(PROJECT.replace("DIRECTION", direction))
        urls = {n: wires[n].url if n in wires else v.url for n, v in vendors.items()}
        inside = {
            n: httpx.ASGITransport(app=v.app)
            for n, v in vendors.items()
            if n not in wires
        }
        async with open_hub(
            tmp_path,
            environ=environment(vendors, urls),
            transports=inside,
            clock=clock or Hurried(),
        ) as hub:
            yield hub

    return opening


def environment(vendors: Vendors, urls: dict[str, str]) -> dict[str, str]:
    return {
        **{n: v for s in vendors.values() for n, v in s.env().items()},
        "HUBSPOT_URL": urls["sales"],
        "SALESFORCE_URL": urls["billing"],
        "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
    }


async def settle(hub: Hub, vendors: Vendors, most: int = 3) -> None:
    """In fair weather everything is there, once, within three runs, and then nothing is left to do."""
    for _ in range(most):
        for job in ("companies", "contacts"):
            await hub.sync(job)
        if not wrong(vendors):
            break
        for v in vendors.values():
            v.clock.advance(300)
    assert wrong(vendors) == []
    for job in ("companies", "contacts"):
        again = await hub.sync(job)
        assert sum(again.writes.values()) == 0
        assert again.open == {"conflicts": 0, "dead_letters": 0}


def wrong(vendors: Vendors) -> list[str]:
    """People that are not at both vendors, alike and once."""
    here = {
        r["properties"]["email"]: (
            r["properties"].get("lastname"),
            r["properties"].get("jobtitle"),
        )
        for r in vendors["sales"].live("contacts")
    }
    there: dict[str, list[Any]] = {}
    for r in vendors["billing"].live("Contact"):
        there.setdefault(str(r["Email"]).lower(), []).append(
            (r["LastName"], r["Title"])
        )
    return [
        f"{mail}: {here.get(mail)} is {there.get(mail, [])}"
        for mail in here.keys() | there.keys()
        if there.get(mail) != [here.get(mail)]
    ]


# Row 1: resets before the request is read and after it was carried out, refusals, unknown hosts.

BEFORE = {"hangs up": wire.hangs_up, "resets": wire.resets}
AFTER = {
    "does and hangs up": wire.does_and_hangs_up,
    "does and resets": wire.does_and_resets,
    "does and says half": wire.does_and_says_half,
    "does and says nonsense": wire.does_and_says_nonsense,
}


@pytest.mark.parametrize("how", [*BEFORE, *AFTER])
async def test_a_read_that_was_broken_off_is_made_again(
    client: Client, how: str
) -> None:
    async with Wire() as vendor:
        vendor.when("/x", (BEFORE | AFTER)[how])
        assert await read(client(vendor.url)) == {}
        assert vendor.count() == 2


@pytest.mark.parametrize("how", [*BEFORE, *AFTER])
async def test_a_write_that_was_broken_off_is_in_doubt_and_never_repeated(
    client: Client, how: str
) -> None:
    async with Wire() as vendor:
        vendor.when("/x", (BEFORE | AFTER)[how])
        with pytest.raises(InDoubt):
            await write(client(vendor.url))
        assert vendor.count() == 1


async def test_a_reset_before_the_request_is_read_leaves_a_write_in_doubt(
    client: Client,
) -> None:
    async with Wire(unread=True) as vendor:
        with pytest.raises(InDoubt):
            await write(client(vendor.url))
        with pytest.raises(Unavailable):
            await read(client(vendor.url))
        assert vendor.count() == 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://nowhere.invalid"])
async def test_what_never_left_is_unavailable_whether_read_or_written(
    client: Client, url: str
) -> None:
    for act in (read, write):
        with pytest.raises(Unavailable, match="cannot be reached"):
            await act(client(url))


BREAKS = (*AFTER.values(), *BEFORE.values())


async def test_a_wire_that_breaks_at_any_call_loses_and_doubles_nobody(
    wired: Any, vendors: Vendors, tmp_path: Path
) -> None:
    """A run over sockets, broken at its n-th call to either vendor in every way, then fair weather."""
    codes: list[int] = []
    calls = await count_calls(wired, vendors, tmp_path)
    at = [(name, n) for name, most in calls.items() for n in range(most)]
    schedules = [(name, n, how) for name, n in at for how in BREAKS]
    if not LONG:
        schedules = random.Random(4).sample(schedules, 6)
    for name, n, how in schedules:
        clean(vendors, tmp_path)
        async with Wire(vendors[name].app) as broken:
            broken.when("", how, after=n)
            async with wired(**{name: broken}) as hub:
                for job in ("companies", "contacts"):
                    try:
                        await hub.sync(job)
                    except HubError as e:
                        codes.append(e.exit_code)
                assert broken.met(how) == 1
                broken.fair()
                await settle(hub, vendors)
    assert set(codes) <= {5}


async def count_calls(wired: Any, vendors: Vendors, folder: Path) -> dict[str, int]:
    """How many calls a run in fair weather makes."""
    clean(vendors, folder)
    async with Wire(vendors["sales"].app) as s, Wire(vendors["billing"].app) as b:
        async with wired(sales=s, billing=b) as hub:
            for job in ("companies", "contacts"):
                await hub.sync(job)
        return {"sales": s.count(), "billing": b.count()}


def clean(vendors: Vendors, folder: Path) -> None:
    for v in vendors.values():
        v.faults.clear()
        v.calls.clear()
        v.seed_data()
    for file in folder.glob("hub.*"):
        file.unlink()


# Row 3: bursts of 5xx, and nothing else.


@pytest.mark.parametrize("every", [0.05, 1.0, 15.0], ids=["busy", "slow", "idle"])
@pytest.mark.parametrize("act", [read, write])
async def test_a_vendor_that_answers_only_5xx_is_asked_hardly_more_than_once(
    client: Client, act: Any, every: float
) -> None:
    clock = Hurried()
    async with Wire(otherwise=says(500)) as vendor:
        http, asked = client(vendor.url, clock=clock), 0
        while clock.monotonic() < 60:
            with pytest.raises((Unavailable, InDoubt)):
                await act(http)
            asked += 1
            clock._seconds += every
        assert vendor.count() <= 1.2 * asked + 3
        if every < 1:
            assert vendor.count() <= 30, "the circuit is open soon"


@pytest.mark.parametrize("status", [500, 502, 503, 504] if LONG else [500, 503])
@pytest.mark.parametrize("where", ["sales", "billing"])
async def test_a_job_whose_vendor_answers_only_5xx_makes_hardly_more_calls(
    wired: Any, vendors: Vendors, tmp_path: Path, status: int, where: str
) -> None:
    """At any point of the run, as far as the vendor's calls in fair weather go."""
    clean(vendors, tmp_path)
    async with Wire(vendors[where].app) as well, wired(**{where: well}) as hub:
        await hub.sync("contacts")
        fair = well.count()
    for after in range(0, fair, 1 if LONG else 3):
        clean(vendors, tmp_path)
        async with Wire(vendors[where].app) as vendor:
            vendor.when("", says(status, retry_after="1"), times=None, after=after)
            async with wired(**{where: vendor}) as hub:
                with pytest.raises(HubError) as raised:
                    await hub.sync("contacts")
                assert raised.value.exit_code == 5
                assert vendor.count() <= 1.2 * fair + 3
                assert hub.store.open_counts("contacts")["dead_letters"] == 0


async def test_a_burst_of_30_seconds_is_over_within_a_minute_of_its_end(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(every="1m") as hub:
        hub.clock = clock = VirtualClock()
        vendors["sales"].faults.append(Fault(status=503))
        events: list[Any] = []
        task = asyncio.ensure_future(hub.run(events.append))
        try:
            await pass_time(clock, 30)
            assert wrong(vendors) != []
            vendors["sales"].faults.clear()
            for _ in range(60):
                await pass_time(clock, 1)
                if not wrong(vendors):
                    break
            assert wrong(vendors) == []
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def pass_time(clock: VirtualClock, seconds: int) -> None:
    """Time passes and work is done."""
    for _ in range(seconds):
        await clock.advance(1)
        for _ in range(400):
            await asyncio.sleep(0)


# Row 4: storms of 429.


def told(status: int = 200, **headers: str) -> httpx.Response:
    """An answer as a transport gives it, not read yet."""
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return httpx.Response(status, headers=named, stream=httpx.ByteStream(b"{}"))


async def ended(clock: VirtualClock, *calls: Any) -> list[Any]:
    """What calls end with that are made at once, as time passes."""
    work = asyncio.ensure_future(asyncio.gather(*calls, return_exceptions=True))
    await clock.run(work)
    return await work


class Told(httpx.AsyncBaseTransport):
    """A vendor that is one function."""

    def __init__(
        self, vendor: Callable[[httpx.Request], Awaitable[httpx.Response]]
    ) -> None:
        self.vendor = vendor

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self.vendor(request)


class Busy(httpx.AsyncBaseTransport):
    """A vendor with a limit that nobody was told: refuses what is too much, and says for how long.

    ``said`` makes the headers of a refusal from the seconds to wait.
    """

    def __init__(
        self,
        clock: VirtualClock,
        said: Callable[[float], dict[str, str]],
        *,
        rate: int = 10,
        wait: float = 5.0,
        latency: float = 0.05,
    ) -> None:
        self.clock, self.said, self.rate, self.wait = clock, said, rate, wait
        self.latency = latency
        self.let_in: list[float] = []
        self.refused: list[tuple[float, float]] = []
        """When it was refused, and when the refusal was heard."""
        self.came: list[tuple[float, float]] = []
        """When each call left, and whether it was let in."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        now = self.clock.monotonic()
        last = sum(t > now - 1 for t in self.let_in)
        refuse = last >= self.rate
        self.came.append((now, not refuse))
        if not refuse:
            self.let_in.append(now)
        await self.clock.sleep(self.latency)
        if refuse:
            self.refused.append((now, self.clock.monotonic()))
            return told(429, **self.said(self.wait))
        return told()


def _date(skew: float) -> Callable[[float], dict[str, str]]:
    """A date by a clock of the vendor's own, which is wrong by so much."""

    def said(wait: float) -> dict[str, str]:
        now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=skew)
        then = now + timedelta(seconds=wait)
        return {
            "date": format_datetime(now, usegmt=True),
            "retry_after": format_datetime(then, usegmt=True),
        }

    return said


SAID: dict[str, Callable[[float], dict[str, str]]] = {
    "seconds": lambda wait: {"retry_after": str(int(wait))},
    "date": _date(0),
    "date of a fast clock": _date(300),
    "date of a slow clock": _date(-300),
}


@pytest.mark.parametrize("said", SAID)
async def test_nobody_calls_before_the_time_the_vendor_named(
    client: Client, said: str
) -> None:
    clock = VirtualClock()
    busy = Busy(clock, SAID[said])
    http = client("https://vendor.example", clock=clock, transport=busy)
    found = await ended(clock, *(read(http) for _ in range(60)))
    assert found == [{}] * 60
    assert busy.refused
    early = [
        (at, heard)
        for at, _ in busy.came
        for _, heard in busy.refused
        if heard < at < heard + busy.wait
    ]
    assert early == []


@pytest.mark.parametrize("header", ["", "soon", "-3", "1.5"], ids=str)
async def test_a_storm_without_a_time_that_can_be_read_is_met_by_patience(
    client: Client, header: str
) -> None:
    async with Wire() as vendor:
        storm = says(429, retry_after=header) if header else says(429)
        vendor.when("/x", storm, times=3)
        clock = Hurried()
        await read(client(vendor.url, clock=clock))
        assert vendor.count() == 4
        assert clock.monotonic() >= 3, "a second each, where nothing is said"


@pytest.mark.parametrize("header", ["1000000000", "Fri, 31 Dec 2038 00:00:00 GMT"])
async def test_a_time_beyond_all_patience_ends_all_calls_at_once(
    client: Client, header: str
) -> None:
    async with Wire() as vendor:
        date = "Wed, 21 Oct 2026 07:28:00 GMT"
        vendor.when("/x", says(429, retry_after=header, date=date), times=None)
        http = client(vendor.url)
        for _ in range(10):
            with pytest.raises(RateLimited) as raised:
                await read(http)
            assert raised.value.where == "sales"
            assert raised.value.wait is not None
            assert 3000 < raised.value.wait <= 3600
        assert vendor.count() == 1


@pytest.mark.parametrize("status", [500, 503, 429])
async def test_a_time_that_comes_with_any_refusal_is_kept_by_all_calls(
    client: Client, status: int
) -> None:
    clock = VirtualClock()
    came: list[float] = []

    async def vendor(_request: httpx.Request) -> httpx.Response:
        came.append(clock.monotonic())
        if len(came) == 1:
            return told(status, retry_after="40")
        return told()

    http = client("https://vendor.example", clock=clock, transport=Told(vendor))
    first = asyncio.ensure_future(read(http))
    for _ in range(200):
        await asyncio.sleep(0)
    assert await ended(clock, first, *(read(http) for _ in range(5))) == [{}] * 6
    assert len(came) == 7
    assert min(came[1:]) >= 40


async def test_one_that_waited_too_long_at_the_vendors_word_gives_up(
    client: Client,
) -> None:
    clock = VirtualClock()

    async def vendor(_request: httpx.Request) -> httpx.Response:
        return told(429, retry_after="100")

    http = client("https://vendor.example", clock=clock, transport=Told(vendor))
    found = await ended(clock, *(read(http) for _ in range(20)))
    assert {type(e) for e in found} == {RateLimited}
    assert clock.monotonic() <= 220, "180 s a call, and not one after the other"


# Row 5: answers that are none.

NONSENSE = {
    "empty": b"",
    "html": b"<html>please sign in</html>",
    "NaN": b'{"a": NaN}',
    "infinity": b'{"a": 1e999}',
    "5,000 digits": b'{"a": ' + b"9" * 5_000 + b"}",
    "depth of 200,000": b"[" * 200_000 + b"]" * 200_000,
    "bad UTF-8": b'{"a": "\xff"}',
    "half": b'{"a": 1, "b": [',
    "two": b'{"a": 1}{"a": 1}',
}
CUT = {
    "cut length": [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"],
    "cut chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    "no gzip": [*answer(200, b"{}", content_encoding="gzip")],
    "cut gzip": [
        *answer(200, gzip.compress(b"{}" * 999)[:-9], content_encoding="gzip")
    ],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.6\r\n"],
}


def nonsense(what: str) -> wire.Behaviour:
    async def behave(talk: Talk) -> None:
        await talk.say(*(CUT.get(what) or answer(200, NONSENSE[what])))
        talk.writer.close()

    return behave


@pytest.mark.parametrize("what", [*NONSENSE, *CUT])
async def test_an_answer_that_is_none_is_asked_for_again_or_leaves_a_write_in_doubt(
    client: Client, what: str
) -> None:
    async with Wire() as vendor:
        vendor.when("GET /x", nonsense(what), times=1)
        assert await read(client(vendor.url)) == {}
        assert vendor.count() == 2
        vendor.when("/x", nonsense(what), times=None)
        with pytest.raises(Unavailable):
            await read(client(vendor.url))
        before = vendor.count()
        with pytest.raises(InDoubt):
            await write(client(vendor.url))
        assert vendor.count() == before + 1


@pytest.mark.parametrize(
    ("body", "means"),
    [
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b" \r\n null ", None),
    ],
    ids=["the last of two names counts", "a mark of byte order is no harm", "null"],
)
async def test_answers_that_are_only_odd_are_read(
    client: Client, body: bytes, means: Any
) -> None:
    async with Wire(otherwise=says(200, body)) as vendor:
        assert await read(client(vendor.url)) == means
        assert await write(client(vendor.url)) == means


async def test_gzip_of_several_members_is_read_whole(client: Client) -> None:
    body = gzip.compress(b'{"a":') + gzip.compress(b" 1}")
    async with Wire(otherwise=says(200, body, content_encoding="gzip")) as vendor:
        assert await read(client(vendor.url)) == {"a": 1}


async def test_a_write_whose_answer_lacks_what_it_must_say_is_in_doubt(
    client: Client,
) -> None:
    async with Wire() as vendor:
        with pytest.raises(InDoubt, match="no 'id'"):
            (await write(client(vendor.url)))["id"]
        with pytest.raises(Unavailable, match="no 'id'"):
            (await read(client(vendor.url)))["id"]


# Row 6: bombs. In a process of its own, which counts its memory.

_BOMBS = {
    "gzip": "says(200, wire.bomb(160 << 20), content_encoding='gzip')",
    "chunks": "chunked(wire.endless(bytes(1 << 16)))",
    "gzip chunks": "chunked([wire.bomb(160 << 20)], content_encoding='gzip')",
    "10 GB": "huge",
}
_CHILD = """
import asyncio, resource, sys
from tests.proof import wire
from tests.proof.wire import Wire, chunked, says
from tests.proof.test_wire import Hurried, Ledger, Plain, Secrets, HttpClient, Unavailable

async def huge(talk):
    await talk.say(b"HTTP/1.1 200 OK\\r\\nContent-Length: 10000000000\\r\\n\\r\\n")
    for chunk in wire.endless(bytes(1 << 16)):
        await talk.say(chunk)

async def main():
    async with Wire() as vendor:
        config = Plain.Config(base_url=vendor.url)
        http = HttpClient(Plain, config, connection="c", secrets=Secrets(), clock=Hurried(), ledger=Ledger())
        await http.get("/x")
        vendor.when("/x", BOMB, times=None)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            await http.get("/x")
        except Unavailable as e:
            assert "larger than 32 MiB" in str(e), e
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            print(grown >> 10, vendor.count())
        await http.aclose()

asyncio.run(main())
"""


@pytest.mark.parametrize("what", _BOMBS if LONG else ["gzip", "10 GB"])
def test_a_bomb_costs_less_than_64_mib(what: str) -> None:
    code = _CHILD.replace("BOMB", _BOMBS[what])
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    grown, calls = map(int, done.stdout.split())
    assert grown < 64
    assert calls == 2, "what is too large once is too large again"


# Row 7: drips.


@pytest.mark.parametrize("act", [read, write])
@pytest.mark.parametrize(
    ("of", "attempt"), [("head", 0.25), ("body", 0.25), ("body", 5.0)], ids=str
)
async def test_a_drip_is_cut_at_the_deadline(
    client: Client, act: Any, of: str, attempt: float
) -> None:
    head, body = answer(200, b" " * 5_000)
    drip = drips(head * 20, b"") if of == "head" else drips(head, body)
    async with Wire(otherwise=drip) as vendor:
        http = client(
            vendor.url, clock=SystemClock(), attempt_seconds=attempt, call_seconds=0.6
        )
        began = time.monotonic()
        with pytest.raises(InDoubt if act is write else Unavailable):
            await act(http)
        assert time.monotonic() - began <= 0.6 + 0.5
        assert vendor.count() <= (3 if act is read else 1)


async def test_a_token_that_drips_is_given_up_as_well(client: Client) -> None:
    drip = drips(*answer(200, b" " * 5_000))
    async with Wire(otherwise=drip) as vendor:
        http = client(
            vendor.url,
            Minted,
            clock=SystemClock(),
            attempt_seconds=0.25,
            call_seconds=0.6,
        )
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await read(http)
        assert time.monotonic() - began <= 0.6 + 0.5
        assert vendor.count("/token") == vendor.count()


async def test_waiting_for_room_takes_nothing_from_a_calls_time(client: Client) -> None:
    """A narrow window of the vendor's own is no failure: the call has all its time once it is let in."""

    class Narrow(Plain):
        def limits(self) -> Any:
            return (Limit("calls", 1, 1000),)

    clock = VirtualClock()

    async def vendor(_request: httpx.Request) -> httpx.Response:
        return told(503 if clock.monotonic() == 1000 else 200)

    http = client("https://v.example", Narrow, clock=clock, transport=Told(vendor))
    assert await ended(clock, read(http), read(http)) == [{}, {}]


# Row 8: pages that run in circles or lead elsewhere, and pages that drift while they are read.


@pytest.mark.parametrize("kind", [Plain, Keyed, Minted])
async def test_a_foreign_host_sees_no_credentials(client: Client, kind: Any) -> None:
    async with Wire() as vendor, Wire() as foreign:
        minted = json.dumps({"access_token": CANARY})
        vendor.when("/token", says(200, minted, set_cookie="s=1"), times=None)
        vendor.when("/moved", says(302, b"", location=foreign.url), times=None)
        http = client(vendor.url, kind)
        await http.get("/x")
        with pytest.raises(ConfigError, match="redirects"):
            await http.get("/moved")
        port = foreign.url.rpartition(":")[2]
        for link in (
            foreign.url + "/next",
            f"{vendor.url}@127.0.0.1:{port}/next",
            f"http://localhost:{port}/next",
            vendor.url.replace("http", "https"),
            f"{vendor.url}.evil.example/next",
            "http://[::1",
            "http://127.0.0.1:99999/",
            "\x00",
        ):
            for act in (http.get, http.post):
                with pytest.raises(Unavailable, match="points to"):
                    await act(link)
        await http.get(f"//127.0.0.1:{port}/next")
        assert foreign.seen == [], "a path of the vendor's, whatever it looks like"
        sent = [a for a in vendor.seen if a.path == "/x"]
        assert CANARY in str(sent[0].headers)


async def test_a_token_answer_does_not_lead_credentials_to_a_foreign_host(
    client: Client,
) -> None:
    async with Wire() as vendor, Wire() as foreign:
        minted = {"access_token": "t", "instance_url": foreign.url}
        vendor.when("/token", says(200, json.dumps(minted)), times=None)
        with pytest.raises(Unavailable, match="not its own host"):
            await read(client(vendor.url, Minted))
        assert foreign.seen == []


@pytest.mark.parametrize("way", ["itself", "the one before", "elsewhere"])
async def test_a_next_link_that_leads_astray_ends_the_run_and_loses_nobody(
    wired: Any, vendors: Vendors, way: str
) -> None:
    """Salesforce names its next page: here one that leads in a circle, or to another host."""
    for n in range(300):
        vendors["billing"].edit(
            "Contact", {"LastName": f"P{n}", "Email": f"p{n}@x.org", "Phone": None}
        )
    async with Wire() as foreign, Wire(vendors["billing"].app) as vendor:
        links = {"elsewhere": f"{foreign.url}/steal?q=1"}

        async def astray(talk: Talk) -> None:
            head, _, body = (await talk.do()).partition(b"\r\n\r\n")
            page = json.loads(body)
            link = links.get(way) or (
                talk.asked.path
                if way == "itself"
                else links.setdefault("", talk.asked.path)
            )
            page |= {"done": False, "nextRecordsUrl": link}
            await talk.say(*answer(200, json.dumps(page), date=_header(head, "date")))

        vendor.when("/query", astray, times=None)
        async with wired(billing=vendor) as hub:
            with pytest.raises(HubError) as raised:
                await hub.sync("companies")
            assert raised.value.exit_code in {5, 7}
            assert vendor.count("/query") <= 4
            before = vendor.count("/query")
            connector = hub._live["billing"].connector
            with pytest.raises(Unavailable):
                await connector.find("Contact", "Email", ["p@x.org"], Want(frozenset()))
            assert vendor.count("/query") - before <= 3
            assert foreign.seen == []
            vendor.fair()
            await hub.sync("companies")


def _header(head: bytes, name: str) -> str:
    lines = head.decode().split("\r\n")
    return next(x.partition(": ")[2] for x in lines if x.lower().startswith(name))


@pytest.mark.parametrize("what", ["edit", "delete", "insert", "twice"])
async def test_pages_that_drift_while_they_are_read_lose_nobody(
    opened: Opener, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Records leave the pages that were read, come into them, or are shown twice."""
    monkeypatch.setattr("connector_hub_hubspot.places.SEARCH", 5)
    sales = vendors["sales"]
    monkeypatch.setattr(sales, "search_lag", 0.0)
    for n in range(20):
        sales.edit("contacts", _person(n))
    async with opened("left-to-right") as hub:
        await settle(hub, vendors)
        for v in vendors.values():
            v.clock.advance(600)
        rows = {r["properties"]["email"]: r["id"] for r in sales.live("contacts")}
        for n in range(20):
            sales.clock.advance(1)
            edit = {"jobtitle": f"Title {n}"}
            sales.edit("contacts", {"id": rows[f"p{n}@x.example"], "properties": edit})
        sales.clock.advance(600)
        drift = Drift(sales, what, [rows[f"p{n}@x.example"] for n in range(3)])
        hub._live["sales"].client._client._transport = drift
        await hub.sync("contacts")
        assert drift.moved
        hub._live["sales"].client._client._transport = drift.inner
        titles = {r["Email"]: r["Title"] for r in vendors["billing"].live("Contact")}
        assert [titles[f"p{n}@x.example"] for n in range(3, 20)] == [
            f"Title {n}" for n in range(3, 20)
        ]
        if what == "delete":
            return
        sales.clock.advance(300)
        await settle(hub, vendors)


def _person(n: int) -> dict[str, Any]:
    return {
        "properties": {
            "lastname": f"Person {n}",
            "email": f"p{n}@x.example",
            "jobtitle": "none",
        }
    }


class Drift(httpx.AsyncBaseTransport):
    """Between the first page of a search and the next, people are at work."""

    def __init__(self, sales: Any, what: str, ids: list[str]) -> None:
        self.inner = httpx.ASGITransport(app=sales.app)
        self.sales, self.what, self.ids = sales, what, ids
        self.moved = False
        self.last: tuple[bytes, Any] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        found = await self.inner.handle_async_request(request)
        if not request.url.path.endswith("contacts/search") or self.moved:
            return found
        self.moved = True
        for n, record in enumerate(self.ids):
            match self.what:
                case "edit":
                    edit = {"jobtitle": f"Later {n}"}
                    self.sales.edit("contacts", {"id": record, "properties": edit})
                case "delete":
                    self.sales.edit("contacts", {"id": record, "archived": True})
                case "insert":
                    self.sales.edit("contacts", _person(100 + n))
                case "twice":
                    found = await self.inner.handle_async_request(request)
        return found


# Row 9: clocks that differ and jump, and an index that lags.


class Jumpy(Hurried):
    """A wall clock that somebody sets while the hub works."""

    jump = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.jump)


SKEWS = [0.0, 300.0, -300.0]


@pytest.mark.parametrize(
    ("lag", "skew"),
    [(lag, skew) for lag in (0.0, 30.0, 60.0) for skew in SKEWS]
    if LONG
    else [(0.0, 0.0), (30.0, -300.0), (60.0, 300.0)],
)
async def test_no_change_is_missed_whatever_the_clocks_say(
    opened: Opener, vendors: Vendors, lag: float, skew: float
) -> None:
    rng = random.Random(f"{lag}/{skew}")
    sales, billing = vendors["sales"], vendors["billing"]
    sales.clock.advance(skew)
    billing.clock.advance(rng.choice(SKEWS))
    sales.search_lag = lag
    marks: list[int] = []
    async with opened("left-to-right") as hub:
        await settle(hub, vendors)
        hub.clock = clock = Jumpy()
        ids = [r["id"] for r in sales.live("contacts")]
        for round_ in range(20 if LONG else 6):
            clock.jump = rng.choice([-3600.0, 0.0, 3600.0])
            for record in rng.sample(ids, 2):
                edit = {"jobtitle": f"Title {round_}"}
                sales.edit("contacts", {"id": record, "properties": edit})
            for v in vendors.values():
                v.clock.advance(rng.choice([0.0, 0.4, 5.0, 50.0]))
            await hub.sync("contacts")
            kept = hub.store.cursor("contacts", "left", "changed")
            assert kept is not None
            assert kept[0] is not None
            marks.append(json.loads(kept[0])["ms"])
            assert marks[-1] <= sales.clock.time() * 1000
        for v in vendors.values():
            v.clock.advance(61)
        await hub.sync("contacts")
        assert marks == sorted(marks)
        assert wrong(vendors) == []


async def test_edits_of_one_second_are_all_seen_by_salesforce_too(
    opened: Opener, vendors: Vendors
) -> None:
    billing = vendors["billing"]
    async with opened("right-to-left") as hub:
        for n in range(6):
            billing.edit("Contact", {"LastName": f"P{n}", "Email": f"p{n}@x.org"})
        await hub.sync("contacts")
        ids = {r["Email"]: r["Id"] for r in billing.live("Contact")}
        for n in range(6):
            billing.edit("Contact", {"Id": ids[f"p{n}@x.org"], "Title": f"Title {n}"})
            await hub.sync("contacts")
        titles = {
            r["properties"]["email"]: r["properties"].get("jobtitle")
            for r in vendors["sales"].live("contacts")
        }
        assert [titles[f"p{n}@x.org"] for n in range(6)] == [
            f"Title {n}" for n in range(6)
        ]


# Row 10: tokens.


def grant(name: str = "t1", **more: Any) -> wire.Behaviour:
    return says(200, json.dumps({"access_token": name, **more}))


async def test_a_token_that_expires_on_the_way_is_replaced_once_for_all(
    client: Client,
) -> None:
    live = ""

    async def mint(talk: Talk) -> None:
        nonlocal live
        live = f"t{vendor.count('/token')}"
        await grant(live)(talk)

    async def serve(talk: Talk) -> None:
        good = talk.asked.headers["authorization"] == f"Bearer {live}"
        await says(200 if good else 401)(talk)

    async with Wire(otherwise=serve) as vendor:
        vendor.when("/token", mint, times=None)
        http = client(vendor.url, Minted)
        for round_ in range(1, 4):
            assert await asyncio.gather(*(read(http) for _ in range(12))) == [{}] * 12
            assert vendor.count("/token") == round_
            live = "gone"


async def test_a_vendor_that_refuses_every_token_is_asked_for_two(
    wired: Any, vendors: Vendors
) -> None:
    async with Wire(vendors["billing"].app) as vendor, wired(billing=vendor) as hub:
        await hub.sync("companies")
        before = vendor.count("/token")
        vendor.when("/services/data", says(401, "[]"), times=None)
        with pytest.raises(AuthError) as raised:
            await hub.sync("contacts")
        assert raised.value.exit_code == 4
        assert vendor.count("/token") - before <= 2
        (lost,) = hub.standings()
        assert (lost.name, lost.state) == ("billing", "reconnect")


async def test_the_command_line_ends_with_4_when_a_token_is_refused_for_ever(
    wired: Any, vendors: Vendors, tmp_path: Path
) -> None:
    async with Wire(vendors["billing"].app) as b, Wire(vendors["sales"].app) as s:
        b.when("/services/oauth2/userinfo", says(401), times=None)
        async with wired(sales=s, billing=b):
            pass
        urls = {"sales": s.url, "billing": b.url}
        command = Path(sys.executable).with_name("connector-hub")
        process = await asyncio.create_subprocess_exec(
            *(command, "--project", str(tmp_path), "sync", "companies"),
            env=environment(vendors, urls),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        _, said = await process.communicate()
        assert process.returncode == 4, said.decode()
        assert b.count("/token") <= 2
        assert b"connector-hub connect billing" in said


@pytest.mark.parametrize(
    "how", [wire.does_and_hangs_up, wire.does_and_resets, wire.does_and_says_half]
)
async def test_a_token_answer_that_is_lost_is_asked_for_again(
    client: Client, how: wire.Behaviour
) -> None:
    async with Wire() as vendor:
        vendor.when("/token", how).when("/token", grant(), times=None)
        assert await read(client(vendor.url, Minted)) == {}
        assert vendor.count("/token") == 2


WRONG: dict[str, Any] = {
    "no token": {},
    "no text": {"access_token": 5},
    "a line break": {"access_token": "a\nX-Evil: 1"},
    "a list": [],
}


@pytest.mark.parametrize("what", WRONG)
async def test_a_token_answer_without_a_token_is_told(
    client: Client, what: str
) -> None:
    async with Wire() as vendor:
        vendor.when("/token", says(200, json.dumps(WRONG[what])), times=None)
        with pytest.raises(AuthError, match="no token"):
            await read(client(vendor.url, Minted))
        assert vendor.count() == 1


@pytest.mark.parametrize("life", ["soon", None, -1, 0, 60, "3600", True, []], ids=str)
async def test_an_odd_life_of_a_token_makes_no_storm_of_them(
    client: Client, life: Any
) -> None:
    async with Wire() as vendor:
        vendor.when("/token", grant(expires_in=life), times=None)
        http = client(vendor.url, Minted)
        for _ in range(10):
            await read(http)
        assert vendor.count("/token") == 1


async def test_a_token_endpoint_that_asks_to_wait_is_asked_by_nobody_before(
    client: Client,
) -> None:
    async with Wire() as vendor:
        vendor.when("/token", says(429, retry_after="600"), times=None)
        http = client(vendor.url, Minted)
        found = await asyncio.gather(
            *(read(http) for _ in range(20)), return_exceptions=True
        )
        assert {type(e) for e in found} == {RateLimited}
        assert vendor.count() == 1


# The circuit breaker of a connection.


async def fail(vendors: Vendors, hub: Hub, name: str) -> None:
    """Calls of one connection fail until its circuit is open."""
    vendors[name].faults.append(Fault(status=500))
    http = hub._live[name].client
    for _ in range(40):
        try:
            await http.send("POST", "/x", json={})
        except CircuitOpen:
            return
        except HubError:
            pass
    raise AssertionError("the circuit never opened")


async def test_an_open_circuit_stops_its_jobs_and_no_others_and_keeps_all_state(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        hub.clock = clock = Hurried()
        await hub.sync("companies")
        await hub.sync("contacts")
        await fail(vendors, hub, "billing")
        asked = vendors["billing"].calls.total()
        for job in ("companies", "contacts"):
            with pytest.raises(CircuitOpen, match="fails too often") as raised:
                await hub.sync(job)
            assert raised.value.exit_code == 5
            assert raised.value.where == "billing"
            open_ = hub.store.open_counts(job)
            assert open_ == {"conflicts": 0, "dead_letters": 0}
        assert vendors["billing"].calls.total() == asked
        assert await hub._live["sales"].connector.check()
        (told_,) = hub.standings()
        assert (told_.name, told_.state) == ("billing", "failing")
        vendors["billing"].faults.clear()
        with pytest.raises(CircuitOpen):
            await hub.sync("contacts")
        clock._seconds += 31
        await settle(hub, vendors)
        assert hub.standings() == []


async def test_the_circuit_opens_in_the_middle_of_writes_that_go_one_by_one(
    opened: Opener, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the records that were not sent is refused, and none that was is doubled."""
    for kind in ("create", "update"):
        one_by_one(monkeypatch, kind)
    sales, billing = vendors["sales"], vendors["billing"]
    for n in range(60):
        sales.edit("contacts", _person(n))
    async with opened() as hub:
        hub.clock = clock = Hurried()
        await hub.sync("companies")
        billing.faults.append(Fault("PATCH", status=500, after=True))
        billing.faults.append(Fault("/query", status=500))
        hub._live["billing"].client._breaker._spare = 0
        with pytest.raises(HubError) as raised:
            await hub.sync("contacts")
        assert raised.value.exit_code == 5
        counts = hub.store.open_counts("contacts")
        assert counts == {"conflicts": 0, "dead_letters": 0}
        billing.faults.clear()
        clock._seconds += 301
        await settle(hub, vendors)


def one_by_one(monkeypatch: pytest.MonkeyPatch, op: str) -> None:
    from connector_hub_salesforce.connector import Salesforce  # noqa: PLC0415

    plain = Salesforce.resources
    ways = {r.name: tuple(_narrow(w, op) for w in r.ways) for r in plain}
    found = tuple(replace(r, ways=ways[r.name]) for r in plain)
    monkeypatch.setattr(Salesforce, "resources", found)


def _narrow(way: Any, op: str) -> Any:
    return replace(way, rows=1) if way.op == op else way


async def test_run_looks_by_itself_whether_a_vendor_is_back(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(every="1m") as hub:
        hub.clock = clock = VirtualClock()
        events: list[Any] = []
        await hub.sync("companies")
        await hub.sync("contacts")
        await fail(vendors, hub, "billing")
        asked = vendors["billing"].calls.total()
        task = asyncio.ensure_future(hub.run(events.append))
        try:
            await pass_time(clock, 110)
            assert vendors["billing"].calls.total() == asked + 1, "one call looks"
            (failed,) = [e for e in events if e.kind == "ended"]
            assert failed.by is not None
            assert (failed.by.name, failed.by.state) == ("billing", "failing")
            vendors["billing"].faults.clear()
            await pass_time(clock, 30)
            well = [e for e in events if e.kind == "ended" and e.error is None]
            assert [e.kind for e in events[-3:]] == ["freed", "started", "ended"]
            assert len(well) == 1
            assert hub.standings() == []
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
