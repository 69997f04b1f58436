"""For plugin authors: vendor sandboxes to develop and test against, and worlds in which all goes wrong."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from connector_hub.testing.sandbox import Sandbox, SandboxClock

if TYPE_CHECKING:
    from connector_hub.testing.clock import WorldClock
    from connector_hub.testing.judging import echoes, judge
    from connector_hub.testing.mishaps import Crash, Mishap
    from connector_hub.testing.wiring import Wires
    from connector_hub.testing.world import World

_LATER = {
    "Crash": "mishaps",
    "Mishap": "mishaps",
    "Wires": "wiring",
    "World": "world",
    "WorldClock": "clock",
    "echoes": "judging",
    "judge": "judging",
}
"""What takes the whole hub to import: a sandbox that is served does without."""


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


__all__ = [
    "Crash",
    "Mishap",
    "Sandbox",
    "SandboxClock",
    "Wires",
    "World",
    "WorldClock",
    "echoes",
    "judge",
]
