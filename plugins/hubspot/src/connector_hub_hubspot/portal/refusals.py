"""What HubSpot answers to a request that it does not carry out."""

from __future__ import annotations

import json
import uuid
from typing import Any

PORTAL = 4211337


class Refused(Exception):
    """HubSpot's answer to a request it does not carry out."""

    def __init__(self, status: int, category: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "status": "error",
            "message": message,
            "correlationId": str(uuid.uuid4()),
            "category": category,
            **more,
        }


def invalid(name: str, code: str, text: str) -> Refused:
    """A value that is not one of a property's: a list in JSON inside the message's text."""
    inner = json.dumps(
        [
            {
                "isValid": False,
                "message": text,
                "error": code,
                "name": name,
                "localizedErrorMessage": text,
                "portalId": PORTAL,
            }
        ]
    )
    return Refused(400, "VALIDATION_ERROR", f"Property values were not valid: {inner}")


def malformed(message: str) -> Refused:
    """A request that breaks the rules of its call."""
    return Refused(400, "VALIDATION_ERROR", message)


def missing(message: str = "resource not found") -> Refused:
    """A record that is not there."""
    return Refused(404, "OBJECT_NOT_FOUND", message)
