"""Keys derived from the project's one master key, and the sealing of values at rest.

AES-256-GCM (NIST SP 800-38D) with keys from HKDF-SHA256 (RFC 5869), one per domain, so that a hash in one
table says nothing about a hash in another.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connector_hub.errors import ConfigError, StoreError

KEY_BYTES = 32
_NONCE = 12


class Vault:
    """Seals and opens bytes. Its master key never leaves it."""

    def __init__(self, master: bytes) -> None:
        if len(master) != KEY_BYTES:
            raise ConfigError(
                f"the state key has {len(master)} bytes, it must have {KEY_BYTES}",
                hint="use the key the state was made with; `init` makes a new one",
            )
        self._master = master
        self._sealers = {d: AESGCM(self.derive(d)) for d in ("payloads", "tokens")}

    def derive(self, domain: str) -> bytes:
        """32 bytes of key for one domain: base, identity, payloads, tokens."""
        return HKDF(
            SHA256(), KEY_BYTES, salt=None, info=f"connector-hub {domain}".encode()
        ).derive(self._master)

    def fingerprint(self) -> bytes:
        """Tells two keys apart without telling either."""
        return self.derive("fingerprint")[:8]

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


def new_key() -> bytes:
    """A fresh master key."""
    return os.urandom(KEY_BYTES)
