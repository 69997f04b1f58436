"""What Zoho's refusals mean.

Zoho answers one body for a whole call, ``{code, details, message, status}``, and one such body a row
inside ``data`` where the call was about rows; the status of the answer says little about either.
Source: https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connector_hub.sdk import (
    Answer,
    Exists,
    Fault,
    InDoubt,
    Kind,
    Missing,
    Rejected,
    Unavailable,
    VendorError,
    Write,
)

_THROTTLED = {"TOO_MANY_REQUESTS", "RATE_LIMIT_EXCEEDED"}
_MINTED, _MINT_SECONDS = "Access Denied", 600.0
"""What the token endpoint says when it has been asked too often, and for how long at most."""
_LATER = {"DEPENDENT_SERVICE_ERROR", "SERVICE_UNAVAILABLE"}
_SHAPE = {
    "INVALID_MODULE",
    "INVALID_QUERY",
    "INVALID_REQUEST_METHOD",
    "INVALID_URL_PATTERN",
    "LIMIT_EXCEEDED",
    "REQUIRED_PARAM_MISSING",
    "SYNTAX_ERROR",
}
_PAGE_LOST = {"EXPIRED_VALUE", "TOKEN_BOUND_DATA_MISMATCH"}
_GONE = re.compile(
    r"record not (?:deleted|found)|the id given seems to be invalid", re.IGNORECASE
)
_STRANGE = (
    "Zoho does not accept the token; a data centre knows its own tokens only, "
    "so base_url must be that of the account's"
)
_ROW = re.compile(r"\$\.data\[\d+\]\.(.+)")
_NUMBER = re.compile(r"\[\d+\]")
_ID = re.compile(r"\$\.data\[\d+\]\.id\Z")


def first(answer: Answer) -> Mapping[str, Any]:
    """The error of an answer; that of its first row where only rows have one."""
    try:
        body = answer.json()
    except VendorError:
        return {}
    if not isinstance(body, Mapping):
        return {}
    if "code" in body or "error" in body:
        return body
    return next((r for r in rows_of(body) if r.get("status") == "error"), {})


def rows_of(body: Any) -> list[Mapping[str, Any]]:
    """The rows of an answer about records."""
    found = body.get("data") if isinstance(body, Mapping) else None
    return (
        [r for r in found if isinstance(r, Mapping)] if isinstance(found, list) else []
    )


def page_lost(answer: Answer) -> bool:
    """Whether a page token is too old, or was given for another question."""
    return first(answer).get("code") in _PAGE_LOST


def sort(answer: Answer, key: str | None, connection: str) -> Fault | None:
    """Sort a refused call; ``key`` is the key field: its absence has its own cure."""
    error = first(answer)
    word = str(error.get("code") or error.get("error") or "")
    message = _said(error) or f"status {answer.status}"
    fields = fields_of(error)
    if key and key in {*fields, str(_details(error).get("column_name") or "")}:
        return Fault(Kind.CONFIG, _unprepared(key, connection), word)
    return _by_word(word, message, fields) or _by_status(
        answer.status, word, message, error
    )


def _by_word(word: str, message: str, fields: tuple[str, ...]) -> Fault | None:
    """What Zoho's own word decides, whatever the status."""
    found = None
    if word == _MINTED:
        said = "Zoho gives no more tokens for now: ten were asked for in ten minutes"
        found = Fault(Kind.THROTTLED, said, wait=_MINT_SECONDS)
    elif word in _THROTTLED:
        found = Fault(Kind.THROTTLED, message, word)
    elif word in _LATER:
        found = Fault(Kind.UNAVAILABLE, f"Zoho is busy ({word})", word)
    elif word in _PAGE_LOST:
        found = Fault(Kind.MARK_LOST, message, word)
    elif word == "INVALID_URL_PATTERN":
        said = "Zoho knows no such address: its API may not have this version any more"
        found = Fault(Kind.CONFIG, said, word)
    elif word in _SHAPE:
        found = Fault(Kind.CONFIG, f"{word}: {message}", word, fields=fields)
    return found


