"""Wrong kernels, and how they are found out.

Each is the real kernel with one guard taken away, by a patch of a few lines. A short story is told twice: the
judge finds nothing under the kernel as it is, and a broken promise under the wrong one. Where another guard
would hide the loss, the story goes round it, or ``off`` takes it away in both tellings.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.hub import Hub
from connector_hub.model.mapping import Rule
from connector_hub.model.record import Done, Record
from connector_hub.sync import applier, jobs, reading, settling, writing
from connector_hub.sync.base import Bases
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, pages
from connector_hub.testing import World, WorldClock, echoes, judge, plain, plainvendor
from connector_hub.testing.plainvendor import PlainVendor, Traits

from .sweep import Scenario, edit, people, plain_world, three
from .sweep import jobs as project

Story = Callable[[Path], Awaitable[list[str]]]
Patch = pytest.MonkeyPatch
LEFT_WINS = "fields: {'*': {both: left}}"


async def tell(
    folder: Path,
    story: Story,
    wrong: Callable[[Patch], None],
    promise: str,
    *,
    off: Callable[[Patch], None] | None = None,
) -> None:
    """A story under the kernel as it is, and under a wrong one, which breaks a promise."""
    with Patch.context() as patch:
        if off is not None:
            off(patch)
        assert await story(folder / "right") == []
        wrong(patch)
        found = await story(folder / "wrong")
    assert [f for f in found if f.startswith(promise)], found


async def begun(
    folder: Path, vendor: str, text: str, traits: Traits | None = None
) -> World:
    """Three people on both sides, in peace."""
    world = plain_world(folder, Scenario("", text, three), vendor, traits)
    three(world)
    await world.sync()
    await world.sync()
    return world


async def call(world: World, side: str, method: str, path: str = "/people") -> int:
    """The number that the first such call of the run to come will have."""
    saved, begin = world.save(), world.calls
    await world.sync()
    found = next(
        c.number
        for c in world.trace[begin:]
        if (c.side, c.method) == (side, method) and c.path.startswith(path)
    )
    world.restore(saved)
    return found


# -- creates of which nobody knows whether they happened --------------------------------


def cut_off(vendor: str, mishap: str, traits: Traits | None = None) -> Story:
    """A create is cut off; somebody corrects the new record's e-mail: only its key tells who it is."""

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, vendor, project("left-to-right"), traits)
        people(world, "here", 3)
        world.plan(f"call {await call(world, 'there', 'POST')}: {mishap}")
        await world.sync()
        assert len(world.struck) == 1
        edit(world, "there", 3, email="p3@corrected.org")
        return await judge(world)

    return story


async def test_a_kernel_without_intents_creates_again_at_a_vendor_without_keys(folder):
    def wrong(patch: Patch) -> None:
        patch.setattr(SqliteStore, "open_window", lambda *_: None)

    await tell(folder, cut_off("bare", "crash after"), wrong, "I5")


async def test_a_kernel_with_a_new_key_per_attempt_creates_again(folder):
    def wrong(patch: Patch) -> None:
        ids = itertools.count(1)
        patch.setattr(writing, "spelled", lambda _: str(uuid.UUID(int=next(ids))))

    await tell(folder, cut_off("keyed", "crash after"), wrong, "I5")


async def test_a_kernel_that_sends_a_create_without_key_again_blindly_creates_twice(
    folder,
):
    def wrong(patch: Patch) -> None:
        patch.setattr(writing, "can_look_up", lambda _: True)

    await tell(folder, cut_off("bare", "lost"), wrong, "I5")


