"""Webhooks over real sockets: the vendor's own are kept before they are answered, and never believed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import re
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from hubspot.utils.signature import Signature

from connector_hub.adapters import webhooks
from connector_hub.errors import ConfigError
from connector_hub.hub import Hub, open_hub
from connector_hub.sync import schedule
from connector_hub.sync.schedule import Event
from connector_hub_hubspot.sandbox import CLIENT_SECRET, PORTAL
from tests.conftest import LONG, PROJECT, Vendors

TOKEN = "token: env:HUBSPOT_TOKEN"
BURST = 10_000


@pytest.fixture(autouse=True)
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(schedule, "SETTLE", 0.05)
    monkeypatch.setattr(schedule, "REST", 0.1)


class Listening:
    """A hub that keeps jobs and hears webhooks."""

    def __init__(self, hub: Hub, vendors: Vendors, folder: Path) -> None:
        self.hub = hub
        self.vendors = vendors
        self.folder = folder
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.changed.set()

    async def until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not seen():
                self.changed.clear()
                await self.changed.wait()

    @property
    def said(self) -> list[str]:
        return [e.said for e in self.events if e.kind == "listening"]

    @property
    def url(self) -> str:
        """Where HubSpot sends to."""
        return self.said[1].removeprefix("webhooks of sales come to ")

    @property
    def here(self) -> str:
        """Where it comes from the proxy, if there is one."""
        return self.said[0].removeprefix("listening at ") + "/hooks/sales"

    def ended(self, job: str = "contacts") -> list[Event]:
        return [e for e in self.events if (e.kind, e.job) == ("ended", job)]

    def inbox(self) -> dict[str, str]:
        """What others read from the file."""
        with contextlib.closing(sqlite3.connect(self.folder / "hub.db")) as db:
            return dict(db.execute("select record, why from inbox where side='left'"))

    def titles(self) -> list[str]:
        rows = self.vendors["billing"].live("Contact")
        return sorted(r["Title"] or "" for r in rows)

    def edit(self, number: int, **properties: str) -> str:
        record = self.vendors["sales"].live("contacts")[number]["id"]
        body = {"id": record, "properties": properties}
        self.vendors["sales"].edit("contacts", body)
        return record


@pytest.fixture
def kept(tmp_path: Path, vendors: Vendors):
    """Runs a project of which both jobs have been synced, and listens."""

    @contextlib.asynccontextmanager
    async def running(
        *, quiet: bool = False, public_url: str = "", direction: str = "left-to-right"
    ):
        text = PROJECT.replace("DIRECTION", f"{direction}\n    every: 24h")
        text = text.replace(TOKEN, f"{TOKEN}, client_secret: env:HS")
        if public_url:
            text = f"public_url: {public_url}\n{text}"
        (tmp_path / "hub.yaml").write_text(text)
        environ = {
            **{n: v for s in vendors.values() for n, v in s.env().items()},
            "HUBSPOT_URL": vendors["sales"].url,
            "SALESFORCE_URL": vendors["billing"].url,
            "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
            "HS": CLIENT_SECRET,
        }
        wires = {n: httpx.ASGITransport(app=s.app) for n, s in vendors.items()}
        async with open_hub(tmp_path, environ=environ, transports=wires) as hub:
            for job in ("companies", "contacts"):
                await hub.sync(job)
            found = Listening(hub, vendors, tmp_path)
            if quiet:
                hub.sync = never
            run = asyncio.ensure_future(hub.run(found.tell, listen=("127.0.0.1", 0)))
            try:
                await found.until(lambda: len(found.said) > 1)
                yield found
                assert not run.done()
            finally:
                run.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await run

    return running


async def never(*_args, **_more):
    """A job that is looked at by nobody, so that what it was told stays."""
    await asyncio.Event().wait()


def event(record: str = "50001", **more) -> dict[str, object]:
    return {
        "eventId": 1,
        "portalId": PORTAL,
        "subscriptionType": "contact.propertyChange",
        "objectId": int(record),
        "attemptNumber": 0,
    } | more


def signed(url: str, body: bytes, *, secret: str = CLIENT_SECRET, age: float = 0):
    """The headers of a message as HubSpot's own library signs it."""
    stamp = str(int((time.time() - age) * 1000))  # noqa: TID251 - as a vendor's clock
    said = Signature.get_signature(secret, body.decode(), "v3", url, "POST", stamp)
    return {
        "Content-Type": "application/json",
        "X-HubSpot-Signature-v3": said,
        "X-HubSpot-Request-Timestamp": stamp,
    }


