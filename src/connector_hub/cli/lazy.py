"""Groups that import a command when it is called, and the outermost one."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from connector_hub.cli import failures
from connector_hub.cli.session import Session, plain

Sections = Mapping[str, Mapping[str, tuple[str, str]]]
"""Heading -> command -> (module:attribute, one line of help)."""


class LazyGroup(click.Group):
    """A group whose commands are named by where they are."""

    def __init__(
        self, *args: Any, sections: Sections | None = None, **more: Any
    ) -> None:
        super().__init__(*args, **more)
        self.sections = sections or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the sections."""
        listed = [name for found in self.sections.values() for name in found]
        return listed or list(self.commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by name, imported now."""
        for found in self.sections.values():
            if cmd_name in found:
                module, _, attribute = found[cmd_name][0].partition(":")
                home = import_module(f"connector_hub.cli.{module}")
                command: click.Command = getattr(home, attribute)
                return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is meant.

        Raises:
            UsageError: there is none of that name; the nearest is told.
        """
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            from connector_hub.diagnostics import did_you_mean  # noqa: PLC0415

            hint = did_you_mean(name, self.list_commands(ctx))
            raise click.UsageError(f"There is no command {name!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """List the commands by section, without importing one."""
        if not self.sections:
            super().format_commands(ctx, formatter)
            return
        width = max(len(name) for name in self.list_commands(ctx))
        for heading, found in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(n.ljust(width), h) for n, (_, h) in found.items()])


class Root(LazyGroup):
    """The outermost group: runs a command line to its exit code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - click's signature
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002
        **extra: Any,
    ) -> Any:
        """Run and leave with the exit code of design section 9.

        Raises:
            SystemExit: always.
        """
        given = list(sys.argv[1:] if args is None else args)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        session = extra.setdefault("obj", Session())
        extra.setdefault("color", False if plain(sys.stdout) else None)
        try:
            code = self._run(given, session, prog_name, complete_var, extra)
            if sys.stdout is not None:
                sys.stdout.flush()
        except BrokenPipeError:
            code = _nobody_reads()
        sys.exit(code)

    def _run(
        self,
        given: list[str],
        session: Session,
        prog_name: str | None,
        complete_var: str | None,
        extra: dict[str, Any],
    ) -> int:
        out = sys.stdout
        try:
            done = super().main(
                given, prog_name, complete_var, standalone_mode=False, **extra
            )
        except SystemExit as e:
            if sys.stdout is not out:  # click has met a broken pipe and silenced it
                return _nobody_reads()
            return failures.tell(session, e)
        except BrokenPipeError:
            raise
        except BaseException as e:  # noqa: BLE001 - the last one who can tell it
            if "--json" in given:
                session.json = True
            if "--debug" in given:
                session.debug = True
            return failures.tell(session, e)
        return done if isinstance(done, int) else 0


def _nobody_reads() -> int:
    """The reader went away (``| head``): end without a word, as other tools do."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    return 141
