"""Whether what happened was right, judged from what stands at the vendors and in the hub's open questions.

Each finding is a sentence; no finding is the verdict wanted. The numbers are those of the promises: I1 all
agree, I2 nothing is left to write, I3 nobody's edit is lost, I4 no echo, I5 nobody is there twice, I7 no
write is in doubt, I11 no mass delete, I12 parents before children.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from connector_hub.hub import Hub
from connector_hub.model.job import SIDES, Job, Policy, Side, SideName, across
from connector_hub.model.plan import OUTCOMES, Receipt
from connector_hub.sdk import Ref
from connector_hub.testing.truth import Record, Wrote
from connector_hub.testing.world import World

_ALL = "*"
_RUNS = 3
_QUIET = 2
_COARSE = 0.5
"""Seconds by which a request is under way longer than the hub can see."""


@dataclass(slots=True)
class _Seen:
    """A job as it stands: records in the hub's words, who is whom, and what the hub has told people about."""

    job: Job
    views: dict[SideName, dict[str, dict[str, Any]]]
    pairs: list[tuple[str, str]]
    told: dict[tuple[SideName, str], set[str]]
    letters: list[str]
    windows: int
    journal: dict[Record, list[tuple[str, Any]]]
    policies: dict[str, Policy]
    paths: dict[SideName, dict[str, str]] = field(default_factory=dict)

    def open(self, side: SideName, record: str, name: str) -> bool:
        """Whether people were told that the hub does not decide about a field of a record."""
        told = self.told.get((side, record), set())
        return name in told or _ALL in told


async def judge(world: World, *, runs: int = _RUNS) -> list[str]:
    """Let the hub run in peace, then say what is wrong.

    Args:
        world: whatever has happened in it; its mishaps are over.
        runs: how many syncs it has to come to rest.
    """
    await world.calm()

    async def work(hub: Hub) -> list[str]:
        return [*await _settle(world, hub, runs), *_judged(world, await _look(hub))]

    return [
        *_accounting(r for run in world.runs for r in run.receipts),
        *(await world.process(work) or ()),
    ]


async def _settle(world: World, hub: Hub, runs: int) -> list[str]:
    """Run until two runs write nothing, and once more: what a run finds out may be for the next to write."""
    found: list[str] = []
    quiet = 0
    for n in range(1, runs + 1):
        before = len(world.truth.history)
        found += _failed(await world.run(hub), f"clean run {n}")
        quiet = 0 if _writes(world, before) else quiet + 1
        if quiet == _QUIET:
            break
    before, asked = len(world.truth.history), _asked(hub)
    found += _failed(await world.run(hub, full=True), "the run after")
    late = [w for w in _writes(world, before) if not _answers(hub, asked, w)]
    if late:
        # A chain of jobs may still have to pass on whose counterpart a new record is.
        found += _failed(await world.run(hub, full=True), "the run after that")
        late = [w for w in _writes(world, before) if not _answers(hub, asked, w)]
    return found + [f"I2: one more full run {_say(w)}" for w in late]


def _asked(hub: Hub) -> set[Record]:
    """Records that people are asked about: a full run knows more, and may answer instead of them."""
    return {
        _record_at(hub.job(c.job), side, record)
        for c in hub.conflicts()
        for side, record in c.members
    }


def _answers(hub: Hub, asked: AbstractSet[Record], w: Wrote) -> bool:
    """Whether a write is to a record that people were asked about, or to what is its counterpart by now."""
    return w.of in asked | {b for a, b in _linked(hub) if a in asked}


def _linked(hub: Hub) -> Iterator[tuple[Record, Record]]:
    """Linked records, each pair both ways."""
    for name in hub.jobs_in_order():
        job = hub.job(name)
        for left, right in hub.links(name):
            ends = _record_at(job, "left", left), _record_at(job, "right", right)
            yield ends
            yield ends[1], ends[0]


def _record_at(job: Job, side: SideName, record: str) -> Record:
    at = job.side(side)
    return at.connection, at.resource, record


def _judged(world: World, jobs: Sequence[_Seen]) -> list[str]:
    found: list[str] = []
    for job in jobs:
        found += _agree(world, job)
        found += _twice(world, job)
        if job.windows:
            found.append(f"I7: {job.job.name} has {job.windows} windows in doubt")
        found += [f"I12: {job.job.name} {x}" for x in job.letters if _PARENT in x]
    return found + _lost(world, jobs)


