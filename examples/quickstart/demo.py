"""The quick start: HubSpot kept in agreement with Salesforce, neither of them real.

    demo.py [--keep FOLDER]

Both vendors are sandboxes on 127.0.0.1; the project is made in a temporary folder.
What a person would do is done with the command line, step by step, and what is told
about it is asserted: the demo ends with 0 only if all of it was so.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
HUB = str(Path(sys.executable).parent / "connector-hub")
COMPANIES, CONTACTS = 300, 2000
_DONE, _PARTIAL = 0, 3
_PATIENCE = 5.0
"""Seconds a sandbox has to end when it is asked to."""
_SEARCH_LAG = 1.5
"""Seconds after which HubSpot's search has surely seen an edit."""


@dataclass(frozen=True, slots=True)
class Vendor:
    """A sandbox in a process of its own."""

    url: str
    env: Mapping[str, str]
    connection: Mapping[str, str]

    def ask(self, path: str, body: Any = None) -> Any:
        """Its own bookkeeping under ``/_sandbox/``."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{path}", data)  # noqa: S310
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - 127.0.0.1
            return json.load(answer)

    def calls(self) -> int:
        """Requests that arrived so far."""
        return int(self.ask("calls")["total"])


@contextmanager
def sandbox(name: str, *options: str) -> Iterator[Vendor]:
    """A sandbox for as long as the block lasts; ended by its process, come what may."""
    command = [HUB, "sandbox", name, "--port", "0", *options]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = child.stdout.readline() if child.stdout else ""
        expect(line, f"the {name} sandbox starts")
        ready = json.loads(line)
        yield Vendor(ready["url"], ready["env"], ready["connection"])
    finally:
        child.terminate()
        try:
            child.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Project:
    """The folder with hub.yaml, and the command line on it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self.folder = folder
        self._env = {**os.environ, **env}  # noqa: TID251 - handed on to children
        shutil.copy(HERE / "hub.yaml", folder)

    def show(self, *words: str, ok: tuple[int, ...] = (_DONE,)) -> None:
        """Run a command before the reader's eyes.

        Raises:
            SystemExit: it ended with another code than expected.
        """
        print(f"\n  $ connector-hub {' '.join(words)}\n", flush=True)
        self._run(words, ok, capture=False)

    def document(self, *words: str, ok: tuple[int, ...] = (_DONE,)) -> Any:
        """The JSON document of a command.

        Raises:
            SystemExit: it ended with another code than expected.
        """
        return json.loads(self._run((*words, "--json"), ok, capture=True))

    def _run(
        self, words: tuple[str, ...], ok: tuple[int, ...], *, capture: bool
    ) -> str:
        done = subprocess.run(
            [HUB, *words],
            cwd=self.folder,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if capture else None,
            stderr=subprocess.DEVNULL if capture else None,
            text=True,
            check=False,
        )
        if done.returncode not in ok:
            raise SystemExit(
                f"connector-hub {' '.join(words)} ended with {done.returncode}"
            )
        return done.stdout or ""


def expect(truth: object, what: str) -> None:
    """What the demo tells must be so.

    Raises:
        SystemExit: it is not.
    """
    if not truth:
        raise SystemExit(f"this did not come out as told: {what}")


def variables(sales: Vendor, billing: Vendor) -> dict[str, str]:
    """What hub.yaml takes from the environment: addresses, and secrets by reference."""
    return {
        "HUBSPOT_URL": sales.url,
        "SALESFORCE_URL": billing.url,
        "SALESFORCE_CLIENT_ID": billing.connection["client_id"],
        **sales.env,
        **billing.env,
    }


def say(title: str, *lines: str) -> None:
    """A step of the story."""
    print(f"\n\n{title}\n{'-' * len(title)}")
    for line in lines:
        print(line)
    sys.stdout.flush()


def first_copy(project: Project, sales: Vendor, billing: Vendor) -> dict[str, int]:
    """Plan, then apply; the calls promised and those that arrived, by connection."""
    say(
        "2. The plan",
        "Nothing is written by a plan. Companies first: contacts point to them.",
        "Values are masked unless asked for; these people are invented.",
    )
    project.show("plan", "companies", "--values")
    project.show("sync", "companies", ok=(_DONE, _PARTIAL))
    project.show("plan", "contacts", "--values")
    plan = project.document("plan", "contacts")
    say(
        "3. The first copy of the contacts",
        f"Plan {plan['plan']} is carried out as it was shown.",
        "Some people have one name only, and Salesforce wants a last name: it will",
        "refuse them. The others do not wait; the command ends with 3, partial.",
    )
    before = {"sales": sales.calls(), "billing": billing.calls()}
    project.show("apply", plan["plan"], ok=(_PARTIAL,))
    spent = {
        "sales": sales.calls() - before["sales"],
        "billing": billing.calls() - before["billing"],
    }
    promised = {name: sum(plan["calls"][name].values()) for name in spent}
    for name, n in spent.items():
        expect(n <= promised[name], f"{name} got {n} calls, promised {promised[name]}")
    return spent | {f"{name} promised": n for name, n in promised.items()}


