"""simple-salesforce, a client of others, and plain HTTP against a served sandbox."""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime

import pytest
from simple_salesforce.exceptions import (
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from connector_hub_salesforce.ids import long_id
from connector_hub_salesforce.sandbox import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
)

BASE = "/services/data/v66.0"


def test_a_client_creates_reads_changes_and_deletes(served):
    with served.client().session:
        contacts = served.client().Contact
        made = contacts.create({"LastName": " Ó Súilleabháin ", "Email": "a@b.example"})
        assert made["success"]
        row = contacts.get(made["id"])
        assert row["LastName"] == row["Name"] == "Ó Súilleabháin"
        assert contacts.update(made["id"], {"Title": ""}) == 204
        assert contacts.delete(made["id"][:15]) == 204
        with pytest.raises(SalesforceResourceNotFound, match="entity is deleted"):
            contacts.delete(made["id"])


def test_a_client_upserts_by_the_external_id(served):
    contacts = served.client().Contact
    path = "Connector_Hub_Id__c/k-1"
    assert contacts.upsert(path, {"LastName": "A"}) == 201
    assert contacts.upsert(path, {"LastName": "B"}) == 200
    assert contacts.get_by_custom_id("Connector_Hub_Id__c", "K-1")["LastName"] == "B"
    with pytest.raises(SalesforceMalformedRequest, match="should not be specified"):
        contacts.upsert(path, {"Connector_Hub_Id__c": "k-2"})


