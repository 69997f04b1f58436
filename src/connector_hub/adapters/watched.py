"""A connector at work, watched: each call ends, and what it answers is looked at before it is believed.

A plugin runs inside the hub and is trusted with it: this is against mistakes, not against malice. Code that
never lets go of the event loop, that takes all memory or that stops the interpreter cannot be held from here.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from connector_hub.errors import HubError, PluginError, VendorError
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
from connector_hub.sdk.connector import Account, Connector, FieldInfo, Resource, Way
from connector_hub.sdk.hearing import Heard, Request

T = TypeVar("T")
_CHILD = 70
"""How the copy of the hub ends that a plugin has forked: two would write where one may."""
_KEPT = (
    *("name", "auth", "resources", "base_url", "origins", "key_field", "resource"),
    *("config", "http", "clock", "key", "limits"),
)


@contextmanager
def blaming(plugin: str, what: str, connection: str) -> Iterator[None]:
    """What a plugin raises besides the hub's errors is the plugin's mistake, and says so.

    Its text is not told: it may quote a record or a secret. What ends a process, as Ctrl-C, goes through.
    """
    try:
        yield
    except HubError:
        raise
    except (Exception, SystemExit) as e:
        raise PluginError(
            f"plugin {plugin} raised {type(e).__name__} in {what} ({_line(e)})",
            where=connection,
        ) from e


def _line(error: BaseException) -> str:
    """Where it was raised: a file's name and a line, for the plugin's author."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(last.filename).name}:{last.lineno}"


