from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr

from connector_hub.sdk import (
    AuthError,
    ConfigError,
    Done,
    Exists,
    Gone,
    InDoubt,
    MarkLost,
    Missing,
    RateLimited,
    Record,
    Rejected,
    Stale,
    Want,
    Write,
)
from connector_hub.testing.sandbox import Fault
from connector_hub_zoho import Zoho
from connector_hub_zoho import sandbox as rules
from connector_hub_zoho.modules import FieldKind
from connector_hub_zoho.sandbox import ZohoSandbox
from connector_hub_zoho.values import spelled

WANT = Want(frozenset({"Email", "Last_Name", "Account_Name.id"}))
KEY = "0190f2f4-1111-7222-8333-{:012}"


def create(i: int, **fields: Any) -> Write:
    body = {"Last_Name": f"L{i}", **fields}
    return Write("create", f"t{i}", KEY.format(i), fields=body)


async def send(zoho: Zoho, *writes: Write, to: str = "Contacts") -> list[Any]:
    way = zoho.resource(to).way(writes[0].op)
    return list(await zoho.write(to, writes, way=way))  # type: ignore[arg-type]


async def pull(
    zoho: Zoho, at: str | None = None, feed: str = "changed", of: str = "Contacts"
) -> Any:
    """All records of a pull, its mark, and whether it was a whole one."""
    page = await zoho.read(of, feed, at, WANT)
    records, mark, whole = list(page.records), page.mark, page.whole
    while page.next:
        page = await zoho.read(of, feed, page.next, WANT)
        assert page.mark is None
        records += page.records
    return records, mark, whole


async def test_check_tells_the_organization_and_whose_writes_are_ours(wire):
    account = await wire(ZohoSandbox()).check()
    assert account.id == "60011223344"
    assert account.user == "4150868000000225001"
    assert (account.zone, account.currency) == ("Asia/Jakarta", "IDR")


