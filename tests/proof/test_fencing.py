"""A run that stood still while another took its job keeps nothing more and sends nothing more."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connector_hub.errors import Locked, StoreError
from connector_hub.sync import jobs
from connector_hub.testing.sandbox import Fault
from tests.cli.test_bad_input import Bench, asked, bench, calls, served
from tests.conftest import LONG
from tests.luck.accounts import later
from tests.story.conftest import Project

from .desk import Desk, nothing

__all__ = ["bench", "served"]
"""Fixtures."""


def dump(state: Path) -> list[str]:
    """All that a state holds."""
    db = sqlite3.connect(state)
    try:
        return list(db.iterdump())
    finally:
        db.close()


def lose_locks(desk: Desk) -> None:
    """Somebody deletes the files; on a network folder locks may bind nobody at all."""
    for lock in desk.folder.glob("*.lock"):
        lock.unlink()


def lose_state(desk: Desk) -> None:
    """Somebody begins anew, or restores a backup, beneath a run."""
    for file in desk.folder.glob("hub.db*"):
        file.unlink()


class Standstill:
    """A run stops at one of its calls; another run of the same jobs comes and goes before it wakes up.

    Args:
        desk: the project.
        at: which call to a vendor.
        heard: whether the vendor has carried it out by then; else it arrives late.
        lose: how the lock is lost meanwhile.
    """

    def __init__(
        self, desk: Desk, at: int, *, heard: bool, lose: Callable[[Desk], None]
    ) -> None:
        self.desk, self._at, self._lose = desk, at, lose
        self.state: list[str] | None = None
        """What the other run has left; None where the run was through before its call came."""
        if heard:
            desk.after = self._stop
        else:
            desk.before = self._stop

    async def _stop(self, _: str) -> None:
        self._at -= 1
        if self._at == -1:
            self._lose(self.desk)
            await Desk(self.desk.folder, self.desk.direction, self.desk.vendors).sync()
            self.state = dump(self.desk.state)
            self.desk.calls.clear()
            self.desk.watched = False

    async def wake_up(self) -> BaseException | None:
        """Run; how it ended. It has kept nothing of what it did after the other had come."""
        ended: BaseException | None = None
        try:
            await self.desk.sync()
        except (Locked, StoreError) as e:
            ended = e
        self.desk.before = self.desk.after = nothing
        if self.state is not None:
            assert dump(self.desk.state) == self.state
        return ended


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("direction", ["both", "left-to-right"] if LONG else ["both"])
async def test_a_run_whose_lock_was_lost_keeps_and_sends_nothing_when_it_wakes_up(
    tmp_path: Path, direction: str, *, heard: bool
) -> None:
    at, fenced = 0, 0
    while True:
        desk = Desk(tmp_path / str(at), direction)
        desk.fill(2)
        still = Standstill(desk, at, heard=heard, lose=lose_locks)
        ended = await still.wake_up()
        if still.state is None:
            break
        assert isinstance(ended, Locked)
        assert ended.exit_code == 6
        assert "taken over by another run" in ended.message
        # The call that was on its way arrives; no other does.
        assert len(desk.calls) == (0 if heard else 1)
        fenced += 1
        await desk.comes_to_rest()
        at += 1 if LONG else 6
    assert fenced > 1


@pytest.mark.parametrize("at", range(30) if LONG else (3, 8))
async def test_a_run_whose_state_was_replaced_touches_neither_the_old_nor_the_new(
    tmp_path: Path, at: int
) -> None:
    desk = Desk(tmp_path / "desk")
    desk.fill(2)
    still = Standstill(desk, at, heard=True, lose=lose_state)
    ended = await still.wake_up()
    if still.state is not None:
        assert isinstance(ended, StoreError)
        assert (ended.exit_code, "replaced" in ended.message) == (8, True)
        assert not desk.calls
        await desk.comes_to_rest()


async def test_a_refused_write_is_not_tried_again_once_the_job_is_anothers(
    tmp_path: Path,
) -> None:
    """The second attempt is made deep in the HTTP client, after the wait that the vendor asked for."""
    desk = Desk(tmp_path / "desk")
    desk.fill(2)
    busy = Fault("/sobjects/Contact/", 429, times=1, headers={"Retry-After": "1"})
    desk.vendors["billing"].faults.append(busy)

    async def take(_: str) -> None:
        if not busy.times and desk.watched:
            desk.watched = False
            lose_locks(desk)
            await Desk(desk.folder, desk.direction, desk.vendors).sync()
            desk.calls.clear()

    desk.after = take
    with pytest.raises(Locked):
        await desk.sync()
    assert not desk.calls
    await desk.comes_to_rest()


async def test_a_connector_that_speaks_no_http_is_asked_for_nothing_more_either() -> (
    None
):
    project = Project()
    first = project.left.person(email="1@x.org", name="One")
    await project.sync()
    project.left.person(first, name="Uno")
    project.left.person(email="2@x.org", name="Two")
    run, fair = project.run(), project.right.meet
    calls: list[str] = []

    def meet(call: str) -> object:
        calls.append(call)
        if call.startswith("write"):
            project.store.begin_run("people", "sync", project.clock.now())
        return fair(call)

    project.right.meet = meet
    with project.store.fenced(run.number), pytest.raises(Locked):
        await jobs.sync(run)
    assert sum(c.startswith("write") for c in calls) == 1


def stopped_while_it_writes(bench: Bench) -> subprocess.Popen[str]:
    """A sync that stands still as its first contacts are on their way."""
    bench.writes = True
    assert bench("sync", "companies").code == 0
    slow = {"route": "/sobjects/Contact/", "latency_ms": 400, "times": 1}
    asked(bench.urls[1], "faults", slow)
    first = bench.start("sync", "contacts")
    end = time.monotonic() + 60
    while not any("/sobjects/Contact/" in r for r in calls(bench.urls[1])):
        assert time.monotonic() < end
        time.sleep(0.02)
    os.kill(first.pid, signal.SIGSTOP)
    return first


def all_are_there_once(bench: Bench) -> None:
    contacts = [r["Email"] for r in asked(bench.urls[1], "records/Contact")]
    assert len(contacts) == len(set(contacts)) == 30


def test_a_process_that_was_stopped_holds_its_job_and_goes_on_when_it_is_woken(
    bench: Bench,
) -> None:
    first = stopped_while_it_writes(bench)
    second = bench("sync", "contacts")
    second.ends(6, f"run by another process (pid {first.pid})")
    os.kill(first.pid, signal.SIGCONT)
    assert bench.ended(first).code == 0
    all_are_there_once(bench)


def test_a_process_that_was_stopped_and_lost_its_lock_writes_nothing_more(
    bench: Bench,
) -> None:
    first = stopped_while_it_writes(bench)
    (bench.folder / "hub.db.contacts.lock").unlink()
    assert bench("sync", "contacts").code == 0
    all_are_there_once(bench)
    before, arrived = dump(bench.state), [calls(u) for u in bench.urls]
    os.kill(first.pid, signal.SIGCONT)
    bench.ended(first).ends(6, "was taken over by another run", "connector-hub runs")
    assert dump(bench.state) == before
    assert [calls(u) for u in bench.urls] == arrived
    all_are_there_once(bench)


async def test_whatever_a_run_keeps_is_kept_where_the_fence_is_looked_at(
    tmp_path: Path,
) -> None:
    """No statement that changes the state stands outside a transaction, which begins with that look."""
    desk = Desk(tmp_path / "desk")
    desk.fill()
    loose: list[str] = []
    inside, written = False, 0

    def heard(statement: str) -> None:
        nonlocal inside, written
        word = statement.split(maxsplit=1)[0].lower()
        if word in {"begin", "commit", "rollback"}:
            inside = word == "begin"
        elif word in {"insert", "update", "delete", "replace"}:
            written += 1
            if not inside:
                loose.append(statement)

    for mark in ("one", "two"):
        later(desk.vendors)
        async with desk.opened() as hub:
            hub.store._db.set_trace_callback(heard)
            for job in hub.jobs_in_order():
                await hub.sync(job)
        desk.edit(mark)
    assert written > 50
    assert loose == []
