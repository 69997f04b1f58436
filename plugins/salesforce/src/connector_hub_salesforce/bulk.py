"""Bulk API 2.0 as the connector speaks it: CSV, jobs that are worked on for minutes, results in no order.

A ticket is a job's id. The job is made first and filled by whoever asks for it, so that a run that is killed
in between leaves an empty job, or one that another run goes on with.
Source: Bulk API 2.0 and Bulk API Developer Guide.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from connector_hub.sdk import (
    Answer,
    Done,
    InDoubt,
    Outcome,
    Unavailable,
    Write,
)
from connector_hub_salesforce import faults, query
from connector_hub_salesforce.values import spelled

NULL = "#N/A"
"""What empties a field; an empty cell leaves it as it is."""
ROWS = 10_000
"""Of a job: what the vendor works on together."""
CALLS = 12
"""Of a job: make, look, fill, close, some six looks, two results."""
BYTES = 20_000_000
"""Of a job, far below the vendor's 100 MB: its results come back with every column in one answer."""
PAGES, LOOKS = 5, 8
"""Of a query: pages that one answer of its result stands for, and its other calls (to make it, to look)."""
ENDED = frozenset({"JobComplete", "Failed", "Aborted"})
LEAST, _MOST = 5.0, 300.0
"""Seconds between two looks."""


def is_sayable(w: Write) -> bool:
    """Whether CSV can say a write's values: the text that means null it cannot."""
    return not any(isinstance(v, str) and v.strip() == NULL for v in w.fields.values())


def sheet(writes: Sequence[Write], key: str | None) -> bytes:
    """Writes of one operation as CSV, a parent's children together: parallel batches lock parents.

    ``key`` is the column of the record key in creates; updates have ``Id``.
    """
    own = "Id" if writes[0].op == "update" else key
    columns = sorted({query.name(p) for w in writes for p in w.fields})
    out = io.StringIO()
    table = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    table.writerow([own, *columns] if own else columns)
    for w in sorted(writes, key=_parents):
        mine = [w.id if own == "Id" else w.key] if own else []
        table.writerow([*mine, *(_cell(w, p) for p in columns)])
    return out.getvalue().encode()


def _parents(w: Write) -> list[str]:
    return [str(w.fields[p]) for p in sorted(w.fields) if p.endswith("Id")]


def _cell(w: Write, path: str) -> str:
    """A hub value as a cell."""
    if path not in w.fields:
        return ""
    match w.fields[path]:
        case bool() as flag:
            return str(flag).lower()
        case datetime() | date() as at:
            text = str(spelled(at))
        case tuple() | list() as words:
            text = ";".join(map(str, words))
        case None:
            text = ""
        case value:
            text = str(value)
    return text if text.strip() else NULL


def patience(answer: Answer, job: Mapping[str, Any]) -> float:
    """Seconds to the next look: as long as the job has been there, so that looks stay few."""
    try:
        since = datetime.fromisoformat(str(job["createdDate"]))
    except (KeyError, ValueError):
        return LEAST
    now = answer.date()
    waited = (now - since).total_seconds() if now else LEAST
    return min(max(waited, LEAST), _MOST)


def rows_of(answer: Answer, first: str) -> Iterator[dict[str, str]]:
    """The rows of a CSV answer.

    Raises:
        Unavailable: it is no such answer (a proxy's page): its header does not begin as it must.
    """
    text = answer.body.decode("utf-8-sig")
    if not text.strip():
        return iter(())
    csv.field_size_limit(BYTES)
    table = csv.DictReader(io.StringIO(text, newline=""))
    if first not in (table.fieldnames or ()):
        raise Unavailable(
            "the answer is not the CSV that was asked for",
            hint="a proxy or login page may stand between the hub and Salesforce",
        )
    return iter(table)


def outcomes(
    writes: Sequence[Write],
    key: str | None,
    done: Iterable[Mapping[str, str]],
    failed: Iterable[Mapping[str, str]],
    *,
    complete: bool,
) -> dict[str, Outcome]:
    """What became of each write, by its record key; rows are known by their own column.

    Args:
        writes: of one operation.
        key: the column of the record key.
        done: ``successfulResults``.
        failed: ``failedResults``.
        complete: whether the job came to its end; rows that an aborted one does not speak of were not begun.
    """
    own = "Id" if writes[0].op == "update" else str(key)
    by_own = {str(w.id if own == "Id" else w.key).casefold(): w for w in writes}
    found: dict[str, Outcome] = {}
    for row in done:
        w = by_own.get(row.get(own, "").casefold())
        if w is not None:
            created = row.get("sf__Created", "").lower() == "true"
            found[w.key] = Done(row["sf__Id"] or w.id or "", created=created)
    for row in failed:
        w = by_own.get(row.get(own, "").casefold())
        if w is not None:
            found[w.key] = faults.refusal(w, _error(row.get("sf__Error", "")))
    for w in writes:
        found.setdefault(
            w.key,
            InDoubt("the results do not speak of this write")
            if complete
            else Unavailable("the job ended before it came to this write"),
        )
    return found


def _error(text: str) -> Mapping[str, Any]:
    """``CODE:message:FIELD,FIELD --`` as a collection's row has it."""
    word, _, rest = text.partition(":")
    message, _, tail = rest.rpartition(":")
    names = tail.removesuffix("--").replace(",", " ").split()
    sound = [n for n in names if n.replace("_", "").isalnum()]
    return {"statusCode": word.strip(), "message": message or rest, "fields": sound}
