"""``undo`` and ``why``."""

from __future__ import annotations

from connector_hub.model.plan import FieldChange, Shown

from .conftest import made


def undoing() -> object:
    counts = {"update": 1, "delete": 2, "kept": 1, "unchanged": 3}
    return made(counts=counts, undoes=7, by_reason={"changed since": 1})


def test_an_undo_reads_like_a_plan_and_says_how_to_apply_it(line):
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
    masked = line("undo", "7").output
    assert "Bali" not in masked
    document = line.document("undo", "7")
    assert (document["undoes"], document["kept"], document["delete"]) == (7, 1, 2)


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
