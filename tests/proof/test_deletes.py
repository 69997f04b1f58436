"""What is deleted and restored: on the vendor's word or a whole listing, once, and within the guard."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from connector_hub.errors import Unavailable
from connector_hub.hub import Hub, open_hub
from connector_hub_hubspot import HubSpot

from .accounts import DAY, FOLLOWS, Accounts

HOME = ("hubspot:4211337", "contacts")
GUARDED = "deletes: {follow: true}"
"""Deletes travel, and none without a yes."""


async def linked(folder: Path, contacts: str = FOLLOWS, **more: str) -> Accounts:
    """Three people on both sides."""
    world = Accounts(folder, contacts, **more)
    for n in range(3):
        world.h(n)
    await world.sync()
    assert len(await world.pairs()) == 3
    return world


async def pair(world: Accounts, n: int = 0) -> tuple[str, str]:
    return (await world.pairs())[n]


# by each vendor's channel


async def test_hubspots_archive_is_read_once_a_day_and_in_full_passes(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    listed = "GET /crm/v3/objects/contacts"
    seen = [c for c in world.trace if listed[4:] in c.path and "archived" in c.path]
    assert len(seen) == 1
    await world.syncs(5)
    seen = [c for c in world.trace if listed[4:] in c.path and "archived" in c.path]
    assert len(seen) == 1
    assert b in world.right()
    world.clock.advance(DAY)
    assert (await world.syncs()).deleted == 1
    assert b not in world.right()
    await world.quiet()


async def test_a_full_pass_reads_hubspots_archive_whenever_it_comes(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    assert (await world.syncs(full=True)).deleted == 1
    assert b not in world.right()


async def test_salesforces_deletes_come_with_the_feed(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.s_gone(b)
    assert (await world.syncs()).deleted == 1
    assert a not in world.left()
    await world.quiet()


async def test_deletes_at_both_sides_are_quiet(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a), world.s_gone(b)
    assert (await world.syncs(full=True)).deleted == 0
    await world.quiet()


async def test_what_the_vendor_deleted_meanwhile_is_quiet_twice(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    world.meanwhile = lambda w, _: w.s_gone(b) if b in w.right() else None
    calls = await _calls_of(world, "DELETE", full=True)
    world = await linked(tmp_path / "again")
    a, b = await pair(world)
    world.h_gone(a)
    world.meanwhile = lambda w, _: w.s_gone(b) if b in w.right() else None
    world.plan(f"call {calls[0]}: person")
    receipt = await world.syncs(full=True)
    assert receipt.status == "done"
    assert b not in world.right()
    await world.quiet()


async def _calls_of(world: Accounts, method: str, **options: bool) -> list[int]:
    before = world.calls
    await world.syncs(**options)
    found = [c.number for c in world.trace if c.number >= before and c.method == method]
    assert found
    return found


# only from complete knowledge


async def test_a_page_of_the_deleted_feed_that_fails_deletes_nobody(
    tmp_path, monkeypatch
):
    world = await linked(tmp_path)
    monkeypatch.setattr("connector_hub_hubspot.connector._LIST", 1)
    for a in list(world.left())[:2]:
        world.h_gone(a)
    archived = HubSpot._archived

    async def failing(self, resource, place):
        if place.get("list"):
            raise Unavailable("the second page")
        return await archived(self, resource, place)

    monkeypatch.setattr(HubSpot, "_archived", failing)
    assert (await world.syncs(full=True)).status != "done"
    assert len(world.right()) == 3
    monkeypatch.setattr(HubSpot, "_archived", archived)
    assert (await world.syncs(full=True)).deleted == 2


async def test_who_is_hidden_is_not_deleted_across_and_goes_on_when_seen_again(
    tmp_path,
):
    """A permission is lost: the vendor does not answer a record, and does not tell it as deleted."""
    world = await linked(tmp_path)
    a, b = await pair(world)
    table = world.sandboxes["billing"].org.tables["Contact"]
    row = table.rows.pop(b)
    for n in range(4):
        world.h(record=a, city=f"City {n}")
        await world.syncs(full=n == 3)
    assert a in world.left()
    table.rows[b] = row
    world.h(record=a, city="Bogor")
    await world.syncs()
    assert world.right()[b]["MailingCity"] == "Bogor"
    assert len(world.right()) == 3
    await world.quiet()


async def test_an_id_that_is_not_answered_once_is_not_a_delete(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    table = world.sandboxes["billing"].org.tables["Contact"]
    row = table.rows.pop(b)
    world.h(record=a, city="Bogor")
    assert (await world.syncs()).stale == 1
    table.rows[b] = row
    await world.syncs()
    assert world.right()[b]["MailingCity"] == "Bogor"
    assert a in world.left()


async def test_a_feed_that_is_behind_brings_nobody_back(tmp_path, monkeypatch):
    """The feed still shows a record that was archived: it is asked for before it is believed."""
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    await world.syncs(full=True)
    search = HubSpot._search

    async def behind(self, resource, place, want):
        page = await search(self, resource, place, want)
        row = {"id": a, "properties": {"email": "p0@x.org"}, "updatedAt": None}
        stale = [self._record(resource, row, {})] if resource == "contacts" else []
        return structs.replace(page, records=[*page.records, *stale])

    monkeypatch.setattr(HubSpot, "_search", behind)
    receipt = await world.syncs()
    assert (receipt.created, receipt.updated, receipt.notes) == (0, 0, ())
    assert b not in world.right()
    known = await world.ask(lambda hub: hub.store.tombstones(*HOME, [a]))
    assert known == {a}


async def test_who_leaves_the_scope_is_not_deleted(tmp_path):
    world = Accounts(tmp_path, FOLLOWS + "\n    only: {city: [Bogor]}")
    a = world.h(1, city="Bogor")
    await world.sync()
    ((_, b),) = await world.pairs()
    world.h(record=a, city="Bandung")
    await world.syncs()
    world.s(record=b, MailingCity="Bandung")
    await world.syncs()
    world.h_gone(a)
    await world.syncs(full=True)
    assert b in world.right()


async def test_a_pilot_archives_nobody_it_is_not_about(tmp_path):
    world = await linked(tmp_path)
    (a, b), *_ = await world.pairs()
    world.h_gone(a)
    text = (tmp_path / "hub.yaml").read_text()
    others = [x for x in world.left() if x != a][:1]
    (tmp_path / "few.csv").write_text(f"left\n{others[0]}\n")
    (tmp_path / "hub.yaml").write_text(text + "    pilot: few.csv\n")
    world.clock.advance(DAY)
    async with _reopened(world) as hub:
        receipt = await hub.sync("contacts")
    assert receipt.deleted == 0
    assert b in world.right()


def _reopened(world: Accounts):
    """The hub with its files as they are by now."""
    import httpx  # noqa: PLC0415 - needed here only

    wires = {n: httpx.ASGITransport(app=s.app) for n, s in world.sandboxes.items()}
    return open_hub(
        world.folder, environ=world._environ, transports=wires, clock=world.clock
    )


# the edit survives


async def test_who_was_edited_stays_though_the_other_is_deleted_and_is_told_once(
    tmp_path,
):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    world.s(record=b, MailingCity="Bogor")
    receipt = await world.syncs(full=True)
    assert receipt.deleted == 0
    assert any("was edited, and stays" in n for n in receipt.notes)
    assert world.right()[b]["MailingCity"] == "Bogor"
    receipt = await world.syncs(full=True)
    assert not any("stays" in n for n in receipt.notes)
    world.clock.advance(DAY)
    assert (await world.syncs()).deleted == 0
    assert b in world.right()
    await world.quiet()


async def test_an_edit_between_plan_and_archive_survives(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    held = await world.ask(lambda hub: hub.plan("contacts", options=_full()))
    assert held.count("delete") == 1
    world.s(record=b, MailingCity="Bogor")
    receipt = await world.ask(lambda hub: hub.apply(held.id))
    assert receipt.stale == 1
    await world.syncs(full=True)
    assert world.right()[b]["MailingCity"] == "Bogor"


def _full():
    from connector_hub.hub import Options  # noqa: PLC0415 - needed here only

    return Options(full=True)


# parents and children


async def test_a_company_with_people_is_not_deleted_with_them(tmp_path):
    """HubSpot keeps people whose company is archived; Salesforce would delete them with theirs."""
    world = Accounts(tmp_path, FOLLOWS, companies=FOLLOWS)
    firm = world.firm()
    people = [world.h(n) for n in range(3)]
    for p in people:
        world.employ(p, firm)
    await world.syncs(2)
    ((_, account),) = await world.pairs("companies")
    assert {r["AccountId"] for r in world.right().values()} == {account}
    world.h_gone(firm, "companies")
    await world.syncs(full=True)
    assert len(world.right()) == 3
    assert account in world.right("Account")
    (letter,) = await world.ask(lambda hub: list(hub.dead_letters("companies")))
    assert letter.reason == "HOLDS_OTHERS"
    for row in world.right():
        world.s(record=row, AccountId=None)
    await world.syncs(full=True)
    assert account not in world.right("Account")
    assert await world.ask(lambda hub: list(hub.dead_letters("companies"))) == []
    assert len(world.right()) == len(world.left()) == 3
    await world.quiet()


@pytest.mark.parametrize("direction", ["left-to-right", "both"])
async def test_people_whose_company_is_archived_keep_their_account(tmp_path, direction):
    """Its delete is not followed: it says nothing about who works where."""
    world = Accounts(tmp_path, direction=direction)
    firm, a = world.firm(), world.h()
    world.employ(a, firm)
    await world.syncs(2)
    (row,) = world.right().values()
    assert row["AccountId"]
    world.h_gone(firm, "companies")
    await world.syncs(2)
    for city in ("Bandung", "Bogor"):
        world.h(record=a, city=city)
        await world.syncs(2)
    (row,) = world.right().values()
    assert (row["MailingCity"], bool(row["AccountId"])) == ("Bogor", True)
    world.h_back(firm, "companies")
    await world.syncs(2)
    assert world.works_for(a) == firm
    await world.quiet()


async def test_an_account_deleted_with_its_people_takes_their_copies_and_brings_them_back(
    tmp_path,
):
    world = Accounts(tmp_path, FOLLOWS, companies=FOLLOWS)
    account = world.account()
    for n in range(2):
        world.s(n, AccountId=account)
    await world.syncs(2)
    world.s_gone(account, "Account")
    assert world.right() == {}
    await world.syncs()
    assert world.left() == {}
    assert world.left("companies") == {}
    world.s_back(account, "Account")
    receipt = await world.syncs()
    assert len(world.right()) == 2
    assert world.left() == {}
    assert any("is back" in n for n in receipt.notes)


async def test_a_company_and_its_people_deleted_at_hubspot_follow_children_first(
    tmp_path,
):
    world = Accounts(tmp_path, FOLLOWS, companies=FOLLOWS)
    firm, a = world.firm(), world.h()
    world.employ(a, firm)
    await world.syncs(2)
    world.h_gone(firm, "companies")
    world.h_gone(a)
    await world.syncs(3, full=True)
    assert world.right() == world.right("Account") == {}
    assert await world.ask(lambda hub: list(hub.dead_letters("companies"))) == []


# mass deletes


@pytest.mark.parametrize("side", ["left", "right"])
async def test_an_emptied_side_stops_at_the_guard_and_says_how_to_allow_it(
    tmp_path, side
):
    world = await linked(tmp_path, GUARDED)
    gone, rows = (
        (world.h_gone, world.left) if side == "left" else (world.s_gone, world.right)
    )
    across = world.right if side == "left" else world.left
    for record in list(rows()):
        gone(record)
    world.clock.advance(DAY)
    before, writes = across(), len(world.truth.history)
    receipt = await world.syncs()
    assert receipt.status == "refused"
    assert receipt.error["code"] == "GuardTripped"
    assert across() == before
    assert len(world.truth.history) == writes

    async def refused(hub: Hub) -> str:
        with pytest.raises(Exception, match="would delete 3 records") as e:
            await hub.sync("contacts")
        assert e.value.exit_code == 6
        return str(e.value.hint)

    assert "--allow-deletes N" in await world.ask(refused)
    assert (await world.syncs(allow_deletes=2)).status == "refused"
    assert across() == before
    assert (await world.syncs(allow_deletes=3)).deleted == 3
    assert across() == {}
    await world.quiet()


async def test_a_side_that_answers_nothing_at_all_deletes_nobody(tmp_path):
    """Every record is hidden: no tombstones, so nothing is known to be deleted."""
    world = await linked(tmp_path, "deletes: {follow: true}\n    guard: {delete: 100%}")
    table = world.sandboxes["billing"].org.tables["Contact"]
    rows, table.rows = table.rows, {}
    await world.syncs(3, full=True)
    assert len(world.left()) == 3
    table.rows = rows
    await world.syncs(2, full=True)
    assert len(world.left()) == len(world.right()) == len(await world.pairs()) == 3
    await world.quiet()


# files: a listing of all there is


class Filed(Accounts):
    """A CSV file at the left."""

    @property
    def csv(self) -> Path:
        return self.folder / "data" / "contacts.csv"

    def write(self, *numbers: int) -> None:
        self.csv.parent.mkdir(parents=True, exist_ok=True)
        rows = [f"{n},p{n}@x.org,Person {n}," for n in numbers]
        head = "id,email,family_name,connector_hub_id"
        self.csv.write_text("\n".join([head, *rows]) + "\n")


FILES = """\
connections:
  sales: {connector: files, folder: data}
