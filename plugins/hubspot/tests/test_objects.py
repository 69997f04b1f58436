"""Objects besides contacts and companies: what they demand, where they stand, what they lead to."""

import uuid

import pytest

from connector_hub.errors import AuthError, ConfigError, Exists, PluginError, Rejected
from connector_hub.sdk import Done, Gone, LinkPatch, Ref, Want, Write
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.kinds import KINDS

WANT = Want(frozenset({"properties.hs_object_id"}), frozenset())


def new(links=None, **fields):
    paths = {f"properties.{n}": v for n, v in fields.items()}
    return Write(
        "create", str(uuid.uuid4()), str(uuid.uuid4()), None, paths, links or {}
    )


def update(record, links=None, **fields):
    paths = {f"properties.{n}": v for n, v in fields.items()}
    return Write("update", str(uuid.uuid4()), "k", record, paths, links or {})


async def written(crm, resource, *writes):
    way = crm.resource(resource).way(writes[0].op)
    return await crm.write(resource, writes, way=way)


def held(portal, resource, record):
    return next(r for r in portal.live(resource) if r["id"] == record)


@pytest.mark.parametrize("resource", sorted(KINDS))
async def test_every_object_is_listed_and_searched_with_its_own_stamp(
    crm, portal, resource
):
    if resource == "tickets":
        await written(crm, "tickets", new(subject="Help", hs_pipeline_stage="1"))
    there = {r["id"] for r in portal.live(resource)}
    assert there
    listed = await crm.read(resource, "changed", None, WANT)
    assert {r.id for r in listed.records} == there
    one = min(there)
    portal.clock.advance(3_600)
    portal.edit(resource, {"id": one, "properties": {}})
    changed = await crm.read(resource, "changed", listed.mark, WANT)
    assert [r.id for r in changed.records] == [one]


async def test_stages_are_the_closed_options_of_the_pipelines_there_are(crm, portal):
    described = await crm.describe("deals")
    fields = {f.path: f for f in described.fields}
    stage = fields["properties.dealstage"]
    assert stage.closed
    assert {"closedwon", "148530613"} <= set(stage.options)
    assert fields["properties.pipeline"].options == ("default", "75261904")
    assert fields["properties.dealname"].required
    assert fields["properties.hs_forecast_amount"].read_only
    objects = portal.portal.objects["deals"]
    portal.portal.pipelined(objects, portal.portal.pipelines["deals"][:1])
    again = {f.path: f for f in (await crm.describe("deals")).fields}
    assert "148530613" not in again["properties.dealstage"].options


async def test_a_stage_of_another_pipeline_is_refused_and_the_rest_goes_on(crm, portal):
    good = new(dealname="A", pipeline="75261904", dealstage="148530612")
    bad = new(dealname="B", pipeline="75261904", dealstage="closedwon")
    done, refused = await written(crm, "deals", good, bad)
    assert held(portal, "deals", done.id)["properties"]["hs_is_closed"] == "false"
    assert isinstance(refused, Rejected)
    assert "not a valid stage" in refused.message


async def test_what_a_deal_is_worth_is_worked_out_from_its_stage(crm, portal):
    deal = new(
        dealname="A", pipeline="default", dealstage="qualifiedtobuy", amount="1000"
    )
    (done,) = await written(crm, "deals", deal)
    told = held(portal, "deals", done.id)["properties"]
    assert (told["hs_deal_stage_probability"], told["hs_projected_amount"]) == (
        "0.4",
        "400.0",
    )
    await written(crm, "deals", update(done.id, dealstage="closedwon"))
    told = held(portal, "deals", done.id)["properties"]
    assert (told["hs_is_closed_won"], told["hs_is_closed"]) == ("true", "true")


async def test_a_lead_comes_with_its_contact_and_only_once(crm, portal):
    person = portal.live("contacts")[3]["id"]
    patch = {"contacts": LinkPatch((Ref("contacts", person, "Primary"),))}
    first = new(patch, hs_lead_name="Two grinders")
    lonely = new(hs_lead_name="Nobody's")
    nameless = new(patch)
    done, refused, unnamed = await written(crm, "leads", first, lonely, nameless)
    row = held(portal, "leads", done.id)
    assert row["associations"]["contacts"]["results"] == [
        {"id": person, "type": "lead_to_contact"},
        {"id": person, "type": "lead_to_contact_unlabeled"},
    ]
    assert row["properties"]["hs_pipeline_stage"] == "new-stage-id"
    assert "association with contacts is required" in refused.message
    assert unnamed.fields == ("hs_lead_name",)
    want = Want(frozenset(), frozenset({"contacts"}))
    (read,) = await crm.fetch("leads", [done.id], want)
    assert read.links["contacts"] == (Ref("contacts", person, "Primary"),)
    (again,) = await written(crm, "leads", first)
    assert isinstance(again, Exists)
    assert again.there == done.id


