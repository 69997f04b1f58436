"""HTTP for connectors: the only file that knows httpx.

Inside: credentials, limits, retries by fault, deadlines, a cap on decoded bytes, an origin guard, and
a ledger of every request that left.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache, partial
from random import Random, SystemRandom
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.stop import stop_after_attempt, stop_base

from connector_hub.adapters import grants
from connector_hub.adapters.breaker import Breaker
from connector_hub.adapters.grants import Agreed, Consent, Grant
from connector_hub.adapters.limiter import PATIENCE, WindowLimiter
from connector_hub.adapters.quota import when
from connector_hub.adapters.redacting import Redaction, hush, quotes
from connector_hub.adapters.tokens import Spent, TokenKeeper
from connector_hub.errors import (
    AuthError,
    ConfigError,
    Exists,
    HubError,
    InDoubt,
    MarkLost,
    Missing,
    QuotaSpent,
    RateLimited,
    Rejected,
    Stale,
    Unavailable,
    VendorError,
    is_code,
)
from connector_hub.ports import Answer, Clock, Secrets, Token, http_date
from connector_hub.sdk.auth import (
    REDIRECT_URI,
    ApiKey,
    Basic,
    Bearer,
    ClientCredentials,
    JwtBearer,
    OAuth2,
    chosen,
)
from connector_hub.sdk.connector import Connector, Fault, Kind

hush()

CAP = 32 * 1024 * 1024
ATTEMPTS = 5
ATTEMPT_SECONDS = 60.0
CALL_SECONDS = 180.0
_BACKOFF_CAP = 30.0
_LONGEST_WAIT = 3600.0
_TOKEN_EARLY = 120.0
_CHALLENGE, _INVALID = "www-authenticate", 'error="invalid_token"'
"""RFC 6750, 3.1."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REPEATABLE = {"GET", "HEAD"}
_REDIRECT = range(300, 400)
_HASTE = 429
_PACKED = zlib.MAX_WBITS | 32
"""Gzip or zlib, as its head says."""
_JSON = {"Content-Type": "application/json"}
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

_STATUSES: Mapping[int, Kind] = {
    401: Kind.AUTH,
    403: Kind.DENIED,
    404: Kind.MISSING,
    409: Kind.EXISTS,
    410: Kind.MISSING,
    412: Kind.STALE,
    423: Kind.THROTTLED,
    429: Kind.THROTTLED,
    500: Kind.AMBIGUOUS,
    502: Kind.AMBIGUOUS,
    503: Kind.UNAVAILABLE,
    504: Kind.AMBIGUOUS,
    400: Kind.RECORD,
    422: Kind.RECORD,
}


