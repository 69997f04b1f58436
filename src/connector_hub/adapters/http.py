"""HTTP for connectors: the only file that knows httpx.

Inside: credentials, limits, retries by fault, deadlines, a cap on decoded bytes, an origin guard, and
a ledger of every request that left.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import sys
import zlib
from collections import Counter, deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from random import Random, SystemRandom
from typing import Any, NoReturn
from urllib.parse import SplitResult, urlsplit

import httpx
import orjson
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.stop import stop_after_attempt, stop_after_delay

from connector_hub.adapters.limiter import PATIENCE, WindowLimiter
from connector_hub.adapters.redacting import Redaction, hush, quotes
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
    is_code,
)
from connector_hub.ports import Answer, Clock, Secrets
from connector_hub.sdk.auth import (
    ApiKey,
    Auth,
    Basic,
    Bearer,
    ClientCredentials,
    FirstOf,
)
from connector_hub.sdk.connector import Connector, Fault, Kind

hush()

CAP = 32 * 1024 * 1024
ATTEMPTS = 5
ATTEMPT_SECONDS = 60.0
CALL_SECONDS = 180.0
_BACKOFF_CAP = 30.0
_LONGEST_WAIT = 3600.0
_RETRY_SHARE = 0.2
_RETRY_LEAST = 3
_RETRY_WINDOW = 10.0
_TOKEN_EARLY = 120.0
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_REPEATABLE = {"GET", "HEAD"}
_REDIRECT = range(300, 400)
_JSON = {"Content-Type": "application/json"}

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

    ``promised`` is the most per bucket that a plan said it would take.
    """

    def __init__(
        self, ceiling: int | None = None, parent: Ledger | None = None
    ) -> None:
        self.calls: Counter[str] = Counter()
        self.promised: Mapping[str, int] = {}
        self._ceiling = ceiling
        self._parent = parent

    def ask(self, bucket: str) -> None:
        """Whether one more request may leave.

        Raises:
            QuotaSpent: it must not.
        """
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
    """An attempt failed; ``again`` says whether another may be made, ``wait`` when at the earliest."""

    def __init__(
        self, error: HubError, *, again: bool, wait: float | None = None
    ) -> None:
        super().__init__()
        self.error = error
        self.again = again
        self.wait = wait


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
        transport: in place of the network, for tests.
        cap: the most decoded bytes an answer may have.
        chance: the jitter of retries.
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
        transport: httpx.AsyncBaseTransport | None = None,
        cap: int = CAP,
        chance: Random | None = None,
    ) -> None:
        self.ledger = ledger
        self._kind = kind
        self._config = config
        self._where = connection
        self._secrets = secrets
        self._clock = clock
        self._cap = cap
        self._chance = chance or SystemRandom()
        self._base = self._checked_base(
            getattr(config, "base_url", None) or kind.base_url
        )
        self._connector: Connector | None = None
        self._limiter = WindowLimiter((), clock)
        self._auth = _chosen(kind.auth, config)
        self._header: dict[str, str] | None = None
        self._redaction = Redaction()
        self._dies = float("inf")
        self._minting = asyncio.Lock()
        self._firsts: deque[float] = deque()
        self._retries: deque[float] = deque()
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

        async def attempt() -> Answer:
            return await self._attempt(
                method, url, content, params, extra, name, cost, again, ok, want_json
            )

        return await self._retrying(attempt)

    async def _retrying(self, attempt: Any) -> Answer:
        """One ``AsyncRetrying`` per call, by fault; never before the vendor's own time."""
        self._forget_calls()
        self._firsts.append(self._clock.monotonic())
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS) | stop_after_delay(CALL_SECONDS),
            retry=retry_if_exception(self._may_retry),
            wait=self._wait,
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            answer: Answer = await retrying(attempt)
        except _Sorted as e:
            raise e.error from None
        return answer

    def _may_retry(self, e: BaseException) -> bool:
        """Whether another attempt may be made, within the budget of retries."""
        if not isinstance(e, _Sorted) or not e.again:
            return False
        if e.wait is not None and e.wait > PATIENCE:
            return False
        if isinstance(e.error, RateLimited):
            return True
        self._forget_calls()
        if len(self._retries) >= max(_RETRY_LEAST, _RETRY_SHARE * len(self._firsts)):
            return False
        self._retries.append(self._clock.monotonic())
        return True

    def _wait(self, state: RetryCallState) -> float:
        """Full jitter, but never before the time the vendor named."""
        e = state.outcome.exception() if state.outcome else None
        named = e.wait if isinstance(e, _Sorted) else None
        most = min(_BACKOFF_CAP, 0.5 * 2**state.attempt_number)
        jitter = self._chance.uniform(0, most)
        return jitter if named is None else named + jitter / 10

    def _forget_calls(self) -> None:
        """Calls before the window count no longer; a hub that runs for months made millions."""
        since = self._clock.monotonic() - _RETRY_WINDOW
        for log in (self._firsts, self._retries):
            while log and log[0] < since:
                log.popleft()

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
    ) -> Answer:
        """One attempt, with one more after a token was refused: a refused token applies nothing."""
        refused: dict[str, str] | None = None
        for fresh in (False, True):
            credentials = await self._credentials(refused)
            signed = {**headers, **credentials}
            async with self._limiter.slot(bucket, cost):
                answer = self._redacted(
                    await self._exchange(
                        method, url, content, params, signed, bucket, again
                    )
                )
            connector = self._connector
            if connector is not None:
                self._limiter.heed(connector.heed(answer))
            if answer.status < 300 or answer.status in ok:  # noqa: PLR2004
                if want_json:
                    self._check_json(answer, again)
                return answer
            fault = self._fault(answer)
            if fault.kind is Kind.AUTH and not fresh and self._mintable():
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
    ) -> Answer:
        """Bytes out, bytes in; what goes wrong on the wire is sorted by whether it was sent."""
        request = self._client.build_request(
            method, url, content=content, params=params, headers=headers
        )
        self.ledger.ask(bucket)
        leaving = _Leaving(self.ledger, bucket)
        request.extensions = {**request.extensions, "trace": leaving.trace}
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                response = await self._client.send(request, stream=True)
                leaving.left()
                try:
                    return Answer(
                        response.status_code,
                        dict(response.headers),
                        await self._body(response),
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

    def _doubt(self, what: str, again: bool) -> _Sorted:  # noqa: FBT001
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
        return _Sorted(error, again=again)

    async def _body(self, response: httpx.Response) -> bytes:
        """The decoded body, at most ``cap`` bytes: httpx alone would unpack a bomb whole."""
        packed = response.headers.get("content-encoding", "").strip().lower()
        if packed in {"", "identity"}:
            return await self._plain(response)
        if packed not in {"gzip", "x-gzip", "deflate"}:
            raise _Garbage(
                f"the answer has an encoding nobody asked for ({packed[:20]})"
            )
        unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
        out = bytearray()
        try:
            async for chunk in response.aiter_raw():
                out += unpack.decompress(chunk, self._cap + 1 - len(out))
                if len(out) > self._cap:
                    raise self._too_large()
        except zlib.error:
            raise _Garbage("the answer cannot be unpacked") from None
        if not unpack.eof:
            raise _Garbage("the answer was cut off")
        return bytes(out)

    async def _plain(self, response: httpx.Response) -> bytes:
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
        if not answer.body:
            return
        try:
            orjson.loads(answer.body) if answer.body[:1] not in b"{[" else None
        except orjson.JSONDecodeError:
            raise self._doubt("the answer is not JSON", again) from None
        if answer.body.rstrip()[-1:] not in b"}]":
            raise self._doubt("half an answer", again)

    def _redacted(self, answer: Answer) -> Answer:
        """An answer as a plugin sees it: without the credentials that the vendor may repeat in it."""
        return Answer(
            answer.status,
            self._redaction.headers(answer.headers),
            self._redaction.body(answer.body, answer.status),
        )

    def _fault(self, answer: Answer) -> Fault:
        fault = self._connector.fault(answer) if self._connector else None
        if fault is not None:
            return fault
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
        wait = fault.wait if fault.wait is not None else retry_after(answer)
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
                        text, wait=wait, where=self._where, hint="run again later"
                    ),
                    again=True,
                    wait=wait,
                )
            case Kind.UNAVAILABLE:
                raise _Sorted(
                    Unavailable(text, where=self._where, hint="run again later"),
                    again=True,
                    wait=wait,
                )
            case Kind.AMBIGUOUS:
                raise self._doubt(f"status {answer.status}", again)
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
                    hint="run again when the vendor's window is over",
                )
            case Kind.AUTH:
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
            raise Unavailable(
                "the vendor points to what is no URL", where=self._where
            ) from None
        if same or self._friendly(parts.scheme, parts.hostname or ""):
            return path
        raise Unavailable(
            f"the vendor points to {parts.hostname}, which is not its own host; nothing was sent there",
            where=self._where,
        )

    def _friendly(self, scheme: str, host: str) -> bool:
        return scheme == "https" and any(
            host == o.lstrip(".") or host.endswith("." + o.lstrip("."))
            for o in self._kind.origins
        )

    def _mintable(self) -> bool:
        return isinstance(self._auth, ClientCredentials)

    async def _credentials(self, refused: dict[str, str] | None) -> dict[str, str]:
        """The headers that sign a request; a token that is known to be dead is minted anew, once."""
        if isinstance(self._auth, ClientCredentials):
            return await self._minted(self._auth, refused)
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

    def _secret(self, name: str) -> str:
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
        if not (secret.isascii() and secret.isprintable()):
            raise ConfigError(
                f"{name} has characters that no header can carry",
                where=self._where,
                hint="look at where it is kept: a line break, an umlaut, another file",
            )
        return secret

    async def _minted(
        self, auth: ClientCredentials, refused: dict[str, str] | None
    ) -> dict[str, str]:
        """A token that lives; another than the refused one, which somebody may have replaced already."""
        async with self._minting:
            dying = self._clock.monotonic() >= self._dies
            if self._header is None or dying or self._header is refused:
                self._header = await self._mint(auth)
            return self._header

    async def _mint(self, auth: ClientCredentials) -> dict[str, str]:
        """A new access token (RFC 6749, 4.4); asking twice does no harm."""
        form = {
            "grant_type": "client_credentials",
            "client_id": str(getattr(self._config, auth.client_id)),
            "client_secret": self._secret(auth.client_secret),
            **auth.extra,
        }
        content = str(httpx.QueryParams(form)).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        url = self._url(auth.token_path)

        async def attempt() -> Answer:
            answer = await self._exchange(
                "POST", url, content, None, kind, "token", again=True
            )
            if answer.status >= 300:  # noqa: PLR2004
                answer = self._redacted(answer)
                fault = self._fault(answer)
                if fault.kind in {Kind.RECORD, Kind.CONFIG, Kind.MISSING}:
                    fault = Fault(
                        Kind.AUTH, "the vendor gives no token for these credentials"
                    )
                self._raise(fault, answer, "token", again=True)
            return answer

        token = (await self._retrying(attempt)).json()
        if not isinstance(token, dict) or not token.get("access_token"):
            raise AuthError("the vendor's token answer has no token", where=self._where)
        self._redaction.learn([str(token["access_token"])])
        if token.get("expires_in"):
            self._dies = (
                self._clock.monotonic() + float(token["expires_in"]) - _TOKEN_EARLY
            )
        if auth.origin and token.get(auth.origin):
            self._base = self._checked_base(self._url(str(token[auth.origin])))
        return {"Authorization": f"Bearer {token['access_token']}"}


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


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port; the usual port is the same whether it is written or not."""
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname, parts.port or usual


def _chosen(auth: Auth, config: Any) -> Auth:
    """The way of ``FirstOf`` that the connection's keys allow."""
    if not isinstance(auth, FirstOf):
        return auth
    for way in auth.ways:
        if all(getattr(config, n, None) is not None for n in _fields(way)):
            return way
    return auth.ways[0]


def _fields(auth: Auth) -> tuple[str, ...]:
    """The Config fields a way of signing needs."""
    match auth:
        case Bearer() | ApiKey():
            return (auth.secret,)
        case Basic():
            return (auth.user, auth.password)
        case ClientCredentials():
            return (auth.client_id, auth.client_secret)
    return ()


def retry_after(answer: Answer) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, 10.2.3), in either form; None when it is no use.

    A date is counted from the answer's own Date, so that clocks need not agree.
    """
    text = answer.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            then = parsedate_to_datetime(text)
            now = parsedate_to_datetime(answer.headers.get("date", ""))
            seconds = (then - now).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)
