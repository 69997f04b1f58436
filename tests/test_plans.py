"""Plans that people approve: what waits, what an approval carries out, what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.locks import job_lock
from connector_hub.adapters.person import person
from connector_hub.diagnostics import Mistakes
from connector_hub.errors import ConfigError, GuardTripped, Locked, PlanStale
from connector_hub.hub import Hub, planning, running
from connector_hub.model.kept import Kept
from connector_hub.sdk import Account
from connector_hub.sync.run import Options
from connector_hub_salesforce.connector import Salesforce

from .conftest import Opener, Vendors

WHEN = "{when: {create: 5, update: 10%, clear: 0}, else: wait}"


class Later(SystemClock):
    """The machine's time, moved on."""

    def __init__(self, **ahead: float) -> None:
        self.ahead = timedelta(**ahead)

    def now(self) -> datetime:
        return super().now() + self.ahead


def rows(vendors: Vendors) -> dict[str, Any]:
    """All that both accounts hold."""
    names = {"sales": ("contacts", "companies"), "billing": ("Contact", "Account")}
    return {f"{c}/{r}": vendors[c].live(r) for c in names for r in names[c]}


def states(hub: Hub) -> list[str]:
    return [k.state for k in hub.plans("contacts")]


async def waiting(hub: Hub) -> str:
    """The plan a first sync is held by."""
    await hub.sync("companies")
    receipt = await hub.sync("contacts")
    assert receipt.status == "waiting"
    assert receipt.plan is not None
    return receipt.plan


