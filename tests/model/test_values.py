"""What the small values of the model say of themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from connector_hub.model.conflict import (
    FIELDS,
    Cause,
    Conflict,
    DeadLetter,
    causes,
)
from connector_hub.model.entity import Entity, FieldSpec
from connector_hub.model.job import Known
from connector_hub.model.journal import Page
from connector_hub.model.kept import Kept, PlanState
from connector_hub.model.known import knowing, reading
from connector_hub.model.mapping import Mapping, Rule
from connector_hub.model.plan import Plan
from connector_hub.model.record import Ref, refs
from connector_hub.model.standing import Standing


def letter(number: int, **more: Any) -> DeadLetter:
    said = {"job": "people", "reason": "BAD", "fields": ("email",)} | more
    return DeadLetter(
        number,
        said["job"],
        "left",
        f"r{number}",
        "update",
        said["reason"],
        said["fields"],
        7,
        "now",
        "",
    )


def test_letters_are_grouped_by_job_reason_and_fields_the_most_frequent_first() -> None:
    letters = [
        letter(9, reason="LONG"),
        *(letter(n) for n in (1, 2, 3, 4)),
        letter(5, job="firms"),
        letter(6, fields=("name",)),
        letter(8, reason="LONG"),
    ]
    assert causes(letters) == [
        Cause("people", "BAD", ("email",), 4, (1, 2, 3)),
        Cause("people", "LONG", ("email",), 2, (9, 8)),
        Cause("firms", "BAD", ("email",), 1, (5,)),
        Cause("people", "BAD", ("name",), 1, (6,)),
    ]


def conflict(kind: str, **detail: Any) -> Conflict:
    return Conflict(1, "people", kind, (("left", "1"),), 7, "now", detail)


def test_a_conflict_about_fields_names_them_and_no_other_has_any() -> None:
    assert conflict(FIELDS, fields="name,email").fields == ["name", "email"]
    assert conflict("twins", fields="name").fields == []


def test_an_entity_knows_its_links_and_where_they_point() -> None:
    specs = (
        FieldSpec("name", "text", to="company"),
        FieldSpec("company", "link", to="company"),
        FieldSpec("owner", "link"),
    )
    entity = Entity("person", {s.name: s for s in specs})
    assert entity.links() == {"company": "company"}


def test_a_page_of_the_journal_has_a_layout_for_each_side() -> None:
    page = Page("people", 7, "now", (("name", "n"),), (("name", "Name"),), [])
    assert page.layout("left") == (("name", "n"),)
    assert page.layout("right") == (("name", "Name"),)


@pytest.mark.parametrize(
    ("state", "is_open"),
    [("kept", True), ("waiting", True), ("begun", False), ("stale", False)],
)
def test_a_kept_plan_is_open_until_it_is_begun_or_cannot_be(
    state: PlanState, *, is_open: bool
) -> None:
    plan = Plan("p1", "people", "contact", "sales", "billing")
    assert Kept(plan, "then", state).open is is_open


def test_a_kept_plans_document_says_how_it_stands_and_who_decided() -> None:
    plan = Plan("p1", "people", "contact", "sales", "billing")
    kept = Kept(
        plan, "then", "rejected", "now", "ann", why="was rejected", where="hub.yaml"
    )
    assert kept.document() == plan.document() | {
        "state": "rejected",
        "made": "then",
        "decided": "now",
        "by": "ann",
        "why": "was rejected",
    }
    assert Kept(plan, "then", "kept").document()["why"] is None


def test_known_ids_are_identity_before_all_others_and_are_only_read() -> None:
    entity = Entity("person", {"email": FieldSpec("email", "email")}, (("email",),))
    ids = (Known("crm_id", "Erp__c"), Known("old", "Old__c"))
    wide = knowing(entity, ids)
    one, two = "(known id 1)", "(known id 2)"
    assert wide.identity == ((one,), (two,), ("email",))
    assert wide.fields == entity.fields | {
        one: FieldSpec(one, "text"),
        two: FieldSpec(two, "text"),
    }
    spoke = Mapping("person", "acme", "people", {"email": Rule("email", "email")})
    for side, paths in (("left", ("crm_id", "old")), ("right", ("Erp__c", "Old__c"))):
        assert reading(spoke, ids, side).rules == {  # type: ignore[arg-type]
            "email": Rule("email", "email"),
            one: Rule(one, path=paths[0], via=("trim",), one_way=True),
            two: Rule(two, path=paths[1], via=("trim",), one_way=True),
        }


def test_links_are_told_in_one_order() -> None:
    found = [Ref("b", "1"), Ref("a", "2", "A"), Ref("a", "2"), Ref("a", "10")]
    ordered = (Ref("a", "10"), Ref("a", "2"), Ref("a", "2", "A"), Ref("b", "1"))
    assert refs(found) == refs(reversed(found)) == ordered


SINCE = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("standing", "line"),
    [
        (Standing("job", "people", "paused", SINCE), "job people is paused, since AT"),
        (
            Standing("connection", "sales", "paused", SINCE, "ann", "audit"),
            "connection sales is paused by ann, since AT: audit",
        ),
        (
            Standing("connection", "sales", "reconnect", SINCE, "ann", "Refused"),
            "connection sales must be reconnected, since AT",
        ),
    ],
)
def test_what_is_held_is_told_in_a_line(standing: Standing, line: str) -> None:
    here = f"{SINCE.astimezone():%Y-%m-%d %H:%M}"
    assert standing.told() == line.replace("AT", here)
