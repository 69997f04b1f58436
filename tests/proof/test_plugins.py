"""Plugins that raise, hang or answer nonsense: told by name, and nobody else is the worse for it.

Three accounts, two jobs: ``good`` is between two sound plugins, ``bad`` ends at one that misbehaves. Each
story ends with the plugin mended: then all agree, and nobody is there twice.

Not held, because nothing inside one process can: code that never awaits, takes all memory, or stops the loop.
A plugin is trusted with the process it runs in (SECURITY.md).
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import yaml

from connector_hub.adapters.plugins import Plugins
from connector_hub.errors import HubError, PluginError
from connector_hub.hub import Hub, open_hub
from connector_hub.model.plan import Receipt
from connector_hub.sdk import (
    Account,
    Bearer,
    Connector,
    Done,
    Gone,
    Page,
    Pending,
    Record,
    SecretStr,
    Unavailable,
)
from connector_hub.sdk.hooks import hookimpl
from connector_hub.sync import paging, sides
from connector_hub.sync.run import Options
from tests.story.vendor import Memory, World

PEOPLE = 6
HINT = "Please report this to the plugin's author; your configuration is fine."
FULL = Options(full=True)
PROJECT = {
    "connections": {
        "one": {"connector": "sound", "account": "one", "token": "env:TOKEN"},
        "two": {"connector": "sound", "account": "two", "token": "env:TOKEN"},
        "three": {"connector": "acme", "account": "three", "token": "env:TOKEN"},
    },
    "jobs": {
        name: {
            "entity": "person",
            "left": {"connection": "one", "resource": "people"},
            "right": {"connection": right, "resource": "people"},
            "direction": "both",
        }
        for name, right in (("bad", "three"), ("good", "two"))
    },
}
ENTITY = {
    "entity": "person",
    "identity": [["email"]],
    "fields": {n: {"kind": "text"} for n in ("email", "name", "note")},
}
CANARY = "s3cret-canary-8f2c"

Mischief = Callable[..., Any]


class Sound(Memory):
    """A vendor in memory behind a whole plugin: made, checked and asked by the hub."""

    name = "sound"
    base_url = "https://vendor.example"
    auth = Bearer("token")
    worlds: Mapping[str, World] = {}

    class Config(Connector.Config):
        account: str
        token: SecretStr

    def __init__(self, config: Any, http: Any, *, clock: Any, key_field: Any = None):
        Connector.__init__(self, config, http, clock=clock, key_field=key_field)
        self.world = self.worlds[config.account]


class Acme(Sound):
    """The same, but one of its methods does as ``mischief`` says: given the method, and what it was given."""

    name = "acme"
    mischief: Mapping[str, Mischief] = {}

    def __init__(self, *args: Any, **more: Any) -> None:
        if "made" in self.mischief:
            self.mischief["made"]()
        super().__init__(*args, **more)

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in type(self).mischief:
            wrong = type(self).mischief[name]
            return lambda *args, **more: wrong(found, *args, **more)
        return found


class Project:
    """The three accounts, and the hub over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.worlds = {n: World(n) for n in ("one", "two", "three")}
        for i in range(PEOPLE):
            self.worlds["one"].person(email=f"p{i}@x.org", name=f"P{i}", note="n")
        mappings = folder / "mappings" / "person"
        mappings.mkdir(parents=True)
        (mappings / "entity.yaml").write_text(yaml.safe_dump(ENTITY))
        for connector in ("sound", "acme"):
            rules = {n: {"path": n} for n in ENTITY["fields"]}
            spoke = {"entity": "person", "connector": connector, "resource": "people"}
            text = yaml.safe_dump({**spoke, "fields": rules})
            (mappings / f"{connector}.yaml").write_text(text)
        (folder / "hub.yaml").write_text(yaml.safe_dump(PROJECT))

    def open(
        self,
        mischief: Mapping[str, Mischief] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        **own: Any,
    ) -> Any:
        """The hub, its plugins made anew as in a fresh process."""
        sound = type("Sound", (Sound,), {"worlds": self.worlds})
        acme = type(
            "Acme", (Acme,), {"worlds": self.worlds, "mischief": mischief or {}, **own}
        )
        plugin = SimpleNamespace(
            __name__="plugins",
            connector_hub_connectors=hookimpl(lambda: [sound, acme]),
        )
        return open_hub(
            self.folder,
            environ={"TOKEN": CANARY},
            plugins=Plugins([plugin]),
            transports={"three": transport} if transport else None,
        )

    async def both(self, hub: Hub) -> tuple[HubError | None, Receipt]:
        """Each job once, as ``sync`` runs them: what stops one stops no other."""
        error: HubError | None = None
        try:
            await hub.sync("bad", options=FULL)
        except HubError as e:
            error = e
        return error, await hub.sync("good", options=FULL)

    async def mended(self) -> None:
        """A plugin that is mended: all agree, nobody is there twice, and the next run has nothing to do."""
        async with self.open() as hub:
            for job in ("bad", "good"):
                await hub.sync(job, options=FULL)
            before = [w.writes for w in self.worlds.values()]
            for job in ("bad", "good"):
                receipt = await hub.sync(job, options=FULL)
                assert (receipt.status, receipt.unchanged) == ("done", PEOPLE)
            assert [w.writes for w in self.worlds.values()] == before
            assert hub.conflicts() == []
            assert hub.dead_letters() == []
            assert hub.store.open_windows("bad") == []
            ((state,),) = hub.store._run("pragma integrity_check").fetchall()
            assert state == "ok"
        for world in self.worlds.values():
            rows = [r["email"] for r in world.rows.values()]
            assert sorted(rows) == sorted({f"p{i}@x.org" for i in range(PEOPLE)})


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def blamed(error: HubError | None, *words: str) -> None:
    """It is the plugin's mistake, and the report says whose, where, and what to do."""
    assert isinstance(error, PluginError)
    assert error.exit_code == 7
    assert error.hint == HINT
    assert error.where == "three"
    for word in ("acme", *words):
        assert word in error.message
    receipt = error.receipt
    assert isinstance(receipt, Receipt)
    assert receipt.status == "failed"
    assert receipt.error is not None
    assert receipt.error["code"] == "PluginError"
    assert "Please report this" in receipt.error["message"]


