"""Bulk API 2.0 of the sandbox, through simple-salesforce and plain HTTP."""

from __future__ import annotations

import csv
import io

import pytest
from simple_salesforce.exceptions import SalesforceMalformedRequest

JOBS = "/jobs/ingest"


@pytest.fixture
def quick(served, monkeypatch):
    """A vendor whose jobs are done at once, and a client that does not wait for them."""
    monkeypatch.setattr("simple_salesforce.bulk2.sleep", lambda _: None)
    served.sandbox.bulk_seconds = 0
    yield served
    del served.sandbox.bulk_seconds


def opened(served, **more):
    body = {"object": "Contact", "operation": "insert", **more}
    answer = served.call("POST", JOBS, json=body)
    assert answer.status_code == 200, answer.text
    return f"{JOBS}/{answer.json()['id']}"


def upload(served, job, text):
    headers = {"Content-Type": "text/csv"}
    return served.call("PUT", f"{job}/batches", data=text.encode(), headers=headers)


def move(served, job, state="UploadComplete"):
    return served.call("PATCH", job, json={"state": state})


def rows(served, job, which):
    text = served.call("GET", f"{job}/{which}").text
    return list(csv.DictReader(io.StringIO(text)))


def carried_out(served, text, **more):
    job = opened(served, **more)
    assert upload(served, job, text).status_code == 201
    assert move(served, job).status_code == 200
    return job


def test_a_client_upserts_in_bulk_and_reads_what_became_of_each_row(quick):
    records = [
        {"LastName": f"L{i}" if i else "", "Connector_Hub_Id__c": f"k{i}"}
        for i in range(40)
    ]
    handler = quick.client().bulk2.Contact
    (told,) = handler.upsert(records=records, external_id_field="Connector_Hub_Id__c")
    assert (told["numberRecordsProcessed"], told["numberRecordsFailed"]) == (40, 1)
    done = list(
        csv.DictReader(io.StringIO(handler.get_successful_records(told["job_id"])))
    )
    assert {r["sf__Created"] for r in done} == {"true"}
    keys = [r["Connector_Hub_Id__c"] for r in done]
    assert sorted(keys) == sorted(f"k{i}" for i in range(1, 40))
    assert keys != [f"k{i}" for i in range(1, 40)]
    (refused,) = csv.DictReader(io.StringIO(handler.get_failed_records(told["job_id"])))
    assert refused["sf__Error"] == (
        "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    )


def test_a_client_reads_in_bulk_to_the_last_locator(quick):
    handler = quick.client().bulk2.Contact
    pages = list(handler.query("SELECT Id, Email FROM Contact", max_records=7))
    found = [r for p in pages for r in csv.DictReader(io.StringIO(p))]
    assert len(pages) == 5
    assert {r["Id"] for r in found} == {r["Id"] for r in quick.sandbox.live("Contact")}


def test_the_last_locator_is_the_word_null(quick):
    body = {"operation": "query", "query": "SELECT Id, CreatedDate FROM Contact"}
    made = quick.call("POST", "/jobs/query", json=body).json()
    path = f"/jobs/query/{made['id']}/results"
    answer = quick.call("GET", path, params={"maxRecords": "20"})
    assert answer.headers["Sforce-NumberOfRecords"] == "20"
    assert answer.text.splitlines()[1].endswith('000Z"')
    at = answer.headers["Sforce-Locator"]
    answer = quick.call("GET", path, params={"maxRecords": "20", "locator": at})
    assert answer.headers["Sforce-NumberOfRecords"] == "10"
    assert answer.headers["Sforce-Locator"] == "null"
    other = f"/services/data/v60.0{path}"
    assert quick.call("GET", other).status_code == 409


@pytest.mark.parametrize(
    "query",
    [
        "SELECT Id FROM Contact LIMIT 5 OFFSET 5",
        "SELECT count() FROM Contact",
        "SELECT LastName, count(Id) FROM Contact GROUP BY LastName",
        "SELECT Id, MailingAddress FROM Contact",
        "SELECT Id, (SELECT Id FROM Contacts) FROM Account",
        "SELECT Nothing FROM Contact",
    ],
)
def test_what_bulk_queries_cannot_is_refused(served, query):
    body = {"operation": "query", "query": query}
    answer = served.call("POST", "/jobs/query", json=body)
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"]


def test_an_empty_cell_leaves_a_field_and_na_empties_it(quick):
    made = quick.sandbox.edit("Contact", {"LastName": "A", "Title": "T", "Fax": "1"})
    text = f'Id,Title,Fax,HasOptedOutOfEmail\n{made["Id"]},"",#N/A,true\n'
    carried_out(quick, text, operation="update")
    (row,) = [r for r in quick.sandbox.live("Contact") if r["Id"] == made["Id"]]
    assert (row["Title"], row["Fax"], row["HasOptedOutOfEmail"]) == ("T", None, True)


def test_a_job_goes_on_as_time_does_and_aborting_leaves_the_rest_unprocessed(served):
    served.sandbox.bulk_seconds = 1000
    text = "LastName\n" + "".join(f"L{i}\n" for i in range(10))
    job = carried_out(served, text)
    answer = served.call("GET", f"{job}/successfulResults")
    assert answer.json()[0]["errorCode"] == "INVALIDJOBSTATE"
    served.sandbox.clock.advance(500)
    told = served.call("GET", job).json()
    assert (told["state"], told["numberRecordsProcessed"]) == ("InProgress", 5)
    assert move(served, job, "Aborted").json()["state"] == "Aborted"
    served.sandbox.clock.advance(5000)
    assert len(rows(served, job, "successfulResults")) == 5
    for spelled in ("unprocessedrecords", "unprocessedRecords"):
        assert len(rows(served, job, spelled)) == 5
    assert sum(r["LastName"].startswith("L") for r in served.sandbox.live("Contact"))
    del served.sandbox.bulk_seconds


def test_content_is_given_once_and_only_to_an_open_job(quick):
    job = opened(quick)
    assert upload(quick, job, "LastName\nA\n").status_code == 201
    again = upload(quick, job, "LastName\nB\n")
    assert "multiple contents" in again.json()[0]["message"]
    move(quick, job)
    late = upload(quick, job, "LastName\nC\n")
    assert late.json()[0]["errorCode"] == "INVALIDJOBSTATE"
    assert move(quick, job).json()[0]["errorCode"] == "INVALIDJOBSTATE"
    assert quick.call("DELETE", job).status_code == 204
    assert quick.call("GET", job).status_code == 404


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Nothing__c\nx\n", "Field name not found : Nothing__c"),
        ("LastName\r\nx\r\n", "LineEnding is invalid"),
        ("LastName,Title\nx\n", "number of fields"),
    ],
)
def test_what_cannot_be_read_fails_the_job_and_writes_nothing(quick, text, said):
    before = len(quick.sandbox.live("Contact"))
    job = carried_out(quick, text)
    told = quick.call("GET", job).json()
    assert told["state"] == "Failed"
    assert said in told["errorMessage"]
    assert len(quick.sandbox.live("Contact")) == before