class Ledger:
    """Every request that left, per bucket; optionally a ceiling shared with others.

    Args:
        ceiling: the most requests that may leave, None for any number.
        parent: a ledger that counts for several connections.
        permit: asked before each request, and raises where it must not leave.

    ``promised`` is the most per bucket that a plan said it would take.
    """

    def __init__(
        self,
        ceiling: int | None = None,
        parent: Ledger | None = None,
        permit: Callable[[], None] | None = None,
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.promised: Mapping[str, int] = {}
        self._ceiling = ceiling
        self._parent = parent
        self._permit = permit

    def ask(self, bucket: str) -> None:
        """Whether one more request may leave.

        Raises:
            QuotaSpent: it must not.
        """
        if self._permit:
            self._permit()
        if self._parent:
            self._parent.ask(bucket)
        if self._ceiling is not None and sum(self.calls.values()) >= self._ceiling:
            raise QuotaSpent(
                "the ceiling of calls is reached (--max-calls)",
                hint="run again with a higher one: the run goes on where it stopped",
            )
        if self.calls[bucket] >= self.promised.get(bucket, sys.maxsize):
            raise QuotaSpent(
                f"the plan promised at most {self.promised[bucket]:,} calls ({bucket})",
                hint="sync goes on where this stopped; or plan again",
            )

    def enter(self, bucket: str) -> None:
        """Count a request that leaves."""
        if self._parent:
            self._parent.enter(bucket)
        self.calls[bucket] += 1


class _Sorted(Exception):
    """An attempt failed; ``again`` says whether another may be made, ``wait`` when at the earliest.

    ``free``: the vendor itself asked for another one, later; it does not count as one too many.
    """

    def __init__(
        self,
        error: HubError,
        *,
        again: bool,
        wait: float | None = None,
        free: bool = False,
    ) -> None:
        super().__init__()
        self.error = error
        self.again = again
        self.wait = wait
        self.free = free


class _Deadline:
    """When a call is given up, in the clock's monotonic seconds.

    Waiting for room in the vendor's windows is nobody's failure: its time runs from when it is first let in.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._end: float | None = None
        self.asked = clock.monotonic() + seconds
        """The same from when it was asked for: the vendor itself makes us wait no longer than that."""

    def begin(self) -> None:
        """The call is let in."""
        if self._end is None:
            self._end = self._clock.monotonic() + self._seconds

    def left(self) -> float:
        """Seconds that are left."""
        if self._end is None:
            return self._seconds
        return self._end - self._clock.monotonic()


class _OutOfTime(stop_base):
    """Stops a call whose next attempt would begin after its deadline."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def __call__(self, retry_state: RetryCallState) -> bool:
        return retry_state.upcoming_sleep >= self._deadline.left()


class _Garbage(Exception):
    """The bytes of an answer are no use."""

    def __init__(self, what: str, *, again: bool = True) -> None:
        super().__init__()
        self.what = what
        self.again = again


class _Leaving:
    """Counts a request once, when it leaves: one that is cancelled in the queue never did."""

    def __init__(self, ledger: Ledger, bucket: str) -> None:
        self._ledger: Ledger | None = ledger
        self._bucket = bucket

    async def trace(self, event: str, _info: Any) -> None:
        """What httpcore tells while it works."""
        if event.endswith("send_request_headers.started"):
            self.left()

    def left(self) -> None:
        """The request has left; a transport that traces nothing tells by its answer."""
        if self._ledger is not None:
            self._ledger.enter(self._bucket)
            self._ledger = None


class HttpClient:
    """One connection's HTTP, for one account.

    Args:
        kind: the connector's class: its auth, base URL and origins.
        config: an instance of its Config; secrets in it are references.
        connection: the connection's name, for messages.
        secrets: where references lead.
        clock: for waits and windows.
        ledger: counts requests; may be replaced between runs.
        breaker: what the connection's calls have met; shared by all its clients.
        keeper: keeps the connection's token, where its auth is ``OAuth2``.
        transport: in place of the network, for tests.
        cap: the most decoded bytes an answer may have.
        chance: the jitter of retries.
        attempt_seconds: how long one request may take, from the first byte sent to the last one read.
        call_seconds: how long all attempts and the waiting between them may take.
    """

    def __init__(
        self,
        kind: type[Connector],
        config: Any,
        *,
        connection: str,
        secrets: Secrets,
        clock: Clock,
        ledger: Ledger,
        breaker: Breaker | None = None,
        keeper: TokenKeeper | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        cap: int = CAP,
        chance: Random | None = None,
        attempt_seconds: float = ATTEMPT_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self.ledger = ledger
        self._kind = kind
        self._config = config
        self._where = connection
        self._secrets = secrets
        self._clock = clock
        self._breaker = breaker or Breaker(connection, clock)
        self._cap = cap
        self._chance = chance or SystemRandom()
        self._attempt_seconds = attempt_seconds
        self._call_seconds = call_seconds
        self._base = self._checked_base(
            getattr(config, "base_url", None) or kind.base_url
        )
        self._home = self._base
        """Where tokens are asked for, wherever they are used."""
        self._connector: Connector | None = None
        self._limiter = WindowLimiter((), clock)
        self._auth = chosen(kind.auth, config)
        self._header: dict[str, str] | None = None
        self._redaction = Redaction()
        self._dies = float("inf")
        self._minting = asyncio.Lock()
        self._keeper = keeper
        self._first: str | None = None
        self._client = httpx.AsyncClient(  # noqa: TID251
            transport=transport,
            verify=_tls(),
            trust_env=False,
            timeout=httpx.Timeout(30.0, connect=5.0),
            headers={"Accept-Encoding": "gzip", "User-Agent": "connector-hub"},
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=16),
        )

    def __repr__(self) -> str:
        return f"<HttpClient {self._where}>"

    def attach(self, connector: Connector) -> None:
        """Take the connector's limits and let it sort answers."""
        self._connector = connector
        self._limiter = WindowLimiter(connector.limits(), self._clock)

    @property
    def connection(self) -> str:
        """The connection's name, for messages."""
        return self._where

    def refuse_while_down(self) -> None:
        """Stop what would only wait for a vendor that fails.

        Raises:
            CircuitOpen: says until when nothing is sent.
        """
        self._breaker.refuse()

    def left(self) -> dict[str, float]:
        """What the vendor said is left, per bucket."""
        return self._limiter.left()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(self, path: str, **options: Any) -> Any:
        """GET, decoded JSON."""
        return await self._json("GET", path, options)

    async def post(self, path: str, **options: Any) -> Any:
        """POST, decoded JSON."""
        return await self._json("POST", path, options)

    async def patch(self, path: str, **options: Any) -> Any:
        """PATCH, decoded JSON."""
        return await self._json("PATCH", path, options)

    async def _json(self, method: str, path: str, options: dict[str, Any]) -> Any:
        answer = await self.send(method, path, want_json=True, **options)
        return answer.json()

    async def send(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        body: bytes | None = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str | None = None,
        cost: int = 1,
        repeatable: bool | None = None,
        ok: tuple[int, ...] = (),
        want_json: bool = False,
    ) -> Answer:
        """Send a request until its fate is known. See ``ports.Http.send``."""
        again = method in _REPEATABLE if repeatable is None else repeatable
        url = self._url(path)
        content = orjson.dumps(json) if json is not None else body
        extra = {**(_JSON if json is not None else {}), **(headers or {})}
        name = bucket or "calls"

        deadline = _Deadline(self._clock, self._call_seconds)

        async def attempt() -> Answer:
            return await self._attempt(
                method,
                url,
                content,
                params,
                extra,
                name,
                cost,
                again,
                ok,
                want_json,
                deadline,
            )

        return await self._retrying(attempt, deadline)

    async def _retrying(
        self, attempt: Any, deadline: _Deadline | None = None
    ) -> Answer:
        """One ``AsyncRetrying`` per call, by fault; never before the vendor's own time.

        Raises:
            CircuitOpen: the vendor fails; nothing is sent, and nobody waits.
        """
        self._breaker.refuse()
        self._breaker.begin()
        end = deadline or _Deadline(self._clock, self._call_seconds)
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS) | _OutOfTime(end),
            retry=retry_if_exception(self._may_retry),
            wait=self._wait,
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            answer: Answer = await retrying(attempt)
        except _Sorted as e:
            raise e.error from None
        except RateLimited as e:
            e.where = e.where or self._where
            raise
        return answer

    def _may_retry(self, e: BaseException) -> bool:
        """Whether another attempt may be made, within the budget of retries."""
        if not isinstance(e, _Sorted) or not e.again:
            return False
        if (e.wait or 0.0) > PATIENCE:
            return False
        return e.free or self._breaker.may_repeat()

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter, but never before the time the vendor named."""
        e = state.outcome.exception() if state.outcome else None
        named = e.wait if isinstance(e, _Sorted) else None
        most = min(_BACKOFF_CAP, 0.5 * 2**state.attempt_number)
        jitter = self._chance.uniform(0, most)
        return jitter if named is None else named + jitter / 10

    async def _attempt(  # noqa: PLR0917
        self,
        method: str,
        url: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        bucket: str,
        cost: int,
        again: bool,  # noqa: FBT001
        ok: tuple[int, ...],
        want_json: bool,  # noqa: FBT001
        deadline: _Deadline,
    ) -> Answer:
        """One attempt, with one more after a token was refused: a refused token applies nothing."""
        refused: dict[str, str] | None = None
        for fresh in (False, True):
            credentials = await self._credentials(refused)
            signed = {**headers, **credentials}
            async with self._limiter.slot(bucket, cost, until=deadline.asked):
                deadline.begin()
                answer = self._redacted(
                    await self._exchange(
                        method,
                        url,
                        content,
                        params,
                        signed,
                        bucket,
                        again,
                        want_json=want_json,
                        seconds=deadline.left(),
                    )
                )
            connector = self._connector
            if connector is not None:
                self._limiter.heed(connector.heed(answer))
            if answer.status < 300 or answer.status in ok:  # noqa: PLR2004
                return answer
            fault = self._fault(answer)
            if not fresh and self._renewable(fault):
                refused = credentials
                continue
            self._raise(fault, answer, bucket, again)
        raise AssertionError  # pragma: no cover - the loop returns or raises

    async def _exchange(  # noqa: PLR0917
        self,
        method: str,
        url: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        bucket: str,
        again: bool,  # noqa: FBT001
        *,
        want_json: bool = False,
        seconds: float = CALL_SECONDS,
    ) -> Answer:
        """Bytes out, bytes in; what goes wrong on the wire is sorted by whether it was sent."""
        request = self._request(method, url, content, params, headers)
        most = min(self._attempt_seconds, seconds)
        self.ledger.ask(bucket)
        with self._breaker.call() as seen:
            if most <= 0:
                raise self._no_time()
            try:
                answer = await self._sent(request, bucket, again, most)
                if _is_page(answer) and answer.status < 300:  # noqa: PLR2004
                    raise self._doubt("a page of HTML instead of an answer", again)
                if want_json and answer.status < 300:  # noqa: PLR2004
                    self._check_json(answer, again)
            except _Sorted:
                seen.good = False
                raise
            if answer.status != _HASTE:
                seen.good = answer.status < 500  # noqa: PLR2004
            return answer

    def _request(
        self,
        method: str,
        url: str,
        content: bytes | None,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
    ) -> httpx.Request:
        try:
            return self._client.build_request(
                method, url, content=content, params=params, headers=headers
            )
        except httpx.InvalidURL:
            raise self._no_url() from None

    def _no_time(self) -> _Sorted:
        error = Unavailable(
            f"no answer came in {self._call_seconds:,.0f} s",
            where=self._where,
            hint="run again later",
        )
        return _Sorted(error, again=False)

    async def _sent(
        self,
        request: httpx.Request,
        bucket: str,
        again: bool,  # noqa: FBT001
        seconds: float,
    ) -> Answer:
        leaving = _Leaving(self.ledger, bucket)
        request.extensions = {**request.extensions, "trace": leaving.trace}
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(request, stream=True)
                leaving.left()
                try:
                    return Answer(
                        response.status_code,
                        dict(response.headers),
                        await self._body(response),
                        repeatable=again,
                    )
                finally:
                    await response.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
            host = request.url.netloc.decode()
            error = Unavailable(
                f"{host} cannot be reached ({type(e).__name__})",
                where=self._where,
                hint="check the address and the network, then run again",
            )
            raise _Sorted(error, again=True) from None
        except _Garbage as e:
            if not again:
                raise self._doubt(e.what, again) from None
            raise _Sorted(
                Unavailable(e.what, where=self._where), again=e.again
            ) from None
        except (httpx.TransportError, TimeoutError) as e:
            if isinstance(e, httpx.TransportError):
                leaving.left()
            raise self._doubt(type(e).__name__, again) from None

    def _doubt(
        self,
        what: str,
        again: bool,  # noqa: FBT001
        wait: float | None = None,
    ) -> _Sorted:
        """It was sent and no answer came: reads are repeated, writes are looked up by the hub."""
        if again:
            error: HubError = Unavailable(
                f"the vendor did not answer ({what})",
                where=self._where,
                hint="run again later",
            )
        else:
            error = InDoubt(
                f"a write was sent and not answered ({what})", where=self._where
            )
        return _Sorted(error, again=again, wait=wait)

    async def _body(self, response: httpx.Response) -> bytes:
        """The decoded body, at most ``cap`` bytes: httpx alone would unpack a bomb whole."""
        packed = response.headers.get("content-encoding", "").strip().lower()
        if packed in {"", "identity"}:
            return await self._plain(response)
        if packed not in {"gzip", "x-gzip", "deflate"}:
            raise _Garbage(
                f"the answer has an encoding nobody asked for ({packed[:20]})"
            )
        unpack = zlib.decompressobj(_PACKED)
        out = bytearray()
        try:
            async for chunk in response.aiter_raw():
                rest = chunk
                while rest:
                    if unpack.eof:  # another member follows (RFC 1952, 2.2)
                        unpack = zlib.decompressobj(_PACKED)
                    out += unpack.decompress(rest, self._cap + 1 - len(out))
                    if len(out) > self._cap:
                        raise self._too_large()
                    rest = unpack.unused_data
        except zlib.error:
            raise _Garbage("the answer cannot be unpacked") from None
        if not unpack.eof:
            raise _Garbage("the answer was cut off")
        return bytes(out)

    async def _plain(self, response: httpx.Response) -> bytes:
        told = response.headers.get("content-length", "")
        if told.isdigit() and int(told[:20]) > self._cap:
            raise self._too_large()
        parts: list[bytes] = []
        size = 0
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > self._cap:
                raise self._too_large()
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> _Garbage:
        return _Garbage(f"the answer is larger than {self._cap >> 20} MiB", again=False)

    def _check_json(self, answer: Answer, again: bool) -> None:  # noqa: FBT001
        """A 2xx without JSON is no answer: a proxy's page, half a body."""
        try:
            answer.json()
        except VendorError as e:
            raise self._doubt(e.message, again) from None

    def _redacted(self, answer: Answer) -> Answer:
        """An answer as a plugin sees it: without the credentials that the vendor may repeat in it."""
        headers = self._redaction.headers(answer.headers)
        body = self._redaction.body(answer.body, answer.status)
        if body == answer.body and headers == answer.headers:
            return answer  # decoded already, where JSON was wanted
        return Answer(answer.status, headers, body, answer.repeatable)

    def _fault(self, answer: Answer) -> Fault:
        fault = self._connector.fault(answer) if self._connector else None
        if fault is not None:
            return fault
        if _INVALID in answer.headers.get(_CHALLENGE, ""):
            return Fault(Kind.EXPIRED, "the access token is not valid (any more)")
        if answer.status in _REDIRECT:
            return Fault(Kind.CONFIG, "the vendor redirects; the base URL may be wrong")
        kind = _STATUSES.get(answer.status)
        if kind is Kind.UNAVAILABLE and "retry-after" in answer.headers:
            kind = Kind.THROTTLED
        if kind is None:
            kind = Kind.AMBIGUOUS if answer.status >= 500 else Kind.CONFIG  # noqa: PLR2004
        return Fault(kind, f"status {answer.status}")

    def _raise(
        self,
        fault: Fault,
        answer: Answer,
        bucket: str,
        again: bool,  # noqa: FBT001
    ) -> NoReturn:
        wait = fault.wait
        if wait is None:
            wait = retry_after(answer, self._clock.now())
        text = self._own_words(fault, answer)
        try:
            self._raise_sorted(fault, answer, bucket, again, text, wait)
        except _Sorted as e:
            e.error.said = fault.message if text != fault.message else ""
            raise

    def _own_words(self, fault: Fault, answer: Answer) -> str:
        """What is told of a fault anywhere: never the vendor's sentences, which may quote a record.

        A refused record keeps them as its ``message``: that is sealed, and shown on request only.
        """
        code = f" ({fault.code})" if is_code(fault.code) else ""
        plain = f"status {answer.status}{code}"
        if not fault.message:
            return plain
        if fault.kind in {Kind.RECORD, Kind.EXISTS}:
            return fault.message
        try:
            body = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            body = answer.body.decode("utf-8", "replace")
        return plain if quotes(fault.message, body) else fault.message

    def _raise_sorted(  # noqa: PLR0917 - what an answer comes to
        self,
        fault: Fault,
        answer: Answer,
        bucket: str,
        again: bool,  # noqa: FBT001
        text: str,
        wait: float | None,
    ) -> NoReturn:
        match fault.kind:
            case Kind.THROTTLED:
                self._limiter.throttled(bucket, wait)
                raise _Sorted(
                    RateLimited(
                        text, wait=wait, where=self._where, hint=self._later(wait)
                    ),
                    again=True,
                    wait=wait,
                    free=answer.status < 500,  # noqa: PLR2004
                )
            case Kind.UNAVAILABLE:
                self._limiter.hold(bucket, wait)
                raise _Sorted(
                    Unavailable(text, where=self._where, hint="run again later"),
                    again=True,
                    wait=wait,
                )
            case Kind.AMBIGUOUS:
                self._limiter.hold(bucket, wait)
                raise self._doubt(f"status {answer.status}", again, wait)
            case Kind.QUOTA:
                rest = self._limiter.spent(bucket)
                wait = rest if wait is None else wait
                self._limiter.hold(bucket, wait)
        raise _Sorted(self._final(fault, text, wait), again=False)

    def _final(  # noqa: PLR0911
        self, fault: Fault, text: str, wait: float | None
    ) -> HubError:
        """The error of a fault that another attempt would not change."""
        at = self._where
        match fault.kind:
            case Kind.QUOTA:
                return QuotaSpent(
                    text,
                    wait=wait,
                    where=at,
                    hint=self._later(wait),
                )
            case Kind.AUTH | Kind.EXPIRED:
                return AuthError(
                    text,
                    where=at,
                    hint=f"give new credentials: connector-hub connect {at}",
                )
            case Kind.DENIED:
                return AuthError(
                    text, where=at, hint="grant what is missing at the vendor"
                )
            case Kind.STALE:
                return Stale(text, where=at)
            case Kind.EXISTS:
                return Exists(text, there=fault.there, where=at)
            case Kind.MISSING:
                return Missing(text, where=at)
            case Kind.MARK_LOST:
                return MarkLost(text, where=at)
            case Kind.RECORD:
                return Rejected(
                    text, reason=fault.code or "REJECTED", fields=fault.fields, where=at
                )
        return ConfigError(text, where=at)

    def _later(self, wait: float | None) -> str:
        """When another try is worth it."""
        if wait is None:
            return "run again later"
        return f"run again {when(self._clock.now(), wait)}"

    def _checked_base(self, url: str) -> str:
        parts = urlsplit(url)
        if not parts.hostname:
            raise ConfigError(
                f"base_url {url!r} is not a URL",
                where=self._where,
                hint="write https://host",
            )
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise ConfigError(
                f"{parts.hostname} would be spoken to without encryption",
                where=self._where,
                hint="write https://; plain http is for 127.0.0.1 only",
            )
        return url.rstrip("/")

    def _url(self, path: str) -> str:
        """The full URL. One that the vendor gave must lead to the vendor: credentials go with it.

        Raises:
            Unavailable: it leads elsewhere.
        """
        if path.startswith("/"):
            return self._base + path
        try:
            parts, base = urlsplit(path), urlsplit(self._base)
            same = _origin(parts) == _origin(base)
        except ValueError:
            raise self._no_url() from None
        if same or self._friendly(parts.scheme, parts.hostname or ""):
            return path
        raise Unavailable(
            f"the vendor points to {parts.hostname}, which is not its own host; nothing was sent there",
            where=self._where,
        )

    def _no_url(self) -> Unavailable:
        return Unavailable("the vendor points to what is no URL", where=self._where)

    def _friendly(self, scheme: str, host: str) -> bool:
        return scheme == "https" and any(
            host == o.lstrip(".") or host.endswith("." + o.lstrip("."))
            for o in self._kind.origins
        )

    def _renewable(self, fault: Fault) -> bool:
        """Whether another token is what is missing: a 401 alone may mean anything."""
        if isinstance(self._auth, OAuth2):
            return fault.kind is Kind.EXPIRED
        return isinstance(self._auth, ClientCredentials | JwtBearer) and fault.kind in {
            Kind.AUTH,
            Kind.EXPIRED,
        }

    async def _credentials(self, refused: dict[str, str] | None) -> dict[str, str]:
        """The headers that sign a request; a token that is known to be dead is minted anew, once."""
        if isinstance(self._auth, ClientCredentials | JwtBearer):
            return await self._minted(self._auth, refused)
        if isinstance(self._auth, OAuth2):
            return await self._kept(self._auth, refused)
        if self._header is None:
            self._header = self._static()
            self._redaction.learn(self._header.values())
        return self._header

    def _static(self) -> dict[str, str]:
        a = self._auth
        match a:
            case Bearer():
                return {"Authorization": f"{a.scheme} {self._secret(a.secret)}"}
            case ApiKey():
                return {a.header: self._secret(a.secret)}
            case Basic():
                pair = f"{getattr(self._config, a.user)}:{self._secret(a.password)}"
                return {
                    "Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"
                }
        return {}

    def _secret(self, name: str, *, header: bool = True) -> str:
        held = getattr(self._config, name, None)
        if held is None:
            raise ConfigError(
                f"{name} is missing",
                where=self._where,
                hint=f"add {name}: keyring:NAME",
            )
        try:
            secret = self._secrets.read(held.get_secret_value())
        except ConfigError as e:
            raise ConfigError(
                e.message, where=f"{self._where}, {name}", hint=e.hint
            ) from None
        self._redaction.learn([secret])
        if header and not _is_header(secret):
            raise ConfigError(
                f"{name} has characters that no header can carry",
                where=self._where,
                hint="look at where it is kept: a line break, an umlaut, another file",
            )
        return secret

    async def _minted(
        self, auth: ClientCredentials | JwtBearer, refused: dict[str, str] | None
    ) -> dict[str, str]:
        """A token that lives; another than the refused one, which somebody may have replaced already."""
        async with self._minting:
            dying = self._clock.monotonic() >= self._dies
            if self._header is None or dying or self._header is refused:
                self._header = await self._mint(auth)
            return self._header

    async def _mint(self, auth: ClientCredentials | JwtBearer) -> dict[str, str]:
        """A new access token (RFC 6749, 4.4; RFC 7523, 2.1); asking twice does no harm."""
        form = (
            self._assertion(auth)
            if isinstance(auth, JwtBearer)
            else {
                "grant_type": "client_credentials",
                **self._app(auth.client_id, auth.client_secret),
                **auth.extra,
            }
        )
        answer = await self._token(self._endpoint(auth.token_path), form, again=True)
        grant = grants.granted(answer, origin=auth.origin)
        if grant is None:
            raise AuthError(
                "the vendor's token answer has no token",
                where=self._where,
                hint="look at the token path: another service may answer there",
            )
        self._redaction.learn([grant.access])
        self._dies = self._clock.monotonic() + _life(grant.seconds)
        if grant.base:
            self._base = self._checked_base(self._url(grant.base))
        return {"Authorization": f"Bearer {grant.access}"}

    def _assertion(self, auth: JwtBearer) -> dict[str, str]:
        """A fresh one: it is good for one question and three minutes."""
        key = self._secret(auth.private_key, header=False)
        try:
            made = grants.assertion(
                key,
                issuer=str(getattr(self._config, auth.client_id)),
                subject=str(getattr(self._config, auth.user)),
                audience=str(getattr(self._config, auth.audience)),
                now=self._clock.now(),
            )
        except ValueError:
            raise ConfigError(
                f"{auth.private_key} is no RSA key that can sign",
                where=self._where,
                hint="make one: openssl genrsa 2048",
            ) from None
        self._redaction.learn([made])
        return {"grant_type": grants.ASSERTION, "assertion": made}

    def _app(self, client: str, secret: str) -> dict[str, str]:
        """An app's id, and its secret where it has one."""
        form = {"client_id": str(getattr(self._config, client))}
        if getattr(self._config, secret, None) is not None:
            form["client_secret"] = self._secret(secret)
        return form

    def _endpoint(self, url: str, server: str = "") -> str:
        """The full URL of an endpoint for tokens; at the server that the vendor named, if it did.

        Raises:
            Unavailable: that server is not the vendor's.
        """
        filled = url.format_map(_Fields(self._config))
        whole = self._home + filled if filled.startswith("/") else filled
        checked = self._checked_base(whole)
        if not server:
            return checked
        own, named = urlsplit(checked), urlsplit(server)
        if _origin(own) != _origin(named) and not self._friendly(
            named.scheme, named.hostname or ""
        ):
            raise Unavailable(
                f"the vendor points to {named.hostname}, which is not its own host; nothing was sent there",
                where=self._where,
            )
        return own._replace(scheme=named.scheme, netloc=named.netloc).geturl()

    async def _token(
        self,
        url: str,
        form: Mapping[str, str],
        *,
        again: bool,
        spent: Collection[str] = (),
        empty: bool = False,
    ) -> Answer:
        """The answer of a token endpoint; ``again`` says that asking twice does no harm.

        ``empty``: it need say nothing.

        Raises:
            Spent: it says one of the words that mean so.
        """
        content = str(httpx.QueryParams(form)).encode()
        deadline = _Deadline(self._clock, self._call_seconds)

        async def attempt() -> Answer:
            async with self._limiter.slot("token", until=deadline.asked):
                deadline.begin()
                answer = await self._exchange(
                    "POST",
                    url,
                    content,
                    None,
                    _FORM,
                    "token",
                    again,
                    want_json=again and not empty,
                    seconds=deadline.left(),
                )
            if grants.error(answer) in spent:
                raise Spent
            if grants.refused(answer):
                answer = self._redacted(answer)
                fault = self._fault(answer)
                if fault.kind in {Kind.RECORD, Kind.CONFIG, Kind.MISSING}:
                    said = grants.error(answer)
                    fault = Fault(
                        Kind.AUTH,
                        "the vendor gives no token for these credentials"
                        + (f" ({said})" if said else ""),
                    )
                self._raise(fault, answer, "token", again)
            return answer

        return await self._retrying(attempt, deadline)

    async def _kept(
        self, auth: OAuth2, refused: dict[str, str] | None
    ) -> dict[str, str]:
        """The header of the connection's rotating token; where it was issued is where it is used."""
        sent = (refused or {}).get("Authorization", "")
        token = await self._keeping().live(
            self._first_refresh(auth),
            partial(self._refresh, auth),
            sent.removeprefix(f"{auth.scheme} "),
        )
        self._redaction.learn([token.access])
        if token.base:
            self._base = self._checked_base(self._url(token.base))
        return {"Authorization": f"{auth.scheme} {token.access}"}

    def _keeping(self) -> TokenKeeper:
        assert self._keeper is not None  # noqa: S101 - whoever makes the client knows its auth
        return self._keeper

    def _first_refresh(self, auth: OAuth2) -> str:
        """The refresh token that hub.yaml refers to; empty where a person agrees instead."""
        if self._first is None:
            given = getattr(self._config, auth.refresh_token, None) is not None
            self._first = self._secret(auth.refresh_token) if given else ""
        return self._first

    async def _refresh(self, auth: OAuth2, token: Token) -> Grant:
        """Send a refresh token (RFC 6749, 6); see ``tokens.Ask``."""
        form = {
            "grant_type": "refresh_token",
            "refresh_token": token.refresh,
            **self._app(auth.client_id, auth.client_secret),
        }
        self._redaction.learn([token.refresh])
        return await self._granted(auth, form, token.server)

    async def _granted(
        self, auth: OAuth2, form: Mapping[str, str], server: str
    ) -> Grant:
        """What a token endpoint gives for something that is good for one question."""
        url = self._endpoint(auth.token_url, server)
        answer = await self._token(url, form, again=False, spent=auth.spent)
        try:
            grant = grants.granted(answer, origin=auth.origin)
        except Unavailable:
            raise InDoubt(
                "the vendor's token answer is no JSON", where=self._where
            ) from None
        if grant is None:
            raise AuthError(
                "the vendor's token answer has no token",
                where=self._where,
                hint=f"look at the app's id and secret: connector-hub connect {self._where}",
            )
        self._redaction.learn([grant.access, grant.refresh])
        return replace(grant, server=server)

    @property
    def redirect_uri(self) -> str:
        """Where the connection lets a browser be sent back to.

        Raises:
            ConfigError: the connection needs nobody's consent.
        """
        name = self._agreeable().redirect_uri
        return str(getattr(self._config, name, None) or REDIRECT_URI)

    def held(self) -> Token:
        """The refresh token that is lived on, with what came of it.

        Raises:
            ConfigError: the connection has none.
        """
        return self._keeping().held(self._first_refresh(self._agreeable()))

    def consent(self, redirect_uri: str) -> Consent:
        """What a person has to be asked.

        Raises:
            ConfigError: the connection's way of signing needs nobody's consent.
        """
        auth = self._agreeable()
        return grants.consent(
            auth,
            self._endpoint(auth.authorize_url),
            str(getattr(self._config, auth.client_id)),
            redirect_uri,
            tuple(getattr(self._config, "scopes", ())),
        )

    def _agreeable(self) -> OAuth2:
        if isinstance(self._auth, OAuth2):
            return self._auth
        raise ConfigError(
            f"connection {self._where} has no token that is renewed or given back",
            where=self._where,
            hint="it signs with what hub.yaml refers to",
        )

    async def exchange(self, asked: Consent, redirected: str) -> Grant:
        """Give the code that a browser brought back for tokens (RFC 6749, 4.1.3; RFC 7636, 4.5).

        Raises:
            AuthError: the answer is another question's, the person said no, or the code is no good.
            Unavailable: no answer came.
        """
        auth = self._agreeable()
        agreed = grants.agreed(asked, redirected, server=auth.server, where=self._where)
        self._redaction.learn([agreed.code, asked.verifier])
        try:
            return await self._granted(
                auth, self._coded(auth, asked, agreed), agreed.server
            )
        except Spent:
            raise AuthError(
                "the vendor does not take the code: it was used before, is too old, or is another app's",
                where=self._where,
                hint=f"run connector-hub connect {self._where} again",
            ) from None
        except InDoubt:
            raise Unavailable(
                "the code was sent, and no answer came",
                where=self._where,
                hint=f"run connector-hub connect {self._where} again",
            ) from None

    def _coded(self, auth: OAuth2, asked: Consent, agreed: Agreed) -> dict[str, str]:
        return {
            "grant_type": "authorization_code",
            "code": agreed.code,
            "redirect_uri": asked.redirect_uri,
            "code_verifier": asked.verifier,
            **self._app(auth.client_id, auth.client_secret),
        }

    async def renew(self) -> None:
        """Another access token, though the one there is may live.

        Raises:
            ConfigError: the connection has none that is renewed.
            AuthError, Unavailable: see ``TokenKeeper.live``.
        """
        if isinstance(self._auth, ClientCredentials | JwtBearer):
            await self._minted(self._auth, self._header)
            return
        auth = self._agreeable()
        await self._keeping().renewed(
            self._first_refresh(auth), partial(self._refresh, auth)
        )

    async def revoke(self, token: Token) -> bool:
        """Give a refresh token back (RFC 7009); whether the vendor has a way to.

        Raises:
            Unavailable: no answer came.
        """
        auth = self._agreeable()
        if not auth.revoke_url:
            return False
        form = {
            "token": token.refresh,
            "token_type_hint": "refresh_token",
            **self._app(auth.client_id, auth.client_secret),
        }
        self._redaction.learn([token.refresh])
        url = self._endpoint(auth.revoke_url, token.server)
        gone = {*auth.spent, "invalid_token", "unsupported_token_type"}
        with contextlib.suppress(Spent):
            await self._token(url, form, again=True, spent=gone, empty=True)
        return True


