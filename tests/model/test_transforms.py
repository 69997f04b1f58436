"""Transforms one by one and in a row: what ``get`` gives, ``put`` and ``get`` give again."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.adapters.transforms import transforms
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.mapping import Mapping, Rule, compile_mapping
from connector_hub.model.transforms import PURE, Transform, Transforms, Unreadable

QUICK = settings(max_examples=150, deadline=None, derandomize=True)
TRANSFORMS = transforms()
PLAIN = ("trim", "lower", "upper")
FILLERS = ("filler(-)", "filler(0)")
RAW = st.text(max_size=12) | st.text(" -./@:?wxW\tßΣİ", max_size=12)


def read(via: tuple[str, ...], raw: Any) -> Any:
    """What a text field with these transforms shows."""
    view, bad = spoke(via).view((raw,))
    return "unreadable" if bad else view["f"]


def spoke(via: tuple[str, ...]) -> Any:
    entity = Entity("thing", {"f": FieldSpec("f", "text")})
    mapping = Mapping("thing", "acme", "things", {"f": Rule("f", "f", via)})
    return compile_mapping(mapping, entity, TRANSFORMS)


def holds_again(via: tuple[str, ...], raw: Any) -> bool:
    """PutGet for the value that ``raw`` is read as, and GetPut up to normal form."""
    value = read(via, raw)
    if value == "unreadable":
        return True
    written = spoke(via).put({"f": value})["f"]
    return bool(read(via, written) == value)


@pytest.mark.parametrize("filler", [(), *((f,) for f in FILLERS)])
@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_any_row_of_transforms_is_lawful_with_a_filler_at_its_end(
    count: int, filler: tuple[str, ...]
) -> None:
    @QUICK
    @given(st.tuples(*[st.sampled_from(PLAIN)] * count), RAW | st.sampled_from("- 0"))
    def law(plain: tuple[str, ...], raw: str) -> None:
        assert holds_again((*plain, *filler), raw)

    law()


@QUICK
@given(
    st.from_regex(
        r"(https?://)?(www\.)?[a-z0-9.-]{0,9}[a-z][.:]?(/[^w]*)?", fullmatch=True
    )
)
def test_a_domain_is_read_again_from_itself(raw: str) -> None:
    assert holds_again(("trim", "lower", "domain"), raw)


@pytest.mark.parametrize(
    ("via", "raw"),
    [
        (("domain",), "www.www.acme.example"),
        (("domain", "lower"), "WWW.acme.example"),
        (("domain", "trim"), " www.acme.example"),
        (("trim", "lower", "domain"), "acme.example /about"),
    ],
)
def test_a_domain_is_read_again_however_it_is_written(
    via: tuple[str, ...], raw: str
) -> None:
    assert holds_again(via, raw)


@QUICK
@given(
    st.from_regex(
        r"[ (]?(\+62|0|\+1 |00)[0-9]{2,4}[).x -]{0,2}[0-9]{3,9}( ext [0-9]{1,4})?",
        fullmatch=True,
    )
)
def test_a_phone_number_is_read_again_whatever_its_notation(raw: str) -> None:
    assert holds_again(("phone(ID)",), raw)
    assert holds_again(("trim", "phone(ID)"), raw)


@QUICK
@given(st.sampled_from(sorted(PURE)), st.text(max_size=20))
def test_the_inline_source_of_a_transform_says_what_its_function_says(
    name: str, raw: str
) -> None:
    if name in {"filler", "times"}:
        return
    made = TRANSFORMS.make(name)
    if made.inline is not None:
        assert eval(made.inline.format(v="v"), {"v": raw}) == made.get(raw)  # noqa: S307


@QUICK
@given(st.decimals(allow_nan=False, allow_infinity=False, places=6))
def test_a_part_of_one_is_a_share_of_a_hundred_and_back(part: Decimal) -> None:
    made = TRANSFORMS.make("times(100)")
    assert made.get(str(part)) == Fraction(part) * 100
    assert made.put is not None
    assert made.put(made.get(str(part))) == part
    assert made.put(None) is None


def test_a_share_of_nothing_readable_is_unreadable() -> None:
    with pytest.raises(Unreadable):
        TRANSFORMS.make("times(100)").get("a lot")


@pytest.mark.parametrize(
    "spelled", ["times", "times()", "times(1)", "times(3)", "times(20)"]
)
def test_only_powers_of_ten_are_multiplied_by(spelled: str) -> None:
    with pytest.raises(ValueError, match="power of ten"):
        TRANSFORMS.make(spelled)


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        ("https://www.acme.example/about?x=1", "acme.example"),
        ("acme.example", "acme.example"),
        ("http://user:secret@acme.example:8080/", "acme.example"),
        ("acme.example.", "acme.example"),
        ("https:///", None),
    ],
)
def test_a_domain_is_the_host_alone(raw: str, host: str | None) -> None:
    assert read(("domain",), raw) == host


@pytest.mark.parametrize("raw", ["-", None, ""])
def test_a_filler_is_written_for_a_blank_and_never_travels(raw: str | None) -> None:
    assert read(("filler(-)",), raw) is None
    assert spoke(("filler(-)",)).put({"f": None}) == {"f": "-"}
    assert spoke(("filler(-)",)).put({"f": "Ada"}) == {"f": "Ada"}


def test_a_transform_without_a_way_back_makes_a_field_read_only() -> None:
    more = Transforms({"digits": lambda _: Transform(str.isdigit, put=None)})
    entity = Entity("thing", {"f": FieldSpec("f", "text")})
    mapping = Mapping("thing", "acme", "things", {"f": Rule("f", "f", ("digits",))})
    made = compile_mapping(mapping, entity, more)
    assert made.writable == frozenset()
    assert made.put({"f": "12"}) == {}


@pytest.mark.parametrize("spelled", ["trim(x)", "lower()", "filler", "filler()"])
def test_an_argument_that_does_not_fit_is_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match=r"argument|needs the text"):
        TRANSFORMS.make(spelled)


@pytest.mark.parametrize("spelled", ["trim(", "filler(-"])
def test_a_parenthesis_that_is_not_closed_is_refused(spelled: str) -> None:
    with pytest.raises(ValueError, match=r"parenthes|argument"):
        TRANSFORMS.make(spelled)


def test_a_transform_nobody_knows_is_a_key_error_and_the_known_ones_are_listed() -> (
    None
):
    with pytest.raises(KeyError):
        TRANSFORMS.make("trimm")
    assert set(TRANSFORMS) == {*PURE, "phone", "day_in"}
    assert len(TRANSFORMS) == len(PURE) + 2


def test_what_a_transform_cannot_read_is_unreadable_and_no_error() -> None:
    with pytest.raises(Unreadable):
        TRANSFORMS.make("phone(ID)").get("call me")
    assert read(("phone(ID)",), "call me") == "unreadable"


@pytest.mark.parametrize(
    ("raw", "host"),
    [
        ("http://acme.example/a//b//c", "acme.example"),
        ("https://acme.example?from=http://x.example/a?b?c", "acme.example"),
        ("acme.example/a/b?c=1?d", "acme.example"),
        ("ann:a@b@acme.example:80:90", "acme.example"),
        ("ann@home@acme.example", "acme.example"),
        (" .WWW.Acme.Example.\t\n", "acme.example"),
        ("www.www..  x.example", "x.example"),
        ("Xacme.exampleX", "xacme.examplex"),
        ("www. ", "www"),
        (". /x", None),
    ],
)
def test_whatever_stands_around_a_host_is_taken_away(
    raw: str, host: str | None
) -> None:
    assert TRANSFORMS.make("domain").get(raw) == host


@pytest.mark.parametrize(
    ("spelled", "said"),
    [
        ("trim(x)", "takes no argument"),
        ("lower()", "takes no argument"),
        ("filler", r"needs the text to fill in, as in filler\(-\)"),
        ("filler()", r"needs the text to fill in, as in filler\(-\)"),
        ("trim(", "its parenthesis is not closed"),
        ("filler(-", "its parenthesis is not closed"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said_in_words(
    spelled: str, said: str
) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        TRANSFORMS.make(spelled)


def test_a_transform_may_stand_apart_from_its_argument() -> None:
    assert TRANSFORMS.make("filler (-)").get("-") is None
    assert TRANSFORMS.make(" trim ").get(" a ") == "a"
