"""Schedules: what goes wrong where, in which scenario, with which vendor.

A scenario is a world up to the run that is looked at. A schedule is that run with its mishaps, their calls
and commits counted from its begin; then perhaps another run with one; then peace, and the judge.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from connector_hub.testing import Mishap, World, WorldClock, judge, plain
from connector_hub.testing.mishaps import Where, every_kind
from connector_hub.testing.plainvendor import PlainVendor, Traits
from connector_hub.testing.world import Saved
from tests.conftest import LONG

VENDORS = {k.name: k for k in (plain.Guarded, plain.Keyed, plain.Bare, plain.Terse)}
SIDES = ("here", "there")
DRAWN = 60 if LONG else 1
"""Pairs of anything that are drawn for each scenario and vendor."""


def jobs(direction: str = "both", people: str = "", *, firms: bool = False) -> str:
    """The jobs of a project, those of people with more keys."""
    text = "mappings: [mappings]\njobs:\n"
    if firms:
        text += _job("firms", "firm", direction, "")
    return text + _job("people", "person", direction, people)


def _job(name: str, entity: str, direction: str, more: str) -> str:
    keys = "".join(f"    {line}\n" for line in more.splitlines())
    return (
        f"  {name}:\n    entity: {entity}\n"
        f"    left: {{connection: here, resource: {name}}}\n"
        f"    right: {{connection: there, resource: {name}}}\n"
        f"    direction: {direction}\n{keys}"
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """``before`` is synced in peace, ``edits`` are made then; without ``before`` the run is the first."""

    name: str
    jobs: str
    edits: Callable[[World], object]
    before: Callable[[World], object] | None = None


def people(world: World, side: str, *numbers: int, **fields: str) -> None:
    """So many people are entered by hand."""
    for i in numbers:
        row = {"email": f"p{i}@x.org", "name": f"N{i}", "note": f"n{i}"}
        world.person(side, "people", **row | fields)


def three(world: World) -> None:
    """The same three on both sides after a sync."""
    people(world, "here", 0, 1, 2)


def record(world: World, side: str, number: int) -> str:
    """The record of a person."""
    mail = f"p{number}@x.org"
    return next(i for i, r in world.rows(side, "people").items() if r["email"] == mail)


def edit(world: World, side: str, number: int, **fields: str | None) -> None:
    """Somebody edits a person."""
    world.person(side, "people", id=record(world, side, number), **fields)


def _first_match(world: World) -> None:
    people(world, "here", 0, 1, 2)
    people(world, "there", 1, 2, note="")
    people(world, "there", 3)


def _different_fields(world: World) -> None:
    edit(world, "here", 0, name="Ada")
    edit(world, "there", 0, note="rang")
    edit(world, "here", 1, note=None)
    edit(world, "there", 2, phone="1234")


def _same_field(world: World) -> None:
    edit(world, "here", 0, name="Ada")
    edit(world, "there", 0, name="Eva")
    edit(world, "there", 1, name="Bea")


def _creates(world: World) -> None:
    people(world, "here", 3, 4)
    people(world, "there", 5)
    edit(world, "there", 1, note="late")


def _deletion(world: World) -> None:
    world.person("here", "people", id=record(world, "here", 0), deleted=True)
    world.person("there", "people", id=record(world, "there", 1), deleted=True)
    edit(world, "here", 2, note="stays")


def _family(world: World) -> None:
    firm = world.person("here", "firms", domain="b.org", name="Beta")
    people(world, "here", 3, firm=firm)
    other = next(iter(world.rows("there", "firms")))
    people(world, "there", 4, firm=other)


def _firm_and_people(world: World) -> None:
    firm = world.person("here", "firms", domain="a.org", name="Alpha")
    people(world, "here", 0, 1, firm=firm)


def _merge(world: World) -> None:
    loser, winner = record(world, "here", 0), record(world, "here", 1)
    world.person("here", "people", id=loser, merged_into=winner)
    edit(world, "here", 1, note="both of them")


DELETES = "deletes: {follow: true}\nguard: {delete: 5}"
SCENARIOS = {
    s.name: s
    for s in (
        Scenario("first copy", jobs("left-to-right"), three),
        Scenario("first match", jobs(), _first_match),
        Scenario("different fields", jobs(), _different_fields, three),
        Scenario("same field", jobs(), _same_field, three),
        Scenario(
            "same field, left wins", jobs("both", "fields: {'*': {both: left}}"),
            _same_field, three,
        ),
        Scenario("creates", jobs(), _creates, three),
        Scenario("deletion", jobs("both", DELETES), _deletion, three),
        Scenario("family", jobs(firms=True), _family, _firm_and_people),
        Scenario("merge", jobs(), _merge, three),
    )
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Schedule:
    """What goes wrong: in the run that is looked at, and in the one after it."""

    scenario: str
    vendor: str
    first: tuple[Mishap, ...]
    second: Mishap | None = None
    seed: int = 0

    def __str__(self) -> str:
        """One line that does it again."""
        then = f", then={str(self.second)!r}" if self.second else ""
        first = ", ".join(repr(str(m)) for m in self.first)
        return f"again({self.scenario!r}, {self.vendor!r}, [{first}]{then}, seed={self.seed})"


def meddle(world: World, side: str) -> None:
    """Somebody writes what nobody has written before; mostly just there where the hub is at work."""
    rows, call = world.rows(side, "people"), world.trace[-1]
    said = call.path + call.body.decode()
    here = [i for i in rows if f'{i}"' in said or said.startswith(f"/people/{i}")]
    names = [n for n in ("name", "note", "phone") if f'"{n}"' in said]
    chosen = here if here and world.chance.random() < 0.8 else list(rows)
    if chosen:
        record = world.chance.choice(chosen)
        same = names and world.chance.random() < 0.5
        name = world.chance.choice(names if same else ["name", "note"])
        text = f"M{len(world.truth.history)}"
        world.person(side, "people", id=record, **{name: text})


def plain_world(
    folder: Path, scenario: Scenario, vendor: str, traits: Traits | None = None
) -> World:
    """A world of two accounts at the plain vendor; one that has preconditions is held to them."""
    clock, kind = WorldClock(), VENDORS[vendor]
    boxes = {n: PlainVendor(kind, account=n, clock=clock, traits=traits) for n in SIDES}
    strict = "    guarding: strict\n" if vendor == "guarded" else ""
    return World(
        folder,
        scenario.jobs + strict,
        boxes,
        clock=clock,
        mappings=plain.mappings(kind),
        meanwhile=meddle,
    )


class Stage:
    """A scenario with a vendor, ready to be played again and again."""

    def __init__(self, world: World, scenario: Scenario, vendor: str) -> None:
        self.world, self.scenario, self.vendor = world, scenario, vendor
        self.saved: Saved | None = None
        self.calls = 0
        self.commits = 0

    async def set(self) -> Stage:
        """Play up to the run that is looked at, and see how many calls and commits that has."""
        world = self.world
        if self.scenario.before is not None:
            self.scenario.before(world)
            await world.sync()
            await world.sync()
        self.scenario.edits(world)
        self.saved = world.save()
        calls, commits = world.calls, world.commits
        await world.sync()
        self.calls, self.commits = world.calls - calls, world.commits - commits
        return self

    async def play(self, schedule: Schedule) -> list[str]:
        """What the judge finds wrong with a schedule."""
        world = self.world
        assert self.saved is not None
        world.restore(self.saved, seed=schedule.seed)
        world.plan(*(self._moved(m) for m in schedule.first))
        await world.sync()
        if schedule.second is not None:
            world.plan(self._moved(schedule.second))
            await world.sync()
        self.struck = list(world.struck)
        return await judge(world)

    def _moved(self, m: Mishap) -> Mishap:
        """A mishap counted from here on."""
        begin = self.world.calls if m.where == "call" else self.world.commits
        return replace(m, at=begin + m.at)


def points(stage: Stage) -> Iterator[Mishap]:
    """Every place where the hub can crash: before and after each call and each commit."""
    lengths: list[tuple[Where, int]]
    lengths = [("call", stage.calls), ("commit", stage.commits)]
    for where, n in lengths:
        for at in range(n):
            for after in (False, True):
                yield Mishap(where, at, "crash", after)


def singles(stage: Stage) -> list[Schedule]:
    """Each crash and each fault alone, and each edit by a person."""
    found = list(points(stage))
    for at in range(stage.calls):
        for kind, after, later in every_kind():
            if kind != "crash":
                found.append(Mishap("call", at, kind, after, later))
        found.append(Mishap("call", at, "late"))
    return _numbered(stage, [(m, None) for m in found])


def crash_pairs(stage: Stage) -> list[Schedule]:
    """A crash after each call, and another after each of the run that follows, which looks up more."""
    first = [Mishap("call", n, "crash", after=True) for n in range(stage.calls)]
    then = [Mishap("call", n, "crash", after=True) for n in range(stage.calls + 2)]
    return _numbered(stage, [(a, b) for a in first for b in then])


def fault_pairs(stage: Stage, count: int, seed: int) -> list[Schedule]:
    """Two of anything, drawn: both in one run, or the second in the run after it."""
    rng = random.Random(f"{stage.scenario.name}/{stage.vendor}/{seed}")
    kinds = [*every_kind(), ("late", False, 0), ("late", False, 9)]
    crashes = list(points(stage))

    def one() -> Mishap:
        if rng.random() < 0.3:
            return rng.choice(crashes)
        kind, after, later = rng.choice(kinds)
        return Mishap("call", rng.randrange(stage.calls + 2), kind, after, later)

    drawn = [(one(), one()) for _ in range(count)]
    found = []
    for i, (a, b) in enumerate(drawn):
        both = (a,) if i % 2 else (a, b)
        then = b if i % 2 else None
        found.append(
            Schedule(stage.scenario.name, stage.vendor, both, then, seed=seed + i)
        )
    return found


def _numbered(
    stage: Stage, mishaps: Sequence[tuple[Mishap, Mishap | None]]
) -> list[Schedule]:
    name, vendor = stage.scenario.name, stage.vendor
    return [Schedule(name, vendor, (a,), b, seed=i) for i, (a, b) in enumerate(mishaps)]


async def played(
    stage: Stage, schedules: Sequence[Schedule]
) -> AsyncIterator[tuple[Schedule, list[str]]]:
    """Schedules that went wrong, with what the judge says."""
    for schedule in schedules:
        found = await stage.play(schedule)
        if found:
            yield schedule, found


async def again(  # noqa: PLR0917 - as a failing schedule prints itself
    folder: Path,
    scenario: str,
    vendor: str,
    first: Sequence[str],
    then: str = "",
    seed: int = 0,
) -> tuple[World, list[str]]:
    """Play one schedule."""
    known = SCENARIOS[scenario]
    stage = await Stage(plain_world(folder, known, vendor), known, vendor).set()
    mishaps = tuple(Mishap.parse(t) for t in first)
    second = Mishap.parse(then) if then else None
    found = await stage.play(Schedule(scenario, vendor, mishaps, second, seed))
    return stage.world, found
