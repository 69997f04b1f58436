"""Where secrets are kept: the desktop's keyring, the environment, a private file. Never in hub.yaml."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as WorkerTimeout
from pathlib import Path
from typing import Any, TypeVar

from connector_hub.errors import ConfigError

T = TypeVar("T")
SERVICE = "connector-hub"
KINDS = ("keyring", "env", "file")
_SAFE_BACKENDS = ("SecretService", "kwallet", "macOS", "Windows", "libsecret")
_SECONDS = 10.0
_NO_KEYRING = "this machine has no keyring that keeps secrets safe"
_REMEDY = "use env:NAME or file:PATH in hub.yaml, or sign in to a desktop session"


def is_reference(text: str) -> bool:
    """Whether a text refers to a secret rather than being one."""
    kind, colon, name = text.partition(":")
    return bool(colon and name) and kind in KINDS


class SecretsAdapter:
    """Reads and stores secrets by reference.

    Args:
        folder: what ``file:`` paths are relative to.
        environ: the environment ``env:`` reads.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ

    def read(self, reference: str) -> str:
        """The secret behind a reference.

        Raises:
            ConfigError: there is none, it is a literal, or this machine cannot keep any.
        """
        kind, name = _parted(reference)
        return {"keyring": self._keyring, "env": self._env, "file": self._file}[kind](
            name
        )

    def _env(self, name: str) -> str:
        value = self._environ.get(name)
        if not value:
            raise ConfigError(
                f"environment variable {name} is not set",
                hint=f"set {name} and run again",
            )
        return value

    def _file(self, name: str) -> str:
        path = self._folder / name
        try:
            mode = path.stat().st_mode
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as e:
            reason = e.strerror if isinstance(e, OSError) else "it is not UTF-8"
            raise ConfigError(
                f"secret file {path} cannot be read ({reason})",
                hint="put the secret there, readable by its owner alone (chmod 600)",
            ) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO) and not str(path).startswith(
            "/run/secrets/"
        ):
            raise ConfigError(
                f"secret file {path} can be read by others", hint=f"chmod 600 {path}"
            )
        value = text.removesuffix("\n").removesuffix("\r")
        if not value:
            raise ConfigError(
                f"secret file {path} is empty", hint="put the secret there"
            )
        return value

    def _keyring(self, name: str) -> str:
        value = _in_worker(lambda: _backend().get_password(SERVICE, name))
        if not value:
            raise ConfigError(
                f"the keyring has no secret {name!r}",
                hint="connector-hub connect stores one",
            )
        return str(value)

    def store(self, reference: str, value: str) -> None:
        """Keep a secret where a reference points to.

        Raises:
            ConfigError: the reference cannot be written to (``env:``), or there is no keyring.
        """
        kind, name = _parted(reference)
        if kind == "keyring":
            _in_worker(lambda: _backend().set_password(SERVICE, name, value))
        elif kind == "file":
            _write_private(self._folder / name, value)
        else:
            raise ConfigError(
                f"{reference} cannot be stored for you",
                hint=f"set the variable {name} yourself",
            )

    def has(self, reference: str) -> bool:
        """Whether something is kept where a reference points to, readable or not."""
        kind, name = _parted(reference)
        if kind == "file":
            return (self._folder / name).exists()
        if kind == "keyring":
            return bool(_in_worker(lambda: _backend().get_password(SERVICE, name)))
        return bool(self._environ.get(name))

    def move(self, reference: str, to: str) -> None:
        """Put a secret in the place of another one of its kind; there is no moment at which neither is there.

        Raises:
            ConfigError: it cannot be written there.
        """
        kind, name = _parted(reference)
        if kind == "file":
            target = self._folder / _parted(to)[1]
            source = self._folder / name
            try:
                _replace(source, target)
            except OSError as e:
                if not source.exists() and target.exists():
                    return  # another process was faster
                raise _unwritable(target, e) from None
        else:
            self.store(to, self.read(reference))
            _in_worker(lambda: _backend().delete_password(SERVICE, name))


def _parted(reference: str) -> tuple[str, str]:
    """A reference's kind and name; what is none is not repeated, it may be the secret."""
    if not is_reference(reference):
        raise ConfigError(
            "a secret is written out where only a reference may stand",
            hint="write keyring:NAME, env:NAME or file:PATH",
        )
    kind, _, name = reference.partition(":")
    return kind, name


def keyring_name() -> str:
    """The keyring in use, for ``doctor``.

    Raises:
        ConfigError: there is none.
    """
    return _in_worker(lambda: type(_backend()).__module__)


def _backend() -> Any:
    import keyring  # noqa: PLC0415 - 0.1 s that only keyring: references cost

    try:
        found = keyring.get_keyring()
    except RuntimeError:
        raise ConfigError(_NO_KEYRING, hint=_REMEDY) from None
    # Where a desktop has several, keyring gives a chain of them, its own choice first.
    chained = getattr(found, "backends", None) or [found]
    for backend in chained:
        if any(word in type(backend).__module__ for word in _SAFE_BACKENDS):
            return backend
    raise ConfigError(_NO_KEYRING, hint=_REMEDY)


def _in_worker(work: Callable[[], T]) -> T:
    """A keyring may wait for a person for ever; nobody waits longer than ten seconds."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(work).result(_SECONDS)
    except ConfigError:
        raise
    except WorkerTimeout:
        raise ConfigError(
            "the keyring did not answer in ten seconds", hint=_REMEDY
        ) from None
    except Exception as e:  # noqa: BLE001
        raise ConfigError(f"{_NO_KEYRING} ({type(e).__name__})", hint=_REMEDY) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _write_private(path: Path, value: str) -> None:
    name = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w") as out:
            out.write(value + "\n")
            out.flush()
            os.fsync(out.fileno())
        _replace(Path(name), path)
    except OSError as e:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise _unwritable(path, e) from None


def _replace(path: Path, target: Path) -> None:
    """One file takes the place of another, on the disk, too."""
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unwritable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"secret file {path} cannot be written ({error.strerror})",
        hint="look at the folder and its disk",
    )
