"""What rules for a new field would be, from what the vendors say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connector_hub.diagnostics import did_you_mean
from connector_hub.errors import ConfigError
from connector_hub.model.entity import Entity, FieldSpec, Kind
from connector_hub.model.job import SIDES, SideName
from connector_hub.model.mapping import Rule
from connector_hub.sdk.connector import FieldInfo
from connector_hub.sync.suggest import Suggestion, common_kind, kind_of, like

_VIA: Mapping[str, tuple[str, ...]] = {
    "text": ("trim",),
    "email": ("trim", "lower"),
    "phone": ("phone(region)",),
}
_PERSONAL = frozenset({"email", "phone"})


def described(fields: Sequence[FieldInfo], path: str, where: str) -> FieldInfo:
    """A field by its path; one that leads through another record is taken on trust.

    Raises:
        ConfigError: the vendor has no such field.
    """
    known = {f.path: f for f in fields}
    if path in known:
        return known[path]
    heads = {p.partition(".")[0] for p in known if "." in p}
    if "." in path and path.partition(".")[0] not in heads:
        return FieldInfo(path, path, "string")
    raise ConfigError(
        f"{where} has no field {path!r}", where=where, hint=did_you_mean(path, known)
    )


def spec_of(
    entity: Entity, name: str, infos: Sequence[FieldInfo], kind: Kind | None
) -> FieldSpec:
    """The entity's field: its own where it has one, else one that fits what the vendors hold.

    Raises:
        ConfigError: it has the field, of another kind, or the vendors' fields cannot be one.
    """
    known = entity.fields.get(name)
    if known is not None:
        if kind not in {None, known.kind}:
            raise ConfigError(
                f"{name!r} is of kind {known.kind} in entity {entity.name}",
                hint="leave --kind out, or name another field",
            )
        return known
    if kind is None:
        both = (infos[0], infos[-1])
        kind = common_kind(*both) if len(infos) > 1 else kind_of(infos[0])
    if kind is None:
        types = " and ".join(f"{i.path} ({i.type})" for i in infos)
        raise ConfigError(
            f"{types} are of no common kind", hint="say which with --kind"
        )
    words = dict.fromkeys(like(o) for i in infos for o in i.options)
    return FieldSpec(
        name,
        kind,
        tuple(words) if kind == "choice" else (),
        cls="pii" if kind in _PERSONAL else "internal",
    )


def rule_for(spec: FieldSpec, info: FieldInfo, zone: str | None) -> Rule:
    """How one side keeps a field. ``zone`` is how its days are spelled, ``zone`` or a zone's name.

    Raises:
        ConfigError: a day is wanted of a moment, and the connection has no zone.
    """
    via = _VIA.get(spec.kind, ())
    if spec.kind == "date" and kind_of(info) == "datetime":
        if zone is None:
            raise ConfigError(
                f"{info.path} is a moment, and its connection has no zone to find the day in",
                hint="add zone: to the connection in hub.yaml, such as Asia/Jakarta",
            )
        via = (f"day_in({zone})",)
    return Rule(
        spec.name,
        info.path,
        via,
        _table(spec, info) if spec.kind == "choice" else None,
        one_way=info.read_only,
    )


def _table(spec: FieldSpec, info: FieldInfo) -> Mapping[str, tuple[str, ...]] | None:
    """The vendor's options by word; None where they are the words themselves."""
    words = {like(w): w for w in spec.of}
    found: dict[str, tuple[str, ...]] = {}
    for option in info.options:
        word = option if option in spec.of else words.get(like(option))
        if word is not None:
            found[word] = (*found.get(word, ()), option)
    return None if all(v == (w,) for w, v in found.items()) else found


def paths_of_suggestion(found: Sequence[Suggestion], name: str) -> dict[SideName, str]:
    """Where a suggestion of that name lacks rules.

    Raises:
        ConfigError: there is none.
    """
    for s in found:
        if s.field == name:
            ends: dict[SideName, str] = {}
            for side in SIDES:
                if not s.end(side).mapped:
                    ends[side] = s.end(side).info.path
            return ends
    raise ConfigError(
        f"nothing suggests a rule for {name!r}",
        hint=f"say where it is with --left PATH --right PATH; {_suggested(found)}",
    )


def _suggested(found: Sequence[Suggestion]) -> str:
    names = ", ".join(s.field for s in found)
    return f"suggested are: {names}" if names else "nothing is suggested"


def lacking(
    name: str, paths: Mapping[SideName, str], ruled: Mapping[SideName, bool]
) -> None:
    """Refuse a field that would have a rule on one side only.

    Raises:
        ConfigError: names the option that is missing.
    """
    for side, has in ruled.items():
        if side not in paths and not has:
            raise ConfigError(
                f"{name!r} would have no rule on the {side}, and travel nowhere",
                hint=f"say where it is there with --{side} PATH",
            )
