"""Faults of the state's file: a full disk, a lock, damage.

Each ends with exit code 8 and says what to do, leaves nothing half, and lets no write reach a vendor that
is not an intent in the state. With the fault gone the next runs lose and double nothing.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from connector_hub.adapters import sqlite
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.errors import ConfigError, StoreError
from connector_hub.hub import Hub
from tests.conftest import LONG

from .desk import Desk

PAGE = 8192
DIRECTIONS = ["both", "left-to-right"]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """``disk(n)``: a state that is opened from now on has no more than n pages; None for any number."""
    fair, most = SqliteStore._open, [0]

    def opening(self: SqliteStore, path: Path | str) -> None:
        fair(self, path)
        if most[0]:
            self._run(f"pragma max_page_count={most[0]}")

    monkeypatch.setattr(SqliteStore, "_open", opening)
    return lambda pages: most.__setitem__(0, pages or 0)


def pages(state: Path) -> int:
    with sqlite3.connect(state) as db:
        (found,) = db.execute("pragma page_count").fetchone()
    db.close()
    return int(found)


async def ends_with_8(desk: Desk, hint: str) -> bool:
    """Run; whether the state failed. Then it says so, and what to do."""
    try:
        await desk.sync()
    except StoreError as e:
        told = e
    else:
        return False
    assert (told.exit_code, told.where) == (8, str(desk.state))
    assert hint in told.hint
    return True


_MANY = 60
"""People whose first copy needs more pages than an empty state has."""


@pytest.mark.parametrize("direction", DIRECTIONS if LONG else ["both"])
async def test_a_disk_that_is_full_from_any_page_on_loses_and_doubles_nothing(
    tmp_path: Path, disk: Callable[[int | None], None], direction: str
) -> None:
    made = Desk(tmp_path / "made", direction)
    async with made.opened() as hub:
        assert hub.jobs_in_order()
        _ = hub.store
    new, room, full = pages(made.state), 3, True
    while full:
        desk = Desk(tmp_path / str(room), direction)
        desk.fill(_MANY)
        disk(room)
        full = await ends_with_8(desk, "free space on the disk")
        disk(None)
        assert not list(desk.folder.glob(".hub.db.*")), "half a state stays"
        assert desk.state.exists() is (room >= new)
        await desk.comes_to_rest()
        room += 1 if LONG else 5 if room >= new else 19
    assert room > new + 3


class Full:
    """Somebody else's files fill the disk: the state has no free page, and gets none."""

    hint = "free space on the disk"

    def strike(self, hub: Hub) -> None:
        store = hub.store
        self._db = sqlite3.connect(store.path, isolation_level=None)
        self._db.execute("create table other(x)")
        while self._db.execute("pragma freelist_count").fetchone() != (0,):
            self._db.execute("insert into other values(zeroblob(500))")
        store._run("pragma max_page_count=1")

    def mend(self) -> None:
        self._db.execute("drop table other")
        self._db.close()


class Held:
    """Another program holds the state, and does not give it back."""

    hint = "another program holds the state"

    def strike(self, hub: Hub) -> None:
        self._db = sqlite3.connect(hub.store.path, isolation_level=None)
        self._db.execute("begin exclusive")

    def mend(self) -> None:
        self._db.close()


class Strike:
    """A fault that strikes as the call number ``at`` to a vendor is about to leave."""

    def __init__(self, desk: Desk, at: int, fault: Full | Held) -> None:
        self.desk, self.fault, self.struck = desk, fault, False
        self._at = at
        desk.before = self._strike

    async def _strike(self, _: str) -> None:
        if len(self.desk.calls) == self._at and not self.struck:
            self.fault.strike(self.desk.hub)
            self.struck = True


@pytest.mark.parametrize("fault", [Full, Held])
@pytest.mark.parametrize("direction", DIRECTIONS if LONG else ["both"])
async def test_a_state_that_fails_at_any_moment_of_a_run_loses_and_doubles_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: type[Full | Held],
    direction: str,
) -> None:
    monkeypatch.setattr(sqlite, "_BUSY_MS", 20)
    monkeypatch.setattr(sqlite, "_PAGE", 512)
    at, failed, after_a_write = 0, 0, 0
    while True:
        desk = Desk(tmp_path / str(at), direction)
        desk.fill()
        strike = Strike(desk, at, fault())
        stopped = await ends_with_8(desk, fault.hint)
        if not strike.struck:
            break
        strike.fault.mend()
        failed += stopped
        after_a_write += stopped and bool(desk.writes)
        await desk.comes_to_rest()
        at += 1 if LONG else 5
    assert failed > (at / 2 if LONG else at / 10)
    assert after_a_write


async def test_a_lock_that_is_given_back_in_time_stops_no_run(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "desk")
    desk.fill()
    await desk.sync()
    desk.edit()
    other = sqlite3.connect(desk.state, isolation_level=None, check_same_thread=False)
    other.execute("begin exclusive")
    timer = threading.Timer(0.3, other.execute, ["rollback"])
    timer.start()
    await desk.sync()
    timer.join()
    other.close()
    await desk.comes_to_rest()


@pytest.fixture
async def used(tmp_path: Path) -> Desk:
    """A project that has been at work for two days."""
    desk = Desk(tmp_path / "used")
    desk.fill(12)
    await desk.sync()
    desk.edit()
    await desk.comes_to_rest()
    return desk


