"""The connector, wired through the real HTTP port to a sandbox in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from connector_hub.testing import Wires
from connector_hub_zoho import Zoho

Wire = Callable[..., Zoho]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A function from a sandbox to a connector that speaks to it."""
    async with Wires() as wires:
        yield partial(wires.to, kind=Zoho)
