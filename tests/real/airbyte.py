"""Readers of the Airbyte family, whose protocol is lines of JSON: specification, check, discover, read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.real.proxy import Proxy


@dataclass(slots=True)
class Found:
    """What a read has brought: rows by stream, and where each stream is."""

    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    state: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """A source in its environment, behind a proxy."""

    call: Callable[..., str]
    command: str
    folder: Path
    proxy: Proxy
    config: dict[str, Any]

    def check(self) -> str:
        """The status it gives the connection, or what it complains of."""
        (told,) = self._messages("CONNECTION_STATUS", "check")
        said = told["connectionStatus"]
        return str(said["status"] if said["status"] == "SUCCEEDED" else said)

    def discover(self) -> dict[str, Any]:
        """Streams by name."""
        (told,) = self._messages("CATALOG", "discover")
        return {s["name"]: s for s in told["catalog"]["streams"]}

    def read(
        self,
        *streams: dict[str, Any],
        state: list[dict[str, Any]] | None = None,
    ) -> Found:
        """Read streams: in full, or from a state on."""
        chosen = [
            {
                "stream": s,
                "sync_mode": _mode(s),
                "destination_sync_mode": "append",
                "cursor_field": s.get("default_cursor_field") or [],
            }
            for s in streams
        ]
        words = ["--catalog", self._written("catalog.json", {"streams": chosen})]
        if state is not None:
            words += ["--state", self._written("state.json", state)]
        found = Found()
        latest: dict[str, Any] = {}
        for told in self._messages("RECORD STATE", "read", *words):
            if told["type"] == "RECORD":
                record = told["record"]
                found.rows[record["stream"]].append(record["data"])
            else:
                at = told["state"]["stream"]["stream_descriptor"]["name"]
                latest[at] = told["state"]
        found.state = list(latest.values())
        return found

    def _messages(self, kinds: str, verb: str, *words: str) -> list[dict[str, Any]]:
        config = self._written("config.json", self.config)
        out = self.call(
            [self.command, verb, "--config", config, *words],
            variables=self.proxy.variables(),
        )
        told = [json.loads(x) for x in out.splitlines() if x.startswith("{")]
        return [m for m in told if m["type"] in kinds.split()]

    def _written(self, name: str, content: Any) -> str:
        at = self.folder / name
        at.write_text(json.dumps(content))
        return str(at)


def _mode(stream: dict[str, Any]) -> str:
    modes = stream["supported_sync_modes"]
    return "incremental" if "incremental" in modes else "full_refresh"
