"""``init``, ``connect``, ``prepare``, ``doctor``, ``connectors``: a project begins."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector_hub.cli.app import cli
from connector_hub.errors import AuthError

FILES = """\
connections:
  export: {connector: hubspot, token: "TOKEN"}
"""


def run(*words: str, **more) -> Result:
    return CliRunner().invoke(cli, list(words), **more)


def project(folder: Path, text: str) -> str:
    (folder / "hub.yaml").write_text(text)
    return str(folder)


def test_init_makes_a_project_that_check_finds_well(tmp_path):
    home = tmp_path / "new"
    result = run("init", str(home))
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE((home / "hub.key").stat().st_mode) == 0o600
    assert (home / ".gitignore").read_text() == "hub.key*\nhub.db*\n"
    assert (home / "mappings").is_dir()
    schema = home / ".connector-hub/schemas/hub.schema.json"
    assert json.loads(schema.read_text())["title"] == "ProjectModel"
    assert run("--project", str(home), "check").exit_code == 0


def test_the_example_of_init_is_a_good_project(tmp_path, monkeypatch):
    run("init", str(tmp_path))
    text = (tmp_path / "hub.yaml").read_text()
    head, _, example = text.partition("#\n# connections:")
    lines = ("connections:" + example).splitlines()
    kept = head.replace("connections: {}\njobs: {}\n", "")
    example = "\n".join(x.removeprefix("# ").removeprefix("#") for x in lines)
    (tmp_path / "hub.yaml").write_text(kept + "\n" + example + "\n")
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", "an-id")
    result = run("--project", str(tmp_path), "check", "--offline")
    assert result.exit_code == 0, result.output
    assert "2 jobs" in result.stdout


def test_init_overwrites_nothing(tmp_path):
    run("init", str(tmp_path))
    (tmp_path / "hub.yaml").write_text("mine: too\n")
    (tmp_path / ".gitignore").write_text("mine\n")
    key = (tmp_path / "hub.key").read_text()
    assert "kept  hub.yaml" in run("init", str(tmp_path)).stdout
    assert (tmp_path / "hub.yaml").read_text() == "mine: too\n"
    assert (tmp_path / "hub.key").read_text() == key
    assert (tmp_path / ".gitignore").read_text() == "mine\nhub.key*\nhub.db*\n"


def test_init_makes_no_second_key_for_a_state(tmp_path):
    (tmp_path / "hub.db").write_text("a state")
    result = run("init", str(tmp_path))
    assert result.exit_code == 2
    assert "its key hub.key is not" in result.stderr
    assert not (tmp_path / "hub.key").exists()


def test_connectors_are_listed_without_a_project():
    document = json.loads(run("connectors", "--json").stdout)
    assert {"hubspot", "salesforce"} <= {c["name"] for c in document["connectors"]}


def test_a_secret_is_tested_before_it_is_stored(line, on_a_terminal):
    on_a_terminal()
    line.hub.config = {"token": "file:sales.token"}
    line.hub.answers["sales"] = AuthError("the token is not accepted")
    assert line("connect", "sales", typed="wrong-one\n").exit_code == 4
    assert line.hub.stored == {}
    line.hub.answers.clear()
    result = line("connect", "sales", typed="s3cret\n")
    assert result.exit_code == 0, result.output
    assert line.hub.stored == {"file:sales.token": "s3cret"}
    assert line.hub.asked[-1][1]["secrets"] == {"file:sales.token": "s3cret"}
    assert "s3cret" not in result.output
    assert "account 4711 (Acme)" in result.stdout


def test_a_secret_can_be_piped_in(line):
    line.hub.config = {"token": "keyring:sales", "other": "keyring:more"}
    assert line("connect", "sales", "--stdin", typed="one\ntwo\n").exit_code == 0
    assert line.hub.stored == {"keyring:sales": "one", "keyring:more": "two"}


def test_a_secret_of_the_environment_is_not_asked_for(line):
    line.hub.config = {"token": "env:SALES_TOKEN"}
    result = line("connect", "sales")
    assert result.exit_code == 0
    assert "SALES_TOKEN" in result.stderr
    assert line.hub.stored == {}


def test_where_nobody_can_be_asked_the_flag_is_named(line, on_a_terminal):
    line.hub.config = {"token": "keyring:sales"}
    line.hub.lacking = ["Contact: text field, unique"]
    for words, flag in ((("connect", "sales"), "--stdin"), (("prepare", "b"), "--yes")):
        result = line(*words)
        assert result.exit_code == 2
        assert flag in result.stderr
    on_a_terminal()
    assert line("prepare", "b", "--no-input").exit_code == 2
    assert not any(asked.get("make") for _, asked in line.hub.asked)


@pytest.mark.parametrize(("typed", "made"), [("y\n", True), ("n\n", False)])
def test_prepare_shows_asks_and_makes(line, on_a_terminal, typed, made):
    on_a_terminal()
    line.hub.lacking = ["Contact: text field, unique"]
    result = line("prepare", "billing", typed=typed)
    assert "+ Contact: text field, unique" in result.stdout
    assert any(asked["make"] for _, asked in line.hub.asked) is made


def test_prepare_makes_without_asking_on_a_yes(line):
    line.hub.lacking = ["Contact: text field, unique"]
    assert line.document("prepare", "billing", "--yes")["made"] is True
    line.hub.lacking = []
    assert line.document("prepare", "billing")["made"] is False


def test_the_doctor_names_every_mistake_and_its_remedy(tmp_path):
    folder = project(tmp_path, "conections: {}\n")
    result = run("doctor", "--project", folder)
    assert result.exit_code == 1
    assert "hub.yaml:1:1" in result.stdout
    assert "fix:" in result.stdout


def test_the_doctor_names_a_missing_secret(tmp_path):
    folder = project(tmp_path, FILES.replace("TOKEN", "env:NOT_SET_AT_ALL"))
    result = run("doctor", "--project", folder, "--json")
    document = json.loads(result.stdout)
    errors = [c for c in document["checks"] if c["state"] == "error"]
    assert result.exit_code == 1
    assert any("NOT_SET_AT_ALL" in c["what"] for c in errors)
    assert document["errors"] == len(errors)
    assert not (tmp_path / "hub.db").exists()


def test_the_doctor_says_what_stands_in_for_a_missing_keyring(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    result = run("doctor", "--project", project(tmp_path, "connections: {}\n"))
    assert result.exit_code == 0, result.output
    assert "warn  keyring" in result.stdout
    assert "use env:NAME or file:PATH" in result.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("connections: {}\nnonsense: 1\n", "nonsense"),
        (FILES.replace("TOKEN", "pat-123-456"), "only a reference may stand"),
        ("connections: {a: {connector: ${NOT_SET_AT_ALL}}}\n", "NOT_SET_AT_ALL"),
        ("connections: {a: {connector: hubspoot}}\n", "did you mean 'hubspot'?"),
    ],
    ids=["unknown key", "literal secret", "missing variable", "unknown connector"],
)
def test_a_mistake_in_hub_yaml_is_told_at_its_place(tmp_path, text, said):
    result = run("check", "--offline", "--project", project(tmp_path, text))
    assert result.exit_code == 2
    assert said in result.stderr
    assert "hub.yaml:" in result.stderr
    assert "pat-123-456" not in result.output


def test_no_project_is_told_with_the_way_to_one(tmp_path):
    result = run("plan", "--project", str(tmp_path))
    assert result.exit_code == 2
    assert "connector-hub init" in result.stderr


def test_a_connection_that_is_not_there_gets_the_nearest(tmp_path):
    folder = project(tmp_path, FILES.replace("TOKEN", "env:X"))
    result = run("describe", "exprot", "contacts", "--project", folder)
    assert result.exit_code == 2
    assert "did you mean 'export'?" in result.stderr
