"""What a plugin author writes: a vendor's system as a class.

Every method has a default, so an author meets only what his vendor needs.
The author does not write retries, limits, timeouts, batching, diffing, merging, state or logging.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from connector_hub.errors import (
    PluginError,
    VendorError,
)
from connector_hub.model.record import (
    Done,
    Edited,
    Gone,
    Outcome,
    Page,
    Pending,
    Record,
    Want,
    Write,
)
from connector_hub.sdk.auth import Auth
from connector_hub.sdk.hearing import Heard, Request, Shared, Signed
from connector_hub.sdk.permissions import Need, Permission

if TYPE_CHECKING:
    from connector_hub.ports import Answer, Clock, Http


class Can(enum.Flag):
    """What a vendor lets us do with a resource."""

    READ = enum.auto()
    CREATE = enum.auto()
    UPDATE = enum.auto()
    ARCHIVE = enum.auto()
    FIND = enum.auto()
    """Look records up by the values of one field, on a channel that misses nothing."""


class Effect(enum.Enum):
    """What it is worth to send a create again that went unanswered."""

    VENDOR_KEY = "vendor_key"
    """The record key is unique at the vendor: a second create answers Exists or changes the first."""
    UPSERT = "upsert"
    """A create with the record key is an update where the key is there."""
    PROBE = "probe"
    """Not repeatable, but ``find`` by the record key tells whether it happened."""
    UNSAFE = "unsafe"
    """Neither: an unanswered create needs a person."""


@dataclass(frozen=True, slots=True)
class Way:
    """One kind of request and what it costs: ``rows`` records at most, ``cost`` calls of ``bucket``.

    ``op`` is one of: ``list`` (a page of everything), ``changed`` (a page of the changed feed),
    ``deleted`` (a page of the deleted feed), ``fetch``, ``find``, ``create``, ``update``, ``archive``.
    ``per_link`` is what each kind of link that is wanted costs on top, in calls of the same bucket.
    ``per_rows`` is what each list of rows costs on top, where rows are records of their own.
    ``conditional``: the vendor itself refuses a write of this way (``Stale``) to a record that is no longer
    of ``Write.version``. Such a way stands beside the plain one; jobs with ``guarding: strict`` use it.
    ``asynchronous``: ``write`` answers ``Pending`` and ``outcomes`` tells, maybe minutes later, what
    became of the rows; ``cost`` counts the usual calls of both. Such a way stands beside the plain one and is
    taken where it costs fewer calls. Nothing may take effect before the ticket is out: a run that is killed
    could not ask for it.
    """

    op: Literal[
        "list", "changed", "deleted", "fetch", "find", "create", "update", "archive"
    ]
    rows: int
    cost: int = 1
    bucket: str = "calls"
    per_link: int = 0
    per_rows: int = 0
    conditional: bool = False
    asynchronous: bool = False

    def calls(self, rows: int) -> int:
        """What so many rows take."""
        return -(-rows // self.rows) * self.cost


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One field of a resource as the vendor describes it. ``path`` is as mappings write it."""

    path: str
    label: str
    type: str
    required: bool = False
    unique: bool = False
    read_only: bool = False
    options: tuple[str, ...] = ()
    closed: bool = False
    """Whether the vendor refuses values that are not among the options."""
    refers_to: tuple[str, ...] = ()
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of record at a vendor.

    ``feeds`` names what ``read`` can answer besides the full listing; ``lag`` is how many seconds the
    changed feed may be behind: the next pull starts so much before the last mark.
    ``indexed`` says that this feed shows what an index has, which is behind the records themselves: what
    seems to have changed is read by id before anything is made of it.
    ``needs`` are links the vendor requires before a record may be created.
    ``clock`` says that ``edited`` can tell when fields were edited.
    ``billed`` is what a new record counts for at the vendor, in words that go on after "counts for".
    ``describes_all`` says that ``describe`` names every field there is: one that it leaves out is gone.
    ``sets_off`` are the vendor's automations that a write may start, ``kept_still`` those that this
    connector's writes do not; people read both before they say yes to a plan.
    """

    name: str
    can: Can
    effect: Effect = Effect.UNSAFE
    feeds: tuple[str, ...] = ("changed",)
    links: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    lag: int = 120
    indexed: bool = False
    needs: tuple[str, ...] = ()
    fields: tuple[FieldInfo, ...] = ()
    clock: bool = False
    billed: str = ""
    sets_off: tuple[str, ...] = ()
    kept_still: tuple[str, ...] = ()
    describes_all: bool = False

    def way(self, op: str) -> Way:
        """The way for an operation; one record a call where the connector declares none."""
        mine = (w for w in self.ways if w.op == op)
        plain = (w for w in mine if not (w.conditional or w.asynchronous))
        return next(plain, Way(op, 1))  # type: ignore[arg-type]

    def asynchronous_way(self, op: str) -> Way | None:
        """The way on which the vendor takes many rows and works on them; None where it has none."""
        return next((w for w in self.ways if w.op == op and w.asynchronous), None)

    def conditional_way(self, op: str) -> Way | None:
        """The way on which the vendor refuses to change what has moved; None where it has none."""
        return next((w for w in self.ways if w.op == op and w.conditional), None)


@dataclass(frozen=True, slots=True)
class Account:
    """Who answered: the vendor's own account id pins a connection. ``user`` makes our writes."""

    id: str
    name: str
    user: str | None = None
    zone: str | None = None
    currency: str | None = None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limit:
    """``amount`` requests (or credits) per ``per`` seconds in a bucket.

    A ``rolling`` window counts the last ``per`` seconds and is waited for. A ``daily`` one is not: at nine
    tenths of it calls end, the rest is for people. ``concurrent`` bounds requests in flight (``per`` is
    ignored).
    """

    bucket: str
    amount: int
    per: float
    kind: Literal["rolling", "daily", "concurrent"] = "rolling"


