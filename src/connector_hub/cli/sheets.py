"""CSV files for people to fill in."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from connector_hub.cli.tables import safe
from connector_hub.errors import ConfigError


@contextmanager
def writing_sheet(
    file: Path, heads: Sequence[str]
) -> Iterator[Callable[[Sequence[object]], None]]:
    """A CSV file that only its owner can read; takes rows whose cells no spreadsheet computes.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        handle = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    except OSError as e:
        raise ConfigError(
            f"{file} cannot be written: {e.strerror}", hint="name another file"
        ) from None
    with os.fdopen(handle, "w", newline="", encoding="utf-8") as out:
        os.fchmod(handle, 0o600)
        writer = csv.writer(out)
        writer.writerow(heads)
        yield lambda row: writer.writerow([safe(str(cell)) for cell in row])
