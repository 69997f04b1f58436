"""One writer a job: a lock that names its holder and dies with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from connector_hub.adapters.locks import job_lock
from connector_hub.errors import Locked, StoreError

HOLDER = """
import sys
from pathlib import Path
from connector_hub.adapters.locks import job_lock

with job_lock(Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "hub.db"


@contextmanager
def held_elsewhere(state: Path, job: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds the job until the block ends or it is killed."""
    command = [sys.executable, "-c", HOLDER, str(state), job]
    with subprocess.Popen(  # noqa: S603 - our own
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "held\n"
            yield child
        finally:
            child.kill()


def test_a_second_writer_is_told_who_the_first_is_and_what_to_do(state: Path) -> None:
    with (
        held_elsewhere(state, "people") as child,
        pytest.raises(
            Locked, match=rf"people is being run .* \(pid {child.pid}\)"
        ) as e,
        job_lock(state, "people"),
    ):
        pass
    assert e.value.exit_code == 6
    assert "wait for it to end" in e.value.hint
    assert "hub.db.people.lock" in e.value.where


def test_the_lock_of_a_killed_writer_is_free(state: Path) -> None:
    with held_elsewhere(state, "people") as child:
        child.send_signal(signal.SIGKILL)
        child.wait()
        with job_lock(state, "people"):
            assert str(os.getpid()) in _text(state, "people")


def test_the_pid_of_a_longer_number_leaves_nothing_behind(state: Path) -> None:
    _file(state, "people").write_text("99999999999")
    with job_lock(state, "people"):
        assert _text(state, "people") == str(os.getpid())


def test_another_job_of_the_state_can_be_run_meanwhile(state: Path) -> None:
    with held_elsewhere(state, "people"), job_lock(state, "companies"):
        pass


def test_the_same_job_of_another_state_can_be_run_meanwhile(
    state: Path, tmp_path: Path
) -> None:
    with held_elsewhere(state, "people"), job_lock(tmp_path / "b.db", "people"):
        pass


def test_a_lock_is_given_back_when_its_run_fails(state: Path) -> None:
    with pytest.raises(KeyError), job_lock(state, "people"):
        raise KeyError
    with job_lock(state, "people"):
        pass


def test_a_process_cannot_hold_a_job_twice(state: Path) -> None:
    with (
        job_lock(state, "people"),
        pytest.raises(Locked, match=str(os.getpid())),
        job_lock(state, "people"),
    ):
        pass


def test_the_lock_is_private(state: Path) -> None:
    with job_lock(state, "people"):
        assert _file(state, "people").stat().st_mode & 0o077 == 0


def test_a_state_in_memory_needs_no_lock() -> None:
    with job_lock(None, "people"), job_lock(None, "people"):
        pass


def test_a_folder_that_is_not_there_is_the_stores_trouble(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="lock cannot be written") as told,
        job_lock(tmp_path / "gone" / "hub.db", "people"),
    ):
        pass
    assert (told.value.exit_code, "full or read-only" in told.value.hint) == (8, True)


def _file(state: Path, job: str) -> Path:
    return state.with_name(f"{state.name}.{job}.lock")


def _text(state: Path, job: str) -> str:
    return _file(state, job).read_text()
