"""Version 2, which some readers speak to this day."""

from __future__ import annotations

import httpx

from connector_hub_zoho.sandbox import ZohoSandbox


async def test_version_two_gives_every_field_and_any_number_of_numbered_pages():
    sandbox = ZohoSandbox(records=2_250)
    async with httpx.AsyncClient(  # noqa: TID251 - the sandbox without the hub
        transport=httpx.ASGITransport(sandbox.app),
        base_url="http://127.0.0.1",
        headers={"Authorization": f"Zoho-oauthtoken {sandbox.access_token}"},
    ) as client:
        params = {"page": 12, "per_page": 200}
        page = (await client.get("/crm/v2/Contacts", params=params)).json()
        assert (len(page["data"]), page["info"]["more_records"]) == (50, False)
        fields = sandbox.account.modules["Contacts"].module.fields
        assert set(page["data"][0]) == {*fields, "id"}
        newer = await client.get(
            "/crm/v8/Contacts", params=params | {"fields": "Last_Name"}
        )
        assert newer.json()["code"] == "DISCRETE_PAGINATION_LIMIT_EXCEEDED"
        listed = await client.get("/crm/v2/settings/fields?module=Deals")
        places = {f["api_name"]: f["decimal_place"] for f in listed.json()["fields"]}
        assert (places["Amount"], places["Deal_Name"]) == (2, None)
        assert listed.headers.raw[-1][0] == b"Date"
        made = await client.post("/crm/v2/Contacts", json={"data": []})
        assert made.status_code == 405