_PARENT = "NO_SUCH_RECORD"


def echoes(world: World) -> list[str]:
    """I4, where nothing went wrong: the hub writes a field no more often than people did across.

    Counted per connection and path: no more writes by the hub to all others than people made there.
    """
    by_hub: defaultdict[tuple[str, str], int] = defaultdict(int)
    by_people: defaultdict[tuple[str, str], int] = defaultdict(int)
    for w in world.truth.history:
        book = by_hub if w.who == "hub" else by_people
        for path, value in w.now.items():
            if w.op == "update" or value is not None:
                book[w.side, path] += 1
    found = []
    for (side, path), n in by_hub.items():
        across = sum(m for (s, p), m in by_people.items() if s != side and p == path)
        if n > across:
            found.append(
                f"I4: the hub wrote {path} at {side} {n} times, people across {across} times"
            )
    return found


def _accounting(receipts: Iterable[Receipt]) -> Iterator[str]:
    for r in receipts:
        doc = r.document()
        total = sum(doc[n] for n in OUTCOMES)
        if total != r.read:
            yield f"run {r.run} of {r.job} read {r.read} and tells of {total}"


def _failed(receipts: Iterable[Receipt], which: str) -> list[str]:
    listed = list(receipts)
    bad = [r for r in listed if r.status not in {"done", "partial"}]
    told = [f"{which} of {r.job} {r.status}: {r.error}" for r in bad]
    return [*_accounting(listed), *told]


def _writes(world: World, before: int) -> list[Wrote]:
    return [w for w in world.truth.history[before:] if w.who == "hub"]


def _say(w: Wrote) -> str:
    what = ", ".join(f"{n} {w.was.get(n)!r} to {v!r}" for n, v in w.now.items())
    return f"{w.op}d {w.side} {w.record}: {what}"


async def _look(hub: Hub) -> list[_Seen]:
    found = []
    for name in hub.jobs_in_order():
        job = hub.job(name)
        if job.left.one_of or job.right.one_of:
            continue
        views: dict[SideName, dict[str, dict[str, Any]]] = {}
        paths: dict[SideName, dict[str, str]] = {}
        for side in SIDES:
            at = job.side(side)
            rows = hub.view(at.connection, job.entity)
            views[side] = {str(row.pop("id")): row async for row in rows}
            spec = hub.project.mapping_at(at.connection, job.entity, at.resource)
            paths[side] = {n: r.at or "" for n, r in spec.rules.items()}
        seen = _Seen(
            job,
            views,
            list(hub.links(name)),
            _told(hub, name),
            [x.reason for x in hub.dead_letters(name)],
            len(hub.store.open_windows(name)),
            _journal(hub, job),
            _policies(job, paths),
            paths,
        )
        found.append(seen)
    links = hub.project.entity
    by_entity = {s.job.entity: s for s in found}
    for s in found:
        for name, to in links(s.job.entity).links().items():
            carrier = by_entity.get(to)
            if carrier is not None:
                _translate(s, name, carrier)
            else:
                s.policies.pop(name, None)
    return found


def _policies(
    job: Job, paths: Mapping[SideName, Mapping[str, str]]
) -> dict[str, Policy]:
    names = [n for n in paths["left"] if n in paths["right"]]
    found = {n: job.policy(n, to_right=True, to_left=True) for n in names}
    return {n: p for n, p in found.items() if p is not None}


def _translate(seen: _Seen, name: str, carrier: _Seen) -> None:
    """Left links in the words of the right, so that they can be compared.

    What waits for a record that people were told about waits rightly.
    """
    pairs = dict(carrier.pairs)
    for side in SIDES:
        for record, row in seen.views[side].items():
            ref = row.get(name)
            if not isinstance(ref, Ref):
                continue
            row[name] = pairs.get(ref.id, ref.id) if side == "left" else ref.id
            if carrier.open(side, ref.id, _ALL):
                seen.told.setdefault((side, record), set()).add(name)


