"""``notify``: who is told, and a test of it."""

from __future__ import annotations

from types import SimpleNamespace

from connector_hub.model.notice import Mail, Receiver, Webhook

from .conftest import NOW

OPS = Receiver(
    Mail(("ops@acme.example",), "h@acme.example", "m", 25), frozenset({"failed"})
)
HOOK = Receiver(Webhook("https://hooks.acme.example/T0", None, "hooks.acme.example"))


def test_receivers_are_listed_with_what_they_are_told(line):
    line.hub.project = SimpleNamespace(notify=(OPS, HOOK))
    line.hub.untold = lambda: [(HOOK, "Unavailable", NOW)]
    result = line("notify")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()[1:]
    assert first.split() == ["mail", "to", "ops@acme.example", "failed"]
    assert "not since 2026-11-24: Unavailable" in second
    assert "T0" not in result.output
    document = line.document("notify")["receivers"]
    assert document[0] == {
        "receiver": "mail to ops@acme.example",
        "on": "failed",
        "reached": "",
    }


def test_nobody_is_told(line):
    line.hub.project = SimpleNamespace(notify=())
    line.hub.untold = list
    assert "nobody is told" in line("notify").stdout
    assert line.document("notify") == {"receivers": []}


def test_a_test_says_who_was_reached(line):
    async def tried():
        return [(OPS, ""), (HOOK, "no answer (ConnectError)")]

    line.hub.try_notify = tried
    result = line("notify", "--test")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "ok      mail to ops@acme.example",
        "failed  webhook hooks.acme.example: no answer (ConnectError)",
    ]
    delivered = line.document("notify", "--test")["receivers"]
    assert [r["delivered"] for r in delivered] == [True, False]

    async def reached():
        return [(OPS, "")]

    line.hub.try_notify = reached
    assert line("notify", "--test").exit_code == 0


def test_a_sync_warns_about_who_was_not_reached_and_is_well(line):
    line.hub.answers["notify"] = ["a notice could not be delivered: webhook h: no"]
    result = line("sync")
    assert result.exit_code == 0
    assert "a notice could not be delivered" in result.stderr
    assert line.document("sync")["status"] == "done"
