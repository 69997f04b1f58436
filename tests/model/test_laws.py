"""Laws of the pure core, hunted by hypothesis."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector_hub.adapters.sqlite import SqliteStore
from connector_hub.adapters.transforms import transforms
from connector_hub.adapters.vault import Vault
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Guard, Job, Percent, Policy, Side
from connector_hub.model.link import Kin, hub_id, match, spelled
from connector_hub.model.mapping import (
    ABSENT,
    LinkRule,
    Mapping,
    Rule,
    blank,
    check,
    compile_mapping,
)
from connector_hub.model.merge import merge
from connector_hub.model.plan import Change, Seen
from connector_hub.model.record import Ref
from connector_hub.model.transforms import Unreadable

settings.register_profile("ci", max_examples=150, deadline=None, derandomize=True)
settings.load_profile("ci")

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PHONES = st.from_regex(
    r"(\+62|0)8[0-9]{2}[ .-]?[0-9]{3,4}[ .-]?[0-9]{3,5}", fullmatch=True
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | TEXTS,
    lambda x: st.lists(x, max_size=3) | st.dictionaries(TEXTS, x, max_size=3),
    max_leaves=5,
)


def read(transform: Any, raw: Any) -> Any:
    try:
        return transform.get(raw)
    except Unreadable:
        return ABSENT


@pytest.mark.parametrize(
    ("spelled_as", "raws"),
    [
        ("trim", TEXTS),
        ("lower", TEXTS),
        ("upper", TEXTS),
        (
            "domain",
            st.from_regex(
                r"(https?://)?(www\.)?[a-z]{1,8}\.org(/[a-z]*)?", fullmatch=True
            ),
        ),
        ("filler(-)", TEXTS | st.just("-")),
        ("phone(ID)", PHONES),
    ],
)
def test_what_a_transform_read_is_read_again_after_it_was_put(spelled_as, raws):
    transform = transforms().make(spelled_as)

    @given(raws)
    def law(raw):
        value = read(transform, raw)
        if value is ABSENT or value is None or value == "":
            return
        assert transform.put is not None
        assert read(transform, transform.put(value)) == value

    law()


ENTITY = Entity(
    "thing",
    {
        f.name: f
        for f in (
            FieldSpec("name", "text"),
            FieldSpec("mail", "email"),
            FieldSpec("phone", "phone"),
            FieldSpec("amount", "number"),
            FieldSpec("active", "boolean"),
            FieldSpec("born", "date"),
            FieldSpec("since", "datetime"),
            FieldSpec("stage", "choice", ("lead", "customer")),
            FieldSpec("tags", "list"),
            FieldSpec("owner", "link", to="thing"),
        )
    },
    (("mail",),),
)
MAPPING = Mapping(
    "thing",
    "vendor",
    "things",
    {
        r.field: r
        for r in (
            Rule("name", "p.name", ("trim",)),
            Rule("mail", "p.mail", ("trim", "lower")),
            Rule("phone", "p.phone", ("phone(ID)",)),
            Rule("amount", "p.amount"),
            Rule("active", "p.active"),
            Rule("born", "p.born"),
            Rule("since", "p.since"),
            Rule("stage", "p.stage", table={"lead": ("L", "l2"), "customer": ("C",)}),
            Rule("tags", "p.tags"),
            Rule("owner", link=LinkRule(path="p.owner")),
        )
    },
)
SPOKE = compile_mapping(MAPPING, ENTITY, transforms())


def as_json(value: Any) -> Any:
    """A hub value as a vendor keeps it."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def kept(patch: Any) -> dict[str, Any]:
    """A vendor's row after a patch."""
    return {"p": {path.removeprefix("p."): as_json(v) for path, v in patch.items()}}


def seen(row: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    return SPOKE.view(SPOKE.raws(json.loads(json.dumps(row)), {}))


VIEWS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.none() | TEXTS.map(str.strip).filter(bool),
        "mail": st.none() | st.emails().map(str.lower),
        "amount": st.none() | st.decimals(-(10**9), 10**9, places=2),
        "active": st.none() | st.booleans(),
        "born": st.none() | st.dates(),
        "since": st.none()
        | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(  # noqa: DTZ001
            lambda d: d.replace(tzinfo=UTC)
        ),
        "stage": st.none() | st.sampled_from(["lead", "customer"]),
        "tags": st.sets(TEXTS.map(str.strip).filter(lambda t: t and ";" not in t)).map(
            lambda s: tuple(sorted(s))
        ),
        "owner": st.none() | TEXTS.filter(bool).map(lambda i: Ref("", i)),
    },
)


