"""What the tests would notice: mutmut's mutants of ``model/`` and ``sync/``, run against the fast tests.

    mutants.py [--sample 400] [--seed 1] [--only sync/planner] [--budget 10] [--again] [--at-least 85]

The mutants are mutmut's (its operators on libcst); the running is not.  mutmut collects the tests
anew for each mutant and chooses them by function, and its trampolines alone make this suite 2.5 times
slower: ten minutes before the first mutant.  Here the tests are collected once, one pass under
coverage tells which test reaches which line, and a mutant is a fork in which one function's code is
another.  Its tests run from the cheapest up, those early that killed others in the same
function, until one fails or ``--budget`` seconds of tests are spent.

Verdicts are kept in ``.mutants/`` and stand until the function changes; a survivor is tried again when
a test changed or the budget grew.  ``mutants.toml`` names the mutants that mean the same as the code,
each with its reason; they count for nothing.  With ``--sample`` so many are drawn in proportion to the
modules, repeatably, and the score comes with its 95 % interval (Wilson).  Exits 1 below ``--at-least``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import math
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import textwrap
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any

import coverage
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import create_mutations

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "connector_hub"
KEPT = ROOT / ".mutants"
SAME = Path(__file__).with_name("mutants.toml")
TESTS = (
    "tests/model",
    "tests/story",
    "tests/sync",
    "tests/luck",
    "tests/adapters/test_state.py",
    "tests/cli/test_history.py",
    "tests/cli/test_map.py",
    "tests/cli/test_report.py",
    "tests/cli/test_sheets.py",
    "tests/test_approval_later.py",
    "tests/test_guarding.py",
    "tests/test_hub.py",
    "tests/test_known_ids.py",
    "tests/test_newest.py",
    "tests/test_notices.py",
    "tests/test_one_of.py",
    "tests/test_one_of_rules.py",
    "tests/test_pilot.py",
    "tests/test_plans.py",
    "tests/test_promise.py",
    "tests/test_rivals.py",
    "tests/test_schedule.py",
    "tests/test_standing.py",
    "tests/test_undo.py",
    "tests/test_why.py",
)
"""Tests of the kernel, most of which take milliseconds."""
SLOW = ("tests/story/test_crash.py", "tests/luck/test_crashes.py")
"""Left out unless asked for with ``--slow``: as long as all others together."""
_ROOM = 2 << 30
"""Bytes a mutant may take beyond what its parent holds."""


@dataclass(frozen=True)
class Mutant:
    """One function written a little otherwise."""

    key: str
    module: str
    """``sync.planner``"""
    function: str
    """``Planner.windows``"""
    line: int
    was: str
    becomes: str
    """The lines that differ, without their indent."""
    code: str = field(repr=False)
    """The whole function."""
    print: str
    """Of the function as it is: a verdict stands as long as it does."""

    @property
    def place(self) -> str:
        """``sync.planner.Planner.windows``."""
        return f"{self.module}.{self.function}"


@dataclass(frozen=True)
class Verdict:
    """``killed``, ``timeout``, ``survived`` or ``unreached``."""

    key: str
    print: str
    outcome: str
    by: str
    tests: str
    """A fingerprint of the tests that reach it."""
    budget: float
    seconds: float

    def stands(self, mutant: Mutant, tests: str, budget: float) -> bool:
        """Whether running it again could tell anything else."""
        if self.print != mutant.print:
            return False
        tried = self.tests == tests and self.budget >= budget
        return self.outcome in ("killed", "timeout") or tried


def files(only: str) -> list[Path]:
    """The modules whose path has this in it; all for nothing."""
    found = [p for room in ("model", "sync") for p in (SOURCE / room).glob("*.py")]
    return sorted(p for p in found if only in str(p.relative_to(SOURCE)))


def digest(*texts: str) -> str:
    """A fingerprint."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def mutants_of(path: Path) -> list[Mutant]:
    """All mutants of a file, from what an earlier call kept where the file is the same."""
    text = path.read_text()
    kept = KEPT / "made" / f"{path.parent.name}.{path.stem}.{digest(text)}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        made = list(_made(path, text))
        kept.write_text(json.dumps([asdict(m) for m in made]))
    return [Mutant(**m) for m in json.loads(kept.read_text())]


