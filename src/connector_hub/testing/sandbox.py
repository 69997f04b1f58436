"""A vendor that lives in memory: an ASGI app with real state, its rules, limits and refusals.

A plugin's sandbox subclasses ``Sandbox``, gives the vendor's routes, and says how its records look.
Calls are counted, faults injected and time moved under ``/_sandbox/``.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from connector_hub.adapters.http import post
from connector_hub.errors import Unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ADMIN = "/_sandbox/"
_ID = re.compile(
    r"(?<=/)(?:\d{2,}|[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?|[0-9a-f]{8}-[0-9a-f-]{27}|"
    r"[a-zA-Z0-9]{15}(?:[a-zA-Z0-9]{3})?-\d+|[^/]*@[^/]*)(?=/|$)"
)
_WORD = re.compile(r"[A-Za-z_]+\Z")


class SandboxClock:
    """The machine's time, moved on as tests please."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time() + self._ahead  # noqa: TID251 - the sandbox is its own world

    def now(self) -> datetime:
        """The instant in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move time on; stamps, limits, token lives and index lag follow."""
        self._ahead += seconds

    def reset(self) -> None:
        """Back to the machine's time."""
        self._ahead = 0.0


@dataclass(slots=True)
class Fault:
    """What some of the next requests meet. ``times`` None is for ever; ``after`` applies it first."""

    route: str = ""
    status: int | None = None
    latency_ms: float = 0.0
    times: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


