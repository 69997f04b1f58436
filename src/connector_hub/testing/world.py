"""A deterministic world: a project between sandboxes in which all that happens follows from one seed.

The hub in it is the real one: its files, its state in SQLite, its HTTP. Time is one ``WorldClock`` for all;
who goes first among calls that are under way, how long they take, ids and retries are drawn from the seed.
Whatever may go wrong does so at the call, or at the commit of the state, for which it was planned.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
    MutableMapping,
)
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import orjson

from connector_hub.adapters import files
from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import HubError
from connector_hub.hub import Hub, Options, open_hub
from connector_hub.model.plan import Receipt
from connector_hub.testing import plain
from connector_hub.testing.clock import WorldClock
from connector_hub.testing.mishaps import Crash, Mishap
from connector_hub.testing.sandbox import Sandbox
from connector_hub.testing.truth import Truth, Who

T = TypeVar("T")
_LATENCIES = (0.0, 0.02, 0.1, 0.4)
_GIVES_WAY = (0, 0, 0, 1, 2, 4)
_TIMEOUT = 30.0
_RETRY_AFTER = 2
_BETWEEN_RUNS = 120.0
_WRITES = ("insert", "update", "delete", "replace", "commit")


_STATE = (
    *("seed", "calls", "commits", "processes", "crashes", "trace", "runs"),
    *("mishaps", "struck", "forgot", "chance", "_order", "_late"),
)


@dataclass(slots=True)
class Run:
    """A sync of every job. ``begin`` and ``until`` are how long the history was; -1 when the hub crashed."""

    begin: int
    until: int = -1
    receipts: list[Receipt] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether every job came to its end."""
        ends = {r.status for r in self.receipts}
        return self.until >= 0 and ends <= {"done", "partial"}


@dataclass(frozen=True, slots=True)
class Saved:
    """A world at one instant."""

    boxes: dict[str, dict[str, Any]]
    held: dict[str, Any]
    truth: tuple[Any, list[Any]]
    at: float
    state: bytes | None


@dataclass(frozen=True, slots=True)
class Call:
    """A request at a vendor's door, whatever became of it. ``at`` is in seconds since the world began."""

    number: int
    at: float
    side: str
    method: str
    path: str
    body: bytes


Meanwhile = Callable[["World", str], None]
"""What a person does on a side when the hub is in the middle of a call to it."""


