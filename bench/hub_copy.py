"""The hub's arm: one first copy of N contacts through the library, in its own folder.

    hub_copy.py [--both] SOURCE TARGET N

The windows of the vendor's limits are opened wide, because it is CPU that is measured.
Prints one JSON line: ``{"read", "written"}``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from pathlib import Path

from connector_hub import open_hub

MAPPINGS = Path(__file__).resolve().parent / "mappings"
_WIDE = 1_000_000_000
_PROJECT = """\
mappings: {mappings}
connections:
  source: {{connector: hubspot, base_url: "{source}", token: env:TOKEN, \
burst: {wide}, daily: {wide}}}
  target: {{connector: hubspot, base_url: "{target}", token: env:TOKEN, \
burst: {wide}, daily: {wide}}}
jobs:
  people:
    entity: person
    left: {{connection: source, resource: contacts}}
    right: {{connection: target, resource: contacts}}
    direction: {direction}
"""


async def copy(
    source: str, target: str, contacts: int, direction: str
) -> tuple[int, int]:
    """Copy all contacts of one account to another: how many were read and written."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hub.yaml"
        file.write_text(
            _PROJECT.format(
                mappings=json.dumps(str(MAPPINGS)),
                source=source,
                target=target,
                wide=_WIDE,
                direction=direction,
            )
        )
        async with open_hub(file, environ={"TOKEN": "x"}) as hub:
            receipt = await hub.sync("people")
    assert receipt.status == "done", receipt.document()
    assert receipt.read == receipt.created == contacts, receipt.document()
    return receipt.read, receipt.created


def main() -> None:
    """Read the command line, copy, check, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--both", action="store_true", help="a two-way job")
    parser.add_argument("source")
    parser.add_argument("target")
    parser.add_argument("contacts", type=int)
    asked = parser.parse_args()
    read, written = asyncio.run(
        copy(
            asked.source,
            asked.target,
            asked.contacts,
            "both" if asked.both else "left-to-right",
        )
    )
    print(json.dumps({"read": read, "written": written}))


if __name__ == "__main__":
    main()
