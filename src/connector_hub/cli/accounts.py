"""``connectors``, ``connect``, ``describe``, ``prepare``: our accounts at vendors."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table
from connector_hub.errors import ConfigError

if TYPE_CHECKING:
    from connector_hub.hub import Hub, Live
    from connector_hub.sdk.connector import FieldInfo, Resource


@click.command()
@with_session
def connectors(session: Session) -> None:
    """List the connectors that are installed, without importing them."""
    from connector_hub.adapters.plugins import Plugins  # noqa: PLC0415 - heavy

    found = Plugins().installed()
    rows = [(p.name, p.version, p.distribution) for p in found]
    for text in table(("CONNECTOR", "VERSION", "PACKAGE"), rows, empty="none"):
        session.say(text)
    session.document(
        {
            "connectors": [
                {"name": p.name, "version": p.version, "distribution": p.distribution}
                for p in found
            ]
        }
    )


class _Typed:
    """Secrets just given, before those that are stored already."""

    def __init__(self, given: Mapping[str, str], stored: Any) -> None:
        self._given = given
        self._stored = stored

    def read(self, reference: str) -> str:
        """The secret behind a reference.

        Raises:
            ConfigError: there is none.
        """
        if reference in self._given:
            return self._given[reference]
        text: str = self._stored.read(reference)
        return text


@dataclass(frozen=True, slots=True)
class _How:
    """How a person is asked."""

    piped: bool
    browser: bool
    paste: bool
    seconds: float


@click.command()
@click.argument("name")
@click.option(
    "--stdin",
    "piped",
    is_flag=True,
    help="Read the secrets from stdin, one a line, in the order they are asked for.",
)
@click.option("--no-browser", is_flag=True, help="Print the address, open nothing.")
@click.option(
    "--paste",
    is_flag=True,
    help="The browser is on another machine: ask for the address it ends at.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=1),
    default=300.0,
    metavar="SECONDS",
    help="How long to wait for a yes in the browser (default: 300).",
)
@with_session
def connect(
    session: Session,
    *,
    name: str,
    piped: bool,
    no_browser: bool,
    paste: bool,
    timeout: float,
) -> int:
    """Get what connection NAME signs with, test it, then store it.

    Where a person has to agree, a browser opens at the vendor; what comes of it is kept,
    encrypted, in the state. Other secrets are asked for, and stored where hub.yaml's
    references point to once the vendor has accepted them. Secrets behind env: references
    are not asked for: set the variables yourself.
    """
    how = _How(piped, not (no_browser or paste), paste, timeout)

    async def work() -> None:
        async with session.open() as hub:
            await _connect(session, hub, name, how)

    return finish_command(session, work())


async def _connect(session: Session, hub: Hub, name: str, how: _How) -> None:
    given = _given(session, hub, name, how)
    live = await _connected(session, hub, name, how, _Typed(given, hub.secrets))
    account = live.account
    session.say(f"ok  {name} answers: account {account.id} ({account.name})")
    for reference, secret in given.items():
        hub.secrets.store(reference, secret)
        session.say(f"ok  stored at {reference}")
    agreed = hub.asks_person(name)
    if agreed:
        session.say("ok  the token is kept in the state, encrypted")
    if account.lacks:
        session.say(f"warn  it lacks {', '.join(account.lacks)}")
    session.document(
        {
            "connection": name,
            "account": {"id": account.id, "name": account.name},
            "stored": list(given),
            "agreed": agreed,
            "lacks": list(account.lacks),
        }
    )


def _given(session: Session, hub: Hub, name: str, how: _How) -> dict[str, str]:
    """Secrets by reference, asked for one by one; where a person agrees, only those not there yet."""
    given: dict[str, str] = {}
    agreeing = hub.asks_person(name)
    for option, reference in hub.connection(name).secrets().items():
        if reference.startswith("env:"):
            variable = reference.removeprefix("env:")
            session.note(f"{option}: taken from the variable {variable}; set it there")
        elif not (agreeing and _is_there(hub, reference)):
            given[reference] = _secret(session, name, option, piped=how.piped)
    return given


def _is_there(hub: Hub, reference: str) -> bool:
    try:
        hub.secrets.read(reference)
    except ConfigError:
        return False
    return True


async def _connected(
    session: Session, hub: Hub, name: str, how: _How, secrets: _Typed
) -> Live:
    if not hub.asks_person(name):
        return await hub.connect(name, secrets=secrets)

    def tell(url: str) -> None:
        session.note(f"open this address and agree:\n\n  {url}\n")
        if how.browser and not session.no_input:
            _browse(url)
        if not how.paste:
            session.note(f"waiting {how.seconds:,.0f} s for your answer there")

    def paste() -> str:
        if session.asks:
            session.note("then paste the address that the browser ends at:")
        return sys.stdin.readline()

    return await hub.consent(
        name,
        tell=tell,
        paste=paste if how.paste else None,
        seconds=how.seconds,
        secrets=secrets,
    )


def _browse(url: str) -> None:
    """Open a browser that has a window: one in the terminal would take it over."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return
    windowed = not isinstance(browser, webbrowser.GenericBrowser) or isinstance(
        browser, webbrowser.BackgroundBrowser
    )
    if windowed:
        browser.open(url)


