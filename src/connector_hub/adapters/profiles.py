"""The ``profiles:`` of hub.yaml: the same jobs with other accounts and a state of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from connector_hub.adapters.config import ProjectModel
from connector_hub.adapters.secrets import is_reference
from connector_hub.adapters.yaml import Key
from connector_hub.diagnostics import did_you_mean
from connector_hub.model.job import Job

Add = Callable[..., None]
"""Told (where, what is wrong, and more about it)."""
_ITSELF = "the file itself"


def check_profiles(model: ProjectModel, folder: Path, add: Add) -> None:
    """All profiles, whichever is used: a mistake in production is found in staging."""
    states: dict[Path | None, str] = {_file(model.state, folder): _ITSELF, None: ""}
    for name, p in model.profiles.items():
        at: Key = ("profiles", name)
        for mine, other in p.connections.items():
            for connection in (mine, other):
                if connection not in model.connections:
                    add(
                        (*at, "connections", mine),
                        f"there is no connection {connection!r}",
                        hint=did_you_mean(connection, model.connections),
                    )
        if p.key is not None and not is_reference(p.key):
            add(
                (*at, "key"),
                "the key is written out where only a reference may stand",
                code="secret",
                hint="write file:PATH, keyring:NAME or env:NAME",
                secret=True,
            )
        hint = f"write state: sqlite:///{name}.db"
        if p.state is None:
            add(at, f"profile {name!r} has no state of its own", key=True, hint=hint)
            continue
        file = _file(p.state, folder)
        if states.get(file):
            add(
                (*at, "state"),
                f"profile {name!r} would share its state with {states[file]}",
                hint=hint,
            )
        elif file is not None:
            states[file] = f"profile {name!r}"


def _file(state: str, folder: Path) -> Path | None:
    """A state's file, however it is spelled; None for one in memory, which nobody shares."""
    path = state.partition(":///")[2]
    return None if path in {"", ":memory:"} else (folder / path).resolve()


def idle(model: ProjectModel, jobs: Iterable[Job]) -> frozenset[str]:
    """Connections that stand in for others under some profile, and that no job uses under this one."""
    swapped = {
        name
        for p in model.profiles.values()
        for pair in p.connections.items()
        for name in pair
    }
    used = {side.connection for job in jobs for side in (job.left, job.right)}
    return frozenset(swapped - used)


def same_key(model: ProjectModel, state: str, key: str) -> dict[str, str]:
    """Other states of the project with the same key, by profile; that of no profile under an empty name."""
    states = {"": (model.state, model.key)}
    for name, p in model.profiles.items():
        states[name] = (p.state or model.state, p.key or model.key)
    return {n: s for n, (s, k) in states.items() if k == key and s != state}
