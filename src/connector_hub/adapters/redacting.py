"""Keeps credentials out of what a vendor sends back: the one sink that every answer goes through.

A vendor may repeat a token in a body, a header or a link. What never reaches a plugin, an error or a dead
letter cannot be told by them.
"""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

MASK = "•••"
_SHORTEST = 6
"""Letters of a secret that is looked for: a shorter one stands in too many words."""
_REFUSED = 300
_SENTENCE = 3
"""Words in a row that a message and an answer share when one repeats the other, unlike a code or a name."""


def forms(secret: str) -> set[str]:
    """How a secret may be spelled: as it is, in base64 wherever it begins there, in a URL, in JSON."""
    raw = secret.encode()
    found = {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    for start in range(3):
        # The letters at both ends hold bits of what stands beside the secret.
        whole = (len(raw) + start) // 3 * 4
        coded = base64.b64encode(b"\0" * start + raw).decode()[:whole]
        inner = coded[-(-start * 8 // 6) :]
        found |= {inner, inner.translate(str.maketrans("+/", "-_"))}
    found |= {json.dumps(secret)[1:-1], json.dumps(secret)[1:-1].replace("/", "\\/")}
    found.add("".join(f"\\u{ord(c):04x}" for c in secret))
    return {f for f in found if len(f) >= _SHORTEST}


class Redaction:
    """Takes a connection's credentials out of answers."""

    def __init__(self) -> None:
        self._forms: set[str] = set()
        self._probes: list[bytes] = []
        """What a page of records is searched for, all of it: so only the usual ways to spell a secret."""
        self._any: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Credentials that are in use from here on."""
        secrets = list(secrets)
        new = {f for s in secrets if len(s) >= _SHORTEST for f in forms(s)}
        if new <= self._forms:
            return
        self._forms |= new
        longest_first = sorted(self._forms, key=len, reverse=True)
        for secret in sorted(secrets, key=len):
            usual = (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])
            for probe in {u.encode() for u in usual if len(secret) >= _SHORTEST}:
                if not any(p in probe for p in self._probes):
                    self._probes.append(probe)
        self._any = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def text(self, text: str) -> str:
        """A text without them."""
        return self._any.sub(MASK, text) if self._any else text

    def body(self, body: bytes, status: int) -> bytes:
        """An answer's body without them: in a refusal however they are spelled."""
        if status < _REFUSED and not any(p in body for p in self._probes):
            return body
        try:
            return self.text(body.decode()).encode()
        except UnicodeDecodeError:
            return self.text(body.decode("latin-1")).encode("latin-1", "replace")

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """An answer's headers without them."""
        return {name: self.text(value) for name, value in headers.items()}


def quotes(message: str, body: Any) -> bool:
    """Whether a message repeats a sentence of an answer: a vendor's words may hold a record's values."""
    if isinstance(body, dict):
        return any(quotes(message, v) for v in body.values())
    if isinstance(body, list):
        return any(quotes(message, v) for v in body)
    if not isinstance(body, str) or " " not in body.strip():
        return False
    said, words = f" {' '.join(body.split())} ", message.split()
    runs = (words[i : i + _SENTENCE] for i in range(len(words) - _SENTENCE + 1))
    return said.strip() in " ".join(words) or any(
        f" {' '.join(run)} " in said for run in runs
    )


class Hushed(logging.Filter):
    """What httpx and httpcore log without addresses, headers and bodies: these may hold anything."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is logged, and with what.

        Of a request its method, host and outcome are left.
        """
        if record.name != "httpx":
            return record.levelno >= logging.WARNING
        args = record.args if isinstance(record.args, tuple) else ()
        record.args = tuple(_host(a) if "://" in str(a) else a for a in args)
        return True


def _host(address: Any) -> str:
    parts = urlsplit(str(address))
    return f"{parts.scheme}://{parts.hostname or ''}/{MASK}"


def hush() -> None:
    """Let httpx and httpcore log no secret and no value of a record, whatever their level is."""
    names = ("connection", "http11", "http2", "proxy", "socks")
    for name in ("httpx", *(f"httpcore.{n}" for n in names)):
        logger = logging.getLogger(name)
        if not any(isinstance(f, Hushed) for f in logger.filters):
            logger.addFilter(Hushed())
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
