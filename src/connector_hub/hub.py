"""The composition root: one ``Hub``, one method per use case."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import re
import secrets as random_ids
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connector_hub.adapters import files, overlays
from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.notify import Message, Postman
from connector_hub.adapters.person import person
from connector_hub.adapters.plugins import Plugins
from connector_hub.adapters.secrets import SecretsAdapter
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.transforms import needs_region, transforms
from connector_hub.adapters.vault import KEY_BYTES, Vault, new_key
from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import (
    AuthError,
    ConfigError,
    GuardTripped,
    HubError,
    PlanStale,
    PluginError,
    StoreError,
    VendorError,
)
from connector_hub.model.conflict import (
    FIELDS,
    KINDS,
    UNKNOWN,
    Conflict,
    DeadLetter,
    causes,
)
from connector_hub.model.entity import Entity, Kind
from connector_hub.model.job import SIDES, Job, Side, SideName, across
from connector_hub.model.kept import OPEN, Kept, KeptRow, PlanState
from connector_hub.model.known import knowing, reading
from connector_hub.model.link import spelled
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.mapping import Raws, Spoke, compile_mapping
from connector_hub.model.notice import News, Receiver, facts
from connector_hub.model.plan import (
    Change,
    FieldChange,
    Plan,
    Receipt,
    Seen,
    Shown,
)
from connector_hub.model.record import Record, Want
from connector_hub.model.standing import Held, Rival, Standing
from connector_hub.model.union import unite
from connector_hub.ports import Clock, Progress
from connector_hub.sdk.connector import Account, Can, Connector, Resource
from connector_hub.sync import (
    deciding,
    matching,
    mending,
    notices,
    pilot,
    reporting,
    rivals,
    schedule,
    standing,
    undoing,
)
from connector_hub.sync import jobs as syncing
from connector_hub.sync import why as explaining
from connector_hub.sync.base import Bases, change_hash
from connector_hub.sync.identity import Identities
from connector_hub.sync.lookups import Tables, read_tables, sizes
from connector_hub.sync.matching import Found
from connector_hub.sync.newfield import (
    described,
    lacking,
    paths_of_suggestion,
    rule_for,
    spec_of,
)
from connector_hub.sync.plans import (
    Step,
    already_waits,
    look_out,
    prints,
    refusal,
    stands,
)
from connector_hub.sync.preview import Previewed, previewed, sample, travelling_from
from connector_hub.sync.run import JobRun, Options, Route, policies_between
from connector_hub.sync.schedule import Agenda, Keeper, Tell
from connector_hub.sync.sides import LiveSide, Place, fetch, pages
from connector_hub.sync.suggest import (
    SAMPLE,
    Suggestion,
    Surveyed,
    UnknownOptions,
    suggested,
    unknown_options,
)

if TYPE_CHECKING:
    import httpx

TENANT = "main"
RESERVE = 0.2
"""Share of a plan's calls kept for retries, besides three."""


@dataclass(slots=True)
class Live:
    """A connection in use."""

    connector: Connector
    client: HttpClient
    account: Account


@dataclass(frozen=True, slots=True)
class Known:
    """A record that the hub knows to be one thing with others."""

    hub_id: str
    connection: str
    resource: str
    record: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Mended:
    """An edit of a record behind a dead letter: its run, and fields the vendor made something else of."""

    run: int
    connection: str
    record: str
    not_taken: tuple[str, ...]


_ALL = Options()
_HELD_TO_PILOTS = frozenset({"plan", "sync", "apply"})
_KEY_SAVED = "key saved"
_WRITING = frozenset({"sync", "apply", "edit"})
"""Kinds of runs that a pause holds; the others write to no vendor."""
_KEY = re.compile(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}")


def _silent(phase: str, done: int, total: int | None) -> None:
    """Progress that nobody watches."""