def _told(hub: Hub, job: str) -> dict[tuple[SideName, str], set[str]]:
    """Fields of records that wait for people; ``*`` for all."""
    found: dict[tuple[SideName, str], set[str]] = defaultdict(set)
    for c in hub.conflicts(job):
        for member in c.members:
            found[member].update(c.fields or [_ALL])
    for letter in hub.dead_letters(job):
        found[letter.side, letter.record].update(letter.fields or [_ALL])
    return found


def _journal(hub: Hub, job: Job) -> dict[Record, list[tuple[str, Any]]]:
    """What the hub says stood there before it wrote: (field, value) by record."""
    found: dict[Record, list[tuple[str, Any]]] = defaultdict(list)
    for page in hub.store.journal(job.name):
        for e in page.entries:
            at = job.side(e.side)
            names = e.fields or tuple(n for n, _ in page.layout(e.side))
            record = (at.connection, at.resource, e.record)
            found[record] += zip(names, e.before, strict=False)
    return found


def _agree(world: World, seen: _Seen) -> Iterator[str]:
    """I1: whoever is on one side is on the other, and says the same."""
    for pair in seen.pairs:
        yield from _pair_agrees(world, seen, pair)
    job = seen.job
    linked: dict[SideName, set[str]] = {
        "left": {a for a, _ in seen.pairs},
        "right": {b for _, b in seen.pairs},
    }
    for side in job.read_from:
        if not job.creates_at(across(side)):
            continue
        for record, view in seen.views[side].items():
            known = record in linked[side] or seen.open(side, record, _ALL)
            if not (known or _survives(world, seen, side, record)) and job.covers(view):
                at = job.side(side).connection
                yield f"I1: {job.name}: {at} {record} has no counterpart"


def _survives(world: World, seen: _Seen, side: SideName, record: str) -> bool:
    """People deleted its counterpart, and it was edited: it stays as it is, alone."""
    here, there = seen.job.side(side), seen.job.side(across(side))
    history = world.truth.history
    first = world.project.entity(seen.job.entity).identity[0]
    paths = [seen.paths[side][n] for n in first if n in seen.paths[side]]
    others = [seen.paths[across(side)][n] for n in first if n in seen.paths[side]]
    row = world.truth.rows[here.connection, here.resource][record]
    return any(
        w.op == "delete"
        and (w.side, w.resource) == (there.connection, there.resource)
        and [_plain(w.was.get(p)) for p in others] == [_plain(row[p]) for p in paths]
        for w in history
    )


def _pair_agrees(world: World, seen: _Seen, pair: tuple[str, str]) -> Iterator[str]:
    job, (left, right) = seen.job, pair
    here, there = seen.views["left"].get(left), seen.views["right"].get(right)
    if here is None or there is None:
        if job.deletes_follow and (here is None) is not (there is None):
            yield f"I1: {job.name}: of {left} and {right} one is gone"
        return
    for name, policy in seen.policies.items():
        if here.get(name) == there.get(name):
            continue
        told = seen.open("left", left, name) or seen.open("right", right, name)
        if not told and not _accepted(world, seen, policy, name, pair):
            yield (
                f"I1: {job.name}: {name} is {here.get(name)!r} at {left} "
                f"and {there.get(name)!r} at {right}"
            )


def _accepted(
    world: World, seen: _Seen, policy: Policy, name: str, pair: tuple[str, str]
) -> bool:
    """A difference that is meant to be: drift at a field's owned side, or what a vendor made of the value."""
    ids: dict[SideName, str] = {"left": pair[0], "right": pair[1]}
    values = {s: seen.views[s][ids[s]].get(name) for s in SIDES}
    for side in SIDES:
        at = seen.job.side(side)
        box = world.sandboxes[at.connection]
        sent = values[across(side)]
        if box.normal(at.resource, seen.paths[side][name], sent) == values[side]:
            return True
    if policy.owner is None or policy.revert:
        return False
    target = across(policy.owner)
    at = seen.job.side(target)
    path = seen.paths[target][name]
    last = _last(world, (at.connection, at.resource, ids[target]), path)
    return last is not None and last.who == "person"


def _last(world: World, record: Record, path: str) -> Wrote | None:
    mine = (w for w in reversed(world.truth.history) if w.of == record)
    return next((w for w in mine if path in w.now), None)


