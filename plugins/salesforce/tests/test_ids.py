from __future__ import annotations

import pytest

from connector_hub_salesforce.ids import is_id, long_id


@pytest.mark.parametrize(
    ("short", "suffix"),
    [
        ("000000000000000", "AAA"),
        ("ABCDEFGHIJKLMNO", "555"),
        ("Aaaaaaaaaaaaaaa", "BAA"),
        ("aAaaaaaaaaaaaaa", "CAA"),
        ("aaaaAaaaaaaaaaa", "QAA"),
        ("aaaaaaaaaaaaaaA", "AAQ"),
    ],
)
def test_three_characters_tell_which_letters_are_capitals(short, suffix):
    assert long_id(short) == short + suffix
    assert long_id(short + suffix) == short + suffix


@pytest.mark.parametrize(
    "text", ["", "x", "0" * 14, "0" * 16, "0" * 19, "0" * 14 + "-"]
)
def test_other_shapes_are_no_ids(text):
    assert not is_id(text)
    with pytest.raises(ValueError, match="not a Salesforce id"):
        long_id(text)