def fine(receipt: Receipt) -> None:
    """The other job is none the wiser."""
    assert (receipt.status, receipt.created) == ("done", PEOPLE)


def raises(error: BaseException) -> Mischief:
    def wrong(*_: Any, **__: Any) -> Any:
        raise error

    return wrong


ASKED = ("check", "read", "fetch", "write")
ERRORS = (
    KeyError(CANARY),
    SystemExit(3),
    AssertionError(),
    TimeoutError(),
    MemoryError(),
    asyncio.CancelledError(),
)


RAISED = [(m, e) for m in ASKED for e in ERRORS if m == "write" or e in ERRORS[:2]]


@pytest.mark.parametrize(("method", "error"), RAISED)
async def test_what_a_plugin_raises_names_it_and_stops_nobody_else(
    project: Project, method: str, error: BaseException
) -> None:
    project.worlds["three"].person(email="p0@x.org", name="P0", note="n")
    async with project.open({method: raises(error)}) as hub:
        told, other = await project.both(hub)
        blamed(told, method)
        if not isinstance(error, asyncio.CancelledError):
            assert type(error).__name__ in str(told)
            assert "test_plugins.py:" in str(told), "the line, for the plugin's author"
        assert CANARY not in str(told)
        fine(other)
    await project.mended()


@pytest.mark.parametrize("method", ["made", "limits"])
@pytest.mark.parametrize("error", [KeyError(), SystemExit(0)])
async def test_a_plugin_that_cannot_even_be_made_is_named(
    project: Project, method: str, error: BaseException
) -> None:
    async with project.open({method: raises(error)}) as hub:
        told, other = await project.both(hub)
        blamed(told, type(error).__name__)
        fine(other)
    await project.mended()


def hangs(*_: Any, **__: Any) -> Any:
    return asyncio.Event().wait()


