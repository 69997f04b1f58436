"""Mending the record behind a dead letter: a person's edit at the source, made through the hub.

The value goes to the source, not into one write to the target: so both sides will say the same, the next
sync takes it along as any edit, and the value that stood there is in the journal and can be brought back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import (
    ConfigError,
    Exists,
    HubError,
    Missing,
    PluginError,
    Rejected,
    Stale,
    VendorError,
)
from connector_hub.model.conflict import DeadLetter
from connector_hub.model.link import spelled
from connector_hub.model.mapping import ABSENT, Spoke
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Done, Write
from connector_hub.sdk.connector import Can
from connector_hub.sync.base import change_hash
from connector_hub.sync.counting import balance
from connector_hub.sync.journal import Differs, keep
from connector_hub.sync.planner import unreadable
from connector_hub.sync.reconcile import reconcile
from connector_hub.sync.run import JobRun
from connector_hub.sync.sides import LiveSide, fetch
from connector_hub.sync.views import read_views
from connector_hub.sync.writing import Item, differing, read_back, trace, write_all

_SEED = 12


async def mend(
    run: JobRun, letter: DeadLetter, texts: Mapping[str, str]
) -> tuple[str, ...]:
    """Write corrected values to the record whose values were refused.

    Args:
        run: of the letter's job.
        letter: an open one.
        texts: values by field, as people write them; empty to clear one.

    Returns:
        Fields of which the vendor made something else.

    Raises:
        ConfigError: a field or value is not one, or cannot be written there, or the record has changed since
            it was refused; nothing has been written.
        VendorError: the vendor refuses the edit, too.
    """
    side = run.side(letter.side)
    place = side.place(side.at(letter.record)[0])
    if Can.UPDATE not in place.resource.can:
        raise _elsewhere(side, letter, "the hub cannot write there")
    values = {n: parsed(place.spoke, n, text) for n, text in texts.items()}
    for name, value in values.items():
        if name not in place.spoke.writable:
            raise _elsewhere(side, letter, f"its mapping only reads {name}")
        if not place.spoke.can_say(name, value):
            raise ConfigError(f"{side.connection} has nothing like that for {name}")
    await reconcile(run)
    await run.look()
    now = await _now(run, side, letter)
    item = _item(run, side, letter, now, values)
    await write_all(run, [item], 0)
    await read_back(run, [item])
    if not isinstance(item.outcome, Done):
        raise _refusal(side, item)
    left = _not_taken(run, item)
    with run.store.transaction():
        keep(run, [item], {id(item): Differs(left)})
        run.look_again([(side.name, letter.record)], "edited")
    run.tally.writes[side.connection] += 1
    run.tally.read += 1
    run.tally.add("not_taken" if left else "updated")
    balance(run)
    return left


def parsed(spoke: Spoke, name: str, text: str) -> Any:
    """A value in the hub's words, from what a person writes. The text itself is in no message.

    Raises:
        ConfigError: there is no such field, or it is no value of its kind.
    """
    rule, spec = spoke.mapping.rules.get(name), spoke.entity.fields.get(name)
    if rule is None or spec is None or name not in spoke.names:
        raise ConfigError(
            f"there is no field {name!r}", hint=did_you_mean(name, spoke.names)
        )
    if spec.kind == "link":
        raise ConfigError(f"{name} is a link", hint="link the records at the vendor")
    if spec.kind == "rows":
        raise ConfigError(f"{name} are rows", hint="edit them at the vendor")
    if not text:
        return () if spec.kind == "list" else None
    words = tuple(rule.table or ()) or (spec.of if spec.kind == "choice" else ())
    if words:
        if text not in words:
            raise ConfigError(
                f"that is no word of {name}", hint=did_you_mean(text, words)
            )
        return text == "true" if spec.kind == "boolean" else text
    view, bad = spoke.whole(tuple(text if n == name else ABSENT for n in spoke.kept))
    if bad or name not in view:
        raise ConfigError(f"that is no {spec.kind}, which {name} is")
    return view[name]


def _elsewhere(side: LiveSide, letter: DeadLetter, why: str) -> ConfigError:
    return ConfigError(
        f"{side.connection} {letter.record} cannot be edited from here: {why}",
        hint=f"mend it at {side.connection}, then replay the letter",
    )


async def _now(run: JobRun, side: LiveSide, letter: DeadLetter) -> Seen:
    """The record, which must be as it was when it was refused."""
    here, _ = await fetch(side, [letter.record])
    now = here.get(letter.record)
    if now is None:
        raise ConfigError(
            f"{side.connection} {letter.record} is not there any more",
            hint="the next sync closes its letter",
        )
    known = run.store.open_letters(run.job.name, side.name, [letter.record])
    refused = {
        change_hash(run.key, [action, now.raws, run.rules()])
        for action in ("create", "update")
    }
    if known.get(letter.record) not in refused | {unreadable(run, now)}:
        raise ConfigError(
            f"{side.connection} {letter.record} has changed since it was refused",
            hint=f"try it as it is: connector-hub dead-letters replay {letter.id}",
        )
    return now


def _item(
    run: JobRun,
    side: LiveSide,
    letter: DeadLetter,
    now: Seen,
    values: Mapping[str, Any],
) -> Item:
    link = side.links([now.id]).get(now.id)
    hub = link.hub if link else side.first_hub_id(run.tenant, now.id)
    at_left = side.name == "left"
    fields = tuple(values)
    change = Change(
        "update",
        hub,
        side.name,
        now if at_left else None,
        None if at_left else now,
        fields if at_left else (),
        () if at_left else fields,
        reason=f"edited by a person, dead letter {letter.id}",
    )
    resource = side.at(now.id)[0]
    patch = side.place(resource).spoke.patch(values)
    write = Write(
        "update",
        trace(run.chance.randbytes(_SEED), 0),
        spelled(hub),
        now.id,
        patch.fields,
        version=now.version,
    )
    wanted = side.place(resource).spoke.filled(values)
    return Item(change, side, wanted, write, resource)


def _not_taken(run: JobRun, item: Item) -> tuple[str, ...]:
    if item.now is None:
        return ()
    (read,) = read_views(run, item.side, [item.now])
    return differing(item, read.view, item.now)


def _refusal(side: LiveSide, item: Item) -> HubError:
    """Why the edit was not made, without the vendor's own words: these may quote values."""
    where, outcome = f"{side.connection} {item.write.id}", item.outcome
    if isinstance(outcome, Rejected):
        what = " ".join((outcome.reason, *outcome.fields))
        return VendorError(f"{where} was not edited: refused {what}".rstrip())
    if isinstance(outcome, Exists):
        return VendorError(f"{where} was not edited: another record has that already")
    if isinstance(outcome, Missing | Stale):
        return VendorError(f"{where} was not edited: it has moved, or is gone")
    return outcome if isinstance(outcome, HubError) else PluginError(where)


__all__ = ["mend", "parsed"]
