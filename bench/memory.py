"""Peak memory of a first copy, small and large: it must not grow with the account.

    memory.py [--small 10000] [--large 100000] [--both]

Prints the peak resident size of each copy (``ru_maxrss`` of a fresh process).
Exits 1 when the large one takes more than 120 MB, or 15 MB more than the small one.
"""

from __future__ import annotations

import argparse
import sys

from run import HERE, Arm, run, vendor

MOST, MORE = 120.0, 15.0


def peak(contacts: int, *options: str) -> float:
    """Peak of a copy of so many contacts, in MB; checked to be whole."""
    arm = Arm("hub", [sys.executable, str(HERE / "hub_copy.py"), *options])
    with vendor(contacts) as urls:
        run(arm, urls, contacts)
    used = arm.runs[0]
    print(
        f"{contacts:>9,} contacts: {used.peak:6.1f} MB, {used.wall:.1f} s", flush=True
    )
    return used.peak


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--large", type=int, default=100_000)
    parser.add_argument("--both", action="store_true", help="a two-way job")
    asked = parser.parse_args()
    options = ("--both",) if asked.both else ()
    small, large = peak(asked.small, *options), peak(asked.large, *options)
    print(f"{large:.1f} MB at the most, {large - small:+.1f} MB from small to large")
    return int(large > MOST or large - small > MORE)


if __name__ == "__main__":
    sys.exit(main())
