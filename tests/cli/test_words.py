"""Flags, help, suggestions: how a command line is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "pydantic httpx rich asyncio orjson yaml sqlite3 cryptography keyring tenacity "
    "phonenumbers pluggy connector_hub.hub connector_hub.sdk connector_hub.adapters"
)
ENTRY = "import sys; from connector_hub.cli import main; main()"


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom connector_hub.cli import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try:\n    main()\nexcept SystemExit as e:\n    assert not e.code\n"
        f"heavy = set({HEAVY.split()!r}) & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "dead-letters" in done.stdout


@pytest.mark.parametrize(
    "words",
    [("--project", "p", "--profile", "dev", "plan"), ("plan", "--project", "p")],
)
def test_flags_are_accepted_before_and_after_the_command(line, words):
    assert line(*words).exit_code == 0
    assert line.opened[0][0] == Path("p")


def test_json_before_the_command_is_as_good_as_after_it(line):
    before, after = line("--json", "sync"), line("sync", "--json")
    assert before.stdout == after.stdout
    assert before.stdout.startswith('{"jobs"')


def test_a_list_command_takes_flags_at_every_level(line):
    for words in (
        ("--json", "conflicts", "list"),
        ("conflicts", "--json", "list"),
        ("conflicts", "list", "--json"),
    ):
        assert line(*words).stdout == '{"conflicts":[]}\n'


def test_a_misspelt_command_gets_the_nearest(line):
    result = line("snyc")
    assert result.exit_code == 2
    assert "did you mean 'sync'?" in result.stderr


def test_a_misspelt_sub_command_gets_the_nearest(line):
    assert "did you mean 'replay'?" in line("dead-letters", "reply").stderr


def test_a_misspelt_job_gets_the_nearest(line):
    result = line("plan", "peopel")
    assert result.exit_code == 2
    assert "did you mean 'people'?" in result.stderr


def test_a_wrong_kind_of_write_is_named(line):
    result = line("plan", "--only", "create,remove")
    assert result.exit_code == 2
    assert "'remove' is none of create, update, delete" in result.stderr


def test_only_and_limit_reach_the_hub(line):
    line("plan", "people", "--only", "create,delete", "--limit", "5", "--full")
    options = line.hub.asked[0][1]["options"]
    assert options.only == {"create", "archive"}
    assert (options.limit, options.full) == (5, True)


def test_a_usage_error_is_a_document_too(line):
    document = line.document("plan", "--nonsense")
    assert document["error"]["code"] == "UsageError"


def test_a_reader_that_goes_away_is_no_error():
    code = (
        "import sys\nfrom connector_hub.cli.app import cli\n"
        "from connector_hub.cli.session import Session\n"
        "Session.say = lambda self, text='', **k: print('x' * 100000)\n"
        "cli.main(['connectors'])\n"
    )
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 141


def test_version():
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", ENTRY, "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("connector-hub, version ")
