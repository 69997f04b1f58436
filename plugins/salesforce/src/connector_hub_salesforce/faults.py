"""What Salesforce's refusals mean.

Source: REST API Developer Guide, "Status Codes and Error Responses". Messages about
queries repeat the query, whose values must not travel: only the reason is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from connector_hub.sdk import (
    Answer,
    Exists,
    Fault,
    Kind,
    Left,
    Missing,
    Rejected,
    Unavailable,
    VendorError,
    Write,
)
from connector_hub_salesforce.ids import is_id, long_id

_USAGE = re.compile(r"(?:^|[;,\s])api-usage=(\d+)/(\d+)")
_THERE = re.compile(r"record with id: ([a-zA-Z0-9]{15,18})\b")
_REASON = re.compile(r"ERROR at Row:\d+:Column:\d+\s*", re.DOTALL)
_COLUMN = re.compile(r"(?:No such column|does not exist)[^']*'([\w.]+)'")
_LATER = {
    "UNABLE_TO_LOCK_ROW",
    "SERVER_UNAVAILABLE",
    "QUERY_TIMEOUT",
    "REQUEST_RUNNING_TOO_LONG",
    "REQUEST_LIMIT_EXCEEDED",
}
"""Nothing was done; the same again may succeed."""
_GONE = {"ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"}
_SHAPE = {
    "INVALID_FIELD",
    "INVALID_TYPE",
    "MALFORMED_QUERY",
    "INVALID_QUERY_FILTER_OPERATOR",
}
_TOKEN = {
    "invalid_client": "the consumer key or secret is wrong",
    "invalid_client_id": "the consumer key is wrong",
    "invalid_grant": "the app may not use this flow, or names no user to run as",
}


def first(answer: Answer) -> Mapping[str, Any]:
    """The first error of an answer, whatever its form; empty where there is none."""
    try:
        body = answer.json()
    except VendorError:
        return {}
    if isinstance(body, list) and body:
        body = body[0]
    return body if isinstance(body, dict) else {}


def code(answer: Answer) -> str:
    """Salesforce's word for an error."""
    found = first(answer)
    return str(found.get("errorCode") or found.get("error") or "")


def locator_lost(answer: Answer) -> bool:
    """Whether a page's cursor has expired (two days) or made room for newer ones."""
    return code(answer) == "INVALID_QUERY_LOCATOR"


def filled_before(answer: Answer) -> bool:
    """Whether a bulk job refuses its rows because it has them."""
    said = str(first(answer).get("message") or "")
    return "multiple contents" in said or moved_before(answer)


def moved_before(answer: Answer) -> bool:
    """Whether a bulk job refuses a step because it has gone further."""
    return code(answer) == "INVALIDJOBSTATE"


def left(answer: Answer) -> dict[str, Left]:
    """Calls left of the 24 hours, from ``Sforce-Limit-Info: api-usage=USED/MAX``."""
    found = _USAGE.search(answer.headers.get("sforce-limit-info", ""))
    if not found:
        return {}
    used, most = (float(found.group(n)) for n in (1, 2))
    return {"calls": Left(max(most - used, 0.0), most)}


def sort(answer: Answer, key: str | None, connection: str) -> Fault | None:
    """Sort a refused call; ``key`` is the key field: its absence has its own cure."""
    if answer.status == 300:  # noqa: PLR2004 - several records have this external id
        return Fault(Kind.EXISTS, "several records hold this external id")
    if answer.status == 403 and b"OAuth_Token" in answer.body[:100]:  # noqa: PLR2004
        # userinfo alone refuses a dead session in plain text
        return Fault(Kind.EXPIRED, "Salesforce does not accept the token")
    error = first(answer)
    if "error" in error:
        return _oauth(error)
    word = str(error.get("errorCode") or "")
    message = _reason(str(error.get("message") or f"status {answer.status}"))
    fields = tuple(str(f) for f in error.get("fields") or ())
    if key and key in message and word in {"INVALID_FIELD", "NOT_FOUND"}:
        return Fault(Kind.CONFIG, _unprepared(key, connection), word)
    return _by_word(word, message, fields) or _by_status(
        answer.status, word, message, fields
    )


