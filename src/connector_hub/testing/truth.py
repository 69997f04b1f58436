"""What really happened at the vendors: who wrote what when, seen from outside the hub."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connector_hub.testing.sandbox import Sandbox

Who = Literal["hub", "person"]
Record = tuple[str, str, str]
"""(side, resource, id)."""


@dataclass(frozen=True, slots=True)
class Wrote:
    """One record written once. ``was`` and ``now`` hold what differs, by path; of new ones all there is."""

    call: int
    at: float
    who: Who
    side: str
    resource: str
    record: str
    op: Literal["create", "update", "delete"]
    was: Mapping[str, Any]
    now: Mapping[str, Any]

    @property
    def of(self) -> Record:
        """The record."""
        return self.side, self.resource, self.record


class Truth:
    """Watches the records of sandboxes.

    Args:
        sandboxes: by the connection's name.
        watched: the paths that matter, by connection and resource.
    """

    def __init__(
        self,
        sandboxes: Mapping[str, Sandbox],
        watched: Mapping[tuple[str, str], Collection[str]],
    ) -> None:
        self._sandboxes = sandboxes
        self._watched = watched
        self.history: list[Wrote] = []
        self.rows: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
        for at in watched:
            self.rows[at] = self._read(*at)

    def _read(self, side: str, resource: str) -> dict[str, dict[str, Any]]:
        paths = self._watched[side, resource]
        found = {}
        for row in self._sandboxes[side].live(resource):
            record = row.get("id", row.get("Id"))
            found[str(record)] = {p: _walk(row, p) for p in paths}
        return found

    def look(self, side: str, who: Who, call: int, at: float) -> None:
        """What has changed on a side since it was looked at last was done by that one."""
        for place, before in self.rows.items():
            if place[0] != side:
                continue
            after = self._read(*place)
            if after == before:
                continue
            self.rows[place] = after
            for record in [*before, *(r for r in after if r not in before)]:
                self._note(place, record, before, after, (call, at, who))

    def _note(
        self,
        place: tuple[str, str],
        record: str,
        before: Mapping[str, dict[str, Any]],
        after: Mapping[str, dict[str, Any]],
        told: tuple[int, float, Who],
    ) -> None:
        was, now = before.get(record), after.get(record)
        if was == now:
            return
        if was is None:
            self.history.append(Wrote(*told, *place, record, "create", {}, now or {}))
        elif now is None:
            self.history.append(Wrote(*told, *place, record, "delete", was, {}))
        else:
            names = [n for n in now if now[n] != was[n]]
            mine = {n: was[n] for n in names}, {n: now[n] for n in names}
            self.history.append(Wrote(*told, *place, record, "update", *mine))

    def by(self, who: Who) -> list[Wrote]:
        """What one of them wrote."""
        return [w for w in self.history if w.who == who]


def _walk(row: Mapping[str, Any], path: str) -> Any:
    found: Any = row
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found if found != "" else None
