"""Lawful pairs: how a vendor's text becomes the hub's value, and back.

The law: ``get(put(v)) == v`` for every value ``get`` can give.
A pair without ``put`` can only be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, InvalidOperation
from typing import Any

Convert = Callable[[Any], Any]
_EXACT = Context(prec=1_000)
"""Digits enough for whatever a vendor sends."""


class Unreadable(ValueError):
    """A value that a rule cannot read: the field has no opinion, the rest of the record goes on."""


def same(value: Any) -> Any:
    """The value itself."""
    return value


@dataclass(frozen=True, slots=True)
class Transform:
    """``get`` is called with values only, never with null; ``put`` with null, too.

    ``inline`` is Python source for ``get`` with ``{v}`` for the value, used by the compiler.
    ``by`` names another field of the record: ``get`` is given its value (None where it has none), too.
    """

    get: Callable[..., Any]
    put: Convert | None = same
    inline: str | None = None
    by: str | None = None


Factory = Callable[[str | None], Transform]
"""Makes a transform from the text between its parentheses, None without any.

Raises:
    ValueError: the argument is missing or makes no sense.
"""


def _no_argument(make: Transform) -> Factory:
    def factory(argument: str | None) -> Transform:
        if argument is not None:
            raise ValueError("takes no argument")
        return make

    return factory


def _filler(argument: str | None) -> Transform:
    """Stand-in text for a blank that the vendor does not allow; it never travels."""
    if not argument:
        raise ValueError("needs the text to fill in, as in filler(-)")

    def get(value: Any) -> Any:
        return None if value == argument else value

    def put(value: Any) -> Any:
        return argument if value is None else value

    return Transform(get, put)


def _times(argument: str | None) -> Transform:
    """A vendor's part of one as a share of ``times(100)``; tens only, so that nothing is rounded."""
    text = argument or ""
    if not text.startswith("1") or text.strip("0") != "1" or text == "1":
        raise ValueError("needs a power of ten, as in times(100)")
    places = len(text) - 1

    def get(value: Any) -> Any:
        try:
            return Decimal(str(value)).scaleb(places, _EXACT)
        except InvalidOperation:
            raise Unreadable(f"{value!r} is no number") from None

    def put(value: Any) -> Any:
        return None if value is None else Decimal(value).scaleb(-places, _EXACT)

    return Transform(get, put)


def _domain(value: Any) -> Any:
    """The host of a URL or a bare domain, in small letters and without ``www.``."""
    host = str(value).split("//", 1)[-1].partition("/")[0].partition("?")[0]
    host = host.rpartition("@")[2].partition(":")[0].strip(" .\t\n").lower()
    while host.startswith("www."):
        host = host.removeprefix("www.").lstrip(". ")
    return host or None


class Transforms(Mapping[str, Factory]):
    """The transforms a project can name, by name."""

    def __init__(self, more: Mapping[str, Factory] | None = None) -> None:
        self._factories: dict[str, Factory] = {**PURE, **(more or {})}

    def __getitem__(self, name: str) -> Factory:
        return self._factories[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._factories)

    def __len__(self) -> int:
        return len(self._factories)

    def make(self, spelled: str) -> Transform:
        """The transform behind ``name`` or ``name(argument)``.

        Raises:
            KeyError: nothing has that name.
            ValueError: the argument does not fit.
        """
        name, bracket, rest = spelled.partition("(")
        if bracket and not rest.endswith(")"):
            raise ValueError("its parenthesis is not closed")
        argument = rest.removesuffix(")") if bracket else None
        return self._factories[name.strip()](argument)


PURE: Mapping[str, Factory] = {
    "trim": _no_argument(Transform(lambda v: v.strip(), same, "{v}.strip()")),
    "lower": _no_argument(Transform(lambda v: v.lower(), same, "{v}.lower()")),
    "upper": _no_argument(Transform(lambda v: v.upper(), same, "{v}.upper()")),
    "domain": _no_argument(Transform(_domain)),
    "filler": _filler,
    "times": _times,
}
