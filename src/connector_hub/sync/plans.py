"""Plans that are kept: what one was made from, and whether a sync may carry its own out at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any

from connector_hub.errors import PlanStale
from connector_hub.model.job import SIDES, Guard, Job
from connector_hub.model.kept import Kept, KeptRow
from connector_hub.model.mapping import Spoke
from connector_hub.model.plan import Change, Plan
from connector_hub.sync.run import JobRun

Step = tuple[str, ...]
"""What has changed: ``job``, ``gone``, ``entity``, or ``account``, ``mapping``, ``rule`` and which one."""
_KINDS = {"create": "create", "update": "update", "archive": "delete"}


def prints(
    job: Job,
    spokes: Sequence[Mapping[str, Spoke]],
    homes: Sequence[str | None],
    keys: Sequence[str | None],
) -> dict[str, Any]:
    """What a plan is made from, as fingerprints that two processes agree on.

    Args:
        job: as hub.yaml has it.
        spokes: of each side, by resource.
        homes: the account of each side.
        keys: the field of each side's record keys.
    """
    entity = next(iter(spokes[0].values())).entity
    said = asdict(job)
    del said["every"]  # when a job runs says nothing about what it does
    return {
        "job": _print(said),
        "homes": list(homes),
        "keys": list(keys),
        "entity": _print(asdict(entity)),
        "mappings": [
            {resource: _mapping(spoke) for resource, spoke in side.items()}
            for side in spokes
        ],
    }


def _mapping(spoke: Spoke) -> dict[str, Any]:
    rules = {n: _print(repr(spoke.mapping.rules[n])) for n in spoke.names}
    rest = [list(spoke.names), sorted(spoke.mapping.set_on_create.items())]
    return {"rules": rules, "rest": _print(rest)}


def _print(value: Any) -> str:
    text = repr(_ordered(value))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _ordered(value: Any) -> Any:
    """A value whose text is the same in every process: a set has no order of its own."""
    if isinstance(value, Mapping):
        return sorted((str(k), _ordered(v)) for k, v in value.items())
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (list, tuple)):
        return [_ordered(v) for v in value]
    return value


def changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> Step | None:
    """What of a plan's prints is no longer so; None where all is as it was."""
    return next(_changes(old, new), None)


def _changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Step]:
    if old["job"] != new["job"]:
        yield ("job",)
    for i, side in enumerate(SIDES):
        for part, word in (("homes", "account"), ("keys", "key")):
            if old[part][i] != new[part][i]:
                yield (word, side)
    if old["entity"] != new["entity"]:
        yield ("entity",)
    for i, side in enumerate(SIDES):
        for resource, was in old["mappings"][i].items():
            now = new["mappings"][i].get(resource, was)
            for step in _mapping_changes(was, now):
                yield (step[0], side, resource, *step[1:])


def _mapping_changes(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Step]:
    for name in sorted(was["rules"].keys() | now["rules"].keys()):
        if was["rules"].get(name) != now["rules"].get(name):
            yield ("rule", name)
    if was["rest"] != now["rest"]:
        yield ("mapping",)


def told(plan: Plan) -> dict[str, Any]:
    """A plan as JSON values; ``plan_of`` reads it back."""
    return asdict(plan)


def plan_of(row: Mapping[str, Any]) -> Plan:
    """From ``told``."""
    return Plan(**{**row, "left_out": tuple(row["left_out"])})


def stands(
    row: KeptRow,
    mine: Callable[[], Mapping[str, Any] | None],
    place: Callable[[str, Step], str],
    now: datetime,
    ttl: float,
) -> Kept:
    """How a kept plan stands now.

    Args:
        row: as the store has it.
        mine: gives the prints of its job today, None where there is no such job any more.
        place: tells where in the files a step stands.
        now: the instant.
        ttl: seconds for which a plan holds.
    """
    plan = plan_of(row.document["plan"])
    remedy = f"plan again: connector-hub plan {row.job}"
    kept = Kept(plan, row.made, row.state, row.decided, row.person, remedy=remedy)
    if kept.state == "begun":
        by = f"{_instant(row.decided)} by {row.person}"
        why = f"was begun at {by}, and is at work or did not come to its end"
        go_on = f"connector-hub sync {row.job} goes on from there"
        return replace(kept, why=why, remedy=go_on)
    if not kept.open:
        by = f" by {row.person}" if row.person else ""
        return replace(kept, why=f"was {row.state} at {_instant(row.decided)}{by}")
    age = (now - datetime.fromisoformat(row.made)).total_seconds()
    if age > ttl:
        why = f"is {_length(age)} old, plans hold for {_length(ttl)} (plan_ttl)"
        where = place(row.job, ("age",))
        return replace(kept, state="expired", why=why, where=where)
    today = mine()
    step = ("gone",) if today is None else changed(row.document["prints"], today)
    if step == ("gone",):
        drop = f"connector-hub plans reject {plan.id}"
        kept = replace(kept, remedy=f"give the job back, or drop the plan: {drop}")
    if step is None:
        return kept
    what = _words(plan, step)
    where = place(row.job, step)
    return replace(kept, state="stale", why=f"was made before {what}", where=where)


