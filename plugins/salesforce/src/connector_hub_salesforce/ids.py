"""Record ids: 15 characters that heed case, or 18 that do not.

Source: Object Reference for the Salesforce Platform, "ID Field Type".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_ID = re.compile(r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?\Z")
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
SHORT = 15
PREFIXES: Mapping[str, str] = {
    "Contact": "003",
    "Account": "001",
    "Lead": "00Q",
    "User": "005",
    "Organization": "00D",
    "Opportunity": "006",
    "OpportunityContactRole": "00K",
    "OpportunityLineItem": "00k",
    "Product2": "01t",
    "Pricebook2": "01s",
    "PricebookEntry": "01u",
    "Order": "801",
    "OrderItem": "802",
    "Campaign": "701",
    "CampaignMember": "00v",
    "Task": "00T",
    "PermissionSet": "0PS",
    "FieldPermissions": "01k",
    "PermissionSetAssignment": "0Pa",
}
"""The first three characters of an object's ids."""


def is_id(text: str) -> bool:
    """Whether a text has the shape of an id; its checksum is not looked at."""
    return _ID.match(text) is not None


def long_id(text: str) -> str:
    """The 18-character id of a 15-character one.

    The last three characters tell which letters are capitals. An id of 18 characters
    comes back as it is.

    Raises:
        ValueError: it has not the shape of an id.
    """
    if not is_id(text):
        raise ValueError("not a Salesforce id")
    if len(text) > SHORT:
        return text
    suffix = ""
    for start in (0, 5, 10):
        bits = sum(1 << i for i, c in enumerate(text[start : start + 5]) if c.isupper())
        suffix += _SUFFIX[bits]
    return text + suffix
