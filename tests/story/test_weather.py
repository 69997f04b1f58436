"""Random people, kills and weather; then peace: nobody is there twice, and both sides agree.

Each seed is a story of its own and always the same one.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.errors import HubError, InDoubt, Unavailable
from connector_hub.model.job import Policy
from connector_hub.sync import jobs

from .conftest import Project
from .test_crash import Killed, Mine, bury_store, mine_store, mine_vendor
from .vendor import World

SEEDS = 80
_MAILS = [f"{i}@x.org" for i in range(8)]
_FIELDS = ("name", "note")


class Story:
    """A project, the people who use it, and what may go wrong."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.project = p = Project()
        self.both = rng.random() < 0.8
        winner = rng.choice(["ask", "left", "right", "fill"])
        p.job = replace(
            p.job,
            direction="both" if self.both else "left-to-right",
            fields={"*": Policy(both=winner)},  # type: ignore[arg-type]
        )
        for world in (p.left, p.right):
            world.answers_values = rng.random() < 0.5
            world.page = rng.choice([2, 3, 100])

    @property
    def worlds(self) -> tuple[World, World]:
        return self.project.left, self.project.right

    def person(self, *, comes: bool = True) -> None:
        """Somebody comes to one side, or edits there."""
        rng = self.rng
        world = rng.choice(self.worlds) if self.both else self.project.left
        free = sorted(set(_MAILS) - {r["email"] for r in world.rows.values()})
        if comes and free and (not world.rows or rng.random() < 0.3):
            note = rng.choice([None, "n"])
            world.person(email=rng.choice(free), name=rng.choice("abc"), note=note)
        elif world.rows:
            value = rng.choice(["a", "b", "c", "d", None])
            world.person(rng.choice(list(world.rows)), **{rng.choice(_FIELDS): value})

    async def killed(self) -> None:
        """A run that dies at some step, while people edit between its reading and its writing."""
        p, mine = (
            self.project,
            Mine(self.rng.randint(0, 40), after=self.rng.random() < 0.5),
        )
        fair = p.left.meet, p.right.meet, p.store._run, p.store._many
        if self.rng.random() < 0.5:
            mine_vendor(p.left, mine)
            mine_vendor(p.right, mine)
            bury_store(p, mine)
        else:
            mine_store(p, mine)

        def meanwhile(_writes: Any) -> None:
            self.person(comes=False)

        p.left.before_write = p.right.before_write = meanwhile
        try:
            await jobs.sync(p.run(full=self.rng.random() < 0.2))
        except Killed:
            pass
        finally:
            p.left.before_write = p.right.before_write = None
            p.left.meet, p.right.meet, p.store._run, p.store._many = fair
        if p.store._db.in_transaction:
            p.store._db.rollback()

    async def storm(self) -> None:
        """A run whose calls are lost, before or after they take effect."""
        lost = [
            None,
            None,
            None,
            InDoubt("x"),
            ("lost", InDoubt("x")),
            Unavailable("x"),
        ]
        for world in self.worlds:
            world.weather = self.rng.choices(lost, k=self.rng.randint(0, 12))
        try:
            await jobs.sync(self.project.run())
        except HubError:
            pass
        finally:
            for world in self.worlds:
                world.weather = []

    def writes(self) -> int:
        return sum(w.writes for w in self.worlds)

    def asked(self) -> dict[tuple[str, str], set[str]]:
        """Fields that wait for a person, by record."""
        found: dict[tuple[str, str], set[str]] = {}
        for conflict in self.project.store.conflicts("people"):
            assert conflict.kind == "fields"
            for member in conflict.members:
                fields = conflict.detail["fields"].split(",")
                found.setdefault(member, set()).update(fields)
        return found

    def differing(self) -> list[tuple[str, str]]:
        """Linked records and fields on which the sides differ and nobody was asked."""
        left, right = (
            {r["email"]: (i, r) for i, r in w.rows.items()} for w in self.worlds
        )
        assert set(left) <= set(right)
        assert not self.both or set(left) == set(right)
        asked = self.asked()
        return [
            (mail, name)
            for mail, (i, row) in left.items()
            for name in _FIELDS
            if row.get(name) != right[mail][1].get(name)
            and name not in asked.get(("left", i), ())
        ]


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_after_any_weather_all_agree_and_nobody_is_there_twice(seed):
    story = Story(seed)
    for _ in range(12):
        for _ in range(story.rng.randint(0, 4)):
            story.person()
        await story.rng.choice([story.killed, story.storm, story.project.sync])()
    for _ in range(4):
        await story.project.sync()
    writes = story.writes()
    await story.project.sync(full=True)
    assert story.writes() == writes
    for world in story.worlds:
        mails = [r["email"] for r in world.rows.values()]
        assert len(mails) == len(set(mails))
    assert story.differing() == []
    assert story.project.store.open_windows("people") == []
