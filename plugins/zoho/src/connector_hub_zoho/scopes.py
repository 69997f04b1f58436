"""The scopes that an app needs for what a job does, and the rights of the user who agrees.

Source: https://www.zoho.com/crm/developer/docs/api/v8/scopes.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from connector_hub.sdk import Need, Permission

_MODULES = {
    "accounts",
    "activities",
    "calls",
    "campaigns",
    "cases",
    "contacts",
    "deals",
    "events",
    "invoices",
    "leads",
    "notes",
    "pricebooks",
    "products",
    "purchaseorders",
    "quotes",
    "salesorders",
    "solutions",
    "tasks",
    "vendors",
    "visits",
}
"""Modules that have a scope of their own; an account's own ones share ``custom``."""
_VERBS: Mapping[str, str] = {
    "read": "READ",
    "create": "CREATE",
    "edit": "UPDATE",
    "delete": "DELETE",
}
_USERS = "users"


def permissions(needs: Sequence[Need]) -> list[Permission]:
    """The scopes, each once, and what the user's profile must allow."""
    found = {p.name: p for p in _always()}
    for need in needs:
        for one in _of(need):
            before = found.get(one.name)
            if before is None or (before.once and not one.once):
                found[one.name] = one
    return sorted(found.values(), key=lambda p: (p.kind, p.once, p.name), reverse=False)


def _always() -> Iterator[Permission]:
    yield _scope("ZohoCRM.org.READ", "know whose account it is")
    yield _scope("ZohoCRM.users.READ", "know whose token it is")
    yield _scope("ZohoCRM.settings.fields.READ", "compare the mapped fields")
    yield _scope("ZohoCRM.settings.layouts.READ", "see what layouts require")
    yield _scope("ZohoCRM.settings.modules.READ", "compare the mapped modules")
    yield _scope("ZohoCRM.coql.READ", "look records up, and list beyond 100,000")
    yield _scope("ZohoCRM.bulk.READ", "read whole modules where that is cheaper")


def _of(need: Need) -> Iterator[Permission]:
    if need.resource == _USERS:
        return
    word = need.resource.lower().replace("_", "")
    own = word not in _MODULES
    for right in sorted(need.rights):
        name = f"ZohoCRM.modules.{'custom' if own else word}.{_VERBS[right]}"
        yield _scope(name, f"{right} {need.resource}")
    if need.key:
        yield _scope(
            "ZohoCRM.settings.fields.CREATE", f"make the field {need.key}", once=True
        )
    rights = tuple("view" if r == "read" else r for r in _VERBS if r in need.rights)
    yield Permission("object", need.resource, rights, "be allowed by the profile")
    if own:
        yield Permission("licence", "Enterprise", why="have modules of one's own")


def covers(granted: Collection[str], scope: str) -> bool:
    """``ALL`` in place of the verb or of what it is about holds every one below it; case does not count."""
    have = {g.casefold() for g in granted}
    parts = scope.casefold().split(".")
    wholes = {".".join((*parts[:n], "all")) for n in range(1, len(parts))}
    return not have.isdisjoint({scope.casefold(), *wholes})


def _scope(name: str, why: str, *, once: bool = False) -> Permission:
    return Permission("scope", name, why=why, once=once)
