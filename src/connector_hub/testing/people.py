"""People and companies as real accounts hold them, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

_NAMES: tuple[tuple[str, str, str], ...] = (
    ("Siti", "Rahmawati", "Indonesia"),
    ("Budi", "Santoso", "Indonesia"),
    ("Dewi", "Lestari", "Indonesia"),
    ("Agus", "Wijaya", "Indonesia"),
    ("Putri", "Handayani", "Indonesia"),
    ("I Made", "Suardana", "Indonesia"),
    ("Ni Luh", "Ayu", "Indonesia"),
    ("Jürgen", "Groß", "Germany"),
    ("Anne-Sophie", "Müller-Lüdenscheidt", "Germany"),
    ("Zoé", "Lefèvre", "France"),
    ("François", "d'Été", "France"),
    ("Sinéad", "O'Brien", "Ireland"),
    ("Séamus", "Ó Súilleabháin", "Ireland"),
    ("伟", "王", "China"),
    ("芳", "李", "China"),
    ("太郎", "山田", "Japan"),
    ("محمد", "الحسن", "Egypt"),
    ("ليلى", "خوري", "Lebanon"),
    ("Олена", "Шевченко", "Ukraine"),
    ("Дмитрий", "Иванов", "Kazakhstan"),
    ("प्रिया", "शर्मा", "India"),
    ("Nguyễn", "Thị Hương", "Vietnam"),
    ("José", "Núñez", "Spain"),
    ("Łukasz", "Żółć", "Poland"),
)
_TITLES = (
    "Owner",
    "Buyer",
    "Head of Ops",
    "Direktur",
    "Einkauf",
    "CTO 🚀",
    "Sales ☕",
    "",
    "VP, R&D",
)
_CITIES = (
    "Jakarta",
    "Bandung",
    "Denpasar",
    "Berlin",
    "Köln",
    "Paris",
    "Dublin",
    "東京",
    "Kyiv",
    "São Paulo",
)
_STAGES = (
    "lead",
    "subscriber",
    "marketingqualifiedlead",
    "salesqualifiedlead",
    "customer",
    "customer",
    "lead",
)
_TRADES = (
    "Coffee",
    "Batik",
    "Logistics",
    "Solar",
    "Rattan",
    "Software",
    "Spices",
    "Optik",
    "Bakery",
)
_FORMS = ("PT {}", "CV {}", "{} GmbH", "{} Ltd", "{} & Co", "{} S.A.")
UNKNOWN_STAGE = "partner_referral"
"""A stage that an account has added and no vocabulary knows."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone; ``company`` is an index into the companies, None without."""

    given: str
    family: str
    email: str
    phone: str
    title: str
    city: str
    country: str
    stage: str
    company: int | None


@dataclass(frozen=True, slots=True)
class Company:
    """Where someone works."""

    name: str
    domain: str
    phone: str
    city: str
    country: str
    stage: str


def phone(n: int) -> str:
    """A number in one of five notations; no two of different ``n`` are the same."""
    d = f"{n % 10_000_000:07}"
    match n % 5:
        case 0:
            return f"+62 812-{d[:3]}-{d[3:]}"
        case 1:
            return f"0813 {d[:4]} {d[4:]}"
        case 2:
            return f"(021) 5{d}"
        case 3:
            return f"62 815 {d}"
    return f"+49 30 9{d}"


def companies(count: int, seed: int) -> Iterator[Company]:
    """So many companies, each with a domain of its own."""
    rng = random.Random(f"companies/{seed}")  # noqa: S311 - people, not secrets
    for i in range(count):
        trade, form = rng.choice(_TRADES), rng.choice(_FORMS)
        city = rng.choice(_CITIES)
        yield Company(
            name=form.format(f"{trade} {city} {i}"),
            domain=f"{trade.lower()}-{seed}-{i}.example",
            phone=phone(9_000_000 - i),
            city=city,
            country=rng.choice(_NAMES)[2],
            stage=rng.choice(_STAGES),
        )


def people(
    count: int, seed: int, works_at: int, *, messy: bool = False
) -> Iterator[Person]:
    """So many people. Without ``messy`` each has an e-mail of their own and a family name.

    With it: 1 % twins (no e-mail, another's phone and name), 2 % with one name, 1.5 % that nothing
    identifies, 1 % at an unknown stage, stray blanks and capitals in e-mails.
    """
    rng = random.Random(f"people/{seed}")  # noqa: S311 - people, not secrets
    before: Person | None = None
    for i in range(count):
        given, family, country = rng.choice(_NAMES)
        person = Person(
            given=given,
            family=family,
            email=f"p{i}.{seed}@people.example",
            phone=phone(i + seed * 101),
            title=rng.choice(_TITLES),
            city=rng.choice(_CITIES),
            country=country,
            stage=rng.choice(_STAGES),
            company=rng.randrange(works_at)
            if works_at and rng.random() < 0.8  # noqa: PLR2004
            else None,
        )
        if messy:
            person = _messy(person, before, rng.random(), i)
        yield person
        if person.family and person.email:
            before = person


def _messy(p: Person, before: Person | None, chance: float, i: int) -> Person:
    """What years of hand-typing leave behind; ``chance`` picks the kind."""

    def but(**changes: str | None) -> Person:
        fields = {n: getattr(p, n) for n in Person.__slots__} | changes
        return Person(**fields)

    if chance < 0.01 and before is not None:  # noqa: PLR2004
        return but(
            email="", phone=before.phone, given=before.given, family=before.family
        )
    if chance < 0.03:  # noqa: PLR2004
        return but(given=p.given, family="")
    if chance < 0.045:  # noqa: PLR2004
        return but(email="", phone="")
    if chance < 0.055:  # noqa: PLR2004
        return but(stage=UNKNOWN_STAGE)
    if chance < 0.1:  # noqa: PLR2004
        return but(email=f" P{i}.X@People.Example", city=f"{p.city} ")
    return p
