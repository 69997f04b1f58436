"""A state of yesterday's backup, or lost with or without its key, while both sides went on.

Nobody is there twice, nothing is written but fields that differ, and every value that stood anywhere still
stands there, or is told: as a conflict, or as what the journal says stood there before.
"""

from __future__ import annotations

import base64
import json
import logging
import shutil
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from connector_hub.hub import Hub
from connector_hub.model.plan import Receipt

from .desk import PAIRS, Desk

CANARY = "Kanari Zażółć/7"
MAIL = "kanari.person@people.example"


def backup(desk: Desk, to: Path) -> None:
    """What a person copies at night, when nothing runs."""
    to.mkdir()
    for file in desk.folder.glob("hub.db*"):
        shutil.copy(file, to)


def lose(desk: Desk, how: str, kept: Path) -> None:
    for file in desk.folder.glob("hub.db*"):
        file.unlink()
    if how == "restored":
        for file in kept.iterdir():
            shutil.copy(file, desk.folder)
    if how == "wiped, its key lost":
        (desk.folder / "hub.key").unlink()


def values(desk: Desk) -> dict[tuple[str, str, str], str | None]:
    """Every value people look after, by (e-mail, side, field)."""
    return {
        (email, side, name): record.get(name if side == "left" else there) or None
        for email, pair in desk.pairs().items()
        for side, record in zip(("left", "right"), pair, strict=True)
        for name, there in PAIRS.items()
    }


def asked(hub: Hub, desk: Desk) -> set[str]:
    """E-mails of people about whose fields a conflict is open."""
    left = desk.held("left", "contacts")
    return {
        left[record]["properties"]["email"]
        for c in hub.conflicts("contacts")
        for side, record in c.members
        if side == "left"
    }


def before_images(hub: Hub) -> set[str]:
    return {
        str(v)
        for page in hub.store.journal("contacts")
        for e in page.entries
        for v in e.before
    }


@pytest.mark.parametrize("direction", ["both", "left-to-right"])
@pytest.mark.parametrize(
    "how", ["restored", "wiped, its key kept", "wiped, its key lost"]
)
async def test_a_state_of_yesterday_or_none_doubles_nobody_and_overwrites_nothing_untold(
    tmp_path: Path, how: str, direction: str
) -> None:
    desk = Desk(tmp_path / "desk", direction)
    desk.fill(4)
    await desk.comes_to_rest()
    backup(desk, tmp_path / "yesterday")
    desk.edit("synced")
    await desk.comes_to_rest()
    desk.edit("since")
    one, *_ = desk.held("right", "Contact")
    desk.vendors["billing"].edit("Contact", {"Id": one, "MailingCity": "Both R"})
    email = desk.held("right", "Contact")[one]["Email"]
    for record, row in desk.held("left", "contacts").items():
        if row["properties"]["email"] == email:
            body = {"id": record, "properties": {"city": "Both L"}}
            desk.vendors["sales"].edit("contacts", body)
    people = len(desk.held("left", "contacts")), len(desk.held("right", "Contact"))
    old = values(desk)
    differs = {(e, n) for e, side, n in old if old[e, "left", n] != old[e, "right", n]}
    assert differs
    lose(desk, how, tmp_path / "yesterday")
    for _ in range(3):
        receipts = await desk.sync()
    assert not any(sum(r.writes.values()) for r in receipts)
    new = values(desk)
    written = {(e, n) for e, side, n in old if new[e, side, n] != old[e, side, n]}
    assert written <= differs
    async with desk.opened() as hub:
        questions, images = asked(hub, desk), before_images(hub)
    for (e, side, n), value in old.items():
        told = value is None or value in images
        assert new[e, side, n] == value or told, f"{e}: {n} at the {side}"
        agreed = new[e, "left", n] == new[e, "right", n]
        assert agreed or e in questions, f"{e}: {n} differs and nobody is asked"
    # Only those who came since are new across; nobody is there twice.
    came = 1
    assert len(desk.held("right", "Contact")) == people[1] + came
    assert len(desk.held("left", "contacts")) == people[0]
    emails = [r["Email"] for r in desk.held("right", "Contact").values()]
    assert len(emails) == len(set(emails))


def spellings(text: str) -> Iterator[bytes]:
    """A value as it could stand in a file: plain, JSON, percent, base64 at any offset, UTF-16."""
    plain = text.encode()
    yield plain
    yield json.dumps(text).strip('"').encode()
    yield urllib.parse.quote(text, safe="").encode()
    yield text.encode("utf-16-le")
    for shift in range(3):
        yield base64.b64encode(b"x" * shift + plain)[4:-4]


def found(data: bytes) -> bool:
    return any(s in data for text in (CANARY, MAIL) for s in spellings(text))


async def test_no_value_of_a_person_stands_in_state_log_or_report_before_and_after_a_loss(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Looked for while the state is open, in its write-ahead log and in temporary files as well."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("SQLITE_TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    caplog.set_level(logging.DEBUG)
    desk = Desk(tmp_path / "desk")
    desk.fill(4)
    record = next(iter(desk.held("left", "contacts")))
    canary = {"lastname": CANARY, "email": MAIL, "city": CANARY}
    desk.vendors["sales"].edit("contacts", {"id": record, "properties": canary})
    told: list[Receipt] = []
    for how in ("kept", "wiped, its key kept", "wiped, its key lost"):
        lose(desk, how, tmp_path / "none") if how != "kept" else None
        for name in ("jobtitle", "city"):
            there = {r["Email"]: i for i, r in desk.held("right", "Contact").items()}
            body = {"id": record, "properties": {name: CANARY + how}}
            desk.vendors["sales"].edit("contacts", body)
            if MAIL in there:  # a conflict, and its values
                row = {"Id": there[MAIL], PAIRS[name]: CANARY + "R"}
                desk.vendors["billing"].edit("Contact", row)
            told += await desk.sync()
        async with desk.opened() as hub:
            plan = await hub.plan("contacts")
            await hub.sync("contacts")
            report = json.dumps([r.document() for r in told]) + json.dumps(
                [*map(str, hub.runs())]
            )
            files = [*desk.folder.glob("hub.db*"), *desk.folder.glob(".*")]
            files += [f for f in temporary.rglob("*") if f.is_file()]
            assert any(f.name.endswith("-wal") and f.stat().st_size for f in files)
            for file in files:
                assert not found(file.read_bytes()), file.name
            assert not found(report.encode())
            assert not found(json.dumps(plan.document()).encode())
    assert not found(caplog.text.encode())
    assert any(CANARY in str(r) for r in desk.held("right", "Contact").values()), (
        "it has travelled"
    )
