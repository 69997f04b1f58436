"""The documents say what is so: commands, exit codes, links between pages."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from connector_hub import errors
from connector_hub.cli.app import cli

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/**/*.md")),
]
_CODE_TEXT = re.compile(r"^ *```.*?^ *```|`[^`\n]+`", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"connector-hub ([a-z][a-z-]*(?: [a-z][a-z-]*)?)")
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_EXIT_CODE = re.compile(r"^\| ([\d, ]+) \|", re.MULTILINE)


def named(page: Path) -> set[str]:
    code = "\n".join(_CODE_TEXT.findall(page.read_text()))
    return set(_COMMAND.findall(code))


def exists(words: str) -> bool:
    """Whether the first word is a command, and the second one of its commands."""
    command: click.Command | None = cli
    context = click.Context(cli)
    for word in words.split():
        if not isinstance(command, click.Group):
            return True
        command = command.get_command(context, word)
        if command is None:
            return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_a_page_names_exists(page: Path) -> None:
    assert [words for words in sorted(named(page)) if not exists(words)] == []


def command_of(line: str) -> click.Command:
    """The command that a line of the shell runs."""
    command: click.Command = cli
    for word in line.split()[1:]:
        found = (
            command.get_command(click.Context(command), word)
            if isinstance(command, click.Group)
            else None
        )
        if found is None:
            return command
        command = found
    return command


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_option_a_page_names_is_one_of_its_command(page: Path) -> None:
    code = "\n".join(_CODE_TEXT.findall(page.read_text()))
    everywhere = {o for p in cli.params for o in p.opts}
    unknown = []
    for line in re.findall(r"connector-hub [a-z][^`\n#]*", code):
        known = everywhere | {o for p in command_of(line).params for o in p.opts}
        unknown += [o for o in re.findall(r" (--[a-z-]+)", line) if o not in known]
    assert unknown == []


def test_a_command_that_does_not_exist_is_seen() -> None:
    assert not exists("snyc")
    assert not exists("dead-letters rply")


@pytest.mark.parametrize("page", ["README.md", "docs/reference/exit-codes.md"])
def test_every_exit_code_is_told(page: str) -> None:
    classes = [e for e in vars(errors).values() if isinstance(e, type)]
    codes = {e.exit_code for e in classes if issubclass(e, errors.HubError)}
    told = {
        int(n)
        for row in _EXIT_CODE.findall((ROOT / page).read_text())
        for n in row.split(",")
    }
    assert codes | {0, 3, 10, 130, 143} == told


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_decision_is_in_the_list() -> None:
    listed = (ROOT / "docs/adr/README.md").read_text()
    pages = [p.name for p in (ROOT / "docs/adr").glob("[0-9]*.md")]
    assert pages
    assert [name for name in pages if name not in listed] == []


_HELD_BY = re.compile(r"\[(test_\w+)\]\(([^)]+\.py)\)")


def test_each_promise_is_held_by_a_test_that_is_there() -> None:
    page = ROOT / "docs/explanation/guarantees.md"
    promises = [x for x in page.read_text().splitlines() if "(../../tests" in x]
    assert promises
    for line in promises:
        for name, path in _HELD_BY.findall(line):
            assert f"def {name}(" in (page.parent / path).read_text(), name
        assert len(_HELD_BY.findall(line)) == line.count("](")


def test_every_row_of_promises_names_its_test() -> None:
    text = (ROOT / "docs/explanation/guarantees.md").read_text()
    tables = text.split("| promise | held by |")[1:]
    rows = [r for t in tables for r in t.split("\n\n")[0].splitlines()[2:]]
    assert rows
    assert [r for r in rows if "](../../tests" not in r] == []
