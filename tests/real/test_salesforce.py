"""Clients of Salesforce nobody here wrote, on the sandbox."""

from __future__ import annotations


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
