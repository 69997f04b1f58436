"""How many calls a job takes, counted by the sandboxes; and who is whom in two filled accounts.

    calls.py [--records 10000] [--direction left-to-right|both]
    calls.py --match [--records 10000]
    calls.py --pair hubspot,zoho [--records 10000]

Without ``--match``: a first copy, directly after it, a full re-scan, and two incremental runs with
nothing changed, each more than a lookback after the one before.
With it: two accounts that have 60 % of their people in common, 2.5 % twin groups on either side and
phones in two notations are matched, synced and compared with the truth.  Exits 1 above the targets.
With ``--pair``: the same as without, between any two of the vendors; the most calls there may be follow
from how many records each of their calls takes.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from connector_hub.adapters.plugins import Plugins
from connector_hub.hub import Hub, open_hub
from connector_hub.model.plan import Receipt
from connector_hub.sync.run import Options
from connector_hub.testing import Sandbox

PROJECT = """\
connections:
  sales: {connector: hubspot, base_url: "${HUBSPOT_URL}", token: env:HUBSPOT_TOKEN, region: ID}
  billing:
    connector: salesforce
    base_url: "${SALESFORCE_URL}"
    region: ID
    client_id: "${SALESFORCE_CLIENT_ID}"
    client_secret: env:SALESFORCE_CLIENT_SECRET
jobs:
  contacts:
    entity: contact
    left: {connection: sales, resource: contacts}
    right: {connection: billing, resource: Contact}
    direction: DIRECTION
"""
_MORE_THAN_A_LOOKBACK = 600.0
_LEAST = 10_000
"""Records for which the targets are set."""
FIRST = {"sales": 110, "billing": 75}
FULL = {"sales": 110, "billing": 15}
AFTER, QUIET = 14, 8

Vendors = Mapping[str, Sandbox]


PAIR = """\
connections:
CONNECTIONS
jobs:
  contacts:
    entity: contact
    left: {connection: LEFT, resource: LEFT_RESOURCE}
    right: {connection: RIGHT, resource: RIGHT_RESOURCE}
    direction: DIRECTION
