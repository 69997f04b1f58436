"""Two accounts with people and companies, for proofs about what is deleted, merged, restored and linked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from connector_hub.hub import Hub
from connector_hub.model.plan import Receipt
from connector_hub.testing.clock import WorldClock
from connector_hub.testing.world import World
from connector_hub_hubspot.sandbox import HubSpotSandbox
from connector_hub_salesforce.sandbox import SalesforceSandbox

FOLLOWS = "deletes: {follow: true}\n    guard: {delete: 50}"
"""Deletes travel, a few at a time."""
DAY = 86_400.0
LAG = 60.0
"""Seconds HubSpot's search is behind, within what the connector looks back."""
PROJECT = """\
jobs:
  companies:
    entity: company
    left: {{connection: sales, resource: companies}}
    right: {{connection: billing, resource: Account}}
    direction: {direction}
    {companies}
  contacts:
    entity: contact
    left: {{connection: sales, resource: contacts}}
    right: {{connection: billing, resource: Contact}}
    direction: {direction}
    {contacts}
"""


class Accounts(World):
    """HubSpot at the left, Salesforce at the right."""

    def __init__(
        self,
        folder: Path,
        contacts: str = "",
        *,
        companies: str = "",
        direction: str = "both",
        mappings: dict[str, str] | None = None,
        seed: int = 0,
        more: str = "",
    ) -> None:
        clock = WorldClock()
        boxes = {
            "sales": HubSpotSandbox(clock=clock),
            "billing": SalesforceSandbox(clock=clock),
        }
        boxes["sales"].search_lag = LAG
        text = PROJECT.format(
            direction=direction, contacts=contacts, companies=companies
        )
        head = "mappings: [shipped, mappings]\n" if mappings else ""
        super().__init__(
            folder,
            head + text + more,
            boxes,
            clock=clock,
            seed=seed,
            settings={"sales": {"region": "ID"}},
            mappings=mappings,
        )

    # -- people ---------------------------------------------------------------

    def h(self, n: int = 1, record: str | None = None, **fields: Any) -> str:
        """A contact of HubSpot's, new or edited."""
        born = {"email": f"p{n}@x.org", "lastname": f"Person {n}"}
        body = {"properties": fields if record else born | fields}
        return self.person("sales", "contacts", **body, **_id("id", record))

    def s(self, n: int = 1, record: str | None = None, **fields: Any) -> str:
        """A contact of Salesforce's, new or edited."""
        born = {"Email": f"p{n}@x.org", "LastName": f"Person {n}"}
        body = fields if record else born | fields
        return self.person("billing", "Contact", **body, **_id("Id", record))

    def firm(self, n: int = 1, record: str | None = None, **fields: Any) -> str:
        """A company of HubSpot's, new or edited."""
        born = {"name": f"Firm {n}", "domain": f"firm{n}.example"}
        body = {"properties": fields if record else born | fields}
        return self.person("sales", "companies", **body, **_id("id", record))

    def account(self, n: int = 1, record: str | None = None, **fields: Any) -> str:
        """An account of Salesforce's, new or edited."""
        born = {"Name": f"Firm {n}", "Website": f"firm{n}.example"}
        body = fields if record else born | fields
        return self.person("billing", "Account", **body, **_id("Id", record))

    def h_gone(self, record: str, resource: str = "contacts") -> None:
        """Somebody archives a record at HubSpot."""
        self.person("sales", resource, id=record, archived=True)

    def h_back(self, record: str, resource: str = "contacts") -> None:
        """Somebody restores a record at HubSpot."""
        self.person("sales", resource, id=record, archived=False)

    def s_gone(self, record: str, resource: str = "Contact") -> None:
        """Somebody deletes a record at Salesforce."""
        self.person("billing", resource, Id=record, IsDeleted=True)

    def s_back(self, record: str, resource: str = "Contact") -> None:
        """Somebody takes a record out of Salesforce's recycle bin."""
        self.person("billing", resource, Id=record, IsDeleted=False)

    async def h_merge(self, into: str, other: str, resource: str = "contacts") -> str:
        """Somebody merges two records at HubSpot; the survivor's id."""
        box = self.sandboxes["sales"]
        body = {"primaryObjectId": into, "objectIdToMerge": other}
        async with httpx.AsyncClient(  # noqa: TID251 - as another program would
            transport=httpx.ASGITransport(app=box.app), base_url="http://x"
        ) as c:
            answer = await c.post(
                f"/crm/v3/objects/{resource}/merge",
                json=body,
                headers={"Authorization": f"Bearer {box.access_token}"},
            )
        self._look("sales", "person")
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def s_merge(self, into: str, other: str, resource: str = "Contact") -> None:
        """Somebody merges two records at Salesforce."""
        self.person("billing", resource, Id=other, MasterRecordId=into)

    def employ(self, contact: str, firm: str | None, **more: Any) -> None:
        """Somebody says at HubSpot who a contact works for."""
        a = {"to": "companies", "id": firm, "labels": ["Primary"], **more}
        self.person("sales", "contacts", id=contact, associations=[a])

    def leave(self, contact: str, firm: str) -> None:
        """Somebody ends an association at HubSpot."""
        self.employ(contact, firm, ended=True)

    # -- what is there ---------------------------------------------------------

    def left(self, resource: str = "contacts") -> dict[str, dict[str, Any]]:
        """HubSpot's live records by id."""
        return {
            r["id"]: r["properties"] for r in self.sandboxes["sales"].live(resource)
        }

    def right(self, resource: str = "Contact") -> dict[str, dict[str, Any]]:
        """Salesforce's live records by id."""
        return {r["Id"]: r for r in self.sandboxes["billing"].live(resource)}

    def works_for(self, contact: str) -> str | None:
        """The primary company of a contact of HubSpot's."""
        return self.left()[contact].get("associatedcompanyid")

    # -- the hub ---------------------------------------------------------------

    async def syncs(self, n: int = 1, **options: Any) -> Receipt:
        """Some runs of all jobs; the last receipt of the contacts."""
        for _ in range(n):
            *_, receipt = await self.sync(**options)
        return receipt

    async def quiet(self) -> None:
        """One more full run writes nothing at either vendor."""
        before = len([w for w in self.truth.history if w.who == "hub"])
        await self.sync(full=True)
        after = [w for w in self.truth.history if w.who == "hub"]
        assert after[before:] == []

    async def ask(self, what: Any) -> Any:
        """Something of a hub."""

        async def work(hub: Hub) -> Any:
            found = what(hub)
            return await found if hasattr(found, "__await__") else found

        return await self.process(work)

    async def pairs(self, job: str = "contacts") -> list[tuple[str, str]]:
        """Who is linked with whom."""
        return await self.ask(lambda hub: sorted(hub.links(job)))

    async def questions(self, job: str = "contacts") -> list[str]:
        """The kinds of open conflicts."""
        return await self.ask(lambda hub: sorted(c.kind for c in hub.conflicts(job)))


def _id(word: str, record: str | None) -> dict[str, str]:
    return {word: record} if record else {}
