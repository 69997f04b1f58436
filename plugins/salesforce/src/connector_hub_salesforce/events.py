"""Change events (Change Data Capture): which records they speak of.

Salesforce sends none over HTTP and signs none: whoever subscribes, over the Pub/Sub API or CometD, is signed
in, and passes them on with a token of his own. So they are hints, as all that is heard: what they say of
values is not read. Source: Change Data Capture Developer Guide, "Change Event Message Structure".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from connector_hub.sdk import Heard, Request
from connector_hub_salesforce.ids import is_id, long_id

HEADER = "ChangeEventHeader"
_PARENTS = {
    "PricebookEntry": ("Product2", "Product2Id"),
    "OpportunityContactRole": ("Opportunity", "OpportunityId"),
}
"""Companions, and the record that is to be looked at for them, where the event names it."""


def given(request: Request) -> str:
    """The token of whoever passes events on."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def heard(request: Request) -> Heard:
    """The records of one event or of many, as they come from any of Salesforce's channels.

    An event of a merge names its master, the losers have events of their own. ``GAP_...`` events name records
    without saying what changed, which is all that is wanted. An overflow names none: the next run reads the
    feeds.

    Raises:
        ValueError: there is no change event in it.
    """
    found: dict[str, dict[str, None]] = {}
    for event in _events(json.loads(request.body)):
        match event[HEADER]:
            case {"entityName": str(entity), "recordIds": list(ids)}:
                pass
            case _:
                raise ValueError("a change event names an entity and records")
        sound = [long_id(i) for i in ids if isinstance(i, str) and is_id(i)]
        found.setdefault(entity, {}).update(dict.fromkeys(sound))
        parent, name = _PARENTS.get(entity, ("", ""))
        record = event.get(name)
        if parent and isinstance(record, str) and is_id(record):
            found.setdefault(parent, {})[long_id(record)] = None
    return Heard({entity: list(ids) for entity, ids in found.items() if ids})


def _events(body: Any) -> Iterator[Mapping[str, Any]]:
    """The events in a message: by themselves, in a list, or within what a channel puts round them."""
    match body:
        case {"ChangeEventHeader": {"entityName": _, "recordIds": _}}:
            yield body
        case (
            {"payload": inner}
            | {"data": inner}
            | {"event": {"ChangeEventHeader": _} as inner}
        ):
            yield from _events(inner)
        case list():
            for each in body:
                yield from _events(each)
        case _:
            raise ValueError("there is no ChangeEventHeader in it")
