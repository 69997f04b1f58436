"""Clients of Zoho CRM nobody here wrote, on the sandbox."""

from __future__ import annotations

from connector_hub_zoho.accounts import CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN

APP = {
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
}


def test_zoho_s_sdk_reads_writes_queries_and_converts(client, served):
    sdk = client("zohocrmsdk8-0")
    sandbox = served("zoho", records=2_250)
    born = sorted(r["id"] for r in sandbox.live("Contacts"))
    found = sdk.drive("zoho_driver.py", url=sandbox.url, app=APP)
    live = {r["id"]: r for r in sandbox.live("Contacts")}
    assert found["read"] == born
    assert found["pages"] == 12
    assert found["unmoved"] == 304
    assert (found["created"], found["refused"]) == (99, ["MANDATORY_NOT_FOUND"])
    assert live[found["updated"][0]]["Last_Name"] == "Changed"
    assert found["actions"] == ["update"] * 5 + ["insert"]
    assert found["deleted"] == found["gone"]
    assert len(found["deleted"]) == 9
    assert found["queried"] == 99 + 1 - 9
    assert found["more"] is False
    assert found["converted"] == "success"
    assert len(live) == 2_250 + 99 + 1 - 9 + 1
    (lead,) = sandbox.live("Leads")
    assert (lead["id"], lead["Converted__s"]) == (found["lead"], True)
    assert set(found["fields"]) == set(
        sandbox.account.modules["Contacts"].module.fields
    )
    assert found["users"] == 3


def test_airbyte_s_source_reads_in_full_and_what_changed_since(reader, served):
    sandbox = served("zoho", records=2_250)
    config = {**APP, "environment": "Production", "dc_region": "US"}
    source = reader("source-zoho-crm", sandbox.url, config, "zoho.com", "zohoapis.com")
    assert source.check() == "SUCCEEDED"
    streams = source.discover()
    assert len(streams) == len(sandbox.account.modules)
    contacts, accounts, leads = (
        f"incremental_{n}_zoho_crm_stream" for n in ("contacts", "accounts", "leads")
    )
    known = streams[contacts]["json_schema"]["properties"]
    assert set(sandbox.account.modules["Contacts"].module.fields) <= set(known)
    wanted = [streams[n] for n in (contacts, accounts, leads)]
    found = source.read(*wanted)
    for stream, module in ((contacts, "Contacts"), (accounts, "Accounts")):
        live = {r["id"]: r for r in sandbox.live(module)}
        assert len(found.rows[stream]) == len(live)
        assert {r["id"] for r in found.rows[stream]} == set(live)
    assert not found.rows[leads]
    mails = {r["id"]: r["Email"] for r in sandbox.live("Contacts")}
    assert {r["id"]: r["Email"] for r in found.rows[contacts]} == mails
    moved = sorted(mails)[5]
    sandbox.edit("Contacts", {"id": moved, "Title": "Chief"})
    sandbox.fill_form(Last_Name="Visitor", Company="Toko Baru")
    since = source.read(*wanted, state=found.state)
    assert [r["id"] for r in since.rows[contacts]] == [moved]
    assert [r["Last_Name"] for r in since.rows[leads]] == ["Visitor"]
    assert not since.rows[accounts]
    assert source.proxy.hosts == {"accounts.zoho.com", "zohoapis.com"}
    assert not source.proxy.refused
