"""Which of two edits is the later one, as far as that can be told."""

from __future__ import annotations

from connector_hub.model.job import SideName
from connector_hub.model.record import Edited


def later(left: Edited | None, right: Edited | None) -> SideName | None:
    """The side whose edit is the later one; None where the two intervals overlap or one is unknown."""
    if left is None or right is None or left == right:
        return None
    if left.after is not None and left.after >= right.until:
        return "left"
    if right.after is not None and right.after >= left.until:
        return "right"
    return None
