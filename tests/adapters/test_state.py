"""The state: what is remembered, sealed, upgraded and refused."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connector_hub.adapters import sqlite
from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.vault import Vault, new_key
from connector_hub.errors import ConfigError, Locked, StoreError
from connector_hub.model.journal import Entry
from connector_hub.model.mapping import ABSENT
from connector_hub.model.plan import Change, Seen
from connector_hub.ports import Ticket

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
VAULT = Vault(b"k" * 32)
CANARY = "canary@people.example"


@pytest.fixture
def store(tmp_path):
    made = SqliteStore(tmp_path / "hub.db", VAULT)
    yield made
    made.close()


def change(record: str = "1") -> Change:
    return Change(
        "update", b"h" * 16, "left", Seen(record, "v", None, None, (CANARY,)), None
    )


def test_every_earlier_version_is_upgraded(tmp_path):
    steps = sqlite._migrations()
    for version in range(1, len(steps) + 1):
        path = tmp_path / f"{version}.db"
        with sqlite3.connect(path) as old:
            for n, script in enumerate(steps[:version], 1):
                old.executescript(f"{script}\npragma user_version={n};")
            old.execute("insert into meta values('key', ?)", (VAULT.fingerprint(),))
        old.close()
        store = SqliteStore(path, VAULT)
        store.pin("sales", "hubspot:1")
        assert store.pinned("sales") == "hubspot:1"
        assert store._one("pragma user_version")[0] == len(steps)
        store.close()


def test_the_migrations_are_numbered_without_a_gap():
    from importlib import resources  # noqa: PLC0415 - beside what it looks at

    folder = resources.files("connector_hub.adapters") / "migrations"
    names = sorted(f.name for f in folder.iterdir() if f.name.endswith(".sql"))
    assert [int(n[:4]) for n in names] == list(range(1, len(names) + 1))


def test_values_lie_sealed_in_the_file(store, tmp_path):
    store.save_window("j", "p", 0, [change()])
    store.stage("j", "p", "left", 0, [Seen("1", None, None, None, (CANARY,))])
    letter = ("1", b"h" * 16, "create", "BAD", ["email"], b"c", f"{CANARY} is bad")
    store.bury("j", "left", [letter], 1, AT)
    store.open_conflict("j", "fields", b"s", [("left", "1")], 1, AT, {"fields": CANARY})
    store.save_plan("p", "j", {"v": CANARY}, AT)
    store.close()
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_a_sealed_value_cannot_be_moved(store):
    store.save_window("j", "p", 0, [change()])
    store._run("update window set n=1")
    with pytest.raises(StoreError, match="cannot be opened"):
        list(store.windows("j", "p"))


def test_a_vault_needs_its_whole_key():
    with pytest.raises(ConfigError, match="5 bytes"):
        Vault(b"short")
    one, other = Vault(new_key()), Vault(new_key())
    assert one.fingerprint() != other.fingerprint()
    assert one.derive("base") != one.derive("identity")
    with pytest.raises(StoreError):
        other.open(one.seal(b"x", b"at"), b"at")
    with pytest.raises(StoreError):
        one.open(one.seal(b"x", b"at"), b"elsewhere")


def test_what_is_done_in_a_transaction_is_kept_whole_or_not_at_all(store):
    def half() -> None:
        with store.transaction():
            store.pin("sales", "a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert store.pinned("sales") is None


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "hub.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="not a database"):
        SqliteStore(tmp_path / "hub.db", VAULT)


def test_the_state_is_its_owners_alone(tmp_path):
    SqliteStore(tmp_path / "hub.db", VAULT).close()
    assert (tmp_path / "hub.db").stat().st_mode & 0o077 == 0


def test_a_window_that_was_begun_outlives_its_plan_until_it_is_settled(store):
    for n in range(3):
        store.save_window("j", "p", n, [change(str(n))])
    store.open_window("j", "p", 1, b"s" * 12)
    store.drop_windows("j", "p")
    store.drop_plans("j", AT)
    assert [(p, n) for p, n, _ in store.open_windows("j")] == [("p", 1)]
    store.close_window("j", "p", 1, [change("rest")])
    ((_, _, rest),) = store.open_windows("j")
    assert rest == [change("rest")]
    store.close_window("j", "p", 1)
    assert store.open_windows("j") == []


def test_changes_of_plans_that_are_old_or_decided_go_and_others_stay(store):
    for name, made in (("old", AT - timedelta(days=2)), ("new", AT), ("done", AT)):
        store.save_plan(name, "j", {}, made)
        store.save_window("j", name, 0, [change()])
    store.save_window("j", "of a dead run", 0, [change()])
    store.save_plan("new", "j", {"told": 1, "needs": {"held": [CANARY]}}, AT)
    store.save_plan("done", "j", {"told": 2, "needs": {"held": [CANARY]}}, AT)
    assert store.end_plan("done", "applied", AT, "ana")
    store.drop_plans("j", AT - timedelta(days=1))
    left = store._run("select plan from window").fetchall()
    assert left == [("new",)]
    assert store.plan("new").needs == {"held": [CANARY]}
    done = store.plan("done")
    assert (done.document, done.needs) == ({"told": 2}, None)
    assert store.plans("j")[0].needs is None


def test_a_plan_is_decided_once_and_remembered_for_a_month(store):
    for name in ("a", "b"):
        store.save_plan(name, "j", {}, AT)
    assert store.end_plan("a", "rejected", AT, "ana")
    assert not store.end_plan("a", "applied", AT, "budi")
    row = store.plan("a")
    assert (row.state, row.decided, row.person) == ("rejected", AT.isoformat(), "ana")
    store.expire(AT + timedelta(days=29))
    assert {r.id for r in store.plans("j")} == {"a", "b"}
    assert store.plans("another job") == []
    assert [r.id for r in store.plans(state="rejected")] == ["a"]
    assert len(store.plans(most=1)) == 1
    store.expire(AT + timedelta(days=31))
    assert store.plan_ids() == []


def test_one_plan_of_a_job_waits_at_the_most(store):
    for name in ("a", "b"):
        store.save_plan(name, "j", {}, AT, state="waiting")
    store.save_plan("c", "another job", {}, AT, state="waiting")
    assert {r.id: r.state for r in store.plans()} == {
        "a": "replaced",
        "b": "waiting",
        "c": "waiting",
    }


def test_the_index_forgets_what_a_whole_pass_did_not_meet(store):
    mark = b"\0" + b"m" * 16
    store.index("j", "left", [("1", 1, [mark]), ("2", 0, [])], 1)
    store.index("j", "right", [("9", 1, [mark])], 1)
    assert store.passed("j", "left", ["1", "2", "3"], 1) == {"1", "2"}
    assert [
        (r, t, k.record) for r, t, k in store.relatives("j", "left", "right", ["1"])
    ] == [("1", True, "9")]
    store.touch("j", "left", ["1"], 2)
    store.sweep("j", "left", 2)
    assert store.passed("j", "left", ["1", "2"], 2) == {"1"}
    store.index("j", "left", [("1", 0, [])], 3)
    assert list(store.relatives("j", "left", "right", ["1"])) == []


def test_who_waits_for_a_link_is_looked_at_when_it_comes(store):
    store.wait("j", "left", [("c1", "hubspot:1", "companies", "7")])
    store.link([("hubspot:1", "companies", "8", b"x" * 16)])
    assert store.inbox("j", "left") == ({}, 0)
    store.link([("hubspot:1", "companies", "7", b"y" * 16)])
    assert store.inbox("j", "left") == ({"c1": "link"}, 1)


def test_a_letter_stays_the_same_letter_until_it_is_closed(store):
    def bury(reason: str) -> None:
        store.bury("j", "left", [("1", b"h", "create", reason, [], b"c", "m")], 1, AT)

    bury("A")
    (first,) = store.letters("j")
    bury("B")
    (second,) = store.letters("j")
    assert (second.id, second.reason) == (first.id, "B")
    store.exhume("j", "right", ["1"], AT)
    assert len(store.letters("j")) == 1
    store.exhume("j", "left", ["1"], AT)
    bury("C")
    (third,) = store.letters("j")
    assert third.id != first.id


def test_a_lock_dies_with_its_process(tmp_path):
    state = tmp_path / "hub.db"
    script = (
        "import sys, time; from pathlib import Path\n"
        "from connector_hub.adapters.locks import job_lock\n"
        f"with job_lock(Path({str(state)!r}), 'j'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Locked, match=str(child.pid)), job_lock(state, "j"):
            pass
        with job_lock(state, "another job"):
            pass
        child.kill()
        child.wait()
    with job_lock(state, "j"):
        pass


def test_what_is_long_closed_is_forgotten(store):
    letter = ("1", b"h", "create", "BAD", [], b"c", "m")
    store.bury("j", "left", [letter], 1, AT)
    store.open_conflict("j", "twins", b"s", [("left", "1")], 1, AT, {})
    store.exhume("j", "left", ["1"], AT)
    store.close_conflicts("j", "left", ["1"], AT)

    def kept() -> list[int]:
        tables = ("dead_letter", "conflict", "conflict_member")
        return [store._one(f"select count(*) from {t}")[0] for t in tables]  # noqa: S608

    store.expire(AT + timedelta(days=29))
    assert kept() == [1, 1, 1]
    store.expire(AT + timedelta(days=31))
    assert kept() == [0, 1, 1]
    store.expire(AT + timedelta(days=91))
    assert kept() == [0, 0, 0]


def entry(n: int) -> Entry:
    hub = n.to_bytes(4, "big") + b"h" * 12
    return Entry(
        "right", "update", hub, f"r{n}", "", ("name",), (CANARY,), (ABSENT,), ("name",)
    )


def test_what_was_written_is_asked_for_by_run_or_thing_and_lies_sealed(store, tmp_path):
    layout = store.spelling("j", "left", [("name", "properties.name")])
    for run in (1, 2, 2, 3):
        entries = [entry(run), entry(run + 10)]
        store.keep("j", run, AT, (layout, layout), entries)
    store.keep("other", 4, AT, (layout, layout), [entry(1)])
    assert [p.run for p in store.journal("j")] == [3, 2, 2, 1]
    assert [p.run for p in store.journal("j", run=2)] == [2, 2]
    assert [p.run for p in store.journal("j", after=2)] == [3]
    (page,) = store.journal("j", hub=entry(11).hub)
    assert (page.run, page.job, page.at) == (1, "j", AT.isoformat())
    assert page.layout("left") == page.layout("right") == (("name", "properties.name"),)
    assert page.entries == [entry(1), entry(11)]
    assert page.entries[0].after[0] is ABSENT
    assert list(store.journal("j", hub=entry(99).hub)) == []
    found = b"".join(p.read_bytes() for p in tmp_path.glob("hub.db*"))
    assert CANARY.encode() not in found
    store.expire(AT + timedelta(days=30))
    assert [p.run for p in store.journal("j")] == [3, 2, 2, 1]
    store.expire(AT + timedelta(days=30, seconds=1))
    assert list(store.journal("j")) == []


def test_a_window_remembers_which_run_was_writing_it(store):
    store.save_window("j", "p", 0, [change()])
    assert store.writers("j") == {}
    store.open_window("j", "p", 0, b"s" * 12, 7)
    store.close_window("j", "p", 0, [change("rest")])
    assert store.writers("j") == {("p", 0): 7}


def test_look_ups_of_records_seek_each_and_never_walk_a_side(store):
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    store.links("hubspot:1", "contacts", ["1"])
    store.records("hubspot:1", "contacts", [b"h"])
    store.tombstones("hubspot:1", "contacts", ["1"])
    store.unlisted("j", "left", "hubspot:1", "contacts", several=False)
    store.things([b"h"])
    store.bases("j", "left", [b"h"])
    store.passed("j", "left", ["1"], 1)
    store.kin("j", "left", [b"m"])
    list(store.relatives("j", "left", "right", ["1"]))
    list(store.pairs(("hubspot:1", "contacts"), ("salesforce:1", "Contact")))
    store._db.set_trace_callback(None)
    for sql in (q for q in asked if q.startswith("select")):
        walked = 0
        for *_, step in store._db.execute(f"explain query plan {sql}").fetchall():
            keys = ("record=", "thing=", "hub=", "mark=", "rowid=", "name=", "resource")
            walked += not any(k in step for k in (*keys, "TEMP", "SUBQUERY"))
        whole = ("order by a.record", "not exists")
        assert walked <= any(w in sql for w in whole), sql


def test_a_hint_keeps_another_reason_and_a_number_never_comes_again(store):
    store.look_again("j", "left", [("1", "replay"), ("2", "link")])
    store.hint("j", "left", ["1", "3"])
    asked, planned = store.inbox("j", "left")
    assert asked == {"1": "replay", "2": "link", "3": "hint"}
    store.looked("j", "left", asked, planned)
    assert store.inbox("j", "left") == ({}, 0)
    store.hint("j", "left", ["1"])
    # A plan of before is applied now: it has not seen this.
    store.looked("j", "left", asked, planned)
    assert store.inbox("j", "left")[0] == {"1": "hint"}


def test_what_is_undone_leaves_no_number_behind(store):
    row = ("hubspot:1", "contacts", "7", b"x" * 16)

    def dies():
        with store.transaction():
            store.link([row])
            store.set_bases("j", "left", [(row[3], b"of a run that died")])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        dies()
    store.link([("hubspot:1", "companies", "8", b"y" * 16)])
    with store.transaction():
        store.link([row])
        store.set_bases("j", "left", [(row[3], b"base")])
    assert store.records(*row[:2], [row[3]]) == {row[3]: ("7", False)}
    assert store.bases("j", "left", [row[3], b"y" * 16]) == {row[3]: b"base"}
    assert store.records("hubspot:1", "companies", [b"y" * 16])[b"y" * 16][0] == "8"


def test_a_window_is_marked_without_writing_its_payload_again(store):
    store.save_window("j", "p", 0, [change()])
    kept = store._one("select payload from window")[0]
    store.open_window("j", "p", 0, b"s" * 12)
    store.drop_windows("j", "p")
    assert [(p, n) for p, n, _ in store.open_windows("j")] == [("p", 0)]
    assert store._one("select payload from window")[0] == kept
    store.close_window("j", "p", 0)
    assert store.open_windows("j") == []
    assert store._one("select count(*) from writing")[0] == 0


def test_a_run_that_is_over_keeps_nothing_more(store, tmp_path):
    mine = store.begin_run("j", "sync", AT)
    other = SqliteStore(tmp_path / "hub.db", VAULT)
    with store.fenced(mine):
        store.pin("sales", "a")
        theirs = other.begin_run("j", "sync", AT)
        other.begin_run("another job", "sync", AT)
        for keep in (
            lambda: store.pin("sales", "b"),
            lambda: store.link([("a", "r", "1", b"h" * 16)]),
            lambda: store.open_window("j", "p", 0, b"s" * 12, mine),
            lambda: store.set_cursor("j", "left", "changed", "m", "s", AT),
            lambda: store.end_run(mine, "done", {}, AT),
            store.check_fence,
        ):
            with pytest.raises(Locked, match=f"while run {mine} stood still") as told:
                keep()
            assert told.value.exit_code == 6
        assert store.pinned("sales") == "a"
    store.pin("sales", "after it")
    with other.fenced(theirs):
        other.check_fence()
    other.close()


def test_a_state_that_was_replaced_beneath_a_run_takes_nothing_more(store, tmp_path):
    (tmp_path / "hub.db").rename(tmp_path / "old.db")
    with pytest.raises(StoreError, match="removed or replaced") as told:
        store.pin("sales", "a")
    assert told.value.exit_code == 8
    with pytest.raises(StoreError, match="removed or replaced"):
        store.check_fence()


def test_of_processes_that_make_a_state_at_once_one_makes_it_and_all_have_it(tmp_path):
    script = (
        "import sys\nfrom connector_hub.adapters.sqlite import SqliteStore\n"
        "from connector_hub.adapters.vault import Vault\n"
        "sys.stdin.readline()\n"
        f"store = SqliteStore({str(tmp_path / 'hub.db')!r}, Vault(b'k' * 32))\n"
        "store.pin(sys.argv[1], 'a')\n"
    )
    made = [
        subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-c", script, str(n)], stdin=subprocess.PIPE, text=True
        )
        for n in range(3)
    ]
    for child in made:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in made:
        child.communicate()
        assert child.returncode == 0
    store = SqliteStore(tmp_path / "hub.db", VAULT)
    assert [store.pinned(str(n)) for n in range(3)] == ["a"] * 3
    store.close()
    assert [p.name for p in tmp_path.iterdir()] == ["hub.db"]


def test_without_hard_links_a_new_state_gets_its_name_all_the_same(
    tmp_path, monkeypatch
):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    SqliteStore(tmp_path / "hub.db", VAULT).close()
    assert [p.name for p in tmp_path.iterdir()] == ["hub.db"]


def test_the_file_is_looked_through_once_a_day_after_a_death_and_as_a_copy(
    store, tmp_path
):
    looks: list[str] = []

    def examined(at: datetime, by: SqliteStore = store) -> int:
        looks.clear()
        by._db.set_trace_callback(looks.append)
        by.examine("j", at)
        by._db.set_trace_callback(None)
        return sum("quick_check" in q for q in looks)

    assert [examined(AT), examined(AT)] == [1, 0]
    assert [examined(AT + timedelta(days=1)), examined(AT + timedelta(days=1))] == [
        1,
        0,
    ]
    run = store.begin_run("j", "sync", AT)
    assert examined(AT + timedelta(days=1)) == 1, "it never ended"
    store.end_run(run, "done", {}, AT)
    assert examined(AT + timedelta(days=1)) == 0
    store.close()
    shutil.copy(tmp_path / "hub.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(tmp_path / "hub.db")
    copy = SqliteStore(tmp_path / "hub.db", VAULT)
    assert examined(AT + timedelta(days=1), copy) == 1
    copy.close()


def test_a_ticket_lives_as_long_as_its_window_is_open(store):
    def ticket(text, n=0):
        return Ticket(
            "p", n, "right", "Contact", "create", text, (b"h" * 16, b"i" * 16)
        )

    for n in (0, 1):
        store.save_window("j", "p", n, [change("x")])
        store.open_window("j", "p", n, b"s" * 12)
        store.keep_ticket("j", ticket("first", n))
    store.keep_ticket("j", ticket("second"))
    assert store.tickets("j") == [ticket("second"), ticket("first", 1)]
    store.close_window("j", "p", 0, [change("rest")])
    assert len(store.tickets("j")) == 2
    store.close_window("j", "p", 0)
    assert store.tickets("j") == [ticket("first", 1)]


def test_windows_are_joined_into_the_first(store):
    for n in range(3):
        store.save_window("j", "p", n, [change(str(n))])
    store.join_windows("j", "p", 0, [1], [change("0"), change("1")])
    kept = {n: [c.record for c in found] for n, found in store.windows("j", "p")}
    assert kept == {0: ["0", "1"], 2: ["2"]}
    assert store.window("j", "p", 1) == []
