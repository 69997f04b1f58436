"""Webhooks, version 3 (https://developers.hubspot.com/docs/api-reference/webhooks-webhooks-v3/guide)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from connector_hub.testing.sandbox import SandboxClock
from connector_hub_hubspot.kinds import KINDS

_BATCH = 100
_ESCAPED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
"""The escapes of an address that are undone before it is signed."""

Deliver = Callable[[str, bytes, Mapping[str, str]], Awaitable[int]]


class Events:
    """What has happened in an account, for those who have signed up for it."""

    def __init__(self, clock: SandboxClock, secret: str, portal: int) -> None:
        self._clock = clock
        self._secret = secret
        self._portal = portal
        self._waiting: list[dict[str, Any]] | None = None
        self._happened = 0

    @property
    def asked(self) -> bool:
        """Whether anybody has asked to be told."""
        return self._waiting is not None

    def happened(self, of: str, what: str, **about: Any) -> None:
        """Note an event, where somebody has asked to be told of such."""
        if self._waiting is None:
            return
        self._happened += 1
        event = {
            "eventId": self._happened,
            "subscriptionId": 1_000,
            "portalId": self._portal,
            "appId": 54_321,
            "occurredAt": int(self._clock.time() * 1000),
            "attemptNumber": 0,
            "changeSource": "CRM_UI",
            **about,
        }
        kind = KINDS.get(of)
        if kind is None or of in _BY_TYPE:
            event["objectTypeId"] = kind.id if kind else of
            event["subscriptionType"] = f"object.{what}"
        else:
            event["subscriptionType"] = f"{kind.singular}.{what}"
        self._waiting.append(event)

    async def sent(
        self,
        url: str,
        deliver: Deliver,
        shuffle: random.Random | None = None,
        *,
        double: bool = False,
    ) -> list[int]:
        """Tell an address what has happened since the last time; the statuses it answered with.

        Up to 100 events a message. What is not taken is sent again the next time.
        """
        waiting, self._waiting = self._waiting or [], []
        if shuffle:
            shuffle.shuffle(waiting)
        batches = [waiting[i : i + _BATCH] for i in range(0, len(waiting), _BATCH)]
        statuses = []
        for batch in batches * (2 if double else 1):
            status = await deliver(url, *self.signed(batch, url))
            statuses.append(status)
            if not 200 <= status < 300:  # noqa: PLR2004
                for event in batch:
                    event["attemptNumber"] += 1
                self._waiting += [e for e in batch if e not in self._waiting]
        return statuses

    def signed(
        self, batch: list[dict[str, Any]], url: str
    ) -> tuple[bytes, dict[str, str]]:
        """A message and its headers, signed by the app's secret in the first version and in the third."""
        body, stamp = orjson.dumps(batch), str(int(self._clock.time() * 1000))
        text = f"POST{_ESCAPED.sub(_unescaped, url)}".encode() + body + stamp.encode()
        mac = hmac.new(self._secret.encode(), text, hashlib.sha256).digest()
        return body, {
            "Content-Type": "application/json",
            "X-HubSpot-Signature": signature_v1(self._secret, body),
            "X-HubSpot-Signature-Version": "v1",
            "X-HubSpot-Signature-v3": base64.b64encode(mac).decode(),
            "X-HubSpot-Request-Timestamp": stamp,
        }


def signature_v1(secret: str, body: bytes) -> str:
    """The first version, which webhooks still have besides the third."""
    return hashlib.sha256(secret.encode() + body).hexdigest()


def signature_v2(secret: str, method: str, url: str, body: bytes) -> str:
    """The second version, of calls that workflows and cards make."""
    text = f"{secret}{method}{url}".encode() + body
    return hashlib.sha256(text).hexdigest()


_BY_TYPE = {"tasks", "orders", "leads"}
"""Objects that webhooks have no word for: their events are those of ``object``."""


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match.group(1), 16))
