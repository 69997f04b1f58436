"""A hub that is told what to answer, and a command line on it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click import testing
from click.testing import CliRunner, Result

from connector_hub.adapters.files import ConnectionConfig
from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import ConfigError, PlanStale
from connector_hub.model.conflict import Conflict, DeadLetter
from connector_hub.model.job import Job, Side
from connector_hub.model.kept import Kept
from connector_hub.model.plan import FieldChange, Plan, Receipt, Shown
from connector_hub.sync.why import Why

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def job(name: str, entity: str = "contact") -> Job:
    return Job(
        name,
        entity,
        Side("sales", "contacts"),
        Side("billing", "Contact"),
        "left-to-right",
    )


def made(name: str = "people", **more: Any) -> Plan:
    """A plan with one change of each kind."""
    counts = {"create": 1, "update": 1, "delete": 1, "unchanged": 5}
    plan = Plan("p1", name, "contact", "sales", "billing", 8, counts)
    plan.by_field = {"title": 1}
    plan.by_reason = {"new at the source": 1, "changed at the source": 1}
    plan.calls = {"sales": {"burst": 4}, "billing": {"calls": 7}}
    plan.remaining = {"billing": {"calls": 14_812.0}}
    for key, value in more.items():
        setattr(plan, key, value)
    return plan


CHANGES = [
    Shown(
        "create",
        "s1",
        None,
        (FieldChange("email", None, "ana@people.example"),),
        "new at the source",
    ),
    Shown(
        "update",
        "s2",
        "t2",
        (FieldChange("title", "Manager", "Direktur"),),
        "changed at the source",
    ),
    Shown("archive", None, "t3", (), "gone at the source"),
]


@dataclass
class FakeHub:
    """Answers from its lists; an exception among the answers is raised."""

    jobs: list[str] = field(default_factory=lambda: ["people"])
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    open_conflicts: list[Conflict] = field(default_factory=list)
    views: list[Any] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=lambda: list(CHANGES))
    listed: list[dict[str, Any]] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)
    stored: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    made: list[Kept] = field(
        default_factory=lambda: [
            Kept(made(), "2026-11-24T11:00:00+00:00", "waiting"),
            Kept(made(id="people"), "2026-11-24T10:00:00+00:00", "kept"),
        ]
    )

    def __post_init__(self) -> None:
        self.clock = SimpleNamespace(now=lambda: NOW)
        self.project = SimpleNamespace(jobs={n: job(n) for n in self.jobs})
        self.secrets = SimpleNamespace(
            store=self.stored.__setitem__, read=lambda r: f"stored {r}"
        )

    def job(self, name: str) -> Job:
        if name not in self.jobs:
            raise ConfigError(
                f"there is no job {name!r}", hint=did_you_mean(name, self.jobs)
            )
        return job(name)

    def connection(self, name: str) -> ConnectionConfig:
        return SimpleNamespace(secrets=lambda: self.config)  # type: ignore[return-value]

    def jobs_in_order(self) -> list[str]:
        return self.jobs

    def _answer(self, key: str, **asked: Any) -> Any:
        self.asked.append((key, asked))
        found = self.answers.get(key)
        if isinstance(found, BaseException):
            raise found
        return found

    async def plan(self, name: str, *, options: Any, progress: Any) -> Plan:
        progress("reading sales", 0, None)
        found: Plan = self._answer(name, options=options) or made(name)
        return found

    async def sync(
        self, name: str, *, options: Any, max_calls: int | None, progress: Any
    ) -> Receipt:
        progress("reading sales", 0, None)
        asked = self._answer(name, options=options, max_calls=max_calls)
        return asked or Receipt(name, 7, read=3, created=3)

    async def notify(self, receipts: list[Receipt]) -> list[str]:
        found: list[str] = self.answers.get("notify", [])
        return found

    async def apply(
        self, plan: str, *, allow_deletes: int | None, progress: Any
    ) -> Receipt:
        asked = self._answer(plan, allow_deletes=allow_deletes)
        return asked or Receipt("people", 8, read=1, created=1)

    async def undo(self, run: int, *, progress: Any) -> Plan:
        progress("planning", 0, None)
        found: Plan = self._answer(f"undo {run}") or made(undoes=run)
        return found

    async def why(self, what: str, record: str, name: str) -> list[Why]:
        found: list[Why] = self._answer("why", what=what, record=record, name=name)
        return found

    async def replay(self, name: str, numbers: Any, *, progress: Any) -> Receipt:
        return self._answer(name, numbers=numbers) or Receipt(name, 9, read=1)

    def plans(self, name: str | None = None) -> list[Kept]:
        return [k for k in self.made if name in {None, k.plan.job}]

    def kept(self, plan: str) -> Kept:
        for k in self.made:
            if k.plan.id == plan:
                return k
        raise ConfigError(f"there is no plan {plan!r}")

    def approvable(self, plan: str) -> Kept:
        found = self.kept(plan)
        if not found.open:
            raise PlanStale(f"plan {plan} {found.why}", where=found.where)
        return found

    def reject(self, plan: str) -> Kept:
        self.asked.append((plan, {}))
        done = replace(self.kept(plan), state="rejected", why="was rejected")
        self.made = [done if k.plan.id == plan else k for k in self.made]
        return done

    def changes(self, plan: Plan) -> list[Shown]:
        return self.shown

    def runs(self, name: str | None = None) -> list[dict[str, Any]]:
        return self.listed

    def dead_letters(self, name: str | None = None) -> list[DeadLetter]:
        return [d for d in self.letters if name in {None, d.job}]

    def dead_letter(self, number: int) -> DeadLetter:
        return next(d for d in self.letters if d.id == number)

    def conflicts(self, name: str | None = None) -> list[Conflict]:
        return self.open_conflicts

    def conflict(self, number: int) -> Conflict:
        return next(c for c in self.open_conflicts if c.id == number)

    async def members(self, conflict: Conflict) -> list[Any]:
        return self.views

    async def prepare(self, name: str, *, make: bool) -> list[str]:
        self.asked.append(("prepare", {"make": make}))
        return self.lacking

    def asks_person(self, name: str) -> bool:
        return False

    async def connect(self, name: str, *, secrets: Any = None) -> Any:
        given = {r: secrets.read(r) for r in self.config.values()}
        self._answer(name, secrets=given)
        account = SimpleNamespace(id="4711", name="Acme", lacks=())
        return SimpleNamespace(account=account)


@dataclass
class Line:
    """A command line on a fake hub."""

    hub: FakeHub
    opened: list[tuple[Path, str | None]] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def _open(self, project: Path, profile: str | None) -> AsyncIterator[FakeHub]:
        self.opened.append((project, profile))
        found = self.hub.answers.get("open")
        if isinstance(found, BaseException):
            raise found
        yield self.hub

    def __call__(self, *words: str, typed: str | None = None) -> Result:
        return CliRunner().invoke(
            cli, list(words), input=typed, obj=Session(opener=self._open)
        )

    def document(self, *words: str) -> Any:
        """One JSON document is on stdout, none on stderr."""
        result = self(*words, "--json")
        assert result.stdout.count("\n") == 1
        assert "{" not in result.stderr
        return json.loads(result.stdout)


@pytest.fixture
def line() -> Line:
    return Line(FakeHub())


@pytest.fixture
def on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Output and input are a person's."""

    def pretend() -> None:
        for name in ("CI", "NO_COLOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        kind = testing._NamedTextIOWrapper
        monkeypatch.setattr(kind, "isatty", lambda _self: True)

    return pretend