def nothing_to_do(project: Project) -> None:
    """A second plan writes nothing."""
    say("4. A second plan", "Nothing has changed, so there is nothing to do.")
    project.show("plan", "contacts")
    plan = project.document("plan", "contacts")
    writes = plan["create"] + plan["update"] + plan["delete"]
    expect(not writes, f"a second plan would write {writes} records")


def edits(project: Project, sales: Vendor, billing: Vendor) -> None:
    """A few edits in HubSpot, carried over by a sync."""
    people = [
        p
        for p in sales.ask("records/contacts")
        if p["properties"].get("email") and p["properties"].get("lastname")
    ]
    renamed, moved, called = people[10], people[20], people[30]
    changes = [
        {
            "id": renamed["id"],
            "properties": {"firstname": "Ayu", "lastname": "O'Brien"},
        },
        {"id": moved["id"], "properties": {"city": "Surabaya"}},
        {"id": called["id"], "properties": {"phone": "0811-2233-4455"}},
        {"properties": {"email": "new@people.example", "lastname": "Nováková"}},
    ]
    say(
        "5. People edit",
        "In HubSpot one person is renamed, one moves, one has a new phone number,",
        "and one is new. A sync carries over these fields and nothing else.",
    )
    sales.ask("records/contacts", changes)
    time.sleep(_SEARCH_LAG)
    project.show("plan", "contacts", "--all", "--values")
    project.show("sync")
    there = {p.get("Email"): p for p in billing.ask("records/Contact")}
    expect(there["new@people.example"]["LastName"] == "Nováková", "who is new is there")
    email = renamed["properties"]["email"].strip().lower()
    expect(there[email]["LastName"] == "O'Brien", "who was renamed is renamed")
    again = project.document("sync")
    writes = sum(n for j in again["jobs"] for n in j["writes"].values())
    expect(not writes, f"a sync of nothing new wrote {writes} records")


def cure(project: Project) -> None:
    """Dead letters, mended in the mapping and replayed."""
    say(
        "6. Dead letters",
        "Whom Salesforce refused waits here, and is not sent again until something",
        "changes: the record, the mapping, or Salesforce.",
    )
    waiting = project.document("dead-letters", "list")
    letters = waiting["dead_letters"] if isinstance(waiting, dict) else waiting
    expect(letters, "some people have one name only")
    project.show("dead-letters", "list")
    project.show("dead-letters", "show", str(letters[0]["id"]), "--values")
    shutil.copytree(HERE / "cure", project.folder / "mappings")
    say(
        "7. The cure",
        "Three lines in mappings/contact/salesforce.yaml say what stands for a missing",
        "last name there:",
        "",
        "    extends: shipped",
        "    fields:",
        "      family_name: {path: LastName, via: [trim, filler(-)]}",
    )
    project.show("check")
    project.show("dead-letters", "replay", "--all")
    waiting = project.document("dead-letters", "list")
    letters = waiting["dead_letters"] if isinstance(waiting, dict) else waiting
    expect(not letters, "the cure cures all of them")


def ledger(spent: Mapping[str, int], sales: Vendor, billing: Vendor) -> None:
    """What the plan promised beside what the vendors counted."""
    say("9. The ledger", "Calls of the first copy of the contacts, and of everything:")
    print(
        f"\n  {'':<10}{'promised':>10}{'counted by the vendor':>24}{'whole demo':>13}"
    )
    for name, vendor in (("sales", sales), ("billing", billing)):
        promised, counted = spent[f"{name} promised"], spent[name]
        print(f"  {name:<10}{promised:>10}{counted:>24}{vendor.calls():>13}")


def story(folder: Path) -> None:
    """The whole demo."""
    begun = time.monotonic()
    born = ("--records", str(CONTACTS), "--companies", str(COMPANIES), "--messy")
    with ExitStack() as stack:
        say(
            "1. Two vendors",
            f"A HubSpot with {COMPANIES} companies and {CONTACTS:,} contacts, and an",
            "empty Salesforce come up on this machine. No account is needed.",
        )
        sales = stack.enter_context(sandbox("hubspot", *born))
        billing = stack.enter_context(sandbox("salesforce"))
        project = Project(folder, variables(sales, billing))
        project.show("check")
        spent = first_copy(project, sales, billing)
        nothing_to_do(project)
        edits(project, sales, billing)
        cure(project)
        say(
            "8. Conflicts",
            "Twins claim to be one person. The hub does not guess; a person decides.",
        )
        project.show("conflicts", "list")
        ledger(spent, sales, billing)
    print(f"\nAll of this was so. {time.monotonic() - begun:.0f} seconds.")


def main() -> None:
    """Read the command line and tell the story."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", type=Path, help="make the project there and keep it")
    keep = parser.parse_args().keep
    if keep:
        keep.mkdir(parents=True)
        story(keep)
        return
    with tempfile.TemporaryDirectory(prefix="connector-hub-") as folder:
        story(Path(folder))


if __name__ == "__main__":
    main()
