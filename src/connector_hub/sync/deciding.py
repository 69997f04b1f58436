"""Decisions about conflicts that come in a sheet: all of it is right, or nothing is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from connector_hub.diagnostics import Diagnostic, Diagnostics, did_you_mean
from connector_hub.model.conflict import FIELDS, KINDS, UNKNOWN, Conflict
from connector_hub.model.job import SideName

Row = tuple[int, Mapping[str, str]]
"""A line of a sheet and its cells by column."""
COLUMNS = ("number", "field", "take")
"""Those a sheet must have. A conflict has a line for each field that it is about."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A conflict, whose values stay, and for which fields; none for all of them."""

    conflict: Conflict
    winner: SideName
    fields: tuple[str, ...]


@dataclass(slots=True)
class Deciding:
    """Reads the lines of a sheet.

    ``known`` says whether there ever was a conflict of a number, ``sides`` the words for a job's sides.
    """

    file: str
    open: Mapping[int, Conflict]
    known: Callable[[int], bool]
    sides: Callable[[str], Mapping[str, SideName]]

    def read(self, rows: Iterable[Row]) -> list[Decided]:
        """What a sheet decides; lines whose ``take`` is empty decide nothing.

        Raises:
            Mistakes: every line that is wrong.
        """
        found = Diagnostics()
        taken: dict[tuple[int, str], tuple[SideName, Conflict]] = {}
        for line, row in rows:
            wrong, hint = self._line(row, taken)
            if wrong:
                found.add(Diagnostic(self.file, line, 1, "sheet", wrong, hint=hint))
        found.raise_if_any()
        return _joined(taken)

    def _line(
        self,
        row: Mapping[str, str],
        taken: dict[tuple[int, str], tuple[SideName, Conflict]],
    ) -> tuple[str, str]:
        """Take a line in; what is wrong with it, and a remedy."""
        missing = [c for c in COLUMNS if c not in row]
        if missing:
            return (
                f"there is no column {', '.join(missing)}",
                "start from the file that conflicts list --csv writes",
            )
        if not row["take"]:
            return "", ""
        number, name = row["number"], row["field"]
        if not (number.isascii() and number.isdigit()):
            return f"{number!r} is no number of a conflict", ""
        conflict = self.open.get(int(number))
        if conflict is None:
            is_known = self.known(int(number))
            what = "is closed" if is_known else "is not there"
            return f"conflict {number} {what}", "write the sheet anew"
        return self._take(conflict, name, row["take"], taken)

    def _take(
        self,
        conflict: Conflict,
        name: str,
        take: str,
        taken: dict[tuple[int, str], tuple[SideName, Conflict]],
    ) -> tuple[str, str]:
        sides = self.sides(conflict.job)
        if take not in sides:
            what = f"{take!r} is no side of job {conflict.job}"
            return what, did_you_mean(take, sides)
        if conflict.kind not in {FIELDS, UNKNOWN}:
            what = f"conflict {conflict.id} ({conflict.kind}) is resolved at the vendor"
            return what, KINDS.get(conflict.kind, "")
        asked = conflict.fields
        if name and name not in asked:
            what = f"conflict {conflict.id} is not about {name!r}"
            return what, did_you_mean(name, asked)
        for each in [name] if name else asked or [""]:
            at = (conflict.id, each)
            if at in taken and taken[at][0] != sides[take]:
                told = f" {each}" if each else ""
                return f"conflict {conflict.id}{told} is decided twice", ""
            taken[at] = (sides[take], conflict)
        return "", ""


def _joined(
    taken: Mapping[tuple[int, str], tuple[SideName, Conflict]],
) -> list[Decided]:
    """One decision for each conflict and side."""
    fields: dict[tuple[int, SideName], list[str]] = {}
    conflicts: dict[int, Conflict] = {}
    for (number, name), (winner, conflict) in taken.items():
        conflicts[number] = conflict
        fields.setdefault((number, winner), []).extend([name] if name else [])
    return [Decided(conflicts[n], w, tuple(f)) for (n, w), f in fields.items()]
