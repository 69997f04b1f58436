"""How a command ends that failed: what, where, what to do, which exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from connector_hub.cli.session import Session
from connector_hub.errors import HubError

HIDDEN = "(its text may quote a record; --values shows it)"
INTERRUPTED = 130
USAGE = 2
GRAVITY = (0, 10, 3, 6, 5, 1, 4, 7, 2, 8, 143, INTERRUPTED)
"""Exit codes, the gravest last."""
STATUSES = ("paused", "done", "partial", "waiting", "refused", "failed", "interrupted")
"""Statuses of runs, the gravest last."""
_STATUS_CODES = {
    "paused": 0,
    "done": 0,
    "partial": 3,
    "waiting": 3,
    "refused": 6,
    "failed": 1,
}


def gravest(codes: Iterable[int]) -> int:
    """The exit code of several jobs."""
    return max(codes, key=GRAVITY.index, default=0)


def gravest_status(statuses: Iterable[str]) -> str:
    """The status of several jobs."""
    return max(statuses, key=STATUSES.index, default="done")


def status_code(status: str) -> int:
    """The exit code of a run that ended by itself."""
    return _STATUS_CODES[status]


def status_of(error: HubError) -> str:
    """The status of a job that an error kept from running at all."""
    return "refused" if error.exit_code == _STATUS_CODES["refused"] else "failed"


def code_of(error: HubError) -> str:
    """The error's name in the tree of ``connector_hub.errors``."""
    known = (c for c in type(error).__mro__ if c.__module__ == "connector_hub.errors")
    return next(known, HubError).__name__


def as_json(error: HubError) -> dict[str, Any]:
    """An error as the member ``error`` of a document."""
    found: dict[str, Any] = {"code": code_of(error), "message": str(error)}
    findings = getattr(error, "as_json", None)
    if findings is not None:
        found["findings"] = findings()
    return found


def show(session: Session, error: HubError, *, job: str = "") -> None:
    """Tell people about an error, on stderr; when another job meets it, too, that job is named only."""
    if job and str(error) in session.errors and not session.debug:
        session.note(f"error[{code_of(error)}]: the same again (job {job})")
        return
    session.errors.add(str(error))
    if getattr(error, "diagnostics", None) is not None:
        session.note(error.told)
    else:
        session.note(f"error[{code_of(error)}]: {error.told}")
        where = " ".join(filter(None, (error.where, f"(job {job})" if job else "")))
        if where:
            session.note(f"  --> {where}")
        if error.said and session.shows_values:
            session.note(f"  the vendor says: {error.said}")
        if error.hint:
            session.note(f"  help: {error.hint}")
    if session.debug:
        session.note(trace_of(error, values=session.values))


def trace_of(error: BaseException, *, values: bool) -> str:
    """A traceback. Errors that are not the hub's own may quote anything: their text goes with ``values``."""
    import traceback  # noqa: PLC0415 - only on request

    found = traceback.TracebackException.from_exception(error)
    if not values:
        _hide(found, error, set())
    return "".join(found.format())


def _hide(trace: Any, error: BaseException | None, seen: set[int]) -> None:
    if trace is None or error is None or id(trace) in seen:
        return
    seen.add(id(trace))
    if not isinstance(error, HubError):
        trace._str = HIDDEN  # noqa: SLF001 - it has no other way to leave the text out
        trace.__notes__ = None
    _hide(trace.__cause__, error.__cause__, seen)
    _hide(trace.__context__, error.__context__, seen)
    group = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for inner, one in zip(trace.exceptions or (), group, strict=False):
        _hide(inner, one, seen)


def tell(session: Session, error: BaseException) -> int:
    """Tell what stopped a command; return its exit code.

    An error the hub has no name for is a bug: its text may hold anything, so it is
    shown on request only.
    """
    if isinstance(error, HubError):
        show(session, error)
        session.document({"error": as_json(error)})
        return error.exit_code
    if isinstance(error, click.ClickException):
        message = error.format_message()
        if isinstance(error, click.UsageError) and error.ctx is not None:
            session.note(error.ctx.get_usage())
            path = error.ctx.command_path
            session.note(f"Try `{path} --help`.\n")
        session.note(f"error[UsageError]: {message}")
        session.document({"error": {"code": "UsageError", "message": message}})
        return USAGE
    if isinstance(error, click.Abort | KeyboardInterrupt):
        session.note("interrupted")
        session.document({"error": {"code": "Interrupted", "message": "interrupted"}})
        return INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return _bug(session, error)


def _bug(session: Session, error: BaseException) -> int:
    name = type(error).__name__
    message = f"an unexpected {name} stopped the command"
    if session.debug:
        session.note(trace_of(error, values=session.values))
    session.note(f"error[{name}]: {message}")
    session.note("  help: run with --debug for the traceback, and report it")
    session.document({"error": {"code": name, "message": message}})
    return 1