def _made(path: Path, text: str) -> Iterator[Mutant]:
    module, mutations, _, _ = create_mutations(str(path), _undecorated(text))
    places = MetadataWrapper(module, unsafe_skip_copy=True).resolve(PositionProvider)
    names = dict(_functions(module.body, ()))
    befores: dict[cst.FunctionDef, str] = {}
    seen: Counter[str] = Counter()
    room = f"{path.parent.name}.{path.stem}"
    for mutation in mutations:
        inside = mutation.contained_by_top_level_function
        if inside is None or inside not in names:
            continue
        if inside not in befores:
            befores[inside] = module.code_for_node(inside).strip("\n")
        before = befores[inside]
        changed = inside.deep_replace(mutation.original_node, mutation.mutated_node)
        after = module.code_for_node(changed).strip("\n")
        was, becomes = _differing(before, after)
        if was == becomes:
            continue
        name = names[inside]
        said = digest(room, name, was, becomes)
        seen[said] += 1
        yield Mutant(
            key=f"{said}-{seen[said]}",
            module=room,
            function=name,
            line=places[mutation.original_node].start.line,
            was=was,
            becomes=becomes,
            code=after,
            print=digest(before),
        )


def functions_of(path: Path) -> dict[str, tuple[int, int, str]]:
    """First line, last line and print of each function of a file."""
    kept = (
        KEPT / "made" / f"{path.parent.name}.{path.stem}.{digest(path.read_text())}.at"
    )
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        wrapped = MetadataWrapper(cst.parse_module(_undecorated(path.read_text())))
        places = wrapped.resolve(PositionProvider)
        found = {
            f"{path.parent.name}.{path.stem}.{name}": (
                places[node].start.line,
                places[node].end.line,
                digest(wrapped.module.code_for_node(node).strip("\n")),
            )
            for node, name in _functions(wrapped.module.body, ())
        }
        kept.write_text(json.dumps(found))
    return {k: (a, b, c) for k, (a, b, c) in json.loads(kept.read_text()).items()}


def _undecorated(text: str) -> str:
    """The same lines without decorators of functions, which mutmut would pass over."""
    lines = text.splitlines(keepends=True)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                for n in range(mark.lineno - 1, mark.end_lineno or mark.lineno):
                    lines[n] = "\n"
    return "".join(lines)


def _functions(
    body: Sequence[Any], outside: tuple[str, ...]
) -> Iterator[tuple[Any, str]]:
    for node in body:
        if isinstance(node, cst.FunctionDef):
            yield node, ".".join((*outside, node.name.value))
        elif isinstance(node, cst.ClassDef):
            yield from _functions(node.body.body, (*outside, node.name.value))


def _differing(before: str, after: str) -> tuple[str, str]:
    """The lines in which two texts differ."""
    a, b = before.splitlines(), after.splitlines()
    while a and b and a[0] == b[0]:
        a, b = a[1:], b[1:]
    while a and b and a[-1] == b[-1]:
        a, b = a[:-1], b[:-1]
    return (
        " ".join(line.strip() for line in a),
        " ".join(line.strip() for line in b),
    )


