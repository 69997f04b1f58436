from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connector_hub.sdk import (
    Answer,
    AuthError,
    ConfigError,
    Done,
    Exists,
    Gone,
    InDoubt,
    Kind,
    Left,
    MarkLost,
    Missing,
    QuotaSpent,
    Record,
    Rejected,
    Stale,
    Unavailable,
    VendorError,
    Want,
    Way,
    Write,
)
from connector_hub.testing.sandbox import Fault
from connector_hub_salesforce import Salesforce
from connector_hub_salesforce.connector import spelled
from connector_hub_salesforce.ids import long_id
from connector_hub_salesforce.org import LEFT, PERSON, ROBOT
from connector_hub_salesforce.sandbox import SalesforceSandbox

WANT = Want(frozenset({"Email", "LastName", "AccountId", "Account.Name"}))
KEY = "0190f2f4-1111-7222-8333-{:012}"


def create(i: int, **fields: Any) -> Write:
    body = {"LastName": f"L{i}", **fields}
    return Write("create", f"t{i}", KEY.format(i), fields=body)


async def send(sf: Salesforce, *writes: Write, to: str = "Contact") -> list[Any]:
    way = sf.resource(to).way(writes[0].op)
    found = await sf.write(to, writes, way=way)
    return list(found)  # type: ignore[arg-type]


async def pull(sf: Salesforce, at: str | None = None, feed: str = "changed") -> Any:
    """All records of a pull, its mark, and whether it was a whole one."""
    page = await sf.read("Contact", feed, at, WANT)
    records, mark, whole = list(page.records), page.mark, page.whole
    while page.next:
        page = await sf.read("Contact", feed, page.next, WANT)
        assert page.mark is None
        records += page.records
    return records, mark, whole


async def test_check_tells_the_org_and_whose_writes_are_ours(wire):
    account = await wire(SalesforceSandbox()).check()
    assert len(account.id) == 18
    assert account.id.startswith("00D")
    assert account.user == long_id(ROBOT)
    assert account.zone == "Asia/Jakarta"


async def test_check_asks_elsewhere_where_the_app_may_not_see_the_user(wire):
    sandbox = SalesforceSandbox()
    sandbox.faults.append(Fault("userinfo", 403, body="Bad_OAuth_Token"))
    account = await wire(sandbox).check()
    assert account.user == long_id(ROBOT)


async def test_a_static_session_token_works_without_asking_for_another(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox, client_id=None, client_secret=None, token="env:TOKEN")
    await sf.check()
    assert not any("token" in route for route in sandbox.calls)


async def test_a_wrong_secret_is_told_as_credentials(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox, client_id="another-app")
    with pytest.raises(AuthError) as e:
        await sf.check()
    assert "consumer key" in str(e.value)


async def test_a_dead_session_is_replaced_once(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox)
    await sf.check()
    sandbox.clock.advance(7_201)
    assert (await sf.read("Contact", "changed", None, WANT)).whole
    assert sandbox.calls["POST /services/oauth2/token"] == 2


async def test_everything_is_listed_once_in_pages_of_two_thousand(wire):
    sandbox = SalesforceSandbox(records=4_100, companies=3)
    records, mark, whole = await pull(wire(sandbox))
    assert len({r.id for r in records}) == len(records) == 4_100
    assert whole
    assert "mark" in json.loads(mark)
    queries = {r: n for r, n in sandbox.calls.items() if "/query" in r}
    assert sum(queries.values()) == 3
    with_account = next(r for r in records if r.fields["AccountId"])
    assert with_account.fields["Account"]["Name"]
    assert with_account.by == long_id(PERSON)
    assert with_account.changed == datetime(2024, 1, 1, 8, tzinfo=UTC)


