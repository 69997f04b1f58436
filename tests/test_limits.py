"""Accounts whose day is nearly spent: the hub stops at nine tenths, and says when it goes on."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import QuotaSpent, RateLimited
from connector_hub.hub import open_hub
from connector_hub.testing.sandbox import Fault

DAY = 50
USED = DAY * 9 // 10
KEYS = {"hubspot": "", "salesforce": "", "zoho": f", credits: {DAY}"}
RESOURCE = {"hubspot": "contacts", "salesforce": "Contact", "zoho": "Contacts"}


@pytest.fixture(params=list(KEYS))
def sandbox(request: pytest.FixtureRequest) -> Any:
    made = Plugins().sandbox(request.param)(records=3)
    made.credits = made.daily = DAY
    return made


@pytest.fixture
def opened(sandbox: Any, tmp_path: Path) -> Any:
    keys = ", ".join(f'{k}: "{v}"' for k, v in sandbox.connection().items())
    told = f"{{{keys}{KEYS[sandbox.name]}}}"
    (tmp_path / "hub.yaml").write_text(f"connections:\n  org: {told}\n")
    wires = {"org": httpx.ASGITransport(app=sandbox.app)}
    return open_hub(tmp_path, environ=sandbox.env(), transports=wires)


def next_midnight() -> datetime:
    zone = ZoneInfo("Asia/Jakarta")
    day = datetime.now(zone).date() + timedelta(days=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


async def until_refused(connector: Any, resource: str) -> None:
    for _ in range(DAY):
        await connector.describe(resource)


async def test_calls_end_at_nine_tenths_of_the_day(sandbox: Any, opened: Any) -> None:
    async with opened as hub:
        live = await hub.connect("org")
        with pytest.raises(QuotaSpent) as told:
            await until_refused(live.connector, RESOURCE[sandbox.name])
    counted = sum(
        n for route, n in sandbox.calls.items() if not route.endswith("/token")
    )
    assert counted == USED
    assert f"{USED} of {DAY} calls of the day are spent" in told.value.message
    assert told.value.exit_code == 5
    assert told.value.wait is not None
    if sandbox.name == "hubspot":
        assert f"it goes on at {next_midnight():%Y-%m-%d %H:%M} UTC" in told.value.hint
    else:
        assert "it goes on at" in told.value.hint
        assert told.value.wait > 86_000


async def test_a_vendor_that_says_when_is_quoted(sandbox: Any, opened: Any) -> None:
    async with opened as hub:
        live = await hub.connect("org")
        slow = Fault("GET", status=429, headers={"Retry-After": "600"})
        sandbox.faults.append(slow)
        with pytest.raises(RateLimited) as told:
            await live.connector.describe(RESOURCE[sandbox.name])
    assert told.value.wait == 600
    at = datetime.now(UTC) + timedelta(seconds=600)
    assert told.value.hint.startswith(f"run again at {at:%Y-%m-%d}")
