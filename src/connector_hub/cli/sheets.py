"""Files that commands write for people: whole or not at all, and for their owner's eyes."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from connector_hub.cli.tables import safe
from connector_hub.errors import ConfigError


@contextmanager
def private_file(
    path: Path, *, wanted: Callable[[], bool] = lambda: True
) -> Iterator[TextIO]:
    """A file that only its owner can read, in place of the old one when it is whole.

    ``wanted`` is asked at the end: without it the old one stays.

    Raises:
        ConfigError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        handle = os.open(part, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    except OSError as e:
        raise _unwritable(path, e) from None
    try:
        with os.fdopen(handle, "w", newline="", encoding="utf-8") as out:
            yield out
        if wanted():
            part.replace(path)
    except OSError as e:
        raise _unwritable(path, e) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"{path} cannot be written: {error.strerror}", hint="name another file"
    )


@contextmanager
def writing_sheet(
    file: Path, heads: Sequence[str]
) -> Iterator[Callable[[Sequence[object]], None]]:
    """A CSV file that takes rows whose cells no spreadsheet computes; see ``private_file``."""
    with private_file(file) as out:
        writer = csv.writer(out)
        writer.writerow(heads)
        yield lambda row: writer.writerow([safe(str(cell)) for cell in row])
