"""Chaos from the start of the servers to the verdict. Knows the order of things; the terminal shows them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec

from callrouter.chaos.crowd import Crowd
from callrouter.chaos.faults import FAULTS
from callrouter.chaos.schedule import PAUSE_S, Injection, schedule
from callrouter.chaos.stage import Stage, on_stage
from callrouter.chaos.verdict import Happened, Stall, Verdict, calls_in_cel, finished, judged
from callrouter.db.connect import TROUBLE, connect
from callrouter.demo import Say
from callrouter.lab.machine import Watched
from callrouter.lab.obtain import PbxSoftware

SETTLE_SECONDS = 120.0
"""The last appeal is in its final form so long after the last call at the latest."""
INBOUND = "from-trunk"
TICK_S = 0.1

Show = Callable[[float, str], None]
"""Is told how far the run is (0 to 1), and what goes on."""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What the person who runs it chose."""

    minutes: float = 3.0
    rate: float = 5.0
    seed: int = 1
    faults: tuple[str, ...] = tuple(FAULTS)


async def chaos(folder: Path, software: PbxSoftware, choices: Choices, say: Say, show: Show) -> Verdict:
    """Let people call for so long while the faults come and go, and judge the appeals."""
    seconds = choices.minutes * 60
    plan = schedule(choices.seed, seconds, choices.faults)
    async with on_stage(folder, software, round(seconds * choices.rate), say) as stage:
        async with httpx.AsyncClient(base_url=stage.stack.web, timeout=5.0, trust_env=False) as browser:
            crowd = Crowd(stage, browser, choices.seed, choices.rate)
            happened: list[Happened] = []
            telling = asyncio.ensure_future(_tell(seconds, happened, plan, show))
            stalls: list[Stall] = []
            machine = Watched()
            stalling = asyncio.ensure_future(_notice(stalls, machine))
            async with asyncio.TaskGroup() as both:
                both.create_task(crowd.call(seconds))
                both.create_task(_harm(stage, plan, happened, seconds))
            telling.cancel()
            stalling.cancel()
            busy = machine.told()
        customers = [call.customer for call in finished(crowd.played, happened)]
        rows = await _settled(stage, customers, lambda left: show(1.0, f"{left} appeals to come"))
    return judged(crowd.played, rows, _recorded(stage), happened, stalls, busy=busy)


def _recorded(stage: Stage) -> list[str]:
    """The linked ids of calls from outside that the PBX has in its own record."""
    with stage.pbx.cel_file.open(encoding="utf-8", errors="replace", newline="") as lines:
        return list(calls_in_cel(lines, INBOUND))


async def _harm(stage: Stage, plan: Sequence[Injection], happened: list[Happened], seconds: float) -> None:
    """As planned; where mending took longer, later, but not when nobody calls any more."""
    zero, pause = time.monotonic(), 0.0
    for one in plan:
        await asyncio.sleep(max(zero + one.at - time.monotonic(), pause))
        pause = PAUSE_S
        if time.monotonic() - zero + one.lasts > seconds:
            return
        began = time.time()
        happened.append(Happened(one.fault, began, float("inf")))
        async with FAULTS[one.fault].inject(stage):
            await asyncio.sleep(one.lasts)
        happened[-1] = Happened(one.fault, began, time.time())


async def _tell(seconds: float, happened: list[Happened], plan: Sequence[Injection], show: Show) -> None:
    zero = time.monotonic()
    while True:
        now = happened[-1] if happened else None
        name = now.fault if now and now.ended == float("inf") else "calm"
        show(min(1.0, (time.monotonic() - zero) / seconds), f"{name} ({len(happened)} of {len(plan)} faults)")
        await asyncio.sleep(0.2)


async def _notice(stalls: list[Stall], machine: Watched) -> None:
    """When the machine had no time for us, and so none for the phones, whose notes are then late."""
    while True:
        before = time.time()
        await asyncio.sleep(TICK_S)
        machine.look()
        if (late := time.time() - before - TICK_S) > TICK_S:
            stalls.append(Stall(before, late))


async def _settled(stage: Stage, customers: Sequence[str], left: Callable[[int], None]) -> list[dict[str, Any]]:
    """All appeals, once each customer and each call of the PBX has its own, final; or as they are after a while."""
    deadline = time.monotonic() + SETTLE_SECONDS
    wanted, recorded = set(customers), set(_recorded(stage))
    while True:
        rows: list[dict[str, Any]] = []
        with contextlib.suppress(*TROUBLE):
            rows = await _appeals(stage)
        final = {row["customer"] for row in rows if row["complete"] and not row["attribution_pending"]}
        left(len(wanted - final))
        told = {row["linkedid"] for row in rows if not row["attribution_pending"]}
        if (wanted <= final and recorded <= told) or time.monotonic() > deadline:
            return rows
        await asyncio.sleep(0.5)


async def _appeals(stage: Stage) -> list[dict[str, Any]]:
    conn: asyncpg.Connection[asyncpg.Record] = await connect(stage.postgres.url)
    try:
        return [dict(row) for row in await conn.fetch("SELECT * FROM appeals WHERE kind = 'call'")]
    finally:
        await conn.close()
