"""Phone numbers: any notation becomes E.164, in the region the mapping names."""

from __future__ import annotations

import subprocess
import sys
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector_hub.adapters.transforms import (
    at_home,
    needs_zone,
    region_of,
    transforms,
)
from connector_hub.model.mapping import Mapping, Rule
from connector_hub.model.transforms import Unreadable

PHONE = transforms().make("phone(ID)")


@pytest.mark.parametrize(
    "raw",
    [
        "0812-3456-7890",
        "+62 812 3456 7890",
        "(0812) 3456.7890",
        "6281234567890",
        " +6281234567890 ",
    ],
)
def test_every_notation_of_a_number_is_one_number(raw: str) -> None:
    assert PHONE.get(raw) == "+6281234567890"


@pytest.mark.parametrize(
    ("region", "raw", "number"),
    [
        ("SG", "6123 4567", "+6561234567"),
        ("US", "(212) 555-0123", "+12125550123"),
        ("IT", "02 3661 8300", "+390236618300"),
        ("ID", "+1 212 555 0123 ext. 7", "+12125550123;ext=7"),
    ],
)
def test_the_region_is_that_of_numbers_without_a_plus(
    region: str, raw: str, number: str
) -> None:
    assert transforms().make(f"phone({region})").get(raw) == number


def test_an_extension_survives_the_way_back() -> None:
    assert PHONE.put is not None
    assert PHONE.get(PHONE.put("+12125550123;ext=7")) == "+12125550123;ext=7"


@pytest.mark.parametrize("raw", ["call me", "12", "+999 1", "0" * 300])
def test_what_is_no_number_is_unreadable(raw: str) -> None:
    with pytest.raises(Unreadable):
        PHONE.get(raw)


@pytest.mark.parametrize("raw", ["000000000", "0000812345678"])
def test_a_number_that_would_be_another_when_read_again_is_unreadable(raw: str) -> None:
    with pytest.raises(Unreadable):
        PHONE.get(raw)


@pytest.mark.parametrize("raw", ["", "   "])
def test_a_blank_is_a_blank_and_not_unreadable(raw: str) -> None:
    assert PHONE.get(raw) is None


@pytest.mark.parametrize("spelled", ["phone", "phone()", "phone(XX)", "phone(id)"])
def test_a_region_that_does_not_exist_is_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match=r"needs a region such as phone\(ID\)"):
        transforms().make(spelled)


def test_the_tables_of_numbers_are_read_when_a_mapping_asks_for_them() -> None:
    program = (
        "import sys; from connector_hub.adapters.transforms import transforms; "
        "made = transforms(); assert 'phonenumbers' not in sys.modules; "
        "made.make('phone(ID)'); assert 'phonenumbers' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own


@pytest.mark.parametrize(
    ("country", "region"),
    [
        ("Indonesia", "ID"),
        (" idn ", "ID"),
        ("id", "ID"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("United States", "US"),
        ("Atlantis", None),
        ("", None),
        (None, None),
    ],
)
def test_a_country_is_known_by_code_and_name(
    country: str | None, region: str | None
) -> None:
    assert region_of(country) == region


def test_a_number_without_a_region_is_read_when_it_says_its_country() -> None:
    anywhere = transforms().make("phone(region)")
    assert anywhere.get("+62 812-3456-7890") == "+6281234567890"
    with pytest.raises(Unreadable):
        anywhere.get("0812-3456-7890")


@pytest.mark.parametrize(
    "spelled",
    ["phone(country, xx)", "phone(ID, country)", "phone(country, ID, ID)", "phone(,)"],
)
def test_a_field_and_a_region_that_make_no_sense_are_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match="needs a region"):
        transforms().make(spelled)


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-11-24T16:59:59Z", "2026-11-24"),
        ("2026-11-24T17:00:00.000Z", "2026-11-25"),
        ("2026-11-24T12:00:00-05:00", "2026-11-25"),
    ],
)
def test_a_moment_is_the_day_it_falls_on_there(moment: str, day: str) -> None:
    assert transforms().make("day_in(Asia/Jakarta)").get(moment) == day


@pytest.mark.parametrize("raw", ["2026-11-24", "2026-11-24T10:00:00", "soon"])
def test_a_moment_without_an_offset_is_no_day(raw: str) -> None:
    with pytest.raises(Unreadable):
        transforms().make("day_in(Asia/Jakarta)").get(raw)


@given(
    st.dates(date(1, 1, 2), date(9999, 12, 30)),
    st.sampled_from(["Asia/Jakarta", "America/Sao_Paulo", "Asia/Beirut", "UTC"]),
)
def test_what_day_in_writes_it_reads_as_that_day(day: date, zone: str) -> None:
    made = transforms().make(f"day_in({zone})")
    assert made.put is not None
    assert made.get(made.put(day).isoformat()) == day.isoformat()
    assert made.put(None) is None


def test_rules_are_at_home_where_their_connection_is() -> None:
    via = ("trim", "phone(country, region)")
    rules = {
        "a": Rule("a", "a", ("phone(region)",)),
        "b": Rule("b", "b", via),
        "c": Rule("c", "c", ("day_in(zone)",)),
        "d": Rule("d", "d", ("phone(DE)",)),
    }
    mapping = Mapping("e", "c", "r", rules)
    here = at_home(mapping, region="ID", zone="Asia/Jakarta").rules
    assert here["a"].via == ("phone(ID)",)
    assert here["b"].via == ("trim", "phone(country, ID)")
    assert here["c"].via == ("day_in(Asia/Jakarta)",)
    assert here["d"] == rules["d"]
    assert here["a"].fingerprint() != rules["a"].fingerprint()
    assert at_home(mapping, region=None, zone=None).rules == rules
    assert needs_zone(mapping) == "c"
    assert needs_zone(at_home(mapping, region=None, zone="UTC")) is None
