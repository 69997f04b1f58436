"""hubspot-api-client as a sync would use it."""

from __future__ import annotations

import json
import sys
from typing import Any

from hubspot import HubSpot
from hubspot.crm import associations, contacts, properties

ALL = 100


def main(url: str, token: str, app: dict[str, str]) -> dict[str, Any]:
    client = HubSpot(access_token=token, host=url)
    return {
        **reading(client),
        **writing(client),
        **associating(client),
        **describing(client),
        **minting(url, app),
    }


def reading(client: Any) -> dict[str, Any]:
    api = client.crm.contacts
    page = api.basic_api.get_page(limit=ALL, properties=["email"], archived=False)
    search = contacts.PublicObjectSearchRequest(
        limit=50,
        filter_groups=[
            {
                "filters": [
                    {
                        "propertyName": "lastmodifieddate",
                        "operator": "GTE",
                        "value": "0",
                    }
                ]
            }
        ],
        sorts=["lastmodifieddate"],
    )
    first = api.search_api.do_search(public_object_search_request=search)
    search.after = first.paging.next.after
    second = api.search_api.do_search(public_object_search_request=search)
    return {
        "listed": sorted(r.id for r in client.crm.contacts.get_all()),
        "companies": len(client.crm.companies.get_all()),
        "page": len(page.results),
        "more": page.paging.next.after is not None,
        "total": first.total,
        "searched": len({r.id for r in first.results + second.results}),
    }


def writing(client: Any) -> dict[str, Any]:
    api = client.crm.contacts
    made = api.basic_api.create(
        contacts.SimplePublicObjectInputForCreate(
            properties={"email": "new@x.example", "lastname": "Ó Súilleabháin"}
        )
    )
    change = contacts.SimplePublicObjectInput(properties={"jobtitle": "Chief"})
    changed = api.basic_api.update(
        "new@x.example", simple_public_object_input=change, id_property="email"
    )
    told = upserted(api, {f"u{i}@x.example": {"lastname": f"U{i}"} for i in range(99)})
    again = upserted(api, {f"u{i}@x.example": {"city": "Solo"} for i in range(9)})
    ids = [contacts.SimplePublicObjectId(id=r.id) for r in told.results[:10]]
    api.batch_api.archive(contacts.BatchInputSimplePublicObjectId(inputs=ids[:4]))
    read = api.batch_api.read(
        contacts.BatchReadInputSimplePublicObjectId(
            properties=["email"], properties_with_history=[], inputs=ids
        )
    )
    merged = api.basic_api.merge(
        public_merge_input=contacts.PublicMergeInput(
            primary_object_id=told.results[-1].id,
            object_id_to_merge=told.results[-2].id,
        )
    )
    try:
        api.basic_api.create(
            contacts.SimplePublicObjectInputForCreate(
                properties={"email": "new@x.example"}
            )
        )
        clash = 0
    except contacts.ApiException as e:
        clash = e.status
    return {
        "created": made.id,
        "same": made.id == changed.id,
        "upserted": len(told.results),
        "new": sum(r.new for r in told.results),
        "errors": told.num_errors,
        "traced": [e.context["objectWriteTraceId"] for e in told.errors],
        "not_new": sum(not r.new for r in again.results),
        "read": len(read.results),
        "missing": len(read.errors[0].context["ids"]),
        "merged": merged.id,
        "loser": told.results[-2].id,
        "clash": clash,
    }


def upserted(api: Any, rows: dict[str, dict[str, str]]) -> Any:
    """A batch with one row more, which is refused."""
    inputs = [
        contacts.SimplePublicObjectBatchInputUpsert(
            id=email,
            id_property="email",
            properties=fields,
            object_write_trace_id=email,
        )
        for email, fields in {**rows, "bad@x.example": {"no_such": "x"}}.items()
    ]
    body = contacts.BatchInputSimplePublicObjectBatchInputUpsert(inputs=inputs)
    return api.batch_api.upsert(body)


def associating(client: Any) -> dict[str, Any]:
    api = client.crm.associations.v4
    company = client.crm.companies.basic_api.get_page(limit=1).results[0].id
    people = client.crm.contacts.basic_api.get_page(limit=3).results
    pairs = [
        associations.v4.PublicDefaultAssociationMultiPost(
            _from=associations.v4.PublicObjectId(id=p.id),
            to=associations.v4.PublicObjectId(id=company),
        )
        for p in people
    ]
    body = associations.v4.BatchInputPublicDefaultAssociationMultiPost(inputs=pairs)
    api.batch_api.create_default("contacts", "companies", body)
    asked = associations.v4.BatchInputPublicFetchAssociationsBatchRequest(
        inputs=[
            associations.v4.PublicFetchAssociationsBatchRequest(id=p.id) for p in people
        ]
    )
    found = api.batch_api.get_page("contacts", "companies", asked)
    held = api.basic_api.get_page("companies", company, "contacts")
    return {
        "company": company,
        "associated": sorted(r._from.id for r in found.results),
        "of_the_company": sorted(str(r.to_object_id) for r in held.results),
    }


def describing(client: Any) -> dict[str, Any]:
    api = client.crm.properties.core_api
    api.create(
        "contacts",
        properties.PropertyCreate(
            name="shoe_size",
            label="Shoe size",
            type="number",
            field_type="number",
            group_name="contactinformation",
        ),
    )
    known = api.get_all("contacts").results
    pipelines = client.crm.pipelines.pipelines_api.get_all("deals").results
    return {
        "stages": sum(len(p.stages) for p in pipelines),
        "properties": sorted(p.name for p in known),
        "size": api.get_by_name("contacts", "shoe_size").type,
        "owners": sorted(o.id for o in client.crm.owners.owners_api.get_page().results),
        "archived_owners": [
            o.id for o in client.crm.owners.owners_api.get_page(archived=True).results
        ],
    }


def minting(url: str, app: dict[str, str]) -> dict[str, Any]:
    told = HubSpot(host=url).oauth.tokens_api.create(grant_type="refresh_token", **app)
    client = HubSpot(access_token=told.access_token, host=url)
    page = client.crm.contacts.basic_api.get_page(limit=1)
    return {"life": told.expires_in, "opens": len(page.results)}


if __name__ == "__main__":
    json.dump(main(**json.load(sys.stdin)), sys.stdout)
