"""A router that is stopped, or killed, with 500 calls in progress, and started again: until it goes on with them all.

A real Asterisk with real SIP calls; the router as a process of its own, with Postgres and Valkey. The time is from its
start (Python's own included) until its metrics tell 500 calls in progress; afterwards each call has one appeal.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import signal
import statistics
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from bench.row import Row
from callrouter.db.connect import connect
from callrouter.db.migrate import migrate
from callrouter.demo import Choices, furnish, section
from callrouter.lab.asterisk import Attachment
from callrouter.lab.calls import AsteriskLab
from callrouter.lab.load import Customer, place_many
from callrouter.lab.obtain import obtain
from callrouter.lab.phones import Manner
from callrouter.lab.servers import embedded_postgres, embedded_valkey
from callrouter.lab.stack import Stack, running

CALLS = 500
CALLS_PER_SECOND = 20
TALK_SECONDS = 600
LIMIT = 2.0
TURNS = 3
PATIENCE = 120.0
IN_PROGRESS = re.compile(r"^callrouter_calls_in_progress\S* (\S+)", re.MULTILINE)


def run() -> list[Row]:
    times = asyncio.run(measure())
    return [
        Row(
            name=f"Router {how} with {CALLS} calls in progress: until it goes on with them",
            ours=statistics.median(seconds), peer=LIMIT, unit="s", ratio=statistics.median(seconds) / LIMIT, target=1,
            at_most=True, note=f"the peer is the limit; median of {TURNS}, with a real Asterisk",
        )
        for how, seconds in times.items()
    ]  # fmt: skip


async def measure() -> dict[str, list[float]]:
    """Seconds of each turn, by how the router ended."""
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        postgres = await opened.enter_async_context(embedded_postgres(folder / "postgres"))
        redis = await opened.enter_async_context(embedded_valkey(folder / "valkey"))
        await migrate(postgres, lambda _line: None)
        await furnish(postgres, Choices(calls=1))
        stack = Stack(folder / "callrouter", postgres=postgres, redis=redis)
        pbx = AsteriskLab(
            await asyncio.to_thread(obtain), folder / "pbx", attachment=Attachment(mode="agi", agi=stack.agi)
        )
        await opened.enter_async_context(pbx)
        pbx.phones.usual = Manner(ring_s=0.1, talk_s=TALK_SECONDS)
        stack.configure(section(pbx, "agi"))
        await opened.enter_async_context(running(stack, "router"))
        customers = [Customer(f"7916{n:07}", "74952222725", "direct", TALK_SECONDS * 1000) for n in range(CALLS)]
        calls = asyncio.ensure_future(place_many(pbx, customers, rate=CALLS_PER_SECOND, at_once=CALLS))
        await until_in_progress(stack, CALLS)
        times = {
            how: [await restarted(stack, by) for _ in range(TURNS)]
            for how, by in {"stopped": signal.SIGTERM, "killed": signal.SIGKILL}.items()
        }
        await pbx.rx("channel request hangup all")
        await until_in_progress(stack, 0)
        await until_told(postgres)
        calls.cancel()
        await asyncio.gather(calls, return_exceptions=True)
        return times


async def restarted(stack: Stack, by: signal.Signals) -> float:
    await stack.stop("router", by=by)
    began = time.monotonic()
    starting = asyncio.ensure_future(stack.start("router"))
    await until_in_progress(stack, CALLS)
    seconds = time.monotonic() - began
    await starting
    return seconds


async def until_in_progress(stack: Stack, calls: int) -> None:
    async with asyncio.timeout(PATIENCE):
        for _ in itertools.repeat(None):
            if await in_progress(stack) == calls:
                return
            await asyncio.sleep(0.02)


async def in_progress(stack: Stack) -> float | None:
    _, text = await stack.fetch(f"{stack.ops('router')}/metrics")
    told = IN_PROGRESS.search(text)
    return float(told[1]) if told else None


async def until_told(postgres: str) -> None:
    """Each call has its appeal, whole, and none has two."""
    connection = await connect(postgres)
    try:
        async with asyncio.timeout(PATIENCE):
            for _ in itertools.repeat(None):
                if await connection.fetchval("SELECT count(*) FROM appeals WHERE complete") >= CALLS:
                    break
                await asyncio.sleep(0.1)
        found = await connection.fetchval("SELECT count(*) FROM appeals")
        if found != CALLS:
            raise RuntimeError(f"{found} appeals of {CALLS} calls: the measurement is void")
    finally:
        await connection.close()
