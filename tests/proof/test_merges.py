"""Merges at the vendors: a link goes to the survivor, nobody is deleted across, and nothing is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from msgspec import structs

from connector_hub.sdk import Gone
from connector_hub_hubspot import HubSpot

from .accounts import DAY, FOLLOWS, Accounts


@pytest.fixture(params=[False, True], ids=["kept", "anew"])
def anew(request) -> bool:
    """Whether HubSpot gives the survivor an id of its own."""
    return bool(request.param)


async def linked(
    folder: Path, contacts: str = FOLLOWS, *, people: int = 2, anew: bool = False
) -> tuple[Accounts, list[tuple[str, str]]]:
    """So many people on both sides, and who is whom."""
    world = Accounts(folder, contacts)
    world.sandboxes["sales"].merges_anew = anew
    for n in range(people):
        world.h(n, city=f"City {n}")
    await world.sync()
    pairs = await world.pairs()
    assert len(pairs) == people
    return world, pairs


async def test_a_losers_link_goes_to_the_survivor_that_has_none(tmp_path, anew):
    world, [(x, there), *_] = await linked(tmp_path, people=1, anew=anew)
    world.h(7, email="other@x.org", lastname="Other")
    (other,) = set(world.left()) - {x}
    survivor = await world.h_merge(other, x)
    await world.syncs()
    assert await world.pairs() == [(survivor, there)]
    assert world.right()[there]["MailingCity"] == "City 0"
    assert len(world.right()) == 1
    world.clock.advance(DAY)
    assert (await world.syncs()).deleted == 0
    await world.quiet()


async def test_two_linked_ones_merged_at_hubspot_are_a_question_and_both_copies_stay(
    tmp_path, anew
):
    world, [(x, a), (y, b)] = await linked(tmp_path, anew=anew)
    survivor = await world.h_merge(y, x)
    await world.syncs(full=True)
    assert set(world.right()) == {a, b}
    assert await world.questions() == ["merged"]
    world.clock.advance(DAY)
    await world.syncs(full=True)
    assert set(world.right()) == {a, b}
    world.s_merge(b, a)
    await world.syncs(2)
    assert await world.questions() == []
    assert await world.pairs() == [(survivor, b)]
    await world.quiet()


async def test_two_linked_ones_merged_at_salesforce_are_a_question_and_both_copies_stay(
    tmp_path,
):
    world, [(x, a), (y, b)] = await linked(tmp_path)
    world.s_merge(a, b)
    await world.syncs(full=True)
    assert set(world.left()) == {x, y}
    assert await world.questions() == ["merged"]
    await world.h_merge(x, y)
    await world.syncs(2)
    assert await world.questions() == []
    assert await world.pairs() == [(x, a)]
    await world.quiet()


@pytest.mark.parametrize("between", [0, 1])
async def test_merges_that_cross_meet_and_what_differs_is_asked(
    tmp_path, between, anew
):
    """At the left x goes into y, at the right b goes into a: y and a are one, nobody overwrites the other."""
    world, [(x, a), (y, b)] = await linked(tmp_path, anew=anew)
    survivor = await world.h_merge(y, x)
    if between:
        await world.syncs()
    seen = world.right()[a]["MailingCity"]
    world.s_merge(a, b)
    await world.syncs(3)
    assert await world.pairs() == [(survivor, a)]
    assert list(world.left()) == [survivor]
    assert list(world.right()) == [a]
    assert world.left()[survivor]["city"] == "City 1"
    assert world.right()[a]["MailingCity"] == seen
    if seen == "City 0":
        assert await world.questions() == ["fields"]
        await world.quiet()
        (question,) = await world.ask(lambda hub: list(hub.conflicts("contacts")))
        await world.ask(lambda hub: hub.resolve(question, "left"))
        await world.syncs(2)
    else:
        assert (between, anew) == (1, True), (
            "the new record's values had travelled before"
        )
    assert world.right()[a]["MailingCity"] == "City 1"
    assert await world.questions() == []
    await world.quiet()


async def test_merges_that_cross_under_a_policy_are_settled_by_it(tmp_path):
    world, [(x, a), (y, b)] = await linked(
        tmp_path, FOLLOWS + '\n    conflicts: {"*": right}'
    )
    await world.h_merge(y, x)
    world.s_merge(a, b)
    await world.syncs(3)
    assert await world.pairs() == [(y, a)]
    assert world.left()[y]["city"] == world.right()[a]["MailingCity"] == "City 0"
    await world.quiet()


async def test_a_merge_into_one_whose_copy_was_deleted_takes_the_losers(tmp_path):
    world, [(x, a), (y, b)] = await linked(tmp_path, "")
    world.s_gone(b)
    await world.syncs()
    await world.h_merge(y, x)
    await world.syncs(2)
    assert await world.pairs() == [(y, a)]
    assert list(world.right()) == [a]
    assert set(await world.questions()) <= {"fields"}
    await world.quiet()


@pytest.mark.parametrize("pulls", [1, 2])
@pytest.mark.parametrize("side", ["left", "right"])
async def test_chains_of_merges_in_one_pull_and_over_several(
    tmp_path, pulls, side, anew
):
    world, [(x, a)] = await linked(tmp_path, people=1, anew=anew)
    for n in (8, 9):
        if side == "left":
            x = await world.h_merge(world.h(n, email=f"{n}@x.org"), x)
        else:
            other = world.s(n, Email=f"{n}@x.org")
            world.s_merge(other, a)
            a = other
        if pulls > 1:
            await world.syncs()
    want = [(x, a)]
    await world.syncs(2)
    assert await world.pairs() == want
    assert len(world.left()) == len(world.right()) == 1
    await world.quiet()


@pytest.mark.parametrize("both", [False, True])
async def test_a_loser_that_is_told_as_deleted_besides_deletes_nobody(
    tmp_path, monkeypatch, both
):
    """An archive that shows what was merged away, too: the copy is the survivor's, or asked about."""
    world, pairs = await linked(tmp_path, people=2 if both else 1)
    x, a = pairs[0]
    y = pairs[1][0] if both else world.h(8, email="y@x.org")
    await world.h_merge(y, x)
    await world.syncs(3)
    archived = HubSpot._archived

    async def telling(self, resource, place):
        page = await archived(self, resource, place)
        return structs.replace(page, records=[*page.records, Gone(x)])

    monkeypatch.setattr(HubSpot, "_archived", telling)
    world.clock.advance(DAY)
    assert (await world.syncs()).deleted == 0
    assert a in world.right()


