"""One writer per job, one refresher per connection: operating-system locks that die with their process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from connector_hub.errors import Locked, StoreError, Unavailable
from connector_hub.ports import Clock

_LOOK_AGAIN = 0.02
"""Seconds between two tries for a lock that is waited for."""


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
    with _open(state.with_name(f"{state.name}.{job}.lock")) as (handle, path):
        if not _take(handle, path):
            raise Locked(
                f"job {job} is being run by another process (pid {_holder(handle)})",
                where=str(path),
                hint="wait for it to end, or stop it: the next run goes on where it stopped",
            )
        yield


@contextlib.asynccontextmanager
async def token_lock(
    state: Path | None, connection: str, clock: Clock, *, patience: float
) -> AsyncIterator[None]:
    """Be the only process that fetches a token for a connection; others wait for their turn.

    Raises:
        Unavailable: another process has held it for ``patience`` seconds.
        StoreError: as for a job.
    """
    if state is None:
        yield
        return
    with _open(state.with_name(f"{state.name}.{connection}.refresh")) as (handle, path):
        until = clock.monotonic() + patience
        while not _take(handle, path):
            if clock.monotonic() >= until:
                raise Unavailable(
                    f"another process (pid {_holder(handle)}) does not end fetching a token",
                    where=connection,
                    hint="look at that process; if it hangs, stop it and run again",
                )
            await clock.sleep(_LOOK_AGAIN)
        yield


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[int, Path]]:
    """A lock's file, which may be held as long as it is open."""
    with _errors(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield handle, path
    finally:
        os.close(handle)


def _take(handle: int, path: Path) -> bool:
    """Hold the lock and say who holds it; whether it was free."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with _errors(path):
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
    return True


def _holder(handle: int) -> str:
    return os.pread(handle, 32, 0).decode().strip() or "unknown"


@contextlib.contextmanager
def _errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise StoreError(
            f"the lock cannot be written ({e.strerror})",
            where=str(path),
            hint="look at the folder and its disk: it may be full or read-only",
        ) from None
