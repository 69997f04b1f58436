"""``permissions``: what an administrator has to grant for a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from connector_hub.cli.offline import offline
from connector_hub.cli.session import Session, with_session
from connector_hub.cli.tables import table

if TYPE_CHECKING:
    from connector_hub.hub import Hub, Permitted

_HEADS = ("KIND", "NAME", "RIGHTS", "TO")


@click.command()
@click.argument("job", required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write what an administrator can deploy into this folder.",
)
@with_session
def permissions(session: Session, job: str | None, out: Path | None) -> int:
    """List what JOB, or all jobs, must be allowed at each vendor. No vendor is asked.

    It is computed from the mappings: fields read and written, links, deletes, and the
    field of the record key.
    """

    def work(hub: Hub) -> None:
        found = hub.permissions(job)
        written: list[str] = []
        for p in found:
            _tell(session, p)
            for name, text in (p.files or {}).items() if out else ():
                written.append(_write(out, p.connection, name, text))
        for path in written:
            session.say(f"wrote {path}")
        if not out and any(p.files for p in found):
            session.note("--out DIR writes a permission set that can be deployed")
        session.document(
            {"job": job, "connections": [_json(p) for p in found], "written": written}
        )

    return offline(session, work)


def _write(folder: Path | None, connection: str, name: str, text: str) -> str:
    path = (folder or Path()) / connection / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def _tell(session: Session, found: Permitted) -> None:
    session.say(f"{found.connection} ({found.connector})")
    rows = [
        (p.kind, p.name, ", ".join(p.rights) or "-", _why(p.why, once=p.once))
        for p in found.permissions
    ]
    for text in table(_HEADS, rows, empty="nothing has to be granted"):
        session.say(f"  {text}")
    if found.lacks:
        session.say(f"  not granted: {', '.join(found.lacks)}", colour="yellow")
    session.say()


def _why(why: str, *, once: bool) -> str:
    return f"{why} (once, for prepare)" if once else why


def _json(found: Permitted) -> dict[str, Any]:
    return {
        "connection": found.connection,
        "connector": found.connector,
        "permissions": [
            {
                "kind": p.kind,
                "name": p.name,
                "rights": list(p.rights),
                "why": p.why,
                "once": p.once,
            }
            for p in found.permissions
        ],
        "lacks": None if found.lacks is None else list(found.lacks),
    }
