"""Paths of versions before 3 that clients still ask for."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connector_hub.testing.sandbox import answer
from connector_hub_hubspot.portal.properties import Property, system
from connector_hub_hubspot.routes import Desk

_ELSEWHERE = frozenset({"calls", "emails", "meetings", "notes", "deal_split"})
"""Objects of every account whose records are not kept here: readers ask for their properties all the same."""


class OlderRoutes:
    """Properties as version 2 lists them (https://legacydocs.hubspot.com/docs/methods/crm-properties/crm-properties-overview)."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> list[Route]:
        """Reading only."""
        at = "/properties/v2/{type}/properties"
        return [Route(at, self._desk.do(self._properties), methods=["GET"])]

    async def _properties(self, request: Request) -> Response:
        word = request.path_params["type"]
        if word in _ELSEWHERE:
            known = system("hs_lastmodifieddate", "hs_createdate")
        else:
            known = [*self._desk.portal.of(word).properties.values()]
        return answer([_row(p) for p in known])


def _row(known: Property) -> dict[str, Any]:
    """No envelope around the list, and what may be altered is said by flags of the row's own."""
    row = known.row()
    del row["modificationMetadata"]
    return {
        **row,
        "readOnlyValue": known.read_only,
        "readOnlyDefinition": known.ours,
        "deleted": False,
    }
