"""A vendor's fields change under a job: it stops before its first write and says which, where and what to do.

Jobs that have nothing to do with it go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector_hub.diagnostics import Mistakes
from connector_hub.errors import ConfigError
from connector_hub.hub import Hub
from connector_hub.model.plan import Receipt
from connector_hub.sync import schema
from connector_hub.sync.run import Options
from connector_hub.testing.sandbox import Fault
from tests.conftest import Opener, Vendors

PEOPLE = 12


@pytest.fixture
def people() -> int:
    return PEOPLE


def later(vendors: Vendors) -> None:
    for s in vendors.values():
        s.clock.advance(600)


def edited(vendors: Vendors, **properties: str) -> None:
    """Somebody edits a contact in HubSpot."""
    row = vendors["sales"].live("contacts")[0]
    vendors["sales"].edit("contacts", {"id": row["id"], "properties": properties})
    later(vendors)


def forget(hub: Hub) -> None:
    """More than ten minutes pass since the fields were looked at."""
    at = hub.clock.now() + schema.FRESH * 2
    hub.clock.now = lambda: at  # type: ignore[method-assign]


def held(vendors: Vendors) -> Any:
    names = ("FirstName", "LastName", "Email", "Title", "MailingCity")
    return [{n: r.get(n) for n in names} for r in vendors["billing"].live("Contact")]


async def begun(hub: Hub, vendors: Vendors) -> None:
    await hub.sync("companies")
    receipt = await hub.sync("contacts")
    assert receipt.created == PEOPLE
    later(vendors)
    forget(hub)


def stopped(error: Mistakes, *said: str) -> list[dict[str, Any]]:
    """It is the mapping that must be mended, and nothing was written."""
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2
    receipt = error.receipt
    assert isinstance(receipt, Receipt)
    assert receipt.status == "failed"
    assert sum(receipt.writes.values()) == 0
    for word in said:
        assert word in error.message
    return error.as_json()


def line_of(finding: dict[str, Any]) -> str:
    return Path(finding["file"]).read_text().splitlines()[finding["line"] - 1]


CHANGES: Mapping[str, tuple[str, str, str, dict[str, Any], tuple[str, ...]]] = {
    "gone at the source": (
        "sales",
        "contacts",
        "jobtitle",
        {"gone": True},
        ("sales: contacts: title (properties.jobtitle) is not there any more",),
    ),
    "gone at the target": (
        "billing",
        "Contact",
        "MailingCity",
        {"gone": True},
        ("MailingCity",),
    ),
    "text becomes a number": (
        "sales",
        "contacts",
        "jobtitle",
        {"type": "number"},
        ("title (properties.jobtitle) was text and is number now, which is no text",),
    ),
    "text becomes a date": (
        "billing",
        "Contact",
        "Title",
        {"type": "datetime"},
        ("title (Title) was text and is datetime now",),
    ),
    "read only": (
        "billing",
        "Contact",
        "Title",
        {"read_only": True},
        ("title (Title) cannot be written", "fields: {title: {from: ...}}"),
    ),
    "required": (
        "billing",
        "Contact",
        "Department",
        {"required": True},
        ("Department must be given from now on", "set_on_create: {Department: ...}"),
    ),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_the_job_stops_before_its_first_write_and_says_which_field(
    opened: Opener, vendors: Vendors, what: str
) -> None:
    at, resource, field, change, said = CHANGES[what]
    async with opened() as hub:
        await begun(hub, vendors)
        edited(vendors, firstname="New")
        before = held(vendors)
        vendors[at].alter(resource, field, change)
        for _ in range(2):
            with pytest.raises(ConfigError) as told:
                await hub.sync("contacts")
            assert isinstance(told.value, Mistakes)
            (finding,) = stopped(told.value, *said)
            assert finding["hint"]
            if what != "required":
                assert Path(finding["file"]).name == (
                    "hubspot.yaml" if at == "sales" else "salesforce.yaml"
                )
                assert field in line_of(finding)
        assert [{**r, field: None} for r in held(vendors)] == [
            {**r, field: None} for r in before
        ]
        other = await hub.sync("companies", options=Options(full=True))
        assert other.status == "done"
        with pytest.raises(Mistakes) as told_too:
            await hub.check()
        for word in said:
            assert word in told_too.value.message
        with pytest.raises(Mistakes):
            await hub.apply(await hub.plan("contacts"))


async def test_an_option_that_a_table_writes_is_missed_when_it_is_gone(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    remapped(
        tmp_path,
        "stage: {path: Department, table: {lead: [L], customer: [C], former: [F]}}",
    )
    async with opened("both") as hub:
        await begun(hub, vendors)
        edited(vendors, firstname="New")
        kept = ["subscriber", "lead", "other"]
        vendors["sales"].alter("contacts", "lifecyclestage", {"options": kept})
        with pytest.raises(Mistakes) as told:
            await hub.sync("contacts")
        (finding,) = stopped(
            told.value,
            "stage (properties.lifecyclestage) has no option customer any more",
            "there are: subscriber, lead, other",
        )
        assert finding["line"]


async def test_a_mapping_that_is_mended_goes_on_and_nothing_is_lost(
    opened: Opener, vendors: Vendors, tmp_path: Path
) -> None:
    async with opened() as hub:
        await begun(hub, vendors)
        edited(vendors, jobtitle="12", firstname="New")
        vendors["billing"].alter("Contact", "Title", {"type": "double"})
        with pytest.raises(Mistakes):
            await hub.sync("contacts")
    remapped(tmp_path, "title: {path: Department}")
    async with opened() as hub:
        receipt = await hub.sync("contacts")
        assert receipt.updated == 1
        assert "New" in {r["FirstName"] for r in held(vendors)}


async def test_a_change_that_still_fits_is_not_told(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await begun(hub, vendors)
        edited(vendors, firstname="New")
        vendors["sales"].alter("contacts", "jobtitle", {"type": "phone_number"})
        vendors["billing"].alter("Contact", "Title", {"type": "textarea"})
        vendors["billing"].alter("Contact", "Department", {"gone": True})
        vendors["billing"].alter("Contact", "Email", {"required": True})
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.updated) == ("done", 1)
        await hub.check()


@pytest.mark.parametrize("status", [403, 404])
async def test_where_fields_may_not_be_looked_at_the_job_goes_on_and_says_so(
    opened: Opener, vendors: Vendors, status: int
) -> None:
    async with opened() as hub:
        await begun(hub, vendors)
        edited(vendors, firstname="New")
        route = "/crm/v3/properties/contacts"
        vendors["sales"].faults.append(Fault(route=route, status=status))
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.updated) == ("done", 1)
        (note,) = receipt.notes
        assert note.startswith("sales: the fields of contacts may not be looked at")


def remapped(project: Path, rule: str) -> None:
    """Salesforce's contacts, one field otherwise than shipped."""
    folder = project / "mappings" / "contact"
    folder.mkdir(parents=True)
    (folder / "salesforce.yaml").write_text(
        "entity: contact\nconnector: salesforce\nresource: Contact\nextends: shipped\n"
        f"fields:\n  {rule}\n"
    )