def put_down(desk: Desk, data: bytes, log: bytes | None = None) -> None:
    """The state as it is found: its file, and its write-ahead log."""
    for file in desk.folder.glob("hub.db*"):
        file.unlink()
    desk.state.write_bytes(data)
    if log is not None:
        desk.state.with_name("hub.db-wal").write_bytes(log)


async def refused(desk: Desk, *said: str) -> str:
    """A run ends with 8, asks no vendor to write, and leaves the file as it was: what is told."""
    before = desk.state.read_bytes() if desk.state.exists() else None
    desk.writes.clear()
    with pytest.raises(StoreError) as told:
        await desk.sync()
    assert told.value.exit_code == 8
    for text in ("restore it from a backup", *said):
        assert text in str(told.value)
    assert not desk.writes
    assert (desk.state.read_bytes() if desk.state.exists() else None) == before
    return str(told.value)


async def test_a_state_that_was_emptied_is_not_begun_anew(used: Desk) -> None:
    put_down(used, b"")
    await refused(used, "hub.db is empty", "remove hub.db, hub.db-wal and hub.db-shm")


async def test_a_log_without_its_state_is_not_thrown_away(used: Desk) -> None:
    put_down(used, b"", b"log")
    used.state.unlink()
    await refused(used, "hub.db is gone, and hub.db-wal is there")
    assert used.state.with_name("hub.db-wal").read_bytes() == b"log"


async def test_a_file_of_another_kind_is_told(used: Desk) -> None:
    put_down(used, b"not a database at all" * 1000)
    await refused(used, "not a database")


async def test_a_database_of_another_program_is_left_alone(used: Desk) -> None:
    put_down(used, b"")
    with sqlite3.connect(used.state) as other:
        other.execute("create table mine(x)")
    other.close()
    with pytest.raises(StoreError, match="no state of connector-hub") as told:
        await used.sync()
    assert "hub.yaml" in told.value.hint
    with sqlite3.connect(used.state) as other:
        tables = other.execute("select name from sqlite_master").fetchall()
    other.close()
    assert tables == [("mine",)]


async def test_a_state_that_is_cut_off_anywhere_is_refused(used: Desk) -> None:
    whole = used.state.read_bytes()
    lots, complete = 200 if LONG else 5, held(used.state)
    for n in range(1, lots):
        cut = whole[: len(whole) * n // lots - 1]
        put_down(used, cut)
        if n > lots // 2 and sound(used.state):
            assert held(used.state) == complete, "what is missing was in no use"
            continue
        put_down(used, cut)
        await refused(used)


def flipped(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]


def sector(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) // PAGE) * PAGE
    return data[:at] + chance.randbytes(512) + data[at + 512 :]


def zeros(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data) // PAGE) * PAGE
    return data[:at] + bytes(PAGE // 2) + data[at + PAGE // 2 :]


def held(state: Path) -> list[str]:
    """All that a state holds, as SQL."""
    with contextlib.closing(sqlite3.connect(state)) as db:
        return list(db.iterdump())


def sound(state: Path) -> bool:
    """Whether SQLite finds no fault in the file's structure."""
    db = sqlite3.connect(state)
    try:
        return bool(db.execute("pragma quick_check").fetchall() == [("ok",)])
    except (sqlite3.Error, UnicodeDecodeError):
        return False
    finally:
        db.close()


@pytest.mark.parametrize("damage", [flipped, sector, zeros])
async def test_a_state_with_a_damaged_place_is_refused_wherever_it_is(
    used: Desk, damage: Callable[[bytes, random.Random], bytes]
) -> None:
    """What SQLite cannot see, in the middle of a value, leads to no write at least."""
    whole, chance, told = used.state.read_bytes(), random.Random(4), 0
    for _ in range(300 if LONG else 7):
        put_down(used, damage(whole, chance))
        if sound(used.state):
            try:
                receipts = await used.sync()
            except StoreError:
                continue
            assert not any(sum(r.writes.values()) for r in receipts)
        else:
            await refused(used)
            told += 1
    assert told or damage is flipped


@pytest.mark.parametrize("word", [b"CREATE TABLE", b"CREATE INDEX"])
async def test_what_cannot_be_decoded_is_damage_and_is_not_shown(
    used: Desk, word: bytes
) -> None:
    """SQLite repeats such a text in its error, and Python cannot decode that."""
    whole = used.state.read_bytes()
    damaged = whole.replace(word, word[:4] + b"\xc2\xff" + word[6:])
    assert damaged != whole
    put_down(used, damaged)
    message = await refused(used)
    assert "\ufffd" not in message
    assert "\\x" not in message


async def hot(desk: Desk, token: str) -> tuple[bytes, bytes]:
    """A state as a killed run leaves it: its file, and a log that is not in it yet."""
    async with desk.opened() as hub:
        desk.edit(token)
        for job in hub.jobs_in_order():
            await hub.sync(job)
        log = desk.state.with_name("hub.db-wal")
        return desk.state.read_bytes(), log.read_bytes()


async def test_a_log_that_was_lost_is_a_state_of_an_hour_ago(used: Desk) -> None:
    data, log = await hot(used, "lost")
    assert log
    put_down(used, data)
    await used.comes_to_rest()


async def test_the_log_of_another_state_is_told(used: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "other")
    other.fill(7)
    await other.sync()
    _, log = await hot(other, "theirs")
    data, _ = await hot(used, "mine")
    put_down(used, data, log)
    used.writes.clear()
    with pytest.raises((StoreError, ConfigError)) as told:
        await used.sync()
    assert any(w in str(told.value) for w in ("damaged", "another key", "malformed"))
    assert not used.writes
