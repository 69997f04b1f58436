"""Stories of bad luck begin with empty accounts."""

from __future__ import annotations

import pytest


@pytest.fixture
def people() -> int:
    """How many contacts the left account is born with."""
    return 0
