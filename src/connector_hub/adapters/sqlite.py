"""State in one SQLite file: WAL, one transaction per settled window, values sealed.

A method is a question of the hub's own domain; SQL stays in this file and in ``migrations/``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from connector_hub.adapters.erasing import Erasing, Unsettled, bearers
from connector_hub.adapters.packed import (
    CHANGES,
    ENCODER,
    ENTRIES,
    PREFIX,
    SEEN,
    TOKEN,
    prefixes,
)
from connector_hub.adapters.rekeying import Rekeying
from connector_hub.adapters.vault import Vault
from connector_hub.errors import ConfigError, Locked, StoreError
from connector_hub.model.conflict import Conflict, DeadLetter, Swing
from connector_hub.model.erasure import Found, Held, Person, Recognises, Stone
from connector_hub.model.job import SIDES, SideName
from connector_hub.model.journal import Entry, Page
from connector_hub.model.kept import KeptRow, PlanState
from connector_hub.model.link import Kin, Link
from connector_hub.model.notice import Fact
from connector_hub.model.plan import Change, Seen
from connector_hub.model.standing import Rival, Standing
from connector_hub.ports import Ticket, Token

_CHUNK = 500
_TENANT = 1
_HUB = 16
_BUSY_MS = 5_000
_CACHE_KIB = 16_384
_PAGE = 8192
"""Bytes of a page of a new state: sealed windows go over many, so twice SQLite's own size is cheaper."""
_PLAN = "id, job, made, state, decided, person, document"
_IDLE = "(plan, n) not in (select plan, n from writing where tenant=? and job=?)"
_THING = "(select id from thing where hub=?)"
INTENTS = 7
MESSAGES = 30
"""Days for which values of unsettled writes, and vendors' messages, are kept."""
_OLD_MESSAGES = (
    "dead_letter where tenant=? and payload notnull "
    "and coalesce((select started from run where id=dead_letter.run), opened)<?"
)
_OLD_INTENTS = (
    "writing where tenant=? and coalesce((select started from run where id=writing.run), '')<? "
    "and (job, plan, n) in (select job, plan, n from window where not stripped)"
)
_OLD_RUNS = (
    "run where tenant=? and ended<? "
    "and id not in (select max(id) from run group by tenant, job, kind)"
)
_WITHOUT_VALUES = frozenset({"writes", "rivals", "swings", "runs"})
ROTATED = "key rotated"
"""What is remembered of a rotation, for whoever comes with the old key."""
SCRUB = "scrub"
"""That bytes of what was deleted may still be in the file."""


def _migrations() -> list[str]:
    folder = resources.files("connector_hub.adapters") / "migrations"
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    return [(folder / name).read_text() for name in files]


def _run_of(row: Sequence[Any]) -> dict[str, Any]:
    """A row of the table of runs, with its document."""
    names = ("run", "job", "kind", "started", "ended", "status", "document")
    found = dict(zip(names, row, strict=True))
    found["document"] = orjson.loads(row[-1]) if row[-1] else None
    return found


def _token_at(connection: str) -> bytes:
    """What a sealed token is bound to: one that is moved to another connection does not open."""
    return f"{_TENANT}/{connection}".encode()


class _NotMeant(Exception):
    """What was done was done to be counted, and is taken back."""


class _Upgraded(Exception):
    """Another process was faster."""


def _statements(script: str) -> Iterator[str]:
    """The statements of a script; ``executescript`` would commit before it begins."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


_REMEDY = (
    "restore it from a backup; or remove {0}, {0}-wal and {0}-shm to begin anew: "
    "records are then found again and linked as on the first day"
)
_EXAMINED = "examined"
"""The name under which it is remembered on which day which file was looked through last."""
_SIGNS_OF_DAMAGE = ("malformed", "not a database", "no such table", "decode")
_SIGNS_OF_NO_SPACE = ("full", "disk I/O", "space", "too large")


def _said(error: Exception) -> str:
    """What is wrong, without what stood there: SQLite shows a text that it cannot decode."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return "a text of it cannot be decoded" if "decode" in text else text


