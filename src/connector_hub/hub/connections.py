"""What a project stands on: its state and key, its jobs, its connections in use."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import (
    Mapping,
)
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from connector_hub.adapters import files
from connector_hub.adapters.breaker import Breaker
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.adapters.locks import token_lock
from connector_hub.adapters.plugins import Plugins
from connector_hub.adapters.secrets import SecretsAdapter
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.tokens import PATIENCE, TokenKeeper
from connector_hub.adapters.vault import Vault, new_key
from connector_hub.adapters.watched import Watched, blaming
from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import (
    AuthError,
    ConfigError,
    GuardTripped,
    PluginError,
    StoreError,
)
from connector_hub.model.job import Job, SideName
from connector_hub.model.keyed import KEY_BYTES
from connector_hub.model.standing import Standing
from connector_hub.ports import Clock
from connector_hub.sdk.connector import Account, Can, Connector, Resource
from connector_hub.sync import (
    standing,
)
from connector_hub.sync.base import change_hash
from connector_hub.sync.lookups import Tables
from connector_hub.sync.run import Options

if TYPE_CHECKING:
    import httpx


@dataclass(slots=True)
class Live:
    """A connection in use."""

    connector: Connector
    client: HttpClient
    account: Account


ALL = Options()


_KEY = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


class Connections:
    """What a project stands on: its state and key, its jobs, its connections in use."""

    def __init__(
        self,
        project: files.Project,
        plugins: Plugins,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        transports: Mapping[str, httpx.AsyncBaseTransport],
        chance: Random,
        database: type[sqlite3.Connection],
    ) -> None:
        self.project = project
        self.plugins = plugins
        self.clock = clock
        self.chance = chance
        self.secrets = SecretsAdapter(project.folder, environ)
        self._transports = transports
        self._database = database
        self._store: SqliteStore | None = None
        self._vault: Vault | None = None
        self._live: dict[str, Live] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._breakers: dict[str, Breaker] = {}
        self._used: dict[str, bytes] = {}
        """A keyed hash of the credentials that each connection was last made with."""
        self._tables: dict[str, Tables] = {}

    async def aclose(self) -> None:
        """Let go of connections and state."""
        for live in self._live.values():
            await live.client.aclose()
        self._live.clear()
        if self._store:
            self._store.close()
            self._store = None

    @property
    def state_path(self) -> Path | None:
        """The state's file, None for one in memory.

        Raises:
            ConfigError: the state's URL is of a kind this version does not know.
        """
        scheme, _, path = self.project.state.partition(":///")
        if scheme != "sqlite" or not path:
            raise ConfigError(
                f"state {self.project.state!r} cannot be used",
                where=str(self.project.file),
                hint="write sqlite:///hub.db",
            )
        return None if path == ":memory:" else self.project.folder / path

    @property
    def store(self) -> SqliteStore:
        """The state, opened when it is first needed, and anew once another process has rotated its key.

        Raises:
            StoreError, ConfigError: see ``SqliteStore``.
        """
        if self._store is not None and self._store.is_outdated:
            self._store.close()
            self._store = None
            self._used.clear()
        if self._store is None:
            try:
                self._open_state()
            except ConfigError:
                if not self._end_rotation():
                    raise
                self._open_state()
            assert self._store is not None  # noqa: S101 - it is open
        return self._store

    def _open_state(self) -> None:
        path = self.state_path
        self._vault = Vault(self._key(path))
        self._store = SqliteStore(path or ":memory:", self._vault, self._database)

    def _end_rotation(self) -> bool:
        """Whether a rotation was cut off when the state had its new key already; it is ended now."""
        reference, path = self.project.key, self.state_path
        there = path is not None and path.exists()
        if not there or reference.startswith("env:"):
            return False
        try:
            key = self._parsed_key(next_key(reference), path)
            SqliteStore(path or "", Vault(key), self._database).close()
        except ConfigError:
            return False
        self.secrets.move(next_key(reference), reference)
        return True

    def _key(self, state: Path | None) -> bytes:
        """The master key; made here only when there is no state yet."""
        reference = self.project.key
        if reference.startswith("file:"):
            path = self.project.folder / reference.removeprefix("file:")
            if not path.exists():
                if state is not None and state.exists():
                    raise ConfigError(
                        f"the state {state.name} is there, its key {path.name} is not",
                        where=self.project.key_at,
                        hint="give back the key file; without it the state cannot be read",
                    )
                write_key(path)
        return self._parsed_key(reference, state)

    def _parsed_key(self, reference: str, state: Path | None) -> bytes:
        where = self.project.key_at
        try:
            text = self.secrets.read(reference).strip()
        except ConfigError as e:
            raise ConfigError(e.message, where=where, hint=e.hint) from None
        if not _KEY.fullmatch(text):
            there = state is not None and state.exists()
            raise ConfigError(
                f"key {reference} is not {2 * KEY_BYTES} hexadecimal digits",
                where=where,
                hint="give back the key the state was made with"
                if there
                else f"make one with `openssl rand -hex {KEY_BYTES}`",
            )
        return bytes.fromhex(text)

    def job(self, name: str) -> Job:
        """A job by name.

        Raises:
            ConfigError: the project has no such job.
        """
        if name not in self.project.jobs:
            raise ConfigError(
                f"there is no job {name!r}",
                where=str(self.project.file),
                hint=did_you_mean(name, self.project.jobs),
            )
        return self.project.jobs[name]

    def connection(self, name: str) -> files.ConnectionConfig:
        """A connection by name, as hub.yaml has it.

        Raises:
            ConfigError: the project has no such connection.
            PluginError: its connector's plugin cannot be used.
        """
        if name in self.project.broken:
            e = self.project.broken[name]
            raise PluginError(e.message, where=e.where, hint=e.hint)
        if name not in self.project.connections:
            raise ConfigError(
                f"there is no connection {name!r}",
                where=str(self.project.file),
                hint=did_you_mean(name, self.project.connections),
            )
        return self.project.connections[name]

    def jobs_in_order(self) -> list[str]:
        """All jobs, those first that others' link fields point to."""
        jobs = self.project.jobs
        order: list[str] = []

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in order or name in path:
                return
            for to in self.project.entity(jobs[name].entity).links().values():
                for other, job in jobs.items():
                    if job.entity == to:
                        visit(other, (*path, name))
            order.append(name)

        for name in jobs:
            visit(name, ())
        return order

    async def connect(self, name: str, *, secrets: Any = None) -> Live:
        """A connection in use: made, checked and pinned once per hub.

        Raises:
            AuthError: the vendor refuses the credentials.
            GuardTripped: another account answers than the state knows.
        """
        if name in self._live:
            return self._live[name]
        connector, client = self._make(name, secrets or self.secrets)
        if secrets is None:
            self._used[name] = self._credentials(name)
        try:
            account = await connector.check()
        except BaseException as e:
            await client.aclose()
            if isinstance(e, AuthError) and secrets is None:
                self._refused(name, e)
            raise
        live = Live(connector, client, account)
        try:
            self._verify(name, live)
        except BaseException:
            await client.aclose()
            raise
        self._live[name] = live
        if self._stateful:
            standing.accepted(self.store, name)
        return live

    @property
    def _stateful(self) -> bool:
        """Whether there is a state to look into, without making one."""
        path = self.state_path
        return self._store is not None or (path is not None and path.exists())

    def _credentials(self, name: str) -> bytes:
        """A keyed hash that changes with the connection's settings and secrets; empty without a state."""
        if not self._stateful or name not in self.project.connections:
            return b""
        wanted = self.project.connections[name]
        held = [repr(wanted.config)]
        for reference in wanted.secrets().values():
            with contextlib.suppress(ConfigError):
                held.append(self.secrets.read(reference))
        _ = self.store
        assert self._vault is not None  # noqa: S101 - the store is open
        return change_hash(self._vault.derive("credentials"), held)

    def _refused(self, name: str, error: AuthError) -> None:
        """Remember that a vendor refuses a connection's credentials."""
        if self._stateful and name in self.project.connections:
            used = self._used.get(name) or self._credentials(name)
            standing.refused(self.store, name, error, used, self.clock.now())

    async def _drop_refused(self, error: BaseException) -> None:
        """A connection whose credentials were refused in the middle of a run is made anew by the next."""
        if isinstance(error, AuthError):
            self._refused(error.where, error)
            live = self._live.pop(error.where, None)
            if live is not None:
                await live.client.aclose()

    def _make(
        self, name: str, secrets: Any, keeper: TokenKeeper | None = None
    ) -> tuple[Connector, HttpClient]:
        wanted = self.connection(name)
        kind = self.plugins.connector(wanted.connector)
        client = HttpClient(
            kind,
            wanted.config,
            connection=name,
            secrets=secrets,
            clock=self.clock,
            ledger=self._ledger(name),
            breaker=self._breaker(name),
            keeper=keeper or self._keeper(name),
            transport=self._transports.get(name),
            chance=self.chance,
        )
        key = kind.key_field if wanted.key_field == "default" else wanted.key_field
        with blaming(kind.name, "its making", name):
            connector = kind(wanted.config, client, clock=self.clock, key_field=key)
            client.attach(connector)
            return Watched(connector, name), client

    def _keeper(self, name: str) -> TokenKeeper:
        """Keeps a connection's rotating token in the state."""
        return TokenKeeper(
            name, lambda: self.store, lambda: self._refreshing(name), self.clock
        )

    def _breaker(self, name: str) -> Breaker:
        """What a connection's calls have met, over all its clients."""
        if name not in self._breakers:
            self._breakers[name] = Breaker(name, self.clock)
        return self._breakers[name]

    def _failing(self, job: Job) -> Standing | None:
        """The connection of a job whose vendor fails, until it is time to look whether it is back."""
        for name in (job.left.connection, job.right.connection):
            breaker = self._breakers.get(name)
            if breaker is not None and breaker.since is not None and breaker.wait:
                return Standing("connection", name, "failing", breaker.since)
        return None

    def _remember_circuits(self, job: Job, *, well: bool) -> None:
        """What a run has found out about its vendors, for those who ask."""
        for name in (job.left.connection, job.right.connection):
            breaker = self._breakers.get(name)
            if breaker is not None and breaker.since is not None:
                standing.failing(self.store, name, breaker.since)
            elif well:
                standing.accepted(self.store, name)

    def _refreshing(self, name: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Held by the one process that fetches a connection's token."""
        return token_lock(self.state_path, name, self.clock, patience=PATIENCE)

    def _ledger(self, name: str) -> Ledger:
        if name not in self._ledgers:
            self._ledgers[name] = Ledger(permit=self._check_fence)
        return self._ledgers[name]

    def _check_fence(self) -> None:
        """No request leaves for a run that is over."""
        if self._store is not None:
            self._store.check_fence()

    def _new_ledgers(self, max_calls: int | None) -> None:
        """A run begins: its calls are counted from here."""
        shared = Ledger(ceiling=max_calls) if max_calls is not None else None
        self._ledgers.clear()
        for name in self.project.connections:
            self._ledgers[name] = Ledger(parent=shared, permit=self._check_fence)
            if name in self._live:
                self._live[name].client.ledger = self._ledgers[name]

    def _verify(self, name: str, live: Live) -> None:
        """Refuse another account than the state knows, where there is a state."""
        if not self._stateful:
            return
        known = self.store.pinned(name)
        if known not in {None, home_of(live)}:
            raise GuardTripped(
                f"connection {name} belonged to account {known}, it now answers as {home_of(live)}",
                where=name,
                hint="give back the old credentials, or use a connection of another name",
            )

    def _pin(self, name: str, live: Live) -> None:
        self._verify(name, live)
        if self.store.pinned(name) is None:
            self.store.pin(name, home_of(live))

    def _pin_side(self, job: str, side: SideName, home: str) -> None:
        """Marks, bases and identities of a job are about two accounts; with others they would mislead.

        Raises:
            GuardTripped: the job was given a connection to another account.
        """
        known = self.store.fact(job, side, "account")
        if known is None:
            self.store.set_fact(job, side, "account", home)
        elif known != home:
            raise GuardTripped(
                f"the {side} of job {job} belonged to account {known}, it now is {home}",
                where=str(self.project.file),
                hint="give back its connection; for other accounts write a profile with a state of its own, "
                "or a job of another name",
            )

    async def describe(self, connection: str, resource: str) -> Resource:
        """A resource with its fields, live from the vendor."""
        live = await self.connect(connection)
        return await live.connector.describe(resource)

    async def prepare(self, connection: str, *, make: bool) -> list[str]:
        """The record-key fields a connection still lacks; made when ``make`` is set."""
        live = await self.connect(connection)
        used = {
            resource
            for job in self.project.jobs.values()
            for side in (job.left, job.right)
            if side.connection == connection
            for resource in side.resources
        } or {r.name for r in live.connector.resources if Can.CREATE in r.can}
        lines = []
        for resource in sorted(used):
            line = await live.connector.prepare(resource, make=make)
            if line:
                lines.append(line)
        return lines


def next_key(reference: str) -> str:
    """Where a rotation keeps the new key until the state has it."""
    return f"{reference}.next"


def silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


def home_of(live: Live) -> str:
    """The account as links know it: connector and the vendor's own account id."""
    return f"{live.connector.name}:{live.account.id}"


def write_key(path: Path) -> None:
    """Make a new master key in a file only its owner can read.

    Raises:
        ConfigError: the file is there already.
        StoreError: it cannot be written, as on a full disk; no part of it stays.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path} is there already") from None
    except OSError as e:
        raise _no_key(path, e) from None
    try:
        with os.fdopen(handle, "w") as out:
            out.write(new_key().hex() + "\n")
    except OSError as e:
        path.unlink()
        raise _no_key(path, e) from None


def _no_key(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the key cannot be written ({error.strerror})",
        where=str(path),
        hint="look at the folder and its disk: it may be full or read-only",
    )
