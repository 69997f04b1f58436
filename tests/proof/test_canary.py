"""Secrets and people that sing wherever they are let out: through a whole life, and nobody hears them."""

from __future__ import annotations

import base64
import contextlib
import http.server
import json
import logging
import re
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

import httpx
import pytest
from aiosmtpd.controller import Controller
from click.testing import CliRunner, Result

import connector_hub_hubspot
from connector_hub.adapters.redacting import Redaction, forms, quotes
from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.errors import HubError, Rejected
from connector_hub.hub import open_hub
from connector_hub.sdk import Record, Write
from tests.conftest import LONG
from tests.luck.accounts import edit_left, edit_right, later, rows

TOKEN = 'Kanarie-T0k"en/4711+x=='
CLIENT_SECRET = "Kanarie-Cl1ent/S3cret+y="
HOOK_PATH = "Kanarie-H00k/4711+z"
HOOK_SECRET = "Kanarie-S1gning/4711+q="
MAIL_PASSWORD = "Kanarie-Ma1l/4711+w="
EMAIL = "kanarie+loewe@example.org"
NAME = 'Löwe"Kanarie'
PHONE = "+628119990001"
LOOKS = ("check --debug --json", "doctor")
PEOPLE = {"e-mail": EMAIL, "name": NAME, "phone": PHONE[1:]}
REAL_SECRET = "sandbox-secret-5d2c"


def songs(canary: str) -> set[str]:
    """A canary in every encoding, in lower case."""
    raw = canary.encode()
    found = {canary, quote(canary, safe=""), quote_plus(canary), quote(canary)}
    found |= {json.dumps(canary)[1:-1], json.dumps(canary, ensure_ascii=False)[1:-1]}
    found.add("".join(f"\\u{ord(c):04x}" for c in canary))
    found |= {canary.encode("unicode_escape").decode(), raw.hex(), repr(raw)[2:-1]}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw + b"\0\0").decode()
        inner = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    return {f.lower() for f in found}


def heard(text: str | bytes, canaries: dict[str, str]) -> list[str]:
    """Which canaries sing in a text."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    lower = text.lower()
    return [name for name, c in canaries.items() if any(s in lower for s in songs(c))]


class Parrot(httpx.AsyncBaseTransport):
    """A vendor's wire; on request its answers repeat all that was sent, and who it was about."""

    def __init__(self, sandbox: Any, minted: list[str]) -> None:
        self.inner = httpx.ASGITransport(app=sandbox.app)
        self.minted = minted
        self.mode = ""
        self.at = ""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        if "oauth2/token" in request.url.path:
            form = dict(parse_qsl(body.decode()))
            if self.mode != "token":
                assert form["client_secret"] == CLIENT_SECRET
                form["client_secret"] = REAL_SECRET
                sent = urlencode(form).encode()
                headers = {**request.headers, "content-length": str(len(sent))}
                request = httpx.Request(
                    "POST", request.url, headers=headers, content=sent
                )
                answer = await self.inner.handle_async_request(request)
                told = json.loads(await answer.aread())
                self.minted.append(told["access_token"])
                return sent_back(answer.status_code, {}, json.dumps(told))
        elif not self.mode or not re.search(
            self.at, f"{request.method} {request.url.path}"
        ):
            return await self.inner.handle_async_request(request)
        return self._echo(request, body)

    def _echo(self, request: httpx.Request, body: bytes) -> httpx.Response:
        auth = request.headers.get("authorization", "")
        said = " ".join(
            (
                f"The request of {EMAIL} ({NAME}, {PHONE}) with {auth} was not understood:",
                body.decode("utf-8", "replace"),
                base64.b64encode(auth.encode()).decode(),
                quote(auth, safe=""),
                quote(auth, safe="").lower(),
                base64.b64encode(EMAIL.encode()).decode(),
            )
        )
        status = {"token": 400, "html": 200, "redirect": 302}.get(self.mode)
        status = status or int(self.mode)
        headers = {
            "x-debug": quote(said)[:2000],
            "set-cookie": f"session={quote(auth)}",
        }
        if self.mode == "redirect":
            headers["location"] = (
                f"https://elsewhere.example/?t={quote(auth)}&e={quote(EMAIL)}"
            )
        if self.mode == "html":
            return sent_back(200, headers, f"<html>{said}</html>")
        if self.mode == "token":
            found: Any = {"error": "invalid_grant", "error_description": said}
        else:
            found = {
                "status": "error",
                "message": said,
                "category": EMAIL,
                "errors": [{"message": said, "code": EMAIL, "context": {"x": [said]}}],
                "errorCode": EMAIL,
                "fields": [EMAIL],
            }
        if "services" in request.url.path:
            found = [found]
        return sent_back(status, headers, json.dumps(found))


