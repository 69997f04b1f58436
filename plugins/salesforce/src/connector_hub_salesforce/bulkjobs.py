"""The sandbox's Bulk API 2.0: ingest and query jobs that take their time.

A job is worked off as the sandbox's clock goes on: whoever looks at it sees how far it has come. Rows are
taken in an order of their own, as the vendor's parallel batches do.
Source: Bulk API 2.0 and Bulk API Developer Guide.
"""

from __future__ import annotations

import csv
import io
import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from connector_hub.testing import SandboxClock
from connector_hub_salesforce import soql
from connector_hub_salesforce.calls import Call, Reply, not_allowed, nowhere, only
from connector_hub_salesforce.ids import long_id
from connector_hub_salesforce.objects import COMPOUND, NUMBERS, Field, Kind
from connector_hub_salesforce.org import ROBOT, Org, Row
from connector_hub_salesforce.refused import Refused

NULL = "#N/A"
"""What empties a field; an empty cell leaves it as it is."""
MOST_BYTES = 100_000_000
"""Of one upload, before the vendor's base64 makes 150 MB of them."""
BATCH = 10_000
"""Rows the vendor works on together; each batch counts for the daily limit."""
BATCHES, QUERIES = 15_000, 10_000
"""Ingest batches and query jobs per 24 hours."""
_DAY, _KEPT = 86_400.0, 7 * 86_400.0
_QUERY_PAGE = 50_000
_OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
_DELIMITERS = {
    "COMMA": ",",
    "TAB": "\t",
    "SEMICOLON": ";",
    "PIPE": "|",
    "CARET": "^",
    "BACKQUOTE": "`",
}
_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
_ENDED = frozenset({"JobComplete", "Failed", "Aborted"})
_RESULTS = frozenset({"successfulresults", "failedresults", "unprocessedrecords"})
"""In letters of either case: simple-salesforce writes ``unprocessedRecords``."""


@dataclass(slots=True)
class Job:
    """A job. ``rows`` are (number in the upload, cells) in the order they are worked off."""

    id: str
    kind: str
    version: str
    body: Mapping[str, Any]
    made: float
    stamp: str
    state: str = "Open"
    changed: str = ""
    closed: float | None = None
    error: str | None = None
    header: Sequence[str] = ()
    content: bytes | None = None
    rows: Sequence[Sequence[str]] = ()
    done: list[tuple[Sequence[str], str, bool]] = field(default_factory=list)
    failed: list[tuple[Sequence[str], str, str]] = field(default_factory=list)

    @property
    def delimiter(self) -> str:
        """Between cells."""
        return _DELIMITERS[self.body.get("columnDelimiter", "COMMA")]

    @property
    def processed(self) -> int:
        """Rows that have been tried; of a query, rows found."""
        return len(self.rows) if self.kind == "query" else len(self.done + self.failed)


