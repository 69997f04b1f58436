"""What people ask and decide: who is whom, why, conflicts, dead letters, reports."""

from __future__ import annotations

import contextlib
from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import (
    AuthError,
    ConfigError,
    VendorError,
)
from connector_hub.model.conflict import (
    FIELDS,
    KINDS,
    UNKNOWN,
    Conflict,
    DeadLetter,
    causes,
)
from connector_hub.model.job import SIDES, Job, SideName
from connector_hub.model.link import spelled
from connector_hub.model.mapping import Raws
from connector_hub.model.plan import (
    Receipt,
)
from connector_hub.model.record import Record
from connector_hub.model.union import unite
from connector_hub.ports import Progress
from connector_hub.sync import (
    deciding,
    matching,
    mending,
    reporting,
)
from connector_hub.sync import why as explaining
from connector_hub.sync.base import Bases
from connector_hub.sync.matching import Found
from connector_hub.sync.run import Options
from connector_hub.sync.sides import fetch

if TYPE_CHECKING:
    pass
from connector_hub.hub.connections import ALL, silent
from connector_hub.hub.planning import Planning


@dataclass(frozen=True, slots=True)
class Known:
    """A record that the hub knows to be one thing with others."""

    hub_id: str
    connection: str
    resource: str
    record: str
    gone: bool


@dataclass(frozen=True, slots=True)
class Mended:
    """An edit of a record behind a dead letter: its run, and fields the vendor made something else of."""

    run: int
    connection: str
    record: str
    not_taken: tuple[str, ...]


