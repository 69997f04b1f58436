"""Links between records: ordered, in circles, told apart by label, ended on purpose and never by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connector_hub.testing import plain
from connector_hub.testing.clock import WorldClock
from connector_hub.testing.plainvendor import PlainVendor
from connector_hub.testing.world import World
from connector_hub_salesforce.objects import Field
from connector_hub_salesforce.sandbox import SalesforceSandbox

from .accounts import FOLLOWS, Accounts

ADVISER = {
    "mappings/contact/entity.yaml": """\
entity: contact
extends: shipped
fields:
  adviser: {kind: link, to: company}
""",
    "mappings/contact/hubspot.yaml": """\
entity: contact
connector: hubspot
resource: contacts
extends: shipped
fields:
  adviser: {link: {association: companies, label: Adviser}}
""",
    "mappings/contact/salesforce.yaml": """\
entity: contact
connector: salesforce
resource: Contact
extends: shipped
fields:
  adviser: {link: {path: Adviser__c}}
""",
}


def advised(folder: Path, contacts: str = "") -> Accounts:
    """Contacts have a second link to a company, by a label of the account's own."""
    world = Accounts(folder, contacts, mappings=ADVISER)
    world.sandboxes["sales"].label("contacts", "companies", "Adviser")
    org = world.sandboxes["billing"].org
    lookup = Field(
        "Adviser__c",
        "Adviser",
        "reference",
        18,
        refers_to="Account",
        relationship="Adviser__r",
    )
    org.add_field(org.kinds["Contact"], lookup)
    return world


async def employed(
    folder: Path, n: int = 1, contacts: str = "", companies: str = ""
) -> Accounts:
    """So many people who work for firm 1, and a firm 2; all on both sides."""
    world = Accounts(folder, contacts, companies=companies)
    firm, _ = world.firm(1), world.firm(2)
    for i in range(n):
        world.employ(world.h(i), firm)
    await world.sync()
    return world


async def names(world: Accounts) -> dict[str, str]:
    """Accounts at Salesforce by company at HubSpot."""
    return dict(await world.pairs("companies"))


def kinds(world: Accounts, contact: str) -> dict[str, set[str | None]]:
    """A contact's associations at HubSpot: labels by company."""
    box = world.sandboxes["sales"]
    held = box.portal.links.live("contacts", contact, "companies")
    return {
        i: {t["label"] for t in box.portal.links.told("contacts", "companies", k)}
        for i, k in held.items()
    }


def since(world: Accounts, calls: int, side: str, *, word: str) -> list[str]:
    """The calls to a side since then, which speak of a word."""
    return [
        f"{c.method} {c.path}"
        for c in world.trace
        if c.number >= calls and c.side == side and word in c.path
    ]


# ordered


async def test_people_and_their_companies_arrive_linked_in_one_run(tmp_path):
    world = await employed(tmp_path, 3)
    (account, _) = (await names(world)).values()
    assert [r["AccountId"] for r in world.right().values()] == [account] * 3
    patches = since(world, 0, "billing", word="composite/sobjects/Contact/Connector")
    assert len(patches) == 1, "one call makes them all, with their company"
    await world.quiet()


async def test_associations_of_new_contacts_go_in_one_call(tmp_path):
    world = Accounts(tmp_path)
    account = world.account()
    people = [world.s(n, AccountId=account) for n in range(7)]
    before = world.calls
    await world.sync()
    ((firm, _),) = await world.pairs("companies")
    assert len(world.left()) == len(people)
    assert {world.works_for(c) for c in world.left()} == {firm}
    made = since(world, before, "sales", word="associations/contacts/companies")
    assert [m for m in made if "batch/create" in m] == [
        "POST /crm/v4/associations/contacts/companies/batch/create"
    ]
    assert not any("archive" in m for m in made)
    await world.quiet()


# told by a person, on either side


async def test_a_person_changes_the_company_at_hubspot(tmp_path):
    world = await employed(tmp_path)
    one, two = (await names(world)).items()
    (contact,) = world.left()
    world.employ(contact, two[0])
    await world.syncs()
    (row,) = world.right().values()
    assert row["AccountId"] == two[1]
    assert kinds(world, contact)[one[0]] == {None}, "what it was stays as they left it"
    await world.quiet()


async def test_a_person_ends_it_at_hubspot(tmp_path):
    world = await employed(tmp_path)
    (contact,) = world.left()
    world.leave(contact, next(iter(await names(world))))
    await world.syncs()
    (row,) = world.right().values()
    assert row["AccountId"] is None
    await world.quiet()


