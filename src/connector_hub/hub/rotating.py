"""The state's key, given another one."""

from __future__ import annotations

from dataclasses import dataclass

from connector_hub.adapters.sqlite import ROTATED
from connector_hub.adapters.vault import Vault, new_key
from connector_hub.errors import ConfigError, StoreError
from connector_hub.hub.connections import next_key
from connector_hub.hub.keeping import KEY_SAVED, Keeping
from connector_hub.model.keyed import KEY_BYTES


@dataclass(frozen=True, slots=True)
class Rotated:
    """A state's new key. ``to`` is where it is kept, ``moved`` whether that is another place than before."""

    to: str
    was: str
    clean: bool = True
    """Whether what the old key opens is gone from the state's files, too."""

    @property
    def moved(self) -> bool:
        """Whether hub.yaml, or who sets the variable, has to say so."""
        return self.to != self.was


class Rotating(Keeping):
    """The state's key, given another one."""

    def rotate_key(self, to: str | None = None) -> Rotated:
        """Seal and hash the whole state under a new key: the old one opens nothing of it any more.

        It can be killed at any time. The old key stays where it is until the state has the new one; then the
        new one takes its place, at the latest when the state is opened next.

        Args:
            to: a reference; the new key is taken from there, or made there. None for where the old one is.

        Raises:
            ConfigError: the new key cannot be kept there, is the old one, or another state has the same key.
            Locked: a job is running.
            StoreError: the state is damaged, or in use.
        """
        reference = self.project.key
        if to is None and reference.startswith("env:"):
            raise ConfigError(
                f"the hub cannot set {reference}",
                where=self.project.key_at,
                hint="set a second variable to the output of "
                f"`openssl rand -hex {KEY_BYTES}`, then: connector-hub key rotate --to env:NAME",
            )
        self._refuse_shared_key(to)
        with self._every_lock():
            place = to or next_key(reference)
            new = self._new_key_at(place)
            at = f"{self.clock.now():%Y-%m-%d %H:%M} UTC"
            told = f"on {at}, the new one is at {to or reference}"
            if to:
                told += f"; write `key: {to}` in hub.yaml"
            self.store.rekey(new, {ROTATED: told, KEY_SAVED: ""})
            self._vault = new
            if to is None:
                self.secrets.move(place, reference)
            try:
                self.store.scrub()
            except StoreError:
                return Rotated(to or reference, reference, clean=False)
        return Rotated(to or reference, reference)

    def _refuse_shared_key(self, to: str | None) -> None:
        """A key that is replaced may be no other state's.

        Raises:
            ConfigError: a profile's state has the same one.
        """
        if to is not None:
            return
        for profile, state in self.project.same_key.items():
            path = self.project.folder / state.partition(":///")[2]
            if path.exists():
                whose = f"profile {profile}" if profile else "the project"
                raise ConfigError(
                    f"{whose} has the same key for its state {path.name}",
                    where=self.project.key_at,
                    hint="give this one a key of its own: connector-hub key rotate --to file:NAME.key",
                )

    def _new_key_at(self, reference: str) -> Vault:
        """The key that is to be the state's: the one that is there, else one that is made.

        Raises:
            ConfigError: it cannot be made there, or it is the one the state has.
        """
        if not reference.startswith("env:") and not self.secrets.has(reference):
            self.secrets.store(reference, new_key().hex())
        new = Vault(self._parsed_key(reference, None))
        if new.fingerprint() == self.store.vault.fingerprint():
            raise ConfigError(
                f"{reference} is the key that the state has",
                where=self.project.key_at,
                hint=f"give another one: `openssl rand -hex {KEY_BYTES}`",
            )
        return new
