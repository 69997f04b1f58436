"""One execution of a job: what it works with and what it has counted so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any

from connector_hub.model.job import SIDES, Job, Policy, SideName
from connector_hub.model.mapping import Bad, Spoke
from connector_hub.model.plan import OUTCOMES, Plan
from connector_hub.model.record import Ref
from connector_hub.ports import Clock, Progress, Store
from connector_hub.sdk.connector import Way
from connector_hub.sync.sides import LiveSide


def _unwatched(_phase: str, _done: int, _total: int | None) -> None:
    """Progress that nobody watches."""


async def _unlooked() -> None:
    """Nobody looks before the first write."""


_SAMPLES = 3
ALL_WRITES = frozenset({"create", "update", "archive"})


@dataclass(frozen=True, slots=True)
class Options:
    """How far a run may go. ``only`` restricts kinds of writes, ``limit`` their number."""

    full: bool = False
    limit: int | None = None
    only: frozenset[str] = ALL_WRITES
    allow_deletes: int | None = None
    backfill: frozenset[str] = frozenset()
    """Fields to be compared anew over all linked records, as if these had never agreed on them."""
    inbox_only: bool = False
    """Make something only of records that wait to be looked at again; what a feed shows joins them."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a link field leads: the linked entity's resources on either side."""

    job: str
    """The job that keeps the linked entity."""
    left: tuple[str, ...]
    right: tuple[str, ...]

    def at(self, side: SideName) -> tuple[str, ...]:
        """The resources on one side."""
        return self.left if side == "left" else self.right


Member = tuple[SideName, str]
"""A record of a job: its side and its id there."""


@dataclass(slots=True)
class Tally:
    """What became of the records, and what is new in this run."""

    read: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    by_field: Counter[str] = field(default_factory=Counter)
    by_reason: Counter[str] = field(default_factory=Counter)
    unreadable: Counter[str] = field(default_factory=Counter)
    samples: dict[str, list[Any]] = field(default_factory=dict, repr=False)
    """A few values of each field that could not be read: for eyes that may see them, never kept."""
    unbased: Counter[str] = field(default_factory=Counter)
    """Records that differ in a field whose rule is new or was edited, by field."""
    clears: int = 0
    drift: int = 0
    new_conflicts: int = 0
    new_letters: int = 0
    new_stale: int = 0
    writes: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: str, n: int = 1) -> None:
        """Count records by what became of them."""
        if n:
            self.outcomes[outcome] += n

    def merge_pairs(self, n: int) -> None:
        """So many pairs were counted twice: as unchanged at one side, and again at the other."""
        self.read -= n
        self.outcomes["unchanged"] -= n
        self.outcomes = +self.outcomes

    def bad(self, found: list[Bad]) -> None:
        """Count values that could not be read, by field."""
        for b in found:
            self.unreadable[b.field] += 1
            some = self.samples.setdefault(b.field, [])
            if len(some) < _SAMPLES and b.value not in some:
                some.append(b.value)

    def document(self) -> dict[str, int]:
        """Outcomes under the names of the JSON document; they add up to ``read``."""
        return {name: self.outcomes[name] for name in reversed(OUTCOMES)}


@dataclass(frozen=True, slots=True)
class Held:
    """A conflict that was found: what it is about, and its members as (side, record)."""

    kind: str
    subject: bytes
    members: tuple[Member, ...]
    detail: Mapping[str, Any]
    about: Member | None = None
    """The member whose settlement ends it; None for any of them."""

    def row(self) -> list[Any]:
        """As JSON values."""
        return [
            *(self.kind, self.subject.hex(), self.members, dict(self.detail)),
            self.about,
        ]

    @classmethod
    def of(cls, row: list[Any]) -> Held:
        """From ``row()``."""
        kind, subject, members, detail, about = row
        return cls(
            kind,
            bytes.fromhex(subject),
            tuple((a, b) for a, b in members),
            detail,
            tuple(about) if about else None,
        )


def policies_between(job: Job, left: Spoke, right: Spoke) -> dict[str, Policy]:
    """The fields that two mappings let travel in a job, and how."""
    found = {
        name: job.policy(
            name,
            to_right=name in left.names and name in right.writable,
            to_left=name in right.names and name in left.writable,
        )
        for name in dict.fromkeys((*left.names, *right.names))
    }
    return {n: p for n, p in found.items() if p is not None}


