"""A proxy that ends TLS with a throw-away authority and brings every vendor's host to one sandbox.

A client whose addresses are fixed is sent here by ``HTTPS_PROXY`` and told to trust the authority.
Hosts that are not the vendor's are refused, and kept: nothing a client asks of others gets out.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_HOP = {"connection", "transfer-encoding", "keep-alive", "proxy-connection", "host"}

_CERTIFI = """\
def where():
    return {0!r}


def contents():
    return open({0!r}).read()
"""


class Authority:
    """Signs certificates for any host, for as long as a test lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("a test's authority")
        self._made: dict[str, ssl.SSLContext] = {}
        self._one = threading.Lock()
        self.bundle = folder / "authority.pem"
        made = (
            self._begun(self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.bundle.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def context(self, host: str) -> ssl.SSLContext:
        """What a server of that host speaks TLS with."""
        with self._one:
            if host not in self._made:
                self._made[host] = self._context(host)
            return self._made[host]

    def _context(self, host: str) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        made = (
            self._begun(_named(host[:60]), key)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        at = self._folder / f"{host}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        at.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(at)
        return context

    def _begun(
        self, name: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=2))
        )


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass(slots=True)
class Proxy:
    """What a client needs to be brought to the sandbox, and where it wanted to go."""

    url: str
    bundle: Path
    hosts: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def variables(self) -> dict[str, str]:
        """The client's environment; the sandbox's own address needs no proxy.

        Not all of them look at the variables for authorities: what certifi says they all believe.
        """
        certifi = self.bundle.parent / "path" / "certifi"
        certifi.mkdir(parents=True, exist_ok=True)
        (certifi / "__init__.py").write_text(_CERTIFI.format(str(self.bundle)))
        return {
            "HTTPS_PROXY": self.url,
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(self.bundle),
            "SSL_CERT_FILE": str(self.bundle),
            "PYTHONPATH": str(certifi.parent),
        }


@contextmanager
def proxying(sandbox: str, folder: Path, *domains: str) -> Iterator[Proxy]:
    """Serve a proxy in a thread.

    Args:
        sandbox: the address everything goes to.
        folder: for certificates.
        domains: the vendor's: ``hubapi.com``.
    """
    authority = Authority(folder)

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy = Proxy(f"http://127.0.0.1:{server.server_port}", authority.bundle)
    Handler.authority, Handler.proxy = authority, proxy
    Handler.target, Handler.domains = urlsplit(sandbox).netloc, domains
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """A connection: CONNECT first, then requests as they come."""

    protocol_version = "HTTP/1.1"
    authority: Authority
    proxy: Proxy
    target: str
    domains: tuple[str, ...]
    host = ""

    def do_CONNECT(self) -> None:
        host = self.path.partition(":")[0]
        if not any(f".{host}".endswith(f".{d}") for d in self.domains):
            self.proxy.refused.add(host)
            self.send_error(403, "not the vendor's host")
            self.close_connection = True
            return
        self.proxy.hosts.add(host)
        self.send_response_only(200, "Connection established")
        self.end_headers()
        context = self.authority.context(host)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = self.connection.makefile("wb", buffering=0)
        self.host = host
        self.close_connection = False

    def _pass_on(self) -> None:
        if not self.host:
            self.send_error(400, "only CONNECT is proxied")
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        sent = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
        sent |= {"Host": self.target, "X-Original-Host": self.host}
        onward = HTTPConnection(self.target, timeout=60)
        try:
            onward.request(self.command, self.path, body or None, sent)
            answered = onward.getresponse()
            content = answered.read()
        finally:
            onward.close()
        self.send_response_only(answered.status, answered.reason)
        for name, value in answered.getheaders():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on  # noqa: N815

    def finish(self) -> None:
        """Close what TLS was spoken over: the server knows only the socket from before."""
        super().finish()
        self.connection.close()

    def log_message(self, *words: object) -> None:
        """Nothing is logged."""
