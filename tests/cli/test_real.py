"""The commands on real sandboxes over HTTP: what a person does on the first day."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector_hub.adapters.locks import job_lock
from connector_hub.cli.app import cli

HUB = Path(sys.executable).parent / "connector-hub"
PROJECT = """\
connections:
  sales: {{connector: hubspot, base_url: "{sales}", token: env:HUBSPOT_TOKEN}}
  billing:
    connector: salesforce
    base_url: "{billing}"
    client_id: "{client}"
    client_secret: env:SALESFORCE_CLIENT_SECRET
jobs:
  contacts:
    entity: contact
    left: {{connection: sales, resource: contacts}}
    right: {{connection: billing, resource: Contact}}
    direction: left-to-right
  companies:
    entity: company
    left: {{connection: sales, resource: companies}}
    right: {{connection: billing, resource: Account}}
    direction: left-to-right
"""


class Served:
    """A sandbox in a process of its own."""

    def __init__(self, name: str, *words: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own
            [HUB, "sandbox", name, "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready = json.loads(self.process.stdout.readline())

    def end(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def vendors() -> Iterator[tuple[Any, Any]]:
    sales = Served("hubspot", "--records", "35", "--seed", "3")
    billing = Served("salesforce", "--unprepared")
    try:
        yield sales.ready, billing.ready
    finally:
        ends = [sales.end(), billing.end()]
    assert ends == [(0, "", "")] * 2, "a sandbox says nothing more and ends cleanly"


@pytest.fixture
def run(vendors, tmp_path, monkeypatch) -> Any:
    """A new project on the two sandboxes, and a command line in it."""
    sales, billing = vendors
    for name, value in {**sales["env"], **billing["env"]}.items():
        monkeypatch.setenv(name, value)
    text = PROJECT.format(
        sales=sales["url"],
        billing=billing["url"],
        client=billing["connection"]["client_id"],
    )
    (tmp_path / "hub.yaml").write_text(text)

    def command(*words: str) -> Result:
        return CliRunner().invoke(cli, ["--project", str(tmp_path), *words])

    command.folder = tmp_path  # type: ignore[attr-defined]
    return command


def document(result: Result) -> Any:
    return json.loads(result.stdout)


def test_the_first_day(run):
    assert "account" in run("check").stdout
    described = document(run("describe", "sales", "contacts", "--json"))
    assert any(f["path"] == "properties.email" for f in described["fields"])
    assert len(document(run("prepare", "billing", "--yes", "--json"))["lacking"]) == 2
    assert document(run("prepare", "billing", "--json"))["lacking"] == []

    planned = document(run("plan", "--json"))["jobs"]
    assert [(p["job"], p["create"]) for p in planned] == [
        ("companies", 5),
        ("contacts", 35),
    ]
    applied = run("apply", planned[0]["plan"], "--json")
    assert (applied.exit_code, document(applied)["created"]) == (0, 5)
    again = run("apply", planned[0]["plan"])
    assert again.exit_code == 6
    assert "was applied" in again.stderr

    synced = run("sync", "--json")
    jobs = document(synced)["jobs"]
    assert synced.exit_code == 0, synced.output
    assert [j["created"] for j in jobs] == [0, 35]
    assert run("plan", "--detailed-exitcode").exit_code == 0
    kinds = [r["kind"] for r in document(run("runs", "--json"))["runs"]]
    assert kinds[0] == "plan"
    assert "sync" in kinds
    assert run("doctor").exit_code == 0


def test_a_job_that_runs_elsewhere_is_refused(run):
    run("plan", "companies")
    with job_lock(run.folder / "hub.db", "companies"):
        result = run("sync", "companies", "--json")
    assert result.exit_code == 6
    assert document(result)["status"] == "refused"
    assert document(result)["error"]["code"] == "Locked"


def test_a_state_without_its_key_is_told(run):
    run("plan", "companies")
    (run.folder / "hub.key").unlink()
    result = run("sync")
    assert result.exit_code == 2
    assert "its key hub.key is not" in result.stderr


def test_a_wrong_token_names_the_connection(run, monkeypatch):
    monkeypatch.setenv("HUBSPOT_TOKEN", "pat-wrong")
    result = run("plan", "companies")
    assert result.exit_code == 4
    assert "sales" in result.stderr
    assert "pat-wrong" not in result.output
    assert run("doctor").exit_code == 1


def test_a_missing_variable_of_a_secret_is_told(run, monkeypatch):
    monkeypatch.delenv("HUBSPOT_TOKEN")
    result = run("sync", "companies")
    assert result.exit_code == 2
    assert "HUBSPOT_TOKEN" in result.stderr


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = CliRunner().invoke(
            cli, ["sandbox", "hubspot", "--port", str(taken.getsockname()[1])]
        )
    assert result.exit_code == 2
    assert "--port" in result.stderr
    assert not result.stdout


def test_a_sandbox_that_does_not_exist_gets_the_nearest():
    result = CliRunner().invoke(cli, ["sandbox", "hubspto"])
    assert result.exit_code == 2
    assert "did you mean 'hubspot'?" in result.stderr


def test_who_is_whom_goes_out_into_a_file_and_comes_back(run):
    run("prepare", "billing", "--yes")
    file = run.folder / "match.csv"
    told = document(run("match", "contacts", "--csv", str(file), "--json"))["match"]
    lines = file.read_text().splitlines()
    assert lines[0] == "kind,left,right,who"
    assert sum(told.values()) == told["linked"] + len(lines) - 1
    assert file.stat().st_mode & 0o077 == 0
    assert run("sync").exit_code == 0
    out = run("links", "export", "contacts", str(file))
    assert out.exit_code == 0
    pairs = document(run("links", "show", "contacts", "--json"))["links"]
    assert len(pairs) == 35
    record = pairs[0]["left"]
    shown = run("links", "show", "contacts", "--record", record)
    assert shown.stdout == f"{record} = {pairs[0]['right']}\n"
    traced = document(run("links", "trace", "contacts", record, "--json"))["records"]
    assert {(k["connection"], k["record"]) for k in traced} == {
        ("sales", record),
        ("billing", pairs[0]["right"]),
    }
    assert run("links", "trace", "contacts", "nobody").exit_code == 2
    again = document(run("links", "import", "contacts", str(file), "--json"))
    assert again == {"job": "contacts", "linked": 0}
    file.write_text(f"left,right\n{record},nobody\n")
    wrong = run("match", "contacts", "--take", str(file))
    assert wrong.exit_code == 2
    assert "line 2: billing has no record nobody" in wrong.stderr
    file.write_text("a,b\n1,2\n")
    assert (
        "no columns left and right"
        in run("links", "import", "contacts", str(file)).stderr
    )


def test_links_are_undone_by_naming_both_records(run):
    run("prepare", "billing", "--yes")
    assert run("sync").exit_code == 0
    pair = document(run("links", "show", "contacts", "--json"))["links"][0]
    ids = (pair["left"], pair["right"])
    undone = document(run("links", "unlink", "contacts", *ids, "--json"))
    assert undone == {"job": "contacts", "unlinked": list(ids)}
    again = run("links", "unlink", "contacts", *ids)
    assert again.exit_code == 2
    assert "are not linked in job contacts" in again.stderr


def test_a_conflict_is_resolved_by_naming_who_is_right(run):
    wrong = run("conflicts", "resolve", "99", "--take", "billing")
    assert wrong.exit_code == 2
    assert "no open conflict 99" in wrong.stderr
    none = run("conflicts", "resolve", "--take", "billing")
    assert none.exit_code == 2
    assert "--job JOB" in none.stderr
    every = run(
        "conflicts", "resolve", "--take", "billing", "--job", "contacts", "--json"
    )
    assert document(every) == {"resolved": []}