def _secret(session: Session, name: str, option: str, *, piped: bool) -> str:
    """One secret, typed unseen or piped in.

    Raises:
        ConfigError: nobody can be asked, or nothing was given.
    """
    if piped:
        secret = sys.stdin.readline().rstrip("\r\n")
    elif session.asks:
        secret = click.prompt(
            f"{name} {option} (input hidden)", hide_input=True, err=True
        )
    else:
        raise ConfigError(
            f"{option} of {name} must be asked for, and nobody can be asked here",
            where=name,
            hint="run it on a terminal without --no-input, or pipe it in with --stdin",
        )
    if not secret.strip():
        raise ConfigError(f"no {option} was given", where=name, hint="nothing changed")
    return secret.strip()


@click.command()
@click.argument("connection")
@click.argument("resource")
@with_session
def describe(session: Session, connection: str, resource: str) -> int:
    """List the fields of a RESOURCE behind a CONNECTION, live from the vendor."""

    async def work() -> None:
        async with session.open() as hub:
            found = await hub.describe(connection, resource)
        for text in _described(found):
            session.say(text)
        session.document({"connection": connection, **_resource_json(found)})

    return finish_command(session, work())


def _described(resource: Resource) -> list[str]:
    can = ", ".join(c.name.lower() for c in resource.can if c.name)
    rows = [
        (f.path, f.type, ", ".join(_marks(f)), f.label, _choices(f))
        for f in resource.fields
    ]
    heads = ("PATH", "TYPE", "IS", "LABEL", "CHOICES")
    return [f"{resource.name}   can {can}", "", *table(heads, rows, empty="no fields")]


def _marks(field: FieldInfo) -> list[str]:
    marks = (
        ("required", field.required),
        ("unique", field.unique),
        ("read only", field.read_only),
    )
    return [word for word, true in marks if true]


def _choices(field: FieldInfo) -> str:
    if field.refers_to:
        return f"-> {', '.join(field.refers_to)}"
    shown = ", ".join(field.options[:6])
    more = len(field.options) - 6
    return f"{shown}, {more} more" if more > 0 else shown


def _resource_json(resource: Resource) -> dict[str, Any]:
    return {
        "resource": resource.name,
        "can": [c.name.lower() for c in resource.can if c.name],
        "effect": resource.effect.value,
        "links": list(resource.links),
        "fields": [
            {
                "path": f.path,
                "label": f.label,
                "type": f.type,
                "required": f.required,
                "unique": f.unique,
                "read_only": f.read_only,
                "options": list(f.options),
                "closed": f.closed,
                "refers_to": list(f.refers_to),
                "length": f.length,
            }
            for f in resource.fields
        ],
    }


@click.command()
@click.argument("connection")
@click.option("--yes", is_flag=True, help="Make it without asking.")
@with_session
def prepare(session: Session, *, connection: str, yes: bool) -> int:
    """Show the record-key fields a CONNECTION still lacks, ask, and make them."""

    async def work() -> None:
        async with session.open() as hub:
            lacking = await hub.prepare(connection, make=False)
            for text in lacking:
                session.say(f"+ {text}")
            made = bool(lacking) and _agreed(session, connection, yes=yes)
            if made:
                await hub.prepare(connection, make=True)
        session.say(_prepared(connection, lacking, made=made))
        session.document({"connection": connection, "lacking": lacking, "made": made})

    return finish_command(session, work())


def _agreed(session: Session, connection: str, *, yes: bool) -> bool:
    """Whether a person wants it made.

    Raises:
        ConfigError: nobody can be asked.
    """
    if yes:
        return True
    if not session.asks:
        raise ConfigError(
            "making fields at a vendor needs a yes, and nobody can be asked here",
            where=connection,
            hint="run it again with --yes",
        )
    return click.confirm(f"Make this at {connection}?", err=True)


def _prepared(connection: str, lacking: list[str], *, made: bool) -> str:
    if not lacking:
        return f"{connection} has all it needs"
    return f"made at {connection}" if made else "nothing was made"