async def test_a_kernel_that_does_not_wait_for_the_index_creates_again(folder):
    """It looks for its create in the vendor's feed at once, and sends it again where that lags."""

    async def look_up(run: JobRun, items: Sequence[writing.Item]) -> None:
        side = items[0].side
        since = run.store.cursor(run.job.name, side.name, "changed")
        found = [r async for p in pages(side, "changed", since[0]) for r in p.records]
        there = {r.fields["email"]: r.id for r in found if isinstance(r, Record)}
        for i in items:
            if i.write.fields["email"] in there:
                i.outcome = Done(there[i.write.fields["email"]])

    def wrong(patch: Patch) -> None:
        patch.setattr(writing, "can_look_up", lambda _: True)
        patch.setattr(writing, "_look_up", look_up)

    lags = replace(plain.Bare.traits, index_lag=9.0)
    await tell(folder, cut_off("bare", "lost", lags), wrong, "I5")
    with Patch.context() as patch:
        wrong(patch)
        assert await cut_off("bare", "lost")(folder / "no lag") == []


# -- what people do while the hub writes ------------------------------------------------


def overtaken(vendor: str, field: str, begin: str = "", later: int = 0) -> Story:
    """Somebody edits across just when the hub is about to write a name there."""

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, vendor, project())
        edit(world, "here", 0, name="Ada")
        at = await call(world, "there", "PATCH")
        world.meanwhile = lambda w, _: edit(w, "there", 0, **{field: "Eva"})
        world.plan(*([f"call {at}: {begin}"] if begin else []))
        world.plan(f"call {at + later}: person")
        await world.sync()
        assert len(world.struck) == 1 + bool(begin)
        return await judge(world)

    return story


async def test_a_kernel_that_guards_no_write_overwrites_an_edit(folder):
    def wrong(patch: Patch) -> None:
        def way(
            _: JobRun, side: LiveSide, op: str, resource: str = "", _rows: int = 1
        ) -> Any:
            return side.place(resource or side.resource.name).resource.way(op)

        patch.setattr(JobRun, "way", way)

    await tell(folder, overtaken("guarded", "name"), wrong, "I3")


async def test_a_kernel_that_sends_again_without_the_version_overwrites_an_edit(folder):
    send = writing._send

    async def again(
        run: JobRun, n: int | None, items: Sequence[writing.Item], way: Any
    ) -> Any:
        for i in items:
            if i.sent:
                i.write = structs.replace(i.write, version=None)
        return await send(run, n, items, way)

    def wrong(patch: Patch) -> None:
        patch.setattr(writing, "_send", again)

    await tell(folder, overtaken("guarded", "name", "error", 2), wrong, "I3")


async def test_a_kernel_whose_base_is_the_record_as_it_is_now_loses_an_edit(folder):
    def wrong(patch: Patch) -> None:
        patch.setattr(settling, "_composed", lambda _s, _p, now, _w: now.raws)

    await tell(folder, overtaken("keyed", "note"), wrong, "I1")


async def test_a_kernel_whose_base_is_one_for_the_whole_record_undoes_an_edit(folder):
    """One field was edited here, another there: to it each side has changed them all."""
    moved = Bases.moved

    def wrong(patch: Patch) -> None:
        def whole(bases: Bases, base: Any, raws: Any) -> set[str]:
            return set(bases.spoke.kept) if moved(bases, base, raws) else set()

        patch.setattr(Bases, "moved", whole)

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, "guarded", project("both", LEFT_WINS))
        edit(world, "here", 0, name="Ada")
        edit(world, "there", 0, note="rang")
        return await judge(world)

    await tell(folder, story, wrong, "I3")


async def test_a_kernel_without_a_journal_loses_what_a_rule_overwrites(folder):
    def wrong(patch: Patch) -> None:
        patch.setattr(settling, "keep", lambda *_: None)

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, "keyed", project("both", LEFT_WINS))
        edit(world, "here", 0, name="Ada")
        edit(world, "there", 0, name="Eva")
        return await judge(world)

    await tell(folder, story, wrong, "I3")


# -- what a vendor makes of a value -----------------------------------------------------


