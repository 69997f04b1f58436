"""The keys of hub.yaml that say when a job runs, who is told, and what a profile changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from connector_hub.diagnostics import Mistakes
from connector_hub.model.notice import TOPICS, Mail, Receiver, Webhook

from .test_files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def every(files: Files, text: str) -> None:
    files.edit("direction: left", f"every: {text}\n    direction: left")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ('"1h"', 3600)],
)
def test_a_job_is_kept_to_its_every(files: Files, text: str, seconds: float) -> None:
    every(files, text)
    assert files.load().jobs["people"].every == seconds


def test_a_job_without_every_is_not_scheduled(files: Files) -> None:
    assert files.load().jobs["people"].every is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("often", "'often' is not a length of time"),
        ("15", "'15' is not a length of time"),
        ("0m", "'0m' is not a length of time between 1s and 365d"),
        ("366d", "'366d' is not a length of time between 1s and 365d"),
        ("5 m", "'5 m' is not a length of time"),
        ("-5m", "'-5m' is not a length of time"),
        ("\u0665m", "'\u0665m' is not a length of time"),
        ("99999999999999999999d", "is not a length of time"),
        ("[5m]", "is not a length of time"),
        ("true", "'True' is not a length of time"),
    ],
)
def test_a_length_of_time_that_is_none_is_told_at_its_place(
    files: Files, text: str, said: str
) -> None:
    every(files, text)
    (found,) = files.mistakes()
    assert said in found.message
    assert (found.line, found.column) == (10, 12)
    assert found.hint == "write 30m, 24h or 7d"


NOTIFY = """\
notify:
  - mail:
      {to: ops@acme.example, from: Hub <hub@acme.example>, smtp: "mail.acme.example:2525",
       user: hub, password: env:PASS}
    on: [failed, dead_letters]
  - webhook: {url: "https://hooks.acme.example/T0/secret", secret: keyring:hook}
"""


def notify(files: Files, text: str) -> None:
    files.edit("connections:", f"{text}connections:")


def test_receivers_are_read_with_what_they_are_told(files: Files) -> None:
    notify(files, NOTIFY)
    mail, hook = files.load().notify
    assert mail == Receiver(
        Mail(
            ("ops@acme.example",),
            "Hub <hub@acme.example>",
            "mail.acme.example",
            2525,
            "hub",
            "env:PASS",
            "starttls",
        ),
        frozenset({"failed", "dead_letters"}),
    )
    assert hook.topics == set(TOPICS)
    assert hook.way.label() == "webhook hooks.acme.example"


@pytest.mark.parametrize(
    ("tls", "port"), [("starttls", 587), ("implicit", 465), ("none", 25)]
)
def test_a_mail_server_has_its_usual_port(files: Files, tls: str, port: int) -> None:
    notify(
        files,
        f"notify:\n  - mail: {{to: [a@x.org, b@x.org], from: h@x.org, smtp: m.x.org, tls: {tls}}}\n",
    )
    (mail,) = files.load().notify
    assert isinstance(mail.way, Mail)
    assert (mail.way.port, mail.way.tls) == (port, tls)
    assert mail.way.to == ("a@x.org", "b@x.org")


MAIL = "mail: {to: a@x.org, from: h@x.org, smtp: m.x.org"


@pytest.mark.parametrize(
    ("text", "column", "said", "hint"),
    [
        ("on: [failed]", 5, "by mail or by webhook", "write `mail:"),
        (f"{MAIL}}}\n    webhook: {{url: https://h}}", 5, "by mail or by webhook", ""),
        (f"{MAIL}}}\n    on: [broken]", 0, "'failed'", ""),
        (f"{MAIL}}}\n    on: []", 9, "on: list should have at least 1 item", ""),
        (f"{MAIL}, tsl: none}}", 55, "unknown key 'tsl'", "did you mean 'tls'?"),
        (MAIL.replace("a@x.org", "ana") + "}", 16, "to is no mail address", ""),
        (MAIL.replace("a@x.org", "[]") + "}", 16, "to is no mail address", ""),
        (
            MAIL.replace("h@x.org", '"a@x.org\\nBcc: b@x.org"') + "}",
            31,
            "from is no mail address",
            "",
        ),
        (MAIL.replace("m.x.org", '"m.x.org:mail"') + "}", 46, "is no mail server", ""),
        (MAIL.replace("m.x.org", '"u@m.x.org"') + "}", 46, "is no mail server", ""),
        (f"{MAIL}, user: hub}}", 11, "wants user and password, or neither", ""),
        (
            f"{MAIL}, user: hub, password: env:P, tls: none}}",
            88,
            "sent without encryption",
            "tls: starttls",
        ),
        (
            "webhook: {url: http://hooks.x.org/1}",
            20,
            "url is no https:// address",
            "127.0.0.1",
        ),
        ("webhook: {url: 'https://[x'}", 20, "url is no https:// address", ""),
    ],
)
def test_a_receiver_that_cannot_be_is_told_at_its_place(
    files: Files, text: str, column: int, said: str, hint: str
) -> None:
    notify(files, f"notify:\n  - {text}\n")
    (found, *_) = files.mistakes()
    assert said in found.message
    assert hint in found.hint
    assert column in {0, found.column}
    assert found.line in {3, 4}


@pytest.mark.parametrize(
    "text",
    [
        f"{MAIL}, user: hub, password: hunter2-pw}}",
        "webhook: {url: https://h.x.org, secret: hunter2-pw}",
        "webhook: {url: http://h.x.org/hunter2-pw}",
    ],
)
def test_a_secret_that_is_written_out_is_refused_and_not_repeated(
    files: Files, text: str
) -> None:
    notify(files, f"notify:\n  - {text}\n")
    with pytest.raises(Mistakes) as raised:
        files.load()
    assert "hunter2" not in str(raised.value)


def test_a_webhook_may_stand_as_a_reference(files: Files) -> None:
    notify(files, "notify:\n  - webhook: {url: env:HOOK}\n")
    (hook,) = files.load().notify
    assert hook.way == Webhook("env:HOOK", None, "env:HOOK")
