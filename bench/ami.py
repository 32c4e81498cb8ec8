"""A real, unfiltered AMI stream → call records, against stock panoramisk delivering the events to a `*` callback.

Both are fed the same bytes in the same pieces. The stream is a capture of concurrent calls of every kind, repeated with
new uniqueids, so that each repetition is new calls. Time is the process's own CPU time: the best of several turns;
the ratio is the median of the turns' own, for a shared machine has slow minutes.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panoramisk import Manager

from bench.row import Row
from callrouter.ami.connection import AmiSettings
from callrouter.calls.events import CallEnded
from callrouter.calls.profile import PbxProfile
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.garbage import settle_collector

HERE = Path(__file__).parent
CAPTURES = [*sorted((HERE / "data").glob("*.ami*")), HERE.parent / "tests/captures/22/interleaved.ami"]
PIECE = 65536
EVENTS = 20_000
TURNS = 7
PROFILE = PbxProfile(
    name="pbx1", trunks=("PJSIP/carrier",), inbound_contexts=("from-trunk",), group_contexts=("ring-groups",)
)


def run() -> list[Row]:
    pieces, events = stream()
    calls = whole_path(pieces)
    settle_collector()  # as the router does
    turns = [(seconds(whole_path, pieces), seconds(deliver_by_panoramisk, pieces, events)) for _ in range(TURNS)]
    ours, peer = (min(turn[side] for turn in turns) for side in (0, 1))
    return [
        Row(
            name="AMI stream to call records, against panoramisk delivering it",
            ours=events / ours,
            peer=events / peer,
            unit="events/s",
            ratio=statistics.median(turn[1] / turn[0] for turn in turns),
            target=8,
            note=f"{events} events, {calls} calls",
        )
    ]


def stream() -> tuple[list[bytes], int]:
    text = read(CAPTURES[0])
    body = text[text.index(b"\r\n\r\n", text.index(b"Event: FullyBooted")) + 4 :]
    copies = max(1, EVENTS // body.count(b"Event: "))
    data = b"".join(re.sub(rb"pbx1-\d+\.", b"pbx1-%d." % (1_000_000_000 + copy), body) for copy in range(copies))
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)], len(
        re.findall(rb"^Event: ", data, re.MULTILINE)
    )


def read(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def whole_path(pieces: list[bytes]) -> int:
    settings = AmiSettings(
        name="pbx1",
        username="",
        secret="",
        events=tuple(RELEVANT_EVENTS),
        variables=None,
        only=relevant_headers(PROFILE),
    )
    reader = settings.reader()
    tracker = CallTracker(PROFILE)
    records = 0
    for piece in pieces:
        for event in reader.feed(piece):
            records += sum(isinstance(told, CallEnded) for told in tracker.feed(event))
    return records


def deliver_by_panoramisk(pieces: list[bytes], events: int) -> None:
    loop = asyncio.new_event_loop()
    manager = Manager(loop=loop)
    protocol = manager.config["protocol_factory"]()
    protocol.connection_made(None)
    protocol.factory, protocol.encoding = manager, "utf8"
    delivered = []
    manager.register_event("*", lambda _manager, event: delivered.append(event.event))
    for piece in pieces:
        protocol.data_received(piece)
    loop.close()
    if len(delivered) != events:
        raise AssertionError(f"panoramisk delivered {len(delivered)} of {events} events")


def seconds(work: Callable[..., Any], *arguments: Any) -> float:
    began = time.process_time()
    work(*arguments)
    return time.process_time() - began