class Hub:
    """A project at work. Made by ``open_hub``; two hubs in one process are two objects."""

    def __init__(
        self,
        project: files.Project,
        plugins: Plugins,
        *,
        environ: Mapping[str, str],
        clock: Clock,
        transports: Mapping[str, httpx.AsyncBaseTransport],
    ) -> None:
        self.project = project
        self.plugins = plugins
        self.clock = clock
        self.secrets = SecretsAdapter(project.folder, environ)
        self._transports = transports
        self._store: SqliteStore | None = None
        self._vault: Vault | None = None
        self._live: dict[str, Live] = {}
        self._ledgers: dict[str, Ledger] = {}
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
        """The state, opened when it is first needed.

        Raises:
            StoreError, ConfigError: see ``SqliteStore``.
        """
        if self._store is None:
            path = self.state_path
            self._vault = Vault(self._key(path))
            self._store = SqliteStore(path or ":memory:", self._vault)
        return self._store

    def _key(self, state: Path | None) -> bytes:
        """The master key; made here only when there is no state yet."""
        reference = self.project.key
        if reference.startswith("file:"):
            path = self.project.folder / reference.removeprefix("file:")
            if not path.exists():
                if state is not None and state.exists() and state.stat().st_size:
                    raise ConfigError(
                        f"the state {state.name} is there, its key {path.name} is not",
                        where=self.project.key_at,
                        hint="give back the key file; without it the state cannot be read",
                    )
                write_key(path)
        where = self.project.key_at
        try:
            text = self.secrets.read(reference).strip()
        except ConfigError as e:
            raise ConfigError(e.message, where=where, hint=e.hint) from None
        if not _KEY.fullmatch(text):
            there = state is not None and state.exists() and state.stat().st_size
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
            with _plugin_errors(connector, name):
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
            used = self._used.get(name, b"")
            standing.refused(self.store, name, error, used, self.clock.now())

    async def _drop_refused(self, error: BaseException) -> None:
        """A connection whose credentials were refused in the middle of a run is made anew by the next."""
        if isinstance(error, AuthError):
            self._refused(error.where, error)
            live = self._live.pop(error.where, None)
            if live is not None:
                await live.client.aclose()

    def _make(self, name: str, secrets: Any) -> tuple[Connector, HttpClient]:
        wanted = self.connection(name)
        kind = self.plugins.connector(wanted.connector)
        client = HttpClient(
            kind,
            wanted.config,
            connection=name,
            secrets=secrets,
            clock=self.clock,
            ledger=self._ledger(name),
            transport=self._transports.get(name),
        )
        key = kind.key_field if wanted.key_field == "default" else wanted.key_field
        with _plugin_errors(kind, name):
            connector = kind(wanted.config, client, clock=self.clock, key_field=key)
        client.attach(connector)
        return connector, client

    def _ledger(self, name: str) -> Ledger:
        if name not in self._ledgers:
            self._ledgers[name] = Ledger()
        return self._ledgers[name]

    def _new_ledgers(self, max_calls: int | None) -> None:
        """A run begins: its calls are counted from here."""
        shared = Ledger(ceiling=max_calls) if max_calls is not None else None
        self._ledgers.clear()
        for name in self.project.connections:
            self._ledgers[name] = Ledger(parent=shared) if shared else Ledger()
            if name in self._live:
                self._live[name].client.ledger = self._ledgers[name]

    def _verify(self, name: str, live: Live) -> None:
        """Refuse another account than the state knows, where there is a state."""
        if not self._stateful:
            return
        known = self.store.pinned(name)
        if known not in {None, _home(live)}:
            raise GuardTripped(
                f"connection {name} belonged to account {known}, it now answers as {_home(live)}",
                where=name,
                hint="give back the old credentials, or use a connection of another name",
            )

    def _pin(self, name: str, live: Live) -> None:
        self._verify(name, live)
        if self.store.pinned(name) is None:
            self.store.pin(name, _home(live))

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

    async def check(self, *, live: bool = True) -> list[str]:
        """Look at everything that can be seen without writing; one line per thing that is well.

        Raises:
            ConfigError: with every mistake found in the files.
            PluginError: of the first connection whose plugin cannot be used.
            AuthError, VendorError: of the first connection that does not answer.
        """
        files.run_tests(self.project).raise_if_any()
        for name in self.project.broken:
            self.connection(name)
        lines = [f"{len(self.project.jobs)} jobs, their mappings and tests"]
        if live:
            for name in self.project.connections:
                if name in self.project.elsewhere:
                    continue
                c = await self.connect(name)
                lines.append(
                    f"{name}: {c.connector.name} account {c.account.id} ({c.account.name})"
                )
                if c.account.lacks:
                    lines.append(f"{name}: lacks {', '.join(c.account.lacks)}")
                lines += [
                    f"{name}: lacks {missing}; run connector-hub prepare {name}"
                    for missing in await self.prepare(name, make=False)
                ]
        for name, job in self.project.jobs.items():
            _, left = self._routes(job)
            lines += [f"{name}: {_left_out(f)}" for f in left]
            lines += self._regions(name, job)
            if live:
                lines += [
                    f"{name}: {u.connection}: {u.field} has options that no table knows, "
                    f"left alone: {', '.join(u.options)}"
                    for u in await self._unknown(job)
                ]
        return lines

    def _regions(self, name: str, job: Job) -> Iterable[str]:
        """Where phone numbers without a country code are not read."""
        for side in (job.left, job.right):
            for resource in side.resources:
                mapping = self.project.mapping_at(side.connection, job.entity, resource)
                field = needs_region(mapping)
                if field:
                    yield (
                        f"{name}: {side.connection}: {field} without a country code is "
                        f"left alone; region: in hub.yaml says which country is meant"
                    )

    async def _unknown(self, job: Job) -> list[UnknownOptions]:
        """Live options that no table of a job knows."""
        entity = self.project.entity(job.entity)
        found = []
        for name in SIDES:
            for resource in job.side(name).resources:
                s = await self._survey(job, name, resource)
                unknown = unknown_options(s.mapping, entity, s.fields)
                at = job.side(name).connection
                found += [UnknownOptions(at, n, o) for n, o in unknown.items()]
        return found

    async def _surveyed(self, job: Job) -> dict[SideName, Surveyed]:
        """Both sides of a job as the vendors describe them now; of several resources the first."""
        return {n: await self._survey(job, n, job.side(n).resource) for n in SIDES}

    async def _survey(self, job: Job, name: SideName, resource: str) -> Surveyed:
        at = job.side(name)
        fields = (await self.describe(at.connection, resource)).fields
        mapping = self.project.mapping_at(at.connection, job.entity, resource)
        key = (await self.connect(at.connection)).connector.key
        return Surveyed(fields, mapping, key, across(name) in job.read_from)

    def tests(self, job: str | None = None) -> list[files.Tested]:
        """The mappings' own tests, run: of all mappings, or of a job's two.

        Raises:
            ConfigError: there is no such job.
        """
        if job is None:
            return files.own_tests(self.project)
        j = self.job(job)
        ends = [(self.connection(s.connection), s) for s in (j.left, j.right)]
        wanted = {(j.entity, c.connector, r) for c, s in ends for r in s.resources}
        return files.own_tests(self.project, wanted)

    async def preview(
        self, job: str, records: int = 3, record: str | None = None
    ) -> list[Previewed]:
        """Some records of a job's sources, and what the other side would be given. Reads only.

        Args:
            job: its name.
            records: how many of each source.
            record: the id of one record to look at instead.

        Raises:
            ConfigError: no source has that record.
        """
        j = self.job(job)
        _, left_out = self._routes(j)
        spokes = {}
        for name in SIDES:
            await self._look_up(j.entity, j.side(name))
            spokes[name] = self._spokes(j, name, left_out)
        found: list[Previewed] = []
        for name in j.read_from:
            at, other = j.side(name), across(name)
            live = await self.connect(at.connection)
            for resource, spoke in spokes[name].items():
                with _plugin_errors(live.connector, at.connection):
                    some = await sample(
                        live.connector, resource, spoke.want, records, record
                    )
                for r in some:
                    view = spoke.view(spoke.raws(r.fields, r.links))[0]
                    into = j.side(other).target(view) or j.side(other).resource
                    ends = {name: spoke, other: spokes[other][into]}
                    policies = policies_between(j, ends["left"], ends["right"])
                    travel = travelling_from(name, policies)
                    known = at.known_as(resource, r.id)
                    found.append(
                        previewed(at.connection, known, r, spoke, ends[other], travel)
                    )
        if record is not None and not found:
            raise ConfigError(f"no source of job {job} has a record {record!r}")
        return found

    async def suggest(self, job: str) -> tuple[list[Suggestion], list[UnknownOptions]]:
        """Rules that could be, from both descriptions and a sample of records; and options no table knows."""
        j = self.job(job)
        entity = self.project.entity(j.entity)
        sides = await self._surveyed(j)
        first = suggested(entity, sides["left"], sides["right"])
        for name in SIDES:
            at = j.side(name)
            live = await self.connect(at.connection)
            want = Want(frozenset(s.end(name).info.path for s in first))
            if first:
                with _plugin_errors(live.connector, at.connection):
                    rows = await sample(live.connector, at.resource, want, SAMPLE)
                sides[name] = replace(sides[name], records=rows)
        unknown = await self._unknown(j)
        return suggested(entity, sides["left"], sides["right"]), unknown

    async def new_field(
        self,
        job: str,
        field: str,
        paths: Mapping[SideName, str],
        kind: Kind | None = None,
    ) -> list[overlays.Edit]:
        """What to write into the project's mapping files so that a job has a field; nothing is written.

        Args:
            job: its name.
            field: the hub's word.
            paths: where it is on each side; empty for what ``suggest`` says.
            kind: of a field that the entity has not yet; what fits the vendors' types unless given.

        Raises:
            ConfigError: a path is not there, or a rule is already.
        """
        j = self.job(job)
        entity = self.project.entity(j.entity)
        sides = await self._surveyed(j)
        ruled = {n: field in s.mapping.rules for n, s in sides.items()}
        if not paths:
            if all(ruled.values()):
                raise ConfigError(
                    f"both mappings of job {job} have a rule for {field!r}",
                    hint="edit it, or give --left or --right to put another above it",
                )
            paths = paths_of_suggestion(
                suggested(entity, sides["left"], sides["right"]), field
            )
        lacking(field, paths, ruled)
        infos = {
            n: described(sides[n].fields, path, j.side(n).connection)
            for n, path in paths.items()
        }
        spec = spec_of(entity, field, list(infos.values()), kind)
        rules = {}
        for n, info in infos.items():
            connection = j.side(n).connection
            zone = (await self.connect(connection)).account.zone
            if self.project.connections[connection].zone:
                zone = "zone"
            rules[n] = rule_for(spec, info, zone)
        return overlays.add_field(self.project, j, spec, rules)

    async def describe(self, connection: str, resource: str) -> Resource:
        """A resource with its fields, live from the vendor."""
        live = await self.connect(connection)
        with _plugin_errors(live.connector, connection):
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
            with _plugin_errors(live.connector, connection):
                line = await live.connector.prepare(resource, make=make)
            if line:
                lines.append(line)
        return lines

    def _routes(self, job: Job) -> tuple[dict[str, Route], list[str]]:
        """Where the job's link fields lead, and those no job of the project carries."""
        routes: dict[str, Route] = {}
        left: list[str] = []
        pair = {job.left.connection, job.right.connection}
        for name, to in self.project.entity(job.entity).links().items():
            carrier = next(
                (
                    j
                    for j in self.project.jobs.values()
                    if j.entity == to
                    and {j.left.connection, j.right.connection} == pair
                ),
                None,
            )
            if carrier is None:
                left.append(name)
                continue
            sides = {s.connection: s.resources for s in (carrier.left, carrier.right)}
            routes[name] = Route(
                carrier.name, sides[job.left.connection], sides[job.right.connection]
            )
        return routes, left

    async def _side(
        self, job: Job, name: SideName, left_out: Iterable[str]
    ) -> LiveSide:
        side = job.side(name)
        live = await self.connect(side.connection)
        self._pin(side.connection, live)
        self._pin_side(job.name, name, _home(live))
        await self._look_up(job.entity, side)
        spokes = self._spokes(job, name, left_out)
        assert self._vault is not None  # noqa: S101 - _pin has opened the store
        key, identity = self._vault.derive("base"), self._vault.derive("identity")
        with _plugin_errors(live.connector, side.connection):
            places = {
                n: Place(live.connector.resource(n), s, s.want)
                for n, s in spokes.items()
            }
        spoke = unite(spokes) if side.one_of else spokes[side.resource]
        return LiveSide(
            name=name,
            connection=side.connection,
            account=live.account,
            connector=live.connector,
            resource=places[side.resource].resource,
            spoke=spoke,
            want=spoke.want,
            bases=Bases(self.store, job.name, name, spoke, key, self._vault),
            identities=Identities(
                spoke.entity.identity, spoke, identity, len(job.match)
            ),
            places=places if side.one_of else {},
        )

    def _spokes(
        self, job: Job, side: SideName, left_out: Iterable[str]
    ) -> dict[str, Spoke]:
        """How each resource of a side is read."""
        at = job.side(side)
        self.connection(at.connection)
        return {
            resource: self._spoke(
                knowing(self.project.entity(job.entity), job.match),
                reading(
                    self.project.mapping_at(at.connection, job.entity, resource),
                    job.match,
                    side,
                ),
                at.connection,
                left_out,
            )
            for resource in at.resources
        }

    def _spoke(
        self,
        entity: Entity,
        mapping: Spec,
        connection: str,
        left_out: Iterable[str] = (),
    ) -> Spoke:
        """A connection's spoke; looked-up fields by what was read last, if anything was."""
        return compile_mapping(
            mapping,
            entity,
            transforms(),
            leave_out=left_out,
            tables=self._tables.get(connection),
        )

    async def _look_up(self, entity: str, side: Side) -> None:
        """Read anew what a side's fields are looked up in."""
        live = await self.connect(side.connection)
        mappings = [
            self.project.mapping_at(side.connection, entity, resource)
            for resource in side.resources
        ]
        with _plugin_errors(live.connector, side.connection):
            tables = await read_tables(live.connector, mappings)
        self._tables.setdefault(side.connection, {}).update(tables)

    @contextlib.asynccontextmanager
    async def _running(
        self,
        name: str,
        kind: str,
        options: Options,
        progress: Progress,
        plan: str | None = None,
    ) -> AsyncIterator[JobRun]:
        """A run under its lock, with its number; how it ends is kept, whatever happens."""
        job = self.job(name)
        with job_lock(self.state_path, name):
            if kind in _WRITING:
                standing.refuse_paused(self.store, job)
            number = self.store.begin_run(name, kind, self.clock.now())
            started = self.clock.monotonic()
            run: JobRun | None = None
            try:
                run = await self._run(job, number, options, progress, plan)
                self._drop_old_plans(job.name, plan)
                if kind in _HELD_TO_PILOTS:
                    await self._hold_to_pilot(run)
                yield run
            except BaseException as e:
                error = _as_hub_error(e)
                receipt = self._receipt(job.name, number, run, error, started)
                self._end(receipt)
                with contextlib.suppress(StoreError):
                    await self._drop_refused(error)
                if isinstance(error, HubError):
                    error.receipt = receipt
                    raise error from e
                e.receipt = receipt  # type: ignore[attr-defined]
                raise

    async def _run(
        self,
        job: Job,
        number: int,
        options: Options,
        progress: Progress,
        plan: str | None,
    ) -> JobRun:
        routes, left = self._routes(job)
        at_left = await self._side(job, "left", left)
        at_right = await self._side(job, "right", left)
        assert self._vault is not None  # noqa: S101 - the sides have opened the store
        if (at_left.home, at_left.resource) == (at_right.home, at_right.resource):
            raise ConfigError(
                f"job {job.name}: both sides are {at_left.resource.name} of account {at_left.home}",
                where=str(self.project.file),
                hint="a job needs two accounts; look at the credentials of its connections",
            )
        known = self.project.entity(job.entity).fields
        for name in options.backfill:
            if name not in known:
                raise ConfigError(
                    f"entity {job.entity} has no field {name!r}",
                    hint=did_you_mean(name, known),
                )
        shown = Plan(
            plan or random_ids.token_hex(4),
            job.name,
            job.entity,
            at_left.connection,
            at_right.connection,
        )
        shown.left_out = tuple(left)
        run = JobRun(
            job=job,
            number=number,
            plan=shown,
            left=at_left,
            right=at_right,
            store=self.store,
            clock=self.clock,
            tenant=TENANT,
            key=self._vault.derive("changes"),
            routes=routes,
            options=options,
            progress=progress,
        )
        for side in run.sides:
            mappings = [side.place(n).spoke.mapping for n in side.names]
            looked_up = sizes(mappings, self._tables[side.connection])
            for resource, rows in looked_up.items():
                with _plugin_errors(side.connector, side.connection):
                    way = side.connector.resource(resource).way("list")
                run.cost(side, way, max(rows, 1), reading=True)
        return run

    async def _hold_to_pilot(self, run: JobRun) -> None:
        """Hold a run to the pilot of its job, or to what another job's pilot needs of it."""
        mine = run.job.name
        if run.job.pilot is not None:
            await pilot.choose(run, run.job.pilot)
            run.pilot = self.store.pilot(mine)
            return
        held: set[str | None] = set()
        for child in self.project.jobs.values():
            routes, _ = self._routes(child)
            if mine not in {r.job for r in routes.values()}:
                continue
            if child.pilot is None:
                pilot.end(self.store, mine, child.name)
                held.add("free")
                continue
            other = await self._run(child, run.number, _ALL, run.progress, None)
            await pilot.choose(other, child.pilot)
            held.add(self.store.fact(mine, "left", pilot.held_by(child.name)))
        if "held" in held and "free" not in held:
            run.pilot = self.store.pilot(mine)

    def _drop_old_plans(self, job: str, keep: str | None) -> None:
        before = self.clock.now() - timedelta(seconds=self.project.plan_ttl)
        self.store.drop_plans(job, before, keep=keep or "")
        self.store.expire(self.clock.now())

    def _receipt(
        self,
        job: str,
        number: int,
        run: JobRun | None,
        error: BaseException | None,
        started: float,
    ) -> Receipt:
        receipt = Receipt(job, number)
        receipt.calls = self._spent()
        receipt.seconds = self.clock.monotonic() - started
        with contextlib.suppress(StoreError):
            receipt.open = self.store.open_counts(job)
        if run is not None:
            t = run.tally
            for name, n in t.document().items():
                setattr(receipt, name, n)
            receipt.read = t.read if error is None else sum(t.outcomes.values())
            receiving = [run.other(s).connection for s in run.sources]
            receipt.writes = {c: t.writes[c] for c in sorted(receiving)}
            receipt.new = {
                "conflicts": t.new_conflicts,
                "dead_letters": t.new_letters,
                "stale": t.new_stale,
            }
            receipt.unreadable, receipt.drift = dict(t.unreadable), t.drift
            receipt.exposed = run.exposed
            receipt.samples, receipt.unbased = dict(t.samples), dict(t.unbased)
            receipt.notes = (*run.notes, *(_left_out(f) for f in run.plan.left_out))
        if error is not None:
            receipt.status = _status(error)
            if isinstance(error, HubError):
                receipt.error = {"code": error.code, "message": str(error)}
        elif any(receipt.new.values()):
            receipt.status = "partial"
        return receipt

    def _spent(self) -> dict[str, dict[str, int]]:
        """The calls of this run so far, by connection and bucket."""
        return {n: dict(x.calls) for n, x in self._ledgers.items() if x.calls}

    def _looked(self, run: int, document: Mapping[str, Any]) -> None:
        """A run that only looked is through: what it found, and the calls it took."""
        told = {**document, "spent": self._spent()}
        self.store.end_run(run, "done", told, self.clock.now())

    def _end(self, receipt: Receipt) -> None:
        with contextlib.suppress(StoreError):
            self.store.end_run(
                receipt.run, receipt.status, receipt.document(), self.clock.now()
            )

    async def plan(
        self, job: str, *, options: Options = _ALL, progress: Progress = _silent
    ) -> Plan:
        """What the job would do now. Writes to no vendor; the plan is kept for ``apply``.

        Raises:
            HubError: as the vendors and the state have it.
        """
        self._new_ledgers(None)
        async with self._running(job, "plan", options, progress) as run:
            run.planning = True
            await syncing.plan(run)
            self._keep(run, "kept")
            self._looked(run.number, run.plan.document())
            return run.plan

    def _keep(self, run: JobRun, state: PlanState) -> None:
        """Keep a run's plan, with what carrying it out would cost and mean."""
        self._promise(run)
        look_out(run)
        self.store.save_plan(
            run.plan.id,
            run.job.name,
            syncing.plan_document(run),
            self.clock.now(),
            state=state,
        )

    def _promise(self, run: JobRun) -> None:
        """Calls per connection and bucket that neither ``sync`` nor ``apply`` will exceed."""
        for side in run.sides:
            name = side.connection
            spent = self._ledgers[name].calls
            again = run.rereads.get(name, Counter())
            costs = run.costs.get(name, Counter())
            calls = {}
            for bucket in sorted({*spent, *again, *costs}):
                reading = max(spent.get(bucket, 0), again.get(bucket, 0) + 3)
                exact = reading + costs.get(bucket, 0)
                calls[bucket] = exact + int(exact * RESERVE) + 3
            run.plan.calls[name] = calls
            left = self._live[name].client.left()
            if left:
                run.plan.remaining[name] = left
            for limit in side.connector.limits():
                if limit.kind == "rolling" and limit.bucket in calls:
                    needed = calls[limit.bucket] / limit.amount * limit.per
                    run.plan.seconds = max(run.plan.seconds, needed)

    async def sync(
        self,
        job: str,
        *,
        options: Options = _ALL,
        max_calls: int | None = None,
        progress: Progress = _silent,
    ) -> Receipt:
        """Plan and apply one job; a plan beyond ``apply: when`` is kept, and waits for a person.

        While one waits nothing is planned or written: the receipt's status is ``waiting``.

        Raises:
            HubError: what the run had done by then is its ``receipt``.
        """
        self._new_ledgers(max_calls)
        started = self.clock.monotonic()
        async with self._running(job, "sync", options, progress) as run:
            waits = self._waiting(job)
            waiting = waits.plan.id if waits else None
            if waits is not None:
                run.note(already_waits(waits, self.project.plan_ttl))
            elif not await syncing.sync(run):
                self._keep(run, "waiting")
                waiting = run.plan.id
            receipt = self._receipt(job, run.number, run, None, started)
            if waiting is not None:
                receipt.status, receipt.plan = "waiting", waiting
            self._end(receipt)
            return receipt

    async def run(self, tell: Tell, *, progress: Progress = _silent) -> None:
        """Keep all jobs to their ``every``, until cancelled; ``tell`` hears of every run.

        Raises:
            ConfigError: no job has an ``every``.
        """
        every = {n: self.job(n).every for n in self.jobs_in_order()}
        kept = {n: seconds for n, seconds in every.items() if seconds}
        if not kept:
            raise ConfigError(
                "no job has `every`: there is nothing to run",
                where=str(self.project.file),
                hint="say how often a job is synced, as `every: 15m`",
            )
        agenda = Agenda.of(kept, self.store.last_syncs(), self.clock)
        await Keeper(
            agenda,
            lambda name: self.sync(name, progress=progress),
            lambda name: standing.holds(self.store, self.job(name), self._credentials),
            tell,
            lambda receipt: self.notify([receipt]),
        ).keep()

    async def notify(self, receipts: Iterable[Receipt]) -> list[str]:
        """Tell those under ``notify:`` what these runs changed; a line for each that could not be told."""
        if not self.project.notify:
            return []
        try:
            found = facts(receipts, self.store.standings(), self.project.connections)
            return await notices.tell(
                self.store, self.clock, self._receivers(), found, self._deliver
            )
        except StoreError as e:
            return [f"no notice was sent: {e.message}"]

    async def try_notify(self) -> list[tuple[Receiver, str]]:
        """Send a test to each receiver: with what kept it from being delivered, or nothing."""
        found = []
        for receiver in self.project.notify:
            failed = await notices.attempt(self._deliver(receiver, ()))
            found.append((receiver, notices.said(failed) if failed else ""))
        if self._stateful:
            good = {id(receiver) for receiver, why in found if not why}
            for name, receiver in self._receivers().items():
                if id(receiver) in good:
                    self.store.clear_untold(name)
        return found

    def untold(self) -> list[tuple[Receiver, str, datetime]]:
        """Receivers that could not be told: why, and since when."""
        found = []
        if not self._stateful:
            return []
        for name, receiver in self._receivers().items():
            why = self.store.untold(name)
            if why is not None:
                found.append((receiver, *why))
        return found

    def _receivers(self) -> dict[str, Receiver]:
        """By the name that the state knows them by."""
        _ = self.store
        assert self._vault is not None  # noqa: S101 - the store is open
        key = self._vault.derive("notices")
        return {change_hash(key, r.identity()).hex(): r for r in self.project.notify}

    async def _deliver(self, receiver: Receiver, news: Sequence[News]) -> None:
        message = Message(self.project.folder.name, self.project.profile, news)
        await Postman(self.secrets, self.clock).deliver(receiver, message)

    def pause(self, name: str, *, why: str = "", who: str = "") -> Standing:
        """Hold a job, or all jobs of a connection: nothing is written for them until ``resume``.

        Raises:
            ConfigError: the project has no such job or connection.
        """
        what, found = self._named(name)
        held = Standing(what, found, "paused", self.clock.now(), who, why)
        self.store.set_standing(held)
        return held

    def resume(self, name: str) -> tuple[str, str, bool]:
        """Let a job or a connection go on: (what it is, its name, whether it was held)."""
        what, found = self._named(name)
        return what, found, self.store.clear_standing(what, found)

    def standings(self) -> list[Standing]:
        """What is paused, and which connections must be reconnected."""
        return self.store.standings()

    def overdue(self) -> list[tuple[str, datetime | None, str]]:
        """Jobs that did not run for twice their ``every`` though nothing holds them.

        Each with when it ran last, None for never, and how that run ended.
        """
        last = self.store.last_syncs() if self._stateful else {}
        held = self.store.standings() if self._stateful else []
        return schedule.overdue(
            self.project.jobs.values(), last, held, self.clock.now()
        )

    def rivals(self) -> list[Rival]:
        """Users that were seen changing what the hub had just written, more than by chance."""
        return [r for r in self.store.rivals() if rivals.is_told(r)]

    def key_saved(self) -> str | None:
        """Since when a copy of the key is known to be kept elsewhere; None where it is not."""
        return self.store.remembered(_KEY_SAVED)

    def confirm_key(self, copy: str) -> None:
        """Remember that the key is kept elsewhere, as whoever holds a copy of it shows.

        Raises:
            ConfigError: the copy is another key.
        """
        _ = self.store
        key = self.secrets.read(self.project.key).strip()
        if not hmac.compare_digest(copy.strip().lower().encode(), key.lower().encode()):
            raise ConfigError(
                "this is not the key of the state",
                where=self.project.key_at,
                hint="make the copy anew; the key itself is not shown",
            )
        self.store.remember(_KEY_SAVED, self.clock.now().isoformat())

    def _named(self, name: str) -> tuple[Held, str]:
        p = self.project
        return standing.named(
            name, {"job": p.jobs, "connection": [*p.connections, *p.broken]}
        )

    async def apply(
        self,
        plan: Plan | str,
        *,
        allow_deletes: int | None = None,
        progress: Progress = _silent,
    ) -> Receipt:
        """Carry out a kept plan, exactly: what moved since is stale, nothing else is done.

        This is what approves a plan: who did it, and when, is remembered.

        Args:
            plan: the plan or its id.
            allow_deletes: how many records it may delete, whatever the job's guard says.
            progress: told how far it is.

        Raises:
            ConfigError: there is no such plan.
            PlanStale: it was decided, is too old, or job, mapping or account changed.
        """
        number = plan.id if isinstance(plan, Plan) else plan
        row = self._approvable(number)
        job = row.job
        self._new_ledgers(None)
        for name, promised in row.document["plan"]["calls"].items():
            self._ledger(name).promised = promised
        started = self.clock.monotonic()
        if allow_deletes is None:
            allow_deletes = row.document["allow_deletes"]
        options = Options(allow_deletes=allow_deletes)
        carry_out = (
            undoing.apply_undo if row.document["plan"]["undoes"] else syncing.apply
        )
        async with self._running(job, "apply", options, progress, number) as run:
            document = {"needs": self._approvable(number).needs}
            await carry_out(run, document, lambda: self._decide(number, "begun"))
            self._decide(number, "applied")
            receipt = self._receipt(job, run.number, run, None, started)
            self._end(receipt)
            return receipt

    async def undo(self, run: int, *, progress: Progress = _silent) -> Plan:
        """What brings both sides back to where they were before a run. Writes to no vendor.

        The plan is kept for ``apply``; what cannot be brought back is among its ``changes``.

        Raises:
            ConfigError: there is no such run, or nothing is known of what it wrote.
        """
        job = self._run_of(run)
        self._new_ledgers(None)
        async with self._running(job, "undo", _ALL, progress) as undoes:
            undoes.planning = True
            pointing = self._pointing(self.job(job))
            if not await undoing.plan_undo(undoes, run, pointing):
                raise ConfigError(
                    f"nothing is known that run {run} wrote",
                    hint="a plan writes nothing; what a run wrote is kept for 30 days",
                )
            self._keep(undoes, "kept")
            self._looked(undoes.number, undoes.plan.document())
            return undoes.plan

    def _run_of(self, number: int) -> str:
        """The job of a run."""
        job = self.store.job_of(number)
        if job is None:
            raise ConfigError(
                f"there is no run {number}", hint="see `connector-hub runs`"
            )
        return job

    def _pointing(self, job: Job) -> list[undoing.Pointing]:
        """Link fields of other jobs that lead to this one's records."""
        found = []
        ours = {s: job.side(s).connection for s in SIDES}
        for other in self.project.jobs.values():
            theirs = {other.side(s).connection: s for s in SIDES}
            if set(ours.values()) != set(theirs):
                continue
            ends = {
                s: (self.store.pinned(c) or "", other.side(s))
                for c, s in theirs.items()
            }
            sides = {s: theirs[c] for s, c in ours.items()}
            links = self.project.entity(other.entity).links()
            found += [
                undoing.Pointing(other.name, name, sides, ends)
                for name, to in links.items()
                if to == job.entity
            ]
        return found

    def plans(self, job: str | None = None) -> list[Kept]:
        """The latest plans, newest first, and how each stands now."""
        return [self._stands(row) for row in self.store.plans(job)]

    def _waiting(self, job: str) -> Kept | None:
        """The plan that holds a job's syncs, if it can still be approved."""
        found = map(self._stands, self.store.plans(job, state="waiting"))
        return next((k for k in found if k.state == "waiting"), None)

    def kept(self, plan: str) -> Kept:
        """One plan that was kept, and how it stands now.

        Raises:
            ConfigError: there is no such plan.
        """
        return self._stands(self._row(plan))

    def approvable(self, plan: str) -> Kept:
        """A plan that ``apply`` would carry out, as far as can be said without asking a vendor.

        Raises:
            ConfigError, PlanStale: as ``apply``.
        """
        self._approvable(plan)
        return self.kept(plan)

    def reject(self, plan: str) -> Kept:
        """Drop a plan: its records are looked at again by the next sync, as if it had never been made.

        Raises:
            ConfigError: there is no such plan.
            PlanStale: it was decided already.
            Locked: it is being carried out.
        """
        row = self._row(plan)
        with job_lock(self.state_path, row.job):
            if self._row(plan).state not in OPEN:
                raise refusal(self._stands(self._row(plan)))
            with self.store.transaction():
                self._decide(plan, "rejected")
                self.store.drop_windows(row.job, plan)
        return self.kept(plan)

    def _decide(self, plan: str, state: PlanState) -> None:
        self.store.end_plan(plan, state, self.clock.now(), person())

    def _row(self, plan: str) -> KeptRow:
        row = self.store.plan(plan)
        if row is None:
            raise ConfigError(
                f"there is no plan {plan!r}",
                where=str(self.project.file),
                hint=did_you_mean(plan, self.store.plan_ids())
                + " see `connector-hub plans list`",
            )
        return row

    def _approvable(self, plan: str) -> KeptRow:
        row = self._row(plan)
        stands = self._stands(row)
        if not stands.open:
            raise refusal(stands)
        return row

    def _stands(self, row: KeptRow) -> Kept:
        """How a plan stands: what it was made from is compared with the files as they are."""
        now = self.clock.now()
        return stands(
            row, lambda: self._prints(row), self._place, now, self.project.plan_ttl
        )

    def _prints(self, row: KeptRow) -> Mapping[str, Any] | None:
        """What the plan's job is made from now; None where there is no such job any more."""
        job = self.project.jobs.get(row.job)
        if job is None:
            return None
        try:
            _, left = self._routes(job)
            spokes = [self._spokes(job, side, left) for side in SIDES]
        except PluginError:  # told when the plugin is needed
            known: Mapping[str, Any] = row.document["prints"]
            return known
        homes = [self.store.pinned(job.side(side).connection) for side in SIDES]
        return prints(job, spokes, homes, [self._key_field(job, n) for n in SIDES])

    def _key_field(self, job: Job, side: SideName) -> str | None:
        """Where a side's record keys are kept."""
        at = self.connection(job.side(side).connection)
        if at.key_field != "default":
            return at.key_field
        return self.plugins.connector(at.connector).key_field

    def _place(self, job: str, step: Step) -> str:
        """Where that stands which has changed since a plan was made."""
        match step:
            case ("age",):
                return self.project.place("plan_ttl")
            case ("entity",):
                return self.project.words.entities[self.job(job).entity][1].file
            case ("rule" | "mapping", "left" | "right" as side, resource, *field):
                at = self.job(job).side(side).connection
                connector, entity = (
                    self.connection(at).connector,
                    self.job(job).entity,
                )
                return self.project.place_of_rule(
                    entity, connector, resource, "fields", *field
                )
            case ("account" | "key", "left" | "right" as side):
                return self.project.place(
                    "connections", self.job(job).side(side).connection
                )
        return self.project.place("jobs", job)

    async def match(
        self,
        job: str,
        each: Callable[[Found], None],
        *,
        progress: Progress = _silent,
    ) -> Mapping[str, int]:
        """Who is whom in a job's two accounts, both read wholly: how many of each kind.

        Writes to no vendor and links nothing; ``each`` is told every record or pair.

        Raises:
            HubError: as the vendors and the state have it.
        """
        self._new_ledgers(None)
        options = Options(full=True)
        async with self._running(job, "match", options, progress) as run:
            run.planning = True
            run.job = replace(run.job, direction="both", create="both")
            counts = await matching.match_sides(run, each)
            self._looked(run.number, {"job": job, "match": counts})
            return counts

    async def link(self, job: str, pairs: Iterable[tuple[int, str, str]]) -> int:
        """Link what a person says belongs together: (line of a file, left id, right id); how many are new.

        Raises:
            ConfigError: a record is unknown, named twice, or linked to another; nothing has been linked.
        """
        self._new_ledgers(None)
        async with self._running(job, "link", _ALL, _silent) as run:
            made = await matching.link_pairs(run, pairs)
            self._looked(run.number, {"job": job, "linked": made})
            return made

    async def unlink(self, job: str, left: str, right: str) -> None:
        """Two linked records are two things from now on; writes to no vendor.

        Raises:
            ConfigError: the two are not linked.
        """
        self._new_ledgers(None)
        async with self._running(job, "link", _ALL, _silent) as run:
            matching.unlink_pair(run, left, right)
            self._looked(run.number, {"job": job, "unlinked": [left, right]})

    def trace(self, job: str, record: str) -> list[Known]:
        """All records, of any job, that are one thing with a job's record; the record itself among them."""
        hubs: set[bytes] = set()
        for side in SIDES:
            end = self.job(job).side(side)
            home = self.store.pinned(end.connection) or ""
            for resource in end.resources:
                vendor_id = record.removeprefix(f"{resource}/")
                found = self.store.links(home, resource, [vendor_id])
                hubs |= {k.hub for k in found.values()}
        at = {self.store.pinned(name): name for name in self.project.connections}
        return [
            Known(spelled(hub), at.get(account, account), resource, vendor_id, gone)
            for hub, account, resource, vendor_id, gone in self.store.things(hubs)
        ]

    def links(self, job: str) -> Iterator[tuple[str, str]]:
        """Linked records of a job: (left id, right id)."""
        ends = []
        for side in SIDES:
            end = self.job(job).side(side)
            home = self.store.pinned(end.connection)
            if home is None:
                return
            ends.append([(home, r) for r in end.resources])
        left, right = (self.job(job).side(side) for side in SIDES)
        for mine in ends[0]:
            for theirs in ends[1]:
                for a, b in self.store.pairs(mine, theirs):
                    yield left.known_as(mine[1], a), right.known_as(theirs[1], b)

    def changes(self, plan: Plan) -> Iterable[Shown]:
        """The writes of a kept plan in the hub's words: personal data, for a person's eyes."""
        job = self.job(plan.job)
        spokes: dict[SideName, Spoke] = {
            side: self._offline_spoke(job, side) for side in SIDES
        }
        for _, changes in self.store.windows(plan.job, plan.id):
            for change in changes:
                for side in change.writes() or [change.here] * change.undoes:
                    yield _shown(change, side, spokes, job.side(side).connection)

    def _offline_spoke(self, job: Job, side: SideName) -> Spoke:
        _, left = self._routes(job)
        spokes = self._spokes(job, side, left)
        return unite(spokes) if job.side(side).one_of else next(iter(spokes.values()))

    async def why(self, what: str, record: str, name: str) -> list[explaining.Why]:
        """Why a field of a record holds what it holds, in each job that knows the record.

        Args:
            what: an entity, or a job.
            record: a record's id on either side, or a hub id.
            name: the field, in the hub's words.

        A vendor that does not answer leaves its side's value unknown.

        Raises:
            ConfigError: there is no such entity, job or field, or no job knows the record.
        """
        jobs = {n: j for n, j in self.project.jobs.items() if what in {n, j.entity}}
        if not jobs:
            known = {
                *self.project.jobs,
                *(j.entity for j in self.project.jobs.values()),
            }
            raise ConfigError(
                f"there is no job, and no job's entity, {what!r}",
                hint=did_you_mean(what, known),
            )
        found = []
        for job in jobs.values():
            fields = self.project.entity(job.entity).fields
            if name not in fields:
                raise ConfigError(
                    f"entity {job.entity} has no field {name!r}",
                    hint=did_you_mean(name, fields),
                )
            ends = self._ends_of(job)
            subject = explaining.find(self.store, job.name, ends, record)
            if subject is not None:
                for side in SIDES:
                    with contextlib.suppress(AuthError, VendorError):
                        await self._look_up(job.entity, job.side(side))
                ends = self._ends_of(job)
                raws = {e.name: r for e in ends if (r := await self._held(e, subject))}
                rules = {e.name: self._rule_at(job, e, subject, name) for e in ends}
                found.append(
                    explaining.explain(
                        self.store, job, ends, subject, name, raws, rules
                    )
                )
        if not found:
            raise ConfigError(
                f"no job of {what} knows a record {record!r}",
                hint="give the id that either vendor shows; the first sync reads them",
            )
        return found

    def _ends_of(self, job: Job) -> tuple[explaining.End, explaining.End]:
        return self._end_of(job, "left"), self._end_of(job, "right")

    def _end_of(self, job: Job, name: SideName) -> explaining.End:
        at = job.side(name)
        spokes = self._spokes(job, name, self._routes(job)[1])
        spoke = unite(spokes) if at.one_of else spokes[at.resource]
        home = self.store.pinned(at.connection) or ""
        assert self._vault is not None  # noqa: S101 - the line above has opened the store
        key = self._vault.derive("base")
        bases = Bases(self.store, job.name, name, spoke, key, self._vault)
        return explaining.End(name, at, home, spoke, spokes, bases)

    async def _held(
        self, end: explaining.End, subject: explaining.Subject
    ) -> Raws | None:
        """What a side's record holds now; None where it is not there or the vendor does not answer."""
        record, gone = subject.records.get(end.name, ("", True))
        if gone:
            return None
        resource, vendor_id = end.place(record)
        want = end.spokes[resource].want
        try:
            live = await self.connect(end.at.connection)
            with _plugin_errors(live.connector, end.at.connection):
                found = await live.connector.fetch(resource, [vendor_id], want)
        except (AuthError, VendorError):
            return None
        return next(
            (end.raws(r, resource) for r in found if isinstance(r, Record)), None
        )

    def _rule_at(
        self, job: Job, end: explaining.End, subject: explaining.Subject, name: str
    ) -> str:
        connector = self.project.connections[end.at.connection].connector
        record, _ = subject.records.get(end.name, ("", True))
        resource = end.place(record)[0]
        return self.project.rule_at(job.entity, connector, resource, name)

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        return self.store.runs(job)

    def report(self, since: timedelta) -> reporting.Report:
        """What all jobs did in the time up to now: numbers, causes and calls, no value of a record.

        Dead letters that closed more than 30 days ago are forgotten, conflicts and runs after 90.
        """
        until = self.clock.now()
        begin = (until - since).isoformat()
        runs = self.store.runs_since(begin)
        found = reporting.gather(begin, until.isoformat(), self.jobs_in_order(), runs)
        for job in found.jobs:
            asked = self.store.questions(job.job, begin)
            job.conflicts = reporting.Open(*asked["conflict"])
            job.dead_letters = reporting.Open(*asked["dead_letter"])
            job.causes = causes(self.store.letters(job.job))
        return found

    def conflicts(self, job: str | None = None) -> list[Conflict]:
        """What waits for a person's decision."""
        return self.store.conflicts(job)

    def conflict(self, number: int) -> Conflict:
        """One open conflict.

        Raises:
            ConfigError: there is none of that number.
        """
        found = self.store.conflicts(None, number)
        if not found:
            raise ConfigError(
                f"there is no open conflict {number}",
                hint="see `connector-hub conflicts list`",
            )
        return found[0]

    def resolve(
        self, conflict: Conflict, winner: SideName, fields: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Say which side is right about fields that both sides changed; the next sync carries it out.

        Args:
            conflict: an open one of kind ``fields``.
            winner: the side whose values stay.
            fields: those that are meant; none for all of them.

        One of kind ``unknown outcome`` is closed, and its record created again: whoever says so has looked.

        Returns:
            The fields that are decided.

        Raises:
            ConfigError: it is of another kind, or not about such a field.
        """
        if conflict.kind == UNKNOWN:
            return self._try_again(conflict)
        if conflict.kind != FIELDS:
            raise ConfigError(
                f"conflict {conflict.id} ({conflict.kind}) is resolved at the vendor",
                hint=KINDS.get(conflict.kind, ""),
            )
        asked = conflict.fields
        for name in fields:
            if name not in asked:
                raise ConfigError(
                    f"conflict {conflict.id} is not about {name!r}",
                    hint=f"it is about {', '.join(asked)}",
                )
        meant = tuple(n for n in asked if not fields or n in fields)
        now = self.clock.now()
        with self.store.transaction():
            for name in meant:
                hub = bytes.fromhex(str(conflict.detail["hub"]))
                self.store.decide(
                    conflict.job, hub, name, winner, conflict.detail["seen"][name], now
                )
            for side in self.job(conflict.job).read_from:
                rows = [(r, "decided") for s, r in conflict.members if s == side]
                self.store.look_again(conflict.job, side, rows)
        return meant

    def _try_again(self, conflict: Conflict) -> tuple[str, ...]:
        """A person has looked: what was never answered is not there, and may be sent again."""
        now = self.clock.now()
        with self.store.transaction():
            for side, record in conflict.members:
                self.store.close_conflicts(conflict.job, side, [record], now)
                self.store.look_again(conflict.job, side, [(record, "decided")])
        return ()

    def decide(self, file: str, rows: Iterable[deciding.Row]) -> list[deciding.Decided]:
        """Resolve conflicts as a sheet says: all of its lines, or none.

        Args:
            file: its name, for messages.
            rows: its lines with the columns number, field and take.

        Raises:
            Mistakes: every line that is wrong; nothing has been done.
        """
        asked = deciding.Deciding(
            file,
            {c.id: c for c in self.store.conflicts()},
            self.store.had_conflict,
            lambda job: self.job(job).sides_by_word,
        )
        decided = asked.read(rows)
        with self.store.transaction():
            for d in decided:
                self.resolve(d.conflict, d.winner, d.fields)
        return decided

    async def members(
        self, conflict: Conflict
    ) -> list[tuple[str, str, Mapping[str, Any]]]:
        """A conflict's records as they are now, in the hub's words: (connection, id, view)."""
        job = self.job(conflict.job)
        views = await self.views([conflict])
        return [
            (job.side(s).connection, r, views[conflict.job, s, r])
            for s, r in conflict.members
            if (conflict.job, s, r) in views
        ]

    async def views(
        self, conflicts: Iterable[Conflict]
    ) -> dict[tuple[str, SideName, str], Mapping[str, Any]]:
        """The records of conflicts as they are now, in the hub's words, by job, side and id."""
        asked: dict[tuple[str, SideName], list[str]] = {}
        for c in conflicts:
            for side_name, record in c.members:
                asked.setdefault((c.job, side_name), []).append(record)
        found: dict[tuple[str, SideName, str], Mapping[str, Any]] = {}
        for (name, side_name), ids in asked.items():
            side = await self._side(self.job(name), side_name, ())
            here, _ = await fetch(side, list(dict.fromkeys(ids)))
            words = self.project.entity(self.job(name).entity).fields
            for s in here.values():
                view = side.spoke.view(s.raws)[0]
                shown = {n: v for n, v in view.items() if n in words}
                found[name, side_name, s.id] = shown
        return found

    def dead_letters(self, job: str | None = None) -> list[DeadLetter]:
        """Changes that vendors refused."""
        return self.store.letters(job)

    def dead_letter(self, number: int) -> DeadLetter:
        """One open dead letter.

        Raises:
            ConfigError: there is none of that number.
        """
        found = self.store.letters(None, number)
        if not found:
            raise ConfigError(
                f"there is no open dead letter {number}",
                hint="see `connector-hub dead-letters list`",
            )
        return found[0]

    async def mend(self, letter: DeadLetter, values: Mapping[str, str]) -> Mended:
        """Write corrected values to the record whose values were refused, as a person's edit at the source.

        Args:
            letter: an open one.
            values: by field, as people write them; empty to clear one.

        The other side is not touched: ``replay``, or the next sync, takes the edit along.

        Raises:
            ConfigError: a field or value is not one, or cannot be written there, or the record has changed
                since it was refused; nothing has been written.
            VendorError: the vendor refuses the edit, too.
        """
        self._new_ledgers(None)
        started = self.clock.monotonic()
        async with self._running(letter.job, "edit", _ALL, _silent) as run:
            left = await mending.mend(run, letter, values)
            receipt = self._receipt(letter.job, run.number, run, None, started)
            self._end(receipt)
            at = self.job(letter.job).side(letter.side).connection
            return Mended(run.number, at, letter.record, left)

    async def replay(
        self,
        job: str,
        numbers: Sequence[int] | None = None,
        *,
        progress: Progress = _silent,
    ) -> Receipt:
        """Try refused changes again, from what the source holds now and today's mapping."""
        wanted = [
            d
            for d in self.store.letters(job)
            if numbers is None or d.id in set(numbers)
        ]
        for side in self.job(job).read_from:
            rows = [(d.record, "replay") for d in wanted if d.side == side]
            self.store.look_again(job, side, rows)
        return await self.sync(job, options=Options(inbox_only=True), progress=progress)

    async def view(
        self, connection: str, entity: str, since: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Records of a connection in the hub's words, read only.

        Args:
            connection: a connection of the project.
            entity: what to read them as; of several resources that hold such, the one that a job uses.
            since: an ISO date or instant; records not changed since are left out.
        """
        live = await self.connect(connection)
        in_use = (
            end.resource
            for job in self.project.jobs.values()
            for end in (job.left, job.right)
            if (job.entity, end.connection) == (entity, connection)
        )
        mapping = self.project.mapping_at(connection, entity, next(in_use, None))
        await self._look_up(entity, Side(connection, mapping.resource))
        spoke = self._spoke(self.project.entity(entity), mapping, connection)
        from_ = datetime.fromisoformat(since) if since else None
        if from_ is not None and from_.tzinfo is None:
            from_ = from_.replace(tzinfo=UTC)
        side = LiveSide(
            name="left",
            connection=connection,
            account=live.account,
            connector=live.connector,
            resource=live.connector.resource(mapping.resource),
            spoke=spoke,
            want=spoke.want,
            bases=None,  # type: ignore[arg-type]
            identities=None,  # type: ignore[arg-type]
        )
        async for page in pages(side, "changed", None):
            for record in page.records:
                if not isinstance(record, Record):
                    continue
                if (
                    from_ is not None
                    and record.changed is not None
                    and record.changed < from_
                ):
                    continue
                view, _ = spoke.view(spoke.raws(record.fields, record.links))
                yield {"id": record.id, **view}


def _shown(
    change: Change, side: SideName, spokes: Mapping[SideName, Spoke], connection: str
) -> Shown:
    """One write of a change, to one side; or what is kept there."""
    if change.undoes:
        return _put_back(change, side, spokes[side], connection)
    source, there = change.seen(across(side)), change.seen(side)
    new = spokes[side].filled(_viewed(spokes[across(side)], source))
    old = _viewed(spokes[side], there)
    fields = tuple(
        FieldChange(n, old.get(n), new.get(n))
        for n in change.fields(side)
        if change.action != "create" or new.get(n) not in (None, ())
    )
    return Shown(
        change.action,
        source.id if source else None,
        there.id if there else None,
        fields,
        change.reason,
        connection,
    )


def _put_back(change: Change, side: SideName, spoke: Spoke, connection: str) -> Shown:
    there = change.seen(side)
    old, new = _viewed(spoke, there), _viewed(spoke, change.image(side))
    fields = tuple(FieldChange(n, old.get(n), new.get(n)) for n in change.fields(side))
    record = there.id if there else None
    return Shown(change.op or "keep", None, record, fields, change.reason, connection)


def _viewed(spoke: Spoke, seen: Seen | None) -> Mapping[str, Any]:
    return spoke.whole(seen.raws)[0] if seen and seen.raws else {}


def _home(live: Live) -> str:
    return f"{live.connector.name}:{live.account.id}"


def _left_out(field: str) -> str:
    return f"field {field} is left out: no job syncs what it links to"


def _status(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, GuardTripped | PlanStale) or (
        isinstance(error, HubError) and error.exit_code == GuardTripped.exit_code
    ):
        return "refused"
    return "failed"


def _as_hub_error(error: BaseException) -> BaseException:
    """The error as the hub tells it: what is not its own came out of a plugin, or is a bug."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, Exception):
        return PluginError(
            f"an unexpected {type(error).__name__} stopped the run",
            hint="run with --debug for the traceback, and report it",
        )
    return error


@contextlib.contextmanager
def _plugin_errors(connector: Any, connection: str) -> Any:
    """What a plugin raises besides the hub's errors is the plugin's mistake, and says so."""
    try:
        yield
    except (HubError, asyncio.CancelledError):
        raise
    except Exception as e:
        raise PluginError(
            f"plugin {connector.name} raised {type(e).__name__}", where=connection
        ) from e


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


@contextlib.asynccontextmanager
async def open_hub(
    path: Path | str = "hub.yaml",
    *,
    profile: str | None = None,
    environ: Mapping[str, str] | None = None,
    transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
    clock: Clock | None = None,
    plugins: Plugins | None = None,
) -> AsyncIterator[Hub]:
    """Open a project.

    Args:
        path: hub.yaml, or the folder it is in.
        profile: one of the file's ``profiles``.
        environ: in place of the process environment.
        transports: httpx transports by connection, for tests: ``httpx.ASGITransport(app=...)``.
        clock: in place of the system's.
        plugins: in place of those installed.

    Raises:
        ConfigError: every mistake in the files, with file, line and column.
    """
    found = plugins or Plugins()
    env = os.environ if environ is None else environ  # noqa: TID251 - the composition root
    project = files.load_project(
        Path(path), profile=profile, environ=env, connectors=found.connector
    )
    hub = Hub(
        project,
        found,
        environ=env,
        clock=clock or SystemClock(),
        transports=transports or {},
    )
    try:
        yield hub
    finally:
        await hub.aclose()


__all__ = ["Hub", "Options", "open_hub", "write_key"]
