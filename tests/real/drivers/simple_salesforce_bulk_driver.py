"""simple-salesforce's Bulk API 2.0, every job to its end."""

from __future__ import annotations

import csv
import io
import json
import sys
from typing import Any

import requests
from simple_salesforce import Salesforce
from simple_salesforce_driver import KEY, Plain

SOON = 0.1
"""Seconds between looks at a job."""


def main(url: str, token: str) -> dict[str, Any]:
    session = requests.Session()
    session.mount("https://", Plain())
    sf = Salesforce(instance_url=url, session_id=token, session=session, version="66.0")
    contacts = sf.bulk2.Contact
    queried = rows(contacts.query("SELECT Id, LastName FROM Contact", 100, wait=SOON))
    new = [{"LastName": f"I{i}", KEY: f"i-{i}"} for i in range(500)]
    new[7]["LastName"] = ""
    (inserted,) = contacts.insert(records=new, wait=SOON)
    job = inserted["job_id"]
    ids = [r["sf__Id"] for r in parsed(contacts.get_successful_records(job))]
    again = [{"LastName": f"U{i}", KEY: f"i-{i}"} for i in range(490, 510)]
    (upserted,) = contacts.upsert(records=again, external_id_field=KEY, wait=SOON)
    created = parsed(contacts.get_successful_records(upserted["job_id"]))
    strange = '=1+1, "x"\nÓ'
    changes = [{"Id": i, "Title": strange} for i in ids[:5]]
    (updated,) = contacts.update(records=changes, wait=SOON)
    (deleted,) = contacts.delete(records=[{"Id": i} for i in ids[-100:]], wait=SOON)
    every = rows(contacts.query_all("SELECT Id FROM Contact", wait=SOON))
    left = rows(contacts.query("SELECT Id FROM Contact", wait=SOON))
    return {
        "queried": len({r["Id"] for r in queried}),
        "inserted": counts(inserted),
        "why": parsed(contacts.get_failed_records(job))[0]["sf__Error"],
        "successful": len(ids),
        "unprocessed": len(parsed(contacts.get_unprocessed_records(job))),
        "upserted": counts(upserted),
        "created": [r["sf__Created"] for r in created],
        "updated": counts(updated),
        "deleted": counts(deleted),
        "all": len(every),
        "left": len(left),
    }


def rows(pages: Any) -> list[dict[str, str]]:
    return [row for page in pages for row in parsed(page)]


def parsed(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def counts(job: dict[str, Any]) -> dict[str, int]:
    return {
        "processed": job["numberRecordsProcessed"],
        "failed": job["numberRecordsFailed"],
        "total": job["numberRecordsTotal"],
    }


if __name__ == "__main__":
    json.dump(main(**json.load(sys.stdin)), sys.stdout)
