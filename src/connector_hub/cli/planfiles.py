"""A plan as a file: a page for a manager, a sheet for a spreadsheet. Values are masked unless asked for."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from connector_hub.cli import pages, planview
from connector_hub.cli.session import MASK, Session, masked, quoted
from connector_hub.cli.sheets import private_file
from connector_hub.cli.tables import safe
from connector_hub.model.plan import FieldChange, Plan, Shown

if TYPE_CHECKING:
    from connector_hub.hub import Hub

_path = click.Path(dir_okay=False, path_type=Path)
html_option = click.option(
    "--html", type=_path, metavar="FILE", help="Write all of it into a page."
)
csv_option = click.option(
    "--csv", "sheet", type=_path, metavar="FILE", help="Write all of it into a CSV."
)
_COLUMNS = ("job", "plan", "kind", "connection", "record", "source")
_HEADS = (*_COLUMNS, "field", "old", "new", "why")
_WRITES = {"create": "create", "update": "update", "archive": "delete"}
_KINDS = {**_WRITES, "keep": "kept"}


@dataclass(slots=True)
class PlanFiles:
    """The files that were asked for; plans are added to each."""

    session: Session
    asked: list[tuple[Path, Callable[[Hub, Plan], None]]] = field(default_factory=list)
    plans: int = 0
    """How many were added; without any, files of old stay."""

    def add(self, hub: Hub, plan: Plan) -> None:
        """Write a plan and all its changes."""
        self.plans += 1
        for _, write in self.asked:
            write(hub, plan)

    def tell(self) -> None:
        """Say where they are, and what is in them."""
        for path, _ in self.asked if self.plans else ():
            holds = (
                "it holds records' values in clear"
                if self.session.values
                else "values are masked; --values shows them"
            )
            self.session.say(f"written: {path}   {holds}")


@contextmanager
def plan_files(
    session: Session, page: Path | None, sheet: Path | None
) -> Iterator[PlanFiles]:
    """The files of a command; they are there, whole, when it has come to its end.

    Raises:
        ConfigError: one of them cannot be written.
    """
    files = PlanFiles(session)

    def added() -> bool:
        return files.plans > 0

    with ExitStack() as stack:
        if page is not None:
            out = stack.enter_context(private_file(page, wanted=added))
            writer = Page(out, values=session.values)
            stack.callback(writer.end)
            files.asked.append((page, writer.add))
        if sheet is not None:
            out = stack.enter_context(private_file(sheet, wanted=added))
            files.asked.append((sheet, Sheet(out, values=session.values).add))
        yield files


class Sheet:
    """A CSV: one row for each field of each change."""

    def __init__(self, out: TextIO, *, values: bool) -> None:
        out.write("\ufeff")  # by which spreadsheets know UTF-8
        self._rows = csv.writer(out)
        self._rows.writerow(_HEADS)
        self._values = values

    def add(self, hub: Hub, plan: Plan) -> None:
        """A plan's changes."""
        for c in hub.changes(plan):
            ids = c.connection, c.record or "", c.source or ""
            at = plan.job, plan.id, _KINDS[c.action], *ids
            for f in c.fields or (FieldChange("", None, None),):
                row = (*at, f.field, self._cell(f.old), self._cell(f.new), c.reason)
                self._rows.writerow([safe(cell) for cell in row])

    def _cell(self, value: Any) -> str:
        if value is None or value == ():
            return ""
        return plain(value) if self._values else MASK


def plain(value: Any) -> str:
    """A value as a cell has it: text as it is, several of them with semicolons."""
    if isinstance(value, list | tuple):
        return ";".join(plain(v) for v in value)
    return value if isinstance(value, str) else quoted(value)


