"""How pages of records, changes and writes become bytes, before they are sealed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import msgpack

from connector_hub.errors import PluginError
from connector_hub.model.journal import Entry
from connector_hub.model.mapping import ABSENT
from connector_hub.model.plan import Change, Seen
from connector_hub.ports import Token

_ABSENT_CODE = 1


def _packed(value: Any) -> Any:
    if value is ABSENT:
        return msgpack.Ext(_ABSENT_CODE, b"")
    raise PluginError(
        f"a record holds a {type(value).__name__}, which no vendor's JSON can"
    )


def _unpacked(code: int, _: memoryview) -> Any:
    if code == _ABSENT_CODE:
        return ABSENT
    raise ValueError(f"extension {code} is not known")


ENCODER = msgpack.Encoder(enc_hook=_packed)
SEEN = msgpack.Decoder(list[Seen], ext_hook=_unpacked)
CHANGES = msgpack.Decoder(list[Change], ext_hook=_unpacked)
ENTRIES = msgpack.Decoder(list[Entry], ext_hook=_unpacked)
TOKEN = msgpack.Decoder(Token)
PREFIX = 4
"""Bytes of a hub id that the journal can be asked for."""


def prefixes(entries: Iterable[Entry]) -> bytes:
    """What a page of the journal is found by."""
    return b"".join({e.hub[:PREFIX] for e in entries})