"""
PEOPLE = {"hubspot": "contacts", "salesforce": "Contact", "zoho": "Contacts"}
_BESIDES = 10
"""Calls that are not about records: who we are, which fields there are, the ends of feeds."""


def vendors(records: int) -> Vendors:
    """A HubSpot with so many contacts, and an empty Salesforce."""
    plugins = Plugins()
    return {
        "sales": plugins.sandbox("hubspot")(records=records, companies=0),
        "billing": plugins.sandbox("salesforce")(),
    }


@asynccontextmanager
async def opened(both: Vendors, direction: str) -> AsyncIterator[Hub]:
    """A project between the two."""
    environ = {n: v for s in both.values() for n, v in s.env().items()}
    environ |= {
        "HUBSPOT_URL": both["sales"].url,
        "SALESFORCE_URL": both["billing"].url,
        "SALESFORCE_CLIENT_ID": both["billing"].connection()["client_id"],
    }
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in both.items()}
    async with _open(PROJECT.replace("DIRECTION", direction), environ, wires) as hub:
        yield hub


@asynccontextmanager
async def _open(
    text: str, environ: Mapping[str, str], wires: Mapping[str, Any]
) -> AsyncIterator[Hub]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hub.yaml"
        file.write_text(text)
        async with open_hub(file, environ=environ, transports=wires) as hub:
            yield hub


@asynccontextmanager
async def opened_pair(both: Vendors, direction: str) -> AsyncIterator[Hub]:
    """A project between any two."""
    left, right = both
    lines = []
    for name, sandbox in both.items():
        lines += [f"  {name}:", "    region: ID"]
        lines += [f"    {k}: {v!r}" for k, v in sandbox.connection().items()]
    text = PAIR.replace("CONNECTIONS", "\n".join(lines)).replace("DIRECTION", direction)
    for word, value in (
        ("LEFT_RESOURCE", PEOPLE[left]),
        ("RIGHT_RESOURCE", PEOPLE[right]),
        ("LEFT", left),
        ("RIGHT", right),
    ):
        text = text.replace(word, value)
    environ = {n: v for s in both.values() for n, v in s.env().items()}
    wires = {n: httpx.ASGITransport(app=s.app) for n, s in both.items()}
    async with _open(text, environ, wires) as hub:
        yield hub


def most(vendor: str, records: int, *ops: str) -> int:
    """Calls that so many records take at a vendor, each op in batches as large as it takes."""
    resource = Plugins().connector(vendor).resource(PEOPLE[vendor])
    ways = [resource.way(op) for op in ops]
    return _BESIDES + sum(-(-records // w.rows) * w.cost for w in ways)


class Count:
    """Runs of a job, and whether each kept to its target."""

    def __init__(self, hub: Hub, both: Vendors, *, strict: bool) -> None:
        self.hub = hub
        self.both = both
        self.strict = strict
        self.kept = True

    async def run(
        self, what: str, most: Mapping[str, int] | int, *, full: bool = False
    ) -> Receipt:
        """A sync, its calls beside the most they may be: by connection, or in all."""
        before = {n: sum(s.calls.values()) for n, s in self.both.items()}
        receipt = await self.hub.sync("contacts", options=Options(full=full))
        calls = {n: sum(s.calls.values()) - before[n] for n, s in self.both.items()}
        if isinstance(most, int):
            good = sum(calls.values()) <= most
        else:
            good = all(calls[n] <= m for n, m in most.items())
        self.kept = self.kept and (good or not self.strict)
        written = sum(receipt.writes.values())
        counted = ", ".join(f"{n} {calls[n]}" for n in calls)
        bound = f"   (at most {most})" if most else ""
        print(
            f"{what:<26}{receipt.read:>8,} read{written:>8,} written   {counted}{bound}"
        )
        return receipt

    def wait(self) -> None:
        """Longer than any connector looks back."""
        for s in self.both.values():
            s.clock.advance(_MORE_THAN_A_LOOKBACK)

    async def repeat(self) -> None:
        """What a job costs that has nothing to do."""
        await self.run("directly after", AFTER)
        await self.run("full re-scan", FULL, full=True)
        self.wait()
        await self.run("incremental", QUIET + 6)
        self.wait()
        quiet = await self.run("incremental, again", QUIET)
        self.kept = self.kept and not any(quiet.writes.values())


async def copy(records: int, direction: str) -> int:
    """A first copy and what follows. The exit code."""
    both = vendors(records)
    async with opened(both, direction) as hub:
        count = Count(hub, both, strict=records >= _LEAST)
        await count.run("first copy", FIRST)
        await count.repeat()
    return int(not count.kept)


async def pair(records: int, names: list[str], direction: str) -> int:
    """A first copy between two vendors and what follows. The exit code."""
    left, right = names
    plugins = Plugins()
    both: Vendors = {
        left: plugins.sandbox(left)(records=records, companies=0),
        right: plugins.sandbox(right)(),
    }
    async with opened_pair(both, direction) as hub:
        count = Count(hub, both, strict=True)
        first = {
            left: most(left, records, "list"),
            right: most(right, records, "create", "fetch"),
        }
        await count.run("first copy", first)
        count.wait()
        await hub.sync("contacts")
        count.wait()
        again = await count.run("again", QUIET)
        full = {n: most(n, records, "list") for n in names}
        rescan = await count.run("full re-scan", full, full=True)
        quiet = not any([*again.writes.values(), *rescan.writes.values()])
    return int(not (count.kept and quiet))


def settle(both: Vendors, shared: int, twins: int) -> dict[str, str]:
    """Fill Salesforce, and HubSpot with twins; who is the same: HubSpot's id by Salesforce's."""
    sales, billing = both["sales"], both["billing"]
    people = sales.live("contacts")
    truth: dict[str, str] = {}
    for row in people[:shared]:
        p = row["properties"]
        made = billing.edit(
            "Contact",
            {
                "LastName": p["lastname"],
                "FirstName": p["firstname"],
                "Email": p["email"].upper(),
                "Phone": _other_notation(p["phone"]),
            },
        )
        truth[made["Id"]] = row["id"]
    for i in range(len(people) - shared):
        there = {"LastName": f"Only{i}", "Email": f"only{i}@there.example"}
        billing.edit("Contact", there)
    for i in range(twins):
        for n in range(2):
            twin = {"LastName": f"Twin{i}", "Email": f"twin{i}@there.example"}
            billing.edit("Contact", twin)
            mine = {"lastname": f"Here{i}", "phone": _notation(i, n)}
            sales.edit("contacts", {"properties": mine})
    return truth


def _other_notation(phone: str) -> str:
    return phone.replace("+62", "0", 1) if phone.startswith("+62") else phone


def _notation(i: int, n: int) -> str:
    """The same number, once with the country and once without."""
    digits = f"81270{i:05}"
    return f"+62{digits}" if n else f"0{digits[:3]}-{digits[3:]}"


async def match(records: int) -> int:
    """Two filled accounts, first matched and then synced. The exit code."""
    shared, twins = records * 6 // 10, records // 40
    both = vendors(records - 2 * twins)
    truth = settle(both, shared, twins)
    sizes = [len(both["sales"].live("contacts")), len(both["billing"].live("Contact"))]
    print(
        f"{sizes[0]:,} and {sizes[1]:,} people, {shared:,} in common, {2 * twins} twin groups"
    )
    async with opened(both, "both") as hub:
        told = await hub.match("contacts", lambda _: None)
        print(", ".join(f"{kind} {n:,}" for kind, n in told.items()))
        pairs = told["one to one"] + told.get("other name", 0)
        adds_up = sum(told.values()) + pairs == sum(sizes)
        count = Count(hub, both, strict=False)
        await count.run("first sync", {})
        joined = {b: a for a, b in hub.links("contacts")}
        wrong = sum(joined.get(b) != a for b, a in truth.items())
        kinds = Counter(c.kind for c in hub.conflicts("contacts"))
        expected = sum(sizes) - shared - 4 * twins
        doubled = len(joined) - expected
        count.strict = True
        count.wait()
        await hub.sync("contacts")
        count.wait()
        await count.run("incremental", QUIET)
        await count.run("full re-scan", {}, full=True)
    print(
        f"wrong links {wrong}, people created who are there {doubled}, conflicts {dict(kinds)}"
    )
    good = not wrong and not doubled and adds_up and kinds == {"twins": 2 * twins}
    return int(not (good and count.kept))


def main() -> int:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--records", type=int, default=_LEAST)
    parser.add_argument("--direction", default="left-to-right")
    parser.add_argument("--match", action="store_true", help="two filled accounts")
    parser.add_argument("--pair", default="", help="two vendors, such as hubspot,zoho")
    asked: Any = parser.parse_args()
    if asked.pair:
        names = asked.pair.split(",")
        return asyncio.run(pair(asked.records, names, asked.direction))
    if asked.match:
        return asyncio.run(match(asked.records))
    return asyncio.run(copy(asked.records, asked.direction))


if __name__ == "__main__":
    raise SystemExit(main())
