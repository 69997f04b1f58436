"""Notices leave by real SMTP and HTTP, to servers on this machine."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hmac
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from connector_hub.adapters.mail import is_address
from connector_hub.adapters.notify import Message, Postman, signed
from connector_hub.errors import (
    AuthError,
    ConfigError,
    HubError,
    Rejected,
    Unavailable,
)
from connector_hub.model.notice import Mail, News, Receiver, Webhook
from connector_hub.testing.clock import VirtualClock

NEWS = (
    News("failed", "people", 1, "Unavailable"),
    News("dead_letters", "people", 3),
)
MESSAGE = Message("acme", "staging", NEWS)


class Secrets:
    """Where references lead."""

    def __init__(self, **known: str) -> None:
        self.known = known

    def read(self, reference: str) -> str:
        name = reference.partition(":")[2]
        if name not in self.known:
            raise ConfigError(f"{name} is not set")
        return self.known[name]


def postman(**known: str) -> Postman:
    return Postman(Secrets(**known), VirtualClock())


@dataclass
class Letterbox:
    """What a mail server was given; ``refuses`` is its answer to a message."""

    port: int = 0
    refuses: str = ""
    came: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server, session, envelope, address, options
    ):
        if address.startswith("nobody"):
            return "550 5.1.1 no such user: " + address
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server, session, envelope
    ):
        if self.refuses:
            return self.refuses
        self.came.append(message_from_bytes(envelope.content, policy=policy.default))
        self.to += envelope.rcpt_tos
        return "250 OK"


def _login(*given: Any) -> AuthResult:
    data: LoginPassword = given[-1]
    good = (data.login, data.password) == (b"hub", b"s3cret")
    return AuthResult(success=good, handled=False)


@asynccontextmanager
async def mail_server(
    *, implicit: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Letterbox]:
    box = Letterbox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(box, loop=loop, hostname="localhost", ident="test", **options),
        "127.0.0.1",
        0,
        ssl=implicit,
    )
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()
        await server.wait_closed()


def mail(box: Letterbox, **more: Any) -> Receiver:
    options = {"tls": "none", **more}
    to = options.pop("to", ("ops@acme.example",))
    return Receiver(
        Mail(to, "Hub <hub@acme.example>", "localhost", box.port, **options)
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def context(certificate: Path) -> ssl.SSLContext:
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(certificate)
    return found


async def test_a_mail_says_what_changed_and_what_to_do() -> None:
    async with mail_server() as box:
        await postman().deliver(
            mail(box, to=("ops@acme.example", "me@acme.example")), MESSAGE
        )
    (came,) = box.came
    assert box.to == ["ops@acme.example", "me@acme.example"]
    assert came["Subject"] == "[acme (staging)] people failed (Unavailable), 1 more"
    assert came["From"] == "Hub <hub@acme.example>"
    assert came["Auto-Submitted"] == "auto-generated"
    assert came["Date"].datetime == VirtualClock().now()
    assert came.get_content().splitlines() == [
        "people failed (Unavailable)",
        "    connector-hub runs",
        "people: 3 dead letters open",
        "    connector-hub dead-letters list --job people",
    ]


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_mail_is_encrypted_and_the_server_known(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, tls: str
) -> None:
    here = context(certificate)
    options: dict[str, Any] = {"implicit": here}
    if tls == "starttls":
        options = {"tls_context": here, "require_starttls": True}
    options |= {"authenticator": _login, "auth_require_tls": tls == "starttls"}
    async with mail_server(**options) as box:
        receiver = mail(box, tls=tls, user="hub", password="env:PASS")
        with pytest.raises(Unavailable, match="cannot be spoken to"):
            await postman(PASS="s3cret").deliver(receiver, MESSAGE)
        assert not box.came, "nothing is said to a server nobody vouches for"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await postman(PASS="s3cret").deliver(receiver, MESSAGE)
        assert len(box.came) == 1
        with pytest.raises(AuthError) as raised:
            await postman(PASS="wrong").deliver(receiver, MESSAGE)
        assert "wrong" not in str(raised.value)
        with pytest.raises(ConfigError, match="PASS is not set"):
            await postman().deliver(receiver, MESSAGE)


async def test_a_server_without_encryption_gets_no_password() -> None:
    async with mail_server(authenticator=_login, auth_require_tls=False) as box:
        receiver = mail(box, tls="starttls", user="hub", password="env:PASS")
        with pytest.raises(Unavailable):
            await postman(PASS="s3cret").deliver(receiver, MESSAGE)
    assert not box.came


async def test_a_mail_that_is_refused_tells_the_code_alone() -> None:
    async with mail_server() as box:
        box.refuses = "554 5.7.1 ops@acme.example is on our list"
        for receiver, code in (
            (mail(box), 554),
            (mail(box, to=("nobody@acme.example",)), 550),
        ):
            with pytest.raises(Rejected) as raised:
                await postman().deliver(receiver, MESSAGE)
            assert f"code {code}" in raised.value.message
            assert "acme.example" not in raised.value.message


async def test_a_mail_server_that_is_not_there_is_told() -> None:
    async with mail_server() as box:
        pass
    with pytest.raises(Unavailable):
        await postman().deliver(mail(box), MESSAGE)


def test_addresses_are_told_from_what_is_none() -> None:
    assert is_address("ops@acme.example")
    assert is_address("Hub of Acme <hub@acme.example>")
    for text in (
        "ops",
        "@x",
        "a@",
        "a b@x.org",
        "a@x.org, b@x.org",
        "a@x.org\nBcc: b@x.org",
        "",
    ):
        assert not is_address(text), text


Hook = tuple[str, dict[str, str], bytes]


@asynccontextmanager
async def web_server(answer: bytes, came: list[Hook]) -> AsyncIterator[str]:
    """A server of one page; its address. An empty answer hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        headers = {n.lower(): v for n, v in (x.split(": ", 1) for x in rest)}
        body = await reader.readexactly(int(headers["content-length"]))
        came.append((first, headers, body))
        writer.write(answer)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/T0/path"
    finally:
        server.close()
        await server.wait_closed()


