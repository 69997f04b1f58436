"""A person asks to be forgotten: nothing is left of them, and no sync brings them back."""

from __future__ import annotations

import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from connector_hub.adapters.locks import job_lock
from connector_hub.errors import ConfigError, Locked
from connector_hub.model.entity import FieldSpec
from connector_hub.sync.run import Options

from .accounts import contact, edit_left, edit_right, later, left, rows, sf

ADA = "ada.canary@example.org"
NAME = "Lovelace-Canary"
IDENTITY = [f"email={ADA}"]


@pytest.fixture
def people() -> int:
    return 5


def ada(vendors: Any, **more: object) -> str:
    row = {"lastname": NAME, "email": ADA, "jobtitle": "Countess", "company": "X"}
    return str(vendors["sales"].edit("contacts", {"properties": row | more})["id"])


def files(folder: Path) -> bytes:
    """Every byte of the state's files."""
    return b"".join(p.read_bytes() for p in sorted(folder.glob("hub.db*")))


def blobs(folder: Path) -> dict[str, set[bytes]]:
    """Every sealed value and hash, by table and column; short ones can stand anywhere."""
    found: dict[str, set[bytes]] = {}
    with sqlite3.connect(folder / "hub.db") as db:
        tables = [
            r[0]
            for r in db.execute("select name from sqlite_master where type='table'")
        ]
        for table in tables:
            at = db.execute(f"select * from {table}")  # noqa: S608 - the schema's own names
            names = [c[0] for c in at.description]
            for row in at.fetchall():
                for name, value in zip(names, row, strict=True):
                    if isinstance(value, bytes) and len(value) >= 16:
                        found.setdefault(f"{table}.{name}", set()).add(value)
    db.close()
    return found


def gone(before: dict[str, set[bytes]], after: dict[str, set[bytes]]) -> set[bytes]:
    return {b for at, bs in before.items() for b in bs - after.get(at, set())}


def receipt_adds_up(receipt: Any) -> bool:
    names = (
        "created",
        "updated",
        "deleted",
        "unchanged",
        "not_taken",
        "stale",
        "blocked",
    )
    counts = [getattr(receipt, n) for n in (*names, "conflicts", "dead_letters")]
    return sum(counts) == receipt.read


async def test_nothing_of_a_person_is_left_in_any_byte_of_the_state(
    vendors, opened, tmp_path
):
    record = ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        later(vendors)
        edit_left(vendors, record, jobtitle="Enchantress")
        await hub.sync("contacts")
        await hub.plan("contacts")
        at_sf = next(r["Id"] for r in rows(vendors) if r["Email"] == ADA)
        hub_id = hub.trace("contacts", record)[0].hub_id
        before = blobs(tmp_path)
        found = hub.erasable(IDENTITY)
        assert blobs(tmp_path) == before, "looking changes nothing"
        erased = hub.erase(IDENTITY)
        assert erased == found
        assert {(v.connection, v.record) for v in erased.vendors} == {
            ("sales", record),
            ("billing", at_sf),
        }
        assert erased.rows["links"] == 2
        assert erased.rows["bases"] == 2
        assert erased.rows["before-images"] == 2
        raw = files(tmp_path)
        missing = gone(before, blobs(tmp_path))
        assert len(missing) >= 7
        assert [b for b in missing if b in raw] == []
        for text in (ADA, NAME, record, at_sf, hub_id):
            assert text.encode() not in raw
        assert bytes.fromhex(hub_id.replace("-", "")) not in raw
        assert hub.erasable(IDENTITY).rows == {}


async def test_a_person_who_was_erased_does_not_come_back(vendors, opened):
    record = ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        there = next(r for r in rows(vendors) if r["Email"] == ADA)
        for full in (False, True):
            later(vendors)
            edit_left(vendors, record, jobtitle=f"Baroness {full}")
            edit_right(vendors, there["Id"], Title=f"Duchess {full}")
            later(vendors)
            receipt = await hub.sync("contacts", options=Options(full=full))
            assert receipt_adds_up(receipt)
            assert receipt.writes == {"billing": 0, "sales": 0}
            assert (
                "2 records carry an identity that was erased: left alone"
                in receipt.notes
            )
            assert hub.trace("contacts", record) == []
            assert hub.store.indexed("contacts", "left", [record]) == set()
            assert hub.store.indexed("contacts", "right", [there["Id"]]) == set()
        assert left(vendors)[record]["jobtitle"] == "Baroness True"


async def test_a_new_record_of_an_erased_person_is_not_taken_across(vendors, opened):
    async with opened("both") as hub:
        await hub.sync("contacts")
        assert hub.erase(IDENTITY).vendors == (), "nobody here knows them"
        later(vendors)
        ada(vendors, email=f" {ADA.upper()} ")
        contact(vendors, 77)
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.created == 1
        assert (
            "1 record carries an identity that was erased: left alone" in receipt.notes
        )
        assert receipt_adds_up(receipt)
        assert ADA not in {r["Email"] for r in rows(vendors)}
        assert "p77@x.org" in {r["Email"] for r in rows(vendors)}