async def test_a_wrong_token_is_told_as_credentials(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    sandbox.accounts.tokens.clear()
    with pytest.raises(AuthError):
        await zoho.check()


@pytest.mark.parametrize("records", [0, 1, 200, 201, 457])
async def test_everything_is_listed_once(wire, records):
    sandbox = ZohoSandbox(records=records)
    found, mark, whole = await pull(wire(sandbox))
    assert len({r.id for r in found}) == len(found) == records
    assert mark
    assert whole


async def test_beyond_what_tokens_reach_it_goes_on_by_query(wire, monkeypatch):
    monkeypatch.setattr(rules, "_TOKENED", 400)
    sandbox = ZohoSandbox(records=1_050)
    zoho = wire(sandbox)
    found, mark, _ = await pull(zoho)
    assert len({r.id for r in found}) == len(found) == 1_050
    sandbox.clock.advance(600)
    for row in sandbox.live("Contacts"):
        sandbox.edit("Contacts", {"id": row["id"], "Title": "moved"})
    moved, _, _ = await pull(zoho, mark)
    assert len({r.id for r in moved}) == len(moved) == 1_050
    assert sandbox.calls["POST /crm/v8/coql"] == 2


async def test_a_page_whose_token_died_goes_on_by_query(wire):
    sandbox = ZohoSandbox(records=450)
    zoho = wire(sandbox)
    first = await zoho.read("Contacts", "changed", None, WANT)
    sandbox.clock.advance(25 * 3_600)
    rest = await zoho.read("Contacts", "changed", first.next, WANT)
    assert len(first.records) == 200
    assert len({r.id for r in (*first.records, *rest.records)}) == 450


async def test_more_than_fifty_fields_are_read(wire):
    sandbox = ZohoSandbox(records=3)
    for i in range(60):
        sandbox.account.modules["Contacts"].module.add(FieldKind(f"Extra_{i}"))
    row = sandbox.live("Contacts")[0]
    sandbox.edit("Contacts", {"id": row["id"], "Extra_59": "there"})
    want = Want(frozenset({"Email", *(f"Extra_{i}" for i in range(60))}))
    zoho = wire(sandbox)
    page = await zoho.read("Contacts", "changed", None, want)
    read = {r.id: r.fields["Extra_59"] for r in page.records}
    assert read[row["id"]] == "there"
    fetched = await zoho.fetch("Contacts", [row["id"]], want)
    assert fetched[0].fields["Extra_59"] == "there"


async def test_what_changed_is_read_from_two_minutes_before_the_mark(wire):
    sandbox = ZohoSandbox(records=5)
    zoho = wire(sandbox)
    _, mark, _ = await pull(zoho)
    sandbox.clock.advance(600)
    assert (await pull(zoho, mark))[0] == []
    row = sandbox.live("Contacts")[2]
    sandbox.edit("Contacts", {"id": row["id"], "Title": "CEO"})
    found, later, whole = await pull(zoho, mark)
    assert [r.id for r in found] == [row["id"]]
    assert not whole
    # edits just before a mark come again
    assert [r.id for r in (await pull(zoho, later))[0]] == [row["id"]]


async def test_instants_have_the_offset_of_the_organization(wire):
    sandbox = ZohoSandbox(records=1)
    (record,), _, _ = await pull(wire(sandbox))
    assert record.version.endswith("+07:00")
    assert record.changed.utcoffset() == timedelta(hours=7)


async def test_a_strange_mark_is_none(wire):
    with pytest.raises(MarkLost):
        await wire(ZohoSandbox()).read("Contacts", "changed", "what", WANT)


async def test_what_is_deleted_comes_in_its_own_feed(wire):
    sandbox = ZohoSandbox(records=3)
    zoho = wire(sandbox)
    _, mark, _ = await pull(zoho, feed="deleted")
    row = sandbox.live("Contacts")[0]
    sandbox.clock.advance(300)
    sandbox.edit("Contacts", {"id": row["id"], "deleted": True})
    found, _, _ = await pull(zoho, mark, feed="deleted")
    assert found == [Gone(row["id"])]
    assert len((await pull(zoho))[0]) == 2
    _, mark, _ = await pull(zoho)
    sandbox.edit("Contacts", {"id": row["id"], "restored": True})
    assert [r.id for r in (await pull(zoho, mark))[0]] == [row["id"]]


async def test_a_converted_lead_names_the_contact_it_became(wire):
    sandbox = ZohoSandbox()
    lead = sandbox.edit("Leads", {"Last_Name": "Ada", "Company": "Zylker"})["id"]
    zoho = wire(sandbox)
    _, mark, _ = await pull(zoho, of="Leads")
    sandbox.clock.advance(300)
    became = sandbox.convert(lead)["Contacts"]
    (gone,), _, _ = await pull(zoho, mark, of="Leads")
    assert (gone.id, gone.why, gone.into.id) == (lead, "converted", became)
    (fetched,) = await zoho.fetch("Leads", [lead], WANT)
    assert fetched == gone


async def test_creates_are_one_each_however_often_they_are_sent(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    writes = [create(i, Email=f"{i}@x.org") for i in range(25)]
    first = await send(zoho, *writes)
    again = await send(zoho, *writes)
    assert [o.id for o in first] == [o.id for o in again]
    assert all(o.created for o in first)
    assert not any(o.created for o in again)
    assert len(sandbox.live("Contacts")) == 25


async def test_a_row_that_is_refused_keeps_no_other_from_its_place(wire):
    sandbox = ZohoSandbox()
    outcomes = await send(
        wire(sandbox),
        create(1),
        create(2, Email="nobody"),
        create(3, Last_Name=None),
        create(4, Phone="0" * 31),
        create(5),
    )
    good, address, nameless, phone, last = outcomes
    assert isinstance(good, Done)
    assert isinstance(last, Done)
    assert isinstance(address, Rejected)
    assert (address.reason, address.fields) == ("INVALID_DATA", ("Email",))
    assert (nameless.reason, nameless.fields) == ("MANDATORY_NOT_FOUND", ("Last_Name",))
    assert phone.fields == ("Phone",)
    assert "at most 30" in phone.message


async def test_where_every_row_is_refused_each_is_told(wire):
    outcomes = await send(
        wire(ZohoSandbox()), create(1, Email="no"), create(2, Email="n")
    )
    assert [o.fields for o in outcomes] == [("Email",), ("Email",)]


async def test_a_unique_value_names_the_record_that_has_it(wire):
    sandbox = ZohoSandbox()
    sandbox.account.modules["Contacts"].module.add(FieldKind("Member", unique=True))
    zoho = wire(sandbox)
    (first,) = await send(zoho, create(1, Member="a7"))
    (second,) = await send(zoho, create(2, Member="A7"))
    assert isinstance(second, Exists)
    assert second.there == first.id


async def test_an_update_names_only_what_it_changes(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    (made,) = await send(zoho, create(1, Email="a@x.org", Title="CEO"))
    update = Write("update", "u", "", id=made.id, fields={"Title": None})
    (done,) = await send(zoho, update)
    assert done.version
    (row,) = sandbox.live("Contacts")
    assert (row["Email"], row["Title"]) == ("a@x.org", None)


async def test_a_lookup_is_set_and_emptied_by_its_id(wire):
    sandbox = ZohoSandbox(companies=1)
    account = sandbox.live("Accounts")[0]["id"]
    zoho = wire(sandbox)
    (made,) = await send(zoho, create(1, **{"Account_Name.id": account}))
    assert sandbox.live("Contacts")[0]["Account_Name"]["id"] == account
    (record,) = await zoho.fetch("Contacts", [made.id], WANT)
    assert record.fields["Account_Name"]["id"] == account
    clear = Write("update", "u", "", id=made.id, fields={"Account_Name.id": None})
    await send(zoho, clear)
    assert sandbox.live("Contacts")[0]["Account_Name"] is None
    dead = Write("update", "u", "", id=made.id, fields={"Account_Name.id": "41"})
    (refused,) = await send(zoho, dead)
    assert isinstance(refused, Rejected)


async def test_an_update_of_what_is_gone_is_told(wire):
    (outcome,) = await send(
        wire(ZohoSandbox()),
        Write("update", "u", "", id="4150868000000999999", fields={"Title": "x"}),
    )
    assert isinstance(outcome, Missing)


async def test_a_conditional_update_refuses_what_has_moved(wire):
    sandbox = ZohoSandbox(records=1)
    zoho = wire(sandbox)
    (record,), _, _ = await pull(zoho)
    way = zoho.resource("Contacts").conditional_way("update")
    sandbox.clock.advance(5)
    sandbox.edit("Contacts", {"id": record.id, "Title": "theirs"})
    mine = Write(
        "update", "u", "", id=record.id, fields={"Title": "m"}, version=record.version
    )
    (outcome,) = await zoho.write("Contacts", [mine], way=way)
    assert isinstance(outcome, Stale)
    (now,) = await zoho.fetch("Contacts", [record.id], WANT)
    again = Write(
        "update", "u", "", id=record.id, fields={"Title": "m"}, version=now.version
    )
    (done,) = await zoho.write("Contacts", [again], way=way)
    assert isinstance(done, Done)
    assert sandbox.live("Contacts")[0]["Title"] == "m"


async def test_archiving_twice_is_quiet(wire):
    sandbox = ZohoSandbox(records=2)
    zoho = wire(sandbox)
    ids = [r["id"] for r in sandbox.live("Contacts")]
    writes = [Write("archive", f"a{i}", "", id=i) for i in ids]
    assert all(isinstance(o, Done) for o in await send(zoho, *writes))
    assert all(isinstance(o, Missing) for o in await send(zoho, *writes))
    assert sandbox.live("Contacts") == []


async def test_records_are_found_by_their_key(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    made = await send(zoho, *(create(i) for i in range(70)))
    keys = [KEY.format(i) for i in range(75)]
    found = await zoho.find("Contacts", "Connector_Hub_Id", keys, WANT)
    assert [found[k][0].id for k in keys[:70]] == [o.id for o in made]
    assert not set(keys[70:]) & set(found)


async def test_a_value_cannot_become_part_of_a_query(wire):
    sandbox = ZohoSandbox(records=3)
    zoho = wire(sandbox)
    for value in ("O'Brien", "x' or id is not null or 'a' = 'a", "back\\", "\\' or"):
        sandbox.edit(
            "Contacts", {"id": sandbox.live("Contacts")[0]["id"], "Title": value}
        )
        found = await zoho.find("Contacts", "Title", [value], WANT)
        assert [len(v) for v in found.values()] == [1]


async def test_the_key_field_is_made_once(wire):
    sandbox = ZohoSandbox(prepared=False)
    zoho = wire(sandbox)
    with pytest.raises(ConfigError, match="prepare crm"):
        await send(zoho, create(1))
    assert "36" in await zoho.prepare("Contacts", make=False)
    await zoho.prepare("Contacts", make=True)
    assert await zoho.prepare("Contacts", make=False) is None
    (made,) = await send(zoho, create(1))
    assert isinstance(made, Done)


async def test_a_key_field_that_allows_duplicates_is_refused(wire):
    sandbox = ZohoSandbox(prepared=False)
    sandbox.account.modules["Contacts"].module.add(
        FieldKind("Connector_Hub_Id", length=36)
    )
    with pytest.raises(ConfigError, match="duplicate"):
        await wire(sandbox).prepare("Contacts", make=True)


async def test_without_a_key_field_a_create_is_a_plain_insert(wire):
    sandbox = ZohoSandbox(prepared=False)
    zoho = wire(sandbox, key_field=None)
    await send(zoho, create(1))
    await send(zoho, create(1))
    assert len(sandbox.live("Contacts")) == 2


async def test_workflows_are_kept_still(wire, monkeypatch):
    sandbox = ZohoSandbox()
    bodies = []
    written = sandbox._written

    async def spied(rows: Any, request: Any, body: Any, **more: Any) -> Any:
        bodies.append(body)
        return await written(rows, request, body, **more)

    monkeypatch.setattr(sandbox, "_written", spied)
    await send(wire(sandbox), create(1))
    assert bodies[0]["trigger"] == []


async def test_a_haste_that_is_refused_is_waited_out(wire):
    sandbox = ZohoSandbox(records=1)
    body = {
        "code": "TOO_MANY_REQUESTS",
        "details": {},
        "message": "x",
        "status": "error",
    }
    sandbox.faults.append(Fault("Contacts", 429, times=2, body=body))
    found, _, _ = await pull(wire(sandbox))
    assert len(found) == 1


async def test_a_failure_in_the_middle_of_a_write_leaves_it_in_doubt(wire):
    sandbox = ZohoSandbox()
    body = {"code": "INTERNAL_ERROR", "details": {}, "message": "x", "status": "error"}
    sandbox.faults.append(Fault("upsert", 500, times=1, body=body, after=True))
    zoho = wire(sandbox)
    with pytest.raises(InDoubt):
        await send(zoho, create(1))
    found = await zoho.find("Contacts", "Connector_Hub_Id", [KEY.format(1)], WANT)
    assert len(found) == 1


async def test_spent_credits_end_the_work(wire):
    sandbox = ZohoSandbox(records=1)
    sandbox.credits = 0
    with pytest.raises(RateLimited):
        await pull(wire(sandbox))


async def test_zoho_tells_what_is_left_once_half_is_spent(wire):
    sandbox = ZohoSandbox(records=1)
    sandbox.credits = 4
    zoho = wire(sandbox, credits=4)
    for _ in range(3):
        await pull(zoho)
    assert zoho.http.left() == {"calls": 1.0}


async def test_users_are_read_for_owners(wire):
    page = await wire(ZohoSandbox()).read(
        "users", "changed", None, Want(frozenset({"email"}))
    )
    assert page.whole
    assert {r.fields["email"] for r in page.records} > {"ayu.pratiwi@zylker.example"}


async def test_fields_are_described_as_mappings_write_them(wire):
    found = await wire(ZohoSandbox()).describe("Contacts")
    fields = {f.path: f for f in found.fields}
    assert fields["Last_Name"].required
    assert fields["Account_Name.id"].refers_to == ("Accounts",)
    assert fields["Connector_Hub_Id"].unique
    assert fields["Modified_Time"].read_only
    described = await wire(ZohoSandbox()).describe("Leads")
    status = next(f for f in described.fields if f.path == "Lead_Status")
    assert status.closed
    assert "-None-" not in status.options


async def test_what_an_administrator_changes_is_described(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    sandbox.alter("Contacts", "Title", {"gone": True})
    sandbox.alter("Leads", "Lead_Status", {"options": ["New"], "required": True})
    contacts = await zoho.describe("Contacts")
    assert contacts.describes_all
    assert "Title" not in {f.path for f in contacts.fields}
    leads = {f.path: f for f in (await zoho.describe("Leads")).fields}
    assert (leads["Lead_Status"].options, leads["Lead_Status"].required) == (
        ("New",),
        True,
    )


async def test_a_page_of_html_is_no_listing(wire):
    sandbox = ZohoSandbox(records=1)
    sandbox.faults.append(Fault("Contacts", 200, times=1, body="<html>sign in</html>"))
    found, _, _ = await pull(wire(sandbox))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("5000.00"), 5000),
        (Decimal("0.5"), 0.5),
        (date(2026, 5, 1), "2026-05-01"),
        (
            datetime(2026, 5, 1, 7, 25, 37, 999_000, tzinfo=UTC),
            "2026-05-01T07:25:37+00:00",
        ),
        (("a", "b"), ["a", "b"]),
        (None, None),
        (True, True),
    ],
)
def test_values_are_spelled_as_zoho_takes_them(value, expected):
    assert spelled(value) == expected
    json.dumps(spelled(value))


def test_a_record_is_the_vendors_row():
    config: Any = Zoho.Config(token=SecretStr("env:T"))
    nothing: Any = None
    zoho = Zoho(config, nothing, clock=nothing, key_field="Connector_Hub_Id")
    at = datetime(2026, 5, 1, 7, tzinfo=timezone(timedelta(hours=7)))
    row = {
        "id": "4150868000000000001",
        "Modified_Time": at.isoformat(),
        "Modified_By": {"id": "9"},
        "Connector_Hub_Id": "k",
    }
    seen = zoho._seen("Contacts", row)
    assert isinstance(seen, Record)
    assert (seen.key, seen.by, seen.changed) == ("k", "9", at)
