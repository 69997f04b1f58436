"""What Zoho refuses, each sorted: with its words, the record and the field; no row stops another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connector_hub.sdk import (
    AuthError,
    ConfigError,
    Done,
    Exists,
    InDoubt,
    Missing,
    Rejected,
    Unavailable,
    Want,
    Write,
)
from connector_hub.testing.sandbox import Fault
from connector_hub_zoho import faults
from connector_hub_zoho.modules import FieldKind
from connector_hub_zoho.sandbox import ZohoSandbox


def lead(i: int, **fields: Any) -> Write:
    body = {"Last_Name": f"L{i}", "Company": "Zylker", **fields}
    return Write("create", f"t{i}", f"key-{i}", fields=body)


async def send(zoho: Any, *writes: Write, to: str = "Leads") -> list[Any]:
    way = zoho.resource(to).way(writes[0].op)
    return list(await zoho.write(to, writes, way=way))


@pytest.mark.parametrize(
    ("fields", "reason", "field", "words"),
    [
        ({"Email": "nobody"}, "INVALID_DATA", "Email", "expected email"),
        ({"Lead_Status": "Sleeping"}, "INVALID_DATA", "Lead_Status", "one of its options"),
        ({"First_Name": "x" * 41}, "INVALID_DATA", "First_Name", "at most 40"),
        ({"Annual_Revenue": "much"}, "INVALID_DATA", "Annual_Revenue", "expected double"),
        ({"Last_Name": None}, "MANDATORY_NOT_FOUND", "Last_Name", "required"),
        ({"Company": None}, "MANDATORY_NOT_FOUND", "Company", "required"),
        ({"Owner.id": "41"}, "INVALID_DATA", "Owner", "expected lookup"),
    ],
)  # fmt: skip
async def test_a_bad_value_is_told_with_its_field(wire, fields, reason, field, words):
    sandbox = ZohoSandbox()
    good, bad, last = await send(wire(sandbox), lead(1), lead(2, **fields), lead(3))
    assert isinstance(good, Done)
    assert isinstance(last, Done)
    assert isinstance(bad, Rejected)
    assert (bad.reason, bad.fields) == (reason, (field,))
    assert words in bad.message
    assert len(sandbox.live("Leads")) == 2


async def test_several_faults_of_a_row_are_all_told(wire):
    wrong = lead(1, Email="nobody", Lead_Status="Sleeping")
    (bad,) = await send(wire(ZohoSandbox()), wrong)
    assert bad.reason == "MULTIPLE_OR_MULTI_ERRORS"
    assert bad.fields == ("Email", "Lead_Status")
    assert "expected email" in bad.message
    assert "nobody" not in bad.message


async def test_two_unique_values_of_one_record_lead_to_it(wire):
    sandbox = ZohoSandbox()
    module = sandbox.account.modules["Leads"].module
    module.add(FieldKind("Card", unique=True))
    module.add(FieldKind("Seat", unique=True))
    zoho = wire(sandbox)
    (first,) = await send(zoho, lead(1, Card="c", Seat="s"))
    (again,) = await send(zoho, lead(2, Card="C", Seat="s"))
    assert isinstance(again, Exists)
    assert again.there == first.id
    (other,) = await send(zoho, lead(3, Card="d"))
    (torn,) = await send(zoho, lead(4, Card="d", Seat="s"))
    assert isinstance(torn, Exists)
    assert torn.there is None
    assert other.id != first.id


async def test_a_locked_record_keeps_no_other_waiting(wire):
    sandbox = ZohoSandbox()
    zoho = wire(sandbox)
    made = await send(zoho, lead(1), lead(2))
    sandbox.account.locked.add(made[0].id)
    updates = [Write("update", "u", "", id=d.id, fields={"City": "X"}) for d in made]
    locked, done = await send(zoho, *updates)
    assert (type(locked), locked.reason) == (Rejected, "RECORD_LOCKED")
    assert isinstance(done, Done)
    gone = [Write("archive", "a", "", id=d.id) for d in made]
    locked, done = await send(zoho, *gone)
    assert (type(locked), locked.reason) == (Rejected, "RECORD_LOCKED")
    assert isinstance(done, Done)


async def test_an_unknown_and_a_read_only_field_are_ignored_by_zoho(wire):
    sandbox = ZohoSandbox()
    (done,) = await send(wire(sandbox), lead(1, Nonsense="x", Converted__s=True))
    assert isinstance(done, Done)
    assert not sandbox.live("Leads")[0]["Converted__s"]


ERRORS = [
    (401, "OAUTH_SCOPE_MISMATCH", {}, AuthError, "scope"),
    (401, "INVALID_TOKEN", {}, AuthError, "data centre"),
    (403, "NO_PERMISSION", {"permissions": ["Crm_View"]}, AuthError, "Crm_View"),
    (404, "INVALID_URL_PATTERN", {}, ConfigError, "version"),
    (400, "INVALID_MODULE", {"resource_path_index": 0}, ConfigError, "INVALID_MODULE"),
    (500, "INTERNAL_ERROR", {}, Unavailable, ""),
    (503, "DEPENDENT_SERVICE_ERROR", {}, Unavailable, ""),
]


@pytest.mark.parametrize("error", ERRORS, ids=[e[1] for e in ERRORS])
async def test_a_refused_call_is_sorted(wire, error):
    status, code, details, kind, words = error
    sandbox = ZohoSandbox(records=1)
    body = {"code": code, "details": details, "message": "no", "status": "error"}
    sandbox.faults.append(Fault("GET /crm/v8/Contacts", status, body=body))
    with pytest.raises(kind) as caught:
        await wire(sandbox).read("Contacts", "changed", None, Want(frozenset()))
    assert words in str(caught.value)


async def test_a_write_that_failed_inside_is_in_doubt(wire):
    sandbox = ZohoSandbox()
    body = {"code": "INTERNAL_ERROR", "details": {}, "message": "x", "status": "error"}
    sandbox.faults.append(Fault("/upsert", 500, body=body))
    with pytest.raises(InDoubt):
        await send(wire(sandbox), lead(1))


def test_a_record_that_a_line_points_to_is_named_by_its_place():
    row = {
        "code": "INVALID_DATA",
        "details": {
            "api_name": "Quantity",
            "json_path": "$.data[3].Ordered_Items[12].Quantity",
        },
        "message": "invalid data",
        "status": "error",
    }
    found = faults.refusal(Write("update", "t", "k", id="1"), row)
    assert isinstance(found, Rejected)
    assert found.fields == ("Ordered_Items[].Quantity",)


async def test_a_dead_id_of_another_record_is_not_the_rows_own(wire):
    sandbox = ZohoSandbox(records=1)
    (row,) = sandbox.live("Contacts")
    dead = Write("update", "u", "", id=row["id"], fields={"Account_Name.id": "415"})
    (refused,) = await send(wire(sandbox), dead, to="Contacts")
    assert isinstance(refused, Rejected)
    gone = Write("update", "u", "", id="415", fields={"Title": "x"})
    (missing,) = await send(wire(sandbox), gone, to="Contacts")
    assert isinstance(missing, Missing)


@pytest.mark.parametrize(
    ("given", "amounts"),
    [
        ({}, [50_000, 5]),
        ({"edition": "free", "users": 3}, [5_000, 5]),
        ({"edition": "standard", "users": 20}, [55_000, 10]),
        ({"edition": "standard", "users": 999}, [100_000, 10]),
        ({"edition": "enterprise", "users": 20}, [70_000, 20]),
        ({"edition": "free", "credits": 7_000, "concurrency": 3}, [7_000, 3]),
    ],
)
async def test_credits_and_calls_at_once_follow_the_edition(wire, given, amounts):
    limits = wire(ZohoSandbox(), **given).limits()
    assert [x.amount for x in limits] == amounts


async def test_calls_cost_what_zoho_takes_for_them(wire):
    sandbox = ZohoSandbox(records=1)
    zoho = wire(sandbox)
    await send(zoho, *(lead(i) for i in range(25)))
    await zoho.api.query("select id from Leads where id is not null limit 200", 200)
    await zoho.api.query("select id from Leads where id is not null limit 2000", 2_000)
    await zoho.fetch(
        "Leads", [r["id"] for r in sandbox.live("Leads")], Want(frozenset())
    )
    assert sandbox.spent == {
        "POST /crm/v8/Leads/upsert": 3,
        "POST /crm/v8/coql": 4,
        "GET /crm/v8/Leads": 1,
    }


async def test_no_more_than_ten_heavy_calls_are_in_flight(wire):
    sandbox = ZohoSandbox(records=1)
    sandbox.concurrency, sandbox.seconds = 25, 0.02
    zoho = wire(sandbox, edition="ultimate")
    text = "select id from Contacts where id is not null limit 200"
    await asyncio.gather(*(zoho.api.query(text, 200) for _ in range(22)))
    assert sandbox.calls["POST /crm/v8/coql"] == 22