async def test_a_person_ends_it_at_salesforce(tmp_path):
    world = await employed(tmp_path)
    (contact,), (row,) = world.left(), world.right()
    world.s(record=row, AccountId=None)
    await world.syncs()
    assert kinds(world, contact) == {}
    await world.quiet()


@pytest.mark.parametrize("policy", ["ask", "left", "right"])
async def test_both_sides_choose_another_company(tmp_path, policy):
    world = await employed(
        tmp_path, contacts=f"fields: {{company: {{both: {policy}}}}}"
    )
    world.firm(3)
    await world.syncs()
    _, two, three = (await names(world)).items()
    (contact,), (row,) = world.left(), world.right()
    world.employ(contact, two[0])
    world.s(record=row, AccountId=three[1])
    await world.syncs()
    here, there = world.works_for(contact), world.right()[row]["AccountId"]
    if policy == "ask":
        assert (here, there) == (two[0], three[1])
        assert await world.questions() == ["fields"]
    else:
        assert (here, there) == (two if policy == "left" else three)
        assert await world.questions() == []
    await world.quiet()


# diffed, by label


async def test_a_change_at_salesforce_writes_what_changed_and_leaves_other_labels(
    tmp_path,
):
    world = advised(tmp_path)
    one, two, three = (world.firm(n) for n in (1, 2, 3))
    contact = world.h()
    world.employ(contact, one)
    for firm, labels in ((one, ["Adviser"]), (three, [])):
        world.employ(contact, firm, labels=labels)
    text = (world.folder / "mappings/contact/hubspot.yaml").read_text()
    assert "Adviser" in text
    await world.syncs()
    accounts = await names(world)
    (row,) = world.right()
    assert world.right()[row]["Adviser__c"] == accounts[one]
    before = world.calls
    world.s(record=row, AccountId=accounts[two])
    await world.syncs()
    assert kinds(world, contact) == {
        one: {None, "Adviser"},
        two: {None, "Primary"},
        three: {None},
    }
    calls = since(world, before, "sales", word="associations/contacts/companies")
    assert len([c for c in calls if "batch/create" in c]) == 1
    assert len([c for c in calls if "labels/archive" in c]) == 1
    assert not any(c.endswith("batch/archive") for c in calls)
    await world.quiet()


async def test_two_labels_of_one_association_travel_each_by_itself(tmp_path):
    world = advised(tmp_path)
    one, two = world.firm(1), world.firm(2)
    contact = world.h()
    world.employ(contact, one)
    await world.syncs()
    accounts = await names(world)
    (row,) = world.right()
    world.s(record=row, Adviser__c=accounts[two])
    await world.syncs()
    assert kinds(world, contact) == {one: {None, "Primary"}, two: {None, "Adviser"}}
    world.s(record=row, Adviser__c=accounts[one], AccountId=accounts[two])
    await world.syncs()
    assert kinds(world, contact) == {one: {None, "Adviser"}, two: {None, "Primary"}}
    world.s(record=row, Adviser__c=None)
    await world.syncs()
    assert kinds(world, contact) == {two: {None, "Primary"}}
    world.employ(contact, one, labels=["Adviser"])
    await world.syncs()
    assert world.right()[row]["Adviser__c"] == accounts[one]
    await world.quiet()


async def test_a_label_the_account_does_not_have_stops_the_job(tmp_path):
    world = Accounts(tmp_path, mappings=ADVISER)
    org = world.sandboxes["billing"].org
    lookup = Field("Adviser__c", "Adviser", "reference", 18, refers_to="Account")
    org.add_field(org.kinds["Contact"], lookup)
    firm = world.firm(1)
    world.employ(world.h(), firm)
    await world.syncs()
    (row,) = world.right()
    world.s(record=row, Adviser__c=(await names(world))[firm], Title="Chief")
    receipt = await world.syncs()
    assert receipt.status == "failed"
    assert "no association label 'Adviser'" in receipt.error["message"]
    (contact,) = world.left().values()
    assert not contact.get("jobtitle"), "nothing of the record was written"


# targets


async def test_a_company_that_is_not_linked_yet_is_not_taken_for_none(tmp_path):
    world = Accounts(tmp_path, companies="only: {city: [Bogor]}")
    firm, contact = world.firm(1, city="Solo"), world.h()
    world.employ(contact, firm)
    await world.syncs(2)
    (row,) = world.right()
    other = world.account(7)
    world.s(record=row, AccountId=other)
    world.h(record=contact, jobtitle="Chief")
    await world.syncs(2)
    assert world.right()[row]["AccountId"] == other
    assert world.right()[row]["Title"] == "Chief"
    assert world.works_for(contact) == firm
    world.s(record=row, AccountId=None)
    await world.syncs()
    assert world.works_for(contact) == firm
    world.firm(record=firm, city="Bogor")
    await world.syncs(2)
    assert world.right()[row]["AccountId"] == (await names(world))[firm]
    await world.quiet()


