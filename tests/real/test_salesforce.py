"""Clients of Salesforce nobody here wrote, on the sandbox."""

from __future__ import annotations

from connector_hub_salesforce.sandbox import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN

APP = {
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
}


def test_simple_salesforce_reads_writes_and_deletes(client, served):
    simple = client("simple-salesforce")
    sandbox = served("salesforce", records=2_300)
    born = {r["Id"] for r in sandbox.live("Contact")}
    found = simple.drive(
        "simple_salesforce_driver.py", url=sandbox.url, token=sandbox.access_token
    )
    live = {r["Id"]: r for r in sandbox.live("Contact")}
    assert found["total"] == found["paged"] == found["walked"] == len(born) == 2_300
    assert {"Contact", "Account", "Lead", "User"} <= set(found["objects"])
    assert {*found["fields"], "attributes"} == set(next(iter(live.values())))
    assert found["external"]
    assert found["limit"] == sandbox.daily
    assert 0 < found["usage"] <= sum(sandbox.calls.values())
    assert found["users"] == len(sandbox.live("User"))
    assert live[found["one"]]["Title"] == found["title"] == "Chief"
    assert (found["by_key"], found["upserted"]) == ("B", [201, 200])
    assert (found["created"], found["bad"]) == (199, [7])
    assert found["why"] == ["REQUIRED_FIELD_MISSING"]
    assert found["refused"] == "INVALID_FIELD"
    assert found["moved"] == 201
    assert found["deleted"] == found["told_deleted"] == found["in_the_bin"] == 111
    assert found["not_in_the_bin"] == 0
    assert found["again"] == "ENTITY_IS_DELETED"
    assert found["left"] == len(live) == 2_300 + 2 + 199 - 111


def test_jsforce_reads_writes_loads_in_bulk_and_refreshes(client, served):
    node = client("node")
    sandbox = served("salesforce", records=2_300)
    found = node.drive(
        "jsforce_driver.cjs", url=sandbox.url, token=sandbox.access_token, app=APP
    )
    live = {r["Id"]: r for r in sandbox.live("Contact")}
    assert found["all"] == found["ids"] == 2_300
    assert live[found["one"]]["Title"] == "Chief"
    assert (found["upserted"], found["refused"]) == (199, ["REQUIRED_FIELD_MISSING"])
    assert found["gone"] == found["bin"] == 50
    assert found["fields"] == len(sandbox.org.kinds["Contact"].fields)
    assert found["limit"] == sandbox.daily
    bulk = found["bulk"]
    assert (bulk["successful"], bulk["unprocessed"], bulk["queried"]) == (299, 0, 299)
    (why,) = bulk["failed"]
    assert why.startswith("REQUIRED_FIELD_MISSING")
    assert found["refreshed"] == {"minted": 1, "found": 1, "fresh": True}
    assert len(live) == 2_300 + 1 + 199 - 50 + 299
