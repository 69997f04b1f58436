"""One file as a table: CSV (RFC 4180) or JSON Lines, replaced in one step when it is written."""

from __future__ import annotations

import contextlib
import csv
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from connector_hub.sdk import ConfigError

Row = dict[str, Any]
csv.field_size_limit(1 << 27)


@dataclass(frozen=True, slots=True)
class Table:
    """A file of rows; ``id`` is the column that names them."""

    path: Path
    id: str

    @property
    def lines(self) -> bool:
        """Whether the file is JSON Lines."""
        return self.path.suffix == ".jsonl"

    def stamp(self) -> str:
        """Changes whenever the file does."""
        at = self.path.stat()
        return f"{at.st_mtime_ns}.{at.st_size}.{at.st_ino}"

    def rows(self) -> Iterator[Row]:
        """The rows, one at a time.

        Raises:
            ConfigError: names the file and line that cannot be read.
        """
        seen: set[str] = set()
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as source:
                for line, row in (
                    self._json(source) if self.lines else self._csv(source)
                ):
                    name = str(row.get(self.id) or "")
                    if not name:
                        raise self._wrong(line, f"column {self.id!r} is empty")
                    if name in seen:
                        raise self._wrong(line, f"{self.id} is there twice")
                    seen.add(name)
                    yield row
        except UnicodeDecodeError:
            raise self._wrong(1, "it is not UTF-8") from None
        except OSError as e:
            raise ConfigError(f"{self.path} cannot be read: {e.strerror}") from None

    def _wrong(self, line: int, what: str) -> ConfigError:
        return ConfigError(
            f"{self.path}:{line}: {what}", hint="mend the file and run again"
        )

    def _csv(self, source: TextIO) -> Iterator[tuple[int, Row]]:
        reader = csv.reader(source, strict=True)
        try:
            header = next(reader, [])
            if self.id not in header:
                raise self._wrong(1, f"there is no column {self.id!r}")
            twice = [n for i, n in enumerate(header) if n in header[:i]]
            if twice:
                raise self._wrong(1, f"column {twice[0]!r} is there twice")
            for values in reader:
                if not values:
                    continue
                if len(values) != len(header):
                    raise self._wrong(
                        reader.line_num,
                        f"{len(values)} values, the header has {len(header)}",
                    )
                yield reader.line_num, dict(zip(header, values, strict=True))
        except csv.Error as e:
            raise self._wrong(reader.line_num, str(e)) from None

    def _json(self, source: TextIO) -> Iterator[tuple[int, Row]]:
        for line, text in enumerate(source, 1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except ValueError:
                raise self._wrong(line, "this is not a JSON object") from None
            if not isinstance(row, dict):
                raise self._wrong(line, "this is not a JSON object")
            yield line, row

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Row]]:
        """All rows by id, to be changed; written back in one step when the block ends well."""
        lock = os.open(
            self.path.parent / f".{self.path.name}.lock", os.O_CREAT | os.O_RDWR, 0o600
        )
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            rows = {str(r[self.id]): r for r in self.rows()}
            header = self._header()
            yield rows
            self._replace(rows, header)
        finally:
            os.close(lock)

    def _header(self) -> list[str]:
        if self.lines:
            return []
        with self.path.open(encoding="utf-8-sig", newline="") as source:
            return next(csv.reader(source), [])

    def _replace(self, rows: dict[str, Row], header: list[str]) -> None:
        handle, name = tempfile.mkstemp(
            dir=self.path.parent, prefix=f".{self.path.name}."
        )
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
                self._write(out, rows, header)
                out.flush()
                os.fsync(out.fileno())
            Path(name).chmod(self.path.stat().st_mode & 0o777)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _write(self, out: TextIO, rows: dict[str, Row], header: list[str]) -> None:
        if self.lines:
            out.writelines(
                json.dumps(row, ensure_ascii=False) + "\n" for row in rows.values()
            )
            return
        columns = list(dict.fromkeys([*header, *(c for r in rows.values() for c in r)]))
        writer = csv.DictWriter(out, columns, restval="", lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows.values())