async def test_a_line_takes_what_its_product_says_and_counts_it(crm, portal):
    product = portal.live("products")[0]
    deal = portal.live("deals")[0]["id"]
    patch = {"deals": LinkPatch((Ref("deals", deal),))}
    line = new(patch, hs_product_id=product["id"], quantity="3", discount="1000")
    (done,) = await written(crm, "line_items", line)
    told = held(portal, "line_items", done.id)["properties"]
    assert told["name"] == product["properties"]["name"]
    assert told["amount"] == "627000"
    want = Want(frozenset(), frozenset({"line_items"}))
    for at in (None, '{"ms": 1704096000000}'):
        page = await crm.read("deals", "changed", at, want)
        lines = next(r for r in page.records if r.id == deal).links["line_items"]
        assert done.id in {r.id for r in lines}


async def test_a_deal_leads_to_several_contacts_and_one_primary_company(crm, portal):
    deal = portal.live("deals")[1]["id"]
    people = [r["id"] for r in portal.live("contacts")[:3]]
    firms = [r["id"] for r in portal.live("companies")[:2]]
    await written(
        crm,
        "deals",
        update(
            deal,
            {
                "contacts": LinkPatch(tuple(Ref("contacts", p) for p in people)),
                "companies": LinkPatch((Ref("companies", firms[0], "Primary"),)),
            },
        ),
    )
    patch = LinkPatch((Ref("companies", firms[1], "Primary"),))
    await written(crm, "deals", update(deal, {"companies": patch}))
    want = Want(frozenset(), frozenset({"contacts", "companies"}))
    for records in (
        await crm.fetch("deals", [deal], want),
        (await crm.read("deals", "changed", None, want)).records,
    ):
        row = next(r for r in records if r.id == deal)
        assert set(people) <= {r.id for r in row.links["contacts"]}
        primary = [r.id for r in row.links["companies"] if r.label == "Primary"]
        assert primary == [firms[1]]


async def test_a_label_of_the_accounts_own_is_written_read_and_ended_by_itself(
    crm, portal
):
    portal.label("deals", "contacts", "Decision maker")
    portal.label("deals", "contacts", "Payer")
    deal, (a, b) = (
        portal.live("deals")[0]["id"],
        [r["id"] for r in portal.live("contacts")[5:7]],
    )
    both = LinkPatch(
        (
            Ref("contacts", a, "Decision maker"),
            Ref("contacts", a, "Payer"),
            Ref("contacts", b, "Payer"),
        )
    )
    await written(crm, "deals", update(deal, {"contacts": both}))
    want = Want(frozenset(), frozenset({"contacts"}))

    async def labels():
        page = await crm.read("deals", "changed", None, want)
        (fetched,) = await crm.fetch("deals", [deal], want)
        listed = next(r for r in page.records if r.id == deal)
        assert set(listed.links["contacts"]) == set(fetched.links["contacts"])
        return {(r.id, r.label) for r in fetched.links["contacts"] if r.id in {a, b}}

    assert await labels() == {(a, "Decision maker"), (a, "Payer"), (b, "Payer")}
    ended = LinkPatch((), (Ref("contacts", a, "Payer"), Ref("contacts", b, "Payer")))
    await written(crm, "deals", update(deal, {"contacts": ended}))
    assert await labels() == {(a, "Decision maker")}
    unknown = LinkPatch((Ref("contacts", a, "Uncle"),))
    with pytest.raises(ConfigError, match="no association label 'Uncle'"):
        await written(crm, "deals", update(deal, {"contacts": unknown}))


async def test_companies_in_a_ring_of_parents_are_read_as_they_stand(crm, portal):
    a, b, c = [r["id"] for r in portal.live("companies")[:3]]
    for child, parent in ((a, b), (b, c), (c, a)):
        patch = LinkPatch((Ref("companies", parent, "Parent Company"),))
        await written(crm, "companies", update(child, {"companies": patch}))
    want = Want(frozenset(), frozenset({"companies"}))
    for records in (
        await crm.fetch("companies", [a, b, c], want),
        (await crm.read("companies", "changed", None, want)).records,
    ):
        rows = {r.id: set(r.links["companies"]) for r in records}
        for child, parent, other in ((a, b, c), (b, c, a), (c, a, b)):
            assert rows[child] == {
                Ref("companies", parent, "Parent Company"),
                Ref("companies", other, "Child Company"),
            }


