"""Zoho's data centres: an account lives in one of them, and no other knows its tokens.

Source: https://www.zoho.com/crm/developer/docs/api/v8/multi-dc.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Centre = Literal["com", "eu", "in", "com.au", "com.cn", "jp", "sa", "ca"]
ACCOUNTS: Mapping[Centre, str] = {
    "com": "https://accounts.zoho.com",
    "eu": "https://accounts.zoho.eu",
    "in": "https://accounts.zoho.in",
    "com.au": "https://accounts.zoho.com.au",
    "com.cn": "https://accounts.zoho.com.cn",
    "jp": "https://accounts.zoho.jp",
    "sa": "https://accounts.zoho.sa",
    "ca": "https://accounts.zohocloud.ca",
}
"""Where people agree and tokens are given."""
APIS: Mapping[Centre, str] = {c: f"https://www.zohoapis.{c}" for c in ACCOUNTS}
"""Where records are, as ``api_domain`` of a token answer says."""
ORIGINS = tuple(f"zohoapis.{c}" for c in ACCOUNTS) + tuple(
    url.removeprefix("https://") for url in ACCOUNTS.values()
)
"""Hosts that credentials may go to: those of the API, with its sandboxes, and those of the accounts."""