def _twice(world: World, seen: _Seen) -> Iterator[str]:
    """I5: the hub makes nobody twice: not as records that are there, nor in the course of things."""
    first = world.project.entity(seen.job.entity).identity[0]
    for side in SIDES:
        at = seen.job.side(side)
        paths = [seen.paths[side][n] for n in first if n in seen.paths[side]]
        there: defaultdict[tuple[str, ...], list[str]] = defaultdict(list)
        for w in world.truth.history:
            if (w.side, w.resource, w.op) != (at.connection, at.resource, "create"):
                continue
            known = tuple(str(w.now.get(p) or "").lower() for p in paths)
            if all(known):
                there[known].append(w.who)
        for known, makers in there.items():
            if makers.count("hub") > 1 or ("hub" in makers and len(makers) > 1):
                if _may_be_twice(world, seen, side, known):
                    continue
                yield f"I5: {' '.join(known)} was made {len(makers)} times at {at.connection}"


def _may_be_twice(
    world: World, seen: _Seen, side: SideName, known: tuple[str, ...]
) -> bool:
    """One of them was deleted in between, or people renamed or made the other when it could not be seen."""
    at = seen.job.side(side)
    return any(
        (w.op == "delete" or (w.who == "person" and w.op == "create"))
        and (w.side, w.resource) == (at.connection, at.resource)
        and known[0] in {str(v).lower() for v in {**w.was, **w.now}.values()}
        for w in world.truth.history
    )


def _lost(world: World, jobs: Iterable[_Seen]) -> list[str]:
    """I3: what the hub overwrote had travelled before, or is in its journal and a rule said so.

    A write that several jobs may have made is right if it is right for one of them.
    """
    told: dict[tuple[int, str], list[str | None]] = defaultdict(list)
    for seen in jobs:
        for at, finding in _overwritten(world, seen):
            told[at].append(finding)
    return [str(findings[0]) for findings in told.values() if all(findings)]


def _overwritten(
    world: World, seen: _Seen
) -> Iterator[tuple[tuple[int, str], str | None]]:
    """Edits by people that the hub wrote over: which write of which path, and what is wrong about it."""
    last: dict[tuple[Record, str], tuple[int, Wrote]] = {}
    begun: dict[tuple[Record, str], Any] = {}
    for i, w in enumerate(world.truth.history):
        side = _side_of(seen.job, w)
        if side is None:
            continue
        for name, path in seen.paths[side].items():
            at = (w.of, path)
            if path not in (w.was if w.op == "delete" else w.now):
                continue
            known, last[at] = last.get(at), (i, w)
            if w.who == "person":
                if known is None or known[1].who == "hub":
                    begun[at] = _plain(w.was.get(path))
                continue
            edit = known if i >= world.forgot and name in seen.policies else None
            if edit is None or not _says_something(edit[1], w, path, begun.get(at)):
                continue
            finding = None
            if not _legitimate(world, seen, (side, name), (edit[0], i)):
                value = w.was.get(path)
                finding = f"I3: {_say(w)}, where a person had just written {value!r} as {name}"
            yield (i, path), finding


def _says_something(edit: Wrote, w: Wrote, path: str, before: Any) -> bool:
    """Whether what the hub wrote over is somebody's word: no blank of a new record, no edit to and fro."""
    value = w.was.get(path)
    if edit.who == "hub" or (value is None and (w.op, edit.op) != ("update", "update")):
        return False
    return edit.op != "update" or before != _plain(value)


def _partners(seen: _Seen) -> dict[Record, Record]:
    left, right = seen.job.left, seen.job.right
    found: dict[Record, Record] = {}
    for a, b in seen.pairs:
        mine = (left.connection, left.resource, a)
        theirs = (right.connection, right.resource, b)
        found |= {mine: theirs, theirs: mine}
    return found


def _side_of(job: Job, w: Wrote) -> SideName | None:
    ends: dict[SideName, Side] = {s: job.side(s) for s in SIDES}
    for side, at in ends.items():
        if (w.side, w.resource) == (at.connection, at.resource):
            return side
    return None