def believes_itself(patch: Patch) -> None:
    """What was sent is taken for what the vendor holds, whatever it answers or would answer."""
    read_back = writing.read_back

    async def believed(run: JobRun, items: Sequence[writing.Item]) -> None:
        for i in items:
            if isinstance(i.outcome, Done) and i.write.op != "archive":
                i.now = writing._answered(i, Done(i.outcome.id, None, _sent(i)))
        await read_back(run, items)

    patch.setattr(applier, "read_back", believed)


def _sent(i: writing.Item) -> Mapping[str, Any]:
    rules, was = i.side.spoke.mapping.rules, i.change.seen(i.side.name)
    raws = was.raws if was else [None] * len(i.side.spoke.kept)
    known = zip(i.side.spoke.kept, raws, strict=True)
    return {rules[n].path: v for n, v in known if rules[n].path} | i.write.fields


def changed_by_the_vendor(vendor: str, traits: Traits) -> Story:
    """A value comes out otherwise across; nobody has edited it there."""

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, vendor, project(), traits)
        # what is entered here stays as it was entered
        world.sandboxes["here"].traits = replace(
            traits, normalises=False, truncates=None
        )
        edit(world, "here", 0, name="ada of lovelace")
        for _ in range(3):
            await world.sync()
        return [*echoes(world), *await judge(world)]

    return story


async def test_a_kernel_that_does_not_look_at_the_answer_echoes_what_it_says(folder):
    story = changed_by_the_vendor("keyed", replace(plain.Keyed.traits, normalises=True))
    await tell(folder, story, believes_itself, "I4")


async def test_a_kernel_that_reads_nothing_back_cuts_a_value_at_its_source(folder):
    story = changed_by_the_vendor("terse", replace(plain.Terse.traits, truncates=8))
    await tell(folder, story, believes_itself, "I4")


# -- where a feed is read from ----------------------------------------------------------


async def test_a_kernel_that_stores_its_cursor_first_loses_edits(folder):
    """The crash is before any intent is kept, which would tell of the edit."""
    read_sides = jobs.read_sides

    async def first(run: JobRun) -> None:
        await read_sides(run)
        reading.store_marks(run)

    def wrong(patch: Patch) -> None:
        patch.setattr(jobs, "read_sides", first)

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, "guarded", project())
        edit(world, "here", 0, name="Ada")
        at = await call(world, "there", "POST", "/people/read")
        world.plan(f"call {at}: crash")
        await world.sync()
        assert world.crashes == 1
        return await judge(world)

    await tell(folder, story, wrong, "I2")


def edited_while_read(traits: Traits, *, after: bool, seconds: float = 0.0) -> Story:
    """Somebody edits so many seconds before a side is read, or just after it was."""

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, "keyed", project(), traits)

        def meanwhile(w: World, _: str) -> None:
            edit(w, "there", 0, name="Eva")
            w.clock.advance(seconds)

        world.meanwhile = meanwhile
        at = await call(world, "there", "GET", "/people?")
        world.plan(f"call {at}: person{' after' * after}")
        await world.sync()
        assert len(world.struck) == 1
        return await judge(world)

    return story


async def test_a_kernel_that_does_not_look_back_loses_what_the_index_shows_late(folder):
    def wrong(patch: Patch) -> None:
        patch.setattr(plain, "_LAG", 0)

    lags = replace(plain.Keyed.traits, index_lag=9.0)
    story = edited_while_read(lags, after=False, seconds=5)
    await tell(folder, story, wrong, "I2")


async def test_a_kernel_whose_cursor_excludes_its_own_instant_loses_edits(folder):
    """Both tellings go without the look back, which would hide it."""
    read = plain.Plain.read

    async def beyond(
        connector: Any, resource: str, feed: str, at: str | None, want: Any
    ) -> Any:
        since, _, after = (at or "").partition("|")
        if since and not after:
            then = datetime.fromisoformat(since) + timedelta(microseconds=1)
            at = f"{then.isoformat()}|"
        return await read(connector, resource, feed, at, want)

    def wrong(patch: Patch) -> None:
        patch.setattr(plain.Plain, "read", beyond)

    coarse = replace(plain.Keyed.traits, coarse_clock=True)
    await tell(
        folder,
        edited_while_read(coarse, after=True),
        wrong,
        "I2",
        off=lambda patch: patch.setattr(plain, "_LAG", 0),
    )


