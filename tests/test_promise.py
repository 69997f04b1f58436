"""A plan's promise of calls holds, whichever way it is carried out."""

from __future__ import annotations

import pytest

from connector_hub.errors import Unavailable
from connector_hub.testing.sandbox import Fault

from .conftest import Opener, Vendors


@pytest.fixture
def people() -> int:
    """Enough that the links of a second reading cost more than the reserve covers."""
    return 1200


async def test_carrying_out_a_plan_takes_no_more_calls_than_it_promised(
    opened: Opener, vendors: Vendors, people: int
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        plan = await hub.plan("contacts")
        before = {n: sum(s.calls.values()) for n, s in vendors.items()}
        receipt = await hub.apply(plan)
    assert receipt.created == people
    for name, vendor in vendors.items():
        counted = sum(vendor.calls.values()) - before[name]
        assert counted <= sum(plan.calls[name].values())
        assert counted == sum(receipt.calls[name].values())


async def test_a_vendor_that_fails_for_ever_ends_the_run_within_the_promise(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened() as hub:
        await hub.sync("companies")
        plan = await hub.plan("contacts")
        hub.clock.sleep = _at_once
        vendors["billing"].faults.append(Fault("composite", status=503))
        before = sum(vendors["billing"].calls.values())
        with pytest.raises(Unavailable):
            await hub.apply(plan)
    counted = sum(vendors["billing"].calls.values()) - before
    assert counted <= sum(plan.calls["billing"].values())


async def _at_once(_seconds: float) -> None:
    """Time does not matter here."""
