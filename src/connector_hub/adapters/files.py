"""A project's files: hub.yaml, entities and mappings; every mistake is told at its place."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError

from connector_hub.adapters import yaml
from connector_hub.adapters.config import (
    ConnectionModel,
    EntityModel,
    FieldPolicyModel,
    GuardModel,
    JobModel,
    LinkModel,
    MappingModel,
    ProfileModel,
    ProjectModel,
    RowsModel,
    RuleModel,
    SideModel,
)
from connector_hub.adapters.http import LOOPBACK
from connector_hub.adapters.profiles import check_profiles, idle, same_key
from connector_hub.adapters.receivers import receivers
from connector_hub.adapters.secrets import is_reference
from connector_hub.adapters.sheets import read_sheet
from connector_hub.adapters.transforms import at_home, needs_zone, transforms
from connector_hub.diagnostics import Diagnostic, Diagnostics, Mistakes, did_you_mean
from connector_hub.errors import ConfigError, HubError, PluginError
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import (
    ANY,
    SIDES,
    Bound,
    Guard,
    Job,
    Known,
    Percent,
    Pilot,
    Policy,
    Side,
    SideName,
    Target,
)
from connector_hub.model.mapping import (
    ABSENT,
    BETWEEN,
    LinkRule,
    Lookup,
    MappingTest,
    RowsRule,
    Rule,
    check,
    compile_mapping,
    differs,
)
from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.notice import Receiver
from connector_hub.sdk.auth import FirstOf, lacking
from connector_hub.sdk.connector import Connector

Connectors = Callable[[str], type[Connector]]
_AGE = re.compile(r"([0-9]{1,9})(s|m|h|d)\Z")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST = 365 * 86400.0
_TYPE = re.compile(r"(str|int|float|list\[|dict\[|constrained-|function-)")
_PASSWORD = re.compile(r"://[^/@]*@")
_NO_POLICY = FieldPolicyModel.model_validate({})
_NO_KEY = "none"
PROFILE = "CONNECTOR_HUB_PROFILE"
"""The variable that names a profile where the command line does not."""


@dataclass(frozen=True, slots=True)
class ConnectionConfig:
    """A connection as hub.yaml has it. ``key_field`` is None for an account that may not be altered."""

    name: str
    connector: str
    config: Any
    key_field: str | None = "default"
    region: str | None = None
    zone: str | None = None

    def secrets(self) -> dict[str, str]:
        """The references of its secret options, by option."""
        held = {n: getattr(self.config, n) for n in type(self.config).model_fields}
        return {
            n: v.get_secret_value() for n, v in held.items() if isinstance(v, SecretStr)
        }


@dataclass(frozen=True, slots=True)
class Dialect:
    """A mapping and the document it was read from."""

    spec: Spec
    doc: yaml.Document
    path: Path
    below: Dialect | None = None
    """The one it overlays."""

    def line_of(self, name: str) -> str:
        """Where a field's rule stands: file:line; empty where there is none."""
        at = self.doc.keys.get(("fields", name))
        if at is not None:
            return f"{self.doc.file}:{at[0]}"
        return self.below.line_of(name) if self.below else ""


@dataclass(frozen=True, slots=True)
class Tested:
    """One of a mapping's own tests: where it stands, and the fields that come out otherwise."""

    file: str
    number: int
    failed: Mapping[str, tuple[Any, Any]]
    """By field: (wanted, got)."""
    found: tuple[Diagnostic, ...] = ()


@dataclass(slots=True)
class Vocabulary:
    """Entities and mappings of all mapping folders, later folders first."""

    entities: dict[str, tuple[Entity, yaml.Document]] = field(default_factory=dict)
    dialects: dict[tuple[str, str, str], Dialect] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict)
    """Where each entity was read from."""