def _words(plan: Plan, step: Step) -> str:
    where = {"left": plan.left, "right": plan.right}.get("".join(step[1:2]), "")
    told = {
        "rule": f"the rule of {step[-1]} at {where} changed",
        "mapping": f"the mapping of {where} changed",
        "account": f"connection {where} got another account",
        "key": f"connection {where} got another key_field",
        "entity": f"entity {plan.entity} changed",
        "gone": f"job {plan.job} was taken out",
    }
    return told.get(step[0], f"job {plan.job} changed")


def refusal(kept: Kept) -> PlanStale:
    """Why a plan is not carried out, and what to do instead."""
    return PlanStale(
        f"plan {kept.plan.id} {kept.why}",
        where=kept.where,
        hint=f"nothing was written now; {kept.remedy}"
        if kept.state == "begun"
        else f"nothing was written; {kept.remedy}",
    )


def already_waits(kept: Kept, ttl: float) -> str:
    """Why a sync does nothing while a plan of its job waits, and when that ends."""
    until = datetime.fromisoformat(kept.made) + timedelta(seconds=ttl)
    return (
        f"plan {kept.plan.id} of {_instant(kept.made)} waits, so nothing was looked at; "
        f"a sync plans afresh when it is decided, or after {_instant(until.isoformat())}"
    )


def _instant(at: str | None) -> str:
    return f"{datetime.fromisoformat(at or ''):%Y-%m-%d %H:%M:%S} UTC"


def _length(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.0f} hours"


def count_writes(run: JobRun, changes: Iterable[Change]) -> None:
    """Add changes to the plan's writes by connection, resource and kind."""
    for c in changes:
        for name in c.writes():
            side, there = run.side(name), c.seen(name)
            resource = side.at(there.id)[0] if there else c.into or side.resource.name
            kinds = run.plan.writes.setdefault(side.connection, {})
            counts = kinds.setdefault(resource, {})
            kind = _KINDS[c.op or ""]
            counts[kind] = counts.get(kind, 0) + 1


def look_out(run: JobRun) -> None:
    """What the plan's writes mean at the vendors besides: the bill, and automations."""
    run.plan.billed, run.plan.automations = [], []
    for side in run.sides:
        for name, counts in run.plan.writes.get(side.connection, {}).items():
            at = {"connection": side.connection, "resource": name}
            resource = side.place(name).resource
            created = counts.get("create", 0)
            if resource.billed and created:
                run.plan.billed.append(
                    {**at, "records": created, "counts_for": resource.billed}
                )
            if resource.sets_off or resource.kept_still:
                run.plan.automations.append(
                    {
                        **at,
                        "run": list(resource.sets_off),
                        "kept_still": list(resource.kept_still),
                    }
                )


def planned_writes(plan: Plan) -> int:
    """How many records it would write."""
    return sum(plan.count(kind) for kind in ("create", "update", "delete"))


def over(run: JobRun, bounds: Guard) -> dict[str, int]:
    """Bounds that a plan goes beyond: {kind: how many there may be}. Shares are of the linked records."""
    limits = bounds.limits(run.sources[0].linked())
    if run.options.allow_deletes is not None:
        limits["delete"] = run.options.allow_deletes
    return {name: most for name, most in limits.items() if run.plan.count(name) > most}


def must_wait(run: JobRun) -> bool:
    """Whether this plan needs a person's word (``apply: when``); its records are counted then."""
    bounds = run.job.apply_when
    if bounds is None:
        return False
    beyond = over(run, bounds)
    if not beyond:
        return False
    run.note(f"plan {run.plan.id} waits: {_asks(run.plan, beyond)}")
    done = run.tally.outcomes["unchanged"]
    run.tally.add("unchanged", run.plan.count("unchanged") - done)
    run.tally.add("blocked", planned_writes(run.plan))
    return True


def _asks(plan: Plan, beyond: Mapping[str, int]) -> str:
    """``it would create 120 records, apply: when allows 50``, for each bound."""
    return "; ".join(
        f"it would {what_it_does(plan, name)}, apply: when allows {most:,}"
        for name, most in beyond.items()
    )


def what_it_does(plan: Plan, bound: str) -> str:
    """What of a plan a bound is about: ``create 120 records``, ``empty 60 fields``."""
    verb, what = ("empty", "fields") if bound == "clear" else (bound, "records")
    return f"{verb} {plan.count(bound):,} {what}"


__all__ = [
    "Step",
    "already_waits",
    "changed",
    "count_writes",
    "look_out",
    "must_wait",
    "over",
    "plan_of",
    "planned_writes",
    "prints",
    "refusal",
    "stands",
    "told",
    "what_it_does",
]
