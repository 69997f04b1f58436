"""``doctor`` names what is configured and not running, and what else is not as it should be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.vault import Vault
from connector_hub.cli.app import cli
from connector_hub.model.standing import Standing

NOW = datetime.now(UTC)
PROJECT = """\
connections:
  crm: {connector: files, folder: crm}
  shop: {connector: files, folder: shop}
jobs:
  people:
    entity: contact
    left: {connection: crm, resource: contacts}
    right: {connection: shop, resource: contacts}
    direction: left-to-right
    every: 5m
notify:
  - webhook: {url: "http://127.0.0.1:9/T0/secret"}
"""
HEAD = "id,email,given_name,family_name,phone,title,city,country,stage,company_id,connector_hub_id\n"


class Bench:
    """A project with files on both sides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "hub.yaml").write_text(PROJECT)
        for name in ("crm", "shop"):
            (folder / name).mkdir()
            (folder / name / "contacts.csv").write_text(HEAD)

    def __call__(self, *words: str, **more: Any) -> Result:
        return CliRunner().invoke(cli, ["--project", str(self.folder), *words], **more)

    def found(self, *words: str, **more: Any) -> dict[str, str]:
        """What the doctor warns of, or complains about, with its remedy."""
        result = self("doctor", "--json", *words, **more)
        checks = json.loads(result.stdout)["checks"]
        return {c["what"]: c["fix"] for c in checks if c["state"] != "ok"}

    def change(self, work: Callable[[SqliteStore], object]) -> None:
        """The state, as another command would leave it."""
        vault = Vault(bytes.fromhex((self.folder / "hub.key").read_text()))
        store = SqliteStore(self.folder / "hub.db", vault)
        work(store)
        store.close()

    def aged(self, hours: float, status: str = "done") -> None:
        """The last run is so old."""
        at = (NOW - timedelta(hours=hours)).isoformat()
        self.change(
            lambda s: s._run("update run set started=?, status=?", (at, status))
        )


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return Bench(tmp_path)


def only(found: dict[str, str], word: str) -> tuple[str, str]:
    """The one finding that says a word."""
    (told,) = [(what, fix) for what, fix in found.items() if re.search(word, what)]
    return told


def test_a_job_that_nobody_runs_is_named(bench: Bench) -> None:
    what, fix = only(bench.found(), "job people")
    assert what == "job people is to run every 5m; it has never run"
    assert fix == "start `connector-hub run`, or take away its `every`"
    assert not (bench.folder / "hub.db").exists()
    assert bench("sync").exit_code == 0
    assert not [w for w in bench.found() if "job people" in w]
    bench.aged(3, "failed")
    what, _ = only(bench.found(), "job people")
    assert what.startswith("job people is to run every 5m; it last ran ")
    assert what.endswith(" ago (failed)")


def test_a_plan_is_no_run(bench: Bench) -> None:
    bench("plan")
    assert "it has never run" in only(bench.found(), "job people")[0]


@pytest.mark.parametrize("name", ["people", "shop"])
def test_what_is_paused_is_told_in_place_of_what_it_stops(
    bench: Bench, name: str
) -> None:
    bench("sync")
    bench.aged(3)
    bench("pause", name, "--reason", "stock taking")
    what, fix = only(bench.found(), "paused")
    assert f"{name} is paused by " in what
    assert what.endswith(": stock taking")
    assert fix == f"connector-hub resume {name}"
    assert not [w for w in bench.found() if "is to run" in w]


def test_a_connection_that_answers_again_is_no_longer_lost(bench: Bench) -> None:
    bench("sync")
    lost = Standing("connection", "shop", "reconnect", NOW)
    bench.change(lambda s: s.set_standing(lost))
    assert not [w for w in bench.found() if "reconnected" in w]
    bench.change(lambda s: s.set_standing(lost))
    (bench.folder / "shop" / "contacts.csv").unlink()
    (bench.folder / "shop").rmdir()
    assert only(bench.found(), "reconnected")[1] == "connector-hub connect shop"


