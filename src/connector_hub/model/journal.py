"""What was written where, and what stood there before: the answers of ``undo`` and ``why``."""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from connector_hub.model.job import SideName
from connector_hub.model.mapping import Raws
from connector_hub.model.record import Op


class Entry(Struct, array_like=True, gc=False):
    """A write that a vendor confirmed.

    ``before`` and ``after`` are the vendor's own values. Of an update they are those of ``fields``, in that
    order; of a create or an archive the whole record's, in the order of the page's layout.
    ``after`` is empty where the record was not read back.
    """

    side: SideName
    op: Op
    hub: bytes
    record: str
    source: str
    """The record on the other side; empty where there is none."""
    fields: tuple[str, ...]
    before: Raws
    after: Raws
    not_taken: tuple[str, ...] = ()
    """Written fields that came out otherwise."""
    edited: tuple[str, ...] = ()
    """Written fields that somebody changed before they were read back: ``after`` is not what was written."""
    reason: str = ""

    def __repr__(self) -> str:
        return f"Entry({self.side!r}, {self.op!r}, record={self.record!r}, fields={self.fields})"


@dataclass(frozen=True, slots=True)
class Page:
    """The writes of one window of a run. ``at`` is when they were settled, in ISO 8601.

    ``left`` and ``right`` are the layouts of whole records: each field and where the vendor keeps it.
    """

    job: str
    run: int
    at: str
    left: tuple[tuple[str, str], ...]
    right: tuple[tuple[str, str], ...]
    entries: list[Entry]
    erased: int = 0
    """Writes that were taken out because of who they were about."""

    def layout(self, side: SideName) -> tuple[tuple[str, str], ...]:
        """The layout of one side's records."""
        return self.left if side == "left" else self.right
