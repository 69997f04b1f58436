"""A record behind a dead letter is mended at its source: what is refused before anything is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connector_hub.errors import (
    ConfigError,
    Exists,
    InDoubt,
    Missing,
    PluginError,
    VendorError,
)
from connector_hub.sdk import Can
from connector_hub.sync import mending

from .conftest import Project
from .vendor import Memory


async def refused(project: Project) -> str:
    """A person whom the right side refuses."""
    project.right.required = ("name",)
    record = project.left.person(email="a@x.org", name=None, note="n")
    await project.sync()
    return record


async def test_the_source_is_edited_and_no_base_moves(project):
    record = await refused(project)
    (letter,) = project.store.letters("people")
    left = await mending.mend(project.run(), letter, {"name": "A", "note": ""})
    assert left == ()
    assert project.left.rows[record] == {"email": "a@x.org", "name": "A", "note": None}
    assert project.right.rows == {}
    run = await project.sync()
    assert run.tally.outcomes == {"created": 1}
    assert project.store.letters("people") == []


async def test_what_the_vendor_makes_of_it_is_told(project):
    await refused(project)
    (letter,) = project.store.letters("people")
    project.left.shortens = 2
    assert await mending.mend(project.run(), letter, {"name": "Anna"}) == ("name",)


async def test_where_the_hub_may_not_write_nothing_is(project):
    await refused(project)
    (letter,) = project.store.letters("people")
    run = project.run()
    only_read = replace(run.left.resource, can=Can.READ)
    run.left = replace(run.left, resource=only_read)
    with pytest.raises(ConfigError, match="cannot write there"):
        await mending.mend(run, letter, {"name": "A"})
    assert project.left.writes == 0


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        (Exists("secret", there="x"), VendorError, "another record has that"),
        (Missing("secret"), VendorError, "moved, or is gone"),
        (None, PluginError, "sales a1"),
    ],
)
async def test_why_an_edit_was_not_made(project, monkeypatch, outcome, error, said):
    await refused(project)
    (letter,) = project.store.letters("people")
    monkeypatch.setattr(Memory, "_write", lambda _self, _write: outcome)
    with pytest.raises(error) as e:
        await mending.mend(project.run(), letter, {"name": "A"})
    assert said in str(e.value)
    assert "secret" not in str(e.value)


async def test_an_edit_without_an_answer_is_looked_up(project):
    record = await refused(project)
    (letter,) = project.store.letters("people")
    project.left.weather = [None, ("lost", InDoubt())]
    assert await mending.mend(project.run(), letter, {"name": "A"}) == ()
    assert project.left.rows[record]["name"] == "A"


async def test_a_word_that_nobody_there_has_is_not_written(project, monkeypatch):
    await refused(project)
    (letter,) = project.store.letters("people")
    run = project.run()
    spoke = run.left.place(run.left.at(letter.record)[0]).spoke
    monkeypatch.setattr(type(spoke), "can_say", lambda _spoke, _name, _value: False)
    before = project.left.writes
    with pytest.raises(ConfigError, match="has nothing like that for name"):
        await mending.mend(run, letter, {"name": "A"})
    assert project.left.writes == before
