"""Tells receivers what changed, once each; who cannot be reached is told by the next run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from connector_hub.errors import HubError
from connector_hub.model.notice import Fact, News, Receiver, news
from connector_hub.ports import Clock, Store

Deliver = Callable[[Receiver, Sequence[News]], Awaitable[None]]


async def tell(
    store: Store,
    clock: Clock,
    receivers: Mapping[str, Receiver],
    found: Mapping[Fact, tuple[int, str]],
    deliver: Deliver,
) -> list[str]:
    """Deliver what is news to each of ``receivers``; a line for each that could not be told.

    The state knows receivers by the names they have here.
    What was delivered is kept after it was: a receiver may hear twice, never not at all.
    """

    async def one(name: str, receiver: Receiver) -> str:
        fresh, known = news(receiver.topics, found, store.told(name))
        if fresh:
            failed = await attempt(deliver(receiver, fresh))
            if failed is not None:
                store.set_untold(name, code(failed), clock.now())
                return f"a notice could not be delivered: {receiver.way.label()}: {said(failed)}"
            store.clear_untold(name)
        if known:
            store.set_told(name, known)
        return ""

    lines = await asyncio.gather(*(one(n, r) for n, r in receivers.items()))
    return [line for line in lines if line]


async def attempt(delivery: Awaitable[None]) -> Exception | None:
    """What kept a notice from being delivered: whatever it is, it must not fail a run."""
    try:
        await delivery
    except Exception as e:  # noqa: BLE001
        return e
    return None


def code(error: Exception) -> str:
    """The error's name."""
    return error.code if isinstance(error, HubError) else type(error).__name__


def said(error: Exception) -> str:
    """An error in one line; what is not the hub's own may quote anything."""
    if isinstance(error, HubError):
        return f"{error.message} ({error.where})" if error.where else error.message
    return type(error).__name__
