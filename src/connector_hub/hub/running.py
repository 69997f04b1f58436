"""Runs of jobs: their sides, their lock and number, and how they end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import (
    AsyncIterator,
    Iterable,
    Iterator,
    Mapping,
)
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.transforms import transforms
from connector_hub.diagnostics import (
    Diagnostic,
    Diagnostics,
    Outgrown,
    did_you_mean,
)
from connector_hub.errors import (
    AuthError,
    ConfigError,
    GuardTripped,
    HubError,
    Locked,
    Missing,
    PlanStale,
    PluginError,
    Rejected,
    StoreError,
    Unaccounted,
)
from connector_hub.model.entity import Entity
from connector_hub.model.job import SIDES, Job, Policy, Side, SideName
from connector_hub.model.known import knowing, reading
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.mapping import Spoke, compile_mapping
from connector_hub.model.plan import (
    Plan,
    Receipt,
)
from connector_hub.model.record import Record
from connector_hub.model.union import unite
from connector_hub.ports import Progress
from connector_hub.sdk.connector import Way
from connector_hub.sync import (
    pilot,
    schema,
    standing,
)
from connector_hub.sync.base import Bases
from connector_hub.sync.erased import Erased, stones_by_hash
from connector_hub.sync.identity import Identities
from connector_hub.sync.lookups import read_tables, sizes
from connector_hub.sync.plans import planned_writes
from connector_hub.sync.run import JobRun, Options, Route
from connector_hub.sync.sides import LiveSide, Place, pages

if TYPE_CHECKING:
    pass
from connector_hub.hub.connections import ALL, Connections, home_of

TENANT = "main"


_NO_JOB = "+all"
"""What is locked in a project without jobs; no job can be called so."""


RESERVE = 0.2
"""Share of a plan's calls kept for retries, besides three."""


_HELD_TO_PILOTS = frozenset({"plan", "sync", "apply"})


_WRITING = frozenset({"sync", "apply", "edit"})
"""Kinds of runs that a pause holds; the others write to no vendor."""


