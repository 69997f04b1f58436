"""``doctor``: looks at everything, and says how to mend what is wrong."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from connector_hub import __version__
from connector_hub.cli.outcomes import duration, length
from connector_hub.cli.running import Interrupted, finish
from connector_hub.cli.session import Session, with_session
from connector_hub.errors import ConfigError, HubError

if TYPE_CHECKING:
    from connector_hub.hub import Hub
    from connector_hub.model.standing import Rival

State = Literal["ok", "warn", "error"]
_PATIENCE = "wait: `connector-hub run` looks by itself whether it is back"
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
        yield f"{error.told}{where}", error.hint
        return
    for d in diagnostics:
        at = f"{d.file}:{d.line}:{d.column}" if d.line else d.file
        yield f"{at}: {d.message}", d.hint


@click.command()
@click.option(
    "--key-saved",
    "copy",
    metavar="COPY",
    help="A copy of the state's key that is kept elsewhere: a file, or - for stdin.",
)
@with_session
def doctor(session: Session, *, copy: str | None) -> int:
    """Look at this machine, the plugins, the project, the state, each connection, and what should run."""
    exam = _Examination(session)
    exam.add("ok", f"Python {platform.python_version()}, connector-hub {__version__}")
    _plugins(exam)
    try:
        finish(_project(exam, copy))
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


def _copy(file: str, project: Path) -> str:
    """A copy of the key that is kept elsewhere.

    Raises:
        ConfigError: it cannot be read, or lies in the project's own folder.
    """
    if file == "-":
        return sys.stdin.readline()
    path = Path(file)
    if path.resolve().is_relative_to(project.resolve()):
        raise ConfigError(
            f"{file} lies in the project's folder: what takes one takes the other",
            hint="keep the copy on another machine, or in a password manager, and pipe it in: -",
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{file} cannot be read as a copy of the key") from None


def _confirm(exam: _Examination, hub: Hub, file: str) -> None:
    with exam.looking("key"):
        hub.confirm_key(_copy(file, hub.project.folder))


async def _project(exam: _Examination, copy: str | None) -> None:
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
            if copy is not None:
                _confirm(exam, hub, copy)
            _state(exam, hub)
            _secrets(exam, hub)
            for name in [*p.connections, *p.broken]:
                if name not in p.elsewhere:
                    await _connection(exam, hub, name)
            with exam.looking("state"):
                _running(exam, hub)


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
        _key(exam, hub)
        kept = ", ".join(f"{n:,} {kind}" for kind, n in hub.unforgotten().items())
        if kept:
            exam.add(
                "warn",
                f"state {name} keeps beyond their time: {kept}; any run forgets them",
                "connector-hub sync, or connector-hub erase --expired",
            )


def _key(exam: _Examination, hub: Hub) -> None:
    """Whether the state outlives this machine's disk: a key of the environment is kept by who sets it."""
    reference, saved = hub.project.key, hub.key_saved()
    if saved is not None:
        exam.add("ok", f"key {reference}: a copy was shown on {saved[:10]}")
    elif not reference.startswith("env:"):
        exam.add(
            "warn",
            f"key {reference}: no copy is known; without the key the state cannot be read",
            "keep a copy elsewhere, then: connector-hub doctor --key-saved COPY",
        )


def _running(exam: _Examination, hub: Hub) -> None:
    """What should run and does not, and who else writes."""
    now = hub.clock.now()
    for job, began, status in hub.overdue():
        every = length(hub.job(job).every or 0)
        ran = "it has never run"
        if began is not None:
            ago = duration((now - began).total_seconds())
            ran = f"it last ran {ago} ago ({status})"
        exam.add(
            "warn",
            f"job {job} is to run every {every}; {ran}",
            "start `connector-hub run`, or take away its `every`",
        )
    path = hub.state_path
    if path is not None and not path.exists():
        return
    for s in hub.standings():
        exam.add("warn", s.told(), s.remedy() or _PATIENCE)
    for receiver, why, at in hub.untold():
        exam.add(
            "warn",
            f"{receiver.way.label()} could not be told for {duration((now - at).total_seconds())}: {why}",
            "connector-hub notify --test",
        )
    for r in hub.rivals():
        if r.job in hub.project.jobs:
            _rival(exam, hub, r)


def _rival(exam: _Examination, hub: Hub, rival: Rival) -> None:
    where = hub.job(rival.job).side(rival.side).connection
    of = _plural(rival.records, "record")
    again = f", of one {rival.times} times" if rival.times > 1 else ""
    exam.add(
        "warn",
        f"job {rival.job}: user {rival.user} of {where} changed {rival.field} of {of}{again} "
        "within an hour after the hub had written it",
        "if that is another integration, let one of the two write this field: "
        f"fields: {{{rival.field}: {{from: CONNECTION}}}}",
    )


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
        if a.lacks:
            exam.add("warn", f"connection {name} lacks {', '.join(a.lacks)}")
