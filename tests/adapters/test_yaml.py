"""YAML by the core rules of 1.2, every mistake at its place."""

from __future__ import annotations

import pytest

from connector_hub.adapters import yaml
from connector_hub.diagnostics import Mistakes


def load(tmp_path, text, environ=None):
    path = tmp_path / "a.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yaml.load(path, "a.yaml", environ)


def told(tmp_path, text, environ=None):
    with pytest.raises(Mistakes) as raised:
        load(tmp_path, text, environ)
    (found,) = raised.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("NO", "NO"),
        ("on", "on"),
        ("12:30", "12:30"),
        ("0812", "0812"),
        ("+62812", "+62812"),
        ("2026-11-24", "2026-11-24"),
        ("0o17", "0o17"),
        ("1_000", "1_000"),
        ("0", 0),
        ("-7", -7),
        ("1.5", 1.5),
        ("1.5e3", 1500.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("'true'", "true"),
        ('"1"', "1"),
        ("[a, 1]", ["a", 1]),
    ],
)
def test_plain_words_mean_what_the_core_rules_say(tmp_path, text, value):
    found = load(tmp_path, f"k: {text}\n").data["k"]
    assert (found, type(found)) == (value, type(value))


def test_every_value_and_key_knows_its_place(tmp_path):
    doc = load(tmp_path, "a:\n  b: [x, y]\n")
    assert doc.keys["a", "b"] == (2, 3)
    assert doc.values["a", "b", 1] == (2, 10)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\na: 2\n", 2, "there twice"),
        ("a: &x 1\n", 1, "anchors"),
        ("a: &x 1\nb: *x\n", 1, "anchors"),
        ("a: !!python/object:os.system x\n", 1, "tags"),
        ("a: !x {b: 1}\n", 1, "tags"),
        ("<<: {a: 1}\n", 1, "merge keys"),
        ("? [a]\n: 1\n", 1, "plain word"),
        ("a:\n\tb: 1\n", 2, ""),
        ("a: [1\n", 2, ""),
        ("a: " + "[" * 60 + "]" * 60, 1, "too deeply"),
        (b"a: \xff\n", 0, "UTF-8"),
        ("a: " + "x" * (1 << 20), 1, "larger than"),
    ],
)
def test_what_hides_or_breaks_is_refused_at_its_line(tmp_path, text, line, said):
    found = told(tmp_path, text)
    assert found.line in {line, 1}
    assert said in found.message


def test_variables_are_filled_in_after_parsing(tmp_path):
    doc = load(tmp_path, "a: ${X}/${Y:-d}/$${Z}\n", {"X": "b: [1"})
    assert doc.data == {"a": "b: [1/d/${Z}"}
    assert "NOT_SET" in told(tmp_path, "a: ${NOT_SET}\n", {}).message


def test_an_empty_file_holds_nothing(tmp_path):
    assert load(tmp_path, "").data == {}
    assert load(tmp_path, b"\xef\xbb\xbf# only a comment\r\n").data == {}


def test_a_file_of_brackets_is_refused_before_it_breaks_the_reader(tmp_path):
    for text in ("[" * 500_000, "- " * 400_000, "{a: " * 200_000, "? " * 400_000):
        assert "nest" in told(tmp_path, text).message


def test_a_long_flat_file_is_not_deep(tmp_path):
    assert len(load(tmp_path, "- [a]\n" * 2_000).data) == 2_000
    assert load(tmp_path, "a: [[1]]\n" + "# - - -\n" * 900).data == {"a": [[1]]}


def test_a_number_nobody_can_mean_is_refused(tmp_path):
    found = told(tmp_path, f"a: {'9' * 5_000}\n")
    assert (found.line, found.column) == (1, 4)
    assert "put it in quotes" in found.hint


def test_a_bomb_of_aliases_is_refused_at_its_first_anchor(tmp_path):
    text = "a: &a [x, x]\n" + "".join(
        f"{new}: &{new} [*{old}, *{old}, *{old}]\n"
        for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert told(tmp_path, text).line == 1


def test_a_line_without_end_is_shown_in_part_and_at_once(tmp_path):
    found = told(tmp_path, f"a: {'key' * 200_000}: [\n")
    assert len(found.source) <= 300


@pytest.mark.parametrize("text", ["1e3", "0x1F", ".5", ".inf", "+1", "007", "1."])
def test_what_a_person_may_mean_as_text_stays_text(tmp_path, text):
    assert load(tmp_path, f"k: {text}\n").data["k"] == text


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a: 1\n---\nb: 2\n", 2, "single document"),
        ("a: \x07\n", 1, "control characters"),
        ("a: 'x\n", 2, "quoted scalar"),
        ("a:\n  b: 1\n  'b': 2\n", 3, "there twice"),
        ("1: x\n'1': y\n", 2, "there twice"),
    ],
)
def test_what_is_no_yaml_is_told_at_its_line(tmp_path, text, line, said):
    found = told(tmp_path, text)
    assert (found.line, said in found.message) == (line, True)


def test_a_file_that_is_not_there_or_a_folder_is_told(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(Mistakes, match="cannot be read"):
            yaml.load(path, "a.yaml")
