"""``map`` on two sandboxes: rules suggested, added, previewed and tested."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tests.conftest import Opener, Vendors

from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub_hubspot.portal.properties import Property


@pytest.fixture
def people() -> int:
    return 4


@pytest.fixture
def run(opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command line on the two sandboxes."""
    monkeypatch.chdir(tmp_path)

    def command(*words: str, typed: str | None = None) -> Result:
        session = Session(opener=lambda *_: opened("left-to-right"))
        return CliRunner().invoke(cli, list(words), obj=session, input=typed)

    return command


def edited(vendors: Vendors, at: int, **fields: str) -> str:
    sales: Any = vendors["sales"]
    record = str(sales.live("contacts")[at]["id"])
    sales.edit("contacts", {"id": record, "properties": fields})
    return record


def overlay(folder: Path, text: str, name: str = "hubspot") -> Path:
    path = folder / "mappings" / "contact" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


HUBSPOT = "entity: contact\nconnector: hubspot\nresource: contacts\nextends: shipped\n"


def test_the_shipped_mappings_pass_their_own_tests(run: Any) -> None:
    result = run("map", "test")
    assert result.exit_code == 0, result.output
    assert "ok    " in result.stdout
    assert run("map", "test", "contacts").stdout.count("ok    ") == 2
    document = json.loads(run("map", "test", "--json").stdout)
    assert document["failed"] == []
    assert document["tests"] > 4


def test_a_test_that_fails_shows_what_it_wanted_and_what_it_got(
    run: Any, tmp_path: Path
) -> None:
    overlay(
        tmp_path,
        HUBSPOT + "tests:\n"
        "  - {vendor: {properties: {lifecyclestage: lead}}, hub: {stage: customer}}\n",
    )
    result = run("map", "test", "contacts")
    assert result.exit_code == 2
    assert '    - stage: "customer"\n    + stage: "lead"\n' in result.stdout
    assert "hubspot.yaml:6:65" in result.stderr
    (failed,) = json.loads(run("map", "test", "--json").stdout)["failed"]
    assert failed["fields"] == {"stage": {"wanted": '"customer"', "got": '"lead"'}}


def test_a_preview_masks_values_and_writes_nothing(run: Any, vendors: Vendors) -> None:
    record = edited(vendors, 0, lifecyclestage="subscriber", lastname="Lovelace")
    result = run("map", "preview", "contacts", "--record", record)
    assert result.exit_code == 0, result.output
    assert "Lovelace" not in result.output
    assert 'LastName "•••"' in result.stdout
    told = run("map", "preview", "contacts", "--record", record, "--values").stdout
    assert 'LastName "Lovelace"' in told
    assert "- no rule there" in told
    assert "- the link of its counterpart" in told
    document = json.loads(run("map", "preview", "contacts", "--json").stdout)
    assert len(document["records"]) == 3
    assert document["records"][0]["fields"]["email"] == {
        "state": "read",
        "path": "Email",
    }
    assert vendors["billing"].live("Contact") == []
    assert not any(
        word in call
        for vendor in vendors.values()
        for call in vendor.calls
        for word in ("upsert", "create", "batch/update", "PATCH", "DELETE")
    )


def test_a_preview_tells_why_nothing_travels(
    run: Any, vendors: Vendors, tmp_path: Path
) -> None:
    overlay(
        tmp_path,
        HUBSPOT + "fields:\n"
        "  title: {path: properties.jobtitle, when: {country: [Mars]}}\n"
        "  city: {path: properties.city, table: {Rome: [Roma]}}\n",
    )
    record = edited(vendors, 0, phone="call me", city="Jakarta")
    words = ("map", "preview", "contacts", "--record", record, "--json")
    fields = json.loads(run(*words).stdout)["records"][0]["fields"]
    states = {n: f["state"] for n, f in fields.items()}
    assert (states["phone"], states["title"]) == ("unreadable", "outside")
    assert states["city"] == "unreadable"
    assert run("map", "preview", "contacts", "--record", "1").exit_code == 2


def test_like_fields_are_suggested_with_what_records_hold(
    run: Any, vendors: Vendors
) -> None:
    edited(vendors, 0, mobilephone="0812 3456 7890")
    document = json.loads(run("map", "suggest", "contacts", "--json").stdout)
    found = {s["field"]: s for s in document["suggestions"]}
    mobile = found["mobile_phone"]
    assert (mobile["kind"], mobile["known"]) == ("phone", False)
    assert mobile["left"] == {
        "path": "properties.mobilephone",
        "type": "string",
        "mapped": False,
        "looked_at": 4,
        "filled": 1,
        "values": 1,
        "unmatched_options": [],
    }
    assert mobile["right"]["path"] == "MobilePhone"
    assert not {"email", "connector_hub_id", "create_date"} & found.keys()
    told = run("map", "suggest", "contacts")
    assert "25% of 4" in told.stdout
    assert "0812" not in told.stdout
    assert "0812" in run("map", "suggest", "contacts", "--values").stdout


def test_options_that_no_table_knows_are_told(run: Any, tmp_path: Path) -> None:
    overlay(
        tmp_path,
        HUBSPOT + "fields:\n"
        "  stage: {path: properties.lifecyclestage, table: {lead: [lead]}}\n",
    )
    assert "stage has options that no table knows" in run("check").stdout
    document = json.loads(run("map", "suggest", "contacts", "--json").stdout)
    (unknown,) = document["unknown_options"]
    assert (unknown["connection"], unknown["field"]) == ("sales", "stage")
    assert "customer" in unknown["options"]
    assert "lead" not in unknown["options"]


