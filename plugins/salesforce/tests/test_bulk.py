"""The connector's asynchronous way, against the sandbox's Bulk API 2.0."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connector_hub.sdk import (
    ConfigError,
    Done,
    Exists,
    InDoubt,
    Pending,
    Rejected,
    Unavailable,
    Write,
)
from connector_hub.testing.sandbox import Fault
from connector_hub_salesforce import Salesforce, bulk
from connector_hub_salesforce.sandbox import SalesforceSandbox

KEY = "0190f2f4-1111-7222-8333-{:012}"


def create(i: int, **fields: Any) -> Write:
    return Write(
        "create", f"t{i}", KEY.format(i), fields={"LastName": f"L{i}"} | fields
    )


def update(record: str, i: int, **fields: Any) -> Write:
    return Write("update", f"t{i}", KEY.format(i), record, fields=fields)


@pytest.fixture
def sandbox() -> SalesforceSandbox:
    made = SalesforceSandbox()
    made.bulk_seconds = 0
    return made


async def ticket_of(sf: Salesforce, writes: list[Write], to: str = "Contact") -> str:
    way = sf.resource(to).asynchronous_way(writes[0].op)
    assert way is not None
    told = await sf.write(to, writes, way=way)
    assert isinstance(told, Pending)
    return told.ticket


async def told(sf: Salesforce, writes: list[Write], ticket: str) -> list[Any]:
    while isinstance(found := await sf.outcomes("Contact", writes, ticket), Pending):
        ticket = found.ticket
    return list(found)


async def carried_out(sf: Salesforce, *writes: Write) -> list[Any]:
    return await told(sf, list(writes), await ticket_of(sf, list(writes)))


async def test_rows_come_back_in_no_order_and_each_has_its_own_outcome(wire, sandbox):
    sf = wire(sandbox)
    writes = [create(i) for i in range(60)]
    writes[7] = create(7, LastName=None, Title="x")
    writes[9] = create(9, Email="no address")
    found = await carried_out(sf, *writes)
    assert [type(o) for o in found].count(Done) == 58
    assert isinstance(found[7], Rejected)
    assert (found[7].reason, found[7].fields) == (
        "REQUIRED_FIELD_MISSING",
        ("LastName",),
    )
    assert found[9].reason == "INVALID_EMAIL_ADDRESS"
    names = {r["Id"]: r["LastName"] for r in sandbox.live("Contact")}
    done = [(w, o) for w, o in zip(writes, found, strict=True) if isinstance(o, Done)]
    assert all(names[o.id] == w.fields["LastName"] and o.created for w, o in done)


async def test_every_kind_of_value_arrives_as_by_a_collection(wire, sandbox):
    sandbox.edit("Account", {"Name": "A", "Connector_Hub_Id__c": "acme"})
    sf = wire(sandbox)
    fields = {
        "FirstName": 'a "quoted", name\nin two lines',
        "Birthdate": date(1999, 1, 2),
        "HasOptedOutOfEmail": True,
        "Title": "Ó ☂",
        "Account.Connector_Hub_Id__c": "acme",
    }
    apart = await carried_out(sf, create(1, **fields))
    way = sf.resource("Contact").way("create")
    plain = await sf.write("Contact", [create(2, **fields)], way=way)
    rows = {r["Id"]: r for r in sandbox.live("Contact")}
    one, two = rows[apart[0].id], rows[plain[0].id]
    own = {"Id", "LastName", "Name", "Connector_Hub_Id__c", "CreatedDate"}
    own |= {"LastModifiedDate", "SystemModstamp", "attributes"}
    assert {n: v for n, v in one.items() if n not in own} == {
        n: v for n, v in two.items() if n not in own
    }
    assert one["AccountId"] is not None


def test_cells_are_texts_that_only_say_what_they_mean():
    values = {
        "A__c": None,
        "B__c": "  ",
        "C__c": Decimal("10.50"),
        "D__c": datetime(2026, 5, 1, 7, 25, 37, tzinfo=UTC),
        "E__c": ("a", "b"),
        "F__c": False,
        "G__c": (),
    }
    text = bulk.sheet([Write("update", "t", "k", "003", fields=values)], "Key__c")
    head, row = text.decode().splitlines()
    assert head == '"Id","A__c","B__c","C__c","D__c","E__c","F__c","G__c"'
    assert row == (
        '"003","#N/A","#N/A","10.50","2026-05-01T07:25:37.000Z","a;b","false","#N/A"'
    )


async def test_a_field_is_cleared_and_others_are_left(wire, sandbox):
    one = sandbox.edit("Contact", {"LastName": "A", "Title": "T", "Fax": "1"})["Id"]
    two = sandbox.edit("Contact", {"LastName": "B", "Title": "T", "Fax": "1"})["Id"]
    sf = wire(sandbox)
    found = await carried_out(sf, update(one, 1, Title=None), update(two, 2, Fax="2"))
    assert [type(o) for o in found] == [Done, Done]
    rows = {r["Id"]: (r["Title"], r["Fax"]) for r in sandbox.live("Contact")}
    assert rows == {one: (None, "1"), two: ("T", "2")}


async def test_the_text_that_means_nothing_in_csv_is_written_all_the_same(
    wire, sandbox
):
    sf = wire(sandbox)
    found = await carried_out(sf, create(1), create(2, Title="#N/A"))
    assert [type(o) for o in found] == [Done, Done]
    rows = {r["Id"]: r["Title"] for r in sandbox.live("Contact")}
    assert rows[found[1].id] == "#N/A"


async def test_a_job_is_filled_and_closed_once_whoever_asks(wire, sandbox):
    sf, another = wire(sandbox), wire(sandbox)
    writes = [create(i) for i in range(3)]
    ticket = await ticket_of(sf, writes)
    assert sandbox.live("Contact") == []
    at = f"jobs/ingest/{ticket}"
    sandbox.faults.append(
        Fault(f"PUT /services/data/v66.0/{at}", 503, times=1, after=True)
    )
    sandbox.faults.append(
        Fault(f"PATCH /services/data/v66.0/{at}", 503, times=1, after=True)
    )
    assert isinstance(await another.outcomes("Contact", writes, ticket), Pending)
    found = await told(sf, writes, ticket)
    assert [type(o) for o in found] == [Done] * 3
    assert await told(another, writes, ticket) == found
    assert len(sandbox.live("Contact")) == 3


async def test_a_job_that_is_gone_says_nothing_of_its_rows(wire, sandbox):
    sf = wire(sandbox)
    writes = [create(1)]
    ticket = await ticket_of(sf, writes)
    await told(sf, writes, ticket)
    sandbox.clock.advance(8 * 86_400)
    (found,) = await told(sf, writes, ticket)
    assert isinstance(found, InDoubt)


async def test_rows_an_aborted_job_did_not_come_to_are_to_be_sent_again(wire, sandbox):
    sandbox.bulk_seconds = 1000
    sf = wire(sandbox)
    writes = [create(i) for i in range(10)]
    ticket = await ticket_of(sf, writes)
    await sf.outcomes("Contact", writes, ticket)
    sandbox.clock.advance(500)
    sandbox.jobs.work()
    sandbox.jobs.jobs[ticket].state = "Aborted"
    found = await told(sf, writes, ticket)
    assert sorted(type(o).__name__ for o in found) == ["Done"] * 5 + ["Unavailable"] * 5


async def test_busy_rows_and_duplicates_are_sorted_as_in_a_collection(wire, sandbox):
    sandbox.org.duplicate_rule = True
    sandbox.edit("Contact", {"LastName": "A", "Email": "a@x.org"})
    held = sandbox.edit("Account", {"Name": "A"})["Id"]
    sandbox.lock(held)
    sf = wire(sandbox)
    writes = create(1, Email="A@x.org"), create(2, AccountId=held), create(3)
    found = await carried_out(sf, *writes)
    assert [type(o) for o in found] == [Exists, Unavailable, Done]


async def test_a_column_the_account_does_not_have_is_a_matter_of_the_mapping(
    wire, sandbox
):
    with pytest.raises(ConfigError, match="Field name not found : Shoe__c"):
        await carried_out(wire(sandbox), create(1, Shoe__c="44"))
    assert sandbox.live("Contact") == []


async def test_looks_are_as_far_apart_as_the_job_is_old(wire, sandbox):
    sandbox.bulk_seconds = 300
    sf = wire(sandbox)
    writes = [create(1)]
    ticket = await ticket_of(sf, writes)
    waits = []
    while isinstance(found := await sf.outcomes("Contact", writes, ticket), Pending):
        waits.append(found.again_in)
        sandbox.clock.advance(found.again_in)
    assert waits[0] == 5
    assert len(waits) <= 8
    assert sum(waits) >= 300
    spent = sum(n for r, n in sandbox.calls.items() if "/jobs" in r)
    assert spent <= bulk.CALLS


async def test_what_is_too_large_for_a_job_goes_by_collections(
    wire, sandbox, monkeypatch
):
    monkeypatch.setattr(bulk, "BYTES", 100)
    sf = wire(sandbox)
    way = sf.resource("Contact").asynchronous_way("create")
    found = await sf.write("Contact", [create(i) for i in range(450)], way=way)
    assert [type(o) for o in found] == [Done] * 450
    assert sum(n for r, n in sandbox.calls.items() if "/composite" in r) == 3


async def test_a_page_of_html_is_no_result(wire, sandbox):
    sf = wire(sandbox)
    writes = [create(1)]
    ticket = await ticket_of(sf, writes)
    await sf.outcomes("Contact", writes, ticket)
    sandbox.faults.append(Fault("successfulResults", 200, body="<html>", times=None))
    with pytest.raises(Unavailable):
        await sf.outcomes("Contact", writes, ticket)
