"""Kill a sync at random moments while records change on both sides, and count what is left.

    kill.py [--kills 30] [--records 150] [--round 50] [--seed 1] [--both]

Two sandboxes, HubSpot and Salesforce, in processes of their own; a `connector-hub sync`
that is killed with SIGKILL again and again, each time at a moment drawn from its whole
length. People come and edit as it runs, and in between. After each round of kills one
sync to the end, and the questions: is everybody at both sides, exactly once and the
same, and is every last value that a person gave at both sides, or told by the hub, as a
conflict or as what its journal says stood there before? The next round begins with
other people and no state, so that first copies are killed, too. With ``--both`` the
jobs are two-way, and people come and edit at either side. Exits 1 unless nothing is
lost, doubled, different or overwritten.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from crowd import Crowd, Side, judged

from connector_hub.hub import open_hub

QUICKSTART = Path(__file__).resolve().parent.parent / "examples" / "quickstart"
sys.path.insert(0, str(QUICKSTART))

from demo import (  # noqa: E402 - beside this folder
    HUB,
    MAPPING,
    Project,
    Vendor,
    sandbox,
    variables,
)

_LAG = 1.2
"""Seconds after which a vendor's search has seen every edit."""
_SHORT, _LONGER = 2.0, 1.25
"""Seconds a run may last at first; how that grows until one gets through."""
_EARLY = 0.1
"""Share of kills that may come before the program has asked a vendor anything."""
_BETWEEN = 12
"""Edits between two runs."""
_RUNS = 5
"""Runs within which everything has come to rest."""
_QUIET = 2
"""So many runs in a row write nothing then: what one finds out may be for the next to write."""
_DONE, _PARTIAL = 0, 3
_START = "starting"
_BAD = ("lost", "doubled", "different", "overwritten")


@dataclass(slots=True)
class Round:
    """Some kills of one project."""

    folder: Path
    env: Mapping[str, str]
    sales: Vendor
    billing: Vendor
    crowd: Crowd
    rng: random.Random
    whole: float = _SHORT
    work: float = _SHORT / 2
    """Seconds after which a run has asked a vendor something, at the soonest."""
    copied: bool = False
    """Whether a run has got through."""
    phases: Counter[str] = field(default_factory=Counter)

    def kill(self) -> bool:
        """Start a sync and kill it; whether it was still at work."""
        before = self._calls()
        early = self.rng.random() < _EARLY
        after = self.rng.uniform(0.0 if early else self.work, self.whole)
        with self.crowd.stirring():
            took = killed(self.folder, self.env, after)
        if took is None:
            self.whole *= _LONGER
            phase = self._phase(before)
            self.phases[phase] += 1
            if not phase.startswith(_START):
                self.work = min(self.work, after)
            elif not early:
                self.work = after
        else:
            self.whole = took
            self.copied = True
        self.crowd.stir(_BETWEEN)
        return took is None

    def _calls(self) -> Counter[str]:
        """Requests that arrived so far, at both vendors, by what they were for."""
        found = Counter[str]()
        for vendor in (self.sales, self.billing):
            for route, n in vendor.ask("calls")["by_route"].items():
                found["reads" if reads(route) else "writes"] += n
        return found

    def _phase(self, before: Counter[str]) -> str:
        made = self._calls() - before
        what = "writing" if made["writes"] else "reading" if made["reads"] else _START
        return f"{what}{'' if self.copied else ', first copy'}"

    def rest(self) -> Counter[str]:
        """Run until nothing is left to write; what the crowd finds then."""
        quiet = 0
        for n in range(_RUNS):
            time.sleep(_LAG)
            quiet = 0 if written(self.folder, self.env) else quiet + 1
            if quiet == _QUIET:
                found = asyncio.run(self._judged())
                found["runs to rest"] = n + 1 - _QUIET
                return found
        raise SystemExit(f"still writing after {_RUNS} runs of their own")

    async def _judged(self) -> Counter[str]:
        async with open_hub(self.folder, environ=self.env) as hub:
            questions = hub.conflicts("contacts")
            asked: set[tuple[Side, str]] = {m for q in questions for m in q.members}
            asked |= {(d.side, d.record) for d in hub.store.letters("contacts")}
            pages = hub.store.journal("contacts")
            kept = {str(v) for p in pages for e in p.entries for v in e.before}
        found = judged(self.crowd, asked, kept)
        found["open conflicts"] = len(questions)
        return found


