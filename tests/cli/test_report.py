"""``report``: numbers that add up, one page that needs nothing, no value of a record."""

from __future__ import annotations

import asyncio
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector_hub.cli.app import cli
from connector_hub.cli.reportpage import page
from connector_hub.cli.session import Session
from connector_hub.sync.reporting import gather
from connector_hub.testing.sandbox import Fault


class Story:
    """A month of one project: a copy, a failure, a refusal, a conflict."""

    def __init__(self, opened: Any, vendors: Any) -> None:
        self.opened, self.vendors = opened, vendors
        self.calls = asyncio.run(self._begin())

    async def _begin(self) -> dict[str, int]:
        sales, billing = self.vendors["sales"], self.vendors["billing"]
        async with self.opened("both") as hub:
            await hub.plan("contacts")
            await hub.sync("companies")
            await hub.sync("contacts")
            (left, right), (other, _), *_ = hub.links("contacts")
            sales.edit("contacts", {"id": left, "properties": {"jobtitle": "L"}})
            billing.edit("Contact", {"Id": right, "Title": "R"})
            sales.edit("contacts", {"id": other, "properties": {"lastname": ""}})
            for vendor in self.vendors.values():
                vendor.clock.advance(5)
            await hub.sync("contacts")
            calls = {n: sum(v.calls.values()) for n, v in self.vendors.items()}
            sales.faults.append(Fault("", status=401, times=None))
        return calls

    def __call__(self, *words: str) -> Result:
        session = Session(opener=lambda _project, _profile: self.opened("both"))
        return CliRunner().invoke(cli, list(words), obj=session)


@pytest.fixture
def people() -> int:
    return 4


@pytest.fixture
def story(opened, vendors) -> Story:
    return Story(opened, vendors)


def test_a_report_adds_up_to_what_was_done(story, vendors):
    assert story("sync", "contacts").exit_code == 4
    vendors["sales"].faults.clear()
    told = json.loads(story("report", "--json").stdout)
    by_name = {j["job"]: j for j in told["jobs"]}
    contacts = by_name["contacts"]
    assert (contacts["runs"], contacts["plans"]) == (3, 1)
    assert (contacts["created"], contacts["updated"]) == (4, 0)
    assert by_name["companies"]["created"] == 5
    assert sum(contacts["days"].values()) == 4
    assert contacts["conflicts"] == {"opened": 1, "closed": 0, "open": 1}
    assert contacts["dead_letters"] == {"opened": 1, "closed": 0, "open": 1}
    assert [c["count"] for c in contacts["causes"]] == [1]
    assert [(f["code"], f["count"]) for f in contacts["failures"]] == [("AuthError", 1)]
    counted = {c: sum(buckets.values()) for c, buckets in told["calls"].items()}
    assert counted["billing"] >= story.calls["billing"]
    assert counted["sales"] >= story.calls["sales"]


def test_it_is_told_in_tables(story):
    out = story("report").stdout
    assert re.search(r"contacts +2 +0 +\d+ +4 +0 +0 +1 / 0 / 1 +1 / 0 / 1", out)
    assert re.search(r"contacts +REQUIRED_FIELD_MISSING +LastName +1", out)
    assert "no failures" in out
    assert re.search(r"sales +search +\d+", out)
    assert story("report", "--since", "soon").exit_code == 2


class Seen(HTMLParser):
    """What a page is made of, and what it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [v or "" for k, v in attrs if k in {"src", "href", "data"}]
        if tag not in {"meta", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "rect":
            assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(story, vendors, tmp_path):
    file = tmp_path / "report.html"
    done = story("report", "--html", str(file), "--since", "4w")
    assert f"written to {file}" in done.stdout
    text = file.read_text()
    seen = Seen()
    seen.feed(text)
    assert (seen.open, seen.loads) == ([], [])
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "Records written by day, at most 9 on one day" in text
    for row in vendors["sales"].live("contacts"):
        assert row["properties"]["email"] not in text
    wrong = story("report", "--html", str(tmp_path / "no" / "x.html"))
    assert (wrong.exit_code, "cannot be written" in wrong.stderr) == (2, True)


def test_names_are_escaped_and_an_empty_time_has_no_bars():
    found = gather("2026-11-01T00:00:00", "2026-11-24T00:00:00", ["<b>"], [])
    text = page(found, "<script>alert(1)</script>")
    assert "<script" not in text
    assert "&lt;b&gt;" in text
    assert "<svg" not in text


def test_jobs_that_are_gone_and_runs_that_never_ended_are_told():
    runs = [
        {"run": 1, "job": "old", "kind": "sync", "started": "2026-11-02T00:00:00"},
        {"run": 2, "job": "old", "kind": "sync", "started": "2026-11-03T00:00:00"},
        {"run": 3, "job": "new", "kind": "plan", "started": "2026-11-03T00:00:00"},
    ]
    for run, status in zip(
        runs, ("interrupted", "interrupted", "running"), strict=True
    ):
        run |= {"status": status, "document": None}
    found = gather("2026-11-01", "2026-11-24", ["new"], runs)
    new, old = found.jobs
    assert (new.job, new.plans, new.runs) == ("new", 1, 0)
    assert [(f.code, f.count, f.run) for f in old.failures] == [("Interrupted", 2, 2)]


def test_the_command_line_needs_no_vendor(story, vendors):
    before = {n: sum(v.calls.values()) for n, v in vendors.items()}
    story("report")
    assert {n: sum(v.calls.values()) for n, v in vendors.items()} == before
