"""HubSpot CRM."""

from collections.abc import Sequence

from connector_hub.sdk import Connector, hookimpl
from connector_hub_hubspot.connector import HubSpot

__all__ = ["HubSpot"]


@hookimpl
def connector_hub_connectors() -> Sequence[type[Connector]]:
    """The connector."""
    return [HubSpot]


@hookimpl
def connector_hub_sandboxes() -> Sequence[type[object]]:
    """The sandbox; absent where the ``sandbox`` extra is not installed."""
    try:
        from connector_hub_hubspot.sandbox import HubSpotSandbox  # noqa: PLC0415
    except ImportError:
        return []
    return [HubSpotSandbox]