def put_in_place(mutant: Mutant) -> None:
    """From now on this process runs the mutant's code."""
    module = importlib.import_module(f"connector_hub.{mutant.module}")
    *classes, name = mutant.function.split(".")
    tree = ast.parse(textwrap.dedent(mutant.code))
    body: list[ast.stmt] = list(tree.body)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name == name
        ):
            node.decorator_list = []
            break
    for outer in reversed(classes):
        body = [
            ast.ClassDef(outer, bases=[], keywords=[], body=body, decorator_list=[])
        ]  # type: ignore[call-arg,unused-ignore]
    future = ast.parse("from __future__ import annotations").body
    whole = ast.fix_missing_locations(ast.Module([*future, *body], []))
    space = dict(vars(module))
    exec(compile(whole, module.__file__ or "", "exec"), space)  # noqa: S102 - that is what a mutant is
    new, old = space[(*classes, name)[0]], vars(module)[(*classes, name)[0]]
    for part in (*classes, name)[1:]:
        new, old = vars(new)[part], vars(old)[part]
    live = _bare(old)
    live.__code__ = new.__code__
    live.__defaults__ = new.__defaults__
    live.__kwdefaults__ = new.__kwdefaults__


def _bare(thing: Any) -> FunctionType:
    """The function under its decorators."""
    while not isinstance(thing, FunctionType) or hasattr(thing, "__wrapped__"):
        for name in ("__wrapped__", "__func__", "fget", "func"):
            if (inner := getattr(thing, name, None)) is not None:
                thing = inner
                break
    return thing


@dataclass
class Reach:
    """Which test reaches which line, and how long each takes."""

    lines: dict[str, dict[int, set[str]]]
    """By function and line within it."""
    prints: dict[str, set[str]]
    """What each function was when it was measured."""
    seconds: dict[str, float]

    def tests(self, mutant: Mutant, first: int, span: range) -> set[str]:
        """Those of its statement; of its function for what is in its head or was not measured as it is."""
        there = self.lines.get(mutant.place, {})
        if first in span or self.prints.get(mutant.place) != {mutant.print}:
            return {t for tests in there.values() for t in tests}
        return {t for line in span for t in there.get(line - first, ())}


def spans(path: Path) -> dict[int, range]:
    """Of each line, the lines of its statement: of a compound one, its head."""
    found: dict[int, range] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        first: int
        last: int | None
        if isinstance(node, ast.match_case):
            first, last = node.pattern.lineno, node.pattern.end_lineno
        elif isinstance(node, ast.stmt | ast.ExceptHandler):
            first, last = node.lineno, node.end_lineno
        else:
            continue
        if body := getattr(node, "body", None):
            last = body[0].lineno - 1
        span = range(first, max(first, last or 0) + 1)
        for line in span:
            if line not in found or len(found[line]) >= len(span):
                found[line] = span
    return found


@dataclass(frozen=True)
class Test:
    """One that pytest collected, and the seconds it takes."""

    __test__ = False

    name: str
    item: pytest.Item
    seconds: float


