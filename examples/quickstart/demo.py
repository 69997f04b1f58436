"""The quick start: a HubSpot and a Salesforce that have lived apart, brought into agreement; neither is real.

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

from connector_hub.testing.people import people

HERE = Path(__file__).resolve().parent
HUB = str(Path(sys.executable).parent / "connector-hub")
COMPANIES, HERE_ONLY, SHARED, THERE_ONLY = 300, 700, 700, 600
PILOT = 50
PILOT_LINE = f"    pilot: {PILOT}\n"
MAPPING = "mappings/contact/salesforce.yaml"
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
        shutil.copytree(HERE / "mappings", folder / "mappings")

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of the project as an editor would.

        Raises:
            SystemExit: it does not say what is to be changed.
        """
        file = self.folder / name
        text = file.read_text()
        expect(old in text, f"{name} says {old!r}")
        file.write_text(text.replace(old, new))

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


def settle_in(billing: Vendor) -> None:
    """People whom only Salesforce knows."""
    strangers = [
        {
            "FirstName": p.given,
            "LastName": p.family,
            "Email": p.email,
            "Phone": p.phone,
            "Title": p.title,
            "MailingCity": p.city,
        }
        for p in people(THERE_ONLY, 7, 0)
    ]
    billing.ask("records/Contact", strangers)


def first_match(project: Project) -> None:
    """Who is whom, before anything is written."""
    say(
        "2. Who is whom",
        "Both accounts are filled, and half of the people are in both.",
        "A match writes nothing; its file can be corrected and taken in.",
    )
    project.show("match", "contacts", "--csv", "match.csv")
    told = project.document("match", "contacts")["match"]
    expect(told["one to one"] > SHARED * 0.9, "those who are in both are found")
    expect(told["twins"], "twins are told")


def pilot(project: Project, sales: Vendor, billing: Vendor) -> None:
    """Fifty people, with their companies."""
    say(
        f"3. A pilot of {PILOT}",
        f"`pilot: {PILOT}` in hub.yaml holds the contacts to {PILOT} people, and the",
        "companies to theirs. Nothing is written by a plan. Values are masked unless",
        "asked for; these people are invented.",
    )
    project.edit("hub.yaml", PILOT_LINE.replace("    pilot", "    # pilot"), PILOT_LINE)
    project.show("plan", "contacts", "--values")
    before = {"sales": stamps(sales), "billing": stamps(billing)}
    project.show("sync", ok=(_DONE, _PARTIAL))
    touched = len(stamps(sales) ^ before["sales"]) + len(
        stamps(billing) ^ before["billing"]
    )
    expect(touched, "the pilot writes")
    links = project.document("links", "show", "contacts")["links"]
    expect(0 < len(links) <= PILOT, f"{len(links)} people are linked")


def stamps(vendor: Vendor) -> set[tuple[str, str]]:
    """Every contact as it stands: id and time of change."""
    if vendor.connection["connector"] == "hubspot":
        rows = vendor.ask("records/contacts")
        return {(r["id"], r["updatedAt"]) for r in rows}
    rows = vendor.ask("records/Contact")
    return {(r["Id"], r["SystemModstamp"]) for r in rows}


