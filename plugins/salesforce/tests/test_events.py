"""Change events hint at records; nothing else of them is believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connector_hub.adapters.webhooks import genuine
from connector_hub.sdk import Request
from connector_hub_salesforce import Salesforce
from connector_hub_salesforce.events import given
from connector_hub_salesforce.sandbox import EVENTS_TOKEN, SalesforceSandbox

ONE, TWO = "0035f00002J9YYEAA3", "0035f00002J9YYFAA3"


def event(*ids: Any, kind: str = "Contact", change: str = "UPDATE", **more: Any) -> Any:
    header = {"entityName": kind, "recordIds": list(ids), "changeType": change}
    return {"ChangeEventHeader": header, **more}


def request(body: Any, token: str = EVENTS_TOKEN) -> Request:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {token}"}
    return Request("POST", "https://hub.example/hooks/billing", headers, raw)


@pytest.mark.parametrize(
    ("body", "look"),
    [
        (event(ONE), {"Contact": [ONE]}),
        (event(ONE[:15], TWO, ONE), {"Contact": [ONE, TWO]}),
        ([event(ONE), event(TWO, change="DELETE")], {"Contact": [ONE, TWO]}),
        (
            {"schema": "x", "payload": event(ONE), "event": {"replayId": 6}},
            {"Contact": [ONE]},
        ),
        (
            {"channel": "/data/ChangeEvents", "data": {"payload": event(ONE)}},
            {"Contact": [ONE]},
        ),
        (event(ONE, change="GAP_UPDATE"), {"Contact": [ONE]}),
        (event(change="GAP_OVERFLOW"), {}),
        (event("001*", 7, ONE), {"Contact": [ONE]}),
        (
            event(
                "01u5f00002J9YYEAA3",
                kind="PricebookEntry",
                Product2Id="01t5f00002J9YYEAA3",
            ),
            {
                "PricebookEntry": ["01u5f00002J9YYEAA3"],
                "Product2": ["01t5f00002J9YYEAA3"],
            },
        ),
    ],
)
def test_an_event_names_its_records_in_whatever_it_comes(wire, body, look):
    assert wire(SalesforceSandbox()).hear(request(body)).look == look


@pytest.mark.parametrize(
    "body",
    [b"{", b"[7]", b"null", {"a": 1}, {"ChangeEventHeader": {}}, event(ONE, kind=7)],
)
def test_what_is_no_change_event_is_refused(wire, body):
    with pytest.raises(ValueError):  # noqa: PT011 - as `hear` promises
        wire(SalesforceSandbox()).hear(request(body))


def test_only_those_who_know_the_token_are_heard(wire):
    signed, now = Salesforce.signed, wire(SalesforceSandbox()).clock.now()
    assert signed is not None
    assert genuine(signed, EVENTS_TOKEN, request(event(ONE)), now)
    assert not genuine(signed, EVENTS_TOKEN, request(event(ONE), "guessed"), now)
    assert given(Request("POST", "", {"authorization": "Basic x"}, b"")) == ""


async def test_the_sandbox_tells_of_every_change_many_records_in_one_event(
    wire, monkeypatch
):
    sandbox = SalesforceSandbox()
    sf, sent = wire(sandbox), []

    async def deliver(_: str, body: bytes, headers: dict[str, str]) -> int:
        low = {k.lower(): v for k, v in headers.items()}
        sent.append(sf.hear(Request("POST", "", low, body)).look)
        return 204

    monkeypatch.setattr(SalesforceSandbox, "deliver", staticmethod(deliver))
    assert await sandbox.send_webhooks("http://x") == []
    account = sandbox.edit("Account", {"Name": "A"})["Id"]
    loser = sandbox.edit("Account", {"Name": "B"})["Id"]
    people = [
        sandbox.edit("Contact", {"LastName": "x", "AccountId": loser})["Id"]
        for _ in range(3)
    ]
    sandbox.edit("Account", {"Id": loser, "MasterRecordId": account})
    assert await sandbox.send_webhooks("http://x", double=True, shuffle=True) == [
        204,
        204,
    ]
    assert sent[0] == sent[1]
    assert {k: set(v) for k, v in sent[0].items()} == {
        "Account": {account, loser},
        "Contact": set(people),
    }
