"""Where things are in the versions of the API (https://developers.hubspot.com/docs/developer-tooling/platform/versioning)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Version = Literal["v3", "2026-03"]


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of one version; associations are those of v4 or newer."""

    objects: str
    associations: str
    labels: str
    properties: str
    pipelines: str
    schemas: str
    owners: str


PATHS: dict[Version, Paths] = {
    "v3": Paths(
        "/crm/v3/objects",
        "/crm/v4/associations",
        "/crm/associations/v4",
        "/crm/v3/properties",
        "/crm/v3/pipelines",
        "/crm-object-schemas/v3/schemas",
        "/crm/v3/owners",
    ),
    "2026-03": Paths(
        "/crm/objects/2026-03",
        "/crm/associations/2026-03",
        "/crm/associations/2026-03",
        "/crm/properties/2026-03",
        "/crm/pipelines/2026-03",
        "/crm-object-schemas/2026-03/schemas",
        "/crm/owners/2026-03",
    ),
}
