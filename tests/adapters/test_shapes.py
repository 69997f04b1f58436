"""Rows, parts and shared references in files: they are read, and a mistake is told at its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from connector_hub.adapters.config import SCHEMAS
from connector_hub.adapters.files import Vocabulary, load_words
from connector_hub.adapters.transforms import transforms
from connector_hub.adapters.yaml import load
from connector_hub.diagnostics import Diagnostics
from connector_hub.model.mapping import LinkRule, RowsRule, Rule, compile_mapping

ENTITY = """\
entity: order
identity: [[reference]]
fields:
  reference: {kind: text}
  stage:     {kind: choice, of: [open, won]}
  deal:      {kind: link, to: deal}
  company:   {kind: link, to: company}
  lines:
    kind: rows
    key: [product]
    fields:
      product:  {kind: link, to: product}
      quantity: {kind: number}
"""
MAPPING = """\
entity: order
connector: acme
resource: orders
fields:
  reference: {path: no}
  stage:
    parts: [pipe, step]
    table: {open: [[a, "1"], [a, "2"]], won: [[a, "3"]]}
  deal:    {link: {path: what, type: kind, is: Deal}}
  company: {link: {path: what, type: kind, is: [Firm, Branch], write_type: true}}
  lines:
    rows:
      path: items
      id: key
      fields:
        product:  {link: {path: product.id}}
        quantity: count
tests:
  - vendor: {pipe: a, step: 2, what: "7", kind: Branch, items: [{key: 1, product: {id: p1}, count: "2"}]}
    hub: {stage: open, deal: null, company: "7", lines: [{product: p1, quantity: 2}]}
"""


def read(folder: Path, entity: str = ENTITY, mapping: str = MAPPING) -> Vocabulary:
    words, found = told(folder, entity, mapping)
    assert not found
    return words


def told(folder: Path, entity: str, mapping: str) -> tuple[Vocabulary, list[str]]:
    (folder / "order").mkdir()
    (folder / "order/entity.yaml").write_text(entity)
    (folder / "order/acme.yaml").write_text(mapping)
    found = Diagnostics()
    words = load_words([folder], found)
    return words, [
        f"{Path(d.file).name}:{d.line}:{d.column}: {d.message}; {d.hint}" for d in found
    ]


def test_all_shapes_are_read_as_they_are_written(tmp_path):
    words = read(tmp_path)
    rules = words.dialects["order", "acme", "orders"].spec.rules
    assert rules["stage"].table == {"open": ("a / 1", "a / 2"), "won": ("a / 3",)}
    assert rules["deal"].link == LinkRule("what", type="kind", is_=("Deal",))
    assert rules["company"].link == LinkRule(
        "what", type="kind", is_=("Firm", "Branch"), write_type=True
    )
    inner = {
        "product": Rule("product", link=LinkRule("product.id")),
        "quantity": Rule("quantity", "count"),
    }
    assert rules["lines"].rows == RowsRule("items", inner, "key")
    entity, _ = words.entities["order"]
    assert entity.fields["lines"].key == ("product",)
    assert entity.links() == {
        "deal": "deal",
        "company": "company",
        "lines.product": "product",
    }
    spec = words.dialects["order", "acme", "orders"].spec
    assert compile_mapping(spec, entity, transforms()).want.rows == {
        "items": {"key", "product.id", "count"}
    }


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        (
            "key: [product]",
            "key: [prodct]",
            "entity.yaml:10:5",
            "did you mean 'product'",
        ),
        ("    key: [product]\n", "", "entity.yaml:8:3", "need `key:` and `fields:`"),
        (
            "{kind: link, to: product}",
            "{kind: link}",
            "entity.yaml:12:7",
            "needs `to:`",
        ),
        ("{kind: number}", "{kind: rows}", "entity.yaml:13:7", "no rows of their own"),
        ("{kind: number}", "{kind: nmber}", "entity.yaml:13:", "quantity.kind"),
        ("[[reference]]", "[[lines]]", "entity.yaml:2:", "identify nothing"),
        (
            "{kind: text}",
            "{kind: text, key: [a]}",
            "entity.yaml:4:3",
            "kind rows, not text",
        ),
    ],
)
def test_a_mistake_in_an_entity_is_told_at_its_place(tmp_path, old, new, where, said):
    assert old in ENTITY
    _, found = told(tmp_path, ENTITY.replace(old, new, 1), MAPPING)
    assert any(f.startswith(where) and said in f for f in found), found


@pytest.mark.parametrize(
    ("old", "new", "where", "said"),
    [
        ("quantity: count", "qantity: count", "acme.yaml:17:9", "'qantity'"),
        (
            "quantity: count",
            "quantity: {path: n, vai: [trim]}",
            "acme.yaml:17:",
            "'vai'",
        ),
        ("quantity: count", "quantity: 5", "acme.yaml:17:", "list of keys"),
        (
            "quantity: count",
            "quantity: {path: n, via: [trimm]}",
            "acme.yaml:17:35",
            "'trim'",
        ),
        (
            "        product:  {link: {path: product.id}}\n",
            "",
            "acme.yaml:16:9",
            "told apart by 'product'",
        ),
        ("      path: items\n", "", "acme.yaml:13:", "'path' is missing"),
        (
            "parts: [pipe, step]",
            "parts: [pipe]",
            "acme.yaml:7:12",
            "one part is a path",
        ),
        ('[a, "3"]', '[a, "3", b]', "acme.yaml:8:", "must list 2 words"),
        ("is: Deal", "is: Firm", "acme.yaml:10:", "both of one type"),
        (", is: Deal", "", "acme.yaml:9:", "type and is go together"),
    ],
)
def test_a_mistake_in_a_mapping_is_told_at_its_place(tmp_path, old, new, where, said):
    assert old in MAPPING
    _, found = told(tmp_path, ENTITY, MAPPING.replace(old, new, 1))
    assert any(f.startswith(where) and said in f for f in found), found


@pytest.mark.parametrize(("name", "text"), [("entity", ENTITY), ("mapping", MAPPING)])
def test_editors_take_it_too(tmp_path, name, text):
    (tmp_path / "f.yaml").write_text(text)
    schema = SCHEMAS[name].model_json_schema()
    Draft202012Validator(schema).validate(load(tmp_path / "f.yaml", "f").data)