@given(VIEWS)
def test_a_view_that_was_put_is_seen_again(view):
    row = kept(SPOKE.put(view))
    found, bad = seen(row)
    assert bad == []
    assert {n: v for n, v in found.items() if n in view} == view


@given(VIEWS)
def test_putting_what_was_seen_changes_nothing(view):
    row = kept(SPOKE.put(view))
    found, _ = seen(row)
    assert seen(kept(SPOKE.put(found)))[0] == found


@given(st.dictionaries(st.sampled_from(sorted(ENTITY.fields)), JSON))
def test_no_value_of_a_vendor_breaks_a_view(fields):
    found, bad = seen({"p": fields})
    unread = {b.field for b in bad}
    assert not unread & set(found)
    for name in ENTITY.fields:
        raw = fields.get(name, ABSENT)
        if raw is ABSENT:
            assert name not in found
            assert name not in unread
        elif raw is None or raw == "":
            assert blank(found[name])
        else:
            assert name in found or name in unread


def test_absent_null_value_and_unreadable_are_four_things():
    found, bad = seen({"p": {"name": None, "amount": "much", "mail": "A@X.ORG"}})
    assert found == {"name": None, "mail": "a@x.org"}
    assert [b.field for b in bad] == ["amount"]


FIELDS = ("a", "b", "c")
SIDE = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(["x", "y", None, ()]))
MOVED = st.sets(st.sampled_from(FIELDS))
WINNERS = st.sampled_from(["left", "right", "newest", "fill", "ask"])
POLICY = st.builds(
    Policy, st.sampled_from([None, "left", "right"]), st.booleans(), WINNERS, WINNERS
)
POLICIES = st.fixed_dictionaries(dict.fromkeys(FIELDS, POLICY))


@given(POLICIES, SIDE, SIDE, st.none() | st.tuples(MOVED, MOVED))
def test_a_merge_decides_each_field_once_and_never_writes_what_is_there(
    policies, left, right, moved
):
    m = merge(policies, left, right, moved)
    told = (*m.left, *m.right, *m.agreed, *m.asks)
    assert len(told) == len(set(told))
    for name in m.right:
        assert name in left
        assert left[name] != right.get(name, ABSENT)
        assert policies[name].owner != "right"
    for name in m.left:
        assert name in right
        assert policies[name].owner != "left"
    for name in (*m.left, *m.right):
        if moved is None:
            assert not blank((left if name in m.right else right)[name])
        elif policies[name].owner is None:
            assert name in moved[0] | moved[1]
    for name in m.asks:
        assert policies[name].owner is None
        assert name in left
        assert name in right


def mirrored(policy: Policy) -> Policy:
    flip: dict[Any, Any] = {"left": "right", "right": "left"}
    return Policy(
        flip.get(policy.owner),
        policy.revert,
        flip.get(policy.both, policy.both),
        flip.get(policy.first, policy.first),
    )


@given(POLICIES, SIDE, SIDE, st.none() | st.tuples(MOVED, MOVED))
def test_a_merge_does_not_care_which_side_is_called_left(policies, left, right, moved):
    """But for ``fill``, which prefers the left where neither is blank."""
    policies = {n: p for n, p in policies.items() if "fill" not in {p.both, p.first}}
    m = merge(policies, left, right, moved)
    back = merge(
        {n: mirrored(p) for n, p in policies.items()},
        right,
        left,
        None if moved is None else moved[::-1],
    )
    assert (m.left, m.right, m.agreed, m.asks) == (
        back.right,
        back.left,
        back.agreed,
        back.asks,
    )


@given(POLICIES, SIDE, SIDE, st.tuples(MOVED, MOVED))
def test_after_a_merge_there_is_nothing_left_to_write(policies, left, right, moved):
    m = merge(policies, left, right, moved)
    left = {**left, **{n: right[n] for n in m.left}}
    right = {**right, **{n: left[n] for n in m.right}}
    done = {*m.left, *m.right, *m.agreed}
    again = merge(policies, left, right, (moved[0] - done, moved[1] - done))
    reverts = {n for n, p in policies.items() if p.revert}
    assert not (set(again.left) | set(again.right)) - reverts


KIN = st.builds(Kin, st.sampled_from("pqr"), st.integers(0, 1), st.integers(1, 3))


