"""Where a reading is: marks, pages, and how a search goes on past what it may show.

A search shows 10,000 records. It is never paged by offsets: rows that are edited while it runs change their
places, and those behind them would be passed over. Each page is a search of its own, from the last stamp of
the one before it; where a whole page has one stamp, by ids within that stamp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from connector_hub.sdk import Answer, Clock, MarkLost

SEARCH = 200
"""Records on a page of the search."""


def place(at: str | None) -> dict[str, Any]:
    """What a mark or a ``next`` of ours says.

    Raises:
        MarkLost: it is not one of ours.
    """
    if at is None:
        return {}
    try:
        found = json.loads(at)
    except ValueError:
        raise MarkLost("HubSpot: this mark is not one of ours") from None
    if not isinstance(found, dict):
        raise MarkLost("HubSpot: this mark is not one of ours")
    return found


def mark(answer: Answer, clock: Clock) -> str:
    """HubSpot's own clock when the pull began; ours, with a margin, where it does not tell."""
    try:
        now = parsedate_to_datetime(answer.headers.get("date", ""))
    except ValueError:
        now = clock.now() - timedelta(minutes=5)
    return json.dumps({"ms": int(now.timestamp() * 1000)})


def after(body: Mapping[str, Any]) -> str | None:
    """The next page's place in a listing."""
    found = body.get("paging", {}).get("next", {}).get("after")
    return str(found) if found else None


def query(
    stamp: str, at: Mapping[str, Any], properties: Sequence[str]
) -> dict[str, Any]:
    """The search at a place."""
    filters = [{"propertyName": stamp, "operator": at["op"], "value": str(at["ms"])}]
    sort = stamp
    if at["op"] == "EQ":
        sort = "hs_object_id"
        filters.append(
            {
                "propertyName": "hs_object_id",
                "operator": "GT",
                "value": at["id"] or "0",
            }
        )
    return {
        "filterGroups": [{"filters": filters}],
        "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
        "properties": list(properties),
        "limit": SEARCH,
        "after": "0",
    }


def following(
    at: Mapping[str, Any], rows: Sequence[Any], stamp: str, *, more: bool
) -> dict[str, Any] | None:
    """Where a search goes on: behind the last of its rows, in whatever order they came."""
    if not rows or not more:
        if at["op"] == "EQ":
            return {"op": "GT", "ms": at["ms"], "id": None}
        return None
    if at["op"] == "EQ":
        return {**at, "id": max((r["id"] for r in rows), key=int)}
    last = max(datetime.fromisoformat(r["properties"][stamp]) for r in rows)
    ms = int(last.timestamp() * 1000 + 0.5)
    return {"op": "GTE" if ms > at["ms"] else "EQ", "ms": ms, "id": None}
