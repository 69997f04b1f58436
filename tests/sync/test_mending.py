"""What a person writes in place of a refused value: read as its field is, and never repeated."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from connector_hub.errors import ConfigError
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import LinkRule, Mapping, Rule, compile_mapping
from connector_hub.model.transforms import Transforms
from connector_hub.sync.mending import parsed

ENTITY = Entity(
    "person",
    {
        "name": FieldSpec("name", "text"),
        "age": FieldSpec("age", "number"),
        "vip": FieldSpec("vip", "boolean"),
        "stage": FieldSpec("stage", "choice", ("lead", "won")),
        "tags": FieldSpec("tags", "list"),
        "firm": FieldSpec("firm", "link", to="firm"),
        "left_out": FieldSpec("left_out", "text"),
    },
)
RULES = (
    Rule("name", "n", ("trim",), also=("more",)),
    Rule("age", "a", when={"name": ("nobody",)}),
    Rule("vip", "v", table={"true": ("Y",), "false": ("N",)}),
    Rule("stage", "s"),
    Rule("tags", "t"),
    Rule("firm", link=LinkRule(path="f")),
    Rule("left_out", "l"),
)
SPOKE = compile_mapping(
    Mapping("person", "acme", "people", {r.field: r for r in RULES}),
    ENTITY,
    Transforms(),
    leave_out=("left_out",),
)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("name", " Ada ", "Ada"),
        ("name", "", None),
        ("name", "  ", None),
        ("age", "1.50", Decimal("1.50")),
        ("vip", "true", True),
        ("vip", "false", False),
        ("stage", "won", "won"),
        ("tags", "b;a", ("a", "b")),
        ("tags", "", ()),
    ],
)
def test_a_text_is_read_as_its_field_is(name: str, text: str, value: Any) -> None:
    assert parsed(SPOKE, name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "said", "hint"),
    [
        ("nam", "x", "there is no field 'nam'", "did you mean 'name'?"),
        ("left_out", "x", "there is no field 'left_out'", "there are: "),
        ("firm", "7", "firm is a link", "link the records at the vendor"),
        ("stage", "wonn", "that is no word of stage", "did you mean 'won'?"),
        ("vip", "Y", "that is no word of vip", "there are: false, true"),
        ("age", "secret", "that is no number, which age is", ""),
    ],
)
def test_what_is_no_value_is_told_without_repeating_it(
    name: str, text: str, said: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as told:
        parsed(SPOKE, name, text)
    assert told.value.message == said
    assert told.value.hint.startswith(hint)
    assert bool(told.value.hint) == bool(hint)