class Running(Connections):
    """Runs of jobs: their sides, their lock and number, and how they end."""

    def _routes(self, job: Job) -> tuple[dict[str, Route], list[str]]:
        """Where the job's link fields lead, and those no job of the project carries."""
        routes: dict[str, Route] = {}
        left: list[str] = []
        pair = {job.left.connection, job.right.connection}
        for name, to in self.project.entity(job.entity).links().items():
            carrier = next(
                (
                    j
                    for j in self.project.jobs.values()
                    if j.entity == to
                    and {j.left.connection, j.right.connection} == pair
                ),
                None,
            )
            if carrier is None:
                left.append(name)
                continue
            sides = {s.connection: s.resources for s in (carrier.left, carrier.right)}
            routes[name] = Route(
                carrier.name, sides[job.left.connection], sides[job.right.connection]
            )
        return routes, left

    async def _side(
        self, job: Job, name: SideName, left_out: Iterable[str]
    ) -> LiveSide:
        side = job.side(name)
        live = await self.connect(side.connection)
        self._pin(side.connection, live)
        self._pin_side(job.name, name, home_of(live))
        await self._look_up(job.entity, side)
        spokes = self._spokes(job, name, left_out)
        assert self._vault is not None  # noqa: S101 - _pin has opened the store
        key, identity = self._vault.derive("base"), self._vault.derive("identity")
        places = {
            n: Place(live.connector.resource(n), s, s.want) for n, s in spokes.items()
        }
        spoke = unite(spokes) if side.one_of else spokes[side.resource]
        return LiveSide(
            name=name,
            connection=side.connection,
            account=live.account,
            connector=live.connector,
            resource=places[side.resource].resource,
            spoke=spoke,
            want=spoke.want,
            gate=live.client.refuse_while_down,
            bases=Bases(self.store, job.name, name, spoke, key, self._vault),
            identities=Identities(
                spoke.entity.identity, spoke, identity, len(job.match)
            ),
            places=places if side.one_of else {},
            erased=self._erased(job.entity),
        )

    def _erased(self, entity: str) -> Erased:
        """Who was erased, of an entity."""
        key = self.store.vault.derive("erased")
        return Erased(entity, key, stones_by_hash(self.store.stones(entity)))

    def _spokes(
        self, job: Job, side: SideName, left_out: Iterable[str]
    ) -> dict[str, Spoke]:
        """How each resource of a side is read."""
        at = job.side(side)
        self.connection(at.connection)
        return {
            resource: self._spoke(
                knowing(self.project.entity(job.entity), job.match),
                reading(
                    self.project.mapping_at(at.connection, job.entity, resource),
                    job.match,
                    side,
                ),
                at.connection,
                left_out,
            )
            for resource in at.resources
        }

    def _spoke(
        self,
        entity: Entity,
        mapping: Spec,
        connection: str,
        left_out: Iterable[str] = (),
    ) -> Spoke:
        """A connection's spoke; looked-up fields by what was read last, if anything was."""
        return compile_mapping(
            mapping,
            entity,
            transforms(),
            leave_out=left_out,
            tables=self._tables.get(connection),
        )

    async def _look_up(self, entity: str, side: Side) -> None:
        """Read anew what a side's fields are looked up in."""
        live = await self.connect(side.connection)
        mappings = [
            self.project.mapping_at(side.connection, entity, resource)
            for resource in side.resources
        ]
        tables = await read_tables(live.connector, mappings)
        self._tables.setdefault(side.connection, {}).update(tables)

    @contextlib.asynccontextmanager
    async def _running(
        self,
        name: str,
        kind: str,
        options: Options,
        progress: Progress,
        plan: str | None = None,
    ) -> AsyncIterator[JobRun]:
        """A run under its lock, with its number; how it ends is kept, whatever happens."""
        job = self.job(name)
        with job_lock(self.state_path, name):
            self._forget_what_is_due(name, plan)
            if kind in _WRITING:
                standing.refuse_paused(self.store, job)
            self.store.examine(name, self.clock.now())
            number = self.store.begin_run(name, kind, self.clock.now())
            started = self.clock.monotonic()
            run: JobRun | None = None
            with self.store.fenced(number):
                try:
                    run = await self._run(job, number, options, progress, plan)
                    if kind in _HELD_TO_PILOTS:
                        await self._hold_to_pilot(run)
                    yield run
                except BaseException as e:
                    error = await self._explained(run, _as_hub_error(e))
                    receipt = self._receipt(job.name, number, run, error, started)
                    with contextlib.suppress(StoreError, Locked):
                        await self._drop_refused(error)
                        self._remember_circuits(job, well=False)
                    with contextlib.suppress(StoreError, Locked):
                        self._end(receipt)
                    if isinstance(error, HubError):
                        error.receipt = receipt
                        if error is e:
                            raise  # it keeps what it was raised from
                        raise error from e
                    e.receipt = receipt  # type: ignore[attr-defined]
                    raise
            with contextlib.suppress(StoreError):
                self._remember_circuits(job, well=True)

    async def _run(
        self,
        job: Job,
        number: int,
        options: Options,
        progress: Progress,
        plan: str | None,
    ) -> JobRun:
        routes, left = self._routes(job)
        at_left = await self._side(job, "left", left)
        at_right = await self._side(job, "right", left)
        assert self._vault is not None  # noqa: S101 - the sides have opened the store
        if (at_left.home, at_left.resource) == (at_right.home, at_right.resource):
            raise ConfigError(
                f"job {job.name}: both sides are {at_left.resource.name} of account {at_left.home}",
                where=str(self.project.file),
                hint="a job needs two accounts; look at the credentials of its connections",
            )
        known = self.project.entity(job.entity).fields
        for name in options.backfill:
            if name not in known:
                raise ConfigError(
                    f"entity {job.entity} has no field {name!r}",
                    hint=did_you_mean(name, known),
                )
        shown = Plan(
            plan or self.chance.randbytes(4).hex(),
            job.name,
            job.entity,
            at_left.connection,
            at_right.connection,
        )
        shown.left_out = tuple(left)
        run = JobRun(
            job=job,
            number=number,
            plan=shown,
            left=at_left,
            right=at_right,
            store=self.store,
            clock=self.clock,
            tenant=TENANT,
            key=self._vault.derive("changes"),
            routes=routes,
            options=options,
            progress=progress,
            chance=self.chance,
            neighbours={s: self._neighbours(job, s) for s in SIDES},
        )
        run.look = lambda: self._look_at_fields(run)
        for side in run.sides:
            mappings = [side.place(n).spoke.mapping for n in side.names]
            looked_up = sizes(mappings, self._tables[side.connection])
            for resource, rows in looked_up.items():
                way = side.connector.resource(resource).way("list")
                run.cost(side, way, max(rows, 1), reading=True)
        return run

    def _neighbours(self, job: Job, side: SideName) -> list[tuple[str, SideName]]:
        """Other jobs' sides that hold the same records and know them by the same identity."""
        at = job.side(side)
        return [
            (other.name, s)
            for other in self.project.jobs.values()
            for s in SIDES
            if other.name != job.name
            and other.entity == job.entity
            and not (other.match or job.match)
            and other.side(s).connection == at.connection
            and other.side(s).resources == at.resources
        ]

    async def _explained(
        self, run: JobRun | None, error: BaseException
    ) -> BaseException:
        """What is behind a vendor's word that something is set up wrongly: maybe a field it changed."""
        if run is None or type(error) is not ConfigError:
            return error
        if error.where not in {s.connection for s in run.sides}:
            return error
        try:
            await self._look_at_fields(run, anew=True)
        except HubError as e:
            return e if isinstance(e, Outgrown) else error
        return error

    async def _look_at_fields(self, run: JobRun, *, anew: bool = False) -> None:
        """See that the vendors' fields are still what the mappings say.

        They are asked for again only after some minutes, or when ``anew``.

        Raises:
            Outgrown: every field that is not; nothing was written.
        """
        found = Diagnostics()
        looked: list[tuple[SideName, str, str]] = []
        for side in run.sides:
            for name in side.names:
                place, now = side.place(name), self.clock.now()
                mapping = place.spoke.mapping
                kept = self.store.fact(run.job.name, side.name, schema.fact(name))
                before = schema.Before.of(kept)
                if not place.resource.describes_all:
                    continue
                if before.is_fresh(mapping, now) and not anew:
                    continue
                try:
                    fields = (await side.connector.describe(name)).fields
                except (AuthError, Missing, Rejected) as e:
                    run.note(
                        f"{side.connection}: the fields of {name} may not be looked at ({e.code}): "
                        "what is changed about them is not seen before it is refused"
                    )
                    continue
                for m in schema.moved(
                    mapping,
                    place.spoke.entity,
                    fields,
                    written_to(side.name, run.policies, place.spoke),
                    before,
                    creates=run.job.creates_at(side.name),
                ):
                    found.add(self._finding(run.job, side.name, name, m))
                said = schema.remembered(mapping, fields, now)
                looked.append((side.name, schema.fact(name), said))
        if found:
            raise Outgrown(found)
        for side_name, fact, said in looked:
            self.store.set_fact(run.job.name, side_name, fact, said)

    def _finding(
        self, job: Job, side: SideName, resource: str, m: schema.Moved
    ) -> Diagnostic:
        """A field that has moved, with the line of the rule that is about it."""
        at = job.side(side).connection
        kind = self.project.connections[at].connector
        if m.field:
            place = self.project.rule_at(job.entity, kind, resource, m.field)
            place = place or self.project.place("jobs", job.name)
        else:
            place = self.project.place_of_rule(
                job.entity, kind, resource, "set_on_create"
            )
        file, line = _split(place)
        about = f"{m.field} ({m.path})" if m.field else m.path
        return Diagnostic(
            file,
            line,
            1 if line else 0,
            "vendor-field",
            f"{at}: {resource}: {about} {m.what}",
            hint=m.hint,
        )

    async def _hold_to_pilot(self, run: JobRun) -> None:
        """Hold a run to the pilot of its job, or to what another job's pilot needs of it."""
        mine = run.job.name
        if run.job.pilot is not None:
            await pilot.choose(run, run.job.pilot)
            run.pilot = self.store.pilot(mine)
            return
        held: set[str | None] = set()
        for child in self.project.jobs.values():
            routes, _ = self._routes(child)
            if mine not in {r.job for r in routes.values()}:
                continue
            if child.pilot is None:
                pilot.end(self.store, mine, child.name)
                held.add("free")
                continue
            other = await self._run(child, run.number, ALL, run.progress, None)
            await pilot.choose(other, child.pilot)
            held.add(self.store.fact(mine, "left", pilot.held_by(child.name)))
        if "held" in held and "free" not in held:
            run.pilot = self.store.pilot(mine)

    def _forget_what_is_due(
        self, job: str | None = None, plan: str | None = None
    ) -> None:
        """Values whose time to live is over, of all jobs.

        Args:
            job: the one whose lock is held here; another one that is running does it itself.
            plan: its plan that is about to be carried out.
        """
        now = self.clock.now()
        before = now - timedelta(seconds=self.project.plan_ttl)
        if job is not None:
            self.store.drop_plans(job, before, keep=plan or "")
        due = self.store.due(before).keys() - {job}
        for other in sorted(due):
            with contextlib.suppress(Locked), job_lock(self.state_path, other):
                self.store.drop_plans(other, before)
        if self.store.expire(now) or due:
            self.store.empty_log()

    @contextlib.contextmanager
    def _every_lock(self) -> Iterator[None]:
        """No job runs meanwhile, and none begins.

        Raises:
            Locked: one does.
        """
        jobs = {*self.project.jobs, *self.store.planned_jobs()} or {_NO_JOB}
        with contextlib.ExitStack() as held:
            for job in sorted(jobs):
                held.enter_context(job_lock(self.state_path, job))
            yield

    def _receipt(
        self,
        job: str,
        number: int,
        run: JobRun | None,
        error: BaseException | None,
        started: float,
    ) -> Receipt:
        receipt = Receipt(job, number)
        receipt.calls = self._spent()
        receipt.seconds = self.clock.monotonic() - started
        with contextlib.suppress(StoreError):
            receipt.open = self.store.open_counts(job)
        if run is not None:
            t = run.tally
            for name, n in t.document().items():
                setattr(receipt, name, n)
            whole = error is None or isinstance(error, Unaccounted)
            receipt.read = t.read if whole else sum(t.outcomes.values())
            receiving = [run.other(s).connection for s in run.sources]
            receipt.writes = {c: t.writes[c] for c in sorted(receiving)}
            receipt.new = {
                "conflicts": t.new_conflicts,
                "dead_letters": t.new_letters,
                "stale": t.new_stale,
            }
            receipt.unreadable, receipt.drift = dict(t.unreadable), t.drift
            receipt.exposed = run.exposed
            receipt.samples, receipt.unbased = dict(t.samples), dict(t.unbased)
            receipt.notes = (*run.told(), *(left_out(f) for f in run.plan.left_out))
        if error is not None:
            receipt.status = _status(error)
            if isinstance(error, HubError):
                receipt.error = {"code": error.code, "message": str(error)}
        elif any(receipt.new.values()):
            receipt.status = "partial"
        return receipt

    def _spent(self) -> dict[str, dict[str, int]]:
        """The calls of this run so far, by connection and bucket."""
        return {n: dict(x.calls) for n, x in self._ledgers.items() if x.calls}

    def _looked(self, run: int, document: Mapping[str, Any]) -> None:
        """A run that only looked is through: what it found, and the calls it took."""
        told = {**document, "spent": self._spent()}
        self.store.end_run(run, "done", told, self.clock.now())

    def _end(self, receipt: Receipt) -> None:
        with contextlib.suppress(StoreError):
            self.store.end_run(
                receipt.run, receipt.status, receipt.document(), self.clock.now()
            )

    def _promise(self, run: JobRun) -> None:
        """Calls per connection and bucket that neither ``sync`` nor ``apply`` will exceed."""
        for side in run.sides:
            if planned_writes(run.plan) and side.resource.describes_all:
                run.cost(side, Way("list", 1), 1)
            name = side.connection
            spent = self._ledgers[name].calls
            again = run.rereads.get(name, Counter())
            costs = run.costs.get(name, Counter())
            calls = {}
            for bucket in sorted({*spent, *again, *costs}):
                reading = max(spent.get(bucket, 0), again.get(bucket, 0) + 3)
                exact = reading + costs.get(bucket, 0)
                calls[bucket] = exact + int(exact * RESERVE) + 3
            run.plan.calls[name] = calls
            left = self._live[name].client.left()
            if left:
                run.plan.remaining[name] = left
            for limit in side.connector.limits():
                if limit.kind == "rolling" and limit.bucket in calls:
                    needed = calls[limit.bucket] / limit.amount * limit.per
                    run.plan.seconds = max(run.plan.seconds, needed)

    async def view(
        self, connection: str, entity: str, since: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Records of a connection in the hub's words, read only.

        Args:
            connection: a connection of the project.
            entity: what to read them as; of several resources that hold such, the one that a job uses.
            since: an ISO date or instant; records not changed since are left out.
        """
        live = await self.connect(connection)
        in_use = (
            end.resource
            for job in self.project.jobs.values()
            for end in (job.left, job.right)
            if (job.entity, end.connection) == (entity, connection)
        )
        mapping = self.project.mapping_at(connection, entity, next(in_use, None))
        await self._look_up(entity, Side(connection, mapping.resource))
        spoke = self._spoke(self.project.entity(entity), mapping, connection)
        from_ = datetime.fromisoformat(since) if since else None
        if from_ is not None and from_.tzinfo is None:
            from_ = from_.replace(tzinfo=UTC)
        side = LiveSide(
            name="left",
            connection=connection,
            account=live.account,
            connector=live.connector,
            resource=live.connector.resource(mapping.resource),
            spoke=spoke,
            want=spoke.want,
            bases=None,  # type: ignore[arg-type]
            identities=None,  # type: ignore[arg-type]
        )
        async for page in pages(side, "changed", None):
            for record in page.records:
                if not isinstance(record, Record):
                    continue
                if (
                    from_ is not None
                    and record.changed is not None
                    and record.changed < from_
                ):
                    continue
                view, _ = spoke.view(spoke.raws(record.fields, record.links))
                yield {"id": record.id, **view}


def written_to(
    side: SideName, policies: Mapping[str, Policy], spoke: Spoke
) -> frozenset[str]:
    """Fields that a job writes to a side."""
    travel = {n for n, p in policies.items() if p.owner != side}
    return frozenset(travel & spoke.writable)


def _split(place: str) -> tuple[str, int]:
    """``file:line`` or ``file:line:column`` as file and line; 0 where no line is told."""
    file, *numbers = place.rsplit(":", 2)
    while numbers and not numbers[0].isdigit():
        file = f"{file}:{numbers.pop(0)}"
    return file, int(numbers[0]) if numbers else 0


def left_out(field: str) -> str:
    """What people are told of a link field that no job carries."""
    return f"field {field} is left out: no job syncs what it links to"


def _status(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted"
    if isinstance(error, GuardTripped | PlanStale) or (
        isinstance(error, HubError) and error.exit_code == GuardTripped.exit_code
    ):
        return "refused"
    return "failed"


def _as_hub_error(error: BaseException) -> BaseException:
    """The error as the hub tells it: what is not its own came out of a plugin, or is a bug."""
    if isinstance(error, HubError):
        return error
    if isinstance(error, Exception | SystemExit):
        return PluginError(
            f"an unexpected {type(error).__name__} stopped the run",
            hint="run with --debug for the traceback, and report it",
        )
    return error
