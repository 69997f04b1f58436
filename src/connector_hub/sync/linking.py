"""Who the records of a side are: by their links, by record keys, by ids both systems know, by identity."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from msgspec import Struct

from connector_hub.model.conflict import Swing
from connector_hub.model.job import SideName, across
from connector_hub.model.link import Kin, Match, alike, match
from connector_hub.model.plan import Seen, Wait
from connector_hub.model.rows import Edit
from connector_hub.sync.base import Base
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide
from connector_hub.sync.views import read_views

Relatives = tuple[dict[str, list[Kin]], dict[str, list[Kin]]]
"""Who shares an identity with each record, on its own side and on the other."""


class Subject(Struct, eq=False, gc=False):
    """A record on its way to a change, with its counterpart."""

    seen: Seen
    hub: bytes = b""
    base: Base | None = None
    """Its base, None at the first link of the two."""
    there_id: str | None = None
    """The counterpart: None where none is known, empty where it is gone."""
    lost: str = ""
    """The counterpart that is gone."""
    there: Seen | None = None
    there_base: Base | None = None
    view: dict[str, Any] = {}
    there_view: dict[str, Any] = {}
    hidden: Mapping[str, Any] | None = None
    there_hidden: Mapping[str, Any] | None = None
    """Fields outside their conditions."""
    waits: tuple[Wait, ...] = ()
    rejects: tuple[str, ...] = ()
    swings: Mapping[str, Swing] = {}
    """What was written to its fields a moment ago."""
    fights: tuple[str, ...] = ()
    """Fields that are written to and fro."""
    rows: tuple[tuple[SideName, str, tuple[Edit, ...]], ...] = ()
    """What becomes of rows within the two, by the side that is written and the field."""


def view_subjects(run: JobRun, side: LiveSide, subjects: Sequence[Subject]) -> None:
    """Read subjects into the hub's words; what cannot be read is counted."""
    read = read_views(run, side, [s.seen for s in subjects])
    for s, found in zip(subjects, read, strict=True):
        s.view, s.hidden, s.waits = found.view, found.hidden, found.waits
        s.rejects = tuple(b.field for b in found.bad if b.reject)
        run.tally.bad(found.bad)


def find_links(run: JobRun, side: LiveSide, subjects: Sequence[Subject]) -> None:
    """Hub ids: an existing link's, the record key's, else one computed from the record."""
    store, other = run.store, run.other(side)
    links = side.links([s.seen.id for s in subjects])
    hubs = [k.hub for k in links.values()]
    mine = store.bases(run.job.name, side.name, hubs)
    theirs = store.bases(run.job.name, other.name, hubs)
    keyed = _own_keys(run, side, [s.seen for s in subjects if s.seen.id not in links])
    for s in subjects:
        link = links.get(s.seen.id)
        s.hub = (
            link.hub
            if link
            else keyed.get(s.seen.id) or side.first_hub_id(run.tenant, s.seen.id)
        )
        if s.hub in mine and s.hub in theirs:
            s.base = side.bases.unpack(mine[s.hub], s.hub)
            s.there_base = other.bases.unpack(theirs[s.hub], s.hub)
    there = other.records([s.hub for s in subjects])
    for s in subjects:
        if s.hub in there:
            record, gone = there[s.hub]
            s.there_id, s.lost = ("", record) if gone else (record, "")


def _own_keys(
    run: JobRun, side: LiveSide, unlinked: Sequence[Seen]
) -> dict[str, bytes]:
    """Hub ids that these records carry as record keys; one that was copied to another says nothing."""
    found: dict[str, bytes] = {}
    for seen in unlinked:
        if seen.key:
            with suppress(ValueError):
                found[seen.id] = uuid.UUID(seen.key).bytes
    if not found:
        return found
    marks = {side.identities.key_mark(hub): hub for hub in found.values()}
    kin = run.store.kin(run.job.name, side.name, marks)
    several = {marks[m] for m, carriers in kin.items() if len(carriers) > 1}
    linked = side.records(list(found.values()))
    several |= {hub for hub, (_, gone) in linked.items() if not gone}
    return {record: hub for record, hub in found.items() if hub not in several}


def match_unlinked(
    run: JobRun, side: LiveSide, unknown: Sequence[Subject], kin: Relatives
) -> dict[str, Match]:
    """Who the counterpart of each unlinked record is, by record key, else by identity.

    Those that are found are given to these records for the rest of the run.
    """
    by_key = _by_key(run, run.other(side), unknown)
    same, other = kin
    taken = _taken(side, run.other(side), other)
    known = _split(run, same), _split(run, other)
    _add_rivals(run, side, same, other)
    spoken_for = taken | _spoken_for(run, side, other)
    found: dict[str, Match] = {}
    for s in unknown:
        record = s.seen.id
        if s.hub in by_key:
            found[record] = _keyed(run, side, s, by_key[s.hub], other.get(record, ()))
        elif record in known[1]:
            found[record] = _match(run, side, s, *known, taken, known=1)
        else:
            found[record] = _match(run, side, s, same, other, spoken_for)
    return found


