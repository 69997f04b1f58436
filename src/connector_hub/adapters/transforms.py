"""Transforms that need a library: phone numbers (phonenumberslite, a port of libphonenumber).

It is imported when a mapping asks for it: a program without phone numbers need not read its tables.
"""

from __future__ import annotations

from functools import lru_cache

from connector_hub.model.transforms import Transform, Transforms, Unreadable

_CACHED = 4096


def phone(argument: str | None) -> Transform:
    """``phone(ID)``: any notation read as E.164; the region is that of numbers without a ``+``.

    Raises:
        ValueError: no region, or none that exists (ISO 3166-1 alpha-2).
    """
    import phonenumbers  # noqa: PLC0415 - see above

    region = (argument or "").strip()
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("needs a region such as phone(ID)")

    @lru_cache(_CACHED)
    def get(value: str) -> str | None:
        text = value.strip()
        if not text:
            return None
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            raise Unreadable from None
        if not phonenumbers.is_valid_number(number):
            raise Unreadable
        spelled = phonenumbers.format_number(
            number, phonenumbers.PhoneNumberFormat.E164
        )
        spelled += f";ext={number.extension}" if number.extension else ""
        # A zero in front that the country does not keep would be lost at the next reading.
        if number.italian_leading_zero and phonenumbers.parse(spelled) != number:
            raise Unreadable
        return spelled

    return Transform(get)


def transforms() -> Transforms:
    """All transforms the hub brings."""
    return Transforms({"phone": phone})
