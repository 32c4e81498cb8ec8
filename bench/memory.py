"""A million events and more, of which every tenth Hangup is lost: the router's memory after a quarter and at the end.

The whole path of a router: bytes, events, call records, desk. Only the journal and the lease store are stand-ins, which
keep nothing.
"""

from __future__ import annotations

import asyncio
import os
import re
from datetime import datetime
from pathlib import Path

from bench.ami import CAPTURES, PROFILE, read
from bench.row import Row
from callrouter.ami.connection import AmiSettings
from callrouter.appeals.model import CallAppeal
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.clock import SystemClock
from callrouter.desk import Desk
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution

EVENTS = 1_200_000
CHANNELS = 300
"""The most that are followed, as in a PBX that was given 50,000: what is lost piles up to this."""
LOST_HANGUP = 10
MIB = 1 << 20


class Store:
    async def resolve(self, number: Number, caller: Number | None, at: datetime, **_: object) -> Resolution:
        nobody = Attribution(method="unattributed", confidence=0.0, account=None, site=None, session=None)
        return Resolution(number=number, caller=caller, at=at, attribution=nobody)

    async def call_ended(self, number: Number, call: str) -> None:
        pass

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        pass


class Journal:
    def __init__(self) -> None:
        self.appeals = 0

    async def append(self, appeal: CallAppeal) -> None:  # noqa: ARG002 - the journal's signature
        self.appeals += 1


def run() -> list[Row]:
    early, late, appeals = asyncio.run(million())
    return [
        Row(
            name="router memory after a million events, against after a quarter of them",
            ours=late / MIB, peer=early / MIB, unit="MiB", ratio=late / early, target=1.1, at_most=True,
            note=f"{appeals} appeals, every {LOST_HANGUP}th Hangup lost",
        )
    ]  # fmt: skip


async def million() -> tuple[int, int, int]:
    text = read(CAPTURES[0])
    body = text[text.index(b"\r\n\r\n", text.index(b"Event: FullyBooted")) + 4 :]
    reader = AmiSettings(
        name="pbx1", username="", secret="", events=tuple(RELEVANT_EVENTS), variables=None,
        only=relevant_headers(PROFILE),
    ).reader()  # fmt: skip
    tracker, journal = CallTracker(PROFILE, max_channels=CHANNELS), Journal()
    desk = Desk(Store(), journal, SystemClock(), deadline=0.15)
    copies = EVENTS // body.count(b"Event: ")
    early = 0
    for copy in range(copies):
        for event in reader.feed(told_again(body, copy)):
            desk.take(tracker.feed(event), dialplan_asks=False, country="RU")
        await asyncio.sleep(0)
        if copy == copies // 4:
            early = resident()
    await desk.finish(10)
    late = resident()
    await desk.stop()
    return early, late, journal.appeals


def told_again(body: bytes, copy: int) -> bytes:
    """New calls of the same kind, some without their end."""
    blocks = re.sub(rb"pbx1-\d+\.", b"pbx1-%d." % (1_000_000_000 + copy), body).split(b"\r\n\r\n")
    heard = (
        block for n, block in enumerate(blocks) if (n + copy) % LOST_HANGUP or not block.startswith(b"Event: Hangup\r")
    )
    return b"\r\n\r\n".join(heard)


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
