"""The tool that looks for what no test notices notices it itself."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import LONG

TOOL = Path(__file__).resolve().parents[2] / "bench" / "mutants.py"
pytestmark = pytest.mark.skipif(
    not LONG or importlib.util.find_spec("mutmut") is None,
    reason="asked for by make prove, with the extra `prove`",
)


def ran(*words: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, str(TOOL), "--again", "--only", "model/newest", *words],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_the_tests_of_a_module_notice_whatever_is_changed_in_it() -> None:
    code, told = ran("--tests", "tests/model/test_newest.py")
    assert code == 0, told
    assert "15 of 15 killed: 100.0 %" in told


def test_tests_that_look_elsewhere_notice_nothing() -> None:
    code, told = ran("--tests", "tests/model/test_transforms.py", "--sample", "4")
    assert code == 1, told
    assert "0 of 4 killed: 0.0 % (95 %: 0.0 to 49.0; of 15)" in told
    assert "unreached model.newest.later" in told
