"""Every request and every answer held against the vendor's own OpenAPI documents.

The documents are not ours to ship. They are looked for in ``shared/openapi/VENDOR`` beside the checkout, or
where ``CONNECTOR_HUB_SHARED`` says; tests skip, with a reason, where they are not.

    specs = Specs.of("hubspot")
    wire = Watched(httpx.ASGITransport(app=sandbox.app), specs)
    ...                                 # give it to the connector or to open_hub as its transport
    assert wire.findings == []
    assert wire.checked["POST /crm/v3/objects/contacts/search 200"]
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
import orjson
import pytest
from jsonschema.protocols import Validator
from openapi_schema_validator import (
    OAS30ReadValidator,
    OAS30WriteValidator,
    OAS31Validator,
    oas30_format_checker,
    oas31_format_checker,
)
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4, DRAFT202012

_METHODS = ("get", "put", "post", "delete", "patch")
_PARAMETER = re.compile(r"\{[^}]+\}")
_ENCODED = {"content-encoding", "transfer-encoding", "content-length"}
"""Headers of how an answer came over the wire, which it is read off by now."""
_FORM = "application/x-www-form-urlencoded"


def shared(*parts: str) -> Path:
    """A place in the folder that lies beside the checkout; the test is skipped where it is missing."""
    asked = os.environ.get("CONNECTOR_HUB_SHARED")  # noqa: TID251 - of the tests
    homes = [Path(asked)] if asked else [p / "shared" for p in Path(__file__).parents]
    for home in homes:
        if home.joinpath(*parts).exists():
            return home.joinpath(*parts)
    pytest.skip(f"{'/'.join(('shared', *parts))} is not beside the checkout")


@dataclass(frozen=True, eq=False)
class Operation:
    """One method of one path of one document."""

    file: str
    path: str
    """As the document writes it, with what its server puts before it."""
    method: str
    spec: Mapping[str, Any]
    at: str
    """JSON pointer inside the document."""
    parameters: tuple[Mapping[str, Any], ...]
    document: Document

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """What a request's path must look like."""
        parts = (re.escape(p) for p in _PARAMETER.split(self.path))
        return re.compile("[^/]+".join(parts) + r"/?\Z")

    @property
    def vague(self) -> int:
        """How many places of the path may hold anything: of several documents the most exact speaks."""
        return len(_PARAMETER.findall(self.path))


