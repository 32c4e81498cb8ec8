"""The recorded calls of tests/captures: what a real Asterisk sent, and what the phones really did."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from callrouter.ami.capture import read_capture
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import json_line, records
from callrouter.calls.tracker import HANDLERS, relevant_headers

FOLDER = Path(__file__).parents[2] / "captures"
CUSTOMERS = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("customers/*.ami.gz"))
"""Calls that were told wrongly once, or might have been, as `callrouter record --regression` keeps them."""
CAPTURES = sorted({str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.ami*")} - set(CUSTOMERS))
SHAPES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("shapes/*/*.ami.gz"))
"""Calls played by the scripts of tests/shapes."""
Events = list[dict[str, str]]


class Capture(msgspec.Struct, frozen=True):
    events: Events
    profile: PbxProfile
    truths: tuple[dict[str, Any], ...]

    @property
    def telling(self) -> Events:
        """Those that the tracker reads."""
        headers = relevant_headers(self.profile)
        return [
            event
            for event in self.events
            if (name := event["Event"]) in HANDLERS
            and (
                name not in headers
                or any(event.get(header, "").startswith(values) for header, values in headers[name].items())
            )
        ]


@cache
def capture(name: str) -> Capture:
    path = FOLDER / name
    described = msgspec.json.decode(path.with_name(path.name.partition(".")[0] + ".json").read_bytes())
    return Capture(
        list(read_capture(path)),
        msgspec.convert(described["profile"], PbxProfile),
        tuple(described["calls"]),
    )


def raw(name: str) -> bytes:
    """The bytes that Asterisk sent."""
    data = (FOLDER / name).read_bytes()
    return gzip.decompress(data) if name.endswith(".gz") else data


def replayed(events: Events, profile: PbxProfile) -> list[CallRecord]:
    return list(records(events, profile))


def lines(events: Events, profile: PbxProfile) -> bytes:
    return b"".join(map(json_line, records(events, profile)))
