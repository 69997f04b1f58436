"""Who is told of what, and when it is worth a message: a state that changed, once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from connector_hub.model.plan import Receipt
from connector_hub.model.standing import Standing

Topic = Literal["failed", "waiting", "reconnect", "dead_letters", "conflicts"]
TOPICS: tuple[Topic, ...] = (
    "failed",
    "waiting",
    "reconnect",
    "dead_letters",
    "conflicts",
)
_COUNTED = ("dead_letters", "conflicts")
_ENDED = ("done", "partial", "waiting")
_NOT_FAILED = ("Locked", "Paused")
"""Errors after which nothing is known of the job: it did not run."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A way to people: by mail. ``password`` is a reference; ``tls`` *starttls*, *implicit* or *none*."""

    to: tuple[str, ...]
    sender: str
    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: Literal["starttls", "implicit", "none"] = "starttls"

    def label(self) -> str:
        """For people who look at the list."""
        return f"mail to {', '.join(self.to)}"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A way to programs: a POST. ``url`` may be, and ``secret`` is, a reference."""

    url: str
    secret: str | None = None
    host: str = ""

    def label(self) -> str:
        """Without the address's path, which may be a secret itself."""
        return f"webhook {self.host}"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, and of what."""

    way: Mail | Webhook
    topics: frozenset[str] = frozenset(TOPICS)

    def identity(self) -> Sequence[str]:
        """What tells it from the others, whatever else of it is edited."""
        if isinstance(self.way, Mail):
            return ("mail", *sorted(self.way.to))
        return ("webhook", self.way.url)


Fact = tuple[Topic, str]
"""Something about a job or a connection that can be well or not."""


@dataclass(frozen=True, slots=True)
class News:
    """A state that changed: ``count`` 0 says that it is well again. No value of a record is in it."""

    topic: Topic
    subject: str
    count: int
    code: str = ""

    def text(self) -> str:
        """In one line."""
        subject, n = self.subject, f"{self.count:,}"
        over = not self.count
        match self.topic:
            case "failed":
                code = f" ({self.code})" if self.code else ""
                return f"{subject} is well again" if over else f"{subject} failed{code}"
            case "waiting":
                what = "waits no longer" if over else "waits for a yes"
                return f"{subject} {what}"
            case "reconnect":
                if over:
                    return f"connection {subject} is back"
                return f"connection {subject} must be reconnected"
        what = self.topic.replace("_", " ")
        if self.count == 1:
            what = what.removesuffix("s")
        return f"{subject}: {f'no {what}' if over else f'{n} {what}'} open"

    def command(self) -> str:
        """What to look at, or do, next; empty where nothing is to do."""
        if not self.count:
            return ""
        match self.topic:
            case "failed":
                return "connector-hub runs"
            case "waiting":
                return f"connector-hub plans list --job {self.subject}"
            case "reconnect":
                return f"connector-hub connect {self.subject}"
        name = self.topic.replace("_", "-")
        return f"connector-hub {name} list --job {self.subject}"

    def document(self) -> Mapping[str, Any]:
        """As JSON values."""
        return {
            "topic": self.topic,
            "subject": self.subject,
            "count": self.count,
            "code": self.code,
            "text": self.text(),
            "command": self.command(),
        }


def facts(
    receipts: Iterable[Receipt],
    standings: Iterable[Standing],
    connections: Iterable[str],
) -> dict[Fact, tuple[int, str]]:
    """What some runs say about their jobs, and the state about connections: (how many, error's name).

    What did not run, or was broken off, says nothing.
    """
    found: dict[Fact, tuple[int, str]] = {}
    for r in receipts:
        code = str((r.error or {}).get("code", ""))
        if r.status in _ENDED:
            found["failed", r.job] = (0, "")
            found["waiting", r.job] = (int(r.status == "waiting"), "")
        elif r.status in {"failed", "refused"} and code not in _NOT_FAILED:
            found["failed", r.job] = (1, code)
        if r.run and r.status != "interrupted":
            for topic in _COUNTED:
                if topic in r.open:
                    found[topic, r.job] = (r.open[topic], "")  # type: ignore[index]
    held = {s.name: s.state for s in standings if s.what == "connection"}
    for name in connections:
        if held.get(name) != "paused":
            found["reconnect", name] = (int(held.get(name) == "reconnect"), "")
    return found


def news(
    topics: Iterable[str],
    found: Mapping[Fact, tuple[int, str]],
    told: Mapping[Fact, int],
) -> tuple[list[News], dict[Fact, int]]:
    """What a receiver has not been told yet, and what it will have been told then.

    A number that is told is told again when it has doubled; one that shrinks is not news before it is 0.
    """
    fresh: list[News] = []
    known: dict[Fact, int] = {}
    for fact, (count, code) in found.items():
        before = told.get(fact, 0)
        if fact[0] not in topics or count == before:
            continue
        grown = before == 0 or count >= 2 * before
        if count == 0 or grown:
            fresh.append(News(*fact, count, code))
        if count < before or grown:
            known[fact] = count
    return fresh, known