class Document:
    """One OpenAPI document, 3.0 or 3.1, and its neighbours that it refers to."""

    def __init__(self, file: Path, registry: Registry[Any], uri: str) -> None:
        self.uri = uri
        self.name = file.name
        self.body: dict[str, Any] = registry.contents(uri)
        self._registry = registry
        self._new = _is_new(self.body)

    def operations(self) -> Iterator[Operation]:
        """All there are."""
        for path, item in self.body.get("paths", {}).items():
            common = item.get("parameters", ())
            for method in _METHODS:
                if method not in item:
                    continue
                spec = item[method]
                yield Operation(
                    self.name,
                    self._served() + path,
                    method.upper(),
                    spec,
                    f"/paths/{_escaped(path)}/{method}",
                    tuple(map(self.resolved, (*common, *spec.get("parameters", ())))),
                    self,
                )

    def _served(self) -> str:
        """The path of the first server, its variables at their defaults."""
        for server in self.body.get("servers", ()):
            url = server["url"]
            for name, v in server.get("variables", {}).items():
                url = url.replace(f"{{{name}}}", v["default"])
            return urlsplit(url).path.rstrip("/")
        return ""

    def resolved(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part, or what it refers to."""
        while "$ref" in part:
            found = self._registry.resolver(self.uri).lookup(part["$ref"])
            part = found.contents
        return part

    def wrong(self, at: str, value: Any, *, answer: bool) -> Iterator[str]:
        """What a value breaks of the schema at an address."""
        for error in self._validator(at, answer=answer).iter_errors(value):
            where = "/".join(map(str, error.absolute_path)) or "."
            yield f"{where}: {error.message[:200]}"

    @cache  # noqa: B019 - documents live as long as the tests do
    def _validator(self, at: str, *, answer: bool) -> Validator:
        kind, formats = OAS31Validator, oas31_format_checker
        if not self._new:
            kind = OAS30ReadValidator if answer else OAS30WriteValidator
            formats = oas30_format_checker
        made: Validator = kind(
            {"$ref": at}, registry=self._registry, format_checker=formats
        )
        return made


class Specs:
    """All documents of a vendor.

    Args:
        folder: they lie in it and below.
        silent: patterns of ``METHOD /path`` that no document speaks of, though the vendor serves them.
        allowed: patterns of findings where documents and reality contradict each other; each is told
            in the sandbox's README.
    """

    def __init__(
        self, folder: Path, silent: Sequence[str] = (), allowed: Sequence[str] = ()
    ) -> None:
        self.silent = [re.compile(p) for p in silent]
        self.allowed = [re.compile(p) for p in allowed]
        files = sorted(folder.rglob("*.json"))
        uris = {f: f"https://specs.example/{f.relative_to(folder)}" for f in files}
        bodies = {uri: orjson.loads(f.read_bytes()) for f, uri in uris.items()}
        for uri, body in bodies.items():
            _lead_home(body, uri, bodies)
        registry: Registry[Any] = Registry().with_resources(
            (uri, Resource(body, DRAFT202012 if _is_new(body) else DRAFT4))
            for uri, body in bodies.items()
        )
        self._operations: dict[str, list[Operation]] = {}
        for f, uri in uris.items():
            for o in Document(f, registry, uri).operations():
                self._operations.setdefault(o.method, []).append(o)
        for listed in self._operations.values():
            listed.sort(key=lambda o: o.vague)

    @classmethod
    @cache
    def of(
        cls, vendor: str, *, silent: tuple[str, ...] = (), allowed: tuple[str, ...] = ()
    ) -> Specs:
        """A vendor's documents, read once; the test is skipped where they are missing.

        ``vendor`` may go on below: ``zoho/oas31-2026-08``.
        """
        return cls(shared("openapi", *vendor.split("/")), silent, allowed)

    def speaking_of(self, method: str, path: str) -> list[Operation]:
        """The most exact operations for a request: several documents may have them."""
        found = [
            o for o in self._operations.get(method, ()) if o.pattern.fullmatch(path)
        ]
        return [o for o in found if o.vague == found[0].vague]

    def looked_at(
        self, request: httpx.Request, response: httpx.Response
    ) -> tuple[str | None, list[str]]:
        """The operation that an exchange is of, None for an unknown one, and what it breaks.

        Where several documents speak of one path, it is enough to be right by one of them.
        """
        called = f"{request.method} {request.url.path}"
        found = self.speaking_of(request.method, request.url.path)
        if not found:
            known = any(p.search(called) for p in self.silent)
            return None, [] if known else [f"{called}: no document speaks of it"]
        tries = []
        for o in found:
            told = [*_asked(o, request), *_answered(o, response)]
            wrong = [f"{called} {response.status_code} ({o.file}): {t}" for t in told]
            tries.append(
                [w for w in wrong if not any(p.search(w) for p in self.allowed)]
            )
        best = min(range(len(tries)), key=lambda i: len(tries[i]))
        name = f"{request.method} {found[best].path} {response.status_code}"
        return name, tries[best]


class Watched(httpx.AsyncBaseTransport):
    """A transport that looks at every exchange on its way.

    ``checked`` counts the exchanges by operation and status, ``unknown`` those no document speaks of,
    ``findings`` holds what was wrong, each once.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, specs: Specs) -> None:
        self._inner = inner
        self._specs = specs
        self.checked: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.findings: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it, look at both, hand the answer on."""
        await request.aread()
        response = await self._inner.handle_async_request(request)
        await response.aread()
        name, wrong = self._specs.looked_at(request, response)
        if name:
            self.checked[name] += 1
        else:
            self.unknown[f"{request.method} {request.url.path}"] += 1
        self.findings += [w for w in wrong if w not in self.findings]
        headers = [h for h in response.headers.multi_items() if h[0] not in _ENCODED]
        return httpx.Response(
            response.status_code,
            headers=headers,
            stream=httpx.ByteStream(response.content),
        )


def _is_new(body: Mapping[str, Any]) -> bool:
    return str(body.get("openapi", "")).startswith("3.1")


def _lead_home(part: Any, uri: str, bodies: Mapping[str, Any]) -> None:
    """References to a document's place on the web lead to its copy here; broken ones demand nothing."""
    if isinstance(part, list):
        for p in part:
            _lead_home(p, uri, bodies)
        return
    if not isinstance(part, dict):
        return
    ref = part.get("$ref")
    if isinstance(ref, str):
        file, _, pointer = ref.partition("#")
        home = f"{uri.rpartition('/')[0]}/{file.rpartition('/')[2]}" if file else uri
        if home in bodies and _there(bodies[home], pointer):
            part["$ref"] = f"{home}#{pointer}"
        else:
            part.clear()
        return
    if not _is_readable(part.get("pattern")):
        del part["pattern"]
    for p in part.values():
        _lead_home(p, uri, bodies)


