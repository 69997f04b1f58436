"""What the inside asks of the outside. Adapters fill these; tests may, too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import orjson

from connector_hub.errors import InDoubt, Unavailable, VendorError
from connector_hub.model.conflict import Conflict, DeadLetter, Swing
from connector_hub.model.job import SideName
from connector_hub.model.journal import Entry, Page
from connector_hub.model.kept import KeptRow, PlanState
from connector_hub.model.link import Kin, Link
from connector_hub.model.notice import Fact
from connector_hub.model.plan import Change, Seen
from connector_hub.model.standing import Rival, Standing

_EMPTY = {202, 204, 205}
"""Statuses whose answers have nothing to say (RFC 9110, 15.3)."""
_BOM = b"\xef\xbb\xbf"


class Body(dict[str, Any]):
    """A decoded answer. A name that is not in it is the vendor's mistake, not the plugin's."""

    repeatable = True

    def __missing__(self, name: str) -> Any:
        raise _useless(
            f"the answer has no {name!r}",
            hint="the vendor answers otherwise than documented; run again later",
            repeatable=self.repeatable,
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A vendor's reply, read completely. ``headers`` has lower-case names.

    ``repeatable`` is whether the request may be sent again: what became of one that may not is in doubt
    when its answer is of no use.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    repeatable: bool = True
    _decoded: list[Any] = field(default_factory=list, repr=False, compare=False)

    def json(self) -> Any:
        """The decoded body; None when it is empty and may be.

        Raises:
            Unavailable: the body is not JSON (a proxy's page, half an answer), or not there.
            InDoubt: the same of a request that may not be repeated.
        """
        if not self._decoded:
            self._decoded.append(self._decode())
        return self._decoded[0]

    def _decode(self) -> Any:
        if not self.body:
            if 200 <= self.status < 300 and self.status not in _EMPTY:  # noqa: PLR2004 - success
                raise _useless(
                    f"the answer (status {self.status}) is empty",
                    hint="the vendor answers otherwise than documented; run again later",
                    repeatable=self.repeatable,
                )
            return None
        try:
            found = orjson.loads(self.body.removeprefix(_BOM))
        except orjson.JSONDecodeError:
            raise _useless(
                f"the answer (status {self.status}) is not JSON",
                hint="a proxy or login page may stand between the hub and the vendor",
                repeatable=self.repeatable,
            ) from None
        if found.__class__ is not dict:
            return found
        body = Body(found)
        body.repeatable = self.repeatable
        return body

    def date(self) -> datetime | None:
        """When the vendor answered, by its own clock; None where it does not say."""
        return http_date(self.headers.get("date", ""))


def _useless(message: str, *, hint: str, repeatable: bool) -> VendorError:
    """An answer that says nothing: of a write, nobody knows what became of it."""
    if repeatable:
        return Unavailable(message, hint=hint)
    return InDoubt(message, hint=hint)


def http_date(text: str) -> datetime | None:
    """An instant in any of the forms that HTTP has (RFC 9110, 5.6.7); None where it is none."""
    try:
        found = parsedate_to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Clock(Protocol):
    """Time, as far as the hub needs it."""

    def now(self) -> datetime:
        """The current instant in UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a vendor gave for writes of a window that it works on; ``hubs`` are their hub ids."""

    plan: str
    n: int
    side: SideName
    resource: str
    op: str
    ticket: str
    hubs: tuple[bytes, ...]


class Http(Protocol):
    """What a connector speaks HTTP through: credentials, limits, retries and the ledger are inside."""

    @property
    def connection(self) -> str:
        """The connection's name, for messages."""

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
        """Send one request and return the answer, whatever path it took.

        ``path`` is relative to the connection's base URL, or an absolute URL of an allowed origin.
        ``repeatable`` says that sending twice does no harm (default: GET and HEAD).
        ``ok`` names statuses >= 300 that the caller wants to see rather than have raised.
        ``want_json`` says that an answer of another kind, a proxy's page for one, is none.

        Raises:
            Unavailable, RateLimited, QuotaSpent, CircuitOpen, InDoubt, AuthError, Rejected, Missing,
            Exists, Stale, ConfigError: as sorted by the connector's ``fault``.
        """

    async def get(self, path: str, **options: Any) -> Any:
        """GET, decoded JSON."""

    async def post(self, path: str, **options: Any) -> Any:
        """POST, decoded JSON."""

    async def patch(self, path: str, **options: Any) -> Any:
        """PATCH, decoded JSON."""


class Secrets(Protocol):
    """Where secrets are kept."""

    def read(self, reference: str) -> str:
        """The secret behind ``keyring:NAME``, ``env:NAME`` or ``file:PATH``.

        Raises:
            ConfigError: there is none, or this machine cannot keep any.
        """


@dataclass(frozen=True, slots=True)
class Token:
    """What a connection with OAuth 2 lives on.

    ``refresh`` fetches the next one; ``access`` is to be used ``until`` then (None: until it is refused), at
    ``base`` where the vendor gave a base URL with it. ``source`` is the digest of the value behind the
    reference that it all began with. ``asked`` is the digest of a refresh token that was sent and whose
    answer was not kept: the vendor may have spent it. ``version`` counts the changes.

    ``server`` is where it was issued, where the vendor has several. ``dies``: when the vendor says that
    ``access`` ends; ``renewed``: when it came. ``scopes`` are those that were granted, where it says so.
    ``account`` is the vendor's own id of whose it is.
    """

    refresh: str
    access: str = ""
    until: datetime | None = None
    base: str = ""
    source: str = ""
    asked: str = ""
    version: int = 0
    server: str = ""
    dies: datetime | None = None
    renewed: datetime | None = None
    scopes: tuple[str, ...] = ()
    account: str = ""

    def __repr__(self) -> str:
        return f"<Token version {self.version}>"


class Tokens(Protocol):
    """Where rotating tokens are kept, for all processes."""

    def token(self, connection: str) -> Token | None:
        """A connection's token."""

    def swap_token(self, connection: str, token: Token) -> Token | None:
        """Keep a token in place of the one of its own version, on the disk before this returns.

        Returns:
            What is kept now, of the next version; None where another version is kept.
        """

    def drop_token(self, connection: str) -> bool:
        """Forget a connection's token; whether there was one."""


Progress = Callable[[str, int, int | None], None]
"""Told (phase, done, total or None) while work goes on."""


class Store(Protocol):
    """The state of a project: links, bases, identity, cursors, intents, and what waits for people."""

    def close(self) -> None:
        """Let go of the file."""

    def transaction(self) -> AbstractContextManager[None]:
        """All that is done inside is kept together, or not at all."""

    def fenced(self, run: int) -> AbstractContextManager[None]:
        """What is done inside is done for a run: nothing of it is kept once the job is another run's."""

    def check_fence(self) -> None:
        """Asked before anything is sent, and before anything is kept.

        Raises:
            Locked: the run that works here is over: another one of its job has begun since.
        """

    def pinned(self, connection: str) -> str | None:
        """The account a connection belongs to."""

    def pin(self, connection: str, account: str) -> None:
        """Remember the account behind a connection."""

    def links(
        self, account: str, resource: str, records: Collection[str]
    ) -> dict[str, Link]:
        """Links by record id."""

    def records(
        self, account: str, resource: str, hubs: Collection[bytes]
    ) -> dict[bytes, tuple[str, bool]]:
        """The record of each hub id at one resource, and whether it is gone."""

    def tombstones(
        self, account: str, resource: str, records: Collection[str]
    ) -> set[str]:
        """Those of these records that are known as gone."""

    def unlisted(
        self, job: str, side: str, account: str, resource: str, *, several: bool
    ) -> list[str]:
        """Linked records that are not in a side's identity index.

        It knows them as ``Resource/id`` where the side is of ``several``.
        """

    def link(self, rows: Iterable[tuple[str, str, str, bytes]]) -> None:
        """Add links: (account, resource, record, hub). Who waited for them is looked at again."""

    def lose(self, account: str, resource: str, records: Collection[str]) -> None:
        """These records are gone: their links become tombstones."""

    def things(
        self, hubs: Collection[bytes]
    ) -> list[tuple[bytes, str, str, str, bool]]:
        """All records of these things: (hub, account, resource, record, whether it is gone)."""

    def unlink(self, account: str, resource: str, records: Collection[str]) -> None:
        """Forget these records' links, as if they had never been met."""

    def enlist(
        self, job: str, rows: Iterable[tuple[SideName, str]], *, by: str = ""
    ) -> None:
        """Remember records as (side, record) that a pilot holds a job to.

        ``by`` is empty for those that were chosen, else the job that needs them, or that they are heirs.
        """

    def dismiss(self, job: str, rows: Iterable[tuple[SideName, str]]) -> None:
        """Chosen records leave a pilot."""

    def release(self, job: str, by: str) -> None:
        """Forget what a job was held to for another one."""

    def chosen(self, job: str) -> set[tuple[SideName, str]]:
        """The records that were chosen for a job's own pilot."""

    def pilot(self, job: str) -> set[tuple[SideName, str]]:
        """All records a job is held to."""

    def linked(self, account: str, resource: str) -> int:
        """How many live links a resource has."""

    def spelling(self, job: str, side: str, fields: Sequence[tuple[str, str]]) -> int:
        """A number for a list of (field, rule fingerprint): the layout of packed bases."""

    def spelled(self, number: int) -> list[tuple[str, str]]:
        """The fields behind a layout's number."""

    def bases(self, job: str, side: str, hubs: Collection[bytes]) -> dict[bytes, bytes]:
        """Packed bases by hub id."""

    def set_bases(
        self, job: str, side: str, rows: Iterable[tuple[bytes, bytes]]
    ) -> None:
        """Store packed bases."""

    def forget_bases(self, job: str, hubs: Collection[bytes]) -> None:
        """These things meet for the first time again."""

    def passed(
        self, job: str, side: str, records: Collection[str], number: int
    ) -> set[str]:
        """Which of these records the pass of that number has met already."""

    def indexed(self, job: str, side: str, records: Collection[str]) -> set[str]:
        """Which of these records the index knows."""

    def pairs(
        self, left: tuple[str, str], right: tuple[str, str]
    ) -> Iterator[tuple[str, str]]:
        """Linked records of two resources, each given as (account, resource)."""

    def index(
        self,
        job: str,
        side: str,
        rows: Iterable[tuple[str, int, Sequence[bytes]]],
        number: int,
    ) -> None:
        """Identity marks of records: (record, filled sets, marks); replaces what was known."""

    def touch(self, job: str, side: str, records: Collection[str], number: int) -> None:
        """A pass met these records again, unchanged."""

    def forget(self, job: str, side: str, records: Collection[str]) -> None:
        """Take gone records out of the identity index."""

    def sweep(self, job: str, side: str, number: int) -> list[str]:
        """Drop from the index what a whole pass of that number did not see; the records dropped."""

    def relatives(
        self, job: str, side: str, other: str, records: Collection[str]
    ) -> Iterable[tuple[str, bool, Kin]]:
        """Who shares an identity with these records: (record, whether on the other side, kin).

        Record keys are no identity; they are asked for by ``kin``.
        """

    def keyed(self, job: str, side: str) -> bool:
        """Whether any record of a side carries a record key."""

    def kin(
        self, job: str, side: str, marks: Collection[bytes]
    ) -> dict[bytes, list[Kin]]:
        """Who carries these marks on a side."""

    def cursor(
        self, job: str, side: str, feed: str
    ) -> tuple[str | None, str, str] | None:
        """(mark, spelling it was read under, when it was stored)."""

    def set_cursor(  # noqa: PLR0917
        self,
        job: str,
        side: str,
        feed: str,
        mark: str | None,
        spelling: str,
        at: datetime,
    ) -> None:
        """Where the next pull of a feed starts."""

    def fact(self, job: str, side: str, name: str) -> str | None:
        """Something remembered about a side of a job."""

    def set_fact(self, job: str, side: str, name: str, value: str) -> None:
        """Remember something about a side of a job."""

    def inbox(self, job: str, side: str) -> tuple[dict[str, str], int]:
        """Records to look at again with the reason, and the number of the latest entry."""

    def look_again(self, job: str, side: str, rows: Iterable[tuple[str, str]]) -> None:
        """Put records into the inbox: (record, why)."""

    def hint(self, job: str, side: str, records: Iterable[str]) -> None:
        """A vendor has hinted at records; another reason to look at one stays."""

    def looked(self, job: str, side: str, records: Iterable[str], last: int) -> None:
        """Take records out of the inbox, but for entries after number ``last``."""

    def wait(
        self, job: str, side: str, rows: Iterable[tuple[str, str, str, str]]
    ) -> None:
        """Remember who waits for a link: (record, account, resource, target record)."""

    def pending(
        self, job: str, side: str, record: str
    ) -> tuple[str | None, list[tuple[str, str]]]:
        """Why a record is looked at again, if it is; the (resource, record)s whose link it waits for."""

    def open_conflict(  # noqa: PLR0917
        self,
        job: str,
        kind: str,
        subject: bytes,
        members: Iterable[tuple[str, str]],
        run: int,
        at: datetime,
        detail: Mapping[str, Any],
        about: tuple[str, str] | None = None,
    ) -> bool:
        """Open a conflict, or add members to the open one. True when it is new."""

    def doubtful(self, job: str, side: str, records: Collection[str]) -> set[str]:
        """Those whose creation was never answered and cannot be looked up: not to be sent again."""

    def close_conflicts(
        self,
        job: str,
        side: str,
        records: Collection[str],
        at: datetime,
        *,
        kept: Collection[str] = (),
    ) -> set[tuple[SideName, str]]:
        """Close what these records were in conflict about, but for some kinds; the others of a group."""

    def decide(  # noqa: PLR0917 - a row
        self,
        job: str,
        hub: bytes,
        field: str,
        winner: SideName,
        seen: str,
        at: datetime,
    ) -> None:
        """Remember which side a person said is right about a field, and the hash of what was seen there."""

    def decided_since(self, job: str, at: datetime) -> set[bytes]:
        """Things that people have decided about since an instant."""

    def ended_since(self, job: str, after: int, before: int) -> set[str]:
        """How runs of a job ended that write, of the numbers between two."""

    def decisions(
        self, job: str, hubs: Collection[bytes]
    ) -> dict[bytes, dict[str, tuple[SideName, str]]]:
        """What people decided about fields of these things, with the hash of what they saw."""

    def forget_decisions(
        self, job: str, hubs: Collection[bytes], fields: Collection[str] | None = None
    ) -> None:
        """What was decided has been carried out: about these fields, or about all."""

    def swing(
        self,
        job: str,
        run: int,
        rows: Iterable[tuple[bytes, str, bytes]],
        at: datetime,
    ) -> None:
        """Fields that a run wrote to linked things: (hub, field, hash of the value)."""

    def swings(
        self, job: str, hubs: Collection[bytes], since: datetime
    ) -> dict[bytes, dict[str, Swing]]:
        """What was written to these things since then, and what is held whenever it was; by field."""

    def hold_swings(self, job: str, hub: bytes, fields: Iterable[str]) -> None:
        """These fields are held from now on, until their swings are forgotten."""

    def forget_swings(
        self, job: str, hubs: Collection[bytes], fields: Collection[str] | None = None
    ) -> None:
        """Held fields are held no more, and their writes count from nothing: these, or all."""

    def conflicts(
        self, job: str | None = None, number: int | None = None
    ) -> list[Conflict]:
        """Open conflicts, oldest first."""

    def had_conflict(self, number: int) -> bool:
        """Whether there is or was a conflict of that number."""

    def open_letters(
        self, job: str, side: str, records: Iterable[str]
    ) -> dict[str, bytes]:
        """The change each record's open dead letter stands for."""

    def bury(
        self,
        job: str,
        side: str,
        rows: Iterable[tuple[str, bytes, str, str, Sequence[str], bytes, str]],
        run: int,
        at: datetime,
    ) -> None:
        """Dead letters of a side's records: (record, hub, op, reason, fields, change, vendor's message)."""

    def exhume(
        self, job: str, side: str, records: Collection[str], at: datetime
    ) -> None:
        """Close the dead letters of these records."""

    def letters(
        self, job: str | None = None, number: int | None = None
    ) -> list[DeadLetter]:
        """Open dead letters, oldest first."""

    def open_counts(self, job: str) -> dict[str, int]:
        """How many conflicts and dead letters are open."""

    def questions(self, job: str, since: str) -> dict[str, tuple[int, int, int]]:
        """(opened since, closed since, open now), for ``conflict`` and for ``dead_letter``."""

    def standings(self) -> list[Standing]:
        """What is paused or must be reconnected, jobs and connections."""

    def set_standing(self, standing: Standing) -> None:
        """Remember why a job or a connection is held."""

    def clear_standing(self, what: str, name: str) -> bool:
        """It is well again; whether it was not."""

    def set_wrote(
        self, job: str, side: str, rows: Iterable[tuple[str, str]], at: datetime
    ) -> None:
        """Fields that were just written to records: (record, field)."""

    def wrote(
        self, job: str, side: str, records: Collection[str], since: datetime
    ) -> list[tuple[str, str]]:
        """Which fields of these records were written since then: (record, field)."""

    def meet_rivals(
        self, job: str, side: str, rows: Iterable[tuple[str, str, str]], at: datetime
    ) -> None:
        """Another user changed what was written, once for each writing: (record, field, user)."""

    def rivals(self) -> list[Rival]:
        """Who changed what was written, soon after."""

    def remember(self, name: str, value: str) -> None:
        """Keep something about the state itself."""

    def remembered(self, name: str) -> str | None:
        """What was kept about the state itself."""

    def told(self, receiver: str) -> dict[Fact, int]:
        """What a receiver of notices was told last."""

    def set_told(self, receiver: str, rows: Mapping[Fact, int]) -> None:
        """Remember what a receiver was told."""

    def untold(self, receiver: str) -> tuple[str, datetime] | None:
        """Why, and since when, a receiver could not be told; None where it could."""

    def set_untold(self, receiver: str, code: str, at: datetime) -> None:
        """A receiver could not be told; the first time counts."""

    def clear_untold(self, receiver: str) -> None:
        """A receiver was told."""

    def last_syncs(self) -> dict[str, tuple[datetime, str]]:
        """By job: when its latest sync or apply began, and its status."""

    def examine(self, job: str, now: datetime) -> None:
        """Look all of the state through: once a day, after a run of the job that died, and when it is a copy.

        Raises:
            StoreError: it is damaged.
        """

    def begin_run(self, job: str, kind: str, at: datetime) -> int:
        """A number for a run that starts now; one of the job that never ended is over."""

    def end_run(
        self, run: int, status: str, document: Mapping[str, Any], at: datetime
    ) -> None:
        """How a run ended, as its JSON document."""

    def job_of(self, run: int) -> str | None:
        """The job that a run was of."""

    def runs(self, job: str | None = None, most: int = 50) -> list[dict[str, Any]]:
        """The latest runs, newest first."""

    def runs_since(self, at: str) -> Iterator[dict[str, Any]]:
        """Runs that started at an instant (ISO 8601) or later, oldest first."""

    def save_plan(
        self,
        plan: str,
        job: str,
        document: Any,
        at: datetime,
        *,
        state: PlanState = "kept",
    ) -> None:
        """Keep what a plan needs besides its windows, sealed; one that waits replaces another of its job.

        ``needs`` in the document is what only an apply needs: it goes when the plan is decided or too old.
        """

    def plan(self, plan: str) -> KeptRow | None:
        """One plan."""

    def plans(
        self, job: str | None = None, *, state: PlanState | None = None, most: int = 50
    ) -> list[KeptRow]:
        """The latest plans, newest first, of one state or of all; without what their apply needs."""

    def plan_ids(self) -> list[str]:
        """Their ids, newest first."""

    def end_plan(self, plan: str, state: PlanState, at: datetime, person: str) -> bool:
        """A plan is decided once: whether it was open until now."""

    def drop_plans(self, job: str, before: datetime, *, keep: str = "") -> None:
        """Take away the changes of a job's plans that are decided or older than ``before``, and of dead runs.

        Windows that were being written stay until it is known what became of them.
        """

    def expire(self, now: datetime) -> bool:
        """Forget letters closed, writes and plans made a month ago, conflicts and runs a quarter ago.

        Of open letters the vendor's message goes after a month, of unsettled writes the values after a week.
        Whether any of it may have held a value.
        """

    def drop_windows(self, job: str, plan: str) -> None:
        """Take away what was staged and planned under an id and is not being written."""

    def stage(
        self, job: str, plan: str, side: str, n: int, seen: Sequence[Seen]
    ) -> None:
        """Keep what was read of a side, sealed."""

    def staged(self, job: str, plan: str, side: str) -> Iterator[list[Seen]]:
        """What was staged of a side, in order; each part is taken away as the next is asked for."""

    def forget_claims(self) -> None:
        """A plan begins: no record has been given to another."""

    def claim(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Give records to those across that they were planned with: (side, record, owner)."""

    def claimed(self, side: str, records: Collection[str]) -> dict[str, str]:
        """Which of a side's records were given away, and to whom."""

    def save_window(
        self, job: str, plan: str, n: int, changes: Sequence[Change]
    ) -> None:
        """Keep a window of changes, sealed."""

    def windows(self, job: str, plan: str) -> Iterator[tuple[int, list[Change]]]:
        """A plan's windows with their numbers, in order."""

    def window(self, job: str, plan: str, n: int) -> list[Change]:
        """The changes of one of a plan's windows; none where it is gone."""

    def open_window(
        self, job: str, plan: str, n: int, seed: bytes, run: int = 0
    ) -> None:
        """Commit that a run is about to write a window: its changes are intents from here on."""

    def writers(self, job: str) -> dict[tuple[str, int], int]:
        """The run that was writing each open window, by plan and number."""

    def open_windows(self, job: str) -> list[tuple[str, int, list[Change]]]:
        """(plan, number, changes) of windows whose writes were never settled."""

    def keep_ticket(self, job: str, ticket: Ticket) -> None:
        """Keep what a vendor gave for writes, in place of what it gave for them before."""

    def tickets(self, job: str) -> list[Ticket]:
        """The tickets of open windows."""

    def join_windows(
        self,
        job: str,
        plan: str,
        into: int,
        others: Sequence[int],
        changes: Sequence[Change],
    ) -> None:
        """Keep the changes of several windows as those of one."""

    def close_window(
        self, job: str, plan: str, n: int, rest: Sequence[Change] = ()
    ) -> None:
        """A window is settled but for the changes of ``rest``, whose outcome is not known."""

    def keep(
        self,
        job: str,
        run: int,
        at: datetime,
        layouts: tuple[int, int],
        entries: Sequence[Entry],
    ) -> None:
        """Keep a run's confirmed writes with what stood there before, sealed.

        ``layouts`` are the numbers that ``spelling`` gave to the sides' fields, left first.
        """

    def journal(
        self,
        job: str,
        *,
        run: int | None = None,
        hub: bytes | None = None,
        after: int = 0,
    ) -> Iterator[Page]:
        """What was written, newest first: all of a job, of one run, or of runs later than ``after``.

        With ``hub`` only pages that speak of it, along with others.
        """


class Sealer(Protocol):
    """Encrypts values at rest; ``bound_to`` must be the same when they are opened."""

    def seal(self, clear: bytes, bound_to: bytes = b"") -> bytes:
        """Encrypt."""

    def open(self, sealed: bytes, bound_to: bytes = b"") -> bytes:
        """Decrypt.

        Raises:
            StoreError: it was sealed with another key, moved, or damaged.
        """