async def test_a_pull_from_a_mark_gives_what_moved_and_nothing_else(wire):
    sandbox = SalesforceSandbox(records=20)
    sf = wire(sandbox)
    records, mark, _ = await pull(sf)
    sandbox.clock.advance(600)
    sandbox.edit("Contact", {"Id": records[3].id, "Title": "Buyer"})
    moved, after, whole = await pull(sf, mark)
    assert [r.id for r in moved] == [records[3].id]
    assert not whole
    sandbox.clock.advance(600)
    assert (await pull(sf, (await pull(sf, after))[1]))[0] == []


async def test_what_was_committed_late_is_seen_again_within_the_lag(wire):
    sandbox = SalesforceSandbox(records=2)
    sf = wire(sandbox)
    sandbox.edit("Contact", {"LastName": "Late"})
    sandbox.clock.advance(100)
    mark = (await sf.read("Contact", "changed", None, WANT)).mark
    moved, _, _ = await pull(sf, mark)
    assert [r.fields["LastName"] for r in moved] == ["Late"]


@pytest.mark.parametrize("from_a_mark", [False, True])
async def test_a_lost_cursor_goes_on_after_the_last_row(wire, from_a_mark):
    sandbox = SalesforceSandbox(records=4_500, companies=0)
    sf = wire(sandbox)
    at = json.dumps({"mark": "2020-01-01T00:00:00+00:00"}) if from_a_mark else None
    seen: list[str] = []
    page = await sf.read("Contact", "changed", at, WANT)
    while True:
        seen += [r.id for r in page.records]
        sandbox.expire_cursors()
        if not page.next:
            break
        page = await sf.read("Contact", "changed", page.next, WANT)
        assert page.whole is not from_a_mark
    assert len(seen) == 4_500
    assert seen == sorted(set(seen))


async def test_fields_too_many_for_a_url_are_read_apart(wire, monkeypatch):
    sandbox = SalesforceSandbox(records=30)
    sf = wire(sandbox)
    whole, _, _ = await pull(sf)
    monkeypatch.setattr("connector_hub_salesforce.query.URL", 110)
    apart, _, _ = await pull(sf)
    assert [{**r.fields} for r in apart] == [{**r.fields} for r in whole]


async def test_the_deleted_and_the_merged_are_gone(wire):
    sandbox = SalesforceSandbox(records=5)
    sf = wire(sandbox)
    records, _, _ = await pull(sf)
    _, mark, _ = await pull(sf, feed="deleted")
    sandbox.clock.advance(600)
    one, two, three = (r.id for r in records[:3])
    sandbox.edit("Contact", {"Id": one, "IsDeleted": True})
    sandbox.edit("Contact", {"Id": two, "MasterRecordId": three})
    gone, _, _ = await pull(sf, mark, "deleted")
    found = {g.id: g for g in gone}
    assert found[one] == Gone(one)
    assert found[two].why == "merged"
    assert found[two].into.id == three


@pytest.mark.parametrize(
    "at", ["", "{}", "[]", "7", '{"url":"/x"}', '{"mark":"soon"}', '{"mark":7}']
)
async def test_a_foreign_mark_is_lost(wire, at):
    with pytest.raises(MarkLost):
        await wire(SalesforceSandbox()).read("Contact", "changed", at, WANT)


async def test_a_next_page_at_another_host_is_not_asked_for(wire):
    sandbox = SalesforceSandbox()
    place = {"feed": "changed", "since": None, "apart": False, "id": "x", "stamp": "y"}
    at = json.dumps({**place, "url": "https://evil.example/services/data"})
    with pytest.raises(Unavailable, match=r"evil\.example"):
        await wire(sandbox).read("Contact", "changed", at, WANT)


async def test_records_are_fetched_by_id_and_the_unknown_left_out(wire):
    sandbox = SalesforceSandbox(records=10)
    sf = wire(sandbox)
    ids = [r["Id"] for r in sandbox.live("Contact")]
    found = await sf.fetch("Contact", [*ids, long_id("003gK0000zzzzzz"), "no"], WANT)
    assert [r.id for r in found] == ids
    plain = Want(frozenset({"Email"}))
    before = sum(sandbox.calls.values())
    await sf.fetch("Contact", ids, plain)
    assert sum(sandbox.calls.values()) == before + 1


