# ruff: noqa: S608 - the queries are what is tested
from __future__ import annotations

from typing import Any

import pytest

from connector_hub_salesforce import query, soql
from connector_hub_salesforce.refused import Refused
from connector_hub_salesforce.sandbox import Call, SalesforceSandbox

ROWS = (
    {"LastName": "Alpha", "Email": "a@x.example", "Birthdate": "1990-01-31"},
    {"LastName": "beta", "FirstName": "50%_x", "DoNotCall": True},
    {"LastName": "Gamma", "FirstName": "O'Hara", "Title": "B\\S"},
    {"LastName": "delta", "Email": "D@x.example", "Birthdate": "2001-12-01"},
)


@pytest.fixture(scope="module")
def org() -> SalesforceSandbox:
    sandbox = SalesforceSandbox()
    account = sandbox.edit(
        "Account", {"Name": "Acme", "NumberOfEmployees": 12, "AnnualRevenue": 1.5}
    )
    sandbox.edit("Account", {"Name": "Zeta", "NumberOfEmployees": 200})
    for i, row in enumerate(ROWS):
        link = {"AccountId": account["Id"]} if i % 2 == 0 else {}
        sandbox.edit("Contact", {**row, **link})
    return sandbox


def run(sandbox: SalesforceSandbox, text: str) -> Any:
    """A query's answer, past HTTP."""
    reply = sandbox._carry_out(Call("GET", "v66.0", ("query",), {"q": text}))
    if reply.status != 200:
        raise AssertionError(reply.body[0]["errorCode"], reply.body[0]["message"])
    return reply.body


def names(sandbox: SalesforceSandbox, where: str) -> set[str]:
    body = run(sandbox, f"SELECT LastName FROM Contact WHERE {where}")
    return {r["LastName"][0].upper() for r in body["records"]}


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("LastName = 'ALPHA'", "A"),
        ("LastName != 'alpha'", "BGD"),
        ("LastName <> 'alpha'", "BGD"),
        ("Email = null", "BG"),
        ("Email != NULL", "AD"),
        ("Email = ''", "BG"),
        ("Email != 'a@x.example'", "BGD"),
        ("LastName IN ('alpha','DELTA')", "AD"),
        ("LastName NOT IN ('alpha','DELTA')", "BG"),
        ("Email IN ('a@x.example', null)", "ABG"),
        ("LastName > 'beta'", "GD"),
        ("LastName >= 'beta' AND LastName <= 'delta'", "BD"),
        ("Email < 'b'", "A"),
        ("LastName LIKE '%A'", "ABGD"),
        ("LastName LIKE '_eta'", "B"),
        (r"FirstName LIKE '50\%\_%'", "B"),
        (r"FirstName LIKE '%\%%'", "B"),
        (r"FirstName = 'O\'Hara'", "G"),
        (r"Title = 'B\\S'", "G"),
        (r"Title LIKE 'b\\s'", "G"),
        ("DoNotCall = true", "B"),
        ("DoNotCall = FALSE", "AGD"),
        ("Birthdate < 2000-01-01", "A"),
        ("SystemModstamp > 2020-01-01T00:00:00Z", "ABGD"),
        ("SystemModstamp < 2020-01-01T00:00:00+07:00", ""),
        ("Account.Name = 'acme'", "AG"),
        ("Account.Name = null", "BD"),
        ("Account.NumberOfEmployees >= 12", "AG"),
        ("NOT (Email = null)", "AD"),
        ("NOT Email = null AND LastName = 'alpha'", "A"),
        ("(LastName = 'alpha' OR LastName = 'beta') AND Email = null", "B"),
        ("lastname = 'alpha' or EMAIL like 'd@%'", "AD"),
    ],
)
def test_conditions(org, where, found):
    assert names(org, where) == set(found)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("LastName", "ABDG"),
        ("LastName DESC", "GDBA"),
        ("Email, LastName", "BGAD"),
        ("Email NULLS LAST, LastName", "ADBG"),
        ("Email DESC NULLS LAST, LastName DESC", "DAGB"),
        ("Account.Name ASC NULLS LAST, LastName", "AGBD"),
        ("LastName LIMIT 2", "AB"),
        ("LastName LIMIT 2 OFFSET 1", "BD"),
        ("LastName OFFSET 3", "G"),
        ("Id", "ABGD"),
    ],
)
def test_orders_and_cuts(org, order, found):
    body = run(org, f"SELECT LastName FROM Contact ORDER BY {order}")
    assert "".join(r["LastName"][0].upper() for r in body["records"]) == found


def test_ids_are_compared_with_fifteen_and_eighteen_characters(org):
    record = run(org, "SELECT Id FROM Contact WHERE LastName = 'beta'")["records"][0]
    for spelling in (record["Id"], record["Id"][:15]):
        assert names(org, f"Id = '{spelling}'") == {"B"}
        assert names(org, f"Id > '{spelling}'") == {"G", "D"}


