"""Transforms that need a library: phone numbers (phonenumberslite), countries (iso3166), time zones.

The libraries are imported when a mapping asks for them: a program without phone numbers need not read
their tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cache, lru_cache, partial
from typing import Any

from connector_hub.model.mapping import Mapping as Spec
from connector_hub.model.mapping import Rule, every_rule
from connector_hub.model.transforms import Transform, Transforms, Unreadable

_CACHED = 4096
_FIELD = re.compile(r"[a-z][a-z0-9_]{2,}\Z")
_OF_CONNECTION = "region"
_ZONE_OF_CONNECTION = "day_in(zone)"
_USUAL = {
    "czech republic": "CZ",
    "great britain": "GB",
    "iran": "IR",
    "russia": "RU",
    "south korea": "KR",
    "taiwan": "TW",
    "uk": "GB",
    "united kingdom": "GB",
    "united states": "US",
    "vietnam": "VN",
}
"""Names people write that ISO 3166 spells otherwise."""


def phone(argument: str | None) -> Transform:
    """Any notation read as E.164. What begins with ``+`` says its country; other numbers need a region.

    ``phone(ID)`` has one; ``phone(region)`` has its connection's, see ``at_home``, and without that reads
    the ``+`` only. ``phone(country)`` takes it from that field of the record, which holds a code or a name
    of ISO 3166; ``phone(country, ID)`` falls back on ID.

    Raises:
        ValueError: the region is none, or the argument neither a region nor a field.
    """
    field, region = _field_and_region(argument)
    if field is None:
        return Transform(partial(_number, region=region))

    def get(value: str, country: Any) -> str | None:
        return _number(value, region=region_of(country) or region)

    return Transform(get, by=field)


def _field_and_region(argument: str | None) -> tuple[str | None, str | None]:
    import phonenumbers  # noqa: PLC0415 - see above

    words = [w.strip() for w in (argument or "").split(",")]
    field = None
    if words[0] != _OF_CONNECTION and _FIELD.match(words[0]):
        field = words.pop(0)
    region = words.pop(0) if words else _OF_CONNECTION
    known = region == _OF_CONNECTION or region in phonenumbers.SUPPORTED_REGIONS
    if words or not known:
        raise ValueError("needs a region such as phone(ID)")
    return field, None if region == _OF_CONNECTION else region


@lru_cache(_CACHED)
def _number(value: str, *, region: str | None) -> str | None:
    import phonenumbers  # noqa: PLC0415 - see above

    text = value.strip()
    if not text:
        return None
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        raise Unreadable from None
    if not phonenumbers.is_valid_number(number):
        raise Unreadable
    spelled = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    spelled += f";ext={number.extension}" if number.extension else ""
    # A zero in front that the country does not keep would be lost at the next reading.
    if number.italian_leading_zero and phonenumbers.parse(spelled) != number:
        raise Unreadable
    return spelled


@lru_cache(_CACHED)
def region_of(country: Any) -> str | None:
    """The ISO 3166-1 alpha-2 code of a country's code or English name; None where it is neither."""
    word = str(country or "").strip().casefold()
    return _countries().get(word) if word else None


@cache
def _countries() -> dict[str, str]:
    from iso3166 import countries  # noqa: PLC0415 - see above

    found = dict(_USUAL)
    for c in countries:
        for word in (c.alpha2, c.alpha3, c.name, c.apolitical_name):
            found[word.casefold()] = c.alpha2
    return found


def day_in(argument: str | None) -> Transform:
    """``day_in(Asia/Jakarta)``: a moment is the day it falls on there, a day is its first moment.

    ``day_in(zone)`` is in its connection's zone, see ``at_home``; without that nothing is read or written.

    Raises:
        ValueError: no zone, or none that exists (IANA time zone database).
    """
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415 - see above

    if argument == "zone":
        return Transform(_no_zone, None)
    try:
        zone = ZoneInfo((argument or "").strip())
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("needs a zone such as day_in(Asia/Jakarta)") from None

    def get(value: Any) -> str:
        try:
            moment = datetime.fromisoformat(str(value))
            if moment.tzinfo is None:
                raise Unreadable
            return moment.astimezone(zone).date().isoformat()
        except (ValueError, OverflowError):
            raise Unreadable from None

    def put(day: date | None) -> datetime | None:
        if day is None:
            return None
        try:
            return datetime.combine(day, time(), zone).astimezone(UTC)
        except OverflowError:  # the first and the last day there is
            return datetime.combine(day, time(), UTC)

    return Transform(get, put)


def _no_zone(_: Any) -> Any:
    raise Unreadable


def transforms() -> Transforms:
    """All transforms the hub brings."""
    return Transforms({"phone": phone, "day_in": day_in})


def at_home(mapping: Spec, *, region: str | None, zone: str | None) -> Spec:
    """A mapping where its connection is: what it leaves open about region and zone is filled in."""
    return replace(mapping, rules=_rules_at_home(mapping.rules, region, zone))


def _rules_at_home(
    rules: Mapping[str, Rule], region: str | None, zone: str | None
) -> dict[str, Rule]:
    found = {}
    for name, rule in rules.items():
        rows = rule.rows and replace(
            rule.rows, rules=_rules_at_home(rule.rows.rules, region, zone)
        )
        via = tuple(_at_home(rule.via, region, zone))
        found[name] = replace(rule, via=via, rows=rows)
    return found


def _at_home(via: Iterable[str], region: str | None, zone: str | None) -> Iterable[str]:
    for spelled in via:
        name, _, argument = spelled.removesuffix(")").partition("(")
        words = [w.strip() for w in argument.split(",")]
        if spelled == _ZONE_OF_CONNECTION and zone:
            yield f"day_in({zone})"
        elif name.strip() == "phone" and words[-1] == _OF_CONNECTION and region:
            yield f"phone({', '.join([*words[:-1], region])})"
        else:
            yield spelled


def needs_region(mapping: Spec) -> str | None:
    """A field of phone numbers that are read only where they say their country."""
    found = (r.field for r in every_rule(mapping) if "phone(region)" in r.via)
    return next(found, None)


def needs_zone(mapping: Spec) -> str | None:
    """A field whose day has no zone, though its connection was asked for one."""
    open_ = (r.field for r in every_rule(mapping) if _ZONE_OF_CONNECTION in r.via)
    return next(open_, None)


__all__ = [
    "at_home",
    "day_in",
    "needs_region",
    "needs_zone",
    "phone",
    "region_of",
    "transforms",
]