class _Fields(dict[str, str]):
    """A connection's Config, for URLs that name its fields."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self._config = config

    def __missing__(self, name: str) -> str:
        return str(getattr(self._config, name)).rstrip("/")


async def post(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float
) -> int:
    """Send one message to an address outside any connection; the answer's status.

    Raises:
        ConfigError: the address is none, or unencrypted and not on this machine.
        Unavailable: no answer came. The address's path, which may be a secret, is not repeated.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not (host and parts.scheme == "https") and host not in LOOPBACK:
        raise ConfigError(
            "the address is no https:// URL",
            where=host,
            hint="plain http is for 127.0.0.1 only",
        )
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=_tls(), trust_env=False) as client,  # noqa: TID251
        ):
            request = client.build_request("POST", url, content=body, headers=headers)
            response = await client.send(request, stream=True)
            await response.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as e:
        raise Unavailable(f"no answer ({type(e).__name__})", where=host) from None
    return response.status_code


@cache
def _tls() -> ssl.SSLContext:
    """One context for all connections: reading the certificates takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


def _is_page(answer: Answer) -> bool:
    """Whether a proxy or a login form answers in the vendor's place; then nothing is known of a write."""
    if answer.headers.get("content-type", "").lower().startswith("text/html"):
        return True
    return answer.body[:64].lstrip()[:5].lower() in {b"<html", b"<!doc"}


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; the usual port is the same whether it is written or not."""
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or usual


def _is_header(text: str) -> bool:
    """Whether a header can carry it."""
    return text.isascii() and text.isprintable()


def _life(seconds: float | None) -> float:
    """How long a token is used that lives so many seconds; for ever where nobody knows."""
    return float("inf") if seconds is None else seconds - min(_TOKEN_EARLY, seconds / 2)


def retry_after(answer: Answer, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3), in either form; None when it is no use.

    A date is counted from the answer's own Date, so that clocks need not agree; from ``now`` without one.
    """
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        then, since = http_date(text), answer.date() or now
        if then is None or since is None:
            return None
        seconds = (then - since).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT)
