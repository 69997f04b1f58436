"""A plan as people read it: what would change, and what it would cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from connector_hub.cli.offline import instant
from connector_hub.cli.outcomes import backfill, duration, unreadable
from connector_hub.cli.session import Session
from connector_hub.model.kept import Kept
from connector_hub.model.plan import FieldChange, Plan, Shown

if TYPE_CHECKING:
    from connector_hub.hub import Hub

_SIGNS = {
    "create": ("+", "create", "green"),
    "update": ("~", "update", "yellow"),
    "archive": ("-", "delete", "red"),
    "keep": ("!", "keep", "magenta"),
}
_COUNTED = {
    "create": "create",
    "update": "update",
    "archive": "delete",
    "keep": "kept",
}
_ARROWS = {"left-to-right": "->", "right-to-left": "<-", "both": "<->"}
SAMPLES = 3
"""Changes shown of each kind, unless all are asked for."""
_SCAN = 2_000
"""Changes that are looked at to find some that are unlike."""
_FIELDS = 4
"""Fields shown of a sample."""


def tell(
    session: Session, hub: Hub, plan: Plan, *, every: bool, kept: Kept | None = None
) -> None:
    """Show a plan; ``kept`` says how one stands that was made earlier."""
    session.say(f"{title(plan)}   {ends(hub, plan)}   plan {plan.id}")
    session.say(f"Looked at {plan.read:,} records.\n")
    readable = kept is None or kept.open
    if not readable:
        _totals(session, plan, {})
    elif every:
        for change in hub.changes(plan):
            _one(session, change, every=True)
    else:
        _totals(session, plan, samples(hub.changes(plan), plan))
    if not plan.empty:
        session.say()
    session.say(plan.summary())
    for text in footnotes(plan, unreadable(session, plan)):
        session.say(text)
    if kept is not None and not kept.open:
        session.say(f"State   {kept.state}: it {kept.why}")
        if kept.where:
            session.say(f"  --> {kept.where}")
        session.say(kept.remedy)
    elif kept is not None:
        session.say(f"State   {kept.state} since {instant(kept.made)}")
        approve = f"connector-hub plans approve {plan.id}"
        session.say(f"carry it out: {command(plan) if plan.undoes else approve}")
        session.say(f"drop it:      connector-hub plans reject {plan.id}")
    elif plan.empty:
        session.say("Nothing to write.")
    else:
        session.say(f"apply exactly this: {command(plan)}")


def title(plan: Plan) -> str:
    """What a plan is, and of which job."""
    what = f"Undo of run {plan.undoes}," if plan.undoes else "Plan"
    return f"{what} {plan.job}"


def command(plan: Plan) -> str:
    """What carries a plan out; an undo's deletes, which no guard knows of, are allowed by it."""
    deletes = plan.count("delete") if plan.undoes else 0
    flag = f" --allow-deletes {deletes}" if deletes else ""
    return f"connector-hub apply {plan.id}{flag}"


def ends(hub: Hub, plan: Plan) -> str:
    """A plan's two ends, and which way records travel between them."""
    job = hub.project.jobs.get(plan.job)
    if job is None:
        return f"{plan.left}, {plan.right}"
    left, right = job.left, job.right
    return (
        f"{left.connection}/{left.called} {_ARROWS[job.direction]} "
        f"{right.connection}/{right.called}"
    )


def samples(changes: Iterable[Shown], plan: Plan) -> dict[str, list[Shown]]:
    """Some changes of each kind, unlike ones before like ones; stops reading when it has them."""
    found = {a: _Samples(plan.count(kind)) for a, kind in _COUNTED.items()}
    for change in islice(changes, min(_SCAN, sum(s.left for s in found.values()))):
        found[change.action].add(change)
        if all(s.enough for s in found.values()):
            break
    return {action: s.chosen() for action, s in found.items()}


@dataclass(slots=True)
class _Samples:
    """Changes of one kind, of which ``left`` are yet to come."""

    left: int
    unlike: list[Shown] = field(default_factory=list)
    alike: list[Shown] = field(default_factory=list)
    met: set[Any] = field(default_factory=set)

    @property
    def enough(self) -> bool:
        return self.left <= 0 or len(self.unlike) == SAMPLES

    def add(self, change: Shown) -> None:
        self.left -= 1
        looks = (change.reason, change.connection, *(f.field for f in change.fields))
        some = self.alike if looks in self.met else self.unlike
        self.met.add(looks)
        if len(some) < SAMPLES:
            some.append(change)

    def chosen(self) -> list[Shown]:
        return (self.unlike + self.alike)[:SAMPLES]


