"""The hooks a plugin may implement: synchronous, called once at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from connector_hub.sdk.connector import Connector

PROJECT = "connector_hub"
"""The entry-point group and pluggy's project name."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def connector_hub_connectors() -> Sequence[type[Connector]]:  # type: ignore[empty-body]
    """Connector classes this plugin brings."""


@hookspec
def connector_hub_sandboxes() -> Sequence[type[Any]]:  # type: ignore[empty-body]
    """Sandbox classes this plugin brings (``connector_hub.testing.Sandbox``)."""
