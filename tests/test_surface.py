"""What the library can do the command line can, too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connector_hub import cli
from connector_hub.hub import Hub

WAIVED = {
    "view": "a stream of records, for programs",
    "aclose": "open_hub closes what it opened",
}
COMMANDS = "\n".join(
    p.read_text() for p in sorted(Path(cli.__file__).parent.glob("*.py"))
)
METHODS = [n for n in dir(Hub) if callable(getattr(Hub, n)) and not n.startswith("_")]


@pytest.mark.parametrize("method", METHODS)
def test_the_command_line_reaches_every_method_of_the_hub(method: str) -> None:
    used = re.search(rf"\bhub\.{method}\b", COMMANDS)
    assert bool(used) != (method in WAIVED), WAIVED.get(method, "not reachable")
