"""One router beside two PBXs, one that asks and one that is only watched: each call has its own PBX's appeal."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from callrouter.db.connect import connect
from callrouter.db.migrate import migrate
from callrouter.demo import STATIC_NUMBER, STATIC_SOURCE, Choices, furnish, section
from callrouter.lab.plan import CallPlan, Outcome
from callrouter.lab.servers import embedded_postgres, embedded_valkey
from callrouter.lab.simulated import SimulatedPbx
from callrouter.lab.stack import Stack, running
from tests.waiting import until

CALLS = 4


def a_call(n: int) -> CallPlan:
    return CallPlan(outcome=Outcome.DIRECT, caller=f"7916555810{n}", did=STATIC_NUMBER, talk_s=0.2, wait_s=0.1)


async def play(folder: Path) -> list[dict[str, Any]]:
    async with AsyncExitStack() as opened:
        postgres = await opened.enter_async_context(embedded_postgres(folder / "postgres"))
        valkey = await opened.enter_async_context(embedded_valkey(folder / "valkey"))
        await migrate(postgres, lambda _line: None)
        await furnish(postgres, Choices(calls=CALLS))
        stack = Stack(folder / "callrouter", postgres=postgres, redis=valkey)
        asking = await opened.enter_async_context(SimulatedPbx(name="moscow", agi=stack.agi))
        watched = await opened.enter_async_context(SimulatedPbx(name="kazan"))
        stack.configure(section(asking, "agi"), section(watched, "watch"))
        await opened.enter_async_context(running(stack, "router"))
        conn = await connect(postgres)
        opened.push_async_callback(conn.close)

        async def attached() -> bool:
            _, health = await stack.fetch(f"{stack.ops('router')}/health")
            return '"ami moscow":{"ok":true' in health and '"ami kazan":{"ok":true' in health

        await until(attached)
        await asyncio.gather(*((asking, watched)[n % 2].place(a_call(n)) for n in range(CALLS)))

        async def published() -> bool:
            return bool(await conn.fetchval("SELECT count(*) FROM appeals") >= CALLS)

        await until(published)
        return [dict(row) for row in await conn.fetch("SELECT * FROM appeals ORDER BY caller")]


def test_each_call_has_the_appeal_of_its_own_pbx(tmp_path: Path) -> None:
    rows = asyncio.run(play(tmp_path))
    assert [row["pbx"] for row in rows] == ["moscow", "kazan"] * 2
    assert {(row["method"], row["source"], row["late"]) for row in rows} == {("static", STATIC_SOURCE, False)}
    assert [row["agi_ms"] is not None for row in rows] == [True, False] * 2
