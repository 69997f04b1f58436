"""Pipelines and their stages (https://developers.hubspot.com/docs/guides/api/crm/pipelines)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_BORN = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage; of deals it has a probability, of the others it is open or closed."""

    id: str
    label: str
    metadata: tuple[tuple[str, str], ...] = ()

    def row(self, order: int) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": order,
            "metadata": dict(self.metadata),
            "createdAt": _BORN,
            "updatedAt": _BORN,
            "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            "archived": False,
        }


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its stages in their order."""

    id: str
    label: str
    stages: tuple[Stage, ...]

    def row(self, order: int = 0) -> dict[str, Any]:
        """As the API answers it."""
        return {
            "id": self.id,
            "label": self.label,
            "displayOrder": order,
            "stages": [s.row(i) for i, s in enumerate(self.stages)],
            "createdAt": _BORN,
            "updatedAt": _BORN,
            "archived": False,
        }


def _deal(number: str, label: str, probability: str) -> Stage:
    closed = "true" if probability in {"0.0", "1.0"} else "false"
    return Stage(number, label, (("isClosed", closed), ("probability", probability)))


def _state(number: str, label: str, state: str, key: str = "ticketState") -> Stage:
    return Stage(number, label, ((key, state),))


BORN_WITH: dict[str, tuple[Pipeline, ...]] = {
    "deals": (
        Pipeline(
            "default",
            "Sales Pipeline",
            (
                _deal("appointmentscheduled", "Appointment Scheduled", "0.2"),
                _deal("qualifiedtobuy", "Qualified To Buy", "0.4"),
                _deal("presentationscheduled", "Presentation Scheduled", "0.6"),
                _deal("decisionmakerboughtin", "Decision Maker Bought-In", "0.8"),
                _deal("contractsent", "Contract Sent", "0.9"),
                _deal("closedwon", "Closed Won", "1.0"),
                _deal("closedlost", "Closed Lost", "0.0"),
            ),
        ),
        Pipeline(
            "75261904",
            "Partners",
            (
                _deal("148530611", "Introduced", "0.3"),
                _deal("148530612", "Agreed", "0.7"),
                _deal("148530613", "Won", "1.0"),
                _deal("148530614", "Lost", "0.0"),
            ),
        ),
    ),
    "tickets": (
        Pipeline(
            "0",
            "Support Pipeline",
            (
                _state("1", "New", "OPEN"),
                _state("2", "Waiting on contact", "OPEN"),
                _state("3", "Waiting on us", "OPEN"),
                _state("4", "Closed", "CLOSED"),
            ),
        ),
    ),
    "leads": (
        Pipeline(
            "lead-pipeline-id",
            "Lead Pipeline",
            (
                _state("new-stage-id", "New", "NEW", "leadState"),
                _state("attempting-stage-id", "Attempting", "IN_PROGRESS", "leadState"),
                _state("connected-stage-id", "Connected", "IN_PROGRESS", "leadState"),
                _state("qualified-stage-id", "Qualified", "QUALIFIED", "leadState"),
                _state(
                    "unqualified-stage-id", "Disqualified", "UNQUALIFIED", "leadState"
                ),
            ),
        ),
    ),
    "orders": (
        Pipeline(
            "14a2e10e-5471-408a-906e-c51f3b04369e",
            "Order Pipeline",
            (
                _state("4b27b500-f031-4927-9811-68a0b525cbae", "Open", "OPEN", "state"),
                _state(
                    "937ea84d-0a4f-4dcf-9028-3f9c2aafbf03", "Processed", "OPEN", "state"
                ),
                _state(
                    "aa99e8d0-c1d5-4071-b915-d240bbb1aed9", "Shipped", "CLOSED", "state"
                ),
                _state(
                    "3725360f-519b-4b18-a593-494d60a29c9f",
                    "Delivered",
                    "CLOSED",
                    "state",
                ),
                _state(
                    "3c85a297-e9ce-400b-b42e-9f16853d69d6",
                    "Cancelled",
                    "CLOSED",
                    "state",
                ),
            ),
        ),
    ),
}