def _file_number(path: Path | str) -> tuple[int, int] | None:
    """What tells a file from another one of the same name; None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _give_name(made: Path, path: Path) -> None:
    try:
        path.hardlink_to(made)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        if not path.exists():
            made.rename(path)


class SqliteStore:
    """The state of a project.

    Raises:
        StoreError: the file is locked, full, damaged, or written by a newer version.
        ConfigError: the state exists and the key does not fit it.
    """

    def __init__(
        self,
        path: Path | str,
        vault: Vault,
        database: type[sqlite3.Connection] = sqlite3.Connection,
    ) -> None:
        self.vault = vault
        self.path = path
        self._database = database
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._things: dict[bytes, int] = {}
        self._fence: int | None = None
        self._checked = False
        self._file: tuple[int, int] | None = None
        if path == ":memory:":
            self._open(path)
            self._begin()
        else:
            if not self._is_there(Path(path)):
                self._make(Path(path))
            self._open(path)
            self._file = _file_number(path)
            self._migrate()
        self._check_key()

    def _open(self, path: Path | str) -> None:
        with self._errors():
            self._db = sqlite3.connect(
                path,
                isolation_level=None,
                timeout=_BUSY_MS / 1000,
                factory=self._database,
            )
            self._db.executescript(
                f"pragma page_size={_PAGE}; pragma journal_mode=wal; pragma synchronous=full;"
                "pragma secure_delete=on;"
                f"pragma cache_size=-{_CACHE_KIB}; pragma journal_size_limit=67108864;"
                "pragma cell_size_check=on;"
                "create temp table claimed(side text, record text, owner text, primary key(side, record)) "
                "without rowid;"
            )

    def _is_there(self, path: Path) -> bool:
        """Whether there is a state. What is empty or half gone once was one: it is not begun anew.

        Raises:
            StoreError: nothing but remains is there.
        """
        log = path.with_name(f"{path.name}-wal")
        if path.exists() and path.stat().st_size:
            return True
        if not path.exists() and not (log.exists() and log.stat().st_size):
            return False
        raise StoreError(
            f"{path.name} is {'empty' if path.exists() else f'gone, and {log.name} is there'}",
            where=str(path),
            hint=self._remedy(),
        )

    def _make(self, path: Path) -> None:
        """Make a new state whole, and only then give it its name: what dies in between leaves no half of one.

        Nobody else can read it. Where another process was faster, its state is the state.
        """
        with self._errors():
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            os.close(handle)
            made = Path(name)
            try:
                self._open(made)
                self._begin()
                self._db.close()
                _give_name(made, path)
            finally:
                for suffix in ("", "-wal", "-shm"):
                    Path(name + suffix).unlink(missing_ok=True)

    def _remedy(self) -> str:
        return _REMEDY.format(Path(self.path).name)

    def _begin(self) -> None:
        """All versions' steps, and which key the state is made with."""
        for version, script in enumerate(_migrations()):
            self._upgrade(version, script)
        self._write("insert into meta values('key', ?)", (self.vault.fingerprint(),))

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _migrate(self) -> None:
        steps = _migrations()
        while (version := self._version()) < len(steps):
            if version == 0:
                raise StoreError(
                    "this file is no state of connector-hub",
                    where=str(self.path),
                    hint=f"look at `state:` in hub.yaml; {self._remedy()}",
                )
            with contextlib.suppress(_Upgraded):
                self._upgrade(version, steps[version])
        if version > len(steps):
            raise StoreError(
                f"the state is of version {version}, this program knows {len(steps)}",
                where=str(self.path),
                hint="upgrade connector-hub, or restore the state of this version",
            )

    def _version(self) -> int:
        return int(self._one("pragma user_version")[0])

    def _upgrade(self, version: int, script: str) -> None:
        """One step, unless another process takes it at this moment."""
        with self.transaction():
            if self._version() != version:
                raise _Upgraded
            for statement in _statements(script):
                self._run(statement)
            self._run(f"pragma user_version={version + 1}")

    def _check_key(self) -> None:
        known = self._key_print()
        if known is None:
            self.close()
            raise self._damaged()
        if known != self.vault.fingerprint():
            rotated = self.remembered(ROTATED)
            self.close()
            raise ConfigError(
                "the state was written with another key",
                where=str(self.path),
                hint=f"its key was rotated: {rotated}"
                if rotated
                else "give back the key the state was made with (`key:` in hub.yaml)",
            )
        self.vault.recall(self._earlier_keys())
        self._checked = True

    def _key_print(self) -> bytes | None:
        """The fingerprint of the key that the state is sealed with; None while there is none."""
        row = self._one("select value from meta where name='key'")
        return row[0] if row else None

    def _earlier_keys(self) -> bytes | None:
        row = self._one("select value from meta where name='earlier keys'")
        return row[0] if row else None

    @property
    def is_current(self) -> bool:
        """Whether the state still has the key it was opened with."""
        return self._key_print() == self.vault.fingerprint()

    @property
    def is_outdated(self) -> bool:
        """Whether another process has rotated the key, and nothing is under way here that goes on with it."""
        idle = self._fence is None and not self._db.in_transaction
        return idle and not self.is_current

    def _refuse_old_key(self) -> None:
        """Nothing is sealed or hashed with a key that another process has rotated meanwhile.

        Raises:
            StoreError: that is so; whoever opens the state anew has the new one.
        """
        if self._checked and not self.is_current:
            raise StoreError(
                "the key of the state was rotated by another process",
                where=str(self.path),
                hint="run it again: nothing was written",
            )

    def rekey(self, new: Vault, told: Mapping[str, str]) -> None:
        """Seal and hash everything under another key, or nothing; ``told`` is remembered with it.

        Raises:
            StoreError: the state is damaged, or has no room; the old key is still its key.
        """
        with self.transaction():
            earlier = new.take_over(self.vault)
            Rekeying(self._db, self.vault, new).all()
            rows = {
                "key": new.fingerprint(),
                "earlier keys": earlier,
                **told,
                SCRUB: "key rotate",
            }
            self._many("insert or replace into meta values(?,?)", rows.items())
        self.vault = new

    @property
    def is_clean(self) -> bool:
        """Whether no bytes of what was erased, or sealed with an earlier key, are left in the file."""
        return self.remembered(SCRUB) is None

    def scrub(self) -> None:
        """Write the file anew, so that no bytes of what was deleted or sealed before are left in it.

        Raises:
            StoreError: another process reads the state, or the disk has no room; it is still to be done.
        """
        self._run("vacuum")
        if self._one("pragma wal_checkpoint(truncate)")[0]:
            raise StoreError(
                "another process has the state open: bytes of what was deleted are still in its files",
                where=str(self.path),
                hint="end it, and run this again",
            )
        self._run("delete from meta where name=?", (SCRUB,))

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError, OSError) as e:
            text = _said(e)
            hint = "look at the file and its disk"
            if any(sign in text for sign in _SIGNS_OF_NO_SPACE):
                hint = "free space on the disk, then run again: nothing is lost"
            elif "locked" in text:
                hint = "another program holds the state; try again when it is done"
            elif any(sign in text for sign in _SIGNS_OF_DAMAGE):
                hint = self._remedy()
            raise StoreError(
                f"the state cannot be used: {text}", where=str(self.path), hint=hint
            ) from e

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is kept together, or not at all."""
        if self._db.in_transaction:
            yield
            return
        self._things.clear()
        with self._errors():
            self._db.execute("begin immediate")
        try:
            self.check_fence()
            self._refuse_old_key()
            yield
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("rollback")
            raise
        with self._errors():
            try:
                self._db.execute("commit")
            except sqlite3.Error:
                with contextlib.suppress(sqlite3.Error):
                    self._db.execute("rollback")
                raise

    @contextlib.contextmanager
    def fenced(self, run: int) -> Iterator[None]:
        """What is done inside is done for a run: nothing of it is kept once the job is another run's."""
        self._fence = run
        try:
            yield
        finally:
            self._fence = None

    def check_fence(self) -> None:
        """Whether what is kept and sent from here on is still for the job's latest run, and in its state.

        Raises:
            Locked: another run has begun since, and has ended this one.
            StoreError: the file of that name is another one by now.
        """
        if self._file is not None and _file_number(self.path) != self._file:
            raise StoreError(
                "the state was removed or replaced while it was in use",
                where=str(self.path),
                hint="stop all runs before you restore a state; then run again",
            )
        if self._fence is None:
            return
        row = self._one("select job, ended is null from run where id=?", (self._fence,))
        if row is None or not row[1]:
            job = row[0] if row else "of this run"
            raise Locked(
                f"job {job} was taken over by another run while run {self._fence} stood still",
                where=str(self.path),
                hint="nothing more of this run is kept or sent; see `connector-hub runs`",
            )

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self._errors():
            return self._db.execute(sql, values)

    def _write(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self.transaction():
            return self._run(sql, values)

    def _many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.transaction(), self._errors():
            self._db.executemany(sql, rows)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        with self._errors():
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, values: Any = ()) -> list[Any]:
        with self._errors():
            return self._db.execute(sql, values).fetchall()

    def _rows(self, sql: str, values: Any = ()) -> Iterator[Any]:
        """Rows as they come: what is damaged may show at any of them."""
        with self._errors():
            yield from self._db.execute(sql, values)

    def _in(
        self, sql: str, before: Sequence[Any], values: Iterable[Any]
    ) -> Iterator[Any]:
        """Rows of ``sql`` (with one ``{}`` for the list) over chunks of ``values``."""
        todo = list(values)
        for i in range(0, len(todo), _CHUNK):
            part = todo[i : i + _CHUNK]
            marks = ",".join("?" * len(part))
            yield from self._rows(sql.format(marks), (*before, *part))

    def _place(self, account: str, resource: str) -> int:
        """The number of an account's resource in the rows of its records."""
        at = (_TENANT, account, resource)
        return self._number("place", "account=? and resource=?", at)

    def _side(self, job: str, side: str) -> int:
        """The number of a job's side in the rows of its records."""
        return self._number("side", "job=? and name=?", (_TENANT, job, side))

    def _number(self, table: str, names: str, values: Sequence[Any]) -> int:
        key = (table, *values)
        if key in self._numbers:
            return self._numbers[key]
        query = f"select id from {table} where tenant=? and {names}"  # noqa: S608 - constants
        row = self._one(query, values)
        if row is None:
            self._write(f"insert or ignore into {table} values(null,?,?,?)", values)
            row = self._one(query, values)
        if not self._db.in_transaction:
            self._numbers[key] = int(row[0])
        return int(row[0])

    def _numbered(self, hubs: Collection[bytes]) -> Mapping[bytes, int]:
        """The numbers of things. They are remembered within a transaction: what it made may be undone."""
        if not self._db.in_transaction:
            self._things.clear()
        new = [h for h in hubs if h not in self._things]
        self._things.update(
            self._in("select hub, id from thing where hub in ({})", (), new)
        )
        return self._things

    def pinned(self, connection: str) -> str | None:
        """The account a connection belongs to."""
        row = self._one(
            "select account from account where tenant=? and connection=?",
            (_TENANT, connection),
        )
        return row[0] if row else None

    def pin(self, connection: str, account: str) -> None:
        """Remember the account behind a connection."""
        self._write(
            "insert or replace into account values(?,?,?)",
            (_TENANT, connection, account),
        )

    def token(self, connection: str) -> Token | None:
        """A connection's rotating token."""
        row = self._one(
            "select version, payload from token where tenant=? and connection=?",
            (_TENANT, connection),
        )
        if row is None:
            return None
        clear = self.vault.open(row[1], _token_at(connection), domain="tokens")
        return replace(TOKEN.decode(clear), version=row[0])

    def swap_token(self, connection: str, token: Token) -> Token | None:
        """Keep a token in place of the one of its own version; what is kept, None where that has changed.

        A token must be on the disk before it is used: a transaction around it could still be undone.
        """
        assert not self._db.in_transaction  # noqa: S101 - else the token could be lost
        kept = replace(token, version=token.version + 1)
        sealed = self.vault.seal(
            ENCODER.encode(kept), _token_at(connection), domain="tokens"
        )
        row = (_TENANT, connection, kept.version, sealed)
        with self.transaction():
            done = self._run(
                "insert into token values(?,?,?,?) on conflict(tenant, connection) "
                "do update set version=excluded.version, payload=excluded.payload where version=?",
                (*row, token.version),
            )
        return kept if done.rowcount else None

    def drop_token(self, connection: str) -> bool:
        """Forget a connection's token; whether there was one."""
        done = self._write(
            "delete from token where tenant=? and connection=?", (_TENANT, connection)
        )
        return bool(done.rowcount)

    def links(
        self, account: str, resource: str, records: Collection[str]
    ) -> dict[str, Link]:
        """Links by record id."""
        found = self._in(
            "select record, hub, gone from link cross join thing on thing.id=link.thing "
            "where place=? and record in ({})",
            (self._place(account, resource),),
            records,
        )
        return {r: Link(hub, bool(gone)) for r, hub, gone in found}

    def records(
        self, account: str, resource: str, hubs: Collection[bytes]
    ) -> dict[bytes, tuple[str, bool]]:
        """The record of each hub id at one resource, and whether it is gone."""
        found = self._in(
            "select hub, record, gone from thing "
            "cross join link indexed by link_thing on link.thing=thing.id "
            "where place=? and hub in ({}) order by gone desc",
            (self._place(account, resource),),
            hubs,
        )
        return {hub: (record, bool(gone)) for hub, record, gone in found}

    def tombstones(
        self, account: str, resource: str, records: Collection[str]
    ) -> set[str]:
        """Those of these records that are known as gone."""
        found = self._in(
            "select record from link indexed by link_gone "
            "where place=? and gone=1 and record in ({})",
            (self._place(account, resource),),
            records,
        )
        return {record for (record,) in found}

    def unlisted(
        self, job: str, side: str, account: str, resource: str, *, several: bool
    ) -> list[str]:
        """Linked records that are not in a side's identity index.

        It knows them as ``Resource/id`` where the side is of ``several``.
        """
        found = self._all(
            "select record from link where place=? and not exists"
            "(select 1 from identity where side=? and identity.record=?||link.record)",
            (
                self._place(account, resource),
                self._side(job, side),
                f"{resource}/" if several else "",
            ),
        )
        return [record for (record,) in found]

    def link(self, rows: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Add links: (account, resource, record, hub). Who waited for them is looked at again."""
        listed = list(rows)
        places = {at: self._place(*at) for at in {(a, r) for a, r, _, _ in listed}}
        hubs = dict.fromkeys(h for *_, h in listed)
        with self.transaction():
            self._many(
                "insert or ignore into thing values(null,?)", ((h,) for h in hubs)
            )
            things = self._numbered(hubs)
            self._many(
                "insert or replace into link values(?,?,?,0)",
                ((places[a, r], i, things[h]) for a, r, i, h in listed),
            )
            self._look_at_waiting(listed)

    def _look_at_waiting(self, linked: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Who waited for these links is looked at again."""
        query = "select 1 from waiting where tenant=? limit 1"
        if self._one(query, (_TENANT,)) is None:
            return
        for account, resource, record, _ in linked:
            at = (_TENANT, account, resource, record)
            self._write(
                "insert or replace into inbox select null, tenant, job, side, record, 'link' from waiting "
                "where tenant=? and account=? and resource=? and target=?",
                at,
            )
            self._write(
                "delete from waiting "
                "where tenant=? and account=? and resource=? and target=?",
                at,
            )

    def lose(self, account: str, resource: str, records: Collection[str]) -> None:
        """These records are gone: their links become tombstones."""
        place = self._place(account, resource)
        self._many(
            "update link set gone=1 where place=? and record=?",
            ((place, r) for r in records),
        )

    def things(
        self, hubs: Collection[bytes]
    ) -> list[tuple[bytes, str, str, str, bool]]:
        """All records of these things: (hub, account, resource, record, whether it is gone)."""
        rows = self._in(
            "select hub, account, resource, record, gone from thing "
            "cross join link indexed by link_thing on link.thing=thing.id "
            "cross join place on place.id=link.place where tenant=? and hub in ({})",
            (_TENANT,),
            hubs,
        )
        return [(*row[:4], bool(row[4])) for row in rows]

    def unlink(self, account: str, resource: str, records: Collection[str]) -> None:
        """Forget these records' links, as if they had never been met."""
        place = self._place(account, resource)
        self._many(
            "delete from link where place=? and record=?",
            ((place, r) for r in records),
        )

    def enlist(
        self, job: str, rows: Iterable[tuple[SideName, str]], *, by: str = ""
    ) -> None:
        """Remember records as (side, record) that a pilot holds a job to.

        ``by`` is empty for those that were chosen, else the job that needs them, or that they are heirs.
        """
        self._many(
            "insert or ignore into pilot values(?,?,?,?,?)",
            ((_TENANT, job, side, record, by) for side, record in rows),
        )

    def dismiss(self, job: str, rows: Iterable[tuple[SideName, str]]) -> None:
        """Chosen records leave a pilot."""
        self._many(
            "delete from pilot where tenant=? and job=? and side=? and record=? and by=''",
            ((_TENANT, job, side, record) for side, record in rows),
        )

    def release(self, job: str, by: str) -> None:
        """Forget what a job was held to for another one."""
        self._write(
            "delete from pilot where tenant=? and job=? and by=?", (_TENANT, job, by)
        )

    def chosen(self, job: str) -> set[tuple[SideName, str]]:
        """The records that were chosen for a job's own pilot."""
        return set(
            self._run(
                "select side, record from pilot where tenant=? and job=? and by=''",
                (_TENANT, job),
            )
        )

    def pilot(self, job: str) -> set[tuple[SideName, str]]:
        """All records a job is held to."""
        return set(
            self._run(
                "select side, record from pilot where tenant=? and job=?",
                (_TENANT, job),
            )
        )

    def linked(self, account: str, resource: str) -> int:
        """How many live links a resource has."""
        return int(
            self._one(
                "select count(*) from link where place=? and gone=0",
                (self._place(account, resource),),
            )[0]
        )

    def spelling(self, job: str, side: str, fields: Sequence[tuple[str, str]]) -> int:
        """A number for a list of (field, rule fingerprint): the layout of packed bases."""
        text = orjson.dumps(list(fields)).decode()
        self._write(
            "insert or ignore into spelling values(null,?,?,?,?)",
            (_TENANT, job, side, text),
        )
        row = self._one(
            "select id from spelling where tenant=? and job=? and side=? and fields=?",
            (_TENANT, job, side, text),
        )
        return int(row[0])

    def spelled(self, number: int) -> list[tuple[str, str]]:
        """The fields behind a layout's number."""
        row = self._one("select fields from spelling where id=?", (number,))
        return [(f, p) for f, p in orjson.loads(row[0])] if row else []

    def bases(self, job: str, side: str, hubs: Collection[bytes]) -> dict[bytes, bytes]:
        """Packed bases by hub id."""
        found = self._in(
            "select hub, packed from thing cross join base on base.thing=thing.id "
            "where side=? and hub in ({})",
            (self._side(job, side),),
            hubs,
        )
        return dict(found)

    def set_bases(
        self, job: str, side: str, rows: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Store packed bases of things that are linked."""
        listed, at = list(rows), self._side(job, side)
        with self.transaction():
            things = self._numbered([hub for hub, _ in listed])
            self._many(
                "insert or replace into base values(?,?,?)",
                ((things[hub], at, packed) for hub, packed in listed),
            )

    def forget_bases(self, job: str, hubs: Collection[bytes]) -> None:
        """These things meet for the first time again."""
        sides = [self._side(job, side) for side in SIDES]
        self._many(
            f"delete from base where thing={_THING} and side=?",  # noqa: S608 - a constant
            ((hub, side) for side in sides for hub in hubs),
        )

    def passed(
        self, job: str, side: str, records: Collection[str], number: int
    ) -> set[str]:
        """Which of these records the pass of that number has met already."""
        return {
            r[0]
            for r in self._in(
                "select record from identity where side=? and pass=? and record in ({})",
                (self._side(job, side), number),
                records,
            )
        }

    def indexed(self, job: str, side: str, records: Collection[str]) -> set[str]:
        """Which of these records the index knows."""
        return {
            r[0]
            for r in self._in(
                "select record from identity where side=? and record in ({})",
                (self._side(job, side),),
                records,
            )
        }

    def pairs(
        self, left: tuple[str, str], right: tuple[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Linked records of two resources, each given as (account, resource)."""
        yield from self._rows(
            "select a.record, b.record from link a "
            "cross join link b indexed by link_thing on b.thing=a.thing "
            "and b.place=? and b.gone=0 where a.place=? and a.gone=0 order by a.record",
            (self._place(*right), self._place(*left)),
        )

    def index(
        self,
        job: str,
        side: str,
        rows: Iterable[tuple[str, int, Sequence[bytes]]],
        number: int,
    ) -> None:
        """Identity marks of records: (record, filled sets, marks); replaces what was known."""
        listed = list(rows)
        with self.transaction():
            known = self.indexed(job, side, [r[0] for r in listed])
            self.forget(job, side, known)
            at = self._side(job, side)
            self._many(
                "insert or replace into identity values(?,?,?,?,?)",
                (
                    (at, record, mark, filled, number)
                    for record, filled, marks in listed
                    for mark in marks or (b"",)
                ),
            )

    def touch(self, job: str, side: str, records: Collection[str], number: int) -> None:
        """A pass met these records again, unchanged."""
        at = self._side(job, side)
        self._many(
            "update identity set pass=? where side=? and record=?",
            ((number, at, r) for r in records),
        )

    def forget(self, job: str, side: str, records: Collection[str]) -> None:
        """Take gone records out of the identity index."""
        at = self._side(job, side)
        self._many(
            "delete from identity where side=? and record=?",
            ((at, r) for r in records),
        )

    def sweep(self, job: str, side: str, number: int) -> list[str]:
        """Drop from the index what a whole pass of that number did not see; the records dropped."""
        at = self._side(job, side)
        with self.transaction():
            dropped = self._all(
                "delete from identity where side=? and pass<>? returning record",
                (at, number),
            )
        return list({record for (record,) in dropped})

    def relatives(
        self, job: str, side: str, other: str, records: Collection[str]
    ) -> Iterator[tuple[str, bool, Kin]]:
        """Who shares an identity with these records: (record, whether on the other side, kin).

        Record keys are no identity; they are asked for by ``kin``.
        """
        # The pluses keep SQLite from scanning the marks between these bounds on b's side, too.
        here, across = self._side(job, side), self._side(job, other)
        for record, there, mark, kin, filled in self._in(
            "select a.record, b.side, b.mark, b.record, b.filled from identity a "
            "cross join identity b on b.side in (?,?) "
            "and b.mark=a.mark and (b.record<>a.record or b.side<>a.side) "
            "where a.side=? and +a.mark>x'' and +a.mark<x'ff' and a.record in ({})",
            (here, across, here),
            records,
        ):
            yield record, there == across, Kin(kin, mark[0], filled)

    def keyed(self, job: str, side: str) -> bool:
        """Whether any record of a side carries a record key."""
        return (
            self._one(
                "select 1 from identity where side=? and mark>=x'ff' limit 1",
                (self._side(job, side),),
            )
            is not None
        )

    def kin(
        self, job: str, side: str, marks: Collection[bytes]
    ) -> dict[bytes, list[Kin]]:
        """Who carries these marks on a side."""
        found: dict[bytes, list[Kin]] = {}
        for mark, record, filled in self._in(
            "select mark, record, filled from identity where side=? and mark in ({})",
            (self._side(job, side),),
            marks,
        ):
            found.setdefault(mark, []).append(Kin(record, mark[0], filled))
        return found

    def cursor(
        self, job: str, side: str, feed: str
    ) -> tuple[str | None, str, str] | None:
        """(mark, spelling it was read under, when it was stored)."""
        row = self._one(
            "select mark, spelling, at from cursor where tenant=? and job=? and side=? and feed=?",
            (_TENANT, job, side, feed),
        )
        return (row[0], row[1], row[2]) if row else None

    def set_cursor(  # noqa: PLR0917
        self,
        job: str,
        side: str,
        feed: str,
        mark: str | None,
        spelling: str,
        at: datetime,
    ) -> None:
        """Where the next pull of a feed starts."""
        self._write(
            "insert or replace into cursor values(?,?,?,?,?,?,?)",
            (_TENANT, job, side, feed, mark, spelling, at.isoformat()),
        )

    def fact(self, job: str, side: str, name: str) -> str | None:
        """Something remembered about a side of a job."""
        row = self._one(
            "select value from fact where tenant=? and job=? and side=? and name=?",
            (_TENANT, job, side, name),
        )
        return row[0] if row else None

    def set_fact(self, job: str, side: str, name: str, value: str) -> None:
        """Remember something about a side of a job."""
        self._write(
            "insert or replace into fact values(?,?,?,?,?)",
            (_TENANT, job, side, name, value),
        )

    def inbox(self, job: str, side: str) -> tuple[dict[str, str], int]:
        """Records to look at again with the reason, and the number of the latest entry."""
        rows = self._all(
            "select record, why, n from inbox where tenant=? and job=? and side=?",
            (_TENANT, job, side),
        )
        return {r: why for r, why, _ in rows}, max((n for *_, n in rows), default=0)

    def look_again(self, job: str, side: str, rows: Iterable[tuple[str, str]]) -> None:
        """Put records into the inbox: (record, why)."""
        self._many(
            "insert or replace into inbox values(null,?,?,?,?,?)",
            ((_TENANT, job, side, record, why) for record, why in rows),
        )

    def hint(self, job: str, side: str, records: Iterable[str]) -> None:
        """A vendor has hinted at records; another reason to look at one stays."""
        self._many(
            "insert or replace into inbox select null, ?1, ?2, ?3, ?4, coalesce("
            "(select why from inbox where tenant=?1 and job=?2 and side=?3 and record=?4), 'hint')",
            ((_TENANT, job, side, record) for record in records),
        )

    def looked(self, job: str, side: str, records: Iterable[str], last: int) -> None:
        """Take records out of the inbox, but for entries after number ``last``."""
        self._many(
            "delete from inbox where tenant=? and job=? and side=? and record=? and n<=?",
            ((_TENANT, job, side, r, last) for r in records),
        )

    def wait(
        self, job: str, side: str, rows: Iterable[tuple[str, str, str, str]]
    ) -> None:
        """Remember who waits for a link: (record, account, resource, target record)."""
        self._many(
            "insert or ignore into waiting values(?,?,?,?,?,?,?)",
            ((_TENANT, job, side, r, a, res, t) for r, a, res, t in rows),
        )

    def pending(
        self, job: str, side: str, record: str
    ) -> tuple[str | None, list[tuple[str, str]]]:
        """Why a record is looked at again, if it is; the (resource, record)s whose link it waits for."""
        at = (_TENANT, job, side, record)
        row = self._one(
            "select why from inbox where tenant=? and job=? and side=? and record=?", at
        )
        waits = self._all(
            "select distinct resource, target from waiting where tenant=? and job=? and side=? and record=?",
            at,
        )
        return (row[0] if row else None), waits

    def open_conflict(  # noqa: PLR0917
        self,
        job: str,
        kind: str,
        subject: bytes,
        members: Iterable[tuple[str, str]],
        run: int,
        at: datetime,
        detail: Mapping[str, Any],
        about: tuple[str, str] | None = None,
    ) -> bool:
        """Open a conflict, or add members to the open one. True when it is new.

        ``about`` is the member whose settlement ends it; None for any of them.
        """
        row = self._one(
            "select id from conflict where tenant=? and job=? and kind=? and subject=? and closed is null",
            (_TENANT, job, kind, subject),
        )
        if row is None:
            made = self._write(
                "insert into conflict values(null,?,?,?,?,?,?,null,?)",
                (
                    _TENANT,
                    job,
                    kind,
                    subject,
                    run,
                    at.isoformat(),
                    self.vault.seal(orjson.dumps(detail)),
                ),
            )
            number = made.lastrowid
        else:
            number = row[0]
            self._write(
                "update conflict set payload=? where id=?",
                (self.vault.seal(orjson.dumps(detail)), number),
            )
        self._many(
            "insert into conflict_member values(?,?,?,?) "
            "on conflict do update set about=max(about, excluded.about)",
            (
                (number, side, record, about in {None, (side, record)})
                for side, record in members
            ),
        )
        return row is None

    def doubtful(self, job: str, side: str, records: Collection[str]) -> set[str]:
        """Those whose creation was never answered and cannot be looked up: not to be sent again."""
        if not self._any_open("conflict", job):
            return set()
        return {
            r[0]
            for r in self._in(
                "select m.record from conflict_member m join conflict c on c.id = m.conflict "
                "where c.closed is null and c.kind='unknown outcome' and c.tenant=? and c.job=? "
                "and m.side=? and m.record in ({})",
                (_TENANT, job, side),
                records,
            )
        }

    def close_conflicts(
        self,
        job: str,
        side: str,
        records: Collection[str],
        at: datetime,
        *,
        kept: Collection[str] = (),
    ) -> set[tuple[SideName, str]]:
        """Close what these records were in conflict about, but for some kinds; the others of a group."""
        if not self._any_open("conflict", job):
            return set()
        spelled = "".join(f"/{k}/" for k in kept)
        numbers = [
            r[0]
            for r in self._in(
                "select c.id from conflict_member m join conflict c on c.id = m.conflict "
                "where c.closed is null and c.tenant=? and c.job=? and m.side=? "
                "and (?='' or m.about) and instr(?, '/' || c.kind || '/')=0 and m.record in ({})",
                (_TENANT, job, side, spelled, spelled),
                records,
            )
        ]
        others = set(
            self._in(
                "select side, record from conflict_member where conflict in ({})",
                (),
                numbers,
            )
        )
        self._many(
            "update conflict set closed=? where id=?",
            ((at.isoformat(), n) for n in numbers),
        )
        return others - {(side, r) for r in records}

    def decide(  # noqa: PLR0917 - a row
        self,
        job: str,
        hub: bytes,
        field: str,
        winner: SideName,
        seen: str,
        at: datetime,
    ) -> None:
        """Remember which side a person said is right about a field, and the hash of what was seen there."""
        self._write(
            "insert or replace into decision values(?,?,?,?,?,?,?)",
            (_TENANT, job, hub, field, winner, seen, at.isoformat()),
        )

    def decided_since(self, job: str, at: datetime) -> set[bytes]:
        """Things that people have decided about since an instant."""
        rows = self._all(
            "select hub from decision where tenant=? and job=? and at>?",
            (_TENANT, job, at.isoformat()),
        )
        return {hub for (hub,) in rows}

    def decisions(
        self, job: str, hubs: Collection[bytes]
    ) -> dict[bytes, dict[str, tuple[SideName, str]]]:
        """What people decided about fields of these things, with the hash of what they saw."""
        found: dict[bytes, dict[str, tuple[SideName, str]]] = {}
        if self._one("select 1 from decision limit 1") is None:
            return found
        for hub, field, winner, seen in self._in(
            "select hub, field, winner, seen from decision where tenant=? and job=? and hub in ({})",
            (_TENANT, job),
            hubs,
        ):
            found.setdefault(hub, {})[field] = winner, seen
        return found

    def forget_decisions(
        self, job: str, hubs: Collection[bytes], fields: Collection[str] | None = None
    ) -> None:
        """What was decided has been carried out: about these fields, or about all."""
        decided = self.decisions(job, hubs)
        self._many(
            "delete from decision where tenant=? and job=? and hub=? and field=?",
            (
                (_TENANT, job, hub, name)
                for hub, names in decided.items()
                for name in names
                if fields is None or name in fields
            ),
        )

    def swing(
        self,
        job: str,
        run: int,
        rows: Iterable[tuple[bytes, str, bytes]],
        at: datetime,
    ) -> None:
        """Fields that a run wrote to linked things: (hub, field, hash of the value)."""
        when = at.isoformat()
        self._many(
            "insert or replace into swing values(?,?,?,?,?,?,?,0)",
            (
                (_TENANT, job, hub, field, run, value, when)
                for hub, field, value in rows
            ),
        )

    def swings(
        self, job: str, hubs: Collection[bytes], since: datetime
    ) -> dict[bytes, dict[str, Swing]]:
        """What was written to these things since then, and what is held whenever it was; by field."""
        found: dict[bytes, dict[str, Swing]] = {}
        if self._one("select 1 from swing limit 1") is None:
            return found
        for hub, field, value, held in self._in(
            "select hub, field, value, held from swing where tenant=? and job=? and (held or at>=?) "
            "and hub in ({}) order by run",
            (_TENANT, job, since.isoformat()),
            hubs,
        ):
            fields = found.setdefault(hub, {})
            known = fields.get(field, Swing())
            fields[field] = Swing((*known.values, value), known.held or bool(held))
        return found

    def hold_swings(self, job: str, hub: bytes, fields: Iterable[str]) -> None:
        """These fields are held from now on, until their swings are forgotten."""
        self._many(
            "update swing set held=1 where tenant=? and job=? and hub=? and field=?",
            ((_TENANT, job, hub, field) for field in fields),
        )

    def forget_swings(
        self, job: str, hubs: Collection[bytes], fields: Collection[str] | None = None
    ) -> None:
        """Held fields are held no more, and their writes count from nothing: these, or all."""
        if self._one("select 1 from swing where held limit 1") is None:
            return
        rows = self._in(
            "select distinct hub, field from swing where tenant=? and job=? and held and hub in ({})",
            (_TENANT, job),
            hubs,
        )
        self._many(
            "delete from swing where tenant=? and job=? and hub=? and field=?",
            [
                (_TENANT, job, hub, field)
                for hub, field in rows
                if fields is None or field in fields
            ],
        )

    def _any_open(self, table: str, job: str) -> bool:
        """Whether it is worth asking about single records."""
        query = (
            f"select 1 from {table} where tenant=? and job=? and closed is null limit 1"  # noqa: S608 - a constant
        )
        return self._one(query, (_TENANT, job)) is not None

    def conflicts(
        self, job: str | None = None, number: int | None = None
    ) -> list[Conflict]:
        """Open conflicts, oldest first."""
        rows = self._all(
            "select id, job, kind, run, opened, payload from conflict where tenant=? and closed is null "
            "and (? is null or job=?) and (? is null or id=?) order by id",
            (_TENANT, job, job, number, number),
        )
        return [
            Conflict(
                i,
                j,
                kind,
                tuple(
                    self._run(
                        "select side, record from conflict_member where conflict=? order by side, record",
                        (i,),
                    )
                ),
                run,
                opened,
                orjson.loads(self.vault.open(sealed)),
            )
            for i, j, kind, run, opened, sealed in rows
        ]

    def had_conflict(self, number: int) -> bool:
        """Whether there is or was a conflict of that number."""
        return (
            self._one(
                "select 1 from conflict where tenant=? and id=?", (_TENANT, number)
            )
            is not None
        )

    def open_letters(
        self, job: str, side: str, records: Iterable[str]
    ) -> dict[str, bytes]:
        """The change each record's open dead letter stands for."""
        if not self._any_open("dead_letter", job):
            return {}
        return dict(
            self._in(
                "select record, change from dead_letter where tenant=? and job=? and side=? "
                "and closed is null and record in ({})",
                (_TENANT, job, side),
                records,
            )
        )

    def bury(
        self,
        job: str,
        side: str,
        rows: Iterable[tuple[str, bytes, str, str, Sequence[str], bytes, str]],
        run: int,
        at: datetime,
    ) -> None:
        """Dead letters of a side's records: (record, hub, op, reason, fields, change, vendor's message).

        One that is open for a record stays the same letter, with what is known about it now.
        """
        for record, hub, op, reason, fields, change, message in rows:
            values = (
                hub,
                op,
                reason,
                orjson.dumps(list(fields)).decode(),
                change,
                run,
                self.vault.seal(message.encode()),
            )
            known = self._write(
                "update dead_letter set hub=?, op=?, reason=?, fields=?, change=?, run=?, payload=? "
                "where tenant=? and job=? and side=? and record=? and closed is null",
                (*values, _TENANT, job, side, record),
            )
            if not known.rowcount:
                self._write(
                    "insert into dead_letter(hub, op, reason, fields, change, run, payload, "
                    "tenant, job, side, record, opened) values(?,?,?,?,?,?,?,?,?,?,?,?)",
                    (*values, _TENANT, job, side, record, at.isoformat()),
                )

    def exhume(
        self, job: str, side: str, records: Collection[str], at: datetime
    ) -> None:
        """Close the dead letters of these records."""
        letters = self.open_letters(job, side, records)
        self._many(
            "update dead_letter set closed=? where tenant=? and job=? and side=? and record=? "
            "and closed is null",
            ((at.isoformat(), _TENANT, job, side, r) for r in letters),
        )

    def letters(
        self, job: str | None = None, number: int | None = None
    ) -> list[DeadLetter]:
        """Open dead letters, oldest first."""
        rows = self._all(
            "select id, job, side, record, op, reason, fields, run, opened, payload from dead_letter "
            "where tenant=? and closed is null and (? is null or job=?) and (? is null or id=?) order by id",
            (_TENANT, job, job, number, number),
        )
        return [
            DeadLetter(
                i,
                j,
                side,
                record,
                op,
                reason,
                tuple(orjson.loads(fields)),
                run,
                opened,
                self.vault.open(p).decode() if p else "",
            )
            for i, j, side, record, op, reason, fields, run, opened, p in rows
        ]

    def open_counts(self, job: str) -> dict[str, int]:
        """How many conflicts and dead letters are open."""
        return {
            "conflicts": self._one(
                "select count(*) from conflict where tenant=? and job=? and closed is null",
                (_TENANT, job),
            )[0],
            "dead_letters": self._one(
                "select count(*) from dead_letter where tenant=? and job=? and closed is null",
                (_TENANT, job),
            )[0],
        }

    def questions(self, job: str, since: str) -> dict[str, tuple[int, int, int]]:
        """(opened since, closed since, open now), for ``conflict`` and for ``dead_letter``."""
        counts = (
            "count(case when opened>=? then 1 end), count(case when closed>=? then 1 end), "
            "count(case when closed is null then 1 end)"
        )
        found = {}
        for table in ("conflict", "dead_letter"):
            query = f"select {counts} from {table} where tenant=? and job=?"  # noqa: S608 - constants
            row = self._one(query, (since, since, _TENANT, job))
            found[table] = (row[0], row[1], row[2])
        return found

    def standings(self) -> list[Standing]:
        """What is paused or must be reconnected, jobs and connections."""
        rows = self._all(
            "select what, name, state, since, credentials, payload from standing where tenant=? "
            "order by what desc, name",
            (_TENANT,),
        )
        found = []
        for what, name, state, since, credentials, sealed in rows:
            said = self.vault.open(sealed, f"{what}/{name}".encode())
            who, why = orjson.loads(said)
            at = datetime.fromisoformat(since)
            found.append(Standing(what, name, state, at, who, why, credentials))
        return found

    def set_standing(self, standing: Standing) -> None:
        """Remember why a job or a connection is held."""
        s = standing
        said = self.vault.seal(
            orjson.dumps([s.who, s.why]), f"{s.what}/{s.name}".encode()
        )
        self._write(
            "insert or replace into standing values(?,?,?,?,?,?,?)",
            (
                _TENANT,
                s.what,
                s.name,
                s.state,
                s.since.isoformat(),
                s.credentials,
                said,
            ),
        )

    def clear_standing(self, what: str, name: str) -> bool:
        """It is well again; whether it was not."""
        known = self._write(
            "delete from standing where tenant=? and what=? and name=?",
            (_TENANT, what, name),
        )
        return known.rowcount > 0

    def set_wrote(
        self, job: str, side: str, rows: Iterable[tuple[str, str]], at: datetime
    ) -> None:
        """Fields that were just written to records: (record, field)."""
        when = at.isoformat()
        self._many(
            "insert or replace into wrote values(?,?,?,?,?,?)",
            ((_TENANT, job, side, record, field, when) for record, field in rows),
        )

    def wrote(
        self, job: str, side: str, records: Collection[str], since: datetime
    ) -> list[tuple[str, str]]:
        """Which fields of these records were written since then: (record, field)."""
        return list(
            self._in(
                "select record, field from wrote where tenant=? and job=? and side=? and at>=? "
                "and record in ({})",
                (_TENANT, job, side, since.isoformat()),
                records,
            )
        )

    def meet_rivals(
        self, job: str, side: str, rows: Iterable[tuple[str, str, str]], at: datetime
    ) -> None:
        """Another user changed what was written, once for each writing: (record, field, user)."""
        for record, field, user in rows:
            self._write(
                "insert into rival values(?,?,?,?,?,?,1,?) "
                "on conflict(tenant, job, side, field, user, record) "
                "do update set times=times+1, at=excluded.at",
                (_TENANT, job, side, field, user, record, at.isoformat()),
            )
            self._write(
                "delete from wrote where tenant=? and job=? and side=? and record=? and field=?",
                (_TENANT, job, side, record, field),
            )

    def rivals(self) -> list[Rival]:
        """Who changed what was written, soon after."""
        rows = self._all(
            "select job, side, field, user, count(*), max(times) from rival where tenant=? "
            "group by job, side, field, user",
            (_TENANT,),
        )
        return [Rival(*row) for row in rows]

    def remember(self, name: str, value: str) -> None:
        """Keep something about the state itself."""
        self._write("insert or replace into meta values(?,?)", (name, value))

    def remembered(self, name: str) -> str | None:
        """What was kept about the state itself."""
        row = self._one("select value from meta where name=?", (name,))
        return row[0] if row else None

    def told(self, receiver: str) -> dict[Fact, int]:
        """What a receiver of notices was told last."""
        rows = self._all(
            "select topic, subject, count from told where tenant=? and receiver=?",
            (_TENANT, receiver),
        )
        return {(topic, subject): count for topic, subject, count in rows}

    def set_told(self, receiver: str, rows: Mapping[Fact, int]) -> None:
        """Remember what a receiver was told."""
        with self.transaction():
            self._many(
                "insert or replace into told values(?,?,?,?,?)",
                ((_TENANT, receiver, *fact, count) for fact, count in rows.items()),
            )

    def untold(self, receiver: str) -> tuple[str, datetime] | None:
        """Why, and since when, a receiver could not be told; None where it could."""
        row = self._one(
            "select code, since from untold where tenant=? and receiver=?",
            (_TENANT, receiver),
        )
        return (row[0], datetime.fromisoformat(row[1])) if row else None

    def set_untold(self, receiver: str, code: str, at: datetime) -> None:
        """A receiver could not be told; the first time counts."""
        self._write(
            "insert into untold values(?,?,?,?) "
            "on conflict(tenant, receiver) do update set code=excluded.code",
            (_TENANT, receiver, code, at.isoformat()),
        )

    def clear_untold(self, receiver: str) -> None:
        """A receiver was told."""
        self._write(
            "delete from untold where tenant=? and receiver=?", (_TENANT, receiver)
        )

    def last_syncs(self) -> dict[str, tuple[datetime, str]]:
        """By job: when its latest sync or apply began, and its status."""
        rows = self._all(
            "select job, started, status from run where id in (select max(id) from run "
            "where tenant=? and kind in ('sync', 'apply') group by job)",
            (_TENANT,),
        )
        return {j: (datetime.fromisoformat(at), status) for j, at, status in rows}

    def examine(self, job: str, now: datetime) -> None:
        """Look the whole file through: once a day, after a run of the job that died, and when it is a copy.

        SQLite notices damage where it treads, and a sync treads on little of the file.

        Raises:
            StoreError: the file is damaged.
        """
        died = self._one(
            "select 1 from run where tenant=? and ended is null and job=?",
            (_TENANT, job),
        )
        day = f"{now.date()} {self._file}"
        if not died and self.remembered(_EXAMINED) == day:
            return
        (found,) = self._one("pragma quick_check(1)")
        if found != "ok":
            raise self._damaged()
        self.remember(_EXAMINED, day)

    def _damaged(self) -> StoreError:
        hint = self._remedy()
        return StoreError("the state is damaged", where=str(self.path), hint=hint)

    def begin_run(self, job: str, kind: str, at: datetime) -> int:
        """A number for a run that starts now; one of the job that never ended was interrupted."""
        with self.transaction():
            self._write(
                "update run set status='interrupted', ended=? where tenant=? and job=? and ended is null",
                (at.isoformat(), _TENANT, job),
            )
            made = self._write(
                "insert into run values(null,?,?,?,?,null,'running',null)",
                (_TENANT, job, kind, at.isoformat()),
            )
        return int(made.lastrowid or 0)

    def end_run(
        self, run: int, status: str, document: Mapping[str, Any], at: datetime
    ) -> None:
        """How a run ended, as its JSON document."""
        self._write(
            "update run set ended=?, status=?, document=? where id=?",
            (at.isoformat(), status, orjson.dumps(document).decode(), run),
        )

    def job_of(self, run: int) -> str | None:
        """The job that a run was of."""
        row = self._one("select job from run where tenant=? and id=?", (_TENANT, run))
        return row[0] if row else None

    def runs(self, job: str | None = None, most: int = 50) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        rows = self._all(
            "select id, job, kind, started, ended, status, document from run "
            "where tenant=? and (? is null or job=?) order by id desc limit ?",
            (_TENANT, job, job, most),
        )
        return [_run_of(row) for row in rows]

    def ended_since(self, job: str, after: int, before: int) -> set[str]:
        """How runs of a job ended that write, of the numbers between two."""
        rows = self._all(
            "select status from run where tenant=? and job=? and id>? and id<? "
            "and kind in ('sync', 'apply')",
            (_TENANT, job, after, before),
        )
        return {status for (status,) in rows}

    def runs_since(self, at: str) -> Iterator[dict[str, Any]]:
        """Runs that started at an instant (ISO 8601) or later, oldest first."""
        for row in self._rows(
            "select id, job, kind, started, ended, status, document from run "
            "where tenant=? and started>=? order by id",
            (_TENANT, at),
        ):
            yield _run_of(row)

    def save_plan(
        self,
        plan: str,
        job: str,
        document: Any,
        at: datetime,
        *,
        state: PlanState = "kept",
    ) -> None:
        """Keep what a plan needs besides its windows, sealed; one that waits replaces another of its job.

        ``needs`` in the document is what only an apply needs: it goes when the plan is decided or too old.
        """
        told = {k: v for k, v in document.items() if k != "needs"}
        needs = document.get("needs")
        sealed = self._sealed_text(plan, told)
        with self.transaction():
            if state == "waiting":
                self._write(
                    "update plan set state='replaced', decided=? "
                    "where tenant=? and job=? and state='waiting'",
                    (at.isoformat(), _TENANT, job),
                )
            self._write(
                "insert or replace into plan values(?,?,?,?,?,null,null,?,?)",
                (
                    *(plan, _TENANT, job, at.isoformat(), state, sealed),
                    needs and self._sealed_text(f"{plan}/needs", needs),
                ),
            )

    def plan(self, plan: str) -> KeptRow | None:
        """One plan."""
        row = self._one(
            f"select {_PLAN}, needs from plan where tenant=? and id=?",  # noqa: S608 - a constant
            (_TENANT, plan),
        )
        if row is None:
            return None
        needs = row[-1] and self._opened_text(f"{plan}/needs", row[-1])
        return self._kept(row)._replace(needs=needs)

    def plans(
        self, job: str | None = None, *, state: PlanState | None = None, most: int = 50
    ) -> list[KeptRow]:
        """The latest plans, newest first, of one state or of all; without what their apply needs."""
        rows = self._all(
            f"select {_PLAN} from plan where tenant=? and (? is null or job=?) "  # noqa: S608 - a constant
            "and (? is null or state=?) order by made desc, id limit ?",
            (_TENANT, job, job, state, state, most),
        )
        return [self._kept(row) for row in rows]

    def _kept(self, row: Any) -> KeptRow:
        plan, job, made, state, decided, by, document = row[:7]
        told = self._opened_text(plan, document)
        return KeptRow(plan, job, made, state, decided, by, told)

    def _sealed_text(self, at: str, value: Any) -> bytes:
        return self.vault.seal(orjson.dumps(value), at.encode())

    def _opened_text(self, at: str, sealed: bytes) -> Any:
        return orjson.loads(self.vault.open(sealed, at.encode()))

    def plan_ids(self) -> list[str]:
        """Plans that are kept, newest first."""
        return [
            r[0]
            for r in self._rows(
                "select id from plan where tenant=? order by made desc", (_TENANT,)
            )
        ]

    def end_plan(self, plan: str, state: PlanState, at: datetime, person: str) -> bool:
        """A plan is decided once, and what was begun is applied: whether that could be until now."""
        done = self._write(
            "update plan set state=?, decided=?, person=? where tenant=? and id=? "
            "and (state in ('kept', 'waiting') or (state='begun' and ?='applied'))",
            (state, at.isoformat(), person, _TENANT, plan, state),
        )
        return done.rowcount > 0

    def drop_plans(self, job: str, before: datetime, *, keep: str = "") -> None:
        """Take away the changes of a job's plans that are decided or older than ``before``, and of dead runs.

        Windows that were being written stay until it is known what became of them.
        """
        mine = (_TENANT, job)
        kept = (
            "select id from plan where tenant=? and job=? "
            "and (id=? or (made>=? and state in ('kept', 'waiting')))"
        )
        at = (*mine, *mine, keep, before.isoformat())
        with self.transaction():
            self._write(
                f"update plan set needs=null where tenant=? and job=? and id not in ({kept})",  # noqa: S608 - a constant
                at,
            )
            self._write(
                f"delete from staged where tenant=? and job=? and plan not in ({kept})",  # noqa: S608 - a constant
                at,
            )
            self._write(
                f"delete from window where tenant=? and job=? and {_IDLE} and plan not in ({kept})",  # noqa: S608 - a constant
                (*mine, *at),
            )

    def planned_jobs(self) -> set[str]:
        """Jobs of which something is planned or was read, whether the project has them or not."""
        tables = ("plan", "staged", "window")
        query = " union ".join(f"select job from {t} where tenant=:t" for t in tables)  # noqa: S608 - constants
        return {job for (job,) in self._rows(query, {"t": _TENANT})}

    def due(self, before: datetime) -> Counter[str]:
        """By job, pages of changes of plans that are decided or older than ``before``, or of dead runs."""
        at = (_TENANT, before.isoformat())
        kept = "select id from plan where tenant=? and made>=? and state in ('kept', 'waiting')"
        found = self._all(
            f"select job from plan where needs notnull and id not in ({kept})",  # noqa: S608 - a constant
            at,
        )
        for table in ("staged", "window"):
            found += self._all(
                f"select job from {table} where plan not in ({kept}) "  # noqa: S608 - constants
                "and (job, plan, n) not in (select job, plan, n from writing)",
                at,
            )
        return Counter(job for (job,) in found)

    def overdue(self, now: datetime) -> dict[str, int]:
        """What ``expire`` would forget: how many of each kind."""
        counts = {
            kind: self._one(f"select count(*) from {what}", values)[0]  # noqa: S608 - constants
            for kind, what, values in self._forgettable(now)
        }
        return {kind: n for kind, n in counts.items() if n}

    def expire(self, now: datetime) -> bool:
        """Forget what has had its time: see ``_forgettable``. The latest run of each job and kind stays.

        What was being written when a run died keeps its place, so that it is still looked up; its values go.

        Returns:
            Whether any of it may have held a value.
        """
        went = 0
        with self.transaction():
            went += self._strip_intents(now)
            for kind, what, values in self._forgettable(now):
                if kind == "intents":
                    continue
                sql = f"delete from {what}"  # noqa: S608 - constants
                if kind == "messages":
                    sql = f"update dead_letter set payload=null where id in (select id from {what})"  # noqa: S608 - constants
                done = self._run(sql, values)
                went += done.rowcount if kind not in _WITHOUT_VALUES else 0
            self._run(
                "delete from conflict_member where conflict not in (select id from conflict)"
            )
        if not self.is_clean:
            with contextlib.suppress(StoreError):
                self.scrub()
        return went > 0

    def empty_log(self) -> None:
        """Bytes of what was deleted leave the write-ahead log, too, unless somebody reads it just now."""
        self._run("pragma wal_checkpoint(truncate)")

    def _forgettable(self, now: datetime) -> list[tuple[str, str, tuple[Any, ...]]]:
        """What has had its time: (kind, table and condition, values)."""
        found = [
            (kind, f"{table} where tenant=? and {ended}<?", days)
            for kind, table, ended, days in (
                ("dead letters", "dead_letter", "closed", 30),
                ("plans", "plan", "made", 30),
                ("before-images", "journal", "at", 30),
                ("conflicts", "conflict", "closed", 90),
                ("writes", "wrote", "at", 1 / 24),
                ("rivals", "rival", "at", 30),
            )
        ]
        found += [
            ("swings", "swing where tenant=? and at<? and not held", 1 / 24),
            ("messages", _OLD_MESSAGES, MESSAGES),
            ("intents", _OLD_INTENTS, INTENTS),
            ("runs", _OLD_RUNS, 90),
        ]
        return [
            (kind, what, (_TENANT, (now - timedelta(days=days)).isoformat()))
            for kind, what, days in found
        ]

    def _strip_intents(self, now: datetime) -> int:
        """Take the values out of changes whose outcome has not been known for a week; of how many windows."""
        since = (now - timedelta(days=INTENTS)).isoformat()
        rows = self._all(
            "select job, plan, n, payload from writing cross join window using(tenant, job, plan, n) "
            "where tenant=? and not stripped "
            "and coalesce((select started from run where id=writing.run), '')<?",
            (_TENANT, since),
        )
        for job, plan, n, sealed in rows:
            rest = [c.stripped() for c in CHANGES.decode(self._opened(plan, n, sealed))]
            self._run(
                "update window set payload=?, stripped=1 where tenant=? and job=? and plan=? and n=?",
                (self._sealed(plan, n, rest), _TENANT, job, plan, n),
            )
        return len(rows)

    def drop_windows(self, job: str, plan: str) -> None:
        """Take away what was staged and planned under an id and is not being written."""
        at = (_TENANT, job, plan)
        self._write("delete from staged where tenant=? and job=? and plan=?", at)
        self._write(
            f"delete from window where tenant=? and job=? and plan=? and {_IDLE}",  # noqa: S608 - a constant
            (*at, _TENANT, job),
        )

    def stage(
        self, job: str, plan: str, side: str, n: int, seen: Sequence[Seen]
    ) -> None:
        """Keep what was read of a side, sealed."""
        self._write(
            "insert or replace into staged values(?,?,?,?,?,?)",
            (_TENANT, job, plan, side, n, self._sealed(plan, n, seen)),
        )

    def staged(self, job: str, plan: str, side: str) -> Iterator[list[Seen]]:
        """What was staged of a side, in order; each part is taken away as the next is asked for."""
        at = (_TENANT, job, plan, side)
        while True:
            row = self._one(
                "select n, payload from staged where tenant=? and job=? and plan=? and side=? "
                "order by n limit 1",
                at,
            )
            if row is None:
                return
            n, sealed = row
            yield SEEN.decode(self._opened(plan, n, sealed))
            self._write(
                "delete from staged where tenant=? and job=? and plan=? and side=? and n=?",
                (*at, n),
            )

    def forget_claims(self) -> None:
        """A plan begins: no record has been given to another."""
        self._write("delete from temp.claimed")

    def claim(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Give records to those across that they were planned with: (side, record, owner)."""
        self._many("insert or replace into temp.claimed values(?,?,?)", rows)

    def claimed(self, side: str, records: Collection[str]) -> dict[str, str]:
        """Which of a side's records were given away, and to whom."""
        return dict(
            self._in(
                "select record, owner from temp.claimed where side=? and record in ({})",
                (side,),
                records,
            )
        )

    def save_window(
        self, job: str, plan: str, n: int, changes: Sequence[Change]
    ) -> None:
        """Keep a window of changes, sealed."""
        self._write(
            "insert or replace into window values(?,?,?,?,?,0)",
            (_TENANT, job, plan, n, self._sealed(plan, n, changes)),
        )

    def windows(self, job: str, plan: str) -> Iterator[tuple[int, list[Change]]]:
        """A plan's windows with their numbers, in order."""
        n = -1
        while True:
            row = self._one(
                "select n, payload from window where tenant=? and job=? and plan=? and n>? "
                "order by n limit 1",
                (_TENANT, job, plan, n),
            )
            if row is None:
                return
            n = row[0]
            yield n, CHANGES.decode(self._opened(plan, n, row[1]))

    def window(self, job: str, plan: str, n: int) -> list[Change]:
        """The changes of one of a plan's windows; none where it is gone."""
        row = self._one(
            "select payload from window where tenant=? and job=? and plan=? and n=?",
            (_TENANT, job, plan, n),
        )
        return CHANGES.decode(self._opened(plan, n, row[0])) if row else []

    def open_window(
        self, job: str, plan: str, n: int, seed: bytes, run: int = 0
    ) -> None:
        """Commit that a run is about to write a window: its changes are intents from here on."""
        self._write(
            "insert or replace into writing values(?,?,?,?,?,?)",
            (_TENANT, job, plan, n, seed, run),
        )

    def writers(self, job: str) -> dict[tuple[str, int], int]:
        """The run that was writing each open window, by plan and number."""
        return {
            (plan, n): run
            for plan, n, run in self._rows(
                "select plan, n, run from writing where tenant=? and job=?",
                (_TENANT, job),
            )
        }

    def open_windows(self, job: str) -> list[tuple[str, int, list[Change]]]:
        """(plan, number, changes) of windows whose writes were never settled."""
        return [
            (plan, n, CHANGES.decode(self._opened(plan, n, sealed)))
            for plan, n, sealed in self._rows(
                "select plan, n, payload from writing cross join window using(tenant, job, plan, n) "
                "where tenant=? and job=? order by plan, n",
                (_TENANT, job),
            )
        ]

    def close_window(
        self, job: str, plan: str, n: int, rest: Sequence[Change] = ()
    ) -> None:
        """A window is settled but for the changes of ``rest``, whose outcome is not known."""
        at = (_TENANT, job, plan, n)
        if rest:
            self._write(
                "update window set payload=? where tenant=? and job=? and plan=? and n=?",
                (self._sealed(plan, n, rest), *at),
            )
        else:
            for table in ("window", "writing", "ticket"):
                self._write(
                    f"delete from {table} where tenant=? and job=? and plan=? and n=?",  # noqa: S608 - a constant
                    at,
                )

    def keep_ticket(self, job: str, ticket: Ticket) -> None:
        """Keep what a vendor gave for writes, in place of what it gave for them before."""
        t = ticket
        self._write(
            "insert or replace into ticket values(?,?,?,?,?,?,?,?,?,?)",
            (
                *(_TENANT, job, t.plan, t.n, t.side, t.resource, t.op),
                t.hubs[0],
                t.ticket,
                b"".join(t.hubs),
            ),
        )

    def tickets(self, job: str) -> list[Ticket]:
        """The tickets of open windows."""
        rows = self._run(
            "select plan, n, side, resource, op, ticket, hubs from ticket "
            "where tenant=? and job=? order by plan, n",
            (_TENANT, job),
        )
        return [
            Ticket(plan, n, side, resource, op, ticket, _parted(hubs))
            for plan, n, side, resource, op, ticket, hubs in rows
        ]

    def join_windows(
        self,
        job: str,
        plan: str,
        into: int,
        others: Sequence[int],
        changes: Sequence[Change],
    ) -> None:
        """Keep the changes of several windows as those of one."""
        with self.transaction():
            self.save_window(job, plan, into, changes)
            for n in others:
                self._write(
                    "delete from window where tenant=? and job=? and plan=? and n=?",
                    (_TENANT, job, plan, n),
                )

    def bearers(self, digests: Collection[bytes]) -> set[Held]:
        """Records whose identity has one of these hashes, of any job that ever was."""
        return set(bearers(self._db, _TENANT, digests))

    def marks(self, job: str, side: str, record: str) -> list[bytes]:
        """A record's identity marks."""
        rows = self._all(
            "select mark from identity where side=? and record=? and mark>x''",
            (self._side(job, side), record),
        )
        return [mark for (mark,) in rows]

    def places(self, account: str, record: str) -> list[str]:
        """The resources of an account where a record of this id is linked."""
        rows = self._all(
            "select resource from place join link on link.place=place.id and link.record=? "
            "where tenant=? and account=?",
            (record, _TENANT, account),
        )
        return [resource for (resource,) in rows]

    def erase(
        self,
        person: Person,
        knows: Recognises,
        stones: Iterable[tuple[bytes, tuple[str, ...], bool]],
        at: datetime,
        *,
        dry: bool = False,
    ) -> tuple[list[Found], list[Unsettled]]:
        """Take a person out, and leave hashes by which a record of theirs is known and left alone.

        Args:
            person: what they are known by.
            knows: recognises them where no link leads.
            stones: (hash, fields of the identity, whether it was asked for).
            at: the instant.
            dry: only count what would go.

        Returns:
            What was kept of them, and creates that were never settled: (job, side, hub id).
        """
        work = Erasing(
            self._db,
            vault=self.vault,
            tenant=_TENANT,
            person=person,
            knows=knows,
            spelled=self.spelled,
        )
        with contextlib.suppress(_NotMeant), self.transaction(), self._errors():
            work.all()
            if dry:
                raise _NotMeant
            made = self._run(
                "insert into erasure values(null,?,?,?,?)",
                (_TENANT, person.entity, at.isoformat(), self.vault.earlier),
            )
            self._many(
                "insert or ignore into tombstone values(?,?,?,?)",
                (
                    (made.lastrowid, hashed, "\0".join(names), given)
                    for hashed, names, given in stones
                ),
            )
            self.remember(SCRUB, "erase")
        return work.found, work.unsettled

    def stones(self, entity: str) -> list[tuple[bytes, Stone]]:
        """What is kept of people of an entity who were erased: (hash, stone)."""
        rows = self._all(
            "select hash, erasure, names, given, earlier from tombstone "
            "join erasure on erasure.id=erasure "
            "where tenant=? and entity=?",
            (_TENANT, entity),
        )
        return [
            (
                hashed,
                Stone(
                    n,
                    tuple(names.split("\0")) if names else (),
                    bool(given),
                    earlier,
                ),
            )
            for hashed, n, names, given, earlier in rows
        ]

    def lift(
        self, entity: str, hashes: Collection[bytes], jobs: Collection[str]
    ) -> int:
        """Forget erasures that one of these hashes belongs to; the jobs read everything anew.

        Returns:
            How many erasures.
        """
        with self.transaction():
            found = {
                stone.erasure
                for hashed, stone in self.stones(entity)
                if hashed in hashes
            }
            for table, name in (("tombstone", "erasure"), ("erasure", "id")):
                self._many(
                    f"delete from {table} where {name}=?",  # noqa: S608 - constants
                    ((n,) for n in found),
                )
            if found:
                self._many(
                    "update cursor set spelling='' where tenant=? and job=?",
                    ((_TENANT, job) for job in jobs),
                )
        return len(found)

    def keep(
        self,
        job: str,
        run: int,
        at: datetime,
        layouts: tuple[int, int],
        entries: Sequence[Entry],
    ) -> None:
        """Keep a run's confirmed writes with what stood there before, sealed.

        ``layouts`` are the numbers that ``spelling`` gave to the sides' fields, left first.
        """
        sealed = self.vault.seal(ENCODER.encode(entries), f"journal/{run}".encode())
        self._write(
            "insert into journal values(null,?,?,?,?,?,?,?,?,0)",
            (_TENANT, job, run, at.isoformat(), *layouts, prefixes(entries), sealed),
        )

    def journal(
        self,
        job: str,
        *,
        run: int | None = None,
        hub: bytes | None = None,
        after: int = 0,
    ) -> Iterator[Page]:
        """What was written, newest first: all of a job, of one run, or of runs later than ``after``.

        With ``hub`` only pages that speak of it, along with others.
        """
        mark = None if hub is None else hub[:PREFIX]
        last = None
        while True:
            row = self._one(
                "select id, run, at, left, right, payload, erased from journal where tenant=? and job=? "
                "and (? is null or run=?) and run>? and (? is null or instr(hubs, ?)>0) "
                "and (? is null or id<?) order by id desc limit 1",
                (_TENANT, job, run, run, after, mark, mark, last, last),
            )
            if row is None:
                return
            last, number, at, left, right, sealed, erased = row
            clear = self.vault.open(sealed, f"journal/{number}".encode())
            sides = [tuple(self.spelled(n)) for n in (left, right)]
            yield Page(
                job, number, at, sides[0], sides[1], ENTRIES.decode(clear), erased
            )

    def _sealed(self, plan: str, n: int, rows: Any) -> bytes:
        return self.vault.seal(ENCODER.encode(rows), f"{plan}/{n}".encode())

    def _opened(self, plan: str, n: int, sealed: bytes) -> bytes:
        return self.vault.open(sealed, f"{plan}/{n}".encode())


def _parted(hubs: bytes) -> tuple[bytes, ...]:
    """Hub ids that are kept one after the other."""
    return tuple(hubs[i : i + _HUB] for i in range(0, len(hubs), _HUB))
