"""CSV files that people fill in."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

from connector_hub.errors import ConfigError


def read_sheet(file: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file with their lines, values stripped, by column.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as source:
            rows = csv.DictReader(source)
            for row in rows:
                yield (
                    rows.line_num,
                    {
                        k: (v or "").strip()
                        for k, v in row.items()
                        if isinstance(k, str)
                    },
                )
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        what = e.strerror if isinstance(e, OSError) else "it is not a CSV file in UTF-8"
        raise ConfigError(f"{file} cannot be read: {what}") from None
