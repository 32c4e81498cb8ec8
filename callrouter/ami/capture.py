"""Captures: files of the raw text that Asterisk sends, with or without banner and login.

They are read by the code that reads the socket. Knows files; knows no connection and no meaning of events.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from callrouter.ami.wire import Event, EventReader

_CHUNK = 256 << 10


def read_capture(path: Path, reader: EventReader | None = None) -> Iterator[Event]:
    """The events of a capture (`.gz` too) in their order; what are only answers to actions is left out.

    With a `reader` of your own, its counters say what was odd in the file.
    """
    reader = reader or EventReader()
    with _open(path) as file:
        while chunk := file.read(_CHUNK):
            yield from (event for event in reader.feed(chunk) if "Event" in event)
    yield from (event for event in reader.finish() if "Event" in event)


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")