def test_a_new_word_is_named_by_field_and_shown_where_values_may_be_seen(
    run: Any, vendors: Vendors
) -> None:
    sales: Any = vendors["sales"]
    options = sales.portal.objects["contacts"].properties["lifecyclestage"]
    options.options += ("brand_new",)
    edited(vendors, 0, lifecyclestage="brand_new")
    result = run("plan", "contacts")
    assert "Unreadable values, left alone: stage 1\n" in result.stdout
    told = run("plan", "contacts", "--values").stdout
    assert 'left alone: stage 1 ("brand_new")' in told
    done = run("sync", "contacts")
    assert done.exit_code == 0, done.output
    assert "unreadable values, left alone: stage 1\n" in done.stdout
    assert "brand_new" in run("check").stdout


def test_a_field_is_added_and_writes_nothing_until_its_backfill(
    run: Any, vendors: Vendors, tmp_path: Path
) -> None:
    own = overlay(
        tmp_path,
        f"# our own words\n{HUBSPOT}fields:\n  # jobs\n  title: {{path: properties.jobtitle}}  # as typed\n",
    )
    edited(vendors, 0, mobilephone="0812 3456 7890")
    assert run("sync").exit_code == 0
    refused = run("map", "add", "contacts", "mobile_phone")
    assert refused.exit_code == 2
    assert (
        "+  mobile_phone: {path: MobilePhone, via: [phone(region)]}" in refused.stdout
    )
    assert "mobile_phone" not in own.read_text()
    result = run("map", "add", "contacts", "mobile_phone", "--yes")
    assert result.exit_code == 0, result.output
    assert own.read_text() == (
        f"# our own words\n{HUBSPOT}fields:\n  # jobs\n"
        "  title: {path: properties.jobtitle}  # as typed\n"
        "  mobile_phone: {path: properties.mobilephone, via: [phone(region)]}\n"
    )
    assert run("check").exit_code == 0
    plan = run("plan", "contacts", "--json", "--full")
    document = json.loads(plan.stdout)
    assert document["create"] + document["update"] + document["delete"] == 0
    assert "New or edited rules, left alone: mobile_phone 1" in plan.stderr
    assert "--backfill mobile_phone" in plan.stderr
    assert run("sync", "contacts", "--backfill", "mobile_phone").exit_code == 0
    billing: Any = vendors["billing"]
    held = {r["MobilePhone"] for r in billing.live("Contact")}
    assert held == {None, "+6281234567890"}
    again = json.loads(run("plan", "contacts", "--json", "--full").stdout)
    assert again["update"] == 0
    assert run("map", "add", "contacts", "mobile_phone", "--yes").exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("shoe_size",), "nothing suggests a rule for 'shoe_size'"),
        (("fax", "--left", "properties.fax"), "say where it is there with --right"),
        (
            ("fax", "--left", "properties.faks", "--right", "Fax"),
            "did you mean 'properties.fax'",
        ),
        (
            ("title", "--kind", "number", "--left", "properties.fax"),
            "'title' is of kind text",
        ),
        (
            ("other", "--left", "properties.email", "--right", "Department"),
            "are both written to properties.email",
        ),
    ],
)
def test_what_cannot_be_added_is_told_and_nothing_is_written(
    run: Any, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    result = run("map", "add", "contacts", *words, "--yes")
    assert result.exit_code == 2
    assert said in result.stderr
    assert list(tmp_path.glob("mappings/contact/*")) == []


def test_options_become_words_and_a_moment_a_day(
    run: Any, vendors: Vendors, tmp_path: Path
) -> None:
    sales: Any = vendors["sales"]
    contacts = sales.portal.objects["contacts"]
    words = ("web", "PHONE_INQUIRY", "fair")
    contacts.define(Property("source", "source", "enumeration", options=words))
    contacts.define(Property("born_at", "Birthdate", "datetime"))
    told = run("map", "suggest", "contacts").stdout
    assert "birthdate   date, a new word" in told
    words = ("--left", "properties.source", "--right", "LeadSource", "--yes")
    assert run("map", "add", "contacts", "source", *words).exit_code == 0
    added = run("map", "add", "contacts", "birthdate", "--yes")
    assert added.exit_code == 0, added.output
    text = (tmp_path / "mappings/contact/hubspot.yaml").read_text()
    assert "PHONE_INQUIRY" in text
    assert "birthdate: {path: properties.born_at, via: [day_in(Asia/Jakarta)]}" in text
    there = (tmp_path / "mappings/contact/salesforce.yaml").read_text()
    assert 'phone_inquiry: ["Phone Inquiry"]' in there
    assert "birthdate: {path: Birthdate}" in there
    edited(vendors, 0, source="PHONE_INQUIRY", born_at="2001-02-03T18:00:00Z")
    assert run("sync", "contacts").exit_code == 0
    billing: Any = vendors["billing"]
    found = {(r["LeadSource"], r["Birthdate"]) for r in billing.live("Contact")}
    assert ("Phone Inquiry", "2001-02-04") in found
