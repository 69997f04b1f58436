"""``init`` and ``check``: a project begins, and is looked over."""

from __future__ import annotations

from pathlib import Path

import click

from connector_hub.cli.running import finish_command
from connector_hub.cli.session import Session, with_session
from connector_hub.errors import ConfigError

_IGNORED = ("hub.key*", "hub.db*")
_PROJECT = """\
# yaml-language-server: $schema=.connector-hub/schemas/hub.schema.json
# What is kept in agreement. Secrets stand elsewhere; here are references to them:
# keyring:NAME, env:NAME or file:PATH.
state: sqlite:///hub.db
key: file:hub.key          # keep it: without it the state cannot be read

connections: {}
jobs: {}

# A first job. Put it in place of the two lines above, then:
#   connector-hub connect sales      asks for the token, tests it, stores it
#   connector-hub prepare billing    makes the field that holds the record key
#   connector-hub plan               shows what would be done
#   connector-hub sync               does it
#
# connections:
#   sales:
#     connector: hubspot
#     token: keyring:sales
#     region: ID             # of phone numbers without a country code
#   billing:
#     connector: salesforce
#     base_url: https://example.my.salesforce.com
#     client_id: ${SALESFORCE_CLIENT_ID}
#     client_secret: env:SALESFORCE_CLIENT_SECRET
#     region: ID
#
# jobs:
#   companies:
#     entity: company
#     left: {connection: sales, resource: companies}
#     right: {connection: billing, resource: Account}
#     direction: left-to-right
#   contacts:
#     entity: contact
#     left: {connection: sales, resource: contacts}
#     right: {connection: billing, resource: Contact}
#     direction: left-to-right
#     every: 15m               # connector-hub run keeps to it
"""


@click.command()
@click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=click.Path(file_okay=False, path_type=Path),
)
@with_session
def init(session: Session, folder: Path | None) -> None:
    """Start a project in DIR (default: here). What is there already is kept."""
    from connector_hub.adapters import schemas  # noqa: PLC0415 - heavy

    home = folder or session.project
    made: list[str] = []
    kept: list[str] = []
    try:
        home.mkdir(parents=True, exist_ok=True)
        _text(home / "hub.yaml", _PROJECT, made, kept)
        _folder(home / "mappings", made, kept)
        _key(home, made, kept)
        _ignore(home / ".gitignore", made, kept)
        schemas.write(home)
    except OSError as e:
        raise ConfigError(
            f"{e.filename or home} cannot be written ({e.strerror})", where=str(home)
        ) from None
    made.append(f"{schemas.FOLDER}/")
    session.say(f"made  {'  '.join(made)}")
    if kept:
        session.say(f"kept  {'  '.join(kept)}")
    session.say("\nNext: write connections and jobs into hub.yaml, then")
    session.say("  connector-hub check    look it over")
    session.say("  connector-hub plan     see what a sync would do")
    session.say("No account? connector-hub sandbox hubspot --records 200")
    session.document({"folder": str(home), "made": made, "kept": kept})


def _text(path: Path, text: str, made: list[str], kept: list[str]) -> None:
    try:
        with path.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        kept.append(path.name)
    else:
        made.append(path.name)


def _folder(path: Path, made: list[str], kept: list[str]) -> None:
    (kept if path.is_dir() else made).append(f"{path.name}/")
    path.mkdir(exist_ok=True)


def _key(home: Path, made: list[str], kept: list[str]) -> None:
    """A new key, unless a state is there that another key has sealed.

    Raises:
        ConfigError: the state is there, its key is not.
    """
    from connector_hub.hub import write_key  # noqa: PLC0415 - heavy

    path, state = home / "hub.key", home / "hub.db"
    if path.exists():
        kept.append(path.name)
        return
    if state.exists():
        raise ConfigError(
            "the state hub.db is there, its key hub.key is not",
            where=str(home),
            hint="give back the key file; without it the state cannot be read",
        )
    write_key(path)
    made.append(path.name)


def _ignore(path: Path, made: list[str], kept: list[str]) -> None:
    """Keep key and state out of git; lines that are there stay."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    lacking = [name for name in _IGNORED if name not in text.split()]
    if not lacking:
        kept.append(path.name)
        return
    if text and not text.endswith("\n"):
        text += "\n"
    path.write_text(text + "".join(f"{n}\n" for n in lacking), encoding="utf-8")
    made.append(path.name)


@click.command()
@click.option("--offline", is_flag=True, help="Files and mapping tests only.")
@with_session
def check(session: Session, *, offline: bool) -> int:
    """Look for mistakes in the files, run the mappings' tests, ask each connection."""

    async def work() -> None:
        async with session.open() as hub:
            lines = await hub.check(live=not offline)
        for text in lines:
            session.say(f"ok  {text}")
        session.document({"ok": lines})

    return finish_command(session, work())