def _by_word(word: str, message: str, fields: tuple[str, ...]) -> Fault | None:
    """What Salesforce's own word decides, whatever the status."""
    if word == "REQUEST_LIMIT_EXCEEDED":
        if "Concurrent" in message:
            return Fault(Kind.THROTTLED, message, word)
        return Fault(Kind.QUOTA, "the calls of 24 hours are spent", word)
    if word in _LATER:
        return Fault(Kind.UNAVAILABLE, f"Salesforce is busy ({word})", word)
    if "Foreign key external ID" in message:
        return Fault(Kind.RECORD, message, word, fields=fields)
    if word in _SHAPE:
        column = _COLUMN.search(message)
        named = fields or ((column.group(1),) if column else ())
        said = ", ".join(named) or "see the fields of the mapping"
        return Fault(Kind.CONFIG, f"{word}: {said}", word, fields=named)
    return None


def _by_status(
    status: int, word: str, message: str, fields: tuple[str, ...]
) -> Fault | None:
    """What is left to the status; None leaves it to the hub."""
    found = None
    match status:
        case 401:
            dead = Kind.EXPIRED if word == "INVALID_SESSION_ID" else Kind.AUTH
            found = Fault(dead, "Salesforce does not accept the token", word)
        case 403:
            found = Fault(Kind.DENIED, f"{word}: {message}" if word else message, word)
        case 404 if word == "ENTITY_IS_DELETED":
            found = Fault(Kind.MISSING, message, word)
        case 404 if "requested resource does not exist" in message:
            said = "Salesforce does not know this path; check base_url and version"
            found = Fault(Kind.CONFIG, said, word)
        case 404 if "external ID field does not exist" in message:
            found = Fault(Kind.CONFIG, message, word)
        case 412:
            found = Fault(Kind.STALE, "the record has changed", word)
        case 400:
            found = Fault(Kind.RECORD, message, word, fields=fields)
    return found


def _oauth(error: Mapping[str, Any]) -> Fault:
    """A refusal of the token endpoint (RFC 6749, 5.2)."""
    word = str(error["error"])
    said = str(error.get("error_description") or "")
    if "rate exceeded" in said:
        return Fault(Kind.THROTTLED, f"too many logins ({word})", word)
    if word in {"temporarily_unavailable", "server_error", "unknown_error"}:
        return Fault(Kind.UNAVAILABLE, f"Salesforce is busy ({word})", word)
    meant = f": {_TOKEN[word]}" if word in _TOKEN else ""
    return Fault(Kind.AUTH, f"Salesforce gives no token ({word}){meant}", word)


def _unprepared(key: str, connection: str) -> str:
    return (
        f"field {key}, which holds the record key, is missing or hidden from the user; "
        f"run connector-hub prepare {connection}"
    )


def _reason(message: str) -> str:
    """The reason alone: before it a message repeats the query, a caret under it."""
    found = _REASON.search(message)
    return " ".join(message[found.end() if found else 0 :].split())


def refusal(write: Write, error: Mapping[str, Any]) -> VendorError:
    """What a refused row of a collection means."""
    word = str(error.get("statusCode") or error.get("errorCode") or "REJECTED")
    message = _reason(str(error.get("message") or ""))
    fields = tuple(str(f) for f in error.get("fields") or ())
    if word == "DUPLICATE_VALUE":
        there = _THERE.search(message)
        known = there.group(1) if there and is_id(there.group(1)) else None
        return Exists(
            "another record holds a unique value",
            there=long_id(known) if known else None,
        )
    if word == "DUPLICATES_DETECTED":
        return Exists("a duplicate rule sees this record in another one")
    if word in _LATER:
        return Unavailable(f"Salesforce is busy ({word})")
    if word in _GONE and _own(write, fields):
        return Missing(f"the record is gone ({word})")
    return Rejected(message or word, reason=word, fields=fields)


def _own(write: Write, fields: tuple[str, ...]) -> bool:
    """Whether a dead id is the row's own, and not that of a record it points to.

    Salesforce often names no field. To take a live record for gone would be the greater
    harm, so a row that also writes something like an id is not taken for gone.
    """
    if write.op == "create" or any(f != "Id" for f in fields):
        return False
    if fields or write.op == "archive":
        return True
    return not any(isinstance(v, str) and is_id(v) for v in write.fields.values())
