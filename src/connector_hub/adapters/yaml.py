"""YAML with the core rules of YAML 1.2, in which every value knows its place.

PyYAML's composer reads the text; its 1.1 resolver does not: ``NO``, ``on``, ``12:30``, ``0812``,
``+62812`` and dates stay text.
Aliases, tags, merge keys and duplicate keys are refused: they hide what a file says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from connector_hub.diagnostics import Diagnostic, Diagnostics, Mistakes, did_you_mean

_LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)
_MOST_BYTES = 1 << 20
_MOST_DEPTH = 50
_SAFE_DEPTH = 500
_MOST_DIGITS = 400
_MOST_SHOWN = 300
_INT = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_WORDS: Mapping[str, Any] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_VARIABLE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")

_LITERAL = re.compile(
    r"([\w-]*(?:tok|secret|pass|pwd|cred|key(?!_field))[\w-]*[\"']?\s*:\s*)"
    r"(?!env:|keyring:|file:|\$\{|[\[{#])\S.*",
    re.IGNORECASE,
)
"""A line that says a secret outright, as far as its words tell."""

Key = tuple[str | int, ...]


@dataclass(slots=True)
class Document:
    """A file's data, and where each value and key stands (lines and columns from 1)."""

    file: str
    data: Any
    lines: list[str]
    values: dict[Key, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Key, tuple[int, int]] = field(default_factory=dict)
    hidden: dict[int, int] = field(default_factory=dict)
    """From which column on a line is not shown."""

    def hide(self, at: Key) -> None:
        """Show no more of a line than what stands before this value: it may be a secret."""
        if at in self.values:
            line, column = self.values[at]
            self.hidden[line] = min(column, self.hidden.get(line, column))

    def shown(self, line: int) -> str:
        """A line as it may be shown: without what is, or looks like, a secret."""
        if not 0 < line <= len(self.lines):
            return ""
        text = self.lines[line - 1][:_MOST_SHOWN].rstrip()
        if line in self.hidden:
            text = text[: self.hidden[line] - 1] + "***"
        return _LITERAL.sub(r"\1***", text)

    def place(self, at: Key) -> str:
        """Where a value stands: file:line:column, the file alone where it is not there."""
        line, column = self.values.get(at, (0, 0))
        return f"{self.file}:{line}:{column}" if line else self.file

    def finding(
        self,
        at: Key,
        message: str,
        *,
        code: str = "config",
        hint: str = "",
        key: bool = False,
        secret: bool = False,
    ) -> Diagnostic:
        """A diagnostic at a value, or at its key; a secret's line is not shown."""
        places = self.keys if key else self.values
        where = places.get(at) or self.values.get(at)
        while where is None and at:
            at = at[:-1]
            where = self.values.get(at)
        line, column = where or (1, 1)
        if secret:
            self.hide(at)
        text = self.shown(line)
        return Diagnostic(self.file, line, column, code, message, text, hint)


