"""HubSpot's errors, sorted (https://developers.hubspot.com/docs/reference/api/other-resources/error-handling)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from connector_hub.sdk import (
    Answer,
    Exists,
    Fault,
    Kind,
    Missing,
    Rejected,
    VendorError,
)

_WINDOWS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0}
"""Seconds after which a spent window is surely free; HubSpot sends no Retry-After."""
_EXISTING = re.compile(r"Existing ID: (\d+)")
_NO_OBJECT = "Unable to infer object type"


def sorted_fault(answer: Answer) -> Fault | None:  # noqa: C901, PLR0911
    """What an error answer means; None leaves it to the hub's table of statuses."""
    body = body_of(answer)
    message = words_of(body) or f"status {answer.status}"
    category = str(body.get("category") or "")
    match answer.status:
        case 429:
            policy = str(body.get("policyName"))
            kind = Kind.QUOTA if policy == "DAILY" else Kind.THROTTLED
            return Fault(kind, message, wait=_WINDOWS.get(policy))
        case 401:
            old = category == "EXPIRED_AUTHENTICATION"
            kind = Kind.EXPIRED if old else Kind.AUTH
            return Fault(kind, "HubSpot does not accept the token", category)
        case 403:
            return Fault(Kind.DENIED, _scopes(body) or message, category)
        case 404 | 410 if not body:
            return Fault(
                Kind.CONFIG,
                "HubSpot has nothing under this path: "
                "this version of its API may have been switched off; name another with api:",
            )
        case 409:
            return Fault(Kind.EXISTS, message, category, there=_there(message))
        case 400 if message.startswith(_NO_OBJECT):
            return Fault(Kind.CONFIG, "this account has no such object", category)
        case 400:
            return Fault(
                Kind.RECORD,
                message,
                code_of(body) or category,
                fields=names_of(body),
            )
        case 423:
            return Fault(
                Kind.THROTTLED,
                "HubSpot has locked the account for a large sync",
                wait=2.0,
            )
        case 477 | 521 | 522 | 523 | 525 | 526:
            return Fault(Kind.UNAVAILABLE, message)
        case 524:
            return Fault(Kind.AMBIGUOUS, message)
    return None


def body_of(answer: Answer) -> Mapping[str, Any]:
    """An answer's JSON object; an empty one where it is none."""
    try:
        body = answer.json()
    except VendorError:
        return {}
    return body if isinstance(body, dict) else {}


def refusal(error: Mapping[str, Any]) -> VendorError:
    """One write's refusal inside the answer to a batch."""
    message = words_of(error)
    category = str(error.get("category") or "REJECTED")
    if category == "CONFLICT":
        return Exists(message, there=_there(message))
    if category == "OBJECT_NOT_FOUND" and not code_of(error):
        return Missing("HubSpot has no such record")
    return Rejected(
        message,
        reason=code_of(error) or category,
        fields=names_of(error),
    )


def _there(message: str) -> str | None:
    """The record that is there already; HubSpot names it in the text only."""
    found = _EXISTING.search(message)
    return found.group(1) if found else None


def _inner(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is wrong, value by value: as a list in JSON inside the text, or beside it."""
    message = str(body.get("message") or "")
    start = message.find("[")
    if start >= 0:
        try:
            found = json.loads(message[start:])
        except ValueError:
            found = None
        if isinstance(found, list):
            return [f for f in found if isinstance(f, dict)]
    beside = body.get("validationResults") or ()
    return [*filter(_is_object, beside), *map(_detail, body.get("errors") or ())]


def _is_object(part: Any) -> bool:
    return isinstance(part, dict)


def _detail(error: Any) -> dict[str, Any]:
    """An error of the newer form, in the words of the older."""
    if not isinstance(error, dict):
        return {}
    context = error.get("context")
    names = context.get("propertyName") if isinstance(context, dict) else None
    return {
        "message": error.get("message"),
        "error": error.get("code"),
        "name": names[0] if isinstance(names, list) and names else None,
    }


def code_of(body: Mapping[str, Any]) -> str:
    """HubSpot's code for what is wrong with a value."""
    return next((str(f["error"]) for f in _inner(body) if f.get("error")), "")


def names_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """The properties that an error is about: of values inside its text, of missing ones in its context."""
    named = tuple(str(f["name"]) for f in _inner(body) if f.get("name"))
    context = body.get("context")
    lacks = context.get("properties", ()) if isinstance(context, dict) else ()
    return named or tuple(map(str, lacks))


def unknown_property(body: Mapping[str, Any]) -> str | None:
    """The property that the account does not have, where that is what is wrong."""
    return next(
        (
            f.get("name")
            for f in _inner(body)
            if f.get("error") == "PROPERTY_DOESNT_EXIST"
        ),
        None,
    )


def words_of(body: Mapping[str, Any]) -> str:
    """HubSpot's words; those about the first value, where there are such."""
    told = (f.get("message") for f in _inner(body) if f.get("error"))
    return str(next(filter(None, told), None) or body.get("message") or "")


def _scopes(body: Mapping[str, Any]) -> str:
    needed = [
        s
        for e in body.get("errors", ())
        for s in e.get("context", {}).get("requiredGranularScopes", ())
    ]
    return f"the app lacks the scopes {', '.join(needed)}" if needed else ""