async def test_two_contacts_know_each_other_both_ways(crm, portal):
    a, b = [r["id"] for r in portal.live("contacts")[:2]]
    patch = LinkPatch((Ref("contacts", b),))
    await written(crm, "contacts", update(a, {"contacts": patch}))
    want = Want(frozenset(), frozenset({"contacts"}))
    rows = {
        r.id: r.links["contacts"] for r in await crm.fetch("contacts", [a, b], want)
    }
    assert rows == {a: (Ref("contacts", b),), b: (Ref("contacts", a),)}


@pytest.mark.parametrize("echoes", [True, False])
async def test_without_a_key_field_each_new_record_still_has_its_own_outcome(
    connected, portal, echoes
):
    portal.echoes_traces = echoes
    crm = connected(key_field=None)
    writes = [new(name=f"P{i}", price=str(i)) for i in range(9)]
    writes[4] = new(price="1")
    outcomes = await written(crm, "products", *writes)
    assert isinstance(outcomes[4], Rejected)
    names = {r["id"]: r["properties"] for r in portal.live("products")}
    for i in (0, 1, 2, 3, 5, 6, 7, 8):
        assert names[outcomes[i].id]["name"] == f"P{i}"
        assert names[outcomes[i].id].get("connector_hub_id") is None


async def test_a_lifecycle_stage_moves_back_only_after_it_was_cleared(crm, portal):
    person = portal.live("contacts")[0]["id"]
    portal.edit(
        "contacts", {"id": person, "properties": {"lifecyclestage": "customer"}}
    )
    (ignored,) = await written(crm, "contacts", update(person, lifecyclestage="lead"))
    assert ignored.fields["properties"]["lifecyclestage"] == "customer"
    await written(crm, "contacts", update(person, lifecyclestage=None))
    assert held(portal, "contacts", person)["properties"]["lifecyclestage"] is None
    await written(crm, "contacts", update(person, lifecyclestage="lead"))
    assert held(portal, "contacts", person)["properties"]["lifecyclestage"] == "lead"


async def test_several_choices_are_one_text_and_a_blank_clears(crm, portal):
    person = portal.live("contacts")[0]["id"]
    roles = ("CHAMPION", "INFLUENCER")
    await written(crm, "contacts", update(person, hs_buying_role=roles, city=None))
    told = held(portal, "contacts", person)["properties"]
    assert (told["hs_buying_role"], told["city"]) == ("CHAMPION;INFLUENCER", None)
    await written(crm, "contacts", update(person, hs_buying_role=";END_USER"))
    told = held(portal, "contacts", person)["properties"]
    assert told["hs_buying_role"] == "CHAMPION;INFLUENCER;END_USER"
    (wrong,) = await written(
        crm, "contacts", update(person, hs_buying_role=("CHAMPION", "UNCLE"))
    )
    assert (wrong.reason, wrong.fields) == ("INVALID_OPTION", ("hs_buying_role",))


@pytest.mark.parametrize(
    ("fields", "reason", "field"),
    [
        ({"nonsense": "x"}, "PROPERTY_DOESNT_EXIST", "nonsense"),
        ({"hs_forecast_amount": "1"}, "READ_ONLY_VALUE", "hs_forecast_amount"),
        ({"dealtype": "gift"}, "INVALID_OPTION", "dealtype"),
        ({"description": "x" * 65_537}, "INVALID_LENGTH", "description"),
        ({"amount": "a lot"}, "INVALID_NUMBER", "amount"),
        ({"closedate": "tomorrow"}, "INVALID_DATE", "closedate"),
        ({"hubspot_owner_id": "1"}, "INVALID_OWNER_ID", "hubspot_owner_id"),
        ({"dealname": None}, "VALIDATION_ERROR", "dealname"),
    ],
)
async def test_one_bad_row_is_refused_by_its_field_and_stops_nobody(
    crm, portal, fields, reason, field
):
    before = len(portal.live("deals"))
    writes = [
        new(**{"dealname": f"D{i}"} | (fields if i == 1 else {})) for i in range(3)
    ]
    first, wrong, last = await written(crm, "deals", *writes)
    assert isinstance(first, Done)
    assert isinstance(last, Done)
    assert isinstance(wrong, Rejected)
    assert (wrong.reason, wrong.fields) == (reason, (field,))
    assert len(portal.live("deals")) == before + 2


async def test_a_unique_value_that_another_has_leads_to_that_one(crm):
    await crm.http.post(
        "/crm/v3/properties/products",
        json={
            "name": "article",
            "label": "Article",
            "type": "string",
            "fieldType": "text",
            "groupName": "productinformation",
            "hasUniqueValue": True,
        },
    )
    (first,) = await written(crm, "products", new(name="A", article="1"))
    other, again = await written(
        crm, "products", new(name="C", article="2"), new(name="B", article="1")
    )
    assert isinstance(other, Done)
    assert isinstance(again, Exists)
    assert again.there == first.id


