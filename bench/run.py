"""CPU per record of a one-way copy: the hub against a loop written by hand for it.

    run.py quick [--contacts 20000] [--rounds 3] [--given PATH]

Every arm is a fresh process; arms are interleaved over the rounds in an order that is
drawn anew each round. CPU is user + system of the whole process, start-up included;
wall time depends on what else the machine does and is shown for information.
An arm whose vendor did not see every contact exactly once fails the bench.

``--given`` is a second hand-written loop by somebody else (``hand_loop.py URL N``, its
own account for both ends): the project's own must be within 10 % of it, else the
comparison is worth nothing. It is left out, with a word, where it is not there.

The last line is the ratio of minima hub / hand loop. Exits 1 above 2.0.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
GIVEN = HERE.parent.parent / "shared" / "bench" / "hand_loop.py"
CEILING = 2.0
AGREE = 0.10
_BUSY = 2.0


@dataclass(frozen=True, slots=True)
class Used:
    """What one process took: seconds of CPU and of wall time, and its peak in MB."""

    cpu: float
    wall: float
    peak: float


@dataclass(slots=True)
class Arm:
    """A program that copies; ``both`` writes to the account it reads from."""

    name: str
    command: Sequence[str]
    both: bool = False
    runs: list[Used] = field(default_factory=list)

    def least(self) -> float:
        """The least CPU of all rounds, in seconds."""
        return min(u.cpu for u in self.runs)


@contextmanager
def vendor(contacts: int) -> Iterator[dict[str, str]]:
    """The vendor as a child process: the URLs of its two accounts."""
    command = [sys.executable, str(HERE / "vendor_server.py"), str(contacts)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            yield json.loads(child.stdout.readline())
        finally:
            child.terminate()


def asked(url: str, path: str, method: str = "GET") -> dict[str, int]:
    """An answer of the vendor's own bookkeeping."""
    request = urllib.request.Request(f"{url}/_bench/{path}", method=method)  # noqa: S310
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - 127.0.0.1
        found: dict[str, int] = json.load(answer)
        return found


def _compiled() -> dict[str, str]:
    """An environment in which Python keeps its bytecode, as for installed packages."""
    env = dict(os.environ)  # noqa: TID251 - handed on to a child
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def measured(command: Sequence[str]) -> Used:
    """Run a program to its end and tell what it took.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    begun = time.monotonic()
    child = subprocess.Popen(
        command, env=_compiled(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert child.stdout is not None
    said = child.stdout.read().decode()
    child.stdout.close()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{said}\n{' '.join(command)} ended with {child.returncode}")
    return Used(
        cpu=usage.ru_utime + usage.ru_stime,
        wall=time.monotonic() - begun,
        peak=usage.ru_maxrss / 1024,
    )


def run(arm: Arm, urls: dict[str, str], contacts: int) -> None:
    """One round of an arm, checked against what the vendor saw.

    Raises:
        SystemExit: the vendor did not see every contact exactly once.
    """
    for url in urls.values():
        asked(url, "reset", "POST")
    ends = [urls["source"]] if arm.both else [urls["source"], urls["target"]]
    arm.runs.append(measured([*arm.command, *ends, str(contacts)]))
    wrote = asked(urls["source" if arm.both else "target"], "stats")
    if wrote["once"] != contacts or wrote["strange"]:
        raise SystemExit(f"{arm.name} did not write every contact once: {wrote}")


def arms(given: Path) -> list[Arm]:
    """The hub, the project's own loop, and the given one where it is there."""
    found = [
        Arm("hub", [sys.executable, str(HERE / "hub_copy.py")]),
        Arm("hand loop", [sys.executable, str(HERE / "hand_loop.py")]),
    ]
    if given.is_file():
        found.append(Arm("given loop", [sys.executable, str(given)], both=True))
    else:
        print("given loop: left out, there is none beside this checkout")
    return found


def table(all_arms: Sequence[Arm], contacts: int) -> None:
    """CPU a record per arm, least and median, with wall time and memory."""
    print(f"{'arm':<12}{'CPU us/record':>16}{'median':>10}{'wall s':>9}{'peak MB':>9}")
    for arm in all_arms:
        each = [u.cpu / contacts * 1e6 for u in arm.runs]
        wall = min(u.wall for u in arm.runs)
        peak = max(u.peak for u in arm.runs)
        print(
            f"{arm.name:<12}{min(each):>16.1f}{median(each):>10.1f}"
            f"{wall:>9.2f}{peak:>9.0f}"
        )


def verdict(all_arms: Sequence[Arm]) -> int:
    """Print the ratios; the exit code."""
    by_name = {a.name: a.least() for a in all_arms}
    code = 0
    if "given loop" in by_name:
        same = by_name["hand loop"] / by_name["given loop"]
        print(f"hand loop / given loop: {same:.2f} (within {AGREE:.0%} is agreement)")
        if abs(same - 1) > AGREE:
            print("the two hand-written loops do not agree: the comparison is void")
            code = 1
    ratio = by_name["hub"] / by_name["hand loop"]
    if ratio > CEILING:
        code = 1
    print(f"hub / hand loop: {ratio:.2f} (ceiling {CEILING})")
    return code


def quick(contacts: int, rounds: int, given: Path) -> int:
    """The gate: few rounds, one size. The exit code."""
    all_arms = arms(given)
    load = os.getloadavg()[0]
    print(f"{contacts:,} contacts, {rounds} rounds, load {load:.1f}")
    if load > _BUSY:
        print("the machine is busy: believe the ratio, not the times")
    with vendor(contacts) as urls:
        for n in range(rounds):
            order = random.Random(n).sample(all_arms, len(all_arms))  # noqa: S311
            for arm in order:
                run(arm, urls, contacts)
    table(all_arms, contacts)
    return verdict(all_arms)


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["quick"])
    parser.add_argument("--contacts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--given", type=Path, default=GIVEN)
    given = parser.parse_args()
    return quick(given.contacts, given.rounds, given.given)


if __name__ == "__main__":
    sys.exit(main())