@dataclass(frozen=True, slots=True)
class Project:
    """Everything the files say."""

    folder: Path
    file: Path
    state: str
    key: str
    plan_ttl: float
    connections: Mapping[str, ConnectionConfig]
    jobs: Mapping[str, Job]
    words: Vocabulary
    key_at: str
    """Where ``key`` stands: file:line:column, or the file that leaves it out."""
    broken: Mapping[str, PluginError]
    """What keeps a connection from use, when it is its plugin's fault."""
    doc: yaml.Document
    """The file, with the place of each of its keys."""
    notify: tuple[Receiver, ...] = ()
    profile: str | None = None
    """The profile it was read under."""
    elsewhere: frozenset[str] = frozenset()
    """Connections that only other profiles use."""
    same_key: Mapping[str, str] = field(default_factory=dict)
    """States of this project that have the same key, by the profile they belong to; empty for none."""
    own_words: Path | None = None
    """The project's own folder of mappings, the last one of hub.yaml; it may not be there yet."""
    public_url: str = ""
    """Where vendors reach what listens; empty where that is the listener's own address."""

    def entity(self, name: str) -> Entity:
        """An entity by name.

        Raises:
            ConfigError: the vocabulary has none.
        """
        if name not in self.words.entities:
            raise ConfigError(
                f"there is no entity {name!r}",
                hint=did_you_mean(name, self.words.entities),
            )
        return self.words.entities[name][0]

    def mapping(self, entity: str, connector: str, resource: str | None) -> Spec:
        """The mapping between an entity and a connector's resource (any, when None).

        Raises:
            ConfigError: there is none.
        """
        for (e, c, r), found in self.words.dialects.items():
            if (e, c) == (entity, connector) and resource in (None, r):
                return found.spec
        raise ConfigError(
            f"no mapping says how {connector} {resource or ''} is a {entity}",
            hint=f"write mappings/{entity}/{connector}.yaml",
        )

    def rule_at(self, entity: str, connector: str, resource: str, name: str) -> str:
        """Where a field's rule stands: file:line; empty where there is none."""
        found = self.words.dialects.get((entity, connector, resource))
        return found.line_of(name) if found else ""

    def mapping_at(self, connection: str, entity: str, resource: str | None) -> Spec:
        """The mapping of a connection's resource (any, when None), in its region and zone.

        Raises:
            ConfigError: there is none.
        """
        at = self.connections[connection]
        spec = self.mapping(entity, at.connector, resource)
        return at_home(spec, region=at.region, zone=at.zone)

    def place(self, *at: str) -> str:
        """Where a key of hub.yaml stands: file:line:column, or where the nearest one above it does."""
        return self._place(self.doc, at)

    def place_of_rule(
        self, entity: str, connector: str, resource: str, *at: str
    ) -> str:
        """Where a mapping has a key, such as ``fields``, ``phone``."""
        found = self.words.dialects.get((entity, connector, resource))
        return self._place(found.doc, at) if found else ""

    @staticmethod
    def _place(doc: yaml.Document, at: yaml.Key) -> str:
        while at and at not in doc.keys:
            at = at[:-1]
        line, column = doc.keys.get(at, (0, 0))
        return f"{doc.file}:{line}:{column}" if line else doc.file


def load_project(
    path: Path,
    *,
    profile: str | None,
    environ: Mapping[str, str],
    connectors: Connectors,
) -> Project:
    """Read a project, under a profile: the one that is named, else that of CONNECTOR_HUB_PROFILE.

    Raises:
        ConfigError: with every mistake of hub.yaml, then of the mappings its jobs use.
    """
    file = path / "hub.yaml" if path.is_dir() else path
    if not file.is_file():
        raise ConfigError(
            f"there is no project here: {file} is missing",
            hint="make one with `connector-hub init`, or say where it is with --project DIR",
        )
    doc = yaml.load(file, str(file), environ)
    found = Diagnostics()
    if not isinstance(doc.data, dict):
        found.add(
            doc.finding(
                (), "a project is a list of keys", hint="start with connections:"
            )
        )
    found.raise_if_any()
    model = _validated(ProjectModel, doc, (), doc.data, found)
    found.raise_if_any()
    reader = _Reader(doc, file.parent.resolve(), connectors, found)
    named = profile or environ.get(PROFILE) or None
    if named is not None and named not in model.profiles:
        origin = "" if profile else f", as {PROFILE} says"
        reader.add(
            ("profiles",),
            f"there is no profile {named!r}{origin}",
            key=True,
            hint=did_you_mean(named, model.profiles),
        )
        found.raise_if_any()
    return reader.project(model, file, named)


