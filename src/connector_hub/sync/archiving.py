"""What is archived across because it is gone at the source, and what stays though it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from msgspec import structs

from connector_hub.errors import MarkLost
from connector_hub.model.job import across
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Page
from connector_hub.sync.base import Base
from connector_hub.sync.reading import done_with
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch, pages
from connector_hub.sync.views import read_views


async def plan_archives(
    run: JobRun, side: LiveSide, gone: Sequence[str]
) -> list[Change]:
    """Archives of the counterparts of records that are gone; one that was edited since stays."""
    store, job, other = run.store, run.job.name, run.other(side)
    hubs = _news(run, side, gone)
    live = {
        hub: record
        for hub, (record, dead) in other.records(hubs).items()
        if not dead and _is_ours(run, side, hubs[hub], record)
    }
    here, _ = await fetch(other, list(live.values()))
    bases = store.bases(job, other.name, list(live))
    views = read_views(run, other, list(here.values()))
    covered = {i for i, v in zip(here, views, strict=True) if run.job.covers(v.view)}
    changes, stay = [], []
    for hub, record in live.items():
        there = here.get(record)
        if there is None or hub not in bases or record not in covered:
            continue
        if edited(other, other.bases.unpack(bases[hub], hub), there):
            run.note(
                f"{other.connection}: {record} was edited, and stays though {hubs[hub]} is gone"
            )
            stay.append(hub)
            continue
        changes.append(_archive(side, hub, hubs[hub], there))
    if not run.planning:
        done_with(run, side, stay)
    if run.job.two_way:
        met = store.passed(job, other.name, [live[c.hub] for c in changes], run.number)
        run.tally.merge_pairs(len(met))
    return changes


def edited(side: LiveSide, base: Base, seen: Seen) -> set[str]:
    """Fields of a record that say something new, so that it is not to be archived.

    A link that has ended does not: it ends when what it led to is archived.
    """
    view, _ = side.spoke.whole(seen.raws)
    links = side.spoke.entity.links()
    moved = side.bases.moved(base, seen.raws)
    return {n for n in moved if not (n in links and view.get(n) is None)}


def _news(run: JobRun, side: LiveSide, gone: Sequence[str]) -> dict[bytes, str]:
    """Records of those that are gone from which something may follow, by what they are.

    Not those that were dealt with before, nor those whose place another record has taken.
    """
    hubs = {k.hub: i for i, k in side.links(gone).items()}
    bases = run.store.bases(run.job.name, side.name, list(hubs))
    holders = side.records(hubs)
    return {
        hub: record
        for hub, record in hubs.items()
        if hub in bases
        and not side.bases.is_done_with(bases[hub])
        and (holders[hub][1] or holders[hub][0] == record)
    }


def _is_ours(run: JobRun, side: LiveSide, gone: str, record: str) -> bool:
    """Whether the job may touch a counterpart: it looks after it, and this run gave it to nobody else."""
    there = across(side.name)
    owner = run.store.claimed(there, [record]).get(record)
    mine = run.looks_after((side.name, gone), (there, record))
    return mine and owner in {None, gone, record}


def _archive(side: LiveSide, hub: bytes, gone: str, there: Seen) -> Change:
    here = Seen(gone, None, None, None, ())
    left, right = (here, there) if side.name == "left" else (there, here)
    return Change("archive", hub, side.name, left, right, reason="gone at the source")


async def told_as_deleted(
    run: JobRun, side: LiveSide, mark: str | None
) -> AsyncIterator[Page]:
    """The deleted feed; when its mark is lost only a new one is taken, and nothing is deleted."""
    try:
        async for page in pages(side, "deleted", mark):
            yield page
    except MarkLost:
        run.note(
            f"{side.connection}: the vendor has forgotten where we were; deletes are followed from now on"
        )
        async for page in pages(side, "deleted", None):
            yield structs.replace(page, records=[])
