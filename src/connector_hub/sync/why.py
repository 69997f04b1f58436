"""Why a field holds what it holds: the values on both sides, the rules, who won last, and what is open."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from connector_hub.model.job import SIDES, Job, Policy, Side, SideName, across
from connector_hub.model.journal import Entry, Page
from connector_hub.model.link import spelled
from connector_hub.model.mapping import ABSENT, Raws, Spoke
from connector_hub.model.record import Record, Ref
from connector_hub.model.union import RESOURCE
from connector_hub.ports import Store
from connector_hub.sync.base import NEVER, UNBASED, Base, Bases, hashes
from connector_hub.sync.journal import places

State = Literal["as agreed", "changed since", "never agreed", "no base", "unknown", ""]
"""How a value stands to what the side held when both last agreed; empty where there is no record."""
MOST = 10
"""Writes that are told, the newest first."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One side of a field. ``value`` is in the hub's words, None while ``known`` is false, or a blank.

    ``rule`` is the mapping's file:line; empty where no rule speaks of the field.
    """

    connection: str
    resource: str
    record: str | None
    rule: str
    gone: bool = False
    value: Any = field(default=None, repr=False)
    known: bool = False
    state: State = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A write. ``to`` and ``source`` are connections, ``before`` and ``after`` in the hub's words.

    ``source`` is empty where it came from no record: an undo, a person's edit.
    """

    run: int
    at: str
    op: str
    to: str
    source: str
    reason: str
    before: Any = field(repr=False)
    after: Any = field(repr=False)
    taken: bool


@dataclass(frozen=True, slots=True)
class Why:
    """What is known about one field of one thing in one job."""

    job: str
    entity: str
    field: str
    hub: str | None
    sides: tuple[Standing, Standing]
    policy: str
    writes: tuple[Written, ...] = ()
    open: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """One side of a job, as far as it is known without asking the vendor. ``spokes`` are by resource."""

    name: SideName
    at: Side
    home: str
    spoke: Spoke
    spokes: Mapping[str, Spoke]
    bases: Bases

    def place(self, record: str) -> tuple[str, str]:
        """A record's resource, the first where that is not said, and the vendor's own id."""
        for resource in self.at.one_of:
            if record.startswith(f"{resource}/"):
                return resource, record.removeprefix(f"{resource}/")
        return self.at.resource, record

    def raws(self, record: Record, resource: str) -> Raws:
        """The vendor's own values of a record's mapped fields."""
        fields = {resource: record.fields} if self.at.one_of else record.fields
        return self.spoke.raws(fields, record.links)

    def value(self, record: str, name: str, raw: Any) -> Any:
        """A value that a record of this side held in a field, in the hub's words."""
        held = {RESOURCE: self.place(record)[0], name: raw}
        raws = tuple(held.get(n, ABSENT) for n in self.spoke.kept)
        return self.spoke.whole(raws)[0].get(name)

    def layout(self) -> dict[str, str]:
        """Where each field is kept."""
        return dict(places(self.spoke, self.spokes if self.at.one_of else {}))


@dataclass(slots=True)
class Subject:
    """A thing that is asked about, and its records by side: (id, whether it is gone)."""

    hub: bytes | None
    records: dict[SideName, tuple[str, bool]] = field(default_factory=dict)


def find(store: Store, job: str, ends: tuple[End, End], asked: str) -> Subject | None:
    """The thing behind a record's id, of either side, or a hub id; None where the job knows neither."""
    for end in ends:
        for resource in end.at.resources:
            own = asked.removeprefix(f"{resource}/")
            link = store.links(end.home, resource, [own]).get(own)
            if link is not None:
                return _things(store, ends, link.hub)
    hub = _hub(asked)
    if hub is not None:
        found = _things(store, ends, hub)
        return found if found.records else None
    for end in ends:
        names = [end.at.known_as(r, asked) for r in end.at.resources]
        for known in store.indexed(job, end.name, [asked, *names]):
            return Subject(None, {end.name: (known, False)})
    return None