def reads(route: str) -> bool:
    """Whether a request to it changes nothing at the vendor."""
    if route.startswith("GET ") or route.endswith(("/search", "/batch/read", "/token")):
        return True
    return route.startswith("POST ") and "/composite/sobjects/" in route


def killed(folder: Path, env: Mapping[str, str], after: float) -> float | None:
    """Start a sync and kill it; None, or the seconds it took if it was sooner.

    Raises:
        SystemExit: it failed by itself.
    """
    begun = time.monotonic()
    child = subprocess.Popen(
        [HUB, "sync", "--no-input"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _, said = child.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return None
    if child.returncode not in {_DONE, _PARTIAL}:
        raise SystemExit(f"{said}\nended with {child.returncode}")
    return time.monotonic() - begun


def written(folder: Path, env: Mapping[str, str]) -> int:
    """A sync to its end; how many records it wrote.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    done = subprocess.run(
        [HUB, "sync", "--no-input", "--json"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {_DONE, _PARTIAL}:
        raise SystemExit(f"{done.stdout}{done.stderr}\nended with {done.returncode}")
    jobs = json.loads(done.stdout)["jobs"]
    return sum(n for job in jobs for n in job["writes"].values())


def measure(
    kills: int, records: int, per_round: int, seed: int, *, both: bool
) -> Counter[str]:
    """All rounds: kills by phase, and what is left."""
    began, done = time.monotonic(), 0
    phases, found = Counter[str](), Counter[str]()
    while done < kills:
        with ExitStack() as stack:
            one = begin(stack, records, seed + done, both=both)
            landed = 0
            while landed < min(per_round, kills - done):
                landed += one.kill()
                print(
                    f"\r{done + landed}/{kills} kills at work, "
                    f"{time.monotonic() - began:.0f} s ",
                    end="",
                    flush=True,
                )
            left = one.rest()
        done += landed
        phases += one.phases
        runs = max(found["runs to rest"], left.pop("runs to rest"))
        found.update(left)
        found["runs to rest"] = runs
        bad = ", ".join(f"{left[what]} {what}" for what in (*_BAD, "raced"))
        print(f"\r{done}/{kills} kills at work, round of {landed}: {bad}", flush=True)
    for what, n in sorted(phases.items()):
        print(f"  {n:>6} killed while {what}")
    for what, n in found.items():
        print(f"  {n:>6} {what}")
    return found


def begin(stack: ExitStack, records: int, seed: int, *, both: bool) -> Round:
    """Two vendors, a project without a state, and a crowd."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    born = ("--records", str(records), "--seed", str(seed))
    sales = stack.enter_context(sandbox("hubspot", *born))
    billing = stack.enter_context(sandbox("salesforce"))
    env = {**os.environ, **variables(sales, billing)}  # noqa: TID251
    project = Project(folder, env)
    # The quick start's mapping has a mistake that its reader mends.
    project.edit(MAPPING, "title: {path: Department", "title: {path: Title")
    if not both:
        project.edit("hub.yaml", "direction: both", "direction: left-to-right")
    crowd = Crowd(sales, billing, seed, both)
    moments = random.Random(seed)  # noqa: S311 - moments, not secrets
    return Round(folder, env, sales, billing, crowd, moments)


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--records", type=int, default=150)
    parser.add_argument("--round", type=int, default=50, help="kills of one project")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--both", action="store_true", help="two-way jobs")
    asked = parser.parse_args()
    found = measure(
        asked.kills, asked.records, asked.round, asked.seed, both=asked.both
    )
    return int(any(found[what] for what in _BAD))


if __name__ == "__main__":
    sys.exit(main())
