"""Jobs kept to their times, what is paused, and who is told."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import (
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from connector_hub.adapters.listener import listening
from connector_hub.adapters.notify import Message, Postman
from connector_hub.adapters.webhooks import PATH, Ear, Hint, Listener, Together
from connector_hub.errors import (
    ConfigError,
    StoreError,
)
from connector_hub.model.job import Side, SideName
from connector_hub.model.notice import News, Receiver, facts
from connector_hub.model.plan import (
    Receipt,
)
from connector_hub.model.standing import Held, Rival, Standing
from connector_hub.ports import Progress
from connector_hub.sdk.connector import Connector
from connector_hub.sdk.hearing import Heard, Request
from connector_hub.sync import (
    notices,
    rivals,
    schedule,
    standing,
)
from connector_hub.sync.base import change_hash
from connector_hub.sync.schedule import Agenda, Event, Keeper, Tell

if TYPE_CHECKING:
    pass
from connector_hub.hub.connections import silent
from connector_hub.hub.planning import Planning

KEY_SAVED = "key saved"


def told_of(
    side: Side, connection: str, look: Mapping[str, Sequence[str]]
) -> list[str]:
    """The records of a job's side among those that a connection hints at, as the job calls them."""
    if side.connection != connection:
        return []
    return [
        f"{resource}/{record}" if side.one_of else record
        for resource in side.resources
        for record in look.get(resource, ())
    ]


