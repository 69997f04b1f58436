"""Who could not be told is told of, and told again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.vault import Vault
from connector_hub.errors import Unavailable
from connector_hub.model.job import SideName
from connector_hub.model.notice import Fact, News, Receiver, Webhook
from connector_hub.model.standing import Rival
from connector_hub.sync.notices import attempt, code, said, tell
from connector_hub.sync.rivals import is_told
from connector_hub.testing.clock import VirtualClock

HOOK = Receiver(Webhook("https://h/secret", None, "h"))
FAILED: Fact = ("failed", "people")


@pytest.fixture
def store() -> SqliteStore:
    return SqliteStore(":memory:", Vault(b"k" * 32))


class Post:
    """Delivers, or fails as it is told to."""

    def __init__(self) -> None:
        self.fails: Exception | None = None
        self.heard: list[list[str]] = []

    async def deliver(self, _receiver: Receiver, news: Sequence[News]) -> None:
        if self.fails is not None:
            raise self.fails
        self.heard.append([n.text() for n in news])


async def told(
    store: SqliteStore, post: Post, count: int, topic: Any = FAILED
) -> list[str]:
    found = {topic: (count, "Bad")}
    return await tell(store, VirtualClock(), {"ops": HOOK}, found, post.deliver)


async def test_what_is_news_is_delivered_once_and_remembered(
    store: SqliteStore,
) -> None:
    post = Post()
    assert await told(store, post, 1) == []
    assert await told(store, post, 1) == []
    assert await told(store, post, 0) == []
    assert post.heard == [["people failed (Bad)"], ["people is well again"]]
    assert store.told("ops") == {FAILED: 0}


async def test_who_cannot_be_told_is_told_by_the_next_run(store: SqliteStore) -> None:
    post = Post()
    post.fails = Unavailable("down", where="h")
    line = "a notice could not be delivered: webhook h: down (h)"
    assert await told(store, post, 1) == [line]
    assert store.told("ops") == {}
    assert store.untold("ops") == ("Unavailable", VirtualClock().now())
    post.fails = None
    assert await told(store, post, 1) == []
    assert post.heard == [["people failed (Bad)"]]
    assert store.untold("ops") is None


async def test_a_number_that_shrinks_is_remembered_without_a_word(
    store: SqliteStore,
) -> None:
    post = Post()
    for count in (4, 3, 4, 6):
        await told(store, post, count, ("conflicts", "people"))
    assert post.heard == [["people: 4 conflicts open"], ["people: 6 conflicts open"]]


async def test_whatever_a_delivery_raises_fails_no_run() -> None:
    async def fails(error: BaseException) -> None:
        raise error

    wrong = ValueError("secret")
    assert await attempt(fails(wrong)) is wrong
    assert await attempt(asyncio.sleep(0)) is None
    with pytest.raises(asyncio.CancelledError):
        await attempt(fails(asyncio.CancelledError()))


def test_an_error_is_said_in_a_line_without_what_may_be_secret() -> None:
    assert said(Unavailable("down", where="h")) == "down (h)"
    assert said(Unavailable("down")) == "down"
    assert said(ValueError("secret")) == "ValueError"
    assert (code(Unavailable("down")), code(ValueError("x"))) == (
        "Unavailable",
        "ValueError",
    )


@pytest.mark.parametrize(
    ("records", "times", "is_rivalry"),
    [(1, 1, False), (2, 1, False), (3, 1, True), (1, 2, True)],
)
def test_a_rivalry_is_more_than_chance(
    records: int, times: int, *, is_rivalry: bool
) -> None:
    side: SideName = "left"
    found = Rival("people", side, "name", "ann", records, times)
    assert is_told(found) is is_rivalry