async def test_records_are_found_whatever_their_case_and_quotes(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox)
    sandbox.edit("Contact", {"LastName": "O'Brien\\"})
    sandbox.edit("Contact", {"LastName": "x') OR (LastName != 'y"})
    sandbox.edit("Contact", {"LastName": "Smith"})
    asked = ["o'brien\\", "x') OR (LastName != 'y", "nobody", ""]
    found = await sf.find("Contact", "LastName", asked, WANT)
    assert {k: len(v) for k, v in found.items()} == {asked[0]: 1, asked[1]: 1}


async def test_two_hundred_and_fifty_keys_are_found_in_one_call(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox)
    for start in (0, 200):
        await send(sf, *(create(i) for i in range(start, start + 200)))
    before = sum(sandbox.calls.values())
    keys = [KEY.format(i) for i in range(250)]
    found = await sf.find("Contact", sf.key, keys, WANT)
    assert len(found) == 250
    assert sum(sandbox.calls.values()) == before + 1


@pytest.mark.parametrize(
    "path", ["Email; DROP", "Email FROM User", "", "a.", "1x", "é"]
)
async def test_what_is_no_field_name_never_becomes_a_query(wire, path):
    sandbox = SalesforceSandbox()
    with pytest.raises(ConfigError):
        await wire(sandbox).read("Contact", "changed", None, Want(frozenset({path})))
    with pytest.raises(ConfigError):
        await wire(sandbox).find("Contact", path, ["x"], WANT)
    assert not sandbox.calls


async def test_a_create_that_is_sent_again_changes_the_first(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox)
    first = await send(sf, create(1), create(2))
    again = await send(sf, create(1, Title="Buyer"), create(2))
    assert [o.created for o in first] == [True, True]
    assert [o.created for o in again] == [False, False]
    assert [o.id for o in first] == [o.id for o in again]
    assert len(sandbox.live("Contact")) == 2
    (read, _) = await sf.fetch("Contact", [o.id for o in first], WANT)
    assert isinstance(read, Record)
    assert read.key == KEY.format(1)


async def test_each_row_has_its_own_outcome_in_order(wire):
    sf = wire(SalesforceSandbox())
    found = await send(
        sf,
        create(1),
        create(2, LastName=None),
        create(3, Email="no mail"),
        create(4, AccountId="001gK0000zzzzzzAAA"),
        create(5),
    )
    assert [type(o) for o in found] == [Done, Rejected, Rejected, Rejected, Done]
    assert (found[1].reason, found[1].fields) == (
        "REQUIRED_FIELD_MISSING",
        ("LastName",),
    )
    assert found[2].reason == "INVALID_EMAIL_ADDRESS"
    assert found[3].reason == "INVALID_CROSS_REFERENCE_KEY"


async def test_updates_and_deletes_of_what_is_gone(wire):
    sandbox = SalesforceSandbox(records=3)
    sf = wire(sandbox)
    one, two, three = (r["Id"] for r in sandbox.live("Contact"))
    sandbox.edit("Contact", {"Id": two, "IsDeleted": True})
    found = await send(
        sf,
        Write("update", "a", "", id=one, fields={"Title": None, "LastName": " New "}),
        Write("update", "b", "", id=two, fields={"Title": "x"}),
        Write("update", "c", "", id="003gK0000zzzzzzAAA", fields={"Title": "x"}),
    )
    assert [type(o) for o in found] == [Done, Missing, Missing]
    (row,) = await sf.fetch("Contact", [one], WANT)
    assert row.fields["LastName"] == "New"
    assert row.by == long_id(ROBOT)
    archives = [Write("archive", i, "", id=i) for i in (two, three, "x,y")]
    found = await send(sf, *archives)
    assert [type(o) for o in found] == [Done, Done, Missing]
    assert [r["Id"] for r in sandbox.live("Contact")] == [one]


STRICT = Salesforce.resource("Contact").conditional_way("update")
LATE = "2030-01-01T00:00:00.000+0000"


