"""Some records: as the vendor holds them, in the hub's words, and as the other side would get them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connector_hub.model.job import Policy, SideName
from connector_hub.model.mapping import ABSENT, Spoke, blank
from connector_hub.model.record import Record, Want
from connector_hub.sdk.connector import Connector
from connector_hub.sync.paging import Pull

State = Literal["read", "absent", "unreadable", "outside"]
"""What became of a value: read, not told by the vendor, not understood, or outside its condition."""


@dataclass(frozen=True, slots=True)
class Line:
    """One field of a record. ``path`` and ``there`` are what the other side would be given, if anything.

    ``note`` says why nothing travels.
    """

    field: str
    raw: Any
    state: State
    word: Any = None
    path: str | None = None
    there: Any = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Previewed:
    """One record of a connection, field by field."""

    connection: str
    record: str
    lines: tuple[Line, ...]


async def sample(
    connector: Connector,
    resource: str,
    want: Want,
    most: int,
    record: str | None = None,
) -> list[Record]:
    """The first records of a listing, at most so many; or the one of that id."""
    if record is not None:
        answer = await connector.fetch(resource, [record], want)
        return [r for r in answer if isinstance(r, Record)]
    found: list[Record] = []
    at = None
    pull = Pull(resource, connector.name, at)
    while len(found) < most:
        page = await connector.read(resource, "changed", at, want)
        found += [r for r in page.records if isinstance(r, Record)]
        at = pull.follow(page)
        if at is None:
            break
    return found[:most]


def previewed(  # noqa: PLR0917 - the record, and both ends of its way
    connection: str,
    known_as: str,
    record: Record,
    here: Spoke,
    there: Spoke,
    travelling: Mapping[str, Policy],
) -> Previewed:
    """A record, field by field. ``travelling`` are the fields that may go to the other side."""
    raws = here.raws(record.fields, record.links)
    whole, bads = here.whole(raws)
    view = here.view(raws)[0]
    bad = {b.field for b in bads}
    given = {n: v for n, v in view.items() if n in travelling}
    out = there.outside(there.filled(given))
    lines = []
    for name, raw in zip(here.names, raws, strict=False):
        state: State = "read"
        if name not in view:
            state = (
                "outside"
                if name in whole
                else "unreadable"
                if name in bad
                else "absent"
            )
        line = Line(name, None if raw is ABSENT else raw, state, view.get(name))
        if state == "read":
            line = _travel(line, there, travelling, out)
        lines.append(line)
    return Previewed(connection, known_as, tuple(lines))


def _travel(
    line: Line, there: Spoke, travelling: Mapping[str, Policy], out: set[str]
) -> Line:
    """What the other side would be given of a field."""
    name, value = line.field, line.word
    rule = there.mapping.rules.get(name)
    note = ""
    if rule is None:
        note = "no rule there"
    elif name not in travelling:
        note = "does not travel"
    elif rule.link:
        note = "the link of its counterpart"
    elif name in out:
        note = "outside its condition there"
    elif not there.can_say(name, value):
        note = "" if blank(value) else "nobody there has it"
        note = note or "a blank is not written"
    written = {} if note else there.put({name: value})
    for path, given in written.items():
        return Line(name, line.raw, line.state, value, path, given)
    return Line(name, line.raw, line.state, value, note=note or "no word for it there")


def travelling_from(
    side: SideName, policies: Mapping[str, Policy]
) -> dict[str, Policy]:
    """The fields that may travel from a side."""
    return {n: p for n, p in policies.items() if p.owner in {None, side}}
