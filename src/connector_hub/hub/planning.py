"""What is planned, waits, is approved and carried out."""

from __future__ import annotations

from collections.abc import (
    Iterable,
    Mapping,
)
from typing import TYPE_CHECKING, Any

from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.person import person
from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import (
    ConfigError,
    PluginError,
)
from connector_hub.model.job import SIDES, Job, SideName, across
from connector_hub.model.kept import OPEN, Kept, KeptRow, PlanState
from connector_hub.model.mapping import Spoke
from connector_hub.model.plan import (
    Change,
    FieldChange,
    Plan,
    Receipt,
    Seen,
    Shown,
)
from connector_hub.model.rows import applied
from connector_hub.model.union import unite
from connector_hub.ports import Progress
from connector_hub.sync import jobs as syncing
from connector_hub.sync import (
    undoing,
)
from connector_hub.sync.plans import (
    Step,
    already_waits,
    look_out,
    prints,
    refusal,
    stands,
)
from connector_hub.sync.run import JobRun, Options

if TYPE_CHECKING:
    pass
from connector_hub.hub.connections import ALL, silent
from connector_hub.hub.running import Running


class Planning(Running):
    """What is planned, waits, is approved and carried out."""

    async def plan(
        self, job: str, *, options: Options = ALL, progress: Progress = silent
    ) -> Plan:
        """What the job would do now. Writes to no vendor; the plan is kept for ``apply``.

        Raises:
            HubError: as the vendors and the state have it.
        """
        self._new_ledgers(None)
        async with self._running(job, "plan", options, progress) as run:
            run.planning = True
            await syncing.plan(run)
            self._keep(run, "kept")
            self._looked(run.number, run.plan.document())
            return run.plan

    def _keep(self, run: JobRun, state: PlanState) -> None:
        """Keep a run's plan, with what carrying it out would cost and mean."""
        self._promise(run)
        look_out(run)
        self.store.save_plan(
            run.plan.id,
            run.job.name,
            syncing.plan_document(run),
            self.clock.now(),
            state=state,
        )

    async def sync(
        self,
        job: str,
        *,
        options: Options = ALL,
        max_calls: int | None = None,
        progress: Progress = silent,
    ) -> Receipt:
        """Plan and apply one job; a plan beyond ``apply: when`` is kept, and waits for a person.

        While one waits nothing is planned or written: the receipt's status is ``waiting``.

        Raises:
            HubError: what the run had done by then is its ``receipt``.
        """
        self._new_ledgers(max_calls)
        started = self.clock.monotonic()
        async with self._running(job, "sync", options, progress) as run:
            waits = self._waiting(job)
            waiting = waits.plan.id if waits else None
            if waits is not None:
                run.note(already_waits(waits, self.project.plan_ttl))
            elif not await syncing.sync(run):
                self._keep(run, "waiting")
                waiting = run.plan.id
            receipt = self._receipt(job, run.number, run, None, started)
            if waiting is not None:
                receipt.status, receipt.plan = "waiting", waiting
            self._end(receipt)
            return receipt

    async def apply(
        self,
        plan: Plan | str,
        *,
        allow_deletes: int | None = None,
        progress: Progress = silent,
    ) -> Receipt:
        """Carry out a kept plan, exactly: what moved since is stale, nothing else is done.

        This is what approves a plan: who did it, and when, is remembered.

        Args:
            plan: the plan or its id.
            allow_deletes: how many records it may delete, whatever the job's guard says.
            progress: told how far it is.

        Raises:
            ConfigError: there is no such plan.
            PlanStale: it was decided, is too old, or job, mapping or account changed.
        """
        number = plan.id if isinstance(plan, Plan) else plan
        row = self._approvable(number)
        job = row.job
        self._new_ledgers(None)
        for name, promised in row.document["plan"]["calls"].items():
            self._ledger(name).promised = promised
        started = self.clock.monotonic()
        if allow_deletes is None:
            allow_deletes = row.document["allow_deletes"]
        options = Options(allow_deletes=allow_deletes)
        carry_out = (
            undoing.apply_undo if row.document["plan"]["undoes"] else syncing.apply
        )
        async with self._running(job, "apply", options, progress, number) as run:
            document = {"needs": self._approvable(number).needs}
            await carry_out(run, document, lambda: self._decide(number, "begun"))
            self._decide(number, "applied")
            receipt = self._receipt(job, run.number, run, None, started)
            self._end(receipt)
            return receipt

    async def undo(self, run: int, *, progress: Progress = silent) -> Plan:
        """What brings both sides back to where they were before a run. Writes to no vendor.

        The plan is kept for ``apply``; what cannot be brought back is among its ``changes``.

        Raises:
            ConfigError: there is no such run, or nothing is known of what it wrote.
        """
        job = self._run_of(run)
        self._new_ledgers(None)
        async with self._running(job, "undo", ALL, progress) as undoes:
            undoes.planning = True
            pointing = self._pointing(self.job(job))
            if not await undoing.plan_undo(undoes, run, pointing):
                raise ConfigError(
                    f"nothing is known that run {run} wrote",
                    hint="a plan writes nothing; what a run wrote is kept for 30 days",
                )
            self._keep(undoes, "kept")
            self._looked(undoes.number, undoes.plan.document())
            return undoes.plan

    def _run_of(self, number: int) -> str:
        """The job of a run."""
        job = self.store.job_of(number)
        if job is None:
            raise ConfigError(
                f"there is no run {number}", hint="see `connector-hub runs`"
            )
        return job

    def _pointing(self, job: Job) -> list[undoing.Pointing]:
        """Link fields of other jobs that lead to this one's records."""
        found = []
        ours = {s: job.side(s).connection for s in SIDES}
        for other in self.project.jobs.values():
            theirs = {other.side(s).connection: s for s in SIDES}
            if set(ours.values()) != set(theirs):
                continue
            ends = {
                s: (self.store.pinned(c) or "", other.side(s))
                for c, s in theirs.items()
            }
            sides = {s: theirs[c] for s, c in ours.items()}
            links = self.project.entity(other.entity).links()
            found += [
                undoing.Pointing(other.name, name, sides, ends)
                for name, to in links.items()
                if to == job.entity
            ]
        return found

    def plans(self, job: str | None = None) -> list[Kept]:
        """The latest plans, newest first, and how each stands now."""
        return [self._stands(row) for row in self.store.plans(job)]

    def _waiting(self, job: str) -> Kept | None:
        """The plan that holds a job's syncs, if it can still be approved."""
        found = map(self._stands, self.store.plans(job, state="waiting"))
        return next((k for k in found if k.state == "waiting"), None)

    def kept(self, plan: str) -> Kept:
        """One plan that was kept, and how it stands now.

        Raises:
            ConfigError: there is no such plan.
        """
        return self._stands(self._row(plan))

    def approvable(self, plan: str) -> Kept:
        """A plan that ``apply`` would carry out, as far as can be said without asking a vendor.

        Raises:
            ConfigError, PlanStale: as ``apply``.
        """
        self._approvable(plan)
        return self.kept(plan)

    def reject(self, plan: str) -> Kept:
        """Drop a plan: its records are looked at again by the next sync, as if it had never been made.

        Raises:
            ConfigError: there is no such plan.
            PlanStale: it was decided already.
            Locked: it is being carried out.
        """
        row = self._row(plan)
        with job_lock(self.state_path, row.job), self.store.transaction():
            if self._row(plan).state not in OPEN:
                raise refusal(self._stands(self._row(plan)))
            self._decide(plan, "rejected")
            self.store.drop_windows(row.job, plan)
        return self.kept(plan)

    def _decide(self, plan: str, state: PlanState) -> None:
        self.store.end_plan(plan, state, self.clock.now(), person())

    def _row(self, plan: str) -> KeptRow:
        row = self.store.plan(plan)
        if row is None:
            raise ConfigError(
                f"there is no plan {plan!r}",
                where=str(self.project.file),
                hint=did_you_mean(plan, self.store.plan_ids())
                + " see `connector-hub plans list`",
            )
        return row

    def _approvable(self, plan: str) -> KeptRow:
        row = self._row(plan)
        stands = self._stands(row)
        if not stands.open:
            raise refusal(stands)
        return row

    def _stands(self, row: KeptRow) -> Kept:
        """How a plan stands: what it was made from is compared with the files as they are."""
        now = self.clock.now()
        return stands(
            row, lambda: self._prints(row), self._place, now, self.project.plan_ttl
        )

    def _prints(self, row: KeptRow) -> Mapping[str, Any] | None:
        """What the plan's job is made from now; None where there is no such job any more."""
        job = self.project.jobs.get(row.job)
        if job is None:
            return None
        try:
            _, left = self._routes(job)
            spokes = [self._spokes(job, side, left) for side in SIDES]
        except PluginError:  # told when the plugin is needed
            known: Mapping[str, Any] = row.document["prints"]
            return known
        homes = [self.store.pinned(job.side(side).connection) for side in SIDES]
        return prints(job, spokes, homes, [self._key_field(job, n) for n in SIDES])

    def _key_field(self, job: Job, side: SideName) -> str | None:
        """Where a side's record keys are kept."""
        at = self.connection(job.side(side).connection)
        if at.key_field != "default":
            return at.key_field
        return self.plugins.connector(at.connector).key_field

    def _place(self, job: str, step: Step) -> str:
        """Where that stands which has changed since a plan was made."""
        match step:
            case ("age",):
                return self.project.place("plan_ttl")
            case ("entity",):
                return self.project.words.entities[self.job(job).entity][1].file
            case ("rule" | "mapping", "left" | "right" as side, resource, *field):
                at = self.job(job).side(side).connection
                connector, entity = (
                    self.connection(at).connector,
                    self.job(job).entity,
                )
                return self.project.place_of_rule(
                    entity, connector, resource, "fields", *field
                )
            case ("account" | "key", "left" | "right" as side):
                return self.project.place(
                    "connections", self.job(job).side(side).connection
                )
        return self.project.place("jobs", job)

    def changes(self, plan: Plan) -> Iterable[Shown]:
        """The writes of a kept plan in the hub's words: personal data, for a person's eyes."""
        job = self.job(plan.job)
        spokes: dict[SideName, Spoke] = {
            side: self._offline_spoke(job, side) for side in SIDES
        }
        for _, changes in self.store.windows(plan.job, plan.id):
            for change in changes:
                for side in change.writes() or [change.here] * change.undoes:
                    yield _shown(change, side, spokes, job.side(side).connection)

    def _offline_spoke(self, job: Job, side: SideName) -> Spoke:
        _, left = self._routes(job)
        spokes = self._spokes(job, side, left)
        return unite(spokes) if job.side(side).one_of else next(iter(spokes.values()))