class World:
    """A project between sandboxes.

    Args:
        folder: where hub.yaml, key, mappings and state are kept.
        project: hub.yaml. Its ``connections:`` are written from the sandboxes.
        sandboxes: by the connection's name; each with ``clock``, or one made from it.
        clock: time for all.
        seed: the same seed gives the same world.
        settings: more keys of connections, by name.
        mappings: texts of mapping files by path in the folder.
        plugins: modules or objects with hooks, besides those installed and the plain vendor.
        meanwhile: what ``person`` mishaps do.
    """

    def __init__(
        self,
        folder: Path,
        project: str,
        sandboxes: Mapping[str, Sandbox],
        *,
        clock: WorldClock,
        seed: int = 0,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        mappings: Mapping[str, str] | None = None,
        plugins: Iterable[Any] = (),
        meanwhile: Meanwhile | None = None,
    ) -> None:
        self.folder = folder
        self.sandboxes = dict(sandboxes)
        self.clock = clock
        self.seed = seed
        self.calls = 0
        self.commits = 0
        self.processes = 0
        self.crashes = 0
        self.trace: list[Call] = []
        self.runs: list[Run] = []
        self.mishaps: dict[tuple[str, int], list[Mishap]] = {}
        self.struck: list[Mishap] = []
        self.forgot = 0
        """How long the history was when the state was lost: nothing the hub knew before can be asked for."""
        self.meanwhile = meanwhile
        self.held: list[sqlite3.Connection] = []
        """Connections to the state: the operating system takes them from a process that is gone."""
        self._dead = False
        self._late: list[tuple[int, str, httpx.Request]] = []
        self._order = Random(f"{seed}/order")  # noqa: S311 - to be repeated
        self.chance = Random(f"{seed}/people")  # noqa: S311 - to be repeated
        self._plugins = Plugins([plain, *plugins])
        self._environ: dict[str, str] = {}
        self._write(project, settings or {}, mappings or {})
        self.project = self._load()
        self.truth = Truth(self.sandboxes, self._watched())

    def _write(
        self,
        project: str,
        settings: Mapping[str, Mapping[str, Any]],
        mappings: Mapping[str, str],
    ) -> None:
        """The project's files. Two sandboxes of one kind have secrets of their own."""
        connections: dict[str, dict[str, Any]] = {}
        for name, sandbox in self.sandboxes.items():
            keys = {**sandbox.connection(), **settings.get(name, {})}
            for variable, secret in sandbox.env().items():
                mine = f"{name.upper()}_{variable}"
                self._environ[mine] = secret
                keys = {
                    k: f"env:{mine}" if v == f"env:{variable}" else v
                    for k, v in keys.items()
                }
            connections[name] = keys
        head = f"connections: {orjson.dumps(connections).decode()}\n"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "hub.yaml").write_text(head + project)
        key = sha256(f"{self.seed}/key".encode()).hexdigest()
        (self.folder / "hub.key").write_text(key)
        (self.folder / "hub.key").chmod(0o600)
        for path, text in mappings.items():
            file = self.folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)

    def _load(self) -> files.Project:
        return files.load_project(
            self.folder,
            profile=None,
            environ=self._environ,
            connectors=self._plugins.connector,
        )

    def rewrite(self, path: str, text: str) -> None:
        """Somebody edits a file of the project, a mapping for one; the next process knows.

        Raises:
            ConfigError: the project does not hold together any more.
        """
        (self.folder / path).write_text(text)
        self.project = self._load()

    def _watched(self) -> dict[tuple[str, str], set[str]]:
        """The paths that the project's mappings are about."""
        found: dict[tuple[str, str], set[str]] = {}
        for job in self.project.jobs.values():
            for side in (job.left, job.right):
                for resource in side.resources:
                    spec = self.project.mapping_at(
                        side.connection, job.entity, resource
                    )
                    paths = found.setdefault((side.connection, resource), set())
                    for rule in spec.rules.values():
                        at = rule.at
                        paths.update([at] if at else [])
        return dict(sorted(found.items()))

    # -- what people and fate do ---------------------------------------------

    def person(self, side: str, resource: str, **body: Any) -> str:
        """Somebody creates or edits a record, in the vendor's own shape; the record's id.

        Raises:
            KeyError: there is no such record.
            ValueError: the vendor would refuse it.
        """
        self._look(side, "hub")
        row = self.sandboxes[side].edit(resource, body)
        self._look(side, "person")
        return str(row.get("id", row.get("Id")))

    def plan(self, *mishaps: Mishap | str) -> None:
        """Let things go wrong at their time."""
        for m in mishaps:
            found = Mishap.parse(m) if isinstance(m, str) else m
            self.mishaps.setdefault((found.where, found.at), []).append(found)

    async def calm(self) -> None:
        """Nothing goes wrong any more; what was under way arrives."""
        self.mishaps.clear()
        await self._arrive(everything=True)

    def rows(self, side: str, resource: str) -> dict[str, dict[str, Any]]:
        """What is there now: the mapped paths of each record, by id."""
        self._look(side, "hub")
        return self.truth.rows[side, resource]

    # -- the hub's processes --------------------------------------------------

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Hub]:
        """The hub, as a process of its own."""
        self.processes += 1
        seed = f"{self.seed}/process {self.processes}"
        async with open_hub(
            self.project,
            environ=self._environ,
            transports={n: _Wire(self, n) for n in self.sandboxes},
            clock=self.clock,
            plugins=self._plugins,
            chance=Random(seed),  # noqa: S311 - to be repeated
            database=_watched_database(self),
        ) as hub:
            yield hub

    async def process(self, work: Callable[[Hub], Awaitable[T]]) -> T | None:
        """Do something with a hub that may crash; None when it did. Its files are as it left them."""
        try:
            async with self.open() as hub:
                return await work(hub)
        except Crash:
            self.crashes += 1
            return None
        finally:
            self._dead = False
            while self.held:
                self.held.pop().close()
            for side in self.sandboxes:
                self._look(side, "hub")

    async def sync(self, **options: Any) -> list[Receipt]:
        """Sync every job once, parents first, in one process; no receipts when it crashed.

        Args:
            options: of ``Options``: full, limit, only, allow_deletes.
        """
        run = Run(len(self.truth.history))
        self.runs.append(run)
        return await self.process(lambda hub: self._run(hub, run, options)) or []

    async def run(self, hub: Hub, **options: Any) -> list[Receipt]:
        """Sync every job once in a process that goes on; as ``sync``."""
        run = Run(len(self.truth.history))
        self.runs.append(run)
        return await self._run(hub, run, options)

    async def _run(
        self, hub: Hub, run: Run, options: Mapping[str, Any]
    ) -> list[Receipt]:
        self.clock.advance(_BETWEEN_RUNS)
        for job in hub.jobs_in_order():
            run.receipts.append(await _sync(hub, job, Options(**options)))
        run.until = len(self.truth.history)
        return run.receipts

    def save(self) -> Saved:
        """All of it as it is now, between two runs, to be begun from again."""
        boxes = {n: s.save() for n, s in self.sandboxes.items()}
        held = {n: _copied(getattr(self, n)) for n in _STATE}
        state = self.folder / "hub.db"
        return Saved(
            boxes,
            held,
            (deepcopy(self.truth.rows), list(self.truth.history)),
            self.clock.monotonic(),
            state.read_bytes() if state.exists() else None,
        )

    def restore(self, saved: Saved, *, seed: int | None = None) -> None:
        """Be as it was when that was saved.

        Args:
            saved: from this world.
            seed: another one from here on; else what follows is what followed then.
        """
        for name, box in saved.boxes.items():
            self.sandboxes[name].restore(box)
        for name, value in saved.held.items():
            setattr(self, name, _copied(value))
        self.truth.rows, self.truth.history = (
            deepcopy(saved.truth[0]),
            list(saved.truth[1]),
        )
        self.clock.set_back(saved.at)
        self._take_state()
        if saved.state is not None:
            (self.folder / "hub.db").write_bytes(saved.state)
        if seed is not None:
            self.seed = seed
            self._order = Random(f"{seed}/order")  # noqa: S311 - to be repeated
            self.chance = Random(f"{seed}/people")  # noqa: S311 - to be repeated

    def lose_state(self, *, key: bool = False) -> None:
        """The state's file is gone; ``key``: another one takes the place of its key, too."""
        self.forgot = len(self.truth.history)
        self._take_state()
        if key:
            other = sha256(f"{self.seed}/another key".encode()).hexdigest()
            (self.folder / "hub.key").write_text(other)

    def _take_state(self) -> None:
        for file in self.folder.glob("hub.db*"):
            file.unlink()

    # -- at every step --------------------------------------------------------

    def breathe(self) -> None:
        """Whether the hub's process is still there.

        Raises:
            Crash: it is not.
        """
        if self._dead:
            raise Crash

    def die(self) -> None:
        """The hub's process is gone.

        Raises:
            Crash: always.
        """
        self._dead = True
        raise Crash

    def _strikes(self, where: str, at: int, *, after: bool) -> list[Mishap]:
        found = [m for m in self.mishaps.get((where, at), ()) if m.after is after]
        self.struck += found
        return found

    def commit(self) -> Callable[[], None]:
        """The state is about to commit; what is to be done when it has.

        Raises:
            Crash: it never comes to that.
        """
        n = self.commits
        self.commits += 1
        if self._strikes("commit", n, after=False):
            self.die()

        def done() -> None:
            if self._strikes("commit", n, after=True):
                self.die()

        return done

    async def call(self, side: str, request: httpx.Request) -> httpx.Response:
        """A request is at a vendor's door."""
        self.breathe()
        for _ in range(self._order.choice(_GIVES_WAY)):
            await asyncio.sleep(0)
            self.breathe()
        self.clock.advance(self._order.choice(_LATENCIES))
        n = self.calls
        self.calls += 1
        path, body = request.url.raw_path.decode(), await request.aread()
        at = self.clock.monotonic()
        self.trace.append(Call(n, at, side, request.method, path, body))
        await self._arrive()
        for m in self._strikes("call", n, after=False):
            answer = self._before(m, side, request)
            if answer is not None:
                return answer
        response = await self._deliver(side, request)
        for m in self.mishaps.get(("call", n), ()):
            if m.kind == "lost":
                raise httpx.ReadError("the connection was reset")
        for m in self._strikes("call", n, after=True):
            answer = self._after(m, side)
            response = answer or response
        self.breathe()
        return response

    def _before(
        self, m: Mishap, side: str, request: httpx.Request
    ) -> httpx.Response | None:
        """What strikes before the vendor has the request; an answer that was none of the vendor's."""
        match m.kind:
            case "crash":
                self.die()
            case "refused":
                raise httpx.ConnectError("connection refused")
            case "reset":
                raise httpx.ReadError("the connection was reset")
            case "late":
                due = self.calls + m.later if m.later else -1
                self._late.append((due, side, request))
                self.clock.advance(_TIMEOUT)
                raise httpx.ReadTimeout("no answer")
            case "busy":
                wait = [(b"retry-after", str(_RETRY_AFTER).encode())]
                return _response(429, wait, b'{"message": "busy"}')
        return self._after(m, side) if m.kind != "lost" else None

    def _after(self, m: Mishap, side: str) -> httpx.Response | None:
        match m.kind:
            case "crash":
                self.die()
            case "error":
                return _response(500, [], b'{"message": "internal error"}')
            case "garbage":
                return _response(200, [], b"<html>Please sign in</html>")
            case "person" if self.meanwhile is not None:
                self.meanwhile(self, side)
        return None

    async def _deliver(self, side: str, request: httpx.Request) -> httpx.Response:
        """The vendor does what it is asked."""
        self._look(side, "hub")
        self.sandboxes[side].tick()
        self._look(side, "person")
        try:
            return await _answered(self.sandboxes[side].app, request)
        finally:
            self._look(side, "hub")

    async def _arrive(self, *, everything: bool = False) -> None:
        """Requests nobody waits for any more reach their vendors."""
        due = [x for x in self._late if everything or 0 <= x[0] <= self.calls]
        self._late = [x for x in self._late if x not in due]
        for _, side, request in due:
            await self._deliver(side, request)

    def _look(self, side: str, who: Who) -> None:
        self.truth.look(side, who, self.calls, self.clock.monotonic())


