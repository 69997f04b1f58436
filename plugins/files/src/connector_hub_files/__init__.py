"""A folder of CSV or JSON Lines files as a connection."""

from collections.abc import Sequence

from connector_hub.sdk import Connector, hookimpl
from connector_hub_files.connector import Files

__all__ = ["Files"]


@hookimpl
def connector_hub_connectors() -> Sequence[type[Connector]]:
    """The connector."""
    return [Files]