@given(
    st.integers(0, 3),
    st.lists(KIN),
    st.lists(KIN),
    st.frozensets(st.sampled_from("pqr")),
)
def test_identity_decides_alike_whatever_the_order(filled, same, other, taken):
    found = match("m", filled, same, other, taken)
    assert found == match("m", filled, same[::-1], other[::-1], taken)
    if found.kind == "one":
        assert not taken & set(found.records)
        assert len(found.records) == 1
    if not filled:
        assert found.kind == "unknown"


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_hub_id_is_a_uuid_that_can_be_computed_again(
    tenant, account, resource_, record
):
    import uuid  # noqa: PLC0415 - the reference

    made = hub_id(tenant, account, resource_, record)
    assert made == hub_id(tenant, account, resource_, record)
    assert uuid.UUID(bytes=made).version == 5
    assert spelled(made) == str(uuid.UUID(bytes=made))


RAWS = st.lists(JSON | st.just(ABSENT), max_size=4).map(tuple)
SEEN = st.builds(
    Seen, TEXTS, st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS, RAWS
)


@settings(max_examples=40)
@given(st.lists(SEEN, min_size=1, max_size=3), st.binary(min_size=16, max_size=16))
def test_what_is_kept_in_the_state_comes_back_as_it_was(records, hub):
    store = SqliteStore(":memory:", Vault(b"k" * 32))
    changes = [
        Change(
            "update", hub, "left", s, None, (), ("a",), waits=(("left", "f", "r", "1"),)
        )
        for s in records
    ]
    store.save_window("job", "plan", 0, changes)
    store.stage("job", "plan", "left", 0, records)
    assert [c for _, window in store.windows("job", "plan") for c in window] == changes
    (back,) = store.staged("job", "plan", "left")
    assert back == records
    for s in back:
        assert all(r is ABSENT for r in s.raws if r == ABSENT)
    store.close()


@given(st.integers(0, 1000), st.floats(0, 100))
def test_a_guard_that_is_a_share_is_one_of_the_linked(linked, share):
    limits = Guard(create=Percent(share), update=7).limits(linked)
    assert limits == {
        "create": int(linked * Decimal(str(share)) / 100),
        "update": 7,
        "delete": 0,
    }


ONE_WAY = Job("j", "e", Side("a", "r"), Side("b", "r"), "left-to-right")


@given(POLICY, st.booleans(), st.booleans())
def test_a_one_way_job_lets_nothing_travel_back(policy, to_right, to_left):
    job = Job(
        **{
            **{n: getattr(ONE_WAY, n) for n in ONE_WAY.__slots__},
            "fields": {"*": policy},
        }
    )
    found = job.policy("f", to_right=to_right, to_left=to_left)
    assert found is None or found.owner == "left"
    assert not job.creates_at("left")


@pytest.mark.parametrize(
    ("rule", "said", "hint"),
    [
        (Rule("nmae", "p.x"), "no field 'nmae'", "did you mean 'name'?"),
        (Rule("name"), "one of path, link", ""),
        (Rule("name", link=LinkRule(path="p.x")), "kind link only", ""),
        (Rule("owner", link=LinkRule()), "a path or an association", ""),
        (Rule("name", "p.x", ("trimm",)), "'trimm'", "did you mean 'trim'?"),
        (Rule("name", "p.x", ("upper", "filler(n/a)")), "not read as a blank", ""),
        (Rule("name", "p.x", ("filler",)), "needs the text to fill in", ""),
        (Rule("phone", "p.x", ("phone(XX)",)), "needs a region", ""),
        (Rule("name", "p.x", bad="ignore"), "bad is leave or reject", ""),
        (Rule("amount", "p.x", table={"1": ("a",)}), "cannot give a number", ""),
        (
            Rule("stage", "p.x", table={"laed": ("a",)}),
            "'laed'",
            "did you mean 'lead'?",
        ),
        (
            Rule("stage", "p.x", table={"lead": ("a",), "customer": ("a",)}),
            "stands for both",
            "",
        ),
        (
            Rule("stage", "p.x", table={"lead": ("a",)}, other="prospect"),
            "other is",
            "",
        ),
        (
            Rule("stage", "p.x", table={"lead": ("a",)}, order=("former",)),
            "not in the table",
            "",
        ),
        (Rule("name", "p.x", order=("a",)), "order goes with a table", ""),
    ],
)
def test_every_mistake_in_a_rule_is_told(rule, said, hint):
    found = check(Mapping("thing", "v", "r", {rule.field: rule}), ENTITY, transforms())
    assert any(said in p.message and hint in p.hint for p in found), found