class Mutators:
    """A plugin of pytest that runs mutants where the tests would run."""

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.failed = ""
        self.verdicts: dict[str, Verdict] = {}
        self.chosen: list[Mutant] = []
        self.all: list[Mutant] = []
        self.kills: dict[str, Counter[str]] = defaultdict(Counter)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep the name of a test that fails."""
        if report.failed:
            self.failed = report.nodeid

    def pytest_collection(self) -> None:
        """What hypothesis finds is found: making it small would take ten times as long."""
        from hypothesis import Phase, settings  # noqa: PLC0415 - pytest comes first

        phases = (Phase.explicit, Phase.reuse, Phase.generate)
        settings.register_profile("mutants", phases=phases, deadline=None)
        settings.load_profile("mutants")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of the tests, all mutants that have no verdict that stands."""
        items = {i.nodeid: i for i in session.items}
        texts = {i.path: i.path.read_text() for i in session.items}
        reach = self.reach(items)
        for path in files(self.asked.only):
            self.all += mutants_of(path)
        same = {(e["in"], e["was"], e["becomes"]) for e in equivalents()}
        self.all = [
            m
            for m in self.all
            if (m.place, m.was, m.becomes) not in same and not only_asserts(m)
        ]
        self.chosen = drawn(self.all, self.asked.sample, self.asked.seed)
        kept = {} if self.asked.again else known()
        where = {f"{p.parent.name}.{p.stem}": spans(p) for p in files("")}
        first = {k: v for p in files("") for k, v in functions_of(p).items()}
        begun = time.monotonic()
        for n, mutant in enumerate(small_first(self.chosen), 1):
            old = kept.get(mutant.key)
            one = range(mutant.line, mutant.line + 1)
            span = where[mutant.module].get(mutant.line, one)
            names = items.keys() & reach.tests(mutant, first[mutant.place][0], span)
            mark = digest(
                *sorted(names), *{texts[items[t].path]: 1 for t in sorted(names)}
            )
            if old is None or not old.stands(mutant, mark, self.asked.budget):
                among = [Test(t, items[t], reach.seconds[t]) for t in sorted(names)]
                old = self.tried(mutant, among, mark)
                with (KEPT / "verdicts.jsonl").open("a") as out:
                    out.write(json.dumps(asdict(old)) + "\n")
            if old.by:
                self.kills[mutant.place][old.by] += 1
            self.verdicts[mutant.key] = old
            if n % 50 == 0:
                told = Counter(v.outcome for v in self.verdicts.values())
                print(
                    f"{n}/{len(self.chosen)} {dict(told)} {time.monotonic() - begun:.0f} s",
                    flush=True,
                )
        return True

    def reach(self, items: Mapping[str, pytest.Item]) -> Reach:
        """What each file of tests reaches: measured once, and again when it changed."""
        lines: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        prints: dict[str, set[str]] = defaultdict(set)
        seconds: dict[str, float] = {}
        (KEPT / "reach").mkdir(exist_ok=True)
        by_file: dict[Path, list[pytest.Item]] = defaultdict(list)
        for item in items.values():
            by_file[item.path].append(item)
        for path, own in by_file.items():
            stem = str(path.relative_to(ROOT)).replace("/", ".")
            kept = KEPT / "reach" / f"{stem}.{digest(path.read_text())}.json"
            if not kept.exists():
                print(f"which lines {path.relative_to(ROOT)} reaches ...", flush=True)
                for old in kept.parent.glob(f"{stem}.*"):
                    old.unlink()
                pid = os.fork()
                if pid == 0:
                    try:
                        self._measured(own, kept)
                    finally:
                        os._exit(1)
                if os.waitpid(pid, 0)[1]:
                    pytest.exit("the tests fail as they are: see above", 2)
            said = json.loads(kept.read_text())
            for place, there in said["lines"].items():
                prints[place].add(said["prints"][place])
                for n, tests in there.items():
                    lines[place][int(n)] |= set(tests)
            seconds |= said["seconds"]
        return Reach(lines, prints, seconds)

    def _measured(self, items: Iterable[pytest.Item], kept: Path) -> None:
        """Runs each under coverage, and ends the process."""
        seen = coverage.Coverage(
            data_file=None, config_file=False, include=[str(p) for p in files("")]
        )
        seen.start()
        seconds = {}
        for item in items:
            seen.switch_context(item.nodeid)
            begun = time.process_time()
            _run(item)
            seconds[item.nodeid] = round(time.process_time() - begun, 4)
            if self.failed:
                print(f"{self.failed} fails", flush=True)
                os._exit(1)
        seen.stop()
        data = seen.get_data()
        lines: dict[str, dict[int, list[str]]] = {}
        prints: dict[str, str] = {}
        for path in files(""):
            reached = data.contexts_by_lineno(str(path))
            for place, (first, last, print_) in functions_of(path).items():
                there = {
                    n - first: [t for t in reached[n] if t]
                    for n in range(first, last + 1)
                    if any(reached.get(n, ()))
                }
                if there:
                    lines[place], prints[place] = there, print_
        said = {"lines": lines, "prints": prints, "seconds": seconds}
        kept.write_text(json.dumps(said))
        os._exit(0)

    def tried(self, mutant: Mutant, among: Sequence[Test], mark: str) -> Verdict:
        """One mutant against its tests, the cheapest first; ``mark`` is of all tests there are."""
        begun = time.monotonic()
        budget = float(self.asked.budget)
        kills = self.kills[mutant.place]
        order: list[Test] = []
        for test in sorted(
            among, key=lambda t: (t.seconds / (1 + 9 * kills[t.name]), t.name)
        ):
            if not order or sum(t.seconds for t in order) + test.seconds <= budget:
                order.append(test)
        outcome, by = self._forked(mutant, order) if order else ("unreached", "")
        spent = round(time.monotonic() - begun, 2)
        return Verdict(mutant.key, mutant.print, outcome, by, mark, budget, spent)

    def _forked(self, mutant: Mutant, order: Sequence[Test]) -> tuple[str, str]:
        """What became of it, and the test that was at work then."""
        base = Path(tempfile.mkdtemp(prefix="mutants-"))
        told, tell = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(told)
            self._child(mutant, order, tell, base)
        os.close(tell)
        with os.fdopen(told) as pipe:
            lines = pipe.read().splitlines()
        status = os.waitpid(pid, 0)[1]
        shutil.rmtree(base, ignore_errors=True)
        if status == 0:
            return "survived", ""
        return ("timeout" if os.WIFSIGNALED(status) else "killed"), lines[-1]

    def _child(
        self, mutant: Mutant, order: Sequence[Test], tell: int, base: Path
    ) -> None:
        """Ends the process: with 0 when no test noticed."""
        code = 1
        try:
            os.write(tell, b"(put in place)\n")
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            held = int(Path("/proc/self/statm").read_text().split()[0])
            most = held * resource.getpagesize() + _ROOM
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            factory: Any = order[0].item.config._tmp_path_factory  # type: ignore[attr-defined] # noqa: SLF001 - there is no public door
            factory._basetemp = base  # noqa: SLF001 - as above
            put_in_place(mutant)
            for test in order:
                os.write(tell, test.name.encode() + b"\n")
                signal.setitimer(signal.ITIMER_PROF, 10 * test.seconds + 5)
                signal.setitimer(signal.ITIMER_REAL, 60 * test.seconds + 60)
                _run(test.item)
                if self.failed:
                    break
            else:
                code = 0
        finally:
            os._exit(code)


