"""Ctrl-C: the run tells what was done, and ends within two seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import pytest

SLOW = """
import asyncio, contextlib, sys
from types import SimpleNamespace
from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.model.plan import Receipt

class Hub:
    def job(self, name): return SimpleNamespace(name=name)
    def jobs_in_order(self): return ["firms", "people"]
    async def notify(self, receipts):
        print("notices", file=sys.stderr, flush=True)
        return []
    async def sync(self, name, **more):
        if name == "firms":
            return Receipt(name, 1, read=2, created=2)
        print("ready", file=sys.stderr, flush=True)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError as e:
            if STUBBORN:
                import time; time.sleep(60)
            if FAILING:
                from connector_hub.errors import Unavailable
                raise Unavailable("gone") from e
            e.receipt = Receipt(name, 2, "interrupted", read=5, created=5)
            raise

    async def plan(self, name, **more):
        print("ready", file=sys.stderr, flush=True)
        await asyncio.sleep(60)

@contextlib.asynccontextmanager
async def opened(project, profile):
    yield Hub()

cli.main(sys.argv[1:], obj=Session(opener=opened))
"""


class Child:
    """A slow sync in a process of its own, ready to be interrupted."""

    def __init__(
        self,
        *words: str,
        stubborn: bool = False,
        failing: bool = False,
        command: str = "sync",
    ):
        code = f"STUBBORN, FAILING = {stubborn}, {failing}\n" + SLOW
        self.process = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-c", code, command, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while self.process.stderr.readline() != "ready\n":
            pass

    def end(self, *signals: int) -> tuple[int, str, str, float]:
        began = time.monotonic()
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.05)
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err, time.monotonic() - began


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_an_interrupted_sync_tells_what_was_done_and_how_to_go_on(number, code):
    ended, out, err, seconds = Child().end(number)
    assert ended == code
    assert seconds < 2
    assert "firms   done" in out
    assert "people  interrupted  0.0 s   read 5  created 5" in out
    assert "run connector-hub sync again: it goes on where it stopped" in err
    assert "Traceback" not in err


def test_an_interrupted_sync_prints_its_document():
    ended, out, _, _ = Child("--json").end(signal.SIGINT)
    document = json.loads(out)
    assert ended == 130
    assert document["status"] == "interrupted"
    assert [j["status"] for j in document["jobs"]] == ["done", "interrupted"]
    assert document["jobs"][1]["created"] == 5
    assert document["jobs"][1]["error"]["code"] == "Interrupted"


def test_work_that_does_not_end_is_ended_within_two_seconds():
    ended, out, err, seconds = Child("--json", stubborn=True).end(signal.SIGINT)
    assert ended == 130
    assert seconds < 2
    assert json.loads(out)["status"] == "interrupted"
    assert "go" in err


def test_a_second_signal_ends_at_once():
    ended, _, _, seconds = Child(stubborn=True).end(signal.SIGINT, signal.SIGINT)
    assert ended == 130
    assert seconds < 1


def test_an_error_on_the_way_out_does_not_let_the_next_job_start():
    child = Child("people", failing=True)
    ended, _, err, _ = child.end(signal.SIGINT)
    assert ended == 130
    assert "gone" in err
    assert "notices" not in err


def test_an_interrupted_plan_prints_a_document_of_its_own_shape(tmp_path):
    page = tmp_path / "plan.html"
    one = Child("people", "--json", "--html", str(page), command="plan")
    ended, out, _, _ = one.end(signal.SIGINT)
    document = json.loads(out)
    assert ended == 130
    assert (document["job"], document["status"]) == ("people", "interrupted")
    assert document["error"]["code"] == "Interrupted"
    assert list(tmp_path.iterdir()) == []
    ended, out, _, _ = Child("--json", command="plan").end(signal.SIGINT)
    assert json.loads(out) == {"jobs": [], "status": "interrupted"}