async def _sync(hub: Hub, job: str, options: Options) -> Receipt:
    try:
        return await hub.sync(job, options=options)
    except HubError as e:
        if isinstance(e.receipt, Receipt):
            return e.receipt
        raise


async def _answered(app: Sandbox, request: httpx.Request) -> httpx.Response:
    """An ASGI app's answer; httpx's own transport does the same at twice the cost."""
    url, body = request.url, await request.aread()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(k.lower(), v) for k, v in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 123),
    }
    told: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        told.append(message)

    await app(scope, receive, send)
    content = b"".join(m.get("body", b"") for m in told[1:])
    return _response(told[0]["status"], told[0].get("headers", []), content)


def _response(
    status: int, headers: list[tuple[bytes, bytes]], content: bytes
) -> httpx.Response:
    """An answer that is still to be read, as one from the wire."""
    stream = httpx.ByteStream(content)
    return httpx.Response(status, headers=headers, stream=stream)


def _copied(value: Any) -> Any:
    """A list's items never change."""
    return list(value) if isinstance(value, list) else deepcopy(value)


class _Wire(httpx.AsyncBaseTransport):
    """A connection's way to its vendor, through the world."""

    def __init__(self, world: World, side: str) -> None:
        self._world = world
        self._side = side

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._world.call(self._side, request)


def _watched_database(world: World) -> type[sqlite3.Connection]:
    """Connections to the state at whose commits a process may crash. What was not committed is gone then."""

    class Watched(sqlite3.Connection):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            world.held.append(self)

        def close(self) -> None:
            """As a process that ends lets go: a cursor somewhere would keep what was begun."""
            with contextlib.suppress(sqlite3.ProgrammingError):
                self.rollback()
            super().close()

        def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
            world.breathe()
            if not self._keeps(sql):
                return super().execute(sql, *values)
            done = world.commit()
            found = super().execute(sql, *values)
            done()
            return found

        def executemany(self, sql: str, rows: Iterable[Any]) -> sqlite3.Cursor:
            world.breathe()
            if not self._keeps(sql):
                return super().executemany(sql, rows)
            done = world.commit()
            found = super().executemany(sql, rows)
            done()
            return found

        def _keeps(self, sql: str) -> bool:
            """Whether a statement ends with something kept."""
            word = sql.lstrip()[:7].split(None, 1)[0].lower()
            return word in _WRITES and (word == "commit" or not self.in_transaction)

    return Watched


__all__ = ["Call", "Crash", "Meanwhile", "Mishap", "World"]