def sent_back(status: int, headers: dict[str, str], text: str) -> httpx.Response:
    return httpx.Response(
        status, headers=headers, stream=httpx.ByteStream(text.encode())
    )


class Hooks(http.server.BaseHTTPRequestHandler):
    """Takes notices; also what a webhook's server may answer."""

    came: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append(body)  # type: ignore[attr-defined]
        self.send_response(204 if len(self.server.came) % 2 else 500)  # type: ignore[attr-defined]
        self.send_header("Set-Cookie", f"echo={quote(HOOK_SECRET)}")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Quiet."""


class Mails:
    """Takes mails."""

    def __init__(self) -> None:
        self.came: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.came.append(envelope.content)
        return "250 OK"


@contextlib.contextmanager
def receivers() -> Iterator[tuple[str, int, list[bytes], list[bytes]]]:
    """A webhook and a mail server: address, port, and what came to either."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hooks)
    server.came = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    mails = Mails()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    smtp = Controller(mails, hostname="127.0.0.1", port=port)
    smtp.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/{HOOK_PATH}"
        yield url, port, server.came, mails.came  # type: ignore[attr-defined]
    finally:
        smtp.stop()
        server.shutdown()
        server.server_close()


@pytest.fixture
def people() -> int:
    return 4


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """All that is logged, with httpx and httpcore turned up."""
    names = (
        "",
        "httpx",
        "httpcore",
        *(f"httpcore.{n}" for n in ("connection", "http11")),
    )
    with contextlib.ExitStack() as held:
        for name in names:
            held.enter_context(caplog.at_level(logging.DEBUG, name))
        yield caplog


PROJECT = """\
connections:
  sales: {{connector: hubspot, base_url: "{sales}", region: ID, token: env:HUBSPOT_TOKEN}}
  billing:
    connector: salesforce
    base_url: "{billing}"
    client_id: "{client}"
    client_secret: env:SALESFORCE_CLIENT_SECRET
jobs:
  companies:
    entity: company
    left: {{connection: sales, resource: companies}}
    right: {{connection: billing, resource: Account}}
    direction: left-to-right
  contacts:
    entity: contact
    left: {{connection: sales, resource: contacts}}
    right: {{connection: billing, resource: Contact}}
    direction: both
    conflicts: {{"*": ask}}
    every: 5m
notify:
  - webhook: {{url: env:HOOK_URL, secret: env:HOOK_SECRET}}
  - mail: {{to: ops@x.example, from: hub@x.example, smtp: "127.0.0.1:{smtp}", tls: none}}
"""