_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2rem; font-size: 1.1rem; }
.note { padding: .5rem 1rem; border: 1px solid; border-radius: .3rem; }
.clear { background: light-dark(#fde8e8, #5b1d1d); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0;
  border-bottom: 1px solid light-dark(#ddd, #444); overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; width: 6rem; }
summary { cursor: pointer; padding: .4rem 0; font-weight: 600; }
.old { text-decoration: line-through; opacity: .7; }
.new { font-weight: 600; }
section { margin-bottom: 4rem; }
"""
_CLEAR = "This file holds records' values in clear. Keep it as you keep the records."
_MASKED = "Values are masked. With --values this file would show them."


class Page:
    """An HTML page that needs nothing but itself, and may run nothing."""

    def __init__(self, out: TextIO, *, values: bool) -> None:
        self._out = out
        self._value = quoted if values else masked
        note = _CLEAR if values else _MASKED
        self._say(
            pages.head("Plan", _STYLE)
            + f'<p class="note{" clear" if values else ""}">{pages.text(note)}</p>'
        )

    def end(self) -> None:
        """Nothing comes after this."""
        self._say("</body></html>\n")

    def add(self, hub: Hub, plan: Plan) -> None:
        """A plan: its totals, what else it means, and every change."""
        self._say(f"<section><h1>{pages.text(planview.title(plan))}</h1>")
        self._say(
            f"<p>{pages.text(planview.ends(hub, plan))}, plan {pages.text(plan.id)}</p>"
        )
        self._say(f"<p><strong>{pages.text(plan.summary())}</strong></p>")
        self._writes(plan)
        self._counts("By field", "field", plan.by_field)
        self._counts("By reason", "why", plan.by_reason)
        notes = list(planview.footnotes(plan, planview.counts(plan.unreadable)))
        if notes:
            self._say("<h2>Before you say yes</h2><ul>")
            self._say("".join(f"<li>{pages.text(n)}</li>" for n in notes))
            self._say("</ul>")
        self._say("<h2>Changes</h2>")
        for action, kind in _KINDS.items():
            if plan.count(kind):
                changes = (c for c in hub.changes(plan) if c.action == action)
                self._changes(kind, plan.count(kind), changes)
        if plan.empty:
            self._say("<p>Nothing to write.</p>")
        else:
            command = planview.command(plan)
            self._say(f"<p>Carry it out: <code>{pages.text(command)}</code></p>")
        self._say("</section>")

    def _writes(self, plan: Plan) -> None:
        rows = [
            (f"{connection}/{resource}", *(counts.get(k, 0) for k in _WRITES.values()))
            for connection, found in plan.writes.items()
            for resource, counts in found.items()
        ]
        if rows:
            self._table("What is written", ("where", *_WRITES.values()), rows)

    def _counts(self, title: str, head: str, counts: dict[str, int]) -> None:
        rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        if rows:
            self._table(title, (head, "records"), rows)

    def _table(
        self, title: str, heads: Iterable[str], rows: Iterable[tuple[Any, ...]]
    ) -> None:
        """Words in the first column, numbers in the others."""
        first, *rest = heads
        self._say(
            f"<h2>{pages.text(title)}</h2><table><tr><th>{pages.text(first)}</th>"
        )
        self._say(
            "".join(f'<th class="n">{pages.text(h)}</th>' for h in rest) + "</tr>"
        )
        for word, *numbers in rows:
            cells = "".join(f'<td class="n">{n:,}</td>' for n in numbers)
            self._say(f"<tr><td>{pages.text(word)}</td>{cells}</tr>")
        self._say("</table>")

    def _changes(self, kind: str, count: int, changes: Iterable[Shown]) -> None:
        self._say(f"<details open><summary>{kind} {count:,}</summary><table><tr>")
        heads = ("where", "record", "fields", "why")
        self._say("".join(f"<th>{h}</th>" for h in heads) + "</tr>")
        for c in changes:
            ids = " → ".join(i for i in (c.source, c.record) if i)
            fields = "<br>".join(self._field(c, f) for f in c.fields)
            self._say(
                f"<tr><td>{pages.text(c.connection)}</td><td>{pages.text(ids)}</td>"
                f"<td>{fields}</td><td>{pages.text(c.reason)}</td></tr>\n"
            )
        self._say("</table></details>")

    def _field(self, change: Shown, f: FieldChange) -> str:
        new = f'<span class="new">{pages.text(self._value(f.new))}</span>'
        if change.action == "create":
            return f"{pages.text(f.field)} {new}"
        old = f'<span class="old">{pages.text(self._value(f.old))}</span>'
        return f"{pages.text(f.field)} {old} → {new}"

    def _say(self, markup: str) -> None:
        self._out.write(markup)
