"""What is sealed can be opened with its key, at its place, whole; anything else is told."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.adapters.vault import Vault, new_key
from connector_hub.errors import ConfigError, StoreError
from connector_hub.model.keyed import KEY_BYTES

VAULT = Vault(b"k" * KEY_BYTES)
QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@QUICK
@given(st.binary(max_size=64), st.binary(max_size=16))
def test_what_was_sealed_is_opened(clear: bytes, place: bytes) -> None:
    sealed = VAULT.seal(clear, place)
    assert VAULT.open(sealed, place) == clear
    assert not clear or clear not in sealed or len(clear) < 4


def test_the_same_value_is_sealed_differently_each_time() -> None:
    assert VAULT.seal(b"x") != VAULT.seal(b"x")


def test_another_key_opens_nothing() -> None:
    with pytest.raises(StoreError, match="cannot be opened") as told:
        Vault(b"l" * KEY_BYTES).open(VAULT.seal(b"secret value"))
    assert "another key" in told.value.hint
    assert "secret value" not in str(told.value)


def test_a_value_that_was_moved_is_not_opened() -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        VAULT.open(VAULT.seal(b"x", b"row 1"), b"row 2")


def test_a_single_bit_of_damage_anywhere_is_noticed() -> None:
    sealed = VAULT.seal(b"value", b"place")
    for n in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[n // 8] ^= 1 << n % 8
        with pytest.raises(StoreError, match="cannot be opened"):
            VAULT.open(bytes(damaged), b"place")


@pytest.mark.parametrize("left", [8, 12, 27])
def test_a_value_that_was_cut_short_is_damaged(left: int) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        VAULT.open(VAULT.seal(b"value")[:left])


@pytest.mark.parametrize("left", [0, 1, 7])
def test_a_value_of_which_next_to_nothing_is_left_is_damaged(left: int) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        VAULT.open(VAULT.seal(b"value")[:left])


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused_and_not_repeated(size: int) -> None:
    with pytest.raises(ConfigError, match=f"has {size} bytes, it must have 32") as told:
        Vault(b"q" * size)
    assert "qqq" not in str(told.value)


def test_each_domain_has_a_key_of_its_own_and_so_has_each_master() -> None:
    domains = ["base", "identity", "payloads", "tokens", "fingerprint"]
    keys = {v.derive(d) for d in domains for v in (VAULT, Vault(b"l" * KEY_BYTES))}
    assert len(keys) == 2 * len(domains)
    assert {len(k) for k in keys} == {KEY_BYTES}
    assert VAULT.derive("base") == Vault(b"k" * KEY_BYTES).derive("base")


def test_a_fingerprint_tells_keys_apart_and_is_not_the_key() -> None:
    assert VAULT.fingerprint() == Vault(b"k" * KEY_BYTES).fingerprint()
    assert VAULT.fingerprint() != Vault(b"l" * KEY_BYTES).fingerprint()
    assert VAULT.fingerprint() not in b"k" * KEY_BYTES


def test_a_new_key_is_new_and_fits() -> None:
    assert new_key() != new_key()
    Vault(new_key())
