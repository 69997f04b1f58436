"""The bench measures what it says: every contact once, and a verdict that can be no."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"
N = 300


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_run", BENCH / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_hub_and_the_hand_loop_write_every_contact_once(bench: ModuleType) -> None:
    arms = bench.arms(Path("nowhere"))
    assert [a.name for a in arms] == ["hub", "hand loop"]
    with bench.vendor(N) as urls:
        for arm in arms:
            bench.run(arm, urls, N)
            seen = bench.asked(urls["target"], "stats")
            assert (seen["once"], seen["again"], seen["strange"]) == (N, 0, 0)
            assert bench.asked(urls["source"], "stats")["read"] == N
            assert arm.least() > 0


def test_an_arm_that_does_not_write_every_contact_fails(bench: ModuleType) -> None:
    idle = bench.Arm("idle", [sys.executable, "-c", "pass"])
    with bench.vendor(N) as urls, pytest.raises(SystemExit, match="every contact once"):
        bench.run(idle, urls, N)


def test_a_contact_that_is_written_twice_is_counted(bench: ModuleType) -> None:
    loop = [sys.executable, str(BENCH / "hand_loop.py")]
    with bench.vendor(N) as urls:
        for _ in range(2):
            bench.measured([*loop, urls["source"], urls["target"], str(N)])
        seen = bench.asked(urls["target"], "stats")
    assert (seen["once"], seen["again"]) == (0, N)


@pytest.mark.parametrize(
    ("hub", "own", "given", "code"),
    [(1.9, 1.0, 1.0, 0), (2.1, 1.0, 1.0, 1), (1.9, 1.0, 0.8, 1), (1.9, 1.0, None, 0)],
)
def test_the_verdict_is_no_above_the_ceiling_and_when_the_loops_disagree(
    bench: ModuleType, hub: float, own: float, given: float | None, code: int
) -> None:
    cpu = {"hub": hub, "hand loop": own, "given loop": given}
    arms = [
        bench.Arm(name, [], runs=[bench.Used(least, 1.0, 1.0)])
        for name, least in cpu.items()
        if least is not None
    ]
    assert bench.verdict(arms) == code