class Life:
    """A project with canaries in it, and everything that was heard of it."""

    def __init__(self, folder: Path, vendors: Any, hooks: Any) -> None:
        self.folder, self.vendors = folder, vendors
        url, smtp, self.hooked, self.mailed = hooks
        self.minted: list[str] = []
        self.parrots = {n: Parrot(s, self.minted) for n, s in vendors.items()}
        vendors["sales"].access_token = TOKEN
        (folder / "hub.yaml").write_text(
            PROJECT.format(
                sales=vendors["sales"].url,
                billing=vendors["billing"].url,
                client=vendors["billing"].connection()["client_id"],
                smtp=smtp,
            )
        )
        self.environ = {
            "HUBSPOT_TOKEN": TOKEN,
            "SALESFORCE_CLIENT_SECRET": CLIENT_SECRET,
            "HOOK_URL": url,
            "HOOK_SECRET": HOOK_SECRET,
        }
        self.sinks: dict[str, str | bytes] = {}
        self.codes: dict[str, int] = {}
        self.shown: list[str] = []
        """What --values shows: people, and no secret."""

    def open(self, *_: Any) -> Any:
        return open_hub(self.folder, environ=self.environ, transports=self.parrots)

    def __call__(self, *words: str, typed: str | None = None) -> Result:
        """A command in a pipe; its output is a sink."""
        done = CliRunner().invoke(
            cli, list(words), input=typed, obj=Session(opener=self.open)
        )
        if "--values" in words:
            self.shown.append(done.output + done.stderr)
        else:
            name = " ".join(words)
            while name in self.sinks:
                name += " again"
            self.sinks[name] = done.output + done.stderr
            self.codes[name] = done.exit_code
            if done.exc_info is not None:
                self.sinks[f"{name}: traceback"] = "".join(
                    traceback.format_exception(*done.exc_info)
                )
        return done

    @property
    def canaries(self) -> dict[str, str]:
        """Everything that may be heard nowhere."""
        found = {
            "token": TOKEN,
            "client secret": CLIENT_SECRET,
            "webhook's address": HOOK_PATH,
            "webhook's secret": HOOK_SECRET,
            **PEOPLE,
        }
        found |= {f"minted token {n}": t for n, t in enumerate(self.minted)}
        key = self.folder / "hub.key"
        if key.exists():
            found["key"] = key.read_text().strip()
        return found


@pytest.fixture
def life(tmp_path: Path, vendors: Any) -> Iterator[Life]:
    with receivers() as hooks:
        yield Life(tmp_path, vendors, hooks)


def populate(vendors: Any) -> tuple[str, str]:
    """People of all kinds: plain, refused, unreadable, several, without identity; two of their ids."""

    def left(**properties: str) -> str:
        return str(vendors["sales"].edit("contacts", {"properties": properties})["id"])

    mine = left(email=EMAIL, lastname=NAME, phone=PHONE, jobtitle="T", city="X")
    refused = left(email=f"a{EMAIL}", lastname=NAME * 9)
    left(email=f"b{EMAIL}", lastname="B", phone=f"call {NAME} {EMAIL}")
    left(lastname=NAME)
    for _ in range(2):
        vendors["billing"].edit("Contact", {"LastName": NAME, "Email": f"c{EMAIL}"})
    left(email=f"c{EMAIL}", lastname=NAME)
    return mine, refused


def live_through(life: Life) -> None:
    """What people do on a first day and after it, with the commands."""
    vendors = life.vendors
    mine, _ = populate(vendors)
    for words in (
        "check",
        "doctor",
        "connectors",
        "describe sales contacts",
        "notify --test",
        "prepare billing --yes",
    ):
        life(*words.split())
    life("connect", "sales", typed=f"{TOKEN}\n")
    life("sync", "companies")
    life("match", "contacts")
    life(
        "plan",
        "contacts",
        "--html",
        str(life.folder / "plan.html"),
        "--csv",
        str(life.folder / "plan.csv"),
    )
    life("plan", "contacts", "--json", "--all")
    done = life("plan", "contacts", "--json")
    number = json.loads(done.stdout)["plan"]
    life("plans", "show", number, "--all")
    life("plans", "list", "--json")
    assert life("plan", "contacts", "--json", "--values", "--all").output.count(EMAIL)
    life("sync", "contacts")
    there = next(r["Id"] for r in rows(vendors) if r["Email"] == EMAIL)
    later(vendors)
    edit_left(vendors, mine, jobtitle=f"A {NAME}")
    edit_right(vendors, there, Title=f"B {EMAIL}")
    later(vendors)
    life("sync", "contacts", "--json")
    life("conflicts", "list")
    life("conflicts", "list", "--json")
    life("dead-letters", "list")
    life("dead-letters", "list", "--json")
    ask(life, mine)


