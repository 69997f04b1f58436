"""Bulk reads: chosen where they are cheaper than the listing, and nothing is lost by them."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest

from connector_hub.sdk import Record, Unavailable, Want
from connector_hub.testing.sandbox import Fault
from connector_hub_zoho import bulk, jobs
from connector_hub_zoho.modules import FieldKind
from connector_hub_zoho.sandbox import ZohoSandbox

WANT = Want(
    frozenset(
        {"Email", "Last_Name", "Account_Name.id", "Email_Opt_Out", "Tags_", "Size"}
    )
)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bulk read costs as much as two pages of a listing."""
    monkeypatch.setattr(bulk, "COST", 2)
    monkeypatch.setattr(bulk, "PORTION", 300)


def crowded(records: int = 1_900) -> ZohoSandbox:
    sandbox = ZohoSandbox(records=records, companies=10)
    module = sandbox.account.modules["Contacts"].module
    module.add(FieldKind("Tags_", "multiselectpicklist", options=("a", "b", "c")))
    module.add(FieldKind("Size", "double", 16))
    for n, row in enumerate(sandbox.account.modules["Contacts"].live.values()):
        filled = {"Email_Opt_Out": n % 2 == 0, "Tags_": ["a", "c"], "Size": n / 2}
        row.update(filled if n % 3 else dict.fromkeys(filled))
    return sandbox


async def everything(
    zoho: Any, want: Want = WANT, of: str = "Contacts"
) -> list[Record]:
    found: list[Record] = []
    at = None
    while True:
        page = await zoho.read(of, "changed", at, want)
        assert page.whole
        found += page.records
        if page.next is None:
            return found
        at = page.next


async def test_a_large_account_is_read_by_a_job_and_looks_as_in_the_listing(wire):
    sandbox = crowded()
    zoho = wire(sandbox)
    found = await everything(zoho)
    assert len({r.id for r in found}) == len(found) == 1_900
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 1
    assert sandbox.calls["GET /crm/v8/Contacts"] == 2
    ids = [r.id for r in found]
    listed: dict[str, Any] = {}
    for i in range(0, len(ids), 100):
        listed |= {
            r.id: r for r in await zoho.fetch("Contacts", ids[i : i + 100], WANT)
        }
    for r in found:
        assert (r.version, r.by, r.changed) == (
            listed[r.id].version,
            listed[r.id].by,
            listed[r.id].changed,
        )
        for name in ("Email", "Last_Name", "Email_Opt_Out", "Tags_", "Size"):
            assert r.fields[name] == listed[r.id].fields[name]
            assert type(r.fields[name]) is type(listed[r.id].fields[name])
        account = r.fields["Account_Name"]
        assert (account and account["id"]) == (
            (listed[r.id].fields["Account_Name"] or {}).get("id")
        )


async def test_a_small_account_is_listed(wire):
    sandbox = crowded(records=500)
    assert len(await everything(wire(sandbox))) == 500
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 0


async def test_where_the_rest_is_small_the_listing_goes_on(wire):
    sandbox = crowded(records=700)
    assert len(await everything(wire(sandbox))) == 700
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 0
    assert sandbox.calls["GET /crm/v8/Contacts/actions/count"] == 1


async def test_what_only_the_listing_gives_is_not_read_by_a_job(wire):
    sandbox = crowded()
    want = Want(frozenset({"Email", "Owner.email"}))
    found = await everything(wire(sandbox), want)
    assert all(r.fields["Owner"]["email"] for r in found)
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 0


async def test_a_record_that_points_to_one_that_is_gone_is_not_missed(wire):
    sandbox = crowded()
    account = sandbox.live("Accounts")[0]["id"]
    sandbox.edit("Accounts", {"id": account, "deleted": True})
    found = await everything(wire(sandbox))
    assert len({r.id for r in found}) == len(found) == 1_900


async def test_a_job_that_fails_is_gone_on_without(wire, monkeypatch):
    sandbox = crowded()
    made = jobs.made

    def failing(*args: Any) -> jobs.Job:
        job = made(*args)
        job.fails = True
        return job

    monkeypatch.setattr(jobs, "made", failing)
    found = await everything(wire(sandbox))
    assert len({r.id for r in found}) == len(found) == 1_900


async def test_a_read_goes_on_in_another_process_with_the_same_job(wire):
    sandbox = crowded()
    first = wire(sandbox)
    at, found = None, []
    for _ in range(7):
        page = await first.read("Contacts", "changed", at, WANT)
        found += page.records
        at = page.next
    second = wire(sandbox)
    while at:
        page = await second.read("Contacts", "changed", at, WANT)
        found += page.records
        at = page.next
    assert {r.id for r in found} == {r["id"] for r in sandbox.live("Contacts")}
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 1


async def test_a_result_that_is_not_kept_any_more_is_gone_on_without(wire):
    sandbox = crowded()
    first = wire(sandbox)
    at, found = None, []
    for _ in range(4):
        page = await first.read("Contacts", "changed", at, WANT)
        found += page.records
        at = page.next
    sandbox.clock.advance(25 * 3_600)
    second = wire(sandbox)
    while at:
        page = await second.read("Contacts", "changed", at, WANT)
        found += page.records
        at = page.next
    assert {r.id for r in found} == {r["id"] for r in sandbox.live("Contacts")}


async def test_half_an_answer_is_no_result(wire):
    sandbox = crowded()
    sandbox.faults.append(Fault("result", 200, times=None, body="half an answ"))
    with pytest.raises(Unavailable, match="zip"):
        await everything(wire(sandbox))


async def test_more_than_a_file_holds_is_read_by_several_jobs(wire, monkeypatch):
    monkeypatch.setattr(jobs, "PER_PAGE", 800)
    sandbox = crowded()
    found = await everything(wire(sandbox))
    assert len({r.id for r in found}) == len(found) == 1_900
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 3


async def test_a_converted_lead_is_told_as_such_by_a_job_too(wire):
    sandbox = ZohoSandbox()
    for i in range(900):
        sandbox.account.put("Leads", None, {"Last_Name": f"L{i}", "Company": f"C{i}"})
    last = list(sandbox.account.modules["Leads"].live)[-1]
    became = sandbox.convert(last)["Contacts"]
    found = await everything(wire(sandbox), Want(frozenset({"Email"})), "Leads")
    assert sandbox.calls["POST /crm/bulk/v8/read"] == 1
    gone = {r.id: r.into.id for r in found if not isinstance(r, Record)}
    assert gone == {last: became}


async def test_a_bulk_read_costs_fifty_credits(wire):
    sandbox = crowded()
    await everything(wire(sandbox))
    assert sandbox.spent["POST /crm/bulk/v8/read"] == 50


def test_a_cell_that_cannot_be_read_is_left_out():
    types = {"Size": "double", "Name": "text"}
    row = bulk._record(["id", "Size", "Name"], ["1", "a lot", "x"], types)
    assert row == {"id": "1", "Name": "x"}


def test_a_result_is_a_zip_with_a_csv_of_text():
    sandbox = crowded(records=3)
    query = {"module": {"api_name": "Contacts"}, "fields": ["Tags_", "Account_Name"]}
    job = jobs.made(sandbox.account, "7", query)
    packed = zipfile.ZipFile(io.BytesIO(job.result))
    lines = list(csv.reader(io.StringIO(packed.read("7.csv").decode())))
    assert lines[0] == ["Id", "Tags_", "Account_Name"]
    assert lines[2][1] == "a;c"
    assert lines[2][2].isdigit()