"""


async def filed(folder: Path, contacts: str = FOLLOWS) -> Filed:
    world = Filed(folder)
    text = (folder / "hub.yaml").read_text()
    rest = text[text.index("jobs:") :].replace("resource: companies", "resource: firms")
    i = rest.index("  companies:")
    rest = rest[:i] + rest[rest.index("  contacts:") :]
    key = world.sandboxes["billing"].connection()
    secret = key["client_secret"].replace("env:", "env:BILLING_")
    billing = {**key, "client_secret": secret}
    head = FILES + "  billing: " + str(billing).replace("'", '"') + "\n"
    (folder / "hub.yaml").write_text(head + rest + f"    {contacts}\n")
    world.write(1, 2, 3)
    async with _reopened(world) as hub:
        await hub.sync("contacts")
    assert len(world.right()) == 3
    return world


async def test_a_row_that_is_gone_from_a_file_is_deleted_across(tmp_path):
    world = await filed(tmp_path)
    world.write(1, 3)
    async with _reopened(world) as hub:
        assert (await hub.plan("contacts")).count("delete") == 1
        assert (await hub.sync("contacts")).deleted == 1
    assert sorted(r["Email"] for r in world.right().values()) == [
        "p1@x.org",
        "p3@x.org",
    ]
    async with _reopened(world) as hub:
        assert (await hub.sync("contacts")).writes == {"sales": 0, "billing": 0}


async def test_a_row_that_is_gone_is_not_deleted_where_deletes_do_not_travel(tmp_path):
    world = await filed(tmp_path, "")
    world.write(1)
    async with _reopened(world) as hub:
        await hub.sync("contacts")
    assert len(world.right()) == 3


async def test_deletes_a_limit_puts_off_are_made_later_though_the_file_stays(tmp_path):
    from connector_hub.hub import Options  # noqa: PLC0415 - needed here only

    world = await filed(tmp_path)
    world.write(1)
    async with _reopened(world) as hub:
        assert (await hub.sync("contacts", options=Options(limit=1))).deleted == 1
        assert (await hub.sync("contacts")).deleted == 1
    assert len(world.right()) == 1


async def test_a_row_that_is_not_answered_is_not_deleted_while_the_file_was_not_read(
    tmp_path,
):
    world = await filed(tmp_path)
    async with _reopened(world) as hub:
        hub.store.forget("contacts", "left", ["2"])
        assert (await hub.sync("contacts")).deleted == 0
    assert len(world.right()) == 3


async def test_an_emptied_file_stops_at_the_guard(tmp_path):
    world = await filed(tmp_path, GUARDED)
    world.write()
    async with _reopened(world) as hub:
        for _ in range(2):
            with pytest.raises(Exception, match="would delete 3 records") as e:
                await hub.sync("contacts")
            assert e.value.exit_code == 6
    assert len(world.right()) == 3


async def test_a_file_written_while_it_is_read_lists_not_all_there_is(
    tmp_path, monkeypatch
):
    """A row taken out of the first page while the second is read moves the others up: one is not seen."""
    monkeypatch.setattr("connector_hub_files.connector._PAGE", 2)
    world = await filed(tmp_path)
    world.write(1, 2, 3, 4, 5)
    async with _reopened(world) as hub:
        await hub.sync("contacts")
    world.write(1, 2, 3, 4, 5, 6)
    from connector_hub_files.connector import Files  # noqa: PLC0415 - needed here only

    read, pages = Files.read, []

    async def reading(self, resource, feed, at, want):
        page = await read(self, resource, feed, at, want)
        pages.append(page)
        if len(pages) == 1:
            world.write(2, 3, 4, 5, 6)
        return page

    monkeypatch.setattr(Files, "read", reading)
    async with _reopened(world) as hub:
        assert (await hub.sync("contacts")).deleted == 0
        assert len(world.right()) == 6
        assert (await hub.sync("contacts")).deleted == 1
    assert "p1@x.org" not in {r["Email"] for r in world.right().values()}


# restores


@pytest.mark.parametrize("side", ["left", "right"])
async def test_who_is_restored_is_linked_again_and_merged_three_ways(tmp_path, side):
    world = await linked(tmp_path, "")
    a, b = await pair(world)
    if side == "left":
        world.h_gone(a)
    else:
        world.s_gone(b)
    await world.syncs(full=True)
    if side == "left":
        world.s(record=b, MailingCity="Bogor", Title="Chief")
        await world.syncs()
        world.h_back(a)
        world.h(record=a, country="ID")
    else:
        world.h(record=a, city="Bogor", jobtitle="Chief")
        await world.syncs()
        world.s_back(b)
        world.s(record=b, MailingCountry="ID")
    await world.syncs()
    here, there = world.left()[a], world.right()[b]
    assert (here["city"], there["MailingCity"]) == ("Bogor", "Bogor")
    assert (here["jobtitle"], there["Title"]) == ("Chief", "Chief")
    assert (here["country"], there["MailingCountry"]) == ("ID", "ID")
    assert len(world.left()) == len(world.right()) == 3
    assert await world.questions() == []
    await world.quiet()


@pytest.mark.parametrize("direction", ["left-to-right", "both"])
async def test_a_copy_that_is_restored_gets_what_it_missed(tmp_path, direction):
    world = await linked(tmp_path, "", direction=direction)
    a, b = await pair(world)
    world.s_gone(b)
    await world.syncs()
    world.h(record=a, city="Bogor")
    await world.syncs()
    world.s_back(b)
    await world.syncs()
    assert world.right()[b]["MailingCity"] == "Bogor"
    assert len(world.right()) == 3
    await world.quiet()


async def test_what_the_hub_archived_and_a_person_restored_is_not_archived_again(
    tmp_path,
):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    assert (await world.syncs(full=True)).deleted == 1
    world.s_back(b)
    receipt = await world.syncs()
    assert receipt.deleted == 0
    assert any("is back" in n for n in receipt.notes)
    for _ in range(2):
        world.clock.advance(DAY)
        receipt = await world.syncs()
        assert receipt.deleted == 0
        assert not any("is back" in n for n in receipt.notes)
    assert b in world.right()
    assert a not in world.left()
    await world.quiet()


async def test_a_pair_that_is_restored_at_both_sides_is_one_again(tmp_path):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    await world.syncs(full=True)
    world.s_back(b)
    await world.syncs()
    world.h_back(a)
    world.h(record=a, city="Bogor")
    await world.syncs()
    assert (a, b) in await world.pairs()
    assert world.right()[b]["MailingCity"] == "Bogor"
    world.h_gone(a)
    assert (await world.syncs(full=True)).deleted == 1, "a later delete is news again"
    assert b not in world.right()


async def test_who_is_created_anew_meets_the_survivor(tmp_path):
    """A contact is deleted and made again with the same address: its blanks erase nothing."""
    world = await linked(tmp_path, "")
    a, b = await pair(world)
    world.h(record=a, city="Bogor", jobtitle="Chief")
    await world.syncs()
    world.h_gone(a)
    await world.syncs(full=True)
    email = world.right()[b]["Email"]
    again = world.h(9, email=email, lastname="Anew")
    was = await _thing(world, b)
    await world.syncs()
    assert (again, b) in await world.pairs()
    assert await _thing(world, b) == was, "other jobs know it by what it is"
    assert len(world.right()) == 3
    assert world.left()[again]["city"] == "Bogor"
    assert world.right()[b]["MailingCity"] == "Bogor"
    await world.quiet()


async def _thing(world: Accounts, record: str) -> object:
    query = "select thing from link where record=?"
    return await world.ask(lambda hub: hub.store._one(query, (record,)))


async def test_who_is_created_anew_is_asked_about_until_somebody_answers(tmp_path):
    world = await linked(tmp_path, 'first: {"*": ask}')
    a, b = await pair(world)
    world.h_gone(a)
    name = world.right()[b]["LastName"]
    again = world.h(9, email=world.right()[b]["Email"], lastname="Anew")
    await world.syncs()
    for city in ("Bogor", "Solo"):
        world.h(record=again, city=city)
        await world.syncs()
        assert world.right()[b]["LastName"] == name
        assert world.left()[again]["lastname"] == "Anew"
    assert await world.questions() == ["fields"]


async def test_who_was_created_anew_spares_the_survivor_the_delete_that_follows(
    tmp_path,
):
    world = await linked(tmp_path)
    a, b = await pair(world)
    world.h_gone(a)
    again = world.h(9, email=world.right()[b]["Email"])
    receipt = await world.syncs(full=True)
    assert receipt.deleted == 0
    assert (again, b) in await world.pairs()
    assert len(world.right()) == 3
    await world.quiet()


async def test_who_is_restored_when_somebody_was_made_in_his_place_is_a_question(
    tmp_path,
):
    """Deleted, followed, made anew on both sides, then the old copy is restored: told as twins."""
    world = await linked(tmp_path)
    a, b = await pair(world)
    email = world.right()[b]["Email"]
    world.h_gone(a)
    await world.syncs(full=True)
    world.h(9, email=email, lastname="Anew")
    await world.syncs()
    assert len(world.right()) == 3
    world.s_back(b)
    await world.syncs()
    assert len(world.left()) == 3
    assert len(world.right()) == 4
    assert await world.questions() == ["twins"]
    await world.quiet()


async def test_who_is_restored_when_the_survivor_has_met_another_is_a_question(
    tmp_path,
):
    world = await linked(tmp_path, "")
    a, b = await pair(world)
    email = world.left()[a]["email"]
    world.s_gone(b)
    await world.syncs()
    again = world.s(9, Email=email, LastName="Anew")
    await world.syncs()
    assert (a, again) in await world.pairs()
    world.s_back(b)
    await world.syncs()
    assert len(world.left()) == 3
    assert await world.questions() == ["twins"]
    assert (a, again) in await world.pairs()
    await world.quiet()
