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
    sandbox.bulk_seconds = 0.3
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


def test_airbyte_s_source_reads_in_full_and_what_changed_since(reader, served):
    sandbox = served("salesforce", records=2_250)
    config = {
        **APP,
        "auth_type": "Client",
        "is_sandbox": False,
        "start_date": "2023-12-01T00:00:00Z",
        "stream_slice_step": "P2000D",
    }
    sandbox.bulk_seconds = 0.3
    source = reader("source-salesforce", sandbox.url, config, "salesforce.com")
    assert source.check() == "SUCCEEDED"
    streams = source.discover()
    assert {"Contact", "Account", "Lead", "User"} <= set(streams)
    known = streams["Contact"]["json_schema"]["properties"]
    assert set(sandbox.org.kinds["Contact"].fields) <= set(known)
    wanted = [streams[n] for n in ("Contact", "Account", "User")]
    found = source.read(*wanted)
    for name in ("Contact", "Account", "User"):
        live = {r["Id"]: r for r in sandbox.live(name)}
        assert len(found.rows[name]) == len(live)
        assert {r["Id"] for r in found.rows[name]} == set(live)
    mails = {r["Id"]: r["Email"] for r in sandbox.live("Contact")}
    assert {r["Id"]: r["Email"] for r in found.rows["Contact"]} == mails
    assert sandbox.calls["POST /services/data/v62.0/jobs/query"] > 0
    moved, gone = sorted(mails)[5:7]
    sandbox.edit("Contact", {"Id": moved, "Title": "Chief"})
    sandbox.edit("Contact", {"Id": gone, "IsDeleted": True})
    since = source.read(*wanted, state=found.state)
    told = {r["Id"]: r for r in since.rows["Contact"]}
    assert told[moved]["Title"] == "Chief"
    assert told[gone]["IsDeleted"] is True
    assert set(told) == {moved, gone}
    assert source.proxy.hosts == {"login.salesforce.com"}
    assert not source.proxy.refused


def test_simple_salesforce_loads_and_queries_in_bulk_to_the_end(client, served):
    simple = client("simple-salesforce")
    sandbox = served("salesforce", records=300)
    sandbox.bulk_seconds = 0.3
    found = simple.drive(
        "simple_salesforce_bulk_driver.py",
        url=sandbox.url,
        token=sandbox.access_token,
    )
    live = {r["Id"]: r for r in sandbox.live("Contact")}
    assert found["queried"] == 300
    assert found["inserted"] == {"processed": 500, "failed": 1, "total": 500}
    assert found["why"].startswith("REQUIRED_FIELD_MISSING")
    assert (found["successful"], found["unprocessed"]) == (499, 0)
    assert found["upserted"] == {"processed": 20, "failed": 0, "total": 20}
    assert sorted(found["created"]) == ["false"] * 10 + ["true"] * 10
    assert found["updated"] == {"processed": 5, "failed": 0, "total": 5}
    assert found["deleted"] == {"processed": 100, "failed": 0, "total": 100}
    assert found["all"] == 300 + 499 + 10
    assert found["left"] == len(live) == 300 + 499 + 10 - 100
    assert sum(r["Title"] == '=1+1, "x"\nÓ' for r in live.values()) == 5
