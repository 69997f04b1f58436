"""``run``, ``pause``, ``resume``: one line a run, a table on a terminal, a clean end."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from connector_hub.cli.board import Board
from connector_hub.errors import (
    AuthError,
    ConfigError,
    GuardTripped,
    Locked,
    Paused,
    Unavailable,
)
from connector_hub.model.plan import Receipt
from connector_hub.model.standing import Standing
from connector_hub.sync.schedule import Event

from .conftest import NOW, job

LATER = NOW + timedelta(minutes=5)
HELD = Standing("connection", "sales", "reconnect", NOW)
FAILING = Standing("connection", "sales", "failing", NOW)
PAUSED = Standing("job", "people", "paused", NOW, "ana", "stock taking")


@pytest.fixture
def run(line) -> Callable[..., Result]:
    """``run`` on a hub where these things happen, then a signal comes."""

    def running(*events: Event, number: int = signal.SIGINT, **more: Any) -> Result:
        async def keep(
            tell: Callable[[Event], None], *, progress: Any, listen: Any
        ) -> None:
            assert listen is None
            progress("reading sales", 3, 10)
            for event in events:
                tell(event)
            os.kill(os.getpid(), number)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError as e:
                e.receipt = more.get("left")  # type: ignore[attr-defined]
                raise

        line.hub.run = keep
        line.hub.jobs = ["people", "firms"]
        line.hub.job = lambda name: replace(job(name), every=300.0)
        return line("run", *more.get("words", ()))

    return running


def lines(result: Result) -> list[str]:
    """The log without its stamps."""
    stamp = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")
    assert all(stamp.match(x) for x in result.stdout.splitlines())
    return [stamp.sub("", x) for x in result.stdout.splitlines()]


def at(when: datetime) -> str:
    return f"{when.astimezone():%H:%M:%S}"


def test_each_run_is_one_line_with_the_time_of_the_next(run):
    done = run(
        Event("started", "people"),
        Event("ended", "people", Receipt("people", 1, read=3, created=2), again=LATER),
    )
    assert done.exit_code == 130
    assert lines(done) == [
        f"people  done  0.0 s   read 3  created 2  updated 0  unchanged 0   next {at(LATER)}"
    ]
    assert "keeping people every 5m, firms every 5m" in done.stderr
    assert "stopped: 1 runs (1 done); 2 created, 0 updated, 0 deleted" in done.stderr


def test_another_day_is_told(run):
    then = NOW + timedelta(days=3)
    done = run(Event("ended", "people", Receipt("people", 1), again=then))
    assert f"next {then.astimezone():%Y-%m-%d %H:%M:%S}" in lines(done)[0]


def test_a_failed_run_says_why_and_when_it_goes_on(run):
    error = GuardTripped(
        "it would create\n  900 records", where="people", hint="see plan"
    )
    left = Receipt("people", 2, "refused")
    done = run(Event("ended", "people", left, error, LATER))
    (told,) = lines(done)
    assert told.startswith("people  refused")
    assert "GuardTripped (people): it would create 900 records" in told
    assert told.endswith(f"goes on {at(LATER)}")
    assert "help: see plan" in done.stderr


def test_a_job_that_another_process_runs_is_told_with_its_pid(run):
    error = Locked("job people is being run by another process (pid 71)")
    done = run(Event("ended", "people", None, error, LATER))
    assert "pid 71" in lines(done)[0]
    assert lines(done)[0].startswith("people  refused")


def test_what_is_held_says_what_mends_it(run):
    done = run(
        Event("held", "people", by=PAUSED),
        Event("freed", "people"),
        Event("ended", "firms", Receipt("firms", 1), AuthError("no"), by=HELD),
    )
    assert "people waits: job people is paused by ana" in done.stderr
    assert "help: connector-hub resume people" in done.stderr
    assert "people goes on" in done.stderr
    assert lines(done)[0].endswith("goes on after: connector-hub connect sales")


def test_a_run_that_was_broken_off_is_told_and_counted(run):
    left = Receipt("people", 7, read=5, created=5)
    done = run(number=signal.SIGTERM, left=left)
    assert done.exit_code == 143
    assert lines(done) == [
        "people  interrupted  0.0 s   read 5  created 5  updated 0  unchanged 0"
    ]
    assert "stopped: 1 runs (1 interrupted); 5 created" in done.stderr


def test_json_is_one_document_a_run(run):
    error = AuthError("no", where="sales")
    done = run(
        Event("started", "people"),
        Event("ended", "people", Receipt("people", 1, read=3), again=LATER),
        Event("ended", "firms", None, error, by=HELD),
        left=Receipt("people", 3, read=1),
        words=("--json",),
    )
    documents = [json.loads(x) for x in done.stdout.splitlines()]
    assert [(d["job"], d["run"], d["status"]) for d in documents] == [
        ("people", 1, "done"),
        ("firms", None, "failed"),
        ("people", 3, "interrupted"),
    ]
    assert documents[1]["error"]["code"] == "AuthError"
    assert "people  done" in done.stderr


def test_a_terminal_shows_a_table_and_the_lines_above_it(run, on_a_terminal):
    on_a_terminal()
    done = run(
        Event("started", "people"),
        Event("ended", "people", Receipt("people", 1, created=2), again=LATER),
        Event("held", "firms", by=HELD),
        Event("started", "people"),
    )
    assert done.exit_code == 130
    assert "NEXT" in done.stderr
    assert "people  done" in done.stderr
    assert "stopped: 1 runs" in done.stderr


def test_a_table_has_a_row_for_each_job():
    jobs = {n: replace(job(n), every=900.0) for n in ("people", "firms", "deals")}
    board = Board(jobs, SimpleNamespace(now=lambda: NOW))
    board.hear(Event("ended", "firms", None, Locked("elsewhere"), LATER))
    board.hear(Event("held", "deals", by=HELD))
    board.hear(Event("started", "people"))
    board.progress("reading sales", 1200, 4000)
    console = Console(width=120)
    with console.capture() as out:
        console.print(board.table())
    shown = [x.split() for x in out.get().splitlines()]
    assert shown[1] == [
        "people",
        "15m",
        "running",
        "reading",
        "sales",
        "1,200",
        "of",
        "4,000",
    ]
    assert shown[2] == ["firms", "15m", "Locked", at(NOW), at(LATER)]
    assert shown[3] == ["deals", "15m", "reconnect"]
    board.hear(Event("freed", "deals"))
    board.hear(Event("ended", "people", Receipt("people", 1), AuthError("no"), by=HELD))
    with console.capture() as out:
        console.print(board.table())
    shown = [x.split() for x in out.get().splitlines()]
    assert shown[1][2] == "reconnect"
    assert shown[3] == ["deals", "15m"]


def test_nothing_to_run_ends_with_its_code(line):
    async def keep(_tell: Any, **_more: Any) -> None:
        raise ConfigError("no job has `every`: there is nothing to run")

    line.hub.run = keep
    line.hub.job = job
    result = line("run")
    assert result.exit_code == 2
    assert "no job has `every`" in result.stderr
    assert line.document("run")["error"]["code"] == "ConfigError"


def test_pause_and_resume_say_what_they_did(line):
    asked: list[Any] = []

    def pause(name: str, *, why: str, who: str) -> Standing:
        asked.append((name, why, who))
        return PAUSED

    line.hub.pause = pause
    line.hub.resume = lambda name: ("job", name, True)
    said = line("pause", "people", "--reason", "stock taking").stdout
    assert said.startswith("job people is paused by ana, since ")
    assert said.endswith(": stock taking\n")
    assert asked[0][:2] == ("people", "stock taking")
    assert asked[0][2]
    assert line.document("pause", "people")["paused"]["name"] == "people"
    assert line("resume", "people").stdout == "job people goes on\n"
    line.hub.resume = lambda name: ("job", name, False)
    assert line("resume", "people").stdout == "job people was not held\n"
    assert line.document("resume", "people") == {
        "resumed": {"what": "job", "name": "people", "held": False}
    }


def test_a_sync_of_all_jobs_passes_a_paused_one_by(line):
    line.hub.jobs = ["firms", "people"]
    line.hub.answers["firms"] = Paused(
        "job firms is paused", hint="connector-hub resume firms"
    )
    result = line("sync")
    assert result.exit_code == 0
    assert "firms: skipped, job firms is paused" in result.stderr
    assert "connector-hub resume firms" in result.stderr
    document = line.document("sync")
    assert document["status"] == "done"
    assert [j["status"] for j in document["jobs"]] == ["paused", "done"]
    assert document["jobs"][0]["error"]["code"] == "Paused"
    named = line("sync", "firms")
    assert named.exit_code == 6
    assert "error[Paused]" in named.stderr


KEPT = """
import asyncio, contextlib, sys
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.model.plan import Receipt
from connector_hub.sync.schedule import Agenda, Keeper
from connector_hub.adapters.clock import SystemClock

