"""The sweep between HubSpot and Salesforce: their connectors, their sandboxes, the shipped mappings."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector_hub.adapters.plugins import Plugins
from connector_hub.testing import World, WorldClock

from . import sweep
from .sweep import Scenario, Stage
from .test_sweep import chosen, played

SAMPLE = 3
CONTACTS = """\
jobs:
  contacts:
    entity: contact
    left: {connection: sales, resource: contacts}
    right: {connection: billing, resource: Contact}
    direction: DIRECTION
"""
KEYLESS = {"sales": {"key_field": "none"}, "billing": {"key_field": "none"}}


def here(world: World, *numbers: int, **more: str) -> None:
    """People are entered in HubSpot."""
    for i in numbers:
        row = {"email": f"p{i}@x.org", "lastname": f"N{i}", "city": "Bogor"}
        world.person("sales", "contacts", properties=row | more)


def there(world: World, *numbers: int, **more: str) -> None:
    """People are entered in Salesforce."""
    for i in numbers:
        row = {"Email": f"p{i}@x.org", "LastName": f"N{i}", "MailingCity": "Bogor"}
        world.person("billing", "Contact", **row | more)


def edit(world: World, number: int, **fields: str) -> None:
    """Somebody edits a person where these fields are: HubSpot's are in small letters."""
    mail = f"p{number}@x.org"
    if next(iter(fields)).islower():
        rows = world.rows("sales", "contacts")
        found = next(i for i, r in rows.items() if r["properties.email"] == mail)
        world.person("sales", "contacts", id=found, properties=fields)
    else:
        rows = world.rows("billing", "Contact")
        found = next(i for i, r in rows.items() if r["Email"] == mail)
        world.person("billing", "Contact", Id=found, **fields)


def meddle(world: World, side: str) -> None:
    """Somebody writes what nobody has written before."""
    number = world.chance.randrange(3)
    text = f"M{len(world.truth.history)}"
    field = ("jobtitle", "city") if side == "sales" else ("Title", "MailingCity")
    rows = world.rows(
        *(("sales", "contacts") if side == "sales" else ("billing", "Contact"))
    )
    mail = "properties.email" if side == "sales" else "Email"
    if f"p{number}@x.org" in {r[mail] for r in rows.values()}:
        edit(world, number, **{world.chance.choice(field): text})


def three(world: World) -> None:
    here(world, 0, 1, 2)


def _first_match(world: World) -> None:
    here(world, 0, 1, 2)
    there(world, 1, 2, Title="Buyer")
    there(world, 3)


def _left_edits(world: World) -> None:
    edit(world, 0, city="Depok")
    edit(world, 1, jobtitle="Buyer")
    here(world, 3)


def _edits(world: World) -> None:
    _left_edits(world)
    edit(world, 0, Title="Owner")
    edit(world, 1, Title="Baker")
    edit(world, 2, MailingCity="Solo")
    there(world, 4)


TO_THE_RIGHT = CONTACTS.replace("DIRECTION", "left-to-right")
BOTH = CONTACTS.replace("DIRECTION", "both")
STRICT = TO_THE_RIGHT + "    guarding: strict\n"
SCENARIOS = {
    "first match": (Scenario("first match", BOTH, _first_match), {}),
    "edits": (Scenario("edits", BOTH, _edits, three), {}),
    "strict": (Scenario("strict", STRICT, _left_edits, three), {}),
    "no keys": (Scenario("no keys", BOTH, _edits, three), KEYLESS),
    "first match, no keys": (Scenario("first match", BOTH, _first_match), KEYLESS),
}


def real_world(folder: Path, name: str) -> World:
    """HubSpot to the left, Salesforce to the right."""
    scenario, settings = SCENARIOS[name]
    clock, plugins = WorldClock(), Plugins()
    boxes = {
        "sales": plugins.sandbox("hubspot")(clock=clock),
        "billing": plugins.sandbox("salesforce")(clock=clock),
    }
    keys = {"sales": {"region": "ID", **settings.get("sales", {})}}
    keys["billing"] = settings.get("billing", {})
    return World(
        folder, scenario.jobs, boxes, clock=clock, settings=keys, meanwhile=meddle
    )


@pytest.mark.parametrize("name", SCENARIOS)
async def test_whatever_goes_wrong_between_hubspot_and_salesforce(
    folder: Path, name: str
):
    stage = await Stage(real_world(folder, name), SCENARIOS[name][0], name).set()
    assert stage.calls >= 5
    schedules = [
        *chosen(sweep.singles(stage), SAMPLE),
        *chosen(sweep.crash_pairs(stage), 1),
        *sweep.fault_pairs(stage, sweep.DRAWN, seed=2),
    ]
    await played(stage, schedules)
