"""Values have their time, and then they are gone from the file; what history needs stays."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector_hub.adapters.locks import job_lock
from connector_hub.sync.run import Options

from .accounts import contact, edit_left, edit_right, later, rows
from .crash import Killed, Mine, Wire
from .test_erasing import files


@pytest.fixture
def people() -> int:
    return 3


class Days:
    """A clock that goes by days."""

    def __init__(self) -> None:
        self.past = timedelta()

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC) + self.past

    def monotonic(self) -> float:
        return self.past.total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.past += timedelta(seconds=seconds)


def sealed(folder: Path, table: str, column: str = "payload") -> set[bytes]:
    """What lies sealed in a column."""
    with sqlite3.connect(folder / "hub.db") as db:
        rows = db.execute(
            f"select {column} from {table} where {column} notnull"  # noqa: S608 - a test's own names
        ).fetchall()
    db.close()
    return {bytes(b) for (b,) in rows}


def left_in(folder: Path, blobs: set[bytes]) -> int:
    """How many of these are anywhere in the bytes of the state's files."""
    raw = files(folder)
    return sum(b in raw for b in blobs)


async def test_windows_of_a_plan_go_after_a_day_though_its_job_does_not_run(
    opened, tmp_path
):
    clock = Days()
    async with opened() as hub:
        hub.clock = clock
        plan = await hub.plan("contacts")
        kept = sealed(tmp_path, "window") | sealed(tmp_path, "plan", "needs")
        assert len(kept) == 2
        clock.past = timedelta(hours=23)
        await hub.plan("companies")
        assert kept <= sealed(tmp_path, "window") | sealed(tmp_path, "plan", "needs")
        clock.past = timedelta(hours=25)
        await hub.sync("companies")
    assert left_in(tmp_path, kept) == 0
    async with opened() as hub:
        hub.clock = clock
        assert hub.kept(plan.id).state == "expired"
        assert hub.kept(plan.id).plan.count("create") == 3, (
            "that it was made, history needs"
        )


async def test_what_another_process_is_at_work_on_is_left_to_it(opened, tmp_path):
    clock = Days()
    async with opened() as hub:
        hub.clock = clock
        await hub.plan("contacts")
        kept = sealed(tmp_path, "window")
        clock.past = timedelta(days=2)
        with job_lock(tmp_path / "hub.db", "contacts"):
            await hub.sync("companies")
            assert sealed(tmp_path, "window") == kept
        await hub.sync("companies")
        assert sealed(tmp_path, "window") == set()


async def test_before_images_go_after_thirty_days(opened, tmp_path):
    clock = Days()
    async with opened() as hub:
        hub.clock = clock
        run = (await hub.sync("contacts")).run
        kept = sealed(tmp_path, "journal")
        assert kept
        clock.past = timedelta(days=29)
        await hub.sync("companies")
        kept_on = sealed(tmp_path, "journal")
        assert kept <= kept_on
        clock.past = timedelta(days=31)
        await hub.sync("companies")
        assert run in [r["run"] for r in hub.runs()], (
            "what a run did stays for a quarter"
        )
    assert left_in(tmp_path, kept) == 0


async def test_a_vendors_message_goes_after_thirty_days_and_its_letter_stays(
    vendors, opened, tmp_path
):
    clock = Days()
    record = contact(vendors, 1, lastname="x" * 90)
    async with opened() as hub:
        hub.clock = clock
        await hub.sync("contacts")
        (letter,) = hub.dead_letters()
        assert letter.message
        kept = sealed(tmp_path, "dead_letter")
        clock.past = timedelta(days=29)
        await hub.sync("companies")
        assert hub.dead_letters() == [letter]
        clock.past = timedelta(days=31)
        await hub.sync("companies")
        (after,) = hub.dead_letters()
        assert (after.id, after.record, after.reason, after.message) == (
            letter.id,
            record,
            letter.reason,
            "",
        )
        later(vendors)
        edit_left(vendors, record, lastname="Short")
        later(vendors)
        assert (await hub.sync("contacts")).created == 1
        assert hub.dead_letters() == []
    assert left_in(tmp_path, kept) == 0