async def test_a_record_stays_out_under_another_address(vendors, opened):
    """The operator has not erased it at the vendor yet, and somebody edits it."""
    record = ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        later(vendors)
        edit_left(vendors, record, email="countess@example.org", phone="+62811000111")
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        assert (receipt.status, receipt.stale) == ("done", 0), (
            "nothing is tried, either"
        )
        assert receipt_adds_up(receipt)


async def test_what_else_a_person_was_known_by_keeps_them_out_and_nobody_else(
    vendors, opened
):
    """Known by phone and name, too; a sister with an address of her own shares both."""
    ada(vendors, phone="+62811222333")
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        later(vendors)
        again = ada(vendors, email="", phone="+62811222333")
        sister = ada(vendors, email="sister@example.org", phone="+62811222333")
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.created == 1
        assert receipt_adds_up(receipt)
        assert hub.trace("contacts", again) == []
        assert hub.trace("contacts", sister) != []


async def test_a_pair_is_left_alone_when_one_of_it_takes_an_erased_address(
    vendors, opened
):
    record = contact(vendors, 9)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        there = next(r["Id"] for r in rows(vendors) if r["Email"] == "p9@x.org")
        later(vendors)
        edit_right(vendors, there, Email=ADA)
        edit_left(vendors, record, jobtitle="Boss")
        later(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}
        assert (receipt.status, receipt.stale) == ("done", 0), (
            "nothing is tried, either"
        )
        assert receipt_adds_up(receipt)


async def test_a_plan_that_was_made_before_brings_nobody_back(vendors, opened):
    record = ada(vendors)
    contact(vendors, 8)
    async with opened() as hub:
        plan = await hub.plan("contacts")
        assert plan.count("create") == 7
        erased = hub.erase(IDENTITY)
        assert erased.rows["changes"] == 1
        receipt = await hub.apply(plan)
        assert receipt.created == 6
        assert receipt_adds_up(receipt)
        assert ADA not in {r["Email"] for r in rows(vendors)}
        later(vendors)
        edit_left(vendors, record, jobtitle="x")
        later(vendors)
        assert (await hub.sync("contacts")).created == 0


async def test_lifted_a_person_comes_back(vendors, opened):
    record = ada(vendors)
    async with opened("both") as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        await hub.sync("contacts")
        assert hub.lift(["email=somebody@else.org"]) == 0
        assert hub.lift([ADA]) == 1
        receipt = await hub.sync("contacts")
        assert receipt.writes == {"billing": 0, "sales": 0}, "they are on both sides"
        assert len(hub.trace("contacts", record)) == 2
        assert hub.lift(IDENTITY) == 0


async def test_an_undo_says_that_a_person_was_erased(vendors, opened):
    ada(vendors)
    async with opened() as hub:
        run = (await hub.sync("contacts")).run
        hub.erase(IDENTITY)
        plan = await hub.undo(run)
        assert plan.count("delete") == 5
        assert plan.count("kept") == 1
        assert plan.by_reason == {"was about people who have been erased since": 1}
        assert (await hub.apply(plan, allow_deletes=5)).deleted == 5
        assert ADA in {r["Email"] for r in rows(vendors)}


async def test_an_undo_of_a_run_about_one_person_only_says_so(vendors, opened):
    record = ada(vendors)
    async with opened() as hub:
        await hub.sync("contacts")
        later(vendors)
        edit_left(vendors, record, jobtitle="Baroness")
        run = (await hub.sync("contacts")).run
        hub.erase(IDENTITY)
        plan = await hub.undo(run)
        assert plan.empty
        assert plan.count("kept") == 1


async def test_conflicts_decisions_and_dead_letters_of_a_person_go(
    vendors, opened, tmp_path
):
    record = ada(vendors)
    twin = sf(vendors, 3, LastName="Person")
    sf(vendors, 3, LastName="Persoon")
    async with opened("both", conflicts='{"*": ask}') as hub:
        await hub.sync("contacts")
        there = next(r["Id"] for r in rows(vendors) if r["Email"] == ADA)
        later(vendors)
        edit_left(vendors, record, jobtitle="A")
        edit_right(vendors, there, Title="B")
        await hub.sync("contacts")
        (mine,) = [c for c in hub.conflicts() if ("left", record) in c.members]
        hub.resolve(mine, "left")
        hub.store.bury(
            "contacts",
            "left",
            [
                (
                    record,
                    b"h" * 16,
                    "update",
                    "BAD",
                    ["email"],
                    b"c" * 16,
                    f"{ADA} is bad",
                )
            ],
            1,
            hub.clock.now(),
        )
        hub.store.bury(
            "contacts",
            "right",
            [
                (
                    twin,
                    b"t" * 16,
                    "update",
                    "BAD",
                    [],
                    b"d" * 16,
                    f"same as {ADA.upper()}",
                )
            ],
            1,
            hub.clock.now(),
        )
        others = {c.id for c in hub.conflicts()} - {mine.id}
        assert others
        found = hub.export(IDENTITY)
        assert found["kept"]["dead letters"][0]["values"] == {
            "message": f"{ADA} is bad"
        }
        assert found["kept"]["conflicts"][0]["fields"] == "title"
        assert {"decisions", "bases", "links", "before-images", "inbox"} <= {
            *found["kept"]
        }
        erased = hub.erase(IDENTITY)
        assert (erased.rows["conflicts"], erased.rows["dead letters"]) == (1, 1)
        assert erased.rows["messages"] == 1
        assert {c.id for c in hub.conflicts()} == others
        assert [(d.record, d.message) for d in hub.dead_letters()] == [(twin, "")]
        assert hub.export(IDENTITY) == {
            "entity": "contact",
            "erased": True,
            "vendors": [],
            "kept": {},
        }
        assert ADA.encode() not in files(tmp_path)