async def stubborn(*_: Any, **__: Any) -> Any:
    """Takes the first no for no answer."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return None


@pytest.mark.parametrize("wait", [hangs, stubborn])
@pytest.mark.parametrize("method", ASKED)
async def test_a_call_that_does_not_come_back_is_cut_and_told(
    project: Project, method: str, wait: Mischief
) -> None:
    project.worlds["three"].person(email="p0@x.org", name="P0", note="n")
    async with project.open({method: wait}, call_seconds=0.02) as hub:
        told, other = await project.both(hub)
        blamed(told, method)
        if wait is hangs:
            assert f"did not come back from {method} within" in str(told)
        fine(other)
    await project.mended()


async def test_writes_that_stay_pending_for_ever_are_given_up(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "PENDING_SECONDS", 0.05)

    async def pending(*_: Any, **__: Any) -> Any:
        return Pending("ticket", 0.01)

    async with project.open({"write": pending, "outcomes": pending}) as hub:
        told, other = await project.both(hub)
        assert isinstance(told, PluginError)
        assert told.where == "three"
        fine(other)
    await project.mended()


def gives(answer: Any) -> Mischief:
    """Does as it should, and answers something else: what ``answer`` makes of what was true."""

    async def wrong(found: Any, *args: Any, **more: Any) -> Any:
        return answer(await found(*args, **more))

    return wrong


def spoilt(**changes: Any) -> Mischief:
    """A page with something wrong about it."""
    return gives(
        lambda page: Page(
            **{n: getattr(page, n) for n in page.__struct_fields__} | changes
        )
    )


NONSENSE: dict[str, tuple[str, Mischief]] = {
    "check: nothing": ("check", gives(lambda _: None)),
    "check: no id": ("check", gives(lambda _: Account("", "x"))),
    "check: a number": ("check", gives(lambda _: Account(7, "x"))),  # type: ignore[arg-type]
    "check: no coroutine": ("check", lambda *_: Account("three", "x")),
    "read: a list": ("read", gives(lambda page: list(page.records))),
    "read: no list": ("read", spoilt(records=None)),
    "read: text": ("read", spoilt(records="abc")),
    "read: rows": ("read", spoilt(records=[{"id": "1"}])),
    "read: no id": ("read", spoilt(records=[Record("", {})])),
    "read: an id that is a number": ("read", spoilt(records=[Record(7, {})])),  # type: ignore[arg-type]
    "read: no fields": ("read", spoilt(records=[Record("1", None)])),  # type: ignore[arg-type]
    "read: gone without an id": ("read", spoilt(records=[Gone("")])),
    "read: a mark that is a number": ("read", spoilt(mark=7)),
    "read: next that is a number": ("read", spoilt(next=7)),
    "read: next that is empty": ("read", spoilt(next="")),
    "fetch: nothing": ("fetch", gives(lambda _: None)),
    "fetch: a mapping": ("fetch", gives(lambda found: {r.id: r for r in found})),
    "fetch: None among them": ("fetch", gives(lambda found: [*found, None])),
    "write: nothing": ("write", gives(lambda _: None)),
    "write: too few": ("write", gives(lambda found: found[:-1])),
    "write: too many": ("write", gives(lambda found: [*found, found[0]])),
    "write: None among them": ("write", gives(lambda found: [None, *found[1:]])),
    "write: true": ("write", gives(lambda found: [True] * len(found))),
    "write: no id": ("write", gives(lambda found: [Done("")] * len(found))),
    "write: one for all": ("write", gives(lambda found: [found[0]] * len(found))),
    "write: another's error": ("write", gives(lambda f: [KeyError()] * len(f))),
    "write: a ticket": ("write", gives(lambda _: Pending(7))),  # type: ignore[arg-type]
    "write: no time": ("write", gives(lambda _: Pending("t", "soon"))),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("what", NONSENSE)
async def test_an_answer_that_is_none_is_not_believed(
    project: Project, what: str
) -> None:
    project.worlds["three"].person(email="p0@x.org", name="P0", note="n")
    method, wrong = NONSENSE[what]
    async with project.open({method: wrong}) as hub:
        told, other = await project.both(hub)
        blamed(told, method)
        fine(other)
    await project.mended()


@pytest.mark.parametrize(
    ("method", "ask"),
    [
        ("describe", lambda hub: hub.describe("three", "people")),
        ("prepare", lambda hub: hub.prepare("three", make=False)),
    ],
)
@pytest.mark.parametrize(
    "wrong", [raises(KeyError()), raises(SystemExit()), gives(lambda _: 7)]
)
async def test_what_people_ask_for_ends_with_the_plugins_name_too(
    project: Project, method: str, ask: Any, wrong: Mischief
) -> None:
    async with project.open({method: wrong}) as hub:
        with pytest.raises(PluginError, match=f"plugin acme .*{method}"):
            await ask(hub)


@pytest.mark.parametrize(
    "wrong",
    [
        raises(KeyError()),
        gives(lambda _: []),
        gives(lambda _: {"k": None}),
        gives(lambda _: {"k": ["r"]}),
    ],
)
async def test_a_look_up_that_fails_leaves_what_was_in_doubt_in_doubt(
    project: Project, wrong: Mischief
) -> None:
    async def lost(found: Any, *args: Any, **more: Any) -> Any:
        await found(*args, **more)
        raise KeyError

    async with project.open({"write": lost}) as hub:
        await project.both(hub)
    async with project.open({"find": wrong}) as hub:
        told, _ = await project.both(hub)
        blamed(told, "find")
    assert len(project.worlds["three"].rows) == PEOPLE
    await project.mended()


async def test_what_a_plugin_has_written_before_it_raises_is_looked_up_and_not_repeated(
    project: Project,
) -> None:
    async def lost(found: Any, *args: Any, **more: Any) -> Any:
        await found(*args, **more)
        raise KeyError

    three = project.worlds["three"]
    async with project.open({"write": lost}) as hub:
        told, _ = await project.both(hub)
        blamed(told, "write")
    assert three.writes == PEOPLE
    await project.mended()
    assert three.writes == PEOPLE, "found by their record keys, not sent again"
    for row in list(project.worlds["one"].rows):
        project.worlds["one"].person(row, name="New")
    async with project.open({"write": lost}) as hub:
        told, _ = await project.both(hub)
        blamed(told, "write")
    await project.mended()
    assert three.writes == 2 * PEOPLE, "updates that hold are not sent again either"


async def test_an_outcome_of_another_record_is_not_believed(project: Project) -> None:
    await project.mended()
    for row in list(project.worlds["one"].rows):
        project.worlds["one"].person(row, name="New")
    turned = gives(lambda found: [*found[1:], found[0]])
    async with project.open({"write": turned}) as hub:
        told, other = await project.both(hub)
        blamed(told, "the outcome of another record's write")
        assert other.updated == PEOPLE
    await project.mended()


async def test_a_record_that_is_on_a_page_twice_is_one(project: Project) -> None:
    twice = gives(
        lambda page: Page(
            [*page.records, *page.records], page.next, page.mark, page.whole
        )
    )
    async with project.open({"read": twice}) as hub:
        for _ in range(2):
            told, _ = await project.both(hub)
            assert told is None
    await project.mended()


@pytest.mark.parametrize("rows", [0, 3])
async def test_pages_that_never_end_are_cut(
    project: Project, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(paging, "BARREN", 40)
    asked = []

    async def endless(_: Any, *args: Any) -> Page:
        asked.append(args)
        records = [Record(f"three{i}", {"email": f"q{i}@x.org"}) for i in range(rows)]
        return Page(records, next=f"page {len(asked)}", mark="m")

    async with project.open({"read": endless}) as hub:
        error, other = await project.both(hub)
        assert isinstance(error, PluginError)
        assert error.where == "three"
        assert "the pages of people do not end" in error.message
        assert len(asked) <= 45
        fine(other)
    await project.mended()


async def test_what_a_plugin_does_to_what_it_was_given_changes_nothing(
    project: Project,
) -> None:
    async def spoils(found: Any, resource: str, writes: Any, *, way: Any) -> Any:
        if writes[0].op == "create" and not hasattr(spoils, "again"):
            spoils.again = True  # type: ignore[attr-defined]
            for w in writes:
                w.fields.clear()
                w.links["x"] = None
            n = len(writes)
            writes.clear()
            return [Unavailable("busy")] * n
        return await found(resource, writes, way=way)

    async def eats(found: Any, resource: str, ids: Any, want: Any) -> Any:
        answer = await found(resource, list(ids), want)
        ids.clear()
        return answer

    async with project.open({"write": spoils, "fetch": eats}) as hub:
        told, other = await project.both(hub)
        assert told is None
        fine(other)
    assert {r["name"] for r in project.worlds["three"].rows.values()} == {
        f"P{i}" for i in range(PEOPLE)
    }
    await project.mended()


@pytest.mark.parametrize("method", ["fault", "heed"])
async def test_a_plugin_that_sorts_answers_wrongly_is_named(
    project: Project, method: str
) -> None:
    async def asks(found: Any, *_: Any) -> Any:
        return await found.__self__.http.get("/people")

    async def teapot(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 418, "headers": []})
        await send({"type": "http.response.body", "body": b"short and stout"})

    wrong = {"read": asks, method: raises(KeyError(CANARY))}
    async with project.open(wrong, httpx.ASGITransport(app=teapot)) as hub:
        told, other = await project.both(hub)
        blamed(told, "KeyError in read")
        fine(other)
    await project.mended()


async def test_a_plugin_that_cancels_all_tasks_interrupts_the_run_and_spoils_nothing(
    project: Project,
) -> None:
    async def cancels(found: Any, *args: Any, **more: Any) -> Any:
        for task in asyncio.all_tasks():
            task.cancel()
        return await found(*args, **more)

    async def story() -> None:
        async with project.open({"write": cancels}) as hub:
            await hub.sync("bad")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(_apart(story))
    async with project.open() as hub:
        (last, *_) = hub.runs("bad")
        assert last["status"] == "interrupted"
    await project.mended()


async def _apart(story: Callable[[], Any]) -> None:
    """In a loop of its own, so that only its tasks are there to be cancelled."""
    await asyncio.to_thread(asyncio.run, story())


async def test_a_plugin_that_presses_ctrl_c_stops_the_run_and_spoils_nothing(
    project: Project,
) -> None:
    async def story() -> None:
        async with project.open({"write": raises(KeyboardInterrupt())}) as hub:
            await hub.sync("bad")

    def run() -> str:
        try:
            asyncio.run(story())
        except KeyboardInterrupt:
            return "interrupted"
        return "done"

    assert await asyncio.to_thread(run) == "interrupted"
    async with project.open() as hub:
        (last, *_) = hub.runs("bad")
        assert last["status"] == "interrupted"
    await project.mended()


async def test_a_plugin_that_forks_leaves_no_second_hub(
    project: Project,
) -> None:
    children: list[int] = []

    async def forks(found: Any, *args: Any, **more: Any) -> Any:
        pid = os.fork()
        if pid:
            children.append(pid)
        return await found(*args, **more)

    async with project.open({"write": forks}) as hub:
        told, other = await project.both(hub)
        assert told is None
        fine(other)
    assert children
    for pid in children:
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 70
    assert project.worlds["three"].writes == PEOPLE
    await project.mended()


async def test_a_plugin_has_no_secret_to_log(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    async def gossips(found: Any, *args: Any, **_: Any) -> Any:
        me = found.__self__
        log = logging.getLogger("acme")
        log.setLevel(logging.DEBUG)
        for what in (me.config, me.http, vars(me), me.config.model_dump(), args):
            log.debug("%r %s", what, what)
        raise ValueError(repr(me.config))

    caplog.set_level(logging.DEBUG)
    async with project.open({"write": gossips}) as hub:
        told, _ = await project.both(hub)
        blamed(told, "write")
        assert CANARY not in str(told)
        assert CANARY not in str(told.receipt)  # type: ignore[union-attr]
        assert CANARY not in str(hub.runs())
    assert "acme" in {r.name for r in caplog.records}
    assert CANARY not in caplog.text


SICK = """
import sys
from connector_hub.sdk import Account, Can, Connector, Page, Resource, hookimpl

