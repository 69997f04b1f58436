"""A key has leaked: the state gets another one, and nothing else changes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backend import KeyringBackend

from connector_hub.adapters import rekeying
from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.secrets import SecretsAdapter
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.vault import Vault
from connector_hub.errors import ConfigError, Locked, StoreError
from connector_hub.sync.run import Options

from .accounts import contact, edit_left, edit_right, later, left, rows, sf
from .test_erasing import IDENTITY, ada, blobs, files, gone, receipt_adds_up

LATE = "late@example.org"


@pytest.fixture
def people() -> int:
    return 5


def key(folder: Path, name: str = "hub.key") -> str:
    return (folder / name).read_text().strip()


def vault_of(text: str) -> Vault:
    return Vault(bytes.fromhex(text))


async def full_life(vendors: Any, opened: Any) -> dict[str, str]:
    """A state with something in every table that the key has to do with."""
    pair = contact(vendors, 1)
    sf(vendors, 3, LastName="Person")
    sf(vendors, 3, LastName="Persoon")
    contact(vendors, 3)
    record = ada(vendors)
    async with opened(
        "both", conflicts='{"*": ask}', apply="{when: {create: 100, update: 3}}"
    ) as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        there = next(r["Id"] for r in rows(vendors) if r["Email"] == "p1@x.org")
        later(vendors)
        edit_left(vendors, pair, jobtitle="A")
        edit_right(vendors, there, Title="B")
        later(vendors)
        await hub.sync("contacts")
        (asked,) = [c for c in hub.conflicts() if c.kind == "fields"]
        hub.store.decide(
            "contacts", b"h" * 16, "title", "left", "ab" * 16, hub.clock.now()
        )
        letter = ("55", b"h" * 16, "update", "BAD", ["email"], b"c" * 16, "too long")
        hub.store.bury("contacts", "left", [letter], 1, hub.clock.now())
        hub.pause("companies", why="lunch", who="ana")
        hub.store.set_told("ab" * 16, {("failed", "contacts"): 1})
        hub.store.set_untold("cd" * 16, "down", hub.clock.now())
        later(vendors)
        edit_left(vendors, pair, city="Medan")
        contact(vendors, 4, email="")
        later(vendors)
        plan = await hub.plan("contacts")
        assert plan.count("update") + plan.count("conflicts") > 0
    return {"pair": pair, "ada": record, "plan": plan.id, "conflict": str(asked.id)}


async def test_after_a_rotation_nothing_is_written_linked_or_read_anew(
    vendors, opened, tmp_path
):
    known = await full_life(vendors, opened)
    old = key(tmp_path)
    before = blobs(tmp_path)
    async with opened(
        "both", conflicts='{"*": ask}', apply="{when: {create: 100, update: 3}}"
    ) as hub:
        links = set(hub.links("contacts"))
        conflicts, letters = hub.conflicts(), hub.dead_letters()
        done = hub.rotate_key()
        assert (done.to, done.moved, done.clean) == ("file:hub.key", False, True)
    assert key(tmp_path) != old
    assert not (tmp_path / "hub.key.next").exists()
    assert (tmp_path / "hub.key").stat().st_mode & 0o077 == 0
    raw = files(tmp_path)
    changed = gone(before, blobs(tmp_path))
    assert {at for at, bs in before.items() if bs & changed} >= {
        "base.packed",
        "identity.mark",
        "journal.payload",
        "conflict.payload",
        "conflict.subject",
        "dead_letter.payload",
        "dead_letter.change",
        "plan.document",
        "plan.needs",
        "standing.payload",
        "window.payload",
    }
    assert [b for b in changed if b in raw] == [], "nothing the old key opens is left"
    async with opened(
        "both", conflicts='{"*": ask}', apply="{when: {create: 100, update: 3}}"
    ) as hub:
        assert set(hub.links("contacts")) == links
        again = hub.conflicts()
        assert [(c.id, c.kind, c.members) for c in again] == [
            (c.id, c.kind, c.members) for c in conflicts
        ]
        assert hub.dead_letters() == letters
        assert hub.key_saved() is None
        ends = {s.name: s.why for s in hub.standings()}
        assert ends == {"companies": "lunch"}
        receipt = await hub.apply(known["plan"])
        assert receipt_adds_up(receipt)
        assert receipt.stale == 0
        assert len(hub.conflicts()) == len(conflicts) + 1, "no conflict is opened twice"
        for full in (False, True):
            receipt = await hub.sync("contacts", options=Options(full=full))
            assert receipt.writes == {"billing": 0, "sales": 0}
            assert receipt_adds_up(receipt)
            assert receipt.new["conflicts"] == 0
        assert set(hub.links("contacts")) >= links


async def test_a_sync_after_a_rotation_makes_the_calls_it_would_have_made(
    vendors, opened
):
    async with opened("both") as hub:
        await hub.sync("contacts")
        later(vendors, 600)
        await hub.sync("contacts")
        later(vendors, 600)
        usual = (await hub.sync("contacts")).calls
        hub.rotate_key()
        later(vendors, 600)
        receipt = await hub.sync("contacts")
        assert receipt.calls == usual
        assert receipt.writes == {"billing": 0, "sales": 0}


async def test_the_old_key_opens_nothing_and_cannot_be_used_to_guess(
    vendors, opened, tmp_path
):
    ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        marks = {d for _, d in hub._digests(hub._asked(IDENTITY, None))}
        hub.rotate_key()
        assert hub.store.bearers(marks) == set(), (
            "guesses hashed with the old key meet nothing"
        )
        assert (
            len(
                hub.store.bearers(
                    {d for _, d in hub._digests(hub._asked(IDENTITY, None))}
                )
            )
            == 2
        )
    old = Vault(b"k" * 32)
    with pytest.raises(ConfigError, match="another key") as told:
        SqliteStore(tmp_path / "hub.db", old)
    assert "its key was rotated: on " in told.value.hint
    with sqlite3.connect(tmp_path / "hub.db") as db:
        kept = db.execute(
            "select value from meta where name='earlier keys'"
        ).fetchone()[0]
    db.close()
    with pytest.raises(StoreError):
        old.recall(kept)


async def test_who_was_erased_stays_erased_through_rotations(vendors, opened):
    record = ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        hub.erase([f"email={LATE}"])
        for n in range(3):
            hub.rotate_key()
            later(vendors)
            edit_left(vendors, record, jobtitle=f"t{n}")
            later(vendors)
            receipt = await hub.sync("contacts", options=Options(full=True))
            assert receipt.writes == {"billing": 0, "sales": 0}
            assert hub.trace("contacts", record) == []
            new = sf(vendors, 1, LastName=f"Late {n}", Email=LATE)
            later(vendors)
            await hub.sync("contacts")
            assert hub.trace("contacts", new) == []
            assert LATE not in {r["email"] for r in left(vendors).values()}
        assert hub.export(IDENTITY)["erased"]
        assert hub.lift(IDENTITY) == 1


async def test_what_people_have_decided_and_will_decide_holds(vendors, opened):
    """Decisions are about the values that were seen, and those are known by hashes."""
    ids = [contact(vendors, n) for n in (1, 2)]
    async with opened("both", conflicts='{"*": ask}') as hub:
        await hub.sync("contacts")
        later(vendors)
        for n, record in enumerate(ids, 1):
            there = next(r["Id"] for r in rows(vendors) if r["Email"] == f"p{n}@x.org")
            edit_left(vendors, record, jobtitle=f"A{n}")
            edit_right(vendors, there, Title=f"B{n}")
        later(vendors)
        await hub.sync("contacts")
        before, after = hub.conflicts()
        hub.resolve(before, "left")
        hub.rotate_key()
        hub.resolve(hub.conflict(after.id), "left")
        await hub.sync("contacts")
        assert hub.conflicts() == []
        titles = {r["Email"]: r["Title"] for r in rows(vendors)}
        assert (titles["p1@x.org"], titles["p2@x.org"]) == ("A1", "A2")


async def test_a_hub_that_goes_on_takes_up_the_key_another_process_has_made(
    vendors, opened
):
    contact(vendors, 1)
    async with opened("both") as keeper:
        await keeper.sync("contacts")
        before = keeper.store
        async with opened("both") as other:
            other.rotate_key()
        with pytest.raises(StoreError, match="rotated by another process"):
            before.set_fact("contacts", "left", "x", "y")
        later(vendors)
        receipt = await keeper.sync("contacts", options=Options(full=True))
        assert receipt.writes == {"billing": 0, "sales": 0}
        keeper.pause("contacts", why="x")
    async with opened("both") as hub:
        assert [s.why for s in hub.standings()] == ["x"]


async def test_a_hub_that_goes_on_lifts_and_rotates_after_another_process_has_rotated(
    vendors, opened
):
    ada(vendors)
    async with opened("both") as keeper:
        await keeper.sync("contacts")
        keeper.erase(IDENTITY)
        async with opened("both") as other:
            other.rotate_key()
        assert keeper.lift(IDENTITY) == 1
        async with opened("both") as other:
            other.rotate_key()
        keeper.rotate_key()
    async with opened("both") as hub:
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}


async def test_a_hub_that_goes_on_reads_what_another_process_has_sealed_anew(
    vendors, opened
):
    """Else whoever keeps the jobs calls the state damaged, for as long as anything is paused."""
    ada(vendors)
    async with opened("both") as keeper:
        await keeper.sync("contacts")
        keeper.pause("companies", why="lunch")
        keeper.erase(IDENTITY)
        async with opened("both") as other:
            other.rotate_key()
        assert [s.why for s in keeper.standings()] == ["lunch"]
        async with opened("both") as other:
            other.rotate_key()
        assert keeper.lift(IDENTITY) == 1
        async with opened("both") as other:
            other.rotate_key()
        assert not keeper.rotate_key().moved


async def test_who_opens_the_state_while_a_rotation_ends_may_end_it(
    opened, tmp_path, monkeypatch
):
    """Between the commit and the move of the key any command may come; it moves the key."""
    async with opened("both") as hub:
        hub.pause("contacts", why="x")
        rekey = SqliteStore.rekey
        others: list[str] = []

        def met(store, *given):
            rekey(store, *given)
            others.append(key(tmp_path, "hub.key.next"))
            SecretsAdapter(tmp_path, {}).move("file:hub.key.next", "file:hub.key")

        monkeypatch.setattr(SqliteStore, "rekey", met)
        assert hub.rotate_key().clean
    assert others == [key(tmp_path)]
    async with opened("both") as hub:
        assert [s.why for s in hub.standings()] == ["x"]


async def test_a_job_that_is_running_holds_a_rotation_up(opened, tmp_path):
    async with opened("both") as hub:
        await hub.sync("contacts")
        old = key(tmp_path)
        with job_lock(tmp_path / "hub.db", "contacts"), pytest.raises(Locked):
            hub.rotate_key()
    assert key(tmp_path) == old


async def test_a_key_of_the_environment_is_given_by_whoever_sets_it(opened, tmp_path):
    async with opened("both") as hub:
        await hub.sync("contacts")
        with pytest.raises(ConfigError, match="is not set"):
            hub.rotate_key("env:NEW_HUB_KEY")
        hub.secrets._environ = {**hub.secrets._environ, "NEW_HUB_KEY": key(tmp_path)}
        with pytest.raises(ConfigError, match="is the key that the state has"):
            hub.rotate_key("env:NEW_HUB_KEY")
        hub.secrets._environ = {**hub.secrets._environ, "NEW_HUB_KEY": "ab" * 32}
        done = hub.rotate_key("env:NEW_HUB_KEY")
        assert done.moved
        assert (tmp_path / "hub.key").exists(), (
            "the old file is the operator's to destroy"
        )
    async with opened("both") as hub:
        with pytest.raises(ConfigError, match="another key") as told:
            hub.runs()
        assert "write `key: env:NEW_HUB_KEY` in hub.yaml" in told.value.hint
        assert told.value.exit_code == 2


async def test_a_key_of_the_environment_cannot_be_replaced_by_the_hub(opened):
    async with opened("both") as hub:
        object.__setattr__(hub.project, "key", "env:HUB_KEY")
        hub.secrets._environ = {**hub.secrets._environ, "HUB_KEY": "cd" * 32}
        with pytest.raises(ConfigError, match="the hub cannot set env:HUB_KEY") as told:
            hub.rotate_key()
        assert "key rotate --to env:NAME" in told.value.hint


async def test_a_key_moves_into_the_keyring_and_is_rotated_there(
    vendors, opened, monkeypatch
):
    held: dict[str, str] = {}

    class Safe(KeyringBackend):
        priority = 1

        def get_password(self, service, username):
            return held.get(username)

        def set_password(self, service, username, password):
            held[username] = password

        def delete_password(self, service, username):
            del held[username]

    Safe.__module__ = "keyring.backends.SecretService"
    monkeypatch.setattr(keyring, "get_keyring", Safe)
    contact(vendors, 1)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.rotate_key("keyring:hub")
        object.__setattr__(hub.project, "key", "keyring:hub")
        first = held["hub"]
        hub.rotate_key()
        assert {*held} == {"hub"}
        assert held["hub"] != first
        held["hub.next"], held["hub"] = held["hub"], first
        hub._store.close()
        hub._store = None
        assert len(hub.runs()) == 1, (
            "a rotation that was cut off is ended when the state is opened"
        )
        assert {*held} == {"hub"}


async def test_a_key_that_another_profile_uses_is_not_replaced(opened, tmp_path):
    async with opened("both") as hub:
        await hub.sync("contacts")
        old = key(tmp_path)
        object.__setattr__(hub.project, "same_key", {"staging": "sqlite:///staging.db"})
        (tmp_path / "staging.db").write_bytes(b"x")
        with pytest.raises(
            ConfigError, match="profile staging has the same key"
        ) as told:
            hub.rotate_key()
        assert "key rotate --to file:NAME.key" in told.value.hint
        assert key(tmp_path) == old
        hub.rotate_key("file:mine.key")
        assert key(tmp_path) == old
        assert (tmp_path / "mine.key").stat().st_mode & 0o077 == 0


async def test_a_damaged_state_keeps_its_key(opened, tmp_path):
    async with opened("both") as hub:
        await hub.sync("contacts")
        old = key(tmp_path)
        hub.store._run("update base set packed=substr(packed, 1, 30)")
        with pytest.raises(StoreError, match="cannot be opened"):
            hub.rotate_key()
        assert hub.store.is_current
    assert key(tmp_path) == old
    async with opened("both") as hub:
        assert hub.runs()


def test_every_column_that_the_key_has_to_do_with_is_known_to_a_rotation(tmp_path):
    """A table that comes later is declared, or this fails."""
    store = SqliteStore(tmp_path / "x.db", Vault(b"k" * 32))
    tables = [
        r[0] for r in store._run("select name from sqlite_master where type='table'")
    ]
    columns = {
        (t, c[1])
        for t in tables
        for c in store._run(f"pragma table_info({t})")
        if c[2].lower() == "blob"
    }
    store.close()
    told = {*rekeying.SEALED, *rekeying.HASHED, *rekeying.MIXED, *rekeying.PLAIN}
    assert columns - told == set()
    assert told - columns == set()