async def test_a_conflict_goes_a_quarter_after_it_was_closed(vendors, opened, tmp_path):
    clock = Days()
    record = contact(vendors, 1)
    async with opened("both", conflicts='{"*": ask}') as hub:
        hub.clock = clock
        await hub.sync("contacts")
        there = next(r["Id"] for r in rows(vendors) if r["Email"] == "p1@x.org")
        later(vendors)
        edit_left(vendors, record, jobtitle="A")
        edit_right(vendors, there, Title="B")
        later(vendors)
        await hub.sync("contacts")
        (conflict,) = hub.conflicts()
        hub.resolve(conflict, "left")
        await hub.sync("contacts")
        assert hub.conflicts() == []
        kept = sealed(tmp_path, "conflict")
        clock.past = timedelta(days=89)
        await hub.sync("companies")
        assert sealed(tmp_path, "conflict") == kept
        clock.past = timedelta(days=91)
        await hub.sync("companies")
        assert sealed(tmp_path, "conflict") == set()
    assert left_in(tmp_path, kept) == 0


async def died_writing(vendors: Any, opened: Any, clock: Days, *, after: bool) -> None:
    """A sync whose process dies at its create, before or after the vendor heard of it."""
    async with opened() as hub:
        hub.clock = clock
        await hub.sync("companies")
        await hub.connect("sales")
        await hub.connect("billing")
        mine = Mine(0, after=after)
        wire = Wire(vendors["billing"].app, mine)
        real = hub._live["billing"].client._client

        async def send(request, **more):
            if request.method == "POST" and "composite/sobjects" in request.url.path:
                answer = await wire.handle_async_request(request)
                assert after
                return answer
            return await type(real).send(real, request, **more)

        real.send = send
        store = hub.store
        with pytest.raises(Killed):
            await hub.sync("contacts")
        assert store.open_windows("contacts")


@pytest.mark.parametrize("after", [False, True])
async def test_values_of_unsettled_writes_go_after_a_week_and_nobody_is_there_twice(
    vendors, opened, tmp_path, after
):
    clock = Days()
    await died_writing(vendors, opened, clock, after=after)
    kept = sealed(tmp_path, "window")
    assert kept
    async with opened() as hub:
        hub.clock = clock
        clock.past = timedelta(days=6)
        await hub.sync("companies")
        assert sealed(tmp_path, "window") == kept
        clock.past = timedelta(days=8)
        await hub.sync("companies")
        ((_, _, changes),) = hub.store.open_windows("contacts")
        assert all(c.is_stripped for c in changes)
        assert {c.record for c in changes} == {
            r["id"] for r in vendors["sales"].live("contacts")
        }
        assert left_in(tmp_path, kept) == 0
        clock.past = timedelta(days=9)
        later(vendors)
        for _ in range(2):
            await hub.sync("contacts")
        emails = sorted(r["Email"] for r in rows(vendors))
        assert len(emails) == len(set(emails)) == 3
        assert hub.store.open_windows("contacts") == []
        receipt = await hub.sync("contacts", options=Options(full=True))
        assert receipt.writes == {"billing": 0}
        assert len(list(hub.links("contacts"))) == 3


async def test_what_nothing_has_forgotten_is_told_and_can_be_forgotten(
    vendors, opened, tmp_path
):
    clock = Days()
    contact(vendors, 1, lastname="x" * 90)
    async with opened() as hub:
        hub.clock = clock
        await hub.sync("contacts")
        await hub.plan("contacts")
        assert hub.unforgotten() == {}
        clock.past = timedelta(hours=36)
        assert hub.unforgotten() == {}, "runs come late by a day"
        clock.past = timedelta(days=32)
        told = hub.unforgotten()
        assert told == {
            "windows of plans": 1,
            "before-images": 1,
            "messages": 1,
            "plans": 1,
        }
        found, clean = hub.forget_due()
        assert clean
        assert found.keys() >= told.keys()
        assert hub.unforgotten() == {}
        assert sealed(tmp_path, "window") == set()
        assert sealed(tmp_path, "journal") == set()
        assert len(hub.dead_letters()) == 1
