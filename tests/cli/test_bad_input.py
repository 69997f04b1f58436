"""Bad input ends with its exit code, says where and what to do, and has written nothing to any vendor."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connector_hub.adapters.locks import job_lock

from .test_real import HUB, PROJECT, Served


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Bench:
    """A project on two sandboxes, and the real program in it."""

    folder: Path
    urls: list[str]
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.folder / "hub.yaml"

    def edit(self, old: str, new: str) -> int:
        """Change hub.yaml; the line that was changed."""
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new, 1))
        return text[: text.index(old)].count("\n") + 1

    def __call__(self, *words: str, before: Callable[[], None] | None = None) -> Done:
        done = subprocess.run(  # noqa: S603 - our own
            [HUB, *words],
            cwd=self.folder,
            env={**os.environ, **self.environ, "COLUMNS": "200"},  # noqa: TID251
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=before,
        )
        assert "Traceback" not in done.stdout + done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def written(self) -> int:
        """Requests that could have written anything, at both vendors."""
        return sum(
            n
            for url in self.urls
            for route, n in asked(url, "calls")["by_route"].items()
            if not _reads(route)
        )


def asked(url: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(f"{url}/_sandbox/{path}")  # noqa: S310 - 127.0.0.1
    if body is not None:
        request.data = json.dumps(body).encode()
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - 127.0.0.1
        return json.load(answer)


def _reads(route: str) -> bool:
    if route.startswith("GET ") or route.endswith(("/search", "/batch/read")):
        return True
    return "oauth2" in route or (
        route.startswith("POST ") and "/composite/sobjects/" in route
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Served, Served]]:
    pair = Served("hubspot", "--records", "30", "--seed", "3"), Served("salesforce")
    yield pair
    for one in pair:
        one.end()


@pytest.fixture
def bench(served, tmp_path) -> Iterator[Bench]:
    sales, billing = (s.ready for s in served)
    text = PROJECT.format(
        sales=sales["url"],
        billing=billing["url"],
        client=billing["connection"]["client_id"],
    )
    (tmp_path / "hub.yaml").write_text(text)
    made = Bench(
        tmp_path,
        [sales["url"], billing["url"]],
        {**sales["env"], **billing["env"], "PYTHONWARNINGS": "error"},
    )
    before = made.written()
    yield made
    for url in made.urls:
        asked(url, "faults", {"status": None, "times": 0})
    assert made.written() == before or made.environ.get("MAY_WRITE")


def nowhere(bench: Bench, done: Done, code: int, *said: str) -> None:
    """It ended with this code, said all this, and repeated no secret."""
    assert done.code == code, done.err
    for text in said:
        assert text in done.err
    for secret in ("pat-literal", *bench.environ.values()):
        assert len(secret) < 8 or secret not in done.out + done.err


def test_an_unknown_key_is_told_with_its_place_and_the_nearest(bench):
    line = bench.edit("direction: left-to-right", "dirction: left-to-right")
    done = bench("sync")
    nowhere(
        bench, done, 2, f"hub.yaml:{line}:5", "dirction", "did you mean 'direction'"
    )


def test_a_missing_mapping_names_the_file_to_write(bench):
    line = bench.edit("resource: Contact}", "resource: Lead}")
    done = bench("sync")
    nowhere(
        bench, done, 2, f"hub.yaml:{line}:", "'Lead'", "mappings/contact/salesforce"
    )


def test_a_literal_secret_is_refused_and_not_repeated(bench):
    line = bench.edit("env:HUBSPOT_TOKEN", "pat-literal")
    done = bench("sync")
    nowhere(bench, done, 2, f"hub.yaml:{line}:", "keyring:NAME, env:NAME or file:PATH")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:NOT_SET_AT_ALL", "NOT_SET_AT_ALL"),
        ("file:no-such-token", "no-such-token"),
        ("keyring:no-such-name", "keyring"),
    ],
)
def test_a_missing_secret_names_the_connection(bench, reference, said):
    bench.edit("env:HUBSPOT_TOKEN", reference)
    bench.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.null.Keyring"
    done = bench("sync", "companies")
    nowhere(bench, done, 2, "sales", said, "help:")


def test_a_missing_variable_is_told_at_its_place(bench):
    line = bench.edit(
        "env:HUBSPOT_TOKEN", "env:HUBSPOT_TOKEN, burst: ${NOT_SET_AT_ALL}"
    )
    done = bench("sync")
    nowhere(bench, done, 2, f"hub.yaml:{line}:", "NOT_SET_AT_ALL")


def test_a_plugin_that_cannot_be_imported_is_named_and_harms_no_other(bench):
    site = bench.folder / "site"
    info = site / "broken_hub-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken-hub\nVersion: 1\n"
    )
    (info / "entry_points.txt").write_text("[connector_hub]\nbroken = broken_hub\n")
    (site / "broken_hub.py").write_text("raise RuntimeError('at import')\n")
    bench.environ["PYTHONPATH"] = str(site)
    assert bench("plan", "companies").code == 0
    bench.edit("connector: salesforce", "connector: broken")
    done = bench("sync")
    nowhere(bench, done, 7, "broken", "RuntimeError")


def test_a_wrong_token_names_the_connection_and_the_remedy(bench):
    bench.environ["HUBSPOT_TOKEN"] = "pat-wrong-token"
    done = bench("sync", "companies")
    nowhere(bench, done, 4, "sales", "connector-hub connect sales")


def test_another_account_behind_a_connection_is_refused(bench):
    assert bench("plan", "companies").code == 0
    with sqlite3.connect(bench.folder / "hub.db") as state:
        state.execute("update account set account='hubspot:1' where connection='sales'")
    state.close()
    done = bench("sync", "companies")
    nowhere(bench, done, 6, "sales", "hubspot:1", "give back the old credentials")


def test_a_host_that_does_not_answer_is_a_matter_of_time(bench):
    bench.edit(f'base_url: "{bench.urls[0]}"', 'base_url: "http://127.0.0.1:9"')
    done = bench("sync", "companies")
    nowhere(bench, done, 5, "sales", "127.0.0.1:9", "run again")


def test_a_state_without_its_key_is_not_opened(bench):
    assert bench("plan", "companies").code == 0
    (bench.folder / "hub.key").unlink()
    done = bench("sync")
    nowhere(bench, done, 2, "hub.yaml", "hub.key", "give back the key")


def test_a_state_with_another_key_is_not_opened(bench):
    assert bench("plan", "companies").code == 0
    (bench.folder / "hub.key").write_text("11" * 32)
    done = bench("sync")
    nowhere(bench, done, 2, "hub.db", "another key", "give back the key")


def test_a_state_of_a_newer_version_is_left_alone(bench):
    assert bench("plan", "companies").code == 0
    with sqlite3.connect(bench.folder / "hub.db") as state:
        state.execute("pragma user_version=99")
    state.close()
    done = bench("sync")
    nowhere(bench, done, 8, "hub.db", "version 99", "upgrade connector-hub")


def test_a_second_writer_is_told_who_is_the_first(bench):
    assert bench("plan", "companies").code == 0
    with job_lock(bench.folder / "hub.db", "companies"):
        done = bench("sync", "companies")
    nowhere(bench, done, 6, "companies", f"pid {os.getpid()}", "wait for it to end")


def _small_disk(size: int) -> Callable[[], None]:
    """A file that grows past ``size`` bytes gets the error of a full disk."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_full_disk_before_the_first_write_sends_nothing(bench):
    done = bench("sync", before=_small_disk(120_000))
    nowhere(bench, done, 8, "hub.db", "free space on the disk")