def test_uploads_and_jobs_of_a_day_are_limited(quick):
    job = opened(quick)
    answer = upload(quick, job, "x" * 100_000_001)
    assert answer.status_code == 413
    left = quick.call("GET", "/limits").json()["DailyBulkApiBatches"]["Remaining"]
    carried_out(quick, "LastName\nx\n")
    now = quick.call("GET", "/limits").json()["DailyBulkApiBatches"]["Remaining"]
    assert left - now == 1
    quick.sandbox.jobs.batches.extend([quick.sandbox.clock.time()] * 15_000)
    with pytest.raises(SalesforceMalformedRequest, match="Limit exceeded"):
        quick.client().bulk2.Contact.insert(records=[{"LastName": "x"}])


def test_a_locked_record_refuses_a_row_and_lets_it_in_later(quick):
    account = quick.sandbox.edit("Account", {"Name": "A"})["Id"]
    quick.sandbox.lock(account)
    text = f"LastName,AccountId\nx,{account}\n"
    (refused,) = rows(quick, carried_out(quick, text), "failedResults")
    assert refused["sf__Error"].startswith("UNABLE_TO_LOCK_ROW:")
    assert rows(quick, carried_out(quick, text), "successfulResults")


def test_a_child_names_its_parent_by_external_id(quick):
    quick.sandbox.edit("Account", {"Name": "A", "Connector_Hub_Id__c": "acme"})
    text = "LastName,Account.Connector_Hub_Id__c\nx,acme\ny,nobody\n"
    job = carried_out(quick, text)
    (done,) = rows(quick, job, "successfulResults")
    (refused,) = rows(quick, job, "failedResults")
    assert done["LastName"] == "x"
    assert refused["sf__Error"].startswith("INVALID_FIELD:Foreign key external ID")