async def test_a_survivor_that_is_deleted_is_deleted_across_once(tmp_path):
    world, [(x, _)] = await linked(tmp_path, people=1)
    y = world.h(8, email="y@x.org")
    await world.h_merge(y, x)
    await world.syncs()
    world.h_gone(y)
    assert (await world.syncs(full=True)).deleted == 1
    assert world.right() == {}


async def test_a_survivor_that_is_deleted_before_the_hub_has_seen_it_is_followed(
    tmp_path, anew
):
    world, [(x, _)] = await linked(tmp_path, people=1, anew=anew)
    survivor = await world.h_merge(world.h(8, email="y@x.org"), x)
    world.h_gone(survivor)
    assert (await world.syncs(full=True)).deleted == 1
    assert world.right() == {}
    assert await world.pairs() == []
    await world.quiet()


async def test_what_was_merged_away_and_is_restored_is_no_twin(tmp_path):
    """Salesforce gives the loser of a merge back as a record of its own."""
    world, [(x, a), (y, b)] = await linked(tmp_path)
    await world.h_merge(x, y)
    world.s_merge(a, b)
    await world.syncs(2)
    assert await world.pairs() == [(x, a)]
    world.s_back(b)
    await world.syncs(2)
    emails = [r.get("email") for r in world.left().values()]
    assert len(emails) == len(set(emails))
    assert (x, a) in await world.pairs()
    held = await world.questions()
    assert len(await world.pairs()) + len(held) == 2
    await world.quiet()


# with something open