async def test_a_conditional_update_leaves_alone_what_has_moved(wire):
    sandbox = SalesforceSandbox(records=4)
    sf = wire(sandbox)
    records = await sf.fetch(
        "Contact", [r["Id"] for r in sandbox.live("Contact")], WANT
    )
    writes = [
        Write("update", r.id, "", r.id, {"Title": "ours"}, version=r.version)
        for r in records
    ]
    sandbox.clock.advance(5)
    sandbox.edit("Contact", {"Id": records[0].id, "Title": "a person's"})
    sandbox.edit("Contact", {"Id": records[1].id, "IsDeleted": True})
    sandbox.org.tables["Contact"].bin.pop(records[1].id)
    calls = sum(sandbox.calls.values())
    found = await sf.write("Contact", writes, way=STRICT)
    assert [type(o) for o in found] == [Stale, Missing, Done, Done]
    assert sum(sandbox.calls.values()) - calls == len(writes)
    titles = {r["Id"]: r["Title"] for r in sandbox.live("Contact")}
    assert titles[records[0].id] == "a person's"
    assert titles[records[2].id] == "ours"
    (untold,) = await sf.write(
        "Contact", [Write("update", "x", "", records[2].id, {"Title": "y"})], way=STRICT
    )
    assert isinstance(untold, Stale)


async def test_a_locked_row_waits_for_its_turn_and_a_spent_quota_ends_all(wire):
    sandbox = SalesforceSandbox(records=1)
    sf = wire(sandbox)
    record = sandbox.live("Contact")[0]["Id"]
    w = Write("update", "t", "", record, {"Title": "x"}, version=LATE)
    lock = [{"errorCode": "UNABLE_TO_LOCK_ROW", "message": "unable to obtain lock"}]
    sandbox.faults.append(Fault("PATCH", status=400, body=lock, times=1))
    (locked,) = await sf.write("Contact", [w], way=STRICT)
    assert isinstance(locked, Unavailable)
    (done,) = await sf.write("Contact", [w], way=STRICT)
    assert isinstance(done, Done)
    bad = Write("update", "t", "", record, {"Nonsense__c": "x"}, version=LATE)
    with pytest.raises(ConfigError, match="Nonsense__c"):
        await sf.write("Contact", [bad], way=STRICT)
    sandbox.daily = 0
    with pytest.raises(QuotaSpent):
        await sf.write("Contact", [w], way=STRICT)


async def test_refusals_of_a_conditional_update_are_those_of_a_collection(wire):
    sandbox = SalesforceSandbox(records=2, companies=1)
    sf = wire(sandbox)
    account = sandbox.live("Account")[0]["Id"]
    sandbox.edit("Account", {"Id": account, "IsDeleted": True})
    record = sandbox.edit("Contact", {"LastName": "Lone"})["Id"]
    for fields in (
        {"Email": "no address"},
        {"LastName": None},
        {"AccountId": account},
    ):
        w = Write("update", "t", "", record, fields, version=LATE)
        (plain,) = await sf.write("Contact", [w], way=Way("update", 200))
        (strict,) = await sf.write("Contact", [w], way=STRICT)
        assert type(strict) is type(plain)
        assert strict.reason == plain.reason


async def test_a_dead_lookup_does_not_make_the_record_itself_missing(wire):
    sandbox = SalesforceSandbox(records=1, companies=1)
    sf = wire(sandbox)
    account = sandbox.live("Account")[0]["Id"]
    lone = sandbox.edit("Contact", {"LastName": "Lone"})["Id"]
    sandbox.edit("Account", {"Id": account, "IsDeleted": True})
    (found,) = await send(
        sf, Write("update", "a", "", id=lone, fields={"AccountId": account})
    )
    assert isinstance(found, Rejected)
    assert found.reason == "ENTITY_IS_DELETED"


async def test_without_a_key_field_creates_are_inserts(wire):
    sandbox = SalesforceSandbox(prepared=False)
    sf = wire(sandbox, key_field=None)
    (done,) = await send(sf, create(1))
    assert isinstance(done, Done)
    assert "POST /services/data/v66.0/composite/sobjects" in sandbox.calls
    assert await sf.prepare("Contact", make=True) is None


