"""The keys of hub.yaml that say when a job runs, who is told, and what a profile changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def every(files: Files, text: str) -> None:
    files.edit("direction: left", f"every: {text}\n    direction: left")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ('"1h"', 3600)],
)
def test_a_job_is_kept_to_its_every(files: Files, text: str, seconds: float) -> None:
    every(files, text)
    assert files.load().jobs["people"].every == seconds


def test_a_job_without_every_is_not_scheduled(files: Files) -> None:
    assert files.load().jobs["people"].every is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("often", "'often' is not a length of time"),
        ("15", "'15' is not a length of time"),
        ("0m", "'0m' is not a length of time between 1s and 365d"),
        ("366d", "'366d' is not a length of time between 1s and 365d"),
        ("5 m", "'5 m' is not a length of time"),
        ("-5m", "'-5m' is not a length of time"),
        ("\u0665m", "'\u0665m' is not a length of time"),
        ("99999999999999999999d", "is not a length of time"),
        ("[5m]", "is not a length of time"),
        ("true", "'True' is not a length of time"),
    ],
)
def test_a_length_of_time_that_is_none_is_told_at_its_place(
    files: Files, text: str, said: str
) -> None:
    every(files, text)
    (found,) = files.mistakes()
    assert said in found.message
    assert (found.line, found.column) == (10, 12)
    assert found.hint == "write 30m, 24h or 7d"
