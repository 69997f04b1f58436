"""``plan --html`` and ``--csv``: all of a plan, for people who were not there."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from connector_hub import errors
from connector_hub.cli.tables import safe
from connector_hub.model.plan import FieldChange, Shown

from .conftest import made


class Reader(HTMLParser):
    """Well-formed, and asks nobody for anything."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.outside += [f"{tag} {n}" for n, _ in attrs if n in {"src", "href"}]
        if tag in {"script", "link", "iframe", "img"}:
            self.outside.append(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(path: Path) -> str:
    reader = Reader()
    reader.feed(path.read_text())
    assert (reader.open, reader.outside) == ([], [])
    return " ".join(" ".join(reader.text).split())


def sheet(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_a_page_tells_all_of_a_plan(line, tmp_path):
    line.hub.answers["people"] = made(
        writes={"billing": {"Contact": {"create": 1, "update": 1, "delete": 1}}},
        billed=[
            {
                "connection": "billing",
                "resource": "Contact",
                "records": 1,
                "counts_for": "data storage, 2 kB each",
            }
        ],
    )
    page = tmp_path / "plan.html"
    result = line("plan", "people", "--html", str(page), "--values")
    assert result.exit_code == 0
    assert f"written: {page}   it holds records' values in clear" in result.stdout
    text = read(page)
    assert "Plan people sales/contacts -> billing/Contact, plan p1" in text
    assert "Plan: 1 to create, 1 to update, 1 to delete, 5 unchanged." in text
    assert "where create update delete billing/Contact 1 1 1" in text
    assert "field records title 1" in text
    assert "1 new Contact at billing count for data storage, 2 kB each" in text
    assert "billing: calls 7 of 14,812 left" in text
    assert 's2 → t2 title "Manager" → "Direktur" changed at the source' in text
    assert "Keep it as you keep the records" in text
    assert "connector-hub apply p1" in text


def test_values_in_files_are_masked_unless_asked_for_even_on_a_terminal(
    line, tmp_path, on_a_terminal
):
    on_a_terminal()
    page, rows = tmp_path / "plan.html", tmp_path / "plan.csv"
    result = line("plan", "people", "--html", str(page), "--csv", str(rows))
    assert "Direktur" in result.stdout
    assert result.stdout.count("values are masked; --values shows them") == 2
    for file in (page, rows):
        assert "Direktur" not in file.read_text()
        assert "ana@" not in file.read_text()
        assert file.stat().st_mode & 0o077 == 0
    assert sheet(rows)[1]["new"] == "•••"


def test_a_sheet_has_a_row_for_each_field_of_each_change(line, tmp_path):
    rows = tmp_path / "plan.csv"
    line("plan", "people", "--csv", str(rows), "--values")
    found = sheet(rows)
    assert [r["kind"] for r in found] == ["create", "update", "delete"]
    assert found[1] == {
        "job": "people",
        "plan": "p1",
        "kind": "update",
        "connection": "",
        "record": "t2",
        "source": "s2",
        "field": "title",
        "old": "Manager",
        "new": "Direktur",
        "why": "changed at the source",
    }


@pytest.mark.parametrize("evil", ["=1+1", "+62812", "-2", "@SUM(A1)", "\tx", "\rx"])
def test_no_cell_is_a_formula(line, tmp_path, evil):
    line.hub.shown = [Shown("create", evil, None, (FieldChange("n", None, evil),), "")]
    rows = tmp_path / "plan.csv"
    line("plan", "people", "--csv", str(rows), "--values")
    (row,) = sheet(rows)
    assert row["new"] == row["source"] == f"'{evil}"
    assert safe("plain") == "plain"


def test_a_value_cannot_command_the_browser(line, tmp_path):
    evil = "<script>alert('x')</script>\x1b[2J\u202e"
    line.hub.shown = [Shown("create", "s1", None, (FieldChange("n", None, evil),), "")]
    page = tmp_path / "plan.html"
    line("plan", "people", "--html", str(page), "--values")
    raw = page.read_text()
    assert "<script" not in raw
    assert not re.search("[\x1b\u202e]", raw)
    assert "default-src 'none'" in raw
    assert "alert" in read(page)


def test_all_jobs_share_a_file(line, tmp_path):
    line.hub.jobs = ["firms", "people"]
    line.hub.__post_init__()
    page, rows = tmp_path / "plan.html", tmp_path / "plan.csv"
    line("plan", "--html", str(page), "--csv", str(rows))
    assert read(page).count("Before you say yes") == 2
    assert {r["job"] for r in sheet(rows)} == {"firms", "people"}


def test_a_file_that_cannot_be_written_is_told_before_anything_is_read(line, tmp_path):
    result = line("plan", "people", "--html", str(tmp_path / "no" / "plan.html"))
    assert result.exit_code == 2
    assert "cannot be written: No such file or directory" in result.stderr
    assert line.hub.asked == []
    assert line("plan", "people", "--csv", str(tmp_path)).exit_code == 2


def test_a_plan_that_fails_leaves_the_old_file(line, tmp_path):
    page = tmp_path / "plan.html"
    page.write_text("old")
    line.hub.answers["people"] = errors.AuthError("no")
    assert line("plan", "people", "--html", str(page)).exit_code == 4
    assert page.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["plan.html"]


def test_a_kept_plan_is_written_too_and_one_without_changes_is_not(line, tmp_path):
    rows = tmp_path / "plan.csv"
    result = line("plans", "show", "p1", "--csv", str(rows), "--values")
    assert f"written: {rows}" in result.stdout
    assert sheet(rows)[1]["new"] == "Direktur"
    rows.unlink()
    from dataclasses import replace  # noqa: PLC0415 - beside its use

    line.hub.made[0] = replace(line.hub.made[0], state="expired", why="is old")
    result = line("plans", "show", "p1", "--csv", str(rows))
    assert result.exit_code == 2
    assert "cannot be shown any more: it is old" in result.stderr
    assert not rows.exists()
