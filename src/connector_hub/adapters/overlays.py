"""Rules and fields written into a project's own mapping files: as text, so that comments stay."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import Any

import yaml

from connector_hub.adapters.files import Project
from connector_hub.errors import ConfigError
from connector_hub.model.entity import FieldSpec
from connector_hub.model.job import Job, SideName
from connector_hub.model.mapping import Rule

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of a file. ``before`` is None where it is new."""

    path: Path
    before: str | None
    after: str

    def diff(self) -> str:
        """The edit as a unified diff."""
        name = os.path.relpath(self.path)
        return "".join(
            unified_diff(
                (self.before or "").splitlines(keepends=True),
                self.after.splitlines(keepends=True),
                name if self.before is not None else os.devnull,
                name,
                n=2,
            )
        )


def _rule(rule: Rule) -> str:
    """A rule as one line of YAML."""
    parts = [f"path: {_word(rule.path or '')}"]
    if rule.via:
        parts.append(f"via: [{', '.join(map(_word, rule.via))}]")
    if rule.table is not None:
        rows = [f"{_word(w)}: {_words(v)}" for w, v in rule.table.items()]
        parts.append(f"table: {{{', '.join(rows)}}}")
    if rule.one_way:
        parts.append("one_way: true")
    return f"{{{', '.join(parts)}}}"


def add_field(
    project: Project, job: Job, spec: FieldSpec, rules: Mapping[SideName, Rule]
) -> list[Edit]:
    """What to write so that a job has a field; nothing is written yet.

    Raises:
        ConfigError: hub.yaml names no folder for mappings, a file has the rule already, or it is written in
            a way that text cannot be added to.
    """
    folder = project.own_words
    if folder is None:
        raise ConfigError(
            "hub.yaml names no folder of mappings besides the shipped ones",
            where=str(project.file),
            hint="write mappings: [shipped, mappings]",
        )
    edits: dict[Path, Edit] = {}
    if spec.name not in project.entity(job.entity).fields:
        _add(edits, *_entity_file(project, folder, job.entity), spec.name, _kind(spec))
    written: dict[Path, str] = {}
    for side, rule in rules.items():
        at = job.side(side)
        connector = project.connections[at.connection].connector
        path, head = _mapping_file(
            project, folder, (job.entity, connector, at.resource)
        )
        if written.get(path) == _rule(rule):
            continue  # both sides are of one kind: one rule serves both
        if path in written:
            raise ConfigError(
                f"both sides read {connector} {at.resource} by one mapping: {spec.name} has one path there",
                hint="give the same path for both",
            )
        _add(edits, path, head, spec.name, _rule(rule))
        written[path] = _rule(rule)
    return list(edits.values())


def _entity_file(project: Project, folder: Path, entity: str) -> tuple[Path, str]:
    path = project.words.paths[entity]
    if folder in path.parents:
        return path, ""
    own = folder / entity / "entity.yaml"
    return own, f"entity: {entity}\nextends: shipped\nfields:\n"


def _mapping_file(
    project: Project, folder: Path, at: tuple[str, str, str]
) -> tuple[Path, str]:
    """The project's file of a mapping, and how a new one begins."""
    entity, connector, resource = at
    there = project.words.dialects[at].path
    if folder in there.parents:
        return there, ""
    path = folder / entity / f"{connector}.yaml"
    if path.exists():
        path = path.with_name(f"{connector}-{resource}.yaml")
    head = f"entity: {entity}\nconnector: {connector}\nresource: {_word(resource)}\n"
    return path, f"{head}extends: shipped\nfields:\n"


def _add(edits: dict[Path, Edit], path: Path, head: str, name: str, text: str) -> None:
    before = None
    if path in edits:
        before = edits[path].before
        now = edits[path].after
    elif path.exists():
        now = before = _read(path)
    else:
        now = head
    edits[path] = Edit(path, before, _with_line(path, now, name, text))


def _with_line(path: Path, text: str, name: str, value: str) -> str:
    """The text with one more entry below ``fields:``, after the last one.

    Raises:
        ConfigError: the entry is there, or ``fields`` is written in braces.
    """
    root: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    fields = _value(root, "fields")
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += newline
    entry = f"{_word(name)}: {value}{newline}"
    if fields is None:
        return "".join([*lines, f"fields:{newline}", f"  {entry}"])
    key, node = fields
    if isinstance(node, yaml.ScalarNode) and not node.value:
        at = key.start_mark.line + 1
        return "".join([*lines[:at], f"  {entry}", *lines[at:]])
    where = f"{path}:{node.start_mark.line + 1}"
    if not isinstance(node, yaml.MappingNode) or node.flow_style:
        raise ConfigError(
            "fields are written in braces here: a line cannot be added",
            where=where,
            hint=f"write each field on a line of its own, or add {entry.strip()}",
        )
    if _value(node, name) is not None:
        raise ConfigError(f"{name!r} has a rule here already", where=where)
    at = _last_line(node) + 1
    pad = " " * node.value[0][0].start_mark.column
    return "".join([*lines[:at], f"{pad}{entry}", *lines[at:]])


def _value(node: Any, name: str) -> tuple[Any, Any] | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next(((k, v) for k, v in node.value if k.value == name), None)


def _last_line(node: Any) -> int:
    """The last line of a node; a block's end mark is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _last_line(last[1] if isinstance(last, tuple) else last)
    mark = node.end_mark
    ends_before = mark.column == 0 and mark.line > node.start_mark.line
    return int(mark.line - 1 if ends_before else mark.line)


def _kind(spec: FieldSpec) -> str:
    parts = [f"kind: {spec.kind}"]
    if spec.of:
        parts.append(f"of: {_words(spec.of)}")
    if spec.cls != "internal":
        parts.append(f"class: {spec.cls}")
    return f"{{{', '.join(parts)}}}"


def _words(words: Iterable[str]) -> str:
    return f"[{', '.join(map(_word, words))}]"


def _word(text: str) -> str:
    """A text as YAML inside braces: plain where nobody can take it for something else."""
    spelled = re.sub(r"\([A-Za-z_/, ]+\)\Z", "", text)
    if _PLAIN.match(spelled) and text.lower() not in _WORDS and "," not in text:
        return text
    return json.dumps(text, ensure_ascii=False)


def write(edits: Iterable[Edit]) -> None:
    """Write all of the edits, or none.

    Raises:
        ConfigError: a file cannot be written, or is not what it was; what was written is put back.
    """
    done: list[Edit] = []
    try:
        for e in edits:
            _refuse_moved(e)
            e.path.parent.mkdir(parents=True, exist_ok=True)
            done.append(e)
            e.path.write_text(e.after, encoding="utf-8", newline="")
    except OSError as error:
        undo(done)
        raise ConfigError(
            f"it cannot be written: {error.strerror}", where=str(error.filename or "")
        ) from None
    except BaseException:
        undo(done)
        raise


def _refuse_moved(e: Edit) -> None:
    if (_read(e.path) if e.path.exists() else None) != e.before:
        raise ConfigError(
            "the file was edited in the meantime",
            where=str(e.path),
            hint="run it again",
        )


def _read(path: Path) -> str:
    """A file's text, its line ends as they are."""
    return path.read_bytes().decode("utf-8")


def undo(edits: Iterable[Edit]) -> None:
    """Put the files back as they were."""
    for e in edits:
        with suppress(OSError):
            if e.before is None:
                e.path.unlink(missing_ok=True)
            else:
                e.path.write_text(e.before, encoding="utf-8", newline="")


__all__ = ["Edit", "add_field", "undo", "write"]