def _run(item: pytest.Item) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def drawn(all_: Sequence[Mutant], sample: int, seed: int) -> list[Mutant]:
    """So many of them, from each module in proportion; all of them for 0."""
    if not sample or sample >= len(all_):
        return list(all_)
    rooms: dict[str, list[Mutant]] = defaultdict(list)
    for mutant in all_:
        rooms[mutant.module].append(mutant)
    chance = random.Random(seed)  # noqa: S311 - repeatable
    shares = {m: sample * len(ms) / len(all_) for m, ms in rooms.items()}
    counts = {m: int(share) for m, share in shares.items()}
    by_rest = sorted(shares, key=lambda m: counts[m] - shares[m])
    for m in by_rest[: sample - sum(counts.values())]:
        counts[m] += 1
    return [x for m in sorted(rooms) for x in chance.sample(rooms[m], counts[m])]


def small_first(mutants: Sequence[Mutant]) -> list[Mutant]:
    """In the order of their modules' size, so that a run that is broken off has whole ones."""
    sizes = Counter(m.module for m in mutants)
    return sorted(mutants, key=lambda m: (sizes[m.module], m.module))


def equivalents() -> list[dict[str, str]]:
    """What ``mutants.toml`` lists."""
    return list(tomllib.loads(SAME.read_text()).get("same", []))


def only_asserts(mutant: Mutant) -> bool:
    """Whether it takes no more away than ``strict=`` of a zip: what that raises on cannot be.

    It stands where a mistake of ours would otherwise pair values with the wrong fields.
    """
    plain = [
        re.sub(r",?\s*strict=\w+|[\s,]+(?=\))|\s+", "", text)
        for text in (mutant.was, mutant.becomes)
    ]
    return "strict=" in mutant.was and plain[0] == plain[1]


