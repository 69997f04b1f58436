"""What jobs need to be allowed at their vendors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from connector_hub.adapters.watched import blaming
from connector_hub.hub.planning import Planning
from connector_hub.hub.running import written_to
from connector_hub.model.job import SIDES, Job, SideName, across
from connector_hub.model.mapping import Spoke
from connector_hub.sdk.connector import Can, Connector, Resource
from connector_hub.sdk.permissions import Need, Permission, Right
from connector_hub.sync.run import policies_between

_CAN: Mapping[Right, Can] = {
    "read": Can.READ,
    "create": Can.CREATE,
    "edit": Can.UPDATE,
    "delete": Can.ARCHIVE,
}


@dataclass(frozen=True, slots=True)
class Permitted:
    """What must be allowed at a connection; ``lacks``: scopes not granted, None where nobody knows."""

    connection: str
    connector: str
    permissions: tuple[Permission, ...]
    lacks: tuple[str, ...] | None = None
    files: Mapping[str, str] | None = None
    """What an administrator can deploy, by file name."""


class Permitting(Planning):
    """What jobs need to be allowed at their vendors."""

    def permissions(self, job: str | None = None) -> list[Permitted]:
        """What a job, or all of them, need of each connection: computed from mappings; no vendor is asked.

        Raises:
            ConfigError: there is no such job.
            PluginError: a connector's plugin cannot be used.
        """
        jobs = [self.job(job)] if job else list(self.project.jobs.values())
        needed: dict[str, dict[str, Need]] = {}
        for one in jobs:
            for connection, need in self._needs(one):
                known = needed.setdefault(connection, {})
                before = known.get(need.resource)
                known[need.resource] = before | need if before else need
        named = job or self.project.folder.resolve().name
        return [
            self._permitted(name, named, tuple(needs.values()))
            for name, needs in needed.items()
        ]

    def _permitted(
        self, connection: str, job: str, needs: tuple[Need, ...]
    ) -> Permitted:
        kind = self.plugins.connector(self.connection(connection).connector)
        with blaming(kind.name, "permissions", connection):
            found = tuple(kind.permissions(needs))
            files = kind.permission_files(job, needs)
        lacks = self._ungranted(connection, kind, found)
        return Permitted(connection, kind.name, found, lacks, files)

    def _ungranted(
        self, connection: str, kind: type[Connector], needed: Iterable[Permission]
    ) -> tuple[str, ...] | None:
        """Scopes that the vendor did not grant with the token that is kept."""
        token = self.store.token(connection) if self._stateful else None
        if token is None or not token.scopes:
            return None
        granted = frozenset(token.scopes)
        return tuple(
            p.name
            for p in needed
            if p.kind == "scope" and not p.once and not kind.covers(granted, p.name)
        )

    def _needs(self, job: Job) -> Iterator[tuple[str, Need]]:
        """What a job does, by connection and resource."""
        _, left = self._routes(job)
        spokes = {n: self._spokes(job, n, left) for n in SIDES}
        ends = {n: spokes[n][job.side(n).resource] for n in SIDES}
        for name in SIDES:
            at = job.side(name)
            across_end = ends[across(name)]
            for resource, spoke in spokes[name].items():
                pair = (spoke, across_end) if name == "left" else (across_end, spoke)
                written = written_to(name, policies_between(job, *pair), spoke)
                yield at.connection, self._need(job, name, resource, spoke, written)
                for rule in spoke.mapping.rules.values():
                    if rule.lookup and rule.field in spoke.names:
                        reads = frozenset({rule.lookup.by})
                        yield at.connection, Need(rule.lookup.resource, reads=reads)

    def _need(
        self,
        job: Job,
        side: SideName,
        resource: str,
        spoke: Spoke,
        written: frozenset[str],
    ) -> Need:
        at = job.side(side)
        targets = {t.resource for t in at.create_as} or {at.resource}
        ops = job.overwrites.get(side, ())
        done: tuple[tuple[Right, bool], ...] = (
            ("read", True),
            ("create", job.creates_at(side) and resource in targets),
            ("edit", "update" in ops and bool(written)),
            ("delete", "archive" in ops),
        )
        rights = frozenset(right for right, does in done if does)
        creates = "create" in rights
        key = self._key_field(job, side) if creates else None
        rules = [spoke.mapping.rules[n] for n in written]
        paths = {p for r in rules for p in r.written} if rights - {"read"} else set()
        if creates:
            paths |= {*spoke.mapping.set_on_create, *({key} if key else ())}
        return Need(
            resource,
            rights,
            spoke.want.fields | ({key} if key else set()),
            frozenset(paths),
            spoke.want.links,
            frozenset(a for n, a, _ in spoke.associations if n in written),
            key,
        )


def rights_of(told: Resource) -> set[Right]:
    """What a vendor's description lets us do to whole records."""
    return {right for right, can in _CAN.items() if can in told.can}