def described(vendors: Vendors) -> int:
    """How often fields were described."""
    return sum(
        n
        for s in vendors.values()
        for route, n in s.calls.items()
        if route.endswith("/describe") or "/v3/properties/contacts" in route
    )


async def test_fields_are_described_when_something_is_to_be_written_and_seldom(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        before = described(vendors)
        await hub.sync("contacts")
        assert described(vendors) - before == 2, "once for each side"
        later(vendors)
        forget(hub)
        await hub.sync("contacts")
        await hub.plan("contacts")
        assert described(vendors) - before == 2, "nothing was to be written"
        edited(vendors, firstname="New")
        await hub.sync("contacts")
        assert described(vendors) - before == 4
        edited(vendors, firstname="Newer")
        await hub.sync("contacts")
        assert described(vendors) - before == 4, "a moment ago"


async def test_what_a_plan_promises_includes_the_look_at_the_fields(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        before = {n: sum(s.calls.values()) for n, s in vendors.items()}
        plan = await hub.plan("contacts")
        receipt = await hub.apply(plan)
        assert receipt.created == PEOPLE
        for name, sandbox in vendors.items():
            promised = sum(plan.calls[name].values())
            assert sum(sandbox.calls.values()) - before[name] <= 2 * promised


async def test_an_administrator_changes_fields_over_the_wire(vendors: Vendors) -> None:
    for name, path in (
        ("sales", "contacts/jobtitle"),
        ("billing", "Contact/Title"),
    ):
        wire = httpx.ASGITransport(app=vendors[name].app)
        async with httpx.AsyncClient(transport=wire) as client:  # noqa: TID251 - an administrator's
            url = f"http://127.0.0.1/_sandbox/fields/{path}"
            done = await client.post(url, json={"gone": True})
            assert done.status_code == 200
            again = await client.post(url, json={"gone": True})
            assert again.status_code == 404
