"""The hub on both vendors' sandboxes: what a person who runs it relies on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector_hub.diagnostics import Mistakes
from connector_hub.errors import ConfigError, GuardTripped, PlanStale, Unavailable
from connector_hub.hub import Hub, open_hub
from connector_hub.sync.matching import Found
from connector_hub.sync.run import Options
from connector_hub.testing.sandbox import Fault

from .conftest import Opener, Vendors


def contact(vendors: Vendors, email: str) -> dict[str, Any]:
    """A Salesforce contact."""
    return next(r for r in vendors["billing"].live("Contact") if r["Email"] == email)


def emails(vendors: Vendors) -> list[str]:
    """The e-mails of all HubSpot contacts."""
    return [r["properties"]["email"].lower() for r in vendors["sales"].live("contacts")]


async def no_wait(_seconds: float) -> None:
    """Time does not matter here."""


async def test_both_directions_agree_and_then_write_nothing(
    opened: Opener, vendors: Vendors
) -> None:
    billing = vendors["billing"]
    billing.edit("Contact", {"LastName": "Only There", "Email": "there@people.example"})
    async with opened("both") as hub:
        await hub.sync("companies")
        first = await hub.sync("contacts")
        assert first.created == 21
        mail = emails(vendors)[0]
        there = contact(vendors, mail)
        assert there["AccountId"]
        billing.edit("Contact", {"Id": there["Id"], "Title": "Chief of Two Ways"})
        vendors["sales"].clock.advance(5)
        second = await hub.sync("contacts")
        assert second.updated == 1
        assert second.writes == {"billing": 0, "sales": 1}
        third = await hub.sync("contacts", options=Options(full=True))
    assert sum(third.writes.values()) == 0
    titles = [
        r["properties"].get("jobtitle") for r in vendors["sales"].live("contacts")
    ]
    assert "Chief of Two Ways" in titles
    assert "there@people.example" in emails(vendors)


async def test_what_a_limit_left_is_taken_up_whoever_comes_next(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts", options=Options(limit=5))
        plan = await hub.plan("contacts", options=Options(limit=5))
        await hub.apply(plan)
        await hub.sync("contacts")
    assert len(vendors["billing"].live("Contact")) == 20


async def test_a_record_edited_after_the_plan_is_not_archived(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(deletes="{follow: true}", guard="{delete: 5}") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        row = vendors["sales"].live("contacts")[0]
        mail = row["properties"]["email"].lower()
        vendors["sales"].edit("contacts", {"id": row["id"], "archived": True})
        plan = await hub.plan("contacts", options=Options(full=True))
        assert plan.count("delete") == 1
        there = contact(vendors, mail)["Id"]
        vendors["billing"].edit("Contact", {"Id": there, "Title": "Still wanted"})
        receipt = await hub.apply(plan)
    assert (receipt.deleted, receipt.stale) == (0, 1)
    assert contact(vendors, mail)["Title"] == "Still wanted"


async def test_an_apply_that_was_refused_or_failed_before_writing_can_be_repeated(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        plan = await hub.plan("contacts")
        hub.clock.sleep = no_wait
        vendors["billing"].faults.append(Fault("query", status=503))
        with pytest.raises(Unavailable):
            await hub.apply(plan)
        vendors["billing"].faults.clear()
        receipt = await hub.apply(plan)
        assert receipt.created == 20
        with pytest.raises(PlanStale):
            await hub.apply(plan)


async def test_the_guard_on_emptied_fields_holds_for_apply_too(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(guard="{clear: 1}") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        for row in vendors["sales"].live("contacts")[:2]:
            vendors["sales"].edit(
                "contacts",
                {"id": row["id"], "properties": {"phone": "", "jobtitle": ""}},
            )
        vendors["sales"].clock.advance(5)
        plan = await hub.plan("contacts")
        assert plan.count("clear") > 1
        with pytest.raises(GuardTripped, match="clear"):
            await hub.apply(plan)


async def test_what_was_deleted_or_merged_at_the_target_is_known(
    opened: Opener, vendors: Vendors
) -> None:
    """Salesforce takes the contacts of a deleted account with it."""
    billing, sales = vendors["billing"], vendors["sales"]
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        accounts = billing.live("Account")
        billing.edit("Account", {"Id": accounts[0]["Id"], "IsDeleted": True})
        mails = emails(vendors)
        kept, lost = contact(vendors, mails[0]), contact(vendors, mails[1])
        billing.edit("Contact", {"Id": lost["Id"], "MasterRecordId": kept["Id"]})
        left = len(billing.live("Contact"))
        for row in sales.live("companies"):
            sales.edit(
                "companies", {"id": row["id"], "properties": {"city": "Bandung"}}
            )
        for row in sales.live("contacts"):
            sales.edit("contacts", {"id": row["id"], "properties": {"jobtitle": "New"}})
        sales.clock.advance(5)
        first = await hub.sync("companies")
        assert (first.updated, first.unchanged, first.stale) == (4, 1, 0)
        second = await hub.sync("contacts")
        assert (second.dead_letters, second.stale) == (0, 0)
        assert second.updated + second.unchanged == 20
        third = await hub.sync("contacts", options=Options(full=True))
    assert third.stale == 0
    assert len(billing.live("Contact")) == left


async def test_another_account_is_refused_before_anything_is_prepared(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
    vendors["billing"] = type(vendors["billing"])(prepared=False, seed=7)
    vendors["billing"].org_id = "00D000000000999EAA"
    async with opened() as hub:
        hub.store.pin("billing", "salesforce:00D000000000001EAA")
        with pytest.raises(GuardTripped, match="belonged to account"):
            await hub.prepare("billing", make=True)
        with pytest.raises(GuardTripped):
            await hub.check()


async def test_a_letter_of_a_record_that_is_gone_closes(
    opened: Opener, vendors: Vendors
) -> None:
    sales = vendors["sales"]
    async with opened() as hub:
        await hub.sync("companies")
        made = sales.edit("contacts", {"properties": {"email": "n@people.example"}})
        sales.clock.advance(5)
        run = await hub.sync("contacts")
        assert run.dead_letters == 1
        (letter,) = hub.dead_letters("contacts")
        await hub.replay("contacts")
        assert [x.id for x in hub.dead_letters("contacts")] == [letter.id]
        sales.edit("contacts", {"id": made["id"], "archived": True})
        await hub.replay("contacts")
        assert hub.dead_letters("contacts") == []


async def test_a_field_edited_on_both_sides_waits_for_a_person_and_then_follows(
    opened: Opener, vendors: Vendors
) -> None:
    sales, billing = vendors["sales"], vendors["billing"]
    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        row = sales.live("contacts")[0]
        mail = row["properties"]["email"].lower()
        there = contact(vendors, mail)["Id"]
        sales.edit("contacts", {"id": row["id"], "properties": {"jobtitle": "Left"}})
        billing.edit("Contact", {"Id": there, "Title": "Right"})
        sales.clock.advance(5)
        run = await hub.sync("contacts")
        assert (run.conflicts, sum(run.writes.values())) == (1, 0)
        (conflict,) = hub.conflicts("contacts")
        with pytest.raises(ConfigError, match="not about 'phone'"):
            hub.resolve(conflict, "right", ["phone"])
        assert hub.resolve(conflict, "right") == ("title",)
        await hub.sync("contacts")
        assert hub.conflicts("contacts") == []
    titles = {r["id"]: r["properties"].get("jobtitle") for r in sales.live("contacts")}
    assert titles[row["id"]] == "Right"
    assert contact(vendors, mail)["Title"] == "Right"


async def test_a_conflict_about_who_is_who_is_resolved_at_the_vendor(
    opened: Opener, vendors: Vendors
) -> None:
    sales, billing = vendors["sales"], vendors["billing"]
    mail = emails(vendors)[0]
    for _ in range(2):
        billing.edit("Contact", {"LastName": "Twin", "Email": mail})
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        (conflict,) = hub.conflicts("contacts")
        with pytest.raises(ConfigError, match="resolved at the vendor"):
            hub.resolve(conflict, "left")
        twin = next(m for side, m in conflict.members if side == "right")
        billing.edit("Contact", {"Id": twin, "IsDeleted": True})
        sales.clock.advance(5)
        await hub.sync("contacts")
        await hub.sync("contacts")
        assert hub.conflicts("contacts") == []


async def test_links_that_a_dying_vendor_did_not_take_are_sent_again(
    opened: Opener, vendors: Vendors
) -> None:
    """HubSpot takes associations in calls of their own, after the records."""
    billing, sales = vendors["billing"], vendors["sales"]
    account = billing.edit("Account", {"Name": "Acme", "Website": "acme.example"})
    for i in range(3):
        billing.edit(
            "Contact",
            {
                "LastName": f"N{i}",
                "Email": f"{i}@acme.example",
                "AccountId": account["Id"],
            },
        )
    async with opened("right-to-left") as hub:
        await hub.sync("companies")
        hub.clock.sleep = no_wait
        sales.faults.append(Fault("associations/contacts/companies/batch/create", 503))
        with pytest.raises(Unavailable):
            await hub.sync("contacts")
        sales.faults.clear()
        sales.clock.advance(60)
        for _ in range(2):
            await hub.sync("contacts")
        assert len(list(hub.links("contacts"))) == 3
    made = [r for r in sales.live("contacts") if "acme" in r["properties"]["email"]]
    assert len(made) == 3
    assert all(r["associations"]["companies"]["results"] for r in made)


async def matched(hub: Hub) -> tuple[dict[str, int], list[Found]]:
    lines: list[Found] = []
    counts = await hub.match("contacts", lines.append)
    return dict(counts), lines


async def test_a_first_match_tells_who_is_whom_and_writes_nothing(
    opened: Opener, vendors: Vendors
) -> None:
    billing, sales = vendors["billing"], vendors["sales"]
    rows = sales.live("contacts")
    for r in rows[:12]:
        p = r["properties"]
        billing.edit(
            "Contact",
            {
                "LastName": p["lastname"],
                "FirstName": p.get("firstname"),
                "Email": p["email"].upper(),
            },
        )
    billing.edit(
        "Contact", {"LastName": "Zz", "Email": rows[12]["properties"]["email"]}
    )
    billing.edit("Contact", {"LastName": "Only There", "Email": "there@x.example"})
    billing.edit("Contact", {"LastName": "Nobody"})
    for _ in range(2):
        billing.edit("Contact", {"LastName": "T", "Email": "twin@x.example"})
    before = len(billing.live("Contact"))
    async with opened("both") as hub:
        counts, lines = await matched(hub)
        assert counts == {
            "one to one": 12,
            "other name": 1,
            "only left": 7,
            "only right": 1,
            "no identity": 1,
            "twins": 2,
        }
        assert sum(bool(f.left) for f in lines) == 20
        assert sum(bool(f.right) for f in lines) == before
        assert len(billing.live("Contact")) == before
        only = next(f for f in lines if f.kind == "only left")
        nobody = next(f for f in lines if f.kind == "no identity")
        assert (
            await hub.link("contacts", [(2, only.left or "", nobody.right or "")]) == 1
        )
        await hub.sync("companies")
        run = await hub.sync("contacts")
        assert run.conflicts == 2
        assert len(sales.live("contacts")) == 20 + 1
        assert len(billing.live("Contact")) == before + 6
        again, _ = await matched(hub)
        assert again == {"linked": 21, "twins": 2}


async def test_a_file_that_links_wrongly_links_nothing(opened: Opener) -> None:
    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        (a, b), (c, d), *_ = list(hub.links("contacts"))
        for pairs, said in (
            ([(2, a, "003nobody")], "line 2: billing has no record 003nobody"),
            ([(2, a, b), (3, a, d)], f"line 2: {a} is there more than once"),
            ([(4, a, d)], f"line 4: {a} or {d} is linked to another"),
        ):
            with pytest.raises(ConfigError, match=said):
                await hub.link("contacts", pairs)
        assert await hub.link("contacts", [(2, a, b), (3, c, d)]) == 0
        assert len(list(hub.links("contacts"))) == 20


async def test_two_that_were_joined_by_mistake_are_two_again(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        (a, b), *_ = list(hub.links("contacts"))
        before = vendors["billing"].live("Contact")
        await hub.unlink("contacts", a, b)
        with pytest.raises(ConfigError, match="are not linked"):
            await hub.unlink("contacts", a, b)
        for v in vendors.values():
            v.clock.advance(300)
        assert (await hub.sync("contacts")).writes == {"billing": 0, "sales": 0}
        assert vendors["billing"].live("Contact") == before
        assert {c.kind for c in hub.conflicts("contacts")} == {"taken"}
        body = {"id": a, "properties": {"email": "someone.else@x.org", "phone": ""}}
        vendors["sales"].edit("contacts", body)
        vendors["sales"].clock.advance(300)
        assert (await hub.sync("contacts")).created == 1
        (mine,) = [k for k in hub.trace("contacts", a) if k.connection == "billing"]
        assert mine.record != b
        assert hub.trace("contacts", "nobody") == []


async def test_a_link_field_follows_when_its_company_comes(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("contacts")
        assert not any(r["AccountId"] for r in vendors["billing"].live("Contact"))
        await hub.sync("companies")
        run = await hub.sync("contacts")
        employed = [
            r
            for r in vendors["sales"].live("contacts")
            if r.get("associations", {}).get("companies")
        ]
        assert run.updated == len(employed) > 0
    at_work = [r for r in vendors["billing"].live("Contact") if r["AccountId"]]
    assert len(at_work) == len(employed)


async def test_a_plan_is_refused_after_its_mapping_changed_or_its_day_is_over(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        plan = await hub.plan("contacts")
        old = await hub.plan("contacts")
    folder = tmp_path / "mappings" / "contact"
    folder.mkdir(parents=True)
    (folder / "hubspot.yaml").write_text(
        "entity: contact\nconnector: hubspot\nresource: contacts\nextends: shipped\n"
        "fields:\n  city: {path: properties.city, via: [upper]}\n"
    )
    async with opened() as hub:
        with pytest.raises(PlanStale, match="before the rule of city at sales changed"):
            await hub.apply(plan.id)
        hub.clock.now = lambda: datetime.now(UTC) + timedelta(hours=25)
        with pytest.raises(PlanStale, match="25 hours old"):
            await hub.apply(old.id)
    assert vendors["billing"].live("Contact") == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"only": "{birthday: [x]}"}, "has no field 'birthday'"),
        (
            {"fields": "{title: {from: nobody}}"},
            "'nobody' is not a connection of this job",
        ),
        ({"fields": "{title: {from: sales, both: left}}"}, "'title' has two rules"),
        ({"conflicts": "{titel: left}"}, "did you mean 'title'"),
        ({"first": "{title: newer}"}, "first.title"),
    ],
)
async def test_a_policy_that_makes_no_sense_is_told_at_its_line(
    opened: Opener, keys: dict[str, str], said: str
) -> None:
    with pytest.raises(Mistakes) as told:
        async with opened("both", **keys):
            pass
    (found,) = told.value.diagnostics
    assert found.line == 19
    assert said in f"{found.message} {found.hint}"


async def test_two_connections_that_lead_to_one_place_are_no_two_sides(
    tmp_path: Path,
) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people/contacts.csv").write_text("id,email\n1,a@x.example\n")
    (tmp_path / "hub.yaml").write_text(
        "connections:\n"
        "  here: {connector: files, folder: people}\n"
        "  there: {connector: files, folder: ./people}\n"
        "jobs:\n"
        "  people:\n"
        "    entity: contact\n"
        "    left: {connection: here, resource: contacts}\n"
        "    right: {connection: there, resource: contacts}\n"
        "    direction: both\n"
    )
    async with open_hub(tmp_path) as hub:
        with pytest.raises(ConfigError, match="both sides are contacts of account"):
            await hub.plan("people")