@dataclass(slots=True)
class _Reader:
    doc: yaml.Document
    folder: Path
    connectors: Connectors
    found: Diagnostics
    words: Vocabulary = field(default_factory=Vocabulary)
    broken: dict[str, PluginError] = field(default_factory=dict)

    def project(self, model: Any, file: Path, profile: str | None) -> Project:
        check_profiles(model, self.folder, self.add)
        p = model.profiles[profile] if profile else ProfileModel()
        within: yaml.Key = ("profiles", profile or "")
        state_at: yaml.Key = ("state",) if p.state is None else (*within, "state")
        key_at: yaml.Key = ("key",) if p.key is None else (*within, "key")
        state, key = p.state or model.state, p.key or model.key
        connections = {
            name: made
            for name, c in model.connections.items()
            if (made := self._connection(name, c)) is not None
        }
        self.words = load_words(self._folders(model), self.found)
        jobs = {
            name: job
            for name, j in model.jobs.items()
            if (job := self._job(name, j, connections, p.connections)) is not None
        }
        for name, job in jobs.items():
            self._check_targets(("jobs", name), model.jobs[name], job, jobs)
            self._check_clocks(("jobs", name), model.jobs[name], job, connections)
        ttl = self._seconds(("plan_ttl",), model.plan_ttl)
        told = receivers(model.notify, self.add)
        self._check_state(state, state_at)
        self._check_public(model.public_url)
        if not is_reference(model.key):
            self.add(
                ("key",),
                "the key is written out where only a reference may stand",
                code="secret",
                hint="write file:PATH, keyring:NAME or env:NAME",
                secret=True,
            )
        self.found.raise_if_any()
        return Project(
            self.folder,
            file,
            state,
            key,
            ttl,
            connections,
            jobs,
            self.words,
            self.doc.place(key_at),
            self.broken,
            self.doc,
            told,
            profile,
            idle(model, jobs.values()),
            same_key(model, state, key),
            self._own_words(model),
            public_url=(model.public_url or "").rstrip("/"),
        )

    def _check_public(self, url: str | None) -> None:
        """Vendors are given an address that nobody else can listen in on."""
        if url is None:
            return
        parts = urlsplit(url)
        near = parts.scheme == "http" and parts.hostname in LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or near) or parts.query:
            self.add(
                ("public_url",),
                "public_url is no https:// address",
                hint="write https://HOST, as vendors call it; http:// is for 127.0.0.1 only",
            )

    def _check_state(self, state: str, at: yaml.Key) -> None:
        """A state is a file in a folder that is there. A URL's password is not repeated."""
        scheme, _, path = state.partition(":///")
        if scheme != "sqlite" or not path:
            shown = _PASSWORD.sub("://***@", state)
            self.add(
                at,
                f"state {shown!r} cannot be used",
                hint="write sqlite:///hub.db",
                secret=shown != state,
            )
        elif path != ":memory:" and not (self.folder / path).parent.is_dir():
            self.add(at, "the folder of the state is not there", hint="make it first")
        elif (self.folder / path).is_dir():
            self.add(at, f"{path} is a folder", hint="name a file, as sqlite:///hub.db")

    def add(self, at: yaml.Key, message: str, **more: Any) -> None:
        self.found.add(self.doc.finding(at, message, **more))

    def _folders(self, model: Any) -> list[Path | None]:
        """Mapping folders, the project's after the shipped ones; None stands for the shipped."""
        listed = [model.mappings] if isinstance(model.mappings, str) else model.mappings
        folders: list[Path | None] = []
        for i, name in enumerate(listed):
            if name == "shipped":
                folders.append(None)
                continue
            path = self.folder / name
            if path.is_dir():
                folders.append(path)
            elif name != "mappings":
                self.add(("mappings", i), f"there is no folder {path}")
        return folders

    def _own_words(self, model: Any) -> Path | None:
        listed = [model.mappings] if isinstance(model.mappings, str) else model.mappings
        own = [name for name in listed if name != "shipped"]
        return self.folder / own[-1] if own else None

    def _seconds(self, at: yaml.Key, text: str) -> float:
        match = _AGE.match(text)
        seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
        if 0 < seconds <= _LONGEST:
            return seconds
        what = "not a length of time"
        if match:
            what = "not a length of time between 1s and 365d"
        self.add(at, f"{text!r} is {what}", hint="write 30m, 24h or 7d")
        return 0.0

    def _connection(self, name: str, model: ConnectionModel) -> ConnectionConfig | None:
        at: yaml.Key = ("connections", name)
        try:
            kind = self.connectors(model.connector)
        except PluginError as e:
            place = self.doc.place((*at, "connector"))
            self.broken[name] = PluginError(
                e.message, where=f"{place}, connection {name}", hint=e.hint
            )
            return None
        except HubError as e:
            self.add((*at, "connector"), e.message, code="connector", hint=e.hint)
            return None
        options = dict(model.model_extra or {})
        self._hide(kind, options, at)
        before = len(self.found)
        self._no_literals(kind, options, at)
        if len(self.found) > before:
            return None
        config = _validated(
            kind.Config, self.doc, at, self._absolute(kind, options), self.found
        )
        if config is None or not self._can_sign(kind, config, at):
            return None
        key = model.key_field or "default"
        self._place(at, model)
        return ConnectionConfig(
            name,
            model.connector,
            config,
            None if key == _NO_KEY else key,
            model.region,
            model.zone,
        )

    def _can_sign(self, kind: type[Connector], config: Any, at: yaml.Key) -> bool:
        """Whether the keys of one of the connector's ways of signing are all there."""
        auth = kind.auth
        if not isinstance(auth, FirstOf) or auth.chosen(config):
            return True
        nearest = min(auth.ways, key=lambda w: len(lacking(w, config)))
        ways = [" and ".join(f"{n}:" for n in way.needs) for way in auth.ways]
        self.add(
            at,
            f"{lacking(nearest, config)[0]!r} is missing",
            code="missing",
            hint=f"add {', or '.join(ways)}",
        )
        return False

    def _place(self, at: yaml.Key, model: ConnectionModel) -> None:
        """Region and zone are such that rules can use them."""
        for option, spelled in (("region", "phone({})"), ("zone", "day_in({})")):
            value = getattr(model, option)
            try:
                if value is not None:
                    transforms().make(spelled.format(value))
            except ValueError:
                self.add(
                    (*at, option),
                    f"there is no {option} {value!r}",
                    hint="write a country's code such as ID"
                    if option == "region"
                    else "write a zone such as Asia/Jakarta",
                )

    def _hide(
        self, kind: type[Connector], options: Mapping[str, Any], at: yaml.Key
    ) -> None:
        """What stands under a name the connector does not know may be a secret."""
        for name, value in options.items():
            if name not in kind.Config.model_fields and not (
                isinstance(value, str) and is_reference(value)
            ):
                self.doc.hide((*at, name))

    def _no_literals(
        self, kind: type[Connector], options: Mapping[str, Any], at: yaml.Key
    ) -> None:
        for name in _secret_options(kind.Config):
            value = options.get(name)
            if value is not None and not (
                isinstance(value, str) and is_reference(value)
            ):
                self.add(
                    (*at, name),
                    f"{name} is a secret: only a reference may stand here",
                    code="secret",
                    secret=True,
                    hint="write keyring:NAME, env:NAME or file:PATH",
                )

    def _absolute(
        self, kind: type[Connector], options: dict[str, Any]
    ) -> dict[str, Any]:
        """Paths are relative to the project's folder."""
        for name, info in kind.Config.model_fields.items():
            if info.annotation is Path and isinstance(options.get(name), str):
                options[name] = str(self.folder / options[name])
        return options

    def _job(
        self,
        name: str,
        model: JobModel,
        connections: Mapping[str, ConnectionConfig],
        swap: Mapping[str, str],
    ) -> Job | None:
        at: yaml.Key = ("jobs", name)
        if model.entity not in self.words.entities:
            self.add(
                (*at, "entity"),
                f"there is no entity {model.entity!r}",
                hint=did_you_mean(model.entity, self.words.entities),
            )
            return None
        sides = {
            n: self._end((*at, n), s, swap, model.entity)
            for n, s in (("left", model.left), ("right", model.right))
        }
        good = [
            self._side((*at, n), model.entity, s, connections) for n, s in sides.items()
        ]
        if sides["left"] == sides["right"]:
            self.add(
                (*at, "right"),
                f"both sides are {sides['left'].called} of {sides['left'].connection}",
                hint="a job keeps two accounts, or two resources, in agreement",
            )
        policies = self._policies(at, model)
        if not all(good):
            return None
        self._check_only(at, model, sides, connections)
        pilot = self._pilot(at, model.pilot)
        job = Job(
            name=name,
            entity=model.entity,
            left=sides["left"],
            right=sides["right"],
            direction=model.direction,
            guard=self._guard((*at, "guard"), model.guard),
            apply_when=self._apply_when((*at, "apply", "when"), model),
            guarding=model.guarding,
            deletes_follow=model.deletes.follow,
            create_without_identity=model.create_without_identity,
            create=model.create,
            only=_words(model.only),
            leaving=model.leaving,
            pilot=pilot,
            match=tuple(Known(m.left, m.right) for m in model.match),
            fields=policies,
            every=None
            if model.every is None
            else self._seconds((*at, "every"), model.every),
        )
        if job.guarding == "strict":
            self._check_guarding((*at, "guarding"), job, connections)
        return job

    def _check_guarding(
        self, at: yaml.Key, job: Job, connections: Mapping[str, ConnectionConfig]
    ) -> None:
        """``strict`` is a promise only vendors can keep: each write that overwrites must be conditional."""
        for name, ops in job.overwrites.items():
            side = job.side(name)
            if side.connection not in connections:
                continue
            kind = self.connectors(connections[side.connection].connector)
            for op, resource in product(ops, side.resources):
                if kind.resource(resource).conditional_way(op) is None:
                    self.add(
                        at,
                        f"{kind.name} has no call that {op}s {resource} only where it has not moved",
                        hint="write guarding: reread"
                        + (", or delete nothing" if op == "archive" else ""),
                    )

    def _apply_when(self, at: yaml.Key, model: JobModel) -> Guard | None:
        if model.apply is None:
            return None
        if not model.apply.when.model_fields_set:
            self.add(
                at, "every plan is within these bounds", hint="name one: create: 50"
            )
        return self._guard(at, model.apply.when)

    def _check_words(
        self, at: yaml.Key, entity: str, asked: Mapping[str, list[str]]
    ) -> None:
        """What fields must say has to be something that they can say."""
        fields = self.words.entities[entity][0].fields
        for name, words in asked.items():
            spec = fields.get(name)
            if spec is None:
                continue
            if spec.kind == "link":
                self.add((*at, name), f"{name!r} is a link: it says no word", key=True)
            if not words:
                self.add(
                    (*at, name),
                    f"no record says nothing of {name!r}",
                    hint="name a word",
                )
            for i, word in enumerate(words if spec.kind == "choice" else ()):
                if word not in spec.of:
                    self.add(
                        (*at, name, i),
                        f"{word!r} is not a word of {name!r}",
                        hint=did_you_mean(word, spec.of),
                    )

    def _pilot(self, at: yaml.Key, asked: int | str | None) -> Pilot | None:
        if asked is None:
            return None
        if isinstance(asked, int):
            return Pilot(asked)
        try:
            listed = tuple(
                (f"{asked}:{line}", side, record)
                for line, row in read_sheet(self.folder / asked)
                for side in SIDES
                if (record := row.get(side, ""))
            )
        except ConfigError as e:
            self.add((*at, "pilot"), e.message, hint=e.hint)
            return None
        if not listed:
            self.add(
                (*at, "pilot"),
                f"{asked} names no record",
                hint="give it the columns left and right, or one of them",
            )
        return Pilot(0, listed)

    def _check_only(
        self,
        at: yaml.Key,
        model: JobModel,
        sides: Mapping[str, Side],
        connections: Mapping[str, ConnectionConfig],
    ) -> None:
        """A field that neither mapping reads would cover nobody."""
        mapped = {
            name
            for s in sides.values()
            if s.connection in connections
            for resource in s.resources
            for name in self.words.dialects[
                model.entity, connections[s.connection].connector, resource
            ].spec.rules
        }
        if model.leaving != "keep" and not model.only:
            self.add(
                (*at, "leaving"), "leaving goes with only", key=True, hint="add only:"
            )
        if model.leaving == "delete" and model.direction == "both":
            self.add(
                (*at, "leaving"),
                "in a two-way job neither record is the copy of the other",
                hint="write leaving: unlink",
            )
        self._check_words((*at, "only"), model.entity, model.only)
        for name in model.only:
            if (
                name not in mapped
                and name in self.words.entities[model.entity][0].fields
            ):
                self.add(
                    (*at, "only", name),
                    f"no mapping of this job reads {name!r}: it would look after nobody",
                    key=True,
                    hint=did_you_mean(name, mapped),
                )

    def _check_targets(
        self, at: yaml.Key, model: JobModel, job: Job, jobs: Mapping[str, Job]
    ) -> None:
        """A link field that is named travels only where a job keeps what it points to."""
        links = self.words.entities[job.entity][0].links()
        ends = {job.left.connection, job.right.connection}
        kept = {
            j.entity
            for j in jobs.values()
            if {j.left.connection, j.right.connection} == ends
        }
        for part in ("fields", "conflicts", "first"):
            for name in getattr(model, part):
                if name in links and links[name] not in kept:
                    self.add(
                        (*at, part, name),
                        f"{name!r} links to {links[name]}, which no job keeps between these two",
                        key=True,
                        hint=f"add a job for entity {links[name]}, or leave {name!r} out here",
                    )

    def _check_clocks(
        self,
        at: yaml.Key,
        model: JobModel,
        job: Job,
        connections: Mapping[str, ConnectionConfig],
    ) -> None:
        """Which edit is the newest can be told only where both vendors say when they were made."""
        asking = [
            *(
                (*at, "fields", n, "both")
                for n, p in model.fields.items()
                if p.both == "newest"
            ),
            *(
                (*at, "conflicts", n)
                for n, p in model.conflicts.items()
                if p == "newest"
            ),
            *((*at, "first", n) for n, p in model.first.items() if p == "newest"),
        ]
        for side in (job.left, job.right) if asking else ():
            connector = connections[side.connection].connector
            clocks = {r.name for r in self.connectors(connector).resources if r.clock}
            for resource in side.resources:
                if resource not in clocks:
                    self.add(
                        asking[0],
                        f"{connector} {resource} does not say when a field was edited",
                        hint="write left, right, fill or ask",
                    )

    def _policies(self, at: yaml.Key, model: JobModel) -> dict[str, Policy]:
        """What becomes of each field a job names, and under ``*`` of the others."""
        known = self.words.entities[model.entity][0].fields
        for part in ("fields", "conflicts", "first", "only"):
            for name in getattr(model, part):
                if (name != ANY or part == "only") and name not in known:
                    self.add(
                        (*at, part, name),
                        f"entity {model.entity} has no field {name!r}",
                        key=True,
                        hint=did_you_mean(name, known),
                    )
        named = {ANY: None, **model.fields, **model.conflicts, **model.first}
        return {n: self._policy(at, n, model) for n in named}

    def _policy(self, at: yaml.Key, name: str, model: JobModel) -> Policy:
        asked = model.fields.get(name) or model.fields.get(ANY) or _NO_POLICY
        both = model.conflicts.get(name) or asked.both or model.conflicts.get(ANY)
        first = model.first.get(name) or model.first.get(ANY) or "fill"
        if asked.from_ is None:
            return Policy(None, asked.drift == "revert", both or "ask", first)
        here = (*at, "fields", name if name in model.fields else ANY)
        if asked.both or name in model.conflicts:
            self.add(
                (*here, "from"),
                f"{name!r} has two rules: it is owned by {asked.from_!r}, and it travels both ways",
                hint="write either from: or both:",
            )
        connections: dict[str, SideName] = {
            model.left.connection: "left",
            model.right.connection: "right",
        }
        owner = connections.get(asked.from_)
        if owner is None:
            self.add(
                (*here, "from"),
                f"{asked.from_!r} is not a connection of this job",
                hint=f"write one of: {', '.join(connections)}",
            )
        return Policy(owner, asked.drift == "revert", "ask", first)

    def _guard(self, at: yaml.Key, model: GuardModel) -> Guard:
        return Guard(
            **{
                n: self._bound((*at, n), getattr(model, n))
                for n in ("create", "update", "clear", "delete")
            }
        )

    def _bound(self, at: yaml.Key, value: int | str | None) -> Bound:
        if isinstance(value, str):
            try:
                share = float(value.removesuffix("%")) if value.endswith("%") else -1.0
            except ValueError:
                share = -1.0
            if 0 <= share <= 100:  # noqa: PLR2004 - a percentage
                return Percent(share)
            self.add(
                at,
                f"{value!r} is not a bound",
                hint="write a number or a share such as 10%",
            )
            return None
        return value

    def _side(
        self,
        at: yaml.Key,
        entity: str,
        side: Side,
        connections: Mapping[str, ConnectionConfig],
    ) -> bool:
        if side.connection in self.broken:
            return True
        if side.connection not in connections:
            if ("connections", side.connection) not in self.doc.keys:
                self.add(
                    (*at, "connection"),
                    f"there is no connection {side.connection!r}",
                    hint=did_you_mean(side.connection, connections),
                )
            return False
        connector = connections[side.connection].connector
        resources_ = {
            r for e, c, r in self.words.dialects if (e, c) == (entity, connector)
        }
        if not side.resource:
            return False
        missing = [r for r in side.resources if r not in resources_]
        for resource in missing:
            hint = f"write mappings/{entity}/{connector}.yaml with resource: {resource}"
            if resources_:
                hint = f"{did_you_mean(resource, resources_)}; or {hint}"
            place = side.one_of.index(resource) if side.one_of else 0
            self.add(
                (*at, "one_of", place, "resource")
                if side.one_of
                else (*at, "resource"),
                f"no mapping says how {connector} {resource!r} is a {entity}",
                code="mapping",
                hint=hint,
            )
        return not missing and self._has_zone(at, entity, side, connections)

    def _has_zone(
        self,
        at: yaml.Key,
        entity: str,
        side: Side,
        connections: Mapping[str, ConnectionConfig],
    ) -> bool:
        """A day is in the connection's zone: then there must be one."""
        here = connections[side.connection]
        for resource in side.resources:
            spec = self.words.dialects[entity, here.connector, resource].spec
            name = needs_zone(at_home(spec, region=here.region, zone=here.zone))
            if name is not None:
                self.add(
                    (*at, "connection"),
                    f"the days of {name!r} are in the zone of {side.connection}, which has none",
                    hint=f"add zone: to the connection {side.connection}, such as Asia/Jakarta",
                )
                return False
        return True

    def _end(
        self, at: yaml.Key, model: SideModel, swap: Mapping[str, str], entity: str
    ) -> Side:
        """A side: its resource, or its resources and where new records go among them."""
        listed = tuple(r.resource for r in model.one_of)
        if (model.resource is None) == (not listed):
            self.add(
                at,
                "a side has either a resource or one_of several",
                key=True,
                hint="write resource: NAME, or one_of: [{resource: A}, {resource: B}]",
            )
        for i, resource in enumerate(listed):
            if resource in listed[:i]:
                self.add((*at, "one_of", i), f"{resource!r} is there twice")
        if model.create_as and not listed:
            self.add((*at, "create_as"), "create_as goes with one_of", key=True)
        for i, target in enumerate(model.create_as if listed else ()):
            if target.resource not in listed:
                self.add(
                    (*at, "create_as", i, "resource"),
                    f"{target.resource!r} is not one of this side's resources",
                    hint=did_you_mean(target.resource, listed),
                )
            known = self.words.entities[entity][0].fields
            self._check_words((*at, "create_as", i, "when"), entity, target.when)
            for name in target.when:
                if name not in known:
                    self.add(
                        (*at, "create_as", i, "when", name),
                        f"entity {entity} has no field {name!r}",
                        key=True,
                        hint=did_you_mean(name, known),
                    )
        first = model.resource or (listed[0] if listed else "")
        return Side(
            swap.get(model.connection, model.connection),
            first,
            listed,
            tuple(Target(t.resource, _words(t.when)) for t in model.create_as),
        )


