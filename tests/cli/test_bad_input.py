"""Bad input ends with its exit code, says where and what to do, and writes nothing to any vendor.

Commands run on the real command line and real sandboxes; in a process of their own where a process's limits,
locks or packages are what it is about.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import resource
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from connector_hub.adapters.clock import SystemClock
from connector_hub.cli.app import cli

from .test_real import HUB, PROJECT, Served

LITERAL = "pat-na1-written-out"
SIDES = (("contacts", "companies"), ("Contact", "Account"))
NO_KEYRING = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
KEYRING = """\
from keyring.backend import KeyringBackend

class Keyring(KeyringBackend):
    priority = 1
    def get_password(self, service, username): return GIVEN
    def set_password(self, service, username, password): pass
"""


@dataclass
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def ends(self, code: int, *said: str) -> None:
        """It ended with this code and told people all of this."""
        assert self.code == code, self.err
        for text in (*said, "help:"):
            assert text in self.err


@dataclass
class Bench:
    """A project on two sandboxes, and the real program in it."""

    folder: Path
    urls: list[str]
    secrets: dict[str, str]
    environ: dict[str, str] = field(default_factory=dict)
    writes: bool = False
    """This test is about a run that was writing."""

    @property
    def file(self) -> Path:
        return self.folder / "hub.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "hub.db"

    def edit(self, old: str, new: str) -> str:
        """Change hub.yaml; the place of the first character that is new."""
        text = self.file.read_text()
        before = text[: text.index(old)]
        self.file.write_text(text.replace(old, new, 1))
        same = zip(old, new, strict=False)
        kept = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], same)))
        column = len(before.rpartition("\n")[2]) + kept + 1
        return f"hub.yaml:{len(before.splitlines())}:{column}"

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - our own
            [HUB, *words],
            cwd=self.folder,
            env={**os.environ, **self.secrets, **self.environ},  # noqa: TID251
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def ended(self, process: subprocess.Popen[str]) -> Done:
        out, err = process.communicate(timeout=60)
        return self._done(process.returncode, out, err)

    def program(self, *words: str, **more: Any) -> Done:
        """Run a command in a process of its own."""
        return self.ended(self.start(*words, **more))

    def __call__(self, *words: str) -> Done:
        """Run a command here."""
        env = {**self.secrets, **self.environ}
        with contextlib.chdir(self.folder):
            result = CliRunner().invoke(cli, words, env=env)
        return self._done(result.exit_code, result.stdout, result.stderr)

    def _done(self, code: int, out: str, err: str) -> Done:
        assert "Traceback" not in out + err
        for secret in (LITERAL, *self.secrets.values()):
            assert secret not in out + err
        return Done(code, out, err)

    def held(self) -> list[Any]:
        """All that the vendors hold, and how many requests may have changed it."""
        return [
            (
                [asked(url, f"records/{name}") for name in names],
                sum(n for route, n in calls(url).items() if not _reads(route)),
            )
            for url, names in zip(self.urls, SIDES, strict=True)
        ]


def asked(url: str, path: str, body: Any = None) -> Any:
    text = None if body is None else json.dumps(body)
    with contextlib.closing(HTTPConnection(urlsplit(url).netloc)) as sandbox:
        sandbox.request("POST" if text else "GET", f"/_sandbox/{path}", text)
        return json.load(sandbox.getresponse())


def calls(url: str) -> dict[str, int]:
    found: dict[str, int] = asked(url, "calls")["by_route"]
    return found


def _reads(route: str) -> bool:
    """Whether a request to it changes nothing at the vendor."""
    if route.startswith("GET ") or route.endswith(("/search", "/batch/read")):
        return True
    return route.endswith("/oauth2/token") or (
        route.startswith("POST ") and "/composite/sobjects/" in route
    )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Served, Served]]:
    pair = Served("hubspot", "--records", "30", "--seed", "3"), Served("salesforce")
    ends = []
    try:
        yield pair
    finally:
        ends += [one.end() for one in pair]
    assert ends == [(0, "", "")] * 2


def made(served: tuple[Served, Served], folder: Path) -> Bench:
    sales, billing = (s.ready for s in served)
    (folder / "hub.yaml").write_text(
        PROJECT.format(
            sales=sales["url"],
            billing=billing["url"],
            client=billing["connection"]["client_id"],
        )
    )
    secrets = {**sales["env"], **billing["env"]}
    return Bench(folder, [sales["url"], billing["url"]], secrets)


@pytest.fixture(scope="module")
def planned(served, tmp_path_factory) -> Path:
    """A project with a state: companies were planned once."""
    bench = made(served, tmp_path_factory.mktemp("planned"))
    assert bench("plan", "companies").code == 0
    return bench.folder


@pytest.fixture
def bench(served, tmp_path) -> Iterator[Bench]:
    """A new project; it has written nothing to any vendor when the test is over."""
    bench = made(served, tmp_path)
    before = bench.held()
    yield bench
    for url in bench.urls:
        asked(url, "faults", {})
    if bench.writes:
        for url in bench.urls:
            asked(url, "reset", {})
    else:
        assert bench.held() == before


@pytest.fixture
def used(bench, planned) -> Bench:
    """A project that has a state."""
    shutil.copytree(planned, bench.folder, dirs_exist_ok=True)
    return bench


def test_an_unknown_key_is_told_with_its_place_and_the_nearest(bench):
    bench.edit("direction: left-to-right", "dirction: left-to-right")
    bench("sync").ends(
        2, "hub.yaml:13:5", "unknown key 'dirction'", "did you mean 'direction'?"
    )


def test_an_unknown_key_of_a_connection_is_told_without_what_stands_there(bench):
    bench.edit("token: env:HUBSPOT_TOKEN", f"access: {LITERAL}")
    bench("sync").ends(
        2, "hub.yaml:2:", "unknown key 'access'", "there are: api, app, base_url"
    )


def test_a_missing_mapping_names_the_file_to_write(bench):
    place = bench.edit("resource: Contact}", "resource: Opportunity}")
    bench("sync").ends(
        2,
        place,
        "no mapping says how salesforce 'Opportunity' is a contact",
        "write mappings/contact/salesforce.yaml with resource: Opportunity",
    )


@pytest.mark.parametrize("option", ["token: env:HUBSPOT_TOKEN", "client_secret: env"])
def test_a_literal_secret_is_refused_and_not_repeated(bench, option):
    name = option.partition(":")[0]
    place = bench.edit(option, f"{name}: {LITERAL}")
    bench("sync").ends(
        2,
        place,
        f"{name} is a secret: only a reference may stand here",
        "write keyring:NAME, env:NAME or file:PATH",
    )


def test_a_literal_key_is_refused_and_not_repeated(bench):
    bench.edit("connections:", f"key: {LITERAL}\nconnections:")
    bench("sync").ends(
        2, "hub.yaml:1:6", "key is written out", "write file:PATH, keyring:NAME or env"
    )


@pytest.mark.parametrize("text", [f"token: *{LITERAL}", f"token: a: {LITERAL}"])
def test_a_literal_secret_that_is_no_yaml_is_not_repeated(bench, text):
    bench.edit("token: env:HUBSPOT_TOKEN", text)
    done = bench("check", "--offline")
    assert done.code == 2
    assert "hub.yaml:2:" in done.err


@pytest.mark.parametrize(
    ("reference", "said", "remedy"),
    [
        ("env:NOT_SET_AT_ALL", "NOT_SET_AT_ALL is not set", "set NOT_SET_AT_ALL"),
        ("file:no-such-file", "no-such-file cannot be read", "put the secret there"),
        ("keyring:sales", "this machine has no keyring", "use env:NAME or file:PATH"),
    ],
)
def test_a_missing_secret_names_the_connection(bench, reference, said, remedy):
    bench.edit("env:HUBSPOT_TOKEN", reference)
    bench.environ |= NO_KEYRING
    bench.program("sync", "companies").ends(2, "--> sales, token", said, remedy)


@pytest.mark.parametrize(
    ("module", "given", "said", "remedy"),
    [
        ("libsecret_", None, "no secret 'sales'", "connector-hub connect"),
        ("plaintext_", LITERAL, "no keyring that keeps secrets safe", "file:PATH"),
    ],
)
def test_a_keyring_that_cannot_help_names_the_connection(
    bench, module, given, said, remedy
):
    site = bench.folder / "site"
    site.mkdir()
    (site / f"{module}stand_in.py").write_text(f"GIVEN = {given!r}\n{KEYRING}")
    bench.edit("env:HUBSPOT_TOKEN", "keyring:sales")
    bench.environ["PYTHONPATH"] = str(site)
    bench.environ["PYTHON_KEYRING_BACKEND"] = f"{module}stand_in.Keyring"
    bench.program("sync", "companies").ends(2, "--> sales, token", said, remedy)


@pytest.mark.parametrize(
    ("reference", "said"),
    [("env:NOT_SET_AT_ALL", "set NOT_SET_AT_ALL"), ("keyring:hub", "use env:NAME")],
)
def test_a_missing_key_is_told_at_its_place(bench, reference, said):
    bench.edit("connections:", f"key: {reference}\nconnections:")
    bench.environ |= NO_KEYRING
    bench.program("sync").ends(2, "--> hub.yaml:1:6", said)
    assert not bench.state.exists()


def test_a_missing_key_of_a_profile_is_told_at_its_place(bench):
    text = "profiles:\n  trial:\n    state: sqlite:///trial.db\n    key: env:NOT_SET_AT_ALL\n"
    bench.file.write_text(bench.file.read_text() + text)
    line = bench.file.read_text().count("\n")
    done = bench("sync", "--profile", "trial")
    done.ends(2, f"--> hub.yaml:{line}:10", "set NOT_SET_AT_ALL")


def test_a_secret_file_that_is_no_text_names_the_connection(bench):
    token = bench.folder / "token"
    token.write_bytes(b"\xff\xfe")
    token.chmod(0o600)
    bench.edit("env:HUBSPOT_TOKEN", "file:token")
    bench("sync", "companies").ends(2, "--> sales, token", "it is not UTF-8")


def test_a_missing_variable_is_told_at_its_place(bench):
    place = bench.edit('"sandbox-client"', '"${NOT_SET_AT_ALL}"')
    line = place.rpartition(":")[0]
    bench("sync").ends(
        2,
        f"{line}:",
        "environment variable NOT_SET_AT_ALL is not set",
        "set it, or write ${NOT_SET_AT_ALL:-default}",
    )


@pytest.fixture
def broken(bench) -> Bench:
    """A third connection, whose plugin cannot be imported, and a job on it."""
    site = bench.folder / "site"
    info = site / "hub_of_acme-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: hub-of-acme\n")
    (info / "entry_points.txt").write_text("[connector_hub]\nacme = hub_of_acme\n")
    (site / "hub_of_acme.py").write_text("import no_such_library\n")
    bench.environ["PYTHONPATH"] = str(site)
    bench.edit("jobs:\n", "  crm: {connector: acme}\njobs:\n")
    bench.file.write_text(
        bench.file.read_text()
        + "  firms:\n"
        + "    entity: company\n"
        + "    left: {connection: sales, resource: companies}\n"
        + "    right: {connection: crm, resource: firms}\n"
        + "    direction: left-to-right\n"
    )
    return bench


PLUGIN = (
    "plugin acme (hub-of-acme) cannot be imported: ModuleNotFoundError",
    "Please report this to the plugin's author",
)


def test_a_plugin_that_cannot_be_imported_is_named_with_its_connection(broken):
    for words in (("sync", "firms"), ("check", "--offline")):
        broken.program(*words).ends(7, "--> hub.yaml:8:20, connection crm", *PLUGIN)


def test_a_plugin_that_cannot_be_imported_keeps_no_other_job_from_its_work(broken):
    done = broken.program("plan", "--json")
    done.ends(7, *PLUGIN)
    jobs = {j["job"]: j for j in json.loads(done.out)["jobs"]}
    assert (jobs["companies"]["create"], jobs["contacts"]["create"]) == (4, 30)
    assert jobs["firms"]["error"]["code"] == "PluginError"


def test_a_plugin_that_cannot_be_imported_is_one_finding_of_the_doctor(broken):
    done = broken.program("doctor")
    assert done.code == 1
    assert "error plugin acme: plugin acme (hub-of-acme) cannot be" in done.out
    assert "ok    connection billing: salesforce account" in done.out
    assert "ok    the mappings" in done.out


@pytest.mark.parametrize(
    ("variable", "connection"),
    [("HUBSPOT_TOKEN", "sales"), ("SALESFORCE_CLIENT_SECRET", "billing")],
)
def test_a_wrong_token_names_the_connection_and_the_remedy(bench, variable, connection):
    bench.secrets[variable] = "pat-na1-wrong"
    bench("sync", "companies").ends(
        4, f"--> {connection} ", f"connector-hub connect {connection}"
    )


def test_another_account_behind_a_connection_is_refused(used):
    other = {"portalId": 815, "timeZone": "UTC", "companyCurrency": "EUR"}
    fault = {"route": "/account-info/", "status": 200, "body": other}
    asked(used.urls[0], "faults", fault)
    used("sync", "companies").ends(
        6,
        "--> sales ",
        "belonged to account hubspot:4211337, it now answers as hubspot:815",
        "give back the old credentials, or use a connection of another name",
    )


def test_a_host_that_cannot_be_reached_is_a_matter_of_time(bench, monkeypatch):
    async def at_once(_clock: SystemClock, _seconds: float) -> None:
        """Waits between attempts are not what this is about."""

    monkeypatch.setattr(SystemClock, "sleep", at_once)
    bench.edit(bench.urls[0], "http://127.0.0.1:9")
    bench("sync", "companies").ends(
        5,
        "--> sales ",
        "127.0.0.1:9 cannot be reached",
        "check the address and the network, then run again",
    )


def test_a_state_without_its_key_is_not_opened(used):
    before = used.state.read_bytes()
    (used.folder / "hub.key").unlink()
    used("sync").ends(2, "--> hub.yaml", "its key hub.key is not", "give back the key")
    assert not (used.folder / "hub.key").exists()
    assert used.state.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "said"),
    [("11" * 32, "another key"), ("11" * 12, "not 64 hexadecimal digits")],
)
def test_a_state_with_another_key_is_not_opened(used, key, said):
    (used.folder / "hub.key").write_text(key)
    used("sync").ends(2, "hub.", said, "give back the key the state was made with")


def test_a_state_of_a_newer_version_is_left_alone(used):
    state = sqlite3.connect(used.state)
    state.execute("pragma user_version=99")
    state.close()
    before = used.state.read_bytes()
    used("sync").ends(
        8, f"--> {used.state}", "the state is of version 99", "upgrade connector-hub"
    )
    assert used.state.read_bytes() == before


def once(until: Callable[[], bool]) -> None:
    """Wait for something that another process does."""
    end = time.monotonic() + 20
    while not until():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_second_writer_is_told_who_is_the_first(used):
    asked(used.urls[0], "faults", {"route": "/account-info/", "latency_ms": 1500})
    lock = used.folder / "hub.db.companies.lock"
    lock.unlink()
    first = used.start("plan", "companies")
    once(lambda: lock.exists() and lock.read_text() == str(first.pid))
    used("sync", "companies").ends(
        6,
        f"--> {lock} (job companies)",
        f"run by another process (pid {first.pid})",
        "wait for it to end, or stop it",
    )
    assert used.ended(first).code == 0


def disk_of(size: int) -> Callable[[], None]:
    """No file can grow beyond ``size`` bytes: writing to it fails, as on a full disk."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize(
    ("size", "where", "said"),
    [
        (0, "hub.db.companies.lock", "look at the folder and its disk"),
        (20, "hub.key", "look at the folder and its disk"),
        (8_192, "hub.db", "free space on the disk, then run again"),
        (120_000, "hub.db", "free space on the disk, then run again"),
    ],
)
def test_a_full_disk_before_the_first_write_sends_nothing(bench, size, where, said):
    bench.program("sync", preexec_fn=disk_of(size)).ends(
        8, f"--> {bench.folder / where} (job companies)", said
    )
    assert bench("plan").code == 0, "with space all is well again"