async def test_a_company_made_anew_takes_its_people_back(tmp_path):
    world = await employed(tmp_path)
    one, _ = (await names(world)).items()
    (contact,), (row,) = world.left(), world.right()
    world.h_gone(one[0], "companies")
    world.h(record=contact, jobtitle="Chief")
    await world.syncs()
    assert world.right()[row]["AccountId"] == one[1]
    again = world.firm(1)
    await world.syncs(3)
    assert (await names(world))[again] == one[1]
    assert world.works_for(contact) == again
    assert world.right()[row]["AccountId"] == one[1]
    await world.quiet()


async def test_who_leaves_a_company_that_is_gone_for_another_takes_the_copy_along(
    tmp_path,
):
    world = await employed(tmp_path)
    one, two = (await names(world)).items()
    (contact,), (row,) = world.left(), world.right()
    world.h_gone(one[0], "companies")
    world.h(record=contact, jobtitle="Chief")
    await world.syncs()
    world.employ(contact, two[0])
    await world.syncs()
    assert world.right()[row]["AccountId"] == two[1]
    await world.quiet()


async def torn(folder: Path, policy: str) -> tuple[Accounts, str, str, str]:
    """Both sides choose another company, Salesforce one that HubSpot never gets: contact, row, account."""
    contacts = f"fields: {{company: {{both: {policy}}}}}"
    world = await employed(folder, contacts=contacts, companies="create: right")
    (contact,), (row,) = world.left(), world.right()
    _, (two, _) = (await names(world)).items()
    alone = world.account(3)
    world.employ(contact, two)
    world.s(record=row, AccountId=alone)
    await world.syncs()
    assert world.works_for(contact) == two
    return world, contact, row, alone


@pytest.mark.parametrize("policy", ["ask", "left", "right", "fill"])
async def test_both_sides_choose_another_company_and_one_is_not_there_across(
    tmp_path, policy
):
    """What has no counterpart cannot be written; it is written over only where the rules or people say so."""
    world, _, row, alone = await torn(tmp_path, policy)
    _, (_, two) = (await names(world)).items()
    kept = policy in {"ask", "right"}
    assert world.right()[row]["AccountId"] == (alone if kept else two)
    assert await world.questions() == (["fields"] if policy == "ask" else [])
    await world.quiet()


@pytest.mark.parametrize("take", ["left", "right"])
async def test_people_may_take_the_company_that_is_not_there_across(tmp_path, take):
    world, contact, row, alone = await torn(tmp_path, "ask")
    _, (firm, two) = (await names(world)).items()

    async def say(hub):
        (asked,) = hub.conflicts("contacts")
        return hub.resolve(asked, take)

    assert await world.ask(say) == ("company",)
    await world.syncs()
    assert world.right()[row]["AccountId"] == (two if take == "left" else alone)
    assert world.works_for(contact) == firm
    assert await world.questions() == []
    await world.quiet()


async def test_a_company_that_is_archived_across_takes_nobodys_contact(tmp_path):
    world = await employed(tmp_path, contacts=FOLLOWS)
    one, _ = (await names(world)).items()
    (row,) = world.right()
    world.s(record=row, AccountId=None)
    await world.syncs()
    world.s_gone(one[1], "Account")
    await world.syncs(2)
    assert len(world.left()) == len(world.right()) == 1
    await world.quiet()


# circles

FIRM = """\
entity: firm
identity: [[domain]]
fields:
  domain: {kind: text}
  name:   {kind: text}
  parent: {kind: link, to: firm}
  boss:   {kind: link, to: person}
"""
PERSON = """\
entity: person
identity: [[email]]
fields:
  email:  {kind: email}
  name:   {kind: text}
  firm:   {kind: link, to: firm}
  mentor: {kind: link, to: person}
"""
PLAIN_FIRM = """\
entity: firm
resource: firms
fields:
  domain: {path: domain}
  name:   {path: name}
  parent: {link: {path: parent}}
  boss:   {link: {path: boss}}
"""
PLAIN_PERSON = """\
entity: person
resource: people
fields:
  email:  {path: email}
  name:   {path: name}
  firm:   {link: {path: firm}}
  mentor: {link: {path: mentor}}
"""
ACCOUNT = """\
entity: firm
connector: salesforce
resource: Account
fields:
  domain: {path: Website}
  name:   {path: Name}
  parent: {link: {path: ParentId}}
"""
CIRCLES = """\
mappings: mappings
jobs:
  firms:
    entity: firm
    left: {connection: here, resource: firms}
    right: {connection: there, resource: FIRMS}
    direction: both
"""
PEOPLE = """\
  people:
    entity: person
    left: {connection: here, resource: people}
    right: {connection: there, resource: people}
    direction: both
"""


