"""Salesforce: contacts and accounts."""

from collections.abc import Sequence

from connector_hub.sdk import Connector, hookimpl
from connector_hub_salesforce.connector import Salesforce

__all__ = ["Salesforce"]


@hookimpl
def connector_hub_connectors() -> Sequence[type[Connector]]:
    """The connector."""
    return [Salesforce]


@hookimpl
def connector_hub_sandboxes() -> Sequence[type[object]]:
    """The sandbox; absent where the ``sandbox`` extra is not installed."""
    try:
        from connector_hub_salesforce.sandbox import (  # noqa: PLC0415
            SalesforceSandbox,
        )
    except ImportError:
        return []
    return [SalesforceSandbox]
