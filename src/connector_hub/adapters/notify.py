"""Delivers notices: by mail, or as a signed webhook."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import orjson

from connector_hub.adapters import mail
from connector_hub.adapters.http import post
from connector_hub.adapters.secrets import is_reference
from connector_hub.errors import Rejected
from connector_hub.model.notice import Mail, News, Receiver, Webhook
from connector_hub.ports import Clock, Secrets

SECONDS = 10.0
"""A receiver that takes longer is not waited for."""
_RAW_KEY = "whsec_"
_GOOD = range(200, 300)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: news of a project, or a test."""

    project: str
    profile: str | None
    news: Sequence[News]

    @property
    def subject(self) -> str:
        """The first thing, and how many more there are."""
        name = f"{self.project} ({self.profile})" if self.profile else self.project
        if not self.news:
            return f"[{name}] a test of connector-hub's notices"
        more = f", {len(self.news) - 1} more" if len(self.news) > 1 else ""
        return f"[{name}] {self.news[0].text()}{more}"

    @property
    def text(self) -> str:
        """For people, a command under what is to do."""
        if not self.news:
            return "This is a test: notices of this project arrive here.\n"
        told = []
        for n in self.news:
            told.append(n.text())
            if n.command():
                told.append(f"    {n.command()}")
        return "\n".join(told) + "\n"

    def document(self, at: str) -> Mapping[str, Any]:
        """For programs."""
        return {
            "type": "notice" if self.news else "test",
            "timestamp": at,
            "text": f"{self.subject}\n{self.text}",
            "data": {
                "project": self.project,
                "profile": self.profile,
                "news": [n.document() for n in self.news],
            },
        }


@dataclass(frozen=True, slots=True)
class Postman:
    """Delivers messages; ``secrets`` is where references lead."""

    secrets: Secrets
    clock: Clock

    async def deliver(self, receiver: Receiver, message: Message) -> None:
        """One message to one receiver, once.

        Raises:
            HubError: it was not taken.
        """
        if isinstance(receiver.way, Mail):
            await self._mail(receiver.way, message)
        else:
            await self._post(receiver.way, message)

    async def _mail(self, way: Mail, message: Message) -> None:
        password = self.secrets.read(way.password) if way.password else None
        await mail.send(
            way,
            message.subject,
            message.text,
            password=password,
            now=self.clock.now(),
            seconds=SECONDS,
        )

    async def _post(self, way: Webhook, message: Message) -> None:
        now = self.clock.now()
        url = self.secrets.read(way.url) if is_reference(way.url) else way.url
        body = orjson.dumps(message.document(now.isoformat()))
        headers = {"Content-Type": "application/json"}
        if way.secret:
            headers |= signed(self.secrets.read(way.secret), body, int(now.timestamp()))
        status = await post(url, body, headers, seconds=SECONDS)
        if status not in _GOOD:
            raise Rejected(
                f"the webhook answers with status {status}",
                reason=f"HTTP {status}",
                where=urlsplit(url).hostname or "",
            )


def signed(secret: str, body: bytes, at: int) -> dict[str, str]:
    """The headers of a Standard Webhooks message (standardwebhooks.com): HMAC-SHA256 over id, time, body."""
    number = f"msg_{uuid.uuid4().hex}"
    content = f"{number}.{at}.".encode() + body
    code = hmac.new(_key(secret), content, sha256).digest()
    return {
        "webhook-id": number,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(code).decode()}",
    }


def _key(secret: str) -> bytes:
    """A secret's bytes: base64 after ``whsec_``, else the text itself."""
    if secret.startswith(_RAW_KEY):
        try:
            return base64.b64decode(secret.removeprefix(_RAW_KEY), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