def answer(
    body: Any, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A JSON answer; None is an empty body."""
    content = b"" if body is None else orjson.dumps(body)
    kind = None if body is None else "application/json;charset=utf-8"
    return Response(content, status, headers, kind)


class Sandbox:
    """Base of every vendor sandbox.

    Args:
        records: how many contacts to be born with, none of them archived.
        companies: how many companies; a seventh of ``records`` unless said.
        seed: the same seed gives the same people.
        prepared: whether the record-key fields are there.
        messy: as real accounts are: twins, blanks, people with one name.
        url: where it is served.
        clock: its time; the machine's unless said.
    """

    name: ClassVar[str]
    access_token: str = ""

    def __init__(
        self,
        *,
        records: int = 0,
        companies: int | None = None,
        seed: int = 0,
        prepared: bool = True,
        messy: bool = False,
        url: str = "http://127.0.0.1",
        clock: SandboxClock | None = None,
    ) -> None:
        self.records = records
        self.companies = records // 7 if companies is None else companies
        self.seed = seed
        self.prepared = prepared
        self.messy = messy
        self.url = url
        self.clock = clock or SandboxClock()
        self.calls: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._router = Router([*self._admin(), *self.routes()], default=self.missing)
        self.seed_data()

    def routes(self) -> Sequence[Route]:
        """The vendor's own routes."""
        raise NotImplementedError

    def seed_data(self) -> None:
        """Put the state as it is at birth; called again by reset."""
        raise NotImplementedError

    def connection(self) -> dict[str, Any]:
        """The keys to put under a connection in hub.yaml, secrets as ``env:`` references."""
        raise NotImplementedError

    def env(self) -> dict[str, str]:
        """The variables those references name."""
        raise NotImplementedError

    def live(self, resource: str) -> list[dict[str, Any]]:
        """Live records in the vendor's own shape, every field given.

        Raises:
            KeyError: there is no such resource.
        """
        raise NotImplementedError

    def edit(self, resource: str, body: dict[str, Any]) -> dict[str, Any]:
        """Create (no id) or change a record as a person would, in the vendor's own shape.

        Raises:
            KeyError: there is no such resource or record.
            ValueError: the vendor would refuse it.
        """
        raise NotImplementedError

    async def send_webhooks(
        self,
        url: str,
        *,
        double: bool = False,
        shuffle: bool = False,
        late_s: float = 0.0,
    ) -> list[int]:
        """Tell an address what has happened since the last time; the statuses it answered with."""
        raise NotImplementedError

    @staticmethod
    async def deliver(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send a message as vendors do: over the network, for five seconds at the most; 0 for no answer."""
        try:
            return await post(url, body, headers, seconds=5)
        except Unavailable:
            return 0

    def normal(self, resource: str, name: str, value: Any) -> Any:
        """What the vendor makes of a value that is written to a field, where that is not the same."""
        return value

    def tick(self) -> None:
        """What happens by itself as time goes on; called before every call."""

    def save(self) -> dict[str, Any]:
        """Its state as it is now, for ``restore``; the clock's is not part of it."""
        return self._copied(
            {k: v for k, v in vars(self).items() if k not in {"clock", "_router"}}
        )

    def restore(self, saved: dict[str, Any]) -> None:
        """Be as one was when that was saved."""
        vars(self).update(self._copied(saved))

    def _copied(self, state: dict[str, Any]) -> dict[str, Any]:
        mine = (self, self.clock, self._router)
        return deepcopy(state, {id(x): x for x in mine})

    def alter(self, resource: str, field: str, change: dict[str, Any]) -> None:
        """Change a field's definition as an administrator would.

        Args:
            resource: the vendor's own word.
            field: its name.
            change: what shall be otherwise: ``gone``, ``type``, ``read_only``, ``required``, ``options``.

        Raises:
            KeyError: there is no such resource or field.
        """
        raise NotImplementedError

    async def missing(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer to a path the vendor does not have."""
        await answer({"message": "not found"}, 404)(scope, receive, send)

    @property
    def app(self) -> Sandbox:
        """The ASGI app."""
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request: count it, let it meet its fault, answer with the sandbox's own Date."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        dated = self._dated(send)
        if path.startswith(_ADMIN):
            await self._router(scope, receive, dated)
            return
        route = f"{scope['method']} {_ID.sub(_template, path)}"
        self.calls[route] += 1
        fault = self._met(f"{scope['method']} {path}")
        if fault is None:
            await self._router(scope, receive, dated)
            return
        await self._faulty(fault, scope, receive, dated)

    async def _faulty(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if fault.latency_ms:
            await asyncio.sleep(fault.latency_ms / 1000)
        if fault.status is None:
            await self._router(scope, receive, send)
            return
        if fault.after:
            await self._router(scope, receive, _unheard)
        body = fault.body if fault.body is not None else {"message": "injected fault"}
        headers = {k.lower(): v for k, v in fault.headers.items()}
        if isinstance(body, str):
            await Response(body, fault.status, headers)(scope, receive, send)
        else:
            await answer(body, fault.status, headers)(scope, receive, send)

    def _met(self, call: str) -> Fault | None:
        for fault in self.faults:
            if fault.route in call and (fault.times is None or fault.times > 0):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _dated(self, send: Send) -> Send:
        async def dated(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(self.clock.now(), usegmt=True).encode()
                headers = [*message.get("headers", []), (b"date", date)]
                # Vendors write Content-Type, and there are clients that look for just that.
                message["headers"] = [(k.title(), v) for k, v in headers]
            await send(message)

        return dated

    def _admin(self) -> list[Route]:
        return [
            Route(f"{_ADMIN}calls", self._calls, methods=["GET"]),
            Route(
                f"{_ADMIN}records/{{resource}}", self._records, methods=["GET", "POST"]
            ),
            Route(
                f"{_ADMIN}fields/{{resource}}/{{field}}", self._field, methods=["POST"]
            ),
            Route(f"{_ADMIN}faults", self._faults, methods=["POST"]),
            Route(f"{_ADMIN}webhooks", self._webhooks, methods=["POST"]),
            Route(f"{_ADMIN}clock", self._clock, methods=["POST"]),
            Route(f"{_ADMIN}reset", self._reset, methods=["POST"]),
        ]

    async def _calls(self, _: Request) -> Response:
        return answer({"total": sum(self.calls.values()), "by_route": dict(self.calls)})

    async def _records(self, request: Request) -> Response:
        resource = request.path_params["resource"]
        try:
            if request.method == "GET":
                return answer(self.live(resource))
            body = orjson.loads(await request.body())
            if isinstance(body, list):
                return answer([self.edit(resource, b) for b in body])
            return answer(self.edit(resource, body))
        except KeyError as e:
            return answer(
                {"error": f"there is no {e.args[0] if e.args else resource}"}, 404
            )
        except ValueError as e:
            return answer({"error": str(e)}, 400)

    async def _field(self, request: Request) -> Response:
        at = request.path_params
        try:
            change = orjson.loads(await request.body())
            self.alter(at["resource"], at["field"], change)
        except KeyError as e:
            return answer({"error": f"there is no {e.args[0]}"}, 404)
        return answer(change)

    async def _faults(self, request: Request) -> Response:
        body = orjson.loads(await request.body() or b"{}")
        known = {k: v for k, v in body.items() if k in Fault.__slots__}
        fault = Fault(
            **{k: v for k, v in known.items() if v is not None or k == "times"}
        )
        if fault.status is None and not fault.latency_ms:
            self.faults.clear()
        else:
            self.faults.append(fault)
        return answer({"faults": len(self.faults)})

    async def _webhooks(self, request: Request) -> Response:
        body = orjson.loads(await request.body())
        return answer({"statuses": await self.send_webhooks(**body)})

    async def _clock(self, request: Request) -> Response:
        body = orjson.loads(await request.body() or b"{}")
        self.clock.advance(float(body.get("advance_s", 0)))
        return answer({"now": self.clock.now().isoformat()})

    async def _reset(self, _: Request) -> Response:
        self.calls.clear()
        self.faults.clear()
        self.clock.reset()
        self.seed_data()
        return answer({"reset": True})


async def _unheard(message: MutableMapping[str, Any]) -> None:
    """The answer to a request that was applied and never heard of."""


def _template(match: re.Match[str]) -> str:
    """Ids become ``{id}``; words of fifteen letters (``relationships``) are no ids."""
    return match.group(0) if _WORD.match(match.group(0)) else "{id}"


class Windows:
    """A vendor's rolling windows, on the sandbox's clock."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._logs: dict[str, list[float]] = {}

    def admit(self, name: str, amount: int, per: float) -> int:
        """Take a request in; how many more would be let in now, -1 when this one is not."""
        now = self._clock.time()
        log = [t for t in self._logs.get(name, []) if t > now - per]
        self._logs[name] = log
        if len(log) >= amount:
            return -1
        log.append(now)
        return amount - len(log)

    def clear(self) -> None:
        """Forget all requests."""
        self._logs.clear()


def iso(moment: datetime) -> str:
    """An instant with milliseconds and ``Z``, as most vendors write it."""
    return (
        moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        + f"{moment.microsecond // 1000:03}Z"
    )


def moment(text: str) -> datetime:
    """An instant from ISO text or epoch milliseconds.

    Raises:
        ValueError: it is neither.
    """
    if text.lstrip("-").isdigit():
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=int(text))
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