def test_a_vendor_that_fails_is_named_and_nobody_is_asked_to_do_anything(
    bench: Bench,
) -> None:
    bench("sync")
    failing = Standing("connection", "shop", "failing", NOW)
    bench.change(lambda s: s.set_standing(failing))
    assert not [w for w in bench.found() if "fails" in w], "it has just answered"
    bench.change(lambda s: s.set_standing(failing))
    (bench.folder / "shop" / "contacts.csv").unlink()
    (bench.folder / "shop").rmdir()
    what, fix = only(bench.found(), "fails, since")
    assert what.startswith("the vendor of connection shop fails, since ")
    assert fix.startswith("wait:")
    bench.aged(3)
    assert [w for w in bench.found() if "is to run" in w], "that is no excuse"


def test_a_key_without_a_copy_is_named_until_a_copy_is_shown(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert not [w for w in bench.found() if "no copy" in w], "there is nothing to lose"
    bench("sync")
    what, fix = only(bench.found(), "no copy")
    assert what.startswith("key file:hub.key: no copy is known")
    assert fix.endswith("connector-hub doctor --key-saved COPY")
    key = (bench.folder / "hub.key").read_text()
    beside = bench.folder / "copy.key"
    beside.write_text(key)
    assert (
        "lies in the project's folder"
        in only(bench.found("--key-saved", str(beside)), "^key: ")[0]
    )
    assert bench("doctor", "--key-saved", str(beside)).exit_code == 1
    away = tmp_path_factory.mktemp("away") / "hub.key"
    assert "cannot be read" in only(bench.found("--key-saved", str(away)), "^key: ")[0]
    away.write_text("0" * 64)
    assert "not the key" in only(bench.found("--key-saved", str(away)), "^key: ")[0]
    assert only(bench.found(), "no copy")
    away.write_text(key.upper())
    result = bench("doctor", "--key-saved", str(away))
    assert result.exit_code == 0
    assert key.strip() not in result.output.lower()
    assert not [w for w in bench.found() if "no copy" in w]
    assert "a copy was shown on" in bench("doctor").stdout


def test_a_copy_of_the_key_can_be_piped_in(bench: Bench) -> None:
    bench("sync")
    key = (bench.folder / "hub.key").read_text()
    assert not [
        w
        for w in bench.found("--key-saved", "-", input=key)
        if "key" in w and "keyring" not in w
    ]


def test_a_key_of_the_environment_is_kept_by_who_sets_it(bench: Bench) -> None:
    file = bench.folder / "hub.yaml"
    file.write_text("key: env:HUB_KEY\n" + PROJECT)
    env = {"HUB_KEY": "ab" * 32}
    assert bench("sync", env=env).exit_code == 0
    assert not [w for w in bench.found(env=env) if "no copy" in w]


def test_a_receiver_that_cannot_be_reached_is_named(bench: Bench) -> None:
    bench("sync")
    file = bench.folder / "crm" / "contacts.csv"
    file.unlink()
    warned = bench("sync")
    assert "could not be delivered: webhook 127.0.0.1" in warned.stderr
    assert warned.exit_code == 2
    what, fix = only(bench.found(), "could not be told")
    assert what.startswith("webhook 127.0.0.1 could not be told for ")
    assert fix == "connector-hub notify --test"
    assert "T0" not in what


def test_another_integration_is_told_as_it_was_seen(bench: Bench) -> None:
    bench("sync")
    rows = [(str(n), "phone", "0057") for n in range(12)]
    bench.change(lambda s: s.meet_rivals("people", "right", rows, NOW))
    bench.change(lambda s: s.meet_rivals("people", "right", rows[:1], NOW))
    bench.change(
        lambda s: s.meet_rivals("people", "right", [("1", "title", "0058")], NOW)
    )
    bench.change(lambda s: s.meet_rivals("gone", "right", rows, NOW))
    what, fix = only(bench.found(), "user")
    assert what == (
        "job people: user 0057 of shop changed phone of 12 records, of one 2 times "
        "within an hour after the hub had written it"
    )
    assert "fields: {phone: {from: CONNECTION}}" in fix