class Sick(Connector):
    name = "sick"
    base_url = "https://sick.example"
    resources = (Resource("contacts", Can.READ | Can.CREATE | Can.UPDATE),)
    class Config(Connector.Config):
        how: str
    async def check(self):
        return Account("1", "sick")
    async def read(self, resource, feed, at, want):
        if self.config.how == "exit":
            sys.exit(0)
        return {"records": []}

@hookimpl
def connector_hub_connectors():
    return [Sick]
"""


@pytest.mark.parametrize("how", ["exit", "nonsense"])
def test_the_command_line_goes_on_to_the_next_job_and_ends_with_7(
    tmp_path: Path, how: str
) -> None:
    site = tmp_path / "site"
    info = site / "sick-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "sick.py").write_text(SICK)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sick\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[connector_hub]\nsick = sick\n")
    home = tmp_path / "home"
    for name in ("a", "b"):
        (home / name).mkdir(parents=True)
    (home / "a/people.csv").write_text("id,email\n1,ana@x.org\n")
    (home / "b/people.csv").write_text("id,email,connector_hub_id\n")
    rules = "fields:\n  email: {path: email}\n"
    maps = home / "mappings/person"
    maps.mkdir(parents=True)
    (maps / "entity.yaml").write_text(
        "entity: person\nidentity: [[email]]\nfields:\n  email: {kind: email}\n"
    )
    for connector, resource in (("files", "people"), ("sick", "contacts")):
        head = f"entity: person\nconnector: {connector}\nresource: {resource}\n"
        (maps / f"{connector}.yaml").write_text(head + rules)
    (home / "hub.yaml").write_text(
        textwrap.dedent(f"""\
        connections:
          a: {{connector: files, folder: a}}
          b: {{connector: files, folder: b}}
          c: {{connector: sick, how: {how}}}
        jobs:
          bad:
            entity: person
            left: {{connection: a, resource: people}}
            right: {{connection: c, resource: contacts}}
            direction: left-to-right
          good:
            entity: person
            left: {{connection: a, resource: people}}
            right: {{connection: b, resource: people}}
            direction: left-to-right
        """)
    )
    done = subprocess.run(  # noqa: S603 - our own
        [Path(sys.executable).parent / "connector-hub", "--json", "sync"],
        cwd=home,
        env={"PYTHONPATH": str(site), "PATH": "", "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "plugin sick" in done.stderr
    assert "Please report this to the plugin's author" in done.stderr
    assert '"code":"PluginError"' in done.stdout.replace(" ", "")
    assert "ana@x.org" in (home / "b/people.csv").read_text()
