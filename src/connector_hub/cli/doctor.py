"""``doctor``: looks at everything, and says how to mend what is wrong."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import click

from connector_hub import __version__
from connector_hub.cli.running import Interrupted, finish
from connector_hub.cli.session import Session, with_session
from connector_hub.errors import HubError

if TYPE_CHECKING:
    from connector_hub.hub import Hub

State = Literal["ok", "warn", "error"]
_COLOURS = {"ok": "green", "warn": "yellow", "error": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and what mends it."""

    state: State
    what: str
    fix: str = ""


@dataclass(slots=True)
class _Examination:
    session: Session
    found: list[Finding] = field(default_factory=list)

    def add(self, state: State, what: str, fix: str = "") -> None:
        """Tell a finding at once: a vendor may let us wait for the next."""
        self.found.append(Finding(state, what, fix))
        text = f"{state:<5} {what}" + (f"\n      fix: {fix}" if fix else "")
        self.session.say(text, colour=_COLOURS[state] if state != "ok" else None)

    @contextlib.contextmanager
    def looking(self, at: str, state: State = "error") -> Iterator[None]:
        """What goes wrong inside becomes a finding; the examination goes on."""
        try:
            yield
        except HubError as e:
            for what, fix in _parts(e):
                self.add(state, f"{at}: {what}", fix)

    def count(self, state: State) -> int:
        return sum(f.state == state for f in self.found)


def _parts(error: HubError) -> Iterable[tuple[str, str]]:
    """An error as (what, fix); mistakes in files one by one."""
    diagnostics = getattr(error, "diagnostics", None)
    if diagnostics is None:
        where = f" ({error.where})" if error.where else ""
        yield f"{error.message}{where}", error.hint
        return
    for d in diagnostics:
        at = f"{d.file}:{d.line}:{d.column}" if d.line else d.file
        yield f"{at}: {d.message}", d.hint


@click.command()
@with_session
def doctor(session: Session) -> int:
    """Look at this machine, the plugins, the project, the state and each connection."""
    exam = _Examination(session)
    exam.add("ok", f"Python {platform.python_version()}, connector-hub {__version__}")
    _plugins(exam)
    try:
        finish(_project(exam))
    except Interrupted as e:
        session.note("interrupted")
        return e.exit_code
    errors, warnings = exam.count("error"), exam.count("warn")
    session.say(f"{_plural(errors, 'error')}, {_plural(warnings, 'warning')}")
    checks = [{"state": f.state, "what": f.what, "fix": f.fix} for f in exam.found]
    session.document({"checks": checks, "errors": errors, "warnings": warnings})
    return 1 if errors else 0


def _plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _plugins(exam: _Examination) -> None:
    from connector_hub.adapters.plugins import Plugins  # noqa: PLC0415 - heavy

    plugins = Plugins()
    good = []
    for p in plugins.installed():
        with exam.looking(f"plugin {p.name}"):
            plugins.connector(p.name)
            good.append(f"{p.name} {p.version}".strip())
    if good:
        exam.add("ok", f"plugins: {', '.join(good)}")
    elif not plugins.installed():
        exam.add(
            "warn",
            "no connector plugin is installed",
            "pip install connector-hub-hubspot, or another connector",
        )


async def _project(exam: _Examination) -> None:
    from connector_hub.adapters.files import run_tests  # noqa: PLC0415 - heavy

    with exam.looking("project"):
        async with exam.session.open() as hub:
            p = hub.project
            exam.add(
                "ok",
                f"project {p.file}: {_plural(len(p.connections) + len(p.broken), 'connection')}, "
                f"{_plural(len(p.jobs), 'job')}",
            )
            with exam.looking("mappings"):
                run_tests(p).raise_if_any()
                exam.add("ok", "the mappings and their tests")
            _state(exam, hub)
            _secrets(exam, hub)
            for name in [*p.connections, *p.broken]:
                if name not in p.elsewhere:
                    await _connection(exam, hub, name)


def _state(exam: _Examination, hub: Hub) -> None:
    with exam.looking("state"):
        path = hub.state_path
        if path and not path.exists():
            exam.add("ok", f"state {path.name}: made by the first run")
            return
        hub.runs()
        size = f", {path.stat().st_size / 1e6:.1f} MB" if path else ""
        name = path.name if path else "in memory"
        exam.add("ok", f"state {name}{size}, its key opens it")


def _secrets(exam: _Examination, hub: Hub) -> None:
    from connector_hub.adapters.secrets import keyring_name  # noqa: PLC0415 - heavy

    references = [
        r for c in hub.project.connections.values() for r in c.secrets().values()
    ]
    needed = any(r.startswith("keyring:") for r in references)
    with exam.looking("keyring", "error" if needed else "warn"):
        exam.add("ok", f"keyring: {keyring_name()}")
    for name, c in hub.project.connections.items():
        if name in hub.project.elsewhere:
            continue
        for option, reference in c.secrets().items():
            with exam.looking(f"connection {name}: {option}"):
                hub.secrets.read(reference)


async def _connection(exam: _Examination, hub: Hub, name: str) -> None:
    with exam.looking(f"connection {name}"):
        live = await hub.connect(name)
        a = live.account
        exam.add("ok", f"connection {name}: {live.connector.name} account {a.id}")
        path = hub.state_path
        known = hub.store.pinned(name) if path and path.exists() else None
        if known not in {None, f"{live.connector.name}:{a.id}"}:
            exam.add(
                "error",
                f"connection {name} belonged to account {known}",
                "give back the old credentials, or use a connection of another name",
            )
        if a.lacks:
            exam.add("warn", f"connection {name} lacks {', '.join(a.lacks)}")
