"""Zoho CRM: leads, contacts, accounts, deals, products, orders and modules of an account's own."""

from collections.abc import Sequence

from connector_hub.sdk import Connector, hookimpl
from connector_hub_zoho.connector import Zoho

__all__ = ["Zoho"]


@hookimpl
def connector_hub_connectors() -> Sequence[type[Connector]]:
    """The connector."""
    return [Zoho]


@hookimpl
def connector_hub_sandboxes() -> Sequence[type[object]]:
    """The sandbox; absent where the ``sandbox`` extra is not installed."""
    try:
        from connector_hub_zoho.sandbox import ZohoSandbox  # noqa: PLC0415 - an extra
    except ImportError:
        return []
    return [ZohoSandbox]
