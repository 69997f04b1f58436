"""What two linked records, seen together, want written; and what people or the times have decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any

from connector_hub.model.job import SIDES, Policy, SideName
from connector_hub.model.mapping import Bad, Spoke, blank
from connector_hub.model.merge import Merged
from connector_hub.model.plan import Seen
from connector_hub.model.record import EMPTY
from connector_hub.model.rowmerge import Both, merge_rows
from connector_hub.sync import fights, rivals, targets
from connector_hub.sync.base import change_hash
from connector_hub.sync.linking import Subject
from connector_hub.sync.merging import Pair, merge_pair
from connector_hub.sync.newest import Contested
from connector_hub.sync.rows import known
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide


def merge_subject(
    run: JobRun, side: LiveSide, s: Subject, decided: Mapping[str, SideName]
) -> Merged:
    """Three ways where the field has a base; a rule that is new or edited begins with the next edit.

    What is replayed or back-filled, or was never agreed on, is decided as at a first meeting.
    """
    assert s.there is not None  # noqa: S101 - decided by the caller
    left, right = (s.seen, s.there) if side.name == "left" else (s.there, s.seen)
    policies = run.policies_of(run.left.at(left.id)[0], run.right.at(right.id)[0])
    spokes = (run.left.spoke.of(left.raws), run.right.spoke.of(right.raws))
    pair = _pair(run, side, s, policies)
    if pair.moved is not None:
        _notice_rivals(run, side, s, pair.moved)
    plain = policies
    if spokes[0].rows:
        plain = {n: p for n, p in policies.items() if n not in spokes[0].rows}
    merged = merge_pair(plain, spokes, pair, decided, run.options.backfill)
    if len(plain) < len(policies):
        rows = {n: p for n, p in policies.items() if n not in plain}
        merged = _with_rows(side, s, rows, spokes, pair, decided, merged)
    merged = targets.kept_apart(merged, pair.views)
    merged = fights.held_back(run, s, merged, pair.views)
    if pair.moved is not None and not policies.keys() <= pair.based:
        _count_unbased(run, policies, pair)
    if not any(k.known or k.shared for k in spokes):
        return merged
    said = []
    for i, names in enumerate((merged.left, merged.right)):
        told = pair.views[1 - i]
        held = {n: b"" for at, n, _, _ in s.waits if at == SIDES[i]}
        more = [n for n, p in policies.items() if p.owner != SIDES[i]]
        fit = referable(run, spokes[i], names, told, {**pair.views[i], **held}, more)
        said.append(sayable(run, spokes[i], fit, told))
    return replace(merged, left=said[0], right=said[1])


def _with_rows(  # noqa: PLR0917 - what a merge depends on
    side: LiveSide,
    s: Subject,
    policies: Mapping[str, Policy],
    spokes: tuple[Spoke, Spoke],
    pair: Pair,
    decided: Mapping[str, SideName],
    merged: Merged,
) -> Merged:
    """What is to be written of rows, besides; while a person is asked about one of a field, none of it is."""
    told: dict[str, list[str]] = {"left": [], "right": [], "agreed": [], "asks": []}
    bases = (s.base, s.there_base) if side.name == "left" else (s.there_base, s.base)
    for name, policy in policies.items():
        if not all(
            name in view and name in k.rows
            for view, k in zip(pair.views, spokes, strict=True)
        ):
            continue
        rows = (pair.views[0][name], pair.views[1][name])
        if rows[0] == rows[1]:
            told["agreed"].append(name)
            continue
        first = pair.moved is None or name in pair.anew
        if not first and not _is_moved(name, pair, decided):
            continue
        names = (spokes[0].rows[name].inner.names, spokes[1].rows[name].inner.names)
        seen = None
        if not first and bases[0] is not None and bases[1] is not None:
            kept = (bases[0].rows.get(name, {}), bases[1].rows.get(name, {}))
            seen = known(kept, rows, names)
        found = merge_rows(
            policy, Both(rows, seen, _written(spokes, name)), decided.get(name)
        )
        if found.asks:
            told["asks"].append(name)
            continue
        for end, edits in zip(SIDES, (found.left, found.right), strict=True):
            if edits:
                told[end].append(name)
                s.rows += ((end, name, edits),)
    kinds = ("left", "right", "agreed", "asks")
    return Merged(*((*getattr(merged, k), *told[k]) for k in kinds))


def _is_moved(name: str, pair: Pair, decided: Mapping[str, SideName]) -> bool:
    """Whether a side has changed rows since both were settled, or a person has decided about them."""
    if pair.moved is None or name not in pair.based:
        return False
    return name in decided or any(name in m for m in pair.moved)


def _written(
    spokes: tuple[Spoke, Spoke], name: str
) -> tuple[frozenset[str], frozenset[str]]:
    """The fields of a row that can be written to each side, for the other one tells them."""
    left, right = (k.rows[name].inner for k in spokes)
    return left.writable & {*right.names}, right.writable & {*left.names}


def decisions(
    run: JobRun, side: LiveSide, subjects: Sequence[Subject]
) -> dict[bytes, dict[str, SideName]]:
    """What people decided about fields that hold now what was seen then; else it is asked again."""
    kept = run.store.decisions(run.job.name, [s.hub for s in subjects])
    found: dict[bytes, dict[str, SideName]] = {}
    for s in subjects if kept else ():
        if s.hub not in kept or s.there is None:
            continue
        left, right = (s.seen, s.there) if side.name == "left" else (s.there, s.seen)
        now = held(run, left, right, kept[s.hub])
        good = {n: w for n, (w, seen) in kept[s.hub].items() if now.get(n) == seen}
        found[s.hub] = good
        if not run.planning:
            old = kept[s.hub].keys() - good.keys()
            run.store.forget_decisions(run.job.name, [s.hub], old)
    return found


def held(run: JobRun, left: Seen, right: Seen, names: Iterable[str]) -> dict[str, str]:
    """A keyed hash of what both sides hold of each field, so that a decision is about these values."""
    mine = dict(zip(run.left.spoke.kept, left.raws, strict=True))
    theirs = dict(zip(run.right.spoke.kept, right.raws, strict=True))
    return {
        n: change_hash(run.key, [n, str(mine.get(n)), str(theirs.get(n))]).hex()
        for n in names
    }


def contested(run: JobRun, side: LiveSide, subjects: Iterable[Subject]) -> Contested:
    """Fields that both sides hold differently and of which the later edit is to win."""
    if not any("newest" in {p.both, p.first} for p in run.policies.values()):
        return {}
    found: dict[bytes, tuple[str, str, frozenset[str]]] = {}
    for s in subjects:
        if s.there is None:
            continue
        left, right = (s.seen, s.there) if side.name == "left" else (s.there, s.seen)
        policies = run.policies_of(run.left.at(left.id)[0], run.right.at(right.id)[0])
        pair = _pair(run, side, s, policies)
        names = frozenset(
            n
            for n, p in policies.items()
            if n in s.view
            and n in s.there_view
            and s.view[n] != s.there_view[n]
            and _asks_for_time(p, n, pair)
        )
        if names:
            found[s.hub] = left.id, right.id, names
    return found


def _asks_for_time(policy: Policy, name: str, pair: Pair) -> bool:
    if policy.owner is not None:
        return False
    if pair.moved is None or name in pair.anew:
        filled = not any(blank(view.get(name)) for view in pair.views)
        return policy.first == "newest" and filled
    return policy.both == "newest" and all(name in m for m in pair.moved)


def leaves_scope(run: JobRun, side: LiveSide, s: Subject, merged: Merged) -> bool:
    """Whether the job looks after neither record any more, once both are written."""
    here, there = (merged.left, merged.right)
    if side.name == "right":
        here, there = there, here
    mine = {**s.view, **{n: s.there_view[n] for n in here if n in s.there_view}}
    theirs = {**s.there_view, **{n: s.view[n] for n in there if n in s.view}}
    return not (run.job.covers(mine) or run.job.covers(theirs))


def _notice_rivals(
    run: JobRun,
    side: LiveSide,
    s: Subject,
    moved: tuple[AbstractSet[str], AbstractSet[str]],
) -> None:
    mine, theirs = moved if side.name == "left" else moved[::-1]
    if s.there is not None and s.base is not None and s.there_base is not None:
        rivals.notice(run, side, s.seen, mine, s.base)
        rivals.notice(run, run.other(side), s.there, theirs, s.there_base)


def _count_unbased(run: JobRun, policies: Mapping[str, Policy], pair: Pair) -> None:
    """Both sides differ in what a new or edited rule reads, and nothing is done about it: told."""
    left, right = pair.views
    for name in policies.keys() - pair.based - pair.outside - pair.anew:
        if name in left and name in right and left[name] != right[name]:
            run.tally.unbased[name] += 1


def _pair(
    run: JobRun, side: LiveSide, s: Subject, policies: Mapping[str, Policy]
) -> Pair:
    """A subject and its counterpart, left first."""
    assert s.there is not None  # noqa: S101 - decided by the caller
    other = run.other(side)
    at_left = side.name == "left"
    views = (s.view, s.there_view)
    hidden = (s.hidden or EMPTY, s.there_hidden or EMPTY)
    ids = (s.seen.id, s.there.id)
    if not at_left:
        views, hidden, ids = views[::-1], hidden[::-1], ids[::-1]
    if s.base is None or s.there_base is None:
        return Pair(views, hidden, None)
    mine = side.bases.moved(s.base, s.seen.raws)
    theirs = other.bases.moved(s.there_base, s.there.raws)
    here, there = side.bases.based(s.base), other.bases.based(s.there_base)
    based = here & there
    outside: set[str] = set()
    if side.spoke.conditions or other.spoke.conditions:
        out = side.bases.outside(s.base), other.bases.outside(s.there_base)
        outside = (out[0] | out[1]) & (here | out[0]) & (there | out[1])
    anew = set(run.options.backfill) - mine - theirs
    waited = side.bases.never(s.base), other.bases.never(s.there_base)
    anew |= (waited[0] & waited[1]) - side.spoke.rows.keys()
    for never, view in zip(waited, (s.view, s.there_view), strict=True):
        # A link that has waited for its record was never agreed on: that it is blank ends nothing across.
        anew |= {n for n in run.routes if n in never and blank(view.get(n))}
    disputed = side.bases.disputed(s.base) & other.bases.disputed(s.there_base)
    anew |= {n for n in disputed if any(blank(v.get(n)) for v in views)}
    if (side.name, s.seen.id) in run.replayed:
        anew |= policies.keys() - based
    ends = tuple(zip(SIDES, ids, strict=True))
    for end, across_it, view in zip(ends, ends[::-1], views, strict=True):
        if end in run.heirs or across_it in run.across_heirs:
            anew |= {n for n in policies if blank(view.get(n))}
    moved = (mine, theirs) if at_left else (theirs, mine)
    return Pair(views, hidden, moved, based, outside, anew)


def referable(  # noqa: PLR0917 - a write, and what there is besides
    run: JobRun,
    spoke: Spoke,
    names: Sequence[str],
    view: Mapping[str, Any],
    held: Mapping[str, Any] = EMPTY,
    more: Sequence[str] = (),
) -> tuple[str, ...]:
    """Those of the fields that fit where one reference is for several, which holds one record.

    It is that of the first field that has one. The others are told; a blank wipes nothing but its own.

    Args:
        run: where it is told.
        spoke: of where is written.
        names: what is to be written there.
        view: the values.
        held: what the record says now.
        more: fields that may travel, too, for a reference that would be blank.
    """
    if not spoke.shared:
        return tuple(names)
    kept = list(names)
    for group in dict.fromkeys(spoke.shared[n] for n in names if n in spoke.shared):
        mine = [n for n in group if n in names]
        after = {**held, **{n: view.get(n) for n in mine}}
        first = next((n for n in group if not blank(after.get(n))), None)
        if first is None:
            heirs = [n for n in group if n in more and not blank(view.get(n))]
            kept += heirs[:1]
            continue
        for n in mine:
            if n == first or (blank(view.get(n)) and first in mine):
                continue
            kept.remove(n)
            if not blank(view.get(n)):
                run.tally.bad([Bad(n, view.get(n))])
    return tuple(kept)


def sayable(
    run: JobRun, spoke: Spoke, names: Iterable[str], view: Mapping[str, Any]
) -> tuple[str, ...]:
    """Those of the fields that a vendor has a word for; the others are counted and left alone."""
    if not spoke.known:
        return tuple(names)
    said = []
    for name in names:
        value = view.get(name)
        if spoke.can_say(name, value):
            said.append(name)
        elif not blank(value):
            run.tally.bad([Bad(name, value)])
    return tuple(said)
