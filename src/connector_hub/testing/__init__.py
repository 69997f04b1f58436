"""For plugin authors: vendor sandboxes to develop and test against."""

from connector_hub.testing.sandbox import Sandbox, SandboxClock

__all__ = ["Sandbox", "SandboxClock"]
