"""What users with bad luck have in common: the same accounts."""

from __future__ import annotations

from typing import Any

import httpx

BOTH = "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}]}"
BY_STAGE = (
    "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}], "
    "create_as: [{resource: Lead, when: {stage: [lead]}}, {resource: Contact}]}"
)


def later(vendors: Any, seconds: float = 300) -> None:
    for v in vendors.values():
        v.clock.advance(seconds)


def lead(vendors: Any, n: int, **more: object) -> str:
    row = {"LastName": f"Person {n}", "Company": "PT Kopi", "Email": f"p{n}@x.org"}
    return str(vendors["billing"].edit("Lead", row | more)["Id"])


def contact(vendors: Any, n: int, **more: object) -> str:
    row = {"lastname": f"Person {n}", "email": f"p{n}@x.org", "company": "PT Kopi"}
    return str(vendors["sales"].edit("contacts", {"properties": row | more})["id"])


def sf(vendors: Any, n: int, **more: object) -> str:
    row = {"LastName": f"Person {n}", "Email": f"p{n}@x.org"}
    return str(vendors["billing"].edit("Contact", row | more)["Id"])


def convert_into(vendors: Any, record: str, into: str) -> None:
    """Convert a lead into a contact that is there, as Salesforce lets one choose."""
    org = vendors["billing"].org
    vendors["billing"].edit("Lead", {"Id": record, "IsConverted": True})
    row = org.row(org.kinds["Lead"], record)
    made = row["ConvertedContactId"]
    leads = org.tables["Lead"]
    leads.put({**row, "ConvertedContactId": into}, row)
    contacts = org.tables["Contact"]
    kind = org.kinds["Contact"]
    # the contact the sandbox has made was never there
    org.delete(kind, made, by=row["LastModifiedById"])
    contacts.bin.pop(made, None)
    org.update(kind, into, {}, by=row["LastModifiedById"])


def edit_left(
    vendors: Any, record: str, resource: str = "contacts", **fields: object
) -> None:
    vendors["sales"].edit(resource, {"id": record, "properties": fields})


def edit_right(
    vendors: Any, record: str, resource: str = "Contact", **fields: object
) -> None:
    vendors["billing"].edit(resource, {"Id": record, **fields})


def left(vendors: Any) -> dict[str, dict[str, Any]]:
    return {r["id"]: r["properties"] for r in vendors["sales"].live("contacts")}


def rows(vendors: Any, resource: str = "Contact") -> list[dict[str, Any]]:
    found = vendors["billing"].live(resource)
    return [r for r in found if not r.get("IsConverted")]


async def hs_merge(
    vendors: Any, primary: str, other: str, resource: str = "contacts"
) -> None:
    async with httpx.AsyncClient(  # noqa: TID251 - as another program would
        transport=httpx.ASGITransport(app=vendors["sales"].app), base_url="http://x"
    ) as c:
        token = next(iter(vendors["sales"].env().values()))
        r = await c.post(
            f"/crm/v3/objects/{resource}/merge",
            json={"primaryObjectId": primary, "objectIdToMerge": other},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert r.status_code == 200, r.text