def test_several_records_with_one_address_are_not_guessed_between(served):
    contacts = served.client().Contact
    for name in "AB":
        contacts.create({"LastName": name, "Email": "same@x.example"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        contacts.upsert("Email/same@x.example", {"LastName": "C"})


def test_a_client_queries_everything_in_pages(served):
    sf = served.client()
    many = [{"LastName": f"L{i}"} for i in range(200)]
    for _ in range(11):
        body = {
            "allOrNone": False,
            "records": [{"attributes": {"type": "Contact"}, **r} for r in many],
        }
        found = sf.restful("composite/sobjects", method="POST", json=body)
        assert all(r["success"] for r in found)
    answer = sf.query_all("SELECT Id, Account.Name FROM Contact")
    assert answer["totalSize"] == len(answer["records"]) == 2_230
    assert sf.query("SELECT count() FROM Contact")["totalSize"] == 2_230


def test_a_client_sees_the_deleted(served):
    sf = served.client()
    record = served.sandbox.live("Contact")[0]["Id"]
    sf.Contact.delete(record)
    found = sf.query_all("SELECT Id FROM Contact WHERE IsDeleted = true")
    assert found["totalSize"] == 0
    found = sf.query_all(
        "SELECT Id FROM Contact WHERE IsDeleted = true", include_deleted=True
    )
    assert [r["Id"] for r in found["records"]] == [record]
    now = served.sandbox.clock.now()
    gone = sf.Contact.deleted(now - timedelta(hours=1), now + timedelta(minutes=2))
    assert [r["id"] for r in gone["deletedRecords"]] == [record]
    moved = sf.Contact.updated(now - timedelta(hours=1), now + timedelta(minutes=2))
    assert moved["ids"] == []


def test_a_client_describes_and_asks_for_limits(served):
    sf = served.client()
    names = {o["name"] for o in sf.describe()["sobjects"]}
    assert {"Contact", "Account"} <= names
    fields = {f["name"]: f for f in sf.Contact.describe()["fields"]}
    assert fields["Connector_Hub_Id__c"]["externalId"]
    assert sf.limits()["DailyApiRequests"]["Max"] == served.sandbox.daily
    assert "api-usage" in sf.api_usage


@pytest.mark.parametrize(
    ("body", "code", "fields"),
    [
        ({"FirstName": "x"}, "REQUIRED_FIELD_MISSING", ["LastName"]),
        ({"LastName": "  "}, "REQUIRED_FIELD_MISSING", ["LastName"]),
        ({"LastName": "x" * 81}, "STRING_TOO_LONG", ["LastName"]),
        ({"LastName": "x", "Email": "é@x"}, "INVALID_EMAIL_ADDRESS", ["Email"]),
        ({"LastName": "x", "AccountId": "zz"}, "MALFORMED_ID", ["AccountId"]),
        ({"LastName": "x", "Name": "y"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Name"]),
        ({"LastName": "x", "Foo": "y"}, "INVALID_FIELD", None),
        ({"LastName": 5}, "JSON_PARSER_ERROR", None),
        ({"LastName": "x", "DoNotCall": "yes"}, "JSON_PARSER_ERROR", None),
        ({"LastName": "x", "Birthdate": "1.2.2000"}, "JSON_PARSER_ERROR", None),
    ],
)
def test_rules_of_a_record(served, body, code, fields):
    answer = served.call("POST", "/sobjects/Contact", json=body)
    assert answer.status_code == 400
    (error,) = answer.json()
    assert (error["errorCode"], error.get("fields")) == (code, fields)


def test_an_unknown_field_refuses_a_whole_collection_and_a_bad_row_only_itself(served):
    good = {"attributes": {"type": "Contact"}, "LastName": "x"}
    before = len(served.sandbox.live("Contact"))
    body = {"records": [good, {**good, "Foo": "y"}]}
    answer = served.call("POST", "/composite/sobjects", json=body)
    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == "INVALID_FIELD"
    assert len(served.sandbox.live("Contact")) == before
    body = {"records": [good, {**good, "LastName": None}]}
    rows = served.call("POST", "/composite/sobjects", json=body).json()
    assert [r["success"] for r in rows] == [True, False]
    assert rows[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"


def test_all_or_none_undoes_creates_updates_and_deletes(served):
    live = served.sandbox.live("Contact")
    one, two = live[0], live[1]
    kind = {"attributes": {"type": "Contact"}}
    body = {
        "allOrNone": True,
        "records": [
            {**kind, "Id": one["Id"], "LastName": "Changed"},
            {**kind, "Id": two["Id"], "LastName": None},
        ],
    }
    rows = served.call("PATCH", "/composite/sobjects", json=body).json()
    assert [r["errors"][0]["statusCode"] for r in rows] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    params = {"ids": f"{one['Id']},003gK0000zzzzzzAAA", "allOrNone": "true"}
    served.call("DELETE", "/composite/sobjects", params=params)
    new = {**kind, "LastName": "N", "Connector_Hub_Id__c": "k"}
    body = {"allOrNone": True, "records": [new, {**kind}]}
    served.call("POST", "/composite/sobjects", json=body)
    assert {r["Id"]: r for r in served.sandbox.live("Contact")} == {
        r["Id"]: r for r in live
    }
    body = {"records": [new]}
    (row,) = served.call("POST", "/composite/sobjects", json=body).json()
    assert row["success"]


def test_collections_are_bounded(served):
    row = {"attributes": {"type": "Contact"}, "LastName": "x"}
    body = {"records": [row] * 201}
    answer = served.call("POST", "/composite/sobjects", json=body)
    assert answer.json()[0]["errorCode"] == "EXCEEDED_MAX_SIZE_REQUEST"
    body = {"ids": ["003gK0000000001"] * 2_001, "fields": ["Id"]}
    answer = served.call("POST", "/composite/sobjects/Contact", json=body)
    assert answer.json()[0]["errorCode"] == "EXCEEDED_MAX_SIZE_REQUEST"
    assert served.call("GET", "/query", params={"q": "x" * 17_000}).status_code == 414


def test_retrieve_keeps_the_order_and_gives_null_for_what_is_not_there(served):
    ids = [r["Id"] for r in served.sandbox.live("Contact")][:3]
    asked = [ids[2], "003gK0000zzzzzz", ids[0][:15]]
    body = {"ids": asked, "fields": ["LastName"]}
    rows = served.call("POST", "/composite/sobjects/Contact", json=body).json()
    assert [r and r["Id"] for r in rows] == [ids[2], None, ids[0]]
    params = {"ids": ",".join(asked), "fields": "LastName"}
    got = served.call("GET", "/composite/sobjects/Contact", params=params).json()
    assert got == rows


def test_an_update_of_nothing_moves_the_stamp(served):
    row = served.sandbox.live("Contact")[0]
    path = f"/sobjects/Contact/{row['Id']}"
    assert served.call("PATCH", path, json={"Title": row["Title"]}).status_code == 204
    after = served.call("GET", path).json()
    assert after["SystemModstamp"] > row["SystemModstamp"]
    assert after["LastModifiedById"] != row["LastModifiedById"]


def test_a_changed_record_refuses_an_older_precondition(served):
    row = served.sandbox.live("Contact")[0]
    path = f"/sobjects/Contact/{row['Id']}"
    now = served.sandbox.clock.now()
    fresh = {"If-Unmodified-Since": format_datetime(now, usegmt=True)}
    old = format_datetime(now - timedelta(hours=1), usegmt=True)
    change = {"Title": "x"}
    assert served.call("PATCH", path, json=change, headers=fresh).status_code == 204
    headers = {"If-Unmodified-Since": old}
    assert served.call("PATCH", path, json=change, headers=headers).status_code == 412


def test_an_account_takes_its_contacts_along(served):
    contact = next(r for r in served.sandbox.live("Contact") if r["AccountId"])
    at = contact["AccountId"]
    assert served.call("DELETE", f"/sobjects/Account/{at}").status_code == 204
    assert all(r["AccountId"] != at for r in served.sandbox.live("Contact"))
    body = {"LastName": "x", "AccountId": at}
    answer = served.call("POST", "/sobjects/Contact", json=body)
    assert answer.json()[0]["errorCode"] == "ENTITY_IS_DELETED"


def test_unique_values_are_free_again_when_their_record_is_deleted(served):
    body = {"LastName": "x", "Connector_Hub_Id__c": "K"}
    one = served.call("POST", "/sobjects/Contact", json=body).json()["id"]
    body["Connector_Hub_Id__c"] = "k"
    (error,) = served.call("POST", "/sobjects/Contact", json=body).json()
    assert error["errorCode"] == "DUPLICATE_VALUE"
    assert error["message"].endswith(f"record with id: {one[:15]}")
    served.call("DELETE", f"/sobjects/Contact/{one}")
    assert served.call("POST", "/sobjects/Contact", json=body).status_code == 201


def test_a_lookup_can_be_named_by_an_external_id(served):
    account = {"Name": "Acme", "Connector_Hub_Id__c": "acc-1"}
    made = served.call("POST", "/sobjects/Account", json=account).json()
    body = {"LastName": "x", "Account": {"Connector_Hub_Id__c": "ACC-1"}}
    contact = served.call("POST", "/sobjects/Contact", json=body).json()["id"]
    row = served.call("GET", f"/sobjects/Contact/{contact}?fields=AccountId").json()
    assert row["AccountId"] == made["id"]


def test_parts_of_a_composite_call_use_the_answers_before_them(served):
    parts = [
        {
            "method": "POST",
            "url": f"{BASE}/sobjects/Account",
            "referenceId": "acc",
            "body": {"Name": "Acme"},
        },
        {
            "method": "POST",
            "url": f"{BASE}/sobjects/Contact",
            "referenceId": "con",
            "body": {"LastName": "x", "AccountId": "@{acc.id}"},
        },
        {
            "method": "GET",
            "url": f"{BASE}/query?q=SELECT+Account.Name+FROM+Contact+"
            "WHERE+Id='@{con.id}'",
            "referenceId": "look",
        },
    ]
    body = {"compositeRequest": parts}
    answer = served.call("POST", "/composite", json=body).json()
    replies = {r["referenceId"]: r for r in answer["compositeResponse"]}
    found = replies["look"]["body"]["records"][0]
    assert found["Account"]["Name"] == "Acme"


def test_a_composite_call_can_be_undone_as_a_whole(served):
    before = len(served.sandbox.live("Account"))
    part = {"method": "POST", "url": f"{BASE}/sobjects/Account"}
    parts = [
        {**part, "referenceId": "a", "body": {"Name": "Acme"}},
        {**part, "referenceId": "b", "body": {}},
        {**part, "referenceId": "c", "body": {"Name": "Beta"}},
    ]
    body = {"allOrNone": True, "compositeRequest": parts}
    answer = served.call("POST", "/composite", json=body).json()
    codes = [r["body"][0]["errorCode"] for r in answer["compositeResponse"]]
    assert codes == [
        "PROCESSING_HALTED",
        "REQUIRED_FIELD_MISSING",
        "PROCESSING_HALTED",
    ]
    assert len(served.sandbox.live("Account")) == before


def test_a_duplicate_rule_can_be_overridden(served):
    served.sandbox.org.duplicate_rule = True
    body = {"LastName": "x", "Email": "p0.0@people.example"}
    answer = served.call("POST", "/sobjects/Contact", json=body)
    assert answer.json()[0]["errorCode"] == "DUPLICATES_DETECTED"
    headers = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
    answer = served.call("POST", "/sobjects/Contact", json=body, headers=headers)
    assert answer.status_code == 201


def test_a_restricted_picklist_takes_its_values_only(served):
    values = [{"fullName": n} for n in ("Gold", "Blue")]
    metadata = {
        "type": "Picklist",
        "label": "Tier",
        "valueSet": {"restricted": True, "valueSetDefinition": {"value": values}},
    }
    body = {"FullName": "Contact.Tier__c", "Metadata": metadata}
    made = served.call("POST", "/tooling/sobjects/CustomField", json=body)
    assert made.status_code == 201
    row = {"LastName": "x", "Tier__c": "Gold"}
    hidden = served.call("POST", "/sobjects/Contact", json=row)
    assert hidden.json()[0]["errorCode"] == "INVALID_FIELD"
    served.sandbox.org.add_field(*served.sandbox.org.hidden["contact.tier__c"])
    again = served.call("POST", "/tooling/sobjects/CustomField", json=body)
    assert again.json()[0]["errorCode"] == "DUPLICATE_DEVELOPER_NAME"
    for value, status in (("Gold", 201), ("Pink", 400)):
        body = {"LastName": "x", "Tier__c": value}
        answer = served.call("POST", "/sobjects/Contact", json=body)
        assert answer.status_code == status


def test_tokens_lead_back_to_the_sandbox_and_die_unused_after_two_hours(served):
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    url = f"{served.url}/services/oauth2/token"
    token = served.session.post(url, data=form, timeout=5).json()
    assert token["instance_url"] == served.url
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    for wait, status in ((7_000, 200), (7_000, 200), (7_300, 401)):
        served.sandbox.clock.advance(wait)
        answer = served.call("GET", "/limits", headers=headers)
        assert answer.status_code == status
    assert answer.json()[0]["errorCode"] == "INVALID_SESSION_ID"
    pieces = [b"grant_type=refresh_token&", f"client_id={CLIENT_ID}&".encode()]
    chunked = served.session.post(
        url,
        data=iter([*pieces, f"refresh_token={REFRESH_TOKEN}".encode()]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        timeout=5,
    )
    assert chunked.status_code == 200


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "x"}, "invalid_client_id"),
        ({"client_secret": "x"}, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
    ],
)
def test_tokens_are_not_given_to_everyone(served, change, word):
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
    }
    url = f"{served.url}/services/oauth2/token"
    answer = served.session.post(url, data=form | change, timeout=5)
    assert (answer.status_code, answer.json()["error"]) == (400, word)


def test_versions_are_told_to_anyone_and_other_paths_do_not_exist(served):
    headers = {"Authorization": ""}
    answer = served.call("GET", "/services/data", headers=headers)
    assert {"v66.0", "v50.0", "v67.0"} <= {
        v["url"].rpartition("/")[2] for v in answer.json()
    }
    assert "sforce-limit-info" not in answer.headers
    for path in (
        "/services/data/v49.0/limits",
        "/services/data/v99.0/limits",
        f"{BASE}/sobjects/Acount",
        f"{BASE}/nothing",
    ):
        answer = served.call("GET", path)
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")


def test_wide_rows_and_hints_make_smaller_pages(served):
    for i in range(220):
        served.sandbox.edit("Account", {"Name": f"A{i}"})
    hint = {"Sforce-Query-Options": "batchSize=200"}
    params = {"q": "SELECT Id FROM Account"}
    body = served.call("GET", "/query", params=params, headers=hint).json()
    assert (len(body["records"]), body["done"]) == (200, False)
    served.sandbox.clock.advance(2 * 86_400 + 1)
    token = served.sandbox.access_token
    served.sandbox._sessions[token] = served.sandbox.clock.time()
    answer = served.call("GET", body["nextRecordsUrl"])
    assert answer.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_an_edit_is_a_persons_and_the_api_is_the_robots(served):
    made = served.sandbox.edit("Contact", {"LastName": "x"})
    path = f"/sobjects/Contact/{made['Id']}"
    served.call("PATCH", path, json={"Title": "y"})
    row = served.call("GET", path).json()
    assert row["CreatedById"] != row["LastModifiedById"]
    assert row["Id"] == long_id(row["Id"][:15])
    with pytest.raises(ValueError, match="REQUIRED_FIELD_MISSING"):
        served.sandbox.edit("Contact", {"Title": "x"})
    with pytest.raises(KeyError):
        served.sandbox.edit("Contact", {"Id": "003gK0000zzzzzz"})


def test_the_recycle_bin_is_emptied_after_fifteen_days(served):
    record = served.sandbox.live("Contact")[0]["Id"]
    served.sandbox.edit("Contact", {"Id": record, "IsDeleted": True})
    params = {"q": "SELECT count() FROM Contact WHERE IsDeleted = true"}
    assert served.call("GET", "/queryAll", params=params).json()["totalSize"] == 1
    served.sandbox.clock.advance(15 * 86_400 + 1)
    token = served.sandbox.access_token
    served.sandbox._sessions[token] = served.sandbox.clock.time()
    assert served.call("GET", "/queryAll", params=params).json()["totalSize"] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b'{"records":7}', b"null"])
def test_bodies_that_are_no_requests_are_refused_as_such(served, body):
    for path in ("/composite/sobjects", "/composite"):
        answer = served.call("POST", path, data=body)
        assert answer.status_code == 400
        assert answer.json()[0]["errorCode"]
