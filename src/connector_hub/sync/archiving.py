"""What is archived across because it is gone at the source: only on the vendor's own word."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from msgspec import structs

from connector_hub.errors import MarkLost
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Page
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch, pages
from connector_hub.sync.views import read_views


async def plan_archives(
    run: JobRun, side: LiveSide, gone: Sequence[str]
) -> list[Change]:
    """Archives of the counterparts of records that are gone; one that was edited since stays."""
    store, job, other = run.store, run.job.name, run.other(side)
    links = side.links(gone)
    hubs = {k.hub: i for i, k in links.items()}
    live = {
        hub: record for hub, (record, dead) in other.records(hubs).items() if not dead
    }
    here, _ = await fetch(other, list(live.values()))
    bases = store.bases(job, other.name, list(live))
    views = read_views(run, other, list(here.values()))
    covered = {i for i, v in zip(here, views, strict=True) if run.job.covers(v.view)}
    changes = []
    for hub, record in live.items():
        there = here.get(record)
        if there is None or hub not in bases or record not in covered:
            continue
        if other.bases.moved(other.bases.unpack(bases[hub], hub), there.raws):
            run.note(
                f"{other.connection}: {record} was edited, and stays though {hubs[hub]} is gone"
            )
            continue
        changes.append(_archive(side, hub, hubs[hub], there))
    if run.job.two_way:
        met = store.passed(job, other.name, [live[c.hub] for c in changes], run.number)
        run.tally.merge_pairs(len(met))
    return changes


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
