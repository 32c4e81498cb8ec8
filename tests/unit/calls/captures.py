"""The recorded calls of tests/captures: what a real Asterisk sent, and what the phones really did."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from callrouter.ami.capture import read_capture
from callrouter.calls.profile import PbxProfile
from callrouter.calls.record import CallRecord
from callrouter.calls.replay import json_line, records

FOLDER = Path(__file__).parents[2] / "captures"
CAPTURES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("*/*.ami*"))
Events = list[dict[str, str]]


class Capture(msgspec.Struct, frozen=True):
    events: Events
    profile: PbxProfile
    truths: tuple[dict[str, Any], ...]


@cache
def capture(name: str) -> Capture:
    path = FOLDER / name
    described = msgspec.json.decode(path.with_name(path.name.partition(".")[0] + ".json").read_bytes())
    return Capture(
        list(read_capture(path)),
        msgspec.convert(described["profile"], PbxProfile),
        tuple(described["calls"]),
    )


def replayed(events: Events, profile: PbxProfile) -> list[CallRecord]:
    return list(records(events, profile))


def lines(events: Events, profile: PbxProfile) -> bytes:
    return b"".join(map(json_line, records(events, profile)))
