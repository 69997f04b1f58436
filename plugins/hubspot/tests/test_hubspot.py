"""HubSpot's own client against the sandbox, and the connector against it."""

from __future__ import annotations

import threading
import uuid

import httpx
import pytest
import uvicorn
from hubspot import HubSpot as Client
from hubspot.crm.contacts import (
    ApiException,
    BatchInputSimplePublicObjectBatchInputUpsert,
    PublicObjectSearchRequest,
    SimplePublicObjectInputForCreate,
)
from hubspot.oauth import ApiException as TokenException

from connector_hub.adapters.clock import SystemClock
from connector_hub.adapters.http import HttpClient, Ledger
from connector_hub.errors import ConfigError, Exists, Rejected
from connector_hub.sdk import Gone, LinkPatch, Ref, SecretStr, Want, Write
from connector_hub_hubspot import HubSpot
from connector_hub_hubspot.links import without
from connector_hub_hubspot.sandbox import (
    CLIENT_ID,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    HubSpotSandbox,
)

WANT = Want(
    frozenset({"properties.email", "properties.lastname"}), frozenset({"companies"})
)


class Secrets:
    def read(self, reference):
        return HubSpotSandbox.access_token


@pytest.fixture
def sandbox():
    return HubSpotSandbox(records=257)


@pytest.fixture
async def connector(sandbox):
    config = HubSpot.Config(token=SecretStr("env:T"), base_url="http://127.0.0.1:1")
    clock = SystemClock()
    http = HttpClient(
        HubSpot,
        config,
        connection="sales",
        secrets=Secrets(),
        clock=clock,
        ledger=Ledger(),
        transport=httpx.ASGITransport(app=sandbox.app),
    )
    made = HubSpot(config, http, clock=clock, key_field=HubSpot.key_field)
    http.attach(made)
    yield made
    await http.aclose()


def create(email, **more):
    key = str(uuid.uuid4())
    return Write(
        "create", str(uuid.uuid4()), key, None, {"properties.email": email, **more}
    )


async def everything(connector, feed="changed", at=None):
    found, mark = [], None
    while True:
        page = await connector.read("contacts", feed, at, WANT)
        found += page.records
        mark = mark or page.mark
        if page.next is None:
            return found, mark
        at = page.next


async def test_a_listing_misses_nobody_and_tells_the_primary_company(
    connector, sandbox
):
    found, mark = await everything(connector)
    assert {r.id for r in found} == {r["id"] for r in sandbox.live("contacts")}
    assert len(found) == 257
    assert mark
    at_work = [r for r in found if r.links["companies"]]
    assert at_work
    assert all(r.links["companies"][0].label == "Primary" for r in at_work)


async def test_an_edit_is_in_the_changed_feed_and_only_it(connector, sandbox):
    _, mark = await everything(connector)
    first = sandbox.live("contacts")[0]["id"]
    sandbox.edit("contacts", {"id": first, "properties": {"lastname": "Edited"}})
    sandbox.clock.advance(5)
    found, _ = await everything(connector, at=mark)
    assert [(r.id, r.fields["properties"]["lastname"]) for r in found] == [
        (first, "Edited")
    ]


async def test_more_rows_of_one_stamp_than_a_search_gives_are_all_read(
    connector, sandbox, monkeypatch
):
    monkeypatch.setattr("connector_hub_hubspot.places.SEARCH", 20)
    monkeypatch.setattr("connector_hub_hubspot.sandbox._SEARCHES", 10_000)
    found, _ = await everything(connector, at='{"ms": 1704096000000}')
    assert {r.id for r in found} == {r["id"] for r in sandbox.live("contacts")}


async def test_each_write_has_its_own_outcome_however_the_answer_is_shuffled(
    connector, sandbox
):
    taken = sandbox.live("contacts")[0]
    writes = [create(f"new{i}@x.example") for i in range(10)]
    writes[3] = create(taken["properties"]["email"])
    writes[7] = create("not an address")
    way = connector.resource("contacts").way("create")
    outcomes = await connector.write("contacts", writes, way=way)
    assert isinstance(outcomes[3], Exists)
    assert outcomes[3].there == taken["id"]
    assert isinstance(outcomes[7], Rejected)
    assert outcomes[7].reason == "INVALID_EMAIL"
    by_id = {r["id"]: r for r in sandbox.live("contacts")}
    for i in (0, 1, 2, 4, 5, 6, 8, 9):
        assert by_id[outcomes[i].id]["properties"]["email"] == f"new{i}@x.example"


