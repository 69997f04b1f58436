"""connector-hub keeps business apps in agreement: plan first, merge field by field, lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from connector_hub.errors import HubError
    from connector_hub.hub import Hub, open_hub
    from connector_hub.model.plan import Change, Plan

__all__ = ["Change", "Hub", "HubError", "Plan", "open_hub"]
__version__ = "0.1.0"

_HOMES = {
    "Change": "connector_hub.model.plan",
    "Hub": "connector_hub.hub",
    "HubError": "connector_hub.errors",
    "Plan": "connector_hub.model.plan",
    "open_hub": "connector_hub.hub",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: importing the package does nothing."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_HOMES[name]), name)