def _by_status(
    status: int, word: str, message: str, error: Mapping[str, Any]
) -> Fault | None:
    """What is left to the status; None leaves it to the hub."""
    found = None
    match status:
        case 401 if word == "OAUTH_SCOPE_MISMATCH":
            said = "the token lacks a scope this call needs"
            found = Fault(Kind.DENIED, said, word)
        case 401:
            # INVALID_TOKEN is said of old tokens and of wrong ones
            old = Kind.EXPIRED if word == "INVALID_TOKEN" else Kind.AUTH
            found = Fault(old, _STRANGE, word)
        case 403:
            said = f"{word}: {message}{_permissions(error)}"
            found = Fault(Kind.DENIED, said, word)
        case 412:
            found = Fault(Kind.STALE, "the record has changed", word)
        case 400:
            found = Fault(Kind.RECORD, message, word, fields=fields_of(error))
        case 500:
            found = Fault(Kind.AMBIGUOUS, f"{word}: {message}", word)
    return found


def refusal(write: Write, row: Mapping[str, Any]) -> VendorError:
    """What a refused row means."""
    word = str(row.get("code") or "REJECTED")
    message = _said(row) or word
    fields = fields_of(row)
    if all(e.get("code") == "DUPLICATE_DATA" for e in _several(row)):
        there = {_double_of(e) for e in _several(row)}
        return Exists(
            "another record holds a unique value",
            there=there.pop() if len(there) == 1 else None,
        )
    if word in _THROTTLED or word in _LATER:
        return Unavailable(f"Zoho is busy ({word})")
    if word == "INTERNAL_ERROR":
        return InDoubt("Zoho failed in the middle of this write")
    if word == "INVALID_DATA" and _about_itself(write, row, message):
        return Missing("the record is gone")
    return Rejected(message, reason=word, fields=fields)


def _about_itself(write: Write, row: Mapping[str, Any], message: str) -> bool:
    """Whether a dead id is the row's own, and not that of a record it points to."""
    if write.op == "create":
        return False
    at = str(_details(row).get("json_path") or "")
    if at:
        return bool(_ID.match(at))
    own = _details(row).get("api_name") in {None, "id"}
    return own and (bool(_GONE.search(message)) or write.op == "archive")


def _several(error: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The errors of a row that has more than one; else the one it has."""
    listed = _details(error).get("errors") or (error,)
    return [e for e in listed if isinstance(e, Mapping)]


def _double_of(error: Mapping[str, Any]) -> str | None:
    """The record that holds a unique value."""
    there = _details(error).get("duplicate_record") or {}
    known = there.get("id") or _details(error).get("id")
    return str(known) if known else None


def fields_of(error: Mapping[str, Any]) -> tuple[str, ...]:
    """The fields an error speaks of; those in a subform's row as ``Ordered_Items[].Quantity``."""
    names = (_field_of(_details(e)) for e in _several(error))
    return tuple(dict.fromkeys(n for n in names if n))


def _field_of(details: Mapping[str, Any]) -> str:
    path = _ROW.match(str(details.get("json_path") or ""))
    if path and "[" in path[1]:
        return _NUMBER.sub("[]", path[1])
    return str(details.get("api_name") or (path[1] if path else ""))


def _details(error: Mapping[str, Any]) -> Mapping[str, Any]:
    found = error.get("details")
    return found if isinstance(found, Mapping) else {}


def _said(error: Mapping[str, Any]) -> str:
    """Zoho's words with what it expected, without any value."""
    if _details(error).get("errors"):
        return "; ".join(
            f"{', '.join(fields_of(e)) or '?'}: {_said(e)}" for e in _several(error)
        )
    message = str(error.get("message") or error.get("error_description") or "")
    details = _details(error)
    told = {
        "expected_data_type": "expected {}",
        "maximum_length": "at most {} characters",
        "supported_values": "one of its options",
    }
    more = [
        text.format(details[name]) for name, text in told.items() if name in details
    ]
    return f"{message} ({', '.join(more)})" if more else message


def _permissions(error: Mapping[str, Any]) -> str:
    found = _details(error).get("permissions")
    return f" ({', '.join(map(str, found))})" if isinstance(found, list) else ""


def _unprepared(key: str, connection: str) -> str:
    return (
        f"field {key}, which holds the record key, is missing or not unique; "
        f"run connector-hub prepare {connection}"
    )