class Hub:
    clock = SystemClock()
    def job(self, name): return SimpleNamespace(every=3600.0)
    def jobs_in_order(self): return ["firms", "people"]
    async def run(self, tell, *, progress, listen):
        every = {"firms": 3600.0, "people": 3600.0}
        agenda = Agenda.of(every, {}, self.clock)
        async def none(receipt): return []
        await Keeper(agenda, self.sync, lambda job: None, tell, none).keep()
    async def sync(self, name):
        if name == "firms":
            return Receipt(name, 1, read=2, created=2)
        print("ready", file=sys.stderr, flush=True)
        if STUBBORN:
            import time; time.sleep(60)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as e:
            e.receipt = Receipt(name, 2, read=5, created=5)
            raise

@contextlib.asynccontextmanager
async def opened(project, profile):
    yield Hub()

cli.main(["run", *sys.argv[1:]], obj=Session(opener=opened))
"""


def kept(*signals: int, stubborn: bool = False) -> tuple[int, str, str, float]:
    """A process that is signalled in the middle of its second run."""
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", f"STUBBORN = {stubborn}\n{KEPT}", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        while child.stderr.readline() != "ready\n":
            pass
        began = time.monotonic()
        for number in signals:
            child.send_signal(number)
            time.sleep(0.05)
        out, err = child.communicate(timeout=10)
        return child.returncode, out, err, time.monotonic() - began


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_signal_ends_it_within_two_seconds_and_tells_what_was_done(number, code):
    ended, out, err, seconds = kept(number)
    documents = [json.loads(x) for x in out.splitlines()]
    assert ended == code
    assert seconds < 2
    assert [d["status"] for d in documents] == ["done", "interrupted"]
    assert "stopped: 2 runs (1 done, 1 interrupted); 7 created" in err
    assert "Traceback" not in err


def test_work_that_does_not_end_is_ended_all_the_same():
    ended, _, err, seconds = kept(signal.SIGTERM, stubborn=True)
    assert ended == 143
    assert seconds < 2
    assert "stopped: 1 runs (1 done); 2 created" in err


def test_a_second_signal_ends_at_once():
    ended, _, _, seconds = kept(signal.SIGINT, signal.SIGINT, stubborn=True)
    assert ended == 130
    assert seconds < 1


def test_a_vendor_that_fails_is_waited_for_without_a_word_of_what_to_do(run):
    done = run(
        Event("held", "firms", by=FAILING),
        Event("ended", "people", None, Unavailable("no answer"), by=FAILING),
    )
    assert "firms waits: the vendor of connection sales fails, since" in done.stderr
    assert "help:" not in done.stderr
    assert "goes on when the vendor is back" in done.stderr + done.stdout
