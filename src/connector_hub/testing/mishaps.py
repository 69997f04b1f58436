"""What may go wrong, at which call to a vendor or at which commit of the state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

Where = Literal["call", "commit"]
Kind = Literal[
    "crash", "refused", "reset", "lost", "late", "error", "busy", "garbage", "person"
]
BEFORE_OR_AFTER: tuple[Kind, ...] = ("crash", "error", "garbage", "person")
"""Kinds that strike before what they strike takes effect, or after."""
ONLY_ONCE: tuple[Kind, ...] = ("refused", "reset", "lost", "busy")
_TEXT = re.compile(
    r"(?P<where>call|commit) (?P<at>\d+): (?P<kind>[a-z]+)(?P<after> after)?(?: by (?P<later>\d+))?"
)


class Crash(BaseException):
    """The hub's process is gone: nothing may tidy up after it."""


@dataclass(frozen=True, slots=True)
class Mishap:
    """One thing that goes wrong.

    As text: ``call 7: crash after``, ``commit 3: crash``, ``call 4: late by 5``.

    Args:
        where: whether ``at`` counts calls to vendors or commits of the state, each from 0 over all runs.
        at: the number of the call or commit.
        kind: ``crash``: the hub is gone. ``refused``: no connection, nothing was sent. ``reset``: sent, not
            applied, no answer. ``lost``: applied, no answer. ``late``: no answer, applied later. ``error``:
            status 500. ``busy``: status 429 with Retry-After. ``garbage``: a page of HTML with status 200.
            ``person``: somebody edits.
        after: whether it strikes when the call or commit has taken effect.
        later: of ``late``: after so many further calls; 0 is when all runs are over.
    """

    where: Where
    at: int
    kind: Kind
    after: bool = False
    later: int = 0

    def __str__(self) -> str:
        by = f" by {self.later}" if self.later else ""
        return f"{self.where} {self.at}: {self.kind}{' after' * self.after}{by}"

    @classmethod
    def parse(cls, text: str) -> Mishap:
        """From ``str()``.

        Raises:
            ValueError: it is none.
        """
        found = _TEXT.fullmatch(text.strip())
        if found is None or found["kind"] not in get_args(Kind):
            raise ValueError(f"{text!r} is no mishap")
        where, at, kind, after, later = found.groups()
        return cls(where, int(at), kind, bool(after), int(later or 0))  # type: ignore[arg-type]


def every_kind(*, later: int = 4) -> list[tuple[Kind, bool, int]]:
    """What can strike a call: (kind, whether after it takes effect, by how many calls it is late)."""
    both = [(k, after, 0) for k in BEFORE_OR_AFTER for after in (False, True)]
    return [*both, *((k, False, 0) for k in ONLY_ONCE), ("late", False, later)]
