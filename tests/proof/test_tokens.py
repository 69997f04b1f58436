"""Tokens that rotate, for many processes: one refresh for each expiry, and no family of tokens is lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.errors import AuthError, StoreError, Unavailable
from connector_hub.hub import open_hub
from tests.conftest import LONG

from .crowd import Ahead, gathered
from .idp import FIRST, Idp, serving

ROUNDS = 50 if LONG else 4
CALLS = 3
LIFE = 1800
HUB_YAML = """\
mappings: []
connections:
  org:
    connector: salesforce
    base_url: "{url}"
    client_id: app
    client_secret: env:SECRET
    refresh_token: env:REFRESH
"""


@pytest.fixture
async def idp(tmp_path: Path):
    async with serving(Idp()) as found:
        (tmp_path / "hub.yaml").write_text(HUB_YAML.format(url=found.url))
        yield found


@pytest.fixture
def opened(tmp_path: Path):
    """Opens the project; ``refresh`` is the value behind the reference."""

    def opening(refresh: str = FIRST, clock: Ahead | None = None):
        environ = {"SECRET": "s", "REFRESH": refresh}
        return open_hub(tmp_path, environ=environ, clock=clock or Ahead())

    return opening


async def check(hub) -> None:
    live = await hub.connect("org")
    await live.connector.check()


async def test_a_crowd_of_processes_refreshes_once_for_each_expiry(
    tmp_path, idp, opened
):
    """By turns the vendor says that tokens are dead, and clocks do; by turns twelve ask and all sixteen."""
    async with opened() as hub:
        _ = hub.store
    async with gathered(tmp_path, 16, FIRST) as crowd:
        assert await crowd.tell(check=CALLS) == {"good": 16 * CALLS}
        assert idp.counts["refreshes"] == 1
        for n in range(1, ROUNDS + 1):
            ahead = 0 if n % 2 else LIFE - 100
            if not ahead:
                idp.expire()
            await crowd.tell(advance=ahead)
            number = 12 if n % 4 > 1 else 16
            found = await crowd.tell(number, check=CALLS)
            assert found == {"good": number * CALLS}
            assert idp.counts["refreshes"] == n + 1
    assert idp.counts["revoked"] == 0


async def program(folder: Path, *words: str) -> tuple[int, bytes]:
    """The command line as people run it; its exit code and all that it said."""
    script = Path(os.sys.executable).with_name("connector-hub")
    process = await asyncio.create_subprocess_exec(
        *(str(script), *words, "--project", str(folder)),
        env={**os.environ, "SECRET": "s", "REFRESH": FIRST},  # noqa: TID251 - a child's
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said


async def test_the_program_many_times_at_once_refreshes_once_for_each_expiry(
    tmp_path, idp
):
    assert (await program(tmp_path, "connect", "org"))[0] == 0
    async with open_hub(tmp_path, environ={}) as hub:
        _ = hub.store
    many = 16 if LONG else 3
    for n in range(1, 3 if LONG else 2):
        idp.expire()
        found = await asyncio.gather(
            *(program(tmp_path, "connect", "org") for _ in range(many))
        )
        assert [said for code, said in found if code] == []
        assert idp.counts["refreshes"] == n + 1
    assert idp.counts["revoked"] == 0
    assert not any(b"canary" in said for _, said in found)


async def test_a_process_killed_before_the_commit_costs_a_consent_and_says_so(
    tmp_path, idp, opened
):
    async with gathered(tmp_path, 1, FIRST) as crowd:
        assert await crowd.tell(check=1, die="before") == {"killed": 1}
    assert idp.counts == {"refreshes": 1}
    async with opened() as hub:
        with pytest.raises(AuthError, match="an answer with a new token was lost"):
            await hub.connect("org")
        assert [(s.name, s.state) for s in hub.standings()] == [("org", "reconnect")]
    assert idp.counts["refreshes"] == 2


async def test_a_process_killed_after_the_commit_costs_nothing(tmp_path, idp, opened):
    async with gathered(tmp_path, 1, FIRST) as crowd:
        assert await crowd.tell(check=1, die="after") == {"killed": 1}
    assert idp.counts == {"refreshes": 1}
    async with opened() as hub:
        await check(hub)
    assert idp.counts["refreshes"] == 1


async def test_the_command_line_tells_a_lost_answer_and_ends_with_four(tmp_path, idp):
    idp.lose = 1
    code, said = await program(tmp_path, "describe", "org", "Contact")
    assert code == 4, said
    assert b"an answer with a new token was lost" in said
    assert b"connector-hub connect org" in said
    assert b"canary" not in said
    assert idp.counts["refreshes"] == 2


async def test_a_lost_answer_is_asked_for_once_more_where_the_vendor_forgives(
    idp, opened
):
    idp.lose, idp.grace = 1, True
    async with opened() as hub:
        await check(hub)
    assert idp.counts["refreshes"] == 2


async def test_two_lost_answers_end_the_run_and_the_next_one_learns_the_truth(
    idp, opened
):
    answers = idp.token

    def lost(form):
        _, told = answers(form)
        idp.lose = 1
        return 200, told

    idp.token = lost
    async with opened() as hub:
        with pytest.raises(Unavailable, match="asked for a token twice"):
            await hub.connect("org")
        assert hub.standings() == []
    assert idp.counts["refreshes"] == 2
    idp.token = answers
    for calls in (3, 4):
        async with opened() as hub:
            with pytest.raises(AuthError, match="an answer with a new token was lost"):
                await hub.connect("org")
        assert idp.counts["refreshes"] == calls


async def test_a_revoked_token_is_asked_for_once_and_no_loss_is_invented(idp, opened):
    idp.begin("another consent")
    for calls in (1, 2):
        async with opened() as hub:
            with pytest.raises(AuthError, match="revoked, expired, or used elsewhere"):
                await hub.connect("org")
        assert idp.counts == {"refreshes": calls}


async def test_who_is_refused_looks_whether_another_was_faster(
    idp, opened, monkeypatch
):
    idp.strict = False
    read = SqliteStore.token
    async with opened() as hub, opened() as other:
        await check(hub)
        stale = hub.store.token("org")
        idp.expire()
        await check(other)

        def late(self, connection):
            """What was read before another changed it, as on a disk without locks."""
            asked = idp.counts["refreshes"] > 2
            return read(self, connection) if asked or self is other.store else stale

        def unmarked(_self, _connection, token):
            return replace(token, version=token.version + 1)

        monkeypatch.setattr(SqliteStore, "token", late)
        monkeypatch.setattr(SqliteStore, "swap_token", unmarked)
        await check(hub)
        assert idp.counts["refreshes"] == 3


async def test_another_value_behind_the_reference_begins_anew_and_a_wrong_one_harms_nothing(
    idp, opened
):
    async with opened() as hub:
        await check(hub)
    async with opened("mistyped") as hub:
        with pytest.raises(AuthError):
            await hub.connect("org")
    idp.expire()
    async with opened() as hub:
        await check(hub)
    assert idp.counts["refreshes"] == 3
    idp.begin("second consent")
    async with opened("second consent") as hub:
        await check(hub)
        await check(hub)
    async with opened("second consent") as hub:
        await check(hub)
    assert idp.counts["refreshes"] == 4


async def test_a_state_that_cannot_be_written_costs_no_token(tmp_path, idp, opened):
    async with opened() as hub:
        hub.store._db.execute("pragma busy_timeout=20")
        with contextlib.closing(sqlite3.connect(tmp_path / "hub.db")) as other:
            other.execute("begin immediate")
            with pytest.raises(StoreError):
                await hub.connect("org")
        assert not idp.counts
        await check(hub)


async def test_a_token_that_could_not_be_kept_is_not_used(idp, opened, monkeypatch):
    swap = SqliteStore.swap_token

    def full(self, connection, token):
        if not token.asked:
            raise StoreError("disk full")
        return swap(self, connection, token)

    async with opened() as hub:
        monkeypatch.setattr(SqliteStore, "swap_token", full)
        with pytest.raises(StoreError):
            await hub.connect("org")
        assert idp.counts == {"refreshes": 1}
        monkeypatch.undo()
        with pytest.raises(AuthError, match="an answer with a new token was lost"):
            await hub.connect("org")
        assert idp.counts["refreshes"] == 2


async def test_a_vendor_that_calls_every_token_dead_is_asked_once(idp, opened):
    async with opened() as hub:
        live = await hub.connect("org")
        idp.counts.clear()
        idp.stubborn = True
        found = await asyncio.gather(
            *(live.connector.check() for _ in range(10)), return_exceptions=True
        )
        assert {type(e) for e in found} == {AuthError}
    assert idp.counts["refreshes"] == 1
    assert idp.counts["calls"] == 20


async def test_calls_of_one_process_share_a_refresh_without_a_file_to_lock(
    tmp_path, idp, opened
):
    idp.slow = 0.05
    hub_yaml = tmp_path / "hub.yaml"
    hub_yaml.write_text(f"state: 'sqlite:///:memory:'\n{hub_yaml.read_text()}")
    async with opened() as hub:
        live = await hub.connect("org")
        idp.expire()
        await asyncio.gather(*(live.connector.check() for _ in range(10)))
    assert idp.counts["refreshes"] == 2


async def test_an_interrupt_waits_for_the_answer_that_is_on_its_way(idp, opened):
    idp.slow = 0.3
    async with opened() as hub:
        run = asyncio.ensure_future(hub.connect("org"))
        await asyncio.wait_for(idp.asked.wait(), 10)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    async with opened() as hub:
        await check(hub)
    assert idp.counts["refreshes"] == 1


async def test_a_token_answer_that_names_a_foreign_host_sends_nothing_there(
    idp, opened
):
    async with serving(Idp()) as foreign:
        idp.instance = foreign.url
        async with opened() as hub:
            with pytest.raises(Unavailable, match="not its own host"):
                await hub.connect("org")
            idp.instance = ""
            assert not foreign.counts
        assert idp.counts == {"refreshes": 1}


async def test_no_token_lies_in_the_clear(tmp_path, idp, opened, caplog):
    async with opened() as hub:
        await check(hub)
        told = repr(hub.store.token("org")) + repr(hub._live) + caplog.text
        files = [p.read_bytes() for p in tmp_path.iterdir()]
    assert "canary" not in told
    assert not any(b"canary" in content for content in files)
    async with opened() as hub:
        row = hub.store.token("org")
        hub.store._run("update token set connection='other'")
        with pytest.raises(StoreError, match="cannot be opened"):
            hub.store.token("other")
        assert row.access in idp.alive
