"""Lines added to mapping files: comments, order and line ends stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector_hub.adapters.overlays import Edit, _with_line, _word, undo, write
from connector_hub.errors import ConfigError

FILE = Path("mappings/contact/acme.yaml")
ADDED = "{path: x}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("entity: c\n", "entity: c\nfields:\n  new: {path: x}\n"),
        ("entity: c\nfields:\n", "entity: c\nfields:\n  new: {path: x}\n"),
        (
            "fields:\n    a: {path: a}  # why\n\n# tests follow\ntests: []\n",
            "fields:\n    a: {path: a}  # why\n    new: {path: x}\n\n# tests follow\ntests: []\n",
        ),
        (
            "fields:\n  a:\n    path: a\n    via:\n      - trim\n    # end\ntests: []\n",
            "fields:\n  a:\n    path: a\n    via:\n      - trim\n  new: {path: x}\n    # end\ntests: []\n",
        ),
        ("fields:\n  a: {path: a}", "fields:\n  a: {path: a}\n  new: {path: x}\n"),
        (
            "fields:\r\n  a: {path: a}\r\n",
            "fields:\r\n  a: {path: a}\r\n  new: {path: x}\r\n",
        ),
        (
            "fields:\n  a: {path: a,\n      via: [trim]}\nx: 1\n",
            "fields:\n  a: {path: a,\n      via: [trim]}\n  new: {path: x}\nx: 1\n",
        ),
        (
            "fields:\n  a:\n    path: |\n      long\n\nx: 1\n",
            "fields:\n  a:\n    path: |\n      long\n\n  new: {path: x}\nx: 1\n",
        ),
    ],
)
def test_a_line_goes_after_the_last_field(before: str, after: str) -> None:
    assert _with_line(FILE, before, "new", ADDED) == after


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("fields: {a: {path: a}}\n", "are written in braces here"),
        ("fields:\n  new: {path: a}\n", "'new' has a rule here already"),
    ],
)
def test_where_a_line_cannot_be_added_it_is_told(before: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _with_line(FILE, before, "new", ADDED)


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("properties.fax", "properties.fax"),
        ("phone(region)", "phone(region)"),
        ("phone(country, ID)", '"phone(country, ID)"'),
        ("Phone Inquiry", '"Phone Inquiry"'),
        ("no", '"no"'),
        ("0812", '"0812"'),
        ("a: b", '"a: b"'),
        ('say "x"', '"say \\"x\\""'),
        ("", '""'),
    ],
)
def test_a_word_is_plain_where_nothing_else_can_be_meant(
    text: str, spelled: str
) -> None:
    assert _word(text) == spelled


def test_all_edits_are_written_or_none(tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("a: 1\n")
    edits = [
        Edit(tmp_path / "new" / "x.yaml", None, "x: 1\n"),
        Edit(there, "another: 1\n", "b: 1\n"),
    ]
    with pytest.raises(ConfigError, match="edited in the meantime"):
        write(edits)
    assert there.read_text() == "a: 1\n"
    assert not edits[0].path.exists()


def test_what_was_written_can_be_put_back(tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_bytes(b"a: 1\r\n")
    edits = [Edit(there, "a: 1\r\n", "b: 1\r\n"), Edit(tmp_path / "x", None, "x: 1\n")]
    write(edits)
    assert there.read_bytes() == b"b: 1\r\n"
    undo(edits)
    assert there.read_bytes() == b"a: 1\r\n"
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write([Edit(tmp_path / "file" / "x.yaml", None, "x: 1\n")])
