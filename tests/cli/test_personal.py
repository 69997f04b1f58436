"""``erase``, ``export`` and ``key rotate`` as people call them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click import testing

from connector_hub.adapters.locks import job_lock
from connector_hub.cli import personal

from .test_doctor import Bench, only

ADA = "ada@example.org"
HEAD = "id,email,given_name,family_name,phone,title,city,country,stage,company_id,connector_hub_id"
ROW = f"7,{ADA},Ada,Lovelace,,Countess,,,,,"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project whose one person has travelled."""
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    made = Bench(tmp_path)
    (tmp_path / "crm" / "contacts.csv").write_text(f"{HEAD}\n{ROW}\n")
    assert made("sync").exit_code == 0
    return made


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing._NamedTextIOWrapper, "isatty", lambda _self: True)


def test_erasing_needs_a_yes_and_nobody_can_be_asked_in_a_pipe(bench: Bench) -> None:
    for more in ((), ("--no-input",), ("--json",)):
        done = bench("erase", "--identity", ADA, *more)
        assert done.exit_code == 2
        assert "run it again with --yes" in done.output
    assert json.loads(bench("export", "--identity", ADA, "--json").stdout)["kept"]


def test_erasing_tells_what_went_and_what_stays_at_the_vendors(bench: Bench) -> None:
    done = bench("erase", "--identity", f"email={ADA}", "--yes")
    assert done.exit_code == 0
    assert re.search(
        r"^erased: .*1 before-images.*2 links, 2 bases$", done.output, re.MULTILINE
    )
    assert "still at the vendors, where the hub erases nothing:" in done.output
    assert re.search(r"^  crm +contacts +7$", done.output, re.MULTILINE)
    again = bench("erase", "--identity", ADA, "--yes")
    assert (again.exit_code, again.stdout) == (0, "erased: nothing\n")
    assert "if it is misspelt, take it back" in again.stderr
    assert (
        "2 records carry an identity that was erased: left alone"
        in bench("sync", "--full").output
    )


def test_erasing_as_one_document(bench: Bench) -> None:
    document = json.loads(bench("erase", "--identity", ADA, "--yes", "--json").stdout)
    assert (document["erased"], document["clean"], document["entity"]) == (
        True,
        True,
        "contact",
    )
    assert document["rows"]["links"] == 2
    assert {(v["connection"], v["resource"]) for v in document["vendors"]} == {
        ("crm", "contacts"),
        ("shop", "contacts"),
    }
    assert all(v["record"] and v["hub_id"] for v in document["vendors"])


@pytest.mark.usefixtures("at_a_terminal")
def test_a_person_is_asked_with_what_would_go(bench: Bench) -> None:
    done = bench("erase", "--identity", ADA, input="n\n")
    assert done.exit_code == 0
    assert re.search(r"kept about this contact: .*2 links", done.output)
    assert "Erase it? It cannot be brought back" in done.output
    assert "nothing was erased" in done.output
    assert "erased: " in bench("erase", "--identity", ADA, input="y\n").output


@pytest.mark.parametrize(
    "more", [("--identity", ADA), ("--lift",), ("--entity", "contact")]
)
def test_what_is_of_everybody_is_not_mistaken_for_one_person(
    bench: Bench, more: tuple[str, ...]
) -> None:
    """Who asked to forget somebody is not told that all went well."""
    done = bench("erase", "--expired", "--yes", *more)
    assert done.exit_code == 2
    assert "--expired is of everybody" in done.output


def test_lifting_lets_a_person_travel_again(bench: Bench) -> None:
    bench("erase", "--identity", ADA, "--yes")
    assert bench("erase", "--lift", "--identity", "x@y.org").output == (
        "nobody was erased under that identity\n"
    )
    assert "lifted: " in bench("erase", "--lift", "--identity", ADA).output
    assert "left alone" not in bench("sync").output
    assert json.loads(bench("export", "--identity", ADA, "--json").stdout)["kept"][
        "links"
    ]


def test_an_export_masks_values_where_nobody_may_see_them(bench: Bench) -> None:
    masked = bench("export", "--identity", ADA)
    assert masked.exit_code == 0
    assert 'after.family_name="•••"' in masked.output
    assert "fields=city, country, email" in masked.output
    document = json.loads(bench("export", "--identity", ADA, "--json").stdout)
    (image,) = document["kept"]["before-images"]
    assert image["values"]["after"]["family_name"] == "•••"
    shown = json.loads(bench("export", "--identity", ADA, "--json", "--values").stdout)
    (image,) = shown["kept"]["before-images"]
    assert image["values"]["after"]["family_name"] == "Lovelace"
    assert shown["vendors"] == document["vendors"]
    assert "Lovelace" in bench("export", "--identity", ADA, "--values").output
    nobody = bench("export", "--identity", "no@body.org")
    assert "nothing is kept" in nobody.output


