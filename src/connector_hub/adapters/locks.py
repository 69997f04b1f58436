"""One writer per job: an operating-system lock that dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from connector_hub.errors import Locked, StoreError


@contextlib.contextmanager
def job_lock(state: Path | None, job: str) -> Iterator[None]:
    """Hold a job of the state in a file; None (a state in memory) needs no lock.

    Raises:
        Locked: another process holds it; its pid is told.
        StoreError: the lock's file cannot be made, as on a full disk.
    """
    if state is None:
        yield
        return
    path = state.with_name(f"{state.name}.{job}.lock")
    with _errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(handle, 32).decode().strip() or "unknown"
            raise Locked(
                f"job {job} is being run by another process (pid {pid})",
                where=str(path),
                hint="wait for it to end, or stop it: the next run goes on where it stopped",
            ) from None
        with _errors(path):
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StoreError(
            f"the job's lock cannot be written ({e.strerror})",
            where=str(path),
            hint="look at the folder and its disk: it may be full or read-only",
        ) from None
