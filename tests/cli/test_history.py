"""``undo`` and ``why``."""

from __future__ import annotations

from connector_hub.model.kept import Kept
from connector_hub.model.plan import FieldChange, Plan, Shown
from connector_hub.sync.why import Standing, Why, Written

from .conftest import made


def undoing() -> Plan:
    counts = {"update": 1, "delete": 2, "kept": 1, "unchanged": 3}
    return made(counts=counts, undoes=7, by_reason={"changed since": 1})


def test_an_undo_reads_like_a_plan_and_says_how_to_apply_it(line, tmp_path):
    line.hub.answers["undo 7"] = undoing()
    line.hub.shown = [
        Shown("update", None, "t2", (FieldChange("title", "New", "Old"),), "", "there"),
        Shown("archive", None, "t3", (), "created by run 7", "there"),
        Shown("archive", None, "t4", (), "created by run 7", "there"),
        Shown(
            "keep",
            None,
            "t5",
            (FieldChange("city", "Mine", "Bali"),),
            "changed since",
            "there",
        ),
    ]
    out = line("undo", "7", "--values").stdout
    assert out.startswith("Undo of run 7, people   sales/contacts -> billing/Contact")
    assert '~ there t2  title "New" -> "Old"' in out
    assert '! there t5  city "Mine", was "Bali"   (changed since)' in out
    assert "2 to delete, 3 unchanged, 1 that cannot be undone." in out
    assert out.endswith("connector-hub apply p1 --allow-deletes 2\n")
    page, sheet = tmp_path / "undo.html", tmp_path / "undo.csv"
    line("undo", "7", "--html", str(page), "--csv", str(sheet), "--values")
    assert "Undo of run 7, people" in page.read_text()
    assert "kept 1" in page.read_text()
    assert "apply p1 --allow-deletes 2" in page.read_text()
    assert "kept,there,t5,,city,Mine,Bali,changed since" in sheet.read_text()
    masked = line("undo", "7").output
    assert "Bali" not in masked
    document = line.document("undo", "7")
    assert (document["undoes"], document["kept"], document["delete"]) == (7, 1, 2)


def test_an_undo_that_was_kept_says_how_to_apply_it(line):
    line.hub.made = [Kept(undoing(), AT, "kept")]
    out = line("plans", "show", "p1").stdout
    assert out.startswith("Undo of run 7, people")
    assert "carry it out: connector-hub apply p1 --allow-deletes 2" in out


def test_an_undo_that_deletes_nothing_asks_for_no_flag(line):
    line.hub.answers["undo 7"] = made(counts={"update": 1}, undoes=7)
    assert line("undo", "7").stdout.endswith("connector-hub apply p1\n")


def test_apply_is_told_what_it_may_delete(line):
    line("apply", "p1", "--allow-deletes", "2")
    line("apply", "p1")
    assert line.hub.asked == [
        ("p1", {"allow_deletes": 2}),
        ("p1", {"allow_deletes": None}),
    ]


AT = "2026-11-24T10:00:00+00:00"
SIDES = (
    Standing(
        "sales", "contacts", "s1", "m/hubspot.yaml:9", False, "Chief", True, "as agreed"
    ),
    Standing("billing", "Contact", "t1", "", state="unknown"),
)
WRITES = (
    Written(7, AT, "update", "billing", "sales", "changed", "Old", "Chief", False),
    Written(3, AT, "archive", "billing", "sales", "gone", "Older", None, True),
)


def test_why_tells_values_rules_writes_and_what_is_open(line):
    why = Why(
        "people", "contact", "title", "ab12", SIDES, "travels", WRITES, ("x", "y")
    )
    line.hub.answers["why"] = [why]
    out = line("why", "contact", "s1", "title", "--values").stdout
    assert out.splitlines() == [
        "contact title   job people   hub id ab12",
        "  SIDE             RECORD  VALUE      STANDS     RULE",
        '  sales/contacts   s1      "Chief"    as agreed  m/hubspot.yaml:9',
        "  billing/Contact  t1      no answer  unknown    no rule",
        "policy   travels",
        (
            "last     run 7, 2026-11-24 10:00:00 UTC: sales -> billing, set to "
            '"Chief", it was "Old"   (changed; the vendor did not take what it was given)'
        ),
        (
            "before   run 3, 2026-11-24 10:00:00 UTC: sales -> billing, archived, it held "
            '"Older"   (gone)'
        ),
        "open     x",
        "         y",
    ]
    assert "Chief" not in line("why", "contact", "s1", "title").output
    document = line.document("why", "contact", "s1", "title")["why"][0]
    assert document["sides"][0]["value"] == "•••"
    assert document["writes"][0]["before"] == "•••"
    assert (
        line.document("why", "contact", "s1", "title", "--values")["why"][0]["writes"][
            0
        ]["after"]
        == "Chief"
    )


def test_why_of_a_record_without_link_or_writes(line):
    gone = Standing("billing", "Contact", "t1", "m:1", gone=True)
    empty = Standing("sales", "contacts", None, "m:2")
    why = Why("people", "contact", "title", None, (empty, gone), "travels")
    line.hub.answers["why"] = [why, why]
    out = line("why", "contact", "t1", "title").stdout
    assert out.count("contact title   job people   not linked") == 2
    assert "no run wrote it in the last 30 days" in out
    assert "t1" in out
    assert "gone" in out
