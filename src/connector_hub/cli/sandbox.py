"""``sandbox``: a vendor in memory, served on 127.0.0.1."""

from __future__ import annotations

from importlib.util import find_spec

import click

from connector_hub.cli.session import Session, with_session
from connector_hub.errors import ConfigError


@click.command()
@click.argument("name")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="P",
    help="0 (the default) is any free one.",
)
@click.option(
    "--records",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="Contacts to begin with.",
)
@click.option(
    "--companies",
    type=click.IntRange(min=0),
    metavar="N",
    help="Companies to begin with (default: a seventh of the contacts).",
)
@click.option(
    "--seed", type=int, default=0, metavar="S", help="The same seed, the same people."
)
@click.option("--unprepared", is_flag=True, help="Without the record-key fields.")
@click.option("--messy", is_flag=True, help="Twins and blanks, as real accounts have.")
@with_session
def sandbox(
    session: Session,
    *,
    name: str,
    port: int,
    records: int,
    companies: int | None,
    seed: int,
    unprepared: bool,
    messy: bool,
) -> None:
    """Serve the sandbox of connector NAME until Ctrl-C or SIGTERM.

    One JSON line on stdout tells that it is ready, where it is, and what to put into
    hub.yaml.
    """
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise ConfigError(
            "sandboxes need packages that are not installed",
            hint="pip install 'connector-hub[sandbox]'",
        )
    from connector_hub.adapters.plugins import Plugins  # noqa: PLC0415 - heavy
    from connector_hub.testing.serve import serve  # noqa: PLC0415 - an extra

    kind = Plugins().sandbox(name)
    session.told = True
    try:
        serve(
            kind,
            port=port,
            records=records,
            companies=companies,
            seed=seed,
            prepared=not unprepared,
            messy=messy,
        )
    except OSError as e:
        raise ConfigError(
            f"port {port} of 127.0.0.1 cannot be served on ({e.strerror})",
            hint="choose another with --port, or 0 for any that is free",
        ) from None
