"""What jobs must be allowed: computed from the mappings, and held against what was granted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from click.testing import CliRunner

from connector_hub.adapters.plugins import Plugins
from connector_hub.cli.app import cli
from connector_hub.errors import AuthError
from connector_hub.hub import Hub, open_hub
from connector_hub.sdk import Need, Permission

from .test_consent import agree, serving

PROJECT = """\
connections:
  sales: {connector: hubspot, client_id: a}
  billing: {connector: salesforce, base_url: "https://my.salesforce.com", client_id: a, client_secret: env:Y}
  shop: {connector: zoho, client_id: a}
jobs:
  people:
    entity: contact
    left: {connection: sales, resource: contacts}
    right: {connection: billing, resource: Contact}
    direction: DIRECTION
  firms:
    entity: company
    left: {connection: sales, resource: companies}
    right: {connection: billing, resource: Account}
    direction: DIRECTION
  shoppers:
    entity: contact
    left: {connection: shop, resource: Contacts}
    right: {connection: billing, resource: Contact}
    direction: both
    deletes: {follow: true}
"""
NAMESPACE = {"m": "http://soap.sforce.com/2006/04/metadata"}


@pytest.fixture
def project(tmp_path: Path) -> Any:
    """Writes the project and opens it."""

    def opened(direction: str = "left-to-right", change: str = "") -> Any:
        text = PROJECT.replace("DIRECTION", direction)
        if change:
            text = text.replace(*change.split(" -> "))
        (tmp_path / "hub.yaml").write_text(text)
        return open_hub(tmp_path, environ={})

    return opened


def of(hub: Hub, job: str, connection: str) -> dict[str, Permission]:
    found = {p.connection: p for p in hub.permissions(job)}
    return {p.name: p for p in found[connection].permissions}


async def test_a_source_is_read_and_no_more(project):
    async with project() as hub:
        found = of(hub, "people", "sales")
    assert set(found) == {
        "oauth",
        "crm.objects.contacts.read",
        "crm.objects.companies.read",
        "crm.schemas.contacts.read",
    }


async def test_a_target_is_written_and_its_key_field_made_once(project):
    async with project("right-to-left") as hub:
        found = of(hub, "people", "sales")
    assert {"crm.objects.contacts.write", "crm.objects.companies.write"} <= set(found)
    assert found["crm.schemas.contacts.write"].once
    assert not found["crm.objects.contacts.write"].once


async def test_without_a_key_field_none_is_made(project):
    without = "client_id: a} -> client_id: a, key_field: none}"
    async with project("right-to-left", without) as hub:
        assert "crm.schemas.contacts.write" not in of(hub, "people", "sales")


async def test_the_fields_of_salesforce_are_those_of_the_mapping(project):
    async with project() as hub:
        found = of(hub, "people", "billing")
    assert found["Contact.Email"].rights == ("read", "edit")
    assert found["Contact.MailingAddress"].rights == ("read", "edit")
    assert found["Contact.Connector_Hub_Id__c"].rights == ("read", "edit")
    assert found["Contact"].rights == ("read", "create", "edit", "view all")
    assert "read" in found["Account"].rights
    assert "edit" not in found["Account"].rights
    assert not {"Contact.LastName", "Contact.Id", "Contact.SystemModstamp"} & set(found)
    async with project("right-to-left") as hub:
        found = of(hub, "people", "billing")
    assert found["Contact.Email"].rights == ("read",)
    assert found["Contact"].rights == ("read", "view all")
    assert "CustomizeApplication" not in found


async def test_deletes_are_asked_for_only_where_they_follow(project):
    async with project() as hub:
        assert "ZohoCRM.modules.contacts.DELETE" in of(hub, "shoppers", "shop")
        assert "modify all" in of(hub, "shoppers", "billing")["Contact"].rights
        people = of(hub, "people", "billing")["Contact"]
    assert not {"delete", "modify all"} & set(people.rights)


async def test_all_jobs_together_need_what_each_needs(project):
    async with project() as hub:
        found = {p.connection: p for p in hub.permissions()}
        names = {p.name for p in found["billing"].permissions}
        for job in ("people", "firms", "shoppers"):
            assert set(of(hub, job, "billing")) <= names
    rights = [p for p in found["billing"].permissions if p.name == "Contact"]
    assert len(rights) == 1
    assert "delete" in rights[0].rights


def texts(root: ET.Element, path: str) -> Iterator[str]:
    return (e.text or "" for e in root.iterfind(path, NAMESPACE))


def test_a_permission_set_says_the_same_in_the_vendors_words(project, tmp_path):
    async def needed() -> dict[str, Permission]:
        async with project() as hub:
            return of(hub, "shoppers", "billing")

    wanted = asyncio.run(needed())
    words = ("permissions", "shoppers", "--project", str(tmp_path), "--json")
    out = tmp_path / "rights"
    result = CliRunner().invoke(cli, [*words, "--out", str(out)])
    assert result.exit_code == 0, result.output
    (written,) = json.loads(result.stdout)["written"]
    assert written.endswith("billing/connector_hub_shoppers.permissionset-meta.xml")
    root = ET.parse(written).getroot()  # noqa: S314 - our own
    assert root.tag.endswith("}PermissionSet")
    order = [e.tag.partition("}")[2] for e in root]
    assert order == sorted(order)
    fields = {p.name for p in wanted.values() if p.kind == "field"}
    assert set(texts(root, "m:fieldPermissions/m:field")) == fields
    objects = {p.name for p in wanted.values() if p.kind == "object"}
    assert set(texts(root, "m:objectPermissions/m:object")) == objects
    assert list(texts(root, "m:userPermissions/m:name")) == ["ApiEnabled"]


async def test_check_says_what_was_not_granted(tmp_path):
    other = Plugins().sandbox("salesforce")()
    keys = ", ".join(f'{k}: "{v}"' for k, v in other.connection().items())
    async with serving("hubspot", tmp_path) as served:
        text = (tmp_path / "hub.yaml").read_text()
        (tmp_path / "hub.yaml").write_text(
            f"{text}    scopes: [oauth, crm.objects.contacts.read]\n"
            f"  billing: {{{keys}}}\n"
            "jobs:\n  people:\n    entity: contact\n"
            "    left: {connection: org, resource: contacts}\n"
            "    right: {connection: billing, resource: Contact}\n"
            "    direction: left-to-right\n"
        )
        served.environ |= other.env()
        wires = {"billing": httpx.ASGITransport(app=other.app)}
        async with served.opened(transports=wires) as hub:
            await agree(hub)
            lines = await hub.check()
            assert "org: lacks the scopes crm.schemas.contacts.read" in lines
            assert not [line for line in lines if "may not" in line]
            other.org.kinds["Contact"].writable = False
        async with served.opened(transports=wires) as hub:
            lines = await hub.check()
            assert "people: billing: its user may not create or edit Contact" in lines


@pytest.mark.parametrize(
    ("granted", "holds"),
    [
        ({"ZohoCRM.modules.ALL"}, True),
        ({"ZohoCRM.modules.contacts.ALL"}, True),
        ({"ZohoCRM.modules.Contacts.READ"}, True),
        ({"ZohoCRM.modules.contacts.CREATE"}, False),
        ({"ZohoCRM.settings.ALL", "ZohoCRM.modules.leads.ALL"}, False),
    ],
)
def test_a_wide_scope_of_zoho_holds_the_narrow_ones(granted, holds):
    zoho = Plugins().connector("zoho")
    assert zoho.covers(granted, "ZohoCRM.modules.contacts.READ") is holds


def test_modules_and_objects_of_an_accounts_own_need_a_licence():
    needs = [Need("2-117", frozenset({"read", "edit"})), Need("Visits__c")]
    names = {
        (connector, p.name)
        for connector in ("hubspot", "zoho")
        for p in Plugins().connector(connector).permissions(needs)
    }
    assert ("hubspot", "crm.objects.custom.write") in names
    assert ("hubspot", "Enterprise") in names
    assert ("zoho", "ZohoCRM.modules.custom.READ") in names


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("What.Type", None),
        ("WhatId", None),
        ("Foo__r.Bar__c", "Task.Foo__c"),
        ("Account.Name", None),
        ("Account.Domain__c", "Account.Domain__c"),
        ("Owner.Email", None),
        ("ReportsTo.Name", "Task.ReportsToId"),
        ("Description", "Task.Description"),
    ],
)
def test_a_path_is_governed_by_the_field_that_salesforce_governs(path, field):
    salesforce = Plugins().connector("salesforce")
    found = salesforce.permissions([Need("Task", reads=frozenset({path}))])
    assert [p.name for p in found if p.kind == "field"] == ([field] if field else [])


def test_companions_activities_and_orders_have_rights_of_another_kind():
    needs = [
        Need(
            "Product2",
            frozenset({"read", "edit"}),
            writes=frozenset({"PricebookEntry.UnitPrice"}),
        ),
        Need("Task", frozenset({"read", "create"})),
        Need("Order", frozenset({"read", "edit"}), writes=frozenset({"Status"})),
        Need("OrderItem", frozenset({"read", "create"})),
        Need("CampaignMember", frozenset({"read", "create"})),
    ]
    found = Plugins().connector("salesforce").permissions(needs)
    objects = {p.name: p.rights for p in found if p.kind == "object"}
    assert objects["Pricebook2"] == ("read", "edit", "view all")
    assert objects["Order"] == objects["Campaign"] == ("read", "edit", "view all")
    assert not {"Task", "OrderItem", "PricebookEntry", "CampaignMember"} & set(objects)
    users = [p.name for p in found if p.kind == "user"]
    assert users == ["ApiEnabled", "ActivitiesAccess", "EditTask", "ActivateOrder"]
    assert "Marketing User" in {p.name for p in found if p.kind == "licence"}


def test_a_connector_that_says_nothing_needs_nothing():
    files = Plugins().connector("files")
    assert files.permissions([Need("people")]) == ()
    assert files.permission_files("job", [Need("people")]) == {}


async def test_jobs_run_on_exactly_the_scopes_that_are_listed(opened, vendors):
    async with opened("both") as hub:
        (sales,) = [p for p in hub.permissions() if p.connection == "sales"]
        listed = {p.name for p in sales.permissions if not p.once}
        vendors["sales"].granted = frozenset(listed)
        assert (await hub.sync("companies")).status == "done"
        assert (await hub.sync("contacts")).status == "done"
        assert (await hub.check())[0].startswith("2 jobs")
    for scope in sorted(listed - {"oauth"}):
        vendors["sales"].granted = frozenset(listed - {scope})
        firm = {"Name": f"Without {scope}", "Website": f"{scope}.example"}
        made = vendors["billing"].edit("Account", firm)
        person = {"LastName": scope, "Email": f"{scope}@people.example"}
        person["AccountId"] = made["Id"]
        vendors["billing"].edit("Contact", person)
        vendors["billing"].clock.advance(180)
        async with opened("both") as hub:
            with pytest.raises(AuthError, match=scope):
                await all_of(hub)


async def all_of(hub: Hub) -> None:
    await hub.check()
    await hub.sync("companies")
    await hub.sync("contacts")
