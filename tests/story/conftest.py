"""Two worlds and a job between them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.transforms import transforms
from connector_hub.adapters.vault import Vault
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Job, Side
from connector_hub.model.mapping import Mapping, Rule, compile_mapping
from connector_hub.model.plan import Plan
from connector_hub.sync import jobs
from connector_hub.sync.base import Bases
from connector_hub.sync.identity import Identities
from connector_hub.sync.run import JobRun, Options, Route
from connector_hub.sync.sides import LiveSide

from .vendor import Memory, Slow, World

PERSON = Entity(
    "person",
    {
        "email": FieldSpec("email", "email"),
        "name": FieldSpec("name", "text"),
        "phone": FieldSpec("phone", "phone"),
        "note": FieldSpec("note", "text"),
    },
    (("email",), ("phone", "name")),
)


class HandClock:
    """Time that moves when it is told to."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, tzinfo=UTC)
        self.seconds = 0.0

    def now(self) -> datetime:
        return self.at + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def mapping(**changes: Any) -> Mapping:
    """Every field under its own name, with changes by field."""
    rules = {
        "email": Rule("email", "email", ("trim", "lower")),
        "name": Rule("name", "name", ("trim",)),
        "phone": Rule("phone", "phone", ("phone(ID)",)),
        "note": Rule("note", "note"),
    }
    rules |= changes
    return Mapping("person", "memory", "people", {n: r for n, r in rules.items() if r})


@dataclass
class Project:
    """A job between two worlds; ``sync`` runs it once."""

    left: World = field(default_factory=lambda: World("a"))
    right: World = field(default_factory=lambda: World("b"))
    job: Job = field(
        default_factory=lambda: Job(
            "people",
            "person",
            Side("sales", "people"),
            Side("billing", "people"),
            "left-to-right",
        )
    )
    maps: dict[str, Mapping] = field(
        default_factory=lambda: {"left": mapping(), "right": mapping()}
    )
    entity: Entity = PERSON
    routes: dict[str, Route] = field(default_factory=dict)
    keyless: bool = False
    clock: HandClock = field(default_factory=HandClock)
    store: SqliteStore = field(
        default_factory=lambda: SqliteStore(":memory:", Vault(b"k" * 32))
    )

    def run(self, **options: Any) -> JobRun:
        number = self.store.begin_run("people", "sync", self.clock.now())
        sides = [self._side("left", self.left), self._side("right", self.right)]
        by_name = {s.name: s for s in sides}
        return JobRun(
            job=self.job,
            number=number,
            plan=Plan(f"p{number}", "people", "person", "sales", "billing"),
            left=by_name["left"],
            right=by_name["right"],
            store=self.store,
            clock=self.clock,
            tenant="t",
            key=b"c" * 32,
            routes=self.routes,
            options=Options(**options),
        )

    def _side(self, name: Any, world: World) -> LiveSide:
        kind = Memory if world.jobs is None else Slow
        connector = kind(world, None if self.keyless else "hub_key")
        connector.clock = self.clock
        spoke = compile_mapping(self.maps[name], self.entity, transforms())
        from connector_hub.sdk import Account  # noqa: PLC0415

        return LiveSide(
            name,
            "sales" if name == "left" else "billing",
            Account(world.name, world.name, user="hub-user"),
            connector,
            connector.resource("people"),
            spoke,
            spoke.want,
            Bases(self.store, "people", name, spoke, b"b" * 32, self.store.vault),
            Identities(self.entity.identity, spoke, b"i" * 32),
        )

    async def sync(self, **options: Any) -> JobRun:
        run = self.run(**options)
        await jobs.sync(run)
        assert sum(run.tally.outcomes.values()) == run.tally.read
        return run

    def both(self) -> tuple[list[Any], list[Any]]:
        """What each side holds, in the hub's words, sorted."""

        def seen(world: World, side: str) -> list[Any]:
            spoke = compile_mapping(self.maps[side], self.entity, transforms())
            views = [spoke.view(spoke.raws(r, {}))[0] for r in world.rows.values()]
            plain = [{k: v for k, v in view.items() if v is not None} for view in views]
            return sorted(plain, key=repr)

        return seen(self.left, "left"), seen(self.right, "right")


@pytest.fixture
def project() -> Project:
    return Project()


__all__ = ["Project", "mapping", "replace"]
