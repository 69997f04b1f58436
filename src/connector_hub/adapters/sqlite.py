"""State in one SQLite file: WAL, one transaction per settled window, values sealed.

A method is a question of the hub's own domain; SQL stays in this file and in ``migrations/``.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import orjson

from connector_hub.adapters.vault import Vault
from connector_hub.errors import ConfigError, StoreError
from connector_hub.model.conflict import Conflict, DeadLetter
from connector_hub.model.link import Kin, Link

_CHUNK = 500
_TENANT = 1
_BUSY_MS = 5_000


def _migrations() -> list[str]:
    folder = resources.files("connector_hub.adapters") / "migrations"
    files = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    return [(folder / name).read_text() for name in files]


def _private(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else can read it."""
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


class SqliteStore:
    """The state of a project.

    Raises:
        StoreError: the file is locked, full, damaged, or written by a newer version.
        ConfigError: the state exists and the key does not fit it.
    """

    def __init__(self, path: Path | str, vault: Vault) -> None:
        self.vault = vault
        self.path = path
        self._spellings: dict[int, list[str]] = {}
        if path != ":memory:":
            _private(Path(path))
        with self._errors():
            self._db = sqlite3.connect(
                path, isolation_level=None, timeout=_BUSY_MS / 1000
            )
            self._db.executescript(
                "pragma journal_mode=wal; pragma synchronous=full; pragma temp_store=file;"
                "pragma journal_size_limit=67108864;"
                "create temp table looked(record text primary key) without rowid;"
            )
            self._migrate()
        self._check_key()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _migrate(self) -> None:
        version = int(self._db.execute("pragma user_version").fetchone()[0])
        steps = _migrations()
        if version > len(steps):
            raise StoreError(
                f"the state is of version {version}, this program knows {len(steps)}",
                where=str(self.path),
                hint="upgrade connector-hub, or restore the state of this version",
            )
        for n, script in enumerate(steps[version:], version + 1):
            self._db.executescript(
                f"begin immediate;\n{script}\npragma user_version={n};\ncommit;"
            )

    def _check_key(self) -> None:
        mine = self.vault.fingerprint()
        row = self._one("select value from meta where name = 'key'")
        if row is None:
            with self.transaction():
                self._run("insert or ignore into meta values('key', ?)", (mine,))
        elif row[0] != mine:
            self.close()
            raise ConfigError(
                "the state was written with another key",
                where=str(self.path),
                hint="give back the key the state was made with (`key:` in hub.yaml)",
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            text = str(e)
            hint = "look at the file and its disk"
            if "full" in text or "disk I/O" in text:
                hint = "free space on the disk, then run again: nothing is lost"
            elif "locked" in text:
                hint = "another program holds the state; try again when it is done"
            elif "malformed" in text or "not a database" in text:
                hint = "restore the state from a backup"
            raise StoreError(
                f"the state cannot be used: {text}", where=str(self.path), hint=hint
            ) from e

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is done inside is kept together, or not at all."""
        if self._db.in_transaction:
            yield
            return
        with self._errors():
            self._db.execute("begin immediate")
        try:
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

    def _run(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        with self._errors():
            return self._db.execute(sql, values)

    def _many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._errors():
            self._db.executemany(sql, rows)

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self._run(sql, values).fetchone()

    def _in(
        self, sql: str, before: Sequence[Any], values: Collection[Any]
    ) -> Iterator[Any]:
        """Rows of ``sql`` (with one ``{}`` for the list) over chunks of ``values``."""
        todo = list(values)
        for i in range(0, len(todo), _CHUNK):
            part = todo[i : i + _CHUNK]
            marks = ",".join("?" * len(part))
            yield from self._run(sql.format(marks), (*before, *part))

    def pinned(self, connection: str) -> str | None:
        """The account a connection belongs to."""
        row = self._one(
            "select account from account where tenant=? and connection=?",
            (_TENANT, connection),
        )
        return row[0] if row else None

    def pin(self, connection: str, account: str) -> None:
        """Remember the account behind a connection."""
        self._run(
            "insert or replace into account values(?,?,?)",
            (_TENANT, connection, account),
        )

    def links(
        self, account: str, resource: str, records: Collection[str]
    ) -> dict[str, Link]:
        """Links by record id."""
        found = self._in(
            "select record, hub, gone from link where tenant=? and account=? and resource=? "
            "and record in ({})",
            (_TENANT, account, resource),
            records,
        )
        return {r: Link(hub, bool(gone)) for r, hub, gone in found}

    def records(
        self, account: str, resource: str, hubs: Collection[bytes]
    ) -> dict[bytes, tuple[str, bool]]:
        """The record of each hub id at one resource, and whether it is gone."""
        found = self._in(
            "select hub, record, gone from link where tenant=? and account=? and resource=? "
            "and hub in ({}) order by gone desc",
            (_TENANT, account, resource),
            hubs,
        )
        return {hub: (record, bool(gone)) for hub, record, gone in found}

    def link(self, rows: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Add links: (account, resource, record, hub). Who waited for them is looked at again."""
        listed = list(rows)
        self._many(
            "insert or replace into link values(?,?,?,?,?,0)",
            ((_TENANT, a, r, i, h) for a, r, i, h in listed),
        )
        if (
            self._one("select 1 from waiting where tenant=? limit 1", (_TENANT,))
            is None
        ):
            return
        for account, resource, record, _ in listed:
            at = (_TENANT, account, resource, record)
            self._run(
                "insert or ignore into inbox select tenant, job, side, record, 'link' from waiting "
                "where tenant=? and account=? and resource=? and target=?",
                at,
            )
            self._run(
                "delete from waiting where tenant=? and account=? and resource=? and target=?",
                at,
            )

    def lose(self, account: str, resource: str, records: Collection[str]) -> None:
        """These records are gone: their links become tombstones."""
        for i in records:
            self._run(
                "update link set gone=1 where tenant=? and account=? and resource=? and record=?",
                (_TENANT, account, resource, i),
            )

    def linked(self, account: str, resource: str) -> int:
        """How many live links a resource has."""
        return int(
            self._one(
                "select count(*) from link where tenant=? and account=? and resource=? and gone=0",
                (_TENANT, account, resource),
            )[0]
        )

    def spelling(self, job: str, side: str, fields: Sequence[tuple[str, str]]) -> int:
        """A number for a list of (field, rule fingerprint): the layout of packed bases."""
        text = orjson.dumps(list(fields)).decode()
        self._run(
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
            "select hub, packed from base where tenant=? and job=? and side=? and hub in ({})",
            (_TENANT, job, side),
            hubs,
        )
        return dict(found)

    def set_bases(
        self, job: str, side: str, rows: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Store packed bases."""
        self._many(
            "insert or replace into base values(?,?,?,?,?)",
            ((_TENANT, job, side, hub, packed) for hub, packed in rows),
        )

    def index(
        self,
        job: str,
        side: str,
        rows: Iterable[tuple[str, int, Sequence[tuple[int, bytes]]]],
        number: int,
    ) -> None:
        """Identity hashes of records: (record, filled sets, [(set, hash)]); replaces what was known."""
        listed = list(rows)
        old = dict(
            self._in(
                "select record, hashes from indexed where tenant=? and job=? and side=? and record in ({})",
                (_TENANT, job, side),
                [r[0] for r in listed],
            )
        )
        gone: list[tuple[Any, ...]] = []
        new: list[tuple[Any, ...]] = []
        seen: list[tuple[Any, ...]] = []
        for record, filled, hashes in listed:
            packed = b"".join(bytes((slot,)) + h for slot, h in hashes)
            was = old.get(record)
            if was != packed:
                if was:
                    gone += [
                        (_TENANT, job, side, was[i : i + 17], record)
                        for i in range(0, len(was), 17)
                    ]
                new += [
                    (_TENANT, job, side, packed[i : i + 17], record, filled)
                    for i in range(0, len(packed), 17)
                ]
            seen.append((_TENANT, job, side, record, packed, number))
        if gone:
            self._many(
                "delete from identity where tenant=? and job=? and side=? and hash=? and record=?",
                gone,
            )
        self._many("insert or replace into identity values(?,?,?,?,?,?)", new)
        self._many("insert or replace into indexed values(?,?,?,?,?,?)", seen)

    def touch(self, job: str, side: str, records: Collection[str], number: int) -> None:
        """A whole pass saw these records again, unchanged."""
        self._many(
            "update indexed set pass=? where tenant=? and job=? and side=? and record=?",
            ((number, _TENANT, job, side, r) for r in records),
        )

    def forget(self, job: str, side: str, records: Collection[str]) -> None:
        """Take gone records out of the identity index."""
        self.index(job, side, [(r, 0, ()) for r in records], 0)
        self._many(
            "delete from indexed where tenant=? and job=? and side=? and record=?",
            ((_TENANT, job, side, r) for r in records),
        )

    def sweep(self, job: str, side: str, number: int) -> None:
        """Drop from the index what a whole pass of that number did not see."""
        old = self._run(
            "select record from indexed where tenant=? and job=? and side=? and pass<>?",
            (_TENANT, job, side, number),
        ).fetchall()
        for i in range(0, len(old), _CHUNK):
            self.forget(job, side, [r[0] for r in old[i : i + _CHUNK]])

    def kin(
        self, job: str, side: str, hashes: Collection[tuple[int, bytes]]
    ) -> dict[tuple[int, bytes], list[Kin]]:
        """Who else carries these (set, hash) marks on a side."""
        found: dict[tuple[int, bytes], list[Kin]] = {}
        for packed, record, filled in self._in(
            "select hash, record, filled from identity where tenant=? and job=? and side=? and hash in ({})",
            (_TENANT, job, side),
            {bytes((slot,)) + h for slot, h in hashes},
        ):
            found.setdefault((packed[0], packed[1:]), []).append(
                Kin(record, packed[0], filled)
            )
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
        self._run(
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
        self._run(
            "insert or replace into fact values(?,?,?,?,?)",
            (_TENANT, job, side, name, value),
        )

    def inbox(self, job: str, side: str) -> dict[str, str]:
        """Records to look at again, and why."""
        return dict(
            self._run(
                "select record, why from inbox where tenant=? and job=? and side=?",
                (_TENANT, job, side),
            )
        )

    def look_again(self, job: str, side: str, rows: Iterable[tuple[str, str]]) -> None:
        """Put records into the inbox: (record, why)."""
        self._many(
            "insert or replace into inbox values(?,?,?,?,?)",
            ((_TENANT, job, side, record, why) for record, why in rows),
        )

    def looked(self, job: str, side: str, records: Iterable[str]) -> None:
        """Take records out of the inbox."""
        self._many(
            "delete from inbox where tenant=? and job=? and side=? and record=?",
            ((_TENANT, job, side, r) for r in records),
        )

    def wait(
        self, job: str, side: str, rows: Iterable[tuple[str, str, str, str]]
    ) -> None:
        """Remember who waits for a link: (record, account, resource, target record)."""
        self._many(
            "insert or ignore into waiting values(?,?,?,?,?,?,?)",
            ((_TENANT, job, side, r, a, res, t) for r, a, res, t in rows),
        )

    def intend(self, job: str, rows: Iterable[tuple[bytes, bytes, Any]]) -> None:
        """Commit intents before their calls: (id, hub, payload)."""
        with self.transaction():
            self._many(
                "insert into intent values(?,?,?,?,?)",
                (
                    (i, _TENANT, job, hub, self.vault.seal(orjson.dumps(payload), i))
                    for i, hub, payload in rows
                ),
            )

    def intents(self, job: str) -> list[tuple[bytes, bytes, Any]]:
        """Writes whose outcome was never settled."""
        return [
            (i, hub, orjson.loads(self.vault.open(sealed, i)))
            for i, hub, sealed in self._run(
                "select id, hub, payload from intent where tenant=? and job=?",
                (_TENANT, job),
            )
        ]

    def settled(self, intents: Iterable[bytes]) -> None:
        """Take intents away: what became of them is known."""
        self._many("delete from intent where id=?", ((i,) for i in intents))

    def open_conflict(  # noqa: PLR0917
        self,
        job: str,
        kind: str,
        subject: bytes,
        members: Iterable[tuple[str, str]],
        run: int,
        at: datetime,
        detail: Mapping[str, Any],
    ) -> bool:
        """Open a conflict, or add members to the open one. True when it is new."""
        row = self._one(
            "select id from conflict where tenant=? and job=? and kind=? and subject=? and closed is null",
            (_TENANT, job, kind, subject),
        )
        if row is None:
            made = self._run(
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
        self._many(
            "insert or ignore into conflict_member values(?,?,?)",
            ((number, side, record) for side, record in members),
        )
        return row is None

    def doubtful(self, job: str, side: str, records: Collection[str]) -> set[str]:
        """Those whose creation was never answered and cannot be looked up: not to be sent again."""
        if (
            self._one(
                "select 1 from conflict where tenant=? and job=? and kind='unknown outcome' "
                "and closed is null limit 1",
                (_TENANT, job),
            )
            is None
        ):
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
        self, job: str, side: str, records: Collection[str], at: datetime
    ) -> set[str]:
        """Close what these records were in conflict about; the other members of a group."""
        numbers = [
            r[0]
            for r in self._in(
                "select c.id from conflict_member m join conflict c on c.id = m.conflict "
                "where c.closed is null and c.tenant=? and c.job=? and m.side=? and m.record in ({})",
                (_TENANT, job, side),
                records,
            )
        ]
        if not numbers:
            return set()
        others = {
            r[0]
            for r in self._in(
                "select record from conflict_member where side=? and conflict in ({})",
                (side,),
                numbers,
            )
        }
        self._many(
            "update conflict set closed=? where id=?",
            ((at.isoformat(), n) for n in numbers),
        )
        return others - set(records)

    def conflicts(
        self, job: str | None = None, number: int | None = None
    ) -> list[Conflict]:
        """Open conflicts, oldest first."""
        rows = self._run(
            "select id, job, kind, run, opened, payload from conflict where tenant=? and closed is null "
            "and (? is null or job=?) and (? is null or id=?) order by id",
            (_TENANT, job, job, number, number),
        ).fetchall()
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

    def open_letters(self, job: str, records: Collection[str]) -> dict[str, bytes]:
        """The change each record's open dead letter stands for."""
        return dict(
            self._in(
                "select record, change from dead_letter where tenant=? and job=? and closed is null "
                "and record in ({})",
                (_TENANT, job),
                records,
            )
        )

    def bury(
        self,
        job: str,
        rows: Iterable[tuple[str, bytes, str, str, Sequence[str], bytes, str]],
        run: int,
        at: datetime,
    ) -> None:
        """Dead letters: (record, hub, op, reason, fields, change, vendor's message)."""
        for record, hub, op, reason, fields, change, message in rows:
            self.exhume(job, [record], at)
            self._run(
                "insert into dead_letter values(null,?,?,?,?,?,?,?,?,?,?,null,?)",
                (
                    _TENANT,
                    job,
                    record,
                    hub,
                    op,
                    reason,
                    orjson.dumps(list(fields)).decode(),
                    change,
                    run,
                    at.isoformat(),
                    self.vault.seal(message.encode()),
                ),
            )

    def exhume(self, job: str, records: Iterable[str], at: datetime) -> None:
        """Close the dead letters of these records."""
        self._many(
            "update dead_letter set closed=? where tenant=? and job=? and record=? and closed is null",
            ((at.isoformat(), _TENANT, job, r) for r in records),
        )

    def letters(
        self, job: str | None = None, number: int | None = None
    ) -> list[DeadLetter]:
        """Open dead letters, oldest first."""
        rows = self._run(
            "select id, job, record, op, reason, fields, run, opened, payload from dead_letter "
            "where tenant=? and closed is null and (? is null or job=?) and (? is null or id=?) order by id",
            (_TENANT, job, job, number, number),
        )
        return [
            DeadLetter(
                i,
                j,
                record,
                op,
                reason,
                tuple(orjson.loads(fields)),
                run,
                opened,
                self.vault.open(p).decode(),
            )
            for i, j, record, op, reason, fields, run, opened, p in rows
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

    def begin_run(self, job: str, kind: str, at: datetime) -> int:
        """A number for a run that starts now."""
        made = self._run(
            "insert into run values(null,?,?,?,?,null,'running',null)",
            (_TENANT, job, kind, at.isoformat()),
        )
        return int(made.lastrowid or 0)

    def end_run(
        self, run: int, status: str, document: Mapping[str, Any], at: datetime
    ) -> None:
        """How a run ended, as its JSON document."""
        self._run(
            "update run set ended=?, status=?, document=? where id=?",
            (at.isoformat(), status, orjson.dumps(document).decode(), run),
        )

    def runs(self, job: str | None = None, most: int = 50) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        rows = self._run(
            "select id, job, kind, started, ended, status, document from run "
            "where tenant=? and (? is null or job=?) order by id desc limit ?",
            (_TENANT, job, job, most),
        )
        return [
            {
                "run": i,
                "job": j,
                "kind": kind,
                "started": started,
                "ended": ended,
                "status": status,
                "document": orjson.loads(document) if document else None,
            }
            for i, j, kind, started, ended, status, document in rows
        ]

    def first_look(self, records: Sequence[str]) -> set[str]:
        """Which of these records this reading has not met before; ``start_look`` forgets them."""
        known = {
            r[0]
            for r in self._in(
                "select record from temp.looked where record in ({})", (), records
            )
        }
        new = dict.fromkeys(r for r in records if r not in known)
        self._many("insert or ignore into temp.looked values(?)", ((r,) for r in new))
        return set(new)

    def start_look(self) -> None:
        """A reading begins: no record has been met."""
        self._run("delete from temp.looked")

    def save_plan(self, plan: str, job: str, document: Any, at: datetime) -> None:
        """Keep what a plan needs besides its windows, sealed."""
        self._run(
            "insert or replace into plan values(?,?,?,?,null,?)",
            (
                plan,
                _TENANT,
                job,
                at.isoformat(),
                self.vault.seal(orjson.dumps(document), plan.encode()),
            ),
        )

    def plan(self, plan: str) -> tuple[str, str, str | None, Any] | None:
        """(job, made, applied, document)."""
        row = self._one(
            "select job, made, applied, document from plan where tenant=? and id=?",
            (_TENANT, plan),
        )
        if row is None:
            return None
        return (
            row[0],
            row[1],
            row[2],
            orjson.loads(self.vault.open(row[3], plan.encode())),
        )

    def plan_ids(self) -> list[str]:
        """Plans that are kept, newest first."""
        return [
            r[0]
            for r in self._run(
                "select id from plan where tenant=? order by made desc", (_TENANT,)
            )
        ]

    def plan_applied(self, plan: str, at: datetime) -> None:
        """A plan is applied once."""
        self._run("update plan set applied=? where id=?", (at.isoformat(), plan))

    def drop_plans(self, job: str, before: datetime, *, keep: str = "") -> None:
        """Take away the windows of plans older than ``before`` and of runs that did not end."""
        old = [
            r[0]
            for r in self._run(
                "select id from plan where tenant=? and job=? and id<>? and (made<? or applied is not null)",
                (_TENANT, job, keep, before.isoformat()),
            )
        ]
        for i in old:
            self.drop_windows(i)
            self._run("delete from plan where id=?", (i,))

    def drop_windows(self, plan: str) -> None:
        """Take away what was staged and planned under an id."""
        self._run("delete from staged where plan=?", (plan,))
        self._run("delete from window where plan=?", (plan,))

    def stage(self, plan: str, n: int, rows: Any) -> None:
        """Keep a page that was read, sealed."""
        self._keep("staged", plan, n, rows)

    def staged(self, plan: str) -> Iterator[Any]:
        """Pages in the order they were read; each is taken away as the next is asked for."""
        yield from self._kept("staged", plan, take=True)

    def save_window(self, plan: str, n: int, rows: Any) -> None:
        """Keep a window of changes, sealed."""
        self._keep("window", plan, n, rows)

    def windows(self, plan: str) -> Iterator[Any]:
        """Windows in order."""
        yield from self._kept("window", plan, take=False)

    def _keep(self, table: str, plan: str, n: int, rows: Any) -> None:
        sealed = self.vault.seal(orjson.dumps(rows), f"{plan}/{n}".encode())
        self._run(f"insert into {table} values(?,?,?)", (plan, n, sealed))

    def _kept(self, table: str, plan: str, *, take: bool) -> Iterator[Any]:
        n = -1
        while True:
            row = self._one(
                f"select n, payload from {table} where plan=? and n>? order by n limit 1",  # noqa: S608
                (plan, n),
            )
            if row is None:
                return
            n = row[0]
            yield orjson.loads(self.vault.open(row[1], f"{plan}/{n}".encode()))
            if take:
                self._run(f"delete from {table} where plan=? and n=?", (plan, n))  # noqa: S608
