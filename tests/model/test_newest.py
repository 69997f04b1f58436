"""The later of two edits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connector_hub.model.newest import later
from connector_hub.model.record import Edited


def at(second: int) -> datetime:
    return datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)


def exact(second: int) -> Edited:
    return Edited(at(second), at(second))


def by(second: int, after: int | None = None) -> Edited:
    return Edited(None if after is None else at(after), at(second))


@pytest.mark.parametrize(
    ("mine", "theirs", "told"),
    [
        (exact(9), exact(5), True),
        (exact(9), by(5), True),
        (exact(9), by(9), True),
        (exact(9), by(10), False),
        (by(9), by(5), False),
        (by(9, after=6), by(5), True),
        (by(9, after=4), by(5), False),
        (exact(9), exact(9), False),
        (exact(9), None, False),
    ],
)
def test_an_edit_is_later_where_the_intervals_do_not_overlap(
    mine: Edited, theirs: Edited | None, *, told: bool
) -> None:
    assert later(mine, theirs) == ("left" if told else None)
    assert later(theirs, mine) == ("right" if told else None)
