"""HTTP before the account: HubSpot's paths, both the numbered versions and the dated one."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from connector_hub.testing.sandbox import answer
from connector_hub_hubspot.portal.account import Portal
from connector_hub_hubspot.portal.refusals import malformed

Handler = Callable[[Request], Awaitable[Response]]
BATCH = 100


class Desk(Protocol):
    """What a handler works on. The account changes when the sandbox is reset: it is asked for each time."""

    portal: Portal
    url: str
    portal_id: int
    shuffle: random.Random
    merges_anew: bool
    echoes_traces: bool

    def do(self, handler: Handler, needs: str = "", *, search: bool = False) -> Handler:
        """A handler behind token, limits and scopes; ``needs`` is the kind of scope."""
        ...


def number(query: QueryParams, name: str, default: int) -> int:
    """A number of a query.

    Raises:
        Refused: it is none.
    """
    text = query.get(name) or str(default)
    if not text.isdigit():
        raise malformed(f"Invalid value for {name}: {text}")
    return int(text)


def archived(query: QueryParams) -> bool:
    """Whether what is archived is asked for, in letters of either case: Python's clients write ``True``."""
    return query.get("archived", "").lower() == "true"


def split(values: Sequence[str]) -> list[str]:
    """Both ``a,b`` and repeated parameters."""
    return [part for v in values for part in v.split(",") if part]


def batch(
    portal: Portal,
    results: Sequence[Any],
    errors: Sequence[Mapping[str, Any]] = (),
    *,
    ok: int = 200,
) -> Response:
    """The answer to a batch: 207 where some of it was refused."""
    now = portal.now()
    body: dict[str, Any] = {
        "status": "COMPLETE",
        "results": results,
        "startedAt": now,
        "completedAt": now,
    }
    if errors:
        body |= {"numErrors": len(errors), "errors": errors}
    return answer(body, 207 if errors else ok)


def error(body: Mapping[str, Any], context: Mapping[str, Iterable[str]]) -> Any:
    """One refusal inside the answer to a batch."""
    told = {k: v for k, v in body.items() if k != "correlationId"}
    told["context"] = {k: list(v) for k, v in context.items()}
    return {"errors": [], "links": {}, **told}
