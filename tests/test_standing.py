"""What is paused or must be reconnected does not run; the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from connector_hub.adapters.locks import job_lock
from connector_hub.errors import AuthError, ConfigError, Locked, Paused
from connector_hub.hub import Hub
from connector_hub.model.conflict import DeadLetter
from connector_hub.sync.schedule import LOOK_AGAIN, Event
from connector_hub.testing.clock import VirtualClock
from connector_hub.testing.sandbox import Fault

from .conftest import Opener, Vendors


def standing(hub: Hub) -> dict[str, str]:
    return {s.name: s.state for s in hub.standings()}


async def until(true: Callable[[], bool]) -> None:
    """Let the others go on until something is so."""
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came to that")


@asynccontextmanager
async def running(hub: Hub) -> AsyncIterator[list[Event]]:
    events: list[Event] = []
    task = asyncio.ensure_future(hub.run(events.append))
    try:
        yield events
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def ended(events: list[Event], job: str, n: int = 1) -> Callable[[], bool]:
    return lambda: sum((e.kind, e.job) == ("ended", job) for e in events) >= n


async def test_a_paused_job_is_refused_until_it_is_resumed(opened: Opener) -> None:
    async with opened() as hub:
        hub.pause("contacts", why="stock taking", who="ana")
        plan = await hub.plan("contacts")
        for refused in (hub.sync("contacts"), hub.apply(plan)):
            with pytest.raises(Paused) as raised:
                await refused
            assert "by ana" in raised.value.message
            assert "stock taking" in raised.value.message
            assert raised.value.hint == "connector-hub resume contacts"
            assert raised.value.exit_code == 6
        assert (await hub.sync("companies")).created == 5
    async with opened() as hub:
        assert standing(hub) == {"contacts": "paused"}
        assert hub.resume("contacts") == ("job", "contacts", True)
        assert hub.resume("contacts") == ("job", "contacts", False)
        assert (await hub.apply(plan)).created == 20


async def test_a_paused_connection_holds_all_its_jobs(opened: Opener) -> None:
    async with opened() as hub:
        hub.pause("billing")
        for job in ("companies", "contacts"):
            with pytest.raises(Paused, match="connection billing"):
                await hub.sync(job)


async def test_a_name_that_is_both_must_be_told_apart(opened: Opener) -> None:
    async with opened() as hub:
        hub.project.jobs["sales"] = hub.project.jobs["contacts"]  # type: ignore[index]
        with pytest.raises(ConfigError, match="is a job and a connection") as raised:
            hub.pause("sales")
        assert raised.value.hint == "write job:sales or connection:sales"
        assert hub.pause("connection:sales").what == "connection"
        assert hub.pause("job:sales").what == "job"
        for nothing in ("slaes", "job:billing", "account:sales"):
            with pytest.raises(ConfigError, match="no job or connection"):
                hub.resume(nothing)


async def test_who_and_why_are_not_in_the_state_in_clear(
    opened: Opener, tmp_path
) -> None:
    async with opened() as hub:
        hub.pause("contacts", why="Ms Ana left us", who="bertram")
    stored = b"".join(p.read_bytes() for p in tmp_path.glob("hub.db*"))
    assert b"Ms Ana" not in stored
    assert b"bertram" not in stored


async def test_refused_credentials_are_remembered_until_the_vendor_answers(
    opened: Opener,
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        environ = hub.secrets._environ
        good, environ["HUBSPOT_TOKEN"] = environ["HUBSPOT_TOKEN"], "pat-wrong"
        hub._live.clear()
        with pytest.raises(AuthError):
            await hub.sync("contacts")
        (lost,) = hub.standings()
        assert (lost.name, lost.state, lost.why) == ("sales", "reconnect", "AuthError")
        with pytest.raises(AuthError):  # a sync tries again, and it is one state still
            await hub.sync("contacts")
        assert hub.standings() == [lost]
        environ["HUBSPOT_TOKEN"] = good
        await hub.sync("contacts")
        assert hub.standings() == []


async def test_credentials_that_are_refused_on_the_way_drop_the_connection(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        vendors["sales"].faults.append(Fault("objects/contacts", status=401))
        with pytest.raises(AuthError):
            await hub.sync("contacts")
        assert standing(hub) == {"sales": "reconnect"}
        assert "sales" not in hub._live
        vendors["sales"].faults.clear()
        await hub.check()
        assert hub.standings() == []


async def test_a_pause_outlives_credentials_that_come_and_go(opened: Opener) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        hub.pause("sales", who="ana")
        environ = hub.secrets._environ
        good, environ["HUBSPOT_TOKEN"] = environ["HUBSPOT_TOKEN"], "pat-wrong"
        hub._live.clear()
        with pytest.raises(AuthError):
            await hub.check()
        assert standing(hub) == {"sales": "paused"}
        environ["HUBSPOT_TOKEN"] = good
        await hub.check()
        assert standing(hub) == {"sales": "paused"}


async def test_secrets_that_were_only_tried_do_not_count(opened: Opener) -> None:
    class Wrong:
        def read(self, _reference: str) -> str:
            return "pat-wrong"

    async with opened() as hub:
        _ = hub.store
        with pytest.raises(AuthError):
            await hub.connect("sales", secrets=Wrong())
        assert hub.standings() == []


async def test_run_waits_for_credentials_and_goes_on_when_they_change(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(every="1m") as hub:
        hub.clock = clock = VirtualClock()
        environ = hub.secrets._environ
        good, environ["HUBSPOT_TOKEN"] = environ["HUBSPOT_TOKEN"], "pat-wrong"
        async with running(hub) as events:
            await until(ended(events, "contacts"))
            assert events[-1].by is not None
            assert events[-1].by.name == "sales"
            asked = vendors["sales"].calls.total()
            await clock.advance(10 * LOOK_AGAIN)
            assert vendors["sales"].calls.total() == asked, "no lock-out by the vendor"
            environ["HUBSPOT_TOKEN"] = good
            await clock.advance(LOOK_AGAIN)
            await until(ended(events, "contacts", 2))
        assert events[-1].receipt is not None
        assert events[-1].receipt.created == 20
        assert hub.standings() == []


async def test_run_in_another_process_knows_what_was_refused(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(every="1m") as hub:
        _ = hub.store
        hub.secrets._environ["HUBSPOT_TOKEN"] = "pat-wrong"
        with pytest.raises(AuthError):
            await hub.sync("contacts")
    asked = vendors["sales"].calls.total()
    async with opened(every="1m") as hub:
        hub.secrets._environ["HUBSPOT_TOKEN"] = "pat-wrong"
        async with running(hub) as events:
            await until(lambda: bool(events))
        assert [e.kind for e in events] == ["held"]
        assert vendors["sales"].calls.total() == asked
    async with opened(every="1m") as hub, running(hub) as events:
        await until(ended(events, "contacts"))
        assert events[-1].error is None


async def test_a_job_that_another_process_runs_is_skipped(
    opened: Opener, tmp_path
) -> None:
    async with opened(every="1m") as hub:
        with job_lock(tmp_path / "hub.db", "contacts"):
            async with running(hub) as events:
                await until(ended(events, "contacts"))
        assert isinstance(events[-1].error, Locked)
        assert hub.runs() == []


async def test_run_counts_the_calls_of_each_run_and_keeps_its_connections(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(every="1m") as hub:
        hub.clock = clock = VirtualClock()
        async with running(hub) as events:
            await until(ended(events, "contacts"))
            live = hub._live["sales"]
            before = vendors["sales"].calls.total()
            await clock.advance(60)
            await until(ended(events, "contacts", 2))
        receipt = events[-1].receipt
        assert hub._live["sales"] is live
        assert receipt is not None
        spent = sum(receipt.calls["sales"].values())
        assert spent == vendors["sales"].calls.total() - before


async def test_nothing_to_run_is_a_mistake(opened: Opener) -> None:
    async with opened() as hub:
        with pytest.raises(ConfigError, match="no job has `every`"):
            await hub.run(lambda _event: None)


async def test_a_plan_does_not_depend_on_how_often_its_job_runs(opened: Opener) -> None:
    async with opened(every="1m") as hub:
        plan = await hub.plan("contacts")
    async with opened(every="7m") as hub:
        assert (await hub.apply(plan)).created == 20


async def test_a_paused_job_edits_no_record_behind_a_dead_letter(
    opened: Opener,
) -> None:
    letter = DeadLetter(1, "contacts", "left", "1", "create", "", (), 1, "", "")
    async with opened() as hub:
        hub.pause("contacts")
        with pytest.raises(Paused):
            await hub.mend(letter, {"city": "Bogor"})