def test_a_running_job_refuses_an_erasure_and_a_rotation(bench: Bench) -> None:
    with job_lock(bench.folder / "hub.db", "people"):
        assert bench("erase", "--identity", ADA, "--yes").exit_code == 6
        assert bench("key", "rotate").exit_code == 6


def test_a_mistaken_identity_is_told(bench: Bench) -> None:
    done = bench("erase", "--identity", "name=Ada", "--yes")
    assert done.exit_code == 2
    assert (
        "write FIELD=VALUE: contact by email, or phone and family_name" in done.output
    )


def test_what_nothing_forgot_is_told_by_the_doctor_and_forgotten(bench: Bench) -> None:
    old = (datetime.now(UTC) - timedelta(days=32)).isoformat()
    bench.change(lambda s: s._run("update journal set at=?", (old,)))
    what, fix = only(bench.found(), "beyond their time")
    assert (
        what
        == "state hub.db keeps beyond their time: 1 before-images; any run forgets them"
    )
    assert fix == "connector-hub sync, or connector-hub erase --expired"
    assert bench("erase", "--expired").output == "forgotten: 1 before-images\n"
    assert not [w for w in bench.found() if "beyond" in w]
    document = json.loads(bench("erase", "--expired", "--json").stdout)
    assert document == {"forgotten": {}, "clean": True}


def test_bytes_that_another_process_holds_open_are_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from connector_hub.adapters.sqlite import SqliteStore  # noqa: PLC0415 - broken below
    from connector_hub.errors import StoreError  # noqa: PLC0415 - as above

    def held(_self: SqliteStore) -> None:
        raise StoreError("held open")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "scrub", held)
        done = bench("erase", "--identity", ADA, "--yes")
        assert done.exit_code == personal.PARTIAL
        assert "bytes of it are still in the state's files" in done.output
        assert bench("key", "rotate").exit_code == personal.PARTIAL
        assert bench("erase", "--expired").exit_code == personal.PARTIAL
        assert "erased rows' bytes" in only(bench.found(), "beyond their time")[0]
    assert bench("erase", "--expired").exit_code == 0
    assert not [w for w in bench.found() if "beyond" in w]


def test_a_rotation_says_what_is_left_to_do(bench: Bench) -> None:
    copy = bench.folder.parent / f"{bench.folder.name}.copy"
    copy.write_text((bench.folder / "hub.key").read_text())
    assert not [w for w in bench.found("--key-saved", str(copy)) if "no copy" in w]
    done = bench("key", "rotate")
    assert done.exit_code == 0
    assert "the state has a new key, at file:hub.key" in done.output
    assert "connector-hub doctor --key-saved COPY" in done.output
    assert "write `key:" not in done.output
    assert "no copy is known" in only(bench.found(), "^key ")[0], (
        "the copy is of the old one"
    )
    assert "unchanged 1" in bench("sync", "--full").output


def test_a_key_that_moves_has_to_be_named_in_hub_yaml(bench: Bench) -> None:
    done = bench("key", "rotate", "--to", "file:new.key", "--json")
    assert json.loads(done.stdout) == {
        "key": "file:new.key",
        "was": "file:hub.key",
        "clean": True,
    }
    refused = bench("sync")
    assert refused.exit_code == 2
    assert "write `key: file:new.key` in hub.yaml" in refused.output
    text = (bench.folder / "hub.yaml").read_text()
    (bench.folder / "hub.yaml").write_text(f"key: file:new.key\n{text}")
    assert bench("sync").exit_code == 0
    assert (
        "now write `key: file:third.key`"
        in bench("key", "rotate", "--to", "file:third.key").output
    )


def test_a_key_of_the_environment_is_rotated_by_whoever_sets_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_KEY", (bench.folder / "hub.key").read_text().strip())
    text = (bench.folder / "hub.yaml").read_text()
    (bench.folder / "hub.yaml").write_text(f"key: env:HUB_KEY\n{text}")
    done = bench("key", "rotate")
    assert done.exit_code == 2
    assert "openssl rand -hex 32" in done.output
    monkeypatch.setenv("HUB_KEY_2", "ab" * 32)
    assert bench("key", "rotate", "--to", "env:HUB_KEY_2").exit_code == 0
    monkeypatch.setenv("HUB_KEY", "ab" * 32)
    assert bench("sync").exit_code == 0