def _words(asked: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """What fields must say, in a fixed order: plans remember it."""
    return {name: tuple(sorted(set(words))) for name, words in asked.items()}


def _secret_options(config: type[BaseModel]) -> list[str]:
    """Options of a connector that hold secrets."""
    return [
        n
        for n, info in config.model_fields.items()
        if info.annotation is SecretStr or SecretStr in get_args(info.annotation)
    ]


def _validated(
    model: type[BaseModel],
    doc: yaml.Document,
    at: yaml.Key,
    data: Any,
    found: Diagnostics,
) -> Any:
    """Data as a model; each mistake at its place. None when there are any."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        told: set[yaml.Key] = set()
        for error in e.errors(
            include_input=False, include_url=False, include_context=False
        ):
            loc = tuple(
                x
                for x in error["loc"]
                if not (isinstance(x, str) and _TYPE.match(x)) and x != "[key]"
            )
            if loc not in told:
                told.add(loc)
                found.add(_mistake(model, doc, (*at, *loc), loc, error))
        return None


def _mistake(
    model: type[BaseModel], doc: yaml.Document, at: yaml.Key, loc: yaml.Key, error: Any
) -> Diagnostic:
    if error["type"] == "extra_forbidden":
        name = str(loc[-1])
        return doc.finding(
            at,
            f"unknown key {name!r}",
            code="unknown-key",
            key=True,
            hint=did_you_mean(name, _known(model, loc[:-1])),
        )
    if error["type"] == "missing":
        return doc.finding(
            at, f"{loc[-1]!r} is missing", code="missing", hint=f"add {loc[-1]}:"
        )
    message = error["msg"][:1].lower() + error["msg"][1:]
    if error["type"] == "model_type":
        message = "a list of keys is wanted here"
    if "[key]" in error["loc"]:
        return doc.finding(
            at,
            f"{loc[-1]!r} is no name",
            code="value",
            key=True,
            hint="write letters, digits, _ . -; at most 64",
        )
    where = "".join(f"{step}." for step in loc)[:-1]
    return doc.finding(at, f"{where}: {message}" if where else message, code="value")


def _known(model: type[BaseModel], loc: yaml.Key) -> list[str]:
    """The keys that may stand where ``loc`` leads inside a model."""
    here: Any = model
    named = False
    for step in loc:
        if named:
            named = False
            continue
        fields = getattr(here, "model_fields", {})
        if step not in fields:
            return []
        annotation = fields[step].annotation
        here, named = _inner(annotation), get_origin(annotation) in {dict, list}
    fields = getattr(here, "model_fields", {})
    return [info.alias or n for n, info in fields.items()]


def _inner(annotation: Any) -> Any:
    """The model inside an annotation such as ``dict[Name, JobModel]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in reversed(get_args(annotation)):
        found = _inner(part)
        if found is not None:
            return found
    return None


def load_words(folders: Iterable[Path | None], found: Diagnostics) -> Vocabulary:
    """Entities and mappings of some folders; a later folder's file wins or, with ``extends``, overlays."""
    words = Vocabulary()
    for folder in folders:
        for root in shipped() if folder is None else [folder]:
            for path in sorted(root.glob("*/*.yaml")):
                _load_word(words, path, found)
    for dialect in words.dialects.values():
        _check_dialect(words, dialect, found)
    return words


def shipped() -> list[Path]:
    """The folders of mappings that come with the hub and with its plugins."""
    package = Path(str(resources.files("connector_hub")))
    inside = package / "mappings"
    found = [inside if inside.is_dir() else package.parents[1] / "mappings"]
    return [*found, *_plugin_mappings()]


def _plugin_mappings() -> Iterable[Path]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - half of a bare import's time
    from importlib.util import find_spec  # noqa: PLC0415

    for point in sorted(entry_points(group="connector_hub"), key=lambda p: p.name):
        spec = find_spec(point.module.partition(".")[0])
        for place in (spec.submodule_search_locations or []) if spec else []:
            folder = Path(place) / "mappings"
            if folder.is_dir():
                yield folder


def _load_word(words: Vocabulary, path: Path, found: Diagnostics) -> None:
    try:
        doc = yaml.load(path, _short(path))
    except Mistakes as e:
        for d in e.diagnostics:
            found.add(d)
        return
    if path.name == "entity.yaml":
        model = _validated(EntityModel, doc, (), doc.data, found)
        if model is not None:
            shipped_, _ = words.entities.get(model.entity, (None, doc))
            if model.extends and shipped_ is None:
                found.add(
                    doc.finding(("extends",), f"no entity {model.entity!r} is shipped")
                )
            entity = _entity(model, doc, found, shipped_ if model.extends else None)
            words.entities[model.entity] = (entity, doc)
            words.paths[model.entity] = path
        return
    model = _validated(MappingModel, doc, (), doc.data, found)
    if model is not None:
        at = (model.entity, model.connector, model.resource)
        spec = _spec(model)
        below = words.dialects.get(at)
        if model.extends and below is None:
            found.add(doc.finding(("extends",), f"nothing shipped maps {' '.join(at)}"))
        elif model.extends and below is not None:
            spec = replace(
                spec,
                rules={**below.spec.rules, **spec.rules},
                set_on_create={**below.spec.set_on_create, **spec.set_on_create},
            )
        words.dialects[at] = Dialect(spec, doc, path, below if model.extends else None)


def _short(path: Path) -> str:
    """A path as people write it: relative where it is below the working folder."""
    try:
        return str(path.relative_to(os.getcwd()))  # noqa: PTH109 - a string is wanted
    except ValueError:
        return str(path)


def _entity(
    model: Any, doc: yaml.Document, found: Diagnostics, below: Entity | None
) -> Entity:
    """An entity; one that extends another has its fields besides, and its identity unless it says one."""
    fields = dict(below.fields) if below else {}
    fields |= {n: _field(n, f) for n, f in model.fields.items()}
    for i, names in enumerate(model.identity):
        for name in names:
            if name not in fields:
                hint = did_you_mean(name, fields)
                said = f"there is no field {name!r}"
                found.add(doc.finding(("identity", i), said, hint=hint))
            elif fields[name].kind == "rows":
                said = f"{name!r} are rows, which identify nothing"
                found.add(doc.finding(("identity", i), said))
    for n in model.fields:
        for at, said, hint in _field_mistakes(fields[n]):
            where = ("fields", n, *at)
            found.add(doc.finding(where, said, key=True, hint=hint))
    identity = tuple(tuple(s) for s in model.identity)
    if below and not identity:
        identity = below.identity
    return Entity(model.entity, fields, identity)


def _field(name: str, model: Any) -> FieldSpec:
    inner = {n: _field(n, f) for n, f in model.fields.items()}
    key = tuple(model.key)
    return FieldSpec(
        name, model.kind, tuple(model.of), model.to, model.class_, key, inner
    )


_Said = tuple[yaml.Key, str, str]
"""Where within a field something is wrong, what, and the remedy."""


def _field_mistakes(spec: FieldSpec) -> Iterable[_Said]:
    if spec.kind == "link" and not spec.to:
        yield (), f"link {spec.name!r} needs `to:`", ""
    if spec.kind == "choice" and not spec.of:
        yield (), f"choice {spec.name!r} needs `of:`", ""
    if spec.kind == "rows":
        yield from _rows_mistakes(spec)
    elif spec.key or spec.fields:
        yield (), f"key and fields go with kind rows, not {spec.kind}", ""


def _rows_mistakes(spec: FieldSpec) -> Iterable[_Said]:
    if not spec.fields or not spec.key:
        hint = "write key: [product], fields: {product: {...}, quantity: {...}}"
        yield (), f"rows {spec.name!r} need `key:` and `fields:`", hint
    for name in spec.key:
        if name not in spec.fields:
            hint = did_you_mean(name, spec.fields)
            yield ("key",), f"rows {spec.name!r} have no field {name!r}", hint
        elif spec.fields[name].kind == "list":
            yield ("key",), f"{name!r} is a list, which tells no rows apart", ""
    for name, inner in spec.fields.items():
        at = ("fields", name)
        if inner.kind == "rows":
            yield at, "rows have no rows of their own", ""
        else:
            for deeper, said, hint in _field_mistakes(inner):
                yield (*at, *deeper), said, hint


def _spec(model: Any) -> Spec:
    return Spec(
        entity=model.entity,
        connector=model.connector,
        resource=model.resource,
        rules={n: _rule(n, r) for n, r in model.fields.items()},
        set_on_create=dict(model.set_on_create),
        tests=tuple(
            MappingTest(t.vendor, t.hub, t.region, t.zone) for t in model.tests
        ),
    )


def _rule(name: str, model: RuleModel) -> Rule:
    return Rule(
        field=name,
        path=model.path,
        via=tuple(model.via),
        table=None
        if model.table is None
        else {w: tuple(map(_vendor_word, v)) for w, v in model.table.items()},
        other=model.other,
        order=tuple(model.order),
        link=None if model.link is None else _link(model.link),
        also=(model.also,) if isinstance(model.also, str) else tuple(model.also),
        default=model.default,
        bad=model.bad,
        one_way=model.one_way,
        when={n: tuple(map(_word, words)) for n, words in model.when.items()} or None,
        lookup=None
        if model.lookup is None
        else Lookup(model.lookup.resource, model.lookup.by),
        parts=tuple(model.parts),
        rows=None if model.rows is None else _rows(model.rows),
    )


def _rows(model: RowsModel) -> RowsRule:
    rules = {n: _rule(n, r) for n, r in model.fields.items()}
    return RowsRule(model.path, rules, model.id)


def _link(model: LinkModel) -> LinkRule:
    is_ = (model.is_,) if isinstance(model.is_, str) else tuple(model.is_)
    return LinkRule(**{**model.model_dump(), "is_": is_})


def _vendor_word(value: str | list[str]) -> str:
    """A vendor's word in a table; of several parts, one word for each."""
    return value if isinstance(value, str) else BETWEEN.join(value)


def _word(value: str | bool) -> str:  # noqa: FBT001 - YAML's own true and false
    return str(value).lower() if isinstance(value, bool) else value


def _check_dialect(words: Vocabulary, dialect: Dialect, found: Diagnostics) -> None:
    name = dialect.spec.entity
    if name not in words.entities:
        found.add(
            dialect.doc.finding(
                ("entity",),
                f"there is no entity {name!r}",
                hint=did_you_mean(name, words.entities),
            )
        )
        return
    entity, _ = words.entities[name]
    for p in check(dialect.spec, entity, transforms()):
        found.add(
            dialect.doc.finding(
                p.where,
                p.message,
                code=p.code,
                hint=p.hint,
                key=_is_key(p.where),
            )
        )


def _is_key(where: yaml.Key) -> bool:
    """Whether a mistake is of a field itself, or of a word of its table: it stands at the key."""
    inside = where[3:] if where[2:3] == ("rows",) else where
    return len(inside) % 2 == 0


def own_tests(
    project: Project, only: Iterable[tuple[str, str, str]] | None = None
) -> list[Tested]:
    """The tests that stand in the mapping files, run. ``only``: (entity, connector, resource) of some."""
    wanted = None if only is None else set(only)
    return [
        _tested(project, dialect, i, test)
        for at, dialect in project.words.dialects.items()
        if wanted is None or at in wanted
        for i, test in enumerate(dialect.spec.tests)
    ]


def _tested(project: Project, dialect: Dialect, i: int, test: MappingTest) -> Tested:
    entity = project.entity(dialect.spec.entity)
    spec = at_home(dialect.spec, region=test.region, zone=test.zone)
    failed = differs(compile_mapping(spec, entity, transforms()), test)
    findings = tuple(
        dialect.doc.finding(
            ("tests", i, "hub", name),
            f"test {i + 1}: {name} should be {wanted!r}, it is {_spelled(got)}",
            code="mapping-test",
        )
        for name, (wanted, got) in failed.items()
    )
    return Tested(dialect.doc.file, i + 1, failed, findings)


def run_tests(project: Project) -> Diagnostics:
    """The tests that stand in the mapping files; a finding for each field that comes out otherwise."""
    return Diagnostics(d for t in own_tests(project) for d in t.found)


def _spelled(value: Any) -> str:
    return "absent" if value is ABSENT else repr(value)
