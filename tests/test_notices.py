"""Who is told of what a run changed: once, without values, and never at the cost of the run."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import cast

import orjson
import pytest

from connector_hub.errors import AuthError, StoreError, Unavailable
from connector_hub.hub import Hub
from connector_hub.model.notice import Receiver
from connector_hub.model.plan import Receipt
from connector_hub.sync.schedule import Event
from connector_hub.testing.clock import VirtualClock
from connector_hub.testing.sandbox import Fault

from .adapters.test_notify import Hook, hook, status, web_server
from .conftest import Opener, Vendors


async def at_once(_seconds: float) -> None:
    """Time does not matter here."""


def receives(hub: Hub, *receivers: Receiver) -> None:
    hub.project = dataclasses.replace(hub.project, notify=receivers)


def said(came: list[Hook]) -> list[list[str]]:
    """The lines of each message."""
    return [
        [n["text"] for n in orjson.loads(body)["data"]["news"]] for _, _, body in came
    ]


async def synced(hub: Hub, job: str = "contacts") -> Receipt:
    """One run, whatever becomes of it, and its notices."""
    try:
        receipt = await hub.sync(job)
    except (Unavailable, AuthError) as e:
        receipt = cast(Receipt, e.receipt)
    assert await hub.notify([receipt]) == []
    return receipt


async def test_each_change_of_state_is_told_once(
    opened: Opener, vendors: Vendors
) -> None:
    came: list[Hook] = []
    async with opened() as hub, web_server(status(200), came) as url:
        hub.clock.sleep = at_once
        receives(hub, hook(url))
        await synced(hub, "companies")
        await synced(hub)
        vendors["billing"].faults.append(Fault("query", status=503))
        await synced(hub)
        await synced(hub)
        vendors["billing"].faults.clear()
        await synced(hub)
        await synced(hub)
    assert said(came) == [
        ["contacts failed (Unavailable)"],
        ["contacts is well again"],
    ]


async def test_refused_credentials_are_told_with_what_they_stopped(
    opened: Opener,
) -> None:
    came: list[Hook] = []
    async with opened() as hub, web_server(status(200), came) as url:
        receives(hub, hook(url))
        environ = hub.secrets._environ
        good, environ["HUBSPOT_TOKEN"] = environ["HUBSPOT_TOKEN"], "pat-wrong"
        await synced(hub)
        environ["HUBSPOT_TOKEN"] = good
        await synced(hub)
    assert [sorted(lines) for lines in said(came)] == [
        ["connection sales must be reconnected", "contacts failed (AuthError)"],
        ["connection sales is back", "contacts is well again"],
    ]


async def test_dead_letters_are_told_without_a_value(
    opened: Opener, vendors: Vendors
) -> None:
    came: list[Hook] = []
    vendors["sales"].edit(
        "contacts", {"properties": {"email": "only@people.example", "firstname": "Ita"}}
    )
    async with opened() as hub, web_server(status(200), came) as url:
        receives(hub, hook(url))
        receipt = await synced(hub)
    assert receipt.dead_letters
    assert len(said(came)) == 1
    assert "dead letter" in said(came)[0][0]
    body = came[0][2]
    for value in (b"only@people", b"Ita", b"people.example"):
        assert value not in body


async def test_who_cannot_be_reached_is_told_later_and_the_run_is_well(
    opened: Opener, vendors: Vendors
) -> None:
    came: list[Hook] = []
    async with opened() as hub:
        hub.clock.sleep = at_once
        async with web_server(status(503), came) as url:
            pass
        lost, good = hook(url), hook(url + "/other")
        receives(hub, lost)
        vendors["billing"].faults.append(Fault("query", status=503))
        receipt = Receipt("contacts", 1, "failed", error={"code": "Unavailable"})
        (line,) = await hub.notify([receipt])
        assert line.startswith("a notice could not be delivered: webhook 127.0.0.1: ")
        ((receiver, why, since),) = hub.untold()
        assert (receiver, why) == (lost, "Unavailable")
        await hub.notify([receipt])
        assert hub.untold()[0][2] == since, "since the first time"
        assert "/T0/path" not in line
        async with web_server(status(200), came) as url:
            good = hook(url)
            receives(hub, good, lost)
            assert len(await hub.notify([receipt])) == 1, "one holds no other up"
            assert [r for r, _, _ in hub.untold()] == [lost]
            assert await hub.notify([]) == []
    assert said(came) == [["contacts failed (Unavailable)"]]


async def test_a_bug_on_the_way_to_a_receiver_fails_no_run(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("ana@people.example")

    receipt = Receipt("contacts", 1, "failed", error={"code": "Unavailable"})
    async with opened() as hub:
        receives(hub, hook("http://127.0.0.1:9"))
        monkeypatch.setattr(hub, "_deliver", broken)
        (line,) = await hub.notify([receipt])
        assert line.endswith("RuntimeError")
        monkeypatch.setattr(hub.store, "told", _full)
        assert await hub.notify([receipt]) == ["no notice was sent: full"]


def _full(_receiver: str) -> None:
    raise StoreError("full")


async def test_a_test_reaches_each_receiver_and_makes_no_state(
    opened: Opener, tmp_path
) -> None:
    came: list[Hook] = []
    async with opened() as hub, web_server(status(200), came) as url:
        bad = hook("http://127.0.0.1:9/T0")
        receives(hub, hook(url), bad)
        assert hub.untold() == []
        (_, good), (_, why) = await hub.try_notify()
        assert (good, why) == ("", "no answer (ConnectError) (127.0.0.1)")
        assert not (tmp_path / "hub.db").exists()
        receipt = Receipt("contacts", 1, "failed", error={"code": "Unavailable"})
        assert len(await hub.notify([receipt])) == 1
        assert [r for r, _, _ in hub.untold()] == [bad]
    assert orjson.loads(came[0][2])["type"] == "test"


async def test_a_test_that_arrives_ends_the_complaint(opened: Opener) -> None:
    receipt = Receipt("contacts", 1, "failed", error={"code": "Unavailable"})
    came: list[Hook] = []
    async with opened() as hub, web_server(status(200), came) as url:
        receiver = hook(url)
        receives(hub, receiver)
        (name,) = hub._receivers()
        hub.store.set_untold(name, "Unavailable", hub.clock.now())
        await hub.try_notify()
        assert hub.untold() == []
        assert await hub.notify([receipt]) == []
    assert len(came) == 2


async def test_a_notice_that_arrives_ends_the_complaint(opened: Opener) -> None:
    came: list[Hook] = []
    receipt = Receipt("contacts", 1, "failed", error={"code": "Unavailable"})
    async with opened() as hub, web_server(status(200), came) as url:
        receives(hub, hook(url))
        (name,) = hub._receivers()
        hub.store.set_untold(name, "Unavailable", hub.clock.now())
        assert await hub.notify([receipt]) == []
        assert hub.untold() == []
    assert len(came) == 1


async def test_run_sends_notices_and_says_who_was_not_reached(opened: Opener) -> None:
    came: list[Hook] = []
    async with opened(every="1m") as hub, web_server(status(200), came) as url:
        hub.clock = VirtualClock()
        hub.secrets._environ["HUBSPOT_TOKEN"] = "pat-wrong"
        receives(hub, hook(url), hook("http://127.0.0.1:9/T0"))
        events: list[Event] = []
        over = asyncio.Event()

        def tell(event: Event) -> None:
            events.append(event)
            if event.kind == "untold":
                over.set()

        task = asyncio.ensure_future(hub.run(tell))
        async with asyncio.timeout(10):
            await over.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [e.kind for e in events] == ["started", "ended", "untold"]
    assert "no answer" in events[-1].said
    assert len(came) == 1
