"""A folder of files as a connection, through the whole hub."""

from __future__ import annotations

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_hub import open_hub
from connector_hub.errors import ConfigError
from connector_hub_files.table import Table

HUB = """
connections:
  here: {connector: files, folder: here}
  there: {connector: files, folder: there}
jobs:
  people:
    entity: contact
    left: {connection: here, resource: contacts}
    right: {connection: there, resource: contacts}
    direction: left-to-right
"""
HEADER = "id,email,given_name,family_name,phone,title,city,country,stage\n"


@pytest.fixture
def project(tmp_path):
    (tmp_path / "hub.yaml").write_text(HUB)
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "contacts.csv").write_text(HEADER)
    return tmp_path


def fill(project, *rows):
    text = HEADER + "".join(r + "\n" for r in rows)
    (project / "here" / "contacts.csv").write_text(text)


def there(project):
    with (project / "there" / "contacts.csv").open(newline="") as source:
        return list(csv.DictReader(source))


async def test_rows_are_copied_once_and_a_second_run_writes_nothing(project):
    fill(
        project,
        "1,A@x.org,Ada,Lovelace,,,,,lead",
        '2,b@x.org,Bo,"O\'Brien, Jr",0812-000-111,,,,',
    )
    async with open_hub(project, environ={}) as hub:
        first = await hub.sync("people")
        second = await hub.sync("people")
    assert (first.created, first.status) == (2, "done")
    assert second.writes == {"there": 0}
    assert [r["email"] for r in there(project)] == ["a@x.org", "b@x.org"]
    assert there(project)[1]["family_name"] == "O'Brien, Jr"
    assert all(r["connector_hub_id"] for r in there(project))


async def test_an_edit_changes_one_cell(project):
    fill(project, "1,a@x.org,Ada,Lovelace,,,,,")
    async with open_hub(project, environ={}) as hub:
        await hub.sync("people")
        fill(project, "1,a@x.org,Ada,Byron,,,,,")
        receipt = await hub.sync("people")
    assert receipt.updated == 1
    assert there(project)[0]["family_name"] == "Byron"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id,email\n1,a@x.org\n1,b@x.org\n", "csv:3: id is there twice"),
        ("id,email\n1\n", "csv:2: 1 values"),
        ("email\na@x.org\n", "csv:1: there is no column 'id'"),
        ('id,email\n1,"a@x.org\n', "contacts.csv:2"),
    ],
)
async def test_a_broken_file_is_told_by_its_line_and_stays_as_it_is(
    project, text, says
):
    path = project / "here" / "contacts.csv"
    path.write_text(text)
    async with open_hub(project, environ={}) as hub:
        with pytest.raises(ConfigError, match=says):
            await hub.sync("people")
    assert path.read_text() == text
    assert there(project) == []


def test_a_torn_last_line_of_json_is_told(tmp_path):
    path = tmp_path / "contacts.jsonl"
    path.write_text('{"id": "1"}\n{"id": "2", "em')
    with pytest.raises(ConfigError, match="jsonl:2"):
        list(Table(path, "id").rows())


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "contacts.csv"
    path.write_text("id,email\n1,a@x.org\n")

    def fail():
        with Table(path, "id").changing() as rows:
            rows["1"]["email"] = "b@x.org"
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "id,email\n1,a@x.org\n"


TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40
)


@given(values=st.lists(TEXT, max_size=6))
@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_strange_text_survives(tmp_path_factory, name, values):
    path = tmp_path_factory.mktemp("files") / name
    path.write_text("id,v\n" if name.endswith("csv") else "")
    table = Table(path, "id")
    with table.changing() as rows:
        for i, value in enumerate(values):
            rows[str(i)] = {"id": str(i), "v": value}
    assert [r["v"] for r in table.rows()] == values
