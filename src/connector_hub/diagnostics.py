"""Several findings at once, each with its file, line, column and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from connector_hub.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding. ``line`` and ``column`` count from 1; 0 where there is no place."""

    file: str
    line: int
    column: int
    code: str
    message: str
    source: str = ""
    hint: str = ""

    def render(self) -> str:
        """As ruff tells it: what, where, the line, what to do."""
        at = self.file
        if self.line:
            at += f":{self.line}:{self.column}"
        lines = [f"error[{self.code}]: {self.message}", f"  --> {at}"]
        if self.source:
            number = str(self.line)
            pad = " " * len(number)
            lines += [
                f"{pad} |",
                f"{number} | {self.source}",
                f"{pad} | {' ' * (self.column - 1)}^",
            ]
        if self.hint:
            lines.append(f"  = help: {self.hint}")
        return "\n".join(lines)


class Diagnostics:
    """Findings, each told once, in the order of their places."""

    def __init__(self, found: Iterable[Diagnostic] = ()) -> None:
        self._found: set[Diagnostic] = set(found)

    def add(self, finding: Diagnostic) -> None:
        """Add a finding."""
        self._found.add(finding)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def render(self) -> str:
        """All findings, and how many."""
        files = len({d.file for d in self._found})
        count = f"{len(self)} mistake{'s' if len(self) != 1 else ''}"
        place = f"{files} file{'s' if files != 1 else ''}"
        return "\n\n".join([*(d.render() for d in self), f"Found {count} in {place}."])

    def raise_if_any(self) -> None:
        """Stop here when there is a finding.

        Raises:
            Mistakes: carries all of them.
        """
        if self._found:
            raise Mistakes(self)


class Mistakes(ConfigError):
    """The files of a project have mistakes."""

    def __init__(self, diagnostics: Diagnostics) -> None:
        super().__init__(diagnostics.render())
        self.diagnostics = diagnostics

    def as_json(self) -> list[dict[str, Any]]:
        """The findings as JSON values."""
        return [
            {
                "code": d.code,
                "file": d.file,
                "line": d.line,
                "column": d.column,
                "message": d.message,
                "hint": d.hint,
            }
            for d in self.diagnostics
        ]


class Outgrown(Mistakes):
    """A vendor's fields are no longer what a mapping says: jobs that do not use it go on."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest known word, or all of them."""
    words = sorted(known)
    near = get_close_matches(word, words, 1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(words)}" if words else "there are none"
