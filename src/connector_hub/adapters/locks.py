"""One writer per job: an operating-system lock that dies with its process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from connector_hub.errors import Locked


@contextlib.contextmanager
def job_lock(state: Path | None, job: str) -> Iterator[None]:
    """Hold a job of the state in a file; None (a state in memory) needs no lock.

    Raises:
        Locked: another process holds it; its pid is told.
    """
    if state is None:
        yield
        return
    path = state.with_name(f"{state.name}.{job}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(handle, 32).decode().strip() or "unknown"
            raise Locked(
                f"job {job} is being run by another process (pid {pid})",
                hint="wait for it to end, or stop it: the next run goes on where it stopped",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
