"""The account's users (https://developers.hubspot.com/docs/guides/api/crm/owners)."""

from __future__ import annotations

from typing import Any

OWNERS: tuple[tuple[str, str, str, bool], ...] = (
    ("7101", "Ratna", "Dewanti", False),
    ("7102", "Budi", "Hartono", False),
    ("7103", "Joko", "Susilo", True),
)
"""Owners: id, names, and whether they have left (archived)."""
IDS = frozenset(o[0] for o in OWNERS)


def row(owner: tuple[str, str, str, bool]) -> dict[str, Any]:
    """As the API answers it; one who has left has no ``userId`` any more."""
    number, first, last, archived = owner
    born_at = "2024-01-01T08:00:00.000Z"
    return {
        "id": number,
        "email": f"{first}.{last}@sandbox.example".lower(),
        "type": "PERSON",
        "firstName": first,
        "lastName": last,
        "userId": None if archived else int(number) + 1_000,
        "userIdIncludingInactive": int(number) + 1_000,
        "createdAt": born_at,
        "updatedAt": born_at,
        "archived": archived,
    }


def listed(
    *, archived: bool, after: str, limit: int, email: str | None
) -> dict[str, Any]:
    """A page of owners, archived ones where these are asked for."""
    found = [o for o in OWNERS if o[3] == archived and int(o[0]) > int(after)]
    rows = [r for r in map(row, found) if email in {None, r["email"]}]
    body: dict[str, Any] = {"results": rows[:limit]}
    if len(rows) > limit:
        body["paging"] = {"next": {"after": rows[limit - 1]["id"]}}
    return body