def _shown(
    change: Change, side: SideName, spokes: Mapping[SideName, Spoke], connection: str
) -> Shown:
    """One write of a change, to one side; or what is kept there."""
    if change.undoes:
        return _put_back(change, side, spokes[side], connection)
    source, there = change.seen(across(side)), change.seen(side)
    new = spokes[side].filled(_viewed(spokes[across(side)], source))
    old = _viewed(spokes[side], there)
    for name in spokes[side].rows.keys() & {*change.fields(side)} if there else ():
        own, edits = old.get(name) or (), change.edits(side, name)
        writable = spokes[side].rows[name].inner.writable
        new[name] = applied(own, new.get(name) or (), edits, writable).rows
    fields = tuple(
        FieldChange(n, old.get(n), new.get(n))
        for n in change.fields(side)
        if change.action != "create" or new.get(n) not in (None, ())
    )
    return Shown(
        change.action,
        source.id if source else None,
        there.id if there else None,
        fields,
        change.reason,
        connection,
    )


def _put_back(change: Change, side: SideName, spoke: Spoke, connection: str) -> Shown:
    there = change.seen(side)
    old, new = _viewed(spoke, there), _viewed(spoke, change.image(side))
    fields = tuple(FieldChange(n, old.get(n), new.get(n)) for n in change.fields(side))
    record = there.id if there else None
    return Shown(change.op or "keep", None, record, fields, change.reason, connection)


def _viewed(spoke: Spoke, seen: Seen | None) -> Mapping[str, Any]:
    return spoke.whole(seen.raws)[0] if seen and seen.raws else {}
