"""Related lists of many to many: the contacts of a deal with their roles, the members of a campaign.

Zoho tells and takes them record by record.
Source: https://www.zoho.com/crm/developer/docs/api/v8/get-related-records.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from connector_hub.sdk import LinkPatch, Ref
from connector_hub_zoho import faults
from connector_hub_zoho.api import PAGE, Api

LISTS: Mapping[str, Mapping[str, str]] = {
    "Deals": {"Contact_Roles": "Contacts"},
    "Campaigns": {"Contacts": "Contacts", "Leads": "Leads"},
}
"""By module: its lists with the module of who is on them."""
_ROLE = "Contact_Role"
_MISSING = 400


async def members(
    api: Api, resource: str, records: Sequence[str], lists: Sequence[str]
) -> dict[str, dict[str, list[Ref]]]:
    """Who is on the lists of records: a call for each list of each."""
    return {
        record: {n: await _listed(api, resource, record, n) for n in lists}
        for record in records
    }


async def _listed(api: Api, resource: str, record: str, name: str) -> list[Ref]:
    found: list[Ref] = []
    page = 1
    while True:
        body = await api.http.get(
            api.path(resource, record, name),
            params={"fields": "id", "per_page": str(PAGE), "page": str(page)},
        )
        if not body:
            return found
        for row in body["data"]:
            role = row.get(_ROLE)
            label = role.get("name") if isinstance(role, Mapping) else role
            found.append(Ref(LISTS[resource][name], str(row["id"]), label or None))
        if not body["info"]["more_records"]:
            return found
        page += 1


async def relate(
    api: Api, resource: str, record: str, links: Mapping[str, LinkPatch]
) -> Mapping[str, Any] | None:
    """Put others on a record's lists and take others off; the first refusal, if there was one."""
    for name, patch in links.items():
        added = {r.id for r in patch.add}
        off = [r.id for r in patch.remove if r.id not in added]
        path = api.path(resource, record, name)
        if off:
            answer = await api.http.send(
                "DELETE",
                path,
                params={"ids": ",".join(off)},
                repeatable=True,
                ok=(_MISSING,),
            )
            # Who is not on the list any more needs not be taken off.
            answer.json()
        if patch.add:
            rows = [
                {"id": r.id, **({_ROLE: {"name": r.label}} if r.label else {})}
                for r in patch.add
            ]
            answer = await api.http.send(
                "PUT", path, json={"data": rows}, repeatable=True, ok=(_MISSING,)
            )
            told = faults.rows_of(answer.json())
            refused = next((r for r in told if r.get("status") == "error"), None)
            if refused is not None:
                return refused
    return None
