"""The proxy that brings a vendor's hosts to a sandbox, and no others."""

from __future__ import annotations

import json
import ssl
from http.client import HTTPSConnection
from urllib.parse import urlsplit

import pytest

from tests.real.proxy import proxying


@pytest.fixture
def proxy(served, tmp_path):
    """A proxy before a HubSpot."""
    with proxying(served("hubspot", records=3).url, tmp_path, "hubapi.com") as found:
        yield found


def tunnel(proxy, host):
    connection = HTTPSConnection(
        urlsplit(proxy.url).netloc,
        context=ssl.create_default_context(cafile=proxy.bundle),
        timeout=10,
    )
    connection.set_tunnel(host, 443)
    return connection


def test_a_vendor_s_host_is_the_sandbox_and_a_connection_takes_many_calls(proxy):
    connection = tunnel(proxy, "api.hubapi.com")
    try:
        for token, status in (("x", 401), ("pat-na1-none", 401)):
            connection.request(
                "POST",
                "/crm/v3/objects/contacts/search",
                body=json.dumps({"limit": 1}),
                headers={"Authorization": f"Bearer {token}"},
            )
            answer = connection.getresponse()
            assert answer.status == status
            assert json.loads(answer.read())["category"] == "INVALID_AUTHENTICATION"
    finally:
        connection.close()
    assert proxy.hosts == {"api.hubapi.com"}


@pytest.mark.parametrize("host", ["example.com", "nothubapi.com", "hubapi.com.example"])
def test_another_s_host_is_refused_and_remembered(proxy, host):
    connection = tunnel(proxy, host)
    try:
        with pytest.raises(OSError, match="403"):
            connection.request("GET", "/")
    finally:
        connection.close()
    assert proxy.refused == {host}
