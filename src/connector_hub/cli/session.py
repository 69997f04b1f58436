"""What a command line was told, and how it talks back: text, or one document."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from connector_hub.hub import Hub

F = TypeVar("F", bound=Callable[..., Any])
MASK = "•••"
"""Stands where a record's value would."""


@dataclass(slots=True)
class Session:
    """One command line.

    ``opener`` is in place of ``open_hub``, for tests.
    """

    project: Path = Path()
    profile: str | None = None
    json: bool = False
    values: bool = False
    no_input: bool = False
    debug: bool = False
    opener: Callable[[Path, str | None], Any] | None = None
    active: str | None = None
    """The profile that the project was opened under."""
    told: bool = False
    """The document has been written."""
    errors: set[str] = field(default_factory=set)
    """Errors that people have been told about."""

    def take(self, **flags: Any) -> None:
        """Add flags from before or after the command; what is said later wins."""
        for name, value in flags.items():
            if value:
                setattr(self, name, value)

    def open(self) -> AbstractAsyncContextManager[Hub]:
        """The project, opened.

        Raises:
            ConfigError, PluginError: see ``open_hub``.
        """
        if self.opener is not None:
            found: AbstractAsyncContextManager[Hub] = self.opener(
                self.project, self.profile
            )
            return found
        return self._opened()

    @contextlib.asynccontextmanager
    async def _opened(self) -> AsyncIterator[Hub]:
        """The project; under a profile, that is said with everything else."""
        from connector_hub.hub import open_hub  # noqa: PLC0415 - heavy

        async with open_hub(self.project, profile=self.profile) as hub:
            self.active = hub.project.profile
            if self.active:
                self.note(f"profile {self.active}")
            yield hub

    def say(self, text: str = "", *, colour: str | None = None) -> None:
        """A line of the result, for people. Colour goes to terminals that want it."""
        _write(text, colour, err=self.json)

    def note(self, text: str = "", *, colour: str | None = None) -> None:
        """A line beside the result: progress, errors, advice."""
        _write(text, colour, err=True)

    def document(self, document: Any) -> None:
        """The one document of ``--json``; nothing without the flag or after it."""
        if self.json and not self.told:
            import orjson  # noqa: PLC0415 - only who asks for JSON pays for it

            self.told = True
            found = orjson.dumps(self._under(document), default=str)
            click.echo(found.decode())

    def line(self, document: Any) -> None:
        """A document of a command that prints many, one a line."""
        import orjson  # noqa: PLC0415 - only who asks for JSON pays for it

        click.echo(orjson.dumps(self._under(document), default=str).decode())
        sys.stdout.flush()

    def _under(self, document: Any) -> Any:
        """A document that says under which profile it was made, where it was under one."""
        return {"profile": self.active, **document} if self.active else document

    @property
    def shows_values(self) -> bool:
        """Whether people may see values: on a terminal, or when asked for."""
        return self.values or (not self.json and is_terminal(sys.stdout))

    @property
    def asks(self) -> bool:
        """Whether a person can be asked something."""
        return not self.no_input and is_terminal(sys.stdin)

    def value(self, value: Any) -> str:
        """A record's value as people read it, masked where it may not be shown."""
        return quoted(value) if self.shows_values else masked(value)


def _write(text: str, colour: str | None, *, err: bool) -> None:
    shown = printable(text)
    click.echo(click.style(shown, fg=colour) if colour else shown, err=err)


def quoted(value: Any) -> str:
    """A value in the hub's words: text in double quotes, blank as null."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(quoted(v) for v in value) + "]"
    if isinstance(value, str):
        inner = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{inner}"'
    from connector_hub.model.record import Ref  # noqa: PLC0415 - not for --help

    return f"{value.resource}/{value.id}" if isinstance(value, Ref) else str(value)


def masked(value: Any) -> str:
    """A value's place: that it is blank may be seen, what it is may not."""
    return "null" if value is None or value == () else f'"{MASK}"'


def printable(text: str) -> str:
    """Text without what a terminal would obey: vendors' values may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode()
        for c in text
    )


def is_terminal(stream: Any) -> bool:
    """Whether a person sees a stream.

    A stream that was closed before the program began is None.
    """
    return stream is not None and stream.isatty()


def plain(stream: Any) -> bool:
    """Whether a stream gets neither bars nor colours."""
    env = os.environ  # noqa: TID251 - the command line's own settings
    return (
        not is_terminal(stream)
        or bool(env.get("NO_COLOR"))
        or bool(env.get("CI"))
        or env.get("TERM") == "dumb"
    )


_FLAGS = (
    click.option(
        "--project",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Where hub.yaml is (default: here).",
    ),
    click.option(
        "--profile",
        metavar="NAME",
        help="One of hub.yaml's profiles (or CONNECTOR_HUB_PROFILE).",
    ),
    click.option("--json", is_flag=True, help="One JSON document on stdout."),
    click.option(
        "--values", is_flag=True, help="Show records' values, on no terminal, too."
    ),
    click.option("--no-input", is_flag=True, help="Never ask."),
    click.option("--debug", is_flag=True, help="Show the traceback of an error."),
)
_NAMES = ("project", "profile", "json", "values", "no_input", "debug")


def with_session(function: F) -> F:
    """Give a command the flags of all commands, and the session as first argument."""

    @functools.wraps(function)
    def wrapped(*args: Any, **options: Any) -> Any:
        session = click.get_current_context().find_object(Session)
        assert session is not None  # noqa: S101 - Root.main makes it
        session.take(**{n: options.pop(n) for n in _NAMES})
        return function(session, *args, **options)

    decorated: Any = wrapped
    for flag in reversed(_FLAGS):
        decorated = flag(decorated)
    return decorated  # type: ignore[no-any-return]
