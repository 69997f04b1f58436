"""``dead-letters edit``: the record is mended where its values came from, then replayed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector_hub.cli.app import cli
from connector_hub.cli.session import Session
from connector_hub.testing.sandbox import Fault


class Story:
    """A person whom Salesforce refuses, because he has one name only."""

    def __init__(self, opened: Any, vendors: Any) -> None:
        self.opened, self.vendors = opened, vendors
        self.record = vendors["sales"].live("contacts")[0]["id"]
        self.edit(lastname="")
        asyncio.run(self._begin())

    def edit(self, **properties: str) -> None:
        """A person edits the contact."""
        row = {"id": self.record, "properties": properties}
        self.vendors["sales"].edit("contacts", row)
        self.vendors["sales"].clock.advance(5)

    async def _begin(self) -> None:
        async with self.opened() as hub:
            await hub.sync("companies")
            await hub.sync("contacts")
            (self.letter,) = hub.dead_letters()

    def __call__(self, *words: str) -> Result:
        session = Session(opener=lambda _project, _profile: self.opened())
        return CliRunner().invoke(cli, list(words), obj=session)

    def mend(self, *values: str, json: bool = False) -> Result:
        flags = ("--json",) if json else ()
        return self("dead-letters", "edit", str(self.letter.id), *values, *flags)

    @property
    def there(self) -> dict[str, Any]:
        rows = self.vendors["sales"].live("contacts")
        found: dict[str, Any] = next(r for r in rows if r["id"] == self.record)
        return found["properties"]


@pytest.fixture
def people() -> int:
    return 3


@pytest.fixture
def story(opened, vendors) -> Story:
    return Story(opened, vendors)


def test_a_letter_is_mended_at_the_source_and_replayed(story, vendors):
    before = story.there
    done = story.mend("family_name=Suardana", "phone=0812-3456-7890", json=True)
    told = json.loads(done.stdout)
    assert (told["connection"], told["record"]) == ("sales", story.record)
    assert (told["fields"], told["not_taken"]) == (["family_name", "phone"], [])
    assert story.there["lastname"] == "Suardana"
    runs = json.loads(story("runs", "--json").stdout)["runs"]
    assert (runs[0]["kind"], runs[0]["document"]["updated"]) == ("edit", 1)
    assert len(vendors["billing"].live("Contact")) == 2
    sent = json.loads(
        story("dead-letters", "replay", str(story.letter.id), "--json").stdout
    )
    assert sent["created"] == 1
    assert sent["open"]["dead_letters"] == 0
    made = {r["LastName"]: r for r in vendors["billing"].live("Contact")}["Suardana"]
    assert made["Phone"] == "+6281234567890"
    why = story("why", "contact", story.record, "family_name", "--values").stdout
    assert f"edited by a person, dead letter {story.letter.id}" in why
    assert "sales, set to" in why
    plan = json.loads(story("undo", str(told["run"]), "--json").stdout)
    assert (plan["update"], plan["kept"]) == (1, 0)
    assert story("apply", plan["plan"]).exit_code == 0
    assert story.there["phone"] == before["phone"]
    assert not story.there["lastname"]
    quiet = json.loads(story("sync", "contacts", "--full", "--json").stdout)
    assert quiet["writes"] == {"billing": 0}


def test_undoing_an_edit_that_was_not_sent_brings_the_letter_back_as_it_was(story):
    told = json.loads(story.mend("family_name=Suardana", json=True).stdout)
    plan = json.loads(story("undo", str(told["run"]), "--json").stdout)
    story("apply", plan["plan"])
    again = json.loads(story("sync", "contacts", "--json").stdout)
    assert (again["dead_letters"], again["writes"]) == (1, {"billing": 0})
    assert again["open"]["dead_letters"] == 1


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("famly_name=X",), "did you mean 'family_name'"),
        (("phone=secret",), "that is no phone, which phone is"),
        (("stage=secret",), "that is no word of stage"),
        (("company=1",), "company is a link"),
        (("family_name",), "write FIELD=VALUE"),
        (("title=a", "title=b"), "each field once"),
    ],
)
def test_a_wrong_value_is_told_and_nothing_is_written(story, values, said):
    before = story.there
    result = story.mend(*values)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "secret" not in result.output
    assert story.there == before


def test_a_record_that_changed_since_is_replayed_rather_than_overwritten(story):
    story.edit(lastname="Wayan")
    result = story.mend("family_name=Suardana")
    assert result.exit_code == 2
    assert f"dead-letters replay {story.letter.id}" in result.stderr
    assert story.there["lastname"] == "Wayan"


def test_a_record_that_is_gone_is_told(story, vendors):
    vendors["sales"].edit("contacts", {"id": story.record, "archived": True})
    result = story.mend("family_name=Suardana")
    assert (result.exit_code, "not there any more" in result.stderr) == (2, True)
    assert story("dead-letters", "edit", "99", "title=x").exit_code == 2


def test_what_the_source_refuses_is_told_without_its_words(story, vendors):
    body = {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": "secret is too long",
    }
    vendors["sales"].faults.append(Fault("batch/update", status=400, body=body))
    result = story.mend("family_name=Suardana")
    assert result.exit_code == 1
    assert "was not edited: refused VALIDATION_ERROR" in result.stderr
    assert "secret" not in result.output


def test_where_the_mapping_only_reads_the_vendor_is_named(story, tmp_path):
    folder = tmp_path / "mappings" / "contact"
    folder.mkdir(parents=True)
    (folder / "hubspot.yaml").write_text(
        "entity: contact\nconnector: hubspot\nresource: contacts\nextends: shipped\n"
        "fields:\n  title: {path: properties.jobtitle, one_way: true}\n"
    )
    result = story.mend("title=Chief")
    assert result.exit_code == 2
    assert "its mapping only reads title" in result.stderr
    assert "mend it at sales, then replay" in result.stderr
