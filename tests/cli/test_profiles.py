"""From staging to production: the same jobs, other accounts, nothing shared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connector_hub.cli.app import cli

PROJECT = """\
connections:
  crm: {connector: files, folder: crm}
  shop: {connector: files, folder: shop}
  crm-test: {connector: files, folder: crm-test}
  shop-test: {connector: files, folder: shop-test}
jobs:
  people:
    entity: contact
    left: {connection: crm, resource: contacts}
    right: {connection: shop, resource: contacts}
    direction: left-to-right
profiles:
  staging:
    state: sqlite:///staging.db
    key: file:staging.key
    connections: {crm: crm-test, shop: shop-test}
"""
HEAD = "id,email,given_name,family_name,phone,title,city,country,stage,company_id,connector_hub_id\n"

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "hub.yaml").write_text(PROJECT)
    for name, people in (
        ("crm", "ana"),
        ("crm-test", "test"),
        ("shop", ""),
        ("shop-test", ""),
    ):
        (tmp_path / name).mkdir()
        row = f"1,{people}@people.example,{people},X,,,,,,,\n" if people else ""
        (tmp_path / name / "contacts.csv").write_text(HEAD + row)

    def command(*words: str, **environ: str) -> Result:
        return CliRunner().invoke(
            cli, ["--project", str(tmp_path), *words], env=environ or None
        )

    command.folder = tmp_path  # type: ignore[attr-defined]
    return command


def there(run: Run, name: str) -> list[str]:
    """The e-mails that a shop holds."""
    text = (run.folder / name / "contacts.csv").read_text()  # type: ignore[attr-defined]
    return [line.split(",")[1] for line in text.splitlines()[1:]]


def test_what_was_tried_in_staging_is_done_in_production(run: Run) -> None:
    tried = run("plan", "people", "--profile", "staging", "--json")
    assert tried.exit_code == 0, tried.output
    assert json.loads(tried.stdout)["profile"] == "staging"
    assert tried.stderr.splitlines()[0] == "profile staging"
    synced = run("--profile", "staging", "sync")
    assert "people  done" in synced.stdout
    assert synced.stderr.splitlines()[0] == "profile staging"
    assert (there(run, "shop-test"), there(run, "shop")) == (
        ["test@people.example"],
        [],
    )
    folder = run.folder  # type: ignore[attr-defined]
    assert {p.name for p in folder.glob("*.db")} == {"staging.db"}
    assert {p.name for p in folder.glob("*.key")} == {"staging.key"}

    done = run("sync", "--json")
    assert done.exit_code == 0, done.output
    assert "profile" not in json.loads(done.stdout)
    assert "profile" not in done.stderr
    assert there(run, "shop") == ["ana@people.example"]
    assert there(run, "shop-test") == ["test@people.example"]
    runs = json.loads(run("runs", "--json").stdout)["runs"]
    assert [r["kind"] for r in runs] == ["sync"]


def test_a_variable_names_the_profile(run: Run) -> None:
    done = run("sync", "--json", CONNECTOR_HUB_PROFILE="staging")
    assert json.loads(done.stdout)["profile"] == "staging"
    assert there(run, "shop") == []
    wrong = run("sync", CONNECTOR_HUB_PROFILE="stagign")
    assert wrong.exit_code == 2
    assert (
        "there is no profile 'stagign', as CONNECTOR_HUB_PROFILE says" in wrong.stderr
    )
    assert "hub.yaml:12:1" in wrong.stderr


def test_other_profiles_accounts_are_left_alone(run: Run) -> None:
    folder = run.folder  # type: ignore[attr-defined]
    for name in ("crm-test", "shop-test"):
        (folder / name / "contacts.csv").unlink()
        (folder / name).rmdir()
    assert run("check").exit_code == 0
    assert run("doctor").exit_code == 0, run("doctor").output
    assert run("check", "--profile", "staging").exit_code == 2


def test_a_state_is_not_taken_for_other_accounts(run: Run) -> None:
    assert run("sync").exit_code == 0
    file = run.folder / "hub.yaml"  # type: ignore[attr-defined]
    file.write_text(
        PROJECT.replace("right: {connection: shop,", "right: {connection: shop-test,")
    )
    for words in (("plan", "people"), ("sync",)):
        refused = run(*words)
        assert refused.exit_code == 6
        assert "the right of job people belonged to account files:" in refused.stderr
        assert "a profile with a state of its own" in refused.stderr
    assert there(run, "shop-test") == []


def test_the_account_behind_a_connection_is_not_swapped(run: Run) -> None:
    assert run("sync").exit_code == 0
    file = run.folder / "hub.yaml"  # type: ignore[attr-defined]
    file.write_text(PROJECT.replace("folder: shop}", "folder: shop-test}"))
    refused = run("sync")
    assert refused.exit_code == 6
    assert "connection shop belonged to account files:" in refused.stderr
    assert there(run, "shop-test") == []


def test_a_pause_in_staging_is_none_in_production(run: Run) -> None:
    assert run("pause", "people", "--profile", "staging").exit_code == 0
    assert run("sync", "people", "--profile", "staging").exit_code == 6
    assert run("sync", "people").exit_code == 0