@dataclass(frozen=True, slots=True)
class Left:
    """What a vendor says is left of a bucket's day.

    ``of``: how much there is in all, where it says so. ``resets``: when its day ends; None for a window that
    rolls, or where nobody knows.
    """

    amount: float
    of: float | None = None
    resets: datetime | None = None


class Kind(enum.Enum):
    """What an answer means; the hub decides what follows."""

    THROTTLED = "throttled"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    """Not applied; try again."""
    AMBIGUOUS = "ambiguous"
    """It may have been applied."""
    EXPIRED = "expired"
    """The vendor says that the access token has died of age: with another one the same call is good."""
    AUTH = "auth"
    """The access token is not accepted (any more)."""
    DENIED = "denied"
    """The credentials are good but may not do this."""
    STALE = "stale"
    EXISTS = "exists"
    MISSING = "missing"
    MARK_LOST = "mark_lost"
    RECORD = "record"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class Fault:
    """A vendor's error answer, sorted. ``wait`` is in seconds; ``there`` goes with EXISTS."""

    kind: Kind
    message: str
    code: str = ""
    wait: float | None = None
    there: str | None = None
    fields: tuple[str, ...] = ()


class Connector:
    """A vendor's system. Subclass it, name it, declare its resources.

    Args of the constructor are given by the hub: ``config`` is an instance of ``Config`` whose
    secrets are still references, ``http`` signs, limits and retries.
    Making a connector does no I/O.
    """

    name: ClassVar[str]
    auth: ClassVar[Auth] = Auth()
    resources: ClassVar[tuple[Resource, ...]] = ()
    base_url: ClassVar[str] = ""
    """Where the vendor lives; a connection's ``base_url`` overrides it."""
    origins: ClassVar[tuple[str, ...]] = ()
    """Host suffixes besides the base URL's own host that credentials may be sent to."""
    signed: ClassVar[Signed | Shared | None] = None
    """How the vendor signs what it sends to ``hear``; None where it sends nothing."""
    key_field: ClassVar[str | None] = None
    """The vendor's name of the field that holds the record key, unless the connection says another."""
    call_seconds: ClassVar[float] = 900.0
    """Seconds after which a call of this connector that has not come back is given up, its waits included."""

    class Config(BaseModel):
        """A connection's own keys. ``SecretStr`` fields take references only."""

        model_config = ConfigDict(
            extra="forbid", hide_input_in_errors=True, frozen=True
        )

        base_url: str | None = None

    def __init__(
        self, config: Any, http: Http, *, clock: Clock, key_field: str | None = None
    ) -> None:
        self.config = config
        self.http = http
        self.clock = clock
        self.key = key_field
        """The key field in use, None where the account may not be altered."""

    async def check(self) -> Account:
        """Who we are at the vendor. One cheap call.

        Raises:
            AuthError: the vendor does not accept the credentials.
        """
        raise NotImplementedError

    async def describe(self, resource: str) -> Resource:
        """The resource with its fields, live from the vendor."""
        return self.resource(resource)

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """One page of a feed.

        ``feed`` is ``changed`` or ``deleted``. ``at`` is None (from the beginning: of ``changed`` that
        means a listing of every live record), a ``next`` or a ``mark`` this connector gave.
        One row that cannot be read must not spoil its page: leave out the fields that cannot, which then have
        no opinion; a page that raises is read again by every run, and nothing after it is ever reached.

        Raises:
            MarkLost: ``at`` has expired.
        """
        raise NotImplementedError

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Records by id, at most ``way('fetch').rows`` of them. An id that is left out is unknown."""
        raise NotImplementedError

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """When fields were edited last, by record id and path, as narrowly as the vendor tells.

        Asked for records that were edited on both sides only; what is left out is unknown.
        """
        return {}

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of one field; ``path`` may be the key field's."""
        raise NotImplementedError

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome] | Pending:
        """Writes of one op, at most ``way.rows``; one outcome per write, in the order of ``writes``.

        The default sends them one by one through ``create``, ``update`` and ``archive``.

        Raises:
            Unavailable: nothing of it was applied.
            InDoubt: the call was sent and not answered.
        """
        return [await self._one(resource, w) for w in writes]

    async def _one(self, resource: str, w: Write) -> Outcome:
        try:
            match w.op:
                case "create":
                    return await self.create(resource, w)
                case "update":
                    return await self.update(resource, w)
                case "archive":
                    return await self.archive(resource, w)
        except VendorError as e:
            return e

    async def create(self, resource: str, write: Write) -> Done:
        """Create one record that holds ``write.key`` in the key field."""
        raise NotImplementedError

    async def update(self, resource: str, write: Write) -> Done:
        """Change the given fields of one record and nothing else."""
        raise NotImplementedError

    async def archive(self, resource: str, write: Write) -> Done:
        """Archive or delete one record; quiet when it is gone already."""
        raise NotImplementedError

    async def outcomes(
        self, resource: str, writes: Sequence[Write], ticket: str
    ) -> Sequence[Outcome] | Pending:
        """What became of writes that were answered Pending.

        The ticket may be a dead run's: it was kept before anything was waited for. ``writes`` are the same
        by record key and id, though their trace ids may be others and some may be missing. A ticket that the
        vendor does not know any more is ``InDoubt`` for each.
        """
        raise NotImplementedError

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The key field a resource still lacks, in one line, or None; made when ``make`` is set."""
        return None

    def hear(self, request: Request) -> Heard:
        """What a request of the vendor hints at. Its signature is good; its words are hints, no more.

        Records that it names are read again before anything is done, so it may come late, twice, in any
        order or not at all. What it says of another account is left out.

        Raises:
            ValueError: it is not what the vendor documents.
        """
        return Heard()

    @classmethod
    def permissions(cls, needs: Sequence[Need]) -> Sequence[Permission]:
        """What an administrator has to grant for all of this to be done."""
        return ()

    @classmethod
    def covers(cls, granted: Collection[str], scope: str) -> bool:
        """Whether the scopes that were granted hold this one."""
        return scope in granted

    @classmethod
    def permission_files(cls, job: str, needs: Sequence[Need]) -> Mapping[str, str]:
        """The same as files that an administrator can deploy, by name; none where there are no such."""
        return {}

    def limits(self) -> Sequence[Limit]:
        """The vendor's limits for this account."""
        return ()

    def fault(self, answer: Answer) -> Fault | None:
        """Sort an answer of status >= 300; None leaves it to the hub's table of statuses."""
        return None

    def heed(self, answer: Answer) -> Mapping[str, float | Left]:
        """What the answer's headers say is left of the day, per bucket."""
        return {}

    @classmethod
    def resource(cls, name: str) -> Resource:
        """The declared resource of that name.

        Raises:
            PluginError: the connector declares none.
        """
        for r in cls.resources:
            if r.name == name:
                return r
        raise PluginError(f"connector {cls.name} has no resource {name!r}")


ConnectorHook = Callable[[], Sequence[type[Connector]]]

__all__ = [
    "Account",
    "Can",
    "Connector",
    "ConnectorHook",
    "Done",
    "Effect",
    "Fault",
    "FieldInfo",
    "Gone",
    "Kind",
    "Left",
    "Limit",
    "Outcome",
    "Page",
    "Pending",
    "Record",
    "Resource",
    "Want",
    "Way",
    "Write",
]