async def test_the_same_key_twice_is_one_record(connector):
    w = create("once@x.example")
    way = connector.resource("contacts").way("create")
    (first,) = await connector.write("contacts", [w], way=way)
    (second,) = await connector.write("contacts", [w], way=way)
    assert first.id == second.id
    assert (first.created, second.created) == (True, False)
    found = await connector.find(
        "contacts", "connector_hub_id", [w.key, "nobody"], WANT
    )
    assert [r.id for r in found[w.key]] == [first.id]


async def test_a_new_primary_company_replaces_the_old(connector, sandbox):
    first, second = (r["id"] for r in sandbox.live("companies")[:2])
    way = connector.resource("contacts").way("create")
    w = create("works@x.example")
    w = Write(
        **{n: getattr(w, n) for n in Write.__slots__}
        | {"links": {"companies": LinkPatch((Ref("companies", first, "Primary"),))}}
    )
    (done,) = await connector.write("contacts", [w], way=way)
    patch = {
        "companies": LinkPatch(
            (Ref("companies", second, "Primary"),), (Ref("companies", first),)
        )
    }
    update = Write("update", str(uuid.uuid4()), w.key, done.id, {}, patch)
    await connector.write("contacts", [update], way=way)
    (record,) = await connector.fetch("contacts", [done.id], WANT)
    assert record.links["companies"] == (Ref("companies", second, "Primary"),)


async def test_a_merged_id_is_told_as_merged(connector, sandbox):
    one, two = (r["id"] for r in sandbox.live("contacts")[:2])
    await connector.http.post(
        "/crm/v3/objects/contacts/merge",
        json={"primaryObjectId": one, "objectIdToMerge": two},
    )
    found = await connector.fetch("contacts", [two], WANT)
    assert found == [Gone(two, "merged", Ref("contacts", one))]


async def test_an_account_that_is_not_prepared_is_told_how_to_be(connector, sandbox):
    sandbox.prepared = False
    sandbox.seed_data()
    way = connector.resource("contacts").way("create")
    with pytest.raises(ConfigError, match="prepare"):
        await connector.write("contacts", [create("a@x.example")], way=way)
    assert "connector_hub_id" in await connector.prepare("contacts", make=True)
    assert await connector.prepare("contacts", make=False) is None
    await connector.write("contacts", [create("a@x.example")], way=way)


@pytest.fixture
def whole_client(sandbox):
    server = uvicorn.Server(
        uvicorn.Config(
            sandbox.app, port=0, log_level="critical", lifespan="off", date_header=False
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        pass
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Client(access_token=sandbox.access_token, host=f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def client(whole_client):
    return whole_client.crm.contacts


APP = {
    "grant_type": "refresh_token",
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "refresh_token": REFRESH_TOKEN,
}


def test_hubspots_own_client_gets_a_token_that_lives_half_an_hour(
    whole_client, sandbox
):
    got = whole_client.oauth.tokens_api.create(**APP)
    assert (got.expires_in, got.refresh_token) == (1800, REFRESH_TOKEN)
    whole_client.access_token = got.access_token
    contacts = whole_client.crm.contacts.basic_api
    assert contacts.get_page(limit=1).results
    sandbox.clock.advance(1807)
    with pytest.raises(ApiException) as told:
        contacts.get_page(limit=1)
    assert "EXPIRED_AUTHENTICATION" in told.value.body
    assert "expired 7 second" in told.value.body


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"refresh_token": "x"}, "BAD_REFRESH_TOKEN"),
        ({"client_secret": "x"}, "BAD_CLIENT_ID"),
        ({"grant_type": "password"}, "BAD_GRANT_TYPE"),
    ],
)
def test_hubspots_own_client_gets_no_token_for_wrong_words(
    whole_client, change, status
):
    with pytest.raises(TokenException) as told:
        whole_client.oauth.tokens_api.create(**APP | change)
    assert (told.value.status, status in told.value.body) == (400, True)


