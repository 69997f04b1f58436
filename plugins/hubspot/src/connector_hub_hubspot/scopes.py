"""The scopes that an app needs for what a job does.

Source: https://developers.hubspot.com/docs/apps/developer-platform/build-apps/authentication/scopes
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from connector_hub.sdk import Need, Permission

_ENGAGEMENTS = {"tasks", "notes", "calls", "emails", "meetings"}
"""They have no scopes of their own: those of contacts let them be read and written."""
_CUSTOM = re.compile(r"2-\d+\Z|p_")
_READ_ONLY = {"owners"}


def permissions(needs: Sequence[Need]) -> list[Permission]:
    """The scopes, each once; what is for ``prepare`` alone is marked."""
    found: dict[str, Permission] = {}
    for one in (*_app(), *(p for need in needs for p in _of(need))):
        before = found.get(one.name)
        if before is None or (before.once and not one.once):
            found[one.name] = one
    return sorted(found.values(), key=lambda p: (p.kind, p.once, p.name))


def _app() -> Iterator[Permission]:
    yield Permission("scope", "oauth", why="let people agree (public apps)")


def _of(need: Need) -> Iterator[Permission]:
    if need.resource == "campaigns":
        yield _scope("marketing.campaigns.read", "read campaigns")
        return
    word = _word(need.resource)
    yield _scope(f"crm.objects.{word}.read", f"read {need.resource}")
    if need.resource in _READ_ONLY:
        return
    if need.resource not in _ENGAGEMENTS:
        yield _scope(f"crm.schemas.{word}.read", "compare the mapped properties")
    if need.changes:
        yield _scope(f"crm.objects.{word}.write", f"write {need.resource}")
    for other in sorted(need.links):
        yield _scope(f"crm.objects.{_word(other)}.read", f"read links to {other}")
    for other in sorted(need.linked):
        yield _scope(f"crm.objects.{_word(other)}.write", f"link to {other}")
    if need.key and need.resource not in _ENGAGEMENTS:
        why = f"make the property {need.key}"
        yield _scope(f"crm.schemas.{word}.write", why, once=True)
    if word == "custom":
        yield Permission("licence", "Enterprise", why="have custom objects")


def _word(resource: str) -> str:
    """What scopes call a kind of record."""
    if resource in _ENGAGEMENTS:
        return "contacts"
    return "custom" if _CUSTOM.match(resource) else resource


def _scope(name: str, why: str, *, once: bool = False) -> Permission:
    return Permission("scope", name, why=why, once=once)