def _hub(text: str) -> bytes | None:
    plain = text.replace("-", "")
    if len(plain) != 32:  # noqa: PLR2004 - sixteen bytes
        return None
    try:
        return bytes.fromhex(plain)
    except ValueError:
        return None


def _things(store: Store, ends: tuple[End, End], hub: bytes) -> Subject:
    """The records of a thing; a live one before others."""
    found = Subject(hub)
    for end in ends:
        for resource in end.at.resources:
            there = store.records(end.home, resource, [hub]).get(hub)
            if there and (end.name not in found.records or not there[1]):
                known = end.at.known_as(resource, there[0])
                found.records[end.name] = (known, there[1])
    return found


def explain(  # noqa: PLR0917 - what is known, from where it is known
    store: Store,
    job: Job,
    ends: tuple[End, End],
    subject: Subject,
    name: str,
    raws: Mapping[SideName, Raws],
    rules: Mapping[SideName, str],
) -> Why:
    """Put together what is known about a field.

    Args:
        store: the state.
        job: whose words and policies count.
        ends: its sides, left first.
        subject: the thing.
        name: the field.
        raws: what the vendors hold now, as far as they answered.
        rules: where each side's rule of the field stands.
    """
    left, right = (
        _standing(store, job, end, subject, name, raws.get(end.name), rules[end.name])
        for end in ends
    )
    writes = tuple(_writes(store, job, ends, subject, name)) if subject.hub else ()
    policy = _policy(ends, job, name)
    opened = [
        *_questions(store, job, subject, name),
        *_waits(store, job, subject),
        *_differences(ends, policy, left, right, writes),
    ]
    return Why(
        job.name,
        job.entity,
        name,
        spelled(subject.hub) if subject.hub else None,
        (left, right),
        told(policy, job),
        writes,
        tuple(opened),
    )


def _standing(  # noqa: PLR0917
    store: Store,
    job: Job,
    end: End,
    subject: Subject,
    name: str,
    raws: Raws | None,
    rule: str,
) -> Standing:
    record, gone = subject.records.get(end.name, (None, False))
    called = end.at.called if record is None else end.place(record)[0]
    blank = Standing(end.at.connection, called, record, rule, gone)
    if record is None or gone or name not in end.spoke.names:
        return blank
    if raws is None:
        return _with(blank, None, known=False, state="unknown")
    view, _ = end.spoke.whole(raws)
    packed = store.bases(job.name, end.name, [subject.hub] if subject.hub else [])
    base = next((end.bases.unpack(p, h) for h, p in packed.items()), None)
    state = _state(end, base, name, raws)
    return _with(blank, view.get(name), known=name in view, state=state)


def _with(s: Standing, value: Any, *, known: bool, state: State) -> Standing:
    return Standing(
        s.connection, s.resource, s.record, s.rule, s.gone, value, known, state
    )


def _state(end: End, base: Base | None, name: str, raws: Raws) -> State:
    if base is None:
        return "no base"
    i = end.spoke.names.index(name)
    then = base.fields[i]
    if then == UNBASED:
        return "no base"
    if then == NEVER:
        return "never agreed"
    return "as agreed" if hashes(raws)[i] == then else "changed since"


def _writes(
    store: Store, job: Job, ends: tuple[End, End], subject: Subject, name: str
) -> Iterator[Written]:
    """Writes of the field, newest first."""
    count = 0
    for page in store.journal(job.name, hub=subject.hub):
        for e in page.entries:
            if e.hub != subject.hub or (e.op == "update" and name not in e.fields):
                continue
            end = ends[SIDES.index(e.side)]
            before, after = (_value(end, page, e, name, v) for v in (e.before, e.after))
            source = job.side(across(e.side)).connection if e.source else ""
            taken = name not in e.not_taken
            yield Written(
                page.run,
                page.at,
                e.op,
                end.at.connection,
                source,
                e.reason,
                before,
                after,
                taken,
            )
            count += 1
            if count == MOST:
                return


