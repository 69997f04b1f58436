"""A hub that is gone at its n-th call to a vendor, with real sandboxes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import httpx

from connector_hub.hub import open_hub
from tests.conftest import CONTACTS, PROJECT


class Killed(BaseException):
    """Gone."""


class Mine:
    def __init__(self, at: int, *, after: bool) -> None:
        self.left, self.after, self.dead = at, after, False
        self.seen: list[str] = []


class Wire(httpx.AsyncBaseTransport):
    def __init__(self, app: Any, mine: Mine) -> None:
        self.inner, self.mine = httpx.ASGITransport(app=app), mine

    async def handle_async_request(self, request):
        if self.mine.dead:
            raise Killed
        self.mine.left -= 1
        hit = self.mine.left < 0
        self.mine.seen.append(f"{request.method} {request.url.path}")
        if hit and not self.mine.after:
            self.mine.dead = True
            raise Killed
        answer = await self.inner.handle_async_request(request)
        if hit:
            self.mine.dead = True
            raise Killed
        return answer


def bury(store: Any, mine: Mine) -> None:
    def buried(run):
        def statement(sql, values=()):
            if mine.dead:
                raise Killed
            return run(sql, values)

        return statement

    store._run, store._many = buried(store._run), buried(store._many)


def killed_at(hub: Any, n: int, work: Callable[[], object]) -> NoReturn:
    """The rest of a child's life: work that ends at its n-th statement, or file opened or renamed."""
    left = [n]

    def step(*_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            os._exit(9)

    def heard(event: str, _: Any) -> None:
        if event in {"open", "os.rename", "os.remove"}:
            step()

    try:
        hub.store._db.set_trace_callback(step)
        sys.addaudithook(heard)
        work()
    except BaseException:  # noqa: BLE001 - told to the parent
        os._exit(1)
    os._exit(0)


@asynccontextmanager
async def mined(folder, vendors, mine: Mine | None, direction="both", **keys):
    text = PROJECT.replace("DIRECTION", direction)
    right = keys.pop("right", CONTACTS)
    text = text.replace(f"right: {CONTACTS}", f"right: {right}")
    text += "".join(f"    {k}: {v}\n" for k, v in keys.items())
    (folder / "hub.yaml").write_text(text)
    environ = {
        **{n: v for s in vendors.values() for n, v in s.env().items()},
        "HUBSPOT_URL": vendors["sales"].url,
        "SALESFORCE_URL": vendors["billing"].url,
        "SALESFORCE_CLIENT_ID": vendors["billing"].connection()["client_id"],
    }
    mine = mine or Mine(10**9, after=False)
    wires = {n: Wire(s.app, mine) for n, s in vendors.items()}
    async with open_hub(folder, environ=environ, transports=wires) as hub:
        bury(hub.store, mine)
        yield hub