async def test_a_kernel_whose_cursor_is_the_latest_stamp_it_saw_loses_edits(folder):
    """One record is stamped by a server whose clock is an hour ahead. It looks back as the kernel does."""
    read, shape = plain.Plain.read, plainvendor._shape

    def stamped(patch: Patch) -> None:
        patch.setattr(
            plainvendor, "_shape", lambda r, row: {**shape(r, row), "stamp": row.stamp}
        )

    async def latest(
        connector: Any, resource: str, feed: str, at: str | None, want: Any
    ) -> Any:
        more = structs.replace(want, fields=want.fields | {"stamp"})
        page = await read(connector, resource, feed, at, more)
        stamps = [r.fields["stamp"] for r in page.records if isinstance(r, Record)]
        if page.mark is None or not stamps:
            return structs.replace(page, mark=(at or "").partition("|")[0] or page.mark)
        last = datetime.fromtimestamp(max(stamps) - plain._LAG, UTC)
        return structs.replace(page, mark=last.isoformat())

    def wrong(patch: Patch) -> None:
        patch.setattr(plain.Plain, "read", latest)

    async def story(folder: Path) -> list[str]:
        world = await begun(folder, "keyed", project())
        with Patch.context() as patch:
            ahead = world.clock.time() + 3600
            patch.setattr(PlainVendor, "_stamp", lambda _: ahead)
            edit(world, "here", 0, name="Ada")
        await world.sync()
        edit(world, "here", 1, name="Eva")
        return await judge(world)

    await tell(folder, story, wrong, "I2", off=stamped)


# -- who is who, and under which rules --------------------------------------------------


async def test_a_kernel_that_numbers_its_records_mixes_them_up_after_a_loss(folder):
    """Where the state is lost, the numbers begin again, and others get them: nobody is known any more.

    Keys that say otherwise than the identities do are held for people, so nothing is overwritten; but the hub
    asks about everybody, where the right one links all again and asks nothing.
    """
    begin: list[Any] = []

    def first_hub_id(
        _side: LiveSide, _tenant: str, record: str, _gen: int = 0
    ) -> bytes:
        ids = begin[0]
        return uuid.UUID(int=ids.setdefault(record, len(ids) + 1)).bytes

    def wrong(patch: Patch) -> None:
        patch.setattr(LiveSide, "first_hub_id", first_hub_id)

    async def relinked(hub: Hub) -> list[str]:
        n, asked = len(list(hub.links("people"))), len(list(hub.conflicts("people")))
        return [] if (n, asked) == (3, 0) else [f"I8: {n} of 3 linked, {asked} asked"]

    async def story(folder: Path) -> list[str]:
        begin[:] = [{}]
        world = await begun(folder, "keyed", project())
        edit(world, "here", 0, note="listed last now")
        await world.sync()
        world.lose_state()
        begin[:] = [{}]
        found = await judge(world)
        return found + (await world.process(relinked) or [])

    await tell(folder, story, wrong, "I8")


def rule_edited(old: str, new: str) -> Story:
    """Nobody edits a record, somebody edits a rule: so there is nothing to write.

    That both sides say different things under the new rule is for people to see to: that is not looked at.
    """

    async def story(folder: Path) -> list[str]:
        kinds = {"here": plain.Guarded, "there": plain.Keyed}
        clock = WorldClock()
        boxes = {n: PlainVendor(k, account=n, clock=clock) for n, k in kinds.items()}
        world = World(
            folder,
            project(),
            boxes,
            clock=clock,
            mappings=plain.mappings(*kinds.values()),
        )
        three(world)
        await world.sync()
        await world.sync()
        path = "mappings/person/keyed.yaml"
        text = plain.mappings()[path]
        assert old in text
        world.rewrite(path, text.replace(old, new))
        await world.sync(full=True)
        found = [*echoes(world), *await judge(world)]
        return [f for f in found if not f.startswith("I1")]

    return story