def status(code: int, more: str = "") -> bytes:
    return f"HTTP/1.1 {code} Said\r\n{more}Content-Length: 0\r\n\r\n".encode()


def hook(url: str, secret: str | None = None) -> Receiver:
    return Receiver(Webhook(url, secret, "127.0.0.1"))


async def test_a_webhook_is_one_signed_post() -> None:
    came: list[Hook] = []
    raw = b"0123456789abcdef"
    secret = "whsec_" + base64.b64encode(raw).decode()
    async with web_server(status(204), came) as url:
        await postman(S=secret, U=url).deliver(hook("env:U", "env:S"), MESSAGE)
    ((first, headers, body),) = came
    assert first == "POST /T0/path HTTP/1.1"
    assert headers["content-type"] == "application/json"
    at = headers["webhook-timestamp"]
    assert int(at) == int(VirtualClock().now().timestamp())
    content = f"{headers['webhook-id']}.{at}.".encode() + body
    code = base64.b64encode(hmac.new(raw, content, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{code}"
    document = orjson.loads(body)
    assert document["type"] == "notice"
    assert document["data"]["project"] == "acme"
    assert document["data"]["profile"] == "staging"
    assert document["data"]["news"][1] == {
        "topic": "dead_letters",
        "subject": "people",
        "count": 3,
        "code": "",
        "text": "people: 3 dead letters open",
        "command": "connector-hub dead-letters list --job people",
    }
    assert "people failed" in document["text"]


def test_a_secret_that_is_plain_text_signs_as_it_is() -> None:
    for secret in ("plain", "whsec_not base64!"):
        headers = signed(secret, b"{}", 7)
        content = f"{headers['webhook-id']}.7.{{}}".encode()
        code = hmac.new(secret.encode(), content, sha256).digest()
        assert headers["webhook-signature"] == "v1," + base64.b64encode(code).decode()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (status(500), Rejected, "status 500"),
        (status(302, "Location: http://127.0.0.1:9/\r\n"), Rejected, "status 302"),
        (b"", Unavailable, "no answer"),
    ],
    ids=["an error", "a redirect", "a hang-up"],
)
async def test_a_webhook_that_is_not_taken_is_told_without_its_path(
    answer: bytes, error: type[HubError], said: str
) -> None:
    came: list[Hook] = []
    async with web_server(answer, came) as url:
        with pytest.raises(error) as raised:
            await postman().deliver(hook(url), MESSAGE)
    assert said in raised.value.message
    assert len(came) == 1
    assert "T0" not in str(raised.value)
    assert "webhook-signature" not in came[0][1]


async def test_a_webhook_behind_a_reference_goes_nowhere_unencrypted() -> None:
    for url in ("http://hooks.acme.example/T0", "T0/secret"):
        with pytest.raises(ConfigError, match="no https://") as raised:
            await postman(U=url).deliver(hook("env:U"), MESSAGE)
        assert "T0" not in str(raised.value)


def test_a_test_says_that_it_is_one() -> None:
    message = Message("acme", None, ())
    assert message.subject == "[acme] a test of connector-hub's notices"
    assert message.document("now")["type"] == "test"