def _value(end: End, page: Page, e: Entry, name: str, values: Raws) -> Any:
    """One of an entry's values in the hub's words; None where today's mapping keeps the field elsewhere."""
    then = dict(page.layout(e.side))
    if name not in then or then[name] != end.layout().get(name):
        return None
    raw = dict(zip(e.fields or then, values, strict=False)).get(name, ABSENT)
    return end.value(e.record, name, raw)


def _policy(ends: tuple[End, End], job: Job, name: str) -> Policy | None:
    left, right = (e.spoke for e in ends)
    return job.policy(
        name,
        to_right=name in left.names and name in right.writable,
        to_left=name in right.names and name in left.writable,
    )


def told(policy: Policy | None, job: Job) -> str:
    """A policy as people read it."""
    if policy is None:
        return "does not travel in this job"
    if policy.owner is not None:
        back = "put back" if policy.revert else "left alone"
        owner = job.side(policy.owner).connection
        return f"travels from {owner} only; edits elsewhere are {back}"
    both = policy.both
    if both in {"left", "right"}:
        both_told = f"{job.side('left' if both == 'left' else 'right').connection} wins"
    else:
        both_told = {"ask": "a person is asked", "newest": "the later edit wins"}.get(
            both, "the one that is not blank wins"
        )
    return f"travels both ways; where both changed it, {both_told}"


def _questions(store: Store, job: Job, subject: Subject, name: str) -> Iterator[str]:
    """Conflicts, dead letters and decisions that speak of the thing."""
    mine = {(s, r) for s, (r, _) in subject.records.items()}
    for c in store.conflicts(job.name):
        if mine & set(c.members) and name in (c.fields or [name]):
            why = "written to and fro" if name in c.fights else c.kind
            yield f"conflict {c.id} ({why})"
    for d in store.letters(job.name):
        if (d.side, d.record) in mine:
            fields = f" {', '.join(d.fields)}" if d.fields else ""
            yield f"dead letter {d.id}: {d.reason}{fields}"
    if subject.hub:
        decided = store.decisions(job.name, [subject.hub]).get(subject.hub, {})
        if name in decided:
            winner = job.side(decided[name][0]).connection
            yield f"decided: {winner} is right; the next sync carries it out"


def _waits(store: Store, job: Job, subject: Subject) -> Iterator[str]:
    for side, (record, _) in subject.records.items():
        again, targets = store.pending(job.name, side, record)
        at = job.side(side).connection
        if again is not None:
            yield f"the next sync looks at {at} {record} again ({again})"
        for resource, target in targets:
            yield f"{at} {record} waits until {resource} {target} is linked"


def _differences(
    ends: tuple[End, End],
    policy: Policy | None,
    left: Standing,
    right: Standing,
    writes: tuple[Written, ...],
) -> Iterator[str]:
    """What the two values say about each other."""
    for end, s in zip(ends, (left, right), strict=True):
        owned = policy is not None and policy.owner not in {None, end.name}
        if s.state == "changed since":
            yield (
                f"{s.connection} was edited where it does not travel"
                if owned or policy is None
                else f"{s.connection} was edited, and that has not travelled"
            )
    if not (left.known and right.known) or _alike(left.value, right.value):
        return
    if writes and not writes[0].taken:
        yield f"{writes[0].to} did not take what it was given"
    elif left.state == right.state == "as agreed":
        yield "the sides agree to differ until one of them changes"


def _alike(left: Any, right: Any) -> bool:
    """Whether two values say the same; what two links point to cannot be compared by their ids."""
    return left == right or (isinstance(left, Ref) and isinstance(right, Ref))


__all__ = ["End", "Standing", "Subject", "Why", "Written", "explain", "find"]
