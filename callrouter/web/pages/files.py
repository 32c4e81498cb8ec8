"""Stylesheet, scripts and pictures of the pages: read once, sent under names that change with their content.

So they are kept by browsers for ever, and a new version is fetched at once. Scripts name each other as `./other.js`.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from pathlib import Path

import msgspec

FOLDER = Path(__file__).with_name("static")
BASE = "/static/"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
NAMED = re.compile(r'"\./([\w-]+\.(?:js|css|svg))"')


class File(msgspec.Struct, frozen=True):
    body: bytes
    compressed: bytes
    media_type: str


@cache
def sent_as(name: str) -> str:
    """The path under which a file of `static/` is sent. Raises OSError for one that is not there."""
    path = FOLDER / name
    return f"{BASE}{path.stem}.{hashlib.sha256(_content(name)).hexdigest()[:12]}{path.suffix}"


@cache
def sent_files() -> dict[str, File]:
    """Path → what is sent there."""
    return {
        sent_as(path.name): File(body, gzip.compress(body, 9, mtime=0), TYPES[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in TYPES and (body := _content(path.name))
    }


@cache
def _content(name: str) -> bytes:
    """With the names of the files that it names; two that named each other would have none."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    return NAMED.sub(lambda found: f'"{sent_as(found[1])}"', text).encode()
