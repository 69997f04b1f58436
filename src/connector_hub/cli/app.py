"""The commands by name. Their modules are imported when they are called."""

from __future__ import annotations

import click

from connector_hub import __version__
from connector_hub.cli.lazy import Root
from connector_hub.cli.session import Session, with_session

COMMANDS = {
    "Set up": {
        "init": ("setup:init", "Start a project: hub.yaml, key, editor schemas."),
        "doctor": ("doctor:doctor", "Look at everything, say how to mend it."),
        "connectors": ("accounts:connectors", "What is installed."),
        "connect": (
            "accounts:connect",
            "A yes in the browser, or a secret; tested, stored.",
        ),
        "auth": ("auth:auth", "What connections sign with; renew it, give it back."),
        "permissions": ("permissions:permissions", "What a job must be allowed."),
        "check": ("setup:check", "Files, mapping tests, connections."),
        "describe": ("accounts:describe", "A vendor's fields, live."),
        "prepare": ("accounts:prepare", "Show and make the record-key fields."),
    },
    "Map": {
        "map": ("mapping:map_", "Rules: suggest, add, preview, test."),
    },
    "Run": {
        "plan": ("syncing:plan", "What would be done now; writes to no vendor."),
        "apply": ("syncing:apply", "Carry out a plan, exactly."),
        "plans": ("plans:plans", "Plans that are kept; approve or reject them."),
        "sync": ("syncing:sync", "Plan and apply; all jobs when none is named."),
        "run": ("keeping:run", "Keep all jobs to their `every`, until stopped."),
        "pause": ("keeping:pause", "Hold a job or a connection."),
        "resume": ("keeping:resume", "Let it go on."),
        "notify": ("notices:notify", "Who is told of what; a test of it."),
    },
    "Work through": {
        "match": ("matching:match", "Who is whom; a CSV to correct and take in."),
        "links": ("matching:links", "Which records are one thing."),
        "runs": ("lists:runs", "The latest runs."),
        "why": ("history:why", "Why a field holds what it holds."),
        "undo": ("history:undo", "Plan what brings back what was before a run."),
        "conflicts": ("lists:conflicts", "What waits for a decision."),
        "dead-letters": ("lists:dead_letters", "What vendors refused, and replay."),
        "report": ("report:report", "What all jobs did; for a manager, too."),
    },
    "Forget": {
        "erase": ("personal:erase", "Forget a person, and leave them alone."),
        "export": ("personal:export", "Show what is kept about a person."),
        "key": ("key:key", "Give the state another key."),
    },
    "Try out": {
        "sandbox": ("sandbox:sandbox", "A vendor in memory, on 127.0.0.1."),
    },
}


@click.group(
    cls=Root,
    sections=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog="Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 partial, "
    "4 credentials, 5 try later, 6 refused by a guard, 7 plugin, 8 state, "
    "10 plan --detailed-exitcode found changes, 130 and 143 interrupted.",
)
@click.version_option(__version__, prog_name="connector-hub")
@with_session
def cli(session: Session) -> None:
    """Keep business apps in agreement: plan first, merge field by field."""