async def test_words_in_the_query_are_for_the_oldest_token_path_alone(sandbox):
    wire = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(  # noqa: TID251 - no connector asks so
        transport=wire, base_url="http://hubspot"
    ) as http:
        for version, status in (("v1", 200), ("v3", 400), ("2026-03", 400)):
            got = await http.post(f"/oauth/{version}/token", params=APP)
            assert got.status_code == status
            got = await http.post(f"/oauth/{version}/token", data=APP)
            assert got.status_code == 200


def test_hubspots_own_client_creates_reads_searches_and_archives(client):
    made = client.basic_api.create(
        SimplePublicObjectInputForCreate(
            properties={"email": "c@x.example", "lastname": "C"}
        )
    )
    assert client.basic_api.get_by_id(made.id).properties["lastname"] == "C"
    with pytest.raises(ApiException) as told:
        client.basic_api.create(
            SimplePublicObjectInputForCreate(properties={"email": "C@x.example"})
        )
    assert told.value.status == 409
    assert f"Existing ID: {made.id}" in told.value.body
    assert len(client.get_all()) == 258
    found = client.search_api.do_search(PublicObjectSearchRequest(limit=200))
    assert found.total >= 257
    client.basic_api.archive(made.id)
    with pytest.raises(ApiException):
        client.basic_api.get_by_id(made.id)


def test_hubspots_own_client_gets_a_207_for_a_batch_with_one_bad_row(client):
    rows = [
        {
            "idProperty": "email",
            "id": e,
            "properties": {p: "v"},
            "objectWriteTraceId": e,
        }
        for e, p in (("a@x.example", "lastname"), ("b@x.example", "nonsense"))
    ]
    answer = client.batch_api.upsert(
        BatchInputSimplePublicObjectBatchInputUpsert(inputs=rows)
    )
    assert answer.num_errors == 1
    assert [r.new for r in answer.results] == [True]


async def test_an_archived_or_merged_record_asked_for_by_id_is_told_as_gone(
    connector, sandbox
):
    a, b, *_ = [r["id"] for r in sandbox.live("contacts")]
    sandbox.edit("contacts", {"id": a, "archived": True})
    found = await connector.fetch("contacts", [a, b, "999999"], WANT)
    assert [type(r) for r in found if r.id == a] == [Gone]
    assert [r.fields["id"] for r in found if r.id == b] == [b]
    assert "999999" not in {r.id for r in found}


async def test_the_days_calls_are_spent_and_there_again_the_next_day(sandbox):
    sandbox.daily = 2
    url = "http://sandbox/account-info/v3/details"
    bearer = {"Authorization": f"Bearer {sandbox.access_token}"}
    wire = httpx.ASGITransport(app=sandbox.app)
    async with httpx.AsyncClient(  # noqa: TID251 - the sandbox without the hub
        transport=wire, headers=bearer
    ) as client:
        codes = [(await client.get(url)).status_code for _ in range(3)]
        assert codes == [200, 200, 429]
        assert (await client.get(url)).json()["policyName"] == "DAILY"
        sandbox.clock.advance(86_400)
        assert (await client.get(url)).status_code == 200


async def test_a_company_that_is_gone_costs_the_link_and_not_the_record(
    connector, sandbox
):
    company = sandbox.live("companies")[0]["id"]
    sandbox.edit("companies", {"id": company, "archived": True})
    patch = LinkPatch(add=(Ref("companies", company, "Primary"),))
    w = Write(
        "create",
        str(uuid.uuid4()),
        str(uuid.uuid4()),
        None,
        {"properties.email": "linked@x.example"},
        {"companies": patch},
    )
    way = connector.resource("contacts").way("create")
    (outcome,) = await connector.write("contacts", [w], way=way)
    assert (outcome.fields, outcome.links) == (None, None)
    (back,) = await connector.fetch("contacts", [outcome.id], WANT)
    assert back.links["companies"] == ()


def test_an_error_about_associations_is_not_read_as_none():
    none = {
        "subCategory": "crm.associations.NO_ASSOCIATIONS_FOUND",
        "context": {"fromObjectId": ["1"]},
    }
    assert without([]) is None
    assert without([none]) is None
    assert without([none, {"category": "INTERNAL", "context": {}}]) == {"1"}