async def test_scopes_that_are_missing_are_named(crm, portal):
    portal.granted = frozenset({"crm.objects.contacts.read"})
    assert (await crm.read("contacts", "changed", None, WANT)).records
    with pytest.raises(AuthError, match=r"crm\.objects\.contacts\.write"):
        await written(crm, "contacts", new(email="a@x.example"))
    with pytest.raises(AuthError, match=r"crm\.objects\.deals\.read"):
        await crm.read("deals", "changed", None, WANT)
    with pytest.raises(AuthError, match=r"crm\.objects\.owners\.read"):
        await crm.read("owners", "changed", None, WANT)


async def test_a_token_that_was_revoked_asks_for_another(crm, portal):
    portal.access_token = "pat-na1-other"
    with pytest.raises(AuthError, match="does not accept the token"):
        await crm.read("deals", "changed", None, WANT)


async def test_a_version_of_the_api_that_is_gone_is_no_missing_record(
    connected, portal
):
    old, new_ = connected(api="v3"), connected(api="2026-03")
    portal.retired = frozenset({"v3"})
    deal = portal.live("deals")[0]["id"]
    with pytest.raises(ConfigError, match="switched off"):
        await old.fetch("deals", [deal], WANT)
    with pytest.raises(ConfigError, match="switched off"):
        await written(old, "deals", update(deal, dealname="x"))
    (found,) = await new_.fetch("deals", [deal], WANT)
    assert found.id == deal


async def test_an_object_that_the_account_does_not_have_is_the_operators_to_mend(crm):
    with pytest.raises(ConfigError, match="no such object"):
        await crm.read("2-1", "changed", None, WANT)
    with pytest.raises(PluginError):
        HubSpot.resource("gadgets")


async def test_more_properties_than_a_search_or_an_address_holds_are_read_by_id(
    crm, portal
):
    names = [f"a_property_with_a_rather_long_name_{i:03}" for i in range(250)]
    objects = portal.portal.objects["deals"]
    for n in names:
        objects.define(type(objects.properties["dealname"])(n, n, ours=False))
    deal = portal.live("deals")[0]["id"]
    portal.edit("deals", {"id": deal, "properties": {names[-1]: "kept"}})
    want = Want(frozenset(f"properties.{n}" for n in names), frozenset({"companies"}))
    for at in (None, '{"ms": 1704096000000}'):
        portal.calls.clear()
        page = await crm.read("deals", "changed", at, want)
        row = next(r for r in page.records if r.id == deal)
        assert row.fields["properties"][names[-1]] == "kept"
        assert row.links["companies"]
        assert portal.calls["POST /crm/v3/objects/deals/batch/read"] == 1


@pytest.mark.parametrize("resource", ["contacts", "companies", "deals"])
@pytest.mark.parametrize("anew", [False, True])
async def test_a_merge_is_told_by_every_way_of_reading(crm, portal, resource, anew):
    portal.merges_anew = anew
    a, b = [r["id"] for r in portal.live(resource)[:2]]
    mark = (await crm.read(resource, "changed", None, WANT)).mark
    portal.clock.advance(3_600)
    body = {"primaryObjectId": a, "objectIdToMerge": b}
    kept = await crm.http.post(f"/crm/v3/objects/{resource}/merge", json=body)
    lost = {a, b} if anew else {b}
    assert (kept["id"] in {a, b}) is not anew
    into = Ref(resource, kept["id"])
    told = {Gone(i, "merged", into) for i in lost}
    for records in (
        (await crm.read(resource, "changed", mark, WANT)).records,
        (await crm.read(resource, "changed", None, WANT)).records,
        await crm.fetch(resource, sorted(lost), WANT),
    ):
        assert {r for r in records if isinstance(r, Gone)} == told


async def test_what_was_archived_and_restored_is_told_as_such(crm, portal):
    task = portal.live("tasks")[0]["id"]
    portal.edit("tasks", {"id": task, "archived": True})
    gone = await crm.read("tasks", "deleted", None, WANT)
    assert gone.records == [Gone(task)]
    portal.clock.advance(3_600)
    portal.edit("tasks", {"id": task, "archived": False})
    back = await crm.read("tasks", "changed", '{"ms": 1767229200000}', WANT)
    assert task in {r.id for r in back.records}
    portal.edit("tasks", {"id": task, "archived": True})
    portal.clock.advance(91 * 86_400)
    late = await crm.read("tasks", "deleted", None, WANT)
    assert late.records == []
