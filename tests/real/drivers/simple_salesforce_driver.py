"""simple-salesforce as a sync would use it. Its addresses are https; an adapter takes the s away."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce, format_soql
from simple_salesforce.exceptions import (
    SalesforceMalformedRequest,
    SalesforceResourceNotFound,
)

KEY = "Connector_Hub_Id__c"


class Plain(HTTPAdapter):
    """Speaks http to where https was meant."""

    def send(self, request: Any, *args: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **options)


def main(url: str, token: str) -> dict[str, Any]:
    session = requests.Session()
    session.mount("https://", Plain())
    sf = Salesforce(instance_url=url, session_id=token, session=session, version="66.0")
    return {**reading(sf), **writing(sf), **deleting(sf)}


def reading(sf: Any) -> dict[str, Any]:
    page = sf.query("SELECT Id, LastName FROM Contact ORDER BY Id")
    more = sf.query_more(page["nextRecordsUrl"], identifier_is_url=True)
    walked = list(sf.query_all_iter("SELECT Id, Account.Name FROM Contact"))
    described = {f["name"]: f for f in sf.Contact.describe()["fields"]}
    return {
        "total": page["totalSize"],
        "paged": len(page["records"]) + len(more["records"]),
        "walked": len({r["Id"] for r in walked}),
        "objects": sorted(o["name"] for o in sf.describe()["sobjects"]),
        "fields": sorted(described),
        "external": described[KEY]["externalId"],
        "limit": sf.limits()["DailyApiRequests"]["Max"],
        "usage": sf.api_usage["api-usage"].used,
        "users": sf.query("SELECT count() FROM User")["totalSize"],
    }


def writing(sf: Any) -> dict[str, Any]:
    before = datetime.now(UTC)
    made = sf.Contact.create({"LastName": "Ó Súilleabháin", "Email": "o@x.example"})
    sf.Contact.update(made["id"], {"Title": "Chief"})
    upserted = [
        sf.Contact.upsert(f"{KEY}/k-1", {"LastName": name}) for name in ("A", "B")
    ]
    rows = [
        {"attributes": {"type": "Contact"}, "LastName": f"L{i}", KEY: f"c-{i}"}
        for i in range(200)
    ]
    rows[7]["LastName"] = ""
    at = f"composite/sobjects/Contact/{KEY}"
    told = sf.restful(at, method="PATCH", json={"allOrNone": False, "records": rows})
    bad = [n for n, r in enumerate(told) if not r["success"]]
    try:
        sf.Contact.create({"LastName": "x", "Nothing__c": "y"})
        refused = ""
    except SalesforceMalformedRequest as e:
        refused = e.content[0]["errorCode"]
    until = datetime.now(UTC) + timedelta(minutes=2)
    moved = sf.Contact.updated(before - timedelta(minutes=2), until)
    return {
        "title": sf.Contact.get(made["id"])["Title"],
        "by_key": sf.Contact.get_by_custom_id(KEY, "k-1")["LastName"],
        "upserted": upserted,
        "created": sum(r.get("created", False) for r in told),
        "bad": bad,
        "why": [e["statusCode"] for n in bad for e in told[n]["errors"]],
        "refused": refused,
        "moved": len(moved["ids"]),
        "one": made["id"],
    }


def deleting(sf: Any) -> dict[str, Any]:
    found = sf.query_all(
        format_soql("SELECT Id FROM Contact WHERE {:literal} LIKE 'c-1%'", KEY)
    )
    ids = [r["Id"] for r in found["records"]]
    told = sf.restful(
        "composite/sobjects", method="DELETE", params={"ids": ",".join(ids)}
    )
    try:
        sf.Contact.delete(ids[0])
        again = ""
    except SalesforceResourceNotFound as e:
        again = e.content[0]["errorCode"]
    now = datetime.now(UTC)
    gone = sf.Contact.deleted(now - timedelta(hours=1), now + timedelta(minutes=2))
    bin_ = "SELECT Id FROM Contact WHERE IsDeleted = true"
    return {
        "deleted": [r["success"] for r in told].count(True),
        "again": again,
        "told_deleted": len(gone["deletedRecords"]),
        "in_the_bin": sf.query_all(bin_, include_deleted=True)["totalSize"],
        "not_in_the_bin": sf.query_all(bin_)["totalSize"],
        "left": sf.query("SELECT count() FROM Contact")["totalSize"],
    }


if __name__ == "__main__":
    json.dump(main(**json.load(sys.stdin)), sys.stdout)