def test_after_a_full_disk_everything_is_there_once(bench):
    bench.environ["MAY_WRITE"] = "1"
    codes = [
        bench("sync", before=_small_disk(size)).code
        for size in range(150_000, 400_000, 20_000)
    ]
    assert 8 in codes
    assert bench("sync").code == 0
    mails = [r["Email"] for r in asked(bench.urls[1], "records/Contact")]
    assert len(mails) == len(set(mails)) == 30
    assert len(asked(bench.urls[1], "records/Account")) == 4
    last = json.loads(bench("sync", "--json").out)
    assert all(sum(j["writes"].values()) == 0 for j in last["jobs"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'connections' is missing"),
        ("[]\n", "a project is a list of keys"),
        ("connections: {}\nconnections: {}\n", "is there twice"),
        ("connections: &a {}\n", "anchors (&) are refused"),
        ("connections: {}\nstate: postgres://u:pat-literal@h/d\n", "sqlite:///hub.db"),
        ("connections: {}\nstate: sqlite:///no/such/hub.db\n", "folder of the state"),
        ("connections:\n\t{}\n", "hub.yaml:2:"),
    ],
)
def test_files_of_all_kinds_are_told_at_their_place(bench, text, said):
    bench.file.write_text(textwrap.dedent(text))
    done = bench("check", "--offline")
    nowhere(bench, done, 2, "hub.yaml:", said)