def _split(run: JobRun, kin: dict[str, list[Kin]]) -> dict[str, list[Kin]]:
    """Take those out who share an id that the two systems know of each other."""
    first = len(run.job.match)
    found: dict[str, list[Kin]] = {}
    for record, all_kin in kin.items() if first else ():
        found[record] = [k for k in all_kin if k.slot < first]
        kin[record] = [k for k in all_kin if k.slot >= first]
    return {record: listed for record, listed in found.items() if listed}


def _spoken_for(
    run: JobRun, side: LiveSide, other: Mapping[str, list[Kin]]
) -> frozenset[str]:
    """Records across that another record here knows by id; identity does not give these away."""
    first = len(run.job.match)
    records = {k.record for kin in other.values() for k in kin} if first else set()
    return frozenset(
        record
        for record, there, kin in run.store.relatives(
            run.job.name, across(side.name), side.name, records
        )
        if there and kin.slot < first
    )


def _add_rivals(
    run: JobRun,
    side: LiveSide,
    same: dict[str, list[Kin]],
    other: Mapping[str, list[Kin]],
) -> None:
    """Who has several values of one field can be the counterpart of several that share none: twins, too."""
    there, first = run.other(side), len(run.job.match)
    if side.spoke.also is None and there.spoke.also is None:
        return
    filled = {k.record: k.filled for kin in other.values() for k in kin}
    rivals: dict[str, list[Kin]] = {}
    for record, across_, kin in run.store.relatives(
        run.job.name, there.name, side.name, list(filled)
    ):
        if across_ and kin.slot >= first and alike(filled[record], kin):
            rivals.setdefault(record, []).append(kin)
    for record, kin_there in other.items():
        claims = (k for t in kin_there for k in rivals.get(t.record, ()))
        found = [k for k in claims if k.record != record]
        if found:
            same.setdefault(record, []).extend(found)


def _keyed(
    run: JobRun,
    side: LiveSide,
    s: Subject,
    carriers: Sequence[Kin],
    kin: Iterable[Kin],
) -> Match:
    """A record key decides, unless identity says that the two are two: then a person does."""
    records = tuple(sorted(k.record for k in carriers))
    shared = carriers[0].filled & side.identities.filled(s.view, s.seen.raws)
    first = (shared & -shared).bit_length() - 1
    same = {k.slot for k in kin if k.record == records[0]}
    if len(records) > 1:
        return Match("candidates", records)
    given = _given(run, side, s, records[0])
    return Match("candidates", records) if shared and first not in same else given


def _match(  # noqa: PLR0917 - one decision, all it depends on
    run: JobRun,
    side: LiveSide,
    s: Subject,
    same: Mapping[str, list[Kin]],
    other: Mapping[str, list[Kin]],
    taken: frozenset[str],
    *,
    known: int = 0,
) -> Match:
    """What identity says; a counterpart that this run has given to another record is taken.

    ``known`` is the first set's bit where that decides, an id both systems know.
    """
    record = s.seen.id
    filled = side.identities.filled(s.view, s.seen.raws) | known
    found = match(record, filled, same.get(record, ()), other.get(record, ()), taken)
    return _given(run, side, s, found.records[0]) if found.kind == "one" else found


def _given(run: JobRun, side: LiveSide, s: Subject, record: str) -> Match:
    """A counterpart is given to one record only in a run."""
    there = across(side.name)
    owner = run.store.claimed(there, [record]).get(record)
    if owner is None:
        run.store.claim([(there, record, s.seen.id)])
    return Match("one" if owner in {None, s.seen.id} else "taken", (record,))


def _by_key(
    run: JobRun, other: LiveSide, unknown: Sequence[Subject]
) -> dict[bytes, list[Kin]]:
    """Records across that carry the record key of these subjects, by hub id."""
    if not run.store.keyed(run.job.name, other.name):
        return {}
    hubs = {other.identities.key_mark(s.hub): s.hub for s in unknown}
    kin = run.store.kin(run.job.name, other.name, hubs)
    return {hubs[m]: found for m, found in kin.items()}


def relatives(run: JobRun, side: LiveSide, unknown: Sequence[Subject]) -> Relatives:
    """Who shares an identity with each subject, on its own side and on the other."""
    same: dict[str, list[Kin]] = {}
    other: dict[str, list[Kin]] = {}
    for record, there, kin in run.store.relatives(
        run.job.name, side.name, across(side.name), [s.seen.id for s in unknown]
    ):
        (other if there else same).setdefault(record, []).append(kin)
    return same, other


def _taken(
    side: LiveSide, other: LiveSide, found: Mapping[str, list[Kin]]
) -> frozenset[str]:
    """Those of the other side's kin that are linked already; one whose counterpart is gone is free again."""
    links = other.links({k.record for kin in found.values() for k in kin})
    held = side.records({k.hub for k in links.values()})
    return frozenset(
        record
        for record, link in links.items()
        if link.hub not in held or not held[link.hub][1]
    )
