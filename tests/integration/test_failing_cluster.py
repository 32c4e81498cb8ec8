"""The running product on a cluster of lease stores whose master dies: calls are answered, and each is credited."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import httpx
import pytest

from callrouter.db.connect import connect
from callrouter.demo import Choices, furnish, section
from callrouter.lab.cluster import EmbeddedValkeyCluster
from callrouter.lab.plan import CallPlan, Outcome
from callrouter.lab.servers import EmbeddedValkey
from callrouter.lab.simulated import SimulatedPbx
from callrouter.lab.stack import Stack, running
from callrouter.lab.visitors import Visitor, visitors
from callrouter.pool.keys import pool_slot
from tests.waiting import until

CALLERS = iter(range(10))
DEADLINE_MS = 150
SLACK_MS = 100
"""A shared machine has its moments."""


async def visited(browser: httpx.AsyncClient, who: Visitor) -> bool:
    """The visitor opens a page; whether he got a number of his own."""
    await who.open(browser)
    return bool(who.session)


async def call(pbx: SimulatedPbx, number: str) -> str:
    caller = f"7916555820{next(CALLERS)}"
    truth = await pbx.place(CallPlan(outcome=Outcome.DIRECT, caller=caller, did=number, talk_s=0.2, wait_s=0.1))
    assert truth.status == "answered"
    return caller


async def story(folder: Path, database: str, cluster: EmbeddedValkeyCluster) -> None:
    async with AsyncExitStack() as opened:
        sites = await furnish(database, Choices(calls=20))
        stack = Stack(folder / "callrouter", postgres=database, redis=cluster.nodes[0].url, cluster=True)
        pbx = await opened.enter_async_context(SimulatedPbx(name="moscow", agi=stack.agi))
        stack.configure(section(pbx, "agi"))
        await opened.enter_async_context(running(stack))
        connection = await connect(database)
        opened.push_async_callback(connection.close)
        browser = await opened.enter_async_context(httpx.AsyncClient(base_url=stack.web, timeout=5.0, trust_env=False))
        slot = pool_slot(await connection.fetchval("SELECT id FROM pools WHERE name = 'demo'"))
        who = [visitor for visitor, _ in zip(visitors(sites, 1), range(6), strict=False)]
        for visitor in who[:4]:
            assert await visited(browser, visitor)
        credited = {await call(pbx, who[0].number): who[0].session}

        victim = cluster.leader_of(slot)
        assert victim
        victim.signal(signal.SIGKILL)
        during = await asyncio.gather(*(call(pbx, visitor.number) for visitor in who[1:4]))
        credited |= {caller: visitor.session for caller, visitor in zip(during, who[1:4], strict=True)}
        await until(lambda: led_by_another(cluster, victim, slot))
        await until(lambda: visited(browser, who[4]))
        credited[await call(pbx, who[4].number)] = who[4].session
        credited[await call(pbx, who[1].number)] = who[1].session  # leased before the master died

        await until(lambda: told(connection, len(credited)), seconds=30)
        rows = await connection.fetch("SELECT * FROM appeals ORDER BY started_at")
        assert max(row["agi_ms"] for row in rows) < DEADLINE_MS + SLACK_MS
        assert {row["caller"]: row["session"] for row in rows} == credited


async def told(connection: asyncpg.Connection[asyncpg.Record], calls: int) -> bool:
    credited = await connection.fetchval("SELECT count(*) FROM appeals WHERE session IS NOT NULL")
    return bool(credited == calls)


async def led_by_another(cluster: EmbeddedValkeyCluster, victim: EmbeddedValkey, slot: str) -> bool:
    await asyncio.sleep(0.1)  # asking all nodes is work
    return await asyncio.to_thread(cluster.leader_of, slot) not in (None, victim)


@pytest.mark.slow
def test_calls_are_answered_and_credited_over_the_death_of_a_master(tmp_path: Path, database: str) -> None:
    cluster = EmbeddedValkeyCluster(tmp_path / "cluster", replicas=1, timeout_ms=1000)
    try:
        cluster.start()
        asyncio.run(story(tmp_path, database, cluster))
    finally:
        cluster.stop()