class Keeping(Planning):
    """Jobs kept to their times, what is paused, and who is told."""

    async def run(
        self,
        tell: Tell,
        *,
        progress: Progress = silent,
        listen: tuple[str, int] | None = None,
    ) -> None:
        """Keep all jobs to their ``every``, until cancelled; ``tell`` hears of every run.

        With ``listen``, a host and a port, vendors' webhooks are heard there: what they name is looked at
        soon, in the same way as when its time comes.

        Raises:
            ConfigError: no job has an ``every``; or nobody can be listened for, or not there.
        """
        every = {n: self.job(n).every for n in self.jobs_in_order()}
        kept = {n: seconds for n, seconds in every.items() if seconds}
        if not kept:
            raise ConfigError(
                "no job has `every`: there is nothing to run",
                where=str(self.project.file),
                hint="say how often a job is synced, as `every: 15m`",
            )
        agenda = Agenda.of(kept, self.store.last_syncs(), self.clock)
        keeper = Keeper(
            agenda,
            lambda name: self.sync(name, progress=progress),
            self._holds,
            tell,
            lambda receipt: self.notify([receipt]),
        )
        async with contextlib.AsyncExitStack() as stack:
            if listen is not None:
                await self._listen(stack, agenda, *listen, tell)
            await keeper.keep()

    async def _listen(
        self,
        stack: contextlib.AsyncExitStack,
        agenda: Agenda,
        host: str,
        port: int,
        tell: Tell,
    ) -> None:
        """Hear webhooks until the stack is left."""

        def say(line: str) -> None:
            tell(Event("listening", "", said=line))

        def made(url: str) -> Listener:
            ears = self._ears(self.project.public_url or url, agenda, stack)
            say(f"listening at {url}")
            for name, ear in ears.items():
                say(f"webhooks of {name} come to {ear.url}")
            return Listener(ears, self.clock, say)

        try:
            await stack.enter_async_context(listening(made, host, port))
        except OSError as e:
            raise ConfigError(
                f"{host}:{port} cannot be listened on ({e.strerror})",
                hint="choose another host and port for --listen",
            ) from None

    def _ears(
        self, base: str, agenda: Agenda, stack: contextlib.AsyncExitStack
    ) -> dict[str, Ear]:
        """The connections whose vendors sign what they send, and whose key is given.

        Raises:
            ConfigError: there is none.
        """
        ears = {}
        together = Together(partial(self._hinted, agenda))
        for name, wanted in self.project.connections.items():
            signed = self.plugins.connector(wanted.connector).signed
            if signed is None:
                continue
            key = getattr(wanted.config, signed.secret, None)
            if key is None:
                continue
            connector, client = self._make(name, self.secrets)
            stack.push_async_callback(client.aclose)
            secret = self.secrets.read(key.get_secret_value())
            hear = partial(self._hear, name, connector, together)
            ears[name] = Ear(f"{base}{PATH}{name}", signed, secret, hear)
        if not ears:
            raise ConfigError(
                "no connection can be listened for",
                where=str(self.project.file),
                hint="give the app's secret, with which its webhooks are signed: client_secret: keyring:NAME",
            )
        return ears

    async def _hear(
        self, name: str, connector: Connector, together: Together, request: Request
    ) -> Heard:
        """Keep what a webhook hints at.

        It needs no job's lock: a run under way takes only what was there when it began.
        """
        home = self.store.pinned(name)
        if home is None:  # no job has read it yet: the first run looks at everything
            return Heard()
        account = home.removeprefix(f"{connector.name}:")
        heard = connector.hear(replace(request, account=account))
        await together.keep(
            (job.name, side, record)
            for job in self.project.jobs.values()
            for side in job.read_from
            for record in told_of(job.side(side), name, heard.look)
        )
        return heard

    def _hinted(self, agenda: Agenda, hints: Collection[Hint]) -> None:
        """Put hints on the disk, and wake the jobs they are about."""
        if not hints:
            return
        by_side: dict[tuple[str, SideName], list[str]] = {}
        for job, side, record in hints:
            by_side.setdefault((job, side), []).append(record)
        with self.store.transaction():
            for (job, side), records in by_side.items():
                self.store.hint(job, side, records)
        agenda.hint({job for job, _ in by_side})

    def _holds(self, name: str) -> Standing | None:
        """What keeps ``run`` from a job."""
        job = self.job(name)
        return standing.holds(self.store, job, self._credentials) or self._failing(job)

    async def notify(self, receipts: Iterable[Receipt]) -> list[str]:
        """Tell those under ``notify:`` what these runs changed; a line for each that could not be told."""
        if not self.project.notify:
            return []
        try:
            found = facts(receipts, self.store.standings(), self.project.connections)
            return await notices.tell(
                self.store, self.clock, self._receivers(), found, self._deliver
            )
        except StoreError as e:
            return [f"no notice was sent: {e.message}"]

    async def try_notify(self) -> list[tuple[Receiver, str]]:
        """Send a test to each receiver: with what kept it from being delivered, or nothing."""
        found = []
        for receiver in self.project.notify:
            failed = await notices.attempt(self._deliver(receiver, ()))
            found.append((receiver, notices.said(failed) if failed else ""))
        if self._stateful:
            good = {id(receiver) for receiver, why in found if not why}
            for name, receiver in self._receivers().items():
                if id(receiver) in good:
                    self.store.clear_untold(name)
        return found

    def untold(self) -> list[tuple[Receiver, str, datetime]]:
        """Receivers that could not be told: why, and since when."""
        found = []
        if not self._stateful:
            return []
        for name, receiver in self._receivers().items():
            why = self.store.untold(name)
            if why is not None:
                found.append((receiver, *why))
        return found

    def _receivers(self) -> dict[str, Receiver]:
        """By the name that the state knows them by."""
        _ = self.store
        assert self._vault is not None  # noqa: S101 - the store is open
        key = self._vault.derive("notices")
        return {change_hash(key, r.identity()).hex(): r for r in self.project.notify}

    async def _deliver(self, receiver: Receiver, news: Sequence[News]) -> None:
        message = Message(self.project.folder.name, self.project.profile, news)
        await Postman(self.secrets, self.clock).deliver(receiver, message)

    def pause(self, name: str, *, why: str = "", who: str = "") -> Standing:
        """Hold a job, or all jobs of a connection: nothing is written for them until ``resume``.

        Raises:
            ConfigError: the project has no such job or connection.
        """
        what, found = self._named(name)
        held = Standing(what, found, "paused", self.clock.now(), who, why)
        self.store.set_standing(held)
        return held

    def resume(self, name: str) -> tuple[str, str, bool]:
        """Let a job or a connection go on: (what it is, its name, whether it was held)."""
        what, found = self._named(name)
        return what, found, self.store.clear_standing(what, found)

    def standings(self) -> list[Standing]:
        """What is paused, and which connections must be reconnected."""
        return self.store.standings()

    def overdue(self) -> list[tuple[str, datetime | None, str]]:
        """Jobs that did not run for twice their ``every`` though nothing holds them.

        Each with when it ran last, None for never, and how that run ended.
        """
        last = self.store.last_syncs() if self._stateful else {}
        held = self.store.standings() if self._stateful else []
        return schedule.overdue(
            self.project.jobs.values(), last, held, self.clock.now()
        )

    def rivals(self) -> list[Rival]:
        """Users that were seen changing what the hub had just written, more than by chance."""
        return [r for r in self.store.rivals() if rivals.is_told(r)]

    def key_saved(self) -> str | None:
        """Since when a copy of the key is known to be kept elsewhere; None where it is not."""
        return self.store.remembered(KEY_SAVED) or None

    def confirm_key(self, copy: str) -> None:
        """Remember that the key is kept elsewhere, as whoever holds a copy of it shows.

        Raises:
            ConfigError: the copy is another key.
        """
        _ = self.store
        key = self.secrets.read(self.project.key).strip()
        if not hmac.compare_digest(copy.strip().lower().encode(), key.lower().encode()):
            raise ConfigError(
                "this is not the key of the state",
                where=self.project.key_at,
                hint="make the copy anew; the key itself is not shown",
            )
        self.store.remember(KEY_SAVED, self.clock.now().isoformat())

    def _named(self, name: str) -> tuple[Held, str]:
        p = self.project
        return standing.named(
            name, {"job": p.jobs, "connection": [*p.connections, *p.broken]}
        )
