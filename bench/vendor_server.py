"""A vendor that answers as fast as Python can: what is measured is its client.

It speaks the part of HubSpot's CRM v3 that a copy of contacts needs
(https://developers.hubspot.com/docs/reference/api/crm/objects/contacts), for two
accounts, each on its own port: ``source`` holds N contacts and lists them a hundred a
page, ``target`` is born empty. Both take upserts. Pages are one template with numbers
filled in, and what was written is one byte a contact: memory stays flat at any N.

    vendor_server.py N [--latency-ms 0]

prints one JSON line when it is ready: ``{"source": URL, "target": URL}``.
``GET /_bench/stats`` of either account answers ``{"requests", "pages", "read",
"batches", "written", "once", "again", "strange"}``: ``once`` counts contacts written
exactly once, ``again`` those written more often, ``strange`` rows that are no contact
of the source. ``POST /_bench/reset`` forgets. SIGTERM ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import signal
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

PAGE = 100
_CONTACTS = "/crm/v3/objects/contacts"
_STAMP = "2026-11-01T10:20:30.400Z"
_EMAIL = re.compile(r"\s*user(\d{8})@bench\.example\s*\Z", re.IGNORECASE)
_STAGES = ("lead", "customer", "subscriber")
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_PLACE = b"@PAGE@"


def _contact(i: int) -> dict[str, Any]:
    """The i-th contact of a page: 20 properties; the page's number is left open."""
    number = f"{_PLACE.decode()}{i:02}"
    return {
        "id": number,
        "properties": {
            "address": f"{i} Harbour Road",
            "city": "hamburg",
            "company": None if i % 7 == 0 else f"Company {i} & Daughters",
            "connector_hub_id": None,
            "country": None if i % 5 == 0 else "DE",
            "createdate": f"2024-01-{1 + i % 28:02}T03:04:05.678Z",
            "email": f"  User{number}@Bench.Example ",
            "firstname": f"Ann{i:02}",
            "hs_lead_status": "OPEN",
            "hs_object_id": number,
            "hs_score": str(1000 + i),
            "jobtitle": "Head of Operations",
            "lastmodifieddate": _STAMP,
            "lastname": f"Smith{i:02}",
            "lifecyclestage": _STAGES[i % 3],
            "mobilephone": f"+49 170 99{i:02}",
            "notes": "met at the fair, likes short e-mails",
            "phone": f"+49 40 5{number}",
            "state": "HH",
            "zip": f"204{i:02}",
        },
        "createdAt": f"2024-01-{1 + i % 28:02}T03:04:05.678Z",
        "updatedAt": _STAMP,
        "archived": False,
    }


_TEMPLATE = orjson.dumps({"results": [_contact(i) for i in range(PAGE)]})[:-1]