def test_a_key_that_a_full_disk_cut_off_does_not_stay(bench):
    done = bench.program("init", preexec_fn=disk_of(20))
    done.ends(8, "--> hub.key", "the key cannot be written", "it may be full")
    assert not (bench.folder / "hub.key").exists()


def test_a_disk_that_fills_up_while_a_run_writes_loses_and_doubles_nothing(used):
    used.writes = True
    billing = used.urls[1]
    assert used("sync", "companies").code == 0
    fault = {"route": "/composite/sobjects/Contact/", "latency_ms": 800}
    asked(billing, "faults", fault)
    run = used.start("sync", "contacts")
    once(lambda: any("sobjects/Contact/" in route for route in calls(billing)))
    resource.prlimit(run.pid, resource.RLIMIT_FSIZE, (4096, 4096))
    used.ended(run).ends(8, f"--> {used.state} ", "free space on the disk")
    asked(billing, "faults", {})
    assert_all_once(used)


def test_a_disk_that_is_full_a_little_later_each_time_loses_and_doubles_nothing(bench):
    bench.writes = True
    codes = [
        bench.program("sync", preexec_fn=disk_of(size)).code
        for size in range(170_000, 380_000, 50_000)
    ]
    assert 8 in codes
    assert_all_once(bench)


def assert_all_once(bench: Bench) -> None:
    assert bench("sync").code == 0
    contacts = [r["Email"] for r in asked(bench.urls[1], "records/Contact")]
    assert len(contacts) == len(set(contacts)) == 30
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
        (f"connections: {{}}\nstate: postgres://u:{LITERAL}@h/d\n", "sqlite:///hub.db"),
        ("connections: {}\nstate: sqlite:///no/such/hub.db\n", "folder of the state"),
        ("connections:\n\t{}\n", "hub.yaml:2:"),
    ],
)
def test_files_of_all_kinds_are_told_at_their_place(bench, text, said):
    bench.file.write_text(text)
    done = bench("check", "--offline")
    assert done.code == 2
    assert "hub.yaml:" in done.err
    assert said in done.err


@pytest.mark.parametrize(
    ("old", "new", "code", "error"),
    [
        ("token: env:HUBSPOT_TOKEN", f"token: {LITERAL}", 2, "ConfigError"),
        ("env:HUBSPOT_TOKEN", "env:PATH", 4, "AuthError"),
    ],
)
def test_the_document_tells_the_same(bench, old, new, code, error):
    bench.edit(old, new)
    done = bench("sync", "companies", "--json")
    assert done.code == code
    document = json.loads(done.out)
    assert (document["status"], document["error"]["code"]) == ("failed", error)
    assert document["read"] == sum(document["writes"].values()) == 0
