"""Conflicts in a sheet: written, filled in, and taken in whole or not at all."""

from __future__ import annotations

import asyncio
import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector_hub.adapters.sheets import read_sheet
from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.cli.sheets import writing_sheet
from connector_hub.errors import ConfigError


class Story:
    """A project on both sandboxes in which two people are in conflict about two fields each."""

    def __init__(self, opened: Any, vendors: Any, sheet: Path) -> None:
        self.opened, self.vendors, self.sheet = opened, vendors, sheet
        asyncio.run(self._begin())

    async def _begin(self) -> None:
        sales, billing = self.vendors["sales"], self.vendors["billing"]
        async with self.opened("both") as hub:
            await hub.sync("companies")
            await hub.sync("contacts")
            self.pairs = list(hub.links("contacts"))[:2]
            for left, right in self.pairs:
                row = {"jobtitle": "=cmd()", "city": "L"}
                sales.edit("contacts", {"id": left, "properties": row})
                billing.edit("Contact", {"Id": right, "Title": "R", "MailingCity": "R"})
            for vendor in self.vendors.values():
                vendor.clock.advance(5)
            await hub.sync("contacts")
            self.numbers = [c.id for c in hub.conflicts("contacts")]

    def __call__(self, *words: str) -> Result:
        session = Session(opener=lambda _project, _profile: self.opened("both"))
        return CliRunner().invoke(cli, list(words), obj=session)

    def fill(self, *take: str) -> None:
        """Fill in the column take, line by line."""
        with self.sheet.open(newline="") as source:
            rows = list(csv.DictReader(source))
        for row, word in zip(rows, take, strict=True):
            row["take"] = word
        with self.sheet.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture
def people() -> int:
    return 4


@pytest.fixture
def story(opened, vendors, tmp_path) -> Story:
    return Story(opened, vendors, tmp_path / "conflicts.csv")


def test_a_sheet_is_written_filled_in_and_carried_out(story, vendors):
    story.sheet.touch(mode=0o644)
    assert story("conflicts", "list", "--csv", str(story.sheet)).exit_code == 0
    assert story.sheet.stat().st_mode & 0o077 == 0
    assert "=cmd" not in story.sheet.read_text()
    written = story("conflicts", "list", "--csv", str(story.sheet), "--values")
    assert "4 lines written" in written.stdout
    assert "=cmd" not in written.stdout.replace('"=cmd', "")
    with story.sheet.open(newline="") as source:
        rows = list(csv.DictReader(source))
    assert [r["number"] for r in rows] == [str(n) for n in story.numbers for _ in "ab"]
    assert {(r["left"], r["right"]) for r in rows} == set(story.pairs)
    held = {(r["field"], r["left value"], r["right value"]) for r in rows}
    assert held == {("title", '"=cmd()"', '"R"'), ("city", '"L"', '"R"')}
    by_field = {"title": "billing", "city": "left"}
    story.fill(*(by_field[r["field"]] for r in rows[:2]), "sales", "")
    done = story("conflicts", "resolve", "--csv", str(story.sheet))
    assert "2 conflicts are decided" in done.stdout
    assert "carry it out: connector-hub sync contacts" in done.stdout
    assert story("sync", "contacts").exit_code == 0
    (first, _), (second, there) = story.pairs
    left = {r["id"]: r["properties"] for r in vendors["sales"].live("contacts")}
    right = {r["Id"]: r for r in vendors["billing"].live("Contact")}
    assert (left[first]["jobtitle"], left[first]["city"]) == ("R", "L")
    one = rows[2]["field"]
    told = {"title": right[there]["Title"], "city": right[there]["MailingCity"]}
    said = {"title": left[second]["jobtitle"], "city": left[second]["city"]}
    assert told[one] == said[one]
    (other,) = {"title", "city"} - {one}
    assert told[other] != said[other]


