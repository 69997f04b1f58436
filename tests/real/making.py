"""Environments of clients nobody here wrote: made once from pinned lists, kept outside what git tracks.

``python -m tests.real.making`` makes all of them; a test that finds one missing says so and is skipped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LISTS = HERE / "environments"
KEPT = HERE.parent.parent / ".real"
_ASKED = re.compile(r"#\s*python\s+(3\.\d+)(?:\s*-\s*(3\.\d+))?")
_SECONDS = 900


class NotMade(Exception):
    """Why an environment is not there."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A folder with a client in it.

    Args:
        name: the folder of its lists.
        pins: the files that say what is in it.
    """

    name: str
    pins: tuple[Path, ...]

    @property
    def node(self) -> bool:
        """Whether it is Node's."""
        return self.pins[0].suffix == ".json"

    @property
    def folder(self) -> Path:
        """Where it is kept: other pins, another folder."""
        told = hashlib.sha256(b"\0".join(p.read_bytes() for p in self.pins))
        return KEPT / f"{self.name}-{told.hexdigest()[:12]}"

    @property
    def interpreter(self) -> str:
        """What runs a driver in it."""
        return "node" if self.node else str(self.folder / "bin" / "python")

    @property
    def made(self) -> bool:
        """Whether it is whole."""
        return (self.folder / ".made").exists()

    def make(self) -> None:
        """Make it, unless it is there; whoever makes it at the same time is waited for.

        Raises:
            NotMade: the registry is not reached, or the machine lacks what it takes.
        """
        with _alone(self.name):
            if self.made:
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            for old in KEPT.glob(f"{self.name}-{'?' * 12}"):
                shutil.rmtree(old, ignore_errors=True)
            if self.node:
                self._node()
            else:
                self._venv()
            (self.folder / ".made").touch()

    def _venv(self) -> None:
        python = _python(self.pins[0].read_text())
        _run([python, "-m", "venv", "--without-pip", str(self.folder)])
        pip = [sys.executable, "-m", "pip", "--python", self.interpreter]
        words = ["install", "--quiet", "--no-input", "--no-deps", "--no-warn-conflicts"]
        _run([*pip, *words, "-r", str(self.pins[0])])

    def _node(self) -> None:
        if not (shutil.which("node") and shutil.which("npm")):
            raise NotMade("node and npm are not installed")
        self.folder.mkdir(parents=True)
        for pin in self.pins:
            shutil.copy(pin, self.folder)
        words = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _run(["npm", "ci", *words], at=self.folder)


def environments() -> dict[str, Environment]:
    """All there are, by name."""
    found = {}
    for at in sorted(p for p in LISTS.iterdir() if p.is_dir()):
        names = ("package.json", "package-lock.json", "requirements.txt")
        pins = tuple(at / n for n in names if (at / n).exists())
        found[at.name] = Environment(at.name, pins)
    return found


def _python(pins: str) -> str:
    """An interpreter the client runs on: its list may name the first and the last that will do."""
    asked = _ASKED.search(pins)
    here = f"3.{sys.version_info.minor}"
    if asked is None:
        return sys.executable
    first, last = (int(m.partition(".")[2]) for m in (asked[1], asked[2] or asked[1]))
    if first <= sys.version_info.minor <= last:
        return sys.executable
    for minor in range(last, first - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            return found
    raise NotMade(f"needs Python {asked[1]} to {asked[2] or asked[1]}; this is {here}")


def _run(words: list[str], at: Path | None = None) -> None:
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}  # noqa: TID251 - the registries' settings
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            words,
            cwd=at,
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotMade(f"{words[0]} took more than {_SECONDS} seconds") from None
    if done.returncode:
        said = [x for x in (done.stderr or done.stdout).splitlines() if x.strip()]
        raise NotMade(said[-1] if said else f"{words[0]} ended with {done.returncode}")


@contextmanager
def _alone(name: str) -> Iterator[None]:
    KEPT.mkdir(exist_ok=True)
    with (KEPT / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Make all; 1 where one could not be made."""
    failed = 0
    for environment in environments().values():
        began = time.monotonic()
        try:
            environment.make()
        except NotMade as e:
            failed = 1
            sys.stdout.write(f"{environment.name}: not made: {e}\n")
        else:
            took = time.monotonic() - began
            sys.stdout.write(f"{environment.name}: {took:.0f} s\n")
        sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(main())
