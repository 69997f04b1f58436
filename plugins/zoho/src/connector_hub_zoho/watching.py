"""Notification channels of the sandbox: who is told of what, until when.

Source: https://www.zoho.com/crm/developer/docs/api/v8/notifications/overview.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from connector_hub_zoho.account import Happened, Refused, instant

_LIFE, _LONGEST = timedelta(hours=1), timedelta(weeks=1)
_OPERATIONS = {"create": "insert", "edit": "update", "delete": "delete"}
_TOKEN = 50


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel; what happens after ``until`` it does not tell."""

    number: str
    url: str
    token: str
    events: tuple[str, ...]
    until: datetime

    def tells(self, event: Happened) -> bool:
        """Whether somebody is told of this by it."""
        if event.at > self.until:
            return False
        for name in self.events:
            module, _, what = name.partition(".")
            wanted = _OPERATIONS.get(what)
            if module == event.module and (what == "all" or wanted == event.what):
                return True
        return False


def opened(body: Mapping[str, Any], modules: Iterable[str], now: datetime) -> Channel:
    """A channel as it was asked for: an hour unless said, a week at the most.

    Raises:
        Refused: something is missing, or is none of Zoho's words.
    """
    for name in ("channel_id", "events", "notify_url"):
        if not body.get(name):
            raise Refused(
                400, "MANDATORY_NOT_FOUND", "required field not found", api_name=name
            )
    known = set(modules)
    for event in body["events"]:
        module, _, what = str(event).partition(".")
        if module not in known or what not in {*_OPERATIONS, "all"}:
            raise Refused(400, "INVALID_DATA", "invalid data", api_name="events")
    token = str(body.get("token") or "")
    if len(token) > _TOKEN:
        raise Refused(
            400, "INVALID_DATA", "invalid data", api_name="token", maximum_length=_TOKEN
        )
    return Channel(
        str(body["channel_id"]),
        str(body["notify_url"]),
        token,
        tuple(map(str, body["events"])),
        _until(body, now),
    )


def renewed(channel: Channel, body: Mapping[str, Any], now: datetime) -> Channel:
    """A channel that lives on, with what else was said of it."""
    return replace(
        channel,
        url=str(body.get("notify_url") or channel.url),
        token=str(body.get("token") or channel.token),
        events=tuple(body.get("events") or channel.events),
        until=_until(body, now),
    )


def _until(body: Mapping[str, Any], now: datetime) -> datetime:
    if not body.get("channel_expiry"):
        return now + _LIFE
    until = datetime.fromisoformat(str(body["channel_expiry"]))
    if until.tzinfo is None or until <= now or until > now + _LONGEST:
        raise Refused(400, "INVALID_DATA", "invalid data", api_name="channel_expiry")
    return until


def told(channel: Channel, base: str) -> list[dict[str, Any]]:
    """A channel's events as the API answers them."""
    return [
        {
            "channel_expiry": instant(channel.until),
            "resource_uri": f"{base}/crm/v8/{name.partition('.')[0]}",
            "resource_id": "4150868000000002175",
            "resource_name": name.partition(".")[0],
            "channel_id": channel.number,
            "notification_condition": [],
        }
        for name in channel.events
    ]


def callbacks(
    channel: Channel, events: Sequence[Happened], base: str
) -> list[dict[str, Any]]:
    """What a channel's address is sent: one message for each module and kind of change, with ids only."""
    grouped: dict[tuple[str, str], list[Happened]] = {}
    for event in events:
        if channel.tells(event):
            grouped.setdefault((event.module, event.what), []).append(event)
    return [
        {
            "server_time": int(together[-1].at.timestamp() * 1000),
            "query_params": {},
            "module": module,
            "resource_uri": f"{base}/crm/v8/{module}",
            "ids": list(dict.fromkeys(e.record for e in together)),
            "affected_fields": [{e.record: list(e.fields)} for e in together],
            "operation": what,
            "channel_id": channel.number,
            "token": channel.token,
        }
        for (module, what), together in grouped.items()
    ]