def test_counts(org):
    assert run(org, "SELECT COUNT() FROM Contact")["totalSize"] == 4
    body = run(org, "select count(Email) from Contact")
    assert body["records"][0]["expr0"] == 2


def test_lookups_are_nested_and_null_where_there_is_none(org):
    body = run(
        org,
        "SELECT LastName, Account.Name, Account.Parent.Name, Owner.Name FROM Contact "
        "ORDER BY LastName",
    )
    first, second = body["records"][:2]
    assert first["Account"]["Name"] == "Acme"
    assert first["Account"]["Parent"] is None
    assert first["Account"]["attributes"]["type"] == "Account"
    assert second["Account"] is None
    assert second["Owner"]["Name"]


def test_all_fields_need_a_limit(org):
    row = run(org, "SELECT FIELDS(ALL) FROM Account LIMIT 1")["records"][0]
    assert {"Id", "BillingCity", "SystemModstamp"} <= set(row)
    row = run(org, "SELECT FIELDS(CUSTOM) FROM Account")["records"][0]
    assert set(row) == {"attributes", "Connector_Hub_Id__c"}
    with pytest.raises(AssertionError, match="MALFORMED_QUERY"):
        run(org, "SELECT FIELDS(ALL) FROM Account")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "MALFORMED_QUERY"),
        ("SELECT", "MALFORMED_QUERY"),
        ("SELECT Id", "MALFORMED_QUERY"),
        ("SELECT * FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id, id FROM Contact", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = x", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email = 'x", "MALFORMED_QUERY"),
        (r"SELECT Id FROM Contact WHERE Email = '\q'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Email IN ()", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact LIMIT -1", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact; DELETE", "MALFORMED_QUERY"),
        ("SELECT Id FROM Contact WHERE Birthdate = 2020-13-01", "MALFORMED_QUERY"),
        (
            "SELECT Id FROM Contact WHERE Id = null AND Id = null OR Id = null",
            "MALFORMED_QUERY",
        ),
        ("SELECT Id FROM Contact OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
        ("SELECT Foo FROM Contact", "INVALID_FIELD"),
        ("SELECT Account.Foo FROM Contact", "INVALID_FIELD"),
        ("SELECT Foo.Name FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Foo = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Contact ORDER BY Foo", "INVALID_FIELD"),
        ("SELECT count(Foo) FROM Contact", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Description = 'x'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE LastName = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE SystemModstamp > '2020'", "INVALID_FIELD"),
        ("SELECT Id FROM Contact WHERE Birthdate = 7", "INVALID_FIELD"),
        ("SELECT Id FROM Contakt", "INVALID_TYPE"),
        ("SELECT Id FROM Contact WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        (
            "SELECT Id FROM Contact WHERE DoNotCall > true",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
        ("SELECT Id FROM Contact WHERE Email > null", "INVALID_QUERY_FILTER_OPERATOR"),
        (
            "SELECT Id FROM Contact WHERE Birthdate LIKE 'x'",
            "INVALID_QUERY_FILTER_OPERATOR",
        ),
    ],
)
def test_what_salesforce_refuses(org, text, code):
    with pytest.raises(AssertionError) as e:
        run(org, text)
    assert e.value.args[0] == code


def test_an_error_shows_the_place_as_the_vendor_does(org):
    with pytest.raises(AssertionError) as e:
        run(org, "SELECT Id, Foo FROM Contact")
    text = e.value.args[1]
    assert "ERROR at Row:1:Column:12\nNo such column 'Foo'" in text
    shown, caret = text.splitlines()[1:3]
    assert shown[caret.index("^") :].startswith("Foo")


@pytest.mark.parametrize(
    "value",
    [
        "'",
        "\\",
        "\\'",
        "a' OR Id != '",
        "\n\r\t",
        "x\\",
        "%",
        "\\%",
        "é'😀",
        "--",
        "''",
    ],
)
def test_a_quoted_value_is_one_literal_and_comes_back_whole(value):
    q = soql.parse(f"SELECT Id FROM Contact WHERE Email IN ({query.quoted(value)})")
    assert isinstance(q.where, soql.Compare)
    assert [v.value for v in q.where.values] == [value]


def test_membership_is_cut_to_the_length_of_a_url():
    values = [f"v{i:05}'" for i in range(5_000)]
    parts = list(query.membership(["Id"], "Contact", "Email", values))
    assert len(parts) > 1
    assert all(query.size(p) <= query.URL for p in parts)
    found = []
    for p in parts:
        where = soql.parse(p).where
        assert isinstance(where, soql.Compare)
        found += [v.value for v in where.values]
    assert found == values


def test_a_query_has_at_most_a_hundred_thousand_characters():
    with pytest.raises(Refused):
        soql.parse("SELECT Id FROM Contact WHERE Email = '" + "x" * 100_000 + "'")
