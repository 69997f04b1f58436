"""Columns of text."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from connector_hub.adapters.sheets import FORMULA

_GAP = "  "


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str
) -> list[str]:
    """Lines of a table, its columns aligned; ``empty`` where there are no rows."""
    if not rows:
        return [empty]
    lines = [tuple(heads), *(tuple(" ".join(c.split()) for c in row) for row in rows)]
    widths = [max(map(width, column)) for column in zip(*lines, strict=True)]
    return [
        _GAP.join(
            cell + " " * (wide - width(cell))
            for cell, wide in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def width(text: str) -> int:
    """Columns a text takes on a terminal (Unicode Standard Annex 11)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text
    )


def safe(cell: str) -> str:
    """A cell of a CSV that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.lstrip("'").startswith(FORMULA) else cell
