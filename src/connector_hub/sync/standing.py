"""Who may not run now: what a person paused, connections that must be reconnected, vendors that fail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime

from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import AuthError, ConfigError, Paused
from connector_hub.model.job import Job
from connector_hub.model.standing import Held, Standing
from connector_hub.ports import Store

_KINDS: tuple[Held, Held] = ("job", "connection")


def named(text: str, known: Mapping[Held, Collection[str]]) -> tuple[Held, str]:
    """What a person means by a name: a job or a connection; ``job:NAME`` where it is both.

    Raises:
        ConfigError: it is neither, or both.
    """
    word, colon, rest = text.partition(":")
    wanted = [k for k in _KINDS if not colon or k == word]
    name = rest if colon else text
    found = [k for k in wanted if name in known[k]]
    if len(found) == 1:
        return found[0], name
    if found:
        raise ConfigError(
            f"{name!r} is a job and a connection",
            hint=f"write job:{name} or connection:{name}",
        )
    there = [n for k in wanted or _KINDS for n in known[k]]
    raise ConfigError(
        f"there is no job or connection {text!r}", hint=did_you_mean(name, there)
    )


def of_job(store: Store, job: Job) -> list[Standing]:
    """What holds a job: itself or one of its connections."""
    mine = {
        ("job", job.name),
        ("connection", job.left.connection),
        ("connection", job.right.connection),
    }
    return [s for s in store.standings() if (s.what, s.name) in mine]


def refuse_paused(store: Store, job: Job) -> None:
    """Stop what writes where a person has said so.

    Raises:
        Paused: says who paused what, since when, and how it goes on.
    """
    for s in of_job(store, job):
        if s.state == "paused":
            raise Paused(s.told(), hint=f"connector-hub resume {s.name}")


def holds(
    store: Store, job: Job, credentials: Callable[[str], bytes]
) -> Standing | None:
    """What keeps ``run`` from a job: a pause, or credentials that were refused and have not changed since.

    That a vendor was failing is for people to know; whether it still is, only a call can tell.
    """
    for s in of_job(store, job):
        if s.state == "failing":
            continue
        if s.state == "paused" or credentials(s.name) == s.credentials:
            return s
    return None


def refused(
    store: Store, connection: str, error: AuthError, credentials: bytes, now: datetime
) -> None:
    """A vendor does not accept the credentials of a connection; what a person paused stays so."""
    known = {s.name: s for s in store.standings() if s.what == "connection"}
    before = known.get(connection)
    found = Standing(
        "connection",
        connection,
        "reconnect",
        now,
        why=error.code,
        credentials=credentials,
    )
    if before is None:
        store.set_standing(found)
    elif before.state == "reconnect":
        store.set_standing(replace(found, since=before.since))


def failing(store: Store, connection: str, since: datetime) -> None:
    """A vendor fails too often to be called; what else is known of the connection stays."""
    if not any(
        (s.what, s.name) == ("connection", connection) for s in store.standings()
    ):
        store.set_standing(Standing("connection", connection, "failing", since))


def accepted(store: Store, connection: str) -> None:
    """A vendor has answered: the connection is good again."""
    for s in store.standings():
        mine = (s.what, s.name) == ("connection", connection)
        if mine and s.state != "paused":
            store.clear_standing(s.what, s.name)
