"""What HTML pages have in common: they need nothing but themselves, and may run nothing."""

from __future__ import annotations

from html import escape

from connector_hub.cli.session import printable


def head(title: str, style: str) -> str:
    """The beginning of a page, up to what stands in its body."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{text(title)}</title><style>{style}</style></head><body>"
    )


def text(found: str) -> str:
    """Text as markup, without what a reader's eye or browser would obey."""
    return escape(printable(found))
