"""Clients of HubSpot nobody here wrote, on the sandbox."""

from __future__ import annotations

from connector_hub_hubspot.sandbox import (
    CLIENT_ID,
    CLIENT_SECRET,
    PORTAL,
    REFRESH_TOKEN,
)

APP = {
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
}


def test_hubspot_api_client_reads_writes_and_associates(client, served):
    hubspot = client("hubspot-api-client")
    sandbox = served("hubspot", records=250)
    born = sorted(r["id"] for r in sandbox.live("contacts"))
    found = hubspot.drive(
        "hubspot_driver.py", url=sandbox.url, token=sandbox.access_token, app=APP
    )
    live = {r["id"]: r for r in sandbox.live("contacts")}
    assert found["listed"] == born
    assert found["companies"] == len(sandbox.live("companies"))
    assert (found["page"], found["more"]) == (100, True)
    assert (found["total"], found["searched"]) == (len(born), 100)
    assert found["same"]
    assert live[found["created"]]["properties"]["jobtitle"] == "Chief"
    assert (found["upserted"], found["new"], found["errors"]) == (99, 99, 1)
    assert found["traced"] == [["bad@x.example"]]
    assert found["not_new"] == 9
    assert (found["read"], found["missing"]) == (6, 4)
    assert found["merged"] in live
    assert found["loser"] not in live
    assert found["clash"] == 409
    assert len(live) == 250 + 1 + 99 - 4 - 1
    assert len(found["associated"]) == 3
    assert found["of_the_company"] == sorted(
        i
        for i, r in live.items()
        for c in r["associations"].get("companies", {}).get("results", ())
        if c["id"] == found["company"] and c["type"].endswith("unlabeled")
    )
    assert {"shoe_size", "email"} <= set(found["properties"])
    assert found["size"] == "number"
    assert found["stages"] == sum(
        len(p.stages) for p in sandbox.portal.pipelines["deals"]
    )
    assert (found["owners"], found["archived_owners"]) == (["7101", "7102"], ["7103"])
    assert (found["life"], found["opens"]) == (1_800, 1)


def test_airbyte_s_source_reads_in_full_and_what_changed_since(reader, served):
    sandbox = served("hubspot", records=250)
    config = {
        "credentials": {"credentials_title": "OAuth Credentials", **APP},
        "start_date": "2020-01-01T00:00:00Z",
    }
    sandbox.sales = 30
    sandbox.seed_data()
    source = reader("source-hubspot", sandbox.url, config, "hubapi.com")
    assert source.check() == "SUCCEEDED"
    streams = source.discover()
    assert {"contacts", "companies", "owners", "engagements_calls"} <= set(streams)
    known = streams["contacts"]["json_schema"]["properties"]
    assert known["properties_connector_hub_id"]["type"] == ["null", "string"]
    kept = ("contacts", "companies", "deals", "line_items")
    wanted = [streams[n] for n in (*kept, "owners")]
    found = source.read(*wanted)
    for name in kept:
        live = {r["id"]: r for r in sandbox.live(name)}
        assert len(found.rows[name]) == len(live)
        assert {r["id"] for r in found.rows[name]} == set(live)
    mails = {r["id"]: r["properties"]["email"] for r in found.rows["contacts"]}
    assert mails == {
        r["id"]: r["properties"]["email"] for r in sandbox.live("contacts")
    }
    assert len(found.rows["owners"]) == 2
    for record in ("50003", "50007"):
        sandbox.edit("contacts", {"id": record, "properties": {"city": "Solo"}})
    sandbox.clock.advance(60)
    since = source.read(*wanted, state=found.state)
    assert {r["id"] for r in since.rows["contacts"]} >= {"50003", "50007"}
    assert source.proxy.hosts == {"api.hubapi.com"}
    assert not source.proxy.refused


def test_hubspot_s_client_for_node_reads_writes_and_associates(client, served):
    node = client("node")
    sandbox = served("hubspot", records=250)
    born = {r["id"] for r in sandbox.live("contacts")}
    found = node.drive(
        "hubspot_driver.cjs", url=sandbox.url, token=sandbox.access_token
    )
    live = {r["id"]: r for r in sandbox.live("contacts")}
    assert set(found["listed"]) == born
    assert (found["total"], found["searched"]) == (len(born), 100)
    assert (found["upserted"], found["fresh"], found["errors"]) == (99, 99, 1)
    assert found["traced"] == [["bad"]]
    assert live[found["created"]]["properties"]["jobtitle"] == "Chief"
    assert found["associated"] == [found["company"]]
    assert found["gone"] == [found["archived"]]
    assert found["clash"] == 409
    assert len(live) == 250 + 99 + 1 - 1
    assert found["owners"] == 2
    assert found["properties"] == len(sandbox.portal.of("contacts").properties)
    assert found["portal"] == PORTAL
