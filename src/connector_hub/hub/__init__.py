"""The composition root: one ``Hub``, one method per use case.

Its methods are in layers, each on the one before: connections, running, planning; on these what people ask,
what keeps jobs to their times and what can be seen of mappings; and what people may want forgotten or
replaced: a person, the key.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from connector_hub.adapters import files
from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.plugins import Plugins
from connector_hub.hub.asking import Known, Mended
from connector_hub.hub.connections import Live, write_key
from connector_hub.hub.consenting import Consenting, Credential
from connector_hub.hub.mapping import Mappings
from connector_hub.hub.permitting import Permitted
from connector_hub.hub.personal import Personal
from connector_hub.hub.rotating import Rotating
from connector_hub.ports import Clock
from connector_hub.sync.run import Options

if TYPE_CHECKING:
    import httpx


class Hub(Personal, Rotating, Consenting, Mappings):
    """A project at work. Made by ``open_hub``; two hubs in one process are two objects."""


@contextlib.asynccontextmanager
async def open_hub(
    path: Path | str | files.Project = "hub.yaml",
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    clock: Clock | None = None,
    plugins: Plugins | None = None,
    chance: Random | None = None,
    database: type[sqlite3.Connection] = sqlite3.Connection,
) -> AsyncIterator[Hub]:
    """Open a project.

    Args:
        path: hub.yaml, or the folder it is in; or a project that was read before.
        profile: one of the file's ``profiles``.
        environ: in place of the process environment.
        transports: httpx transports by connection, for tests: ``httpx.ASGITransport(app=...)``.
        clock: in place of the system's.
        plugins: in place of those installed.
        chance: where ids and the jitter of retries come from; a seeded one gives the same for a test again.
        database: the class of the connection to the state, for tests that watch it.

    Raises:
        ConfigError: every mistake in the files, with file, line and column.
    """
    found = plugins or Plugins()
    env = os.environ if environ is None else environ  # noqa: TID251 - the composition root
    project = (
        path
        if isinstance(path, files.Project)
        else files.load_project(
            Path(path), profile=profile, environ=env, connectors=found.connector
        )
    )
    hub = Hub(
        project,
        found,
        environ=env,
        clock=clock or SystemClock(),
        transports=transports or {},
        chance=chance or SystemRandom(),
        database=database,
    )
    try:
        yield hub
    finally:
        await hub.aclose()


__all__ = [
    "Credential",
    "Hub",
    "Known",
    "Live",
    "Mended",
    "Options",
    "Permitted",
    "open_hub",
    "write_key",
]
