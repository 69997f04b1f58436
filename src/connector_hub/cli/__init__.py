"""The command line: words in, ``Hub`` methods, words or one JSON document out."""

from __future__ import annotations


def main() -> None:
    """Run ``connector-hub`` with the process's arguments."""
    from connector_hub.cli.app import cli  # noqa: PLC0415 - importing the room is free

    cli.main(prog_name="connector-hub")