class _Refused(Exception):
    def __init__(self, mark: Any, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.mark, self.message, self.hint = mark, message, hint


def load(path: Path, shown: str, environ: Mapping[str, str] | None = None) -> Document:
    """Read a file; ``${VAR}`` in texts is filled in from ``environ`` where that is given.

    Raises:
        Mistakes: it cannot be read, is not YAML, or uses what is refused.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
        raise Mistakes(
            Diagnostics([Diagnostic(shown, 0, 0, "file", f"cannot be read: {reason}")])
        ) from None
    doc = Document(shown, None, text.splitlines())
    if len(raw) > _MOST_BYTES:
        raise Mistakes(
            Diagnostics([doc.finding((), "the file is larger than 1 MiB", code="file")])
        )
    try:
        _refuse_depth(text)
        _refuse_tricks(text)
        node = yaml.compose(text, Loader=_LOADER)
        doc.data = _Builder(doc).build(node, (), 0) if node is not None else {}
    except _Refused as e:
        raise Mistakes(Diagnostics([_at(doc, e.mark, e.message, e.hint)])) from None
    except yaml.MarkedYAMLError as e:
        what = " ".join(p for p in (e.context, e.problem) if p)
        raise Mistakes(
            Diagnostics(
                [_at(doc, e.problem_mark or e.context_mark, what or "not YAML")]
            )
        ) from None
    except yaml.YAMLError as e:
        first = str(e).splitlines()[0]
        raise Mistakes(Diagnostics([doc.finding((), first, code="yaml")])) from None
    if environ is not None:
        found = Diagnostics()
        doc.data = _filled(doc, doc.data, (), environ, found)
        found.raise_if_any()
    return doc


_TRICKS: Mapping[type, tuple[str, str]] = {
    yaml.AliasToken: ("aliases (*) are refused", "write the value out"),
    yaml.AnchorToken: ("anchors (&) are refused", "put the text in quotes"),
    yaml.TagToken: ("tags (!) are refused", "put the text in quotes"),
}


def _refuse_depth(text: str) -> None:
    """The composer calls itself once a level and dies of a file of brackets; events cost no stack."""
    if sum(map(text.count, "[{-?")) <= _SAFE_DEPTH:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _SAFE_DEPTH:
                raise _Refused(event.start_mark, "nested too deeply")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_tricks(text: str) -> None:
    """Anchors, aliases and tags are gone once a text is composed: they are looked for in its tokens."""
    if not any(c in text for c in "&*!"):
        return
    for token in yaml.scan(text, Loader=_LOADER):
        found = _TRICKS.get(type(token))
        if found is not None:
            raise _Refused(token.start_mark, *found)


def _at(doc: Document, mark: Any, message: str, hint: str = "") -> Diagnostic:
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Diagnostic(doc.file, line, column, "yaml", message, doc.shown(line), hint)


@dataclass(slots=True)
class _Builder:
    doc: Document

    def build(self, node: Any, at: Key, depth: int) -> Any:
        mark = node.start_mark
        if depth > _MOST_DEPTH:
            raise _Refused(mark, "nested too deeply")
        self.doc.values[at] = (mark.line + 1, mark.column + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [
                self.build(n, (*at, i), depth + 1) for i, n in enumerate(node.value)
            ]
        return self._mapping(node, at, depth)

    def _mapping(self, node: Any, at: Key, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused(mark, "a key must be a plain word")
            key = key_node.value
            if key == "<<" and not key_node.style:
                raise _Refused(
                    mark, "merge keys (<<) are refused", "write the keys out"
                )
            if key in found:
                raise _Refused(mark, f"key {key!r} is there twice")
            self.doc.keys[(*at, key)] = (mark.line + 1, mark.column + 1)
            found[key] = self.build(value_node, (*at, key), depth + 1)
        return found

    @staticmethod
    def _scalar(node: Any) -> Any:
        text: str = node.value
        if node.style in {'"', "'", "|", ">"}:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            if len(text) > _MOST_DIGITS:
                raise _Refused(
                    node.start_mark, "the number is too long", "put it in quotes"
                )
            return int(text)
        return float(text) if _FLOAT.match(text) else text


def _filled(
    doc: Document, value: Any, at: Key, environ: Mapping[str, str], found: Diagnostics
) -> Any:
    if isinstance(value, dict):
        return {k: _filled(doc, v, (*at, k), environ, found) for k, v in value.items()}
    if isinstance(value, list):
        return [_filled(doc, v, (*at, i), environ, found) for i, v in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value

    def fill(match: re.Match[str]) -> str:
        if match.group(0) == "$${":
            return "${"
        name, fallback = match.group(1), match.group(2)
        if name in environ:
            return environ[name]
        if fallback is not None:
            return fallback
        near = did_you_mean(name, [n for n in environ if n[:2] == name[:2]])
        hint = f"set it, or write ${{{name}:-default}}"
        if near.startswith("did"):
            hint = f"{near} {hint}"
        found.add(
            doc.finding(
                at,
                f"environment variable {name} is not set",
                code="variable",
                hint=hint,
            )
        )
        return ""

    return _VARIABLE.sub(fill, value)
