"""The router's memory over more than a million events, some hangups of which were never told.

A real, unfiltered stream goes through reader, call tracker and desk, again and again: each time ten minutes later, as
new calls, and every fifth time without any Hangup. Once the oldest of what was missed has been given up (a day), memory
must stand still. In a process of its own, so that nothing else is measured.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

from bench.ami import CAPTURES, PROFILE, read
from bench.row import Row
from callrouter.ami.connection import AmiSettings
from callrouter.appeals.model import CallAppeal
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.desk import Desk
from callrouter.numbers import Number
from callrouter.pool.model import Attribution, Resolution

EVENTS = 2_500_000
WARM = 0.5
"""After this part of them a day has passed on the stream's clock, and what is bounded by number is full."""
APART = 600
"""Seconds between two repetitions."""
DEAF = 5
"""Every so manieth repetition has no Hangup."""
HANGUP = re.compile(rb"Event: Hangup\r\n.*?\r\n\r\n", re.DOTALL)
TIMESTAMP = re.compile(rb"\r\nTimestamp: (\d+)")


def run() -> list[Row]:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        warm, end, events, calls = process.submit(measured).result()
    return [
        Row(
            name="Router memory after a million events with missed hangups, against half of them",
            ours=end, peer=warm, unit="MB", ratio=end / warm, target=1.05, at_most=True,
            note=f"{events} events, {calls} calls ended",
        )
    ]  # fmt: skip


class Times:
    """The stream's own time, which runs a hundred times faster than ours."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return monotonic()


class Store:
    async def resolve(
        self, number: Number, caller: Number | None, at: datetime, *, live: bool = True, call: str = ""
    ) -> Resolution:
        credited = Attribution(method="holder", confidence=0.9, account=2, site=1, session=f"{call} {at}")
        return Resolution(number=number, caller=caller, at=at, attribution=credited, late=not live)

    async def call_ended(self, number: Number, call: str) -> None:
        pass

    async def remember(self, resolution: Resolution, *, client: str = "") -> None:
        pass


class Journal:
    def __init__(self) -> None:
        self.appeals = 0

    async def append(self, appeal: CallAppeal) -> None:
        self.appeals += appeal.revision == 0


def measured() -> tuple[float, float, int, int]:
    """Megabytes after the warm-up and at the end, events, calls."""
    return asyncio.run(_measured())


async def _measured() -> tuple[float, float, int, int]:
    text = read(CAPTURES[0])
    body = text[text.index(b"\r\n\r\n", text.index(b"Event: FullyBooted")) + 4 :]
    each = body.count(b"Event: ")
    copies = EVENTS // each + 1
    clock, journal = Times(), Journal()
    desk = Desk(Store(), journal, clock, deadline=0.15)
    tracker = CallTracker(PROFILE)
    settings = AmiSettings(
        name="pbx1", username="", secret="", events=tuple(RELEVANT_EVENTS), variables=None,
        only=relevant_headers(PROFILE),
    )  # fmt: skip
    reader = settings.reader()
    warm = 0.0
    for copy in range(copies):
        for event in reader.feed(repetition(body, copy)):
            desk.take(tracker.feed(event), dialplan_asks=False, country="RU")
        clock.at = tracker.last_event_at
        desk.take(tracker.expire(clock.at), dialplan_asks=False, country="RU")
        desk.forget_old()
        await asyncio.sleep(0)
        if copy == int(copies * WARM):
            warm = await resident(desk)
    end = await resident(desk)
    return warm, end, copies * each, journal.appeals


def repetition(body: bytes, copy: int) -> bytes:
    """The same calls, later and with other ids."""
    data = re.sub(rb"pbx1-(\d+)\.", lambda at: b"pbx1-%d." % (int(at[1]) + copy * APART), body)
    data = TIMESTAMP.sub(lambda at: b"\r\nTimestamp: %d" % (int(at[1]) + copy * APART), data)
    return HANGUP.sub(b"", data) if copy % DEAF == 0 else data


async def resident(desk: Desk) -> float:
    """Megabytes of this process, its background work done."""
    await desk.finish(5)
    lines = Path("/proc/self/status").read_text().splitlines()  # noqa: ASYNC240 - nothing else is going on
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