def _is_readable(pattern: Any) -> bool:
    """Whether Python can read an expression: ECMAScript has classes of characters of its own."""
    try:
        return not isinstance(pattern, str) or bool(re.compile(pattern))
    except re.error:
        return False


def _there(body: Any, pointer: str) -> bool:
    for key in pointer.split("/")[1:]:
        name = unquote(key).replace("~1", "/").replace("~0", "~")
        if not isinstance(body, dict) or name not in body:
            return False
        body = body[name]
    return True


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _asked(o: Operation, request: httpx.Request) -> Iterator[str]:
    """What is wrong with a request."""
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.url.query.decode(), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    known = {p["name"]: p for p in o.parameters if p.get("in") == "query"}
    for name in given.keys() - known.keys():
        yield f"query {name}: no such parameter"
    for name, p in known.items():
        if name not in given:
            if p.get("required"):
                yield f"query {name}: missing"
            continue
        schema = o.document.resolved(p.get("schema", {}))
        value = _cast(o, schema, given[name])
        yield from (f"query {name}: {w}" for w in _wrong_value(o, p, value))
    body = o.spec.get("requestBody")
    if body is not None:
        yield from _wrong_body(o, o.document.resolved(body), request)
    elif request.content:
        yield "body: none is asked for"


def _wrong_value(o: Operation, p: Mapping[str, Any], value: Any) -> Iterator[str]:
    for i, candidate in enumerate(o.spec.get("parameters", ())):
        if "schema" in p and o.document.resolved(candidate) is p:
            at = candidate.get("$ref") or f"{o.document.uri}#{o.at}/parameters/{i}"
            yield from o.document.wrong(f"{at}/schema", value, answer=False)


def _cast(o: Operation, schema: Mapping[str, Any], values: Sequence[str]) -> Any:
    """A query's text as the schema's type; texts that are none stay as they are, and are told."""
    kind = schema.get("type")
    if kind == "array":
        parts = [x for v in values for x in v.split(",")]
        items = o.document.resolved(schema.get("items", {}))
        return [_cast(o, items, [x]) for x in parts]
    text = values[-1]
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind in {"integer", "number"}:
        try:
            return int(text)
        except ValueError:
            return text
    return text


def _wrong_body(
    o: Operation, body: Mapping[str, Any], request: httpx.Request
) -> Iterator[str]:
    if not request.content:
        if body.get("required"):
            yield "body: missing"
        return
    kind, at = _content(body, request.headers)
    if kind is None:
        yield f"body: {request.headers.get('content-type')} is not taken"
        return
    value: Any = None
    if kind.endswith("json"):
        value = json.loads(request.content)
    elif kind == _FORM:
        value = dict(parse_qsl(request.content.decode(), keep_blank_values=True))
    else:
        return
    place = _place(o, ("requestBody",))
    for w in o.document.wrong(f"{place}{at}", value, answer=False):
        yield f"body {w}"


def _answered(o: Operation, response: httpx.Response) -> Iterator[str]:
    """What is wrong with an answer."""
    responses = o.spec["responses"]
    word = str(response.status_code)
    ranged = f"{word[0]}XX"
    key = next((k for k in (word, ranged, "default") if k in responses), None)
    if key is None or (key == "default" and word[0] == "2" and len(responses) > 1):
        yield f"status {word} is not among {', '.join(responses)}"
        return
    told = o.document.resolved(responses[key])
    if not response.content:
        if told.get("content") and word not in {"204", "304"}:
            yield "an empty answer where there should be one"
        return
    kind, at = _content(told, response.headers)
    if kind is None:
        if told.get("content"):
            yield f"{response.headers.get('content-type')} is not what it answers"
        return
    if not kind.endswith("json") and kind != "*/*":
        return
    place = _place(o, ("responses", key))
    for w in o.document.wrong(f"{place}{at}", response.json(), answer=True):
        yield f"answer {w}"


def _place(o: Operation, keys: Iterable[str]) -> str:
    """The address of a part of an operation, through its reference where it is one."""
    part: Any = o.spec
    at = o.at
    for k in keys:
        part = part[k]
        at += f"/{_escaped(k)}"
    return str(part.get("$ref") or f"{o.document.uri}#{at}")


def _content(
    part: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[str | None, str]:
    """The content type that a part has for a message, and the pointer to its schema."""
    said = headers.get("content-type", "").partition(";")[0].strip().lower()
    content = part.get("content", {})
    for kind, told in content.items():
        bare = kind.partition(";")[0].strip().lower()
        if bare in {said, "*/*"} and "schema" in told:
            return ("*/*" if bare == "*/*" else bare), (
                f"/content/{_escaped(kind)}/schema"
            )
    return None, ""