async def test_another_records_unique_value_tells_whose_it_is(wire):
    sandbox = SalesforceSandbox()
    sf = wire(sandbox)
    (done,) = await send(sf, create(1))
    row = {"LastName": "B", sf.key: KEY.format(1).upper()}
    plain = wire(sandbox, key_field=None)
    (found,) = await send(plain, Write("create", "t", "", fields=row))
    assert isinstance(found, Exists)
    assert found.there == done.id


async def test_a_duplicate_rule_is_told_as_existing(wire):
    sandbox = SalesforceSandbox()
    sandbox.org.duplicate_rule = True
    sf = wire(sandbox)
    (_, found) = await send(
        sf, create(1, Email="a@b.example"), create(2, Email="A@b.example")
    )
    assert isinstance(found, Exists)
    assert found.there is None


async def test_a_locked_row_may_be_tried_again(wire):
    sandbox = SalesforceSandbox()
    error = {"statusCode": "UNABLE_TO_LOCK_ROW", "message": "busy", "fields": []}
    body = [{"success": False, "errors": [error]}]
    sandbox.faults.append(Fault("composite", 200, body=body))
    (found,) = await send(wire(sandbox), create(1))
    assert isinstance(found, Unavailable)


async def test_an_answer_with_too_few_rows_leaves_all_in_doubt(wire):
    sandbox = SalesforceSandbox()
    sandbox.faults.append(Fault("composite", 200, body=[{"success": True, "id": "x"}]))
    found = await send(wire(sandbox), create(1), create(2))
    assert [type(o) for o in found] == [InDoubt, InDoubt]


async def test_a_write_without_an_answer_is_in_doubt_and_not_repeated(wire):
    sandbox = SalesforceSandbox()
    sandbox.faults.append(Fault("composite", 502, after=True))
    with pytest.raises(InDoubt):
        await send(wire(sandbox), create(1))
    assert len(sandbox.live("Contact")) == 1
    patches = [n for r, n in sandbox.calls.items() if r.startswith("PATCH")]
    assert patches == [1]


async def test_a_missing_key_field_tells_to_prepare(wire):
    sandbox = SalesforceSandbox(prepared=False)
    sf = wire(sandbox)
    for work in (sf.read("Contact", "changed", None, WANT), send(sf, create(1))):
        with pytest.raises(ConfigError, match="connector-hub prepare"):
            await work
    line = await sf.prepare("Contact", make=False)
    assert line.startswith("Contact.Connector_Hub_Id__c: text(36), unique")
    assert "Connector_Hub" in line.partition("permission set")[2]
    assert await sf.prepare("Contact", make=True) == line
    assert await sf.prepare("Contact", make=False) is None
    assert await sf.prepare("Account", make=True)
    (done,) = await send(sf, create(1))
    assert isinstance(done, Done)
    assert len(sandbox.live("PermissionSet")) == 1
    assert len(sandbox.live("PermissionSetAssignment")) == 1


async def test_a_field_that_is_only_hidden_is_granted(wire):
    sandbox = SalesforceSandbox(prepared=False)
    sf = wire(sandbox)
    await sf._make("Contact")
    assert await sf.prepare("Contact", make=True)
    assert await sf.prepare("Contact", make=False) is None


async def test_who_may_not_grant_is_told_what_to_do(wire):
    sandbox = SalesforceSandbox(prepared=False)
    error = {"errorCode": "INSUFFICIENT_ACCESS_OR_READONLY", "message": "x"}
    sandbox.faults.append(Fault("FieldPermissions", 400, body=[error]))
    with pytest.raises(ConfigError, match="INSUFFICIENT_ACCESS") as e:
        await wire(sandbox).prepare("Contact", make=True)
    assert "field-level security" in str(e.value)