def no_fingerprint(patch: Patch) -> None:
    patch.setattr(Rule, "fingerprint", lambda _: "")


async def test_a_kernel_without_rule_fingerprints_takes_an_edited_rule_for_edits(
    folder,
):
    old = "note:  {path: note, via: [trim]}\n  phone: {path: phone, via: [trim]}"
    new = "note:  {path: phone, via: [trim]}\n  phone: {path: note, via: [trim]}"
    await tell(folder, rule_edited(old, new), no_fingerprint, "I4")


async def test_a_kernel_with_bases_of_mapped_values_takes_an_edited_rule_for_edits(
    folder,
):
    """Both tellings go without rule fingerprints, which would hide it."""
    real = {n: getattr(Bases, n) for n in ("record_hash", "settled", "moved")}

    def mapped(bases: Bases, raws: Any) -> Any:
        view, _ = bases.spoke.whole(raws)
        kept = zip(bases.spoke.kept, raws, strict=True)
        return tuple(view.get(n, raw) for n, raw in kept)

    def wrong(patch: Patch) -> None:
        def record_hash(bases: Bases, raws: Any) -> bytes:
            return real["record_hash"](bases, mapped(bases, raws))

        def settled(
            bases: Bases, hub: bytes, raws: Any, *rest: Any, **more: Any
        ) -> bytes:
            return real["settled"](bases, hub, mapped(bases, raws), *rest, **more)

        def moved(bases: Bases, base: Any, raws: Any) -> set[str]:
            return real["moved"](bases, base, mapped(bases, raws))

        patch.setattr(Bases, "record_hash", record_hash)
        patch.setattr(Bases, "settled", settled)
        patch.setattr(Bases, "moved", moved)

    story = rule_edited("{path: name, via: [trim]}", "{path: name, via: [trim, lower]}")
    await tell(folder, story, wrong, "I4", off=no_fingerprint)


RING = (("a", "b"), ("b", "c"), ("c", "a"))


async def test_a_kernel_whose_jobs_share_their_bases_loses_edits_in_a_ring(folder):
    # whose bases a side uses: those of the job that its account is the left of
    own = {
        (f"{a}{b}", side): (f"{end}{dict(RING)[end]}", "left")
        for a, b in RING
        for side, end in (("left", a), ("right", b))
    }
    bases, set_bases, begin = (
        SqliteStore.bases,
        SqliteStore.set_bases,
        Bases.__post_init__,
    )

    def wrong(patch: Patch) -> None:
        def unbound(b: Bases) -> None:
            begin(b)
            b._bound = b"shared"

        patch.setattr(Bases, "__post_init__", unbound)
        patch.setattr(
            SqliteStore,
            "bases",
            lambda s, job, side, hubs: bases(s, *own[job, side], hubs),
        )
        patch.setattr(
            SqliteStore,
            "set_bases",
            lambda s, job, side, rows: set_bases(s, *own[job, side], rows),
        )

    async def story(folder: Path) -> list[str]:
        clock = WorldClock()
        boxes = {n: PlainVendor(plain.Keyed, account=n, clock=clock) for n, _ in RING}
        text = "jobs:\n" + "".join(
            f"  {a}{b}: {{entity: person, direction: both, left: {{connection: {a}, "
            f"resource: people}}, right: {{connection: {b}, resource: people}}}}\n"
            for a, b in RING
        )
        world = World(
            folder, text, boxes, clock=clock, mappings=plain.mappings(plain.Keyed)
        )
        people(world, "a", 0)
        for _ in range(2):
            await world.sync()
        edit(world, "a", 0, name="Ada")
        return await judge(world)

    await tell(folder, story, wrong, "I1")