def ask(life: Life, mine: str) -> None:
    """What people ask of a project in use, and whom they want forgotten."""
    letters = life("dead-letters", "list", "--json", "--values").stdout
    letter = json.loads(letters)["dead_letters"][0]["id"]
    for n in range(1, 5):
        life("conflicts", "show", str(n))
        life("conflicts", "show", str(n), "--json")
    life("dead-letters", "show", str(letter))
    life("dead-letters", "edit", str(letter), "--set", f"family_name={NAME * 9}")
    life("why", "contact", mine, "title")
    life("why", "contact", mine, "email", "--json")
    life("links", "show", "contacts")
    life("runs")
    life("runs", "--json")
    listed = json.loads(life("runs", "--json").stdout)["runs"]
    wrote = next(
        str(r["run"])
        for r in listed[::-1]
        if r["kind"] == "sync" and r["job"] == "contacts"
    )
    life("runs", "show", wrote)
    life("report", "--json")
    life("report", "--html", str(life.folder / "report.html"))
    life("undo", wrote)
    life("undo", wrote, "--json")
    life("map", "preview", "contacts")
    life("export", "--identity", f"email={EMAIL}")
    life("export", "--identity", EMAIL, "--json")
    assert EMAIL in life("export", "--identity", EMAIL, "--values").output
    life("erase", "--identity", EMAIL, "--no-input")
    life("erase", "--identity", f"{EMAIL}x", "--entity", "nobody")
    life("pause", "contacts")
    life("resume", "contacts")