class Account:
    """One account: what it holds, and what it was asked."""

    def __init__(self, portal: int, contacts: int, known: int) -> None:
        self.portal = portal
        self.contacts = contacts
        self.seen = bytearray(known)
        self.requests = self.pages = self.batches = self.strange = 0

    def reset(self) -> None:
        """As at birth."""
        self.__init__(self.portal, self.contacts, len(self.seen))  # type: ignore[misc]

    def stats(self) -> dict[str, int]:
        """What happened since birth or reset."""
        once = self.seen.count(1)
        unwritten = self.seen.count(0)
        return {
            "requests": self.requests,
            "pages": self.pages,
            "read": min(self.pages * PAGE, self.contacts),
            "batches": self.batches,
            "written": len(self.seen) - unwritten,
            "once": once,
            "again": len(self.seen) - unwritten - once,
            "strange": self.strange,
        }

    def answer(self, method: bytes, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of a request."""
        if target.startswith("/_bench/"):
            if method == b"POST":
                self.reset()
            return 200, orjson.dumps(self.stats())
        self.requests += 1
        if target.startswith(f"{_CONTACTS}/batch/upsert"):
            return 200, self._upsert(body)
        if target == _CONTACTS or target.startswith(f"{_CONTACTS}?"):
            return 200, self._list(target)
        if target.startswith("/account-info/v3/details"):
            return 200, orjson.dumps(
                {
                    "portalId": self.portal,
                    "timeZone": "Europe/Berlin",
                    "companyCurrency": "EUR",
                }
            )
        if target.startswith("/crm/v3/properties/contacts/connector_hub_id"):
            return 200, orjson.dumps(
                {"name": "connector_hub_id", "hasUniqueValue": True}
            )
        return 404, orjson.dumps({"status": "error", "message": "not found"})

    def _list(self, target: str) -> bytes:
        asked = parse_qs(urlsplit(target).query)
        after = int(asked.get("after", ["0"])[0])
        if asked.get("archived") == ["true"] or not self.contacts:
            return b'{"results":[]}'
        self.pages += 1
        page = _TEMPLATE.replace(_PLACE, b"%06d" % (after // PAGE))
        following = after + PAGE
        if following >= self.contacts:
            return page + b"}"
        return page + b',"paging":{"next":{"after":"%d","link":""}}}' % following

    def _upsert(self, body: bytes) -> bytes:
        self.batches += 1
        rows = orjson.loads(body)["inputs"]
        results = []
        for row in rows:
            properties = row["properties"]
            match = _EMAIL.match(properties.get("email") or "")
            number = int(match.group(1)) if match else -1
            if 0 <= number < len(self.seen):
                self.seen[number] = min(self.seen[number] + 1, 255)
            else:
                self.strange += 1
            result = {
                "id": f"9{number:08}",
                "properties": properties,
                "createdAt": _STAMP,
                "updatedAt": _STAMP,
                "archived": False,
                "new": True,
            }
            if "objectWriteTraceId" in row:
                result["objectWriteTraceId"] = row["objectWriteTraceId"]
            results.append(result)
        return orjson.dumps(
            {
                "status": "COMPLETE",
                "results": results,
                "startedAt": _STAMP,
                "completedAt": _STAMP,
            }
        )


class Connection(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and Content-Length, which is all that the arms send."""

    def __init__(self, account: Account, latency: float) -> None:
        self._account = account
        self._latency = latency
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete."""
        buffer = self._buffer
        buffer += data
        while (end := buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(buffer[:end])
            found = _LENGTH.search(head)
            whole = end + 4 + (int(found.group(1)) if found else 0)
            if len(buffer) < whole:
                return
            body = bytes(buffer[end + 4 : whole])
            del buffer[:whole]
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ")
            self._later(*self._account.answer(method, target.decode(), body))

    def _later(self, status: int, body: bytes) -> None:
        if self._latency:
            loop = asyncio.get_running_loop()
            loop.call_later(self._latency, self._send, status, body)
        else:
            self._send(status, body)

    def _send(self, status: int, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = (
            f"HTTP/1.1 {status} {'OK' if status < 300 else 'Not Found'}\r\n"  # noqa: PLR2004
            f"Content-Type: application/json\r\nDate: {formatdate(usegmt=True)}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(contacts: int, latency: float) -> None:
    """Serve both accounts until SIGTERM."""
    loop = asyncio.get_running_loop()
    accounts = {
        "source": Account(1001, contacts, contacts),
        "target": Account(1002, 0, contacts),
    }
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    servers, urls = [], {}
    for name, account in accounts.items():
        server = await loop.create_server(
            partial(Connection, account, latency), "127.0.0.1", 0, backlog=512
        )
        servers.append(server)
        urls[name] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    print(json.dumps(urls), flush=True)
    await stop.wait()
    for server in servers:
        server.close()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("contacts", type=int, help="a multiple of 100")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    asked = parser.parse_args()
    if asked.contacts % PAGE:
        parser.error(f"contacts must be a multiple of {PAGE}")
    asyncio.run(serve(asked.contacts, asked.latency_ms / 1000))


if __name__ == "__main__":
    main()
