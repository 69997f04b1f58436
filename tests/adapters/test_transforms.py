"""Phone numbers: any notation becomes E.164, in the region the mapping names."""

from __future__ import annotations

import subprocess
import sys

import pytest

from connector_hub.adapters.transforms import transforms
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