async def test_a_merge_hands_on_what_the_loser_had(connector, sandbox):
    a, b = sandbox.live("contacts")[:2]
    company = sandbox.live("companies")[-1]["id"]
    sandbox.portal.associate("contacts", b["id"], "companies", company, set())
    await connector.http.post(
        "/crm/v3/objects/contacts/merge",
        json={"primaryObjectId": a["id"], "objectIdToMerge": b["id"]},
    )
    kept = next(r for r in sandbox.live("contacts") if r["id"] == a["id"])
    assert (
        kept["properties"]["hs_additional_emails"] == b["properties"]["email"].lower()
    )
    at = {x["id"] for x in kept["associations"]["companies"]["results"]}
    assert company in at
    (gone,) = await connector.fetch("contacts", [b["id"]], WANT)
    assert (gone.why, gone.into.id) == ("merged", a["id"])


async def test_without_trace_ids_twins_in_one_batch_fail_it_whole(connector, sandbox):
    before = len(sandbox.live("contacts"))
    inputs = [{"properties": {"email": "twin@x.example"}} for _ in range(2)]
    with pytest.raises(Exists):
        await connector.http.post(
            "/crm/v3/objects/contacts/batch/create", json={"inputs": inputs}
        )
    assert len(sandbox.live("contacts")) == before


async def test_owners_are_read_page_by_page_without_those_who_have_left(
    connector, monkeypatch
):
    monkeypatch.setattr("connector_hub_hubspot.connector._LIST", 1)
    want, at, found = Want(frozenset({"email"})), None, []
    while True:
        page = await connector.read("owners", "changed", at, want)
        found += [(r.id, r.fields["email"]) for r in page.records]
        if page.next is None:
            break
        at = page.next
    assert found == [
        ("7101", "ratna.dewanti@sandbox.example"),
        ("7102", "budi.hartono@sandbox.example"),
    ]
    described = await connector.describe("owners")
    assert "email" in {f.path for f in described.fields}
    contacts = await connector.describe("contacts")
    owner = next(f for f in contacts.fields if f.path.endswith("hubspot_owner_id"))
    assert owner.refers_to == ("OWNER",)


async def test_an_owner_that_does_not_exist_is_refused(connector):
    write = create("who@people.example", **{"properties.hubspot_owner_id": "1"})
    (outcome,) = await connector.write(
        "contacts", [write], way=connector.resource("contacts").way("create")
    )
    assert isinstance(outcome, Rejected)
    assert outcome.fields == ("hubspot_owner_id",)


def plain(sandbox):
    """A client without the hub."""
    return httpx.AsyncClient(  # noqa: TID251 - the sandbox without the hub
        transport=httpx.ASGITransport(app=sandbox.app),
        base_url="http://127.0.0.1",
        headers={"Authorization": f"Bearer {sandbox.access_token}"},
    )


async def test_a_reader_of_old_finds_its_properties_filters_and_flags():
    sandbox = HubSpotSandbox(records=12)
    async with plain(sandbox) as client:
        old = await client.get("/properties/v2/contact/properties")
        assert {p["name"] for p in old.json()} >= {"email", "connector_hub_id"}
        assert {p["readOnlyValue"] for p in old.json()} == {True, False}
        calls = await client.get("/properties/v2/calls/properties")
        assert "hs_lastmodifieddate" in {p["name"] for p in calls.json()}
        body = {
            "filters": [
                {"propertyName": "hs_object_id", "operator": "GT", "value": "50010"}
            ]
        }
        found = await client.post("/crm/v3/objects/contacts/search", json=body)
        assert found.json()["total"] == 2
        await client.delete("/crm/v3/objects/contacts/50001")
        params = {"archived": "True"}
        gone = await client.get("/crm/v3/objects/contacts", params=params)
        assert [r["id"] for r in gone.json()["results"]] == ["50001"]


async def test_a_token_tells_what_it_is_for():
    sandbox = HubSpotSandbox()
    form = {
        "grant_type": "refresh_token",
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "refresh_token": REFRESH_TOKEN,
    }
    async with plain(sandbox) as client:
        told = (await client.post("/oauth/v1/token", data=form)).json()
        about = await client.get(f"/oauth/v1/access-tokens/{told['access_token']}")
        assert about.json()["scopes"] == told["scopes"]
        sandbox.clock.advance(1_800)
        about = await client.get(f"/oauth/v1/access-tokens/{told['access_token']}")
        assert about.status_code == 404
