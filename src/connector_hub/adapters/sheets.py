"""CSV files that people fill in, in a spreadsheet or by hand."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from connector_hub.errors import ConfigError

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet would take a cell for a formula by (OWASP, CSV Injection)."""


def read_sheet(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file with their lines, values stripped, by column.

    Commas or semicolons separate, as spreadsheets of different countries have it.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as source:
            head = source.readline()
            source.seek(0)
            by = ";" if ";" in head and "," not in head else ","
            rows = csv.DictReader(source, delimiter=by)
            for row in rows:
                yield (
                    rows.line_num,
                    {
                        k: _plain((v or "").strip())
                        for k, v in row.items()
                        if isinstance(k, str)
                    },
                )
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        what = e.strerror if isinstance(e, OSError) else "it is not a CSV file in UTF-8"
        raise ConfigError(f"{file} cannot be read: {what}") from None


def _plain(cell: str) -> str:
    """A cell without the quote that made it safe."""
    quoted = cell[:1] == "'" and cell.lstrip("'").startswith(FORMULA)
    return cell[1:] if quoted else cell