def _totals(session: Session, plan: Plan, found: dict[str, list[Shown]]) -> None:
    for action, (sign, word, colour) in _SIGNS.items():
        count = plan.count(_COUNTED[action])
        if not count:
            continue
        text = f"  {sign} {word} {count:,}"
        if action == "update" and plan.by_field:
            text += f"   fields: {counts(plan.by_field)}"
        session.say(text, colour=colour)
        shown = found.get(action)
        for change in shown or ():
            _one(session, change, every=False)
        if shown is not None and count > len(shown):
            session.say(f"      ... {count - len(shown):,} more (--all)")
    if plan.by_reason:
        session.say(f"  why: {counts(plan.by_reason)}")


def counts(found: Mapping[str, int]) -> str:
    """Counts by name, the largest first."""
    most_first = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{name} {n:,}" for name, n in most_first)


def _one(session: Session, change: Shown, *, every: bool) -> None:
    sign, word, colour = _SIGNS[change.action]
    ids = " -> ".join(i for i in (change.source, change.record) if i)
    shown = change.fields if every else change.fields[:_FIELDS]
    fields = [_field(session, change.action, f) for f in shown]
    if len(change.fields) > len(shown):
        fields.append(f"{len(change.fields) - len(shown)} more fields")
    start = f"  {sign} {word}" if every else f"      {sign}"
    if change.connection:
        start += f" {change.connection}"
    told = change.reason and (every or change.action == "keep")
    reason = f"   ({change.reason})" if told else ""
    what = "  ".join(filter(None, (f"{start} {ids}", ", ".join(fields))))
    session.say(f"{what}{reason}", colour=colour)


def _field(session: Session, action: str, f: FieldChange) -> str:
    if action == "create":
        return f"{f.field} {session.value(f.new)}"
    if action == "keep":
        return f"{f.field} {session.value(f.old)}, was {session.value(f.new)}"
    return f"{f.field} {session.value(f.old)} -> {session.value(f.new)}"


def footnotes(plan: Plan, unread: str) -> Iterator[str]:
    """What else a reader should know before applying; ``unread`` tells what could not be read."""
    yield from _costs(plan)
    if plan.unreadable:
        yield f"Unreadable values, left alone: {unread}"
    if plan.unbased:
        yield f"New or edited rules, left alone: {backfill(plan)}"
    if plan.drift:
        yield f"{plan.drift:,} records were edited where that does not travel, and are left alone."
    yield from plan.notes
    for name in plan.left_out:
        yield f"Field {name} is left out: no job syncs what it links to."
    if plan.count("conflicts"):
        yield (
            "Conflicts wait for a person; a sync opens them   "
            f"see: connector-hub conflicts list --job {plan.job}"
        )
    if plan.count("dead_letters"):
        yield f"Dead letters   see: connector-hub dead-letters list --job {plan.job}"


def _costs(plan: Plan) -> Iterator[str]:
    calls = [f"{c}: {_calls(plan, c)}" for c in plan.calls if plan.calls[c]]
    if calls:
        yield f"Calls at most   {'; '.join(calls)}"
    if plan.billed:
        bills = [
            f"{b['records']:,} new {b['resource']} at {b['connection']} count for {b['counts_for']}"
            for b in plan.billed
        ]
        yield f"On the bill   {'; '.join(bills)}"
    if plan.automations:
        yield f"Automations   {'; '.join(map(_automation, plan.automations))}"
    if plan.seconds >= 1:
        yield f"At the vendors' limits this takes at least {duration(plan.seconds)}."


def _calls(plan: Plan, connection: str) -> str:
    """What carrying it out takes of each bucket, and what is left of it."""
    left = plan.remaining.get(connection, {})
    return ", ".join(
        f"{bucket} {n:,}" + (f" of {left[bucket]:,.0f} left" if bucket in left else "")
        for bucket, n in sorted(plan.calls[connection].items())
    )


def _automation(found: Mapping[str, Any]) -> str:
    """``billing/Lead: flows, Apex triggers run; assignment rules are kept still``."""
    run, still = ", ".join(found["run"]), ", ".join(found["kept_still"])
    where = f"{found['connection']}/{found['resource']}"
    return f"{where}: {run or 'none'} run, {still or 'none'} are kept still"


def document(session: Session, hub: Hub, plan: Plan, *, every: bool) -> dict[str, Any]:
    """A plan's document; with the changes themselves where values are asked for."""
    found = dict(plan.document())
    if session.values:
        taken = hub.changes(plan)
        if not every:
            taken = [c for some in samples(taken, plan).values() for c in some]
        found["changes"] = [_as_json(c) for c in taken]
    return found


def _as_json(change: Shown) -> dict[str, Any]:
    return {
        "action": _COUNTED[change.action],
        "connection": change.connection,
        "source": change.source,
        "record": change.record,
        "reason": change.reason,
        "fields": {f.field: {"old": f.old, "new": f.new} for f in change.fields},
    }