class Asking(Planning):
    """What people ask and decide: who is whom, why, conflicts, dead letters, reports."""

    async def match(
        self,
        job: str,
        each: Callable[[Found], None],
        *,
        progress: Progress = silent,
    ) -> Mapping[str, int]:
        """Who is whom in a job's two accounts, both read wholly: how many of each kind.

        Writes to no vendor and links nothing; ``each`` is told every record or pair.

        Raises:
            HubError: as the vendors and the state have it.
        """
        self._new_ledgers(None)
        options = Options(full=True)
        async with self._running(job, "match", options, progress) as run:
            run.planning = True
            run.job = replace(run.job, direction="both", create="both")
            counts = await matching.match_sides(run, each)
            self._looked(run.number, {"job": job, "match": counts})
            return counts

    async def link(self, job: str, pairs: Iterable[tuple[int, str, str]]) -> int:
        """Link what a person says belongs together: (line of a file, left id, right id); how many are new.

        Raises:
            ConfigError: a record is unknown, named twice, or linked to another; nothing has been linked.
        """
        self._new_ledgers(None)
        async with self._running(job, "link", ALL, silent) as run:
            made = await matching.link_pairs(run, pairs)
            self._looked(run.number, {"job": job, "linked": made})
            return made

    async def unlink(self, job: str, left: str, right: str) -> None:
        """Two linked records are two things from now on; writes to no vendor.

        Raises:
            ConfigError: the two are not linked.
        """
        self._new_ledgers(None)
        async with self._running(job, "link", ALL, silent) as run:
            matching.unlink_pair(run, left, right)
            self._looked(run.number, {"job": job, "unlinked": [left, right]})

    def trace(self, job: str, record: str) -> list[Known]:
        """All records, of any job, that are one thing with a job's record; the record itself among them."""
        hubs: set[bytes] = set()
        for side in SIDES:
            end = self.job(job).side(side)
            home = self.store.pinned(end.connection) or ""
            for resource in end.resources:
                vendor_id = record.removeprefix(f"{resource}/")
                found = self.store.links(home, resource, [vendor_id])
                hubs |= {k.hub for k in found.values()}
        at = {self.store.pinned(name): name for name in self.project.connections}
        return [
            Known(spelled(hub), at.get(account, account), resource, vendor_id, gone)
            for hub, account, resource, vendor_id, gone in self.store.things(hubs)
        ]

    def links(self, job: str) -> Iterator[tuple[str, str]]:
        """Linked records of a job: (left id, right id)."""
        ends = []
        for side in SIDES:
            end = self.job(job).side(side)
            home = self.store.pinned(end.connection)
            if home is None:
                return
            ends.append([(home, r) for r in end.resources])
        left, right = (self.job(job).side(side) for side in SIDES)
        for mine in ends[0]:
            for theirs in ends[1]:
                for a, b in self.store.pairs(mine, theirs):
                    yield left.known_as(mine[1], a), right.known_as(theirs[1], b)

    async def why(self, what: str, record: str, name: str) -> list[explaining.Why]:
        """Why a field of a record holds what it holds, in each job that knows the record.

        Args:
            what: an entity, or a job.
            record: a record's id on either side, or a hub id.
            name: the field, in the hub's words.

        A vendor that does not answer leaves its side's value unknown.

        Raises:
            ConfigError: there is no such entity, job or field, or no job knows the record.
        """
        jobs = {n: j for n, j in self.project.jobs.items() if what in {n, j.entity}}
        if not jobs:
            known = {
                *self.project.jobs,
                *(j.entity for j in self.project.jobs.values()),
            }
            raise ConfigError(
                f"there is no job, and no job's entity, {what!r}",
                hint=did_you_mean(what, known),
            )
        found = []
        for job in jobs.values():
            fields = self.project.entity(job.entity).fields
            if name not in fields:
                raise ConfigError(
                    f"entity {job.entity} has no field {name!r}",
                    hint=did_you_mean(name, fields),
                )
            ends = self._ends_of(job)
            subject = explaining.find(self.store, job.name, ends, record)
            if subject is not None:
                for side in SIDES:
                    with contextlib.suppress(AuthError, VendorError):
                        await self._look_up(job.entity, job.side(side))
                ends = self._ends_of(job)
                raws = {e.name: r for e in ends if (r := await self._held(e, subject))}
                rules = {e.name: self._rule_at(job, e, subject, name) for e in ends}
                found.append(
                    explaining.explain(
                        self.store, job, ends, subject, name, raws, rules
                    )
                )
        if not found:
            raise ConfigError(
                f"no job of {what} knows a record {record!r}",
                hint="give the id that either vendor shows; the first sync reads them",
            )
        return found

    def _ends_of(self, job: Job) -> tuple[explaining.End, explaining.End]:
        return self._end_of(job, "left"), self._end_of(job, "right")

    def _end_of(self, job: Job, name: SideName) -> explaining.End:
        at = job.side(name)
        spokes = self._spokes(job, name, self._routes(job)[1])
        spoke = unite(spokes) if at.one_of else spokes[at.resource]
        home = self.store.pinned(at.connection) or ""
        assert self._vault is not None  # noqa: S101 - the line above has opened the store
        key = self._vault.derive("base")
        bases = Bases(self.store, job.name, name, spoke, key, self._vault)
        return explaining.End(name, at, home, spoke, spokes, bases)

    async def _held(
        self, end: explaining.End, subject: explaining.Subject
    ) -> Raws | None:
        """What a side's record holds now; None where it is not there or the vendor does not answer."""
        record, gone = subject.records.get(end.name, ("", True))
        if gone:
            return None
        resource, vendor_id = end.place(record)
        want = end.spokes[resource].want
        try:
            live = await self.connect(end.at.connection)
            found = await live.connector.fetch(resource, [vendor_id], want)
        except (AuthError, VendorError):
            return None
        return next(
            (end.raws(r, resource) for r in found if isinstance(r, Record)), None
        )

    def _rule_at(
        self, job: Job, end: explaining.End, subject: explaining.Subject, name: str
    ) -> str:
        connector = self.project.connections[end.at.connection].connector
        record, _ = subject.records.get(end.name, ("", True))
        resource = end.place(record)[0]
        return self.project.rule_at(job.entity, connector, resource, name)

    def runs(self, job: str | None = None) -> list[dict[str, Any]]:
        """The latest runs, newest first."""
        return self.store.runs(job)

    def report(self, since: timedelta) -> reporting.Report:
        """What all jobs did in the time up to now: numbers, causes and calls, no value of a record.

        Dead letters that closed more than 30 days ago are forgotten, conflicts and runs after 90.
        """
        until = self.clock.now()
        begin = (until - since).isoformat()
        runs = self.store.runs_since(begin)
        found = reporting.gather(begin, until.isoformat(), self.jobs_in_order(), runs)
        for job in found.jobs:
            asked = self.store.questions(job.job, begin)
            job.conflicts = reporting.Open(*asked["conflict"])
            job.dead_letters = reporting.Open(*asked["dead_letter"])
            job.causes = causes(self.store.letters(job.job))
        return found

    def conflicts(self, job: str | None = None) -> list[Conflict]:
        """What waits for a person's decision."""
        return self.store.conflicts(job)

    def conflict(self, number: int) -> Conflict:
        """One open conflict.

        Raises:
            ConfigError: there is none of that number.
        """
        found = self.store.conflicts(None, number)
        if not found:
            raise ConfigError(
                f"there is no open conflict {number}",
                hint="see `connector-hub conflicts list`",
            )
        return found[0]

    def resolve(
        self, conflict: Conflict, winner: SideName, fields: Collection[str] = ()
    ) -> tuple[str, ...]:
        """Say which side is right about fields that both sides changed; the next sync carries it out.

        Args:
            conflict: an open one of kind ``fields``.
            winner: the side whose values stay.
            fields: those that are meant; none for all of them.

        One of kind ``unknown outcome`` is closed, and its record created again: whoever says so has looked.

        Returns:
            The fields that are decided.

        Raises:
            ConfigError: it is of another kind, or not about such a field.
        """
        if conflict.kind == UNKNOWN:
            return self._try_again(conflict)
        if conflict.kind != FIELDS:
            raise ConfigError(
                f"conflict {conflict.id} ({conflict.kind}) is resolved at the vendor",
                hint=KINDS.get(conflict.kind, ""),
            )
        asked = conflict.fields
        for name in fields:
            if name not in asked:
                raise ConfigError(
                    f"conflict {conflict.id} is not about {name!r}",
                    hint=f"it is about {', '.join(asked)}",
                )
        meant = tuple(n for n in asked if not fields or n in fields)
        now = self.clock.now()
        hub = bytes.fromhex(str(conflict.detail["hub"]))
        with self.store.transaction():
            self.store.forget_swings(conflict.job, [hub], meant)
            for name in meant:
                self.store.decide(
                    conflict.job, hub, name, winner, conflict.detail["seen"][name], now
                )
            for side in self.job(conflict.job).read_from:
                rows = [(r, "decided") for s, r in conflict.members if s == side]
                self.store.look_again(conflict.job, side, rows)
        return meant

    def _try_again(self, conflict: Conflict) -> tuple[str, ...]:
        """A person has looked: what was never answered is not there, and may be sent again."""
        now = self.clock.now()
        with self.store.transaction():
            for side, record in conflict.members:
                self.store.close_conflicts(conflict.job, side, [record], now)
                self.store.look_again(conflict.job, side, [(record, "decided")])
        return ()

    def decide(self, file: str, rows: Iterable[deciding.Row]) -> list[deciding.Decided]:
        """Resolve conflicts as a sheet says: all of its lines, or none.

        Args:
            file: its name, for messages.
            rows: its lines with the columns number, field and take.

        Raises:
            Mistakes: every line that is wrong; nothing has been done.
        """
        asked = deciding.Deciding(
            file,
            {c.id: c for c in self.store.conflicts()},
            self.store.had_conflict,
            lambda job: self.job(job).sides_by_word,
        )
        decided = asked.read(rows)
        with self.store.transaction():
            for d in decided:
                self.resolve(d.conflict, d.winner, d.fields)
        return decided

    async def members(
        self, conflict: Conflict
    ) -> list[tuple[str, str, Mapping[str, Any]]]:
        """A conflict's records as they are now, in the hub's words: (connection, id, view)."""
        job = self.job(conflict.job)
        views = await self.views([conflict])
        return [
            (job.side(s).connection, r, views[conflict.job, s, r])
            for s, r in conflict.members
            if (conflict.job, s, r) in views
        ]

    async def views(
        self, conflicts: Iterable[Conflict]
    ) -> dict[tuple[str, SideName, str], Mapping[str, Any]]:
        """The records of conflicts as they are now, in the hub's words, by job, side and id."""
        asked: dict[tuple[str, SideName], list[str]] = {}
        for c in conflicts:
            for side_name, record in c.members:
                asked.setdefault((c.job, side_name), []).append(record)
        found: dict[tuple[str, SideName, str], Mapping[str, Any]] = {}
        for (name, side_name), ids in asked.items():
            side = await self._side(self.job(name), side_name, ())
            here, _ = await fetch(side, list(dict.fromkeys(ids)))
            words = self.project.entity(self.job(name).entity).fields
            for s in here.values():
                view = side.spoke.view(s.raws)[0]
                shown = {n: v for n, v in view.items() if n in words}
                found[name, side_name, s.id] = shown
        return found

    def dead_letters(self, job: str | None = None) -> list[DeadLetter]:
        """Changes that vendors refused."""
        return self.store.letters(job)

    def dead_letter(self, number: int) -> DeadLetter:
        """One open dead letter.

        Raises:
            ConfigError: there is none of that number.
        """
        found = self.store.letters(None, number)
        if not found:
            raise ConfigError(
                f"there is no open dead letter {number}",
                hint="see `connector-hub dead-letters list`",
            )
        return found[0]

    async def mend(self, letter: DeadLetter, values: Mapping[str, str]) -> Mended:
        """Write corrected values to the record whose values were refused, as a person's edit at the source.

        Args:
            letter: an open one.
            values: by field, as people write them; empty to clear one.

        The other side is not touched: ``replay``, or the next sync, takes the edit along.

        Raises:
            ConfigError: a field or value is not one, or cannot be written there, or the record has changed
                since it was refused; nothing has been written.
            VendorError: the vendor refuses the edit, too.
        """
        self._new_ledgers(None)
        started = self.clock.monotonic()
        async with self._running(letter.job, "edit", ALL, silent) as run:
            left = await mending.mend(run, letter, values)
            receipt = self._receipt(letter.job, run.number, run, None, started)
            self._end(receipt)
            at = self.job(letter.job).side(letter.side).connection
            return Mended(run.number, at, letter.record, left)

    async def replay(
        self,
        job: str,
        numbers: Sequence[int] | None = None,
        *,
        progress: Progress = silent,
    ) -> Receipt:
        """Try refused changes again, from what the source holds now and today's mapping."""
        wanted = [
            d
            for d in self.store.letters(job)
            if numbers is None or d.id in set(numbers)
        ]
        for side in self.job(job).read_from:
            rows = [(d.record, "replay") for d in wanted if d.side == side]
            self.store.look_again(job, side, rows)
        return await self.sync(job, options=Options(inbox_only=True), progress=progress)
