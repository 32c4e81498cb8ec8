"""The Content-Security-Policy of pages: our own files alone, no inline script or style, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence


def pages_policy(*, media: Sequence[str] = ()) -> str:
    """`media`: servers that sound may come from, besides."""
    sounds = " ".join(["'self'", *media])
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self';"
        f" media-src {sounds}; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    )
