"""Asterisk's side for bench/agi.py, in a process of its own: `PORT SECONDS CONCURRENT [RATE]`.

Each call is a connection: environment, command, reply, end. Without a rate the next call begins when one has ended;
with a rate calls begin on time whatever the others do. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from itertools import count

import uvloop

NUMBERS = 2000
FIRST = 74952230000
"""The numbers of the pool; each call is on the next of them, by another caller."""
ENVIRONMENT = (
    "agi_network: yes\nagi_network_script: resolve\nagi_request: agi://127.0.0.1:4573/resolve\n"
    "agi_channel: PJSIP/carrier-00000b5c\nagi_language: en\nagi_type: PJSIP\nagi_uniqueid: pbx1-1763757931.%(call)d\n"
    "agi_version: 22.10.0\nagi_callerid: 7916%(call)07d\nagi_calleridname: Иван Петров\nagi_callingpres: 0\n"
    "agi_callingani2: 0\nagi_callington: 0\nagi_callingtns: 0\nagi_dnid: %(number)d\nagi_rdnis: unknown\n"
    "agi_context: from-trunk\nagi_extension: s\nagi_priority: 5\nagi_enhanced: 0.0\nagi_accountcode: \n"
    "agi_threadid: 140023\nagi_arg_1: %(number)d\n\n"
).encode()

CALLS = count(1)
STATUS = re.compile(rb'CALLROUTER_STATUS(=| ")ok"\n$')
"""Set last, by whichever command."""


class Call(asyncio.Protocol):
    def __init__(self, done: asyncio.Future[float]) -> None:
        self.done = done
        self.took = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment] # what a TCP connection gives
        self.began = time.perf_counter()
        call = next(CALLS)
        self.transport.write(ENVIRONMENT % {b"call": call, b"number": FIRST + call % NUMBERS})

    def data_received(self, data: bytes) -> None:
        if STATUS.search(data):
            self.took = time.perf_counter() - self.began
        self.transport.write(b"200 result=1\n" * data.count(b"\n"))

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(self.took)


async def one(port: int) -> float:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[float] = loop.create_future()
    await loop.create_connection(lambda: Call(done), "127.0.0.1", port)
    took = await done
    if not took:
        raise AssertionError("a call got no answer")
    return took


async def as_fast_as_possible(port: int, seconds: float, concurrent: int) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def line() -> None:
        while time.perf_counter() < end:
            times.append(await one(port))

    await asyncio.gather(*(line() for _ in range(concurrent)))
    return times


async def at_a_rate(port: int, seconds: float, rate: float) -> list[float]:
    loop = asyncio.get_running_loop()
    began, calls = loop.time(), []
    for number in range(int(seconds * rate)):
        await asyncio.sleep(began + number / rate - loop.time())
        calls.append(asyncio.ensure_future(one(port)))
    return list(await asyncio.gather(*calls))


def main(port: int, seconds: float, concurrent: int, rate: float = 0.0) -> None:
    began = time.perf_counter()
    work = at_a_rate(port, seconds, rate) if rate else as_fast_as_possible(port, seconds, concurrent)
    times = sorted(uvloop.run(work))
    spent = time.perf_counter() - began
    print(json.dumps({"calls": len(times), "per_second": len(times) / spent, "p99": times[int(len(times) * 0.99)]}))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), *(float(rate) for rate in sys.argv[4:5]))
