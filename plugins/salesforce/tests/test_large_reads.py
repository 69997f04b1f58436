"""Reading much: jobs in place of pages, many rows of one stamp, wide rows, long queries."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from connector_hub.sdk import Gone, Record, Want
from connector_hub.testing.sandbox import Fault
from connector_hub_salesforce import Salesforce, bulk, objects
from connector_hub_salesforce.sandbox import SalesforceSandbox

WANT = Want(frozenset({"Email", "LastName", "HasOptedOutOfEmail", "CreatedDate"}))


async def pull(sf: Salesforce, at: str | None = None, want: Want = WANT) -> Any:
    page = await sf.read("Contact", "changed", at, want)
    found, mark = list(page.records), page.mark
    while page.next:
        page = await sf.read("Contact", "changed", page.next, want)
        assert page.whole is (at is None)
        found += page.records
    return found, mark


@pytest.fixture
def eager(monkeypatch):
    """A job is worth it for some thousand rows."""
    monkeypatch.setattr(bulk, "LOOKS", 0)


@pytest.fixture(scope="module")
def born() -> SalesforceSandbox:
    return SalesforceSandbox(records=13_000, companies=3)


@pytest.fixture
def crowd(born: SalesforceSandbox) -> SalesforceSandbox:
    """Thirteen thousand people, whose jobs are done at once."""
    born.calls.clear()
    born.faults.clear()
    born.bulk_seconds = 0
    return born


def plain(records: list[Any]) -> dict[str, Any]:
    return {
        r.id: {n: v for n, v in r.fields.items() if n != "attributes"} for r in records
    }


@pytest.mark.usefixtures("eager")
async def test_a_large_listing_is_a_job_whose_rows_are_as_those_of_pages(
    wire, monkeypatch, crowd
):
    sandbox = crowd
    sf = wire(sandbox)
    found, mark = await pull(sf)
    assert len(found) == len({r.id for r in found}) == 13_000
    assert "mark" in json.loads(mark)
    asked = {r: n for r, n in sandbox.calls.items() if "/services/data" in r}
    assert sum(asked.values()) <= 8
    assert not any("query/{id}" in r and "/jobs" not in r for r in asked), asked
    monkeypatch.setattr(bulk, "LOOKS", 1_000)
    paged, _ = await pull(wire(sandbox))
    assert plain(paged) == plain(found)
    assert {r.version for r in paged} == {r.version for r in found}


@pytest.mark.usefixtures("eager")
async def test_small_listings_and_fields_of_other_records_are_read_in_pages(
    wire, crowd
):
    sandbox = crowd
    await pull(wire(sandbox), want=Want(frozenset({"Account.Name"})))
    assert not any("/jobs" in r for r in sandbox.calls)
    small = SalesforceSandbox(records=4_500, companies=0)
    await pull(wire(small))
    assert not any("/jobs" in r for r in small.calls)


@pytest.mark.usefixtures("eager")
async def test_a_query_job_is_waited_for_and_one_that_is_gone_is_done_without(
    wire, crowd
):
    sandbox = crowd
    sandbox.bulk_seconds = 0.3
    found, _ = await pull(wire(sandbox))
    assert len({r.id for r in found}) == 13_000
    sandbox.faults.append(Fault("GET /services/data/v66.0/jobs/query", 404, times=1))
    found, _ = await pull(wire(sandbox))
    assert len({r.id for r in found}) == 13_000


async def test_five_and_twenty_thousand_rows_of_one_stamp_are_all_seen_once(wire):
    sandbox = SalesforceSandbox(records=25_000, companies=0)
    sf = wire(sandbox)
    page = await sf.read("Contact", "changed", None, WANT)
    mark = page.mark
    sandbox.clock.advance(3_600)
    table = sandbox.org.tables["Contact"]
    stamp = sandbox.org.stamp()
    table.rows = {i: {**r, "SystemModstamp": stamp} for i, r in table.rows.items()}
    sandbox.clock.advance(60)
    page = await sf.read("Contact", "changed", mark, WANT)
    found = list(page.records)
    while page.next:
        if len(found) in {4_000, 12_000}:
            sandbox.expire_cursors()
        page = await sf.read("Contact", "changed", page.next, WANT)
        found += page.records
    assert len(found) == len({r.id for r in found}) == 25_000


async def test_what_is_seen_late_has_an_older_stamp_and_is_not_missed(wire):
    sandbox = SalesforceSandbox(records=1)
    sf = wire(sandbox)
    sandbox.clock.advance(1_000)
    _, mark = await pull(sf)
    # Committed after the mark, stamped before it: a long transaction.
    late = sandbox.edit("Contact", {"LastName": "Late"})["Id"]
    table = sandbox.org.tables["Contact"]
    before = sandbox.clock.now() - timedelta(seconds=90)
    table.rows[late]["SystemModstamp"] = before.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    found, _ = await pull(sf, mark)
    assert late in {r.id for r in found}


async def test_wide_rows_come_in_short_pages_and_none_is_missed(wire):
    sandbox = SalesforceSandbox(records=900, companies=0)
    names = [n for n in sandbox.org.kinds["Contact"].fields if n != "MailingAddress"]
    for i in range(80):
        made = {"type": "Text", "length": 10, "label": f"F{i}"}
        kind = sandbox.org.kinds["Contact"]
        sandbox.org.add_field(kind, objects.custom(f"Field_number_{i}__c", made))
        names.append(f"Field_number_{i}__c")
    found, _ = await pull(wire(sandbox), want=Want(frozenset(names)))
    assert len({r.id for r in found if isinstance(r, Record)}) == 900
    pages = [n for r, n in sandbox.calls.items() if "query/{id}" in r]
    assert sum(pages) >= 1
    assert not any(isinstance(r, Gone) for r in found)
