"""Keys derived from the project's one master key, and the sealing of values at rest.

AES-256-GCM (NIST SP 800-38D) with keys from HKDF-SHA256 (RFC 5869), one per domain, so that a hash in one
table says nothing about a hash in another.

A key that is rotated takes over what the one before it had sealed. What that one had hashed cannot be made
anew without the values, so it is hashed again: the keys of hashes are a chain, and the new key has all of it.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connector_hub.errors import ConfigError, StoreError
from connector_hub.model.keyed import KEY_BYTES

_NONCE = 12
_EARLIER = b"earlier keys"


class Vault:
    """Seals and opens bytes. Its master key never leaves it."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ConfigError(
                f"the state key has {len(master)} bytes, it must have {KEY_BYTES}",
                hint="use the key the state was made with; `init` makes a new one",
            )
        self._sealers = {d: AESGCM(_derived(master, d)) for d in ("payloads", "tokens")}
        self._fingerprint = _derived(master, "fingerprint")[:8]
        self._hashing = [_derived(master, "hashes")]

    def derive(self, domain: str) -> bytes:
        """The keys of one domain's hashes, as ``keyed`` takes them: base, identity, changes, erased."""
        return b"".join([_derived(key, domain) for key in self._hashing])

    def fingerprint(self) -> bytes:
        """Tells two keys apart without telling either."""
        return self._fingerprint

    @property
    def earlier(self) -> int:
        """How many keys had hashed before this one."""
        return len(self._hashing) - 1

    def take_over(self, earlier: Vault) -> bytes:
        """Hash from here on as that vault did, and once more; what the state keeps of it, sealed."""
        self._hashing = [*earlier._hashing, self._hashing[-1]]
        return self.seal(b"".join(self._hashing[:-1]), _EARLIER)

    def recall(self, kept: bytes | None) -> None:
        """Take up the chain that ``take_over`` began."""
        chain = self.open(kept, _EARLIER) if kept else b""
        parts = range(0, len(chain), KEY_BYTES)
        earlier = [chain[i : i + KEY_BYTES] for i in parts]
        self._hashing = [*earlier, self._hashing[-1]]

    def seal(
        self, clear: bytes, bound_to: bytes = b"", *, domain: str = "payloads"
    ) -> bytes:
        """Encrypt; ``bound_to`` and the domain must be the same when it is opened."""
        nonce = os.urandom(_NONCE)
        return nonce + self._sealers[domain].encrypt(nonce, clear, bound_to)

    def open(
        self, sealed: bytes, bound_to: bytes = b"", *, domain: str = "payloads"
    ) -> bytes:
        """Decrypt.

        Raises:
            StoreError: it was sealed with another key, moved, or damaged.
        """
        try:
            sealer = self._sealers[domain]
            return sealer.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to)
        except (InvalidTag, ValueError):
            raise StoreError(
                "a sealed value in the state cannot be opened",
                hint="the state is damaged or was written with another key",
            ) from None


def _derived(key: bytes, domain: str) -> bytes:
    info = f"connector-hub {domain}".encode()
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=info).derive(key)


def new_key() -> bytes:
    """A fresh master key."""
    return os.urandom(KEY_BYTES)


__all__ = ["Vault", "new_key"]