async def ask(
    url: str, headers: dict[str, str], body: bytes, method: str = "POST"
) -> int:
    """The status of an answer, on a socket of our own: any bytes may be sent."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", "Host: hub", "Connection: close"]
    lines += [f"{k}: {v}" for k, v in headers.items()]
    if "Transfer-Encoding" not in headers and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    with contextlib.suppress(ConnectionError):
        writer.write(head + body)
        await writer.drain()
    async with asyncio.timeout(5):
        status = await reader.readline()
    writer.close()
    return int(status.split()[1])


async def test_an_edit_is_taken_over_soon_after_its_webhook(kept, vendors):
    async with kept() as hub:
        sales = vendors["sales"]
        assert await sales.send_webhooks(hub.url) == []
        hub.edit(0, jobtitle="Told Title")
        sales.clock.advance(5)
        assert await sales.send_webhooks(hub.url) == [204]
        await hub.until(lambda: bool(hub.ended()))
        assert hub.ended()[-1].receipt.writes == {"billing": 1}
        assert "Told Title" in hub.titles()
        assert hub.inbox() == {}


async def test_doubled_late_and_reordered_messages_end_the_same_and_write_once(
    kept, vendors
):
    async with kept() as hub:
        sales = vendors["sales"]
        await sales.send_webhooks(hub.url)
        for n in range(8):
            for title in ("First", "Second", f"Last {n}"):
                hub.edit(n, jobtitle=title)
        sales.clock.advance(5)
        told = await sales.send_webhooks(
            hub.url, double=True, shuffle=True, late_s=0.05
        )
        assert told == [204, 204]
        await hub.until(lambda: bool(hub.ended()))
        await sales.send_webhooks(hub.url)
        writes = sum(e.receipt.writes["billing"] for e in hub.ended())
        assert writes == 8
        assert {f"Last {n}" for n in range(8)} <= set(hub.titles())
        assert hub.inbox() == {}


async def test_what_the_hub_writes_itself_comes_back_and_ends_there(kept, vendors):
    async with kept(direction="both") as hub:
        sales, billing = vendors["sales"], vendors["billing"]
        await sales.send_webhooks(hub.url)
        record = billing.live("Contact")[0]["Id"]
        billing.edit("Contact", {"Id": record, "Title": "Edited Across"})
        sales.clock.advance(5)
        assert (await hub.hub.sync("contacts")).writes["sales"] == 1
        sales.clock.advance(5)
        assert await sales.send_webhooks(hub.url) == [204]
        await hub.until(lambda: bool(hub.ended()))
        assert sum(hub.ended()[0].receipt.writes.values()) == 0
        assert await sales.send_webhooks(hub.url) == []
        assert hub.inbox() == {}


async def test_a_side_that_only_receives_is_told_nothing(kept):
    async with kept(quiet=True, direction="right-to-left") as hub:
        assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 204
        assert hub.inbox() == {}


GOOD = json.dumps([event()]).encode()
LARGE = b"[" + b" " * (2 << 20) + b"]"


def forged(url):
    return {**signed(url, GOOD), "X-HubSpot-Signature-v3": "Zm9yZ2Vk"}, GOOD


def other_secret(url):
    return signed(url, GOOD, secret="another"), GOOD


def unsigned(_url):
    return {"Content-Type": "application/json"}, GOOD


def not_ascii(url):
    return {**signed(url, GOOD), "X-HubSpot-Signature-v3": "é\xff"}, GOOD


def changed(url):
    return signed(url, GOOD), GOOD.replace(b"50001", b"50002")


def old(url):
    return signed(url, GOOD, age=301), GOOD


def of_the_future(url):
    return signed(url, GOOD, age=-301), GOOD


def odd_stamp(url):
    return {**signed(url, GOOD), "X-HubSpot-Request-Timestamp": "1e9"}, GOOD


def elsewhere(url):
    return signed(url + "/more", GOOD), GOOD


def too_large(url):
    return signed(url, LARGE), LARGE


def too_large_in_chunks(url):
    headers = {**signed(url, LARGE), "Transfer-Encoding": "chunked"}
    return headers, b"%x\r\n%s\r\n0\r\n\r\n" % (len(LARGE), LARGE)


def large_as_it_says(url):
    return {**signed(url, GOOD), "Content-Length": str(2 << 20)}, b""


def a_lie_about_its_length(url):
    return {**signed(url, GOOD), "Content-Length": "9" * 30}, b""


def another_type(url):
    return {**signed(url, GOOD), "Content-Type": "text/plain"}, GOOD


def form(url):
    kind = "application/json, multipart/form-data"
    return {**signed(url, GOOD), "Content-Type": kind}, GOOD


def no_json(url):
    return signed(url, b"{"), b"{"


def no_list(url):
    return signed(url, b"7"), b"7"


def nested(url):
    body = b"[" * 100_000
    return signed(url, body), body


@pytest.mark.parametrize(
    ("made", "status"),
    [
        *((f, 401) for f in (forged, other_secret, unsigned, not_ascii, changed)),
        *((f, 401) for f in (old, of_the_future, odd_stamp, elsewhere)),
        (too_large, 413),
        (too_large_in_chunks, 413),
        (large_as_it_says, 413),
        (another_type, 415),
        (form, 415),
        *((f, 400) for f in (no_json, no_list, nested, a_lie_about_its_length)),
    ],
)
async def test_what_is_not_the_vendors_own_is_refused_and_leaves_nothing(
    kept, made, status
):
    async with kept(quiet=True) as hub:
        assert await ask(hub.url, *made(hub.url)) == status
        assert await ask(hub.url, *made(hub.url)) == status
        assert hub.inbox() == {}
        assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 204
        assert hub.inbox() == {"50001": "hint"}
        troubles = [s for s in hub.said if "refused" in s]
        assert len(troubles) <= 1, "told once, however often"


async def test_other_paths_and_methods_are_not_there(kept):
    async with kept(quiet=True) as hub:
        headers = signed(hub.url, GOOD)
        assert await ask(hub.url, headers, GOOD, "GET") == 405
        base = hub.url.removesuffix("sales")
        for path in ("billing", "nobody", "", "../hub.key"):
            assert await ask(base + path, headers, GOOD) == 404
        assert await ask(base.removesuffix("hooks/") or "/", headers, GOOD) == 404


async def test_a_body_that_drips_is_not_waited_for(kept, monkeypatch):
    monkeypatch.setattr(webhooks, "_READING", 0.1)
    async with kept(quiet=True) as hub:
        headers = {**signed(hub.url, GOOD), "Content-Length": str(len(GOOD) + 1)}
        assert await ask(hub.url, headers, GOOD) == 408


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        (event(portalId=PORTAL + 1), {}),
        (event(subscriptionType="deal.creation"), {}),
        (event(subscriptionType="contact.deletion"), {"50001": "hint"}),
        (
            event(subscriptionType="object.creation", objectTypeId="0-1"),
            {"50001": "hint"},
        ),
        (
            event(
                subscriptionType="contact.merge",
                primaryObjectId=50002,
                mergedObjectIds=[50003],
                newObjectId=50004,
            ),
            {str(n): "hint" for n in range(50001, 50005)},
        ),
        (
            event(
                subscriptionType="contact.associationChange",
                associationType="COMPANY_TO_CONTACT",
                fromObjectId=90001,
                toObjectId=50007,
            ),
            {"90001": "hint", "50007": "hint"},
        ),
    ],
)
async def test_an_event_names_its_records_and_those_of_others_are_left(
    kept, said, rows
):
    async with kept(quiet=True) as hub:
        body = json.dumps([said]).encode()
        assert await ask(hub.url, signed(hub.url, body), body) == 204
        assert hub.inbox() == rows


async def test_a_message_that_cannot_be_kept_is_not_accepted(kept):
    async with kept(quiet=True) as hub:
        hub.hub.store._db.execute("pragma busy_timeout=10")
        with contextlib.closing(sqlite3.connect(hub.folder / "hub.db")) as other:
            other.execute("begin immediate")
            assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 503
        assert hub.inbox() == {}
        assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 204
        assert hub.inbox() == {"50001": "hint"}
        assert [s for s in hub.said if "again" in s] == [
            "webhooks of sales are heard again"
        ]


async def test_a_message_that_comes_as_a_run_is_taken_over_is_not_accepted(kept):
    """A run that is fenced off keeps nothing; whoever sent a message hears so, and sends it again."""
    async with kept(quiet=True) as hub:
        store, now = hub.hub.store, hub.hub.clock.now()
        number = store.begin_run("contacts", "sync", now)
        store.begin_run("contacts", "sync", now)
        with store.fenced(number):
            assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 503
        assert await ask(hub.url, signed(hub.url, GOOD), GOOD) == 204
        assert hub.inbox() == {"50001": "hint"}


async def test_a_hint_that_comes_while_its_record_is_written_is_looked_at_again(
    kept, vendors
):
    async with kept() as hub:
        sales, billing = vendors["sales"], vendors["billing"]
        await sales.send_webhooks(hub.url)
        record = hub.edit(0, jobtitle="Before")
        sales.clock.advance(5)
        writing, carry_on = asyncio.Event(), asyncio.Event()
        carry_out = billing._enter

        async def slow(request):
            if request.method == "PATCH" and not carry_on.is_set():
                writing.set()
                await carry_on.wait()
            return await carry_out(request)

        for route in billing._router.routes:
            if route.path.startswith("/services/data/{rest"):
                route.app = _served(slow)
        await sales.send_webhooks(hub.url)
        await asyncio.wait_for(writing.wait(), 20)
        hub.edit(0, jobtitle="After")
        sales.clock.advance(5)
        assert await sales.send_webhooks(hub.url) == [204]
        assert hub.inbox() == {record: "hint"}
        carry_on.set()
        await hub.until(lambda: len(hub.ended()) > 1)
        assert "After" in hub.titles()
        assert hub.inbox() == {}


def _served(handler):
    async def app(scope, receive, send):
        from starlette.requests import Request  # noqa: PLC0415 - of the sandbox

        response = await handler(Request(scope, receive))
        await response(scope, receive, send)

    return app


async def test_a_burst_of_ten_thousand_is_kept_whole(kept):
    size = 1 if LONG else 100
    async with kept(quiet=True) as hub:
        bodies = [
            json.dumps([event(str(50_000 + n)) for n in range(i, i + size)]).encode()
            for i in range(0, BURST, size)
        ]
        todo = iter([*bodies, *bodies[:10]])
        statuses: Counter[int] = Counter()

        async def sender() -> None:
            for body in todo:
                headers = signed(hub.url, body)
                got = await client.post(hub.url, content=body, headers=headers)
                statuses[got.status_code] += 1

        async with httpx.AsyncClient() as client:  # noqa: TID251 - as a vendor
            await asyncio.gather(*(sender() for _ in range(16)))
        assert statuses == {204: len(bodies) + 10}
        assert len(hub.inbox()) == BURST


async def test_messages_of_one_moment_share_a_commit(kept, monkeypatch):
    async with kept(quiet=True) as hub:
        commits, hint = [], hub.hub.store.hint

        def counted(job, side, records):
            commits.append(len(records))
            hint(job, side, records)

        monkeypatch.setattr(hub.hub.store, "hint", counted)
        bodies = [json.dumps([event(str(n))]).encode() for n in range(40)]
        async with httpx.AsyncClient() as client:  # noqa: TID251 - as a vendor
            got = await asyncio.gather(
                *(
                    client.post(hub.url, content=b, headers=signed(hub.url, b))
                    for b in bodies
                )
            )
        assert {g.status_code for g in got} == {204}
        assert sum(commits) == len(hub.inbox()) == 40
        assert len(commits) < 40


async def test_behind_a_proxy_the_public_address_is_what_is_signed(kept):
    public = "https://hub.example/in"
    async with kept(quiet=True, public_url=public) as hub:
        assert hub.url == f"{public}/hooks/sales"
        here = hub.here
        assert await ask(here, signed(here, GOOD), GOOD) == 401
        assert await ask(here, signed(hub.url, GOOD), GOOD) == 204
        query = "?to=a%3Ab%2Fc%40d&e=%20"
        undone = "?to=a:b/c@d&e=%20"
        assert await ask(here + query, signed(hub.url + undone, GOOD), GOOD) == 204
        assert await ask(here + query, signed(hub.url + query, GOOD), GOOD) == 401


async def test_the_sandbox_signs_as_hubspots_own_library_checks(vendors):
    sandbox = vendors["sales"]
    url = "https://hub.example/hooks/sales?to=a%3Ab"
    body, headers = sandbox._events.signed([event()], url)
    assert Signature.is_valid(
        headers["X-HubSpot-Signature-v3"],
        CLIENT_SECRET,
        body.decode(),
        "https://hub.example/hooks/sales?to=a:b",
        signature_version="v3",
        timestamp=headers["X-HubSpot-Request-Timestamp"],
    )
    mac = hmac.new(
        CLIENT_SECRET.encode(),
        b"POSThttps://hub.example/hooks/sales?to=a:b"
        + body
        + headers["X-HubSpot-Request-Timestamp"].encode(),
        hashlib.sha256,
    )
    wanted = base64.b64encode(mac.digest()).decode()
    assert headers["X-HubSpot-Signature-v3"] == wanted


async def test_what_the_command_line_has_accepted_outlives_its_process(tmp_path):
    script = Path(sys.executable).with_name("connector-hub")
    text = PROJECT.replace("DIRECTION", "left-to-right\n    every: 24h")
    text = text.replace(TOKEN, f"{TOKEN}, client_secret: env:HS")
    (tmp_path / "hub.yaml").write_text(text)
    environ = {
        "HUBSPOT_TOKEN": "t",
        "HUBSPOT_URL": "http://127.0.0.1:9",
        "SALESFORCE_URL": "http://127.0.0.1:9",
        "SALESFORCE_CLIENT_ID": "a",
        "SALESFORCE_CLIENT_SECRET": "s",
        "HS": CLIENT_SECRET,
    }
    async with open_hub(tmp_path, environ=environ) as hub:
        hub.store.pin("sales", f"hubspot:{PORTAL}")
    process = await asyncio.create_subprocess_exec(
        *(str(script), "run", "--listen", "127.0.0.1:0", "--project", str(tmp_path)),
        env=environ,
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        while line := (await process.stderr.readline()).decode():
            if found := re.search(r"sales come to (\S+)", line):
                break
        url = found.group(1)
        assert await ask(url, signed(url, GOOD), GOOD) == 204
        process.send_signal(signal.SIGKILL)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    async with open_hub(tmp_path, environ=environ) as hub:
        assert hub.store.inbox("contacts", "left")[0] == {"50001": "hint"}


async def test_who_cannot_listen_is_told_why(kept, monkeypatch):
    async with kept(quiet=True) as hub:
        port = urlsplit(hub.here).port

        async def refused(at) -> str:
            with pytest.raises(ConfigError) as told:
                await hub.hub.run(hub.tell, listen=("127.0.0.1", at))
            return str(told.value)

        assert "choose another host and port" in await refused(port)
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        assert "connector-hub[webhooks]" in await refused(0)
        monkeypatch.undo()
        hub.hub.project.connections["sales"].config.__dict__["client_secret"] = None
        assert "client_secret: keyring:NAME" in await refused(0)
