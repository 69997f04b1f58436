"""Anything in any order, at two or three accounts and in rings of them; then peace, and the judge."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from connector_hub.testing import Mishap, World, WorldClock, judge, plain
from connector_hub.testing.mishaps import every_kind
from connector_hub.testing.plainvendor import PlainVendor
from tests.conftest import LONG

ACCOUNTS = ("a", "b", "c")
KINDS = (plain.Guarded, plain.Keyed, plain.Bare, plain.Terse)
SHAPES = {
    "pair": (("a", "b"),),
    "chain": (("a", "b"), ("b", "c")),
    "ring": (("a", "b"), ("b", "c"), ("c", "a")),
}
MAILS = [f"p{i}@x.org" for i in range(6)]
TEXTS = st.one_of(
    st.none(), st.sampled_from([" Ada ", "Eva", "Ó Súilleabháin", "x" * 12])
)
EXAMPLES, STEPS = (2_000, 25) if LONG else (60, 15)
SETTINGS = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    derandomize=not LONG,
    suppress_health_check=list(HealthCheck),
)

TRAITS = st.fixed_dictionaries(
    {
        "index_lag": st.sampled_from([0.0, 0.0, 9.0, 20.0]),
        "late_visibility": st.sampled_from([0.0, 0.0, 0.0, 5.0]),
        "coarse_clock": st.booleans(),
        "page": st.sampled_from([2, 3, 100]),
        "truncates": st.sampled_from([None, None, None, 8]),
    }
)
MISHAPS = st.lists(
    st.one_of(
        st.tuples(st.just("call"), st.integers(0, 25), st.sampled_from(every_kind())),
        st.tuples(
            st.just("commit"),
            st.integers(0, 20),
            st.sampled_from([("crash", False, 0), ("crash", True, 0)]),
        ),
    ),
    min_size=1,
    max_size=3,
)


PROJECTS = st.fixed_dictionaries(
    {
        "shape": st.sampled_from(list(SHAPES)),
        "kinds": st.tuples(*[st.sampled_from(KINDS)] * 3),
        "traits": st.tuples(*[TRAITS] * 3),
        "both": st.sampled_from(["ask", "ask", "left", "right", "fill"]),
        "first": st.sampled_from(["fill", "ask"]),
        "follow": st.booleans(),
        "seed": st.integers(0, 2**16),
    }
)


def project(how: dict[str, Any], kinds: dict[str, Any]) -> str:
    """Jobs of a shape, all under the same rules."""
    lines = ["jobs:"]
    for left, right in SHAPES[how["shape"]]:
        strict = kinds[left] is kinds[right] is plain.Guarded
        lines += [
            f"  {left}{right}:",
            "    entity: person",
            f"    left: {{connection: {left}, resource: people}}",
            f"    right: {{connection: {right}, resource: people}}",
            "    direction: both",
            f"    fields: {{'*': {{both: {how['both']}}}}}",
            f"    first: {{'*': {how['first']}}}",
            *(["    guarding: strict"] if strict else []),
            *(
                ["    deletes: {follow: true}", "    guard: {delete: 50}"]
                if how["follow"]
                else []
            ),
        ]
    return "\n".join(lines) + "\n"


class Story(RuleBasedStateMachine):
    """A project, the people who use it, and what goes wrong."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="story-"))
        self.runner = asyncio.Runner()

    @initialize(how=PROJECTS)
    def begin(self, how):
        shape, kinds, traits = how["shape"], how["kinds"], how["traits"]
        self.sides = sorted({s for pair in SHAPES[shape] for s in pair})
        self.first = how["first"]
        clock = WorldClock()
        chosen = dict(zip(ACCOUNTS, kinds, strict=True))
        boxes = {
            n: PlainVendor(
                chosen[n],
                account=n,
                clock=clock,
                traits=replace(chosen[n].traits, **t),
            )
            for n, t in zip(ACCOUNTS, traits, strict=True)
            if n in self.sides
        }
        self.world = World(
            self.folder,
            project(how, chosen),
            boxes,
            clock=clock,
            seed=how["seed"],
            mappings=plain.mappings(),
            meanwhile=self.meddle,
        )

    def meddle(self, world: World, side: str) -> None:
        """Somebody edits while the hub is in the middle of a call."""
        rows = world.rows(side, "people")
        if rows:
            record = world.chance.choice(list(rows))
            text = f"M{len(world.truth.history)}"
            world.person(side, "people", id=record, note=text)

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    def one_of(self, side: str, index: int) -> str | None:
        rows = list(self.world.rows(side, "people"))
        return rows[index % len(rows)] if rows else None

    @rule(side=st.sampled_from(ACCOUNTS), mail=st.sampled_from(MAILS), name=TEXTS)
    def somebody_comes(self, side, mail, name):
        side = self.sides[ACCOUNTS.index(side) % len(self.sides)]
        there = {r["email"] for r in self.world.rows(side, "people").values()}
        if mail not in there:
            self.world.person(side, "people", email=mail, name=name)

    @rule(side=st.sampled_from(ACCOUNTS), mail=st.sampled_from(MAILS[:2]))
    def a_twin_comes(self, side, mail):
        side = self.sides[ACCOUNTS.index(side) % len(self.sides)]
        self.world.person(side, "people", email=mail, name="twin")

    @rule(
        side=st.sampled_from(ACCOUNTS),
        index=st.integers(0, 9),
        field=st.sampled_from(["name", "note", "phone"]),
        text=TEXTS,
    )
    def somebody_edits(self, side, index, field, text):
        side = self.sides[ACCOUNTS.index(side) % len(self.sides)]
        record = self.one_of(side, index)
        if record:
            self.world.person(side, "people", id=record, **{field: text})

    @rule(side=st.sampled_from(ACCOUNTS), index=st.integers(0, 9))
    def somebody_is_deleted(self, side, index):
        side = self.sides[ACCOUNTS.index(side) % len(self.sides)]
        record = self.one_of(side, index)
        if record:
            self.world.person(side, "people", id=record, deleted=True)

    @rule(
        side=st.sampled_from(ACCOUNTS), one=st.integers(0, 9), other=st.integers(0, 9)
    )
    def two_are_merged(self, side, one, other):
        side = self.sides[ACCOUNTS.index(side) % len(self.sides)]
        loser, winner = self.one_of(side, one), self.one_of(side, other)
        if loser and winner and loser != winner:
            self.world.person(side, "people", id=loser, merged_into=winner)

    @rule(full=st.booleans())
    def fair_weather(self, full):
        self.run(self.world.sync(full=full))

    @rule(mishaps=MISHAPS, full=st.sampled_from([False, False, True]))
    def bad_weather(self, mishaps, full):
        for where, at, (kind, after, later) in mishaps:
            begin = self.world.calls if where == "call" else self.world.commits
            self.world.plan(Mishap(where, begin + at, kind, after, later))
        self.run(self.world.sync(full=full))
        self.world.mishaps.clear()

    @precondition(lambda self: self.first == "ask")
    @rule(key=st.booleans())
    def the_state_is_lost(self, key):
        self.found = self.run(judge(self.world, runs=5))
        assert self.found == []
        self.world.lose_state(key=key)

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                assert self.run(judge(self.world, runs=5)) == []
        finally:
            self.runner.close()
            shutil.rmtree(self.folder, ignore_errors=True)


def test_whatever_happens_nothing_is_lost_doubled_or_overwritten():
    run_state_machine_as_test(Story, settings=SETTINGS)