def bad_days(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vendors that repeat what they were sent, a plugin that breaks with a record in its hands."""
    for side, at, modes in (
        (
            "sales",
            ".",
            (
                "401",
                "403",
                "429",
                "400",
                "409",
                "404",
                "500",
                "503",
                "477",
                "html",
                "redirect",
            ),
        ),
        (
            "billing",
            "services",
            ("401", "403", "400", "404", "412", "500", "html", "redirect", "token"),
        ),
    ):
        parrot = life.parrots[side]
        for mode in modes:
            parrot.mode, parrot.at = mode, at
            more = LONG or mode in {"401", "redirect"}
            for words in ("sync contacts --debug", *(LOOKS if more else ())):
                life(*words.split())
        parrot.mode = ""
        life("connect", side, typed="x\n")
    writes = (
        r"batch/(create|update|upsert)$|PATCH .*composite|POST .*composite/sobjects$"
    )
    for side in ("sales", "billing"):
        for mode in ("400", "409", "500"):
            mine, n = populate_one(life)
            there = {"LastName": f"{NAME} {n}x", "Email": f"{n}x{EMAIL}"}
            life.vendors["billing"].edit("Contact", there)
            later(life.vendors)
            life.parrots[side].mode, life.parrots[side].at = mode, writes
            life("sync", "contacts", "--debug")
            life.parrots[side].mode = ""
            edit_left(life.vendors, mine, jobtitle=f"{mode} {side}")
    life("dead-letters", "list")
    life("dead-letters", "list", "--json")

    async def broken(
        self: Any, _resource: str, _feed: str, _at: Any, _want: Any
    ) -> Any:
        record = {"email": EMAIL, "name": NAME}
        life.parrots["sales"].mode, life.parrots["sales"].at = "200", "echo"
        answer = await self.http.send("GET", "/echo")
        try:
            {}[str(record)]
        except KeyError as e:
            e.add_note(f"while reading {record}")
            raise ValueError(f"{record!r} {answer.body!r} {answer.headers}") from e

    with monkeypatch.context() as patched:
        patched.setattr(connector_hub_hubspot.HubSpot, "read", broken)
        life("sync", "contacts", "--debug")
        life("sync", "contacts", "--debug", "--json")
        life("plan", "contacts")
        assert EMAIL in life("sync", "contacts", "--debug", "--values").output
    life.parrots["sales"].mode, life.parrots["sales"].at = "403", "."
    assert "the vendor says: " in life("sync", "contacts", "--values").output
    life.parrots["sales"].mode = ""
    assert "not understood" in life("dead-letters", "list", "--json", "--values").output


def populate_one(life: Life) -> tuple[str, int]:
    n = len(life.codes)
    fields = {"email": f"{n}{EMAIL}", "lastname": f"{NAME} {n}", "phone": PHONE}
    made = life.vendors["sales"].edit("contacts", {"properties": fields})
    later(life.vendors)
    return str(made["id"]), n


def test_nothing_a_hub_says_or_keeps_holds_a_secret_or_a_person(
    life: Life, log: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_self: Any, _seconds: float) -> None:
        """Time does not matter here."""

    monkeypatch.setattr("connector_hub.adapters.clock.SystemClock.sleep", at_once)
    logging.getLogger("tests").debug("the log is live")
    live_through(life)
    bad_days(life, monkeypatch)
    for file in sorted(life.folder.rglob("*")):
        if file.is_file() and file.name not in {"hub.key", "hub.yaml"}:
            life.sinks[f"file {file.name}"] = file.read_bytes()
    life.sinks["log"] = log.text
    life.sinks["webhook"] = b"\n".join(life.hooked)
    life.sinks["mail"] = b"\n".join(life.mailed)
    canaries = life.canaries
    let_out = {
        name: found
        for name, said in life.sinks.items()
        if (found := heard(said, canaries))
    }
    assert let_out == {}
    assert [name for name, said in life.sinks.items() if not said] == []
    secrets = {name: c for name, c in canaries.items() if name not in PEOPLE}
    shown = "\n".join(life.shown)
    assert heard(shown, PEOPLE) == [*PEOPLE]
    assert heard(shown, secrets) == [], "--values shows records, and no secret"
    live = {
        "log": "HTTP Request: POST",
        "webhook": "contacts",
        "mail": "contacts",
        "file hub.db": "SQLite format 3",
        "file plan.html": "•••",
        "file plan.csv": "•••",
        "file report.html": "contacts",
        "runs --json": '"status"',
        "sync contacts --debug": "error[",
        "check --debug --json": '"error"',
        "dead-letters list --json": '"fields"',
        "export --identity email=kanarie+loewe@example.org": "•••",
        next(n for n in life.sinks if n.startswith("undo")): "•••",
        "conflicts show 1": "•••",
    }
    for name, word in live.items():
        said = life.sinks[name]
        assert word in (
            said.decode("utf-8", "replace") if isinstance(said, bytes) else said
        ), name
    assert {*life.codes.values()} >= {0, 2, 3, 4, 5, 7}, (
        "they went as badly as they were meant to"
    )


async def test_no_repr_and_no_error_holds_a_secret_or_a_person(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_self: Any, _seconds: float) -> None:
        """Time does not matter here."""

    monkeypatch.setattr("connector_hub.adapters.clock.SystemClock.sleep", at_once)
    mine, _ = populate(life.vendors)
    found: list[Any] = []
    async with life.open() as hub:
        plan = await hub.plan("contacts")
        found += [
            hub,
            plan,
            *hub.store.windows("contacts", plan.id),
            *hub.changes(plan),
        ]
        found += [
            hub.project,
            hub.project.connections,
            hub.secrets,
            hub.store,
            hub.store.vault,
        ]
        found += [hub.store.staged, hub.kept(plan.id), hub.plans()]
        receipt = await hub.sync("contacts")
        found += [
            receipt,
            hub.conflicts(),
            hub.dead_letters(),
            *hub.store.journal("contacts"),
        ]
        live = await hub.connect("sales")
        found += [
            live,
            live.connector,
            live.connector.config,
            live.client,
            vars(live.connector),
        ]
        found += await hub.why("contact", mine, "email")
        found += [
            hub.erasable([EMAIL]),
            hub._asked([EMAIL], None),
            hub._person(hub._asked([EMAIL], None)),
        ]
        found += [hub._knows(hub._asked([EMAIL], None)).asked]
        want = live.connector.resource("contacts")
        page = await live.connector.read(
            "contacts",
            "changed",
            None,
            hub._spokes(hub.job("contacts"), "left", ())["contacts"].want,
        )
        found += [
            page,
            page.records,
            want,
            Write("update", "t", "k", "1", {"email": EMAIL}),
        ]
        answer = await live.client.send("GET", "/account-info/v3/details")
        found += [answer]
        life.parrots["sales"].mode, life.parrots["sales"].at = "200", "."
        echo = await live.client.send("GET", "/echo")
        assert EMAIL.encode() in echo.body
        found.append(echo)
        for mode in (
            "400",
            "409",
            "401",
            "403",
            "404",
            "429",
            "500",
            "html",
            "redirect",
        ):
            life.parrots["sales"].mode, life.parrots["sales"].at = mode, "."
            with pytest.raises(HubError) as told:
                await live.client.get("/crm/v3/objects/contacts", repeatable=True)
            error: BaseException | None = told.value
            while error is not None:
                found += [error, str(error), error.args]
                error = error.__cause__ or error.__context__
            found.append("".join(traceback.format_exception(told.value)))
    shown = "\n".join(f"{x!r} {x!s}" for x in found)
    let_out = {
        str(type(x)): told
        for x in found
        if (told := heard(f"{x!r} {x!s}", life.canaries))
    }
    assert let_out == {}
    assert "Record(id=" in shown
    assert "Change('create'" in shown
    assert len(shown) > 10_000


def test_every_encoding_of_a_canary_is_heard() -> None:
    one = {"it": NAME}
    raw = NAME.encode()
    for said in (
        f"x {NAME} y",
        NAME.upper(),
        json.dumps({"name": NAME}),
        f"https://x/?n={quote(NAME)}",
        f"https://x/?n={quote(NAME, safe='').lower()}",
        *(base64.b64encode(b"a" * n + raw + b"zz").decode() for n in range(5)),
        raw.hex(),
        repr(raw),
    ):
        assert heard(said, one) == ["it"], said
    assert heard("Loewe Kanarie", one) == []


@pytest.mark.parametrize("before", range(4))
def test_credentials_are_taken_out_of_an_answer_however_they_are_spelled(
    before: int,
) -> None:
    redaction = Redaction()
    redaction.learn([TOKEN, "short"])
    coded = base64.b64encode(b"a" * before + TOKEN.encode() + b"bcd").decode()
    for spelled in (*forms(TOKEN), coded, TOKEN.lower()):
        left = redaction.body(f'{{"x": "{spelled}", "y": 1}}'.encode(), 400).decode()
        assert TOKEN.lower()[:-3] not in left.lower()
        assert '"y": 1' in left
    assert redaction.body(b"short and good", 200) == b"short and good"
    assert redaction.body(b"\xff" + TOKEN.encode(), 500) == b"\xff???"
    assert redaction.headers({"location": f"https://x/?t={quote(TOKEN)}"}) == {
        "location": "https://x/?t=•••"
    }


def test_sentences_of_a_vendor_are_known_and_codes_are_not() -> None:
    body = {"message": f"no contact {EMAIL} is here", "errors": [{"code": "GONE"}]}
    assert quotes(f"no contact {EMAIL} is here", body)
    assert quotes(f"HubSpot says: no contact {EMAIL} is here", body)
    assert quotes(f"contact {EMAIL} is", body)
    assert not quotes("GONE: the record is gone", body)
    assert not quotes("HubSpot does not accept the token", body)


def test_a_refusal_tells_its_code_and_keeps_its_words() -> None:
    refused = Rejected(f"{EMAIL} is no address", reason=EMAIL, fields=("email", EMAIL))
    assert (refused.reason, refused.fields) == ("REJECTED", ("email",))
    assert refused.message == f"{EMAIL} is no address"
    assert str(refused) == "the vendor refuses it: REJECTED (email)"
    assert EMAIL not in repr(refused)


def test_a_record_does_not_tell_its_values() -> None:
    record = Record("1", {"email": EMAIL}, "v")
    assert repr(record) == "Record(id='1', fields=['email'], version='v')"
