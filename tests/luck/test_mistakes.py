"""hub.yaml mistakes of the features of this issue."""

from __future__ import annotations

import pytest

from connector_hub.errors import HubError
from tests.conftest import Opener, Vendors

from .accounts import rows


@pytest.fixture
def people() -> int:
    return 3


@pytest.mark.parametrize(
    "keys",
    [
        {"pilot": "0"},
        {"pilot": "-1"},
        {"pilot": "true"},
        {"pilot": "1.5"},
        {"pilot": "''"},
        {"pilot": "."},
        {"pilot": "hub.yaml"},
        {"pilot": "/etc/passwd"},
        {"only": "{stage: []}"},
        {"only": "{stage: lead}"},
        {"only": "{stage: [nonsense]}"},
        {"only": "{company: [x]}"},
        {"only": "{nope: [x]}"},
        {"apply": "{when: {}}"},
        {"apply": "{when: {create: 110%}}"},
        {"apply": "{when: {create: -5}}"},
        {"apply": "{when: {create: 5}, else: stop}"},
        {"create": "nobody"},
        {"leaving": "unlink"},
        {"right": "{connection: billing, one_of: []}"},
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Contact}]}"
        },
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Account}]}"
        },
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}], create_as: [{resource: Account}]}"  # noqa: E501 - one line of YAML
        },
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}], create_as: [{resource: Lead, when: {stage: [nonsense]}}]}"  # noqa: E501 - one line of YAML
        },
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}], create_as: [{resource: Lead, when: {nope: [x]}}]}"  # noqa: E501 - one line of YAML
        },
        {
            "right": "{connection: billing, resource: Contact, create_as: [{resource: Contact}]}"
        },
        {
            "right": "{connection: billing, one_of: [{resource: Contact}, {resource: Lead}]}",
            "guarding": "strict",
        },
    ],
    ids=str,
)
async def test_a_mistake_is_told_before_anything_is_read(
    opened: Opener, vendors: Vendors, keys
) -> None:
    with pytest.raises(HubError) as e:
        async with opened("both", **keys) as hub:
            await hub.sync("contacts")
    assert "hub.yaml:" in str(e.value)
    assert rows(vendors) == []
