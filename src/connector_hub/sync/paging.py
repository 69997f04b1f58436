"""Where a pull has been, so that one that would never end is told from a long one."""

from __future__ import annotations

from dataclasses import dataclass, field

from connector_hub.errors import PluginError
from connector_hub.model.record import Page

BARREN = 1000
"""Pages in a row that bring nothing new, after which a pull has no end. Slices of time may be empty."""


@dataclass(slots=True)
class Pull:
    """A pull of a feed of ``what``, begun ``at`` a place; ``where`` it is from, for messages."""

    what: str
    where: str
    at: str | None
    _asked: set[str | None] = field(init=False)
    _met: set[int] = field(default_factory=set)
    _barren: int = 0

    def __post_init__(self) -> None:
        self._asked = {self.at}
        self._met.add(hash(()))

    def follow(self, page: Page) -> str | None:
        """Where the next page is; None after the last.

        Raises:
            PluginError: the pages run in a circle, or bring nothing new for too long.
        """
        if page.next is None:
            return None
        if page.next in self._asked:
            raise self._endless("run in a circle")
        self._asked.add(page.next)
        brought = hash(tuple([r.id for r in page.records]))
        self._barren = self._barren + 1 if brought in self._met else 0
        self._met.add(brought)
        if self._barren >= BARREN:
            raise self._endless(f"do not end: {BARREN:,} in a row bring nothing new")
        return page.next

    def _endless(self, how: str) -> PluginError:
        return PluginError(f"the pages of {self.what} {how}", where=self.where)
