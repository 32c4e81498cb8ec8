"""How long an event waits before the call tracker has read it, when Asterisk sends 20,000 a second: every event class.

Over a real socket, from a process that sends on time whatever we do. Every few milliseconds it sends an event that says
when; what came before that one has been read by then.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvloop

from bench.ami import PROFILE
from bench.lag_server import DONE, MARK, RATE, SECRET, USER
from bench.row import Row
from callrouter.ami.connection import AmiConnection, AmiSettings
from callrouter.ami.wire import Event
from callrouter.calls.events import CallEnded
from callrouter.calls.tracker import RELEVANT_EVENTS, CallTracker, relevant_headers
from callrouter.clock import SystemClock
from callrouter.garbage import settle_collector

LIMIT_MS = 50.0
PATIENCE = 120.0


def run() -> list[Row]:
    with server() as port:
        settle_collector()  # as the router does
        lags, calls = uvloop.run(read(port))
    p99 = sorted(lags)[int(len(lags) * 0.99)] * 1000
    return [
        Row(
            name=f"AMI reader's lag, p99 at {RATE} events/s", ours=p99, peer=LIMIT_MS, unit="ms", ratio=p99 / LIMIT_MS,
            target=1, at_most=True, note=f"the peer is the limit; {calls} calls",
        )
    ]  # fmt: skip


@contextmanager
def server() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-m", "bench.lag_server"], stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


async def read(port: int) -> tuple[list[float], int]:
    """Seconds from the sending of each mark to its arrival behind the tracker; and calls that ended."""
    tracker, lags, ended = CallTracker(PROFILE), [], 0
    done = asyncio.Event()

    def take(event: Event, at: float) -> None:
        nonlocal ended
        if event["Event"] != "UserEvent":
            ended += sum(isinstance(told, CallEnded) for told in tracker.feed(event, at))
        elif event["UserEvent"] == MARK:
            lags.append(time.time() - float(event["Sent"]))
        elif event["UserEvent"] == DONE:
            done.set()

    settings = AmiSettings(
        name="pbx1", port=port, username=USER, secret=SECRET, events=(*RELEVANT_EVENTS, "UserEvent"), variables=None,
        only=relevant_headers(PROFILE),
    )  # fmt: skip
    connection = AmiConnection(settings, take, lambda *_: None, SystemClock(), on_snapshot=lambda _: None)
    await connection.start()
    async with asyncio.timeout(PATIENCE):
        await done.wait()
    await connection.stop()
    return lags, ended