def known() -> dict[str, Verdict]:
    """The verdicts of earlier runs, by key."""
    kept = KEPT / "verdicts.jsonl"
    said = kept.read_text().splitlines() if kept.exists() else []
    return {v["key"]: Verdict(**v) for v in map(json.loads, said)}


def wilson(killed: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share, in percent."""
    z, p = 1.96, killed / total
    middle = p + z * z / (2 * total)
    width = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    scale = 100 / (1 + z * z / total)
    return (middle - width) * scale, (middle + width) * scale


def table(
    mutants: Iterable[Mutant], verdicts: Mapping[str, Verdict]
) -> tuple[int, int]:
    """Prints the survivors and the scores; returns killed and total."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    spent: Counter[str] = Counter()
    for m in mutants:
        verdict = verdicts[m.key]
        rows[m.module][verdict.outcome] += 1
        spent[m.module] += math.ceil(verdict.seconds * 100)
        if verdict.outcome in ("survived", "unreached"):
            print(
                f"\n{verdict.outcome} {m.place} line {m.line}\n  - {m.was}\n  + {m.becomes}"
            )
    print(
        f"\n{'module':<20}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'unreached':>10}{'score':>8}{'s':>7}"
    )
    for room in sorted(rooms_of(rows)):
        parts = [m for m in rows if m == room or room in m.split(".")[:1]]
        row = sum((rows[m] for m in parts), Counter[str]())
        total, dead = row.total(), row["killed"] + row["timeout"]
        print(
            f"{room:<20}{total:>8}{row['killed']:>8}{row['timeout']:>8}{row['survived']:>9}"
            f"{row['unreached']:>10}{100 * dead / total:>7.1f}%{sum(spent[m] for m in parts) / 100:>7.0f}"
        )
    all_ = sum(rows.values(), Counter[str]())
    return all_["killed"] + all_["timeout"], all_.total()


def rooms_of(rows: Iterable[str]) -> set[str]:
    """Modules, and the rooms they are in."""
    names = set(rows)
    return names | {n.split(".")[0] for n in names}


def main() -> int:
    """Run what is asked for; 0 when enough is killed."""
    reader = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    reader.add_argument("--sample", type=int, default=0)
    reader.add_argument("--seed", type=int, default=1)
    reader.add_argument("--only", default="", help="part of a path, as in sync/planner")
    reader.add_argument(
        "--budget", type=float, default=10.0, help="seconds of tests for a mutant"
    )
    reader.add_argument("--again", action="store_true", help="forget the verdicts")
    reader.add_argument(
        "--at-least", type=float, default=85.0, help="percent to be killed"
    )
    reader.add_argument(
        "--tests", nargs="*", default=TESTS, help="other tests than the usual"
    )
    reader.add_argument("--slow", action="store_true", help="the crash tests, too")
    asked = reader.parse_args()
    os.chdir(ROOT)
    KEPT.mkdir(exist_ok=True)
    plugin = Mutators(asked)
    ended = pytest.main(
        [
            "--capture=no",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:terminal",
            *(f"--ignore={t}" for t in (() if asked.slow else SLOW)),
            *asked.tests,
        ],
        plugins=[plugin],
    )
    if ended or not plugin.chosen:
        print("the tests could not be collected")
        return 2
    killed, total = table(plugin.chosen, plugin.verdicts)
    low, high = wilson(killed, total)
    share = 100 * killed / total
    print(f"\n{killed} of {total} killed: {share:.1f} %", end="")
    print(
        f" (95 %: {low:.1f} to {high:.1f}; of {len(plugin.all)})"
        if total < len(plugin.all)
        else ""
    )
    return 0 if share >= asked.at_least else 1


if __name__ == "__main__":
    sys.exit(main())
