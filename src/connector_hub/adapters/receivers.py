"""The ``notify:`` of hub.yaml: who is told, with every mistake at its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from connector_hub.adapters.config import MailModel, NotifyModel, WebhookModel
from connector_hub.adapters.http import LOOPBACK
from connector_hub.adapters.mail import is_address
from connector_hub.adapters.secrets import is_reference
from connector_hub.adapters.yaml import Key
from connector_hub.model.notice import Mail, Receiver, Webhook

Add = Callable[..., None]
"""Told (where, what is wrong, hint=, secret=)."""
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}


def receivers(models: Sequence[NotifyModel], add: Add) -> tuple[Receiver, ...]:
    """Those that are told; mistakes go to ``add``."""
    found = []
    for i, model in enumerate(models):
        at: Key = ("notify", i)
        way: Mail | Webhook | None = None
        if (model.mail is None) == (model.webhook is None):
            hint = "write `mail: {to, from, smtp}` or `webhook: {url}`"
            add(at, "a receiver is told by mail or by webhook", hint=hint)
        elif model.mail is not None:
            way = _mail((*at, "mail"), model.mail, add)
        elif model.webhook is not None:
            way = _webhook((*at, "webhook"), model.webhook, add)
        if way is not None:
            found.append(Receiver(way, frozenset(model.on)))
    return tuple(found)


def _mail(at: Key, model: MailModel, add: Add) -> Mail:
    to = (model.to,) if isinstance(model.to, str) else tuple(model.to)
    for name, addresses in (("to", to), ("from", (model.from_,))):
        if not addresses or not all(map(is_address, addresses)):
            hint = "write ops@acme.example, one in each item"
            add((*at, name), f"{name} is no mail address", hint=hint)
    host, port = _server((*at, "smtp"), model.smtp, _PORTS[model.tls], add)
    _reference((*at, "password"), model.password, add)
    if (model.user is None) != (model.password is None):
        add(at, "a mail server wants user and password, or neither")
    if model.tls == "none" and model.password is not None and host not in LOOPBACK:
        add(
            (*at, "tls"),
            "the password would be sent without encryption",
            hint="write tls: starttls or tls: implicit",
        )
    return Mail(to, model.from_, host, port, model.user, model.password, model.tls)


def _server(at: Key, text: str, usual: int, add: Add) -> tuple[str, int]:
    """Host and port of ``host:port``; the usual port where there is none."""
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname or "", parts.port or usual
        plain = parts.netloc == text and "@" not in text
    except ValueError:
        host, port, plain = "", usual, False
    if not host or not plain:
        add(at, f"{text!r} is no mail server", hint="write mail.acme.example:587")
    return host, port


def _webhook(at: Key, model: WebhookModel, add: Add) -> Webhook:
    _reference((*at, "secret"), model.secret, add)
    if is_reference(model.url):
        return Webhook(model.url, model.secret, model.url)
    try:
        parts = urlsplit(model.url)
        host = parts.hostname or ""
    except ValueError:
        host = ""
    if not host or (parts.scheme != "https" and host not in LOOPBACK):
        add(
            (*at, "url"),
            "url is no https:// address",
            hint="plain http is for 127.0.0.1 only; a reference may stand here, too",
            secret=True,
        )
    return Webhook(model.url, model.secret, host)


def _reference(at: Key, value: Any, add: Add) -> None:
    if value is not None and not is_reference(value):
        add(
            at,
            f"{at[-1]} is a secret: only a reference may stand here",
            code="secret",
            secret=True,
            hint="write keyring:NAME, env:NAME or file:PATH",
        )