async def test_who_may_not_make_fields_is_told_what_to_do(wire):
    sandbox = SalesforceSandbox(prepared=False)
    error = {"errorCode": "INSUFFICIENT_ACCESS", "message": "x"}
    sandbox.faults.append(Fault("CustomField", 400, body=[error]))
    with pytest.raises(ConfigError, match="does not make") as e:
        await wire(sandbox).prepare("Contact", make=True)
    assert "Customize Application" in str(e.value)


async def test_a_key_field_of_another_kind_is_refused(wire):
    sandbox = SalesforceSandbox()
    with pytest.raises(ConfigError, match="not a unique external id"):
        await wire(sandbox, key_field="Title").prepare("Contact", make=True)


async def test_a_mistyped_field_is_named_without_the_query(wire):
    sf = wire(SalesforceSandbox())
    want = Want(frozenset({"Emial"}))
    with pytest.raises(ConfigError, match="Emial") as e:
        await sf.find("Contact", "LastName", ["Secretname"], want)
    assert "Secretname" not in str(e.value)


async def test_a_spent_day_ends_the_run(wire):
    sandbox = SalesforceSandbox()
    sandbox.daily = 1
    await wire(sandbox).read("Contact", "changed", None, WANT)
    with pytest.raises(QuotaSpent, match="24 hours"):
        await wire(sandbox).read("Contact", "changed", None, WANT)
    sandbox.clock.advance(86_401)
    assert await wire(sandbox).read("Contact", "changed", None, WANT)


async def test_describe_tells_required_fields_lengths_and_lookups(wire):
    found = await wire(SalesforceSandbox()).describe("Contact")
    fields = {f.path: f for f in found.fields}
    assert {f.path for f in found.fields if f.required} == {"LastName"}
    assert fields["LastName"].length == 80
    assert fields["AccountId"].refers_to == ("Account",)
    assert fields["SystemModstamp"].read_only
    assert "Web" in fields["LeadSource"].options
    assert fields["Connector_Hub_Id__c"].unique


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (300, ["/a", "/b"], Kind.EXISTS),
        (401, [{"errorCode": "INVALID_SESSION_ID", "message": "x"}], Kind.EXPIRED),
        (401, [{"errorCode": "INVALID_AUTH_HEADER", "message": "x"}], Kind.AUTH),
        (
            403,
            [
                {
                    "errorCode": "REQUEST_LIMIT_EXCEEDED",
                    "message": "ConcurrentRequests (Concurrent API Requests) Limit",
                }
            ],
            Kind.THROTTLED,
        ),
        (
            403,
            [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests"}],
            Kind.QUOTA,
        ),
        (403, "Bad_OAuth_Token", Kind.EXPIRED),
        (403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": "x"}], Kind.DENIED),
        (404, [{"errorCode": "ENTITY_IS_DELETED", "message": "x"}], Kind.MISSING),
        (
            404,
            [
                {
                    "errorCode": "NOT_FOUND",
                    "message": "The requested resource does not exist",
                }
            ],
            Kind.CONFIG,
        ),
        (412, [{"errorCode": "PRECONDITION_FAILED", "message": "x"}], Kind.STALE),
        (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "x"}], Kind.UNAVAILABLE),
        (400, [{"errorCode": "QUERY_TIMEOUT", "message": "x"}], Kind.UNAVAILABLE),
        (400, [{"errorCode": "JSON_PARSER_ERROR", "message": "x"}], Kind.RECORD),
        (400, {"error": "invalid_grant", "error_description": "x"}, Kind.AUTH),
        (
            400,
            {"error": "invalid_grant", "error_description": "login rate exceeded"},
            Kind.THROTTLED,
        ),
    ],
)
async def test_refusals_are_sorted(wire, status, body, kind):
    sf = wire(SalesforceSandbox())
    found = sf.fault(Answer(status, {}, json.dumps(body).encode()))
    assert found is not None
    assert found.kind is kind


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"[7]", b"null", b"{}"])
async def test_a_failing_server_without_an_error_body_is_left_to_the_hub(wire, body):
    sf = wire(SalesforceSandbox())
    assert sf.fault(Answer(500, {}, body)) is None


