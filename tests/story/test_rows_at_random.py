"""Two sides edit rows at random while syncs run: both come to rest, agree, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest

from connector_hub.model.job import Policy
from connector_hub.sdk import InDoubt, Unavailable
from tests.conftest import LONG

from .conftest import Project
from .test_rows import LEFT, ORDER, RIGHT, lines

SKUS = "ABCD"
SEEDS = range(400 if LONG else 15)


class Shop:
    """Two accounts with orders, and people who edit them at both."""

    def __init__(self, seed: int, *, twice: bool) -> None:
        self.chance = random.Random(seed)
        self.twice = twice
        self.project = Project(entity=ORDER, maps={"left": LEFT, "right": RIGHT})
        policy = Policy(both=self.chance.choice(["left", "right"]))
        self.project.job = replace(
            self.project.job, entity="order", direction="both", fields={"*": policy}
        )
        self.project.right.reverses = self.chance.random() < 0.5
        self.number = 0
        self.added: set[tuple[str, str]] = set()
        self.removed: set[tuple[str, str]] = set()

    def edit(self) -> None:
        """One edit of one order by one person."""
        world = self.chance.choice([self.project.left, self.project.right])
        if not world.rows or self.chance.random() < 0.1:
            self.number += 1
            no = str(self.number)
            world.person(no=no, items=self.rows(world, no, []))
            return
        record = self.chance.choice(sorted(world.rows))
        listed = [dict(r) for r in world.rows[record].get("items") or []]
        no = world.rows[record]["no"]
        world.person(record, items=self.rows(world, no, listed))

    def rows(
        self, world: Any, no: str, listed: list[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """The rows after somebody adds one, removes one or edits one."""
        n = "qty" if world.name == "a" else "n"
        free = [s for s in SKUS if self.twice or s not in {r["sku"] for r in listed}]
        told = {n: self.chance.choice([None, "1", "2", "3"])}
        what = self.chance.choice(["add", "remove", "number", "note"])
        if what == "add" and free:
            sku = self.chance.choice(free)
            self.added.add((no, sku))
            return [*listed, {"sku": sku, **told}]
        if not listed:
            return listed
        row = self.chance.choice(listed)
        if what == "remove":
            listed.remove(row)
            self.removed.add((no, row["sku"]))
        elif what == "number":
            row.update(told)
        else:
            row["note"] = self.chance.choice([None, "x", "y"])
        return listed

    def weather(self) -> None:
        """What the next calls meet now and then."""
        world = self.chance.choice([self.project.left, self.project.right])
        storm = [Unavailable("down"), InDoubt("lost"), ("lost", InDoubt("lost"))]
        world.weather = [self.chance.choice([None, None, *storm]) for _ in range(3)]

    def agree(self) -> bool:
        """Whether both hold the same orders with the same rows."""
        sides = []
        for world in (self.project.left, self.project.right):
            rows = {world.rows[i]["no"]: lines(world, i) for i in world.rows}
            sides.append(
                {k: [tuple(v or "" for v in r) for r in rs] for k, rs in rows.items()}
            )
            assert len(rows) == len(world.rows), "an order is there twice"
        kept = {(no, r[0]) for no, rows in sides[0].items() for r in rows}
        assert self.added - self.removed <= kept, "a row is lost that nobody removed"
        return sides[0] == sides[1]


async def play(seed: int, *, twice: bool, storms: bool) -> None:
    shop = Shop(seed, twice=twice)
    for _ in range(shop.chance.randint(3, 12)):
        for _ in range(shop.chance.randint(1, 4)):
            shop.edit()
        if storms and shop.chance.random() < 0.3:
            shop.weather()
        if shop.chance.random() < 0.3:
            shop.project.right.before_write = lambda _w, s=shop: meanwhile(s)
        try:
            await shop.project.sync()
        except (Unavailable, InDoubt):
            shop.project.left.weather, shop.project.right.weather = [], []
    shop.project.left.weather, shop.project.right.weather = [], []
    shop.project.right.before_write = None
    for _ in range(4):
        await shop.project.sync()
    assert shop.agree()
    before = shop.project.left.writes + shop.project.right.writes
    await shop.project.sync(full=True)
    assert shop.project.left.writes + shop.project.right.writes == before
    assert shop.project.store.conflicts("people") == []


def meanwhile(shop: Shop) -> None:
    shop.project.right.before_write = None
    shop.edit()


@pytest.mark.parametrize("storms", [False, True], ids=["fair", "storms"])
@pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])
def test_whatever_is_edited_both_come_to_rest_and_agree(twice, storms):
    for seed in SEEDS:
        try:
            asyncio.run(play(seed, twice=twice, storms=storms))
        except BaseException as e:
            e.add_note(f"seed {seed}")
            raise