def circles(folder: Path, kind: Any) -> World:
    clock = WorldClock()
    boxes: dict[str, Any] = {
        "here": PlainVendor(kind, account="here", clock=clock),
        "there": PlainVendor(kind, account="there", clock=clock),
    }
    mappings = {
        "mappings/firm/entity.yaml": FIRM,
        "mappings/person/entity.yaml": PERSON,
        f"mappings/firm/{kind.name}.yaml": f"connector: {kind.name}\n{PLAIN_FIRM}",
        f"mappings/person/{kind.name}.yaml": f"connector: {kind.name}\n{PLAIN_PERSON}",
    }
    project = CIRCLES.replace("FIRMS", "firms") + PEOPLE
    return World(folder, project, boxes, clock=clock, mappings=mappings)


def shape(world: World, side: str) -> dict[str, dict[str, Any]]:
    """Who points to whom, by what they are rather than by their ids."""
    firms, people = world.rows(side, "firms"), world.rows(side, "people")
    name = {i: r["domain"] for i, r in firms.items()}
    name |= {i: r["email"] for i, r in people.items()}
    return {
        name[i]: {k: name.get(v, v) for k, v in row.items()}
        for i, row in (firms | people).items()
    }


@pytest.mark.parametrize(
    "kind", [plain.Guarded, plain.Keyed, plain.Terse], ids=lambda k: k.name
)
async def test_circles_are_cut_and_closed_in_a_second_pass(tmp_path, kind):
    """Firm and boss name each other; firms are each other's parents; somebody is his own mentor."""
    world = circles(tmp_path, kind)
    a, b, c = (world.person("here", "firms", domain=d, name=d) for d in "abc")
    p, q = (world.person("here", "people", email=f"{e}@x.org", name=e) for e in "pq")
    world.person("here", "firms", id=a, boss=p, parent=b)
    world.person("here", "firms", id=b, parent=c)
    world.person("here", "firms", id=c, parent=a)
    world.person("here", "people", id=p, firm=a, mentor=q)
    world.person("here", "people", id=q, firm=a, mentor=q)
    for _ in range(2):
        await world.sync()
    assert shape(world, "there") == shape(world, "here")
    made = [w for w in world.truth.history if w.who == "hub"]
    assert len([w for w in made if w.op == "create"]) == 5
    assert len([w for w in made if w.op == "update"]) <= 5, "each is patched once"
    before = len(world.truth.history)
    await world.sync(full=True)
    assert len(world.truth.history) == before
    there = {r["domain"]: i for i, r in world.rows("there", "firms").items()}
    world.person("there", "firms", id=there["a"], parent=None)
    world.person("there", "firms", id=there["b"], parent=there["a"])
    await world.sync()
    assert shape(world, "here") == shape(world, "there")
    assert world.rows("here", "firms")[a]["parent"] is None


async def test_a_chain_of_parents_arrives_at_salesforce(tmp_path):
    clock = WorldClock()
    boxes: dict[str, Any] = {
        "here": PlainVendor(plain.Guarded, account="here", clock=clock),
        "there": SalesforceSandbox(clock=clock),
    }
    firm = "\n".join(x for x in FIRM.splitlines() if "boss" not in x) + "\n"
    at = "\n".join(x for x in PLAIN_FIRM.splitlines() if "boss" not in x) + "\n"
    mappings = {
        "mappings/firm/entity.yaml": firm,
        "mappings/firm/plain.yaml": f"connector: {plain.Guarded.name}\n{at}",
        "mappings/firm/salesforce.yaml": ACCOUNT,
    }
    project = CIRCLES.replace("FIRMS", "Account")
    world = World(tmp_path, project, boxes, clock=clock, mappings=mappings)
    firms: list[str] = []
    for n in range(30):
        more = {"parent": firms[-1]} if firms else {}
        firms.append(
            world.person("here", "firms", domain=f"d{n}.x", name=f"F{n}", **more)
        )
    for _ in range(2):
        await world.sync()
    rows = world.rows("there", "Account")
    names = {i: r["Name"] for i, r in rows.items()}
    assert {r["Name"]: names.get(r["ParentId"]) for r in rows.values()} == {
        f"F{n}": f"F{n - 1}" if n else None for n in range(30)
    }
    before = len(world.truth.history)
    await world.sync(full=True)
    assert len(world.truth.history) == before