def everybody(project: Project, sales: Vendor, billing: Vendor) -> dict[str, int]:
    """All the others; the calls promised and those that arrived, by connection."""
    say(
        "4. Everybody",
        "Without the pilot the others follow, and nobody is created twice.",
    )
    project.edit("hub.yaml", PILOT_LINE, "")
    project.show("sync", "companies", ok=(_DONE, _PARTIAL))
    project.show("plan", "contacts", "--values")
    plan = project.document("plan", "contacts")
    say(
        "5. The plan is carried out",
        f"Plan {plan['plan']} is applied as it was shown, in no more calls than it",
        "promised. Some people have one name only, and Salesforce wants a last name: it",
        "will refuse them. The others do not wait; the command ends with 3, partial.",
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
    nobody_twice(sales, billing)
    say("6. A second plan", "Nothing has changed, so there is nothing to do.")
    project.show("plan", "contacts")
    plan = project.document("plan", "contacts")
    writes = plan["create"] + plan["update"] + plan["delete"]
    expect(not writes, f"a second plan would write {writes} records")
    return spent | {f"{name} promised": n for name, n in promised.items()}


def nobody_twice(sales: Vendor, billing: Vendor) -> None:
    """An e-mail stands for one person in either account."""
    for emails in (
        [p["properties"].get("email") for p in sales.ask("records/contacts")],
        [p.get("Email") for p in billing.ask("records/Contact")],
    ):
        known = [e.strip().lower() for e in emails if e]
        expect(len(known) == len(set(known)), "nobody is there twice")


def both_edit(project: Project, sales: Vendor, billing: Vendor) -> None:
    """Edits on both sides: different fields meet, the same field asks."""
    say(
        "7. People edit on both sides",
        "One person moves in HubSpot and gets another number in Salesforce: both edits",
        "arrive. For another one, each side has a different city: a conflict.",
    )
    meets, differs, *_ = pairs(project, billing)
    sales.ask(
        "records/contacts",
        [
            {"id": meets[0], "properties": {"city": "Surabaya"}},
            {"id": differs[0], "properties": {"city": "Bogor"}},
        ],
    )
    billing.ask(
        "records/Contact",
        [
            {"Id": meets[1], "Phone": "+62 811 2233 4455"},
            {"Id": differs[1], "MailingCity": "Medan"},
        ],
    )
    time.sleep(_SEARCH_LAG)
    project.show("plan", "contacts", "--all", "--values")
    project.show("sync", "contacts", ok=(_PARTIAL,))
    here, there = person(sales, meets[0]), account_of(billing, "Contact", meets[1])
    expect(there["MailingCity"] == "Surabaya", "the move has arrived in Salesforce")
    expect("2233" in here["phone"], "the number has arrived in HubSpot")
    expect(person(sales, differs[0])["city"] == "Bogor", "neither city was overwritten")
    listed = project.document("conflicts", "list", "--job", "contacts")["conflicts"]
    (number,) = (c["id"] for c in listed if c["kind"] == "fields")
    project.show("conflicts", "show", str(number), "--values")
    project.show("conflicts", "resolve", str(number), "--take", "billing")
    project.show("sync", "contacts")
    expect(person(sales, differs[0])["city"] == "Medan", "the decision is carried out")


def pairs(project: Project, billing: Vendor) -> Iterator[tuple[str, str]]:
    """Linked people, as ids in HubSpot and Salesforce."""
    alive = {r["Id"] for r in billing.ask("records/Contact") if r["Email"]}
    for link in project.document("links", "show", "contacts")["links"]:
        if link["right"] in alive:
            yield link["left"], link["right"]


def person(sales: Vendor, record: str) -> Mapping[str, Any]:
    """A HubSpot contact's properties."""
    rows = sales.ask("records/contacts")
    found: Mapping[str, Any] = next(r for r in rows if r["id"] == record)["properties"]
    return found


def account_of(billing: Vendor, resource: str, record: str) -> Mapping[str, Any]:
    """A Salesforce record."""
    rows = billing.ask(f"records/{resource}")
    found: Mapping[str, Any] = next(r for r in rows if r["Id"] == record)
    return found


def not_taken(project: Project, billing: Vendor) -> None:
    """HubSpot's lifecycle stage only moves forward."""
    say(
        "8. What a vendor does not take",
        "Somebody in Salesforce makes a customer a prospect again. HubSpot's stages only",
        "move forward: it says yes and keeps the old one. The hub sees that, counts it as",
        "not taken, does not echo it back over Salesforce, and does not send it again.",
    )
    customers = {
        r["Id"]
        for r in billing.ask("records/Account")
        if r["Type"] == "Customer - Direct"
    }
    links = project.document("links", "show", "companies")["links"]
    company = next(k for k in links if k["right"] in customers)
    billing.ask("records/Account", {"Id": company["right"], "Type": "Prospect"})
    project.show("sync", "companies")
    receipt = project.document("runs", "--job", "companies")["runs"][0]["document"]
    expect(receipt["not_taken"] == 1, "it is counted as not taken")
    again = project.document("sync", "companies")
    expect(not any(again["writes"].values()), "it is not sent again")
    there = account_of(billing, "Account", company["right"])
    expect(there["Type"] == "Prospect", "and Salesforce keeps its word")


def cure(project: Project) -> None:
    """Dead letters, mended in the mapping and replayed."""
    say(
        "9. Dead letters, and their cure in the mapping",
        "Whom Salesforce refused waits here, and is not sent again until something",
        "changes: the record, the mapping, or Salesforce.",
    )
    letters = project.document("dead-letters", "list")["dead_letters"]
    expect(letters, "some people have one name only")
    project.show("dead-letters", "list")
    print(
        "\n  One line in mappings/contact/salesforce.yaml says what stands for a missing"
        "\n  last name there:\n"
        "\n    family_name: {path: LastName, via: [trim, filler(-)]}"
    )
    project.edit(
        MAPPING,
        "fields:\n",
        "fields:\n  family_name: {path: LastName, via: [trim, filler(-)]}\n",
    )
    project.show("dead-letters", "replay", "--all")
    letters = project.document("dead-letters", "list")["dead_letters"]
    expect(not letters, "the cure cures all of them")


def correct(project: Project, billing: Vendor) -> None:
    """A mapping that was wrong, corrected and back-filled."""
    say(
        "10. A mapping is corrected",
        "The mapping has put job titles into Salesforce's field Department. Corrected to",
        "Title it writes nothing by itself: all records that are linked stay as they",
        "are, until the field is back-filled, by a plan as always.",
    )
    before = {r["Id"]: r["Title"] for r in billing.ask("records/Contact")}
    project.edit(MAPPING, "title: {path: Department", "title: {path: Title")
    plan = project.document("plan", "contacts", "--full")
    writes = plan["create"] + plan["update"] + plan["delete"]
    expect(not writes, f"the edit alone would write {writes} records")
    project.show("plan", "contacts", "--backfill", "title", "--values")
    project.show("sync", "contacts", "--backfill", "title", ok=(_DONE, _PARTIAL))
    filled = [
        r
        for r in billing.ask("records/Contact")
        if r["Title"] and not before.get(r["Id"])
    ]
    expect(filled, "titles are where they belong")
    again = project.document("sync")
    writes = sum(n for j in again["jobs"] for n in j["writes"].values())
    expect(not writes, f"a sync of nothing new wrote {writes} records")


def ledger(spent: Mapping[str, int], sales: Vendor, billing: Vendor) -> None:
    """What the plan promised beside what the vendors counted."""
    say("12. The ledger", "Calls of the plan of step 5, and of everything:")
    print(
        f"\n  {'':<10}{'promised':>10}{'counted by the vendor':>24}{'whole demo':>13}"
    )
    for name, vendor in (("sales", sales), ("billing", billing)):
        promised, counted = spent[f"{name} promised"], spent[name]
        print(f"  {name:<10}{promised:>10}{counted:>24}{vendor.calls():>13}")


def story(folder: Path) -> None:
    """The whole demo."""
    begun = time.monotonic()
    born = ("--companies", str(COMPANIES), "--messy", "--records")
    with ExitStack() as stack:
        say(
            "1. Two vendors that have lived apart",
            f"A HubSpot with {HERE_ONLY + SHARED:,} contacts and a Salesforce with "
            f"{SHARED + THERE_ONLY:,}, {SHARED} of them",
            f"the same, and {COMPANIES} companies come up on this machine. No account is needed.",
        )
        sales = stack.enter_context(sandbox("hubspot", *born, str(HERE_ONLY + SHARED)))
        billing = stack.enter_context(sandbox("salesforce", *born, str(SHARED)))
        settle_in(billing)
        project = Project(folder, variables(sales, billing))
        project.show("check")
        first_match(project)
        pilot(project, sales, billing)
        spent = everybody(project, sales, billing)
        both_edit(project, sales, billing)
        not_taken(project, billing)
        cure(project)
        correct(project, billing)
        say(
            "11. Conflicts",
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
