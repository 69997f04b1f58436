"""Secrets: references only, private files only, safe keyrings only."""

from __future__ import annotations

import threading

import keyring
import pytest
from keyring.backends import fail, null

from connector_hub.adapters.secrets import SecretsAdapter, is_reference, keyring_name
from connector_hub.errors import ConfigError


@pytest.fixture
def secrets(tmp_path):
    return SecretsAdapter(tmp_path, {"TOKEN": "from-env", "EMPTY": ""})


@pytest.mark.parametrize("text", ["pat-123", "keyring:", "vault:x", ":x", ""])
def test_what_is_no_reference_is_refused_and_not_repeated(secrets, text):
    assert not is_reference(text)
    with pytest.raises(ConfigError, match="only a reference") as told:
        secrets.read(text)
    assert "pat-123" not in str(told.value)


def test_the_environment_is_read(secrets):
    assert secrets.read("env:TOKEN") == "from-env"
    for name in ("EMPTY", "MISSING"):
        with pytest.raises(ConfigError, match=f"{name} is not set"):
            secrets.read(f"env:{name}")
    with pytest.raises(ConfigError, match="yourself"):
        secrets.store("env:TOKEN", "x")


def test_a_file_is_stored_private_and_read_without_its_line_break(secrets, tmp_path):
    secrets.store("file:token", "s3cret")
    assert (tmp_path / "token").stat().st_mode & 0o077 == 0
    assert secrets.read("file:token") == "s3cret"
    (tmp_path / "token").write_bytes(b" kept \r\n")
    assert secrets.read("file:token") == " kept "


def test_a_file_that_others_can_read_is_refused(secrets, tmp_path):
    secrets.store("file:token", "s3cret")
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(ConfigError, match="read by others") as told:
        secrets.read("file:token")
    assert "chmod 600" in str(told.value)
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("made", [None, b"\xff\xfe"])
def test_a_file_that_cannot_be_read_is_told(secrets, tmp_path, made):
    if made is not None:
        (tmp_path / "token").write_bytes(made)
    with pytest.raises(ConfigError, match="cannot be read"):
        secrets.read("file:token")


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring()])
def test_without_a_safe_keyring_there_is_one_sentence_and_its_remedy(
    secrets, monkeypatch, backend
):
    monkeypatch.setattr(keyring, "get_keyring", lambda: backend)
    for ask in (lambda: secrets.read("keyring:x"), keyring_name):
        with pytest.raises(
            ConfigError, match="no keyring that keeps secrets safe"
        ) as told:
            ask()
        assert "env:NAME or file:PATH" in told.value.hint


class SecretService:
    """A desktop's keyring."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service, name):
        return self.held.get((service, name))

    def set_password(self, service, name, value):
        self.held[service, name] = value


SecretService.__module__ = "keyring.backends.SecretService"


def test_a_desktops_keyring_keeps_and_gives(secrets, monkeypatch):
    desktop = SecretService()
    monkeypatch.setattr(keyring, "get_keyring", lambda: desktop)
    with pytest.raises(ConfigError, match="has no secret 'sales'"):
        secrets.read("keyring:sales")
    secrets.store("keyring:sales", "s3cret")
    assert secrets.read("keyring:sales") == "s3cret"
    assert desktop.held == {("connector-hub", "sales"): "s3cret"}
    assert keyring_name() == "keyring.backends.SecretService"


def test_a_keyring_that_fails_keeps_its_words_to_itself(secrets, monkeypatch):
    class Locked(SecretService):
        def get_password(self, service, name):
            raise RuntimeError("s3cret inside")

    Locked.__module__ = SecretService.__module__
    monkeypatch.setattr(keyring, "get_keyring", Locked)
    with pytest.raises(ConfigError, match="RuntimeError") as told:
        secrets.read("keyring:sales")
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize("reference", ["pat-123", "", "vault:pat-123"])
def test_what_is_no_reference_is_not_stored_and_not_repeated(secrets, reference):
    with pytest.raises(ConfigError, match="only a reference") as told:
        secrets.store(reference, "s3cret")
    assert "pat-123" not in str(told.value)


def test_an_empty_file_is_no_secret(secrets, tmp_path):
    (tmp_path / "token").touch(mode=0o600)
    with pytest.raises(ConfigError, match="is empty"):
        secrets.read("file:token")


def test_a_file_that_cannot_be_written_is_told_and_leaves_nothing(secrets, tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("folder", "gone/token"):
        with pytest.raises(ConfigError, match="cannot be written") as told:
            secrets.store(f"file:{name}", "s3cret")
        assert "s3cret" not in str(told.value)
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620])
def test_any_right_of_others_to_a_file_is_one_too_many(secrets, tmp_path, mode):
    (tmp_path / "token").write_text("s3cret\n")
    (tmp_path / "token").chmod(mode)
    with pytest.raises(ConfigError, match="read by others"):
        secrets.read("file:token")


def test_of_several_keyrings_of_a_desktop_the_first_safe_one_is_taken(
    secrets, monkeypatch
):
    desktop, plain = SecretService(), type("PlaintextKeyring", (), {})()
    type(plain).__module__ = "keyrings.alt.file"
    chain = type("ChainerBackend", (), {"backends": [plain, desktop]})()
    type(chain).__module__ = "keyring.backends.chainer"
    monkeypatch.setattr(keyring, "get_keyring", lambda: chain)
    secrets.store("keyring:sales", "s3cret")
    assert desktop.held == {("connector-hub", "sales"): "s3cret"}
    chain.backends.remove(desktop)
    with pytest.raises(ConfigError, match="no keyring that keeps secrets safe"):
        secrets.read("keyring:sales")


def test_a_keyring_that_waits_for_a_person_is_not_waited_for(secrets, monkeypatch):
    asked = threading.Event()

    class Waiting(SecretService):
        def get_password(self, service, name):
            asked.wait(10)

    Waiting.__module__ = SecretService.__module__
    monkeypatch.setattr(keyring, "get_keyring", Waiting)
    monkeypatch.setattr("connector_hub.adapters.secrets._SECONDS", 0.02)
    with pytest.raises(ConfigError, match="did not answer") as told:
        secrets.read("keyring:sales")
    asked.set()
    assert "env:NAME or file:PATH" in told.value.hint
