"""Why a field holds what it holds, on both vendors' sandboxes."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import pytest

from connector_hub.errors import ConfigError
from connector_hub.model.job import Job, Policy, Side
from connector_hub.sync.why import told
from connector_hub.testing.sandbox import Fault

from .conftest import Opener, Vendors


def rule(at: str) -> str:
    """The line of a mapping that a ``file:line`` leads to."""
    file, _, line = at.rpartition(":")
    return Path(file).read_text().splitlines()[int(line) - 1]


def pair(hub: Any) -> tuple[str, str]:
    """A linked contact."""
    return next(iter(hub.links("contacts")))


async def test_a_value_is_explained_by_the_run_that_wrote_it_and_its_rules(
    opened: Opener, vendors: Vendors
) -> None:
    sales = vendors["sales"]
    async with opened("both") as hub:
        await hub.sync("companies")
        first = await hub.sync("contacts")
        left, right = pair(hub)
        sales.edit("contacts", {"id": left, "properties": {"jobtitle": "Chief"}})
        sales.clock.advance(5)
        second = await hub.sync("contacts")
        (found,) = await hub.why("contact", right, "title")
        assert (found.job, found.field) == ("contacts", "title")
        assert [s.record for s in found.sides] == [left, right]
        assert [s.value for s in found.sides] == ["Chief", "Chief"]
        assert {s.state for s in found.sides} == {"as agreed"}
        assert rule(found.sides[0].rule).startswith("  title:")
        assert found.policy == (
            "travels both ways; where both changed it, a person is asked"
        )
        last, made = found.writes
        assert (last.run, last.op, last.source, last.to) == (
            second.run,
            "update",
            "sales",
            "billing",
        )
        assert (last.after, last.reason) == ("Chief", "changed at the source")
        assert (made.run, made.op) == (first.run, "create")
        assert made.after == last.before
        assert found.open == ()
        for asked in (left, found.hub, uuid.UUID(found.hub).hex):
            assert await hub.why("contacts", asked, "title") == [found]


async def test_what_is_open_about_a_field_is_told(
    opened: Opener, vendors: Vendors
) -> None:
    sales, billing = vendors["sales"], vendors["billing"]
    async with opened("both") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        left, right = pair(hub)
        sales.edit("contacts", {"id": left, "properties": {"jobtitle": "L"}})
        billing.edit("Contact", {"Id": right, "Title": "R"})
        for vendor in vendors.values():
            vendor.clock.advance(5)
        (before,) = await hub.why("contact", left, "title")
        assert before.open == (
            "sales was edited, and that has not travelled",
            "billing was edited, and that has not travelled",
        )
        await hub.sync("contacts")
        (found,) = await hub.why("contact", left, "title")
        (conflict,) = hub.conflicts("contacts")
        assert found.open[0] == f"conflict {conflict.id} (fields)"
        (other,) = await hub.why("contact", left, "city")
        assert other.open == ()
        hub.resolve(conflict, "right")
        (decided,) = await hub.why("contact", left, "title")
        assert "decided: billing is right; the next sync carries it out" in decided.open
        assert f"the next sync looks at sales {left} again (decided)" in decided.open


async def test_drift_dead_letters_and_what_an_undo_left_are_told(
    opened: Opener, vendors: Vendors
) -> None:
    sales, billing = vendors["sales"], vendors["billing"]
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        left, right = pair(hub)
        sales.edit("contacts", {"id": left, "properties": {"city": "Bandung"}})
        sales.clock.advance(5)
        run = await hub.sync("contacts")
        await hub.apply(await hub.undo(run.run))
        (found,) = await hub.why("contact", left, "city")
        assert found.open == ("the sides agree to differ until one of them changes",)
        assert found.writes[0].reason == f"as before run {run.run}"
        assert found.policy.startswith("travels from sales only")
        billing.edit("Contact", {"Id": right, "MailingCity": "Drift"})
        (found,) = await hub.why("contact", right, "city")
        assert found.open == ("billing was edited where it does not travel",)
        sales.edit("contacts", {"id": left, "properties": {"lastname": ""}})
        sales.clock.advance(5)
        await hub.sync("contacts")
        (letter,) = hub.dead_letters("contacts")
        (found,) = await hub.why("contact", right, "family_name")
        assert f"dead letter {letter.id}: {letter.reason}" in found.open[0]


async def test_a_vendor_that_is_away_leaves_its_value_unknown(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        left, _ = pair(hub)
        vendors["billing"].faults.append(Fault("", status=403))
        (found,) = await hub.why("contact", left, "email")
    assert [s.known for s in found.sides] == [True, False]
    assert found.sides[1].state == "unknown"
    assert found.writes


async def test_who_asks_for_what_is_not_there_is_told(opened: Opener) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        for asked, said in (
            (("contat", "1", "email"), "did you mean 'contact'"),
            (("contact", "1", "emial"), "did you mean 'email'"),
            (("contact", "1", "email"), "no job of contact knows a record '1'"),
            (("contact", "f" * 32, "email"), "no job of contact knows"),
            (("contact", "z" * 32, "email"), "no job of contact knows"),
        ):
            with pytest.raises(ConfigError) as e:
                await hub.why(*asked)
            assert said in f"{e.value.message} {e.value.hint}"


async def test_a_record_that_waits_is_explained_before_it_is_linked(
    opened: Opener, vendors: Vendors
) -> None:
    twin = vendors["sales"].live("contacts")[0]
    email = twin["properties"]["email"]
    vendors["billing"].edit("Contact", {"LastName": "One", "Email": email})
    vendors["billing"].edit("Contact", {"LastName": "Two", "Email": email})
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        (found,) = await hub.why("contact", twin["id"], "email")
        assert found.hub is None
        assert [s.record for s in found.sides] == [twin["id"], None]
        assert found.open[0].startswith("conflict 1 (")
        assert found.writes == ()


async def test_a_link_is_explained_by_the_ids_of_both_sides(opened: Opener) -> None:
    async with opened("both") as hub:
        await hub.sync("contacts")
        pairs = list(hub.links("contacts"))
        found = [(await hub.why("contact", a, "company"))[0] for a, _ in pairs]
        waits = [w for w in found if any("waits until" in o for o in w.open)]
        assert waits
        assert {w.sides[0].state for w in waits} == {"never agreed"}
        await hub.sync("companies")
        await hub.sync("contacts")
        (now,) = await hub.why("contact", waits[0].sides[0].record or "", "company")
    left, right = (s.value for s in now.sides)
    assert left.resource == "companies"
    assert right.id.startswith("001")
    assert now.open == ()
    assert now.writes[0].after == right


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (None, "does not travel"),
        (Policy("left", revert=True), "from sales only; edits elsewhere are put back"),
        (Policy(both="left"), "sales wins"),
        (Policy(both="right"), "billing wins"),
        (Policy(both="newest"), "the later edit wins"),
        (Policy(both="fill"), "the one that is not blank wins"),
    ],
)
def test_policies_in_words(policy: Policy | None, words: str) -> None:
    sides = Side("sales", "contacts"), Side("billing", "Contact")
    job = Job("people", "contact", *sides, "both")
    assert words in told(policy, job)


async def test_no_more_than_ten_writes_are_told_and_none_through_a_moved_rule(
    opened: Opener, vendors: Vendors, tmp_path: Any
) -> None:
    sales = vendors["sales"]
    async with opened() as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        left, _ = pair(hub)
        for n in range(11):
            row = {"id": left, "properties": {"jobtitle": f"T{n}"}}
            sales.edit("contacts", row)
            sales.clock.advance(5)
            await hub.sync("contacts")
        (found,) = await hub.why("contact", left, "title")
        assert [w.after for w in found.writes] == [f"T{n}" for n in range(10, 0, -1)]
    folder = tmp_path / "mappings" / "contact"
    folder.mkdir(parents=True)
    (folder / "salesforce.yaml").write_text(
        "entity: contact\nconnector: salesforce\nresource: Contact\nextends: shipped\n"
        "fields:\n  title: {path: Department}\n"
    )
    async with opened() as hub:
        (found,) = await hub.why("contact", left, "title")
        assert {w.after for w in found.writes} == {None}
        assert found.sides[1].state == "no base"
        assert found.sides[1].rule.endswith("salesforce.yaml:6")
        assert (
            "salesforce.yaml:5"
            in (await hub.why("contact", left, "email"))[0].sides[1].rule
        )
