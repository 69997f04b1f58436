"""Random stories of what is deleted, restored, merged and linked at two vendors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.conftest import LONG

from .accounts import DAY, Accounts

SEEDS = range(400 if LONG else 14)
STEPS = 24
FIELDS = (("lastname", "LastName"), ("city", "MailingCity"), ("jobtitle", "Title"))
FOLLOWS = "deletes: {follow: true}\n    guard: {delete: 500}"


class Story(Accounts):
    """People at work at both vendors, and what the hub must not do because of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, FOLLOWS, companies=FOLLOWS, seed=seed)
        self.dice = Random(seed)
        self.sandboxes["sales"].merges_anew = bool(seed % 2)
        self.n = 0
        self.said: list[str] = []
        self.bin: dict[tuple[str, str], list[str]] = {}
        self.fresh: set[tuple[str, str]] = set()
        """Contacts that were edited since the last run."""
        self.kept: set[tuple[str, str]] = set()
        """Contacts that were edited when their counterpart was gone, or before anybody had seen it."""
        self.known: list[tuple[str, str]] = []

    def one(self, rows: Any) -> str | None:
        found = sorted(rows)
        return self.dice.choice(found) if found else None

    def live(self, side: str) -> dict[str, dict[str, Any]]:
        return self.left() if side == "left" else self.right()

    def across(self, side: str, record: str) -> list[tuple[str, str]]:
        """The counterparts a contact has had, live or not."""
        at = 0 if side == "left" else 1
        other = "right" if side == "left" else "left"
        return [(other, p[1 - at]) for p in self.known if p[at] == record]

    def gone(self, side: str, record: str) -> None:
        """A person's delete: counterparts that were edited meanwhile must stay."""
        self.kept.discard((side, record))
        self.kept |= {m for m in self.across(side, record) if m in self.fresh}

    # -- steps ------------------------------------------------------------------

    def make(self) -> None:
        self.n += 1
        self.h(self.n) if self.dice.random() < 0.5 else self.s(self.n)

    def found(self) -> None:
        self.n += 1
        self.firm(self.n) if self.dice.random() < 0.5 else self.account(self.n)

    def edit(self) -> None:
        side = self.dice.choice(["left", "right"])
        record = self.one(self.live(side))
        if record is None:
            return
        here, there = self.dice.choice(FIELDS)
        value = f"V{self.dice.randrange(9_999)}"
        if side == "left":
            self.h(record=record, **{here: value})
        else:
            self.s(record=record, **{there: value})
        self.fresh.add((side, record))
        lost = [m for m in self.across(side, record) if m[1] not in self.live(m[0])]
        if lost and len(lost) == len(self.across(side, record)):
            self.kept.add((side, record))

    def delete(self) -> None:
        side = self.dice.choice(["left", "right"])
        record = self.one(self.live(side))
        if record is None:
            return
        (self.h_gone if side == "left" else self.s_gone)(record)
        self.bin.setdefault((side, "contact"), []).append(record)
        self.gone(side, record)

    def restore(self) -> None:
        side = self.dice.choice(["left", "right"])
        binned = self.bin.get((side, "contact"), [])
        if not binned:
            return
        record = binned.pop(self.dice.randrange(len(binned)))
        try:
            (self.h_back if side == "left" else self.s_back)(record)
        except (ValueError, KeyError):
            self.said.append("   refused")

    async def merge(self) -> None:
        side = self.dice.choice(["left", "right"])
        into, other = self.one(self.live(side)), self.one(self.live(side))
        if into is None or other is None or into == other:
            return
        self.gone(side, other)
        if side == "left":
            made = await self.h_merge(into, other)
            if made != into:
                self.gone(side, into)
        else:
            self.s_merge(into, other)

    def anew(self) -> None:
        """Somebody makes a contact again that was deleted."""
        side = self.dice.choice(["left", "right"])
        n = self.dice.randrange(1, self.n + 1) if self.n else 1
        mails = {
            str(r.get("email") or r.get("Email")) for r in self.live(side).values()
        }
        if f"p{n}@x.org" in mails:
            return
        with contextlib.suppress(ValueError):
            self.h(n) if side == "left" else self.s(n)

    def employ_somebody(self) -> None:
        side = self.dice.choice(["left", "right"])
        record = self.one(self.live(side))
        firm = self.one(
            self.left("companies") if side == "left" else self.right("Account")
        )
        if record is None or firm is None:
            return
        if side == "left":
            self.employ(record, firm)
        else:
            self.s(record=record, AccountId=firm)

    def dismiss(self) -> None:
        side = self.dice.choice(["left", "right"])
        record = self.one(self.live(side))
        if record is None:
            return
        if side == "right":
            self.s(record=record, AccountId=None)
        elif firm := self.works_for(record):
            self.leave(record, firm)

    def close_firm(self) -> None:
        """A company without people; whose has any is spared by its vendor or takes them along."""
        firm = self.one(self.left("companies"))
        if firm is not None:
            self.h_gone(firm, "companies")

    async def step(self) -> None:
        kinds: list[tuple[Callable[[], Any], int]] = [
            (self.make, 4),
            (self.found, 1),
            (self.edit, 5),
            (self.delete, 3),
            (self.restore, 2),
            (self.merge, 3),
            (self.anew, 2),
            (self.employ_somebody, 3),
            (self.dismiss, 1),
            (self.close_firm, 1),
            (self.work, 7),
        ]
        (kind,) = self.dice.choices([k for k, _ in kinds], [w for _, w in kinds])
        self.said.append(kind.__name__)
        self.clock.advance(1)
        found = kind()
        if found is not None:
            await found

    async def work(self) -> None:
        """The hub runs; now and then it is the next day, or everything is read."""
        full = self.dice.random() < 0.3
        if self.dice.random() < 0.3:
            self.clock.advance(DAY)
        receipts = await self.sync(full=full)
        assert {r.status for r in receipts} <= {"done", "partial"}, receipts
        for r in receipts:
            told = r.created + r.updated + r.deleted + r.unchanged + r.not_taken
            told += r.conflicts + r.dead_letters + r.blocked + r.stale
            assert told == r.read, r.document()
        self.fresh.clear()
        pairs = await self.pairs()
        self.known += [p for p in pairs if p not in self.known]
        self.kept -= {("left", a) for a, _ in pairs} | {("right", b) for _, b in pairs}

    # -- what must hold -----------------------------------------------------------

    def spared(self) -> None:
        """Who was edited after the other side was deleted is still there."""
        deleted = {
            ("left" if w.side == "sales" else "right", w.record)
            for w in self.truth.history
            if w.who == "hub" and w.op == "delete"
        }
        assert not deleted & self.kept

    def nobody_twice(self) -> None:
        """The hub never made a contact where one with that address was live."""
        live: dict[tuple[str, str], str | None] = {}
        for w in self.truth.history:
            if w.resource not in {"contacts", "Contact"}:
                continue
            path = "properties.email" if w.side == "sales" else "Email"
            if w.op == "delete":
                live.pop((w.side, w.record), None)
                continue
            mail = w.now.get(path, live.get((w.side, w.record)))
            if w.op == "create" and w.who == "hub":
                held = [m for (s, _), m in live.items() if s == w.side]
                assert mail not in held, f"{mail} was made twice at {w.side}"
            live[w.side, w.record] = mail

    def company(self, contact: str) -> str | None:
        """The primary company of a contact, else the only one it has."""
        held = self.sandboxes["sales"].portal.links.live(
            "contacts", contact, "companies"
        )
        only = next(iter(held)) if len(held) == 1 else None
        return next((i for i, kinds in held.items() if 1 in kinds), only)

    async def agrees(self) -> None:
        """Linked contacts say the same, their company as well, or people are asked."""
        asked = {
            m
            for c in await self.ask(lambda hub: list(hub.conflicts("contacts")))
            for m in [tuple(x) for x in c.members]
        }
        firms = dict(await self.pairs("companies"))
        left, right = self.left(), self.right()
        for a, b in await self.pairs():
            if ("left", a) in asked or ("right", b) in asked:
                continue
            assert a in left, (a, b)
            assert b in right, (a, b)
            for here, there in FIELDS:
                assert left[a].get(here) == right[b].get(there), (a, b, here)
            firm, account = self.company(a), right[b]["AccountId"]
            known = firm in firms or account in firms.values()
            assert not known or firms.get(firm) == account, (a, b, firm, account)


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_story_of_people_who_come_and_go(tmp_path, seed):
    world = Story(tmp_path, seed)
    for _ in range(3):
        world.make()
    world.found()
    await world.work()
    try:
        for _ in range(STEPS):
            await world.step()
        for full in (False, True, False):
            world.clock.advance(DAY)
            world.fresh.clear()
            await world.sync(full=full)
        world.spared()
        world.nobody_twice()
        await world.agrees()
        await world.quiet()
    except BaseException as e:
        e.add_note(f"seed {seed}: {' '.join(world.said)}")
        raise