async def test_what_is_left_is_heard_from_the_limit_header(wire):
    sf = wire(SalesforceSandbox())
    header = "per-app-api-usage=17/250(appName=x); api-usage=25/5000"
    answer = Answer(200, {"sforce-limit-info": header}, b"")
    assert sf.heed(answer) == {"calls": Left(4975.0, of=5000.0)}
    assert sf.heed(Answer(200, {}, b"")) == {}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (Decimal("7.00"), 7),
        (Decimal("7.5"), 7.5),
        (date(2026, 2, 3), "2026-02-03"),
        (datetime(2026, 2, 3, 4, 5, 6, 7_000, tzinfo=UTC), "2026-02-03T04:05:06.007Z"),
        (("a", "b"), "a;b"),
        (None, None),
        (True, True),
        ("x", "x"),
    ],
)
def test_values_are_spelled_as_salesforce_takes_them(value, sent):
    assert spelled(value) == sent
    assert type(spelled(value)) is type(sent)


def test_errors_of_rows_never_quote_values():
    from connector_hub_salesforce.faults import refusal  # noqa: PLC0415

    write = create(1)
    for code in ("DUPLICATE_VALUE", "UNABLE_TO_LOCK_ROW", "ENTITY_IS_DELETED"):
        found: VendorError = refusal(
            Write("update", "t", "", id="x"), {"statusCode": code, "message": "secret"}
        )
        assert "secret" not in str(found)
    assert isinstance(
        refusal(write, {"statusCode": "ENTITY_IS_DELETED", "message": ""}), Rejected
    )


async def test_assignment_rules_are_kept_still(wire):
    """Without the header Salesforce gives new leads and accounts to whom its rules say."""
    sandbox = SalesforceSandbox(records=0)
    sandbox.assignment_rules = True
    sf = wire(sandbox)
    where = "/services/data/v66.0/sobjects/Lead"
    await sf.http.post(where, json={"LastName": "L", "Company": "C"})
    assert [r["OwnerId"] for r in sandbox.live("Lead")] == [long_id(PERSON)]
    lead = Write("create", "a", KEY.format(1), fields={"LastName": "L", "Company": "C"})
    (made,) = await send(sf, lead, to="Lead")
    for way in (sf.resource("Lead").way("update"), STRICT):
        change = Write("update", "b", "", made.id, {"Title": "x"}, version=LATE)
        (done,) = await sf.write("Lead", [change], way=way)
        assert isinstance(done, Done)
    owners = {r["Id"]: r["OwnerId"] for r in sandbox.live("Lead")}
    assert owners[made.id] == long_id(ROBOT)
    account = Write("create", "c", KEY.format(2), fields={"Name": "A"})
    await send(sf, account, to="Account")
    assert [r["OwnerId"] for r in sandbox.live("Account")] == [long_id(ROBOT)]


def test_what_a_write_means_besides_is_declared():
    lead, contact = Salesforce.resource("Lead"), Salesforce.resource("Contact")
    assert lead.kept_still == ("assignment rules",)
    assert contact.kept_still == ()
    assert contact.sets_off == ("flows", "Apex triggers")
    assert contact.billed == "data storage, 2 kB each"


async def test_users_are_those_who_may_own_records(wire):
    page = await wire(SalesforceSandbox()).read(
        "User", "changed", None, Want(frozenset({"Email"}))
    )
    assert {r.id: r.fields["Email"] for r in page.records} == {
        long_id(ROBOT): "connector.hub@sandbox.example",
        long_id(PERSON): "ratna.dewanti@sandbox.example",
    }


async def test_a_record_cannot_be_given_to_who_has_left(wire):
    sf = wire(SalesforceSandbox(prepared=True))
    (outcome,) = await send(sf, create(1, OwnerId=LEFT))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "INACTIVE_OWNER_OR_USER"
    (outcome,) = await send(sf, create(2, OwnerId=long_id(PERSON)))
    assert isinstance(outcome, Done)
