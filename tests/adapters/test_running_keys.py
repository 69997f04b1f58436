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


PROFILES = """\
  third: {connector: acme, token: env:TOKEN}
profiles:
  staging:
    state: sqlite:///staging.db
    key: file:staging.key
    connections: {here: third}
jobs:"""


@pytest.fixture
def staged(files: Files) -> Files:
    """A project with a profile on lines 5 to 9."""
    files.edit("jobs:", PROFILES)
    return files


def test_a_profile_changes_accounts_state_and_key(staged: Files) -> None:
    usual, staging = staged.load(), staged.load("staging")
    assert (usual.profile, staging.profile) == (None, "staging")
    assert (staging.state, staging.key) == ("sqlite:///staging.db", "file:staging.key")
    assert staging.key_at.endswith("hub.yaml:9:10")
    assert (usual.state, usual.key) == ("sqlite:///hub.db", "file:hub.key")
    assert staging.jobs["people"].left.connection == "third"
    assert usual.jobs["people"].left.connection == "here"
    assert (usual.elsewhere, staging.elsewhere) == ({"third"}, {"here"})


def test_a_variable_names_the_profile_where_the_command_does_not(staged: Files) -> None:
    staged.edit("  staging:", "  other: {state: 'sqlite:///o.db'}\n  staging:")
    assert staged.load(CONNECTOR_HUB_PROFILE="staging").profile == "staging"
    assert staged.load("other", CONNECTOR_HUB_PROFILE="staging").profile == "other"
    assert staged.load(CONNECTOR_HUB_PROFILE="").profile is None


@pytest.mark.parametrize(
    ("named", "environ", "said"),
    [
        ("stagin", {}, "there is no profile 'stagin'"),
        (
            None,
            {"CONNECTOR_HUB_PROFILE": "stagin"},
            "there is no profile 'stagin', as CONNECTOR_HUB_PROFILE says",
        ),
    ],
)
def test_an_unknown_profile_is_told_at_its_place(
    staged: Files, named: str | None, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(Mistakes) as raised:
        staged.load(named, **environ)
    (found,) = raised.value.diagnostics
    assert (found.message, found.line, found.column) == (said, 6, 1)
    assert found.hint == "did you mean 'staging'?"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("here: third", "here: thrid", 10, "there is no connection 'thrid'"),
        ("here: third", "hear: third", 10, "there is no connection 'hear'"),
        (
            "    state: sqlite:///staging.db\n",
            "",
            7,
            "profile 'staging' has no state of its own",
        ),
        (
            "sqlite:///staging.db",
            "sqlite:///./hub.db",
            8,
            "would share its state with the file itself",
        ),
        (
            "  staging:",
            "  other: {state: 'sqlite:///staging.db'}\n  staging:",
            9,
            "would share its state with profile 'other'",
        ),
        ("file:staging.key", "0123456789", 9, "the key is written out"),
    ],
)
def test_a_mistake_in_a_profile_is_told_whichever_is_used(
    staged: Files, old: str, new: str, line: int, said: str
) -> None:
    staged.edit(old, new)
    for profile in (None, "staging"):
        (found, *_) = staged.mistakes(profile)
        assert said in found.message
        assert found.line == line
        assert "0123456789" not in found.source


def test_a_state_that_cannot_be_used_is_told_at_the_profile(staged: Files) -> None:
    staged.edit("sqlite:///staging.db", "mysql://u:pat-123@h/d")
    (found,) = staged.mistakes("staging")
    assert "cannot be used" in found.message
    assert found.line == 8
    assert "pat-123" not in f"{found}"
    assert staged.load().profile is None


def test_states_in_memory_are_not_shared(staged: Files) -> None:
    staged.edit("sqlite:///staging.db", "'sqlite:///:memory:'")
    staged.edit("mappings: words", "mappings: words\nstate: 'sqlite:///:memory:'")
    assert staged.load("staging").profile == "staging"
