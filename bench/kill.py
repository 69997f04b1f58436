"""Kill a sync at random moments while records keep changing, and count what is left.

    kill.py [--kills 30] [--records 2000] [--seed 1] [--both]

Two sandboxes, HubSpot and Salesforce, in processes of their own; a `connector-hub sync`
that is killed with SIGKILL again and again, each time at a moment drawn from its whole
length; new people and edits in between, made as a person would. Then one sync to the
end, and the question: is every person of the source at the target, exactly once, as
the source has them? With ``--both`` the jobs are two-way and people come and change at
either side. Exits 1 unless none is lost, doubled or different.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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

_LAG = 1.0
_SHORT, _LONGER = 1.0, 1.2
"""Seconds a run may last at first; how that grows until one gets through."""
_DONE, _PARTIAL = 0, 3


class Crowd:
    """People who come and change their names while the hub is at work."""

    def __init__(self, vendor: Vendor, seed: int) -> None:
        self._vendor = vendor
        self._rng = random.Random(seed)  # noqa: S311 - people, not secrets
        self._ids = [p["id"] for p in vendor.ask("records/contacts")]
        self._came = 0

    def stir(self) -> None:
        """Thirty are new, seventy have another city, thirty another family name."""
        new = [self._comer() for _ in range(30)]
        moved = [
            {"id": i, "properties": {"city": f"City {self._rng.randrange(10_000)}"}}
            for i in self._rng.sample(self._ids, 70)
        ]
        wed = [
            {"id": i, "properties": {"lastname": f"Name {self._rng.randrange(10_000)}"}}
            for i in self._rng.sample(self._ids, 30)
        ]
        made = self._vendor.ask("records/contacts", [*new, *moved, *wed])
        self._ids += [p["id"] for p in made[: len(new)]]

    def _comer(self) -> dict[str, Any]:
        self._came += 1
        name = f"Comer {self._came}"
        return {
            "properties": {
                "email": f"comer{self._came}@people.example",
                "firstname": "New",
                "lastname": name,
            }
        }


class Office:
    """People of the other side, who come there and get other titles."""

    def __init__(self, vendor: Vendor, seed: int) -> None:
        self._vendor = vendor
        self._rng = random.Random(seed)  # noqa: S311 - people, not secrets
        self._came = 0

    def stir(self) -> None:
        """Ten are new, thirty of those who are there have another title."""
        for _ in range(10):
            self._came += 1
            who = {"LastName": f"Office {self._came}", "FirstName": "Old"}
            mail = f"office{self._came}@people.example"
            self._vendor.ask("records/Contact", {**who, "Email": mail})
        there = [p["Id"] for p in self._vendor.ask("records/Contact")]
        for i in self._rng.sample(there, min(30, len(there))):
            title = f"Title {self._rng.randrange(10_000)}"
            self._vendor.ask("records/Contact", {"Id": i, "Title": title})


def killed(folder: Path, env: Mapping[str, str], after: float) -> float | None:
    """Start a sync and kill it; None, or the seconds it took if it was sooner."""
    begun = time.monotonic()
    child = subprocess.Popen(
        [HUB, "sync", "--no-input"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        child.wait(after)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        return None
    return time.monotonic() - begun


def through(folder: Path, env: Mapping[str, str]) -> float:
    """A sync to its end; how many seconds it took.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    begun = time.monotonic()
    done = subprocess.run(
        [HUB, "sync", "--no-input"],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in {_DONE, _PARTIAL}:
        raise SystemExit(f"{done.stdout}{done.stderr}\nended with {done.returncode}")
    return time.monotonic() - begun


def compared(sales: Vendor, billing: Vendor) -> dict[str, int]:
    """Lost, doubled and different people, told apart by their e-mail."""
    there = Counter[str]()
    held: dict[str, dict[str, Any]] = {}
    for p in billing.ask("records/Contact"):
        email = str(p.get("Email") or "").lower()
        there[email] += 1
        held[email] = p
    found = Counter(lost=0, doubled=0, different=0, strange=0)
    source = set()
    for p in sales.ask("records/contacts"):
        mine = p["properties"]
        email = mine["email"].strip().lower()
        source.add(email)
        if not there[email]:
            found["lost"] += 1
            continue
        found["doubled"] += there[email] > 1
        theirs = held[email]
        found["different"] += (
            mine["lastname"],
            mine.get("city") or None,
            mine.get("jobtitle") or None,
        ) != (
            theirs["LastName"],
            theirs.get("MailingCity") or None,
            theirs.get("Title") or None,
        )
    found["strange"] = len(set(there) - source)
    return {"people": len(source), **found}


def measure(kills: int, records: int, seed: int, *, both: bool) -> int:
    """Kill, stir, run to the end, compare. The exit code."""
    rng = random.Random(seed)  # noqa: S311 - moments, not secrets
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        born = ("--records", str(records), "--seed", str(seed))
        sales = stack.enter_context(sandbox("hubspot", *born))
        billing = stack.enter_context(sandbox("salesforce"))
        env = {**os.environ, **variables(sales, billing)}  # noqa: TID251
        project = Project(folder, env)
        # The quick start's mapping has a mistake that its reader mends.
        project.edit(MAPPING, "title: {path: Department", "title: {path: Title")
        crowds: list[Crowd | Office] = [Crowd(sales, seed)]
        if not both:
            project.edit("hub.yaml", "direction: both", "direction: left-to-right")
        else:
            crowds.append(Office(billing, seed))
        at_work, whole = 0, _SHORT
        for n in range(kills):
            after = rng.uniform(0.2, whole)
            took = killed(folder, env, after)
            at_work += took is None
            whole = whole * _LONGER if took is None else max(took, _SHORT)
            for crowd in crowds:
                crowd.stir()
            print(f"\r{n + 1}/{kills} kills, {at_work} at work", end="", flush=True)
        time.sleep(_LAG)
        print(f"\nthe last run took {through(folder, env):.1f} s")
        if both:
            time.sleep(_LAG)
            through(folder, env)
        found = compared(sales, billing)
    print(", ".join(f"{n} {what}" for what, n in found.items()))
    return int(any(n for what, n in found.items() if what != "people"))


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--both", action="store_true", help="two-way jobs")
    asked = parser.parse_args()
    return measure(asked.kills, asked.records, asked.seed, both=asked.both)


if __name__ == "__main__":
    sys.exit(main())