class Jobs:
    """All jobs of an org.

    Args:
        org: whose records they are about.
        clock: what they take their time by.
        seconds: how long a job of any size takes.
    """

    def __init__(
        self,
        org: Org,
        clock: SandboxClock,
        seconds: Callable[[], float],
    ) -> None:
        self.org, self.clock, self.seconds = org, clock, seconds
        self.jobs: dict[str, Job] = {}
        self._made = 0
        self.batches: deque[float] = deque()
        self.queries: deque[float] = deque()

    # -- the door ------------------------------------------------------------

    def answer(self, call: Call) -> Reply:
        """A call under ``/jobs``.

        Raises:
            Refused: as the vendor would.
        """
        self.work()
        match call.path[1:]:
            case ("ingest" | "query" as kind,):
                if call.method == "GET":
                    return self._listed(call, kind)
                only(call, "POST")
                return self._created(call, kind)
            case ("ingest" | "query" as kind, record):
                return self._one(call, self._job(kind, record))
            case ("ingest", record, "batches"):
                only(call, "PUT")
                return self._uploaded(call, self._job("ingest", record))
            case ("ingest", record, which) if which.lower() in _RESULTS:
                only(call, "GET")
                job = self._job("ingest", record)
                return Reply(200, self._results(job, which.lower()))
            case ("query", record, "results"):
                only(call, "GET")
                return self._found(call, self._job("query", record))
        raise nowhere()

    def left(self) -> Mapping[str, Mapping[str, int]]:
        """What ``/limits`` tells of jobs."""
        return {
            "DailyBulkApiBatches": _remaining(BATCHES, self._today(self.batches)),
            "DailyBulkV2QueryJobs": _remaining(QUERIES, self._today(self.queries)),
        }

    def _today(self, log: deque[float]) -> int:
        oldest = self.clock.time() - _DAY
        while log and log[0] < oldest:
            log.popleft()
        return len(log)

    def _job(self, kind: str, record: str) -> Job:
        found = self.jobs.get(long_id(record)) if len(record) in {15, 18} else None
        if found is None or found.kind != kind:
            raise nowhere()
        return found

    def _listed(self, call: Call, kind: str) -> Reply:
        rows = [_info(j, call.base) for j in self.jobs.values() if j.kind == kind]
        return Reply(200, {"done": True, "records": rows, "nextRecordsUrl": None})

    def _one(self, call: Call, job: Job) -> Reply:
        match call.method:
            case "GET":
                return Reply(200, _info(job, call.base, whole=True))
            case "PATCH":
                self._move(job, str(call.body.get("state")))
                return Reply(200, _info(job, call.base))
            case "DELETE":
                if job.state not in {*_ENDED, "UploadComplete"}:
                    raise _state(job, "deleted")
                del self.jobs[job.id]
                return Reply(204)
        raise not_allowed(call)

    def _created(self, call: Call, kind: str) -> Reply:
        body = dict(call.body)
        operation = body.get("operation")
        self._made += 1
        number = f"{self._made:07}"
        record = long_id(f"750gK000{number}"[:15].ljust(15, "0"))
        now = self.clock.time()
        job = Job(record, kind, call.version, body, now, self._now())
        job.changed = job.stamp
        for name, known in (
            ("columnDelimiter", _DELIMITERS),
            ("lineEnding", _ENDINGS),
        ):
            if body.get(name, next(iter(known))) not in known:
                raise _invalid(f"{name} is not one of {', '.join(known)}")
        if kind == "query":
            self._ask(job)
            self._close(job)
        else:
            if operation not in _OPERATIONS:
                raise _invalid(f"Unable to find operation: {operation}")
            self._meant(job)
            if self._today(self.batches) >= BATCHES:
                raise Refused("EXCEEDEDQUOTA", "ApiBatchItems Limit exceeded.")
        self.jobs[record] = job
        return Reply(200, _info(job, call.base))

    def _now(self) -> str:
        return soql.stamp(self.clock.now().replace(microsecond=0))

    def _meant(self, job: Job) -> None:
        """The object and key of an ingest job."""
        try:
            kind = self.org.kind(str(job.body.get("object")))
        except Refused:
            raise Refused(
                "INVALIDENTITY",
                f"The entity {job.body.get('object')} is not available through the Bulk API.",
            ) from None
        if not kind.writable:
            raise Refused(
                "INVALIDENTITY", f"Entity '{kind.name}' is not supported to be written."
            )
        job.body = {**job.body, "object": kind.name}
        if job.body["operation"] != "upsert":
            return
        key = str(job.body.get("externalIdFieldName") or "")
        f = kind.lower.get(key.lower())
        if f is None or not (f.external or f.id_lookup or f.type == "id"):
            raise _invalid(
                f"Field name provided, {key} does not match an External ID, Salesforce Id, "
                f"or indexed field for {kind.name}"
            )

    # -- ingest --------------------------------------------------------------

    def _uploaded(self, call: Call, job: Job) -> Reply:
        if job.state != "Open":
            raise _state(job, "given content")
        if job.content is not None:
            raise Refused(
                "CLIENTINPUTERROR",
                f"Found multiple contents for job: <{job.id}>, please 'Close' / 'Abort' / "
                "'Delete' the current Job then create a new Job and make sure you only do "
                "'PUT' once on a given Job.",
            )
        if len(call.raw) > MOST_BYTES:
            raise Refused(
                "EXCEEDED_MAX_SIZE_REQUEST",
                "Maximum allowed size is 150 MB",
                status=413,
            )
        job.content = call.raw
        return Reply(201)

    def _move(self, job: Job, state: str) -> None:
        if state == "Aborted" and job.state not in _ENDED:
            job.state, job.changed = state, self._now()
        elif state == "UploadComplete" and job.state == "Open" and job.kind == "ingest":
            self._close(job)
            self._read(job)
        else:
            raise _state(job, f"moved to {state}")

    def _close(self, job: Job) -> None:
        job.state, job.closed, job.changed = (
            "UploadComplete",
            self.clock.time(),
            self._now(),
        )

    def _read(self, job: Job) -> None:
        """What was uploaded, as rows; what cannot be read fails the job as a whole."""
        text = (job.content or b"").decode("utf-8-sig", "replace")
        first = text.partition("\n")[0]
        crlf = job.body.get("lineEnding", "LF") == "CRLF"
        if text and first.endswith("\r") != crlf:
            job.error = (
                "ClientInputError : LineEnding is invalid on user data. "
                f"Current LineEnding setting is {'CRLF' if crlf else 'LF'}"
            )
            return
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=job.delimiter)
        try:
            header, *rows = [r for r in reader if r]
        except ValueError:
            header, rows = [], []
        job.header = header
        kind = self.org.kinds[job.body["object"]]
        unknown = [n for n in header if not self._column(kind, n)]
        if unknown or any(len(r) != len(header) for r in rows):
            what = (
                f"Field name not found : {unknown[0]}"
                if unknown
                else "The number of fields in a row is not that of the header"
            )
            job.error = f"InvalidBatch : {what}"
        job.rows = rows
        random.Random(job.id).shuffle(rows)  # noqa: S311 - an order, not a secret
        self.batches.extend([self.clock.time()] * -(-len(rows) // BATCH))

    def _column(self, kind: Kind, name: str) -> Field | None:
        """The field a column is about: its own, or one of the record a lookup leads to."""
        here, _, there = name.partition(".")
        if not there:
            return kind.lower.get(here.lower())
        lookup = kind.relations.get(here.lower())
        if lookup is None:
            return None
        return self.org.kinds[lookup.targets[0]].lower.get(there.lower())

    def work(self) -> None:
        """Go on with every job as far as the time that went by allows; old ones are forgotten."""
        now = self.clock.time()
        for job in list(self.jobs.values()):
            if now - job.made > _KEPT:
                del self.jobs[job.id]
            elif job.closed is not None and job.state not in _ENDED:
                self._go_on(job, now - job.closed)

    def _go_on(self, job: Job, since: float) -> None:
        seconds = self.seconds()
        share = min(since / seconds, 1.0) if seconds > 0 else 1.0
        if job.kind == "ingest" and job.error is None:
            for row in job.rows[job.processed : int(len(job.rows) * share)]:
                self._carry_out(job, row)
        if share >= 1:
            job.state = "Failed" if job.error else "JobComplete"
            job.changed = self._now()
            if job.kind == "query":
                job.rows = self._asked(job)
        elif share > 0:
            job.state = "InProgress"

    def _carry_out(self, job: Job, row: Sequence[str]) -> None:
        """A row: an error is told in the words of ``sf__Error``."""
        kind = self.org.kinds[job.body["object"]]
        try:
            record, created = self._write(job, kind, row)
        except Refused as e:
            fields = ",".join(e.fields)
            known = dict(zip(job.header, row, strict=True)).get("Id", "")
            job.failed.append((row, known, f"{e.code}:{e.message}:{fields} --"))
        else:
            job.done.append((row, record, created))

    def _write(self, job: Job, kind: Kind, row: Sequence[str]) -> tuple[str, bool]:
        values = self._values(kind, job.header, row)
        operation = job.body["operation"]
        record = str(values.pop("Id", "") or "")
        if operation == "upsert":
            return self._upserted(job, kind, values, record)
        if operation == "insert":
            return self.org.insert(kind, values), True
        if not record:
            raise Refused("MISSING_ARGUMENT", "Id not specified in an update call")
        if operation == "update":
            self.org.update(kind, record, values)
        else:
            self.org.delete(kind, record)
        return long_id(record), False

    def _upserted(
        self, job: Job, kind: Kind, values: Row, record: str
    ) -> tuple[str, bool]:
        f = kind.lower[str(job.body["externalIdFieldName"]).lower()]
        key = record if f.type == "id" else values.get(f.name)
        if not key and f.type != "id":
            raise Refused("MISSING_ARGUMENT", f"{f.name} not specified", (f.name,))
        there = self.org.by_value(kind, f, key) if key else []
        if len(there) > 1:
            raise Refused(
                "DUPLICATE_VALUE",
                f"{f.name}: more than one record found for external id field: {there}",
                (f.name,),
            )
        if there:
            self.org.update(kind, there[0], values)
            return there[0], False
        return self.org.insert(kind, values), True

    def _values(self, kind: Kind, header: Sequence[str], row: Sequence[str]) -> Row:
        body: dict[str, Any] = {}
        for name, cell in zip(header, row, strict=True):
            if cell == "":
                continue
            f = self._column(kind, name)
            assert f is not None  # noqa: S101 - the header was looked at
            value = None if cell == NULL else _typed(f, cell)
            here, _, there = name.partition(".")
            body[here] = {there: value} if there else value
        return self.org.values(kind, body)

    def _results(self, job: Job, which: str) -> str:
        """Rows of one fate as they were uploaded, behind what became of them."""
        if job.state not in _ENDED:
            raise _state(job, "asked for its results")
        if which == "unprocessedrecords":
            rest = job.rows[job.processed :]
            return _text(job.header, rest, job.delimiter)
        if which == "failedresults":
            told = [(i, error, *row) for row, i, error in job.failed]
            head = ("sf__Id", "sf__Error", *job.header)
        else:
            told = [(i, str(new).lower(), *row) for row, i, new in job.done]
            head = ("sf__Id", "sf__Created", *job.header)
        return _text(head, told, job.delimiter)

    # -- queries -------------------------------------------------------------

    def _ask(self, job: Job) -> None:
        """What a query job may ask for."""
        if job.body.get("operation") not in {"query", "queryAll"}:
            raise _invalid(f"Unable to find operation: {job.body.get('operation')}")
        q = soql.parse(str(job.body.get("query", "")))
        if q.count or q.fields or q.offset:
            raise Refused(
                "API_ERROR",
                "Aggregates, FIELDS() and OFFSET are not supported in Bulk Query",
            )
        kind = self.org.kind_of(q)
        for path, at in q.paths:
            f = self.org.resolve(kind.name, path)
            if f is None:
                raise soql.no_column(q.text, at, path, kind.name)
            if f.type in COMPOUND:
                raise Refused(
                    "API_ERROR", "Selecting compound data not supported in Bulk Query"
                )
        if self._today(self.queries) >= QUERIES:
            raise Refused("EXCEEDEDQUOTA", "DailyBulkV2QueryJobs Limit exceeded.")
        self.queries.append(self.clock.time())
        job.body = {**job.body, "object": kind.name}
        job.header = [path for path, _ in q.paths]

    def _asked(self, job: Job) -> Sequence[Sequence[str]]:
        """The rows of a query, as its end found them."""
        q = soql.parse(str(job.body["query"]))
        kind = self.org.kinds[job.body["object"]]
        every = job.body["operation"] == "queryAll"
        rows = self.org.matching(q, kind, deleted=every)
        get = [self.org.getter(kind.name, path) for path in job.header]
        types = [self.org.resolve(kind.name, path) for path in job.header]
        return [
            [_cell(f, g(row)) for f, g in zip(types, get, strict=True)] for row in rows
        ]

    def _found(self, call: Call, job: Job) -> Reply:
        """A part of what was found; the last one's locator is the word ``null``."""
        if call.version != job.version:
            raise Refused(
                "API_ERROR",
                f"The job was created with API version {job.version}",
                status=409,
            )
        if job.state != "JobComplete":
            raise _state(job, "asked for its results")
        try:
            start = int(urlsafe_b64decode(call.params.get("locator", "MA==")))
            size = int(call.params.get("maxRecords", _QUERY_PAGE))
        except (ValueError, NotBase64):
            raise Refused("INVALIDLOCATOR", "invalid locator") from None
        part = job.rows[start : start + size]
        end = start + len(part)
        following = (
            urlsafe_b64encode(str(end).encode()).decode()
            if end < len(job.rows)
            else "null"
        )
        return Reply(
            200,
            _text(job.header, part, job.delimiter),
            {
                "Sforce-Locator": following,
                "Sforce-NumberOfRecords": str(len(part)),
            },
        )


def _remaining(most: int, used: int) -> Mapping[str, int]:
    return {"Max": most, "Remaining": max(most - used, 0)}


def _typed(f: Field, cell: str) -> Any:
    """A cell as the JSON value of its field.

    Raises:
        Refused: it is none.
    """
    if f.type == "boolean":
        return cell.strip().lower() in {"true", "1"}
    if f.type in NUMBERS:
        try:
            return int(cell) if f.type == "int" else float(cell)
        except ValueError:
            raise Refused(
                "INVALID_TYPE_ON_FIELD_IN_RECORD",
                f"{f.label}: value not of required type: {cell}",
                (f.name,),
            ) from None
    return cell


def _cell(f: Field | None, value: Any) -> str:
    """A value as a query's CSV has it: instants with ``Z``, nothing for null."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if f is not None and f.type == "datetime":
        return str(value).replace("+0000", "Z")
    return str(value)


def _text(
    head: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ","
) -> str:
    out = io.StringIO()
    writer = csv.writer(
        out, quoting=csv.QUOTE_ALL, lineterminator="\n", delimiter=delimiter
    )
    if head:
        writer.writerow(head)
    writer.writerows(rows)
    return out.getvalue()


def _info(job: Job, base: str, *, whole: bool = False) -> dict[str, Any]:
    """A job as the vendor tells it; ``whole`` with its counts."""
    kind = "V2Ingest" if job.kind == "ingest" else "V2Query"
    found: dict[str, Any] = {
        "id": job.id,
        "operation": job.body["operation"],
        "object": job.body["object"],
        "createdById": long_id(ROBOT),
        "createdDate": job.stamp,
        "systemModstamp": job.changed,
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version[1:]),
        "lineEnding": job.body.get("lineEnding", "LF"),
        "columnDelimiter": job.body.get("columnDelimiter", "COMMA"),
    }
    if job.kind == "ingest":
        found["contentUrl"] = f"{base[1:]}/jobs/ingest/{job.id}/batches"
        if job.body["operation"] == "upsert":
            found["externalIdFieldName"] = job.body["externalIdFieldName"]
    if whole:
        found |= {
            "jobType": kind,
            "retries": 0,
            "totalProcessingTime": 0,
            "numberRecordsProcessed": job.processed,
        }
        if job.kind == "ingest":
            found |= {
                "numberRecordsFailed": len(job.failed),
                "apiActiveProcessingTime": 0,
                "apexProcessingTime": 0,
            }
        else:
            found["isPkChunkingSupported"] = True
        if job.error and job.state == "Failed":
            found["errorMessage"] = job.error
    return found


def _invalid(message: str) -> Refused:
    return Refused("INVALIDJOB", message)


def _state(job: Job, what: str) -> Refused:
    return Refused("INVALIDJOBSTATE", f"A job in state {job.state} cannot be {what}.")