class Watched(Connector):
    """A plugin's connector, as the hub calls it.

    What the plugin raises, a call that does not come back within ``call_seconds`` and an answer that is none
    are ``PluginError``s that name it. A write that ends so is in doubt: its window stays open, and the next
    run looks up what became of it. What the plugin is given are copies, its own to change.
    """

    def __init__(self, plugin: Connector, connection: str) -> None:
        self._plugin = plugin
        self._where = connection
        self._process = os.getpid()
        # What belongs to the class of a connector belongs to this one only.
        vars(self).update({name: getattr(plugin, name) for name in _KEPT})

    def __repr__(self) -> str:
        return f"<{self.name} at {self._where}, watched>"

    async def check(self) -> Account:
        """Who we are at the vendor."""
        found = await self._call("check", self._plugin.check)
        self._expect("check", found, Account)
        self._expect_id("check", found.id)
        return found

    async def describe(self, resource: str) -> Resource:
        """The resource with its fields."""
        found = await self._call("describe", lambda: self._plugin.describe(resource))
        self._expect("describe", found, Resource)
        for one in self._listed("describe", found.fields):
            self._expect("describe", one, FieldInfo)
        return found

    async def read(self, resource: str, feed: str, at: str | None, want: Want) -> Page:
        """One page of a feed."""
        page = await self._call(
            "read", lambda: self._plugin.read(resource, feed, at, want)
        )
        self._expect("read", page, Page)
        self._expect_records("read", page.records)
        for name in ("next", "mark"):
            told = getattr(page, name)
            if told is not None and (told.__class__ is not str or not told):
                raise self._nonsense("read", f"a {name} that is no text")
        return page

    async def fetch(
        self, resource: str, ids: Sequence[str], want: Want
    ) -> Sequence[Record | Gone]:
        """Records by id."""
        found = await self._call(
            "fetch", lambda: self._plugin.fetch(resource, list(ids), want)
        )
        self._expect_records("fetch", found)
        return found

    async def edited(
        self, resource: str, ids: Sequence[str], paths: Sequence[str]
    ) -> Mapping[str, Mapping[str, Edited]]:
        """When fields were edited last."""
        found = await self._call(
            "edited", lambda: self._plugin.edited(resource, list(ids), list(paths))
        )
        self._expect("edited", found, Mapping)
        for told in found.values():
            self._expect("edited", told, Mapping)
            for one in told.values():
                self._expect("edited", one, Edited)
        return found

    async def find(
        self, resource: str, path: str, values: Sequence[str], want: Want
    ) -> Mapping[str, Sequence[Record]]:
        """Records by the value of one field."""
        found = await self._call(
            "find", lambda: self._plugin.find(resource, path, list(values), want)
        )
        self._expect("find", found, Mapping)
        for records in found.values():
            self._expect_records("find", records)
        return found

    async def write(
        self, resource: str, writes: Sequence[Write], *, way: Way
    ) -> Sequence[Outcome] | Pending:
        """Writes of one op; one outcome per write."""
        found = await self._call(
            "write", lambda: self._plugin.write(resource, _copies(writes), way=way)
        )
        return self._outcomes("write", writes, found)

    async def outcomes(
        self, resource: str, writes: Sequence[Write], ticket: str
    ) -> Sequence[Outcome] | Pending:
        """What became of writes that were answered Pending."""
        found = await self._call(
            "outcomes",
            lambda: self._plugin.outcomes(resource, _copies(writes), ticket),
        )
        return self._outcomes("outcomes", writes, found)

    def hear(self, request: Request) -> Heard:
        """What a webhook speaks of."""
        with blaming(self.name, "hear", self._where):
            found = self._plugin.hear(request)
        self._expect("hear", found, Heard)
        return found

    async def prepare(self, resource: str, *, make: bool) -> str | None:
        """The key field a resource still lacks."""
        found = await self._call(
            "prepare", lambda: self._plugin.prepare(resource, make=make)
        )
        if found is not None:
            self._expect("prepare", found, str)
        return found

    async def _call(self, what: str, work: Callable[[], Awaitable[T]]) -> T:
        """Let the plugin work, for so long and no longer."""
        seconds = self._plugin.call_seconds
        try:
            with blaming(self.name, what, self._where):
                async with asyncio.timeout(seconds) as limit:
                    begun = work()
                    if not inspect.isawaitable(begun):
                        raise self._nonsense(what, "no coroutine: write `async def`")
                    return await begun
        except PluginError as e:
            if isinstance(e.__cause__, TimeoutError) and limit.expired():
                raise self._error(
                    f"plugin {self.name} did not come back from {what} within {seconds:,.0f} s"
                ) from None
            raise
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise self._error(f"plugin {self.name} gave up {what} by itself") from None
        finally:
            if os.getpid() != self._process:
                os._exit(_CHILD)

    def _outcomes(
        self, what: str, writes: Sequence[Write], found: Any
    ) -> Sequence[Outcome] | Pending:
        if isinstance(found, Pending):
            self._expect(what, found.ticket, str)
            self._expect(what, found.again_in, float, int)
            return found
        outcomes: Sequence[Outcome] = self._listed(what, found)
        if len(outcomes) != len(writes):
            raise self._nonsense(
                what, f"{len(outcomes)} outcomes for {len(writes)} writes"
            )
        made: set[str] = set()
        for w, outcome in zip(writes, outcomes, strict=True):
            if not isinstance(outcome, Done):
                self._expect(what, outcome, VendorError)
                continue
            self._expect_id(what, outcome.id)
            if w.id is not None and outcome.id != w.id:
                raise self._nonsense(what, "the outcome of another record's write")
            if outcome.id in made:
                raise self._nonsense(what, "one record for two writes")
            made.add(outcome.id)
        return outcomes

    def _expect_records(self, what: str, found: Any) -> None:
        for r in self._listed(what, found):
            if r.__class__ is not Record and r.__class__ is not Gone:
                raise self._nonsense(what, f"a {type(r).__name__} among the records")
            if r.id.__class__ is not str or not r.id:
                self._expect_id(what, r.id)
            if r.__class__ is Record and not isinstance(r.fields, Mapping):
                raise self._nonsense(what, "a record whose fields are no mapping")

    def _listed(self, what: str, found: Any) -> Sequence[Any]:
        if isinstance(found, (str, bytes)) or not isinstance(found, Sequence):
            raise self._nonsense(what, f"a {type(found).__name__}, not a list")
        return found

    def _expect(self, what: str, found: Any, *kinds: type) -> None:
        if not isinstance(found, kinds):
            raise self._nonsense(
                what, f"a {type(found).__name__} where a {kinds[0].__name__} belongs"
            )

    def _expect_id(self, what: str, found: Any) -> None:
        if not isinstance(found, str) or not found:
            raise self._nonsense(what, "a record without an id")

    def _nonsense(self, what: str, said: str) -> PluginError:
        return self._error(f"plugin {self.name} answered {what} with {said}")

    def _error(self, text: str) -> PluginError:
        return PluginError(text, where=self._where)


def _copies(writes: Sequence[Write]) -> list[Write]:
    """The writes as a plugin may keep or change them: what is sent again is as it was."""
    return [
        structs.replace(w, fields=dict(w.fields), links=dict(w.links)) for w in writes
    ]