def test_what_is_wrong_in_a_sheet_is_told_by_line_and_nothing_is_done(story):
    heads = ("number", "field", "take")
    first, second = story.numbers
    story("conflicts", "resolve", str(second), "--take", "billing")
    story("sync", "contacts")
    lines = [
        (first, "title", "billing"),
        (first, "title", "sales"),
        (second, "", "billing"),
        (99, "", "billing"),
        ("x", "", "billing"),
        (first, "city", "biling"),
        (first, "email", "billing"),
        (first, "city", ""),
    ]
    with writing_sheet(story.sheet, heads) as write:
        for line in lines:
            write(line)
    result = story("conflicts", "resolve", "--csv", str(story.sheet), "--json")
    assert result.exit_code == 2
    findings = json.loads(result.stdout)["error"]["findings"]
    assert [(f["line"], f["message"]) for f in findings] == [
        (3, f"conflict {first} title is decided twice"),
        (4, f"conflict {second} is closed"),
        (5, "conflict 99 is not there"),
        (6, "'x' is no number of a conflict"),
        (7, "'biling' is no side of job contacts"),
        (8, f"conflict {first} is not about 'email'"),
    ]
    assert "did you mean 'billing'" in findings[4]["hint"]
    assert f"{story.sheet}:3:1" in result.stderr
    assert story("sync", "contacts").exit_code == 0
    assert [c["id"] for c in listed(story)] == [first]


def listed(story: Story) -> list[Any]:
    found: list[Any] = json.loads(story("conflicts", "list", "--json").stdout)[
        "conflicts"
    ]
    return found


def test_a_whole_conflict_is_decided_by_a_line_without_a_field(story):
    with writing_sheet(story.sheet, ("number", "field", "take")) as write:
        for number in story.numbers:
            write([number, "", "right"])
    done = story("conflicts", "resolve", "--csv", str(story.sheet), "--json")
    told = json.loads(done.stdout)["resolved"]
    assert [(t["conflict"], set(t["fields"]), t["take"]) for t in told] == [
        (n, {"title", "city"}, "billing") for n in story.numbers
    ]
    story("sync", "contacts")
    assert listed(story) == []


def test_twins_in_a_sheet_are_left_to_the_vendor(story, vendors):
    for name in ("One", "Two"):
        row = {"LastName": name, "Email": "twin@x.example"}
        vendors["billing"].edit("Contact", row)
    vendors["billing"].clock.advance(5)
    story("sync", "contacts")
    assert story("conflicts", "list", "--csv", str(story.sheet)).exit_code == 0
    rows = [row for _, row in read_sheet(story.sheet)]
    assert {r["kind"] for r in rows} > {"fields"}
    story.fill(*("" if r["kind"] == "fields" else "sales" for r in rows))
    result = story("conflicts", "resolve", "--csv", str(story.sheet), "--json")
    assert result.exit_code == 2
    findings = json.loads(result.stdout)["error"]["findings"]
    assert findings
    for f in findings:
        assert rows[f["line"] - 2]["kind"] != "fields"
        assert "is resolved at the vendor" in f["message"]


def test_a_sheet_wants_its_columns_and_nothing_beside_it(story):
    story.sheet.write_text("number;take\n1;billing\n")
    result = story("conflicts", "resolve", "--csv", str(story.sheet))
    assert "there is no column field" in result.stderr
    mixed = story("conflicts", "resolve", "1", "--csv", str(story.sheet))
    assert (mixed.exit_code, "give nothing else" in mixed.stderr) == (2, True)
    none = story("conflicts", "resolve", "1")
    assert (none.exit_code, "--take CONNECTION" in none.stderr) == (2, True)


def test_no_spreadsheet_computes_a_cell_and_it_comes_back_as_it_was(tmp_path):
    file = tmp_path / "sheet.csv"
    cells = ["=1+1", "+62812", "-3", "@x", "plain", "'quoted", "'=x"]
    with writing_sheet(file, ("a",)) as write:
        for cell in cells:
            write([cell])
    raw = [line.strip('"') for line in file.read_text().splitlines()[1:]]
    assert not [line for line in raw if line[0] in "=+-@"]
    assert [row["a"] for _, row in read_sheet(file)] == cells
    with (
        pytest.raises(ConfigError, match="cannot be written"),
        writing_sheet(tmp_path / "no" / "x.csv", ("a",)),
    ):
        pass


def test_a_command_that_fails_leaves_the_sheet_that_was_there(story):
    story.sheet.write_text("corrected by hand\n")
    assert story("match", "contcts", "--csv", str(story.sheet)).exit_code != 0
    assert story.sheet.read_text() == "corrected by hand\n"
    assert [p.name for p in story.sheet.parent.glob(".*.part")] == []
