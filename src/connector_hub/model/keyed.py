"""Keyed hashes: they tell whether two values are alike, and nothing to whoever lacks the key."""

from __future__ import annotations

from hashlib import blake2b

KEY_BYTES = 32
DIGEST = 16
"""Bytes of a hash."""


def keyed(keys: bytes, data: bytes) -> bytes:
    """The keyed hash of a value (BLAKE2b, RFC 7693).

    ``keys`` are one or several of 32 bytes, one after the other. A value is hashed under the first, the hash
    under the next, and so on: so a hash is given a further key without the value it was made from.
    """
    digest = blake2b(data, key=keys[:KEY_BYTES], digest_size=DIGEST).digest()
    for start in range(KEY_BYTES, len(keys), KEY_BYTES):
        key = keys[start : start + KEY_BYTES]
        digest = blake2b(digest, key=key, digest_size=DIGEST).digest()
    return digest
