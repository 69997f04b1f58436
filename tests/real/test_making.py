"""What the clients are installed from, and what the documents say of them."""

from __future__ import annotations

import json
import re

import pytest

from tests.real.making import HERE, Environment, NotMade, environments

PAGE = HERE.parent.parent / "docs" / "reference" / "independent-clients.md"
_ROW = re.compile(r"^\| \[([^\]]+)\]\([^)]*\) \| ([\d.]+) \|", re.MULTILINE)


def pins(environment: Environment) -> dict[str, str]:
    """What an environment's lists pin, by name."""
    if not environment.node:
        lines = environment.pins[0].read_text().splitlines()
        pinned = (x.partition("==") for x in lines if x and x[0] != "#")
        return {name.replace("_", "-"): version for name, _, version in pinned}
    found: dict[str, str] = json.loads(environment.pins[0].read_text())["dependencies"]
    return found


@pytest.mark.parametrize("name", environments())
def test_every_pin_is_exact_and_names_no_address(name):
    environment = environments()[name]
    assert all(re.match(r"\d[\w.]*\Z", v) for v in pins(environment).values())
    for at in environment.pins:
        assert "resolved" not in at.read_text()


def test_the_page_names_each_client_with_the_version_that_is_tested():
    every = {k: v for e in environments().values() for k, v in pins(e).items()}
    told = dict(_ROW.findall(PAGE.read_text()))
    assert told == {name: every.get(name) for name in told}
    tested = {e.name for e in environments().values() if not e.node}
    assert set(told) == tested | set(pins(environments()["node"]))


def test_a_client_that_needs_another_python_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.real.making.KEPT", tmp_path)
    pin = tmp_path / "requirements.txt"
    pin.write_text("# python 3.2 - 3.3\n")
    with pytest.raises(NotMade, match=r"needs Python 3\.2 to 3\.3"):
        Environment("old", (pin,)).make()


def test_what_the_installer_complains_of_is_told_and_nothing_counts_as_made(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("tests.real.making.KEPT", tmp_path)
    pin = tmp_path / "requirements.txt"
    pin.write_text("./not-there\n")
    environment = Environment("broken", (pin,))
    with pytest.raises(NotMade, match="not-there"):
        environment.make()
    assert not environment.made
