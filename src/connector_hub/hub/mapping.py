"""Mappings: what can be seen of them without writing."""

from __future__ import annotations

from collections.abc import (
    Iterable,
    Mapping,
)
from dataclasses import replace
from typing import TYPE_CHECKING

from connector_hub.adapters import files, overlays
from connector_hub.adapters.transforms import needs_region
from connector_hub.diagnostics import Diagnostic, Diagnostics, Outgrown
from connector_hub.errors import (
    ConfigError,
)
from connector_hub.model.entity import Kind
from connector_hub.model.job import SIDES, Job, SideName, across
from connector_hub.model.record import Want
from connector_hub.sync import schema
from connector_hub.sync.newfield import (
    described,
    lacking,
    paths_of_suggestion,
    rule_for,
    spec_of,
)
from connector_hub.sync.preview import Previewed, previewed, sample, travelling_from
from connector_hub.sync.run import policies_between
from connector_hub.sync.suggest import (
    SAMPLE,
    Suggestion,
    Surveyed,
    UnknownOptions,
    suggested,
    unknown_options,
)

if TYPE_CHECKING:
    pass
from connector_hub.hub.permitting import Permitting, rights_of
from connector_hub.hub.running import left_out, written_to


class Mappings(Permitting):
    """Mappings: what can be seen of them without writing."""

    async def check(self, *, live: bool = True) -> list[str]:
        """Look at everything that can be seen without writing; one line per thing that is well.

        Raises:
            ConfigError: with every mistake found in the files, and every field that a vendor has changed.
            PluginError: of the first connection whose plugin cannot be used.
            AuthError, VendorError: of the first connection that does not answer.
        """
        files.run_tests(self.project).raise_if_any()
        for name in self.project.broken:
            self.connection(name)
        lines = [f"{len(self.project.jobs)} jobs, their mappings and tests"]
        moved: list[Diagnostic] = []
        if live:
            allowed = {p.connection: p for p in self.permissions()}
            for name in self.project.connections:
                if name in self.project.elsewhere:
                    continue
                c = await self.connect(name)
                lines.append(
                    f"{name}: {c.connector.name} account {c.account.id} ({c.account.name})"
                )
                if c.account.lacks:
                    lines.append(f"{name}: lacks {', '.join(c.account.lacks)}")
                if name in allowed and allowed[name].lacks:
                    scopes = ", ".join(allowed[name].lacks or ())
                    lines.append(f"{name}: lacks the scopes {scopes}")
                lines += [
                    f"{name}: lacks {missing}; run connector-hub prepare {name}"
                    for missing in await self.prepare(name, make=False)
                ]
        for name, job in self.project.jobs.items():
            _, left = self._routes(job)
            lines += [f"{name}: {left_out(f)}" for f in left]
            lines += self._regions(name, job)
            if live:
                lines += [
                    f"{name}: {u.connection}: {u.field} has options that no table knows, "
                    f"left alone: {', '.join(u.options)}"
                    for u in await self._unknown(job)
                ]
                moved += await self._moved(job)
                lines += [f"{name}: {what}" for what in await self._forbidden(job)]
        if moved:
            raise Outgrown(Diagnostics(moved))
        return lines

    async def _moved(self, job: Job) -> list[Diagnostic]:
        """Vendors' fields that are not what a job's mappings say."""
        found = []
        _, left = self._routes(job)
        spokes = {n: self._spokes(job, n, left) for n in SIDES}
        ends = {n: spokes[n][job.side(n).resource] for n in SIDES}
        policies = policies_between(job, ends["left"], ends["right"])
        for name in SIDES:
            at = job.side(name)
            for resource, spoke in spokes[name].items():
                told = await self.describe(at.connection, resource)
                if not told.describes_all:
                    continue
                kept = self._fact(job.name, name, schema.fact(resource))
                found += [
                    self._finding(job, name, resource, m)
                    for m in schema.moved(
                        spoke.mapping,
                        spoke.entity,
                        told.fields,
                        written_to(name, policies, spoke),
                        schema.Before.of(kept),
                        creates=job.creates_at(name),
                    )
                ]
        return found

    async def _forbidden(self, job: Job) -> list[str]:
        """What a job does that a vendor's own description does not let us do."""
        found = []
        for connection, need in self._needs(job):
            if not need.changes:
                continue
            told = await self.describe(connection, need.resource)
            lacks = sorted(need.rights - rights_of(told))
            if lacks:
                rest = f"{' or '.join(lacks)} {need.resource}"
                found.append(f"{connection}: its user may not {rest}")
        return found

    def _fact(self, job: str, side: SideName, name: str) -> str | None:
        """What a side of a job remembers, where there is a state."""
        return self.store.fact(job, side, name) if self._stateful else None

    def _regions(self, name: str, job: Job) -> Iterable[str]:
        """Where phone numbers without a country code are not read."""
        for side in (job.left, job.right):
            for resource in side.resources:
                mapping = self.project.mapping_at(side.connection, job.entity, resource)
                field = needs_region(mapping)
                if field:
                    yield (
                        f"{name}: {side.connection}: {field} without a country code is "
                        f"left alone; region: in hub.yaml says which country is meant"
                    )

    async def _unknown(self, job: Job) -> list[UnknownOptions]:
        """Live options that no table of a job knows."""
        entity = self.project.entity(job.entity)
        found = []
        for name in SIDES:
            for resource in job.side(name).resources:
                s = await self._survey(job, name, resource)
                unknown = unknown_options(s.mapping, entity, s.fields)
                at = job.side(name).connection
                found += [UnknownOptions(at, n, o) for n, o in unknown.items()]
        return found

    async def _surveyed(self, job: Job) -> dict[SideName, Surveyed]:
        """Both sides of a job as the vendors describe them now; of several resources the first."""
        return {n: await self._survey(job, n, job.side(n).resource) for n in SIDES}

    async def _survey(self, job: Job, name: SideName, resource: str) -> Surveyed:
        at = job.side(name)
        fields = (await self.describe(at.connection, resource)).fields
        mapping = self.project.mapping_at(at.connection, job.entity, resource)
        key = (await self.connect(at.connection)).connector.key
        return Surveyed(fields, mapping, key, across(name) in job.read_from)

    def tests(self, job: str | None = None) -> list[files.Tested]:
        """The mappings' own tests, run: of all mappings, or of a job's two.

        Raises:
            ConfigError: there is no such job.
        """
        if job is None:
            return files.own_tests(self.project)
        j = self.job(job)
        ends = [(self.connection(s.connection), s) for s in (j.left, j.right)]
        wanted = {(j.entity, c.connector, r) for c, s in ends for r in s.resources}
        return files.own_tests(self.project, wanted)

    async def preview(
        self, job: str, records: int = 3, record: str | None = None
    ) -> list[Previewed]:
        """Some records of a job's sources, and what the other side would be given. Reads only.

        Args:
            job: its name.
            records: how many of each source.
            record: the id of one record to look at instead.

        Raises:
            ConfigError: no source has that record.
        """
        j = self.job(job)
        _, left_out = self._routes(j)
        spokes = {}
        for name in SIDES:
            await self._look_up(j.entity, j.side(name))
            spokes[name] = self._spokes(j, name, left_out)
        found: list[Previewed] = []
        for name in j.read_from:
            at, other = j.side(name), across(name)
            live = await self.connect(at.connection)
            for resource, spoke in spokes[name].items():
                some = await sample(
                    live.connector, resource, spoke.want, records, record
                )
                for r in some:
                    view = spoke.view(spoke.raws(r.fields, r.links))[0]
                    into = j.side(other).target(view) or j.side(other).resource
                    ends = {name: spoke, other: spokes[other][into]}
                    policies = policies_between(j, ends["left"], ends["right"])
                    travel = travelling_from(name, policies)
                    known = at.known_as(resource, r.id)
                    found.append(
                        previewed(at.connection, known, r, spoke, ends[other], travel)
                    )
        if record is not None and not found:
            raise ConfigError(f"no source of job {job} has a record {record!r}")
        return found

    async def suggest(self, job: str) -> tuple[list[Suggestion], list[UnknownOptions]]:
        """Rules that could be, from both descriptions and a sample of records; and options no table knows."""
        j = self.job(job)
        entity = self.project.entity(j.entity)
        sides = await self._surveyed(j)
        first = suggested(entity, sides["left"], sides["right"])
        for name in SIDES:
            at = j.side(name)
            live = await self.connect(at.connection)
            want = Want(frozenset(s.end(name).info.path for s in first))
            if first:
                rows = await sample(live.connector, at.resource, want, SAMPLE)
                sides[name] = replace(sides[name], records=rows)
        unknown = await self._unknown(j)
        return suggested(entity, sides["left"], sides["right"]), unknown

    async def new_field(
        self,
        job: str,
        field: str,
        paths: Mapping[SideName, str],
        kind: Kind | None = None,
    ) -> list[overlays.Edit]:
        """What to write into the project's mapping files so that a job has a field; nothing is written.

        Args:
            job: its name.
            field: the hub's word.
            paths: where it is on each side; empty for what ``suggest`` says.
            kind: of a field that the entity has not yet; what fits the vendors' types unless given.

        Raises:
            ConfigError: a path is not there, or a rule is already.
        """
        j = self.job(job)
        entity = self.project.entity(j.entity)
        sides = await self._surveyed(j)
        ruled = {n: field in s.mapping.rules for n, s in sides.items()}
        if not paths:
            if all(ruled.values()):
                raise ConfigError(
                    f"both mappings of job {job} have a rule for {field!r}",
                    hint="edit it, or give --left or --right to put another above it",
                )
            paths = paths_of_suggestion(
                suggested(entity, sides["left"], sides["right"]), field
            )
        lacking(field, paths, ruled)
        infos = {
            n: described(sides[n].fields, path, j.side(n).connection)
            for n, path in paths.items()
        }
        spec = spec_of(entity, field, list(infos.values()), kind)
        rules = {}
        for n, info in infos.items():
            connection = j.side(n).connection
            zone = (await self.connect(connection)).account.zone
            if self.project.connections[connection].zone:
                zone = "zone"
            rules[n] = rule_for(spec, info, zone)
        return overlays.add_field(self.project, j, spec, rules)