async def test_a_plan_beyond_the_bounds_waits_and_writes_nothing(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        await hub.sync("companies")
        before = rows(vendors)
        receipt = await hub.sync("contacts")
        assert receipt.status == "waiting"
        assert (receipt.read, receipt.blocked, receipt.created) == (20, 20, 0)
        assert "create 20 records, apply: when allows 5" in receipt.notes[0]
        assert rows(vendors) == before
        (kept,) = hub.plans("contacts")
        assert (kept.state, kept.plan.id) == ("waiting", receipt.plan)
        assert kept.plan.count("create") == 20
        assert kept.plan.calls["billing"]
        assert len(list(hub.changes(kept.plan))) == 20
        assert hub.runs("contacts")[0]["status"] == "waiting"
        assert hub.runs("contacts")[0]["document"]["plan"] == receipt.plan


async def test_a_plan_within_the_bounds_is_carried_out_at_once(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        await hub.apply(await waiting(hub))
        row = vendors["sales"].live("contacts")[0]
        vendors["sales"].edit(
            "contacts", {"id": row["id"], "properties": {"city": "X"}}
        )
        vendors["sales"].clock.advance(5)
        receipt = await hub.sync("contacts")
    assert (receipt.status, receipt.updated) == ("done", 1)


async def test_an_approval_carries_out_what_was_planned_and_says_who_gave_it(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        receipt = await hub.apply(plan)
        assert (receipt.status, receipt.created) == ("done", 20)
        kept = hub.kept(plan)
        assert (kept.state, kept.person) == ("applied", person())
        assert kept.decided is not None
        assert (await hub.sync("contacts")).status == "done"
    assert len(vendors["billing"].live("Contact")) == 20


async def test_while_a_plan_waits_a_sync_plans_nothing_and_says_so(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        vendors["sales"].edit("contacts", {"properties": {"email": "n@people.example"}})
        before = rows(vendors)
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.plan) == ("waiting", plan)
        assert (receipt.read, rows(vendors)) == (0, before)
        assert f"plan {plan}" in receipt.notes[0]
        assert "a sync plans afresh when it is decided, or after" in receipt.notes[0]
        assert states(hub) == ["waiting"]
        assert (await hub.sync("companies")).status == "done"
        assert (await hub.plan("contacts")).count("create") == 21
        assert states(hub) == ["kept", "waiting"]


async def test_a_rejected_plan_leaves_everything_to_be_looked_at_again(
    opened: Opener,
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        kept = hub.reject(plan)
        assert (kept.state, kept.person) == ("rejected", person())
        again = await hub.sync("contacts")
        assert (again.status, again.read) == ("waiting", 20)
        assert states(hub) == ["waiting", "rejected"]
        assert hub.store.cursor("contacts", "left", "changed") is None


@pytest.mark.parametrize("change", ["a day", "a mapping"])
async def test_a_plan_that_cannot_be_approved_any_more_is_replaced(
    opened: Opener, tmp_path: Path, change: str
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
    if change == "a mapping":
        remap(tmp_path)
    async with opened(apply=WHEN) as hub:
        if change == "a day":
            hub.clock = Later(hours=25)
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.read) == ("waiting", 20)
        assert receipt.plan != plan
        assert states(hub) == ["waiting", "replaced"]
        with pytest.raises(PlanStale, match="was replaced"):
            await hub.apply(plan)


async def test_a_guard_refuses_before_a_plan_could_wait(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN, guard="{create: 10}") as hub:
        await hub.sync("companies")
        with pytest.raises(GuardTripped):
            await hub.sync("contacts")
        assert hub.plans("contacts") == []
    assert vendors["billing"].live("Contact") == []


async def test_deletes_that_a_person_allowed_are_still_allowed_when_the_plan_is_approved(
    opened: Opener, vendors: Vendors
) -> None:
    sales = vendors["sales"]
    async with opened(deletes="{follow: true}", apply="{when: {update: 0}}") as hub:
        await hub.sync("companies")
        await hub.sync("contacts")
        first, second = sales.live("contacts")[:2]
        sales.edit("contacts", {"id": first["id"], "archived": True})
        sales.edit("contacts", {"id": second["id"], "properties": {"city": "X"}})
        sales.clock.advance(5)
        options = Options(full=True, allow_deletes=1)
        held = await hub.sync("contacts", options=options)
        assert held.status == "waiting"
        receipt = await hub.apply(str(held.plan))
    assert (receipt.deleted, receipt.updated) == (1, 1)


def remap(folder: Path) -> None:
    """Another rule for the city."""
    path = folder / "mappings/contact/hubspot.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "entity: contact\nconnector: hubspot\nresource: contacts\nextends: shipped\n"
        "fields:\n  city: {path: properties.city, via: [upper]}\n"
    )


def revocabulary(folder: Path) -> None:
    """Another vocabulary."""
    path = folder / "mappings/contact/entity.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    shipped = Path(__file__).parent.parent / "mappings/contact/entity.yaml"
    path.write_text(shipped.read_text().replace("[[email], ", "[[phone], [email], "))


def rewrite_on_create(folder: Path) -> None:
    """Another value that only new records get."""
    path = folder / "mappings/contact/salesforce.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "entity: contact\nconnector: salesforce\nresource: Contact\nextends: shipped\n"
        "set_on_create: {LeadSource: Web}\n"
    )


def nothing(_folder: Path) -> None:
    """The files stay."""


@pytest.mark.parametrize(
    ("edit", "keys", "told"),
    [
        (remap, {}, ("hubspot.yaml:6:3", "the rule of city at sales changed")),
        (revocabulary, {}, ("entity.yaml", "entity contact changed")),
        (rewrite_on_create, {}, ("salesforce.yaml", "the mapping of billing changed")),
        (nothing, {"create": "right"}, ("hub.yaml:14:3", "job contacts changed")),
    ],
)
async def test_a_plan_is_refused_after_what_it_was_made_from_changed(  # noqa: PLR0917
    opened: Opener,
    vendors: Vendors,
    tmp_path: Path,
    edit: Callable[[Path], None],
    keys: dict[str, str],
    told: tuple[str, str],
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
    before = rows(vendors)
    edit(tmp_path)
    async with opened(apply=WHEN, **keys) as hub:
        where, what = told
        await refused(hub, plan, what, where)
        assert hub.kept(plan).state == "stale"
    assert rows(vendors) == before


async def refused(hub: Hub, plan: str, what: str, where: str = "") -> Kept:
    """An approval is refused with what happened, where, and what to do; no vendor is asked."""
    calls = {n: dict(x.calls) for n, x in hub._ledgers.items()}
    with pytest.raises(PlanStale) as e:
        await hub.apply(plan)
    assert e.value.exit_code == 6
    assert f"plan {plan} " in e.value.message
    assert what in e.value.message
    assert e.value.where.endswith(where)
    assert "nothing was written; plan again: connector-hub plan" in e.value.hint
    assert {n: dict(x.calls) for n, x in hub._ledgers.items()} == calls
    return hub.kept(plan)


async def test_a_plan_outlives_another_schedule(opened: Opener) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
    async with opened(apply=WHEN, every="15m") as hub:
        assert (await hub.apply(plan)).created == 20


async def test_a_plan_is_approved_once(opened: Opener, vendors: Vendors) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        await hub.apply(plan)
        before = rows(vendors)
        await refused(hub, plan, "was applied at 20")
        await hub.sync("contacts")
        kept = await refused(hub, plan, f"UTC by {person()}")
        assert kept.state == "applied"
        with pytest.raises(PlanStale, match="was applied"):
            hub.reject(plan)
    assert rows(vendors) == before


async def test_a_rejected_plan_is_not_approved(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        hub.reject(plan)
        before = rows(vendors)
        await refused(hub, plan, "was rejected at")
        with pytest.raises(PlanStale, match="was rejected"):
            hub.reject(plan)
    assert rows(vendors) == before


async def test_a_plan_is_refused_after_its_day(
    opened: Opener, vendors: Vendors
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        before = rows(vendors)
        hub.clock = Later(hours=23, minutes=59)
        assert hub.kept(plan).state == "waiting"
        hub.clock = Later(hours=25)
        what = "is 25 hours old, plans hold for 24 hours (plan_ttl)"
        assert (await refused(hub, plan, what, "hub.yaml")).state == "expired"
        assert rows(vendors) == before
        hub.reject(plan)
        assert states(hub) == ["rejected"]


async def test_a_plan_of_another_account_is_refused(
    opened: Opener, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        before = rows(vendors)
        home = str(hub.store.pinned("billing"))
        hub.store.pin("billing", "salesforce:00D000000000001EAA")
        what = "before connection billing got another account"
        await refused(hub, plan, what, "hub.yaml:3:3")
        hub.store.pin("billing", home)
    check = Salesforce.check

    async def another(self: Salesforce) -> Account:
        return replace(await check(self), id="00D000000000001EAA")

    monkeypatch.setattr(Salesforce, "check", another)
    async with opened(apply=WHEN) as hub:
        with pytest.raises(GuardTripped, match="it now answers as"):
            await hub.apply(plan)
        assert states(hub) == ["waiting"]
    assert rows(vendors) == before


async def test_an_unknown_plan_gets_the_nearest(opened: Opener) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        for ask in (hub.kept, hub.reject, hub.approvable):
            with pytest.raises(ConfigError, match="there is no plan") as e:
                ask(plan[:-1] + "x")
            assert plan in e.value.hint
            assert "plans list" in e.value.hint


async def test_a_plan_that_is_being_carried_out_is_not_rejected(
    opened: Opener,
) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        with job_lock(hub.state_path, "contacts"), pytest.raises(Locked):
            hub.reject(plan)
        assert states(hub) == ["waiting"]


@pytest.mark.parametrize("ask", ["reject", "apply"])
async def test_what_became_of_a_plan_just_before_the_lock_was_held_counts(
    opened: Opener, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    async def decide(hub: Hub) -> None:
        if ask == "reject":
            hub.reject(plan)
        else:
            await hub.apply(plan)

    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        before = rows(vendors)

        @contextmanager
        def at_the_last_moment(state: Path, job: str) -> Iterator[None]:
            hub.store.end_plan(plan, "applied", hub.clock.now(), "another")
            with job_lock(state, job):
                yield

        module = planning if ask == "reject" else running
        monkeypatch.setattr(module, "job_lock", at_the_last_moment)
        with pytest.raises(PlanStale, match=r"was applied at .* by another"):
            await decide(hub)
        assert states(hub) == ["applied"]
    assert rows(vendors) == before


async def test_a_plan_of_a_job_that_is_gone_is_told(opened: Opener) -> None:
    async with opened(apply=WHEN) as hub:
        plan = await waiting(hub)
        del hub.project.jobs["contacts"]  # type: ignore[attr-defined]
        with pytest.raises(PlanStale, match="was taken out") as e:
            await hub.apply(plan)
        assert "hub.yaml:" in e.value.where
        assert "or drop the plan: connector-hub plans reject" in e.value.hint
        assert hub.reject(plan).state == "rejected"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{when: {create: lots}}", "'lots' is not a bound"),
        ("{when: {created: 5}}", "unknown key 'created'"),
        ("{else: wait}", "'when' is missing"),
        ("{when: {create: 5}, else: guess}", "'wait'"),
        ("{when: {create: 5}, otherwise: wait}", "unknown key 'otherwise'"),
    ],
)
async def test_a_mistake_in_apply_is_told_at_its_place(
    opened: Opener, text: str, message: str
) -> None:
    with pytest.raises(Mistakes) as e:
        async with opened(apply=text):
            pass
    assert message in str(e.value)
    assert "hub.yaml:19:" in str(e.value)


def test_a_plan_of_another_process_has_the_same_prints() -> None:
    """A set has another order in every process."""
    code = (
        "from connector_hub.sync.plans import _print; "
        "print(_print({'only': {'country': frozenset({'ID', 'SG', 'MY', 'TH'})}}))"
    )
    seen = {
        subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


async def test_a_plan_says_what_its_writes_mean_at_the_vendors(
    opened: Opener, vendors: Vendors
) -> None:
    billing = vendors["billing"]
    async with opened("both", create="left") as hub:
        await hub.sync("companies")
        for i in range(3):
            billing.edit("Contact", {"LastName": f"N{i}", "Email": f"{i}@x.example"})
        plan = await hub.plan("contacts")
        kept = hub.kept(plan.id).plan
    assert plan.writes == {"sales": {"contacts": {"create": 3}}}
    (bill,) = plan.billed
    assert (bill["connection"], bill["resource"], bill["records"]) == (
        "sales",
        "contacts",
        3,
    )
    assert "marketing contacts" in bill["counts_for"]
    (automations,) = plan.automations
    assert automations["run"] == ["workflows that enrol on these changes"]
    assert automations["kept_still"] == []
    assert kept == plan
    document = plan.document()
    assert document["left"]["billing"]["calls"] > 90_000
    assert document["by_reason"] == {"new at the source": 3}


async def test_a_run_that_dies_before_its_plan_is_kept_leaves_nothing_behind(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(apply=WHEN) as hub:
        await hub.sync("companies")
        save = hub.store.save_plan
        monkeypatch.setattr(hub.store, "save_plan", dies)
        with pytest.raises(KeyboardInterrupt):
            await hub.sync("contacts")
        monkeypatch.setattr(hub.store, "save_plan", save)
        assert hub.plans("contacts") == []
        receipt = await hub.sync("contacts")
        assert (receipt.status, receipt.blocked) == ("waiting", 20)
        held = hub.store._run("select distinct plan from window").fetchall()
        assert held == [(receipt.plan,)]


def dies(*_words: Any, **_more: Any) -> None:
    raise KeyboardInterrupt
