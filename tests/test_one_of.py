"""People who are contacts here, and leads or contacts there."""

from __future__ import annotations

import pytest

from .conftest import Opener, Vendors

BOTH = "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}]}"
BY_STAGE = (
    "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}], "
    "create_as: [{resource: Lead, when: {stage: [lead]}}, {resource: Contact}]}"
)


@pytest.fixture
def people() -> int:
    return 0


def lead(vendors: Vendors, n: int, **more: object) -> str:
    row = {"LastName": f"Person {n}", "Company": "PT Kopi", "Email": f"p{n}@x.org"}
    return str(vendors["billing"].edit("Lead", row | more)["Id"])


def contact(vendors: Vendors, n: int, **more: object) -> str:
    row = {"lastname": f"Person {n}", "email": f"p{n}@x.org", "company": "PT Kopi"}
    return str(vendors["sales"].edit("contacts", {"properties": row | more})["id"])


def convert(vendors: Vendors, record: str) -> None:
    vendors["billing"].edit("Lead", {"Id": record, "IsConverted": True})


def properties(vendors: Vendors) -> dict[str, dict[str, object]]:
    return {r["id"]: r["properties"] for r in vendors["sales"].live("contacts")}


def rows(vendors: Vendors, resource: str) -> list[dict[str, object]]:
    """Those that are still to be worked with."""
    found = vendors["billing"].live(resource)
    return [r for r in found if not r.get("IsConverted")]


def later(vendors: Vendors, seconds: float = 300) -> None:
    for v in vendors.values():
        v.clock.advance(seconds)


async def test_people_who_are_leads_there_are_created_nowhere(
    opened: Opener, vendors: Vendors
) -> None:
    leads = [lead(vendors, n) for n in range(300)]
    for n in range(300):
        contact(vendors, n)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        receipt = await hub.sync("contacts")
        assert (receipt.created, receipt.read) == (0, 300)
        for record in leads[:100]:
            convert(vendors, record)
        later(vendors)
        receipt = await hub.sync("contacts")
        assert (receipt.created, receipt.deleted) == (0, 0)
        assert len(rows(vendors, "Contact")) == 100
        assert len(rows(vendors, "Lead")) == 200
        assert len(properties(vendors)) == 300
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        assert receipt.open == {"conflicts": 0, "dead_letters": 0}


async def test_after_a_conversion_edits_go_to_the_contact(
    opened: Opener, vendors: Vendors
) -> None:
    record, person = lead(vendors, 1), contact(vendors, 1)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        await hub.sync("contacts")
        convert(vendors, record)
        vendors["sales"].edit(
            "contacts", {"id": person, "properties": {"city": "Bogor"}}
        )
        later(vendors)
        await hub.sync("contacts")
        (row,) = rows(vendors, "Contact")
        assert row["MailingCity"] == "Bogor"
        vendors["billing"].edit("Contact", {"Id": row["Id"], "Title": "Buyer"})
        later(vendors)
        await hub.sync("contacts")
        assert properties(vendors)[person]["jobtitle"] == "Buyer"


async def test_what_a_conversion_does_not_carry_on_is_not_erased(
    opened: Opener, vendors: Vendors
) -> None:
    record, person = lead(vendors, 1, Title="Buyer"), contact(vendors, 1)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        await hub.sync("contacts")
        convert(vendors, record)
        (row,) = rows(vendors, "Contact")
        vendors["billing"].edit("Contact", {"Id": row["Id"], "Title": None})
        later(vendors)
        await hub.sync("contacts")
        assert properties(vendors)[person]["jobtitle"] == "Buyer"
        assert rows(vendors, "Contact")[0]["Title"] == "Buyer"


async def test_new_people_go_where_their_stage_says(
    opened: Opener, vendors: Vendors
) -> None:
    contact(vendors, 1, lifecyclestage="lead")
    contact(vendors, 2, lifecyclestage="customer")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        plan = await hub.plan("contacts")
        receipt = await hub.apply(plan)
        assert receipt.created == 2
        assert [r["Email"] for r in rows(vendors, "Lead")] == ["p1@x.org"]
        assert [r["Email"] for r in rows(vendors, "Contact")] == ["p2@x.org"]
        assert sorted(b.partition("/")[0] for _, b in hub.links("contacts")) == [
            "Contact",
            "Lead",
        ]
        later(vendors)
        assert (await hub.sync("contacts")).writes == {"billing": 0, "sales": 0}


async def test_who_is_a_lead_and_a_contact_is_twins(
    opened: Opener, vendors: Vendors
) -> None:
    lead(vendors, 1)
    vendors["billing"].edit("Contact", {"LastName": "Person 1", "Email": "p1@x.org"})
    contact(vendors, 1)
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        (conflict,) = hub.conflicts("contacts")
        assert conflict.kind == "twins"


async def test_a_link_made_with_one_resource_holds_with_several(
    opened: Opener, vendors: Vendors
) -> None:
    contact(vendors, 1)
    async with opened("both") as hub:
        later(vendors)
        assert (await hub.sync("contacts")).created == 1
    async with opened("both", right=BOTH) as hub:
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        assert len(list(hub.links("contacts"))) == 1


async def test_a_run_over_leads_and_contacts_is_explained_and_undone(
    opened: Opener, vendors: Vendors
) -> None:
    there = lead(vendors, 1)
    person = contact(vendors, 1)
    contact(vendors, 2, lifecyclestage="lead")
    contact(vendors, 3, lifecyclestage="customer")
    async with opened("both", right=BY_STAGE) as hub:
        later(vendors)
        first = await hub.sync("contacts")
        assert first.created == 2
        held = {r["Id"]: r["Title"] for r in rows(vendors, "Lead")}
        row = {"id": person, "properties": {"jobtitle": "Chief", "city": "Bogor"}}
        vendors["sales"].edit("contacts", row)
        later(vendors)
        second = await hub.sync("contacts")
        (why,) = await hub.why("contact", there, "title")
        assert why.sides[1].record == f"Lead/{there}"
        assert why.sides[1].resource == "Lead"
        assert "salesforce-lead.yaml:" in why.sides[1].rule
        assert [w.after for w in why.writes][:1] == ["Chief"]
        assert why == (await hub.why("contact", f"Lead/{there}", "title"))[0]
        plan = await hub.undo(second.run)
        assert (plan.count("update"), plan.count("kept")) == (1, 0)
        await hub.apply(plan)
        assert {r["Id"]: r["Title"] for r in rows(vendors, "Lead")} == held
        plan = await hub.undo(first.run)
        assert plan.count("delete") == 2
        await hub.apply(plan, allow_deletes=2)
        assert [r["Id"] for r in rows(vendors, "Lead")] == [there]
        assert rows(vendors, "Contact") == []
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}


async def test_what_is_read_as_contacts_is_the_resource_that_a_job_uses(
    opened: Opener, vendors: Vendors
) -> None:
    vendors["billing"].edit("Contact", {"LastName": "Ada", "Email": "ada@x.org"})
    lead(vendors, 1)
    async with opened("both") as hub:
        found = [v["email"] async for v in hub.view("billing", "contact")]
    assert found == ["ada@x.org"]