@dataclass(slots=True)
class JobRun:
    """A job at work."""

    job: Job
    number: int
    plan: Plan
    left: LiveSide
    right: LiveSide
    store: Store
    clock: Clock
    tenant: str
    key: bytes
    """Keys the hashes of changes."""
    routes: Mapping[str, Route]
    options: Options = Options()
    progress: Progress = _unwatched
    chance: Random = field(default_factory=SystemRandom)
    """Where ids come from that nobody shall guess."""
    look: Callable[[], Awaitable[None]] = _unlooked
    """Asked before the first write: whether the vendors' fields are still what the mappings say."""
    tally: Tally = field(default_factory=Tally)
    marks: dict[str, Any] = field(default_factory=dict)
    """Where each feed was read to: {side/feed: mark}; stored when the run is through."""
    replayed: set[Member] = field(default_factory=set)
    """Records that are tried again on a person's word."""
    absent: set[Member] = field(default_factory=set)
    """Records whose counterpart was not answered the last time."""
    planning: bool = False
    """Only planning: what is found is kept with the plan, not in the lists people work through."""
    held: list[Held] = field(default_factory=list)
    unread: list[Member] = field(default_factory=list)
    """Records a plan found unreadable; its apply has them looked at again."""
    into: dict[Member, Ref] = field(default_factory=dict)
    """What records were merged or converted into, as far as this run has read."""
    heirs: set[Member] = field(default_factory=set)
    """Records that others were merged or converted into: what these held, a blank does not erase."""
    across_heirs: set[Member] = field(default_factory=set)
    """Records whose counterparts are such ones."""
    back: set[Member] = field(default_factory=set)
    """Records that had been gone and are there again."""
    listed: set[SideName] = field(default_factory=set)
    """Sides of which this run has seen every record there is."""
    taken: set[Member] = field(default_factory=set)
    """Records that came from the inbox."""
    taken_to: dict[str, int] = field(default_factory=dict)
    """The last of each side's inbox entries that was taken; later ones stay."""
    again: set[Member] = field(default_factory=set)
    """Records that must be looked at again after this run."""
    strangers: list[tuple[SideName, str, str, set[str]]] = field(default_factory=list)
    """Records that somebody else changed: (side, record, user, fields); looked at window by window."""
    since: dict[str, str | None] = field(default_factory=dict)
    """Marks to read from in place of the stored ones, by side."""
    rereads: dict[str, Counter[str]] = field(default_factory=dict)
    """Calls per connection and bucket to read a plan's records again."""
    costs: dict[str, Counter[str]] = field(default_factory=dict)
    """Calls per connection and bucket to carry the plan out besides."""
    read_at: dict[int, float] = field(default_factory=dict)
    """When the records of each planned window were read, in the clock's monotonic seconds."""
    began: dict[SideName, float] = field(default_factory=dict)
    """When the reading of each side that travels began, in the clock's monotonic seconds."""
    window_read_at: float | None = None
    """When the records of the window that is being written were read."""
    window_writes: dict[int, Counter[tuple[SideName, str, str]]] = field(
        default_factory=dict
    )
    """What each of the plan's windows writes: how many by side, resource and operation."""
    exposed: float | None = None
    """The longest time in seconds between a record being read and being overwritten unconditionally."""
    respelled: set[str] = field(default_factory=set)
    """Sides whose identity index was made under other rules: all they hold is indexed anew."""
    thin: set[SideName] = field(default_factory=set)
    """Sides that, read wholly, showed far fewer records than are linked: nothing follows from that."""
    held_marks: set[str] = field(default_factory=set)
    """Feeds (side/feed) that must be read again from where they were read last."""
    left_alone: set[Member] = field(default_factory=set)
    """Records of people who were erased, as far as they have been counted."""
    notes: list[str] = field(default_factory=list)
    """What people should know about this run."""
    pilot: set[Member] | None = None
    """The records the run is held to; None for all."""
    neighbours: Mapping[SideName, Sequence[tuple[str, SideName]]] = field(
        default_factory=dict
    )
    """Sides of other jobs over the same records, by side: (job, its side)."""
    policies: Mapping[str, Policy] = field(default_factory=dict)
    """The fields that travel, and how."""

    _policies: dict[tuple[str, str], Mapping[str, Policy]] = field(default_factory=dict)
    _travelling: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policies = policies_between(self.job, self.left.spoke, self.right.spoke)

    def policies_of(self, left: str, right: str) -> Mapping[str, Policy]:
        """The fields that travel between records of two resources, and how."""
        if not (self.left.places or self.right.places):
            return self.policies
        if (left, right) not in self._policies:
            self._policies[left, right] = policies_between(
                self.job, self.left.place(left).spoke, self.right.place(right).spoke
            )
        return self._policies[left, right]

    def side(self, name: SideName) -> LiveSide:
        """The side of that name."""
        return self.left if name == "left" else self.right

    def other(self, side: LiveSide) -> LiveSide:
        """The side across."""
        return self.right if side.name == "left" else self.left

    @property
    def sides(self) -> tuple[LiveSide, LiveSide]:
        """Both, left first."""
        return self.left, self.right

    @property
    def sources(self) -> list[LiveSide]:
        """The sides whose records travel."""
        return [self.side(n) for n in self.job.read_from]

    def travelling(self, side: LiveSide, record: str, into: str) -> tuple[str, ...]:
        """Fields that may travel from a record to a resource across."""
        here = side.at(record)[0]
        ends = (here, into) if side.name == "left" else (into, here)
        known = (side.name, *ends)
        if known not in self._travelling:
            policies = self.policies_of(*ends).items()
            self._travelling[known] = tuple(
                n for n, p in policies if p.owner in {None, side.name}
            )
        return self._travelling[known]

    @property
    def spelling(self) -> str:
        """Changes when what the identity index is made of does."""
        entity = self.left.spoke.entity
        prints = []
        for side in self.sides:
            for resource in side.names:
                spoke = side.place(resource).spoke
                rules = [(n, spoke.mapping.rules[n]) for n in sorted(spoke.identifying)]
                prints.append([(n, r.fingerprint(), r.also) for n, r in rules])
        held = sorted(self.pilot) if self.pilot is not None else ()
        return repr((entity.identity, prints, *held))

    def looks_after(self, *members: Member) -> bool:
        """Whether a pilot, where there is one, is about one of these records."""
        return self.pilot is None or not self.pilot.isdisjoint(members)

    def told(self) -> list[str]:
        """What people should know about this run; how many records are of people who were erased, too."""
        n = sum(len(side.left_alone) for side in self.sides)
        if not n:
            return self.notes
        words = "record carries" if n == 1 else "records carry"
        return [*self.notes, f"{n:,} {words} an identity that was erased: left alone"]

    def note(self, text: str) -> None:
        """Tell people about this run."""
        self.notes.append(text)

    def look_again(self, members: Iterable[Member], why: str) -> None:
        """Keep records in the inbox, those of sides that travel."""
        listed = [m for m in members if m[0] in self.job.read_from]
        self.again.update(listed)
        for side in SIDES:
            rows = [(r, why) for s, r in listed if s == side]
            if rows:
                self.store.look_again(self.job.name, side, rows)

    def way(self, side: LiveSide, op: str, resource: str = "", rows: int = 1) -> Way:
        """How an operation on so many rows goes.

        A conditional call where the job guards strictly and the vendor has one. Else the one with the fewest
        calls. Of an asynchronous one rows come back in no order, so what is created must have a record key.
        """
        found = side.place(resource or side.resource.name).resource
        if self.job.guarding == "strict" and (conditional := found.conditional_way(op)):
            return conditional
        plain, later = found.way(op), found.asynchronous_way(op)
        if later is None or (op == "create" and side.connector.key is None):
            return plain
        return later if later.calls(rows) < plain.calls(rows) else plain

    def cost(
        self, side: LiveSide, way: Way, rows: int, *, reading: bool = False
    ) -> None:
        """Add the calls that so many records take on a way."""
        each = way.cost + way.per_link * len(side.want.links)
        each += way.per_rows * len(side.want.rows)
        # Records of several resources go by calls of their own.
        more = len(side.names) - 1 if rows else 0
        calls = (-(-rows // way.rows) + more) * each
        if calls:
            book = self.rereads if reading else self.costs
            book.setdefault(side.connection, Counter())[way.bucket] += calls

    def rules(self) -> list[str]:
        """Fingerprints of both mappings."""
        return [
            "/".join(s.place(n).spoke.mapping.fingerprint() for n in s.names)
            for s in self.sides
        ]


def hold(run: JobRun, found: Held) -> None:
    """Open a conflict; count it when it is new."""
    if run.store.open_conflict(
        run.job.name,
        found.kind,
        found.subject,
        found.members,
        run.number,
        run.clock.now(),
        found.detail,
        found.about,
    ):
        run.tally.new_conflicts += 1
