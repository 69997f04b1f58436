"""What is worth a message: a state that changed, once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connector_hub.model.notice import (
    TOPICS,
    Mail,
    News,
    Receiver,
    Webhook,
    facts,
    news,
)
from connector_hub.model.plan import Receipt
from connector_hub.model.standing import Standing

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def tell(told: dict[Any, int], *receipts: Receipt, topics=TOPICS, **more) -> list[str]:
    """What a receiver is told after these runs; ``told`` remembers it."""
    found = facts(receipts, more.get("standings", ()), more.get("connections", ()))
    fresh, known = news(topics, found, told)
    told.update(known)
    return [n.text() for n in fresh]


def run(status: str = "done", code: str = "", **more: Any) -> Receipt:
    error = {"code": code} if code else None
    return Receipt("people", 7, status, error=error, **more)


def test_a_failure_is_told_once_and_its_end_once():
    told: dict[Any, int] = {}
    assert tell(told, run()) == []
    assert tell(told, run("failed", "Unavailable")) == ["people failed (Unavailable)"]
    assert tell(told, run("failed", "Unavailable")) == []
    assert tell(told, run("refused", "GuardTripped")) == []
    assert tell(told, run("partial")) == ["people is well again"]
    assert tell(told, run()) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("refused", "Locked"),
        ("refused", "Paused"),
        ("interrupted", "Interrupted"),
        ("paused", "Paused"),
    ],
)
def test_what_did_not_run_says_nothing(status, code):
    for before in (0, 1):
        told: dict[Any, int] = {("failed", "people"): before}
        assert tell(told, run(status, code)) == []
        assert told == {("failed", "people"): before}


def test_a_job_that_waits_is_told_once():
    told: dict[Any, int] = {}
    assert tell(told, run("waiting")) == ["people waits for a yes"]
    assert tell(told, run("waiting")) == []
    assert tell(told, run("done")) == ["people waits no longer"]


def test_what_is_open_is_told_when_it_begins_doubles_and_ends():
    told: dict[Any, int] = {}
    counts = [0, 3, 3, 5, 4, 7, 8, 2, 3, 4, 0, 0, 1]
    said = [tell(told, run(open={"dead_letters": n, "conflicts": 0})) for n in counts]
    assert [s[0] if s else "" for s in said] == [
        "",
        "people: 3 dead letters open",
        "",
        "",
        "",
        "people: 7 dead letters open",
        "",
        "",
        "",
        "people: 4 dead letters open",
        "people: no dead letters open",
        "",
        "people: 1 dead letter open",
    ]


def test_a_connection_that_is_refused_is_told_and_its_return():
    told: dict[Any, int] = {}
    lost = Standing("connection", "sales", "reconnect", NOW)
    more = {"connections": ("sales", "billing")}
    assert tell(told, run(), standings=(lost,), **more) == [
        "connection sales must be reconnected"
    ]
    assert tell(told, run(), standings=(lost,), **more) == []
    paused = Standing("connection", "sales", "paused", NOW)
    assert tell(told, run(), standings=(paused,), **more) == []
    assert tell(told, run(), **more) == ["connection sales is back"]


def test_a_pause_of_a_connection_is_no_news_whatever_was_told_before():
    """A person did it; whether its credentials are good is not known meanwhile."""
    paused = Standing("connection", "sales", "paused", NOW)
    for before in (0, 1):
        told: dict[Any, int] = {("reconnect", "sales"): before}
        assert tell(told, standings=(paused,), connections=("sales",)) == []
        assert told == {("reconnect", "sales"): before}


def test_a_paused_job_of_the_same_name_is_no_connection():
    paused = Standing("job", "sales", "paused", NOW)
    assert tell({}, standings=(paused,), connections=("sales",)) == []


def test_only_what_is_asked_for_is_told_and_remembered():
    told: dict[Any, int] = {}
    failed = run("failed", "Unavailable", open={"conflicts": 2})
    assert tell(told, failed, topics={"conflicts"}) == ["people: 2 conflicts open"]
    assert told == {("conflicts", "people"): 2}


@pytest.mark.parametrize(
    ("topic", "command"),
    [
        ("failed", "connector-hub runs"),
        ("waiting", "connector-hub plans list --job x"),
        ("reconnect", "connector-hub connect x"),
        ("dead_letters", "connector-hub dead-letters list --job x"),
        ("conflicts", "connector-hub conflicts list --job x"),
    ],
)
def test_what_is_to_do_is_a_command(topic, command):
    assert News(topic, "x", 1).command() == command
    assert News(topic, "x", 0).command() == ""
    assert News(topic, "x", 1).document()["command"] == command


def test_a_receiver_is_the_same_whatever_else_is_edited():
    a = Receiver(Mail(("b@x.org", "a@x.org"), "h@x.org", "m", 25))
    b = Receiver(
        Mail(("a@x.org", "b@x.org"), "h@x.org", "n", 587), frozenset({"failed"})
    )
    assert a.identity() == b.identity()
    hook = Receiver(Webhook("https://h/1", None, "h"))
    assert hook.identity() != Receiver(Webhook("https://h/2", None, "h")).identity()
    assert hook.way.label() == "webhook h"


def test_runs_and_connections_are_facts_with_a_number_and_an_errors_name():
    """A run without a number, as one that another process kept from beginning, counts nothing."""
    done = Receipt("done", 1, "done", open={"dead_letters": 2, "conflicts": 0, "x": 9})
    waits = Receipt("waits", 2, "waiting")
    failed = Receipt(
        "failed", 3, "failed", error={"code": "Unavailable"}, open={"conflicts": 4}
    )
    refused = Receipt("refused", 4, "refused", error={})
    locked = Receipt(
        "locked", 0, "refused", error={"code": "Locked"}, open={"conflicts": 5}
    )
    broken = Receipt("broken", 6, "interrupted", open={"conflicts": 6})
    lost = Standing("connection", "lost", "reconnect", NOW)
    paused = Standing("connection", "paused", "paused", NOW)
    found = facts(
        [done, waits, failed, refused, locked, broken],
        [lost, paused],
        ["lost", "paused", "good"],
    )
    assert found == {
        ("failed", "done"): (0, ""),
        ("waiting", "done"): (0, ""),
        ("dead_letters", "done"): (2, ""),
        ("conflicts", "done"): (0, ""),
        ("failed", "waits"): (0, ""),
        ("waiting", "waits"): (1, ""),
        ("failed", "failed"): (1, "Unavailable"),
        ("conflicts", "failed"): (4, ""),
        ("failed", "refused"): (1, ""),
        ("reconnect", "lost"): (1, ""),
        ("reconnect", "good"): (0, ""),
    }


def test_a_failure_without_a_name_is_told_without_one():
    assert News("failed", "people", 1).text() == "people failed"
    assert (
        News("failed", "people", 1, "Unavailable").text()
        == "people failed (Unavailable)"
    )


def test_news_are_a_document():
    assert News("failed", "people", 1200, "Unavailable").document() == {
        "topic": "failed",
        "subject": "people",
        "count": 1200,
        "code": "Unavailable",
        "text": "people failed (Unavailable)",
        "command": "connector-hub runs",
    }


def test_what_is_not_told_is_not_remembered_as_told():
    """A number that is the same, or grew by less than its double, leaves what is known as it was."""
    fact: Any = ("conflicts", "people")
    for before, count in ((3, 3), (3, 5)):
        assert news(TOPICS, {fact: (count, "")}, {fact: before}) == ([], {})
    assert news(TOPICS, {fact: (2, "")}, {fact: 3}) == ([], {fact: 2})
    told = [News("conflicts", "people", 2)]
    assert news(TOPICS, {fact: (2, "")}, {fact: 1}) == (told, {fact: 2})
    assert news((), {fact: (2, "")}, {fact: 1}) == ([], {})


def test_receivers_are_known_by_their_way_for_as_long_as_a_state_lives():
    mail = Receiver(Mail(("b@x.org", "a@x.org"), "h@x.org", "m", 25))
    assert mail.identity() == ("mail", "a@x.org", "b@x.org")
    assert mail.way.label() == "mail to b@x.org, a@x.org"
    hook = Receiver(Webhook("https://h/1", "env:S", "h"))
    assert hook.identity() == ("webhook", "https://h/1")