async def test_a_record_with_a_dead_letter_is_merged_away(tmp_path):
    world, [(x, a)] = await linked(tmp_path, people=1)
    world.h(record=x, jobtitle="x" * 200)
    await world.syncs()
    assert len(await world.ask(lambda hub: list(hub.dead_letters("contacts")))) == 1
    y = world.h(8, email="y@x.org", jobtitle="Chief")
    await world.h_merge(y, x)
    await world.syncs(2)
    assert await world.ask(lambda hub: list(hub.dead_letters("contacts"))) == []
    assert world.right()[a]["Title"] == "Chief"
    assert await world.pairs() == [(y, a)]
    await world.quiet()


async def test_a_record_that_is_asked_about_is_merged_away(tmp_path):
    world, [(x, a)] = await linked(tmp_path, people=1)
    world.h(record=x, city="Bogor"), world.s(record=a, MailingCity="Bandung")
    await world.syncs()
    assert await world.questions() == ["fields"]
    y = world.h(8, email="y@x.org", city="Solo")
    await world.h_merge(y, x)
    await world.syncs(2)
    assert await world.pairs() == [(y, a)]
    assert await world.questions() == ["fields"]
    assert (world.left()[y]["city"], world.right()[a]["MailingCity"]) == (
        "Solo",
        "Bandung",
    )
    await world.quiet()


@pytest.mark.parametrize("op", ["create", "update"])
@pytest.mark.parametrize("after", [False, True])
async def test_a_record_is_merged_away_while_its_write_is_in_doubt(tmp_path, op, after):
    """The hub is killed at the write; the record it wrote from is merged before it comes back."""

    async def story(folder: Path) -> tuple[Accounts, str, str]:
        world = Accounts(folder, FOLLOWS)
        x, y = world.h(1, city="Bogor"), world.h(2)
        if op == "update":
            await world.sync()
            world.h(record=x, city="Solo")
        return world, x, y

    world, *_ = await story(tmp_path / "rehearsal")
    before = world.calls
    await world.sync()
    (at,) = [
        c.number
        for c in world.trace
        if c.number >= before and c.method == "PATCH" and c.side == "billing"
    ]
    world, x, y = await story(tmp_path / "real")
    world.plan(f"call {at}: crash{' after' if after else ''}")
    await world.sync()
    assert world.crashes == 1
    survivor = await world.h_merge(x, y)
    await world.syncs(3)
    linked_to = dict(await world.pairs())
    assert len(world.left()) == 1
    assert survivor in linked_to
    if op == "create" and not after:
        assert len(world.right()) == 1
    else:
        assert len(world.right()) == 2, "neither copy is deleted"
        assert await world.questions() == ["merged"]
    city = "Solo" if op == "update" else "Bogor"
    assert city in {r["MailingCity"] for r in world.right().values()}
    await world.quiet()


@pytest.mark.parametrize(
    ("left", "right"),
    list(itertools.product(["x into y", "y into x"], ["a into b", "b into a"])),
)
async def test_companies_with_people_are_merged_at_both_sides(tmp_path, left, right):
    world = Accounts(tmp_path, FOLLOWS, companies=FOLLOWS)
    firms = {"x": world.firm(1), "y": world.firm(2)}
    staff = {w: world.h(n) for n, w in enumerate(firms)}
    for w, person in staff.items():
        world.employ(person, firms[w])
    await world.syncs(2)
    accounts = dict(
        zip("ab", [b for _, b in await world.pairs("companies")], strict=True)
    )
    loser, survivor = left[0], left[-1]
    await world.h_merge(firms[survivor], firms[loser], "companies")
    world.s_merge(accounts[right[-1]], accounts[right[0]], "Account")
    await world.syncs(3)
    assert await world.pairs("companies") == [(firms[survivor], accounts[right[-1]])]
    assert len(world.left()) == len(world.right()) == 2
    assert {world.works_for(p) for p in staff.values()} == {firms[survivor]}
    assert {r["AccountId"] for r in world.right().values()} == {accounts[right[-1]]}
    await world.quiet()
