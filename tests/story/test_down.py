"""A vendor that is not called any more stops the run; it refuses no record."""

from __future__ import annotations

from typing import Any

import pytest

from connector_hub.errors import CircuitOpen
from connector_hub.sync import jobs

from .conftest import Project
from .vendor import Memory


def _down() -> CircuitOpen:
    return CircuitOpen("down", wait=30.0, where="billing")


async def _again(project: Project, most: int) -> None:
    """The vendor is back: everybody is there once, and nobody waits for a person."""
    run = await project.sync()
    assert run.tally.outcomes["created"] == most
    assert len(project.right.rows) == 250
    assert project.store.open_counts("people") == {"conflicts": 0, "dead_letters": 0}
    assert not (await project.sync()).tally.writes


@pytest.fixture
def many(project: Project) -> Project:
    for n in range(250):
        project.left.person(email=f"{n}@x.org", name=f"Person {n}")
    return project


async def test_what_was_never_sent_needs_no_looking_up(many: Project) -> None:
    """Without a record key nobody could tell what became of a create; these were not even tried."""
    many.keyless = True
    run, left = many.run(), [1]

    def gate() -> None:
        if not left:
            raise _down()
        left.pop()

    run.right.gate = gate
    with pytest.raises(CircuitOpen):
        await jobs.sync(run)
    assert len(many.right.rows) == 100
    await _again(many, 150)


async def test_nothing_was_sent_at_all(many: Project) -> None:
    many.keyless = True
    run = many.run()

    def gate() -> None:
        raise _down()

    run.right.gate = gate
    with pytest.raises(CircuitOpen):
        await jobs.sync(run)
    assert many.right.rows == {}
    await _again(many, 250)


async def test_rows_that_were_not_sent_are_no_failures_of_theirs(
    many: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connector that writes one by one answers for each row that the circuit was open."""
    write, sent = Memory._write, []

    def until_down(self: Memory, w: Any) -> Any:
        sent.append(w)
        return write(self, w) if len(sent) <= 30 else _down()

    with monkeypatch.context() as m:
        m.setattr(Memory, "_write", until_down)
        run = many.run()
        with pytest.raises(CircuitOpen):
            await jobs.sync(run)
        assert len(sent) == 250, "each was asked for once"
    assert run.tally.new_stale == 0
    assert len(many.right.rows) == 30
    await _again(many, 220)