async def test_a_person_who_is_gone_at_the_vendor_is_found_in_the_journal(
    vendors, opened
):
    record = ada(vendors)
    async with opened() as hub:
        await hub.sync("contacts")
        vendors["sales"].edit("contacts", {"id": record, "archived": True})
        later(vendors)
        await hub.sync("contacts", options=Options(full=True))
        assert hub.store.indexed("contacts", "left", [record]) == set()
        there = next(r["Id"] for r in rows(vendors) if r["Email"] == ADA)
        edit_right(vendors, there, IsDeleted=True)
        later(vendors)
        await hub.sync("contacts", options=Options(full=True))
        assert hub.store.indexed("contacts", "right", [there]) == set()
        erased = hub.erase(IDENTITY)
        assert erased.rows["before-images"] == 1
        assert next(hub.store.journal("contacts")).erased == 1


async def test_a_job_that_is_running_holds_an_erasure_up(vendors, opened, tmp_path):
    ada(vendors)
    async with opened() as hub:
        await hub.sync("contacts")
        with job_lock(tmp_path / "hub.db", "companies"), pytest.raises(Locked):
            hub.erase(IDENTITY)
        assert hub.erasable(IDENTITY).rows["links"] == 2


async def test_a_tombstone_outlives_an_edit_of_the_vocabulary(
    vendors, opened, tmp_path
):
    """Identity sets are renumbered, and the one a person was erased by is none any more."""
    async with opened() as hub:
        await hub.sync("contacts")
        hub.erase(IDENTITY)
        shipped = hub.project.words.paths["contact"]
    words = tmp_path / "mappings" / "contact"
    words.mkdir(parents=True)
    record = ""
    for n, identity in enumerate(
        ("[[phone, family_name], [email]]", "[[phone, family_name]]"), 5
    ):
        text = shipped.read_text().replace("[[email], [phone, family_name]]", identity)
        (words / "entity.yaml").write_text(text)
        if record:
            edit_left(vendors, record, jobtitle="Baroness")
        else:
            record = ada(vendors)
        contact(vendors, n)
        later(vendors)
        async with opened(create_without_identity="true") as hub:
            assert hub.project.entity("contact").identity[0] == ("phone", "family_name")
            assert (await hub.sync("contacts")).created == 1
        emails = {r["Email"] for r in rows(vendors)}
        assert f"p{n}@x.org" in emails
        assert ADA not in emails


@pytest.mark.parametrize(
    ("identity", "message"),
    [
        ("email=", "empty"),
        ("nickname=ada", "nobody is known by that"),
        ("family_name=Lovelace", "nobody is known by that"),
        ("phone=12,family_name=X", "no phone"),
        ("+62811222333", "nobody is known by that"),
    ],
)
async def test_what_is_no_identity_is_told_without_the_value(opened, identity, message):
    async with opened() as hub:
        with pytest.raises(ConfigError, match=message) as told:
            hub.erasable([identity])
        assert "Lovelace" not in str(told.value)
        assert "811222333" not in str(told.value)


async def test_which_entity_is_meant_has_to_be_said_where_several_could_be(
    vendors, opened
):
    record = ada(vendors)
    async with opened() as hub:
        await hub.sync("contacts")
        entities = hub.project.words.entities
        company, document = entities["company"]
        known = dataclasses.replace(
            company,
            fields={**company.fields, "email": FieldSpec("email", "email")},
            identity=(("email",),),
        )
        entities["company"] = known, document
        for identity in (ADA, f"email={ADA}"):
            with pytest.raises(ConfigError, match="company or contact") as told:
                hub.erasable([identity])
            assert told.value.hint == "say which with --entity"
        found = hub.erasable([ADA], entity="contact")
        assert record in {v.record for v in found.vendors}
        # no mapping of this project reads a company's e-mail
        with pytest.raises(ConfigError, match="no field 'email'"):
            hub.erasable([ADA], entity="company")


async def test_one_person_is_of_one_entity_that_is_there(opened):
    async with opened() as hub:
        with pytest.raises(ConfigError, match="of several entities"):
            hub.erasable([f"email={ADA}", "domain=example.org"])
        with pytest.raises(ConfigError, match="nobody is named"):
            hub.erasable([])
        assert hub.erasable([ADA], entity="contact").entity == "contact"
        with pytest.raises(ConfigError, match="no entity"):
            hub.erasable([ADA], entity="kontact")
