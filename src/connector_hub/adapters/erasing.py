"""Takes one person out of a state, within a transaction of the caller's.

Rows that are theirs go. Sealed pages that are shared with others are opened, and sealed again without them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import orjson

from connector_hub.adapters.packed import CHANGES, ENCODER, ENTRIES, SEEN, prefixes
from connector_hub.adapters.vault import Vault
from connector_hub.model.erasure import Found, Held, Person, Recognises
from connector_hub.model.journal import Entry, Page
from connector_hub.model.plan import Change

_SLOTS = 32
"""More sets of identity than any vocabulary has."""
Unsettled = tuple[str, str, bytes]
"""A record that may have been made and was never confirmed: job, side, hub id."""


def bearers(
    db: sqlite3.Connection, tenant: int, digests: Iterable[bytes]
) -> Iterator[Held]:
    """Records whose identity has one of these hashes, at any side that ever was."""
    marks = [bytes([slot]) + d for d in digests for slot in range(_SLOTS)]
    sides = db.execute("select id, job, name from side where tenant=?", (tenant,))
    for number, job, name in sides.fetchall():
        for mark in marks:
            for (record,) in db.execute(
                "select record from identity indexed by identity_mark where side=? and mark=?",
                (number, mark),
            ):
                yield job, name, record


class Erasing:
    """One person, taken out of one state.

    Args:
        db: within a transaction.
        vault: of the state.
        tenant: whose.
        person: who.
        knows: recognises them in what no link leads to.
        spelled: gives the fields behind a layout's number.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        *,
        vault: Vault,
        tenant: int,
        person: Person,
        knows: Recognises,
        spelled: Callable[[int], Any],
    ) -> None:
        self._db = db
        self._vault = vault
        self._tenant = tenant
        self._person = person
        self._knows = knows
        self._spelled = spelled
        self.found: list[Found] = []
        """What was there."""
        self.unsettled: list[Unsettled] = []

    def all(self) -> None:
        """Everything of theirs."""
        self._staged()
        self._windows()
        self._plans()
        self._journal()
        self._conflicts()
        self._letters()
        self._pilots()
        for job, side, record in self._person.held:
            self._gone("inbox", "inbox", job=job, side=side, record=record)
            self._gone("waiting", "waiting", job=job, side=side, record=record)
            self._gone("writes", "wrote", job=job, side=side, record=record)
            self._gone("writes", "rival", job=job, side=side, record=record)
            known = self._db.execute(
                "delete from identity where record=? and side in "
                "(select id from side where tenant=? and job=? and name=?) returning mark",
                (record, self._tenant, job, side),
            )
            for _ in known.fetchall():
                self._met("identities", job, side=side, record=record)
            self._runs(job, record)
        for account, resource, record in self._person.places:
            at = {"account": account, "resource": resource, "target": record}
            self._gone("waiting", "waiting", **at)
            known = self._db.execute(
                "delete from link where record=? and place in "
                "(select id from place where tenant=? and account=? and resource=?) returning gone",
                (record, self._tenant, account, resource),
            )
            for (gone,) in known.fetchall():
                at = {"account": account, "resource": resource, "record": record}
                self._met("links", **at, gone=bool(gone))
        for hub in sorted(self._person.hubs):
            self._gone("decisions", "decision", hub=hub)
            self._gone("swings", "swing", hub=hub)
            self._thing(hub)

    def _met(self, kind: str, job: str = "", /, **at: Any) -> None:
        values = at.pop("values", {})
        self.found.append(Found(kind, job, at, values))

    def _gone(self, kind: str, table: str, /, **at: Any) -> None:
        """Rows that are theirs alone."""
        where = " and ".join(f"{name}=?" for name in at)
        done = self._db.execute(
            f"delete from {table} where tenant=? and {where} returning *",  # noqa: S608 - names of columns
            (self._tenant, *at.values()),
        )
        names = [c[0] for c in done.description]
        for row in done.fetchall():
            told = dict(zip(names, row, strict=True))
            told = {n: v for n, v in told.items() if not isinstance(v, bytes)}
            del told["tenant"]
            self._met(kind, told.pop("job", ""), **told)

    def _thing(self, hub: bytes) -> None:
        for number, packed in self._db.execute(
            "delete from base where thing=(select id from thing where hub=?) returning side, packed",
            (hub,),
        ).fetchall():
            job, side = self._db.execute(
                "select job, name from side where id=?", (number,)
            ).fetchone()
            self._met("bases", job, side=side, values={"hub": hub, "packed": packed})
        self._db.execute("delete from thing where hub=?", (hub,))

    def _is_theirs(self, job: str, side: str, record: str | None) -> bool:
        return (job, side, record) in self._person.held

    def _changes(self, job: str, c: Change) -> bool:
        """Whether a change is about them."""
        if c.hub in self._person.hubs:
            return True
        return any(
            self._is_theirs(job, side, s.id) or self._knows.seen(job, side, s)
            for side, s in (("left", c.left), ("right", c.right))
            if s is not None
        )

    def _staged(self) -> None:
        """Pages of records that were read and wait to be planned."""
        for job, plan, side, n, sealed in self._db.execute(
            "select job, plan, side, n, payload from staged where tenant=?",
            (self._tenant,),
        ).fetchall():
            at = f"{plan}/{n}".encode()
            rows = SEEN.decode(self._vault.open(sealed, at))
            theirs = [
                s
                for s in rows
                if self._is_theirs(job, side, s.id) or self._knows.seen(job, side, s)
            ]
            for seen in theirs:
                told = {"plan": plan, "side": side, "record": seen.id}
                self._met("records read", job, **told, values={side: seen})
            if theirs:
                left = [s for s in rows if s not in theirs]
                self._db.execute(
                    "update staged set payload=? where tenant=? and job=? and plan=? and side=? and n=?",
                    (self._packed(left, at), self._tenant, job, plan, side, n),
                )

    def _packed(self, rows: Sequence[Any], at: bytes) -> bytes:
        return self._vault.seal(ENCODER.encode(rows), at)

    def _windows(self) -> None:
        """Windows of changes, of kept plans and of writes that were never settled."""
        for job, plan, n, sealed, begun in self._db.execute(
            "select job, plan, n, payload, exists(select 1 from writing w where w.tenant=window.tenant "
            "and w.job=window.job and w.plan=window.plan and w.n=window.n) from window where tenant=?",
            (self._tenant,),
        ).fetchall():
            at = f"{plan}/{n}".encode()
            rows = CHANGES.decode(self._vault.open(sealed, at))
            theirs = [c for c in rows if self._changes(job, c)]
            if not theirs:
                continue
            for c in theirs:
                told = {"plan": plan, "action": c.action, "unsettled": bool(begun)}
                values = {"left": c.left, "right": c.right}
                self._met("changes", job, **told, values=values)
            if begun:
                self._never_settled(job, theirs)
            left = [c for c in rows if c not in theirs]
            where = (self._tenant, job, plan, n)
            if left:
                self._db.execute(
                    "update window set payload=? where tenant=? and job=? and plan=? and n=?",
                    (self._packed(left, at), *where),
                )
                continue
            for table in ("window", "writing", "ticket"):
                self._db.execute(
                    f"delete from {table} where tenant=? and job=? and plan=? and n=?",  # noqa: S608 - constants
                    where,
                )

    def _never_settled(self, job: str, changes: Iterable[Change]) -> None:
        """Creates that may have been carried out: who asked for the erasure is told where to look."""
        for c in changes:
            if c.op == "create":
                self.unsettled += [(job, side, c.hub) for side in c.writes()]

    def _plans(self) -> None:
        """What an apply needs besides the windows: records in conflict, taken from the inbox, unread."""
        for plan, job, sealed in self._db.execute(
            "select id, job, needs from plan where tenant=? and needs notnull",
            (self._tenant,),
        ).fetchall():
            at = f"{plan}/needs".encode()
            needs = orjson.loads(self._vault.open(sealed, at))
            left = {**needs}
            for name in ("taken", "unread"):
                left[name] = [
                    r for r in needs.get(name, ()) if not self._is_theirs(job, *r)
                ]
            left["held"] = [
                row
                for row in needs.get("held", ())
                if not any(self._is_theirs(job, *m) for m in row[2])
            ]
            if left != {"taken": [], "unread": [], "held": [], **needs}:
                self._met("plans", job, plan=plan)
                self._db.execute(
                    "update plan set needs=? where id=?",
                    (self._vault.seal(orjson.dumps(left), at), plan),
                )

    def _journal(self) -> None:
        """Before-images. How many writes of a page went stays, so that an undo can tell."""
        for number, job, run, at, left, right, sealed in self._db.execute(
            "select id, job, run, at, left, right, payload from journal where tenant=?",
            (self._tenant,),
        ).fetchall():
            bound = f"journal/{run}".encode()
            entries = ENTRIES.decode(self._vault.open(sealed, bound))
            layouts = (tuple(self._spelled(left)), tuple(self._spelled(right)))
            page = Page(job, run, at, *layouts, entries)
            gone = [e for e in entries if self._tells(page, e)]
            for e in gone:
                self._met(
                    "before-images",
                    job,
                    run=run,
                    at=at,
                    side=e.side,
                    record=e.record,
                    op=e.op,
                    values={"entry": e, "page": page},
                )
            if gone:
                rest = [e for e in entries if e not in gone]
                self._db.execute(
                    "update journal set payload=?, hubs=?, erased=erased+? where id=?",
                    (self._packed(rest, bound), prefixes(rest), len(gone), number),
                )

    def _tells(self, page: Page, e: Entry) -> bool:
        there = "right" if e.side == "left" else "left"
        return (
            e.hub in self._person.hubs
            or self._is_theirs(page.job, e.side, e.record)
            or self._is_theirs(page.job, there, e.source)
            or self._knows.entry(page, e)
        )

    def _conflicts(self) -> None:
        """Open and closed ones; who else is in one of them is looked at again."""
        numbers: set[tuple[int, str]] = set()
        for job, side, record in self._person.held:
            numbers |= {
                (number, job)
                for (number,) in self._db.execute(
                    "select c.id from conflict_member m join conflict c on c.id=m.conflict "
                    "where c.tenant=? and c.job=? and m.side=? and m.record=?",
                    (self._tenant, job, side, record),
                )
            }
        for number, job in numbers:
            others = self._db.execute(
                "select m.side, m.record from conflict_member m join conflict c on c.id=m.conflict "
                "where c.id=? and c.closed is null",
                (number,),
            ).fetchall()
            for side, record in others:
                if not self._is_theirs(job, side, record):
                    self._db.execute(
                        "insert or replace into inbox values(null,?,?,?,?,'freed')",
                        (self._tenant, job, side, record),
                    )
            self._db.execute("delete from conflict_member where conflict=?", (number,))
            kind, opened, closed, sealed = self._db.execute(
                "delete from conflict where id=? returning kind, opened, closed, payload",
                (number,),
            ).fetchone()
            detail = orjson.loads(self._vault.open(sealed))
            self._met(
                "conflicts",
                job,
                conflict=number,
                kind=kind,
                fields=detail.get("fields", ""),
                opened=opened,
                closed=closed,
            )

    def _letters(self) -> None:
        """Their dead letters; of others, the vendor's words where these quote them."""
        for number, job, side, record, hub, reason, opened, sealed in self._db.execute(
            "select id, job, side, record, hub, reason, opened, payload from dead_letter where tenant=?",
            (self._tenant,),
        ).fetchall():
            message = self._vault.open(sealed).decode() if sealed else ""
            told = {"letter": number, "side": side, "record": record}
            more = {"reason": reason, "opened": opened, "values": {"message": message}}
            if self._is_theirs(job, side, record) or hub in self._person.hubs:
                self._db.execute("delete from dead_letter where id=?", (number,))
                self._met("dead letters", job, **told, **more)
            elif self._quotes(message):
                self._db.execute(
                    "update dead_letter set payload=null where id=?", (number,)
                )
                self._met("messages", job, **told, **more)

    def _quotes(self, message: str) -> bool:
        lower = message.casefold()
        return any(text in lower for text in self._person.texts)

    def _pilots(self) -> None:
        """A job is held to one less; what it was read under names its members, so that is read anew."""
        for job, side, record in self._person.held:
            before = len(self.found)
            self._gone("pilots", "pilot", job=job, side=side, record=record)
            if len(self.found) > before:
                self._db.execute(
                    "update cursor set spelling='' where tenant=? and job=?",
                    (self._tenant, job),
                )

    def _runs(self, job: str, record: str) -> None:
        """A run of ``links unlink`` names the two records."""
        for number, document in self._db.execute(
            "select id, document from run where tenant=? and job=? and kind='link'",
            (self._tenant, job),
        ).fetchall():
            told = orjson.loads(document) if document else {}
            if record in told.get("unlinked", ()):
                del told["unlinked"]
                self._db.execute(
                    "update run set document=? where id=?",
                    (orjson.dumps(told).decode(), number),
                )
                self._met("runs", job, run=number)
