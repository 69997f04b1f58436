"""The sandbox's way to say no, in the words of the vendor."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """Salesforce's answer to a call or row it does not carry out."""

    def __init__(
        self, code: str, message: str, fields: tuple[str, ...] = (), status: int = 400
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fields = fields
        self.status = status

    def error(self) -> dict[str, Any]:
        """As calls show it: ``errorCode``, and ``fields`` only where there are some."""
        found: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        return {**found, "fields": list(self.fields)} if self.fields else found

    def row(self) -> dict[str, Any]:
        """As a row of a collection shows it: ``statusCode``, and always ``fields``."""
        error = {
            "statusCode": self.code,
            "message": self.message,
            "fields": list(self.fields),
        }
        return {"success": False, "errors": [error]}