def _legitimate(
    world: World, seen: _Seen, at: tuple[SideName, str], edited: tuple[int, int]
) -> bool:
    """Whether the hub may overwrite at ``edited[1]`` what a person wrote there at ``edited[0]``."""
    side, name = at
    wrote = world.truth.history[edited[1]]
    value = wrote.was.get(seen.paths[side][name])
    if not _was_told(seen, wrote.of, name, value):
        return _within_the_window(world, seen.job, edited)
    partner = _partners(seen).get(wrote.of)
    if partner is None or name not in seen.policies:
        return True
    policy = seen.policies[name]
    there = seen.paths[across(side)][name]
    if policy.owner is not None:
        return True
    if policy.both != "ask":
        return not _one_sided(world, (seen.paths[side][name], there), partner, edited)
    box = world.sandboxes[partner[0]]
    meant = {_plain(value), _plain(box.normal(partner[1], there, value))}
    held = [
        _values(world, r, there, edited) for r in _merged(world, partner, edited[1])
    ]
    if not meant.isdisjoint(set().union(*held)):
        return True
    return policy.first != "ask" and not _had_met(world, (wrote.of, partner), edited[0])


def _one_sided(
    world: World, paths: tuple[str, str], partner: Record, edited: tuple[int, int]
) -> bool:
    """Whether the hub put back what stood there before an edit, though only that side was edited.

    A rule about edits of both sides says nothing of that. Both had said the same since before a run that came
    to its end, and the other side still does. Where people delete, who is whom may have changed since.
    """
    history = world.truth.history[: edited[1]]
    edit, write = history[edited[0]], world.truth.history[edited[1]]
    here, there = paths
    if any((w.op, w.who) == ("delete", "person") for w in history):
        return False
    places = ((edit.of, here), (partner, there))
    others = [
        i
        for i, w in enumerate(history)
        if w is not edit and any(w.of == at and path in w.now for at, path in places)
    ]
    begin = max([world.forgot - 1, *others])
    agreed = any(
        r.settled and begin < r.begin and r.until <= edited[0] for r in world.runs
    )
    held = _values(world, partner, there, edited)
    values = {_plain(edit.was.get(here)), _plain(write.now.get(here))}
    return write.op == "update" and agreed and held == values and len(values) == 1


def _merged(world: World, record: Record, before: int) -> list[Record]:
    """A record and those that people merged away beside it: what went into it is the vendor's to say."""
    gone = [
        w.of
        for w in world.truth.history[:before]
        if (w.op, w.who, w.of[:2]) == ("delete", "person", record[:2])
    ]
    return [record, *gone]


def _within_the_window(world: World, job: Job, edited: tuple[int, int]) -> bool:
    """Where the vendor has no preconditions a moment remains: the run says how long it was, if it could."""
    if job.guarding == "strict":
        return False
    history = world.truth.history
    run = max((r for r in world.runs if r.begin <= edited[1]), key=lambda r: r.begin)
    seconds = history[edited[1]].at - history[edited[0]].at
    told = [r.exposed for r in run.receipts if r.exposed is not None]
    known = run.until < 0 or any(seconds <= t + _COARSE for t in told)
    return run.begin <= edited[0] and known


def _was_told(seen: _Seen, record: Record, name: str, value: Any) -> bool:
    """Whether the hub's journal has what stood there before."""
    known = seen.journal.get(record, ())
    return any(n == name and _plain(v) == _plain(value) for n, v in known)


def _had_met(world: World, pair: tuple[Record, Record], before: int) -> bool:
    """Whether the hub had brought the two together before that write of the history."""
    made = max(
        (
            i
            for i, w in enumerate(world.truth.history)
            if w.op == "create" and w.of in pair
        ),
        default=0,
    )
    since = world.truth.history[made:before]
    hubs = any(w.who == "hub" and w.of in pair for w in since)
    return hubs or any(r.settled and made < r.until <= before for r in world.runs)


def _values(
    world: World, record: Record, path: str, during: tuple[int, int]
) -> set[Any]:
    """All that a field held from one write of the history to another."""
    held: Any = None
    found: set[Any] = set()
    for i, w in enumerate(world.truth.history[: during[1]]):
        if w.of == record and path in w.now:
            held = w.now[path]
        if i >= during[0]:
            found.add(_plain(held))
    return found


def _plain(value: Any) -> Any:
    """A value as two vendors would spell it alike."""
    if isinstance(value, str):
        return value.strip().casefold() or None
    return str(value) if isinstance(value, list | dict) else value


__all__ = ["echoes", "judge"]
