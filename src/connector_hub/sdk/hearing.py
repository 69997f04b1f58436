"""What a vendor sends by itself: signed, and never more than a hint that something is to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a vendor, read completely.

    ``url`` is the one that the vendor called, escapes and query as they came; ``headers`` has lower-case
    names. ``account`` is the account's id as ``Connector.check`` told it, empty while it is not known.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    account: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """Which records are to be looked at again, ids by resource; ``reply`` is the body that is answered."""

    look: Mapping[str, Sequence[str]] = field(default_factory=dict)
    reply: bytes = b""


@dataclass(frozen=True, slots=True)
class Signed:
    """A keyed hash (HMAC-SHA256) in ``header``, as base64 or as hexadecimal digits.

    ``secret`` names the Config field with the key, ``text`` gives what is hashed. ``stamp`` is the header
    with the time of sending, in milliseconds since the epoch; what is older than ``seconds`` is refused.
    """

    secret: str
    header: str
    text: Callable[[Request], bytes]
    digest: Literal["base64", "hex"] = "base64"
    stamp: str = ""
    seconds: int = 300


@dataclass(frozen=True, slots=True)
class Shared:
    """A secret that the vendor repeats in each message, and nothing more: ``given`` finds it there.

    ``secret`` names the Config field with it. Whoever has seen a message can send another: what is heard so
    is worth a look at the records it names, as any hint is.
    """

    secret: str
    given: Callable[[Request], str]
