"""An erasure and a rotation are killed at each of their steps, as by SIGKILL: nothing is left half done."""

from __future__ import annotations

import os
from itertools import count

import pytest

from connector_hub.sync.run import Options
from tests.conftest import LONG
from tests.luck.crash import killed_at
from tests.luck.test_erasing import IDENTITY, ada, blobs, files, gone
from tests.luck.test_rotating import key


@pytest.fixture
def people() -> int:
    return 5


async def test_an_erasure_that_is_killed_anywhere_has_happened_or_has_not(
    vendors, opened, tmp_path
):
    """A process is killed at each statement; erased again, every byte is gone."""
    ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        before = blobs(tmp_path)
        whole = hub.erasable(IDENTITY).rows
    start = (tmp_path / "hub.db").read_bytes()
    points, outcomes = count(0, 1 if LONG else 25), set()
    for n in points:
        for p in tmp_path.glob("hub.db*"):
            p.unlink()
        (tmp_path / "hub.db").write_bytes(start)
        async with opened("both") as hub:
            _ = hub.store
            if (pid := os.fork()) == 0:
                killed_at(hub, n, lambda: hub.erase(IDENTITY))
            _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else is to happen meanwhile
        async with opened("both") as hub:
            left_over = hub.erasable(IDENTITY).rows
            assert left_over in (whole, {})
            outcomes.add(bool(left_over))
            assert hub.erase(IDENTITY).clean
        raw = files(tmp_path)
        missing = gone(before, blobs(tmp_path))
        assert [b for b in missing if b in raw] == []
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert n > 30
    assert outcomes == {True, False}


async def test_a_rotation_that_is_killed_anywhere_loses_no_key(
    vendors, opened, tmp_path
):
    """At each statement, each file that is opened or renamed: the state opens, and nothing is written."""
    ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        links = set(hub.links("contacts"))
    start = {p.name: p.read_bytes() for p in tmp_path.glob("hub.*")}
    found = set()
    for n in count(0, 1 if LONG else 5):
        for p in tmp_path.glob("hub.*"):
            p.unlink()
        for name, data in start.items():
            (tmp_path / name).write_bytes(data)
            (tmp_path / name).chmod(0o600)
        async with opened("both") as hub:
            _ = hub.store
            if (pid := os.fork()) == 0:
                killed_at(hub, n, hub.rotate_key)
            _, status = os.waitpid(pid, 0)  # noqa: ASYNC222 - nothing else is to happen meanwhile
        found.add(
            (
                key(tmp_path) == start["hub.key"].decode().strip(),
                (tmp_path / "hub.key.next").exists(),
            )
        )
        async with opened("both") as hub:
            assert set(hub.links("contacts")) == links
            if LONG or n % 10 == 0:
                receipt = await hub.sync("contacts", options=Options(full=True))
                assert receipt.writes == {"billing": 0, "sales": 0}
            hub.rotate_key()
            assert not (tmp_path / "hub.key.next").exists()
            assert len(hub.trace("contacts", next(iter(links))[0])) == 2
        if os.waitstatus_to_exitcode(status) == 0:
            break
    assert n >= 30
    assert found >= {(True, False), (True, True), (False, False)}
