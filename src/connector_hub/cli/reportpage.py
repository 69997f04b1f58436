"""A report as one HTML page: no script, nothing loaded, readable on paper."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from connector_hub.cli import pages
from connector_hub.cli.offline import instant
from connector_hub.cli.report import Table, tables
from connector_hub.sync.reporting import Report

_TITLES = (
    ("Jobs", "Conflicts and dead letters: came up / ended / open now."),
    ("Why vendors refused", "Dead letters that are open now, by cause."),
    ("Failures", "Runs that ended with an error; the code says who has to act."),
    ("Calls", "Every request that left, by connection and the vendor's bucket."),
)
_STYLE = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6472;--line:#d9dee6;--bar:#2f6fb3;--paper:#fff}
@media (prefers-color-scheme:dark){
:root{--ink:#e6e9ee;--soft:#a3adba;--line:#343c48;--bar:#6ea8e0;--paper:#12161c}}
body{margin:2rem auto;max-width:62rem;padding:0 1rem;color:var(--ink);background:var(--paper);
font:1rem/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .25rem}
p{margin:.25rem 0;color:var(--soft)}
.numbers{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1.5rem 0;padding:0}
.numbers div{display:flex;flex-direction:column-reverse}
dt{color:var(--soft)}dd{margin:0;font-size:1.6rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{padding:.35rem .75rem .35rem 0;text-align:left;border-bottom:1px solid var(--line);white-space:nowrap}
th{color:var(--soft);font-weight:600}td{font-variant-numeric:tabular-nums}
svg{width:100%;height:7rem;display:block}rect{fill:var(--bar)}
"""
_MOST_BARS = 120


def page(found: Report, name: str) -> str:
    """The report of a project as a page."""
    span = f"{instant(found.since)} to {instant(found.until)}"
    parts = [
        pages.head(f"connector-hub: {name}", _STYLE),
        f"<main><h1>{pages.text(name)}</h1><p>{span}</p>",
        _numbers(found),
        _bars(found),
    ]
    for (title, told), t in zip(_TITLES, tables(found), strict=True):
        parts.append(f"<h2>{title}</h2>")
        parts.append(_table(title, t) if t.rows else f"<p>{t.empty}</p>")
        parts.append(f"<p>{told}</p>" if t.rows else "")
    parts.append("</main></body></html>\n")
    return "\n".join(p for p in parts if p)


def _numbers(found: Report) -> str:
    """What a reader wants to know first."""
    jobs = found.jobs
    told = (
        ("records written", sum(j.written for j in jobs)),
        ("records looked at", sum(j.read for j in jobs)),
        ("runs", sum(j.runs for j in jobs)),
        ("failed", sum(j.failed for j in jobs)),
        ("conflicts open", sum(j.conflicts.open for j in jobs)),
        ("dead letters open", sum(j.dead_letters.open for j in jobs)),
    )
    each = "".join(f"<div><dt>{w}</dt><dd>{n:,}</dd></div>" for w, n in told)
    return f'<dl class="numbers">{each}</dl>'


def _bars(found: Report) -> str:
    """Records written by day, as bars."""
    written: dict[str, int] = {}
    for j in found.jobs:
        for day, n in j.days.items():
            written[day] = written.get(day, 0) + n
    days = list(_days(found))[-_MOST_BARS:]
    most = max((written.get(d, 0) for d in days), default=0)
    if not most:
        return ""
    bars = []
    for i, day in enumerate(days):
        n = written.get(day, 0)
        tall = max(n / most * 100, 1) if n else 0
        bars.append(
            f'<rect x="{i * 10 + 1}" y="{100 - tall:.1f}" width="8" height="{tall:.1f}">'
            f"<title>{day}: {n:,}</title></rect>"
        )
    label = f"Records written by day, at most {most:,} on one day"
    return (
        f"<h2>Records written by day</h2>"
        f'<svg role="img" aria-label="{label}" viewBox="0 0 {len(days) * 10} 100" '
        f'preserveAspectRatio="none">{"".join(bars)}</svg>'
        f"<p>{days[0]} to {days[-1]}; at most {most:,} on one day.</p>"
    )


def _days(found: Report) -> Iterable[str]:
    day, last = (date.fromisoformat(x[:10]) for x in (found.since, found.until))
    while day <= last:
        yield day.isoformat()
        day += timedelta(days=1)


def _table(title: str, t: Table) -> str:
    head = "".join(f'<th scope="col">{h.capitalize()}</th>' for h in t.heads)
    body = "".join(
        "<tr>" + "".join(f"<td>{pages.text(c)}</td>" for c in row) + "</tr>"
        for row in t.rows
    )
    return (
        f'<div class="wide" role="region" tabindex="0" aria-label="{title}"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )
